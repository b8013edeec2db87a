"""Adapters of OKX-style margin: charges in slices."""

from __future__ import annotations

from itertools import accumulate

from crossmargin.errors import InputError
from crossmargin.margin.grouped import sliced_charge
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

_ROW = 2


@adapter(
    "okx_mr9_tiered",
    reads="hedge_usd tiers",
    calls="margin.grouped.sliced_charge",
    note="tiers: rows [size of the slice, rate]; what lies beyond the last slice is charged at its rate.",
)
def _okx_mr9_tiered(inputs: Inputs) -> object:
    hedged, tiers = inputs.number("hedge_usd"), inputs.table("tiers", _ROW)
    if hedged < 0:
        raise InputError("inputs.hedge_usd", f"{hedged:g}", "0 or more")
    if not tiers:
        raise InputError("inputs.tiers", "no tiers", "at least one [size, rate]")
    for k, row in enumerate(tiers):
        if not row[0] > 0:
            raise InputError(f"inputs.tiers[{k}]", str(row), "a size above 0")
    floors = [0.0, *accumulate(size for size, _ in tiers[:-1])]
    return float(sliced_charge(hedged, floors, [rate for _, rate in tiers]))
