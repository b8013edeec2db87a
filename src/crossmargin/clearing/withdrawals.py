"""Withdrawals: asked for, sent, final. What is asked for leaves the account at once, so that it is never spent twice.

Only settled money, only what the pool does not need, only within the limits of the account. After a default was seen
nothing is sent for a while: a withdrawal may be asked for, and waits. The wait is the same for everyone, bounded, and
announced by its event.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crossmargin.clearing.headroom import answers_for, cannot_leave, fits, stands
from crossmargin.clearing.ledger import EXTERNAL, WITHDRAWALS, Posting
from crossmargin.clearing.locations import SECOND, balance_of
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import allowed_name
from crossmargin.clearing.rejections import Reason, Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

REQUESTED, SENT, PAID, RETURNED = range(4)
DELAY_SECONDS_MAX = 7 * 86_400


@dataclass(slots=True)
class Withdrawals:
    """Withdrawals by their reference: [account, asset, amount, location, stage, window].

    window: of the withdrawal limit it was counted in, -1 for none. delayed_until: nanoseconds since 1970 UTC, before
    which none is sent.
    """

    by_reference: dict[str, list[int]] = field(default_factory=dict)
    delayed_until: int = 0

    def frozen(self) -> Any:
        """Return the withdrawals as plain values."""
        return [self.delayed_until, sorted([reference, *row] for reference, row in self.by_reference.items())]

    @classmethod
    def thawed(cls, plain: Any) -> Withdrawals:
        """Return what `frozen` was told of."""
        return cls({reference: row for reference, *row in plain[1]}, plain[0])


def delayed_by_default(state: State) -> Rejected | None:
    """Return the rejection of whatever would leave while withdrawals are delayed; None while they are not."""
    until = state.withdrawals.delayed_until
    return Rejected(Reason.WITHDRAWALS_ARE_DELAYED, f"until {until}") if state.now < until else None


# --- asking


class Withdraw(Command, frozen=True):
    """Ask for settled money to be sent away from a location."""

    account: str
    asset: str
    amount: int
    """Minor units, > 0."""
    reference: str
    """Unique for ever."""
    destination: str
    """Where it is to go, for whoever sends it."""
    location: str = "here"


class WithdrawalRequested(Event, frozen=True):
    """Money is set aside to be sent. window: of the limit it counts in, -1 for none."""

    account: int
    asset: int
    amount: int
    reference: str
    destination: str
    location: int
    window: int


@decides(Withdraw)
def _withdraw(state: State, command: Withdraw) -> Decision:
    found = balance_of(state, command.account, command.asset, command.location, command.amount)
    if isinstance(found, Rejected):
        return found
    account, asset, location = found
    if command.reference in state.withdrawals.by_reference:
        return Rejected(Reason.WITHDRAWAL_EXISTS, command.reference)
    if not allowed_name(command.reference) or not allowed_name(command.destination):
        return Rejected(Reason.NAME_IS_NOT_ALLOWED, f"{command.reference!r} to {command.destination!r}")
    missing = cannot_leave(state, account, asset, command.amount, location) or answers_for(state, account)
    if missing is not None:
        return missing
    if not fits(state, WITHDRAWALS, asset, command.amount, location):
        return Rejected(Reason.AMOUNT_TOO_LARGE, str(command.amount))
    window, left = state.limits.withdrawable(account, asset, state.now)
    if command.amount > left:
        return Rejected(Reason.WITHDRAWAL_LIMIT_REACHED, f"{left} may still leave in this window")
    return [
        WithdrawalRequested(
            account=account,
            asset=asset,
            amount=command.amount,
            reference=command.reference,
            destination=command.destination,
            location=location,
            window=window,
        )
    ]


@applies(WithdrawalRequested)
def _requested(state: State, event: WithdrawalRequested) -> None:
    state.withdrawals.by_reference[event.reference] = [
        event.account,
        event.asset,
        event.amount,
        event.location,
        REQUESTED,
        event.window,
    ]
    state.limits.use(event.account, event.asset, event.window, event.amount)
    state.ledger.post(
        [
            Posting(event.account, event.asset, -event.amount, event.location),
            Posting(WITHDRAWALS, event.asset, event.amount, event.location),
        ]
    )
    state.touched.add(event.account)


# --- sending and what becomes of it


class SendWithdrawal(Command, frozen=True):
    """The money is about to be sent: asked before the transaction goes out, never after."""

    reference: str


class WithdrawalSent(Event, frozen=True):
    """A withdrawal may go out."""

    reference: str


class ConfirmWithdrawal(Command, frozen=True):
    """The world has the money for certain."""

    reference: str


class WithdrawalPaid(Event, frozen=True):
    """A withdrawal has left the house."""

    reference: str


class ReturnWithdrawal(Command, frozen=True):
    """A withdrawal is called off, or what was sent came back: the money is the account's again."""

    reference: str
    reason: str


class WithdrawalReturned(Event, frozen=True):
    """The money of a withdrawal is back in its account."""

    reference: str
    reason: str


@decides(SendWithdrawal)
def _send(state: State, command: SendWithdrawal) -> Decision:
    row = _in_stage(state, command.reference, (REQUESTED,))
    if isinstance(row, Rejected):
        return row
    account, _, _, location, _, _ = row
    place = state.locations.places[location]
    if place.halted:
        return Rejected(Reason.LOCATION_IS_HALTED, place.name)
    if state.control.keeps_money(account):
        return Rejected(Reason.ACCOUNT_IS_RESTRICTED, state.parties.accounts[account].name)
    delayed = delayed_by_default(state)
    if delayed is not None:
        return delayed
    # It was set aside while the pool stood; prices have moved since, and it is still the house's to give.
    if not stands(state, account):
        return Rejected(Reason.POOL_WOULD_NOT_STAND, f"the pool of {state.parties.accounts[account].name} needs it")
    owes = answers_for(state, account)
    if owes is not None:
        return owes
    return [WithdrawalSent(reference=command.reference)]


@applies(WithdrawalSent)
def _sent(state: State, event: WithdrawalSent) -> None:
    state.withdrawals.by_reference[event.reference][4] = SENT


@decides(ConfirmWithdrawal)
def _confirm(state: State, command: ConfirmWithdrawal) -> Decision:
    row = _in_stage(state, command.reference, (SENT,))
    return row if isinstance(row, Rejected) else [WithdrawalPaid(reference=command.reference)]


@applies(WithdrawalPaid)
def _paid(state: State, event: WithdrawalPaid) -> None:
    row = state.withdrawals.by_reference[event.reference]
    _, asset, amount, location, _, _ = row
    row[4] = PAID
    state.ledger.post([Posting(WITHDRAWALS, asset, -amount, location), Posting(EXTERNAL, asset, amount, location)])


@decides(ReturnWithdrawal)
def _return(state: State, command: ReturnWithdrawal) -> Decision:
    row = _in_stage(state, command.reference, (REQUESTED, SENT))
    if isinstance(row, Rejected):
        return row
    return [WithdrawalReturned(reference=command.reference, reason=command.reason)]


@applies(WithdrawalReturned)
def _returned(state: State, event: WithdrawalReturned) -> None:
    row = state.withdrawals.by_reference[event.reference]
    account, asset, amount, location, _, window = row
    row[4] = RETURNED
    state.limits.use(account, asset, window, -amount)
    state.ledger.post([Posting(WITHDRAWALS, asset, -amount, location), Posting(account, asset, amount, location)])
    state.touched.add(account)


def _in_stage(state: State, reference: str, stages: Sequence[int]) -> list[int] | Rejected:
    row = state.withdrawals.by_reference.get(reference)
    if row is None:
        return Rejected(Reason.UNKNOWN_WITHDRAWAL, reference)
    if row[4] not in stages:
        return Rejected(Reason.WITHDRAWAL_IS_ELSEWHERE, f"{reference} is {_STAGES[row[4]]}")
    return row


_STAGES = ("asked for", "sent", "paid", "returned")


def under_way(state: State, account: int) -> bool:
    """Return whether an account has a withdrawal that may still come back."""
    rows = state.withdrawals.by_reference.values()
    return any(row[0] == account and row[4] in (REQUESTED, SENT) for row in rows)


# --- after a default was seen


class DelayWithdrawals(Command, frozen=True):
    """Send nothing for a while: somebody owes more than they have. 0 seconds: send again."""

    seconds: int
    reason: str


class WithdrawalsDelayed(Event, frozen=True):
    """Nothing is sent before `until`, nanoseconds since 1970 UTC."""

    until: int
    reason: str


def after_default(state: State) -> list[Event]:
    """Return the events that belong to seeing that a pool is worth less than nothing."""
    until = state.now + state.parameters.value("withdrawal_delay_seconds", state.now) * SECOND
    if until <= state.withdrawals.delayed_until:
        return []
    # The reason is public and says nothing of who it is.
    return [WithdrawalsDelayed(until=until, reason="a pool is worth less than nothing")]


@decides(DelayWithdrawals)
def _delay(state: State, command: DelayWithdrawals) -> Decision:
    if not 0 <= command.seconds <= DELAY_SECONDS_MAX or not command.reason.strip():
        found = f"{command.seconds} s, reason {command.reason!r}"
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {found}; allowed: 0 to {DELAY_SECONDS_MAX} s, a reason")
    return [WithdrawalsDelayed(until=state.now + command.seconds * SECOND, reason=command.reason)]


@applies(WithdrawalsDelayed)
def _delayed(state: State, event: WithdrawalsDelayed) -> None:
    state.withdrawals.delayed_until = event.until
