"""Orders, and what becomes of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum, unique


@unique
class OwnOrders(StrEnum):
    """What happens when an order would trade against another of the same owner."""

    CANCEL_INCOMING = "cancel_incoming"
    """What is left of the order that comes second is cancelled."""
    CANCEL_RESTING = "cancel_resting"
    """The order that came first is cancelled, and the second goes on."""
    ALLOW = "allow"
    """They trade, and the trade is flagged."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An order as it comes in.

    With a limit it trades at that price or better; what is left rests, or is cancelled where it is `immediate`.
    Without one it is a market order: it takes any price and never rests.
    """

    id: str
    account: str
    owner: str
    lots: int
    """Bought > 0, sold < 0; never 0."""
    limit: int | None = None
    """In ticks; may be 0 or below where the instrument's prices may."""
    immediate: bool = False
    """Immediate or cancel: never rests."""
    reduce_only: bool = False
    """Never trades more than the account holds the other way, now or while it rests."""
    post_only: bool = False
    """Only rests: it is cancelled where it would take."""

    def __post_init__(self) -> None:
        if self.lots == 0:
            raise ValueError(f"order {self.id}: found 0 lots; allowed: lots above or below 0")
        if self.post_only and (self.limit is None or self.immediate):
            raise ValueError(
                f"order {self.id}: found post_only for an order that cannot rest; allowed: a resting limit"
            )

    @property
    def side(self) -> int:
        """1 for a buy, -1 for a sell."""
        return 1 if self.lots > 0 else -1

    @property
    def rests(self) -> bool:
        """Whether what cannot be traded at once stays in the book."""
        return self.limit is not None and not self.immediate


@dataclass(frozen=True, slots=True, kw_only=True)
class Fill:
    """Two orders met: the second took `lots` (> 0) at the price of the first."""

    incoming: Order
    resting: Order
    lots: int
    ticks: int

    @property
    def one_owner(self) -> bool:
        """Whether both accounts have one owner."""
        return self.incoming.owner == self.resting.owner


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """An order left, with `lots` untraded (> 0, or 0 where it traded in full)."""

    order: Order
    lots: int
    why: str


Outcome = list[Fill | Ended]
"""What one order led to, in the order in which it happened."""
