"""Whatever bytes arrive, a book is read or refused as input; nothing else escapes."""

import json
from contextlib import contextmanager, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.files import read_book
from tests.files.books import INSTRUMENTS, MARKET, TIME, write_folder, write_json

DOCUMENT = {
    "time": TIME,
    "currency": "USD",
    "rules": "grid",
    "assets": [{"symbol": "BTC", "haircut": [[100, 0.05], [None, 0.2]], "cap": 1000}],
    "instruments": INSTRUMENTS,
    "market": MARKET,
    "accounts": [
        {
            "id": "alice",
            "balances": {"USD": 1, "BTC": "0.5"},
            "positions": [
                {"symbol": "BTC-PERP", "quantity": 1, "entry_price": 60000},
                {"symbol": "BTC-C", "quantity": -1, "margin_mode": "isolated", "isolated_collateral": 5},
            ],
        },
        {"id": "bob", "owner": "alice", "balances": [{"asset": "USD", "amount": 5}], "positions": []},
    ],
    "orders": [{"account": "alice", "symbol": "BTC-PERP", "quantity": 1, "limit": 63900}],
    "locations": [{"id": "custodian", "fee": 5, "cap": None, "halted": False}],
    "pools": [{"id": "p", "accounts": ["alice", "bob"]}],
}

numbers = st.one_of(
    st.integers(-(10**30), 10**30), st.floats(), st.sampled_from([0, -0.0, 1e308, 5e-324, 10**400, -1, 1.2, 5.0])
)
values = st.recursive(
    st.one_of(
        st.none(), st.booleans(), numbers, st.text(max_size=8), st.sampled_from(["USD", "BTC", "NaN", "1e400", ""])
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=5,
)


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


@contextmanager
def refused_in(path):
    """Let pass an error that names the file, what was found and what is allowed."""
    refusal = None
    try:
        yield
    except InputError as error:
        refusal = error
    if refusal is not None:
        assert refusal.where.startswith(str(path))
        assert refusal.found
        assert refusal.allowed


PLACES = list(places(DOCUMENT))[1:]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fuzz")


@given(data=st.data())
def test_any_value_anywhere_is_read_or_refused_with_its_place(data, folder):
    document = json.loads(json.dumps(DOCUMENT))
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(PLACES))
        node = document
        with suppress(KeyError, IndexError, TypeError):  # an earlier change took this place away
            for key in path[:-1]:
                node = node[key]
            what = data.draw(st.sampled_from(["replace", "delete", "add"]))
            if what == "replace":
                node[path[-1]] = data.draw(values)
            elif what == "delete":
                del node[path[-1]]
            elif isinstance(node, dict):
                node[data.draw(st.text(max_size=6))] = data.draw(values)
            else:
                node.append(data.draw(values))
    path = folder / "book.json"
    # json writes NaN and Infinity, as careless programs do.
    path.write_text(json.dumps(document))
    with refused_in(path):
        read_book(path)


@given(data=st.data(), suffix=st.sampled_from([".json", ".toml", ""]))
def test_any_damage_to_the_text_is_read_or_refused(data, suffix, folder):
    whole = json.dumps(DOCUMENT).encode()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    path = folder / f"damaged{suffix}"
    path.write_bytes(whole[:start] + data.draw(st.binary(max_size=20)) + whole[end:])
    with suppress(InputError):
        read_book(path)


@given(
    data=st.data(), name=st.sampled_from(["accounts", "balances", "positions", "instruments"]), parquet=st.booleans()
)
def test_any_damage_to_a_table_is_read_or_refused(data, name, parquet, folder):
    accounts = [
        {
            **account,
            "balances": [{"asset": "USD", "amount": 5}],
            "positions": [{"symbol": "BTC-PERP", "quantity": 1.5, "entry_price": 60000}],
        }
        for account in DOCUMENT["accounts"]
    ]
    write_folder({**DOCUMENT, "accounts": accounts}, folder / "table", parquet=parquet)
    path = folder / "table" / f"{name}.{'parquet' if parquet else 'csv'}"
    whole = path.read_bytes()
    start = data.draw(st.integers(0, len(whole)))
    end = data.draw(st.integers(start, min(len(whole), start + 40)))
    path.write_bytes(whole[:start] + data.draw(st.binary(max_size=20)) + whole[end:])
    with suppress(InputError):
        read_book(folder / "table")


def test_the_document_of_these_tests_is_right(folder):
    assert len(read_book(write_json(DOCUMENT, folder / "right.json")).book.accounts) == 2
