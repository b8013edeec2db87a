"""Portfolio margin in the style of Derive's first portfolio manager: a price x vol grid and static contingencies."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.margin.derive import Basis, Confidence, Holdings, Losses, Peg, Scenarios, VolShock, losses
from crossmargin.units import FloatArray


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
