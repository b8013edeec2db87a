"""Growth: one dimension at a time around 100,000 accounts x 10 positions x 16 scenarios x 2,000 instruments.

The exponent is fitted by least squares to the logarithms of size and time, over sizes from 10,000 up (all sizes
where the dimension does not reach that far); 1.0 is proportional. The sizes of one dimension are timed in turn.
"""

import os
from collections.abc import Iterator
from functools import partial

import numpy as np

from benchmarks.live_books import positions, risk_table
from benchmarks.timing import Row, interleaved, row

BASE = {"accounts": 100_000, "positions": 10, "scenarios": 16, "instruments": 2000}
SIZES = {
    "accounts": [1_000, 10_000, 100_000, 1_000_000],
    "positions": [1, 3, 10, 30, 100],
    "scenarios": [16, 32, 64, 128, 256, 512],
    "instruments": [200, 2_000, 20_000, 200_000],
}
MOST_POSITIONS = 20_000_000
ROUNDS = 9


def rows() -> Iterator[Row]:
    """Yield growth-accounts, growth-positions, growth-scenarios and growth-instruments, on one thread."""
    os.environ["CROSSMARGIN_THREADS"] = "1"
    for dimension, sizes in SIZES.items():
        work, held = {}, {}
        for size in sizes:
            at = {**BASE, dimension: size}
            drawn = positions(at["accounts"], each=at["positions"], instruments=at["instruments"])
            assert len(drawn.quantity) <= MOST_POSITIONS
            risk = risk_table(at["instruments"], at["scenarios"])
            work[str(size)] = partial(drawn.book().worst_losses, risk)
            held[size] = len(drawn.quantity)
        ms = interleaved(work, ROUNDS)
        # Positions an account grow by what is held: drawn twice, an instrument is one position.
        axis = {size: held[size] if dimension == "positions" else size for size in sizes}
        fitted = [size for size in sizes if axis[size] >= 10_000] if dimension != "scenarios" else sizes
        fitted = fitted if len(fitted) > 1 else sizes
        slope = np.polyfit(np.log([axis[s] for s in fitted]), np.log([ms[str(s)] for s in fitted]), 1)[0]
        print(dimension, {size: round(ms[str(size)], 3) for size in sizes})
        yield row(f"growth-{dimension}", ours_ms=ms[str(sizes[-1])], size=sizes[-1], exponent=float(slope))
