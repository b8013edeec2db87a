"""Addresses of journals: which store a text means."""

from __future__ import annotations

import re
from pathlib import Path

from crossmargin.clearing import Journal
from crossmargin.errors import InputError
from crossmargin.storage.memory import MemoryJournal

_ALLOWED = "a path, sqlite:///relative/path, sqlite:////absolute/path, postgresql://user@host/database, or memory:"


def open_journal(address: str | Path, *, write: bool = True) -> Journal:
    """Open the journal at an address, to write it (and be its only writer) or to read it.

    address: `memory:` (a new empty one, gone with the process), a path or `sqlite:///path` (a file, made where absent
    and `write`), `postgresql://...` as libpq reads it (its tables are made where absent and `write`). A path is never
    taken for an address, nor the other way round: what has `scheme:` in front is one.

    Raises InputError where the address is none, or what is there is no journal or one of a newer crossmargin;
    JournalFailed where another process is writing it or it cannot be written; JournalCorrupt where it is damaged.
    """
    if isinstance(address, Path):
        return _file(address, write)
    if address == "memory:":
        if not write:
            raise InputError("journal address", "memory: to read", "memory: to write; a new one has nothing to read")
        return MemoryJournal()
    scheme, separator, rest = address.partition("://")
    if separator and scheme in ("postgresql", "postgres"):
        return _server(address, write)
    if separator and scheme == "sqlite":
        # As others write them: three slashes and a relative path, four and an absolute one.
        if not rest.startswith("/") or len(rest) == 1:
            raise InputError("journal address", repr(address), _ALLOWED)
        return _file(Path(rest[1:]), write)
    if not address or separator or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:", address):
        raise InputError("journal address", repr(address), _ALLOWED)
    return _file(Path(address), write)


def _file(path: Path, write: bool) -> Journal:
    from crossmargin.storage.sqlite import SqliteJournal

    return SqliteJournal(path, write=write)


def _server(address: str, write: bool) -> Journal:
    try:
        from crossmargin.storage.postgres import PostgresJournal
    except ModuleNotFoundError as error:
        if error.name != "psycopg":
            raise
        raise InputError(
            "journal address", "postgresql:// and no psycopg", 'what is installed: pip install "crossmargin[postgres]"'
        ) from None
    return PostgresJournal(address, write=write)
