"""When something goes wrong: our fault is owned up to, a reader who leaves is not shouted after."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from crossmargin.cli import main
from crossmargin.cli.entrance import INTERRUPTED, NOBODY_READS, OUR_FAULT


def test_our_own_fault_exits_3_with_a_traceback_and_where_to_report(crossmargin, monkeypatch):
    def broken(*arguments):
        raise RuntimeError("a wheel came off")

    monkeypatch.setattr("crossmargin.standing.evaluate", broken)
    ran = crossmargin("margin", "demo", "--json")
    assert (ran.code, ran.out) == (OUR_FAULT, "")
    assert "Traceback" in ran.err
    assert "RuntimeError: a wheel came off" in ran.err
    assert "a fault of crossmargin, not of your input" in ran.err
    assert "issue tracker" in ran.err


def test_an_interrupt_is_not_a_fault(crossmargin, monkeypatch):
    def interrupted(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("crossmargin.standing.evaluate", interrupted)
    ran = crossmargin("margin", "demo")
    assert (ran.code, ran.out, ran.err) == (INTERRUPTED, "", "interrupted\n")


def start(*arguments, **pipes):
    return subprocess.Popen([sys.executable, "-m", "crossmargin", *arguments], stderr=subprocess.PIPE, **pipes)


def test_control_c_while_it_waits_for_input_ends_it_without_a_traceback():
    process = start("margin", "-", stdin=subprocess.PIPE)
    # Its reader is imported just before it reads: a signal that came sooner would test how Python starts.
    deadline = time.monotonic() + 60
    while b"msgspec" not in Path(f"/proc/{process.pid}/maps").read_bytes():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(signal.SIGINT)
    _, told = process.communicate(timeout=60)
    assert process.returncode == INTERRUPTED
    assert b"Traceback" not in told


def test_a_reader_of_stdout_who_leaves_is_not_told_of_it():
    process = start("margin", "demo", "--json", stdout=subprocess.PIPE)
    process.stdout.close()
    told = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=120) == NOBODY_READS
    assert b"Traceback" not in told
    assert b"BrokenPipe" not in told


def test_a_terminal_without_the_letters_shows_question_marks(small_book):
    path = small_book(id="żółw")
    ran = subprocess.run(
        [sys.executable, "-m", "crossmargin", "margin", str(path)],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "COLUMNS": "200"},
        capture_output=True,
        check=True,
    )
    assert b"???w" in ran.stdout


def test_main_returns_codes_and_never_raises():
    assert [main([]), main(["--help"]), main(["no-such-verb"]), main(["margin", "nosuch.json"])] == [0, 0, 2, 2]
