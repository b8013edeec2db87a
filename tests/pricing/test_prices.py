"""Black-76 and Bachelier prices: against QuantLib, against 100-digit arithmetic, and the bounds they must keep."""

import math
from decimal import Decimal

import numpy as np
import pytest
import QuantLib as ql  # noqa: N813
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.pricing import (
    bachelier,
    bachelier_greeks,
    bachelier_scenarios,
    black76,
    black76_greeks,
    black76_scenarios,
)
from tests.pricing import twins

POINTS = 100_000


def black_points(seed=20260115):
    """100,000 points: a third plain, a third deep in the wings, the rest with hardly any or no time or vol."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 6, POINTS)
    vol = 10 ** rng.uniform(-3, 0.7, POINTS)
    tau = 10 ** rng.uniform(-3, 1.3, POINTS)
    tau[kind == 4] = 10 ** rng.uniform(-12, -4, (kind == 4).sum())
    vol[kind == 5] = 10 ** rng.uniform(-12, -4, (kind == 5).sum())
    tau[:500], vol[500:1_000] = 0.0, 0.0
    forward = 10 ** rng.uniform(-4, 6, POINTS)
    wing = np.where(kind >= 2, rng.uniform(-12, 12, POINTS), rng.normal(0, 1.5, POINTS))
    strike = forward * np.exp(np.clip(wing * vol * np.sqrt(tau), -8, 8))
    strike[1_000:1_500] = 0.0
    return forward, strike, vol, tau, np.exp(-rng.uniform(-0.05, 0.2, POINTS) * tau), rng.random(POINTS) < 0.5


def bachelier_points(seed=20260116):
    rng = np.random.default_rng(seed)
    forward, _, vol, tau, discount, is_call = black_points(seed)
    forward = np.where(rng.random(POINTS) < 0.5, -forward, forward)
    vol = vol * np.abs(forward) ** rng.uniform(0, 1, POINTS)
    strike = forward + rng.uniform(-12, 12, POINTS) * vol * np.sqrt(tau)
    return forward, strike, vol, tau, discount, is_call


def _quoted(formula, *arguments):
    """Their price; 0 where they refuse one because their own rounding took it below."""
    try:
        return formula(*arguments)
    except RuntimeError as error:
        if "negative value (-" not in str(error):
            raise
        return 0.0


@pytest.mark.parametrize(
    ("ours", "theirs", "points"),
    [
        (black76, ql.blackFormula, black_points()),
        (bachelier, ql.bachelierBlackFormula, bachelier_points()),
    ],
    ids=["black76", "bachelier"],
)
def test_prices_are_those_of_quantlib_on_100_000_points(ours, theirs, points):
    forward, strike, vol, tau, discount, is_call = points
    deviation = (vol * np.sqrt(tau)).tolist()
    option = [ql.Option.Call if call else ql.Option.Put for call in is_call]
    their = np.array(
        [
            _quoted(theirs, *arguments)
            for arguments in zip(option, strike.tolist(), forward.tolist(), deviation, discount.tolist(), strict=True)
        ]
    )
    error = np.abs(ours(*points) - their)
    assert np.max(error / np.maximum(1.0, np.abs(forward))) <= 1e-10


@pytest.mark.parametrize(
    ("ours", "exact"),
    [(black76, twins.exact_black76), (bachelier, twins.exact_bachelier)],
    ids=["black76", "bachelier"],
)
def test_out_of_the_money_prices_keep_their_digits_to_the_last_representable_wing(ours, exact):
    """Relative error grows with the square of the distance: one rounding of d is d of them in the tail."""
    for distance in (0.0, 0.01, 0.5, 1.0, 2.0, 4.0, 6.0, 8.0, 10.0, 12.0):
        for deviation in (0.01, 0.2, 1.0, 3.0):
            strike = 100.0 * math.exp(distance * deviation)
            for is_call, forward in ((True, 100.0), (False, strike)):
                k = strike if is_call else 100.0
                # For Bachelier the same numbers are an option whose vol is in price units.
                vol = deviation if ours is black76 else max(strike - 100.0, 100.0) / max(distance, 1.0)
                price = float(ours(forward, k, vol, 1.0, 0.9, is_call))
                right = float(twins.exact(exact, forward, k, vol, 1.0, 0.9, is_call))
                assert price == pytest.approx(right, rel=4e-16 * (8 + distance**2) * (1 + distance / deviation / 8))


def test_black_is_exact_to_a_few_roundings_of_the_smaller_of_forward_and_strike():
    rng = np.random.default_rng(7)
    for _ in range(500):
        vol, tau = 10 ** rng.uniform(-2, 0.7), 10 ** rng.uniform(-3, 1)
        forward = 10 ** rng.uniform(-2, 5)
        strike = forward * math.exp(rng.normal(0, 2) * vol * math.sqrt(tau))
        is_call = bool(forward < strike)
        right = twins.exact(twins.exact_black76, forward, strike, vol, tau, 1.0, is_call)
        error = abs(Decimal(float(black76(forward, strike, vol, tau, 1.0, is_call))) - right)
        assert error <= Decimal("1e-15") * Decimal(min(forward, strike))


@pytest.mark.parametrize(
    ("forward", "strike", "vol", "tau", "call", "put"),
    [
        (110.0, 100.0, 0.5, 0.0, 9.0, 0.0),
        (110.0, 100.0, 0.0, 1.0, 9.0, 0.0),
        (100.0, 110.0, 0.5, 0.0, 0.0, 9.0),
        (100.0, 100.0, 0.0, 0.0, 0.0, 0.0),
        (100.0, 0.0, 0.5, 1.0, 90.0, 0.0),
        (0.0, 100.0, 0.5, 1.0, 0.0, 90.0),
        (0.0, 0.0, 0.5, 1.0, 0.0, 0.0),
        (100.0, 80.0, 1e6, 1.0, 90.0, 72.0),
        (100.0, 80.0, 1e200, 1e200, 90.0, 72.0),
    ],
    ids=["no time", "no vol", "no time, put in", "nothing", "strike 0", "forward 0", "both 0", "huge vol", "endless"],
)
def test_the_limits_of_black_are_exact(forward, strike, vol, tau, call, put):
    assert black76(forward, strike, vol, tau, 0.9, True) == call
    assert black76(forward, strike, vol, tau, 0.9, False) == put


@pytest.mark.parametrize(
    ("forward", "strike", "call", "put"), [(-37.5, -40.0, 2.25, 0.0), (-5.0, 5.0, 0.0, 9.0), (0.0, 0.0, 0.0, 0.0)]
)
def test_the_limits_of_bachelier_are_exact_for_any_sign(forward, strike, call, put):
    for vol, tau in ((0.0, 1.0), (3.0, 0.0)):
        assert bachelier(forward, strike, vol, tau, 0.9, True) == pytest.approx(call, rel=1e-15, abs=0)
        assert bachelier(forward, strike, vol, tau, 0.9, False) == pytest.approx(put, rel=1e-15, abs=0)


positive = st.floats(1e-8, 1e8) | st.floats(1e-300, 1e300) | st.just(0.0)
signed = st.floats(-1e8, 1e8)
vols = st.floats(0, 10) | st.floats(0, 1e300)
taus = st.floats(0, 30) | st.floats(0, 1e300)
discounts = st.floats(0.01, 1.5)


@given(forward=positive, strike=positive, vol=vols, tau=taus, discount=discounts)
def test_black_never_leaves_the_bounds_of_no_arbitrage(forward, strike, vol, tau, discount):
    call = black76(forward, strike, vol, tau, discount, True)
    put = black76(forward, strike, vol, tau, discount, False)
    assert discount * max(forward - strike, 0.0) <= call <= discount * forward
    assert discount * max(strike - forward, 0.0) <= put <= discount * strike
    assert call - put == pytest.approx(
        discount * (forward - strike), rel=1e-10, abs=1e-15 * discount * max(forward, strike)
    )


@given(forward=signed, strike=signed, vol=vols, tau=taus, discount=discounts)
def test_bachelier_is_finite_for_any_sign_and_keeps_parity(forward, strike, vol, tau, discount):
    call = bachelier(forward, strike, vol, tau, discount, True)
    put = bachelier(forward, strike, vol, tau, discount, False)
    assert discount * max(forward - strike, 0.0) <= call < math.inf or vol * math.sqrt(tau) > 1e300
    assert discount * max(strike - forward, 0.0) <= put < math.inf or vol * math.sqrt(tau) > 1e300
    if vol * math.sqrt(tau) < 1e10:
        scale = max(abs(forward), abs(strike), call)
        assert call - put == pytest.approx(discount * (forward - strike), rel=1e-10, abs=1e-15 * scale)


@given(
    forward=st.floats(1e-3, 1e6),
    moneyness=st.floats(-6, 6),
    step=st.floats(0.001, 1),
    deviation=st.floats(1e-4, 8),
    model=st.sampled_from([black76, bachelier]),
)
def test_prices_are_monotone_and_convex_in_strike_and_rise_with_vol(forward, moneyness, step, deviation, model):
    vol = deviation if model is black76 else deviation * forward
    width = min(deviation, 1.0)
    middle = forward * math.exp(min(moneyness * deviation, 20.0))
    strikes = middle * np.array([1 - 0.5 * step * width, 1.0, 1 + 0.5 * step * width])
    rounding = 4e-16 * (forward + middle + vol)
    for is_call in (True, False):
        low, mid, high = model(forward, strikes, vol, 1.0, 1.0, is_call)
        first, last = (low, high) if is_call else (high, low)
        assert first >= mid - rounding
        assert mid >= last - rounding
        assert low - 2 * mid + high >= -4 * rounding
        quieter, wilder = model(forward, middle, vol * np.array([1.0, 1 + step]), 1.0, 1.0, is_call)
        assert wilder >= quieter - rounding


def test_a_cell_has_the_same_bits_alone_in_a_row_and_in_any_batch():
    rng = np.random.default_rng(3)
    for n, s in ((1, 1), (7, 33), (40, 16), (3, 1_000), (1_000, 3)):
        forward = 100 * np.exp(rng.normal(0, 0.2, (n, s)))
        vol = rng.uniform(0.05, 2, (n, s))
        strike, tau = 100 * np.exp(rng.normal(0, 0.3, n)), rng.uniform(0, 2, n)
        discount, is_call = np.exp(-0.03 * tau), rng.random(n) < 0.5
        terms = [term[:, None] for term in (strike, tau, discount, is_call)]
        for cells, scenarios, greeks in (
            (black76, black76_scenarios, black76_greeks),
            (bachelier, bachelier_scenarios, bachelier_greeks),
        ):
            whole = scenarios(forward, strike, vol, tau, discount, is_call)
            assert whole.shape == (n, s)
            arguments = [np.broadcast_to(a, (n, s)).ravel() for a in (forward, terms[0], vol, *terms[1:])]
            assert np.array_equal(cells(*arguments), whole.ravel())
            assert np.array_equal(cells(forward, terms[0], vol, *terms[1:]), whole)
            assert np.array_equal(greeks(*arguments).price, whole.ravel())
            cut = n * s // 3
            parts = [cells(*(a[part] for a in arguments)) for part in (slice(0, cut), slice(cut, None))]
            assert np.array_equal(np.concatenate(parts), whole.ravel())
            alone = [cells(*(a[i] for a in arguments)) for i in range(0, n * s, max(1, n * s // 50))]
            assert np.array_equal(alone, whole.ravel()[:: max(1, n * s // 50)])
            out = np.empty((n, s))
            assert scenarios(forward, strike, vol, tau, discount, is_call, out=out) is out
            assert np.array_equal(out, whole)


def test_arguments_broadcast_and_scalars_give_scalars():
    assert black76(100, 100, 0.2, 1, 1, True).shape == ()
    assert black76(100, [90, 100, 110], 0.2, 1, 1, True).shape == (3,)
    assert black76(np.full((4, 1), 100.0), [90, 100, 110], 0.2, 1, 1, [True, False, True]).shape == (4, 3)
    assert black76([], 100, 0.2, 1, 1, True).shape == (0,)
    assert black76_scenarios(*(np.empty(s) for s in ((0, 5), 0, (0, 5), 0, 0, 0))).shape == (0, 5)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"forward": [100, -1, -2]}, r"forward\[1\]: found -1.0; allowed: finite numbers of 0 or more"),
        ({"strike": [[100], [-5]]}, r"strike\[1, 0\]: found -5.0"),
        ({"vol": float("nan")}, r"vol: found nan"),
        ({"vol": [0.2, -0.1]}, r"vol\[1\]: found -0.1"),
        ({"tau": -0.5}, r"tau: found -0.5"),
        ({"discount": 0.0}, r"discount: found 0.0; allowed: finite positive numbers"),
        ({"forward": float("inf")}, r"forward: found inf"),
    ],
)
def test_a_wrong_input_is_named_with_its_place(changed, message):
    arguments = {"forward": 100, "strike": 100, "vol": 0.2, "tau": 1, "discount": 1, "is_call": True} | changed
    with pytest.raises(ValueError, match=message):
        black76(**arguments)
    with pytest.raises(ValueError, match=message):
        black76_greeks(**arguments)


def test_a_scenario_kernel_refuses_shapes_that_do_not_fit():
    good = [np.ones((2, 3)), np.ones(2), np.ones((2, 3)), np.ones(2), np.ones(2), np.ones(2, bool)]
    with pytest.raises(ValueError, match="one shape"):
        black76_scenarios(np.ones(3), *good[1:])
    with pytest.raises(ValueError, match=r"strike: found shape \(3,\)"):
        black76_scenarios(good[0], np.ones(3), *good[2:])
    with pytest.raises(ValueError, match="out: found"):
        bachelier_scenarios(*good, out=np.ones((3, 2)))
