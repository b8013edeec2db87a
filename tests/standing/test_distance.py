"""Distance to liquidation: the joint move found is a breach, nothing nearer is, and what is known beforehand is met."""

from dataclasses import replace
from datetime import timedelta
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from scipy.optimize import brentq, minimize_scalar

from crossmargin.instruments import Perpetual
from crossmargin.margin.grid import Grid
from crossmargin.market import History, Market
from crossmargin.scenarios import GridShape
from crossmargin.standing import liquidation_prices, most_likely_breach
from crossmargin.standing.factors import factors_of
from tests.portfolio_worlds import DEEP, HOUSE
from tests.strategies import (
    ASSETS,
    BRACKETS,
    GRID,
    LINEAR,
    OPTIONS,
    TIME,
    VALUE_AT_RISK,
    alone,
    market_of,
    rules_of,
    worlds,
)
from tests.twins.jointly_moved import excess_at

PLAIN = Market(time=TIME, prices={"BTC": 100.0, "ETH": 10.0}, vol_annual={"BTC": 0.5, "ETH": 0.8})
"""No history: the reference set, vols as stated."""
PERPETUALS = tuple(
    Perpetual(symbol=f"{name}-PERP", underlying=name, quote="USD", asset_class="crypto") for name in ("BTC", "ETH")
)
FLAT_GRID = rules_of(
    Grid(
        shape=GridShape(range_by_class={"other": 0.10}, vol_up=0.0, vol_down=0.0, extreme_weight=0.0),
        short_option_minimum=0.0,
    )
)
BOTH = [rules_of(GRID), rules_of(HOUSE)]


def plain(positions, cash):
    return alone(positions, {"USD": cash}, market=PLAIN, instruments=PERPETUALS, assets=ASSETS)


def mahalanobis(factors, moves):
    return sqrt(moves @ np.linalg.pinv(factors.covariance) @ moves)


def breach_of(world, rules, pool=0):
    return most_likely_breach(world.standing(rules), pool)


def moves_of(factors, names, breach):
    """Return a breach as moves of the factors: logs, or differences."""
    prices = [
        breach.moves[names[a]] if absolute else log(1.0 + breach.moves[names[a]])
        for a, absolute in zip(factors.price_of.tolist(), factors.absolute.tolist(), strict=True)
    ]
    return np.array([*prices, *(log(1.0 + breach.vol_moves[names[a]]) for a in factors.vol_of.tolist())])


# --- answers known beforehand


@pytest.mark.parametrize("quantity", [3, -3])
def test_with_one_factor_it_is_the_liquidation_price_in_daily_standard_deviations(quantity):
    # 10% of notional on 60 in cash: 60 + 3 (x - 100) = 0.1 x 3 x.
    root = (300 - 60) / (3 * 0.9) if quantity > 0 else (300 + 60) / (3 * 1.1)
    world = plain({"BTC-PERP": quantity}, 60)
    found = breach_of(world, FLAT_GRID)
    daily = sqrt(factors_of(world.standing(FLAT_GRID), 0).covariance.item())
    # The reference set's thousand moves, as stated to a hundredth.
    assert daily == pytest.approx(0.5 / sqrt(365.0), rel=0.01)
    assert found.distance == pytest.approx(abs(log(root / 100)) / daily, rel=1e-9)
    assert found.moves == {"BTC": pytest.approx(root / 100 - 1, rel=1e-9)}
    assert found.vol_moves == {}
    assert found.source == "reference"
    assert 0.99 * found.distance < found.lower_bound <= found.distance


@pytest.mark.parametrize(("btc", "eth"), [(2, 20), (2, -20), (-2, 20), (1, 40), (-1, -3)])
def test_with_two_linear_positions_it_is_the_nearest_point_of_a_plane(btc, eth):
    # In price ratios y the excess is linear on each side: cash + sum of D (y - 1) - 0.1 |D| y, D the notional.
    world, cash = plain({"BTC-PERP": btc, "ETH-PERP": eth}, 90), 90.0
    notional = np.array([100.0 * btc, 10.0 * eth])
    factors = factors_of(world.standing(FLAT_GRID), 0)
    root = np.linalg.cholesky(factors.covariance)

    def distance(angle):
        """How far the ray at an angle is healthy."""
        ray = root @ (np.cos(angle), np.sin(angle))

        def excess(t):
            return cash + notional @ np.expm1(t * ray) - 0.1 * np.abs(notional) @ np.exp(t * ray)

        steps = np.linspace(0.0, 40.0, 400)
        first = next((k for k in range(1, 400) if excess(steps[k]) <= 0), None)
        return 40.0 if first is None else brentq(excess, steps[first - 1], steps[first], xtol=1e-13)

    angles = np.linspace(0.0, 2 * np.pi, 241)
    coarse = int(np.argmin([distance(a) for a in angles]))
    around = (angles[max(coarse - 1, 0)], angles[min(coarse + 1, 240)])
    best = minimize_scalar(distance, bounds=around, method="bounded", options={"xatol": 1e-9}).fun
    found = breach_of(world, FLAT_GRID)
    assert found.distance == pytest.approx(best, rel=1e-6)
    assert found.lower_bound <= found.distance


def test_what_moves_together_is_likelier_together():
    # Both long: correlated coins fall together. Hedged: the same notional needs them to part, which is unlikely.
    together = breach_of(plain({"BTC-PERP": 2, "ETH-PERP": 20}, 90), FLAT_GRID)
    apart = breach_of(plain({"BTC-PERP": 2, "ETH-PERP": -20}, 90), FLAT_GRID)
    assert together.moves["BTC"] < 0
    assert together.moves["ETH"] < 0
    assert apart.distance > 1.15 * together.distance


def test_the_nearer_of_two_breaches_is_found_and_nothing_nearer_on_a_fine_grid():
    # A short strangle: breached above and below, and sooner where the vol has risen; the puts are nearer than the call.
    world = alone({"BTC-P-90": -6, "BTC-C-125": -1}, {"USD": 130}, market=market_of(vol=0.5))
    standing = world.standing(FLAT_GRID)
    factors = factors_of(standing, 0)
    found = most_likely_breach(standing, 0)
    line = np.linspace(-found.distance, found.distance, 81)
    u = np.array([(a, b) for a in line for b in line if a * a + b * b < (0.999 * found.distance) ** 2])
    moves = u @ factors.root.T
    excess = [excess_at(world, FLAT_GRID, 0, {"BTC": exp(p) - 1}, {"BTC": exp(v) - 1}) for p, v in moves[::5]]
    assert min(excess) > 0
    assert excess_at(world, FLAT_GRID, 0, found.moves, found.vol_moves) == pytest.approx(0, abs=1e-8)
    assert found.moves["BTC"] < 0 < found.vol_moves["BTC"]
    assert 0.85 * found.distance < found.lower_bound <= found.distance


def test_a_rising_vol_brings_a_breach_nearer_than_prices_alone_do():
    world = alone({"BTC-P-90": -8, "BTC-PERP": -1}, {"USD": 150}, market=market_of(vol=0.5))
    standing = world.standing(FLAT_GRID)
    factors = factors_of(standing, 0)
    prices = liquidation_prices(standing)
    alone_ = min(abs(log(x / 100)) for x in (prices.below[0], prices.above[0]) if np.isfinite(x))
    found = most_likely_breach(standing, 0)
    assert found.vol_moves["BTC"] > 0
    assert found.distance < alone_ / sqrt(factors.covariance[0, 0])


# --- the move is a breach, and the ball below the bound is not


CASES = [
    ({"BTC-PERP": 4, "ETH-PERP": -2}, {"USD": 190}),
    ({"BTC-C-110": -5, "BTC-PERP": 2, "BTC-P-90": -2}, {"USD": 150}),
    ({"BTC-INV": 30, "BTC-COIN-C-105": -2}, {"BTC": 2.0, "USD": 10}),
    ({"ETH-C-11": -3, "ETH-P-9": -2}, {"USDC": 120, "USD": 30}),
    ({"OIL-FUT": 1, "OIL-C-5": -0.5}, {"USD": 700}),
    ({"DAX-PERP": -3, "BTC-FUT": 1}, {"EUR": 160, "USD": 40}),
]


@pytest.mark.parametrize(("positions", "balances"), CASES)
@pytest.mark.parametrize("rules", BOTH, ids=["grid", "portfolio"])
def test_the_move_found_is_where_the_book_evaluated_anew_meets_its_maintenance_margin(positions, balances, rules):
    world = alone(positions, balances, market=market_of())
    standing = world.standing(rules)
    found = most_likely_breach(standing, 0)
    size = float(standing.maintenance_margin[0]) + float(standing.margin_balance[0])
    assert excess_at(world, rules, 0, found.moves, found.vol_moves) == pytest.approx(0, abs=1e-7 * size)
    names = [asset.symbol for asset in standing.valuation.catalogue.assets]
    factors = factors_of(standing, 0)
    moves = moves_of(factors, names, found)
    assert mahalanobis(factors, moves) == pytest.approx(found.distance, rel=1e-7)
    part = (1 - 1e-4) * moves
    shifts = factors.shifts(part[None, :])
    nearer = {names[a]: float(shifts.size[0, a]) for a in factors.price_of.tolist()}
    vols = {} if shifts.vol is None else {names[a]: float(shifts.vol[0, a]) - 1 for a in factors.vol_of.tolist()}
    assert excess_at(world, rules, 0, nearer, vols) > 0


@pytest.mark.parametrize(("positions", "balances"), CASES)
@pytest.mark.parametrize("rules", BOTH, ids=["grid", "portfolio"])
def test_it_is_never_farther_than_one_asset_alone(positions, balances, rules):
    world = alone(positions, balances, market=market_of())
    standing = world.standing(rules)
    found, factors = most_likely_breach(standing, 0), factors_of(standing, 0)
    prices = liquidation_prices(standing)
    row = {a: k for k, a in enumerate(factors.price_of.tolist())}
    for k, asset in enumerate(prices.asset.tolist()):
        if asset not in row:
            continue
        for root in (prices.below[k], prices.above[k]):
            if np.isfinite(root):
                moves = np.zeros(len(factors))
                at = row[asset]
                moves[at] = root - prices.index[k] if factors.absolute[at] else log(root / prices.index[k])
                assert found.distance <= mahalanobis(factors, moves) * (1 + 1e-7)


@pytest.mark.parametrize(("positions", "balances"), CASES)
@pytest.mark.parametrize("rules", BOTH, ids=["grid", "portfolio"])
def test_no_joint_move_nearer_than_the_lower_bound_is_a_breach(positions, balances, rules):
    world = alone(positions, balances, market=market_of())
    standing = world.standing(rules)
    found, factors = most_likely_breach(standing, 0), factors_of(standing, 0)
    if not found.lower_bound:
        pytest.skip("nothing is shown for this pool")
    assert found.lower_bound <= found.distance
    names = [asset.symbol for asset in standing.valuation.catalogue.assets]
    rng = np.random.default_rng(7)
    u = rng.standard_normal((60, factors.root.shape[1]))
    u *= (0.999 * found.lower_bound * rng.uniform(0.3, 1.0, 60) / np.linalg.norm(u, axis=1))[:, None]
    # Among them the direction of the breach itself.
    toward = np.linalg.pinv(factors.root) @ moves_of(factors, names, found)
    u[0] = 0.999 * found.lower_bound * toward / np.linalg.norm(toward)
    for moves in u @ factors.root.T:
        shifts = factors.shifts(moves[None, :])
        prices = {names[a]: float(shifts.size[0, a]) for a in factors.price_of.tolist()}
        vols = {} if shifts.vol is None else {names[a]: float(shifts.vol[0, a]) - 1 for a in factors.vol_of.tolist()}
        assert excess_at(world, rules, 0, prices, vols) > 0


@given(worlds((*LINEAR, *OPTIONS), most=1))
@settings(max_examples=5)
def test_bound_and_distance_agree_for_any_pool(world):
    standing = world.standing(rules_of(GRID))
    for pool in range(standing.pools.count):
        found = most_likely_breach(standing, pool)
        if found.distance is None:
            assert found.lower_bound is None
        elif found.distance > 0 and found.lower_bound is not None:
            assert 0 <= found.lower_bound <= found.distance


def test_parts_of_a_pool_may_each_use_up_some_of_what_there_is_to_lose():
    # Two coins without correlation would each need more than both together; the bound allows for both.
    world = plain({"BTC-PERP": 2, "ETH-PERP": 20}, 90)
    found = breach_of(world, FLAT_GRID)
    one = breach_of(plain({"BTC-PERP": 2}, 90 - 20), FLAT_GRID)
    assert found.lower_bound < one.distance
    assert found.lower_bound > 0.8 * found.distance


# --- where there is nothing to tell


def test_a_pool_in_breach_is_at_distance_0_and_one_that_owes_nothing_at_none():
    inside = breach_of(plain({"BTC-PERP": 3}, 5), FLAT_GRID)
    assert (inside.distance, inside.lower_bound, inside.moves) == (0.0, 0.0, {})
    world = alone({"BTC-C-110": 2}, {"USD": 1}, market=market_of())
    nothing = breach_of(world, FLAT_GRID)
    assert (nothing.distance, nothing.lower_bound, nothing.starts) == (None, None, 0)


def test_a_pool_that_no_move_in_reach_can_breach_has_no_distance():
    # Short 1 against 3 coins: never in breach whatever the price.
    world = alone({"BTC-PERP": -1}, {"BTC": 3, "USD": 200}, market=PLAIN, instruments=PERPETUALS)
    found = breach_of(world, FLAT_GRID)
    assert found.distance is None
    assert found.starts > 0


@pytest.mark.parametrize("model", [VALUE_AT_RISK], ids=["value at risk"])
def test_nothing_is_shown_for_several_parts_of_a_rule_book_that_is_not_sub_additive(model):
    found = breach_of(alone({"BTC-PERP": 4, "DAX-PERP": 2}, {"USD": 400}, market=market_of()), rules_of(model))
    assert found.distance > 0
    assert found.lower_bound is None


def test_rule_books_without_scenarios_have_the_house_scenarios_for_their_factors():
    world = alone({"BTC-PERP": 4, "BTC-FUT": -1}, {"USD": 100}, market=market_of())
    found = breach_of(world, rules_of(BRACKETS))
    assert found.source == "reference"
    assert excess_at(world, rules_of(BRACKETS), 0, found.moves) == pytest.approx(0, abs=1e-8)


def test_the_same_question_has_the_same_answer():
    world = alone({"BTC-C-110": -5, "ETH-PERP": 2}, {"USD": 150}, market=market_of())
    assert breach_of(world, rules_of(HOUSE)) == breach_of(world, rules_of(HOUSE))


# --- factors


def history(**series):
    days = tuple((TIME - timedelta(days=400 - k)).date() for k in range(400))
    return History(days=days, names=tuple(sorted(series)), closes=np.column_stack([series[n] for n in sorted(series)]))


def walked(rng, start, vol, days=400):
    return start * np.exp(np.cumsum(vol * rng.standard_normal(days)))


def test_vols_move_as_history_says_where_it_has_their_series():
    rng = np.random.default_rng(3)
    shock = rng.standard_normal(400)
    price, vol = 100 * np.exp(np.cumsum(0.03 * shock)), 0.6 * np.exp(np.cumsum(-0.02 * shock))
    market = market_of().with_(history=history(BTC=price, **{"BTC.vol": vol}))
    world = alone({"BTC-C-110": -3}, {"USD": 200}, market=market, instruments=OPTIONS)
    factors = factors_of(world.standing(rules_of(HOUSE)), 0)
    deviation = np.sqrt(np.diag(factors.covariance))
    correlation = factors.covariance[0, 1] / np.prod(deviation)
    assert factors.source == "history"
    assert correlation == pytest.approx(-1.0, abs=1e-6)
    assert deviation[1] / deviation[0] == pytest.approx(2 / 3, rel=0.15)


def test_stated_vols_go_with_their_own_price_and_with_each_other():
    world = alone({"BTC-C-110": -3, "ETH-C-11": -3}, {"USD": 200}, market=replace(market_of(), history=None))
    factors = factors_of(world.standing(rules_of(DEEP)), 0)
    names = [asset.symbol for asset in world.standing(rules_of(DEEP)).valuation.catalogue.assets]
    row = {names[a]: k for k, a in enumerate(factors.price_of.tolist())}
    vol = {names[a]: len(row) + k for k, a in enumerate(factors.vol_of.tolist())}
    deviation = np.sqrt(np.diag(factors.covariance))
    r = factors.covariance / np.outer(deviation, deviation)
    coins = r[row["BTC"], row["ETH"]]
    assert deviation[vol["BTC"]] == pytest.approx(0.05)
    assert r[vol["BTC"], row["BTC"]] == pytest.approx(-0.30)
    assert r[vol["BTC"], row["ETH"]] == pytest.approx(-0.30 * coins)
    assert r[vol["BTC"], vol["ETH"]] == pytest.approx(coins)
    assert np.linalg.eigvalsh(factors.covariance).min() > -1e-15
    np.testing.assert_allclose(factors.root @ factors.root.T, factors.covariance, atol=1e-15)


def test_what_does_not_move_is_no_factor():
    # Without history a stable coin holds its peg in the ordinary scenarios.
    world = alone({"ETH-PERP": 3}, {"USDC": 200}, market=replace(market_of(), history=None))
    standing = world.standing(rules_of(HOUSE))
    names = [asset.symbol for asset in standing.valuation.catalogue.assets]
    assert [names[a] for a in factors_of(standing, 0).price_of.tolist()] == ["ETH"]


def test_a_move_of_a_price_that_may_be_negative_is_a_difference():
    world = alone({"OIL-FUT": 1}, {"USD": 900}, market=market_of(oil=10.0))
    found = breach_of(world, rules_of(HOUSE))
    assert found.moves["OIL"] < -1.0
    assert excess_at(world, rules_of(HOUSE), 0, found.moves) == pytest.approx(0, abs=1e-6)
