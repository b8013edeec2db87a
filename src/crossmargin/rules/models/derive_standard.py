"""Parameters of `margin.derive_standard`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import FACTOR, RATE, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Number, Record
from crossmargin.rules.models.derive_portfolio import confidence, peg

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel

_NOT_NEGATIVE = Number(least=0)


def _short_options(**numbers: float) -> Any:
    from crossmargin.margin.derive_standard import ShortOptions

    return ShortOptions(**numbers)


def _doubt(what: str, key: str) -> Entry:
    return Entry(
        key=key,
        kind=Record(fields={"threshold": FRACTION, "rate": _NOT_NEGATIVE}, build=confidence),
        unit="confidence; share of notional",
        meaning=f"What feeds of {what} less certain than the threshold add to initial margin, times what they miss of"
        " 1. The feeds of a book are certain.",
    )


ENTRIES = (
    Entry(
        key="perpetuals",
        kind=Record(fields={"maintenance": RATE, "initial": RATE}, build=dict),
        unit="fraction of notional",
        meaning="What perpetuals owe, and coins that are owed.",
    ),
    Entry(
        key="options",
        kind=Record(
            fields={
                "initial": RATE,
                "initial_least": RATE,
                "call_maintenance": RATE,
                "put_maintenance": RATE,
                "put_maintenance_of_value": FRACTION,
                "put_initial_of_maintenance": FACTOR,
                "unpaired_initial": _NOT_NEGATIVE,
                "unpaired_maintenance": _NOT_NEGATIVE,
            },
            build=_short_options,
        ),
        unit="fractions of the index; of a put's value, its maintenance margin, the forward",
        meaning="What a short option owes beside its own value: `initial` less how far it is out of the money, at"
        " least `initial_least`; the maintenance rates; and what calls short on balance add to the most an expiry can"
        " lose by settling.",
    ),
    Entry(
        key="peg",
        kind=Record(fields={"threshold": _NOT_NEGATIVE, "factor": _NOT_NEGATIVE}, build=peg),
        unit="price of the settlement coin; multiple of what it misses",
        meaning="What a settlement coin below the threshold adds to initial margin, a share of notional.",
    ),
    _doubt("perpetuals", "perpetual_confidence"),
    _doubt("short options", "option_confidence"),
    _doubt("coins", "base_confidence"),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.derive_standard import DeriveStandard, Formula

    return DeriveStandard(
        formula=Formula(
            perpetual_maintenance=values["perpetuals"]["maintenance"],
            perpetual_initial=values["perpetuals"]["initial"],
            options=values["options"],
            peg=values["peg"],
            perpetual_confidence=values["perpetual_confidence"],
            option_confidence=values["option_confidence"],
            base_confidence=values["base_confidence"],
        )
    )


SCHEMA = ModelSchema(
    meaning="Perpetuals by a share of notional, each expiry's short options capped by the most it can lose.",
    entries=ENTRIES,
    build=_build,
)
