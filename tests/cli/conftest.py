"""Two ways to run a command line: in a process of its own, as people do, and in this one, which is quicker."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass

import pytest

from crossmargin.cli import main


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def document(self):
        """stdout as one JSON document without NaN or infinities."""
        return json.loads(self.out, parse_constant=pytest.fail)


def command(*arguments, stdin="", **environment):
    """Run `python -m crossmargin` with nothing of this terminal's in its environment."""
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    done = subprocess.run(
        [sys.executable, "-m", "crossmargin", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        env={**clean, **environment},
        timeout=600,
        check=False,
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@pytest.fixture
def crossmargin(capsys, monkeypatch):
    """Run a command line in this process."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)

    def run(*arguments):
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return Ran(code, captured.out, captured.err)

    return run


@pytest.fixture
def small_book(tmp_path):
    """Write a book of one perpetual; the keywords of the call replace parts of the account."""

    def write(name="book.json", **account):
        path = tmp_path / name
        perpetual = {"symbol": "BTC-PERP", "type": "perpetual", "underlying": "BTC", "quote": "USD"}
        book = {
            "time": "2026-11-20T08:00:00Z",
            "rules": "grid",
            "instruments": [{**perpetual, "asset_class": "crypto"}],
            "market": {"prices": {"BTC": 64000}},
            "accounts": [
                {
                    "id": "alice",
                    "balances": {"USD": 50000},
                    "positions": [{"symbol": "BTC-PERP", "quantity": 1, "entry_price": 63000}],
                    **account,
                }
            ],
        }
        path.write_text(json.dumps(book))
        return path

    return write
