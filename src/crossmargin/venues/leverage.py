"""Leverage tiers as ccxt returns them: the JSON of fetch_leverage_tiers, as a rule book of brackets."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING

from crossmargin.errors import InputError, InvalidFile, some_of
from crossmargin.instruments import Instrument, Perpetual, Spot, asset_class_of, parse_symbol
from crossmargin.units import exact
from crossmargin.venues.document import read_json
from crossmargin.venues.imported import Imported

if TYPE_CHECKING:
    from crossmargin.margin import Tiers

_BOOKS = {
    "binance": "brackets-binance",
    "binanceusdm": "brackets-binance",
    "bybit": "brackets-bybit",
    "gate": "brackets-okx",
    "okx": "brackets-okx",
}
"""Shipped book whose formula a venue's tiers go with; those of any other venue go with `brackets`."""
_DOLLARS = ("fx", "stablecoin")
_AMOUNT_TOLERANCE = 0.01
"""Venues print continuity terms to the cent or so; relative to large ones a millionth of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ladder:
    """The tiers of one symbol."""

    tiers: Tiers
    largest: float
    """Notional at which the last tier ends."""


def import_leverage_tiers(path: Path | str, venue: str) -> Imported:
    """Return the tiers of a fetch_leverage_tiers dump as the text of a rule book, and the contracts they are of.

    The file is a JSON object of ccxt unified symbols, each with a list of tiers: minNotional, maxNotional,
    maintenanceMarginRate, maxLeverage, currency, and where the venue has it info.cum. The rule book extends the shipped
    book of the venue's formula: tiers by symbol, and by underlying those of its perpetual with the largest ladder that
    is quoted in dollars or the like, so that other names of the contract find them too. Initial rates are 1 / the
    largest leverage. Raises InvalidFile where tiers leave a gap, where rates fall with size and where the venue's own
    continuity terms are not those of its rates.
    """
    from crossmargin.rules import load, parse

    path = Path(path)
    ladders: dict[str, _Ladder] = {}
    instruments: list[Instrument] = []
    deepest: dict[str, str] = {}
    in_coin, unnamed, unsized = [], [], []
    for symbol, rows in sorted(_document(path).items()):
        place = f"{path.name}: {symbol}"
        named = parse_symbol(symbol)
        if named is None or isinstance(named, Spot):
            unnamed.append(symbol)
            continue
        if getattr(named, "inverse", False):
            in_coin.append(symbol)
            continue
        ladders[symbol] = _ladder(place, rows, named.quote)
        known = parse_symbol(symbol, venue)
        instruments += [known] if known is not None else []
        unsized += [symbol] if known is None else []
        if isinstance(named, Perpetual) and asset_class_of(named.quote) in _DOLLARS:
            best = deepest.setdefault(named.underlying, symbol)
            if ladders[symbol].largest > ladders[best].largest:
                deepest[named.underlying] = symbol
    if not ladders:
        raise InvalidFile(str(path), "no ladder of a linear contract", "ccxt unified symbols with lists of tiers")
    base = load(_BOOKS.get(venue, "brackets"))
    text = _rule_book(venue, path.name, base.name, base.version, ladders, deepest)
    parse(text, "rules.toml")
    report = [
        f"{len(ladders)} ladders of {venue}, by symbol, and {len(deepest)} by underlying (its deepest perpetual).",
        f"The rule book extends {base.name} and takes its date, {base.version}: tiers do not say since when they hold.",
        "Beyond the largest position a venue takes, its last tier goes on.",
    ]
    for found, what in (
        (in_coin, "Left out, their tiers are in coin"),
        (unnamed, "Left out, no symbol of a contract"),
        (unsized, f"Contract size or expiry hour not known for {venue}, tiers taken without the contract"),
    ):
        report += [f"{what}: {some_of(found)}."] if found else []
    return Imported(instruments=tuple(instruments), rules=text, report=tuple(report))


def _document(path: Path) -> Mapping[str, object]:
    document = read_json(path, "a JSON object: symbol to list of tiers")
    if not isinstance(document, dict):
        raise InvalidFile(str(path), f"a {type(document).__name__}", "a JSON object: symbol to list of tiers")
    return document


_FIELDS = ("minNotional", "maxNotional", "maintenanceMarginRate", "maxLeverage")


def _ladder(place: str, rows: object, quote: str) -> _Ladder:
    from crossmargin.margin import Tiers

    if not isinstance(rows, list) or not rows:
        raise InvalidFile(place, "no tiers", "a list of tiers")
    floors, initial, maintenance, stated = [], [], [], []
    upper = Decimal(0)
    for k, row in enumerate(rows):
        where = f"{place}[{k}]"
        if not isinstance(row, dict):
            raise InvalidFile(where, f"a {type(row).__name__}", "a tier object")
        low, high, rate, leverage = (_number(f"{where}.{name}", row.get(name)) for name in _FIELDS)
        if row.get("currency") not in (None, quote):
            raise InvalidFile(f"{where}.currency", repr(row["currency"]), f"{quote}, the quote asset")
        if low != upper:
            raise InvalidFile(f"{where}.minNotional", str(low), f"{upper}, where the tier before ends")
        if high <= low:
            raise InvalidFile(f"{where}.maxNotional", str(high), f"more than {low}")
        if leverage < 1:
            raise InvalidFile(f"{where}.maxLeverage", str(leverage), "1 or more")
        floors.append(float(low))
        maintenance.append(float(rate))
        initial.append(1.0 / float(leverage))
        info = row.get("info")
        amount = info.get("cum") if isinstance(info, dict) else None
        stated.append(None if amount in (None, "") else float(_number(f"{where}.info.cum", amount)))
        upper = high
    try:
        tiers = Tiers(floor=tuple(floors), maintenance_rate=tuple(maintenance), initial_rate=tuple(initial))
    except InputError as error:
        raise InvalidFile(f"{place}: {error.where}", error.found, error.allowed, error.hint) from None
    for k, (ours, theirs) in enumerate(zip(tiers.maintenance_amount, stated, strict=True)):
        if theirs is not None and abs(ours - theirs) > max(_AMOUNT_TOLERANCE, 1e-6 * abs(theirs)):
            raise InvalidFile(f"{place}[{k}].info.cum", f"{theirs:g}", f"{ours:g}, the continuity term of its rates")
    return _Ladder(tiers=tiers, largest=float(upper))


def _number(place: str, value: object) -> Decimal:
    try:
        number = exact(value)
    except ValueError as error:
        raise InvalidFile(place, "nothing" if value is None else str(error), "a finite number") from None
    if number < 0:
        raise InvalidFile(place, str(number), "0 or more")
    return number


def _rule_book(
    venue: str, file: str, base: str, version: str, ladders: Mapping[str, _Ladder], deepest: Mapping[str, str]
) -> str:
    """Return the TOML of a rule book with these ladders."""
    source = json.dumps(f"leverage tiers of {venue}, {file}")
    lines = [
        f"# Made by `crossmargin import leverage-tiers` from {json.dumps(file)}.",
        "",
        f'name = "{venue}-tiers"',
        f'version = "{version}"',
        f'title = "Leverage tiers of {venue}"',
        f'extends = "{base}"',
        f"source = {source}",
    ]
    for key, of in (
        ("tiers_by_underlying", {name: ladders[symbol] for name, symbol in sorted(deepest.items())}),
        ("tiers_by_symbol", ladders),
    ):
        lines += ["", f"[parameters.{key}]", 'unit = "notional in quote; fractions of the slice"', f"source = {source}"]
        lines += ["", f"[parameters.{key}.value]"]
        lines += [f"{json.dumps(name)} = [\n{_slices(ladder.tiers)}]" for name, ladder in of.items()]
    return "\n".join(lines) + "\n"


def _slices(tiers: Tiers) -> str:
    rows = zip(tiers.floor, tiers.initial_rate, tiers.maintenance_rate, strict=True)
    return "".join(f"  {{ above = {a!r}, initial = {i!r}, maintenance = {m!r} }},\n" for a, i, m in rows)
