"""Members and their clients: what a member puts up for all, how far it can be asked for more, whose client is whose.

A member guarantees its clients to the house. Its own money may go down to a client; a client's never goes up to the
member nor across to another client (`money.Transfer`), and neither shares a pool with the other (`pools`): what a
client has answers for that client alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.headroom import cannot_leave, fits, stands
from crossmargin.clearing.ledger import DEFAULT_FUND, HERE, transfer
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import ACCOUNT_KINDS, account_of, asset_of
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.withdrawals import delayed_by_default, under_way

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

_OWN = ACCOUNT_KINDS.index("house")
NO_MEMBER = -1


@dataclass(slots=True)
class Members:
    """Members by the number of their own account.

    assessment_cap: what each may be asked for beyond its contribution, in minor units of the reporting currency.
    contributions: (member, asset) -> minor units in the default fund, > 0; their sum is the fund account's balance.
    """

    assessment_cap: dict[int, int] = field(default_factory=dict)
    contributions: dict[tuple[int, int], int] = field(default_factory=dict)

    def add(self, member: int, asset: int, amount: int) -> None:
        """Add to a contribution, or take from it."""
        left = self.contributions.get((member, asset), 0) + amount
        if left:
            self.contributions[member, asset] = left
        else:
            del self.contributions[member, asset]

    def frozen(self) -> Any:
        """Return the members as plain values."""
        return [
            [list(row) for row in sorted(self.assessment_cap.items())],
            [[*key, amount] for key, amount in sorted(self.contributions.items())],
        ]

    @classmethod
    def thawed(cls, plain: Any) -> Members:
        """Return what `frozen` was told of."""
        return cls(dict(map(tuple, plain[0])), {(m, k): amount for m, k, amount in plain[1]})


# --- members


class AdmitMember(Command, frozen=True):
    """Make an owner's own account a member, or give a member another assessment cap."""

    account: str
    assessment_cap: int
    """Minor units of the reporting currency, >= 0."""


class MemberAdmitted(Event, frozen=True):
    """An account is a member's own."""

    account: int
    assessment_cap: int


@decides(AdmitMember)
def _admit(state: State, command: AdmitMember) -> Decision:
    account = account_of(state, command.account)
    if isinstance(account, Rejected):
        return account
    terms = state.parties.accounts[account]
    if terms.kind != _OWN or terms.member != NO_MEMBER:
        return Rejected(Reason.ACCOUNT_IS_NO_MEMBER, f"{command.account} is a {ACCOUNT_KINDS[terms.kind]} account")
    if not 0 <= command.assessment_cap < AMOUNT_MAX:
        return Rejected(Reason.TERMS_ARE_INVALID, f"found a cap of {command.assessment_cap}; allowed: 0 or more")
    return [MemberAdmitted(account=account, assessment_cap=command.assessment_cap)]


@applies(MemberAdmitted)
def _admitted(state: State, event: MemberAdmitted) -> None:
    state.members.assessment_cap[event.account] = event.assessment_cap


class Contribute(Command, frozen=True):
    """A member pays into the default fund (> 0) or is given back from it (< 0)."""

    account: str
    asset: str
    amount: int


class Contributed(Event, frozen=True):
    """Money has gone from a member to the default fund (> 0) or back (< 0)."""

    account: int
    asset: int
    amount: int


@decides(Contribute)
def _contribute(state: State, command: Contribute) -> Decision:
    account, asset = account_of(state, command.account), asset_of(state, command.asset)
    if isinstance(account, Rejected):
        return account
    if isinstance(asset, Rejected):
        return asset
    if account not in state.members.assessment_cap:
        return Rejected(Reason.ACCOUNT_IS_NO_MEMBER, command.account)
    if command.amount == 0:
        return Rejected(Reason.AMOUNT_NOT_POSITIVE, "0")
    if command.amount > 0:
        missing = cannot_leave(state, account, asset, command.amount, HERE)
    else:
        missing = _not_returned(state, account, asset, -command.amount)
    if missing is not None:
        return missing
    fund_fits = fits(state, DEFAULT_FUND, asset, command.amount, HERE)
    if not fund_fits or not fits(state, account, asset, -command.amount, HERE):
        return Rejected(Reason.AMOUNT_TOO_LARGE, str(command.amount))
    return [Contributed(account=account, asset=asset, amount=command.amount)]


def _not_returned(state: State, account: int, asset: int, amount: int) -> Rejected | None:
    """Return why a contribution is not given back: it is not there, a default is open, or clients rely on it."""
    have = state.members.contributions.get((account, asset), 0)
    if amount > have:
        return Rejected(Reason.FUNDS_ARE_INSUFFICIENT, f"{have} in the fund, {amount} were asked for")
    delayed = delayed_by_default(state)
    if delayed is not None:
        return delayed
    if clients_of(state, account):
        return Rejected(Reason.MEMBER_HAS_CLIENTS, state.parties.accounts[account].name)
    return None


@applies(Contributed)
def _contributed(state: State, event: Contributed) -> None:
    state.members.add(event.account, event.asset, event.amount)
    state.ledger.post(transfer(event.account, DEFAULT_FUND, event.asset, event.amount))
    state.touched.add(event.account)


# --- clients


def clients_of(state: State, member: int) -> list[int]:
    """Return the open accounts that are clients of a member."""
    return [
        number for number, terms in enumerate(state.parties.accounts) if terms.member == member and not terms.closed
    ]


class MoveClient(Command, frozen=True):
    """Take a client's account, with all it has, to another member (empty: to the house itself)."""

    account: str
    member: str


class ClientMoved(Event, frozen=True):
    """An account is the client of another member; NO_MEMBER: of the house itself."""

    account: int
    member: int


@decides(MoveClient)
def _move(state: State, command: MoveClient) -> Decision:
    account = account_of(state, command.account)
    member: int | Rejected = account_of(state, command.member) if command.member else NO_MEMBER
    if isinstance(account, Rejected):
        return account
    if isinstance(member, Rejected):
        return member
    terms = state.parties.accounts[account]
    if terms.kind == _OWN:
        return Rejected(Reason.ACCOUNTS_ARE_SEGREGATED, f"{command.account} is nobody's client")
    if member != NO_MEMBER and member not in state.members.assessment_cap:
        return Rejected(Reason.ACCOUNT_IS_NO_MEMBER, command.member)
    if member == terms.member:
        return Rejected(Reason.NOTHING_WOULD_CHANGE, f"{command.account} is there already")
    if terms.pool >= 0:
        return Rejected(Reason.ACCOUNT_IS_IN_A_POOL, command.account)
    # The new member takes no hole over that it was not told of.
    if not stands(state, account):
        return Rejected(Reason.POOL_WOULD_NOT_STAND, command.account)
    return [ClientMoved(account=account, member=member)]


@applies(ClientMoved)
def _moved(state: State, event: ClientMoved) -> None:
    state.parties.accounts[event.account].member = event.member
    state.touched.add(event.account)


# --- the end


class CloseAccount(Command, frozen=True):
    """Close an account that has nothing, owes nothing and waits for nothing. Its number and name are not used again."""

    account: str


class AccountClosed(Event, frozen=True):
    """An account is closed."""

    account: int


@decides(CloseAccount)
def _close(state: State, command: CloseAccount) -> Decision:
    account = account_of(state, command.account)
    if isinstance(account, Rejected):
        return account
    for still in _what_keeps_open(state, account):
        return Rejected(Reason.ACCOUNT_IS_NOT_EMPTY, f"{command.account} has {still}")
    return [AccountClosed(account=account)]


def _what_keeps_open(state: State, account: int) -> list[str]:
    kept = {
        "money": any(True for _ in state.ledger.of_account(account)),
        "positions": bool(state.positions.of_account(account)),
        "open orders": bool(state.orders.of_account(account)),
        "a withdrawal under way": under_way(state, account),
        "a pool": state.parties.accounts[account].pool >= 0,
        "clients": bool(clients_of(state, account)),
        "a share of the default fund": any(member == account for member, _ in state.members.contributions),
    }
    return [what for what, there in kept.items() if there]


@applies(AccountClosed)
def _closed(state: State, event: AccountClosed) -> None:
    state.parties.close(event.account)
    state.members.assessment_cap.pop(event.account, None)
    state.touched.add(event.account)
