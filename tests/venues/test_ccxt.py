"""Positions in ccxt's structure become ours: exact amounts, the venue's own contract, nothing guessed."""

import json
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from crossmargin.book import Account, Book, Position
from crossmargin.errors import InvalidFile
from crossmargin.venues import import_ccxt_positions


def row(**changes):
    """One position as ccxt writes it, numbers as text: what is dumped is what was received."""
    return {
        "info": {},
        "id": None,
        "symbol": "BTC/USDT:USDT",
        "timestamp": 1704712781414,
        "side": "long",
        "contracts": 0.1,
        "contractSize": 1,
        "entryPrice": 43000.1,
        "markPrice": 43500.5,
        "unrealizedPnl": 50.04,
        "collateral": 700.5,
        "initialMargin": 430.0,
        "marginMode": "cross",
        "hedged": False,
    } | changes


def read(folder, *rows, venue="binance", text=None):
    path = folder / "positions.json"
    path.write_text(json.dumps(list(rows)) if text is None else text)
    return import_ccxt_positions(path, venue)


def test_long_is_positive_short_negative_and_amounts_are_the_text_that_was_written(tmp_path):
    found = read(tmp_path, row(), row(symbol="ETH/USDT:USDT", side="short", contracts=2.3))
    assert found.positions == (
        Position(symbol="BTC/USDT:USDT", quantity=0.1, entry_price=43000.1, margin_mode="cross"),
        Position(symbol="ETH/USDT:USDT", quantity=-2.3, entry_price=43000.1, margin_mode="cross"),
    )


def test_amounts_may_be_text(tmp_path):
    found = read(tmp_path, row(contracts="0.1", contractSize="0.01", entryPrice="43000.1"))
    assert found.positions[0].quantity == 0.1
    assert found.instruments[0].contract_size == Decimal("0.01")


def test_the_size_the_dump_states_is_the_contracts(tmp_path):
    found = read(tmp_path, row(contractSize=0.0001), venue="gate")
    assert found.instruments[0].contract_size == Decimal("0.0001")


@pytest.mark.parametrize(("venue", "size"), [("okx", "0.01"), ("binance", "1"), ("bybit", "1")])
def test_a_size_that_is_not_stated_is_the_venues_and_the_report_says_so(tmp_path, venue, size):
    found = read(tmp_path, row(contractSize=None), venue=venue)
    assert found.instruments[0].contract_size == Decimal(size)
    assert any("Contract size not stated" in line and "BTC/USDT:USDT" in line for line in found.report)


def test_a_size_that_nobody_states_is_refused(tmp_path):
    with pytest.raises(InvalidFile, match=r"positions.json\[0\].contractSize: found nothing.*DOGE/USDT:USDT on okx"):
        read(tmp_path, row(symbol="DOGE/USDT:USDT", contractSize=None), venue="okx")


def test_on_deribit_the_quantity_is_the_venues_size_in_usd(tmp_path):
    """ccxt gives no contracts there, and a contractSize that is only the step of an order."""
    found = read(
        tmp_path,
        row(symbol="BTC/USD:BTC", contracts=None, contractSize=10, side="short", info={"size": -5000}),
        row(symbol="ETH/USD:ETH-240126-2200-C", contracts=None, contractSize=1, info={"size": 12.0}, entryPrice=0.05),
        venue="deribit",
    )
    assert [position.quantity for position in found.positions] == [-5000, 12]
    perpetual, option = found.instruments
    assert (perpetual.contract_size, perpetual.inverse, perpetual.settle) == (1, True, "BTC")
    assert (option.contract_size, option.inverse, option.expiry) == (1, True, datetime(2024, 1, 26, 8, tzinfo=UTC))


def test_deribit_without_its_own_answer_is_refused(tmp_path):
    with pytest.raises(InvalidFile, match=r"\[0\].contracts: found nothing"):
        read(tmp_path, row(symbol="BTC/USD:BTC", contracts=None, contractSize=10, info={}), venue="deribit")


def test_dated_contracts_expire_at_the_venues_hour(tmp_path):
    found = read(tmp_path, row(symbol="BTC/USD:BTC-260626", contractSize=1), venue="krakenfutures")
    assert found.instruments[0].expiry == datetime(2026, 6, 26, 15, tzinfo=UTC)
    with pytest.raises(InvalidFile, match="the hour of mexc is not known"):
        read(tmp_path, row(symbol="BTC/USD:BTC-260626", contractSize=1), venue="mexc")


def test_isolated_collateral_leaves_unrealized_profit_out_so_that_it_counts_once(tmp_path):
    isolated = {"marginMode": "isolated"}
    own = read(tmp_path, row(**isolated, info={"isolatedWallet": "650.25"})).positions[0]
    assert own.isolated_collateral == 650.25
    unified = read(tmp_path, row(**isolated), venue="bybit").positions[0]
    assert unified.isolated_collateral == 650.46  # 700.5 - 50.04, exactly
    initial = read(tmp_path, row(**isolated, collateral=None), venue="bybit")
    assert initial.positions[0].isolated_collateral == 430.0
    assert any("initial margin" in line for line in initial.report)
    with pytest.raises(InvalidFile, match=r"\[0\].collateral: found nothing"):
        read(tmp_path, row(**isolated, collateral=None, initialMargin=None), venue="bybit")
    with pytest.raises(InvalidFile, match="0 or more"):
        read(tmp_path, row(**isolated, collateral=10, unrealizedPnl=50), venue="bybit")


def test_both_legs_of_a_hedged_symbol_stay_two_positions_of_one_instrument(tmp_path):
    found = read(tmp_path, row(), row(side="short", contracts=0.25))
    assert [position.quantity for position in found.positions] == [0.1, -0.25]
    assert len(found.instruments) == 1


def test_rows_of_no_contracts_are_left_out_and_counted(tmp_path):
    found = read(tmp_path, row(), row(symbol="ETH/USDT:USDT", contracts=0, side=None))
    assert len(found.positions) == 1
    assert "1 rows of no contracts left out." in found.report


def test_mark_prices_make_a_market_at_the_latest_time_of_the_dump(tmp_path):
    found = read(tmp_path, row(timestamp=1704712781000), row(timestamp=1704712782000, markPrice=43501))
    assert found.market.time == datetime(2024, 1, 8, 11, 19, 42, tzinfo=UTC)
    assert found.market.marks["BTC/USDT:USDT"].price == 43501
    assert found.market.prices == {}
    assert any("state prices for BTC" in line for line in found.report)


def test_no_time_is_invented(tmp_path):
    found = read(tmp_path, row(timestamp=None))
    assert found.market is None
    assert any("No row has a timestamp" in line for line in found.report)


def test_an_absent_entry_price_or_margin_mode_is_said(tmp_path):
    found = read(tmp_path, row(entryPrice=None, marginMode=None))
    assert (found.positions[0].entry_price, found.positions[0].margin_mode) == (None, None)
    assert any(line.startswith("No entry price") for line in found.report)
    assert any(line.startswith("No margin mode") for line in found.report)


def test_what_is_imported_makes_a_book(tmp_path):
    found = read(tmp_path, row(), row(symbol="BTC/USD:BTC", contractSize=100, contracts=3, side="short"))
    book = Book.of([Account(id="alice", positions=found.positions)], found.instruments)
    assert book.positions.quantity.tolist() == [-3.0, 0.1]


def test_an_empty_list_is_no_positions(tmp_path):
    assert read(tmp_path).positions == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"symbol": "BTCUSDT"}, r"\[0\].symbol: found 'BTCUSDT'"),
        ({"symbol": None}, r"\[0\].symbol: found nothing"),
        ({"symbol": "BTC/USDT"}, "spot holdings are balances"),
        ({"side": "buy"}, r"\[0\].side: found 'buy'; allowed: long or short"),
        ({"contracts": None}, r"\[0\].contracts: found nothing"),
        ({"contracts": True}, r"\[0\].contracts: found the boolean true"),
        ({"contracts": "many"}, r"\[0\].contracts: found the text 'many'"),
        ({"contracts": -1}, r"\[0\].contracts: found -1.*long"),
        ({"contractSize": 0}, r"\[0\].contractSize: found 0"),
        ({"entryPrice": 0}, r"\[0\].entryPrice: found 0"),
        ({"entryPrice": [1]}, r"\[0\].entryPrice: found a list"),
        ({"markPrice": -1}, r"\[0\].markPrice: found -1"),
        ({"marginMode": "portfolio"}, r"\[0\].marginMode: found 'portfolio'"),
        ({"timestamp": 1.5}, r"\[0\].timestamp: found 1.5"),
        ({"timestamp": 1e300}, r"\[0\].timestamp: found 1E\+300"),
    ],
)
def test_a_wrong_field_is_refused_by_name(tmp_path, changes, message):
    with pytest.raises(InvalidFile, match=message):
        read(tmp_path, row(**changes))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "line 1, column 1"),
        ('[{"symbol": "BTC/USDT:USDT"', "line 1, column"),
        ('{"result": []}', "found an object; allowed: a JSON list"),
        ("[1]", r"\[0\]: found a number; allowed: a position object"),
        ("[{}]", r"\[0\].contracts: found nothing"),
        ('[{"contracts": NaN}]', "found NaN"),
        ('[{"contracts": 1e400, "side": "long"}]', r"\[0\].contracts: found 1E\+400"),
        ('[{"contracts": 1, "contracts": 2}]', "the key 'contracts' twice"),
        ("[" * 100_000, "nesting without end"),
    ],
)
def test_a_file_that_is_no_dump_is_refused(tmp_path, text, message):
    with pytest.raises(InvalidFile, match=message):
        read(tmp_path, text=text)


def test_two_sizes_of_one_symbol_are_refused(tmp_path):
    with pytest.raises(InvalidFile, match=r"\[1\].contractSize: found 10, after 1"):
        read(tmp_path, row(), row(contractSize=10))


def test_a_venue_nobody_knows_is_refused_with_the_nearest_known(tmp_path):
    with pytest.raises(InvalidFile, match="did you mean binance"):
        read(tmp_path, row(), venue="binanse")
