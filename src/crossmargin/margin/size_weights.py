"""Weights that worsen with size, exactly: collateral counts less and debts count more, the larger they are.

Everything is a whole number of a smallest unit, as a program on a public ledger keeps it: sizes in 10^-9 units of the
asset, weights in 10^-4, the size factor k in 10^-6. Divisions round down. `margin.size_scaled` is the same in floats,
column by column. Source class: Drift v2.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import floor, isqrt

from crossmargin.errors import InputError

WEIGHT = 10_000
SIZE = 1_000_000_000
FACTOR = 1_000_000
_ROOT = 100_000
"""isqrt(10 x size) is the root of the size in units, in 10^-5."""


def asset_weight(*, size: int, factor: int, weight: int) -> int:
    """Return the weight of an asset that is owned: min(w, 1.1 / (1 + k sqrt(size))).

    size in 10^-9 units, factor k in 10^-6, weights in 10^-4. k = 0: w, whatever the size.
    """
    _check(size, factor, weight)
    if factor == 0:
        return weight
    discounted = (FACTOR + FACTOR // 10) * WEIGHT // (FACTOR + isqrt(10 * size + 1) * factor // _ROOT)
    return min(weight, discounted)


def liability_weight(*, size: int, factor: int, weight: int, precision: int = WEIGHT) -> int:
    """Return the weight of a debt, or the margin ratio of a perpetual: max(w, 0.8 w + k sqrt(size)).

    size in 10^-9 units, factor k in 10^-6, weights in 1 / precision. k = 0: w, whatever the size.
    """
    _check(size, factor, weight)
    if factor == 0:
        return weight
    premium = weight - weight // 5 + isqrt(10 * size + 1) * factor // (_ROOT * FACTOR // precision)
    return max(weight, premium)


def scaled_asset_weight(*, weight: int, start: int, deposits: int) -> int:
    """Return an initial weight after what everybody has deposited: w x start / deposits from `start` on.

    weight in 10^-4; start and deposits in one unit of value. A start of 0 switches it off.
    """
    _check(deposits, 0, weight)
    if start < 0:
        raise InputError("start", str(start), "0 or more")
    return weight if start == 0 or deposits < start else weight * start // deposits


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotTerms:
    """One asset that is lent and borrowed: its price and its weights, as fractions."""

    price: Fraction
    asset_weight: Fraction
    liability_weight: Fraction

    def __post_init__(self) -> None:
        if not self.price > 0:
            raise InputError("price", f"{float(self.price):g}", "a price above 0")
        if not 0 <= self.asset_weight <= 1 <= self.liability_weight:
            found = f"{float(self.asset_weight):g} and {float(self.liability_weight):g}"
            raise InputError("weights", found, "an asset weight of 0 to 1, a liability weight of 1 or more")

    def weighted(self, amount: Fraction) -> Fraction:
        """Return the weighted value of so many units, negative for a debt."""
        return amount * self.price * (self.asset_weight if amount > 0 else self.liability_weight)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightedAccount:
    """What an account must have, and what it has, in the quote asset."""

    requirement: Fraction
    collateral: Fraction

    @property
    def free(self) -> Fraction:
        """Collateral less requirement."""
        return self.collateral - self.requirement


def worst_fill(terms: SpotTerms, *, amount: Fraction, bids: Fraction, asks: Fraction) -> tuple[Fraction, Fraction]:
    """Return (amount, quote received) once the side of the open orders that leaves less is filled at the price.

    amount signed; bids and asks unsigned units. What bids cost is received as a negative. Where both leave the same,
    the asks are filled.
    """
    fills = ((amount - asks, asks * terms.price), (amount + bids, -bids * terms.price))
    return min(fills, key=lambda fill: terms.weighted(fill[0]) + fill[1])


def account_margin(
    terms: SpotTerms,
    *,
    amount: Fraction,
    quote: Fraction,
    quote_weight: Fraction = Fraction(1),
    bids: Fraction = Fraction(0),
    asks: Fraction = Fraction(0),
    per_order: Fraction = Fraction(0),
) -> WeightedAccount:
    """Return requirement and collateral of an account in one asset and the quote asset, its worse side filled.

    Assets and money that is received are collateral, debts and money that is paid a requirement; a debt of quote
    counts in full. Each side with open orders costs `per_order`.
    """
    for name, number in (("quote_weight", quote_weight), ("bids", bids), ("asks", asks), ("per_order", per_order)):
        if number < 0:
            raise InputError(name, f"{float(number):g}", "0 or more")
    after, received = worst_fill(terms, amount=amount, bids=bids, asks=asks)
    parts = (terms.weighted(after), received, quote * quote_weight if quote > 0 else quote)
    orders = per_order * ((bids > 0) + (asks > 0))
    return WeightedAccount(
        requirement=orders - sum((part for part in parts if part < 0), Fraction(0)),
        collateral=sum((part for part in parts if part > 0), Fraction(0)),
    )


def value_in(amount: Fraction, price: Fraction, unit: Fraction) -> int:
    """Return amount x price in whole units of value, rounded down."""
    return floor(amount * price / unit)


def _check(size: int, factor: int, weight: int) -> None:
    for name, number in (("size", size), ("factor", factor), ("weight", weight)):
        if number < 0:
            raise InputError(name, str(number), "0 or more")
