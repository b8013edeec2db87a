"""Trading: orders are checked and held for, trades are stood between, marks are written down; exactly, and in turn."""

from fractions import Fraction
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.clearing import (
    Applied,
    CheckOrder,
    ClearedTrade,
    ClearTrades,
    Deposit,
    House,
    ListInstrument,
    OpenAccount,
    OpenHouse,
    Reason,
    Rejected,
    ReleaseOrder,
    UpdateMarks,
    rebuilt,
)
from crossmargin.clearing.auditing import unconserved
from crossmargin.clearing.fees import fee_of
from crossmargin.clearing.ledger import FEES, ROUNDING
from crossmargin.clearing.marks import whole_numbers
from crossmargin.clearing.state import State
from crossmargin.storage import open_journal

PERPETUAL = {"type": "perpetual", "underlying": "BTC", "quote": "USD"}
LINEAR = PERPETUAL | {"symbol": "P", "tick_size": "0.5", "lot_size": "0.1"}
INVERSE = PERPETUAL | {
    "symbol": "I", "settle": "BTC", "inverse": "true", "contract_size": "10", "tick_size": "0.5", "lot_size": "1"
}  # fmt: skip
OPTION = PERPETUAL | {
    "symbol": "O", "type": "option", "option_type": "call", "strike": "60000", "expiry": "2026-12-25T08:00:00Z",
    "tick_size": "0.5", "lot_size": "0.1",
}  # fmt: skip
ENERGY = {
    "symbol": "CL", "type": "perpetual", "underlying": "WTI", "quote": "USD", "price_domain": "any",
    "tick_size": "0.01", "lot_size": "1", "contract_size": "1000",
}  # fmt: skip


def house(**fees):
    times = count(1)
    made = House(open_journal("memory:"), lambda: next(times))
    made.submit(OpenHouse(currency="USD", assets={"USD": (2, "other"), "BTC": (8, "crypto")}))
    for terms in (LINEAR, INVERSE, OPTION, ENERGY):
        assert isinstance(made.submit(ListInstrument(terms=terms, **fees)), Applied)
    for name, owner in (("alice", ""), ("bob", ""), ("carol", "alice")):
        made.submit(OpenAccount(account=name, owner=owner))
    for name in ("alice", "bob"):
        for asset, amount in (("USD", 1_000_000), ("BTC", 10**8)):
            made.submit(Deposit(account=name, asset=asset, amount=amount, reference=f"{name} {asset}"))
    return made


def number(made, name):
    return made.state.parties.account_number[name]


def held(made, name, symbol):
    return made.state.positions.of(number(made, name), made.state.parties.instrument_number[symbol])


def cash(made, name, asset="USD"):
    account = number(made, name)
    return made.state.ledger.balance(account, made.state.parties.asset_number[asset])


def trade(symbol="P", lots=3, ticks=120_000, **other):
    return ClearedTrade(**{"symbol": symbol, "buyer": "alice", "seller": "bob", "lots": lots, "ticks": ticks} | other)


def clear(made, *trades):
    return made.submit(ClearTrades(trades=list(trades)))


def order(**other):
    return CheckOrder(**{"account": "alice", "order": "o", "symbol": "P", "lots": 5, "ticks": 100_000} | other)


def test_a_trade_gives_both_sides_opposite_lots_and_costs():
    made = house()
    assert isinstance(clear(made, trade()), Applied)
    # One tick of one lot is 5 cents.
    assert held(made, "alice", "P") == (3, -3 * 120_000 * 5)
    assert held(made, "bob", "P") == (-3, 3 * 120_000 * 5)
    assert cash(made, "alice") == cash(made, "bob") == 1_000_000


def test_what_an_inverse_trade_cannot_divide_goes_to_the_rounding_account():
    made = house()
    clear(made, trade("I", 7, 130_001))
    exact = Fraction(7 * 10 * 10**8) / (Fraction(1, 2) * 130_001)
    of_buyer, of_seller = held(made, "alice", "I")[1], held(made, "bob", "I")[1]
    assert (of_buyer, of_seller) == (exact.__floor__(), (-exact).__floor__())
    assert made.state.positions.of(ROUNDING, 1) == (0, -of_buyer - of_seller) == (0, 1)


def test_an_options_premium_is_paid_in_cash_at_the_trade():
    made = house()
    clear(made, trade("O", 2, 900))
    assert (cash(made, "alice"), cash(made, "bob")) == (1_000_000 - 2 * 900 * 5, 1_000_000 + 2 * 900 * 5)
    assert held(made, "alice", "O") == (2, 0)


def test_below_zero_the_buyer_is_paid():
    made = house()
    clear(made, trade("CL", 2, -3763))
    assert held(made, "alice", "CL") == (2, 2 * 3763 * 1000)
    assert clear(made, trade("P", 1, -1)).reason is Reason.PRICE_IS_IMPOSSIBLE


def test_the_taker_pays_the_takers_fee_and_the_maker_gets_the_rebate():
    made = house(maker_fee=-100, taker_fee=500)
    clear(made, trade(lots=1, ticks=120_001))
    # 6000.05 USD: 0.05% is 300.0025 cents, rounded up; 0.01% is 60.0005, rounded down.
    assert cash(made, "alice") == 1_000_000 - 301
    assert cash(made, "bob") == 1_000_000 + 60
    assert made.state.ledger.balance(FEES, 0) == 241
    clear(made, trade(lots=1, ticks=120_001, buyer_took=False))
    assert cash(made, "bob") == 1_000_000 + 60 - 301


@given(st.integers(1, 10**9), st.integers(1, 10**9), st.integers(0, 999_999), st.data())
def test_a_fee_is_never_less_than_its_rate_and_a_rebate_never_more(lots, ticks, taker, data):
    made = house_of_contracts()
    for contract in made:
        maker = data.draw(st.integers(-taker, taker))
        exact = (
            Fraction(lots * contract.numerator, contract.denominator * ticks)
            if contract.inverse
            else (lots * ticks * contract.numerator)
        )
        exact = Fraction(exact)
        charged, rebate = fee_of(contract, lots, ticks, taker), fee_of(contract, lots, ticks, maker)
        assert exact * taker / 10**6 <= charged < exact * taker / 10**6 + 2
        assert exact * maker / 10**6 <= rebate < exact * maker / 10**6 + 2
        assert charged + rebate >= 0


def house_of_contracts():
    return [listing.contract for listing in _LISTED.state.parties.instruments[:2]]


_LISTED = house()


def test_trades_between_accounts_of_one_owner_are_flagged():
    made = house()
    reply = clear(made, trade(), trade(buyer="carol", seller="alice"))
    (event,) = reply.events
    assert whole_numbers(event.one_owner).tolist() == [0, 1]


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (trade("nothing"), Reason.UNKNOWN_INSTRUMENT),
        (trade(buyer="nobody"), Reason.UNKNOWN_ACCOUNT),
        (trade(seller="nobody"), Reason.UNKNOWN_ACCOUNT),
        (trade(seller="fees"), Reason.ACCOUNT_IS_THE_HOUSE),
        (trade(seller="alice"), Reason.TRADE_WITH_ITSELF),
        (trade(lots=0), Reason.LOTS_ARE_IMPOSSIBLE),
        (trade(lots=-1), Reason.LOTS_ARE_IMPOSSIBLE),
        (trade(lots=2**40 + 1), Reason.LOTS_ARE_IMPOSSIBLE),
        (trade(ticks=0), Reason.PRICE_IS_IMPOSSIBLE),
        (trade(lots=2**40, ticks=2**40), Reason.AMOUNT_TOO_LARGE),
        (trade(lots=2**30, ticks=2**29), Reason.AMOUNT_TOO_LARGE),
        (trade("I", lots=2**40, ticks=2**40), Reason.AMOUNT_TOO_LARGE),
        (trade("O", lots=1, ticks=200_001), Reason.FUNDS_ARE_INSUFFICIENT),
    ],
)
def test_a_trade_that_cannot_be_is_refused_and_changes_nothing(wrong, reason):
    made = house()
    before = made.state.frozen()
    reply = clear(made, wrong)
    assert reply.reason is reason
    made.state.sequence, made.state.now = made.state.sequence - 1, made.state.now - 1
    assert made.state.frozen() == before


def test_the_trades_of_a_batch_are_accepted_or_refused_in_their_turn():
    made = house()
    reply = clear(made, trade("O", 1, 150_000), trade("O", 1, 150_000), trade("P"), trade("P", 0))
    (event,) = reply.events
    assert [(place, reason) for place, reason, _ in event.refused] == [
        (1, "funds_are_insufficient"),
        (3, "lots_are_impossible"),
    ]
    assert held(made, "alice", "O") == (1, 0)
    assert held(made, "alice", "P")[0] == 3
    assert clear(made).reason is Reason.BATCH_IS_EMPTY


def test_an_order_holds_what_it_may_spend_until_it_has_traded_or_is_released():
    made = house(taker_fee=1_000)
    option = order(symbol="O", lots=2, ticks=50_000)
    assert isinstance(made.submit(option), Applied)
    # 2 x 50,000 x 5 cents, and 0.1% of that.
    assert made.state.orders.held(number(made, "alice"), 0) == 500_500
    assert made.submit(order(order="more", symbol="O", lots=2, ticks=50_000)).reason is Reason.FUNDS_ARE_INSUFFICIENT
    clear(made, trade("O", 1, 40_000, buy_order="o"))
    assert made.state.orders.held(number(made, "alice"), 0) == 250_250
    assert isinstance(made.submit(ReleaseOrder(account="alice", order="o")), Applied)
    assert made.state.orders == type(made.state.orders)()
    assert made.submit(ReleaseOrder(account="alice", order="o")).reason is Reason.UNKNOWN_ORDER
    assert made.submit(ReleaseOrder(account="nobody", order="o")).reason is Reason.UNKNOWN_ACCOUNT


def test_an_order_that_has_traded_in_full_is_over():
    made = house()
    made.submit(order(lots=-5, account="bob"))
    clear(made, trade(lots=2, sell_order="o"), trade(lots=3, sell_order="o"))
    assert made.state.orders.open == {}
    assert made.state.orders.resting == {}


@pytest.mark.parametrize(
    "other",
    [
        {"buyer": "bob", "seller": "alice"},
        {"symbol": "CL"},
        {"lots": 6},
        {"ticks": 100_001},
        {"buy_order": "", "sell_order": "o"},
    ],
    ids=["another's", "another instrument", "more than is left", "beyond the limit", "the other side"],
)
def test_a_trade_that_its_order_does_not_allow_is_refused(other):
    made = house()
    made.submit(order())
    assert clear(made, trade(**{"lots": 5, "ticks": 100_000, "buy_order": "o"} | other)).reason is (
        Reason.TRADE_IS_NOT_THE_ORDERS
    )


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (order(account="nobody"), Reason.UNKNOWN_ACCOUNT),
        (order(symbol="nothing"), Reason.UNKNOWN_INSTRUMENT),
        (order(order=" "), Reason.NAME_IS_NOT_ALLOWED),
        (order(lots=0), Reason.LOTS_ARE_IMPOSSIBLE),
        (order(ticks=0), Reason.PRICE_IS_IMPOSSIBLE),
        (order(reduce_only=True), Reason.ORDER_REDUCES_NOTHING),
    ],
)
def test_an_order_that_cannot_be_is_refused(wrong, reason):
    made = house()
    assert made.submit(wrong).reason is reason


def test_an_orders_name_is_unique_while_it_is_open():
    made = house()
    made.submit(order())
    assert made.submit(order(account="bob")).reason is Reason.ORDER_EXISTS
    made.submit(ReleaseOrder(account="alice", order="o"))
    assert isinstance(made.submit(order(account="bob")), Applied)


def test_orders_that_reduce_count_those_that_rest_before_them():
    made = house()
    clear(made, trade(lots=5))
    reducing = {"lots": -3, "reduce_only": True}
    assert isinstance(made.submit(order(order="1", **reducing)), Applied)
    assert made.submit(order(order="2", **reducing)).reason is Reason.ORDER_REDUCES_NOTHING
    assert isinstance(made.submit(order(order="3", lots=-2, reduce_only=True)), Applied)


def test_a_reduce_only_order_whose_position_is_gone_does_not_trade():
    made = house()
    clear(made, trade(lots=5))
    made.submit(order(lots=-5, reduce_only=True))
    clear(made, trade(lots=3, buyer="bob", seller="alice"))
    back = {"buyer": "bob", "seller": "alice", "sell_order": "o"}
    assert clear(made, trade(lots=3, **back)).reason is Reason.ORDER_REDUCES_NOTHING
    assert isinstance(clear(made, trade(lots=2, **back)), Applied)


def test_marks_are_kept_as_they_were_given():
    made = house()
    marks = UpdateMarks(instruments={"P": 120_000, "CL": -3763, "O": 0}, indices={"WTI": -1, "BTC": 7}, vols={"O": 10})
    assert isinstance(made.submit(marks), Applied)
    state = made.state
    assert [state.marks.of(k) for k in range(4)] == [120_000, None, 0, -3763]
    assert (state.marks.vol_of(2), state.marks.index_of("WTI"), state.marks.index_of("ETH")) == (10, -1, None)
    assert state.marks.times[0] == state.marks.index_times["BTC"] == state.now


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (UpdateMarks(), Reason.BATCH_IS_EMPTY),
        (UpdateMarks(instruments={"nothing": 1}), Reason.UNKNOWN_INSTRUMENT),
        (UpdateMarks(vols={"nothing": 1}), Reason.UNKNOWN_INSTRUMENT),
        (UpdateMarks(indices={"ETH": 1}), Reason.UNKNOWN_ASSET),
        (UpdateMarks(instruments={"P": 0}), Reason.MARK_IS_IMPOSSIBLE),
        (UpdateMarks(instruments={"O": -1}), Reason.MARK_IS_IMPOSSIBLE),
        (UpdateMarks(instruments={"CL": 2**40 + 1}), Reason.MARK_IS_IMPOSSIBLE),
        (UpdateMarks(indices={"BTC": 0}), Reason.MARK_IS_IMPOSSIBLE),
        (UpdateMarks(vols={"P": 1}), Reason.MARK_IS_IMPOSSIBLE),
        (UpdateMarks(vols={"O": -1}), Reason.MARK_IS_IMPOSSIBLE),
    ],
)
def test_marks_that_cannot_be_are_refused(wrong, reason):
    assert house().submit(wrong).reason is reason


names = st.sampled_from(["alice", "bob", "carol"])
trades = st.builds(
    ClearedTrade,
    symbol=st.sampled_from(["P", "I", "O", "CL"]),
    buyer=names,
    seller=names,
    lots=st.integers(1, 50),
    ticks=st.integers(1, 500_000),
    buyer_took=st.booleans(),
    buy_order=st.sampled_from(["", "o0", "o1"]),
    sell_order=st.sampled_from(["", "o2", "o3"]),
)
orders = st.tuples(names, st.sampled_from(["P", "I", "O", "CL"]), st.integers(-99, 99), st.integers(1, 500_000))


@settings(max_examples=40)
@given(st.lists(st.one_of(st.lists(trades, min_size=1, max_size=6), orders), max_size=12))
def test_whatever_trades_money_is_conserved_and_the_journal_leads_to_the_same_state(steps):
    made = house(maker_fee=-100, taker_fee=333)
    for k, step in enumerate(steps):
        if isinstance(step, list):
            reply = made.submit(ClearTrades(trades=step))
        else:
            account, symbol, lots, ticks = step
            reply = made.submit(CheckOrder(account=account, order=f"o{k % 4}", symbol=symbol, lots=lots, ticks=ticks))
        assert isinstance(reply, Applied | Rejected)
        assert unconserved(made.state) == "ok"
        assert all(amount >= 0 for amount in made.state.orders.reserved.values())
    assert rebuilt(made._journal).hash() == made.state.hash()
    assert State.thawed(made.state.frozen()).hash() == made.state.hash()
