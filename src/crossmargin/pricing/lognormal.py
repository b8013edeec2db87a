"""A price that moves as a geometric Brownian motion: its bounds, and what is lost on average beyond one.

Letters: mu = drift and sigma = vol, both a year; tau = horizon in years; s = sigma sqrt(tau); N = the normal
distribution function. The price after tau is S exp((mu - sigma^2 / 2) tau + s Z), Z standard normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtr, ndtri

from crossmargin.units import FloatArray

JULIAN_YEAR_SECONDS = 365.25 * 86_400
"""The year that price monitoring counts its horizons in."""


@dataclass(frozen=True, slots=True)
class RiskFactors:
    """What one unit of value is expected to lose in the bad tail, as a fraction of the value."""

    long: float
    short: float


def lognormal_risk_factors(*, level: float, tau: float, mu: float, sigma: float) -> RiskFactors:
    """Return the expected shortfall of a long and of a short at probability `level`, as fractions of the price.

    With z = N^-1(level): long = 1 - e^(mu tau) N(z - s) / level; short = e^(mu tau) N(s + z) / level - 1. level in
    (0, 1), tau and sigma 0 or more. Source class: Vega lognormal risk model. Raises ValueError outside.
    """
    if not 0 < level < 1:
        raise ValueError(f"level: found {level}; allowed: a probability between 0 and 1")
    _check(tau, mu, sigma)
    z, s, growth = float(ndtri(level)), sigma * np.sqrt(tau), np.exp(mu * tau)
    return RiskFactors(long=float(1.0 - growth * ndtr(z - s) / level), short=float(growth * ndtr(s + z) / level - 1.0))


def lognormal_bounds(
    *, reference: ArrayLike, probability: float, tau: float, mu: float, sigma: float
) -> tuple[FloatArray, FloatArray]:
    """Return the (low, high) prices between which a price stays over tau with `probability`, any shape.

    reference x exp((mu - sigma^2 / 2) tau + s N^-1((1 -+ probability) / 2)); each tail has half of the rest.
    probability in (0, 1). Source class: Vega price monitoring.
    """
    if not 0 < probability < 1:
        raise ValueError(f"probability: found {probability}; allowed: between 0 and 1")
    _check(tau, mu, sigma)
    price = np.asarray(reference, dtype=np.float64)
    drift, s = (mu - 0.5 * sigma**2) * tau, sigma * np.sqrt(tau)
    low, high = (np.exp(drift + s * ndtri((1.0 + side * probability) / 2.0)) for side in (-1.0, 1.0))
    return np.asarray(price * low), np.asarray(price * high)


def factor_bounds(*, reference: ArrayLike, down: float, up: float) -> tuple[FloatArray, FloatArray]:
    """Return (down, up) x reference: bounds that come of no model. 0 <= down <= 1 <= up."""
    if not 0 <= down <= 1 <= up < np.inf:
        raise ValueError(f"down, up: found {down} and {up}; allowed: 0 <= down <= 1 <= up")
    price = np.asarray(reference, dtype=np.float64)
    return np.asarray(price * down), np.asarray(price * up)


def valid_prices(low: float, high: float) -> tuple[int, int]:
    """Return the whole prices inside bounds: the least rounded up, the greatest rounded down."""
    return ceil(low), floor(high)


def reference_price(*, times: ArrayLike, prices: ArrayLike, now: float, horizon: float) -> float:
    """Return the price that bounds over `horizon` start from: the latest one at least that old, else the first.

    times: seconds, rising, (n,); prices: (n,); now and horizon in seconds.
    """
    at, price = np.asarray(times, dtype=np.float64), np.asarray(prices, dtype=np.float64)
    if at.ndim != 1 or at.shape != price.shape or not len(at) or (np.diff(at) <= 0).any():
        raise ValueError("times: allowed: rising times, one for each price")
    return float(price[max(int(np.searchsorted(at, now - horizon, side="right")) - 1, 0)])


def _check(tau: float, mu: float, sigma: float) -> None:
    for name, number in (("tau", tau), ("sigma", sigma)):
        if not 0 <= number < np.inf:
            raise ValueError(f"{name}: found {number}; allowed: a finite number, 0 or more")
    if not isfinite(mu):
        raise ValueError(f"mu: found {mu}; allowed: a finite number")
