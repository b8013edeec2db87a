"""The risk matrix against a slow twin, its promises, and what it does not promise with a counterexample each."""

from dataclasses import replace
from datetime import timedelta
from math import fsum, inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.errors import InvalidRules, NotMargined
from crossmargin.instruments import Asset, Future, Perpetual
from crossmargin.margin.grouped import ByGroup
from crossmargin.margin.option_shocks import VolShock
from crossmargin.margin.risk_matrix import (
    DeltaShock,
    Extended,
    Offset,
    RiskMatrix,
    Roll,
    bucket_moves,
    capped_moves,
    coin_profit,
    damped,
    delta_shock,
    initial_margin,
    offset_limited,
    roll_rate,
    worst_loss,
)
from crossmargin.market import Mark, Market
from crossmargin.rules import load
from crossmargin.standing import document, isolated_margins
from tests.strategies import (
    ASSETS,
    INSTRUMENTS,
    TIME,
    alone,
    decimals,
    market_of,
    markets,
    option,
    quantities,
    rules_of,
    worlds,
)
from tests.twins.pools import twin_pools
from tests.twins.prices import Prices
from tests.twins.risk_matrix import twin_matrix

FEW = settings(max_examples=25)
HELD = tuple(i for i in INSTRUMENTS if i.price_domain == "positive")
PLAIN = HaircutPolicy(by_class={"other": Tiers.flat(0.1)})
FAR = (-0.66, -0.33, 0.5, 1.0, 2.0, 5.0)


def by(value, **names):
    return ByGroup(by_class={"other": value}, by_name=names)


MODEL = RiskMatrix(
    price_range=by(0.25, BTC=0.16, ETH=0.18),
    vol=by(VolShock(up=0.5, down=0.25, least=0.5), ETH=VolShock(up=0.4, down=0.3)),
    extended=by(Extended(factor=0.7, dampener=50), BTC=Extended(factor=1.0, dampener=200)),
    offset=by(Offset(share=0.0, most=0.0), BTC=Offset(share=0.6, most=90), ETH=Offset(share=0.4, most=1e9)),
    roll=by(Roll(least=0.01, annual=0.1), BTC=Roll(least=0.01, annual=0.02)),
    delta=by(
        DeltaShock(threshold=500, per_unit=0.01, most=0.1), BTC=DeltaShock(threshold=300, per_unit=0.03, most=0.1)
    ),
    extended_moves=FAR,
    correlation_contingency=0.5,
)
"""Every part binds in books of a few hundred dollars."""
CORE = replace(
    MODEL,
    extended=by(Extended(factor=0.7, dampener=0)),
    offset=by(Offset(share=0.5, most=1e12)),
    delta=by(DeltaShock(threshold=1e12, per_unit=0.0, most=0.0)),
    decimals=15,
)
"""Without what is not subadditive: dampener, capped offsets, delta shock; and next to no rounding."""


def standing(positions, balances=(), model=MODEL, market=None, instruments=HELD, **terms):
    world = alone(positions, balances or {}, market=market or market_of(), instruments=instruments, **terms)
    return world.standing(rules_of(model, haircuts=PLAIN))


def owed(positions, model=MODEL, market=None, **terms):
    return float(standing(positions, model=model, market=market, **terms).maintenance_margin[0])


def terms_of(positions, model=MODEL, market=None, **terms):
    return dict(standing(positions, model=model, market=market, **terms).requirement.terms.of_pool(0))


@st.composite
def holdings(draw, instruments=HELD, most=4):
    chosen = draw(st.lists(st.sampled_from([i.symbol for i in instruments]), max_size=most, unique=True))
    return {symbol: draw(quantities) for symbol in chosen}


def together(one, other):
    return {s: round(10 * one.get(s, 0) + 10 * other.get(s, 0)) / 10 for s in {**one, **other}}


def size(*held):
    return 1.0 + 100 * sum(abs(q) for one in held for q in one.values())


# --- formulas by hand


def test_a_coin_settled_future_loses_more_coins_than_it_gains():
    assert coin_profit(2.0, -0.2) == pytest.approx(-0.5)
    assert coin_profit(2.0, 0.25) == pytest.approx(0.4)
    assert coin_profit(-2.0, np.array([0.0, 1.0])) == pytest.approx([0.0, -1.0])


def test_buckets_run_from_the_lowest_price_to_the_highest():
    assert bucket_moves(0.2, 2) == pytest.approx([-0.2, -0.1, 0.0, 0.1, 0.2])
    assert capped_moves(np.array([-0.66, 0.1, 5.0]), 0.2) == pytest.approx([-0.2, 0.1, 0.2])


def test_a_gain_counts_by_its_share_up_to_the_cap_and_a_loss_in_full():
    assert offset_limited(np.array([-10.0, 10.0, 100.0]), 0.5, 20.0) == pytest.approx([-10.0, 5.0, 20.0])


def test_an_extended_loss_counts_beyond_its_dampener_and_a_gain_not_at_all():
    assert damped(np.array([-100.0, -10.0, 50.0]), 0.5, 20.0) == pytest.approx([-30.0, 0.0, 0.0])


def test_roll_is_charged_by_time_to_expiry_but_at_least_the_minimum():
    years = np.array([inf, 0.05, 0.5])
    assert roll_rate(years, least=0.01, annual=0.075) == pytest.approx([0.01, 0.01, 0.0375])


@pytest.mark.parametrize(
    ("delta", "charge"),
    [(400, 0.0), (-400, 0.0), (1000, 0.03 * 600), (-1000, 0.03 * 600), (5000, 0.1 * 4600)],
)
def test_delta_above_the_threshold_is_charged_a_share_that_rises_to_the_most(delta, charge):
    terms = {"threshold": 20e6, "per_unit": 5e-5, "most": 0.1}
    assert delta_shock(delta, 50_000.0, **terms) == pytest.approx(charge)


def test_the_worst_cell_is_never_a_gain():
    assert worst_loss(np.array([[3.0, 1.0], [-2.0, 5.0]])) == pytest.approx([0.0, 2.0])


def test_initial_margin_is_rounded_once_all_is_added():
    assert initial_margin(0.1234567894, spot=1e-10, market_maker=1e-10, orders=3e-10, decimals=9) == 0.12345679


# --- whole books against the twin


@given(worlds(HELD))
@settings(max_examples=40)
def test_pools_owe_what_the_slow_twin_finds(world):
    rules = rules_of(MODEL)
    found = world.standing(rules)
    prices = Prices(world)
    scale = 1e-6 + 1e-8 * sum(prices.notional(p.symbol, p.quantity) for a in world.accounts for p in a.positions)
    pools = twin_pools(world, prices)
    assert len(pools) == found.pools.count
    for p, pool in enumerate(pools):
        maintenance, initial, terms = twin_matrix(world, MODEL, pool, prices)
        initial = max(initial * rules.credit.get(pool.credit, 1.0), maintenance)
        assert found.maintenance_margin[p] == pytest.approx(maintenance, rel=1e-7, abs=scale)
        assert found.requirement.initial[p] == pytest.approx(initial, rel=1e-7, abs=scale)
        told = dict(found.requirement.terms.of_pool(p))
        for name, amount in terms.items():
            assert told.get(name, 0.0) == pytest.approx(amount, rel=1e-6, abs=scale)


@given(worlds(HELD))
@FEW
def test_terms_and_shares_add_up_to_the_last_bit(world):
    for account in document(world.standing(rules_of(MODEL)))["accounts"]:
        if account["pool"] is not None:
            continue
        assert fsum(t["amount"] for t in account["breakdown"]) == account["maintenance_margin"]
        rows = [p for p in account["positions"] if p["margin_mode"] == "cross"] + account["balances"]
        assert fsum(r["margin_contribution"] or 0.0 for r in rows) == account["maintenance_margin"]


def test_legs_share_a_directional_book_by_what_each_loses():
    plain = replace(CORE, correlation_contingency=0.0, roll=by(Roll(least=0.0, annual=0.0)))
    found = standing({"BTC-PERP": 2.0, "BTC-FUT": 1.0}, model=plain)
    assert found.requirement.leg_share[0] == pytest.approx(0.8 * 0.16 * 2 * 101)
    assert found.requirement.leg_share[1] == pytest.approx(0.8 * 0.16 * 2 * 100.2)


def test_a_segregated_coin_account_is_rounded_in_coin():
    found = standing({"BTC-INV": 7.3})
    coins = dict(found.requirement.terms.of_pool(0))["risk matrix"] / 0.8 / 100.0
    size = 7.3 * 10 / 100
    assert coins == pytest.approx(round(size * (1 / 0.84 - 1), 9), abs=1e-15)
    assert coins != pytest.approx(size * (1 / 0.84 - 1), abs=1e-13)


def test_a_far_short_option_owes_for_the_extended_table():
    far = option("FAR", "BTC", "call", 300)
    market = market_of().with_(marks={"FAR": Mark(iv=0.6)})
    found = standing({"FAR": -20}, market=market, instruments=(far,))
    name = found.requirement.worst.name(0, int(found.requirement.worst.scenario[0]))
    assert name == "price +500% vol up"
    calm = replace(MODEL, extended_moves=())
    near = float(standing({"FAR": -20}, model=calm, market=market, instruments=(far,)).maintenance_margin[0])
    assert near < found.maintenance_margin[0] / 100


def test_delta_one_legs_are_never_worst_in_the_extended_table():
    found = standing({"BTC-PERP": -10, "BTC-INV": 3})
    assert found.requirement.worst.name(0, int(found.requirement.worst.scenario[0])) == "price +1.00 ranges vol up"


def test_a_low_vol_rises_from_the_floor():
    calm = market_of(vol=0.2)
    floor = replace(MODEL, extended_moves=())
    without = replace(floor, vol=by(VolShock(up=0.5, down=0.25)))
    assert owed({"BTC-C-125": -5}, floor, calm) > 1.2 * owed({"BTC-C-125": -5}, without, calm)


def test_offsets_between_groups_are_limited_and_half_of_what_they_save_is_charged_after_all():
    """Long BTC, short ETH: down BTC loses and ETH gains, of which its share counts."""
    held = {"BTC-PERP": 1.0, "ETH-PERP": -1.0}
    plain = replace(MODEL, offset=by(Offset(share=0.4, most=1e9)), extended_moves=())
    terms = terms_of(held, model=plain)
    btc, eth = 0.16 * 100.2, 0.18 * 10 * 10 * 0.999
    worst = max(btc - 0.4 * eth, eth - 0.4 * btc)
    assert terms["risk matrix"] == pytest.approx(0.8 * worst, rel=1e-8)
    assert terms["correlation contingency"] == pytest.approx(0.8 * 0.5 * (btc + eth - worst), rel=1e-8)


def test_a_calendar_spread_owes_its_roll_alone():
    future = Future(symbol="F", underlying="X", quote="USD", expiry=TIME + timedelta(days=365))
    perpetual = Perpetual(symbol="P", underlying="X", quote="USD")
    market = Market(time=TIME, prices={"X": 10.0}, marks={"F": Mark(price=10.0)})
    terms = terms_of({"F": -3.0, "P": 3.0}, market=market, instruments=(future, perpetual), assets=())
    assert terms == {"roll shock": pytest.approx(0.8 * 30 * (0.01 + 0.1))}


def test_american_options_and_prices_that_may_be_negative_are_refused():
    with pytest.raises(NotMargined, match="OIL-FUT"):
        standing({"OIL-FUT": 1.0}, instruments=INSTRUMENTS)
    american = option("AM", "BTC", "call", 100, exercise="american")
    with pytest.raises(NotMargined, match="AM"):
        standing({"AM": 1.0}, market=market_of().with_(marks={"AM": Mark(iv=0.5)}), instruments=(american,))


def test_collateral_is_in_no_cell():
    found = standing({}, {"BTC": 3.0, "USD": -5.0})
    assert found.maintenance_margin[0] == found.initial_margin[0] == 0


def test_a_group_shares_the_parameters_of_what_it_is_named_for():
    assets = (*ASSETS[:-3], *(a for a in ASSETS[-3:] if a.symbol != "STETH"), Asset(symbol="STETH", group="ETH"))
    staked = Perpetual(symbol="S", underlying="STETH", quote="USD")
    market = market_of().with_(prices={**market_of().prices, "STETH": 9.8}, fx={"USDC": 0.999})
    terms = terms_of({"S": 1.0}, market=market, instruments=(*HELD, staked), assets=assets)
    assert terms["risk matrix"] == pytest.approx(0.8 * 0.18 * 9.8, rel=1e-8)


# --- what it promises


def test_nothing_owes_nothing():
    assert owed({}) == 0
    assert owed({i.symbol: 0.0 for i in HELD}) == 0


@given(holdings(), markets())
@FEW
def test_initial_is_at_least_maintenance_is_at_least_zero(held, market):
    found = standing(held, market=market)
    assert found.initial_margin[0] >= found.maintenance_margin[0] >= 0


@given(holdings(), holdings(), markets())
@FEW
def test_before_dampener_caps_and_delta_shock_two_portfolios_owe_no_more_together(one, other, market):
    both = owed(together(one, other), CORE, market)
    assert both <= owed(one, CORE, market) + owed(other, CORE, market) + 1e-11 * size(one, other)


@given(holdings(), markets(), st.sampled_from([2, 5]))
@FEW
def test_before_dampener_caps_and_delta_shock_n_times_a_portfolio_owes_n_times_as_much(held, market, n):
    many = {s: q * n for s, q in held.items()}
    assert owed(many, CORE, market) == pytest.approx(n * owed(held, CORE, market), rel=1e-11, abs=1e-11 * size(held))


@given(data=st.data())
@FEW
def test_before_dampener_caps_and_delta_shock_cross_never_costs_more_than_isolated(data):
    world = data.draw(worlds(HELD, most=2)).but(pools=(), instruments=HELD)
    found = world.standing(rules_of(CORE))
    apart = isolated_margins(found)
    for account, pool in enumerate(found.where.of_account.tolist()):
        assert found.maintenance_margin[pool] <= apart[account] * (1 + 1e-9) + 1e-9


@given(holdings(), markets(), st.floats(0, 2))
@FEW
def test_before_the_dampener_more_extended_moves_never_owe_less(held, market, move):
    more = replace(CORE, extended_moves=(*FAR, move))
    assert owed(held, more, market) >= owed(held, CORE, market) - 1e-11 * size(held)


@given(holdings(), markets(), decimals(0, 9, 1), st.sampled_from(["BTC-C-110", "BTC-P-90", "ETH-C-11"]))
@FEW
def test_before_the_delta_shock_a_bought_option_adds_no_more_than_its_value(held, market, quantity, symbol):
    bought = {symbol: quantity}
    value = float(standing(bought, market=market).worth.net_option_value[0])
    assert owed(together(held, bought), CORE, market) <= owed(held, CORE, market) + value + 1e-10 * size(held, bought)


@given(holdings(), markets())
@FEW
def test_a_portfolio_and_its_opposite_owe_nothing(held, market):
    opposite = {s: -q for s, q in held.items()}
    assert owed(together(held, opposite), market=market) == 0


@given(holdings(), markets(), decimals(0.01, 500))
@FEW
def test_a_deposit_changes_no_requirement(held, market, amount):
    before, after = (standing(held, balances, market=market) for balances in ({}, {"USD": amount, "BTC": 1.0}))
    assert after.maintenance_margin[0] == before.maintenance_margin[0]
    assert after.initial_margin[0] == before.initial_margin[0]


@given(holdings(), st.sampled_from([-1, 1]), decimals(60, 170, 1))
@FEW
def test_a_small_step_of_the_price_changes_maintenance_by_a_small_step(held, sign, price):
    near = price * (1 + sign * 1e-9)
    at_price, beside = (owed(held, market=market_of(btc=btc)) for btc in (price, near))
    # Marks are rounded to four digits in these markets.
    assert abs(at_price - beside) <= 5e-4 * size(held) / 100


@given(holdings(), markets())
@FEW
def test_the_order_of_legs_and_the_pools_beside_change_no_bit(held, market):
    one = standing(held, market=market)
    backwards = standing(dict(reversed(list(held.items()))), market=market)
    assert backwards.maintenance_margin[0] == one.maintenance_margin[0]
    assert backwards.initial_margin[0] == one.initial_margin[0]


@given(st.sampled_from(["BTC-PERP", "BTC-FUT", "BTC-INV", "ETH-PERP"]), quantities, st.floats(1, 3), markets())
@FEW
def test_a_larger_future_never_owes_less(symbol, quantity, factor, market):
    assert owed({symbol: quantity * factor}, market=market) >= owed({symbol: quantity}, market=market) * (1 - 1e-9)


# --- what it does not promise


def test_a_dampener_is_given_once_to_a_book_and_twice_to_its_halves():
    model = replace(MODEL, delta=CORE.delta, extended=by(Extended(factor=1.0, dampener=2000)))
    half, whole = owed({"BTC-C-125": -4}, model), owed({"BTC-C-125": -8}, model)
    assert whole > 2 * half * 1.05


def test_a_delta_shock_makes_two_halves_cheaper_than_the_whole():
    model = replace(MODEL, delta=by(DeltaShock(threshold=300, per_unit=0.03, most=0.1)), extended=CORE.extended)
    assert owed({"BTC-PERP": 6.0}, model) > 2 * owed({"BTC-PERP": 3.0}, model) * 1.01


def test_the_cap_of_offsets_makes_two_halves_cheaper_than_the_whole():
    model = replace(CORE, offset=by(Offset(share=1.0, most=5.0)), correlation_contingency=0.0)
    pair = {"BTC-PERP": 1.0, "ETH-PERP": -0.9}
    twice = {s: 2 * q for s, q in pair.items()}
    assert owed(twice, model) > 2 * owed(pair, model) * 1.05


def test_rounding_may_make_a_sum_dearer_by_its_last_digit():
    model = replace(CORE, decimals=0, roll=by(Roll(least=0.0, annual=0.0)))
    # 0.16 x 100.2 x 0.09 = 1.44 rounds to 1; twice of it, 2.89, to 3.
    assert owed({"BTC-PERP": 0.18}, model) > 2 * owed({"BTC-PERP": 0.09}, model)


# --- parameters


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"price_range": by(1.0)}, r"price_range\.other: found 1; allowed: above 0, below 1"),
        ({"price_range": by(0.2, BTC=0.0)}, r"price_range\.BTC"),
        ({"price_range": ByGroup(by_class={"crypto": 0.2})}, "other"),
        ({"vol": ByGroup(by_class={"cryto": VolShock(up=0, down=0), "other": VolShock(up=0, down=0)})}, "crypto"),
        ({"buckets": 0}, "buckets: found 0; allowed: 1 or more"),
        ({"extended_moves": (-1.0,)}, r"extended_moves\[0\]: found -1"),
        ({"extended_moves": (0.5, inf)}, r"extended_moves\[1\]"),
        ({"correlation_contingency": 1.1}, "correlation_contingency: found 1.1; allowed: from 0 to 1"),
        ({"maintenance_factor": 0.0}, "maintenance_factor: found 0; allowed: above 0, at most 1"),
        ({"decimals": 16}, "decimals: found 16; allowed: 0 to 15"),
    ],
)
def test_a_wrong_parameter_is_refused(change, message):
    with pytest.raises(InvalidRules, match=message):
        replace(MODEL, **change)


@pytest.mark.parametrize(
    ("kind", "terms", "where"),
    [
        (VolShock, {"up": -0.1, "down": 0.1}, "up"),
        (VolShock, {"up": 0.1, "down": 1.1}, "down"),
        (VolShock, {"up": 0.1, "down": 0.1, "least": inf}, "least"),
        (Extended, {"factor": 1.2, "dampener": 0}, "factor"),
        (Extended, {"factor": 1.0, "dampener": -1}, "dampener"),
        (Offset, {"share": 1.5, "most": 0}, "share"),
        (Offset, {"share": 0.5, "most": float("nan")}, "most"),
        (Roll, {"least": 2, "annual": 0}, "least"),
        (Roll, {"least": 0, "annual": -1}, "annual"),
        (DeltaShock, {"threshold": -1, "per_unit": 0, "most": 0}, "threshold"),
        (DeltaShock, {"threshold": 0, "per_unit": -1, "most": 0}, "per_unit"),
        (DeltaShock, {"threshold": 0, "per_unit": 0, "most": 1.5}, "most"),
    ],
)
def test_a_wrong_part_of_a_parameter_is_refused(kind, terms, where):
    with pytest.raises(InvalidRules, match=f"^{where}: found"):
        kind(**terms)


def test_the_shipped_book_has_the_venues_numbers():
    model = load("deribit-portfolio").model
    btc, eth = (Asset(symbol=name, asset_class="crypto") for name in ("BTC", "ETH"))
    assert (model.price_range.of(btc), model.price_range.of(eth)) == (0.16, 0.18)
    assert model.roll.of(btc) == Roll(least=0.01, annual=0.075)
    assert model.delta.of(btc) == DeltaShock(threshold=20e6, per_unit=5e-5, most=0.1)
    assert (model.buckets, model.maintenance_factor, model.decimals) == (4, 0.8, 9)
    assert model.extended_moves == (-0.66, -0.33, 0.5, 1, 2, 3, 4, 5)
    assert load("deribit-portfolio").option_value == "equity"
    assert load("deribit-standard").option_value == "excluded"
    assert load("deribit-standard").call_level is None
