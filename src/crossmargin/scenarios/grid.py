"""Price x vol grids: one set of scenarios a group of underlyings that must offset fully."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import ASSET_CLASSES, Asset, asset_class_of
from crossmargin.scenarios.scenario_set import ScenarioSet, TenorScaling
from crossmargin.units import FloatArray

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

    def any_floor_of(self, name: str) -> float:
        """Return the least price level that a range of `name` is a fraction of, where prices may be negative."""
        return self.any_floor_by_name.get(name, self.any_floor)

    def cells(self) -> GridCells:
        """Return the cells of the grid, the same for every group but for its range."""
        vols = ((1.0 + self.vol_up, "vol up"), (1.0, "vol same"), (max(0.0, 1.0 - self.vol_down), "vol down"))
        cells = [(fraction, vol, 1.0, label) for fraction in self.price_fractions for vol, label in vols]
        extremes = (self.extreme_multiple, -self.extreme_multiple)
        cells += [(fraction, 1.0, self.extreme_weight, "extreme") for fraction in extremes]
        fractions, vol_factors, weights, labels = zip(*cells, strict=True)
        return GridCells(
            fraction=np.array(fractions), vol_factor=np.array(vol_factors), weight=np.array(weights), label=labels
        )

    def scenarios(self, group: Asset, members: Sequence[str]) -> ScenarioSet:
        """Return the grid of a group as a scenario set: all `members` make the same relative move."""
        cells = self.cells()
        span = self.range_of(group)
        shape = (len(members), len(cells.fraction))
        return ScenarioSet(
            ids=tuple(f"{group.symbol} {cells.name(k, span)}" for k in range(shape[1])),
            factors=tuple(members),
            move=np.broadcast_to(span * cells.fraction, shape).copy(),
            vol_factor=np.broadcast_to(cells.vol_factor, shape).copy(),
            weight=cells.weight,
            tenor=self.tenor,
            any_floor=np.array([self.any_floor_of(name) for name in members]),
            name=group.symbol,
            source="grid",
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GridCells:
    """The cells of a grid, C of them: every price with every vol, then the extremes."""

    fraction: FloatArray
    """(C,) price move in ranges."""
    vol_factor: FloatArray
    """(C,) what vols are multiplied by at the pivot."""
    weight: FloatArray
    """(C,) share of the loss that counts."""
    label: tuple[str, ...]

    def name(self, cell: int, span: float) -> str:
        """Return what happens in a cell, readable and distinct, given the group's range."""
        fraction = self.fraction[cell]
        move = f"price {fraction * span:+.1%}" if span else f"price {fraction:+.2f} ranges of 0"
        return f"{move} {self.label[cell]}"
