"""The smaller verbs do what their help says, and so does what they tell people to type next."""

import json
import shlex
import tomllib

import pytest

from crossmargin import rules
from crossmargin.cli.books import demo_text
from crossmargin.cli.entrance import REFUSED

ETH_CHAIN = "data/options/deribit_eth_chain_20240108.csv"


def arguments_of(line):
    """Return the arguments of a command line, however it calls the program."""
    words = shlex.split(line)
    return words[words.index(next(word for word in words if word.endswith("crossmargin"))) + 1 :]


# --- demo


@pytest.fixture
def demo(crossmargin, monkeypatch):
    monkeypatch.setenv("COLUMNS", "110")
    return crossmargin("demo")


def test_the_demo_shows_the_table_an_account_the_saving_and_what_to_try(demo):
    assert demo.code == 0
    for told in (
        "10 accounts",
        "silas-options: warning",
        "By group",
        "By position",
        "from the book's history",
        "Try next",
    ):
        assert told in demo.out
    assert max(len(line) for line in demo.out.splitlines()) <= 110


def test_every_command_the_demo_tells_to_try_works(demo, crossmargin, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = demo.out.split("Try next")[1].splitlines()
    commands = [line.strip().split("   ")[0] for line in lines if "crossmargin" in line]
    assert len(commands) >= 5
    for line in commands:
        ran = crossmargin(*arguments_of(line))
        # 1 is what `margin` says of a book with an account in liquidation, as this one has.
        assert ran.code in (0, 1), (line, ran.err)
        assert ran.out


def test_the_demo_book_has_an_account_of_every_kind(crossmargin):
    document = crossmargin("margin", "demo", "--json").document
    statuses = {account["status"] for account in document["accounts"]}
    assert statuses == {"healthy", "warning", "call", "liquidation", "bankrupt"}
    book = tomllib.loads(demo_text())
    terms = book["instruments"]
    assert {i["type"] for i in terms} == {"perpetual", "future", "option"}
    assert {i["underlying"] for i in terms} == {"BTC", "ETH", "SPX", "NASDAQ", "WTI", "EUR"}
    assert any(i.get("inverse") and i["type"] == "option" for i in terms)
    assert any(i.get("inverse") and i["type"] == "perpetual" for i in terms)
    assert any(i.get("price_domain") == "any" for i in terms)
    balances = [row for account in document["accounts"] for row in account["balances"]]
    assert {row["asset"] for row in balances} == {"USD", "USDC", "BTC", "ETH", "EUR"}
    assert "pending" in {row["state"] for row in balances}
    assert [p["id"] for p in document["pools"]] == ["vega"]
    assert "isolated" in {p["margin_mode"] for account in document["accounts"] for p in account["positions"]}


# --- init and schema


@pytest.mark.parametrize("option", [[], ["--demo"]], ids=["starter", "demo"])
def test_a_book_is_written_margins_and_is_never_overwritten(crossmargin, tmp_path, option):
    folder = tmp_path / "my book"
    ran = crossmargin("init", folder, *option)
    assert ran.code == 0
    for line in ran.out.splitlines()[1:]:
        again = crossmargin(*arguments_of(line.removeprefix("next:")))
        assert again.code in (0, 1), again.err
    refused = crossmargin("init", folder, *option)
    assert refused.code == REFUSED
    assert "a book already" in refused.err


def test_a_file_is_no_folder_to_write_a_book_to(crossmargin, tmp_path):
    path = tmp_path / "file"
    path.write_text("")
    assert [crossmargin("init", path, *option).code for option in ([], ["--demo"])] == [REFUSED, REFUSED]


def test_the_schema_is_json_schema_of_a_book(crossmargin):
    schema = crossmargin("schema").document
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"accounts", "instruments", "market"} <= schema["properties"].keys()


# --- rules


def test_every_shipped_rule_book_is_listed_and_shown_with_its_sources(crossmargin):
    listed = crossmargin("rules", "list", "--json").document
    assert [book["name"] for book in listed] == rules.shipped()
    for name in rules.shipped():
        assert name in crossmargin("rules", "list").out
        shown = crossmargin("rules", "show", name, "--json").document
        book = rules.load(name)
        assert [p["key"] for p in shown["parameters"]] == [p.key for p in book.parameters]
        assert all(p["unit"] and p["source"] for p in shown["parameters"])
        assert book.parameters[0].key in crossmargin("rules", "show", name).out


def test_a_rule_book_is_compared_with_one_that_extends_it(crossmargin, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'name = "mine"\nversion = "2026-11-21"\nextends = "grid"\n[parameters.call_level]\n'
        'value = 1.25\nunit = "multiple of maintenance margin"\nsource = "own"\n'
    )
    changes = crossmargin("rules", "diff", "grid", mine, "--json").document
    assert {change["key"]: (change["before"], change["after"]) for change in changes} == {
        "version": ("2026-11-20", "2026-11-21"),
        "call_level": (1.1, 1.25),
    }
    assert "call_level" in crossmargin("rules", "diff", "grid", mine).out
    assert "same parameters" in crossmargin("rules", "diff", "grid", "grid").out


def test_a_wrong_rule_book_is_refused_with_file_line_and_key(crossmargin, tmp_path):
    mine = tmp_path / "mine.toml"
    mine.write_text('name = "mine"\nversion = "2026-11-21"\nextends = "grid"\n[parameters.call_levle]\nvalue = 2\n')
    ran = crossmargin("rules", "show", mine)
    assert ran.code == REFUSED
    assert f"{mine}, line 4: parameters.call_levle" in ran.err


# --- import


def test_a_chain_becomes_a_market_that_a_portfolio_is_margined_on(crossmargin, shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    ran = crossmargin("import", "deribit-chain", shared / ETH_CHAIN)
    assert ran.code == 0
    assert "684 options" in ran.out
    for symbol in ("ETH-12JAN24-1200-C", "ETH-9JAN24-2900-C"):
        assert symbol in ran.err
    positions = [
        {"symbol": "ETH-26JAN24-2400-C", "quantity": -50},
        {"symbol": "ETH-12JAN24-1200-C", "quantity": 1},
        {"symbol": "ETH-29MAR24", "quantity": 10000, "entry_price": 2290},
        {"symbol": "ETH-PERPETUAL", "quantity": 20000, "entry_price": 2250},
    ]
    book = {"accounts": [{"id": "ann", "balances": {"ETH": 30}, "positions": positions}]}
    (tmp_path / "book.json").write_text(json.dumps(book))
    for market in ("deribit_eth_chain_20240108/market.json", "deribit_eth_chain_20240108"):
        margined = crossmargin("margin", "book.json", "--market", market, "--json")
        assert margined.code in (0, 1), margined.err
        (account,) = margined.document["accounts"]
        assert account["maintenance_margin"] > 0
        assert len(account["positions"]) == 4


CCXT = [
    {
        "symbol": "BTC/USDT:USDT", "side": "short", "contracts": 2, "contractSize": 1, "entryPrice": 64000,
        "marginMode": "cross", "markPrice": 63900,
    }
]  # fmt: skip


def test_positions_are_written_under_the_account_that_was_named_and_never_over_others(crossmargin, tmp_path):
    dump = tmp_path / "positions.json"
    dump.write_text(json.dumps(CCXT))
    arguments = ["import", "ccxt-positions", dump, "--venue", "binance", "--account", "me", "--out", tmp_path / "book"]
    ran = crossmargin(*arguments)
    assert ran.code == 0, ran.err
    assert (tmp_path / "book" / "positions.csv").read_text().splitlines()[1].startswith("me,BTC/USDT:USDT,-2")
    again = crossmargin(*arguments)
    assert (again.code, "positions already" in again.err) == (REFUSED, True)
    market = tmp_path / "market.json"
    market.write_text(json.dumps({"time": "2026-11-20T08:00:00Z", "prices": {"BTC": 64000}, "fx": {"USDT": 1}}))
    margined = crossmargin("margin", tmp_path / "book", "--market", market, "--json")
    assert [account["id"] for account in margined.document["accounts"]] == ["me"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["deribit-chian", "x.csv"], "did you mean deribit-chain"),
        (["ccxt-positions", "x.json"], "--venue"),
        (["deribit-chain", "x.csv", "--venue", "okx"], "--venue"),
        (["deribit-chain", "nosuch.csv"], "nosuch.csv"),
    ],
    ids=["no such kind", "no venue", "a venue too many", "no such file"],
)
def test_an_import_that_cannot_be_is_refused(crossmargin, tmp_path, monkeypatch, arguments, told):
    monkeypatch.chdir(tmp_path)
    ran = crossmargin("import", *arguments)
    assert (ran.code, ran.out) == (REFUSED, "")
    assert told in ran.err
    assert list(tmp_path.iterdir()) == []


# --- verify


def case(**changes):
    inputs = {"forward": 100, "strike": 100, "vol": 0.2, "years": 1, "rate": 0, "type": "call"}
    return {
        "id": "one", "source": "here", "model": "no-such-model", "inputs": inputs, "expected": 1.0, "tolerance": 1e-9,
        **changes,
    }  # fmt: skip


def test_golden_cases_are_run_and_told_a_row_a_model(crossmargin, shared):
    files = [shared / "golden" / name for name in ("option_pricing.json", "misc.json")]
    ran = crossmargin("verify", *files)
    assert ran.code == 0
    document = crossmargin("verify", *files, "--json").document
    assert all(row["model"] in ran.out for row in document["models"])
    assert all(case["passed"] is not False for case in document["cases"])


def test_a_failed_case_is_told_and_exits_with_1(crossmargin, tmp_path):
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([case()]))
    ran = crossmargin("verify", path)
    assert ran.code == 1
    assert "failed one (no-such-model" in ran.out
    assert crossmargin("verify", path, "--json").document["cases"][0]["passed"] is False


def test_verify_without_a_file_is_refused(crossmargin):
    assert crossmargin("verify").code == REFUSED
