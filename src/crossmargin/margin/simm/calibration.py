"""Calibrations as ORE writes them: XML of one published version, read for one close-out horizon."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import isfinite
from xml.etree import ElementTree

from crossmargin.errors import InvalidFile
from crossmargin.margin.simm.parameters import Calibration, CurrencyGroups, FxRisk, NamedRisk, RatesRisk
from crossmargin.margin.simm.sensitivity import RESIDUAL, RISK_CLASSES

OTHER = "Other"
_VOL_INDEX_BUCKET = "12"
"""Equity bucket of vol indices in every published version; the file does not say so."""
_CREDIT = ("CreditQualifying", "CreditNonQualifying")


@dataclass(frozen=True, slots=True)
class _Part:
    """An element of the file, with its place for errors."""

    place: str
    element: ElementTree.Element

    def one(self, path: str, horizon: int | None = None) -> _Part:
        """Return the element at `path`; of those that differ by mporDays, the one of the horizon."""
        found = list(self.all(path))
        if horizon is not None:
            days = [part.element.get("mporDays", "") for part in found]
            found = [part for part, day in zip(found, days, strict=True) if day == str(horizon)]
            if not found and days:
                place = f"{self.place}/{path}"
                raise InvalidFile(place, f"mporDays {' and '.join(sorted(set(days)))}", f"mporDays {horizon}")
        if len(found) != 1:
            raise InvalidFile(f"{self.place}/{path}", f"{len(found)} of them", "one")
        return found[0]

    def all(self, path: str) -> Iterator[_Part]:
        for element in self.element.findall(path):
            yield _Part(f"{self.place}/{path}", element)

    def attribute(self, name: str) -> str:
        value = self.element.get(name)
        if not value:
            raise InvalidFile(self.place, f"no {name}", f"an attribute {name}")
        return RESIDUAL if value.lower() == RESIDUAL.lower() else value

    def text(self) -> str:
        return (self.element.text or "").strip()

    def number(self, *, above: float | None = None, most: float | None = None) -> float:
        try:
            number = float(self.text())
        except ValueError:
            number = float("nan")
        if not isfinite(number) or (above is not None and number <= above) or (most is not None and abs(number) > most):
            allowed = "a correlation, from -1 to 1" if most is not None else "a number"
            allowed = f"{allowed} above {above:g}" if above is not None else allowed
            marks = "".join(f", {name} {value}" for name, value in self.element.attrib.items())
            raise InvalidFile(f"{self.place}{marks}", repr(self.text()), allowed)
        return number


def parse_calibration(text: str, where: str, *, horizon_days: int = 10) -> Calibration:
    """Return the parameters of a calibration file for a close-out horizon.

    The file is XML in the form of the Open Source Risk Engine: SIMMCalibrationData with one SIMMCalibration. `where`
    names it in errors. Raises InvalidFile for a text that is not one, and for a horizon that it does not have.
    """
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise InvalidFile(where, "a document type of its own", "plain XML")
    try:
        root = ElementTree.fromstring(text)
    except ElementTree.ParseError as error:
        line, column = error.position
        raise InvalidFile(f"{where}, line {line}, column {column + 1}", str(error), "XML") from None
    if root.tag != "SIMMCalibrationData":
        raise InvalidFile(where, f"a document <{root.tag}>", "<SIMMCalibrationData>")
    whole = _Part(where, root).one("SIMMCalibration")
    names = tuple(part.text() for part in whole.all("VersionNames/Name"))
    named = {name: _named(whole.one(name), name, horizon_days) for name in RISK_CLASSES if name not in _CURRENCIES}
    return Calibration(
        names=names,
        horizon_days=horizon_days,
        rates=_rates(whole.one("InterestRate"), horizon_days),
        fx=_fx(whole.one("FX"), horizon_days),
        named=named,
        psi=_pairs(whole.one("RiskClassCorrelations")),
    )


_CURRENCIES = ("InterestRate", "FX")


def _rates(part: _Part, horizon: int) -> RatesRisk:
    weights, correlations = part.one("RiskWeights"), part.one("Correlations")
    thresholds = part.one("ConcentrationThresholds")
    return RatesRisk(
        weight={
            (row.attribute("bucket"), row.attribute("label1").lower()): row.number(above=0)
            for row in weights.one("Delta", horizon).all("Weight")
        },
        weight_group=_groups(weights),
        inflation_weight=weights.one("Inflation", horizon).number(above=0),
        basis_weight=weights.one("XCcyBasis", horizon).number(above=0),
        vega_weight=weights.one("Vega", horizon).one("Weight").number(above=0),
        historical_vol_ratio=weights.one("HistoricalVolatilityRatio", horizon).number(above=0),
        tenor_rho={(a.lower(), b.lower()): rho for (a, b), rho in _pairs(correlations.one("IntraBucket")).items()},
        sub_curve_rho=correlations.one("SubCurves").number(most=1),
        inflation_rho=correlations.one("Inflation").number(most=1),
        basis_rho=correlations.one("XCcyBasis").number(most=1),
        gamma=correlations.one("Outer").number(most=1),
        threshold_group=_groups(thresholds),
        delta_threshold=_by_bucket(thresholds.one("Delta"), "Threshold"),
        vega_threshold=_by_bucket(thresholds.one("Vega"), "Threshold"),
    )


def _named(part: _Part, name: str, horizon: int) -> NamedRisk:
    weights, correlations = part.one("RiskWeights"), part.one("Correlations")
    thresholds = part.one("ConcentrationThresholds")
    weight = _by_bucket(weights.one("Delta", horizon), "Weight")
    credit = name in _CREDIT
    within = correlations.one("IntraBucket")
    if credit:
        kinds = {
            (row.attribute("label1"), row.attribute("label2")): row.number(most=1) for row in within.all("Correlation")
        }
        same, rho = (
            {bucket: _of(kinds, (RESIDUAL if bucket == RESIDUAL else "aggregate", k), within) for bucket in weight}
            for k in ("same", "different")
        )
    else:
        same = dict.fromkeys(weight, 1.0)
        rho = {row.attribute("bucket"): row.number(most=1) for row in within.all("Correlation")}
    base = name == "CreditQualifying"
    return NamedRisk(
        weight=weight,
        vega_weight=_by_bucket(weights.one("Vega", horizon), "Weight", every=weight),
        historical_vol_ratio=1.0 if credit else weights.one("HistoricalVolatilityRatio", horizon).number(above=0),
        rho_same=same,
        rho=rho,
        gamma=_pairs(correlations.one("InterBucket")),
        delta_threshold=_by_bucket(thresholds.one("Delta"), "Threshold", every=weight),
        vega_threshold=_by_bucket(thresholds.one("Vega"), "Threshold", every=weight),
        vol_weighted=credit,
        without_curvature=frozenset({_VOL_INDEX_BUCKET}) if name == "Equity" else frozenset(),
        base_correlation_weight=weights.one("BaseCorrelation", horizon).number(above=0) if base else None,
        base_correlation_rho=correlations.one("BaseCorrelation").number(most=1) if base else 1.0,
    )


def _fx(part: _Part, horizon: int) -> FxRisk:
    weights, correlations = part.one("RiskWeights"), part.one("Correlations")
    thresholds = part.one("ConcentrationThresholds")
    delta = _by_bucket(thresholds.one("Delta"), "Threshold")
    # Six numbers for the pairs of three categories: 1-1, 1-2, 1-3, 2-2, 2-3, 3-3.
    vega = _by_bucket(thresholds.one("Vega"), "Threshold")
    pairs = list(combinations_with_replacement(sorted(delta), 2))
    if len(vega) != len(pairs):
        raise InvalidFile(f"{thresholds.place}/Vega", f"{len(vega)} thresholds", f"{len(pairs)}, one a pair of groups")
    of_pair = dict(zip(pairs, (vega[number] for number in sorted(vega, key=int)), strict=True))
    return FxRisk(
        weight={
            (row.attribute("label1"), row.attribute("label2")): row.number(above=0)
            for row in weights.one("Delta", horizon).all("Weight")
        },
        weight_group=_groups(weights),
        vega_weight=weights.one("Vega", horizon).one("Weight").number(above=0),
        historical_vol_ratio=weights.one("HistoricalVolatilityRatio", horizon).number(above=0),
        rho={
            (row.attribute("bucket"), row.attribute("label1"), row.attribute("label2")): row.number(most=1)
            for row in correlations.one("IntraBucket").all("Correlation")
        },
        vol_rho=correlations.one("Volatility").number(most=1),
        threshold_group=_groups(thresholds),
        delta_threshold=delta,
        vega_threshold={**of_pair, **{(b, a): limit for (a, b), limit in of_pair.items()}},
    )


def _of(kinds: dict[tuple[str, str], float], key: tuple[str, str], part: _Part) -> float:
    if key not in kinds:
        raise InvalidFile(part.place, f"no correlation {' '.join(key)}", "one for aggregate and residual, same and not")
    return kinds[key]


def _by_bucket(part: _Part, tag: str, *, every: dict[str, float] | None = None) -> dict[str, float]:
    """Return numbers by bucket; `every` given: one number without a bucket is that of all of these."""
    rows = list(part.all(tag))
    if every is not None and len(rows) == 1 and rows[0].element.get("bucket") is None:
        return dict.fromkeys(every, rows[0].number(above=0))
    found = {row.attribute("bucket"): row.number(above=0) for row in rows}
    if not found:
        raise InvalidFile(f"{part.place}/{tag}", "none", "one for every bucket")
    return found


def _pairs(part: _Part) -> dict[tuple[str, str], float]:
    """Return correlations by two labels, in both orders."""
    found: dict[tuple[str, str], float] = {}
    for row in part.all("Correlation"):
        pair = row.attribute("label1"), row.attribute("label2")
        found[pair] = row.number(most=1)
    for (a, b), rho in list(found.items()):
        if found.setdefault((b, a), rho) != rho:
            raise InvalidFile(part.place, f"{rho:g} for {a}, {b} and {found[b, a]:g} for {b}, {a}", "one number a pair")
    return found


def _groups(part: _Part) -> CurrencyGroups:
    found = {row.text(): row.attribute("bucket") for row in part.all("CurrencyLists/Currency")}
    if OTHER not in found:
        raise InvalidFile(f"{part.place}/CurrencyLists", f"no group for {OTHER}", "a group for every other currency")
    other = found.pop(OTHER)
    return CurrencyGroups(of=found, other=other)
