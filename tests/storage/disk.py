"""A disk that remembers: an SQLite VFS that writes down every I/O, fails on demand, and tells what a crash leaves.

A killed process leaves every write it made. A loss of power leaves what was synced, and of the rest any part in any
order: whole writes or single sectors of them. A failed sync leaves its writes readable and off the disk for good,
which is what Linux does: a later sync says all is well.
"""

import os
import random
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import apsw

_names = count()


@dataclass
class File:
    """One file: what is on the disk, and the writes and truncations that no sync has put there yet."""

    there: bool = True
    durable: bytearray | None = None
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """(offset, data) of a write, (size, None) of a truncation."""
    deleted: bytearray | None = None
    """What had this name before and comes back with a loss of power, until the folder is synced."""

    def synced(self) -> None:
        self.durable = applied(self.durable, self.pending)
        self.pending = []


def applied(content: bytearray | None, changes: list[tuple[int, bytes | None]]) -> bytearray:
    made = bytearray(content or b"")
    for offset, data in changes:
        if data is None:
            del made[offset:]
            made.extend(bytes(offset - len(made)))
        else:
            made.extend(bytes(max(0, offset - len(made))))
            made[offset : offset + len(data)] = data
    return made


class Disk(apsw.VFS):
    """The machine's own VFS with a memory. `faults` maps an operation to the numbers of its calls that fail.

    operations: "write", "sync"; the first call is 1. An error that has begun goes on (`lasting`) or is told once.
    """

    def __init__(self, lasting: bool = True) -> None:
        self.name = f"disk{next(_names)}"
        self.files: dict[str, File] = {}
        self.calls = {"write": 0, "sync": 0}
        self.fails: dict[str, int] = {}
        self.lasting = lasting
        self.after: Callable[[str], object] = lambda _: None
        """Called after every operation that changes what a crash may leave."""
        super().__init__(self.name, "")

    def xOpen(self, name: Any, flags: list[int]) -> apsw.VFSFile:  # noqa: N802
        return _Recorded(self, name, flags)

    def xDelete(self, name: str, sync_folder: bool) -> None:  # noqa: N802
        super().xDelete(name, sync_folder)
        self.files[name] = File(there=False, deleted=self.files[name].durable)
        if sync_folder:
            self.folder_synced()
        self.after("delete")

    def folder_synced(self) -> None:
        for file in self.files.values():
            file.deleted = None

    def fail(self, operation: str, error: type[apsw.Error]) -> None:
        """Count a call, and raise `error` where its turn to fail has come."""
        self.calls[operation] += 1
        at = self.fails.get(operation)
        if at is not None and (self.calls[operation] == at or (self.lasting and self.calls[operation] > at)):
            raise error(f"{operation} number {self.calls[operation]} fails")

    def killed(self) -> dict[str, bytes]:
        """Return the files as a killed process leaves them."""
        return {name: bytes(applied(file.durable, file.pending)) for name, file in self.files.items() if file.there}

    def unplugged(self, rng: random.Random, sector: int, keep: float) -> dict[str, bytes]:
        """Return the files as a loss of power may leave them: each sector not synced is kept with chance `keep`."""
        images = {}
        for name, file in self.files.items():
            if file.deleted is not None and rng.random() < 0.5:
                images[name] = bytes(file.deleted)
                continue
            kept: list[tuple[int, bytes | None]] = []
            for offset, data in file.pending:
                if data is None:
                    kept += [(offset, None)] * (rng.random() < keep)
                elif sector == 0:
                    kept += [(offset, data)] * (rng.random() < keep)
                else:
                    kept += [piece for piece in sectors(offset, data, sector) if rng.random() < keep]
            if file.durable is not None or kept:
                images[name] = bytes(applied(file.durable, kept))
        return images


def sectors(offset: int, data: bytes, size: int) -> Iterator[tuple[int, bytes]]:
    """Yield a write cut where the sectors of the disk are."""
    start = 0
    while start < len(data):
        end = min(len(data), start + size - (offset + start) % size)
        yield offset + start, data[start:end]
        start = end


class _Recorded(apsw.VFSFile):
    def __init__(self, disk: Disk, name: Any, flags: list[int]) -> None:
        self.disk = disk
        self.path = name.filename() if isinstance(name, apsw.URIFilename) else name
        super().__init__("", name, flags)
        self.file = disk.files.setdefault(self.path, File())
        self.file.there = True

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        self.disk.fail("write", apsw.FullError)
        super().xWrite(data, offset)
        self.file.pending.append((offset, bytes(data)))
        self.disk.after("write")

    def xTruncate(self, size: int) -> None:  # noqa: N802
        super().xTruncate(size)
        self.file.pending.append((size, None))
        self.disk.after("truncate")

    def xSync(self, flags: int) -> None:  # noqa: N802
        try:
            self.disk.fail("sync", apsw.IOError)
        except apsw.IOError:
            # Off the disk for good, unless they are written again.
            self.file.pending.clear()
            raise
        super().xSync(flags)
        if self.file.durable is None and self.path.endswith(("-wal", "-journal")):
            # SQLite syncs the folder together with a log it has just made.
            self.disk.folder_synced()
        self.file.synced()
        self.disk.after("sync")


def put(images: dict[str, bytes], source: Path, target: Path) -> None:
    """Write the files of an image, whose journal was at `source`, as those of a journal at `target`."""
    for suffix in ("", "-wal", "-journal"):
        content = images.get(f"{source}{suffix}")
        if content is not None:
            with open(f"{target}{suffix}", "wb") as file:
                file.write(content)
        else:
            _removed(f"{target}{suffix}")
    for suffix in ("-shm", "-writer"):
        _removed(f"{target}{suffix}")


def _removed(path: str) -> None:
    # Often, and a Path takes longer than the file.
    with suppress(FileNotFoundError):
        os.unlink(path)
