"""Basis: what the gap between expiries can do to a long and a short that the scenarios let cancel."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from heapq import heappop, heappush
from math import isfinite

import numpy as np
from numba import njit

from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset, Catalogue
from crossmargin.margin.depth import Buckets, Kind
from crossmargin.margin.liquidity import column, rates_of
from crossmargin.margin.model import Portfolios
from crossmargin.margin.parameters import check_classes
from crossmargin.ragged import group_sums, owners, starts
from crossmargin.units import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Basis:
    """The basis add-on, a part of maintenance margin.

    In every group of a pool: the sum over matched pairs of matched delta x annual move x gap in years, in the
    reporting currency, 0 or more. Deltas of one expiry net first; then the long and the short expiry nearest to
    each other match, as much as both have (of equal gaps the earlier pair first), again and again until one sign is
    left. What has no expiry (perpetuals, balances, unsettled P&L) is at gap 0 from now; the uncounted rest of
    balances is there too, as far as it offsets the group's net short.

    The charge is capped a group at what netting across expiries saves: the sum over expiries of M(p in g, expiry)
    less M(p in g), before add-ons. Claims: with the cap, a group never costs more than its expiries apart; nothing
    is charged to one sign, to one expiry, or to the part of a position nothing matches; homogeneous of degree 1.
    Not claimed: sub-additivity (a hedge may add basis), monotonicity in size.
    """

    by_class: Mapping[str, float]
    """Move of the basis a year of gap, a fraction of the price; `other` is required."""
    by_name: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_classes("basis", self.by_class)
        for name, move in (*self.by_class.items(), *self.by_name.items()):
            if not (isfinite(move) and move >= 0):
                raise InvalidRules(f"basis {name}", str(move), "a finite fraction a year, 0 or more")

    def moves(self, catalogue: Catalogue) -> FloatArray:
        """Return the annual move of every asset, (assets,); a group takes that of the asset it is named for."""

        def move(asset: Asset) -> float:
            return rates_of(asset, self.by_class, self.by_name)

        return column(catalogue, move)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExpiryRows:
    """Delta notional of pools by group and expiry: N segments (pool, group), sorted, E rows in order of expiry."""

    pools: int
    pool: IntArray
    """(N,)"""
    group: IntArray
    """(N,) asset number of the group."""
    start: IntArray
    """(N + 1,)"""
    amount: FloatArray
    """(E,) delta notional, long positive, in the reporting currency."""
    kind: IntArray
    """(E,) codes of `Kind`."""
    holding: IntArray
    """(E,) a leg, or L + balance."""
    years: FloatArray
    """(E,) from now to expiry, ACT/365; 0 for what has none. Rows of one expiry have one value."""

    @classmethod
    def of(cls, portfolios: Portfolios, deltas: Buckets) -> ExpiryRows:
        """Return the rows of `delta_rows` by group and expiry."""
        valuation = portfolios.valuation
        terms = valuation.catalogue
        group_of = np.array([terms.asset_number[asset.group] for asset in terms.assets], dtype=np.int64)
        segment = owners(deltas.start)
        pool, group = deltas.pool[segment], group_of[deltas.bucket[segment]]
        legs = len(portfolios.leg_row)
        contract = np.flatnonzero(deltas.kind == Kind.CONTRACT)
        assert not len(contract) or int(deltas.holding[contract].max()) < legs, "only legs are contracts"
        tau = valuation.tau[portfolios.leg_row[deltas.holding[contract]]]
        years = np.zeros(len(segment))
        years[contract] = np.where(np.isfinite(tau), tau, 0.0)
        expiries, rank = np.unique(years, return_inverse=True)
        key = (pool * len(terms.assets) + group) * max(1, len(expiries)) + rank
        order = np.argsort(key, kind="stable")
        key = key[order] // max(1, len(expiries))
        first = np.concatenate((np.ones(min(1, len(key)), dtype=np.bool_), np.diff(key) != 0))
        return cls(
            pools=deltas.pools,
            pool=pool[order][first],
            group=group[order][first],
            start=starts(np.cumsum(first) - 1, int(first.sum())),
            amount=deltas.amount[order],
            kind=deltas.kind[order],
            holding=deltas.holding[order],
            years=years[order],
        )

    def charges(self, moves: FloatArray, left_out: IntArray | None = None, sets: int = 1) -> FloatArray:
        """Return the charge of every pool and group before its cap, (N, sets), in the reporting currency.

        `moves` (assets,) is the annual move; `left_out` (holdings,) as in `Buckets.nets`.
        """
        gap = _matched(self.start, self.amount, self.kind, self.years, self._bits(left_out), sets)
        return np.asarray(moves[self.group][:, None] * gap, dtype=np.float64)

    def capped(self, charge: FloatArray, saved: FloatArray) -> FloatArray:
        """Return the charge limited to what netting across expiries saves, both (N, sets); a saving below 0 is 0."""
        return np.asarray(np.minimum(charge, np.maximum(saved, 0.0)), dtype=np.float64)

    def shares(
        self,
        moves: FloatArray,
        chosen: IntArray,
        holdings: int,
        left_out: IntArray | None = None,
        counted: BoolArray | None = None,
    ) -> FloatArray:
        """Return each holding's Euler share of the uncapped charge, (holdings,), under its pool's `chosen` set.

        They add up to the charge of the pools and groups `counted` (N,), by default all. Where the cap binds the
        shares are those of what is saved instead, which only the caller knows.
        """
        w = chosen[self.pool]
        share = _matched_shares(self.start, self.amount, self.kind, self.years, self._bits(left_out), w)
        charged = moves[self.group] if counted is None else np.where(counted, moves[self.group], 0.0)
        return group_sums(self.holding, share * charged[owners(self.start)], holdings)

    def _bits(self, left_out: IntArray | None) -> IntArray:
        return np.zeros(len(self.holding), dtype=np.int64) if left_out is None else left_out[self.holding]


@njit()
def _slots(
    first: int,
    end: int,
    amount: FloatArray,
    kind: IntArray,
    years: FloatArray,
    left_out: IntArray,
    w: int,
    net: FloatArray,
    at: FloatArray,
) -> tuple[int, float, float]:
    """Fill net and at by expiry, slot 0 being now; return (slots, sum of all, sum of the rest)."""
    slots, total, rest = 1, 0.0, 0.0
    net[0], at[0] = 0.0, 0.0
    for e in range(first, end):
        if w > 0 and (left_out[e] >> w) & 1:
            continue
        if kind[e] == 2:
            rest += amount[e]
            continue
        if years[e] != at[slots - 1]:
            net[slots], at[slots] = 0.0, years[e]
            slots += 1
        net[slots - 1] += amount[e]
        total += amount[e]
    return slots, total, rest


@njit()
def _match(net: FloatArray, at: FloatArray, slots: int, used: IntArray, left: IntArray, size: FloatArray) -> int:
    """Match the nets of slots, nearest first, and return in how many steps.

    Each step fills the slot used up, the one it was matched with and the signed amount used; `net` keeps what is
    left over. Candidates are neighbours among what is left: between the nearest two of opposite sign there is
    nothing, it would be nearer to one of them. So a heap of neighbours finds each step in log(slots).
    """
    low_net, high_net = 0.0, 0.0
    for k in range(slots):
        low_net, high_net = min(low_net, net[k]), max(high_net, net[k])
    # Most groups have one sign: nothing to set up.
    if low_net == 0.0 or high_net == 0.0:
        return 0
    before, after = np.full(slots, -1), np.full(slots, -1)
    nearest = [(np.inf, -1, -1)]
    last = -1
    for k in range(slots):
        if net[k] == 0.0:
            continue
        if last >= 0:
            before[k], after[last] = last, k
            if (net[last] > 0.0) != (net[k] > 0.0):
                heappush(nearest, (at[k] - at[last], last, k))
        last = k
    steps = 0
    while True:
        _, low, high = heappop(nearest)
        if low < 0:
            return steps
        # A slot used up, or a neighbour that has changed: an older candidate.
        if net[low] == 0.0 or net[high] == 0.0 or after[low] != high:
            continue
        u, v = (low, high) if abs(net[low]) <= abs(net[high]) else (high, low)
        used[steps], left[steps], size[steps] = u, v, net[u]
        steps += 1
        net[v] += net[u]
        net[u] = 0.0
        for gone in (u, v):
            if net[gone] != 0.0:
                continue
            a, b = before[gone], after[gone]
            if a >= 0:
                after[a] = b
            if b >= 0:
                before[b] = a
            if a >= 0 and b >= 0 and net[a] != 0.0 and net[b] != 0.0 and (net[a] > 0.0) != (net[b] > 0.0):
                heappush(nearest, (at[b] - at[a], a, b))


@njit()
def _longest(start: IntArray) -> int:
    most = 0
    for n in range(len(start) - 1):
        most = max(most, start[n + 1] - start[n])
    return most


@njit(cache=True)
def _matched(
    start: IntArray, amount: FloatArray, kind: IntArray, years: FloatArray, left_out: IntArray, sets: int
) -> FloatArray:
    """Return the sum over matched pairs of matched amount x gap in years, (N, sets)."""
    segments = len(start) - 1
    found = np.zeros((segments, sets))
    room = _longest(start) + 1
    net, at, size = np.empty(room), np.empty(room), np.empty(room)
    used, left = np.empty(room, np.int64), np.empty(room, np.int64)
    for n in range(segments):
        present = 0
        for e in range(start[n], start[n + 1]):
            present |= left_out[e]
        for w in range(sets):
            if w > 0 and not (present >> w) & 1:
                found[n, w] = found[n, 0]
                continue
            slots, total, rest = _slots(start[n], start[n + 1], amount, kind, years, left_out, w, net, at)
            net[0] += min(rest, max(0.0, -total))
            for step in range(_match(net, at, slots, used, left, size)):
                found[n, w] += abs(size[step]) * abs(at[used[step]] - at[left[step]])
    return found


@njit(cache=True)
def _matched_shares(
    start: IntArray, amount: FloatArray, kind: IntArray, years: FloatArray, left_out: IntArray, chosen: IntArray
) -> FloatArray:
    """Return each row's amount x derivative of its segment's matched amount x gap, (E,).

    Backwards through the steps: what a slot used up was worth is its gap, and what it was worth to the slot it
    was matched with, as the two were added.
    """
    share = np.zeros(len(amount))
    room = _longest(start) + 1
    net, at, size = np.empty(room), np.empty(room), np.empty(room)
    used, left = np.empty(room, np.int64), np.empty(room, np.int64)
    slope = np.empty(room)
    for n in range(len(start) - 1):
        w = chosen[n]
        slots, total, rest = _slots(start[n], start[n + 1], amount, kind, years, left_out, w, net, at)
        net[0] += min(rest, max(0.0, -total))
        slope[:slots] = 0.0
        for step in range(_match(net, at, slots, used, left, size) - 1, -1, -1):
            u, v = used[step], left[step]
            slope[u] = slope[v] + (1.0 if size[step] > 0.0 else -1.0) * abs(at[u] - at[v])
        by_rest = 0.0
        if total < 0.0:
            if rest < -total:
                by_rest = slope[0]
            else:
                # More rest than needed: what it adds is minus the sum of everything else.
                slope[:slots] -= slope[0]
        k, last = 0, 0.0
        for e in range(start[n], start[n + 1]):
            if w > 0 and (left_out[e] >> w) & 1:
                continue
            if kind[e] == 2:
                share[e] = by_rest * amount[e]
                continue
            if years[e] != last:
                k, last = k + 1, years[e]
            share[e] = slope[k] * amount[e]
    return share
