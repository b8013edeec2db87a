"""Daily closes from an inline table or a file: date, underlying, close."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date
from pathlib import Path

from crossmargin.errors import InvalidMarket, nearest
from crossmargin.files.numbers import found, number
from crossmargin.files.terms import checked_day, checked_name
from crossmargin.market import History

COLUMNS = ("date", "underlying", "close")
_FORMS = "a file name; rows of date, underlying, close; those three columns; or {underlying: {date: close}}"


def history_of(value: object, place: str) -> History:
    """Return the closes of an inline table, in any of the forms a document takes."""
    if isinstance(value, list):
        for k, row in enumerate(value):
            if not isinstance(row, dict):
                raise InvalidMarket(f"{place}[{k}]", found(row), "an object with date, underlying, close")
            _check_fields(row, f"{place}[{k}]")
        rows = [(row["date"], row["underlying"], row["close"]) for row in value]
        return _history(rows, lambda k, name: f"{place}[{k}].{name}")
    if not isinstance(value, dict):
        raise InvalidMarket(place, found(value), _FORMS)
    if value and all(isinstance(column, list) for column in value.values()):
        _check_fields(value, place)
        lengths = {len(column) for column in value.values()}
        if len(lengths) != 1:
            raise InvalidMarket(place, f"columns of {' and '.join(map(str, sorted(lengths)))}", "columns of one length")
        return _history(
            list(zip(*(value[name] for name in COLUMNS), strict=True)), lambda k, name: f"{place}.{name}[{k}]"
        )
    series: list[tuple[object, object, object]] = []
    for name, closes in value.items():
        if not isinstance(closes, dict):
            raise InvalidMarket(f"{place}.{name}", found(closes), _FORMS)
        series.extend((day, name, close) for day, close in closes.items())
    return _history(series, lambda k, name: f"{place}.{series[k][1]}.{series[k][0]}")


def read_history(path: Path) -> History:
    """Return the closes of a CSV or Parquet file."""
    from crossmargin.files.tables import read_table

    table = read_table(path, COLUMNS, required=COLUMNS, error=InvalidMarket)
    return _history(list(zip(*(table.plain(name) for name in COLUMNS), strict=True)), table.place)


def _check_fields(row: dict[str, object], place: str) -> None:
    for name in row:
        if name not in COLUMNS:
            raise InvalidMarket(f"{place}.{name}", "an unknown field", ", ".join(COLUMNS), nearest(name, COLUMNS))
    for name in COLUMNS:
        if name not in row:
            raise InvalidMarket(f"{place}.{name}", "nothing", f"{name}: it is required")


def _history(rows: Sequence[tuple[object, object, object]], place: Callable[[int, str], str]) -> History:
    table: dict[str, dict[date, float]] = {}
    for k, (text, name, close) in enumerate(rows):
        if not isinstance(name, str):
            raise InvalidMarket(place(k, "underlying"), found(name), "text")
        checked_name(name, place(k, "underlying"), error=InvalidMarket)
        day = checked_day(text, place(k, "date"))
        series = table.setdefault(name, {})
        if day in series:
            raise InvalidMarket(place(k, "date"), f"{name} on {day} a second time", "one close a day")
        series[day] = number(close, place(k, "close"), error=InvalidMarket)
    return History.of(table)
