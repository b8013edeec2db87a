"""`crossmargin verify`: golden cases through the library's own models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from crossmargin.cli.verbs import AsJson, verb

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from crossmargin.verify import CaseResult, Report


def verify(
    *files: Annotated[str, Parameter(name="FILE", help="JSON lists of golden cases.")],
    as_json: AsJson = False,
    parameters: Annotated[
        str | None,
        Parameter(
            metavar="DIR",
            env_var="CROSSMARGIN_PARAMETERS",
            help="Folder of licensed parameters that some models need.",
        ),
    ] = None,
    strict: Annotated[
        bool, Parameter(negative="", show_default=False, help="Count cases that were not run as failed.")
    ] = False,
) -> int:
    """Run golden cases through the library's own models.

    Prints a row a model, then every failure. Exits with 0 only when none failed.
    """
    from crossmargin.cli.console import answers, write_json
    from crossmargin.cli.kernels import compilation_noted
    from crossmargin.errors import InputError
    from crossmargin.verify import run

    if not files:
        raise InputError("verify", "no file", "one or more files of golden cases")
    with compilation_noted():
        report = run(files, parameters)
    if as_json:
        write_json(report.document())
    else:
        console = answers()
        console.print(_models(report))
        for case in report.failures:
            console.print(_failure(case), soft_wrap=True)
        left_out = [case for case in report.cases if case.not_run]
        if left_out:
            console.print(
                f"not run for want of licensed parameters: {len(left_out)}, {left_out[0].error}", soft_wrap=True
            )
    return report.exit_code(strict=strict)


def _models(report: Report) -> Table:
    from crossmargin.cli.listing import Listing

    names = ("cases", "passed", "failed", "not_run")
    table = Listing(("Model", "Cases", "Passed", "Failed", "Not run", "Worst error"))
    for row in report.models:
        worst = "-" if row.worst_error is None else f"{row.worst_error:.3g}"
        counts = (f"{getattr(row, name):,}" for name in names)
        table.add(row.model, *counts, worst, style="red" if row.failed else "")
    sums = (f"{sum(getattr(row, name) for row in report.models):,}" for name in names)
    table.add(f"{len(report.models)} models", *sums, "", total=True)
    return table.table()


def _failure(case: CaseResult) -> Text:
    from rich.text import Text

    text = Text()
    text.append(f"failed {case.id}", style="bold red")
    text.append(f" ({case.model}; {case.place})\n")
    text.append(f"  expected {case.expected}\n  got      {case.got}\n  error    {case.error}")
    return text


app = verb(
    "verify",
    verify,
    [
        "crossmargin verify option_pricing.json brackets_and_liquidation.json",
        "crossmargin verify cases/*.json --json",
    ],
    usage="Usage: crossmargin verify FILE... [OPTIONS]",
)
