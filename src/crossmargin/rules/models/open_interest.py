"""Parameters of `margin.open_interest`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import POSITIVE, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Number, Record, by_class, by_name

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


def _tier(**terms: float) -> Any:
    from crossmargin.margin.open_interest import LiquidityTier

    return LiquidityTier(**terms)


_TIER = Record(
    fields={"initial": FRACTION, "maintenance_fraction": FRACTION},
    optional={"lower_cap": Number(least=0), "upper_cap": Number(least=0)},
    build=_tier,
)
_TIER_UNIT = "fraction of notional; of initial margin; value in quote"


ENTRIES = (
    Entry(
        key="liquidity_tiers",
        kind=by_class(_TIER),
        unit=_TIER_UNIT,
        meaning="The initial rate, maintenance margin as a share of what it gives, and the open interest from which "
        "the initial rate rises and at which it is 1 (left out: it never rises), by asset class.",
    ),
    Entry(
        key="liquidity_tiers_by_underlying",
        kind=by_name(_TIER, "underlying"),
        unit=_TIER_UNIT,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="open_interest",
        kind=by_name(Number(least=0), "underlying"),
        unit="units of the underlying",
        meaning="How much is open in each market of the venue. Left out: 0.",
        required=False,
    ),
    Entry(
        key="quantum",
        kind=POSITIVE,
        unit="units of the quote asset",
        meaning="The smallest unit of money, to which margins are rounded up.",
    ),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.open_interest import OpenInterest

    return OpenInterest(
        tiers_by_class=values["liquidity_tiers"],
        tiers_by_underlying=values.get("liquidity_tiers_by_underlying", {}),
        open_interest=values.get("open_interest", {}),
        quantum=values["quantum"],
    )


SCHEMA = ModelSchema(
    meaning="Linear perpetuals whose initial rate rises with the market's open interest, in whole units of money.",
    entries=ENTRIES,
    build=_build,
)
