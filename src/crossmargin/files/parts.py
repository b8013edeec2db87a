"""The sections of a book gathered from where they are: one document, a folder of files, a market file."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmargin.errors import InputError, InvalidBook, InvalidFile, InvalidMarket, nearest
from crossmargin.files.document import (
    AccountEntry,
    AssetEntry,
    BookEntry,
    InstrumentEntry,
    LocationEntry,
    MarketEntry,
    MarketFileEntry,
    OrderEntry,
    PoolEntry,
)
from crossmargin.files.entries import Entries, document_of, error_of, section_of
from crossmargin.files.snapshot import MarketSource
from crossmargin.files.syntax import parse, read_bytes, text_of

if TYPE_CHECKING:
    from crossmargin.files.tables import Table

POSITIONS_COMMAND = "crossmargin import ccxt-positions FILE --venue NAME --out DIR"
"""What turns a dump of a venue's positions, a JSON list, into a book."""

DOCUMENT = "a book: a JSON or TOML document, or a folder"
_STANDARD_INPUT = "standard input"
_DOCUMENT_SUFFIXES = (".json", ".toml")
_TABLE_SUFFIXES = (".csv", ".parquet")
_ENTRIES: dict[str, Any] = {
    "accounts": AccountEntry,
    "assets": AssetEntry,
    "instruments": InstrumentEntry,
    "locations": LocationEntry,
    "orders": OrderEntry,
    "pools": PoolEntry,
}
_FILES = {
    **dict.fromkeys(_ENTRIES, (*_TABLE_SUFFIXES, ".json")),
    "balances": _TABLE_SUFFIXES,
    "book": _DOCUMENT_SUFFIXES,
    "history": _TABLE_SUFFIXES,
    "market": _DOCUMENT_SUFFIXES,
    "positions": _TABLE_SUFFIXES,
    "rules": (".toml",),
}
"""What a folder may hold, with the forms each takes."""
_BESIDE = ("venue.json",)
"""What an import writes beside a book: what the venue states itself is no part of it."""


@dataclass(slots=True)
class Parts:
    """The sections of a book, wherever each was found."""

    label: str
    folder: Path
    """What paths in the book are relative to."""
    stated: dict[str, tuple[str, str]] = field(default_factory=dict)
    """time, currency and rules, each with its place."""
    sections: dict[str, Entries[Any]] = field(default_factory=dict)
    tables: dict[str, Table] = field(default_factory=dict)
    """accounts, positions and balances that are tables."""
    market: MarketSource | None = None
    added: Entries[InstrumentEntry] | None = None
    """Instruments of the market file that replaced the book's market."""
    warnings: list[str] = field(default_factory=list)

    def entries(self, section: str) -> Entries[Any]:
        """Return the entries of a section; none where it is absent."""
        return self.sections.get(section, Entries((), lambda row, name: section))


def gathered(source: str | Path) -> Parts:
    """Return the sections of a book: a JSON or TOML file, a folder, or "-" for standard input."""
    if str(source) == "-":
        parts = Parts(_STANDARD_INPUT, Path())
        _add_document(parts, sys.stdin.buffer.read(), _STANDARD_INPUT, "")
        return parts
    path = Path(source)
    if path.is_dir():
        parts = Parts(str(path), path)
        _add_folder(parts, path)
        return parts
    parts = Parts(str(path), path.parent)
    content = read_bytes(path)
    if path.suffix in _TABLE_SUFFIXES:
        raise InvalidFile(str(path), "one table", DOCUMENT, "give the folder that holds it")
    _add_document(parts, content, str(path), path.suffix)
    return parts


def replace_market(parts: Parts, path: Path) -> None:
    """Put the market of a file, or of a folder with a market.json, in place of the book's, and note its instruments.

    The file is a market section, alone or in a document of its own beside time, currency and instruments. A time
    stated there is the time of the book; a currency must be the book's. Instruments beside a market.json belong to
    it, as an import writes them.
    """
    file = path
    if path.is_dir():
        file = next(
            (path / f"market{suffix}" for suffix in _DOCUMENT_SUFFIXES if (path / f"market{suffix}").exists()), path
        )
        if file is path:
            raise InvalidFile(str(path), "no market.json", "a market file, or a folder with a market.json")
    label = str(file)
    allowed = "a market: a JSON or TOML document"
    value = parse(text_of(read_bytes(file), label, allowed), label, file.suffix)
    if not isinstance(value, dict):
        raise InvalidFile(label, "a list", allowed)
    if "market" in value:
        book: BookEntry = document_of(value, BookEntry, label)
        market, prefix = book.market or MarketEntry(), f"{label}: market."
        instruments, stated = book.instruments, {"time": book.time, "currency": book.currency}
        ignored = [name for name in _ENTRIES if name != "instruments" and getattr(book, name) is not None]
        if ignored:
            parts.warnings.append(f"{label}: only its market and instruments are used, not {', '.join(ignored)}")
    else:
        whole: MarketFileEntry = document_of(value, MarketFileEntry, label, error=InvalidMarket)
        market, prefix, instruments, stated = whole, f"{label}: ", whole.instruments, {}
    for name in ("time", "currency"):
        inside = getattr(market, name)
        if stated.get(name) is not None:
            if inside is not None and inside != stated[name]:
                raise InvalidMarket(f"{prefix}{name}", repr(inside), f"{stated[name]!r}, as stated beside the market")
            inside = stated[name]
        setattr(market, name, inside)
    if market.time is not None:
        parts.stated.pop("time", None)
    if instruments is not None:
        parts.added = section_of(instruments, label, "instruments")
    elif file.stem == "market":
        for suffix in _FILES["instruments"]:
            beside = file.with_name(f"instruments{suffix}")
            if beside.exists():
                parts.added = _entries_of_file(beside, "instruments")
                break
    parts.market = MarketSource(entry=market, place=prefix, folder=file.parent)


def _add_document(parts: Parts, content: bytes, label: str, suffix: str) -> None:
    value = parse(text_of(content, label, DOCUMENT), label, suffix)
    if isinstance(value, list):
        raise InvalidFile(label, "a list", DOCUMENT, f"a venue's positions are read by `{POSITIONS_COMMAND}`")
    entry: BookEntry = document_of(value, BookEntry, label)
    for name in ("time", "currency", "rules"):
        stated = getattr(entry, name)
        if stated is not None:
            parts.stated[name] = (stated, f"{label}: {name}")
    for name in _ENTRIES:
        rows = getattr(entry, name)
        if rows is not None:
            parts.sections[name] = section_of(rows, label, name)
    if entry.market is not None:
        parts.market = MarketSource(entry=entry.market, place=f"{label}: market.", folder=parts.folder)


def _add_folder(parts: Parts, folder: Path) -> None:
    files = _files_of(parts, folder)
    if "book" in files:
        _add_document(parts, read_bytes(files["book"]), str(files["book"]), files["book"].suffix)
    for name, path in files.items():
        if name in parts.sections:
            raise _two_places(path, f"{name} in {files['book']} too")
        if name in ("accounts", "balances", "positions") and path.suffix != ".json":
            parts.tables[name] = _table(path, name)
        elif name in _ENTRIES:
            parts.sections[name] = _entries_of_file(path, name)
    if "rules" in files:
        if "rules" in parts.stated and parts.folder / parts.stated["rules"][0] != files["rules"]:
            raise _two_places(files["rules"], f"rules {parts.stated['rules'][0]!r} in {files['book']} too")
        parts.stated["rules"] = (files["rules"].name, str(files["rules"]))
    if "market" in files:
        if parts.market is not None:
            raise _two_places(files["market"], f"market in {files['book']} too")
        label = str(files["market"])
        value = parse(text_of(read_bytes(files["market"]), label, "a market"), label, files["market"].suffix)
        entry: MarketEntry = document_of(value, MarketEntry, label, error=InvalidMarket)
        parts.market = MarketSource(entry=entry, place=f"{label}: ", folder=folder)
    if "history" in files:
        market = parts.market or MarketSource(entry=MarketEntry(), place=f"{folder}: market.", folder=folder)
        if market.entry.history not in (None, files["history"].name):
            raise _two_places(files["history"], "market.history states another")
        market.entry.history = files["history"].name
        parts.market = market


def _files_of(parts: Parts, folder: Path) -> dict[str, Path]:
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or path.name in _BESIDE:
            continue
        if path.suffix not in (*_TABLE_SUFFIXES, *_DOCUMENT_SUFFIXES):
            continue
        if path.stem not in _FILES:
            hint = nearest(path.stem, _FILES)
            if hint:
                raise InvalidFile(str(path), "no section of a book", f"files named {', '.join(_FILES)}", hint)
            parts.warnings.append(f"{path}: not a section of a book, not read")
        elif path.suffix not in _FILES[path.stem]:
            raise InvalidFile(str(path), f"{path.stem} as {path.suffix}", " or ".join(_FILES[path.stem]))
        elif path.stem in files:
            raise _two_places(path, f"{files[path.stem].name} too")
        else:
            files[path.stem] = path
    return files


def _two_places(path: Path, other: str) -> InputError:
    return InvalidBook(str(path), f"a section stated twice: {other}", "each section once")


def _entries_of_file(path: Path, name: str) -> Entries[Any]:
    if path.suffix == ".json":
        label = str(path)
        value = parse(text_of(read_bytes(path), label, f"a JSON list of {name}"), label, ".json")
        kind: Any = _ENTRIES[name]
        rows = document_of(value, list[kind], label, error=error_of(name))
        return section_of(rows, label, "")
    table = _table(path, name)
    if name == "pools":
        return _pools(table)
    return table.entries(_ENTRIES[name])


def _table(path: Path, name: str) -> Table:
    from crossmargin.files.bulk import ACCOUNT_COLUMNS, BALANCE_COLUMNS, POSITION_COLUMNS
    from crossmargin.files.tables import read_table

    known, required = {
        "accounts": (ACCOUNT_COLUMNS, ("id",)),
        "balances": (BALANCE_COLUMNS, ("account", "asset", "amount")),
        "positions": (POSITION_COLUMNS, ("account", "symbol", "quantity")),
        "pools": (("id", "account"), ("id", "account")),
    }.get(name) or ((_ENTRIES[name].__struct_encode_fields__), ())
    return read_table(path, known, required=required, error=error_of(name))


def _pools(table: Table) -> Entries[PoolEntry]:
    """Return the pools of a table with one member a row."""
    members: dict[str, list[str]] = {}
    rows: dict[str, list[int]] = {}
    cells = zip(table.text("id", required=True), table.text("account", required=True), strict=True)
    for row, (name, account) in enumerate(cells):
        members.setdefault(name, []).append(account)
        rows.setdefault(name, []).append(row)
    entries = [PoolEntry(id=name, accounts=accounts) for name, accounts in members.items()]

    def place(k: int, name: str) -> str:
        mine = rows[entries[k].id]
        member = int(name[9:-1]) if name.startswith("accounts[") else 0
        return table.place(mine[member], "account" if name.startswith("accounts") else name)

    return Entries(entries, place)
