"""`crossmargin rules`: list, show and compare rule books."""

from __future__ import annotations

from typing import Annotated, Any

from cyclopts import Parameter

from crossmargin.cli.listing import Listing
from crossmargin.cli.verbs import AsJson, verb

RULES = "A shipped rule book or a TOML file."

app = verb(
    "rules",
    None,
    [
        "crossmargin rules list",
        "crossmargin rules show grid",
        "crossmargin rules diff grid my-rules.toml",
    ],
    help="List, show and compare rule books.",
)


@app.command(name="list")
def list_(*, as_json: AsJson = False) -> int:
    """List the rule books that are shipped."""
    from crossmargin.cli.console import answers, write_json
    from crossmargin.rules import load, shipped

    books = [load(name) for name in shipped()]
    if as_json:
        write_json([{"name": b.name, "version": b.version, "model": b.model_name, "title": b.title} for b in books])
        return 0
    table = Listing(("Rule book", "In force from", "Model", "What it is"), left=range(4))
    for book in books:
        table.add(book.name, book.version, book.model_name, book.title)
    answers().print(table.table())
    return 0


@app.command
def show(
    rules: Annotated[str, Parameter(name="RULES", help=RULES)],
    /,
    *,
    reasons: Annotated[bool, Parameter(negative="", show_default=False, help="Show why each number is so.")] = False,
    as_json: AsJson = False,
) -> int:
    """Show every parameter of a rule book, with its unit and source."""
    from rich.text import Text

    from crossmargin.cli.books import rules_of
    from crossmargin.cli.console import answers, write_json

    book = rules_of(rules)
    if as_json:
        write_json(
            {
                "name": book.name,
                "version": book.version,
                "title": book.title,
                "model": book.model_name,
                "option_value": book.option_value,
                "source": book.source,
                "parameters": [
                    {name: getattr(p, name) for name in ("key", "value", "unit", "source", "reason")}
                    for p in book.parameters
                ],
            }
        )
        return 0
    console = answers()
    console.print(Text.assemble((book.name, "bold"), f" of {book.version}: {book.title}, model {book.model_name}"))
    console.print(Text(f"options are counted in {_counted(book.option_value)}; source: {book.source}\n", style="dim"))
    table = Listing(("Parameter", "Value", "Unit", "Reason" if reasons else "Source"), left=range(4))
    for parameter in book.parameters:
        last = parameter.reason if reasons else parameter.source
        table.add(parameter.key, _value(parameter.value), parameter.unit, last)
    console.print(table.table(wraps=(1, 2, 3)))
    return 0


@app.command
def diff(
    before: Annotated[str, Parameter(name="BEFORE", help=RULES)],
    after: Annotated[str, Parameter(name="AFTER", help=RULES)],
    /,
    *,
    as_json: AsJson = False,
) -> int:
    """Show what changes from one rule book to another."""
    from crossmargin.cli.books import rules_of
    from crossmargin.cli.console import answers, write_json
    from crossmargin.rules import difference

    old, new = rules_of(before), rules_of(after)
    changes = difference(old, new)
    if as_json:
        names = ("key", "before", "after", "unit")
        write_json([{name: getattr(change, name) for name in names} for change in changes])
        return 0
    if not changes:
        answers().print(f"{old.name} and {new.name} have the same parameters")
        return 0
    table = Listing(("Parameter", old.name, new.name, "Unit"), left=range(4))
    for change in changes:
        table.add(change.key, _value(change.before), _value(change.after), change.unit)
    answers().print(table.table(wraps=(1, 2, 3)))
    return 0


def _counted(option_value: str) -> str:
    return "equity" if option_value == "equity" else "the requirement, and not in the margin balance"


def _value(value: Any) -> str:
    """Return a parameter's value: a list on one line, the rows of a table on a line each."""
    if value is None:
        return "-"
    if isinstance(value, tuple) and value and all(map(_is_row, value)):
        return "\n".join(", ".join(f"{name} {_value(number)}" for name, number in row) for row in value)
    if isinstance(value, tuple):
        return ", ".join(_value(item) for item in value)
    return f"{value:,.6g}" if isinstance(value, float) else f"{value:,}" if type(value) is int else str(value)


def _is_row(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(part, tuple) and len(part) == 2 for part in value)
