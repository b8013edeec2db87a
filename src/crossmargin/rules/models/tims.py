"""Parameters of `margin.tims`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Choice, Name, Number, Record, by_class, by_name
from crossmargin.rules.models.shared import INITIAL_FACTOR

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


def _range(**fields: float) -> Any:
    from crossmargin.margin.tims import PointRange

    return PointRange(**fields)


_RANGE = Record(
    fields={"up": Number(least=0), "down": Number(least=0, most=1, open_most=True)},
    build=_range,
)
_UNIT = "fraction of the price"
_AS_EUROPEAN = "as european"

ENTRIES = (
    Entry(
        key="range",
        kind=by_class(_RANGE),
        unit=_UNIT,
        meaning="How far the valuation points of a class reach, five steps either way, by asset class.",
    ),
    Entry(
        key="range_by_underlying",
        kind=by_name(_RANGE, "underlying"),
        unit=_UNIT,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="any_floor",
        kind=Number(least=0, open_least=True),
        unit="price units",
        meaning="Where prices may be negative, points are fractions of max(|price|, this).",
    ),
    Entry(
        key="product_group",
        kind=by_name(Name(), "underlying"),
        unit="none",
        meaning="The product group of an underlying; one that has none is a group of its own.",
        required=False,
    ),
    Entry(
        key="offset",
        kind=by_name(FRACTION, "product group"),
        unit="fraction of the gain",
        meaning="How much of a class's gain counts against the losses of other classes of its product group.",
        required=False,
    ),
    Entry(
        key="contract_minimum",
        kind=Number(least=0),
        unit="quote units a unit of the underlying",
        meaning="The least every contract owes, long or short, times its size.",
    ),
    Entry(
        key="american",
        kind=Choice(("refused", _AS_EUROPEAN)),
        unit="none",
        meaning="American options: refused, or revalued as European ones at the vol of their own mark.",
    ),
    INITIAL_FACTOR,
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.tims import Tims

    return Tims(
        range_by_class=values["range"],
        range_by_underlying=values.get("range_by_underlying", {}),
        product_group=values.get("product_group", {}),
        offset=values.get("offset", {}),
        contract_minimum=values["contract_minimum"],
        american_as_european=values["american"] == _AS_EUROPEAN,
        any_floor=values["any_floor"],
        initial_factor=values["initial_factor"],
    )


SCHEMA = ModelSchema(
    meaning="Ten price points a class, offsets inside product groups, a minimum a contract.",
    entries=ENTRIES,
    build=_build,
)
