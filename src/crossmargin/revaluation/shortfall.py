"""Expected shortfall of whole accounts: all positions of an account under one joint history.

Accounts are taken a few at a time: their positions are gathered account by account, then one block of scenarios
after another passes over them while it lies in the cache. Letters as in `passes`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from crossmargin.revaluation.layout import TILE, Layout
from crossmargin.revaluation.passes import Width
from crossmargin.revaluation.vectors import LANES, at_least, inlined, largest_below, losses_of, lowest_bit, uncounted
from crossmargin.units import Array, FloatArray, IntArray

_ACCOUNTS = 64
"""Accounts taken together: their losses stay in the second-level cache beside a block of the table."""
_COLUMNS = 32
"""Columns of the table in which the largest of many losses are looked for."""
_REGISTERS = (0,) * (_COLUMNS // LANES)
_WORD = 64
"""Losses that are compared with a threshold together: a bit for each."""


@njit(cache=True, nogil=True)
def shortfalls(
    width: Width,
    book: Layout,
    losses: FloatArray,
    group_row: IntArray,
    scenarios: int,
    tail: float,
    low: int,
    high: int,
    out: FloatArray,
) -> None:
    """Write the expected shortfall of accounts low to high, 0 or more: the mean of the `tail` worst losses.

    `scenarios`: how many are real; the rest pads. tail: 1 to scenarios; a fraction counts the next one in part.
    """
    blocks, _, lanes = losses.shape
    # Places that no scenario has hold no loss at all: they are never among the largest.
    loss = np.full((_ACCOUNTS, (blocks * lanes + _WORD - 1) // _WORD * _WORD), -np.inf)
    flat = loss.reshape(loss.size)
    start = np.zeros(_ACCOUNTS + 1, np.int64)
    row, quantity = np.empty(1024, np.uint32), np.empty(1024)
    largest, column = np.empty(int(np.ceil(tail)) + 1), np.empty(_COLUMNS)
    for base in range(low, high, _ACCOUNTS):
        count = min(_ACCOUNTS, high - base)
        needed = _positions_at_most(book, base, count)
        if needed > len(row):
            row, quantity = np.empty(2 * needed, np.uint32), np.empty(2 * needed)
        _shortfalls_of(
            width,
            book,
            losses,
            group_row,
            scenarios,
            tail,
            base,
            count,
            loss,
            flat,
            start,
            row,
            quantity,
            largest,
            column,
            out,
        )


@uncounted
def _shortfalls_of(
    width: Width,
    book: Layout,
    losses: FloatArray,
    group_row: IntArray,
    scenarios: int,
    tail: float,
    base: int,
    count: int,
    loss: FloatArray,
    flat: FloatArray,
    start: IntArray,
    row: Array,
    quantity: FloatArray,
    largest: FloatArray,
    column: FloatArray,
    out: FloatArray,
) -> None:
    """Do what `shortfalls` says for `count` accounts from `base` on; all from `loss` to `column` is room to work in."""
    blocks, rows, lanes = losses.shape
    for k in range(count):
        start[k + 1] = _gathered(book, group_row, base + k, start[k], row, quantity)
    for b in range(blocks):
        for k in range(count):
            to = k * loss.shape[1] + b * lanes
            losses_of(width, losses, b * rows, row, quantity, start[k], start[k + 1] - start[k], flat, to)
    most = len(largest) - 1
    for k in range(count):
        loss[k, scenarios : blocks * lanes] = -np.inf
        out[base + k] = max(0.0, _mean_of_worst(flat, k * loss.shape[1], loss.shape[1], tail, most, largest, column))


@uncounted
def _positions_at_most(book: Layout, base: int, count: int) -> int:
    """Return how many positions there is room for in the segments of `count` accounts."""
    needed = 0
    for a in range(base, base + count):
        first = book.accounts[a].row
        for j in range(first, first + book.accounts[a].groups):
            needed += book.lengths[book.slots[j].kind]
    return needed


@inlined
def _gathered(book: Layout, group_row: IntArray, a: int, at: int, row: Array, quantity: FloatArray) -> int:
    """Write an account's positions from place `at` on; return the place after them."""
    first = book.accounts[a].row
    for j in range(first, first + book.accounts[a].groups):
        s = book.slots[j]
        length = book.lengths[s.kind]
        position = book.runs[s.group, a // TILE, s.kind].position + s.place * length
        for k in range(position, position + length):
            if book.quantity[k] == 0.0:
                break
            row[at] = group_row[s.group] + book.instrument[k]
            quantity[at] = book.quantity[k]
            at += 1
    return at


@inlined
def _mean_of_worst(
    loss: FloatArray, first: int, count: int, tail: float, most: int, largest: FloatArray, column: FloatArray
) -> float:
    """Return the mean of the `tail` largest of the losses loss[first : first + count], added from the largest down.

    The losses are a table of _COLUMNS columns. At least `most` of them are as large as the `most`-th largest of the
    columns' maxima, and few are larger: only those are sorted.
    """
    for j in range(_COLUMNS):
        column[j] = loss[first + j]
    for low in range(first + _COLUMNS, first + count, _COLUMNS):
        part = loss[low : low + _COLUMNS]
        for j in range(_COLUMNS):
            column[j] = part[j] if part[j] > column[j] else column[j]
    # Maxima that are alike fall out together: the threshold is then lower than it need be, never higher.
    least = np.inf
    for _ in range(most):
        least = largest_below(column, 0, _REGISTERS, least)
    for k in range(most):
        largest[k] = -np.inf
    for low in range(first, first + count, _WORD):
        bits = at_least(loss, low, least)
        while bits != 0:
            _insert(largest, most, loss[low + lowest_bit(bits)])
            bits &= bits - np.uint64(1)
    total = 0.0
    for k in range(int(tail)):
        total += largest[k]
    if most > int(tail):
        total += (tail - int(tail)) * largest[most - 1]
    return total / tail


@inlined
def _insert(largest: FloatArray, most: int, value: float) -> None:
    """Put a value among the `most` largest, which fall; the least of them drops out."""
    k = most
    while k > 0 and largest[k - 1] < value:
        largest[k] = largest[k - 1]
        k -= 1
    largest[k] = value
