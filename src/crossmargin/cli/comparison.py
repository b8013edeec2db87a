"""One book under several rule books, as a document and as blocks of a page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.cli.books import unknown_account
from crossmargin.cli.figures import money, money_digits, percent
from crossmargin.cli.listing import Listing
from crossmargin.cli.standings import STATUS_STYLE
from crossmargin.cli.venue_figures import account_figure, figures_table
from crossmargin.units import iso

if TYPE_CHECKING:
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from crossmargin.book import Book
    from crossmargin.market import Market
    from crossmargin.standing import Compared, Comparison

Entry = Mapping[str, Any]


def comparison_document(
    comparison: Comparison, book: Book, market: Market, own: str, account: str | None = None
) -> dict[str, Any]:
    """Return every number of a comparison; `own` is the rule book that differences are from, where it is there.

    `account` is one account or pool to tell of alone; raises InputError where there is none of that name.
    """
    names = [(pool.id, p) for p, pool in enumerate(book.pools)]
    some = next(iter(comparison.under.values()), None)
    if some is not None:
        where = some.standing.where.of_account.tolist()
        names += [(a, where[k]) for k, a in enumerate(book.accounts.ids) if book.accounts.pool[k] < 0]
    members = {
        a: book.pools[p].id for a, p in zip(book.accounts.ids, book.accounts.pool.tolist(), strict=True) if p >= 0
    }
    if account is not None:
        asked = members.get(account, account)
        if asked not in [name for name, _ in names]:
            raise unknown_account(account, [*[name for name, _ in names], *members])
        names = [(name, p) for name, p in names if name == asked]
    return {
        "time": iso(market.time),
        "currency": market.currency,
        "rules": own,
        "refused": dict(comparison.refused),
        "accounts": [_account(comparison, name, pool, own) for name, pool in names],
    }


def _account(comparison: Comparison, name: str, pool: int, own: str) -> dict[str, Any]:
    from crossmargin.standing import causes

    order = sorted(comparison.under, key=lambda rules: float(comparison.under[rules].standing.maintenance_margin[pool]))
    base = own if own in comparison.under else next(iter(order), own)
    rows = []
    for rules in order:
        one = comparison.under[rules]
        row = _row(rules, one, pool)
        if rules != base:
            other = comparison.under[base]
            row["difference"] = row["maintenance_margin"] - float(other.standing.maintenance_margin[pool])
            row["causes"] = [
                {"what": cause.what, "amount": cause.amount}
                for cause in causes(one.standing, one.layers, other.layers, pool)
            ]
            row["counts_more"] = row["margin_balance"] - float(other.standing.margin_balance[pool])
        rows.append(row)
    return {"id": name, "base": base, "under": rows}


def _row(rules: str, one: Compared, pool: int) -> dict[str, Any]:
    from crossmargin.standing import Status

    standing, layers = one.standing, one.layers
    terms = sorted(standing.requirement.terms.of_pool(pool), key=lambda term: -abs(term[1]))
    return {
        "rules": rules,
        "rules_version": standing.rules.version,
        "maintenance_margin": float(standing.maintenance_margin[pool]),
        "initial_margin": float(standing.initial_margin[pool]),
        "margin_balance": float(standing.margin_balance[pool]),
        "haircut": float(standing.worth.haircut[pool]),
        "status": Status(standing.status[pool]).label,
        "layers": {
            "positions on their own": float(layers.alone[pool]),
            "offsets within an underlying": float(layers.within[pool]),
            "offsets between underlyings": float(layers.between[pool]),
            "collateral, as a risk or a hedge": float(layers.collateral[pool]),
        },
        "breakdown": [{"name": name, "amount": amount} for name, amount in terms],
    }


def blocks(document: Entry) -> Iterator[Table | Text | Padding]:
    """Yield a table an account, and what could not be compared."""
    from rich.text import Text

    for entry in document["accounts"]:
        yield _table(entry, document["currency"])
        yield from _reasons(entry)
        if entry.get("venue"):
            yield Text("")
            yield from figures_table(entry, document["venue"]["name"])
        yield Text("")
    for text in document.get("venue", {}).get("notes", ()):
        yield Text(f"{document['venue']['name']}: {text}", style="dim")
    for rules, reason in document["refused"].items():
        yield Text(f"{rules} cannot express this book: {reason}", style="dim")
    yield Text(f"prices of {document['time'].replace('T', ' ').replace('Z', ' UTC')}", style="dim")


def _table(entry: Entry, currency: str) -> Table:
    from rich.text import Text

    rows = entry["under"]
    digits = money_digits([row["maintenance_margin"] for row in rows])
    table = Listing(
        ["Rule book", "Maintenance", "Initial", f"Balance {currency}", "Used", "Alone", "Offsets", "Status"],
        title=entry["id"],
        left=(0, 7),
    )
    for row in rows:
        layers = row["layers"]
        offsets = layers["offsets within an underlying"] + layers["offsets between underlyings"]
        used = row["maintenance_margin"] / row["margin_balance"] if row["margin_balance"] > 0 else None
        table.add(
            f"{row['rules']}{' *' if row['rules'] == entry['base'] else ''}",
            money(row["maintenance_margin"], digits),
            money(row["initial_margin"], digits),
            money(row["margin_balance"], digits),
            percent(used),
            money(layers["positions on their own"], digits),
            money(offsets, digits),
            Text(row["status"], style=STATUS_STYLE[row["status"]]),
        )
    if entry.get("venue"):
        maintenance, initial, balance = (
            account_figure(entry, what, currency) for what in ("maintenance_margin", "initial_margin", "margin_balance")
        )
        used = maintenance / balance if maintenance is not None and balance is not None and balance > 0 else None
        stated = (money(maintenance, digits), money(initial, digits), money(balance, digits), percent(used))
        table.add("venue", *stated, "-", "-", "", style="italic")
    return table.table()


def _reasons(entry: Entry) -> Iterator[Padding]:
    from rich.padding import Padding

    for row in entry["under"]:
        if row["rules"] == entry["base"]:
            continue
        yield Padding(reason(row, entry["base"]), (0, 0, 0, 2))


def reason(row: Entry, base: str) -> str:
    """Return in one sentence why a rule book asks for more or less than the base."""
    difference = row["difference"]
    digits = money_digits([difference, *(cause["amount"] for cause in row["causes"])])
    counts = row["counts_more"]
    balance = ""
    if round(abs(counts), 2):
        balance = f"; of what is owned it counts {money(abs(counts), digits)} {'more' if counts > 0 else 'less'}"
    if not row["causes"]:
        return f"{row['rules']} asks the same as {base}{balance}"
    side = "more" if difference >= 0 else "less"
    told = ", ".join(f"{cause['what']} {_signed(cause['amount'], digits)}" for cause in row["causes"])
    return f"{row['rules']} asks {money(abs(difference), digits)} {side} than {base}: {told}{balance}"


def _signed(amount: float, digits: int) -> str:
    return ("+" if amount > 0 else "") + money(amount, digits)
