"""Implied vols: the whole range, nothing lost in silence."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.pricing import (
    Unsolved,
    bachelier,
    bachelier_greeks,
    bachelier_implied_vol,
    black76,
    black76_greeks,
    implied_vol,
)
from tests.pricing import twins

N = 100_000


def points(seed):
    """The whole range: plain, wings, hardly any time, hardly any vol, huge vol; calls and puts, in and out."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(0, 5, N)
    vol = 10 ** rng.uniform(-1.3, 0.5, N)
    tau = 10 ** rng.uniform(-2.6, 1, N)
    wing = rng.normal(0, 1, N)
    wing[kind == 1] = rng.uniform(-8, 8, (kind == 1).sum())
    tau[kind == 2] = 10 ** rng.uniform(-9, -3, (kind == 2).sum())
    vol[kind == 3] = 10 ** rng.uniform(-6, -2, (kind == 3).sum())
    vol[kind == 4] = rng.uniform(2, 20, (kind == 4).sum())
    forward = 10 ** rng.uniform(-4, 6, N)
    deviation = vol * np.sqrt(tau)
    return forward, wing, vol, tau, deviation, np.exp(-rng.uniform(-0.05, 0.1, N) * tau), rng.random(N) < 0.5


def time_value(price, forward, strike, discount, is_call):
    return price / discount - np.maximum(np.where(is_call, forward - strike, strike - forward), 0.0)


@pytest.mark.parametrize("seed", [1, 2])
def test_black_comes_back_over_the_whole_range(seed):
    """Where time value >= 1e-9 of forward the vol is right to 1e-8, as far as the digits of the price can tell;
    elsewhere the price comes back within 1e-14 of forward or the reason is named."""
    forward, wing, vol, tau, deviation, discount, is_call = points(seed)
    strike = forward * np.exp(np.clip(wing * deviation, -40, 40))
    price = black76(forward, strike, vol, tau, discount, is_call)
    found, reason = implied_vol(price, forward, strike, tau, discount, is_call)
    solved = reason == Unsolved.SOLVED
    assert np.array_equal(solved, np.isfinite(found))
    assert np.all(found[solved] > 0)

    remaining = time_value(price, forward, strike, discount, is_call)
    informative = remaining >= 1e-9 * forward
    vega = black76_greeks(forward, strike, vol, tau, discount, is_call).vega
    vague = 3 * np.spacing(price) / np.maximum(vega, 1e-300)
    out_of_the_money = np.where(is_call, forward <= strike, forward >= strike)
    hidden = (reason == Unsolved.AT_INTRINSIC) & (remaining <= 4 * np.spacing(price) / discount)
    saturated = (reason == Unsolved.ABOVE_MAXIMUM) & (price >= discount * np.where(is_call, forward, strike))
    wrong = informative & ~hidden & ~saturated & ~(np.abs(found - vol) <= np.maximum(1e-8, vague))
    assert wrong.sum() == 0
    # These exemptions are no loophole: out of the money it takes vol * sqrt(tau) above 10 to need one,
    # in the money a strike of 100,000 forwards or a price at its bound.
    assert np.all((np.abs(found - vol) <= 1e-8)[informative & out_of_the_money & (deviation < 10)])
    assert np.all(deviation[saturated & informative] > 11)
    assert not np.any(hidden & informative & (strike < 1e5 * forward))

    back = np.abs(black76(forward, strike, np.where(solved, found, 1.0), tau, discount, is_call) - price)
    assert (~informative & solved & ~(back <= 1e-14 * forward)).sum() == 0
    assert (solved & ~(back <= np.maximum(1e-14 * np.minimum(forward, strike), 4 * np.spacing(price)))).sum() == 0
    silent = ~solved & ~np.isin(reason, [Unsolved.AT_INTRINSIC, Unsolved.ABOVE_MAXIMUM, Unsolved.ROUNDED_AWAY])
    assert silent.sum() == 0
    assert solved.sum() > 0.9 * N


@pytest.mark.parametrize("seed", [3, 4])
def test_bachelier_comes_back_over_the_whole_range(seed):
    forward, wing, vol, tau, _, discount, is_call = points(seed)
    forward *= np.random.default_rng(seed).choice([-1.0, 1.0], N)
    vol *= np.abs(forward)
    strike = forward + wing * vol * np.sqrt(tau)
    price = bachelier(forward, strike, vol, tau, discount, is_call)
    found, reason = bachelier_implied_vol(price, forward, strike, tau, discount, is_call)
    solved = reason == Unsolved.SOLVED
    assert np.array_equal(solved, np.isfinite(found))
    informative = time_value(price, forward, strike, discount, is_call) >= 1e-9 * np.abs(forward)
    vega = bachelier_greeks(forward, strike, vol, tau, discount, is_call).vega
    vague = 2 * np.spacing(price) / np.maximum(vega, 1e-300)
    wrong = informative & ~(np.abs(found - vol) <= np.maximum(1e-8 * np.abs(forward), vague))
    assert wrong.sum() == 0
    back = np.abs(bachelier(forward, strike, np.where(solved, found, 1.0), tau, discount, is_call) - price)
    assert (solved & ~(back <= np.maximum(1e-14 * np.abs(forward), 4 * np.spacing(price)))).sum() == 0
    assert np.all(reason[~solved] == Unsolved.AT_INTRINSIC)
    assert solved.sum() > 0.9 * N


@pytest.mark.parametrize(
    ("price", "forward", "strike", "tau", "is_call", "reason"),
    [
        (math.nan, 100, 100, 1, True, Unsolved.NOT_FINITE),
        (math.inf, 100, 100, 1, True, Unsolved.NOT_FINITE),
        (5.0, math.nan, 100, 1, True, Unsolved.NOT_FINITE),
        (5.0, 100, 100, 0, True, Unsolved.NO_TIME),
        (5.0, 100, 100, -1, True, Unsolved.NO_TIME),
        (5.0, 0, 100, 1, True, Unsolved.INSENSITIVE),
        (5.0, 100, 0, 1, False, Unsolved.INSENSITIVE),
        (9.9, 110, 100, 1, True, Unsolved.BELOW_INTRINSIC),
        (-0.1, 100, 110, 1, True, Unsolved.BELOW_INTRINSIC),
        (10.0, 110, 100, 1, True, Unsolved.AT_INTRINSIC),
        (0.0, 100, 110, 1, True, Unsolved.AT_INTRINSIC),
        (100.0, 100, 110, 1, True, Unsolved.ABOVE_MAXIMUM),
        (110.5, 100, 110, 1, False, Unsolved.ABOVE_MAXIMUM),
        (1e6 - 1 + 8e-10, 1.0, 1e6, 1, False, Unsolved.ROUNDED_AWAY),
    ],
)
def test_a_price_without_a_vol_gets_a_named_reason(price, forward, strike, tau, is_call, reason):
    vol, code = implied_vol(price, forward, strike, tau, 1.0, is_call)
    assert math.isnan(vol)
    assert Unsolved(int(code)) is reason


def test_each_reason_reads_as_a_sentence():
    sentences = [reason.sentence for reason in Unsolved]
    assert len(set(sentences)) == len(Unsolved)
    assert all(len(sentence) > 15 for sentence in sentences)


def test_a_price_that_any_sign_allows_has_no_maximum():
    vol, reason = bachelier_implied_vol(
        [500.0, 1e-3, -1.0, 30.0], [-10.0, 5.0, 5.0, 40.0], [0, 5, 5, 10], 0.25, 1, True
    )
    assert reason.tolist() == [
        Unsolved.SOLVED,
        Unsolved.SOLVED,
        Unsolved.BELOW_INTRINSIC,
        Unsolved.AT_INTRINSIC,
    ]
    assert bachelier([-10.0, 5.0], [0, 5], vol[:2], 0.25, 1, True) == pytest.approx([500.0, 1e-3], rel=1e-14)


@given(
    vol=st.floats(0.02, 3),
    tau=st.floats(0.01, 3),
    moneyness=st.floats(-2, 2),
    is_call=st.booleans(),
    discount=st.floats(0.8, 1),
)
def test_vols_are_those_of_bisection_on_the_printed_formula(vol, tau, moneyness, is_call, discount):
    deviation = vol * math.sqrt(tau)
    for ours, formula, scale, strike in (
        (implied_vol, twins.black76, 1.0, 100.0 * math.exp(moneyness * deviation)),
        (bachelier_implied_vol, twins.bachelier, 100.0, 100.0 * (1 + moneyness * deviation)),
    ):
        price = float(formula(100.0, strike, vol * scale, tau, discount, is_call))
        right = twins.implied(formula, price, 100.0, strike, tau, discount, is_call, 20.0 * scale)
        found = float(ours(price, 100.0, strike, tau, discount, is_call)[0])
        assert found == pytest.approx(right, abs=1e-9 * scale)


def test_a_vol_has_the_same_bits_alone_and_in_any_batch():
    """A block steps until its slowest cell settles, so a settled cell must stay where it is."""
    forward, wing, vol, tau, deviation, discount, is_call = (a[:3_000] for a in points(5))
    strike = forward * np.exp(np.clip(wing * deviation, -40, 40))
    price = black76(forward, strike, vol, tau, discount, is_call)
    arguments = [price, forward, strike, tau, discount, is_call]
    for solve in (implied_vol, bachelier_implied_vol):
        together, _ = solve(*arguments)
        alone = np.array([solve(*(a[i] for a in arguments))[0] for i in range(price.size)])
        assert np.array_equal(together, alone, equal_nan=True)


def test_a_negative_forward_is_refused_under_black_and_taken_under_bachelier():
    with pytest.raises(ValueError, match=r"forward\[1\]: found -5.0"):
        implied_vol(1.0, [5, -5], 5, 1, 1, True)
    assert bachelier_implied_vol(1.0, [5, -5], 5, 1, 1, True)[1].tolist() == [Unsolved.SOLVED] * 2
