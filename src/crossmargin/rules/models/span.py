"""Parameters of `margin.span`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crossmargin.errors import InputError, InvalidRules
from crossmargin.rules.entry import Entry, ModelSchema
from crossmargin.rules.kinds import FRACTION, Choice, Name, Number, Numbers, Record, Rows, by_class, by_name, told
from crossmargin.rules.models.shared import INITIAL_FACTOR

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel

_ARRAY = 17
_SHARE = Number(least=0, most=1, open_most=True)


@dataclass(frozen=True, slots=True)
class _Row:
    """A list of so many numbers, repeats allowed."""

    of: Number
    count: int

    @property
    def allowed(self) -> str:
        return f"a list of {self.count}, each {self.of.allowed}"

    def read(self, raw: Any, place: str) -> tuple[float, ...]:
        if not isinstance(raw, list):
            raise InvalidRules(place, told(raw), self.allowed)
        if len(raw) != self.count:
            raise InvalidRules(place, f"{len(raw)} numbers", self.allowed)
        return tuple(self.of.read(item, f"{place}[{k}]") or 0.0 for k, item in enumerate(raw))


@dataclass(frozen=True, slots=True)
class _CommoditySpreads:
    """A list of spreads between commodities, in order of priority."""

    @property
    def allowed(self) -> str:
        return 'a list of {legs = [[commodity, units of delta, "A" or "B"], ...], credit}'

    def read(self, raw: Any, place: str) -> tuple[Any, ...]:
        from crossmargin.margin.delta_spreads import CommoditySpread, SpreadLeg

        if not isinstance(raw, list):
            raise InvalidRules(place, told(raw), self.allowed)
        spreads = []
        for k, item in enumerate(raw):
            where = f"{place}[{k}]"
            if not isinstance(item, dict) or set(item) != {"legs", "credit"} or not isinstance(item["legs"], list):
                raise InvalidRules(where, told(item), self.allowed)
            legs = []
            for n, leg in enumerate(item["legs"]):
                at = f"{where}.legs[{n}]"
                if not isinstance(leg, list) or len(leg) != 3:
                    raise InvalidRules(at, told(leg), 'a list [commodity, units of delta, "A" or "B"]')
                ratio = Number(least=0, open_least=True).read(leg[1], f"{at}[1]")
                legs.append(
                    SpreadLeg(
                        commodity=Name().read(leg[0], f"{at}[0]"),
                        ratio=float(ratio or 0.0),
                        side=Choice(("A", "B")).read(leg[2], f"{at}[2]"),
                    )
                )
            credit = FRACTION.read(item["credit"], f"{where}.credit")
            try:
                spreads.append(CommoditySpread(legs=tuple(legs), credit=float(credit or 0.0)))
            except InputError as error:
                raise InvalidRules(f"{where}.{error.where}", error.found, error.allowed) from None
        return tuple(spreads)


def _tier_spreads(**columns: tuple[float, ...]) -> Any:
    from crossmargin.margin.delta_spreads import TierSpread

    rows = zip(columns["tier"], columns["other"], columns["charge"], strict=True)
    return tuple(TierSpread(tiers=(int(tier), int(other)), charge=charge) for tier, other, charge in rows)


def _delivery(**fields: float) -> Any:
    from crossmargin.margin.span import Delivery

    return Delivery(**fields)


_TIER = Number(least=1, whole=True)
_TIER_SPREADS = Rows(
    columns={"tier": _TIER, "with": _TIER, "charge": Number(least=0)},
    fields={"tier": "tier", "with": "other", "charge": "charge"},
    build=_tier_spreads,
)
_DELIVERY = Record(
    fields={"days": Number(least=0), "in_spreads": Number(least=0), "outright": Number(least=0)}, build=_delivery
)
_PRICE = "fraction of the price"
_VOL = "fraction of the vol"
_DAYS = "days to expiry"

ENTRIES = (
    Entry(
        key="scan_range",
        kind=by_class(_SHARE),
        unit=_PRICE,
        meaning="The price scan range, by asset class of the underlying.",
    ),
    Entry(
        key="scan_range_by_underlying",
        kind=by_name(_SHARE, "underlying"),
        unit=_PRICE,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="vol_range",
        kind=by_class(_SHARE),
        unit=_VOL,
        meaning="The vol scan range, up and down, by asset class of the underlying.",
    ),
    Entry(
        key="vol_range_by_underlying",
        kind=by_name(_SHARE, "underlying"),
        unit=_VOL,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="any_floor",
        kind=Number(least=0, open_least=True),
        unit="price units",
        meaning="Where prices may be negative, ranges are fractions of max(|price|, this).",
    ),
    Entry(
        key="extreme_multiple",
        kind=Number(least=1),
        unit="multiple of the scan range",
        meaning="The two extreme moves, up and down, vols unchanged.",
    ),
    Entry(
        key="extreme_cover",
        kind=FRACTION,
        unit="fraction of the loss",
        meaning="How much of the loss in an extreme move counts.",
    ),
    Entry(
        key="delta_weights",
        kind=_Row(Number(least=0), 4),
        unit="weight",
        meaning="Weights of the deltas at no price move, a third, two thirds and the whole scan range, either way, in "
        "the composite delta; taken by their sum.",
    ),
    Entry(
        key="tier_days",
        kind=Numbers(of=Number(least=0, open_least=True)),
        unit=_DAYS,
        meaning="Up to how many days to expiry each tier reaches, rising; the last tier takes what is longer.",
    ),
    Entry(
        key="tier_days_by_underlying",
        kind=by_name(Numbers(of=Number(least=0, open_least=True)), "underlying"),
        unit=_DAYS,
        meaning="The same by underlying.",
        required=False,
    ),
    Entry(
        key="tier_spreads",
        kind=by_class(_TIER_SPREADS),
        unit="fraction of the price a pair of units",
        meaning="Spreads within a commodity in order of priority: tiers, and what a pair of opposite deltas owes.",
    ),
    Entry(
        key="tier_spreads_by_underlying",
        kind=by_name(_TIER_SPREADS, "underlying"),
        unit="fraction of the price a pair of units",
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="delivery",
        kind=by_class(_DELIVERY),
        unit="days to expiry; fractions of the price a unit",
        meaning="What deltas that expire within `days` owe beside: those in spreads, and those left outright.",
    ),
    Entry(
        key="delivery_by_underlying",
        kind=by_name(_DELIVERY, "underlying"),
        unit="days to expiry; fractions of the price a unit",
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="commodity_spreads",
        kind=_CommoditySpreads(),
        unit="units of the underlying; fraction of the price risk",
        meaning="Spreads between commodities in order of priority: legs on sides A and B, and the credit.",
        required=False,
    ),
    Entry(
        key="short_minimum",
        kind=by_class(_SHARE),
        unit=_PRICE,
        meaning="The least a short option owes, times its size, by asset class of the underlying.",
    ),
    Entry(
        key="short_minimum_by_underlying",
        kind=by_name(_SHARE, "underlying"),
        unit=_PRICE,
        meaning="The same by underlying, before its class.",
        required=False,
    ),
    Entry(
        key="short_count",
        kind=Choice(("sum", "greater")),
        unit="none",
        meaning="Which short options the minimum counts: calls and puts, or whichever come to more.",
    ),
    INITIAL_FACTOR,
    Entry(
        key="arrays",
        kind=by_name(_Row(Number(), _ARRAY), "symbol"),
        unit="quote units a contract; delta a unit",
        meaning="Risk arrays as published, before revaluation: P&L of one long contract in the sixteen scenarios, then "
        "its composite delta a unit of the underlying.",
        required=False,
    ),
)


def _build(values: Mapping[str, Any]) -> MarginModel:
    from crossmargin.margin.span import Span

    return Span(
        scan_range_by_class=values["scan_range"],
        scan_range_by_underlying=values.get("scan_range_by_underlying", {}),
        vol_range_by_class=values["vol_range"],
        vol_range_by_underlying=values.get("vol_range_by_underlying", {}),
        any_floor=values["any_floor"],
        extreme_multiple=values["extreme_multiple"],
        extreme_cover=values["extreme_cover"],
        delta_weights=values["delta_weights"],
        tier_days=values["tier_days"],
        tier_days_by_underlying=values.get("tier_days_by_underlying", {}),
        tier_spreads_by_class=values["tier_spreads"],
        tier_spreads_by_underlying=values.get("tier_spreads_by_underlying", {}),
        delivery_by_class=values["delivery"],
        delivery_by_underlying=values.get("delivery_by_underlying", {}),
        commodity_spreads=values.get("commodity_spreads", ()),
        short_minimum_by_class=values["short_minimum"],
        short_minimum_by_underlying=values.get("short_minimum_by_underlying", {}),
        short_count=values["short_count"],
        initial_factor=values["initial_factor"],
        arrays=values.get("arrays", {}),
    )


SCHEMA = ModelSchema(
    meaning="Sixteen scenarios a commodity, spreads of deltas within and between commodities, delivery, short options.",
    entries=ENTRIES,
    build=_build,
)
