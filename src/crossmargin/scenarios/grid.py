"""Price x vol grids: one set of scenarios a group of underlyings that must offset fully."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import ASSET_CLASSES, Asset, asset_class_of
from crossmargin.scenarios.scenario_set import ScenarioSet, TenorScaling

_THIRDS = (0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class GridShape:
    """What a grid looks like: fractions of the group's price range x vol up, same, down, and damped extremes."""

    range_by_class: Mapping[str, float]
    """Largest usual move of an asset class, a fraction of the price; `other` is required."""
    range_by_name: Mapping[str, float] = field(default_factory=dict)
    """The same for an underlying by name, before its class."""
    any_floor: float = 0.0
    """Where prices may be negative: the price level, in price units, that a range is a fraction of at least."""
    any_floor_by_name: Mapping[str, float] = field(default_factory=dict)
    price_fractions: tuple[float, ...] = _THIRDS
    vol_up: float = 0.45
    vol_down: float = 0.30
    """Relative vol shocks at the pivot, both > 0; `vol_down` is subtracted."""
    tenor: TenorScaling = field(default_factory=TenorScaling)
    extreme_multiple: float = 2.0
    """How many ranges the extreme moves are; vols unchanged."""
    extreme_weight: float = 0.35
    """Share of an extreme loss that counts."""

    def __post_init__(self) -> None:
        if "other" not in self.range_by_class:
            raise InvalidRules("range", ", ".join(self.range_by_class) or "nothing", "an entry for other")
        for name in self.range_by_class:
            if name not in ASSET_CLASSES:
                raise InvalidRules(f"range {name}", "no asset class", ", ".join(ASSET_CLASSES))
        for name, number in (*self.range_by_class.items(), *self.range_by_name.items()):
            if not 0 <= number < 1:
                raise InvalidRules(f"range {name}", str(number), "a fraction from 0 to below 1")
        if 0.0 not in self.price_fractions:
            raise InvalidRules("price_fractions", str(self.price_fractions), "fractions with 0 among them")

    def range_of(self, asset: Asset) -> float:
        """Return the price range of an asset or underlying.

        A well-known name whose contracts do not say what class they are takes the range of class `other`.
        """
        undeclared = asset.asset_class == "other" and asset_class_of(asset.symbol) != "other"
        if asset.symbol in self.range_by_name and not undeclared:
            return self.range_by_name[asset.symbol]
        return self.range_by_class.get(asset.asset_class, self.range_by_class["other"])

    def scenarios(self, group: Asset, members: Sequence[str]) -> ScenarioSet:
        """Return the grid of a group: all `members` make the same relative move."""
        span = self.range_of(group)
        vols = ((1.0 + self.vol_up, "vol up"), (1.0, "vol same"), (max(0.0, 1.0 - self.vol_down), "vol down"))
        cells = [
            (fraction * span, vol, 1.0, f"{_named(fraction, span)} {label}")
            for fraction in self.price_fractions
            for vol, label in vols
        ]
        for multiple in (self.extreme_multiple, -self.extreme_multiple):
            cells.append((multiple * span, 1.0, self.extreme_weight, f"{_named(multiple, span)} extreme"))
        moves = np.array([cell[0] for cell in cells])
        vol_factors = np.array([cell[1] for cell in cells])
        shape = (len(members), len(cells))
        floor = [self.any_floor_by_name.get(name, self.any_floor) for name in members]
        return ScenarioSet(
            ids=tuple(f"{group.symbol} {cell[3]}" for cell in cells),
            factors=tuple(members),
            move=np.broadcast_to(moves, shape).copy(),
            vol_factor=np.broadcast_to(vol_factors, shape).copy(),
            weight=np.array([cell[2] for cell in cells]),
            tenor=self.tenor,
            any_floor=np.array(floor),
            name=group.symbol,
            source="grid",
        )


def _named(fraction: float, span: float) -> str:
    return f"price {fraction * span:+.1%}" if span else f"price {fraction:+.2f} ranges of 0"
