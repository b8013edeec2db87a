"""Changes: fills, one after another, each against the margin of its account as the fills before it left it.

A fill changes one segment. Its new worst loss is computed exactly as a full pass would find it, and the account's
total is what is kept for its slots, summed anew. Most fills change a position that is there and stays: the segment
is tried in place, and a refusal puts the quantity back. Where a position comes or goes, a copy is tried, and a
segment whose length class changes moves to another run (see `layout` for what that costs).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from crossmargin.revaluation.layout import POSITIONS, ROOM_MAX, ROW, SEGMENTS, SLOTS, TILE, Layout, needed
from crossmargin.revaluation.passes import Width, keep, kept, total_with, worst_of_segment
from crossmargin.revaluation.vectors import LANES, below, first_equal, inlined, prefetch, uncounted
from crossmargin.units import Array, BoolArray, FloatArray, IntArray

_TOGETHER = 16
"""Fills that are located together, so that memory works on all of them at once before the first is decided."""


@njit(cache=True)
def apply_fills(
    width: Width,
    book: Layout,
    losses: FloatArray,
    group_row: IntArray,
    group_of: Array,
    local_of: Array,
    account: IntArray,
    instrument: IntArray,
    quantity: FloatArray,
    first: int,
    check: bool,
    accepted: BoolArray,
) -> int:
    """Decide and apply fills from number `first` on; return the number after the last one decided.

    That is the number of fills, or less where a pool is full: write the layout anew and go on from there. With
    `check`, a fill is refused where the total would be above the account's limit and above what it is now.
    """
    local = np.zeros(book.lengths[-1] + 1, book.instrument.dtype)
    amount = np.zeros(book.lengths[-1] + 1)
    decided: int = _decided(
        width,
        book,
        losses,
        group_row,
        group_of,
        local_of,
        account,
        instrument,
        quantity,
        first,
        check,
        accepted,
        local,
        amount,
        np.empty((_TOGETHER, 3), np.int64),
    )
    return decided


@uncounted
def _decided(
    width: Width,
    book: Layout,
    losses: FloatArray,
    group_row: IntArray,
    group_of: Array,
    local_of: Array,
    account: IntArray,
    instrument: IntArray,
    quantity: FloatArray,
    first: int,
    check: bool,
    accepted: BoolArray,
    local: Array,
    amount: FloatArray,
    located: IntArray,
) -> int:
    """Do what `apply_fills` says.

    `local`, `amount` are room for the longest segment and one position more; located: (_TOGETHER, 3) is room for
    where the segments of the fills to come lie.
    """
    fills = len(account)
    located_to, stale = first, False
    for f in range(first, fills):
        a, g, q = account[f], group_of[instrument[f]], quantity[f]
        i, row = local_of[instrument[f]], group_row[g]
        if f == located_to:
            located_to, stale = min(f + _TOGETHER, fills), True
            _fetch(book, account, located_to)
        if stale:
            _locate(book, group_of, account, instrument, f, located_to, located)
            stale = False
        at = f % _TOGETHER
        number, at, length = located[at, 0], located[at, 1], located[at, 2]
        held = length > 0
        k = _found(book.instrument, at, length, i)
        if k < at + length and book.quantity[k] != 0.0 and book.quantity[k] + q != 0.0:
            before = book.quantity[k]
            book.quantity[k] = before + q
            worst = worst_of_segment(width, length, book.instrument, book.quantity, at, losses, row)
            total = total_with(book, a, number, worst)
            # No branch: which fills are refused cannot be foreseen.
            accept = _within(book, a, total, check)
            book.quantity[k] = before + q if accept else before
            keep(book, a, number, worst if accept else kept(book, a, number))
            book.accounts[a].total = total if accept else book.accounts[a].total
            accepted[f] = accept
            continue
        n = _copied(book, at, length, local, amount)
        n = _filled(local, amount, n, i, q)
        worst = worst_of_segment(width, n, local, amount, 0, losses, row)
        total = total_with(book, a, number, worst) if held else _total_with_new(book, a, number, worst)
        accepted[f] = _within(book, a, total, check)
        if accepted[f]:
            if not _changed(book, a, g, number, held, local, amount, n):
                return f
            stale = True
            if n > 0:
                keep(book, a, number, worst)
            book.accounts[a].total = total
    return fills


@inlined
def _within(book: Layout, a: int, total: float, check: bool) -> bool:
    return bool((not check) | (total <= book.accounts[a].limit) | (total <= book.accounts[a].total))


@inlined
def _fetch(book: Layout, account: IntArray, first: int) -> None:
    """Have memory fetched for fills to come: the slots of the next _TOGETHER, and the accounts of those after them."""
    for f in range(first + _TOGETHER, min(first + 2 * _TOGETHER, len(account))):
        prefetch(book.accounts, account[f])
    for f in range(first, min(first + _TOGETHER, len(account))):
        prefetch(book.slots, book.accounts[account[f]].row)


@inlined
def _locate(
    book: Layout, group_of: Array, account: IntArray, instrument: IntArray, first: int, end: int, to: IntArray
) -> None:
    """Write the slot's number, the segment's place and its length (0: none) of fills first to end; have it fetched."""
    for f in range(first, end):
        a = account[f]
        number, held = _number(book, a, group_of[instrument[f]])
        at, length = _segment(book, a, number) if held else (0, 0)
        to[f % _TOGETHER, 0], to[f % _TOGETHER, 1], to[f % _TOGETHER, 2] = number, at, length
        prefetch(book.quantity, at)
        prefetch(book.quantity, at + length)
        prefetch(book.instrument, at)
        prefetch(book.instrument, at + LANES)


@inlined
def _number(book: Layout, a: int, g: int) -> tuple[int, bool]:
    """Return the number of the slot of an account's group, and True; or the number it would have, and False."""
    row, groups = book.accounts[a].row, book.accounts[a].groups
    key = np.uint64(g) << np.uint64(48)
    number = below(book.keys, row, groups, key)
    for j in range(ROW, groups, ROW):
        number += below(book.keys, row + j, groups - j, key)
    return number, (number < groups) & (book.slots[row + number].group == g)


@inlined
def _segment(book: Layout, a: int, number: int) -> tuple[int, int]:
    """Return where the segment of a slot begins, and its length."""
    s = book.slots[book.accounts[a].row + number]
    length = book.lengths[s.kind]
    return book.runs[s.group, a // TILE, s.kind].position + s.place * length, length


@inlined
def _found(instrument: Array, at: int, length: int, i: int) -> int:
    """Return the first place of instrument number `i` in a segment, or the place after it."""
    for low in range(0, length, LANES):
        k: int = first_equal(instrument, at + low, length - low, i)
        if k < LANES:
            return at + low + k
    return at + length


@inlined
def _copied(book: Layout, at: int, length: int, local: Array, amount: FloatArray) -> int:
    """Copy the positions of a segment; return how many there are."""
    for k in range(length):
        amount[k] = book.quantity[at + k]
        if amount[k] == 0.0:
            return k
        local[k] = book.instrument[at + k]
    return length


@inlined
def _filled(local: Array, amount: FloatArray, n: int, i: int, q: float) -> int:
    """Add quantity `q` of instrument number `i` to n positions sorted by number; return how many there are then."""
    k = 0
    while k < n and local[k] < i:
        k += 1
    if k < n and local[k] == i:
        amount[k] += q
        if amount[k] != 0.0:
            return n
        for m in range(k, n - 1):
            local[m], amount[m] = local[m + 1], amount[m + 1]
        return n - 1
    if q == 0.0:
        return n
    for m in range(n, k, -1):
        local[m], amount[m] = local[m - 1], amount[m - 1]
    local[k], amount[k] = i, q
    return n + 1


@inlined
def _total_with_new(book: Layout, a: int, number: int, worst: float) -> float:
    """Return the account's total if a new slot kept `worst`, added in the order of a full pass."""
    total = 0.0
    for j in range(number):
        total += kept(book, a, j)
    total += worst
    for j in range(number, book.accounts[a].groups):
        total += kept(book, a, j)
    return total


@inlined
def _changed(book: Layout, a: int, g: int, number: int, held: bool, local: Array, amount: FloatArray, n: int) -> bool:
    """Make a segment hold the n positions given; False, and nothing done, where there is no room."""
    t = a // TILE
    kind = book.kind_of[n] if n > 0 else -1
    slot = book.accounts[a].row + number
    # One position less is borne in place: what closes is often opened again, and a move costs as much as three fills.
    if held and n > 0 and (book.slots[slot].kind == kind or book.lengths[book.slots[slot].kind] == n + 1):
        _write(book, g, t, book.slots[slot].kind, book.slots[slot].place, local, amount, n)
        return True
    if n > 0 and not _room_in_run(book, g, t, kind):
        return False
    if n > 0 and not held:
        if not _room_in_row(book, a):
            return False
        _insert_slot(book, a, number, g)
    elif held:
        _leave_run(book, g, t, book.slots[slot].kind, book.slots[slot].place)
        if n == 0:
            _remove_slot(book, a, number)
    if n > 0:
        run = book.runs[g, t, kind]
        place = run.count
        run.count += 1
        slot = book.accounts[a].row + number
        book.slots[slot].kind, book.slots[slot].place = kind, place
        book.owner[run.segment + place], book.number[run.segment + place] = a % TILE, number
        _write(book, g, t, kind, place, local, amount, n)
    return True


@inlined
def _write(book: Layout, g: int, t: int, kind: int, place: int, local: Array, amount: FloatArray, n: int) -> None:
    length = book.lengths[kind]
    at = book.runs[g, t, kind].position + place * length
    for k in range(n):
        book.instrument[at + k], book.quantity[at + k] = local[k], amount[k]
    for k in range(n, length):
        book.instrument[at + k], book.quantity[at + k] = 0, 0.0


@inlined
def _leave_run(book: Layout, g: int, t: int, kind: int, place: int) -> None:
    """Take a segment out of its run: the last one takes its place."""
    run = book.runs[g, t, kind]
    run.count -= 1
    last, length = run.count, book.lengths[kind]
    if place == last:
        return
    to, source = run.position + place * length, run.position + last * length
    for k in range(length):
        book.instrument[to + k], book.quantity[to + k] = book.instrument[source + k], book.quantity[source + k]
    owner, number = book.owner[run.segment + last], book.number[run.segment + last]
    book.owner[run.segment + place], book.number[run.segment + place] = owner, number
    book.slots[book.accounts[t * TILE + owner].row + number].place = place


@inlined
def _room_in_run(book: Layout, g: int, t: int, kind: int) -> bool:
    """See that a run can take one more segment: a full one moves to the end of the pools, with half as much again."""
    run = book.runs[g, t, kind]
    if run.count < run.room:
        return True
    room, length, used = run.room + run.room // 2 + 2, book.lengths[kind], book.used
    if used[POSITIONS] + room * length > len(book.quantity) or used[SEGMENTS] + room > len(book.owner):
        return False
    position, segment = used[POSITIONS], used[SEGMENTS]
    for k in range(run.count * length):
        book.instrument[position + k] = book.instrument[run.position + k]
        book.quantity[position + k] = book.quantity[run.position + k]
    for k in range(run.count):
        book.owner[segment + k], book.number[segment + k] = book.owner[run.segment + k], book.number[run.segment + k]
    run.position, run.segment, run.room = position, segment, room
    used[POSITIONS] += room * length
    used[SEGMENTS] += room
    return True


@inlined
def _room_in_row(book: Layout, a: int) -> bool:
    """See that an account can take one more slot: a full row moves to the end of the pool, with twice the room."""
    account = book.accounts[a]
    if needed(account.groups + 1) <= account.room:
        return True
    room, used = min(ROOM_MAX, max(ROW, 2 * account.room)), book.used
    if used[SLOTS] + room > len(book.slots):
        return False
    row, before, room_before = used[SLOTS], account.row, account.room
    used[SLOTS] += room
    for k in range(account.groups):
        _copy_slot(book, before + k, row + k)
    for k in range(1, needed(account.groups) - account.groups + 1):
        book.spilled[row + room - k] = book.spilled[before + room_before - k]
    account.row, account.room = row, room
    return True


@inlined
def _insert_slot(book: Layout, a: int, number: int, g: int) -> None:
    """Make room for a slot of group g: rows are sorted by group, so that sums have one order."""
    account = book.accounts[a]
    account.groups += 1
    for j in range(account.groups - 1, number, -1):
        _move_slot(book, a, j - 1, j)
    book.slots[account.row + number].group = g


@inlined
def _remove_slot(book: Layout, a: int, number: int) -> None:
    account = book.accounts[a]
    for j in range(number + 1, account.groups):
        _move_slot(book, a, j, j - 1)
    account.groups -= 1
    keep(book, a, account.groups, 0.0)


@inlined
def _move_slot(book: Layout, a: int, source: int, to: int) -> None:
    """Give an account's slot another number within the row."""
    row = book.accounts[a].row
    _copy_slot(book, row + source, row + to)
    keep(book, a, to, kept(book, a, source))
    s = book.slots[row + to]
    book.number[book.runs[s.group, a // TILE, s.kind].segment + s.place] = to


@inlined
def _copy_slot(book: Layout, source: int, to: int) -> None:
    s = book.slots[source]
    book.slots[to].group, book.slots[to].kind, book.slots[to].place = s.group, s.kind, s.place
