"""Full passes and ticks: the worst loss of every (account, group), summed account by account.

Letters: W = registers of eight scenarios in a block, B = blocks, K = instruments. A packed risk table is losses of
one long contract, (B, K, 8 W): instruments by group, a group's rows of one block side by side. An account's total is
the sum of its groups' worst losses, each 0 or more, by rising group number from 0.0: one order, whichever kernel adds.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from crossmargin.revaluation.layout import ACCOUNTS, INLINE, KEPT, TILE, Layout
from crossmargin.revaluation.vectors import inlined, prefetch, uncounted, worst_of
from crossmargin.units import Array, FloatArray, IntArray

Width = tuple[int, ...]


_1, _2, _3, _4, _5, _6, _7, _8 = ((0,) * n for n in range(1, 9))
"""Lengths of segments that the compiler shall know: it then writes their loop out."""


_CHUNK = 1024
"""Segments whose worst loss so far is kept while blocks of scenarios pass: few enough for the first-level cache."""


_AHEAD = 128
"""Quantities fetched before they are needed: runs are too short for the processor to guess their order alone."""


_FETCHED = 12
"""Segments whose slots and accounts are fetched before they are needed; a pool ends with more room than that."""


@uncounted
def _add_run(
    width: Width,
    length: Any,
    step: int,
    instrument: Array,
    quantity: FloatArray,
    position: int,
    owner: Array,
    losses: FloatArray,
    row: int,
    worst: FloatArray,
    total: FloatArray,
) -> None:
    """Add the worst loss of each segment of a run to its owner's total; `worst` is (_CHUNK,) zeros and stays so.

    With many blocks, a chunk of segments meets one block after another: the group's rows of a block stay in the cache.
    """
    blocks = losses.shape[0]
    last = losses[blocks - 1, row:]
    if blocks == 1:
        at = position
        for k in range(len(owner)):
            prefetch(quantity, at + _AHEAD)
            total[owner[k]] += max(worst_of(width, last, 0, instrument, quantity, at, length), 0.0)
            at += step
        return
    for low in range(0, len(owner), _CHUNK):
        chunk = owner[low : low + _CHUNK]
        first = position + low * step
        for b in range(blocks - 1):
            at, block = first, losses[b, row:]
            for k in range(len(chunk)):
                worst[k] = max(worst_of(width, block, 0, instrument, quantity, at, length), worst[k])
                at += step
        at = first
        for k in range(len(chunk)):
            total[chunk[k]] += max(worst_of(width, last, 0, instrument, quantity, at, length), worst[k])
            at += step
        worst[:] = 0.0


@njit(cache=True, nogil=True)
def add_worst_losses(
    width: Width, book: Layout, losses: FloatArray, group_row: IntArray, low: int, high: int, total: FloatArray
) -> None:
    """Add the worst loss of every segment of tiles low to high to its account's `total` (accounts,), zeros before.

    group_row (G + 1,): a group's first row of `losses`.
    """
    groups, _, kinds = book.runs.shape
    i, q = book.instrument, book.quantity
    worst = np.zeros(_CHUNK)
    for t in range(low, high):
        of_tile = total[t * TILE :]
        for g in range(groups):
            row = group_row[g]
            for c in range(kinds):
                run = book.runs[g, t, c]
                if run.count == 0:
                    continue
                p, owner = run.position, book.owner[run.segment : run.segment + run.count]
                # One branch a length: in each, the length is part of a type, and its loop is written out.
                if c == 0:
                    _add_run(width, _1, 1, i, q, p, owner, losses, row, worst, of_tile)
                elif c == 1:
                    _add_run(width, _2, 2, i, q, p, owner, losses, row, worst, of_tile)
                elif c == 2:
                    _add_run(width, _3, 3, i, q, p, owner, losses, row, worst, of_tile)
                elif c == 3:
                    _add_run(width, _4, 4, i, q, p, owner, losses, row, worst, of_tile)
                elif c == 4:
                    _add_run(width, _5, 5, i, q, p, owner, losses, row, worst, of_tile)
                elif c == 5:
                    _add_run(width, _6, 6, i, q, p, owner, losses, row, worst, of_tile)
                elif c == 6:
                    _add_run(width, _7, 7, i, q, p, owner, losses, row, worst, of_tile)
                elif c == 7:
                    _add_run(width, _8, 8, i, q, p, owner, losses, row, worst, of_tile)
                else:
                    _add_run(width, book.lengths[c], book.lengths[c], i, q, p, owner, losses, row, worst, of_tile)


@inlined
def worst_of_segment(
    width: Width, length: Any, instrument: Array, quantity: FloatArray, at: int, losses: FloatArray, row: int
) -> float:
    """Return the worst loss of one segment over all blocks, 0 or more."""
    blocks, rows, _ = losses.shape
    worst = 0.0
    for b in range(blocks):
        worst = max(worst_of(width, losses, row + b * rows, instrument, quantity, at, length), worst)
    return worst


@uncounted
def _keep_run(
    width: Width,
    length: Any,
    step: int,
    book: Layout,
    position: int,
    segment: int,
    count: int,
    account: int,
    losses: FloatArray,
    row: int,
    add: bool,
) -> None:
    """Keep the worst loss of each segment of a run in its slot; with `add`, sum the slots of its owner anew."""
    # Slices, and owners that have no sign: nothing then asks whether a place is counted from the end.
    accounts, kept_of, owner, number = (
        book.accounts[account:],
        book.kept[account:],
        book.owner[segment:],
        book.number[segment:],
    )
    at = position
    for s in range(count):
        prefetch(accounts, owner[s + _FETCHED])
        worst = worst_of_segment(width, length, book.instrument, book.quantity, at, losses, row)
        at += step
        of = owner[s]
        if accounts[of].groups <= INLINE:
            kept_of[of, KEPT + number[s]] = worst
            if add:
                total = 0.0
                for j in range(INLINE):
                    total += kept_of[of, KEPT + j]
                accounts[of].total = total
        else:
            keep(book, account + of, number[s], worst)
            if add:
                accounts[of].total = total_with(book, account + of, number[s], worst)


@inlined
def keep(book: Layout, a: int, number: int, worst: float) -> None:
    """Keep the worst loss of an account's slot."""
    if number < INLINE:
        book.kept[a, KEPT + number] = worst
    else:
        book.spilled[_spilled(book, a, number)] = worst


@inlined
def kept(book: Layout, a: int, number: int) -> float:
    """Return the worst loss kept for an account's slot."""
    worst: float = book.kept[a, KEPT + number] if number < INLINE else book.spilled[_spilled(book, a, number)]
    return worst


@inlined
def _spilled(book: Layout, a: int, number: int) -> int:
    return int(book.accounts[a].row) + int(book.accounts[a].room) + INLINE - 1 - number


@inlined
def total_with(book: Layout, a: int, number: int, worst: float) -> float:
    """Return an account's total if its slot `number` kept `worst`; -1 for none: what is kept, summed.

    Slots not in use keep 0.0, so most accounts are a sum of one length.
    """
    total = 0.0
    for j in range(INLINE):
        total += worst if j == number else book.kept[a, KEPT + j]
    for j in range(INLINE, book.accounts[a].groups):
        total += worst if j == number else book.spilled[_spilled(book, a, j)]
    return total


@njit(cache=True, nogil=True)
def keep_worst_losses(
    width: Width,
    book: Layout,
    losses: FloatArray,
    group_row: IntArray,
    first_group: int,
    end_group: int,
    low: int,
    high: int,
) -> None:
    """Keep the worst losses of groups first_group to end_group in tiles low to high, and sum their owners' slots."""
    kinds = book.runs.shape[2]
    whole = end_group - first_group == book.runs.shape[0]
    for t in range(low, high):
        for g in range(first_group, end_group):
            row = group_row[g]
            for c in range(kinds):
                run = book.runs[g, t, c]
                n = run.count
                if n == 0:
                    continue
                p, s, a = run.position, run.segment, t * TILE
                if c == 0:
                    _keep_run(width, _1, 1, book, p, s, n, a, losses, row, not whole)
                elif c == 1:
                    _keep_run(width, _2, 2, book, p, s, n, a, losses, row, not whole)
                elif c == 2:
                    _keep_run(width, _3, 3, book, p, s, n, a, losses, row, not whole)
                elif c == 3:
                    _keep_run(width, _4, 4, book, p, s, n, a, losses, row, not whole)
                else:
                    _keep_run(width, book.lengths[c], book.lengths[c], book, p, s, n, a, losses, row, not whole)
        if whole:
            for a in range(t * TILE, min((t + 1) * TILE, book.used[ACCOUNTS])):
                book.accounts[a].total = total_with(book, a, -1, 0.0)
