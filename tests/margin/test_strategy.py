"""Strategy margin: each group by its rule, and the cheapest grouping of all."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from crossmargin.book import Account, Balance, Pool, Position
from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset, Future, Option
from crossmargin.margin.pairing import best_pairs, worth_of_units
from crossmargin.margin.strategy import (
    ShortRates,
    Strategy,
    UncoveredRates,
    covered_charge,
    spread_charge,
    straddle_charge,
)
from crossmargin.market import Mark, Market, VolSlice, VolSurface
from crossmargin.rules import load
from crossmargin.standing import isolated_margins
from crossmargin.units import utc
from tests.margin.whole_books import assert_adds_up, assert_totals_are_the_requirement, maintenance
from tests.strategies import OPTIONS, alone, rules_of, worlds

RATES = UncoveredRates(share=0.20, least=0.10)
MODEL = Strategy(
    uncovered_by_class={"other": RATES},
    short_asset_by_class={
        "fx": ShortRates(initial=0.06, maintenance=0.04),
        "other": ShortRates(initial=0.5, maintenance=0.3),
    },
)
RULES = rules_of(MODEL, option_value="excluded")
TIME = utc("2026-01-01T08:00:00Z")
NEAR, FAR = utc("2026-01-16T21:00:00Z"), utc("2026-03-20T21:00:00Z")


def option(symbol, kind, strike, expiry=NEAR, **terms):
    terms = {"quote": "USD", "asset_class": "equity", "contract_size": 100, "exercise": "american", **terms}
    return Option(symbol=symbol, underlying="XYZ", option_type=kind, strike=strike, expiry=expiry, **terms)


def world(*held, shares=0.0, cash=0.0, price=100.0, instruments=None):
    """Return an account of (option, contracts, premium) rows at a price of the share."""
    market = Market(
        time=TIME,
        prices={"XYZ": price},
        forwards={"XYZ": dict.fromkeys((NEAR.date(), FAR.date()), price)},
        marks={o.symbol: Mark(price=premium) for o, _, premium in held},
        vols={"XYZ": VolSurface({NEAR.date(): VolSlice(strikes=(price,), vols=(0.4,))})},
    )
    return alone(
        [Position(symbol=o.symbol, quantity=contracts) for o, contracts, _ in held],
        {"USD": cash, "XYZ": shares},
        market=market,
        instruments=tuple(o for o, _, _ in held),
        assets=(Asset(symbol="XYZ", asset_class="equity"),),
    )


def owed(*held, **terms):
    """Return the maintenance margin for 100 shares' worth: a contract, in money a share."""
    return maintenance(world(*held, **terms), RULES) / 100


def terms_of(*held, **terms):
    requirement = world(*held, **terms).standing(RULES).requirement
    return {name: amount / 100 for name, amount in requirement.terms.of_pool(0)}


C100, C105, C110 = (option(f"C{k}", "call", k) for k in (100, 105, 110))
P90, P95, P100 = (option(f"P{k}", "put", k) for k in (90, 95, 100))
FAR_C100 = option("FC100", "call", 100, FAR)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        # premium + max(20% of 100 - out, 10% of 100, of the strike for a put)
        ([(C100, -1, 4.0)], 24.0),
        ([(C105, -1, 2.0)], 17.0),
        ([(C110, -1, 1.0)], 11.0),
        ([(P95, -1, 2.0)], 17.0),
        ([(P90, -1, 1.0)], 11.0),  # 20 - 10 is more than 10% of 90
        ([(C100, -3, 4.0)], 72.0),
        # long: paid for
        ([(C100, 1, 4.0)], 0.0),
        # spreads: the width, where the long is worse
        ([(C100, 1, 4.0), (C105, -1, 2.0)], 0.0),
        ([(C105, 1, 2.0), (C100, -1, 4.0)], 5.0),
        ([(P100, 1, 4.0), (P95, -1, 2.0)], 0.0),
        ([(P90, 1, 1.0), (P95, -1, 2.0)], 5.0),
        # a long of fewer contracts covers as many
        ([(C105, 1, 2.0), (C100, -3, 4.0)], 5.0 + 48.0),
        # straddle: the greater side and the other's premium
        ([(C100, -1, 4.0), (P100, -1, 3.5)], 24.0 + 3.5),
        ([(C110, -1, 1.0), (P100, -1, 3.5)], 23.5 + 1.0),
        # a long put covers no call
        ([(P100, 1, 4.0), (C100, -1, 4.0)], 24.0),
    ],
)
def test_each_group_owes_by_its_rule(held, expected):
    assert owed(*held) == pytest.approx(expected, rel=1e-12)


def test_a_call_on_shares_held_owes_only_what_they_are_worth_above_the_strike():
    assert owed((C105, -1, 2.0), shares=100) == 0
    assert owed((C105, -1, 8.0), shares=100, price=112.0) == pytest.approx(7.0)
    assert owed((C105, -2, 2.0), shares=100) == pytest.approx(17.0)
    assert owed((C105, -2, 2.0), shares=150) == pytest.approx(8.5)


def test_a_put_on_shares_owed_owes_only_what_the_strike_is_above_them_beside_the_shares():
    alone = owed(shares=-100)
    assert alone == pytest.approx(0.30 * 100)
    assert owed((P95, -1, 2.0), shares=-100) == pytest.approx(alone)
    assert owed((P100, -1, 12.0), shares=-100, price=90.0) == pytest.approx(0.3 * 90 + 10.0)


def test_a_long_option_covers_a_short_one_that_ends_no_later_and_can_be_exercised_no_sooner():
    assert owed((FAR_C100, 1, 6.0), (C100, -1, 4.0)) == 0
    assert owed((FAR_C100, -1, 6.0), (C100, 1, 4.0)) == pytest.approx(26.0)
    european = option("EC100", "call", 100, exercise="european")
    assert owed((european, 1, 4.0), (C105, -1, 2.0)) == pytest.approx(17.0)
    assert owed((european, -1, 4.0), (C100, 1, 4.0)) == 0


def test_the_groups_are_told_by_name():
    held = [(C105, 1, 2.0), (C100, -2, 4.0), (C110, -1, 1.0), (P95, -1, 2.0)]
    # The shares cover one of the two short calls at no cost. Groups that owe nothing are no terms.
    assert terms_of(*held, shares=100) == pytest.approx({"spread C100 with C105": 5.0, "straddle C110 with P95": 18.0})
    assert terms_of((C105, -1, 9.0), shares=50, price=112.0) == pytest.approx(
        {"covered C105 with XYZ": 3.5, "uncovered C105": 0.5 * (9.0 + 22.4)}
    )


# --- the matching


NEAR_C102 = option("C102", "call", 102)


def test_taking_the_best_pair_first_overcharges():
    """Two short calls, near and far, and two long ones, of which only the far one can cover the far short."""
    near, far = (C100, -1, 4.0), (replace(FAR_C100, symbol="F"), -1, 3.0)
    long_near, long_far = (NEAR_C102, 1, 3.0), (FAR_C100, 1, 6.0)
    saving = np.array([[24.0 - 2.0, 24.0], [0.0, 23.0]])
    assert saving.max() == saving[0, 1], "greedy takes the far long for the near short"
    greedy = 24.0 + 23.0 - 24.0
    best = owed(near, far, long_near, long_far)
    assert best == pytest.approx(2.0)
    assert best < greedy == 23.0


units = st.integers(0, 3).map(float)
savings = st.integers(0, 9).map(float)


def by_brute_force(saving, left, right):
    """Return the largest saving over all whole pairings."""
    a, b = saving.shape
    most = 0.0
    for flow in product(*(range(int(min(left[i], right[j])) + 1) for i in range(a) for j in range(b))):
        table = np.array(flow, dtype=float).reshape(a, b)
        if (table.sum(axis=1) <= left).all() and (table.sum(axis=0) <= right).all():
            most = max(most, float((table * saving).sum()))
    return most


def by_linear_program(saving, left, right):
    a, b = saving.shape
    rows = np.zeros((a + b, a * b))
    for i, j in product(range(a), range(b)):
        rows[i, i * b + j] = rows[a + j, i * b + j] = 1.0
    return -linprog(-saving.ravel(), A_ub=rows, b_ub=np.concatenate((left, right)), method="highs").fun


@given(st.data(), st.integers(1, 3), st.integers(1, 2))
@settings(max_examples=60)
def test_pairs_are_the_best_of_all_whole_ones(data, a, b):
    saving = np.array(data.draw(st.lists(savings, min_size=a * b, max_size=a * b))).reshape(a, b)
    left, right = (np.array(data.draw(st.lists(units, min_size=n, max_size=n))) for n in (a, b))
    flow = best_pairs(saving, left, right)
    assert (flow == np.round(flow)).all()
    assert (flow.sum(axis=1) <= left).all()
    assert (flow.sum(axis=0) <= right).all()
    assert (flow * saving).sum() == by_brute_force(saving, left, right)


real = st.floats(0, 50)


def test_hardly_any_units_are_none():
    saving, left, right = np.ones((1, 1)), np.ones(1), np.array([2.2250738585072014e-308])
    flow = best_pairs(saving, left, right)
    assert flow[0, 0] == 0.0
    left_worth, _ = worth_of_units(saving, flow, left, right)
    assert left_worth[0] == 0.0


@given(st.data(), st.integers(1, 6), st.integers(1, 6))
@settings(max_examples=100)
def test_pairs_are_as_good_as_a_linear_programs_and_their_prices_add_up(data, a, b):
    saving = np.array(data.draw(st.lists(real | st.just(0.0), min_size=a * b, max_size=a * b))).reshape(a, b)
    left, right = (np.array(data.draw(st.lists(real, min_size=n, max_size=n))) for n in (a, b))
    flow = best_pairs(saving, left, right)
    best = by_linear_program(saving, left, right)
    # The program takes a saving a unit below 1e-7, its tolerance, for none.
    near = pytest.approx(best, rel=1e-9, abs=1e-7 * max(1.0, left.sum() + right.sum()))
    assert (flow * saving).sum() == near
    left_worth, right_worth = worth_of_units(saving, flow, left, right)
    assert left @ left_worth + right @ right_worth == near


# --- whole books, with a twin in plain Python


def twin(standing, p):
    """Return the maintenance margin of one pool, all groups of two written out and chosen by a linear program."""
    pools, valuation = standing.pools, standing.valuation
    market, catalogue = standing.market, standing.valuation.catalogue
    legs = [k for k in range(len(pools.leg_instrument)) if pools.leg_pool[k] == p and pools.leg_quantity[k] != 0]
    fx = {"USD": 1.0, "USDC": market.fx["USDC"]}
    stock = {}
    for row in range(len(pools.balance_amount)):
        if pools.balance_pool[row] == p:
            name = catalogue.assets[pools.balance_asset[row]].symbol
            stock[name] = stock.get(name, 0.0) + pools.balance_amount[row]
    rates = {"USD": None, "USDC": 0.3, "EUR": 0.04, "BTC": 0.3, "ETH": 0.3, "STETH": 0.3}
    total = sum(rates[n] * -a * valuation.fx[catalogue.asset_number[n]] for n, a in stock.items() if a < 0 and rates[n])
    options = []
    for k in legs:
        o = catalogue.instruments[pools.leg_instrument[k]]
        options.append(
            (o, float(pools.leg_quantity[k]) * float(o.contract_size), float(valuation.mark[pools.leg_instrument[k]]))
        )

    def alone(o, value):
        s, strike = market.prices[o.underlying], float(o.strike)
        out = max(0.0, strike - s) if o.option_type == "call" else max(0.0, s - strike)
        return value + max(0.2 * s - out, 0.1 * (s if o.option_type == "call" else strike))

    columns, costs, bounds = [], [], [abs(q) for _, q, _ in options]
    names = sorted({o.underlying for o, _, _ in options})
    bounds += [abs(stock.get(name, 0.0)) for name in names]
    for i, (o, q, v) in enumerate(options):
        if q >= 0:
            continue
        call, s, strike, rate = o.option_type == "call", market.prices[o.underlying], float(o.strike), fx[o.quote]
        columns.append({i})
        costs.append(alone(o, v) * rate)
        held = stock.get(o.underlying, 0.0)
        if (held > 0) == call and held:
            columns.append({i, len(options) + names.index(o.underlying)})
            costs.append(max(0.0, s - strike if call else strike - s) * rate)
        for j, (other, other_q, other_v) in enumerate(options):
            if other.underlying != o.underlying or j == i:
                continue
            if other_q > 0 and other.option_type == o.option_type and other.expiry >= o.expiry:
                width = float(other.strike) - strike
                columns.append({i, j})
                costs.append(max(0.0, width if call else -width) * rate)
            if other_q < 0 and call and other.option_type == "put":
                one, two = alone(o, v), alone(other, other_v)
                columns.append({i, j})
                costs.append((one + other_v if one > two else two + v) * rate)
    if not costs:
        return total
    uses = np.array([[float(r in column) for column in columns] for r in range(len(bounds))])
    short = [i for i, (_, q, _) in enumerate(options) if q < 0]
    rest = [r for r in range(len(bounds)) if r not in short]
    found = linprog(
        costs,
        A_eq=uses[short],
        b_eq=[bounds[r] for r in short],
        A_ub=uses[rest] if rest else None,
        b_ub=[bounds[r] for r in rest] if rest else None,
        method="highs",
    )
    return total + found.fun


books = worlds(OPTIONS).map(lambda w: w.but(instruments=OPTIONS))


@given(books)
@settings(max_examples=40)
def test_whole_books_owe_what_the_slow_twin_finds(found):
    standing = assert_adds_up(found, RULES)
    for p in range(standing.pools.count):
        assert standing.maintenance_margin[p] == pytest.approx(twin(standing, p), rel=1e-8, abs=1e-7)


@given(books)
@settings(max_examples=20)
def test_ladders_and_pools_alone_make_the_same_numbers(found):
    assert_totals_are_the_requirement(found.standing(RULES))


def test_a_pool_groups_across_its_members_and_a_pool_of_balances_alone_owes_nothing():
    short = Account(id="a", positions=[Position(symbol="C100", quantity=-1)])
    long = Account(id="b", positions=[Position(symbol="C105", quantity=1)])
    rich = Account(id="c", balances=[Balance(asset="USD", amount=9.0)])
    empty = Account(id="d")
    base = world((C100, -1, 4.0), (C105, 1, 2.0))
    book = base.but(accounts=(short, long, rich, empty))
    apart = book.standing(RULES)
    assert sorted(apart.maintenance_margin) == pytest.approx([0, 0, 0, 2400])
    pooled = book.but(pools=(Pool(id="p", accounts=("a", "b")),)).standing(RULES)
    assert sorted(pooled.maintenance_margin) == pytest.approx([0, 0, 500])


def test_members_that_owe_and_own_one_asset_owe_it_net():
    accounts = tuple(
        Account(id=name, balances=[Balance(asset="XYZ", amount=amount)]) for name, amount in (("a", -100), ("b", 40))
    )
    book = world((C100, 0, 4.0)).but(accounts=accounts, pools=(Pool(id="p", accounts=("a", "b")),))
    assert book.standing(RULES).maintenance_margin[0] == pytest.approx(0.3 * 60 * 100)


def test_what_members_owe_of_one_asset_is_one_term():
    accounts = tuple(Account(id=name, balances=[Balance(asset="XYZ", amount=-100)]) for name in "abc")
    book = world((C100, 0, 4.0)).but(accounts=accounts, pools=(Pool(id="p", accounts=tuple("abc")),))
    assert book.standing(RULES).requirement.terms.of_pool(0) == [("short XYZ", pytest.approx(9000))]


def test_the_shipped_book_asks_half_of_bought_shares_at_first_and_a_quarter_then():
    standing = world(shares=100, cash=-5000).standing(load("strategy"))
    assert standing.margin_balance[0] == pytest.approx(7500 - 5000)
    assert standing.initial_margin[0] == pytest.approx(2500)
    assert standing.maintenance_margin[0] == 0


def test_futures_coin_settled_options_and_prices_below_zero_are_refused():
    future = Future(symbol="FUT", underlying="XYZ", quote="USD", expiry=NEAR)
    coin = option("COIN", "call", 100, inverse=True, exercise="european")
    below = option("BELOW", "call", 100, price_domain="any")
    base = world((C100, 1, 4.0))
    market = replace(base.market, marks={s: Mark(price=0.04 if s == "COIN" else 4.0) for s in ("FUT", "COIN", "BELOW")})
    for instrument in (future, coin, below):
        other = base.but(
            market=market,
            instruments=(instrument,),
            accounts=(Account(id="a", positions=[Position(symbol=instrument.symbol, quantity=1)]),),
        )
        with pytest.raises(Exception, match=f"test.*{instrument.symbol}"):
            other.standing(RULES)


# --- what is claimed


@given(books, st.integers(2, 5))
@settings(max_examples=20)
def test_n_times_a_portfolio_owes_n_times_as_much(found, n):
    def times(account):
        return Account(
            id=account.id,
            credit=account.credit,
            positions=[
                Position(symbol=p.symbol, quantity=float(p.quantity) * n)
                for p in account.positions
                if not p.isolated_collateral
            ],
            balances=[Balance(asset=b.asset, amount=float(b.amount) * n) for b in account.balances],
        )

    one = found.but(accounts=tuple(replace_one(a) for a in found.accounts))
    many = found.but(accounts=tuple(times(a) for a in found.accounts))
    np.testing.assert_allclose(
        many.standing(RULES).maintenance_margin, n * one.standing(RULES).maintenance_margin, rtol=1e-9, atol=1e-9
    )


def replace_one(account):
    return Account(
        id=account.id,
        credit=account.credit,
        positions=[
            Position(symbol=p.symbol, quantity=p.quantity) for p in account.positions if not p.isolated_collateral
        ],
        balances=[Balance(asset=b.asset, amount=b.amount) for b in account.balances],
    )


@given(books)
@settings(max_examples=20)
def test_a_pool_never_owes_more_than_its_positions_alone(found):
    standing = found.but(pools=()).standing(RULES)
    apart = isolated_margins(standing)
    for account, pool in enumerate(standing.where.of_account.tolist()):
        assert standing.maintenance_margin[pool] <= apart[account] + 1e-9 * max(1.0, apart[account])


@given(books, st.sampled_from(OPTIONS), st.floats(0.1, 9))
@settings(max_examples=20)
def test_buying_an_option_never_raises_the_requirement(found, bought, quantity):
    account, *others = found.accounts
    more = replace(account, positions=(*account.positions, Position(symbol=bought.symbol, quantity=quantity)))
    before, after = (maintenance(found.but(accounts=(a, *others), pools=()), RULES) for a in (account, more))
    assert after <= before + 1e-9 * max(1.0, before)


@given(books, st.sampled_from(["USD", "BTC", "ETH"]), st.floats(0.1, 9))
@settings(max_examples=20)
def test_a_deposit_never_raises_the_requirement_and_one_of_the_reporting_currency_leaves_it(found, asset, amount):
    account, *others = found.accounts
    more = replace(account, balances=(*account.balances, Balance(asset=asset, amount=amount)))
    before, after = (maintenance(found.but(accounts=(a, *others), pools=()), RULES) for a in (account, more))
    if asset == "USD":
        assert after == before
    else:
        assert after <= before + 1e-9 * max(1.0, before)


# --- what is not


def test_sub_additivity_is_not_claimed_a_closed_short_may_have_cost_less_than_its_cover_saved():
    one = owed((C110, 1, 1.0), (C100, -1, 4.0))
    other = owed((C110, -1, 1.0))
    both = owed((C110, 0, 1.0), (C100, -1, 4.0))
    assert (one, other, both) == pytest.approx((10.0, 11.0, 24.0))
    assert both > one + other


def test_continuity_is_not_claimed_where_the_sides_of_a_straddle_change_places():
    call_side = owed((C110, -1, 3.001), (P95, -1, 8.0 - 10.0 + 0.0 + 2.0), price=100.0)
    # call: 3.001 + 10 = 13.001; put 0 + 15: the put is greater.
    assert call_side == pytest.approx(15.0 + 3.001)
    before, after = (owed((C110, -1, premium), (P95, -1, 1.0)) for premium in (5.999, 6.001))
    assert before == pytest.approx(16.0 + 5.999)
    assert after == pytest.approx(16.001 + 1.0)


# --- the formulas, and parameters that cannot be


def test_the_formulas_of_the_pairs():
    assert spread_charge(110.0, 100.0, True) == 10
    assert spread_charge(110.0, 100.0, False) == 0
    assert straddle_charge(24.0, 4.0, 23.0, 3.0) == 27
    assert straddle_charge(23.0, 4.0, 24.0, 3.0) == 28
    assert straddle_charge(24.0, 4.0, 24.0, 3.0) == 27
    assert covered_charge(112.0, 105.0, True) == 7
    assert covered_charge(112.0, 105.0, False) == 0


def test_a_floor_holds_for_cheap_shares():
    floored = Strategy(
        uncovered_by_class={"other": replace(RATES, floor=2.5)}, short_asset_by_class=MODEL.short_asset_by_class
    )
    cheap = world((option("C9", "call", 9), -1, 0.1), price=8.0)
    assert maintenance(cheap, RULES) == pytest.approx(90)
    assert maintenance(cheap, rules_of(floored, option_value="excluded")) == pytest.approx(250)


@pytest.mark.parametrize(("share", "expected"), [(1.0, 7.0), (0.5, 3.5), (0.0, 0.0)])
@pytest.mark.parametrize(
    ("symbol", "kind", "strike", "shares"), [("C105", "call", 105, 1), ("P119", "put", 119, -1)], ids=["held", "owed"]
)
def test_a_covered_short_owes_the_share_of_its_intrinsic_value_that_the_rule_book_says(
    symbol, kind, strike, shares, share, expected
):
    held = (option(symbol, kind, strike), -1, 9.0)
    without = rules_of(replace(MODEL, covered=share), option_value="excluded")
    alone = maintenance(world(shares=100 * shares, price=112.0), without)
    assert maintenance(world(held, shares=100 * shares, price=112.0), without) == pytest.approx(alone + 100 * expected)


@pytest.mark.parametrize(
    ("build", "where"),
    [
        (lambda: UncoveredRates(share=20, least=0.1), "share.*percent"),
        (lambda: UncoveredRates(share=0.1, least=0.2), "least.*at most share"),
        (lambda: UncoveredRates(share=0.1, least=0.1, floor=-1), "floor"),
        (lambda: ShortRates(initial=0.3, maintenance=0.5), "maintenance.*at most initial"),
        (lambda: ShortRates(initial=-0.1, maintenance=-0.1), "initial"),
        (lambda: replace(MODEL, uncovered_by_class={"equity": RATES}), "uncovered_by_class.*other"),
        (lambda: replace(MODEL, short_asset_by_class={"coins": RATES}), "short_asset_by_class.*coins"),
        (lambda: replace(MODEL, covered=1.5), "covered.*fraction from 0 to 1"),
        (lambda: replace(MODEL, covered=-0.1), "covered.*fraction from 0 to 1"),
    ],
)
def test_parameters_that_cannot_be_are_refused(build, where):
    with pytest.raises(InvalidRules, match=where):
        build()
