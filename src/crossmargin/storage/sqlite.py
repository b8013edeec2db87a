"""SQLite: a journal in a file of this machine, through apsw.

WAL with `synchronous=FULL`: a commit returns after its frames are on the disk. Two connections: one writes, one reads
what is committed, so that keys can be looked up while a commit waits for the disk. Checkpoints are asked for and not
left to SQLite, which would keep a failed one to itself.

Beside `name`: `name-wal` and `name-shm` (SQLite's), `name-writer` (the claim), `name-snapshots`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from operator import attrgetter
from pathlib import Path
from typing import Any, NoReturn

import apsw

from crossmargin.clearing import JournalCorrupt, JournalFailed, Record, Snapshot, check_whole
from crossmargin.errors import InvalidFile
from crossmargin.storage.claims import Claim, acknowledged, refuse_network, side_file
from crossmargin.storage.heads import Head
from crossmargin.storage.snapshots import SnapshotFolder

SCHEMA_VERSION = 1
_APPLICATION = 0x786D6A31
"""What says in the file's header that it is a journal of ours: "xmj1"."""
_CHECKPOINT_PAGES = 4_000
_READ_AT_ONCE = 2_000
_CACHE_KIBIBYTES = 64_000
"""Keys are scattered over their index; pages that do not fit would be written several times in one commit."""
_BUSY_MILLISECONDS = 5_000
_COLUMNS = "sequence, epoch, time, key, payload, previous, hash"
# Text that is no text is found by Python, not by SQLite.
_DAMAGE = (apsw.CorruptError, UnicodeDecodeError)
_TYPES = (int, int, int, bytes, bytes, bytes, bytes)

_SCHEMA = (
    """CREATE TABLE records (
    sequence INTEGER PRIMARY KEY,
    epoch INTEGER NOT NULL,
    time INTEGER NOT NULL,
    key BLOB NOT NULL,
    payload BLOB NOT NULL,
    previous BLOB NOT NULL,
    hash BLOB NOT NULL
) STRICT""",
    "CREATE UNIQUE INDEX records_by_key ON records (key) WHERE key <> x''",
    # One row. It moves with every append in the same transaction: a writer whose epoch or end it is not is fenced, and
    # records missing at the end are missed.
    """CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    epoch INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    hash BLOB NOT NULL
) STRICT""",
    # Stronger than a unique index on `previous`, and a tenth of its cost: hashes are spread all over an index.
    """CREATE TRIGGER records_follow BEFORE INSERT ON records
WHEN NEW.sequence <> 1 AND NEW.previous IS NOT (SELECT hash FROM records WHERE sequence = NEW.sequence - 1)
BEGIN SELECT RAISE(ABORT, 'a record must follow the one before it'); END""",
    """CREATE TRIGGER records_stay BEFORE DELETE ON records
BEGIN SELECT RAISE(ABORT, 'records are never deleted'); END""",
    """CREATE TRIGGER records_unchanged BEFORE UPDATE ON records
BEGIN SELECT RAISE(ABORT, 'records are never changed'); END""",
    """CREATE TRIGGER head_stays BEFORE DELETE ON head
BEGIN SELECT RAISE(ABORT, 'the head is never deleted'); END""",
    """CREATE TRIGGER head_rises BEFORE UPDATE ON head
WHEN NEW.epoch < OLD.epoch OR NEW.sequence < OLD.sequence
BEGIN SELECT RAISE(ABORT, 'the head never goes back'); END""",
)

_values = attrgetter("sequence", "epoch", "time", "key", "payload", "previous", "hash")


class SqliteJournal:
    """A journal in a file. One thread may append while another reads; no more than that."""

    __slots__ = (
        "_claim",
        "_epoch",
        "_failed",
        "_head",
        "_path",
        "_reading",
        "_snapshots",
        "_unsound",
        "_wal_pages",
        "_writing",
    )

    def __init__(self, path: Path, *, write: bool = True, vfs: str | None = None) -> None:
        """Open the file at `path`, made where absent and `write`. See `open_journal` for what is raised.

        A damaged file is opened to be read as far as it goes, and not to be written.
        The whole file is looked through (`integrity_check`), some three seconds for each million records.
        vfs: the name of the apsw.VFS to go through; None is the machine's own.
        """
        self._path = path
        self._failed = self._unsound = ""
        self._epoch = 0
        self._wal_pages = 0
        self._claim: Claim | None = None
        self._writing: apsw.Connection | None = None
        self._reading: apsw.Connection | None = None
        self._snapshots = SnapshotFolder(Path(f"{path}-snapshots"))
        try:
            self._open(write, vfs)
        except apsw.NotADBError:
            self.close()
            raise InvalidFile(str(path), "a file that is no SQLite database", "a journal of crossmargin") from None
        except _DAMAGE as error:
            self.close()
            raise JournalCorrupt(f"{path}: {error}") from None
        except (apsw.Error, OSError) as error:
            self.close()
            raise JournalFailed(f"{path}: cannot be opened: {error}") from error
        except BaseException:
            self.close()
            raise

    def _open(self, write: bool, vfs: str | None) -> None:
        path = self._path
        if not path.parent.is_dir():
            raise InvalidFile(str(path), "no folder to be in", "a file in a folder that is there")
        if path.is_dir() or not (write or path.exists()):
            raise InvalidFile(str(path), "a folder" if path.is_dir() else "no file", "a journal of crossmargin")
        if write:
            refuse_network(path.parent)
            self._claim = Claim(path)
            self._writing = _connected(path, write, vfs)
            self._made_ready(self._writing)
        self._reading = _connected(path, False, vfs)
        self._recognised(self._reading)
        known = acknowledged(path)
        try:
            self._head = self._checked(self._reading, known)
        except (JournalCorrupt, *_DAMAGE) as error:
            # A damaged journal is not written to. It may be read as far as it goes, which is how one finds out.
            if write:
                raise
            self._head = Head()
            self._unsound = str(error)
        if self._writing is not None:
            self._epoch, self._head = self._claimed(self._writing)

    def _made_ready(self, connection: apsw.Connection) -> None:
        """Make tables in an empty file, and every commit wait for the disk."""
        new = not connection.execute("SELECT 1 FROM sqlite_schema").fetchall()
        if not new or connection.pragma("application_id"):
            self._recognised(connection)
        if connection.pragma("journal_mode", "wal") != "wal":
            raise JournalFailed(f"{self._path}: this file system does not take SQLite's write-ahead log")
        connection.pragma("synchronous", "FULL")
        connection.pragma("fullfsync", 1)
        connection.pragma("checkpoint_fullfsync", 1)
        connection.pragma("journal_size_limit", 4096 * _CHECKPOINT_PAGES)
        connection.wal_autocheckpoint(0)
        connection.set_wal_hook(self._logged)
        if new:
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
            head = Head()
            connection.execute("INSERT INTO head VALUES (1, 0, ?, ?)", (head.sequence, head.hash))
            connection.pragma("application_id", _APPLICATION)
            connection.pragma("user_version", SCHEMA_VERSION)
            connection.execute("COMMIT")

    def _recognised(self, connection: apsw.Connection) -> None:
        """Raise InvalidFile unless the file is a journal of a version that is known here."""
        application, version = connection.pragma("application_id"), connection.pragma("user_version")
        if application != _APPLICATION:
            raise InvalidFile(str(self._path), "an SQLite database of something else", "a journal of crossmargin")
        if version != SCHEMA_VERSION:
            raise InvalidFile(
                str(self._path),
                f"a journal of schema version {version}",
                f"version {SCHEMA_VERSION}",
                "a newer crossmargin reads it" if version > SCHEMA_VERSION else "",
            )

    def _checked(self, connection: apsw.Connection, acknowledged: int) -> Head:
        """Return the head; JournalCorrupt where the file is damaged or ends before what was acknowledged."""
        tables = [text for (text,) in connection.execute("SELECT sql FROM sqlite_schema ORDER BY rowid")]
        if tables != list(_SCHEMA):
            raise JournalCorrupt(f"{self._path}: its tables and triggers are not those of a journal")
        [(found,), *_] = connection.execute("PRAGMA integrity_check(1)").fetchall()
        if found != "ok":
            raise JournalCorrupt(f"{self._path}: {found}")
        # One transaction: a writer at work between two looks would make them disagree.
        connection.execute("BEGIN")
        rows: list[tuple[Any, ...]] = connection.execute("SELECT epoch, sequence, hash FROM head").fetchall()
        last = self._last(connection)
        connection.execute("COMMIT")
        if len(rows) != 1:
            raise JournalCorrupt(f"{self._path}: found {len(rows)} heads")
        epoch, sequence, hash_ = rows[0]
        if last is not None and last.epoch > epoch:
            raise JournalCorrupt(f"{self._path}: record {last.sequence} is of an epoch that nobody claimed")
        head = Head(sequence=last.sequence, hash=last.hash) if last is not None else Head()
        if head != Head(sequence=sequence, hash=hash_):
            raise JournalCorrupt(f"{self._path}: ends with record {head.sequence}; it was written up to {sequence}")
        if sequence < acknowledged:
            raise JournalCorrupt(
                f"{self._path}: ends with record {sequence}, and record {acknowledged} was acknowledged: a disk that "
                f"did not keep what it said it kept, or an older copy. If that is known, remove {side_file(self._path)}"
            )
        return head

    def _claimed(self, connection: apsw.Connection) -> tuple[int, Head]:
        """Return the epoch of this writer, durable and above every earlier one, and the head it starts from."""
        connection.execute("BEGIN IMMEDIATE")
        claim: Any = connection.execute("UPDATE head SET epoch = epoch + 1 RETURNING epoch, sequence, hash").fetchall()
        connection.execute("COMMIT")
        # What an earlier writer could not sync may be in the machine's memory and count as written there. Emptying the
        # log writes it again, to the file and through to the disk, before anything that is built on it is acknowledged.
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        [(epoch, sequence, hash_)] = claim
        return epoch, Head(sequence=sequence, hash=hash_)

    @property
    def epoch(self) -> int:
        """The epoch of this writer; 0 for a reader."""
        return self._epoch

    def append(self, records: Sequence[Record]) -> None:
        """Make records durable, all or none; see `clearing.Journal`. ValueError for records that do not follow."""
        self._alive()
        connection, claim = self._writing, self._claim
        if connection is None or claim is None:
            raise JournalFailed(f"{self._path}: opened to read")
        if not records:
            return
        before = self._head
        after = before.moved(records, self._epoch)
        try:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "UPDATE head SET sequence = ?, hash = ? WHERE epoch = ? AND sequence = ? AND hash = ?",
                (after.sequence, after.hash, self._epoch, before.sequence, before.hash),
            )
            if connection.changes() != 1:
                self._fail(f"fenced: a later writer than epoch {self._epoch} has opened this journal")
            connection.executemany("INSERT INTO records VALUES (?, ?, ?, ?, ?, ?, ?)", map(_values, records))
            connection.execute("COMMIT")
            if self._wal_pages >= _CHECKPOINT_PAGES:
                connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
            claim.note(after.sequence)
        except BaseException as error:
            # Interrupted or failed, it is not known what is on the disk; a retry might be told a lie.
            self._fail(str(error) or type(error).__name__, error)
        self._head = after

    def read(self, after: int = 0) -> Iterator[Record]:
        """Yield the records after sequence `after`, in order, also those that come while it goes on.

        Raises JournalCorrupt where a record cannot be read, and at the end where the file was found damaged.
        """
        # In portions: an open statement would keep the log from being reset.
        while True:
            rows = self._rows(f"WHERE sequence > ? ORDER BY sequence LIMIT {_READ_AT_ONCE}", (after,))
            for row in rows:
                record = self._record(row)
                yield record
                after = record.sequence
            if len(rows) < _READ_AT_ONCE:
                if self._unsound:
                    raise JournalCorrupt(self._unsound)
                return

    def last(self) -> Record | None:
        """Return the newest record."""
        self._alive()
        assert self._reading is not None
        return self._last(self._reading)

    def find(self, key: bytes) -> Record | None:
        """Return the record of an idempotency key; JournalCorrupt where its contents are not what was hashed."""
        if self._unsound:
            raise JournalCorrupt(self._unsound)
        # The comparison with x'' is what lets SQLite use the index.
        for row in self._rows("WHERE key = ? AND key <> x''", (key,)):
            return self._whole(self._record(row))
        return None

    def save(self, snapshot: Snapshot) -> None:
        """Keep a snapshot in the folder beside the file, and only the newest few."""
        self._alive()
        if self._claim is None:
            raise OSError(f"{self._path}: opened to read")
        self._snapshots.save(snapshot)

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield the snapshots that are whole, newest first."""
        self._alive()
        yield from self._snapshots.all()

    def close(self) -> None:
        """Let go of the file."""
        self._failed = self._failed or "closed"
        for connection in (self._reading, self._writing):
            if connection is not None:
                # Closing the last connection empties the log into the file. Where that fails the log stays, and
                # nothing is lost.
                with suppress(apsw.Error):
                    connection.close(force=True)
        self._reading = self._writing = None
        if self._claim is not None:
            self._claim.close()
            self._claim = None

    def _logged(self, connection: apsw.Connection, name: str, pages: int) -> int:
        self._wal_pages = pages
        return apsw.SQLITE_OK

    def _rows(self, condition: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        self._alive()
        assert self._reading is not None
        return self._selected(self._reading, condition, values)

    def _selected(
        self, connection: apsw.Connection, condition: str, values: tuple[Any, ...] = ()
    ) -> list[tuple[Any, ...]]:
        try:
            return connection.execute(f"SELECT {_COLUMNS} FROM records {condition}", values).fetchall()
        except _DAMAGE as error:
            raise JournalCorrupt(f"{self._path}: {error}") from None
        except apsw.Error as error:
            raise JournalFailed(f"{self._path}: cannot be read: {error}") from error

    def _last(self, connection: apsw.Connection) -> Record | None:
        for row in self._selected(connection, "ORDER BY sequence DESC LIMIT 1"):
            return self._record(row)
        return None

    def _record(self, row: tuple[Any, ...]) -> Record:
        # SQLite gives what the bytes say, also where damage has made a number of a text.
        if tuple(map(type, row)) != _TYPES:
            raise JournalCorrupt(f"{self._path}: record {row[0]}: its columns are not of their types")
        return Record(*row)

    def _whole(self, record: Record) -> Record:
        try:
            check_whole(record)
        except JournalCorrupt as error:
            raise JournalCorrupt(f"{self._path}: {error}") from None
        return record

    def _alive(self) -> None:
        if self._failed:
            raise JournalFailed(f"{self._path}: {self._failed}")

    def _fail(self, why: str, cause: BaseException | None = None) -> NoReturn:
        """Refuse everything from now on, and leave the file as it is: the next opening finds out what it is."""
        self._failed = self._failed or why
        if self._writing is not None:
            self._writing.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
            if self._writing.in_transaction:
                # What failed once may fail again; the lock goes with the connection at the latest.
                with suppress(apsw.Error):
                    self._writing.execute("ROLLBACK")
        if isinstance(cause, JournalFailed) or (cause is not None and not isinstance(cause, Exception)):
            raise cause
        raise JournalFailed(f"{self._path}: {why}") from cause


def _connected(path: Path, write: bool, vfs: str | None) -> apsw.Connection:
    flags = apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE if write else apsw.SQLITE_OPEN_READONLY
    connection = apsw.Connection(str(path), flags=flags, vfs=vfs)
    connection.set_busy_timeout(_BUSY_MILLISECONDS)
    connection.pragma("trusted_schema", 0)
    connection.pragma("cell_size_check", 1)
    connection.pragma("cache_size", -_CACHE_KIBIBYTES)
    return connection
