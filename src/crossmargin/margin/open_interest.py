"""Open-interest margin: the more of a market is open, the more it takes to open more of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.margin.linear import not_linear
from crossmargin.margin.model import Portfolios, PositionModel
from crossmargin.margin.parameters import by_position, check_classes
from crossmargin.margin.whole_units import MILLION, ppm_above, whole_below
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidityTier:
    """The rates of markets of one depth."""

    initial: float
    """Share of notional, a whole number of millionths; 0 to 1."""
    maintenance_fraction: float
    """Maintenance margin as a share of the unscaled initial margin, a whole number of millionths; 0 to 1."""
    lower_cap: float = 0.0
    upper_cap: float = 0.0
    """Open interest, as value in the quote asset, from which the initial rate rises, and at which it is 1. An upper
    cap of 0: it never rises."""

    def __post_init__(self) -> None:
        for name in ("initial", "maintenance_fraction"):
            value = getattr(self, name)
            if not (isfinite(value) and 0 <= value <= 1):
                hint = f"is {value:g} percent meant? write {value / 100:g}" if isfinite(value) and value > 1 else ""
                raise InvalidRules(name, f"{value:g}", "a fraction from 0 to 1", hint)
            if abs(value * MILLION - round(value * MILLION)) > 1e-6:
                raise InvalidRules(name, f"{value!r}", "a whole number of millionths")
        if not (isfinite(self.upper_cap) and 0 <= self.lower_cap <= self.upper_cap):
            raise InvalidRules("lower_cap", f"{self.lower_cap:g}", f"from 0 to upper_cap, {self.upper_cap:g}")

    @property
    def initial_ppm(self) -> int:
        """The unscaled initial rate in parts per million."""
        return round(self.initial * MILLION)

    @property
    def fraction_ppm(self) -> int:
        """The maintenance fraction in parts per million."""
        return round(self.maintenance_fraction * MILLION)

    def effective_ppm(self, open_value: FloatArray) -> IntArray:
        """Return the initial rate at so much open interest (value, 0 or more), any shape, in ppm, rounded down.

        The formula of `quantums.adjusted_initial_ppm`, of which this is the fast twin.
        """
        if self.upper_cap == 0:
            return np.full(np.shape(open_value), self.initial_ppm, dtype=np.int64)
        # With equal caps the rate jumps; a width of 1 stands in where the quotient is not used.
        width = self.upper_cap - self.lower_cap or 1.0
        between = np.clip((open_value - self.lower_cap) / width, 0.0, 1.0)
        share = np.where(open_value >= self.upper_cap, 1.0, between)
        return np.asarray(self.initial_ppm + whole_below((MILLION - self.initial_ppm) * share, 1.0), dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenInterest(PositionModel):
    """Linear futures and perpetuals on the index, their initial rate scaled by the market's open interest.

    With N = |quantity| x contract size x |index| in whole quanta of the quote asset, rounded down:

        initial     = ceil(N x rate), rate = base + (1 - base) clamp((OI - lower) / (upper - lower), 0, 1)
        maintenance = ceil(ceil(N x base) x maintenance fraction), which open interest does not touch

    OI = open interest in units of the underlying x |index|. The index is the oracle price. Positions add up; nothing
    offsets. Net collateral is the margin balance of the outer rule: a rule book says by its haircuts what counts, and
    positions' profit is counted in full. Options and inverse contracts are refused. Source class: dYdX v4; the same in
    exact integers, with bankruptcy and fillable prices, is `quantums`.

    Claims. P1 normalisation. P4: a pool owes what its positions owe alone, added up. P7: an opposite position in the
    same instrument cancels. P10: deposits change nothing. P11: initial is at least maintenance. P13: order, splitting
    of rows and names change no bit. P14, first half: initial margin does not fall as a position or the market's open
    interest grows.
    P2, P3 and P12 hold to one quantum a position (rounding up): n times a position owes at most n times as much and at
    least n times less n quanta; of initial margin P12 has a step besides, a millionth of the notional, where the rate
    does. P14, second half: an account split in two owes the same, to a quantum. P5, P6 and P8 do not apply.
    """

    tiers_by_class: Mapping[str, LiquidityTier]
    """By asset class of the instrument; `other`, which is required, stands in for classes not listed."""
    tiers_by_underlying: Mapping[str, LiquidityTier] = field(default_factory=dict)
    open_interest: Mapping[str, float] = field(default_factory=dict)
    """By underlying, in its units: the state of the venue's markets. 0 where absent."""
    quantum: float = 1e-6
    """Smallest unit of money, in the quote asset."""

    def __post_init__(self) -> None:
        check_classes("tiers_by_class", self.tiers_by_class)
        for name, amount in self.open_interest.items():
            if not (isfinite(amount) and amount >= 0):
                raise InvalidRules(f"open_interest.{name}", f"{amount:g}", "a finite number, 0 or more")
        if not (isfinite(self.quantum) and self.quantum > 0):
            raise InvalidRules("quantum", f"{self.quantum:g}", "a number above 0")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the instrument numbers of the options and inverse contracts held."""
        return not_linear(portfolios.valuation.catalogue, portfolios.leg_instrument)

    def charges(self, portfolios: Portfolios) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial) of each leg, (L,), in the reporting currency."""
        terms, held = portfolios.valuation.catalogue, portfolios.leg_instrument
        index = np.abs(portfolios.legs(portfolios.valuation.index))
        notional = whole_below(np.abs(portfolios.quantity) * terms.contract_size[held] * index, self.quantum)
        of_asset = np.array([self.open_interest.get(asset.symbol, 0.0) for asset in terms.assets])
        open_value = of_asset[terms.underlying[held]] * index
        maintenance, initial = np.empty_like(notional), np.empty_like(notional)
        for tier, rows in by_position(
            terms, held, by_class=self.tiers_by_class, by_underlying=self.tiers_by_underlying
        ):
            initial[rows] = ppm_above(notional[rows], tier.effective_ppm(open_value[rows]))
            maintenance[rows] = ppm_above(ppm_above(notional[rows], tier.initial_ppm), tier.fraction_ppm)
        worth = self.quantum * portfolios.legs(portfolios.valuation.quote_fx)
        return maintenance * worth, initial * worth
