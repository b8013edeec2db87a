"""The whole calculation: sensitivities to a margin, risk class by risk class, product class by product class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import fsum, sqrt
from typing import TypeVar

import numpy as np

from crossmargin.errors import InputError, nearest
from crossmargin.margin.simm.aggregation import (
    Factors,
    aggregated,
    alike,
    concentration,
    curvature_margin,
    curvature_scale,
    tenor_days,
    vol_scale,
)
from crossmargin.margin.simm.parameters import MILLION, Calibration, FxRisk, NamedRisk, RatesRisk
from crossmargin.margin.simm.sensitivity import PRODUCTS, RESIDUAL, RISK_CLASSES, Sensitivity, netted
from crossmargin.ragged import group_sums
from crossmargin.units import FloatArray, IntArray

K = TypeVar("K")


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassMargin:
    """The margin of one risk class of one product class, by kind; in the calculation currency, 0 or more."""

    delta: float = 0.0
    vega: float = 0.0
    curvature: float = 0.0
    base_correlation: float = 0.0

    @property
    def total(self) -> float:
        """The sum of the kinds."""
        return fsum((self.delta, self.vega, self.curvature, self.base_correlation))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimmMargin:
    """The margin of a portfolio of sensitivities, with what it is made of."""

    classes: Mapping[tuple[str, str], ClassMargin]
    """(product class, risk class) -> margin."""
    products: Mapping[str, float]
    """Product class -> margin, its risk classes combined."""

    @property
    def total(self) -> float:
        """The sum over product classes."""
        return fsum(self.products.values())

    def of(self, kind: str) -> float:
        """Return the sum over all classes of `delta`, `vega`, `curvature` or `base_correlation`."""
        return fsum(getattr(margin, kind) for margin in self.classes.values())


def simm(rows: Iterable[Sensitivity], calibration: Calibration, *, currency: str = "USD") -> SimmMargin:
    """Return the margin of sensitivities in `currency`, the calculation currency.

    A product class owes sqrt( sum_r IM_r^2 + sum over r != s of psi_rs IM_r IM_s ), where a risk class owes the sum of
    its delta, vega and curvature margins (and base correlation); product classes add up. Rows with the same factor
    are added first. Raises InputError for a bucket or tenor that the calibration does not have.
    """
    held: dict[tuple[str, str], list[Sensitivity]] = {}
    for row in netted(rows):
        held.setdefault((row.product, row.risk_class), []).append(row)
    classes = {key: _class_margin(held[key], key[1], calibration, currency) for key in sorted(held)}
    products = {}
    for product in PRODUCTS:
        found = [name for name in RISK_CLASSES if (product, name) in classes]
        if found:
            amount = np.array([classes[product, name].total for name in found])
            psi = np.array([[1.0 if a == b else _psi(calibration, a, b) for b in found] for a in found])
            products[product] = sqrt(max(amount @ psi @ amount, 0.0))
    return SimmMargin(classes=classes, products=products)


def _psi(calibration: Calibration, a: str, b: str) -> float:
    if (a, b) not in calibration.psi:
        raise InputError("calibration, risk classes", f"no correlation of {a} and {b}", "one for every pair")
    return calibration.psi[a, b]


def _class_margin(rows: Sequence[Sensitivity], name: str, calibration: Calibration, currency: str) -> ClassMargin:
    of = {kind: [row for row in rows if row.kind == kind] for kind in ("delta", "vega", "base correlation")}
    horizon = calibration.horizon_days
    if name == "InterestRate":
        rates = calibration.rates
        vega, curvature = _rates_vols(of["vega"], rates, horizon)
        return ClassMargin(delta=aggregated(_rates_delta(of["delta"], rates)), vega=vega, curvature=curvature)
    if name == "FX":
        fx = calibration.fx
        vega, curvature = _fx_vols(of["vega"], fx, horizon)
        return ClassMargin(delta=aggregated(_fx_delta(of["delta"], fx, currency)), vega=vega, curvature=curvature)
    named = calibration.named[name]
    vega, curvature = _named_vols(of["vega"], named, horizon)
    return ClassMargin(
        delta=aggregated(_named_delta(of["delta"], named)),
        vega=vega,
        curvature=curvature,
        base_correlation=_base_correlation(of["base correlation"], named),
    )


# --- rates: the buckets are currencies


def _rates_delta(rows: Sequence[Sensitivity], risk: RatesRisk) -> Factors:
    """WS = weight x s x CR; CR of a currency by its whole sensitivity, the basis left out and without one."""
    currencies = sorted({row.qualifier for row in rows})
    number = {currency: b for b, currency in enumerate(currencies)}
    size = np.zeros(len(currencies))
    for row in rows:
        if row.risk_type != "Risk_XCcyBasis":
            size[number[row.qualifier]] += row.amount
    limit = [_at(risk.delta_threshold, risk.threshold_group[c], "threshold group") * MILLION for c in currencies]
    ratio = concentration(size, np.array(limit))
    weighted = [
        _rates_weight(row, risk)
        * row.amount
        * (1.0 if row.risk_type == "Risk_XCcyBasis" else ratio[number[row.qualifier]])
        for row in rows
    ]
    return Factors(
        bucket=np.array([number[row.qualifier] for row in rows], dtype=np.int64),
        weighted=np.array(weighted, dtype=np.float64),
        rho=_correlations(rows, lambda a, b: _rates_rho(a, b, risk)),
        gamma=risk.gamma * alike(ratio),
    )


def _rates_weight(row: Sensitivity, risk: RatesRisk) -> float:
    if row.risk_type == "Risk_Inflation":
        return risk.inflation_weight
    if row.risk_type == "Risk_XCcyBasis":
        return risk.basis_weight
    return _at(risk.weight, (risk.weight_group[row.qualifier], row.label1.lower()), f"tenor of {row.risk_type}")


def _rates_rho(a: Sensitivity, b: Sensitivity, risk: RatesRisk) -> float:
    if "Risk_XCcyBasis" in (a.risk_type, b.risk_type):
        return risk.basis_rho
    if a.risk_type != b.risk_type:
        return risk.inflation_rho
    one, other = a.label1.lower(), b.label1.lower()
    tenors = 1.0 if one == other else _at(risk.tenor_rho, (one, other), f"tenor of {a.risk_type}")
    return tenors if a.label2.lower() == b.label2.lower() else tenors * risk.sub_curve_rho


def _rates_vols(rows: Sequence[Sensitivity], risk: RatesRisk, horizon: int) -> tuple[float, float]:
    """Vega and curvature; amounts are vega x vol. Curvature is divided by the squared historical vol ratio."""
    currencies = sorted({row.qualifier for row in rows})
    number = {currency: b for b, currency in enumerate(currencies)}
    bucket = np.array([number[row.qualifier] for row in rows], dtype=np.int64)
    amount = np.array([row.amount for row in rows], dtype=np.float64)
    limit = [_at(risk.vega_threshold, risk.threshold_group[c], "threshold group") * MILLION for c in currencies]
    ratio = concentration(group_sums(bucket, amount, len(currencies)), np.array(limit))
    # Two inflation vols of one currency are of two expiries.
    rho = _correlations(rows, lambda a, b: _rates_rho(a, b, risk))
    vega = aggregated(
        Factors(
            bucket=bucket,
            weighted=risk.vega_weight * amount * ratio[bucket],
            rho=rho,
            gamma=risk.gamma * alike(ratio),
        )
    )
    bent = Factors(
        bucket=bucket,
        weighted=_curvature_scales(rows, horizon) * amount,
        rho=rho,
        gamma=np.full((len(currencies), len(currencies)), risk.gamma),
    )
    return vega, curvature_margin(bent) / risk.historical_vol_ratio**2


# --- names in buckets: equity, commodities, credit


def _named_delta(rows: Sequence[Sensitivity], risk: NamedRisk) -> Factors:
    weight = np.array([_at(risk.weight, row.bucket, f"bucket of {row.risk_type}") for row in rows])
    amount = np.array([row.amount for row in rows], dtype=np.float64)
    return _named_factors(rows, amount, weight, risk.delta_threshold, risk)


def _named_factors(
    rows: Sequence[Sensitivity],
    amount: FloatArray,
    weight: FloatArray,
    threshold: Mapping[str, float],
    risk: NamedRisk,
) -> Factors:
    """Weight x amount x CR, CR by the whole amount of a name in a bucket."""
    names = [(row.bucket, row.qualifier) for row in rows]
    size: dict[tuple[str, str], float] = {}
    for name, own in zip(names, amount.tolist(), strict=True):
        size[name] = size.get(name, 0.0) + own
    limits = np.array([threshold[row.bucket] * MILLION for row in rows], dtype=np.float64)
    ratio = concentration(np.array([size[name] for name in names], dtype=np.float64), limits)
    return Factors(
        bucket=_bucket_numbers(rows),
        weighted=weight * amount * ratio,
        rho=_named_rho(rows, risk) * alike(ratio),
        gamma=_named_gamma(rows, risk),
        residual=_residual(rows),
    )


def _named_rho(rows: Sequence[Sensitivity], risk: NamedRisk) -> FloatArray:
    return _correlations(
        rows,
        lambda a, b: (
            0.0 if a.bucket != b.bucket else (risk.rho_same if a.qualifier == b.qualifier else risk.rho)[a.bucket]
        ),
    )


def _buckets(rows: Sequence[Sensitivity]) -> list[str]:
    return sorted({row.bucket for row in rows})


def _bucket_numbers(rows: Sequence[Sensitivity]) -> IntArray:
    number = {bucket: b for b, bucket in enumerate(_buckets(rows))}
    return np.array([number[row.bucket] for row in rows], dtype=np.int64)


def _named_gamma(rows: Sequence[Sensitivity], risk: NamedRisk) -> FloatArray:
    buckets = _buckets(rows)
    gamma = np.zeros((len(buckets), len(buckets)))
    for i, a in enumerate(buckets):
        for j, b in enumerate(buckets):
            if a != b and RESIDUAL not in (a, b):
                gamma[i, j] = _at(risk.gamma, (a, b), "pair of buckets")
    return gamma


def _residual(rows: Sequence[Sensitivity]) -> int:
    buckets = _buckets(rows)
    return buckets.index(RESIDUAL) if RESIDUAL in buckets else -1


def _named_vols(rows: Sequence[Sensitivity], risk: NamedRisk, horizon: int) -> tuple[float, float]:
    """Vega and curvature: a name's expiries add up, except of credit, where each is a factor."""
    for row in rows:
        _at(risk.weight, row.bucket, f"bucket of {row.risk_type}")
    vol = np.array([1.0 if risk.vol_weighted else risk.weight[row.bucket] * vol_scale(horizon) for row in rows])
    exposure = vol * np.array([row.amount for row in rows], dtype=np.float64)
    bent = exposure * _curvature_scales(rows, horizon)
    bent[np.array([row.bucket in risk.without_curvature for row in rows], dtype=np.bool_)] = 0.0
    if not risk.vol_weighted:
        rows, exposure, bent = _by_name(rows, exposure, bent)
    weight = np.array([risk.vega_weight[row.bucket] for row in rows])
    vega = _named_factors(rows, risk.historical_vol_ratio * exposure, weight, risk.vega_threshold, risk)
    curvature = Factors(
        bucket=vega.bucket,
        weighted=bent,
        rho=_named_rho(rows, risk),
        gamma=vega.gamma,
        residual=vega.residual,
    )
    return aggregated(vega), curvature_margin(curvature)


def _base_correlation(rows: Sequence[Sensitivity], risk: NamedRisk) -> float:
    if not rows:
        return 0.0
    if risk.base_correlation_weight is None:
        raise InputError("risk_type", "Risk_BaseCorr", "a risk class with base correlations")
    factors = Factors(
        bucket=np.zeros(len(rows), dtype=np.int64),
        weighted=risk.base_correlation_weight * np.array([row.amount for row in rows]),
        rho=_correlations(rows, lambda a, b: 1.0 if a.qualifier == b.qualifier else risk.base_correlation_rho),
        gamma=np.zeros((1, 1)),
    )
    return aggregated(factors)


# --- currencies: one bucket


def _fx_delta(rows: Sequence[Sensitivity], risk: FxRisk, currency: str) -> Factors:
    rows = [row for row in rows if row.qualifier != currency]
    home = risk.weight_group[currency]
    group = {row.qualifier: risk.weight_group[row.qualifier] for row in rows}
    amount = np.array([row.amount for row in rows], dtype=np.float64)
    weight = np.array([_at(risk.weight, (home, group[row.qualifier]), "pair of currency groups") for row in rows])
    limit = [_at(risk.delta_threshold, risk.threshold_group[row.qualifier], "category") * MILLION for row in rows]
    ratio = concentration(amount, np.array(limit))
    rho = _correlations(
        rows,
        lambda a, b: _at(risk.rho, (home, group[a.qualifier], group[b.qualifier]), "group of currencies"),
    )
    return _one_bucket(weight * amount * ratio, rho * alike(ratio))


def _fx_vols(rows: Sequence[Sensitivity], risk: FxRisk, horizon: int) -> tuple[float, float]:
    groups = [
        (risk.weight_group[row.qualifier[:3]], risk.weight_group[row.qualifier[3:]], row.qualifier) for row in rows
    ]
    vol = np.array([_at(risk.weight, (a, b), f"group of {pair}") * vol_scale(horizon) for a, b, pair in groups])
    exposure = vol * np.array([row.amount for row in rows], dtype=np.float64)
    bent = exposure * _curvature_scales(rows, horizon)
    rows, exposure, bent = _by_name(rows, exposure, bent)
    exposure = risk.historical_vol_ratio * exposure
    categories = [(risk.threshold_group[row.qualifier[:3]], risk.threshold_group[row.qualifier[3:]]) for row in rows]
    limit = [_at(risk.vega_threshold, pair, "pair of categories") * MILLION for pair in categories]
    ratio = concentration(exposure, np.array(limit))
    rho = _correlations(rows, lambda a, b: risk.vol_rho)
    vega = aggregated(_one_bucket(risk.vega_weight * exposure * ratio, rho * alike(ratio)))
    return vega, curvature_margin(_one_bucket(bent, rho))


def _one_bucket(weighted: FloatArray, rho: FloatArray) -> Factors:
    return Factors(bucket=np.zeros(len(weighted), dtype=np.int64), weighted=weighted, rho=rho, gamma=np.zeros((1, 1)))


# --- parts


def _correlations(rows: Sequence[Sensitivity], of: Callable[[Sensitivity, Sensitivity], float]) -> FloatArray:
    """Return (n, n) correlations of factors, 1 of each with itself. Only pairs in one bucket need be right."""
    rho = np.eye(len(rows))
    for i, a in enumerate(rows):
        for j, b in enumerate(rows[:i]):
            if a.qualifier == b.qualifier or a.risk_class != "InterestRate":
                rho[i, j] = rho[j, i] = of(a, b)
    return rho


def _by_name(rows: Sequence[Sensitivity], *columns: FloatArray) -> tuple[Sequence[Sensitivity], FloatArray, FloatArray]:
    """Return one row a name of a bucket, and the columns added up over its rows."""
    kept: dict[tuple[str, str], Sensitivity] = {}
    for row in rows:
        kept.setdefault((row.bucket, row.qualifier), row)
    number = {name: k for k, name in enumerate(kept)}
    at = np.array([number[row.bucket, row.qualifier] for row in rows], dtype=np.int64)
    one, other = (group_sums(at, column, len(kept)) for column in columns)
    return list(kept.values()), one, other


def _curvature_scales(rows: Sequence[Sensitivity], horizon: int) -> FloatArray:
    days = []
    for row in rows:
        try:
            days.append(tenor_days(row.label1))
        except InputError as error:
            raise InputError(f"{row.risk_type} of {row.qualifier}, label1", error.found, error.allowed) from None
    return curvature_scale(np.array(days, dtype=np.float64), horizon)


def _at(table: Mapping[K, float], key: K, what: str) -> float:
    if key not in table:
        known = sorted(_shown(k) for k in table)
        raise InputError(what, repr(_shown(key)), ", ".join(known), nearest(_shown(key), known))
    return table[key]


def _shown(key: object) -> str:
    return " ".join(map(str, key)) if isinstance(key, tuple) else str(key)
