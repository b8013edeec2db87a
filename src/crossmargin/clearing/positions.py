"""Positions as (lots, cost): whole lots, and minus the value of every trade in minor units of the settlement asset."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from crossmargin.units import BoolArray, IntArray

FUNDING_UNIT = 10**6
"""`funding_index` and `funding_entry` are in minor units over this: a second's funding of a small lot shows."""
INSTRUMENTS_MAX = 2**20
"""Instruments a house may list in its life; a position's key is account * INSTRUMENTS_MAX + instrument."""

_NONE = -1


class Positions:
    """Every position there has been, in columns by slot; a hash table leads from (account, instrument) to its slot.

    account, instrument, lots, cost: (slots,) int64, the first `count` in use. following: (slots,) the next slot of the
    same account, -1 after the last; `first` (accounts,) is where an account's begin. A position that has become nothing
    keeps its slot until the house is opened again. Over all accounts lots of an instrument sum to 0, and so do costs.

    Funding that is accrued and not paid: funding_index (instruments,) is what a long lot has come to owe since the last
    payment, funding_entry (slots,) the sum of lots traded times the index they were traded at, both in 1/FUNDING_UNIT
    minor units. A position is owed (funding_entry - lots * funding_index) / FUNDING_UNIT; entries sum to 0 as lots do.
    Whoever changes `lots` otherwise than by `add` adds lots * funding_index to `funding_entry` with them.
    """

    __slots__ = (
        "account",
        "cost",
        "count",
        "first",
        "following",
        "funding_entry",
        "funding_index",
        "instrument",
        "lots",
        "table",
    )

    def __init__(self, slots: int = 16) -> None:
        self.count = 0
        self.account: IntArray = np.zeros(slots, dtype=np.int64)
        self.instrument: IntArray = np.zeros(slots, dtype=np.int64)
        self.lots: IntArray = np.zeros(slots, dtype=np.int64)
        self.cost: IntArray = np.zeros(slots, dtype=np.int64)
        self.funding_entry: IntArray = np.zeros(slots, dtype=np.int64)
        self.funding_index: IntArray = np.zeros(16, dtype=np.int64)
        self.following: IntArray = np.full(slots, _NONE, dtype=np.int64)
        self.first: IntArray = np.full(16, _NONE, dtype=np.int64)
        self.table: IntArray = np.full(4 * slots, _NONE, dtype=np.int64)

    def make_room(self, accounts: int, more: int = 1, instruments: int = 0) -> None:
        """Have room for accounts and instruments numbered below these, and for `more` new positions."""
        if instruments > len(self.funding_index):
            index = np.zeros(2 * instruments, dtype=np.int64)
            index[: len(self.funding_index)] = self.funding_index
            self.funding_index = index
        if accounts > len(self.first):
            grown = np.full(2 * accounts, _NONE, dtype=np.int64)
            grown[: len(self.first)] = self.first
            self.first = grown
        needed = self.count + more
        if needed <= len(self.lots):
            return
        size = 1 << (2 * needed - 1).bit_length()
        for name in ("account", "instrument", "lots", "cost", "funding_entry", "following"):
            column = np.zeros(size, dtype=np.int64)
            column[: self.count] = getattr(self, name)[: self.count]
            setattr(self, name, column)
        # Never more than half full, so that a search is a step or two.
        self.table = np.full(2 * size, _NONE, dtype=np.int64)
        enter(self.table, self.account, self.instrument, self.count)

    def slot(self, account: int, instrument: int) -> int:
        """Return the slot of a position; -1 where there has never been one."""
        return int(find(self.table, self.account, self.instrument, account, instrument))

    def of(self, account: int, instrument: int) -> tuple[int, int]:
        """Return (lots, cost) of a position; (0, 0) where there is none."""
        slot = self.slot(account, instrument)
        return (int(self.lots[slot]), int(self.cost[slot])) if slot >= 0 else (0, 0)

    def add(self, account: int, instrument: int, lots: int, cost: int) -> None:
        """Add lots and cost to a position; the lots owe funding from now on."""
        slot = self.slot(account, instrument)
        if slot < 0:
            self.make_room(account + 1, 1, instrument + 1)
            slot = int(
                new_slot(
                    self.table,
                    self.account,
                    self.instrument,
                    self.following,
                    self.first,
                    self.count,
                    account,
                    instrument,
                )
            )
            self.count += 1
        self.lots[slot] += lots
        self.cost[slot] += cost
        self.funding_entry[slot] += lots * self.funding_index[instrument]

    def accrued(self, account: int, instrument: int) -> int:
        """Return the funding that a position is owed and not yet paid (< 0: it owes), rounded down, in minor units."""
        slot = self.slot(account, instrument)
        if slot < 0:
            return 0
        owed = int(self.funding_entry[slot]) - int(self.lots[slot]) * int(self.funding_index[instrument])
        return owed // FUNDING_UNIT

    def live(self) -> BoolArray:
        """Return whether each of the slots in use is a position that is not nothing, (count,)."""
        n = self.count
        some: BoolArray = (self.lots[:n] != 0) | (self.cost[:n] != 0) | (self.funding_entry[:n] != 0)
        return some

    def of_account(self, account: int) -> list[tuple[int, int, int]]:
        """Return (instrument, lots, cost) of each position of an account that is not nothing, by instrument."""
        found, slot = [], int(self.first[account]) if account < len(self.first) else _NONE
        while slot != _NONE:
            if self.lots[slot] or self.cost[slot] or self.funding_entry[slot]:
                found.append((int(self.instrument[slot]), int(self.lots[slot]), int(self.cost[slot])))
            slot = int(self.following[slot])
        return sorted(found)

    def of_instrument(self, instrument: int) -> IntArray:
        """Return the slots of all positions in an instrument that are not nothing, by account."""
        here = np.flatnonzero((self.instrument[: self.count] == instrument) & self.live())
        return here[np.argsort(self.account[here], kind="stable")]

    def frozen(self) -> Any:
        """Return the positions that are not nothing as plain values, the same whatever their slots are."""
        used = np.flatnonzero(self.live())
        used = used[np.lexsort((self.instrument[used], self.account[used]))]
        columns = (self.account, self.instrument, self.lots, self.cost, self.funding_entry)
        charged = np.flatnonzero(self.funding_index)
        return [
            *(column[used].astype("<i8").tobytes() for column in columns),
            list(zip(charged.tolist(), self.funding_index[charged].tolist(), strict=True)),
        ]

    @classmethod
    def thawed(cls, plain: Any) -> Positions:
        """Return the positions that `frozen` was told of."""
        account, instrument, lots, cost, entry = (np.frombuffer(column, dtype="<i8") for column in plain[:5])
        made = cls()
        made.make_room(int(account.max(initial=0)) + 1, len(account), int(instrument.max(initial=0)) + 1)
        made.account[: len(account)], made.instrument[: len(account)] = account, instrument
        made.lots[: len(account)], made.cost[: len(account)] = lots, cost
        made.funding_entry[: len(account)] = entry
        for number, index in plain[5]:
            made.make_room(0, 0, number + 1)
            made.funding_index[number] = index
        made.count = len(account)
        made.table[:] = _NONE
        enter(made.table, made.account, made.instrument, made.count)
        chain(made.account, made.following, made.first, made.count)
        return made


@njit(inline="always")
def _place(account: int, instrument: int, mask: int) -> np.int64:
    """Return where the search for a position begins in a table of mask + 1 places."""
    key = np.uint64(account) * np.uint64(INSTRUMENTS_MAX) + np.uint64(instrument)
    key ^= key >> np.uint64(31)
    key *= np.uint64(0x9E3779B97F4A7C15)
    return np.int64((key >> np.uint64(29)) & np.uint64(mask))


@njit(cache=True, nogil=True)
def find(table: IntArray, account_of: IntArray, instrument_of: IntArray, account: int, instrument: int) -> int:
    """Return the slot of (account, instrument), -1 where there is none. table: (2^k,) slots by hash, -1 free."""
    mask = len(table) - 1
    place = _place(account, instrument, mask)
    while table[place] >= 0:
        slot = table[place]
        if account_of[slot] == account and instrument_of[slot] == instrument:
            return int(slot)
        place = (place + 1) & mask
    return -1


@njit(cache=True, nogil=True)
def new_slot(
    table: IntArray,
    account_of: IntArray,
    instrument_of: IntArray,
    following: IntArray,
    first: IntArray,
    count: int,
    account: int,
    instrument: int,
) -> int:
    """Give (account, instrument) the slot `count` and return it; there is room, and it has none yet."""
    mask = len(table) - 1
    place = _place(account, instrument, mask)
    while table[place] >= 0:
        place = (place + 1) & mask
    table[place] = count
    account_of[count], instrument_of[count] = account, instrument
    following[count] = first[account]
    first[account] = count
    return count


@njit(cache=True, nogil=True)
def enter(table: IntArray, account_of: IntArray, instrument_of: IntArray, count: int) -> None:
    """Enter the first `count` slots in an empty table."""
    mask = len(table) - 1
    for slot in range(count):
        place = _place(account_of[slot], instrument_of[slot], mask)
        while table[place] >= 0:
            place = (place + 1) & mask
        table[place] = slot


@njit(cache=True, nogil=True)
def chain(account_of: IntArray, following: IntArray, first: IntArray, count: int) -> None:
    """Chain the first `count` slots by account."""
    for slot in range(count):
        following[slot] = first[account_of[slot]]
        first[account_of[slot]] = slot
