"""`crossmargin compare`: one book under every rule book that can express it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from crossmargin.cli.verbs import AsJson, Book, Market, verb


def compare(
    book: Book,
    /,
    *,
    market: Market = None,
    rules: Annotated[
        tuple[str, ...],
        Parameter(
            name="--rules",
            metavar="NAME|FILE",
            negative="",
            help="Only these rule books, shipped or TOML files; may be given several times. By default all shipped.",
        ),
    ] = (),
    account: Annotated[str | None, Parameter(metavar="ID", help="Only this account, or this pool.")] = None,
    html: Annotated[
        str | None,
        Parameter(metavar="FILE", help="Write the comparison as one page with plots, to be opened anywhere."),
    ] = None,
    as_json: AsJson = False,
) -> int:
    """Margin one book under every rule book that can express it, and say why the numbers differ.

    An account a block: maintenance and initial margin under each rule book, the cheapest first, and the largest
    reasons for the difference from the book's own rule book: positions on their own, offsets within and between
    underlyings, the risk of collateral, haircuts. Rule books that cannot express the book are told of with the reason.
    An account imported from a venue's answers has a row `venue`: its own figures, each with its difference from ours.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    from crossmargin.cli.books import load, rules_of
    from crossmargin.cli.comparison import blocks, comparison_document
    from crossmargin.cli.console import answers, note, notes, write_json
    from crossmargin.cli.kernels import compilation_noted
    from crossmargin.cli.venue_figures import add_stated, stated_beside
    from crossmargin.rules import shipped
    from crossmargin.standing import Comparison
    from crossmargin.standing import compare as compared

    stated = stated_beside(book)
    loaded = load(book, market)
    own = rules_of(loaded.rules)
    wanted = {own.name: own, **{found.name: found for found in map(rules_of, rules or shipped())}}
    found = Comparison(under={}, refused={})
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with compilation_noted(), Progress(*columns, console=notes(), transient=True) as progress:
        task = progress.add_task("margining", total=len(wanted))
        for name, one in wanted.items():
            progress.update(task, description=f"margining under {name}")
            part = compared(loaded.book, loaded.market, [one])
            found.under.update(part.under)
            found.refused.update(part.refused)
            progress.advance(task)
    document = comparison_document(found, loaded.book, loaded.market, own.name, account)
    if stated is not None:
        add_stated(document, found, *stated)
    if html is not None:
        from crossmargin.cli.comparison_page import page

        Path(html).write_text(page(document), encoding="utf-8")
        note(f"written: {html}")
    if as_json:
        write_json(document)
    else:
        console = answers()
        for block in blocks(document):
            console.print(block)
    return 0


app = verb(
    "compare",
    compare,
    [
        "crossmargin compare demo",
        "crossmargin compare book.json --html report.html",
        "crossmargin compare me/ --rules brackets-okx",
        "crossmargin compare book/ --rules portfolio --rules my-rules.toml --account alice",
    ],
)
