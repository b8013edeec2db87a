"""Withdrawals: settled money only, set aside at once, counted once, and not sent while a default may need it."""

import pytest

from crossmargin.clearing import (
    CheckOrder,
    ConfirmWithdrawal,
    DelayWithdrawals,
    Deposit,
    HaltLocation,
    ListInstrument,
    MoveCollateral,
    OpenAccount,
    Reason,
    Restrict,
    ReturnWithdrawal,
    SendWithdrawal,
    SetLocation,
    SetWithdrawalLimit,
    Withdraw,
)
from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.ledger import EXTERNAL, FIRST_CLIENT, WITHDRAWALS, transfer
from crossmargin.clearing.risk import BANKRUPT, HEALTHY
from crossmargin.clearing.withdrawals import WithdrawalsDelayed
from tests.clearing_desk import SECOND, USD, Desk, Headroom


def ask(amount, reference="out", account="alice", **terms):
    given = {"account": account, "asset": "USD", "amount": amount, "reference": reference, "destination": "bank"}
    return Withdraw(**given | terms)


def test_money_that_was_asked_for_is_set_aside_and_leaves_when_it_is_confirmed():
    desk = Desk("alice")
    desk.pay_in("alice", 100)
    desk.do(ask(30))
    assert (desk.have("alice"), desk.have("withdrawals")) == (70, 30)
    desk.no(ConfirmWithdrawal(reference="out"), Reason.WITHDRAWAL_IS_ELSEWHERE)
    desk.do(SendWithdrawal(reference="out"))
    desk.no(SendWithdrawal(reference="out"), Reason.WITHDRAWAL_IS_ELSEWHERE)
    desk.do(ConfirmWithdrawal(reference="out"))
    assert (desk.have("alice"), desk.have("withdrawals")) == (70, 0)
    assert desk.state.ledger.balance(EXTERNAL, USD) == -70
    desk.no(ReturnWithdrawal(reference="out", reason="too late"), Reason.WITHDRAWAL_IS_ELSEWHERE)


@pytest.mark.parametrize("sent", [False, True])
def test_what_is_called_off_or_comes_back_is_the_accounts_again(sent):
    desk = Desk("alice")
    desk.pay_in("alice", 100)
    desk.do(ask(100))
    if sent:
        desk.do(SendWithdrawal(reference="out"))
    desk.do(ReturnWithdrawal(reference="out", reason="address unknown"))
    assert (desk.have("alice"), desk.have("withdrawals")) == (100, 0)
    desk.no(ask(1), Reason.WITHDRAWAL_EXISTS)
    desk.do(ask(100, "again"))


def test_six_withdrawals_of_a_thousand_on_five_thousand_are_five():
    desk = Desk("alice")
    desk.pay_in("alice", 5_000)
    for k in range(5):
        desk.do(ask(1_000, f"out-{k}"))
    desk.no(ask(1_000, "out-5"), Reason.FUNDS_ARE_INSUFFICIENT)


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"amount": 0}, Reason.AMOUNT_NOT_POSITIVE),
        ({"amount": 101}, Reason.FUNDS_ARE_INSUFFICIENT),
        ({"account": "nobody"}, Reason.UNKNOWN_ACCOUNT),
        ({"account": "insurance"}, Reason.ACCOUNT_IS_THE_HOUSE),
        ({"location": "moon"}, Reason.UNKNOWN_LOCATION),
        ({"reference": ""}, Reason.NAME_IS_NOT_ALLOWED),
        ({"destination": ""}, Reason.NAME_IS_NOT_ALLOWED),
    ],
)
def test_a_withdrawal_that_cannot_be_is_refused_by_name(terms, reason):
    desk = Desk("alice")
    desk.pay_in("alice", 100)
    desk.no(ask(**{"amount": 1} | terms), reason)
    desk.no(SendWithdrawal(reference="nothing"), Reason.UNKNOWN_WITHDRAWAL)


def test_unrealized_profit_never_leaves():
    risk = Headroom(needs={"alice": 60}, gains={"alice": 1_000_000})
    desk = Desk("alice", risk=risk)
    desk.pay_in("alice", 100)
    # However large the profit, only what is settled and not needed as margin may go.
    desk.no(ask(101), Reason.FUNDS_ARE_INSUFFICIENT)
    desk.no(ask(41), Reason.POOL_WOULD_NOT_STAND)
    desk.do(ask(40))


def test_what_is_owed_in_one_place_does_not_leave_from_another():
    desk = Desk("alice", "bob", risk=Headroom())
    desk.do(SetLocation(location="bank", finality_seconds=60))
    desk.pay_in("alice", 100, location="bank")
    # A debt here: variation that was lost.
    desk.state.ledger.post(transfer(desk.number("alice"), desk.number("bob"), USD, 70))
    desk.no(ask(31, location="bank"), Reason.FUNDS_ARE_INSUFFICIENT)
    desk.do(ask(30, location="bank"))


def test_without_a_view_of_margin_what_orders_need_stays():
    desk = Desk("alice")
    desk.pay_in("alice", 100)
    option = {
        "symbol": "C",
        "type": "option",
        "underlying": "BTC",
        "quote": "USD",
        "option_type": "call",
        "strike": "100",
        "expiry": "2030-01-01T08:00:00Z",
        "tick_size": "0.01",
        "lot_size": "1",
    }
    desk.do(ListInstrument(terms=option))
    desk.do(CheckOrder(account="alice", order="o", symbol="C", lots=1, ticks=60))
    desk.no(ask(41), Reason.FUNDS_ARE_INSUFFICIENT)
    desk.do(ask(40))


def test_a_limit_holds_in_each_window_of_time():
    desk = Desk("alice")
    desk.pay_in("alice", 1_000)
    desk.do(SetWithdrawalLimit(account="alice", asset="USD", amount=100, window_seconds=86_400))
    desk.do(ask(60, "a"))
    desk.no(ask(41, "b"), Reason.WITHDRAWAL_LIMIT_REACHED)
    desk.do(ask(40, "b"))
    desk.do(ReturnWithdrawal(reference="b", reason="called off"))
    desk.do(ask(40, "c"))
    # A wider limit does not forget what has left already.
    desk.do(SetWithdrawalLimit(account="alice", asset="USD", amount=120, window_seconds=86_400))
    desk.no(ask(21, "d"), Reason.WITHDRAWAL_LIMIT_REACHED)
    desk.later(86_400)
    desk.do(ask(120, "d"))
    # What comes back when its window is over gives no room in this one.
    desk.do(ReturnWithdrawal(reference="a", reason="came back"))
    desk.no(ask(1, "e"), Reason.WITHDRAWAL_LIMIT_REACHED)
    desk.do(SetWithdrawalLimit(account="alice", asset="USD", amount=None))
    desk.do(ask(500, "e"))


def test_nothing_is_sent_while_withdrawals_are_delayed_but_it_may_be_asked_for():
    desk = Desk("alice")
    desk.pay_in("alice", 100)
    desk.do(SetLocation(location="bank", finality_seconds=60))
    desk.do(ask(10, "before"))
    desk.do(DelayWithdrawals(seconds=600, reason="somebody owes"))
    desk.do(ask(10, "after"))
    for reference in ("before", "after"):
        desk.no(SendWithdrawal(reference=reference), Reason.WITHDRAWALS_ARE_DELAYED)
    move = MoveCollateral(account="alice", asset="USD", amount=5, source="here", target="bank", reference="m")
    desk.no(move, Reason.WITHDRAWALS_ARE_DELAYED)
    desk.later(600)
    desk.do(SendWithdrawal(reference="before"))
    desk.do(DelayWithdrawals(seconds=600, reason="again"))
    desk.do(DelayWithdrawals(seconds=0, reason="it is over"))
    desk.do(SendWithdrawal(reference="after"))
    desk.no(DelayWithdrawals(seconds=8 * 86_400, reason="for ever"), Reason.TERMS_ARE_INVALID)
    desk.no(DelayWithdrawals(seconds=1, reason=" "), Reason.TERMS_ARE_INVALID)


class Defaulting(Headroom):
    """Says that a pool is bankrupt as soon as it has less than nothing."""

    def changed(self, state):
        found = []
        for account in sorted(state.touched):
            owned, gains, _ = self._sums([account])
            status = BANKRUPT if owned + gains < 0 else HEALTHY
            if account >= FIRST_CLIENT and status != state.standings.of(account):
                found.append((account, status))
        state.touched.clear()
        return found


def test_a_default_delays_withdrawals_in_the_same_record_and_money_asked_for_before_stays():
    risk = Defaulting(gains={})
    desk = Desk("alice", "bob", risk=risk)
    desk.pay_in("alice", 100)
    desk.pay_in("bob", 100)
    desk.do(ask(100, "race"))
    risk.gains["bob"] = -101
    events = desk.do(OpenAccount(account="carol"))
    assert not any(isinstance(event, WithdrawalsDelayed) for event in events)
    events = desk.do(Deposit(account="bob", asset="USD", amount=1, reference="one"))
    assert not any(isinstance(event, WithdrawalsDelayed) for event in events), "bob has exactly nothing"
    risk.gains["bob"] = -103
    events = desk.do(Deposit(account="bob", asset="USD", amount=1, reference="two"))
    (delayed,) = [event for event in events if isinstance(event, WithdrawalsDelayed)]
    assert delayed.until == desk.state.now + 3_600 * SECOND
    assert "bob" not in delayed.reason, "who it is, is nobody's business"
    desk.no(SendWithdrawal(reference="race"), Reason.WITHDRAWALS_ARE_DELAYED)
    desk.later(3_600)
    desk.do(SendWithdrawal(reference="race"))


def test_a_withdrawal_is_not_sent_once_its_pool_needs_it():
    risk = Headroom()
    desk = Desk("alice", risk=risk)
    desk.pay_in("alice", 100)
    desk.do(ask(60))
    risk.needs["alice"] = 41
    desk.no(SendWithdrawal(reference="out"), Reason.POOL_WOULD_NOT_STAND)
    risk.needs["alice"] = 40
    desk.do(SendWithdrawal(reference="out"))


def test_nothing_leaves_an_account_that_is_held_back_nor_a_house_that_is_halted():
    desk = Desk("alice")
    desk.pay_in("alice", 100)
    desk.do(ask(1, "before"))
    desk.do(Restrict(account="alice", mode="reduce_only", reason="asked questions"))
    desk.no(ask(1), Reason.ACCOUNT_IS_RESTRICTED)
    desk.no(SendWithdrawal(reference="before"), Reason.ACCOUNT_IS_RESTRICTED)
    desk.do(Restrict(account="alice", mode="open", reason="answered"))
    desk.do(Restrict(mode="reduce_only", reason="busy"))
    desk.do(ask(1))
    desk.do(Restrict(mode="halted", reason="fault"))
    desk.no(ask(1, "more"), Reason.ACCOUNT_IS_RESTRICTED)
    desk.no(SendWithdrawal(reference="before"), Reason.ACCOUNT_IS_RESTRICTED)


def test_nothing_moves_to_or_from_a_location_that_is_halted():
    desk = Desk("alice")
    desk.do(SetLocation(location="chain", finality_seconds=600))
    desk.pay_in("alice", 100, location="chain")
    desk.do(ask(10, "before", location="chain"))
    desk.do(HaltLocation(location="chain", reason="forked", notice_seconds=60))
    desk.no(ask(10, location="chain"), Reason.LOCATION_IS_HALTED)
    desk.no(SendWithdrawal(reference="before"), Reason.LOCATION_IS_HALTED)
    desk.do(ReturnWithdrawal(reference="before", reason="called off"))
    assert desk.have("alice", location="chain") == 100


def test_the_account_of_withdrawals_never_leaves_62_bits():
    desk = Desk("alice")
    desk.pay_in("alice", AMOUNT_MAX // 2 - 1)
    desk.do(ask(AMOUNT_MAX // 2 - 1))
    desk.do(SendWithdrawal(reference="out"))
    # The world may pay in again only once the world has been paid.
    desk.do(ConfirmWithdrawal(reference="out"))
    desk.pay_in("alice", 10)
    desk.state.ledger.post(transfer(EXTERNAL, WITHDRAWALS, USD, AMOUNT_MAX // 2 - 5))
    desk.no(ask(5, "more"), Reason.AMOUNT_TOO_LARGE)


def test_a_default_never_shortens_a_delay():
    risk = Defaulting()
    desk = Desk("bob", risk=risk)
    desk.do(DelayWithdrawals(seconds=86_400, reason="a long night"))
    until = desk.state.withdrawals.delayed_until
    risk.gains["bob"] = -10
    events = desk.do(Deposit(account="bob", asset="USD", amount=1, reference="one"))
    assert desk.state.standings.of(desk.number("bob")) == BANKRUPT
    assert not any(isinstance(event, WithdrawalsDelayed) for event in events)
    assert desk.state.withdrawals.delayed_until == until
