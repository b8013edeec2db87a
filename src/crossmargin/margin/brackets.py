"""Brackets: tiered leverage, the larger the position the larger the share of it that must be posted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import KINDS
from crossmargin.margin.model import Portfolios, PositionModel
from crossmargin.margin.parameters import by_position, check_classes
from crossmargin.units import BoolArray, FloatArray, IntArray

_OPTION = KINDS.index("option")

BASES = ("mark", "entry")
"""What maintenance margin may be charged on: the value at the mark, or the value at entry."""


def next_amount(*, floor: float, rate: float, previous_rate: float, previous_amount: float) -> float:
    """Return the continuity term of a bracket: cum_n = floor_n (mmr_n - mmr_(n-1)) + cum_(n-1).

    With it the charge notional x mmr_n - cum_n meets the charge of the bracket below at their common edge.
    """
    return floor * (rate - previous_rate) + previous_amount


def amounts(floor: Sequence[float], rate: Sequence[float]) -> tuple[float, ...]:
    """Return the continuity terms of a whole ladder, the first of them 0; in the unit of `floor`."""
    ladder = [0.0]
    for n in range(1, len(floor)):
        ladder.append(next_amount(floor=floor[n], rate=rate[n], previous_rate=rate[n - 1], previous_amount=ladder[-1]))
    return tuple(ladder)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tiers:
    """A leverage ladder: slices of notional, each charged at its own rate.

    A rate applies to the part of the notional inside its slice, never to the whole, so the charge is continuous,
    non-decreasing and convex. notional x rate_n - amount_n is the same number in the form venues print.
    """

    floor: tuple[float, ...]
    """Notional at which each slice begins, in the quote asset; the first 0, then rising."""
    maintenance_rate: tuple[float, ...]
    """Share of the slice that is maintenance margin; above 0, not falling, at most the initial rate."""
    initial_rate: tuple[float, ...]
    """Share of the slice that is initial margin, 1 / largest leverage; not falling, at most 1."""
    maintenance_amount: tuple[float, ...] = field(init=False)
    """Continuity term of each slice, in the quote asset."""
    initial_amount: tuple[float, ...] = field(init=False)

    def __post_init__(self) -> None:
        _check_ladder(self.floor, self.maintenance_rate, self.initial_rate)
        object.__setattr__(self, "maintenance_amount", amounts(self.floor, self.maintenance_rate))
        object.__setattr__(self, "initial_amount", amounts(self.floor, self.initial_rate))

    @classmethod
    def flat(cls, *, maintenance_rate: float, initial_rate: float) -> Tiers:
        """Return one slice for any size."""
        return cls(floor=(0.0,), maintenance_rate=(maintenance_rate,), initial_rate=(initial_rate,))

    def maintenance(self, notional: FloatArray | float) -> FloatArray:
        """Return the maintenance margin of `notional` >= 0, any shape, both in the quote asset."""
        return _charge(self.floor, self.maintenance_rate, notional)

    def initial(self, notional: FloatArray | float) -> FloatArray:
        """Return the initial margin of `notional` >= 0, any shape, both in the quote asset."""
        return _charge(self.floor, self.initial_rate, notional)


def _charge(floor: tuple[float, ...], rate: tuple[float, ...], notional: FloatArray | float) -> FloatArray:
    """Return the marginal charge. Summing slices from below keeps it non-decreasing in floats, across edges too."""
    notional = np.asarray(notional, dtype=np.float64)
    assert not (notional < 0).any(), "a notional is never negative"
    below = [0.0]
    for n in range(1, len(floor)):
        below.append(below[-1] + (floor[n] - floor[n - 1]) * rate[n - 1])
    n_of = np.searchsorted(floor, notional, side="right") - 1
    return np.asarray(
        np.array(below)[n_of] + (notional - np.array(floor)[n_of]) * np.array(rate)[n_of], dtype=np.float64
    )


def _check_ladder(floor: tuple[float, ...], maintenance: tuple[float, ...], initial: tuple[float, ...]) -> None:
    if not floor:
        raise InvalidRules("floor", "no brackets", "at least one, from 0")
    for name, rates in (("maintenance_rate", maintenance), ("initial_rate", initial)):
        if len(rates) != len(floor):
            raise InvalidRules(name, f"{len(rates)} rates", f"{len(floor)}, one for each floor")
    if floor[0] != 0:
        raise InvalidRules("floor[0]", f"{floor[0]:g}", "0: the first bracket begins at nothing")
    for n in range(len(floor)):
        if not isfinite(floor[n]):
            raise InvalidRules(f"floor[{n}]", str(floor[n]), "a finite notional")
        if n and not floor[n] > floor[n - 1]:
            raise InvalidRules(f"floor[{n}]", f"{floor[n]:g} after {floor[n - 1]:g}", "floors that rise")
        if not 0 < initial[n] <= 1:
            hint = f"is {initial[n]:g} percent meant? write {initial[n] / 100:g}" if initial[n] > 1 else ""
            raise InvalidRules(f"initial_rate[{n}]", f"{initial[n]:g}", "above 0, at most 1", hint)
        if not 0 < maintenance[n] <= initial[n]:
            raise InvalidRules(
                f"maintenance_rate[{n}]", f"{maintenance[n]:g}", f"above 0, at most the initial rate {initial[n]:g}"
            )
        for name, rates in (("maintenance_rate", maintenance), ("initial_rate", initial)):
            if n and rates[n] < rates[n - 1]:
                raise InvalidRules(
                    f"{name}[{n}]",
                    f"{rates[n]:g} after {rates[n - 1]:g}",
                    "rates that do not fall with size: a larger position may not owe less",
                )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Brackets(PositionModel):
    """Tiered leverage for futures and perpetuals, as venues' leverage brackets. Options are refused.

    A position owes its ladder's charge on its notional in the quote asset: |quantity| x contract size x |mark|, of an
    inverse contract |quantity| x contract size. The charge of an inverse contract is turned into coin at the mark (on
    entry value: at the price of entry) and everything is converted at the settle asset's fx. Positions in one
    instrument net; positions in different instruments do not offset. Isolated positions are pools like any other.

    Claims. P1 normalisation. P4: a pool never owes more than its positions alone, in fact exactly as much. P7: an
    opposite position in the same instrument cancels. P10: deposits change nothing. P11: initial is at least
    maintenance. P12: continuous everywhere, also across bracket edges. P13: order, splitting of rows and names change
    no bit. P14, first half: it does not fall as a position grows.
    Does not claim P2, P3 and the second half of P14: the charge is convex in size, so n times a position owes at least
    n times as much (exactly so inside the first bracket), and two accounts that split a position may owe less than one
    that holds it whole. P5, P6 and P8 do not apply: there are no offsets, scenarios or options here.
    """

    tiers_by_class: Mapping[str, Tiers]
    """By asset class of the instrument; `other`, which is required, stands in for classes not listed."""
    tiers_by_underlying: Mapping[str, Tiers] = field(default_factory=dict)
    tiers_by_symbol: Mapping[str, Tiers] = field(default_factory=dict)
    """The symbol's own ladder comes first, then its underlying's, then its class's."""
    taker_fee: float = 0.0
    """Fee of the closing trade as a share of notional, added to maintenance margin."""
    maintenance_on: str = "mark"
    """`mark` or `entry`: the value maintenance margin is charged on. Initial margin is on the mark."""

    def __post_init__(self) -> None:
        check_classes("tiers_by_class", self.tiers_by_class)
        if not 0 <= self.taker_fee < 1:
            raise InvalidRules("taker_fee", f"{self.taker_fee:g}", "a share of notional from 0 to 1")
        if self.maintenance_on not in BASES:
            raise InvalidRules("maintenance_on", repr(self.maintenance_on), " or ".join(BASES))

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the instrument numbers of the options held."""
        held = np.unique(portfolios.leg_instrument)
        return np.asarray(held[portfolios.valuation.catalogue.kind[held] == _OPTION])

    def charges(self, portfolios: Portfolios) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial) of each leg, (L,), in the reporting currency."""
        notional, unit = _at_mark(portfolios)
        base, base_unit = (notional, unit) if self.maintenance_on == "mark" else _at_entry(portfolios)
        maintenance, initial = np.empty_like(notional), np.empty_like(notional)
        for tiers, rows in by_position(
            portfolios.valuation.catalogue,
            portfolios.leg_instrument,
            by_class=self.tiers_by_class,
            by_underlying=self.tiers_by_underlying,
            by_symbol=self.tiers_by_symbol,
        ):
            maintenance[rows] = tiers.maintenance(base[rows]) + self.taker_fee * base[rows]
            initial[rows] = tiers.initial(notional[rows])
        fx = portfolios.legs(portfolios.valuation.settle_fx)
        maintenance *= base_unit * fx
        initial *= unit * fx
        return maintenance, np.maximum(initial, maintenance)


def _at_mark(portfolios: Portfolios) -> tuple[FloatArray, FloatArray]:
    """Return (L,) notional in the quote asset at the mark, and how many settle units a quote unit is."""
    mark = np.abs(portfolios.legs(portfolios.valuation.mark))
    size, inverse = _size(portfolios)
    return np.where(inverse, size, size * mark), np.where(inverse, 1.0 / np.where(inverse, mark, 1.0), 1.0)


def _at_entry(portfolios: Portfolios) -> tuple[FloatArray, FloatArray]:
    """Return the same at entry.

    Netting a long against a short leaves a remainder whose entry value carries the profit of what was closed, and may
    have the wrong sign. That is no value to charge margin on: such a leg is taken at its mark.
    """
    notional, unit = _at_mark(portfolios)
    size, inverse = _size(portfolios)
    long_value = np.sign(portfolios.quantity) * portfolios.entry_value
    any_domain = portfolios.valuation.catalogue.any_domain[portfolios.leg_instrument]
    value = np.where(inverse, -long_value, np.where(any_domain, np.abs(long_value), long_value))
    known = value > 0
    entry_unit = value / np.where(inverse & known, size, 1.0)
    return (
        np.where(known & ~inverse, value, notional),
        np.where(known & inverse, entry_unit, unit),
    )


def _size(portfolios: Portfolios) -> tuple[FloatArray, BoolArray]:
    """Return (L,) |quantity| x contract size, and which legs are inverse."""
    terms = portfolios.valuation.catalogue
    held = portfolios.leg_instrument
    return np.abs(portfolios.quantity) * terms.contract_size[held], terms.inverse[held]
