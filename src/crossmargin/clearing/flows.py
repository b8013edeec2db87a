"""Flows: what all holders of an instrument receive and pay at once, as columns that cancel to the unit."""

from __future__ import annotations

from math import gcd
from typing import TYPE_CHECKING

import numpy as np

from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.ledger import ROUNDING
from crossmargin.clearing.marks import column
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.rounding import to_account
from crossmargin.units import IntArray

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

SECOND = 1_000_000_000
"""Nanoseconds."""
MARK_AGE_MAX = 60 * SECOND
"""Nobody pays at a price older than this."""


def fresh_mark(state: State, instrument: int) -> int | Rejected:
    """Return the mark of an instrument in ticks, or why nothing may be settled at it."""
    ticks = state.marks.of(instrument)
    symbol = state.parties.instruments[instrument].contract.instrument.symbol
    if ticks is None:
        return Rejected(Reason.MARK_IS_MISSING, symbol)
    age = state.now - int(state.marks.times[instrument])
    return ticks if age <= MARK_AGE_MAX else Rejected(Reason.MARK_IS_STALE, f"{symbol}: {age // SECOND} s old")


def fresh_index(state: State, name: str) -> int | Rejected:
    """Return the index of an underlying or the value of an asset in 1e-8, or why nobody may pay by it."""
    price = state.marks.index_of(name)
    if price is None:
        return Rejected(Reason.MARK_IS_MISSING, f"index of {name}")
    age = state.now - state.marks.index_times[name]
    return price if age <= MARK_AGE_MAX else Rejected(Reason.MARK_IS_STALE, f"index of {name}: {age // SECOND} s old")


def shares(lots: IntArray, numerator: int, denominator: int) -> IntArray | None:
    """Return floor(lots * numerator / denominator), (n,); None where that is no amount of money. denominator > 0."""
    assert denominator > 0, "flows: a denominator that is not positive"
    common = gcd(numerator, denominator)
    numerator, denominator = numerator // common, denominator // common
    most = int(abs(lots).max(initial=0))
    if most * abs(numerator) // denominator >= AMOUNT_MAX // 2:
        return None
    if max(1, most) * abs(numerator) < AMOUNT_MAX and denominator < AMOUNT_MAX:
        return lots * numerator // denominator
    # The product does not fit 64 bits, what is left of it does.
    return np.array([to_account(lot * numerator, denominator) for lot in lots.tolist()], dtype=np.int64)


class Flows:
    """What the events of one command move, added up, so that all of them together have room in the balances."""

    __slots__ = ("_moved", "_state")

    def __init__(self, state: State) -> None:
        self._state = state
        self._moved: dict[int, IntArray] = {}

    def balanced(self, asset: int, accounts: IntArray, amounts: IntArray) -> tuple[bytes, bytes] | None:
        """Return amounts and what the rounding account gets for them, as two columns; None where there is no room.

        accounts, amounts: (n,), each account once. A row of the rounding account's own is replaced by what cancels.
        """
        kept = (accounts != ROUNDING) & (amounts != 0)
        accounts, amounts = accounts[kept], amounts[kept]
        rest = -sum(amounts.tolist())
        if rest:
            if abs(rest) >= AMOUNT_MAX // 2:
                return None
            accounts, amounts = np.append(accounts, ROUNDING), np.append(amounts, rest)
        cash = self._state.ledger.cash[:, asset]
        moved = self._moved.setdefault(asset, np.zeros(len(cash), dtype=np.int64))
        moved[accounts] += amounts
        if (
            abs(moved[accounts]).max(initial=0) >= AMOUNT_MAX // 2
            or abs(cash[accounts] + moved[accounts]).max(initial=0) >= AMOUNT_MAX
        ):
            return None
        return column(accounts), column(amounts)


def change_costs(state: State, instrument: int, accounts: IntArray, amounts: IntArray) -> None:
    """Take what each account has just been paid off the cost of its position."""
    held = state.positions
    slots = held.of_instrument(instrument)
    holders = accounts != ROUNDING
    of = slots[np.searchsorted(held.account[slots], accounts[holders])]
    assert (held.account[of] == accounts[holders]).all(), "flows: an account that holds nothing was paid"
    held.cost[of] -= amounts[holders]
    # It may hold nothing of the instrument yet.
    for amount in amounts[~holders].tolist():
        held.add(ROUNDING, instrument, 0, -amount)
