"""Pages that cannot lie: references made from the code, and snippets run with their output put below them.

`python -m tests.cli.pages` writes them anew; a test compares. In a page or the README:

- a `console` fence is run line by line in a shell (`$ crossmargin ...`), and what it prints to stdout stands below;
- a `python` fence is run, and a `text` fence right after it is what it prints;
- a fence with a title is a file of that name. All fences of one page share one folder, empty at first.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console

import crossmargin
from crossmargin.cli.entrance import VERBS, build
from crossmargin.files import schema
from tests.cli.clearing_page import clearing

ROOT = Path(__file__).resolve().parent.parent.parent
WIDTH = 100
MADE = "<!-- Made by `python -m tests.cli.pages`; a test compares it with the code. Do not edit by hand. -->"
FENCE = re.compile(r"^```(\w+)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.M | re.S)
OTHERS = ("golden-cases.md", "journals.md", "rule-books.md")
"""References that are made and held true elsewhere."""
NOT_RUN = ("scenarios.md",)
"""Pages whose snippets start in the middle: what they use comes from a house rule book's own code."""


# --- references


def cli():
    """Return the page of every verb's help."""
    pages = [("crossmargin", [])]
    pages += [(f"crossmargin {verb}", [verb]) for verb in VERBS]
    at = next(k for k, (name, _) in enumerate(pages) if name == "crossmargin rules") + 1
    pages[at:at] = [(f"crossmargin rules {what}", ["rules", what]) for what in ("list", "show", "diff")]
    parts = ["# The command line", MADE, _CODES]
    for name, arguments in pages:
        parts += [f"## {name}", f"```text\n{_help(arguments)}\n```"]
    return "\n\n".join(parts) + "\n"


_CODES = """\
The answer goes to stdout. Progress, warnings and errors go to stderr, and `--json` writes one document to stdout and
nothing else. Colours are for terminals only; `NO_COLOR` is respected.

| exit code | says |
|---|---|
| 0 | all is well |
| 1 | `margin`: somebody is in liquidation or bankrupt. `verify`: a case failed. `audit`, `demo --live`: money lost |
| 2 | the input is refused; stderr says where, what was found and what is allowed |
| 3 | a fault of crossmargin; stderr has the traceback |
| 130, 141 | interrupted; the reader of stdout has left |

`BOOK` is always a JSON or TOML document, a folder, `-` for standard input, or `demo` for the book that is shipped."""


def _help(arguments):
    told = io.StringIO()
    console = Console(file=told, width=WIDTH, force_terminal=False, no_color=True, highlight=False)
    build(arguments[0] if arguments else None).help_print(arguments, console=console)
    return "\n".join(line.rstrip() for line in told.getvalue().strip().splitlines())


def python():
    """Return the page of the names of the package."""
    parts = [
        "# The Python package",
        MADE,
        "`import crossmargin as cm` gives the names a newcomer needs. Each room (`crossmargin.book`, "
        "`crossmargin.pricing` and so on, see [architecture](../explanation/architecture.md)) opens with a card that "
        "says what lives there and in which units and signs.",
        "| name | what it is | room |\n|---|---|---|",
    ]
    for name in crossmargin.__all__:
        if not name.startswith("__"):
            parts[-1] += f"\n| `{name}` | {_first_line(name)} | `crossmargin.{crossmargin._ROOM_OF[name]}` |"
    return "\n\n".join(parts) + "\n"


def _first_line(name):
    lines = getattr(crossmargin, name).__doc__.strip().split("\n\n")[0]
    return " ".join(lines.split())


def book():
    """Return the page of what a book may contain."""
    whole = schema()
    parts = [
        "# A book",
        MADE,
        "What a book may contain, as JSON or TOML; `crossmargin schema` prints it as JSON Schema. In a folder any "
        "section may be a file of its own: `instruments.csv`, `market.json`, `accounts.csv`, `balances.csv`, "
        "`positions.csv`, `rules.toml` (CSV or Parquet; an empty cell is an absent one), with the rest in `book.toml` "
        "or `book.json`.",
        "Quantities are contracts, long > 0, short < 0. Rates, vols and haircuts are fractions; rates are continuous. "
        "Times are ISO 8601 with their zone. A number may be written as a number or as decimal text. A field that is "
        "not on this page is refused.",
    ]
    sections = [("The document", whole), *((name, whole["$defs"][name]) for name in _ORDER)]
    assert sorted(_ORDER) == sorted(whole["$defs"]), "a new kind of entry has no place on this page"
    for name, part in sections:
        parts.append(f"## {name}")
        if name != "The document":
            parts.append(part["description"])
        rows = ["| field | is | |", "|---|---|---|"]
        for field, what in part["properties"].items():
            required = "required" if field in part.get("required", ()) else ""
            told = ". ".join(text for text in (required, _described(what).rstrip(".")) if text)
            rows.append(f"| `{field}` | {_kind(what)} | {told} |")
        parts.append("\n".join(rows))
    return "\n\n".join(parts) + "\n"


_ORDER = ("Instrument", "Market", "Mark", "Vol", "Account", "Balance", "Position", "Pool", "Location", "Asset", "Order")


def _described(what):
    if "description" in what:
        return what["description"].replace("|", "\\|")
    return next((part["description"] for part in what.get("anyOf", ()) if "description" in part), "")


def _kind(what):
    if "enum" in what:
        return ", ".join(f"`{value}`" for value in what["enum"] if value is not None)
    if "$ref" in what:
        name = what["$ref"].rsplit("/", 1)[1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in what:
        kinds = dict.fromkeys(_kind(part) for part in what["anyOf"] if part.get("type") != "null")
        names = [name for name in kinds if name]
        # Decimal text stands for a number everywhere; saying so in every row helps nobody.
        names = [name for name in names if name != "text" or "number" not in names]
        return " or ".join(names)
    if what.get("type") == "array":
        return f"list of {_kind(what['items'])}" if "items" in what else "list"
    if what.get("type") == "object":
        inner = what.get("additionalProperties")
        return f"mapping to {_kind(inner)}" if isinstance(inner, dict) else "mapping"
    return {"string": "text", "number": "number", "boolean": "true or false", "integer": "whole number"}.get(
        what.get("type", ""), "list" if "prefixItems" in what else "value"
    )


REFERENCES = {"cli.md": cli, "python.md": python, "book.md": book, "clearing.md": lambda: clearing(MADE)}


# --- snippets


def refreshed(text):
    """Return a page with what its console and python fences print now."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        programs = folder / ".bin"
        programs.mkdir()
        for name, call in (("crossmargin", "-m crossmargin"), ("python", "")):
            program = programs / name
            program.write_text(f'#!/bin/sh\nexec "{sys.executable}" {call} "$@"\n')
            program.chmod(0o755)
        printed = None
        out, last = [], 0
        for fence in FENCE.finditer(text):
            kind, title, body = fence.groups()
            between = text[last : fence.start()]
            out.append(between)
            if title:
                path = folder / title
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(body)
            if kind == "console":
                body = _console(body, folder)
            elif kind == "text" and printed is not None and not between.strip():
                body = printed
            printed = _python(body, folder) if kind == "python" else None
            head = f"```{kind}" + (f' title="{title}"' if title else "")
            out.append(f"{head}\n{body}```")
            last = fence.end()
        return "".join(out) + text[last:]


def _environment(folder):
    clean = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    return {**clean, "COLUMNS": str(WIDTH), "PATH": f"{folder / '.bin'}:{os.environ['PATH']}"}


def _console(body, folder):
    lines = []
    for command in re.findall(r"^\$ (.*(?:\\\n.*)*)$", body, re.M):
        ran = subprocess.run(
            command,
            shell=True,
            cwd=folder,
            env=_environment(folder),
            capture_output=True,
            text=True,
            check=False,
        )
        # 1 and 2 are answers of ours; what Python itself has to say is not.
        assert ran.returncode in (0, 1, 2), (command, ran.stderr)
        assert "Traceback" not in ran.stderr, (command, ran.stderr)
        assert "No module named" not in ran.stderr, (command, ran.stderr)
        lines.append(f"$ {command}\n" + "".join(f"{line.rstrip()}\n" for line in ran.stdout.splitlines()))
    return "".join(lines)


def _python(body, folder):
    told = io.StringIO()
    before = Path.cwd()
    os.chdir(folder)
    try:
        with contextlib.redirect_stdout(told):
            exec(compile(body, "snippet", "exec"), {"__name__": "__main__"})
    finally:
        os.chdir(before)
    return told.getvalue()


def pages():
    """Return every page with snippets."""
    found = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    return [page for page in found if page.parent.name != "reference" and page.name not in NOT_RUN]


def main():
    for name, make in REFERENCES.items():
        (ROOT / "docs" / "reference" / name).write_text(make(), encoding="utf-8")
    for page in pages():
        page.write_text(refreshed(page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
