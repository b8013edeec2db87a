"""The scan: margin as the worst of a table of scenarios, group by group, kept up to date trade by trade.

    MM = sum over groups of max(0, worst loss of what the pool holds in the group)      IM = `initial` x MM

It answers what a `Risk` view is asked, for millions of accounts: each pool has its losses in every scenario at hand,
so that a trade is a row added and a maximum taken. Losses and values are whole multiples of 1/256 minor unit: adding
them up is exact, and what is kept is what a computation from nothing would find.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, inf
from typing import TYPE_CHECKING

import numpy as np

from crossmargin.clearing.column_trades import Columns, Decided
from crossmargin.clearing.contracts import LOTS_MAX, TICKS_MAX
from crossmargin.clearing.fees import fee_of
from crossmargin.clearing.ledger import FIRST_CLIENT, LENT
from crossmargin.clearing.orders import reduces_position
from crossmargin.clearing.parties import EXPIRING, TRADING
from crossmargin.clearing.positions import FUNDING_UNIT
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.risk import BANKRUPT, CALL, HEALTHY, LIQUIDATION, WARNING, Fill, PoolStanding
from crossmargin.clearing.scan_kernels import (
    EQUITY,
    HELD,
    STEP,
    TOTAL,
    add_positions,
    add_worst,
    decide_all,
    new_vectors,
    statuses,
)
from crossmargin.clearing.scan_table import ScanTable
from crossmargin.units import Array, BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

LOSS_MAX = 2.0**40
"""Loss of one lot, in minor units of the reporting currency."""
_NOBODY: IntArray = np.zeros(0, dtype=np.int64)
_FEW = 64
"""Pools that are computed anew one by one; of more, all are."""


class ScanView:
    """A `Risk` view of the scan. Option value counts in equity. Collateral is what is final, wherever it is."""

    __slots__ = (
        "_call", "_changes", "_expected", "_figures", "_holding", "_initial", "_losses", "_row", "_rule", "_signed",
        "_state", "_status", "_table", "_used", "_vector_of", "_vectors",
    )  # fmt: skip

    def __init__(self, table: Callable[[State], ScanTable], *, initial: float = 1.25, call: float = 1.10) -> None:
        """Scan under the table that `table` makes of a state whenever its marks or listings have changed.

        initial: initial margin over maintenance margin, 1 or more. call: the call level over it, 1 or more.
        """
        if not (1.0 <= initial < inf and 1.0 <= call < inf):
            raise ValueError(f"scan: found initial {initial}, call {call}; allowed: 1 or more")
        self._rule, self._initial, self._call = table, float(initial), float(call)
        self._state: State | None = None
        self._expected = -1
        self._changes = (-1, -1, -1)
        self._holding: dict[int, None] = {}

    # --- keeping up

    def watch(self, state: State) -> None:
        """Look at this state from now on: all of it is new."""
        self._state = state
        self._rebuild()

    def _rebuild(self) -> None:
        state = self._watched()
        state.untouched()
        self._changes = self._version()
        self._table = table = _rounded(self._rule(state))
        self._losses = _steps(table)
        accounts = len(state.parties.accounts)
        room = len(state.ledger.cash)
        self._row: IntArray = np.arange(room)
        first: dict[int, int] = {}
        for a, terms in enumerate(state.parties.accounts):
            if terms.pool >= 0:
                self._row[a] = first.setdefault(terms.pool, a)
        groups = int(table.group.max(initial=-1)) + 1
        self._figures: FloatArray = np.zeros((room, 4))
        self._vector_of: Array = np.full((room, max(1, groups)), -1, dtype=np.int32)
        self._signed: BoolArray = np.array(
            [listing.contract.signed for listing in state.parties.instruments], dtype=np.bool_
        )
        self._used: IntArray = np.zeros(1, dtype=np.int64)
        self._vectors: IntArray = np.zeros((16, table.losses.shape[1]), dtype=np.int64)
        self._status: Array = np.zeros(room, dtype=np.int8)
        for pool, status in state.standings.status.items():
            self._status[pool] = status
        held = state.positions
        slots = np.flatnonzero(held.account[: held.count] >= FIRST_CLIENT)
        self._room_for(slots)
        self._add(slots, self._losses, np.nan_to_num(table.lot_value))
        add_worst(self._row, self._vector_of, self._vectors, self._figures, np.ones(max(1, groups), np.bool_), 1.0)
        np.add.at(self._figures[:, EQUITY], self._row[:accounts], self._money(np.arange(accounts)))

    def _room_for(self, slots: IntArray) -> None:
        """Give vectors to the positions in slots."""
        held = self._watched().positions
        self._make_room(len(slots))
        new_vectors(slots, held.account, held.instrument, self._row, self._table.group, self._vector_of, self._used)

    def _make_room(self, more: int) -> None:
        needed = int(self._used[0]) + more
        if needed > len(self._vectors):
            grown = np.zeros((max(needed, 2 * len(self._vectors)), self._vectors.shape[1]), dtype=np.int64)
            grown[: self._used[0]] = self._vectors[: self._used[0]]
            self._vectors = grown

    def _add(self, slots: IntArray, losses: IntArray, lot_value: FloatArray) -> None:
        held = self._watched().positions
        add_positions(
            slots, held.account, held.instrument, held.lots, self._row, self._table.group, self._vector_of,
            self._vectors, self._figures, losses, lot_value,
        )  # fmt: skip

    def _money(self, accounts: IntArray) -> FloatArray:
        """Return what accounts own and owe beside the value of their lots: balances, costs, funding, (accounts,)."""
        state, table = self._watched(), self._table
        assets = len(state.parties.assets)
        place = np.full(len(self._row), -1, dtype=np.int64)
        place[accounts] = np.arange(len(accounts))
        amount = state.ledger.cash[accounts, :assets].copy()
        for (a, asset, where, pending), elsewhere in state.ledger.elsewhere.items():
            # What was lent is somebody else's collateral now.
            if not pending and where != LENT and place[a] >= 0:
                amount[place[a], asset] += elsewhere
        held = state.positions
        if len(accounts) > _FEW:
            slots = np.arange(held.count)
        else:
            slots = np.array([s for a in accounts.tolist() for s in _slots_of(state, a)], dtype=np.int64)
        of = place[held.account[slots]]
        slots, of = slots[of >= 0], of[of >= 0]
        settle = state.parties.terms[held.instrument[slots], 3]
        index = held.funding_index[held.instrument[slots]]
        funding = (held.funding_entry[slots] - held.lots[slots] * index) // FUNDING_UNIT
        np.add.at(amount, (of, settle), held.cost[slots] + funding)
        value = np.where(amount > 0, amount * table.counted[:assets], amount * table.money[:assets])
        steps = np.floor(np.where(amount == 0, 0.0, value) / STEP)
        return np.asarray(steps.sum(axis=1) * STEP, dtype=np.float64)

    def _watched(self) -> State:
        assert self._state is not None, "risk: asked before it was given a state to watch"
        return self._state

    def _version(self) -> tuple[int, int, int]:
        state = self._watched()
        return state.marks.changes, len(state.parties.instruments), state.terms_changes

    def _now(self) -> IntArray:
        """Take note of what has changed; return the pools whose figures may have, rising, or nearly so."""
        state = self._watched()
        version, rows = self._version(), len(state.ledger.cash)
        if not state.touched and not state.touched_columns and version == self._changes and rows == len(self._row):
            return _NOBODY
        if self._expected == state.sequence and state.touched_columns:
            # Trades this view decided itself: it has them already.
            mine = np.concatenate(state.touched_columns)
            state.touched_columns.clear()
        else:
            mine = np.zeros(0, dtype=np.int64)
        touched = state.all_touched()
        state.untouched()
        shared = any(self._row[a] != a or state.parties.accounts[a].pool >= 0 for a in touched if a < len(self._row))
        if rows != len(self._row) or version[1:] != self._changes[1:] or len(touched) > _FEW or shared:
            self._rebuild()
            return np.arange(FIRST_CLIENT, len(state.parties.accounts))
        for a in touched:
            self._refresh(a)
        if version != self._changes:
            self._changes = version
            self._move(_rounded(self._rule(state)))
            return np.arange(FIRST_CLIENT, len(state.parties.accounts))
        return np.concatenate((mine, np.array([a for a in touched if a >= FIRST_CLIENT], dtype=np.int64)))

    def _refresh(self, account: int) -> None:
        """Compute an account anew that is alone in its pool."""
        state = self._watched()
        for v in self._vector_of[account].tolist():
            if v >= 0:
                self._vectors[v] = 0
        self._figures[account, [EQUITY, TOTAL]] = 0.0
        if account < FIRST_CLIENT:
            return
        slots = np.array(_slots_of(state, account), dtype=np.int64)
        self._room_for(slots)
        self._add(slots, self._losses, np.nan_to_num(self._table.lot_value))
        mine = [v for v in self._vector_of[account].tolist() if v >= 0]
        self._figures[account, TOTAL] = STEP * sum(max(0, int(self._vectors[v].max())) for v in mine)
        self._figures[account, EQUITY] += float(self._money(np.array([account]))[0])

    def _move(self, table: ScanTable) -> None:
        """Take a new table: only what moved is added up again."""
        old, self._table = self._table, table
        known, was = np.nan_to_num(table.lot_value), np.nan_to_num(old.lot_value)
        same = ("money", "counted", "group")
        if table.losses.shape != old.losses.shape or not all(
            np.array_equal(getattr(table, name), getattr(old, name)) for name in same
        ):
            self._rebuild()
            return
        losses, lot_value = _steps(table) - self._losses, known - was
        self._losses = _steps(table)
        moved = np.zeros(self._vector_of.shape[1], dtype=np.bool_)
        moved[table.group[losses.any(axis=1)]] = True
        add_worst(self._row, self._vector_of, self._vectors, self._figures, moved, -1.0)
        held = self._watched().positions
        slots = np.flatnonzero(held.account[: held.count] >= FIRST_CLIENT)
        self._add(slots, losses, lot_value)
        add_worst(self._row, self._vector_of, self._vectors, self._figures, moved, 1.0)

    # --- trades in columns

    def decide(self, state: State, columns: Columns) -> Decided:
        """Decide trades in order against margin, limits and what fits; those accepted are kept in the scan at once."""
        assert state is self._watched()
        self._now()
        n, table = len(columns.lots), self._table
        listings = state.parties.instruments
        tradable = np.array(
            [
                listing.stage in (TRADING, EXPIRING)
                and (listing.contract.expiry is None or state.now < listing.contract.expiry)
                for listing in listings
            ],
            dtype=np.bool_,
        )
        rates = np.array([(listing.maker_fee, listing.taker_fee) for listing in listings], dtype=np.int64)
        self._make_room(2 * n)
        self._hold()
        decided, held = Decided.of(n), state.positions
        limited = bool(
            (state.limits.position[: len(listings)] < LOTS_MAX).any()
            or (state.limits.order[: len(listings)] < LOTS_MAX).any()
        )
        most = np.maximum(abs(self._losses).max(axis=1, initial=0), abs(held.funding_index[: len(listings)]))
        changes = np.full((1 << (4 * n - 1).bit_length() if limited else 1, 3), -1, dtype=np.int64)
        decide_all(
            FIRST_CLIENT, len(state.parties.accounts), self._row, state.parties.closed, tradable, self._signed,
            state.parties.terms, rates.reshape(-1, 2), state.limits.position, state.limits.order, LOTS_MAX, TICKS_MAX,
            held.table, held.account, held.instrument, held.lots, held.cost, held.funding_entry, most,
            state.ledger.cash, self._figures, self._vector_of, self._vectors, self._used, table.group, self._losses,
            table.lot_value, table.money, self._initial, *columns, decided.outcome, decided.buyer_fee,
            decided.seller_fee, np.empty(n, np.int64), np.empty(n, np.int64), changes,
        )  # fmt: skip
        self._expected = state.sequence + 1
        return decided

    def _hold(self) -> None:
        """Bring up to date what orders hold."""
        state = self._watched()
        for x in self._holding:
            self._figures[x, HELD] = 0.0
        self._holding.clear()
        for (a, asset), amount in state.orders.reserved.items():
            x = int(self._row[a])
            self._figures[x, HELD] += amount * self._table.money[asset]
            self._holding[x] = None

    # --- what a view is asked

    def pool_of(self, account: int) -> int:
        """Return the pool of an account: the number of its first account."""
        self._now()
        return int(self._row[account])

    def standing(self, account: int) -> PoolStanding:
        """Return how the pool of an account stands now; initial margin with its open orders."""
        self._now()
        return self._measured(self._members(account))

    def stands_alone(self, state: State, accounts: Sequence[int]) -> bool:
        """Return whether accounts, margined as one pool with nobody else, meet their initial margin."""
        assert state is self._watched()
        self._now()
        found = self._measured(tuple(accounts))
        return found.margin_balance >= found.initial

    def order_reserve(self, state: State, account: int, instrument: int, lots: int, ticks: int) -> int | Rejected:
        """Return what to hold for an order, in minor units of the reporting currency; or why it may not stand."""
        assert state is self._watched()
        self._now()
        table = self._table
        if not np.isfinite(table.lot_value[instrument]):
            if reduces_position(state, account, instrument, lots):
                return 0
            return Rejected(Reason.MARK_IS_MISSING, state.parties.instruments[instrument].contract.instrument.symbol)
        need = self._initial * self._worst_alone(instrument, lots) + max(0.0, self._cost(instrument, lots, ticks))
        equity, total, _, _ = self._figures[self._row[account]].tolist()
        held = sum(state.orders.held(a, state.currency) for a in self._members(account))
        if equity - self._initial * total - held >= need:
            return ceil(need)
        accounts = self._members(account)
        if reduces_position(state, account, instrument, lots):
            losses = self._losses_of(accounts, [(instrument, lots)])
            if _total(losses) <= total:
                return 0
        found = self._measured(accounts, ordered=(instrument, lots, ticks))
        if found.initial > found.margin_balance:
            return Rejected(Reason.MARGIN_IS_INSUFFICIENT, f"needs {found.initial:.2f}, has {found.margin_balance:.2f}")
        return ceil(need)

    def allows_fills(self, state: State, account: int, fills: Sequence[Fill]) -> Rejected | None:
        """Return None where an account may trade `fills` with nothing held for them, together; else why not."""
        assert state is self._watched()
        self._now()
        for fill in fills:
            if not np.isfinite(self._table.lot_value[fill.instrument]):
                symbol = state.parties.instruments[fill.instrument].contract.instrument.symbol
                return Rejected(Reason.MARK_IS_MISSING, symbol)
        accounts = self._members(account)
        lost = sum(self._cost(fill.instrument, fill.lots, fill.ticks, fill.fee) for fill in fills)
        before = self._measured(accounts)
        after = self._measured(accounts, [(fill.instrument, fill.lots) for fill in fills], -lost)
        if after.margin_balance >= after.initial:
            return None
        if after.margin_balance - after.initial >= before.margin_balance - before.initial:
            return None
        return Rejected(Reason.MARGIN_IS_INSUFFICIENT, f"needs {after.initial:.2f}, has {after.margin_balance:.2f}")

    def allows_withdrawal(self, state: State, account: int, asset: int, amount: int, location: int) -> bool:
        """Return whether the pool meets initial margin without `amount` of an asset and without unrealized profit."""
        assert state is self._watched()
        self._now()
        # What leaves takes at most its value before haircut with it.
        after = self._measured(self._members(account), change=-amount * float(self._table.money[asset]))
        return after.margin_balance - after.unrealized_gain >= after.initial

    def allows_change(self, state: State, account: int, changes: Sequence[tuple[int, int, int]]) -> bool:
        """Return whether a pool may change its money so: initial margin is met afterwards, or it is no worse off."""
        assert state is self._watched()
        self._now()
        table = self._table
        change = sum(n * float(table.counted[k] if n > 0 else table.money[k]) for k, _, n in changes)
        before = self._measured(self._members(account))
        balance = before.margin_balance + change * self._unit
        return balance - before.unrealized_gain >= before.initial or change >= 0

    def changed(self, state: State) -> list[tuple[int, int]]:
        """Return (pool, status) of each pool that does not stand as recorded, by number; `state` has just changed."""
        assert state is self._watched()
        accounts = self._now()
        if not len(accounts):
            return []
        found = np.empty(len(accounts), dtype=np.int64)
        count = statuses(accounts, self._row, self._figures, self._initial, self._call, self._status, found)
        return [(int(x), int(self._status[x])) for x in np.sort(found[:count])]

    # --- one pool, in full

    def _members(self, account: int) -> tuple[int, ...]:
        state = self._watched()
        if state.parties.accounts[account].pool < 0:
            return (account,)
        count = len(state.parties.accounts)
        return tuple(np.flatnonzero(self._row[:count] == self._row[account]).tolist())

    def _losses_of(self, accounts: Sequence[int], fills: Sequence[tuple[int, int]] = ()) -> FloatArray:
        """Return the loss of a pool in each group and scenario, (groups, S), with (instrument, lots) beside."""
        state, table = self._watched(), self._table
        losses = np.zeros((self._vector_of.shape[1], table.losses.shape[1]))
        for a in accounts:
            for instrument, lots, _ in state.positions.of_account(a):
                losses[table.group[instrument]] += lots * table.losses[instrument]
        for instrument, lots in fills:
            losses[table.group[instrument]] += lots * table.losses[instrument]
        return losses

    def _measured(
        self,
        accounts: tuple[int, ...],
        fills: Sequence[tuple[int, int]] = (),
        change: float = 0.0,
        ordered: tuple[int, int, int] | None = None,
    ) -> PoolStanding:
        """Return how accounts stand as one pool: with fills, a change of equity, an order beside those there are."""
        state, table = self._watched(), self._table
        value, gain = np.nan_to_num(table.lot_value), 0.0
        equity = float(self._money(np.array(accounts, dtype=np.int64)).sum()) + change
        for a in accounts:
            for instrument, lots, spent in state.positions.of_account(a):
                equity += lots * value[instrument]
                contract = state.parties.instruments[instrument].contract
                if not contract.option:
                    gain += max(0.0, lots * value[instrument] + spent * table.money[contract.settle])
        losses = self._losses_of(accounts, fills)
        maintenance = _total(losses)
        orders = [(o.instrument, o.lots, o.ticks) for a in accounts for _, o in state.orders.of_account(a)
                  if not o.reduce_only and o.reserve]  # fmt: skip
        if ordered is not None:
            orders.append(ordered)
        cost = 0.0
        for instrument, lots, ticks in orders:
            # In each scenario those fill that lose.
            losses[table.group[instrument]] += np.maximum(lots * table.losses[instrument], 0.0)
            cost += max(0.0, self._cost(instrument, lots, ticks))
        initial = self._initial * _total(losses) + cost
        return PoolStanding(
            margin_balance=equity * self._unit,
            initial=initial * self._unit,
            maintenance=maintenance * self._unit,
            net_value=equity * self._unit,
            unrealized_gain=gain * self._unit,
            status=self._status_of(equity, maintenance),
        )

    def _status_of(self, equity: float, maintenance: float) -> int:
        if equity < 0.0:
            return BANKRUPT
        if equity >= self._initial * maintenance:
            return HEALTHY
        if equity <= maintenance:
            return LIQUIDATION
        return CALL if equity <= self._call * maintenance else WARNING

    def _worst_alone(self, instrument: int, lots: int) -> float:
        return max(0.0, float((lots * self._table.losses[instrument]).max()))

    def _cost(self, instrument: int, lots: int, ticks: int, fee: int | None = None) -> float:
        """Return what a fill at `ticks` takes from equity at once, fee included; < 0 where it gains."""
        listing = self._watched().parties.instruments[instrument]
        contract, table = listing.contract, self._table
        charged = fee_of(contract, lots, ticks, listing.taker_fee) if fee is None else fee
        paid = (contract.value(lots, ticks) + charged) * table.money[contract.settle]
        return float(paid - lots * table.lot_value[instrument])

    @property
    def _unit(self) -> float:
        """What a minor unit of the reporting currency is of it."""
        state = self._watched()
        return 10.0 ** -state.parties.assets[state.currency].decimals


def _slots_of(state: State, account: int) -> list[int]:
    found, held = [], state.positions
    slot = int(held.first[account]) if account < len(held.first) else -1
    while slot >= 0:
        found.append(slot)
        slot = int(held.following[slot])
    return found


def _total(losses: FloatArray) -> float:
    return float(np.maximum(losses.max(axis=1, initial=0.0), 0.0).sum())


def _steps(table: ScanTable) -> IntArray:
    """Return the losses of a rounded table in steps, (instruments, scenarios)."""
    return np.rint(table.losses / STEP).astype(np.int64)


def _rounded(table: ScanTable) -> ScanTable:
    """Return a table in whole steps: losses up, values down."""
    losses = np.ceil(table.losses / STEP) * STEP
    if not (abs(losses) < LOSS_MAX).all():
        raise ValueError(f"scan: found a loss of {abs(losses).max()} minor units a lot; allowed: below {LOSS_MAX:g}")
    return ScanTable(
        losses=losses, group=table.group, lot_value=np.floor(table.lot_value / STEP) * STEP, money=table.money,
        counted=table.counted,
    )  # fmt: skip
