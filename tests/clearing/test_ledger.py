"""The ledger: balances by account, asset, place and whether final; postings of one event cancel."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.ledger import FIRST_CLIENT, HERE, HOUSE_ACCOUNTS, Ledger, Posting, transfer

ACCOUNTS = st.integers(0, 11)
transfers = st.lists(
    st.tuples(ACCOUNTS, ACCOUNTS, st.integers(0, 5), st.integers(1, 10**15), st.integers(0, 2), st.booleans())
)


def roomy():
    ledger = Ledger()
    ledger.make_room(12, 6)
    return ledger


@given(transfers)
def test_balances_are_the_sum_of_what_was_posted_and_cancel_over_all_accounts(rows):
    ledger, expected = roomy(), {}
    for source, target, asset, amount, location, pending in rows:
        ledger.post([Posting(source, asset, -amount, location, pending), Posting(target, asset, amount, HERE, False)])
        for key, change in (((source, asset, location, pending), -amount), ((target, asset, HERE, False), amount)):
            expected[key] = expected.get(key, 0) + change
    assert all(ledger.balance(*key) == amount for key, amount in expected.items())
    assert not any(ledger.totals().values())
    listed = [posting for account in range(12) for posting in ledger.of_account(account)]
    assert {(p.account, p.asset, p.location, p.pending): p.amount for p in listed} == {
        key: amount for key, amount in expected.items() if amount
    }


@given(transfers)
def test_a_ledger_frozen_and_thawed_is_the_same(rows):
    ledger = roomy()
    for source, target, asset, amount, location, pending in rows:
        ledger.post([Posting(source, asset, -amount, location, pending), Posting(target, asset, amount, HERE, False)])
    again = Ledger.thawed(ledger.frozen())
    assert again.frozen() == ledger.frozen()
    assert again.totals() == ledger.totals()


@pytest.mark.parametrize(
    "postings",
    [
        [Posting(8, 0, 5)],
        [Posting(8, 0, 5), Posting(9, 0, -4)],
        [Posting(8, 0, 5), Posting(9, 1, -5)],
        [Posting(8, 0, 0), Posting(9, 0, 0)],
    ],
    ids=["one-sided", "unequal", "across assets", "of nothing"],
)
def test_postings_that_do_not_cancel_are_a_fault_and_book_nothing(postings):
    ledger = roomy()
    with pytest.raises(AssertionError, match="ledger"):
        ledger.post(postings)
    assert ledger.frozen() == roomy().frozen()


def test_a_balance_never_leaves_62_bits():
    ledger = roomy()
    ledger.post(transfer(0, 8, 0, AMOUNT_MAX - 1))
    with pytest.raises(AssertionError, match="62 bits"):
        ledger.post(transfer(0, 8, 0, 1))


def test_a_transfer_of_nothing_posts_nothing():
    assert transfer(8, 9, 0, 0) == []


def test_room_keeps_what_was_there():
    ledger = roomy()
    ledger.post(transfer(0, 11, 5, 7))
    ledger.make_room(5_000, 40)
    assert ledger.balance(11, 5) == 7
    assert ledger.cash.shape[0] >= 5_000
    assert ledger.cash.shape[1] >= 40


def test_house_accounts_keep_their_numbers():
    """They are in every journal there is: the list grows at its end only."""
    assert HOUSE_ACCOUNTS[:8] == (
        "external",
        "fees",
        "rounding",
        "insurance",
        "lending",
        "lending-reserve",
        "conversion",
        "house",
    )
    assert len(HOUSE_ACCOUNTS) == FIRST_CLIENT
