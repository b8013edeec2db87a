"""What all verbs share: how their help looks, and the arguments that mean the same everywhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from inspect import cleandoc
from typing import Annotated, Any

from cyclopts import App, Parameter

LONG_HELP: dict[str, str] = {}
"""By verb, of those imported so far: what its own help says, where the list of verbs has one line."""

BOOK = "A JSON or TOML document, a folder, - for standard input, or the word demo for the shipped book."

Book = Annotated[str, Parameter(name="BOOK", help=BOOK)]
Market = Annotated[
    str | None,
    Parameter(
        name="--market", metavar="FILE", help="A file whose market replaces the book's; its instruments are added."
    ),
]
RuleBook = Annotated[
    str | None,
    Parameter(
        name="--rules",
        metavar="NAME|FILE",
        help="A shipped rule book or a TOML file, in place of the one the book names.",
    ),
]
AsJson = Annotated[
    bool, Parameter(name="--json", negative="", show_default=False, help="Write one JSON document to stdout.")
]


def verb(name: str, run: Callable[..., Any] | None, examples: Sequence[str], **more: Any) -> App:
    """Return the verb that calls `run`, its help closing with examples."""
    lines = "\n".join(f"  [cyan]{line}[/cyan]" for line in examples)
    epilogue = f"[bold]Examples[/bold]\n\n{lines}"
    if run is not None:
        paragraphs = cleandoc(run.__doc__ or "").split("\n\n")
        LONG_HELP[name] = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    app = App(name=name, help_epilogue=epilogue, help_format="rich", version_flags=[], **more)
    if run is not None:
        app.default(run)
    return app
