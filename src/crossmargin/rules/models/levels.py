"""Parameters of `margin.levels`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import FACTOR, POSITIVE, Entry, ModelSchema
from crossmargin.rules.kinds import Number, Record, by_class, by_name

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


def _market(**terms: float) -> Any:
    from crossmargin.margin.levels import MarketRisk

    return MarketRisk(**terms)


_MARKET = Record(
    fields={"sigma": Number(least=0, most=10)},
    optional={"linear_slippage": Number(least=0), "quadratic_slippage": Number(least=0)},
    build=_market,
)
_MARKET_UNIT = "fraction a year; fraction of value; that a unit of the underlying"


ENTRIES = (
    Entry(
        key="markets",
        kind=by_class(_MARKET),
        unit=_MARKET_UNIT,
        meaning="The vol of the price, and what closing a position costs: linear_slippage of its value, and "
        "quadratic_slippage for every unit held besides, by asset class.",
    ),
    Entry(
        key="markets_by_underlying",
        kind=by_name(_MARKET, "underlying"),
        unit=_MARKET_UNIT,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="risk_aversion",
        kind=Number(least=0, most=1, open_least=True, open_most=True),
        unit="probability",
        meaning="The tail of price moves whose mean loss is the risk factor.",
    ),
    Entry(key="horizon", kind=POSITIVE, unit="years", meaning="How long a price may move before a position is closed."),
    Entry(key="drift", kind=Number(), unit="fraction a year", meaning="The drift of prices."),
    Entry(
        key="search",
        kind=FACTOR,
        unit="multiple of maintenance margin",
        meaning="The level below which money is fetched; `call_level` should be the same.",
    ),
    Entry(
        key="initial",
        kind=FACTOR,
        unit="multiple of maintenance margin",
        meaning="The level a new order needs, and that money is fetched up to.",
    ),
    Entry(
        key="release",
        kind=FACTOR,
        unit="multiple of maintenance margin",
        meaning="The level above which money goes back.",
    ),
    Entry(
        key="quantum",
        kind=POSITIVE,
        unit="units of the quote asset",
        meaning="The smallest unit of money, to which maintenance margin is rounded up.",
    ),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.levels import Levels

    return Levels(
        markets_by_class=values["markets"],
        markets_by_underlying=values.get("markets_by_underlying", {}),
        risk_aversion=values["risk_aversion"],
        horizon_years=values["horizon"],
        mu=values["drift"],
        search=values["search"],
        initial=values["initial"],
        release=values["release"],
        quantum=values["quantum"],
    )


SCHEMA = ModelSchema(
    meaning="Linear perpetuals, each market on its own: the mean loss in the tail of a lognormal price, and slippage.",
    entries=ENTRIES,
    build=_build,
)
