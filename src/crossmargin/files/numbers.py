"""Numbers as files write them: the grammar, the range, and what to say about anything else."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Sequence
from decimal import Context, Decimal, Inexact, InvalidOperation
from itertools import compress

import numpy as np

from crossmargin.errors import InputError, InvalidBook
from crossmargin.units import BoolArray, FloatArray

DIGITS_MAX = 38
"""Significant digits taken; more is refused, as no exact column on disk holds them."""

GRAMMAR = r"^[+-]?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$"
"""A decimal number as text; the same for JSON strings, CSV cells and text columns."""

_NUMBER = re.compile(GRAMMAR)
_TEXT_SHOWN = 60
_LARGEST, _SMALLEST = 1e100, 1e-100
"""Sizes between which products of a quantity, a contract size and a price stay finite."""
_RANGE = f"0, or a size from {_SMALLEST:g} to {_LARGEST:g}"
_EXACT = Context(prec=DIGITS_MAX, traps=[Inexact, InvalidOperation])
_ALLOWED = "a finite number"


def found(value: object) -> str:
    """Return how `value`, as parsed, is named in an error."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, str):
        return f"the text {value[:_TEXT_SHOWN]!r}"
    if isinstance(value, dict):
        return "an object"
    if isinstance(value, list):
        return "a list"
    return f"the number {str(value)[:_TEXT_SHOWN]}"


def decimal(value: object, place: str, *, error: type[InputError] = InvalidBook) -> Decimal:
    """Return a number or decimal string as a Decimal.

    Raises `error` at `place` for anything else: booleans, other text, NaN, infinities, sizes out of the range that
    products of a few numbers can have, more than 38 significant digits.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        try:
            number = Decimal(value)
        except InvalidOperation:
            raise error(place, found(value), _RANGE) from None
    elif isinstance(value, Decimal):
        number = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        number = Decimal(repr(value) if isinstance(value, float) else value)
    else:
        hint = "text counts where it is a decimal number, such as 1.5" if isinstance(value, str) else ""
        raise error(place, found(value), _ALLOWED, hint)
    if not number.is_finite():
        raise error(place, found(value), _ALLOWED)
    if number and not _SMALLEST <= abs(float(number)) <= _LARGEST:
        raise error(place, found(value), _RANGE)
    try:
        _EXACT.plus(number)
    except Inexact:
        raise error(place, found(value), f"at most {DIGITS_MAX} significant digits") from None
    return number


def number(value: object, place: str, *, error: type[InputError] = InvalidBook) -> float:
    """Return `decimal` of the same as the nearest float; a zero never carries a sign."""
    return float(decimal(value, place, error=error)) + 0.0


def out_of_range(values: FloatArray) -> BoolArray:
    """Return which values a closer look is due: NaN, out of range, or 0, as which what is tiny may read."""
    size = np.abs(values)
    return ~((size >= _SMALLEST) & (size <= _LARGEST))


def floats(values: Sequence[object], place: Callable[[int], str], *, required: bool) -> FloatArray:
    """Return a column of numbers as parsed; NaN where a value is None, which `required` refuses.

    `place` names the row of the first value that is refused. Decimals, the usual case, cost one pass of
    conversions and vectorised checks; only what is unusual is looked at value by value.
    """
    column = np.full(len(values), np.nan)
    usual = np.fromiter((type(value) is Decimal for value in values), dtype=np.bool_, count=len(values))
    decimals = list(compress(values, usual.tolist()))
    try:
        column[usual] = list(map(float, decimals))  # type: ignore[arg-type]
        deque(map(_EXACT.plus, decimals), maxlen=0)  # type: ignore[arg-type]
    except (ValueError, Inexact, InvalidOperation):  # a signalling NaN, too many digits
        usual[:] = False
    unusual = ~usual | out_of_range(column)
    for k in np.flatnonzero(unusual).tolist():
        value = values[k]
        if value is not None or required:
            try:
                column[k] = number(value, "")
            except InvalidBook as error:
                raise InvalidBook(place(k), error.found, error.allowed, error.hint) from None
    return column
