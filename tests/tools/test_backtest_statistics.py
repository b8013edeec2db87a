"""Tests of coverage against published numbers and sums that can be done by hand."""

from math import comb, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.backtest_defaults.statistics import binomial_tail, christoffersen, independence, kupiec, traffic_light
from tools.backtest_defaults.summary import coverage


@given(windows=st.integers(1, 60), data=st.data(), rate=st.floats(0.005, 0.3))
def test_the_tail_is_the_sum_of_the_binomial_probabilities_from_there_on(windows, data, rate):
    count = data.draw(st.integers(0, windows))
    by_hand = sum(comb(windows, k) * rate**k * (1.0 - rate) ** (windows - k) for k in range(count, windows + 1))
    assert binomial_tail(count, windows, rate) == pytest.approx(by_hand, rel=1e-9)


def test_prudence_passes_the_one_sided_test_and_fails_kupiecs():
    assert binomial_tail(3, 1000, 0.01) > 0.99
    assert kupiec(3, 1000, 0.01)[1] < 0.05


def test_kupiecs_ratio_is_the_published_one():
    ratio, probability = kupiec(57, 1043, 0.05)
    assert ratio == pytest.approx(0.46147, abs=1e-5)
    assert probability == pytest.approx(0.49694, abs=1e-5)


@pytest.mark.parametrize(
    ("windows", "rate", "low", "high"), [(1000, 0.01, 5, 16), (255, 0.025, 3, 11), (510, 0.05, 17, 35)]
)
def test_kupiecs_region_of_counts_that_are_not_rejected_is_the_published_one(windows, rate, low, high):
    kept = [count for count in range(windows + 1) if kupiec(count, windows, rate)[0] < 3.841]
    assert (kept[0], kept[-1]) == (low, high)


def test_no_exceedance_at_all_has_a_ratio_too():
    assert kupiec(0, 100, 0.01)[0] == pytest.approx(-200.0 * log(0.99))


def test_independence_is_the_published_one():
    ratio, probability = independence(932, 53, 53, 4)
    assert ratio == pytest.approx(0.25866, abs=1e-5)
    assert probability == pytest.approx(0.61104, abs=1e-5)


def test_exceedances_in_a_row_are_not_independent_and_the_same_number_apart_are():
    in_a_row, apart = np.zeros(500, dtype=bool), np.zeros(500, dtype=bool)
    in_a_row[100:108] = True
    apart[::62] = True
    assert christoffersen(in_a_row)[1] < 1e-6
    assert christoffersen(apart)[1] > 0.3
    assert christoffersen(np.zeros(500, dtype=bool)) == (0.0, 1.0)


@pytest.mark.parametrize(("count", "light"), [(0, "green"), (4, "green"), (5, "yellow"), (9, "yellow"), (10, "red")])
def test_the_traffic_light_of_a_year_turns_where_the_supervisor_says(count, light):
    assert traffic_light(count, 250, 0.01) == light


def test_coverage_counts_losses_that_are_larger_and_leaves_out_windows_without_a_book():
    opens = np.array(["2020-01-01", "2020-01-02", "2020-01-03", "2020-01-04"], dtype="datetime64[D]")
    loss = np.array([np.nan, 0.10, 0.15, -0.02])
    margin = np.array([np.nan, 0.10, 0.10, 0.20])
    found = coverage(loss, margin, opens)
    assert (found.windows, found.exceeded) == (3, 1)
    assert found.largest == pytest.approx(0.5)
    assert found.largest_on == np.datetime64("2020-01-03")
    assert found.average == pytest.approx(0.4 / 3)
    assert found.deviations == pytest.approx(found.average / np.std([0.10, 0.15, -0.02]))
    assert found.tail == pytest.approx(1.0 - 0.99**3)
    assert found.failed is True
