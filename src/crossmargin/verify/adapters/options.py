"""Adapters of option pricing: Black-76 and its relatives, vols of SVI."""

from __future__ import annotations

import re

from crossmargin.errors import InputError
from crossmargin.market import svi_vol
from crossmargin.pricing import black76, carried_forward, discount_factor
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

YEAR_SECONDS = 365 * 86_400

_OUR_CLAMP = re.compile(r"(\+-|\+/-|±)4(\.0*)?\*?sqrt\(a\+b\*?(sigma|sig)\)")


@adapter(
    "black76",
    reads="sec year_sec? vol forward strike discount?",
    calls="pricing.black76",
    note="tau = sec / year_sec (31,536,000); discount 1 where absent. Gives {call, put}.",
)
def _black76(inputs: Inputs) -> object:
    tau = inputs.number("sec") / inputs.number("year_sec", YEAR_SECONDS, above=0)
    terms = (inputs.number("forward"), inputs.number("strike"), inputs.number("vol"), tau)
    discount = inputs.number("discount", 1.0)
    return {"call": black76(*terms, discount, True), "put": black76(*terms, discount, False)}


def _on_spot(inputs: Inputs) -> object:
    rate, tau = inputs.number("r", 0.0), inputs.number("T")
    forward = carried_forward(inputs.number("S"), rate - inputs.number("q", 0.0), tau)
    is_call = inputs.text("type", among=("c", "p", "call", "put")).startswith("c")
    return black76(forward, inputs.number("K"), inputs.number("vol"), tau, discount_factor(rate, tau), is_call)


_NOTE = "F = S exp((r - q) T), discount exp(-r T), T in years; type c or p; q and r 0 where absent."

adapter("black_scholes_merton", reads="type K S q? r? T vol", calls="pricing.black76", note=_NOTE)(_on_spot)
adapter("black76_equivalent(q=r)", reads="type K S q? r? T vol", calls="pricing.black76", note=_NOTE)(_on_spot)


@adapter(
    "svi_vol",
    reads="tau a b rho m sigma forward strike k_clamp?",
    calls="market.svi_vol",
    note="The clamp must be the library's, +-4*sqrt(a+b*sigma). Gives {vol}.",
)
def _svi_vol(inputs: Inputs) -> object:
    clamp = inputs.text("k_clamp", "+-4*sqrt(a+b*sigma)")
    if not _OUR_CLAMP.fullmatch(clamp.replace(" ", "")):
        raise InputError("inputs.k_clamp", repr(clamp), "+-4*sqrt(a+b*sigma), the clamp of this library")
    letters = {name: inputs.number(name) for name in ("a", "b", "rho", "m", "sigma")}
    strike, forward = inputs.number("strike", above=0), inputs.number("forward", above=0)
    return {"vol": svi_vol(strike, **letters, forward=forward, tau=inputs.number("tau", above=0))}
