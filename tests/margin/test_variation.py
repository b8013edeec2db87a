"""The variation account of a future: every settlement is paid, and calls restore initial margin."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.margin import variation_account

TERMS = {"quantity": 1, "contract_size": 10, "entry_price": 100, "initial_margin": 100, "maintenance_margin": 75}


@given(st.lists(st.integers(1, 500), max_size=30), st.integers(-5, 5))
def test_gains_add_up_to_the_move_and_money_is_conserved(settlements, quantity):
    account = variation_account(**{**TERMS, "quantity": quantity}, settlements=settlements)
    last = settlements[-1] if settlements else 100
    assert account.cumulative_gain == quantity * 10 * (last - 100)
    paid_in = 100 + sum(account.calls)
    left = account.balances[-1] + account.calls[-1] if settlements else 100
    assert left == paid_in + account.cumulative_gain


@given(st.lists(st.integers(1, 500), max_size=30))
def test_a_day_begins_at_maintenance_or_more_and_a_call_leads_to_initial(settlements):
    account = variation_account(**TERMS, settlements=settlements)
    for balance, call in zip(account.balances, account.calls, strict=True):
        assert balance + call >= 75
        assert call == 0 or (balance < 75 and balance + call == 100)


def test_at_maintenance_itself_nothing_is_called():
    account = variation_account(**TERMS, settlements=[97.5, 97.4])
    assert account.calls == pytest.approx((0, 26))


@pytest.mark.parametrize(
    ("terms", "told"), [({"maintenance_margin": 101}, "maintenance_margin"), ({"contract_size": 0}, "contract_size")]
)
def test_terms_that_cannot_be_are_refused(terms, told):
    with pytest.raises(InputError, match=told):
        variation_account(**{**TERMS, **terms}, settlements=[])
