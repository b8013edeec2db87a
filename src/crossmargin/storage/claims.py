"""Claims: the side file by which one process is a journal's only writer, and what it knows to be acknowledged."""

from __future__ import annotations

import fcntl
import hashlib
import os
import struct
import time
from contextlib import suppress
from pathlib import Path

from crossmargin.clearing import JournalFailed
from crossmargin.errors import InvalidFile

_NOTE = struct.Struct(">QQ16s")
_TRIES, _PAUSE_SECONDS = 20, 0.05
_NETWORK = frozenset(["9p", "afs", "ceph", "cifs", "fuse.sshfs", "glusterfs", "lustre", "nfs", "nfs4", "smb3", "smbfs"])
_MOUNTS = Path("/proc/self/mounts")


class Claim:
    """The lock of a journal's writer. It goes with the process, however that ends; the file stays.

    Into the file goes the newest sequence that was acknowledged, without a sync: after a loss of power it may be an
    older one or none, which says less but nothing wrong. A journal that ends before it has lost what somebody was
    told is safe: a write-ahead log cut short by a damaged frame looks like one that was never longer.
    """

    __slots__ = ("_handle",)

    def __init__(self, journal: Path) -> None:
        """Take the lock of a journal; JournalFailed where another process has it, OSError where it cannot be made."""
        handle = os.open(side_file(journal), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        self._handle = handle
        try:
            _lock(handle)
            # The same again, with the number of this process for whoever is kept out.
            self.note(_noted(os.pread(handle, _NOTE.size, 0))[0])
        except BlockingIOError:
            _, writer = _noted(os.pread(handle, _NOTE.size, 0))
            self.close()
            by = f"process {writer}" if writer else "another process"
            raise JournalFailed(f"{journal}: found that {by} is writing this journal; allowed: one writer") from None
        except BaseException:
            self.close()
            raise

    def note(self, sequence: int) -> None:
        """Note that everything up to `sequence` was acknowledged."""
        os.pwrite(self._handle, _note(sequence), 0)

    def close(self) -> None:
        """Let go of the lock."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1


def _lock(handle: int) -> None:
    """Lock a file; BlockingIOError where another process has it and keeps it."""
    # One that is ending, or a child that is only just starting, has it for a moment more.
    for _ in range(_TRIES):
        with suppress(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        time.sleep(_PAUSE_SECONDS)
    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def side_file(journal: Path) -> Path:
    """Return where the claim of a journal is."""
    return Path(f"{journal}-writer")


def acknowledged(journal: Path) -> int:
    """Return the newest sequence that is known to be acknowledged; 0 where the side file says nothing."""
    try:
        return _noted(side_file(journal).read_bytes())[0]
    except FileNotFoundError:
        return 0


def refuse_network(folder: Path, mounts: str | None = None) -> None:
    """Raise InvalidFile where a folder is on a network file system: locks and syncs are not to be relied on there.

    mounts: text like that of /proc/self/mounts; None reads it, and nothing is refused where there is none.
    """
    if mounts is None:
        mounts = _MOUNTS.read_text(errors="replace") if _MOUNTS.exists() else ""
    place = folder.resolve()
    found, kind = -1, ""
    for line in mounts.splitlines():
        _, point, type_, *_ = line.split(" ")
        mounted = Path(point.replace("\\040", " "))
        # The deepest mount counts, and the later of two on the same point hides the earlier.
        if (place == mounted or mounted in place.parents) and len(mounted.parts) >= found:
            found, kind = len(mounted.parts), type_
    if kind in _NETWORK:
        raise InvalidFile(str(folder), f"a network file system ({kind})", "a disk of this machine, or postgresql://")


def _note(sequence: int) -> bytes:
    return _NOTE.pack(sequence, os.getpid(), _check(sequence, os.getpid()))


def _noted(stored: bytes) -> tuple[int, int]:
    """Return (sequence, process) of a note, (0, 0) where it is none."""
    if len(stored) != _NOTE.size:
        return 0, 0
    sequence, process, check = _NOTE.unpack(stored)
    return (sequence, process) if check == _check(sequence, process) else (0, 0)


def _check(sequence: int, process: int) -> bytes:
    return hashlib.sha256(struct.pack(">QQ", sequence, process)).digest()[:16]
