"""What a parameter's value may be: each kind reads raw TOML and says what it allows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from math import inf, isfinite, isinf
from typing import Any, NoReturn, Protocol

from crossmargin.book import CREDIT_TIERS
from crossmargin.errors import InputError, InvalidRules, nearest
from crossmargin.instruments import ASSET_CLASSES
from crossmargin.units import NAME_LENGTH_MAX

_FOUND_LENGTH = 60


class Kind(Protocol):
    """Reads one kind of value."""

    @property
    def allowed(self) -> str:
        """What may be written, as a phrase."""
        ...

    def read(self, raw: Any, place: str) -> Any:
        """Return the value; raise InvalidRules at `place` for anything that is not of this kind."""
        ...


def told(raw: Any) -> str:
    """Return what was found, as a phrase."""
    match raw:
        case bool():
            return f"the boolean {str(raw).lower()}"
        case float():
            return "infinity, or a number beyond all floats" if isinf(raw) else str(raw)
        case int():
            return str(raw) if abs(raw) < 10**15 else "a number far too large"
        case str():
            return f"the text {raw[:_FOUND_LENGTH]!r}"
        case dict():
            return "a table"
        case list():
            return "a list"
        case date() | time():
            return f"the date {raw}"
    return f"a {type(raw).__name__}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number in a range, ends included unless open; `whole` ones are integers."""

    least: float = -inf
    most: float = inf
    open_least: bool = False
    open_most: bool = False
    whole: bool = False
    none: bool = False
    """The text "none" is taken too, for no value at all."""

    @property
    def allowed(self) -> str:
        noun = "a whole number" if self.whole else "a number"
        low = f"above {self.least:g}" if self.open_least else f"{self.least:g} or more"
        high = f"below {self.most:g}" if self.open_most else f"at most {self.most:g}"
        bounds = [low] if isfinite(self.least) else []
        bounds += [high] if isfinite(self.most) else []
        text = ", ".join([noun, *bounds])
        return f'{text}; or "none"' if self.none else text

    def read(self, raw: Any, place: str) -> float | int | None:
        if self.none and raw == "none":
            return None
        numeric = isinstance(raw, int if self.whole else int | float) and not isinstance(raw, bool)
        if not numeric:
            self._refuse(raw, place)
        try:
            number = float(raw)
        except OverflowError:
            self._refuse(raw, place)
        below = number < self.least or (self.open_least and number == self.least)
        above = number > self.most or (self.open_most and number == self.most)
        if not isfinite(number) or below or above:
            self._refuse(raw, place)
        return int(raw) if self.whole else number

    def _refuse(self, raw: Any, place: str) -> NoReturn:
        percent = isinstance(raw, int | float) and not isinstance(raw, bool) and self.most <= 1 < raw <= 100
        hint = f"is {raw:g} percent meant? write {raw / 100:g}" if percent else ""
        raise InvalidRules(place, told(raw), self.allowed, hint)


FRACTION = Number(least=0, most=1)


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a few words."""

    words: tuple[str, ...]

    @property
    def allowed(self) -> str:
        return " or ".join(self.words)

    def read(self, raw: Any, place: str) -> str:
        if not isinstance(raw, str) or raw not in self.words:
            hint = nearest(raw, self.words) if isinstance(raw, str) else ""
            raise InvalidRules(place, told(raw), self.allowed, hint)
        return raw


@dataclass(frozen=True, slots=True)
class Flag:
    """true or false."""

    @property
    def allowed(self) -> str:
        return "true or false"

    def read(self, raw: Any, place: str) -> bool:
        if not isinstance(raw, bool):
            raise InvalidRules(place, told(raw), self.allowed)
        return raw


@dataclass(frozen=True, slots=True)
class Name:
    """The name of something: an asset, an owner, a group."""

    what: str = "something"

    @property
    def allowed(self) -> str:
        return f"the name of {self.what}, 1 to {NAME_LENGTH_MAX} characters"

    def read(self, raw: Any, place: str) -> str:
        if not isinstance(raw, str) or not 0 < len(raw) <= NAME_LENGTH_MAX:
            raise InvalidRules(place, told(raw), self.allowed)
        return raw


@dataclass(frozen=True, slots=True)
class Names:
    """A list of distinct names of assets; it may be empty."""

    @property
    def allowed(self) -> str:
        return "a list of names, each once"

    def read(self, raw: Any, place: str) -> tuple[str, ...]:
        if not isinstance(raw, list):
            raise InvalidRules(place, told(raw), self.allowed)
        names = [Name("an asset").read(item, f"{place}[{k}]") for k, item in enumerate(raw)]
        for k, name in enumerate(names):
            if name in names[:k]:
                raise InvalidRules(f"{place}[{k}]", f"{name!r} once more", self.allowed)
        return tuple(names)


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """A list of distinct numbers, with those in `among` among them."""

    of: Number
    among: tuple[float, ...] = ()

    @property
    def allowed(self) -> str:
        with_ = f", {' and '.join(f'{x:g}' for x in self.among)} among them" if self.among else ""
        return f"a list, each once{with_}, of: {self.of.allowed}"

    def read(self, raw: Any, place: str) -> tuple[float, ...]:
        if not isinstance(raw, list):
            raise InvalidRules(place, told(raw), self.allowed)
        numbers: list[float] = []
        for k, item in enumerate(raw):
            number = self.of.read(item, f"{place}[{k}]")
            assert number is not None, "list items have no none"
            if number in numbers:
                raise InvalidRules(f"{place}[{k}]", f"{number:g} once more", "each number once")
            numbers.append(number)
        for x in self.among:
            if x not in numbers:
                raise InvalidRules(place, f"no {x:g}", self.allowed)
        return tuple(numbers)


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table of values of one kind, by key."""

    of: Kind
    keys: tuple[str, ...] | None
    """Keys there may be; None: any name."""
    what: str
    """What a key is, such as "an asset class"."""
    required: tuple[str, ...] = ()

    @property
    def allowed(self) -> str:
        return f"a table by {self.what} of: {self.of.allowed}"

    def read(self, raw: Any, place: str) -> dict[str, Any]:
        self.check_keys(raw, place)
        for key in self.required:
            if key not in raw:
                raise InvalidRules(place, f"no {key}", f"a table with {' and '.join(self.required)} in it")
        return {key: self.of.read(value, f"{place}.{key}") for key, value in raw.items()}

    def check_keys(self, raw: Any, place: str) -> None:
        """Raise unless `raw` is a table whose keys may be; it may be part of one."""
        if not isinstance(raw, dict):
            raise InvalidRules(place, told(raw), self.allowed)
        for key in raw:
            if self.keys is not None and key not in self.keys:
                raise InvalidRules(f"{place}.{key}", f"no {self.what}", ", ".join(self.keys), nearest(key, self.keys))
            if not 0 < len(key) <= NAME_LENGTH_MAX:
                raise InvalidRules(place, f"a name of {len(key)} characters", f"1 to {NAME_LENGTH_MAX}")


def by_class(of: Kind, *, other: bool = True) -> Table:
    """Return the kind of a table by asset class; `other` stands in for the classes that are not listed."""
    return Table(of=of, keys=ASSET_CLASSES, what="asset class", required=("other",) if other else ())


def by_name(of: Kind, what: str = "name of an asset or underlying") -> Table:
    """Return the kind of a table by name."""
    return Table(of=of, keys=None, what=what)


def by_tier(of: Kind) -> Table:
    """Return the kind of a table by credit tier, all of them."""
    return Table(of=of, keys=CREDIT_TIERS, what="credit tier", required=CREDIT_TIERS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A table of named values that make one thing."""

    fields: Mapping[str, Number]
    optional: Mapping[str, Number] = field(default_factory=dict)
    build: Callable[..., Any]

    @property
    def allowed(self) -> str:
        wanted = ", ".join(self.fields)
        return f"{{{wanted}}}, with or without {', '.join(self.optional)}" if self.optional else f"{{{wanted}}}"

    def read(self, raw: Any, place: str) -> Any:
        if not isinstance(raw, dict):
            raise InvalidRules(place, told(raw), self.allowed)
        known = {**self.fields, **self.optional}
        for key in raw:
            if key not in known:
                raise InvalidRules(f"{place}.{key}", "an unknown key", ", ".join(known), nearest(key, known))
        for key in self.fields:
            if key not in raw:
                raise InvalidRules(place, f"no {key}", self.allowed)
        values = {key: known[key].read(value, f"{place}.{key}") for key, value in raw.items()}
        try:
            return self.build(**values)
        except InputError as error:
            raise _moved(error, f"{place}.{error.where}") from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A list of tables, each with all of `columns`, that make one thing out of their columns."""

    columns: Mapping[str, Number]
    fields: Mapping[str, str]
    """Argument of `build` that each column is."""
    build: Callable[..., Any]

    @property
    def allowed(self) -> str:
        return f"a list of {{{', '.join(self.columns)}}}"

    def read(self, raw: Any, place: str) -> Any:
        if not isinstance(raw, list):
            raise InvalidRules(place, told(raw), self.allowed)
        if not raw:
            raise InvalidRules(place, "an empty list", self.allowed)
        row = Record(fields=self.columns, build=dict)
        rows = [row.read(item, f"{place}[{k}]") for k, item in enumerate(raw)]
        try:
            return self.build(**{self.fields[name]: tuple(r[name] for r in rows) for name in self.columns})
        except InputError as error:
            # The thing built tells of its own `argument[row]`.
            argument, _, rest = error.where.partition("[")
            column = next(name for name, known in self.fields.items() if known == argument)
            raise _moved(error, f"{place}[{rest}.{column}") from None


@dataclass(frozen=True, slots=True)
class Haircut:
    """One haircut for any quantity, or marginal slices [up to this quantity, haircut], the last up to "rest"."""

    build: Callable[[tuple[tuple[float, float], ...]], Any]

    @property
    def allowed(self) -> str:
        return 'a haircut from 0 to 1, or slices [[up to quantity, haircut], ..., ["rest", haircut]]'

    def read(self, raw: Any, place: str) -> Any:
        if not isinstance(raw, list):
            if isinstance(raw, bool) or not isinstance(raw, int | float):
                raise InvalidRules(place, told(raw), self.allowed)
            return self.build(((inf, _fraction(raw, place)),))
        slices = []
        for k, item in enumerate(raw):
            if not isinstance(item, list) or len(item) != 2:
                raise InvalidRules(f"{place}[{k}]", told(item), self.allowed)
            if (k == len(raw) - 1) != (item[0] == "rest"):
                raise InvalidRules(f"{place}[{k}][0]", told(item[0]), '"rest" for the last slice and for no other')
            bound = inf if item[0] == "rest" else Number(least=0, open_least=True).read(item[0], f"{place}[{k}][0]")
            assert bound is not None, "a bound has no none"
            slices.append((bound, _fraction(item[1], f"{place}[{k}][1]")))
        if not slices:
            raise InvalidRules(place, "an empty list", self.allowed)
        try:
            return self.build(tuple(slices))
        except InputError as error:
            raise _moved(error, place + error.where[error.where.index("[") :]) from None


def _fraction(raw: Any, place: str) -> float:
    number = FRACTION.read(raw, place)
    assert number is not None, "a fraction has no none"
    return number


def _moved(error: InputError, where: str) -> InvalidRules:
    return InvalidRules(where, error.found, error.allowed, error.hint)
