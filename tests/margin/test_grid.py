"""Grid margin by hand: straight contracts, whose worst cell can be found on paper; terms, shares and parameters."""

import json
from math import fsum
from pathlib import Path

import pytest

from crossmargin.book import Position
from crossmargin.errors import InvalidRules
from crossmargin.margin.grid import Grid
from crossmargin.market import Mark
from crossmargin.rules import load
from crossmargin.scenarios import GridShape
from crossmargin.standing import document
from tests.strategies import GRID, MONTH, SHAPE, alone, market_of, option, rules_of
from tests.twins.prices import Prices

RULES = rules_of(GRID)
CASES = json.loads((Path(__file__).parent / "grid_cases.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_cases_worked_by_hand(case):
    market = market_of(**case.get("market", {}))
    marks = {s: m for s, m in market.marks.items() if s == "BTC-FUT"}
    held = [
        Position(symbol=symbol, quantity=q[0], entry_price=q[1])
        if isinstance(q, list)
        else Position(symbol=symbol, quantity=q)
        for symbol, q in case["positions"].items()
    ]
    market = market.with_(marks=marks, forwards={**market.forwards, "OIL": {MONTH.date(): market.prices["OIL"]}})
    (row,) = document(alone(held, case["balances"], market=market).standing(RULES))["accounts"]
    assert row["maintenance_margin"] == pytest.approx(case["maintenance"], rel=1e-12, abs=1e-12)
    assert row["initial_margin"] == pytest.approx(case["initial"], rel=1e-12, abs=1e-12)
    told = {term["name"]: term["amount"] for term in row["breakdown"] if abs(term["amount"]) > 1e-12}
    assert told == {name: pytest.approx(amount, rel=1e-12) for name, amount in case["breakdown"].items()}


def of(positions, balances=(), rules=RULES, **market):
    (row,) = document(alone(positions, balances or {}, market=market_of(**market)).standing(rules))["accounts"]
    return row


def test_deep_short_options_owe_the_short_option_minimum():
    # Half a percent of the index an option, net by expiry and type: 4 puts short, 1 of them paired by a long one.
    market = market_of(vol=0.2)
    deep = option("DEEP", "BTC", "put", 30)
    deeper = option("DEEPER", "BTC", "put", 20)
    market = market.with_(marks={"DEEP": Mark(iv=0.2), "DEEPER": Mark(iv=0.2)})
    world = alone({"DEEP": -4, "DEEPER": 1}, market=market, instruments=(deep, deeper))
    (row,) = document(world.standing(RULES))["accounts"]
    assert row["maintenance_margin"] == pytest.approx(3 * 0.005 * 100, rel=1e-9)
    (minimum,) = [t["amount"] for t in row["breakdown"] if t["name"] == "short option minimum"]
    assert minimum == pytest.approx(1.5, rel=1e-6)
    # Both legs of the expiry share it, the long one as a credit.
    shares = {p["symbol"]: p["margin_contribution"] for p in row["positions"]}
    assert shares == {"DEEP": pytest.approx(2.0), "DEEPER": pytest.approx(-0.5)}


def test_calls_and_puts_of_one_expiry_are_paired_apart():
    market = market_of().with_(marks={"C": Mark(iv=0.2), "P": Mark(iv=0.2)})
    call, put = option("C", "BTC", "call", 300), option("P", "BTC", "put", 30)
    world = alone({"C": -1, "P": 1}, market=market, instruments=(call, put))
    assert world.standing(RULES).maintenance_margin[0] == pytest.approx(0.5, rel=1e-6)


def test_a_long_option_alone_owes_what_it_is_worth_at_most_and_its_initial_margin_no_more():
    prices = Prices(alone({}, market=market_of()))
    value = 3 * prices.contract("BTC-C-125")
    row = of({"BTC-C-125": 3})
    assert row["maintenance_margin"] < value
    assert row["initial_margin"] == pytest.approx(min(value, 1.25 * row["maintenance_margin"]), rel=1e-9)


def test_a_butterfly_s_worst_is_inside_the_range():
    # Short the middle: what it gains at the ends it loses nowhere, so the body's neighbourhood decides.
    row = of({"BTC-C-100-7D": -2, "BTC-PERP": 1}, vol=0.5)
    inside = rules_of(Grid(shape=GridShape(range_by_class={"other": 0.16}, price_fractions=(0.0, 1.0, -1.0))))
    coarse = of({"BTC-C-100-7D": -2, "BTC-PERP": 1}, vol=0.5, rules=inside)
    assert row["maintenance_margin"] >= coarse["maintenance_margin"] > 0


def test_the_worst_scenario_is_the_cell_that_costs_most_of_the_dearest_group():
    row = of({"BTC-PERP": 1, "ETH-PERP": -5})
    assert row["worst_scenario"] == {"id": "ETH price +20.0% vol up", "loss": pytest.approx(5 * 19.98)}
    row = of({"BTC-C-125": -1})
    assert row["worst_scenario"]["id"] in ("BTC price +16.0% vol up", "BTC price +32.0% extreme")


def test_the_source_of_scenarios_is_the_grid_and_its_cells():
    told = document(alone({"BTC-PERP": 1}, market=market_of()).standing(RULES))
    assert told["scenarios"] == {
        "source": "grid",
        "from": None,
        "to": None,
        "count": 7 * 3 + 2,
        "stressed": 0,
        "effective_sample": None,
    }


def test_credit_raises_initial_margin_and_never_maintenance():
    from dataclasses import replace

    world = alone({"BTC-PERP": 1}, {"BTC": 1}, market=market_of())
    (account,) = world.accounts
    by_tier = {
        tier: world.but(accounts=(replace(account, credit=tier),)).standing(RULES)
        for tier in ("prime", "standard", "basic")
    }
    assert len({s.maintenance_margin[0] for s in by_tier.values()}) == 1
    prime, basic = by_tier["prime"], by_tier["basic"]
    # 1.25 x as much, and half as much again of the coin's 5% haircut.
    assert basic.initial_margin[0] == pytest.approx(1.25 * prime.initial_margin[0] + 2.5, rel=1e-12)


def test_contributions_are_the_losses_in_the_worst_cell():
    row = of({"BTC-PERP": 3, "BTC-FUT": -1})
    shares = {p["symbol"]: p["margin_contribution"] for p in row["positions"]}
    assert shares["BTC-PERP"] == pytest.approx(3 * 100.2 * 0.16)
    assert shares["BTC-FUT"] == pytest.approx(-2 * 101 * 0.16)
    assert fsum(shares.values()) == row["maintenance_margin"]


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"initial_factor": 0.9}, "initial_factor"),
        ({"initial_factor": float("inf")}, "initial_factor"),
        ({"short_option_minimum": 1.0}, "short_option_minimum"),
        ({"short_option_minimum": -0.1}, "short_option_minimum"),
    ],
)
def test_parameters_out_of_range_are_refused(changes, key):
    with pytest.raises(InvalidRules, match=key):
        Grid(shape=SHAPE, **changes)


def test_the_shipped_rule_book_margins_a_book():
    (row,) = document(alone({"BTC-PERP": 2}, {"USD": 100}, market=market_of()).standing(load("grid")))["accounts"]
    assert row["maintenance_margin"] == pytest.approx(2 * 100.2 * 0.16)
