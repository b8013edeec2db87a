"""Snapshots in a folder, a file each: what makes opening quick, and harms nothing but time where it is lost."""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from crossmargin.clearing import Snapshot
from crossmargin.storage.memory import SNAPSHOTS_KEPT

_MARK = b"crossmargin snapshot 1\n"
_HEAD = struct.Struct(f">{len(_MARK)}sQ32s32s")


def checksum(sequence: int, record_hash: bytes, data: bytes) -> bytes:
    """Return the SHA-256 over all of a snapshot."""
    made = hashlib.sha256(struct.pack(">Q", sequence) + record_hash)
    made.update(data)
    return made.digest()


class SnapshotFolder:
    """Snapshots beside a journal's file. The folder is made with the first of them."""

    __slots__ = ("_folder",)

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def save(self, snapshot: Snapshot) -> None:
        """Write a snapshot under its own name once all of it is durable; keep the newest few. Raises OSError."""
        self._folder.mkdir(exist_ok=True)
        unfinished = self._folder / "unfinished"
        stamp = checksum(snapshot.sequence, snapshot.record_hash, snapshot.data)
        with unfinished.open("wb") as file:
            file.write(_HEAD.pack(_MARK, snapshot.sequence, snapshot.record_hash, stamp))
            file.write(snapshot.data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(self._folder / f"{snapshot.sequence:020}.snapshot")
        _sync(self._folder)
        for old in self._files()[SNAPSHOTS_KEPT:]:
            old.unlink()

    def all(self) -> Iterator[Snapshot]:
        """Yield the snapshots that are whole, newest first. Nothing is read before it is asked for."""
        for path in self._files():
            try:
                stored = path.read_bytes()
            except OSError:
                # Another process keeps only the newest; one that cannot be read is as good as none.
                continue
            if len(stored) < _HEAD.size:
                continue
            mark, sequence, record_hash, stamp = _HEAD.unpack_from(stored)
            data = stored[_HEAD.size :]
            if mark == _MARK and stamp == checksum(sequence, record_hash, data):
                yield Snapshot(sequence, record_hash, data)

    def _files(self) -> list[Path]:
        return sorted(self._folder.glob("*.snapshot"), reverse=True)


def _sync(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
