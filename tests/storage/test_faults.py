"""Disks that are full and syncs that fail: the journal stops, and never says that something is safe which is not."""

import random
import tempfile
from pathlib import Path
from unittest.mock import patch

import apsw
import pytest

from crossmargin.clearing import JournalFailed, Snapshot
from crossmargin.storage import sqlite
from crossmargin.storage.sqlite import SqliteJournal
from tests.contracts.journals import records
from tests.storage.crash_points import SHM
from tests.storage.disk import Disk, put

COMMITS = 25
CHECKPOINT = 12
"""Pages of the log after which it is emptied into the file: several times in so many commits."""


@pytest.fixture
def folder():
    """A folder in memory where there is one: what is tested here is not this machine's disk."""
    with tempfile.TemporaryDirectory(dir=SHM if SHM.is_dir() else None) as made:
        yield Path(made)


@pytest.fixture
def disk():
    made = Disk()
    with patch.object(sqlite, "_CHECKPOINT_PAGES", CHECKPOINT):
        yield made
    made.unregister()


def worked(path, disk):
    """Commit until the disk fails. Return (acknowledged, attempted, whether it failed), after asking for more."""
    acknowledged, attempted = [], []
    try:
        journal = SqliteJournal(path, vfs=disk.name)
    except JournalFailed:
        return [], [], True
    try:
        for _ in range(COMMITS):
            batch = records(2, attempted[-1] if attempted else None, epoch=journal.epoch)
            attempted += batch
            try:
                journal.append(batch)
            except JournalFailed:
                # Whatever the disk says from now on.
                with pytest.raises(JournalFailed):
                    journal.append(batch)
                with pytest.raises(JournalFailed):
                    journal.last()
                return acknowledged, attempted, True
            acknowledged += batch
    finally:
        journal.close()
    return acknowledged, attempted, False


def calls_of(operation, folder, disk):
    """Return how many times an operation is called where nothing fails."""
    worked(folder / "whole.db", disk)
    return disk.calls[operation]


@pytest.mark.parametrize("lasting", [True, False])
@pytest.mark.parametrize("operation", ["write", "sync"])
def test_after_a_write_or_sync_that_fails_nothing_is_acknowledged_and_nothing_acknowledged_is_lost(
    folder, disk, operation, lasting
):
    disk.lasting = lasting
    stopped = set()
    for turn in range(1, calls_of(operation, folder, disk) + 1):
        path = folder / f"{turn}.db"
        disk.calls = dict.fromkeys(disk.calls, 0)
        disk.fails = {operation: turn}
        acknowledged, attempted, failed = worked(path, disk)
        disk.fails = {}
        stopped.add(len(acknowledged) if failed else "closing")
        journal = SqliteJournal(path, vfs=disk.name)
        found = list(journal.read())
        assert acknowledged == found[: len(acknowledged)]
        assert found == attempted[: len(found)]
        more = records(1, found[-1] if found else None, epoch=journal.epoch)
        journal.append(more)
        assert list(journal.read()) == found + more
        journal.close()
    # It failed at the opening, in the middle, and at the end, where closing empties the log.
    assert stopped >= {0, 2 * (COMMITS - 1), "closing"}
    assert len(stopped) > COMMITS // 2


def test_what_a_failed_sync_left_in_memory_is_on_the_disk_before_anything_is_built_on_it(folder, disk):
    # A machine takes what it could not sync for synced: it is read back, and goes with the power.
    disk.lasting = False
    rng = random.Random(7)
    seen_again = 0
    for turn in range(1, calls_of("sync", folder, disk) + 1):
        path, image = folder / f"{turn}.db", folder / f"image {turn}.db"
        disk.calls = dict.fromkeys(disk.calls, 0)
        disk.fails = {"sync": turn}
        acknowledged, _, failed = worked(path, disk)
        disk.fails = {}
        if not failed:
            continue
        journal = SqliteJournal(path, vfs=disk.name)
        found = list(journal.read())
        seen_again += len(found) > len(acknowledged)
        for _ in range(3):
            more = records(1, found[-1] if found else None, epoch=journal.epoch)
            journal.append(more)
            found += more
            put(disk.unplugged(rng, 512, 0.0), path, image)
            after = SqliteJournal(image, write=False)
            assert list(after.read()) == found
            after.close()
        journal.close()
    assert seen_again > 3


def test_a_snapshot_that_cannot_be_kept_harms_nothing(folder, disk):
    journal = SqliteJournal(folder / "house.db", vfs=disk.name)
    made = records(2)
    journal.append(made[:1])
    (folder / "house.db-snapshots").write_text("in the way")
    with pytest.raises(OSError, match=r"house\.db-snapshots"):
        journal.save(Snapshot(1, made[0].hash, b"state"))
    journal.append(made[1:])
    assert journal.last() == made[1]
    journal.close()


def test_an_interrupted_append_stops_the_journal(folder):
    journal = SqliteJournal(folder / "house.db")
    assert journal._writing is not None

    interrupts = iter([KeyboardInterrupt])

    def interrupt(*_):
        for once in interrupts:
            raise once

    journal._writing.trace_v2(apsw.SQLITE_TRACE_STMT, interrupt)
    with pytest.raises(KeyboardInterrupt):
        journal.append(records(1))
    with pytest.raises(JournalFailed, match="KeyboardInterrupt"):
        journal.append(records(1))
    journal.close()
