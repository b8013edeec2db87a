"""The aggregation itself: weighted sensitivities to a number, bucket by bucket, then across buckets.

Source class: uncleared-margin models of the industry, as published; every formula is written out here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import sqrt

import numpy as np
from scipy.special import ndtri

from crossmargin.errors import InputError
from crossmargin.units import FloatArray, IntArray

YEAR_DAYS = 365.0
HORIZON_DAYS = 10
"""Close-out days that the two weeks of the vol scale and of the curvature scale stand for."""
_CALENDAR_DAYS = 14.0
_VOL_QUANTILE = float(ndtri(0.99))
_CURVATURE_QUANTILE = float(ndtri(0.995))
_TENOR = re.compile(r"([0-9]+(?:\.[0-9]+)?)([dwmy])")
_UNIT_DAYS = {"d": 1.0, "w": 7.0, "m": YEAR_DAYS / 12.0, "y": YEAR_DAYS}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Factors:
    """Weighted sensitivities of one risk class to its factors, each in a bucket. Shapes: n factors, b buckets."""

    bucket: IntArray
    """(n,) number of each factor's bucket."""
    weighted: FloatArray
    """(n,) in the calculation currency, signed."""
    rho: FloatArray
    """(n, n) correlations, ones on the diagonal; only those within one bucket are read."""
    gamma: FloatArray
    """(b, b) correlations between buckets; the diagonal is not read."""
    residual: int = -1
    """The bucket that offsets no other; -1: there is none."""

    def __post_init__(self) -> None:
        n, b = len(self.weighted), len(self.gamma)
        assert self.bucket.shape == (n,), "a bucket for every factor"
        assert self.rho.shape == (n, n), "a correlation for every pair of factors"
        assert self.gamma.shape == (b, b), "a correlation for every pair of buckets"
        assert not n or (self.bucket.min() >= 0 and self.bucket.max() < b), "buckets are numbered"


def bucket_margins(factors: Factors) -> tuple[FloatArray, FloatArray]:
    """Return K and the sum of weighted sensitivities of each bucket, both (b,).

    K_b = sqrt( sum over k, l in b of rho_kl WS_k WS_l ), rho_kk = 1. Correlations that are no correlations may make
    the sum negative; K is 0 there.
    """
    count = len(factors.gamma)
    k, total = np.zeros(count), np.zeros(count)
    for b in range(count):
        mine = np.flatnonzero(factors.bucket == b)
        weighted = factors.weighted[mine]
        k[b] = sqrt(max(float(weighted @ factors.rho[np.ix_(mine, mine)] @ weighted), 0.0))
        total[b] = weighted.sum()
    return k, total


def aggregated(factors: Factors) -> float:
    """Return the margin of a risk class.

    sqrt( sum_b K_b^2 + sum over b != c of gamma_bc S_b S_c ) + K_residual, S_b = sum WS held between -K_b and K_b.
    """
    inner, residual = _combined(factors)
    return inner + residual


def _combined(factors: Factors) -> tuple[float, float]:
    k, total = bucket_margins(factors)
    residual = float(k[factors.residual]) if factors.residual >= 0 else 0.0
    if factors.residual >= 0:
        k[factors.residual] = total[factors.residual] = 0.0
    held = np.clip(total, -k, k)
    across = factors.gamma.copy()
    np.fill_diagonal(across, 0.0)
    return sqrt(max(float(k @ k + held @ across @ held), 0.0)), residual


def theta(exposure: FloatArray) -> float:
    """Return min( sum of CVR / sum of |CVR|, 0 ) of curvature exposures, any number of them; 0 where there are none."""
    size = float(np.abs(exposure).sum())
    return min(float(exposure.sum()) / size, 0.0) if size > 0.0 else 0.0


def shortfall_weight(theta: float) -> float:
    """Return lambda = (q^2 - 1)(1 + theta) - theta, q the 99.5% normal quantile; theta from -1 to 0."""
    return (_CURVATURE_QUANTILE**2 - 1.0) * (1.0 + theta) - theta


def curvature_margin(factors: Factors) -> float:
    """Return the curvature margin of curvature exposures CVR given as the weighted sensitivities of `factors`.

    max( 0, sum CVR + lambda sqrt(...) ), the root as in `aggregated` with every correlation squared; the residual
    bucket on its own and added. Lambda is that of the exposures taken together.
    """
    squared = Factors(
        bucket=factors.bucket,
        weighted=factors.weighted,
        rho=factors.rho**2,
        gamma=factors.gamma**2,
        residual=factors.residual,
    )
    inner, residual = _combined(squared)
    apart = factors.bucket == factors.residual
    margin = 0.0
    for exposure, root in ((factors.weighted[~apart], inner), (factors.weighted[apart], residual)):
        margin += max(0.0, float(exposure.sum()) + shortfall_weight(theta(exposure)) * root)
    return margin


def concentration(size: FloatArray, threshold: FloatArray) -> FloatArray:
    """Return max(1, sqrt(|size| / threshold)), any shape; thresholds above 0, in the unit of `size`."""
    return np.asarray(np.maximum(1.0, np.sqrt(np.abs(size) / threshold)), dtype=np.float64)


def alike(ratio: FloatArray) -> FloatArray:
    """Return f_kl = min / max of the concentration ratios of every pair, (n, n) from (n,)."""
    return np.asarray(np.minimum.outer(ratio, ratio) / np.maximum.outer(ratio, ratio), dtype=np.float64)


def vol_scale(horizon_days: int = HORIZON_DAYS) -> float:
    """Return what a risk weight is multiplied by to be a vol: sqrt(365 / 14) / N^-1(99%) for ten days."""
    return float(np.sqrt(YEAR_DAYS / _calendar(horizon_days)) / _VOL_QUANTILE)


def curvature_scale(days: FloatArray | float, horizon_days: int = HORIZON_DAYS) -> FloatArray:
    """Return SF(t) = 0.5 min(1, 14 days / t) for `days` to expiry above 0; the 14 days are of a ten-day horizon."""
    return np.asarray(0.5 * np.minimum(1.0, _calendar(horizon_days) / np.asarray(days, dtype=np.float64)))


def _calendar(horizon_days: int) -> float:
    return _CALENDAR_DAYS * horizon_days / HORIZON_DAYS


def tenor_days(label: str) -> float:
    """Return the days of a tenor such as 2w, 6m or 10y: weeks of 7, a year of 365, twelve months a year."""
    found = _TENOR.fullmatch(label.strip().lower())
    if found is None or float(found[1]) <= 0:
        raise InputError("tenor", repr(label), "a number above 0 of days, weeks, months or years, such as 2w or 10y")
    return float(found[1]) * _UNIT_DAYS[found[2]]
