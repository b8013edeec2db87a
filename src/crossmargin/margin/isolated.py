"""Isolated positions in closed form: the price at which one is bankrupt, and the price at which it is liquidated.

One position with so much margin of its own; or, in a cross account, with all other positions held still
(`cross_margin`). The book's own liquidation prices are searched, not solved, so that they hold across bracket edges,
with collateral that moves and with options; these formulas are what venues print, and check the search.

Letters: s = side, +1 long, -1 short; q = size > 0; E = entry price; M = margin; r = maintenance rate; c = maintenance
amount (the continuity term of the bracket); f = taker fee. All arguments broadcast. A result that is not above 0
means that no positive price solves the equation. Every rate and fee is a fraction.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.units import FloatArray


def cross_margin(
    balance: ArrayLike,
    *,
    profits: ArrayLike = (),
    maintenances: ArrayLike = (),
    reserved: ArrayLike = 0.0,
) -> FloatArray:
    """Return M of one position in a cross account whose other positions stand still, in the unit of `balance`.

    M = balance + sum of `profits` - sum of `maintenances` - reserved, where the first two are the unrealized profit
    and the maintenance margin of each other position, shape (..., n), and `reserved` is held for orders. For a
    bankruptcy price leave the maintenances out. Source class: leveraged-futures venues.
    """
    others = _floats(profits).sum(axis=-1) - _floats(maintenances).sum(axis=-1)
    return np.asarray(_floats(balance) + others - _floats(reserved), dtype=np.float64)


def linear_entry_margin(*, size: ArrayLike, entry: ArrayLike, leverage: ArrayLike) -> FloatArray:
    """Return q E / leverage: the margin a linear position is opened with, in the settle asset."""
    return _above_zero("size", size) * _above_zero("entry", entry) / _above_zero("leverage", leverage)


def inverse_entry_margin(*, size: ArrayLike, entry: ArrayLike, leverage: ArrayLike) -> FloatArray:
    """Return q / (E leverage): the margin an inverse position is opened with, in coin; size in the quote asset."""
    return _above_zero("size", size) / (_above_zero("entry", entry) * _above_zero("leverage", leverage))


def linear_profit(*, side: ArrayLike, size: ArrayLike, entry: ArrayLike, price: ArrayLike) -> FloatArray:
    """Return s q (P - E), the profit of a linear position, in the settle asset."""
    return _side(side) * _above_zero("size", size) * (_floats(price) - _floats(entry))


def inverse_profit(*, side: ArrayLike, size: ArrayLike, entry: ArrayLike, price: ArrayLike) -> FloatArray:
    """Return s q (1/E - 1/P), the profit of an inverse position, in coin; size in the quote asset."""
    return _side(side) * _above_zero("size", size) * (1.0 / _above_zero("entry", entry) - 1.0 / _floats(price))


def linear_maintenance(*, size: ArrayLike, price: ArrayLike, rate: ArrayLike, amount: ArrayLike = 0.0) -> FloatArray:
    """Return q |P| r - c: maintenance margin of a linear position inside one bracket, in the settle asset."""
    return _above_zero("size", size) * np.abs(_floats(price)) * _floats(rate) - _floats(amount)


def linear_bankruptcy_price(*, side: ArrayLike, size: ArrayLike, entry: ArrayLike, margin: ArrayLike) -> FloatArray:
    """Return B = E - s M / q, the price that loses the whole margin of a linear position.

    size: units of the underlying. entry and the result: quote asset. margin: settle asset. Source class: all venues of
    linear contracts; also for a cross account, with `cross_margin`.
    """
    return _floats(entry) - _side(side) * _floats(margin) / _above_zero("size", size)


def linear_liquidation_price(
    *,
    side: ArrayLike,
    size: ArrayLike,
    entry: ArrayLike,
    margin: ArrayLike,
    rate: ArrayLike,
    amount: ArrayLike = 0.0,
    fee: ArrayLike = 0.0,
) -> FloatArray:
    """Return the price at which a linear position has just its maintenance margin, charged on the mark.

    Solves M + s q (P - E) = q P (r + f) - c, so P = (M + c - s q E) / (q (r + f - s)). Units as in
    `linear_bankruptcy_price`; c in the settle asset. Source class: Binance-style brackets (with c), Gate- and
    OKX-style (with f). True in the bracket that r and c belong to.
    """
    s, q = _side(side), _above_zero("size", size)
    return _quotient(_floats(margin) + _floats(amount) - s * q * _floats(entry), q * (_floats(rate) + _floats(fee) - s))


def linear_liquidation_price_by_leverage(
    *, side: ArrayLike, size: ArrayLike, mark: ArrayLike, available: ArrayLike, leverage: ArrayLike
) -> FloatArray:
    """Return the liquidation price of a linear position seen from the mark, P = M - s A / (q (1 - s / L)).

    A = what there is beyond maintenance margin at the mark: account value less the account's maintenance margin for a
    cross position, own margin less own maintenance margin for an isolated one, in the settle asset. L = maintenance
    leverage, above 1: maintenance margin is the value at the mark over L. Solves A + s q (P - M) = q (P - M) / L.
    Source class: Hyperliquid. True in the tier that L belongs to, with all other positions held still.
    """
    s, q, most = _side(side), _above_zero("size", size), _floats(leverage)
    if not (most > 1).all():
        raise ValueError(f"leverage: found {most.tolist()}; allowed: maintenance leverage above 1")
    return _floats(mark) - s * _floats(available) / (q * (1.0 - s / most))


def linear_liquidation_price_on_entry(
    *,
    side: ArrayLike,
    size: ArrayLike,
    entry: ArrayLike,
    margin: ArrayLike,
    rate: ArrayLike,
    amount: ArrayLike = 0.0,
    fee: ArrayLike = 0.0,
) -> FloatArray:
    """Return the price at which a linear position has just its maintenance margin, charged on the value at entry.

    Solves M + s q (P - E) = q E (r + f) - c, so P = E - s (M - (q E (r + f) - c)) / q. Units as in
    `linear_bankruptcy_price`. Source class: Bybit- and BitMEX-style.
    """
    maintenance = linear_maintenance(size=size, price=entry, rate=_floats(rate) + _floats(fee), amount=amount)
    return linear_bankruptcy_price(side=side, size=size, entry=entry, margin=_floats(margin) - maintenance)


def inverse_bankruptcy_price(
    *, side: ArrayLike, size: ArrayLike, entry: ArrayLike, margin: ArrayLike, fee: ArrayLike = 0.0
) -> FloatArray:
    """Return the price at which an inverse position has lost its whole margin, after the fee of closing there.

    Solves M + s q (1/E - 1/P) = f q / P, so P = q (s + f) / (M + s q / E). size: in the quote asset (contracts x
    contract size); margin in coin; entry and the result in the quote asset. Infinite, or not above 0, for a short whose
    margin covers every coin it can lose. Source class: Bybit- and BitMEX-style coin-margined contracts.
    """
    return inverse_liquidation_price(side=side, size=size, entry=entry, margin=margin, rate=0.0, fee=fee)


def inverse_liquidation_price(
    *,
    side: ArrayLike,
    size: ArrayLike,
    entry: ArrayLike,
    margin: ArrayLike,
    rate: ArrayLike,
    fee: ArrayLike = 0.0,
) -> FloatArray:
    """Return the price at which an inverse position has just its maintenance margin, charged on the mark.

    Solves M + s q (1/E - 1/P) = (r + f) q / P, so P = q (s + r + f) / (M + s q / E). Units as in
    `inverse_bankruptcy_price`. Source class: coin-margined contracts with mark-value maintenance.
    """
    s, q = _side(side), _above_zero("size", size)
    return _quotient(q * (s + _floats(rate) + _floats(fee)), _floats(margin) + s * q / _above_zero("entry", entry))


def inverse_liquidation_price_on_entry(
    *, side: ArrayLike, size: ArrayLike, entry: ArrayLike, margin: ArrayLike, rate: ArrayLike, fee: ArrayLike = 0.0
) -> FloatArray:
    """Return the price at which an inverse position has just its maintenance margin, charged on the value at entry.

    Solves M + s q (1/E - 1/P) = (r + f) q / E, so P = q / (q/E + s (M - (r + f) q/E)). Units as in
    `inverse_bankruptcy_price`. Source class: Bybit-style coin-margined contracts.
    """
    s, q = _side(side), _above_zero("size", size)
    entry_value = q / _above_zero("entry", entry)
    return _quotient(q, entry_value + s * (_floats(margin) - (_floats(rate) + _floats(fee)) * entry_value))


def _floats(values: ArrayLike) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _side(values: ArrayLike) -> FloatArray:
    side = _floats(values)
    if not (np.abs(side) == 1).all():
        raise ValueError(f"side: found {side.tolist()}; allowed: +1 (long) or -1 (short)")
    return side


def _above_zero(name: str, values: ArrayLike) -> FloatArray:
    numbers = _floats(values)
    if not (numbers > 0).all():
        raise ValueError(f"{name}: found {numbers.tolist()}; allowed: numbers above 0")
    return numbers


def _quotient(numerator: FloatArray, denominator: FloatArray) -> FloatArray:
    """Return the quotient; infinite where the price that solves the equation has run away."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(numerator / denominator, dtype=np.float64)
