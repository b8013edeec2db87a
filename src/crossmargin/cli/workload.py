"""A little of everything that the library computes: what `warm` runs to have every kernel compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from math import sin
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crossmargin.book import Book
    from crossmargin.market import Market
    from crossmargin.rules import Rules

_TIME = datetime(2026, 11, 20, 8, tzinfo=UTC)
_DAYS = 60
_KINDS = (
    ("perpetual", "future", "option"),
    ("future", "option"),
    ("perpetual", "option"),
    ("option",),
    ("perpetual",),
)
"""What small books hold, the most first."""


def steps() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield (what it does, how to do it): together they call every kernel as the verbs do."""
    from crossmargin.rules import shipped

    yield "portfolio margin", lambda: _demo("portfolio")
    for name in shipped():
        yield f"rule book {name}", partial(_small_books, name)
    yield "spreads between tiers", _tiers
    yield "historical scenarios", _historical
    yield "implied vols", _vols
    yield "books of many accounts", _live_books
    yield "clearing house", _house


def _demo(rules: str) -> object:
    from crossmargin.cli.books import DEMO, load, rules_of
    from crossmargin.standing import document, evaluate

    loaded = load(DEMO)
    return document(evaluate(loaded.book, loaded.market, rules_of(rules)))


def _vols() -> object:
    """Margin options whose marks are prices, where prices are positive and where they need not be."""
    from crossmargin.book import Account, Balance, Book, Position
    from crossmargin.instruments import Option
    from crossmargin.market import Mark, Market
    from crossmargin.rules import load
    from crossmargin.standing import document, evaluate

    options = [
        Option(
            symbol=f"{underlying}-{option_type}",
            underlying=underlying,
            quote="USD",
            option_type=option_type,
            strike=100,  # type: ignore[arg-type]  # made exact at birth
            expiry=_TIME + timedelta(days=30),
            price_domain=domain,
        )
        for underlying, domain in (("POSITIVE", "positive"), ("ANY", "any"))
        for option_type in ("call", "put")
    ]
    positions = [Position(symbol=option.symbol, quantity=-1) for option in options]
    book = Book.of([Account(id="warm", balances=[Balance(asset="USD", amount=1_000)], positions=positions)], options)
    day = options[0].expiry.date()
    market = Market(
        time=_TIME,
        prices={"POSITIVE": 100.0, "ANY": 100.0},
        forwards={"POSITIVE": {day: 100.0}, "ANY": {day: 100.0}},
        marks={option.symbol: Mark(price=3.0) for option in options},
    )
    return document(evaluate(book, market, load("grid")))


def _tiers() -> object:
    import numpy as np

    from crossmargin.margin.delta_spreads import TierSpread, tier_spreads

    spread = TierSpread(tiers=(1, 2), charge=1.0)
    return tier_spreads(np.array([2.0, 0.0]), np.array([0.0, 1.0]), [spread])


def _small_books(name: str) -> object:
    """Margin the most that a rule book can express: options, dated futures and an order, then less of them."""
    from crossmargin.errors import InputError
    from crossmargin.rules import load
    from crossmargin.standing import document, evaluate

    rules = load(name)
    for kinds in (
        ("perpetual", "future", "option"),
        ("future", "option"),
        ("perpetual", "option"),
        ("option",),
        ("perpetual",),
    ):
        book, market = _small_book(kinds)
        try:
            return document(evaluate(book, market, rules))
        except InputError:
            continue
    raise AssertionError(f"no small book that {name} can express")


def _small_book(kinds: tuple[str, ...]) -> tuple[Book, Market]:
    """Return a book of one account, long and short in everything of those kinds, with the coin itself and an order."""
    from crossmargin.book import Account, Balance, Book, Order, Position
    from crossmargin.instruments import Future, Instrument, Option, Perpetual
    from crossmargin.market import History, Mark, Market

    near, far = _TIME + timedelta(days=20), _TIME + timedelta(days=110)
    terms: dict[str, Any] = {"underlying": "BTC", "quote": "USD", "asset_class": "crypto"}
    known: dict[str, list[Instrument]] = {
        "perpetual": [Perpetual(symbol="PERP", **terms)],
        "future": [Future(symbol="NEAR", expiry=near, **terms), Future(symbol="FAR", expiry=far, **terms)],
        "option": [
            Option(symbol=f"{word}{strike}", option_type=word, strike=Decimal(strike), expiry=near, **terms)
            for word in ("call", "put")
            for strike in (90, 100, 110)
        ],
    }
    held = [contract for kind in kinds for contract in known[kind]]
    positions = [Position(symbol=one.symbol, quantity=3.0 * (-1) ** k) for k, one in enumerate(held)]
    account = Account(
        id="warm",
        balances=[Balance(asset="USD", amount=500.0), Balance(asset="BTC", amount=2.0)],
        positions=positions,
    )
    book = Book.of([account], held, orders=[Order(account="warm", symbol=held[0].symbol, quantity=1.0, limit=100.0)])
    today = _TIME.date()
    closes = {today - timedelta(days=400 - k): 100.0 * (1.0 + 0.02 * sin(1.7 * k)) for k in range(400)}
    market = Market(
        time=_TIME,
        prices={"BTC": 100.0},
        marks={one.symbol: Mark(iv=0.6) for one in held if isinstance(one, Option)},
        forwards={"BTC": {near.date(): 100.0, far.date(): 101.0}},
        history=History.of({"BTC": closes}),
    )
    return book, market


def _historical() -> object:
    from crossmargin.instruments import ASSET_CLASSES
    from crossmargin.margin.historical import Historical
    from crossmargin.rules import load

    model = Historical(
        measure="es",
        confidence=0.9,
        lookback_days=_DAYS // 2,
        horizon_days=dict.fromkeys(ASSET_CLASSES, 1),
        filtered=False,
        decay=0.9,
        initial_factor=1.25,
        minimum_days=_DAYS // 3,
    )
    return _short_perpetual(replace(load("grid"), name="warm", model_name="historical", model=model))


def _short_perpetual(rules: Rules) -> object:
    """Margin one short perpetual, with a history that waves up and down."""
    from crossmargin.book import Account, Balance, Book, Position
    from crossmargin.instruments import Perpetual
    from crossmargin.market import History, Market
    from crossmargin.standing import document, evaluate

    perpetual = Perpetual(symbol="PERP", underlying="COIN", quote="USD", asset_class="crypto")
    balances, positions = [Balance(asset="USD", amount=100)], [Position(symbol="PERP", quantity=-1)]
    book = Book.of([Account(id="warm", balances=balances, positions=positions)], [perpetual])
    today = _TIME.date()
    closes = {today - timedelta(days=_DAYS - k): 100.0 * (1.0 + 0.02 * sin(1.7 * k)) for k in range(_DAYS)}
    market = Market(time=_TIME, prices={"COIN": 100.0}, history=History.of({"COIN": closes}))
    return document(evaluate(book, market, rules))


def _live_books() -> None:
    """Ask a small book everything, for each width of a block of scenarios that there is a kernel for."""
    import numpy as np

    from crossmargin.revaluation import LiveBook

    for scenarios in (8, 16, 32, 64):
        book = LiveBook([0, 1, 3], [0, 0, 1], [1.0, -1.0, 2.0], [0, 0])
        risk = np.ones((2, scenarios))
        book.set_risk(risk)
        book.tick(0, risk)
        book.apply([0], [1], [1.0])
        book.worst_losses(risk)
        book.expected_shortfall(risk, 2.5)
        book.positions()
        # So many accounts that the layout is written anew.
        book.add_accounts(np.ones(200))
        book.apply(np.arange(202), np.zeros(202, np.int64), np.ones(202))


def _house() -> None:
    """Clear trades one by one and in columns, move the marks, and open the house again from a snapshot."""
    from itertools import count

    import numpy as np

    from crossmargin import clearing
    from crossmargin.market import Market
    from crossmargin.rules import load
    from crossmargin.storage import open_journal

    terms = {"type": "perpetual", "underlying": "BTC", "quote": "USD", "tick_size": "0.5", "lot_size": "0.1"}
    inverse = {"settle": "BTC", "inverse": "true", "contract_size": "10", "lot_size": "1"}
    journal, times = open_journal("memory:"), count(1)

    def opened() -> clearing.House:
        view = clearing.ScanView(clearing.grid_table(load("grid"), Market(time=_TIME)))
        return clearing.House(journal, lambda: next(times), risk=view)

    house = opened()
    house.submit(clearing.OpenHouse(currency="USD", assets={"USD": (2, "fx"), "BTC": (8, "crypto")}))
    house.submit(clearing.ListInstrument(terms=terms | {"symbol": "LINEAR"}))
    house.submit(clearing.ListInstrument(terms=terms | inverse | {"symbol": "INVERSE"}))
    for name in ("buyer", "seller"):
        house.submit(clearing.OpenAccount(account=name))
        house.submit(clearing.Deposit(account=name, asset="USD", amount=10**9, reference=name))
    for price in (100, 101):
        marks = dict.fromkeys(("LINEAR", "INVERSE"), 2 * price)
        house.submit(clearing.UpdateMarks(instruments=marks, indices={"BTC": price * 10**8}))
        house.submit(
            clearing.ClearTrades(
                trades=[
                    clearing.ClearedTrade(symbol=k, buyer="buyer", seller="seller", lots=7, ticks=201) for k in marks
                ]
            )
        )
        number = house.state.parties.account_number
        columns = ((0, 1), (number["buyer"],) * 2, (number["seller"],) * 2, (3, 3), (2 * price,) * 2, (1, 0))
        names = ("instrument", "buyer", "seller", "lots", "ticks", "buyer_took")
        data = (np.array(column, dtype="<i8").tobytes() for column in columns)
        house.submit(clearing.ClearColumns(**dict(zip(names, data, strict=True))))
    # Single positions, as rare commands book them.
    clearing.State().positions.add(1, 1, 1, 1)
    house.snapshot()
    again = opened()
    assert again.state.hash() == house.state.hash()
