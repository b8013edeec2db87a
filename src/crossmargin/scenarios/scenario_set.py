"""A scenario set: joint moves of risk factors."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from crossmargin.errors import InvalidMarket
from crossmargin.units import FloatArray

DAYS_A_YEAR = 365.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TenorScaling:
    """How a vol shock depends on days to expiry: it is multiplied by (pivot / days) ^ power."""

    pivot_days: float = 30.0
    short_power: float = 0.30
    """Power below `pivot_days`."""
    long_power: float = 0.13
    """Power from `pivot_days` on."""

    def factor(self, tau: FloatArray) -> FloatArray:
        """Return the multiplier of a vol shock for each time to expiry in years, above 0."""
        days = tau * DAYS_A_YEAR
        power = np.where(days < self.pivot_days, self.short_power, self.long_power)
        return np.asarray((self.pivot_days / days) ** power, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ToldInPrices:
    """Moves known as differences of prices, whatever the price is when they are made. Shapes as in `ScenarioSet`."""

    difference: FloatArray
    """(F, S) price units; NaN where a move is told as a fraction."""
    most: FloatArray
    """(S,) largest gain, a fraction of the price then; infinite where gains have no limit."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScenarioSet:
    """Joint moves of risk factors. Shapes: S scenarios, F factors."""

    ids: tuple[str, ...]
    """(S,) distinct and readable."""
    factors: tuple[str, ...]
    """(F,) names of underlyings and assets."""
    move: FloatArray
    """(F, S) relative price move, +0.1 is +10%; in price units where the underlying's domain is `any`."""
    vol_factor: FloatArray | None = None
    """(F, S) multiplies the implied vol of options on the factor; None: vols held."""
    weight: FloatArray
    """(S,) share of a scenario's loss that counts, 0 to 1."""
    tenor: TenorScaling | None = None
    """Scales vol shocks with time to expiry; None: the same for all."""
    any_floor: FloatArray | None = None
    """(F,) given: moves where the domain is `any` are fractions of max(|index|, this floor in price units)."""
    told: ToldInPrices | None = None
    """Given: some of the moves are these differences, which `move` states at the price of now."""
    name: str = ""
    """What the set is about: the group of a grid, the name of a stress."""
    source: str
    """`grid`, `history`, `reference`, `stress` or `table`."""
    start: date | None = None
    end: date | None = None

    def __post_init__(self) -> None:
        shape = (len(self.factors), len(self.ids))
        for name in ("move", "vol_factor"):
            column = getattr(self, name)
            if column is not None and (column.shape != shape or not np.isfinite(column).all()):
                raise InvalidMarket(
                    f"scenarios, {name}", f"a table of {column.shape}", f"finite numbers of shape {shape}"
                )
        if self.weight.shape != shape[1:] or not ((self.weight >= 0) & (self.weight <= 1)).all():
            raise InvalidMarket("scenarios, weight", str(self.weight.shape), f"{shape[1]} fractions from 0 to 1")
        for name in ("ids", "factors"):
            if len(set(getattr(self, name))) != len(getattr(self, name)):
                raise InvalidMarket(f"scenarios, {name}", "one twice", "each once")

    def __len__(self) -> int:
        return len(self.ids)
