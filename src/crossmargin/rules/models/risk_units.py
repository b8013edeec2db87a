"""Parameters of `margin.risk_units`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from crossmargin.rules.entry import FACTOR, Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Kind, Number, Numbers, Record, Rows, by_class, by_name
from crossmargin.rules.models.shared import INITIAL_FACTOR, QUOTE_RANK, VOL_LONG_POWER, VOL_PIVOT_DAYS, VOL_SHORT_POWER

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel

_AMOUNT = Number(least=0)
_MOVE = Number(least=0, most=1, open_least=True, open_most=True)
_EXTREME = Number(least=0, most=1, open_most=True)


def _made(name: str) -> Callable[..., Any]:
    """Return what builds the class `name` of the models' files, imported when it is first needed."""

    def build(**values: Any) -> Any:
        from crossmargin.margin import grouped, option_shocks, risk_units

        home = next(room for room in (risk_units, option_shocks, grouped) if hasattr(room, name))
        return getattr(home, name)(**values)

    return build


def _ladder(column: str, of: Number) -> Rows:
    return Rows(
        columns={"above": _AMOUNT, column: of}, fields={"above": "floor", column: "rate"}, build=_made("Ladder")
    )


def _both(key: str, kind: Kind, unit: str, meaning: str, what: str = "group") -> tuple[Entry, Entry]:
    """Return the entries of a parameter by asset class, and by name."""
    return (
        Entry(key=key, kind=by_class(kind), unit=unit, meaning=f"{meaning} By asset class."),
        Entry(
            key=f"{key}_by_name",
            kind=by_name(kind, what),
            unit=unit,
            meaning=f"The same by {what}, before its class.",
            required=False,
        ),
    )


ENTRIES = (
    *_both("moves", Numbers(of=_MOVE), "fraction of the price", "Price moves of MR1, each up and down."),
    Entry(
        key="vol",
        kind=Record(fields={"up": _AMOUNT, "down": FRACTION, "least": _AMOUNT}, build=_made("VolShock")),
        unit="fraction of the vol; least is a vol",
        meaning="How far implied vols rise and fall at the pivot in MR1; a vol below `least` rises from it.",
    ),
    Entry(
        key="term",
        kind=Record(fields={"up": _AMOUNT, "down": FRACTION, "front_days": _AMOUNT}, build=_made("TermShock")),
        unit="fraction of the vol; front_days in days",
        meaning="MR3: vols of expiries up to `front_days` move one way, those after it the other.",
    ),
    VOL_PIVOT_DAYS,
    VOL_SHORT_POWER,
    VOL_LONG_POWER,
    Entry(key="theta_days", kind=_AMOUNT, unit="days", meaning="MR2: time that goes by."),
    *_both("basis", _AMOUNT, "fraction of the price a year", "MR4: how far two expiries a year apart may part."),
    Entry(key="rate_shock", kind=FRACTION, unit="fraction a year", meaning="MR5: interest rates move by this."),
    *_both("extreme", _EXTREME, "fraction of the price", "MR6: the extreme move, up and down."),
    Entry(
        key="extreme_share",
        kind=FRACTION,
        unit="fraction of the loss",
        meaning="How much of the loss in an extreme move counts.",
    ),
    *_both(
        "closing",
        Record(fields={"future": FRACTION, "option": FRACTION}, build=_made("ClosingCost")),
        "fraction of notional",
        "MR7: fee and slippage of closing out.",
    ),
    *_both(
        "closing_tiers",
        _ladder("multiplier", FACTOR),
        "cost in the reporting currency; multiple of the slice",
        "MR7: what each slice of that cost is multiplied by.",
    ),
    *_both(
        "borrow_tiers",
        _ladder("rate", FRACTION),
        "value in the reporting currency; fraction of the slice",
        "MR8: what a debt is charged.",
        "asset",
    ),
    Entry(
        key="peg_tiers",
        kind=_ladder("rate", FRACTION),
        unit="value in the reporting currency; fraction of the slice",
        meaning="MR9: what positions hedged between two quote currencies are charged.",
    ),
    Entry(
        key="peg_multiple",
        kind=_AMOUNT,
        unit="multiple of how far the two are apart",
        meaning="Every rate of `peg_tiers` is at least this much of 1 - the price of the cheaper in the dearer.",
    ),
    QUOTE_RANK,
    INITIAL_FACTOR,
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.grouped import ByGroup
    from crossmargin.margin.risk_units import RiskUnits
    from crossmargin.scenarios import TenorScaling

    def by_group(key: str) -> ByGroup:
        return ByGroup(by_class=values[key], by_name=values.get(f"{key}_by_name", {}))

    rank = values["quote_rank"]
    return RiskUnits(
        moves=by_group("moves"),
        vol=values["vol"],
        term=values["term"],
        tenor=TenorScaling(
            pivot_days=values["vol_pivot_days"],
            short_power=values["vol_short_power"],
            long_power=values["vol_long_power"],
        ),
        theta_days=values["theta_days"],
        basis=by_group("basis"),
        rate_shock=values["rate_shock"],
        extreme=by_group("extreme"),
        extreme_share=values["extreme_share"],
        closing=by_group("closing"),
        closing_ladder=by_group("closing_tiers"),
        borrow_ladder=by_group("borrow_tiers"),
        peg_ladder=values["peg_tiers"],
        peg_multiple=values["peg_multiple"],
        quotes=tuple(sorted(rank, key=lambda name: (rank[name], name))),
        initial_factor=values["initial_factor"],
    )


SCHEMA = ModelSchema(
    meaning="Nine named risks of everything that follows one underlying, and of what is borrowed.",
    entries=ENTRIES,
    build=_build,
)
