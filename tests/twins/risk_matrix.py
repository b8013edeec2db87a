"""Slow twin of the risk matrix: every group and every cell, one contract at a time."""

from collections import defaultdict
from math import inf

from crossmargin.instruments import Option
from crossmargin.units import years_between

STEP = 1e-5


def of(by_group, asset):
    undeclared = asset.asset_class == "other" and asset.symbol in ("BTC", "ETH")
    if asset.symbol in by_group.by_name and not undeclared:
        return by_group.by_name[asset.symbol]
    return by_group.by_class.get(asset.asset_class, by_group.by_class["other"])


def cells_of(model, asset):
    """Return (move, vol kind, extended) of each cell of a group."""
    span = of(model.price_range, asset)
    cells = []
    for j in range(-model.buckets, model.buckets + 1):
        for kind in ("up", "same", "down"):
            cells.append((span * j / model.buckets, kind, False))
    return [*cells, *((move, "up", True) for move in model.extended_moves)]


def contract_profit(model, prices, symbol, asset, cell):
    """The P&L of one contract in a cell, in the reporting currency."""
    instrument = prices.instruments[symbol]
    move, kind, extended = cell
    fx = prices.fx(instrument.settle)
    size = float(instrument.contract_size)
    if not isinstance(instrument, Option):
        span = of(model.price_range, asset)
        move = min(max(move, -span), span) if extended else move
        mark = prices.mark(instrument)
        if instrument.inverse:
            return size / mark * (1 - 1 / (1 + move)) * fx
        return size * mark * move * fx
    vol = prices.market.marks[symbol].iv
    shock = of(model.vol, asset)
    days = prices.tau(instrument) * 365
    power = model.tenor.short_power if days < model.tenor.pivot_days else model.tenor.long_power
    scale = (model.tenor.pivot_days / days) ** power
    shocked = {
        "up": max(vol, shock.least) * (1 + shock.up * scale),
        "same": vol,
        "down": vol * max(1 - shock.down * scale, 0.0),
    }[kind]
    return (prices.contract(symbol, move, shocked / vol) - prices.contract(symbol)) * fx


def delta_of(prices, symbol):
    """What one contract gains in its settle asset a relative move, in the reporting currency."""
    instrument = prices.instruments[symbol]
    rise = prices.contract(symbol, STEP) - prices.contract(symbol, -STEP)
    return rise / (2 * STEP) * prices.fx(instrument.settle)


def twin_matrix(world, model, pool, prices):
    """Return (maintenance, initial) of one pool before the credit factor, and its terms by name."""
    assets = {a.symbol: a for a in world.assets}
    legs = defaultdict(list)
    for symbol, quantity in pool.quantity.items():
        instrument = prices.instruments[symbol]
        legs[assets[instrument.underlying].group].append((symbol, quantity))
    if not legs:
        return 0.0, 0.0, {}
    settles = {prices.instruments[s].settle for s in pool.quantity}
    numeraire = prices.fx(settles.pop()) if len(settles) == 1 else 1.0
    counted = {}
    roll = delta = 0.0
    for group, held in legs.items():
        asset = assets[group]
        offset, beyond = of(model.offset, asset), of(model.extended, asset)
        row = []
        for cell in cells_of(model, asset):
            total = sum(q * contract_profit(model, prices, s, asset, cell) for s, q in held)
            if cell[2]:
                total = -max(beyond.factor * -total - beyond.dampener, 0.0)
            elif total > 0:
                total = min(offset.share * total, offset.most)
            row.append(total)
        counted[group] = row
        nets = defaultdict(float)
        for symbol, quantity in held:
            instrument = prices.instruments[symbol]
            if not isinstance(instrument, Option):
                expiry = getattr(instrument, "expiry", None)
                years = inf if expiry is None else years_between(world.market.time, expiry)
                nets[years] += quantity * delta_of(prices, symbol)
        rolls = of(model.roll, asset)
        for years, net in nets.items():
            roll += abs(net) * (rolls.least if years == inf else max(rolls.least, rolls.annual * years))
        first = min((s for s, _ in held), key=lambda s: s)
        price = abs(prices.index(prices.instruments[first])) * prices.fx(prices.instruments[first].quote)
        net = sum(q * delta_of(prices, s) for s, q in held) / price
        shock = of(model.delta, asset)
        above = max(abs(net) - shock.threshold / price, 0.0)
        delta += min(shock.per_unit * above, shock.most) * above * price
    count = len(next(iter(counted.values())))
    worst = max(0.0, *(-sum(row[k] for row in counted.values()) for k in range(count)))
    own = sum(max(0.0, -min(row)) for row in counted.values())

    def rounded(amount):
        return round(amount / numeraire, model.decimals) * numeraire

    terms = {
        "risk matrix": rounded(worst),
        "correlation contingency": model.correlation_contingency * (own - worst),
        "roll shock": roll,
        "delta shock": delta,
    }
    margin = sum(terms.values())
    factor = model.maintenance_factor
    return factor * margin, rounded(margin), {name: factor * amount for name, amount in terms.items()}
