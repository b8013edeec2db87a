"""`crossmargin explain`: how every number of one account came about."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from crossmargin.cli.verbs import BOOK, AsJson, Market, RuleBook, verb


def explain(
    first: Annotated[str, Parameter(name="ACCOUNT", help="The id of an account or of a pool.")],
    second: Annotated[str | None, Parameter(name="BOOK", help=BOOK)] = None,
    /,
    *,
    account: Annotated[
        str | None,
        Parameter(metavar="ID", help="The account, where it is not an argument: explain BOOK --account ID."),
    ] = None,
    scenario: Annotated[
        str | None,
        Parameter(metavar="NAME", help="Show what every position makes in this scenario; worst for the worst one."),
    ] = None,
    joint: Annotated[
        bool,
        Parameter(
            negative="",
            show_default=False,
            help="Show the most likely joint move of prices and vols that leads to liquidation.",
        ),
    ] = False,
    max_order: Annotated[
        str | None, Parameter(metavar="SYMBOL", help="Show how many more contracts it can buy or sell.")
    ] = None,
    target: Annotated[
        float, Parameter(metavar="U", help="Initial margin may be this share of the margin balance; for --max-order.")
    ] = 1.0,
    limit: Annotated[
        float | None, Parameter(metavar="PRICE", help="At this price; for --max-order. By default the mark.")
    ] = None,
    market: Market = None,
    rules: RuleBook = None,
    as_json: AsJson = False,
) -> int:
    """Show how every number of one account came about.

    From its balances and positions to net value, haircut and equity; from scenarios to requirement; who causes how
    much of it; where it would be liquidated; what cross margin saves. Every list adds up to the number below it.
    """
    from crossmargin.cli.books import any_domain_of, evaluated, index_of, only_account, option_worth_of
    from crossmargin.cli.console import answers, warn, write_json

    name, book = _named(first, second, account)
    standing, document = evaluated(book, market, rules)
    only_account(document, name)
    made = None
    if scenario is not None:
        from crossmargin.cli.scenario import made_in

        made = made_in(standing, document, scenario)
    told = next(entry for entry in (*document["accounts"], *document["pools"]) if entry["id"] == name)
    if joint or max_order is not None:
        from crossmargin.cli.kernels import compilation_noted
        from crossmargin.cli.outlook import max_order_of, most_likely_breach_of

        with compilation_noted():
            if joint:
                told["most_likely_breach"] = most_likely_breach_of(standing, name)
            if max_order is not None:
                told["max_order"] = max_order_of(standing, name, max_order, target, limit)
    if as_json:
        write_json(document if made is None else {**document, "scenario": made})
    else:
        from crossmargin.cli.explanation import explanation, scenario_table

        console = answers()
        for part in explanation(document, name, index_of(standing), option_worth_of(standing)):
            console.print(part)
        if joint or max_order is not None:
            from crossmargin.cli.outlook import outlook

            for part in outlook(told, index_of(standing), any_domain_of(standing)):
                console.print(part)
        if made is not None:
            for part in scenario_table(made, document["currency"]):
                console.print(part)
    warn(document["warnings"])
    return 0


def _named(first: str, second: str | None, account: str | None) -> tuple[str, str]:
    """Return (account, book), whichever of the ways it was said in."""
    from os.path import exists

    from crossmargin.cli.books import DEMO, STANDARD_INPUT
    from crossmargin.errors import InputError

    if account is not None:
        if second is not None:
            raise InputError("explain", f"the accounts {first!r} and {account!r}", "one account")
        return account, first
    if second is None:
        raise InputError("explain", f"{first!r} alone", "an account and a book: explain ACCOUNT BOOK")
    if first in (STANDARD_INPUT, DEMO) or (exists(first) and not exists(second) and second not in (DEMO,)):
        return second, first
    return first, second


app = verb(
    "explain",
    explain,
    [
        "crossmargin explain silas-options demo",
        "crossmargin explain silas-options demo --scenario worst",
        'crossmargin explain alice book.json --scenario "BTC price +16.0% vol up"',
        "crossmargin explain book.json --account alice --json",
        "crossmargin explain harper-basis demo --joint",
        "crossmargin explain harper-basis demo --max-order BTC-PERP --target 0.8",
    ],
    usage="Usage: crossmargin explain ACCOUNT BOOK [OPTIONS]",
)
