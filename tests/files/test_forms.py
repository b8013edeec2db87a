"""One book, many ways to write it: order and form change nothing, bit for bit."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.files import read_book, write_book, write_instruments, write_market
from tests.files.books import INSTRUMENTS, MARKET, TIME, bits, documents, same_market, write_folder, write_json


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("books")


@given(data=st.data(), document=documents())
def test_permuting_a_file_changes_no_bit(data, document, folder):
    def shuffled(value):
        if isinstance(value, dict):
            return {name: shuffled(value[name]) for name in data.draw(st.permutations(list(value)))}
        if isinstance(value, list) and value and isinstance(value[0], dict):
            return [shuffled(item) for item in data.draw(st.permutations(value))]
        return value

    one = read_book(write_json(document, folder / "one.json"))
    other = read_book(write_json(shuffled(document), folder / "other.json"))

    assert bits(one.book) == bits(other.book)
    assert same_market(one.market, other.market)


@given(document=documents())
def test_a_document_a_folder_of_csv_and_one_of_parquet_are_one_book(document, folder):
    one = bits(read_book(write_json(document, folder / "one.json")).book)
    assert bits(read_book(write_folder(document, folder / "csv")).book) == one
    assert bits(read_book(write_folder(document, folder / "parquet", parquet=True)).book) == one


@given(document=documents(), pieces=st.integers(2, 5))
def test_splitting_a_row_changes_no_bit(document, pieces, folder):
    """Rows add up as decimals; a split leaves nothing behind."""
    split = json.loads(json.dumps(document))
    for account in split["accounts"]:
        rows = []
        for row in account["positions"]:
            part = round(float(row["quantity"]) / pieces, 3)
            rest = f"{float(row['quantity']) - part * (pieces - 1):.3f}"
            collateral = {"isolated_collateral": 0} if "isolated_collateral" in row else {}
            rows += [{**row, "quantity": part, **collateral} for _ in range(pieces - 1)] + [{**row, "quantity": rest}]
        account["positions"] = rows
    # Distinct entry prices of one instrument are summed as values, which a split may round once more each.
    one_price = {"BTC-PERP": "61000.1", "BTC-INV": "60000", "WTI-JAN": "70.07", "BTC-C": "1200", "BTC/USD": "1"}
    for version in (document, split):
        for account in version["accounts"]:
            account["positions"] = [{**row, "entry_price": one_price[row["symbol"]]} for row in account["positions"]]

    one = read_book(write_json(document, folder / "one.json"))
    other = read_book(write_json(split, folder / "split.json"))

    assert bits(one.book) == bits(other.book)


@given(document=documents(), as_folder=st.booleans())
def test_what_is_written_is_read_again(document, as_folder, folder):
    loaded = read_book(write_json(document, folder / "one.json"))
    path = folder / ("written" if as_folder else "written.json")

    write_book(loaded.book, loaded.market, path)
    again = read_book(path)

    before, after = bits(loaded.book), bits(again.book)
    for name in ("positions.priced", "positions.entry_value", "balances.amount"):
        one, other = (np.frombuffer(side.pop(name)) for side in (before, after))
        np.testing.assert_allclose(other, one, rtol=1e-12, atol=1e-9)
    assert before == after
    assert same_market(loaded.market, again.market)


def test_single_rows_are_written_and_read_again_to_the_last_bit(folder):
    rows = [
        {"symbol": "BTC-PERP", "quantity": "-0.3", "entry_price": "61000.7"},
        {"symbol": "BTC-INV", "quantity": 7, "entry_price": "60123.5"},
        {"symbol": "WTI-JAN", "quantity": 3, "entry_price": "-0.01"},
        {"symbol": "BTC-C", "quantity": "0.1", "entry_price": 0},
        {"symbol": "BTC/USD", "quantity": "0.7", "entry_price": 50000},
    ]
    document = {
        "time": TIME,
        "instruments": INSTRUMENTS,
        "market": MARKET,
        "accounts": [{"id": "a", "mode": "cross", "balances": {"BTC": "0.1", "USD": 5}, "positions": rows}],
    }
    loaded = read_book(write_json(document, folder / "one.json"))
    write_book(loaded.book, loaded.market, folder / "written.json")
    assert bits(read_book(folder / "written.json").book) == bits(loaded.book)


def test_rows_that_cancel_keep_their_profit_when_written(folder):
    rows = [
        {"symbol": "BTC-PERP", "quantity": 1, "entry_price": 60000},
        {"symbol": "BTC-PERP", "quantity": -1, "entry_price": 61000},
        {"symbol": "BTC-INV", "quantity": 5, "entry_price": 60000},
        {"symbol": "BTC-INV", "quantity": "-4.999", "entry_price": 50000},
    ]
    document = {
        "time": TIME,
        "instruments": INSTRUMENTS,
        "market": MARKET,
        "accounts": [{"id": "a", "positions": rows}],
    }
    loaded = read_book(write_json(document, folder / "one.json"))
    write_book(loaded.book, loaded.market, folder / "written.json")
    again = read_book(folder / "written.json").book.positions
    assert loaded.book.positions.entry_value.tolist()[1] == -1.0
    np.testing.assert_array_equal(again.quantity, loaded.book.positions.quantity)
    np.testing.assert_allclose(again.entry_value, loaded.book.positions.entry_value, rtol=1e-12)


TOML = """
time = 2026-11-20T08:00:00Z
[[instruments]]
symbol = "BTC-FUT"
type = "future"
underlying = "BTC"
quote = "USD"
expiry = 2026-12-25T09:00:00+01:00
[market]
prices = { BTC = 64000 }
history = [{ date = 2026-11-19, underlying = "BTC", close = 63000.5 }]
[market.forwards.BTC]
2026-12-25 = 64600
[[accounts]]
id = "alice"
balances = { USD = 10_000, BTC = "0.5" }
positions = [{ symbol = "BTC-FUT", quantity = 1e-3, entry_price = 63000 }]
"""


def test_toml_is_the_same_book_as_json(folder):
    document = {
        "time": TIME,
        "instruments": [
            {
                "symbol": "BTC-FUT",
                "type": "future",
                "underlying": "BTC",
                "quote": "USD",
                "expiry": "2026-12-25T08:00:00Z",
            }
        ],
        "market": {
            "prices": {"BTC": 64000},
            "history": {"BTC": {"2026-11-19": 63000.5}},
            "forwards": {"BTC": {"2026-12-25": 64600}},
        },
        "accounts": [
            {
                "id": "alice",
                "balances": {"USD": 10000, "BTC": 0.5},
                "positions": [{"symbol": "BTC-FUT", "quantity": 0.001, "entry_price": 63000}],
            }
        ],
    }
    (folder / "book.toml").write_text(TOML)
    (folder / "no-suffix").write_text(TOML)
    one = read_book(write_json(document, folder / "one.json"))
    for name in ("book.toml", "no-suffix"):
        other = read_book(folder / name)
        assert bits(other.book) == bits(one.book)
        assert same_market(other.market, one.market)


def test_a_byte_order_mark_and_windows_lines_change_nothing(folder):
    document = {"time": TIME, "instruments": INSTRUMENTS, "market": MARKET, "accounts": []}
    plain = write_folder({**document, "accounts": [{"id": "a", "balances": [], "positions": []}]}, folder / "plain")
    (plain / "positions.csv").write_text("account,symbol,quantity\na,BTC-PERP,1\n")
    one = bits(read_book(plain).book)
    for path in plain.iterdir():
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert bits(read_book(plain).book) == one


@pytest.mark.parametrize(
    "history",
    [
        [
            {"date": "2026-11-18", "underlying": "BTC", "close": 1},
            {"date": "2026-11-19", "underlying": "BTC", "close": 2},
        ],
        {"date": ["2026-11-18", "2026-11-19"], "underlying": ["BTC", "BTC"], "close": [1, 2]},
        {"BTC": {"2026-11-18": 1, "2026-11-19": 2}},
        "closes/history.csv",
        "closes/history.parquet",
    ],
)
def test_a_history_is_a_file_or_a_table(history, tmp_path):
    import polars as pl

    (tmp_path / "closes").mkdir()
    text = "date,underlying,close\n2026-11-18,BTC,1\n2026-11-19,BTC,2\n"
    (tmp_path / "closes/history.csv").write_text(text)
    pl.read_csv(text.encode(), try_parse_dates=True).write_parquet(tmp_path / "closes/history.parquet")
    document = {"time": TIME, "market": {"history": history}, "accounts": []}
    found = read_book(write_json(document, tmp_path / "book.json")).market.history
    assert found is not None
    assert found.names == ("BTC",)
    assert [day.isoformat() for day in found.days] == ["2026-11-18", "2026-11-19"]
    assert found.series("BTC").tolist() == [1.0, 2.0]


def test_a_history_beside_a_folders_market_is_its_history(tmp_path):
    document = {"time": TIME, "market": {"prices": {"BTC": 1}}, "accounts": [], "instruments": []}
    write_folder({**document, "accounts": [{"id": "a", "balances": [], "positions": []}]}, tmp_path / "b")
    (tmp_path / "b/instruments.csv").unlink()
    (tmp_path / "b/history.csv").write_text("date,underlying,close\n2026-11-18,BTC,1\n")
    history = read_book(tmp_path / "b").market.history
    assert history is not None
    assert history.names == ("BTC",)


# --- markets in their own files ---------------------------------------------------------------------------------


def small(folder: Path) -> Path:
    rows = [{"symbol": "BTC-PERP", "quantity": 1}]
    document = {"time": TIME, "instruments": INSTRUMENTS[:1], "market": {"prices": {"BTC": 1}, "rates": {"USD": 0.5}}}
    return write_json({**document, "accounts": [{"id": "a", "positions": rows}]}, folder / "book.json")


def test_a_market_file_replaces_the_market_whole_and_sets_the_time(tmp_path):
    path = write_json({"time": "2026-11-21T08:00:00Z", "prices": {"BTC": 2}}, tmp_path / "market-of-today.json")
    loaded = read_book(small(tmp_path), market=path)
    assert loaded.market.prices == {"BTC": 2.0}
    assert loaded.market.rates == {}
    assert loaded.market.time.isoformat() == "2026-11-21T08:00:00+00:00"


def test_a_market_without_a_time_is_at_the_books(tmp_path):
    loaded = read_book(small(tmp_path), market=write_json({"prices": {"BTC": 2}}, tmp_path / "m.json"))
    assert loaded.market.time.isoformat() == "2026-11-20T08:00:00+00:00"


@pytest.mark.parametrize("as_folder", [True, False])
@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_an_imported_market_brings_its_instruments(as_folder, suffix, tmp_path, folder):
    document = {"time": TIME, "instruments": INSTRUMENTS, "market": MARKET, "accounts": []}
    source = read_book(write_json(document, folder / "one.json"))
    out = tmp_path / "imported"
    out.mkdir()
    write_market(source.market, out / "market.json")
    write_instruments(source.book.catalogue, out / f"instruments{suffix}")

    loaded = read_book(small(tmp_path), market=out if as_folder else out / "market.json")

    assert loaded.book.catalogue.instruments == source.book.catalogue.instruments
    assert same_market(loaded.market, source.market)


def test_a_market_can_be_taken_from_a_whole_book(tmp_path):
    other = {"time": TIME, "market": {"prices": {"BTC": 3}}, "instruments": INSTRUMENTS[2:3], "accounts": []}
    loaded = read_book(small(tmp_path), market=write_json(other, tmp_path / "other.json"))
    assert loaded.market.prices == {"BTC": 3.0}
    assert set(loaded.book.catalogue.number) == {"BTC-PERP", "WTI-JAN"}
    assert loaded.warnings == (f"{tmp_path / 'other.json'}: only its market and instruments are used, not accounts",)


# --- symbols, rules, warnings -----------------------------------------------------------------------------------


def test_an_instrument_that_is_not_listed_is_read_from_its_symbol(tmp_path):
    document = {
        "time": TIME,
        "instruments": [{"symbol": "ETH-25DEC26-3000-P", "tick_size": "0.0005"}],
        "market": {"marks": {"BTC-25DEC26": {"price": 1}}},
        "accounts": [{"id": "a", "positions": [{"symbol": "BTC/USDT:USDT", "quantity": 1}]}],
    }
    catalogue = read_book(write_json(document, tmp_path / "b.json")).book.catalogue
    assert [instrument.symbol for instrument in catalogue] == ["BTC-25DEC26", "BTC/USDT:USDT", "ETH-25DEC26-3000-P"]
    assert str(catalogue["ETH-25DEC26-3000-P"].tick_size) == "0.0005"
    assert catalogue["BTC/USDT:USDT"].settle == "USDT"


def test_a_rule_book_is_a_name_or_a_path_seen_from_the_book(tmp_path):
    def rules(**stated):
        return read_book(write_json({"time": TIME, "accounts": [], **stated}, tmp_path / "b.json")).rules

    (tmp_path / "mine.toml").write_text("")
    assert rules(rules="brackets") == "brackets"
    assert rules(rules="mine.toml") == str(tmp_path / "mine.toml")
    assert rules() == read_book(write_json({"time": TIME, "accounts": []}, tmp_path / "b.json")).book.rules


def test_a_name_that_looks_mistyped_is_warned_of(tmp_path):
    document = {"time": TIME, "instruments": INSTRUMENTS, "market": {"vol_annual": {"WTTI": 0.3, "ELSE": 0.3}}}
    loaded = read_book(write_json({**document, "accounts": []}, tmp_path / "b.json"))
    assert len(loaded.warnings) == 1
    assert "market.vol_annual.WTTI: nothing in the book is called so (did you mean WTI?)" in loaded.warnings[0]


def test_a_pool_of_several_owners_is_warned_of(tmp_path):
    accounts = [{"id": "a", "owner": "ann"}, {"id": "b", "owner": "bo"}]
    document = {"time": TIME, "accounts": accounts, "pools": [{"id": "p", "accounts": ["a", "b"]}]}
    loaded = read_book(write_json(document, tmp_path / "b.json"))
    assert "owners ann, bo" in loaded.warnings[0]


def test_the_reporting_currency_may_be_another(tmp_path):
    instruments = [{"symbol": "BTC-EUR", "type": "perpetual", "underlying": "BTC", "quote": "USD"}]
    market = {"prices": {"BTC": 64000}, "fx": {"USD": 0.5, "BTC": 32000}}
    document = {"time": TIME, "currency": "EUR", "instruments": instruments, "market": market, "accounts": []}
    loaded = read_book(write_json(document, tmp_path / "b.json"))
    assert loaded.market.currency == "EUR"
    assert "EUR" in loaded.book.catalogue.asset_number


def test_a_spot_position_of_an_isolated_account_is_a_balance(tmp_path):
    account = {"id": "a", "mode": "isolated", "positions": [{"symbol": "BTC/USD", "quantity": "0.5"}]}
    document = {"time": TIME, "instruments": INSTRUMENTS, "accounts": [account]}
    book = read_book(write_json(document, tmp_path / "b.json")).book
    assert book.positions.isolated.tolist() == [False]
    assert book.balances.amount.tolist() == [0.5]


@pytest.mark.parametrize("parquet", [False, True])
def test_tables_without_rows_are_an_empty_book(parquet, tmp_path):
    document = {"time": TIME, "instruments": INSTRUMENTS, "market": MARKET, "accounts": []}
    folder = write_folder(document, tmp_path / "b", parquet=parquet)
    loaded = read_book(folder)
    assert (len(loaded.book.accounts), len(loaded.book.positions), len(loaded.book.balances)) == (0, 0, 0)


def test_the_room_is_light_to_import():
    code = "import sys, crossmargin.files; assert not {'polars', 'numba', 'narwhals', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, env=os.environ)
