"""The shipped Deribit-style books on contracts named as the venue names them, beside what an account of it was told."""

import json
from datetime import UTC, datetime

import pytest

from crossmargin.book import Account, Balance, Book, Position
from crossmargin.instruments import parse_symbol
from crossmargin.market import Mark, Market
from crossmargin.rules import load
from crossmargin.standing import document, evaluate
from crossmargin.units import utc

TIME = utc("2023-06-21T12:00:00Z")
INDEX = 30_000.0


def row_of(rules, positions, balances, marks, time=TIME, index=INDEX, **market):
    contracts = [parse_symbol(p.symbol, "deribit") for p in positions]
    account = Account(id="a", positions=positions, balances=balances)
    market = Market(time=time, prices={"BTC": index}, marks=marks, **market)
    (row,) = document(evaluate(Book.of([account], contracts, currency="USD"), market, load(rules)))["accounts"]
    return row


def test_an_accounts_equity_and_margin_balance_are_the_venues(shared):
    """Options are in equity and not in the margin balance; session results of futures are in both."""
    path = shared / "data" / "accounts" / "account_api_samples" / "deribit_http_get_account_summaries.json"
    told = json.loads(path.read_text(encoding="utf-8"))["result"]["summaries"][0]
    assert told["margin_model"] == "segregated_sm"
    # Any perpetual with the profit told, and any option with the value told.
    dollars, option = 1_000_000, "BTC-30JUN23-30000-C"
    mark = 1 / (1 / INDEX - told["futures_session_upl"] / dollars)
    positions = [
        Position(symbol="BTC-PERPETUAL", quantity=dollars, entry_price=INDEX),
        Position(symbol=option, quantity=-1),
    ]
    marks = {"BTC-PERPETUAL": Mark(price=mark), option: Mark(price=-told["options_value"])}
    cash = told["balance"] + told["futures_session_rpl"]
    expiry = {"BTC": {utc("2023-06-30T08:00:00Z").date(): INDEX}}
    row = row_of("deribit-standard", positions, [Balance(asset="BTC", amount=cash)], marks, forwards=expiry)
    # The venue rounds what it adds up to eight digits.
    assert row["equity"] / INDEX == pytest.approx(told["equity"], abs=2e-8)
    assert row["margin_balance"] / INDEX == pytest.approx(told["margin_balance"], abs=2e-8)
    assert row["net_option_value"] / INDEX == pytest.approx(told["options_value"], abs=1e-12)
    # What is available is what the margin balance leaves after initial margin, there and here.
    assert told["margin_balance"] - told["initial_margin"] == pytest.approx(told["available_funds"], abs=1e-9)
    assert row["available"] == pytest.approx(row["margin_balance"] - row["initial_margin"], rel=1e-12)


def test_options_never_enter_the_margin_balance_of_the_other_book_twice():
    """The matrix holds the loss of an option, not its value: that is in equity."""
    option = "BTC-30JUN23-30000-C"
    forward = {"BTC": {utc("2023-06-30T08:00:00Z").date(): INDEX}}
    held = ([Position(symbol=option, quantity=1)], [Balance(asset="BTC", amount=1)], {option: Mark(price=0.04)})
    portfolio = row_of("deribit-portfolio", *held, forwards=forward)
    standard = row_of("deribit-standard", *held, forwards=forward)
    assert portfolio["margin_balance"] == pytest.approx(1.04 * INDEX)
    assert standard["margin_balance"] == pytest.approx(1.0 * INDEX)
    assert 0 < portfolio["maintenance_margin"] <= 0.8 * 0.04 * INDEX
    assert standard["maintenance_margin"] == 0


@pytest.mark.parametrize(
    ("symbol", "quantity", "price", "coins"),
    [
        # A position of 100 coins: 2% + 100 x 0.005%, maintenance 1% + 0.5%.
        ("BTC-PERPETUAL", 3_000_000, INDEX, (100 * 0.025, 100 * 0.015)),
        # At the money: 15% + 0.04; 7.5% + 0.04.
        ("BTC-30JUN23-30000-C", -2, 0.04, (2 * 0.19, 2 * 0.115)),
        # 10% out of the money: 10% is the least; 7.5% is more than 7.5% of 0.002.
        ("BTC-30JUN23-27000-P", -1, 0.002, (0.102, 0.077)),
        # Deep in the money: 15% + 1.001; 7.5% of 1.001, which is more than 7.5%, + 1.001.
        ("BTC-30JUN23-60000-P", -1, 1.001, (1.151, 1.076075)),
        ("BTC-30JUN23-27000-P", 5, 0.002, (0.0, 0.0)),
    ],
)
def test_standard_margin_is_the_documented_formula(symbol, quantity, price, coins):
    forward = {"BTC": {utc("2023-06-30T08:00:00Z").date(): INDEX}}
    row = row_of("deribit-standard", [Position(symbol=symbol, quantity=quantity)], [], {symbol: Mark(price=price)},
                 forwards=forward)  # fmt: skip
    assert row["initial_margin"] / INDEX == pytest.approx(coins[0], rel=1e-12)
    assert row["maintenance_margin"] / INDEX == pytest.approx(coins[1], rel=1e-12)


def test_the_shipped_portfolio_book_gives_the_documented_answer(shared):
    """The documented account, margined as a book of its contracts under the shipped rules, orders left out."""
    cases = json.loads((shared / "golden" / "deribit.json").read_text(encoding="utf-8"))
    case = next(c for c in cases if c["model"] == "deribit_pm_segregated_inverse")
    inputs, expected = case["inputs"], case["expected"]
    positions = [
        Position(symbol=symbol, quantity=coins * inputs["mark"][symbol])
        for symbol, coins in inputs["positions_coin"].items()
    ]
    row = row_of(
        "deribit-portfolio",
        positions,
        [Balance(asset="BTC", amount=1)],
        {symbol: Mark(price=price) for symbol, price in inputs["mark"].items()},
        time=datetime.fromtimestamp(inputs["timestamp_ms"] / 1000, UTC),
        index=inputs["index"],
    )
    coin = inputs["index"]
    assert row["maintenance_margin"] / coin == pytest.approx(expected["maintenance_margin"], abs=1e-12)
    assert row["initial_margin"] / coin == pytest.approx(expected["risk_matrix_margin"], abs=1e-9)
    told = {term["name"]: term["amount"] / coin / 0.8 for term in row["breakdown"]}
    assert told["roll shock"] == pytest.approx(expected["roll_shock"], abs=1e-12)
    assert told["risk matrix"] == pytest.approx(round(expected["worst_case"], 9), abs=1e-12)
