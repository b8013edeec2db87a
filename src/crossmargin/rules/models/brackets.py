"""Parameters of `margin.brackets`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import RATE, Entry, ModelSchema
from crossmargin.rules.kinds import Choice, Number, Rows, by_class, by_name

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


def _ladder(**columns: tuple[float, ...]) -> Any:
    from crossmargin.margin.brackets import Tiers as Ladder

    return Ladder(**columns)


_LADDER = Rows(
    columns={"above": Number(least=0), "initial": RATE, "maintenance": RATE},
    fields={"above": "floor", "initial": "initial_rate", "maintenance": "maintenance_rate"},
    build=_ladder,
)
_LADDER_UNIT = "notional in quote; fractions of the slice"


ENTRIES = (
    Entry(
        key="tiers",
        kind=by_class(_LADDER),
        unit=_LADDER_UNIT,
        meaning="Slices of a position's notional, each from `above` to the next, with their rates, by asset class.",
    ),
    Entry(
        key="tiers_by_underlying",
        kind=by_name(_LADDER, "underlying"),
        unit=_LADDER_UNIT,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="tiers_by_symbol",
        kind=by_name(_LADDER, "symbol"),
        unit=_LADDER_UNIT,
        meaning="The same by instrument, before its underlying.",
        required=False,
    ),
    Entry(
        key="taker_fee",
        kind=Number(least=0, most=1, open_most=True),
        unit="fraction of notional",
        meaning="The fee of the closing trade, part of maintenance margin.",
    ),
    Entry(
        key="maintenance_on",
        kind=Choice(("mark", "entry")),
        unit="none",
        meaning="Maintenance margin is charged on the value at the mark, or at entry.",
    ),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.brackets import Brackets

    return Brackets(
        tiers_by_class=values["tiers"],
        tiers_by_underlying=values.get("tiers_by_underlying", {}),
        tiers_by_symbol=values.get("tiers_by_symbol", {}),
        taker_fee=values["taker_fee"],
        maintenance_on=values["maintenance_on"],
    )


SCHEMA = ModelSchema(
    meaning="Tiered leverage for futures and perpetuals, position by position.",
    entries=ENTRIES,
    build=_build,
)
