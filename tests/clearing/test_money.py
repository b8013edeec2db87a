"""Deposits and what becomes of them, transfers, and collateral on its way from one place to another."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.clearing import (
    CloseAccount,
    ConfirmWithdrawal,
    Deposit,
    FinalizeDeposit,
    MoveCollateral,
    OpenAccount,
    Reason,
    Restrict,
    ReturnWithdrawal,
    ReverseDeposit,
    SendWithdrawal,
    SetLocation,
    Transfer,
    Withdraw,
)
from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.ledger import EXTERNAL
from crossmargin.clearing.ledger import transfer as ledger_transfer
from tests.clearing_desk import BTC, USD, Desk, Headroom


def withdraw(account, amount, reference="out", **terms):
    return Withdraw(account=account, asset="USD", amount=amount, reference=reference, destination="bank", **terms)


def transfer(source, target, amount, **terms):
    return Transfer(source=source, target=target, asset="USD", amount=amount, **terms)


def test_a_deposit_counts_once_it_is_final():
    desk = Desk("alice")
    reference = desk.pay_in("alice", 100, final=False)
    assert (desk.have("alice"), desk.have("alice", pending=True)) == (0, 100)
    desk.no(withdraw("alice", 1), Reason.FUNDS_ARE_INSUFFICIENT)
    desk.do(FinalizeDeposit(reference=reference))
    assert (desk.have("alice"), desk.have("alice", pending=True)) == (100, 0)
    desk.no(FinalizeDeposit(reference=reference), Reason.DEPOSIT_IS_FINAL)
    desk.no(FinalizeDeposit(reference="nothing"), Reason.UNKNOWN_DEPOSIT)


def test_a_reference_brings_money_once():
    desk = Desk("alice", "bob")
    reference = desk.pay_in("alice", 100)
    desk.no(Deposit(account="bob", asset="USD", amount=5, reference=reference), Reason.DEPOSIT_EXISTS)
    desk.do(ReverseDeposit(reference=reference, reason="called back"))
    desk.no(Deposit(account="alice", asset="USD", amount=100, reference=reference), Reason.DEPOSIT_EXISTS)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"amount": 0}, Reason.AMOUNT_NOT_POSITIVE),
        ({"amount": -1}, Reason.AMOUNT_NOT_POSITIVE),
        ({"amount": AMOUNT_MAX}, Reason.AMOUNT_TOO_LARGE),
        ({"account": "nobody"}, Reason.UNKNOWN_ACCOUNT),
        ({"account": "external"}, Reason.ACCOUNT_IS_THE_HOUSE),
        ({"asset": "EUR"}, Reason.UNKNOWN_ASSET),
        ({"location": "moon"}, Reason.UNKNOWN_LOCATION),
        ({"reference": ""}, Reason.NAME_IS_NOT_ALLOWED),
    ],
)
def test_a_deposit_that_cannot_be_is_refused_by_name(terms, reason):
    given_terms = {"account": "alice", "asset": "USD", "amount": 1, "reference": "r"} | terms
    Desk("alice").no(Deposit(**given_terms), reason)


def test_what_the_world_pays_in_never_leaves_62_bits():
    desk = Desk("alice", "bob")
    desk.pay_in("alice", AMOUNT_MAX // 2 - 1)
    desk.no(Deposit(account="bob", asset="USD", amount=1, reference="r"), Reason.AMOUNT_TOO_LARGE)
    desk.pay_in("bob", 1, asset="BTC")


def test_a_pending_deposit_that_came_to_nothing_leaves_nothing():
    desk = Desk("alice")
    reference = desk.pay_in("alice", 100, final=False)
    desk.do(ReverseDeposit(reference=reference, reason="forgotten by the chain"))
    assert desk.have("alice", pending=True) == 0
    assert desk.state.control.mode(desk.number("alice")) == 0
    desk.no(ReverseDeposit(reference=reference, reason="again"), Reason.DEPOSIT_IS_REVERSED)
    desk.no(FinalizeDeposit(reference=reference), Reason.DEPOSIT_IS_REVERSED)
    desk.no(ReverseDeposit(reference="nothing", reason="?"), Reason.UNKNOWN_DEPOSIT)


def test_a_reversal_may_create_a_debt_and_holds_the_account_back_until_it_is_paid():
    desk = Desk("alice")
    reference = desk.pay_in("alice", 100)
    desk.do(withdraw("alice", 80))
    desk.do(ReverseDeposit(reference=reference, reason="called back"))
    assert desk.have("alice") == -80
    assert desk.state.deposits.by_reference[reference][2] == 100, "history is not edited"
    # What it asked for and was not sent yet stays.
    desk.no(SendWithdrawal(reference="out"), Reason.ACCOUNT_IS_RESTRICTED)
    lift = Restrict(account="alice", mode="open", reason="paid")
    desk.no(lift, Reason.POOL_WOULD_NOT_STAND)
    desk.pay_in("alice", 90)
    desk.no(withdraw("alice", 5, "more"), Reason.ACCOUNT_IS_RESTRICTED)
    desk.do(lift)
    desk.do(withdraw("alice", 10, "more"))


def test_a_reversal_takes_from_the_place_it_came_to_before_it_creates_a_debt_here():
    desk = Desk("alice")
    desk.do(SetLocation(location="bank", finality_seconds=60))
    reference = desk.pay_in("alice", 100, location="bank")
    desk.do(withdraw("alice", 30, location="bank"))
    desk.do(ReverseDeposit(reference=reference, reason="called back"))
    assert (desk.have("alice", location="bank"), desk.have("alice")) == (0, -30)


def test_a_closed_account_whose_deposit_is_reversed_is_open_again():
    desk = Desk("alice", "bob")
    reference = desk.pay_in("alice", 100)
    desk.do(OpenAccount(account="alice-2", owner="alice"))
    desk.do(transfer("alice", "alice-2", 100))
    desk.do(CloseAccount(account="alice"))
    desk.no(Deposit(account="alice", asset="USD", amount=1, reference="r"), Reason.ACCOUNT_IS_CLOSED)
    desk.do(ReverseDeposit(reference=reference, reason="called back"))
    assert desk.have("alice") == -100
    desk.pay_in("alice", 100)


def test_money_is_moved_between_accounts_of_one_owner_and_of_no_others():
    desk = Desk("alice", "bob")
    desk.do(OpenAccount(account="alice-2", owner="alice"))
    desk.pay_in("alice", 100)
    desk.do(transfer("alice", "alice-2", 60))
    assert (desk.have("alice"), desk.have("alice-2")) == (40, 60)
    desk.no(transfer("alice", "bob", 10), Reason.ACCOUNTS_ARE_SEGREGATED)
    desk.no(transfer("alice", "alice", 10), Reason.ACCOUNTS_ARE_SEGREGATED)
    desk.no(transfer("alice", "alice-2", 41), Reason.FUNDS_ARE_INSUFFICIENT)
    desk.no(transfer("alice", "alice-2", 0), Reason.AMOUNT_NOT_POSITIVE)


def test_what_margin_needs_is_not_transferred_out_of_a_pool():
    desk = Desk("alice", risk=Headroom(needs={"alice": 70}, gains={"alice": 1_000}))
    desk.do(OpenAccount(account="alice-2", owner="alice"))
    desk.pay_in("alice", 100)
    desk.no(transfer("alice", "alice-2", 31), Reason.POOL_WOULD_NOT_STAND)
    desk.do(transfer("alice", "alice-2", 30))


def test_collateral_on_its_way_counts_nowhere_until_it_has_arrived():
    desk = Desk("alice")
    desk.do(SetLocation(location="chain", finality_seconds=600))
    desk.pay_in("alice", 100, location="chain")
    move = MoveCollateral(account="alice", asset="USD", amount=70, source="chain", target="here", reference="way")
    desk.do(move)
    assert (desk.have("alice", location="chain"), desk.have("alice"), desk.have("alice", pending=True)) == (30, 0, 70)
    # What is in each custody is minus what the world's side says of it.
    assert desk.state.ledger.balance(EXTERNAL, USD, desk.place("chain")) == -30
    desk.no(move, Reason.DEPOSIT_EXISTS)
    desk.do(FinalizeDeposit(reference="way"))
    assert desk.have("alice") == 70


def test_collateral_that_never_arrived_is_back_where_it_was():
    desk = Desk("alice")
    desk.do(SetLocation(location="chain", finality_seconds=600))
    desk.pay_in("alice", 100, location="chain")
    desk.do(MoveCollateral(account="alice", asset="USD", amount=70, source="chain", target="here", reference="way"))
    desk.do(ReverseDeposit(reference="way", reason="dropped"))
    assert (desk.have("alice", location="chain"), desk.have("alice"), desk.have("alice", pending=True)) == (100, 0, 0)
    # Also where it had arrived and was spent: it is there, and owed here.
    desk.do(MoveCollateral(account="alice", asset="USD", amount=70, source="chain", target="here", reference="again"))
    desk.do(FinalizeDeposit(reference="again"))
    desk.do(withdraw("alice", 50))
    desk.do(ReverseDeposit(reference="again", reason="dropped"))
    assert (desk.have("alice", location="chain"), desk.have("alice")) == (100, -50)
    desk.no(withdraw("alice", 51, "more", location="chain"), Reason.FUNDS_ARE_INSUFFICIENT)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"target": "chain"}, Reason.NOTHING_WOULD_CHANGE),
        ({"target": "moon"}, Reason.UNKNOWN_LOCATION),
        ({"amount": 101}, Reason.FUNDS_ARE_INSUFFICIENT),
        ({"reference": " "}, Reason.NAME_IS_NOT_ALLOWED),
        ({"account": "nobody"}, Reason.UNKNOWN_ACCOUNT),
    ],
)
def test_collateral_that_cannot_move_is_refused_by_name(terms, reason):
    desk = Desk("alice")
    desk.do(SetLocation(location="chain", finality_seconds=600))
    desk.pay_in("alice", 100, location="chain")
    move = {"account": "alice", "asset": "USD", "amount": 1, "source": "chain", "target": "here", "reference": "way"}
    desk.no(MoveCollateral(**move | terms), reason)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(("pay in", "promise", "final", "reverse", "ask", "send", "paid", "return")), st.integers(0, 5)
    ),
    max_size=30,
)


@settings(max_examples=40)
@given(STEPS)
def test_the_world_and_the_ledger_agree_whatever_comes_in_and_goes_out_in_any_order(steps):
    desk = Desk("alice")
    world, deposits, asked = 0, {}, {}
    for name, k in steps:
        if name in ("pay in", "promise"):
            desk.house.submit(
                Deposit(account="alice", asset="USD", amount=10 + k, reference=f"d{k}", final=name == "pay in")
            )
            if f"d{k}" not in deposits:
                world += 10 + k
                deposits[f"d{k}"] = 10 + k
        elif name == "final":
            desk.house.submit(FinalizeDeposit(reference=f"d{k}"))
        elif name == "reverse":
            reply = desk.house.submit(ReverseDeposit(reference=f"d{k}", reason="gone"))
            if deposits.get(f"d{k}"):
                assert not hasattr(reply, "reason")
                world -= deposits[f"d{k}"]
                deposits[f"d{k}"] = 0
        elif name == "ask":
            reply = desk.house.submit(withdraw("alice", 5 + k, f"w{k}"))
            if not hasattr(reply, "reason"):
                asked[f"w{k}"] = 5 + k
        elif name == "send":
            desk.house.submit(SendWithdrawal(reference=f"w{k}"))
        elif name == "paid":
            if not hasattr(desk.house.submit(ConfirmWithdrawal(reference=f"w{k}")), "reason"):
                world -= asked[f"w{k}"]
        else:
            desk.house.submit(ReturnWithdrawal(reference=f"w{k}", reason="came back"))
    assert -desk.state.ledger.balance(EXTERNAL, USD) == world
    assert not any(desk.state.ledger.totals().values())
    assert desk.state.ledger.balance(EXTERNAL, BTC) == 0


def test_no_transfer_and_no_reversal_brings_a_balance_near_its_bounds():
    desk = Desk("alice")
    desk.do(OpenAccount(account="alice-2", owner="alice"))
    reference = desk.pay_in("alice", 100)
    far = AMOUNT_MAX // 2 - 50
    desk.state.ledger.post(ledger_transfer(EXTERNAL, desk.number("alice-2"), USD, far))
    desk.no(transfer("alice", "alice-2", 60), Reason.AMOUNT_TOO_LARGE)
    desk.state.ledger.post(ledger_transfer(desk.number("alice"), EXTERNAL, USD, far + 60))
    desk.no(ReverseDeposit(reference=reference, reason="gone"), Reason.AMOUNT_TOO_LARGE)
