"""`crossmargin demo`: what crossmargin does, in one page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from crossmargin.cli.verbs import AsJson, verb
from crossmargin.errors import InputError

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from crossmargin.standing import Standing

EXPLAINED = "silas-options"
"""The account of the demo book that is told in full: options on two coins, near its limits."""


def demo(
    *,
    live: Annotated[
        bool,
        Parameter(negative="", show_default=False, help="Run a clearing house through a made-up day of trading."),
    ] = False,
    seed: Annotated[int | None, Parameter(metavar="N", help="With --live: which day; 1 unless said.")] = None,
    store: Annotated[
        str | None,
        Parameter(
            metavar="PATH",
            help="With --live: where the journal is kept, a file, a folder or an address such as postgresql://...; "
            "a day that was broken off goes on there. A temporary folder unless said.",
        ),
    ] = None,
    accounts: Annotated[
        int | None, Parameter(metavar="N", help="With --live: how many accounts trade; 2,000 unless said.")
    ] = None,
    steps: Annotated[
        int | None,
        Parameter(metavar="N", help="With --live: steps of the day; 96 unless said, each of a quarter of an hour."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Show what crossmargin does, on a book that ships with it.

    Needs no input and ends by itself.

    With --live: thousands of accounts deposit, trade on a simulated venue, are margined, marked, settled, funded and
    expire within a day that takes seconds. Everything is in the journal before it is answered; a run that was killed
    goes on where it was when it is started again on the same store. Exit code 1 says that money was made or lost.
    """
    given = {"--seed": seed, "--store": store, "--accounts": accounts, "--steps": steps, "--json": as_json or None}
    if live:
        from crossmargin.cli.live import live as run_live

        return run_live(seed=seed, store=store, accounts=accounts, steps=steps, as_json=as_json)
    for name, value in given.items():
        if value is not None:
            raise InputError("demo", f"{name} without --live", f"--live with {name}, or neither")
    return _shown()


def _shown() -> int:
    """Show the shipped book."""
    from crossmargin.cli.books import DEMO, evaluated, index_of, only_account, option_worth_of
    from crossmargin.cli.console import answers, warn
    from crossmargin.cli.explanation import explanation
    from crossmargin.cli.standings import footer, standings

    standing, document = evaluated(DEMO)
    console = answers()
    index = index_of(standing)
    console.print(_opening(document))
    console.print(standings(document, index, console.width))
    console.print(footer(document))
    console.print()
    console.rule("one account, explained", style="dim")
    one = {**document, "totals": dict(document["totals"])}
    only_account(one, EXPLAINED)
    for part in explanation(one, EXPLAINED, index, option_worth_of(standing)):
        console.print(part)
    console.print()
    console.rule("what cross margin saved", style="dim")
    console.print(_saved(standing, document))
    console.print()
    console.print(_next())
    warn(document["warnings"])
    return 0


def _opening(document: dict[str, Any]) -> Text:
    from rich.text import Text

    text = Text()
    text.append("A made-up trading house", style="bold")
    text.append(
        f": {len(document['accounts'])} accounts trade bitcoin, ether, shares, oil and euros, with collateral in\n"
        "dollars, USDC, bitcoin, ether and euros. Everything an account has offsets in one requirement; one position\n"
        "is fenced off on its own, and two accounts of one owner are margined as one pool. Scenarios are daily closes\n"
        "of 2015 to 2018, rescaled to the vols at their end: real ones of shares and oil, made-up ones of the rest.\n"
    )
    return text


def _saved(standing: Standing, document: dict[str, Any]) -> Table:
    """Return what every pool needs, and would need position by position and group by group."""
    from math import fsum

    from crossmargin.cli.figures import NOTHING, money, percent
    from crossmargin.cli.listing import Listing
    from crossmargin.standing import group_margins

    groups = group_margins(standing).total.tolist()
    place = {pool.id: k for k, pool in enumerate(standing.book.pools)}
    place.update(zip(standing.book.accounts.ids, standing.where.of_account.tolist(), strict=True))
    listing = Listing(["Pool", "Maint.", "By group", "By position", "Saves on groups", "Saves on positions"])
    rows = [account for account in document["accounts"] if account["pool"] is None] + document["pools"]
    amounts = [(row["maintenance_margin"], groups[place[row["id"]]], row["isolated_margin"]) for row in rows]

    def told(name: str, pool: float, by_group: float, by_position: float, *, total: bool = False) -> None:
        saved = [percent(1.0 - pool / alone) if alone > 0 else NOTHING for alone in (by_group, by_position)]
        listing.add(name, money(pool), money(by_group), money(by_position), *saved, total=total)

    for row, amount in zip(rows, amounts, strict=True):
        told(row["id"], *amount)
    pool, by_group, by_position = (fsum(column) for column in zip(*amounts, strict=True))
    told(f"{len(rows)} pools", pool, by_group, by_position, total=True)
    return listing.table()


def _next() -> Text:
    from rich.text import Text

    from crossmargin.cli.console import program

    steps = (
        ("explain rosa-macro demo", "the account that gets a margin call"),
        (f"explain {EXPLAINED} demo --scenario worst", "position by position in its worst scenario"),
        ("margin demo --rules standard --sort utilization", "the same book under another rule book"),
        ("rules diff grid standard", "why the numbers differ"),
        ("margin demo --json", "every number, for programs"),
        ("init my-book --demo", "a copy of this book to change"),
    )
    commands = [f"{program()} {arguments}" for arguments, _ in steps]
    widest = max(map(len, commands))
    text = Text("Try next\n", style="bold")
    for command, (_, why) in zip(commands, steps, strict=True):
        text.append(f"  {command:<{widest}}   ", style="cyan not bold")
        text.append(f"{why}\n", style="dim not bold")
    text.rstrip()
    return text


app = verb(
    "demo", demo, ["crossmargin demo", "crossmargin demo --live --seed 7", "crossmargin demo --live --store day --json"]
)
