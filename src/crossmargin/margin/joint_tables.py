"""Risk tables of joint scenarios: ordinary and stressed moves of everything at once, and a grid a group beside them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from crossmargin.instruments import Catalogue
from crossmargin.margin.exposures import RiskTable
from crossmargin.pricing import Valuation
from crossmargin.ragged import distinct
from crossmargin.scenarios import (
    GridShape,
    JointScenarios,
    Moves,
    ScenarioSet,
    ToldInPrices,
    asset_moves,
    followers,
    revalue,
)
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointTables:
    """The same scenarios seen whole and group by group. Columns: ordinary, stressed, and cells of the grid.

    A contract that moves in one group and settles in an asset of another is worth V' fx' - V fx in the whole. Group
    by group it is (V' - V) fx in the one and V (fx' - fx) in the other, which leaves out the product of both moves.
    """

    pnl: FloatArray
    """(rows, ordinary + stressed + cells) the rows of both tables, in one piece."""
    whole: RiskTable
    """One block; without the cells of the grid."""
    groups: RiskTable
    """A block a group, numbered by the asset it is named for."""
    ordinary: int
    stressed: int
    cell_weight: FloatArray
    """(cells,)"""


def group_numbers(catalogue: Catalogue) -> IntArray:
    """Return the number of the asset each asset's group is named for, (assets,)."""
    return np.array([catalogue.asset_number[asset.group] for asset in catalogue.assets], dtype=np.int64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointMoves:
    """What every asset does in every scenario: the same at whatever prices a table is asked for."""

    ordinary: ScenarioSet
    stressed: ScenarioSet
    shape: GridShape
    ranges: tuple[Moves, Moves, Moves]
    """Ordinary, stressed, cells; a row of their tables an asset."""
    block: IntArray
    """(assets,) number of the asset each asset's group is named for."""

    @classmethod
    def of(cls, valuation: Valuation, joint: JointScenarios, shape: GridShape) -> JointMoves:
        """Return the moves of joint scenarios and of a grid for every asset of a catalogue."""
        group = group_numbers(valuation.catalogue)
        block = group.copy()
        # What the reporting currency is quoted in moves against it, in its group.
        block[followers(valuation)] = group[valuation.currency]
        return cls(
            ordinary=joint.ordinary,
            stressed=joint.stressed,
            shape=shape,
            ranges=(
                _of_set(valuation, joint.ordinary),
                _of_set(valuation, joint.stressed),
                _of_grid(valuation, shape, group, block),
            ),
            block=block,
        )


def joint_tables(valuation: Valuation, rows: IntArray, assets: IntArray, joint: JointMoves) -> JointTables:
    """Return the tables of the valuation rows `rows`, of the assets `assets` and of what the rows settle in."""
    terms, shape, block, ranges = valuation.catalogue, joint.shape, joint.block, joint.ranges
    cells = shape.cells()
    instrument = valuation.instrument[rows]
    underlying, settle = terms.underlying[instrument], terms.settle[instrument]
    assets = distinct(np.concatenate((settle, assets)), len(terms.assets))
    asset_move = np.hstack([moves.settle[assets] for moves in ranges])
    moving = np.any(asset_move != 0.0, axis=1)
    assets, asset_move = assets[moving], asset_move[moving]
    at = np.full(len(terms.assets), -1, dtype=np.int64)
    at[assets] = np.arange(len(assets))
    together = (at[settle] >= 0) & (block[settle] == block[underlying])
    apart = np.flatnonzero((at[settle] >= 0) & ~together)
    ordinary, stressed = len(joint.ordinary), len(joint.stressed)
    scenarios = ordinary + stressed
    # Contracts, settlement of those apart, assets, their gains, and the whole of contracts apart.
    bounds = np.cumsum([0, len(rows), len(apart), len(assets), len(assets), len(apart)])
    own, settlement, move, gain, product = (slice(a, b) for a, b in pairwise(bounds.tolist()))
    pnl = np.empty((int(bounds[-1]), asset_move.shape[1]))
    column = 0
    for moves in ranges:
        width = moves.price.shape[1]
        part = _aimed(moves, underlying, np.where(together, settle, -1))
        pnl[own, column : column + width] = revalue(valuation, rows, part)
        column += width
    settle_move = asset_move[at[settle[apart]]]
    unit = (valuation.unit_value * valuation.settle_fx)[rows[apart]]
    np.multiply(unit[:, None], settle_move, out=pnl[settlement])
    pnl[move] = asset_move
    np.maximum(asset_move, 0.0, out=pnl[gain])
    pnl[product] = pnl[apart] * (1.0 + settle_move) + pnl[settlement]
    names = tuple(asset.symbol for asset in terms.assets)
    ids = (*joint.ordinary.ids, *joint.stressed.ids)

    def scenario_name(_: int, column: int) -> str:
        return ids[column]

    def cell_name(number: int, column: int) -> str:
        if column < scenarios:
            return ids[column]
        return f"{names[number]} {cells.name(column - scenarios, shape.range_of(terms.assets[number]))}"

    contracts = _index(len(valuation.instrument), rows, 0)
    as_whole = contracts.copy()
    as_whole[rows[apart]] = np.arange(bounds[4], bounds[5])
    of_asset = _index(len(terms.assets), assets, int(bounds[2]))
    of_gain = _index(len(terms.assets), assets, int(bounds[3]))
    own_block = block[underlying]
    return JointTables(
        pnl=pnl,
        whole=RiskTable(
            pnl=pnl[:, :scenarios],
            block=np.zeros(len(pnl), dtype=np.int64),
            weight=np.ones(scenarios),
            of_contract=as_whole,
            of_settlement=np.full(len(valuation.instrument), -1, dtype=np.int64),
            of_asset=of_asset,
            of_gain=of_gain,
            blocks=("joint",),
            scenario_name=scenario_name,
        ),
        groups=RiskTable(
            pnl=pnl,
            block=np.concatenate((own_block, block[settle[apart]], block[assets], block[assets], own_block[apart])),
            weight=np.concatenate((np.ones(scenarios), cells.weight)),
            of_contract=contracts,
            of_settlement=_index(len(valuation.instrument), rows[apart], len(rows)),
            of_asset=of_asset,
            of_gain=of_gain,
            blocks=names,
            scenario_name=cell_name,
        ),
        ordinary=ordinary,
        stressed=stressed,
        cell_weight=cells.weight,
    )


def _index(size: int, where: IntArray, low: int) -> IntArray:
    index = np.full(size, -1, dtype=np.int64)
    index[where] = low + np.arange(len(where))
    return index


def _of_set(valuation: Valuation, scenarios: ScenarioSet) -> Moves:
    """Return the moves of a joint set, a row of each table an asset."""
    terms = valuation.catalogue
    factor = np.full(len(terms.assets), -1, dtype=np.int64)
    for f, name in enumerate(scenarios.factors):
        factor[terms.asset_number[name]] = f
    known = factor >= 0
    price = np.zeros((len(factor), len(scenarios)))
    price[known] = scenarios.move[factor[known]]
    vol_factor, floor = None, None
    if scenarios.vol_factor is not None:
        vol_factor = np.ones_like(price)
        vol_factor[known] = scenarios.vol_factor[factor[known]]
    if scenarios.any_floor is not None:
        floor = np.zeros(len(factor))
        floor[known] = scenarios.any_floor[factor[known]]
    told = None
    if scenarios.told is not None:
        difference = np.full(price.shape, np.nan)
        difference[known] = scenarios.told.difference[factor[known]]
        told = ToldInPrices(difference=difference, most=scenarios.told.most)
    none = np.zeros(0, dtype=np.int64)
    return Moves(
        price=price,
        of_price=none,
        settle=asset_moves(valuation, scenarios, factor),
        of_settle=none,
        vol_factor=vol_factor,
        tenor=scenarios.tenor,
        any_floor=floor,
        told=told,
    )


def _of_grid(valuation: Valuation, shape: GridShape, group: IntArray, block: IntArray) -> Moves:
    """Return the cells of the grid, a row of each table an asset: all of a group make its move."""
    terms = valuation.catalogue
    cells = shape.cells()
    span = np.array([shape.range_of(terms.assets[g]) for g in group.tolist()])
    floor = np.array([shape.any_floor_of(terms.assets[g].symbol) for g in group.tolist()])
    price = span[:, None] * cells.fraction
    settle = price.copy()
    settle[np.unique(terms.underlying[terms.any_domain])] = 0.0
    follows = followers(valuation)
    settle[follows] = 1.0 / (1.0 + price[block[follows]]) - 1.0
    settle[valuation.currency] = 0.0
    none = np.zeros(0, dtype=np.int64)
    return Moves(
        price=price,
        of_price=none,
        settle=settle,
        of_settle=none,
        vol_factor=np.broadcast_to(cells.vol_factor, price.shape),
        tenor=shape.tenor,
        any_floor=floor,
    )


def _aimed(moves: Moves, underlying: IntArray, settle: IntArray) -> Moves:
    return Moves(
        price=moves.price,
        of_price=underlying,
        settle=moves.settle,
        of_settle=settle,
        vol_factor=moves.vol_factor,
        tenor=moves.tenor,
        any_floor=moves.any_floor,
        told=moves.told,
    )
