"""Parties: assets, accounts and instruments have the numbers of their arrival; what cannot be is refused by name."""

import pytest

from crossmargin.clearing import (
    AddAsset,
    ClearedTrade,
    ClearTrades,
    House,
    ListInstrument,
    OpenAccount,
    OpenHouse,
    Reason,
    Transfer,
    UpdateMarks,
)
from crossmargin.clearing.ledger import HOUSE_ACCOUNTS
from crossmargin.storage import open_journal
from tests.clearing_desk import Desk
from tests.clearing_margined import PERPETUAL, buy, mark, standing, world


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"currency": "EUR"}, Reason.UNKNOWN_ASSET),
        ({"assets": {"USD": (10, "fx")}}, Reason.TERMS_ARE_INVALID),
        ({"assets": {"USD": (-1, "fx")}}, Reason.TERMS_ARE_INVALID),
        ({"assets": {"USD": (2, "money")}}, Reason.TERMS_ARE_INVALID),
        ({"assets": {"USD": (2, "fx"), " ": (2, "fx")}}, Reason.TERMS_ARE_INVALID),
        ({"assets": {"USD": (2, "fx")} | {f"A{k}": (2, "fx") for k in range(1_024)}}, Reason.TERMS_ARE_INVALID),
    ],
)
def test_a_house_that_cannot_be_is_not_opened(terms, reason):
    house = House(open_journal("memory:"), lambda: 1)
    reply = house.submit(OpenHouse(**{"currency": "USD", "assets": {"USD": (2, "fx")}} | terms))
    assert reply.reason is reason
    assert not house.state.is_open


@pytest.mark.parametrize(
    ("terms", "reason"),
    [
        ({"account": "alice"}, Reason.ACCOUNT_EXISTS),
        ({"account": "insurance"}, Reason.ACCOUNT_EXISTS),
        ({"account": ""}, Reason.NAME_IS_NOT_ALLOWED),
        ({"account": "a\nb"}, Reason.NAME_IS_NOT_ALLOWED),
        ({"owner": " bob"}, Reason.NAME_IS_NOT_ALLOWED),
        ({"kind": "friend"}, Reason.TERMS_ARE_INVALID),
        ({"tier": "best"}, Reason.TERMS_ARE_INVALID),
        ({"member": "insurance"}, Reason.UNKNOWN_ACCOUNT),
        ({"member": "alice"}, Reason.ACCOUNT_IS_NO_MEMBER),
    ],
)
def test_an_account_that_cannot_be_is_not_opened(terms, reason):
    Desk("alice").no(OpenAccount(**{"account": "bob"} | terms), reason)


def test_accounts_follow_the_houses_own_and_own_themselves_unless_said_otherwise():
    desk = Desk("alice")
    desk.do(OpenAccount(account="second", owner="alice", tier="prime"))
    accounts = desk.state.parties.accounts
    assert [a.name for a in accounts] == [*HOUSE_ACCOUNTS, "alice", "second"]
    assert [a.owner for a in accounts[-2:]] == ["alice", "alice"]


@pytest.mark.parametrize(
    ("changes", "fees", "reason"),
    [
        ({}, {}, Reason.INSTRUMENT_EXISTS),
        ({"symbol": "Q", "settle": "EUR"}, {}, Reason.UNKNOWN_ASSET),
        ({"symbol": "Q", "lot_size": "0.001"}, {}, Reason.TERMS_ARE_NOT_WHOLE_UNITS),
        ({"symbol": "Q", "colour": "red"}, {}, Reason.TERMS_ARE_INVALID),
        ({"symbol": "Q", "tick_size": "nothing"}, {}, Reason.TERMS_ARE_INVALID),
        ({"symbol": "Q", "type": "future", "expiry": "1970-01-01T00:00:01Z"}, {}, Reason.TERMS_ARE_INVALID),
        ({"symbol": "Q"}, {"taker_fee": 1_000_000}, Reason.TERMS_ARE_INVALID),
        ({"symbol": "Q"}, {"taker_fee": 5, "maker_fee": -6}, Reason.TERMS_ARE_INVALID),
    ],
)
def test_an_instrument_that_cannot_be_is_not_listed(changes, fees, reason):
    desk = Desk()
    desk.do(ListInstrument(terms=PERPETUAL))
    desk.no(ListInstrument(terms=PERPETUAL | changes, **fees), reason)


def test_an_asset_that_is_added_is_taken_settled_in_and_counted():
    desk = world()
    buy(desk, "alice", 1, 60_000)
    before = standing(desk, "alice")
    desk.do(AddAsset(asset="EUR", decimals=2, asset_class="fx"))
    desk.no(AddAsset(asset="EUR", decimals=3, asset_class="fx"), Reason.ASSET_EXISTS)
    desk.no(AddAsset(asset="GBP", decimals=10, asset_class="fx"), Reason.TERMS_ARE_INVALID)
    assert standing(desk, "alice") == before
    desk.do(ListInstrument(terms=PERPETUAL | {"symbol": "E", "quote": "EUR", "underlying": "ETH"}))
    desk.do(OpenAccount(account="alice-2", owner="alice"))
    desk.pay_in("alice", 500, asset="EUR")
    # A few more than there was room for.
    for k in range(5):
        desk.do(AddAsset(asset=f"A{k}", decimals=k, asset_class="crypto"))
        desk.pay_in("alice", 7, asset=f"A{k}")
    desk.pay_in("alice-2", 10, asset="A4")
    send = Transfer(source="alice-2", target="alice", asset="A4", amount=10)
    desk.no(send, Reason.POOL_WOULD_NOT_STAND)
    # What it is worth is not known before there is an index.
    desk.do(UpdateMarks(instruments={}, indices=dict.fromkeys(("EUR", "A0", "A1", "A2", "A3", "A4"), 10**8)))
    desk.do(send)
    assert desk.have("alice", desk.state.parties.asset_number["A4"]) == 17
    mark(desk, 61_000)
    trade = ClearedTrade(symbol="P", buyer="maker", seller="alice", lots=1, ticks=122_000)
    desk.do(ClearTrades(trades=[trade]))
