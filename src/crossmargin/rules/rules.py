"""A rule book as a value: the model built from its parameters, and the parameters as disclosed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from crossmargin.book import CREDIT_TIERS
from crossmargin.collateral import HaircutPolicy
from crossmargin.errors import InvalidRules, nearest
from crossmargin.margin import MarginModel
from crossmargin.units import FloatArray, iso_date

OPTION_VALUES = ("equity", "excluded")
"""Where the value of options is counted: in equity, or not at all because the requirement contains it."""

Value = float | int | str | bool | tuple["Value", ...]
"""A parameter's value as disclosed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """One disclosed number of a rule book."""

    key: str
    """Place in the book; entries of a table by class or name are keys of their own: `range.crypto`."""
    value: Value
    unit: str
    source: str
    reason: str = ""

    @property
    def text(self) -> str:
        """The value as people read it."""
        return text_of(self.value)


def text_of(value: Value) -> str:
    """Return a parameter's value as people read it; rows of a ladder are set apart by semicolons."""
    match value:
        case bool():
            return str(value).lower()
        case str():
            return value
        case tuple():
            rows = [item for item in value if isinstance(item, tuple)]
            if rows and all(isinstance(row[0], str) for row in rows):
                return ", ".join(" ".join(text_of(part) for part in row) for row in rows)
            return ("; " if rows else ", ").join(text_of(item) for item in value)
    return f"{value:.16g}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rules:
    """A rule book in force: what must be had, and what collateral counts."""

    name: str
    version: str
    """The day it is in force from, YYYY-MM-DD."""
    title: str = ""
    model_name: str
    """`grid`, `brackets`, `standard_option`, `historical`; books built in code name theirs as they please."""
    model: MarginModel
    option_value: str = "equity"
    """`equity`, or `excluded` where the model's requirement already contains the options' value."""
    call_level: float | None = None
    """A margin call starts at this multiple of maintenance margin; None: no calls."""
    liquidation_buffer: float
    """Liquidation restores the margin balance to this share above maintenance margin."""
    haircuts: HaircutPolicy
    credit: Mapping[str, float] = field(default_factory=dict)
    """By credit tier: what initial margin is multiplied by, 1 or more; 1 where absent."""
    source: str = ""
    parameters: tuple[Parameter, ...] = ()
    """Every parameter, in the order of the schema; empty for books built in code."""

    def __post_init__(self) -> None:
        place = f"rule book {self.name}"
        try:
            iso_date(self.version)
        except ValueError as error:
            raise InvalidRules(f"{place}, version", str(error), "the day it is in force from, YYYY-MM-DD") from None
        if self.option_value not in OPTION_VALUES:
            raise InvalidRules(f"{place}, option_value", repr(self.option_value), " or ".join(OPTION_VALUES))
        if self.call_level is not None and not 1 <= self.call_level < np.inf:
            raise InvalidRules(f"{place}, call_level", str(self.call_level), "1 or more, or None for no calls")
        if not (isfinite(self.liquidation_buffer) and self.liquidation_buffer >= 0):
            raise InvalidRules(f"{place}, liquidation_buffer", str(self.liquidation_buffer), "0 or more")
        for tier, factor in self.credit.items():
            if tier not in CREDIT_TIERS:
                raise InvalidRules(f"{place}, credit", repr(tier), ", ".join(CREDIT_TIERS), nearest(tier, CREDIT_TIERS))
            if not 1 <= factor < np.inf:
                raise InvalidRules(
                    f"{place}, credit.{tier}", str(factor), "1 or more: credit never lowers a requirement"
                )

    @property
    def credit_factors(self) -> FloatArray:
        """The credit factor of each tier, in the order of CREDIT_TIERS."""
        return np.array([self.credit.get(tier, 1.0) for tier in CREDIT_TIERS], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A number that two rule books do not share; None where one of them does not have it."""

    key: str
    before: Value | None
    after: Value | None
    unit: str


def difference(before: Rules, after: Rules) -> tuple[Change, ...]:
    """Return what changes from one rule book to another, in the order of their parameters.

    The heads (version, model, option value) come first. Sources and reasons are not compared.
    """
    changes = [
        Change(key=key, before=old, after=new, unit="")
        for key, old, new in (
            ("version", before.version, after.version),
            ("model", before.model_name, after.model_name),
            ("option_value", before.option_value, after.option_value),
        )
        if old != new
    ]
    old_of = {parameter.key: parameter for parameter in before.parameters}
    new_of = {parameter.key: parameter for parameter in after.parameters}
    for key in {**old_of, **new_of}:
        old_one, new_one = old_of.get(key), new_of.get(key)
        one = new_one or old_one
        assert one is not None, "a key comes from one of the two"
        if old_one is None or new_one is None or (old_one.value, old_one.unit) != (new_one.value, new_one.unit):
            changes.append(
                Change(
                    key=key,
                    before=old_one.value if old_one else None,
                    after=new_one.value if new_one else None,
                    unit=one.unit,
                )
            )
    return tuple(changes)
