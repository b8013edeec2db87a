"""Margin scaled by open interest: the same as in exact integers, and what the parameters may be."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InvalidRules
from crossmargin.margin.open_interest import LiquidityTier, OpenInterest
from crossmargin.margin.quantums import QuantumMarket
from crossmargin.margin.whole_units import MILLION, ppm_above, ppm_below, whole_above, whole_below
from crossmargin.rules import load
from tests.margin.linear_worlds import margins
from tests.strategies import market_of

TIER = LiquidityTier(initial=0.1, maintenance_fraction=0.5, lower_cap=1_000, upper_cap=2_000)


def model(tier=TIER, **terms):
    return OpenInterest(tiers_by_class={"other": tier}, **terms)


@given(
    st.integers(-(10**9), 10**9).filter(lambda q: q),
    st.integers(1, 10**9),
    st.integers(0, 5 * 10**6),
    st.integers(1, MILLION),
    st.integers(0, MILLION),
    st.sampled_from([(0, 0), (0, 10**6), (10**6, 3 * 10**6), (10**6, 10**6)]),
)
def test_a_position_owes_what_the_exact_integers_say(thousandths, cents, interest, initial, fraction, caps):
    """The slow twin: the whole quanta of `quantums`, from the same decimals."""
    quantity, price = thousandths / 1_000, cents / 100
    tier = LiquidityTier(
        initial=initial / MILLION, maintenance_fraction=fraction / MILLION, lower_cap=caps[0], upper_cap=caps[1]
    )
    found = margins(
        model(tier, open_interest={"BTC": float(interest)}), ({"BTC-PERP": quantity}, {}), market_of(btc=price)
    )
    market = QuantumMarket(
        price=Fraction(cents, 100),
        base_resolution=-3,
        quote_resolution=-6,
        initial_ppm=initial,
        fraction_ppm=fraction,
        open_interest=interest * 1_000,
        lower_cap=caps[0] * 10**6,
        upper_cap=caps[1] * 10**6,
    )
    exact = (market.maintenance(thousandths), market.initial(thousandths))
    if abs(market.notional(thousandths)) < 2**53:
        assert tuple(round(x * 10**6) for x in found) == pytest.approx(exact, rel=1e-15)
        assert [x / 10**6 for x in exact] == pytest.approx(found, rel=1e-15)
    else:
        assert [x / 10**6 for x in exact] == pytest.approx(found, rel=1e-13, abs=1.1e-6)


@pytest.mark.parametrize(
    ("interest", "initial"),
    [(0, 10.0), (10, 10.0), (15, 55.0), (17.777777777, 79.9999), (20, 100.0), (1_000, 100.0)],
)
def test_the_initial_rate_rises_between_the_caps_and_maintenance_does_not(interest, initial):
    """One coin at 100: 10% up to 1,000 open, all of it from 2,000 on."""
    found = margins(model(open_interest={"BTC": interest}), ({"BTC-PERP": -1.0}, {}))
    assert found == pytest.approx((5.0, initial), abs=1e-9)


def test_the_open_value_moves_with_the_price():
    scaled = model(open_interest={"BTC": 10.0})
    assert margins(scaled, ({"BTC-PERP": 1.0}, {}), market_of(btc=100.0))[1] == pytest.approx(10.0)
    assert margins(scaled, ({"BTC-PERP": 1.0}, {}), market_of(btc=150.0))[1] == pytest.approx(0.55 * 150)


@given(st.floats(0, 1e4), st.floats(0, 1e4))
def test_more_open_interest_never_lowers_a_requirement(interest, more):
    now, then = (margins(model(open_interest={"BTC": x}), ({"BTC-PERP": 3.0}, {})) for x in (interest, interest + more))
    assert now[0] == then[0]
    assert now[1] <= then[1]


def test_an_account_split_in_two_owes_the_same_but_for_a_quantum():
    """Not claimed to the bit: each part is rounded up on its own."""
    odd = model(LiquidityTier(initial=0.333333, maintenance_fraction=0.5))
    whole, part = margins(odd, ({"BTC-PERP": 0.02}, {})), margins(odd, ({"BTC-PERP": 0.01}, {}))
    assert 0 <= 2 * part[0] - whole[0] <= 2e-6
    assert margins(odd, ({"BTC-PERP": 0.00002}, {}))[1] < 2 * margins(odd, ({"BTC-PERP": 0.00001}, {}))[1]


def test_an_underlyings_own_tier_comes_before_its_classs():
    dear = LiquidityTier(initial=1.0, maintenance_fraction=1.0)
    own = OpenInterest(tiers_by_class={"crypto": TIER, "other": dear}, tiers_by_underlying={"BTC": dear})
    assert margins(own, ({"BTC-PERP": 1.0}, {})) == pytest.approx((100, 100))
    assert margins(own, ({"ETH-PERP": 1.0}, {}))[1] == pytest.approx(10 * 10 * 0.1 * 0.999)
    assert margins(own, ({"DAX-PERP": 1.0}, {}))[1] == pytest.approx(150 * 1.1)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"initial": 5.0}, "initial.*is 5 percent meant"),
        ({"initial": -0.1}, "initial"),
        ({"initial": 0.1234567}, "initial.*millionths"),
        ({"maintenance_fraction": 1.1}, "maintenance_fraction"),
        ({"lower_cap": 5.0, "upper_cap": 4.0}, "lower_cap.*upper_cap"),
        ({"lower_cap": 5.0}, "lower_cap"),
        ({"upper_cap": float("inf")}, "lower_cap"),
    ],
)
def test_a_tier_that_cannot_be_is_refused(fields, told):
    with pytest.raises(InvalidRules, match=told):
        LiquidityTier(**{"initial": 0.1, "maintenance_fraction": 0.5, **fields})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"open_interest": {"BTC": -1.0}}, "open_interest.BTC"),
        ({"open_interest": {"BTC": float("nan")}}, "open_interest.BTC"),
        ({"quantum": 0.0}, "quantum"),
        ({"tiers_by_class": {"crypto": TIER}}, "tiers_by_class.*other"),
    ],
)
def test_a_model_that_cannot_be_is_refused(fields, told):
    with pytest.raises(InvalidRules, match=told):
        OpenInterest(**{"tiers_by_class": {"other": TIER}, **fields})


def test_the_shipped_rates_are_those_the_venue_states():
    """Initial and maintenance fractions of 2025-12-08, and no scaling where both caps are 0."""
    rules = load("dydx")
    tiers = rules.model.tiers_by_underlying
    for name, initial, maintenance in (("BTC", 0.02, 0.012), ("ETH", 0.02, 0.012), ("SOL", 0.05, 0.03)):
        assert tiers[name].initial == initial
        assert tiers[name].initial * tiers[name].maintenance_fraction == pytest.approx(maintenance)
    assert tiers["BTC"].effective_ppm(np.array([1e18])).tolist() == [20_000]
    assert tiers["SOL"].effective_ppm(np.array([4e7, 7e7, 1e8])).tolist() == [50_000, 525_000, MILLION]
    assert (rules.option_value, rules.call_level) == ("equity", None)


# --- whole units


@given(st.integers(0, 2**53 - 1), st.integers(0, 3 * MILLION))
def test_products_with_parts_per_million_are_rounded_once_and_the_right_way(whole, ppm):
    exact = Fraction(whole * ppm, MILLION)
    up, down = (f(np.array([float(whole)]), ppm)[0] for f in (ppm_above, ppm_below))
    assert up == float(-(-exact.numerator // exact.denominator))
    assert down == float(exact.numerator // exact.denominator)


@given(st.integers(0, 10**13), st.sampled_from([1, 2, 6, 8]))
def test_decimals_that_are_whole_quanta_are_not_rounded_to_the_next(count, digits):
    unit = 10.0**-digits
    value = np.array([count / 10**digits])
    assert whole_below(value, unit)[0] == whole_above(value, unit)[0] == count


def test_what_lies_between_quanta_is_rounded():
    assert whole_below(np.array([0.0, 0.29, 0.3, 0.31]), 0.1).tolist() == [0, 2, 3, 3]
    assert whole_above(np.array([0.0, 0.29, 0.3, 0.31]), 0.1).tolist() == [0, 3, 3, 4]
    assert ppm_above(np.array([2.0**59 + 128, 2.0**61]), 500_000).tolist() == [2.0**58 + 64, 2.0**60]
    assert ppm_above(np.array([2.0**59]), 1).tolist() == [float(-(-(2**59) // MILLION))]
