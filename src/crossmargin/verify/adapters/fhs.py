"""Adapters of filtered historical margin: the tail and what stands beside it, and anti-procyclicality."""

from __future__ import annotations

import numpy as np

from crossmargin.errors import InputError
from crossmargin.margin import procyclicality, tail_risk
from crossmargin.units import FloatArray
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

_NUMBERS = (
    "confidence",
    "break_factor",
    "break_least",
    "break_most",
    "stress_confidence",
    "stress_share",
    "tool_share",
)
_WORDS = {"measure": ("var", "es"), "stress": tail_risk.STRESSES, "tool": procyclicality.TOOLS}


@adapter(
    "fhs_market_risk",
    reads="losses stressed? long_run? measure? confidence? sub_windows? break_factor? break_least? break_most? stress?"
    " stress_confidence? stress_share? tool? tool_share?",
    calls="margin.tail_risk.TailRisk",
    note="Our own: losses of one portfolio in the ordinary, stressed and long-run scenarios, a loss positive. Gives"
    " {tail, correlation_break, stress, tool, total}.",
)
def _market_risk(inputs: Inputs) -> object:
    given: dict[str, float | str | int] = {name: inputs.number(name) for name in _NUMBERS if inputs.has(name)}
    given |= {name: inputs.text(name, among=words) for name, words in _WORDS.items() if inputs.has(name)}
    if inputs.has("sub_windows"):
        given["sub_windows"] = _whole(inputs, "sub_windows")
    risk = tail_risk.TailRisk(**given)  # type: ignore[arg-type]
    found = risk.of(_row(inputs, "losses"), _row(inputs, "stressed"), _row(inputs, "long_run"))
    return {name: float(getattr(found, name)[0]) for name in ("tail", "correlation_break", "stress", "tool", "total")}


def _row(inputs: Inputs, key: str) -> FloatArray:
    if key != "losses" and not inputs.has(key):
        return np.zeros((1, 0))
    numbers = inputs.numbers(key)
    if not numbers:
        raise InputError(f"{inputs.place}.{key}", "nothing", "one loss or more")
    return np.array([numbers], dtype=np.float64)


def _whole(inputs: Inputs, key: str) -> int:
    number = inputs.number(key)
    if number != int(number):
        raise InputError(f"{inputs.place}.{key}", f"{number:g}", "a whole number")
    return int(number)


@adapter(
    "offset_cap",
    reads="together apart cap?",
    calls="margin.tail_risk.capped",
    note="Our own: at most cap (0.8 where absent) of what a portfolio's offsets save.",
)
def _offset_cap(inputs: Inputs) -> object:
    return tail_risk.capped(inputs.number("together"), inputs.number("apart"), inputs.number("cap", 0.8))


@adapter(
    "liquidation_cost",
    reads="size spread capacity power?",
    calls="margin.tail_risk.liquidation_cost",
    note="Our own: spread bid to ask, a fraction; capacity and size are notionals; power 1 where absent.",
)
def _liquidation_cost(inputs: Inputs) -> object:
    return tail_risk.liquidation_cost(
        inputs.number("size"),
        inputs.number("spread"),
        inputs.number("capacity", above=0),
        inputs.number("power", 1.0),
    )


@adapter(
    "anti_procyclicality",
    reads="tool margin previous? stressed? long_run? share?",
    calls="margin.procyclicality.buffered, margin.procyclicality.stress_weighted, margin.procyclicality.floored",
    note="Our own: tool buffer (with previous), stress_weight (with stressed) or floor (with long_run); share 0.25"
    " where absent.",
)
def _anti_procyclicality(inputs: Inputs) -> object:
    margin, tool = inputs.number("margin"), inputs.text("tool", among=procyclicality.TOOLS[1:])
    if tool == "floor":
        return procyclicality.floored(margin, inputs.number("long_run"))
    share = inputs.number("share", 0.25)
    if tool == "buffer":
        return procyclicality.buffered(margin, inputs.number("previous"), share)
    return procyclicality.stress_weighted(margin, inputs.number("stressed"), share)


@adapter(
    "procyclicality_measures",
    reads="margins days",
    calls="margin.procyclicality.peak_to_trough, margin.procyclicality.largest_rise",
    note="Our own: one margin a day of a static portfolio. Gives {peak_to_trough, largest_rise}.",
)
def _procyclicality_measures(inputs: Inputs) -> object:
    margins, days = inputs.numbers("margins"), _whole(inputs, "days")
    return {
        "peak_to_trough": procyclicality.peak_to_trough(margins),
        "largest_rise": procyclicality.largest_rise(margins, days),
    }
