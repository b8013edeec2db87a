"""Filtered historical margin: against a slow twin, part by part, and what it promises."""

from collections import defaultdict
from dataclasses import replace
from datetime import timedelta
from math import ceil, fsum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Pool, Position
from crossmargin.errors import InvalidRules, NotMargined
from crossmargin.margin.fhs import FilteredHistorical
from crossmargin.margin.historical import tail_weights
from crossmargin.margin.liquidity import LiquidityRates
from crossmargin.margin.procyclicality import buffered, floored, largest_rise, peak_to_trough, stress_weighted
from crossmargin.margin.sensitivities import unit_deltas
from crossmargin.margin.tail_risk import TailRisk, capped, liquidation_cost, tail_value
from crossmargin.market import History, Mark
from crossmargin.rules import load
from crossmargin.scenarios import JointParameters, risk_array
from tests.strategies import INSTRUMENTS, TIME, World, alone, decimals, market_of, option, rules_of, worlds

few = settings(max_examples=15)
GROUPS = {"crypto": "coins", "stablecoin": "coins", "other": "rest"}
JOINT = JointParameters(
    lookback_days=100,
    minimum_days=60,
    decay=0.94,
    horizon_days={"crypto": 1, "stablecoin": 1, "other": 2},
    any_floor=1.0,
    any_floor_by_name={"OIL": 20.0},
)
FREE = LiquidityRates(spread=0.0, adv=1e9, participation=0.1)
RISK = TailRisk(confidence=0.95, sub_windows=4, break_factor=1.0, break_most=0.3, stress="floor", stress_confidence=0.9)
MODEL = FilteredHistorical(
    joint=JOINT,
    risk=RISK,
    liquidation_group=GROUPS,
    liquidity={"other": LiquidityRates(spread=0.002, adv=20_000.0, participation=0.1)},
    concentration_power=1.0,
    initial_factor=1.25,
)
PLAIN = replace(MODEL, liquidity={"other": FREE})
COHERENT = replace(PLAIN, risk=TailRisk(measure="es", confidence=0.95, break_factor=0.0, stress="none"))


def standing_of(model, positions, market=None, balances=()):
    return alone(positions, balances or {}, market=market or market_of()).standing(rules_of(model))


def maintenance(model, positions, market=None, balances=()):
    return float(standing_of(model, positions, market, balances).maintenance_margin[0])


def terms_of(standing, pool=0):
    return dict(standing.requirement.terms.of_pool(pool))


# --- a slow twin


def measured(losses, risk, confidence):
    """Value at risk or expected shortfall of a list, in plain Python; 0 or more."""
    losses = sorted(losses)
    if not losses:
        return 0.0
    if risk.measure == "var":
        return max(0.0, losses[ceil(round(confidence * len(losses), 9)) - 1])
    left, total = max(round((1 - confidence) * len(losses), 9), 1.0), 0.0
    size = left
    for loss in reversed(losses):
        total += min(1.0, left) * loss
        left -= min(1.0, left)
        if left <= 0:
            break
    return max(0.0, total / size)


def market_risk(ordinary, stressed, risk):
    tail = measured(ordinary, risk, risk.confidence)
    cut = np.array_split(np.array(ordinary), risk.sub_windows)
    mean = sum(measured(list(part), risk, risk.confidence) for part in cut) / len(cut)
    base = tail + min(max(risk.break_factor * abs(mean - tail), risk.break_least * tail), risk.break_most * tail)
    bad = measured(stressed, risk, risk.stress_confidence)
    if risk.stress == "floor":
        return max(base, bad)
    return (1 - risk.stress_share) * base + risk.stress_share * bad if risk.stress == "blend" else base


def twin(model, standing, pool):
    """The requirement of one pool: scenario by scenario, leg by leg, on dictionaries."""
    portfolios, valuation = standing.portfolios, standing.valuation
    terms = valuation.catalogue
    joint = model.scenarios(valuation)
    arrays = [risk_array(valuation, scenarios) for scenarios in (joint.ordinary, joint.stressed)]
    floors = np.array([JOINT.any_floor_of(asset.symbol) for asset in terms.assets])
    deltas = unit_deltas(valuation, floors)
    products, net = defaultdict(lambda: ([], [])), defaultdict(float)
    for leg in np.flatnonzero(portfolios.pools.leg_pool == pool).tolist():
        row, instrument = portfolios.leg_row[leg], portfolios.leg_instrument[leg]
        asset, settle = terms.assets[terms.underlying[instrument]], terms.settle[instrument]
        fx = valuation.settle_fx[row]
        key = GROUPS.get(asset.asset_class, "rest"), asset.group
        for k, array in enumerate(arrays):
            pnl = array.pnl[list(array.rows).index(row)]
            loss = [
                -portfolios.quantity[leg] * x + portfolios.entry_value[leg] * fx * y
                for x, y in zip(pnl, array.asset_move[settle], strict=True)
            ]
            products[key][k].append(loss)
        net[asset] += portfolios.quantity[leg] * deltas[row] * fx
    total = 0.0
    for group in {group for group, _ in products}:
        apart = [v for (g, _), v in products.items() if g == group]
        summed = [[sum(x) for x in zip(*(loss for v in apart for loss in v[k]), strict=True)] for k in range(2)]
        one = market_risk(summed[0], summed[1], model.risk)
        other = sum(
            market_risk(*([sum(x) for x in zip(*v[k], strict=True)] for k in range(2)), model.risk) for v in apart
        )
        total += max(one, model.offset_cap * one + (1 - model.offset_cap) * other)
    rates = model.liquidity["other"]
    for asset, size in net.items():
        capacity = rates.adv * rates.participation * JOINT.horizon_of(asset.asset_class)
        total += abs(size) * rates.spread / 2 * max(1.0, abs(size) / capacity) ** model.concentration_power
    return total


@pytest.mark.parametrize(
    "risk", [RISK, replace(RISK, measure="es", stress="blend", stress_share=0.3)], ids=["var", "es"]
)
@given(data=st.data())
@few
def test_every_pool_owes_what_a_slow_twin_finds(risk, data):
    model = replace(MODEL, risk=risk)
    standing = data.draw(worlds(INSTRUMENTS)).standing(rules_of(model))
    for pool in range(standing.pools.count):
        expected = twin(model, standing, pool)
        assert standing.maintenance_margin[pool] == pytest.approx(expected, rel=1e-9, abs=1e-6)


@given(
    st.lists(st.lists(st.integers(-50, 50), min_size=7, max_size=7), min_size=1, max_size=4),
    st.sampled_from(["var", "es"]),
    st.floats(0.5, 0.99),
)
def test_a_tail_without_sorting_is_the_tail(rows, measure, confidence):
    loss = np.array(rows, dtype=np.float64)
    weights = tail_weights(loss, measure=measure, confidence=confidence)
    assert tail_value(loss, measure=measure, confidence=confidence) == pytest.approx((loss * weights).sum(axis=1))


# --- part by part


def test_groups_add_up_and_inside_one_a_fifth_of_the_offset_is_withheld():
    btc, eth, dax = ({s: q} for s, q in (("BTC-PERP", 10), ("ETH-PERP", -8), ("DAX-PERP", 5)))
    one, other, third = (maintenance(PLAIN, held) for held in (btc, eth, dax))
    pair = standing_of(PLAIN, {**btc, **eth})
    assert maintenance(PLAIN, {**btc, **eth, **dax}) == pytest.approx(float(pair.maintenance_margin[0]) + third)
    loose = maintenance(replace(PLAIN, offset_cap=1.0), {**btc, **eth})
    assert loose < one + other
    assert float(pair.maintenance_margin[0]) == pytest.approx(0.8 * loose + 0.2 * (one + other))
    assert terms_of(pair)["limited offsets coins"] == pytest.approx(0.2 * (one + other - loose))


def test_contracts_on_one_underlying_are_one_product_and_offset_in_full():
    hedged = maintenance(PLAIN, {"BTC-PERP": 10, "BTC-FUT": -5})
    assert hedged < 0.1 * maintenance(PLAIN, {"BTC-PERP": 10})
    assert "limited offsets coins" not in terms_of(standing_of(PLAIN, {"BTC-PERP": 10, "BTC-FUT": -5}))


def test_the_stressed_set_is_a_floor_or_a_share():
    held = {"BTC-PERP": 10}
    none, floor, blend = (
        terms_of(standing_of(replace(PLAIN, risk=replace(RISK, stress=stress)), held))
        for stress in ("none", "floor", "blend")
    )
    base = none["tail coins"] + none.get("correlation break coins", 0.0)
    assert "stress coins" not in none
    assert floor["stress coins"] > 0
    assert blend["stress coins"] == pytest.approx(0.25 * floor["stress coins"])
    assert floor["tail coins"] + floor.get("correlation break coins", 0.0) == base


def test_what_is_not_the_capacity_of_the_market_costs_more_the_more_it_is():
    market = market_of(basis=1.0)
    capacity = 20_000 * 0.1 * 1
    inside, twice, four = (
        terms_of(standing_of(MODEL, {"ETH-PERP": q}, market))["liquidity coins"] for q in (10, 40, 80)
    )
    price = 100 * 0.999
    assert inside == pytest.approx(10 * price * 0.001)
    assert twice == pytest.approx(40 * price * 0.001 * (40 * price / capacity))
    assert four == pytest.approx(4 * twice)


def test_a_hedge_is_closed_out_with_what_it_hedges():
    terms = terms_of(standing_of(MODEL, {"BTC-C-100-7D": 10, "BTC-P-90": 0}, market_of()))
    hedged = terms_of(standing_of(MODEL, {"BTC-C-100-7D": 10, "BTC-PERP": -5}, market_of()))
    assert hedged["liquidity coins"] < 0.3 * terms["liquidity coins"]


def test_the_three_tools_against_procyclicality():
    held = {"BTC-PERP": 10}
    no_stress = replace(RISK, stress="none")
    plain = standing_of(replace(PLAIN, risk=no_stress), held)
    buffer = standing_of(replace(PLAIN, risk=replace(no_stress, tool="buffer"), buffer=0.25), held)
    assert buffer.maintenance_margin[0] == plain.maintenance_margin[0]
    assert buffer.initial_margin[0] == pytest.approx(1.25 * plain.initial_margin[0])
    weighted = standing_of(replace(PLAIN, risk=replace(no_stress, tool="stress_weight")), held)
    stressed = terms_of(standing_of(replace(PLAIN, risk=replace(RISK, stress="floor")), held))["stress coins"]
    assert terms_of(weighted)["anti-procyclicality coins"] == pytest.approx(0.25 * stressed)
    held, market = calm(held)
    quiet = standing_of(replace(PLAIN, risk=no_stress), held, market)
    floor = standing_of(replace(PLAIN, risk=replace(no_stress, tool="floor"), floor_days=350), held, market)
    assert floor.maintenance_margin[0] > 1.5 * quiet.maintenance_margin[0]
    added = terms_of(floor)["anti-procyclicality coins"]
    assert added == pytest.approx(floor.maintenance_margin[0] - quiet.maintenance_margin[0])


def calm(held):
    """Return positions and a market that fell by 30% every tenth day, and back, until 150 days ago."""
    days = 400
    step = 0.005 * np.random.default_rng(3).standard_normal(days)
    step[5:250:10] += np.log(0.7)
    step[6:250:10] -= np.log(0.7)
    closes = 100.0 * np.exp(np.cumsum(step))
    dates = tuple((TIME - timedelta(days=days - k)).date() for k in range(days))
    return held, market_of().with_(history=History(days=dates, names=("BTC",), closes=closes[:, None]))


def test_the_floor_is_the_same_measure_of_the_days_as_they_were():
    held, market = calm({"BTC-PERP": 10})
    model = replace(PLAIN, risk=replace(RISK, stress="none", tool="floor"), floor_days=350)
    closes = market.history.closes[:, 0]
    losses = -10 * 100.2 * (closes[1:] / closes[:-1] - 1)[-350:]
    assert maintenance(model, held, market) == pytest.approx(measured(losses.tolist(), model.risk, 0.95), rel=1e-9)


def test_compression_charges_what_interpolation_misses():
    """An option lies below the line between two of its values: its holder loses more than the line says."""
    held = {"BTC-C-110": 10, "BTC-P-90": 10}
    full, rough, fine = (
        terms_of(standing_of(replace(PLAIN, compression_points=points), held)) for points in (0, 3, 200)
    )
    assert "compression error coins" not in full
    assert rough["compression error coins"] > 0.01
    assert fine["compression error coins"] < 0.01 * rough["compression error coins"]
    assert fine["tail coins"] == pytest.approx(full["tail coins"], rel=1e-3)
    writer = terms_of(standing_of(replace(PLAIN, compression_points=3), {s: -q for s, q in held.items()}))
    assert "compression error coins" not in writer


def test_futures_are_never_compressed():
    held = {"BTC-PERP": -10, "ETH-PERP": 3}
    assert maintenance(replace(PLAIN, compression_points=2), held) == maintenance(PLAIN, held)


def test_a_book_without_history_is_margined_on_the_reference_set():
    market = market_of().with_(history=None)
    standing = standing_of(MODEL, {"BTC-PERP": 1}, market)
    assert MODEL.scenario_source(standing.valuation).source == "reference"
    assert standing.maintenance_margin[0] > 0


# --- promises


@given(worlds(INSTRUMENTS), st.sampled_from(["var", "es"]), st.sampled_from(["none", "stress_weight", "floor"]))
@few
def test_terms_and_shares_add_up_exactly_and_initial_is_at_least_maintenance(world, measure, tool):
    model = replace(MODEL, risk=replace(RISK, measure=measure, tool=tool), compression_points=5)
    standing = world.standing(rules_of(model))
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


@given(worlds(INSTRUMENTS), st.sampled_from(["var", "es"]), st.sampled_from(["none", "stress_weight", "floor"]))
@few
def test_shares_need_no_topping_up(world, measure, tool):
    """Euler: they add up to the requirement but for rounding before the remainder is put anywhere."""
    model = replace(MODEL, risk=replace(RISK, measure=measure, tool=tool, stress="blend"), compression_points=5)
    portfolios = world.standing(rules_of(model)).portfolios
    charges = model.charges(portfolios)
    pools = portfolios.pools
    found = np.bincount(pools.leg_pool, charges.leg_share, pools.count)
    total = charges.terms.total(pools.count)
    assert found == pytest.approx(total, rel=1e-9, abs=1e-6)
    assert model.ingredients(portfolios)[:, 0] == pytest.approx(total, rel=1e-9, abs=1e-9)


@given(st.lists(st.sampled_from(INSTRUMENTS), max_size=3, unique=True), decimals(1, 12, 1))
@few
def test_a_portfolio_and_its_opposite_owe_nothing(instruments, quantity):
    both = [Position(symbol=i.symbol, quantity=q) for i in instruments for q in (quantity, -quantity)]
    assert maintenance(MODEL, both) == 0


@given(st.lists(st.sampled_from(INSTRUMENTS), max_size=3, unique=True), st.sampled_from([2, 3, 0.5]))
@few
def test_but_for_liquidity_n_times_a_portfolio_owes_n_times_as_much(instruments, n):
    one = {i.symbol: 2.0 for i in instruments}
    expected = n * maintenance(PLAIN, one)
    assert maintenance(PLAIN, {s: n * q for s, q in one.items()}) == pytest.approx(expected, rel=1e-9)


@given(st.lists(st.sampled_from(INSTRUMENTS), min_size=2, max_size=4, unique=True), decimals(-9, 9, 1))
@few
def test_without_value_at_risk_and_add_ons_cross_never_owes_more_than_isolated(instruments, quantity):
    """P4 holds of expected shortfall alone: what breaks it are the measure, the break of correlations, and size."""
    held = {i.symbol: quantity for i in instruments}
    apart = sum(maintenance(COHERENT, {s: q}) for s, q in held.items())
    assert maintenance(COHERENT, held) <= apart * (1 + 1e-9) + 1e-9


def test_value_at_risk_of_two_products_may_exceed_the_sum():
    """P2 is not claimed. Each coin falls once in 100 days, on days of its own: alone neither fall counts."""
    days = 170
    fall = np.ones((days, 2))
    fall[100:, 0], fall[130:, 1] = 0.5, 0.5
    wobble = 1 + 1e-4 * (-1.0) ** np.arange(days)
    dates = tuple((TIME - timedelta(days=days - k)).date() for k in range(days))
    closes = np.array([100.0, 10.0]) * fall * wobble[:, None]
    market = market_of().with_(history=History(days=dates, names=("BTC", "ETH"), closes=closes))
    # Slow vols: the filter must not take the falls out.
    model = replace(
        PLAIN,
        joint=replace(JOINT, decay=0.985),
        risk=TailRisk(confidence=0.985, break_factor=0.0, stress="none"),
    )
    btc, eth = ({s: q} for s, q in (("BTC-PERP", 1), ("ETH-PERP", 1)))
    apart = maintenance(model, btc, market) + maintenance(model, eth, market)
    assert maintenance(model, {**btc, **eth}, market) > apart * 1.01


def test_a_bought_option_may_owe_more_than_it_is_worth():
    """P8 is not claimed: closing it out costs, whatever it is worth."""
    market = market_of(vol=0.2)
    standing = standing_of(MODEL, {"BTC-C-125": 4000}, market)
    assert standing.maintenance_margin[0] > standing.worth.net_option_value[0] > 0


def test_deposits_change_no_requirement():
    held = {"BTC-PERP": 10, "ETH-C-11": -5}
    assert maintenance(MODEL, held, balances={"USD": 5000, "BTC": 2}) == maintenance(MODEL, held)


# --- whole books


def test_pools_do_not_depend_on_the_pools_beside_them(monkeypatch):
    accounts = tuple(
        Account(id=f"a{k}", positions=(Position(symbol=INSTRUMENTS[k].symbol, quantity=k + 1.0),) if k else ())
        for k in range(8)
    )
    world = World(accounts=accounts, market=market_of())
    together = world.standing(rules_of(MODEL)).maintenance_margin
    monkeypatch.setattr("crossmargin.margin.fhs._CELLS_AT_ONCE", 1)
    assert world.standing(rules_of(MODEL)).maintenance_margin.tolist() == together.tolist()
    assert together[0] == 0


def test_a_group_of_accounts_is_margined_as_one_and_money_alone_owes_nothing():
    accounts = (
        Account(id="a", owner="x", positions=(Position(symbol="BTC-PERP", quantity=10),)),
        Account(id="b", owner="x", positions=(Position(symbol="BTC-PERP", quantity=-10),)),
        Account(id="c", owner="y", balances=(Balance(asset="USD", amount=100),)),
    )
    standing = World(accounts=accounts, market=market_of(), pools=(Pool(id="p", accounts=("a", "b")),)).standing(
        rules_of(MODEL)
    )
    assert standing.maintenance_margin.tolist() == [0, 0]


def test_the_worst_scenario_is_named_with_its_loss():
    standing = standing_of(MODEL, {"BTC-PERP": 10})
    worst = standing.requirement.worst
    assert worst.loss[0] >= standing.maintenance_margin[0] * 0.5
    assert worst.name(0, int(worst.scenario[0]))


def test_american_options_are_refused():
    american = option("AMERICAN", "BTC", "put", 90, exercise="american")
    market = market_of()
    market = market.with_(marks={**market.marks, "AMERICAN": Mark(iv=0.5)})
    world = alone({"AMERICAN": 1}, market=market, instruments=(*INSTRUMENTS, american))
    with pytest.raises(NotMargined):
        world.standing(rules_of(MODEL))


def test_the_shipped_book_margins_every_kind_of_contract():
    standing = alone({i.symbol: 1.0 for i in INSTRUMENTS}, market=market_of()).standing(load("fhs"))
    assert standing.initial_margin[0] == pytest.approx(1.25 * standing.maintenance_margin[0])


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"liquidation_group": {"crypto": "coins"}}, "liquidation_group"),
        ({"liquidation_group": {"other": "all"}}, "liquidation_group"),
        ({"offset_cap": 1.1}, "offset_cap"),
        ({"floor_days": 0}, "floor_days"),
        ({"compression_points": 1}, "compression_points"),
        ({"compression_confidence": 1.0}, "compression_confidence"),
        ({"liquidity": {"crypto": FREE}}, "liquidity"),
        ({"concentration_power": -1.0}, "concentration_power"),
        ({"buffer": 0.25}, "buffer"),
        ({"initial_factor": 0.5}, "initial_factor"),
    ],
)
def test_wrong_parameters_are_refused(changes, where):
    with pytest.raises(InvalidRules) as error:
        replace(MODEL, **changes)
    assert error.value.where.startswith(where)


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"measure": "median"}, "measure"),
        ({"stress": "sum"}, "stress"),
        ({"tool": "hope"}, "tool"),
        ({"confidence": 0.3}, "confidence"),
        ({"stress_confidence": 1.0}, "stress_confidence"),
        ({"stress_share": 2.0}, "stress_share"),
        ({"sub_windows": 0}, "sub_windows"),
        ({"break_factor": -1.0}, "break_factor"),
        ({"break_least": 0.5, "break_most": 0.1}, "break_least"),
    ],
)
def test_a_wrong_tail_is_refused(changes, where):
    with pytest.raises(InvalidRules) as error:
        TailRisk(**changes)
    assert error.value.where == where


# --- formulas


def test_formulas_take_columns():
    assert capped([10, 10], [30, 8]) == pytest.approx([14, 10])
    assert liquidation_cost([-10, 40], 0.2, 20).tolist() == [1, 8]
    assert buffered([110, 80], 125).tolist() == [125, 100]
    assert floored([1, 5], 3).tolist() == [3, 5]
    assert stress_weighted([100, 0], [180, 4]).tolist() == [120, 1]


@pytest.mark.parametrize(
    "call",
    [
        lambda: buffered(-1, 2),
        lambda: floored(float("nan"), 2),
        lambda: peak_to_trough([]),
        lambda: peak_to_trough([1, 0]),
        lambda: largest_rise([1, 2], 2),
    ],
)
def test_margins_that_cannot_be_are_refused(call):
    with pytest.raises(ValueError, match="allowed"):
        call()
