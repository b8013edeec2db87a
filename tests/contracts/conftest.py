"""The kinds of journals that have to keep the same promises."""

from collections.abc import Iterator
from functools import partial
from itertools import count

import psycopg
import pytest

from crossmargin.clearing import Journal
from crossmargin.storage import MemoryJournal, open_journal
from tests.contracts.journals import Place
from tests.contracts.server import server

_numbers = count()


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The address of a server that runs as long as the tests."""
    with server() as made:
        made.start()
        yield made.address


@pytest.fixture
def schema(postgres) -> str:
    """The address of a schema of its own on the server."""
    name = f"house_{next(_numbers)}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{postgres}&options=-csearch_path%3D{name}"


@pytest.fixture(params=["memory", "sqlite", "postgres"])
def place(request, tmp_path) -> Iterator[Place]:
    """A place where no journal is yet."""
    made = Place(request.param, opening(request, tmp_path))
    yield made
    made.close()


def opening(request, tmp_path):
    match request.param:
        case "memory":
            return _memory()
        case "sqlite":
            return lambda write: open_journal(tmp_path / "house.db", write=write)
        case "postgres":
            return partial(_server, request.getfixturevalue("schema"))


def _server(address: str, write: bool) -> Journal:
    return open_journal(address, write=write)


def _memory():
    first: list[MemoryJournal] = []

    def opened(write: bool) -> Journal:
        if first:
            return first[0].reopened(write=write)
        first.append(MemoryJournal())
        return first[0]

    return opened
