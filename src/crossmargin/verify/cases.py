"""Case files: JSON lists of golden cases, each with where it comes from and how near the answer must be."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossmargin.errors import InvalidFile, nearest

KEYS = ("expected", "id", "inputs", "model", "note", "source", "tolerance", "unit")
"""Keys of a case. Any other is a remark, unless it looks like one of these misspelt."""


class Absent:
    """What a case has where it expects nothing; its answer is computed and compared with nothing."""

    def __repr__(self) -> str:
        return "absent"


ABSENT = Absent()


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One golden case, as it stands in its file."""

    place: str
    """File and case, for errors."""
    id: str
    model: str
    inputs: Mapping[str, object]
    expected: object = ABSENT
    tolerance: object = ABSENT
    source: str = ""


def read_cases(path: Path) -> list[Case]:
    """Return the cases of one file; raise InvalidFile, naming the file and the case, where it is not a list of them."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise InvalidFile(str(path), error.strerror or "an unreadable file", "a JSON file of golden cases") from None
    except UnicodeDecodeError as error:
        raise InvalidFile(str(path), f"bytes that are not UTF-8 at {error.start}", "a JSON file") from None
    try:
        content = json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        raise InvalidFile(f"{path}, line {error.lineno}, column {error.colno}", error.msg, "JSON") from None
    except _DuplicateKeyError as error:
        raise InvalidFile(str(path), f"the key {error} twice in one object", "each key once") from None
    except RecursionError:
        raise InvalidFile(str(path), "lists or objects nested too deep", "golden cases") from None
    except ValueError:
        # The only other thing that text may hold and Python will not read: a whole number of thousands of digits.
        raise InvalidFile(str(path), "a whole number of too many digits", "numbers that fit a float") from None
    if not isinstance(content, list):
        raise InvalidFile(str(path), _kind(content), "a list of cases")
    cases = [_case(path, number, item) for number, item in enumerate(content)]
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise InvalidFile(case.place, "two cases of that id", "one")
        seen.add(case.id)
    return cases


def _case(path: Path, number: int, item: object) -> Case:
    place = f"{path}[{number}]"
    if not isinstance(item, dict):
        raise InvalidFile(place, _kind(item), "an object with id, source, model, inputs, expected, tolerance")
    if isinstance(item.get("id"), str):
        place = f"{path}, case {item['id']}"
    for key in item.keys() - set(KEYS):
        if hint := nearest(key, KEYS):
            raise InvalidFile(f"{place}, {key}", "an unknown key", ", ".join(KEYS), hint)
    for key in ("id", "model"):
        if not (isinstance(item.get(key), str) and item[key]):
            found = _kind(item[key]) if key in item else "nothing"
            raise InvalidFile(f"{place}, {key}", found, "a name")
    if not isinstance(item.get("inputs"), dict):
        found = _kind(item["inputs"]) if "inputs" in item else "nothing"
        raise InvalidFile(f"{place}, inputs", found, "an object")
    if not isinstance(item.get("source", ""), str):
        raise InvalidFile(f"{place}, source", _kind(item["source"]), "text")
    return Case(
        place=place,
        id=item["id"],
        model=item["model"],
        inputs=item["inputs"],
        expected=item.get("expected", ABSENT),
        tolerance=item.get("tolerance", ABSENT),
        source=item.get("source", ""),
    )


class _DuplicateKeyError(Exception):
    """A key that stands twice in one object."""


def _object(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise _DuplicateKeyError(repr(next(name for name in names if names.count(name) > 1)))
    return found


def _kind(value: object) -> str:
    """Return what a JSON value is, in words."""
    if value is None:
        return "null"
    kinds = {dict: "an object", list: "a list", str: "text", bool: "a boolean", int: "a number", float: "a number"}
    return "an empty text" if value == "" else kinds.get(type(value), type(value).__name__)
