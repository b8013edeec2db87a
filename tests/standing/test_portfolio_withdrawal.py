"""What can be withdrawn under the house rule book: with open orders, and collateral that is wrong-way."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Order, Pool, Position
from crossmargin.collateral import WrongWay
from crossmargin.standing import document
from tests.portfolio_worlds import HOUSE, orders_of, standing_of
from tests.strategies import HAIRCUTS, INSTRUMENTS, World, alone, market_of, rules_of, worlds
from tests.twins.pools import twin_pools
from tests.twins.prices import Prices

WRONG_WAY = WrongWay(own_tokens=("STETH",), supply={"ETH": 40.0}, share_of_supply=0.10)
"""The venue's own token, and a coin of which an owner of more than four units holds too much."""
RULES = rules_of(HOUSE, haircuts=replace(HAIRCUTS, wrong_way=WRONG_WAY))


def told(world, orders=()):
    return {a["id"]: a for a in document(standing_of(world, RULES, orders))["accounts"]}


def without(world, account, asset, share):
    """Return the world with a share of everything final that the account owns of an asset gone."""

    def left(balance):
        taken = balance.asset == asset and balance.state == "final" and balance.amount > 0
        return replace(balance, amount=balance.amount * (1 - share)) if taken else balance

    accounts = [replace(a, balances=tuple(map(left, a.balances))) if a.id == account else a for a in world.accounts]
    return world.but(accounts=tuple(accounts))


def headroom(world, orders, account):
    """Return margin_balance - positive P&L of each instrument - initial margin of the account's pool, re-evaluated."""
    standing, prices = standing_of(world, RULES, orders), Prices(world)
    names = sorted(a.id for a in world.accounts)
    p = int(standing.where.of_account[names.index(account)])
    pool = twin_pools(world, prices)[p]
    gains = sum(
        max(0.0, (q * prices.contract(s) - pool.entry_value[s]) * prices.fx(prices.instruments[s].settle))
        for s, q in pool.quantity.items()
        if s in pool.entry_value
    )
    return float(standing.margin_balance[p] - standing.initial_margin[p]) - gains


def owned_of(account, asset):
    return sum(b.amount for b in account.balances if b.asset == asset and b.state == "final" and b.amount > 0)


def scale(world):
    return 1.0 + sum(abs(b.amount) for a in world.accounts for b in a.balances) * 200.0


@st.composite
def worlds_with_orders(draw):
    world = draw(worlds(INSTRUMENTS, most=2))
    return world, draw(orders_of(world))


def assert_each_amount_up_to_it_is_covered(world, orders, *, most=True):
    """Hold every withdrawable quantity against books that are evaluated anew with less and less of the asset."""
    accounts = {a.id: a for a in world.accounts}
    found = 0
    for name, row in told(world, orders).items():
        if not row["withdrawable_by_asset"]:
            continue
        for asset, quantity in row["withdrawable_by_asset"].items():
            owned = owned_of(accounts[name], asset)
            share = quantity / owned
            assert 0.0 <= share <= 1.0 + 1e-12
            found += quantity > 0
            noise = 1e-9 * scale(world)
            for part in np.linspace(0.0, 1.0, 9).tolist():
                assert headroom(without(world, name, asset, part * min(share, 1.0)), orders, name) >= -noise, asset
            if most and share < 1.0 and asset not in WRONG_WAY.supply:
                beyond = [headroom(without(world, name, asset, share + step), orders, name) for step in (1e-6, 1e-3)]
                assert min(b for s, b in zip((1e-6, 1e-3), beyond, strict=True) if share + s <= 1.0) < noise
    return found


@given(worlds_with_orders())
@settings(max_examples=10)
def test_every_amount_up_to_what_can_go_is_covered_with_orders_open(drawn):
    world, orders = drawn
    assert_each_amount_up_to_it_is_covered(world, orders)


@pytest.mark.parametrize(
    "orders",
    [
        (),
        (Order(account="a", symbol="BTC-PERP", quantity=3, limit=99.0),),
        (
            Order(account="a", symbol="BTC-PERP", quantity=3, limit=99.0),
            Order(account="a", symbol="BTC-PERP", quantity=-4, limit=104.0),
            Order(account="a", symbol="BTC-P-90", quantity=-2, limit=3.0),
            Order(account="a", symbol="BTC-PERP", quantity=9, limit=1.0, reduce_only=True),
        ),
    ],
    ids=["no orders", "one order", "orders on both sides"],
)
def test_open_orders_and_wrong_way_collateral_leave_what_they_leave(orders):
    world = alone(
        [Position(symbol="BTC-PERP", quantity=-2, entry_price=108.0), Position(symbol="BTC-C-110", quantity=-2)],
        {"USD": 150, "BTC": 2, "STETH": 3, "ETH": 6},
        market=market_of(),
    )
    assert assert_each_amount_up_to_it_is_covered(world, orders) >= 3


def test_an_open_order_holds_back_what_it_could_cost():
    world = alone({"BTC-PERP": 2}, {"USD": 400}, market=market_of())
    order = Order(account="a", symbol="BTC-PERP", quantity=3, limit=100.0)
    free, held = told(world)["a"], told(world, (order,))["a"]
    reduced = told(world, (replace(order, quantity=-2, reduce_only=True),))["a"]
    more = held["initial_margin"] - free["initial_margin"]
    assert more > 0
    assert held["withdrawable"] == pytest.approx(free["withdrawable"] - more, rel=1e-9)
    assert reduced["withdrawable"] == free["withdrawable"]


def test_what_is_wrong_way_covers_nothing_and_may_leave_entirely():
    # Six ether of forty are too many, and the venue's own token never counts: neither is missed when it goes.
    world = alone({"BTC-PERP": 3}, {"USD": 120, "STETH": 5, "ETH": 6}, market=market_of())
    row = told(world)["a"]
    assert row["withdrawable_by_asset"]["STETH"] == 5
    assert row["withdrawable_by_asset"]["ETH"] == 6
    assert row["withdrawable"] == pytest.approx(row["withdrawable_by_asset"]["USD"])
    bare = without(without(world, "a", "STETH", 1.0), "a", "ETH", 1.0)
    assert headroom(bare, (), "a") > 0


def test_a_member_s_order_holds_back_the_money_of_its_pool():
    accounts = (
        Account(id="rich", owner="o", balances=(Balance(asset="USD", amount=500),)),
        Account(id="trades", owner="o", balances=(Balance(asset="USD", amount=30),)),
    )
    world = World(accounts=accounts, market=market_of(), pools=(Pool(id="p", accounts=("rich", "trades")),))
    order = Order(account="trades", symbol="BTC-PERP", quantity=8, limit=100.0)
    row = told(world, (order,))["rich"]
    assert 0 < row["withdrawable"] < 500
    assert_each_amount_up_to_it_is_covered(world, (order,))
