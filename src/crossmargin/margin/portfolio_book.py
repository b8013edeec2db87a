"""What portfolio margin needs beside a pool, and what its totals are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from crossmargin.margin.depth import Depth, OwnerSizes
from crossmargin.margin.exposures import LeftOut
from crossmargin.margin.joint_tables import JointMoves
from crossmargin.margin.tails import TailMeasure, cores
from crossmargin.pricing import Valuation
from crossmargin.scenarios import ScenarioReport
from crossmargin.units import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WholeBook:
    """What a pool's requirement takes from the book it is part of: scenarios, market depth, its owner's size."""

    valuation: Valuation
    moves: JointMoves
    report: ScenarioReport
    any_floor: FloatArray
    """(assets,) where prices may be negative: the level that a fraction is of at least, in price units."""
    delta_depth: Depth
    vega_depth: Depth
    deltas: OwnerSizes
    vegas: OwnerSizes
    basis: FloatArray
    """(assets,) move of the basis a year of gap."""
    buffer: FloatArray
    """(assets,) b_g by the asset a group is named for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrderFigures:
    """Open orders of P pools, at their worst fills."""

    joint: FloatArray
    """(P, scenarios) what they add to the loss of each."""
    groups: FloatArray
    """(P, SETS) sum of C(p in g) with them."""
    grids: FloatArray
    """(P, SETS)"""
    cost: FloatArray
    """(P,) adverse limit-to-mark cost and premium."""

    def combined(self, other: OrderFigures, sign: float) -> OrderFigures:
        """Return self + sign x other."""
        return OrderFigures(
            joint=self.joint + sign * other.joint,
            groups=self.groups + sign * other.groups,
            grids=self.grids + sign * other.grids,
            cost=self.cost + sign * other.cost,
        )

    def __getitem__(self, rows: Any) -> OrderFigures:
        return OrderFigures(
            joint=self.joint[rows], groups=self.groups[rows], grids=self.grids[rows], cost=self.cost[rows]
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolFigures:
    """The ingredients of P pools: they add up over parts of a pool that share no group.

    Everything is in the reporting currency and by set W: of all but W.
    """

    ordinary: int
    """Columns of `joint` that are ordinary scenarios; the rest are stressed."""
    joint: FloatArray
    """(P, SETS, scenarios) losses."""
    groups: FloatArray
    """(P, SETS) sum over groups of C(p in g)."""
    grids: FloatArray
    """(P, SETS) sum of the worst cells."""
    minimum: FloatArray
    """(P, SETS) short-option minimum."""
    add_ons: FloatArray
    """(P, SETS)"""
    counted: FloatArray
    """(P, SETS) counted value of W."""
    members: FloatArray
    """(P, SETS) how many holdings W leaves out."""
    buffered: FloatArray
    """(P,) sum over groups of b_g C(p in g), nothing left out."""
    with_orders: OrderFigures | None

    def __add__(self, other: PoolFigures) -> PoolFigures:
        return self._combined(other, 1.0)

    def __sub__(self, other: PoolFigures) -> PoolFigures:
        return self._combined(other, -1.0)

    def _combined(self, other: PoolFigures, sign: float) -> PoolFigures:
        orders = self.with_orders
        if orders is not None and other.with_orders is not None:
            orders = orders.combined(other.with_orders, sign)
        elif other.with_orders is not None:
            orders = other.with_orders
        return PoolFigures(
            ordinary=self.ordinary,
            joint=self.joint + sign * other.joint,
            groups=self.groups + sign * other.groups,
            grids=self.grids + sign * other.grids,
            minimum=self.minimum + sign * other.minimum,
            add_ons=self.add_ons + sign * other.add_ons,
            counted=self.counted + sign * other.counted,
            members=self.members + sign * other.members,
            buffered=self.buffered + sign * other.buffered,
            with_orders=orders,
        )

    def __getitem__(self, rows: IntArray) -> PoolFigures:
        return PoolFigures(
            ordinary=self.ordinary,
            joint=self.joint[rows],
            groups=self.groups[rows],
            grids=self.grids[rows],
            minimum=self.minimum[rows],
            add_ons=self.add_ons[rows],
            counted=self.counted[rows],
            members=self.members[rows],
            buffered=self.buffered[rows],
            with_orders=None if self.with_orders is None else self.with_orders[rows],
        )

    @property
    def nbytes(self) -> int:
        """Memory, nearly all of it the losses."""
        return self.joint.nbytes

    def buffer(self, otherwise: float) -> FloatArray:
        """Return b of each pool, (P,); `otherwise` where no group has a core."""
        return weighted_buffer(self.buffered, self.groups[:, 0], otherwise)

    def required(self, measure: TailMeasure, offset_limit: float, k: FloatArray, *, orders: bool) -> FloatArray:
        """Return M(all but W), (P, SETS); infinite for sets that cannot be the least whatever it is."""
        needed = np.full(self.counted.shape, np.inf)
        needed[:, 0] = self._of_set(np.arange(len(k)), np.zeros(len(k), dtype=np.int64), measure, offset_limit, orders)
        pool, which = np.nonzero(can_be_least(self.members, self.counted, k * needed[:, 0]))
        needed[pool, which] = self._of_set(pool, which, measure, offset_limit, orders)
        return needed

    def _of_set(
        self, pool: IntArray, which: IntArray, measure: TailMeasure, offset_limit: float, orders: bool
    ) -> FloatArray:
        joint, groups, grids = self.joint[pool, which], self.groups[pool, which], self.grids[pool, which]
        if orders and self.with_orders is not None:
            joint = joint + self.with_orders.joint[pool]
            groups, grids = self.with_orders.groups[pool, which], self.with_orders.grids[pool, which]
        core = limited(cores(joint, self.ordinary, measure), groups, grids, self.minimum[pool, which], offset_limit)
        return core + self.add_ons[pool, which]


def limited(
    whole: FloatArray, groups: FloatArray, grids: FloatArray, minimum: FloatArray, offset_limit: float
) -> FloatArray:
    """Return M before add-ons: max( c C + (1 - c) sum of C_g, sum of the grids, short-option minimum )."""
    return np.maximum(np.maximum(offset_limit * whole + (1.0 - offset_limit) * groups, grids), minimum)


def can_be_least(members: FloatArray, counted: FloatArray, required: FloatArray) -> BoolArray:
    """Return which sets W may cost less than leaving nothing out, (P, SETS).

    `members` (P, SETS) is how many holdings W leaves out. A requirement is 0 or more, so a set whose counted value
    reaches `required` (P,), what nothing left out needs, is not the least. Of equal sets one is enough.
    """
    found = (members > 0.0) & (counted < required[:, None])
    everything = members[:, LeftOut.EVERYTHING]
    for w in LeftOut:
        if w != LeftOut.EVERYTHING:
            same = members[:, w] == everything
            found[:, w if w > LeftOut.EVERYTHING else LeftOut.EVERYTHING] &= ~same
    return found


def weighted_buffer(buffered: FloatArray, groups: FloatArray, otherwise: float) -> FloatArray:
    """Return b = sum of b_g C_g / sum of C_g, any shape; `otherwise` where that is 0."""
    return np.asarray(np.divide(buffered, groups, out=np.full(len(groups), otherwise), where=groups > 0.0))
