"""Bankruptcy prices: where a pool's positions must change hands for it to be worth exactly nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.ragged import group_sums, owners, slices
from crossmargin.standing.standing import Standing
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class BankruptcyPrices:
    """One row a position, pool after pool; N rows."""

    pool: IntArray
    leg: IntArray
    """Row in `Standing.pools`."""
    price: FloatArray
    """In the unit of the mark; NaN where no price would do: none for nothing held, none for an inverse contract whose
    share is more than it could ever be worth."""
    unit_value: FloatArray
    """What a contract is then worth, in its settlement asset."""
    weight: FloatArray
    """Share of the pool's net value that the position is charged with; a pool's weights sum to 1."""


def bankruptcy_prices(standing: Standing, pools: IntArray | None = None) -> BankruptcyPrices:
    """Return the prices at which whoever takes all positions of a pool over leaves it with a net value of 0.

    P* = P - s x net_value x w / (|q| x multiplier), w the position's share of the pool's maintenance margin where that
    is positive (of the gross value where no share is): the positions that ask for margin carry the loss. For a pool
    that is bankrupt a long is taken over above its mark. pools: by default all. Source: models.md, section 4.
    """
    every = np.arange(standing.pools.count) if pools is None else np.asarray(pools, dtype=np.int64)
    leg, start = slices(standing.pools.leg_start, every)
    row = owners(start)
    valuation, terms = standing.valuation, standing.valuation.catalogue
    instrument, quantity = standing.pools.leg_instrument[leg], standing.pools.leg_quantity[leg]
    unit, fx = valuation.unit_value[instrument], valuation.settle_fx[instrument]
    asked = np.where(quantity != 0.0, np.maximum(standing.requirement.leg_share[leg], 0.0), 0.0)
    nobody = group_sums(row, asked, len(every)) == 0.0
    asked = np.where(nobody[row], np.abs(quantity * unit * fx), asked)
    # Positions worth nothing, of which no margin is asked: each alike.
    nothing = group_sums(row, asked, len(every)) == 0.0
    asked = np.where(nothing[row] & (quantity != 0.0), 1.0, asked)
    total = group_sums(row, asked, len(every))[row]
    weight = np.divide(asked, total, out=np.zeros(len(leg)), where=total > 0.0)
    change = np.divide(
        standing.worth.net_value[every][row] * weight, quantity * fx, out=np.zeros(len(leg)), where=quantity != 0.0
    )
    value = unit - change
    size = terms.contract_size[instrument]
    reciprocal = terms.inverse[instrument] & ~valuation.is_option[instrument]
    with np.errstate(divide="ignore", invalid="ignore"):
        price = np.where(reciprocal, -size / value, value / size)
    possible = (quantity != 0.0) & (~reciprocal | (value < 0.0))
    return BankruptcyPrices(
        pool=every[row], leg=leg, price=np.where(possible, price, np.nan), unit_value=value, weight=weight
    )
