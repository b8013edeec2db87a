"""Anti-procyclicality: what keeps margin from rising just when nobody has money, and how much it still rises.

Source: the three tools of Art. 28 of Commission Delegated Regulation (EU) 153/2013 for central counterparties, of which
one is to be used, and the usual measures of how procyclical a series of margins is. A margin is 0 or more, in any unit.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.units import FloatArray

TOOLS = ("none", "buffer", "stress_weight", "floor")


def buffered(margin: ArrayLike, previous: ArrayLike, buffer: float = 0.25) -> FloatArray:
    """Return max( M, min( (1 + buffer) M, previous ) ): tool (a), a buffer that is used up as margins rise.

    `previous` is what was asked for before, buffer and all. While margins fall or stand still the buffer is held at
    what it was, at most in full; while they rise it pays for the rise. Shapes broadcast.
    """
    now = _margins("margin", margin)
    return np.asarray(np.maximum(now, np.minimum((1.0 + buffer) * now, _margins("previous", previous))))


def stress_weighted(margin: ArrayLike, stressed: ArrayLike, weight: float = 0.25) -> FloatArray:
    """Return (1 - weight) M + weight M_stressed: tool (b), a share of stressed observations at all times."""
    return np.asarray((1.0 - weight) * _margins("margin", margin) + weight * _margins("stressed", stressed))


def floored(margin: ArrayLike, long_run: ArrayLike) -> FloatArray:
    """Return max( M, M_long_run ): tool (c), margin never below that of ten years' volatility."""
    return np.asarray(np.maximum(_margins("margin", margin), _margins("long_run", long_run)))


def peak_to_trough(margins: ArrayLike) -> float:
    """Return the largest over the smallest margin of a series of a static portfolio; all above 0."""
    series = _series(margins)
    return float(series.max() / series.min())


def largest_rise(margins: ArrayLike, days: int) -> float:
    """Return max over t of (M_t - M_(t-days)) / M_(t-days), of a series with one margin a day; may be negative."""
    series = _series(margins)
    if not 1 <= days < len(series):
        raise ValueError(
            f"days: found {days}; allowed: whole days from 1 to {len(series) - 1}, of {len(series)} margins"
        )
    return float((series[days:] / series[:-days] - 1.0).max())


def _series(margins: ArrayLike) -> FloatArray:
    series = np.asarray(margins, dtype=np.float64)
    if series.ndim != 1 or not len(series) or not (np.isfinite(series) & (series > 0.0)).all():
        raise ValueError("margins: allowed: a series of finite numbers above 0")
    return series


def _margins(name: str, values: ArrayLike) -> FloatArray:
    margins = np.asarray(values, dtype=np.float64)
    if not (margins >= 0.0).all():
        raise ValueError(f"{name}: found {margins.tolist()}; allowed: margins of 0 or more")
    return margins
