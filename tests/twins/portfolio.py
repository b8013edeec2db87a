"""Slow twin of portfolio margin: scenarios one at a time, groups, expiries and sets one by one, in plain floats.

Written from the text of the model. Shared with the library are only the scenario sets.
"""

from collections import defaultdict
from dataclasses import dataclass, replace
from itertools import chain, combinations
from math import inf, isclose, sqrt


@dataclass(frozen=True)
class Part:
    """What of a holding moves in one group, at one time from now (years; 0: what has no expiry)."""

    group: str
    years: float
    joint: list
    """Loss in every ordinary, then every stressed scenario."""
    cells: list
    """Loss in every cell of the group's grid."""


@dataclass(frozen=True)
class Delta:
    """Delta notional in the bucket of an asset; kinds: contract, money, rest."""

    bucket: str
    group: str
    years: float
    amount: float
    kind: str


@dataclass(frozen=True)
class Holding:
    """A leg or a balance, and all that the model asks of it."""

    name: object
    joint: list
    """Loss of the whole of it in every scenario."""
    parts: tuple
    deltas: tuple
    vegas: tuple = ()
    """(bucket, amount)"""
    shorts: tuple = ()
    """(bucket, group, years, signed charge)"""
    owned: bool = False
    option: bool = False
    counted: float = 0.0

    def scaled(self, t):
        """Return t times the holding, t above 0."""
        return replace(
            self,
            joint=[t * x for x in self.joint],
            parts=tuple(replace(p, joint=[t * x for x in p.joint], cells=[t * x for x in p.cells]) for p in self.parts),
            deltas=tuple(replace(d, amount=t * d.amount) for d in self.deltas),
            vegas=tuple((b, t * v) for b, v in self.vegas),
            shorts=tuple((b, g, y, t * c) for b, g, y, c in self.shorts),
            counted=t * self.counted,
        )


@dataclass(frozen=True)
class Facts:
    """What the model takes of the market; everything else is in the holdings."""

    model: object
    ordinary: int
    """How many of the joint scenarios are ordinary."""
    weight: list
    """Share of each cell's loss that counts."""
    depth: dict
    """Bucket of deltas -> (half spread, impact of a day's whole volume, volume, participation, horizon)."""
    vega_depth: dict
    basis: dict
    """Group -> annual move."""
    buffer: dict
    """Group -> b_g."""


@dataclass(frozen=True)
class Answer:
    """What a pool must have, and the parts of maintenance."""

    maintenance: float
    initial: float
    terms: dict
    chosen: list
    near_tie: bool
    """Something owned outright needs, to rounding, just what it counts."""
    next_best: float
    """What the best of the other sets comes to: where that is the same, either set may be named."""


# --- scenarios to a number


def added(rows):
    """Return the sum of rows of losses, scenario by scenario."""
    return [sum(column) for column in zip(*rows, strict=True)]


def expected_shortfall(losses, confidence):
    """Return the mean of the worst share 1 - confidence of the losses, 0 or more; the last of them in part."""
    share = max(round((1 - confidence) * len(losses), 9), 1.0)
    total, left = 0.0, share
    for loss in sorted(losses, reverse=True):
        total += loss * min(1.0, left)
        left -= min(1.0, left)
        if left <= 0:
            break
    return max(0.0, total / share)


def core(losses, facts):
    """Return C of joint losses."""
    measure = facts.model.measure
    usual = expected_shortfall(losses[: facts.ordinary], measure.confidence)
    worst = max([0.0, *losses[facts.ordinary :]])
    return max(usual, (1 - measure.stress_weight) * usual + measure.stress_weight * worst)


def worst_cell(losses, facts):
    return max([0.0, *(w * loss for w, loss in zip(facts.weight, losses, strict=True))])


def minimum_of(charges):
    """Return the short-option minimum of (bucket, charge) pairs."""
    net = defaultdict(float)
    for bucket, charge in charges:
        net[bucket] += charge
    return sum(max(0.0, charge) for charge in net.values())


def groups_of(holdings, orders=None):
    found = {p.group for h in holdings for p in h.parts} | set((orders or {}).get("groups", {}))
    return sorted(found)


def core_of_group(holdings, group, facts, orders=None):
    """Return (C, worst cell) of what holdings have in a group."""
    joint = [p.joint for h in holdings for p in h.parts if p.group == group]
    cells = [p.cells for h in holdings for p in h.parts if p.group == group]
    if orders and group in orders["groups"]:
        joint.append(orders["groups"][group][0])
        cells.append(orders["groups"][group][1])
    return core(added(joint), facts), worst_cell(added(cells), facts)


def limited_core(holdings, facts, orders=None):
    """Return (M before add-ons, C, sum of the groups' C, sum of the worst cells, minimum)."""
    whole = [h.joint for h in holdings if h.joint]
    if orders:
        whole.append(orders["joint"])
    joint = core(added(whole), facts) if whole else 0.0
    by_group = [core_of_group(holdings, group, facts, orders) for group in groups_of(holdings, orders)]
    groups, grids = sum(c for c, _ in by_group), sum(g for _, g in by_group)
    minimum = minimum_of((b, c) for h in holdings for b, _, _, c in h.shorts)
    c = facts.model.offset_limit
    return max(c * joint + (1 - c) * groups, grids, minimum), joint, groups, grids, minimum


# --- add-ons


def matched_gap(net):
    """Return matched amount x gap of {years: net}: of all pairs of opposite sign the nearest, the earlier first."""
    net, total = dict(net), 0.0
    while True:
        pairs = [(b - a, a, b) for a, b in combinations(sorted(net), 2) if net[a] * net[b] < 0]
        if not pairs:
            return total
        gap, a, b = min(pairs)
        size = min(abs(net[a]), abs(net[b]))
        total += size * gap
        for k in (a, b):
            net[k] = 0.0 if abs(net[k]) == size else net[k] - (size if net[k] > 0 else -size)


def alone_in_group(holdings, group, years, facts):
    """Return M of what holdings have in a group, at one expiry or (None) at all."""

    def here(g, y):
        return g == group and (years is None or y == years)

    parts = [p for h in holdings for p in h.parts if here(p.group, p.years)]
    c = core(added([p.joint for p in parts]), facts) if parts else 0.0
    cell = worst_cell(added([p.cells for p in parts]), facts) if parts else 0.0
    return max(c, cell, minimum_of((b, x) for h in holdings for b, g, y, x in h.shorts if here(g, y)))


def basis_of(holdings, facts):
    """Return {group: (charge, cap)} of groups that pay any."""
    found = {}
    for group in sorted({d.group for h in holdings for d in h.deltas}):
        net, rest = {0.0: 0.0}, 0.0
        for d in (d for h in holdings for d in h.deltas if d.group == group):
            if d.kind == "rest":
                rest += d.amount
            else:
                net[d.years] = net.get(d.years, 0.0) + d.amount
        net[0.0] += min(rest, max(0.0, -sum(net.values())))
        charge = facts.basis[group] * matched_gap(net)
        if charge > 0:
            times = {p.years for h in holdings for p in h.parts if p.group == group}
            times |= {y for h in holdings for _, g, y, _ in h.shorts if g == group}
            apart = sum(alone_in_group(holdings, group, years, facts) for years in times)
            found[group] = charge, max(0.0, apart - alone_in_group(holdings, group, None, facts))
    return found


def net_and_gross(deltas, bucket):
    """Return (net, gross) of delta rows in a bucket: the rest offsets a short and no more."""
    rows = [d for d in deltas if d.bucket == bucket]
    contracts, money, rest = (sum(d.amount for d in rows if d.kind == k) for k in ("contract", "money", "rest"))
    y = contracts + money
    net = y if y >= 0 else min(0.0, y + rest)
    gross = sum(abs(d.amount) for d in rows if d.kind == "contract")
    return net, gross + (money if money >= 0 else -min(0.0, money + rest))


def cost_of_closing(net, gross, size, depth):
    half_spread, impact, volume, participation, horizon = depth
    days = size / (participation * volume)
    return half_spread * gross + abs(net) * impact * sqrt(size / volume) * sqrt(max(1.0, days / horizon))


def liquidity_of(holdings, sizes, facts):
    deltas = [d for h in holdings for d in h.deltas]
    return {
        bucket: cost_of_closing(*net_and_gross(deltas, bucket), sizes[bucket], facts.depth[bucket])
        for bucket in sorted({d.bucket for d in deltas})
    }


def vega_of(holdings, sizes, facts):
    rows = [row for h in holdings for row in h.vegas]
    return {
        bucket: cost_of_closing(
            sum(v for b, v in rows if b == bucket),
            sum(abs(v) for b, v in rows if b == bucket),
            sizes[bucket],
            facts.vega_depth[bucket],
        )
        for bucket in sorted({b for b, _ in rows})
    }


def sizes_of(pools):
    """Return ({bucket: N_b}, {vega bucket: V_b}) of all pools of one owner, each a list of holdings."""
    deltas, vegas = defaultdict(float), defaultdict(float)
    for holdings in pools:
        rows = [d for h in holdings for d in h.deltas]
        for bucket in {d.bucket for d in rows}:
            deltas[bucket] += abs(net_and_gross(rows, bucket)[0])
        net = defaultdict(float)
        for h in holdings:
            for bucket, amount in h.vegas:
                net[bucket] += amount
        for bucket, amount in net.items():
            vegas[bucket] += abs(amount)
    return deltas, vegas


# --- the requirement


def required(holdings, sizes, facts, orders=None):
    """Return (M of holdings with add-ons, its parts)."""
    deltas, vegas = sizes
    before, joint, groups, grids, minimum = limited_core(holdings, facts, orders)
    basis = {g: min(charge, cap) for g, (charge, cap) in basis_of(holdings, facts).items()}
    liquidity, vega = liquidity_of(holdings, deltas, facts), vega_of(holdings, vegas, facts)
    parts = {"joint": joint, "groups": groups, "grids": grids, "minimum": minimum, "before": before}
    parts |= {"basis": basis, "liquidity": liquidity, "vega": vega}
    return before + sum(basis.values()) + sum(liquidity.values()) + sum(vega.values()), parts


def buffer_of(holdings, facts):
    """Return b = sum of b_g C_g / sum of C_g."""
    by_group = {g: core_of_group(holdings, g, facts)[0] for g in groups_of(holdings)}
    total = sum(by_group.values())
    if not total:
        return facts.model.buffer
    return sum(facts.buffer[g] * c for g, c in by_group.items()) / total


def sets_of(holdings, alone, initial):
    """Return the sets W that are tried; `alone` {name: (own M, own k)}."""
    owned = [h for h in holdings if h.owned]

    def dearer(h):
        need, k = alone[h.name]
        return (k if initial else 1.0) * need > h.counted

    return [
        [],
        [h for h in owned if h.option],
        [h for h in owned if not h.option],
        owned,
        [h for h in owned if dearer(h)],
    ]


def least(holdings, sets, sizes, facts, k, orders=None):
    """Return (k M(all but W) + counted value of W at its least, W, the least of the other sets)."""
    found = {}
    for without in sets:
        gone = frozenset(h.name for h in without)
        if gone not in found:
            kept = [h for h in holdings if h.name not in gone]
            total = k * required(kept, sizes, facts, orders)[0] + sum(h.counted for h in without)
            found[gone] = total, len(found), without
    (total, _, without), *others = sorted(found.values(), key=lambda f: f[:2])
    return total, without, min([f[0] for f in others], default=inf)


def twin_portfolio(holdings, sizes, facts, credit, orders=None):
    """Return the answer for one pool; `sizes` ({bucket: N_b}, {vega bucket: V_b}) of its owner.

    `orders` {joint, groups: {group: (joint, cells)}, cost} are what open orders add to losses, and cost at once.
    """
    alone = {
        h.name: (required([h], sizes, facts)[0], (1 + buffer_of([h], facts)) * credit) for h in holdings if h.owned
    }
    k = (1 + buffer_of(holdings, facts)) * credit
    maintenance, chosen, next_best = least(holdings, sets_of(holdings, alone, False), sizes, facts, 1.0)
    initial_sets = sets_of(holdings, alone, True)
    initial = max(least(holdings, initial_sets, sizes, facts, k)[0], maintenance)
    if orders:
        initial = max(initial, least(holdings, initial_sets, sizes, facts, k, orders)[0] + orders["cost"])
    gone = {h.name for h in chosen}
    terms = required([h for h in holdings if h.name not in gone], sizes, facts)[1]
    ties = [
        h.counted and isclose(factor * alone[h.name][0], h.counted, rel_tol=1e-9)
        for h in holdings
        if h.owned
        for factor in (1.0, alone[h.name][1])
    ]
    return Answer(maintenance, initial, terms, chosen, any(ties), next_best)


def least_of_all_sets(holdings, sizes, facts, k=1.0):
    """Return the requirement over every set of things owned outright, however many there are."""
    owned = [h for h in holdings if h.owned]
    every = chain.from_iterable(combinations(owned, n) for n in range(len(owned) + 1))
    return least(holdings, [list(w) for w in every], sizes, facts, k)[0]
