"""Fields of a venue's answer read strictly: every error names the file and the path of the field."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from crossmargin.errors import InvalidFile
from crossmargin.units import exact

_YEAR_9999_MS = 253_402_300_800_000
_SMALLEST, _LARGEST = Decimal("1e-100"), Decimal("1e100")
"""As in files: what lies beyond is a slip, and products of two such numbers are finite."""
_NAMES = {dict: "an object", list: "a list", str: "a text", bool: "a boolean", Decimal: "a number"}


def kind_of(value: object) -> str:
    """Return what a JSON value is, in words."""
    return _NAMES.get(type(value), "null")


@dataclass(frozen=True, slots=True)
class Fields:
    """One object of an answer with its place. A field that is absent, null or an empty text is not there."""

    place: str
    values: Mapping[str, Any]

    @classmethod
    def of(cls, place: str, value: object, allowed: str = "an object") -> Fields:
        """Return the fields of an object; raise InvalidFile where it is none."""
        if not isinstance(value, dict):
            raise InvalidFile(place, kind_of(value), allowed)
        return cls(place, value)

    def refuse(self, field: str, found: str, allowed: str, hint: str = "") -> InvalidFile:
        """Return the error for one field."""
        return InvalidFile(f"{self.place}.{field}", found, allowed, hint)

    def has(self, field: str) -> bool:
        """Return whether a field is there."""
        return self.values.get(field) not in (None, "")

    def number(self, field: str) -> Decimal | None:
        """Return a field as an exact number, or None where it is not there."""
        if not self.has(field):
            return None
        try:
            number = exact(self.values[field])
        except ValueError as error:
            raise self.refuse(field, str(error), "a finite number") from None
        if number and not _SMALLEST <= abs(number) <= _LARGEST:
            raise self.refuse(field, str(self.values[field])[:40], "0, or a number of a size from 1e-100 to 1e100")
        return number

    def needed(self, field: str, what: str = "a number") -> Decimal:
        """Return a field that must be there as an exact number."""
        number = self.number(field)
        if number is None:
            raise self.refuse(field, "nothing", what)
        return number

    def price(self, field: str) -> float | None:
        """Return a price above 0; None where it is not there or 0, which venues write for none."""
        number = self.number(field)
        if number is not None and number < 0:
            raise self.refuse(field, str(number), "a price, 0 or more")
        return float(number) if number else None

    def amount(self, field: str) -> float | None:
        """Return an amount that cannot be negative, or None where it is not there."""
        number = self.number(field)
        if number is not None and number < 0:
            raise self.refuse(field, str(number), "0 or more")
        return None if number is None else float(number)

    def text(self, field: str, what: str = "a text") -> str:
        """Return a field that must be there as text."""
        value = self.values.get(field)
        if not isinstance(value, str) or not value:
            raise self.refuse(field, "nothing" if value in (None, "") else kind_of(value), what)
        return value

    def choice(self, field: str, allowed: Mapping[str, Any]) -> Any:
        """Return what a text field stands for."""
        value = self.text(field, " or ".join(allowed))
        if value not in allowed:
            raise self.refuse(field, repr(value), " or ".join(allowed))
        return allowed[value]

    def flag(self, field: str) -> bool | None:
        """Return true or false, as JSON or as text; None where it is not there."""
        value = self.values.get(field)
        if value in (None, ""):
            return None
        known = {"true": True, "false": False}
        found = known.get(value) if isinstance(value, str) else value if isinstance(value, bool) else None
        if found is None:
            raise self.refuse(field, repr(value)[:40], "true or false")
        return found

    def millis(self, field: str, per_milli: int = 1) -> datetime | None:
        """Return a time in milliseconds since 1970 (or finer, `per_milli` to one); None where it is not there or 0."""
        number = self.number(field)
        if not number:
            return None
        stamp = number / per_milli
        if number != int(number) or not 0 < stamp < _YEAR_9999_MS:
            raise self.refuse(field, str(number), "milliseconds since 1970" if per_milli == 1 else "a time since 1970")
        return datetime.fromtimestamp(int(stamp) / 1000, UTC)

    def inside(self, field: str) -> Fields:
        """Return the fields of an object inside; raise where it is none."""
        return Fields.of(f"{self.place}.{field}", self.values.get(field))

    def rows(self, field: str) -> list[Fields]:
        """Return the objects of a list inside; raise where it is none, or holds anything else."""
        return rows_of(f"{self.place}.{field}", self.values.get(field))


def rows_of(place: str, value: object, allowed: str = "a list of objects") -> list[Fields]:
    """Return the objects of a list, each with its place."""
    if not isinstance(value, list):
        raise InvalidFile(place, kind_of(value), allowed)
    return [Fields.of(f"{place}[{k}]", item) for k, item in enumerate(value)]
