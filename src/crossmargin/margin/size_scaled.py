"""Size-scaled weights: the more is held of one thing, the less of it counts and the more is asked for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset, Catalogue
from crossmargin.margin.linear import not_linear
from crossmargin.margin.model import Portfolios, Requirement, ScenarioSource, Terms, shared_exactly
from crossmargin.margin.parameters import OTHER, by_position, check_classes
from crossmargin.pricing import Valuation
from crossmargin.ragged import group_sums
from crossmargin.units import FloatArray, IntArray


def asset_weight(*, size: FloatArray, factor: FloatArray | float, weight: FloatArray | float) -> FloatArray:
    """Return min(w, 1.1 / (1 + k sqrt(size))), any shape: what share of an owned asset counts.

    size: units, 0 or more; factor k: 0 or more, 0 for w whatever the size. The exact form is `size_weights`.
    """
    discounted = np.where(np.asarray(factor) == 0, np.inf, 1.1 / (1.0 + factor * np.sqrt(size)))
    return np.asarray(np.minimum(weight, discounted), dtype=np.float64)


def liability_weight(*, size: FloatArray, factor: FloatArray | float, weight: FloatArray | float) -> FloatArray:
    """Return max(w, 0.8 w + k sqrt(size)), any shape: the weight of a debt, or the margin ratio of a perpetual."""
    return np.asarray(np.maximum(weight, 0.8 * np.asarray(weight) + factor * np.sqrt(size)), dtype=np.float64)


def scaled_by_deposits(*, weight: FloatArray, start: FloatArray, deposits: FloatArray) -> FloatArray:
    """Return w x min(1, start / deposits), any shape: start 0 switches it off; both as value."""
    held = np.where((start == 0) | (deposits <= start), 1.0, deposits)
    return np.asarray(np.where((start == 0) | (deposits <= start), weight, weight * start / held), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class AssetWeights:
    """What an asset counts as collateral and as a debt."""

    initial: float
    maintenance: float
    """Share of an owned asset that counts; 0 <= initial <= maintenance <= 1."""
    initial_liability: float
    maintenance_liability: float
    """Multiple of a debt that must be covered; 1 <= maintenance <= initial."""
    size_factor: float = 0.0
    """k: how fast the weights worsen with the root of the size in units."""
    scale_start: float = 0.0
    """Value of everybody's deposits, in the reporting currency, from which the initial weight falls; 0: it does not."""

    def __post_init__(self) -> None:
        _check_order("initial", 0.0, self.initial, self.maintenance, 1.0)
        _check_order("initial_liability", 1.0, self.maintenance_liability, self.initial_liability, np.inf)
        _check_not_negative(self, "size_factor", "scale_start")


@dataclass(frozen=True, slots=True, kw_only=True)
class PerpetualRatios:
    """What futures and perpetuals owe, and what their profit counts."""

    initial: float
    maintenance: float
    """Share of notional; 0 < maintenance <= initial <= 1."""
    size_factor: float = 0.0
    """k, for the root of the size in units of the underlying."""
    profit_initial: float = 1.0
    profit_maintenance: float = 1.0
    """Share of unsettled profit that counts; 0 <= initial <= maintenance <= 1."""
    profit_size_factor: float = 0.0
    """k of initial margin's share, for the root of the profit in the reporting currency."""

    def __post_init__(self) -> None:
        if not 0 < self.maintenance <= self.initial <= 1:
            found = f"{self.maintenance:g} and {self.initial:g}"
            raise InvalidRules("maintenance", found, "0 < maintenance <= initial <= 1")
        _check_order("profit_initial", 0.0, self.profit_initial, self.profit_maintenance, 1.0)
        _check_not_negative(self, "size_factor", "profit_size_factor")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SizeScaled:
    """Weighted collateral, debts and linear perpetuals in one account, every weight a function of size.

    A venue of this kind compares weighted collateral with a requirement. Here the margin balance has assets and debts
    in full, so what the weights take is the requirement's: with net holdings x of an asset (what counts after the rule
    book's haircuts, which are 0 for such a venue, less debts) at price p, and legs of size v on index I with profit g,

        sum over x > 0 of p x (1 - asset weight(x)) + sum over x < 0 of p |x| (liability weight(|x|) - 1)
        + sum over legs of ratio(v) I v + sum over legs with g > 0 of g (1 - profit weight)

    with maintenance and initial weights for MM and IM. Initial asset weights also fall with everybody's `deposits`;
    initial profit weights with the size of the profit, and `profit_cap` limits what of one leg counts. The reporting
    currency itself has weight 1. The index is the oracle price; a venue's stricter price (the worse of oracle and
    average) is left to the market snapshot. Options and inverse contracts are refused; orders are in the exact
    formulas, `size_weights`. Source class: Drift v2.

    Claims. P1 normalisation. P4: a pool owes no more than its holdings alone (assets and debts of one kind net). P7: an
    opposite position in the same instrument, and a debt of what is owned, cancel. P9, of the weighted value: it does
    not fall as more is held, is concave, and at most the market value. P10: a deposit of the reporting currency
    changes nothing. P11: initial is at least maintenance. P12: continuous in prices and sizes. P13: order, splitting of
    rows and names change no bit. P14, first half: it does not fall as a position grows.
    Does not claim P2, P3 and the second half of P14: charges are convex in size, so n times a portfolio owes at least n
    times as much, and an account split in two may owe less. P5, P6 and P8 do not apply.
    """

    assets_by_class: Mapping[str, AssetWeights]
    """By asset class; `other`, which is required, stands in for classes not listed."""
    assets_by_name: Mapping[str, AssetWeights] = field(default_factory=dict)
    perpetuals_by_class: Mapping[str, PerpetualRatios]
    perpetuals_by_underlying: Mapping[str, PerpetualRatios] = field(default_factory=dict)
    deposits: Mapping[str, float] = field(default_factory=dict)
    """By asset, in its units: what everybody has deposited at the venue. 0 where absent."""
    profit_cap: float | None = None
    """Most of one leg's unsettled profit that counts for initial margin, in the reporting currency."""

    def __post_init__(self) -> None:
        check_classes("assets_by_class", self.assets_by_class)
        check_classes("perpetuals_by_class", self.perpetuals_by_class)
        for name, amount in self.deposits.items():
            if not (isfinite(amount) and amount >= 0):
                raise InvalidRules(f"deposits.{name}", f"{amount:g}", "a finite number, 0 or more")
        if self.profit_cap is not None and not (isfinite(self.profit_cap) and self.profit_cap >= 0):
            raise InvalidRules("profit_cap", f"{self.profit_cap:g}", "a finite number, 0 or more; or none")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the instrument numbers of the options and inverse contracts held."""
        return not_linear(portfolios.valuation.catalogue, portfolios.leg_instrument)

    def blocks(self, catalogue: Catalogue) -> IntArray:
        """Return each asset's own number: what is held of one asset, and owed, is weighted as one."""
        return np.arange(len(catalogue.assets))

    @property
    def nets_delta_one(self) -> bool:
        """Return False: each leg is charged for its own size."""
        return False

    def bends(self, asset: Asset) -> FloatArray:
        """Return 0 alone: no scenarios."""
        return np.zeros(1)

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return that there are none."""
        return ScenarioSource("none", None, None, 0)

    def ingredients(self, portfolios: Portfolios) -> FloatArray:
        """Return the sums of maintenance and initial charges, (P, 2)."""
        held, legs = self._holdings(portfolios), self._legs(portfolios)
        pools = portfolios.pools
        return np.stack(
            [
                group_sums(held.pool, asset, pools.count) + group_sums(pools.leg_pool, ratio + profit, pools.count)
                for asset, ratio, profit in zip(held.charges, legs.ratio, legs.profit, strict=True)
            ],
            axis=1,
        )

    def totals(self, ingredients: FloatArray, credit_factor: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial), each (P,)."""
        maintenance, initial = ingredients.T
        return maintenance, np.maximum(initial * credit_factor, maintenance)

    def requirement(self, portfolios: Portfolios) -> Requirement:
        """Return what each pool must have: a term an asset, a term a leg, a term a leg in profit."""
        pools, terms = portfolios.pools, portfolios.valuation.catalogue
        held, legs = self._holdings(portfolios), self._legs(portfolios)
        symbols = [i.symbol for i in terms.instruments]
        assets, instruments = len(terms.assets), len(symbols)
        names = (
            *(f"asset weight {a.symbol}" for a in terms.assets),
            *(f"debt weight {a.symbol}" for a in terms.assets),
            *(f"position {symbol}" for symbol in symbols),
            *(f"profit weight {symbol}" for symbol in symbols),
        )
        leg = 2 * assets + pools.leg_instrument
        parts = Terms.of_rows(
            np.concatenate((held.pool, pools.leg_pool, pools.leg_pool)),
            names,
            np.concatenate((held.asset + np.where(held.amount < 0, assets, 0), leg, leg + instruments)),
            np.concatenate((held.charges[0], legs.ratio[0], legs.profit[0])),
        )
        maintenance = parts.total(pools.count)
        leg_share, balance_share = shared_exactly(
            maintenance,
            pools.leg_pool,
            legs.ratio[0] + legs.profit[0],
            pools.balance_pool,
            held.shared(portfolios.counted, held.charges[0]),
        )
        _, initial = self.totals(self.ingredients(portfolios), portfolios.credit_factor)
        return Requirement(
            initial=np.maximum(initial, maintenance),
            maintenance=maintenance,
            terms=parts,
            leg_share=leg_share,
            balance_share=balance_share,
        )

    def _holdings(self, portfolios: Portfolios) -> _Holdings:
        """Return what each pool holds of each asset, net, and what its weights take."""
        pools, valuation = portfolios.pools, portfolios.valuation
        weights = _of_assets(self, valuation.catalogue)
        count = len(valuation.catalogue.assets)
        key, first, group = np.unique(
            pools.balance_pool * count + pools.balance_asset, return_index=True, return_inverse=True
        )
        pool, asset = key // count, key % count
        amount, price = group_sums(group, portfolios.counted, len(key)), portfolios.balance_price[first]
        size, w = np.abs(amount), {name: column[asset] for name, column in weights.items()}
        scaled = scaled_by_deposits(weight=w["initial"], start=w["scale_start"], deposits=w["deposits"] * price)
        at_par = asset == valuation.currency

        def charge(owned: FloatArray, debt: FloatArray) -> FloatArray:
            lost = 1.0 - asset_weight(size=size, factor=w["size_factor"], weight=owned)
            more = liability_weight(size=size, factor=w["size_factor"], weight=debt) - 1.0
            return np.where(at_par, 0.0, size * price * np.where(amount < 0, more, lost))

        return _Holdings(
            pool=pool,
            asset=asset,
            amount=amount,
            group=group,
            charges=(
                charge(w["maintenance"], w["maintenance_liability"]),
                charge(scaled, w["initial_liability"]),
            ),
        )

    def _legs(self, portfolios: Portfolios) -> _Legs:
        """Return what each leg owes for its size and for what of its profit does not count."""
        valuation, held = portfolios.valuation, portfolios.leg_instrument
        terms = valuation.catalogue
        size = np.abs(portfolios.quantity) * terms.contract_size[held]
        notional = size * np.abs(portfolios.legs(valuation.index)) * portfolios.legs(valuation.quote_fx)
        entry = portfolios.entry_value * portfolios.legs(valuation.settle_fx)
        profit = np.maximum(portfolios.leg_value - entry, 0.0)
        ratio = np.zeros((2, len(held)))
        uncounted = np.zeros((2, len(held)))
        most = np.inf if self.profit_cap is None else self.profit_cap
        for own, rows in by_position(
            terms, held, by_class=self.perpetuals_by_class, by_underlying=self.perpetuals_by_underlying
        ):
            gain = profit[rows]
            for k, weight in enumerate((own.maintenance, own.initial)):
                ratio[k, rows] = notional[rows] * liability_weight(
                    size=size[rows], factor=own.size_factor, weight=weight
                )
            uncounted[0, rows] = gain * (1.0 - own.profit_maintenance)
            counted = asset_weight(size=gain, factor=own.profit_size_factor, weight=own.profit_initial)
            uncounted[1, rows] = gain - np.minimum(gain * counted, most)
        return _Legs(ratio=(ratio[0], ratio[1]), profit=(uncounted[0], uncounted[1]))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Holdings:
    """Pools' net holdings, one row for each pool and asset; N of them."""

    pool: IntArray
    asset: IntArray
    amount: FloatArray
    group: IntArray
    """(B,) row of each balance."""
    charges: tuple[FloatArray, FloatArray]
    """Maintenance and initial, (N,), in the reporting currency."""

    def shared(self, counted: FloatArray, charge: FloatArray) -> FloatArray:
        """Return each balance's share of its row's charge, (B,): by what it adds to the side the row is on."""
        own = np.where(np.sign(counted) == np.sign(self.amount)[self.group], np.abs(counted), 0.0)
        total = group_sums(self.group, own, len(self.pool))
        return own * np.divide(charge, total, out=np.zeros_like(charge), where=total > 0)[self.group]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Legs:
    """Maintenance and initial charges of legs, (L,) each, in the reporting currency."""

    ratio: tuple[FloatArray, FloatArray]
    profit: tuple[FloatArray, FloatArray]


@lru_cache(maxsize=16)
def _of_assets(model: SizeScaled, catalogue: Catalogue) -> dict[str, FloatArray]:
    """Return the parameters of every asset of the catalogue as columns, (assets,)."""
    own = [
        model.assets_by_name.get(a.symbol, model.assets_by_class.get(a.asset_class, model.assets_by_class[OTHER]))
        for a in catalogue.assets
    ]
    names = (
        "initial",
        "maintenance",
        "initial_liability",
        "maintenance_liability",
        "size_factor",
        "scale_start",
    )
    columns = {name: np.array([getattr(weights, name) for weights in own], dtype=np.float64) for name in names}
    deposits = [model.deposits.get(a.symbol, 0.0) for a in catalogue.assets]
    return {**columns, "deposits": np.array(deposits, dtype=np.float64)}


def _check_order(name: str, least: float, low: float, high: float, most: float) -> None:
    if not (least <= low <= high <= most and isfinite(high)):
        bounds = f"{least:g} to {most:g}" if isfinite(most) else f"{least:g} or more"
        raise InvalidRules(name, f"{low:g} and {high:g}", f"{bounds}, initial never the kinder")


def _check_not_negative(record: object, *names: str) -> None:
    for name in names:
        value = getattr(record, name)
        if not (isfinite(value) and value >= 0):
            raise InvalidRules(name, f"{value:g}", "a finite number, 0 or more")
