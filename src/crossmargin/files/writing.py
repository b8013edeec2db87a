"""Books, markets and instruments written so that reading them gives the same again."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from decimal import Decimal
from math import isinf
from pathlib import Path
from typing import Any

from crossmargin.book import CREDIT_TIERS, Book
from crossmargin.errors import InvalidFile
from crossmargin.files.document import BalanceEntry, InstrumentEntry, PositionEntry
from crossmargin.files.rows import balance_rows, position_rows
from crossmargin.instruments import Asset, Catalogue, Instrument
from crossmargin.market import History, Market, SviSlice, VolSlice
from crossmargin.units import iso

_TERMS = InstrumentEntry.__struct_encode_fields__
_SVI = ("a", "b", "rho", "m", "sigma")
_BALANCE = ("account", *BalanceEntry.__struct_encode_fields__)
_POSITION = ("account", *PositionEntry.__struct_encode_fields__)
_ACCOUNT = ("id", "owner", "mode", "credit")


def write_instruments(instruments: Iterable[Instrument], path: str | Path) -> None:
    """Write instruments as CSV, Parquet or a JSON list, by the suffix of `path`, in the order of their symbols."""
    path = Path(path)
    rows = [_terms(instrument) for instrument in sorted(instruments, key=lambda instrument: instrument.symbol)]
    if path.suffix == ".json":
        _write_json(rows, path)
    else:
        _write_table(_TERMS, rows, path)


def write_market(market: Market, path: str | Path) -> None:
    """Write a market as a JSON document of its own, with its time and currency."""
    _write_json({"time": iso(market.time), "currency": market.currency, **_market(market)}, Path(path))


def write_book(book: Book, market: Market, path: str | Path) -> None:
    """Write a book with its market: one document where `path` ends in .json, else a folder of files.

    A position that merged several entry prices comes back with their weighted price; where rows nearly cancelled,
    so that no one price gives their P&L, as two rows that give it.
    """
    path = Path(path)
    head = {"time": iso(market.time), "currency": market.currency, "rules": _rules(book)}
    sections = {
        "assets": _assets(book),
        "locations": [_filled(vars_of(place)) for place in book.locations],
        "pools": [{"id": pool.id, "accounts": list(pool.accounts)} for pool in book.pools],
        "orders": [vars_of(order) for order in book.orders],
    }
    accounts = [
        dict(zip(_ACCOUNT, row, strict=True))
        for row in zip(
            book.accounts.ids,
            book.accounts.owners,
            book.accounts.modes,
            (CREDIT_TIERS[tier] for tier in book.accounts.credit.tolist()),
            strict=True,
        )
    ]
    balances, positions = list(balance_rows(book)), list(position_rows(book))
    if path.suffix == ".json":
        held: list[dict[str, Any]] = [{**account, "balances": [], "positions": []} for account in accounts]
        for name, rows in (("balances", balances), ("positions", positions)):
            for account, cells in rows:
                held[account][name].append(_filled(cells))
        instruments = [_terms(instrument) for instrument in book.catalogue]
        _write_json({**head, **sections, "instruments": instruments, "market": _market(market), "accounts": held}, path)
        return
    path.mkdir(parents=True, exist_ok=True)
    _write_json({**head, **sections}, path / "book.json")
    write_market(market, path / "market.json")
    write_instruments(book.catalogue, path / "instruments.csv")
    _write_table(_ACCOUNT, accounts, path / "accounts.csv")
    for name, columns, rows in (("balances", _BALANCE, balances), ("positions", _POSITION, positions)):
        named = [{"account": book.accounts.ids[account], **cells} for account, cells in rows]
        _write_table(columns, named, path / f"{name}.csv")


def vars_of(fact: object) -> dict[str, Any]:
    """Return the fields of a fact by name."""
    return {name: getattr(fact, name) for name in type(fact).__dataclass_fields__}  # type: ignore[attr-defined]


def _terms(instrument: Instrument) -> dict[str, Any]:
    known = vars_of(instrument)
    values = {name: instrument.kind if name == "type" else known.get(name) for name in _TERMS}
    return _filled({name: _text(value) for name, value in values.items()})


def _text(value: object) -> object:
    if isinstance(value, datetime):
        return iso(value)
    return str(value) if isinstance(value, Decimal) else value


def _filled(cells: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in cells.items() if value is not None}


def _market(market: Market) -> dict[str, Any]:
    sections: dict[str, Any] = {
        "prices": dict(market.prices),
        "fx": dict(market.fx),
        "marks": {symbol: _filled(vars_of(mark)) for symbol, mark in market.marks.items()},
        "forwards": {
            name: {day.isoformat(): forward for day, forward in curve.items()}
            for name, curve in market.forwards.items()
        },
        "vols": {
            name: {day.isoformat(): _slice(part) for day, part in surface.slices.items()}
            for name, surface in market.vols.items()
        },
        "rates": dict(market.rates),
        "history": None if market.history is None else _history(market.history),
        "vol_annual": dict(market.vol_annual),
    }
    return {name: section for name, section in sections.items() if section}


def _slice(part: SviSlice | VolSlice) -> dict[str, Any]:
    if isinstance(part, SviSlice):
        return {"svi": [getattr(part, name) for name in _SVI], "forward": part.forward, "tau": part.tau}
    return _filled({"strikes": list(part.strikes), "vols": list(part.vols), "forward": part.forward})


def _history(history: History) -> dict[str, Any]:
    return {
        name: {
            day.isoformat(): close
            for day, close in zip(history.days, history.series(name).tolist(), strict=True)
            if close == close
        }
        for name in history.names
    }


def _assets(book: Book) -> list[dict[str, Any]]:
    """Return the assets that are not what their name and instruments make them by default."""
    names = [asset.symbol for asset in book.catalogue.assets]
    plain = Catalogue.of(book.catalogue.instruments, (), names).assets
    return [_asset(asset) for asset, default in zip(book.catalogue.assets, plain, strict=True) if asset != default]


def _asset(asset: Asset) -> dict[str, Any]:
    cells = vars_of(asset)
    cells["class"] = cells.pop("asset_class")
    cells["issuer"] = asset.issuer or None
    if asset.haircut is not None:
        cells["haircut"] = [[None if isinf(bound) else bound, haircut] for bound, haircut in asset.haircut]
    return _filled(cells)


def _rules(book: Book) -> str:
    return str(Path(book.rules).resolve()) if book.rules.endswith(".toml") else book.rules


def _write_json(value: object, path: Path) -> None:
    path.write_text(json.dumps(value, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def _write_table(columns: tuple[str, ...], rows: list[dict[str, Any]], path: Path) -> None:
    if path.suffix == ".csv":
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(columns)
            writer.writerows([_cell(row.get(name)) for name in columns] for row in rows)
    elif path.suffix == ".parquet":
        import polars as pl

        pl.DataFrame({name: [row.get(name) for row in rows] for name in columns}).write_parquet(path)
    else:
        raise InvalidFile(str(path), f"a file called {path.suffix or 'nothing'}", ".csv, .parquet or .json")


def _cell(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return repr(value) if isinstance(value, float) else value
