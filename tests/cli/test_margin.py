"""`margin`: one document, one table, and exit codes that programs can rely on."""

import csv
import json
import os
import pty
import subprocess
import sys

import polars as pl
import pytest

from crossmargin import document, evaluate, load_rules, read_book
from crossmargin.cli.books import demo_text
from crossmargin.cli.entrance import REFUSED
from tests.cli.conftest import command


@pytest.fixture(scope="module")
def demo_book(tmp_path_factory):
    path = tmp_path_factory.mktemp("demo") / "book.toml"
    path.write_text(demo_text())
    return path


# --- the document


def test_json_is_one_document_on_stdout_and_nothing_else():
    ran = command("margin", "demo", "--json")
    assert ran.code == 1
    assert set(ran.document) == {
        "time", "currency", "rules", "rules_version", "scenarios", "warnings", "totals", "accounts", "pools",
    }  # fmt: skip
    assert ran.out.endswith("}\n")


def test_the_document_is_the_library_s_to_the_last_digit(crossmargin, demo_book):
    loaded = read_book(demo_book)
    expected = document(evaluate(loaded.book, loaded.market, load_rules(loaded.rules)))
    assert crossmargin("margin", demo_book, "--json").document == json.loads(json.dumps(expected))


def test_warnings_go_to_stderr_and_into_the_document(crossmargin, small_book):
    path = small_book()
    market = path.with_name("market.json")
    market.write_text(json.dumps({"market": {"prices": {"BTC": 64000}}, "accounts": []}))
    ran = crossmargin("margin", path, "--market", market, "--json")
    assert ran.document["warnings"]
    assert [line for line in ran.err.splitlines() if line.startswith("warning: ")] == [
        f"warning: {warning}" for warning in ran.document["warnings"]
    ]


def test_a_number_that_does_not_exist_is_null(crossmargin):
    accounts = {account["id"]: account for account in crossmargin("margin", "demo", "--json").document["accounts"]}
    assert accounts["ned-after-the-gap"]["margin_ratio"] is None
    assert accounts["paula-protected"]["distance_to_liquidation"] is None


def test_standard_input_gives_what_the_file_gives(crossmargin, small_book):
    path = small_book()
    by_pipe = command("margin", "-", "--json", stdin=path.read_text())
    assert by_pipe.document == crossmargin("margin", path, "--json").document


def test_the_market_is_replaced_whole(crossmargin, small_book):
    market = small_book("market.json")
    market.write_text(json.dumps({"prices": {"BTC": 32000}}))
    before = crossmargin("margin", small_book(), "--json").document["accounts"][0]
    after = crossmargin("margin", small_book(), "--market", market, "--json").document["accounts"][0]
    assert (before["unrealized_pnl"], after["unrealized_pnl"]) == (1000.0, -31000.0)


def test_rules_are_taken_by_name_or_from_a_file(crossmargin, small_book, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\nversion = "2026-11-20"\nextends = "grid"\n')
    assert crossmargin("margin", small_book(), "--rules", "brackets", "--json").document["rules"] == "brackets"
    by_file = crossmargin("margin", small_book(), "--rules", mine, "--json").document
    plain = crossmargin("margin", small_book(), "--json").document
    assert by_file["rules"] == "mine"
    assert by_file["accounts"] == plain["accounts"]


# --- exit codes

FENCED = [{"symbol": "BTC-PERP", "quantity": 1, "entry_price": 66000, "margin_mode": "isolated"}]


@pytest.mark.parametrize(
    ("account", "code"),
    [
        ({}, 0),
        ({"balances": {"USD": 12000}}, 0),
        ({"balances": {"USD": 9000}}, 1),
        ({"balances": {"USD": -2000}}, 1),
        ({"positions": [{**FENCED[0], "isolated_collateral": 15000}]}, 0),
        ({"positions": [{**FENCED[0], "isolated_collateral": 3000}]}, 1),
    ],
    ids=["healthy", "warning", "liquidation", "bankrupt", "isolated and well", "isolated in liquidation"],
)
def test_exit_1_says_that_something_is_in_liquidation_or_bankrupt(crossmargin, small_book, account, code):
    assert crossmargin("margin", small_book(**account)).code == code
    assert crossmargin("margin", small_book(**account), "--json").code == code


def test_an_account_that_is_asked_for_alone_is_judged_alone(crossmargin):
    assert crossmargin("margin", "demo", "--account", "paula-protected").code == 0
    assert crossmargin("margin", "demo", "--account", "milo-leverage").code == 1


REFUSALS = {
    "no such file": (["nosuch.json"], "no such file"),
    "no such rule book": (["demo", "--rules", "girdd"], "did you mean grid?"),
    "a rule book that is not there": (["demo", "--rules", "nosuch.toml"], "nosuch.toml"),
    "no such account": (["demo", "--account", "siles-options"], "did you mean silas-options or"),
    "no such field": (["demo", "--sort", "equityy"], "did you mean equity?"),
    "no such option": (["demo", "--jsn"], "--json"),
    "no book": ([], "BOOK"),
    "two books": (["demo", "demo"], "demo"),
    "stdout twice": (["demo", "--csv", "-"], "--csv"),
    "a place that cannot be written": (["demo", "--csv", "nosuch/folder/accounts.csv"], "accounts.csv"),
}


@pytest.mark.parametrize(("arguments", "told"), REFUSALS.values(), ids=REFUSALS)
def test_what_is_refused_exits_2_with_a_sentence_and_no_traceback(crossmargin, arguments, told):
    ran = crossmargin("margin", *arguments)
    assert ran.code == REFUSED
    assert ran.out == ""
    assert ran.err.startswith("error: ")
    assert told in ran.err
    assert "Traceback" not in ran.err


def test_a_wrong_book_is_refused_with_file_and_path(crossmargin, small_book):
    path = small_book(positions=[{"symbol": "BTC-PERP", "quantity": "many"}])
    ran = crossmargin("margin", path, "--json")
    assert (ran.code, ran.out) == (REFUSED, "")
    assert f"{path}: accounts[0].positions[0].quantity: found the text 'many'" in ran.err


# --- order, choice and tables


def test_numbers_sort_from_the_largest_text_from_a_and_absent_ones_come_last(crossmargin):
    def ids(field):
        accounts = crossmargin("margin", "demo", "--sort", field, "--json").document["accounts"]
        return [(account["id"], account[field]) for account in accounts]

    equity = [value for _, value in ids("equity")]
    assert equity == sorted(equity, reverse=True)
    names = [name for name, _ in ids("id")]
    assert names == sorted(names)
    utilization = [value for _, value in ids("utilization")]
    assert utilization[-1] is None
    assert utilization[:-1] == sorted(utilization[:-1], reverse=True)


def test_an_account_comes_with_its_pool_and_a_pool_with_its_members(crossmargin):
    one = crossmargin("margin", "demo", "--account", "vega-hedge", "--json").document
    assert ([a["id"] for a in one["accounts"]], [p["id"] for p in one["pools"]]) == (["vega-hedge"], ["vega"])
    assert one["totals"]["equity"] == one["accounts"][0]["equity"]
    pool = crossmargin("margin", "demo", "--account", "vega", "--json").document
    assert [a["id"] for a in pool["accounts"]] == ["vega-hedge", "vega-options"]
    assert [p["id"] for p in pool["pools"]] == ["vega"]


def test_csv_and_parquet_hold_every_scalar_of_every_account(crossmargin, tmp_path):
    csv_file, parquet_file = tmp_path / "a.csv", tmp_path / "a.parquet"
    ran = crossmargin("margin", "demo", "--json", "--csv", csv_file, "--parquet", parquet_file)
    accounts = ran.document["accounts"]
    assert f"wrote {len(accounts)} accounts to {csv_file}" in ran.err
    with csv_file.open(newline="") as file:
        rows = list(csv.DictReader(file))
    frame = pl.read_parquet(parquet_file)
    assert frame.columns == list(rows[0])
    for account, row, cells in zip(accounts, rows, frame.iter_rows(named=True), strict=True):
        scalars = {
            name: value
            for name, value in account.items()
            if not isinstance(value, dict | list) and name != "worst_scenario"
        }
        assert {name: cells[name] for name in scalars} == scalars
        for name, value in scalars.items():
            told = row[name] if isinstance(value, str | None) else float(row[name])
            assert told == ("" if value is None else value)
        worst = account["worst_scenario"] or {"id": None, "loss": None}
        assert (cells["worst_scenario.id"], cells["worst_scenario.loss"]) == (worst["id"], worst["loss"])


# --- the table


@pytest.mark.parametrize("width", [80, 100, 120, 150, 200])
@pytest.mark.parametrize("rules", ["grid", "standard"])
def test_the_table_fits_the_page_and_cuts_no_figure(crossmargin, monkeypatch, width, rules):
    monkeypatch.setenv("COLUMNS", str(width))
    ran = crossmargin("margin", "demo", "--rules", rules)
    lines = [line.rstrip() for line in ran.out.splitlines()]
    assert max(map(len, lines)) <= width
    assert "…" not in ran.out
    for name in ("silas-options", "BTC-PERP isolated", "vega (pool of 2)", "  vega-hedge"):
        assert any(line.startswith(name) or line.startswith(f"  {name}") for line in lines)


def test_the_wide_table_tells_everything_and_the_footer_where_it_is_from(crossmargin, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    ran = crossmargin("margin", "demo", "--rules", "standard")
    header = ran.out.splitlines()[0].split("  ")
    titles = [title.strip() for title in header if title.strip()]
    assert titles == [
        "Account", "Status", "Net value", "Equity", "Margin bal.", "Maint.", "Initial", "Available", "Used",
        "Liquidation", "Away", "Cross saves",
    ]  # fmt: skip
    for told in (
        "6 healthy, 3 warning, 1 bankrupt",
        "rule book standard of 2026-11-20",
        "no scenarios",
        "2026-11-20 08:00:00 UTC",
        "amounts in USD",
    ):
        assert told in ran.out


def test_the_margin_balance_is_shown_only_where_it_is_not_equity(crossmargin, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    assert "Margin bal." not in crossmargin("margin", "demo").out


def test_more_accounts_than_anybody_reads_are_counted_and_not_shown(crossmargin, small_book):
    path = small_book()
    book = json.loads(path.read_text())
    book["accounts"] = [{**book["accounts"][0], "id": f"a{k:04}"} for k in range(700)]
    path.write_text(json.dumps(book))
    ran = crossmargin("margin", path)
    assert "and 200 more" in ran.out
    assert "700 accounts" in ran.out
    assert len(crossmargin("margin", path, "--json").document["accounts"]) == 700


def test_a_book_without_accounts_has_an_empty_table(crossmargin, small_book):
    path = small_book()
    path.write_text(json.dumps({**json.loads(path.read_text()), "accounts": []}))
    ran = crossmargin("margin", path)
    assert ran.code == 0
    assert "0 accounts" in ran.out


# --- colours


def at_a_terminal(*arguments, **environment):
    """Return what a command writes to a terminal of its own."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "crossmargin", *arguments],
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", **environment},
    )
    os.close(theirs)
    written = b""
    try:
        while piece := os.read(ours, 65536):
            written += piece
    except OSError:
        pass  # Linux ends a terminal whose other end has closed with an error.
    process.wait()
    os.close(ours)
    return written.decode()


def test_colours_are_for_terminals_and_no_color_is_respected(crossmargin, monkeypatch):
    assert "\x1b[32mhealthy" in at_a_terminal("margin", "demo")
    assert "\x1b[32m" not in at_a_terminal("margin", "demo", NO_COLOR="1")
    monkeypatch.setenv("FORCE_COLOR", "1")
    assert "\x1b" not in crossmargin("margin", "demo").out
