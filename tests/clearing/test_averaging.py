"""Averaging at expiry in the margin: what is fixed no longer moves, and what is left moves less and less."""

from datetime import UTC, datetime
from math import sqrt

import numpy as np
import pytest

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
    UpdateMarks,
)
from crossmargin.clearing.averaging import rest_of, spread_of_average
from crossmargin.clearing.rule_book import RuleBookView
from crossmargin.market import Market
from crossmargin.rules import load
from crossmargin.storage import open_journal

SECOND = 1_000_000_000
EXPIRY = int(datetime(2026, 12, 25, 8, tzinfo=UTC).timestamp()) * SECOND
UNIT = 10**8
TERMS = {
    "underlying": "BTC", "quote": "USD", "expiry": "2026-12-25T08:00:00Z", "tick_size": "0.5", "lot_size": "0.1",
    "asset_class": "crypto",
}  # fmt: skip
FUTURE = TERMS | {"symbol": "F", "type": "future"}
CALL = TERMS | {"symbol": "C", "type": "option", "option_type": "call", "strike": "60000"}
PUT = CALL | {"symbol": "P", "option_type": "put"}
COIN = CALL | {"symbol": "CC", "inverse": "true", "settle": "BTC", "tick_size": "0.0005"}
CASH = 10**9
INDEX = 60_000


class Window:
    """A house in the half hour before expiry, where alice is long and bob is short ten contracts of each kind."""

    def __init__(self, rules="grid"):
        self.now = EXPIRY - 31 * 60 * SECOND
        view = RuleBookView(load(rules), Market(time="2026-12-25T07:00:00Z", vol_annual={"BTC": 0.6}))
        self.house = House(open_journal("memory:"), lambda: self.now, risk=view)
        self.house.submit(OpenHouse(currency="USD", assets={"USD": (2, "fx"), "BTC": (8, "crypto")}))
        for terms in (FUTURE, CALL, PUT, COIN):
            assert isinstance(self.house.submit(ListInstrument(terms=terms)), Applied)
        for name in ("alice", "bob"):
            self.house.submit(OpenAccount(account=name))
            self.house.submit(Deposit(account=name, asset="USD", amount=CASH, reference=name))
        self.mark(INDEX)
        self.began = False

    def mark(self, index):
        command = UpdateMarks(
            instruments={"F": 2 * index},
            indices={"BTC": index * UNIT},
            vols={"C": 600_000, "P": 600_000, "CC": 600_000},
        )
        assert isinstance(self.house.submit(command), Applied)

    def trade(self, symbol, ticks=120_000, lots=100):
        trades = [ClearedTrade(symbol=symbol, buyer="alice", seller="bob", lots=lots, ticks=ticks)]
        reply = self.house.submit(ClearTrades(trades=trades))
        assert isinstance(reply, Applied), reply

    def pass_by(self, parts, index=INDEX):
        """Let so many parts of the window pass at an index."""
        if not self.began:
            self.now, self.began = EXPIRY - 30 * 60 * SECOND, True
        for _ in range(parts):
            self.mark(index)
            self.house.submit(AdvanceClock())
            self.now += 30 * SECOND

    def standing(self, name="alice"):
        state = self.house.state
        return state.risk.standing(state.parties.account_number[name])

    def rest(self, symbol):
        return rest_of(self.house.state, self.house.state.parties.instrument_number[symbol])


def test_the_spread_of_an_average_of_sixty_samples_is_0_585_of_the_last():
    assert spread_of_average(60) == pytest.approx(0.585, abs=5e-4)
    assert spread_of_average(1) == 1.0
    assert spread_of_average(0) == 0.0


def test_the_spread_of_an_average_is_that_of_simulated_walks():
    walks = np.random.default_rng(7).standard_normal((40_000, 12)).cumsum(axis=1)
    assert spread_of_average(12) == pytest.approx(walks.mean(axis=1).std() / sqrt(12), rel=0.02)


def test_before_the_window_everything_is_left():
    window = Window()
    assert window.rest("F") is None
    window.house.submit(AdvanceClock())
    assert window.rest("F") is None


def test_a_future_keeps_what_is_fixed_and_moves_by_what_is_left():
    window = Window()
    window.trade("F")
    window.pass_by(15)
    rest = window.rest("F")
    assert rest.share == 0.75
    assert rest.fixed == 15_000.0
    # 10 contracts at 60,000; the index falls by 1%: three quarters of it are still to be averaged.
    before = window.standing()
    window.mark(59_400)
    after = window.standing()
    assert before.margin_balance == pytest.approx(CASH / 100, abs=0.01)
    assert before.margin_balance - after.margin_balance == pytest.approx(0.75 * 10 * 600)


def test_margin_of_a_future_goes_to_nothing_as_its_price_gets_fixed():
    window = Window()
    window.trade("F")
    whole = window.standing().initial
    assert whole > 0
    for parts, left in ((15, 0.75), (15, 0.5), (29, 1 / 60), (1, 0.0)):
        window.pass_by(parts)
        assert window.standing().initial == pytest.approx(left * whole, abs=1e-6)


def test_at_the_end_of_the_window_equity_is_what_settlement_will_pay():
    window = Window()
    window.trade("F")
    window.trade("C", ticks=400)
    for index in range(60_000, 60_060):
        window.pass_by(1, index)
    before = {name: window.standing(name).margin_balance for name in ("alice", "bob")}
    window.now = EXPIRY
    window.house.submit(AdvanceClock())
    ledger, parties = window.house.state.ledger, window.house.state.parties
    for name, balance in before.items():
        assert balance == pytest.approx(ledger.balance(parties.account_number[name], 0) / 100, abs=0.02)
    # 10 contracts of both gained 29.50; the call cost 200 each.
    assert before["alice"] == pytest.approx(CASH / 100 + 10 * (29.5 + 29.5 - 200))


def test_an_option_is_struck_anew_on_what_is_left_at_the_vol_of_its_average():
    window = Window()
    window.pass_by(30, 61_000)
    rest = window.rest("C")
    assert rest.share == 0.5
    # Half of the mean is 30,500 for certain: what is left must average above 59,000.
    assert float(rest.instrument.strike) == pytest.approx(59_000)
    assert rest.fixed == 0.0
    assert rest.mark.iv == pytest.approx(0.6 * spread_of_average(30))


def test_an_option_that_can_no_longer_be_out_of_the_money_is_a_future():
    window = Window()
    window.trade("C", ticks=400)
    window.trade("P", ticks=400)
    window.pass_by(50, 90_000)
    assert window.rest("C").fixed == pytest.approx(75_000 - 60_000, rel=1e-4)
    assert window.rest("P").fixed == 0.0
    before = window.standing().net_value
    window.mark(81_000)
    # A sixth is left: 10 contracts lose a sixth of 9,000 each on the call, the put stays at nothing.
    assert before - window.standing().net_value == pytest.approx(10 * 9_000 / 6, rel=1e-3)


def test_what_divides_by_the_price_is_left_as_it_is():
    window = Window()
    window.pass_by(30)
    assert window.rest("CC") is None


def test_orders_are_checked_in_the_window_too():
    window = Window("portfolio")
    window.trade("F", lots=10)
    window.pass_by(30)
    window.trade("F", ticks=120_100, lots=10)
    # Bought 50 above the mark, one contract: the loss is there at once, whatever is fixed.
    assert window.standing().margin_balance == pytest.approx(CASH / 100 - 50)
