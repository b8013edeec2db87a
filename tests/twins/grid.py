"""Slow twin of grid margin: every group, cell and set of things owned outright, one at a time."""

from collections import defaultdict
from itertools import chain, combinations
from math import isclose

from crossmargin.instruments import Option


class Holding:
    """A leg or a balance: what of it loses in a scenario, and what it counts."""

    def __init__(self, name, *, owned, counted, loss, shorts=(), option=False):
        self.name, self.owned, self.counted = name, owned, counted
        self.loss = loss
        """(group, cell) -> loss."""
        self.shorts = shorts
        """Pairs (bucket, signed charge) of the short-option minimum."""
        self.option = option


def cells_of(shape, group):
    """Return (relative move, vol factor before the tenor, weight) of a group's cells."""
    undeclared = group.asset_class == "other" and group.symbol in ("BTC", "ETH")
    if group.symbol in shape.range_by_name and not undeclared:
        span = shape.range_by_name[group.symbol]
    else:
        span = shape.range_by_class.get(group.asset_class, shape.range_by_class["other"])
    cells = [
        (fraction * span, factor, 1.0)
        for fraction in shape.price_fractions
        for factor in (1 + shape.vol_up, 1.0, 1 - shape.vol_down)
    ]
    far = shape.extreme_multiple * span
    return [*cells, (far, 1.0, shape.extreme_weight), (-far, 1.0, shape.extreme_weight)]


def vol_factor(shape, factor, tau):
    days = tau * 365
    power = shape.tenor.short_power if days < shape.tenor.pivot_days else shape.tenor.long_power
    return max(1 + (factor - 1) * (shape.tenor.pivot_days / days) ** power, 0.0)


class Moves:
    """How one cell of one group moves each asset's value and each contract's underlying."""

    def __init__(self, world, shape, prices, group, cell):
        self.group_of = {a.symbol: a.group for a in world.assets}
        self.any_domain = {i.underlying for i in world.instruments if i.price_domain == "any"}
        self.followers = {i.quote for i in world.instruments if i.underlying == prices.currency}
        self.underlyings = {i.underlying for i in world.instruments}
        self.shape, self.prices, self.group = shape, prices, group
        self.move, self.factor, self.weight = cell

    def asset(self, name):
        """The relative change of one unit's value."""
        if name == self.prices.currency or name in self.any_domain:
            return 0.0
        if name in self.followers:
            return 1 / (1 + self.move) - 1 if self.group == self.group_of[self.prices.currency] else 0.0
        return max(self.move, 1e-9 - 1) if self.group_of[name] == self.group else 0.0

    def contract(self, symbol):
        """The change in value of one contract, in the reporting currency."""
        prices, instrument = self.prices, self.prices.instruments[symbol]
        move = factor = None
        if self.group_of[instrument.underlying] != self.group and not self.asset(instrument.settle):
            return 0.0
        if self.group_of[instrument.underlying] == self.group:
            move, factor = self.move, self.factor
            if instrument.price_domain == "any":
                floor = self.shape.any_floor_by_name.get(instrument.underlying, self.shape.any_floor)
                move *= max(abs(prices.index(instrument)), floor)
            if isinstance(instrument, Option):
                factor = vol_factor(self.shape, factor, prices.tau(instrument))
        settle = 1 + self.asset(instrument.settle)
        after = prices.contract(symbol) if move is None else prices.contract(symbol, move, factor)
        return (after * settle - prices.contract(symbol)) * prices.fx(instrument.settle)


def holdings_of(world, model, pool, counted, prices):
    """Return the holdings of a pool and the weight of every (group, cell)."""
    assets = {a.symbol: a for a in world.assets}
    groups = sorted({a.group for a in world.assets})
    moves = [
        (g, k, Moves(world, model.shape, prices, g, cell))
        for g in groups
        for k, cell in enumerate(cells_of(model.shape, assets[g]))
    ]
    holdings = []
    for symbol, quantity in pool.quantity.items():
        instrument = prices.instruments[symbol]
        option = isinstance(instrument, Option)
        settle = instrument.settle
        entry = pool.entry_value.get(symbol, 0.0) * prices.fx(settle)
        loss = {(g, k): entry * m.asset(settle) - quantity * m.contract(symbol) for g, k, m in moves}
        shorts = ()
        if option:
            price = abs(prices.index(instrument)) * prices.fx(instrument.quote)
            charge = -quantity * float(instrument.contract_size) * model.short_option_minimum * price
            shorts = (((instrument.underlying, instrument.expiry, instrument.option_type), charge),)
        owned = option and quantity > 0
        value = quantity * prices.contract(symbol) * prices.fx(settle)
        holdings.append(
            Holding(symbol, owned=owned, counted=value if owned else 0.0, loss=loss, shorts=shorts, option=option)
        )
    rows = [(key, key[1], amount, counted[key]) for key, amount in pool.balances.items()]
    if pool.fenced:
        rows.append(("fenced", pool.fenced[0], pool.fenced[1], pool.fenced[1]))
    for key, asset, amount, units in rows:
        price = prices.fx(asset)
        rest = max(amount - units, 0.0)
        loss = {(g, k): -price * (units * m.asset(asset) + rest * max(m.asset(asset), 0.0)) for g, k, m in moves}
        holdings.append(Holding(key, owned=amount > 0, counted=max(units, 0.0) * price, loss=loss))
    return holdings, {(g, k): m.weight for g, k, m in moves}


def core(holdings, weights):
    """Return max(sum over groups of the worst cell, short-option minimum)."""
    worst = defaultdict(float)
    for (group, cell), weight in weights.items():
        worst[group] = max(worst[group], weight * sum(h.loss[group, cell] for h in holdings))
    net = defaultdict(float)
    for holding in holdings:
        for bucket, charge in holding.shorts:
            net[bucket] += charge
    return max(sum(worst.values()), sum(max(charge, 0.0) for charge in net.values()))


def bracket(holdings, weights, factor, without):
    """Return factor x core of all but `without`, plus what `without` counts."""
    kept = [h for h in holdings if h not in without]
    return factor * core(kept, weights) + sum(h.counted for h in without)


def candidate_sets(holdings, weights, factor):
    """Return the sets of things owned outright that must be tried."""
    owned = [h for h in holdings if h.owned]
    exposed = [h for h in owned if h.option or any(h.loss.values())]
    return [
        [],
        [h for h in owned if h.option],
        [h for h in exposed if not h.option],
        exposed,
        owned,
        [h for h in owned if factor * core([h], weights) > h.counted],
    ]


def twin_grid(world, model, pool, counted, prices, credit_factor):
    """Return (maintenance, initial) of one pool."""
    holdings, weights = holdings_of(world, model, pool, counted, prices)

    def least(factor):
        return min(bracket(holdings, weights, factor, w) for w in candidate_sets(holdings, weights, factor))

    maintenance = least(1.0)
    return maintenance, max(least(model.initial_factor * credit_factor), maintenance)


def least_of_all_sets(world, model, pool, counted, prices):
    """Return maintenance as the least over every set of things owned outright, however many there are."""
    holdings, weights = holdings_of(world, model, pool, counted, prices)
    owned = [h for h in holdings if h.owned]
    every = chain.from_iterable(combinations(owned, n) for n in range(len(owned) + 1))
    return min(bracket(holdings, weights, 1.0, without) for without in every)


def near_a_tie(world, model, pool, counted, prices, factor):
    """Return whether something owned outright is worth, to rounding, just what it needs on its own.

    Which side of the set "dearer than worth" it falls on is then a matter of the last bit.
    """
    holdings, weights = holdings_of(world, model, pool, counted, prices)
    return any(
        h.owned and h.counted and isclose(factor * core([h], weights), h.counted, rel_tol=1e-9) for h in holdings
    )
