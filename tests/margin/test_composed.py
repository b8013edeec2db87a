"""Margin of parts: each part by hand, the whole against a slow twin, what is promised, and the page that shows it."""

import re
from collections import defaultdict
from math import fsum
from pathlib import Path
from runpy import run_path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Book, Position
from crossmargin.errors import InvalidRules, NotMargined
from crossmargin.instruments import Option, Perpetual
from crossmargin.margin import Composed, composed, futures_charges, short_option_charges
from crossmargin.market import Mark, Market
from crossmargin.rules import parse
from crossmargin.scenarios import ScenarioSet
from crossmargin.standing import evaluate
from tests.margin.whole_books import assert_adds_up, assert_totals_are_the_requirement
from tests.strategies import INSTRUMENTS, TIME, alone, decimals, market_of, markets, quantities, rules_of, worlds
from tests.twins.pools import twin_pools
from tests.twins.prices import Prices

FEW = settings(max_examples=25)
HELD = tuple(i for i in INSTRUMENTS if i.price_domain == "positive")
MOVES = np.array([0.0, 0.1, -0.1, 0.2, -0.2, 0.4])
VOLS = np.array([1.3, 1.0, 0.8, 1.2, 1.0, 1.0])
WEIGHTS = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.5])
MOVING = ("BTC", "ETH")


def sets(valuation, scale=1.0):
    return [
        ScenarioSet(
            ids=tuple(f"{name} {k}" for k in range(len(MOVES))),
            factors=(name,),
            move=scale * MOVES[None],
            vol_factor=VOLS[None],
            weight=WEIGHTS,
            name=name,
            source="grid",
        )
        for name in MOVING
    ]


def flat(charges, rate):
    return lambda pools: charges(pools, np.full(len(pools.valuation.catalogue.assets), rate))


ADD_ONS = {"short options": flat(short_option_charges, 0.01), "futures": flat(futures_charges, 0.002)}
MODEL = Composed(scenarios=sets, add_ons=ADD_ONS, initial_factor=1.2)
REDUCERS = {
    "worst": composed.worst,
    "shortfall": composed.expected_shortfall(0.7),
    "quantile": composed.value_at_risk(0.8),
}


def standing(positions, model=MODEL, market=None, balances=None):
    return alone(positions, balances or {}, market=market or market_of(), instruments=HELD).standing(rules_of(model))


def owed(positions, **terms):
    return float(standing(positions, **terms).maintenance_margin[0])


@st.composite
def holdings(draw, most=4):
    chosen = draw(st.lists(st.sampled_from([i.symbol for i in HELD]), max_size=most, unique=True))
    return {symbol: draw(quantities) for symbol in chosen}


def size(held):
    return 1.0 + 100 * sum(abs(q) for q in held.values())


# --- against the twin


def reduced(losses, reducer):
    """Return the measure of a few losses, from its words."""
    ranked = sorted(losses, reverse=True)
    if reducer == "worst":
        return ranked[0]
    if reducer == "quantile":
        return ranked[len(ranked) - 5]  # ceil(0.8 x 6) = 5th smallest of six
    return (ranked[0] + 0.8 * ranked[1]) / 1.8  # the worst 0.3 x 6 = 1.8 scenarios


def twin(pool, prices, reducer):
    terms = defaultdict(float)
    shorts = defaultdict(float)
    for name in MOVING:
        losses = [0.0] * len(MOVES)
        for s, (move, vol, weight) in enumerate(zip(MOVES.tolist(), VOLS.tolist(), WEIGHTS.tolist(), strict=True)):
            for symbol, quantity in pool.quantity.items():
                instrument = prices.instruments[symbol]
                fx = prices.fx(instrument.settle)
                own = instrument.underlying == name
                after = prices.contract(symbol, move if own else 0.0, vol if own else 1.0)
                after *= fx * (1 + move if instrument.settle == name else 1.0)
                losses[s] -= weight * quantity * (after - prices.contract(symbol) * fx)
        terms[f"scenarios {name}"] = max(0.0, reduced(losses, reducer))
    for symbol, quantity in pool.quantity.items():
        instrument = prices.instruments[symbol]
        price = abs(prices.index(instrument)) * prices.fx(instrument.quote)
        units = quantity * float(instrument.contract_size)
        if isinstance(instrument, Option):
            shorts[instrument.underlying, instrument.expiry, instrument.option_type] -= units * price
        else:
            coins = units / prices.mark(instrument) if instrument.inverse else units
            terms["futures"] += abs(coins) * price * 0.002
    terms["short options"] = 0.01 * sum(max(0.0, net) for net in shorts.values())
    return terms


@pytest.mark.parametrize("reducer", REDUCERS)
@given(world=worlds(HELD))
@settings(max_examples=25)
def test_pools_owe_what_the_slow_twin_finds(reducer, world):
    rules = rules_of(Composed(scenarios=sets, add_ons=ADD_ONS, initial_factor=1.2, reducer=REDUCERS[reducer]))
    found, prices = world.standing(rules), Prices(world)
    scale = 1e-6 + 1e-9 * sum(prices.notional(p.symbol, p.quantity) for a in world.accounts for p in a.positions)
    for p, pool in enumerate(twin_pools(world, prices)):
        terms = twin(pool, prices, reducer)
        told = dict(found.requirement.terms.of_pool(p))
        for name, amount in terms.items():
            assert told.get(name, 0.0) == pytest.approx(amount, rel=1e-8, abs=scale), name
        assert found.maintenance_margin[p] == pytest.approx(sum(terms.values()), rel=1e-8, abs=scale)
        factor = 1.2 * rules.credit.get(pool.credit, 1.0)
        assert found.requirement.initial[p] == pytest.approx(factor * found.maintenance_margin[p], rel=1e-12)


@given(worlds(HELD))
@FEW
def test_terms_and_shares_add_up_and_price_ladders_see_the_same(world):
    assert_totals_are_the_requirement(assert_adds_up(world, rules_of(MODEL)))


# --- by hand


def test_sets_are_reduced_apart_and_add_ons_stand_beside():
    """A fall of BTC and a rise of ETH, each the worst of its own set; at a weight of a half, 0.4 is as bad as 0.2."""
    contracts = tuple(Perpetual(symbol=name, underlying=name, quote="USD") for name in MOVING)
    world = alone({"BTC": 2.0, "ETH": -1.0}, {}, market=Market(time=TIME, prices={"BTC": 100.0, "ETH": 10.0}),
                  instruments=contracts)  # fmt: skip
    assert dict(world.standing(rules_of(MODEL)).requirement.terms.of_pool(0)) == {
        "scenarios BTC": pytest.approx(0.2 * 200),
        "scenarios ETH": pytest.approx(0.2 * 10),
        "futures": pytest.approx(0.002 * 210),
    }


def test_the_worst_scenario_is_named_with_its_loss():
    found = standing({"BTC-PERP": 2.0}).requirement
    worst = found.worst
    assert worst.name(int(worst.block[0]), int(worst.scenario[0])) == "BTC 4"
    assert worst.loss[0] == pytest.approx(dict(found.terms.of_pool(0))["scenarios BTC"])
    assert standing({}).requirement.worst.scenario[0] == -1


def test_reducers_say_what_share_of_each_loss_counts():
    loss = np.array([[1.0, 5.0, 5.0, -2.0], [0.0, 0.0, 0.0, 0.0]])
    assert composed.worst(loss).tolist() == [[0, 1, 0, 0], [1, 0, 0, 0]]
    assert composed.expected_shortfall(0.5)(loss)[0].tolist() == [0, 0.5, 0.5, 0]
    assert composed.value_at_risk(0.75)(loss)[0].tolist() == [0, 0, 1, 0]


def test_without_sets_only_the_add_ons_are_owed():
    model = Composed(scenarios=lambda valuation: (), add_ons={"futures": ADD_ONS["futures"]})
    found = standing({"BTC-PERP": 2.0}, model=model)
    assert dict(found.requirement.terms.of_pool(0)) == {"futures": pytest.approx(0.002 * 2 * 100.0)}
    assert found.rules.model.scenario_source(found.valuation).source == "none"


def test_an_empty_set_asks_nothing():
    empty = ScenarioSet(ids=(), factors=("BTC",), move=np.zeros((1, 0)), weight=np.zeros(0), source="table")
    assert owed({"BTC-PERP": 2.0}, model=Composed(scenarios=lambda valuation: [empty])) == 0.0


def test_it_says_where_its_scenarios_are_from():
    found = standing({"BTC-PERP": 1.0})
    source = found.rules.model.scenario_source(found.valuation)
    assert (source.source, source.count) == ("grid", len(MOVES))


def test_an_initial_factor_below_one_is_refused():
    with pytest.raises(InvalidRules, match=r"initial_factor: found 0\.5"):
        Composed(scenarios=sets, initial_factor=0.5)


def test_american_options_are_refused():
    american = Option(symbol="A", underlying="BTC", quote="USD", option_type="call", strike=100, exercise="american",
                      expiry=next(i.expiry for i in HELD if isinstance(i, Option)))  # fmt: skip
    market = market_of()
    market = market.with_(marks={**market.marks, "A": Mark(iv=0.5)})
    world = alone({"A": 1.0}, {}, market=market, instruments=(*HELD, american))
    with pytest.raises(NotMargined, match="A, held by"):
        world.standing(rules_of(MODEL))


# --- promises


def test_nothing_owes_nothing():
    assert owed({}) == owed({i.symbol: 0.0 for i in HELD}) == owed({}, balances={"BTC": -3.0}) == 0


@given(holdings(), markets(), st.sampled_from([2, 5]))
@FEW
def test_n_times_a_portfolio_owes_n_times_as_much(held, market, n):
    many = {s: q * n for s, q in held.items()}
    assert owed(many, market=market) == pytest.approx(n * owed(held, market=market), rel=1e-9, abs=1e-11 * size(held))


@pytest.mark.parametrize("reducer", ["worst", "shortfall"])
@given(one=holdings(), other=holdings(), market=markets())
@FEW
def test_two_portfolios_owe_no_more_together(reducer, one, other, market):
    model = Composed(scenarios=sets, add_ons=ADD_ONS, reducer=REDUCERS[reducer])
    both = {s: round(10 * one.get(s, 0) + 10 * other.get(s, 0)) / 10 for s in {**one, **other}}
    apart = owed(one, market=market, model=model) + owed(other, market=market, model=model)
    assert owed(both, market=market, model=model) <= apart + 1e-10 * (size(one) + size(other))


@given(holdings(), markets())
@FEW
def test_a_portfolio_and_its_opposite_owe_nothing(held, market):
    assert owed({s: q - q for s, q in held.items()}, market=market) == 0


@given(holdings(), markets(), decimals(0.01, 500))
@FEW
def test_a_deposit_changes_no_requirement(held, market, amount):
    assert owed(held, market=market, balances={"USD": amount, "BTC": 1.0}) == owed(held, market=market)


@given(holdings(), markets())
@FEW
def test_more_scenarios_never_owe_less(held, market):
    fewer = Composed(scenarios=lambda valuation: sets(valuation)[:1], add_ons=ADD_ONS)
    assert owed(held, market=market) >= owed(held, market=market, model=fewer) - 1e-11 * size(held)


def test_value_at_risk_may_ask_more_for_two_portfolios_together():
    """P2: a fall of either coin is one scenario of six, outside the quantile; one of both is inside."""
    moves = np.zeros((2, 6))
    moves[0, 0], moves[1, 1] = -0.5, -0.5
    joint = ScenarioSet(ids=tuple("abcdef"), factors=MOVING, move=moves, weight=np.ones(6), source="table")
    model = Composed(scenarios=lambda valuation: [joint], reducer=composed.value_at_risk(0.8))
    apart = owed({"BTC-PERP": 1.0}, model=model) + owed({"ETH-PERP": 1.0}, model=model)
    assert apart == 0
    assert owed({"BTC-PERP": 1.0, "ETH-PERP": 1.0}, model=model) > 1


def test_a_bought_option_may_cost_more_than_its_premium():
    """P8: it offsets no short of another expiry, and a future bought with it is charged; what is paid is equity."""
    model = Composed(scenarios=lambda valuation: [], add_ons={"size": lambda pools: 50.0 * np.abs(pools.quantity)})
    bought = {"BTC-P-80-Q": 1.0}
    value = float(standing(bought).worth.net_option_value[0])
    assert owed(bought, model=model) == 50.0 > value


# --- the page

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "add-a-rule-book.md"


@pytest.fixture(scope="module")
def shown(tmp_path_factory):
    """The files of the page that builds a rule book from nothing."""
    folder = tmp_path_factory.mktemp("page")
    for name, body in re.findall(r'^```\w+ title="(acme[^"]+)"\n(.*?)^```$', PAGE.read_text("utf-8"), re.M | re.S):
        (folder / name).write_text(body, encoding="utf-8")
    return folder


def acme(folder):
    model = run_path(str(folder / "acme.py"))["ACME"]
    return parse((folder / "acme.toml").read_text(encoding="utf-8"), "acme.toml", models={"acme": model})


def test_the_page_builds_a_rule_book_from_nothing_in_under_sixty_lines(shown):
    lines = [line for path in shown.iterdir() for line in path.read_text(encoding="utf-8").splitlines()]
    assert sorted(path.name for path in shown.iterdir()) == ["acme.py", "acme.toml"]
    assert 0 < len(lines) < 60


def test_the_book_of_the_page_charges_what_it_says(shown):
    """15% of 2 x 60,000, 0.2% for being futures; 30% of an asset of another class; initial 1.2 times that."""
    rules = acme(shown)
    contracts = [
        Perpetual(symbol="A", underlying="BTC", quote="USD", asset_class="crypto"),
        Perpetual(symbol="B", underlying="XYZ", quote="USD"),
    ]
    held = [Position(symbol="A", quantity=-2.0), Position(symbol="B", quantity=10.0)]
    account = Account(id="a", balances=[Balance(asset="USD", amount=1.0)], positions=held, credit="basic")
    market = Market(time=TIME, prices={"BTC": 60_000.0, "XYZ": 5.0})
    found = evaluate(Book.of([account], contracts, currency="USD"), market, rules)
    expected = 0.15 * 120_000 + 0.30 * 50 + 0.002 * (120_000 + 50)
    assert found.maintenance_margin[0] == pytest.approx(expected)
    assert found.initial_margin[0] == pytest.approx(1.1 * 1.2 * expected)
    assert fsum(found.requirement.leg_share.tolist()) == found.maintenance_margin[0]


def test_a_model_of_ones_own_may_not_take_a_name_of_the_library(shown):
    model = run_path(str(shown / "acme.py"))["ACME"]
    with pytest.raises(InvalidRules, match="models: found grid"):
        parse((shown / "acme.toml").read_text(encoding="utf-8"), "acme.toml", models={"grid": model})
    with pytest.raises(InvalidRules, match=r"acme.toml, line 4: model: found the text 'acme'"):
        parse((shown / "acme.toml").read_text(encoding="utf-8"), "acme.toml")
