"""Standard option margin: a short option owes a share of the underlying less how far it is out of the money."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import KINDS
from crossmargin.margin.grid import american_options
from crossmargin.margin.model import Portfolios, PositionModel
from crossmargin.margin.parameters import by_position, check_classes
from crossmargin.units import BoolArray, FloatArray, IntArray

_OPTION = KINDS.index("option")


@dataclass(frozen=True, slots=True, kw_only=True)
class FutureRates:
    """What futures and perpetuals owe, as a share of notional that grows with size."""

    initial: float
    maintenance: float
    """Share of notional of a small position; 0 < maintenance <= initial <= 1."""
    initial_per_unit: float = 0.0
    maintenance_per_unit: float = 0.0
    """Added to the share for every unit of the underlying held; 0 <= maintenance <= initial."""

    def __post_init__(self) -> None:
        _share("initial", self.initial, least=0.0)
        _share("maintenance", self.maintenance, least=0.0)
        _at_most("maintenance", self.maintenance, "initial", self.initial)
        _share("initial_per_unit", self.initial_per_unit)
        _share("maintenance_per_unit", self.maintenance_per_unit)
        _at_most("maintenance_per_unit", self.maintenance_per_unit, "initial_per_unit", self.initial_per_unit)

    def charges(self, notional: FloatArray, units: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return initial and maintenance margin, any shape, in the unit of `notional`.

        (base + slope x units) x notional; `notional` >= 0, `units` >= 0 of the underlying.
        """
        return (
            (self.initial + self.initial_per_unit * units) * notional,
            (self.maintenance + self.maintenance_per_unit * units) * notional,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionRates:
    """What short options owe beside their own value, as shares of the underlying."""

    initial: float
    """At the money; what the option is out of the money comes off it."""
    initial_least: float
    """But no more than this is left; 0 < initial_least <= initial."""
    call_maintenance: float
    put_maintenance: float
    put_maintenance_of_value: float = 0.0
    """A put owes this share of its own value where that is more than `put_maintenance` of the underlying."""

    def __post_init__(self) -> None:
        for name in ("initial", "initial_least", "call_maintenance", "put_maintenance"):
            _share(name, getattr(self, name), least=0.0)
        _share("put_maintenance_of_value", self.put_maintenance_of_value)
        _at_most("initial_least", self.initial_least, "initial", self.initial)

    def charges(
        self,
        *,
        underlying: FloatArray,
        forward: FloatArray,
        strike: FloatArray,
        value: FloatArray,
        is_call: BoolArray,
    ) -> tuple[FloatArray, FloatArray]:
        """Return initial and maintenance margin of one short option on one unit, any shape.

        `value` and the result are in the unit of `underlying`: the index, for options paid in the quote asset, or 1,
        the coin itself, for coin-settled ones. forward and strike are in the quote asset. With
        out = max(0, strike - forward) for a call and max(0, forward - strike) for a put, over forward:

            initial     = max(initial - out, initial_least) x underlying + value
            maintenance = call_maintenance x underlying + value                                          (calls)
                        = max(put_maintenance x underlying, put_maintenance_of_value x value) + value    (puts)

        and initial is at least maintenance. Source: Deribit's standard margin, its documented formulas.
        """
        out = np.maximum(np.where(is_call, strike - forward, forward - strike), 0.0) / forward
        initial = np.maximum(self.initial - out, self.initial_least) * underlying + value
        put = np.maximum(self.put_maintenance * underlying, self.put_maintenance_of_value * value)
        maintenance = np.where(is_call, self.call_maintenance * underlying, put) + value
        return np.maximum(initial, maintenance), maintenance


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StandardOption(PositionModel):
    """Standard margin: each position on its own, short options by formula, futures by a share that grows with size.

    A long option owes nothing: it is paid for. A short option owes `OptionRates.charges`, the underlying being the
    forward of its expiry; its own value is part of the charge, so a rule book with this model excludes option value
    from the margin balance. Futures and perpetuals owe `FutureRates.charges` on their notional at the mark, inverse
    ones in coin. Refused: American options, and options on
    prices that may be negative, for a share of such a price covers nothing.

    Claims. P1 normalisation. P4: a pool never owes more than its positions alone, in fact exactly as much. P7: an
    opposite position in the same instrument cancels. P8: a bought option never raises the requirement. P10: deposits
    change nothing. P11: initial is at least maintenance. P12: continuous in every price, away from a forward of 0.
    P13: order, splitting of rows and names change no bit. P14, first half: it does not fall as a position grows.
    P2 and P3 (sub-additivity, homogeneity) hold for options; for futures only where nothing is charged per unit,
    for that makes the charge quadratic in size: n times a position owes at least n times as much, and two accounts
    that split one may owe less. P5 and P6 do not apply: there are no offsets or scenarios here.
    """

    futures_by_class: Mapping[str, FutureRates]
    options_by_class: Mapping[str, OptionRates]
    """By asset class of the instrument; `other`, which is required, stands in for classes not listed."""
    futures_by_underlying: Mapping[str, FutureRates] = field(default_factory=dict)
    options_by_underlying: Mapping[str, OptionRates] = field(default_factory=dict)
    """An underlying's own rates come before its class's."""

    def __post_init__(self) -> None:
        check_classes("futures_by_class", self.futures_by_class)
        check_classes("options_by_class", self.options_by_class)

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the instrument numbers of the options held that are American or on prices that may be negative."""
        held = np.unique(portfolios.leg_instrument)
        terms = portfolios.valuation.catalogue
        unpriced = held[(terms.kind[held] == _OPTION) & terms.any_domain[held]]
        return np.union1d(american_options(portfolios), unpriced)

    def charges(self, portfolios: Portfolios) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial) of each leg, (L,), in the reporting currency."""
        initial, maintenance = np.zeros(len(portfolios.leg_row)), np.zeros(len(portfolios.leg_row))
        is_option = portfolios.is_option
        self._futures(portfolios, np.flatnonzero(~is_option), initial, maintenance)
        self._short_options(portfolios, np.flatnonzero(is_option & (portfolios.quantity < 0)), initial, maintenance)
        fx = portfolios.legs(portfolios.valuation.settle_fx)
        return maintenance * fx, initial * fx

    def _futures(self, portfolios: Portfolios, legs: IntArray, initial: FloatArray, maintenance: FloatArray) -> None:
        """Fill the charges of `legs`, in place, in the settle asset."""
        terms, held = portfolios.valuation.catalogue, portfolios.leg_instrument[legs]
        mark = np.abs(portfolios.valuation.mark[portfolios.leg_row[legs]])
        size = np.abs(portfolios.quantity[legs]) * terms.contract_size[held]
        inverse = terms.inverse[held]
        # Units of the underlying: coins, of an inverse contract at its mark; its margin is so many of those coins.
        units = np.where(inverse, size / np.where(inverse, mark, 1.0), size)
        notional = np.where(inverse, units, units * mark)
        for rates, rows in by_position(
            terms, held, by_class=self.futures_by_class, by_underlying=self.futures_by_underlying
        ):
            initial[legs[rows]], maintenance[legs[rows]] = rates.charges(notional[rows], units[rows])

    def _short_options(
        self, portfolios: Portfolios, legs: IntArray, initial: FloatArray, maintenance: FloatArray
    ) -> None:
        """Fill the charges of `legs`, in place, in the settle asset."""
        valuation = portfolios.valuation
        terms, held, row = valuation.catalogue, portfolios.leg_instrument[legs], portfolios.leg_row[legs]
        size = -portfolios.quantity[legs] * terms.contract_size[held]
        for rates, rows in by_position(
            terms, held, by_class=self.options_by_class, by_underlying=self.options_by_underlying
        ):
            at, what = row[rows], held[rows]
            per_unit = rates.charges(
                underlying=np.where(terms.inverse[what], 1.0, valuation.index[at]),
                forward=valuation.forward[at],
                strike=terms.strike[what],
                value=valuation.mark[at],
                is_call=terms.is_call[what],
            )
            initial[legs[rows]], maintenance[legs[rows]] = (size[rows] * charge for charge in per_unit)


def _share(name: str, value: float, *, least: float | None = None) -> None:
    """Raise InvalidRules unless `value` is a fraction up to 1; above `least` where one is given."""
    if isfinite(value) and value <= 1 and (value >= 0 if least is None else value > least):
        return
    hint = f"is {value:g} percent meant? write {value / 100:g}" if isfinite(value) and value > 1 else ""
    raise InvalidRules(name, f"{value:g}", "a fraction from 0 to 1" if least is None else "above 0, at most 1", hint)


def _at_most(name: str, value: float, other: str, limit: float) -> None:
    if value > limit:
        raise InvalidRules(name, f"{value:g}", f"at most {other}, {limit:g}")
