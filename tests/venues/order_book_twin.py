"""The order book again, slow and obvious: one list, searched for the best order each time."""

from crossmargin.venues.simulated import Ended, Fill, Order, OwnOrders


class PlainBook:
    """Orders in order of arrival, as [order, lots left]."""

    def __init__(self, own_orders: OwnOrders):
        self.own_orders = own_orders
        self.rows: list[list] = []
        self.held: dict[str, int] = {}

    def best_against(self, order: Order) -> list | None:
        """Return the row an order would trade with: the best price, then the earliest."""
        buys = order.lots > 0
        found = None
        for row in self.rows:
            price = row[0].limit
            if (row[0].lots > 0) == buys:
                continue
            if order.limit is not None and (price > order.limit if buys else price < order.limit):
                continue
            if found is None or (price < found[0].limit if buys else price > found[0].limit):
                found = row
        return found

    def may_reduce(self, order: Order) -> int:
        held = self.held.get(order.account, 0)
        return max(0, -held if order.lots > 0 else held)

    def drop(self, row: list, why: str) -> Ended:
        self.rows.remove(row)
        return Ended(order=row[0], lots=row[1], why=why)

    def submit(self, order: Order) -> list:
        told: list = []
        left = abs(order.lots)
        if order.post_only and self.best_against(order):
            return [Ended(order=order, lots=left, why="would_take")]
        while left:
            row = self.best_against(order)
            if row is None:
                break
            lots = min(left, row[1])
            if order.reduce_only:
                lots = min(lots, self.may_reduce(order))
                if lots == 0:
                    break
            if row[0].reduce_only and self.may_reduce(row[0]) == 0:
                told.append(self.drop(row, "reduces_nothing"))
                continue
            if row[0].reduce_only:
                lots = min(lots, self.may_reduce(row[0]))
            if row[0].owner == order.owner and self.own_orders == OwnOrders.CANCEL_RESTING:
                told.append(self.drop(row, "meets_own_order"))
                continue
            if row[0].owner == order.owner and self.own_orders == OwnOrders.CANCEL_INCOMING:
                if order.reduce_only and self.may_reduce(order) == 0:
                    break
                return [*told, Ended(order=order, lots=left, why="meets_own_order")]
            sign = 1 if order.lots > 0 else -1
            self.held[order.account] = self.held.get(order.account, 0) + sign * lots
            self.held[row[0].account] = self.held.get(row[0].account, 0) - sign * lots
            left -= lots
            row[1] -= lots
            told.append(Fill(incoming=order, resting=row[0], lots=lots, ticks=row[0].limit))
            if row[1] == 0:
                told.append(self.drop(row, "traded"))
        if left == 0:
            return [*told, Ended(order=order, lots=0, why="traded")]
        if order.reduce_only and self.may_reduce(order) == 0:
            return [*told, Ended(order=order, lots=left, why="reduces_nothing")]
        if order.limit is None or order.immediate:
            return [*told, Ended(order=order, lots=left, why="nothing_to_take")]
        self.rows.append([order, left])
        return told

    def cancel(self, order: str) -> Ended | None:
        for row in self.rows:
            if row[0].id == order:
                return self.drop(row, "cancelled")
        return None

    def orders(self, side: int) -> list[tuple[Order, int]]:
        """Return the orders of a side as they would trade."""
        rows = [row for row in self.rows if (row[0].lots > 0) == (side > 0)]
        return [(row[0], row[1]) for row in sorted(rows, key=lambda row: -side * row[0].limit)]
