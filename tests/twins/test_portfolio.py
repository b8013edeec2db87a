"""Portfolio margin from a book to its requirement, against a twin that shares only the scenario sets with it."""

from dataclasses import replace
from math import fsum

import numpy as np
import pytest
from hypothesis import assume, given, settings

from crossmargin.book import Balance, Order, Position
from crossmargin.instruments import Asset, Future, Perpetual
from crossmargin.market import Mark, Market
from crossmargin.ragged import starts
from tests.portfolio_worlds import DEEP, HOUSE, STEEP, house, standing_of, worlds_and_orders
from tests.strategies import MONTH, QUARTER, TIME, alone, market_of, option, rules_of
from tests.twins.portfolio import basis_of, least_of_all_sets, required
from tests.twins.portfolio_world import World as Twin
from tests.twins.portfolio_world import scale_of

MODELS = {"thin markets": HOUSE, "documented depth": DEEP, "steep basis": STEEP}
every_model = pytest.mark.parametrize("name", MODELS)


def twin_of(world, model, standing):
    return Twin(world, rules_of(model), standing.valuation)


def close(expected, scale):
    return pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)


@every_model
@given(drawn=worlds_and_orders())
@settings(max_examples=40)
def test_every_requirement_is_that_of_the_slow_twin(name, drawn):
    world, orders = drawn
    standing = standing_of(world, MODELS[name], orders)
    twin = twin_of(world, MODELS[name], standing)
    assert len(twin.holdings) == standing.pools.count
    for p in range(standing.pools.count):
        answer, scale = twin.answer(p, orders), scale_of(twin, p)
        if answer.near_tie:
            continue
        assert standing.maintenance_margin[p] == close(answer.maintenance, scale)
        assert standing.requirement.initial[p] == close(answer.initial, scale)


@every_model
@given(drawn=worlds_and_orders())
@settings(max_examples=20)
def test_every_named_term_is_that_of_the_slow_twin(name, drawn):
    world, _ = drawn
    model = MODELS[name]
    standing = standing_of(world, model)
    twin = twin_of(world, model, standing)
    for p in range(standing.pools.count):
        answer, scale = twin.answer(p), scale_of(twin, p)
        if _either(answer, scale):
            continue
        found = dict(standing.requirement.terms.of_pool(p))
        parts, c = answer.terms, model.offset_limit
        usual = fsum(v for k, v in found.items() if k.split(" ")[0] in ("expected", "stress"))
        assert usual == close(parts["groups"], scale)
        assert found.get("offset between groups", 0.0) == close(c * (parts["joint"] - parts["groups"]), scale)
        limited = c * parts["joint"] + (1 - c) * parts["groups"]
        assert found.get("grid floor", 0.0) == close(max(parts["grids"] - limited, 0.0), scale)
        floor = max(limited, parts["grids"])
        assert found.get("short option minimum", 0.0) == close(max(parts["minimum"] - floor, 0.0), scale)
        for kind in ("basis", "liquidity"):
            for asset, amount in parts[kind].items():
                assert found.pop(f"{kind} {asset}", 0.0) == close(amount, scale)
            assert not [n for n in found if n.startswith(kind) and abs(found[n]) > 1e-9 * scale]
        vega = fsum(v for k, v in found.items() if k.startswith("vega "))
        assert vega == close(sum(parts["vega"].values()), scale)
        left = {True: "long options at their value", False: "collateral at its counted value"}
        for is_option, term in left.items():
            out = sum(h.counted for h in answer.chosen if h.option == is_option)
            assert found.get(term, 0.0) == close(out, scale)


def _either(answer, scale):
    """Return whether another set of things owned outright costs the same, to rounding: either may be named."""
    return answer.near_tie or answer.next_best - answer.maintenance <= 1e-8 * scale


@every_model
@given(drawn=worlds_and_orders())
@settings(max_examples=40)
def test_totals_of_ingredients_are_the_requirement(name, drawn):
    world, orders = drawn
    standing = standing_of(world, MODELS[name], orders)
    model, portfolios = standing.rules.model, standing.portfolios
    maintenance, initial = model.totals(model.ingredients(portfolios), portfolios.credit_factor)
    assert maintenance == pytest.approx(standing.maintenance_margin, rel=1e-12, abs=1e-9)
    assert initial == pytest.approx(standing.requirement.initial, rel=1e-12, abs=1e-9)


@given(drawn=worlds_and_orders())
@settings(max_examples=40)
def test_ingredients_of_parts_of_a_pool_that_share_no_group_add_up(drawn):
    """What a price ladder stands on (open orders out): what moves together stays together, the rest is added."""
    standing = standing_of(drawn[0], HOUSE)
    portfolios, model = standing.portfolios, HOUSE
    pools, catalogue = portfolios.pools, portfolios.valuation.catalogue
    block, currency = model.blocks(catalogue), portfolios.valuation.currency
    linked = {int(b): int(b) for b in block}
    for leg in pools.leg_instrument.tolist():
        one, other = block[catalogue.underlying[leg]], block[catalogue.settle[leg]]
        if catalogue.settle[leg] != currency:
            low, high = sorted((linked[int(one)], linked[int(other)]))
            linked = {k: low if v == high else v for k, v in linked.items()}
    first = set(sorted(set(linked.values()))[::2])
    leg = np.array([linked[int(b)] in first for b in block[catalogue.underlying[pools.leg_instrument]]], dtype=bool)
    balance = np.array([linked[int(b)] in first for b in block[pools.balance_asset]], dtype=bool)
    # Told in euro the dollar moves against it, in its group.
    assume(drawn[0].market.currency == "USD")
    parts = [model.ingredients(_some(portfolios, leg == here, balance == here)) for here in (True, False)]
    maintenance, initial = model.totals(parts[0] + parts[1], portfolios.credit_factor)
    assert maintenance == pytest.approx(standing.maintenance_margin, rel=1e-9, abs=1e-9)
    assert initial == pytest.approx(standing.requirement.initial, rel=1e-9, abs=1e-9)


def _some(portfolios, leg, balance):
    """Return the portfolios with the legs and balances of two masks, pools as they are."""
    pools = portfolios.pools
    legs, balances = np.flatnonzero(leg), np.flatnonzero(balance)
    return replace(
        portfolios,
        pools=replace(
            pools,
            leg_start=starts(pools.leg_pool[legs], pools.count),
            leg_instrument=pools.leg_instrument[legs],
            leg_quantity=pools.leg_quantity[legs],
            leg_priced=pools.leg_priced[legs],
            leg_entry_value=pools.leg_entry_value[legs],
            balance_start=starts(pools.balance_pool[balances], pools.count),
            balance_asset=pools.balance_asset[balances],
            balance_amount=pools.balance_amount[balances],
            balance_location=pools.balance_location[balances],
            balance_fenced=pools.balance_fenced[balances],
        ),
        leg_row=portfolios.leg_row[legs],
        entry_value=portfolios.entry_value[legs],
        balance_price=portfolios.balance_price[balances],
        counted=portfolios.counted[balances],
        rest=portfolios.rest[balances],
    )


# --- what is owned outright


@given(drawn=worlds_and_orders(most=1))
@settings(max_examples=30)
def test_no_set_that_the_text_names_would_need_less(drawn):
    """Every set of things owned outright is a lower bound; the sets that are tried come as near as they can."""
    world, _ = drawn
    standing = standing_of(world, HOUSE)
    twin = twin_of(world, HOUSE, standing)
    for p in range(standing.pools.count):
        holdings = twin.holdings[p]
        assume(sum(h.owned for h in holdings) <= 6)
        lower = least_of_all_sets(holdings, twin.sizes(p), twin.facts)
        assert standing.maintenance_margin[p] >= lower - 1e-9 * scale_of(twin, p)


def test_the_sets_that_are_tried_may_miss_the_cheapest():
    """Three long options: leaving out the two that hedge nothing is not among the sets that are tried."""
    market = market_of(vol=0.6)
    world = alone({"BTC-P-90": 5, "BTC-PERP": 5, "BTC-C-125": 3, "ETH-P-9": 2}, market=market)
    standing = standing_of(world, HOUSE)
    twin = twin_of(world, HOUSE, standing)
    lower = least_of_all_sets(twin.holdings[0], twin.sizes(0), twin.facts)
    assert lower < standing.maintenance_margin[0] * (1 - 1e-6)


# --- attribution


@every_model
@given(drawn=worlds_and_orders())
@settings(max_examples=40)
def test_terms_and_shares_add_up_to_maintenance_exactly(name, drawn):
    world, _ = drawn
    standing = standing_of(world, MODELS[name])
    pools, requirement = standing.pools, standing.requirement
    for p in range(pools.count):
        maintenance = standing.maintenance_margin[p]
        terms = requirement.terms.of_pool(p)
        assert fsum(amount for _, amount in terms) == maintenance
        assert all(amount != 0 for _, amount in terms)
        legs = requirement.leg_share[pools.leg_start[p] : pools.leg_start[p + 1]]
        balances = requirement.balance_share[pools.balance_start[p] : pools.balance_start[p + 1]]
        shares = np.concatenate((legs, balances))
        off = fsum(shares.tolist()) - maintenance
        # Two large shares that nearly cancel have no bit for the last digits of what is left.
        finest = np.spacing(np.abs(shares[shares != 0])).min(initial=np.inf)
        assert off == 0 or (finest > np.spacing(maintenance) and abs(off) <= finest)


def shares_of(standing, p):
    """Return {name of a holding in the twin: share}."""
    pools, requirement = standing.pools, standing.requirement
    catalogue = standing.valuation.catalogue
    found = {}
    for k in range(pools.leg_start[p], pools.leg_start[p + 1]):
        found[catalogue.instruments[pools.leg_instrument[k]].symbol] = requirement.leg_share[k]
    by_asset = {}
    for k in range(pools.balance_start[p], pools.balance_start[p + 1]):
        name = catalogue.assets[pools.balance_asset[k]].symbol
        by_asset[name] = by_asset.get(name, 0.0) + requirement.balance_share[k]
    return found, by_asset


def slopes_of(twin, p):
    """Return {holding: d maintenance / d its scale, the owner's size held}; None where there is a kink."""
    holdings, sizes = twin.holdings[p], twin.sizes(p)
    answer = twin.answer(p)
    gone = {h.name for h in answer.chosen}

    def at(name, t):
        kept = [h.scaled(t) if h.name == name else h for h in holdings if h.name not in gone]
        out = sum(h.counted * (t if h.name == name else 1.0) for h in answer.chosen)
        return required(kept, sizes, twin.facts)[0] + out

    step, middle, found = 1e-6, at(None, 1.0), {}
    for h in holdings:
        up, down = (at(h.name, 1 + step) - middle) / step, (middle - at(h.name, 1 - step)) / step
        found[h.name] = (up + down) / 2 if abs(up - down) <= 1e-4 * (1 + abs(up)) else None
    return found


def assert_shares_are_slopes(world, model):
    """Hold every share of pool 0 to the slope of maintenance; return how many were compared."""
    standing = standing_of(world, model)
    twin = twin_of(world, model, standing)
    compared = 0
    for p in range(standing.pools.count):
        scale = scale_of(twin, p)
        answer = twin.answer(p)
        if _either(answer, scale):
            continue
        slopes = slopes_of(twin, p)
        if None in slopes.values():
            # At a kink shares are between the slopes; and what is held elsewhere takes the remainder.
            continue
        legs, balances = shares_of(standing, p)
        for name, share in legs.items():
            assert share == pytest.approx(slopes[name], abs=2e-5 * scale)
            compared += 1
        by_asset = {}
        for key, slope in slopes.items():
            if key not in legs:
                asset = twin.pools[p].fenced[0] if key == "fenced" else key[1]
                by_asset[asset] = by_asset.get(asset, 0.0) + slope
        for name, share in balances.items():
            assert share == pytest.approx(by_asset[name], abs=2e-5 * scale)
            compared += 1
    return compared


@every_model
@given(drawn=worlds_and_orders(most=2))
@settings(max_examples=15)
def test_a_share_is_what_maintenance_changes_by_as_the_holding_grows(name, drawn):
    assert_shares_are_slopes(drawn[0], MODELS[name])


@pytest.mark.parametrize(
    ("positions", "balances", "model", "bound"),
    [
        ({"BTC-PERP": 3, "BTC-FUT": -1.4}, {}, HOUSE, False),
        ({"BTC-PERP": 3, "BTC-FUT": -1.4}, {}, STEEP, True),
        ({"BTC-PERP": 3, "BTC-FUT": -1.4, "BTC-P-90": -2, "ETH-PERP": 1}, {"BTC": 1.3}, STEEP, True),
        ({"ETH-PERP": -12.0, "ETH-INV": 8.2}, {}, STEEP, True),
        ({"BTC-COIN-P-95": -3, "BTC-INV": 12, "OIL-FUT": 1, "DAX-PERP": -2}, {"BTC": 4, "EUR": 300}, HOUSE, False),
        ({"BTC-C-110": -4, "BTC-C-125": 2, "OIL-C-5": 1}, {"USDC": 900, "STETH": 7}, DEEP, False),
    ],
    ids=["a calendar", "capped", "capped, with a short option", "capped to nothing", "coins and currencies", "options"],
)
def test_shares_of_books_of_many_kinds_are_slopes_too(positions, balances, model, bound):
    world = alone(positions, balances, market=market_of(btc=103.7, eth=10.3, oil=37.1, eur=1.0873))
    assert assert_shares_are_slopes(world, model) == len(positions) + len(balances)
    standing = standing_of(world, model)
    twin = twin_of(world, model, standing)
    capped = [charge > cap for charge, cap in basis_of(twin.holdings[0], twin.facts).values()]
    assert any(capped) == bound


# --- regressions


def test_a_perpetual_is_of_the_same_expiry_as_unsettled_profit_and_balances():
    """What netting saves counts a perpetual and coins as one: they are not apart before they are together."""
    world = alone({"ETH-PERP": -12.0, "ETH-INV": 8.2}, market=market_of(btc=60, eth=6, basis=0.97, usdc=0.9))
    for model in (HOUSE, STEEP):
        # The inverse future itself moves nothing in its quote: all that moves has no expiry, so netting saves nothing.
        terms = dict(standing_of(world, model).requirement.terms.of_pool(0))
        assert terms.get("basis ETH", 0.0) == pytest.approx(0.0, abs=1e-9)


def test_an_option_is_left_out_only_where_its_own_requirement_exceeds_its_value():
    """Settled in a stable coin of its own group: what it needs is less than the sum over both."""
    market = market_of(btc=82.92, eth=8.12, dax=105.95, eur=0.9, oil=5.11, vol=0.53, oil_vol=15.81, usdc=0.95, steth=8)
    world = alone(
        {"ETH-P-9": 10.8, "ETH-PERP": 10.8, "OIL-P-0": 5.6, "BTC-INV": 8.4},
        {"EUR": 655.35, "USDC": 7.24},
        market=market,
    )
    standing = standing_of(world, HOUSE)
    twin = twin_of(world, HOUSE, standing)
    assert standing.maintenance_margin[0] == pytest.approx(twin.answer(0).maintenance, rel=1e-9)


# --- a world of its own: nothing of the shared strategies


def test_a_book_with_orders_and_several_expiries_is_that_of_the_twin():
    instruments = (
        Perpetual(symbol="X-PERP", underlying="X", quote="USD", asset_class="crypto"),
        Future(symbol="X-M", underlying="X", quote="USD", asset_class="crypto", expiry=MONTH),
        Future(symbol="X-Q", underlying="X", quote="USD", asset_class="crypto", expiry=QUARTER, contract_size=3),
        option("X-P", "X", "put", 40, QUARTER),
    )
    market = Market(
        time=TIME,
        prices={"X": 50.0},
        marks={"X-M": Mark(price=50.5), "X-Q": Mark(price=52.0), "X-P": Mark(iv=0.8)},
        vol_annual={"X": 0.9},
    )
    held = [Position(symbol=s, quantity=q) for s, q in (("X-PERP", 5), ("X-M", -9), ("X-Q", 2), ("X-P", -4))]
    world = alone(
        held,
        [Balance(asset="X", amount=2.0)],
        market=market,
        instruments=instruments,
        assets=(Asset(symbol="X", asset_class="crypto"),),
    )
    orders = (
        Order(account="a", symbol="X-PERP", quantity=3, limit=51),
        Order(account="a", symbol="X-P", quantity=-2, limit=1.0),
        Order(account="a", symbol="X-Q", quantity=-1, limit=50, reduce_only=True),
    )
    for model in (HOUSE, STEEP, house(offset_limit=0.3)):
        standing = standing_of(world, model, orders)
        answer = twin_of(world, model, standing).answer(0, orders)
        assert standing.maintenance_margin[0] == pytest.approx(answer.maintenance, rel=1e-9)
        assert standing.requirement.initial[0] == pytest.approx(answer.initial, rel=1e-9)
