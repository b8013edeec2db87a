"""A batch of trades does what its trades would do one after another."""

from itertools import count

from crossmargin.clearing import (
    CheckOrder,
    ClearedTrade,
    ClearTrades,
    Deposit,
    House,
    ListInstrument,
    OpenAccount,
    OpenHouse,
)
from crossmargin.storage import open_journal

CALL = {
    "type": "option",
    "option_type": "call",
    "symbol": "CALL",
    "underlying": "BTC",
    "quote": "USD",
    "strike": "60000",
    "expiry": "2026-12-25T08:00:00Z",
    "tick_size": "1",
    "lot_size": "1",
}


def house(cash):
    """A call, 100 minor units a tick of a lot; alice has `cash` and an order for 2 lots at 10 that holds 2,000."""
    opened = House(open_journal("memory:"), count(1_000).__next__)
    opened.submit(OpenHouse(currency="USD", assets={"USD": (2, "other")}))
    for name in ("alice", "bob"):
        opened.submit(OpenAccount(account=name))
    opened.submit(ListInstrument(terms=CALL))
    opened.submit(Deposit(account="alice", asset="USD", amount=cash, reference="r"))
    opened.submit(CheckOrder(account="alice", order="x", symbol="CALL", lots=2, ticks=10))
    return opened


def trade(lots, ticks, order):
    return ClearedTrade(symbol="CALL", buyer="alice", seller="bob", lots=lots, ticks=ticks, buy_order=order)


def both_ways(cash, trades):
    """Return what alice has and holds after trades in one batch, and after them one by one."""
    found = []
    for batches in ([trades], [[each] for each in trades]):
        opened = house(cash)
        for batch in batches:
            opened.submit(ClearTrades(trades=batch))
        alice, state = opened.state.parties.account_number["alice"], opened.state
        found.append((state.ledger.balance(alice, 0), state.positions.of(alice, 0), state.orders.held(alice, 0)))
    return found


def test_an_order_that_traded_in_full_earlier_in_the_batch_holds_nothing_any_more():
    together, apart = both_ways(10_000, [trade(2, 10, "x"), trade(1, 12, "x")])
    assert together == apart == (10_000 - 2_000 - 1_200, (3, 0), 0)


def test_what_an_order_held_is_free_for_the_trades_after_it():
    # 2,500 with 2,000 held: the order trades at 5 instead of 10, which frees 1,000 for a trade of 1,400.
    together, apart = both_ways(2_500, [trade(2, 5, "x"), trade(1, 14, "")])
    assert together == apart == (2_500 - 1_000 - 1_400, (3, 0), 0)
