"""Risk units against a slow twin, their promises, and what they do not promise with a counterexample each."""

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
from crossmargin.margin.grouped import ByGroup, Ladder, sliced_charge
from crossmargin.margin.option_shocks import TermShock, VolShock
from crossmargin.margin.peg import hedged_pairs, peg_charge
from crossmargin.margin.risk_units import (
    ClosingCost,
    RiskUnits,
    spot_in_use,
    unit_margin,
)
from crossmargin.market import Mark, Market
from crossmargin.rules import load
from crossmargin.standing import document
from tests.strategies import (
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
from tests.twins.risk_units import twin_units

FEW = settings(max_examples=25)
HELD = tuple(i for i in INSTRUMENTS if i.price_domain == "positive")
PLAIN = HaircutPolicy(by_class={"other": Tiers.flat(0.1)})


def by(value, **names):
    return ByGroup(by_class={"other": value}, by_name=names)


MODEL = RiskUnits(
    moves=by((0.1, 0.2, 0.3), BTC=(0.06, 0.12)),
    vol=VolShock(up=0.5, down=0.25, least=0.4),
    term=TermShock(up=0.15, down=0.1, front_days=30),
    extreme=by(0.5, BTC=0.36),
    extreme_share=0.5,
    basis=by(0.3, BTC=0.1),
    rate_shock=0.02,
    closing=by(ClosingCost(future=0.01, option=0.03)),
    closing_ladder=by(Ladder(floor=(0.0, 10.0, 40.0), rate=(1.0, 2.0, 6.0))),
    borrow_ladder=by(Ladder(floor=(0.0, 100.0), rate=(0.05, 0.1)), USD=Ladder(floor=(0.0,), rate=(0.02,))),
    peg_ladder=Ladder(floor=(0.0, 200.0), rate=(0.0075, 0.0175)),
    peg_multiple=2.0,
    quotes=("USDC", "EUR", "USD"),
)
"""Every part binds in books of a few hundred dollars."""


def standing(positions, balances=(), model=MODEL, market=None, instruments=HELD, **terms):
    world = alone(positions, balances or {}, market=market or market_of(), instruments=instruments, **terms)
    return world.standing(rules_of(model, haircuts=PLAIN))


def owed(positions, balances=(), **terms):
    return float(standing(positions, balances, **terms).maintenance_margin[0])


def terms_of(positions, balances=(), **terms):
    return dict(standing(positions, balances, **terms).requirement.terms.of_pool(0))


@st.composite
def holdings(draw, most=4):
    chosen = draw(st.lists(st.sampled_from([i.symbol for i in HELD]), max_size=most, unique=True))
    return {symbol: draw(quantities) for symbol in chosen}


def together(one, other):
    return {s: round(10 * one.get(s, 0) + 10 * other.get(s, 0)) / 10 for s in {**one, **other}}


def size(*held):
    return 1.0 + 100 * sum(abs(q) for one in held for q in one.values())


# --- formulas by hand


def test_a_unit_owes_its_worst_move_and_what_is_added_or_the_minimum():
    parts = {"spot": 10.0, "theta": 3.0, "extreme": 12.0, "vega": 1.0, "basis": 2.0, "rates": 0.5}
    amounts = {name: np.array([amount]) for name, amount in parts.items()}
    assert unit_margin(**amounts, minimum=np.array([4.0])) == pytest.approx([15.5])
    assert unit_margin(**amounts, minimum=np.array([20.0])) == pytest.approx([20.0])


@pytest.mark.parametrize(
    ("delta", "spot", "used"),
    [(-5, 8, 5), (-5, 3, 3), (5, 8, 0), (5, -8, -5), (5, -3, -3), (-5, -8, 0), (0, 8, 0)],
)
def test_coins_count_as_far_as_they_offset_the_delta(delta, spot, used):
    assert spot_in_use(delta, spot) == used


def test_slices_are_charged_each_at_its_own_rate():
    """A published example: a closing cost of 30,000 becomes 10,000 + 2 x 20,000."""
    assert sliced_charge(30_000, (0, 10_000, 70_000), (1, 2, 4)) == 50_000
    assert sliced_charge(np.array([0.0, 10_000, 100_000]), (0, 10_000, 70_000), (1, 2, 4)).tolist() == [0, 1e4, 250_000]


def test_hedges_across_quotes_are_found_in_order():
    hedged, pairs = hedged_pairs(np.array([[10.0, -4.0, -3.0], [5.0, 2.0, -6.0], [1.0, 2.0, 3.0]]))
    assert pairs == [(0, 2), (0, 1), (1, 2)]
    assert hedged.tolist() == [[3.0, 4.0, 0.0], [5.0, 0.0, 1.0], [0.0, 0.0, 0.0]]


def test_a_broken_peg_raises_every_slice():
    ladder = Ladder(floor=(0.0, 1e6, 5e6), rate=(0.0075, 0.0175, 0.025))
    assert peg_charge(np.array([10e6]), ladder, np.array([1.0]), 2.0) == pytest.approx([202_500])
    assert peg_charge(np.array([10e6]), ladder, np.array([0.99]), 2.0) == pytest.approx(
        [1e6 * 0.02 + 4e6 * 0.02 + 125e3]
    )
    assert peg_charge(np.array([10e6]), ladder, np.array([1 / 0.8]), 2.0) == pytest.approx([4e6])


# --- whole books against the twin


@given(worlds(HELD))
@settings(max_examples=40)
def test_pools_owe_what_the_slow_twin_finds(world):
    rules = rules_of(MODEL)
    found = world.standing(rules)
    prices = Prices(world)
    scale = 1e-6 + 1e-8 * sum(prices.notional(p.symbol, p.quantity) for a in world.accounts for p in a.positions)
    for p, pool in enumerate(twin_pools(world, prices)):
        terms = twin_units(world, MODEL, pool, prices)
        total = sum(terms.values())
        assert found.maintenance_margin[p] == pytest.approx(total, rel=1e-7, abs=scale)
        factor = 1.3 * rules.credit.get(pool.credit, 1.0)
        assert found.requirement.initial[p] == pytest.approx(factor * total, rel=1e-7, abs=scale)
        told = dict(found.requirement.terms.of_pool(p))
        adding = ("vega term structure", "rates", "stable coin peg", "borrowing")
        for name in adding:
            assert told.get(name, 0.0) == pytest.approx(terms.get(name, 0.0), rel=1e-6, abs=100 * scale)


@given(worlds(HELD))
@FEW
def test_terms_and_shares_add_up_to_the_last_bit(world):
    found = world.standing(rules_of(MODEL))
    for p in range(found.pools.count):
        assert fsum(amount for _, amount in found.requirement.terms.of_pool(p)) == found.maintenance_margin[p]
        legs = found.requirement.leg_share[found.pools.leg_pool == p]
        balances = found.requirement.balance_share[found.pools.balance_pool == p]
        if len(legs) + len(balances):
            assert fsum([*legs.tolist(), *balances.tolist()]) == found.maintenance_margin[p]


@given(worlds(HELD, most=2))
@settings(max_examples=15)
def test_a_document_can_be_made_of_any_book(world):
    assert len(document(world.standing(rules_of(MODEL)))["accounts"]) == len(world.accounts)


def test_shares_are_what_holdings_bring_to_each_risk_before_any_remainder():
    model = replace(MODEL, closing=by(ClosingCost(future=0.0, option=0.0)))
    found = standing({"BTC-PERP": -3.0, "BTC-C-110": -2.0, "ETH-PERP": 1.0}, {"BTC": 1.0, "EUR": -40.0}, model=model)
    charges = model.charges(found.portfolios)
    assert charges.leg_share.sum() + charges.balance_share.sum() == pytest.approx(
        found.maintenance_margin[0], rel=1e-12
    )
    coin = found.requirement.balance_share[0]
    assert coin < 0


# --- by hand


def test_a_future_owes_the_largest_move_whatever_it_settles_in():
    quiet = replace(MODEL, rate_shock=0.0, extreme=by(0.0), extreme_share=0.0)
    assert terms_of({"BTC-PERP": 2.0}, model=quiet) == {"spot shock": pytest.approx(0.12 * 2 * 100.2)}
    assert terms_of({"BTC-INV": 20.0}, model=quiet) == {"spot shock": pytest.approx(0.12 * 200)}


def test_coins_held_offset_a_short_and_no_more():
    naked, covered = owed({"BTC-PERP": -2.0}), owed({"BTC-PERP": -2.0}, {"BTC": 5.0})
    assert covered == pytest.approx(owed({"BTC-PERP": -2.0}, {"BTC": 2.004}))
    assert covered < naked / 3
    assert owed({"BTC-PERP": 2.0}, {"BTC": 5.0}) == owed({"BTC-PERP": 2.0})


def test_a_debt_of_coins_offsets_a_long_and_is_charged_as_borrowed():
    terms = terms_of(
        {"BTC-PERP": 2.0}, {"BTC": -2.004}, model=replace(MODEL, closing=by(ClosingCost(future=0, option=0)))
    )
    assert terms == {"borrowing": pytest.approx(100 * 0.05 + 100.4 * 0.1)}


def test_a_calendar_spread_owes_its_basis_and_rates():
    future = Future(symbol="F", underlying="X", quote="USD", expiry=TIME + timedelta(days=365))
    perpetual = Perpetual(symbol="P", underlying="X", quote="USD")
    market = Market(time=TIME, prices={"X": 10.0}, marks={"F": Mark(price=10.0)})
    model = replace(MODEL, closing=by(ClosingCost(future=0, option=0)))
    terms = terms_of({"F": -3.0, "P": 3.0}, model=model, market=market, instruments=(future, perpetual), assets=())
    assert terms == {"basis": pytest.approx(0.3 * 30), "rates": pytest.approx(30 * np.expm1(0.02))}


def test_a_hedge_in_another_quote_owes_the_peg():
    perpetuals = [Perpetual(symbol=q, underlying="X", quote=q) for q in ("USD", "USDC")]
    market = Market(time=TIME, prices={"X": 10.0}, fx={"USDC": 1.0})
    model = replace(MODEL, closing=by(ClosingCost(future=0, option=0)))
    terms = terms_of({"USD": -50.0, "USDC": 50.0}, model=model, market=market, instruments=perpetuals, assets=())
    assert terms == {"stable coin peg": pytest.approx(200 * 0.0075 + 300 * 0.0175)}


def test_a_long_option_loses_a_day_where_nothing_else_loses_more():
    model = replace(MODEL, moves=by((0.0001,)), vol=VolShock(up=0, down=0), extreme=by(0.0), rate_shock=0.0)
    model = replace(model, term=TermShock(up=0, down=0, front_days=30), closing=by(ClosingCost(future=0, option=0)))
    terms = terms_of({"BTC-C-100-7D": 5.0}, model=model, market=market_of(rate=0.0))
    assert set(terms) == {"theta"}
    assert terms["theta"] > 0


def test_near_and_far_vols_move_against_each_other():
    terms = terms_of({"BTC-C-100-7D": -5.0, "BTC-P-80-Q": 5.0})
    flat = terms_of(
        {"BTC-C-100-7D": -5.0, "BTC-P-80-Q": 5.0}, model=replace(MODEL, term=TermShock(up=0, down=0, front_days=30))
    )
    assert terms["vega term structure"] > 0
    assert "vega term structure" not in flat


def test_nearly_nothing_to_lose_owes_what_closing_costs():
    terms = terms_of({"BTC-PERP": 10.0, "BTC-INV": -100.2})
    raw = 0.01 * (1002.0 + 1002.0)
    assert terms["minimum charge"] == pytest.approx(10 + 2 * (raw - 10))
    assert sum(terms.values()) == pytest.approx(10 + 2 * (raw - 10))


def test_the_worst_scenario_is_named():
    found = standing({"BTC-PERP": 2.0}, model=replace(MODEL, extreme=by(0.0)))
    worst = found.requirement.worst
    assert worst.name(int(worst.block[0]), int(worst.scenario[0])) == "BTC price step -2 vol up"
    assert worst.loss[0] == pytest.approx(0.12 * 200.4)


def test_a_far_short_option_owes_for_the_extreme_move():
    far = option("FAR", "BTC", "call", 130)
    market = market_of().with_(marks={"FAR": Mark(iv=0.4)})
    terms = terms_of({"FAR": -20}, market=market, instruments=(far,))
    assert "extreme move" in terms


def test_american_options_and_prices_that_may_be_negative_are_refused():
    with pytest.raises(NotMargined, match="OIL-FUT"):
        standing({"OIL-FUT": 1.0}, instruments=INSTRUMENTS)
    american = option("AM", "BTC", "call", 100, exercise="american")
    with pytest.raises(NotMargined, match="AM"):
        standing({"AM": 1.0}, market=market_of().with_(marks={"AM": Mark(iv=0.5)}), instruments=(american,))


# --- what it promises


def test_nothing_owes_nothing():
    assert owed({}) == 0
    assert owed({}, {"BTC": 5.0, "USD": 100.0}) == 0
    assert owed({i.symbol: 0.0 for i in HELD}) == 0


@given(holdings(), markets())
@FEW
def test_initial_is_at_least_maintenance_is_at_least_zero(held, market):
    found = standing(held, market=market)
    assert found.initial_margin[0] >= found.maintenance_margin[0] >= 0


@given(holdings(), markets())
@FEW
def test_a_portfolio_and_its_opposite_owe_nothing(held, market):
    assert owed(together(held, {s: -q for s, q in held.items()}), market=market) == 0


@given(holdings(), markets(), decimals(0.01, 500))
@FEW
def test_a_deposit_of_the_reporting_currency_changes_no_requirement(held, market, amount):
    before, after = (standing(held, balances, market=market) for balances in ({}, {"USD": amount}))
    assert after.maintenance_margin[0] == before.maintenance_margin[0]
    assert after.initial_margin[0] == before.initial_margin[0]


@given(holdings(), markets(), st.floats(0.01, 0.5))
@FEW
def test_more_price_moves_never_owe_less(held, market, move):
    more = replace(MODEL, moves=by((0.1, 0.2, 0.3, move), BTC=(0.06, 0.12, move)))
    assert owed(held, model=more, market=market) >= owed(held, market=market) - 1e-11 * size(held)


@given(st.sampled_from([i.symbol for i in HELD]), quantities, st.floats(1, 3), markets())
@FEW
def test_a_larger_position_alone_never_owes_less(symbol, quantity, factor, market):
    assert owed({symbol: quantity * factor}, market=market) >= owed({symbol: quantity}, market=market) * (1 - 1e-9)


@given(holdings(), st.sampled_from([-1, 1]), decimals(60, 170, 1))
@FEW
def test_a_small_step_of_the_price_changes_maintenance_by_a_small_step(held, sign, price):
    near = price * (1 + sign * 1e-9)
    at_price, beside = (owed(held, {"BTC": 2.0}, market=market_of(btc=btc)) for btc in (price, near))
    # Marks are rounded to four digits in these markets.
    assert abs(at_price - beside) <= 5e-3 * size(held) / 100


@given(holdings(), markets())
@FEW
def test_the_order_of_legs_changes_no_bit(held, market):
    one = standing(held, market=market)
    backwards = standing(dict(reversed(list(held.items()))), market=market)
    assert backwards.maintenance_margin[0] == one.maintenance_margin[0]
    assert backwards.initial_margin[0] == one.initial_margin[0]


@given(worlds(HELD, most=3))
@FEW
def test_a_pool_owes_the_same_whatever_pools_are_beside_it(world):
    found = world.standing(rules_of(MODEL))
    for account in world.accounts:
        if any(account.id in pool.accounts for pool in world.pools):
            continue
        lone = world.but(accounts=(account,), pools=()).standing(rules_of(MODEL))
        at = found.where.of_account[sorted(a.id for a in world.accounts).index(account.id)]
        assert lone.maintenance_margin[lone.where.of_account[0]] == found.maintenance_margin[at]


# --- what it does not promise


def test_slices_make_two_halves_cheaper_than_the_whole():
    """P2, P3, the first half of P7: of what it costs to close out, more is charged at more than its share."""
    half, whole = ({"BTC-PERP": 5.0 * n, "BTC-INV": -50.1 * n} for n in (1, 2))
    assert owed(whole) > 2 * owed(half) * 1.1


def test_a_long_option_may_owe_more_than_it_is_worth():
    """P8: closing out a far option costs a share of the underlying."""
    far = option("FAR", "BTC", "call", 400)
    market = market_of().with_(marks={"FAR": Mark(iv=0.5)})
    found = standing({"FAR": 10}, market=market, instruments=(far,))
    assert found.maintenance_margin[0] > 10 * found.worth.net_option_value[0]


def test_cross_may_cost_more_than_isolated():
    """P4: contracts that are cheap to hold alone share the slices of what closing costs."""
    model = replace(
        MODEL, moves=by((0.001,)), extreme=by(0.0), rate_shock=0.0, term=TermShock(up=0, down=0, front_days=0)
    )
    held = {"BTC-PERP": 20.0, "BTC-INV": 200.0}
    apart = sum(owed({s: q}, model=model) for s, q in held.items())
    assert owed(held, model=model) > apart * 1.1


# --- parameters


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"moves": by((0.1, 1.0))}, r"moves\.other\[1\]: found 1; allowed: above 0, below 1"),
        ({"moves": by((0.1,), BTC=(0.0,))}, r"moves\.BTC\[0\]"),
        ({"moves": ByGroup(by_class={"crypto": (0.1,)})}, "other"),
        ({"extreme": by(1.0)}, r"extreme\.other: found 1"),
        ({"basis": by(-0.1)}, r"basis\.other: found -0.1; allowed: 0 or more"),
        ({"extreme_share": 1.5}, "extreme_share: found 1.5; allowed: from 0 to 1"),
        ({"rate_shock": inf}, "rate_shock"),
        ({"peg_multiple": -1.0}, "peg_multiple"),
        ({"theta_days": -1.0}, "theta_days"),
        ({"quotes": ("USD", "USD")}, "quotes: found USD, USD; allowed: each once"),
        ({"initial_factor": 0.9}, "initial_factor: found 0.9; allowed: 1 or more"),
    ],
)
def test_a_wrong_parameter_is_refused(change, message):
    with pytest.raises(InvalidRules, match=message):
        replace(MODEL, **change)


@pytest.mark.parametrize(
    ("kind", "terms", "where"),
    [
        (TermShock, {"up": -1, "down": 0, "front_days": 30}, "up"),
        (TermShock, {"up": 0, "down": 2, "front_days": 30}, "down"),
        (TermShock, {"up": 0, "down": 0, "front_days": inf}, "front_days"),
        (ClosingCost, {"future": 2, "option": 0}, "future"),
        (ClosingCost, {"future": 0, "option": -1}, "option"),
        (Ladder, {"floor": (), "rate": ()}, "rate"),
        (Ladder, {"floor": (0.0, 1.0), "rate": (0.1,)}, "rate"),
        (Ladder, {"floor": (1.0,), "rate": (0.1,)}, r"floor\[0\]"),
        (Ladder, {"floor": (0.0, 5.0, 5.0), "rate": (0.1, 0.2, 0.3)}, r"floor\[2\]"),
        (Ladder, {"floor": (0.0, 5.0), "rate": (0.2, 0.1)}, r"rate\[1\]"),
        (Ladder, {"floor": (0.0,), "rate": (-0.1,)}, r"rate\[0\]"),
    ],
)
def test_a_wrong_part_of_a_parameter_is_refused(kind, terms, where):
    with pytest.raises(InvalidRules, match=f"^{where}: found"):
        kind(**terms)


def test_the_shipped_book_has_the_venues_numbers():
    rules = load("okx-portfolio")
    model = rules.model
    btc, sol, xrp, new = (Asset(symbol=name, asset_class="crypto") for name in ("BTC", "SOL", "XRP", "NEW"))
    assert [model.moves.of(a)[-1] for a in (btc, sol, xrp, new)] == [0.12, 0.25, 0.18, 0.25]
    assert [model.extreme.of(a) for a in (btc, sol, xrp, new)] == [0.24, 0.36, 0.36, 0.50]
    assert [model.basis.of(a) for a in (btc, sol, xrp, new)] == [0.05, 0.15, 0.15, 0.30]
    assert float(model.closing_ladder.of(btc).charge(30_000)) == 50_000
    assert float(model.peg_ladder.charge(10e6)) == 202_500
    assert (model.quotes, model.initial_factor) == (("USDT", "USDC", "USD"), 1.3)
    assert rules.call_level is None
