"""What a venue states of its account, beside every rule book: as a document, a row of the table, and sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from crossmargin.cli.figures import NOTHING, quantity
from crossmargin.cli.listing import Listing
from crossmargin.units import iso

if TYPE_CHECKING:
    from rich.padding import Padding
    from rich.table import Table

    from crossmargin.standing import Compared, Comparison
    from crossmargin.venues import Stated
    from crossmargin.venues.beside import Beside

Entry = Mapping[str, Any]

_DIGITS = 8


def stated_beside(book: str) -> tuple[Stated, str] | None:
    """Return what a venue states of a book that is an imported folder, and the file it is in; None: nothing."""
    from crossmargin.venues import read_stated
    from crossmargin.venues.stated import FILE

    path = Path(book) / FILE
    if not path.is_file():
        return None
    return read_stated(path), str(path)


def add_stated(document: dict[str, Any], comparison: Comparison, stated: Stated, place: str) -> None:
    """Add to a comparison what a venue states: who said it, and each account's figures under every rule book."""
    from crossmargin.venues.beside import beside

    document["venue"] = {
        "name": stated.venue,
        "time": None if stated.time is None else iso(stated.time),
        "lacking": list(stated.lacking),
        "notes": list(stated.notes),
    }
    under = {rules: beside(stated, one, place) for rules, one in comparison.under.items()}
    for entry in document["accounts"]:
        rows = [k for k, one in enumerate(stated.figures) if one.account in _members(entry, comparison)]
        entry["venue"] = [_figure(k, stated, under) for k in rows]


def _members(entry: Entry, comparison: Comparison) -> set[str]:
    """Return the accounts that an entry is of: a pool is told of as one."""
    some: Compared | None = next(iter(comparison.under.values()), None)
    pools = some.standing.book.pools if some is not None else ()
    return {entry["id"], *(account for pool in pools if pool.id == entry["id"] for account in pool.accounts)}


def _figure(k: int, stated: Stated, under: Mapping[str, list[Beside]]) -> dict[str, Any]:
    one = stated.figures[k]
    return {
        "figure": one.what,
        "symbol": one.symbol,
        "unit": one.unit,
        "stated": one.amount,
        "field": one.field,
        "under": {
            rules: {
                "ours": found[k].ours,
                "difference": found[k].difference,
                "parts": [{"what": what, "amount": amount} for what, amount in found[k].parts.items()],
                "rest": found[k].rest,
                "may_be": list(found[k].reasons) if found[k].rest else [],
            }
            for rules, found in under.items()
        },
    }


def account_figure(entry: Entry, what: str, currency: str) -> float | None:
    """Return a figure of a whole account as its venue states it, where it is in the reporting currency."""
    for row in entry.get("venue", ()):
        if row["figure"] == what and row["symbol"] is None and row["unit"] == currency:
            return float(row["stated"])
    return None


def figures_table(entry: Entry, name: str) -> Iterator[Table | Padding]:
    """Yield the stated figures beside those of the account's own rule book, then where each difference is from."""
    from rich.padding import Padding

    rows = entry.get("venue", ())
    base = entry["base"]
    if not rows or not any(base in row["under"] for row in rows):
        return
    table = Listing(["Figure", "Of", f"{name} states", base, "Difference", "In"], left=(0, 1, 5))
    sentences = []
    for row in rows:
        ours = row["under"][base]
        what = words(row["figure"])
        of = row["symbol"] or "account"
        table.add(what, of, figure(row["stated"]), figure(ours["ours"]), signed(ours["difference"]), row["unit"])
        if ours["difference"] and (ours["parts"] or ours["rest"]):
            sentences.append(f"{what} of {of}: {why(ours)}")
    yield table.table()
    for sentence in sentences:
        yield Padding(sentence, (0, 0, 0, 2))


def why(ours: Entry) -> str:
    """Return in one sentence what a difference comes from."""
    told = [f"{part['what']} {signed(part['amount'])}" for part in ours["parts"]]
    if ours["rest"]:
        told.append(f"{'the rest ' if told else ''}{signed(ours['rest'])}: {'; '.join(ours['may_be'])}")
    return ", ".join(told)


def words(what: str) -> str:
    """Return what a figure is called."""
    return what.replace("_", " ")


def figure(amount: float | None) -> str:
    """Return an amount of any asset in full."""
    return NOTHING if amount is None else quantity(round(amount, _DIGITS) + 0.0)


def signed(amount: float | None) -> str:
    """Return a difference with its sign."""
    if amount is None:
        return NOTHING
    rounded = round(amount, _DIGITS) + 0.0
    return f"{'+' if rounded > 0 else ''}{quantity(rounded)}"
