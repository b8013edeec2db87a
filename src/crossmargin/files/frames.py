"""A book from frames: polars, pandas, pyarrow, a DuckDB relation, whatever narwhals knows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crossmargin.book import Book, Location, Order, Pool
from crossmargin.errors import InvalidBook
from crossmargin.files.document import InstrumentEntry
from crossmargin.files.holdings import book_of, no_balances, no_positions
from crossmargin.files.reading import DEFAULT_CURRENCY, DEFAULT_RULES
from crossmargin.files.terms import instruments_of, read_symbol
from crossmargin.instruments import Asset, Catalogue, Instrument
from crossmargin.units import utc

if TYPE_CHECKING:
    from crossmargin.files.tables import Table


def book_from_frames(
    *,
    positions: Any = None,
    accounts: Any = None,
    balances: Any = None,
    instruments: Any = (),
    assets: Iterable[Asset] = (),
    locations: Iterable[Location] = (),
    pools: Iterable[Pool] = (),
    orders: Iterable[Order] = (),
    time: datetime | str | None = None,
    currency: str = DEFAULT_CURRENCY,
    rules: str = DEFAULT_RULES,
) -> Book:
    """Return the book of frames with the columns of accounts.csv, positions.csv and balances.csv.

    `instruments` are Instruments, or a frame with the columns of instruments.csv; a symbol not among them is read
    as a ccxt unified, Deribit or OSI name. Without `accounts` the accounts are those that the other frames name.
    With `time` positions in expired instruments are refused. Null says nothing is stated, and NaN in pandas; NaN
    elsewhere is refused. Raises an InputError naming frame, row (from 0) and column.
    """
    from crossmargin.files.bulk import (
        ACCOUNT_COLUMNS,
        BALANCE_COLUMNS,
        POSITION_COLUMNS,
        accounts_named_in,
        accounts_of,
        balances_of,
        positions_of,
    )

    position_table = _table(positions, "positions", POSITION_COLUMNS, ("account", "symbol", "quantity"))
    balance_table = _table(balances, "balances", BALANCE_COLUMNS, ("account", "asset", "amount"))
    account_table = _table(accounts, "accounts", ACCOUNT_COLUMNS, ("id",))
    known = _instruments(instruments)
    listed = dict(known)
    account_rows = accounts_of(account_table) if account_table else accounts_named_in(position_table, balance_table)
    position_rows = positions_of(position_table, account_rows) if position_table else no_positions()
    balance_rows = balances_of(balance_table, account_rows) if balance_table else no_balances()
    for k, symbol in enumerate(position_rows.symbols):
        if symbol not in known:
            row = int((position_rows.symbol == k).argmax())
            known[symbol] = read_symbol(symbol, position_rows.place(row, "symbol"), listed)
    for order in orders:
        if order.symbol not in known:
            known[order.symbol] = read_symbol(order.symbol, f"orders, symbol of {order.account}", listed)
    try:
        instant = None if time is None else utc(time)
    except ValueError as error:
        raise InvalidBook("time", str(error), "ISO 8601 in UTC such as 2026-11-20T08:00:00Z") from None
    return book_of(
        account_rows,
        position_rows,
        balance_rows,
        Catalogue.of(known.values(), assets, {*balance_rows.assets, currency}),
        time=instant,
        locations=tuple(locations),
        pools=tuple(pools),
        orders=tuple(orders),
        rules=rules,
    )


def _table(frame: Any, label: str, known: tuple[str, ...], required: tuple[str, ...]) -> Table | None:
    from crossmargin.files.tables import table_of

    return None if frame is None else table_of(frame, label, known, required=required)


def _instruments(given: Any) -> dict[str, Instrument]:
    from crossmargin.files.tables import table_of

    if isinstance(given, list | tuple | Catalogue):
        return {instrument.symbol: instrument for instrument in given}
    known = InstrumentEntry.__struct_encode_fields__
    return instruments_of(table_of(given, "instruments", known, required=("symbol",)).entries(InstrumentEntry))
