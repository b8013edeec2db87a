"""From what the reader names on the command line to a standing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmargin.errors import InputError, InvalidFile, nearest

if TYPE_CHECKING:
    from crossmargin.files import Loaded
    from crossmargin.market import History
    from crossmargin.rules import Rules
    from crossmargin.standing import Standing

DEMO = "demo"
"""The word that stands for the shipped book where a book is asked for."""

STANDARD_INPUT = "-"

BAD_STATUSES = ("liquidation", "bankrupt")


def demo_text() -> str:
    """Return the shipped demo book, without its closes."""
    from importlib.resources import files

    return (files("crossmargin.cli") / "demo" / "book.toml").read_text(encoding="utf-8")


def demo_closes() -> History:
    """Return the daily closes of the demo book; say so on stderr where those of shares and oil are not real."""
    from crossmargin.cli.console import note
    from crossmargin.cli.demo_history import ABSENT, demo_history

    closes = demo_history()
    if not closes.real:
        note(ABSENT)
    return closes.history


def load(book: str, market: str | None = None) -> Loaded:
    """Return the book a reader named: a file, a folder, `-`, or `demo` where nothing on disk is called so."""
    from crossmargin.files import read_book

    if book == STANDARD_INPUT or book != DEMO or os.path.exists(book):
        return read_book(book, market=market)
    from dataclasses import replace
    from importlib.resources import as_file, files

    with as_file(files("crossmargin.cli") / "demo" / "book.toml") as path:
        loaded = read_book(path, market=market)
    if market is not None:
        return loaded
    return replace(loaded, market=loaded.market.with_(history=demo_closes()))


def rules_of(name: str) -> Rules:
    """Return a rule book by the name of a shipped one, or from a TOML file."""
    from crossmargin.rules import load as load_rules
    from crossmargin.rules import parse

    path = Path(name)
    if not (path.suffix == ".toml" or len(path.parts) > 1 or path.is_file()):
        return load_rules(name)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise InvalidFile(str(path), error.strerror or "no access", "a readable rule book, TOML") from None
    except UnicodeDecodeError as error:
        raise InvalidFile(str(path), f"bytes that are no text, from byte {error.start}", "TOML in UTF-8") from None
    return parse(text, str(path))


def evaluated(book: str, market: str | None = None, rules: str | None = None) -> tuple[Standing, dict[str, Any]]:
    """Return the standing of a named book under a named rule book (by default the book's own), and its document."""
    from crossmargin.cli.kernels import compilation_noted
    from crossmargin.standing import document, evaluate

    loaded = load(book, market)
    chosen = rules_of(rules or loaded.rules)
    with compilation_noted():
        standing = evaluate(loaded.book, loaded.market, chosen)
        return standing, document(standing)


def index_of(standing: Standing) -> dict[str, float]:
    """Return the price of each underlying and asset now: its index, else the value of one unit."""
    import numpy as np

    valuation = standing.valuation
    terms = valuation.catalogue
    index = {
        asset.symbol: float(fx)
        for asset, fx in zip(terms.assets, valuation.fx.tolist(), strict=True)
        if np.isfinite(fx)
    }
    for row in np.flatnonzero(np.isfinite(valuation.index)).tolist():
        instrument = terms.instruments[int(valuation.instrument[row])]
        index[instrument.underlying] = float(valuation.index[row])
    return index


def any_domain_of(standing: Standing) -> set[str]:
    """Return the underlyings whose prices may be zero or negative."""
    terms = standing.valuation.catalogue
    return {terms.assets[a].symbol for a in terms.underlying[terms.any_domain].tolist()}


def option_worth_of(standing: Standing) -> dict[str, float]:
    """Return what one contract of each held option is worth, in the reporting currency."""
    import numpy as np

    valuation = standing.valuation
    worth = valuation.unit_value * valuation.settle_fx
    return {
        valuation.catalogue.instruments[int(valuation.instrument[row])].symbol: float(worth[row])
        for row in np.flatnonzero(valuation.is_option & np.isfinite(worth)).tolist()
    }


def only_account(document: dict[str, Any], account: str) -> None:
    """Keep one account (with the pool it is in) or one pool (with its members), in place; totals are theirs."""
    pools = {pool["id"]: pool for pool in document["pools"]}
    chosen = [entry for entry in document["accounts"] if entry["id"] == account]
    if chosen:
        own = [pools[entry["pool"]] for entry in chosen if entry["pool"] in pools]
    elif account in pools:
        own = [pools[account]]
        chosen = [entry for entry in document["accounts"] if entry["pool"] == account]
    else:
        known = [entry["id"] for entry in (*document["accounts"], *document["pools"])]
        raise unknown_account(account, known)
    document["accounts"], document["pools"] = chosen, own
    from math import fsum

    totals = document["totals"]
    totals["accounts"] = len(chosen)
    for name in totals.keys() - {"accounts"}:
        totals[name] = fsum(entry[name] for entry in chosen)


def unknown_account(account: str, known: list[str]) -> InputError:
    """Return the error for an account that the book does not have."""
    from crossmargin.errors import some_of

    return InputError("account", repr(account), some_of(known) or "none: the book is empty", nearest(account, known))


def in_trouble(document: dict[str, Any]) -> list[str]:
    """Return what is in liquidation or bankrupt: accounts, pools, isolated positions."""
    found = []
    for entry in (*document["accounts"], *document["pools"]):
        if entry["status"] in BAD_STATUSES and entry.get("pool") is None:
            found.append(entry["id"])
        found += [
            f"{entry['id']} {position['symbol']}"
            for position in entry["positions"]
            if position.get("status") in BAD_STATUSES and "accounts" not in entry
        ]
    return found
