"""Segments: the legs of a pool that are reduced together, as rows of a risk array."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from crossmargin.ragged import group_sums, starts
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segments:
    """Legs in segments (pool, block), sorted by pool, then block; N segments."""

    pools: int
    pool: IntArray
    """(N,)"""
    block: IntArray
    """(N,)"""
    of_leg: IntArray
    """(L,) segment of each leg."""
    start: IntArray
    """(N + 1,) of `order`."""
    order: IntArray
    """(L,) legs, segment by segment, in their own order within one."""

    @classmethod
    def of(cls, pool: IntArray, block: IntArray, pools: int) -> Segments:
        """Return the segments of legs with a `pool` and a `block` number each, (L,)."""
        order = np.lexsort((np.arange(len(pool)), block, pool))
        changes = (np.diff(pool[order]) != 0) | (np.diff(block[order]) != 0)
        first = np.concatenate((np.ones(min(1, len(pool)), dtype=np.bool_), changes))
        number = np.cumsum(first) - 1
        of_leg = np.empty(len(pool), dtype=np.int64)
        of_leg[order] = number
        count = int(first.sum())
        return cls(
            pools=pools,
            pool=pool[order][first],
            block=block[order][first],
            of_leg=of_leg,
            start=starts(number, count),
            order=order,
        )

    def __len__(self) -> int:
        return len(self.pool)

    def pnl(self, row: IntArray, amount: FloatArray, table: FloatArray) -> FloatArray:
        """Return the P&L of each segment under each scenario, (N, S).

        `row` and `amount` (L,) say which row of `table` (rows, S), the P&L of one unit, each leg has how much of.
        """
        return np.asarray(
            segment_pnl(self.start, row[self.order], amount[self.order], np.ascontiguousarray(table)), dtype=np.float64
        )

    def sums(self, value: FloatArray) -> FloatArray:
        """Return the sum over each segment of a column of legs, (N,)."""
        return group_sums(self.of_leg[self.order], value[self.order], len(self))

    def by_pool(self, value: FloatArray) -> FloatArray:
        """Return the sum over each pool of columns of segments, (N,) or (N, S) in, (P,) or (P, S) out."""
        if value.ndim == 1:
            return group_sums(self.pool, value, self.pools)
        rows = np.arange(len(self))
        return np.asarray(segment_pnl(starts(self.pool, self.pools), rows, np.ones(len(self)), value))


@njit(cache=True)
def segment_pnl(start: IntArray, row: IntArray, amount: FloatArray, pnl: FloatArray) -> FloatArray:
    """Return the P&L of each segment under each scenario, (N, S).

    Segment n owns the slice start[n]:start[n + 1] of `row` and `amount`; `pnl` (rows, S) is that of one unit. Sums
    run in row order, so a segment's number does not depend on the segments beside it.
    """
    total = np.zeros((len(start) - 1, pnl.shape[1]))
    for n in range(len(start) - 1):
        for e in range(start[n], start[n + 1]):
            a, r = amount[e], row[e]
            for s in range(pnl.shape[1]):
                total[n, s] += a * pnl[r, s]
    return total
