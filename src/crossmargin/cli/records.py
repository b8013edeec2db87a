"""Journals as verbs read them: opened to read only, with a bar while their records go by."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossmargin.clearing import Journal

FILE = "journal.sqlite"
"""Name of the journal where the store is a folder."""


def address_of(store: str) -> str:
    """Return the address of the journal of a store: itself, or a file in it where it is a folder."""
    return str(Path(store) / FILE) if "://" not in store and Path(store).is_dir() else store


@contextmanager
def reading(store: str, what: str) -> Iterator[tuple[Journal, Callable[[int], object]]]:
    """Yield a journal and what to call with the number of records read; InputError where there is no journal."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from crossmargin.clearing import JournalCorrupt
    from crossmargin.cli.console import notes
    from crossmargin.errors import InvalidFile
    from crossmargin.storage import open_journal

    journal = open_journal(address_of(store), write=False)
    try:
        last = journal.last()
        if last is None:
            raise InvalidFile(store, "a journal without records", "a journal that a house has written to")
        console = notes()
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
            task = progress.add_task(what, total=last.sequence)
            yield journal, lambda done: progress.update(task, completed=done)
    except JournalCorrupt as error:
        raise InvalidFile(store, str(error), "a journal as it was written; `crossmargin audit` says more") from None
    finally:
        journal.close()
