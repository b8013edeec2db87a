"""TIMS margin: ten price points a class, offsets between classes of a product group, a minimum a contract."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset, Catalogue
from crossmargin.margin.grid import american_options
from crossmargin.margin.model import Portfolios, ScenarioSource, Terms, WorstScenarios
from crossmargin.margin.parameters import OTHER, check_classes
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.pricing import Valuation
from crossmargin.ragged import distinct, group_sums
from crossmargin.scenarios import Moves, revalue
from crossmargin.units import FloatArray, IntArray

POINTS = 10
"""Valuation points: half below the price of now, half above."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointRange:
    """How far the valuation points of a class reach, as shares of the price: 0 <= up, 0 <= down < 1."""

    up: float
    down: float

    def __post_init__(self) -> None:
        if not (isfinite(self.up) and self.up >= 0):
            raise InvalidRules("up", f"{self.up:g}", "0 or more")
        if not 0 <= self.down < 1:
            raise InvalidRules("down", f"{self.down:g}", "a fraction from 0 to below 1")

    def points(self) -> FloatArray:
        """Return the ten relative moves, rising: equidistant steps down to -down and up to +up, without 0."""
        steps = np.arange(1, POINTS // 2 + 1) / (POINTS // 2)
        return np.concatenate((-self.down * steps[::-1], self.up * steps))


def offset_loss(pnl: FloatArray, offset: float) -> float:
    """Return the worst loss of a product group, 0 or more; `pnl` (classes, points), a loss negative.

    At each point losses count in full and gains of other classes at `offset` (0 to 1).
    """
    at_point = np.where(pnl > 0.0, offset * pnl, pnl).sum(axis=0)
    return float(max(0.0, -at_point.min(initial=0.0)))


def contract_minimum(contracts: FloatArray | float, per_contract: FloatArray | float) -> FloatArray:
    """Return the least that contracts owe, long or short, whatever the points say: |contracts| x per contract."""
    return np.asarray(np.abs(contracts) * per_contract, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Tims(WholePoolModel):
    """Portfolio margin in the manner of TIMS: a class is an underlying with everything on it.

    At each of ten price points a class is revalued in full, vols held, and with it what the pool owns and owes of the
    underlying itself. The loss of a product group at a point is the sum of its classes' losses less `offset` of their
    gains; a class outside any group is a group of its own. A group owes the greater of its worst loss and
    `contract_minimum` a unit of contract size for each option and future; the pool owes the sum of its groups.
    Initial margin is the same times `initial_factor`.

    Points of the same number are taken together in a group, as the method has it: five steps up in one class are
    five steps up in the others, though the steps may differ in size. Profit paid in a coin moves with that coin where
    it is the underlying; other exchange rates stand still. Refused: options and futures on prices that may be
    negative, and American options unless `american_as_european`.

    Claims P1, P2, P3, P4, P7, P10 (a deposit of the reporting currency changes nothing), P11, P12, P13; and P6: a
    gain counted for less, or a point further out of one class of linear positions, never lowers it. P8 before the
    contract minimum: a bought option adds no more than its value. P5 is about another kind of offset. Sharing: by
    loss at the worst point, gains at the offset; where the minimum binds, by contracts.
    """

    range_by_class: Mapping[str, PointRange]
    """By asset class of the underlying; `other`, which is required, stands in for classes not listed."""
    range_by_underlying: Mapping[str, PointRange] = field(default_factory=dict)
    product_group: Mapping[str, str] = field(default_factory=dict)
    """Product group of an underlying; each must have an offset."""
    offset: Mapping[str, float] = field(default_factory=dict)
    """Share of gains that counts against losses of other classes, by product group; 0 to 1."""
    contract_minimum: float = 0.0
    """In the quote asset, a unit of contract size; 0 or more."""
    any_floor: float = 1.0
    """Where prices may be negative, points are shares of max(|price|, this); above 0."""
    initial_factor: float = 1.0
    american_as_european: bool = False
    """Whether American options are revalued as European ones at the vol of their own mark, or refused."""

    def __post_init__(self) -> None:
        check_classes("range", self.range_by_class)
        for name, share in self.offset.items():
            if not 0 <= share <= 1:
                raise InvalidRules(f"offset.{name}", f"{share:g}", "a fraction from 0 to 1")
        for underlying, group in self.product_group.items():
            if group not in self.offset:
                raise InvalidRules(
                    f"product_group.{underlying}", repr(group), f"a group with an offset: {', '.join(self.offset)}"
                )
        if not (isfinite(self.contract_minimum) and self.contract_minimum >= 0):
            raise InvalidRules("contract_minimum", f"{self.contract_minimum:g}", "0 or more")
        if not (isfinite(self.any_floor) and self.any_floor > 0):
            raise InvalidRules("any_floor", f"{self.any_floor:g}", "above 0")
        if not (isfinite(self.initial_factor) and self.initial_factor >= 1):
            raise InvalidRules("initial_factor", f"{self.initial_factor:g}", "1 or more")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the American options held, unless they are taken as European."""
        return np.zeros(0, dtype=np.int64) if self.american_as_european else american_options(portfolios)

    def bends(self, asset: Asset) -> FloatArray:
        """Return the points of the asset's class, 0 among them."""
        return np.unique(np.append(self._range(asset).points(), 0.0))

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return the points: how many a class has."""
        return ScenarioSource("grid", None, None, POINTS)

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return a term a product group: its worst point, and what the minimum is more."""
        pools, valuation = portfolios.pools, portfolios.valuation
        terms = valuation.catalogue
        assets, count, legs = len(terms.assets), pools.count, len(portfolios.leg_row)
        holding_pool = np.concatenate((pools.leg_pool, pools.balance_pool))
        underlying = np.concatenate((terms.underlying[portfolios.leg_instrument], pools.balance_asset))
        pnl = self._pnl(portfolios)

        key, of_class = np.unique(holding_pool * assets + underlying, return_inverse=True)
        classes = np.stack([group_sums(of_class, pnl[:, s], len(key)) for s in range(POINTS)], axis=1)
        number, name, offset = self._groups(terms)
        class_pool, class_group = key // assets, number[key % assets]
        group_key, of_group = np.unique(class_pool * len(name) + class_group, return_inverse=True)
        group_pool, group_number = group_key // len(name), group_key % len(name)
        factor = np.where(classes > 0.0, offset[class_group][:, None], 1.0)
        at_point = np.stack(
            [group_sums(of_group, (classes * factor)[:, s], len(group_key)) for s in range(POINTS)], axis=1
        )
        worst = np.argmin(at_point, axis=1) if len(group_key) else np.zeros(0, dtype=np.int64)
        loss = np.maximum(-at_point[np.arange(len(group_key)), worst], 0.0)

        in_group = of_group[of_class]
        least = np.concatenate((self._minimum(portfolios), np.zeros(len(pools.balance_amount))))
        minimum = group_sums(in_group, least, len(group_key))
        excess = np.maximum(minimum - loss, 0.0)
        scans = Terms.of_rows(group_pool, tuple(f"points {n}" for n in name), group_number, loss)
        minima = Terms.of_rows(group_pool, tuple(f"contract minimum {n}" for n in name), group_number, excess)
        charged = scans.followed_by(minima)

        rows = np.arange(len(holding_pool))
        by_loss = -pnl[rows, worst[in_group]] * factor[of_class, worst[in_group]]
        share = np.where(excess[in_group] > 0.0, least, np.where(loss[in_group] > 0.0, by_loss, 0.0))
        return PoolCharges(
            terms=charged,
            initial=self.initial_factor * charged.total(count),
            leg_share=share[:legs],
            balance_share=share[legs:],
            worst=_dearest(count, group_pool, group_number, np.where(loss > 0.0, worst, -1), loss, name),
        )

    def _pnl(self, portfolios: Portfolios) -> FloatArray:
        """Return the P&L of each leg, then of each balance, at every point, (L + B, POINTS)."""
        valuation, pools = portfolios.valuation, portfolios.pools
        terms = valuation.catalogue
        move = np.stack([self._range(asset).points() for asset in terms.assets]) if terms.assets else np.zeros((0, 10))
        leg_rows = distinct(portfolios.leg_row, len(valuation.instrument))
        moved = revalue(
            valuation,
            leg_rows,
            Moves(
                price=move,
                of_price=terms.underlying[valuation.instrument[leg_rows]],
                settle=move,
                # A coin-settled contract pays in what moves.
                of_settle=np.where(
                    terms.settle[valuation.instrument[leg_rows]] == terms.underlying[valuation.instrument[leg_rows]],
                    terms.settle[valuation.instrument[leg_rows]],
                    -1,
                ),
                any_floor=np.full(len(terms.assets), self.any_floor),
            ),
        )
        at = np.searchsorted(leg_rows, portfolios.leg_row)
        legs = portfolios.quantity[:, None] * moved[at]
        # Profit not yet settled in a coin that moves is exposed to it.
        entry = np.where(
            terms.settle[pools.leg_instrument] == terms.underlying[pools.leg_instrument],
            portfolios.entry_value * portfolios.legs(valuation.settle_fx),
            0.0,
        )
        legs -= entry[:, None] * move[terms.settle[pools.leg_instrument]]
        asset_move = move.copy()
        asset_move[np.unique(terms.underlying[terms.any_domain])] = 0.0
        asset_move[valuation.currency] = 0.0
        balances = portfolios.counted_value[:, None] * asset_move[pools.balance_asset]
        return np.concatenate((legs, balances))

    def _minimum(self, portfolios: Portfolios) -> FloatArray:
        """Return the least each leg owes, (L,), in the reporting currency."""
        per_contract = (
            self.contract_minimum
            * portfolios.valuation.catalogue.contract_size[portfolios.leg_instrument]
            * portfolios.legs(portfolios.valuation.quote_fx)
        )
        return contract_minimum(portfolios.quantity, per_contract)

    def _groups(self, terms: Catalogue) -> tuple[IntArray, tuple[str, ...], FloatArray]:
        """Return the group number of each asset, the groups' names, and their offsets."""
        named = [self.product_group.get(asset.symbol, asset.symbol) for asset in terms.assets]
        names = tuple(dict.fromkeys(named))
        number = {name: k for k, name in enumerate(names)}
        inside = [
            self.offset[name] if any(self.product_group.get(a.symbol) == name for a in terms.assets) else 1.0
            for name in names
        ]
        return np.array([number[name] for name in named], dtype=np.int64), names, np.array(inside)

    def _range(self, asset: Asset) -> PointRange:
        by_class = self.range_by_class.get(asset.asset_class, self.range_by_class[OTHER])
        return self.range_by_underlying.get(asset.symbol, by_class)


def _dearest(
    count: int, pool: IntArray, group: IntArray, scenario: IntArray, loss: FloatArray, name: tuple[str, ...]
) -> WorstScenarios:
    """Return each pool's group with the largest loss."""
    order = np.lexsort((group, -loss, pool))
    first = order[np.flatnonzero(np.diff(pool[order], prepend=-1))]
    block, worst, most = np.zeros(count, np.int64), np.full(count, -1), np.zeros(count)
    block[pool[first]], worst[pool[first]], most[pool[first]] = group[first], scenario[first], loss[first]
    half = POINTS // 2
    return WorstScenarios(
        block=block,
        scenario=worst,
        loss=most,
        name=lambda b, s: (
            f"{name[b]} {f'{half - s} of {half} steps down' if s < half else f'{s - half + 1} of {half} steps up'}"
        ),
    )
