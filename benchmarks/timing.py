"""Interleaved timing: ours and the peer in one run, so that the machine's mood falls on both.

Where work runs on one thread its processor time is taken, which another process beside it does not lengthen; on
several threads it is the time that passes.
"""

import time
from collections.abc import Callable
from statistics import median
from typing import TypedDict

from crossmargin.threads import threads


class Row(TypedDict):
    """One line of `benchmarks/latest.json`; None where it does not apply."""

    name: str
    ours_ms: float
    peer: str | None
    peer_ms: float | None
    ratio: float | None
    floor_ms: float | None
    over_floor: float | None
    size: int
    threads: int
    dtype: str
    exponent: float | None


def interleaved(work: dict[str, Callable[[], object]], rounds: int = 15) -> dict[str, float]:
    """Return each function's median time in milliseconds; one untimed call each, then round after round of all."""
    times: dict[str, list[float]] = {name: [] for name in work}
    clock = time.process_time if threads() == 1 else time.perf_counter
    for function in work.values():
        function()
    for _ in range(rounds):
        for name, function in work.items():
            start = clock()
            function()
            times[name].append(1e3 * (clock() - start))
    return {name: median(values) for name, values in times.items()}


def row(
    name: str,
    *,
    ours_ms: float,
    size: int,
    peer: str | None = None,
    peer_ms: float | None = None,
    floor_ms: float | None = None,
    threads: int = 1,
    dtype: str = "float64",
    exponent: float | None = None,
) -> Row:
    """Return a row; `ratio` is how many times longer the peer takes, `over_floor` how far ours is above its floor.

    Nothing is faster than its floor: that would be a limit measured wrongly.
    """
    assert floor_ms is None or ours_ms >= floor_ms, f"{name}: {ours_ms} ms is below the floor of {floor_ms} ms"
    return Row(
        name=name,
        ours_ms=ours_ms,
        peer=peer,
        peer_ms=peer_ms,
        ratio=None if peer_ms is None else peer_ms / ours_ms,
        floor_ms=floor_ms,
        over_floor=None if floor_ms is None else ours_ms / floor_ms,
        size=size,
        threads=threads,
        dtype=dtype,
        exponent=exponent,
    )
