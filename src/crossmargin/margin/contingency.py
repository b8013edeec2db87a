"""Contingencies: flat shares of gross size, charged whatever the scenarios say."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.margin.model import Portfolios
from crossmargin.margin.short_options import ShortOptions
from crossmargin.ragged import group_sums
from crossmargin.units import FloatArray


def futures_contingency(*, size: ArrayLike, price: ArrayLike, factor: ArrayLike) -> FloatArray:
    """Return |size| x |price| x factor, any shape, in the unit of `price`.

    size: signed units of the underlying held in futures and perpetuals; longs and shorts do not offset.
    price: the index, in the quote asset. factor: a share of notional. Source class: the contingency that price x vol
    grids add for futures, which carry basis risk no shock of the index shows.
    """
    return np.asarray(np.abs(np.asarray(size) * np.asarray(price)) * np.asarray(factor), dtype=np.float64)


def futures_charges(portfolios: Portfolios, rate: FloatArray) -> FloatArray:
    """Return what each future and perpetual is charged for its size, (L,): |units| x index x rate of the underlying.

    `rate` (assets,) is a share of the index, by asset. In the reporting currency; options are charged nothing.
    """
    legs = np.flatnonzero(~portfolios.is_option)
    valuation, row = portfolios.valuation, portfolios.leg_row[legs]
    catalogue, held = valuation.catalogue, portfolios.leg_instrument[legs]
    units = portfolios.quantity[legs] * catalogue.contract_size[held]
    units /= np.where(catalogue.inverse[held], valuation.mark[row], 1.0)
    charge = np.zeros(len(portfolios.leg_row))
    charge[legs] = futures_contingency(
        size=units,
        price=valuation.index[row] * valuation.quote_fx[row],
        factor=rate[catalogue.underlying[held]],
    )
    return charge


def short_option_charges(portfolios: Portfolios, rate: FloatArray) -> FloatArray:
    """Return what each option leg brings to the charge of net short options, (L,); a long one's is negative.

    An expiry's calls, and its puts, owe max(0, net short contracts) x contract size x |index| x rate of the
    underlying; `rate` (assets,) is a share of the index, by asset. In the reporting currency.
    """
    found = ShortOptions.of(portfolios, 1.0)
    net = group_sums(found.bucket, found.charge, len(found.pool))
    counts = np.where(net > 0.0, rate[found.underlying], 0.0)
    charge = np.zeros(len(portfolios.leg_row))
    charge[found.leg] = found.charge * counts[found.bucket]
    return charge
