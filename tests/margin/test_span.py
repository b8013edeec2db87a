"""SPAN margin: scan risk, composite deltas, spreads within and between commodities, delivery, short options."""

from dataclasses import replace
from math import copysign

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Pool, Position
from crossmargin.errors import InvalidRules, NotMargined
from crossmargin.instruments import Future, Option
from crossmargin.margin.delta_spreads import (
    CommoditySpread,
    SpreadLeg,
    TierSpread,
    commodity_spreads,
    spread_margin,
    spreads_formed,
    tier_spreads,
)
from crossmargin.margin.span import (
    PAIRED,
    PRICE,
    Delivery,
    PriceRisk,
    Span,
    calendar_margin,
    composite_delta,
    scan_pnl,
    scan_risk,
)
from crossmargin.market import Mark
from tests.margin.whole_books import assert_adds_up, assert_totals_are_the_requirement, maintenance
from tests.strategies import INSTRUMENTS, QUARTER, TIME, alone, market_of, rules_of, worlds
from tests.twins.prices import Prices

BTC_ETH = CommoditySpread(
    legs=(SpreadLeg(commodity="BTC", ratio=1, side="A"), SpreadLeg(commodity="ETH", ratio=10, side="B")), credit=0.5
)
TIERS = (TierSpread(tiers=(1, 1), charge=0.01), TierSpread(tiers=(1, 2), charge=0.02))
MODEL = Span(
    scan_range_by_class={"crypto": 0.2, "equity_index": 0.15, "fx": 0.06, "energy": 0.25, "other": 0.35},
    scan_range_by_underlying={"BTC": 0.15},
    vol_range_by_class={"other": 0.3},
    vol_range_by_underlying={"ETH": 0.4},
    any_floor=20.0,
    tier_days=(40.0,),
    tier_spreads_by_class={"other": TIERS},
    delivery_by_class={"other": Delivery(days=0, in_spreads=0, outright=0)},
    delivery_by_underlying={"ETH": Delivery(days=90, in_spreads=0.01, outright=0.03)},
    commodity_spreads=(BTC_ETH,),
    short_minimum_by_class={"other": 0.005},
    short_minimum_by_underlying={"ETH": 0.02},
    initial_factor=1.1,
)
RULES = rules_of(MODEL)
PLAIN = replace(
    MODEL,
    tier_spreads_by_class={"other": ()},
    delivery_by_underlying={},
    commodity_spreads=(),
    short_minimum_by_class={"other": 0.0},
    short_minimum_by_underlying={},
)


def owed(positions, model=MODEL, **prices):
    return maintenance(alone(positions, market=market_of(**prices)), rules_of(model))


def terms_of(positions, model=MODEL, **prices):
    standing = alone(positions, market=market_of(**prices)).standing(rules_of(model))
    return dict(standing.requirement.terms.of_pool(0))


# --- the formulas


def test_the_scenarios_are_thirds_of_the_range_with_vol_up_and_down():
    assert PRICE.tolist() == [0, 0, 1 / 3, 1 / 3, -1 / 3, -1 / 3, 2 / 3, 2 / 3, -2 / 3, -2 / 3, 1, 1, -1, -1]
    assert (PAIRED[PAIRED] == np.arange(16)).all()


def test_scan_risk_is_the_largest_loss_and_never_negative():
    arrays = np.array([[10.0, -4.0, 2.0], [-3.0, 1.0, 0.0]])
    assert scan_pnl(np.array([1.0, -2.0]), arrays).tolist() == [16, -6, 2]
    assert scan_risk(np.array([16.0, -6.0, 2.0])) == 6
    assert scan_risk(np.array([16.0, 6.0, 2.0])) == 0
    assert scan_risk(np.zeros(0)) == 0


def test_price_risk_takes_vol_and_time_out_of_the_worst_scenario():
    losses = np.zeros(16)
    losses[[0, 1]] = 30, 10  # time: 20
    losses[[12, 13]] = 100, 60  # the worst and its pair: 80
    risk = PriceRisk.of(losses)
    assert (risk.volatility_adjusted, risk.time, risk.price) == (80, 20, 60)
    assert risk.weighted(-4.0) == 15
    assert risk.weighted(0.0) == 0
    assert PriceRisk.of(-np.ones(16)).price == 0
    extreme = np.zeros(16)
    extreme[15] = 50
    assert PriceRisk.of(extreme).price == 50


def test_a_composite_delta_is_the_weighted_mean_of_its_points():
    weights = np.array([0.27, 0.217, 0.217, 0.11, 0.11, 0.037, 0.037])
    assert composite_delta(np.ones((1, 7)), weights)[0] == pytest.approx(1.0)
    assert composite_delta(np.array([[1.0, 0, 0, 0, 0, 0, 0]]), weights)[0] == pytest.approx(0.27 / 0.998)


def test_a_calendar_owes_the_difference_of_its_outrights_and_its_charge():
    assert calendar_margin(500, 750, 0) == 250
    assert calendar_margin(750, 500, 200) == 450


def test_tier_spreads_are_formed_in_order_either_way_round():
    long, short = np.array([5.0, 0.0, 2.0]), np.array([2.0, 4.0, 0.0])
    spreads = (
        TierSpread(tiers=(1, 1), charge=1.0),
        TierSpread(tiers=(2, 3), charge=3.0),
        TierSpread(tiers=(1, 2), charge=10.0),
        TierSpread(tiers=(1, 9), charge=99.0),
    )
    paired = tier_spreads(long, short, spreads)
    # 2 within tier 1, then 2 of tier 3 with tier 2, then 2 of tier 1 with the rest of tier 2.
    assert paired.charge == 2 * 1 + 2 * 3 + 2 * 10
    assert paired.long.tolist() == [4, 0, 2]
    assert paired.short.tolist() == [2, 4, 0]
    assert long.tolist() == [5, 0, 2], "what is given is left as it is"


def test_commodity_spreads_take_deltas_from_those_after_them():
    crush = CommoditySpread(
        legs=(SpreadLeg(commodity="BTC", ratio=1, side="A"), SpreadLeg(commodity="DAX", ratio=1, side="B")), credit=1.0
    )
    delta = {"BTC": -3.0, "ETH": 20.0, "DAX": 9.0}
    risk = {"BTC": 100.0, "ETH": 9.0, "DAX": 1.0}
    assert spreads_formed(delta, BTC_ETH) == 2
    found = commodity_spreads(delta, risk, (BTC_ETH, crush))
    assert found == pytest.approx({"BTC": 2 * 100 * 0.5 + 100, "ETH": 2 * 10 * 9 * 0.5, "DAX": 1.0})
    assert spreads_formed({"BTC": 3.0, "ETH": 20.0}, BTC_ETH) == 0, "on one side of the market"
    assert spreads_formed({"BTC": 3.0}, BTC_ETH) == 0
    assert spread_margin(np.array([2.0, 1.0]), np.array([1750.0, 2500.0]), 0.55) == pytest.approx((6000, 3300, 2700))


# --- positions, by hand


def test_a_future_owes_its_range_and_half_as_much_again_is_covered_in_an_extreme():
    assert owed({"BTC-PERP": 2}) == pytest.approx(2 * 100.2 * 0.15)
    far = replace(MODEL, extreme_multiple=4.0, extreme_cover=0.5)
    assert owed({"BTC-PERP": 2}, far) == pytest.approx(2 * 100.2 * 0.15 * 4 * 0.5)


def test_a_price_that_may_be_negative_moves_by_a_share_of_its_floor():
    assert owed({"OIL-FUT": 1}, oil=40.0) == pytest.approx(10 * 40 * 0.25)
    assert owed({"OIL-FUT": -1}, oil=-5.0) == pytest.approx(10 * 20 * 0.25)


def test_calendar_spreads_owe_their_charge_a_unit_of_the_price():
    # 2 coins a future, in tier 2; perpetuals have no end and are in the last tier too.
    found = terms_of(
        {"BTC-FUT": 1, "BTC-PERP": -2},
        replace(MODEL, tier_spreads_by_class={"other": (TierSpread(tiers=(2, 2), charge=0.01),)}),
    )
    assert found == pytest.approx(
        {"scan BTC": 2 * 0.15 * (101 - 100.2), "calendar spreads BTC": 2 * 1.002 * 0.01 * 100}, rel=1e-6
    )


def test_what_is_near_delivery_owes_more_outright_than_in_a_spread():
    future = Future(
        symbol="ETH-Q", underlying="ETH", quote="USDC", asset_class="crypto", expiry=QUARTER, contract_size=10
    )
    market = replace(market_of(), marks={"ETH-Q": Mark(price=10.0)})
    base = alone({"ETH-Q": 3}, market=market, instruments=(*INSTRUMENTS, future))
    found = dict(base.standing(RULES).requirement.terms.of_pool(0))
    assert found["delivery ETH"] == pytest.approx(30 * 0.03 * 10 * 0.999)
    spread = replace(MODEL, tier_spreads_by_class={"other": (TierSpread(tiers=(2, 2), charge=0.0),)})
    hedged = alone({"ETH-Q": 3, "ETH-PERP": -2}, market=market, instruments=(*INSTRUMENTS, future))
    terms = dict(hedged.standing(rules_of(spread)).requirement.terms.of_pool(0))
    assert terms["delivery ETH"] == pytest.approx((20 * 0.01 + 10 * 0.03) * 10 * 0.999, rel=1e-9)


def test_opposite_commodities_share_half_their_price_risk():
    btc, eth = 100.2 * 0.15, 10 * 10 * 0.999 * 0.2
    found = terms_of({"BTC-PERP": 1, "ETH-PERP": -1})
    # Ratio 1 : 10, so both whole deltas spread (a perpetual's delta is its mark over its index).
    share = 1 / 1.002
    assert found["spread credit ETH"] == pytest.approx(-0.5 * eth, rel=2e-3)
    assert found["spread credit BTC"] == pytest.approx(-0.5 * btc * share, rel=2e-3)
    assert "spread credit BTC" not in terms_of({"BTC-PERP": 1, "ETH-PERP": 1})


def test_short_options_owe_their_minimum_where_the_scenarios_ask_less():
    held = {"BTC-C-125": -1, "BTC-P-90": -3}
    calm = replace(MODEL, scan_range_by_underlying={"BTC": 0.0}, vol_range_by_class={"other": 0.0})
    found = terms_of(held, calm)
    assert found == pytest.approx({"short option minimum BTC": (2 + 3) * 0.005 * 100})
    greater = terms_of(held, replace(calm, short_count="greater"))
    assert greater == pytest.approx({"short option minimum BTC": 3 * 0.005 * 100})


def test_an_array_of_its_own_comes_before_revaluation_and_takes_american_options():
    array = (*[-5.0] * 14, 1.0, -7.0)
    call = Option(
        symbol="AM",
        underlying="BTC",
        quote="USD",
        option_type="call",
        strike=110,
        expiry=QUARTER,
        exercise="american",
        asset_class="crypto",
        contract_size=2,
    )
    world = alone({"AM": 3}, market=replace(market_of(), marks={"AM": Mark(iv=0.6)}), instruments=(call,))
    with pytest.raises(NotMargined, match="AM, held by a"):
        world.standing(RULES)
    given_array = replace(MODEL, arrays={"AM": (*array, 0.25)})
    assert maintenance(world, rules_of(given_array)) == 21
    valuation = world.standing(rules_of(given_array)).valuation
    assert given_array.composite_deltas(valuation, np.array([0])).tolist() == [0.5]


def test_the_worst_scenario_is_named():
    standing = alone({"BTC-PERP": 1}, market=market_of()).standing(RULES)
    worst = standing.requirement.worst
    assert worst.name(int(worst.block[0]), int(worst.scenario[0])) == "BTC price -15.0% vol up"
    assert MODEL._named(standing.valuation.catalogue.assets[0], 14).endswith("extreme")


def test_pools_of_balances_alone_and_of_nothing_owe_nothing_and_members_net():
    accounts = (
        Account(id="a", positions=[Position(symbol="BTC-PERP", quantity=1)]),
        Account(id="b", balances=[Balance(asset="BTC", amount=5)]),
        Account(id="c"),
        Account(id="d", positions=[Position(symbol="BTC-PERP", quantity=-1)]),
    )
    world = alone({}, market=market_of()).but(accounts=accounts, pools=(Pool(id="p", accounts=("a", "d")),))
    assert world.standing(RULES).maintenance_margin.tolist() == [0, 0, 0]


# --- whole books, with a twin


def twin(standing, world, p):
    """Return the maintenance margin of one pool, a contract, a scenario and a spread at a time."""
    prices, pools, model = Prices(world), standing.pools, MODEL
    assets = {a.symbol: a for a in world.assets}

    def of(name, by_class, by_name):
        return by_name.get(name, by_class.get(assets[name].asset_class, by_class["other"]))

    commodities = {}
    for k in range(len(pools.leg_instrument)):
        if pools.leg_pool[k] == p:
            contract = standing.valuation.catalogue.instruments[pools.leg_instrument[k]]
            commodities.setdefault(assets[contract.underlying].group, []).append(
                (contract, float(pools.leg_quantity[k]))
            )
    parts, deltas, risks = {}, {}, {}
    for name, held in commodities.items():
        losses, net, by_expiry, minimum = [0.0] * 16, 0.0, {}, 0.0
        price = None
        for contract, quantity in held:
            reach = of(contract.underlying, model.scan_range_by_class, model.scan_range_by_underlying)
            vols = of(contract.underlying, model.vol_range_by_class, model.vol_range_by_underlying)
            index, absolute = prices.index(contract), contract.price_domain == "any"
            level = max(abs(index), model.any_floor) if absolute else index
            unit = level if absolute else 1.0
            fx = prices.fx(contract.settle)
            base = prices.contract(contract.symbol)

            def value(move, factor=1.0, contract=contract, unit=unit):
                return prices.contract(contract.symbol, move * unit, factor)

            for s in range(16):
                fraction = float(PRICE[s]) if s < 14 else (2.0 if s == 14 else -2.0)
                factor = 1.0 if s > 13 else 1 - vols if s % 2 else 1 + vols
                losses[s] -= quantity * (value(fraction * reach, factor) - base) * fx * (1.0 if s < 14 else 0.35)
            delta = total = 0.0
            for weight, third in zip((0.27, 0.217, 0.11, 0.037), range(4), strict=True):
                for sign in (1, -1) if third else (1,):
                    at = sign * third / 3 * reach
                    slope = (value(at + 1e-4) - value(at - 1e-4)) / (2e-4 * level)
                    delta += weight * slope * fx / prices.fx(contract.quote)
                    total += weight
            delta *= quantity / total
            net += delta
            expiry = getattr(contract, "expiry", None)
            by_expiry[expiry] = by_expiry.get(expiry, 0.0) + delta
            level *= prices.fx(contract.quote)
            price = level if price is None else price
            if contract.kind == "option" and quantity < 0:
                rate = of(contract.underlying, model.short_minimum_by_class, model.short_minimum_by_underlying)
                minimum += -quantity * float(contract.contract_size) * rate * level
        free = {1: [0.0, 0.0], 2: [0.0, 0.0]}
        tier_of = {e: 1 if e is not None and (e - TIME).total_seconds() / 86400 <= 40 else 2 for e in by_expiry}
        for e, d in by_expiry.items():
            free[tier_of[e]][0 if d > 0 else 1] += abs(d)
        whole = {t: list(v) for t, v in free.items()}
        charge = 0.0
        for one, other, rate in ((1, 1, 0.01), (1, 2, 0.02), (2, 1, 0.02)):
            n = min(free[one][0], free[other][1])
            free[one][0] -= n
            free[other][1] -= n
            charge += n * rate * price
        delivery = 0.0
        near = of(name, model.delivery_by_class, model.delivery_by_underlying)
        for e, d in by_expiry.items():
            if e is not None and (e - TIME).total_seconds() / 86400 <= near.days and d:
                side = 0 if d > 0 else 1
                left = free[tier_of[e]][side] / whole[tier_of[e]][side]
                delivery += abs(d) * (left * near.outright + (1 - left) * near.in_spreads) * price
        worst = max(losses)
        scan = max(worst, 0.0)
        s = losses.index(worst)
        pair = s if s > 13 else s + 1 - 2 * (s % 2)
        risk = max((losses[s] + losses[pair]) / 2 - (losses[0] + losses[1]) / 2, 0.0) if worst > 0 else 0.0
        parts[name], deltas[name], risks[name] = [scan, charge + delivery, 0.0, minimum], net, risk
    if deltas.get("BTC", 0.0) * deltas.get("ETH", 0.0) < 0:
        n = min(abs(deltas["BTC"]), abs(deltas["ETH"]) / 10)
        for name, ratio in (("BTC", 1), ("ETH", 10)):
            parts[name][2] = min(risks[name] / abs(deltas[name]) * n * ratio * 0.5, parts[name][0])
    return sum(max(scan + beside - credit, minimum) for scan, beside, credit, minimum in parts.values())


@given(worlds())
@settings(max_examples=30)
def test_whole_books_owe_what_the_slow_twin_finds(world):
    standing = assert_adds_up(world, RULES)
    for p in range(standing.pools.count):
        assert standing.maintenance_margin[p] == pytest.approx(twin(standing, world, p), rel=1e-5, abs=1e-4)


@given(worlds())
@settings(max_examples=15)
def test_ladders_and_pools_alone_make_the_same_numbers(world):
    assert_totals_are_the_requirement(world.standing(RULES))


# --- what is claimed, and what is not

holdings = st.dictionaries(st.sampled_from([i.symbol for i in INSTRUMENTS]), st.integers(-9, 9), max_size=4)


@given(holdings, st.integers(2, 7))
@settings(max_examples=20)
def test_n_times_a_portfolio_owes_n_times_as_much(one, n):
    assert owed({s: n * q for s, q in one.items()}) == pytest.approx(n * owed(one), rel=1e-9, abs=1e-9)


@given(holdings, holdings)
@settings(max_examples=20)
def test_without_spreads_two_portfolios_together_owe_no_more_than_apart(one, other):
    both = {s: one.get(s, 0) + other.get(s, 0) for s in {*one, *other}}
    apart = owed(one, PLAIN) + owed(other, PLAIN)
    assert owed(both, PLAIN) <= apart + 1e-9 * max(1.0, apart)


@given(holdings, st.floats(1, 2))
@settings(max_examples=20)
def test_wider_extremes_never_lower_the_scan_of_futures(one, factor):
    futures = {s: q for s, q in one.items() if "-C" not in s and "-P-" not in s}
    wide = replace(PLAIN, extreme_multiple=2.0 * factor)
    assert owed(futures, wide) >= owed(futures, PLAIN) - 1e-9


def test_sub_additivity_is_not_claimed_with_spreads():
    """Apart each portfolio's BTC earns a credit with its ETH; together the BTC nets away and the ETH stands alone."""
    one, other = {"BTC-PERP": 1, "ETH-PERP": -1}, {"BTC-PERP": -1, "ETH-INV": 0, "ETH-PERP": -1}
    whole = {"BTC-PERP": 0, "ETH-PERP": -2}
    credit = replace(MODEL, commodity_spreads=(replace(BTC_ETH, credit=1.0),), scan_range_by_underlying={"BTC": 0.001})
    together = owed(whole, credit)
    apart = owed(one, credit) + owed(other, credit)
    assert together > apart


def test_a_bought_option_may_use_up_deltas_that_earned_a_credit():
    model = replace(MODEL, commodity_spreads=(replace(BTC_ETH, credit=1.0),), scan_range_by_underlying={"BTC": 0.001})
    short = {"BTC-PERP": -1, "ETH-PERP": 1}
    value = alone({"BTC-C-100-7D": 2}, market=market_of()).standing(rules_of(model)).worth.net_option_value[0]
    assert owed({**short, "BTC-C-100-7D": 2}, model) > owed(short, model) + value


@pytest.mark.parametrize(
    ("changes", "where"),
    [
        ({"scan_range_by_class": {"crypto": 0.2}}, "scan_range.*other"),
        ({"scan_range_by_class": {"other": 1.0}}, "scan_range.other"),
        ({"vol_range_by_underlying": {"BTC": -0.1}}, "vol_range.BTC"),
        ({"any_floor": -1.0}, "any_floor"),
        ({"extreme_multiple": 0.5}, "extreme_multiple"),
        ({"extreme_cover": 1.5}, "extreme_cover"),
        ({"delta_weights": (0.1, 0.2, 0.1, 0.1)}, "delta_weights.*not rising"),
        ({"delta_weights": (0.0, 0.0, 0.0, 0.0)}, "delta_weights"),
        ({"tier_days": (90.0, 30.0)}, "tier_days.*rising"),
        ({"tier_days_by_underlying": {"BTC": (0.0,)}}, "tier_days_by_underlying.BTC"),
        ({"short_count": "most"}, "short_count"),
        ({"initial_factor": 0.9}, "initial_factor"),
        ({"arrays": {"X": (1.0, 2.0)}}, "arrays.X.*2 numbers"),
    ],
)
def test_parameters_that_cannot_be_are_refused(changes, where):
    with pytest.raises(InvalidRules, match=where):
        replace(MODEL, **changes)


@pytest.mark.parametrize(
    ("build", "where"),
    [
        (lambda: TierSpread(tiers=(0, 1), charge=1), r"tiers\[0\]"),
        (lambda: TierSpread(tiers=(1, 1), charge=-1), "charge"),
        (lambda: SpreadLeg(commodity="X", ratio=0, side="A"), "ratio of X"),
        (lambda: SpreadLeg(commodity="X", ratio=1, side="C"), "side of X"),
        (lambda: replace(BTC_ETH, credit=1.5), "credit"),
        (lambda: replace(BTC_ETH, legs=BTC_ETH.legs[:1]), "two or more"),
        (lambda: replace(BTC_ETH, legs=(BTC_ETH.legs[0], BTC_ETH.legs[0])), "another commodity"),
        (lambda: Delivery(days=-1, in_spreads=0, outright=0), "days"),
    ],
)
def test_spreads_that_cannot_be_are_refused(build, where):
    with pytest.raises(InvalidRules, match=where):
        build()


def test_sides_of_spread_legs_do_not_care_which_is_long():
    for sign in (1.0, -1.0):
        assert spreads_formed({"BTC": copysign(2, sign), "ETH": copysign(30, -sign)}, BTC_ETH) == 2
