"""Numbers as people read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import floor, log10
from typing import Any

NOTHING = "-"
"""Stands where a number does not exist."""


def money(amount: float | None, digits: int = 0) -> str:
    """Return an amount with thousands separators; a rounded zero has no sign."""
    if amount is None:
        return NOTHING
    text = f"{amount:,.{digits}f}"
    return "0" if text.strip("-0.,") == "" else text


def money_digits(amounts: Iterable[float | None]) -> int:
    """Return how many decimals a column of amounts needs: cents only where all are small."""
    largest = max((abs(amount) for amount in amounts if amount is not None), default=0.0)
    return 0 if largest >= 1_000 else 2


def price(value: float | None) -> str:
    """Return a price with about six digits that mean something."""
    if value is None:
        return NOTHING
    size = abs(value)
    digits = 2 if size == 0 else min(max(5 - floor(log10(size)), 0), 10)
    text = f"{value:,.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def quantity(value: float | None) -> str:
    """Return a quantity in full, with thousands separators."""
    if value is None:
        return NOTHING
    return f"{value:,.12g}" if abs(value) < 1e12 else f"{value:,.0f}"


def percent(fraction: float | None, digits: int = 0, *, sign: bool = False) -> str:
    """Return a fraction as a percentage; beyond a thousandfold it is only said to be."""
    if fraction is None:
        return NOTHING
    if abs(fraction) >= 1_000:
        return (">" if fraction > 0 else "<-") + "100,000%"
    return f"{fraction * 100:{'+' if sign else ''},.{digits}f}%"


def nearest_liquidation(
    figures: Mapping[str, Any], index: Mapping[str, float]
) -> tuple[str, float, float, bool] | None:
    """Return (underlying, price, relative move, already there) of the liquidation price nearest to the market.

    Already in breach, the price is the way back. None where no price of one underlying leads to one.
    """
    found = []
    for name, prices in figures["liquidation"].items():
        now = index.get(name)
        for side in ("below", "above"):
            root = prices[side]
            if root is not None and now:
                found.append((abs(root / now - 1.0), name, root, root / now - 1.0, bool(prices["inside"])))
    if not found:
        return None
    _, name, root, move, inside = min(found)
    return name, root, move, inside
