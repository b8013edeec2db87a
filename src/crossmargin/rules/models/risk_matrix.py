"""Parameters of `margin.risk_matrix`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import RATE, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Kind, Number, Numbers, Record, by_class, by_name
from crossmargin.rules.models.shared import VOL_LONG_POWER, VOL_PIVOT_DAYS, VOL_SHORT_POWER

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel

_AMOUNT = Number(least=0)
_RANGE = Number(least=0, most=1, open_least=True, open_most=True)


def _made(name: str) -> Callable[..., Any]:
    """Return what builds the class `name` of the model's file, imported when it is first needed."""

    def build(**values: float) -> Any:
        from crossmargin.margin import option_shocks, risk_matrix

        return getattr(risk_matrix if hasattr(risk_matrix, name) else option_shocks, name)(**values)

    return build


def _both(key: str, kind: Kind, unit: str, meaning: str) -> tuple[Entry, Entry]:
    """Return the entries of a parameter by asset class, and by the name of a group."""
    return (
        Entry(key=key, kind=by_class(kind), unit=unit, meaning=f"{meaning} By asset class of the group."),
        Entry(
            key=f"{key}_by_name",
            kind=by_name(kind, "group"),
            unit=unit,
            meaning="The same by group, before its class.",
            required=False,
        ),
    )


ENTRIES = (
    *_both("range", _RANGE, "fraction of the price", "The largest price move of the matrix."),
    Entry(
        key="buckets",
        kind=Number(least=1, most=100, whole=True),
        unit="buckets",
        meaning="Price buckets on each side of no move.",
    ),
    *_both(
        "vol",
        Record(fields={"up": _AMOUNT, "down": FRACTION, "least": _AMOUNT}, build=_made("VolShock")),
        "fraction of the vol; least is a vol",
        "How far implied vols rise and fall at the pivot; a vol below `least` rises from it.",
    ),
    VOL_PIVOT_DAYS,
    VOL_SHORT_POWER,
    VOL_LONG_POWER,
    Entry(
        key="extended_moves",
        kind=Numbers(of=Number(least=-1, open_least=True)),
        unit="fraction of the price",
        meaning="Price moves beyond the matrix, vols up; delta-one positions move by no more than the range.",
    ),
    *_both(
        "extended",
        Record(fields={"factor": FRACTION, "dampener": _AMOUNT}, build=_made("Extended")),
        "fraction of the loss; dampener in the reporting currency",
        "What of a group's loss in an extended move counts: factor x loss - dampener.",
    ),
    *_both(
        "offset",
        Record(fields={"share": FRACTION, "most": _AMOUNT}, build=_made("Offset")),
        "fraction of the gain; most in the reporting currency",
        "What of a group's gain in a cell may pay for other groups.",
    ),
    Entry(
        key="correlation_contingency",
        kind=FRACTION,
        unit="fraction of what is saved",
        meaning="How much of what adding up the same cell of all groups saves is charged after all.",
    ),
    *_both(
        "roll",
        Record(fields={"least": FRACTION, "annual": _AMOUNT}, build=_made("Roll")),
        "fraction of the net position; annual a year to expiry",
        "What the net delta-one position of an expiry is charged.",
    ),
    *_both(
        "delta_shock",
        Record(
            fields={"threshold": _AMOUNT, "per_unit": _AMOUNT, "most": FRACTION},
            build=_made("DeltaShock"),
        ),
        "threshold in the reporting currency; fraction a unit of the underlying; fraction",
        "What a net delta above the threshold is charged: a share that rises with every unit, up to `most`.",
    ),
    Entry(
        key="maintenance_factor",
        kind=RATE,
        unit="fraction of initial margin",
        meaning="Maintenance margin over the margin of the matrix.",
    ),
    Entry(
        key="decimals",
        kind=Number(least=0, most=15, whole=True),
        unit="digits",
        meaning="Digits that the worst cell and initial margin are rounded to, in the asset contracts settle in.",
    ),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.grouped import ByGroup
    from crossmargin.margin.risk_matrix import RiskMatrix
    from crossmargin.scenarios import TenorScaling

    def by_group(key: str) -> ByGroup:
        return ByGroup(by_class=values[key], by_name=values.get(f"{key}_by_name", {}))

    return RiskMatrix(
        price_range=by_group("range"),
        vol=by_group("vol"),
        extended=by_group("extended"),
        offset=by_group("offset"),
        roll=by_group("roll"),
        delta=by_group("delta_shock"),
        buckets=values["buckets"],
        extended_moves=values["extended_moves"],
        tenor=TenorScaling(
            pivot_days=values["vol_pivot_days"],
            short_power=values["vol_short_power"],
            long_power=values["vol_long_power"],
        ),
        correlation_contingency=values["correlation_contingency"],
        maintenance_factor=values["maintenance_factor"],
        decimals=values["decimals"],
    )


SCHEMA = ModelSchema(
    meaning="The worst cell of a price x vol matrix and of moves far beyond it, plus shocks of roll and delta.",
    entries=ENTRIES,
    build=_build,
)
