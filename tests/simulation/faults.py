"""Faults: a disk, a journal on it and a clock that do what real ones do on bad days, and only when told to.

What the disk keeps is what a loss of power leaves. Nothing here is random: a fault is part of an operation, so that a
failing run can be cut down and still fails the same way.
"""

import hashlib
from dataclasses import dataclass, field, replace

from crossmargin.clearing import JournalFailed, Snapshot

KEPT, LOST = "kept", "lost"
"""What became of records whose append failed: they are on the disk although nobody was told, or they are not."""


@dataclass
class Disk:
    """What survives: records in order, snapshots with their checksums, and who may write."""

    records: list = field(default_factory=list)
    snapshots: list = field(default_factory=list)
    epoch: int = 0
    full: bool = False

    def keys(self):
        """Return {key: record} as an index would have been built from the records."""
        return {record.key: record for record in self.records if record.key}

    def rotten(self, index, bit):
        """Return a copy of the disk in which one bit of one record's payload, hash or head is flipped."""
        copy = Disk(records=list(self.records), epoch=self.epoch)
        record = copy.records[index]
        part = ("payload", "hash", "previous", "key", "time")[bit % 5]
        value = getattr(record, part)
        if isinstance(value, int):
            changed = value ^ (1 << (bit % 60))
        elif value:
            at = bit // 5 % (8 * len(value))
            flipped = bytearray(value)
            flipped[at // 8] ^= 1 << (at % 8)
            changed = bytes(flipped)
        else:
            changed = b"\0"
        copy.records[index] = replace(record, **{part: changed})
        return copy


class SimulatedJournal:
    """A journal on a `Disk`. `fault`: what becomes of the next append's records while it fails; "" for no fault."""

    def __init__(self, disk):
        disk.epoch += 1
        self.epoch = disk.epoch
        self.disk = disk
        self.fault = ""
        self.poisoned = False
        self.keys = disk.keys()

    def append(self, records):
        if self.poisoned:
            raise JournalFailed("failed before")
        failed = self.fault or (LOST if self.disk.full or self.disk.epoch != self.epoch else "")
        if failed:
            self.poisoned = True
        if failed != LOST:
            assert [r.sequence for r in records] == [len(self.disk.records) + 1 + k for k in range(len(records))]
            self.disk.records.extend(records)
            self.keys.update((record.key, record) for record in records if record.key)
        if failed:
            raise JournalFailed(f"simulated: {failed}")

    def read(self, after=0):
        yield from list(self.disk.records[after:])

    def last(self):
        return self.disk.records[-1] if self.disk.records else None

    def find(self, key):
        return self.keys.get(key)

    def save(self, snapshot):
        if self.disk.full:
            raise OSError("simulated: no space left")
        self.disk.snapshots.insert(0, (hashlib.sha256(snapshot.data).digest(), snapshot))
        del self.disk.snapshots[3:]

    def snapshots(self):
        for checksum, snapshot in list(self.disk.snapshots):
            if hashlib.sha256(snapshot.data).digest() == checksum:
                yield snapshot

    def spoil(self):
        """Damage the newest snapshot where it lies."""
        if self.disk.snapshots:
            checksum, kept = self.disk.snapshots[0]
            self.disk.snapshots[0] = (checksum, Snapshot(kept.sequence, kept.record_hash, kept.data[:-1] + b"?"))

    def close(self):
        pass


@dataclass
class Clock:
    """A clock that shows what it is set to, backwards and standing still included."""

    now: int

    def __call__(self):
        return self.now
