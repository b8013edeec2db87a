"""Parameters of `margin.simm.SensitivityMargin`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import POSITIVE, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Choice, Number, by_class, by_name
from crossmargin.rules.models.shared import ANY_FLOOR_BY_NAME, INITIAL_FACTOR

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel

_WEIGHT = Number(least=0, most=1)

ENTRIES = (
    Entry(
        key="product_class",
        kind=by_class(Choice(("rates and currencies", "equity", "commodity", "crypto", "other"))),
        unit="none",
        meaning="Which sum a contract is in, by asset class of its underlying; these add up.",
    ),
    Entry(
        key="risk_class",
        kind=by_class(Choice(("rates", "currencies", "equity", "commodity", "crypto", "other"))),
        unit="none",
        meaning="Which risk class an asset class is a bucket of; the risk classes of one product class are combined.",
    ),
    Entry(
        key="risk_weight",
        kind=by_class(_WEIGHT),
        unit="fraction of the price",
        meaning="What a sensitivity to a price is multiplied by.",
    ),
    Entry(
        key="risk_weight_by_name",
        kind=by_name(_WEIGHT),
        unit="fraction of the price",
        meaning="The same by asset or underlying, before its class.",
        required=False,
    ),
    Entry(
        key="correlation",
        kind=by_class(FRACTION),
        unit="correlation",
        meaning="Between two names of an asset class.",
    ),
    Entry(
        key="bucket_correlation",
        kind=FRACTION,
        unit="correlation",
        meaning="Between two asset classes of one risk class.",
    ),
    Entry(
        key="class_correlation",
        kind=FRACTION,
        unit="correlation",
        meaning="Between two risk classes of one product class.",
    ),
    Entry(
        key="threshold",
        kind=by_class(POSITIVE),
        unit="delta notional in the reporting currency",
        meaning="From where on a name is concentrated: its charge grows with the power 1.5.",
    ),
    Entry(
        key="threshold_by_name",
        kind=by_name(POSITIVE),
        unit="delta notional in the reporting currency",
        meaning="The same by asset or underlying, before its class.",
        required=False,
    ),
    Entry(
        key="vega_threshold",
        kind=by_class(POSITIVE),
        unit="vega x vol in the reporting currency",
        meaning="The same for vega.",
    ),
    Entry(
        key="vega_weight",
        kind=Number(least=0),
        unit="fraction of the vol",
        meaning="What vega x vol is multiplied by.",
    ),
    Entry(
        key="vol_ratio",
        kind=Number(least=0),
        unit="ratio",
        meaning="Historical vols over those that risk weights imply.",
    ),
    Entry(
        key="close_out_days",
        kind=Number(least=1, whole=True),
        unit="days",
        meaning="What risk weights are moves over.",
    ),
    Entry(
        key="any_floor",
        kind=Number(least=0),
        unit="price units",
        meaning="Where prices may be negative, weights are fractions of max(|price|, this).",
    ),
    ANY_FLOOR_BY_NAME,
    INITIAL_FACTOR,
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.simm import SensitivityMargin

    return SensitivityMargin(
        product_class=values["product_class"],
        risk_class=values["risk_class"],
        weight_by_class=values["risk_weight"],
        weight_by_name=values.get("risk_weight_by_name", {}),
        correlation=values["correlation"],
        bucket_correlation=values["bucket_correlation"],
        class_correlation=values["class_correlation"],
        threshold_by_class=values["threshold"],
        threshold_by_name=values.get("threshold_by_name", {}),
        vega_threshold_by_class=values["vega_threshold"],
        vega_weight=values["vega_weight"],
        vol_ratio=values["vol_ratio"],
        close_out_days=values["close_out_days"],
        any_floor=values["any_floor"],
        any_floor_by_name=values.get("any_floor_by_name", {}),
        initial_factor=values["initial_factor"],
    )


SCHEMA = ModelSchema(
    meaning="Deltas, vegas and curvature by underlying, aggregated over buckets and risk classes as SIMM does.",
    entries=ENTRIES,
    build=_build,
)
