"""Liquidity and concentration: what a pool owes at its owner's size, and that cutting an owner up never pays."""

from collections import defaultdict
from dataclasses import replace
from math import sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Position
from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.errors import InvalidMarket, InvalidRules
from crossmargin.instruments import Asset
from crossmargin.margin.depth import Buckets, Depth, DepthCharge, Kind, OwnerSizes
from crossmargin.margin.liquidity import Liquidity, LiquidityRates, check_vols, delta_rows
from crossmargin.ragged import owners, slices
from tests.margin.addon_worlds import (
    LIQUIDITY,
    SETS,
    THIN,
    bumped_delta,
    deltas_in,
    depth_of,
    floors,
    portfolios_and_sets,
    portfolios_in,
)
from tests.strategies import ASSETS, GRID, World, alone, market_of, rules_of, worlds

DAYS = sqrt(365.0)
few = settings(max_examples=25)


def charge_of(rows, owner, depth, left_out=None, sets=1):
    return DepthCharge.of(rows, OwnerSizes.of(rows, owner).held(rows, owner), depth, left_out, sets)


def charge_in(world, liquidity=THIN):
    """Return the charge by pool of a world, nothing left out."""
    portfolios = portfolios_in(world)
    catalogue = portfolios.valuation.catalogue
    rows = delta_rows(portfolios, floors(catalogue))
    return charge_of(rows, portfolios.pools.owner, depth_of(catalogue, liquidity)).by_pool[:, 0]


# ------------------------------------------------------------------ by hand


def rows_of(*holdings, pools, buckets=1):
    """Return rows from (pool, bucket, amount, kind); a holding a row."""
    pool, bucket, amount, kind = zip(*holdings, strict=True)
    return Buckets.of(
        np.array(pool),
        np.array(bucket),
        np.array(amount, dtype=float),
        np.array([int(k) for k in kind]),
        np.arange(len(pool)),
        pools=pools,
        buckets=buckets,
    )


MAJOR = Depth(
    half_spread=np.array([0.0001]),
    move=np.array([0.65 / DAYS]),
    volume=np.array([5e9]),
    participation=np.array([0.10]),
    horizon=np.array([1.0]),
)


def test_a_position_of_a_hundredth_of_the_daily_volume_pays_spread_and_a_tenth_of_a_daily_sigma():
    rows = rows_of((0, 0, -5e7, Kind.CONTRACT), pools=1)
    found = charge_of(rows, np.array([0]), MAJOR).by_pool[0, 0]
    # N / ADV = 0.01, days = 0.1: the horizon is not lengthened.
    assert found == pytest.approx(0.0001 * 5e7 + 5e7 * (0.65 / DAYS) * 0.1, rel=1e-14)


def test_beyond_the_volume_a_close_out_may_be_the_horizon_lengthens():
    rows = rows_of((0, 0, 2e9, Kind.CONTRACT), pools=1)
    found = charge_of(rows, np.array([0]), MAJOR).by_pool[0, 0]
    # N / ADV = 0.4, days = 4.
    assert found == pytest.approx(0.0001 * 2e9 + 2e9 * (0.65 / DAYS) * sqrt(0.4) * 2.0, rel=1e-14)


def test_a_hedged_pool_pays_spread_on_both_legs_and_no_impact():
    rows = rows_of((0, 0, 1e9, Kind.CONTRACT), (0, 0, -1e9, Kind.CONTRACT), pools=1)
    assert charge_of(rows, np.array([0]), MAJOR).by_pool[0, 0] == pytest.approx(0.0001 * 2e9, rel=1e-14)


def test_two_pools_of_an_owner_pay_the_rate_of_both_without_netting():
    rows = rows_of((0, 0, 1e9, Kind.CONTRACT), (1, 0, -1e9, Kind.CONTRACT), pools=2)
    found = charge_of(rows, np.array([0, 0]), MAJOR).by_pool[:, 0]
    each = 0.0001 * 1e9 + 1e9 * (0.65 / DAYS) * sqrt(0.4) * 2.0
    assert found == pytest.approx([each, each], rel=1e-14)


def test_the_uncounted_rest_offsets_a_short_and_adds_nothing_to_a_long():
    short = rows_of((0, 0, -100.0, Kind.CONTRACT), (0, 0, 30.0, Kind.REST), pools=1)
    more = rows_of((0, 0, -100.0, Kind.CONTRACT), (0, 0, 130.0, Kind.REST), pools=1)
    long = rows_of((0, 0, 100.0, Kind.CONTRACT), (0, 0, 30.0, Kind.REST), pools=1)
    owed = rows_of((0, 0, -100.0, Kind.MONEY), (0, 0, 30.0, Kind.REST), pools=1)
    assert [rows.nets()[0][0, 0] for rows in (short, more, long, owed)] == [-70.0, 0.0, 100.0, -70.0]
    assert [rows.nets()[1][0, 0] for rows in (short, more, long, owed)] == [100.0, 100.0, 100.0, 70.0]


# ------------------------------------------------------------------ what is in a bucket


def test_a_long_and_collateral_in_one_thin_asset_share_one_bucket():
    market = market_of(eth=10.0)
    both = charge_in(alone({"ETH-PERP": 3}, {"ETH": 30}, market=market))
    apart = charge_in(alone({"ETH-PERP": 3}, market=market)) + charge_in(alone({}, {"ETH": 30}, market=market))
    assert both[0] > apart[0] * 1.2


def test_money_in_the_reporting_currency_is_in_no_bucket():
    market = market_of()
    assert charge_in(alone({"BTC-PERP": 2}, {"USD": 1e9}, market=market)) == charge_in(
        alone({"BTC-PERP": 2}, market=market)
    )
    assert len(deltas_in(alone({}, {"USD": -500}, market=market)).pool) == 0


def test_profit_in_a_coin_and_a_debt_of_it_net_before_anything_is_sold():
    market = market_of(btc=100.0)
    short = Position(symbol="BTC-INV", quantity=-200, entry_price=125.0)  # 4 coins won
    rows = deltas_in(alone([short], [Balance(asset="BTC", amount=-4)], market=market))
    assert rows.kind.tolist() == [Kind.CONTRACT, Kind.MONEY, Kind.MONEY]
    assert rows.amount == pytest.approx([-2000.0, 400.0, -400.0], rel=1e-12)
    net, gross = rows.nets()
    assert (net[0, 0], gross[0, 0]) == pytest.approx((-2000.0, 2000.0), rel=1e-12)


def test_oil_at_a_price_near_zero_is_as_large_as_at_its_floor():
    small, floor = (deltas_in(alone({"OIL-FUT": 5}, market=market_of(oil=level))).amount[0] for level in (0.01, 20.0))
    assert small == floor == 5 * 10 * 20.0
    below = deltas_in(alone({"OIL-FUT": 5}, market=market_of(oil=-30.0))).amount[0]
    assert below == 5 * 10 * 30.0


@few
@given(portfolios_and_sets())
def test_rows_are_what_a_small_move_of_each_underlying_would_make(drawn):
    portfolios, left_out = drawn
    valuation, pools = portfolios.valuation, portfolios.pools
    terms, legs = valuation.catalogue, len(portfolios.leg_row)
    floor = floors(terms)
    contracts, money, rest = (defaultdict(lambda: defaultdict(list)) for _ in range(3))
    for leg in range(legs):
        instrument, pool = terms.instruments[pools.leg_instrument[leg]], int(pools.leg_pool[leg])
        key = (pool, terms.asset_number[instrument.underlying])
        contracts[key][leg].append(bumped_delta(portfolios, leg, floor[key[1]]))
        if instrument.settle != "USD":
            row = portfolios.leg_row[leg]
            value = portfolios.quantity[leg] * valuation.unit_value[row] - portfolios.entry_value[leg]
            money[pool, terms.asset_number[instrument.settle]][leg].append(value * valuation.settle_fx[row])
    for b in range(len(portfolios.balance_price)):
        key = (int(pools.balance_pool[b]), int(pools.balance_asset[b]))
        if terms.assets[key[1]].symbol != "USD":
            money[key][legs + b].append(portfolios.counted[b] * portfolios.balance_price[b])
            rest[key][legs + b].append(portfolios.rest[b] * portfolios.balance_price[b])
    rows = delta_rows(portfolios, floor)
    net, gross = rows.nets(left_out, SETS)
    found = {(int(p), int(b)): n for n, (p, b) in enumerate(zip(rows.pool, rows.bucket, strict=True))}
    for key in contracts.keys() | money.keys():
        for w in range(SETS):
            c, m, r = (
                [sum(v) for h, v in kind[key].items() if not (w and (left_out[h] >> w) & 1)]
                for kind in (contracts, money, rest)
            )
            y, cash, more = sum(c) + sum(m), sum(m), sum(r)
            wanted = y if y >= 0 else min(0.0, y + more)
            spread = sum(map(abs, c)) + (cash if cash >= 0 else -min(0.0, cash + more))
            scale = 1e-5 * (sum(map(abs, c)) + sum(map(abs, m)) + more + 1.0)
            n = found.get(key)
            assert (net[n, w] if n is not None else 0.0) == pytest.approx(wanted, abs=scale)
            assert (gross[n, w] if n is not None else 0.0) == pytest.approx(spread, abs=scale)
    assert found.keys() <= contracts.keys() | money.keys()


# ------------------------------------------------------------------ the charge

BUCKETS = 3


@st.composite
def rows_and_owners(draw, *, owner_count=2, most=9):
    """Rows of up to four pools, in whole numbers, with an owner for each pool."""
    pools = draw(st.integers(1, 4))
    holdings = draw(
        st.lists(
            st.tuples(
                st.integers(0, pools - 1),
                st.integers(0, BUCKETS - 1),
                st.integers(-50, 50),
                st.sampled_from((Kind.CONTRACT, Kind.MONEY, Kind.REST)),
            ),
            min_size=1,
            max_size=most,
        )
    )
    holdings = [(p, b, abs(a) if k == Kind.REST else a, k) for p, b, a, k in holdings]
    owner = draw(st.lists(st.integers(0, owner_count - 1), min_size=pools, max_size=pools))
    return holdings, np.array(owner)


@st.composite
def depths(draw):
    """Markets from much deeper to much thinner than the books of `rows_and_owners`."""

    def column(*values):
        return np.array([draw(st.sampled_from(values)) for _ in range(BUCKETS)])

    return Depth(
        half_spread=column(0.0, 0.001, 0.05),
        move=column(0.0, 0.01, 0.2),
        volume=column(1.0, 40.0, 1e4),
        participation=column(0.05, 0.3, 1.0),
        horizon=column(1.0, 2.0, 5.0),
    )


def slow_charges(holdings, owner, depth):
    """Twin: the charge of each pool, one bucket at a time."""

    def net(pool, bucket, kinds):
        y = sum(a for p, b, a, k in holdings if (p, b) == (pool, bucket) and k in kinds)
        rest = sum(a for p, b, a, k in holdings if (p, b, k) == (pool, bucket, Kind.REST))
        return y if y >= 0 else min(0, y + rest)

    total = [0.0] * len(owner)
    for b in range(BUCKETS):
        n = [net(p, b, (Kind.CONTRACT, Kind.MONEY)) for p in range(len(owner))]
        for p in range(len(owner)):
            size = sum(abs(n[other]) for other in range(len(owner)) if owner[other] == owner[p])
            days = size / (depth.participation[b] * depth.volume[b])
            rate = depth.move[b] * sqrt(size / depth.volume[b]) * sqrt(max(1.0, days / depth.horizon[b]))
            gross = sum(abs(a) for q, c, a, k in holdings if (q, c, k) == (p, b, Kind.CONTRACT))
            gross += abs(net(p, b, (Kind.MONEY,)))
            total[p] += depth.half_spread[b] * gross + abs(n[p]) * rate
    return total


@given(rows_and_owners(), depths())
def test_the_charge_of_every_pool_is_that_of_its_slow_twin(drawn, depth):
    holdings, owner = drawn
    rows = rows_of(*holdings, pools=len(owner), buckets=BUCKETS)
    assert charge_of(rows, owner, depth).by_pool[:, 0] == pytest.approx(
        slow_charges(holdings, owner, depth), rel=1e-12, abs=1e-12
    )


@given(rows_and_owners(owner_count=1), depths(), st.data())
def test_splitting_an_owner_into_pools_never_pays(drawn, depth, data):
    holdings, owner = drawn
    whole = charge_of(rows_of(*holdings, pools=len(owner), buckets=BUCKETS), owner, depth)
    parts = []
    for pool, bucket, amount, kind in holdings:
        low, high = sorted((0, amount))
        elsewhere = data.draw(st.integers(low - 20 * (kind != Kind.REST), high + 20 * (kind != Kind.REST)))
        parts += [(pool, bucket, amount - elsewhere, kind), (len(owner) + pool, bucket, elsewhere, kind)]
    split = charge_of(
        rows_of(*parts, pools=2 * len(owner), buckets=BUCKETS), np.zeros(2 * len(owner), dtype=np.int64), depth
    )
    assert split.amount.sum() >= whole.amount.sum() * (1 - 1e-12)


@given(rows_and_owners(), depths(), st.integers(1, 7))
def test_a_book_n_times_as_large_owes_at_least_n_times_as_much(drawn, depth, times):
    holdings, owner = drawn
    larger = [(p, b, a * times, k) for p, b, a, k in holdings]
    one, many = (
        charge_of(rows_of(*h, pools=len(owner), buckets=BUCKETS), owner, depth).by_pool[:, 0]
        for h in (holdings, larger)
    )
    assert (many >= times * one * (1 - 1e-12)).all()


@given(rows_and_owners(), depths())
def test_a_pool_never_owes_more_than_its_holdings_apart_at_the_same_owner_size(drawn, depth):
    holdings, owner = drawn
    rows = rows_of(*holdings, pools=len(owner), buckets=BUCKETS)
    sizes = OwnerSizes.of(rows, owner)
    pooled = DepthCharge.of(rows, sizes.held(rows, owner), depth).by_pool[:, 0]
    alone_rows = rows_of(
        *[(n, b, a, k) for n, (_, b, a, k) in enumerate(holdings)], pools=len(holdings), buckets=BUCKETS
    )
    of_holding = owner[[p for p, _, _, _ in holdings]]
    isolated = DepthCharge.of(alone_rows, sizes.held(alone_rows, of_holding), depth).by_pool[:, 0]
    total = np.bincount([p for p, _, _, _ in holdings], weights=isolated, minlength=len(owner))
    assert (pooled <= total * (1 + 1e-12)).all()


def test_at_each_pools_own_size_the_hedge_bound_is_not_claimed():
    """Two longs together cost more than apart where each part is held to its own size only."""
    one = rows_of((0, 0, 1e9, Kind.CONTRACT), pools=1)
    two = rows_of((0, 0, 2e9, Kind.CONTRACT), pools=1)
    owner = np.array([0])
    assert charge_of(two, owner, MAJOR).amount.sum() > 2 * charge_of(one, owner, MAJOR).amount.sum()


@given(rows_and_owners(), depths(), st.data())
def test_shares_add_up_to_the_charge_of_every_pool_and_set(drawn, depth, data):
    holdings, owner = drawn
    rows = rows_of(*holdings, pools=len(owner), buckets=BUCKETS)
    bits = np.array([data.draw(st.integers(0, 3)) << 1 for _ in holdings])
    found = charge_of(rows, owner, depth, bits, 3)
    chosen = np.array([data.draw(st.integers(0, 2)) for _ in owner])
    share = found.shares(chosen, len(holdings), bits)
    total = np.bincount([p for p, _, _, _ in holdings], weights=share, minlength=len(owner))
    assert total == pytest.approx(found.by_pool[np.arange(len(owner)), chosen], rel=1e-10, abs=1e-9)
    for holding, (pool, _, _, _) in enumerate(holdings):
        if chosen[pool] and (bits[holding] >> chosen[pool]) & 1:
            assert share[holding] == 0.0


def test_a_hedge_has_a_negative_share_of_the_impact_it_saves():
    depth = replace(MAJOR, half_spread=np.zeros(1))
    rows = rows_of((0, 0, 3e9, Kind.CONTRACT), (0, 0, -1e9, Kind.CONTRACT), pools=1)
    found = charge_of(rows, np.array([0]), depth)
    share = found.shares(np.array([0]), 2)
    assert share == pytest.approx(found.amount[0, 0] * np.array([1.5, -0.5]), rel=1e-14)


# ------------------------------------------------------------------ the owner's size


@given(rows_and_owners(), depths(), st.data())
def test_a_hypothetical_pool_owes_what_it_would_in_a_book_with_it_in_the_real_ones_place(drawn, depth, data):
    holdings, owner = drawn
    real = rows_of(*holdings, pools=len(owner), buckets=BUCKETS)
    changed = data.draw(st.integers(0, len(owner) - 1))
    new = [(p, b, a * data.draw(st.integers(0, 3)) if p == changed else a, k) for p, b, a, k in holdings]
    book = charge_of(rows_of(*new, pools=len(owner), buckets=BUCKETS), owner, depth).by_pool[changed, 0]
    mine = [(0, b, a, k) for p, b, a, k in new if p == changed]
    if not mine:
        return
    rows = rows_of(*mine, pools=1, buckets=BUCKETS)
    size = OwnerSizes.of(real, owner).replaced(rows, owner[[changed]], np.array([changed]))
    assert DepthCharge.of(rows, size, depth).by_pool[0, 0] == pytest.approx(book, rel=1e-9, abs=1e-9)


def test_a_pool_of_nobody_comes_on_top_of_its_owner():
    rows = rows_of((0, 0, 30.0, Kind.CONTRACT), pools=1)
    sizes = OwnerSizes.of(rows, np.array([7]))
    again = rows_of((0, 0, -10.0, Kind.CONTRACT), (1, 0, -10.0, Kind.CONTRACT), pools=2)
    assert sizes.replaced(again, np.array([7, 8]), np.array([-1, -1])).tolist() == [40.0, 10.0]
    assert sizes.held(again, np.array([7, 8])).tolist() == [30.0, 0.0]


@few
@given(worlds())
def test_a_pools_charge_has_the_same_bits_whatever_is_computed_beside_it(world):
    portfolios = portfolios_in(world)
    catalogue, pools = portfolios.valuation.catalogue, portfolios.pools
    floor, depth = floors(catalogue), depth_of(catalogue)
    rows = delta_rows(portfolios, floor)
    sizes = OwnerSizes.of(rows, pools.owner)
    together = DepthCharge.of(rows, sizes.held(rows, pools.owner), depth).by_pool
    for p in range(pools.count):
        one = np.array([p])
        legs, _ = slices(pools.leg_start, one)
        balances, _ = slices(pools.balance_start, one)
        part = replace(
            portfolios,
            pools=pools.take(one),
            leg_row=portfolios.leg_row[legs],
            entry_value=portfolios.entry_value[legs],
            balance_price=portfolios.balance_price[balances],
            counted=portfolios.counted[balances],
            rest=portfolios.rest[balances],
            credit_factor=portfolios.credit_factor[one],
        )
        mine = delta_rows(part, floor)
        assert (
            DepthCharge.of(mine, sizes.held(mine, pools.owner[one]), depth).by_pool[0].tolist() == together[p].tolist()
        )


@few
@given(worlds(most=2, isolated=False), st.data())
def test_an_owner_who_spreads_a_book_over_accounts_owes_no_less(world, data):
    """Tiers give a split book more counted collateral; its charge does not fall for it."""
    tiers = HaircutPolicy(by_class={"other": Tiers(((5.0, 0.0), (float("inf"), 0.5)))})
    rules = rules_of(GRID, haircuts=tiers)
    accounts = []
    for account in world.accounts:
        held = [b for b in account.balances if b.state == "final"]
        held = [replace(b, location="here") for b in held]
        accounts.append(replace(account, owner="house", credit="standard", balances=held))
    parts = []
    for account in accounts:
        share = data.draw(st.sampled_from([0.0, 0.25, 0.5, 1.0]))
        for name, weight in (("x", share), ("y", 1.0 - share)):
            parts.append(
                Account(
                    id=account.id + name,
                    owner="house",
                    positions=[replace(p, quantity=p.quantity * weight) for p in account.positions],
                    balances=[replace(b, amount=b.amount * weight) for b in account.balances],
                )
            )
    assets = [Asset(symbol=a.symbol, asset_class=a.asset_class, group=a.group) for a in ASSETS]

    def total(accounts):
        found = World(accounts=tuple(accounts), market=world.market, assets=tuple(assets)).standing(rules).portfolios
        catalogue = found.valuation.catalogue
        rows = delta_rows(found, floors(catalogue))
        return charge_of(rows, found.pools.owner, depth_of(catalogue)).amount.sum()

    assert total(parts) >= total(accounts) * (1 - 1e-9)


# ------------------------------------------------------------------ parameters


def test_a_bucket_in_use_without_a_vol_is_refused_by_name():
    portfolios = portfolios_in(alone({"BTC-PERP": 1}, market=market_of()))
    catalogue = portfolios.valuation.catalogue
    sigma = np.full(len(catalogue.assets), 0.03)
    rows = delta_rows(portfolios, floors(catalogue))
    sigma[catalogue.asset_number["DAX"]] = np.nan
    check_vols(rows, sigma, catalogue)
    sigma[catalogue.asset_number["BTC"]] = np.nan
    with pytest.raises(InvalidMarket, match="daily vol of BTC"):
        check_vols(rows, sigma, catalogue)


@pytest.mark.parametrize(
    "wrong",
    [
        {"spread": -0.1},
        {"spread": 1.0},
        {"adv": 0.0},
        {"adv": float("inf")},
        {"participation": 0.0},
        {"participation": 1.1},
    ],
)
def test_rates_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidRules):
        LiquidityRates(**{"spread": 0.01, "adv": 1e6, "participation": 0.1, **wrong})


def test_class_other_is_required_and_names_come_before_classes():
    with pytest.raises(InvalidRules, match="other"):
        Liquidity(by_class={"crypto": LIQUIDITY.by_class["crypto"]})
    with pytest.raises(InvalidRules):
        Liquidity(by_class=LIQUIDITY.by_class, impact=-1.0)
    btc, sol, unknown = (LIQUIDITY.rates_of(Asset(symbol=s)) for s in ("BTC", "SOL", "THIN"))
    assert (btc.adv, sol.adv, unknown.adv) == (5e9, 1e8, 1e7)
    # A known coin whose contracts do not say what it is takes the strictest class.
    assert LIQUIDITY.rates_of(Asset(symbol="BTC", asset_class="other")).adv == 1e7


def test_rows_of_no_pools_and_pools_of_no_rows_owe_nothing():
    rows = rows_of((0, 0, 0.0, Kind.CONTRACT), pools=3)
    found = charge_of(rows, np.array([0, 1, 2]), MAJOR)
    assert found.by_pool.tolist() == [[0.0]] * 3
    assert found.shares(np.zeros(3, dtype=np.int64), 1).tolist() == [0.0]
    assert owners(rows.start).tolist() == []
