"""The venue: where orders meet. The house sends it forced orders and cancellations, and takes its reports in.

An order book, an RFQ desk, an AMM or a simulation can stand behind this: matching is never the house's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class ForcedOrder:
    """An order the house places for an account: at once or not at all, and never beyond the account's position."""

    id: str
    """Unique at the venue; a repeated id changes nothing."""
    account: str
    symbol: str
    lots: int
    """Bought > 0, sold < 0; never 0."""
    limit: int | None = None
    """The worst price taken, in ticks; None takes any."""

    def __post_init__(self) -> None:
        if self.lots == 0:
            raise ValueError(f"forced order {self.id}: found 0 lots; allowed: lots above or below 0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """Two orders met: the house is to stand between their accounts."""

    id: str
    """Unique at the venue."""
    symbol: str
    lots: int
    """Above 0; what the buyer bought and the seller sold."""
    ticks: int
    buyer: str
    seller: str
    buy_order: str
    sell_order: str
    buyer_took: bool
    """Whether the buyer's order came second and took the seller's price."""
    one_owner: bool = False
    """Both accounts have one owner, and the venue let them trade."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Closed:
    """An order is over with `lots` untraded (signed as ordered; 0: it traded in full); nothing more comes of it."""

    symbol: str
    account: str
    order: str
    lots: int
    why: str
    """`traded`, `cancelled`, `nothing_to_take`, `would_take`, `reduces_nothing`, `meets_own_order` or `delisted`."""


Report = Trade | Closed


class Venue(Protocol):
    """What the house needs of a venue. Nothing here waits: what became of an order is in the reports."""

    def force(self, orders: Sequence[ForcedOrder]) -> None:
        """Take forced orders, in order. What could not be traded at once is closed, not kept."""

    def cancel(self, account: str, symbol: str | None = None) -> None:
        """Cancel the resting orders of an account, in one instrument or in all."""

    def reports(self) -> Sequence[Report]:
        """Return what happened since the last call, in the order in which it happened."""
