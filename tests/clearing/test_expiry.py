"""Expiry: an average with a quorum or an officer's word, payoffs that cancel, once; corrections pay the difference."""

from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.clearing import (
    AdvanceClock,
    Applied,
    CheckOrder,
    ClearedTrade,
    ClearTrades,
    CorrectSettlement,
    Deposit,
    Expire,
    House,
    ListInstrument,
    OpenAccount,
    OpenHouse,
    Reason,
    SetAveraging,
    SetSettlementPrice,
    SettleVariation,
    UpdateMarks,
    rebuilt,
    unconserved,
)
from crossmargin.clearing.expiry import payoff_of_lot
from crossmargin.clearing.ledger import ROUNDING
from crossmargin.clearing.parties import EXPIRING, SETTLED, TRADING
from crossmargin.clearing.state import State
from crossmargin.storage import open_journal

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
DAY = 86_400 * SECOND
EXPIRY = int(datetime(2026, 12, 25, 8, tzinfo=UTC).timestamp()) * SECOND
START = EXPIRY - DAY
UNIT = 10**8
NAMES = ("alice", "bob", "carol")
FUNDS = 10**14

_BTC = {"underlying": "BTC", "quote": "USD", "expiry": "2026-12-25T08:00:00Z", "tick_size": "0.5", "lot_size": "0.1"}
FUTURE = _BTC | {"symbol": "F", "type": "future"}
INVERSE = _BTC | {
    "symbol": "I", "type": "future", "settle": "BTC", "inverse": "true", "contract_size": "10", "lot_size": "1"
}  # fmt: skip
CALL = _BTC | {"symbol": "C", "type": "option", "option_type": "call", "strike": "60000"}
PUT = CALL | {"symbol": "P", "option_type": "put"}
COIN_CALL = CALL | {"symbol": "CC", "inverse": "true", "settle": "BTC", "tick_size": "0.0005"}
COIN_PUT = COIN_CALL | {"symbol": "CP", "option_type": "put"}
ENERGY = {
    "symbol": "CL", "type": "future", "underlying": "WTI", "quote": "USD", "price_domain": "any", "tick_size": "0.01",
    "lot_size": "1", "contract_size": "1000", "expiry": "2026-12-25T08:00:00Z",
}  # fmt: skip
TERMS = (FUTURE, INVERSE, CALL, PUT, COIN_CALL, COIN_PUT, ENERGY)
SYMBOLS = [terms["symbol"] for terms in TERMS]
ASSET = {symbol: ("BTC" if symbol in ("I", "CC", "CP") else "USD") for symbol in SYMBOLS}


class Market:
    """A house the day before everything expires, with a clock that is set."""

    def __init__(self, journal=None):
        self.now = START
        self.house = House(journal or open_journal("memory:"), lambda: self.now)
        self.house.submit(OpenHouse(currency="USD", assets={"USD": (2, "other"), "BTC": (8, "crypto")}))
        for listed in TERMS:
            assert isinstance(self.house.submit(ListInstrument(terms=listed)), Applied)
        for name in NAMES:
            self.house.submit(OpenAccount(account=name))
            for asset in ("USD", "BTC"):
                self.house.submit(Deposit(account=name, asset=asset, amount=FUNDS, reference=f"{name} {asset}"))

    @property
    def state(self):
        return self.house.state

    def trade(self, symbol, buyer="alice", seller="bob", lots=10, ticks=100):
        trades = [ClearedTrade(symbol=symbol, buyer=buyer, seller=seller, lots=lots, ticks=ticks)]
        reply = self.house.submit(ClearTrades(trades=trades))
        assert isinstance(reply, Applied), reply

    def pass_window(self, prices, step=MINUTE // 2, underlying="BTC"):
        """Go through the half hour before expiry: an index and a look at the clock each step; None gives no index."""
        self.now = EXPIRY - 30 * MINUTE
        for price in prices:
            if price is not None:
                self.house.submit(UpdateMarks(indices={underlying: price}))
            self.house.submit(AdvanceClock())
            self.now += step
        self.now = max(self.now, EXPIRY)

    def expire_at(self, price, underlying="BTC"):
        """Let what is on an underlying expire without samples, at an officer's price."""
        self.now = max(self.now, EXPIRY)
        command = SetSettlementPrice(underlying=underlying, expiry=EXPIRY, price=price, reason="no index")
        assert isinstance(self.house.submit(command), Applied)

    def expire(self, symbol):
        reply = self.house.submit(Expire(instrument=symbol))
        assert isinstance(reply, Applied), reply
        return reply

    def cash(self, name, asset="USD"):
        return self.state.ledger.balance(
            self.state.parties.account_number[name], self.state.parties.asset_number[asset]
        )

    def stage(self, symbol):
        return self.state.parties.instruments[self.state.parties.instrument_number[symbol]].stage


# --- the window and the price


def test_the_price_is_the_mean_of_the_samples_of_the_window_and_not_the_last_price():
    market = Market()
    market.trade("F", ticks=120_000)
    # 60 samples of 60,000, 60,001, ..., 60,059 USD.
    market.pass_window([(60_000 + k) * UNIT for k in range(60)])
    market.house.submit(UpdateMarks(indices={"BTC": 99_999 * UNIT}))
    reply = market.house.submit(AdvanceClock())
    assert [event.price for event in reply.events if type(event).__name__ == "SettlementPriceSet"] == [
        6_002_950_000_000
    ]
    # 10 lots of 0.1 BTC gained 29.50 USD each BTC.
    assert market.cash("alice") == FUNDS + 2_950
    assert market.cash("bob") == FUNDS - 2_950


def test_the_window_opens_with_the_clock_and_what_expires_trades_in_it_until_it_expires():
    market = Market()
    market.now = EXPIRY - 30 * MINUTE - 1_000
    market.house.submit(AdvanceClock())
    assert market.stage("F") == TRADING
    market.now = EXPIRY - 30 * MINUTE
    market.house.submit(AdvanceClock())
    assert market.stage("F") == EXPIRING
    market.trade("F")
    market.now = EXPIRY
    trades = [ClearedTrade(symbol="F", buyer="alice", seller="bob", lots=1, ticks=1)]
    assert market.house.submit(ClearTrades(trades=trades)).reason is Reason.INSTRUMENT_DOES_NOT_TRADE


def test_incident_24_without_a_quorum_settlement_waits_and_the_last_price_is_never_used():
    market = Market()
    market.trade("F")
    # 29 samples, then silence: the clock is looked at, the index is not new.
    market.pass_window([60_000 * UNIT] * 29 + [None] * 31)
    market.house.submit(AdvanceClock())
    assert market.stage("F") == EXPIRING
    assert market.house.submit(Expire(instrument="F")).reason is Reason.SETTLEMENT_HAS_NO_QUORUM
    market.expire_at(61_000 * UNIT)
    market.house.submit(AdvanceClock())
    assert market.stage("F") == SETTLED


def test_the_clock_looked_at_twice_in_a_part_of_the_window_takes_one_sample():
    market = Market()
    market.pass_window([60_000 * UNIT] * 120, step=MINUTE // 4)
    assert market.state.expiries.averages["BTC", EXPIRY].count == 60


def test_an_officer_may_set_no_price_before_expiry_nor_beside_an_average_nor_twice():
    market = Market()
    command = SetSettlementPrice(underlying="BTC", expiry=EXPIRY, price=UNIT, reason="feed down")
    assert market.house.submit(command).reason is Reason.INSTRUMENT_HAS_NOT_EXPIRED
    market.pass_window([60_000 * UNIT] * 60)
    assert market.house.submit(command).reason is Reason.SETTLEMENT_PRICE_IS_KNOWN
    silent = Market()
    silent.expire_at(UNIT)
    assert silent.house.submit(command).reason is Reason.SETTLEMENT_PRICE_IS_KNOWN


def test_a_window_that_nobody_looked_at_leaves_nothing_behind_once_its_price_is_paid():
    market = Market()
    market.expire_at(61_000 * UNIT)
    market.house.submit(AdvanceClock())
    assert ("BTC", EXPIRY) not in market.state.expiries.averages
    command = SetAveraging(underlying="BTC", window_seconds=60, samples=2, quorum=2)
    assert isinstance(market.house.submit(command), Applied)


def test_how_an_underlying_is_averaged_is_set_before_its_window_begins():
    market = Market()
    command = SetAveraging(underlying="BTC", window_seconds=60, samples=2, quorum=2, correction_seconds=0)
    assert isinstance(market.house.submit(command), Applied)
    market.now = EXPIRY - 40 * SECOND
    for price in (10, 20):
        market.house.submit(UpdateMarks(indices={"BTC": price * UNIT}))
        market.house.submit(AdvanceClock())
        market.now += 20 * SECOND
    assert market.house.submit(command).reason is Reason.SETTLEMENT_IS_UNDER_WAY
    market.now = EXPIRY
    market.house.submit(AdvanceClock())
    assert market.state.expiries.prices["BTC", EXPIRY] == 15 * UNIT


# --- payoffs


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.sampled_from(SYMBOLS), st.permutations(NAMES), st.integers(1, 10**5), st.integers(1, 2_000)),
        max_size=12,
    ),
    st.integers(10**9, 2 * 10**13),
    st.integers(-(10**10), 10**10),
)
def test_after_expiry_nobody_holds_anything_and_all_that_was_paid_cancels(trades, btc, wti):
    market = Market()
    exact = {(name, asset): Fraction(0) for name in NAMES for asset in ("USD", "BTC")}
    price = {"BTC": Fraction(btc, UNIT), "WTI": Fraction(wti, UNIT)}
    for symbol, (buyer, seller, _), lots, ticks in trades:
        market.trade(symbol, buyer, seller, lots, ticks)
        at = price["WTI" if symbol == "CL" else "BTC"]
        gain = {
            "F": 10 * (at - Fraction(ticks, 2)),
            "I": 10 * 10**8 * (Fraction(2, ticks) - 1 / at) if at else 0,
            "C": 10 * max(at - 60_000, 0) - 5 * ticks,
            "P": 10 * max(60_000 - at, 0) - 5 * ticks,
            "CC": 10**7 * max(at - 60_000, 0) / price["BTC"] - 5_000 * ticks,
            "CP": 10**7 * max(60_000 - at, 0) / price["BTC"] - 5_000 * ticks,
            "CL": 100_000 * at - 1_000 * ticks,
        }[symbol]
        exact[buyer, ASSET[symbol]] += lots * gain
        exact[seller, ASSET[symbol]] -= lots * gain
    market.expire_at(btc)
    market.expire_at(wti, "WTI")
    for symbol in SYMBOLS:
        market.expire(symbol)
        assert unconserved(market.state) == "ok"
    assert not market.state.positions.live().any()
    for (name, asset), amount in exact.items():
        # Cut down once a trade and once a position at the end.
        short = amount - (market.cash(name, asset) - FUNDS)
        assert 0 <= short < len(trades) + len(SYMBOLS)
    assert all(market.state.ledger.balance(ROUNDING, asset) >= 0 for asset in (0, 1))
    assert rebuilt(market.house._journal).hash() == market.state.hash()


@given(st.integers(1, 2 * 10**13), st.integers(1, 10**6))
def test_a_call_less_a_put_is_the_future_exactly(price, lots):
    market = PARITY
    contract = {symbol: market.state.parties.instruments[k].contract for k, symbol in enumerate(SYMBOLS)}
    at = Fraction(price, UNIT)
    call, put, future = (payoff_of_lot(contract[symbol], 2, at) for symbol in ("C", "P", "F"))
    assert min(call, put) == 0
    assert call - put == future - 60_000 * 10
    # And in whole units, for who is long the one and short the other.
    assert (lots * call).__floor__() + (-lots * put).__floor__() == (lots * (future - 600_000)).__floor__()
    coin_call, coin_put = (payoff_of_lot(contract[symbol], 8, at) for symbol in ("CC", "CP"))
    assert coin_call - coin_put == 10**7 * (1 - 60_000 / at)


PARITY = Market()


def test_incident_1_a_future_settles_below_zero():
    market = Market()
    market.trade("CL", ticks=330)
    for ticks in (1, -370, -3_763):
        market.house.submit(UpdateMarks(instruments={"CL": ticks}, indices={"WTI": ticks * 10**6}))
        assert isinstance(market.house.submit(SettleVariation()), Applied)
    market.pass_window([-3_763 * 10**6] * 60, underlying="WTI")
    market.house.submit(AdvanceClock())
    # 10 contracts of 1,000 barrels fell from 3.30 to -37.63 USD.
    assert market.cash("alice") == FUNDS - 10 * 1_000 * 4_093
    assert market.cash("bob") == FUNDS + 10 * 1_000 * 4_093
    assert market.stage("CL") == SETTLED


def test_incident_24_the_same_expiry_is_never_settled_twice():
    market = Market()
    market.trade("C")
    market.expire_at(61_000 * UNIT)
    market.expire("C")
    before = market.state.ledger.frozen()
    assert market.house.submit(Expire(instrument="C")).reason is Reason.INSTRUMENT_IS_SETTLED
    market.house.submit(AdvanceClock())
    assert market.state.ledger.frozen() == before


def test_incident_24_orders_in_what_has_expired_are_over_and_what_was_held_for_them_is_free():
    market = Market()
    order = CheckOrder(account="alice", order="o", symbol="C", lots=5, ticks=100)
    assert isinstance(market.house.submit(order), Applied)
    alice = market.state.parties.account_number["alice"]
    assert market.state.orders.held(alice, 0) > 0
    market.expire_at(61_000 * UNIT)
    market.expire("C")
    assert market.state.orders.held(alice, 0) == 0
    assert not market.state.orders.open


def test_who_cannot_pay_at_expiry_owes_and_who_gains_is_paid_in_full():
    market = Market()
    market.trade("C", lots=10**8, ticks=1)
    market.expire_at(200_000 * UNIT)
    market.expire("C")
    assert market.cash("bob") == FUNDS + 10**8 * 5 - 10**8 * 1_400_000 < 0
    assert market.cash("alice") == FUNDS - 10**8 * 5 + 10**8 * 1_400_000


# --- correction


@settings(max_examples=25)
@given(st.integers(10**9, 2 * 10**13), st.integers(10**9, 2 * 10**13), st.integers(1, 10**5))
def test_a_late_correction_leaves_everyone_where_the_right_price_would_have(wrong, right, lots):
    corrected, straight = Market(), Market()
    for market in (corrected, straight):
        for symbol in ("F", "I", "C", "CP"):
            market.trade(symbol, "alice", "bob", lots)
            market.trade(symbol, "carol", "alice", lots // 2 + 1)
        market.expire_at(wrong if market is corrected else right)
        market.house.submit(AdvanceClock())
    if wrong != right:
        reply = corrected.house.submit(
            CorrectSettlement(underlying="BTC", expiry=EXPIRY, price=right, reason="a source was wrong")
        )
        assert isinstance(reply, Applied)
        assert {type(event).__name__ for event in reply.events} == {"SettlementCorrected"}
    for asset in ("USD", "BTC"):
        assert [corrected.cash(n, asset) for n in NAMES] == [straight.cash(n, asset) for n in NAMES]
    assert unconserved(corrected.state) == "ok"
    assert State.thawed(corrected.state.frozen()).hash() == corrected.state.hash()


def test_a_correction_comes_in_time_or_not_at_all():
    market = Market()
    market.trade("F")
    correct = CorrectSettlement(underlying="BTC", expiry=EXPIRY, price=UNIT, reason="late")
    assert market.house.submit(correct).reason is Reason.SETTLEMENT_IS_UNDER_WAY
    market.expire_at(60_000 * UNIT)
    market.house.submit(AdvanceClock())
    same = CorrectSettlement(underlying="BTC", expiry=EXPIRY, price=60_000 * UNIT, reason="late")
    assert market.house.submit(same).reason is Reason.NOTHING_IS_DUE
    market.now += DAY + MINUTE
    assert market.house.submit(correct).reason is Reason.SETTLEMENT_IS_FINAL
    market.house.submit(AdvanceClock())
    assert not market.state.expiries.paid
    assert market.house.submit(correct).reason is Reason.SETTLEMENT_IS_FINAL


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Expire(instrument="Q"), Reason.UNKNOWN_INSTRUMENT),
        (Expire(instrument="F"), Reason.INSTRUMENT_HAS_NOT_EXPIRED),
        (SetAveraging(underlying="Q"), Reason.UNKNOWN_INSTRUMENT),
        (SetAveraging(underlying="BTC", quorum=61), Reason.TERMS_ARE_INVALID),
        (SetAveraging(underlying="BTC", window_seconds=10), Reason.TERMS_ARE_INVALID),
        (SetSettlementPrice(underlying="BTC", expiry=7, price=1, reason="r"), Reason.UNKNOWN_INSTRUMENT),
        (CorrectSettlement(underlying="Q", expiry=EXPIRY, price=1, reason="r"), Reason.UNKNOWN_INSTRUMENT),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, Reason) else value.value,
)
def test_what_is_refused_has_a_name(command, reason):
    assert Market().house.submit(command).reason is reason


@pytest.mark.parametrize(
    ("price", "reason", "name"),
    [
        (0, "r", Reason.PRICE_IS_IMPOSSIBLE),
        (2**62 + 1, "r", Reason.PRICE_IS_IMPOSSIBLE),
        (1, " ", Reason.TERMS_ARE_INVALID),
    ],
)
def test_a_price_is_possible_and_has_a_reason(price, reason, name):
    market = Market()
    market.now = EXPIRY
    command = SetSettlementPrice(underlying="BTC", expiry=EXPIRY, price=price, reason=reason)
    assert market.house.submit(command).reason is name


def test_amounts_beyond_all_bounds_are_refused_before_anything_is_paid():
    market = Market()
    for _ in range(4):
        market.trade("C", lots=2**36, ticks=1)
    market.expire_at(2**62)
    before = market.state.ledger.frozen()
    assert market.house.submit(Expire(instrument="C")).reason is Reason.AMOUNT_TOO_LARGE
    market.house.submit(AdvanceClock())
    assert market.state.ledger.frozen() == before
