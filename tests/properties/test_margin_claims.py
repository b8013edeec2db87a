"""What each margin model promises, and a counterexample where it does not promise (reliability, section 5)."""

from collections import Counter
from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.instruments import Asset, Option, Perpetual
from crossmargin.margin.grid import Grid
from crossmargin.margin.historical import Historical
from crossmargin.market import History, Market
from crossmargin.scenarios import GridShape
from crossmargin.standing import isolated_margins
from tests.margin.test_fhs import MODEL as FHS
from tests.margin.test_sensitivity_margin import MODEL as SENSITIVITIES
from tests.strategies import (
    BRACKETS,
    EXPECTED_SHORTFALL,
    FILTERED_SHORTFALL,
    FUTURES,
    GRID,
    INSTRUMENTS,
    OPTIONS,
    SHAPE,
    STANDARD,
    TIME,
    VALUE_AT_RISK,
    alone,
    decimals,
    market_of,
    markets,
    option,
    quantities,
    rules_of,
    worlds,
)

# Flat haircuts and no places: what counts of two holdings is what counts of each.
PLAIN = HaircutPolicy(by_class={"other": Tiers.flat(0.1)})
ASSETS = tuple(
    Asset(symbol=name, asset_class=kind)
    for name, kind in {
        "BTC": "crypto",
        "DAX": "equity_index",
        "ETH": "crypto",
        "EUR": "fx",
        "OIL": "energy",
        "USD": "fx",
        "USDC": "stablecoin",
    }.items()
)
POSITIVE = tuple(i for i in INSTRUMENTS if i.price_domain == "positive")
# Each model with the contracts it takes.
MODELS = {
    "grid": (GRID, INSTRUMENTS),
    "es": (EXPECTED_SHORTFALL, INSTRUMENTS),
    "filtered es": (FILTERED_SHORTFALL, INSTRUMENTS),
    "var": (VALUE_AT_RISK, INSTRUMENTS),
    "brackets": (BRACKETS, FUTURES),
    "standard": (STANDARD, POSITIVE),
    "fhs": (FHS, INSTRUMENTS),
    "sensitivities": (SENSITIVITIES, INSTRUMENTS),
}
RULES = {name: rules_of(model, haircuts=PLAIN) for name, (model, _) in MODELS.items()}
COHERENT = ("grid", "es", "filtered es")
every_model = pytest.mark.parametrize("name", MODELS)
coherent_models = pytest.mark.parametrize("name", COHERENT)
few = settings(max_examples=20)


@st.composite
def holdings(draw, instruments, *, most=4):
    """(positions, owned balances) of one portfolio: quantities by name."""
    symbols = draw(st.lists(st.sampled_from([i.symbol for i in instruments]), max_size=most, unique=True))
    assets = draw(st.lists(st.sampled_from(["BTC", "ETH", "EUR", "USDC"]), max_size=2, unique=True))
    return {s: draw(quantities) for s in symbols}, {a: draw(decimals(0, 9)) for a in assets}


def portfolios(name, **terms):
    return holdings(MODELS[name][1], **terms)


def standing_of(name, holding, market, rules=None):
    positions, balances = holding
    world = alone(positions, balances, market=market, instruments=MODELS[name][1], assets=ASSETS)
    return world.standing(rules or RULES[name])


def maintenance(name, holding, market, rules=None):
    return float(standing_of(name, holding, market, rules).maintenance_margin[0])


def initial(name, holding, market, rules=None):
    return float(standing_of(name, holding, market, rules).initial_margin[0])


def together(*holdings):
    """Return the sum of portfolios; tenths, so that it is exact."""
    totals = []
    for part in range(2):
        total = Counter()
        for holding in holdings:
            for key, quantity in holding[part].items():
                total[key] += round(quantity * 100)
        totals.append({key: hundredths / 100 for key, hundredths in total.items()})
    return tuple(totals)


def times(n, holding):
    return tuple({key: quantity * n for key, quantity in part.items()} for part in holding)


def size(holding):
    return sum(abs(quantity) for part in holding for quantity in part.values()) * 1000 + 1


# --- P1 normalisation, P11 order of levels


@every_model
def test_nothing_owes_nothing(name):
    standing = standing_of(name, ({}, {}), market_of())
    assert standing.maintenance_margin[0] == standing.initial_margin[0] == 0


@every_model
def test_flat_positions_owe_nothing(name):
    flat = {i.symbol: 0.0 for i in MODELS[name][1]}
    standing = standing_of(name, (flat, {}), market_of())
    assert standing.maintenance_margin[0] == standing.initial_margin[0] == 0


@every_model
@given(st.data(), markets())
@few
def test_initial_is_at_least_maintenance_is_at_least_zero(name, data, market):
    standing = standing_of(name, data.draw(portfolios(name)), market)
    assert standing.initial_margin[0] >= standing.maintenance_margin[0] >= 0


# --- P2 sub-additivity


@coherent_models
@given(st.data(), markets())
@few
def test_two_portfolios_together_owe_no_more_than_apart(name, data, market):
    one, other = data.draw(portfolios(name)), data.draw(portfolios(name))
    both = together(one, other)
    apart = maintenance(name, one, market) + maintenance(name, other, market)
    assert maintenance(name, both, market) <= apart + 1e-12 * size(both)


def test_value_at_risk_of_two_coins_may_exceed_the_sum():
    # Each coin fell once in 100 days, on different days: at 99% neither counts alone, the sum sees one of the two.
    days = tuple((TIME - timedelta(days=120 - k)).date() for k in range(121))
    fall = np.ones((121, 2))
    fall[60:, 0], fall[80:, 1] = 0.5, 0.5
    history = History(days=days, names=("X", "Y"), closes=100.0 * fall)
    market = Market(time=TIME, prices={"X": 50.0, "Y": 50.0}, history=history)
    instruments = tuple(Perpetual(symbol=f"{name}-PERP", underlying=name, quote="USD") for name in "XY")
    var = Historical(
        measure="var", confidence=0.99, horizon_days={"other": 1}, lookback_days=100, minimum_days=100, filtered=False
    )

    def owed(positions, model):
        world = alone(positions, market=market, instruments=instruments, assets=())
        return float(world.standing(rules_of(model)).maintenance_margin[0])

    assert owed({"X-PERP": 1}, var) == owed({"Y-PERP": 1}, var) == 0
    assert owed({"X-PERP": 1, "Y-PERP": 1}, var) == pytest.approx(25, rel=1e-12)
    shortfall = Historical(
        confidence=0.99, horizon_days={"other": 1}, lookback_days=100, minimum_days=100, filtered=False
    )
    assert owed({"X-PERP": 1, "Y-PERP": 1}, shortfall) <= 2 * owed({"X-PERP": 1}, shortfall)


@pytest.mark.parametrize(("name", "symbol"), [("brackets", "BTC-PERP"), ("standard", "BTC-FUT")])
def test_models_that_charge_size_owe_more_for_a_whole_than_for_its_halves(name, symbol):
    market = market_of()
    half = maintenance(name, ({symbol: 10.0}, {}), market)
    assert maintenance(name, ({symbol: 20.0}, {}), market) > 2 * half * 1.01


# --- P3 homogeneity


@pytest.mark.parametrize("name", [*COHERENT, "var"])
@given(st.data(), markets(), st.sampled_from([2, 3, 7, 0.5]))
@few
def test_n_times_a_portfolio_owes_n_times_as_much(name, data, market, n):
    one = data.draw(portfolios(name))
    for owed in (maintenance, initial):
        expected = n * owed(name, one, market)
        assert owed(name, times(n, one), market) == pytest.approx(expected, rel=1e-12, abs=1e-12 * size(one))


@given(st.data(), markets(), st.integers(2, 9))
@few
def test_brackets_owe_at_least_n_times_as_much_for_n_times_a_position(data, market, n):
    one = data.draw(portfolios("brackets"))
    assert maintenance("brackets", times(n, one), market) >= n * maintenance("brackets", one, market) * (1 - 1e-12)


# --- P4 cross never owes more than isolated


@pytest.mark.parametrize("name", [*COHERENT, "brackets", "standard"])
@given(data=st.data())
@few
def test_cross_margin_never_costs_more_than_isolated(name, data):
    world = data.draw(worlds(MODELS[name][1], most=2)).but(pools=(), instruments=MODELS[name][1])
    standing = world.standing(rules_of(MODELS[name][0]))
    apart = isolated_margins(standing)
    for account, pool in enumerate(standing.where.of_account.tolist()):
        scale = abs(standing.worth.balances[pool]) + apart[account]
        assert standing.maintenance_margin[pool] <= apart[account] + 1e-12 * scale


@given(st.data(), markets())
@few
def test_brackets_give_no_credit_across_instruments(data, market):
    positions, _ = data.draw(portfolios("brackets"))
    whole = maintenance("brackets", (positions, {}), market)
    parts = sum(maintenance("brackets", ({s: q}, {}), market) for s, q in positions.items())
    assert whole == pytest.approx(parts, rel=1e-12)


# --- P6 more or larger scenarios never owe less


@given(st.data(), markets(), st.floats(1, 2), st.floats(0, 1))
@few
def test_a_grid_with_more_cells_or_heavier_extremes_never_owes_less(data, market, wider, weight):
    one = data.draw(portfolios("grid"))

    def grid(fractions, extreme_weight):
        shape = GridShape(
            range_by_class=SHAPE.range_by_class,
            any_floor=20.0,
            price_fractions=fractions,
            extreme_weight=extreme_weight,
        )
        return rules_of(Grid(shape=shape), haircuts=PLAIN)

    few_cells, more_cells = (0.0, 1.0, -1.0), (0.0, 1.0, -1.0, 0.4, -wider)
    less = maintenance("grid", one, market, grid(few_cells, 0.35 * weight))
    assert maintenance("grid", one, market, grid(more_cells, 0.35)) >= less * (1 - 1e-12)


@given(st.data(), markets(), st.floats(1, 1.9))
@few
def test_larger_moves_never_owe_less_for_straight_contracts(data, market, factor):
    straight = tuple(i for i in FUTURES if not i.inverse)
    one = (data.draw(holdings(straight))[0], {})
    smaller = GridShape(range_by_class={"other": 0.2}, any_floor=20.0)
    larger = GridShape(range_by_class={"other": 0.2 * factor}, any_floor=20.0)
    assert maintenance("grid", one, market, rules_of(Grid(shape=larger))) >= maintenance(
        "grid", one, market, rules_of(Grid(shape=smaller))
    ) * (1 - 1e-12)


# --- P7 hedges


@coherent_models
@given(st.data(), markets())
@few
def test_a_hedge_never_costs_more_than_it_would_alone(name, data, market):
    one, hedge = data.draw(portfolios(name)), data.draw(portfolios(name, most=1))
    both = together(one, (hedge[0], {}))
    apart = maintenance(name, one, market) + maintenance(name, (hedge[0], {}), market)
    assert maintenance(name, both, market) <= apart + 1e-12 * size(both)


@every_model
@given(st.data(), markets())
@few
def test_a_portfolio_and_its_opposite_owe_nothing(name, data, market):
    one = (data.draw(portfolios(name))[0], {})
    standing = standing_of(name, together(one, times(-1, one)), market)
    assert standing.maintenance_margin[0] == standing.initial_margin[0] == 0


# --- P8 paid-up long options


@coherent_models
@given(st.data(), markets(), decimals(0, 9, 1), st.sampled_from([i for i in INSTRUMENTS if isinstance(i, Option)]))
@few
def test_buying_an_option_never_adds_more_than_it_is_worth(name, data, market, quantity, bought):
    one = data.draw(portfolios(name))
    bought = ({bought.symbol: quantity}, {})
    value = float(standing_of(name, bought, market).worth.net_option_value[0])
    both = together(one, bought)
    assert maintenance(name, both, market) <= maintenance(name, one, market) + value + 1e-12 * size(both)


@coherent_models
@given(st.data(), markets())
@few
def test_what_is_owned_outright_never_owes_more_than_it_counts(name, data, market):
    positions, balances = data.draw(portfolios(name))
    long = {s: abs(q) for s, q in positions.items() if isinstance(_instrument(s), Option)}
    standing = standing_of(name, (long, balances), market)
    counted = standing.worth.collateral_value[0] + standing.worth.net_option_value[0]
    assert standing.initial_margin[0] <= counted * (1 + 1e-12) + 1e-12
    assert not standing.owes[0]


def _instrument(symbol):
    return next(i for i in INSTRUMENTS if i.symbol == symbol)


# --- P10 deposits


@every_model
@given(st.data(), markets(), decimals(0.01, 500))
@few
def test_a_deposit_of_the_reporting_currency_counts_in_full_and_changes_no_requirement(name, data, market, amount):
    one = data.draw(portfolios(name))
    before = standing_of(name, one, market)
    after = standing_of(name, (one[0], {**one[1], "USD": amount}), market)
    assert after.maintenance_margin[0] == before.maintenance_margin[0]
    assert after.initial_margin[0] == before.initial_margin[0]
    gained = after.margin_balance[0] - before.margin_balance[0]
    assert gained == pytest.approx(amount, rel=1e-12, abs=1e-14 * size(one))
    assert after.status[0] <= before.status[0]


# --- P12 continuity


@pytest.mark.parametrize("name", MODELS)
@given(st.data(), st.sampled_from([-1, 1]), decimals(60, 170, 1))
@few
def test_a_small_step_of_the_price_changes_maintenance_by_a_small_step(name, data, sign, price):
    one = data.draw(portfolios(name))
    near = price * (1 + sign * 1e-9)
    at_price, beside = (maintenance(name, one, market_of(btc=btc)) for btc in (price, near))
    # Marks are rounded to four digits in these markets: a step of 1e-4 and of 1e-9.
    assert abs(at_price - beside) <= 2e-4 * size(one) / 100


# --- P13 rows and names


@every_model
@given(st.data(), markets(), st.integers(1, 9))
@few
def test_splitting_a_leg_in_two_rows_changes_no_bit(name, data, market, tenths):
    positions, balances = data.draw(portfolios(name))
    whole = alone(positions, balances, market=market, instruments=MODELS[name][1], assets=ASSETS)
    (account,) = whole.accounts
    rows = [
        type(row)(symbol=row.symbol, quantity=part, entry_price=row.entry_price)
        for row in account.positions
        for part in (tenths / 10, round(row.quantity - tenths / 10, 1))
    ]
    split = alone(rows, balances, market=market, instruments=MODELS[name][1], assets=ASSETS)
    one, other = whole.standing(RULES[name]), split.standing(RULES[name])
    assert one.maintenance_margin[0] == other.maintenance_margin[0]
    assert one.initial_margin[0] == other.initial_margin[0]
    assert one.margin_balance[0] == other.margin_balance[0]


# --- P14 size and splitting of a directional book


@every_model
@given(st.data(), markets(), quantities, st.floats(1, 3))
@few
def test_a_larger_position_never_owes_less(name, data, market, quantity, factor):
    symbol = data.draw(st.sampled_from(MODELS[name][1])).symbol
    smaller, larger = (initial(name, ({symbol: q}, {}), market) for q in (quantity, quantity * factor))
    assert larger >= smaller * (1 - 1e-12)


@coherent_models
@given(st.data(), markets(), decimals(0, 1))
@few
def test_splitting_a_book_among_accounts_never_lowers_what_they_owe_together(name, data, market, share):
    one = data.draw(portfolios(name))
    parts = times(share, one), times(1 - share, one)
    for owed in (maintenance, initial):
        assert sum(owed(name, part, market) for part in parts) >= owed(name, one, market) - 1e-12 * size(one)


# --- owned outright, by hand


def test_a_long_option_beside_a_future_never_owes_more_than_apart():
    market = market_of(vol=0.4)
    pair = ({"BTC-P-90": 5, "BTC-PERP": 5}, {})
    parts = sum(maintenance("grid", ({s: 5}, {}), market) for s in pair[0])
    assert maintenance("grid", pair, market) < parts


def test_a_far_option_that_costs_next_to_nothing_owes_its_value_and_no_more():
    far = option("FAR", "BTC", "call", 400)
    market = market_of().with_(marks={}, forwards={"BTC": {far.expiry.date(): 100.0}})
    from crossmargin.market import Mark

    market = market.with_(marks={"FAR": Mark(iv=0.5)})
    standing = alone({"FAR": 10}, market=market, instruments=(*OPTIONS, far)).standing(RULES["grid"])
    assert 0 < standing.initial_margin[0] == pytest.approx(standing.worth.net_option_value[0], rel=1e-9)


def test_options_settled_in_another_moving_asset_may_owe_more_together_than_apart():
    # A call that can lose more than its price (its underlying and the dollar it pays apart) is left out alone; beside
    # a future the put is kept as its hedge. Together the sets that are tried leave out both or neither.
    shape = GridShape(range_by_class={"crypto": 0.2, "stablecoin": 0.3, "other": 0.35})
    rules = rules_of(Grid(shape=shape), haircuts=PLAIN)
    market = market_of()
    one, other = ({"ETH-C-11": 4}, {}), ({"ETH-P-9": 1, "ETH-PERP": 4}, {})
    apart = maintenance("grid", one, market, rules) + maintenance("grid", other, market, rules)
    assert maintenance("grid", together(one, other), market, rules) > apart + 1
