"""Parameters by group: of its name, else of its asset class, else of class `other`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Any

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset, Catalogue
from crossmargin.margin.liquidity import rates_of
from crossmargin.units import FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ByGroup:
    """A parameter by asset class, `other` required, and by the name of a group before its class."""

    by_class: Mapping[str, Any]
    by_name: Mapping[str, Any] = field(default_factory=dict)

    def of(self, asset: Asset) -> Any:
        """Return the parameter of an asset; a well-known name of undeclared class takes that of class `other`."""
        return rates_of(asset, self.by_class, self.by_name)

    def entries(self) -> list[tuple[str, Any]]:
        """Return every entry with its class or name."""
        return [*self.by_class.items(), *self.by_name.items()]

    def column(self, catalogue: Catalogue, name: str = "") -> FloatArray:
        """Return the parameter of every asset's group, (assets,): the number itself, or its part `name`."""
        found = [self.of(catalogue.assets[catalogue.asset_number[asset.group]]) for asset in catalogue.assets]
        return np.array([getattr(one, name) if name else one for one in found], dtype=np.float64)

    @property
    def longest(self) -> int:
        """Length of the longest parameter, of those that are tuples."""
        return max(len(value) for _, value in self.entries())

    def both_ways(self, catalogue: Catalogue) -> FloatArray:
        """Return moves up and down by group of every asset, (assets, 2 longest + 1), lowest first.

        For parameters that are tuples of moves above 0; shorter ones are padded with moves of 0.
        """
        table = np.zeros((len(catalogue.assets), 2 * self.longest + 1))
        for a, asset in enumerate(catalogue.assets):
            moves = self.of(catalogue.assets[catalogue.asset_number[asset.group]])
            ups = np.concatenate((np.sort(moves), np.zeros(self.longest - len(moves))))
            table[a] = np.concatenate((-ups[::-1], (0.0,), ups))
        return table


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """Slices of an amount, each charged at its own rate; a rate is for what lies inside its slice alone."""

    floor: tuple[float, ...]
    """Amount at which each slice begins; the first 0, then rising; the last slice has no end."""
    rate: tuple[float, ...]
    """0 or more, not falling."""

    def __post_init__(self) -> None:
        if not self.floor or len(self.floor) != len(self.rate):
            raise InvalidRules("rate", f"{len(self.rate)} rates", f"{max(1, len(self.floor))}, one for each floor")
        for n, (floor, rate) in enumerate(zip(self.floor, self.rate, strict=True)):
            if not isfinite(floor) or (floor != 0 if n == 0 else floor <= self.floor[n - 1]):
                raise InvalidRules(f"floor[{n}]", f"{floor:g}", f"above {self.floor[n - 1]:g}" if n else "0")
            least = self.rate[n - 1] if n else 0.0
            if not (isfinite(rate) and rate >= least):
                raise InvalidRules(f"rate[{n}]", f"{rate:g}", f"{least:g} or more: rates do not fall")

    def charge(self, amount: FloatArray | float, least: FloatArray | float = 0.0) -> FloatArray:
        """Return the charge of amounts of 0 or more, any shape; every rate is at least `least`."""
        return sliced_charge(amount, self.floor, self.rate, least)


def sliced_charge(
    amount: FloatArray | float, floor: Sequence[float], rate: Sequence[float], least: FloatArray | float = 0.0
) -> FloatArray:
    """Return the sum over slices of what of `amount` lies in each x max(its rate, least), any shape.

    `floor` is where each slice begins, the first at 0; the last has no end.
    """
    amount = np.asarray(amount, dtype=np.float64)
    total = np.zeros(np.broadcast(amount, least).shape)
    for low, high, share in zip(floor, [*floor[1:], inf], rate, strict=True):
        total += np.clip(amount - low, 0.0, high - low) * np.maximum(share, least)
    return total


def within(name: str, value: float, *, most: float = inf) -> None:
    """Raise InvalidRules unless `value` is finite and from 0 to `most`."""
    if not (isfinite(value) and 0 <= value <= most):
        raise InvalidRules(name, f"{value:g}", "0 or more" if most == inf else f"from 0 to {most:g}")
