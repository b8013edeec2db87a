"""The scan: the grid of a rule book kept up trade by trade, and trades in columns decided as trades one by one are."""

from itertools import count

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.clearing import (
    Applied,
    CheckOrder,
    ClearColumns,
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
    Restrict,
    SetLimits,
    UpdateMarks,
    rebuilt,
)
from crossmargin.clearing.auditing import unconserved
from crossmargin.clearing.column_trades import TRADES_MAX
from crossmargin.clearing.risk import BANKRUPT, HEALTHY, LIQUIDATION
from crossmargin.clearing.rule_book import RuleBookView
from crossmargin.clearing.scan import ScanView
from crossmargin.clearing.scan_kernels import EQUITY, TOTAL
from crossmargin.clearing.scan_table import grid_table
from crossmargin.clearing.standings import StandingChanged
from crossmargin.errors import InvalidRules
from crossmargin.market import Market
from crossmargin.rules import load
from crossmargin.storage import open_journal

SECOND = 1_000_000_000
START = 1_795_000_000 * SECOND
MARKET = Market(time="2026-11-20T08:00:00Z")
PERPETUAL = {"type": "perpetual", "quote": "USD", "asset_class": "crypto", "tick_size": "0.5", "lot_size": "0.1"}
LISTED = [
    PERPETUAL | {"symbol": "BTC-A", "underlying": "BTC"},
    PERPETUAL | {"symbol": "BTC-B", "underlying": "BTC"},
    PERPETUAL | {"symbol": "ETH-A", "underlying": "ETH"},
    PERPETUAL
    | {"symbol": "BTC-INV", "underlying": "BTC", "settle": "BTC", "inverse": "true", "contract_size": "10"}
    | {"lot_size": "1"},
    PERPETUAL
    | {"symbol": "BTC-CALL", "underlying": "BTC", "type": "option", "option_type": "call", "strike": "60000"}
    | {"expiry": "2026-12-25T08:00:00Z"},
]
LINEAR = 3
NAMES = ("alice", "bob", "carol", "dora")


def marks(price=60_000):
    return UpdateMarks(
        instruments={"BTC-A": 2 * price, "BTC-B": 2 * price + 40, "ETH-A": 6_000, "BTC-INV": 2 * price},
        indices={"BTC": price * 10**8, "ETH": 3_000 * 10**8},
        vols={"BTC-CALL": 550_000},
    )


def view():
    return ScanView(grid_table(load("grid"), MARKET), initial=1.25)


def house(risk=None, cash=10_000_00, maker_fee=-50, taker_fee=200):
    times = count(START, SECOND)
    made = House(open_journal("memory:"), lambda: next(times), risk=risk if risk is not None else view())
    made.submit(OpenHouse(currency="USD", assets={"USD": (2, "fx"), "BTC": (8, "crypto")}))
    for terms in LISTED:
        assert isinstance(made.submit(ListInstrument(terms=terms, maker_fee=maker_fee, taker_fee=taker_fee)), Applied)
    for name in (*NAMES, "maker"):
        made.submit(OpenAccount(account=name))
        made.submit(Deposit(account=name, asset="USD", amount=cash if name != "maker" else 10**12, reference=name))
    assert isinstance(made.submit(marks()), Applied)
    return made


def number(made, name):
    return made.state.parties.account_number[name]


def columns(made, rows):
    """Trades (instrument, buyer, seller, lots, ticks, buyer took) as a command; names become numbers."""
    numbered = [(i, number(made, b), number(made, s), lots, ticks, took) for i, b, s, lots, ticks, took in rows]
    return ClearColumns(**dict(zip(
        ("instrument", "buyer", "seller", "lots", "ticks", "buyer_took"),
        (np.array(column, dtype="<i8").tobytes() for column in zip(*numbered, strict=True)),
        strict=True,
    )))  # fmt: skip


def trades(made, rows):
    symbols = [terms["symbol"] for terms in LISTED]
    return ClearTrades(
        trades=[
            ClearedTrade(symbol=symbols[i], buyer=b, seller=s, lots=lots, ticks=ticks, buyer_took=bool(took))
            for i, b, s, lots, ticks, took in rows
        ]
    )


def test_a_rule_book_without_a_grid_has_no_scan():
    with pytest.raises(InvalidRules, match="cells"):
        grid_table(load("portfolio"), MARKET)
    with pytest.raises(ValueError, match="1 or more"):
        ScanView(grid_table(load("grid"), MARKET), initial=0.9)


@settings(max_examples=20, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.integers(0, LINEAR - 1), st.integers(-5, 5).filter(bool)), max_size=8)
)
def test_linear_pools_must_have_what_the_rule_book_says(rows):
    made = house()
    for name, k, lots in rows:
        buyer, seller = (name, "maker") if lots > 0 else ("maker", name)
        made.submit(columns(made, [(k, buyer, seller, abs(lots), (120_000, 120_040, 6_000)[k], 1)]))
    exact = RuleBookView(load("grid"), MARKET)
    exact._state = made.state
    for name in NAMES:
        mine, theirs = made.state.risk.standing(number(made, name)), exact.standing(number(made, name))
        # Losses are rounded up to 1/256 cent a lot.
        assert mine.maintenance == pytest.approx(theirs.maintenance, abs=1e-2)
        assert mine.initial == pytest.approx(theirs.initial, abs=1e-2)
        assert mine.margin_balance == pytest.approx(theirs.margin_balance, abs=1e-2)
        assert mine.unrealized_gain == pytest.approx(theirs.unrealized_gain, abs=1e-2)
        assert mine.status == theirs.status


rows = st.lists(
    st.tuples(
        st.integers(0, 4), st.sampled_from((*NAMES, "maker")), st.sampled_from((*NAMES, "maker")), st.integers(-1, 12),
        st.integers(-3, 3), st.integers(0, 1),
    ),
    min_size=1, max_size=8,
)  # fmt: skip
TICKS = (120_000, 120_040, 6_000, 120_000, 5_000)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(rows, st.integers(52_000, 68_000), st.sampled_from(NAMES)), max_size=8),
    st.one_of(st.none(), st.integers(1, 20)),
)
def test_trades_in_columns_are_decided_as_one_by_one_and_what_is_kept_is_what_is_found_anew(steps, limit):
    by_kernel, by_hand = house(), house()
    for made in (by_kernel, by_hand):
        if limit is not None:
            made.submit(SetLimits(instrument="BTC-A", position=limit, order=5))
    for k, step in enumerate(steps):
        if isinstance(step, list):
            given_rows = [(i, b, s, n, TICKS[i] + 20 * off, took) for i, b, s, n, off, took in step]
            replies = [
                by_kernel.submit(columns(by_kernel, given_rows)), by_hand.submit(trades(by_hand, given_rows)),
            ]  # fmt: skip
            assert type(replies[0]) is type(replies[1])
            if isinstance(replies[0], Rejected):
                assert replies[0].reason == replies[1].reason
            else:
                first, second = (
                    next(e for e in reply.events if not isinstance(e, StandingChanged)) for reply in replies
                )
                assert [(place, why) for place, why, _ in first.refused] == [
                    (place, why) for place, why, _ in second.refused
                ]
        else:
            command = (
                marks(step)
                if isinstance(step, int)
                else Deposit(account=step, asset="BTC", amount=10**6, reference=f"{k}")
            )
            for made in (by_kernel, by_hand):
                assert isinstance(made.submit(command), Applied)
        assert by_kernel.state.hash() == by_hand.state.hash()
        assert unconserved(by_kernel.state) == "ok"
        _same_as_anew(by_kernel)
    assert rebuilt(by_kernel._journal).hash() == by_kernel.state.hash()


def _same_as_anew(made):
    anew = view()
    kept = made.state.risk
    kept._now()
    touched = made.state.touched.copy()
    anew.watch(made.state)
    made.state.touched |= touched
    accounts = len(made.state.parties.accounts)
    assert np.array_equal(kept._figures[8:accounts, [EQUITY, TOTAL]], anew._figures[8:accounts, [EQUITY, TOTAL]])
    for name in NAMES:
        measured = kept.standing(number(made, name))
        row = kept._figures[number(made, name)]
        assert measured.margin_balance == pytest.approx(row[EQUITY] / 100, abs=1e-9)
        assert measured.maintenance == pytest.approx(row[TOTAL] / 100, abs=1e-9)
        assert made.state.standings.of(number(made, name)) == measured.status


def test_columns_that_are_not_columns_are_rejected():
    made = house()
    good = columns(made, [(0, "alice", "maker", 1, 120_000, 1)])
    for change in (
        {"lots": b"1"},
        {"lots": bytes(16)},
        {"buyer_took": (2).to_bytes(8, "little")},
        dict.fromkeys(good.__struct_fields__, bytes(8 * (TRADES_MAX + 1))),
    ):
        fields = {name: getattr(good, name) for name in good.__struct_fields__} | change
        assert made.submit(ClearColumns(**fields)).reason is Reason.COLUMNS_ARE_MALFORMED
    assert made.submit(ClearColumns(**dict.fromkeys(good.__struct_fields__, b""))).reason is Reason.BATCH_IS_EMPTY


@pytest.mark.parametrize("risk", [view, lambda: RuleBookView(load("grid"), MARKET)], ids=["scan", "rule book"])
def test_every_reason_is_told_trade_by_trade(risk):
    made = house(risk())
    made.submit(ListInstrument(terms=LISTED[0] | {"symbol": "NEW"}))
    made.submit(SetLimits(instrument="BTC-B", position=10**12, order=3))
    fine = (0, number(made, "alice"), number(made, "maker"), 1, 120_000, 1)
    wrong = [
        ((99, *fine[1:]), Reason.UNKNOWN_INSTRUMENT),
        ((0, 99, *fine[2:]), Reason.UNKNOWN_ACCOUNT),
        ((0, 1, *fine[2:]), Reason.ACCOUNT_IS_THE_HOUSE),
        ((0, fine[2], *fine[2:]), Reason.TRADE_WITH_ITSELF),
        ((*fine[:3], 0, *fine[4:]), Reason.LOTS_ARE_IMPOSSIBLE),
        ((*fine[:4], 0, 1), Reason.PRICE_IS_IMPOSSIBLE),
        ((5, *fine[1:]), Reason.MARK_IS_MISSING),
        ((1, *fine[1:3], 4, *fine[4:]), Reason.ORDER_LIMIT_REACHED),
        ((*fine[:3], 50, *fine[4:]), Reason.MARGIN_IS_INSUFFICIENT),
    ]
    table = np.array([fine, *(row for row, _ in wrong)], dtype="<i8")
    names = ("instrument", "buyer", "seller", "lots", "ticks", "buyer_took")
    reply = made.submit(ClearColumns(**{name: table[:, k].tobytes() for k, name in enumerate(names)}))
    (event,) = reply.events
    assert [(place, why) for place, why, _ in event.refused] == [
        (k + 1, reason.value) for k, (_, reason) in enumerate(wrong)
    ]


def test_restrictions_hold_trades_in_columns_back():
    made = house()
    made.submit(Restrict(mode="reduce_only", reason="late with papers", account="alice"))
    row = (0, "alice", "maker", 1, 120_000, 1)
    assert made.submit(columns(made, [row])).reason is Reason.TRADING_IS_RESTRICTED
    assert isinstance(made.submit(columns(made, [(0, "bob", *row[2:])])), Applied)


def test_orders_are_held_for_until_they_are_over():
    made = house()
    for lots, says in ((8, Applied), (8, Rejected), (-8, Applied)):
        reply = made.submit(
            CheckOrder(account="alice", order=f"{made.last.sequence}", symbol="BTC-A", lots=lots, ticks=120_000)
        )
        assert isinstance(reply, says)
    row = (2, "alice", "maker", 20, 6_000, 1)
    assert made.submit(columns(made, [row])).reason is Reason.MARGIN_IS_INSUFFICIENT
    for name in list(made.state.orders.open):
        made.submit(ReleaseOrder(account="alice", order=name))
    assert isinstance(made.submit(columns(made, [row])), Applied)


def test_what_lowers_the_requirement_passes_and_what_does_not_have_a_mark_adds_nothing():
    made = house()
    made.submit(columns(made, [(0, "alice", "maker", 8, 120_000, 1)]))
    made.submit(marks(52_000))
    up = {"account": "alice", "symbol": "BTC-A", "ticks": 104_000}
    assert made.submit(CheckOrder(order="1", lots=1, **up)).reason is Reason.MARGIN_IS_INSUFFICIENT
    assert made.submit(CheckOrder(order="2", lots=-8, **up)).events[0].reserve == 0
    made.submit(ListInstrument(terms=LISTED[0] | {"symbol": "NEW"}))
    new = {"account": "bob", "symbol": "NEW", "ticks": 1, "order": "3"}
    assert made.submit(CheckOrder(lots=1, **new)).reason is Reason.MARK_IS_MISSING


def test_unrealized_profit_does_not_leave():
    made = house()
    made.submit(columns(made, [(0, "alice", "maker", 1, 120_000, 0)]))
    made.submit(marks(100_000))
    alice, risk = number(made, "alice"), made.state.risk
    found = risk.standing(alice)
    free = int(100 * (found.margin_balance - found.unrealized_gain - found.initial))
    assert found.unrealized_gain == pytest.approx(4_000)
    assert risk.allows_withdrawal(made.state, alice, 0, free - 1, 0)
    assert not risk.allows_withdrawal(made.state, alice, 0, free + 1, 0)
    assert not risk.allows_change(made.state, alice, [(0, 0, -free - 1)])
    assert risk.stands_alone(made.state, [alice])


def test_breaches_of_any_account_are_recorded_with_the_marks_that_cause_them():
    made = house()
    made.submit(columns(made, [(0, name, "maker", 8, 120_000, 1) for name in NAMES]))
    alike = [number(made, name) for name in NAMES]
    for price, status in ((50_000, LIQUIDATION), (45_000, BANKRUPT), (60_000, HEALTHY)):
        seen = [e for e in made.submit(marks(price)).events if isinstance(e, StandingChanged)]
        assert [(e.pool, e.status) for e in seen] == [(a, status) for a in alike]
