"""Whole numbers of a smallest unit, as columns: rounding that ledgers do, without leaving floats for long.

A column holds whole numbers as floats, which tell two apart below 2^53. Products with a rate in parts per million are
made in 64-bit integers, so they are rounded once and the right way; beyond 2^60 the product is a float's.
"""

from __future__ import annotations

import numpy as np

from crossmargin.units import FloatArray, IntArray

MILLION = 1_000_000
_EXACT = 2.0**60
_SAME = 2.0**-50
"""A quotient this near a whole number, relative, is that number: its parts were rounded to floats."""


def whole_below(value: FloatArray, unit: float) -> FloatArray:
    """Return value / unit rounded down, any shape; value 0 or more."""
    return _snapped(value, unit, np.floor)


def whole_above(value: FloatArray, unit: float) -> FloatArray:
    """Return value / unit rounded up, any shape; value 0 or more."""
    return _snapped(value, unit, np.ceil)


def ppm_above(whole: FloatArray, ppm: IntArray | int) -> FloatArray:
    """Return whole x ppm / 1,000,000 rounded up, any shape; both 0 or more."""
    return _times_ppm(whole, ppm, up=True)


def ppm_below(whole: FloatArray, ppm: IntArray | int) -> FloatArray:
    """Return whole x ppm / 1,000,000 rounded down, any shape; both 0 or more."""
    return _times_ppm(whole, ppm, up=False)


def _snapped(value: FloatArray, unit: float, rounding: np.ufunc) -> FloatArray:
    count = value / unit
    nearest = np.rint(count)
    near = np.abs(count - nearest) <= _SAME * np.abs(nearest)
    return np.where(near, nearest, rounding(count))


def _times_ppm(whole: FloatArray, ppm: IntArray | int, *, up: bool) -> FloatArray:
    exact = whole < _EXACT
    millions, rest = np.divmod(np.where(exact, whole, 0.0).astype(np.int64), MILLION)
    small = rest * ppm
    part = -(-small // MILLION) if up else small // MILLION
    return np.where(exact, (millions * ppm + part).astype(np.float64), whole * ppm / MILLION)
