"""Liquidation prices of the house rule book: true nearest roots, found again by evaluating the whole book anew."""

from math import isnan

import numpy as np
import pytest
from hypothesis import given, settings

from crossmargin.book import Account, Balance, Pool, Position
from crossmargin.instruments import Asset, Future
from crossmargin.margin.tails import TailMeasure
from crossmargin.market import Mark, Market
from crossmargin.scenarios import JointParameters
from crossmargin.standing import Status
from tests.portfolio_worlds import DEEP, HOUSE, house
from tests.standing.test_liquidation import assert_roots_are_nearest, found, only, owing
from tests.strategies import (
    COIN_OPTIONS,
    INSTRUMENTS,
    INVERSE,
    LINEAR,
    MONTH,
    OPTIONS,
    TIME,
    World,
    alone,
    decimals,
    market_of,
    quantities,
    rules_of,
)
from tests.twins.moved import Walk

RULES = rules_of(HOUSE)
DEEP_RULES = rules_of(DEEP)
CRUDE = Future(
    symbol="CL", underlying="WTI", quote="USD", asset_class="energy", expiry=MONTH, price_domain="any", contract_size=10
)


@given(owing(LINEAR))
@settings(max_examples=6)
def test_roots_of_linear_contracts_are_the_first_prices_in_breach(world):
    assert_roots_are_nearest(world, RULES)


@given(owing(INVERSE))
@settings(max_examples=6)
def test_roots_of_inverse_contracts_are_the_first_prices_in_breach(world):
    assert_roots_are_nearest(world, RULES)


@given(owing((*OPTIONS, *LINEAR)))
@settings(max_examples=8)
def test_roots_of_books_with_options_are_the_first_prices_in_breach(world):
    assert_roots_are_nearest(world, RULES)


@given(owing((*COIN_OPTIONS, *INVERSE)))
@settings(max_examples=6)
def test_roots_of_books_with_coin_settled_options_are_the_first_prices_in_breach(world):
    assert_roots_are_nearest(world, RULES)


@given(owing([i for i in INSTRUMENTS if i.price_domain == "any"]))
@settings(max_examples=8)
def test_roots_of_prices_that_may_be_negative_are_the_first_in_breach(world):
    assert_roots_are_nearest(world, RULES)


@given(quantities, quantities, decimals(0, 500), decimals(-2, 8))
@settings(max_examples=5)
def test_roots_of_a_pool_are_those_of_the_members_together(first, second, cash, coins):
    accounts = (
        Account(
            id="a0",
            positions=(Position(symbol="BTC-PERP", quantity=first, entry_price=97.0),),
            balances=(Balance(asset="BTC", amount=coins, location="chain"),),
        ),
        Account(
            id="a1",
            positions=(Position(symbol="BTC-FUT", quantity=second, entry_price=104.0),),
            balances=(Balance(asset="USD", amount=cash),),
        ),
    )
    world = World(accounts=accounts, market=market_of(), pools=(Pool(id="both", accounts=("a0", "a1")),))
    assert_roots_are_nearest(world, RULES)


FUTURES_AND_OPTIONS = [
    ({"BTC-PERP": 4, "ETH-PERP": -2}, {"USD": 190}),
    ({"BTC-C-110": -5, "BTC-PERP": 2, "BTC-P-90": -2}, {"USD": 150}),
    ({"BTC-INV": 30, "BTC-COIN-C-105": -2}, {"BTC": 2.0, "USD": 10}),
    ({"ETH-C-11": -3, "ETH-P-9": -2}, {"USDC": 120, "USD": 30}),
    ({"OIL-FUT": 1, "OIL-C-5": -0.5}, {"USD": 700}),
    ({"DAX-PERP": -3, "BTC-FUT": 1}, {"EUR": 60, "USD": 40}),
]


@pytest.mark.parametrize(("positions", "balances"), FUTURES_AND_OPTIONS)
@pytest.mark.parametrize("rules", [RULES, DEEP_RULES], ids=["thin markets", "deep markets"])
def test_evaluating_the_book_a_billionth_to_either_side_of_a_root_gives_either_side(positions, balances, rules):
    world = alone(positions, balances, market=market_of())
    prices = found(world.standing(rules))
    roots = 0
    for (pool, asset), (index, below, above, inside, _) in prices.items():
        walk = Walk(world, rules, pool, asset)
        for root, outward in ((below, -1.0), (above, 1.0)):
            if isnan(root):
                continue
            roots += 1
            step = outward * 1e-9 * max(abs(root), abs(index) if asset == "OIL" else 0.0)
            near, far = walk.excess(root - step), walk.excess(root + step)
            assert (near <= 0.0) == inside
            assert (far <= 0.0) == (not inside)
    assert roots >= 1


@pytest.mark.parametrize("tick", [0.5, 0.01])
@pytest.mark.parametrize(
    "positions", [{"BTC-PERP": 3}, {"BTC-PERP": -3}, {"BTC-C-110": -5}, {"BTC-P-90": -5, "BTC-FUT": 0.5}], ids=str
)
def test_status_turns_at_the_first_tick_at_or_beyond_the_liquidation_price(positions, tick):
    world = alone(positions, {"USD": 120}, market=market_of())
    _, below, above, inside, _ = only(world.standing(RULES), "BTC")
    assert not inside
    walk = Walk(world, RULES, 0, "BTC")
    for root, away in ((below, -1), (above, 1)):
        if isnan(root):
            continue
        first = (np.floor(root / tick) if away < 0 else np.ceil(root / tick)) * tick
        ticks = first + away * tick * np.arange(-20, 20)
        states = [Status(int(walk.at(price).status[0])) for price in ticks.tolist()]
        assert [state >= Status.LIQUIDATION for state in states] == [n >= 20 for n in range(40)]


def test_a_breach_between_two_prices_only_is_told_as_an_interval():
    # Short calls covered further out by more long ones: in breach only where the short ones bite alone.
    world = alone({"BTC-C-110": -10, "BTC-C-125": 7}, {"USD": 75}, market=market_of(vol=0.4))
    standing = world.standing(DEEP_RULES)
    _, _, above, inside, intervals = only(standing, "BTC")
    assert not inside
    assert len(intervals) == 1
    low, high = intervals[0]
    assert low == above
    walk = Walk(world, DEEP_RULES, 0, "BTC")
    assert walk.excess(low * (1 - 1e-9)) > 0 >= walk.excess(low * (1 + 1e-9))
    assert walk.excess(high * (1 - 1e-9)) <= 0 < walk.excess(high * (1 + 1e-9))
    assert not walk.breaches(np.geomspace(1.0, low * (1 - 1e-6), 40)).any()
    assert walk.breaches(np.linspace(low * (1 + 1e-6), high * (1 - 1e-6), 40)).all()
    assert not walk.breaches(np.geomspace(high * (1 + 1e-6), 10_000.0, 40)).any()


def test_a_crash_told_in_prices_is_the_same_difference_wherever_the_price_has_moved_to():
    # WTI fell by 55.90 on a day in 2020; at 40 that is more than the whole price, and no smaller than at 71.
    market = Market(time=TIME, prices={"WTI": 71.2}, marks={"CL": Mark(price=71.4)})
    assets = (Asset(symbol="WTI", asset_class="energy"), Asset(symbol="USD", asset_class="fx"))
    world = alone({"CL": 4}, {"USD": 3_000}, market=market, instruments=(CRUDE,), assets=assets)
    measure = TailMeasure(confidence=0.975, stress_weight=1.0)
    rules = rules_of(house(joint=JointParameters(any_floor_by_name={"WTI": 20.0}), measure=measure))
    _, below, _, inside, _ = only(world.standing(rules), "WTI")
    assert not inside
    assert below < 70.0
    walk = Walk(world, rules, 0, "WTI")
    assert walk.excess(below * (1 + 1e-9)) > 0 >= walk.excess(below * (1 - 1e-9))


def test_the_vol_of_a_price_that_may_be_negative_is_so_many_price_units_wherever_it_has_moved_to():
    world = alone({"OIL-FUT": 1}, {"USD": 900}, market=market_of(oil=60.0))
    _, below, _, inside, _ = only(world.standing(RULES), "OIL")
    assert not inside
    walk = Walk(world, RULES, 0, "OIL")
    assert walk.excess(below + 1e-7) > 0 >= walk.excess(below - 1e-7)
