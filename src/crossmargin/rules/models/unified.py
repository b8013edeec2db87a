"""Parameters of `margin.unified`: those of brackets, and of loans."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import FACTOR, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Number, Rows, by_class, by_name
from crossmargin.rules.models import brackets

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


def _ladder(**columns: tuple[float, ...]) -> Any:
    from crossmargin.margin.grouped import Ladder

    return Ladder(**columns)


_LOANS = Rows(
    columns={"above": Number(least=0), "rate": FRACTION}, fields={"above": "floor", "rate": "rate"}, build=_ladder
)
_LOANS_UNIT = "value in the reporting currency; fraction of the slice"

ENTRIES = (
    *brackets.ENTRIES,
    Entry(
        key="borrow_tiers",
        kind=by_class(_LOANS),
        unit=_LOANS_UNIT,
        meaning="What a debt is charged, by asset class.",
    ),
    Entry(
        key="borrow_tiers_by_name",
        kind=by_name(_LOANS, "asset"),
        unit=_LOANS_UNIT,
        meaning="The same by asset, before its class.",
        required=False,
    ),
    Entry(
        key="liquidation_ratio",
        kind=FACTOR,
        unit="multiple of what positions and debts are charged",
        meaning="Where equity is down to this, positions are taken: maintenance margin.",
    ),
    Entry(
        key="restricted_ratio",
        kind=FACTOR,
        unit="multiple of what positions and debts are charged",
        meaning="Below this positions may only shrink: initial margin is at least so much.",
    ),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.brackets import Brackets
    from crossmargin.margin.grouped import ByGroup
    from crossmargin.margin.unified import Unified

    return Unified(
        brackets=Brackets(
            tiers_by_class=values["tiers"],
            tiers_by_underlying=values.get("tiers_by_underlying", {}),
            tiers_by_symbol=values.get("tiers_by_symbol", {}),
            taker_fee=values["taker_fee"],
            maintenance_on=values["maintenance_on"],
        ),
        borrow_ladder=ByGroup(by_class=values["borrow_tiers"], by_name=values.get("borrow_tiers_by_name", {})),
        liquidation_ratio=values["liquidation_ratio"],
        restricted_ratio=values["restricted_ratio"],
    )


SCHEMA = ModelSchema(
    meaning="Leverage brackets and loans, held against all equity of the account.",
    entries=ENTRIES,
    build=_build,
)
