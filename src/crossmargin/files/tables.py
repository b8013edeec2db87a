"""Tables: CSV read as text, Parquet and frames by their types, every cell that is refused named by row and column.

Rows of a CSV file are numbered as a spreadsheet shows them, the header being row 1; rows of a Parquet file from
1; rows of a frame from 0. An empty CSV cell, a null and an absent column say the same: nothing is stated.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from crossmargin.errors import InputError, InvalidBook, InvalidFile, nearest
from crossmargin.files.document import Entry
from crossmargin.files.entries import Entries
from crossmargin.files.numbers import DIGITS_MAX, GRAMMAR, number, out_of_range
from crossmargin.files.shape import Path as ShapePath
from crossmargin.files.shape import shaped
from crossmargin.files.syntax import parse_json, read_bytes, signature_of
from crossmargin.units import FloatArray, IntArray

if TYPE_CHECKING:
    import polars as pl

E = TypeVar("E", bound=Entry)

SUFFIXES = (".csv", ".parquet")
_BOOLEANS = {"true": True, "false": False, "True": True, "False": False, "TRUE": True, "FALSE": False}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """A table whose columns are fetched one at a time, so a big file is never whole in memory."""

    label: str
    columns: tuple[str, ...]
    height: int
    fetch: Callable[[str], pl.Series]
    first_row: int
    rows: IntArray | None = None
    """Row numbers as shown; None: counted from `first_row` without gaps."""
    error: type[InputError] = InvalidBook
    nan_is_absent: bool = False
    """True for frames that write a missing number as NaN."""

    def place(self, row: int, column: str) -> str:
        """Return what to call a cell, or the whole row where `column` is empty."""
        shown = row + self.first_row if self.rows is None else int(self.rows[row])
        return f"{self.label} row {shown}{', column ' if column else ''}{column}"

    def text(self, column: str, *, required: bool) -> pl.Series:
        """Return a column as text, null where nothing is stated, which `required` refuses."""
        import polars as pl

        if column not in self.columns:
            return pl.Series(column, [None], dtype=pl.String).new_from_index(0, self.height)
        series = self.fetch(column)
        if series.dtype != pl.String:
            if series.dtype not in (pl.Categorical, pl.Enum, pl.Null) and not series.dtype.is_integer():
                raise self.error(f"{self.label}, column {column}", f"a column of {series.dtype}", "text")
            series = series.cast(pl.String)
        if required and series.null_count():
            row = int(series.is_null().arg_max() or 0)
            raise self.error(self.place(row, column), "nothing", f"{column}: it is required")
        return series

    def numbers(self, column: str, *, required: bool) -> FloatArray:
        """Return a column of numbers, NaN where nothing is stated, which `required` refuses."""
        import polars as pl

        if column not in self.columns:
            return np.broadcast_to(np.nan, self.height)
        series = self.fetch(column)
        kind = series.dtype
        if kind in (pl.Categorical, pl.Enum) or kind.is_decimal():
            series = series.cast(pl.String)
        if series.dtype == pl.String:
            values = self._numbers_of_text(series, column)
        elif kind.is_integer() or kind.is_float() or kind == pl.Null:
            values = series.cast(pl.Float64).fill_null(np.nan).to_numpy()
            wrong = out_of_range(values) & (values != 0)
            absent = np.isnan(values) if self.nan_is_absent else series.is_null().to_numpy()
            if (wrong & ~absent).any():
                row = int(np.argmax(wrong & ~absent))
                number(float(values[row]), self.place(row, column), error=self.error)
        else:
            what = "a boolean" if kind == pl.Boolean else f"a column of {kind}"
            raise self.error(self.place(0, column), what, "a finite number")
        if required and np.isnan(values).any():
            row = int(np.argmax(np.isnan(values)))
            raise self.error(self.place(row, column), "nothing", f"{column}: it is required")
        return np.asarray(values + 0.0, dtype=np.float64)

    def _numbers_of_text(self, series: pl.Series, column: str) -> FloatArray:
        import polars as pl

        stated = series.is_not_null()
        doubtful = ~series.str.contains(GRAMMAR) | (series.str.len_bytes() > DIGITS_MAX)
        values = series.cast(pl.Float64, strict=False).fill_null(np.nan).to_numpy(writable=True)
        doubtful |= pl.Series(out_of_range(values))
        for row in (stated & doubtful.fill_null(True)).arg_true():
            values[row] = number(series[row], self.place(row, column), error=self.error)
        return values

    def entries(self, kind: type[E]) -> Entries[E]:
        """Return the rows as entries of a document; for sections that stay small."""
        columns = {name: self.plain(name) for name in self.columns}
        rows: list[E] = []
        for k in range(self.height):
            cells = {name: column[k] for name, column in columns.items() if column[k] is not None}
            rows.append(shaped(cells, kind, self._refusal(k)))
        return Entries(rows, self.place)

    def _refusal(self, row: int) -> Callable[[ShapePath, str, str, str], InputError]:
        def refuse(path: ShapePath, what: str, allowed: str, hint: str) -> InputError:
            return self.error(self.place(row, str(path[0]) if path else ""), what, allowed, hint)

        return refuse

    def plain(self, column: str) -> list[Any]:
        """Return a column as a document would have it: text, Decimal, bool, None."""
        values = self.fetch(column).to_list()
        if column in ("inverse", "halted", "reduce_only"):
            return [_BOOLEANS.get(value, value) if isinstance(value, str) else value for value in values]
        if column == "haircut":
            return [
                parse_json(value, self.place(k, column)) if isinstance(value, str) and value.startswith("[") else value
                for k, value in enumerate(values)
            ]
        return [self._cell(value) for value in values]

    def _cell(self, value: object) -> object:
        if isinstance(value, datetime | date):
            return value.isoformat().replace("+00:00", "Z")
        if isinstance(value, float) and self.nan_is_absent and value != value:
            return None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return Decimal(repr(value))
        return value


def read_table(
    path: Path, known: Sequence[str], *, required: Sequence[str], error: type[InputError] = InvalidBook
) -> Table:
    """Return the table of a CSV or Parquet file.

    Raises InvalidFile for a file that is not what its name says, is cut short or has rows of another width than its
    header; `error` for a column that is unknown, missing or there twice.
    """
    if path.suffix == ".parquet":
        return _read_parquet(path, known, required, error)
    return _read_csv(path, known, required, error)


def table_of(frame: Any, label: str, known: Sequence[str], *, required: Sequence[str]) -> Table:
    """Return the table of any frame narwhals knows: polars, pandas, pyarrow, a DuckDB relation."""
    import narwhals as nw

    try:
        native = nw.from_native(frame)
    except TypeError:
        raise InvalidBook(
            label, f"a {type(frame).__name__}", "a frame of polars, pandas, pyarrow, DuckDB or the like"
        ) from None
    eager = native.collect(backend="polars") if isinstance(native, nw.LazyFrame) else native
    _check_header(label, eager.columns, known, required, InvalidBook)
    polars_frame = _polars_of(eager)
    return Table(
        label=label,
        columns=tuple(polars_frame.columns),
        height=polars_frame.height,
        fetch=polars_frame.get_column,
        first_row=0,
        nan_is_absent=eager.implementation.is_pandas_like(),
    )


def _polars_of(frame: Any) -> pl.DataFrame:
    import polars as pl

    try:
        return frame.to_polars()  # type: ignore[no-any-return]
    except ModuleNotFoundError:  # pandas without pyarrow: column by column
        return pl.DataFrame({name: pl.Series(name, frame[name].to_list()) for name in frame.columns})


def _check_header(
    label: str, columns: Sequence[str], known: Sequence[str], required: Sequence[str], error: type[InputError]
) -> None:
    seen: set[str] = set()
    for name in columns:
        if name in seen:
            raise error(f"{label}, column {name}", "a column given twice", "each column once")
        seen.add(name)
        if name not in known:
            raise error(
                f"{label}, column {name}", "an unknown column", f"one of {', '.join(known)}", nearest(name, known)
            )
    for name in required:
        if name not in seen:
            raise error(
                f"{label}, column {name}", "nothing", f"{name}: it is required", f"the columns are {', '.join(columns)}"
            )


def _read_parquet(path: Path, known: Sequence[str], required: Sequence[str], error: type[InputError]) -> Table:
    import polars as pl

    label = str(path)
    _check_parquet(path)

    def scanned(query: Callable[[pl.LazyFrame], pl.DataFrame]) -> pl.DataFrame:
        try:
            return query(pl.scan_parquet(path, glob=False, hive_partitioning=False))
        except BaseException as cause:
            # polars panics, outside Exception, on some damaged files.
            if isinstance(cause, pl.exceptions.PolarsError | OSError) or type(cause).__name__ == "PanicException":
                raise InvalidFile(label, "a damaged Parquet file", "a whole Parquet file") from None
            raise

    columns = scanned(lambda frame: frame.head(0).collect()).columns
    _check_header(label, columns, known, required, error)
    height = int(scanned(lambda frame: frame.select(pl.len()).collect()).item())
    return Table(
        label=label,
        columns=tuple(columns),
        height=height,
        fetch=lambda name: scanned(lambda frame: frame.select(name).collect()).to_series(),
        first_row=1,
        error=error,
    )


def _check_parquet(path: Path) -> None:
    label, allowed = str(path), "a whole Parquet file"
    try:
        with path.open("rb") as file:
            start = file.read(16)
            size = file.seek(0, io.SEEK_END)
            file.seek(max(0, size - 4))
            end = file.read(4)
    except OSError as cause:
        raise InvalidFile(label, cause.strerror or type(cause).__name__, "a file that can be read") from None
    if not size:
        raise InvalidFile(label, "an empty file", allowed)
    if not start.startswith(b"PAR1"):
        raise InvalidFile(label, signature_of(start) or "a file that does not begin as Parquet", allowed)
    if end != b"PAR1" or size < 12:
        raise InvalidFile(label, "a Parquet file cut short: its end is missing", allowed)


def _read_csv(path: Path, known: Sequence[str], required: Sequence[str], error: type[InputError]) -> Table:
    import polars as pl

    label = str(path)
    content = read_bytes(path).removeprefix(b"\xef\xbb\xbf")
    signature = signature_of(content)
    if signature:
        raise InvalidFile(label, signature, "a CSV file")
    if not content.strip():
        raise InvalidFile(label, "an empty file", "a CSV file with a header")
    if content.lstrip()[:1] in (b"{", b"["):
        raise InvalidFile(label, "what looks like JSON", "a CSV file with a header")
    header = _header(content, label)
    _check_header(label, header, known, required, error)
    try:
        frame = pl.read_csv(content, infer_schema=False, new_columns=list(header), null_values=[""], glob=False)
    except pl.exceptions.PolarsError as cause:
        _check_rows(content, label, len(header))
        raise InvalidFile(label, "text that is not CSV", f"a CSV file ({str(cause).splitlines()[0]})") from None
    if b'"' in content or content.count(b",") != (frame.height + 1) * (len(header) - 1):
        _check_rows(content, label, len(header))
    del content
    blank = frame.select(pl.all_horizontal(pl.all().is_null())).to_series()
    rows = None
    if blank.any():
        rows = np.flatnonzero(~blank.to_numpy()) + 2
        frame = frame.filter(~blank)
    return Table(
        label=label,
        columns=tuple(header),
        height=frame.height,
        fetch=frame.get_column,
        first_row=2,
        rows=rows,
        error=error,
    )


def _header(content: bytes, label: str) -> list[str]:
    line = content[: content.find(b"\n")] if b"\n" in content else content
    try:
        return next(csv.reader([line.decode("utf-8").rstrip("\r")]))
    except UnicodeDecodeError:
        raise InvalidFile(f"{label} row 1", "bytes that are not UTF-8", "UTF-8 text") from None


def _check_rows(content: bytes, label: str, width: int) -> None:
    """Refuse the first row of another width than the header, or with bytes or quotes that cannot be."""
    lines = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8", errors="surrogateescape", newline="")
    reader = csv.reader(lines, strict=True)
    row = 0
    try:
        for row, cells in enumerate(reader, start=1):
            if any("\udc80" <= char <= "\udcff" for cell in cells for char in cell):
                raise InvalidFile(f"{label} row {row}", "bytes that are not UTF-8", "UTF-8 text")
            if cells and len(cells) != width:
                what = "too many" if len(cells) > width else "too few"
                raise InvalidFile(
                    f"{label} row {row}",
                    f"{len(cells)} cells, {what}",
                    f"{width}, as the header has",
                    "a cell with a comma in it is written in quotes",
                )
    except csv.Error as cause:
        raise InvalidFile(f"{label} row {row + 1}", f"quotes that do not close ({cause})", "a CSV file") from None
