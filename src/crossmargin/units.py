"""Time, exact numbers and the fixed constants of the library.

Times are UTC; durations in years are ACT/365 with a year of exactly 365 days. A number that must stay
exact (a quantity before rows merge, a contract size, a tick) is a finite `Decimal`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "DAY_SECONDS",
    "NAME_LENGTH_MAX",
    "YEAR_SECONDS",
    "Array",
    "BoolArray",
    "FloatArray",
    "IntArray",
    "exact",
    "iso",
    "iso_date",
    "utc",
    "years_between",
]

YEAR_SECONDS = 365 * 86_400
DAY_SECONDS = 86_400
NAME_LENGTH_MAX = 200
"""Longest symbol or id taken, in characters."""

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
Array = NDArray[Any]


def exact(value: object) -> Decimal:
    """Return `value` as a finite Decimal; raise ValueError saying what was found.

    Floats go through their shortest text, so 0.1 becomes exactly one tenth. Booleans, NaN, infinities
    and numbers beyond the range of a float are refused.
    """
    if isinstance(value, bool):
        raise ValueError(f"the boolean {str(value).lower()}")
    if not isinstance(value, int | float | str | Decimal | np.integer):
        raise ValueError(f"a {type(value).__name__}")
    text = value if isinstance(value, str) else str(value)
    try:
        number = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"the text {text[:40]!r}") from None
    if not number.is_finite() or abs(number) > _LARGEST:
        raise ValueError(text[:40])
    return number


_LARGEST = Decimal("1.7976931348623157e308")


def utc(value: str | datetime) -> datetime:
    """Return a UTC time from an ISO 8601 text or an aware datetime; raise ValueError otherwise."""
    try:
        time = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        raise ValueError(f"the text {str(value)[:40]!r}") from None
    if time.tzinfo is None:
        raise ValueError(f"{time.isoformat()} without a time zone")
    return time.astimezone(UTC)


def iso(time: datetime) -> str:
    """Return a UTC time as ISO 8601 with Z, to the second (microseconds only where there are any)."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def iso_date(text: str) -> date:
    """Return a date from YYYY-MM-DD; raise ValueError otherwise."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"the text {text[:40]!r}") from None


def years_between(start: datetime, end: datetime) -> float:
    """Return the time from `start` to `end` in years, ACT/365; negative when `end` is earlier."""
    return (end - start).total_seconds() / YEAR_SECONDS
