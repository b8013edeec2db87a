"""Every wrong book is refused with the place, what was found there and what is allowed."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest

import crossmargin.errors
from crossmargin.errors import InputError, InvalidBook, InvalidFile, InvalidInstrument, InvalidMarket
from crossmargin.files import read_book

HERE = Path(__file__).parent
WRONG = HERE / "wrong"
EXPECTED = tomllib.loads((HERE / "wrong.toml").read_text(encoding="utf-8"))
TIME = "2026-11-20T08:00:00Z"
PERPETUAL = {"symbol": "BTC-PERP", "type": "perpetual", "underlying": "BTC", "quote": "USD"}


def folder_with(path: Path, folder: Path) -> Path:
    """A right folder in which one section, named by the file up to its first hyphen, is wrong."""
    section = path.stem.split("-")[0]
    (folder / "book.json").write_text(json.dumps({"time": TIME}))
    (folder / "market.json").write_text(json.dumps({"prices": {"BTC": 64000}}))
    if section != "instruments":
        (folder / "instruments.json").write_text(json.dumps([PERPETUAL]))
    if section != "accounts":
        (folder / "accounts.csv").write_text("id\nalice\n")
    shutil.copy(path, folder / f"{section}.csv")
    return folder


def test_every_wrong_book_has_an_expectation_and_the_other_way_round():
    assert {path.name for path in WRONG.iterdir()} == EXPECTED.keys()


@pytest.mark.parametrize("name", EXPECTED)
def test_a_wrong_book_is_refused_with_place_found_allowed_and_hint(name, tmp_path):
    expected = EXPECTED[name]
    path = WRONG / name
    folder = folder_with(path, tmp_path) if path.suffix == ".csv" else WRONG

    with pytest.raises(InputError) as caught:
        read_book(folder if path.suffix == ".csv" else path)

    error = caught.value
    assert type(error) is getattr(crossmargin.errors, expected["error"])
    assert error.where.replace(f"{folder}/", "") == expected["where"]
    assert expected["found"] in error.found.replace(f"{folder}/", "")
    assert expected["allowed"] in error.allowed.replace(f"{folder}/", "")
    assert error.hint == expected.get("hint", "")
    for part in (error.where, error.found, error.allowed, error.hint):
        assert part in str(error)


def put(folder, **files):
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text)
    return folder


RIGHT = {
    "book__json": json.dumps({"time": TIME}),
    "market__json": json.dumps({"prices": {"BTC": 64000}}),
    "instruments__json": json.dumps([PERPETUAL]),
    "positions__csv": "account,symbol,quantity\nalice,BTC-PERP,1\n",
}


def test_a_folder_that_is_right_is_read(tmp_path):
    assert read_book(put(tmp_path, **RIGHT)).book.accounts.ids == ["alice"]


@pytest.mark.parametrize(
    ("files", "error", "message"),
    [
        (
            {"positions__parquet": ""},
            InvalidBook,
            r"positions\.parquet: found a section stated twice: positions\.csv too",
        ),
        ({"postions__csv": ""}, InvalidFile, r"postions\.csv: found no section of a book.*did you mean positions"),
        (
            {"balances__json": "[]"},
            InvalidFile,
            r"balances\.json: found balances as \.json; allowed: \.csv or \.parquet",
        ),
        (
            {"book__json": json.dumps({"time": TIME, "instruments": []})},
            InvalidBook,
            r"instruments\.json: found a section stated twice: instruments in .*book\.json too",
        ),
        (
            {"book__json": json.dumps({"time": TIME, "market": {}})},
            InvalidBook,
            r"market\.json: found a section stated twice",
        ),
        (
            {"book__json": json.dumps({"time": TIME, "rules": "other.toml"}), "rules__toml": ""},
            InvalidBook,
            r"rules\.toml: found a section stated twice: rules 'other\.toml' in .*book\.json too",
        ),
        (
            {"accounts__json": json.dumps([{"id": "alice", "positions": [{"symbol": "BTC-PERP", "quantity": 1}]}])},
            InvalidBook,
            r"positions\.csv: found positions of the accounts are stated there too",
        ),
        (
            {"accounts__json": '[{"id": "alice", "crdit": "prime"}]'},
            InvalidBook,
            r"accounts\.json: \[0\]\.crdit: found an u",
        ),
        (
            {"market__json": '{"prise": {}}'},
            InvalidMarket,
            r"market\.json: prise: found an unknown field.*did you mean price",
        ),
        ({"book__json": "{}"}, InvalidBook, r"time: found nothing; allowed: the time of the book"),
    ],
)
def test_a_folder_whose_files_disagree_is_refused(files, error, message, tmp_path):
    with pytest.raises(error, match=message):
        read_book(put(tmp_path, **(RIGHT | files)))


def test_a_file_that_is_no_section_is_named_in_a_warning(tmp_path):
    loaded = read_book(put(tmp_path, **RIGHT, standing__csv="account,equity\n", README__md="mine"))
    assert loaded.warnings == (f"{tmp_path / 'standing.csv'}: not a section of a book, not read",)


@pytest.mark.parametrize("name", ["book.json", "market.json", "instruments.json", "positions.csv"])
def test_an_empty_file_in_a_folder_is_refused(name, tmp_path):
    put(tmp_path, **RIGHT)
    (tmp_path / name).write_text("")
    with pytest.raises(InvalidFile, match=rf"{name}: found an empty file"):
        read_book(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("book.json", b'{"time":\n"2026\xe9"}', r"book\.json line 2: found the byte 0xe9; allowed: UTF-8 text"),
        ("book.json", "{}".encode("utf-16"), r"book\.json: found UTF-16 text.*it must be UTF-8"),
        ("book.json", b"\x1f\x8b\x08", r"book\.json: found a gzip file"),
        ("book.json", b"[" * 100_000, r"book\.json: found a document nested too deeply"),
        (
            "positions.csv",
            b"account,symbol,quantity\nal\xe9,BTC-PERP,1\n",
            r"positions\.csv row 2: found bytes that are not",
        ),
        ("positions.csv", b"acc\xe9,symbol\n", r"positions\.csv row 1: found bytes that are not UTF-8"),
    ],
)
def test_a_file_of_other_bytes_is_refused(name, content, message, tmp_path):
    (put(tmp_path, **RIGHT) / name).write_bytes(content)
    with pytest.raises(InvalidFile, match=message):
        read_book(tmp_path)


def test_what_is_not_there_is_said_so(tmp_path):
    with pytest.raises(InvalidFile, match=r"nowhere\.json: found no such file"):
        read_book(tmp_path / "nowhere.json")
    with pytest.raises(InvalidFile, match=r"positions\.csv: found one table.*give the folder"):
        read_book(put(tmp_path, **RIGHT) / "positions.csv")


def test_what_a_terminal_would_obey_is_shown_escaped(tmp_path):
    (tmp_path / "book.json").write_text('{"\\u001b[31mred": 1}')
    with pytest.raises(InvalidBook, match=r"book\.json: \\x1b\[31mred: found an unknown field"):
        read_book(tmp_path / "book.json")


@pytest.mark.parametrize("day", ["20261225", "2026-W52-5", "2026-12-25T00:00:00Z", "25-12-2026"])
def test_a_date_is_written_in_one_way(day, tmp_path):
    """Two ways to write one date would be two keys for one forward."""
    (tmp_path / "book.json").write_text(
        json.dumps({"time": TIME, "market": {"forwards": {"BTC": {day: 64000}}}, "accounts": []})
    )
    with pytest.raises(
        InvalidMarket, match=r"market\.forwards\.BTC: found the text .*; allowed: a UTC date as YYYY-MM-DD"
    ):
        read_book(tmp_path / "book.json")


# --- Parquet ----------------------------------------------------------------------------------------------------


def parquet_folder(folder, **columns):
    import polars as pl

    files = {name: text for name, text in RIGHT.items() if name != "positions__csv"}
    put(folder, **files)
    pl.DataFrame(columns).write_parquet(folder / "positions.parquet")
    return folder


def test_a_truncated_parquet_file_is_refused(tmp_path):
    folder = parquet_folder(tmp_path, account=["alice"], symbol=["BTC-PERP"], quantity=[1.0])
    path = folder / "positions.parquet"
    whole = path.read_bytes()
    for size in (1, 4, 11, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        with pytest.raises(InvalidFile, match=r"positions\.parquet: found .*; allowed: a whole Parquet file"):
            read_book(folder)
    path.write_bytes(b"")
    with pytest.raises(InvalidFile, match=r"positions\.parquet: found an empty file"):
        read_book(folder)
    path.write_text("account,symbol,quantity\nalice,BTC-PERP,1\n")
    with pytest.raises(InvalidFile, match=r"positions\.parquet: found a file that does not begin as Parquet"):
        read_book(folder)


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [
        ("quantity", [1.0, float("nan")], r"positions\.parquet row 2, column quantity: found the number nan"),
        ("quantity", [1.0, float("inf")], r"positions\.parquet row 2, column quantity: found the number inf"),
        (
            "quantity",
            [True, False],
            r"positions\.parquet row 1, column quantity: found a boolean; allowed: a finite number",
        ),
        ("quantity", ["1", "two"], r"positions\.parquet row 2, column quantity: found the text 'two'"),
        ("quantity", [1.0, None], r"positions\.parquet row 2, column quantity: found nothing"),
        ("account", ["alice", None], r"positions\.parquet row 2, column account: found nothing"),
        ("symbol", [1.5, 2.5], r"positions\.parquet, column symbol: found a column of Float64; allowed: text"),
        ("entry_price", [1.0, 0.0], r"positions\.parquet row 2, column entry_price: found 0; allowed: a price above 0"),
        (
            "margin_mode",
            ["cross", "crossed"],
            r"positions\.parquet row 2, column margin_mode: found the text 'crossed'",
        ),
        ("side", ["buy", "sell"], r"positions\.parquet, column side: found an unknown column"),
    ],
)
def test_a_cell_of_a_parquet_file_is_refused_by_row_and_column(column, values, message, tmp_path):
    columns = {"account": ["alice", "bob"], "symbol": ["BTC-PERP"] * 2, "quantity": [1.0, 2.0]} | {column: values}
    with pytest.raises(InputError, match=message):
        read_book(parquet_folder(tmp_path, **columns))


# --- a market in its own file -----------------------------------------------------------------------------------


def test_a_market_file_whose_instruments_differ_from_the_books_is_refused(tmp_path):
    book = put(tmp_path / "book", **RIGHT)
    other = put(
        tmp_path / "market",
        market__json='{"prices": {"BTC": 1}}',
        instruments__csv="symbol,type,underlying,quote,contract_size\nBTC-PERP,perpetual,BTC,USD,10\n",
    )
    with pytest.raises(InvalidInstrument, match=r"instrument BTC-PERP: found other contract_size than in the book"):
        read_book(book, market=other)


@pytest.mark.parametrize(
    ("market", "message"),
    [
        ("[]", r"m\.json: found a list; allowed: a market"),
        ('{"currency": "EUR"}', r"m\.json: currency: found 'EUR'; allowed: USD, the reporting currency of the book"),
        (
            '{"market": {"time": "2026-11-21T08:00:00Z"}, "time": "2026-11-20T08:00:00Z"}',
            r"m\.json: market\.time: found",
        ),
        ('{"prices": {"BTC": -1}}', r"m\.json: prices\.BTC: found -1; allowed: a price above 0"),
        ('{"marks": {"BTC-PREP": {"price": 1}}}', r"m\.json: marks\.BTC-PREP: found the unknown symbol"),
        ('{"rates": {"USD": 5}}', r"m\.json: rates\.USD: found 5.0.*is 5.0 percent meant"),
    ],
)
def test_a_wrong_market_file_is_refused_in_its_own_name(market, message, tmp_path):
    book = put(tmp_path / "book", **RIGHT | {"book__json": json.dumps({"time": TIME, "currency": "USD"})})
    path = tmp_path / "m.json"
    path.write_text(market)
    with pytest.raises(InputError, match=message):
        read_book(book, market=path)
    with pytest.raises(InvalidFile, match=r"found no market\.json"):
        read_book(book, market=tmp_path)
