"""What a venue states of an account itself: its equity and margins, kept beside what was imported (venue.json)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from dataclasses import field as field_of
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import Any

from crossmargin.errors import nearest
from crossmargin.units import iso, utc
from crossmargin.venues.document import read_json
from crossmargin.venues.fields import Fields

FILE = "venue.json"
"""Its name in the folder of an imported account."""

FIGURES = ("equity", "margin_balance", "initial_margin", "maintenance_margin", "notional")
"""What may be stated: equity before haircuts, what requirements are held against, and of a position its size."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One figure of an account, or of a position of it, as the venue states it."""

    what: str
    """One of FIGURES."""
    account: str
    symbol: str | None = None
    """The position it is of, alone; None: the whole account."""
    unit: str
    """The asset it is in."""
    amount: float
    field: str
    """Its field in the venue's answer."""
    contains: Mapping[str, float] = field_of(default_factory=dict)
    """Parts of it that the imported account does not have, in words, in `unit`."""
    reasons: tuple[str, ...] = ()
    """What else is known of how the venue comes to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stated:
    """Everything a venue's answers state."""

    venue: str
    time: datetime | None
    figures: tuple[Figure, ...]
    lacking: tuple[str, ...] = ()
    """What the answers do not say, in words."""
    notes: tuple[str, ...] = ()
    """What was assumed or derived, in words."""


def write_stated(stated: Stated, path: Path) -> None:
    """Write what a venue states as JSON."""
    document = {
        "venue": stated.venue,
        "time": None if stated.time is None else iso(stated.time),
        "figures": [
            {
                "what": one.what,
                "account": one.account,
                "symbol": one.symbol,
                "unit": one.unit,
                "amount": one.amount,
                "field": one.field,
                "contains": dict(one.contains),
                "reasons": list(one.reasons),
            }
            for one in stated.figures
        ],
        "lacking": list(stated.lacking),
        "notes": list(stated.notes),
    }
    path.write_text(json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False) + "\n", encoding="utf-8")


def read_stated(path: Path) -> Stated:
    """Return what a venue states; raise InvalidFile with the path of the field at fault."""
    whole = Fields.of(str(path), read_json(path, "what a venue states of an account"))
    _known(whole, ("venue", "time", "figures", "lacking", "notes"))
    time = None
    if whole.has("time"):
        text = whole.text("time")
        try:
            time = utc(text)
        except ValueError as error:
            raise whole.refuse("time", str(error), "ISO 8601 in UTC") from None
    return Stated(
        venue=whole.text("venue"),
        time=time,
        figures=tuple(_figure(row) for row in whole.rows("figures")),
        lacking=_texts(whole, "lacking"),
        notes=_texts(whole, "notes"),
    )


def _figure(row: Fields) -> Figure:
    _known(row, ("what", "account", "symbol", "unit", "amount", "field", "contains", "reasons"))
    parts = row.inside("contains") if row.has("contains") else Fields(f"{row.place}.contains", {})
    return Figure(
        what=row.choice("what", {name: name for name in FIGURES}),
        account=row.text("account"),
        symbol=row.text("symbol") if row.has("symbol") else None,
        unit=row.text("unit"),
        amount=_float(row, "amount"),
        field=row.text("field"),
        contains={name: _float(parts, name) for name in parts.values},
        reasons=_texts(row, "reasons"),
    )


def _float(row: Fields, field: str) -> float:
    number = float(row.needed(field))
    if not isfinite(number):
        raise row.refuse(field, str(number), "a finite number")
    return number


def _texts(row: Fields, field: str) -> tuple[str, ...]:
    value: Any = row.values.get(field) or []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise row.refuse(field, "anything else", "a list of texts")
    return tuple(value)


def _known(row: Fields, names: tuple[str, ...]) -> None:
    for name in row.values:
        if name not in names:
            raise row.refuse(name, "an unknown field", ", ".join(names), nearest(name, names))
