"""A book from a file, a folder or standard input: its sections are gathered, then checked together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path

import numpy as np

from crossmargin.book import Book
from crossmargin.errors import InputError, InvalidBook, InvalidFile, InvalidMarket
from crossmargin.files.document import MarketEntry
from crossmargin.files.holdings import (
    AccountRows,
    BalanceRows,
    PositionRows,
    book_of,
    holdings_of,
    locations_of,
    no_balances,
    no_positions,
    orders_of,
    pools_of,
)
from crossmargin.files.parts import Parts, gathered, replace_market
from crossmargin.files.snapshot import MarketSource, check_market, market_of
from crossmargin.files.terms import assets_of, checked_name, instruments_of, joined, read_symbol
from crossmargin.instruments import Catalogue, Instrument
from crossmargin.market import Market
from crossmargin.units import utc

DEFAULT_RULES: str = next(str(f.default) for f in fields(Book) if f.name == "rules")
DEFAULT_CURRENCY: str = next(str(f.default) for f in fields(Market) if f.name == "currency")


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """What was read: a book and its market, checked against each other."""

    book: Book
    market: Market
    rules: str
    """Name of a shipped rule book, or the path of a TOML file."""
    warnings: tuple[str, ...] = ()


def read_book(source: str | Path, *, market: str | Path | None = None) -> Loaded:
    """Return the book, market and rule book name of a JSON or TOML file, a folder, or "-" for standard input.

    `market` is a file or folder whose market replaces the book's and whose instruments are added. Raises an
    InputError with the place, what was found and what is allowed; nothing is ever half loaded.
    """
    parts = gathered(source)
    if market is not None:
        replace_market(parts, Path(market))
    prices = parts.market or MarketSource(entry=MarketEntry(), place=f"{parts.label}: market.", folder=parts.folder)
    time, currency = _time_and_currency(parts, prices)
    assets = assets_of(parts.entries("assets"))
    known = instruments_of(parts.entries("instruments"))
    if parts.added is not None:
        known = joined(known, instruments_of(parts.added), str(market))
    accounts, positions, balances = _holdings(parts)
    _resolve_symbols(parts, prices, positions, known)
    with _at(parts.label):
        catalogue = Catalogue.of(known.values(), assets.values(), {*balances.assets, currency})
    snapshot = market_of(prices, time=time, currency=currency)
    warnings = [*parts.warnings, *check_market(snapshot, catalogue, prices.place)]
    pools, pool_warnings = pools_of(parts.entries("pools"), accounts)
    rules = _rules(parts)
    locations = locations_of(parts.entries("locations"))
    orders = orders_of(parts.entries("orders"), accounts.ids)
    with _at(parts.label):
        book = book_of(
            accounts,
            positions,
            balances,
            catalogue,
            time=time,
            locations=locations,
            pools=pools,
            orders=orders,
            rules=rules,
            warnings=(*warnings, *pool_warnings),
        )
    return Loaded(book=book, market=snapshot, rules=rules, warnings=book.warnings)


@contextmanager
def _at(label: str) -> Iterator[None]:
    """Put the name of the book in front of what its facts refuse by themselves."""
    try:
        yield
    except InputError as error:
        raise error if error.where.startswith(label) else error.within(label) from None


def _time_and_currency(parts: Parts, prices: MarketSource) -> tuple[datetime, str]:
    stated = parts.stated.get("time")
    times = [stated] if stated else []
    if prices.entry.time is not None:
        times.append((prices.entry.time, f"{prices.place}time"))
    instants = [_instant(text, place) for text, place in times]
    if not instants:
        raise InvalidBook(
            f"{parts.label}: time", "nothing", "the time of the book, ISO 8601 in UTC such as 2026-11-20T08:00:00Z"
        )
    if instants[0] != instants[-1]:
        raise InvalidBook(times[-1][1], times[-1][0], f"{times[0][0]}, as {times[0][1]} states")
    mine = parts.stated.get("currency")
    currency = mine[0] if mine else prices.entry.currency or DEFAULT_CURRENCY
    checked_name(currency, mine[1] if mine else f"{prices.place}currency", error=InvalidBook)
    if prices.entry.currency not in (None, currency):
        raise InvalidMarket(
            f"{prices.place}currency", repr(prices.entry.currency), f"{currency}, the reporting currency of the book"
        )
    return instants[0], currency


def _instant(text: str, place: str) -> datetime:
    try:
        return utc(text)
    except ValueError as error:
        raise InvalidBook(place, str(error), "ISO 8601 in UTC such as 2026-11-20T08:00:00Z") from None


def _holdings(parts: Parts) -> tuple[AccountRows, PositionRows, BalanceRows]:
    tables = parts.tables
    if not tables:
        if "accounts" not in parts.sections:
            raise InvalidBook(f"{parts.label}: accounts", "nothing", "a list of accounts")
        return holdings_of(parts.entries("accounts"))
    from crossmargin.files.bulk import accounts_named_in, accounts_of, balances_of, positions_of

    positions, balances = no_positions(), no_balances()
    if "accounts" in parts.sections:
        accounts, positions, balances = holdings_of(parts.entries("accounts"))
    elif "accounts" in tables:
        accounts = accounts_of(tables["accounts"])
    else:
        accounts = accounts_named_in(tables.get("positions"), tables.get("balances"))
    for name, nested in (("positions", positions.account), ("balances", balances.account)):
        if name in tables and len(nested):
            raise InvalidBook(tables[name].label, f"{name} of the accounts are stated there too", "each section once")
    if "positions" in tables:
        positions = positions_of(tables["positions"], accounts)
    if "balances" in tables:
        balances = balances_of(tables["balances"], accounts)
    return accounts, positions, balances


def _resolve_symbols(parts: Parts, prices: MarketSource, positions: PositionRows, known: dict[str, Instrument]) -> None:
    """Add to `known` the instruments that positions, orders and marks name by symbols that say what they are."""
    listed: Mapping[str, Instrument] = dict(known)
    unknown = [k for k, symbol in enumerate(positions.symbols) if symbol not in known]
    if unknown:
        _, head = np.unique(positions.symbol, return_index=True)
        for k in sorted(unknown, key=lambda k: head[k]):
            symbol = positions.symbols[k]
            known[symbol] = read_symbol(symbol, positions.place(int(head[k]), "symbol"), listed)
    orders = parts.entries("orders")
    for row, order in orders:
        if order.symbol not in known:
            known[order.symbol] = read_symbol(order.symbol, orders.place(row, "symbol"), listed)
    for symbol in prices.entry.marks:
        if symbol not in known:
            known[symbol] = read_symbol(symbol, f"{prices.place}marks.{symbol}", listed)


def _rules(parts: Parts) -> str:
    """Return the name of a shipped rule book as it is; a path of one as seen from here."""
    stated, place = parts.stated.get("rules", (DEFAULT_RULES, ""))
    if not stated.endswith(".toml") and "/" not in stated and "\\" not in stated:
        return checked_name(stated, place, error=InvalidBook)
    path = parts.folder / stated
    if not path.is_file():
        raise InvalidFile(place, f"{stated!r}, which is no file", "a shipped rule book or the path of a TOML file")
    return str(path)
