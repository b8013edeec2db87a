"""The reference page of rule books, made from the schema and the shipped TOML.

`python -m crossmargin.rules.reference` prints it.
"""

from __future__ import annotations

from collections.abc import Iterable

from crossmargin.rules.entry import Entry
from crossmargin.rules.kinds import Kind, Record, Rows, Table
from crossmargin.rules.loader import load, shipped
from crossmargin.rules.models import MODELS
from crossmargin.rules.rules import Parameter
from crossmargin.rules.schema import COMMON

_HEAD = """# Rule books

<!-- Made by `python -m crossmargin.rules.reference`; a test compares it with what ships. Do not edit by hand. -->

A rule book says which margin model applies, with which parameters, from which day. It is one TOML file. Code holds no
number of its own: every parameter states its value, unit and source, and the unit must be the one this page gives.
A book that departs from the schema is refused with file, key, what was found and what is allowed.

`crossmargin rules list` names the shipped books, `rules show NAME` prints one, `rules diff A B` what differs. A path
is taken wherever a name is: `crossmargin margin BOOK --rules mine.toml`.

## A book of your own

Start from a shipped book and change what you mean to change. Tables by class, name or tier change entry by entry;
everything else is replaced whole. The model is the parent's.

```toml
name = "mine"
version = "2026-11-20"
extends = "grid"

[parameters.range]
value = { crypto = 0.25 }
unit = "fraction of the price"
source = "risk committee, 2026-11-18"
reason = "Two coins listed this month moved 22% in a day."

[parameters.call_level]
value = "none"
unit = "multiple of maintenance margin"
source = "risk committee, 2026-11-18"
```

Or write a whole one. `historical` has no shipped book: its scenarios are the daily closes that a book brings in
`market.history`.

```toml
name = "history"
version = "2026-11-20"
title = "Filtered expected shortfall"
model = "historical"
option_value = "equity"
source = "risk committee, 2026-11-18"

[parameters.measure]
value = "es"
unit = "none"
source = "risk committee"

[parameters.confidence]
value = 0.99
unit = "fraction of the windows"
source = "risk committee"

[parameters.lookback_days]
value = 750
unit = "days"
source = "risk committee"

[parameters.horizon_days]
value = { crypto = 1, stablecoin = 1, other = 2 }
unit = "days"
source = "risk committee"

[parameters.minimum_days]
value = 250
unit = "days"
source = "risk committee"

[parameters.filtered]
value = true
unit = "none"
source = "risk committee"

[parameters.decay]
value = 0.97
unit = "fraction a day"
source = "risk committee"

[parameters.initial_factor]
value = 1.25
unit = "multiple of maintenance margin"
source = "risk committee"

[parameters.liquidation_buffer]
value = 0.05
unit = "fraction of maintenance margin"
source = "risk committee"

[parameters.credit]
value = { prime = 1.0, standard = 1.0, basic = 1.25 }
unit = "multiple of initial margin"
source = "risk committee"

[parameters.haircut]
value = { stablecoin = 0.01, other = 0.20 }
unit = "fraction of the quantity held"
source = "risk committee"

[parameters.haircut_by_name]
value = { BTC = [[100, 0.05], ["rest", 0.20]] }
unit = "fraction of the quantity held"
source = "risk committee"

[parameters.haircut_reporting_currency]
value = 0.0
unit = "fraction of the quantity held"
source = "risk committee"

[parameters.transfer_k]
value = 2.33
unit = "standard deviations"
source = "99% quantile of the normal distribution"

[parameters.transfer_vol]
value = { fx = 0.09, stablecoin = 0.10, other = 1.2 }
unit = "fraction a year"
source = "risk committee"
```

## Head

| key | what |
| --- | --- |
| `name` | what the book is called |
| `version` | the day it is in force from, YYYY-MM-DD |
| `title` | one line for people |
| `model` | @MODELS@ |
| `extends` | a shipped book to start from; only `name` and `version` are then required |
| `option_value` | `equity`, or `excluded` where the requirement already contains the options' value |
| `source` | where the book comes from |

Each parameter is a table `[parameters.<key>]` with `value`, `unit`, `source` and, where wanted, `reason`. Empty cells
below repeat the line above.
"""


def reference() -> str:
    """Return the page as Markdown."""
    page = [_HEAD.replace("@MODELS@", ", ".join(f"`{name}`" for name in MODELS))]
    page.append("## Parameters of every book\n")
    page.append(_entries(COMMON))
    for name, model in MODELS.items():
        page.append(f"## Parameters of `{name}`\n\n{model.meaning}\n")
        page.append(_entries(model.entries))
    for name in shipped():
        rules = load(name)
        page.append(
            f"## Shipped: `{name}`\n\n{rules.title}. Model `{rules.model_name}`, in force from {rules.version}, "
            f"option value: {rules.option_value}. Source: {rules.source}.\n"
        )
        page.append(_parameters(rules.parameters))
    return "\n".join(page)


def _entries(entries: tuple[Entry, ...]) -> str:
    return _table(
        ("key", "value", "unit", "meaning"),
        [
            (
                f"`{entry.key}`" if entry.required else f"`{entry.key}` (may be left out)",
                _allowed(entry.kind),
                entry.unit,
                entry.meaning,
            )
            for entry in entries
        ],
    )


def _allowed(kind: Kind) -> str:
    match kind:
        case Table():
            required = f" ({' and '.join(kind.required)} required)" if kind.required else ""
            return f"table by {kind.what}{required}: {_allowed(kind.of)}"
        case Record():
            inner = [f"`{key}`: {number.allowed}" for key, number in (*kind.fields.items(), *kind.optional.items())]
            return f"table of {'; '.join(inner)}"
        case Rows():
            inner = [f"`{key}`: {number.allowed}" for key, number in kind.columns.items()]
            return f"list of tables of {'; '.join(inner)}"
    return kind.allowed


def _parameters(parameters: tuple[Parameter, ...]) -> str:
    rows = []
    last: tuple[str, ...] = ()
    for p in parameters:
        about = (p.key.split(".")[0], p.unit, p.source, p.reason)
        # Entries of one table mostly share their source: it is told once.
        rows.append((f"`{p.key}`", p.text, *(("", "", "") if about == last else about[1:])))
        last = about
    return _table(("key", "value", "unit", "source", "reason"), rows)


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in lines)


if __name__ == "__main__":
    print(reference(), end="")
