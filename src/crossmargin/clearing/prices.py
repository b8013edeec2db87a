"""Prices from several sources: one that nobody can move alone. Exact fractions; no state, no clock."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

Exact = int | Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class ClampedIndex:
    """The index of an underlying and how it came about, all in its quote."""

    median: Fraction
    clamped: tuple[Fraction, ...]
    """(sources,) each source's price, brought to within the band around the median."""
    index: Fraction
    """Weighted mean of the clamped prices."""


def clamped_index(prices: Sequence[Exact], weights: Sequence[Exact], band: Exact) -> ClampedIndex:
    """Return the index of sources that are fresh: each price clamped to median +- band x |median|, then averaged.

    prices: (sources,) of either sign. weights: (sources,) >= 0, not all 0. band: a fraction >= 0. A source out of line
    is clamped rather than left out, so that an index never jumps because a source came or went by a hair; of n sources
    fewer than half can move the median no further than the honest ones stand apart.
    """
    if not prices or len(prices) != len(weights):
        raise ValueError(f"index: found {len(prices)} prices and {len(weights)} weights; allowed: as many, one or more")
    if band < 0 or any(weight < 0 for weight in weights) or not sum(weights):
        raise ValueError("index: found a band or a weight below 0, or no weight; allowed: 0 or more, not all weights 0")
    ordered = sorted(Fraction(price) for price in prices)
    half = len(ordered) // 2
    median = ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
    reach = abs(median) * Fraction(band)
    clamped = tuple(min(max(Fraction(price), median - reach), median + reach) for price in prices)
    total = sum((Fraction(weight) * price for weight, price in zip(weights, clamped, strict=True)), Fraction(0))
    return ClampedIndex(median=median, clamped=clamped, index=total / sum(Fraction(weight) for weight in weights))
