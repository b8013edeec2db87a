"""The page on journals names what there is."""

import re
from pathlib import Path

import crossmargin.clearing
import crossmargin.errors
from crossmargin.storage import open_journal

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "reference" / "journals.md").read_text(encoding="utf-8")


def test_every_error_on_the_page_exists():
    table = PAGE[PAGE.index("## What is raised") : PAGE.index("## The files")]
    named = {
        name
        for line in table.splitlines()
        for name in re.findall(r"`(\w+)`", line.split("|")[1] if "|" in line else "")
    }
    ours = {name for name in named if hasattr(crossmargin.clearing, name) or hasattr(crossmargin.errors, name)}
    assert {"InputError", "InvalidFile", "JournalCorrupt", "JournalFailed"} <= ours
    assert named - ours == {"ValueError", "OSError", "append", "save"}


def test_every_file_of_a_journal_on_the_page_is_there_while_it_is_written(tmp_path):
    from tests.clearing.test_sequencer import house

    listed = set(re.findall(r"^\| `(house\.db[\w-]*)/?`", PAGE, re.M))
    journal = open_journal(str(tmp_path / "house.db"))
    house(journal).snapshot()
    assert {path.name for path in tmp_path.iterdir()} == listed
    journal.close()


def test_the_addresses_on_the_page_are_taken(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for address in re.findall(r"`((?:memory:|house\.db|sqlite:///house\.db))`", PAGE[: PAGE.index("## What all")]):
        open_journal(address).close()
