"""Portfolio margin in the style of Derive's first portfolio manager: a price x vol grid and static contingencies."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset
from crossmargin.margin.derive import Basis, Confidence, Holdings, Losses, Peg, Scenarios, VolShock, losses
from crossmargin.margin.derive_book import is_coin, markets_of, not_listed, peg_prices
from crossmargin.margin.model import Portfolios, ScenarioSource, Terms
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.pricing import Valuation
from crossmargin.ragged import group_sums
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """The numbers of the formula. With L the worse of the worst scenario and the basis, a loss being positive,

    maintenance = L + contingencies,
    initial     = (L + contingencies) x (initial_factor + peg) + uncertainty of feeds.
    """

    scenarios: Scenarios
    vol_shock: VolShock
    discount_base: float
    discount_rate_scale: float
    discount_add: float
    """An expiry worth 0 or more after a move counts discount_base x exp(-tau (rate x discount_rate_scale +
    discount_add)) of that; one worth less counts in full."""
    basis: Basis
    initial_factor: float
    perpetual_rate: float
    base_rate: float
    option_rate: float
    """Of the notional of perpetuals, of the underlying itself held or owed, and of naked short options."""
    peg: Peg
    confidence: Confidence

    def __post_init__(self) -> None:
        for name in (
            "discount_base",
            "discount_rate_scale",
            "discount_add",
            "initial_factor",
            "perpetual_rate",
            "base_rate",
            "option_rate",
        ):
            value = getattr(self, name)
            if not (isfinite(value) and value >= 0):
                raise InvalidRules(name, f"{value:g}", "0 or more")
        if self.scenarios.is_skew.any():
            raise InvalidRules("scenarios", "a skew", "vols down, same or up")

    def losses(self, holdings: Holdings) -> Losses:
        """Return what the scenarios do to the markets."""
        long = self.discount_base * np.exp(
            -holdings.tau * (holdings.rate * self.discount_rate_scale + self.discount_add)
        )
        vols = holdings.options.shocked_vols(self.scenarios, self.vol_shock, None)
        return losses(
            holdings,
            self.scenarios,
            vols,
            basis=self.basis,
            long_discount=long,
            short_discount=np.ones_like(long),
        )

    def margins(
        self, holdings: Holdings, *, base_notional: FloatArray, uncertainty: FloatArray, peg_price: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial) of each market, (M,), 0 or more.

        By market (M,): the size of the underlying held or owed, at the index; what uncertain feeds add; the price of
        the settlement coin.
        """
        perps = holdings.perps_by_market(holdings.perpetual_notional)
        naked = holdings.by_market(holdings.by_expiry(holdings.naked_shorts()) * holdings.index)
        static = perps * self.perpetual_rate + base_notional * self.base_rate + naked * self.option_rate
        maintenance = self.losses(holdings).loss + static
        return maintenance, maintenance * (self.initial_factor + self.peg.add_on(peg_price)) + uncertainty


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DerivePortfolioV1(WholePoolModel):
    """Portfolio margin of options, perpetuals and the coin itself, after Derive's first portfolio manager.

    A pool owes the sum over its groups of assets of `Formula`. How a book is read:

    - Coins count in full in equity (the rule book's own haircuts of them are 0) and move in the scenarios of their
      group, owned or owed, contracts or none; they are the base asset of the formula. Stable coins and the reporting
      currency stand still; a haircut of stable coins is the rule book's.
    - Options keep their marks, discounted at the market's rates; the venue did not discount, so the two agree at a
      rate of 0.
    - The peg is that of the stable coin contracts settle in. Feeds are taken as certain: a book states no doubt.

    Refused: dated futures, coin-settled contracts, American options, prices that may be negative.

    Claims. P1 normalisation. P2 sub-additivity, P3 homogeneity and P4 portfolio <= sum of isolated, for a discount of
    what is owned leaves a concave function of each expiry. P6 more scenarios, no less margin. P7 hedge bound. P10 a
    deposit of the reporting currency changes nothing. P11 initial is at least maintenance. P12 continuity in prices.
    P13 order, splitting of rows and names change no bit. P14, first half. P8, that a bought option never costs more
    than it is worth, holds of maintenance; of initial margin only what is under `initial_factor` times that.
    """

    formula: Formula
    settlement_minutes: float = 30.0
    """Length of the average an expiry settles at."""
    peg_currency: str = "USD"

    def __post_init__(self) -> None:
        formula = self.formula
        if formula.discount_base > 1:
            raise InvalidRules(
                "discount_base",
                f"{formula.discount_base:g}",
                "1 at most: what is owned counts no more than it is worth",
            )
        if formula.initial_factor < 1:
            raise InvalidRules("initial_factor", f"{formula.initial_factor:g}", "1 or more")
        if not (isfinite(self.settlement_minutes) and self.settlement_minutes >= 0):
            raise InvalidRules("settlement_minutes", f"{self.settlement_minutes:g}", "0 or more")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the instrument numbers held that the venue would not list."""
        return not_listed(portfolios)

    def bends(self, asset: Asset) -> FloatArray:
        """Return the price moves of the scenarios."""
        return np.unique(np.array([*self.formula.scenarios.price, 1.0]) - 1.0)

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return how many scenarios a market has."""
        return ScenarioSource("grid", None, None, len(self.formula.scenarios.price))

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return what each pool owes: a term a group of assets, and the contingencies."""
        pools, formula = portfolios.pools, self.formula
        count = pools.count
        markets = markets_of(portfolios, is_coin(portfolios), settlement_minutes=self.settlement_minutes)
        held = markets.holdings
        found = formula.losses(held)
        naked = held.naked_shorts() * held.index[held.expiry] * formula.option_rate
        naked_shorts = held.by_market(held.by_expiry(naked))
        perps = held.perpetual_notional * formula.perpetual_rate
        moves = markets.of_balance >= 0
        base = np.where(moves, np.abs(portfolios.counted_value), 0.0) * formula.base_rate
        bases = group_sums(markets.of_balance[moves], base[moves], held.count)
        peg = np.full(held.count, np.inf)
        live = markets.of_leg >= 0
        np.minimum.at(peg, markets.of_leg[live], peg_prices(portfolios, self.peg_currency)[live])

        everybody = np.arange(count)
        static = held.perps_by_market(perps) + bases + naked_shorts
        terms = markets.scenario_terms(portfolios.valuation.catalogue, found.loss).followed_by(
            Terms.of(
                [
                    ("perpetual contingency", everybody, markets.by_pool(held.perps_by_market(perps), count)),
                    ("base asset contingency", everybody, markets.by_pool(bases, count)),
                    ("short option contingency", everybody, markets.by_pool(naked_shorts, count)),
                ],
                count,
            )
        )
        options, perp_loss, moving = found.shares()
        leg_share = np.zeros(len(portfolios.leg_row))
        leg_share[markets.leg_of_option] = options + naked
        leg_share[markets.leg_of_perp] = perp_loss + perps
        factor = formula.initial_factor + formula.peg.add_on(peg)
        return PoolCharges(
            terms=terms,
            initial=markets.by_pool((found.loss + static) * factor, count),
            leg_share=leg_share,
            balance_share=base + markets.balance_shares(portfolios, moving),
            worst=markets.worst(found, formula.scenarios, count, portfolios.valuation.catalogue),
        )
