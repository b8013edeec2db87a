"""Prices of a made-up day: several underlyings that move together, with fat tails and jumps; no crash."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from crossmargin.units import DAY_SECONDS, YEAR_SECONDS, FloatArray

FREEDOM = 4.0
"""Degrees of freedom of Student's t for ordinary moves: fat tails with a variance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Underlying:
    """What a price follows. Moves are shares of the price, or of `start` where the price may be 0 or below."""

    symbol: str
    start: float
    vol_annual: float
    """As a share: of the price, or of `start`."""
    common: float
    """Share of the variance that all underlyings have in common, 0 to 1."""
    jumps_a_day: float = 2.0
    jump: float = 0.01
    """Standard deviation of a jump, as a share."""
    drift: float = 0.0
    """Expected move over the day, as a share."""
    signed: bool = False
    """Prices may be 0 or below: moves add up instead of multiplying."""


def price_paths(underlyings: Sequence[Underlying], steps: int, seed: int) -> FloatArray:
    """Return prices at the start and after each of `steps` equal steps of a day, shape (steps + 1, underlyings).

    The same underlyings, steps and seed give the same prices. Underlyings that are not signed stay above 0.
    """
    chance = np.random.default_rng([seed, steps, len(underlyings)])
    shape = (steps, len(underlyings))
    scale = sqrt((FREEDOM - 2.0) / FREEDOM)
    shared = scale * chance.standard_t(FREEDOM, (steps, 1))
    own = scale * chance.standard_t(FREEDOM, shape)
    loading = np.array([of.common for of in underlyings])
    vol = np.array([of.vol_annual for of in underlyings]) * sqrt(DAY_SECONDS / steps / YEAR_SECONDS)
    jumps = chance.poisson([of.jumps_a_day / steps for of in underlyings], shape)
    sizes = np.sqrt(jumps) * chance.standard_normal(shape) * np.array([of.jump for of in underlyings])
    drift = np.array([of.drift / steps for of in underlyings])
    moves = drift + vol * (np.sqrt(loading) * shared + np.sqrt(1.0 - loading) * own) + sizes
    summed = np.vstack([np.zeros(len(underlyings)), np.cumsum(moves, axis=0)])
    start = np.array([of.start for of in underlyings])
    signed = np.array([of.signed for of in underlyings])
    paths: FloatArray = np.where(signed, start * (1.0 + summed), start * np.exp(np.where(signed, 0.0, summed)))
    return paths
