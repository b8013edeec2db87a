"""A million accounts under 16 to 500 scenarios, against SciPy.

The peer is `scipy.sparse` CSR of (account, group) segments times the risk table, the maximum over scenarios,
`np.add.reduceat` over an account's segments; in blocks of 50,000 accounts where its temporaries would not fit, and
in blocks at S = 16 as well where that is faster. That is its fast mode: rows that are segments, not accounts x
groups, and a dense result. For expected shortfall its rows are accounts, and `np.partition` selects.
"""

import os
from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
from scipy.sparse import csr_matrix

from benchmarks.limits import Limits
from benchmarks.live_books import Positions, positions, risk_table
from benchmarks.timing import Row, interleaved, row

ACCOUNTS = 1_000_000
BLOCK = 50_000
THREADS = 2
TAIL = 6


def rows() -> Iterator[Row]:
    """Yield reval-s16, reval-s33, reval-s64, reval-s500 and reval-s500-es."""
    os.environ["CROSSMARGIN_THREADS"] = str(THREADS)
    held = positions(ACCOUNTS)
    book, (segment, of_account), limits = held.book(), held.segments(), Limits(THREADS)
    count, segments = len(held.quantity), len(segment) - 1
    # A position's quantity and number, a segment's owner, an account's result.
    touched = 10.0 * count + 2.0 * segments + 8.0 * ACCOUNTS
    for scenarios, rounds in ((16, 21), (33, 11), (64, 11), (500, 3)):
        risk = risk_table(len(held.group), scenarios)
        # The scenario without a move, which costs the peer a column and us nothing.
        if scenarios == 33:
            risk[:, 0] = 0.0
        peer = partial(_worst_losses, held, segment, of_account, -risk)
        work: dict[str, Callable[[], object]] = {"ours": partial(book.worst_losses, risk), **limits.work()}
        if scenarios <= 64:
            work |= {"whole": partial(peer, ACCOUNTS)} if scenarios == 16 else {}
            work["blocks"] = partial(peer, BLOCK)
            ms = interleaved(work, rounds)
        else:
            ms = interleaved(work, 5) | interleaved({"blocks": partial(peer, BLOCK)}, 1)
        assert np.allclose(book.worst_losses(risk), peer(BLOCK), rtol=1e-9)
        mode = min((m for m in ("whole", "blocks") if m in ms), key=ms.__getitem__)
        yield row(
            f"reval-s{scenarios}",
            ours_ms=ms["ours"],
            peer=f"scipy.sparse CSR of segments, {mode}",
            peer_ms=ms[mode],
            floor_ms=limits.floor_ms(bytes_touched=touched, flops=2.0 * count * scenarios),
            size=ACCOUNTS,
            threads=THREADS,
        )
    yield _shortfall(held, risk, limits, touched)


def _shortfall(held: Positions, risk: np.ndarray, limits: Limits, touched: float) -> Row:
    book, scenarios = held.book(), risk.shape[1]
    ms = interleaved({"ours": partial(book.expected_shortfall, risk, TAIL), **limits.work()}, 5)
    # The peer takes ten times as long as everything else here: a tenth of the accounts, scaled.
    part = ACCOUNTS // 10
    ms |= interleaved({"peer": partial(_shortfalls, held, -risk, part)}, 3)
    assert np.allclose(book.expected_shortfall(risk, TAIL)[:part], _shortfalls(held, -risk, part), rtol=1e-9)
    return row(
        "reval-s500-es",
        ours_ms=ms["ours"],
        peer="scipy.sparse CSR of accounts + np.partition",
        peer_ms=ms["peer"] * ACCOUNTS / part,
        floor_ms=limits.floor_ms(bytes_touched=touched, flops=2.0 * len(held.quantity) * scenarios),
        size=ACCOUNTS,
        threads=THREADS,
    )


def _worst_losses(
    held: Positions, segment: np.ndarray, of_account: np.ndarray, losses: np.ndarray, block: int
) -> np.ndarray:
    out = np.empty(held.accounts)
    for low in range(0, held.accounts, block):
        high = min(low + block, held.accounts)
        first, end = of_account[low], of_account[high]
        at = segment[first : end + 1]
        part = slice(at[0], at[-1])
        matrix = csr_matrix(
            (held.quantity[part], held.instrument[part], at - at[0]), shape=(end - first, len(losses)), copy=False
        )
        worst = np.maximum((matrix @ losses).max(axis=1), 0.0)
        out[low:high] = np.add.reduceat(worst, of_account[low:high] - first)
    return out


def _shortfalls(held: Positions, losses: np.ndarray, accounts: int) -> np.ndarray:
    out = np.empty(accounts)
    kept = losses.shape[1] - TAIL
    for low in range(0, accounts, BLOCK):
        high = min(low + BLOCK, accounts)
        start = held.start[low : high + 1]
        part = slice(start[0], start[-1])
        matrix = csr_matrix(
            (held.quantity[part], held.instrument[part], start - start[0]), shape=(high - low, len(losses)), copy=False
        )
        worst = np.partition(matrix @ losses, kept, axis=1)[:, kept:]
        out[low:high] = np.maximum(worst.mean(axis=1), 0.0)
    return out
