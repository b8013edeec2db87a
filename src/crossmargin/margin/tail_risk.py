"""Market risk of losses in scenarios: a filtered tail, how it breaks with correlations, and a stressed set beside it.

Form of the engines of large central counterparties (SPAN 2, PRISMA and IRM 2 class); a loss is positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.errors import InvalidRules
from crossmargin.margin.historical import MEASURES
from crossmargin.margin.procyclicality import TOOLS, floored, stress_weighted
from crossmargin.units import FloatArray, IntArray

STRESSES = ("none", "floor", "blend")
"""How the stressed set enters: not, as a floor under the tail, or as a share of it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MarketRisk:
    """The market risk of n portfolios and what it is made of, (n,) each; parts are those of the current market."""

    tail: FloatArray
    """Measure over the ordinary scenarios, 0 or more."""
    correlation_break: FloatArray
    stress: FloatArray
    """What the stressed set changes; negative where a blend lowers the tail."""
    tool: FloatArray
    """What the anti-procyclicality tool adds."""
    total: FloatArray
    """The four together, 0 or more."""
    weight: tuple[FloatArray, FloatArray, FloatArray]
    """Euler weights over the ordinary, stressed and long-run scenarios: losses times weights add up to the total."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TailRisk:
    """How losses become market risk.

    tail = measure of the ordinary losses; break = factor x |mean of the measure over sub-windows - tail|, held between
    least and most times the tail; base = tail + break. S = the measure of the stressed losses at its own level.

    market = base; max(base, S) with a floor; (1 - w) base + w S with a blend. The tools may only add: the stress weight
    gives max(market, (1 - a) market + a S), the floor max(market, measure of the long-run losses). The buffer is no
    part of market risk: it is asked for on top of it.
    """

    measure: str = "var"
    confidence: float = 0.99
    sub_windows: int = 5
    """Consecutive parts the ordinary scenarios are cut into."""
    break_factor: float = 1.0
    break_least: float = 0.0
    break_most: float = 0.25
    stress: str = "floor"
    stress_confidence: float = 0.9
    stress_share: float = 0.25
    """w."""
    tool: str = "none"
    tool_share: float = 0.25
    """a."""

    def __post_init__(self) -> None:
        for name, known in (("measure", MEASURES), ("stress", STRESSES), ("tool", TOOLS)):
            if getattr(self, name) not in known:
                raise InvalidRules(name, repr(getattr(self, name)), " or ".join(known))
        for name in ("confidence", "stress_confidence"):
            if not 0.5 <= getattr(self, name) < 1:
                raise InvalidRules(name, str(getattr(self, name)), "a fraction from 0.5 to below 1")
        for name in ("stress_share", "tool_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise InvalidRules(name, str(getattr(self, name)), "a fraction from 0 to 1")
        if self.sub_windows < 1:
            raise InvalidRules("sub_windows", str(self.sub_windows), "1 or more")
        if not 0 <= self.break_factor < np.inf:
            raise InvalidRules("break_factor", str(self.break_factor), "0 or more")
        if not 0 <= self.break_least <= self.break_most < np.inf:
            raise InvalidRules(
                "break_least", f"{self.break_least} up to {self.break_most}", "fractions of the tail, 0 or more, rising"
            )

    def of(
        self, ordinary: FloatArray, stressed: FloatArray, long_run: FloatArray, *, weights: bool = True
    ) -> MarketRisk:
        """Return the market risk of losses (n, S), (n, T), (n, U); there may be no stressed or long-run ones.

        Without `weights`, which take longer than all the rest, those of the answer are 0.
        """
        tail = self._tail(ordinary, self.confidence)
        mean = tail
        if self.break_factor > 0.0 and self.break_most > 0.0 and self.sub_windows > 1:
            parts = np.array_split(ordinary, min(self.sub_windows, ordinary.shape[1]), axis=1)
            mean = np.mean([self._tail(part, self.confidence) for part in parts], axis=0)
        broken = correlation_break(tail, mean, self.break_factor, least=self.break_least, most=self.break_most)
        base, bad = tail + broken, self._tail(stressed, self.stress_confidence)
        share = {
            "none": np.zeros_like(base),
            "floor": np.where(bad > base, 1.0, 0.0),
            "blend": np.full_like(base, self.stress_share),
        }[self.stress]
        market = np.asarray((1.0 - share) * base + share * bad)
        total = market
        if self.tool == "stress_weight":
            total = np.maximum(market, stress_weighted(market, bad, self.tool_share))
        elif self.tool == "floor":
            total = floored(market, self._tail(long_run, self.confidence))
        raised = total > market
        more = np.where(raised, self.tool_share, 0.0) if self.tool == "stress_weight" else np.zeros_like(base)
        kept = np.where(raised, 0.0, 1.0) if self.tool == "floor" else 1.0 - more
        scale = np.divide(base, tail, out=np.zeros_like(tail), where=tail > 0.0)
        of_set = (
            (ordinary, self.confidence, kept * (1.0 - share) * scale),
            (stressed, self.stress_confidence, kept * share + more),
            (long_run, self.confidence, np.where(raised, 1.0, 0.0) if self.tool == "floor" else np.zeros_like(base)),
        )
        one, two, three = (
            self._weights(loss, level, factor) if weights else np.zeros_like(loss) for loss, level, factor in of_set
        )
        return MarketRisk(
            tail=tail,
            correlation_break=broken,
            stress=market - base,
            tool=total - market,
            total=total,
            weight=(one, two, three),
        )

    def _tail(self, loss: FloatArray, confidence: float) -> FloatArray:
        return np.maximum(tail_value(loss, measure=self.measure, confidence=confidence), 0.0)

    def _weights(self, loss: FloatArray, confidence: float, factor: FloatArray) -> FloatArray:
        """Return `factor` (n,) times the weights of a tail, (n, S); 0 where the tail is a gain."""
        weight = np.zeros_like(loss)
        used = np.flatnonzero((factor != 0.0) & (self._tail(loss, confidence) > 0.0))
        if len(used):
            place, share = _tail_places(loss[used], self.measure, confidence)
            weight[used[:, None], place] = factor[used, None] * share
        return weight


def tail_value(loss: FloatArray, *, measure: str, confidence: float) -> FloatArray:
    """Return value at risk or expected shortfall of losses (n, S), (n,); 0 where there are no scenarios.

    `var`: the ceil(confidence S)-th smallest loss. `es`: the mean of the worst (1 - confidence) S, the one on the
    boundary with the fraction left over; at least the worst. As `historical.tail_weights`, without sorting them all.
    """
    scenarios = loss.shape[1]
    if not scenarios:
        return np.zeros(len(loss))
    first, share = _tail_shape(scenarios, measure, confidence)
    if len(share) == 1:
        return np.asarray(np.partition(loss, first, axis=1)[:, first])
    worst = np.sort(np.partition(loss, first, axis=1)[:, first:], axis=1)
    total = np.zeros(len(loss))
    # Worst first, one after the other: the sum of a row depends on no other row.
    for k in range(len(share) - 1, -1, -1):
        total += share[k] * worst[:, k]
    return total


def _tail_shape(scenarios: int, measure: str, confidence: float) -> tuple[int, FloatArray]:
    """Return the rank of the mildest loss in a tail, from 0, and the weights from it on; those left out are 0."""
    # A decimal confidence leaves a speck in the product (0.99 x 1000): a whole number is meant.
    if measure == "var":
        return ceil(round(confidence * scenarios, 9)) - 1, np.ones(1)
    tail = max(round((1.0 - confidence) * scenarios, 9), 1.0)
    held = min(ceil(tail), scenarios)
    share = np.full(held, 1.0 / tail)
    if tail > floor(tail):
        share[0] *= tail - floor(tail)
    return scenarios - held, share


def _tail_places(loss: FloatArray, measure: str, confidence: float) -> tuple[IntArray, FloatArray]:
    """Return which scenarios make the tail of each row, mildest first, (n, k), and their weights (k,)."""
    first, share = _tail_shape(loss.shape[1], measure, confidence)
    place = np.argpartition(loss, first, axis=1)[:, first : first + 1 if len(share) == 1 else None]
    order = np.argsort(np.take_along_axis(loss, place, axis=1), axis=1, kind="stable")
    return np.take_along_axis(place, order, axis=1), share


def correlation_break(
    whole: ArrayLike, parts_mean: ArrayLike, factor: float, *, least: float, most: float
) -> FloatArray:
    """Return clamp( factor |parts_mean - whole|, least x whole, most x whole ), any shape; `whole` 0 or more.

    What a tail depends on the stretch it is taken over: `parts_mean` is the mean of the measure over sub-windows.
    """
    tail = np.asarray(whole, dtype=np.float64)
    return np.asarray(np.clip(factor * np.abs(np.asarray(parts_mean) - tail), least * tail, most * tail))


def capped(together: ArrayLike, apart: ArrayLike, cap: float = 0.8) -> FloatArray:
    """Return cap x together + (1 - cap) x apart: at most `cap` of what offsets save is given, any shape.

    Source: Art. 27 of Regulation (EU) 153/2013, 80% of the difference between the sum of the margins of products and
    the margin of the portfolio. Where products together owe more than apart, that is what they owe.
    """
    one, other = np.asarray(together, dtype=np.float64), np.asarray(apart, dtype=np.float64)
    return np.asarray(np.maximum(one, cap * one + (1.0 - cap) * other))


def liquidation_cost(size: ArrayLike, spread: ArrayLike, capacity: ArrayLike, power: float = 1.0) -> FloatArray:
    """Return |size| x spread / 2 x max(1, |size| / capacity)^power, any shape.

    size: net delta notional; spread: bid to ask, a fraction of the price; capacity: notional that can be closed in the
    time the scenarios cover. Convex: what exceeds the capacity is concentrated and dearer by the power of its excess.
    """
    notional = np.abs(np.asarray(size, dtype=np.float64))
    return np.asarray(notional * np.asarray(spread) / 2.0 * np.maximum(1.0, notional / np.asarray(capacity)) ** power)


def compression_error(full: FloatArray, compressed: FloatArray, confidence: float) -> tuple[FloatArray, FloatArray]:
    """Return the quantile of what compressed losses (n, S) miss of full ones, (n,), 0 or more; its weights (n, S)."""
    missed = full - compressed
    error = np.maximum(tail_value(missed, measure="var", confidence=confidence), 0.0)
    weight = np.zeros_like(missed)
    place, _ = _tail_places(missed, "var", confidence)
    np.put_along_axis(weight, place, np.where(error > 0.0, 1.0, 0.0)[:, None], axis=1)
    return error, weight
