"""What netting across expiries saves a group: the cap of its basis charge."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.margin.exposures import Rows
from crossmargin.margin.joint_tables import JointTables
from crossmargin.margin.model import Portfolios
from crossmargin.margin.short_options import ShortOptions
from crossmargin.margin.tails import Segments, TailMeasure, Tails, tail_shares, tails
from crossmargin.ragged import group_sums
from crossmargin.units import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ExpirySaving:
    """The sum over expiries of M(p in g, expiry) less M(p in g), before add-ons; N pairs (segment of rows, set W).

    M = max(core, worst cell, short-option minimum) of a group alone. What has no expiry (perpetuals, balances,
    unsettled P&L) is one expiry of its own.
    """

    parts: Segments
    """Rows of all pairs by pair, then expiry; then once more whole, pair by pair. Its rows are those of `at`."""
    at: IntArray
    """(R,) row of the group rows that each row of `parts` is."""
    found: Tails
    pair: IntArray
    """(parts,)"""
    sign: FloatArray
    """(parts,) +1 for an expiry, -1 for the whole."""
    short: FloatArray
    """(parts,) short-option minimum."""
    part_of_bucket: tuple[IntArray, IntArray]
    """(bucket, part) pairs."""
    tables: JointTables
    measure: TailMeasure
    pairs: int

    @classmethod
    def of(
        cls,
        portfolios: Portfolios,
        rows: Rows,
        low: IntArray,
        high: IntArray,
        which: IntArray,
        left_out: IntArray,
        group: IntArray,
        tables: JointTables,
        measure: TailMeasure,
        short: ShortOptions,
        owed: FloatArray,
        block: IntArray,
    ) -> ExpirySaving:
        """Return the savings of the segments [low, high) of group rows (N,) under the sets `which` (N,).

        `left_out` (E,) are the bits of rows, `group` (N,) pool x assets + group, `owed` (buckets, SETS) what the
        buckets of `short` owe, `block` (assets,) the group of every asset.
        """
        count = len(low)
        assets = len(block)
        start = np.concatenate(([0], np.cumsum(high - low)))
        pair = np.repeat(np.arange(count), high - low)
        at = _runs(low, high)
        contract = rows.row[at] < int((tables.groups.of_contract >= 0).sum())
        years = np.zeros(len(at))
        tau = portfolios.valuation.tau
        expiry = tau[portfolios.leg_row[rows.holding[at[contract]]]]
        years[contract] = np.where(np.isfinite(expiry), expiry, 0.0)
        years_of_bucket = tau[short.row]
        ranks = np.unique(np.concatenate((years, years_of_bucket)))
        rank = np.searchsorted(ranks, years)
        key = pair * len(ranks) + rank
        order = np.argsort(key, kind="stable")
        parts, first = np.unique(key[order], return_index=True)
        end = np.append(first[1:], len(order)).astype(np.int64)
        expiries = len(parts)
        at = np.concatenate((at[order], at))
        part_pair = np.concatenate((parts // max(1, len(ranks)), np.arange(count)))
        again = len(order) + start[:-1]
        segments = Segments(
            rows=Rows(
                start=np.array([0, len(at)]),
                block=rows.block[at],
                row=rows.row[at],
                amount=rows.amount[at],
                holding=rows.holding[at],
            ),
            low=np.concatenate((first.astype(np.int64), again)),
            high=np.concatenate((end, again + (high - low))),
            which=which[part_pair],
            left_out=left_out[at],
        )
        # Buckets of short options by the pairs they belong to, then by the part of their expiry.
        bucket_key = short.pool * assets + block[short.underlying]
        by = np.argsort(bucket_key, kind="stable")
        low_b = np.searchsorted(bucket_key[by], group, side="left")
        high_b = np.searchsorted(bucket_key[by], group, side="right")
        of_pair = np.repeat(np.arange(count), high_b - low_b)
        bucket = by[_runs(low_b, high_b)]
        wanted = of_pair * len(ranks) + np.searchsorted(ranks, years_of_bucket[bucket])
        part = np.minimum(np.searchsorted(parts, wanted), max(expiries - 1, 0))
        there = parts[part] == wanted if expiries else np.zeros(len(wanted), dtype=np.bool_)
        pairs_of = (
            np.concatenate((bucket[there], bucket)),
            np.concatenate((part[there], expiries + of_pair)),
        )
        short_minimum = group_sums(pairs_of[1], owed[pairs_of[0], which[part_pair[pairs_of[1]]]], len(part_pair))
        return cls(
            parts=segments,
            at=at,
            found=tails(segments, tables.pnl, tables.ordinary, tables.stressed, tables.cell_weight, measure),
            pair=part_pair,
            sign=np.concatenate((np.ones(expiries), -np.ones(count))),
            short=short_minimum,
            part_of_bucket=pairs_of,
            tables=tables,
            measure=measure,
            pairs=count,
        )

    @property
    def amount(self) -> FloatArray:
        """(N,) what is saved."""
        needed = np.maximum(np.maximum(self.found.core, self.found.grid), self.short)
        return group_sums(self.pair, self.sign * needed, self.pairs)

    def shares(self, rows: int, buckets: int, counted: BoolArray) -> tuple[FloatArray, FloatArray]:
        """Return the Euler shares of what pairs `counted` (N,) save: by group row (rows,), and the weight of each
        bucket of short options (buckets,)."""
        found = self.found
        sign = self.sign * counted[self.pair]
        by_core = (found.core >= found.grid) & (found.core >= self.short)
        by_grid = ~by_core & (found.grid >= self.short)
        share = tail_shares(
            self.parts,
            found,
            self.tables.pnl,
            self.tables.ordinary,
            self.tables.stressed,
            self.tables.cell_weight,
            self.measure,
            sign * by_core,
            sign * by_grid,
        )
        bucket, part = self.part_of_bucket
        weight = np.where(by_core | by_grid, 0.0, sign)
        return group_sums(self.at, share, rows), group_sums(bucket, weight[part], buckets)


def _runs(low: IntArray, high: IntArray) -> IntArray:
    """Return the numbers of all runs [low, high), one after another."""
    length = high - low
    new = np.cumsum(length) - length
    return np.asarray(np.arange(int(length.sum())) + np.repeat(low - new, length), dtype=np.int64)
