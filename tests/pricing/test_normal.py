"""The arithmetic under the kernels, against libraries that branch and look up tables."""

import math
from decimal import Decimal

import numpy as np
from scipy.special import erfcx, ndtr

from crossmargin.pricing import normal
from tests.pricing import twins

rng = np.random.default_rng(20260115)


def relative_error(ours, theirs):
    return np.max(np.abs(np.array(ours) - theirs) / np.abs(theirs))


def test_exp_is_right_to_three_roundings_over_its_range():
    x = np.concatenate([rng.uniform(-708, 709, 5_000), rng.uniform(-1, 1, 5_000), [0.0, -708.0, 709.0]])
    assert relative_error([normal.exp(v) for v in x], np.exp(x)) < 5e-16
    assert normal.exp(0.0) == 1.0


def test_log_ratio_keeps_its_digits_when_the_two_are_close_and_when_they_are_far():
    b = 10 ** rng.uniform(-300, 300, 5_000)
    near = b * (1 + 10 ** rng.uniform(-15, 0, 5_000) * rng.choice([-0.9, 1.0], 5_000))
    far = 10 ** rng.uniform(-300, 300, 5_000)
    for a in (near, far):
        ours = [normal.log_ratio_over(v, w, 1.0) for v, w in zip(a, b, strict=True)]
        close = np.abs(a - b) < b / 2
        exact = np.where(close, np.log1p(np.where(close, a - b, 0.0) / b), np.log(a) - np.log(b))
        # np.log of each alone is good to a rounding of some 690, not of the difference
        assert np.max(np.abs(ours - exact) / np.where(close, np.abs(exact), np.abs(exact) + 700)) < 1e-15
    assert normal.log_ratio_over(3.0, 3.0, 1e-160) == 0.0
    assert normal.log_ratio_over(2.0, 1.0, 0.5) == 2 * math.log(2)


def test_the_mills_ratio_is_the_scaled_tail():
    y = np.concatenate([np.linspace(0, 10, 5_000), np.linspace(10, 110, 5_000)])
    theirs = math.sqrt(math.pi / 2) * erfcx(y / math.sqrt(2))
    assert relative_error([normal.mills_ratio(v) for v in y], theirs) < 1.6e-15
    pairs = [normal.mills_ratios(v, w) for v, w in zip(y, y[::-1], strict=True)]
    assert relative_error([pair[0] for pair in pairs], theirs) < 1.7e-15
    assert relative_error([pair[1] for pair in pairs], theirs[::-1]) < 1.7e-15
    far = [normal.mills_ratio(v) for v in (1e3, 1e6, 1e13)]
    assert relative_error(far, np.array([1e-3 * (1 - 1e-6 + 3e-12), 1e-6 * (1 - 1e-12), 1e-13])) < 1e-12
    assert normal.mills_ratio(math.inf) == normal.mills_ratio(normal.FAR) > 0


def test_the_tail_is_right_to_a_rounding_of_one():
    """Where the tail is large the Mills ratio keeps more digits than far out."""
    y = np.linspace(0, 37.4, 20_000)
    ours = np.array([normal.mills_ratio(v) * normal.density(v) for v in y])
    assert np.max(np.abs(ours - ndtr(-y))) < 3e-16


def test_the_density_ends_in_an_exact_zero():
    y = np.linspace(0, normal.TAIL_END, 5_000)
    theirs = np.exp(-(y**2) / 2) / math.sqrt(2 * math.pi)
    ours = [normal.density(v) for v in y]
    assert np.max(np.abs(ours - theirs) / theirs / (1 + y**2)) < 5e-16
    assert normal.density(37.6) == normal.density(1e150) == normal.density(math.inf) == 0.0


def test_the_quick_density_is_right_to_a_rounding_of_one_and_ends_in_an_exact_zero():
    y = np.linspace(0, normal.TAIL_END, 5_000)
    ours = np.array([normal.quick_density(v) for v in y])
    assert np.max(np.abs(ours - np.exp(-(y**2) / 2) / math.sqrt(2 * math.pi))) < 1e-16
    assert normal.quick_density(37.6) == normal.quick_density(1e14) == 0.0


def test_the_quick_tail_is_right_to_roundings_of_one_under_the_density_of_the_other_tail():
    """What multiplies the ratio is at most e**3 times its own density, and never more than that of 0."""
    y = np.linspace(0, 12, 600)
    ours = np.array([normal.quick_numerator(v) / normal.quick_denominator(v) for v in y])
    exact = [twins.exact(lambda v, _: (1 - twins.normal(v)) / twins.density(v), float(v), True) for v in y]
    off = np.array([float(abs(Decimal(float(mine)) - right)) for mine, right in zip(ours, exact, strict=True)])
    density = np.exp(-(y**2) / 2) / math.sqrt(2 * math.pi)
    most = np.minimum(density * math.exp(normal.QUICK_LOG_MAX), density[0])
    assert np.max(off * most) < 3e-16
