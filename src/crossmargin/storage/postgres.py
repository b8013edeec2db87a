"""PostgreSQL: a journal on a server, through psycopg.

Tables in the first schema of the search path: journal_records, journal_head, journal_snapshots. One transaction an
append: it moves the head, which only the writer of the newest epoch can, and adds the records. An advisory lock keeps
a second writer out while the session of the first lives; the epoch fences the first where its session was lost and it
does not know. Two connections: one writes, one reads what is committed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from operator import attrgetter
from typing import Any, NoReturn

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict

from crossmargin.clearing import JournalCorrupt, JournalFailed, Record, Snapshot, check_whole
from crossmargin.errors import InputError, InvalidFile
from crossmargin.storage.heads import Head
from crossmargin.storage.memory import SNAPSHOTS_KEPT
from crossmargin.storage.snapshots import checksum

SCHEMA_VERSION = 1
_LOCK = 0x786D6A31
"""First half of the advisory lock; the second is the schema that the tables are in."""
_LOCK_WAIT = "1s"
_COPY_FROM = 128
"""From how many records on a COPY is quicker than one statement."""
_READ_AT_ONCE = 2_000
_CONNECT_SECONDS = "10"
_COLUMNS = "sequence, epoch, time, key, payload, previous, hash"
_TYPES = ("int8", "int8", "int8", "bytea", "bytea", "bytea", "bytea")

_SCHEMA = (
    """CREATE TABLE journal_records (
        sequence bigint PRIMARY KEY,
        epoch bigint NOT NULL,
        time bigint NOT NULL,
        key bytea NOT NULL,
        payload bytea NOT NULL,
        previous bytea NOT NULL UNIQUE,
        hash bytea NOT NULL
    )""",
    # Encoded entries are packed already; to compress them again costs more than the room it saves.
    "ALTER TABLE journal_records ALTER payload SET STORAGE EXTERNAL",
    "CREATE UNIQUE INDEX journal_records_by_key ON journal_records (key) WHERE key <> ''::bytea",
    """CREATE TABLE journal_head (
        one bigint PRIMARY KEY CHECK (one = 1),
        schema_version bigint NOT NULL,
        epoch bigint NOT NULL,
        sequence bigint NOT NULL,
        hash bytea NOT NULL
    )""",
    """CREATE TABLE journal_snapshots (
        sequence bigint PRIMARY KEY,
        record_hash bytea NOT NULL,
        checksum bytea NOT NULL,
        data bytea NOT NULL
    )""",
    "ALTER TABLE journal_snapshots ALTER data SET STORAGE EXTERNAL",
    """CREATE FUNCTION journal_refuses() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE EXCEPTION 'records of a journal are never changed and never deleted'; END $$""",
    """CREATE FUNCTION journal_head_rises() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.epoch < OLD.epoch OR NEW.sequence < OLD.sequence THEN
            RAISE EXCEPTION 'the head of a journal never goes back';
        END IF;
        RETURN NEW;
    END $$""",
    """CREATE TRIGGER journal_records_stay BEFORE UPDATE OR DELETE OR TRUNCATE ON journal_records
        FOR EACH STATEMENT EXECUTE FUNCTION journal_refuses()""",
    """CREATE TRIGGER journal_head_stays BEFORE DELETE OR TRUNCATE ON journal_head
        FOR EACH STATEMENT EXECUTE FUNCTION journal_refuses()""",
    """CREATE TRIGGER journal_head_rises BEFORE UPDATE ON journal_head
        FOR EACH ROW EXECUTE FUNCTION journal_head_rises()""",
)
_MOVE = (
    "UPDATE journal_head SET sequence = %s, hash = %s WHERE epoch = %s AND sequence = %s AND hash = %s RETURNING true"
)
# Together in one statement: one way to the server and back.
_MOVE_AND_ADD = f"""WITH moved AS ({_MOVE})
    INSERT INTO journal_records SELECT added.* FROM moved, unnest(
        %s::bigint[], %s::bigint[], %s::bigint[], %s::bytea[], %s::bytea[], %s::bytea[], %s::bytea[]) AS added"""

_values = attrgetter("sequence", "epoch", "time", "key", "payload", "previous", "hash")


class PostgresJournal:
    """A journal on a server. One thread may append while another reads; no more than that."""

    __slots__ = ("_epoch", "_failed", "_head", "_name", "_reading", "_unsound", "_writing")

    def __init__(self, address: str, *, write: bool = True) -> None:
        """Open the journal at `address`; its tables are made where absent and `write`. See `open_journal`."""
        self._name = _without_secrets(address)
        self._failed = self._unsound = ""
        self._epoch = 0
        self._writing: psycopg.Connection[Any] | None = None
        self._reading: psycopg.Connection[Any] | None = None
        try:
            self._open(address, write)
        except psycopg.Error as error:
            self.close()
            raise JournalFailed(f"{self._name}: cannot be opened: {_said(error)}") from error
        except BaseException:
            self.close()
            raise

    def _open(self, address: str, write: bool) -> None:
        if write:
            writing = self._writing = _connected(address)
            self._claim_lock(writing)
            self._refuse_unsafe(writing)
            if not _has_tables(writing):
                with writing.transaction():
                    for statement in _SCHEMA:
                        writing.execute(statement)
                    head = Head()
                    writing.execute(
                        "INSERT INTO journal_head VALUES (1, %s, 0, %s, %s)", (SCHEMA_VERSION, head.sequence, head.hash)
                    )
        reading = self._reading = _connected(address)
        reading.execute("SET default_transaction_read_only = on")
        if not _has_tables(reading):
            raise InvalidFile(self._name, "no journal", "a schema with the tables of a journal")
        try:
            self._head = self._checked(reading)
        except JournalCorrupt as error:
            # A damaged journal is not written to. It may be read as far as it goes, which is how one finds out.
            if write:
                raise
            self._head = Head()
            self._unsound = str(error)
        if self._writing is not None:
            row = self._writing.execute(
                "UPDATE journal_head SET epoch = epoch + 1 RETURNING epoch, sequence, hash"
            ).fetchone()
            assert row is not None
            self._epoch, self._head = row[0], Head(sequence=row[1], hash=row[2])

    def _claim_lock(self, connection: psycopg.Connection[Any]) -> None:
        """Take the lock that goes with the session; JournalFailed where another session has it."""
        row = connection.execute("SELECT current_schema()").fetchone()
        if row is None or row[0] is None:
            raise InputError(self._name, "a search path without a schema that exists", "one with such a schema")
        # A session that has just ended holds it until the server has noticed.
        connection.execute(f"SET lock_timeout = '{_LOCK_WAIT}'")
        with suppress(errors.LockNotAvailable):
            connection.execute("SELECT pg_advisory_lock(%s, hashtext(current_schema()))", (_LOCK,))
            connection.execute("RESET lock_timeout")
            return
        holder = connection.execute(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND classid = %s::bigint::oid"
            " AND objid = (hashtext(current_schema())::bigint & 4294967295)::oid"
            " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
            (_LOCK,),
        ).fetchone()
        by = f"the session of server process {holder[0]}" if holder is not None else "another session"
        raise JournalFailed(f"{self._name}: found that {by} is writing this journal; allowed: one writer")

    def _refuse_unsafe(self, connection: psycopg.Connection[Any]) -> None:
        """Have every commit wait for the disk; InputError where the server is set up not to."""
        for setting in ("fsync", "full_page_writes"):
            row = connection.execute("SELECT current_setting(%s)", (setting,)).fetchone()
            if row is None or row[0] != "on":
                raise InputError(self._name, f"a server that runs with {setting} = off", f"{setting} = on")
        connection.execute(
            "SELECT set_config('synchronous_commit', 'on', false)"
            " WHERE current_setting('synchronous_commit') <> 'remote_apply'"
        )

    def _checked(self, connection: psycopg.Connection[Any]) -> Head:
        """Return the head; JournalCorrupt where records are missing at the end, InvalidFile for a later version."""
        version = connection.execute("SELECT schema_version FROM journal_head").fetchone()
        if version is None:
            raise JournalCorrupt(f"{self._name}: found no head")
        if version[0] != SCHEMA_VERSION:
            raise InvalidFile(
                self._name,
                f"a journal of schema version {version[0]}",
                f"version {SCHEMA_VERSION}",
                "a newer crossmargin reads it" if version[0] > SCHEMA_VERSION else "",
            )
        # One statement, one moment: a writer may be at work.
        row = connection.execute(
            """SELECT h.epoch, h.sequence, h.hash, r.sequence, r.epoch, r.time, r.key, r.payload, r.previous, r.hash
            FROM journal_head h LEFT JOIN journal_records r
            ON r.sequence = (SELECT max(sequence) FROM journal_records)""",
            binary=True,
        ).fetchone()
        assert row is not None
        epoch, sequence, hash_, *stored = row
        last = self._whole(Record(*stored)) if stored[0] is not None else None
        if last is not None and last.epoch > epoch:
            raise JournalCorrupt(f"{self._name}: record {last.sequence} is of an epoch that nobody claimed")
        head = Head(sequence=last.sequence, hash=last.hash) if last is not None else Head()
        if head != Head(sequence=sequence, hash=hash_):
            raise JournalCorrupt(f"{self._name}: ends with record {head.sequence}; it was written up to {sequence}")
        return head

    @property
    def epoch(self) -> int:
        """The epoch of this writer; 0 for a reader."""
        return self._epoch

    def append(self, records: Sequence[Record]) -> None:
        """Make records durable, all or none; see `clearing.Journal`. ValueError for records that do not follow."""
        self._alive()
        connection = self._writing
        if connection is None:
            raise JournalFailed(f"{self._name}: opened to read")
        if not records:
            return
        before = self._head
        after = before.moved(records, self._epoch)
        move = (after.sequence, after.hash, self._epoch, before.sequence, before.hash)
        try:
            if len(records) < _COPY_FROM:
                columns = [list(column) for column in zip(*map(_values, records), strict=True)]
                done = connection.execute(_MOVE_AND_ADD, (*move, *columns), binary=True)
                if done.rowcount != len(records):
                    self._fail(self._fenced())
            else:
                with connection.transaction(), connection.cursor() as cursor:
                    if cursor.execute(_MOVE, move).fetchone() is None:
                        self._fail(self._fenced())
                    with cursor.copy(f"COPY journal_records ({_COLUMNS}) FROM STDIN (FORMAT binary)") as copy:
                        copy.set_types(_TYPES)
                        for record in records:
                            copy.write_row(_values(record))
        except BaseException as error:
            # Interrupted, failed or cut off, it is not known what the server did.
            self._fail(_said(error), error)
        self._head = after

    def read(self, after: int = 0) -> Iterator[Record]:
        """Yield the records after sequence `after`, in order, also those that come while it goes on.

        Raises JournalCorrupt where a record cannot be read, and at the end where records were found missing.
        """
        while True:
            found = self._rows(f"WHERE sequence > %s ORDER BY sequence LIMIT {_READ_AT_ONCE}", (after,))
            for record in found:
                yield record
                after = record.sequence
            if len(found) < _READ_AT_ONCE:
                if self._unsound:
                    raise JournalCorrupt(self._unsound)
                return

    def last(self) -> Record | None:
        """Return the newest record."""
        for record in self._rows("ORDER BY sequence DESC LIMIT 1", ()):
            return record
        return None

    def find(self, key: bytes) -> Record | None:
        """Return the record of an idempotency key; JournalCorrupt where its contents are not what was hashed."""
        for record in self._rows("WHERE key = %s AND key <> ''::bytea", (key,)):
            return self._whole(record)
        return None

    def save(self, snapshot: Snapshot) -> None:
        """Keep a snapshot, and only the newest few."""
        self._alive()
        if self._writing is None:
            raise OSError(f"{self._name}: opened to read")
        stamp = checksum(snapshot.sequence, snapshot.record_hash, snapshot.data)
        try:
            with self._writing.transaction():
                self._writing.execute(
                    "INSERT INTO journal_snapshots VALUES (%s, %s, %s, %s) ON CONFLICT (sequence) DO UPDATE SET"
                    " record_hash = EXCLUDED.record_hash, checksum = EXCLUDED.checksum, data = EXCLUDED.data",
                    (snapshot.sequence, snapshot.record_hash, stamp, snapshot.data),
                    binary=True,
                )
                self._writing.execute(
                    "DELETE FROM journal_snapshots WHERE sequence NOT IN"
                    " (SELECT sequence FROM journal_snapshots ORDER BY sequence DESC LIMIT %s)",
                    (SNAPSHOTS_KEPT,),
                )
        except psycopg.Error as error:
            raise OSError(f"{self._name}: the snapshot was not kept: {_said(error)}") from error

    def snapshots(self) -> Iterator[Snapshot]:
        """Yield the snapshots that are whole, newest first. Nothing is read before it is asked for."""
        before = 2**63 - 1
        while True:
            found = self._select(
                "SELECT sequence, record_hash, checksum, data FROM journal_snapshots WHERE sequence < %s"
                " ORDER BY sequence DESC LIMIT 1",
                (before,),
            )
            if not found:
                return
            [(before, hash_, stamp, data)] = found
            if stamp == checksum(before, hash_, data):
                yield Snapshot(before, hash_, data)

    def close(self) -> None:
        """Let go of the connections, and with them of the lock."""
        self._failed = self._failed or "closed"
        for connection in (self._reading, self._writing):
            if connection is not None:
                connection.close()
        self._reading = self._writing = None

    def _rows(self, condition: str, values: tuple[Any, ...]) -> list[Record]:
        return [Record(*row) for row in self._select(f"SELECT {_COLUMNS} FROM journal_records {condition}", values)]

    def _select(self, statement: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        self._alive()
        assert self._reading is not None
        try:
            return self._reading.execute(statement, values, binary=True).fetchall()
        except (errors.DataCorrupted, errors.IndexCorrupted) as error:
            raise JournalCorrupt(f"{self._name}: {_said(error)}") from None
        except psycopg.Error as error:
            raise JournalFailed(f"{self._name}: cannot be read: {_said(error)}") from error

    def _whole(self, record: Record) -> Record:
        try:
            check_whole(record)
        except JournalCorrupt as error:
            raise JournalCorrupt(f"{self._name}: {error}") from None
        return record

    def _fenced(self) -> str:
        return f"fenced: a later writer than epoch {self._epoch} has opened this journal"

    def _alive(self) -> None:
        if self._failed:
            raise JournalFailed(f"{self._name}: {self._failed}")

    def _fail(self, why: str, cause: BaseException | None = None) -> NoReturn:
        self._failed = self._failed or why
        if isinstance(cause, JournalFailed) or (cause is not None and not isinstance(cause, Exception)):
            raise cause
        raise JournalFailed(f"{self._name}: {why}") from cause


def _connected(address: str) -> psycopg.Connection[Any]:
    given = conninfo_to_dict(address)
    waiting = {} if "connect_timeout" in given else {"connect_timeout": _CONNECT_SECONDS}
    return psycopg.connect(address, autocommit=True, **waiting)  # type: ignore[arg-type]


def _has_tables(connection: psycopg.Connection[Any]) -> bool:
    row = connection.execute(
        "SELECT to_regclass(quote_ident(current_schema()) || '.journal_head') IS NOT NULL"
    ).fetchone()
    return row is not None and bool(row[0])


def _without_secrets(address: str) -> str:
    """Return an address to show in messages; InputError where libpq cannot read it."""
    try:
        given = conninfo_to_dict(address)
    except psycopg.ProgrammingError as error:
        raise InputError("journal address", _said(error), "postgresql://user@host:port/database") from None
    host, port = given.get("host", ""), given.get("port", "")
    return f"postgresql://{host}{f':{port}' if port else ''}/{given.get('dbname', '')}"


def _said(error: BaseException) -> str:
    """Return what an error says, on one line."""
    return "; ".join(str(error).split("\n")).strip("; ") or type(error).__name__
