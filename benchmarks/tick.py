"""One group moves: only the accounts that hold it are computed anew.

A million accounts; what the group is held by is drawn, the rest of their positions is elsewhere. There is no peer:
the measure is proportionality. The exponent of a row is that between it and 30%: 1 is proportional, less means that
what a call costs before it looks at any position counts. Size is the number of affected positions.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial
from math import log

import numpy as np

from benchmarks.limits import Limits
from benchmarks.live_books import GROUPS, Positions, positions, risk_table
from benchmarks.timing import Row, interleaved, row
from crossmargin.revaluation import LiveBook

ACCOUNTS = 1_000_000
SCENARIOS = 16
HELD = {"30pct": 0.3, "1pct": 0.01, "0.01pct": 0.0001}


def rows() -> Iterator[Row]:
    """Yield tick-30pct, tick-1pct and tick-0.01pct, on one thread."""
    os.environ["CROSSMARGIN_THREADS"] = "1"
    held, affected, accounts = _with_ticking_groups(positions(ACCOUNTS))
    book, risk, limits = held.book(), risk_table(len(held.group), SCENARIOS), Limits(1)
    book.set_risk(risk)
    work: dict[str, Callable[[], object]] = {
        name: partial(_moved, book, GROUPS + k, risk[held.group == GROUPS + k], np.array([1.0]))
        for k, name in enumerate(HELD)
    }
    ms = interleaved(work | limits.work(), 51)
    # Every group was moved an even number of times: 1 untimed and 51 timed, so it stands where it began.
    assert np.array_equal(book.totals, book.worst_losses(risk))
    for name in HELD:
        yield row(
            f"tick-{name}",
            ours_ms=ms[name],
            floor_ms=limits.floor_ms(
                bytes_touched=10.0 * affected[name] + (2 + 4 + 64 + 32) * accounts[name],
                flops=2.0 * affected[name] * SCENARIOS,
            ),
            size=affected[name],
            exponent=log(ms["30pct"] / ms[name]) / log(affected["30pct"] / affected[name]) if name != "30pct" else None,
        )


def _moved(book: LiveBook, group: int, rows: np.ndarray, sign: np.ndarray) -> None:
    """Move a group there and back in turn, so that every tick changes what is kept."""
    sign *= -1.0
    book.tick(group, rows * sign)


def _with_ticking_groups(held: Positions) -> tuple[Positions, dict[str, int], dict[str, int]]:
    """Return the book with three more groups, held as HELD says, and the positions and accounts in each."""
    rng = np.random.default_rng(11)
    size = len(held.group) // GROUPS
    instruments = len(held.group)
    account = [np.repeat(np.arange(held.accounts), np.diff(held.start))]
    instrument, affected, accounts = [held.instrument], {}, {}
    for k, (name, share) in enumerate(HELD.items()):
        chosen = np.sort(rng.choice(held.accounts, int(share * held.accounts), replace=False))
        of = np.repeat(chosen, 1 + rng.poisson(2.6, len(chosen)))
        key = np.unique(of * size + rng.integers(0, size, len(of)))
        account.append(key // size)
        instrument.append(instruments + k * size + key % size)
        affected[name], accounts[name] = len(key), len(chosen)
    of, what = np.concatenate(account), np.concatenate(instrument)
    order = np.lexsort((what, of))
    quantity = np.append(held.quantity, rng.integers(1, 50, len(of) - len(held.quantity)).astype(float))
    return (
        Positions(
            start=np.searchsorted(of[order], np.arange(held.accounts + 1)),
            instrument=what[order],
            quantity=quantity[order],
            group=np.append(held.group, GROUPS + np.repeat(np.arange(len(HELD)), size)),
        ),
        affected,
        accounts,
    )
