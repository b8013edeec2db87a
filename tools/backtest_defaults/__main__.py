"""`python -m tools.backtest_defaults`: run the backtest and write its page."""

import argparse
import os
import pickle
import sys
import time
from pathlib import Path

# Windows are shared out among processes; threads inside them would only be in each other's way.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from tools.backtest_defaults import page, run
from tools.backtest_defaults.series import MissingData


def main():
    """Run every panel and write docs/explanation/backtest.md with its plots; 2 where data are missing."""
    asked = argparse.ArgumentParser(prog="python -m tools.backtest_defaults", description=__doc__)
    asked.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (all processors)")
    asked.add_argument("--keep", type=Path, help="a file that keeps what was found, read instead of running if there")
    options = asked.parse_args()
    console = Console(stderr=True)
    started = time.monotonic()
    try:
        found = _kept(options.keep) or _run(options.jobs, console)
    except MissingData as error:
        console.print(str(error), style="red", highlight=False)
        return 2
    if options.keep:
        options.keep.write_bytes(pickle.dumps(found))
    for path in page.write(*found):
        console.print(f"wrote {path}", highlight=False)
    console.print(f"in {time.monotonic() - started:.0f} s")
    return 0


def _kept(path):
    return pickle.loads(path.read_bytes()) if path and path.is_file() else None


def _run(jobs, console):
    columns = (
        TextColumn("margining windows"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=None)
        found = run.run(run.names(), jobs, lambda done, total: bar.update(task, completed=done, total=total))
    return found, page.days(run.one_window)


if __name__ == "__main__":
    sys.exit(main())
