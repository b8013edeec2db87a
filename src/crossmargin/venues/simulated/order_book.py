"""The order book of one instrument: whole ticks and lots, best price first, then first come first served."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass, field

from crossmargin.venues.simulated.orders import Ended, Fill, Order, Outcome, OwnOrders


@dataclass(slots=True)
class _Resting:
    order: Order
    lots: int
    """Still to trade, above 0."""


@dataclass(slots=True)
class _Side:
    """The resting orders of one side. Levels are ranked by -side * ticks, so that the best is the least."""

    side: int
    ranks: list[int] = field(default_factory=list)
    levels: dict[int, dict[str, _Resting]] = field(default_factory=dict)
    """Rank -> order id -> order; a dict keeps the order of arrival."""

    def add(self, resting: _Resting) -> None:
        assert resting.order.limit is not None
        rank = -self.side * resting.order.limit
        if rank not in self.levels:
            insort(self.ranks, rank)
            self.levels[rank] = {}
        self.levels[rank][resting.order.id] = resting

    def remove(self, order: Order) -> None:
        assert order.limit is not None
        rank = -self.side * order.limit
        level = self.levels[rank]
        del level[order.id]
        if not level:
            del self.levels[rank]
            del self.ranks[bisect_left(self.ranks, rank)]

    def best(self) -> int | None:
        return -self.side * self.ranks[0] if self.ranks else None

    def first(self) -> _Resting:
        return next(iter(self.levels[self.ranks[0]].values()))

    def orders(self) -> Iterator[_Resting]:
        for rank in self.ranks:
            yield from self.levels[rank].values()


class OrderBook:
    """Price-time priority. No clock: what comes first is what is submitted first.

    `held` is what each account holds, in lots, as far as this book has seen: its own trades, and what it was told
    by `tell_position`. Only reduce-only orders look at it.
    """

    __slots__ = ("_orders", "_sides", "held", "own_orders", "signed")

    def __init__(self, *, signed: bool = False, own_orders: OwnOrders = OwnOrders.CANCEL_INCOMING) -> None:
        self.signed = signed
        """Whether prices may be 0 or below."""
        self.own_orders = own_orders
        self.held: dict[str, int] = {}
        self._sides = {1: _Side(1), -1: _Side(-1)}
        self._orders: dict[str, _Resting] = {}

    # --- orders

    def submit(self, order: Order) -> Outcome:
        """Match an order, and let it rest where it may. Returns its fills, and every order that ended by it.

        Raises ValueError for the id of an order that rests already, and for a limit at or below 0 where the
        instrument has no such prices.
        """
        if order.id in self._orders:
            raise ValueError(f"order {order.id}: found the id of a resting order; allowed: a new one")
        if order.limit is not None and order.limit <= 0 and not self.signed:
            raise ValueError(f"order {order.id}: found limit {order.limit}; allowed: above 0 for this instrument")
        if order.post_only and self._crosses(order):
            return [Ended(order=order, lots=abs(order.lots), why="would_take")]
        outcome: Outcome = []
        left = abs(order.lots)
        opposite = self._sides[-order.side]
        why = "nothing_to_take"
        while left and self._crosses(order):
            resting = opposite.first()
            lots = min(left, resting.lots)
            if order.reduce_only:
                lots = min(lots, self._reducible(order))
                if lots == 0:
                    break
            if resting.order.reduce_only:
                lots = min(lots, self._reducible(resting.order))
                if lots == 0:
                    outcome.append(self._end(resting, "reduces_nothing"))
                    continue
            if resting.order.owner == order.owner and self.own_orders is not OwnOrders.ALLOW:
                if self.own_orders is OwnOrders.CANCEL_RESTING:
                    outcome.append(self._end(resting, "meets_own_order"))
                    continue
                why = "meets_own_order"
                break
            outcome.append(self._fill(order, resting, lots))
            left -= lots
            if resting.lots == 0:
                outcome.append(self._end(resting, "traded"))
        if left == 0:
            outcome.append(Ended(order=order, lots=0, why="traded"))
        elif order.reduce_only and self._reducible(order) == 0:
            outcome.append(Ended(order=order, lots=left, why="reduces_nothing"))
        elif order.rests and why == "nothing_to_take":
            self._orders[order.id] = resting = _Resting(order, left)
            self._sides[order.side].add(resting)
        else:
            outcome.append(Ended(order=order, lots=left, why=why))
        return outcome

    def cancel(self, order: str) -> Ended | None:
        """Take a resting order out; None where there is none of that id (it may have traded meanwhile)."""
        resting = self._orders.get(order)
        return self._end(resting, "cancelled") if resting is not None else None

    def cancel_account(self, account: str) -> Outcome:
        """Take every resting order of an account out, in order of arrival."""
        mine = [resting for resting in self._orders.values() if resting.order.account == account]
        return [self._end(resting, "cancelled") for resting in mine]

    def clear(self) -> Outcome:
        """Take every order out: the instrument trades no more."""
        return [self._end(resting, "delisted") for resting in list(self._orders.values())]

    def tell_position(self, account: str, lots: int) -> None:
        """Say what an account holds, where it did not come by it here."""
        self.held[account] = lots

    # --- what the book looks like

    def best(self, side: int) -> int | None:
        """Return the best price of a side (1 bids, -1 offers) in ticks; None where nobody is there."""
        return self._sides[side].best()

    def depth(self, side: int) -> list[tuple[int, int]]:
        """Return (ticks, lots) of every level of a side, best first."""
        of = self._sides[side]
        return [(-side * rank, sum(resting.lots for resting in of.levels[rank].values())) for rank in of.ranks]

    def average(self, side: int, lots: int) -> float | None:
        """Return the average price, in ticks, at which `lots` (> 0) would trade against a side; None: too few there."""
        left, paid = lots, 0
        for ticks, there in self.depth(side):
            taken = min(left, there)
            left, paid = left - taken, paid + taken * ticks
            if left == 0:
                return paid / lots
        return None

    def resting(self, order: str) -> int:
        """Return the lots (> 0) an order still has in the book; 0 where it is not there."""
        found = self._orders.get(order)
        return found.lots if found is not None else 0

    def orders(self, side: int) -> list[tuple[Order, int]]:
        """Return the orders of a side with the lots they still have, in the order in which they would trade."""
        return [(resting.order, resting.lots) for resting in self._sides[side].orders()]

    # --- inside

    def _crosses(self, order: Order) -> bool:
        best = self._sides[-order.side].best()
        return best is not None and (order.limit is None or order.side * (order.limit - best) >= 0)

    def _reducible(self, order: Order) -> int:
        return max(0, -order.side * self.held.get(order.account, 0))

    def _fill(self, order: Order, resting: _Resting, lots: int) -> Fill:
        assert resting.order.limit is not None
        resting.lots -= lots
        for side, account in ((order.side, order.account), (-order.side, resting.order.account)):
            self.held[account] = self.held.get(account, 0) + side * lots
        return Fill(incoming=order, resting=resting.order, lots=lots, ticks=resting.order.limit)

    def _end(self, resting: _Resting, why: str) -> Ended:
        del self._orders[resting.order.id]
        self._sides[resting.order.side].remove(resting.order)
        return Ended(order=resting.order, lots=resting.lots, why=why)
