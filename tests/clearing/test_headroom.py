"""What may leave, under a rule book: never unrealized profit, never what margin needs, at no place and in no pool."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.clearing import (
    AddAsset,
    AdvanceClock,
    ClearedTrade,
    ClearTrades,
    HaltLocation,
    JoinPool,
    LeavePool,
    ListInstrument,
    MoveClient,
    OpenAccount,
    Reason,
    ResumeLocation,
    SendWithdrawal,
    SetLocation,
    SetTier,
    SettleVariation,
    Transfer,
    UpdateMarks,
    Withdraw,
)
from crossmargin.clearing.headroom import held, settled
from crossmargin.clearing.risk import BANKRUPT, HEALTHY, LIQUIDATION
from tests.clearing_desk import USD
from tests.clearing_margined import PERPETUAL, buy, mark, standing, status, world


def ask(desk, amount, account="alice", location="here"):
    return Withdraw(
        account=account,
        asset="USD",
        amount=amount,
        reference=f"out-{desk.house.last.sequence}",
        destination="bank",
        location=location,
    )


@settings(max_examples=15, deadline=None)
@given(st.integers(-8, 8).filter(bool), st.integers(55_000, 65_000), st.lists(st.integers(1, 10_000_00), max_size=6))
def test_after_any_withdrawal_what_is_settled_meets_initial_margin(lots, price, amounts):
    desk = world()
    buy(desk, "alice", lots, 60_000)
    mark(desk, price)
    for amount in amounts:
        before, command = desk.have("alice"), ask(desk, amount)
        if hasattr(desk.house.submit(command), "reason"):
            assert desk.have("alice") == before
            continue
        after = standing(desk, "alice")
        assert desk.have("alice") == before - amount >= 0
        assert after.margin_balance - after.unrealized_gain >= after.initial


def test_a_withdrawal_and_the_same_deposit_leave_margin_as_it_was():
    desk = world()
    buy(desk, "alice", 1, 60_000)
    before = standing(desk, "alice")
    desk.do(ask(desk, 1_000_00))
    assert standing(desk, "alice").margin_balance == pytest.approx(before.margin_balance - 1_000)
    desk.pay_in("alice", 1_000_00)
    assert standing(desk, "alice") == before


def test_profit_pumped_up_between_ones_own_accounts_does_not_leave():
    desk = world()
    desk.do(OpenAccount(account="alice-2", owner="alice"))
    desk.pay_in("alice-2", 10_000_00)
    trade = ClearedTrade(symbol="P", buyer="alice", seller="alice-2", lots=5, ticks=120_000)
    desk.do(ClearTrades(trades=[trade]))
    mark(desk, 240_000)
    # Unrealized, it is not there to be taken.
    desk.no(ask(desk, 10_000_01), Reason.FUNDS_ARE_INSUFFICIENT)
    # Paid as variation it is cash, and the other account owes it: what an owner owes stays.
    desk.do(SettleVariation())
    assert status(desk, "alice-2") == BANKRUPT
    assert desk.have("alice") > 20_000_00
    desk.no(ask(desk, 1), Reason.POOL_WOULD_NOT_STAND)
    # It may go to where it is owed.
    desk.do(Transfer(source="alice", target="alice-2", asset="USD", amount=50_000_00))


def test_what_was_asked_for_before_an_own_default_is_not_sent():
    desk = world()
    desk.do(OpenAccount(account="alice-2", owner="alice"))
    desk.pay_in("alice-2", 10_000_00)
    buy(desk, "alice-2", 8, 60_000)
    command = ask(desk, 5_000_00)
    desk.do(command)
    mark(desk, 48_500)
    assert status(desk, "alice-2") == LIQUIDATION
    desk.no(SendWithdrawal(reference=command.reference), Reason.POOL_WOULD_NOT_STAND)
    mark(desk, 60_000)
    assert status(desk, "alice-2") == HEALTHY
    desk.do(SendWithdrawal(reference=command.reference))


def test_a_location_that_is_halted_counts_for_nothing_new_at_once_and_for_nothing_at_all_after_notice():
    desk = world()
    desk.do(SetLocation(location="chain", finality_seconds=600))
    desk.pay_in("alice", 20_000_00, location="chain")
    desk.do(ask(desk, 10_000_00))
    buy(desk, "alice", 8, 60_000)
    assert status(desk, "alice") == HEALTHY
    healthy = standing(desk, "alice")
    desk.do(HaltLocation(location="chain", reason="forked", notice_seconds=3_600))
    halted = standing(desk, "alice")
    # It no longer meets initial margin, and is not liquidated for it yet.
    assert halted.initial > halted.margin_balance
    assert halted.maintenance == pytest.approx(healthy.maintenance)
    assert status(desk, "alice") not in (HEALTHY, LIQUIDATION, BANKRUPT)
    desk.later(3_600)
    desk.do(AdvanceClock())
    assert status(desk, "alice") == LIQUIDATION
    desk.do(ResumeLocation(location="chain", reason="joined again"))
    assert status(desk, "alice") == HEALTHY


def test_a_cap_of_a_location_counts_from_the_moment_it_is_set():
    desk = world()
    desk.do(SetLocation(location="bank", finality_seconds=0))
    desk.pay_in("alice", 20_000_00, location="bank")
    before = standing(desk, "alice").margin_balance
    desk.do(SetLocation(location="bank", finality_seconds=0, cap=5_000_00))
    assert standing(desk, "alice").margin_balance == pytest.approx(before - 15_000)


def test_a_stricter_tier_counts_from_the_moment_it_is_set():
    desk = world(rules="portfolio")
    buy(desk, "alice", 1, 60_000)
    before = standing(desk, "alice")
    desk.do(SetTier(account="alice", tier="basic", reason="late twice"))
    after = standing(desk, "alice")
    assert (after.initial, after.margin_balance) != (before.initial, before.margin_balance)
    assert after.margin_balance - after.initial < before.margin_balance - before.initial


def test_a_pool_is_left_only_by_who_stands_alone():
    desk = world()
    desk.do(OpenAccount(account="alice-2", owner="alice"))
    desk.pay_in("alice-2", 10_000_00)
    for name in ("alice", "alice-2"):
        desk.do(JoinPool(pool="p", account=name))
    buy(desk, "alice", 14, 60_000)
    assert status(desk, "alice") == HEALTHY
    desk.no(LeavePool(account="alice"), Reason.POOL_WOULD_NOT_STAND)
    desk.no(LeavePool(account="alice-2"), Reason.POOL_WOULD_NOT_STAND)
    buy(desk, "alice", -10, 60_000)
    desk.do(LeavePool(account="alice"))
    assert status(desk, "alice") == HEALTHY


def test_what_has_no_price_yet_holds_everything_back_and_stops_nothing_else():
    desk = world("bob")
    desk.do(ListInstrument(terms=PERPETUAL | {"symbol": "Q", "underlying": "SOL"}))
    slot = desk.state.parties.instrument_number["Q"]
    for name, lots in (("alice", 1), ("maker", -1)):
        desk.state.positions.add(desk.number(name), slot, lots, 0)
        desk.state.touched.add(desk.number(name))
    desk.no(ask(desk, 1), Reason.POOL_WOULD_NOT_STAND)
    desk.no(MoveClient(account="alice", member="bob"), Reason.ACCOUNT_IS_NO_MEMBER)
    desk.do(ask(desk, 1, account="bob"))


def test_what_is_settled_is_never_more_than_is_there_or_than_is_owned():
    desk = world()
    desk.do(SetLocation(location="bank", finality_seconds=0))
    desk.pay_in("alice", 50, location="bank")
    alice = desk.number("alice")
    assert held(desk.state, alice, USD) == 10_000_50
    assert settled(desk.state, alice, USD, desk.place("bank")) == 50


def test_who_has_something_without_a_price_is_sent_nothing_and_joins_nobody():
    desk = world("bob")
    command = ask(desk, 1)
    desk.do(command)
    desk.do(OpenAccount(account="alice-2", owner="alice"))
    desk.do(JoinPool(pool="p", account="alice-2"))
    desk.do(AddAsset(asset="NEW", decimals=0, asset_class="crypto"))
    desk.pay_in("alice", 1, asset="NEW")
    desk.no(SendWithdrawal(reference=command.reference), Reason.POOL_WOULD_NOT_STAND)
    desk.no(JoinPool(pool="p", account="alice"), Reason.POOL_WOULD_NOT_STAND)
    desk.do(UpdateMarks(instruments={}, indices={"NEW": 10**8}))
    desk.do(SendWithdrawal(reference=command.reference))
    desk.do(JoinPool(pool="p", account="alice"))
