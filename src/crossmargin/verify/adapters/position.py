"""One account with one position, margined as any book is."""

from __future__ import annotations

from crossmargin.book import Account, Balance, Book, Position
from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.instruments import Instrument
from crossmargin.margin import MarginModel
from crossmargin.market import Market
from crossmargin.rules import Rules
from crossmargin.standing import Standing, evaluate
from crossmargin.units import utc

TIME = utc("2026-01-01T08:00:00Z")
EXPIRY = utc("2026-01-31T08:00:00Z")
EXPIRY_DAY = EXPIRY.date()
"""A month apart; no adapter's answer depends on when."""


def one_account(
    model: MarginModel,
    instrument: Instrument,
    quantity: float,
    market: Market,
    *,
    entry_price: float | None = None,
    balance: float = 0.0,
) -> Standing:
    """Return the standing of an account of `quantity` contracts and a balance in the reporting currency."""
    account = Account(
        id="one",
        balances=[Balance(asset=market.currency, amount=balance)],
        positions=[Position(symbol=instrument.symbol, quantity=quantity, entry_price=entry_price)],
    )
    rules = Rules(
        name="case",
        version="2026-01-01",
        model_name="case",
        model=model,
        liquidation_buffer=0.0,
        haircuts=HaircutPolicy(by_class={"other": Tiers.flat(0.0)}),
    )
    return evaluate(Book.of([account], [instrument], currency=market.currency), market, rules)


def margins(standing: Standing) -> dict[str, float]:
    """Return the initial and maintenance margin of the one account."""
    return {
        "initial": float(standing.initial_margin[0]),
        "maintenance": float(standing.maintenance_margin[0]),
    }
