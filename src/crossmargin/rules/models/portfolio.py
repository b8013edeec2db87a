"""Parameters of `margin.portfolio`, the house rule book."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import POSITIVE, RATE, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Number, Record, by_class, by_name
from crossmargin.rules.models.grid import SHAPE, SHORT_OPTION_MINIMUM, shape
from crossmargin.rules.models.shared import HORIZON_DAYS, MINIMUM_DAYS

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


def _liquidity_rates(**rates: float) -> Any:
    from crossmargin.margin.liquidity import LiquidityRates

    return LiquidityRates(**rates)


def _vega_rates(**rates: float) -> Any:
    from crossmargin.margin.vega import VegaRates

    return VegaRates(**rates)


_LIQUIDITY = Record(
    fields={
        "spread": Number(least=0, most=1, open_most=True),
        "adv": POSITIVE,
        "participation": RATE,
    },
    build=_liquidity_rates,
)
_VEGA = Record(
    fields={"spread_points": Number(least=0), "points_a_day": Number(least=0), "volume_share": RATE},
    build=_vega_rates,
)
_VOL = Number(least=0, most=10, open_most=True)
_LIQUIDITY_UNIT = "fraction of the price; reporting currency a day; fraction of a day's volume"
_VEGA_UNIT = "vol points; vol points a day; fraction of a day's volume, a vol point"

ENTRIES = (
    Entry(
        key="lookback_days",
        kind=Number(least=1, whole=True),
        unit="days",
        meaning="How many windows of the book's own history are looked at, one opening a day.",
    ),
    MINIMUM_DAYS,
    HORIZON_DAYS,
    Entry(
        key="decay",
        kind=Number(least=0, most=1, open_least=True, open_most=True),
        unit="fraction a day",
        meaning="Weight of yesterday's variance in today's, of the vols that history is rescaled with.",
    ),
    Entry(
        key="vol_annual",
        kind=by_class(_VOL),
        unit="fraction a year",
        meaning="Vol of an underlying without history, where the book states none, by asset class.",
    ),
    Entry(
        key="vol_annual_by_name",
        kind=by_name(_VOL, "underlying"),
        unit="fraction a year",
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="confidence",
        kind=Number(least=0.5, most=1, open_most=True),
        unit="fraction of the scenarios",
        meaning="The share of ordinary scenarios that are not among the worst.",
    ),
    Entry(
        key="stress_weight",
        kind=FRACTION,
        unit="fraction",
        meaning="w: how far the worst stressed loss pulls the requirement up from the expected shortfall.",
    ),
    Entry(
        key="offset_limit",
        kind=FRACTION,
        unit="fraction of the offset",
        meaning="c: how much of what groups save each other counts.",
    ),
    *SHAPE,
    SHORT_OPTION_MINIMUM,
    Entry(
        key="basis",
        kind=by_class(FRACTION),
        unit="fraction of the price a year",
        meaning="How far the prices of two expiries a year apart may part, by asset class.",
    ),
    Entry(
        key="basis_by_name",
        kind=by_name(FRACTION, "underlying"),
        unit="fraction of the price a year",
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="liquidity",
        kind=by_class(_LIQUIDITY),
        unit=_LIQUIDITY_UNIT,
        meaning="Bid to ask, average daily volume, and the share of it a close-out can be, by asset class.",
    ),
    Entry(
        key="liquidity_by_name",
        kind=by_name(_LIQUIDITY, "underlying"),
        unit=_LIQUIDITY_UNIT,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="impact",
        kind=Number(least=0),
        unit="daily standard deviations",
        meaning="How far trading a whole day's volume moves the price.",
    ),
    Entry(
        key="vega",
        kind=by_class(_VEGA),
        unit=_VEGA_UNIT,
        meaning="Bid to ask of implied vol, its daily move, and vega traded a day a point as a share of the "
        "underlying's volume, by asset class.",
    ),
    Entry(
        key="vega_by_name",
        kind=by_name(_VEGA, "underlying"),
        unit=_VEGA_UNIT,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="buffer",
        kind=Number(least=0),
        unit="fraction of maintenance margin",
        meaning="The largest buffer of initial margin above maintenance margin, kept by groups in calm markets.",
    ),
    Entry(
        key="buffer_by_group",
        kind=by_name(Number(least=0), "group"),
        unit="fraction of maintenance margin",
        meaning="The buffer of a group today, where the market has used some of it up. Left out: `buffer`.",
        required=False,
    ),
    Entry(
        key="buffer_refill",
        kind=RATE,
        unit="fraction of maintenance margin a day",
        meaning="How fast a buffer that was used up is built again; read by the daily calibration.",
    ),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.basis import Basis
    from crossmargin.margin.liquidity import Liquidity
    from crossmargin.margin.portfolio import Portfolio
    from crossmargin.margin.tails import TailMeasure
    from crossmargin.margin.vega import Vega
    from crossmargin.scenarios import JointParameters, Vols

    floors = values.get("any_floor_by_name", {})
    return Portfolio(
        joint=JointParameters(
            lookback_days=values["lookback_days"],
            minimum_days=values["minimum_days"],
            decay=values["decay"],
            horizon_days=values["horizon_days"],
            vols=Vols(by_class=values["vol_annual"], by_name=values.get("vol_annual_by_name", {})),
            any_floor=values["any_floor"],
            any_floor_by_name=floors,
        ),
        grid=shape(values),
        measure=TailMeasure(confidence=values["confidence"], stress_weight=values["stress_weight"]),
        offset_limit=values["offset_limit"],
        short_option_minimum=values["short_option_minimum"],
        basis=Basis(by_class=values["basis"], by_name=values.get("basis_by_name", {})),
        liquidity=Liquidity(
            by_class=values["liquidity"], by_name=values.get("liquidity_by_name", {}), impact=values["impact"]
        ),
        vega=Vega(by_class=values["vega"], by_name=values.get("vega_by_name", {})),
        buffer=values["buffer"],
        buffer_by_group=values.get("buffer_by_group", {}),
    )


SCHEMA = ModelSchema(
    meaning="Expected shortfall and stress over joint scenarios, with limited offsets, grids and named add-ons.",
    entries=ENTRIES,
    build=_build,
)
