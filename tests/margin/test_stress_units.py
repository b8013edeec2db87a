"""Stress and contingencies: each part by hand, all against a slow twin, and what is promised."""

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from math import fsum

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.errors import InvalidRules, NotMargined
from crossmargin.instruments import Future, Option, Perpetual
from crossmargin.margin.grouped import ByGroup, Ladder
from crossmargin.margin.option_shocks import TermShock, VolShock
from crossmargin.margin.stress_units import Contingencies, StressUnits
from crossmargin.market import Mark, Market
from crossmargin.rules import load
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
from tests.twins.risk_matrix import of
from tests.twins.risk_units import Unit

FEW = settings(max_examples=25)
HELD = tuple(i for i in INSTRUMENTS if i.price_domain == "positive")
PLAIN = HaircutPolicy(by_class={"other": Tiers.flat(0.1)})
QUIET = Contingencies(short_option=0, vega=0, basis=0, future=0)


def by(value, **names):
    return ByGroup(by_class={"other": value}, by_name=names)


MODEL = StressUnits(
    moves=by((0.1, 0.2, 0.3), BTC=(0.05, 0.15)),
    vol=VolShock(up=0.5, down=0.25, least=0.4),
    contingencies=by(
        Contingencies(short_option=0.01, vega=0.05, basis=0.3, future=0.01),
        BTC=Contingencies(short_option=0.005, vega=0.03, basis=0.05, future=0.005),
    ),
    peg_rate=0.01,
    quotes=("USDC", "EUR", "USD"),
)


def standing(positions, market=None, model=MODEL, instruments=HELD, balances=(), **terms):
    world = alone(positions, balances or {}, market=market or market_of(), instruments=instruments, **terms)
    return world.standing(rules_of(model, haircuts=PLAIN))


def owed(positions, **terms):
    return float(standing(positions, **terms).maintenance_margin[0])


def terms_of(positions, **terms):
    return dict(standing(positions, **terms).requirement.terms.of_pool(0))


@st.composite
def holdings(draw, most=4):
    chosen = draw(st.lists(st.sampled_from([i.symbol for i in HELD]), max_size=most, unique=True))
    return {symbol: draw(quantities) for symbol in chosen}


def size(held):
    return 1.0 + 100 * sum(abs(q) for q in held.values())


# --- against the twin


def twin(world, pool, prices):
    assets = {a.symbol: a for a in world.assets}
    legs = defaultdict(list)
    for symbol, quantity in pool.quantity.items():
        legs[assets[prices.instruments[symbol].underlying].group].append((symbol, quantity))
    terms = defaultdict(float)
    for group, rows in legs.items():
        # The parts that both venues have are those of a unit without coins.
        like = type("Like", (), {})()
        like.moves, like.vol, like.tenor, like.quotes = MODEL.moves, MODEL.vol, MODEL.tenor, MODEL.quotes
        like.extreme, like.extreme_share, like.theta_days, like.rate_shock = by(0.0), 0.0, 0.0, 0.0
        like.term = TermShock(up=0, down=0, front_days=0)
        charged = of(MODEL.contingencies, assets[group])
        like.basis = by(charged.basis)
        like.peg_ladder, like.peg_multiple = Ladder(floor=(0.0,), rate=(MODEL.peg_rate,)), 0.0
        unit = Unit(like, prices, assets[group], rows, 0.0)
        risks = unit.risks()
        terms["stress"] += risks["spot shock"]
        terms["delta spread"] += risks["basis"]
        terms["stable coin spread"] += unit.peg()
        shorts, vegas = defaultdict(float), defaultdict(float)
        for symbol, quantity in rows:
            instrument = prices.instruments[symbol]
            price = abs(prices.index(instrument)) * prices.fx(instrument.quote)
            units = quantity * float(instrument.contract_size)
            if isinstance(instrument, Option):
                shorts[instrument.underlying, instrument.expiry, instrument.option_type] -= units * price
                iv, fx = prices.market.marks[symbol].iv, prices.fx(instrument.settle)
                rise = prices.contract(symbol, 0.0, 1 + 1e-5 / iv) - prices.contract(symbol, 0.0, 1 - 1e-5 / iv)
                vegas[prices.tau(instrument)] += quantity * rise / 2e-5 * 0.01 * fx
            else:
                coins = units / prices.mark(instrument) if instrument.inverse else units
                terms["futures"] += abs(coins) * price * charged.future
        terms["short options"] += charged.short_option * sum(max(0.0, net) for net in shorts.values())
        terms["vega spread"] += charged.vega * 365 * matched(vegas)
    return terms


def matched(nets):
    total = 0.0
    while True:
        times = sorted(t for t in nets if nets[t])
        pairs = [(b - a, a, b) for a in times for b in times if a < b and nets[a] * nets[b] < 0]
        if not pairs:
            return total
        gap, a, b = min(pairs)
        used = min(abs(nets[a]), abs(nets[b]))
        total += used * gap
        for t in (a, b):
            nets[t] = 0.0 if abs(nets[t]) == used else nets[t] - used * (1 if nets[t] > 0 else -1)


@given(worlds(HELD))
@settings(max_examples=40)
def test_pools_owe_what_the_slow_twin_finds(world):
    rules = rules_of(MODEL)
    found, prices = world.standing(rules), Prices(world)
    scale = 1e-6 + 1e-7 * sum(prices.notional(p.symbol, p.quantity) for a in world.accounts for p in a.positions)
    for p, pool in enumerate(twin_pools(world, prices)):
        terms = twin(world, pool, prices)
        told = dict(found.requirement.terms.of_pool(p))
        for name, amount in terms.items():
            assert told.get(name, 0.0) == pytest.approx(amount, rel=1e-5, abs=scale), name
        assert found.maintenance_margin[p] == pytest.approx(sum(terms.values()), rel=1e-5, abs=scale)
        factor = 1.2 * rules.credit.get(pool.credit, 1.0)
        assert found.requirement.initial[p] == pytest.approx(factor * found.maintenance_margin[p], rel=1e-12)
        legs = found.requirement.leg_share[found.pools.leg_pool == p]
        if len(legs):
            assert fsum(legs.tolist()) == found.maintenance_margin[p]


# --- by hand


def test_a_future_owes_its_worst_move_and_its_size():
    assert terms_of({"BTC-PERP": -2.0}) == {
        "stress": pytest.approx(0.15 * 200.4),
        "futures": pytest.approx(0.005 * 200),
    }


def test_only_the_net_short_of_an_expiry_and_type_is_a_short_option():
    near = [option("A", "BTC", "call", 110), option("B", "BTC", "call", 120), option("C", "BTC", "put", 90)]
    market = market_of().with_(marks={name: Mark(iv=0.6) for name in "ABC"})
    terms = terms_of({"A": -3.0, "B": 1.0, "C": 5.0}, market=market, instruments=near)
    assert terms["short options"] == pytest.approx(2 * 0.005 * 100)


def test_deltas_that_offset_across_expiries_owe_the_days_between():
    future = Future(symbol="F", underlying="X", quote="USD", expiry=TIME + timedelta(days=73))
    perpetual = Perpetual(symbol="P", underlying="X", quote="USD")
    market = Market(time=TIME, prices={"X": 10.0}, marks={"F": Mark(price=10.0)})
    terms = terms_of({"F": -3.0, "P": 3.0}, market=market, instruments=(future, perpetual), assets=())
    assert terms == {"delta spread": pytest.approx(0.3 * 30 * 0.2), "futures": pytest.approx(0.01 * 60)}


def test_vegas_that_offset_across_expiries_owe_the_days_between():
    assert "vega spread" in terms_of({"BTC-C-100-7D": -5.0, "BTC-P-80-Q": 5.0})
    assert "vega spread" not in terms_of({"BTC-C-100-7D": 5.0, "BTC-P-80-Q": 5.0})


def test_what_it_does_not_know_is_refused():
    with pytest.raises(NotMargined, match="OIL-FUT"):
        standing({"OIL-FUT": 1.0}, instruments=INSTRUMENTS)


def test_the_worst_move_is_named():
    worst = standing({"BTC-PERP": -2.0}).requirement.worst
    assert worst.name(int(worst.block[0]), int(worst.scenario[0])) == "BTC price step +2 vol up"


# --- promises


def test_nothing_owes_nothing():
    assert owed({}) == owed({i.symbol: 0.0 for i in HELD}) == owed({}, balances={"BTC": -3.0}) == 0


@given(holdings(), markets(), st.sampled_from([2, 5]))
@FEW
def test_n_times_a_portfolio_owes_n_times_as_much(held, market, n):
    many = {s: q * n for s, q in held.items()}
    assert owed(many, market=market) == pytest.approx(n * owed(held, market=market), rel=1e-9, abs=1e-11 * size(held))


@given(holdings(), holdings(), markets())
@FEW
def test_without_spreads_two_portfolios_owe_no_more_together(one, other, market):
    model = replace(
        MODEL, peg_rate=0.0, contingencies=by(Contingencies(short_option=0.01, vega=0, basis=0, future=0.01))
    )
    both = {s: round(10 * one.get(s, 0) + 10 * other.get(s, 0)) / 10 for s in {**one, **other}}
    apart = owed(one, market=market, model=model) + owed(other, market=market, model=model)
    assert owed(both, market=market, model=model) <= apart + 1e-11 * (size(one) + size(other))


@given(holdings(), markets())
@FEW
def test_a_portfolio_and_its_opposite_owe_nothing(held, market):
    assert owed({s: q - q for s, q in held.items()}, market=market) == 0


@given(holdings(), markets(), decimals(0.01, 500))
@FEW
def test_a_deposit_changes_no_requirement(held, market, amount):
    assert owed(held, market=market, balances={"USD": amount, "BTC": 1.0}) == owed(held, market=market)


@given(holdings(), markets(), st.floats(0.01, 0.5))
@FEW
def test_more_price_moves_never_owe_less(held, market, move):
    more = replace(MODEL, moves=by((0.1, 0.2, 0.3, move), BTC=(0.05, 0.15, move)))
    assert owed(held, market=market, model=more) >= owed(held, market=market) - 1e-11 * size(held)


@given(st.sampled_from([i.symbol for i in HELD]), quantities, st.floats(1, 3), markets())
@FEW
def test_a_larger_position_alone_never_owes_less(symbol, quantity, factor, market):
    assert owed({symbol: quantity * factor}, market=market) >= owed({symbol: quantity}, market=market) * (1 - 1e-9)


def test_a_spread_may_owe_more_than_its_legs_apart():
    """P2, P4: no move, and a spread between expiries that is dear."""
    model = replace(MODEL, moves=by((0.001,)), contingencies=by(replace(QUIET, basis=2.0)))
    held = {"BTC-PERP": 5.0, "BTC-FUT": -2.5}
    assert owed(held, model=model) > sum(owed({s: q}, model=model) for s, q in held.items()) * 1.1


def test_a_hedge_of_options_may_owe_more_than_its_premium():
    """P8: a bought put offsets vega of another expiry, which is charged."""
    model = replace(MODEL, moves=by((0.001,)), vol=VolShock(up=0, down=0), contingencies=by(replace(QUIET, vega=50.0)))
    bought = {"BTC-P-80-Q": 1.0}
    value = float(standing(bought).worth.net_option_value[0])
    before, after = owed({"BTC-C-110": -9.0}, model=model), owed({"BTC-C-110": -9.0, **bought}, model=model)
    assert after > before + value


# --- parameters


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"moves": by((1.0,))}, r"moves\.other\[0\]: found 1"),
        ({"contingencies": ByGroup(by_class={"fx": QUIET})}, "other"),
        ({"peg_rate": 1.5}, "peg_rate: found 1.5; allowed: from 0 to 1"),
        ({"quotes": ("USD", "USD")}, "quotes: found USD, USD"),
        ({"initial_factor": 0.5}, "initial_factor: found 0.5; allowed: 1 or more"),
    ],
)
def test_a_wrong_parameter_is_refused(change, message):
    with pytest.raises(InvalidRules, match=message):
        replace(MODEL, **change)


@pytest.mark.parametrize(
    ("name", "value"), [("short_option", 1.5), ("future", -1), ("vega", -1), ("basis", float("nan"))]
)
def test_a_wrong_contingency_is_refused(name, value):
    with pytest.raises(InvalidRules, match=f"^{name}: found"):
        replace(QUIET, **{name: value})


def test_the_shipped_book_restores_to_ninety_percent():
    rules = load("bybit-portfolio")
    assert 1 / (1 + rules.liquidation_buffer) == pytest.approx(0.9)
    assert rules.model.moves.by_name["BTC"][-1] == 0.15
