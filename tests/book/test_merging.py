"""Rows of one account, instrument and mode merge exactly: the fast columns equal an obvious twin."""

from fractions import Fraction
from math import fsum, nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.book import Balances, Positions
from crossmargin.errors import InvalidBook
from crossmargin.instruments import Catalogue, Perpetual

CATALOGUE = Catalogue.of(
    [
        Perpetual(symbol="LIN", underlying="BTC", quote="USD", contract_size="0.001"),
        Perpetual(symbol="INV", underlying="BTC", quote="USD", contract_size=10, inverse=True),
    ]
)

quantities = st.one_of(
    st.decimals(-1000, 1000, places=3).map(float),
    st.decimals(-1000, 1000, places=12).map(float),
    st.floats(-1e60, 1e60),
    st.sampled_from([0.1, 0.2, 0.3, -0.3, 1e15, 1e16, 1e-20, 123456789.12345678]),
)
rows = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.integers(0, 1),
        st.booleans(),
        quantities,
        st.sampled_from([nan, 100.0, 64000.1, 3.3]),
        st.decimals(0, 1000, places=2).map(float),
    ),
    max_size=30,
)


def decimal_sum(values):
    """The sum of the shortest decimals of floats, rounded once."""
    return float(sum((Fraction(repr(value)) for value in values), Fraction(0)))


def merged(table):
    columns = list(zip(*table, strict=True)) or [()] * 6
    kinds = (np.int64, np.int64, np.bool_, np.float64, np.float64, np.float64)
    account, instrument, isolated, quantity, price, collateral = (
        np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)
    )
    return Positions.merged(
        CATALOGUE,
        account=account,
        instrument=instrument,
        quantity=quantity,
        entry_price=price,
        isolated=isolated,
        collateral=collateral,
    )


def twin(table):
    """(account, instrument, isolated, quantity, priced, entry value, collateral) of each group, one by one."""
    for key in sorted({row[:3] for row in table}):
        mine = [row for row in table if row[:3] == key]
        priced = [row for row in mine if row[4] == row[4]]
        size = float(CATALOGUE.contract_size[key[1]])

        def unit(price, size=size, inverse=bool(CATALOGUE.inverse[key[1]])):
            return -size / price if inverse else size * price

        total = decimal_sum(row[3] for row in priced)
        value = fsum(unit(row[4]) * row[3] for row in priced)
        if len({row[4] for row in priced}) == 1:
            value = unit(priced[0][4]) * total
        yield (*key, decimal_sum(row[3] for row in mine), total, value, decimal_sum(row[5] for row in mine))


@given(rows)
def test_positions_merge_as_their_twin_does_bit_for_bit(table):
    found = merged(table)
    columns = ("account", "instrument", "isolated", "quantity", "priced", "entry_value", "collateral")
    assert list(zip(*(getattr(found, name).tolist() for name in columns), strict=True)) == list(twin(table))


@given(table=rows, data=st.data())
def test_the_order_of_rows_changes_no_bit(table, data):
    one, other = merged(table), merged(data.draw(st.permutations(table)))
    for name in type(one).__dataclass_fields__:
        assert getattr(one, name).tobytes() == getattr(other, name).tobytes()


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 2), st.integers(0, 1), quantities, st.booleans()), max_size=30)
)
def test_balances_merge_as_their_twin_does_bit_for_bit(table):
    columns = list(zip(*table, strict=True)) or [()] * 5
    kinds = (np.int64, np.int64, np.int64, np.float64, np.bool_)
    found = Balances.merged(*(np.array(column, dtype=kind) for column, kind in zip(columns, kinds, strict=True)))
    expected = []
    for key in sorted({(a, asset, place, not final) for a, asset, place, _, final in table}):
        mine = [amount for a, asset, place, amount, final in table if (a, asset, place, not final) == key]
        expected.append((*key[:3], decimal_sum(mine), not key[3]))
    names = ("account", "asset", "location", "amount", "final")
    assert list(zip(*(getattr(found, name).tolist() for name in names), strict=True)) == expected


def test_a_hundred_thousand_tenths_are_ten_thousand():
    found = merged([(0, 1, False, 0.1, 100.0, 0.0)] * 100_000)
    assert found.quantity.tolist() == [10_000.0]
    assert found.entry_value.tolist() == [100.0 * 0.001 * 10_000.0]


def test_a_position_worth_more_than_a_float_is_refused():
    with pytest.raises(InvalidBook, match=r"position LIN: found 1e\+308 contracts at 1e\+06; allowed: a finite value"):
        merged([(0, 1, False, 1e308, 1e6, 0.0)])
