"""The inputs of a case, read key by key; what nobody read is known afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from math import isfinite
from pathlib import Path
from typing import cast

from crossmargin.errors import InputError, nearest

_REQUIRED = object()


class NotRunError(Exception):
    """The case needs licensed parameters that are not here."""


@dataclass(slots=True, eq=False)
class Inputs:
    """Reads numbers, texts and lists out of a case and remembers which keys were read."""

    values: Mapping[str, object]
    place: str = "inputs"
    parameters: Path | None = None
    """Folder of licensed parameters, where there is one."""
    _read: set[str] = field(default_factory=set)
    _inner: list[Inputs] = field(default_factory=list)

    def has(self, key: str) -> bool:
        """Return whether the case gives `key`; asking does not read it."""
        return key in self.values

    def number(self, key: str, default: object = _REQUIRED, *, above: float | None = None) -> float:
        """Return a finite number; `default` where it is absent and there is one."""
        value = self._get(key, default)
        number = _finite(f"{self.place}.{key}", value)
        if above is not None and not number > above:
            raise InputError(f"{self.place}.{key}", f"{number:g}", f"a number above {above:g}")
        return number

    def exact(self, key: str, default: object = _REQUIRED, *, above: int | None = None) -> Fraction:
        """Return a finite number as the decimal it is written as, exactly."""
        value = self._get(key, default)
        _finite(f"{self.place}.{key}", value)
        number = Fraction(repr(value)) if isinstance(value, float) else Fraction(cast(int, value))
        if above is not None and not number > above:
            raise InputError(f"{self.place}.{key}", f"{float(number):g}", f"a number above {above}")
        return number

    def whole(self, key: str, default: object = _REQUIRED) -> int:
        """Return a whole number of any size."""
        number = self.exact(key, default)
        if number.denominator != 1:
            raise InputError(f"{self.place}.{key}", str(float(number)), "a whole number")
        return number.numerator

    def text(self, key: str, default: object = _REQUIRED, *, among: Sequence[str] = ()) -> str:
        """Return a text, one of `among` where that is given."""
        value = self._get(key, default)
        if not isinstance(value, str) or (among and value not in among):
            hint = nearest(value, among) if isinstance(value, str) else ""
            raise InputError(f"{self.place}.{key}", repr(value), ", ".join(among) or "text", hint)
        return value

    def flag(self, key: str, default: object = _REQUIRED) -> bool:
        """Return true or false."""
        value = self._get(key, default)
        if not isinstance(value, bool):
            raise InputError(f"{self.place}.{key}", repr(value), "true or false")
        return value

    def numbers(self, key: str) -> list[float]:
        """Return a list of finite numbers."""
        value = self._list(key)
        return [_finite(f"{self.place}.{key}[{k}]", item) for k, item in enumerate(value)]

    def rows(self, key: str) -> list[tuple[str, list[float]]]:
        """Return a list of rows, each a list of a name and finite numbers."""
        found = []
        for k, row in enumerate(self._list(key)):
            place = f"{self.place}.{key}[{k}]"
            if not isinstance(row, list) or not row or not isinstance(row[0], str):
                raise InputError(place, repr(row), "a list of a name and numbers")
            found.append((row[0], [_finite(f"{place}[{n}]", item) for n, item in enumerate(row) if n]))
        return found

    def named_rows(self, key: str, columns: Sequence[str]) -> list[Inputs]:
        """Return a reader of each row in a list of rows, its cells by the names of the columns."""
        found = []
        for k, row in enumerate(self._list(key)):
            place = f"{self.place}.{key}[{k}]"
            if not isinstance(row, list) or len(row) != len(columns):
                raise InputError(place, repr(row), f"a list of {len(columns)}: {', '.join(columns)}")
            found.append(self._within(place, dict(zip(columns, row, strict=True))))
        return found

    def table(self, key: str, columns: int) -> list[list[float]]:
        """Return a list of one row or more, each a list of `columns` finite numbers."""
        found = []
        for k, row in enumerate(self._list(key)):
            place = f"{self.place}.{key}[{k}]"
            if not isinstance(row, list) or len(row) != columns:
                raise InputError(place, repr(row), f"a list of {columns} numbers")
            found.append([_finite(f"{place}[{n}]", item) for n, item in enumerate(row)])
        if not found:
            raise InputError(f"{self.place}.{key}", "an empty list", "at least one row")
        return found

    def inner(self, key: str) -> Inputs:
        """Return the reader of an object."""
        return self._within(f"{self.place}.{key}", self._get(key, _REQUIRED))

    def inners(self, key: str, default: object = _REQUIRED) -> list[Inputs]:
        """Return a reader of each object in a list."""
        value = self._list(key, default)
        return [self._within(f"{self.place}.{key}[{k}]", item) for k, item in enumerate(value)]

    def licensed(self, name: str) -> Path:
        """Return the path of a licensed parameter file; raise NotRunError where it is not here."""
        if self.parameters is None:
            raise NotRunError(f"needs licensed parameters, {name}: give --parameters or CROSSMARGIN_PARAMETERS")
        path = self.parameters / name
        if not path.exists():
            raise NotRunError(f"needs licensed parameters: {path} is not there")
        return path

    def unread(self) -> Iterator[str]:
        """Yield the places of the keys that nobody read, those of inner objects too."""
        for key in self.values:
            if key not in self._read:
                yield f"{self.place}.{key}"
        for inner in self._inner:
            yield from inner.unread()

    def _get(self, key: str, default: object) -> object:
        self._read.add(key)
        value = self.values.get(key, default)
        if value is _REQUIRED:
            raise InputError(f"{self.place}.{key}", "nothing", "a value", nearest(key, self.values))
        return value

    def _list(self, key: str, default: object = _REQUIRED) -> Sequence[object]:
        value = self._get(key, default)
        if not isinstance(value, list | tuple):
            raise InputError(f"{self.place}.{key}", repr(value), "a list")
        return value

    def _within(self, place: str, value: object) -> Inputs:
        if not isinstance(value, Mapping):
            raise InputError(place, repr(value), "an object")
        inner = Inputs(value, place, self.parameters)
        self._inner.append(inner)
        return inner


def _finite(place: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(place, repr(value), "a finite number")
    try:
        number = float(value)
    except OverflowError:
        raise InputError(place, f"{str(value)[:40]}...", "a number that fits a float") from None
    if not isfinite(number):
        raise InputError(place, repr(number), "a finite number")
    return number
