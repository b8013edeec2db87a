"""Portfolio margin in the style of Derive's second portfolio manager: damped tails, skews, basis, contingencies."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.margin.derive import Basis, Confidence, Holdings, Losses, Peg, Scenarios, Skew, VolShock, losses
from crossmargin.units import FloatArray


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


def _not_negative(name: str, value: float) -> None:
    if not (isfinite(value) and value >= 0):
        raise InvalidRules(name, f"{value:g}", "0 or more")
