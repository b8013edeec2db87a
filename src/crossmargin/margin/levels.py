"""Market-by-market levels: what a position is expected to lose in the bad tail, and what closing it costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.margin.linear import not_linear
from crossmargin.margin.market_levels import LevelFactors
from crossmargin.margin.model import Portfolios, PositionModel
from crossmargin.margin.parameters import by_position, check_classes
from crossmargin.margin.whole_units import MILLION, ppm_below, whole_above
from crossmargin.pricing.lognormal import RiskFactors, lognormal_risk_factors
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketRisk:
    """How one market's price moves, and what it costs to leave it."""

    sigma: float
    """Annual vol of the lognormal price."""
    linear_slippage: float = 0.0
    """Share of the position's value lost in closing it."""
    quadratic_slippage: float = 0.0
    """The same for every unit of the underlying held."""

    def __post_init__(self) -> None:
        for name in ("sigma", "linear_slippage", "quadratic_slippage"):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0):
                raise InvalidRules(name, f"{value:g}", "a finite number, 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Levels(PositionModel):
    """Linear futures and perpetuals, each market on its own: expected shortfall of a lognormal price plus slippage.

    With v = |quantity| x contract size, M = |mark|, RF the side's risk factor:

        maintenance = M (linear v + quadratic v^2) + RF M v, rounded up to whole quanta of the quote asset
        initial     = initial factor x maintenance, rounded down

    RF comes of `pricing.lognormal.lognormal_risk_factors` at `risk_aversion` over `horizon_years`. The search level is
    what a rule book calls its call level, and above the release level money may go back; `factors` has both. In the
    source a party's money in each market is apart; here the pool's is one, and the levels of its markets add up.
    Options and inverse contracts are refused, and so are prices that may be negative: a lognormal price is not.
    Orders, funding and auctions are in the exact formulas, `market_levels`. Source class: Vega.

    Claims. P1 normalisation. P4: a pool owes what its positions owe alone, added up. P7: an opposite position in the
    same instrument cancels. P10: deposits change nothing. P11: initial is at least maintenance. P12: continuous in the
    price, to one quantum a position. P13: order, splitting of rows and names change no bit. P14, first half: it does
    not fall as a position grows. Without quadratic slippage P2 and P3 hold to one quantum a position; with it the
    charge is convex in size, so n times a position owes at least n times as much, and an account split in two may owe
    less. P5, P6 and P8 do not apply.
    """

    markets_by_class: Mapping[str, MarketRisk]
    """By asset class of the instrument; `other`, which is required, stands in for classes not listed."""
    markets_by_underlying: Mapping[str, MarketRisk] = field(default_factory=dict)
    risk_aversion: float
    """Probability of the tail whose mean is the risk factor."""
    horizon_years: float
    mu: float = 0.0
    """Annual drift of the price."""
    search: float
    initial: float
    release: float
    """Multiples of maintenance margin, whole millionths; 1 <= search <= initial <= release."""
    quantum: float = 1e-6
    """Smallest unit of money, in the quote asset."""

    def __post_init__(self) -> None:
        check_classes("markets_by_class", self.markets_by_class)
        if not 0 < self.risk_aversion < 1:
            raise InvalidRules("risk_aversion", f"{self.risk_aversion:g}", "a probability between 0 and 1")
        if not (isfinite(self.horizon_years) and self.horizon_years > 0):
            raise InvalidRules("horizon_years", f"{self.horizon_years:g}", "a number above 0")
        if not isfinite(self.mu):
            raise InvalidRules("mu", f"{self.mu:g}", "a finite number")
        if not 1 <= self.search <= self.initial <= self.release < np.inf:
            found = f"{self.search:g}, {self.initial:g}, {self.release:g}"
            raise InvalidRules("search, initial, release", found, "multiples of 1 or more that do not fall")
        if not (isfinite(self.quantum) and self.quantum > 0):
            raise InvalidRules("quantum", f"{self.quantum:g}", "a number above 0")
        for market in (*self.markets_by_class.values(), *self.markets_by_underlying.values()):
            risk = self.risk_factors(market)
            if min(risk.long, risk.short) < 0:
                found = f"risk factors of {risk.long:g} and {risk.short:g}"
                raise InvalidRules("mu", f"{self.mu:g}, which makes {found}", "a drift that leaves both above 0")

    def risk_factors(self, market: MarketRisk) -> RiskFactors:
        """Return what a unit of value is expected to lose in the tail, long and short."""
        return lognormal_risk_factors(level=self.risk_aversion, tau=self.horizon_years, mu=self.mu, sigma=market.sigma)

    @property
    def factors(self) -> LevelFactors:
        """The levels as exact multiples."""
        return LevelFactors(
            search=_decimal(self.search), initial=_decimal(self.initial), release=_decimal(self.release)
        )

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the numbers of the options, inverse contracts and contracts whose price may be negative."""
        terms, held = portfolios.valuation.catalogue, portfolios.leg_instrument
        return np.union1d(not_linear(terms, held), held[terms.any_domain[held]])

    def charges(self, portfolios: Portfolios) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial) of each leg, (L,), in the reporting currency."""
        terms, held = portfolios.valuation.catalogue, portfolios.leg_instrument
        mark = np.abs(portfolios.legs(portfolios.valuation.mark))
        volume = np.abs(portfolios.quantity) * terms.contract_size[held]
        maintenance = np.empty_like(volume)
        for market, rows in by_position(
            terms, held, by_class=self.markets_by_class, by_underlying=self.markets_by_underlying
        ):
            risk, v = self.risk_factors(market), volume[rows]
            factor = np.where(portfolios.quantity[rows] > 0, risk.long, risk.short)
            rate = market.linear_slippage + factor + market.quadratic_slippage * v
            maintenance[rows] = whole_above(mark[rows] * v * rate, self.quantum)
        initial = ppm_below(maintenance, round(self.initial * MILLION))
        worth = self.quantum * portfolios.legs(portfolios.valuation.quote_fx)
        return maintenance * worth, np.maximum(initial, maintenance) * worth


def _decimal(factor: float) -> Fraction:
    return Fraction(repr(float(factor)))
