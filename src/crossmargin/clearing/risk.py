"""Risk: what the house asks of a view of margin. It looks at the state and never changes it; what it said is in events.

A view is not part of the state: whoever opens the house gives it one (`House(journal, clock, risk=...)`), and two
views may differ. Without one nobody is asked for margin, and only what is owned may be spent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from crossmargin.clearing.rejections import Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

STATUSES = ("healthy", "warning", "call", "liquidation", "bankrupt")
"""How a pool may stand, from best to worst, as in `standing`."""
HEALTHY, WARNING, CALL, LIQUIDATION, BANKRUPT = range(len(STATUSES))


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolStanding:
    """How a pool stands now; amounts in the reporting currency."""

    margin_balance: float
    """What requirements are held against."""
    initial: float
    """Initial margin, open orders at their worst fills."""
    maintenance: float
    net_value: float
    unrealized_gain: float
    """Sum over instruments of max(0, unrealized profit): it is not money yet."""
    status: int
    """Number in STATUSES; as if it had no open orders."""


class Fill(NamedTuple):
    """A trade as one side of it sees it: bought > 0, sold < 0; fee in minor units of the settlement asset."""

    instrument: int
    lots: int
    ticks: int
    fee: int


class Risk(Protocol):
    """A view of margin over a house. Pools are named by their first account."""

    def watch(self, state: State) -> None:
        """Look at this state from now on: all of it is new."""

    def pool_of(self, account: int) -> int:
        """Return the pool of an account: the number of its first account."""

    def standing(self, account: int) -> PoolStanding:
        """Return how the pool of an account stands now."""

    def stands_alone(self, state: State, accounts: Sequence[int]) -> bool:
        """Return whether accounts, margined as one pool with nobody else, meet their initial margin."""

    def order_reserve(self, state: State, account: int, instrument: int, lots: int, ticks: int) -> int | Rejected:
        """Return what to hold for an order, in minor units of the reporting currency; or why it may not stand.

        It may where initial margin, with all open orders and this one at their worst fills, is within the margin
        balance, or where its fill at `ticks` leaves the pool no worse off than it is.
        """

    def allows_fills(self, state: State, account: int, fills: Sequence[Fill]) -> Rejected | None:
        """Return None where an account may trade `fills` with nothing held for them, together; else why not."""

    def allows_withdrawal(self, state: State, account: int, asset: int, amount: int, location: int) -> bool:
        """Return whether the pool meets initial margin without `amount` of an asset and without unrealized profit."""

    def allows_change(self, state: State, account: int, changes: Sequence[tuple[int, int, int]]) -> bool:
        """Return whether a pool may change its money so: initial margin is met afterwards, or it is no worse off.

        changes: (asset, location, minor units) that the account gains (> 0) or gives (< 0), final; a loan is a debt at
        `ledger.BORROWED`. Unrealized profit does not count.
        """

    def changed(self, state: State) -> list[tuple[int, int]]:
        """Return (pool, status) of each pool that does not stand as recorded, by number; `state` has just changed."""
