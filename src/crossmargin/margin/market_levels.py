"""Margin levels of one market and one party, exactly: maintenance, search, initial, release.

Below maintenance the position is closed; below search, money is fetched from the party's other accounts up to
initial; a new order needs initial; above release, money goes back. Sizes and prices are fractions or whole numbers,
so that rounding to whole units of the settle asset is exact. Source class: Vega.

Letters: v = open volume, long positive; M = mark price; RF = risk factor, what a unit of value is expected to lose.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor

from crossmargin.errors import InputError

Exact = int | Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class Slippage:
    """What closing a volume is expected to cost beyond the mark, as a fraction of value: linear v + quadratic v^2."""

    linear: Exact = 0
    quadratic: Exact = 0

    def __post_init__(self) -> None:
        for name in ("linear", "quadratic"):
            _not_negative(name, getattr(self, name))

    def cost(self, volume: Exact, price: Exact) -> Exact:
        """Return price x (linear |v| + quadratic v^2)."""
        return price * (self.linear * _size(volume) + self.quadratic * volume * volume)


@dataclass(frozen=True, slots=True, kw_only=True)
class Orders:
    """A party's open orders in one market, unsigned."""

    buys: Exact = 0
    sells: Exact = 0
    """Volume."""
    buy_value: Exact = 0
    sell_value: Exact = 0
    """Sum of limit price x volume; heeded in auctions only."""

    def __post_init__(self) -> None:
        for name in ("buys", "sells", "buy_value", "sell_value"):
            _not_negative(name, getattr(self, name))


def maintenance(
    *,
    volume: Exact,
    orders: Orders | None = None,
    mark: Exact,
    risk_long: Exact,
    risk_short: Exact,
    slippage: Slippage | None = None,
    funding_per_unit: Exact = 0,
    auction_price: Exact | None = None,
) -> int:
    """Return maintenance margin in whole units of the settle asset, rounded up.

    The long side counts where v + buys > 0: slippage of max(v, 0) and RF_long x M x (max(v, 0) + buys); the short side
    the same with -v, sells and RF_short. The larger of the two, plus what the next funding takes, max(0, funding x v).
    Orders pay no slippage. In an auction (`auction_price` given) they are taken at the larger of their own value and
    that at the auction price.
    """
    _not_negative("mark", mark)
    _not_negative("risk_long", risk_long)
    _not_negative("risk_short", risk_short)
    orders, slippage = orders or Orders(), slippage or Slippage()

    def side(held: Exact, resting: Exact, stated: Exact, riskiest: Exact, risk: Exact) -> Exact:
        if not riskiest > 0:
            return 0
        value = resting * mark if auction_price is None else max(stated, resting * auction_price)
        return slippage.cost(held, mark) + risk * (held * mark + value)

    long = side(max(volume, 0), orders.buys, orders.buy_value, volume + orders.buys, risk_long)
    short = side(max(-volume, 0), orders.sells, orders.sell_value, orders.sells - volume, risk_short)
    return ceil(max(long, short) + max(0, funding_per_unit * volume))


@dataclass(frozen=True, slots=True, kw_only=True)
class MarginLevels:
    """The four levels, in whole units of the settle asset."""

    maintenance: int
    search: int
    initial: int
    release: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LevelFactors:
    """The other levels as multiples of maintenance margin: 1 <= search <= initial <= release."""

    search: Exact
    initial: Exact
    release: Exact

    def __post_init__(self) -> None:
        if not 1 <= self.search <= self.initial <= self.release:
            found = ", ".join(f"{float(factor):g}" for factor in (self.search, self.initial, self.release))
            raise InputError("search, initial, release", found, "multiples of maintenance, 1 or more, that do not fall")

    def levels(self, maintenance: int) -> MarginLevels:
        """Return the levels above `maintenance`, each rounded down."""
        return MarginLevels(
            maintenance=maintenance,
            search=floor(self.search * maintenance),
            initial=floor(self.initial * maintenance),
            release=floor(self.release * maintenance),
        )


def liquidation_price(
    *, collateral: Exact, volume: Exact, mark: Exact, risk: Exact, slippage: Slippage, funding_per_unit: Exact = 0
) -> Fraction | None:
    """Return the mark at which collateral meets maintenance margin of an open volume, at least 0; None: at none.

    P = (C - v M - max(0, v f)) / (linear |v| + quadratic v^2 + |v| RF - v); RF that of the position's side. Solves
    C + v (P - M) = maintenance at P, before it is rounded. Without a volume, or where the price cancels, there is none.
    """
    slope = slippage.cost(volume, 1) + _size(volume) * risk - volume
    if volume == 0 or slope == 0:
        return None
    return max(Fraction(collateral - volume * mark - max(0, volume * funding_per_unit)) / Fraction(slope), Fraction(0))


def isolated_margin(*, average_entry: Exact, volume: Exact, factor: Exact) -> Exact:
    """Return what an isolated position holds: factor x average entry price x |v|, in the settle asset, unrounded."""
    _not_negative("average_entry", average_entry)
    return _share("factor", factor) * average_entry * _size(volume)


def least_isolated_factor(*, risk_long: Exact, risk_short: Exact, slippage: Slippage) -> Exact:
    """Return what an isolated margin factor must exceed: the larger risk factor plus linear slippage."""
    return max(risk_long, risk_short) + slippage.linear


def isolated_order_margin(
    *,
    volume: Exact,
    buys: Iterable[tuple[Exact, Exact]],
    sells: Iterable[tuple[Exact, Exact]],
    factor: Exact,
) -> Exact:
    """Return what the open orders of an isolated market hold, in the settle asset, unrounded.

    Each side by (price, volume), the order that trades first in front. On the side that closes the position the first
    |v| is free; of the two sides the larger is held: they cannot both be filled at a loss of margin.
    """
    _share("factor", factor)
    ahead_of_buys, ahead_of_sells = max(-volume, 0), max(volume, 0)
    dearest_first = sorted(buys, key=lambda order: -order[0])
    cheapest_first = sorted(sells, key=lambda order: order[0])
    return factor * max(_value_beyond(dearest_first, ahead_of_buys), _value_beyond(cheapest_first, ahead_of_sells))


def released_margin(*, balance: Exact, volume: Exact, trade_price: Exact, mark: Exact, closed: Exact) -> Fraction:
    """Return what reducing an isolated position frees: (balance + v (trade price - mark)) x closed / |v|.

    closed: unsigned, at most |v|; trade_price: average price of the trades that closed it.
    """
    if not 0 < closed <= _size(volume):
        raise InputError("closed", str(closed), f"above 0, at most the position, {_size(volume)}")
    return Fraction(balance + volume * (trade_price - mark)) * Fraction(closed) / Fraction(_size(volume))


def _value_beyond(orders: Iterable[tuple[Exact, Exact]], free: Exact) -> Exact:
    value: Exact = 0
    for price, volume in orders:
        _not_negative("order volume", volume)
        closing = min(free, volume)
        free -= closing
        value += price * (volume - closing)
    return value


def _size(volume: Exact) -> Exact:
    return max(volume, -volume)


def _not_negative(name: str, value: Exact) -> Exact:
    if value < 0:
        raise InputError(name, f"{float(value):g}", "0 or more")
    return value


def _share(name: str, value: Exact) -> Exact:
    if not 0 < value <= 1:
        raise InputError(name, f"{float(value):g}", "above 0, at most 1")
    return value
