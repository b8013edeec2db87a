"""Damage: every flipped bit of a journal is noticed when it is opened or read, or changes nothing that is read."""

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from crossmargin.clearing import JournalCorrupt, Record, Snapshot, check_chain
from crossmargin.errors import InvalidFile
from crossmargin.storage import open_journal
from crossmargin.storage.claims import side_file
from tests.contracts.journals import records
from tests.storage.crash_points import SHM
from tests.storage.flips import MADE, flipped, left_by_a_kill, outcome, written


@pytest.fixture(scope="module")
def folder():
    """A folder in memory where there is one: the same file is written a hundred thousand times."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as made:
        yield Path(made)


@pytest.fixture(scope="module")
def closed(folder):
    """A journal of 64 records that was closed: all of it is in one file, of many small pages."""
    path = folder / "closed.db"
    written(path).close()
    return path


@pytest.fixture(scope="module")
def killed(folder):
    """A journal of 64 records whose writer was killed: most of it is in the log."""
    path = left_by_a_kill(folder)
    assert Path(f"{path}-wal").stat().st_size > 64 * 1024
    return path


def test_a_flipped_bit_of_the_file_is_noticed_or_harmless(closed):
    # Another bit of every third byte; flips.py goes through all of them.
    seen = flipped(closed, closed, MADE, [(byte, byte % 8) for byte in range(0, closed.stat().st_size, 3)])
    assert seen["missed"] == 0
    # Most of the bytes are records, most of the rest is room that nobody reads.
    assert seen["noticed"] > 2_500


def test_a_flipped_bit_of_the_log_is_noticed_or_harmless(killed):
    log = Path(f"{killed}-wal")
    size = log.stat().st_size
    seen = flipped(killed, log, MADE, [(byte, byte % 8) for byte in range(0, size, size // 1_500)])
    assert seen["missed"] == 0
    assert seen["noticed"] > 1_400


def test_without_the_side_file_a_log_cut_short_goes_unnoticed(killed, folder):
    # Why the side file is there: to SQLite a damaged frame is where the log ends.
    path = folder / "alone.db"
    for suffix in ("", "-wal"):
        shutil.copyfile(f"{killed}{suffix}", f"{path}{suffix}")
    log = Path(f"{path}-wal")
    content = bytearray(log.read_bytes())
    content[len(content) // 2] ^= 1
    log.write_bytes(content)
    assert outcome(path, MADE) == "missed"
    shutil.copyfile(side_file(killed), side_file(path))
    with pytest.raises(JournalCorrupt, match=r"ends with record \d+, and record 64 was acknowledged"):
        open_journal(path)


def test_every_bit_of_every_field_is_covered_by_the_chain():
    made = MADE
    before = None
    for record in made:
        for name in Record.__slots__:
            value = getattr(record, name)
            for bit in range(64 if isinstance(value, int) else 8 * len(value)):
                damaged = (value ^ (1 << bit)) - (bit == 63) * 2**64 if isinstance(value, int) else with_bit(value, bit)
                with pytest.raises(JournalCorrupt):
                    check_chain(before, replace(record, **{name: damaged}))
        check_chain(before, record)
        before = record


def test_a_key_longer_than_any_is_damage_and_no_fault():
    with pytest.raises(JournalCorrupt, match="record 1: its epoch or key is larger than any"):
        check_chain(None, replace(MADE[0], key=bytes(70_000)))


def test_records_that_change_places_or_go_missing_break_the_chain():
    made = records(5)
    for before, record in ((0, 2), (None, 1), (1, 1), (2, 1), (0, None)):
        with pytest.raises(JournalCorrupt):
            check_chain(None if before is None else made[before], made[record or 0])


def test_the_end_of_a_file_that_is_missing_is_missed(closed, folder):
    path = folder / "short.db"
    content = closed.read_bytes()
    for pages in range(1, len(content) // 512):
        path.write_bytes(content[: 512 * pages])
        with pytest.raises((JournalCorrupt, InvalidFile)):
            open_journal(path)
        side_file(path).unlink(missing_ok=True)
        with pytest.raises((JournalCorrupt, InvalidFile)):  # noqa: PT012
            journal = open_journal(path, write=False)
            list(journal.read())


def test_damaged_snapshots_are_left_out(tmp_path):
    journal, made = open_journal(tmp_path / "house.db"), records(3)
    journal.append(made)
    kept = [Snapshot(record.sequence, record.hash, b"state %d" % record.sequence) for record in made]
    for snapshot in kept:
        journal.save(snapshot)
    newest = max((tmp_path / "house.db-snapshots").iterdir())
    content = newest.read_bytes()
    for bit in range(8 * len(content)):
        newest.write_bytes(with_bit(content, bit))
        assert list(journal.snapshots()) == kept[1::-1]
    for size in range(len(content)):
        newest.write_bytes(content[:size])
        assert list(journal.snapshots()) == kept[1::-1]
    newest.write_bytes(content)
    assert list(journal.snapshots()) == kept[::-1]
    journal.close()


def with_bit(data: bytes, bit: int) -> bytes:
    made = bytearray(data)
    made[bit // 8] ^= 1 << bit % 8
    return bytes(made)
