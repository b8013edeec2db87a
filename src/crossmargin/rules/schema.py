"""The schema: the parameters every rule book has, beside those of its model (`models/`, one file a model)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from crossmargin.collateral import HaircutPolicy, Tiers, WrongWay
from crossmargin.rules.entry import FACTOR, Entry
from crossmargin.rules.kinds import FRACTION, Haircut, Name, Names, Number, by_class, by_name, by_tier

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
    Entry(
        key="own_tokens",
        kind=Names(),
        unit="assets",
        meaning="The venue's own tokens: wrong-way collateral, worth least when the venue is in trouble; they count "
        "nothing. Left out: none.",
        required=False,
    ),
    Entry(
        key="supply_share",
        kind=FRACTION,
        unit="fraction of the supply",
        meaning="An owner that holds more than this of what exists of an asset gets no value for it. Left out, with "
        "the other rules of wrong-way collateral: no such rule.",
        required=False,
    ),
    Entry(
        key="supply",
        kind=by_name(Number(least=0, open_least=True), "asset"),
        unit="units of the asset",
        meaning="How much of an asset exists; one that is not listed is not tested.",
        required=False,
    ),
    Entry(
        key="company_group",
        kind=by_name(Name("a group of companies"), "owner or issuer"),
        unit="name of a group of companies",
        meaning="Which owners and issuers belong together: what one has issued is no collateral of another, and in "
        "thin markets they are as large as all of them. Left out: each is its own.",
        required=False,
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
        wrong_way=_wrong_way(values),
    )


def _wrong_way(values: Mapping[str, Any]) -> WrongWay | None:
    if not any(key in values for key in ("own_tokens", "supply_share", "supply", "company_group")):
        return None
    return WrongWay(
        own_tokens=values.get("own_tokens", ()),
        supply=values.get("supply", {}),
        share_of_supply=values.get("supply_share", 1.0),
        groups=values.get("company_group", {}),
    )
