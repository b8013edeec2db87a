"""Delta spreads: net deltas paired across the tiers of one commodity, and across commodities, in order of priority."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from numba import njit

from crossmargin.errors import InvalidRules
from crossmargin.units import FloatArray, IntArray

SIDES = ("A", "B")
"""Legs of one letter lie on one side of the market, those of the other on the other; which is long does not matter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TierSpread:
    """A spread between two tiers of one commodity, or within one: a charge for each unit of delta that is paired."""

    tiers: tuple[int, int]
    """From 1."""
    charge: float
    """A pair of units, as a share of the price of one; 0 or more."""

    def __post_init__(self) -> None:
        for k, tier in enumerate(self.tiers):
            if tier < 1:
                raise InvalidRules(f"tiers[{k}]", str(tier), "a tier, from 1")
        if not (isfinite(self.charge) and self.charge >= 0):
            raise InvalidRules("charge", f"{self.charge:g}", "0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class SpreadLeg:
    """One leg of a spread between commodities."""

    commodity: str
    ratio: float
    """Units of delta in one spread; above 0."""
    side: str

    def __post_init__(self) -> None:
        if not (isfinite(self.ratio) and self.ratio > 0):
            raise InvalidRules(f"ratio of {self.commodity}", f"{self.ratio:g}", "above 0")
        if self.side not in SIDES:
            raise InvalidRules(f"side of {self.commodity}", repr(self.side), " or ".join(SIDES))


@dataclass(frozen=True, slots=True, kw_only=True)
class CommoditySpread:
    """A spread between commodities, and the share of the legs' price risk that it takes off."""

    legs: tuple[SpreadLeg, ...]
    credit: float

    def __post_init__(self) -> None:
        names = [leg.commodity for leg in self.legs]
        if len(names) < 2 or len(set(names)) < len(names):
            raise InvalidRules("legs", ", ".join(names) or "none", "two or more, each of another commodity")
        if not 0 <= self.credit <= 1:
            raise InvalidRules("credit", f"{self.credit:g}", "a fraction from 0 to 1")

    @property
    def name(self) -> str:
        """The commodities of the legs."""
        return "-".join(leg.commodity for leg in self.legs)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Paired:
    """What tier spreads took of the long and the short deltas of each tier."""

    charge: float
    """In the unit of `TierSpread.charge` x delta."""
    long: FloatArray
    """(T,) units taken of the long deltas."""
    short: FloatArray
    """(T,)"""


def tier_spreads(long: FloatArray, short: FloatArray, spreads: Sequence[TierSpread]) -> Paired:
    """Return what spreads formed in order take of the deltas of each tier, and their charge.

    `long` and `short` (T,) are the sums of positive and of negative net deltas of the expiries of each tier, 0 or
    more. A spread pairs as many units as there are on opposite sides of its tiers, either way round.
    """
    free_long, free_short = long.copy(), short.copy()
    tiers = np.array([spread.tiers for spread in spreads], dtype=np.int64).reshape(-1, 2) - 1
    charge = _pair_tiers(free_long, free_short, tiers, np.array([spread.charge for spread in spreads]))
    return Paired(charge=float(charge), long=long - free_long, short=short - free_short)


@njit(cache=True)
def _pair_tiers(free_long: FloatArray, free_short: FloatArray, tiers: IntArray, charge: FloatArray) -> float:
    """Take paired units off the deltas, in place, and return what they owe; `tiers` (n, 2) from 0."""
    total = 0.0
    for k in range(len(tiers)):
        one, other = tiers[k, 0], tiers[k, 1]
        if max(one, other) >= len(free_long):
            continue
        for turn in range(1 if one == other else 2):
            a, b = (one, other) if turn == 0 else (other, one)
            pairs = min(free_long[a], free_short[b])
            free_long[a] -= pairs
            free_short[b] -= pairs
            total += pairs * charge[k]
    return total


@njit(cache=True)
def tier_charges(
    start: IntArray,
    expiry: FloatArray,
    days: FloatArray,
    delta: FloatArray,
    commodity: IntArray,
    bound_start: IntArray,
    bound: FloatArray,
    spread_start: IntArray,
    spread_tiers: IntArray,
    spread_charge: FloatArray,
    delivery: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return what each segment owes for tier spreads and for delivery, (G,), as shares of the price of a unit.

    Segment g has the legs start[g]:start[g + 1], sorted by `expiry`, and the rates of commodity[g]: rows of `bound`
    (days to expiry), of `spread_tiers` (from 0) and `spread_charge`, and one of `delivery` (days, in spreads,
    outright). Legs of one expiry net before they are long or short in its tier.
    """
    segments = len(start) - 1
    calendar, delivered = np.zeros(segments), np.zeros(segments)
    for g in range(segments):
        c = commodity[g]
        limits = bound[bound_start[c] : bound_start[c + 1]]
        first, end = start[g], start[g + 1]
        net, until, tier = np.zeros(end - first), np.zeros(end - first), np.zeros(end - first, np.int64)
        count = 0
        for k in range(first, end):
            if k == first or expiry[k] != expiry[k - 1]:
                until[count] = days[k]
                tier[count] = np.searchsorted(limits, days[k])
                count += 1
            net[count - 1] += delta[k]
        long, short = np.zeros(len(limits) + 1), np.zeros(len(limits) + 1)
        for e in range(count):
            long[tier[e]] += max(net[e], 0.0)
            short[tier[e]] += max(-net[e], 0.0)
        free_long, free_short = long.copy(), short.copy()
        rows = slice(spread_start[c], spread_start[c + 1])
        calendar[g] = _pair_tiers(free_long, free_short, spread_tiers[rows], spread_charge[rows])
        for e in range(count):
            if until[e] > delivery[c, 0] or net[e] == 0.0:
                continue
            t = tier[e]
            left = free_long[t] / long[t] if net[e] > 0.0 else free_short[t] / short[t]
            delivered[g] += abs(net[e]) * ((1.0 - left) * delivery[c, 1] + left * delivery[c, 2])
    return calendar, delivered


def spreads_formed(delta: Mapping[str, float], spread: CommoditySpread) -> float:
    """Return how many spreads net deltas make: the least over legs of |delta| / ratio, 0 where sides do not oppose."""
    signed = [
        delta.get(leg.commodity, 0.0) * (1.0 if leg.side == SIDES[0] else -1.0) / leg.ratio for leg in spread.legs
    ]
    if all(number > 0 for number in signed) or all(number < 0 for number in signed):
        return min(abs(number) for number in signed)
    return 0.0


def leg_credits(ratio: FloatArray, weighted_price_risk: FloatArray, credit: float, spreads: float = 1.0) -> FloatArray:
    """Return the credit of each leg: weighted price risk x spreads x ratio x credit, (legs,)."""
    return np.asarray(weighted_price_risk * spreads * ratio * credit, dtype=np.float64)


def spread_margin(ratio: FloatArray, outright: FloatArray, credit: float) -> tuple[float, float, float]:
    """Return (outrights of all legs, credit, what is left of them) of one spread between commodities.

    `ratio` (legs,) contracts and `outright` (legs,) what one of them owes alone.
    """
    whole = float(ratio @ outright)
    taken_off = float(leg_credits(ratio, outright, credit).sum())
    return whole, taken_off, whole - taken_off


def commodity_spreads(
    delta: Mapping[str, float], weighted_price_risk: Mapping[str, float], spreads: Sequence[CommoditySpread]
) -> dict[str, float]:
    """Return the credit of each commodity from spreads formed in order, each taking its deltas from those after it."""
    free = dict(delta)
    credit = dict.fromkeys(delta, 0.0)
    for spread in spreads:
        count = spreads_formed(free, spread)
        if not count:
            continue
        ratio = np.array([leg.ratio for leg in spread.legs])
        risk = np.array([weighted_price_risk[leg.commodity] for leg in spread.legs])
        for leg, amount in zip(spread.legs, leg_credits(ratio, risk, spread.credit, count).tolist(), strict=True):
            credit[leg.commodity] += amount
            used = count * leg.ratio
            left = max(abs(free[leg.commodity]) - used, 0.0)
            free[leg.commodity] = float(np.copysign(left, free[leg.commodity]))
    return credit
