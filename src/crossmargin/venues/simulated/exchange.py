"""A venue that is simulated: an order book an instrument, and a stream of reports."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from crossmargin.clearing import Closed, ForcedOrder, Report, Trade
from crossmargin.venues.simulated.order_book import OrderBook
from crossmargin.venues.simulated.orders import Ended, Fill, Order, Outcome, OwnOrders


class SimulatedVenue:
    """Order books by symbol. A `Venue` for the house, and `submit` for everybody else.

    Deterministic: no clock and no chance inside; trades are numbered as they happen, by instrument.
    """

    __slots__ = ("_forced", "_own_orders", "_owners", "_reports", "_trades", "books")

    def __init__(self, owners: Mapping[str, str], own_orders: OwnOrders = OwnOrders.CANCEL_INCOMING) -> None:
        """owners: owner by account; an account that is not in it owns itself."""
        self.books: dict[str, OrderBook] = {}
        self._owners = owners
        self._own_orders = own_orders
        self._reports: list[Report] = []
        self._trades: dict[str, int] = {}
        self._forced: set[str] = set()

    # --- instruments

    def start(self, symbol: str, *, signed: bool = False) -> None:
        """Start trading an instrument; `signed` where its prices may be 0 or below."""
        if symbol in self.books:
            raise ValueError(f"venue: found {symbol} listed already; allowed: a new symbol")
        self.books[symbol] = OrderBook(signed=signed, own_orders=self._own_orders)
        self._trades[symbol] = 0

    def stop(self, symbol: str) -> None:
        """Stop trading an instrument; its resting orders are closed."""
        self._tell(symbol, self._book(symbol).clear())
        del self.books[symbol]

    # --- orders of traders

    def order(self, id: str, account: str, lots: int, limit: int | None = None, **terms: bool) -> Order:
        """Return an order of an account, with its owner filled in; `terms` as those of `Order`."""
        return Order(id=id, account=account, owner=self._owners.get(account, account), lots=lots, limit=limit, **terms)

    def submit(self, symbol: str, order: Order) -> Outcome:
        """Match an order. What happened is returned, and is in the reports too."""
        outcome = self._book(symbol).submit(order)
        self._tell(symbol, outcome)
        return outcome

    def withdraw(self, symbol: str, order: str) -> Ended | None:
        """Cancel one resting order; None where it is gone."""
        ended = self._book(symbol).cancel(order)
        if ended is not None:
            self._tell(symbol, [ended])
        return ended

    # --- the house

    def force(self, orders: Sequence[ForcedOrder]) -> None:
        """Take forced orders: immediate and reduce-only. One of an id that was here before changes nothing."""
        for forced in orders:
            if forced.id in self._forced:
                continue
            self._forced.add(forced.id)
            order = self.order(forced.id, forced.account, forced.lots, forced.limit, immediate=True, reduce_only=True)
            self.submit(forced.symbol, order)

    def cancel(self, account: str, symbol: str | None = None) -> None:
        """Cancel the resting orders of an account, in one instrument or in all."""
        for name in [symbol] if symbol is not None else list(self.books):
            self._tell(name, self._book(name).cancel_account(account))

    def reports(self) -> Sequence[Report]:
        """Return what happened since the last call, in order."""
        told, self._reports = self._reports, []
        return told

    # --- inside

    def _book(self, symbol: str) -> OrderBook:
        try:
            return self.books[symbol]
        except KeyError:
            raise ValueError(
                f"venue: found {symbol}; allowed: {', '.join(self.books) or 'nothing is listed'}"
            ) from None

    def _tell(self, symbol: str, outcome: Outcome) -> None:
        for what in outcome:
            self._reports.append(self._trade(symbol, what) if isinstance(what, Fill) else _closed(symbol, what))

    def _trade(self, symbol: str, fill: Fill) -> Trade:
        self._trades[symbol] += 1
        buys = fill.incoming.lots > 0
        buy, sell = (fill.incoming, fill.resting) if buys else (fill.resting, fill.incoming)
        return Trade(
            id=f"{symbol}#{self._trades[symbol]}",
            symbol=symbol,
            lots=fill.lots,
            ticks=fill.ticks,
            buyer=buy.account,
            seller=sell.account,
            buy_order=buy.id,
            sell_order=sell.id,
            buyer_took=buys,
            one_owner=fill.one_owner,
        )


def _closed(symbol: str, ended: Ended) -> Closed:
    order = ended.order
    return Closed(symbol=symbol, account=order.account, order=order.id, lots=order.side * ended.lots, why=ended.why)
