"""Time every path, print a table and write `benchmarks/latest.json`: `make bench`.

`python -m benchmarks --only iv` times the rows whose name begins so, and writes nothing.
"""

import argparse
import importlib
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.timing import Row

FOLDER = Path(__file__).parent
NOT_A_PATH = ("__init__", "__main__", "limits", "live_books", "timing")
TABLE_WIDTH = 170
NAMES = {
    "clearing": ("fills", "fills-journal", "orders", "orders-p50", "orders-p99"),
    "evaluate": ("evaluate-100k", "evaluate-tick"),
    "growth": ("growth-accounts", "growth-positions", "growth-scenarios", "growth-instruments"),
    "pricing": ("price-ndtr", "price-quantlib", "greeks", "iv", "portfolio-es-quantlib"),
    "revaluation": ("reval-s16", "reval-s33", "reval-s64", "reval-s500", "reval-s500-es"),
    "streaming": ("fills-check",),
    "tick": ("tick-30pct", "tick-1pct", "tick-0.01pct"),
}
"""Rows of each file, so that one row need not wait for all; a file that is not named here is run and told."""


def main(wanted: tuple[str, ...]) -> None:
    """Run the files that have a wanted row; keep the rows whose name is wanted or starts with it. None: all."""
    unknown = [name for name in wanted if not any(n.startswith(name) for names in NAMES.values() for n in names)]
    if unknown:
        known = ", ".join(name for names in NAMES.values() for name in names)
        sys.exit(f"--only {unknown[0]}: no such row; allowed: {known}")
    began, measured = time.monotonic(), []
    for row in _measured(wanted):
        against = "" if row["ratio"] is None else f", {row['ratio']:.2f} times as fast as {row['peer']}"
        print(f"{time.monotonic() - began:5.0f} s  {row['name']}: {row['ours_ms']:.3f} ms{against}", flush=True)
        measured.append(row)
    _print(measured)
    if not wanted:
        (FOLDER / "latest.json").write_text(json.dumps(measured, indent=1) + "\n")


def _measured(wanted: tuple[str, ...]) -> Iterator[Row]:
    for file in sorted(FOLDER.glob("*.py")):
        if file.stem in NOT_A_PATH:
            continue
        names = NAMES.get(file.stem, ())
        if wanted and not any(name.startswith(wanted) for name in names):
            continue
        before = dict(os.environ)
        for row in importlib.import_module(f"benchmarks.{file.stem}").rows():
            assert not names or row["name"] in names, f"{file.name}: {row['name']} is not in NAMES"
            if not wanted or row["name"].startswith(wanted):
                yield row
        # A file sets how many threads it wants; the next one begins anew.
        os.environ.clear()
        os.environ.update(before)


def _print(rows: list[Row]) -> None:
    columns = ("name", "size", "threads", "ours ms", "ns each", "peer", "peer ms", "peer / ours")
    table = Table(*columns, "floor ms", "over floor", "exponent")
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
            _number(row["floor_ms"], 3),
            _number(row["over_floor"], 2),
            _number(row["exponent"], 2),
        )
    console = Console()
    # What is no terminal has no width of its own.
    console.width = max(console.width, TABLE_WIDTH)
    console.print(table)


def _number(value: float | None, digits: int) -> str:
    return "" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--only", metavar="NAME", action="append", default=[], help="rows whose name starts with NAME")
    main(tuple(parser.parse_args().only))
