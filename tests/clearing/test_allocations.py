"""Blocks and give-ups: all of it or nothing, at the agreed prices, and only between accounts that may."""

import pytest

from crossmargin.clearing import AdmitMember, Applied, BlockTrade, Deposit, GiveUp, Leg, OpenAccount, Reason
from crossmargin.clearing.auditing import unconserved
from crossmargin.clearing.ledger import FEES
from tests.clearing.test_rule_book import house as margined
from tests.clearing.test_rule_book import order
from tests.clearing.test_trading import cash, clear, held, house, number, trade


def block(*legs, **other):
    return BlockTrade(
        **{"buyer": "alice", "seller": "bob", "legs": [Leg(symbol=k, lots=n, ticks=p) for k, n, p in legs]} | other
    )


def test_the_legs_of_a_block_are_booked_together_and_both_pay_the_takers_fee():
    made = house(taker_fee=100)
    assert isinstance(made.submit(block(("P", 3, 120_000), ("O", -2, 900))), Applied)
    assert (held(made, "alice", "P")[0], held(made, "alice", "O")[0]) == (3, -2)
    # 0.01% of 18,000 USD and of a premium of 90.
    assert cash(made, "alice") == 1_000_000 + 9_000 - 180 - 1
    assert cash(made, "bob") == 1_000_000 - 9_000 - 180 - 1
    assert made.state.ledger.balance(FEES, 0) == 362
    assert unconserved(made.state) == "ok"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (block(), Reason.BATCH_IS_EMPTY),
        (block(("P", 0, 1)), Reason.LOTS_ARE_IMPOSSIBLE),
        (block(("X", 1, 1)), Reason.UNKNOWN_INSTRUMENT),
        (block(("P", 1, 1), buyer="nobody"), Reason.UNKNOWN_ACCOUNT),
        (block(("P", 1, 1), seller="nobody"), Reason.UNKNOWN_ACCOUNT),
        (block(("P", 1, 1), seller="alice"), Reason.TRADE_WITH_ITSELF),
        (block(("P", 1, 120_000), ("O", 1, 200_001)), Reason.FUNDS_ARE_INSUFFICIENT),
        (block(("P", 1, 120_000), ("P", 2**30, 2**29)), Reason.AMOUNT_TOO_LARGE),
    ],
)
def test_a_block_with_one_leg_that_cannot_be_is_nothing(wrong, reason):
    made = house()
    assert made.submit(wrong).reason is reason
    assert made.state.positions.count == 0


def test_a_block_is_margined_with_all_its_legs():
    made = margined()
    # Either leg alone is more than 10,000 carries; long one and short the other is not.
    assert made.submit(block(("BTC-PERP", 30, 120_000), seller="maker")).reason is Reason.MARGIN_IS_INSUFFICIENT
    assert order(made, lots=30).reason is Reason.MARGIN_IS_INSUFFICIENT
    both = block(("BTC-PERP", 30, 120_000), ("BTC-PERP", -28, 120_000), seller="maker")
    assert isinstance(made.submit(both), Applied)


def test_a_position_is_given_up_at_its_price_to_the_accounts_it_is_for():
    made = house(taker_fee=100)
    made.submit(OpenAccount(account="desk", kind="house"))
    made.submit(AdmitMember(account="desk", assessment_cap=0))
    made.submit(Deposit(account="desk", asset="USD", amount=10**6, reference="desk"))
    assert isinstance(made.submit(OpenAccount(account="client", member="desk")), Applied)
    clear(made, trade(lots=5))
    before = cash(made, "alice"), cash(made, "bob")
    reply = made.submit(GiveUp(account="alice", symbol="P", ticks=120_000, shares={"carol": 2}))
    assert isinstance(reply, Applied)
    assert held(made, "carol", "P") == (2, -2 * 120_000 * 5)
    assert held(made, "alice", "P") == (3, -3 * 120_000 * 5)
    assert (cash(made, "alice"), cash(made, "bob")) == before
    clear(made, trade(seller="desk", lots=5))
    assert isinstance(made.submit(GiveUp(account="desk", symbol="P", ticks=120_000, shares={"client": 5})), Applied)
    assert held(made, "client", "P")[0] == -5
    assert number(made, "client") in made.state.touched
    assert unconserved(made.state) == "ok"


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"shares": {}}, Reason.BATCH_IS_EMPTY),
        ({"shares": {"carol": 6}}, Reason.LOTS_ARE_IMPOSSIBLE),
        ({"shares": {"carol": 0}}, Reason.LOTS_ARE_IMPOSSIBLE),
        ({"shares": {"bob": 1}}, Reason.ACCOUNTS_ARE_SEGREGATED),
        ({"shares": {"nobody": 1}}, Reason.UNKNOWN_ACCOUNT),
        ({"shares": {"alice": 1}}, Reason.TRADE_WITH_ITSELF),
        ({"account": "nobody"}, Reason.UNKNOWN_ACCOUNT),
        ({"symbol": "X"}, Reason.UNKNOWN_INSTRUMENT),
        ({"ticks": 0}, Reason.PRICE_IS_IMPOSSIBLE),
    ],
)
def test_what_cannot_be_given_up_stays(wrong, reason):
    made = house()
    clear(made, trade(lots=5))
    asked = {"account": "alice", "symbol": "P", "ticks": 120_000, "shares": {"carol": 1}} | wrong
    assert made.submit(GiveUp(**asked)).reason is reason
    assert held(made, "alice", "P")[0] == 5
