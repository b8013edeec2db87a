"""Parameters of `margin.grid`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import POSITIVE, RATE, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Number, Numbers, by_class, by_name
from crossmargin.rules.models.shared import (
    ANY_FLOOR_BY_NAME,
    INITIAL_FACTOR,
    VOL_LONG_POWER,
    VOL_PIVOT_DAYS,
    VOL_SHORT_POWER,
)

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel
    from crossmargin.scenarios import GridShape

SHAPE = (
    Entry(
        key="range",
        kind=by_class(Number(least=0, most=1, open_most=True)),
        unit="fraction of the price",
        meaning="The largest usual price move, by asset class of the underlying.",
    ),
    Entry(
        key="range_by_name",
        kind=by_name(Number(least=0, most=1, open_most=True), "underlying"),
        unit="fraction of the price",
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="any_floor",
        kind=Number(least=0),
        unit="price units",
        meaning="Where prices may be negative, the range is a fraction of max(|price|, this).",
    ),
    ANY_FLOOR_BY_NAME,
    Entry(
        key="price_fractions",
        kind=Numbers(of=Number(least=-1, most=1), among=(0.0,)),
        unit="fraction of the range",
        meaning="The price moves of the grid.",
    ),
    Entry(
        key="vol_up",
        kind=POSITIVE,
        unit="fraction of the vol",
        meaning="How far implied vols rise at the pivot.",
    ),
    Entry(
        key="vol_down",
        kind=RATE,
        unit="fraction of the vol",
        meaning="How far implied vols fall at the pivot.",
    ),
    VOL_PIVOT_DAYS,
    VOL_SHORT_POWER,
    VOL_LONG_POWER,
    Entry(
        key="extreme_multiple",
        kind=Number(least=1),
        unit="multiple of the range",
        meaning="The two extreme moves, up and down, vols unchanged.",
    ),
    Entry(
        key="extreme_weight",
        kind=FRACTION,
        unit="fraction of the loss",
        meaning="How much of the loss in an extreme move counts.",
    ),
)
"""The grid itself."""

SHORT_OPTION_MINIMUM = Entry(
    key="short_option_minimum",
    kind=Number(least=0, most=1, open_most=True),
    unit="fraction of the index",
    meaning="The least a net short option costs, whatever the grid says.",
)

ENTRIES = (
    *SHAPE,
    SHORT_OPTION_MINIMUM,
    INITIAL_FACTOR,
)


def shape(values: Mapping[str, Any]) -> GridShape:
    """Return the grid of a book's values."""
    from crossmargin.scenarios import GridShape, TenorScaling

    return GridShape(
        range_by_class=values["range"],
        range_by_name=values.get("range_by_name", {}),
        any_floor=values["any_floor"],
        any_floor_by_name=values.get("any_floor_by_name", {}),
        price_fractions=values["price_fractions"],
        vol_up=values["vol_up"],
        vol_down=values["vol_down"],
        tenor=TenorScaling(
            pivot_days=values["vol_pivot_days"],
            short_power=values["vol_short_power"],
            long_power=values["vol_long_power"],
        ),
        extreme_multiple=values["extreme_multiple"],
        extreme_weight=values["extreme_weight"],
    )


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.grid import Grid

    return Grid(
        shape=shape(values),
        short_option_minimum=values["short_option_minimum"],
        initial_factor=values["initial_factor"],
    )


SCHEMA = ModelSchema(
    meaning="The worst cell of a price x vol grid, group by group.",
    entries=ENTRIES,
    build=_build,
)
