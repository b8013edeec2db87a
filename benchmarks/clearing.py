"""The clearing house: trades decided and booked a batch a command, and orders one by one, made durable together.

A million accounts with ten million positions in 2,000 contracts of 20 groups; margin is a scan of 16 scenarios. A
trade is two fills: each side's position, cost, cash, fee and margin. Most trades change positions there are; one in
twenty is refused for want of margin. `fills`: decided and applied, in memory. `fills-journal`: through the house, the
record of each batch made durable before it is answered. `orders`: single checks and releases, made durable in
groups.
"""

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import Future
from itertools import count
from pathlib import Path
from statistics import median, quantiles
from threading import Semaphore

import numpy as np

from benchmarks.live_books import GROUPS, positions
from benchmarks.timing import Row, row
from crossmargin.clearing import (
    Applied,
    CheckOrder,
    ClearColumns,
    Command,
    GroupCommit,
    House,
    ListInstrument,
    OpenHouse,
    Rejected,
    ReleaseOrder,
    Reply,
    ScanTable,
    ScanView,
)
from crossmargin.clearing.ledger import EXTERNAL, FIRST_CLIENT
from crossmargin.clearing.machine import apply, decide
from crossmargin.clearing.parties import AccountTerms
from crossmargin.clearing.positions import chain, enter
from crossmargin.storage import open_journal

ACCOUNTS, INSTRUMENTS, SCENARIOS = 1_000_000, 2_000, 16
TRADES, BATCHES = 4_096, 64
"""8,192 fills a batch."""
TICKS = 10_000


def rows() -> Iterator[Row]:
    """Yield fills, fills-journal and rows of orders."""
    os.environ["CROSSMARGIN_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        house = _house(Path(folder) / "journal.sqlite")
        batches = _batches(house)
        yield _fills(house, batches[:BATCHES])
        yield _fills_journal(house, batches[BATCHES:])
        yield from _orders(house)


def _house(path: Path) -> House:
    """Return a house of a million accounts, as if it had been opened from a snapshot."""
    times = count(1)
    house = House(open_journal(str(path)), lambda: next(times), risk=ScanView(_table, initial=1.25))
    house.submit(OpenHouse(currency="USD", assets={"USD": (2, "fx")}))
    for k in range(INSTRUMENTS):
        terms = {
            "symbol": f"P{k:04d}", "type": "perpetual", "underlying": f"U{k // (INSTRUMENTS // GROUPS):02d}",
            "quote": "USD", "tick_size": "0.01", "lot_size": "1",
        }  # fmt: skip
        assert isinstance(house.submit(ListInstrument(terms=terms, maker_fee=-10, taker_fee=50)), Applied)
    state = house.state
    for k in range(ACCOUNTS):
        state.parties.add_account(AccountTerms(f"a{k}", f"a{k}", 1))
    state.make_room()
    _fill_positions(house)
    state.ledger.cash[FIRST_CLIENT : FIRST_CLIENT + ACCOUNTS, 0] = 10**9
    assert state.risk is not None
    state.risk.watch(state)
    # Money that carries four fifths of the accounts at 1.3 times what they must have, the rest at 1.25.
    figures = state.risk._figures[FIRST_CLIENT : FIRST_CLIENT + ACCOUNTS]
    share = np.where(np.random.default_rng(5).random(ACCOUNTS) < 0.95, 1.5, 1.2501)
    state.ledger.cash[FIRST_CLIENT : FIRST_CLIENT + ACCOUNTS, 0] += (
        np.ceil(share * figures[:, 1] - figures[:, 0]).astype(np.int64)
    )  # fmt: skip
    state.ledger.cash[EXTERNAL, 0] = -int(state.ledger.cash[FIRST_CLIENT:, 0].sum())
    state.risk.watch(state)
    return house


def _table(state: object) -> ScanTable:
    rng = np.random.default_rng(3)
    instruments = len(state.parties.instruments)  # type: ignore[attr-defined]
    market = rng.normal(size=(GROUPS, SCENARIOS)).repeat(INSTRUMENTS // GROUPS, axis=0)
    losses = np.rint(500 * (market + 0.2 * rng.normal(size=(INSTRUMENTS, SCENARIOS))))[:instruments]
    return ScanTable(
        losses=losses,
        group=np.arange(instruments) // (INSTRUMENTS // GROUPS),
        lot_value=np.full(instruments, float(TICKS)),
        money=np.ones(1),
        counted=np.ones(1),
    )


def _fill_positions(house: House) -> None:
    made, held = positions(ACCOUNTS, instruments=INSTRUMENTS), house.state.positions
    size = len(made.quantity)
    # One account takes the other side of everything.
    account = np.repeat(np.arange(ACCOUNTS), np.diff(made.start)) + FIRST_CLIENT
    other = -np.bincount(made.instrument, weights=made.quantity, minlength=INSTRUMENTS).astype(np.int64)
    held.make_room(FIRST_CLIENT + ACCOUNTS, size + INSTRUMENTS + 2 * TRADES * (2 * BATCHES + 4), INSTRUMENTS)
    total = size + INSTRUMENTS
    held.account[:total] = np.concatenate((account, np.full(INSTRUMENTS, 7)))
    held.instrument[:total] = np.concatenate((made.instrument, np.arange(INSTRUMENTS)))
    held.lots[:total] = np.concatenate((made.quantity.astype(np.int64), other))
    held.cost[:total] = -held.lots[:total] * TICKS
    held.count = total
    enter(held.table, held.account, held.instrument, total)
    chain(held.account, held.following, held.first, total)


def _batches(house: House) -> list[ClearColumns]:
    """Return batches of trades: nine in ten change a position there is of their buyer, one in two of their seller."""
    rng, held = np.random.default_rng(2), house.state.positions
    size, found = held.count - INSTRUMENTS, []
    for _ in range(2 * BATCHES):
        of_buyer, of_seller = rng.integers(0, size, TRADES), rng.integers(0, size, TRADES)
        instrument = held.instrument[of_buyer]
        fresh = rng.random(TRADES) < 0.1
        instrument = np.where(fresh, rng.integers(0, INSTRUMENTS, TRADES), instrument)
        columns = {
            "instrument": instrument,
            "buyer": held.account[of_buyer],
            "seller": held.account[of_seller],
            "lots": rng.integers(1, 10, TRADES),
            "ticks": TICKS + rng.integers(-3, 4, TRADES),
            "buyer_took": rng.integers(0, 2, TRADES),
        }
        found.append(ClearColumns(**{name: column.astype("<i8").tobytes() for name, column in columns.items()}))
    return found


def _fills(house: House, batches: list[ClearColumns]) -> Row:
    state, times, refused = house.state, [], 0
    for command in batches:
        start = time.perf_counter()
        events = decide(state, command)
        for event in events:
            apply(state, event)
        state.sequence += 1
        changed = state.risk.changed(state)
        times.append(1e3 * (time.perf_counter() - start))
        refused += len(events[-1].refused)
        assert not changed or len(changed) < TRADES
    share = 100 * refused / (TRADES * len(batches))
    assert 0.5 < share < 20, share
    return row("fills", ours_ms=median(times), size=2 * TRADES, dtype="int64", peer=f"{share:.0f}% refused")


def _fills_journal(house: House, batches: list[ClearColumns]) -> Row:
    times = []
    for k, command in enumerate(batches):
        start = time.perf_counter()
        reply = house.submit(command, f"batch {k}")
        times.append(1e3 * (time.perf_counter() - start))
        assert isinstance(reply, Applied)
    return row("fills-journal", ours_ms=median(times), size=2 * TRADES, dtype="int64")


ORDERS, UNDER_WAY = 20_000, 128
"""Checks and releases, and how many of them wait for their answers at any time."""


def _orders(house: House) -> Iterator[Row]:
    """Yield orders (all of them), orders-p50 and orders-p99 (one: from handing it in to its answer)."""
    waits: list[float] = []
    refused: list[bool] = []
    free = Semaphore(UNDER_WAY)

    def ask(front: GroupCommit, command: Command) -> None:
        free.acquire()
        start = time.perf_counter()

        def answered(answer: Future[Reply]) -> None:
            waits.append(1e3 * (time.perf_counter() - start))
            free.release()
            refused.append(isinstance(answer.result(), Rejected))

        front.submit(command).add_done_callback(answered)

    start = time.perf_counter()
    with GroupCommit(house) as front:
        for k in range(ORDERS // 2):
            account, order, symbol = f"a{k % 1000}", f"{k}", f"P{k % 1000:04d}"
            ask(front, CheckOrder(account=account, order=order, symbol=symbol, lots=1, ticks=TICKS))
            ask(front, ReleaseOrder(account=account, order=order))
    whole = 1e3 * (time.perf_counter() - start)
    assert len(waits) == ORDERS
    assert sum(refused) < ORDERS / 5, sum(refused)
    yield row("orders", ours_ms=whole, size=ORDERS, dtype="int64")
    cuts = quantiles(waits, n=100)
    yield row("orders-p50", ours_ms=cuts[49], size=1, dtype="int64")
    yield row("orders-p99", ours_ms=cuts[98], size=1, dtype="int64")
