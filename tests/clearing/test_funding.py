"""Funding: accrued second by second by an index a lot, paid once an interval, the same for all, zero-sum."""

from fractions import Fraction

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
    PayFunding,
    Reason,
    SampleFunding,
    SetFunding,
    UpdateMarks,
    rebuilt,
    unconserved,
)
from crossmargin.clearing.funding import FundingTerms, premium_of, rate_of
from crossmargin.clearing.ledger import ROUNDING
from crossmargin.clearing.state import State
from crossmargin.pricing.funding import funding_rate, premium_index
from crossmargin.storage import open_journal

SECOND = 1_000_000_000
HOUR = 3_600 * SECOND
START = 1_000 * HOUR
NAMES = ("alice", "bob", "carol")
FUNDS = 10**12
PERPETUAL = {"type": "perpetual", "underlying": "BTC", "quote": "USD"}
LINEAR = PERPETUAL | {"symbol": "P", "tick_size": "0.5", "lot_size": "0.1"}
INVERSE = PERPETUAL | {
    "symbol": "I", "settle": "BTC", "inverse": "true", "contract_size": "10", "tick_size": "0.5", "lot_size": "1"
}  # fmt: skip
FUTURE = PERPETUAL | {
    "symbol": "F",
    "type": "future",
    "expiry": "2026-12-25T08:00:00Z",
    "tick_size": "0.5",
    "lot_size": "0.1",
}
ENERGY = {
    "symbol": "CL", "type": "perpetual", "underlying": "WTI", "quote": "USD", "price_domain": "any",
    "tick_size": "0.01", "lot_size": "1", "contract_size": "1000",
}  # fmt: skip


class Market:
    """A house with a clock that is set, and a book around an index of 60,000 USD."""

    def __init__(self, **terms):
        self.now = START
        self.house = House(open_journal("memory:"), lambda: self.now)
        self.house.submit(OpenHouse(currency="USD", assets={"USD": (2, "other"), "BTC": (8, "crypto")}))
        for listed in (LINEAR, INVERSE, FUTURE, ENERGY):
            assert isinstance(self.house.submit(ListInstrument(terms=listed)), Applied)
        for name in NAMES:
            self.house.submit(OpenAccount(account=name))
            for asset in ("USD", "BTC"):
                self.house.submit(Deposit(account=name, asset=asset, amount=FUNDS, reference=f"{name} {asset}"))
        for symbol in ("P", "I"):
            assert isinstance(self.house.submit(SetFunding(instrument=symbol, stale_seconds=3_600, **terms)), Applied)
        self.began = self.house.state.funding.by_instrument[0].since

    def trade(self, symbol, buyer, seller, lots, ticks=120_000):
        trades = [ClearedTrade(symbol=symbol, buyer=buyer, seller=seller, lots=lots, ticks=ticks)]
        assert isinstance(self.house.submit(ClearTrades(trades=trades)), Applied)

    def sample(self, symbol="P", bid=120_000, ask=120_002, mark=120_000, index=60_000):
        self.house.submit(UpdateMarks(instruments={symbol: mark}, indices={"BTC": index * 10**8}))
        reply = self.house.submit(SampleFunding(instrument=symbol, impact_bid=bid, impact_ask=ask))
        assert isinstance(reply, Applied), reply

    def hold(self, symbol="P", hours=8, **book):
        """Sample once an hour, for so many hours."""
        for _ in range(hours):
            self.sample(symbol, **book)
            self.now += HOUR

    def pay(self, symbol="P"):
        reply = self.house.submit(PayFunding(instrument=symbol))
        assert isinstance(reply, Applied), reply
        return reply

    def gained(self, name, asset="USD"):
        parties = self.house.state.parties
        return self.house.state.ledger.balance(parties.account_number[name], parties.asset_number[asset]) - FUNDS


def test_longs_pay_shorts_the_rate_of_the_interval_on_their_notional():
    market = Market()
    market.trade("P", "alice", "bob", 100)
    # Within the clamp of the interest the rate is the interest: 0.01% of 100 x 0.1 x 60,000 USD = 60 USD.
    market.hold(hours=8)
    market.pay()
    assert market.gained("alice") == pytest.approx(-6_000, abs=1)
    assert market.gained("bob") == pytest.approx(6_000, abs=1)
    assert market.gained("carol") == 0
    assert 0 <= market.house.state.ledger.balance(ROUNDING, 0) <= 2


def test_shorts_pay_longs_where_the_book_is_below_the_index():
    market = Market()
    market.trade("P", "alice", "bob", 100)
    # Bid and ask 1% below: premium -1%, rate -1% + 0.05% = -0.95%, at the limit of -0.75%.
    market.hold(hours=8, bid=118_790, ask=118_800)
    market.pay()
    assert market.gained("alice") == pytest.approx(0.0075 * 60_000_000, abs=2)
    assert market.gained("bob") == pytest.approx(-0.0075 * 60_000_000, abs=2)


def test_who_comes_just_before_the_stamp_pays_only_for_his_time():
    market = Market()
    market.hold(hours=7)
    market.sample()
    market.now += HOUR - SECOND
    market.trade("P", "alice", "bob", 28_800)
    market.now += SECOND
    market.pay()
    # One second of 28,800: 0.01% / 28,800 of 28,800 x 6,000 USD = 0.60 USD.
    assert -market.gained("alice") == pytest.approx(60, abs=1)


def test_who_left_in_the_middle_pays_for_the_time_he_was_there():
    market = Market()
    market.trade("P", "alice", "bob", 100)
    market.hold(hours=4)
    market.trade("P", "carol", "alice", 100)
    market.hold(hours=4)
    market.pay()
    assert market.gained("alice") == pytest.approx(-3_000, abs=1)
    assert market.gained("carol") == pytest.approx(-3_000, abs=1)
    assert market.gained("bob") == pytest.approx(6_000, abs=1)


def test_equity_carries_what_has_accrued_and_payment_leaves_nothing_of_it():
    market = Market()
    market.trade("P", "alice", "bob", 100)
    market.hold(hours=4)
    market.sample()
    held, alice, bob = market.house.state.positions, 0, 0
    alice, bob = (market.house.state.parties.account_number[name] for name in ("alice", "bob"))
    assert held.accrued(alice, 0) == pytest.approx(-3_000, abs=1)
    assert held.accrued(bob, 0) == pytest.approx(3_000, abs=1)
    market.hold(hours=4)
    market.pay()
    assert held.accrued(alice, 0) == held.accrued(bob, 0) == 0


def test_without_a_fresh_sample_nothing_accrues():
    market = Market()
    market.trade("P", "alice", "bob", 100)
    market.sample()
    market.now += 8 * HOUR
    market.pay()
    # The sample was good for an hour.
    assert market.gained("alice") == pytest.approx(-750, abs=1)
    market.now += 8 * HOUR
    market.pay()
    assert market.gained("alice") == pytest.approx(-750, abs=1)


def test_inverse_perpetuals_pay_in_coin_on_their_value_in_coin():
    market = Market()
    market.trade("I", "alice", "bob", 60_000)
    market.hold("I", hours=8)
    market.pay("I")
    # 60,000 x 10 USD at 60,000 USD are 10 BTC; 0.01% of them is 0.001 BTC.
    assert market.gained("alice", "BTC") == pytest.approx(-100_000, abs=1)
    assert market.gained("bob", "BTC") == pytest.approx(100_000, abs=1)


def test_a_payer_without_cash_owes_and_receivers_are_paid_in_full():
    market = Market(interest=1_000_000_000, clamp=1_000_000_000, limit=1_000_000_000)
    market.trade("P", "alice", "bob", 3_000_000)
    market.hold(hours=8)
    market.pay()
    assert market.gained("alice") < -FUNDS
    assert market.gained("alice") + market.gained("bob") + market.house.state.ledger.balance(ROUNDING, 0) == 0
    assert market.gained("bob") >= -market.gained("alice") - 2


class Reference:
    """Funding in fractions, position by position, without an index: every holder is charged at every step."""

    def __init__(self, lot):
        self.lot, self.lots = lot, dict.fromkeys(NAMES, 0)
        self.owed, self.paid = dict.fromkeys(NAMES, Fraction(0)), dict.fromkeys(NAMES, Fraction(0))
        self.sample, self.sums, self.done = None, [0, 0], 0

    def until(self, now, least=0):
        if self.sample is None:
            return
        at, premium, mark = self.sample
        begin = max(at, self.done)
        if now - begin < least:
            return
        elapsed = (min(now, at + HOUR) - begin) // 10**6
        if elapsed <= 0:
            return
        self.done = begin + elapsed * 10**6
        self.sums = [self.sums[0] + premium * elapsed, self.sums[1] + elapsed]
        average = Fraction(round(Fraction(*self.sums)), 10**9)
        rate = average + min(max(Fraction(1, 10**4) - average, -Fraction(5, 10**4)), Fraction(5, 10**4))
        rate = min(max(rate, -Fraction(75, 10**4)), Fraction(75, 10**4))
        for name in NAMES:
            self.owed[name] += self.lots[name] * self.lot(mark) * rate * Fraction(elapsed * 10**6, 8 * HOUR)

    def pay(self):
        for name in NAMES:
            self.paid[name] += self.owed[name]
        self.owed, self.sums = dict.fromkeys(NAMES, Fraction(0)), [0, 0]


steps = st.lists(
    st.one_of(
        st.tuples(st.just("trade"), st.permutations(NAMES), st.integers(1, 10**6)),
        st.tuples(st.just("sample"), st.integers(100_000, 140_000), st.integers(0, 4_000)),
        st.tuples(st.just("wait"), st.integers(1, 5 * HOUR), st.none()),
        st.tuples(st.just("pay"), st.none(), st.none()),
    ),
    max_size=20,
)


@settings(max_examples=40)
@given(steps, st.sampled_from(["P", "I"]))
def test_what_everyone_paid_is_the_exact_sum_over_his_own_time_and_all_of_it_cancels(script, symbol):
    market, asset = Market(), {"P": "USD", "I": "BTC"}[symbol]
    reference = Reference(
        (lambda mark: Fraction(5 * mark)) if symbol == "P" else lambda mark: Fraction(2 * 10**9, mark)
    )
    payments = trades = 0
    for what, first, second in [*script, ("wait", 8 * HOUR, None), ("pay", None, None)]:
        if what == "trade":
            market.trade(symbol, first[0], first[1], second)
            reference.until(market.house.state.now, least=SECOND)
            reference.lots[first[0]] += second
            reference.lots[first[1]] -= second
            trades += 1
        elif what == "sample":
            market.sample(symbol, bid=first, ask=first + second, mark=first)
            now = market.house.state.now
            reference.until(now)
            gap = max(Fraction(first, 2) - 60_000, 0) - max(60_000 - Fraction(first + second, 2), 0)
            reference.sample = (now, round(gap / 60_000 * 10**9), first)
        elif what == "wait":
            market.now += first
        elif isinstance(market.house.submit(PayFunding(instrument=symbol)), Applied):
            reference.until(market.house.state.now)
            reference.pay()
            payments += 1
        assert unconserved(market.house.state) == "ok"
    for name in NAMES:
        # Rounded down once a payment; the index of each trade and payment is itself cut to 1e-6 of a unit a lot.
        assert abs(-reference.paid[name] - market.gained(name, asset)) <= payments + (trades + payments) * 2
    rounding = market.house.state.ledger.balance(ROUNDING, ("USD", "BTC").index(asset))
    assert sum(market.gained(name, asset) for name in NAMES) == -rounding
    assert 0 <= rounding <= payments * len(NAMES)
    assert rebuilt(market.house._journal).hash() == market.house.state.hash()


def test_the_premium_and_the_rate_are_those_of_the_pricing_room():
    market = Market()
    contract = market.house.state.parties.instruments[0].contract
    terms = FundingTerms(8 * HOUR, 100_000, 500_000, 7_500_000, HOUR, 0, 0)
    for bid, ask in ((120_000, 120_002), (121_000, 121_010), (118_000, 118_050), (110_000, 130_000)):
        premium = premium_of(contract, 60_000 * 10**8, bid, ask)
        expected = float(premium_index(index=60_000, impact_bid=bid / 2, impact_ask=ask / 2))
        assert premium / 1e9 == pytest.approx(expected, abs=1e-9)
        rate = funding_rate(premium=premium / 1e9, interest=1e-4, clamp=5e-4, limit=7.5e-3)
        assert rate_of(terms, premium) / 1e9 == pytest.approx(float(rate), abs=1e-12)


def test_the_clock_pays_what_is_due_once():
    market = Market()
    market.trade("P", "alice", "bob", 100)
    market.hold(hours=8)
    paid = market.house.submit(AdvanceClock())
    assert [type(event).__name__ for event in paid.events].count("FundingPaid") == 2
    assert market.gained("alice") == pytest.approx(-6_000, abs=1)
    assert [type(event).__name__ for event in market.house.submit(AdvanceClock()).events] == ["ClockAdvanced"]


def test_the_next_interval_begins_on_time_however_late_the_last_was_paid():
    market = Market()
    market.now += 19 * HOUR
    market.pay()
    assert market.house.state.funding.by_instrument[0].since == market.began + 16 * HOUR


def test_a_house_in_the_middle_of_an_interval_goes_on_from_its_snapshot():
    market = Market()
    market.trade("P", "alice", "bob", 100)
    market.hold(hours=3)
    thawed = State.thawed(market.house.state.frozen())
    assert thawed.hash() == market.house.state.hash()
    assert thawed.positions.funding_index[0] == market.house.state.positions.funding_index[0] > 0


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (SetFunding(instrument="Q"), Reason.UNKNOWN_INSTRUMENT),
        (SetFunding(instrument="F"), Reason.INSTRUMENT_HAS_NO_FUNDING),
        (SetFunding(instrument="CL"), Reason.INSTRUMENT_HAS_NO_FUNDING),
        (SetFunding(instrument="P", limit=-1), Reason.TERMS_ARE_INVALID),
        (SetFunding(instrument="P", interval_seconds=100_000), Reason.TERMS_ARE_INVALID),
        (SampleFunding(instrument="Q", impact_bid=1, impact_ask=2), Reason.UNKNOWN_INSTRUMENT),
        (SampleFunding(instrument="F", impact_bid=1, impact_ask=2), Reason.INSTRUMENT_HAS_NO_FUNDING),
        (SampleFunding(instrument="P", impact_bid=2, impact_ask=1), Reason.PRICE_IS_IMPOSSIBLE),
        (SampleFunding(instrument="P", impact_bid=1, impact_ask=2), Reason.MARK_IS_MISSING),
        (PayFunding(instrument="Q"), Reason.UNKNOWN_INSTRUMENT),
        (PayFunding(instrument="F"), Reason.INSTRUMENT_HAS_NO_FUNDING),
        (PayFunding(instrument="P"), Reason.NOTHING_IS_DUE),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, Reason) else value.value,
)
def test_what_is_refused_has_a_name(command, reason):
    assert Market().house.submit(command).reason is reason


def test_a_sample_needs_a_mark_and_an_index_of_this_minute():
    market = Market()
    market.sample()
    market.now += 61 * SECOND
    reply = market.house.submit(SampleFunding(instrument="P", impact_bid=1, impact_ask=2))
    assert reply.reason is Reason.MARK_IS_STALE
