"""SIMM-type initial margin of sensitivities: delta, vega and curvature, over buckets and risk classes.

Here: the aggregation, a reader of calibrations and a reader of sensitivities (CRIF). Never here: a calibration. The one
the industry uses is licensed; whoever may use it brings its file.

Conventions. A sensitivity is an amount of the calculation currency: of rates and credit spreads per basis point, of
prices per 1%, of vols as `Sensitivity` says. Weights and thresholds are in the
calibration's units: weights per basis point or percent, thresholds in millions. A margin is 0 or more. Readers take
text and are told the file's name for their errors; nothing here opens a file.
"""

from crossmargin.margin.simm.aggregation import (
    Factors,
    aggregated,
    bucket_margins,
    curvature_margin,
    shortfall_weight,
    tenor_days,
    theta,
    vol_scale,
)
from crossmargin.margin.simm.calibration import parse_calibration
from crossmargin.margin.simm.crif import parse_crif
from crossmargin.margin.simm.holdings import SensitivityMargin
from crossmargin.margin.simm.margin import ClassMargin, SimmMargin, simm
from crossmargin.margin.simm.parameters import Calibration, CurrencyGroups, FxRisk, NamedRisk, RatesRisk
from crossmargin.margin.simm.sensitivity import PRODUCTS, RISK_TYPES, Sensitivity, netted

__all__ = [
    "PRODUCTS",
    "RISK_TYPES",
    "Calibration",
    "ClassMargin",
    "CurrencyGroups",
    "Factors",
    "FxRisk",
    "NamedRisk",
    "RatesRisk",
    "Sensitivity",
    "SensitivityMargin",
    "SimmMargin",
    "aggregated",
    "bucket_margins",
    "curvature_margin",
    "netted",
    "parse_calibration",
    "parse_crif",
    "shortfall_weight",
    "simm",
    "tenor_days",
    "theta",
    "vol_scale",
]
