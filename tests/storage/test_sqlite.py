"""Journals in a file: who may write, what is refused, and what other programs cannot do to it."""

import threading
from pathlib import Path

import apsw
import pytest

from crossmargin.clearing import JournalCorrupt, JournalFailed, Snapshot
from crossmargin.errors import InvalidFile
from crossmargin.storage import open_journal
from crossmargin.storage.claims import refuse_network, side_file
from crossmargin.storage.sqlite import SCHEMA_VERSION
from tests.contracts.journals import records


@pytest.fixture
def path(tmp_path):
    """A journal of three records, closed."""
    made = tmp_path / "house.db"
    journal = open_journal(made)
    journal.append(records(3))
    journal.close()
    return made


def changed(path, *statements):
    """Do something to the file that no journal would."""
    connection = apsw.Connection(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("statement", "says"),
    [
        ("UPDATE records SET payload = x'00' WHERE sequence = 2", "never changed"),
        ("DELETE FROM records WHERE sequence = 3", "never deleted"),
        ("DELETE FROM records", "never deleted"),
        ("DELETE FROM head", "never deleted"),
        ("UPDATE head SET epoch = 0", "never goes back"),
        ("UPDATE head SET sequence = 2", "never goes back"),
        ("INSERT INTO records SELECT 4, epoch, time, x'aa', payload, previous, hash FROM records LIMIT 1", "follow"),
        ("INSERT INTO records SELECT 5, epoch, time, x'aa', payload, hash, hash FROM records LIMIT 1", "follow"),
        ("INSERT INTO records SELECT 4, epoch, time, 'text', payload, hash, hash FROM records", "cannot store TEXT"),
        ("INSERT INTO records SELECT * FROM records", "UNIQUE"),
    ],
)
def test_the_file_itself_refuses_to_change_its_records(path, statement, says):
    with pytest.raises(apsw.ConstraintError, match=says):
        changed(path, statement)


def test_a_file_of_something_else_is_left_alone(tmp_path):
    text, database, empty = tmp_path / "notes.txt", tmp_path / "other.db", tmp_path / "empty.db"
    text.write_text("not a database, and longer than the header of one would be " * 20)
    changed(database, "CREATE TABLE mine (x)", "INSERT INTO mine VALUES (1)")
    empty.touch()
    before = text.read_bytes(), database.read_bytes()
    for write in (True, False):
        with pytest.raises(InvalidFile, match=r"notes.txt: found a file that is no SQLite database"):
            open_journal(text, write=write)
        with pytest.raises(InvalidFile, match=r"other.db: found an SQLite database of something else"):
            open_journal(database, write=write)
    assert (text.read_bytes(), database.read_bytes()) == before
    with pytest.raises(InvalidFile, match=r"empty\.db: found an SQLite database of something else"):
        open_journal(empty, write=False)
    journal = open_journal(empty)
    journal.append(records(1))
    journal.close()


def test_a_newer_schema_is_refused_by_its_number(path):
    changed(path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    for write in (True, False):
        with pytest.raises(InvalidFile, match=r"found a journal of schema version 2; allowed: version 1 .*newer"):
            open_journal(path, write=write)


@pytest.mark.parametrize(
    "statement", ["DROP TRIGGER records_stay", "DROP INDEX records_by_key", "CREATE TABLE another (x)"]
)
def test_a_schema_that_somebody_changed_is_refused(path, statement):
    changed(path, statement)
    with pytest.raises(JournalCorrupt, match="not those of a journal"):
        open_journal(path)


def test_records_that_somebody_cut_off_are_missed(path):
    changed(path, "DROP TRIGGER records_stay", "DELETE FROM records WHERE sequence = 3")
    changed(path, "CREATE TRIGGER records_stay BEFORE DELETE ON records\nBEGIN SELECT RAISE(ABORT, 'x'); END")
    with pytest.raises(JournalCorrupt):
        open_journal(path)


def test_an_older_copy_of_the_file_is_missed(path):
    older = path.read_bytes()
    journal = open_journal(path)
    journal.append(records(2, journal.last(), epoch=2))
    journal.close()
    path.write_bytes(older)
    with pytest.raises(JournalCorrupt, match=r"ends with record 3, and record 5 was acknowledged.*house\.db-writer"):
        open_journal(path)
    side_file(path).unlink()
    journal = open_journal(path)
    assert journal.last() == records(3)[-1]
    journal.close()


@pytest.mark.parametrize("note", [b"", b"short", bytes(32), b"\xff" * 32, b"\xff" * 33])
def test_a_side_file_that_says_nothing_harms_nothing(path, note):
    side_file(path).write_bytes(note)
    journal = open_journal(path)
    assert len(list(journal.read())) == 3
    journal.close()


def test_a_writer_whose_lock_was_taken_from_it_is_fenced(path):
    # A lock can be lost: the file removed, a file system that only pretends. The epoch is what counts.
    earlier = open_journal(path)
    side_file(path).unlink()
    later = open_journal(path)
    assert (earlier.epoch, later.epoch) == (2, 3)
    last = later.last()
    with pytest.raises(JournalFailed, match="fenced: a later writer than epoch 2"):
        earlier.append(records(1, last, epoch=2))
    with pytest.raises(JournalFailed, match="fenced"):
        earlier.last()
    later.append(records(2, last, epoch=3))
    assert later.last().sequence == 5
    earlier.close()
    later.close()


def test_keys_are_looked_up_while_an_append_waits_for_the_disk(path):
    journal = open_journal(path)
    made = records(400, journal.last(), epoch=2)
    done = threading.Event()

    def append():
        for record in made:
            journal.append([record])
        done.set()

    thread = threading.Thread(target=append)
    thread.start()
    looked = 0
    while not done.is_set():
        found = journal.find(b"key-%d" % (looked % 400 + 1))
        assert found is None or found.sequence == looked % 400 + 1
        looked += 1
    thread.join()
    assert looked > 20
    assert journal.last() == made[-1]
    journal.close()


def test_the_log_is_emptied_and_does_not_grow_for_ever(tmp_path):
    journal, last, largest = open_journal(tmp_path / "house.db"), None, 0
    for _ in range(60):
        batch = records(200, last, size=5_000)
        journal.append(batch)
        last = batch[-1]
        largest = max(largest, (tmp_path / "house.db-wal").stat().st_size)
    assert largest < 24e6
    assert (tmp_path / "house.db").stat().st_size > 40e6
    journal.close()
    assert not (tmp_path / "house.db-wal").exists()


def test_a_reader_is_served_while_a_writer_lives_and_after_it_is_gone(path):
    writer = open_journal(path)
    reader = open_journal(path, write=False)
    writer.append(records(1, writer.last(), epoch=2))
    writer.close()
    assert len(list(reader.read())) == 4
    reader.close()


def test_a_key_whose_record_was_changed_is_not_answered_from(path):
    journal = open_journal(path)
    changed(path, "DROP TRIGGER records_unchanged", "UPDATE records SET payload = x'00' WHERE sequence = 2")
    with pytest.raises(JournalCorrupt, match="record 2: its contents are not what was hashed"):
        journal.find(b"key-2")
    journal.close()


def test_snapshots_left_unfinished_are_no_snapshots(path):
    journal = open_journal(path)
    last = journal.last()
    journal.save(Snapshot(3, last.hash, b"state"))
    (path.parent / "house.db-snapshots" / "unfinished").write_bytes(b"crossmargin snapshot 1\nhalf")
    assert [snapshot.data for snapshot in journal.snapshots()] == [b"state"]
    journal.close()


@pytest.mark.parametrize(
    ("mounts", "kind"),
    [
        ("/dev/sda / ext4 rw 0 0\nhost:/x {} nfs4 rw 0 0", "nfs4"),
        ("/dev/sda / ext4 rw 0 0\n//host/x {}\\040x cifs rw 0 0", None),
        ("host:/x / nfs rw 0 0\n/dev/sda {} ext4 rw 0 0", None),
        ("host:/x / nfs rw 0 0", "nfs"),
        ("", None),
    ],
)
def test_network_file_systems_are_refused_by_their_kind(tmp_path, mounts, kind):
    text = mounts.format(tmp_path)
    if kind is None:
        refuse_network(tmp_path, text)
        return
    with pytest.raises(InvalidFile, match=rf"found a network file system \({kind}\)"):
        refuse_network(tmp_path, text)


def test_a_path_with_a_blank_is_found_among_the_mounts(tmp_path):
    folder = Path(tmp_path, "a b")
    folder.mkdir()
    mounts = f"/dev/sda / ext4 rw 0 0\n//host/x {tmp_path}/a\\040b cifs rw 0 0"
    with pytest.raises(InvalidFile, match="cifs"):
        refuse_network(folder, mounts)


def test_a_damaged_journal_is_read_as_far_as_it_goes_and_not_written(path):
    changed(path, "DROP TRIGGER records_stay", "DELETE FROM records WHERE sequence = 3")
    with pytest.raises(JournalCorrupt, match="not those of a journal"):
        open_journal(path)
    reader = open_journal(path, write=False)
    assert reader.last().sequence == 2
    read = reader.read()
    assert [next(read), next(read)] == records(2)
    with pytest.raises(JournalCorrupt, match="not those of a journal"):
        next(read)
    with pytest.raises(JournalCorrupt):
        reader.find(b"key-1")
    reader.close()


def test_commits_wait_for_the_disk(path):
    journal = open_journal(path)
    assert journal._writing.pragma("synchronous") == 2
    assert journal._writing.pragma("journal_mode") == "wal"
    journal.close()
