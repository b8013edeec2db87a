"""Roots are closed in on from brackets whose ends differ in side, all brackets at once."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.standing.liquidation import closed_in


def solved(function, low, high):
    """Return the root of one function in one bracket, and how often it was asked."""
    asked = []

    def excess(which, position):
        asked.append(len(which))
        return np.array([function(x) for x in position])

    root = closed_in(excess, np.array([low]), np.array([high]))
    return float(root[0]), len(asked)


@given(st.floats(-3, 3), st.floats(0.01, 50), st.sampled_from([1.0, -1.0]))
def test_a_root_is_on_the_side_in_breach_and_healthy_a_hair_away(at, steepness, sign):
    def function(x):
        return sign * (np.expm1(steepness * (x - at)) + 0.1 * (x - at))

    root, _ = solved(function, at - 2.0, at + 1.5)
    assert function(root) <= 0
    assert max(function(root - 1e-11), function(root + 1e-11)) > 0


def test_a_straight_line_takes_a_handful_of_steps():
    root, steps = solved(lambda x: 5.0 - 2.0 * x, 0.0, 7.0)
    assert abs(root - 2.5) < 1e-13
    assert steps <= 8


def test_a_step_is_found_by_halving():
    root, steps = solved(lambda x: -1.0 if x >= 0.3 else 1.0, 0.0, 1.0)
    assert 0.3 <= root < 0.3 + 1e-12
    assert steps < 60


def test_an_exact_zero_is_the_root_and_counts_as_breach():
    root, _ = solved(lambda x: 1.0 - x, 0.0, 2.0)
    assert root == 1.0


def test_brackets_are_independent_of_each_other():
    centres = np.linspace(-1, 1, 9)

    def excess(which, position):
        return centres[which] - position

    together = closed_in(excess, centres - 0.7, centres + 1.1)
    apart = [
        closed_in(lambda which, x, k=k: centres[k] - x, centres[k : k + 1] - 0.7, centres[k : k + 1] + 1.1)[0]
        for k in range(len(centres))
    ]
    assert together.tolist() == apart
