"""Derive-style rule books: whole books against a slow twin, what each claims, and what it does not."""

from dataclasses import replace
from datetime import timedelta
from math import fsum, nan

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Position
from crossmargin.errors import InvalidRules, NotMargined
from crossmargin.instruments import Perpetual
from crossmargin.margin.derive import Basis, Scenarios
from crossmargin.margin.derive_portfolio import CollateralRates
from crossmargin.market import Mark, Market
from crossmargin.rules import load
from crossmargin.standing import document, isolated_margins
from tests.strategies import (
    ASSETS,
    COIN_OPTIONS,
    INSTRUMENTS,
    OPTIONS,
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
from tests.twins import derive as twin
from tests.twins.pools import twin_collateral, twin_pools
from tests.twins.prices import Prices

NAMES = ("derive-portfolio", "derive-portfolio-v1", "derive-standard")
TWINS = dict(zip(NAMES, (twin.portfolio, twin.portfolio_v1, twin.standard), strict=True))
LISTED = (*(i for i in INSTRUMENTS if isinstance(i, Perpetual) and not i.inverse), *OPTIONS)
SHIPPED = {name: load(name) for name in NAMES}
RULES = {name: rules_of(book.model, option_value=book.option_value) for name, book in SHIPPED.items()}
every_book = pytest.mark.parametrize("name", NAMES)
few = settings(max_examples=25)


def sizes(world):
    prices = Prices(world)
    return 1 + sum(
        sum(prices.notional(s, q) for s, q in pool.quantity.items())
        + sum(abs(amount) * prices.fx(key[1]) for key, amount in pool.balances.items())
        for pool in twin_pools(world, prices)
    )


def standing_of(name, positions, balances=(), market=None, **terms):
    world = alone(positions, balances, market=market or market_of(), instruments=LISTED, assets=ASSETS, **terms)
    return world.standing(RULES[name])


def owed(name, positions, balances=(), market=None):
    """Return (maintenance, initial) of one account."""
    standing = standing_of(name, positions, balances, market)
    return float(standing.maintenance_margin[0]), float(standing.initial_margin[0])


# --- whole books


@every_book
@given(worlds(LISTED))
@settings(max_examples=60)
def test_every_pool_of_a_book_owes_what_the_slow_twin_says(name, world):
    rules, prices = RULES[name], Prices(world)
    standing = world.standing(rules)
    pools, scale = twin_pools(world, prices), sizes(world)
    assert len(pools) == standing.pools.count
    for p, pool in enumerate(pools):
        counted, _ = twin_collateral(world, rules.haircuts, pool, prices)
        maintenance, initial = TWINS[name](world, rules.model, pool, counted, prices)
        credit = rules.credit_factors[standing.pools.credit[p]]
        assert standing.maintenance_margin[p] == pytest.approx(maintenance, rel=1e-9, abs=1e-11 * scale)
        assert standing.requirement.initial[p] == pytest.approx(initial * credit, rel=1e-9, abs=1e-11 * scale)


@every_book
@given(worlds(LISTED))
@few
def test_terms_and_shares_add_up_to_the_requirement_exactly(name, world):
    standing = world.standing(RULES[name])
    found, pools = standing.requirement, standing.pools
    for p in range(pools.count):
        shares = [*found.leg_share[pools.leg_pool == p], *found.balance_share[pools.balance_pool == p]]
        assert fsum(amount for _, amount in found.terms.of_pool(p)) == found.maintenance[p]
        assert fsum(shares) == found.maintenance[p]


@every_book
@given(worlds(LISTED, most=2))
@settings(max_examples=15)
def test_shares_are_those_of_a_small_growth_of_each_leg(name, world):
    """Euler: a leg's share is its quantity times what one more of it would cost, away from kinks."""
    model = RULES[name].model
    base = world.standing(RULES[name])
    portfolios, found = base.portfolios, base.requirement
    for leg in range(len(portfolios.leg_row)):
        changed = []
        for step in (1e-6, -1e-6):
            quantity = portfolios.pools.leg_quantity.copy()
            quantity[leg] *= 1 + step
            pools = replace(portfolios.pools, leg_quantity=quantity)
            changed.append(model.ingredients(replace(portfolios, pools=pools))[:, 0].sum())
        up, down = changed[0] - found.maintenance.sum(), found.maintenance.sum() - changed[1]
        if abs(up - down) < 1e-6 * (abs(up) + abs(down)):
            assert found.leg_share[leg] == pytest.approx((up + down) / 2e-6, rel=1e-5, abs=1e-6 * sizes(world))


@every_book
@given(worlds(LISTED, most=2))
@few
def test_the_document_of_a_book_can_be_written(name, world):
    for account in document(world.but(pools=()).standing(RULES[name]))["accounts"]:
        assert fsum(term["amount"] for term in account["breakdown"]) == pytest.approx(account["maintenance_margin"])
        assert account["initial_margin"] >= account["maintenance_margin"] >= 0


@every_book
def test_a_pool_of_balances_alone_owes_at_most_what_they_cost(name):
    cash = standing_of(name, {}, {"USD": 1000.0})
    assert cash.maintenance_margin[0] == cash.initial_margin[0] == 0
    maintenance, initial = owed(name, {}, {"USD": 1000.0, "BTC": 1.0, "USDC": 500.0})
    assert 0 <= maintenance <= initial < 100.0 + 500.0


@every_book
@pytest.mark.parametrize(
    "instrument",
    [i for i in INSTRUMENTS if i.symbol in ("BTC-FUT", "BTC-INV", "OIL-C-5")] + [COIN_OPTIONS[0]],
    ids=["dated future", "inverse perpetual", "price below zero", "coin-settled option"],
)
def test_contracts_that_the_venue_does_not_list_are_refused(name, instrument):
    world = alone({instrument.symbol: 1.0}, market=market_of())
    with pytest.raises(NotMargined, match=instrument.symbol):
        world.standing(RULES[name])


@every_book
def test_american_options_are_refused(name):
    american = option("AMERICAN", "BTC", "call", 110, exercise="american")
    market = replace(market_of(), marks={"AMERICAN": Mark(iv=0.6)})
    with pytest.raises(NotMargined, match="AMERICAN"):
        alone({"AMERICAN": 1.0}, market=market, instruments=(american,)).standing(RULES[name])


@every_book
def test_the_worst_scenario_is_told_by_name(name):
    worst = standing_of(name, {"BTC-PERP": 1.0}).requirement.worst
    if name == "derive-standard":
        assert worst is None
        return
    told = worst.name(int(worst.block[0]), int(worst.scenario[0]))
    assert told.startswith(("BTC price -18.0%", "BTC price -15.0%"))
    assert worst.loss[0] == pytest.approx(100.2 * (0.18 if name == "derive-portfolio" else 0.15))
    empty = standing_of(name, {}).requirement.worst
    assert empty.scenario[0] == -1


@every_book
def test_liquidation_prices_are_roots(name):
    """A perpetual alone: maintenance margin is a share of its price, so the root has a formula."""
    share = {"derive-portfolio": 0.8 * 0.18, "derive-portfolio-v1": 0.15, "derive-standard": 0.05}[name]
    index_share = {"derive-portfolio": 0.015, "derive-portfolio-v1": 0.025, "derive-standard": 0.0}[name]
    standing = standing_of(name, [Position(symbol="BTC-PERP", quantity=2.0, entry_price=100.2)], {"USD": 60.0})
    found = document(standing)["accounts"][0]["liquidation"]["BTC"]
    # 60 + 2 (1.002 x - 100.2) = 2 (share x 1.002 x + index_share x)
    root = (2 * 100.2 - 60) / (2 * (1.002 - share * 1.002 - index_share))
    assert found["below"] == pytest.approx(root, rel=1e-9)
    assert found["above"] is None


# --- what the formulas say, by hand


def test_a_perpetual_below_its_peg_owes_more_initial_margin_only():
    sound, broken = (owed("derive-portfolio", {"ETH-PERP": 1.0}, market=market_of(usdc=usdc)) for usdc in (0.99, 0.90))
    # 10 coins at 10 USDC: 18% x 0.8 and 1.5%; 18% and 2%; below the peg (0.98 - 0.90) x 2 of the loss on top.
    assert sound == pytest.approx((100 * 0.99 * (0.144 + 0.015), 100 * 0.99 * (0.18 + 0.02)))
    assert broken == pytest.approx((100 * 0.90 * (0.144 + 0.015), 100 * 0.90 * (0.18 * 1.16 + 0.02)))
    sound, broken = (owed("derive-standard", {"ETH-PERP": 1.0}, market=market_of(usdc=usdc)) for usdc in (0.99, 0.90))
    assert sound == pytest.approx((100 * 0.99 * 0.05, 100 * 0.99 * 0.065))
    assert broken == pytest.approx((100 * 0.90 * 0.05, 100 * 0.90 * (0.065 + 0.08 * 1.2)))


def test_a_coin_offsets_what_is_short_on_it_and_only_with_contracts_beside_it():
    short = {"BTC-PERP": -1.0}
    naked, covered = (owed("derive-portfolio", short, {"BTC": units})[0] for units in (0.0, 1.0))
    # Alone the short loses 18.0% of 100.2 up, damped 0.8; covered, the coin's 100 gains nearly all of that.
    assert naked == pytest.approx(0.8 * 0.18 * 100.2 + 1.5)
    kept = 100 * 0.95  # what counts of the coin under these rules
    assert covered == pytest.approx(0.8 * 0.18 * (100.2 - kept) + 1.5 + 0.02 * kept)
    assert owed("derive-portfolio", {}, {"BTC": 1.0})[0] == pytest.approx(0.25 * kept)


def test_a_coin_that_is_owed_is_charged_without_contracts():
    # 10 x 100 owed: up 18% x 0.8 and 2%; up 15% and 2.5%; 5%
    for name, rate in zip(NAMES, (0.8 * 0.18 + 0.02, 0.15 + 0.025, 0.05), strict=True):
        assert owed(name, {}, {"BTC": -10.0, "USD": 5000.0})[0] == pytest.approx(1000 * rate)


def test_over_the_last_half_hour_what_is_settled_no_longer_moves():
    """A call far in the money is a forward: 15 minutes before, half of a move reaches it."""
    soon = option("SOON", "BTC", "call", 10, TIME + timedelta(minutes=15))
    week = option("WEEK", "BTC", "call", 10, TIME + timedelta(days=2))
    base = market_of(rate=0.0)
    market = replace(
        base,
        marks={"SOON": Mark(iv=0.1), "WEEK": Mark(iv=0.1)},
        forwards={"BTC": {soon.expiry.date(): 100.0, week.expiry.date(): 100.0}},
    )
    rules = RULES["derive-portfolio-v1"]
    losses = {}
    for symbol in ("SOON", "WEEK"):
        world = alone({symbol: -1.0}, market=market, instruments=(soon, week))
        terms = dict(world.standing(rules).requirement.terms.of_pool(0))
        assert terms["short option contingency"] == pytest.approx(1.0)
        losses[symbol] = terms["scenarios BTC"]
    assert losses == pytest.approx({"SOON": 7.5, "WEEK": 15.0}, rel=1e-6)


def test_a_naked_short_pairs_with_a_long_of_either_type_at_its_strike_only():
    call, put, far = (
        option(s, "BTC", kind, k) for s, kind, k in (("C", "call", 110), ("P", "put", 110), ("F", "call", 111))
    )
    market = replace(market_of(), marks={s: Mark(iv=0.6) for s in "CPF"})

    def contingency(positions):
        world = alone(positions, market=market, instruments=(call, put, far))
        terms = dict(world.standing(RULES["derive-portfolio"]).requirement.terms.of_pool(0))
        return terms.get("short option contingency", 0.0) / (100 * 0.003)

    assert contingency({"C": -2.0, "P": -1.0}) == pytest.approx(3.0)
    assert contingency({"C": -2.0, "P": 1.5}) == pytest.approx(0.5)
    assert contingency({"C": -2.0, "P": 2.0}) == pytest.approx(0.0)
    assert contingency({"C": 2.0, "P": -3.0}) == pytest.approx(1.0)
    assert contingency({"C": -2.0, "F": 2.0}) == pytest.approx(2.0)


def test_a_spread_owes_no_more_than_it_can_lose_and_an_unpaired_call_the_forward_beside():
    market = market_of(rate=0.0)
    # Short a put at 90 and long one at 80 of another expiry: no pair. A short call alone: never capped below 120% of
    # the forward, more than what it owes alone.
    value = standing_of("derive-standard", {"BTC-C-110": -1.0}, market=market).worth.net_option_value[0]
    assert owed("derive-standard", {"BTC-C-110": -1.0}, market=market) == pytest.approx((7.5 - value, 10 - value))
    # A vertical of calls at 110 and 125 (two units a contract): at most 15 a unit, at 125.
    high = owed("derive-standard", {"BTC-C-110": -2.0, "BTC-C-125": 1.0}, market=market_of(vol=3.0, rate=0.0))
    assert high == pytest.approx((30.0, 30.0))


# --- claims


def together(*holdings):
    """Return the sum of quantities; tenths, so that it is exact."""
    total = {}
    for holding in holdings:
        for symbol, quantity in holding.items():
            total[symbol] = total.get(symbol, 0) + round(quantity * 10)
    return {symbol: tenths / 10 for symbol, tenths in total.items()}


portfolios = st.dictionaries(st.sampled_from([i.symbol for i in LISTED]), quantities, max_size=4)


def scale_of(*holdings):
    return 1e4 * (1 + sum(abs(q) for holding in holdings for q in holding.values()))


@every_book
def test_nothing_owes_nothing(name):
    assert owed(name, {}) == (0.0, 0.0)
    assert owed(name, {i.symbol: 0.0 for i in LISTED}) == (0.0, 0.0)


@given(portfolios, portfolios, markets())
@few
def test_the_first_portfolio_book_is_sub_additive(one, other, market):
    for k in (0, 1):
        both = owed("derive-portfolio-v1", together(one, other), market=market)[k]
        apart = sum(owed("derive-portfolio-v1", p, market=market)[k] for p in (one, other))
        assert both <= apart + 1e-12 * scale_of(one, other)


@given(portfolios, markets())
@few
def test_the_first_portfolio_book_asks_no_more_than_for_each_position_alone(one, market):
    whole = owed("derive-portfolio-v1", one, market=market)[0]
    assert whole <= sum(
        owed("derive-portfolio-v1", {s: q}, market=market)[0] for s, q in one.items()
    ) + 1e-12 * scale_of(one)


@given(portfolios, portfolios, markets())
@few
def test_the_second_is_sub_additive_before_its_skews(one, other, market):
    model = SHIPPED["derive-portfolio"].model
    s = model.formula.scenarios
    kept = [k for k in range(len(s.price)) if s.vol[k] < 2]
    plain = Scenarios(
        price=tuple(s.price[k] for k in kept),
        vol=tuple(s.vol[k] for k in kept),
        share=tuple(s.share[k] for k in kept),
    )
    rules = rules_of(replace(model, formula=replace(model.formula, scenarios=plain)))

    def asked(positions):
        world = alone(positions, market=market, instruments=LISTED)
        return float(world.standing(rules).maintenance_margin[0])

    assert asked(together(one, other)) <= asked(one) + asked(other) + 1e-12 * scale_of(one, other)


def test_with_skews_two_legs_may_be_asked_for_more_together_than_apart():
    """A skew charges an expiry for a gain as for a loss: neither P2 nor P4.

    The far call gains under the skew what its sale loses by the discount; the short call at the forward does not
    move. Together they are worth less than nothing, nothing is discounted, and the gain is charged.
    """
    shipped = SHIPPED["derive-portfolio"].model
    formula = replace(
        shipped.formula,
        scenarios=Scenarios(price=(1.0,), vol=(3,), share=(1.0,)),
        basis=Basis(up=1.0, down=1.0, share=0.0, share_per_year=0.0),
    )
    far, at = option("FAR", "BTC", "call", 112), option("AT", "BTC", "call", "100.4")  # the forward is 100.4
    market = replace(market_of(vol=0.5, rate=0.0), marks={"FAR": Mark(iv=0.5), "AT": Mark(iv=0.5)})

    def asked(positions):
        world = alone(positions, market=market, instruments=(far, at))
        standing = world.standing(rules_of(replace(shipped, formula=formula)))
        return dict(standing.requirement.terms.of_pool(0)).get("scenarios BTC", 0.0)

    assert asked({"AT": -0.5}) == 0.0
    assert asked({"FAR": 1.0}) == pytest.approx(0.0098, rel=0.01)
    assert asked({"FAR": 1.0, "AT": -0.5}) == pytest.approx(0.0824, rel=0.01)


def test_with_skews_a_far_call_is_asked_for_more_than_it_is_worth():
    far = option("FAR", "BTC", "call", 180)
    market = replace(market_of(rate=0.0), marks={"FAR": Mark(iv=0.5)})
    standing = alone({"FAR": 1.0}, market=market, instruments=(far,)).standing(RULES["derive-portfolio"])
    assert standing.maintenance_margin[0] > 4 * standing.worth.net_option_value[0] > 0


def test_an_expiry_of_the_standard_book_may_owe_more_than_its_parts():
    """A spread that cannot lose owes nothing, for settling is less than its shorts alone; with a put beside it, whose
    own margin is less than its strike, the lesser of the two sums is more than the sum of the lesser."""
    market = market_of(vol=0.3, rate=0.0)
    spread, put = {"BTC-C-110": 5.0, "BTC-C-125": -1.0}, {"BTC-P-90": -1.0}
    assert owed("derive-standard", spread, market=market)[0] == 0.0
    apart = owed("derive-standard", put, market=market)[0]
    both = owed("derive-standard", together(spread, put), market=market)[0]
    assert both > 2.5 * apart > 0


def test_positions_of_the_standard_book_may_owe_more_than_each_alone():
    low, at = option("LOW", "BTC", "put", 5), option("AT", "BTC", "put", 100)
    market = replace(market_of(rate=0.0), marks={"LOW": Mark(iv=0.6), "AT": Mark(iv=0.6)})

    def asked(positions):
        world = alone(positions, market=market, instruments=(low, at))
        return float(world.standing(RULES["derive-standard"]).maintenance_margin[0])

    # A put at 5 loses 5 at most, one at 100 owes 7.5 and its value: together 15 and their value.
    assert asked({"LOW": -1.0}) == pytest.approx(5.0)
    assert asked({"LOW": -1.0, "AT": -1.0}) == pytest.approx(asked({"LOW": -1.0}) + asked({"AT": -1.0}) + 2.5)


def test_a_coin_costs_another_rate_once_its_contracts_are_held():
    """The second portfolio book is not sub-additive in collateral either: a coin moves only beside contracts on it."""
    tiny = {"BTC-C-125": 0.1}
    alone_, beside = (owed("derive-portfolio", p, {"BTC": 1.0})[0] for p in ({}, tiny))
    assert alone_ == pytest.approx(0.25 * 95)
    assert beside < alone_


@every_book
@given(portfolios, markets(), st.sampled_from([2, 3, 7, 0.5]))
@few
def test_n_times_a_portfolio_owes_n_times_as_much(name, one, market, n):
    times = {symbol: n * quantity for symbol, quantity in one.items()}
    expected = np.array(owed(name, one, market=market)) * n
    assert owed(name, times, market=market) == pytest.approx(tuple(expected), rel=1e-12, abs=1e-12 * n * scale_of(one))


@every_book
@given(portfolios, markets())
@few
def test_a_portfolio_and_its_opposite_owe_nothing(name, one, market):
    opposite = {symbol: -quantity for symbol, quantity in one.items()}
    rows = [Position(symbol=s, quantity=q) for p in (one, opposite) for s, q in p.items()]
    assert owed(name, rows, market=market) == (0.0, 0.0)


@pytest.mark.parametrize("name", NAMES[:2])
@given(portfolios, markets(), st.floats(0.5, 2.0), st.sampled_from([-1, 0, 1]))
@few
def test_a_scenario_more_never_lowers_the_requirement(name, one, market, price, vol):
    model = SHIPPED[name].model
    s = model.formula.scenarios
    more = Scenarios(price=(*s.price, price), vol=(*s.vol, vol), share=(*s.share, 1.0))
    wider = rules_of(replace(model, formula=replace(model.formula, scenarios=more)))
    world = alone(one, market=market, instruments=LISTED)
    before, after = (world.standing(rules) for rules in (RULES[name], wider))
    assert after.maintenance_margin[0] >= before.maintenance_margin[0]
    assert after.initial_margin[0] >= before.initial_margin[0]


@pytest.mark.parametrize("name", ["derive-portfolio-v1", "derive-standard"])
@given(portfolios, st.sampled_from(OPTIONS), decimals(0, 12, 1), markets())
@few
def test_a_bought_option_never_costs_more_than_it_is_worth(name, one, bought, quantity, market):
    h = {bought.symbol: quantity}
    worth = standing_of(name, h, market=market).worth.net_option_value[0]
    most = 0.0 if name == "derive-standard" else worth
    after = owed(name, together(one, h), market=market)[0]
    assert after <= owed(name, one, market=market)[0] + most + 1e-12 * scale_of(one, h)


@every_book
@given(portfolios, markets(), decimals(0.01, 900))
@few
def test_a_deposit_of_the_reporting_currency_changes_no_requirement(name, one, market, deposit):
    assert owed(name, one, {"USD": deposit}, market) == owed(name, one, {}, market)


@every_book
@given(worlds(LISTED, most=2))
@few
def test_initial_is_at_least_maintenance_is_at_least_zero(name, world):
    standing = world.standing(RULES[name])
    assert (standing.initial_margin >= standing.maintenance_margin).all()
    assert (standing.maintenance_margin >= 0).all()


@every_book
@given(portfolios, decimals(60, 170), st.sampled_from([1e-7, -1e-7]))
@few
def test_requirements_are_continuous_in_prices(name, one, btc, step):
    before = np.array(owed(name, one, {"BTC": 1.0}, market_of(btc=btc)))
    after = np.array(owed(name, one, {"BTC": 1.0}, market_of(btc=btc * (1 + step))))
    # market_of states marks to four digits, so a mark may move by 1e-4 at once.
    assert np.abs(after - before).max() <= 20 * 1.1e-4 * (2 + sum(abs(q) for q in one.values()))


@every_book
@given(portfolios, markets(), st.randoms(use_true_random=False))
@few
def test_order_and_splitting_of_rows_change_no_bit(name, one, market, random):
    rows = [Position(symbol=s, quantity=q) for s, q in one.items()]
    split = [Position(symbol=s, quantity=q) for s, whole in one.items() for q in (whole - 3.0, 3.0)]
    random.shuffle(split)
    tidy = {s: float(f"{q:.1f}") for s, q in one.items()}
    split = [Position(symbol=p.symbol, quantity=f"{p.quantity:.1f}") for p in split]
    assert tidy == one
    assert owed(name, split, market=market) == owed(name, rows, market=market)


@every_book
@given(worlds(LISTED, most=3))
@few
def test_a_pool_owes_the_same_whoever_else_is_in_the_book(name, world):
    whole = world.but(pools=()).standing(RULES[name])
    for k, account in enumerate(sorted(world.accounts, key=lambda a: a.id)):
        single = world.but(accounts=(account,), pools=()).standing(RULES[name])
        assert single.maintenance_margin[0] == whole.maintenance_margin[k]
        assert single.initial_margin[0] == whole.initial_margin[k]


@every_book
@given(st.sampled_from([i.symbol for i in LISTED]), decimals(-9, 9, 1), st.floats(1, 5), markets())
@few
def test_a_larger_position_owes_no_less(name, symbol, quantity, factor, market):
    small, large = (owed(name, {symbol: q}, market=market) for q in (quantity, quantity * factor))
    assert np.all(np.array(large) >= np.array(small) * (1 - 1e-12))


@given(worlds(LISTED, most=2))
@few
def test_isolated_margins_of_the_first_portfolio_book_are_at_least_those_of_the_pool(world):
    standing = world.but(pools=()).standing(RULES["derive-portfolio-v1"])
    apart = isolated_margins(standing)
    for account, pool in enumerate(standing.where.of_account.tolist()):
        assert standing.maintenance_margin[pool] <= apart[account] + 1e-10 * sizes(world)


# --- parameters


@pytest.mark.parametrize(
    ("name", "change", "place"),
    [
        ("derive-portfolio", lambda f: replace(f, initial_loss_factor=0.5), "initial_loss_factor"),
        ("derive-portfolio", lambda f: replace(f, static_discount=replace(f.static_discount, long_base=1.1)), "long"),
        ("derive-portfolio", lambda f: replace(f, static_discount=replace(f.static_discount, short_base=0.9)), "short"),
        ("derive-portfolio", lambda f: replace(f, perpetual_rate=-0.1), "perpetual_rate"),
        ("derive-portfolio", lambda f: replace(f, skew=replace(f.skew, least_width=0.0)), "least_width"),
        ("derive-portfolio", lambda f: replace(f, skew=replace(f.skew, linear_cap=nan)), "linear_cap"),
        ("derive-portfolio", lambda f: replace(f, vol_shock=replace(f.vol_shock, floor_days=0.0)), "floor_days"),
        ("derive-portfolio", lambda f: replace(f, basis=replace(f.basis, share=nan)), "share"),
        ("derive-portfolio", lambda f: replace(f, peg=replace(f.peg, factor=-1.0)), "factor"),
        ("derive-portfolio-v1", lambda f: replace(f, initial_factor=0.9), "initial_factor"),
        ("derive-portfolio-v1", lambda f: replace(f, discount_base=1.2), "discount_base"),
        ("derive-portfolio-v1", lambda f: replace(f, option_rate=nan), "option_rate"),
        (
            "derive-portfolio-v1",
            lambda f: replace(f, scenarios=Scenarios(price=(1.0,), vol=(2,), share=(1.0,))),
            "scenarios",
        ),
        ("derive-standard", lambda f: replace(f, perpetual_initial=0.01), "perpetuals.initial"),
        ("derive-standard", lambda f: replace(f, perpetual_initial=nan), "perpetual_initial"),
        ("derive-standard", lambda f: replace(f, options=replace(f.options, initial=0.05)), "options.initial"),
        (
            "derive-standard",
            lambda f: replace(f, options=replace(f.options, unpaired_initial=-1.0)),
            "unpaired_initial",
        ),
        (
            "derive-standard",
            lambda f: replace(f, options=replace(f.options, put_initial_of_maintenance=0.9)),
            "options.put_initial_of_maintenance",
        ),
    ],
)
def test_parameters_that_cannot_be_are_refused_by_name(name, change, place):
    model = SHIPPED[name].model
    with pytest.raises(InvalidRules, match=place):
        replace(model, formula=change(model.formula))


@pytest.mark.parametrize(
    ("columns", "place"),
    [
        ({"price": (), "vol": (), "share": ()}, "price: found no scenarios"),
        ({"price": (1.0, 1.1), "vol": (0,), "share": (1.0,)}, "price: found 2, 1 and 1 rows"),
        ({"price": (-0.1,), "vol": (0,), "share": (1.0,)}, r"price\[0\]"),
        ({"price": (1.0,), "vol": (5,), "share": (1.0,)}, r"vol\[0\]"),
        ({"price": (1.0,), "vol": (0,), "share": (nan,)}, r"share\[0\]"),
        ({"price": (1.1,), "vol": (2,), "share": (1.0,)}, r"price\[0\].*skew"),
    ],
)
def test_scenarios_that_cannot_be_are_refused_by_row(columns, place):
    with pytest.raises(InvalidRules, match=place):
        Scenarios(**columns)


def test_collateral_rates_and_classes_are_checked():
    with pytest.raises(InvalidRules, match="maintenance"):
        CollateralRates(maintenance=1.2, initial=0.0)
    with pytest.raises(InvalidRules, match=r"collateral_by_class.*other"):
        replace(SHIPPED["derive-portfolio"].model, collateral_by_class={})
    for name in NAMES[:2]:
        with pytest.raises(InvalidRules, match="settlement_minutes"):
            replace(SHIPPED[name].model, settlement_minutes=-1.0)


def test_a_settlement_coin_has_no_peg_where_its_currency_is_not_known():
    """Reports in euros that state no dollar: nothing says what a dollar coin should be worth."""
    base = market_of()
    perp = Perpetual(symbol="P", underlying="ETH", quote="USDC", asset_class="crypto")
    for fx, add_on in (({"USDC": 0.85}, 0.0), ({"USDC": 0.85, "USD": 0.95}, (0.98 - 0.85 / 0.95) * 1.2 * 10 * 0.85)):
        market = Market(time=base.time, currency="EUR", prices={"ETH": 10.0}, fx=fx, marks={"P": Mark(price=10.0)})
        world = alone({"P": 1.0}, market=market, instruments=(perp,), assets=())
        if "USD" in fx:
            world = alone({"P": 1.0}, {"USD": 0.0}, market=market, instruments=(perp,), assets=())
        standing = world.standing(RULES["derive-standard"])
        assert standing.initial_margin[0] == pytest.approx(0.065 * 10 * 0.85 + add_on)
