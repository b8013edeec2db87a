"""Parameters of `margin.size_scaled`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import FACTOR, RATE, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Number, Record, by_class, by_name

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


def _weights(**terms: float) -> Any:
    from crossmargin.margin.size_scaled import AssetWeights

    return AssetWeights(**terms)


def _ratios(**terms: float) -> Any:
    from crossmargin.margin.size_scaled import PerpetualRatios

    return PerpetualRatios(**terms)


_SIZE = Number(least=0)
_WEIGHTS = Record(
    fields={
        "initial": FRACTION,
        "maintenance": FRACTION,
        "initial_liability": FACTOR,
        "maintenance_liability": FACTOR,
    },
    optional={"size_factor": _SIZE, "scale_start": _SIZE},
    build=_weights,
)
_RATIOS = Record(
    fields={"initial": RATE, "maintenance": RATE},
    optional={
        "size_factor": _SIZE,
        "profit_initial": FRACTION,
        "profit_maintenance": FRACTION,
        "profit_size_factor": _SIZE,
    },
    build=_ratios,
)
_WEIGHTS_UNIT = "fraction of value; multiple of a debt; for the root of a unit; reporting currency"
_RATIOS_UNIT = "fraction of notional; for the root of a unit; fraction of profit"


ENTRIES = (
    Entry(
        key="weights",
        kind=by_class(_WEIGHTS),
        unit=_WEIGHTS_UNIT,
        meaning="What an asset counts as collateral and as a debt; size_factor is how fast both worsen with the root "
        "of the size, scale_start the deposits of all from which the initial weight falls. By asset class.",
    ),
    Entry(
        key="weights_by_name",
        kind=by_name(_WEIGHTS, "asset"),
        unit=_WEIGHTS_UNIT,
        meaning="The same by asset, before its class.",
        required=False,
    ),
    Entry(
        key="perpetuals",
        kind=by_class(_RATIOS),
        unit=_RATIOS_UNIT,
        meaning="What futures and perpetuals owe, rising with size_factor, and what of their profit counts, falling "
        "with profit_size_factor for initial margin. By asset class.",
    ),
    Entry(
        key="perpetuals_by_underlying",
        kind=by_name(_RATIOS, "underlying"),
        unit=_RATIOS_UNIT,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="deposits",
        kind=by_name(_SIZE, "asset"),
        unit="units of the asset",
        meaning="What everybody has deposited at the venue, for scale_start. Left out: 0.",
        required=False,
    ),
    Entry(
        key="profit_cap",
        kind=Number(least=0, none=True),
        unit="reporting currency",
        meaning="Most of one position's unsettled profit that counts for initial margin. Left out: all.",
        required=False,
    ),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.size_scaled import SizeScaled

    return SizeScaled(
        assets_by_class=values["weights"],
        assets_by_name=values.get("weights_by_name", {}),
        perpetuals_by_class=values["perpetuals"],
        perpetuals_by_underlying=values.get("perpetuals_by_underlying", {}),
        deposits=values.get("deposits", {}),
        profit_cap=values.get("profit_cap"),
    )


SCHEMA = ModelSchema(
    meaning="Collateral that counts less, debts and linear perpetuals that owe more, the larger they are.",
    entries=ENTRIES,
    build=_build,
)
