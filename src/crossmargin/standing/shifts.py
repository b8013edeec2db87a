"""Shifts: what every asset does in each of many states, one of them at a time or all together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crossmargin.units import Array, FloatArray, IntArray


class Shifts(Protocol):
    """What assets and the vols of options on them do. A price move is relative; in price units in the domain `any`."""

    def of(self, asset: IntArray, state: IntArray) -> FloatArray:
        """Return the price move of each (asset, state), any shape."""
        ...

    def vol_factor(self, asset: IntArray, state: IntArray) -> FloatArray | None:
        """Return what the implied vols of options on each asset are multiplied by; None: vols are held."""
        ...

    def take(self, states: Array) -> Shifts:
        """Return the shifts of some states, numbered in that order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SingleShifts:
    """One asset moves in each state, vols are held."""

    asset: IntArray
    size: FloatArray
    """(states,)"""

    def of(self, asset: IntArray, state: IntArray) -> FloatArray:
        """Return the move of the state where the asset is the one that moves, else 0."""
        return np.where(asset == self.asset[state], self.size[state], 0.0)

    def vol_factor(self, asset: IntArray, state: IntArray) -> FloatArray | None:
        """Return None: vols are held."""
        return None

    def take(self, states: Array) -> SingleShifts:
        """Return the shifts of some states."""
        return SingleShifts(asset=self.asset[states], size=self.size[states])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointShifts:
    """All assets may move in each state, and the vols of all underlyings."""

    size: FloatArray
    """(states, assets)"""
    vol: FloatArray | None = None
    """(states, assets) factors on the implied vols of options on each asset; None: vols are held."""

    def of(self, asset: IntArray, state: IntArray) -> FloatArray:
        """Return the move of each asset in each state."""
        return np.asarray(self.size[state, asset], dtype=np.float64)

    def vol_factor(self, asset: IntArray, state: IntArray) -> FloatArray | None:
        """Return the factor on the vols of options on each asset in each state."""
        return None if self.vol is None else np.asarray(self.vol[state, asset], dtype=np.float64)

    def take(self, states: Array) -> JointShifts:
        """Return the shifts of some states."""
        return JointShifts(size=self.size[states], vol=None if self.vol is None else self.vol[states])
