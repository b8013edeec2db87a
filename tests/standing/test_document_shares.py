"""What members have of their pool's requirement, and what initial margin is made of, under portfolio margin."""

from math import fsum

import pytest
from hypothesis import given, settings

from crossmargin.book import Account, Balance, Order, Pool, Position
from crossmargin.standing import document
from tests.portfolio_worlds import HOUSE, standing_of, worlds_and_orders
from tests.strategies import World, market_of

POOLS = (Pool(id="p", accounts=("a", "b")),)


def told(*accounts, orders=(), pools=POOLS):
    return document(standing_of(World(accounts=accounts, market=market_of(), pools=pools), HOUSE, orders))


@given(worlds_and_orders())
@settings(max_examples=25)
def test_initial_margin_is_the_exact_sum_of_its_parts_and_members_share_all_of_it(drawn):
    world, orders = drawn
    found = document(standing_of(world, HOUSE, orders))
    for row in [*found["accounts"], *found["pools"]]:
        assert fsum(term["amount"] for term in row["initial_breakdown"]) == row["initial_margin"]
    for pool in found["pools"]:
        members = [a for a in found["accounts"] if a["pool"] == pool["id"]]
        for name in ("initial_margin", "maintenance_margin"):
            assert fsum(a[name] for a in members) == pytest.approx(pool[name], rel=1e-9, abs=1e-9)


def test_an_order_of_a_pool_without_positions_is_in_the_totals():
    order = Order(account="a", symbol="BTC-PERP", quantity=2.0, limit=100.0, reduce_only=False)
    cash = (Balance(asset="USD", amount=1000.0),)
    found = told(Account(id="a", owner="x", balances=cash), Account(id="b", owner="x", balances=cash), orders=(order,))
    (pool,) = found["pools"]
    assert pool["maintenance_margin"] == 0.0
    assert pool["initial_margin"] > 0.0
    assert found["totals"]["initial_margin"] == pool["initial_margin"]
    assert {a["initial_margin"] for a in found["accounts"]} == {pool["initial_margin"] / 2}


def test_contributions_of_members_who_split_a_leg_add_up_exactly():
    for k in range(1, 60):
        split = (Position(symbol="BTC-PERP", quantity=k / 10), Position(symbol="ETH-PERP", quantity=-k / 70))
        rest = (Position(symbol="BTC-PERP", quantity=0.7), Position(symbol="ETH-PERP", quantity=1.3))
        found = told(Account(id="a", owner="x", positions=split), Account(id="b", owner="x", positions=rest))
        (pool,) = found["pools"]
        rows = [*pool["positions"], *pool["balances"]]
        assert fsum(row["margin_contribution"] for row in rows) == pool["maintenance_margin"]
