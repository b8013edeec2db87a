"""`crossmargin margin`: how every account stands."""

from __future__ import annotations

from typing import Annotated

from cyclopts import Parameter

from crossmargin.cli.verbs import AsJson, Book, Market, RuleBook, verb


def margin(
    book: Book,
    /,
    *,
    market: Market = None,
    rules: RuleBook = None,
    account: Annotated[str | None, Parameter(metavar="ID", help="Only this account, or this pool.")] = None,
    sort: Annotated[
        str | None,
        Parameter(
            metavar="FIELD",
            help="Order by a field of an account such as equity or utilization; numbers from the largest.",
        ),
    ] = None,
    as_json: AsJson = False,
    csv: Annotated[str | None, Parameter(metavar="OUT", help="Write the accounts as a CSV file.")] = None,
    parquet: Annotated[str | None, Parameter(metavar="OUT", help="Write the accounts as a Parquet file.")] = None,
) -> int:
    """Show how every account of a book stands.

    Equity, maintenance and initial margin, what is available, the nearest liquidation price, and what cross margin
    saves: for accounts, isolated positions and pools of accounts. Exits with 1 where anything is in liquidation or
    bankrupt.
    """
    from crossmargin.cli.books import evaluated, in_trouble, index_of, only_account
    from crossmargin.cli.console import answers, warn, write_json
    from crossmargin.cli.tables import sort_by, write_table

    standing, document = evaluated(book, market, rules)
    if account is not None:
        only_account(document, account)
    if sort is not None:
        sort_by(document, sort)
    for path in (csv, parquet):
        if path is not None:
            write_table(document["accounts"], path, "csv" if path is csv else "parquet")
    if as_json:
        write_json(document)
    else:
        from crossmargin.cli.standings import footer, standings

        console = answers()
        for part in (standings(document, index_of(standing), console.width), footer(document)):
            console.print(part)
    warn(document["warnings"])
    return 1 if in_trouble(document) else 0


app = verb(
    "margin",
    margin,
    [
        "crossmargin margin demo",
        "crossmargin margin book.json --sort utilization",
        "crossmargin margin book/ --market market.json --rules standard",
        "crossmargin margin - --json < book.json",
        "crossmargin margin book/ --account alice --csv accounts.csv",
    ],
)
