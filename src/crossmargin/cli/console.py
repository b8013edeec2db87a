"""Where words go: answers to stdout, everything else to stderr, colours only on a terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console

WIDTH_OF_A_PIPE = 150
"""Columns where nobody says how wide the page is: enough for every column of a table."""


WIDTH_OF_PROSE = 100
"""The same for help, which is text."""


def answers(width: int = WIDTH_OF_A_PIPE) -> Console:
    """Return the console of stdout; `width` is for where nobody says how wide the page is."""
    return _console(sys.stdout, width)


def notes() -> Console:
    """Return the console of stderr."""
    return _console(sys.stderr, WIDTH_OF_A_PIPE)


def _console(stream: TextIO, width_of_a_pipe: int) -> Console:
    from rich.console import Console

    terminal = stream.isatty()
    # Rich would otherwise colour a pipe when told by the environment: a pipe is never coloured here.
    width = None if terminal or os.environ.get("COLUMNS", "").isdigit() else width_of_a_pipe
    return Console(
        file=stream,
        width=width,
        force_terminal=terminal,
        no_color=True if os.environ.get("NO_COLOR") else None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def program() -> str:
    """Return how a reader calls this program: by its name where the shell finds it, else as it was called now."""
    import shutil
    from pathlib import Path

    if shutil.which("crossmargin"):
        return "crossmargin"
    called = Path(sys.argv[0])
    return os.path.relpath(called) if called.name == "crossmargin" else "python -m crossmargin"


def note(text: str) -> None:
    """Write one line to stderr."""
    notes().print(text, style="dim", soft_wrap=True)


def warn(warnings: Iterable[str]) -> None:
    """Write warnings to stderr, one a line."""
    console = notes()
    for warning in warnings:
        console.print(f"warning: {warning}", style="yellow", soft_wrap=True)


def refuse(text: str) -> None:
    """Write what is wrong with the input to stderr."""
    notes().print(f"error: {text}", style="bold red", soft_wrap=True)


def write_json(document: object) -> None:
    """Write one JSON document to stdout; a number that does not exist is null."""
    import msgspec

    content = msgspec.json.format(msgspec.json.encode(document), indent=2)
    sys.stdout.flush()
    sys.stdout.buffer.write(content)
    sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
