"""Positions as ccxt returns them: the JSON of fetch_positions, any venue."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from crossmargin.book import Position
from crossmargin.errors import InputError, InvalidFile
from crossmargin.instruments import Instrument, Option, Spot, parse_symbol
from crossmargin.market import Mark, Market
from crossmargin.venues.account import Told, leverage_reason
from crossmargin.venues.document import read_json
from crossmargin.venues.fields import Fields, kind_of
from crossmargin.venues.imported import Imported
from crossmargin.venues.stated import Stated

_SIDES = {"long": 1, "short": -1}
_MODES = ("cross", "isolated")

_WALLET_FIELD = {
    "binance": "isolatedWallet",
    "binancecoinm": "isolatedWallet",
    "binanceusdm": "isolatedWallet",
    "okx": "margin",
}
"""Field of the venue's own answer with the collateral of an isolated position before its unrealized P&L."""


def import_ccxt_positions(path: Path | str, venue: str) -> Imported:
    """Return the positions of a fetch_positions dump and their instruments.

    The file is a JSON list of position structures: symbol, side, contracts, contractSize, entryPrice, markPrice,
    marginMode, collateral, unrealizedPnl, initialMargin, timestamp, info. `venue` is the ccxt exchange id, because
    one symbol means different contracts on two venues. Amounts are read as decimal text and become floats once.

    A missing contractSize is the venue's where it is known, else refused. Deribit states sizes in USD (inverse) or
    coins, so there `info.size` is the quantity and a contract is one unit. The ring-fenced collateral of an isolated
    position is taken before unrealized P&L: the venue's own figure where it states one, else `collateral` -
    `unrealizedPnl` (ccxt: collateral moves with P&L), else `initialMargin`. Rows of no contracts are left out and
    counted. Mark prices make a market where the dump states a time; it has no index prices. Margins of positions that
    the venue states are kept beside (`stated`), without an account's name. Raises InvalidFile.
    """
    path = Path(path)
    rows = [Fields(f"{path.name}[{k}]", fields) for k, fields in enumerate(_objects(path))]
    positions: list[Position] = []
    instruments: dict[str, Instrument] = {}
    marks: dict[str, tuple[int, float]] = {}
    times: list[int] = []
    notes: dict[str, list[str]] = {}
    closed = 0
    told = Told(venue=venue)
    for row in rows:
        quantity, stated_size = _quantity(row, venue)
        if quantity == 0:
            closed += 1
            continue
        instrument = _instrument(row, venue, stated_size, notes)
        known = instruments.setdefault(instrument.symbol, instrument)
        if known != instrument:
            raise row.refuse(
                "contractSize", f"{instrument.contract_size}, after {known.contract_size}", "one size a symbol"
            )
        positions.append(_position(row, instrument, quantity, venue, notes))
        chosen = leverage_reason(row.number("leverage"))
        for field, what, reasons in (
            ("initialMargin", "initial_margin", chosen),
            ("maintenanceMargin", "maintenance_margin", ()),
        ):
            told.state(row, field, what, instrument.settle, symbol=instrument.symbol, reasons=reasons)
        stamp = row.number("timestamp")
        if stamp is not None:
            times.append(_stamp(row, stamp))
        mark = row.number("markPrice")
        if mark is not None and mark < 0:
            raise row.refuse("markPrice", str(mark), "a price, 0 or more")
        if mark:
            marks[instrument.symbol] = max(marks.get(instrument.symbol, (-1, 0.0)), (int(stamp or 0), float(mark)))
    market = None
    if marks and times:
        market = Market(
            time=datetime.fromtimestamp(max(times) / 1000, UTC),
            marks={symbol: Mark(price=price) for symbol, (_, price) in sorted(marks.items())},
        )
    report = [f"{len(positions)} positions in {len(instruments)} instruments of {venue}."]
    if closed:
        report.append(f"{closed} rows of no contracts left out.")
    report += [f"{note}: {', '.join(symbols)}." for note, symbols in notes.items()]
    if instruments:
        needed = ", ".join(sorted({instrument.underlying for instrument in instruments.values()}))
        report.append(f"Such a dump has no index prices and no balances: state prices for {needed} before margining.")
    if market is None and marks:
        report.append("No row has a timestamp, so the mark prices make no market.")
    return Imported(
        instruments=tuple(instruments[symbol] for symbol in sorted(instruments)),
        market=market,
        positions=tuple(positions),
        stated=Stated(
            venue=venue,
            time=None if market is None else market.time,
            figures=told.merged({"": ""}, {}),
            lacking=tuple(told.lacking),
        ),
        report=tuple(report),
    )


def _objects(path: Path) -> list[dict[str, Any]]:
    document = read_json(path, "a JSON list of positions")
    if not isinstance(document, list):
        raise InvalidFile(str(path), kind_of(document), "a JSON list of positions, as ccxt fetch_positions returns")
    for k, fields in enumerate(document):
        if not isinstance(fields, dict):
            raise InvalidFile(f"{path.name}[{k}]", kind_of(fields), "a position object")
    return document


def _raw(row: Fields) -> Fields:
    """Return the venue's own answer inside a position, as far as there is one."""
    info = row.values.get("info")
    return Fields(f"{row.place}.info", info if isinstance(info, dict) else {})


def _quantity(row: Fields, venue: str) -> tuple[Decimal, Decimal | None]:
    """Return signed contracts and the size of one, None where the dump does not state it."""
    field, size = "contracts", row.number("contractSize")
    contracts = row.number("contracts")
    if venue == "deribit" and (stated := _raw(row).number("size")) is not None:
        # ccxt leaves `contracts` empty there, and its contractSize is the step of an order, not the unit of size.
        field, contracts, size = "info.size", abs(stated), Decimal(1)
    if contracts is None:
        raise row.refuse(field, "nothing", "a number of contracts")
    side = row.values.get("side")
    if contracts == 0:
        return contracts, size
    if side not in _SIDES:
        raise row.refuse("side", repr(side), " or ".join(_SIDES))
    if contracts < 0 and side == "long":
        raise row.refuse(field, f"{contracts}, of a long position", "a number above 0")
    if size is not None and size <= 0:
        raise row.refuse("contractSize", str(size), "a number above 0")
    return abs(contracts) * _SIDES[side], size


def _instrument(row: Fields, venue: str, size: Decimal | None, notes: dict[str, list[str]]) -> Instrument:
    symbol = row.values.get("symbol")
    if not isinstance(symbol, str):
        raise row.refuse("symbol", "nothing" if symbol is None else kind_of(symbol), "a ccxt unified symbol")
    try:
        instrument = parse_symbol(symbol, venue, contract_size=size)
    except InputError as error:
        raise InvalidFile(f"{row.place}: {error.where}", error.found, error.allowed, error.hint) from None
    if instrument is None:
        if parse_symbol(symbol) is None:
            raise row.refuse("symbol", repr(symbol), "a ccxt unified symbol, such as BTC/USDT:USDT")
        if size is None:
            raise row.refuse(
                "contractSize", "nothing", f"the size of {symbol} on {venue}: it is not known here and differs by venue"
            )
        raise row.refuse("symbol", symbol, f"a contract without expiry: the hour of {venue} is not known here")
    if isinstance(instrument, Spot):
        raise row.refuse("symbol", symbol, "a derivative: spot holdings are balances")
    if size is None:
        note = f"Contract size not stated, taken as {venue} has it ({instrument.contract_size})"
        _note(notes, note, symbol)
    return instrument


def _position(
    row: Fields, instrument: Instrument, quantity: Decimal, venue: str, notes: dict[str, list[str]]
) -> Position:
    entry = row.number("entryPrice")
    least = 0 if isinstance(instrument, Option) else None
    if entry is not None and (entry < 0 or (entry == 0 and least is None)):
        raise row.refuse("entryPrice", str(entry), "a price above 0, or null")
    if entry is None:
        _note(notes, "No entry price: profit up to now counts as settled", instrument.symbol)
    mode = row.values.get("marginMode")
    if mode is not None and mode not in _MODES:
        raise row.refuse("marginMode", repr(mode), " or ".join(_MODES))
    if mode is None:
        _note(notes, "No margin mode: the account's applies", instrument.symbol)
    return Position(
        symbol=instrument.symbol,
        quantity=float(quantity),
        entry_price=None if entry is None else float(entry),
        margin_mode=mode,
        isolated_collateral=float(_collateral(row, venue, notes)) if mode == "isolated" else None,
    )


def _collateral(row: Fields, venue: str, notes: dict[str, list[str]]) -> Decimal:
    """Return what is ring-fenced for an isolated position, before its unrealized P&L."""
    symbol = row.values["symbol"]
    own = _raw(row).number(_WALLET_FIELD[venue]) if venue in _WALLET_FIELD else None
    with_profit, profit = row.number("collateral"), row.number("unrealizedPnl")
    if own is not None:
        field, collateral = f"info.{_WALLET_FIELD[venue]}", own
    elif with_profit is not None and profit is not None:
        field, collateral = "collateral", with_profit - profit
        _note(notes, "Isolated collateral taken as collateral - unrealizedPnl", symbol)
    else:
        initial = row.number("initialMargin")
        if initial is None:
            raise row.refuse(
                "collateral", "nothing", "the collateral of an isolated position, with unrealizedPnl, or initialMargin"
            )
        field, collateral = "initialMargin", initial
        _note(notes, "Isolated collateral taken as the initial margin", symbol)
    if collateral < 0:
        raise row.refuse(field, f"{collateral} before unrealized P&L", "0 or more")
    return collateral


def _stamp(row: Fields, stamp: Decimal) -> int:
    # Up to the year 9999: what a date can be.
    if stamp != int(stamp) or not 0 < stamp < 253_402_300_800_000:
        raise row.refuse("timestamp", str(stamp), "milliseconds since 1970")
    return int(stamp)


def _note(notes: dict[str, list[str]], text: str, symbol: str) -> None:
    symbols = notes.setdefault(text, [])
    if symbol not in symbols:
        symbols.append(symbol)
