"""Journals on a real server: fencing, sessions that are lost, crashes of the server, and what is refused."""

import subprocess
import sys
import threading
import time

import psycopg
import pytest

from crossmargin.clearing import JournalCorrupt, JournalFailed, Snapshot, check_chain
from crossmargin.errors import InputError, InvalidFile
from crossmargin.storage import open_journal
from tests.contracts.journals import records
from tests.contracts.server import server


def sql(address, *statements):
    """Do something on the server that no journal would."""
    with psycopg.connect(address, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def kept(address):
    """Return the records of a journal, after looking at their chain."""
    journal, before, found = open_journal(address, write=False), None, []
    for record in journal.read():
        check_chain(before, record)
        found.append(record)
        before = record
    journal.close()
    return found


@pytest.fixture
def written(schema):
    """The address of a journal of three records, closed."""
    journal = open_journal(schema)
    journal.append(records(3))
    journal.close()
    return schema


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE journal_records SET payload = ''", "never changed"),
        ("DELETE FROM journal_records WHERE sequence = 3", "never deleted"),
        ("TRUNCATE journal_records", "never deleted"),
        ("DELETE FROM journal_head", "never deleted"),
        ("TRUNCATE journal_head", "never deleted"),
        ("UPDATE journal_head SET epoch = 0", "never goes back"),
        ("UPDATE journal_head SET sequence = 1", "never goes back"),
        ("INSERT INTO journal_records SELECT sequence + 9, epoch, time, '', '', previous, hash FROM journal_records",
         "previous"),
        ("INSERT INTO journal_records SELECT sequence, epoch, time, '', '', hash, hash FROM journal_records", "pkey"),
        ("INSERT INTO journal_records SELECT 9, 1, 9, key, '', '', '' FROM journal_records LIMIT 1", "by_key"),
    ],
)  # fmt: skip
def test_the_tables_themselves_refuse_to_change_records(written, statement, says):
    with pytest.raises(psycopg.Error, match=says):
        sql(written, statement)


@pytest.mark.parametrize("size", [1, 500])
def test_a_writer_that_does_not_know_of_a_later_one_is_fenced(written, size):
    earlier = open_journal(written)
    # As a later writer does whose lock the earlier one does not see: after a failover, behind a pooler.
    sql(written, "UPDATE journal_head SET epoch = epoch + 1")
    with pytest.raises(JournalFailed, match="fenced: a later writer than epoch 2"):
        earlier.append(records(size, earlier.last(), epoch=2))
    with pytest.raises(JournalFailed, match="fenced"):
        earlier.last()
    earlier.close()
    later = open_journal(written)
    assert later.epoch == 4
    assert len(list(later.read())) == 3
    later.close()


@pytest.mark.parametrize("size", [1, 500])
def test_sessions_cut_off_at_any_moment_lose_nothing_and_bring_nothing_up(schema, size):
    attempted, acknowledged = [], 0
    for _ in range(5):
        journal = open_journal(schema)
        found = list(journal.read())
        assert acknowledged <= len(found) <= len(attempted)
        assert found == attempted[: len(found)]
        attempted, acknowledged = found, len(found)
        before = acknowledged
        pid = journal._writing.info.backend_pid
        cut = threading.Timer(0.03, sql, (schema, f"SELECT pg_terminate_backend({pid})"))
        with pytest.raises(JournalFailed):  # noqa: PT012
            while True:
                batch = records(size, attempted[-1] if attempted else None, epoch=journal.epoch)
                attempted += batch
                journal.append(batch)
                acknowledged += size
                if acknowledged == before + size:
                    cut.start()
        with pytest.raises(JournalFailed):
            journal.last()
        journal.close()
        cut.join()
    assert len(kept(schema)) >= acknowledged


def test_crashes_of_the_server_lose_nothing_that_was_acknowledged():
    with server() as made:
        acknowledged = []
        for crash in ("immediate", "kill"):
            made.start()
            journal = open_journal(made.address)
            assert list(journal.read())[: len(acknowledged)] == acknowledged
            last = journal.last()
            for size in (1, 1, 100, 1):
                batch = records(size, last, epoch=journal.epoch)
                journal.append(batch)
                acknowledged += batch
                last = batch[-1]
            made.kill() if crash == "kill" else made.stop(crash)
            gone_by = time.monotonic() + 30
            while time.monotonic() < gone_by:
                try:
                    batch = records(1, last, epoch=journal.epoch)
                    journal.append(batch)
                    acknowledged += batch
                    last = batch[-1]
                except JournalFailed:
                    break
            with pytest.raises(JournalFailed):
                journal.append(records(1, last, epoch=journal.epoch))
            journal.close()
        made.start("fsync=off")
        with pytest.raises(InputError, match="found a server that runs with fsync = off; allowed: fsync = on"):
            open_journal(made.address)
        # What is there may still be read.
        assert kept(made.address) == acknowledged


def test_commits_wait_for_the_disk_whatever_the_database_was_set_to(written):
    sql(written, "ALTER DATABASE postgres SET synchronous_commit = off")
    try:
        journal = open_journal(written)
        row = journal._writing.execute("SHOW synchronous_commit").fetchone()
        journal.close()
    finally:
        sql(written, "ALTER DATABASE postgres RESET synchronous_commit")
    assert row == ("on",)


WRITER = """
import sys
from crossmargin.storage import open_journal

journal = open_journal(sys.argv[1])
print(journal.epoch, flush=True)
sys.stdin.read()
"""


def test_of_two_processes_one_writes_until_it_is_gone(written):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, written], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "2\n"
        with pytest.raises(JournalFailed, match=r"the session of server process \d+ is writing this journal"):
            open_journal(written)
    finally:
        process.kill()
        process.communicate()
    journal = open_journal(written)
    assert journal.epoch == 3
    journal.close()


def test_journals_in_two_schemas_of_a_database_have_a_writer_each(postgres, written):
    sql(postgres, "CREATE SCHEMA beside")
    first = open_journal(written)
    second = open_journal(f"{postgres}&options=-csearch_path%3Dbeside")
    assert (first.epoch, second.epoch) == (2, 1)
    second.append(records(1))
    assert len(list(first.read())) == 3
    first.close()
    second.close()


def test_records_that_somebody_cut_off_or_changed_are_missed(written):
    sql(
        written,
        "ALTER TABLE journal_records DISABLE TRIGGER ALL",
        "UPDATE journal_records SET payload = 'x' WHERE sequence = 2",
    )
    journal = open_journal(written)
    with pytest.raises(JournalCorrupt, match="record 2: its contents are not what was hashed"):
        journal.find(b"key-2")
    journal.close()
    sql(written, "DELETE FROM journal_records WHERE sequence = 3")
    with pytest.raises(JournalCorrupt):
        open_journal(written)
    sql(written, "DELETE FROM journal_records")
    with pytest.raises(JournalCorrupt, match="ends with record 0; it was written up to 3"):
        open_journal(written)


def test_damaged_snapshots_are_left_out_and_one_that_is_not_kept_harms_nothing(written):
    journal = open_journal(written)
    last = journal.last()
    for sequence in (2, 3):
        journal.save(Snapshot(sequence, last.hash, b"state %d" % sequence))
    sql(written, "UPDATE journal_snapshots SET data = 'other' WHERE sequence = 3")
    assert [snapshot.data for snapshot in journal.snapshots()] == [b"state 2"]
    sql(written, "DROP TABLE journal_snapshots")
    with pytest.raises(OSError, match="the snapshot was not kept"):
        journal.save(Snapshot(3, last.hash, b"state"))
    journal.append(records(1, last, epoch=2))
    assert journal.last().sequence == 4
    journal.close()


def test_a_newer_schema_and_a_missing_journal_are_refused(postgres, schema):
    with pytest.raises(InvalidFile, match="found no journal"):
        open_journal(schema, write=False)
    open_journal(schema).close()
    sql(schema, "UPDATE journal_head SET schema_version = 2")
    for write in (True, False):
        with pytest.raises(InvalidFile, match=r"found a journal of schema version 2; allowed: version 1 .*newer"):
            open_journal(schema, write=write)
    with pytest.raises(InputError, match="found a search path without a schema that exists"):
        open_journal(f"{postgres}&options=-csearch_path%3Dnowhere")


def test_messages_keep_passwords_to_themselves():
    with pytest.raises(JournalFailed, match=r"^postgresql://127.0.0.1:1/house: cannot be opened") as failed:
        open_journal("postgresql://clerk:sesame@127.0.0.1:1/house")
    assert "sesame" not in str(failed.value)
    with pytest.raises(InputError, match="journal address") as refused:
        open_journal("postgresql://clerk:sesame@127.0.0.1/house?nonsense=1")
    assert "sesame" not in str(refused.value)


def test_without_psycopg_the_message_says_what_to_install(monkeypatch):
    monkeypatch.delitem(sys.modules, "crossmargin.storage.postgres", raising=False)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(InputError, match=r'pip install "crossmargin\[postgres\]"'):
        open_journal("postgresql:///house")


def test_a_journal_with_records_missing_is_read_as_far_as_it_goes(written):
    sql(written, "ALTER TABLE journal_records DISABLE TRIGGER ALL", "DELETE FROM journal_records WHERE sequence = 3")
    reader = open_journal(written, write=False)
    read = reader.read()
    assert [next(read), next(read)] == records(2)
    with pytest.raises(JournalCorrupt, match="ends with record 2; it was written up to 3"):
        next(read)
    reader.close()
