"""Parameters of `margin.stress_units`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Number, Numbers, Record, by_class, by_name
from crossmargin.rules.models.shared import INITIAL_FACTOR, QUOTE_RANK, VOL_LONG_POWER, VOL_PIVOT_DAYS, VOL_SHORT_POWER

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel

_AMOUNT = Number(least=0)
_MOVE = Number(least=0, most=1, open_least=True, open_most=True)


def _made(name: str) -> Callable[..., Any]:
    """Return what builds the class `name` of the models' files, imported when it is first needed."""

    def build(**values: Any) -> Any:
        from crossmargin.margin import option_shocks, stress_units

        return getattr(stress_units if hasattr(stress_units, name) else option_shocks, name)(**values)

    return build


_CONTINGENCIES = Record(
    fields={"short_option": FRACTION, "vega": _AMOUNT, "basis": _AMOUNT, "future": FRACTION},
    build=_made("Contingencies"),
)
_CONTINGENCIES_UNIT = "fraction of the index; vol points a day; fraction of the price a year; fraction of the index"

ENTRIES = (
    Entry(
        key="moves",
        kind=by_class(Numbers(of=_MOVE)),
        unit="fraction of the price",
        meaning="Price moves, each up and down, by asset class.",
    ),
    Entry(
        key="moves_by_name",
        kind=by_name(Numbers(of=_MOVE), "group"),
        unit="fraction of the price",
        meaning="The same by group, before its class.",
        required=False,
    ),
    Entry(
        key="vol",
        kind=Record(fields={"up": _AMOUNT, "down": FRACTION, "least": _AMOUNT}, build=_made("VolShock")),
        unit="fraction of the vol; least is a vol",
        meaning="How far implied vols rise and fall at the pivot; a vol below `least` rises from it.",
    ),
    VOL_PIVOT_DAYS,
    VOL_SHORT_POWER,
    VOL_LONG_POWER,
    Entry(
        key="contingencies",
        kind=by_class(_CONTINGENCIES),
        unit=_CONTINGENCIES_UNIT,
        meaning="Charges for net short options, vegas and deltas that offset across expiries, and size of futures.",
    ),
    Entry(
        key="contingencies_by_name",
        kind=by_name(_CONTINGENCIES, "group"),
        unit=_CONTINGENCIES_UNIT,
        meaning="The same by group, before its class.",
        required=False,
    ),
    Entry(
        key="peg_rate",
        kind=FRACTION,
        unit="fraction of what is hedged",
        meaning="What positions hedged between two quote currencies are charged.",
    ),
    QUOTE_RANK,
    INITIAL_FACTOR,
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.grouped import ByGroup
    from crossmargin.margin.stress_units import StressUnits
    from crossmargin.scenarios import TenorScaling

    rank = values["quote_rank"]
    return StressUnits(
        moves=ByGroup(by_class=values["moves"], by_name=values.get("moves_by_name", {})),
        vol=values["vol"],
        tenor=TenorScaling(
            pivot_days=values["vol_pivot_days"],
            short_power=values["vol_short_power"],
            long_power=values["vol_long_power"],
        ),
        contingencies=ByGroup(by_class=values["contingencies"], by_name=values.get("contingencies_by_name", {})),
        peg_rate=values["peg_rate"],
        quotes=tuple(sorted(rank, key=lambda name: (rank[name], name))),
        initial_factor=values["initial_factor"],
    )


SCHEMA = ModelSchema(
    meaning="The largest loss over price x vol moves, plus contingencies for what moves leave out.",
    entries=ENTRIES,
    build=_build,
)
