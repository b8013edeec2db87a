"""Ragged columns: many lists of different length in one flat array, cut by row starts (CSR).

Group `g` owns the slice `start[g]:start[g + 1]`. Sums run in storage order, so a group's sum does not
depend on which other groups are computed beside it.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from crossmargin.units import Array, FloatArray, IntArray

__all__ = [
    "distinct",
    "exact_sums",
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


def exact_sums(start: IntArray, value: FloatArray) -> FloatArray:
    """Return each group's correctly rounded sum (as `math.fsum`), shape (len(start) - 1,)."""
    total = np.zeros(len(start) - 1)
    _exact_sums(start, value, total)
    return total


@njit(cache=True)
def _exact_sums(start: IntArray, value: FloatArray, total: FloatArray) -> None:
    """Fill `total`: each sum is kept as parts that do not overlap (Shewchuk 1997), at most 40 or so for any doubles."""
    parts = np.empty(64)
    for g in range(len(total)):
        count = 0
        for e in range(start[g], start[g + 1]):
            x, kept = value[e], 0
            for k in range(count):
                y = parts[k]
                if abs(x) < abs(y):
                    x, y = y, x
                high = x + y
                low = y - (high - x)
                if low != 0.0:
                    parts[kept] = low
                    kept += 1
                x = high
            parts[kept] = x
            count = kept + 1
        high, low = 0.0, 0.0
        while count > 0:
            count -= 1
            x = high
            high = x + parts[count]
            low = parts[count] - (high - x)
            if low != 0.0:
                break
        # A half way case is rounded by what lies below it.
        if count > 0 and ((low < 0.0 and parts[count - 1] < 0.0) or (low > 0.0 and parts[count - 1] > 0.0)):
            y = low * 2.0
            x = high + y
            if y == x - high:
                high = x
        total[g] = high
