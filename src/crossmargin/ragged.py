"""Ragged columns: many lists of different length in one flat array, cut by row starts (CSR).

Group `g` owns the slice `start[g]:start[g + 1]`. Sums run in storage order, so a group's sum does not
depend on which other groups are computed beside it.
"""

from __future__ import annotations

import numpy as np

from crossmargin.units import Array, FloatArray, IntArray

__all__ = [
    "distinct",
    "group_sums",
    "owners",
    "slices",
    "starts",
]


def starts(group: Array, count: int) -> IntArray:
    """Return the row starts, shape (count + 1,), of rows sorted by their `group` number."""
    return np.concatenate(([0], np.cumsum(np.bincount(group, minlength=count)))).astype(np.int64)


def owners(start: IntArray) -> IntArray:
    """Return the group number of every row, shape (start[-1],)."""
    return np.repeat(np.arange(len(start) - 1), np.diff(start))


def group_sums(group: Array, value: FloatArray, count: int) -> FloatArray:
    """Return the sum of `value` over each of `count` groups, in storage order, shape (count,)."""
    return np.bincount(group, weights=value, minlength=count).astype(np.float64, copy=False)


def distinct(numbers: IntArray, count: int) -> IntArray:
    """Return the distinct values of `numbers`, rising; all are from 0 to below `count`."""
    present = np.zeros(count, dtype=np.bool_)
    present[numbers] = True
    return np.flatnonzero(present)


def slices(start: IntArray, chosen: Array) -> tuple[IntArray, IntArray]:
    """Return (rows, new starts) of the groups `chosen`, in that order, repeats allowed."""
    length = start[chosen + 1] - start[chosen]
    new = np.concatenate(([0], np.cumsum(length))).astype(np.int64)
    rows = np.arange(new[-1]) + np.repeat(start[chosen] - new[:-1], length)
    return rows, new
