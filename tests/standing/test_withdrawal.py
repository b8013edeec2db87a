"""What can be withdrawn: the condition holds at every amount up to it and fails just beyond."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from crossmargin.book import Account, Balance, Location, Pool, Position
from crossmargin.standing import document
from tests.strategies import (
    GRID,
    STANDARD,
    World,
    alone,
    market_of,
    rules_of,
    worlds,
)
from tests.twins.pools import twin_pools
from tests.twins.prices import Prices

RULES = rules_of(GRID)
PLAIN_MARKET = market_of().with_(marks={})


def account_of(world, rules=RULES, id="a"):
    return next(a for a in document(world.standing(rules))["accounts"] if a["id"] == id)


def without(world, account, asset, share):
    """Return the world with a share of everything final that the account owns of an asset gone."""

    def left(balance):
        taken = balance.asset == asset and balance.state == "final" and balance.amount > 0
        return replace(balance, amount=balance.amount * (1 - share)) if taken else balance

    accounts = [replace(a, balances=tuple(map(left, a.balances))) if a.id == account else a for a in world.accounts]
    return world.but(accounts=tuple(accounts))


def headroom(world, rules, account):
    """Return margin_balance - positive P&L of each instrument - initial margin of the account's pool."""
    standing, prices = world.standing(rules), Prices(world)
    names = sorted(a.id for a in world.accounts)
    p = int(standing.where.of_account[names.index(account)])
    pool = twin_pools(world, prices)[p]
    gains = sum(
        max(0.0, (quantity * prices.contract(symbol) - pool.entry_value[symbol]) * prices.fx(_settle(prices, symbol)))
        for symbol, quantity in pool.quantity.items()
        if symbol in pool.entry_value
    )
    return float(standing.margin_balance[p] - standing.initial_margin[p]) - gains


def _settle(prices, symbol):
    return prices.instruments[symbol].settle


def largest_share(world, rules, account, asset):
    """Return the largest share of an asset that can go, looking at every hundredth, then closing in."""
    shares = np.linspace(0, 1, 60)
    good = [headroom(without(world, account, asset, s), rules, account) >= -1e-9 for s in shares.tolist()]
    if not good[0]:
        return 0.0
    if all(good):
        return 1.0
    first = good.index(False)
    low, high = shares[first - 1], shares[first]
    for _ in range(40):
        middle = 0.5 * (low + high)
        ok = headroom(without(world, account, asset, float(middle)), rules, account) >= 0
        low, high = (middle, high) if ok else (low, middle)
    return float(low)


@given(worlds(most=2))
@settings(max_examples=12)
def test_each_asset_alone_can_go_as_far_as_settled_money_covers_initial_margin(world):
    told = {a["id"]: a for a in document(world.standing(RULES))["accounts"]}
    for account in world.accounts:
        by_asset = told[account.id]["withdrawable_by_asset"]
        assert all(quantity >= 0 for quantity in by_asset.values())
        for asset, quantity in by_asset.items():
            final = [b for b in account.balances if b.asset == asset and b.state == "final"]
            owned = sum(b.amount for b in final if b.amount > 0)
            assert quantity <= owned * (1 + 1e-12)
            share = largest_share(world, RULES, account.id, asset)
            assert quantity == pytest.approx(owned * share, rel=1e-6, abs=1e-6)


@given(worlds(most=2))
@settings(max_examples=12)
def test_the_total_takes_money_first_then_the_assets_by_haircut_then_by_name(world):
    told = {a["id"]: a for a in document(world.standing(RULES))["accounts"]}
    for account in world.accounts:
        row = told[account.id]
        expected, rest = 0.0, world
        values = {}
        for balance in row["balances"]:
            if balance["state"] == "final" and balance["quantity"] > 0:
                worth, counted = values.get(balance["asset"], (0.0, 0.0))
                values[balance["asset"]] = (
                    worth + balance["value"],
                    counted + balance["value"] * (1 - balance["haircut"]),
                )
        order = sorted(values, key=lambda a: (a != "USD", round(1 - values[a][1] / values[a][0], 9), a))
        if row["withdrawable_by_asset"]:
            for asset in order:
                share = largest_share(rest, RULES, account.id, asset)
                expected += share * values[asset][1]
                if share < 1:
                    break
                rest = without(rest, account.id, asset, 1.0)
        assert row["withdrawable"] == pytest.approx(expected, rel=1e-6, abs=1e-5)


@given(worlds(most=1))
@settings(max_examples=20)
def test_nothing_can_go_where_nothing_is_available(world):
    for row in document(world.standing(RULES))["accounts"]:
        if row["available"] == 0:
            assert row["withdrawable"] == 0
            assert all(quantity == 0 for quantity in row["withdrawable_by_asset"].values())
        assert row["withdrawable"] >= 0


@given(worlds(most=1))
@settings(max_examples=20)
def test_a_pool_is_healthy_after_any_asset_has_gone_as_far_as_it_may(world):
    (row,) = document(world.standing(RULES))["accounts"]
    for asset, quantity in row["withdrawable_by_asset"].items():
        final = [b.amount for b in world.accounts[0].balances if b.asset == asset and b.state == "final"]
        share = 0.999999 * quantity / sum(a for a in final if a > 0)
        assert account_of(without(world, "a0", asset, share), id="a0")["status"] == "healthy"


def test_unrealized_profit_never_leaves():
    # Long 5 from 60 at 100: a profit of 200 on 100 in cash. Initial margin 1.25 x 16 x 5 = 100.
    held = [Position(symbol="BTC-PERP", quantity=5, entry_price=60.0)]
    row = account_of(alone(held, {"USD": 100}, market=PLAIN_MARKET))
    assert row["unrealized_pnl"] == 200
    assert row["available"] == pytest.approx(200)
    assert row["withdrawable"] == 0
    row = account_of(alone(held, {"USD": 160}, market=PLAIN_MARKET))
    assert row["withdrawable"] == row["withdrawable_by_asset"]["USD"] == pytest.approx(60)


def test_a_loss_in_one_instrument_is_not_made_good_by_a_profit_in_another():
    held = [
        Position(symbol="BTC-PERP", quantity=5, entry_price=80.0),
        Position(symbol="BTC-FUT", quantity=-2.5, entry_price=80.0),
    ]
    market = PLAIN_MARKET.with_(forwards={**PLAIN_MARKET.forwards, "BTC": _curve(100.0)})
    row = account_of(alone(held, {"USD": 160}, market=market))
    # The profit of 100 on the one and the loss of 100 on the other cancel in equity; the profit stays.
    assert row["unrealized_pnl"] == 0
    assert row["initial_margin"] == 0
    assert row["withdrawable"] == pytest.approx(60)


def _curve(forward):
    from tests.strategies import MONTH, QUARTER

    return {MONTH.date(): forward, QUARTER.date(): forward}


def test_collateral_that_hedges_a_short_stays_where_it_is_needed():
    # Short 4 against 4 coins: without them initial margin is 80 on 50 in cash.
    world = alone({"BTC-PERP": -4}, {"BTC": 4, "USD": 50}, market=PLAIN_MARKET)
    quantity = account_of(world)["withdrawable_by_asset"]["BTC"]
    assert 0 < quantity < 4
    share = quantity / 4
    assert headroom(without(world, "a", "BTC", share), RULES, "a") == pytest.approx(0, abs=1e-9)


def test_a_member_takes_out_its_own_money_as_far_as_the_whole_pool_allows():
    accounts = (
        Account(id="rich", owner="o", balances=(Balance(asset="USD", amount=500),)),
        Account(
            id="short",
            owner="o",
            balances=(Balance(asset="USD", amount=30),),
            positions=(Position(symbol="BTC-PERP", quantity=-10),),
        ),
    )
    world = World(accounts=accounts, market=PLAIN_MARKET, pools=(Pool(id="p", accounts=("rich", "short")),))
    told = document(world.standing(RULES))
    rich, short = told["accounts"]
    # 530 in cash against an initial margin of 200.
    assert rich["withdrawable"] == pytest.approx(330)
    assert short["withdrawable"] == pytest.approx(30)
    assert told["pools"][0]["withdrawable"] == pytest.approx(330)


def test_pending_money_and_debts_cannot_be_taken_out():
    balances = [
        Balance(asset="USD", amount=100, state="pending"),
        Balance(asset="EUR", amount=-10),
        Balance(asset="USDC", amount=50),
    ]
    row = account_of(alone((), balances, market=PLAIN_MARKET))
    assert set(row["withdrawable_by_asset"]) == {"USDC"}


def test_everything_can_go_where_nothing_is_owed():
    row = account_of(alone({"BTC-C-110": 1}, {"USD": 100, "BTC": 2}, market=market_of()))
    assert row["withdrawable_by_asset"] == {"BTC": 2, "USD": 100}
    assert row["withdrawable"] == pytest.approx(100 + 2 * 100 * 0.95)


def test_option_value_outside_the_margin_balance_pays_for_nothing():
    row = account_of(alone({"BTC-C-110": 5}, {"USD": 10}, market=market_of()), rules_of(STANDARD))
    assert row["withdrawable"] == pytest.approx(10)
    assert row["net_option_value"] > 10


def test_money_in_a_halted_place_counts_for_maintenance_and_not_for_initial_margin():
    locations = (Location(id="here"), Location(id="frozen", halted=True))
    world = alone(
        {"BTC-PERP": 1},
        [Balance(asset="USD", amount=100, location="frozen"), Balance(asset="USD", amount=15)],
        market=PLAIN_MARKET,
        locations=locations,
    )
    row = account_of(world)
    assert row["equity"] == 115
    assert row["maintenance_margin"] == pytest.approx(16)
    assert row["initial_margin"] == pytest.approx(20 + 100)
    assert row["withdrawable"] == 0
    assert row["status"] == "warning"
