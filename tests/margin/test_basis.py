"""Basis: a long and a short of different expiries pay for the gap between them, nearest first."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset, Catalogue
from crossmargin.margin.basis import Basis, ExpiryRows
from crossmargin.margin.depth import Kind
from crossmargin.margin.liquidity import delta_rows
from crossmargin.ragged import owners
from tests.margin.addon_worlds import SETS, floors, portfolios_and_sets, portfolios_in
from tests.strategies import alone, market_of

BASIS = Basis(
    by_class={
        "crypto": 0.15,
        "energy": 0.15,
        "equity_index": 0.02,
        "fx": 0.02,
        "metals": 0.03,
        "other": 0.30,
        "rates": 0.01,
    },
    by_name={"BTC": 0.05, "ETH": 0.05},
)
ONE = np.array([1.0])


def rows_of(*parts):
    """Return one pool and group from (years, amount, kind), a holding each."""
    parts = [(*part, Kind.CONTRACT)[:3] for part in parts]
    order = sorted(range(len(parts)), key=lambda k: parts[k][0])
    years, amount, kind = (np.array([parts[k][c] for k in order]) for c in range(3))
    return ExpiryRows(
        pools=1,
        pool=np.zeros(1, dtype=np.int64),
        group=np.zeros(1, dtype=np.int64),
        start=np.array([0, len(parts)]),
        amount=amount.astype(np.float64),
        kind=kind.astype(np.int64),
        holding=np.array(order),
        years=years.astype(np.float64),
    )


def charge(*parts):
    return rows_of(*parts).charges(ONE)[0, 0]


def slow_matched(parts):
    """Twin: of all pairs of opposite sign the nearest, the earlier first, until there is none."""
    net = {0.0: 0.0}
    rest = sum(part[1] for part in parts if part[2:] == (Kind.REST,))
    for years, amount, *kind in parts:
        if kind != [Kind.REST]:
            net[years] = net.get(years, 0.0) + amount
    net[0.0] += min(rest, max(0.0, -sum(net.values())))
    total = 0.0
    while True:
        pairs = [(b - a, a, b) for a, b in combinations(sorted(net), 2) if net[a] * net[b] < 0]
        if not pairs:
            return total
        gap, a, b = min(pairs)
        size = min(abs(net[a]), abs(net[b]))
        total += size * gap
        net[a] -= np.sign(net[a]) * size
        net[b] -= np.sign(net[b]) * size


# ------------------------------------------------------------------ by hand


def test_a_calendar_pays_its_matched_part_for_its_gap():
    assert charge((0.25, 100.0), (0.75, -40.0)) == pytest.approx(40.0 * 0.5)


def test_one_sign_and_one_expiry_pay_nothing():
    assert charge((0.1, 5.0), (0.3, 7.0)) == 0.0
    assert charge((0.3, 5.0), (0.3, -7.0)) == 0.0


def test_the_nearest_expiries_match_first():
    # 0.2 and 0.3 are nearest: 10 x 0.1; then what is left of the short at 0.3 with 0.0: 5 x 0.3.
    assert charge((0.0, 20.0), (0.2, 10.0), (0.3, -15.0)) == pytest.approx(10 * 0.1 + 5 * 0.3)


def test_of_equal_gaps_the_earlier_pair_goes_first():
    # 0 with 0.25 first, then nothing is left for 0.5 with 0.25; the short at 0.75 takes it.
    assert charge((0.0, 10.0), (0.25, -10.0), (0.5, 10.0), (0.75, -10.0)) == pytest.approx(10 * 0.25 * 2)


def test_the_uncounted_rest_matches_a_short_and_nothing_else():
    assert charge((0.5, -10.0), (0.0, 4.0, Kind.REST)) == pytest.approx(4 * 0.5)
    assert charge((0.5, -10.0), (0.0, 40.0, Kind.REST)) == pytest.approx(10 * 0.5)
    assert charge((0.5, 10.0), (0.0, 40.0, Kind.REST)) == 0.0


def test_coins_against_a_dated_future_pay_the_basis_of_their_group():
    held = portfolios_in(alone({"BTC-FUT": -3}, {"BTC": 4}, market=market_of()))
    catalogue = held.valuation.catalogue
    rows = ExpiryRows.of(held, delta_rows(held, floors(catalogue)))
    # 4 coins at 100 count 380 to 5 below 3 coins and 10% above; the future is short 6 coins at 101.
    counted = float((held.counted * held.balance_price)[0])
    assert rows.charges(BASIS.moves(catalogue))[0, 0] == pytest.approx((counted + (400 - counted)) * 0.05 * 86 / 365)


def test_a_staked_coin_matches_its_groups_future():
    held = portfolios_in(alone({"ETH-INV": -20}, {"STETH": 30}, market=market_of()))
    catalogue = held.valuation.catalogue
    rows = ExpiryRows.of(held, delta_rows(held, floors(catalogue)))
    assert [catalogue.assets[g].symbol for g in rows.group.tolist()] == ["ETH"]
    assert rows.charges(BASIS.moves(catalogue))[0, 0] > 0.0


def test_the_cap_is_what_netting_saves_and_never_below_nothing():
    rows = rows_of((0.25, 100.0), (0.75, -40.0))
    found = rows.charges(ONE)
    assert rows.capped(found, np.array([[12.0]])).tolist() == [[12.0]]
    assert rows.capped(found, np.array([[90.0]])).tolist() == found.tolist()
    assert rows.capped(found, np.array([[-1e-12]])).tolist() == [[0.0]]


def test_a_hedge_may_cost_basis_so_sub_additivity_is_not_claimed():
    apart = charge((0.0, 10.0)) + charge((1.0, -10.0))
    assert apart == 0.0 < charge((0.0, 10.0), (1.0, -10.0))


# ------------------------------------------------------------------ properties

amounts = st.integers(-9, 9).map(float)
expiries = st.sampled_from([0.0, 0.125, 0.25, 0.5, 1.0, 2.0])


@st.composite
def parts_of(draw, least=1):
    contracts = draw(st.lists(st.tuples(expiries, amounts), min_size=least, max_size=8))
    rests = draw(st.lists(st.integers(0, 12).map(float), max_size=2))
    return [*contracts, *((0.0, a, Kind.REST) for a in rests)]


@given(parts_of())
def test_the_charge_is_that_of_its_slow_twin(parts):
    assert charge(*parts) == pytest.approx(slow_matched(parts), abs=1e-9)


@given(parts_of(), st.integers(2, 9))
def test_the_charge_is_homogeneous(parts, times):
    larger = [(years, amount * times, *kind) for years, amount, *kind in parts]
    assert charge(*larger) == pytest.approx(times * charge(*parts), abs=1e-9)


@given(parts_of())
def test_turning_every_sign_around_changes_nothing(parts):
    parts = [part for part in parts if len(part) == 2]
    assert charge(*[(y, -a) for y, a in parts]) == pytest.approx(charge(*parts), abs=1e-9)


@given(parts_of())
def test_shares_add_up_to_the_charge(parts):
    share = rows_of(*parts).shares(ONE, np.array([0]), len(parts))
    assert share.sum() == pytest.approx(charge(*parts), abs=1e-9)


@given(st.integers(0, 2**32 - 1), st.booleans())
@settings(max_examples=40)
def test_a_share_is_the_amount_times_the_slope_of_the_charge(seed, with_rest):
    rng = np.random.default_rng(seed)
    parts = [(years, float(rng.normal())) for years in rng.uniform(0.1, 3.0, 5)]
    parts += [(0.0, float(rng.normal())), (parts[0][0], float(rng.normal()))]
    if with_rest:
        parts.append((0.0, float(rng.uniform(0, 4)), Kind.REST))
    share = rows_of(*parts).shares(ONE, np.array([0]), len(parts))
    step = 1e-7
    for k, (years, amount, *kind) in enumerate(parts):
        up, down = (charge(*parts[:k], (years, amount + d, *kind), *parts[k + 1 :]) for d in (step, -step))
        assert share[k] == pytest.approx(amount * (up - down) / (2 * step), abs=1e-5)


@settings(max_examples=25)
@given(portfolios_and_sets(), st.data())
def test_whole_portfolios_and_sets_are_charged_as_the_twin_does(drawn, data):
    portfolios, left_out = drawn
    valuation, pools = portfolios.valuation, portfolios.pools
    catalogue = valuation.catalogue
    deltas = delta_rows(portfolios, floors(catalogue))
    rows = ExpiryRows.of(portfolios, deltas)
    moves = BASIS.moves(catalogue)
    found = rows.charges(moves, left_out, SETS)
    keys = list(zip(rows.pool.tolist(), rows.group.tolist(), strict=True))
    assert keys == sorted(set(keys))
    segment = owners(deltas.start)
    for n, (pool, group) in enumerate(keys):
        for w in range(SETS):
            parts = []
            for e, at in enumerate(segment.tolist()):
                asset = catalogue.assets[deltas.bucket[at]]
                holding = int(deltas.holding[e])
                if deltas.pool[at] != pool or catalogue.asset_number[asset.group] != group:
                    continue
                if w and (left_out[holding] >> w) & 1:
                    continue
                years = 0.0
                if deltas.kind[e] == Kind.CONTRACT:
                    expiry = catalogue.expiry[pools.leg_instrument[holding]]
                    if np.isfinite(expiry):
                        years = (expiry - valuation.market.time.timestamp()) / (365 * 86_400)
                rest = (Kind.REST,) if deltas.kind[e] == Kind.REST else ()
                parts.append((years, float(deltas.amount[e]), *rest))
            scale = sum(abs(part[1]) for part in parts)
            assert found[n, w] == pytest.approx(moves[group] * slow_matched(parts), abs=1e-9 * (scale + 1))
    chosen = np.array([data.draw(st.integers(0, SETS - 1)) for _ in range(pools.count)])
    holdings = len(portfolios.leg_row) + len(portfolios.balance_price)
    share = rows.shares(moves, chosen, holdings, left_out)
    pool_of = np.concatenate((pools.leg_pool, pools.balance_pool))
    total = np.bincount(rows.pool, weights=found[np.arange(len(keys)), chosen[rows.pool]], minlength=pools.count)
    assert np.bincount(pool_of, weights=share, minlength=pools.count) == pytest.approx(total, rel=1e-9, abs=1e-6)


# ------------------------------------------------------------------ parameters


def test_moves_are_by_name_then_class():
    assets = [Asset(symbol=s) for s in ("BTC", "EUR", "SOL", "THIN")]
    assert BASIS.moves(Catalogue.of([], assets)).tolist() == [0.05, 0.02, 0.15, 0.30]


@pytest.mark.parametrize("wrong", [{"crypto": 0.1}, {"other": -0.1}, {"other": float("nan")}, {"others": 0.1}])
def test_moves_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidRules):
        Basis(by_class=wrong)


def test_the_shares_of_a_hundred_thousand_expiries_add_up():
    rng = np.random.default_rng(3)
    count = 100_000
    rows = rows_of(*zip(np.sort(rng.uniform(0.1, 3.0, count)), rng.normal(size=count), strict=True))
    found = rows.charges(ONE)[0, 0]
    assert found > 0.0
    assert rows.shares(ONE, np.array([0]), count).sum() == pytest.approx(found, rel=1e-9)
