"""Adapters of TIMS margin."""

from __future__ import annotations

from crossmargin.margin import tims
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter


@adapter(
    "tims_minimum",
    reads="contracts per_contract",
    calls="margin.tims.contract_minimum",
    note="contracts of either sign.",
)
def _minimum(inputs: Inputs) -> object:
    return float(tims.contract_minimum(inputs.number("contracts"), inputs.number("per_contract")))
