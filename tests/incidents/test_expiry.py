"""Incidents of prices below 0, expiry and withdrawals: rows 1, 24 and 47 of the incidents."""

from datetime import UTC, datetime

import pytest

from crossmargin.clearing import (
    AdvanceClock,
    CheckOrder,
    ClearedTrade,
    ClearTrades,
    CorrectSettlement,
    DelayWithdrawals,
    Expire,
    House,
    Reason,
    SendWithdrawal,
    SetSettlementPrice,
    SettleVariation,
    UpdateMarks,
    Withdraw,
)
from crossmargin.clearing.invariants import broken
from crossmargin.storage import open_journal
from tests.incidents.houses import NOON, SECOND, Hands, applied, cash, listed, opened, position

EXPIRY = NOON + 3_600 * SECOND
EXPIRES = datetime.fromtimestamp(EXPIRY // SECOND, UTC).isoformat()
MINUTE = 60 * SECOND


def trade(symbol, lots, ticks):
    return ClearTrades(trades=[ClearedTrade(symbol=symbol, buyer="alice", seller="bob", lots=lots, ticks=ticks)])


def test_row_1_the_price_of_oil_below_nothing_is_paid_to_the_last_unit():
    """330, 1, -370, -3763 ticks of a cent on 1,000 barrels: a long of 2 lots at 330 loses what a short wins."""
    clock, journal = Hands(), open_journal("memory:")
    house = opened(journal, clock, cash=20_000_000)
    oil = {"underlying": "WTI", "price_domain": "any", "contract_size": "1000", "expiry": EXPIRES}
    listed(house, "CL", type="future", **oil)
    applied(house, trade("CL", 2, 330))
    for ticks in (1, -370, -3_763):
        applied(house, UpdateMarks(instruments={"CL": ticks}, indices={"WTI": ticks * 10**6}))
        applied(house, SettleVariation())
        assert cash(house, "alice") == 20_000_000 + 2 * 1_000 * (ticks - 330)
        assert cash(house, "alice") + cash(house, "bob") == 40_000_000
        # It trades there, too, and is read again as it was.
        applied(house, CheckOrder(account="bob", order=f"x{ticks}", symbol="CL", lots=1, ticks=ticks))
        assert House(journal, clock).state.hash() == house.state.hash()
    clock.now = EXPIRY
    price = SetSettlementPrice(underlying="WTI", expiry=EXPIRY, price=-3_763_000_000, reason="the exchange's own")
    applied(house, price)
    applied(house, Expire(instrument="CL"))
    assert cash(house, "alice") == 20_000_000 + 2 * 1_000 * (-3_763 - 330)
    assert broken(house.state) == []


def test_row_1_what_may_not_be_below_0_is_refused_there():
    house = opened(cash=1_000)
    listed(house, "P", type="perpetual")
    for ticks in (0, -1):
        assert house.submit(trade("P", 1, ticks)).reason is Reason.PRICE_IS_IMPOSSIBLE
        assert house.submit(UpdateMarks(instruments={"P": ticks})).reason is Reason.MARK_IS_IMPOSSIBLE


def options(clock, journal=None):
    house = opened(journal, clock, cash=10_000_000)
    terms = {"type": "option", "strike": "60000", "expiry": EXPIRES}
    listed(house, "C", option_type="call", **terms)
    listed(house, "P", option_type="put", **terms)
    listed(house, "F", type="future", expiry=EXPIRES)
    return house


def sampled(house, clock, price):
    """Let the clock pass the window of expiry with a fresh index each minute."""
    for minute in range(29, -1, -1):
        clock.now = EXPIRY - minute * MINUTE - SECOND
        applied(house, UpdateMarks(indices={"BTC": price * 10**8}))
        applied(house, AdvanceClock())
    clock.now = EXPIRY


@pytest.mark.parametrize("price", [50_000, 60_000, 64_321])
def test_row_24_payoffs_sum_to_nothing_and_call_less_put_is_the_forward(price):
    clock = Hands()
    house = options(clock)
    for symbol, ticks in (("C", 4_000), ("P", 3_000), ("F", 6_000_000)):
        applied(house, trade(symbol, 3, ticks))
    paid = 3 * (4_000 + 3_000)
    sampled(house, clock, price)
    applied(house, AdvanceClock())
    call, put = max(price - 60_000, 0) * 100 * 3, max(60_000 - price, 0) * 100 * 3
    assert cash(house, "alice") == 10_000_000 - paid + call + put + (price * 100 - 6_000_000) * 3
    assert call - put == (price - 60_000) * 100 * 3
    assert cash(house, "alice") + cash(house, "bob") == 20_000_000
    assert position(house, "alice", "C") == (0, 0)
    assert broken(house.state) == []


def test_row_24_nothing_settles_twice_trades_after_expiry_or_keeps_an_order():
    clock = Hands()
    house = options(clock)
    applied(house, trade("C", 1, 4_000))
    applied(house, CheckOrder(account="alice", order="x", symbol="C", lots=1, ticks=4_000))
    sampled(house, clock, 64_000)
    assert house.submit(trade("C", 1, 4_000)).reason is Reason.INSTRUMENT_DOES_NOT_TRADE
    applied(house, Expire(instrument="C"))
    before = cash(house, "alice")
    assert not house.state.orders.open
    assert house.state.orders.held(house.state.parties.account_number["alice"], 0) == 0
    assert house.submit(Expire(instrument="C")).reason is Reason.INSTRUMENT_IS_SETTLED
    again = SetSettlementPrice(underlying="BTC", expiry=EXPIRY, price=1, reason="another price")
    assert house.submit(again).reason is Reason.SETTLEMENT_PRICE_IS_KNOWN
    applied(house, AdvanceClock())
    assert cash(house, "alice") == before


def test_row_24_without_enough_prices_nothing_settles_and_the_last_price_is_not_used():
    clock = Hands()
    house = options(clock)
    applied(house, trade("C", 1, 4_000))
    applied(house, UpdateMarks(indices={"BTC": 64_000 * 10**8}))
    clock.now = EXPIRY
    applied(house, AdvanceClock())
    assert position(house, "alice", "C") == (1, 0)
    assert house.submit(Expire(instrument="C")).reason is Reason.SETTLEMENT_HAS_NO_QUORUM


def test_row_24_a_price_that_was_wrong_is_corrected_by_paying_the_difference():
    clock = Hands()
    house = options(clock)
    applied(house, trade("C", 1, 4_000))
    sampled(house, clock, 64_000)
    applied(house, AdvanceClock())
    records = house.state.sequence
    applied(house, CorrectSettlement(underlying="BTC", expiry=EXPIRY, price=61_000 * 10**8, reason="a wrong source"))
    assert cash(house, "alice") == 10_000_000 - 4_000 + 100_000
    assert house.state.sequence == records + 1
    assert broken(house.state) == []


def test_row_47_after_a_default_was_seen_nothing_is_sent_for_a_while_and_then_it_is():
    clock = Hands()
    house = opened(clock=clock, cash=1_000)
    asked = Withdraw(account="alice", asset="USD", amount=600, reference="w", destination="bank")
    applied(house, asked)
    applied(house, DelayWithdrawals(seconds=60, reason="somebody owes more than they have"))
    assert house.submit(SendWithdrawal(reference="w")).reason is Reason.WITHDRAWALS_ARE_DELAYED
    # What was asked for is set aside: it is not spent meanwhile.
    assert cash(house, "alice") == 400
    clock.now += 61 * SECOND
    applied(house, SendWithdrawal(reference="w"))
