"""Adapters of the closed forms: bankruptcy and liquidation prices of one position, isolated or in a cross account."""

from __future__ import annotations

from collections.abc import Callable

from crossmargin.errors import InputError
from crossmargin.margin import isolated
from crossmargin.units import FloatArray
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

_FUNDS = ("wb", "balance", "margin")
"""Names sources give the money behind a position."""
_OWN = "side? q? ep leverage? wb? balance? margin?"

EntryMargin = Callable[..., FloatArray]


def _position(inputs: Inputs, *, size: str = "q", entry: str = "ep", side: float | None = None) -> dict[str, float]:
    """Return side, size and entry. The side is the one given, else `side`, else the sign of the size."""
    quantity = inputs.number(size, 1.0)
    sign = inputs.number("side", side if side is not None else -1.0 if quantity < 0 else 1.0)
    if sign not in (1.0, -1.0) or (quantity < 0 < sign):
        raise InputError(f"{inputs.place}.side", f"{sign:g} with {size} {quantity:g}", "+1 (long) or -1 (short)")
    return {"side": sign, "size": abs(quantity), "entry": inputs.number(entry, above=0)}


def _margin(inputs: Inputs, position: dict[str, float], entry_margin: EntryMargin, *, size: str = "q") -> FloatArray:
    """Return what stands behind a position: money, or so much as its leverage leaves."""
    given = [name for name in ("leverage", *_FUNDS) if inputs.has(name)]
    if len(given) != 1:
        raise InputError(inputs.place, " and ".join(given) or "no margin", "one of leverage, wb, balance, margin")
    if given == ["leverage"]:
        leverage = inputs.number("leverage", above=0)
        return entry_margin(size=position["size"], entry=position["entry"], leverage=leverage)
    if not inputs.has(size):
        raise InputError(f"{inputs.place}.{size}", "nothing", f"the size that {given[0]} stands behind")
    reserved = inputs.number("order_margin", 0.0)
    return isolated.cross_margin(inputs.number(given[0]), reserved=reserved)


@adapter(
    "bankruptcy_linear_isolated",
    reads=_OWN,
    calls="margin.isolated.linear_bankruptcy_price",
    note="What stands behind the position is lost there.",
)
def _bankruptcy_linear_isolated(inputs: Inputs) -> object:
    position = _position(inputs)
    margin = _margin(inputs, position, isolated.linear_entry_margin)
    return isolated.linear_bankruptcy_price(**position, margin=margin)


adapter(
    "bankruptcy_linear_cross",
    reads="side? q? ep leverage? wb? balance? margin?",
    calls="margin.isolated.linear_bankruptcy_price",
    note="The whole balance stands behind the position.",
)(_bankruptcy_linear_isolated)


@adapter(
    "bankruptcy_inverse_cross",
    reads="side? contracts ep leverage? wb? balance? margin? order_margin? taker?",
    calls="margin.isolated.inverse_bankruptcy_price",
    note="contracts in the quote asset, money in coin; order_margin is taken off it; taker is the fee of closing.",
)
def _bankruptcy_inverse_cross(inputs: Inputs) -> object:
    position = _position(inputs, size="contracts")
    margin = _margin(inputs, position, isolated.inverse_entry_margin, size="contracts")
    return isolated.inverse_bankruptcy_price(**position, margin=margin, fee=inputs.number("taker", 0.0))


@adapter(
    "liq_linear_isolated_binance",
    reads=f"{_OWN} mmr cum?",
    calls="margin.isolated.linear_liquidation_price",
    note="Maintenance on the mark, less cum.",
)
def _liq_linear_isolated_binance(inputs: Inputs) -> object:
    position = _position(inputs)
    margin = _margin(inputs, position, isolated.linear_entry_margin)
    return isolated.linear_liquidation_price(
        **position, margin=margin, rate=inputs.number("mmr"), amount=inputs.number("cum", 0.0)
    )


@adapter(
    "liq_linear_isolated_with_taker_fee",
    reads=f"{_OWN} mmr taker cum?",
    calls="margin.isolated.linear_liquidation_price",
    note="Maintenance on the mark, with the taker fee of closing.",
)
def _liq_linear_isolated_with_taker_fee(inputs: Inputs) -> object:
    position = _position(inputs)
    return isolated.linear_liquidation_price(
        **position,
        margin=_margin(inputs, position, isolated.linear_entry_margin),
        rate=inputs.number("mmr"),
        amount=inputs.number("cum", 0.0),
        fee=inputs.number("taker"),
    )


@adapter(
    "liq_linear_isolated_bybit",
    reads=f"{_OWN} mmr cum?",
    calls="margin.isolated.linear_liquidation_price_on_entry",
    note="Maintenance on the value at entry.",
)
def _liq_linear_on_entry(inputs: Inputs) -> object:
    position = _position(inputs)
    margin = _margin(inputs, position, isolated.linear_entry_margin)
    return isolated.linear_liquidation_price_on_entry(
        **position, margin=margin, rate=inputs.number("mmr"), amount=inputs.number("cum", 0.0)
    )


adapter(
    "liq_linear_cross_mm_on_entry_value",
    reads="side? q? ep leverage? wb? balance? margin? mmr cum?",
    calls="margin.isolated.linear_liquidation_price_on_entry",
    note="The whole balance stands behind the position.",
)(_liq_linear_on_entry)


@adapter(
    "liq_linear_cross_other_mm",
    reads="side? equity mark q mmr cum? other_mm?",
    calls="margin.isolated.linear_liquidation_price",
    note="equity at mark; the other positions' maintenance margin other_mm stands still.",
)
def _liq_linear_cross_other_mm(inputs: Inputs) -> object:
    inputs.number("q")
    # Equity at the mark: seen from there, the position was entered at the mark.
    return isolated.linear_liquidation_price(
        **_position(inputs, entry="mark"),
        margin=isolated.cross_margin(inputs.number("equity"), maintenances=[inputs.number("other_mm", 0.0)]),
        rate=inputs.number("mmr"),
        amount=inputs.number("cum", 0.0),
    )


@adapter(
    "liq_linear_cross_binance",
    reads="wb side? this other?",
    calls="margin.isolated.cross_margin, margin.isolated.linear_liquidation_price",
    note="this and each of other: {q, ep, mp, mmr, cum?, side?}; side is that of this. Others stand still at mp.",
)
def _liq_linear_cross_binance(inputs: Inputs) -> object:
    this = inputs.inner("this")
    side = inputs.number("side") if inputs.has("side") else None
    if side is not None and this.has("side") and this.number("side") != side:
        raise InputError("inputs.this.side", f"{this.number('side'):g} beside a side of {side:g}", "one side")
    this.number("q")
    position = _position(this, side=side)
    # The mark of `this` moves to the answer, which does not depend on where it stands now.
    this.number("mp", position["entry"], above=0)
    profits, maintenances = [], []
    for other in inputs.inners("other", ()):
        other.number("q")
        held, mark = _position(other), other.number("mp", above=0)
        rate, amount = other.number("mmr"), other.number("cum", 0.0)
        profits.append(isolated.linear_profit(**held, price=mark))
        maintenances.append(isolated.linear_maintenance(size=held["size"], price=mark, rate=rate, amount=amount))
    return isolated.linear_liquidation_price(
        **position,
        margin=isolated.cross_margin(inputs.number("wb"), profits=profits, maintenances=maintenances),
        rate=this.number("mmr"),
        amount=this.number("cum", 0.0),
    )


@adapter(
    "liq_inverse_isolated_short",
    reads="side? q? ep leverage? wb? balance? margin? mmr",
    calls="margin.isolated.inverse_liquidation_price_on_entry",
    note="Maintenance on the value at entry; side -1 where absent; q in the quote asset, 1 where leverage is given.",
)
def _liq_inverse_isolated_short(inputs: Inputs) -> object:
    position = _position(inputs, side=-1.0)
    margin = _margin(inputs, position, isolated.inverse_entry_margin)
    return isolated.inverse_liquidation_price_on_entry(**position, margin=margin, rate=inputs.number("mmr"))


@adapter(
    "liq_inverse_isolated_on_mark",
    reads="side? q? ep leverage? wb? balance? margin? mmr taker?",
    calls="margin.isolated.inverse_liquidation_price",
    note="Our own: maintenance on the mark, with the taker fee of closing; q in the quote asset, money in coin.",
)
def _liq_inverse_isolated_on_mark(inputs: Inputs) -> object:
    position = _position(inputs)
    margin = _margin(inputs, position, isolated.inverse_entry_margin)
    return isolated.inverse_liquidation_price(
        **position, margin=margin, rate=inputs.number("mmr"), fee=inputs.number("taker", 0.0)
    )


@adapter(
    "liq_linear_by_leverage",
    reads="side? q mark margin_available maintenance_leverage",
    calls="margin.isolated.linear_liquidation_price_by_leverage",
    note="Our own: margin_available is beyond maintenance margin at the mark.",
)
def _liq_linear_by_leverage(inputs: Inputs) -> object:
    inputs.number("q")
    position = _position(inputs, entry="mark")
    return isolated.linear_liquidation_price_by_leverage(
        side=position["side"],
        size=position["size"],
        mark=position["entry"],
        available=inputs.number("margin_available"),
        leverage=inputs.number("maintenance_leverage"),
    )
