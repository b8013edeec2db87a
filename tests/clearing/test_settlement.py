"""Variation settlement: profit and loss becomes cash, exactly, along whatever path the marks took."""

from fractions import Fraction
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.clearing import (
    AdvanceClock,
    Applied,
    ClearedTrade,
    ClearTrades,
    Deposit,
    House,
    ListInstrument,
    OpenAccount,
    OpenHouse,
    Reason,
    SettleVariation,
    UpdateMarks,
    rebuilt,
    unconserved,
)
from crossmargin.clearing.ledger import ROUNDING
from crossmargin.storage import open_journal

SECOND = 1_000_000_000
PERPETUAL = {"type": "perpetual", "underlying": "BTC", "quote": "USD"}
LINEAR = PERPETUAL | {"symbol": "P", "tick_size": "0.5", "lot_size": "0.1"}
INVERSE = PERPETUAL | {
    "symbol": "I", "settle": "BTC", "inverse": "true", "contract_size": "10", "tick_size": "0.5", "lot_size": "1"
}  # fmt: skip
OPTION = PERPETUAL | {
    "symbol": "O", "type": "option", "option_type": "call", "strike": "60000", "expiry": "2026-12-25T08:00:00Z",
    "tick_size": "0.5", "lot_size": "0.1",
}  # fmt: skip
ENERGY = {
    "symbol": "CL", "type": "perpetual", "underlying": "WTI", "quote": "USD", "price_domain": "any",
    "tick_size": "0.01", "lot_size": "1", "contract_size": "1000",
}  # fmt: skip
NAMES = ("alice", "bob", "carol")
FUNDS = 10**15


def house(clock=None):
    times = count(1)
    made = House(open_journal("memory:"), clock or (lambda: next(times)))
    made.submit(OpenHouse(currency="USD", assets={"USD": (2, "other"), "BTC": (8, "crypto")}))
    for terms in (LINEAR, INVERSE, OPTION, ENERGY):
        assert isinstance(made.submit(ListInstrument(terms=terms)), Applied)
    for name in NAMES:
        made.submit(OpenAccount(account=name))
        for asset in ("USD", "BTC"):
            made.submit(Deposit(account=name, asset=asset, amount=FUNDS, reference=f"{name} {asset}"))
    return made


def trade(made, symbol, buyer, seller, lots, ticks):
    reply = made.submit(
        ClearTrades(trades=[ClearedTrade(symbol=symbol, buyer=buyer, seller=seller, lots=lots, ticks=ticks)])
    )
    assert isinstance(reply, Applied), reply


def settle(made, symbol, ticks):
    assert isinstance(made.submit(UpdateMarks(instruments={symbol: ticks})), Applied)
    reply = made.submit(SettleVariation(instruments=(symbol,)))
    assert isinstance(reply, Applied), reply


def cash(made, name, asset):
    parties = made.state.parties
    return made.state.ledger.balance(parties.account_number[name], parties.asset_number[asset])


def position(made, name, symbol):
    parties = made.state.parties
    return made.state.positions.of(parties.account_number[name], parties.instrument_number[symbol])


def test_profit_and_loss_moves_to_cash_and_the_cost_starts_anew_from_the_mark():
    made = house()
    trade(made, "P", "alice", "bob", 3, 120_000)
    settle(made, "P", 120_010)
    # 3 lots of 0.1 BTC x 5 USD = 1.50 USD; a tick of a lot is 5 cents.
    assert cash(made, "alice", "USD") == FUNDS + 150
    assert cash(made, "bob", "USD") == FUNDS - 150
    assert position(made, "alice", "P") == (3, -3 * 120_010 * 5)


@settings(max_examples=25)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.permutations(NAMES), st.integers(1, 10**6), st.integers(-5_000, 20_000)),
            st.integers(-5_000, 20_000),
        ),
        max_size=12,
    ),
    st.integers(-5_000, 20_000),
)
def test_however_often_a_linear_future_is_settled_its_trades_and_the_last_mark_say_what_was_paid(steps, last):
    made, exact = house(), dict.fromkeys(NAMES, 0)
    for step in [*steps, last]:
        if isinstance(step, int):
            settle(made, "CL", step)
            continue
        (buyer, seller, _), lots, ticks = step
        trade(made, "CL", buyer, seller, lots, ticks)
        # A tick of a lot is 1,000 barrels x 0.01 USD = 1,000 cents.
        exact[buyer] += lots * (last - ticks) * 1_000
        exact[seller] -= lots * (last - ticks) * 1_000
    assert {name: cash(made, name, "USD") - FUNDS for name in NAMES} == exact
    assert unconserved(made.state) == "ok"
    assert made.state.ledger.balance(ROUNDING, 0) == 0


@settings(max_examples=25)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.permutations(NAMES), st.integers(1, 10**6), st.integers(100, 400_000)),
            st.integers(100, 400_000),
        ),
        max_size=12,
    ),
    st.integers(100, 400_000),
)
def test_an_inverse_future_pays_the_difference_of_reciprocals_less_a_unit_a_trade_and_one_at_the_end(steps, last):
    made, exact, trades = house(), dict.fromkeys(NAMES, Fraction(0)), dict.fromkeys(NAMES, 0)
    for step in [*steps, last]:
        if isinstance(step, int):
            settle(made, "I", step)
            continue
        (buyer, seller, _), lots, ticks = step
        trade(made, "I", buyer, seller, lots, ticks)
        # A lot is 10 USD; a tick 0.5 USD.
        gained = lots * 10 * 10**8 * (Fraction(2, ticks) - Fraction(2, last))
        exact[buyer] += gained
        exact[seller] -= gained
        trades[buyer] += 1
        trades[seller] += 1
    for name in NAMES:
        short = exact[name] - (cash(made, name, "BTC") - FUNDS)
        assert 0 <= short < trades[name] + 1
    assert unconserved(made.state) == "ok"
    assert made.state.ledger.balance(ROUNDING, 1) >= 0


def test_the_path_of_the_marks_does_not_matter_to_the_last_unit():
    straight, winding = house(), house()
    for made, marks in ((straight, [90_001]), (winding, [120_007, 3_333, 200_003, 90_001])):
        trade(made, "I", "alice", "bob", 777, 110_003)
        for ticks in marks:
            settle(made, "I", ticks)
    assert [cash(straight, n, "BTC") for n in NAMES] == [cash(winding, n, "BTC") for n in NAMES]
    assert straight.state.ledger.balance(ROUNDING, 1) == winding.state.ledger.balance(ROUNDING, 1)


def test_positions_that_went_flat_and_all_instruments_are_settled_at_once_and_options_left_alone():
    made = house()
    trade(made, "P", "alice", "bob", 3, 120_000)
    trade(made, "P", "bob", "alice", 3, 120_100)
    trade(made, "O", "alice", "bob", 1, 100)
    trade(made, "CL", "carol", "bob", 1, -3_763)
    made.submit(UpdateMarks(instruments={"P": 1, "CL": 1}))
    before = cash(made, "alice", "USD")
    reply = made.submit(SettleVariation())
    assert isinstance(reply, Applied)
    assert [event.ticks for event in reply.events] == [1, 1]
    assert cash(made, "alice", "USD") == before + 3 * 100 * 5
    assert position(made, "alice", "P") == (0, 0)
    assert cash(made, "carol", "USD") == FUNDS + 3_764 * 1_000
    assert position(made, "alice", "O") == (1, 0)


def test_a_payer_without_cash_goes_below_nothing_and_receivers_are_paid_in_full():
    made = house()
    trade(made, "CL", "alice", "bob", 10**9, 10_000)
    settle(made, "CL", 0)
    assert cash(made, "alice", "USD") == FUNDS - 10**9 * 10_000 * 1_000 < 0
    assert cash(made, "bob", "USD") == FUNDS + 10**9 * 10_000 * 1_000


@pytest.mark.parametrize(
    ("named", "reason"),
    [
        (("Q",), Reason.UNKNOWN_INSTRUMENT),
        (("O",), Reason.INSTRUMENT_HAS_NO_VARIATION),
        (("P", "P"), Reason.TERMS_ARE_INVALID),
        (("I",), Reason.MARK_IS_MISSING),
        (("P",), Reason.MARK_IS_STALE),
    ],
    ids=lambda value: str(value),
)
def test_what_cannot_be_settled_is_named_and_nothing_is_paid(named, reason):
    now = [1]
    made = house(clock=lambda: now[0])
    trade(made, "P", "alice", "bob", 3, 120_000)
    trade(made, "I", "alice", "bob", 3, 120_000)
    made.submit(UpdateMarks(instruments={"P": 120_010}))
    now[0] += 61 * SECOND
    made.submit(AdvanceClock())
    before = made.state.ledger.frozen()
    assert made.submit(SettleVariation(instruments=named)).reason is reason
    assert made.state.ledger.frozen() == before


def test_amounts_beyond_all_bounds_are_refused_before_anything_is_paid():
    made = house()
    for _ in range(8):
        trade(made, "CL", "alice", "bob", 10**5, 2**31)
    made.submit(UpdateMarks(instruments={"CL": -(2**31)}))
    assert made.submit(SettleVariation()).reason is Reason.AMOUNT_TOO_LARGE


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.permutations(NAMES), st.integers(1, 10**6), st.booleans()), min_size=1, max_size=60),
    st.integers(3, 400_000),
)
def test_incident_16_many_small_steps_at_one_price_never_gain_a_unit(steps, ticks):
    made = house()
    lots = dict.fromkeys(NAMES, 0)
    for (buyer, seller, _), amount, pause in steps:
        trade(made, "I", buyer, seller, amount, ticks)
        lots[buyer] += amount
        lots[seller] -= amount
        if pause:
            settle(made, "I", ticks)
    for name in NAMES[:2]:
        # Back to nothing: what is left is closed against carol, which closes hers too.
        if lots[name]:
            sides = ("carol", name) if lots[name] > 0 else (name, "carol")
            trade(made, "I", *sides, abs(lots[name]), ticks)
    settle(made, "I", ticks)
    gained = {name: cash(made, name, "BTC") - FUNDS for name in NAMES}
    assert all(amount <= 0 for amount in gained.values())
    # A trade takes at most a unit, of both sides together; a settlement's are given back.
    assert 0 <= made.state.ledger.balance(ROUNDING, 1) == -sum(gained.values()) <= len(steps) + 2


def test_settlement_replays_to_the_same_state():
    made = house()
    trade(made, "I", "alice", "bob", 777, 110_003)
    settle(made, "I", 120_007)
    assert rebuilt(made._journal).hash() == made.state.hash()
