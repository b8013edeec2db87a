"""Positions under the same aggregation: their deltas and vegas by underlying, with weights that are no licence's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numba import njit

from crossmargin.errors import InvalidRules
from crossmargin.instruments import ASSET_CLASSES, Catalogue
from crossmargin.margin.grid import american_options
from crossmargin.margin.model import Portfolios, Terms
from crossmargin.margin.parameters import OTHER, check_classes
from crossmargin.margin.sensitivities import unit_deltas, unit_vegas
from crossmargin.margin.simm.aggregation import YEAR_DAYS, concentration, curvature_scale, shortfall_weight, vol_scale
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.ragged import group_sums, starts
from crossmargin.units import FloatArray, IntArray

KINDS = ("delta", "vega", "curvature")
_POINTS = 100.0
"""Vol points in a vol of 1."""
_QUANTILE_TERM = shortfall_weight(0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SensitivityMargin(WholePoolModel):
    """SIMM-type margin of a book: a factor is an underlying (or a settle asset), its bucket is its asset class.

    A pool's delta in an asset is what it gains as the asset moves by 100%, in the reporting currency: of its contracts
    on it, and of the value of contracts settled in it (what is settled in the reporting currency has none). Its vega
    is that of its options on it. Then, with w the asset's weight and CR = max(1, sqrt(|size| / threshold)):

    WS = w x delta x CR; VR = ratio x vol x vega with vol = w sqrt(365 / 14) / N^-1(99%), weighted with the vega weight
    and its own CR; CVR = 0.5 min(1, 14 days / t) x vol x vega, expiry by expiry. Inside a bucket names correlate by
    its number x min CR / max CR, buckets of a risk class by `bucket_correlation` (curvature: both squared, no CR);
    kinds of a risk class add up; risk classes of a product class combine by `class_correlation`; product classes add
    up. A contract belongs to the product class of its underlying, with all its risks. Collateral is not a sensitivity:
    its haircut stands for it.

    Claims. P1, P7 for a perfect opposite, P10, P11, P12, P13. P3 below the thresholds; above them n times a name owes
    at least n times as much. Does not claim P2, P4, P8 and the second half of P14: names of two pools share a threshold
    only when they are one, lambda of curvature is not sub-additive, and what an option costs is no bound on what its
    sensitivities owe. P5, P6 do not apply.
    """

    product_class: Mapping[str, str]
    """By asset class of the underlying; `other` is required here and below."""
    risk_class: Mapping[str, str]
    weight_by_class: Mapping[str, float]
    """Fraction of the price, over the close-out horizon."""
    weight_by_name: Mapping[str, float] = field(default_factory=dict)
    correlation: Mapping[str, float]
    """Between two names of an asset class."""
    bucket_correlation: float
    """Between asset classes of one risk class."""
    class_correlation: float
    """Between risk classes of one product class."""
    threshold_by_class: Mapping[str, float]
    """Delta from which a name is concentrated, in the reporting currency."""
    threshold_by_name: Mapping[str, float] = field(default_factory=dict)
    vega_threshold_by_class: Mapping[str, float]
    """The same for VR."""
    vega_weight: float
    vol_ratio: float
    """Historical vol ratio of VR."""
    close_out_days: int = 10
    any_floor: float = 1.0
    any_floor_by_name: Mapping[str, float] = field(default_factory=dict)
    """Where prices may be negative, 100% is max(|index|, this), in price units."""
    initial_factor: float = 1.25

    def __post_init__(self) -> None:
        for name in _BY_CLASS:
            check_classes(name, getattr(self, name))
        for name in ("weight_by_class", "weight_by_name"):
            for key, weight in getattr(self, name).items():
                if not 0 <= weight < np.inf:
                    raise InvalidRules(f"{name}.{key}", str(weight), "0 or more")
        for name in ("threshold_by_class", "threshold_by_name", "vega_threshold_by_class"):
            for key, threshold in getattr(self, name).items():
                if not 0 < threshold < np.inf:
                    raise InvalidRules(f"{name}.{key}", str(threshold), "a number above 0")
        correlations = {f"correlation.{key}": rho for key, rho in self.correlation.items()}
        correlations |= {name: getattr(self, name) for name in ("bucket_correlation", "class_correlation")}
        for name, rho in correlations.items():
            if not 0 <= rho <= 1:
                raise InvalidRules(name, str(rho), "a correlation from 0 to 1")
        for name in ("vega_weight", "vol_ratio", "any_floor"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InvalidRules(name, str(getattr(self, name)), "0 or more")
        if self.close_out_days < 1:
            raise InvalidRules("close_out_days", str(self.close_out_days), "1 day or more")
        if not 1 <= self.initial_factor < np.inf:
            raise InvalidRules("initial_factor", str(self.initial_factor), "1 or more")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the American options held: their sensitivities are those of European ones."""
        return american_options(portfolios)

    @property
    def nets_delta_one(self) -> bool:
        """Return True: those of equal value have equal deltas."""
        return True

    def ingredients(self, portfolios: Portfolios) -> FloatArray:
        """Return maintenance and initial margin before the credit tier, (P, 2), without their terms."""
        _, total, _ = self._aggregated(self._factors(portfolios))
        count = portfolios.pools.count
        maintenance = group_sums(_pools(count, total), total, count)
        return np.stack((maintenance, self.initial_factor * maintenance), axis=1)

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return what each pool owes: a term a risk class and kind, and what risk classes save beside each other."""
        pools = portfolios.pools
        factors = self._factors(portfolios)
        amount, total, share = self._aggregated(factors)
        count, pool = pools.count, _pools(pools.count, total)
        everybody = np.arange(count)
        terms = Terms.of(
            [
                *(
                    (f"{kind} {name}", everybody, group_sums(pool, amount[:, r, k], count))
                    for r, name in enumerate(factors.classes)
                    for k, kind in enumerate(KINDS)
                ),
                ("risk classes together", everybody, group_sums(pool, total - amount.sum(axis=(1, 2)), count)),
            ],
            count,
        )
        return PoolCharges(
            terms=terms,
            initial=self.initial_factor * terms.total(count),
            leg_share=factors.shared(share, len(portfolios.leg_row)),
            balance_share=np.zeros(len(pools.balance_amount)),
        )

    def _aggregated(self, factors: _Factors) -> tuple[FloatArray, FloatArray, FloatArray]:
        return _aggregate(
            factors.start,
            factors.risk_class,
            factors.bucket,
            factors.weighted,
            factors.ratio,
            factors.rho,
            self.bucket_correlation,
            self.class_correlation,
            len(factors.classes),
        )

    def _factors(self, portfolios: Portfolios) -> _Factors:
        pools, valuation = portfolios.pools, portfolios.valuation
        terms, assets = valuation.catalogue, _of_assets(self, valuation.catalogue)
        leg = np.arange(len(portfolios.leg_row))
        fx = portfolios.legs(valuation.settle_fx)
        underlying = terms.underlying[pools.leg_instrument]
        settle = terms.settle[pools.leg_instrument]
        delta = portfolios.quantity * portfolios.legs(unit_deltas(valuation, assets.any_floor)) * fx
        vega = portfolios.quantity * portfolios.legs(unit_vegas(valuation, assets.any_floor)) * fx * _POINTS
        vol_move = vega * assets.weight[underlying] * vol_scale(self.close_out_days)
        days = portfolios.legs(valuation.tau) * YEAR_DAYS
        days = np.where((vega != 0.0) & (days > 0.0), days, 1.0)
        bent = vol_move * curvature_scale(days, self.close_out_days)
        value = (portfolios.quantity * portfolios.legs(valuation.unit_value) - portfolios.entry_value) * fx
        foreign = np.flatnonzero(settle != valuation.currency)
        of_leg = np.concatenate((leg, foreign))
        asset = np.concatenate((underlying, settle[foreign]))
        nothing = np.zeros(len(foreign))
        size = np.stack(
            (
                np.concatenate((delta, value[foreign])),
                np.concatenate((self.vol_ratio * vol_move, nothing)),
                np.concatenate((bent, nothing)),
            )
        )
        group = pools.leg_pool * len(assets.products) + assets.product[underlying]
        key = ((group[of_leg] * len(assets.classes) + assets.risk_class[asset]) * len(ASSET_CLASSES)) + assets.bucket[
            asset
        ]
        key = key * len(terms.assets) + asset
        found, factor = np.unique(key, return_inverse=True)
        of_factor = found % len(terms.assets)
        amounts = np.stack([group_sums(factor, column, len(found)) for column in size])
        ratio = np.stack(
            (
                concentration(amounts[0], assets.threshold[of_factor]),
                concentration(amounts[1], assets.vega_threshold[of_factor]),
                np.ones(len(found)),
            )
        )
        weight = np.stack((assets.weight[of_factor], np.full(len(found), self.vega_weight), np.ones(len(found))))
        of_group = found // (len(terms.assets) * len(ASSET_CLASSES) * len(assets.classes))
        return _Factors(
            classes=assets.classes,
            start=starts(of_group, pools.count * len(assets.products)),
            risk_class=assets.risk_class[of_factor],
            bucket=assets.bucket[of_factor],
            weighted=weight * amounts * ratio,
            ratio=ratio,
            rho=assets.rho,
            amounts=amounts,
            leg=of_leg,
            factor=factor,
            size=size,
        )


_BY_CLASS = (
    "product_class",
    "risk_class",
    "weight_by_class",
    "correlation",
    "threshold_by_class",
    "vega_threshold_by_class",
)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Assets:
    """The parameters as columns over the assets of a catalogue, (assets,); numbers of the tuples before them."""

    products: tuple[str, ...]
    classes: tuple[str, ...]
    product: IntArray
    risk_class: IntArray
    bucket: IntArray
    weight: FloatArray
    threshold: FloatArray
    vega_threshold: FloatArray
    rho: FloatArray
    """(asset classes,)"""
    any_floor: FloatArray


@lru_cache(maxsize=8)
def _of_assets(model: SensitivityMargin, catalogue: Catalogue) -> _Assets:
    kinds = [asset.asset_class for asset in catalogue.assets]
    names = [asset.symbol for asset in catalogue.assets]
    products = tuple(dict.fromkeys(model.product_class.values()))
    classes = tuple(dict.fromkeys(model.risk_class.values()))

    def numbers(by_class: Mapping[str, float], by_name: Mapping[str, float]) -> FloatArray:
        return np.array(
            [by_name.get(n, by_class.get(k, by_class[OTHER])) for n, k in zip(names, kinds, strict=True)],
            dtype=np.float64,
        )

    def places(by_class: Mapping[str, str], known: tuple[str, ...]) -> IntArray:
        return np.array([known.index(by_class.get(kind, by_class[OTHER])) for kind in kinds], dtype=np.int64)

    return _Assets(
        products=products,
        classes=classes,
        product=places(model.product_class, products),
        risk_class=places(model.risk_class, classes),
        bucket=np.array([ASSET_CLASSES.index(kind) for kind in kinds], dtype=np.int64),
        weight=numbers(model.weight_by_class, model.weight_by_name),
        threshold=numbers(model.threshold_by_class, model.threshold_by_name),
        vega_threshold=numbers(model.vega_threshold_by_class, {}),
        rho=np.array([model.correlation.get(kind, model.correlation[OTHER]) for kind in ASSET_CLASSES]),
        any_floor=np.array([model.any_floor_by_name.get(name, model.any_floor) for name in names], dtype=np.float64),
    )


def _pools(count: int, groups: FloatArray) -> IntArray:
    """Return the pool of each group: every pool has as many."""
    return np.repeat(np.arange(count), len(groups) // max(count, 1))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Factors:
    """F factors by group (a product class of a pool), risk class, bucket, asset; E exposures of legs to them."""

    classes: tuple[str, ...]
    start: IntArray
    """(groups + 1,)"""
    risk_class: IntArray
    bucket: IntArray
    weighted: FloatArray
    """(kinds, F)"""
    ratio: FloatArray
    """(kinds, F) concentration; 1 for curvature."""
    rho: FloatArray
    """(asset classes,)"""
    amounts: FloatArray
    """(kinds, F) before weights."""
    leg: IntArray
    """(E,)"""
    factor: IntArray
    """(E,)"""
    size: FloatArray
    """(kinds, E) what of the amounts is of the exposure."""

    def shared(self, share: FloatArray, legs: int) -> FloatArray:
        """Return shares of factors (kinds, F) by leg, in proportion to what each leg brings."""
        whole = self.amounts[:, self.factor]
        part = np.divide(self.size, whole, out=np.zeros_like(self.size), where=whole != 0.0)
        return group_sums(self.leg, (share[:, self.factor] * part).sum(axis=0), legs)


@njit(cache=True)
def _aggregate(
    start: IntArray,
    risk_class: IntArray,
    bucket: IntArray,
    weighted: FloatArray,
    ratio: FloatArray,
    rho: FloatArray,
    gamma: float,
    psi: float,
    classes: int,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return margins of G groups: (G, classes, kinds), their totals (G,), and the factors' shares (kinds, F).

    Shares are Euler's with concentration ratios, held sums and theta as they are: they add up to the total.
    """
    groups, kinds = len(start) - 1, weighted.shape[0]
    amount = np.zeros((groups, classes, kinds))
    total, share = np.zeros(groups), np.zeros(weighted.shape)
    longest = 0
    for g in range(groups):
        longest = max(longest, start[g + 1] - start[g])
    of_row, scratch = np.zeros(longest, np.int64), np.zeros((4, longest))
    of_class = np.zeros(classes)
    for g in range(groups):
        low, end = start[g], start[g + 1]
        if low == end:
            continue
        i = low
        while i < end:
            r, first = risk_class[i], i
            while i < end and risk_class[i] == r:
                i += 1
            for k in range(kinds):
                amount[g, r, k] = _margin(
                    first, i, bucket, weighted[k], ratio[k], rho, gamma, k == 2, share[k], of_row, scratch
                )
        of_class[:] = 0.0
        for r in range(classes):
            for k in range(kinds):
                of_class[r] += amount[g, r, k]
        square, whole = 0.0, 0.0
        for r in range(classes):
            whole += of_class[r]
        for r in range(classes):
            square += of_class[r] * ((1.0 - psi) * of_class[r] + psi * whole)
        total[g] = np.sqrt(square)
        if total[g] > 0.0:
            for i in range(low, end):
                r = risk_class[i]
                factor = ((1.0 - psi) * of_class[r] + psi * whole) / total[g]
                for k in range(kinds):
                    share[k, i] *= factor
    return amount, total, share


@njit()
def _margin(
    first: int,
    last: int,
    bucket: IntArray,
    weighted: FloatArray,
    ratio: FloatArray,
    rho: FloatArray,
    gamma: float,
    bent: bool,
    share: FloatArray,
    of_row: IntArray,
    scratch: FloatArray,
) -> float:
    """Return the margin of the factors first..last of one risk class and kind; `share` gets theirs."""
    present = False
    for x in range(first, last):
        present |= weighted[x] != 0.0
    if not present:
        return 0.0
    inner, k_of, sum_of, held = scratch[0], scratch[1], scratch[2], scratch[3]
    buckets, i = 0, first
    while i < last:
        b, low = bucket[i], i
        sum_of[buckets] = 0.0
        while i < last and bucket[i] == b:
            i += 1
        within = rho[b] * rho[b] if bent else rho[b]
        square = 0.0
        for x in range(low, i):
            own = weighted[x]
            for y in range(low, i):
                if y != x:
                    alike = min(ratio[x], ratio[y]) / max(ratio[x], ratio[y])
                    own += within * alike * weighted[y]
            inner[x - first] = own
            of_row[x - first] = buckets
            square += weighted[x] * own
            sum_of[buckets] += weighted[x]
        k_of[buckets] = np.sqrt(max(square, 0.0))
        held[buckets] = min(max(sum_of[buckets], -k_of[buckets]), k_of[buckets])
        buckets += 1
    across = gamma * gamma if bent else gamma
    square, all_held = 0.0, 0.0
    for b in range(buckets):
        all_held += held[b]
    for b in range(buckets):
        square += k_of[b] * k_of[b] + across * held[b] * (all_held - held[b])
    root = np.sqrt(max(square, 0.0))
    net, gross = 0.0, 0.0
    for x in range(first, last):
        net += weighted[x]
        gross += abs(weighted[x])
    weight = 1.0
    if bent:
        theta = min(net / gross, 0.0) if gross > 0.0 else 0.0
        weight = _QUANTILE_TERM * (1.0 + theta) - theta
    margin: float = max(0.0, net + weight * root) if bent else root
    if margin > 0.0:
        for x in range(first, last):
            b = of_row[x - first]
            own = 0.0
            if root > 0.0 and k_of[b] > 0.0:
                others = across * (all_held - held[b])
                # A sum held at K moves with K, in its direction; a free one with the factor.
                slope = inner[x - first] / k_of[b]
                moved = 1.0
                if sum_of[b] > k_of[b]:
                    moved = slope
                elif sum_of[b] < -k_of[b]:
                    moved = -slope
                own = weight * (inner[x - first] + others * moved) / root
            share[x] = weighted[x] * (own + 1.0 if bent else own)
    return margin
