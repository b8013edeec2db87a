"""TIMS margin: the points, offsets inside product groups, the minimum a contract."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Pool, Position
from crossmargin.errors import InvalidRules, NotMargined
from crossmargin.instruments import Asset, Option, Perpetual
from crossmargin.margin.tims import PointRange, Tims, contract_minimum, offset_loss
from crossmargin.market import Mark, Market
from crossmargin.rules import load
from crossmargin.units import utc
from tests.margin.whole_books import assert_adds_up, assert_totals_are_the_requirement, maintenance
from tests.strategies import INSTRUMENTS, OPTIONS, alone, market_of, rules_of, worlds
from tests.twins.prices import Prices

TAKEN = INSTRUMENTS
MODEL = Tims(
    range_by_class={
        "crypto": PointRange(up=0.2, down=0.2),
        "equity_index": PointRange(up=0.06, down=0.08),
        "fx": PointRange(up=0.05, down=0.05),
        "stablecoin": PointRange(up=0.0, down=0.0),
        "other": PointRange(up=0.35, down=0.35),
    },
    range_by_underlying={"BTC": PointRange(up=0.15, down=0.15)},
    product_group={"BTC": "coins", "ETH": "coins", "DAX": "lone"},
    offset={"coins": 0.75, "lone": 0.9},
    contract_minimum=0.375,
    any_floor=20.0,
    initial_factor=1.2,
)
RULES = rules_of(MODEL)
NO_MINIMUM = rules_of(replace(MODEL, contract_minimum=0.0))


def owed(positions, rules=NO_MINIMUM, balances=(), **prices):
    return maintenance(alone(positions, dict(balances), market=market_of(**prices), instruments=TAKEN), rules)


def test_the_ten_points_are_equidistant_either_way_and_leave_today_out():
    points = PointRange(up=0.06, down=0.08).points()
    np.testing.assert_allclose(
        points, [-0.08, -0.064, -0.048, -0.032, -0.016, 0.012, 0.024, 0.036, 0.048, 0.06], rtol=1e-12
    )


def test_a_class_owes_its_worst_point():
    assert owed({"BTC-PERP": 2}) == pytest.approx(2 * 100.2 * 0.15)
    assert owed({"BTC-PERP": -2}) == pytest.approx(2 * 100.2 * 0.15)
    assert owed({"DAX-PERP": 1}) == pytest.approx(150 * 1.1 * 0.08)
    assert owed({"DAX-PERP": -1}) == pytest.approx(150 * 1.1 * 0.06)


def test_a_price_that_may_be_negative_moves_by_a_share_of_its_floor():
    assert owed({"OIL-FUT": -1}, oil=-5.0) == pytest.approx(10 * 20 * 0.35)


def test_gains_of_another_class_count_at_the_offset_at_the_same_point():
    # At five steps down BTC loses 15% of 100.2 and the short ETH gains 20% of 10 x 10 x 0.999.
    loss, gain = 100.2 * 0.15, 99.9 * 0.2
    assert owed({"BTC-PERP": 1, "ETH-PERP": -1}) == pytest.approx(max(gain - 0.75 * loss, loss - 0.75 * gain))
    # DAX is a group of its own.
    assert owed({"BTC-PERP": 1, "DAX-PERP": -1}) == pytest.approx(loss + 150 * 1.1 * 0.06)


@pytest.mark.parametrize(
    ("pnl", "offset", "expected"),
    [
        ([[-10, 4], [6, -2]], 0.5, 7),
        ([[-10, 4], [6, -2]], 0.0, 10),
        ([[-10, 4], [6, -2]], 1.0, 4),
        ([[10, 4], [6, 2]], 1.0, 0),
        (np.zeros((0, 10)), 0.9, 0),
    ],
)
def test_a_groups_loss_is_the_worst_point_with_gains_offset(pnl, offset, expected):
    assert offset_loss(np.array(pnl, dtype=float), offset) == expected


def test_the_minimum_holds_where_the_points_ask_less():
    # Two long calls lose next to nothing: 0.375 a unit of the underlying, long or short.
    held = {"BTC-C-125": 3}
    assert owed(held, vol=0.2) < 3 * 2 * 0.375
    assert owed(held, RULES, vol=0.2) == pytest.approx(3 * 2 * 0.375)
    assert owed({"BTC-PERP": -1}, RULES) == owed({"BTC-PERP": -1})
    assert contract_minimum(np.array([100.0, -100.0]), 37.5).sum() == 7500


def test_shares_held_are_in_their_class():
    assert owed({}, balances={"BTC": 2}) == pytest.approx(2 * (1 - 0.05) * 100 * 0.15)
    hedged = owed({"BTC-PERP": -1}, balances={"BTC": 1})
    assert hedged == pytest.approx((100.2 - 95) * 0.15)


def test_the_worst_point_is_named():
    standing = alone({"BTC-PERP": 1}, market=market_of(), instruments=TAKEN).standing(RULES)
    worst = standing.requirement.worst
    assert worst.name(int(worst.block[0]), int(worst.scenario[0])) == "coins 5 of 5 steps down"


def test_american_options_are_refused_unless_they_are_taken_as_european():
    call = Option(
        symbol="C",
        underlying="BTC",
        quote="USD",
        option_type="call",
        strike=100,
        expiry="2026-02-01T00:00:00Z",
        exercise="american",
        asset_class="crypto",
    )
    world = alone({"C": -1}, market=replace(market_of(), marks={"C": Mark(iv=0.6)}), instruments=(call,))
    with pytest.raises(NotMargined, match="C, held by a"):
        world.standing(RULES)
    european = world.but(instruments=(replace(call, exercise="european"),))
    taken = rules_of(replace(MODEL, american_as_european=True))
    assert maintenance(world, taken) == maintenance(european, RULES) > 0


def test_pools_of_balances_in_the_reporting_currency_and_of_nothing_owe_nothing():
    accounts = (
        Account(id="a", positions=[Position(symbol="BTC-PERP", quantity=1)]),
        Account(id="b", balances=[Balance(asset="USD", amount=5)]),
        Account(id="c"),
        Account(id="d", positions=[Position(symbol="BTC-PERP", quantity=-1)]),
    )
    world = alone({}, market=market_of(), instruments=TAKEN).but(
        accounts=accounts, pools=(Pool(id="p", accounts=("a", "d")),)
    )
    assert world.standing(NO_MINIMUM).maintenance_margin.tolist() == [0, 0, 0]
    assert not world.but(accounts=(), pools=()).standing(RULES).maintenance_margin.size


# --- whole books


def twin(standing, world, p):
    """Return the maintenance margin of one pool, class by class and point by point."""
    prices, pools, assets = Prices(world), standing.pools, {a.symbol: a for a in world.assets}
    names = standing.valuation.catalogue.assets

    def reach(name):
        by_class = MODEL.range_by_class.get(assets[name].asset_class, MODEL.range_by_class["other"])
        return MODEL.range_by_underlying.get(name, by_class)

    def step(name, s):
        far = reach(name)
        return -far.down * (5 - s) / 5 if s < 5 else far.up * (s - 4) / 5

    classes, minimum = {}, {}
    for k in range(len(pools.leg_instrument)):
        if pools.leg_pool[k] != p:
            continue
        contract = standing.valuation.catalogue.instruments[pools.leg_instrument[k]]
        quantity, name = float(pools.leg_quantity[k]), contract.underlying
        coin = contract.settle == name
        row = classes.setdefault(name, [0.0] * 10)
        for s in range(10):
            move = step(name, s)
            level = max(abs(prices.index(contract)), 20.0) if contract.price_domain == "any" else 1.0
            after = prices.contract(contract.symbol, move * level) * (1 + move if coin else 1)
            row[s] += quantity * (after - prices.contract(contract.symbol)) * prices.fx(contract.settle)
            if coin:
                row[s] -= float(standing.portfolios.entry_value[k]) * prices.fx(contract.settle) * move
        group = MODEL.product_group.get(name, name)
        least = abs(quantity) * float(contract.contract_size) * MODEL.contract_minimum * prices.fx(contract.quote)
        minimum[group] = minimum.get(group, 0.0) + least
    for b in range(len(pools.balance_amount)):
        name = names[pools.balance_asset[b]].symbol
        if pools.balance_pool[b] == p and name != "USD":
            row = classes.setdefault(name, [0.0] * 10)
            for s in range(10):
                row[s] += float(standing.portfolios.counted[b]) * prices.fx(name) * step(name, s)
    groups = {}
    for name, row in classes.items():
        groups.setdefault(MODEL.product_group.get(name, name), []).append(row)
    total = 0.0
    for group, rows in groups.items():
        offset = MODEL.offset.get(group, 1.0)
        at = [sum(x if x < 0 else offset * x for x in column) for column in zip(*rows, strict=True)]
        total += max(0.0, -min(at), minimum.get(group, 0.0))
    return total


books = worlds(TAKEN).map(lambda w: w.but(instruments=TAKEN))


@given(books)
@settings(max_examples=30)
def test_whole_books_owe_what_the_slow_twin_finds(world):
    standing = assert_adds_up(world, RULES)
    for p in range(standing.pools.count):
        assert standing.maintenance_margin[p] == pytest.approx(twin(standing, world, p), rel=1e-8, abs=1e-6)


@given(books)
@settings(max_examples=15)
def test_ladders_and_pools_alone_make_the_same_numbers(world):
    assert_totals_are_the_requirement(world.standing(RULES))


holdings = st.dictionaries(st.sampled_from([i.symbol for i in TAKEN]), st.integers(-9, 9), max_size=4)


@given(holdings, holdings)
@settings(max_examples=30)
def test_two_portfolios_together_owe_no_more_than_apart(one, other):
    both = {s: one.get(s, 0) + other.get(s, 0) for s in {*one, *other}}
    apart = owed(one, RULES) + owed(other, RULES)
    assert owed(both, RULES) <= apart + 1e-9 * max(1.0, apart)


@given(holdings, st.integers(2, 7))
@settings(max_examples=15)
def test_n_times_a_portfolio_owes_n_times_as_much(one, n):
    assert owed({s: n * q for s, q in one.items()}, RULES) == pytest.approx(n * owed(one, RULES), rel=1e-9, abs=1e-9)


@given(holdings, st.sampled_from(OPTIONS), st.integers(1, 9))
@settings(max_examples=30)
def test_a_bought_option_adds_no_more_than_its_value_before_the_minimum(one, bought, quantity):
    more = {**one, bought.symbol: one.get(bought.symbol, 0) + quantity}
    world = alone({bought.symbol: quantity}, market=market_of(), instruments=TAKEN)
    value = float(world.standing(NO_MINIMUM).worth.net_option_value[0])
    assert owed(more) <= owed(one) + value + 1e-9 * max(1.0, owed(one))


def test_with_the_minimum_a_bought_option_may_cost_more_than_it_is_worth():
    world = alone({"BTC-C-125": 3}, market=market_of(vol=0.2), instruments=TAKEN)
    assert maintenance(world, RULES) > float(world.standing(RULES).worth.net_option_value[0])


@given(holdings, st.floats(0, 1))
@settings(max_examples=15)
def test_a_smaller_offset_never_lowers_the_requirement(one, offset):
    less = rules_of(replace(MODEL, offset={"coins": 0.75 * offset, "lone": 0.9}))
    assert owed(one, less) >= owed(one, RULES) - 1e-9


def test_the_shipped_book_takes_us_share_options_and_offsets_broad_indices():
    rules = load("tims")
    spx = Perpetual(symbol="SPX-P", underlying="SPX", quote="USD", asset_class="equity_index")
    ndx = Perpetual(symbol="NDX-P", underlying="NDX", quote="USD", asset_class="equity_index")
    call = Option(
        symbol="AAPL-C",
        underlying="AAPL",
        quote="USD",
        option_type="call",
        strike=200,
        contract_size=100,
        expiry="2026-02-20T21:00:00Z",
        exercise="american",
        asset_class="equity",
    )
    market = Market(
        time=utc("2026-01-01T08:00:00Z"),
        prices={"SPX": 6000.0, "NDX": 20000.0, "AAPL": 190.0},
        marks={"AAPL-C": Mark(iv=0.3)},
    )
    world = alone(
        {"SPX-P": 10, "NDX-P": -3},
        {"AAPL": 100},
        market=market,
        instruments=(spx, ndx, call),
        assets=(Asset(symbol="AAPL", asset_class="equity"),),
    )
    assert maintenance(world, rules) == pytest.approx(60000 * 0.08 - 0.9 * 60000 * 0.08 + 19000 * 0.15)
    covered = world.but(accounts=(replace(world.accounts[0], positions=[Position(symbol="AAPL-C", quantity=-1)]),))
    assert 0 < maintenance(covered, rules) < 19000 * 0.15


RANGE = PointRange(up=0.1, down=0.1)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"range_by_class": {"crypto": RANGE}}, "range.*other"),
        ({"offset": {"coins": 1.2, "lone": 0.9}}, "offset.coins"),
        ({"offset": {"lone": 0.9}}, "product_group.BTC.*group with an offset"),
        ({"contract_minimum": -1.0}, "contract_minimum"),
        ({"initial_factor": 0.5}, "initial_factor"),
        ({"any_floor": 0.0}, "any_floor"),
    ],
)
def test_parameters_that_cannot_be_are_refused(changes, where):
    with pytest.raises(InvalidRules, match=where):
        replace(MODEL, **changes)


@pytest.mark.parametrize(("fields", "where"), [({"up": -0.1, "down": 0.1}, "up"), ({"up": 0.1, "down": 1.0}, "down")])
def test_ranges_that_cannot_be_are_refused(fields, where):
    with pytest.raises(InvalidRules, match=where):
        PointRange(**fields)
