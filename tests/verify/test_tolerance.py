"""What counts as near enough: the tolerances of golden cases, one row each."""

from fractions import Fraction
from math import inf, nan

import pytest

from crossmargin.verify.tolerance import NotComparableError, compare


@pytest.mark.parametrize(
    ("expected", "got", "tolerance", "passed", "error"),
    [
        (100, 100.5, 0.5, True, 0.5),
        (100, 100.5, {"abs": 0.5}, True, 0.5),
        (100, 100.5, 0.4999, False, 0.5),
        (100, 99, {"rel": 0.01}, True, 0.01),
        (-100, -101.1, {"rel": 0.01}, False, 0.011),
        (0, 0.01, {"rel": 0.01}, True, 0.01),  # relative to 0: the limit itself
        (0, 0.02, {"rel": 0.01}, False, 0.02),
        (100, 100.5, {"abs": 1, "rel": 0.001}, False, 0.5),  # both must hold
        (100, 100.5, {"rel": 0.01, "upstream_rel": 1e-12}, True, 0.005),
        (7, 7, {"exact": True}, True, 0),
        (7, 7.0, {"exact": True}, True, 0),
        (10**30, 10**30 + 1, {"exact": True}, False, 1),
        (10**400, 10**400, {"exact": True}, True, 0),
        ([495, 1], 495, {"exact": True}, True, 0),
        ([1, 3], Fraction(2, 6), {"exact": True}, True, 0),
        ([1, 3], 1 / 3, {"exact": True}, False, None),
        (60000.01, Fraction(6000001, 100), {"exact": True}, True, 0),
        ([3, 4], [3, 4], {"exact": True}, True, 0),  # a list, where a list was given
        ([[1, 2], 5], [Fraction(1, 2), 5], {"exact": True, "rounding": "floor"}, True, 0),
        (7, 7.9, {"exact": True, "rounding": "floor"}, False, 0.9),  # beside `exact`, the model's own rounding
        (1509, 1509.7, {"rounding": "truncate to integer"}, True, 0),
        (-6094, -6094.7, {"rounding": "truncate to integer"}, True, 0),  # toward zero
        (-6095, -6094.7, {"rounding": "truncate to integer"}, False, 1),
        (-6094, -6094.7, {"rounding": "truncate"}, True, 0),
        (-6095, -6094.7, {"rounding": "floor"}, True, 0),
        (-6094, -6094.7, {"rounding": "ceil to an integer"}, True, 0),
        (642, 642, {"rounding": "maintenance ceil; other levels floor(maintenance*factor)"}, True, 0),
        (642, 642.5, {"rounding": "maintenance ceil; other levels floor(maintenance*factor)"}, False, 0.5),
        (1, 1.05, {"rounding": "truncate", "abs": 0.1}, True, 0.05),
        ([1, 2], [1.1, 2], 0.2, True, 0.1),
        ({"a": 1}, {"a": 1, "b": nan}, 0, True, 0),  # extra keys are ignored
        ({"a": [1, {"b": 2}]}, {"a": [1, {"b": 3}]}, 0.5, False, 1),
        ("green", "green", 0, True, 0),
        (None, None, 0, True, 0),
        (True, True, 0, True, 0),
        ([], [], 0, True, 0),
    ],
)
def test_a_tolerance_means_what_the_contract_says(expected, got, tolerance, passed, error):
    found = compare(expected, got, tolerance)
    assert found[0] is passed
    assert error is None or found[1] == pytest.approx(error)


@pytest.mark.parametrize(
    ("expected", "got", "tolerance", "told"),
    [
        (1, nan, 1e9, "got is nan"),
        (nan, 1, 1e9, "expected is nan"),
        (nan, nan, 1e9, "nan"),
        (1, inf, {"rel": 1}, "got is inf"),
        (1, nan, {"rounding": "truncate"}, "nan"),
        ({"a": 1, "b": 2}, {"a": 1}, 0, "no b"),
        ({"a": 1}, 1, 0, "an object is expected"),
        ({}, {"a": 1}, 0, "compares nothing"),
        ({"a": {}}, {"a": {}}, 0, "got.a: an empty object"),
        ([1, 2], [1], 0, "1 elements where 2"),
        ([1, 2], 1, 0, "a list is expected"),
        (1, [1], 0, "is no number"),
        (1, "1", 0, "is no number"),
        (1, True, 0, "is no number"),
        (1, None, 0, "is no number"),
        ("green", "red", 0, "'red' where 'green'"),
        (True, 1, 0, "1 where True"),
        ([1, 0], 1, {"exact": True}, "no fraction"),
        (10**400, 1, {"exact": True}, "too far apart"),
        (10**400, 10**400, 1, "too large"),
        (1, 1, {"absolute": 1}, "unknown key 'absolute'"),
        (1, 1, {"abs": 1, "Rel": 1}, "unknown key 'Rel'"),
        (1, 1, {}, "says nothing"),
        (1, 1, {"upstream_rel": 1}, "says nothing"),
        (1, 1, {"rounding": ""}, "says nothing"),
        (1, 1, {"exact": False}, "exact"),
        (1, 1, {"rounding": 3}, "rounding"),
        (1, 1, -1, "0 or more"),
        (1, 1, {"abs": nan}, "0 or more"),
        (1, 1, {"rel": True}, "0 or more"),
        (1, 1, "tight", "0 or more"),
        (1, 1, None, "0 or more"),
    ],
)
def test_what_cannot_be_compared_is_told_and_never_passes(expected, got, tolerance, told):
    with pytest.raises(NotComparableError, match=told):
        compare(expected, got, tolerance)
