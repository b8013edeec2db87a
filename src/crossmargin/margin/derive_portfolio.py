"""Portfolio margin in the style of Derive's second portfolio manager: damped tails, skews, basis, contingencies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset
from crossmargin.margin.derive import Basis, Confidence, Holdings, Losses, Peg, Scenarios, Skew, VolShock, losses
from crossmargin.margin.derive_book import Markets, by_asset, groups_of, is_coin, markets_of, not_listed, peg_prices
from crossmargin.margin.model import Portfolios, ScenarioSource, Terms
from crossmargin.margin.parameters import check_classes
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.pricing import Valuation
from crossmargin.ragged import group_sums
from crossmargin.units import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticDiscount:
    """What an expiry's value after a move is multiplied by: less for what is owned, more for what is owed."""

    long_base: float
    long_rate_scale: float
    long_add: float
    """Where it is worth 0 or more: long_base x exp(-tau (rate x long_rate_scale + long_add))."""
    short_base: float
    short_rate_scale: float
    short_add: float
    """Where it is worth less: short_base x exp(tau (rate x short_rate_scale + short_add)), at most exp(rate x tau)."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            _not_negative(name, getattr(self, name))

    def factors(self, tau: FloatArray, rate: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return the factors of positive and of negative values, each the shape of `tau`, years; `rate` 0 or more."""
        long = self.long_base * np.exp(-tau * (rate * self.long_rate_scale + self.long_add))
        short = self.short_base * np.exp(tau * (rate * self.short_rate_scale + self.short_add))
        return long, np.minimum(np.exp(rate * tau), short)


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """The numbers of the formula. With L the worse of the worst scenario and the basis, a loss being positive,

    maintenance = L x loss_factor + contingencies,
    initial     = L x (initial_loss_factor + peg) + contingencies + initial contingencies + uncertainty of feeds.
    """

    scenarios: Scenarios
    vol_shock: VolShock
    skew: Skew
    static_discount: StaticDiscount
    basis: Basis
    loss_factor: float
    initial_loss_factor: float
    perpetual_rate: float
    perpetual_initial_rate: float
    option_rate: float
    option_initial_rate: float
    """Of the notional of perpetuals and of naked short options; the initial rates come on top."""
    peg: Peg
    confidence: Confidence

    def __post_init__(self) -> None:
        for name in (
            "loss_factor",
            "initial_loss_factor",
            "perpetual_rate",
            "perpetual_initial_rate",
            "option_rate",
            "option_initial_rate",
        ):
            _not_negative(name, getattr(self, name))

    def losses(self, holdings: Holdings) -> Losses:
        """Return what the scenarios do to the markets."""
        long, short = self.static_discount.factors(holdings.tau, holdings.rate)
        vols = holdings.options.shocked_vols(self.scenarios, self.vol_shock, self.skew)
        return losses(holdings, self.scenarios, vols, basis=self.basis, long_discount=long, short_discount=short)

    def margins(
        self,
        holdings: Holdings,
        *,
        collateral_contingency: FloatArray,
        collateral_initial_contingency: FloatArray,
        uncertainty: FloatArray,
        peg_price: FloatArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial) of each market, (M,), 0 or more.

        What collateral and uncertain feeds add, and the price of the settlement coin, are given by market (M,).
        """
        loss = self.losses(holdings).loss
        perps = holdings.perps_by_market(holdings.perpetual_notional)
        naked = holdings.by_market(holdings.by_expiry(holdings.naked_shorts()) * holdings.index)
        contingency = perps * self.perpetual_rate + naked * self.option_rate + collateral_contingency
        initial = perps * self.perpetual_initial_rate + naked * self.option_initial_rate
        initial += collateral_initial_contingency + uncertainty
        factor = self.initial_loss_factor + self.peg.add_on(peg_price)
        return loss * self.loss_factor + contingency, loss * factor + contingency + initial


@dataclass(frozen=True, slots=True, kw_only=True)
class CollateralRates:
    """What a balance costs beside the scenarios, shares of its value."""

    maintenance: float
    initial: float
    """On top of `maintenance`."""

    def __post_init__(self) -> None:
        for name in ("maintenance", "initial"):
            value = getattr(self, name)
            if not 0 <= value <= 1:
                raise InvalidRules(name, f"{value:g}", "a fraction from 0 to 1")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DerivePortfolio(WholePoolModel):
    """Portfolio margin of options and perpetuals, coin by coin, after Derive's second portfolio manager.

    A pool owes the sum over its groups of assets of `Formula`, and what its collateral costs. How a book is read:

    - Collateral counts in full in equity (the rule book's own haircuts are 0); its risk is charged here. A balance in a
      group that the pool has contracts on moves with them in the scenarios and costs `moving` of its value; any other
      costs `collateral`. The reporting currency is the venue's cash and costs nothing. A coin that is owed moves in
      the scenarios of its group, contracts or none; a venue of this kind lends cash alone.
    - Options keep their marks, discounted at the market's rates; the static discounts use the same rates, 0 at least.
    - The peg is that of the stable coin contracts settle in. Feeds are taken as certain: a book states no doubt.

    Refused: dated futures, coin-settled contracts, American options, prices that may be negative.

    Claims. P1 normalisation. P3 homogeneity. P6 more scenarios, no less margin. P7, its second half: a portfolio and
    its opposite owe nothing. P10 a deposit of the reporting currency changes nothing. P11 initial is at least
    maintenance. P12 continuity in prices. P13 order, splitting of rows and names change no bit. P14, first half:
    what it asks grows with size. Not P2, P4 and P8: a skew counts an expiry's gain as a loss, so two
    portfolios may gain apart what they lose together, and a far option is asked for more than it is worth; and
    a balance changes from `collateral` to `moving` with the first contract on its group. The part before skews is
    sub-additive.
    """

    formula: Formula
    collateral_by_class: Mapping[str, CollateralRates]
    moving_by_class: Mapping[str, CollateralRates]
    """By asset class; `other` stands in for classes not listed."""
    collateral_by_name: Mapping[str, CollateralRates] = field(default_factory=dict)
    moving_by_name: Mapping[str, CollateralRates] = field(default_factory=dict)
    settlement_minutes: float = 30.0
    """Length of the average an expiry settles at."""
    peg_currency: str = "USD"

    def __post_init__(self) -> None:
        check_classes("collateral_by_class", self.collateral_by_class)
        check_classes("moving_by_class", self.moving_by_class)
        _not_negative("settlement_minutes", self.settlement_minutes)
        discount = self.formula.static_discount
        if discount.long_base > 1:
            raise InvalidRules(
                "long_base", f"{discount.long_base:g}", "1 at most: what is owned counts no more than it is worth"
            )
        if discount.short_base < 1:
            raise InvalidRules(
                "short_base", f"{discount.short_base:g}", "1 or more: what is owed counts no less than it is worth"
            )
        if self.formula.initial_loss_factor < self.formula.loss_factor:
            raise InvalidRules(
                "initial_loss_factor",
                f"{self.formula.initial_loss_factor:g}",
                f"at least loss_factor, {self.formula.loss_factor:g}",
            )

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
        """Return what each pool owes: a term a group of assets, the contingencies, the collateral."""
        pools, formula = portfolios.pools, self.formula
        count, legs = pools.count, len(portfolios.leg_row)
        markets = markets_of(portfolios, self._moving(portfolios), settlement_minutes=self.settlement_minutes)
        held = markets.holdings
        found = formula.losses(held)
        loss = found.loss
        naked = held.naked_shorts() * held.index[held.expiry]
        naked_shorts = held.by_market(held.by_expiry(naked))
        perps = held.perps_by_market(held.perpetual_notional)
        peg = np.full(held.count, np.inf)
        live = markets.of_leg >= 0
        np.minimum.at(peg, markets.of_leg[live], peg_prices(portfolios, self.peg_currency)[live])
        collateral, collateral_initial = self._collateral(portfolios, markets)

        everybody = np.arange(count)
        terms = markets.scenario_terms(portfolios.valuation.catalogue, loss * formula.loss_factor).followed_by(
            Terms.of(
                [
                    ("perpetual contingency", everybody, markets.by_pool(perps * formula.perpetual_rate, count)),
                    ("short option contingency", everybody, markets.by_pool(naked_shorts * formula.option_rate, count)),
                    ("collateral contingency", everybody, group_sums(pools.balance_pool, collateral, count)),
                ],
                count,
            )
        )
        initial = loss * (formula.initial_loss_factor + formula.peg.add_on(peg))
        initial += perps * (formula.perpetual_rate + formula.perpetual_initial_rate)
        initial += naked_shorts * (formula.option_rate + formula.option_initial_rate)
        options, perp_loss, moving = (share * formula.loss_factor for share in found.shares())
        leg_share = np.zeros(legs)
        leg_share[markets.leg_of_option] = options + naked * formula.option_rate
        leg_share[markets.leg_of_perp] = perp_loss + held.perpetual_notional * formula.perpetual_rate
        return PoolCharges(
            terms=terms,
            initial=markets.by_pool(initial, count)
            + group_sums(pools.balance_pool, collateral + collateral_initial, count),
            leg_share=leg_share,
            balance_share=collateral + markets.balance_shares(portfolios, moving),
            worst=markets.worst(found, formula.scenarios, count, portfolios.valuation.catalogue),
        )

    def _moving(self, portfolios: Portfolios) -> BoolArray:
        """Return the balances that move with contracts of their pool, and the coins owed, (B,)."""
        pools, terms = portfolios.pools, portfolios.valuation.catalogue
        group, assets = groups_of(terms), len(terms.assets)
        live = portfolios.quantity != 0.0
        traded = (pools.leg_pool * assets + group[terms.underlying[pools.leg_instrument]])[live]
        beside = np.isin(pools.balance_pool * assets + group[pools.balance_asset], traded)
        return is_coin(portfolios) & (beside | (pools.balance_amount < 0.0))

    def _collateral(self, portfolios: Portfolios, markets: Markets) -> tuple[FloatArray, FloatArray]:
        """Return what each balance costs for maintenance, and on top for initial margin, (B,) each."""
        pools, valuation = portfolios.pools, portfolios.valuation
        size = np.abs(portfolios.counted_value)
        moves = markets.of_balance >= 0
        maintenance, initial = np.zeros(len(size)), np.zeros(len(size))
        for chosen, by_name, by_class in (
            (moves, self.moving_by_name, self.moving_by_class),
            (~moves & (pools.balance_asset != valuation.currency), self.collateral_by_name, self.collateral_by_class),
        ):
            rows = np.flatnonzero(chosen)
            for rates, mine in by_asset(valuation.catalogue, pools.balance_asset[rows], by_name, by_class):
                at = rows[mine]
                maintenance[at], initial[at] = size[at] * rates.maintenance, size[at] * rates.initial
        return maintenance, initial


def _not_negative(name: str, value: float) -> None:
    if not (isfinite(value) and value >= 0):
        raise InvalidRules(name, f"{value:g}", "0 or more")
