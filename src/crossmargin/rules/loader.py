"""Reading rule books: TOML in, `Rules` out, or an error with file, key, found and allowed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from importlib.resources import files
from typing import Any

from crossmargin.errors import InputError, InvalidRules, nearest
from crossmargin.rules.entry import Entry, ModelSchema
from crossmargin.rules.kinds import Choice, Table, told
from crossmargin.rules.lines import line_of, lines_of
from crossmargin.rules.models import MODELS
from crossmargin.rules.rules import OPTION_VALUES, Parameter, Rules, Value
from crossmargin.rules.schema import COMMON, haircut_policy
from crossmargin.units import NAME_LENGTH_MAX, iso_date

_HEAD = ("name", "version", "title", "model", "extends", "option_value", "source")
_ALWAYS = ("name", "version")
"""Heads that `extends` does not bring: a book that changes another is not that other."""
_PARTS = ("value", "unit", "source", "reason")
_LINE = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """One parameter as a book gives it, raw."""

    value: Any
    unit: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """A rule book as written, its shape checked; parameters come in layers, what it extends first."""

    head: Mapping[str, str]
    layers: Mapping[str, tuple[_Given, ...]]


def shipped() -> list[str]:
    """Return the names of the rule books that come with the library, in alphabetical order."""
    profiles = files(__package__) / "profiles"
    return sorted(entry.name.removesuffix(".toml") for entry in profiles.iterdir() if entry.name.endswith(".toml"))


@cache
def load(name: str) -> Rules:
    """Return a shipped rule book; raise InvalidRules naming the nearest for a name there is none of."""
    return parse(source_text(name), f"{name}.toml")


def source_text(name: str) -> str:
    """Return the TOML of a shipped rule book."""
    if name not in shipped():
        raise InvalidRules(
            "rule book",
            repr(name),
            f"{', '.join(shipped())}, or the path of a TOML file",
            nearest(name, shipped()),
        )
    return (files(__package__) / "profiles" / f"{name}.toml").read_text(encoding="utf-8")


def parse(text: str, where: str, *, models: Mapping[str, ModelSchema] | None = None) -> Rules:
    """Return the rule book of a TOML text; `where` names the file in errors.

    A book with `extends` starts from that shipped book: its own heads and parameters come before, tables by class,
    name or tier entry by entry. `models` are models of one's own that it may name, beside those of the library.
    Raises InvalidRules with line and key, what was found and what is allowed.
    """
    known = {**MODELS, **(models or {})}
    twice = MODELS.keys() & (models or {}).keys()
    if twice:
        raise InvalidRules("models", ", ".join(sorted(twice)), "names that the library has not taken")
    try:
        return _parsed(text, where, known)
    except InvalidRules as error:
        raise _with_line(error, text, where) from None


def _with_line(error: InputError, text: str, where: str) -> InputError:
    """Return the error with the line its key stands on, where the text has that key."""
    own = f"{where}: "
    line = line_of(error.where.removeprefix(own), lines_of(text)) if error.where.startswith(own) else None
    if line is None:
        return error
    place = f"{where}, line {line}: {error.where.removeprefix(own)}"
    return InvalidRules(place, error.found, error.allowed, error.hint)


def _parsed(text: str, where: str, models: Mapping[str, ModelSchema]) -> Rules:
    document = _document(text, where, models)
    head = document.head
    model = models[head["model"]]
    values: dict[str, Any] = {}
    parameters: list[Parameter] = []
    entries = (*model.entries, *COMMON)
    for entry in entries:
        layers = document.layers.get(entry.key)
        if layers is None:
            if entry.required:
                raise InvalidRules(
                    f"{where}: parameters", f"no {entry.key}", f"[parameters.{entry.key}]: {entry.meaning}"
                )
            continue
        values[entry.key] = entry.kind.read(_merged(entry, layers), f"{where}: parameters.{entry.key}.value")
        parameters.extend(_disclosed(entry, layers))
    try:
        built, haircuts = model.build(values), haircut_policy(values)
    except InputError as error:
        # Left are rules between parameters; the models' own names for those are the book's.
        raise InvalidRules(f"{where}: parameters.{error.where}", error.found, error.allowed, error.hint) from None
    return Rules(
        name=head["name"],
        version=head["version"],
        title=head["title"],
        model_name=head["model"],
        model=built,
        option_value=head["option_value"],
        call_level=values.get("call_level"),
        liquidation_buffer=values["liquidation_buffer"],
        haircuts=haircuts,
        credit=values["credit"],
        source=head["source"],
        parameters=tuple(parameters),
    )


def _document(text: str, where: str, models: Mapping[str, ModelSchema]) -> _Document:
    raw = _toml(text, where)
    given = raw.pop("parameters", {})
    head = {key: _head(key, value, f"{where}: {key}", models) for key, value in raw.items() if _known_head(key, where)}
    parent = None
    if "extends" in head:
        if head["extends"] not in shipped():
            raise InvalidRules(
                f"{where}: extends", repr(head["extends"]), ", ".join(shipped()), nearest(head["extends"], shipped())
            )
        parent = _document(source_text(head["extends"]), f"{head['extends']}.toml", models)
        if head.get("model", parent.head["model"]) != parent.head["model"]:
            raise InvalidRules(f"{where}: model", head["model"], f"{parent.head['model']}, of the book it extends")
    for key in _HEAD:
        inherited = parent is not None and key not in _ALWAYS
        if key != "extends" and key not in head and not inherited:
            raise InvalidRules(where, f"no {key}", f'a line {key} = "..."')
    if parent is not None:
        head = {**parent.head, **head}
    layers = dict(parent.layers) if parent is not None else {}
    for key, one in _given(given, head["model"], where, models):
        layers[key] = (*layers.get(key, ()), one)
    return _Document(head=head, layers=layers)


def _toml(text: str, where: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text.removeprefix("\ufeff"))
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        found = _LINE.search(message)
        line = found[1] if found and found[1] else text.count("\n") + 1
        what = _LINE.sub("", message)
        if "overwrite" in what or "twice" in what:
            raise InvalidRules(f"{where}, line {line}", f"a key given twice ({what})", "each key once") from None
        raise InvalidRules(f"{where}, line {line}", what, "TOML") from None
    except ValueError as error:
        # Python refuses to read integers of thousands of digits.
        raise InvalidRules(where, str(error), "numbers within the range of floats") from None
    except RecursionError:
        raise InvalidRules(where, "tables or lists nested beyond all reading", "a rule book") from None


def _known_head(key: str, where: str) -> bool:
    if key not in _HEAD:
        known = (*_HEAD, "parameters")
        raise InvalidRules(f"{where}: {key}", "an unknown key", ", ".join(known), nearest(key, known))
    return True


def _head(key: str, raw: Any, place: str, models: Mapping[str, ModelSchema]) -> str:
    if key == "version":
        allowed = "the day it is in force from, YYYY-MM-DD"
        if isinstance(raw, date) and not isinstance(raw, datetime):
            return raw.isoformat()
        if not isinstance(raw, str):
            raise InvalidRules(place, told(raw), allowed)
        try:
            return iso_date(raw).isoformat()
        except ValueError as error:
            raise InvalidRules(place, str(error), allowed) from None
    if key == "model":
        return Choice(tuple(models)).read(raw, place)
    if key == "option_value":
        return Choice(OPTION_VALUES).read(raw, place)
    return _text(raw, place)


def _text(raw: Any, place: str, longest: int = 2_000) -> str:
    if not isinstance(raw, str):
        raise InvalidRules(place, told(raw), "text")
    if not 0 < len(raw.strip()) <= longest:
        raise InvalidRules(place, f"{len(raw.strip())} characters", f"text of 1 to {longest}")
    return raw.strip()


def _given(raw: Any, model: str, where: str, models: Mapping[str, ModelSchema]) -> Iterator[tuple[str, _Given]]:
    """Yield each parameter of a book, its frame and unit checked; its value is checked once layers are merged."""
    if not isinstance(raw, dict):
        raise InvalidRules(f"{where}: parameters", told(raw), "tables [parameters.<key>]")
    known = {entry.key: entry for entry in (*models[model].entries, *COMMON)}
    for key, parts in raw.items():
        place = f"{where}: parameters.{key}"
        if key not in known:
            raise InvalidRules(place, "an unknown key", f"for {model}: {', '.join(known)}", nearest(key, known))
        if not isinstance(parts, dict):
            raise InvalidRules(place, told(parts), f"a table with {', '.join(_PARTS)}")
        for part in parts:
            if part not in _PARTS:
                raise InvalidRules(f"{place}.{part}", "an unknown key", ", ".join(_PARTS), nearest(part, _PARTS))
        for part in ("value", "unit", "source"):
            if part not in parts:
                allowed = f"unit = {known[key].unit!r}" if part == "unit" else f"a line {part} = ..."
                raise InvalidRules(place, f"no {part}", allowed)
        unit = _text(parts["unit"], f"{place}.unit", NAME_LENGTH_MAX)
        if unit != known[key].unit:
            raise InvalidRules(f"{place}.unit", repr(unit), repr(known[key].unit))
        kind = known[key].kind
        if isinstance(kind, Table):
            kind.check_keys(parts["value"], f"{place}.value")
        yield (
            key,
            _Given(
                value=parts["value"],
                unit=unit,
                source=_text(parts["source"], f"{place}.source"),
                reason=_text(parts["reason"], f"{place}.reason") if "reason" in parts else "",
            ),
        )


def _merged(entry: Entry, layers: tuple[_Given, ...]) -> Any:
    if isinstance(entry.kind, Table):
        return {key: value for layer in layers for key, value in layer.value.items()}
    return layers[-1].value


def _disclosed(entry: Entry, layers: tuple[_Given, ...]) -> list[Parameter]:
    if not isinstance(entry.kind, Table):
        return _flat(entry.key, layers[-1].value, layers[-1])
    latest = {key: layer for layer in layers for key in layer.value}
    return [line for key, layer in latest.items() for line in _flat(f"{entry.key}.{key}", layer.value[key], layer)]


def _flat(key: str, raw: Any, given: _Given) -> list[Parameter]:
    """Return the disclosed parameters of a raw value: one, or one an entry of a table; lists are one value."""
    if isinstance(raw, dict):
        return [line for name, value in raw.items() for line in _flat(f"{key}.{name}", value, given)]
    return [Parameter(key=key, value=_value(raw), unit=given.unit, source=given.source, reason=given.reason)]


def _value(raw: Any) -> Value:
    if isinstance(raw, dict):
        return tuple((name, _value(value)) for name, value in raw.items())
    if isinstance(raw, list):
        return tuple(_value(item) for item in raw)
    assert isinstance(raw, int | float | str), "checked when it was read"
    return raw
