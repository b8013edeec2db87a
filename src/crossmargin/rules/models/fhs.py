"""Parameters of `margin.fhs.FilteredHistorical`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import FACTOR, POSITIVE, RATE, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Choice, Number, Record, by_class, by_name
from crossmargin.rules.models.shared import ANY_FLOOR_BY_NAME, MINIMUM_DAYS

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


def _liquidity_rates(**rates: float) -> Any:
    from crossmargin.margin.liquidity import LiquidityRates

    return LiquidityRates(**rates)


_LIQUIDITY = Record(
    fields={"spread": Number(least=0, most=1, open_most=True), "adv": POSITIVE, "participation": RATE},
    build=_liquidity_rates,
)
_LIQUIDITY_UNIT = "fraction of the price; reporting currency a day; fraction of a day's volume"
_CONFIDENCE = Number(least=0.5, most=1, open_most=True)

ENTRIES = (
    Entry(
        key="lookback_days",
        kind=Number(least=1, whole=True),
        unit="days",
        meaning="How many windows of the book's history the filtered scenarios are, one opening a day.",
    ),
    MINIMUM_DAYS,
    Entry(
        key="horizon_days",
        kind=by_class(Number(least=1, whole=True)),
        unit="days",
        meaning="The liquidation period: how long it takes to close a position out.",
    ),
    Entry(
        key="decay",
        kind=Number(least=0, most=1, open_least=True, open_most=True),
        unit="fraction a day",
        meaning="Weight of yesterday's variance in today's, of the vols that history is filtered with.",
    ),
    Entry(
        key="liquidation_group",
        kind=by_class(Choice(("coins", "listed", "other"))),
        unit="none",
        meaning="What is closed out together: profits offset losses inside a group only. One horizon a group.",
    ),
    Entry(
        key="measure",
        kind=Choice(("var", "es")),
        unit="none",
        meaning="Value at risk, or expected shortfall.",
    ),
    Entry(key="confidence", kind=_CONFIDENCE, unit="fraction of the windows", meaning="Of the ordinary scenarios."),
    Entry(
        key="sub_windows",
        kind=Number(least=1, whole=True),
        unit="windows",
        meaning="Consecutive parts of the ordinary scenarios whose mean measure shows how much correlations break.",
    ),
    Entry(
        key="break_factor",
        kind=Number(least=0),
        unit="multiple of the difference",
        meaning="What of | mean over sub-windows - measure | is charged.",
    ),
    Entry(
        key="break_least",
        kind=Number(least=0),
        unit="fraction of the measure",
        meaning="The least that is charged for broken correlations.",
    ),
    Entry(
        key="break_most",
        kind=Number(least=0),
        unit="fraction of the measure",
        meaning="The most that is charged for broken correlations.",
    ),
    Entry(
        key="stress",
        kind=Choice(("none", "floor", "blend")),
        unit="none",
        meaning="The stressed set is no part, a floor under the filtered tail, or a share of it.",
    ),
    Entry(
        key="stress_confidence",
        kind=_CONFIDENCE,
        unit="fraction of the scenarios",
        meaning="Of the stressed scenarios.",
    ),
    Entry(key="stress_share", kind=FRACTION, unit="fraction", meaning="Share of the stressed measure in a blend."),
    Entry(
        key="anti_procyclicality",
        kind=Choice(("none", "buffer", "stress_weight", "floor")),
        unit="none",
        meaning="The tool of Art. 28: (a) a buffer on initial margin, (b) a weight of stressed observations, (c) a"
        " floor of long-run volatility.",
    ),
    Entry(
        key="anti_procyclicality_share",
        kind=FRACTION,
        unit="fraction",
        meaning="The buffer in force of tool (a), the weight of tool (b).",
    ),
    Entry(
        key="floor_days",
        kind=Number(least=1, whole=True),
        unit="days",
        meaning="Windows of unfiltered history that the floor of tool (c) is taken over.",
    ),
    Entry(
        key="offset_cap",
        kind=FRACTION,
        unit="fraction",
        meaning="How much of what underlyings of a group offset is given.",
    ),
    Entry(
        key="compression_points",
        kind=Number(least=0, whole=True),
        unit="prices",
        meaning="Prices at which options are valued, interpolated between; 0: in full. The error is an add-on.",
    ),
    Entry(
        key="compression_confidence",
        kind=_CONFIDENCE,
        unit="fraction of the windows",
        meaning="The quantile of that error.",
    ),
    Entry(
        key="liquidity",
        kind=by_class(_LIQUIDITY),
        unit=_LIQUIDITY_UNIT,
        meaning="What closing out costs: half the spread, and more beyond what participation x volume x horizon takes.",
    ),
    Entry(
        key="liquidity_by_name",
        kind=by_name(_LIQUIDITY),
        unit=_LIQUIDITY_UNIT,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="concentration_power",
        kind=Number(least=0),
        unit="power",
        meaning="Half the spread is multiplied by (size / capacity) ^ this beyond the capacity.",
    ),
    Entry(
        key="any_floor",
        kind=Number(least=0),
        unit="price units",
        meaning="Where prices may be negative, moves told as fractions are of max(|price|, this).",
    ),
    ANY_FLOOR_BY_NAME,
    Entry(
        key="initial_factor",
        kind=FACTOR,
        unit="multiple of maintenance margin",
        meaning="Initial margin over maintenance margin, before the buffer.",
    ),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.fhs import FilteredHistorical
    from crossmargin.margin.tail_risk import TailRisk
    from crossmargin.scenarios import JointParameters

    tool, share = values["anti_procyclicality"], values["anti_procyclicality_share"]
    return FilteredHistorical(
        joint=JointParameters(
            lookback_days=values["lookback_days"],
            minimum_days=values["minimum_days"],
            decay=values["decay"],
            horizon_days=values["horizon_days"],
            any_floor=values["any_floor"],
            any_floor_by_name=values.get("any_floor_by_name", {}),
        ),
        risk=TailRisk(
            measure=values["measure"],
            confidence=values["confidence"],
            sub_windows=values["sub_windows"],
            break_factor=values["break_factor"],
            break_least=values["break_least"],
            break_most=values["break_most"],
            stress=values["stress"],
            stress_confidence=values["stress_confidence"],
            stress_share=values["stress_share"],
            tool=tool,
            tool_share=share,
        ),
        liquidation_group=values["liquidation_group"],
        offset_cap=values["offset_cap"],
        floor_days=values["floor_days"],
        compression_points=values["compression_points"],
        compression_confidence=values["compression_confidence"],
        liquidity=values["liquidity"],
        liquidity_by_name=values.get("liquidity_by_name", {}),
        concentration_power=values["concentration_power"],
        buffer=share if tool == "buffer" else 0.0,
        initial_factor=values["initial_factor"],
    )


SCHEMA = ModelSchema(
    meaning="Filtered history in liquidation groups, a stressed set, limited offsets, and what closing out costs.",
    entries=ENTRIES,
    build=_build,
)
