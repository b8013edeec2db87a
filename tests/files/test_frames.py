"""Any frame makes the same book, and says which row and column is wrong."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from crossmargin.book import Pool
from crossmargin.errors import InputError, InvalidBook, UnknownSymbol
from crossmargin.files import book_from_frames
from crossmargin.instruments import Perpetual
from tests.files.books import bits

PERPETUAL = Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USD")
POSITIONS = {
    "account": ["bob", "alice", "bob"],
    "symbol": ["BTC-PERP", "BTC/USDT:USDT", "BTC-PERP"],
    "quantity": [0.1, -2.0, 0.2],
    "entry_price": [60000.0, None, 61000.5],
}
BALANCES = {"account": ["alice", "bob"], "asset": ["USD", "BTC"], "amount": [1000.0, 0.5]}
ACCOUNTS = {"id": ["bob", "carol", "alice"], "owner": [None, "alice", None], "credit": ["prime", None, None]}


def duckdb_relation(columns):
    duckdb = pytest.importorskip("duckdb")
    return duckdb.from_arrow(pa.table(columns))


FRAMES = {
    "polars": pl.DataFrame,
    "polars lazy": pl.LazyFrame,
    "pandas": pd.DataFrame,
    "pyarrow": pa.table,
    "duckdb": duckdb_relation,
}


@pytest.mark.parametrize("frame", FRAMES.values(), ids=FRAMES)
def test_every_kind_of_frame_is_one_book(frame):
    def book(make):
        return book_from_frames(
            accounts=make(ACCOUNTS), positions=make(POSITIONS), balances=make(BALANCES), instruments=[PERPETUAL]
        )

    made = book(frame)
    assert bits(made) == bits(book(pl.DataFrame))
    assert made.accounts.ids == ["alice", "bob", "carol"]
    assert made.accounts.owners == ["alice", "bob", "alice"]
    assert made.accounts.credit.tolist() == [1, 0, 1]
    assert made.positions.quantity.tolist() == [-2.0, 0.3], "0.1 + 0.2 as decimals"
    assert made.positions.priced.tolist() == [0.0, 0.3]
    assert made.catalogue["BTC/USDT:USDT"].settle == "USDT"


def test_without_a_list_the_accounts_are_those_the_frames_name():
    book = book_from_frames(
        positions=pl.DataFrame(POSITIONS),
        balances=pl.DataFrame({**BALANCES, "account": ["dora", "bob"]}),
        instruments=pd.DataFrame({"symbol": ["BTC-PERP"], "type": "perpetual", "underlying": "BTC", "quote": "USD"}),
        pools=[Pool(id="both", accounts=("alice", "bob"))],
    )
    assert book.accounts.ids == ["alice", "bob", "dora"]
    assert book.accounts.pool.tolist() == [0, 0, -1]


def test_whole_numbers_categories_decimals_and_text_are_columns_too():
    from decimal import Decimal

    plain = book_from_frames(
        positions=pl.DataFrame({"account": ["7", "8"], "symbol": ["BTC-PERP"] * 2, "quantity": [3.0, 0.1]}),
        instruments=[PERPETUAL],
    )
    for quantity in (pl.Series([Decimal("3.0"), Decimal("0.1")]), pl.Series(["3", "0.1"])):
        frame = pl.DataFrame(
            {"account": [7, 8], "symbol": pl.Series(["BTC-PERP"] * 2, dtype=pl.Categorical), "quantity": quantity}
        )
        assert bits(book_from_frames(positions=frame, instruments=[PERPETUAL])) == bits(plain)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quantity": [1.0, np.nan, 1.0]}, r"^positions row 1, column quantity: found the number nan"),
        ({"quantity": [True, True, False]}, r"^positions row 0, column quantity: found a boolean"),
        (
            {"symbol": ["BTC-PERP", "BTC-PREP", "X"]},
            r"^positions row 1, column symbol: found the unknown symbol 'BTC-PREP'",
        ),
        ({"account": ["bob", "alice", "bbo"]}, r"^positions row 2, column account: found the unknown account 'bbo'"),
        ({"margin_mode": ["cross", "cross", "iso"]}, r"^positions row 2, column margin_mode: found the text 'iso'"),
    ],
)
def test_a_wrong_cell_is_named_by_frame_row_and_column(changes, message):
    with pytest.raises(InputError, match=message):
        book_from_frames(
            accounts=pl.DataFrame(ACCOUNTS),
            positions=pl.DataFrame({**POSITIONS, **changes}),
            instruments=[PERPETUAL],
        )


def test_a_missing_number_of_pandas_is_absent_and_refused_where_it_is_required():
    frame = pd.DataFrame({**POSITIONS, "quantity": [1.0, np.nan, 1.0]})
    with pytest.raises(InvalidBook, match="row 1, column quantity: found nothing"):
        book_from_frames(positions=frame, instruments=[PERPETUAL])


def test_what_is_no_frame_is_refused():
    with pytest.raises(InvalidBook, match="positions: found a list; allowed: a frame"):
        book_from_frames(positions=[1, 2], instruments=[PERPETUAL])
    with pytest.raises(InvalidBook, match="positions, column symbol: found nothing"):
        book_from_frames(positions=pl.DataFrame({"account": ["a"], "quantity": [1.0]}))
    with pytest.raises(InvalidBook, match="positions, column side: found an unknown column"):
        book_from_frames(positions=pl.DataFrame({**POSITIONS, "side": 1}))


def test_an_expired_instrument_may_be_listed_and_not_held():
    frame = pl.DataFrame({"account": ["a"], "symbol": ["BTC-25DEC26"], "quantity": [1.0]})
    assert len(book_from_frames(positions=frame, time="2026-12-24T08:00:00Z").positions) == 1
    with pytest.raises(InvalidBook, match="BTC-25DEC26, which expired"):
        book_from_frames(positions=frame, time="2026-12-26T08:00:00Z")
    book_from_frames(positions=frame.with_columns(quantity=0.0), time="2026-12-26T08:00:00Z")
    with pytest.raises(UnknownSymbol):
        book_from_frames(positions=frame.with_columns(symbol=pl.lit("nothing")))
