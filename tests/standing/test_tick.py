"""A tick: the standing at new prices is that of the whole book, bit for bit, and only what moved is margined."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.cli.books import load as load_book
from crossmargin.rules import load
from crossmargin.standing import after_tick, evaluate
from crossmargin.units import utc
from tests.strategies import worlds

NAMES = ("portfolio", "grid", "standard")


def bits(standing):
    """Return every number of a standing, and the names it would be told with."""
    found, pools = standing.requirement, standing.pools
    worst = found.worst
    return (
        *(
            column.tobytes()
            for column in (
                found.initial,
                found.maintenance,
                found.leg_share,
                found.balance_share,
                standing.worth.net_value,
                standing.initial_margin,
                standing.status,
            )
        ),
        [found.terms.of_pool(p) for p in range(pools.count)],
        [found.above_maintenance.of_pool(p) for p in range(pools.count)] if found.above_maintenance else None,
        [
            worst.name(int(worst.block[p]), int(worst.scenario[p])) if worst.scenario[p] >= 0 else None
            for p in range(pools.count)
        ]
        if worst
        else None,
    )


def moved(market, name, factor):
    prices = {u: p * factor if u == name else p for u, p in market.prices.items()}
    marks = {
        symbol: replace(mark, price=mark.price * factor) if mark.price is not None and symbol.startswith(name) else mark
        for symbol, mark in market.marks.items()
    }
    return replace(market, prices=prices, marks=marks)


@pytest.mark.parametrize("rules", NAMES)
def test_ticks_one_after_another_give_what_the_whole_book_gives(rules):
    demo, book = load_book("demo"), load(rules)
    market = demo.market
    standing = evaluate(demo.book, market, book)
    for name, factor in (("ETH", 1.01), ("BTC", 0.97), ("ETH", 0.99), ("SPX", 1.002), ("WTI", 1.05)):
        market = moved(market, name, factor)
        standing = after_tick(standing, market)
        assert bits(standing) == bits(evaluate(demo.book, market, book))


@given(world=worlds(), name=st.sampled_from(("BTC", "ETH", "DAX", "EUR")), factor=st.sampled_from((0.9, 1.0, 1.2)))
@settings(max_examples=25)
def test_a_tick_gives_what_the_whole_book_gives(world, name, factor):
    book, rules = world.book(), load("portfolio")
    market = replace(world.market, prices={**world.market.prices, name: world.market.prices[name] * factor})
    found = after_tick(evaluate(book, world.market, rules), market)
    assert bits(found) == bits(evaluate(book, market, rules))


def test_only_pools_that_hold_what_moved_are_margined(monkeypatch):
    demo, rules = load_book("demo"), load("portfolio")
    standing = evaluate(demo.book, demo.market, rules)
    asked = []
    model = type(rules.model)
    whole = model.requirement
    monkeypatch.setattr(model, "requirement", lambda self, p: asked.append(p.pools.count) or whole(self, p))
    after_tick(standing, moved(demo.market, "WTI", 1.03))
    terms = standing.valuation.catalogue
    oil = terms.asset_number["WTI"]
    holding = np.unique(standing.pools.leg_pool[terms.underlying[standing.pools.leg_instrument] == oil])
    assert asked == [len(holding)]
    assert len(holding) < standing.pools.count
    asked.clear()
    after_tick(standing, demo.market)
    assert asked == []


def test_on_another_day_every_pool_is_margined(monkeypatch):
    demo, rules = load_book("demo"), load("portfolio")
    standing = evaluate(demo.book, demo.market, rules)
    tomorrow = replace(demo.market, time=utc("2026-11-21T08:00:00Z"))
    assert bits(after_tick(standing, tomorrow)) == bits(evaluate(demo.book, tomorrow, rules))
