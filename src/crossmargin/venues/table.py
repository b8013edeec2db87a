"""CSV cells read strictly: every error names the file, the row and the column."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite
from pathlib import Path

from crossmargin.errors import InvalidFile

_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table. `cells` are by column name; an empty one is absent."""

    file: str
    line: int
    """Line of the file, from 1."""
    cells: dict[str, str]

    def refuse(self, column: str, found: str, allowed: str) -> InvalidFile:
        """Return the error for one cell of this row."""
        return InvalidFile(f"{self.file}, row {self.line}, column {column}", found, allowed)

    def text(self, column: str) -> str:
        """Return a cell that must not be empty."""
        if not self.cells[column]:
            raise self.refuse(column, "nothing", "a value")
        return self.cells[column]

    def number(self, column: str, *, least: float | None = None, above: float | None = None) -> float:
        """Return a cell as a finite number within its bounds."""
        allowed = "a number" if least is None else f"a number, {least:g} or more"
        allowed = allowed if above is None else f"a number above {above:g}"
        text = self.cells[column]
        number = float(text) if _NUMBER.fullmatch(text) else None
        if number is None or not isfinite(number):
            raise self.refuse(column, repr(text) if text else "nothing", allowed)
        if (least is not None and number < least) or (above is not None and number <= above):
            raise self.refuse(column, text, allowed)
        return number

    def number_or_none(self, column: str, *, least: float | None = None) -> float | None:
        """Return a cell as a number, or None where it is empty."""
        return self.number(column, least=least) if self.cells[column] else None


def read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return every line that is not blank as its number and its cells; raise InvalidFile where it is no text."""
    try:
        # utf-8-sig: spreadsheet programs write a byte order mark.
        with path.open(encoding="utf-8-sig", newline="") as stream:
            reader = csv.reader(stream, strict=True)
            return [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if cells]
    except OSError as error:
        raise InvalidFile(str(path), error.strerror or "no access", "a readable file") from None
    except UnicodeDecodeError as error:
        raise InvalidFile(str(path), f"bytes that are no text, from byte {error.start}", "CSV in UTF-8") from None
    except csv.Error as error:
        raise InvalidFile(f"{path}, row {reader.line_num}", str(error), "comma-separated values") from None


def rows_of(path: Path, columns: Sequence[str], lines: list[tuple[int, list[str]]]) -> list[Row]:
    """Return `lines` as rows of `columns`; raise InvalidFile for a line with more or fewer cells."""
    rows = []
    for line, cells in lines:
        if len(cells) != len(columns):
            missing = f", the first missing is {columns[len(cells)]}" if len(cells) < len(columns) else ""
            raise InvalidFile(f"{path.name}, row {line}", f"{len(cells)} cells{missing}", f"{len(columns)} cells")
        rows.append(Row(path.name, line, dict(zip(columns, cells, strict=True))))
    return rows
