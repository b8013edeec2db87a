"""Fills in order, each against its account's margin, in batches of 8,192, on one thread, a million accounts.

The stream is drawn once: most fills change a position there is, one in ten opens or closes one, limits are such
that many are refused. The peer is the same decision in Python and NumPy: dictionaries of positions, a product and a
maximum a fill; it takes the first fills of the stream and its time is scaled to a batch.
"""

import os
import time
from collections.abc import Iterator
from statistics import median

import numpy as np

from benchmarks.live_books import Positions, positions, risk_table
from benchmarks.timing import Row, row

ACCOUNTS = 1_000_000
BATCH, BATCHES = 8192, 128
SCENARIOS = 16


def rows() -> Iterator[Row]:
    """Yield fills-check."""
    os.environ["CROSSMARGIN_THREADS"] = "1"
    held = positions(ACCOUNTS)
    risk = risk_table(len(held.group), SCENARIOS)
    book = held.book()
    book.set_risk(risk)
    book.limits[:] = 1.01 * book.totals
    limits = book.limits.copy()
    account, instrument, quantity = _stream(held)
    peer = _Peer(held, risk, limits, np.unique(account[:BATCH]))
    warm = held.book()
    warm.set_risk(risk)
    warm.check_and_apply(account[:1], instrument[:1], quantity[:1])

    times, peer_times, accepted = [], [], []
    for k in range(BATCHES):
        part = slice(k * BATCH, (k + 1) * BATCH)
        batch = account[part], instrument[part], quantity[part]
        start = time.perf_counter()
        accepted.append(book.check_and_apply(*batch))
        times.append(1e3 * (time.perf_counter() - start))
        # The peer decides an eighth of the first batch now and then, so that both have the machine's mood.
        if k % 16 == 0:
            piece = slice(k // 16 * BATCH // 8, (k // 16 + 1) * BATCH // 8)
            start = time.perf_counter()
            decided = [
                peer.fill(*fill)
                for fill in zip(*(c[piece].tolist() for c in (account, instrument, quantity)), strict=True)
            ]
            peer_times.append(8e3 * (time.perf_counter() - start))
            assert decided == accepted[0][piece].tolist()
    assert np.array_equal(book.totals, book.worst_losses(risk))
    refused = 1.0 - np.concatenate(accepted).mean()
    assert 0.2 < refused < 0.8, refused
    yield row(
        "fills-check",
        ours_ms=median(times),
        peer=f"Python + NumPy, {100 * refused:.0f}% refused",
        peer_ms=median(peer_times),
        size=BATCH,
    )


def _stream(held: Positions) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (account, instrument, quantity) of the fills: 90% a few lots of what is held, 5% all, 5% anything."""
    rng = np.random.default_rng(2)
    count = BATCH * BATCHES
    position = rng.integers(0, len(held.quantity), count)
    account = np.searchsorted(held.start, position, side="right") - 1
    instrument = held.instrument[position]
    quantity = rng.integers(1, 10, count) * rng.choice([-1.0, 1.0], count)
    kind = rng.random(count)
    quantity = np.where(kind < 0.05, -held.quantity[position], quantity)
    instrument = np.where(kind > 0.95, rng.integers(0, len(held.group), count), instrument)
    return account, instrument, quantity


class _Peer:
    """Fills one at a time, on dictionaries."""

    def __init__(self, held: Positions, risk: np.ndarray, limits: np.ndarray, accounts: np.ndarray) -> None:
        self._losses, self._group, self._limits = -risk, held.group.tolist(), limits
        self._held: dict[int, dict[int, dict[int, float]]] = {}
        self._worst: dict[int, dict[int, float]] = {}
        for a in accounts.tolist():
            groups: dict[int, dict[int, float]] = {}
            for k in range(held.start[a], held.start[a + 1]):
                i = int(held.instrument[k])
                groups.setdefault(self._group[i], {})[i] = float(held.quantity[k])
            self._held[a] = groups
            self._worst[a] = {g: self._worst_loss(positions) for g, positions in groups.items()}

    def _worst_loss(self, held: dict[int, float]) -> float:
        return max(0.0, float((np.array(list(held.values())) @ self._losses[list(held)]).max())) if held else 0.0

    def fill(self, account: int, instrument: int, quantity: float) -> bool:
        group, worst = self._group[instrument], self._worst[account]
        positions = dict(self._held[account].get(group, {}))
        positions[instrument] = positions.get(instrument, 0.0) + quantity
        if positions[instrument] == 0.0:
            del positions[instrument]
        loss, before = self._worst_loss(positions), sum(worst.values())
        after = before - worst.get(group, 0.0) + loss
        if after > self._limits[account] and after > before:
            return False
        self._held[account][group], worst[group] = positions, loss
        return True
