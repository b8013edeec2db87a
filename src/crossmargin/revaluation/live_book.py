"""The live book: positions of many accounts under a risk table, in memory, as they change."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.ragged import owners, starts
from crossmargin.revaluation.changes import apply_fills
from crossmargin.revaluation.layout import (
    ACCOUNT,
    ACCOUNTS,
    GROUPS_MAX,
    INSTRUMENTS_MAX,
    ROW,
    RUN,
    SLOT,
    SLOTS,
    TILE,
    aligned,
    build,
    read,
    roomier,
    written_anew,
)
from crossmargin.revaluation.passes import Width, add_worst_losses, keep_worst_losses
from crossmargin.revaluation.shortfall import shortfalls
from crossmargin.revaluation.vectors import LANES
from crossmargin.threads import in_parts, threads
from crossmargin.units import Array, BoolArray, FloatArray, IntArray

_REGISTERS = (1, 2, 4)
"""Registers of eight scenarios in a block. With four, a hundred instruments' rows fit the first-level cache."""
_REGISTERS_JOINT = (1, 2, 4, 8)
"""The same where rows of all groups are needed at once: they lie in the second-level cache, whatever the block."""
_ACCOUNTS_LEAST = 1_000
"""Accounts that are worth a thread when every scenario of each is looked at."""
_SEGMENTS_LEAST = 50_000
"""Segments that are worth waking a second thread for."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _RiskTable:
    """A risk table as kernels take it; see `passes`."""

    width: Width
    losses: FloatArray
    """(B, K, 8 W)"""
    scenarios: int


class LiveBook:
    """Accounts, their positions, and what they may lose. Accounts, instruments and groups are numbers from 0.

    The book holds its positions once, in the layout of `layout`; everything else (totals, kept worst losses) follows
    from them and the risk table. What it says about an account depends on the account's positions and the risk table
    alone, to the last bit: not on the order in which positions came, other accounts, threads or batches.
    """

    __slots__ = ("_group_of", "_group_row", "_group_size", "_layout", "_local_of", "_of_row", "_table")

    def __init__(self, start: ArrayLike, instrument: ArrayLike, quantity: ArrayLike, group: ArrayLike) -> None:
        """Lay out the positions of accounts.

        start: (A + 1,) account `a` owns the slice start[a]:start[a + 1] of instrument and quantity, in any order;
        no instrument twice. quantity: contracts, long positive, finite; 0 is no position. group: (K,) the group
        of each instrument, from 0. ValueError where they are not so.
        """
        self._group_of = _whole("group", group, 0, GROUPS_MAX - 1).astype(np.uint16)
        self._of_row = np.argsort(self._group_of, kind="stable")
        self._group_row = starts(self._group_of, int(self._group_of.max(initial=0)) + 1)
        self._group_size = np.diff(self._group_row)
        if self._group_size.max() > INSTRUMENTS_MAX:
            raise ValueError(f"group: found {self._group_size.max()} instruments in one; allowed: {INSTRUMENTS_MAX}")
        self._local_of = np.empty(len(self._group_of), np.uint16)
        self._local_of[self._of_row] = np.arange(len(self._of_row)) - self._group_row[self._group_of[self._of_row]]
        self._table: _RiskTable | None = None

        held = _whole("instrument", instrument, 0, len(self._group_of) - 1)
        amount = _finite("quantity", quantity, held.shape)
        first = _whole("start", start, 0, len(held))
        if len(first) == 0 or first[0] != 0 or first[-1] != len(held) or (np.diff(first) < 0).any():
            raise ValueError(f"start: allowed: rising from 0 to {len(held)}, the number of positions")
        account = owners(first)
        row = np.empty(len(self._of_row), np.int64)
        row[self._of_row] = np.arange(len(row))
        key = account * max(1, len(row)) + row[held]
        if not (key[1:] > key[:-1]).all():
            order = np.argsort(key, kind="stable")
            held, amount, account, key = held[order], amount[order], account[order], key[order]
            twice = np.flatnonzero(key[1:] == key[:-1])
            if twice.size:
                k = int(twice[0])
                raise ValueError(f"instrument: found {held[k]} twice in account {account[k]}; allowed: once")
        if not amount.all():
            there = amount != 0.0
            held, amount, first = held[there], amount[there], starts(account[there], len(first) - 1)
        groups, longest = len(self._group_size), int(self._group_size.max())
        self._layout = build(first, self._group_of[held], self._local_of[held], amount, groups, longest)

    @property
    def accounts(self) -> int:
        """How many accounts there are."""
        return int(self._layout.used[ACCOUNTS])

    @property
    def totals(self) -> FloatArray:
        """(A,) the sum over groups of the worst loss of each account, as kept; valid until accounts are added."""
        return np.asarray(self._layout.accounts["total"][: self.accounts])

    @property
    def limits(self) -> FloatArray:
        """(A,) the largest total that fills may lead to; yours to write, valid until accounts are added."""
        return np.asarray(self._layout.accounts["limit"][: self.accounts])

    def positions(self) -> tuple[IntArray, IntArray, FloatArray]:
        """Return (start, instrument, quantity) of all positions, sorted by account, group and instrument."""
        start, row, quantity = read(self._layout, self._group_row)
        return start, self._of_row[row], quantity

    def worst_losses(self, risk: ArrayLike) -> FloatArray:
        """Return the sum over groups of the worst loss of each account, (A,), under another risk table.

        risk: (K, S) P&L of one long contract, a loss negative. A group that loses in no scenario counts 0.
        """
        table = _checked_risk(risk, len(self._of_row))
        moving = table.any(axis=0)
        packed = self._packed(table if moving.all() else table[:, moving])
        total = np.zeros(max(1, self.accounts))

        def run(low: int, high: int) -> None:
            add_worst_losses(packed.width, self._layout, packed.losses, self._group_row, low, high, total)

        in_parts(self._tiles(), run, least=1)
        return total[: self.accounts]

    def expected_shortfall(self, risk: ArrayLike, tail: float) -> FloatArray:
        """Return the mean of the `tail` worst losses of each account over all its groups together, (A,), 0 or more.

        risk: (K, S) as for `worst_losses`. tail: 1 to S; of 2.5 the third worst counts half.
        """
        packed = self._packed(_checked_risk(risk, len(self._of_row)), _REGISTERS_JOINT)
        if not 1 <= tail <= packed.scenarios:
            raise ValueError(f"tail: found {tail}; allowed: 1 to the number of scenarios, {packed.scenarios}")
        out = np.empty(self.accounts)

        def run(low: int, high: int) -> None:
            shortfalls(
                packed.width,
                self._layout,
                packed.losses,
                self._group_row,
                packed.scenarios,
                float(tail),
                low,
                high,
                out,
            )

        in_parts(self.accounts, run, least=_ACCOUNTS_LEAST)
        return out

    def set_risk(self, risk: ArrayLike) -> None:
        """Take a risk table (K, S) as the one that holds, and compute all totals under it."""
        self._table = self._packed(_checked_risk(risk, len(self._of_row)))
        self._keep(0, len(self._group_size))

    def tick(self, group: int, rows: ArrayLike) -> None:
        """Take new risk rows of one group; only accounts that hold it are computed anew.

        rows: (instruments of the group by rising number, S). The totals are those of `set_risk` with these rows.
        """
        table = self._risk()
        if not 0 <= group < len(self._group_size):
            raise ValueError(f"group: found {group}; allowed: 0 to {len(self._group_size) - 1}")
        checked = _checked_risk(rows, int(self._group_size[group]))
        if checked.shape[1] != table.scenarios:
            raise ValueError(f"rows: found {checked.shape[1]} scenarios; allowed: {table.scenarios}, as in the table")
        low = int(self._group_row[group])
        _write_losses(table, low, checked)
        self._keep(group, group + 1)

    def check_and_apply(self, account: ArrayLike, instrument: ArrayLike, quantity: ArrayLike) -> BoolArray:
        """Decide fills one after another and apply those accepted; return which those are, (n,).

        A fill adds `quantity` contracts (sold: negative). It is accepted where the account's total is then within
        its limit, or not above what it was before: what reduces risk is always allowed.
        """
        return self._fills(account, instrument, quantity, check=True)

    def apply(self, account: ArrayLike, instrument: ArrayLike, quantity: ArrayLike) -> None:
        """Apply fills whatever the limits: trades that were decided elsewhere, transfers, expiries."""
        self._fills(account, instrument, quantity, check=False)

    def add_accounts(self, limits: ArrayLike) -> None:
        """Add an account without positions for each of `limits`; they get the next numbers."""
        limit = _finite("limits", limits, np.shape(limits))
        old, new = self.accounts, self.accounts + len(limit)
        layout, row = self._layout, int(self._layout.used[SLOTS])
        if new > len(layout.accounts):
            accounts = _grown(layout.accounts, new + new // 2, ACCOUNT)
            layout = layout._replace(accounts=accounts, kept=accounts.view(np.float64).reshape(-1, ROW))
        if row + ROW * len(limit) > len(layout.slots):
            size = roomier(row + ROW * len(limit), len(self._group_size))
            slots = _grown(layout.slots, size, SLOT)
            layout = layout._replace(slots=slots, spilled=slots.view(np.float64), keys=slots.view(np.uint64))
        tiles, before = -(-new // TILE), layout.runs.shape[1]
        if tiles > before:
            runs = np.zeros((len(layout.runs), tiles + tiles // 2, len(layout.lengths)), RUN)
            runs[:, :before] = layout.runs
            layout = layout._replace(runs=runs)
        added = layout.accounts[old:new]
        added["limit"], added["room"] = limit, ROW
        added["row"] = row + ROW * np.arange(len(limit))
        layout.used[[ACCOUNTS, SLOTS]] = new, row + ROW * len(limit)
        self._layout = layout

    def _fills(self, account: ArrayLike, instrument: ArrayLike, quantity: ArrayLike, *, check: bool) -> BoolArray:
        of = _whole("account", account, 0, self.accounts - 1)
        what = _whole("instrument", instrument, 0, len(self._group_of) - 1)
        amount = _finite("quantity", quantity, of.shape)
        if what.shape != of.shape:
            raise ValueError(f"instrument: found shape {what.shape}; allowed: {of.shape}, one a fill")
        table, accepted, done = self._risk(), np.zeros(len(of), np.bool_), 0
        while True:
            done = apply_fills(
                table.width,
                self._layout,
                table.losses,
                self._group_row,
                self._group_of,
                self._local_of,
                of,
                what,
                amount,
                done,
                check,
                accepted,
            )
            if done == len(of):
                return accepted
            self._layout = written_anew(self._layout)

    def _risk(self) -> _RiskTable:
        if self._table is None:
            raise ValueError("risk: none yet; allowed: after set_risk")
        return self._table

    def _keep(self, first: int, end: int) -> None:
        table = self._risk()

        def run(low: int, high: int) -> None:
            keep_worst_losses(table.width, self._layout, table.losses, self._group_row, first, end, low, high)

        tiles = self._tiles()
        if threads() == 1 or self._layout.runs["count"][first:end].sum() < _SEGMENTS_LEAST:
            run(0, tiles)
        else:
            in_parts(tiles, run, least=1)

    def _tiles(self) -> int:
        return -(-self.accounts // TILE)

    def _packed(self, risk: FloatArray, choice: tuple[int, ...] = _REGISTERS) -> _RiskTable:
        """Return a risk table by group and block; scenarios are padded with ones that lose nothing."""
        scenarios = risk.shape[1]
        registers = -(-scenarios // LANES)
        width = next((w for w in choice if w >= registers), choice[-1])
        blocks = max(1, -(-registers // width))
        table = _RiskTable(
            width=(0,) * width, losses=aligned((blocks, len(risk), LANES * width), np.float64), scenarios=scenarios
        )
        _write_losses(table, 0, risk[self._of_row])
        return table


def _write_losses(table: _RiskTable, low: int, risk: FloatArray) -> None:
    lanes = table.losses.shape[2]
    for b, block in enumerate(table.losses):
        part = risk[:, b * lanes : (b + 1) * lanes]
        np.negative(part, out=block[low : low + len(part), : part.shape[1]])


def _grown(old: Array, size: int, kind: np.dtype[Any]) -> Array:
    new = aligned(size, kind)
    new[: len(old)] = old
    return new


def _checked_risk(risk: ArrayLike, rows: int) -> FloatArray:
    table = np.asarray(risk, dtype=np.float64)
    if table.ndim != 2 or len(table) != rows:
        raise ValueError(f"risk: found shape {table.shape}; allowed: ({rows}, scenarios), one row an instrument")
    if not isfinite(float(table.sum())) and not np.isfinite(table).all():
        raise ValueError("risk: found NaN or infinity; allowed: finite numbers")
    return table


def _whole(name: str, values: ArrayLike, low: int, high: int) -> IntArray:
    array = np.asarray(values)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise ValueError(f"{name}: found {array.dtype} of shape {array.shape}; allowed: whole numbers, one axis")
    array = np.ascontiguousarray(array, dtype=np.int64)
    if array.size and (array.min() < low or array.max() > high):
        outside = array[(array < low) | (array > high)][0]
        raise ValueError(f"{name}: found {outside}; allowed: {low} to {high}")
    return array


def _finite(name: str, values: ArrayLike, shape: tuple[int, ...]) -> FloatArray:
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != shape or array.ndim != 1:
        raise ValueError(f"{name}: found shape {array.shape}; allowed: {shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: found {array[~np.isfinite(array)][0]}; allowed: finite numbers")
    return array
