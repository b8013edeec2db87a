"""The document of a standing: its sums, its ratios, and the rows of accounts, pools and isolated positions."""

from dataclasses import replace
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Pool, Position
from crossmargin.standing import document
from tests.strategies import (
    BRACKETS,
    EXPECTED_SHORTFALL,
    FILTERED_SHORTFALL,
    FUTURES,
    GRID,
    INSTRUMENTS,
    STANDARD,
    VALUE_AT_RISK,
    World,
    alone,
    balances,
    decimals,
    market_of,
    markets,
    positions,
    rules_of,
    worlds,
)
from tests.twins.documents import assert_same
from tests.twins.prices import Prices

RULES = rules_of(GRID)
MODELS = {
    "grid": (GRID, INSTRUMENTS),
    "es": (EXPECTED_SHORTFALL, INSTRUMENTS),
    "filtered es": (FILTERED_SHORTFALL, INSTRUMENTS),
    "var": (VALUE_AT_RISK, INSTRUMENTS),
    "brackets": (BRACKETS, FUTURES),
    "standard": (STANDARD, tuple(i for i in INSTRUMENTS if i.price_domain == "positive")),
}
every_model = pytest.mark.parametrize("name", MODELS)


def near(expected, scale=1.0):
    return pytest.approx(expected, rel=1e-9, abs=1e-9 * max(1.0, scale))


@every_model
@given(data=st.data())
@settings(max_examples=10)
def test_breakdown_and_contributions_add_up_to_maintenance_exactly(name, data):
    model, instruments = MODELS[name]
    world = data.draw(worlds(instruments)).but(instruments=instruments)
    told = document(world.standing(rules_of(model)))
    for row in [*told["accounts"], *told["pools"]]:
        assert fsum(term["amount"] for term in row["breakdown"]) == row["maintenance_margin"]
        assert all(term["amount"] != 0 for term in row["breakdown"])
    for row in told["accounts"]:
        if row["pool"] is None:
            held = [p for p in row["positions"] if p["margin_mode"] == "cross"]
            shares = [p["margin_contribution"] for p in (*held, *row["balances"])]
            assert fsum(shares) == row["maintenance_margin"]


@st.composite
def hedged(draw):
    """Books whose large legs cancel, so that what is left is finer than the last bit of a leg."""
    size = draw(decimals(-12, 12, 1))
    rest = draw(st.sampled_from([0.0, 0.01, 1e-5]))
    held = [
        Position(symbol="BTC-PERP", quantity=size),
        Position(symbol="BTC-FUT", quantity=round(-size / 2 + rest, 6)),
        *draw(positions([i for i in INSTRUMENTS if i.underlying == "ETH"], most=2, isolated=False)),
    ]
    return alone(held, draw(balances()), market=draw(markets()))


@given(hedged())
@settings(max_examples=60)
def test_contributions_add_up_exactly_where_large_legs_cancel(world):
    (row,) = document(world.standing(RULES))["accounts"]
    shares = [p["margin_contribution"] for p in (*row["positions"], *row["balances"])]
    assert fsum(shares) == row["maintenance_margin"]


@given(worlds())
@settings(max_examples=20)
def test_the_figures_of_an_account_follow_from_each_other(world):
    told = document(world.standing(RULES))
    for row in [*told["accounts"], *told["pools"]]:
        size = abs(row["collateral_value"]) + row["haircut"] + abs(row["unrealized_pnl"]) + abs(row["net_option_value"])
        assert row["equity"] == near(row["net_value"] - row["haircut"], size)
        assert row["margin_balance"] == row["equity"]
        parts = row["collateral_value"] + row["haircut"] + row["unrealized_pnl"] + row["net_option_value"]
        assert row["net_value"] == near(parts + row["accrued"], size)
        assert row["haircut"] >= 0
        if row.get("pool") is None:
            # A member's share may be negative: what it has hedges the others.
            assert row["initial_margin"] >= row["maintenance_margin"] >= 0
        short = max(0.0, row["maintenance_margin"] - row["margin_balance"])
        assert row["shortfall_maintenance"] == near(short)
        assert row["shortfall_initial"] == near(max(0.0, row["initial_margin"] - row["margin_balance"]))
        if row.get("pool") is None:
            assert row["available"] == near(max(0.0, row["margin_balance"] - row["initial_margin"]))
        for ratio, need in (("margin_ratio", "maintenance_margin"), ("utilization", "initial_margin")):
            if row["margin_balance"] > 0:
                assert row[ratio] == near(row[need] / row["margin_balance"])
            else:
                assert row[ratio] == (0.0 if row[need] == row["margin_balance"] == 0 else None)


@given(worlds())
@settings(max_examples=20)
def test_rows_say_what_each_balance_and_position_is_worth(world):
    prices = Prices(world)
    for row in document(world.standing(RULES))["accounts"]:
        for balance in row["balances"]:
            assert balance["price"] == near(prices.fx(balance["asset"]))
            pending = balance["state"] == "pending"
            assert balance["value"] == near(0.0 if pending else balance["quantity"] * balance["price"])
            assert 0 <= balance["haircut"] <= 1
        final = [b for b in row["balances"] if b["state"] == "final"]
        lost = sum(b["value"] * b["haircut"] for b in final if b["quantity"] > 0)
        assert row["haircut"] == near(lost, sum(abs(b["value"]) for b in final))
        for position in row["positions"]:
            instrument = prices.instruments[position["symbol"]]
            unit = prices.contract(position["symbol"])
            assert position["notional"] == near(prices.notional(position["symbol"], position["quantity"]))
            if instrument.kind != "option":
                assert position["mark"] == near(prices.mark(instrument))
            elif not instrument.inverse:
                assert position["mark"] == near(unit / float(instrument.contract_size))
            if position["quantity"] == 0:
                assert position["notional"] == 0


@given(worlds())
@settings(max_examples=20)
def test_members_shares_add_up_to_their_pool_and_totals_to_all(world):
    told = document(world.standing(RULES))
    for pool in told["pools"]:
        members = [row for row in told["accounts"] if row["pool"] == pool["id"]]
        assert [row["id"] for row in members] == pool["accounts"]
        for field in ("net_value", "equity", "initial_margin", "maintenance_margin", "unrealized_pnl"):
            scale = sum(abs(row[field]) for row in members)
            assert fsum(row[field] for row in members) == near(pool[field], scale + abs(pool["net_value"]))
        for row in members:
            assert row["status"] == pool["status"]
            assert row["liquidation"] == pool["liquidation"]
        rows = [b["margin_contribution"] for b in pool["balances"]] + [
            p["margin_contribution"] for p in pool["positions"]
        ]
        assert fsum(rows) == near(pool["maintenance_margin"], sum(map(abs, rows)))
    for field in ("equity", "initial_margin", "maintenance_margin"):
        assert told["totals"][field] == fsum(row[field] for row in told["accounts"])
    assert told["totals"]["accounts"] == len(told["accounts"])


@given(worlds(most=1))
@settings(max_examples=20)
def test_isolated_positions_stand_on_their_own_rows_and_stay_out_of_the_account(world):
    told = document(world.standing(RULES))
    (row,) = told["accounts"]
    (account,) = world.accounts
    crossed = replace(account, positions=tuple(p for p in account.positions if p.margin_mode is None))
    (without,) = document(world.but(accounts=(crossed,)).standing(RULES))["accounts"]
    for field in without:
        if field != "positions":
            assert_same(row[field], without[field], field)
    for position in row["positions"]:
        if position["margin_mode"] == "isolated":
            lonely = Account(
                id="x",
                credit=account.credit,
                positions=tuple(p for p in account.positions if p.symbol == position["symbol"]),
            )
            (alone_row,) = document(world.but(accounts=(lonely,)).standing(RULES))["accounts"]
            assert_same(position, alone_row["positions"][0])
            assert {"net_value", "equity", "initial_margin", "maintenance_margin", "status"} <= position.keys()


def test_a_leg_that_was_closed_keeps_its_unsettled_profit_and_its_share():
    # Bought at 90 and sold at 110: 10 / 90 - 10 / 110 coins, in a coin that may fall 16%.
    closed = [
        Position(symbol="BTC-INV", quantity=1, entry_price=90.0),
        Position(symbol="BTC-INV", quantity=-1, entry_price=110.0),
    ]
    (row,) = document(alone(closed, {"USD": 100}, market=market_of()).standing(RULES))["accounts"]
    profit = (10 / 90 - 10 / 110) * 100
    assert row["unrealized_pnl"] == pytest.approx(profit, rel=1e-12)
    assert row["maintenance_margin"] == pytest.approx(0.16 * profit, rel=1e-12)
    assert row["positions"][0]["margin_contribution"] == row["maintenance_margin"]


def test_a_pool_shares_a_leg_its_members_hold_on_both_sides():
    accounts = (
        Account(id="a", positions=(Position(symbol="BTC-PERP", quantity=3),)),
        Account(id="b", positions=(Position(symbol="BTC-PERP", quantity=-1),)),
    )
    market = market_of().with_(marks={})
    told = document(World(accounts=accounts, market=market, pools=(Pool(id="p", accounts=("a", "b")),)).standing(RULES))
    # Two coins net: 32; the long account brings 48 and the short one takes 16 off.
    assert [row["maintenance_margin"] for row in told["accounts"]] == pytest.approx([48, -16])
    assert told["pools"][0]["maintenance_margin"] == pytest.approx(32)


def test_what_cross_margin_saves_is_seen_beside_it():
    market = market_of().with_(marks={})
    (row,) = document(alone({"BTC-PERP": 3, "BTC-INV": -20}, {"USD": 10, "ETH": -1}, market=market).standing(RULES))[
        "accounts"
    ]
    # 3 coins long, 200 dollars short, a coin of 9.99 owed; each alone: 48, 16% of 200 a dollar rise, 20%.
    assert row["isolated_margin"] == pytest.approx(48 + 32 + 0.2 * 9.99)
    assert row["maintenance_margin"] == pytest.approx(16 + 0.2 * 9.99)


def test_pending_balances_are_listed_and_count_nowhere():
    rows = [Balance(asset="USD", amount=100), Balance(asset="USD", amount=70, state="pending")]
    (row,) = document(alone((), rows, market=market_of()).standing(RULES))["accounts"]
    assert row["net_value"] == row["equity"] == 100
    assert [(b["state"], b["quantity"], b["value"]) for b in row["balances"]] == [
        ("final", 100, 100),
        ("pending", 70, 0),
    ]


def test_an_empty_book_has_a_document():
    told = document(World(accounts=(), market=market_of()).standing(RULES))
    assert told["accounts"] == told["pools"] == []
    assert told["totals"] == {"accounts": 0, "equity": 0, "initial_margin": 0, "maintenance_margin": 0}


@every_model
def test_an_account_without_anything_has_a_document(name):
    model, instruments = MODELS[name]
    world = World(accounts=(Account(id="a"),), market=market_of(), instruments=instruments)
    (row,) = document(world.standing(rules_of(model)))["accounts"]
    assert row["status"] == "healthy"
    assert row["maintenance_margin"] == row["margin_ratio"] == row["utilization"] == row["withdrawable"] == 0
    assert row["distance_to_liquidation"] is None


def test_two_runs_of_one_book_tell_the_same_to_the_last_bit():
    world = alone({"BTC-PERP": 3, "BTC-C-110": -2, "OIL-FUT": 1}, {"USD": 10, "ETH": 1}, market=market_of())
    assert document(world.standing(RULES)) == document(world.standing(RULES))
