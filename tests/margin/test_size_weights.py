"""Weights that worsen with size: the exact forms, and their twins in floats."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.margin import size_weights
from crossmargin.margin.size_scaled import asset_weight, liability_weight, scaled_by_deposits

sizes = st.integers(0, 10**22)
factors = st.integers(0, 10**6)
asset_weights = st.integers(0, 10_000)


@given(sizes, factors, asset_weights)
def test_the_exact_asset_weight_is_the_float_one_rounded_down(size, factor, weight):
    exact = size_weights.asset_weight(size=size, factor=factor, weight=weight)
    plain = 10_000 * float(asset_weight(size=np.float64(size / 1e9), factor=factor / 1e6, weight=weight / 1e4))
    assert plain - 1.2 <= exact <= plain + 0.2
    assert exact <= weight


@given(sizes, factors, st.integers(0, 40_000))
def test_the_exact_liability_weight_is_the_float_one_rounded_down(size, factor, weight):
    exact = size_weights.liability_weight(size=size, factor=factor, weight=weight)
    plain = 10_000 * float(liability_weight(size=np.float64(size / 1e9), factor=factor / 1e6, weight=weight / 1e4))
    # 0.8 w is w less a fifth rounded down: up to one more.
    assert plain - 1.2 - 1e-9 * plain <= exact <= plain + 1.2 + 1e-9 * plain
    assert exact >= weight


@given(sizes, sizes, factors, asset_weights)
def test_weights_only_worsen_as_more_is_held(size, more, factor, weight):
    for one, sign in ((size_weights.asset_weight, 1), (size_weights.liability_weight, -1)):
        now, then = (sign * one(size=s, factor=factor, weight=weight) for s in (size, size + more))
        assert now >= then


@given(st.floats(0, 1e12), st.floats(0, 1e12), st.floats(0, 1), st.floats(0, 1))
def test_what_counts_does_not_fall_as_more_is_held_and_is_concave(a, b, factor, weight):
    def counts(x):
        return x * float(asset_weight(size=np.float64(x), factor=factor, weight=weight))

    low, high = sorted((a, b))
    slack = 1e-12 * high
    assert counts(low) <= counts(high) + slack
    assert counts((a + b) / 2) >= (counts(a) + counts(b)) / 2 - slack
    assert counts(high) <= high


def test_without_a_factor_size_does_not_matter():
    assert size_weights.asset_weight(size=10**30, factor=0, weight=9_000) == 9_000
    assert size_weights.liability_weight(size=10**30, factor=0, weight=11_000) == 11_000


def test_a_margin_ratio_of_another_precision_is_scaled_alike():
    assert size_weights.liability_weight(size=10**13, factor=1_000, weight=1_000) == 1_800
    assert size_weights.liability_weight(size=10**13, factor=1_000, weight=100_000, precision=10**6) == 180_000


@given(asset_weights, st.integers(1, 10**12), st.integers(0, 10**13))
def test_deposits_of_all_lower_the_initial_weight_from_the_start_on(weight, start, deposits):
    exact = size_weights.scaled_asset_weight(weight=weight, start=start, deposits=deposits)
    plain = float(scaled_by_deposits(weight=np.float64(weight), start=np.float64(start), deposits=np.float64(deposits)))
    assert plain - 1 - 1e-9 <= exact <= plain + 1e-9
    assert exact == weight or deposits > start


SOL = size_weights.SpotTerms(price=Fraction(100), asset_weight=Fraction(8, 10), liability_weight=Fraction(12, 10))
amounts = st.fractions(-1_000, 1_000, max_denominator=100)
open_sizes = st.fractions(0, 1_000, max_denominator=100)


@given(amounts, amounts, open_sizes, open_sizes)
def test_free_collateral_is_the_worse_of_either_side_filled(amount, quote, bids, asks):
    found = size_weights.account_margin(SOL, amount=amount, quote=quote, bids=bids, asks=asks)

    def free(size, money):
        return size * 100 * (Fraction(8, 10) if size > 0 else Fraction(12, 10)) + money

    assert found.free == min(free(amount + bids, quote - bids * 100), free(amount - asks, quote + asks * 100))
    assert found.requirement >= 0
    assert found.collateral >= 0


@given(amounts, amounts, open_sizes, open_sizes)
def test_an_order_never_frees_collateral(amount, quote, bids, asks):
    without = size_weights.account_margin(SOL, amount=amount, quote=quote)
    with_orders = size_weights.account_margin(
        SOL, amount=amount, quote=quote, bids=bids, asks=asks, per_order=Fraction(1, 100)
    )
    assert with_orders.free <= without.free


def test_a_debt_of_quote_counts_in_full_whatever_its_weight():
    found = size_weights.account_margin(SOL, amount=Fraction(0), quote=Fraction(-7), quote_weight=Fraction(1, 2))
    assert (found.requirement, found.collateral) == (7, 0)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: size_weights.asset_weight(size=-1, factor=0, weight=1), "size"),
        (lambda: size_weights.liability_weight(size=1, factor=-1, weight=1), "factor"),
        (lambda: size_weights.scaled_asset_weight(weight=1, start=-1, deposits=1), "start"),
        (lambda: size_weights.account_margin(SOL, amount=Fraction(0), quote=Fraction(0), bids=Fraction(-1)), "bids"),
        (
            lambda: size_weights.SpotTerms(price=Fraction(0), asset_weight=Fraction(1), liability_weight=Fraction(1)),
            "p",
        ),
        (
            lambda: size_weights.SpotTerms(price=Fraction(1), asset_weight=Fraction(2), liability_weight=Fraction(1)),
            "weights",
        ),
    ],
)
def test_what_cannot_be_is_refused(call, told):
    with pytest.raises(InputError, match=told):
        call()
