"""Prices of several sources: a minority cannot move them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.clearing.prices import clamped_index

prices = st.integers(-10_000, 10_000)


@given(st.lists(prices, min_size=2, max_size=6), st.data())
def test_a_minority_of_sources_moves_the_index_no_further_than_the_honest_stand_apart_and_the_band(honest, data):
    liars = data.draw(st.lists(st.integers(-(10**12), 10**12), max_size=len(honest) - 1))
    found = clamped_index([*honest, *liars], [1] * (len(honest) + len(liars)), Fraction(1, 100))
    assert min(honest) <= found.median <= max(honest)
    reach = abs(found.median) / 100
    assert found.median - reach <= found.index <= found.median + reach


@given(st.lists(st.tuples(prices, st.integers(1, 9)), min_size=1, max_size=6), st.randoms(use_true_random=False))
def test_the_order_of_sources_decides_nothing(rows, random):
    first = clamped_index(*zip(*rows, strict=True), Fraction(1, 200))
    random.shuffle(rows)
    assert clamped_index(*zip(*rows, strict=True), Fraction(1, 200)).index == first.index


def test_a_source_within_the_band_counts_as_it_is_and_one_outside_at_its_edge():
    found = clamped_index([100, 101, 120], [1, 2, 1], Fraction(5, 1000))
    assert found.clamped == (Fraction("100.495"), 101, Fraction("101.505"))
    assert found.index == 101


def test_a_band_around_a_negative_median_has_its_edges_in_order():
    assert clamped_index([-38, -37, 5], [1, 1, 1], Fraction(1, 10)).clamped == (-38, -37, Fraction("-33.3"))


@pytest.mark.parametrize(
    ("prices", "weights", "band"),
    [([], [], 0), ([1], [1, 2], 0), ([1], [0], 0), ([1, 2], [1, -1], 0), ([1], [1], -1)],
)
def test_sources_that_cannot_be_are_refused(prices, weights, band):
    with pytest.raises(ValueError, match="index: found"):
        clamped_index(prices, weights, band)
