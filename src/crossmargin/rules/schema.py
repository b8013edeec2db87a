"""The schema: every parameter a rule book may have, its unit, its range, and the model built from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.rules.kinds import (
    FRACTION,
    Choice,
    Flag,
    Haircut,
    Kind,
    Number,
    Numbers,
    Record,
    Rows,
    by_class,
    by_name,
    by_tier,
)

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One parameter a rule book has or may have."""

    key: str
    kind: Kind
    unit: str
    """What the book must state as its unit."""
    meaning: str
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSchema:
    """The parameters of one margin model, and how to build it from their values."""

    meaning: str
    entries: tuple[Entry, ...]
    build: Callable[[Mapping[str, Any]], MarginModel]


FACTOR = Number(least=1)
_POSITIVE = Number(least=0, open_least=True)
_RATE = Number(least=0, most=1, open_least=True)
_HAIRCUT = Haircut(Tiers)

COMMON = (
    Entry(
        key="call_level",
        kind=Number(least=1, none=True),
        unit="multiple of maintenance margin",
        meaning="A margin call starts at this multiple of maintenance margin. Left out: no calls.",
        required=False,
    ),
    Entry(
        key="liquidation_buffer",
        kind=FRACTION,
        unit="fraction of maintenance margin",
        meaning="Liquidation restores the margin balance to this much above maintenance margin.",
    ),
    Entry(
        key="credit",
        kind=by_tier(FACTOR),
        unit="multiple of initial margin",
        meaning="What initial margin is multiplied by, by credit tier.",
    ),
    Entry(
        key="credit_haircut",
        kind=by_tier(FACTOR),
        unit="multiple of the haircut",
        meaning="What haircuts are multiplied by for initial margin only, by credit tier. Left out: 1.",
        required=False,
    ),
    Entry(
        key="haircut",
        kind=by_class(_HAIRCUT),
        unit="fraction of the quantity held",
        meaning="How much of an asset does not count as collateral, by asset class.",
    ),
    Entry(
        key="haircut_by_name",
        kind=by_name(_HAIRCUT, "asset"),
        unit="fraction of the quantity held",
        meaning="The same by asset, before its class.",
        required=False,
    ),
    Entry(
        key="haircut_reporting_currency",
        kind=_HAIRCUT,
        unit="fraction of the quantity held",
        meaning="The same for the reporting currency itself.",
    ),
    Entry(
        key="transfer_k",
        kind=Number(least=0),
        unit="standard deviations",
        meaning="k of the discount exp(-k sigma sqrt(t)) where a location's transfers take t years to be final.",
    ),
    Entry(
        key="transfer_vol",
        kind=by_class(Number(least=0, most=10)),
        unit="fraction a year",
        meaning="sigma of that discount, by asset class.",
    ),
)

GRID = (
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
    Entry(
        key="any_floor_by_name",
        kind=by_name(Number(least=0), "underlying"),
        unit="price units",
        meaning="The same by underlying.",
        required=False,
    ),
    Entry(
        key="price_fractions",
        kind=Numbers(of=Number(least=-1, most=1), among=(0.0,)),
        unit="fraction of the range",
        meaning="The price moves of the grid.",
    ),
    Entry(
        key="vol_up",
        kind=_POSITIVE,
        unit="fraction of the vol",
        meaning="How far implied vols rise at the pivot.",
    ),
    Entry(
        key="vol_down",
        kind=_RATE,
        unit="fraction of the vol",
        meaning="How far implied vols fall at the pivot.",
    ),
    Entry(
        key="vol_pivot_days",
        kind=_POSITIVE,
        unit="days",
        meaning="Vol shocks are multiplied by (pivot / days to expiry) ^ power.",
    ),
    Entry(
        key="vol_short_power",
        kind=Number(least=0, most=1),
        unit="power",
        meaning="That power below the pivot.",
    ),
    Entry(
        key="vol_long_power",
        kind=Number(least=0, most=1),
        unit="power",
        meaning="That power from the pivot on.",
    ),
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
    Entry(
        key="short_option_minimum",
        kind=Number(least=0, most=1, open_most=True),
        unit="fraction of the index",
        meaning="The least a net short option costs, whatever the grid says.",
    ),
    Entry(
        key="initial_factor",
        kind=FACTOR,
        unit="multiple of maintenance margin",
        meaning="Initial margin over maintenance margin.",
    ),
)


def _ladder(**columns: tuple[float, ...]) -> Any:
    from crossmargin.margin.brackets import Tiers as Ladder

    return Ladder(**columns)


_LADDER = Rows(
    columns={"above": Number(least=0), "initial": _RATE, "maintenance": _RATE},
    fields={"above": "floor", "initial": "initial_rate", "maintenance": "maintenance_rate"},
    build=_ladder,
)
_LADDER_UNIT = "notional in quote; fractions of the slice"

BRACKETS = (
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


def _future_rates(**rates: float) -> Any:
    from crossmargin.margin.standard_option import FutureRates

    return FutureRates(**rates)


def _option_rates(**rates: float) -> Any:
    from crossmargin.margin.standard_option import OptionRates

    return OptionRates(**rates)


_FUTURES = Record(
    fields={"initial": _RATE, "maintenance": _RATE},
    optional={"initial_per_unit": FRACTION, "maintenance_per_unit": FRACTION},
    build=_future_rates,
)
_OPTIONS = Record(
    fields={
        "initial": _RATE,
        "initial_least": _RATE,
        "call_maintenance": _RATE,
        "put_maintenance": _RATE,
        "put_maintenance_of_value": FRACTION,
    },
    build=_option_rates,
)
_FUTURES_UNIT = "fraction of notional"
_OPTIONS_UNIT = "fraction of the underlying"

STANDARD_OPTION = (
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

HISTORICAL = (
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
    Entry(
        key="horizon_days",
        kind=by_class(Number(least=1, whole=True)),
        unit="days",
        meaning="How long a window of an asset class is: the time it takes to close a position out.",
    ),
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
    Entry(
        key="initial_factor",
        kind=FACTOR,
        unit="multiple of maintenance margin",
        meaning="Initial margin over maintenance margin.",
    ),
)


def _grid(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.grid import Grid
    from crossmargin.scenarios import GridShape, TenorScaling

    return Grid(
        shape=GridShape(
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
        ),
        short_option_minimum=values["short_option_minimum"],
        initial_factor=values["initial_factor"],
    )


def _brackets(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.brackets import Brackets

    return Brackets(
        tiers_by_class=values["tiers"],
        tiers_by_underlying=values.get("tiers_by_underlying", {}),
        tiers_by_symbol=values.get("tiers_by_symbol", {}),
        taker_fee=values["taker_fee"],
        maintenance_on=values["maintenance_on"],
    )


def _standard_option(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.standard_option import StandardOption

    return StandardOption(
        futures_by_class=values["futures"],
        futures_by_underlying=values.get("futures_by_underlying", {}),
        options_by_class=values["options"],
        options_by_underlying=values.get("options_by_underlying", {}),
    )


def _historical(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.historical import Historical

    return Historical(**{entry.key: values[entry.key] for entry in HISTORICAL})


MODELS: Mapping[str, ModelSchema] = {
    "grid": ModelSchema(meaning="The worst cell of a price x vol grid, group by group.", entries=GRID, build=_grid),
    "brackets": ModelSchema(
        meaning="Tiered leverage for futures and perpetuals, position by position.",
        entries=BRACKETS,
        build=_brackets,
    ),
    "standard_option": ModelSchema(
        meaning="Short options by formula, futures by a share of notional, position by position.",
        entries=STANDARD_OPTION,
        build=_standard_option,
    ),
    "historical": ModelSchema(
        meaning="The worst windows of daily closes the book brings, all underlyings jointly.",
        entries=HISTORICAL,
        build=_historical,
    ),
}


def haircut_policy(values: Mapping[str, Any]) -> HaircutPolicy:
    """Return the haircuts of a book's values."""
    return HaircutPolicy(
        by_class=values["haircut"],
        by_name=values.get("haircut_by_name", {}),
        reporting_currency=values["haircut_reporting_currency"],
        transfer_k=values["transfer_k"],
        transfer_vol=values["transfer_vol"],
        credit_haircut=values.get("credit_haircut", {}),
    )
