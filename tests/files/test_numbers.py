"""Numbers in files: exactly the grammar, nothing rounded twice, nothing that a float cannot hold."""

from decimal import Decimal
from math import isfinite

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError, InvalidBook
from crossmargin.files.numbers import decimal, floats, number
from crossmargin.files.tables import table_of

finite = st.floats(1e-100, 1e100) | st.floats(-1e100, -1e-100) | st.just(0.0)
decimals = st.decimals(-(10**20), 10**20, places=15)


@given(finite)
def test_a_float_comes_back_as_it_was_written(value):
    for text in (repr(value), f"{value:.17g}", f"+{abs(value)!r}"):
        assert number(text, "x") == float(text)
        assert number(Decimal(text), "x") == float(text)


@given(decimals)
def test_a_decimal_is_taken_exactly(value):
    assert decimal(value, "x") == value
    assert decimal(str(value), "x") == value
    assert number(value, "x") == float(value)


@pytest.mark.parametrize("text", ["0", "-0", "1", "+1", "007", "1.", ".5", "1e5", "1E-5", "-1.5e+3"])
def test_these_are_numbers(text):
    assert number(text, "x") == float(text)
    assert str(number("-0", "x")) == "0.0", "a zero carries no sign"


WRONG = [
    "", " ", " 1", "1 ", "1\n", "1_000", "1,000", "0x10", "1e", "e5", ".", "-", "--1", "1.2.3", "1e5.0", "NaN", "nan",
    "-nan", "sNaN", "Infinity", "-inf", "1e400", "-1e309", "1e-400", "2e100", "-9e-101", "1e99999999999999999999", "١",
    "1½", "true", "two", "0." + "1" * 39, "1" * 39, True, False, None, [], {}, float("nan"), float("inf"),
    Decimal("NaN"), Decimal("sNaN"), Decimal("-Infinity"), Decimal("1e400"), Decimal("1e-400"), 10**400,
    Decimal("0." + "1" * 39),
]  # fmt: skip


@pytest.mark.parametrize("value", WRONG, ids=repr)
def test_these_are_not(value):
    with pytest.raises(InvalidBook, match=r"^x: found .*; allowed: "):
        decimal(value, "x")
    with pytest.raises(InvalidBook, match=r"^row 1: found .*; allowed: "):
        floats([Decimal(1), value], lambda row: f"row {row}", required=True)


@pytest.mark.parametrize("value", [v for v in WRONG if isinstance(v, str)], ids=repr)
def test_a_column_of_text_takes_the_same_grammar(value):
    table = table_of(pl.DataFrame({"x": ["1", value]}), "t", ("x",), required=())
    with pytest.raises(InvalidBook, match=r"^t row 1, column x: found "):
        table.numbers("x", required=True)


@given(st.lists(st.one_of(st.none(), decimals, finite.map(Decimal).map(lambda d: d.normalize()), st.just("1.5"))))
def test_a_column_is_its_values_one_by_one(values):
    def one(value):
        if value is None:
            return float("nan")
        try:
            return number(value, "x")
        except InputError:
            return None

    expected = [one(value) for value in values]
    if None in expected:
        with pytest.raises(InvalidBook, match=f"^row {expected.index(None)}: "):
            floats(values, lambda row: f"row {row}", required=False)
    else:
        np.testing.assert_array_equal(floats(values, lambda row: f"row {row}", required=False), expected)


@given(st.lists(st.one_of(st.none(), finite.map(repr), decimals.map(str)), min_size=1))
def test_a_column_of_text_reads_as_python_does(texts):
    table = table_of(pl.DataFrame({"x": pl.Series(texts, dtype=pl.String)}), "t", ("x",), required=())
    expected = [float("nan") if text is None else float(text) for text in texts]
    assert all(text is None or isfinite(float(text)) for text in texts)
    np.testing.assert_array_equal(table.numbers("x", required=False), expected)
    by_value = floats(list(texts), lambda row: "", required=False)
    np.testing.assert_array_equal(by_value, expected)


@given(st.lists(st.decimals(-(10**15), 10**15, places=18), min_size=1))
def test_a_decimal_column_is_rounded_once(values):
    table = table_of(pl.DataFrame({"x": pl.Series(values, dtype=pl.Decimal(38, 18))}), "t", ("x",), required=())
    np.testing.assert_array_equal(table.numbers("x", required=True), [float(value) for value in values])
