"""Comparing documents of standings."""

import pytest

SEARCHED = ("available", "distance_to_liquidation", "liquidation", "withdrawable", "withdrawable_by_asset")
"""Fields found by a search: same to its precision, not to the last bit, in another book."""


def assert_same(found, expected, field=""):
    """Hold two parts of documents equal: to the last bit, but for what is searched."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys(), field
        for key in expected:
            assert_same(found[key], expected[key], field if field in SEARCHED else key)
    elif isinstance(expected, list | tuple):
        assert len(found) == len(expected), field
        for one, other in zip(found, expected, strict=True):
            assert_same(one, other, field)
    elif field in (*SEARCHED, "liquidation_price") and isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, abs=1e-9), field
    else:
        assert found == expected, field
