"""The journal: what the house may not lose, as a chain of records, and what keeps it for us.

A record is one command and everything that followed from it. Its hash covers the bytes that are stored and the hash of
the record before, so that no record can be changed, left out or slipped in without every later hash being wrong.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from crossmargin.errors import CrossmarginError

GENESIS = bytes(32)
"""What the first record has for the hash of the record before."""
KEY_LENGTH_MAX = 128
"""Longest idempotency key taken, in bytes of UTF-8."""

_HEAD = struct.Struct(">QQqH")


class JournalFailed(CrossmarginError):
    """A journal that could not make records durable, or is somebody else's now; nothing may be acknowledged."""


class JournalCorrupt(CrossmarginError):
    """Stored records that are not what was written: which one, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Record:
    """One command and what followed from it.

    sequence: 1, 2, 3, ... without gaps. epoch: which writer wrote it; never falls. time: nanoseconds since 1970 UTC,
    rising strictly. key: the idempotency key of the command, UTF-8, unique in a journal; empty for none. payload: the
    encoded `Entry`. hash: 32 bytes over all of that and `previous`, the hash of the record before.
    """

    sequence: int
    epoch: int
    time: int
    key: bytes
    payload: bytes
    previous: bytes
    hash: bytes


def chained(previous: Record | None, epoch: int, time: int, key: bytes, payload: bytes) -> Record:
    """Return the record that follows `previous` (None: the first of a journal)."""
    sequence = previous.sequence + 1 if previous is not None else 1
    before = previous.hash if previous is not None else GENESIS
    return Record(sequence, epoch, time, key, payload, before, record_hash(sequence, epoch, time, key, payload, before))


def record_hash(sequence: int, epoch: int, time: int, key: bytes, payload: bytes, previous: bytes) -> bytes:
    """Return the SHA-256 that a record with these contents has."""
    head = _HEAD.pack(sequence, epoch, time, len(key))
    return hashlib.sha256(b"".join((previous, head, key, payload))).digest()


def check_chain(before: Record | None, record: Record) -> None:
    """Raise JournalCorrupt unless `record` is whole and follows `before` (None: it is the first)."""
    place = f"record {record.sequence}"
    follows = before.hash if before is not None else GENESIS
    expected = before.sequence + 1 if before is not None else 1
    if record.sequence != expected:
        raise JournalCorrupt(f"{place}: found where record {expected} must be")
    if record.previous != follows:
        raise JournalCorrupt(f"{place}: does not follow the record before it")
    if before is not None and (record.time <= before.time or record.epoch < before.epoch):
        raise JournalCorrupt(f"{place}: its time or epoch runs backwards")
    check_whole(record)


def check_whole(record: Record) -> None:
    """Raise JournalCorrupt unless a record's contents are what was hashed when it was written."""
    place = f"record {record.sequence}"
    try:
        made = record_hash(record.sequence, record.epoch, record.time, record.key, record.payload, record.previous)
    except struct.error:
        raise JournalCorrupt(f"{place}: its epoch or key is larger than any that was written") from None
    if record.hash != made:
        raise JournalCorrupt(f"{place}: its contents are not what was hashed when it was written")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state after record `sequence`, whose hash is `record_hash`; `data` is what `State.frozen` gave."""

    sequence: int
    record_hash: bytes
    data: bytes


class Journal(Protocol):
    """What keeps records. Opening one to write fences off every earlier writer: `epoch` is one more than any before."""

    @property
    def epoch(self) -> int:
        """The epoch of this writer; 0 for a reader."""

    def append(self, records: Sequence[Record]) -> None:
        """Make records durable, all or none, in order; when this returns they survive a loss of power.

        Raises JournalFailed where that is not sure (disk full, sync error, fenced by a later writer) and from then on
        at every call: what was written may or may not be there, and only opening anew can tell.
        """

    def read(self, after: int = 0) -> Iterator[Record]:
        """Yield the records after sequence `after`, in order. Records are as stored: `check_chain` is the reader's."""

    def last(self) -> Record | None:
        """Return the newest record."""

    def find(self, key: bytes) -> Record | None:
        """Return the record of an idempotency key."""

    def save(self, snapshot: Snapshot) -> None:
        """Keep a snapshot beside the records. A snapshot that cannot be kept harms nothing but time: OSError."""

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield the snapshots that are whole, newest first; a damaged one is left out."""

    def close(self) -> None:
        """Let go of the files or connections. Closing twice is harmless."""
