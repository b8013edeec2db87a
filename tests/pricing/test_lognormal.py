"""A lognormal price: its tail means against numerical integration, its bounds against its own distribution."""

from math import erf, exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.special import ndtri

from crossmargin.pricing import lognormal

levels = st.floats(1e-4, 0.5)
taus = st.floats(1e-6, 1)
drifts = st.floats(-0.5, 0.5)
sigmas = st.floats(0.05, 2)


def normal_density(z):
    return exp(-z * z / 2) / sqrt(2 * np.pi)


@pytest.mark.parametrize("level", [0.001, 0.01, 0.3])
@pytest.mark.parametrize(("tau", "mu", "sigma"), [(0.1, 0, 1.0), (0.02, 0.3, 0.6), (1, -0.2, 0.4)])
def test_risk_factors_are_the_mean_loss_in_each_tail(level, tau, mu, sigma):
    """Integrated without the closed form: the mean of the price over the worst `level` of its paths."""
    z, drift, s = float(ndtri(level)), (mu - sigma**2 / 2) * tau, sigma * sqrt(tau)

    def price(x):
        return exp(drift + s * x) * normal_density(x)

    low = quad(price, -12, z, epsabs=1e-14)[0] / level
    high = quad(price, -z, 12, epsabs=1e-14)[0] / level
    found = lognormal.lognormal_risk_factors(level=level, tau=tau, mu=mu, sigma=sigma)
    assert found.long == pytest.approx(1 - low, abs=1e-8)
    assert found.short == pytest.approx(high - 1, abs=1e-8)


@given(levels, taus, sigmas, st.floats(1, 3))
def test_without_drift_a_short_risks_more_than_a_long_and_both_more_with_vol(level, tau, sigma, more):
    now, then = (lognormal.lognormal_risk_factors(level=level, tau=tau, mu=0, sigma=v) for v in (sigma, more * sigma))
    assert 0 <= now.long <= now.short + 1e-15
    assert now.long <= 1
    assert now.long <= then.long + 1e-12
    assert now.short <= then.short + 1e-12 * then.short


@given(st.floats(0.01, 0.999), taus, drifts, sigmas)
def test_bounds_leave_half_of_the_rest_on_each_side(probability, tau, mu, sigma):
    low, high = (
        float(b)
        for b in lognormal.lognormal_bounds(reference=100.0, probability=probability, tau=tau, mu=mu, sigma=sigma)
    )
    for bound, share in ((low, (1 - probability) / 2), (high, (1 + probability) / 2)):
        z = (log(bound / 100) - (mu - sigma**2 / 2) * tau) / (sigma * sqrt(tau))
        assert 0.5 * (1 + erf(z / sqrt(2))) == pytest.approx(share, abs=1e-6)
    assert low < high


def test_without_time_a_price_stays_where_it_is():
    assert lognormal.lognormal_bounds(reference=7.0, probability=0.9, tau=0, mu=1, sigma=1) == (7.0, 7.0)
    assert lognormal.lognormal_risk_factors(level=0.01, tau=0, mu=1, sigma=1).long == pytest.approx(0, abs=1e-12)


def test_valid_prices_are_the_whole_ones_inside():
    assert lognormal.valid_prices(99.2, 101.9) == (100, 101)
    assert lognormal.valid_prices(99.0, 101.0) == (99, 101)


@pytest.mark.parametrize(("now", "found"), [(0, 1.0), (9, 1.0), (15, 1.0), (20, 2.0), (25, 2.0), (40, 3.0), (99, 3.0)])
def test_the_reference_is_the_latest_price_at_least_as_old_as_the_horizon(now, found):
    price = lognormal.reference_price(times=[0, 10, 30], prices=[1.0, 2.0, 3.0], now=now, horizon=10)
    assert price == found


BOUNDS = {"reference": 1.0, "probability": 0.9, "tau": 1, "mu": 0, "sigma": 1}
FACTORS = {"level": 0.1, "tau": 1, "mu": 0, "sigma": 1}


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: lognormal.lognormal_bounds(**{**BOUNDS, "probability": 1}), "probability"),
        (lambda: lognormal.lognormal_bounds(**{**BOUNDS, "tau": -1}), "tau"),
        (lambda: lognormal.lognormal_risk_factors(**{**FACTORS, "level": 0}), "level"),
        (lambda: lognormal.lognormal_risk_factors(**{**FACTORS, "sigma": -1}), "sigma"),
        (lambda: lognormal.lognormal_risk_factors(**{**FACTORS, "mu": float("inf")}), "mu"),
        (lambda: lognormal.factor_bounds(reference=1.0, down=1.1, up=1.2), "down, up"),
        (lambda: lognormal.factor_bounds(reference=1.0, down=0.9, up=0.99), "down, up"),
        (lambda: lognormal.reference_price(times=[2, 1], prices=[1, 1], now=1, horizon=1), "times"),
    ],
)
def test_what_cannot_be_is_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call()
