"""The command line: one verb a file.

Here: arguments, tables people read, where words go and exit codes. Never here: a formula, a file format, a rule.

Conventions. The answer goes to stdout; progress, warnings, compilation notes and errors go to stderr; `--json`
writes one document to stdout and nothing else. Colours only on a terminal. Exit codes: 0 well; 1 an account, pool or
isolated position is in liquidation or bankrupt, or a golden case failed; 2 input that is refused; 3 our own fault;
130 interrupted; 141 the reader of stdout has left. Verbs import the library when they run, so that help is quick.
"""

from crossmargin.cli.entrance import main

__all__ = ["main"]
