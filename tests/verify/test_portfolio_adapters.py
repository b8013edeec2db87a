"""Adapters of portfolio margin: what they refuse, and inputs that the cases of the repository do not use."""

import json
import re

import pytest

from crossmargin.verify import run


@pytest.fixture
def case(tmp_path):
    """Return a function (model, **inputs) -> the case as it was run."""

    def ask(model, **inputs):
        path = tmp_path / "case.json"
        path.write_text(json.dumps([{"id": "one", "model": model, "inputs": inputs}]))
        return run([path]).cases[0]

    return ask


FUTURE = {
    "symbol": "R1",
    "type": "future",
    "underlying": "R",
    "quote": "USD",
    "asset_class": "rates",
    "price_domain": "any",
    "days": 73,
    "price": 100,
}
BOOK = {"instruments": [FUTURE], "prices": {"R": 100}, "positions": {"R1": 100}}


@pytest.mark.parametrize(
    ("model", "inputs", "said"),
    [
        ("portfolio_core", {"ordinary": [], "stressed": [], "confidence": 0.9, "stress_weight": 0}, "one scenario"),
        ("portfolio_owned", {"sets": {"everythin": [1, 2]}}, "everything"),
        ("portfolio_owned", {"sets": {"everything": [1]}}, r"\[M, counted value\]"),
        ("portfolio_buffer", {"cores": {"A": 1}, "buffers": {"B": 1}}, "one for each of A"),
        ("portfolio_margin", {**BOOK, "parameters": {"offset_limits": 0.5}}, "offset_limits"),
        ("portfolio_margin", {**BOOK, "parameters": {"offset_limit": 1.5}}, "offset_limit"),
        ("portfolio_margin", {**BOOK, "positions": {"R2": 1}}, "R2"),
        ("portfolio_margin", {**BOOK, "history": {"R": [1, 2], "S": [1]}}, "as many closes of each"),
        ("portfolio_margin", {**BOOK, "instruments": [{**FUTURE, "tick": 1}]}, "tick"),
        ("portfolio_grid", {"range": 0.1}, "fractions"),
    ],
)
def test_what_cannot_be_is_a_failure_that_says_why(case, model, inputs, said):
    found = case(model, **inputs)
    assert found.passed is False
    assert found.error is not None
    assert re.search(said, found.error), found.error


def test_a_key_that_nobody_reads_is_a_failure(case):
    assert case("portfolio_offset", core=1, groups=[1], grids=[1], offset_limit=0.5, floor=3).passed is False


def test_an_entry_price_changes_nothing_where_profit_is_in_the_reporting_currency(case):
    plain, entered = (case("portfolio_margin", **{**BOOK, "positions": {"R1": row}}).got for row in (100, [100, 90]))
    assert plain == entered


def test_coins_of_one_group_are_margined_as_one(case):
    book = {
        "instruments": [{"symbol": "P", "underlying": "T", "quote": "USD", "asset_class": "rates"}],
        "prices": {"T": 100},
        "fx": {"ST": 100},
        "assets": [{"symbol": "T", "class": "rates"}, {"symbol": "ST", "class": "rates", "group": "T", "haircut": 0}],
        "balances": {"ST": 50},
        "positions": {"P": -50},
    }
    # Scenarios cancel; spread on 5,000 of the perpetual and 5,000 of the staked coin, and impact in two buckets.
    found = case("portfolio_margin", **book).got
    large = {name: amount for name, amount in found["terms"].items() if abs(amount) > 1e-9}
    assert large.keys() == {"liquidity T", "liquidity ST"}


@pytest.mark.parametrize(
    ("contracts", "symbol", "told"),
    [
        ({"A": {"mark": 100, "profit": [-1, 1]}}, "B", r"inputs.orders\[0\].symbol: found 'B'; allowed: A"),
        ({}, "A", r"inputs.contracts: found nothing; allowed: one contract at least"),
    ],
)
def test_orders_are_in_contracts_of_the_case(case, contracts, symbol, told):
    orders = [{"symbol": symbol, "quantity": 1, "limit": 100}]
    assert re.search(told, case("portfolio_orders", contracts=contracts, orders=orders).error)
