"""Dynamic margin: buffers used up in step with the vol, refilled slowly; measures of procyclicality."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InvalidRules
from crossmargin.margin.schedule import (
    buffer_target,
    buffer_today,
    buffers_today,
    largest_rise,
    peak_to_trough,
    vol_limited,
)

VOLS = st.floats(0.01, 3.0)


@given(VOLS, VOLS, st.floats(0.0, 1.0))
def test_initial_margin_stands_still_while_a_buffer_is_used_up(reference, vol, most):
    buffer = buffer_target(reference, vol, most)
    assert 0.0 <= buffer <= most
    if 0.0 < buffer < most:
        assert (1.0 + buffer) * vol == pytest.approx((1.0 + most) * reference)


def test_a_buffer_is_full_at_the_reference_vol_and_gone_at_five_quarters_of_it():
    assert buffer_target(0.6, 0.6, 0.25) == pytest.approx(0.25)
    assert buffer_target(0.6, 0.3, 0.25) == 0.25
    assert buffer_target(0.6, 0.75, 0.25) == pytest.approx(0.0)
    assert buffer_target(0.6, 0.7, 0.25) == pytest.approx(1.25 * 0.6 / 0.7 - 1.0)
    assert buffer_target(0.6, 1.2, 0.25) == 0.0
    assert buffer_target(0.6, 0.0, 0.25) == 0.25


def test_a_buffer_is_released_at_once_and_refilled_by_steps():
    assert buffer_today(0.25, 0.10, 0.02) == 0.10
    assert buffer_today(0.10, 0.25, 0.02) == pytest.approx(0.12)
    assert buffer_today(0.24, 0.25, 0.02) == 0.25


def test_every_group_has_a_buffer_today_and_a_new_one_starts_full():
    today = buffers_today({"BTC": 0.10}, {"BTC": 0.6, "SPX": 0.2}, {"BTC": 0.6, "SPX": 0.2}, most=0.25, refill=0.02)
    assert today == {"BTC": pytest.approx(0.12), "SPX": pytest.approx(0.25)}
    with pytest.raises(InvalidRules, match="reference vol of SPX"):
        buffers_today({}, {}, {"SPX": 0.2}, most=0.25, refill=0.02)


@given(VOLS, VOLS, st.floats(0.0, 0.5), st.floats(0.0, 0.5))
def test_the_vol_in_force_moves_towards_its_target_and_no_further(yesterday, target, rise, fall):
    today = vol_limited(yesterday, target, rise, fall)
    assert min(yesterday, target) <= today <= max(yesterday, target)
    assert yesterday * (1.0 - fall) <= today <= yesterday * (1.0 + rise)


def test_procyclicality_is_measured_on_one_portfolio():
    days = [100.0, 110.0, 150.0, 120.0]
    assert peak_to_trough(days) == 1.5
    assert largest_rise(days, 1) == pytest.approx(150.0 / 110.0 - 1.0)
    assert largest_rise(days, 2) == pytest.approx(0.5)
    assert largest_rise([120.0, 100.0], 1) < 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: buffer_target(-0.1, 0.6, 0.25),
        lambda: buffer_target(0.1, float("nan"), 0.25),
        lambda: vol_limited(0.6, 0.7, -0.1, 0.1),
        lambda: peak_to_trough([]),
        lambda: peak_to_trough([0.0, 1.0]),
        lambda: largest_rise([1.0, 2.0], 2),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(InvalidRules):
        wrong()
