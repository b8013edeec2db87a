"""Sensitivities of one contract: what it gains as its underlying moves, and as its implied vol does."""

from __future__ import annotations

import numpy as np

from crossmargin.instruments import KINDS
from crossmargin.pricing import Valuation, bachelier_greeks, black76_greeks
from crossmargin.units import FloatArray, IntArray

_OPTION = KINDS.index("option")
_POINT = 0.01
"""One vol point."""


def unit_deltas(valuation: Valuation, any_floor: FloatArray) -> FloatArray:
    """Return the delta notional of one contract of every valuation row in its settle asset, (rows,).

    The first-order gain of a long contract as its underlying moves by 100%, forwards keeping their ratio to the
    index: size x mark for a linear future, size / mark (coins) for an inverse one, size x delta x forward for an
    option. Where prices may be negative a move is of price units, and 100% is max(|index|, floor) of them, so
    that a price near zero does not make a position small; `any_floor` (assets,) is that floor by underlying.
    What the settle asset itself gains is not in it. Rows without a value are 0.
    """
    terms = valuation.catalogue
    instrument = valuation.instrument
    valued = ~np.isnan(valuation.unit_value)
    option, any_domain = terms.kind[instrument] == _OPTION, terms.any_domain[instrument]
    step = np.where(any_domain, _level(valuation, any_floor), valuation.forward)
    found = np.zeros(len(instrument))
    straight = np.flatnonzero(valued & ~option)
    k = instrument[straight]
    inverse = terms.inverse[k]
    found[straight] = terms.contract_size[k] * np.where(
        inverse, 1.0 / np.where(inverse, valuation.mark[straight], 1.0), step[straight]
    )
    for normal in (False, True):
        rows = np.flatnonzero(valued & option & (any_domain == normal))
        if not len(rows):
            continue
        price, delta, _ = _priced(valuation, rows, normal)
        k = instrument[rows]
        in_coin = terms.inverse[k]
        # Worth V / F coins: its derivative by ln F is V' - V / F.
        per_unit = np.where(
            in_coin, delta - price / np.where(in_coin, valuation.forward[rows], 1.0), delta * step[rows]
        )
        found[rows] = terms.contract_size[k] * per_unit
    return found


def unit_vegas(valuation: Valuation, any_floor: FloatArray) -> FloatArray:
    """Return the vega of one contract of every valuation row, per vol point, in its settle asset, (rows,).

    A vol point is 0.01 of annual vol; where prices may be negative, vols are in price units and a point is 0.01 x
    max(|index|, floor), floors as in `unit_deltas`. Futures, perpetuals and rows without a value are 0.
    """
    terms = valuation.catalogue
    option = (terms.kind[valuation.instrument] == _OPTION) & ~np.isnan(valuation.unit_value)
    found = np.zeros(len(valuation.instrument))
    if not option.any():
        return found
    any_domain = terms.any_domain[valuation.instrument]
    level = _level(valuation, any_floor)
    for normal in (False, True):
        rows = np.flatnonzero(option & (any_domain == normal))
        if not len(rows):
            continue
        _, _, vega = _priced(valuation, rows, normal)
        k = valuation.instrument[rows]
        point = _POINT * level[rows] if normal else np.full(len(rows), _POINT)
        found[rows] = terms.contract_size[k] * vega * point / np.where(terms.inverse[k], valuation.forward[rows], 1.0)
    return found


def _level(valuation: Valuation, any_floor: FloatArray) -> FloatArray:
    """Return max(|index|, floor) of every row: what a fraction is of where prices may be negative."""
    return np.maximum(np.abs(valuation.index), any_floor[valuation.catalogue.underlying[valuation.instrument]])


def _priced(valuation: Valuation, rows: IntArray, normal: bool) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (price, delta, vega) of one unit of the options `rows`, in quote."""
    terms, k = valuation.catalogue, valuation.instrument[rows]
    found = (bachelier_greeks if normal else black76_greeks)(
        valuation.forward[rows],
        terms.strike[k],
        valuation.iv[rows],
        valuation.tau[rows],
        valuation.discount[rows],
        terms.is_call[k],
    )
    return found.price, found.delta, found.vega
