"""Grid margin: the worst cell of a price x vol grid, group by group."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import KINDS, Asset, Catalogue, Option
from crossmargin.margin.exposures import (
    SETS,
    Exposures,
    RiskTable,
    block_worst_losses,
    block_worst_scenarios,
    exposures,
    least,
    owned_terms,
)
from crossmargin.margin.model import Portfolios, Requirement, ScenarioSource, Terms, WorstScenarios, shared_exactly
from crossmargin.margin.short_options import ShortOptions
from crossmargin.pricing import Valuation
from crossmargin.ragged import distinct, group_sums, owners
from crossmargin.scenarios import GridShape, Moves, followers, revalue
from crossmargin.units import FloatArray, IntArray

_OPTION = KINDS.index("option")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Grid:
    """Portfolio margin over a price x vol grid a group; collateral moves with its group.

    MM = least over sets W of things owned outright of [ max( sum over groups of the worst cell, short-option
    minimum ) of all but W + counted value of W ]; IM the same with the initial factor on the bracket. Longs and
    shorts offset inside a cell of one group, never across cells or groups.

    Claims: normalisation, sub-additivity (P2), homogeneity (P3), portfolio <= sum of isolated (P4), scenario
    monotonicity (P6), hedge bound (P7), long-option bound (P8), IM >= MM (P11), continuity in prices (P12; of MM),
    permutation invariance (P13); all of the part before the short-option minimum, and with it. P2 is for options that
    settle in the reporting currency or in an asset that moves with their own group or not at all: one that can lose
    more than it is worth, its underlying and its settle asset apart, may be left out in one portfolio and kept as a
    hedge in the other, and the sets that are tried leave out both or neither.
    """

    shape: GridShape
    short_option_minimum: float = 0.005
    """Per net short option of an expiry, calls and puts apart: this share of the index x contract size."""
    initial_factor: float = 1.25

    def __post_init__(self) -> None:
        if not 0 <= self.short_option_minimum < 1:
            raise InvalidRules("short_option_minimum", str(self.short_option_minimum), "a fraction from 0 to below 1")
        if not 1 <= self.initial_factor < np.inf:
            raise InvalidRules("initial_factor", str(self.initial_factor), "1 or more")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the American options held: the grid prices European ones."""
        return american_options(portfolios)

    def blocks(self, catalogue: Catalogue) -> IntArray:
        """Return the number of each asset's group, which is reduced as one."""
        return _of_assets(self, catalogue)[0]

    @property
    def nets_delta_one(self) -> bool:
        """Return True: a scenario moves them all alike."""
        return True

    def bends(self, asset: Asset) -> FloatArray:
        """Return the price moves of the asset's grid."""
        return np.unique(self.shape.range_of(asset) * self.shape.cells().fraction)

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return the grid: how many cells a group has."""
        return ScenarioSource("grid", None, None, len(self.shape.cells().fraction))

    def ingredients(self, portfolios: Portfolios) -> FloatArray:
        """Return the summed worst losses, short minimum and counted value of each set, (P, 3 SETS)."""
        rows = self._exposures(portfolios)
        minimum = self._short(portfolios).by_pool(rows.owned.holding_left_out)
        return np.hstack((_losses(rows), minimum, rows.owned.counted))

    def totals(self, ingredients: FloatArray, credit_factor: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial), each (P,)."""
        losses, minimum, counted = np.split(ingredients, 3, axis=1)
        core = np.maximum(losses, minimum)
        maintenance, _ = least(core, counted, np.ones(len(core)), initial=False)
        initial, _ = least(core, counted, self.initial_factor * credit_factor, initial=True)
        return maintenance, np.maximum(initial, maintenance)

    def requirement(self, portfolios: Portfolios) -> Requirement:
        """Return what each pool must have: a term a group, the short-option minimum, what is owned outright."""
        pools = portfolios.pools
        count, legs = pools.count, len(portfolios.leg_row)
        everybody = np.arange(count)
        rows = self._exposures(portfolios)
        table = rows.table
        short = self._short(portfolios)
        minimum = short.by_pool(rows.owned.holding_left_out)
        core = np.maximum(_losses(rows), minimum)
        _, chosen = least(core, rows.owned.counted, np.ones(count), initial=False)
        initial, _ = least(core, rows.owned.counted, self.initial_factor * portfolios.credit_factor, initial=True)

        segment, which, worst, share = block_worst_scenarios(
            rows.start, rows.block, rows.row, rows.amount, rows.left_out, table.pnl, table.weight, chosen
        )
        first = np.flatnonzero(segment == np.arange(len(segment)))
        pool, block, loss = owners(rows.start)[first], rows.block[first], worst[first]
        scans = Terms.of_rows(pool, tuple(f"scan {name}" for name in table.blocks), block, loss)
        scanned = group_sums(pool, loss, count)
        excess = np.maximum(minimum[everybody, chosen] - scanned, 0.0)
        left, owned = owned_terms(portfolios, rows.owned, chosen)
        terms = scans.followed_by(Terms.of([("short option minimum", everybody, excess), *owned], count))
        maintenance = terms.total(count)

        of_holding = group_sums(rows.holding, share, len(left))
        holding_pool = np.concatenate((pools.leg_pool, pools.balance_pool))
        bound = excess > 0.0
        if bound.any():
            weight = np.where(bound[short.pool], 1.0, 0.0)
            of_minimum = short.shares(weight, chosen[short.pool], len(left), rows.owned.holding_left_out)
            of_holding = np.where(bound[holding_pool], of_minimum, of_holding)
        of_holding += left
        leg_share, balance_share = shared_exactly(
            maintenance, pools.leg_pool, of_holding[:legs], pools.balance_pool, of_holding[legs:]
        )
        return Requirement(
            initial=np.maximum(initial, maintenance),
            maintenance=maintenance,
            terms=terms,
            leg_share=leg_share,
            balance_share=balance_share,
            worst=_dearest(count, pool, block, which[first], loss, table),
        )

    def risk_table(self, portfolios: Portfolios) -> RiskTable:
        """Return the P&L of everything the pools hold in every cell, one block a group."""
        valuation, pools = portfolios.valuation, portfolios.pools
        terms = valuation.catalogue
        cells = self.shape.cells()
        groups, span, floor, block_of_asset = self._blocks_held(portfolios)
        leg_rows = distinct(portfolios.leg_row, len(valuation.instrument))
        instrument = valuation.instrument[leg_rows]
        underlying, settle = terms.underlying[instrument], terms.settle[instrument]

        held = distinct(np.concatenate((settle, pools.balance_asset)), len(terms.assets))
        held = held[block_of_asset[held] >= 0]
        asset_move = span[block_of_asset[held]][:, None] * cells.fraction
        followed = np.isin(held, followers(valuation)) & (block_of_asset[held] == block_of_asset[valuation.currency])
        asset_move[followed] = 1.0 / (1.0 + asset_move[followed]) - 1.0
        flat = (span[block_of_asset[held]] == 0.0) | (held == valuation.currency)
        held, asset_move = held[~flat], asset_move[~flat]
        asset_at = np.full(len(terms.assets), -1, dtype=np.int64)
        asset_at[held] = np.arange(len(held))

        own_block = block_of_asset[underlying]
        same = (asset_at[settle] >= 0) & (block_of_asset[settle] == own_block)
        apart = np.flatnonzero((asset_at[settle] >= 0) & ~same)
        price = span[:, None] * cells.fraction
        vol_factor = np.broadcast_to(cells.vol_factor, price.shape)
        moves = Moves(
            price=price,
            of_price=own_block,
            settle=asset_move,
            of_settle=np.where(same, asset_at[settle], -1),
            vol_factor=vol_factor,
            tenor=self.shape.tenor,
            any_floor=floor,
        )
        beside = replace(moves, of_price=np.full(len(apart), -1), of_settle=asset_at[settle[apart]])
        rows, extra, assets = len(leg_rows), len(apart), len(held)

        def at(size: int, where: IntArray, low: int) -> IntArray:
            index = np.full(size, -1, dtype=np.int64)
            index[where] = low + np.arange(len(where))
            return index

        return RiskTable(
            pnl=np.concatenate(
                (
                    revalue(valuation, leg_rows, moves),
                    revalue(valuation, leg_rows[apart], beside),
                    asset_move,
                    np.maximum(asset_move, 0.0),
                )
            ),
            block=np.concatenate((own_block, block_of_asset[settle[apart]], *[block_of_asset[held]] * 2)),
            weight=cells.weight,
            of_contract=at(len(valuation.instrument), leg_rows, 0),
            of_settlement=at(len(valuation.instrument), leg_rows[apart], rows),
            of_asset=at(len(terms.assets), held, rows + extra),
            of_gain=at(len(terms.assets), held, rows + extra + assets),
            blocks=groups,
            scenario_name=lambda block, cell: f"{groups[block]} {cells.name(cell, span[block])}",
        )

    def _short(self, portfolios: Portfolios) -> ShortOptions:
        return ShortOptions.of(portfolios, self.short_option_minimum)

    def _exposures(self, portfolios: Portfolios) -> Exposures:
        return exposures(portfolios, self.risk_table(portfolios), self.initial_factor * portfolios.credit_factor)

    def _blocks_held(self, portfolios: Portfolios) -> tuple[tuple[str, ...], FloatArray, FloatArray, IntArray]:
        """Return the groups held as blocks: names, ranges, floors of `any`, and each asset's block (-1: in none).

        What the reporting currency is quoted in moves in the currency's block, whether its contracts are held or only
        listed: what a pool owes does not depend on who else is in the book.
        """
        valuation, pools = portfolios.valuation, portfolios.pools
        terms = valuation.catalogue
        group, span, floor = _of_assets(self, terms)
        underlying = terms.underlying[pools.leg_instrument]
        settle = terms.settle[pools.leg_instrument]
        held = np.concatenate((underlying, settle, pools.balance_asset))
        if np.isin(held, followers(valuation)).any():
            held = np.append(held, valuation.currency)
        touched = distinct(group[held], len(terms.assets))
        block_of_group = np.full(len(terms.assets), -1, dtype=np.int64)
        block_of_group[touched] = np.arange(len(touched))
        block_of_asset = block_of_group[group]
        block_of_asset[followers(valuation)] = block_of_asset[valuation.currency]
        names = tuple(terms.assets[g].symbol for g in touched.tolist())
        return names, span[touched], floor[touched], block_of_asset


@lru_cache(maxsize=8)
def _of_assets(grid: Grid, catalogue: Catalogue) -> tuple[IntArray, FloatArray, FloatArray]:
    """Return the group number, the price range and the floor of `any` of each asset, (assets,)."""
    shape = grid.shape
    return (
        np.array([catalogue.asset_number[asset.group] for asset in catalogue.assets], dtype=np.int64),
        np.array([shape.range_of(asset) for asset in catalogue.assets]),
        np.array([shape.any_floor_of(asset.symbol) for asset in catalogue.assets]),
    )


def _losses(rows: Exposures) -> FloatArray:
    table = rows.table
    return np.asarray(
        block_worst_losses(rows.start, rows.block, rows.row, rows.amount, rows.left_out, table.pnl, table.weight, SETS)
    )


def _dearest(
    count: int, pool: IntArray, block: IntArray, scenario: IntArray, loss: FloatArray, table: RiskTable
) -> WorstScenarios:
    """Return each pool's segment with the largest loss."""
    order = np.lexsort((block, -loss, pool))
    first = order[np.concatenate((np.ones(min(1, len(pool)), dtype=np.bool_), np.diff(pool[order]) != 0))]
    worst_block, worst_scenario, worst_loss = np.zeros(count, np.int64), np.full(count, -1), np.zeros(count)
    worst_block[pool[first]], worst_scenario[pool[first]] = block[first], scenario[first]
    worst_loss[pool[first]] = loss[first]
    return WorstScenarios(block=worst_block, scenario=worst_scenario, loss=worst_loss, name=table.scenario_name)


def american_options(portfolios: Portfolios) -> IntArray:
    """Return the numbers of the American options held: scenario models price European ones."""
    instruments = portfolios.valuation.catalogue.instruments
    held = [(k, instruments[k]) for k in distinct(portfolios.pools.leg_instrument, len(instruments)).tolist()]
    american = [k for k, option in held if isinstance(option, Option) and option.exercise != "european"]
    return np.array(american, dtype=np.int64)
