"""Exact sums of doubles: the parts of a requirement add up to it to the last bit.

A room apart from `ragged` because it loads the compiler, which the command line's help does without.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from crossmargin.units import FloatArray, IntArray

__all__ = ["exact_sums"]


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
