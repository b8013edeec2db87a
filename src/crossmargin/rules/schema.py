"""The schema: the parameters every rule book has, beside those of its model (`models/`, one file a model)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.rules.entry import FACTOR, Entry
from crossmargin.rules.kinds import FRACTION, Haircut, Number, by_class, by_name, by_tier

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
