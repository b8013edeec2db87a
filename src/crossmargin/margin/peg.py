"""Peg: what a long quoted in one currency and a short quoted in another owe, though they hedge each other."""

from __future__ import annotations

import numpy as np

from crossmargin.margin.grouped import Ladder
from crossmargin.margin.model import Portfolios
from crossmargin.margin.segments import Segments
from crossmargin.ragged import group_sums
from crossmargin.units import FloatArray


def hedged_pairs(cash_delta: FloatArray) -> tuple[FloatArray, list[tuple[int, int]]]:
    """Return what is hedged between each two quote currencies, (N, pairs), and the pairs in the order of matching.

    `cash_delta` (N, quotes) is the signed delta of what is quoted in each. The first quote is matched with the last,
    then with the one before it, and so on; then the second. Each match takes the smaller of two opposite deltas.
    """
    left = cash_delta.copy()
    count = left.shape[1]
    pairs = [(a, b) for a in range(count) for b in range(count - 1, a, -1)]
    hedged = np.zeros((len(left), len(pairs)))
    for k, (a, b) in enumerate(pairs):
        opposite = left[:, a] * left[:, b] < 0.0
        size = np.where(opposite, np.minimum(np.abs(left[:, a]), np.abs(left[:, b])), 0.0)
        hedged[:, k] = size
        left[:, a] -= np.sign(left[:, a]) * size
        left[:, b] -= np.sign(left[:, b]) * size
    return hedged, pairs


def peg_charge(hedged: FloatArray, ladder: Ladder, ratio: FloatArray, multiple: float) -> FloatArray:
    """Return the charge of positions hedged across two quote currencies, any shape.

    Slices of the ladder, each at least `multiple` x how far the two are apart, 1 - min(ratio, 1 / ratio).
    """
    apart = 1.0 - np.minimum(ratio, 1.0 / ratio)
    return ladder.charge(hedged, multiple * apart)


def peg_charges(
    portfolios: Portfolios,
    units: Segments,
    delta: FloatArray,
    quotes: tuple[str, ...],
    ladder: Ladder,
    multiple: float,
) -> tuple[FloatArray, FloatArray]:
    """Return the charge of every unit, (N,), and what each leg brings to it, (L,).

    `delta` (L,) is the delta notional of the legs in the reporting currency; legs quoted in none of `quotes` are left
    out. Half of a pair's charge is that of either quote, shared by signed delta.
    """
    valuation = portfolios.valuation
    number = np.full(len(valuation.catalogue.assets), -1, dtype=np.int64)
    for k, name in enumerate(quotes):
        if name in valuation.catalogue.asset_number:
            number[valuation.catalogue.asset_number[name]] = k
    quote = number[valuation.catalogue.quote[portfolios.pools.leg_instrument]]
    legs = np.flatnonzero(quote >= 0)
    unit, quote = units.of_leg[legs], quote[legs]
    shape = (len(units), len(quotes))
    cash = group_sums(unit * max(1, len(quotes)) + quote, delta[legs], len(units) * len(quotes)).reshape(shape)
    worth = np.ones(shape)
    worth[unit, quote] = portfolios.legs(valuation.quote_fx)[legs]
    hedged, pairs = hedged_pairs(cash)
    charge, of_quote = np.zeros(len(units)), np.zeros(shape)
    for k, (a, b) in enumerate(pairs):
        owed = peg_charge(hedged[:, k], ladder, worth[:, a] / worth[:, b], multiple)
        charge += owed
        of_quote[:, a] += owed / 2
        of_quote[:, b] += owed / 2
    of_one = np.divide(of_quote, cash, out=np.zeros(shape), where=cash != 0.0)
    share = np.zeros(len(delta))
    share[legs] = delta[legs] * of_one[unit, quote]
    return charge, share
