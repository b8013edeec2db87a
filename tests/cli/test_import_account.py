"""`crossmargin import` of a venue's answers writes a book that is margined and compared with what the venue states."""

import csv
import json

import pytest

from tests.venues.answers import (
    bybit_coin,
    bybit_position,
    bybit_positions,
    bybit_wallet,
    deribit_position,
    deribit_positions,
    deribit_summaries,
    deribit_summary,
    okx_balance,
    okx_coin,
    okx_position,
    okx_positions,
    write,
)

REFUSED = 2


@pytest.fixture
def bybit(crossmargin, tmp_path):
    """A folder imported from two answers."""
    wallet = write(tmp_path, "wallet.json", bybit_wallet(bybit_coin()))
    positions = write(tmp_path, "positions.json", bybit_positions(bybit_position()))
    folder = tmp_path / "me"
    ran = crossmargin("import", "bybit-account", wallet, positions, "--account", "me", "--out", folder)
    assert (ran.code, ran.err.count("No index price")) == (0, 1)
    return folder


def test_the_folder_is_a_book_that_is_margined_at_once(crossmargin, bybit):
    assert sorted(path.name for path in bybit.iterdir()) == [
        "accounts.csv",
        "balances.csv",
        "book.json",
        "instruments.csv",
        "market.json",
        "positions.csv",
        "venue.json",
    ]
    ran = crossmargin("margin", bybit, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert ran.document["rules"] == "brackets-bybit"
    (account,) = ran.document["accounts"]
    assert account["net_value"] == pytest.approx(5250.0)
    assert [p["symbol"] for p in account["positions"]] == ["BTC/USDT:USDT"]


def test_compare_has_a_row_of_the_venue_and_every_difference_adds_up(crossmargin, bybit):
    document = crossmargin("compare", bybit, "--rules", "portfolio", "--json").document
    assert document["venue"]["name"] == "bybit"
    ((entry),) = document["accounts"]
    by = {(row["figure"], row["symbol"]): row for row in entry["venue"]}
    assert set(by) == {
        ("equity", None),
        ("margin_balance", None),
        ("initial_margin", None),
        ("maintenance_margin", None),
        ("initial_margin", "BTC/USDT:USDT"),
        ("maintenance_margin", "BTC/USDT:USDT"),
    }
    for row in by.values():
        assert set(row["under"]) == {"brackets-bybit", "portfolio"}
        for one in row["under"].values():
            assert one["difference"] == pytest.approx(one["ours"] - row["stated"])
            parts = sum(part["amount"] for part in one["parts"])
            assert parts + one["rest"] == pytest.approx(one["difference"], abs=1e-6)
            assert bool(one["may_be"]) == bool(one["rest"])
    orders = by["initial_margin", None]["under"]["brackets-bybit"]["parts"]
    assert orders == [{"what": "open orders, which are not imported", "amount": -100.0}]
    rows = {row["rules"]: row for row in entry["under"]}
    ours = by["maintenance_margin", None]["under"]["brackets-bybit"]["ours"]
    assert ours == rows["brackets-bybit"]["maintenance_margin"]


def test_the_table_and_the_page_say_it_in_words(crossmargin, bybit, tmp_path):
    page = tmp_path / "report.html"
    ran = crossmargin("compare", bybit, "--rules", "brackets-bybit", "--html", page)
    assert ran.code == 0
    text = " ".join(ran.out.split())
    assert "venue 250.00 2,600.00 5,250.00" in text
    assert "initial margin of account: open orders, which are not imported -100" in text
    assert "the venue's is at the leverage the account chose, 10" in text
    assert "bybit: No index price is stated" in text
    told = page.read_text(encoding="utf-8")
    assert "The venue states" in told
    assert "the leverage the account chose, 10" in told


def test_currencies_that_are_margined_apart_are_compared_in_their_own_coin(crossmargin, tmp_path):
    answers = (
        write(tmp_path, "a.json", deribit_summaries(deribit_summary(options_value=0, equity=10.0))),
        write(tmp_path, "b.json", deribit_positions(deribit_position(initial_margin=0.25))),
    )
    folder = tmp_path / "me"
    assert crossmargin("import", "deribit-account", *answers, "--account", "me", "--out", folder).code == 0
    document = crossmargin("compare", folder, "--rules", "deribit-standard", "--json").document
    (entry,) = document["accounts"]
    assert entry["id"] == "me"
    by = {(row["figure"], row["symbol"]): row["under"]["deribit-standard"] for row in entry["venue"]}
    # 10 coins short: 2% + 10 x 0.005% of 10 coins; the index is not the mark.
    assert by["initial_margin", "BTC-PERPETUAL"]["ours"] == pytest.approx(10 * 0.0205, rel=2e-3)
    assert by["equity", None]["ours"] == pytest.approx(10.0)
    assert by["equity", None]["rest"] == 0.0


def test_positions_of_a_ccxt_dump_are_beside_their_margins_once_prices_are_given(crossmargin, tmp_path):
    row = {"symbol": "BTC/USDT:USDT", "side": "short", "contracts": 2, "contractSize": 1, "entryPrice": 64100}
    row |= {"marginMode": "cross", "initialMargin": 6410, "maintenanceMargin": 650.0, "leverage": 20}
    dump = write(tmp_path, "positions.json", [row])
    market = write(
        tmp_path, "market.json", {"time": "2026-11-20T08:00:00Z", "prices": {"BTC": 64000}, "fx": {"USDT": 1}}
    )
    folder = tmp_path / "me"
    ran = crossmargin("import", "ccxt-positions", dump, "--venue", "binance", "--account", "me", "--out", folder)
    assert ran.code == 0
    document = crossmargin("compare", folder, "--market", market, "--rules", "brackets-binance", "--json").document
    figures = document["accounts"][0]["venue"]
    assert [(row["figure"], row["stated"]) for row in figures] == [
        ("initial_margin", 6410.0),
        ("maintenance_margin", 650.0),
    ]
    assert all("brackets-binance" in row["under"] for row in figures)


def test_a_book_without_a_venue_has_no_such_row(crossmargin, small_book):
    document = crossmargin("compare", small_book(), "--rules", "grid", "--json").document
    assert "venue" not in document
    assert "venue" not in document["accounts"][0]


def test_an_account_that_is_there_already_is_kept(crossmargin, bybit, tmp_path):
    again = crossmargin("import", "bybit-account", tmp_path / "wallet.json", "--out", bybit)
    assert (again.code, again.out) == (REFUSED, "")
    assert "an account already" in again.err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("bybit-account", "wallet.json", "--venue", "bybit"), "--venue"),
        (("bybit-account", "wallet.json", "--time", "noon"), "--time: found the text 'noon'"),
        (("ccxt-positions", "a.json", "b.json", "--venue", "okx"), "FILE: found 2 files; allowed: one file"),
        (("deribit-chain", "a.csv", "--time", "2026-01-01T00:00:00Z"), "--time"),
        (("bybit-acount", "wallet.json"), "did you mean bybit-account"),
    ],
)
def test_wrong_words_are_refused(crossmargin, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    ran = crossmargin("import", *arguments)
    assert (ran.code, ran.out) == (REFUSED, "")
    assert message in " ".join(ran.err.split())


def test_a_time_may_be_said_where_the_answers_have_none(crossmargin, tmp_path):
    answer = write(tmp_path, "a.json", {"params": {"data": deribit_summary()}})
    folder = tmp_path / "me"
    ran = crossmargin("import", "deribit-account", answer, "--time", "2026-05-01T00:00:00Z", "--out", folder)
    assert ran.code == 0
    assert json.loads((folder / "market.json").read_text())["time"] == "2026-05-01T00:00:00Z"


def test_accounts_margined_apart_have_one_owner(crossmargin, tmp_path):
    coins = okx_balance(okx_coin(), okx_coin(ccy="BTC", cashBal="1", eq="1", eqUsd="40000", upl="0"))
    answers = (
        write(tmp_path, "a.json", coins),
        write(tmp_path, "b.json", okx_positions(okx_position())),
    )
    folder = tmp_path / "me"
    assert crossmargin("import", "okx-account", *answers, "--account", "me", "--out", folder).code == 0
    with (folder / "accounts.csv").open() as file:
        assert list(csv.DictReader(file)) == [{"id": "me-BTC", "owner": "me"}, {"id": "me-USDT", "owner": "me"}]
    document = crossmargin("margin", folder, "--json").document
    usdt = next(account for account in document["accounts"] if account["id"] == "me-USDT")
    # 1000.5 owned and a profit of 2 x 0.01 x 500, at 0.999 a dollar.
    assert usdt["net_value"] == pytest.approx((1000.5 + 10.0) * 0.999)


# --- real answers

SAMPLES = ("data", "accounts", "account_api_samples")


@pytest.mark.parametrize(
    ("kind", "files", "accounts"),
    [
        ("deribit-account", ["deribit_http_get_account_summaries.json"], ["me-BTC", "me-ETH"]),
        ("deribit-account", ["deribit_http_get_account_summaries_cross_margin.json"], ["me"]),
        ("deribit-account", ["deribit_ws_portfolio.json"], ["me"]),
        ("okx-account", ["okx_http_get_account_balance.json"], ["me"]),
        ("okx-account", ["okx_http_get_positions.json"], ["me"]),
        ("okx-account", ["okx_ws_account.json"], ["me-BTC", "me-ETH", "me-USDT"]),
        ("bybit-account", ["bybit_http_get_wallet_balance.json"], ["me"]),
        ("bybit-account", ["bybit_http_get_wallet_balance_with_spot_borrow.json"], ["me"]),
        ("bybit-account", ["bybit_http_get_positions.json"], ["me"]),
        ("bybit-account", ["bybit_http_get_wallet_balance.json", "bybit_http_get_positions.json"], ["me"]),
        ("binance-account", ["binance_futures_http_json_account_info_v2.json"], ["me"]),
        ("binance-account", ["binance_futures_http_json_position_risk.json"], ["me"]),
    ],
    ids=lambda value: value[0].removesuffix(".json") if isinstance(value, list) else "",
)
def test_real_answers_become_accounts_with_every_figure_beside_ours(
    crossmargin, shared, tmp_path, kind, files, accounts
):
    paths = [shared.joinpath(*SAMPLES, name) for name in files]
    folder = tmp_path / "me"
    when = ("--time", "2026-05-01T00:00:00Z")
    assert crossmargin("import", kind, *paths, *when, "--account", "me", "--out", folder).code == 0
    market = json.loads((folder / "market.json").read_text())
    # What no answer states is named, and the reader writes it.
    lacking = json.loads((folder / "venue.json").read_text())["lacking"]
    for text in lacking:
        if text.startswith("value of "):
            market.setdefault("fx", {})[text.split()[2]] = 30_000.0
    (folder / "market.json").write_text(json.dumps(market))
    document = crossmargin("compare", folder, "--json").document
    assert [entry["id"] for entry in document["accounts"]] == accounts
    for entry in document["accounts"]:
        for row in entry["venue"]:
            assert row["under"]
            for one in row["under"].values():
                parts = sum(part["amount"] for part in one["parts"])
                size = max(1.0, abs(row["stated"]), abs(one["ours"]), abs(parts))
                assert parts + one["rest"] == pytest.approx(one["difference"], abs=1e-8 * size)
                assert bool(one["may_be"]) == bool(one["rest"])


def test_a_real_deribit_accounts_equity_is_ours(crossmargin, shared, tmp_path):
    """Options that the answer values and does not list are the whole difference."""
    path = shared.joinpath(*SAMPLES, "deribit_http_get_account_summaries.json")
    folder = tmp_path / "me"
    assert crossmargin("import", "deribit-account", path, "--account", "me", "--out", folder).code == 0
    market = json.loads((folder / "market.json").read_text())
    (folder / "market.json").write_text(json.dumps(market | {"prices": {"BTC": 30_000.0, "ETH": 1_900.0}}))
    document = crossmargin("compare", folder, "--rules", "deribit-standard", "--json").document
    bitcoin, ether = document["accounts"]
    rows = {row["figure"]: (row["stated"], row["under"]["deribit-standard"]) for row in bitcoin["venue"]}
    stated, equity = rows["equity"]
    assert (stated, equity["ours"]) == (302.61869214, pytest.approx(302.62729214))
    assert equity["rest"] == 0.0
    assert equity["parts"] == [{"what": "options that the answers do not list", "amount": 0.0086}]
    stated, balance = rows["margin_balance"]
    assert balance["ours"] == pytest.approx(stated)
    rows = {row["figure"]: row["under"]["deribit-standard"] for row in ether["venue"]}
    assert rows["initial_margin"]["parts"] == [{"what": "open orders, which are not imported", "amount": -0.000402}]
    assert rows["initial_margin"]["rest"] == 0.0


def test_a_real_bybit_position_is_charged_what_its_leverage_says(shared, crossmargin, tmp_path):
    path = shared.joinpath(*SAMPLES, "bybit_http_get_positions.json")
    folder = tmp_path / "me"
    assert crossmargin("import", "bybit-account", path, "--account", "me", "--out", folder).code == 0
    document = crossmargin("compare", folder, "--rules", "brackets-bybit", "--json").document
    rows = {(row["figure"], row["symbol"]): row for row in document["accounts"][0]["venue"]}
    row = rows["initial_margin", "BTC/USDT:USDT"]
    assert row["stated"] == 0.5 * 50_000 / 10
    assert "the leverage the account chose, 10" in row["under"]["brackets-bybit"]["may_be"][0]
