"""Greeks are derivatives of the price: checked against differences taken in 100-digit arithmetic."""

import math
from decimal import Decimal, localcontext

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from crossmargin.pricing import bachelier_greeks, black76_greeks
from tests.pricing import twins

STEP = Decimal(10) ** -25


def exact_greeks(formula, forward, strike, vol, tau, discount, is_call):
    """Central differences with a step of 1e-25 of the argument, rate held for theta."""
    with localcontext() as context:
        context.prec = twins.DIGITS
        f, k, v, t, d = (Decimal(number) for number in (forward, strike, vol, tau, discount))
        rate = -d.ln() / t

        def price(df=Decimal(0), dv=Decimal(0), dt=Decimal(0)):
            return formula(f + df, k, v + dv, t + dt, (-rate * (t + dt)).exp(), is_call)

        h, hv, ht = abs(f) * STEP, v * STEP, t * STEP
        middle, up, down = price(), price(df=h), price(df=-h)
        delta, gamma = (up - down) / (2 * h), (up - 2 * middle + down) / (h * h)
        vega = (price(dv=hv) - price(dv=-hv)) / (2 * hv)
        theta = -(price(dt=ht) - price(dt=-ht)) / (2 * ht)
        return [float(value) for value in (middle, delta, gamma, vega, theta)]


@pytest.mark.parametrize(
    ("greeks", "formula"),
    [(black76_greeks, twins.exact_black76), (bachelier_greeks, twins.exact_bachelier)],
    ids=["black76", "bachelier"],
)
@pytest.mark.parametrize("is_call", [True, False], ids=["call", "put"])
@pytest.mark.parametrize("deviations", [-5.0, -1.5, -0.3, 0.0, 0.4, 2.0, 5.0])
def test_greeks_are_the_derivatives_of_the_price(greeks, formula, is_call, deviations):
    for vol, tau, discount in ((0.15, 0.02, 0.999), (0.6, 1.5, 0.9), (2.5, 0.5, 1.01)):
        forward = 2_000.0
        if greeks is black76_greeks:
            strike = forward * math.exp(deviations * vol * math.sqrt(tau))
        else:
            vol *= forward
            strike = forward + deviations * vol * math.sqrt(tau)
        ours = np.array(greeks(forward, strike, vol, tau, discount, is_call))
        right = np.array(exact_greeks(formula, forward, strike, vol, tau, discount, is_call))
        scale = np.array([forward, 1.0, 1 / forward, forward, forward / tau])
        assert np.all(np.abs(ours - right) <= 1e-12 * np.abs(right) + 1e-14 * scale)


@pytest.mark.parametrize(
    ("forward", "strike", "delta"), [(110.0, 100.0, 1.0), (100.0, 100.0, 0.5), (90.0, 100.0, 0.0), (90.0, 0.0, 1.0)]
)
@pytest.mark.parametrize("greeks", [black76_greeks, bachelier_greeks])
def test_without_time_delta_is_that_of_the_payoff_and_the_rest_is_nothing(greeks, forward, strike, delta):
    price, *rest = greeks(forward, strike, 0.5, 0.0, 1.0, True)
    assert price == max(forward - strike, 0.0)
    assert rest == [delta, 0.0, 0.0, 0.0]
    assert greeks(forward, strike, 0.5, 0.0, 1.0, False).delta == delta - 1.0


def test_without_vol_an_option_at_the_money_still_has_vega():
    greeks = black76_greeks(100.0, 100.0, 0.0, 4.0, 0.9, True)
    assert greeks.vega == pytest.approx(0.9 * 100 * 2 / math.sqrt(2 * math.pi), rel=1e-15)
    assert greeks.gamma == 0.0


@example(forward=0.0, strike=1e-200, vol=1e300, tau=1.0, discount=1.0, greeks=black76_greeks)
@given(
    forward=st.floats(0, 1e9) | st.just(1e-200),
    strike=st.floats(0, 1e9) | st.just(1e-200),
    vol=st.floats(0, 1e3) | st.just(1e300),
    tau=st.floats(0, 100) | st.just(1e-300),
    discount=st.floats(0.01, 1.5),
    greeks=st.sampled_from([black76_greeks, bachelier_greeks]),
)
def test_greeks_are_finite_and_signed_for_any_valid_input(forward, strike, vol, tau, discount, greeks):
    for is_call in (True, False):
        price, delta, gamma, vega, theta = greeks(forward, strike, vol, tau, discount, is_call)
        assert price >= 0
        assert 0 <= (delta if is_call else -delta) <= discount
        assert gamma >= 0
        assert vega >= 0
        assert not np.isnan([price, delta, gamma, vega, theta]).any()


@pytest.mark.parametrize("greeks", [black76_greeks, bachelier_greeks])
def test_greeks_land_in_the_array_that_is_given(greeks):
    strike = np.linspace(50.0, 150.0, 400)
    for forward in (100.0, np.full((7, 1), 100.0)):
        fresh = greeks(forward, strike, 0.3, 0.5, 0.99, True)
        out = np.empty((5, *fresh.price.shape))
        given = greeks(forward, strike, 0.3, 0.5, 0.99, True, out=out)
        assert np.array_equal(out, np.array(fresh))
        assert all(np.shares_memory(column, out) for column in given)
    with pytest.raises(ValueError, match="out: found"):
        greeks(100.0, strike, 0.3, 0.5, 0.99, True, out=np.empty((4, 400)))
