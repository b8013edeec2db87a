"""Parameters of `margin.derive_portfolio_v1`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Number, Record, Rows
from crossmargin.rules.models.derive_portfolio import (
    BASIS_ENTRY,
    FEED_ENTRIES,
    NOT_NEGATIVE,
    VOL_ENTRIES,
    scenarios,
    vol_shock,
)
from crossmargin.rules.models.shared import INITIAL_FACTOR

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


def _undamped(**columns: tuple[Any, ...]) -> Any:
    return scenarios(**columns, share=(1.0,) * len(columns["price"]))


ENTRIES = (
    Entry(
        key="scenarios",
        kind=Rows(
            columns={"price": NOT_NEGATIVE, "vol": Number(least=-1, most=1, whole=True)},
            fields={"price": "price", "vol": "vol"},
            build=_undamped,
        ),
        unit="multiple of the index; -1 down, 0 same, 1 up",
        meaning="The scenarios of every group of assets.",
    ),
    *VOL_ENTRIES,
    Entry(
        key="static_discount",
        kind=Record(
            fields={"base": FRACTION, "rate_scale": NOT_NEGATIVE, "add": NOT_NEGATIVE},
            build=dict,
        ),
        unit="factor; multiple of the rate; rate a year",
        meaning="What the value of an expiry that is owned after a move is multiplied by.",
    ),
    BASIS_ENTRY,
    INITIAL_FACTOR,
    Entry(
        key="perpetual_contingency",
        kind=FRACTION,
        unit="fraction of notional",
        meaning="What perpetuals cost whatever the scenarios say.",
    ),
    Entry(
        key="base_contingency",
        kind=FRACTION,
        unit="fraction of value",
        meaning="The same for coins owned or owed.",
    ),
    Entry(
        key="short_option_contingency",
        kind=FRACTION,
        unit="fraction of the index",
        meaning="The same for short options that no long of their strike covers.",
    ),
    *FEED_ENTRIES,
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.derive_portfolio_v1 import DerivePortfolioV1, Formula

    discount = values["static_discount"]
    return DerivePortfolioV1(
        formula=Formula(
            scenarios=values["scenarios"],
            vol_shock=vol_shock(values),
            discount_base=discount["base"],
            discount_rate_scale=discount["rate_scale"],
            discount_add=discount["add"],
            basis=values["basis"],
            initial_factor=values["initial_factor"],
            perpetual_rate=values["perpetual_contingency"],
            base_rate=values["base_contingency"],
            option_rate=values["short_option_contingency"],
            peg=values["peg"],
            confidence=values["confidence"],
        ),
        settlement_minutes=values["settlement_minutes"],
    )


SCHEMA = ModelSchema(
    meaning="Price x vol scenarios and basis of options by expiry, with static contingencies, coin by coin.",
    entries=ENTRIES,
    build=_build,
)
