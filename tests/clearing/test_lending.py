"""Lending: pools that lend what is there, at a rate that rises with use; interest debited is credited or reserved."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.clearing import Applied, Reason, UpdateMarks
from crossmargin.clearing.ledger import BORROWED, LENDING, LENT, RESERVE
from crossmargin.clearing.lending import (
    INDEX_UNIT,
    Borrow,
    ChargeInterest,
    Lend,
    LendingPool,
    Repay,
    SetLending,
    TakeBack,
    claims,
    debts,
    rate,
)
from crossmargin.clearing.rule_book import RuleBookView
from crossmargin.clearing.time import AdvanceClock
from crossmargin.market import Market
from crossmargin.rules import load
from tests.clearing_desk import SECOND, USD, Desk, Headroom

YEAR = 365 * 86_400
NAMES = ("alice", "bob", "carol")
FUNDS = 10**9


class Margin(Headroom):
    """A view that lets an account borrow up to a line of credit, in cents, and counts nothing else."""

    def __init__(self, line=10**12):
        super().__init__()
        self.line = line

    def allows_change(self, state, account, changes):
        owed = -state.ledger.balance(account, USD, BORROWED)
        return owed - sum(amount for _, place, amount in changes if place == BORROWED) <= self.line


def pool(risk=None, **terms):
    desk = Desk(*NAMES, risk=risk or Margin())
    for name in NAMES:
        desk.pay_in(name, FUNDS)
    desk.do(SetLending(asset="USD", **terms))
    return desk


def owed(desk, name):
    return -desk.state.ledger.balance(desk.number(name), USD, BORROWED)


def lent(desk, name):
    return desk.state.ledger.balance(desk.number(name), USD, LENT)


def whole(desk):
    """What a pool has and is owed is what it owes, and nobody's claim or debt has the wrong sign."""
    ledger = desk.state.ledger
    return ledger.balance(LENDING, USD) >= 0 and all(owed(desk, n) >= 0 and lent(desk, n) >= 0 for n in NAMES)


def test_what_one_lends_another_borrows_and_pays_back():
    desk = pool(below=0, above=0)
    desk.do(Lend(account="alice", asset="USD", amount=1_000))
    assert desk.have("alice") == FUNDS - 1_000
    desk.do(Borrow(account="bob", asset="USD", amount=400))
    assert (desk.have("bob"), owed(desk, "bob"), lent(desk, "alice")) == (FUNDS + 400, 400, 1_000)
    desk.no(TakeBack(account="alice", asset="USD", amount=601), Reason.LENDING_POOL_IS_EMPTY)
    desk.do(Repay(account="bob", asset="USD", amount=10_000))
    assert (desk.have("bob"), owed(desk, "bob")) == (FUNDS, 0)
    desk.do(TakeBack(account="alice", asset="USD", amount=1_000))
    assert desk.have("alice") == FUNDS
    assert not desk.state.lending.debts
    assert not desk.state.lending.claims


def test_interest_is_the_rate_at_its_use_and_the_house_keeps_its_reserve():
    # 80% lent out: 4% a year of 80,000,000 is 3,200,000; a tenth of it is the reserve's.
    desk = pool()
    desk.do(Lend(account="alice", asset="USD", amount=100_000_000))
    desk.do(Borrow(account="bob", asset="USD", amount=80_000_000))
    desk.later(YEAR)
    desk.do(ChargeInterest(asset="USD"))
    assert owed(desk, "bob") == pytest.approx(83_200_000, abs=2)
    assert lent(desk, "alice") == pytest.approx(102_880_000, abs=2)
    reserve = desk.state.ledger.balance(RESERVE, USD, LENT)
    assert owed(desk, "bob") - 80_000_000 == lent(desk, "alice") - 100_000_000 + reserve
    assert reserve == pytest.approx(320_000, abs=2)


@pytest.mark.parametrize(
    ("debt", "expected"),
    [(0, 0.01), (400, 0.03), (800, 0.05), (900, 0.425), (1_000, 0.80), (1_001, 0.80)],
    ids=["idle", "half way", "at the kink", "beyond", "all of it", "more than all"],
)
def test_the_rate_has_a_kink(debt, expected):
    terms = LendingPool(10_000_000, 40_000_000, 750_000_000, 800_000_000, 0, -1, -1, 0, 0)
    assert rate(terms, debt, 1_000) / 1e9 == pytest.approx(expected, abs=1e-9)


def test_who_borrows_later_pays_only_for_his_time():
    desk = pool(reserve=0)
    desk.do(Lend(account="alice", asset="USD", amount=100_000_000))
    desk.do(Borrow(account="bob", asset="USD", amount=40_000_000))
    desk.later(YEAR // 2)
    desk.do(Borrow(account="carol", asset="USD", amount=40_000_000))
    desk.later(YEAR // 2)
    desk.do(ChargeInterest(asset="USD"))
    # Half a year at 40% use costs 2% a year, the other half at a little over 80%.
    late = owed(desk, "carol") - 40_000_000
    early = owed(desk, "bob") - 40_000_000
    assert early - late == pytest.approx(400_000, rel=0.03)
    assert late > 0


script = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["lend", "take", "borrow", "repay"]), st.sampled_from(NAMES), st.integers(1, 10**9)),
        st.tuples(st.just("wait"), st.just(""), st.integers(1, 40 * YEAR // 12)),
        st.tuples(st.just("charge"), st.just(""), st.just(0)),
    ),
    max_size=25,
)


def _command(what, name, amount):
    """Return the command of a step; None where it only waits."""
    kinds = {"lend": Lend, "take": TakeBack, "borrow": Borrow, "repay": Repay}
    if what in kinds:
        return kinds[what](account=name, asset="USD", amount=amount)
    return ChargeInterest(asset="USD") if what == "charge" else None


@settings(max_examples=50)
@given(script, st.integers(0, 10**9), st.integers(0, 10**9))
def test_interest_debited_is_interest_credited_and_the_reserve_to_the_unit_whatever_happens(steps, reserve, below):
    desk = pool(reserve=reserve, below=below)
    debited = credited = 0
    for what, name, amount in [*steps, ("charge", "", 0)]:
        command = _command(what, name, amount)
        if command is None:
            desk.later(amount)
            continue
        reply = desk.house.submit(command)
        if not isinstance(reply, Applied):
            continue
        for event in reply.events:
            if type(event).__name__ == "DebtChanged":
                debited += event.interest
            elif type(event).__name__ == "ClaimChanged":
                credited += event.interest
            elif type(event).__name__ == "InterestCharged":
                debited += sum(charged for _, charged in event.debts)
                credited += sum(earned for _, earned in event.claims)
                assert debited == credited
                ledger = desk.state.ledger
                assert ledger.balance(LENDING, USD) + debts(desk.state, USD) == claims(desk.state, USD)
        assert whole(desk)
    assert debited == credited
    assert sum(desk.have(n) + lent(desk, n) - owed(desk, n) for n in NAMES) == 3 * FUNDS - (
        desk.state.ledger.balance(RESERVE, USD, LENT)
    )


@given(st.integers(1, 10**9), st.lists(st.integers(1, YEAR // 12), min_size=1, max_size=6))
def test_what_is_owed_is_rounded_up_and_what_is_earned_down(amount, waits):
    desk = pool(reserve=0, below=50_000_000, above=0, kink=999_999_999)
    desk.do(Lend(account="alice", asset="USD", amount=10**9))
    desk.do(Borrow(account="bob", asset="USD", amount=amount))
    begun = desk.state.lending.debts[USD, desk.number("bob")]
    for seconds in waits:
        desk.later(seconds)
        desk.do(SetLending(asset="USD", reserve=0, below=50_000_000, above=0, kink=999_999_999))
    desk.do(ChargeInterest(asset="USD"))
    index = desk.state.lending.pools[USD].debt_index
    exact = Fraction(amount * (index - begun), INDEX_UNIT)
    assert 0 <= owed(desk, "bob") - amount - exact < 1
    assert lent(desk, "alice") - 10**9 <= exact


def test_the_clock_charges_interest_once_an_hour():
    desk = pool()
    desk.do(Lend(account="alice", asset="USD", amount=100_000_000))
    desk.do(Borrow(account="bob", asset="USD", amount=80_000_000))
    desk.later(1_800)
    assert "InterestCharged" not in [type(event).__name__ for event in desk.do(AdvanceClock())]
    desk.later(1_800)
    assert "InterestCharged" in [type(event).__name__ for event in desk.do(AdvanceClock())]
    assert "InterestCharged" not in [type(event).__name__ for event in desk.do(AdvanceClock())]
    assert desk.state.lending.pools[USD].charged > SECOND


def test_caps_hold():
    desk = pool(supply_cap=1_000, borrow_cap=500)
    desk.no(Lend(account="alice", asset="USD", amount=1_001), Reason.LENDING_CAP_IS_REACHED)
    desk.do(Lend(account="alice", asset="USD", amount=1_000))
    desk.no(Borrow(account="bob", asset="USD", amount=501), Reason.LENDING_CAP_IS_REACHED)
    desk.do(Borrow(account="bob", asset="USD", amount=500))


def test_nothing_is_lent_that_is_not_there_nor_to_whom_margin_does_not_allow_it():
    desk = pool(risk=Margin(line=300))
    desk.no(Borrow(account="bob", asset="USD", amount=1), Reason.LENDING_POOL_IS_EMPTY)
    desk.do(Lend(account="alice", asset="USD", amount=1_000))
    desk.no(Borrow(account="bob", asset="USD", amount=301), Reason.MARGIN_IS_INSUFFICIENT)
    desk.do(Borrow(account="bob", asset="USD", amount=300))


def test_borrowed_money_is_not_lent_on():
    desk = pool()
    desk.do(Lend(account="alice", asset="USD", amount=FUNDS))
    desk.do(Borrow(account="bob", asset="USD", amount=FUNDS // 2))
    desk.no(Lend(account="bob", asset="USD", amount=FUNDS + 1), Reason.FUNDS_ARE_INSUFFICIENT)


def test_a_loan_is_owed_in_full_and_what_was_lent_is_no_collateral():
    view = RuleBookView(load("portfolio"), Market(time="2026-11-20T08:00:00Z", vol_annual={"USD": 0.01, "BTC": 0.6}))
    desk = pool(risk=view)
    desk.pay_in("bob", 10**8, asset="BTC")
    desk.do(UpdateMarks(indices={"BTC": 60_000 * 10**8}))
    before = {name: view.standing(desk.number(name)).net_value for name in NAMES}
    desk.do(Lend(account="alice", asset="USD", amount=500_000_000))
    desk.do(Borrow(account="bob", asset="USD", amount=100_000_000))
    assert view.standing(desk.number("alice")).net_value == pytest.approx(before["alice"] - 5_000_000)
    # What was borrowed and is still there offsets what is owed.
    assert view.standing(desk.number("bob")).net_value == pytest.approx(before["bob"])
    desk.no(Lend(account="bob", asset="USD", amount=FUNDS + 1), Reason.FUNDS_ARE_INSUFFICIENT)


def test_without_a_view_of_margin_nobody_may_owe_anything():
    desk = Desk(*NAMES)
    desk.pay_in("alice", FUNDS)
    desk.do(SetLending(asset="USD"))
    desk.do(Lend(account="alice", asset="USD", amount=1_000))
    desk.no(Borrow(account="bob", asset="USD", amount=1), Reason.MARGIN_IS_INSUFFICIENT)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (Lend(account="dora", asset="USD", amount=1), Reason.UNKNOWN_ACCOUNT),
        (Lend(account="alice", asset="EUR", amount=1), Reason.UNKNOWN_ASSET),
        (Lend(account="alice", asset="BTC", amount=1), Reason.ASSET_IS_NOT_LENT),
        (Lend(account="alice", asset="USD", amount=0), Reason.AMOUNT_NOT_POSITIVE),
        (Lend(account="alice", asset="USD", amount=2**61), Reason.AMOUNT_TOO_LARGE),
        (Lend(account="alice", asset="USD", amount=FUNDS + 1), Reason.FUNDS_ARE_INSUFFICIENT),
        (TakeBack(account="alice", asset="USD", amount=1), Reason.FUNDS_ARE_INSUFFICIENT),
        (Repay(account="alice", asset="USD", amount=1), Reason.NOTHING_IS_DUE),
        (ChargeInterest(asset="EUR"), Reason.UNKNOWN_ASSET),
        (ChargeInterest(asset="BTC"), Reason.ASSET_IS_NOT_LENT),
        (SetLending(asset="EUR"), Reason.UNKNOWN_ASSET),
        (SetLending(asset="USD", kink=0), Reason.TERMS_ARE_INVALID),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, Reason) else value.value,
)
def test_what_is_refused_has_a_name(command, reason):
    pool().no(command, reason)
