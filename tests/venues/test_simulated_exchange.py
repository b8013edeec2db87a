"""The simulated venue is a venue: forced orders and cancellations in, all that happened out in order."""

import pytest

from crossmargin.clearing import Closed, ForcedOrder, Trade, Venue
from crossmargin.venues.simulated import OwnOrders, SimulatedVenue


def venue_of(*symbols, **terms):
    venue = SimulatedVenue({"ann": "ann", "ann-2": "ann"}, **terms)
    for symbol in symbols:
        venue.start(symbol)
    return venue


def test_it_is_a_venue():
    venue: Venue = venue_of("X")
    assert venue.reports() == []


def test_reports_tell_trades_and_ends_of_orders_in_order_and_once():
    venue = venue_of("X")
    venue.submit("X", venue.order("offer", "bob", -3, 100))
    venue.submit("X", venue.order("buy", "ann", 5, 100, immediate=True))
    assert venue.reports() == [
        Trade(
            id="X#1",
            symbol="X",
            lots=3,
            ticks=100,
            buyer="ann",
            seller="bob",
            buy_order="buy",
            sell_order="offer",
            buyer_took=True,
        ),
        Closed(symbol="X", account="bob", order="offer", lots=0, why="traded"),
        Closed(symbol="X", account="ann", order="buy", lots=2, why="nothing_to_take"),
    ]
    assert venue.reports() == []


def test_a_forced_order_walks_the_book_reduces_only_and_keeps_nothing_behind():
    venue = venue_of("X")
    for k in range(3):
        venue.submit("X", venue.order(f"bid {k}", "bob", 10, 100 - k))
    venue.books["X"].tell_position("ann", 25)
    venue.force([ForcedOrder(id="f", account="ann", symbol="X", lots=-40)])
    trades = [report for report in venue.reports() if isinstance(report, Trade)]
    assert [(trade.lots, trade.ticks) for trade in trades] == [(10, 100), (10, 99), (5, 98)]
    assert {(trade.seller, trade.buyer) for trade in trades} == {("ann", "bob")}
    assert venue.books["X"].depth(-1) == []
    assert venue.books["X"].depth(1) == [(98, 5)]


def test_a_forced_order_stops_at_its_limit():
    venue = venue_of("X")
    venue.submit("X", venue.order("near", "bob", 10, 100))
    venue.submit("X", venue.order("far", "bob", 10, 90))
    venue.books["X"].tell_position("ann", 20)
    venue.force([ForcedOrder(id="f", account="ann", symbol="X", lots=-20, limit=95)])
    told = venue.reports()
    assert [report.lots for report in told if isinstance(report, Trade)] == [10]
    assert told[-1] == Closed(symbol="X", account="ann", order="f", lots=-10, why="nothing_to_take")


def test_a_forced_order_that_comes_twice_trades_once():
    venue = venue_of("X")
    venue.submit("X", venue.order("bid", "bob", 10, 100))
    venue.books["X"].tell_position("ann", 10)
    forced = ForcedOrder(id="f", account="ann", symbol="X", lots=-4)
    venue.force([forced])
    venue.force([forced])
    assert venue.books["X"].held == {"ann": 6, "bob": 4}


def test_cancelling_an_account_reaches_every_book_or_the_one_that_is_named():
    venue = venue_of("X", "Y")
    for symbol in ("X", "Y"):
        venue.submit(symbol, venue.order(f"{symbol} bid", "ann", 1, 5))
        venue.submit(symbol, venue.order(f"{symbol} other", "bob", 1, 5))
    venue.cancel("ann", "X")
    assert [(report.order, report.lots) for report in venue.reports()] == [("X bid", 1)]
    venue.cancel("ann")
    assert [(report.order, report.lots) for report in venue.reports()] == [("Y bid", 1)]


def test_an_instrument_that_stops_trading_closes_its_orders_and_is_gone():
    venue = venue_of("X")
    venue.submit("X", venue.order("bid", "ann", 2, 5))
    venue.stop("X")
    assert venue.reports() == [Closed(symbol="X", account="ann", order="bid", lots=2, why="delisted")]
    with pytest.raises(ValueError, match="found X; allowed: nothing is listed"):
        venue.submit("X", venue.order("bid", "ann", 2, 5))


def test_trades_between_accounts_of_one_owner_are_flagged_where_they_are_allowed():
    venue = venue_of("X", own_orders=OwnOrders.ALLOW)
    venue.submit("X", venue.order("offer", "ann", -3, 100))
    venue.submit("X", venue.order("buy", "ann-2", 3, 100))
    assert [report.one_owner for report in venue.reports() if isinstance(report, Trade)] == [True]


def test_a_symbol_is_listed_once():
    venue = venue_of("X")
    with pytest.raises(ValueError, match="found X listed already"):
        venue.start("X")


def test_a_forced_order_for_nothing_is_refused():
    with pytest.raises(ValueError, match="found 0 lots"):
        ForcedOrder(id="f", account="ann", symbol="X", lots=0)
