"""Limits, credit tiers and restrictions: they stop what makes a position larger, never what makes it smaller."""

import pytest

from crossmargin.clearing import (
    CheckOrder,
    ClearedTrade,
    ClearTrades,
    Delist,
    ListInstrument,
    OpenAccount,
    Reason,
    ReleaseOrder,
    Restrict,
    SetLimits,
    SetTier,
    SetWithdrawalLimit,
    StartTrading,
)
from crossmargin.clearing.contracts import LOTS_MAX, STAGES
from crossmargin.clearing.control import EVERY, HALTED, OPEN, REDUCE_ONLY
from tests.clearing_desk import Desk

PERPETUAL = {
    "symbol": "P",
    "type": "perpetual",
    "underlying": "BTC",
    "quote": "USD",
    "tick_size": "0.01",
    "lot_size": "1",
}


def listed(**terms):
    desk = Desk("alice", "bob")
    desk.do(ListInstrument(terms=PERPETUAL, **terms))
    return desk


def order(lots, name="o", account="alice"):
    return CheckOrder(account=account, order=name, symbol="P", lots=lots, ticks=100)


def trade(lots, buyer="alice", seller="bob"):
    return ClearTrades(trades=[ClearedTrade(symbol="P", buyer=buyer, seller=seller, lots=lots, ticks=100)])


def test_no_order_is_larger_than_its_limit():
    desk = listed()
    desk.do(SetLimits(instrument="P", position=None, order=10))
    desk.no(order(11), Reason.ORDER_LIMIT_REACHED)
    desk.no(order(-11), Reason.ORDER_LIMIT_REACHED)
    desk.do(order(10))


def test_no_position_grows_beyond_its_limit_even_if_all_orders_trade():
    desk = listed()
    desk.do(SetLimits(instrument="P", position=10, order=None))
    desk.do(trade(4))
    desk.do(order(5, "a"))
    desk.no(order(2, "b"), Reason.POSITION_LIMIT_REACHED)
    desk.do(order(1, "b"))
    desk.no(trade(15, buyer="bob", seller="alice"), Reason.POSITION_LIMIT_REACHED)
    # Sold, it may go to ten short.
    desk.do(order(-14, "c"))
    desk.no(order(-1, "d"), Reason.POSITION_LIMIT_REACHED)


def test_what_makes_a_position_smaller_passes_every_limit():
    desk = listed()
    desk.do(trade(20))
    desk.do(SetLimits(instrument="P", position=0, order=0))
    desk.no(order(1), Reason.ORDER_LIMIT_REACHED)
    desk.do(order(-20))
    desk.do(ReleaseOrder(account="alice", order="o"))
    desk.no(order(-21), Reason.ORDER_LIMIT_REACHED)
    desk.do(trade(20, buyer="bob", seller="alice"))


def test_an_account_may_have_limits_of_its_own():
    desk = listed()
    desk.do(SetLimits(instrument="P", position=10, order=10))
    desk.do(SetLimits(instrument="P", position=20, order=20, account="alice"))
    desk.do(order(20))
    desk.no(order(11, account="bob", name="b"), Reason.ORDER_LIMIT_REACHED)
    assert desk.state.limits.of(desk.number("bob"), 0) == (10, 10)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (SetLimits(instrument="Q", position=1, order=1), Reason.UNKNOWN_INSTRUMENT),
        (SetLimits(instrument="P", position=1, order=1, account="nobody"), Reason.UNKNOWN_ACCOUNT),
        (SetLimits(instrument="P", position=-1, order=1), Reason.TERMS_ARE_INVALID),
        (SetLimits(instrument="P", position=1, order=LOTS_MAX + 1), Reason.TERMS_ARE_INVALID),
        (SetWithdrawalLimit(account="alice", asset="USD", amount=-1), Reason.TERMS_ARE_INVALID),
        (SetWithdrawalLimit(account="alice", asset="USD", amount=1, window_seconds=0), Reason.TERMS_ARE_INVALID),
        (SetWithdrawalLimit(account="alice", asset="EUR", amount=1), Reason.UNKNOWN_ASSET),
        (SetWithdrawalLimit(account="nobody", asset="USD", amount=1), Reason.UNKNOWN_ACCOUNT),
        (SetTier(account="alice", tier="best", reason="-"), Reason.TERMS_ARE_INVALID),
        (SetTier(account="alice", tier="prime", reason=""), Reason.TERMS_ARE_INVALID),
        (SetTier(account="alice", tier="standard", reason="-"), Reason.NOTHING_WOULD_CHANGE),
        (SetTier(account="nobody", tier="prime", reason="-"), Reason.UNKNOWN_ACCOUNT),
        (Restrict(mode="shut", reason="-"), Reason.TERMS_ARE_INVALID),
        (Restrict(mode="halted", reason=""), Reason.TERMS_ARE_INVALID),
        (Restrict(mode="halted", reason="-", account="alice", instrument="P"), Reason.TERMS_ARE_INVALID),
        (Restrict(mode="halted", reason="-", account="nobody"), Reason.UNKNOWN_ACCOUNT),
        (Restrict(mode="halted", reason="-", instrument="Q"), Reason.UNKNOWN_INSTRUMENT),
        (Restrict(mode="open", reason="-"), Reason.NOTHING_WOULD_CHANGE),
        (StartTrading(instrument="Q"), Reason.UNKNOWN_INSTRUMENT),
        (StartTrading(instrument="P"), Reason.STAGE_DOES_NOT_ALLOW_IT),
        (Delist(instrument="Q", reason="-"), Reason.UNKNOWN_INSTRUMENT),
    ],
)
def test_what_cannot_be_set_is_refused_by_name(command, reason):
    listed().no(command, reason)


def test_a_tier_is_set_with_its_reason():
    desk = listed()
    desk.do(SetTier(account="alice", tier="basic", reason="late twice"))
    assert desk.state.parties.accounts[desk.number("alice")].tier == 2


@pytest.mark.parametrize(
    "scope", [{}, {"account": "alice"}, {"instrument": "P"}], ids=["house", "account", "instrument"]
)
def test_who_may_only_reduce_only_reduces_and_who_is_halted_does_nothing(scope):
    desk = listed()
    desk.do(trade(5))
    desk.do(Restrict(mode="reduce_only", reason="fast market", **scope))
    for grows in (order(1), order(-6), trade(1), trade(6, buyer="bob", seller="alice")):
        desk.no(grows, Reason.TRADING_IS_RESTRICTED)
    desk.do(order(-5))
    desk.do(trade(1, buyer="bob", seller="alice"))
    desk.do(ReleaseOrder(account="alice", order="o"))
    desk.do(Restrict(mode="halted", reason="fault", **scope))
    desk.no(order(-4), Reason.TRADING_IS_RESTRICTED)
    desk.no(trade(1, buyer="bob", seller="alice"), Reason.TRADING_IS_RESTRICTED)
    desk.do(Restrict(mode="open", reason="mended", **scope))
    desk.do(order(1))
    desk.do(trade(1))


def test_the_strictest_restriction_holds_and_each_has_its_reason():
    desk = listed()
    desk.do(Restrict(mode="reduce_only", reason="one", instrument="P"))
    desk.do(Restrict(mode="halted", reason="two", account="alice"))
    desk.no(Restrict(mode="halted", reason="two", account="alice"), Reason.NOTHING_WOULD_CHANGE)
    alice, bob = desk.number("alice"), desk.number("bob")
    control = desk.state.control
    assert (control.mode(alice, 0), control.mode(bob, 0), control.mode(bob)) == (HALTED, REDUCE_ONLY, OPEN)
    assert control.in_force == {(EVERY, 0): (REDUCE_ONLY, "one"), (alice, EVERY): (HALTED, "two")}


def test_a_listed_instrument_trades_once_it_is_told_to():
    desk = listed(trades=False)
    desk.no(order(1), Reason.INSTRUMENT_DOES_NOT_TRADE)
    desk.do(StartTrading(instrument="P"))
    desk.do(order(1))


def test_a_perpetual_is_delisted_once_nobody_holds_it():
    desk = listed()
    delist = Delist(instrument="P", reason="no interest")
    desk.do(order(1))
    desk.no(delist, Reason.INSTRUMENT_IS_HELD)
    desk.do(ReleaseOrder(account="alice", order="o"))
    desk.do(trade(1))
    desk.no(delist, Reason.INSTRUMENT_IS_HELD)
    desk.do(trade(1, buyer="bob", seller="alice"))
    desk.do(delist)
    assert STAGES[desk.state.parties.instruments[0].stage] == "settled"
    desk.no(order(1), Reason.INSTRUMENT_DOES_NOT_TRADE)
    desk.no(delist, Reason.STAGE_DOES_NOT_ALLOW_IT)
    desk.no(StartTrading(instrument="P"), Reason.STAGE_DOES_NOT_ALLOW_IT)


def test_what_expires_is_not_delisted_and_does_not_start_to_trade_when_it_has():
    desk = Desk("alice")
    future = PERPETUAL | {"symbol": "F", "type": "future", "expiry": "1970-01-02T08:00:00Z"}
    desk.do(ListInstrument(terms=future, trades=False))
    desk.no(Delist(instrument="F", reason="-"), Reason.STAGE_DOES_NOT_ALLOW_IT)
    desk.later(2 * 86_400)
    desk.no(StartTrading(instrument="F"), Reason.STAGE_DOES_NOT_ALLOW_IT)


def test_there_is_room_for_restrictions_and_limits_of_many():
    desk = listed()
    for k in range(40):
        desk.do(OpenAccount(account=f"a{k}"))
        desk.do(ListInstrument(terms=PERPETUAL | {"symbol": f"P{k}"}))
    desk.do(SetLimits(instrument="P39", position=7, order=5))
    desk.do(Restrict(mode="halted", reason="-", account="a39"))
    desk.do(Restrict(mode="reduce_only", reason="-", instrument="P39"))
    last = desk.state.parties.instrument_number["P39"]
    assert desk.state.limits.of(desk.number("a38"), last) == (7, 5)
    assert desk.state.limits.of(desk.number("a38"), 1) == (LOTS_MAX, LOTS_MAX)
    assert desk.state.control.mode(desk.number("a39"), 1) == HALTED
    assert desk.state.control.mode(desk.number("a38"), last) == REDUCE_ONLY
