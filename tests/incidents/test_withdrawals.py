"""Money that was taken out of venues: profit that was not there yet, margin that was needed."""

from random import Random

import pytest

from crossmargin.clearing import (
    AdvanceClock,
    Applied,
    ClearedTrade,
    ClearTrades,
    ConfirmWithdrawal,
    OpenAccount,
    ReturnWithdrawal,
    SendWithdrawal,
    SettleVariation,
    Withdraw,
)
from crossmargin.clearing.ledger import EXTERNAL
from tests.clearing_desk import USD
from tests.clearing_margined import buy, mark, standing, world


def take_out(desk, account, amount, reference):
    """Take out as much of `amount` as the house lets go of, in thirds; return what has left it."""
    while amount > 1_000:
        name = f"{reference} {amount}"
        asked = Withdraw(account=account, asset="USD", amount=amount, reference=name, destination="away")
        steps = (asked, SendWithdrawal(reference=name), ConfirmWithdrawal(reference=name))
        if all(isinstance(desk.house.submit(step), Applied) for step in steps):
            return amount
        desk.house.submit(ReturnWithdrawal(reference=name, reason="not sent"))
        amount //= 3
    return 0


def pumped(seed, owner):
    """Return (desk, what two accounts of one hand have taken out, what they paid in): they trade, pump and run."""
    chance = Random(seed)
    desk = world()
    desk.do(OpenAccount(account="mallory", owner="mallory"))
    desk.do(OpenAccount(account="puppet", owner=owner))
    for name in ("mallory", "puppet"):
        desk.pay_in(name, 10_000_00)
    taken, price = 0, 60_000
    for step in range(6):
        lots = chance.randint(1, 5)
        trade = ClearedTrade(symbol="P", buyer="mallory", seller="puppet", lots=lots, ticks=2 * price)
        desk.house.submit(ClearTrades(trades=[trade]))
        price = int(price * chance.choice((1.1, 1.5, 3)))
        mark(desk, price)
        if chance.random() < 0.5:
            desk.do(SettleVariation())
        for name in ("mallory", "puppet"):
            taken += take_out(desk, name, desk.have(name) + chance.choice((0, 10**9)), f"{name} {step}")
        if owner == "mallory":
            desk.later(chance.choice((0, 7_200)))
            desk.do(AdvanceClock())
    return desk, taken, 20_000_00


@pytest.mark.parametrize("seed", range(3))
def test_row_3_profit_pumped_up_between_two_accounts_of_one_owner_is_never_taken_out(seed):
    desk, taken, paid = pumped(seed, "mallory")
    assert taken <= paid
    # What has left is what the world's side of the ledger says has left.
    assert -desk.state.ledger.balance(EXTERNAL, USD) == 10_000_00 + 10**11 + paid - taken


@pytest.mark.parametrize("seed", range(3))
def test_row_3_with_a_straw_man_it_is_not_taken_out_before_somebody_has_looked(seed):
    _, taken, paid = pumped(seed, "straw man")
    assert taken <= paid


@pytest.mark.parametrize("seed", range(3))
def test_row_5_nobody_withdraws_themselves_into_liquidation(seed):
    chance = Random(seed)
    desk = world()
    buy(desk, "alice", chance.choice((-8, -3, 3, 8)), 60_000)
    for step in range(6):
        mark(desk, chance.randint(56_000, 64_000))
        for part in (1, 2, 3, 5, 10):
            amount, name = desk.have("alice") // part, f"out {step} {part}"
            asked = Withdraw(account="alice", asset="USD", amount=amount, reference=name, destination="away")
            if isinstance(desk.house.submit(asked), Applied):
                after = standing(desk, "alice")
                assert after.margin_balance - after.unrealized_gain >= after.initial > after.maintenance
                assert desk.have("alice") >= 0
