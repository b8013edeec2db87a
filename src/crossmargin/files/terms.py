"""Instruments and assets from their entries."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import fields, replace
from datetime import date
from decimal import Decimal
from math import inf

from crossmargin.errors import InputError, InvalidInstrument, InvalidMarket, UnknownSymbol, nearest
from crossmargin.files.document import AssetEntry, InstrumentEntry
from crossmargin.files.entries import Entries
from crossmargin.files.numbers import decimal, found, number
from crossmargin.instruments import Asset, Instrument, instrument_of, parse_symbol
from crossmargin.units import NAME_LENGTH_MAX, iso_date

_NUMBERS = ("contract_size", "strike", "tick_size", "lot_size")
_NAMED_BY_SYMBOL = ("underlying", "quote", "settle", "inverse", "option_type", "strike", "expiry")
"""What a symbol says by itself: terms beside it may repeat these, not change them."""


def checked_name(name: str, place: str, *, error: type[InputError] = InvalidInstrument) -> str:
    """Return a symbol or id; raise `error` for one that is empty, too long or not printable."""
    if not 0 < len(name) <= NAME_LENGTH_MAX:
        raise error(place, f"a name of {len(name)} characters", f"1 to {NAME_LENGTH_MAX} characters")
    if not name.isprintable():
        raise error(place, f"the text {ascii(name)[:80]}", "printable characters")
    return name


def checked_day(text: object, place: str) -> date:
    """Return a date written as YYYY-MM-DD; raise InvalidMarket for any other way to write one."""
    try:
        day = iso_date(text) if isinstance(text, str) else None
    except ValueError:
        day = None
    if day is None or day.isoformat() != text:
        raise InvalidMarket(place, found(text), "a UTC date as YYYY-MM-DD")
    return day


def instruments_of(entries: Entries[InstrumentEntry]) -> dict[str, Instrument]:
    """Return the instruments by symbol; those given by their symbol alone are read from it."""
    known: dict[str, Instrument] = {}
    rows: dict[str, int] = {}
    for row, entry in entries:
        instrument = _instrument(entry, lambda field, row=row: entries.place(row, field))  # type: ignore[misc]
        if instrument.symbol in known:
            raise InvalidInstrument(
                entries.place(row, "symbol"),
                f"{instrument.symbol} a second time",
                f"each symbol once; the first is {entries.place(rows[instrument.symbol], '')}",
            )
        known[instrument.symbol] = instrument
        rows[instrument.symbol] = row
    return known


def joined(book: dict[str, Instrument], more: dict[str, Instrument], label: str) -> dict[str, Instrument]:
    """Return the instruments of a book and those that a market file adds; one in both must be the same in both."""
    for symbol, instrument in more.items():
        other = book.get(symbol)
        if other is not None and other != instrument:
            differing = [
                field.name
                for field in fields(instrument)
                if type(other) is not type(instrument) or getattr(other, field.name) != getattr(instrument, field.name)
            ]
            raise InvalidInstrument(
                f"{label}: instrument {symbol}", f"other {', '.join(differing)} than in the book", "the same terms"
            )
    return {**book, **more}


def read_symbol(symbol: str, place: str, known: Iterable[str]) -> Instrument:
    """Return the instrument that a symbol names by itself; raise UnknownSymbol at `place` with the nearest known."""
    checked_name(symbol, place)
    instrument = parse_symbol(symbol)
    if instrument is None:
        raise UnknownSymbol(
            place,
            f"the unknown symbol {symbol!r}",
            "a listed instrument, or a ccxt unified, Deribit or OSI name",
            nearest(symbol, known),
        )
    return instrument


def assets_of(entries: Entries[AssetEntry]) -> dict[str, Asset]:
    """Return the assets by symbol."""
    known: dict[str, Asset] = {}
    for row, entry in entries:
        place = entries.place(row, "symbol")
        checked_name(entry.symbol, place)
        if entry.symbol in known:
            raise InvalidInstrument(place, f"{entry.symbol} a second time", "each asset once")
        known[entry.symbol] = _asset(entry, lambda field, row=row: entries.place(row, field))  # type: ignore[misc]
    return known


def _instrument(entry: InstrumentEntry, place: Callable[[str], str]) -> Instrument:
    checked_name(entry.symbol, place("symbol"))
    terms: dict[str, object] = {
        name: getattr(entry, name)
        for name in entry.__struct_fields__
        if name != "type" and getattr(entry, name) is not None
    }
    for name in _NUMBERS:
        if name in terms:
            terms[name] = decimal(terms[name], place(name), error=InvalidInstrument)
    for name in ("underlying", "quote", "settle"):
        if name in terms:
            checked_name(str(terms[name]), place(name))
    with_place = _Placed(f"instrument {entry.symbol}", place)
    if entry.type is not None:
        with with_place:
            return instrument_of(entry.type, **terms)
    instrument = parse_symbol(entry.symbol)
    if instrument is None:
        raise InvalidInstrument(
            place("type"),
            "nothing, and no naming scheme explains the symbol",
            "spot, future, perpetual, option",
        )
    del terms["symbol"]
    known = {field.name for field in fields(instrument)}
    for name in terms:
        if name not in known:
            raise InvalidInstrument(
                place(name), "a term no such contract has", f"for a {instrument.kind}: {', '.join(sorted(known))}"
            )
    with with_place:
        changed = replace(instrument, **terms)  # type: ignore[arg-type]  # each kind checks its own terms at birth
    for name in _NAMED_BY_SYMBOL:
        if name in terms and getattr(changed, name) != getattr(instrument, name):
            raise InvalidInstrument(
                place(name),
                found(terms[name]),
                f"{getattr(instrument, name)}, as the symbol says",
                "to mean another contract, give its type and all its terms",
            )
    return changed


def _asset(entry: AssetEntry, place: Callable[[str], str]) -> Asset:
    decimals = None
    if entry.decimals is not None:
        exact = decimal(entry.decimals, place("decimals"), error=InvalidInstrument)
        if exact != exact.to_integral_value() or not 0 <= exact <= 9:
            raise InvalidInstrument(place("decimals"), found(entry.decimals), "a whole number from 0 to 9")
        decimals = int(exact)
    for name in ("group", "issuer"):
        if getattr(entry, name) is not None:
            checked_name(getattr(entry, name), place(name))
    with _Placed(f"asset {entry.symbol}", place):
        return Asset(
            symbol=entry.symbol,
            asset_class=entry.asset_class or "",
            decimals=decimals,
            haircut=None if entry.haircut is None else _tiers(entry.haircut, place("haircut")),
            group=entry.group or "",
            cap=None if entry.cap is None else number(entry.cap, place("cap"), error=InvalidInstrument),
            issuer=entry.issuer or "",
        )


def _tiers(value: object, place: str) -> tuple[tuple[float, float], ...]:
    allowed = "[[up to quantity, haircut], ...] with null for no end, or one haircut"
    if not isinstance(value, list):
        if not isinstance(value, Decimal | float | int | str):
            raise InvalidInstrument(place, found(value), allowed)
        return ((inf, _haircut(value, place)),)
    if not value:
        raise InvalidInstrument(place, "an empty list", allowed)
    tiers = []
    for k, tier in enumerate(value):
        if not isinstance(tier, list) or len(tier) != 2:
            shown = f"a list of {len(tier)}" if isinstance(tier, list) else found(tier)
            raise InvalidInstrument(f"{place}[{k}]", shown, "a pair [up to quantity, haircut]")
        bound = inf if tier[0] is None else number(tier[0], f"{place}[{k}][0]", error=InvalidInstrument)
        tiers.append((bound, _haircut(tier[1], f"{place}[{k}][1]")))
    return tuple(tiers)


def _haircut(value: object, place: str) -> float:
    haircut = number(value, place, error=InvalidInstrument)
    if not 0 <= haircut <= 1:
        hint = f"is {value} percent meant? write {float(haircut) / 100:.6g}" if 1 < haircut <= 100 else ""
        raise InvalidInstrument(place, f"a haircut of {value}", "a fraction from 0 to 1", hint)
    return haircut


class _Placed:
    """Puts an error about "instrument X, strike" at the place of that field in its file."""

    def __init__(self, subject: str, place: Callable[[str], str]) -> None:
        self.subject = subject
        self.place = place

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, InputError) and error.where.startswith(self.subject):
            rest = error.where.removeprefix(self.subject).removeprefix(", ")
            field, bracket, index = rest.partition("[")
            where = self.place("class" if rest == "class" else field) + bracket + index
            raise type(error)(f"{where} ({self.subject})", error.found, error.allowed, error.hint) from None
