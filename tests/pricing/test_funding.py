"""Funding: the band around the interest, limits, and payments that add up to nothing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.pricing import funding

rates = st.floats(-0.05, 0.05)


@given(st.floats(1, 1e6), st.floats(0.5, 2), st.floats(0, 0.5))
def test_a_book_has_a_premium_only_where_it_lies_beyond_the_index(index, middle, width):
    bid, ask = index * middle * (1 - width), index * middle * (1 + width)
    premium = float(funding.premium_index(index=index, impact_bid=bid, impact_ask=ask))
    if bid > index:
        assert premium == pytest.approx(bid / index - 1, abs=1e-12)
    elif ask < index:
        assert premium == pytest.approx(ask / index - 1, abs=1e-12)
    else:
        assert premium == 0


@given(rates, rates, st.floats(0, 0.01), st.floats(0, 0.05))
def test_the_rate_is_the_nearest_to_the_interest_within_the_band_around_the_premium(premium, interest, clamp, limit):
    rate = float(funding.funding_rate(premium=premium, interest=interest, clamp=clamp))
    assert abs(rate - premium) <= clamp + 1e-15 or rate == interest
    assert min(premium, interest) - 1e-15 <= rate <= max(premium, interest) + 1e-15
    if abs(premium - interest) <= clamp:
        assert rate == interest
    limited = float(funding.funding_rate(premium=premium, interest=interest, clamp=clamp, limit=limit))
    assert limited == pytest.approx(min(max(rate, -limit), limit), abs=1e-15)


@given(st.lists(st.integers(-1000, 1000), min_size=1, max_size=8), rates, st.integers(0, 10**5))
def test_funding_of_positions_that_net_to_nothing_nets_to_nothing(sizes, rate, seconds):
    sizes = np.array([*sizes, -sum(sizes)], dtype=np.float64)
    paid = funding.accrued_funding(size=sizes, index=1500.0, hourly_rate=rate, seconds=seconds)
    assert paid.sum() == pytest.approx(0, abs=1e-9 * np.abs(paid).sum() + 1e-12)
    payments = funding.funding_payment(notional=sizes * 1500, rate=rate)
    assert payments.sum() == pytest.approx(0, abs=1e-9 * np.abs(payments).sum() + 1e-12)


def test_a_positive_rate_is_paid_by_longs_and_a_position_of_nothing_pays_nothing():
    paid = funding.accrued_funding(size=[1, 0, -1], index=1000.0, hourly_rate=0.01, seconds=3600)
    assert paid.tolist() == [-10, 0, 10]
    assert funding.funding_payment(notional=[1000, 0, -1000], rate=0.01).tolist() == [10, 0, -10]


@given(st.floats(100, 1000), st.floats(100, 1000), st.floats(-0.1, 0.0), st.floats(0.0, 0.1), st.floats(0, 0.01))
def test_a_payment_by_averages_is_the_gap_unless_the_interest_part_is_bounded(future, spot, lower, upper, carry):
    paid = float(
        funding.twap_funding_payment(future=future, spot=spot, years=1, interest=carry, lower=lower, upper=upper)
    )
    interest_part = (1 + carry) * spot - future
    expected = future - spot + min(max(interest_part, lower * spot), upper * spot)
    assert paid == pytest.approx(expected, abs=1e-9)
    free = funding.twap_funding_payment(future=future, spot=spot, years=1, interest=carry, lower=-99, upper=99)
    assert float(free) == pytest.approx(carry * spot, abs=1e-9)


def test_an_average_weighs_each_price_by_how_long_it_held():
    found = funding.time_weighted_average(times=[0, 10, 30], prices=[1.0, 2.0, 8.0], end=40)
    assert found == (10 * 1 + 20 * 2 + 10 * 8) / 40
    assert funding.time_weighted_average(times=[0, 10, 30], prices=[1.0, 2.0, 8.0], end=20) == 1.5


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: funding.premium_index(index=0, impact_bid=1, impact_ask=1), "index"),
        (lambda: funding.funding_rate(premium=0, interest=0, clamp=-1), "clamp"),
        (lambda: funding.funding_rate(premium=0, interest=0, clamp=1, limit=-1), "limit"),
        (
            lambda: funding.hourly_funding_rate(premium=0, convergence_hours=0, static_rate=0, limit=1),
            "convergence_hours",
        ),
        (lambda: funding.accrued_funding(size=1, index=1, hourly_rate=0, seconds=-1), "seconds"),
        (
            lambda: funding.twap_funding_payment(future=1, spot=1, years=1, interest=0, lower=1, upper=0),
            "lower, upper: found 1.0 and 0.0",
        ),
        (lambda: funding.time_weighted_average(times=[1, 1], prices=[1, 1], end=2), "times"),
        (lambda: funding.time_weighted_average(times=[], prices=[], end=2), "times"),
    ],
)
def test_what_cannot_be_is_refused(call, told):
    with pytest.raises(ValueError, match=told):
        call()
