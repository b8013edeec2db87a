"""Crash points: journals at work on a disk that remembers, crashed after every I/O, opened with our own code.

`python -m tests.storage.crash_points 300000` looks at so many images and prints what it saw.
"""

import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import apsw

from crossmargin.clearing import JournalCorrupt, JournalFailed, Record, chained
from crossmargin.errors import InvalidFile
from crossmargin.storage import sqlite
from crossmargin.storage.sqlite import SqliteJournal
from tests.storage.disk import Disk, put

SHM = Path("/dev/shm")
LOSSES = ((0, 0.0), (0, 0.5), (512, 0.5), (4096, 0.5), (512, 0.9))
"""Losses of power after each I/O: (size of a sector, 0 for whole writes; chance that one is kept)."""


@dataclass
class Seen:
    """What the images of some workloads were."""

    images: Counter[str] = field(default_factory=Counter)
    lost: list[str] = field(default_factory=list)
    phantoms: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    commits: int = 0
    operations: Counter[str] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        return self.images.total()

    def add(self, other: "Seen") -> None:
        self.images += other.images
        self.lost += other.lost
        self.phantoms += other.phantoms
        self.broken += other.broken
        self.commits += other.commits
        self.operations += other.operations


class Workload:
    """A house at work on one journal: commits of some records, closing and opening again, all drawn from a seed."""

    def __init__(self, seed: int, folder: Path, commits: int, synchronous: str, most: int) -> None:
        self.rng = random.Random(seed)
        self.seen = Seen()
        self.most = most
        self.commits = commits
        self.synchronous = synchronous
        self.path = folder / "house.db"
        self.image = folder / "image.db"
        self.disk = Disk()
        self.attempted: list[Record] = []
        self.acknowledged = 0
        self.epoch = 0
        self.payload = self.rng.choice((20, 100, 900))
        self.page = self.rng.choice((512, 1024, 4096))
        self.checkpoint = self.rng.choice((6, 15, 40))

    def run(self) -> Seen:
        try:
            with patch.object(sqlite, "_CHECKPOINT_PAGES", self.checkpoint):
                self.disk.after = self.crashed
                self.with_pages()
                while self.seen.commits < self.commits and not self.full():
                    self.opening()
        finally:
            self.disk.unregister()
        return self.seen

    def with_pages(self) -> None:
        """Make the file with pages of a size of its own; smaller ones are more of them."""
        connection = apsw.Connection(str(self.path), vfs=self.disk.name)
        connection.pragma("page_size", self.page)
        connection.execute("VACUUM")
        connection.close()

    def opening(self) -> None:
        journal = SqliteJournal(self.path, vfs=self.disk.name)
        try:
            if self.synchronous:
                assert journal._writing is not None
                journal._writing.pragma("synchronous", self.synchronous)
            self.epoch = journal.epoch
            for _ in range(self.rng.randint(5, 40)):
                if self.seen.commits >= self.commits or self.full():
                    break
                size = self.rng.choice((1, 1, 1, 2, 5))
                batch = [self.record() for _ in range(size)]
                journal.append(batch)
                self.acknowledged += size
                self.seen.commits += 1
        finally:
            journal.close()

    def record(self) -> Record:
        before = self.attempted[-1] if self.attempted else None
        number = before.sequence + 1 if before is not None else 1
        # Now and then one that takes pages of its own.
        size = 6_000 if self.rng.random() < 0.02 else self.rng.randint(0, self.payload)
        key = b"key-%d" % number if number % 3 else b""
        record = chained(before, self.epoch, number, key, self.rng.randbytes(size))
        self.attempted.append(record)
        return record

    def full(self) -> bool:
        return self.seen.total >= self.most

    def crashed(self, operation: str) -> None:
        """Look at what a crash right after this operation may leave."""
        self.seen.operations[operation] += 1
        if self.full():
            return
        self.look("kill", self.disk.killed())
        for sector, keep in LOSSES:
            self.look(f"power, sectors of {sector}" if sector else "power", self.disk.unplugged(self.rng, sector, keep))

    def look(self, kind: str, image: dict[str, bytes]) -> None:
        """Open an image and compare what is in it with what was attempted and acknowledged."""
        self.seen.images[kind] += 1
        put(image, self.path, self.image)
        write = self.acknowledged == 0 or self.seen.total % 16 == 0
        place = f"{kind}, image {self.seen.total}, {self.acknowledged} of {len(self.attempted)} acknowledged"
        try:
            found = self.opened(write)
        except (JournalCorrupt, JournalFailed, InvalidFile, AssertionError) as error:
            self.seen.broken.append(f"{place}: {error!r}")
            return
        if len(found) < self.acknowledged:
            self.seen.lost.append(f"{place}: {len(found)} found")
        if len(found) > len(self.attempted) or found != self.attempted[: len(found)]:
            self.seen.phantoms.append(f"{place}: {len(found)} found")

    def opened(self, write: bool) -> list[Record]:
        journal = SqliteJournal(self.image, write=write)
        try:
            found = list(journal.read())
            if write:
                # An epoch that was handed out is never handed out again, and the journal goes on.
                assert journal.epoch > (found[-1].epoch if found else 0)
                last = found[-1] if found else None
                more = chained(last, journal.epoch, 1 + (last.time if last else 0), b"", b"after the crash")
                journal.append([more])
                assert journal.last() == more
            return found
        finally:
            journal.close()


def enumerated(seed: int, *, most: int, commits: int = 60, synchronous: str = "") -> Seen:
    """Run the workload of a seed and return what its crash images were, `most` or a few more.

    synchronous: what the journal is made to use in place of its own setting.
    """
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as folder:
        return Workload(seed, Path(folder), commits, synchronous, most).run()


def _part(seed_most: tuple[int, int]) -> Seen:
    return enumerated(seed_most[0], most=seed_most[1])


def main() -> int:
    wanted = int(sys.argv[1]) if len(sys.argv) > 1 else 300_000
    started, seen, seed = time.perf_counter(), Seen(), 0
    with ProcessPoolExecutor() as pool:
        while seen.total < wanted:
            for part in pool.map(_part, [(seed + k, 20_000) for k in range(8)]):
                seen.add(part)
            seed += 8
    seconds = time.perf_counter() - started
    print(f"{seen.total:,} images of {seed} workloads, {seen.commits:,} commits, in {seconds:.0f} s")
    for kind, number in seen.images.items():
        print(f"  {kind:24} {number:,}")
    print(f"  after: {', '.join(f'{number:,} {name}s' for name, number in seen.operations.items())}")
    for name, wrong in (("lost", seen.lost), ("phantoms", seen.phantoms), ("broken", seen.broken)):
        print(f"  {name}: {len(wrong)}")
        for line in wrong[:5]:
            print(f"      {line}")
    return 1 if seen.lost or seen.phantoms or seen.broken else 0


if __name__ == "__main__":
    sys.exit(main())
