"""Money in and between accounts: deposits and what becomes of them, transfers, collateral brought from place to place.

A deposit is pending until it is final; pending money counts nowhere. What turns out never to have arrived is reversed:
a new event takes it out again, even where the account no longer has it. It then owes, and is held back until it paid.
The world's side is booked at the location too, so that what a custodian holds is minus the world's balance there.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.control import EVERY, OPEN, REDUCE_ONLY, Restricted
from crossmargin.clearing.headroom import cannot_leave, cannot_spend, fits, held, paid_in
from crossmargin.clearing.ledger import EXTERNAL, HERE, Posting
from crossmargin.clearing.locations import balance_of, location_of
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import OMNIBUS, account_of, allowed_name
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.withdrawals import delayed_by_default

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

PENDING, FINAL, REVERSED = range(3)
WORLD = -1
"""Where a deposit comes from that no location of the house's had before."""


@dataclass(slots=True)
class Deposits:
    """Deposits by the reference of whoever sent them: [account, asset, amount, location, stage, source].

    source: the location of the house's that it came from, WORLD for none.
    """

    by_reference: dict[str, list[int]] = field(default_factory=dict)

    def frozen(self) -> Any:
        """Return the deposits as plain values."""
        return sorted([reference, *row] for reference, row in self.by_reference.items())

    @classmethod
    def thawed(cls, plain: Any) -> Deposits:
        """Return what `frozen` was told of."""
        return cls({reference: row for reference, *row in plain})


# --- deposits


class Deposit(Command, frozen=True):
    """Money arrives at a location. It counts once it is final."""

    account: str
    asset: str
    amount: int
    """Minor units, > 0."""
    reference: str
    """Unique for ever: the transaction that brought it."""
    final: bool = True
    location: str = "here"


class Deposited(Event, frozen=True):
    """Money has arrived."""

    account: int
    asset: int
    amount: int
    reference: str
    final: bool
    location: int = HERE


class FinalizeDeposit(Command, frozen=True):
    """A pending deposit is certain now."""

    reference: str


class DepositFinal(Event, frozen=True):
    """A deposit counts from now on."""

    reference: str


class ReverseDeposit(Command, frozen=True):
    """A deposit came to nothing: a chain forgot it, a payment was called back."""

    reference: str
    reason: str


class DepositReversed(Event, frozen=True):
    """A deposit is taken out again: `there` of it from where it was, `here` from what the account has here, or owes."""

    reference: str
    there: int
    here: int
    reason: str


@decides(Deposit)
def _deposit(state: State, command: Deposit) -> Decision:
    found = balance_of(state, command.account, command.asset, command.location, command.amount)
    if isinstance(found, Rejected):
        return found
    account, asset, location = found
    # The world's side of the ledger holds the sum of everything: it is the first to run out of bits.
    if command.amount >= AMOUNT_MAX or command.amount + paid_in(state, asset) >= AMOUNT_MAX // 2:
        return Rejected(Reason.AMOUNT_TOO_LARGE, str(command.amount))
    if not _new(state, command.reference):
        return _not_new(state, command.reference)
    return [
        Deposited(
            account=account,
            asset=asset,
            amount=command.amount,
            reference=command.reference,
            final=command.final,
            location=location,
        )
    ]


def _new(state: State, reference: str) -> bool:
    return allowed_name(reference) and reference not in state.deposits.by_reference


def _not_new(state: State, reference: str) -> Rejected:
    known = reference in state.deposits.by_reference
    return Rejected(Reason.DEPOSIT_EXISTS if known else Reason.NAME_IS_NOT_ALLOWED, repr(reference))


@applies(Deposited)
def _deposited(state: State, event: Deposited) -> None:
    stage = FINAL if event.final else PENDING
    state.deposits.by_reference[event.reference] = [
        event.account,
        event.asset,
        event.amount,
        event.location,
        stage,
        WORLD,
    ]
    state.ledger.post(
        [
            Posting(EXTERNAL, event.asset, -event.amount, event.location),
            Posting(event.account, event.asset, event.amount, event.location, not event.final),
        ]
    )
    state.touched.add(event.account)


@decides(FinalizeDeposit)
def _finalize(state: State, command: FinalizeDeposit) -> Decision:
    row = state.deposits.by_reference.get(command.reference)
    if row is None:
        return Rejected(Reason.UNKNOWN_DEPOSIT, command.reference)
    if row[4] != PENDING:
        return Rejected(
            Reason.DEPOSIT_IS_REVERSED if row[4] == REVERSED else Reason.DEPOSIT_IS_FINAL, command.reference
        )
    return [DepositFinal(reference=command.reference)]


@applies(DepositFinal)
def _final(state: State, event: DepositFinal) -> None:
    row = state.deposits.by_reference[event.reference]
    account, asset, amount, location, _, _ = row
    row[4] = FINAL
    state.ledger.post(
        [Posting(account, asset, -amount, location, pending=True), Posting(account, asset, amount, location)]
    )
    state.touched.add(account)


@decides(ReverseDeposit)
def _reverse(state: State, command: ReverseDeposit) -> Decision:
    row = state.deposits.by_reference.get(command.reference)
    if row is None:
        return Rejected(Reason.UNKNOWN_DEPOSIT, command.reference)
    account, asset, amount, location, stage, source = row
    if stage == REVERSED:
        return Rejected(Reason.DEPOSIT_IS_REVERSED, command.reference)
    if stage == PENDING:
        return [DepositReversed(reference=command.reference, there=amount, here=0, reason=command.reason)]
    there = max(0, min(amount, state.ledger.balance(account, asset, location)))
    here = amount - there
    if not fits(state, account, asset, -here, HERE) or not fits(state, EXTERNAL, asset, here, location):
        return Rejected(Reason.AMOUNT_TOO_LARGE, f"{command.reference} would leave a debt beyond all bounds")
    events: list[Event] = [DepositReversed(reference=command.reference, there=there, here=here, reason=command.reason)]
    owes = source == WORLD and held(state, account, asset) - amount < 0
    if owes and state.control.accounts[account] == OPEN:
        reason = f"deposit {command.reference} was reversed: {command.reason}"
        events.append(Restricted(account=account, instrument=EVERY, mode=REDUCE_ONLY, reason=reason))
    return events


@applies(DepositReversed)
def _reversed(state: State, event: DepositReversed) -> None:
    row = state.deposits.by_reference[event.reference]
    account, asset, amount, location, stage, source = row
    row[4] = REVERSED
    back = [Posting(EXTERNAL, asset, amount, location)]
    if source != WORLD:
        back += [Posting(EXTERNAL, asset, -amount, source), Posting(account, asset, amount, source)]
    taken = [
        Posting(account, asset, -event.there, location, stage == PENDING),
        Posting(account, asset, -event.here),
    ]
    state.ledger.post([*back, *(posting for posting in taken if posting.amount)])
    # What was closed while it still had money coming is not done with after all.
    state.parties.reopen(np.array([account]))
    state.touched.add(account)


# --- between accounts and places


class Transfer(Command, frozen=True):
    """Move settled money between accounts of one owner or one pool, or from a member's own to a client of its.

    Never from clients to their member, nor out of an omnibus account: neither is its owner's own money.
    """

    source: str
    target: str
    asset: str
    amount: int
    location: str = "here"


class Transferred(Event, frozen=True):
    """Money has changed accounts."""

    source: int
    target: int
    asset: int
    amount: int
    location: int


@decides(Transfer)
def _transfer(state: State, command: Transfer) -> Decision:
    found = balance_of(state, command.source, command.asset, command.location, command.amount)
    target = account_of(state, command.target)
    if isinstance(found, Rejected):
        return found
    if isinstance(target, Rejected):
        return target
    source, asset, location = found
    giver, taker = state.parties.accounts[source], state.parties.accounts[target]
    pooled = giver.pool >= 0 and giver.pool == taker.pool
    gift = taker.member == source
    # A member's own money and its clients' are apart under whatever name; an omnibus account is many clients'.
    own = giver.owner == taker.owner and giver.kind == taker.kind and giver.kind not in OMNIBUS
    if source == target or not (pooled or gift or own):
        return Rejected(Reason.ACCOUNTS_ARE_SEGREGATED, f"{command.source} and {command.target}")
    # Inside a pool what one gives the other has: nothing leaves what the margin is held against.
    check = cannot_spend if pooled else cannot_leave
    missing = check(state, source, asset, command.amount, location)
    if missing is not None:
        return missing
    if not fits(state, target, asset, command.amount, location):
        return Rejected(Reason.AMOUNT_TOO_LARGE, str(command.amount))
    return [Transferred(source=source, target=target, asset=asset, amount=command.amount, location=location)]


@applies(Transferred)
def _transferred(state: State, event: Transferred) -> None:
    state.ledger.post(
        [
            Posting(event.source, event.asset, -event.amount, event.location),
            Posting(event.target, event.asset, event.amount, event.location),
        ]
    )
    state.touched.update((event.source, event.target))


class MoveCollateral(Command, frozen=True):
    """Send settled money from one location to another; it is pending there until `FinalizeDeposit`."""

    account: str
    asset: str
    amount: int
    source: str
    target: str
    reference: str
    """Of the deposit that this becomes, unique for ever."""


class CollateralMoved(Event, frozen=True):
    """Money is on its way between locations."""

    account: int
    asset: int
    amount: int
    source: int
    target: int
    reference: str


@decides(MoveCollateral)
def _move(state: State, command: MoveCollateral) -> Decision:
    found = balance_of(state, command.account, command.asset, command.source, command.amount)
    target = location_of(state, command.target)
    if isinstance(found, Rejected):
        return found
    if isinstance(target, Rejected):
        return target
    account, asset, source = found
    if source == target:
        return Rejected(Reason.NOTHING_WOULD_CHANGE, f"from {command.source} to {command.target}")
    if not _new(state, command.reference):
        return _not_new(state, command.reference)
    # On its way it counts nowhere, so the pool must do without it; and from where it arrives it may be withdrawn.
    missing = cannot_leave(state, account, asset, command.amount, source) or delayed_by_default(state)
    if missing is not None:
        return missing
    return [
        CollateralMoved(
            account=account,
            asset=asset,
            amount=command.amount,
            source=source,
            target=target,
            reference=command.reference,
        )
    ]


@applies(CollateralMoved)
def _moved(state: State, event: CollateralMoved) -> None:
    state.deposits.by_reference[event.reference] = [
        event.account,
        event.asset,
        event.amount,
        event.target,
        PENDING,
        event.source,
    ]
    # Whose custody it is changes now, and the world's side with it.
    state.ledger.post(
        [
            Posting(event.account, event.asset, -event.amount, event.source),
            Posting(EXTERNAL, event.asset, event.amount, event.source),
            Posting(EXTERNAL, event.asset, -event.amount, event.target),
            Posting(event.account, event.asset, event.amount, event.target, pending=True),
        ]
    )
    state.touched.add(event.account)
