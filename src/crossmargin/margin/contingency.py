"""Contingencies: flat shares of gross size, charged whatever the scenarios say."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.units import FloatArray


def futures_contingency(*, size: ArrayLike, price: ArrayLike, factor: ArrayLike) -> FloatArray:
    """Return |size| x |price| x factor, any shape, in the unit of `price`.

    size: signed units of the underlying held in futures and perpetuals; longs and shorts do not offset.
    price: the index, in the quote asset. factor: a share of notional. Source class: the contingency that price x vol
    grids add for futures, which carry basis risk no shock of the index shows.
    """
    return np.asarray(np.abs(np.asarray(size) * np.asarray(price)) * np.asarray(factor), dtype=np.float64)
