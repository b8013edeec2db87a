"""Moves: what every asset does in each of many states, one of them at a time or all together."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from crossmargin.units import Array, FloatArray, IntArray


class Moves(Protocol):
    """What assets and the vols of options on them do. A price move is relative; in price units in the domain `any`."""

    def of(self, asset: IntArray, state: IntArray) -> FloatArray:
        """Return the price move of each (asset, state), any shape."""
        ...

    def vol_factor(self, asset: IntArray, state: IntArray) -> FloatArray | None:
        """Return what the implied vols of options on each asset are multiplied by; None: vols are held."""
        ...

    def take(self, states: Array) -> Moves:
        """Return the moves of some states, numbered in that order."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OneMoves:
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

    def take(self, states: Array) -> OneMoves:
        """Return the moves of some states."""
        return OneMoves(asset=self.asset[states], size=self.size[states])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointMoves:
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

    def take(self, states: Array) -> JointMoves:
        """Return the moves of some states."""
        return JointMoves(size=self.size[states], vol=None if self.vol is None else self.vol[states])
