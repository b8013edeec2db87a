"""Threads: run a kernel on parts of its rows side by side. No number depends on how many threads there are.

A kernel used here lets go of the interpreter's lock and writes each row by itself, so parts never meet.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from itertools import pairwise

from crossmargin.errors import InputError

__all__ = ["in_parts", "threads"]

_VARIABLE = "CROSSMARGIN_THREADS"
_PARTS_A_THREAD = 4
"""Rows cost unlike amounts: threads that are done early take another part."""


def threads() -> int:
    """Return how many threads kernels run on: the processors there are, or CROSSMARGIN_THREADS."""
    given = os.environ.get(_VARIABLE, "")
    if not given:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if not given.isdigit() or int(given) < 1:
        raise InputError(f"environment variable {_VARIABLE}", repr(given), "a whole number of threads, 1 or more")
    return int(given)


def in_parts(rows: int, run: Callable[[int, int], None], *, least: int) -> None:
    """Call `run(low, high)` on parts of `rows` that cover them once, of no fewer than `least` rows each."""
    workers = threads()
    parts = min(workers * _PARTS_A_THREAD, rows // max(1, least))
    if workers == 1 or parts <= 1:
        run(0, rows)
        return
    bounds = [rows * k // parts for k in range(parts + 1)]
    for done in [_pool(workers).submit(run, low, high) for low, high in pairwise(bounds)]:
        done.result()


@lru_cache(maxsize=4)
def _pool(workers: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(workers, thread_name_prefix="crossmargin")
