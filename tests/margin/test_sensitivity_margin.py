"""The SIMM-type rule book on positions: by hand, against a slow twin, and what it promises."""

from collections import defaultdict
from dataclasses import replace
from math import fsum, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Pool, Position
from crossmargin.errors import InvalidRules, NotMargined
from crossmargin.margin.sensitivities import unit_deltas, unit_vegas
from crossmargin.margin.simm import SensitivityMargin, shortfall_weight, theta, vol_scale
from crossmargin.market import Mark
from crossmargin.rules import load
from tests.strategies import INSTRUMENTS, World, alone, decimals, market_of, option, rules_of, worlds

few = settings(max_examples=30)
CLASS_OF = {"crypto": "crypto", "energy": "commodity", "equity_index": "equity", "fx": "currencies", "other": "other"}
MODEL = SensitivityMargin(
    product_class={**CLASS_OF, "stablecoin": "crypto", "fx": "crypto"},
    risk_class={**CLASS_OF, "stablecoin": "currencies"},
    weight_by_class={"crypto": 0.4, "energy": 0.2, "equity_index": 0.1, "fx": 0.05, "stablecoin": 0.05, "other": 0.5},
    weight_by_name={"BTC": 0.25},
    correlation={"crypto": 0.5, "fx": 0.4, "other": 0.0},
    bucket_correlation=0.2,
    class_correlation=0.3,
    threshold_by_class={"other": 2000.0},
    threshold_by_name={"BTC": 4000.0},
    vega_threshold_by_class={"other": 300.0},
    vega_weight=0.5,
    vol_ratio=0.6,
    any_floor=1.0,
    any_floor_by_name={"OIL": 20.0},
)
RULES = rules_of(MODEL)


def maintenance(positions, market=None, balances=()):
    world = alone(positions, balances or {}, market=market or market_of(basis=1.0))
    return float(world.standing(RULES).maintenance_margin[0])


def in_market(**terms):
    return market_of(**terms).with_(marks={k: m for k, m in market_of().marks.items() if m.iv is not None})


# --- by hand


def test_a_future_owes_its_weight_of_its_notional():
    market = in_market()
    assert maintenance({"BTC-PERP": 10}, market) == pytest.approx(0.25 * 10 * 100)
    assert maintenance({"BTC-PERP": -10}, market) == pytest.approx(250)


def test_beyond_the_threshold_it_owes_the_root_of_the_size_more():
    assert maintenance({"BTC-PERP": 160}, in_market()) == pytest.approx(0.25 * 16_000 * 2)


def test_two_coins_offset_by_their_correlation():
    """ETH-PERP is paid in USDC at its index, so its value is no exposure: entered at the mark, it is 0."""
    market = in_market(usdc=1.0)
    btc, eth = 0.25 * 1000, 0.4 * 1000
    assert maintenance({"BTC-PERP": 10, "ETH-PERP": -10}, market) == pytest.approx(
        sqrt(btc**2 + eth**2 - 2 * 0.5 * btc * eth)
    )


def test_products_add_up_and_risk_classes_of_one_do_not():
    market = in_market(usdc=1.0)
    btc, dax = maintenance({"BTC-PERP": 10}, market), maintenance({"DAX-PERP": 5}, market)
    assert maintenance({"BTC-PERP": 10, "DAX-PERP": 5}, market) == pytest.approx(btc + dax)
    eur = maintenance({"EUR-FUT": 100}, market)
    assert maintenance({"BTC-PERP": 10, "EUR-FUT": 100}, market) == pytest.approx(
        sqrt(btc**2 + eur**2 + 2 * 0.3 * btc * eur)
    )


def test_profit_in_a_foreign_asset_is_an_exposure_to_it():
    market = in_market(usdc=1.0)
    gained = [Position(symbol="ETH-PERP", quantity=10, entry_price=8.0)]
    # 10 contracts of 10 coins: notional 1,000, profit 200 USDC.
    eth, usdc = 0.4 * 1000, 0.05 * 200
    assert maintenance(gained, market) == pytest.approx(sqrt(eth**2 + usdc**2 + 2 * 0.3 * eth * usdc))


def test_a_short_option_owes_vega_and_curvature_beside_its_delta():
    world = alone({"BTC-C-110": -10}, market=market_of())
    standing = world.standing(RULES)
    portfolios = standing.portfolios
    row, fx = portfolios.leg_row[0], 1.0
    floor = np.ones(len(portfolios.valuation.catalogue.assets))
    delta = -10 * unit_deltas(portfolios.valuation, floor)[row] * fx
    sigma = 0.25 * vol_scale()
    vega = -10 * unit_vegas(portfolios.valuation, floor)[row] * 100 * sigma
    bent = 0.5 * 14 / 30 * vega
    ratio = max(1.0, sqrt(abs(0.6 * vega) / 300))
    expected = {
        "delta crypto": 0.25 * abs(delta) * max(1.0, sqrt(abs(delta) / 4000)),
        "vega crypto": 0.5 * 0.6 * abs(vega) * ratio,
        # All exposures negative: theta -1, lambda 1: nothing is owed.
        "curvature crypto": max(0.0, bent + shortfall_weight(-1.0) * abs(bent)),
    }
    found = dict(standing.requirement.terms.of_pool(0))
    assert found == pytest.approx({name: amount for name, amount in expected.items() if amount})


def test_a_long_option_owes_curvature_by_the_sign_convention_of_the_published_model():
    """CVR is positive for bought options, and the margin is of the loss as vols and prices move: lambda (5.63) + 1."""
    terms = dict(alone({"BTC-C-110": 10}, market=market_of()).standing(RULES).requirement.terms.of_pool(0))
    assert terms["curvature crypto"] > terms["vega crypto"]


# --- a slow twin


def twin(standing, pool):
    """The formulas once more in plain Python, on dictionaries."""
    portfolios, terms = standing.portfolios, standing.valuation.catalogue
    floors = np.array([MODEL.any_floor_by_name.get(a.symbol, MODEL.any_floor) for a in terms.assets])
    deltas, vegas = (f(standing.valuation, floors) for f in (unit_deltas, unit_vegas))
    sizes = defaultdict(lambda: [0.0, 0.0, 0.0])
    for leg in np.flatnonzero(portfolios.pools.leg_pool == pool).tolist():
        row, instrument = portfolios.leg_row[leg], portfolios.leg_instrument[leg]
        quantity, fx = portfolios.quantity[leg], standing.valuation.settle_fx[portfolios.leg_row[leg]]
        asset, settle = terms.assets[terms.underlying[instrument]], terms.assets[terms.settle[instrument]]
        product = MODEL.product_class.get(asset.asset_class, MODEL.product_class["other"])
        mine = sizes[product, asset]
        mine[0] += quantity * deltas[row] * fx
        if vegas[row]:
            weight = MODEL.weight_by_name.get(asset.symbol, MODEL.weight_by_class.get(asset.asset_class, 0.5))
            amount = quantity * vegas[row] * fx * 100 * weight * vol_scale()
            mine[1] += 0.6 * amount
            mine[2] += 0.5 * min(1.0, 14 / (standing.valuation.tau[row] * 365)) * amount
        if settle.symbol != "USD":
            sizes[product, settle][0] += (
                quantity * standing.valuation.unit_value[row] - portfolios.entry_value[leg]
            ) * fx
    total = 0.0
    for product in {p for p, _ in sizes}:
        of_class = defaultdict(float)
        for name in {MODEL.risk_class.get(a.asset_class, "other") for p, a in sizes if p == product}:
            mine = {
                a: s
                for (p, a), s in sizes.items()
                if p == product and MODEL.risk_class.get(a.asset_class, "other") == name
            }
            for kind in range(3):
                of_class[name] += margin(mine, kind)
        total += sqrt(sum(x * y * (1.0 if a == b else 0.3) for a, x in of_class.items() for b, y in of_class.items()))
    return total


def margin(sizes, kind):
    weighted, ratio = {}, {}
    for asset, size in sizes.items():
        own = MODEL.weight_by_name.get(asset.symbol, MODEL.weight_by_class.get(asset.asset_class, 0.5))
        limit = (MODEL.threshold_by_name.get(asset.symbol, 2000.0), 300.0, 1.0)[kind]
        ratio[asset] = 1.0 if kind == 2 else max(1.0, sqrt(abs(size[kind]) / limit))
        weighted[asset] = (own, 0.5, 1.0)[kind] * size[kind] * ratio[asset]
    power = 2 if kind == 2 else 1
    k_of, held = {}, {}
    for bucket in {asset.asset_class for asset in sizes}:
        mine = [asset for asset in sizes if asset.asset_class == bucket]
        rho = MODEL.correlation.get(bucket, 0.0) ** power
        square = sum(
            weighted[a] * weighted[b] * (1.0 if a is b else rho * min(ratio[a], ratio[b]) / max(ratio[a], ratio[b]))
            for a in mine
            for b in mine
        )
        k_of[bucket] = sqrt(max(square, 0.0))
        held[bucket] = max(-k_of[bucket], min(k_of[bucket], sum(weighted[a] for a in mine)))
    square = sum(k * k for k in k_of.values()) + sum(
        0.2**power * held[a] * held[b] for a in held for b in held if a != b
    )
    root = sqrt(max(square, 0.0))
    if kind < 2:
        return root
    exposures = np.array(list(weighted.values()))
    return max(0.0, float(exposures.sum()) + shortfall_weight(theta(exposures)) * root)


@given(worlds(INSTRUMENTS))
@few
def test_every_pool_owes_what_a_slow_twin_finds(world):
    standing = world.standing(RULES)
    for pool in range(standing.pools.count):
        expected = twin(standing, pool)
        assert standing.maintenance_margin[pool] == pytest.approx(expected, rel=1e-9, abs=1e-6)


# --- promises


@given(worlds(INSTRUMENTS))
@few
def test_terms_and_shares_add_up_exactly_and_initial_is_at_least_maintenance(world):
    standing = world.standing(RULES)
    requirement, pools = standing.requirement, standing.pools
    for pool in range(pools.count):
        terms = [amount for _, amount in requirement.terms.of_pool(pool)]
        shares = [
            *requirement.leg_share[pools.leg_pool == pool],
            *requirement.balance_share[pools.balance_pool == pool],
        ]
        assert fsum(terms) == requirement.maintenance[pool]
        if shares:
            assert fsum(shares) == requirement.maintenance[pool]
        assert requirement.initial[pool] >= requirement.maintenance[pool] >= 0


def test_shares_follow_the_risk_and_not_the_largest_leg():
    """Below the thresholds Euler's: each leg's share is its correlated part."""
    standing = alone({"BTC-PERP": 10, "ETH-PERP": -10}, market=in_market(usdc=1.0)).standing(RULES)
    btc, eth = 250.0, -400.0
    total = sqrt(btc**2 + eth**2 + btc * eth)
    shares = dict(zip((symbol_of(standing, leg) for leg in range(2)), standing.requirement.leg_share, strict=True))
    assert shares["BTC-PERP"] == pytest.approx(btc * (btc + 0.5 * eth) / total)
    assert shares["ETH-PERP"] == pytest.approx(eth * (eth + 0.5 * btc) / total)


def symbol_of(standing, leg):
    return standing.valuation.catalogue.instruments[standing.portfolios.leg_instrument[leg]].symbol


@given(st.lists(st.sampled_from(INSTRUMENTS), max_size=4, unique=True), decimals(1, 12, 1))
@few
def test_a_portfolio_and_its_opposite_owe_nothing(instruments, quantity):
    both = [Position(symbol=i.symbol, quantity=q) for i in instruments for q in (quantity, -quantity)]
    assert maintenance(both) == 0


@given(st.lists(st.sampled_from(INSTRUMENTS), max_size=4, unique=True), st.sampled_from([2, 3, 0.5]))
@few
def test_far_below_the_thresholds_n_times_a_portfolio_owes_n_times_as_much(instruments, n):
    wide = replace(
        MODEL, threshold_by_class={"other": 1e12}, threshold_by_name={}, vega_threshold_by_class={"other": 1e12}
    )
    one = {i.symbol: 2.0 for i in instruments}
    owed = [
        float(alone({s: m * q for s, q in one.items()}, market=market_of()).standing(rules_of(wide)).initial_margin[0])
        for m in (1, n)
    ]
    assert owed[1] == pytest.approx(n * owed[0], rel=1e-12)


def test_two_accounts_may_owe_less_than_one_with_the_whole():
    """P2, P14 second half, not claimed: the threshold is a pool's own."""
    half = maintenance({"BTC-PERP": 80})
    assert maintenance({"BTC-PERP": 160}) > 2 * half * 1.01


def test_a_bought_option_may_owe_more_than_it_is_worth():
    """P8 is not claimed: sensitivities know no floor under what can be lost."""
    standing = alone({"BTC-C-125": 10}, market=market_of()).standing(RULES)
    assert standing.maintenance_margin[0] > standing.worth.net_option_value[0] > 0


def test_cross_may_owe_more_than_isolated():
    """P4 is not claimed: two futures on one coin pass a threshold that neither passes alone."""
    parts = maintenance({"BTC-PERP": 40}) + maintenance({"BTC-FUT": 20})
    assert maintenance({"BTC-PERP": 40, "BTC-FUT": 20}) > parts * 1.01


def test_deposits_change_no_requirement():
    held = {"BTC-PERP": 10, "ETH-C-11": -5}
    assert maintenance(held, balances={"USD": 5000, "BTC": 2}) == maintenance(held)


# --- whole books


def test_a_book_of_pools_is_margined_pool_by_pool():
    accounts = (
        Account(id="a", owner="x", positions=(Position(symbol="BTC-PERP", quantity=10),)),
        Account(id="b", owner="x", positions=(Position(symbol="BTC-PERP", quantity=-4),)),
        Account(id="c", owner="y", balances=(Balance(asset="USD", amount=100),)),
    )
    world = World(accounts=accounts, market=in_market(), pools=(Pool(id="p", accounts=("a", "b")),))
    standing = world.standing(RULES)
    owed = standing.maintenance_margin[standing.where.of_account]
    assert owed.tolist() == [pytest.approx(0.25 * 600), pytest.approx(0.25 * 600), 0]


def test_american_options_are_refused():
    american = option("AMERICAN", "BTC", "put", 90, exercise="american")
    market = market_of()
    market = market.with_(marks={**market.marks, "AMERICAN": Mark(iv=0.5)})
    world = alone({"AMERICAN": 1}, market=market, instruments=(*INSTRUMENTS, american))
    with pytest.raises(NotMargined):
        world.standing(RULES)


def test_the_shipped_book_margins_every_kind_of_contract():
    positions = {i.symbol: 1.0 for i in INSTRUMENTS}
    standing = alone(positions, market=market_of()).standing(load("sensitivities"))
    assert standing.initial_margin[0] == pytest.approx(1.25 * standing.maintenance_margin[0])
    assert standing.maintenance_margin[0] > 0


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"weight_by_class": {"crypto": 0.4}}, "weight_by_class"),
        ({"weight_by_class": {"other": -0.1}}, "weight_by_class.other"),
        ({"correlation": {"other": 1.5}}, "correlation.other"),
        ({"bucket_correlation": -0.1}, "bucket_correlation"),
        ({"threshold_by_class": {"other": 0.0}}, "threshold_by_class.other"),
        ({"vol_ratio": float("nan")}, "vol_ratio"),
        ({"close_out_days": 0}, "close_out_days"),
        ({"initial_factor": 0.9}, "initial_factor"),
    ],
)
def test_wrong_parameters_are_refused(changes, where):
    with pytest.raises(InvalidRules) as error:
        replace(MODEL, **changes)
    assert error.value.where == where
