"""Time every path, print a table and write `benchmarks/latest.json`: `make bench`, or `python -m benchmarks iv`."""

import importlib
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.timing import Row

FOLDER = Path(__file__).parent
NOT_A_PATH = ("__init__", "__main__", "limits", "live_books", "timing")


def main(wanted: list[str]) -> None:
    """Run each file of this folder that has `rows()`; keep the rows whose name starts with one of `wanted`."""
    measured: list[Row] = []
    for file in sorted(FOLDER.glob("*.py")):
        if file.stem not in NOT_A_PATH:
            measured.extend(importlib.import_module(f"benchmarks.{file.stem}").rows())
    chosen = [row for row in measured if not wanted or row["name"].startswith(tuple(wanted))]
    _print(chosen)
    if not wanted:
        (FOLDER / "latest.json").write_text(json.dumps(chosen, indent=1) + "\n")


def _print(rows: list[Row]) -> None:
    table = Table("name", "size", "threads", "ours ms", "ns each", "peer", "peer ms", "peer / ours", "over floor")
    for row in rows:
        table.add_row(
            row["name"],
            f"{row['size']:,}",
            str(row["threads"]),
            f"{row['ours_ms']:.3f}",
            f"{1e6 * row['ours_ms'] / row['size']:.1f}",
            row["peer"] or "",
            _number(row["peer_ms"], 3),
            _number(row["ratio"], 2),
            _number(row["over_floor"], 2),
        )
    Console().print(table)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main(sys.argv[1:])
