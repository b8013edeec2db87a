"""Parameters of `margin.strategy`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import RATE, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Number, Record, by_class, by_name

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


def _uncovered(**rates: float) -> Any:
    from crossmargin.margin.strategy import UncoveredRates

    return UncoveredRates(**rates)


def _short(**rates: float) -> Any:
    from crossmargin.margin.strategy import ShortRates

    return ShortRates(**rates)


_UNCOVERED = Record(fields={"share": RATE, "least": RATE}, optional={"floor": Number(least=0)}, build=_uncovered)
_UNIT = "fraction of the underlying"

ENTRIES = (
    Entry(
        key="uncovered",
        kind=by_class(_UNCOVERED),
        unit=_UNIT,
        meaning="What an uncovered short option owes beside its own value: `share` less how far it is out of the "
        "money, at least `least` (of a put: of the strike); in all at least `floor`, in quote. By asset class.",
    ),
    Entry(
        key="uncovered_by_underlying",
        kind=by_name(_UNCOVERED, "underlying"),
        unit=_UNIT,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="covered",
        kind=FRACTION,
        unit="fraction of the intrinsic value",
        meaning="What a short call on shares held, or a short put on shares owed, owes; 1 where left out. Below 1 "
        "shares that are to be delivered below their price count for more than they will bring.",
        required=False,
    ),
    Entry(
        key="short_asset",
        kind=by_class(Record(fields={"initial": FRACTION, "maintenance": FRACTION}, build=_short)),
        unit="fraction of the value owed",
        meaning="What a borrowed asset owes beside being owed, by its class; the reporting currency owes nothing.",
    ),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.strategy import Strategy

    return Strategy(
        uncovered_by_class=values["uncovered"],
        uncovered_by_underlying=values.get("uncovered_by_underlying", {}),
        short_asset_by_class=values["short_asset"],
        covered=values.get("covered", 1.0),
    )


SCHEMA = ModelSchema(
    meaning="Options in spreads, straddles and covered positions, grouped as cheaply as can be.",
    entries=ENTRIES,
    build=_build,
)
