"""Flips: a journal with one bit of its files changed, opened and read with our own code.

`python -m tests.storage.flips` goes through every bit of a closed journal, and one of each byte of a log.
"""

import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import apsw

from crossmargin.clearing import Journal, JournalCorrupt, JournalFailed, Record, check_chain
from crossmargin.errors import InvalidFile
from crossmargin.storage import open_journal
from crossmargin.storage.sqlite import SqliteJournal
from tests.contracts.journals import records
from tests.storage.crash_points import SHM

RECORDS = 64
MADE = records(RECORDS, size=16)


def written(path: Path) -> Journal:
    """Return a journal at `path` with a record a commit, in pages so small that they are many."""
    connection = apsw.Connection(str(path))
    connection.pragma("page_size", 512)
    connection.execute("VACUUM")
    connection.close()
    journal = open_journal(path)
    for record in MADE:
        journal.append([record])
    return journal


def outcome(path: Path, made: list[Record]) -> str:
    """Return "harmless" where all is as it was written, "noticed" where an error says it is not, "missed" else."""
    try:
        journal = SqliteJournal(path, write=False)
    except (InvalidFile, JournalCorrupt, JournalFailed):
        return "noticed"
    try:
        before: Record | None = None
        found = []
        for record in journal.read():
            check_chain(before, record)
            found.append(record)
            before = record
        same = found == made and all(journal.find(record.key) == record for record in made)
        return "harmless" if same else "missed"
    except (JournalCorrupt, JournalFailed):
        return "noticed"
    finally:
        journal.close()


def flipped(journal: Path, path: Path, made: list[Record], bits: Iterable[tuple[int, int]]) -> Counter[str]:
    """Return how many flips of a bit of `path`, given as (byte, bit), were noticed, harmless and missed."""
    seen: Counter[str] = Counter()
    handle = os.open(path, os.O_RDWR)
    try:
        content = path.read_bytes()
        for byte, bit in bits:
            os.pwrite(handle, bytes([content[byte] ^ (1 << bit)]), byte)
            seen[outcome(journal, made)] += 1
            os.pwrite(handle, content[byte : byte + 1], byte)
    finally:
        os.close(handle)
    return seen


def left_by_a_kill(folder: Path) -> Path:
    """Return a copy of a journal whose writer was killed: most of it is in the log."""
    journal = written(folder / "killed.db")
    path = folder / "copy.db"
    for suffix in ("", "-wal", "-writer"):
        shutil.copyfile(f"{folder / 'killed.db'}{suffix}", f"{path}{suffix}")
    journal.close()
    return path


def main() -> int:
    missed = 0
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as name:
        folder = Path(name)
        closed = folder / "closed.db"
        written(closed).close()
        killed = left_by_a_kill(folder)
        log = Path(f"{killed}-wal")
        every = [(byte, bit) for byte in range(closed.stat().st_size) for bit in range(8)]
        one = [(byte, byte % 8) for byte in range(log.stat().st_size)]
        for what, journal, path, bits in (("file", closed, closed, every), ("log", killed, log, one)):
            started = time.perf_counter()
            seen = flipped(journal, path, MADE, bits)
            seconds = time.perf_counter() - started
            told = ", ".join(f"{seen[kind]:,} {kind}" for kind in ("noticed", "harmless", "missed"))
            print(f"{len(bits):,} bits of the {what} of {RECORDS} records: {told}, in {seconds:.0f} s")
            missed += seen["missed"]
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
