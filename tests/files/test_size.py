"""Big input is read in memory that grows with it, at a tenth of what is promised for a million accounts."""

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

from crossmargin.files import read_book
from tests.files.books import TIME

ACCOUNTS, EACH = 100_000, 10
SYMBOLS = [f"X{k:03d}-PERP" for k in range(200)]
# Peak memory of this program alone: getrusage would also tell of the process it was forked from.
READ = """
import json, re, sys
from pathlib import Path
from crossmargin.files import read_book
book = read_book(sys.argv[1]).book
peak = int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1])
print(json.dumps({"positions": len(book.positions), "mebibytes": peak / 1024}))
"""


def instruments():
    return [{"symbol": name, "type": "perpetual", "underlying": name[:4], "quote": "USD"} for name in SYMBOLS]


@pytest.mark.skipif(sys.platform != "linux", reason="reads peak memory as Linux reports it")
@pytest.mark.parametrize("shuffled", [False, True])
def test_a_million_positions_load_from_parquet_without_a_python_object_each(shuffled, tmp_path):
    rng = np.random.default_rng(7)
    ids = pl.Series("id", [f"account-{k:07d}" for k in range(ACCOUNTS)])
    account = np.repeat(np.arange(ACCOUNTS), EACH)
    symbol = (np.tile(np.arange(EACH), ACCOUNTS) * 17 + account * 7) % len(SYMBOLS)
    rows = pl.DataFrame(
        {
            "account": ids.gather(account),
            "symbol": pl.Series(SYMBOLS).gather(symbol),
            "quantity": np.round(rng.normal(0, 10, len(account)), 3),
            "entry_price": np.round(rng.uniform(90, 110, len(account)), 2),
        }
    )
    (tmp_path / "book.json").write_text(json.dumps({"time": TIME}))
    (tmp_path / "instruments.json").write_text(json.dumps(instruments()))
    ids.to_frame().write_parquet(tmp_path / "accounts.parquet")
    (rows.sample(fraction=1.0, shuffle=True, seed=1) if shuffled else rows).write_parquet(
        tmp_path / "positions.parquet"
    )

    done = subprocess.run([sys.executable, "-c", READ, str(tmp_path)], check=True, capture_output=True, text=True)

    measured = json.loads(done.stdout)
    assert measured["positions"] == ACCOUNTS * EACH
    # The interpreter with polars takes 130 MiB, more with more cores; an object a row would take as much again.
    assert measured["mebibytes"] < 500


def test_a_hundred_thousand_positions_in_one_account_are_read(tmp_path):
    rows = [{"symbol": SYMBOLS[k % 200], "quantity": f"{k % 7 - 3}.1", "entry_price": 100} for k in range(100_000)]
    document = {"time": TIME, "instruments": instruments(), "accounts": [{"id": "a", "positions": rows}]}
    (tmp_path / "book.json").write_text(json.dumps(document))
    book = read_book(tmp_path / "book.json").book
    assert len(book.positions) == 200
    assert book.positions.quantity.sum() == pytest.approx(sum(float(row["quantity"]) for row in rows))
