"""Adapters of SPAN margin: scan risk, spreads within and between commodities."""

from __future__ import annotations

import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin import delta_spreads, span
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter


@adapter(
    "span_scan_risk",
    reads="array_long qty",
    calls="margin.span.scan_pnl, margin.span.scan_risk",
    note="array_long: P&L of one long contract, a loss negative; qty of either sign.",
)
def _scan_risk(inputs: Inputs) -> object:
    array = np.array([_array(inputs, "array_long")])
    return span.scan_risk(span.scan_pnl(np.array([inputs.number("qty")]), array))


@adapter(
    "span_scan_risk_portfolio",
    reads="future call qty",
    calls="margin.span.scan_pnl, margin.span.scan_risk",
    note="future and call: P&L of one long contract; qty: {future, call}. Gives {array, scan}.",
)
def _scan_risk_portfolio(inputs: Inputs) -> object:
    quantity = inputs.inner("qty")
    names = ("future", "call")
    arrays = [_array(inputs, name) for name in names]
    if len({len(array) for array in arrays}) > 1:
        raise InputError("inputs.call", f"{len(arrays[1])} scenarios", f"{len(arrays[0])}, as many as future")
    pnl = span.scan_pnl(np.array([quantity.number(name) for name in names]), np.array(arrays))
    return {"array": pnl.tolist(), "scan": span.scan_risk(pnl)}


@adapter(
    "span_intra_spread",
    reads="leg1 leg2 charge",
    calls="margin.span.calendar_margin",
    note="leg1, leg2: what each leg owes outright.",
)
def _intra_spread(inputs: Inputs) -> object:
    return span.calendar_margin(inputs.number("leg1"), inputs.number("leg2"), inputs.number("charge"))


@adapter(
    "span_inter_spread_credit",
    reads="legs credit",
    calls="margin.delta_spreads.spread_margin",
    note="legs: [contracts, what one owes outright]; credit a fraction. Gives {outright, credit, margin}.",
)
def _inter_spread_credit(inputs: Inputs) -> object:
    legs = np.array(inputs.table("legs", columns=2))
    outright, credit, margin = delta_spreads.spread_margin(legs[:, 0], legs[:, 1], inputs.number("credit"))
    return {"outright": outright, "credit": credit, "margin": margin}


def _array(inputs: Inputs, key: str) -> list[float]:
    array = inputs.numbers(key)
    if not array:
        raise InputError(f"inputs.{key}", "no scenarios", "at least one")
    return array
