"""Depth: what a pool holds in each bucket of a market, how large its owner is there, and what selling it costs.

The market is as deep as it is, however the owner's accounts are cut: the cost of a unit depends on the owner's
gross size N_b in the bucket, not on the pool's. So a pool's charge needs a figure from outside the pool, which
`OwnerSizes` keeps apart and hands to any pool that asks: real, hypothetical, or one position alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit

from crossmargin.ragged import group_sums, owners, starts
from crossmargin.units import FloatArray, IntArray


class Kind(IntEnum):
    """What a row of a bucket is."""

    CONTRACT = 0
    """A leg: traded on its own, so its spread is paid whatever it nets with."""
    MONEY = 1
    """Units of the asset itself (counted balances, debts, what legs settle): they net before anything trades."""
    REST = 2
    """Owned units that do not count: they may offset a short, never add a loss."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Buckets:
    """Pools as rows of buckets: N segments (pool, bucket), sorted, E rows in them.

    A holding is a leg (number below L) or a balance (L + its number).
    """

    pools: int
    buckets: int
    pool: IntArray
    """(N,)"""
    bucket: IntArray
    """(N,)"""
    start: IntArray
    """(N + 1,) first row of each segment."""
    amount: FloatArray
    """(E,) signed, long positive, in the reporting currency; not 0."""
    kind: IntArray
    """(E,) codes of `Kind`."""
    holding: IntArray
    """(E,)"""

    @classmethod
    def of(
        cls,
        pool: IntArray,
        bucket: IntArray,
        amount: FloatArray,
        kind: IntArray,
        holding: IntArray,
        *,
        pools: int,
        buckets: int,
    ) -> Buckets:
        """Return the rows (E,) sorted into segments, those of amount 0 left out; rows keep their order in each."""
        moving = np.flatnonzero(amount != 0.0)
        key = pool[moving] * buckets + bucket[moving]
        order = np.argsort(key, kind="stable")
        rows, key = moving[order], key[order]
        first = np.concatenate((np.ones(min(1, len(key)), dtype=np.bool_), np.diff(key) != 0))
        segment = np.cumsum(first) - 1
        return cls(
            pools=pools,
            buckets=buckets,
            pool=key[first] // buckets,
            bucket=key[first] % buckets,
            start=starts(segment, int(first.sum())),
            amount=amount[rows],
            kind=kind[rows],
            holding=holding[rows],
        )

    @property
    def key(self) -> IntArray:
        """(N,) pool x buckets + bucket, rising."""
        return self.pool * self.buckets + self.bucket

    def nets(self, left_out: IntArray | None = None, sets: int = 1) -> tuple[FloatArray, FloatArray]:
        """Return (net, gross) of every segment and set of things left out, each (N, sets).

        With y the sum of contracts and money and r that of the rest: net = y where y >= 0, else min(0, y + r): the
        rest offsets a short and no more. Gross = sum of |contract| + |money net of the rest in the same way|.
        Signs: net is long positive, gross is 0 or more. `left_out` (holdings,) has bit w set for what set w
        leaves out; set 0 leaves nothing out.
        """
        bits = np.zeros(len(self.holding), dtype=np.int64) if left_out is None else left_out[self.holding]
        net, gross = _nets(self.start, self.amount, self.kind, bits, sets)
        return net, gross


@njit(cache=True)
def _nets(
    start: IntArray, amount: FloatArray, kind: IntArray, left_out: IntArray, sets: int
) -> tuple[FloatArray, FloatArray]:
    segments = len(start) - 1
    net, gross = np.empty((segments, sets)), np.empty((segments, sets))
    for n in range(segments):
        for w in range(sets):
            contracts, money, rest, total = 0.0, 0.0, 0.0, 0.0
            for e in range(start[n], start[n + 1]):
                if w > 0 and (left_out[e] >> w) & 1:
                    continue
                if kind[e] == 0:
                    contracts += amount[e]
                    total += abs(amount[e])
                elif kind[e] == 1:
                    money += amount[e]
                else:
                    rest += amount[e]
            y = contracts + money
            net[n, w] = y if y >= 0.0 else min(0.0, y + rest)
            gross[n, w] = total + (money if money >= 0.0 else -min(0.0, money + rest))
    return net, gross


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OwnerSizes:
    """How large each owner is in each bucket: N_b = sum over its pools of |n_pb|, no netting between pools.

    Built once from the real book, with nothing left out, and passed to whatever asks what a pool would owe:

    - the book itself and single positions of it (`isolated_margin`): `held`, N_b as it is;
    - a price ladder, a what-if: `replaced`, N_b with one real pool's size taken out and the hypothetical one's put
      in, the owner's other pools as they are;
    - a state in which the owner's other pools move too: make every pool of the owner part of the state, build
      sizes of them with the state's number as `owner`, and ask `held`.
    """

    buckets: int
    owner_key: IntArray
    """Owner x buckets + bucket, rising."""
    owner_size: FloatArray
    """In the reporting currency, 0 or more."""
    pool_key: IntArray
    """Pool x buckets + bucket of the real pools, rising."""
    pool_size: FloatArray
    """|n_pb| of them."""

    @classmethod
    def of(cls, rows: Buckets, owner: IntArray) -> OwnerSizes:
        """Return the sizes of the owners of pools; `owner` (pools,) numbers the owner of each."""
        size = np.abs(rows.nets()[0][:, 0])
        key, group = np.unique(owner[rows.pool] * rows.buckets + rows.bucket, return_inverse=True)
        return cls(
            buckets=rows.buckets,
            owner_key=key,
            owner_size=group_sums(group, size, len(key)),
            pool_key=rows.key,
            pool_size=size,
        )

    def held(self, rows: Buckets, owner: IntArray) -> FloatArray:
        """Return N_b for every segment of `rows`, (N,), as the owner's real pools make it; 0 where it has none.

        `owner` (rows.pools,) is the owner of each pool of `rows`, numbered as in `of`.
        """
        return _looked_up(self.owner_key, self.owner_size, owner[rows.pool] * self.buckets + rows.bucket)

    def replaced(self, rows: Buckets, owner: IntArray, real: IntArray) -> FloatArray:
        """Return N_b for every segment of `rows`, (N,), each pool of `rows` standing in for a real one.

        `real` (rows.pools,) is the pool each stands in for; -1: for none, it comes on top. A pool cut down to what
        a change touches is enough, as long as it is whole in every bucket it appears in.
        """
        own = _looked_up(self.pool_key, self.pool_size, real[rows.pool] * self.buckets + rows.bucket)
        own[real[rows.pool] < 0] = 0.0
        others = np.maximum(self.held(rows, owner) - own, 0.0)
        return np.asarray(others + np.abs(rows.nets()[0][:, 0]), dtype=np.float64)


def _looked_up(key: IntArray, value: FloatArray, wanted: IntArray) -> FloatArray:
    """Return the value at each wanted key, 0 where there is none."""
    found = np.zeros(len(wanted))
    if len(key):
        at = np.minimum(np.searchsorted(key, wanted), len(key) - 1)
        same = key[at] == wanted
        found[same] = value[at[same]]
    return found


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Depth:
    """How deep the market of each bucket is; columns (buckets,). Amounts are delta notional, or vega per point."""

    half_spread: FloatArray
    """Cost of trading one unit of amount at any size."""
    move: FloatArray
    """k_l x sigma_day: adverse move over a day in which the whole daily volume is traded, per unit of amount."""
    volume: FloatArray
    """ADV: amount traded a day; above 0."""
    participation: FloatArray
    """Largest share of the daily volume a close-out can be; above 0, at most 1."""
    horizon: FloatArray
    """h: days of close-out that the scenarios cover already; above 0."""

    def rate(self, bucket: IntArray, size: FloatArray) -> FloatArray:
        """Return what one unit of net amount costs at the owner's size N: a fraction, (N,), rising in N.

        move x sqrt(N / ADV) x sqrt(max(1, days / h)), days = N / (participation x ADV).
        """
        share = size / self.volume[bucket]
        days = share / self.participation[bucket]
        stretch = np.sqrt(np.maximum(1.0, days / self.horizon[bucket]))
        return np.asarray(self.move[bucket] * np.sqrt(share) * stretch, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DepthCharge:
    """What closing out costs every pool: half_spread x gross + |net| x rate(N_b), by segment and set."""

    rows: Buckets
    amount: FloatArray
    """(N, sets) in the reporting currency, 0 or more."""
    net: FloatArray
    """(N, sets)"""
    rate: FloatArray
    """(N,) cost of one unit of net at the owner's size."""
    depth: Depth

    @classmethod
    def of(
        cls,
        rows: Buckets,
        size: FloatArray,
        depth: Depth,
        left_out: IntArray | None = None,
        sets: int = 1,
        *,
        scale: FloatArray | None = None,
    ) -> DepthCharge:
        """Return the charge at the owner sizes `size` (N,) that `OwnerSizes` gave for `rows`.

        `scale` (N,) multiplies the depth's adverse move: 1 unless prices are not those it was stated at.

        N_b is the same for every set W of things left out. With it held the charge is convex and homogeneous in
        the pool, so it is sub-additive: a pool owes no more than its parts do at the same N_b.

        Splitting an owner into pools never pays. Write f(p) = |n_p|, which is sub-additive over the parts of a
        pool, as is gross: both are sums of absolute values of linear forms, or max(y, -y - r, 0). Merge pools p
        and p' of one owner. Gross does not rise. N' = N - f(p) - f(p') + f(p + p') <= N, and the rate rises with
        N, so the owner's sum over pools of f x rate(N) = N x rate(N) does not rise either. For a set W the sum is
        sum f(p less W) x rate(N): both factors do not rise. Alone, with N = f(p), the charge is super-homogeneous
        (n times the pool owes at least n times as much): half_spread x gross is linear and f x rate(f) convex.
        """
        net, gross = rows.nets(left_out, sets)
        rate = depth.rate(rows.bucket, size)
        if scale is not None:
            rate = rate * scale
        amount = depth.half_spread[rows.bucket][:, None] * gross + np.abs(net) * rate[:, None]
        return cls(rows=rows, amount=amount, net=net, rate=rate, depth=depth)

    @property
    def by_pool(self) -> FloatArray:
        """(pools, sets) the sums over buckets; they add up over parts of a pool that share no bucket."""
        rows = self.rows
        return np.stack([group_sums(rows.pool, column, rows.pools) for column in self.amount.T], axis=1)

    def shares(self, chosen: IntArray, holdings: int, left_out: IntArray | None = None) -> FloatArray:
        """Return each holding's share of the charge under its pool's `chosen` set (pools,), shape (holdings,).

        By signed amount / n_pb with N_b held, and the spread by |contract| and signed money / net money: a hedge
        has a negative share of what it saves. What is left out has none; shares of a pool add up to its charge.
        """
        rows = self.rows
        segment = owners(rows.start)
        w = chosen[rows.pool]
        bits = np.zeros(len(rows.holding), dtype=np.int64) if left_out is None else left_out[rows.holding]
        kept = ~(((bits >> w[segment]) & 1) & (w[segment] > 0)).astype(np.bool_)
        amount = np.where(kept, rows.amount, 0.0)
        contract, rest = rows.kind == Kind.CONTRACT, rows.kind == Kind.REST
        money = group_sums(segment, np.where(rows.kind == Kind.MONEY, amount, 0.0), len(rows.pool))
        offset = group_sums(segment, np.where(rest, amount, 0.0), len(rows.pool))
        money_net = np.where(money >= 0.0, money, np.minimum(0.0, money + offset))
        net = self.net[np.arange(len(w)), w]

        def sign(total: FloatArray) -> FloatArray:
            towards = np.sign(total)[segment]
            return np.where(rest, np.minimum(towards, 0.0), towards)

        of_spread = np.where(contract, np.sign(amount), sign(money_net))
        share = amount * (self.depth.half_spread[rows.bucket][segment] * of_spread + self.rate[segment] * sign(net))
        return group_sums(rows.holding, share, holdings)
