"""Memory: a journal that ends with its process. For tests, simulations and demonstrations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NoReturn

from crossmargin.clearing import JournalFailed, Record, Snapshot
from crossmargin.storage.heads import Head

SNAPSHOTS_KEPT = 3
"""How many snapshots every journal keeps: the newest ones."""


@dataclass(slots=True, kw_only=True)
class _Kept:
    """What outlives a writer."""

    records: list[Record] = field(default_factory=list)
    by_key: dict[bytes, Record] = field(default_factory=dict)
    snapshots: dict[int, Snapshot] = field(default_factory=dict)
    epoch: int = 0


class MemoryJournal:
    """A journal in memory. `reopened` is what opening the same file again is to the others."""

    __slots__ = ("_epoch", "_failed", "_kept", "_write")

    def __init__(self) -> None:
        self._open(_Kept(), write=True)

    def _open(self, kept: _Kept, *, write: bool) -> None:
        self._kept = kept
        self._write = write
        self._failed = ""
        if write:
            kept.epoch += 1
        self._epoch = kept.epoch if write else 0

    def reopened(self, *, write: bool = True) -> MemoryJournal:
        """Return a new opening of the same records; one that writes fences off every earlier writer."""
        made = MemoryJournal.__new__(MemoryJournal)
        made._open(self._kept, write=write)
        return made

    @property
    def epoch(self) -> int:
        """The epoch of this writer; 0 for a reader."""
        return self._epoch

    def append(self, records: Sequence[Record]) -> None:
        """Keep records, all or none; see `clearing.Journal`."""
        self._alive()
        if not self._write:
            raise JournalFailed("memory: opened to read")
        kept = self._kept
        last = kept.records[-1] if kept.records else None
        head = Head(sequence=last.sequence, hash=last.hash) if last is not None else Head()
        head.moved(records, self._epoch)
        keyed = {record.key: record for record in records if record.key}
        if kept.epoch != self._epoch:
            self._fail(f"fenced: epoch {self._epoch}, and a later writer has epoch {kept.epoch}")
        if len(keyed) < sum(record.key != b"" for record in records) or kept.by_key.keys() & keyed.keys():
            self._fail("an idempotency key is there already")
        kept.records.extend(records)
        kept.by_key.update(keyed)

    def read(self, after: int = 0) -> Iterator[Record]:
        """Yield the records after sequence `after`."""
        self._alive()
        while after < len(self._kept.records):
            yield self._kept.records[after]
            after += 1

    def last(self) -> Record | None:
        """Return the newest record."""
        self._alive()
        return self._kept.records[-1] if self._kept.records else None

    def find(self, key: bytes) -> Record | None:
        """Return the record of an idempotency key."""
        self._alive()
        return self._kept.by_key.get(key)

    def save(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, and only the newest few."""
        self._alive()
        if not self._write:
            raise OSError("memory: opened to read")
        self._kept.snapshots[snapshot.sequence] = snapshot
        for old in sorted(self._kept.snapshots)[:-SNAPSHOTS_KEPT]:
            del self._kept.snapshots[old]

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield the snapshots, newest first."""
        self._alive()
        yield from (self._kept.snapshots[sequence] for sequence in sorted(self._kept.snapshots, reverse=True))

    def close(self) -> None:
        """Refuse everything from now on."""
        self._failed = self._failed or "closed"

    def _alive(self) -> None:
        if self._failed:
            raise JournalFailed(f"memory: {self._failed}")

    def _fail(self, why: str) -> NoReturn:
        self._failed = why
        raise JournalFailed(f"memory: {why}")
