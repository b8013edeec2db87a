"""Headroom: what an account may take out, and whether accounts stand on their own. Looks, never changes anything.

Two bounds, both of which hold: the account's own settled money, and what its pool's margin leaves. Unrealized profit is
in neither: it is not money yet. Without a risk view (`State.risk` is None) nobody is asked for margin, and then nobody
may owe anything either: only what is owned may be spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.ledger import BORROWED, EXTERNAL
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.risk import LIQUIDATION
from crossmargin.errors import MissingPrice

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

MODES = ("open", "reduce_only", "halted")
OPEN, REDUCE_ONLY, HALTED = range(len(MODES))
"""Open: everything. Reduce-only: only what lowers a position; of an account, no money leaves. Halted: nothing new; what
was promised to an order before it went to the venue is kept."""


def held(state: State, account: int, asset: int) -> int:
    """Return the final money of an account in an asset, wherever it is, less what it owes, in minor units."""
    places = range(len(state.locations.places))
    owned = sum(state.ledger.balance(account, asset, place) for place in places)
    return owned + state.ledger.balance(account, asset, BORROWED)


def settled(state: State, account: int, asset: int, location: int) -> int:
    """Return how much of an asset an account has at a location, final and not needed for its own debt elsewhere."""
    have = min(state.ledger.balance(account, asset, location), held(state, account, asset))
    if state.risk is None:
        # With a view, what orders need is in its initial margin; without one they are paid for in full.
        have -= state.orders.held(account, asset)
    return max(0, have)


def stands_without(state: State, accounts: Sequence[int]) -> bool:
    """Return whether accounts would meet initial margin as a pool of their own; not if nobody can tell."""
    if state.risk is not None:
        try:
            return state.risk.stands_alone(state, accounts)
        except MissingPrice:
            return False
    return all(sum(held(state, a, k) for a in accounts) >= 0 for k in range(len(state.parties.assets)))


def stands(state: State, account: int) -> bool:
    """Return whether the pool of an account meets its initial margin; not if something in it has no price yet."""
    if state.risk is not None:
        try:
            standing = state.risk.standing(account)
        except MissingPrice:
            return False
        return standing.margin_balance >= standing.initial
    return stands_without(state, [account])


def cannot_leave(state: State, account: int, asset: int, amount: int, location: int) -> Rejected | None:
    """Return why `amount` minor units of an asset may not leave an account and its pool; None where they may."""
    missing = cannot_spend(state, account, asset, amount, location)
    if missing is not None:
        return missing
    if state.risk is None:
        allowed = stands(state, account)
    else:
        allowed = state.risk.allows_withdrawal(state, account, asset, amount, location)
    if not allowed:
        name = state.parties.accounts[account].name
        return Rejected(Reason.POOL_WOULD_NOT_STAND, f"the pool of {name} needs it")
    return None


def cannot_spend(state: State, account: int, asset: int, amount: int, location: int) -> Rejected | None:
    """Return why an account may not give `amount` of an asset to its own pool; None where it may."""
    terms = state.parties.accounts[account]
    if state.control.keeps_money(account):
        return Rejected(Reason.ACCOUNT_IS_RESTRICTED, terms.name)
    have = settled(state, account, asset, location)
    if amount > have:
        return Rejected(Reason.FUNDS_ARE_INSUFFICIENT, f"{terms.name} has {have} settled, {amount} were asked for")
    return None


def answers_for(state: State, account: int) -> Rejected | None:
    """Return why nothing leaves the house from an account: another of its owner's, or of its clients', is in default.

    Its own pool may stand: who can win in one account what they owe in another would leave the debt behind. Money may
    still go to where it is owed (`money.Transfer`).
    """
    accounts = state.parties.accounts
    owner = accounts[account].owner
    for pool, status in state.standings.status.items():
        if status < LIQUIDATION:
            continue
        shared = accounts[pool].pool
        for number in state.pools.shared[shared].accounts if shared >= 0 else (pool,):
            other = accounts[number]
            if other.owner == owner or other.member == account:
                return Rejected(Reason.POOL_WOULD_NOT_STAND, f"{accounts[account].name} answers for another account")
    return None


def paid_in(state: State, asset: int) -> int:
    """Return what the world has paid in of an asset, less what it was paid out, in minor units."""
    return -held(state, EXTERNAL, asset)


def fits(state: State, account: int, asset: int, change: int, location: int) -> bool:
    """Return whether a balance stays well inside 62 bits after a change.

    Half of the room is left to what nobody can refuse: settlements, fees, interest.
    """
    return abs(state.ledger.balance(account, asset, location) + change) < AMOUNT_MAX // 2
