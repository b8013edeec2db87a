"""The list of verbs, and what becomes of errors."""

from __future__ import annotations

import os
import platform
import sys
import traceback
from collections.abc import Sequence
from importlib import import_module

from cyclopts import App, CycloptsError, Group

from crossmargin import __version__
from crossmargin.cli.console import WIDTH_OF_PROSE, answers, notes, refuse
from crossmargin.cli.verbs import LONG_HELP
from crossmargin.errors import CrossmarginError

REFUSED, OUR_FAULT, INTERRUPTED, NOBODY_READS = 2, 3, 130, 141

_DASH = "\0"
"""Stands for a lone `-` while arguments are parsed, which would be taken for an option; no argument can contain it."""

VERBS = {
    "demo": ("demo", "Show what crossmargin does, on a book that ships with it."),
    "margin": ("margin", "Show how every account of a book stands."),
    "compare": ("compare", "Margin one book under every rule book, and say why the numbers differ."),
    "explain": ("explain", "Show how every number of one account came about."),
    "rules": ("rules", "List, show and compare rule books."),
    "import": ("importing", "Turn a venue's file into instruments, a market and positions."),
    "verify": ("verify", "Run golden cases through the library's own models."),
    "audit": ("audit", "Check a journal: its chain, its money, its snapshots."),
    "replay": ("replay", "Show the clearing house as it was at any past instant."),
    "init": ("init", "Write a small book to start from."),
    "schema": ("schema", "Print the JSON Schema of a book."),
    "warm": ("warm", "Compile every kernel now, so that nothing waits for it later."),
}
"""Verb -> (file, what it does). A file is imported only when its verb is asked for."""


def build(asked: str | None = None) -> App:
    """Return the command line; the verb that is `asked` for tells more of itself in its help."""
    app = App(
        name="crossmargin",
        version=__version__,
        help="Cross margin for any mix of assets: what every account of a book must have, and how it stands.",
        help_format="rich",
        help_epilogue=(
            "Start with [bold]crossmargin demo[/bold]. [bold]crossmargin margin --help[/bold] shows examples; "
            "so does every verb."
        ),
        group_commands=Group("Options", sort_key=2),
        console=answers(WIDTH_OF_PROSE),
        error_console=notes(),
    )
    group = Group("Verbs", sort_key=1)
    for order, (verb, (module, summary)) in enumerate(VERBS.items()):
        if verb == asked:
            import_module(f"crossmargin.cli.{module}")
        app.command(
            f"crossmargin.cli.{module}:app",
            name=verb,
            help=LONG_HELP.get(verb, summary) if verb == asked else summary,
            group=group,
            sort_key=order,
        )
    app.command(
        "crossmargin.cli.completion:install",
        name="--install-completion",
        help="Install shell completion for bash, zsh or fish.",
    )
    return app


def run(given: Sequence[str]) -> int:
    """Run one command line and return its exit code; never raises."""
    for stream in (sys.stdout, sys.stderr):
        # A terminal that cannot show a letter gets a question mark, not a traceback.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        code = _run(given)
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # Python flushes once more on its way out: into nothing.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return NOBODY_READS
    except KeyboardInterrupt:
        notes().print("interrupted", style="yellow")
        return INTERRUPTED
    except CrossmarginError as error:
        refuse(str(error))
        return REFUSED
    except CycloptsError as error:
        refuse(str(error).replace(_DASH, "-"))
        notes().print(f"see: crossmargin {_verb(given)}--help", style="dim")
        return REFUSED
    except Exception:
        _confess(given)
        return OUR_FAULT


def _run(given: Sequence[str]) -> int:
    app = build(given[0] if given else None)
    tokens = [_DASH if token == "-" else token for token in given]
    command, bound, _ = app.parse_args(tokens, exit_on_error=False, print_error=False)
    for name, value in bound.arguments.items():
        if isinstance(value, tuple):
            bound.arguments[name] = tuple(_undashed(part) for part in value)
        else:
            bound.arguments[name] = _undashed(value)
    result = command(*bound.args, **bound.kwargs)
    return result if isinstance(result, int) else 0


def _undashed(value: object) -> object:
    return "-" if value == _DASH else value


def _verb(given: Sequence[str]) -> str:
    return f"{given[0]} " if given and given[0] in VERBS else ""


def _confess(given: Sequence[str]) -> None:
    """Tell of a fault of ours: the traceback, and what a report needs."""
    console = notes()
    console.print(traceback.format_exc().rstrip(), soft_wrap=True)
    console.print("This is a fault of crossmargin, not of your input.", style="bold red")
    console.print(
        "Please report it on the project's issue tracker with the lines above and this one: "
        f"crossmargin {__version__}, Python {platform.python_version()}, {platform.platform()}, "
        f"verb {_verb(given).strip() or 'none'}",
        soft_wrap=True,
    )
