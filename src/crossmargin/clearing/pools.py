"""Pools: accounts that are margined as one. Of one owner, or of owners who signed an agreement on the ledger.

Inside a pool positions net and collateral is shared, so nobody is in one who did not agree to it. An account leaves,
and an agreement is revoked, only while those who go and those who stay each meet their initial margin alone. Money of
the house, of a member and of its clients is never in one pool; nor is an omnibus account with any other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crossmargin.clearing.headroom import stands_without
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import ACCOUNT_KINDS, account_of, allowed_name
from crossmargin.clearing.rejections import Reason, Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

NO_POOL = -1
_OMNIBUS = (ACCOUNT_KINDS.index("omnibus_net"), ACCOUNT_KINDS.index("omnibus_gross"))


@dataclass(slots=True)
class Agreement:
    """Owners who let their accounts be margined as one, each from the time of their own signature on.

    Times in nanoseconds since 1970 UTC; 0 where an owner has not signed.
    """

    owners: list[str]
    signed: list[int]

    @property
    def complete(self) -> bool:
        """Whether everybody has signed."""
        return all(self.signed)


@dataclass(slots=True)
class SharedPool:
    """A pool of several accounts, by number in the order of joining; `agreement` is empty where they have one owner."""

    name: str
    agreement: str
    accounts: list[int]


@dataclass(slots=True)
class Pools:
    """Pools by number and agreements by name. A pool that everybody has left keeps its number and its name."""

    shared: list[SharedPool] = field(default_factory=list)
    number: dict[str, int] = field(default_factory=dict)
    agreements: dict[str, Agreement] = field(default_factory=dict)

    def together(self, pool: int, without: Sequence[int] = ()) -> list[int]:
        """Return the accounts of a pool, leaving some out."""
        return [account for account in self.shared[pool].accounts if account not in without]

    def frozen(self) -> Any:
        """Return the pools as plain values."""
        return [
            [[pool.name, pool.agreement, list(pool.accounts)] for pool in self.shared],
            [[name, list(a.owners), list(a.signed)] for name, a in sorted(self.agreements.items())],
        ]

    @classmethod
    def thawed(cls, plain: Any) -> Pools:
        """Return what `frozen` was told of."""
        made = cls()
        for row in plain[0]:
            made.number[row[0]] = len(made.shared)
            made.shared.append(SharedPool(*row))
        made.agreements = {name: Agreement(*rest) for name, *rest in plain[1]}
        return made


# --- agreements


class SignAgreement(Command, frozen=True):
    """An owner agrees to be margined together with the other owners. The first to sign names them all."""

    agreement: str
    owner: str
    owners: list[str]


class AgreementSigned(Event, frozen=True):
    """An owner has signed, at the time of the record."""

    agreement: str
    owner: str
    owners: list[str]


@decides(SignAgreement)
def _sign(state: State, command: SignAgreement) -> Decision:
    owners = sorted(command.owners)
    if not allowed_name(command.agreement) or not all(allowed_name(owner) for owner in owners):
        return Rejected(Reason.NAME_IS_NOT_ALLOWED, f"{command.agreement!r} of {owners}")
    if len(dict.fromkeys(owners)) < max(2, len(owners)) or command.owner not in owners:
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {owners}; allowed: two owners or more, the signer among them")
    known = state.pools.agreements.get(command.agreement)
    if known is not None:
        if known.owners != owners:
            return Rejected(Reason.TERMS_ARE_INVALID, f"{command.agreement} is between {', '.join(known.owners)}")
        if known.signed[owners.index(command.owner)]:
            return Rejected(Reason.NOTHING_WOULD_CHANGE, f"{command.owner} has signed")
    return [AgreementSigned(agreement=command.agreement, owner=command.owner, owners=owners)]


@applies(AgreementSigned)
def _signed(state: State, event: AgreementSigned) -> None:
    known = state.pools.agreements.setdefault(event.agreement, Agreement(list(event.owners), [0] * len(event.owners)))
    known.signed[known.owners.index(event.owner)] = state.now


class RevokeAgreement(Command, frozen=True):
    """An owner no longer agrees: their accounts leave every pool that rests on the agreement, and it is incomplete."""

    agreement: str
    owner: str


class AgreementRevoked(Event, frozen=True):
    """An owner has revoked; their accounts have left the pools of the agreement."""

    agreement: str
    owner: str
    left: list[int]


@decides(RevokeAgreement)
def _revoke(state: State, command: RevokeAgreement) -> Decision:
    known = state.pools.agreements.get(command.agreement)
    if known is None or command.owner not in known.owners:
        return Rejected(Reason.UNKNOWN_AGREEMENT, f"{command.agreement} of {command.owner}")
    if not known.signed[known.owners.index(command.owner)]:
        return Rejected(Reason.NOTHING_WOULD_CHANGE, f"{command.owner} has not signed")
    left: list[int] = []
    for pool in state.pools.shared:
        if pool.agreement != command.agreement:
            continue
        going = [a for a in pool.accounts if state.parties.accounts[a].owner == command.owner]
        staying = [a for a in pool.accounts if a not in going]
        if going and staying and not _part(state, going, staying):
            return Rejected(Reason.POOL_WOULD_NOT_STAND, f"pool {pool.name} does not stand without {command.owner}")
        left += going
    return [AgreementRevoked(agreement=command.agreement, owner=command.owner, left=left)]


def _part(state: State, going: Sequence[int], staying: Sequence[int]) -> bool:
    """Return whether both halves stand; those who go are alone from then on."""
    return stands_without(state, staying) and all(stands_without(state, [account]) for account in going)


@applies(AgreementRevoked)
def _revoked(state: State, event: AgreementRevoked) -> None:
    known = state.pools.agreements[event.agreement]
    known.signed[known.owners.index(event.owner)] = 0
    for account in event.left:
        leave(state, account)


# --- pools


class JoinPool(Command, frozen=True):
    """Put an account in a pool; the first makes the pool. agreement: the one that lets different owners share it."""

    pool: str
    account: str
    agreement: str = ""


class PoolJoined(Event, frozen=True):
    """An account shares a pool."""

    pool: str
    account: int
    agreement: str


class LeavePool(Command, frozen=True):
    """Take an account out of its pool."""

    account: str


class PoolLeft(Event, frozen=True):
    """An account is alone again."""

    account: int


@decides(JoinPool)
def _join(state: State, command: JoinPool) -> Decision:
    account = account_of(state, command.account)
    if isinstance(account, Rejected):
        return account
    if not allowed_name(command.pool):
        return Rejected(Reason.NAME_IS_NOT_ALLOWED, repr(command.pool))
    terms = state.parties.accounts[account]
    if terms.pool != NO_POOL:
        return Rejected(Reason.ACCOUNT_IS_IN_A_POOL, f"{command.account} in {state.pools.shared[terms.pool].name}")
    if terms.kind in _OMNIBUS:
        return Rejected(Reason.ACCOUNTS_ARE_SEGREGATED, f"{command.account} is an omnibus account")
    number = state.pools.number.get(command.pool)
    if number is None:
        if command.agreement and not _may(state, command.agreement, [terms.owner]):
            return Rejected(Reason.AGREEMENT_IS_MISSING, f"{command.agreement} of {terms.owner}")
        return [PoolJoined(pool=command.pool, account=account, agreement=command.agreement)]
    pool = state.pools.shared[number]
    if command.agreement != pool.agreement:
        return Rejected(Reason.AGREEMENT_IS_MISSING, f"pool {pool.name} rests on {pool.agreement or 'one owner'}")
    others = [state.parties.accounts[a] for a in pool.accounts]
    if any(other.kind != terms.kind or other.member != terms.member for other in others):
        return Rejected(Reason.ACCOUNTS_ARE_SEGREGATED, f"{command.account} and the accounts of {command.pool}")
    owners = [terms.owner, *(other.owner for other in others)]
    if pool.agreement:
        if not _may(state, pool.agreement, owners):
            return Rejected(Reason.AGREEMENT_IS_MISSING, f"{pool.agreement} of {terms.owner}")
    elif any(owner != terms.owner for owner in owners):
        return Rejected(Reason.AGREEMENT_IS_MISSING, f"pool {pool.name} has another owner than {command.account}")
    # Who does not stand would bring a hole for the others to fill.
    if not stands_without(state, [account]) or not stands_without(state, [*pool.accounts, account]):
        return Rejected(Reason.POOL_WOULD_NOT_STAND, f"{command.account} with {command.pool}")
    return [PoolJoined(pool=command.pool, account=account, agreement=command.agreement)]


def _may(state: State, agreement: str, owners: Sequence[str]) -> bool:
    known = state.pools.agreements.get(agreement)
    return known is not None and known.complete and all(owner in known.owners for owner in owners)


@applies(PoolJoined)
def _joined(state: State, event: PoolJoined) -> None:
    pools = state.pools
    number = pools.number.setdefault(event.pool, len(pools.shared))
    if number == len(pools.shared):
        pools.shared.append(SharedPool(event.pool, event.agreement, []))
    pools.shared[number].accounts.append(event.account)
    state.parties.accounts[event.account].pool = number
    state.touched.update(pools.shared[number].accounts)


@decides(LeavePool)
def _leave(state: State, command: LeavePool) -> Decision:
    account = account_of(state, command.account)
    if isinstance(account, Rejected):
        return account
    pool = state.parties.accounts[account].pool
    if pool == NO_POOL:
        return Rejected(Reason.ACCOUNT_IS_IN_NO_POOL, command.account)
    staying = state.pools.together(pool, [account])
    if staying and not _part(state, [account], staying):
        return Rejected(Reason.POOL_WOULD_NOT_STAND, f"{state.pools.shared[pool].name} without {command.account}")
    return [PoolLeft(account=account)]


@applies(PoolLeft)
def _left(state: State, event: PoolLeft) -> None:
    leave(state, event.account)


def leave(state: State, account: int) -> None:
    """Take an account out of its pool."""
    terms = state.parties.accounts[account]
    pool = state.pools.shared[terms.pool]
    pool.accounts.remove(account)
    terms.pool = NO_POOL
    state.touched.update([account, *pool.accounts])
