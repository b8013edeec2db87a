"""Slow twin of pools and collateral: dictionaries and loops, from the texts of the formats."""

from collections import defaultdict
from dataclasses import dataclass
from fractions import Fraction
from math import exp, inf, sqrt

from crossmargin.instruments import Option, Spot

TIERS = ("prime", "standard", "basic")


@dataclass
class TwinPool:
    """What is margined as one: quantity and entry value by symbol, balances by (account, asset, place)."""

    name: str
    credit: str
    quantity: dict
    entry_value: dict
    """In the settle asset; 0 for options."""
    balances: dict
    fenced: tuple = ()
    """(asset, amount) of an isolated position."""


def unit_value_at(instrument, price):
    size = Fraction(instrument.contract_size)
    if instrument.inverse and not isinstance(instrument, Option):
        return -size / Fraction(str(price))
    return size * Fraction(str(price))


def twin_pools(world, prices):
    """Return the pools: groups by id, then lone accounts by id, then isolated positions by account and symbol."""
    grouped = {name: pool.id for pool in world.pools for name in pool.accounts}
    accounts = sorted(world.accounts, key=lambda a: a.id)
    groups = {pool.id: [a for a in accounts if a.id in pool.accounts] for pool in world.pools}
    members = [(name, groups[name]) for name in sorted(groups)]
    members += [(a.id, [a]) for a in accounts if a.id not in grouped]
    return [cross_pool(name, group, prices) for name, group in members] + [
        fenced_pool(account, symbol, rows, prices)
        for account in accounts
        for symbol, rows in sorted(isolated_rows(account).items())
    ]


def mode(account, position):
    return position.margin_mode or account.mode


def isolated_rows(account):
    rows = defaultdict(list)
    for position in account.positions:
        if mode(account, position) == "isolated":
            rows[position.symbol].append(position)
    return rows


def add_position(pool_quantity, pool_entry, position, prices):
    instrument = prices.instruments[position.symbol]
    quantity = Fraction(str(position.quantity))
    pool_quantity[position.symbol] += quantity
    if isinstance(instrument, Option):
        return
    if position.entry_price is None:
        value = Fraction(prices.contract(position.symbol))
    else:
        value = unit_value_at(instrument, position.entry_price)
    pool_entry[position.symbol] += quantity * value


def cross_pool(name, group, prices):
    quantity, entry, balances = defaultdict(Fraction), defaultdict(Fraction), defaultdict(Fraction)
    for account in group:
        for position in account.positions:
            if mode(account, position) == "isolated":
                continue
            instrument = prices.instruments[position.symbol]
            if isinstance(instrument, Spot):
                amount = Fraction(str(position.quantity)) * Fraction(instrument.contract_size)
                balances[account.id, instrument.underlying, "here"] += amount
            else:
                add_position(quantity, entry, position, prices)
        for balance in account.balances:
            if balance.state == "final":
                balances[account.id, balance.asset, balance.location] += Fraction(str(balance.amount))
    return TwinPool(
        name=name,
        credit=max((a.credit for a in group), key=TIERS.index),
        quantity={s: float(q) for s, q in quantity.items()},
        entry_value={s: float(v) for s, v in entry.items()},
        balances={key: float(amount) for key, amount in balances.items()},
    )


def fenced_pool(account, symbol, rows, prices):
    quantity, entry = defaultdict(Fraction), defaultdict(Fraction)
    for position in rows:
        add_position(quantity, entry, position, prices)
    fence = float(sum(Fraction(str(p.isolated_collateral)) for p in rows))
    return TwinPool(
        name=f"{account.id} {symbol}",
        credit=account.credit,
        quantity={s: float(q) for s, q in quantity.items()},
        entry_value={s: float(v) for s, v in entry.items()},
        balances={},
        fenced=(prices.instruments[symbol].settle, fence),
    )


def tiers_of(policy, asset, currency):
    if asset.haircut is not None:
        return asset.haircut
    if asset.symbol == currency:
        return policy.reporting_currency.slices
    for table, key in ((policy.by_name, asset.symbol), (policy.by_class, asset.asset_class)):
        if key in table:
            return table[key].slices
    return policy.by_class["other"].slices


def through_tiers(quantity, slices, factor=1.0):
    counted, low = 0.0, 0.0
    for high, haircut in slices:
        counted += max(min(quantity, high) - low, 0.0) * (1 - min(1.0, haircut * factor))
        low = high
    return counted


def twin_collateral(world, policy, pool, prices):
    """Return ({balance key: units that count}, value that counts for maintenance only).

    The key of an isolated position's own collateral is `fenced`.
    """
    assets = {a.symbol: a for a in world.assets}
    places = {p.id: p for p in world.locations}
    owned = defaultdict(float)
    for (_, asset, _), amount in pool.balances.items():
        owned[asset] += max(amount, 0.0)

    def kept(asset, factor):
        cap = assets[asset].cap
        total = owned[asset] if cap is None else min(owned[asset], cap)
        return through_tiers(total, tiers_of(policy, assets[asset], prices.currency), factor) / owned[asset]

    counted, initial = {}, {}
    for key, amount in pool.balances.items():
        _, asset, place = key
        if amount <= 0:
            counted[key] = initial[key] = amount
            continue
        where = places[place]
        by_class = policy.transfer_vol
        sigma = by_class.get(assets[asset].asset_class, by_class.get("other", 0.0))
        discount = exp(-policy.transfer_k * sigma * sqrt(where.finality_seconds / (365 * 86_400)))
        counted[key] = max(amount * kept(asset, 1.0) * discount - where.fee / prices.fx(asset), 0.0)
    for place in places.values():
        rows = [key for key, amount in pool.balances.items() if key[2] == place.id and amount > 0]
        value = sum(counted[key] * prices.fx(key[1]) for key in rows)
        if value > (inf if place.cap is None else place.cap):
            for key in rows:
                counted[key] *= place.cap / value
    for key, amount in pool.balances.items():
        if amount > 0:
            stricter = policy.credit_haircut.get(pool.credit, 1.0)
            whole = kept(key[1], 1.0)
            initial[key] = counted[key] * (kept(key[1], stricter) / whole if whole else 1.0)
            if places[key[2]].halted:
                initial[key] = 0.0
    only = sum((counted[key] - initial[key]) * prices.fx(key[1]) for key in counted)
    if pool.fenced:
        counted["fenced"] = pool.fenced[1]
    return counted, only
