"""The parameters of the aggregation: one record a risk class, in the units of the published tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from crossmargin.errors import InvalidRules, some_of

MILLION = 1e6
"""Thresholds are stated in millions of the calculation currency."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyGroups:
    """Which group a currency is in; those not listed are in `other`."""

    of: Mapping[str, str]
    other: str

    def __getitem__(self, currency: str) -> str:
        return self.of.get(currency, self.other)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatesRisk:
    """Rates: factors are the tenors of the curves of each currency, its inflation and its cross-currency basis."""

    weight: Mapping[tuple[str, str], float]
    """(volatility group, tenor) -> weight per basis point."""
    weight_group: CurrencyGroups
    inflation_weight: float
    basis_weight: float
    vega_weight: float
    historical_vol_ratio: float
    """Curvature margin is divided by its square."""
    tenor_rho: Mapping[tuple[str, str], float]
    """Correlation of two tenors, both orders listed."""
    sub_curve_rho: float
    """Factor of two tenors on different curves of a currency."""
    inflation_rho: float
    basis_rho: float
    gamma: float
    """Between currencies."""
    threshold_group: CurrencyGroups
    delta_threshold: Mapping[str, float]
    vega_threshold: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedRisk:
    """Equity, commodities and credit: factors are names (and tenors, for credit) in numbered buckets."""

    weight: Mapping[str, float]
    """By bucket, per percent or basis point."""
    vega_weight: Mapping[str, float]
    historical_vol_ratio: float
    """1 where the class has none."""
    rho_same: Mapping[str, float]
    """By bucket: two factors of one name."""
    rho: Mapping[str, float]
    """By bucket: two names."""
    gamma: Mapping[tuple[str, str], float]
    """Between buckets, both orders listed; the residual one is in no pair."""
    delta_threshold: Mapping[str, float]
    vega_threshold: Mapping[str, float]
    vol_weighted: bool = False
    """True where amounts of vols are vega times vol already, one factor an expiry: credit."""
    without_curvature: frozenset[str] = frozenset()
    """Buckets of vol indices, whose options have no curvature of their own."""
    base_correlation_weight: float | None = None
    base_correlation_rho: float = 1.0

    def __post_init__(self) -> None:
        for name in ("vega_weight", "rho_same", "rho", "delta_threshold", "vega_threshold"):
            lacking = [bucket for bucket in self.weight if bucket not in getattr(self, name)]
            if lacking:
                raise InvalidRules(name, f"nothing for bucket {some_of(lacking)}", "a number for every bucket")


@dataclass(frozen=True, slots=True, kw_only=True)
class FxRisk:
    """Currencies against the calculation currency; one bucket."""

    weight: Mapping[tuple[str, str], float]
    """(volatility group of one, of the other currency) -> weight per percent."""
    weight_group: CurrencyGroups
    vega_weight: float
    historical_vol_ratio: float
    rho: Mapping[tuple[str, str, str], float]
    """(group of the calculation currency, of one, of the other currency) -> correlation."""
    vol_rho: float
    """Between two pairs."""
    threshold_group: CurrencyGroups
    delta_threshold: Mapping[str, float]
    vega_threshold: Mapping[tuple[str, str], float]
    """(category of one, of the other currency), both orders listed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Every parameter of one published version, for one close-out horizon."""

    names: tuple[str, ...]
    """What the version is called."""
    horizon_days: int
    rates: RatesRisk
    fx: FxRisk
    named: Mapping[str, NamedRisk]
    """Risk class -> parameters: CreditQualifying, CreditNonQualifying, Equity, Commodity."""
    psi: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """Between risk classes, both orders listed."""
