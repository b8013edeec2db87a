"""Numbers as callers have them."""

from decimal import Decimal

import numpy as np
import pytest

from crossmargin.units import exact


@pytest.mark.parametrize("value", [2, 2.0, "2", Decimal(2), np.int64(2), np.int32(2), np.uint8(2), np.float64(2)])
def test_a_number_of_any_make_is_exact(value):
    assert exact(value) == 2


@pytest.mark.parametrize("value", [True, np.bool_(True), None, 1j, [2], np.array([2]), float("nan"), "two", 10**400])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match=r"."):
        exact(value)
