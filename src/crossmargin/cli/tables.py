"""Accounts as rows: in what order, and into which file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from crossmargin.cli.console import note
from crossmargin.errors import InputError, InvalidFile, nearest

Entry = dict[str, Any]

_SCALARS = (str, int, float, bool, type(None))


def flattened(entry: Entry) -> Entry:
    """Return the scalars of an account; those of the worst scenario by a dotted name."""
    worst = entry["worst_scenario"] or {}
    flat = {name: value for name, value in entry.items() if isinstance(value, _SCALARS) and name != "worst_scenario"}
    return {**flat, **{f"worst_scenario.{name}": worst.get(name) for name in ("id", "loss")}}


def sort_by(document: Entry, field: str) -> None:
    """Put accounts and pools in the order of a field: numbers from the largest, text from A; absent ones last."""
    for section in ("accounts", "pools"):
        rows = [(flattened(entry), entry) for entry in document[section]]
        for flat, entry in rows:
            if field not in flat:
                known = [name for name in flat if field != name]
                raise InputError("--sort", repr(field), ", ".join(known), nearest(field, known))
            assert entry["id"] == flat["id"]
        texts = any(isinstance(flat[field], str) for flat, _ in rows)
        there = [row for row in rows if row[0][field] is not None]
        absent = [row for row in rows if row[0][field] is None]
        there.sort(key=lambda row: row[0][field], reverse=not texts)
        document[section] = [entry for _, entry in (*there, *absent)]


def write_table(accounts: list[Entry], path: str, kind: str) -> None:
    """Write accounts as CSV or Parquet, one row each, and say so on stderr."""
    import polars as pl

    if path == "-":
        raise InvalidFile(f"--{kind}", "-", "a file; stdout has the table, or the document of --json")
    rows = [flattened(account) for account in accounts]
    # A column without a single number is still a column of numbers, except where it is known to be text.
    texts = {"id", "owner", "pool", "status", "worst_scenario.id"}
    frame = pl.DataFrame(
        {
            name: pl.Series(name, [row[name] for row in rows], dtype=pl.String if name in texts else pl.Float64)
            for name in (rows[0] if rows else ())
        }
    )
    try:
        if kind == "csv":
            frame.write_csv(path)
        else:
            frame.write_parquet(path)
    except OSError as error:
        raise InvalidFile(str(Path(path)), error.strerror or str(error), "a place that can be written to") from None
    note(f"wrote {len(rows)} accounts to {path}")
