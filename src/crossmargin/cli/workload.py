"""A little of everything that the library computes: what `warm` runs to have every kernel compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossmargin.rules import Rules

_TIME = datetime(2026, 11, 20, 8, tzinfo=UTC)
_DAYS = 60


def steps() -> Iterator[tuple[str, Callable[[], object]]]:
    """Yield (what it does, how to do it): together they call every kernel as the verbs do."""
    yield "portfolio margin", lambda: _demo("portfolio")
    yield "grid margin", lambda: _demo("grid")
    yield "standard option margin", lambda: _demo("standard")
    yield "leverage brackets", _brackets
    yield "historical scenarios", _historical
    yield "implied vols", _vols


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


def _brackets() -> object:
    from crossmargin.rules import load

    return _short_perpetual(load("brackets"))


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
