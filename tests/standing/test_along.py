"""Liquidation along a joint move: roots of books evaluated anew, each underlying by its beta."""

from dataclasses import replace
from math import log

import numpy as np
import pytest
from hypothesis import given, settings

from crossmargin.errors import InputError
from crossmargin.standing import betas, liquidation_along, liquidation_prices
from tests.portfolio_worlds import DEEP, HOUSE
from tests.standing.test_liquidation import owing
from tests.strategies import GRID, LINEAR, OPTIONS, World, alone, decimals, market_of, rules_of
from tests.twins.jointly_moved import excess_at

BOTH = [rules_of(GRID), rules_of(HOUSE)]
named = pytest.mark.parametrize("rules", BOTH, ids=["grid", "portfolio"])
UNKNOWN = (("BTX", 1.0), ("BTC", float("nan")))


def excess(world, rules, m, slopes, vols=None):
    """Return the excess once the market has moved by m, by the text: prices by (1 + m)^beta, differences by ln."""
    prices = {name: b * log(1 + m) if name == "OIL" else (1 + m) ** b - 1 for name, b in slopes.items()}
    return excess_at(world, rules, 0, prices, {name: (1 + m) ** b - 1 for name, b in (vols or {}).items()})


def assert_first_roots(world, rules, slopes, vols=None, *, ticks=24):
    found = liquidation_along(world.standing(rules), 0, slopes, vols)
    now = excess(world, rules, 0.0, slopes, vols)
    assert found.inside == (now <= 0)
    for root, end in ((found.below, 0.004), (found.above, 250.0)):
        last = 1 + root if root is not None else end
        for share in (np.arange(1, ticks) / ticks).tolist():
            at = excess(world, rules, last**share - 1, slopes, vols)
            assert (at <= 0) == found.inside or abs(at) < 1e-7 * (1 + abs(now)), (root, share)
        if root is not None:
            out = 1e-8 * np.sign(root)
            near = excess(world, rules, (1 + root) * (1 - out) - 1, slopes, vols)
            far = excess(world, rules, (1 + root) * (1 + out) - 1, slopes, vols)
            assert (near <= 0) == found.inside
            assert (far <= 0) != found.inside
    return found


@named
@pytest.mark.parametrize(
    ("positions", "balances", "slopes", "vols"),
    [
        ({"BTC-PERP": 3, "ETH-PERP": 2}, {"USD": 190}, {"BTC": 1.0, "ETH": 1.3}, {}),
        ({"BTC-PERP": 3, "ETH-PERP": -2}, {"USD": 190}, {"BTC": 1.0, "ETH": 1.3}, {}),
        ({"BTC-P-90": -4, "ETH-C-11": -2}, {"USD": 150}, {"BTC": 1.0, "ETH": 0.8}, {"BTC": -1.5, "ETH": -1.0}),
        ({"DAX-PERP": 2, "OIL-FUT": 0.5}, {"USD": 500, "EUR": 100}, {"DAX": 1.0, "OIL": 30.0, "EUR": -0.2}, {}),
    ],
    ids=["long both", "hedged", "short options and vols", "a price that may be negative"],
)
def test_roots_along_a_joint_move_are_the_first_in_breach(rules, positions, balances, slopes, vols):
    found = assert_first_roots(alone(positions, balances, market=market_of()), rules, slopes, vols)
    assert found.below is not None or found.above is not None


@given(owing((*LINEAR, *OPTIONS)), decimals(0.2, 2.0), decimals(-1.0, 1.0))
@settings(max_examples=5)
def test_roots_of_any_pool_are_the_first_in_breach(world, ether, vol):
    assert_first_roots(world, BOTH[0], {"BTC": 1.0, "ETH": ether, "DAX": 0.4}, {"BTC": vol}, ticks=12)


@named
def test_along_one_asset_they_are_its_liquidation_prices(rules):
    world = alone({"BTC-PERP": 3, "BTC-C-110": -4}, {"USD": 190}, market=market_of())
    standing = world.standing(rules)
    found, prices = liquidation_along(standing, 0, {"BTC": 1.0}), liquidation_prices(standing)
    assert found.below == pytest.approx(prices.below[0] / 100 - 1, rel=1e-9)
    assert found.above == pytest.approx(prices.above[0] / 100 - 1, rel=1e-9)


def test_a_stretch_in_breach_is_told_as_an_interval():
    world = alone({"BTC-C-110": -10, "BTC-C-125": 7}, {"USD": 75}, market=market_of(vol=0.4))
    rules = rules_of(DEEP)
    standing = world.standing(rules)
    ((low, high),) = liquidation_prices(standing).intervals[0]
    ((first, last),) = liquidation_along(standing, 0, {"BTC": 2.0}).intervals
    assert 100 * (1 + first) ** 2 == pytest.approx(low, rel=1e-9)
    assert 100 * (1 + last) ** 2 == pytest.approx(high, rel=1e-9)


def test_in_breach_already_the_way_back_is_told():
    found = liquidation_along(
        alone({"BTC-PERP": 3}, {"USD": 5}, market=market_of()).standing(BOTH[0]), 0, {"BTC": 1.0, "ETH": 1.0}
    )
    assert found.inside
    assert found.below is None
    assert found.above > 0


def test_betas_are_slopes_of_the_day_s_moves():
    world = alone({"BTC-PERP": 3, "ETH-PERP": 2}, {"USD": 190}, market=replace(market_of(), history=None))
    found = betas(world.standing(BOTH[1]), 0, "BTC")
    assert found["BTC"] == 1.0
    # Vols of 0.65 each in the house rule book, two coins correlated at about 0.6.
    assert 0.4 < found["ETH"] < 0.8
    with pytest.raises(InputError, match="one of BTC, ETH"):
        betas(world.standing(BOTH[1]), 0, "BTX")


@pytest.mark.parametrize(("name", "beta"), UNKNOWN)
def test_an_unknown_asset_and_a_beta_that_is_no_number_are_refused(name, beta):
    world: World = alone({"BTC-PERP": 3}, {"USD": 190}, market=market_of())
    with pytest.raises(InputError, match="betas"):
        liquidation_along(world.standing(BOTH[0]), 0, {name: beta})
