"""Contracts in whole units: exact where they can be, rounded against the holder where they cannot."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.clearing.contracts import contract_of
from crossmargin.clearing.rounding import owed_to_house, to_account
from crossmargin.instruments import Option, Perpetual, Spot


def linear(**terms):
    return Perpetual(**{"symbol": "P", "underlying": "BTC", "quote": "USD", "tick_size": 0.5, "lot_size": 0.1} | terms)


def test_one_tick_of_one_lot_is_worth_what_the_terms_say():
    contract = contract_of(linear(), 0, 2)
    # 0.1 contracts x 0.5 USD = 0.05 USD = 5 cents.
    assert contract.numerator == 5
    assert contract.value(3, -4) == -60
    assert contract.value(-3, 120_001) == -3 * 120_001 * 5


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**9))
def test_an_inverse_position_is_worth_its_face_over_the_price_rounded_down(lots, ticks):
    contract = contract_of(
        Perpetual(symbol="I", underlying="BTC", quote="USD", inverse=True, contract_size=10, tick_size=0.5, lot_size=1),
        1,
        8,
    )
    exact = Fraction(-lots * 10 * 10**8) / (Fraction(1, 2) * ticks)
    assert contract.value(lots, ticks) == exact.__floor__()


@given(st.integers(-(10**30), 10**30), st.integers(1, 10**12))
def test_rounding_is_against_the_account(numerator, denominator):
    exact = Fraction(numerator, denominator)
    assert to_account(numerator, denominator) <= exact < to_account(numerator, denominator) + 1
    assert owed_to_house(numerator, denominator) - 1 < exact <= owed_to_house(numerator, denominator)


@pytest.mark.parametrize(
    ("instrument", "decimals", "says"),
    [
        (linear(tick_size=None), 2, "tick_size or lot_size"),
        (linear(lot_size=None), 2, "tick_size or lot_size"),
        (linear(lot_size=0.001), 2, "1/20 minor units"),
        (linear(contract_size=10**20), 2, "62 bits"),
        (Spot(symbol="S", underlying="BTC", quote="USD", tick_size=1, lot_size=1), 2, "spot"),
        (
            Option(
                symbol="O",
                underlying="BTC",
                quote="USD",
                option_type="put",
                strike=1,
                expiry="2026-12-25T08:00:00Z",
                exercise="american",
                tick_size=1,
                lot_size=1,
            ),
            2,
            "american",
        ),
    ],
    ids=["no tick", "no lot", "too fine", "too large", "spot", "american"],
)
def test_terms_that_are_not_whole_units_are_refused(instrument, decimals, says):
    with pytest.raises(ValueError, match=says):
        contract_of(instrument, 0, decimals)


def test_an_option_is_linear_in_its_premium_and_expires():
    option = Option(
        symbol="O",
        underlying="BTC",
        quote="USD",
        inverse=True,
        option_type="call",
        strike=100,
        tick_size=0.0005,
        lot_size=0.1,
        expiry="2026-12-25T08:00:00Z",
    )
    contract = contract_of(option, 1, 8)
    assert (contract.option, contract.inverse) == (True, False)
    assert contract.value(2, 3) == 2 * 3 * 5_000
    assert contract.expiry == 1_798_185_600_000_000_000
