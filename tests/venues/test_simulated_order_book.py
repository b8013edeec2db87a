"""The order book keeps price-time priority, loses no lot and is never crossed."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.venues.simulated import Ended, Fill, Order, OrderBook, OwnOrders
from tests.venues.order_book_twin import PlainBook

OWNERS = {"ann": "ann", "ann-2": "ann", "bob": "bob", "cleo": "cleo"}


def order(id, account, lots, limit=None, **terms):
    return Order(id=id, account=account, owner=OWNERS[account], lots=lots, limit=limit, **terms)


def fills(outcome):
    return [(fill.resting.id, fill.lots, fill.ticks) for fill in outcome if isinstance(fill, Fill)]


def ends(outcome):
    return [(end.order.id, end.lots, end.why) for end in outcome if isinstance(end, Ended)]


def book_of(*orders, **terms):
    book = OrderBook(**terms)
    for one in orders:
        book.submit(one)
    return book


def test_the_best_price_trades_first_and_at_one_price_the_earliest():
    book = book_of(
        order("late", "bob", -5, 101),
        order("first", "ann", -3, 100),
        order("second", "bob", -3, 100),
    )
    assert fills(book.submit(order("buy", "cleo", 8, 101))) == [("first", 3, 100), ("second", 3, 100), ("late", 2, 101)]
    assert book.depth(-1) == [(101, 3)]


def test_a_limit_order_rests_with_what_it_could_not_trade():
    book = book_of(order("offer", "bob", -3, 100))
    assert ends(book.submit(order("bid", "ann", 5, 100))) == [("offer", 0, "traded")]
    assert (book.best(1), book.best(-1), book.resting("bid")) == (100, None, 2)


@pytest.mark.parametrize("terms", [{}, {"limit": 101, "immediate": True}], ids=["market", "immediate"])
def test_an_order_that_does_not_rest_takes_what_is_there_and_is_gone(terms):
    book = book_of(order("offer", "bob", -3, 100), order("far", "bob", -3, 105))
    outcome = book.submit(order("buy", "ann", 10, **terms))
    taken = 6 if not terms else 3
    assert sum(lots for _, lots, _ in fills(outcome)) == taken
    assert ends(outcome)[-1] == ("buy", 10 - taken, "nothing_to_take")
    assert book.resting("buy") == 0


def test_a_large_order_walks_the_book_and_pays_for_it():
    book = book_of(*(order(f"offer {k}", "bob", -10, 100 + k) for k in range(5)))
    walked = fills(book.submit(order("buy", "ann", 35)))
    assert walked == [("offer 0", 10, 100), ("offer 1", 10, 101), ("offer 2", 10, 102), ("offer 3", 5, 103)]
    assert book.best(-1) == 103


def test_the_average_price_of_a_size_is_what_an_order_of_that_size_would_pay():
    book = book_of(*(order(f"offer {k}", "bob", -10, 100 + k) for k in range(5)))
    assert book.average(-1, 10) == 100.0
    assert book.average(-1, 35) == (10 * 100 + 10 * 101 + 10 * 102 + 5 * 103) / 35
    assert book.average(-1, 51) is None
    assert book.average(1, 1) is None


def test_a_post_only_order_never_takes():
    book = book_of(order("offer", "bob", -3, 100))
    assert ends(book.submit(order("bid", "ann", 3, 100, post_only=True))) == [("bid", 3, "would_take")]
    assert book.submit(order("bid", "ann", 3, 99, post_only=True)) == []
    assert book.depth(1) == [(99, 3)]


def test_a_reduce_only_order_stops_where_the_position_is_closed():
    book = book_of(order("bid", "bob", 10, 100))
    book.tell_position("ann", 4)
    outcome = book.submit(order("sell", "ann", -9, reduce_only=True))
    assert fills(outcome) == [("bid", 4, 100)]
    assert ends(outcome) == [("sell", 5, "reduces_nothing")]
    assert book.held["ann"] == 0


def test_a_reduce_only_order_that_rests_is_cancelled_once_there_is_nothing_to_reduce():
    book = OrderBook()
    book.tell_position("ann", 4)
    book.submit(order("stop", "ann", -4, 105, reduce_only=True))
    book.tell_position("ann", 0)
    outcome = book.submit(order("buy", "bob", 2, 105))
    assert fills(outcome) == []
    assert ends(outcome) == [("stop", 4, "reduces_nothing")]
    assert book.depth(1) == [(105, 2)]


@pytest.mark.parametrize(
    ("own_orders", "traded", "ended"),
    [
        (OwnOrders.CANCEL_INCOMING, [], [("buy", 8, "meets_own_order")]),
        (OwnOrders.CANCEL_RESTING, [("bob's", 5, 101)], [("ann's", 5, "meets_own_order"), ("bob's", 0, "traded")]),
        (OwnOrders.ALLOW, [("ann's", 5, 100), ("bob's", 3, 101)], [("ann's", 0, "traded"), ("buy", 0, "traded")]),
    ],
    ids=lambda value: str(value) if isinstance(value, OwnOrders) else "",
)
def test_two_accounts_of_one_owner_trade_only_where_that_is_allowed_and_then_it_shows(own_orders, traded, ended):
    book = book_of(order("ann's", "ann", -5, 100), order("bob's", "bob", -5, 101), own_orders=own_orders)
    outcome = book.submit(order("buy", "ann-2", 8, 101))
    assert fills(outcome) == traded
    assert ends(outcome) == ended
    assert [fill.one_owner for fill in outcome if isinstance(fill, Fill)] == [id == "ann's" for id, _, _ in traded]


def test_prices_at_and_below_zero_trade_where_the_instrument_has_them():
    book = book_of(order("a", "bob", -5, -3763), order("b", "bob", -5, 0), order("c", "bob", -5, 1), signed=True)
    assert fills(book.submit(order("buy", "ann", 12))) == [("a", 5, -3763), ("b", 5, 0), ("c", 2, 1)]


@pytest.mark.parametrize("limit", [0, -1])
def test_a_price_at_or_below_zero_is_refused_where_prices_are_positive(limit):
    with pytest.raises(ValueError, match=rf"found limit {limit}; allowed: above 0"):
        OrderBook().submit(order("bid", "ann", 1, limit))


def test_the_id_of_a_resting_order_is_taken():
    with pytest.raises(ValueError, match="the id of a resting order"):
        book_of(order("bid", "ann", 1, 5), order("bid", "bob", 1, 5))


@pytest.mark.parametrize("terms", [{}, {"limit": 5, "immediate": True}], ids=["market", "immediate"])
def test_an_order_that_cannot_rest_cannot_be_post_only(terms):
    with pytest.raises(ValueError, match="found post_only"):
        order("bid", "ann", 1, post_only=True, **terms)


def test_an_order_for_nothing_is_refused():
    with pytest.raises(ValueError, match="found 0 lots"):
        order("bid", "ann", 0, 5)


def test_all_orders_of_an_account_go_at_once_and_nobody_elses():
    book = book_of(order("a", "ann", 1, 5), order("b", "bob", 1, 5), order("c", "ann", -1, 7))
    assert ends(book.cancel_account("ann")) == [("a", 1, "cancelled"), ("c", 1, "cancelled")]
    assert (book.depth(1), book.depth(-1)) == ([(5, 1)], [])
    assert book.cancel("a") is None


kinds = st.sampled_from(
    [
        {},
        {"immediate": True},
        {"post_only": True},
        {"reduce_only": True},
        {"reduce_only": True, "immediate": True},
        {"market": True},
        {"market": True, "reduce_only": True},
        {"cancel": True},
    ]
)
steps = st.tuples(
    kinds,
    st.sampled_from(sorted(OWNERS)),
    st.integers(-6, 6).filter(bool),
    st.integers(-4, 4),
)


@given(st.sampled_from(OwnOrders), st.lists(steps, max_size=40))
def test_the_book_does_what_its_slow_twin_does_and_keeps_its_invariants(own_orders, given_steps):
    book, twin = OrderBook(signed=True, own_orders=own_orders), PlainBook(own_orders)
    traded: Counter[str] = Counter()
    wanted: Counter[str] = Counter()
    ended: Counter[str] = Counter()
    for k, (terms, account, lots, limit) in enumerate(given_steps):
        if "cancel" in terms:
            # An order of a few steps before: it may rest, have traded, or never have been.
            one, other = book.cancel(f"{k + lots}"), twin.cancel(f"{k + lots}")
            assert one == other
            outcome = [one] if one is not None else []
        else:
            flags = {name: value for name, value in terms.items() if name != "market"}
            new = order(f"{k}", account, lots, None if "market" in terms else limit, **flags)
            wanted[new.id] = abs(lots)
            outcome = book.submit(new)
            assert outcome == twin.submit(new)
        for what in outcome:
            if isinstance(what, Fill):
                traded[what.incoming.id] += what.lots
                traded[what.resting.id] += what.lots
                better = what.incoming.limit is None or what.incoming.side * (what.incoming.limit - what.ticks) >= 0
                assert better
            else:
                ended[what.order.id] += what.lots
        assert book.orders(1) == twin.orders(1)
        assert book.orders(-1) == twin.orders(-1)
        bid, offer = book.best(1), book.best(-1)
        assert bid is None or offer is None or bid < offer
        resting = Counter({one.id: left for side in (1, -1) for one, left in book.orders(side)})
        assert all(wanted[id] == traded[id] + ended[id] + resting[id] for id in wanted)
        assert all(left > 0 for left in resting.values())
    assert sum(book.held.values()) == 0
    assert {name: lots for name, lots in book.held.items() if lots} == {k: v for k, v in twin.held.items() if v}
    for side in (1, -1):
        levels = book.depth(side)
        assert [ticks for ticks, _ in levels] == sorted({ticks for ticks, _ in levels}, reverse=side > 0)
