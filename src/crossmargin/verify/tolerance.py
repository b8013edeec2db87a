"""How near is near enough: the comparison of what a model gave with what its case expects.

A tolerance is a number t or {abs: t}: |got - expected| <= t; {rel: t}: <= t |expected|, <= t where 0 is expected;
{exact: true}: equal as integers or as fractions [numerator, denominator]; {rounding: text} and nothing else: exact
after that rounding. Beside another key, `rounding` says how the model itself rounds. Where `abs` and `rel` are both
given, both must hold. `upstream_rel` is the source's own tolerance, kept for the record.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from math import ceil, floor, isfinite, trunc

Number = int | float | Fraction

_ROUNDINGS: tuple[tuple[re.Pattern[str], Callable[[Number], int]], ...] = (
    (re.compile(r"(truncated?|round(ed)? toward (zero|0))( toward zero)?( to (an )?integers?)?"), trunc),
    (re.compile(r"(floor(ed)?|round(ed)? toward -inf)( to (an )?integers?)?"), floor),
    (re.compile(r"(ceil(ed|ing)?|round(ed)? toward \+inf)( to (an )?integers?)?"), ceil),
)
"""Roundings that are applied here. Any other text describes what the model does: its answer is then taken as is."""


class NotComparableError(Exception):
    """Got and expected cannot be compared: another shape, a missing key, a NaN, a tolerance nobody knows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tolerance:
    """A tolerance as it was understood; None where that rule is not asked for."""

    abs: float | None = None
    rel: float | None = None
    exact: bool = False
    rounding: Callable[[Number], int] | None = None

    @classmethod
    def of(cls, given: object) -> Tolerance:
        """Return the tolerance of a case; raise NotComparableError for one that says nothing or says it wrong."""
        if not isinstance(given, Mapping):
            return cls(abs=_limit("tolerance", given))
        for key in given:
            if key not in ("abs", "rel", "exact", "rounding", "upstream_rel"):
                raise NotComparableError(f"tolerance: unknown key {key!r}; allowed: abs, rel, exact, rounding")
        if given.get("exact", True) is not True:
            raise NotComparableError("tolerance.exact: allowed: true")
        text = given.get("rounding", "")
        if not isinstance(text, str):
            raise NotComparableError("tolerance.rounding: allowed: the name of a rounding")
        only_rounding = bool(text) and not given.keys() & {"abs", "rel", "exact"}
        if not only_rounding and not given.keys() & {"abs", "rel", "exact"}:
            raise NotComparableError("tolerance: says nothing; allowed: a number, abs, rel, exact or rounding")
        return cls(
            abs=_limit("tolerance.abs", given["abs"]) if "abs" in given else None,
            rel=_limit("tolerance.rel", given["rel"]) if "rel" in given else None,
            exact=only_rounding or "exact" in given,
            rounding=_rounding(text) if only_rounding else None,
        )


def compare(expected: object, got: object, given: object) -> tuple[bool, float]:
    """Return whether `got` is near enough to `expected`, and the worst error among their numbers.

    The error is |got - expected|, relative to expected where the tolerance is only relative. Lists are compared element
    by element; of objects every expected key, extra ones of `got` being ignored. Raises NotComparableError.
    """
    tolerance = Tolerance.of(given)
    try:
        checks = _checks(expected, got, tolerance, "got")
    except OverflowError:
        raise NotComparableError("got and expected are too far apart, or too large, for a float") from None
    return all(passed for passed, _ in checks), max((error for _, error in checks), default=0.0)


def _checks(expected: object, got: object, tolerance: Tolerance, place: str) -> list[tuple[bool, float]]:
    if isinstance(expected, Mapping):
        if not isinstance(got, Mapping):
            raise NotComparableError(f"{place}: {_shown(got)} where an object is expected")
        if not expected:
            raise NotComparableError(f"{place}: an empty object is expected, which compares nothing")
        missing = [key for key in expected if key not in got]
        if missing:
            raise NotComparableError(f"{place}: no {', '.join(missing)}")
        return [c for key in expected for c in _checks(expected[key], got[key], tolerance, f"{place}.{key}")]
    if isinstance(expected, list) and not (tolerance.exact and _is_number(got)):
        if not isinstance(got, list):
            raise NotComparableError(f"{place}: {_shown(got)} where a list is expected")
        if len(got) != len(expected):
            raise NotComparableError(f"{place}: {len(got)} elements where {len(expected)} are expected")
        pairs = enumerate(zip(expected, got, strict=True))
        return [c for k, (e, g) in pairs for c in _checks(e, g, tolerance, f"{place}[{k}]")]
    if isinstance(expected, list) or _is_number(expected):
        wanted = _fraction_of(place, expected) if isinstance(expected, list) else _number(place, "expected", expected)
        return [_check_number(wanted, _number(place, "got", got), tolerance)]
    if type(got) is not type(expected) or got != expected:
        raise NotComparableError(f"{place}: {_shown(got)} where {_shown(expected)} is expected")
    return []


def _check_number(expected: Number, got: Number, tolerance: Tolerance) -> tuple[bool, float]:
    if tolerance.rounding is not None:
        got = tolerance.rounding(got)
    if tolerance.exact:
        apart = abs(_fraction(got) - _fraction(expected))
        return _within(apart == 0, float(apart), expected, tolerance)
    error = abs(float(got) - float(expected))
    return _within(True, error, expected, tolerance)


def _within(passed: bool, error: float, expected: Number, tolerance: Tolerance) -> tuple[bool, float]:
    if tolerance.abs is not None:
        passed = passed and error <= tolerance.abs
    if tolerance.rel is not None:
        size = abs(float(expected))
        passed = passed and error <= (tolerance.rel * size if size else tolerance.rel)
        if tolerance.abs is None and size:
            error /= size
    return passed, error


def _number(place: str, whose: str, value: object) -> Number:
    if not _is_number(value):
        raise NotComparableError(f"{place}: {whose} {_shown(value)} is no number")
    assert isinstance(value, int | float | Fraction)
    if isinstance(value, float) and not isfinite(value):
        raise NotComparableError(f"{place}: {whose} is {value}")
    return value


def _fraction_of(place: str, value: list[object]) -> Fraction:
    match value:
        case [int(numerator), int(denominator)] if denominator != 0:
            return Fraction(numerator, denominator)
    raise NotComparableError(f"{place}: expected {_shown(value)} is no fraction [numerator, denominator]")


def _fraction(number: Number) -> Fraction:
    # A float stands for the decimal it is written as, so 60000.01 equals the fraction 6000001/100.
    return Fraction(repr(number)) if isinstance(number, float) else Fraction(number)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float | Fraction) and not isinstance(value, bool)


def _limit(place: str, value: object) -> float:
    if _is_number(value):
        assert isinstance(value, int | float | Fraction)
        if isfinite(value) and value >= 0:
            return float(value)
    raise NotComparableError(f"{place}: found {_shown(value)}; allowed: a number, 0 or more")


def _rounding(text: str) -> Callable[[Number], int] | None:
    name = " ".join(text.lower().split())
    return next((rounding for pattern, rounding in _ROUNDINGS if pattern.fullmatch(name)), None)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
