"""Entries with the place of each: `accounts[3].mode` in a document, `accounts.csv row 5, column mode` in a table."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from crossmargin.errors import InputError, InvalidBook, InvalidInstrument, InvalidMarket
from crossmargin.files.shape import Path, shaped, written

T = TypeVar("T")

_ERRORS: dict[str | int, type[InputError]] = {
    "assets": InvalidInstrument,
    "instruments": InvalidInstrument,
    "market": InvalidMarket,
}


@dataclass(frozen=True, slots=True)
class Entries(Generic[T]):
    """Entries of one section, and what to call the place of a field of one of them."""

    rows: Sequence[T]
    place: Callable[[int, str], str]
    """(row, field) -> place; an empty field is the whole entry."""

    def __iter__(self) -> Iterator[tuple[int, T]]:
        return iter(enumerate(self.rows))


def error_of(section: str | int) -> type[InputError]:
    """Return the kind of error for what is wrong in a section."""
    return _ERRORS.get(section, InvalidBook)


def document_of(value: object, kind: Any, label: str, *, error: type[InputError] | None = None) -> Any:
    """Return a document in its structs; `label` is the file it came from, `error` what its departures raise."""

    def refuse(path: Path, found: str, allowed: str, hint: str) -> InputError:
        kind_of_error = error or error_of(path[0] if path else "")
        return kind_of_error(f"{label}: {written(path)}", found, allowed, hint)

    return shaped(value, kind, refuse)


def section_of(rows: Sequence[T], label: str, section: str) -> Entries[T]:
    """Return the entries of a list in a document; `section` is empty where the list is the whole document."""

    def place(row: int, field: str) -> str:
        return f"{label}: {section}[{row}]{'.' if field else ''}{field}"

    return Entries(rows, place)
