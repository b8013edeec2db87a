"""The layout: where a position lies in memory, so that a pass over a million accounts reads it in one stream.

    account    one cache line: its limit, its total, where its row of slots is, and what is kept for its first slots
    slot       one (account, group): the group, where its segment lies; its worst loss is kept with the account
    segment    the positions of one (account, group): rising instrument numbers within the group, no two alike
    run        the segments of one (group, tile, length class), side by side; a tile is TILE neighbouring accounts

A pass goes tile by tile, group by group, class by class: the totals of a tile and the rows of the risk table of a
group stay in the cache, and all loops within a run have one length. A segment is as long as its class says; where it
holds fewer positions the rest is quantity 0 of instrument 0, which adds nothing. A position that is held has a
quantity other than 0.

A slot points into a run by a place within the run, a segment at its slot by a number within the row: runs and rows
may move as a whole. A segment that leaves a run is replaced by the run's last one, and a run that is full moves to
the end of the pool with half as much room again; a row of slots does the same with twice the room. So any change
costs amortised a constant, and at most about half of a pool is waste until the pool is written anew.

Of an account with more than INLINE groups the worst losses of the others lie in its row too, from the end backwards.
"""

from __future__ import annotations

from itertools import count
from typing import NamedTuple

import numpy as np
from numba import njit

from crossmargin.revaluation.vectors import inlined
from crossmargin.units import Array, FloatArray, IntArray

TILE = 65_536
"""Accounts in a tile: their totals fit the second-level cache, and their numbers within it 16 bits."""
ROW = 8
"""Slots are given to an account by so many: one cache line."""
INLINE = 5
"""Slots whose kept worst losses lie in the account's own cache line."""
KEPT = 3
"""Where they begin in it, in numbers of 64 bits."""
INSTRUMENTS_MAX = 1 << 16
"""Instruments in one group: their numbers have 16 bits."""
ROOM_MAX = (1 << 16) - ROW
"""Room in a row: a number of 16 bits."""
GROUPS_MAX = (ROOM_MAX + INLINE) // 2
"""Groups: as many as one account may hold, with the worst losses kept in its row."""

ACCOUNT = np.dtype(
    [("limit", "f8"), ("total", "f8"), ("row", "u4"), ("room", "u2"), ("groups", "u2"), ("kept", "f8", INLINE)]
)
"""`row` is its first slot, `room` how many slots are its own, `groups` how many of them are in use. What is kept for
slots that are not in use is 0.0."""
SLOT = np.dtype([("place", "i4"), ("kind", "u2"), ("group", "u2")])
"""`kind` is the length class of its segment, `place` its number within the run. Read as one number of 64 bits, the
smallest machine byte first, it sorts by group."""
RUN = np.dtype([("position", "i8"), ("segment", "i8"), ("count", "i4"), ("room", "i4")])
"""Its first place in the pools of positions and segments; segments in it, and for how many there is room."""


class Layout(NamedTuple):
    """Every array of the layout, as kernels take it.

    Shapes (A accounts, G groups, T tiles, C classes; pools have room beyond what is used):
        accounts: (>= A,) ACCOUNT.          slots: (>= slots,) SLOT.           runs: (G, >= T, C) RUN.
        kept: (>= A, 8) float64, spilled: (>= slots,) float64, keys: (>= slots,) uint64: the memory of accounts, and
        that of slots.
        instrument (uint16), quantity (float64): the pool of positions.
        owner (uint16: account within the tile), number (uint16: of the slot within the row): the pool of segments.
        lengths: (C,) positions in a segment of each class.     kind_of: (longest + 1,) class for a number of positions.
        used: (4,) accounts, slots, positions and segments in use, waste included.
    """

    accounts: Array
    kept: FloatArray
    slots: Array
    spilled: FloatArray
    keys: Array
    runs: Array
    instrument: Array
    quantity: FloatArray
    owner: Array
    number: Array
    lengths: IntArray
    kind_of: IntArray
    used: IntArray


ACCOUNTS, SLOTS, POSITIONS, SEGMENTS = range(4)
"""Places in `Layout.used`."""


def length_classes(longest: int) -> tuple[IntArray, IntArray]:
    """Return (lengths, kind_of): every length up to 8, then four to a doubling, up to what holds `longest`."""
    lengths = list(range(1, 9))
    for step in (2 << k for k in count()):
        if lengths[-1] >= longest:
            break
        lengths.extend(lengths[-1] + step * k for k in range(1, 5))
    number = np.array(lengths)
    number = number[: int(np.searchsorted(number, longest)) + 1]
    return number, np.searchsorted(number, np.arange(longest + 1))


def aligned(shape: int | tuple[int, ...], dtype: np.dtype | type) -> Array:
    """Return an array of zeros that begins a cache line."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    memory = np.zeros(size + 64, np.uint8)
    start = -memory.ctypes.data % 64
    return memory[start : start + size].view(kind).reshape(shape)


def build(start: IntArray, group: Array, local: Array, quantity: FloatArray, groups: int, longest: int) -> Layout:
    """Return the layout of positions sorted by account, group and instrument number `local`; none is 0 or twice."""
    accounts = len(start) - 1
    lengths, kind_of = length_classes(longest)
    runs = np.zeros((groups, -(-accounts // TILE), len(lengths)), RUN)
    record = aligned(max(1, accounts), ACCOUNT)
    _measure(start, group, lengths, kind_of, record, runs)
    _spread(runs["position"], runs["segment"], runs["count"], runs["room"], lengths)
    used = np.array([accounts, int(record["room"].sum()), 0, 0])
    slots = aligned(roomier(used[SLOTS], groups), SLOT)
    layout = _with_pools(record, slots, runs, lengths, kind_of, used)
    _place(start, group, local, quantity, layout)
    return layout


def _with_pools(
    accounts: Array, slots: Array, runs: Array, lengths: IntArray, kind_of: IntArray, used: IntArray
) -> Layout:
    """Return a layout with empty pools for the room that `runs` has, and a quarter more for runs that grow."""
    used[POSITIONS] = int((runs["room"] * lengths).sum())
    used[SEGMENTS] = int(runs["room"].sum())
    return Layout(
        accounts=accounts,
        kept=accounts.view(np.float64).reshape(-1, ROW),
        slots=slots,
        spilled=slots.view(np.float64),
        keys=slots.view(np.uint64),
        runs=runs,
        instrument=aligned(roomier(used[POSITIONS], lengths[-1]), np.uint16),
        quantity=aligned(roomier(used[POSITIONS], lengths[-1]), np.float64),
        owner=aligned(roomier(used[SEGMENTS], 1), np.uint16),
        number=aligned(roomier(used[SEGMENTS], 1), np.uint16),
        lengths=lengths,
        kind_of=kind_of,
        used=used,
    )


def written_anew(old: Layout) -> Layout:
    """Return the same layout without waste, every run with room to grow, in pools with room to grow."""
    runs = old.runs.copy()
    _spread(runs["position"], runs["segment"], runs["count"], runs["room"], old.lengths)
    slots = aligned(roomier(old.used[SLOTS], len(runs)), SLOT)
    slots[: old.used[SLOTS]] = old.slots[: old.used[SLOTS]]
    new = _with_pools(old.accounts, slots, runs, old.lengths, old.kind_of, old.used.copy())
    _copy_runs(old, new)
    return new


def roomier(used: int, largest: int) -> int:
    """Return the size of a pool with room for a quarter more, and at least for two new lists of the `largest` size."""
    return int(used) + max(int(used) // 4, 4 * (int(largest) + ROW))


def _spread(position: IntArray, segment: IntArray, count: Array, room: Array, lengths: IntArray) -> None:
    """Give runs that hold something room for an eighth more, and lay them out tile by tile, as a pass reads them."""
    wanted = np.where(count > 0, count + count // 8 + 2, 0)
    room[:] = wanted
    by_tile = wanted.transpose(1, 0, 2).astype(np.int64)
    for to, size in ((position, by_tile * lengths), (segment, by_tile)):
        flat = size.ravel()
        first = np.concatenate(([0], np.cumsum(flat)[:-1])) if flat.size else flat
        to[:] = first.reshape(size.shape).transpose(1, 0, 2)


@inlined
def needed(groups: int) -> int:
    """Return how much room a row needs for so many slots and the worst losses that are kept beside them."""
    return groups + max(0, groups - INLINE)


@njit(cache=True)
def _measure(start: IntArray, group: Array, lengths: IntArray, kind_of: IntArray, accounts: Array, runs: Array) -> None:
    """Count the segments of every run, and give every account a row of slots."""
    row = 0
    for a in range(len(start) - 1):
        groups = 0
        first = start[a]
        while first < start[a + 1]:
            end = first + 1
            while end < start[a + 1] and group[end] == group[first]:
                end += 1
            runs[group[first], a // TILE, kind_of[end - first]].count += 1
            groups += 1
            first = end
        room = max(ROW, (needed(groups) + ROW - 1) // ROW * ROW)
        accounts[a].row, accounts[a].room, accounts[a].groups = row, room, groups
        row += room


@njit(cache=True)
def _place(start: IntArray, group: Array, local: Array, quantity: FloatArray, to: Layout) -> None:
    """Write segments, slots and positions into the runs that `_measure` counted."""
    to.runs["count"][:] = 0
    for a in range(len(start) - 1):
        first, number = start[a], 0
        while first < start[a + 1]:
            end = first + 1
            while end < start[a + 1] and group[end] == group[first]:
                end += 1
            kind = to.kind_of[end - first]
            run = to.runs[group[first], a // TILE, kind]
            slot = to.slots[to.accounts[a].row + number]
            slot.group, slot.kind, slot.place = group[first], kind, run.count
            to.owner[run.segment + run.count], to.number[run.segment + run.count] = a % TILE, number
            at = run.position + run.count * to.lengths[kind]
            for k in range(end - first):
                to.instrument[at + k], to.quantity[at + k] = local[first + k], quantity[first + k]
            run.count += 1
            number += 1
            first = end


@njit(cache=True)
def _copy_runs(old: Layout, new: Layout) -> None:
    groups, tiles, kinds = old.runs.shape
    for g in range(groups):
        for t in range(tiles):
            for c in range(kinds):
                a, b = old.runs[g, t, c], new.runs[g, t, c]
                for k in range(a.count * old.lengths[c]):
                    new.instrument[b.position + k] = old.instrument[a.position + k]
                    new.quantity[b.position + k] = old.quantity[a.position + k]
                for k in range(a.count):
                    new.owner[b.segment + k] = old.owner[a.segment + k]
                    new.number[b.segment + k] = old.number[a.segment + k]


def read(layout: Layout, group_row: IntArray) -> tuple[IntArray, IntArray, FloatArray]:
    """Return (start, row, quantity) of all positions: row is the group's first row plus the number within the group."""
    start = np.zeros(int(layout.used[ACCOUNTS]) + 1, np.int64)
    row, quantity = np.empty(0, np.int64), np.empty(0)
    _read(layout, group_row, start, row, quantity, False)
    row, quantity = np.empty(start[-1], np.int64), np.empty(start[-1])
    _read(layout, group_row, start, row, quantity, True)
    return start, row, quantity


@njit(cache=True)
def _read(layout: Layout, group_row: IntArray, start: IntArray, row: IntArray, quantity: FloatArray, out: bool) -> None:
    """Count the positions of accounts up to each; with `out`, write them too."""
    to = 0
    for a in range(len(start) - 1):
        first = layout.accounts[a].row
        for j in range(first, first + layout.accounts[a].groups):
            s = layout.slots[j]
            length = layout.lengths[s.kind]
            at = layout.runs[s.group, a // TILE, s.kind].position + s.place * length
            for k in range(at, at + length):
                if layout.quantity[k] == 0.0:
                    break
                if out:
                    row[to], quantity[to] = group_row[s.group] + layout.instrument[k], layout.quantity[k]
                to += 1
        start[a + 1] = to
