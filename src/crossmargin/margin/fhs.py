"""Filtered historical margin of central counterparties: liquidation groups, stressed set, limits and add-ons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit

from crossmargin.errors import InvalidRules
from crossmargin.instruments import ASSET_CLASSES, KINDS, Asset, Catalogue
from crossmargin.margin.grid import american_options
from crossmargin.margin.joint_tables import group_numbers
from crossmargin.margin.liquidity import LiquidityRates, rates_of
from crossmargin.margin.model import Portfolios, ScenarioSource, Terms, WorstScenarios
from crossmargin.margin.parameters import OTHER, check_classes
from crossmargin.margin.sensitivities import unit_deltas
from crossmargin.margin.tail_risk import MarketRisk, TailRisk, capped, compression_error, liquidation_cost
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.market import History
from crossmargin.pricing import Valuation
from crossmargin.ragged import distinct, group_sums
from crossmargin.scenarios import (
    JointParameters,
    JointScenarios,
    Moves,
    RiskArray,
    ScenarioSet,
    historical,
    joint_scenarios,
    missing_history,
    revalue,
    risk_array,
)
from crossmargin.units import FloatArray, IntArray

_OPTION = KINDS.index("option")
_CELLS_AT_ONCE = 1_000_000
"""Losses held at a time: pools are margined some hundreds at once, each the same whatever stands beside it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FilteredHistorical(WholePoolModel):
    """Margin of a SPAN 2, PRISMA or IRM 2 class engine.

    A liquidation group is what is closed out together over the same days: some asset classes. Inside one, profits and
    losses add up scenario by scenario; groups add up. With R the market risk of `TailRisk` (tail of filtered history,
    break of correlations, stressed set, anti-procyclicality tool), u the underlyings of group g:

        M_g = max( R(g), cap R(g) + (1 - cap) sum of R(u) ) + compression error + liquidation cost
        MM  = sum of M_g        IM = (1 + buffer) x initial_factor x MM

    A contract's profit is all of it in the reporting currency: what it settles in moves too, and unsettled profit with
    it. Collateral is in no scenario: its haircut stands for it. Without enough history in the book the ordinary
    scenarios are the shipped reference set. The buffer of tool (a) is a state of the market that a daily run sets
    (`procyclicality.buffered`); here it is the part of it in force.

    Claims. P1, P7 for a perfect opposite, P10, P11, P13; P3 before the liquidation cost. P5: the offset between
    underlyings of a group is at most cap, between groups none. Does not claim P2, P4 and P14 (value at risk is not
    sub-additive, and the break of correlations is of either sign), P6 (another ordinary scenario may lower a tail; a
    blend may fall with the stressed set), P8 (add-ons know no value of an option).
    """

    joint: JointParameters
    """Where scenarios come from; kept by a rule book, whose scenarios are cached by it."""
    risk: TailRisk
    liquidation_group: Mapping[str, str]
    """By asset class of the underlying; `other` is required. Classes of a group have one horizon."""
    offset_cap: float = 0.8
    floor_days: int = 2520
    """Windows of unfiltered history that the floor of tool (c) is taken over."""
    compression_points: int = 0
    """Prices at which options are valued, values between interpolated; 0: every scenario is valued in full."""
    compression_confidence: float = 0.99
    liquidity: Mapping[str, LiquidityRates]
    """By asset class; `other` is required. Capacity is participation x volume x days of the horizon."""
    liquidity_by_name: Mapping[str, LiquidityRates] = field(default_factory=dict)
    concentration_power: float = 1.0
    buffer: float = 0.0
    """Part of the anti-procyclicality buffer in force."""
    initial_factor: float = 1.25

    def __post_init__(self) -> None:
        check_classes("liquidation_group", self.liquidation_group)
        check_classes("liquidity", self.liquidity)
        by_group: dict[str, tuple[int, str]] = {}
        for asset_class in ASSET_CLASSES:
            days, group = self.joint.horizon_of(asset_class), self.group_of(asset_class)
            known, first = by_group.setdefault(group, (days, asset_class))
            if known != days:
                raise InvalidRules(
                    f"liquidation_group.{asset_class}",
                    f"{group}, closed out in {days} days, with {first} in {known}",
                    "classes that are closed out over the same days",
                )
        if not 0 <= self.offset_cap <= 1:
            raise InvalidRules("offset_cap", str(self.offset_cap), "a fraction from 0 to 1")
        if self.floor_days < 1:
            raise InvalidRules("floor_days", str(self.floor_days), "1 or more")
        if self.compression_points and self.compression_points < 2:
            raise InvalidRules("compression_points", str(self.compression_points), "0, or 2 and more")
        if not 0.5 <= self.compression_confidence < 1:
            raise InvalidRules(
                "compression_confidence", str(self.compression_confidence), "a fraction from 0.5 to below 1"
            )
        for name in ("concentration_power", "buffer"):
            if not 0 <= getattr(self, name) < np.inf:
                raise InvalidRules(name, str(getattr(self, name)), "0 or more")
        if self.buffer and self.risk.tool != "buffer":
            raise InvalidRules("buffer", str(self.buffer), f"0 where the tool is {self.risk.tool}")
        if not 1 <= self.initial_factor < np.inf:
            raise InvalidRules("initial_factor", str(self.initial_factor), "1 or more")

    def group_of(self, asset_class: str) -> str:
        """Return the liquidation group of an asset class."""
        return self.liquidation_group.get(asset_class, self.liquidation_group[OTHER])

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the American options held."""
        return american_options(portfolios)

    def blocks(self, catalogue: Catalogue) -> IntArray:
        """Return the number of each asset's liquidation group: groups add up."""
        return _facts(self, catalogue).group

    def scenarios(self, valuation: Valuation) -> JointScenarios:
        """Return the joint scenarios of a market, and the report of where they come from."""
        return joint_scenarios(valuation, self.joint)

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return where the ordinary scenarios come from."""
        report = self.scenarios(valuation).report
        return ScenarioSource(report.source, report.start, report.end, report.count)

    def ingredients(self, portfolios: Portfolios) -> FloatArray:
        """Return maintenance and initial margin before the credit tier, (P, 2), without terms or shares."""
        maintenance = np.zeros(portfolios.pools.count)
        found = self._margined(portfolios, shared=False)
        for part in found.parts.values():
            maintenance += part
        return np.stack((maintenance, self._initial(maintenance)), axis=1)

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return what each pool owes: a term a group and part."""
        pools = portfolios.pools
        found = self._margined(portfolios, shared=True)
        everybody = np.arange(pools.count)
        terms = Terms.of([(name, everybody, part) for name, part in found.parts.items()], pools.count)
        joint = self.scenarios(portfolios.valuation)
        ids = (*joint.ordinary.ids, *joint.stressed.ids)
        return PoolCharges(
            terms=terms,
            initial=self._initial(terms.total(pools.count)),
            leg_share=found.leg_share,
            balance_share=np.zeros(len(pools.balance_amount)),
            worst=WorstScenarios(
                block=np.zeros(pools.count, dtype=np.int64),
                scenario=np.where(found.worst_loss > 0.0, found.worst, -1),
                loss=np.maximum(found.worst_loss, 0.0),
                name=lambda block, scenario: ids[scenario],
            ),
        )

    def _initial(self, maintenance: FloatArray) -> FloatArray:
        return (1.0 + self.buffer) * self.initial_factor * maintenance

    def _margined(self, portfolios: Portfolios, *, shared: bool) -> _Margined:
        pools, valuation = portfolios.pools, portfolios.valuation
        facts = _facts(self, valuation.catalogue)
        count, legs = pools.count, len(portfolios.leg_row)
        found = _Margined(
            parts={f"{part} {group}": np.zeros(count) for group in facts.names for part in _PARTS},
            leg_share=np.zeros(legs),
            worst=np.full(count, -1, dtype=np.int64),
            worst_loss=np.zeros(count),
        )
        if legs:
            self._liquidity(portfolios, facts, found)
            sets = self._sets(portfolios.valuation)
            rows, at_once = (
                distinct(portfolios.leg_row, len(valuation.instrument)),
                max(1, _CELLS_AT_ONCE // sets.width),
            )
            # A few contracts are valued once for everybody; where every leg has its own price, some legs at a time.
            table = self._table(portfolios, sets, rows) if len(rows) <= at_once else None
            for chunk in _chunks(portfolios, facts, at_once):
                pieces = _Pieces(self, portfolios, sets, chunk, table, at_once)
                self._chunk(chunk, facts, sets, pieces, found, shared=shared)
        return found

    def _chunk(
        self, chunk: _Chunk, facts: _Facts, sets: _Sets, pieces: _Pieces, found: _Margined, *, shared: bool
    ) -> None:
        """Add the market risk and compression error of some pools to what is found."""
        alone = np.zeros((len(chunk.start) - 1, sets.width))
        for piece, table in pieces:
            _add_losses(*chunk.legs(piece, table), table.pnl, table.asset_move, alone)
        together = _sums(alone, chunk.first_of_group)
        apart, whole = (self._risk(loss, sets, weights=shared) for loss in (alone, together))
        of_group = np.repeat(np.arange(len(chunk.first_of_group)), np.diff(np.append(chunk.first_of_group, len(alone))))
        sum_apart = group_sums(of_group, apart.total, len(together))
        total = capped(whole.total, sum_apart, self.offset_cap)
        error, error_weight = np.zeros(len(together)), np.zeros((len(together), 0))
        if sets.full:
            compressed = together[:, sets.ordinary]
            full = together[:, sets.full_columns]
            error, error_weight = compression_error(full, compressed, self.compression_confidence)
        amounts = {
            "tail": whole.tail,
            "correlation break": whole.correlation_break,
            "stress": whole.stress,
            "anti-procyclicality": whole.tool,
            "limited offsets": total - whole.total,
            "compression error": error,
        }
        for part, amount in amounts.items():
            for number, name in enumerate(facts.names):
                mine = chunk.group == number
                found.parts[f"{part} {name}"][chunk.pool_of_group[mine]] += amount[mine]
        if not shared:
            return
        pool, first = np.unique(chunk.pool_of_group, return_index=True)
        of_pool = _sums(together[:, : sets.margin_columns], first)
        worst = np.argmax(of_pool, axis=1)
        found.worst[pool], found.worst_loss[pool] = worst, of_pool[np.arange(len(pool)), worst]
        limited = (total > whole.total)[:, None]
        weight = np.zeros((len(together), alone.shape[1]))
        own = np.zeros_like(alone)
        for k, columns in enumerate(sets.columns):
            weight[:, columns] = np.where(limited, self.offset_cap, 1.0) * whole.weight[k]
            own[:, columns] = np.where(limited[of_group], 1.0 - self.offset_cap, 0.0) * apart.weight[k]
        if sets.full:
            weight[:, sets.full_columns] += error_weight
            weight[:, sets.ordinary] -= error_weight
        own += weight[of_group]
        for piece, table in pieces:
            share = _leg_shares(*chunk.legs(piece, table), table.pnl, table.asset_move, own)
            found.leg_share[chunk.leg[piece]] += share

    def _risk(self, loss: FloatArray, sets: _Sets, *, weights: bool) -> MarketRisk:
        ordinary, stressed, long_run = (loss[:, columns] for columns in sets.columns)
        return self.risk.of(ordinary, stressed, long_run, weights=weights)

    def _liquidity(self, portfolios: Portfolios, facts: _Facts, found: _Margined) -> None:
        """Add what closing out costs: the net delta of each pool in each underlying, at its depth."""
        pools, valuation = portfolios.pools, portfolios.valuation
        assets = len(valuation.catalogue.assets)
        underlying = valuation.catalogue.underlying[pools.leg_instrument]
        fx = portfolios.legs(valuation.settle_fx)
        delta = portfolios.quantity * portfolios.legs(unit_deltas(valuation, facts.any_floor)) * fx
        key, at = np.unique(pools.leg_pool * assets + underlying, return_inverse=True)
        net = group_sums(at, delta, len(key))
        asset = key % assets
        cost = liquidation_cost(net, facts.spread[asset], facts.capacity[asset], self.concentration_power)
        for number, name in enumerate(facts.names):
            mine = facts.group[asset] == number
            found.parts[f"liquidity {name}"] += group_sums(key[mine] // assets, cost[mine], pools.count)
        a_unit = np.divide(cost, net, out=np.zeros_like(net), where=net != 0.0)
        found.leg_share[:] += delta * a_unit[at]

    def _sets(self, valuation: Valuation) -> _Sets:
        """Return the ordinary, stressed and long-run scenarios; the last only where the floor asks for them."""
        joint = self.scenarios(valuation)
        sets = [joint.ordinary, joint.stressed]
        if self.risk.tool == "floor" and joint.report.source == "history":
            sets.append(self._long_run(valuation, joint))
        sizes = [len(scenarios) for scenarios in sets] + [0] * (3 - len(sets))
        edges = np.concatenate(([0], np.cumsum(sizes))).tolist()
        full = len(joint.ordinary) if self.compression_points else 0
        columns = tuple(slice(low, high) for low, high in pairwise(edges))
        return _Sets(sets=tuple(sets), columns=columns, width=edges[-1] + full)

    def _table(self, portfolios: Portfolios, sets: _Sets, rows: IntArray) -> _Table:
        """Return the P&L of one contract of `rows` in all scenarios side by side."""
        valuation = portfolios.valuation
        pnl = np.empty((len(rows), sets.width))
        moves = np.zeros((len(valuation.catalogue.assets), sets.width))
        for scenarios, columns in zip(sets.sets, sets.columns, strict=False):
            array = risk_array(valuation, scenarios, rows)
            pnl[:, columns], moves[:, columns] = array.pnl, array.asset_move
            if sets.full and columns.start == 0:
                pnl[:, sets.full_columns], moves[:, sets.full_columns] = array.pnl, array.asset_move
                pnl[:, columns] = _compressed(valuation, array, self.compression_points)
        of_row = np.full(len(valuation.instrument), -1, dtype=np.int64)
        of_row[rows] = np.arange(len(rows))
        return _Table(pnl=pnl, asset_move=moves, of_row=of_row)

    def _long_run(self, valuation: Valuation, joint: JointScenarios) -> ScenarioSet:
        history = valuation.market.history
        assert history is not None, "the joint scenarios are of a history"
        terms = valuation.catalogue
        absolute = frozenset(terms.assets[a].symbol for a in np.unique(terms.underlying[terms.any_domain]).tolist())
        return _unfiltered(
            history.before(valuation.market.time.date()),
            tuple(joint.ordinary.factors),
            absolute,
            tuple(joint.report.horizon_days[name] for name in joint.ordinary.factors),
            self.floor_days,
            self.joint.minimum_days,
        )


_PARTS = (
    "tail",
    "correlation break",
    "stress",
    "anti-procyclicality",
    "limited offsets",
    "compression error",
    "liquidity",
)


@lru_cache(maxsize=8)
def _unfiltered(
    history: History,
    names: tuple[str, ...],
    any_domain: frozenset[str],
    horizons: tuple[int, ...],
    lookback: int,
    minimum: int,
) -> ScenarioSet:
    """Return the long-run windows of the names that have enough history of their own; the others stand still."""
    horizon = dict(zip(names, horizons, strict=True))
    gaps = missing_history(history, names, horizon_days=horizon, lookback=lookback, minimum_days=minimum)
    short = {gap.name.removesuffix(".vol") for gap in gaps}
    usable = [name for name in names if name not in short]
    if not usable:
        return ScenarioSet(
            ids=("nothing known",), factors=(), move=np.zeros((0, 1)), weight=np.ones(1), source="history"
        )
    return historical(
        history,
        usable,
        any_domain,
        horizon_days={name: horizon[name] for name in usable},
        lookback=lookback,
        minimum_days=minimum,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Facts:
    """The parameters as columns over the assets of a catalogue, (assets,)."""

    names: tuple[str, ...]
    """Liquidation groups."""
    group: IntArray
    product: IntArray
    """Number of the asset each asset's group is named for: what offsets in full."""
    spread: FloatArray
    capacity: FloatArray
    any_floor: FloatArray


@lru_cache(maxsize=8)
def _facts(model: FilteredHistorical, catalogue: Catalogue) -> _Facts:
    names = tuple(dict.fromkeys(model.group_of(asset_class) for asset_class in ASSET_CLASSES))
    assets = catalogue.assets

    def rates(asset: Asset) -> LiquidityRates:
        return rates_of(asset, model.liquidity, model.liquidity_by_name)

    return _Facts(
        names=names,
        group=np.array([names.index(model.group_of(asset.asset_class)) for asset in assets], dtype=np.int64),
        product=group_numbers(catalogue),
        spread=np.array([rates(asset).spread for asset in assets], dtype=np.float64),
        capacity=np.array(
            [
                rates(asset).adv * rates(asset).participation * model.joint.horizon_of(asset.asset_class)
                for asset in assets
            ],
            dtype=np.float64,
        ),
        any_floor=np.array([model.joint.any_floor_of(asset.symbol) for asset in assets], dtype=np.float64),
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Table:
    """P&L of one contract, and relative moves of assets, in all scenarios side by side."""

    pnl: FloatArray
    """(rows, S) in the reporting currency."""
    asset_move: FloatArray
    """(assets, S)"""
    of_row: IntArray
    """(valuation rows,) row of each, -1 where it is not in the table."""


class _Sets(NamedTuple):
    sets: tuple[ScenarioSet, ...]
    columns: tuple[slice, ...]
    """Of the ordinary, stressed and long-run scenarios."""
    width: int
    """Columns in all; where options are compressed, the last are the ordinary ones once more, valued in full."""

    @property
    def ordinary(self) -> slice:
        return self.columns[0]

    @property
    def full_columns(self) -> slice:
        return slice(self.columns[-1].stop, self.width)

    @property
    def full(self) -> bool:
        return self.width > int(self.columns[-1].stop)

    @property
    def margin_columns(self) -> int:
        """How many columns are ordinary or stressed."""
        return int(self.columns[1].stop)


class _Margined(NamedTuple):
    parts: dict[str, FloatArray]
    """Term -> amount, (P,)."""
    leg_share: FloatArray
    worst: IntArray
    worst_loss: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Chunk:
    """Some pools as segments (pool, liquidation group, product) of legs."""

    leg: IntArray
    """(l,) sorted by segment."""
    start: IntArray
    """(n + 1,)"""
    row: IntArray
    """(l,) row in the valuation."""
    quantity: FloatArray
    settle: IntArray
    unsettled: FloatArray
    """(l,) value of profit not settled that moves with the settle asset: less the value at entry."""
    first_of_group: IntArray
    """(g,) first segment of each (pool, liquidation group)."""
    group: IntArray
    """(g,)"""
    pool_of_group: IntArray
    """(g,)"""
    segment: IntArray
    """(l,)"""

    def legs(self, piece: slice, table: _Table) -> tuple[IntArray, IntArray, FloatArray, IntArray, FloatArray]:
        """Return the segment, row of the table, quantity, settle asset and unsettled value of some legs."""
        row = table.of_row[self.row[piece]]
        return self.segment[piece], row, self.quantity[piece], self.settle[piece], self.unsettled[piece]


class _Pieces:
    """The legs of a chunk, so many at a time, each with the table of what they are in; may be gone through again."""

    def __init__(
        self,
        model: FilteredHistorical,
        portfolios: Portfolios,
        sets: _Sets,
        chunk: _Chunk,
        table: _Table | None,
        at_once: int,
    ) -> None:
        count = len(chunk.leg)
        step = count if table is not None else min(count, at_once)
        self._slices = [slice(low, low + step) for low in range(0, count, step)]
        self._model, self._portfolios, self._sets, self._chunk, self._table = model, portfolios, sets, chunk, table

    def __iter__(self) -> Iterator[tuple[slice, _Table]]:
        for piece in self._slices:
            table = self._table
            if table is None:
                rows = distinct(self._chunk.row[piece], len(self._portfolios.valuation.instrument))
                table = self._model._table(self._portfolios, self._sets, rows)
            if len(self._slices) == 1:
                self._table = table
            yield piece, table


def _chunks(portfolios: Portfolios, facts: _Facts, at_once: int) -> Iterator[_Chunk]:
    pools, valuation = portfolios.pools, portfolios.valuation
    terms = valuation.catalogue
    assets = len(terms.assets)
    underlying = terms.underlying[pools.leg_instrument]
    # Pools come first in the key, and legs lie pool by pool.
    key = (pools.leg_pool * len(facts.names) + facts.group[underlying]) * assets + facts.product[underlying]
    order = np.argsort(key, kind="stable")
    unsettled = -portfolios.entry_value * portfolios.legs(valuation.settle_fx)
    # Pools until they have so many legs together; at least one.
    ends = pools.leg_start
    low = 0
    while low < pools.count:
        high = int(np.searchsorted(ends, ends[low] + at_once, side="right")) - 1
        high = min(max(high, low + 1), pools.count)
        leg = order[ends[low] : ends[high]]
        low = high
        if not len(leg):
            continue
        mine, first = np.unique(key[leg], return_index=True)
        of_group = mine // assets
        groups, first_of_group = np.unique(of_group, return_index=True)
        instrument = pools.leg_instrument[leg]
        yield _Chunk(
            leg=leg,
            start=np.append(first, len(leg)).astype(np.int64),
            row=portfolios.leg_row[leg],
            quantity=portfolios.quantity[leg],
            settle=terms.settle[instrument],
            unsettled=unsettled[leg],
            first_of_group=first_of_group,
            group=groups % len(facts.names),
            pool_of_group=groups // len(facts.names),
            segment=np.repeat(np.arange(len(first)), np.diff(np.append(first, len(leg)))),
        )


@njit(cache=True)
def _add_losses(
    segment: IntArray,
    row: IntArray,
    quantity: FloatArray,
    settle: IntArray,
    unsettled: FloatArray,
    pnl: FloatArray,
    asset_move: FloatArray,
    losses: FloatArray,
) -> None:
    """Add the losses of legs in every scenario to those of their segments (n, S), one leg after the other."""
    for e in range(len(row)):
        n, q, u, r, a = segment[e], quantity[e], unsettled[e], row[e], settle[e]
        for s in range(pnl.shape[1]):
            losses[n, s] -= q * pnl[r, s]
        if u != 0.0:
            for s in range(pnl.shape[1]):
                losses[n, s] -= u * asset_move[a, s]


@njit(cache=True)
def _sums(losses: FloatArray, first: IntArray) -> FloatArray:
    """Return the sums of runs of rows (n, S), each from its `first` row to the next one's, in storage order."""
    sums = np.zeros((len(first), losses.shape[1]))
    for g in range(len(first)):
        end = first[g + 1] if g + 1 < len(first) else len(losses)
        for n in range(first[g], end):
            for s in range(losses.shape[1]):
                sums[g, s] += losses[n, s]
    return sums


@njit(cache=True)
def _leg_shares(
    segment: IntArray,
    row: IntArray,
    quantity: FloatArray,
    settle: IntArray,
    unsettled: FloatArray,
    pnl: FloatArray,
    asset_move: FloatArray,
    weight: FloatArray,
) -> FloatArray:
    """Return each leg's loss under the weights (n, S) of its segment, (l,)."""
    share = np.zeros(len(row))
    for e in range(len(row)):
        n, q, u, r, a = segment[e], quantity[e], unsettled[e], row[e], settle[e]
        for s in range(pnl.shape[1]):
            if weight[n, s] != 0.0:
                share[e] -= (q * pnl[r, s] + u * asset_move[a, s]) * weight[n, s]
    return share


def _compressed(valuation: Valuation, array: RiskArray, points: int) -> FloatArray:
    """Return the P&L of the rows of a risk array with options interpolated between `points` prices, vols held.

    The prices are evenly spaced between the smallest and the largest move of each underlying.
    """
    terms, scenarios = valuation.catalogue, array.scenarios
    instrument = valuation.instrument[array.rows]
    at = np.flatnonzero(terms.kind[instrument] == _OPTION)
    if not len(at):
        return array.pnl
    rows = array.rows[at]
    number = {name: f for f, name in enumerate(scenarios.factors)}
    names = [asset.symbol for asset in terms.assets]
    factor = np.array([number.get(names[a], -1) for a in terms.underlying[instrument[at]].tolist()], dtype=np.int64)
    low, high = scenarios.move.min(axis=1, keepdims=True), scenarios.move.max(axis=1, keepdims=True)
    step = np.where(high > low, (high - low) / (points - 1), 1.0)
    nodes = low + step * np.arange(points)
    at_nodes = revalue(
        valuation,
        rows,
        Moves(
            price=nodes,
            of_price=factor,
            settle=np.zeros((1, points)),
            of_settle=np.full(len(rows), -1, dtype=np.int64),
            any_floor=scenarios.any_floor,
        ),
    )
    place = np.clip((scenarios.move - low) / step, 0.0, points - 1.0)
    below = np.minimum(place.astype(np.int64), points - 2)
    part = (place - below)[factor]
    index = below[factor]
    own = np.take_along_axis(at_nodes, index, axis=1) * (1.0 - part)
    own += np.take_along_axis(at_nodes, index + 1, axis=1) * part
    own[factor < 0] = 0.0
    moved = array.asset_move[terms.settle[instrument[at]]]
    value = (valuation.unit_value * valuation.settle_fx)[rows, None]
    pnl = array.pnl.copy()
    pnl[at] = own * (1.0 + moved) + value * moved
    return pnl
