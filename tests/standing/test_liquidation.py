"""Liquidation prices: true nearest roots on both sides, found again by evaluating the whole book tick by tick."""

from math import isclose, isnan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Location, Pool, Position
from crossmargin.instruments import Asset, Future, Perpetual
from crossmargin.margin import Brackets, Tiers, isolated
from crossmargin.margin.grid import Grid
from crossmargin.market import Mark, Market
from crossmargin.scenarios import GridShape
from crossmargin.standing import Status, document, liquidation_prices
from tests.strategies import (
    ANY_DOMAIN,
    ASSETS,
    BRACKETS,
    COIN_OPTIONS,
    FUTURES,
    GRID,
    INSTRUMENTS,
    INVERSE,
    LADDER,
    LINEAR,
    LOCATIONS,
    MONTH,
    OPTIONS,
    QUARTER,
    STANDARD,
    TIME,
    WEEK,
    World,
    alone,
    balances,
    decimals,
    market_of,
    markets,
    option,
    positions,
    quantities,
    rules_of,
)
from tests.twins.moved import Walk

RULES = rules_of(GRID)
BRACKET_RULES = rules_of(BRACKETS)
CASH = Asset(symbol="USD", asset_class="fx")


def found(standing):
    """Return {(pool, asset): (index, below, above, inside, intervals)}."""
    prices, assets = liquidation_prices(standing), standing.valuation.catalogue.assets
    return {
        (int(prices.pool[k]), assets[prices.asset[k]].symbol): (
            float(prices.index[k]),
            float(prices.below[k]),
            float(prices.above[k]),
            bool(prices.inside[k]),
            prices.intervals[k],
        )
        for k in range(len(prices.pool))
    }


def only(standing, asset, pool=0):
    return found(standing)[pool, asset]


def assert_roots_are_nearest(world, rules, *, ticks=16, pairs=3):
    """Hold every pair's answer against a walk from now to each root, and to the ends where there is none."""
    standing = world.standing(rules)
    any_domain = {i.underlying for i in world.instruments if i.price_domain == "any"}
    scale = float(np.abs(standing.worth.balances).sum() + np.abs(standing.maintenance_margin).sum()) + 1.0
    for (pool, asset), (index, below, above, inside, intervals) in list(found(standing).items())[:pairs]:
        walk = Walk(world, rules, pool, asset)
        absolute = asset in any_domain
        now = walk.excess(index)
        assert inside == (now <= 0) or abs(now) < 1e-9 * scale
        for root, sign in ((below, -1), (above, 1)):
            end = root
            if isnan(root):
                end = index + sign * 300.0 if absolute else index * 300.0**sign
            share = (np.arange(1, ticks) / ticks) ** 1.5
            way = index + (end - index) * share if absolute else index * (end / index) ** share
            for price in way.tolist():
                excess = walk.excess(price)
                assert (excess <= 0) == inside or abs(excess) < 1e-8 * scale, (asset, root, price, excess)
            if not isnan(root):
                step = sign * 1e-7 * (abs(root) + (abs(index) if absolute else 0.0))
                before, beyond = walk.excess(root - step), walk.excess(root + step)
                noise = 1e-10 * scale
                near, far = (before, beyond) if not inside else (-before, -beyond)
                assert near > -noise, (asset, root, before, beyond)
                assert far < noise, (asset, root, before, beyond)
                assert abs(walk.excess(root)) <= max(abs(before), abs(beyond)) + noise
        for low, high in intervals:
            assert walk.excess(0.5 * (low + high)) <= 1e-8 * scale
            assert low <= high


@st.composite
def owing(draw, instruments, *, most=4):
    """One account with a few positions and some cash, so that prices in reach often breach."""
    market = draw(markets())
    held = draw(positions(instruments, most=most, isolated=False))
    kept = [b for b in draw(balances()) if b.state == "final"]
    cash = Balance(asset="USD", amount=draw(decimals(0, 400)))
    return alone(held, [cash, *(b for b in kept if b.asset != "USD")], market=market)


# --- the walk: nearest roots, both sides, every kind of contract


@given(owing(LINEAR))
@settings(max_examples=8)
def test_roots_of_linear_contracts_are_the_first_prices_in_breach(world):
    assert_roots_are_nearest(world, RULES)


@given(owing(INVERSE))
@settings(max_examples=8)
def test_roots_of_inverse_contracts_are_the_first_prices_in_breach(world):
    assert_roots_are_nearest(world, RULES)


@given(owing((*OPTIONS, *LINEAR)))
@settings(max_examples=10)
def test_roots_of_books_with_options_are_the_first_prices_in_breach(world):
    assert_roots_are_nearest(world, RULES)


@given(owing((*COIN_OPTIONS, *INVERSE)))
@settings(max_examples=8)
def test_roots_of_books_with_coin_settled_options_are_the_first_prices_in_breach(world):
    assert_roots_are_nearest(world, RULES)


@given(owing([i for i in INSTRUMENTS if i.price_domain == "any"]))
@settings(max_examples=10)
def test_roots_of_prices_that_may_be_negative_are_the_first_in_breach(world):
    assert_roots_are_nearest(world, RULES)


@given(owing(FUTURES))
@settings(max_examples=8)
def test_roots_across_bracket_edges_are_the_first_prices_in_breach(world):
    assert_roots_are_nearest(world, BRACKET_RULES)


@given(owing([i for i in INSTRUMENTS if i.price_domain == "positive"]))
@settings(max_examples=8)
def test_roots_of_standard_option_margin_are_the_first_prices_in_breach(world):
    assert_roots_are_nearest(world, rules_of(STANDARD))


@given(decimals(-6, 6, 1), decimals(-3, 3, 1), decimals(0, 300), decimals(-200, 300), decimals(-3, 8))
@settings(max_examples=10)
def test_roots_in_a_book_kept_in_euro_are_the_first_prices_in_breach(btc, future, euro, dollars, coins):
    market = Market(
        time=TIME,
        currency="EUR",
        prices={"EUR": 1.1, "BTC": 100.0},
        forwards={"EUR": {QUARTER.date(): 1.104}},
        marks={"BTC-PERP": Mark(price=100.2)},
    )
    world = alone(
        {"BTC-PERP": btc, "EUR-FUT": future},
        {"EUR": euro, "USD": dollars, "BTC": coins},
        market=market,
        instruments=tuple(i for i in LINEAR if i.symbol in ("BTC-PERP", "EUR-FUT")),
    )
    assert_roots_are_nearest(world, RULES)


@given(quantities, quantities, decimals(0, 500), decimals(-2, 8))
@settings(max_examples=8)
def test_roots_of_a_pool_are_those_of_the_members_together(first, second, cash, coins):
    world = World(
        accounts=(
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
        ),
        market=market_of(),
        pools=(Pool(id="both", accounts=("a0", "a1")),),
    )
    assert_roots_are_nearest(world, RULES)


@pytest.mark.parametrize("tick", [0.5, 0.01])
@pytest.mark.parametrize("quantity", [3, -3])
def test_status_turns_at_the_first_tick_at_or_beyond_the_liquidation_price(quantity, tick):
    world = alone({"BTC-PERP": quantity}, {"USD": 100}, market=market_of())
    _, below, above, _, _ = only(world.standing(RULES), "BTC")
    root = below if quantity > 0 else above
    walk = Walk(world, RULES, 0, "BTC")
    away = -1 if quantity > 0 else 1
    first = (np.floor(root / tick) if away < 0 else np.ceil(root / tick)) * tick
    ticks = first + away * tick * np.arange(-20, 20)
    states = [Status(int(walk.at(price).status[0])) for price in ticks.tolist()]
    in_breach = [state >= Status.LIQUIDATION for state in states]
    assert in_breach == [n >= 20 for n in range(40)]


# --- answers known beforehand


def spread(kind, near, far, domain="positive", **terms):
    """Two options a week out on X, at 100 (in positive prices) or at 0."""
    terms = {"asset_class": "other", "price_domain": domain, **terms}
    return (
        option("NEAR", "X", kind, near, WEEK, **terms),
        option("FAR", "X", kind, far, WEEK, **terms),
    )


WORST_OF_MOVES = Grid(
    shape=GridShape(range_by_class={"other": 0.15}, any_floor=100.0, vol_up=0.0, vol_down=0.0, extreme_weight=0.0),
    short_option_minimum=0.0,
)


def test_a_breach_between_two_prices_only_is_told_as_an_interval():
    # Index 100, short 10 calls at 115, long 14 at 130, 7 days, vol 60%, cash 90: in breach from 112.0 to 167.4 only.
    market = Market(
        time=TIME,
        prices={"X": 100.0},
        marks={"NEAR": Mark(iv=0.6), "FAR": Mark(iv=0.6)},
        forwards={"X": {WEEK.date(): 100.0}},
    )
    world = alone(
        {"NEAR": -10, "FAR": 14},
        {"USD": 90},
        market=market,
        instruments=spread("call", 115, 130),
        assets=(Asset(symbol="X"), CASH),
    )
    rules = rules_of(WORST_OF_MOVES)
    _, below, above, inside, intervals = only(world.standing(rules), "X")
    assert isnan(below)
    assert not inside
    assert above == intervals[0][0]
    assert len(intervals) == 1
    walk = Walk(world, rules, 0, "X")
    ticks = np.arange(900, 2000) / 10
    in_breach = ticks[walk.breaches(ticks)]
    assert (in_breach[0], in_breach[-1]) == (112.0, 167.3)
    assert intervals[0] == (pytest.approx(112.0, abs=0.01), pytest.approx(167.34, abs=0.01))


def test_a_breach_between_two_prices_is_found_where_prices_may_be_negative():
    # The same spread around 0, with vols and moves of the same size in price units.
    market = Market(
        time=TIME,
        prices={"X": 0.0},
        marks={"NEAR": Mark(iv=60.0), "FAR": Mark(iv=60.0)},
        forwards={"X": {WEEK.date(): 0.0}},
    )
    world = alone(
        {"NEAR": -10, "FAR": 14},
        {"USD": 90},
        market=market,
        instruments=spread("call", 15, 30, "any"),
        assets=(Asset(symbol="X"), CASH),
    )
    rules = rules_of(WORST_OF_MOVES)
    walk = Walk(world, rules, 0, "X")
    ticks = np.arange(-200, 1000) / 10
    in_breach = ticks[walk.breaches(ticks)]
    _, below, above, inside, intervals = only(world.standing(rules), "X")
    assert isnan(below)
    assert not inside
    assert len(intervals) == 1
    assert 0 <= in_breach[0] - intervals[0][0] < 0.1
    assert 0 <= intervals[0][1] - in_breach[-1] < 0.1
    assert above == intervals[0][0]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("fence", [10.0, 60.0, 200.0])
@pytest.mark.parametrize("quantity", [3.0, 8.0, 40.0])
def test_isolated_linear_positions_have_the_closed_form_price_of_the_bracket_it_falls_in(side, fence, quantity):
    world = World(
        accounts=(
            Account(
                id="a",
                mode="isolated",
                positions=(
                    Position(
                        symbol="BTC-PERP",
                        quantity=side * quantity,
                        entry_price=100.0,
                        isolated_collateral=fence,
                    ),
                ),
            ),
        ),
        market=market_of().with_(marks={}),
    )
    expected = [
        float(
            isolated.linear_liquidation_price(
                side=side, size=quantity, entry=100.0, margin=fence, rate=rate, amount=amount
            )
        )
        for rate, amount in zip(LADDER.maintenance_rate, LADDER.maintenance_amount, strict=True)
    ]
    edges = [*LADDER.floor, float("inf")]
    price = next(p for p, low, high in zip(expected, edges, edges[1:], strict=False) if low <= quantity * p <= high)
    row = document(world.standing(BRACKET_RULES))["accounts"][0]["positions"][0]
    assert row["liquidation_price"] == pytest.approx(price, rel=1e-9)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("fence", "quantity"), [(0.2, 60.0), (0.05, 10.0), (2.0, 60.0)])
def test_isolated_inverse_positions_have_the_closed_form_price(side, fence, quantity):
    flat = rules_of(Brackets(tiers_by_class={"other": Tiers.flat(maintenance_rate=0.01, initial_rate=0.05)}))
    world = World(
        accounts=(
            Account(
                id="a",
                mode="isolated",
                positions=(
                    Position(symbol="BTC-INV", quantity=side * quantity, entry_price=95.0, isolated_collateral=fence),
                ),
            ),
        ),
        market=market_of(),
    )
    price = float(
        isolated.inverse_liquidation_price(side=side, size=10 * quantity, entry=95.0, margin=fence, rate=0.01)
    )
    row = document(world.standing(flat))["accounts"][0]["positions"][0]
    if 0.1 < price < 100_000:
        assert row["liquidation_price"] == pytest.approx(price, rel=1e-9)
    else:
        assert row["liquidation_price"] is None


@given(st.integers(-20, 60), st.sampled_from([1, -1]), decimals(10, 900))
def test_oil_liquidates_through_zero_at_the_price_the_straight_line_says(index, side, cash):
    # 10 barrels a contract, range 25% of max(|index|, 20): MM = 2.5 max(|x|, 20); equity = cash +- 10 (x - index).
    market = Market(time=TIME, prices={"OIL": float(index)}, marks={"OIL-FUT": Mark(price=float(index))})
    world = alone({"OIL-FUT": side}, {"USD": cash}, market=market, instruments=ANY_DOMAIN)
    _, below, above, inside, _ = only(world.standing(RULES), "OIL")

    def excess(x):
        return cash + side * 10 * (x - index) - 2.5 * max(abs(x), 20.0)

    candidates = []
    for slope, constant in ((0.0, 50.0), (2.5, 0.0), (-2.5, 0.0)):
        # cash + 10 s (x - index) = slope x + constant, on the piece it belongs to.
        x = (constant - cash + side * 10 * index) / (side * 10 - slope)
        if isclose(excess(x), 0.0, abs_tol=1e-9):
            candidates.append(x)
    assert len({round(x, 9) for x in candidates}) == 1
    root = candidates[0]
    assert inside == (excess(index) <= 0)
    lower, upper = (root, None) if root < index or (root == index and side < 0) else (None, root)
    assert below == pytest.approx(lower, rel=1e-9, abs=1e-9) if lower is not None else isnan(below)
    assert above == pytest.approx(upper, rel=1e-9, abs=1e-9) if upper is not None else isnan(above)
    price = document(world.standing(RULES))["accounts"][0]["positions"][0]["liquidation_price"]
    assert price == pytest.approx(root, rel=1e-9, abs=1e-9)


@given(st.integers(-400, 400).filter(lambda index: abs(index) > 20), decimals(10, 40))
def test_a_hedged_pool_in_breach_is_told_the_nearer_end_of_the_stretch_around_zero_where_it_is_healthy(index, cash):
    # 10 long and 10 short at 10% of |price|: MM = 2 |x| against the cash, whatever way the price came.
    terms = {"underlying": "OIL", "quote": "USD", "price_domain": "any"}
    one, other = (Future(symbol=name, expiry=date, **terms) for name, date in (("NEAR", MONTH), ("FAR", QUARTER)))
    marks = {"NEAR": Mark(price=float(index)), "FAR": Mark(price=float(index))}
    flat = rules_of(Brackets(tiers_by_class={"other": Tiers.flat(maintenance_rate=0.1, initial_rate=0.1)}))
    world = alone(
        {"NEAR": 10, "FAR": -10},
        {"USD": cash},
        market=Market(time=TIME, prices={"OIL": float(index)}, marks=marks),
        instruments=(one, other),
    )
    _, below, above, inside, _ = only(world.standing(flat), "OIL")
    assert inside
    root = pytest.approx(cash / 2 if index > 0 else -cash / 2, rel=1e-9)
    back, onward = (below, above) if index > 0 else (above, below)
    assert back == root
    assert isnan(onward)


@pytest.mark.parametrize(("quantity", "below", "above"), [(1, None, 100.0), (-1, 100.0, None)])
def test_a_pool_exactly_at_its_level_is_inside_and_its_way_back_starts_here(quantity, below, above):
    # A range of a quarter of 100, free of rounding: MM = 25 = cash.
    rules = rules_of(Grid(shape=GridShape(range_by_class={"other": 0.25})))
    world = alone({"BTC-PERP": quantity}, {"USD": 25}, market=market_of().with_(marks={}))
    standing = world.standing(rules)
    assert standing.maintenance_margin[0] == standing.margin_balance[0] == 25.0
    told = document(standing)["accounts"][0]["liquidation"]["BTC"]
    assert told["inside"]
    assert (told["below"], told["above"]) == (
        below and pytest.approx(below, rel=1e-9),
        above and pytest.approx(above, rel=1e-9),
    )


def test_a_pool_in_breach_is_told_the_way_back():
    # Short 2 with 20 in cash: 2 (100 - x) + 20 = 0.32 x at x = 220 / 2.32.
    world = alone({"BTC-PERP": -2}, {"USD": 20}, market=market_of().with_(marks={}))
    told = document(world.standing(RULES))["accounts"][0]["liquidation"]["BTC"]
    assert told == {"below": pytest.approx(220 / 2.32, rel=1e-9), "above": None, "inside": True}


@pytest.mark.parametrize(("quantity", "below", "above"), [(1, None, 100 / 0.84), (-1, 100 / 1.16, None)])
def test_a_pool_with_a_balance_of_exactly_nothing_is_told_the_way_back(quantity, below, above):
    # Neither money nor profit: what now is worth is exactly 0, which is no root. x - 100 = 0.16 x, 100 - x = 0.16 x.
    world = alone({"BTC-PERP": quantity}, {"USD": 0}, market=market_of().with_(marks={}))
    told = document(world.standing(RULES))["accounts"][0]["liquidation"]["BTC"]
    assert told == {
        "below": below and pytest.approx(below, rel=1e-9),
        "above": above and pytest.approx(above, rel=1e-9),
        "inside": True,
    }


def test_collateral_that_moves_too_is_counted_tier_by_tier_and_capped_by_place():
    # A short with coins of its own: the coins gain as the short loses, up to what their place may count.
    world = alone(
        [Position(symbol="BTC-PERP", quantity=-6, entry_price=100.0)],
        [Balance(asset="BTC", amount=8, location="chain"), Balance(asset="USD", amount=10)],
        market=market_of(),
    )
    assert_roots_are_nearest(world, RULES, ticks=80)
    free = world.but(locations=(Location(id="here"), Location(id="chain", finality_seconds=3_600.0)))
    assert only(world.standing(RULES), "BTC")[2] == pytest.approx(168.0, abs=0.5)
    assert isnan(only(free.standing(RULES), "BTC")[2])


def test_a_position_s_liquidation_price_is_its_own_mark_where_the_index_breaches():
    world = alone({"BTC-FUT": 4}, {"USD": 200}, market=market_of(basis=1.05))
    row = document(world.standing(RULES))["accounts"][0]
    root = row["liquidation"]["BTC"]["below"]
    assert row["positions"][0]["liquidation_price"] == pytest.approx(root * 1.05, rel=1e-12)
    oil = alone({"OIL-FUT": 4}, {"USD": 700}, market=market_of())
    row = document(oil.standing(RULES))["accounts"][0]
    root = row["liquidation"]["OIL"]["below"]
    assert row["positions"][0]["liquidation_price"] == pytest.approx(root + 0.4, rel=1e-12)


def test_an_option_has_no_liquidation_price_of_its_own_and_a_pool_that_owes_nothing_has_none():
    told = document(alone({"BTC-C-110": -2}, {"USD": 100}, market=market_of()).standing(RULES))["accounts"][0]
    assert told["positions"][0]["liquidation_price"] is None
    assert told["liquidation"]["BTC"]["above"] > 100
    paid = document(alone({"BTC-C-110": 2}, {"USD": 1}, market=market_of()).standing(RULES))["accounts"][0]
    assert paid["liquidation"] == {}
    assert paid["status"] == "healthy"


def test_a_positive_contract_on_an_index_that_may_be_negative_is_moved_by_its_ratio():
    oil = option("OIL-POSITIVE", "OIL", "call", 45, asset_class="energy")
    market = market_of().with_(marks={"OIL-FUT": Mark(price=40.4), "OIL-POSITIVE": Mark(iv=0.5)})
    world = alone({"OIL-FUT": -2, "OIL-POSITIVE": 3}, {"USD": 400}, market=market, instruments=(*ANY_DOMAIN, oil))
    standing = world.standing(RULES)
    _, _, above, _, _ = only(standing, "OIL")
    walk = Walk(world, RULES, 0, "OIL")
    assert walk.excess(above * (1 - 1e-7)) > 0 > walk.excess(above * (1 + 1e-7))


def test_a_range_above_half_the_price_is_searched_without_a_word():
    wide = rules_of(Grid(shape=GridShape(range_by_class={"other": 0.6})))
    world = alone({"BTC-C-110": -3, "BTC-PERP": 1}, {"USD": 400}, market=market_of(), assets=ASSETS)
    assert_roots_are_nearest(world, wide)


def test_a_position_that_was_closed_at_a_profit_in_coin_moves_with_the_coin_and_no_more():
    closed = [
        Position(symbol="BTC-INV", quantity=10, entry_price=100.0),
        Position(symbol="BTC-INV", quantity=-10, entry_price=80.0),
    ]
    world = alone([*closed, Position(symbol="BTC-PERP", quantity=-1)], {"USD": 30}, market=market_of())
    assert_roots_are_nearest(world, RULES)


def test_a_stable_coin_takes_along_what_is_priced_in_it():
    world = alone(
        [Position(symbol="ETH-PERP", quantity=-2, entry_price=10.0)],
        {"ETH": 3, "USDC": -10, "USD": 250},
        market=market_of(),
        locations=LOCATIONS,
    )
    assert_roots_are_nearest(world, RULES)


def test_dated_futures_and_perpetuals_on_one_coin_move_together():
    instruments = (
        Perpetual(symbol="P", underlying="BTC", quote="USD", asset_class="crypto"),
        Future(symbol="F", underlying="BTC", quote="USD", asset_class="crypto", expiry=MONTH),
    )
    market = Market(time=TIME, prices={"BTC": 100.0}, forwards={"BTC": {MONTH.date(): 103.0}})
    world = alone({"P": 5, "F": -5}, {"USD": 10}, market=market, instruments=instruments)
    # The pair loses 5 x 3% of what the index gains: 0.15 (x - 100) + worst move of 0.15 x = 10.
    _, below, above, _, _ = only(world.standing(RULES), "BTC")
    assert isnan(below)
    assert above == pytest.approx((10 + 15) / (0.15 + 0.15 * 0.16), rel=1e-9)
