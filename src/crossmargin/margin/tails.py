"""Tails: what the worst scenarios of a few rows come to, and which scenarios those are.

A segment is a run of rows: a whole pool, its rows in one group, or in one group and expiry. The columns of a risk
table are ordinary scenarios, then stressed ones, then the cells of a grid; a loss is positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

import numpy as np
from numba import njit

from crossmargin.margin.exposures import Rows
from crossmargin.threads import in_parts
from crossmargin.units import FloatArray, IntArray

_SEGMENTS_LEAST = 2_000
"""Segments that are worth a thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailMeasure:
    """How scenarios become one number.

    ES+ = the mean of the worst (1 - confidence) of the ordinary losses, the scenario on the boundary with the
    fraction left over, 0 or more; core C = max( ES+, (1 - w) ES+ + w max(0, worst stressed loss) ).
    """

    confidence: float
    stress_weight: float
    """w: stress can only add, and another stressed scenario never lowers C."""

    def tail(self, ordinary: int) -> float:
        """Return how many of `ordinary` scenarios are in the tail; at least the single worst."""
        # A decimal confidence leaves a speck in the product (0.01 x 1000): a whole number is meant.
        return max(round((1.0 - self.confidence) * ordinary, 9), 1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Segments:
    """Runs of rows; N of them. `which` is the set W left out of each."""

    rows: Rows
    low: IntArray
    """(N,) first row."""
    high: IntArray
    """(N,) one past the last row."""
    which: IntArray
    left_out: IntArray
    """(E,) bits by row."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tails:
    """What segments come to, all (N,) and in the reporting currency unless said otherwise."""

    shortfall: FloatArray
    """ES+ of the ordinary scenarios."""
    core: FloatArray
    """C: with the stressed ones."""
    grid: FloatArray
    """Worst weighted cell, 0 or more."""
    peak: FloatArray
    """Largest loss of any ordinary or stressed scenario, 0 or more."""
    peak_at: IntArray
    """Its column; -1 where nothing is lost."""
    tail_at: IntArray
    """(N, ceil(tail)) columns of the ordinary tail, worst first; -1 where ES+ is 0."""
    stress_at: IntArray
    """Column of the worst stressed loss where it adds to C; -1 elsewhere."""
    cell_at: IntArray
    """Column of the worst cell; -1 where none loses."""


def tails(
    segments: Segments,
    pnl: FloatArray,
    ordinary: int,
    stressed: int,
    cell_weight: FloatArray,
    measure: TailMeasure,
    extra: FloatArray | None = None,
    extra_of: IntArray | None = None,
) -> Tails:
    """Return the tails of segments under the risk rows `pnl` (rows, ordinary + stressed + cells or more).

    `cell_weight` (cells,) is the share of a cell's loss that counts. `extra` (X, columns) are losses that come on
    top of a segment's own, those of row `extra_of` (N,); -1: none.
    """
    count = len(segments.low)
    tail = measure.tail(ordinary)
    shortfall, core, grid, peak = (np.zeros(count) for _ in range(4))
    peak_at, stress_at, cell_at = (np.full(count, -1) for _ in range(3))
    tail_at = np.full((count, ceil(tail)), -1)
    beside = np.zeros((0, pnl.shape[1])) if extra is None else extra
    beside_of = np.full(count, -1) if extra_of is None else extra_of

    def run(low: int, high: int) -> None:
        part = slice(low, high)
        _tails(
            segments.low[part],
            segments.high[part],
            segments.which[part],
            segments.rows.row,
            segments.rows.amount,
            segments.left_out,
            pnl,
            ordinary,
            stressed,
            cell_weight,
            tail,
            measure.stress_weight,
            beside,
            beside_of[part],
            shortfall[part],
            core[part],
            grid[part],
            peak[part],
            peak_at[part],
            tail_at[part],
            stress_at[part],
            cell_at[part],
        )

    in_parts(count, run, least=_SEGMENTS_LEAST)
    return Tails(
        shortfall=shortfall,
        core=core,
        grid=grid,
        peak=peak,
        peak_at=peak_at,
        tail_at=tail_at,
        stress_at=stress_at,
        cell_at=cell_at,
    )


def tail_shares(
    segments: Segments,
    found: Tails,
    pnl: FloatArray,
    ordinary: int,
    stressed: int,
    cell_weight: FloatArray,
    measure: TailMeasure,
    of_core: FloatArray,
    of_grid: FloatArray,
) -> FloatArray:
    """Return each row's Euler share of the sum over segments of of_core x core + of_grid x grid, (E,).

    `of_core`, `of_grid` are (N,). Rows of a pool add up to it: the measures are linear once the scenarios that
    decide are known.
    """
    share = np.zeros(len(segments.rows.row))
    _shares(
        segments.low,
        segments.high,
        segments.which,
        segments.rows.row,
        segments.rows.amount,
        segments.left_out,
        pnl,
        ordinary + stressed,
        cell_weight,
        measure.tail(ordinary),
        measure.stress_weight,
        found.tail_at,
        found.stress_at,
        found.cell_at,
        of_core,
        of_grid,
        share,
    )
    return share


def cores(losses: FloatArray, ordinary: int, measure: TailMeasure) -> FloatArray:
    """Return C of each row of losses (n, ordinary + stressed), shape (n,)."""
    return np.asarray(_cores(losses, ordinary, measure.tail(ordinary), measure.stress_weight))


@njit()
def _shortfall(loss: FloatArray, ordinary: int, tail: float, at: IntArray, value: FloatArray) -> float:
    """Return the expected shortfall, the columns of its tail in `at`, worst first; ties go to the earlier one."""
    most = len(at)
    held = 0
    for s in range(ordinary):
        x = loss[s]
        if held == most and x <= value[most - 1]:
            continue
        k = held if held < most else most - 1
        while k > 0 and value[k - 1] < x:
            value[k], at[k] = value[k - 1], at[k - 1]
            k -= 1
        value[k], at[k] = x, s
        held = min(held + 1, most)
    whole = int(tail)
    total = 0.0
    for k in range(min(whole, held)):
        total += value[k]
    if whole < held:
        total += (tail - whole) * value[whole]
    return total / tail


@njit(cache=True)
def _cores(losses: FloatArray, ordinary: int, tail: float, stress_weight: float) -> FloatArray:
    core = np.zeros(len(losses))
    most = int(np.ceil(tail))
    at, value = np.empty(most, np.int64), np.empty(most)
    for i in range(len(losses)):
        shortfall = max(0.0, _shortfall(losses[i], ordinary, tail, at, value))
        worst = 0.0
        for s in range(ordinary, losses.shape[1]):
            worst = max(worst, losses[i, s])
        core[i] = max(shortfall, (1.0 - stress_weight) * shortfall + stress_weight * worst)
    return core


@njit(cache=True, nogil=True)
def _tails(
    low: IntArray,
    high: IntArray,
    which: IntArray,
    row: IntArray,
    amount: FloatArray,
    left_out: IntArray,
    pnl: FloatArray,
    ordinary: int,
    stressed: int,
    cell_weight: FloatArray,
    tail: float,
    stress_weight: float,
    extra: FloatArray,
    extra_of: IntArray,
    shortfall: FloatArray,
    core: FloatArray,
    grid: FloatArray,
    peak: FloatArray,
    peak_at: IntArray,
    tail_at: IntArray,
    stress_at: IntArray,
    cell_at: IntArray,
) -> None:
    joint = ordinary + stressed
    columns = joint + len(cell_weight)
    loss = np.empty(columns)
    most = tail_at.shape[1]
    at, value = np.empty(most, np.int64), np.empty(most)
    for i in range(len(low)):
        if extra_of[i] >= 0:
            loss[:] = extra[extra_of[i], :columns]
        else:
            loss[:] = 0.0
        w = which[i]
        for e in range(low[i], high[i]):
            if w > 0 and (left_out[e] >> w) & 1:
                continue
            a, r = amount[e], row[e]
            for s in range(columns):
                loss[s] -= a * pnl[r, s]
        expected = _shortfall(loss, ordinary, tail, at, value)
        if expected > 0.0:
            shortfall[i] = expected
            tail_at[i] = at
            peak[i], peak_at[i] = value[0], at[0]
        elif value[0] > 0.0:
            peak[i], peak_at[i] = value[0], at[0]
        worst, worst_at = 0.0, -1
        for s in range(ordinary, joint):
            if loss[s] > worst:
                worst, worst_at = loss[s], s
        core[i] = shortfall[i]
        if worst > shortfall[i]:
            with_stress = (1.0 - stress_weight) * shortfall[i] + stress_weight * worst
            if with_stress > core[i]:
                core[i], stress_at[i] = with_stress, worst_at
        if worst > peak[i]:
            peak[i], peak_at[i] = worst, worst_at
        for s in range(joint, columns):
            x = loss[s] * cell_weight[s - joint]
            if x > grid[i]:
                grid[i], cell_at[i] = x, s


@njit(cache=True)
def _shares(
    low: IntArray,
    high: IntArray,
    which: IntArray,
    row: IntArray,
    amount: FloatArray,
    left_out: IntArray,
    pnl: FloatArray,
    joint: int,
    cell_weight: FloatArray,
    tail: float,
    stress_weight: float,
    tail_at: IntArray,
    stress_at: IntArray,
    cell_at: IntArray,
    of_core: FloatArray,
    of_grid: FloatArray,
    share: FloatArray,
) -> None:
    whole, most = int(tail), tail_at.shape[1]
    for i in range(len(low)):
        w = which[i]
        expected = 1.0 - stress_weight if stress_at[i] >= 0 else 1.0
        for e in range(low[i], high[i]):
            if w > 0 and (left_out[e] >> w) & 1:
                continue
            r, total = row[e], 0.0
            if of_core[i] != 0.0:
                mean = 0.0
                if tail_at[i, 0] >= 0:
                    for k in range(most):
                        mean += pnl[r, tail_at[i, k]] * (1.0 if k < whole else tail - whole)
                worst = pnl[r, stress_at[i]] if stress_at[i] >= 0 else 0.0
                total += of_core[i] * (expected * mean / tail + stress_weight * worst)
            if of_grid[i] != 0.0 and cell_at[i] >= 0:
                total += of_grid[i] * pnl[r, cell_at[i]] * cell_weight[cell_at[i] - joint]
            share[e] -= amount[e] * total
