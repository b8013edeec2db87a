"""Members and clients: what a client has answers for that client alone; closing an account leaves nothing behind."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.clearing import (
    AdmitMember,
    CheckOrder,
    ClearedTrade,
    ClearTrades,
    CloseAccount,
    ConfirmWithdrawal,
    Contribute,
    DelayWithdrawals,
    Deposit,
    JoinPool,
    LeavePool,
    ListInstrument,
    MoveClient,
    OpenAccount,
    Reason,
    ReleaseOrder,
    SendWithdrawal,
    SignAgreement,
    Transfer,
    Withdraw,
)
from crossmargin.clearing.ledger import DEFAULT_FUND, transfer
from tests.clearing_desk import USD, Desk, Headroom

PERPETUAL = {
    "symbol": "P",
    "type": "perpetual",
    "underlying": "BTC",
    "quote": "USD",
    "tick_size": "0.01",
    "lot_size": "1",
}


def firm(risk=None):
    """Return a desk with members m and n, clients a and b of m, each with 100."""
    desk = Desk(risk=risk)
    for name in ("m", "n"):
        desk.do(OpenAccount(account=name, kind="house"))
        desk.do(AdmitMember(account=name, assessment_cap=1_000))
    for name in ("a", "b"):
        desk.do(OpenAccount(account=name, member="m"))
    for name in ("m", "n", "a", "b"):
        desk.pay_in(name, 100)
    return desk


def send(source, target, amount=1):
    return Transfer(source=source, target=target, asset="USD", amount=amount)


def test_only_a_members_own_account_is_a_member_and_has_clients():
    desk = Desk("alice")
    desk.no(AdmitMember(account="alice", assessment_cap=0), Reason.ACCOUNT_IS_NO_MEMBER)
    desk.no(OpenAccount(account="c", member="alice"), Reason.ACCOUNT_IS_NO_MEMBER)
    desk.no(OpenAccount(account="c", member="nobody"), Reason.UNKNOWN_ACCOUNT)
    desk.do(OpenAccount(account="m", kind="house"))
    desk.no(AdmitMember(account="m", assessment_cap=-1), Reason.TERMS_ARE_INVALID)
    desk.do(AdmitMember(account="m", assessment_cap=5))
    desk.no(OpenAccount(account="c", member="m", kind="house"), Reason.ACCOUNT_IS_NO_MEMBER)
    desk.do(OpenAccount(account="c", member="m"))


@pytest.mark.parametrize(("source", "target"), [("a", "m"), ("a", "b"), ("a", "n"), ("m", "n"), ("n", "a")])
def test_money_never_goes_up_to_the_member_nor_across(source, target):
    firm().no(send(source, target), Reason.ACCOUNTS_ARE_SEGREGATED)


def test_a_member_may_give_its_clients_of_its_own():
    desk = firm()
    desk.do(send("m", "a", 40))
    assert (desk.have("m"), desk.have("a")) == (60, 140)


MOVES = st.lists(st.tuples(*[st.sampled_from(("m", "n", "a", "b", "omnibus"))] * 2, st.integers(1, 150)), max_size=30)


@settings(max_examples=30)
@given(MOVES)
def test_whatever_is_tried_no_client_has_less_for_what_another_owes(moves):
    desk = firm()
    desk.do(OpenAccount(account="omnibus", member="m", kind="omnibus_gross", owner="m"))
    desk.state.ledger.post(transfer(desk.number("b"), desk.number("n"), USD, 500))
    owes = desk.have("b")
    for source, target, amount in moves:
        before = {name: desk.have(name) for name in ("a", "b", "omnibus")}
        desk.house.submit(send(source, target, amount))
        for name, had in before.items():
            assert desk.have(name) >= had, f"{name} paid {target}"
    assert desk.have("b") >= owes


def test_a_contribution_is_the_fund_accounts_and_is_kept_by_member():
    desk = firm()
    contribute = Contribute(account="n", asset="USD", amount=60)
    desk.do(contribute)
    assert (desk.have("n"), desk.state.ledger.balance(DEFAULT_FUND, USD)) == (40, 60)
    assert desk.state.members.contributions == {(desk.number("n"), USD): 60}
    desk.no(contribute, Reason.FUNDS_ARE_INSUFFICIENT)
    desk.no(Contribute(account="a", asset="USD", amount=1), Reason.ACCOUNT_IS_NO_MEMBER)
    desk.no(Contribute(account="n", asset="USD", amount=0), Reason.AMOUNT_NOT_POSITIVE)
    desk.no(Contribute(account="n", asset="USD", amount=-61), Reason.FUNDS_ARE_INSUFFICIENT)
    desk.no(Contribute(account="n", asset="EUR", amount=1), Reason.UNKNOWN_ASSET)
    desk.no(Contribute(account="x", asset="USD", amount=1), Reason.UNKNOWN_ACCOUNT)
    desk.do(Contribute(account="n", asset="USD", amount=-60))
    assert desk.state.members.contributions == {}


def test_a_contribution_is_not_given_back_while_clients_or_a_default_may_need_it():
    desk = firm()
    for name in ("m", "n"):
        desk.do(Contribute(account=name, asset="USD", amount=10))
    desk.no(Contribute(account="m", asset="USD", amount=-10), Reason.MEMBER_HAS_CLIENTS)
    desk.do(DelayWithdrawals(seconds=60, reason="somebody owes"))
    desk.no(Contribute(account="n", asset="USD", amount=-10), Reason.WITHDRAWALS_ARE_DELAYED)
    desk.later(60)
    desk.do(Contribute(account="n", asset="USD", amount=-10))


def test_a_contribution_beyond_all_bounds_is_refused():
    desk = firm()
    desk.state.ledger.post(transfer(desk.number("b"), DEFAULT_FUND, USD, 2**61 - 50))
    desk.no(Contribute(account="n", asset="USD", amount=60), Reason.AMOUNT_TOO_LARGE)


def test_a_client_that_stands_takes_all_it_has_to_another_member():
    risk = Headroom(needs={"a": 101})
    desk = firm(risk)
    move = MoveClient(account="a", member="n")
    desk.no(move, Reason.POOL_WOULD_NOT_STAND)
    risk.needs["a"] = 100
    desk.do(move)
    assert desk.state.parties.accounts[desk.number("a")].member == desk.number("n")
    assert desk.have("a") == 100
    desk.no(move, Reason.NOTHING_WOULD_CHANGE)
    desk.no(MoveClient(account="a", member="b"), Reason.ACCOUNT_IS_NO_MEMBER)
    desk.no(MoveClient(account="a", member="x"), Reason.UNKNOWN_ACCOUNT)
    desk.no(MoveClient(account="x", member="n"), Reason.UNKNOWN_ACCOUNT)
    desk.no(MoveClient(account="m", member="n"), Reason.ACCOUNTS_ARE_SEGREGATED)
    desk.do(JoinPool(pool="p", account="b"))
    desk.no(MoveClient(account="b", member="n"), Reason.ACCOUNT_IS_IN_A_POOL)
    desk.do(MoveClient(account="a", member=""))


def test_an_account_is_closed_when_it_has_nothing_owes_nothing_and_waits_for_nothing():
    desk = firm()
    close = CloseAccount(account="a")
    desk.no(close, Reason.ACCOUNT_IS_NOT_EMPTY)
    desk.do(Withdraw(account="a", asset="USD", amount=100, reference="out", destination="bank"))
    assert "withdrawal" in desk.no(close, Reason.ACCOUNT_IS_NOT_EMPTY).detail
    desk.do(SendWithdrawal(reference="out"))
    desk.do(ConfirmWithdrawal(reference="out"))
    desk.do(JoinPool(pool="p", account="a"))
    assert "pool" in desk.no(close, Reason.ACCOUNT_IS_NOT_EMPTY).detail
    desk.do(LeavePool(account="a"))
    desk.do(ListInstrument(terms=PERPETUAL))
    desk.do(CheckOrder(account="a", order="o", symbol="P", lots=1, ticks=1))
    assert "orders" in desk.no(close, Reason.ACCOUNT_IS_NOT_EMPTY).detail
    desk.do(ReleaseOrder(account="a", order="o"))
    trade = ClearedTrade(symbol="P", buyer="a", seller="b", lots=1, ticks=10)
    desk.do(ClearTrades(trades=[trade]))
    assert "positions" in desk.no(close, Reason.ACCOUNT_IS_NOT_EMPTY).detail
    desk.do(ClearTrades(trades=[ClearedTrade(symbol="P", buyer="b", seller="a", lots=1, ticks=10)]))
    desk.do(close)
    desk.no(close, Reason.ACCOUNT_IS_CLOSED)
    desk.no(Deposit(account="a", asset="USD", amount=1, reference="r"), Reason.ACCOUNT_IS_CLOSED)
    desk.no(OpenAccount(account="a"), Reason.ACCOUNT_EXISTS)


def test_a_member_is_not_closed_before_its_clients_and_its_share_of_the_fund_are_gone():
    desk = firm()
    desk.do(Contribute(account="n", asset="USD", amount=100))
    assert "fund" in desk.no(CloseAccount(account="n"), Reason.ACCOUNT_IS_NOT_EMPTY).detail
    desk.do(send("m", "a", 100))
    assert "clients" in desk.no(CloseAccount(account="m"), Reason.ACCOUNT_IS_NOT_EMPTY).detail
    for name in ("a", "b"):
        desk.do(MoveClient(account=name, member="n"))
    desk.do(CloseAccount(account="m"))
    assert list(desk.state.members.assessment_cap) == [desk.number("n")]


def test_an_agreement_between_clients_of_one_member_lets_them_share_a_pool():
    desk = firm()
    for name in ("a", "b"):
        desk.do(SignAgreement(agreement="pact", owner=name, owners=["a", "b"]))
    for name in ("a", "b"):
        desk.do(JoinPool(pool="p", account=name, agreement="pact"))
    desk.do(send("a", "b", 100))
    assert desk.have("b") == 200
