"""The simulated day: the same for the same seed and answers, whole lots that add up, prices that move together."""

import numpy as np
import pytest

from crossmargin.clearing import Closed, Trade
from crossmargin.errors import InputError
from crossmargin.instruments import Option
from crossmargin.venues.simulated import (
    ACCOUNTS_MIN,
    UNDERLYINGS,
    Kind,
    TradingDay,
    listings,
    population,
    price_paths,
)


def gone_through(seed, accounts=60, steps=48, *, refused=lambda order: False):
    """Go through a day; return it with everything that was reported."""
    day = TradingDay(seed=seed, accounts=accounts, steps=steps)
    told = []
    for step in range(1, steps + 1):
        day.begin(step)
        told.extend(day.payments())
        for symbol, order in day.overdue():
            day.take_back(symbol, order)
        stale, fresh = day.requotes()
        for symbol, order in stale:
            day.take_back(symbol, order)
        for placed in [*fresh, *day.orders()]:
            if refused(placed.order):
                day.refuse(placed.order.account)
            else:
                day.place(placed)
        told.extend(day.reports())
    return day, told


def test_the_same_seed_and_the_same_answers_are_the_same_day():
    assert gone_through(5)[1] == gone_through(5)[1]
    assert gone_through(5)[1] != gone_through(6)[1]


def test_a_refused_order_trades_nowhere_and_brings_money():
    _, told = gone_through(5, refused=lambda order: order.account.startswith("follower"))
    traded = {name for report in told if isinstance(report, Trade) for name in (report.buyer, report.seller)}
    assert traded
    assert not any(name.startswith("follower") for name in traded)
    brought = [report for report in told if hasattr(report, "asset") and report.amount > 0]
    assert brought
    assert all(payment.account.startswith("follower") for payment in brought)


def test_lots_add_up_to_nothing_and_every_book_traded():
    day, told = gone_through(3, accounts=150, steps=96)
    held = {}
    for report in told:
        if isinstance(report, Trade):
            held[report.symbol, report.buyer] = held.get((report.symbol, report.buyer), 0) + report.lots
            held[report.symbol, report.seller] = held.get((report.symbol, report.seller), 0) - report.lots
    assert {symbol for symbol, _ in held} == {listed.symbol for listed in listings()}
    for symbol, book in day.venue.books.items():
        assert sum(book.held.values()) == 0
        assert {name: lots for (of, name), lots in held.items() if of == symbol and lots} == {
            name: lots for name, lots in book.held.items() if lots
        }


def test_what_ends_today_stops_trading_then_and_its_orders_are_closed():
    day, told = gone_through(4)
    ended = {listed.symbol for listed in listings() if listed.expiry and listed.seconds_left(day.time) <= 0}
    assert {listed.symbol for listed in listings()} - ended == set(day.venue.books)
    assert {"BTC-20NOV26", "POWER-20NOV26", "BTC-20NOV26-64000-C"} <= ended
    assert ended.isdisjoint(day.venue.books)
    closed = {report.symbol for report in told if isinstance(report, Closed) and report.why == "delisted"}
    assert closed
    assert closed <= ended


def test_trades_push_marks_and_marks_stay_above_zero_where_prices_do():
    day = TradingDay(seed=2, accounts=60, steps=48)
    day.begin(1)
    fair = day.marks()["BTC-PERP"]
    for placed in day.requotes()[1]:
        day.place(placed)
    day.venue.submit("BTC-PERP", day.venue.order("large", "punter", 60))
    day.reports()
    assert day.pushed("BTC-PERP") > 1
    assert day.marks()["BTC-PERP"] > fair
    assert all(ticks >= 0 for symbol, ticks in day.marks().items() if not symbol.startswith("POWER"))


def test_prices_start_where_they_are_said_to_and_move_together_as_said():
    paths = price_paths(UNDERLYINGS, 20_000, 1)
    assert paths[0].tolist() == [of.start for of in UNDERLYINGS]
    names = [of.symbol for of in UNDERLYINGS]
    moves = np.diff(np.log(paths[:, :3]), axis=0)
    together = np.corrcoef(moves.T)
    assert 0.2 < together[names.index("BTC"), names.index("ETH")] < 0.9
    assert together[names.index("BTC"), names.index("ETH")] > together[names.index("BTC"), names.index("SPX")]


@pytest.mark.parametrize("seed", range(20))
def test_positive_prices_stay_positive_without_a_crash_and_power_goes_below_zero(seed):
    paths = price_paths(UNDERLYINGS, 288, seed)
    signed = np.array([of.signed for of in UNDERLYINGS])
    start = paths[0]
    assert (paths[:, ~signed] > 0.75 * start[~signed]).all()
    assert (paths[:, ~signed] < 1.35 * start[~signed]).all()
    assert paths[:, signed].min() < 0


def test_a_population_has_every_kind_and_owners_of_several_accounts():
    traders = population(200, 1)
    assert len({trader.account for trader in traders}) == 200
    assert {trader.kind for trader in traders} == set(Kind)
    assert len({trader.owner for trader in traders}) < 200
    assert population(200, 1) == traders
    assert population(200, 2) != traders


def test_options_are_worth_what_they_pay_at_their_expiry():
    indices = {of.symbol: of.start for of in UNDERLYINGS}
    indices["BTC"] = 65_500.0
    for listed in listings():
        if isinstance(listed.instrument, Option) and listed.seconds_left(0.0) < 86_400:
            sign = 1 if listed.instrument.option_type == "call" else -1
            pays = max(0.0, sign * (65_500.0 - float(listed.instrument.strike)))
            assert listed.fair(indices, listed.seconds_left(0.0)) * listed.tick == pytest.approx(pays)


@pytest.mark.parametrize(
    ("terms", "told"),
    [
        ({"seed": -1}, "seed: found -1; allowed: 0 or more"),
        ({"accounts": 3}, f"accounts: found 3; allowed: {ACCOUNTS_MIN} or more"),
        ({"steps": 5}, "steps: found 5; allowed: 48 or more that divide 86400 seconds"),
        ({"steps": 49}, "steps: found 49; allowed: 48 or more that divide 86400 seconds"),
    ],
    ids=lambda terms: next(iter(terms)) if isinstance(terms, dict) else "",
)
def test_a_day_that_cannot_be_is_refused(terms, told):
    with pytest.raises(InputError, match=told):
        TradingDay(**{"seed": 1, "accounts": 60, "steps": 48, **terms})
