"""A unified account by hand, against a slow twin, and what it promises."""

from dataclasses import replace
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.errors import InvalidRules, NotMargined
from crossmargin.margin import Brackets
from crossmargin.margin.grouped import ByGroup, Ladder
from crossmargin.margin.unified import Unified
from crossmargin.rules import load
from tests.strategies import (
    FUTURES,
    INSTRUMENTS,
    LADDER,
    alone,
    decimals,
    market_of,
    markets,
    quantities,
    rules_of,
    worlds,
)
from tests.twins.pools import twin_pools
from tests.twins.prices import Prices
from tests.twins.risk_matrix import of
from tests.twins.risk_units import tiers

FEW = settings(max_examples=25)
PLAIN = HaircutPolicy(by_class={"other": Tiers.flat(0.1)})
LOANS = ByGroup(
    by_class={"other": Ladder(floor=(0.0, 100.0), rate=(0.08, 0.1))},
    by_name={"USD": Ladder(floor=(0.0,), rate=(0.05,))},
)
MODEL = Unified(brackets=Brackets(tiers_by_class={"other": LADDER}), borrow_ladder=LOANS)


def standing(positions, balances=(), market=None, model=MODEL, instruments=FUTURES):
    world = alone(positions, balances or {}, market=market or market_of(), instruments=instruments)
    return world.standing(rules_of(model, haircuts=PLAIN))


def owed(positions, balances=(), **terms):
    return float(standing(positions, balances, **terms).maintenance_margin[0])


def test_positions_and_debts_are_charged_and_the_ratio_comes_on_top():
    """2 coins at 100.2: 200.4 x 2% and 5%; 3 coins owed: 100 x 8% + 200 x 10%."""
    found = standing({"BTC-PERP": 2.0}, {"BTC": -3.0})
    terms = dict(found.requirement.terms.of_pool(0))
    assert terms["brackets"] == pytest.approx(4.008)
    assert terms["borrowing"] == pytest.approx(28.0)
    assert terms["liquidation ratio"] == pytest.approx(0.05 * 32.008)
    assert found.maintenance_margin[0] == pytest.approx(1.05 * 32.008)
    assert found.initial_margin[0] == pytest.approx(max(10.02 + 28.0, 1.2 * 32.008))


def test_initial_margin_is_at_least_the_restricted_ratio():
    flat = Brackets(tiers_by_class={"other": type(LADDER).flat(maintenance_rate=0.05, initial_rate=0.05)})
    found = standing({"BTC-PERP": 2.0}, model=replace(MODEL, brackets=flat))
    assert found.initial_margin[0] == pytest.approx(1.2 * 0.05 * 200.4)


def test_a_balance_repays_a_debt_of_the_same_asset_before_it_is_charged():
    assert owed({}, {"USD": -100.0}) == pytest.approx(1.05 * 5)
    assert owed({}, {"USD": 100.0, "BTC": 5.0}) == 0


def test_options_are_refused():
    with pytest.raises(NotMargined, match="BTC-C-110"):
        standing({"BTC-C-110": 1.0}, instruments=INSTRUMENTS)


@given(worlds(FUTURES))
@settings(max_examples=40)
def test_pools_owe_what_the_slow_twin_finds(world):
    found, prices = world.standing(rules_of(MODEL)), Prices(world)
    assets = {a.symbol: a for a in world.assets}
    for p, pool in enumerate(twin_pools(world, prices)):
        margin = 0.0
        for symbol, quantity in pool.quantity.items():
            quote = prices.instruments[symbol].quote
            notional = prices.notional(symbol, quantity) / prices.fx(quote)
            ladder = Ladder(floor=LADDER.floor, rate=LADDER.maintenance_rate)
            worth = prices.fx(quote)
            if prices.instruments[symbol].inverse:
                # So many coins at the mark, at what a coin is worth.
                worth = prices.fx(prices.instruments[symbol].settle) / prices.mark(prices.instruments[symbol])
            margin += tiers(ladder, notional) * worth
        held = {}
        for (_, asset, _), amount in pool.balances.items():
            held[asset] = held.get(asset, 0.0) + amount
        if pool.fenced:
            held[pool.fenced[0]] = held.get(pool.fenced[0], 0.0) + pool.fenced[1]
        for asset, amount in held.items():
            margin += tiers(of(LOANS, assets[asset]), max(-amount, 0.0) * prices.fx(asset))
        assert found.maintenance_margin[p] == pytest.approx(1.05 * margin, rel=1e-9, abs=1e-9)
        assert found.initial_margin[p] >= found.maintenance_margin[p] >= 0
        legs = found.requirement.leg_share[found.pools.leg_pool == p]
        balances = found.requirement.balance_share[found.pools.balance_pool == p]
        if len(legs) + len(balances):
            assert fsum([*legs.tolist(), *balances.tolist()]) == found.maintenance_margin[p]


@given(st.sampled_from([i.symbol for i in FUTURES]), quantities, st.floats(1, 3), markets())
@FEW
def test_a_larger_position_never_owes_less(symbol, quantity, factor, market):
    assert owed({symbol: quantity * factor}, market=market) >= owed({symbol: quantity}, market=market)


@given(st.sampled_from([i.symbol for i in FUTURES]), quantities, decimals(0.01, 500), markets())
@FEW
def test_a_deposit_changes_no_requirement(symbol, quantity, amount, market):
    assert owed({symbol: quantity}, {"USD": amount}, market=market) == owed({symbol: quantity}, market=market)


def test_halves_are_cheaper_than_the_whole():
    """P2 and P3 are not promised: slices rise with size."""
    assert owed({"BTC-PERP": 20.0}) > 2 * owed({"BTC-PERP": 10.0}) * 1.1
    assert owed({}, {"BTC": -4.0}) > 2 * owed({}, {"BTC": -2.0}) * 1.01


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"liquidation_ratio": 0.9}, "liquidation_ratio: found 0.9; allowed: 1 or more"),
        ({"restricted_ratio": 1.01}, r"restricted_ratio: found 1.01; allowed: liquidation_ratio, 1.05, or more"),
        ({"borrow_ladder": ByGroup(by_class={"fx": Ladder(floor=(0.0,), rate=(0.1,))})}, "other"),
    ],
)
def test_a_wrong_parameter_is_refused(change, message):
    with pytest.raises(InvalidRules, match=message):
        replace(MODEL, **change)


def test_the_shipped_book_liquidates_at_105_percent():
    model = load("binance-portfolio").model
    assert (model.liquidation_ratio, model.restricted_ratio) == (1.05, 1.20)
    assert model.brackets.tiers_by_underlying == load("brackets").model.tiers_by_underlying
