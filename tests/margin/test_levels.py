"""Market-by-market levels: the same as in exact numbers, the shipped risk factors, and what parameters may be."""

from dataclasses import replace
from fractions import Fraction
from math import nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InvalidRules
from crossmargin.margin import market_levels
from crossmargin.margin.levels import Levels, MarketRisk
from crossmargin.pricing.lognormal import lognormal_risk_factors
from crossmargin.rules import load
from tests.margin.linear_worlds import margins
from tests.strategies import market_of

RISK = MarketRisk(sigma=0.8, linear_slippage=0.002)
MODEL = Levels(
    markets_by_class={"other": RISK}, risk_aversion=0.001, horizon_years=0.001, search=1.1, initial=1.2, release=1.4
)


@given(
    st.integers(-(10**5), 10**5).filter(lambda q: q),
    st.integers(1, 10**7),
    st.floats(0.05, 2),
    st.integers(0, 100),
    st.integers(0, 100),
)
def test_a_position_owes_what_the_exact_formula_says(hundredths, cents, sigma, linear, quadratic):
    """The slow twin, in fractions, in quanta of a millionth. No orders, no funding."""
    risk = MarketRisk(sigma=sigma, linear_slippage=linear / 1e4, quadratic_slippage=quadratic / 1e7)
    model = replace(MODEL, markets_by_class={"other": risk})
    price = cents / 100
    found = margins(model, ({"DAX-PERP": hundredths / 100}, {}), market_of(dax=price, eur=1.0))
    factors = model.risk_factors(risk)
    maintenance = market_levels.maintenance(
        volume=Fraction(hundredths, 100),
        mark=Fraction(cents, 100) * 10**6,
        risk_long=Fraction(factors.long),
        risk_short=Fraction(factors.short),
        slippage=market_levels.Slippage(linear=Fraction(linear, 10**4), quadratic=Fraction(quadratic, 10**7)),
    )
    levels = model.factors.levels(maintenance)
    assert found[0] * 1e6 == pytest.approx(maintenance, rel=1e-12, abs=1.001)
    assert found[1] * 1e6 == pytest.approx(levels.initial, rel=1e-12, abs=2.2)


def test_a_long_and_a_short_are_asked_for_their_own_tails():
    factors = lognormal_risk_factors(level=0.001, tau=0.001, mu=0.0, sigma=0.8)
    long, short = (margins(MODEL, ({"DAX-PERP": q}, {}), market_of(dax=100.0, eur=1.0))[0] for q in (1.0, -1.0))
    assert long == pytest.approx(100 * (factors.long + 0.002), abs=1e-6)
    assert short == pytest.approx(100 * (factors.short + 0.002), abs=1e-6)
    assert short > long


def test_quadratic_slippage_makes_a_position_dearer_than_its_parts():
    """Not claimed with it: sub-additivity. Two accounts that split a position owe less."""
    model = replace(MODEL, markets_by_class={"other": replace(RISK, quadratic_slippage=0.0001)})
    whole, half = (margins(model, ({"DAX-PERP": q}, {}))[0] for q in (100.0, 50.0))
    assert 2 * half < whole


def test_the_levels_above_maintenance_are_exact_decimals():
    assert MODEL.factors.levels(100).search == 110
    assert MODEL.factors.levels(100).release == 140


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"risk_aversion": 0.0}, "risk_aversion"),
        ({"risk_aversion": 1.0}, "risk_aversion"),
        ({"horizon_years": 0.0}, "horizon_years"),
        ({"mu": nan}, "mu"),
        ({"mu": 900.0}, "mu.*risk factors"),
        ({"search": 0.9}, "search, initial, release"),
        ({"initial": 1.05}, "search, initial, release"),
        ({"release": 1.1}, "search, initial, release"),
        ({"quantum": 0.0}, "quantum"),
        ({"markets_by_class": {"crypto": RISK}}, "markets_by_class.*other"),
    ],
)
def test_a_model_that_cannot_be_is_refused(fields, told):
    with pytest.raises(InvalidRules, match=told):
        replace(MODEL, **fields)


@pytest.mark.parametrize("field", ["sigma", "linear_slippage", "quadratic_slippage"])
def test_a_market_that_cannot_be_is_refused(field):
    with pytest.raises(InvalidRules, match=field):
        MarketRisk(**{"sigma": 1.0, field: -0.1})


def test_the_shipped_search_level_is_the_shipped_call_level():
    rules = load("vega")
    assert rules.call_level == rules.model.search
    factors = rules.model.risk_factors(rules.model.markets_by_underlying["BTC"])
    # A 0.65 vol over an hour, its worst millionth: about five standard deviations of 0.69%.
    assert 0.033 < factors.long < factors.short < 0.037
