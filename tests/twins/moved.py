"""Slow twin of a price move: the market a book would be evaluated at, stated in full, and a walk along it."""

from dataclasses import replace

import numpy as np

from crossmargin.instruments import Option
from crossmargin.market import Mark
from crossmargin.standing import evaluate
from tests.twins.prices import Prices


def moved(world, asset, price):
    """Return the market with the price of `asset` at `price`: its index and its value, its marks and forwards.

    Marks and forwards keep their ratio to the index, or their difference where the domain is `any`. Options keep
    their vols, which the market must state. All else is held.
    """
    market, prices = world.market, Prices(world)
    on_it = [i for i in world.instruments if i.underlying == asset]
    any_domain = any(i.price_domain == "any" for i in on_it)
    now = market.prices[asset] if asset in market.prices else prices.fx(asset)

    def shifted(value):
        return value + (price - now) if any_domain else value * (price / now)

    marks = dict(market.marks)
    for instrument in on_it:
        mark = marks.get(instrument.symbol)
        if mark is not None and mark.price is not None:
            assert not isinstance(instrument, Option), "the twin takes vols, not prices of options"
            marks[instrument.symbol] = Mark(price=shifted(mark.price))
    changes = {"marks": marks}
    if asset in market.prices:
        changes["prices"] = {**market.prices, asset: price}
    if asset not in market.prices and asset not in market.fx:
        changes["fx"] = {**market.fx, asset: price}
    elif asset in market.fx:
        changes["fx"] = {**market.fx, asset: shifted(market.fx[asset])}
    if asset in market.forwards:
        forwards = {day: shifted(forward) for day, forward in market.forwards[asset].items()}
        changes["forwards"] = {**market.forwards, asset: forwards}
    return replace(market, **changes)


def pinned(world):
    """Return the world with today's mark as the entry price of every position that has none: it was settled today."""
    prices = Prices(world)

    def entered(position):
        instrument = prices.instruments[position.symbol]
        if position.entry_price is not None or isinstance(instrument, Option):
            return position
        return replace(position, entry_price=prices.mark(instrument))

    accounts = [replace(a, positions=tuple(map(entered, a.positions))) for a in world.accounts]
    return world.but(accounts=tuple(accounts))


class Walk:
    """The margin of one pool as the price of one asset moves, by evaluating the whole book anew at every price."""

    def __init__(self, world, rules, pool, asset):
        self.world, self.rules, self.pool, self.asset = world, rules, pool, asset
        self.book = pinned(world).book()

    def at(self, price):
        """Return the standing at a price of the asset."""
        return evaluate(self.book, moved(self.world, self.asset, price), self.rules)

    def excess(self, price):
        """Return margin_balance - maintenance margin; at or below 0 the pool is in breach."""
        standing = self.at(float(price))
        return float(standing.margin_balance[self.pool] - standing.maintenance_margin[self.pool])

    def breaches(self, prices):
        """Return whether the pool is in breach at each price."""
        return np.array([self.excess(price) <= 0 for price in prices])
