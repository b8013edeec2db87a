"""Adapters of SIMM-type margin: sensitivities and a licensed calibration, or sensitivities and our own numbers."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import numpy as np

from crossmargin.errors import InputError, InvalidFile
from crossmargin.margin.simm import (
    Calibration,
    Factors,
    Sensitivity,
    aggregated,
    curvature_margin,
    parse_calibration,
    parse_crif,
    simm,
)
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

_CALIBRATION = "simmcalibration_2.4.xml"
_CRIF = "Input/Simm/crif.csv"
_READS = "calc_ccy netted_sensitivities n_rows?"
_NOTE = "Licensed parameters (simmcalibration_2.4.xml, ten days). n_rows says how many rows there were before netting."
_FIELDS = ("product", "risk_type", "qualifier", "bucket", "label1", "label2")
_COUNTS = re.compile(r"(\d+) (Risk_\w+) rows")


def _calibration(inputs: Inputs) -> Calibration:
    return _parsed(inputs.licensed(_CALIBRATION))


@lru_cache(maxsize=4)
def _parsed(path: Path) -> Calibration:
    return parse_calibration(_text(path), str(path))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidFile(str(path), str(error), "a text file in UTF-8") from None


def _rows(inputs: Inputs) -> list[Sensitivity]:
    rows = []
    for row in inputs.inners("netted_sensitivities"):
        found = {name: row.text(name, "") for name in _FIELDS}
        try:
            rows.append(Sensitivity(**found, amount=row.number("amount_usd")))
        except InputError as error:
            raise InputError(f"{row.place}.{error.where}", error.found, error.allowed, error.hint) from None
    return rows


def _sensitivities(inputs: Inputs) -> object:
    currency, rows = inputs.text("calc_ccy"), _rows(inputs)
    inputs.number("n_rows", 0.0)
    return simm(rows, _calibration(inputs), currency=currency).total


for _model in (
    "simm_equity_delta",
    "simm_equity_vega_curvature",
    "simm_fx_delta",
    "simm_ir_delta",
):
    adapter(_model, reads=_READS, calls="margin.simm.simm", note=_NOTE)(_sensitivities)


@adapter(
    "simm_ir_delta_vega_curvature",
    reads="crif vega_rows",
    calls="margin.simm.parse_crif, margin.simm.simm",
    note="Licensed parameters, and beside them Input/Simm/crif.csv: its curve rows, and vega_rows (expiry to amount)"
    " for its vol rows. crif says how many rows of a type there must be. Gives {delta, vega, curvature, total}.",
)
def _crif_portfolio(inputs: Inputs) -> object:
    calibration, path = _calibration(inputs), inputs.licensed(_CRIF)
    table = [row for row in parse_crif(_text(path), str(path)) if row.risk_class == "InterestRate"]
    said = inputs.text("crif")
    for count, risk_type in _COUNTS.findall(said):
        there = sum(row.risk_type == risk_type for row in table)
        if there != int(count):
            raise InputError("inputs.crif", f"{count} {risk_type} rows", f"{there}, as in {path}")
    currencies = sorted({row.qualifier for row in table})
    if len(currencies) != 1:
        raise InvalidFile(str(path), f"rows in {', '.join(currencies) or 'nothing'}", "rows in one currency")
    vols = inputs.inner("vega_rows")
    rows = [row for row in table if row.kind == "delta"]
    rows += [
        Sensitivity(
            product="RatesFX",
            risk_type="Risk_IRVol",
            qualifier=currencies[0],
            label1=tenor,
            amount=vols.number(tenor),
        )
        for tenor in vols.values
    ]
    margin = simm(rows, calibration)
    return {
        "delta": margin.of("delta"),
        "vega": margin.of("vega"),
        "curvature": margin.of("curvature"),
        "total": margin.total,
    }


@adapter(
    "simm_aggregation",
    reads="buckets residual? gamma",
    calls="margin.simm.aggregated, margin.simm.curvature_margin",
    note="Our own: buckets: a list of {weighted, rho}, one rho for all pairs of one; residual the same, once; gamma"
    " between any two. Gives {margin, curvature}: the numbers as weighted sensitivities, as curvature exposures.",
)
def _aggregation(inputs: Inputs) -> object:
    buckets = inputs.inners("buckets")
    if inputs.has("residual"):
        buckets.append(inputs.inner("residual"))
    weighted = [bucket.numbers("weighted") for bucket in buckets]
    rhos = [bucket.number("rho") for bucket in buckets]
    number = np.repeat(np.arange(len(buckets)), [len(own) for own in weighted])
    rho = np.array(rhos)[number][:, None] * np.ones(len(number))
    np.fill_diagonal(rho, 1.0)
    factors = Factors(
        bucket=number,
        weighted=np.concatenate([np.array(own, dtype=np.float64) for own in weighted]),
        rho=rho,
        gamma=np.full((len(buckets), len(buckets)), inputs.number("gamma")),
        residual=len(buckets) - 1 if inputs.has("residual") else -1,
    )
    return {"margin": aggregated(factors), "curvature": curvature_margin(factors)}
