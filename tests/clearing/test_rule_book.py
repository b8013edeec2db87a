"""The rule book's view: what it says is what the rule book says, and the bound never says yes where that says no."""

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
    ReleaseOrder,
    UpdateMarks,
    rebuilt,
)
from crossmargin.clearing.books import Case
from crossmargin.clearing.risk import BANKRUPT, HEALTHY, LIQUIDATION, WARNING
from crossmargin.clearing.rule_book import RuleBookView
from crossmargin.clearing.standings import StandingChanged
from crossmargin.market import Market
from crossmargin.rules import load
from crossmargin.storage import open_journal

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND
MARKET = Market(time="2026-11-20T08:00:00Z", vol_annual={"BTC": 0.6, "ETH": 0.7, "USD": 0.01})
PERPETUAL = {"type": "perpetual", "quote": "USD", "asset_class": "crypto", "tick_size": "0.5", "lot_size": "0.1"}
LISTED = [
    PERPETUAL | {"symbol": "BTC-PERP", "underlying": "BTC"},
    PERPETUAL | {"symbol": "ETH-PERP", "underlying": "ETH"},
    PERPETUAL
    | {"symbol": "BTC-INV", "underlying": "BTC", "settle": "BTC", "inverse": "true", "contract_size": "10"}
    | {"lot_size": "1"},
    PERPETUAL
    | {"symbol": "BTC-CALL", "underlying": "BTC", "type": "option", "option_type": "call", "strike": "60000"}
    | {"expiry": "2026-12-25T08:00:00Z"},
]
MARKS = UpdateMarks(
    instruments={"BTC-PERP": 120_000, "ETH-PERP": 6_000, "BTC-INV": 120_000},
    indices={"BTC": 60_000 * 10**8, "ETH": 3_000 * 10**8},
    vols={"BTC-CALL": 550_000},
)
NAMES = ("alice", "bob", "carol")


def house(rules="grid", cash=10_000_00, **fees):
    times = count(START, SECOND)
    made = House(open_journal("memory:"), lambda: next(times), risk=RuleBookView(load(rules), MARKET))
    made.submit(OpenHouse(currency="USD", assets={"USD": (2, "fx"), "BTC": (8, "crypto")}))
    for terms in LISTED:
        assert isinstance(made.submit(ListInstrument(terms=terms, **fees)), Applied)
    for name in (*NAMES, "maker"):
        made.submit(OpenAccount(account=name))
        amount = cash if name != "maker" else 10**12
        made.submit(Deposit(account=name, asset="USD", amount=amount, reference=name))
    assert isinstance(made.submit(MARKS), Applied)
    return made


def number(made, name):
    return made.state.parties.account_number[name]


def standing(made, name):
    return made.state.risk.standing(number(made, name))


def exact(made, name, rules="grid"):
    """What a view that has seen nothing before says, from nothing but the state."""
    view = RuleBookView(load(rules), MARKET)
    view._state = made.state
    return view._with_orders(Case(accounts=(number(made, name),)))


def order(made, name="alice", symbol="BTC-PERP", lots=1, ticks=120_000, **other):
    return made.submit(
        CheckOrder(account=name, order=f"{name} {made.last.sequence}", symbol=symbol, lots=lots, ticks=ticks, **other)
    )


def trade(made, *rows):
    return made.submit(
        ClearTrades(
            trades=[
                ClearedTrade(symbol=symbol, buyer=buyer, seller=seller, lots=lots, ticks=ticks)
                for symbol, buyer, seller, lots, ticks in rows
            ]
        )
    )


def to(price):
    return UpdateMarks(instruments={"BTC-PERP": 2 * price, "BTC-INV": 2 * price}, indices={"BTC": price * 10**8})


@pytest.mark.parametrize("rules", ["grid", "portfolio", "standard"])
def test_a_pool_stands_as_the_rule_book_says(rules):
    made = house(rules)
    trade(made, ("BTC-PERP", "alice", "maker", 3, 120_000), ("BTC-CALL", "maker", "alice", 2, 4_000))
    found = standing(made, "alice")
    assert found == exact(made, "alice", rules)
    # 10,000 and a premium of 400; the calls are owed, where what options are worth counts in equity.
    owed = 0.2 * _call(made) if load(rules).option_value == "equity" else 0.0
    assert found.margin_balance == pytest.approx(10_400 - owed, abs=1e-6)
    assert found.initial > found.maintenance > 0


def _call(made):
    prices = made.state.risk._priced()
    return float(prices.lot_value[3] * 10)


def test_an_order_is_accepted_up_to_what_initial_margin_allows():
    made = house()
    # The grid asks 1.25 x 16% of BTC: 10,000 carries 8.33 lots of 6,000.
    assert isinstance(order(made, lots=8), Applied)
    assert order(made, lots=1).reason is Reason.MARGIN_IS_INSUFFICIENT
    # The other side is free: not both can make it worse.
    assert isinstance(order(made, lots=-8), Applied)


def test_what_is_held_counts_until_the_order_is_over():
    made = house()
    order(made, lots=8)
    (name,) = made.state.orders.open
    assert order(made, lots=8).reason is Reason.MARGIN_IS_INSUFFICIENT
    made.submit(ReleaseOrder(account="alice", order=name))
    assert isinstance(order(made, lots=8), Applied)


def test_an_order_in_what_has_no_mark_adds_no_risk():
    made = house()
    made.submit(ListInstrument(terms=LISTED[0] | {"symbol": "NEW"}))
    assert order(made, symbol="NEW").reason is Reason.MARK_IS_MISSING
    assert trade(made, ("NEW", "alice", "bob", 1, 1)).reason is Reason.MARK_IS_MISSING


def test_what_lowers_the_requirement_always_passes():
    made = house()
    trade(made, ("BTC-PERP", "alice", "maker", 8, 120_000))
    made.submit(to(53_000))
    assert standing(made, "alice").status in (WARNING, LIQUIDATION)
    assert order(made, lots=1, ticks=106_000).reason is Reason.MARGIN_IS_INSUFFICIENT
    reply = order(made, lots=-8, ticks=50_000)
    assert isinstance(reply, Applied)
    assert reply.events[0].reserve == 0


def test_closing_one_leg_of_a_hedge_is_not_lowering_the_requirement():
    made = house()
    trade(made, ("BTC-PERP", "alice", "maker", 50, 120_000), ("BTC-CALL", "maker", "alice", 100, 4_000))
    before = made.state.positions.of(number(made, "alice"), 3)[0]
    if before:
        assert order(made, lots=-50, ticks=120_000).reason is Reason.MARGIN_IS_INSUFFICIENT


def test_a_trade_without_an_order_is_checked_as_one_and_counts_those_before_it_in_its_batch():
    made = house()
    row = ("BTC-PERP", "alice", "maker", 5, 120_000)
    reply = trade(made, row, row)
    assert [(place, reason) for place, reason, _ in reply.events[0].refused] == [(1, "margin_is_insufficient")]
    assert made.state.positions.of(number(made, "alice"), 0)[0] == 5


def test_a_trade_far_from_the_mark_costs_what_it_gives_away():
    made = house()
    assert trade(made, ("BTC-PERP", "alice", "bob", 1, 300_000)).reason is Reason.MARGIN_IS_INSUFFICIENT
    assert isinstance(trade(made, ("BTC-PERP", "alice", "bob", 1, 130_000)), Applied)


def test_breaches_are_recorded_with_the_marks_that_cause_them():
    made = house()
    trade(made, ("BTC-PERP", "alice", "maker", 8, 120_000))
    seen = []
    for price in (58_000, 57_999, 50_000, 47_000, 60_000):
        reply = made.submit(to(price))
        seen.append([(e.pool, e.status) for e in reply.events if isinstance(e, StandingChanged)])
    alice = number(made, "alice")
    assert seen[0] == [(alice, WARNING)]
    assert seen[1] == []
    assert seen[2] == [(alice, LIQUIDATION)]
    assert seen[3] == [(alice, BANKRUPT)]
    assert seen[4] == [(alice, HEALTHY)]
    assert made.state.standings.status == {}
    again = rebuilt(made._journal)
    assert again.hash() == made.state.hash()


def test_money_that_arrives_heals_a_pool_in_the_same_record():
    made = house()
    trade(made, ("BTC-PERP", "alice", "maker", 8, 120_000))
    made.submit(to(50_000))
    assert made.state.standings.of(number(made, "alice")) == LIQUIDATION
    reply = made.submit(Deposit(account="alice", asset="USD", amount=10**7, reference="more"))
    assert reply.events[-1] == StandingChanged(pool=number(made, "alice"), status=HEALTHY)


def test_unrealized_profit_does_not_leave():
    made = house()
    trade(made, ("BTC-PERP", "alice", "maker", 1, 120_000))
    made.submit(to(100_000))
    alice, view = number(made, "alice"), made.state.risk
    found = standing(made, "alice")
    # 4,000 of profit: it counts for margin, and not for what may leave.
    assert found.unrealized_gain == pytest.approx(4_000)
    free = int(100 * (found.margin_balance - 4_000 - found.initial))
    assert view.allows_withdrawal(made.state, alice, 0, free - 1, 0)
    assert not view.allows_withdrawal(made.state, alice, 0, free + 1, 0)


def test_collateral_in_coin_counts_after_its_haircut():
    made = house()
    made.submit(Deposit(account="alice", asset="BTC", amount=10**8, reference="coin"))
    found = standing(made, "alice")
    assert 10_000 < found.margin_balance < found.net_value == pytest.approx(70_000)


def test_a_house_opened_again_says_the_same():
    made = house()
    trade(made, ("BTC-PERP", "alice", "maker", 3, 120_000))
    order(made, lots=2)
    times = count(START + 10**6 * SECOND, SECOND)
    again = House(made._journal, lambda: next(times), risk=RuleBookView(load("grid"), MARKET))
    for name in NAMES:
        assert standing(again, name) == standing(made, name)


def test_what_is_held_for_an_order_does_not_depend_on_how_long_ago_its_pool_was_evaluated():
    made = house()
    # A hedge that the bound takes for two risks: it says that she is healthy, and nothing of room for the order.
    trade(made, ("BTC-PERP", "alice", "maker", 5, 120_000), ("BTC-CALL", "maker", "alice", 2, 10_000))
    alice = number(made, "alice")
    long_ago = made.state.risk.order_reserve(made.state, alice, 0, -3, 120_000)
    fresh = RuleBookView(load("grid"), MARKET)
    fresh.watch(made.state)
    assert fresh.order_reserve(made.state, alice, 0, -3, 120_000) == long_ago > 0


actions = st.lists(
    st.one_of(
        st.tuples(st.just("order"), st.sampled_from(NAMES), st.integers(0, 3), st.integers(-9, 9), st.integers(-3, 3)),
        st.tuples(st.just("trade"), st.sampled_from(NAMES), st.integers(0, 3), st.integers(1, 6), st.integers(-3, 3)),
        st.tuples(st.just("marks"), st.integers(50_000, 70_000)),
        st.tuples(st.just("cash"), st.sampled_from(NAMES), st.sampled_from(["USD", "BTC"])),
    ),
    max_size=14,
)


@pytest.mark.parametrize("rules", ["grid", "portfolio"])
@settings(max_examples=15, deadline=None)
@given(actions)
def test_an_accepted_order_is_covered_exactly_and_standings_are_those_of_a_view_that_starts_afresh(rules, steps):
    made = house(rules, maker_fee=-50, taker_fee=200)
    ticks = {0: 120_000, 1: 6_000, 2: 120_000, 3: 5_000}
    for k, step in enumerate(steps):
        match step:
            case ("order", name, instrument, lots, off):
                symbol = LISTED[instrument]["symbol"]
                reply = order(made, name, symbol, lots, ticks[instrument] + 100 * off)
                if isinstance(reply, Applied) and reply.events[0].reserve:
                    found = exact(made, name, rules)
                    assert found.initial <= found.margin_balance * (1 + 1e-9)
            case ("trade", name, instrument, lots, off):
                symbol = LISTED[instrument]["symbol"]
                trade(made, (symbol, name, "maker", lots, ticks[instrument] + 100 * off))
            case ("marks", price):
                made.submit(to(price))
            case ("cash", name, asset):
                made.submit(Deposit(account=name, asset=asset, amount=10**5, reference=f"{k}"))
        for name in NAMES:
            fresh = RuleBookView(load(rules), MARKET)
            fresh._state = made.state
            status = fresh.standing(number(made, name)).status
            assert made.state.standings.of(number(made, name)) == status == standing(made, name).status
    for name in NAMES:
        assert standing(made, name).margin_balance == pytest.approx(exact(made, name, rules).margin_balance, rel=1e-12)
    assert rebuilt(made._journal).hash() == made.state.hash()
