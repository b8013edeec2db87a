"""Parameters of `margin.historical`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import Entry, ModelSchema
from crossmargin.rules.kinds import Choice, Flag, Number
from crossmargin.rules.models.shared import HORIZON_DAYS, INITIAL_FACTOR

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel

ENTRIES = (
    Entry(
        key="measure",
        kind=Choice(("es", "var")),
        unit="none",
        meaning="Expected shortfall, the mean of the worst losses, or value at risk, the least of them.",
    ),
    Entry(
        key="confidence",
        kind=Number(least=0.5, most=1, open_most=True),
        unit="fraction of the windows",
        meaning="The share of windows that are not among the worst.",
    ),
    Entry(
        key="lookback_days",
        kind=Number(least=1, whole=True),
        unit="days",
        meaning="How many windows are looked at, one opening a day.",
    ),
    HORIZON_DAYS,
    Entry(
        key="minimum_days",
        kind=Number(least=2, whole=True),
        unit="days",
        meaning="Closes that an underlying must have.",
    ),
    Entry(
        key="filtered",
        kind=Flag(),
        unit="none",
        meaning="Whether returns are rescaled from the vol of their day to the vol of today.",
    ),
    Entry(
        key="decay",
        kind=Number(least=0, most=1, open_least=True, open_most=True),
        unit="fraction a day",
        meaning="Weight of yesterday's variance in today's; used where filtered.",
    ),
    INITIAL_FACTOR,
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.historical import Historical

    return Historical(**{entry.key: values[entry.key] for entry in ENTRIES})


SCHEMA = ModelSchema(
    meaning="The worst windows of daily closes the book brings, all underlyings jointly.",
    entries=ENTRIES,
    build=_build,
)
