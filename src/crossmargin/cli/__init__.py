"""The command line: one verb a file.

Here: arguments, tables people read, where words go and exit codes. Never here: a formula, a file format, a rule.

Conventions. The answer goes to stdout; progress, warnings, compilation notes and errors go to stderr; `--json`
writes one document to stdout and nothing else. Colours only on a terminal. Exit codes: 0 well; 1 an account, pool or
isolated position is in liquidation or bankrupt, or a golden case failed; 2 input that is refused; 3 our own fault;
130 interrupted; 141 the reader of stdout has left. Verbs import the library when they run, so that help is quick.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

__all__ = ["main"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command line (None: that of this process) and return its exit code; never raises."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if given == ["--version"]:
        # What scripts ask most often needs no parser.
        from crossmargin import __version__

        print(__version__)
        return 0
    from crossmargin.cli.entrance import run

    return run(given)
