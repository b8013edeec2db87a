"""Addresses: which store a text means, and what is said where it means none."""

from pathlib import Path

import pytest

from crossmargin.errors import InputError, InvalidFile
from crossmargin.storage import MemoryJournal, open_journal
from crossmargin.storage.sqlite import SqliteJournal


def test_memory_is_a_new_journal_every_time():
    first, second = open_journal("memory:"), open_journal("memory:")
    assert isinstance(first, MemoryJournal)
    assert first.epoch == second.epoch == 1


@pytest.mark.parametrize("form", ["{}", "sqlite:///{}"])
def test_a_path_and_an_sqlite_address_are_the_same_file(tmp_path, form):
    path = tmp_path / "house.db"
    open_journal(path).close()
    journal = open_journal(form.format(path))
    assert isinstance(journal, SqliteJournal)
    assert journal.epoch == 2
    journal.close()


def test_three_slashes_are_a_relative_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    open_journal("sqlite:///house.db").close()
    assert (tmp_path / "house.db").is_file()


@pytest.mark.parametrize("address", ["", "mysql://host/name", "sqlite://house.db", "sqlite:///", "memory:x", "file:x"])
def test_what_is_no_address_is_refused_and_what_is_one_is_told(address):
    with pytest.raises(InputError, match=r"journal address: found .*; allowed: a path, sqlite:"):
        open_journal(address)


def test_reading_a_new_memory_is_refused():
    with pytest.raises(InputError, match="nothing to read"):
        open_journal("memory:", write=False)


def test_a_missing_file_is_not_made_by_a_reader(tmp_path):
    with pytest.raises(InvalidFile, match="no file"):
        open_journal(tmp_path / "house.db", write=False)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("write", [True, False])
def test_folders_and_missing_folders_are_refused(tmp_path, write):
    with pytest.raises(InvalidFile, match="found a folder"):
        open_journal(tmp_path, write=write)
    with pytest.raises(InvalidFile, match="no folder to be in"):
        open_journal(Path(tmp_path, "absent", "house.db"), write=write)
