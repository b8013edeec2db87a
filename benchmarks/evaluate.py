"""The house rule book over whole books: joint history, grids, add-ons, collateral in scenarios; and one tick.

The tick moves one of 20 underlyings, held by 30% of accounts. Printed beside the rows: where the time of a whole pass
goes, and memory a position.
"""

import cProfile
import pstats
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import date, timedelta
from functools import partial
from statistics import median
from time import perf_counter, process_time

import numpy as np
import polars as pl

from benchmarks.timing import Row, row
from crossmargin.book import Book
from crossmargin.files import book_from_frames
from crossmargin.instruments import instrument_of
from crossmargin.market import History, Mark, Market
from crossmargin.rules import load
from crossmargin.standing import after_tick, evaluate
from crossmargin.threads import threads
from crossmargin.units import utc

GROUPS, POSITIONS, DAYS = 20, 10, 1_000
ACCOUNTS = 100_000
EXPIRIES = (date(2026, 12, 25), date(2027, 3, 26))
STRIKES = tuple(80.0 + 4.0 * k for k in range(11))
TIME = utc("2026-11-20T08:00:00Z")
ROUNDS = 3


PARTS = {
    "value": "prices of contracts",
    "revalue": "contracts under scenarios",
    "tails": "expected shortfall of accounts",
    "requirement": "margin, with these two and add-ons",
    "count_collateral": "collateral",
    "evaluate": "all",
}
"""Functions whose time is printed, callees included; what runs within another is counted in both."""


def rows() -> Iterator[Row]:
    """Yield evaluate-100k and evaluate-tick."""
    book, market = synthetic(ACCOUNTS)
    rules = load("portfolio")
    standing = evaluate(book, market, rules)
    moved = replace(market, prices={**market.prices, "C0": 101.0}, forwards={**market.forwards, "C0": _forwards(101.0)})
    whole, tick, busy = [], [], []
    for _ in range(ROUNDS):
        start, began = perf_counter(), process_time()
        evaluate(book, market, rules)
        middle, between = perf_counter(), process_time()
        after_tick(standing, moved)
        whole.append(1e3 * (middle - start))
        tick.append(1e3 * (perf_counter() - middle))
        busy.append((between - began, process_time() - between))
    both = (median(column) for column in zip(*busy, strict=True))
    print("processor time, s: evaluate-100k {:.2f}, evaluate-tick {:.2f}".format(*both))
    _print_parts(partial(evaluate, book, market, rules))
    _print_memory(partial(evaluate, book, market, rules), len(book.positions.quantity))
    yield row("evaluate-100k", ours_ms=median(whole), size=ACCOUNTS, threads=threads())
    # The peer of a tick is the whole pass: what it saves.
    yield row(
        "evaluate-tick",
        ours_ms=median(tick),
        size=ACCOUNTS,
        peer="evaluate-100k",
        peer_ms=median(whole),
        threads=threads(),
    )


def _print_parts(work: Callable[[], object]) -> None:
    profile = cProfile.Profile()
    profile.runcall(work)
    seconds = dict.fromkeys(PARTS, 0.0)
    for (file, _, name), (_, _, _, cumulative, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        if name in seconds and "crossmargin" in file:
            seconds[name] = max(seconds[name], cumulative)
    print("evaluate-100k by part, s:", ", ".join(f"{PARTS[name]} {took:.2f}" for name, took in seconds.items()))


def _print_memory(work: Callable[[], object], positions: int) -> None:
    tracemalloc.start()
    kept = work()
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    del kept
    print(f"evaluate-100k, bytes a position: {held / positions:.0f} kept by the result, {peak / positions:.0f} at most")


def synthetic(accounts: int, seed: int = 1) -> tuple[Book, Market]:
    """Return a book of `accounts` accounts x 10 positions in 500 contracts on 20 coins, every third with coins."""
    rng = np.random.default_rng(seed)
    names = [f"C{k}" for k in range(GROUPS)]
    instruments = [contract for name in names for contract in _contracts(name)]
    symbols = np.array([contract.symbol for contract in instruments])
    ids = np.array([f"a{k}" for k in range(accounts)])
    # Each account trades two neighbouring coins, as most do; C0, the first of them or the second, is held by 30%.
    of_group = len(instruments) // GROUPS
    often = np.full(GROUPS, 0.7 / (GROUPS - 2))
    often[[0, GROUPS - 1]] = 0.15
    first = rng.choice(GROUPS, accounts, p=often)
    coin = (first[:, None] + rng.integers(0, 2, (accounts, POSITIONS))) % GROUPS
    chosen = coin * of_group + rng.integers(0, of_group, (accounts, POSITIONS))
    quantity = rng.integers(1, 50, chosen.shape) * rng.choice((-1, 1), chosen.shape)
    holders = np.flatnonzero(np.arange(accounts) % 3 == 0)
    book = book_from_frames(
        accounts=pl.DataFrame({"id": ids}),
        balances=pl.DataFrame(
            {
                "account": np.concatenate((ids, ids[holders])),
                "asset": np.concatenate((np.full(accounts, "USD"), np.array(names)[first[holders]])),
                "amount": np.concatenate((np.full(accounts, 100_000.0), np.full(len(holders), 50.0))),
            }
        ),
        positions=pl.DataFrame(
            {
                "account": np.repeat(ids, POSITIONS),
                "symbol": symbols[chosen.ravel()],
                "quantity": quantity.ravel().astype(float),
            }
        ),
        instruments=instruments,
    )
    common = rng.standard_t(4, DAYS) * 0.02
    days = [TIME.date() - timedelta(days=DAYS - k) for k in range(DAYS)]
    history = {
        name: dict(
            zip(days, (100.0 * np.exp(np.cumsum(common + rng.standard_t(4, DAYS) * 0.02))).tolist(), strict=True)
        )
        for name in names
    }
    market = Market(
        time=TIME,
        prices=dict.fromkeys(names, 100.0),
        marks={contract.symbol: Mark(iv=0.7) for contract in instruments if contract.kind == "option"},
        forwards={name: _forwards(100.0) for name in names},
        history=History.of(history),
    )
    return book, market


def _forwards(price: float) -> dict[date, float]:
    return {day: price * (1.0 + 0.01 * (k + 1)) for k, day in enumerate(EXPIRIES)}


def _contracts(name: str) -> list:
    common = {"underlying": name, "quote": "USD", "asset_class": "crypto"}
    found = [instrument_of("perpetual", symbol=f"{name}-PERP", **common)]
    for day in EXPIRIES:
        expiry = utc(f"{day}T08:00:00Z")
        found.append(instrument_of("future", symbol=f"{name}-{day}", expiry=expiry, **common))
        found += [
            instrument_of(
                "option",
                symbol=f"{name}-{day}-{strike:.0f}-{kind}",
                expiry=expiry,
                strike=strike,
                option_type=kind,
                **common,
            )
            for strike in STRIKES
            for kind in ("call", "put")
        ]
    return found
