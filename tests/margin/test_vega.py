"""Vega: option books pay for their vol, expiry by expiry, as prices do for their delta."""

from collections import defaultdict
from dataclasses import replace
from math import exp, log, pi, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account
from crossmargin.errors import InvalidRules
from crossmargin.margin.depth import DepthCharge, OwnerSizes
from crossmargin.margin.vega import Vega, VegaRates, vega_buckets, vega_rows
from tests.margin.addon_worlds import (
    LIQUIDITY,
    SETS,
    THIN,
    VEGA,
    bumped_vega,
    floors,
    portfolios_and_sets,
    portfolios_in,
)
from tests.strategies import OPTIONS, World, alone, market_of, worlds

few = settings(max_examples=25)


def charged(world, liquidity=THIN):
    portfolios = portfolios_in(world)
    catalogue, owner = portfolios.valuation.catalogue, portfolios.pools.owner
    rows = vega_rows(portfolios, floors(catalogue))
    depth = VEGA.depth(catalogue, liquidity, np.ones(len(catalogue.assets)))
    return DepthCharge.of(rows, OwnerSizes.of(rows, owner).held(rows, owner), depth)


def test_a_short_straddle_pays_half_a_point_and_its_impact_by_hand():
    found = charged(alone({"BTC-C-110": -1e5, "BTC-P-90": -1e5}, market=market_of()), LIQUIDITY)
    vega = -found.net[0, 0]
    # One bucket: both expire in 30 days. Vega ADV is 2% of 5e9 a point.
    size = vega / (0.02 * 5e9)
    stretch = sqrt(max(1.0, size / 0.10))
    assert len(found.net) == 1
    years, forward, vol = 30 / 365, 100.4, 0.6
    d1 = [log(forward / strike) / (vol * sqrt(years)) + vol * sqrt(years) / 2 for strike in (110, 90)]
    density = sum(exp(-(d**2) / 2) / sqrt(2 * pi) for d in d1)
    assert vega == pytest.approx(1e5 * 0.01 * exp(-0.03 * years) * forward * sqrt(years) * density, rel=1e-12)
    assert found.by_pool[0, 0] == pytest.approx(0.5 * vega + vega * 3.0 * sqrt(size) * stretch, rel=1e-12)


def test_expiries_never_net_and_strikes_of_one_do():
    market = market_of()
    calendar = charged(alone({"BTC-C-100-7D": 10, "BTC-C-110": -10}, market=market))
    vertical = charged(alone({"BTC-C-110": 10, "BTC-C-125": -5}, market=market))
    assert len(calendar.net) == 2
    assert len(vertical.net) == 1
    long = charged(alone({"BTC-C-100-7D": 10}, market=market)).by_pool[0, 0]
    short = charged(alone({"BTC-C-110": -10}, market=market)).by_pool[0, 0]
    assert calendar.by_pool[0, 0] == pytest.approx(long + short, rel=1e-12)
    assert vertical.net[0, 0] < charged(alone({"BTC-C-110": 10}, market=market)).net[0, 0]


def test_futures_have_no_vega():
    assert charged(alone({"BTC-PERP": 10, "BTC-FUT": -3}, {"BTC": 5}, market=market_of())).by_pool.tolist() == [[0.0]]


@few
@given(portfolios_and_sets())
def test_rows_are_what_a_small_move_of_each_vol_would_make(drawn):
    portfolios, left_out = drawn
    terms, pools = portfolios.valuation.catalogue, portfolios.pools
    floor = floors(terms)
    wanted = defaultdict(list)
    for leg in np.flatnonzero(portfolios.is_option).tolist():
        instrument = terms.instruments[pools.leg_instrument[leg]]
        underlying = terms.asset_number[instrument.underlying]
        key = (int(pools.leg_pool[leg]), underlying, instrument.expiry.timestamp())
        wanted[key].append((leg, bumped_vega(portfolios, leg, floor[underlying])))
    rows, buckets = vega_rows(portfolios, floor), vega_buckets(terms)
    net, gross = rows.nets(left_out, SETS)
    found = {
        (int(p), int(buckets.underlying[b]), float(buckets.expiry[b])): n
        for n, (p, b) in enumerate(zip(rows.pool, rows.bucket, strict=True))
    }
    assert found.keys() <= wanted.keys()
    for key, legs in wanted.items():
        for w in range(SETS):
            kept = [v for leg, v in legs if not (w and (left_out[leg] >> w) & 1)]
            scale = 1e-5 * (sum(abs(v) for _, v in legs) + 1e-3)
            n = found.get(key)
            assert (net[n, w] if n is not None else 0.0) == pytest.approx(sum(kept), abs=scale)
            assert (gross[n, w] if n is not None else 0.0) == pytest.approx(sum(map(abs, kept)), abs=scale)


@few
@given(worlds(OPTIONS, most=2, isolated=False), st.sampled_from([0.0, 0.3, 0.5, 1.0, 1.5]))
def test_an_owner_who_spreads_options_over_accounts_owes_no_less(world, share):
    def owned(account, name, weight):
        positions = [replace(p, quantity=p.quantity * weight) for p in account.positions]
        return Account(id=account.id + name, owner="house", positions=positions)

    whole = [owned(account, "", 1.0) for account in world.accounts]
    parts = [owned(a, name, w) for a in world.accounts for name, w in (("x", share), ("y", 1.0 - share))]
    one, split = (charged(World(accounts=tuple(a), market=world.market)).amount.sum() for a in (whole, parts))
    assert split >= one * (1 - 1e-9)


def test_shares_add_up():
    found = charged(alone({"BTC-C-110": 10, "BTC-C-125": -7, "BTC-P-80-Q": 3}, market=market_of()))
    assert found.shares(np.array([0]), 3).sum() == pytest.approx(found.by_pool[0, 0], rel=1e-12)


@pytest.mark.parametrize(
    "wrong", [{"spread_points": -1.0}, {"points_a_day": float("nan")}, {"volume_share": 0.0}, {"volume_share": 2.0}]
)
def test_rates_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidRules):
        VegaRates(**{"spread_points": 1.0, "points_a_day": 3.0, **wrong})
    with pytest.raises(InvalidRules):
        Vega(by_class={"crypto": VegaRates(spread_points=1.0, points_a_day=3.0)})
