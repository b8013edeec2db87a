"""Carry: what an index becomes, and what money is worth, over time at a continuous rate."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.units import FloatArray


def carried_forward(index: ArrayLike, rate: ArrayLike, tau: ArrayLike) -> FloatArray:
    """Return the forward index x exp(rate tau), any shape, in the unit of `index`.

    rate: continuous, a fraction a year, less what the underlying pays its holder. tau: years, ACT/365.
    """
    return np.asarray(np.asarray(index) * np.exp(np.asarray(rate) * np.asarray(tau)), dtype=np.float64)


def discount_factor(rate: ArrayLike, tau: ArrayLike) -> FloatArray:
    """Return exp(-rate tau), what one unit paid after `tau` years is worth now; arguments as in `carried_forward`."""
    return np.asarray(np.exp(-np.asarray(rate) * np.asarray(tau)), dtype=np.float64)
