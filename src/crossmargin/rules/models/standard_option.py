"""Parameters of `margin.standard_option`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import RATE, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Record, by_class, by_name

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


def _future_rates(**rates: float) -> Any:
    from crossmargin.margin.standard_option import FutureRates

    return FutureRates(**rates)


def _option_rates(**rates: float) -> Any:
    from crossmargin.margin.standard_option import OptionRates

    return OptionRates(**rates)


_FUTURES = Record(
    fields={"initial": RATE, "maintenance": RATE},
    optional={"initial_per_unit": FRACTION, "maintenance_per_unit": FRACTION},
    build=_future_rates,
)
_OPTIONS = Record(
    fields={
        "initial": RATE,
        "initial_least": RATE,
        "call_maintenance": RATE,
        "put_maintenance": RATE,
        "put_maintenance_of_value": FRACTION,
    },
    build=_option_rates,
)
_FUTURES_UNIT = "fraction of notional"
_OPTIONS_UNIT = "fraction of the underlying"


ENTRIES = (
    Entry(
        key="futures",
        kind=by_class(_FUTURES),
        unit=_FUTURES_UNIT,
        meaning="What futures and perpetuals owe, `per_unit` more for every unit of the underlying, by asset class.",
    ),
    Entry(
        key="futures_by_underlying",
        kind=by_name(_FUTURES, "underlying"),
        unit=_FUTURES_UNIT,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="options",
        kind=by_class(_OPTIONS),
        unit=_OPTIONS_UNIT,
        meaning="What a short option owes beside its own value: `initial` less how far it is out of the money, at "
        "least `initial_least`; the maintenance rates; a put at least `of_value` of its own value. By asset class.",
    ),
    Entry(
        key="options_by_underlying",
        kind=by_name(_OPTIONS, "underlying"),
        unit=_OPTIONS_UNIT,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.standard_option import StandardOption

    return StandardOption(
        futures_by_class=values["futures"],
        futures_by_underlying=values.get("futures_by_underlying", {}),
        options_by_class=values["options"],
        options_by_underlying=values.get("options_by_underlying", {}),
    )


SCHEMA = ModelSchema(
    meaning="Short options by formula, futures by a share of notional, position by position.",
    entries=ENTRIES,
    build=_build,
)
