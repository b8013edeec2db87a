"""Numbers that are none, too large or the wrong kind: rows 28, 29 and 30 of the incidents."""

import math

import pytest

from crossmargin.clearing import (
    CheckOrder,
    ClearedTrade,
    ClearTrades,
    Deposit,
    House,
    OpenAccount,
    Reason,
    UpdateMarks,
    rebuilt,
)
from crossmargin.clearing.invariants import broken
from crossmargin.storage import open_journal
from tests.incidents.houses import Hands, applied, cash, listed, opened

NOT_WHOLE = [1.0, 1.5, math.nan, math.inf, -0.0, True, None, "1", "1e400", b"1", [1], 2**64, 2**70, -(2**63) - 1]


def deposit(amount, account="alice"):
    return Deposit(account=account, asset="USD", amount=amount, reference="r")


@pytest.mark.parametrize("amount", NOT_WHOLE, ids=repr)
def test_row_28_what_is_no_whole_number_is_refused_and_leaves_nothing_behind(amount):
    journal = open_journal("memory:")
    house = opened(journal)
    before = house.state.hash(), journal.last()
    assert house.submit(deposit(amount), "k").reason is Reason.COMMAND_IS_MALFORMED
    assert (house.state.hash(), journal.last()) == before
    # The key is still free, the house still works, and what it wrote down can be read again.
    applied(house, deposit(100), "k")
    assert rebuilt(journal).hash() == house.state.hash()
    assert cash(house, "alice") == 100


@pytest.mark.parametrize(
    "command",
    [
        deposit(1, account="\ud800"),
        deposit(1, account=7),
        OpenAccount(account=["alice"]),
        ClearTrades(trades=[3]),
        UpdateMarks(instruments={"X": 1.5}),
        UpdateMarks(instruments={1: 1}),
        "not a command",
    ],
    ids=repr,
)
def test_row_30_a_poisonous_message_is_refused_and_the_house_goes_on(command):
    journal = open_journal("memory:")
    house = opened(journal)
    assert house.submit(command, "k").reason is Reason.COMMAND_IS_MALFORMED
    applied(house, deposit(100), "k")
    assert House(journal, Hands()).state.hash() == house.state.hash()


def test_row_30_a_key_that_is_no_text_is_refused():
    house = opened()
    assert house.submit(deposit(1), "\ud800").reason is Reason.NAME_IS_NOT_ALLOWED
    assert house.submit(deposit(1), "k" * 129).reason is Reason.NAME_IS_NOT_ALLOWED
    applied(house, deposit(100), "k" * 128)


@pytest.mark.parametrize("around", [2**53, 2**62, 2**63, 2**64])
def test_row_29_amounts_at_the_borders_are_exact_or_refused(around):
    for amount in (around - 1, around, around + 1):
        house = opened()
        reply = house.submit(deposit(amount))
        if isinstance(reply, type(house.submit(deposit(0)))):
            assert reply.reason in (Reason.AMOUNT_TOO_LARGE, Reason.COMMAND_IS_MALFORMED)
            assert cash(house, "alice") == 0
        else:
            assert cash(house, "alice") == amount
        assert broken(house.state) == []


def test_row_29_no_sum_of_deposits_leaves_the_bits():
    house, paid = opened(), 0
    for k in range(20):
        reply = house.submit(Deposit(account="alice", asset="USD", amount=2**59, reference=str(k)))
        paid += 2**59 * (not hasattr(reply, "reason"))
    assert cash(house, "alice") == paid < 2**62
    assert broken(house.state) == []


@pytest.mark.parametrize("lots", [2**31, 2**40, 2**40 + 1, 2**62, 2**63 - 1])
@pytest.mark.parametrize("ticks", [1, 2**31, 2**40, 2**40 + 1, 2**62])
def test_row_29_trades_at_the_borders_are_exact_or_refused(lots, ticks):
    house = opened(cash=1_000)
    for symbol, terms in {"LINEAR": {}, "INVERSE": {"inverse": "true", "contract_size": "100"}}.items():
        listed(house, symbol, type="perpetual", **terms)
        for _ in range(3):
            house.submit(
                ClearTrades(trades=[ClearedTrade(symbol=symbol, buyer="alice", seller="bob", lots=lots, ticks=ticks)])
            )
            house.submit(CheckOrder(account="alice", order="x", symbol=symbol, lots=lots, ticks=ticks))
            assert broken(house.state) == []
