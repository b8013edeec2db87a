"""What the house rule book promises, and a counterexample where it does not promise (reliability, section 5).

"Before add-ons" is the same model with the rates of basis, liquidity and vega at 0.
"""

import json
import random
from collections import Counter
from dataclasses import replace
from itertools import chain, combinations, pairwise

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Order, Pool, Position
from crossmargin.collateral import HaircutPolicy, Tiers, WrongWay
from crossmargin.instruments import Asset, Option
from crossmargin.margin.tails import TailMeasure, cores
from crossmargin.rules import load
from crossmargin.scenarios import GridShape, StressFacts
from crossmargin.standing import document, isolated_margins
from tests.portfolio_worlds import (
    CORE,
    DEEP,
    HOUSE,
    JOINT,
    STEEP,
    before_add_ons,
    house,
    liquidity_of,
    orders_of,
    standing_of,
    worlds_and_orders,
)
from tests.strategies import (
    ANY_DOMAIN,
    INSTRUMENTS,
    World,
    alone,
    decimals,
    market_of,
    markets,
    quantities,
    rules_of,
    worlds,
)
from tests.twins.documents import assert_same
from tests.twins.portfolio import added, core, core_of_group, groups_of
from tests.twins.portfolio_world import World as Twin

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
SYMBOLS = [i.symbol for i in INSTRUMENTS]
PAID_AT_HOME = tuple(i.symbol for i in INSTRUMENTS if i.settle in ("USD", i.underlying))
OPTIONS = {i.symbol for i in INSTRUMENTS if isinstance(i, Option)}
NO_GRID = GridShape(range_by_class={"other": 0.0}, any_floor=20.0)
few = settings(max_examples=20)


@st.composite
def holdings(draw, *, most=4, balances=2, symbols=tuple(SYMBOLS)):
    """(positions, owned balances) of one portfolio: quantities by name."""
    chosen = draw(st.lists(st.sampled_from(symbols), max_size=most, unique=True))
    assets = draw(st.lists(st.sampled_from(["BTC", "ETH", "EUR", "USDC"]), max_size=balances, unique=True))
    return {s: draw(quantities) for s in chosen}, {a: draw(decimals(0, 9)) for a in assets}


def stands(holding, market, model=CORE, orders=(), **terms):
    world = alone(*holding, market=market, assets=ASSETS)
    return standing_of(world, rules_of(model, haircuts=PLAIN, **terms), orders)


def maintenance(holding, market, model=CORE):
    return float(stands(holding, market, model).maintenance_margin[0])


def initial(holding, market, model=CORE):
    return float(stands(holding, market, model).initial_margin[0])


def together(*parts):
    """Return the sum of portfolios; hundredths, so that it is exact."""
    totals = []
    for k in range(2):
        total = Counter()
        for part in parts:
            for key, quantity in part[k].items():
                total[key] += round(quantity * 100)
        totals.append({key: hundredths / 100 for key, hundredths in total.items()})
    return tuple(totals)


def times(n, holding):
    return tuple({key: quantity * n for key, quantity in part.items()} for part in holding)


def size(holding):
    return sum(abs(quantity) for part in holding for quantity in part.values()) * 1000 + 1


def without_owned(holding):
    """Return the positions with every long option short: nothing of them is owned outright."""
    return {s: -abs(q) if s in OPTIONS else q for s, q in holding[0].items()}, {}


# --- P1 normalisation, P11 order of levels


@pytest.mark.parametrize("positions", [{}, dict.fromkeys(SYMBOLS, 0.0)], ids=["nothing", "flat"])
def test_nothing_owes_nothing(positions):
    found = stands((positions, {}), market_of(), HOUSE)
    assert found.maintenance_margin[0] == found.initial_margin[0] == 0


@pytest.mark.parametrize("model", [HOUSE, STEEP], ids=["thin markets", "steep basis"])
@given(drawn=worlds_and_orders())
@few
def test_initial_is_at_least_maintenance_is_at_least_zero_with_orders_or_without(model, drawn):
    world, orders = drawn
    plain, ordered = standing_of(world, model), standing_of(world, model, orders)
    assert (plain.initial_margin >= plain.maintenance_margin).all()
    assert (plain.maintenance_margin >= 0).all()
    assert (ordered.initial_margin >= plain.initial_margin).all()


# --- P2 sub-additivity, P3 homogeneity


@given(holdings(), holdings(), markets())
@few
def test_before_add_ons_two_portfolios_together_owe_no_more_than_apart(one, other, market):
    both = together(one, other)
    apart = maintenance(one, market) + maintenance(other, market)
    assert maintenance(both, market) <= apart + 1e-12 * size(both)


def test_a_matched_basis_may_cost_more_together_than_apart():
    """Nearest expiries match first: two calendars of one length each become a short one and a long one."""
    market = market_of(vol=0.5)
    one = {"BTC-PERP": 1.0, "BTC-C-100-7D": -1.0}, {}
    other = {"BTC-C-110": 1.0, "BTC-FUT": -1.0}, {}
    model = before_add_ons(basis=HOUSE.basis)
    basis = [dict(stands(h, market, model).requirement.terms.of_pool(0)).get("basis BTC", 0.0) for h in (one, other)]
    both = dict(stands(together(one, other), market, model).requirement.terms.of_pool(0)).get("basis BTC", 0.0)
    assert both > sum(basis) + 0.01


def test_a_hedge_in_another_expiry_may_cost_basis():
    market = market_of()
    one, hedge = ({"BTC-PERP": 3.0}, {}), ({"BTC-FUT": -1.5}, {})
    terms = dict(stands(together(one, hedge), market, HOUSE).requirement.terms.of_pool(0))
    assert terms["basis BTC"] > 0.0 == dict(stands(one, market, HOUSE).requirement.terms.of_pool(0)).get("basis BTC", 0)


@given(holdings(), markets(), st.sampled_from([2, 3, 7, 0.5]))
@few
def test_before_add_ons_n_times_a_portfolio_owes_n_times_as_much(one, market, n):
    for owed in (maintenance, initial):
        assert owed(times(n, one), market) == pytest.approx(n * owed(one, market), rel=1e-12, abs=1e-11 * size(one))


@given(holdings(), markets(), st.integers(2, 7))
@few
def test_with_add_ons_n_times_a_portfolio_owes_at_least_n_times_as_much(one, market, n):
    one = without_owned(one)
    less = maintenance(one, market, HOUSE)
    assert maintenance(times(n, one), market, HOUSE) >= n * less * (1 - 1e-12) - 1e-11 * size(one)


def test_concentration_makes_a_whole_dearer_than_its_halves():
    market = market_of()
    half = {"ETH-PERP": 20.0}, {}
    assert maintenance(times(2, half), market, HOUSE) > 2.2 * maintenance(half, market, HOUSE)


# --- P4 cross never owes more than isolated


@pytest.mark.parametrize("model", [HOUSE, DEEP], ids=["thin markets", "documented depth"])
@given(drawn=worlds_and_orders(most=2))
@settings(max_examples=10)
def test_cross_margin_never_costs_more_than_isolated_on_the_document(model, drawn):
    world, _ = drawn
    standing = standing_of(world.but(pools=()), model)
    for account in document(standing)["accounts"]:
        scale = abs(account["collateral_value"]) + account["isolated_margin"] + 1
        assert account["maintenance_margin"] <= account["isolated_margin"] + 1e-11 * scale


def test_the_shipped_book_saves_against_isolated_margin():
    held = {"BTC-PERP": 3, "BTC-FUT": -1, "ETH-PERP": -2, "DAX-PERP": 1, "OIL-FUT": -1, "BTC-P-90": 2}
    standing = standing_of(alone(held, {"USD": 5000, "BTC": 1}, market=market_of()), load("portfolio"))
    (account,) = document(standing)["accounts"]
    assert 0 < account["maintenance_margin"] < 0.8 * account["isolated_margin"]


def test_where_a_basis_binds_its_cap_in_two_groups_cross_may_exceed_isolated():
    """Coins of two groups offset each other when they stand alone; the caps of their groups do not see it."""
    world = alone({"EUR-FUT": -10, "BTC-FUT": -2}, {"EUR": 500, "BTC": 4}, market=market_of())
    standing = standing_of(world, STEEP)
    assert standing.maintenance_margin[0] > isolated_margins(standing)[0] * 1.01
    # At the documented basis these expiries are years from their caps.
    standing = standing_of(world, HOUSE)
    assert standing.maintenance_margin[0] < isolated_margins(standing)[0] / 2


# --- P5 capped offsets


@given(holdings(symbols=PAID_AT_HOME), markets(), st.sampled_from([0.2, 0.5, 0.8, 1.0]))
@few
def test_what_counts_of_offsets_is_between_nothing_and_its_limit(one, market, limit):
    one = without_owned(one)
    gross, found = (
        maintenance(one, market, before_add_ons(offset_limit=c, grid=NO_GRID, short_option_minimum=0.0))
        for c in (0.0, limit)
    )
    assert (1 - limit) * gross * (1 - 1e-12) <= found <= gross * (1 + 1e-12)


@given(holdings(symbols=PAID_AT_HOME), markets())
@few
def test_more_offset_never_owes_more(one, market):
    owed = [maintenance(one, market, before_add_ons(offset_limit=c)) for c in (0.0, 0.5, 0.8, 1.0)]
    assert all(b <= a * (1 + 1e-12) + 1e-12 for a, b in pairwise(owed))


def test_what_is_paid_in_a_moving_asset_may_owe_more_in_the_whole_than_in_its_groups():
    # Group by group the price moves at today's rate and the rate at today's price: the product of both is left out.
    held = {"DAX-PERP": -0.1}, {}
    model = before_add_ons(grid=NO_GRID, short_option_minimum=0.0)
    apart, whole = (maintenance(held, market_of(), replace(model, offset_limit=c)) for c in (0.0, 1.0))
    assert apart < whole < apart * 1.05


# --- P6 more or larger scenarios


@given(holdings(), markets())
@few
def test_more_stressed_scenarios_and_a_heavier_weight_never_owe_less(one, market):
    crashes = StressFacts().crashes
    some = StressFacts(crashes={day: crashes[day] for day in list(crashes)[:3]}, squeezes={}, depegs=(0.9,))
    fewer = before_add_ons(joint=replace(JOINT, stress=some))
    assert maintenance(one, market) >= maintenance(one, market, fewer) * (1 - 1e-12)
    heavier = before_add_ons(measure=TailMeasure(confidence=0.975, stress_weight=0.6))
    assert maintenance(one, market, heavier) >= maintenance(one, market) * (1 - 1e-12)


def test_more_ordinary_scenarios_may_owe_less():
    measure = TailMeasure(confidence=0.5, stress_weight=0.0)
    few_of_them, more = (np.array([[30.0, 10.0, 0.0, 0.0, *more]]) for more in ([], [0.0, 0.0]))
    assert cores(few_of_them, 4, measure)[0] == 20.0
    assert cores(more, 6, measure)[0] == pytest.approx(40 / 3)


@given(quantities, st.floats(1, 3))
@few
def test_a_larger_vol_never_owes_less_for_a_straight_contract(quantity, factor):
    market = market_of().with_(history=None)
    owed = [
        maintenance(({"OIL-FUT": quantity}, {}), market.with_(vol_annual={"OIL": vol})) for vol in (0.3, 0.3 * factor)
    ]
    assert owed[1] >= owed[0] * (1 - 1e-12)


# --- P7 hedges


@given(holdings(), holdings(most=1, balances=0), markets())
@few
def test_before_add_ons_a_hedge_never_costs_more_than_it_would_alone(one, hedge, market):
    both = together(one, hedge)
    assert maintenance(both, market) <= maintenance(one, market) + maintenance(hedge, market) + 1e-12 * size(both)


@given(holdings(balances=0), markets())
@few
def test_a_portfolio_and_its_opposite_owe_nothing_add_ons_and_all(one, market):
    found = stands(together(one, times(-1, one)), market, HOUSE)
    assert found.maintenance_margin[0] == found.initial_margin[0] == 0


# --- P8 paid-up long options


@given(holdings(), markets(), decimals(0, 9, 1), st.sampled_from(sorted(OPTIONS)))
@few
def test_before_add_ons_buying_an_option_never_adds_more_than_it_is_worth(one, market, quantity, symbol):
    bought = {symbol: quantity}, {}
    value = float(stands(bought, market).worth.net_option_value[0])
    both = together(one, bought)
    assert maintenance(both, market) <= maintenance(one, market) + value + 1e-12 * size(both)


@given(holdings(), markets())
@few
def test_what_is_owned_outright_never_owes_more_than_it_counts_add_ons_and_buffer_included(one, market):
    positions, balances = one
    long = {s: abs(q) for s, q in positions.items() if s in OPTIONS}
    for model in (HOUSE, STEEP):
        found = stands((long, balances), market, model)
        counted = found.worth.collateral_value[0] + found.worth.net_option_value[0]
        assert found.initial_margin[0] <= counted * (1 + 1e-12) + 1e-12
        assert not found.owes[0]


def test_among_other_positions_a_bought_option_may_cost_more_than_its_value():
    """Its delta concentrates the book further: the perpetuals are dearer to sell as well."""
    market = market_of(vol=0.5)
    one, bought = ({"BTC-PERP": 90.0}, {}), ({"BTC-C-100-7D": 5.0}, {})
    model = house(liquidity=liquidity_of(1e-9))
    value = float(stands(bought, market).worth.net_option_value[0])
    assert maintenance(together(one, bought), market, model) > maintenance(one, market, model) + value * 1.05


# --- P9 haircuts


@given(holdings(), markets(), st.floats(0, 1), st.floats(0, 1))
@few
def test_a_larger_haircut_never_raises_what_counts(one, market, a, b):
    low, high = sorted((a, b))
    found = [
        standing_of(
            alone(*one, market=market, assets=ASSETS),
            rules_of(HOUSE, haircuts=HaircutPolicy(by_class={"other": Tiers.flat(h)})),
        )
        for h in (low, high)
    ]
    assert found[1].margin_balance[0] <= found[0].margin_balance[0] + 1e-12 * size(one)
    assert found[1].worth.net_value[0] == found[0].worth.net_value[0]


def test_what_its_owner_issued_counts_nothing_and_still_covers_a_short():
    """Weight 0: no value, no loss; beside a short of the same coin it gains as the short loses."""
    assets = tuple(replace(a, issuer="a") if a.symbol == "BTC" else a for a in ASSETS)
    rules = rules_of(CORE, haircuts=replace(PLAIN, wrong_way=WrongWay()))

    def owed(positions, balances):
        return standing_of(alone(positions, balances, market=market_of(), assets=assets), rules)

    held = owed({}, {"BTC": 5})
    assert held.worth.collateral_value[0] == held.maintenance_margin[0] == 0
    naked, covered = owed({"BTC-PERP": -4}, {}), owed({"BTC-PERP": -4}, {"BTC": 5})
    assert covered.margin_balance[0] == naked.margin_balance[0]
    assert covered.maintenance_margin[0] < 0.01 * naked.maintenance_margin[0]


# --- P10 deposits


@given(holdings(), markets(), decimals(0.01, 500), st.data())
@few
def test_a_deposit_of_the_reporting_currency_counts_in_full_and_changes_no_requirement(one, market, amount, data):
    orders = data.draw(orders_of(alone(*one, market=market)))
    before = stands(one, market, HOUSE, orders)
    after = stands((one[0], {**one[1], "USD": amount}), market, HOUSE, orders)
    assert after.maintenance_margin[0] == before.maintenance_margin[0]
    assert after.initial_margin[0] == before.initial_margin[0]
    gained = after.margin_balance[0] - before.margin_balance[0]
    assert gained == pytest.approx(amount, rel=1e-12, abs=1e-13 * size(one))
    assert after.status[0] <= before.status[0]


def test_a_deposit_of_a_thin_coin_may_leave_less_room_than_before():
    """The owner is larger in the coin: what is sold with it is dearer to sell."""
    market = market_of()
    one = {"ETH-PERP": 300.0}, {}
    before, after = (stands(h, market, HOUSE) for h in (one, (one[0], {"ETH": 30.0})))
    assert after.worth.equity[0] > before.worth.equity[0]
    room = [float(s.margin_balance[0] - s.initial_margin[0]) for s in (before, after)]
    assert room[1] < room[0]


# --- P12 continuity


@given(holdings(), st.sampled_from([-1, 1]), decimals(60, 170, 1))
@few
def test_a_small_step_of_the_price_changes_maintenance_by_a_small_step(one, sign, price):
    at_price, beside = (maintenance(one, market_of(btc=btc), DEEP) for btc in (price, price * (1 + sign * 1e-9)))
    # Marks are rounded to four digits in these markets: a step of 1e-4 and of 1e-9.
    assert abs(at_price - beside) <= 2e-4 * size(one) / 100


# --- P13 order, rows, names, who else is there


def told(world, rules, orders=()):
    """The whole document as text: equal texts are equal to the last bit."""
    return json.dumps(document(standing_of(world, rules, orders)), sort_keys=True)


@given(drawn=worlds_and_orders(), seed=st.integers(0, 2**31))
@settings(max_examples=5)
def test_the_order_of_anything_in_a_book_changes_no_bit_of_the_document(drawn, seed):
    world, orders = drawn
    mixed = random.Random(seed)

    def shuffled(rows):
        return tuple(mixed.sample(rows, len(rows)))

    accounts = tuple(replace(a, positions=shuffled(a.positions), balances=shuffled(a.balances)) for a in world.accounts)
    other = world.but(
        accounts=shuffled(accounts),
        instruments=shuffled(world.instruments),
        assets=shuffled(world.assets),
        locations=shuffled(world.locations),
        pools=tuple(replace(pool, accounts=shuffled(pool.accounts)) for pool in world.pools),
    )
    rules = rules_of(HOUSE)
    assert told(other, rules, orders) == told(world, rules, orders)


@given(drawn=worlds_and_orders(), data=st.data())
@settings(max_examples=8)
def test_the_order_of_orders_changes_initial_margin_by_no_more_than_rounding(drawn, data):
    world, orders = drawn
    one = standing_of(world, HOUSE, orders)
    other = standing_of(world, HOUSE, tuple(data.draw(st.permutations(orders))))
    assert other.initial_margin == pytest.approx(one.initial_margin, rel=1e-12, abs=1e-9)
    np.testing.assert_array_equal(other.maintenance_margin, one.maintenance_margin)


@given(worlds(most=2))
@few
def test_splitting_rows_in_two_changes_no_bit_of_a_requirement(world):
    def halves(position):
        part = round(position.quantity / 3, 1)
        fence = position.isolated_collateral
        rest = replace(
            position,
            quantity=round(position.quantity - part, 1),
            isolated_collateral=None if fence is None else 0.0,
        )
        return [replace(position, quantity=part), rest]

    def split(account):
        balances = [
            replace(b, amount=part)
            for b in account.balances
            for part in (round(b.amount / 4, 2), round(b.amount - round(b.amount / 4, 2), 2))
        ]
        return replace(
            account, positions=tuple(h for p in account.positions for h in halves(p)), balances=tuple(balances)
        )

    one, other = (standing_of(w, HOUSE) for w in (world, world.but(accounts=tuple(map(split, world.accounts)))))
    np.testing.assert_array_equal(one.maintenance_margin, other.maintenance_margin)
    np.testing.assert_array_equal(one.initial_margin, other.initial_margin)
    np.testing.assert_array_equal(one.margin_balance, other.margin_balance)


@given(worlds(most=1))
@few
def test_renaming_instruments_changes_nothing_beyond_rounding(world):
    new = {instrument.symbol: f"{'zyx'[k % 3]}{k}" for k, instrument in enumerate(world.instruments)}
    other = world.but(
        instruments=tuple(replace(i, symbol=new[i.symbol]) for i in world.instruments),
        accounts=tuple(
            replace(a, positions=tuple(replace(p, symbol=new[p.symbol]) for p in a.positions)) for a in world.accounts
        ),
        market=world.market.with_(marks={new[s]: mark for s, mark in world.market.marks.items()}),
    )
    one, two = standing_of(world, HOUSE), standing_of(other, HOUSE)
    # The isolated positions of an account come in the order of their names.
    assert sorted(one.maintenance_margin) == pytest.approx(sorted(two.maintenance_margin), rel=1e-10, abs=1e-9)
    assert one.initial_margin[0] == pytest.approx(two.initial_margin[0], rel=1e-10, abs=1e-9)


@given(drawn=worlds_and_orders())
@settings(max_examples=5)
def test_what_an_account_owes_does_not_depend_on_accounts_of_other_owners(drawn):
    world, orders = drawn
    world = world.but(pools=(), accounts=tuple(replace(a, owner=a.id) for a in world.accounts))
    whole = {a["id"]: a for a in document(standing_of(world, HOUSE, orders))["accounts"]}
    for account in world.accounts:
        mine = tuple(o for o in orders if o.account == account.id)
        (lonely,) = document(standing_of(world.but(accounts=(account,)), HOUSE, mine))["accounts"]
        assert_same(lonely, whole[account.id])


def test_another_account_of_the_same_owner_makes_a_position_dearer():
    def book(owner):
        held = (Position(symbol="ETH-PERP", quantity=50),)
        accounts = tuple(Account(id=name, owner=who, positions=held) for name, who in (("a", "a"), ("b", owner)))
        return standing_of(World(accounts=accounts, market=market_of()), HOUSE).maintenance_margin

    strangers, siblings = book("b"), book("a")
    assert siblings[0] == siblings[1] > strangers[0] * 1.2 == strangers[1] * 1.2


# --- P14 size, and splitting an owner


@given(markets(), quantities, st.floats(1, 3), st.sampled_from(SYMBOLS))
@few
def test_a_larger_position_never_owes_less(market, quantity, factor, symbol):
    less, more = (initial(({symbol: q}, {}), market, HOUSE) for q in (quantity, quantity * factor))
    assert more >= less * (1 - 1e-12)


def of_owner(parts, market, model, names=("liquidity", "vega")):
    """Return (all maintenance, liquidity and vega terms) of one owner whose accounts hold the parts."""
    accounts = tuple(
        Account(
            id=f"a{k}",
            owner="house",
            positions=tuple(Position(symbol=s, quantity=q) for s, q in positions.items()),
            balances=tuple(Balance(asset=a, amount=n) for a, n in balances.items()),
        )
        for k, (positions, balances) in enumerate(parts)
    )
    world = World(accounts=accounts, market=market, assets=ASSETS)
    standing = standing_of(world, rules_of(model, haircuts=PLAIN))
    terms = [t for p in range(len(parts)) for t in standing.requirement.terms.of_pool(p)]
    return float(standing.maintenance_margin.sum()), sum(v for n, v in terms if n.split(" ")[0] in names)


@given(holdings(), holdings(), markets(), st.sampled_from([0.0, 0.3, 0.5, 1.0]))
@few
def test_splitting_an_owner_into_pools_never_pays_in_liquidity_and_vega(one, other, market, share):
    # Everything counts, nothing is left out: the add-on alone.
    one, other = without_owned(one), without_owned(other)
    parts = [together(times(share, one), other), times(1 - share, one)]
    whole = together(one, other)
    split, joined = (of_owner(p, market, HOUSE)[1] for p in (parts, [whole]))
    assert split >= joined * (1 - 1e-9) - 1e-10 * size(whole)


@given(holdings(), markets(), decimals(0, 1, 1))
@few
def test_splitting_a_book_into_like_parts_never_lowers_what_they_owe_together(one, market, share):
    one = without_owned(one)
    parts = [times(share, one), times(1 - share, one)]
    assert of_owner(parts, market, HOUSE)[0] >= of_owner([one], market, HOUSE)[0] * (1 - 1e-9) - 1e-10 * size(one)


# --- pools


@given(holdings(), holdings(), markets())
@few
def test_before_add_ons_a_pool_of_one_owner_owes_no_more_than_its_members(one, other, market):
    def account(name, holding):
        positions, balances = holding
        return Account(
            id=name,
            owner="house",
            positions=tuple(Position(symbol=s, quantity=q) for s, q in positions.items()),
            balances=tuple(Balance(asset=a, amount=n) for a, n in balances.items()),
        )

    world = World(accounts=(account("a", one), account("b", other)), market=market, assets=ASSETS)
    rules = rules_of(CORE, haircuts=PLAIN)
    apart = standing_of(world, rules)
    pooled = standing_of(world.but(pools=(Pool(id="both", accounts=("a", "b")),)), rules)
    scale = size(one) + size(other)
    assert pooled.maintenance_margin.sum() <= apart.maintenance_margin.sum() + 1e-12 * scale


def test_the_strictest_credit_tier_may_make_a_pool_cost_more():
    accounts = tuple(
        Account(id=name, owner="o", credit=tier, positions=(Position(symbol=symbol, quantity=q),))
        for name, tier, symbol, q in (("a", "prime", "BTC-PERP", 10), ("b", "basic", "BTC-PERP", 1))
    )
    world = World(accounts=accounts, market=market_of(), assets=ASSETS)
    rules = rules_of(CORE, haircuts=PLAIN)
    apart = standing_of(world, rules)
    pooled = standing_of(world.but(pools=(Pool(id="both", accounts=("a", "b")),)), rules)
    assert pooled.initial_margin.sum() > apart.initial_margin.sum() * 1.1
    assert pooled.maintenance_margin.sum() == pytest.approx(apart.maintenance_margin.sum())


# --- open orders


def subsets(items):
    return chain.from_iterable(combinations(items, n) for n in range(len(items) + 1))


@given(drawn=worlds_and_orders(most=1))
@settings(max_examples=15)
def test_orders_are_exact_for_grids_and_an_upper_bound_for_shortfalls_over_all_subsets_of_fills(drawn):
    world, orders = drawn
    assume(orders)
    standing = standing_of(world, HOUSE, orders)
    figures = HOUSE.ingredients(standing.portfolios)
    twin = Twin(world, rules_of(HOUSE), standing.valuation)
    holding, facts = twin.holdings[0], twin.facts
    live = [o for o in orders if not o.reduce_only and o.quantity]
    assume(live)

    def filled(subset):
        found = list(holding)
        for k, order in enumerate(subset):
            instrument = twin.prices.instruments[order.symbol]
            size_of, swap = float(instrument.contract_size), instrument.inverse and not isinstance(instrument, Option)
            paid = order.quantity * (-size_of / order.limit if swap else size_of * order.limit)
            whole, parts = twin.contract_parts(order.symbol, order.quantity, paid)
            found.append(replace(holding[0], name=k, joint=whole, parts=parts) if holding else None)
        return [h for h in found if h is not None]

    assume(holding)
    grids, joints, groups = [], [], []
    for subset in subsets(live):
        book = filled(subset)
        of_group = [core_of_group(book, g, facts) for g in groups_of(book)]
        groups.append(sum(c for c, _ in of_group))
        grids.append(sum(g for _, g in of_group))
        joints.append(core(added([h.joint for h in book]), facts))
    scale = 1e-9 * (1 + max(joints) + max(grids))
    ordered = figures.with_orders
    assert ordered.groups[0, 0] >= max(groups) - scale
    assert ordered.grids[0, 0] >= max(grids) - scale
    losses = figures.joint[0, 0] + ordered.joint[0]
    assert cores(losses[None], figures.ordinary, HOUSE.measure)[0] >= max(joints) - scale
    # An order that moves in one group fills or not the same way for all of it.
    if all(len({p.group for p in twin.contract_parts(o.symbol, 1.0, 0.0)[1]}) <= 1 for o in live) and not any(
        twin.prices.instruments[o.symbol].settle != world.market.currency for o in live
    ):
        assert ordered.grids[0, 0] == pytest.approx(max(grids), rel=1e-9, abs=scale)


def test_for_a_shortfall_the_bound_is_not_exact():
    """A buy and a sale hurt in different scenarios of one tail; no subset of fills loses in both."""
    market = market_of()
    mark = market.marks["BTC-PERP"].price
    both = tuple(Order(account="a", symbol="BTC-PERP", quantity=q, limit=mark) for q in (1.0, -1.0))
    model = before_add_ons(grid=NO_GRID, measure=TailMeasure(confidence=0.5, stress_weight=0.0))
    bound = initial_with(({}, {}), market, model, both)
    exact = max(initial(({"BTC-PERP": q}, {}), market, model) for q in (-1.0, 0.0, 1.0))
    assert bound > exact * 1.2


def initial_with(holding, market, model, orders):
    return float(stands(holding, market, model, orders).initial_margin[0])


@given(drawn=worlds_and_orders())
@settings(max_examples=5)
def test_orders_change_neither_maintenance_nor_liquidation_prices(drawn):
    world, orders = drawn
    rules = rules_of(HOUSE)
    plain, ordered = (document(standing_of(world, rules, o)) for o in ((), orders))
    for one, other in zip(
        [*plain["accounts"], *plain["pools"]], [*ordered["accounts"], *ordered["pools"]], strict=True
    ):
        for key in ("maintenance_margin", "breakdown", "liquidation", "equity", "isolated_margin"):
            assert one[key] == other[key], key
        for a, b in zip(one["positions"], other["positions"], strict=True):
            assert a == b
        assert other["initial_margin"] >= one["initial_margin"]


def test_a_reduce_only_order_adds_nothing_and_a_limit_through_the_mark_costs_at_once():
    market = market_of()
    one = {"BTC-PERP": 5.0}, {}
    mark = market.marks["BTC-PERP"].price
    plain = initial(one, market, HOUSE)

    def with_order(**terms):
        return initial_with(one, market, HOUSE, (Order(account="a", symbol="BTC-PERP", **terms),))

    assert with_order(quantity=-3.0, limit=mark - 10, reduce_only=True) == plain
    assert with_order(quantity=-3.0, limit=mark) == pytest.approx(plain, rel=1e-12)
    assert with_order(quantity=-3.0, limit=mark - 10) == pytest.approx(plain + 30, rel=1e-12)
    assert with_order(quantity=3.0, limit=mark) > plain * 1.4


# --- negative prices


@pytest.mark.parametrize("price", [3.30, 0.01, 0.0, -3.70, -37.63])
def test_oil_falls_through_zero_and_every_figure_stays_finite(price):
    held = {i.symbol: 3.0 for i in ANY_DOMAIN} | {"OIL-C-5": -2.0, "OIL-P-0": -2.0}
    standing = standing_of(alone(held, {"USD": 3000}, market=market_of(oil=price)), HOUSE)
    (account,) = document(standing)["accounts"]
    assert np.isfinite(account["maintenance_margin"])
    assert account["initial_margin"] >= account["maintenance_margin"] > 0
