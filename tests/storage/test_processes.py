"""Real processes: killed while they write, and two that want the same journal."""

import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from crossmargin.clearing import JournalFailed, chained, check_chain
from crossmargin.storage import open_journal
from crossmargin.storage.claims import side_file

WRITER = """
import sys
from pathlib import Path
from crossmargin.clearing import chained
from crossmargin.storage import open_journal

journal = open_journal(Path(sys.argv[1]))
last = journal.last()
print("open", journal.epoch, flush=True)
while True:
    batch = []
    for _ in range(3):
        number = last.sequence + 1 if last else 1
        last = chained(last, journal.epoch, number, b"%d" % number, b"payload" * (number % 50))
        batch.append(last)
    journal.append(batch)
    print(last.sequence, last.hash.hex(), flush=True)
"""


def writer(path, **options):
    """Start a process that opens a journal and appends to it for ever, telling what was acknowledged."""
    return subprocess.Popen([sys.executable, "-c", WRITER, path], stdout=subprocess.PIPE, text=True, **options)


@contextmanager
def writing(path, **options):
    """Yield such a process once it has opened the journal; killed at the end."""
    with writer(path, **options) as process:
        try:
            assert process.stdout.readline().startswith("open ")
            yield process
        finally:
            process.kill()


def test_a_writer_that_is_killed_loses_nothing_it_acknowledged(tmp_path):
    path = tmp_path / "house.db"
    acknowledged: list[list[str]] = []
    for round_ in range(1, 6):
        with writing(path) as process:
            told = [process.stdout.readline() for _ in range(5 * round_)]
            process.send_signal(signal.SIGKILL)
            # What was in the pipe when it died was acknowledged, too. A line cut short was not.
            told += process.stdout.read().splitlines(keepends=True)
        acknowledged += [line.split() for line in told if line.endswith("\n")]
        journal = open_journal(path)
        assert journal.epoch == 2 * round_
        found = list(journal.read())
        before = None
        for record in found:
            check_chain(before, record)
            before = record
        for sequence, hash_ in acknowledged:
            assert found[int(sequence) - 1].hash.hex() == hash_
        journal.close()
    assert len(acknowledged) >= 5 + 10 + 15 + 20 + 25


def test_of_two_processes_one_writes_and_the_other_is_told_by_whom(tmp_path):
    path = tmp_path / "house.db"
    with writing(path) as process:
        with pytest.raises(JournalFailed, match=f"found that process {process.pid} is writing this journal"):
            open_journal(path)
        reader = open_journal(path, write=False)
        process.stdout.readline()
        assert reader.last() is not None
        reader.close()
    # The lock went with the process.
    journal = open_journal(path)
    assert journal.epoch == 2
    journal.close()


def test_a_process_that_lost_its_lock_is_fenced_by_the_next(tmp_path):
    path = tmp_path / "house.db"
    with writing(path, stderr=subprocess.PIPE) as process:
        process.stdout.readline()
        side_file(path).unlink()
        journal = open_journal(path)
        last = journal.last()
        assert (journal.epoch, last.epoch) == (2, 1)
        told, error = process.communicate(timeout=30)
        assert process.returncode == 1
        assert "JournalFailed" in error
        assert "fenced: a later writer than epoch 1" in error
    # It acknowledged nothing after the later one had opened.
    assert all(int(line.split()[0]) <= last.sequence for line in told.splitlines())
    assert journal.last() == last
    journal.append([chained(last, 2, last.time + 1, b"later", b"")])
    journal.close()


def test_a_journal_is_let_go_by_a_child_that_was_started_in_between(tmp_path):
    path: Path = tmp_path / "house.db"
    journal = open_journal(path)
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
    try:
        journal.close()
        open_journal(path).close()
    finally:
        child.communicate(b"\n")
