"""Work in parts: every row once, whatever the number of threads; what is raised in a part is raised."""

import pytest

from crossmargin.errors import InputError
from crossmargin.threads import in_parts, threads


@pytest.mark.parametrize("workers", ["1", "2", "3"])
@pytest.mark.parametrize("rows", [0, 1, 9, 10, 1000, 1001])
def test_every_row_is_run_once_in_parts_that_are_not_small(monkeypatch, workers, rows):
    monkeypatch.setenv("CROSSMARGIN_THREADS", workers)
    parts = []
    in_parts(rows, lambda low, high: parts.append((low, high)), least=10)
    assert sorted(row for low, high in parts for row in range(low, high)) == list(range(rows))
    assert len(parts) == 1 or min(high - low for low, high in parts) >= 10


def test_what_fails_in_a_part_fails(monkeypatch):
    monkeypatch.setenv("CROSSMARGIN_THREADS", "2")

    def run(low, high):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        in_parts(100, run, least=1)


@pytest.mark.parametrize("given", ["0", "-1", "two", "1.5"])
def test_a_number_of_threads_that_is_none_is_refused(monkeypatch, given):
    monkeypatch.setenv("CROSSMARGIN_THREADS", given)
    with pytest.raises(InputError, match="CROSSMARGIN_THREADS"):
        threads()


def test_without_a_word_there_is_a_thread_a_processor(monkeypatch):
    monkeypatch.delenv("CROSSMARGIN_THREADS", raising=False)
    assert threads() >= 1
