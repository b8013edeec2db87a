"""Liquidation along a joint move: the market moves, each underlying by its beta."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite

import numpy as np

from crossmargin.errors import InputError, nearest
from crossmargin.instruments import KINDS
from crossmargin.standing.factors import factors_of
from crossmargin.standing.hypothetical import Hypothetical
from crossmargin.standing.liquidation import Scan
from crossmargin.standing.shifts import JointShifts
from crossmargin.standing.standing import Standing
from crossmargin.units import FloatArray, IntArray

_OPTION = KINDS.index("option")
_OPTIONS_MOST = 600
"""Options whose bends are looked at: a pool of more is smooth."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Along:
    """Where a pool breaches as the market moves by the fraction m, -0.2 is -20%; None where it does not."""

    inside: bool
    """Already in breach; below and above are then the way back."""
    below: float | None
    """Nearest root below 0."""
    above: float | None
    intervals: tuple[tuple[float, float], ...]
    """Stretches of m in breach that end on both sides."""


def betas(standing: Standing, pool: int, market: str) -> dict[str, float]:
    """Return the beta of every price a pool depends on to the price of `market`, one of them.

    beta = covariance of the day's moves (see `factors_of`) / variance of the market's. Moves are log moves, so the
    price of beta b is multiplied by (1 + m)^b; where prices may be negative it moves by b ln(1 + m) price units.
    """
    factors = factors_of(standing, pool)
    names = [standing.valuation.catalogue.assets[a].symbol for a in factors.price_of.tolist()]
    if market not in names:
        raise InputError("market", repr(market), f"one of {', '.join(names) or 'none'}", nearest(market, names))
    at = names.index(market)
    row = factors.covariance[at]
    return {name: float(row[k] / row[at]) for k, name in enumerate(names)}


def liquidation_along(
    standing: Standing, pool: int, betas: Mapping[str, float], vol_betas: Mapping[str, float] | None = None
) -> Along:
    """Return the nearest breaches of one pool as all prices move together.

    At the move m of the market the price of each asset of `betas` is multiplied by (1 + m)^beta (prices that may be
    negative: moved by beta ln(1 + m)), the implied vols on each underlying of `vol_betas` likewise; all else is
    held. m is searched from -0.999 to +999, as prices are.
    """
    hypothetical = Hypothetical(standing, np.array([pool]))
    scan = _JointScan(standing, hypothetical, _column(standing, betas), _column(standing, vol_betas or {}))
    scan.run()
    found = scan.result(hypothetical.pool, hypothetical.asset, np.ones(1))

    def move(ratio: float) -> float | None:
        return ratio - 1.0 if isfinite(ratio) else None

    return Along(
        inside=bool(found.inside[0]),
        below=move(float(found.below[0])),
        above=move(float(found.above[0])),
        intervals=tuple((low - 1.0, high - 1.0) for low, high in found.intervals[0]),
    )


def _column(standing: Standing, by_name: Mapping[str, float]) -> FloatArray:
    """Return the figures of assets as a column, (assets,), 0 where none is given."""
    numbers = standing.valuation.catalogue.asset_number
    column = np.zeros(len(numbers))
    for name, figure in by_name.items():
        if name not in numbers:
            raise InputError("betas", repr(name), "an asset or underlying of the book", nearest(name, numbers))
        if not isfinite(figure):
            raise InputError(f"betas.{name}", str(figure), "a finite number")
        column[numbers[name]] = figure
    return column


class _JointScan(Scan):
    """The search over one pool; a position is ln(1 + m)."""

    def __init__(self, standing: Standing, hypothetical: Hypothetical, beta: FloatArray, vol_beta: FloatArray) -> None:
        super().__init__(standing, hypothetical, np.ones(1))
        self.beta, self.vol_beta = beta, vol_beta
        terms = standing.valuation.catalogue
        self.absolute = np.zeros(len(beta), dtype=np.bool_)
        self.absolute[terms.underlying[terms.any_domain]] = True

    def excess(self, pair: IntArray, position: FloatArray) -> FloatArray:
        """Return margin_balance - maintenance of each state, (states,)."""
        if not len(pair):
            return np.zeros(0)
        change = position[:, None] * self.beta
        size = np.where(self.absolute, change, np.expm1(np.where(self.absolute, 0.0, change)))
        vol = np.exp(position[:, None] * self.vol_beta) if self.vol_beta.any() else None
        return self.hypothetical.at_shifts(pair, JointShifts(size=size, vol=vol)).excess

    def _bends(self) -> tuple[IntArray, FloatArray]:
        """Return positions where margin may bend: strikes seen from each scenario's move of their underlying."""
        valuation, small = self.standing.valuation, self.hypothetical.pools
        terms = valuation.catalogue
        instrument = small.leg_instrument
        beta = self.beta[terms.underlying[instrument]]
        rows = np.flatnonzero((terms.kind[instrument] == _OPTION) & ~terms.any_domain[instrument] & (beta != 0.0))
        found = [np.zeros(0)]
        for row in rows[:_OPTIONS_MOST].tolist():
            k = int(instrument[row])
            bends = self.standing.rules.model.bends(terms.assets[terms.underlying[k]])
            strike = np.log(terms.strike[k] / valuation.forward[k])
            found.append((strike - np.log1p(bends[bends > -1.0])) / beta[row])
        position = np.concatenate(found)
        return np.zeros(len(position), dtype=np.int64), position
