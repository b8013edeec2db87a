"""Exact sums are those of math.fsum, bit for bit."""

from math import fsum

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.exact import exact_sums
from crossmargin.ragged import starts

WIDE = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e300, max_value=1e300)
CLOSE = st.integers(-(2**53), 2**53).flatmap(lambda k: st.sampled_from([float(k), k * 2.0**-53, k * 2.0**53, k * 0.1]))


@given(st.lists(st.lists(WIDE | CLOSE, max_size=12), max_size=6))
def test_each_group_has_its_correctly_rounded_sum(groups):
    start = starts(np.repeat(np.arange(len(groups)), [len(group) for group in groups]), len(groups))
    value = np.array([x for group in groups for x in group], dtype=np.float64)
    assert exact_sums(start, value).tolist() == [fsum(group) for group in groups]


def test_half_way_cases_are_rounded_by_what_lies_below_them():
    for group in (
        [1.0, 2.0**-53, 2.0**-106],
        [1.0, 2.0**-53, -(2.0**-106)],
        [1e16, 1.0, 1e-16],
        [1.0, 1e100, 1.0, -1e100],
    ):
        assert exact_sums(np.array([0, len(group)]), np.array(group))[0] == fsum(group)
