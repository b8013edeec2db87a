"""Grid margin: the worst cell of a price x vol grid, group by group."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import KINDS, Asset, Catalogue, Option
from crossmargin.margin.exposures import (
    SETS,
    Exposures,
    LeftOut,
    block_worst_losses,
    block_worst_scenarios,
    exposures,
    least,
    members,
    owned_terms,
)
from crossmargin.margin.model import Portfolios, Requirement, ScenarioSource, Terms, shared_exactly
from crossmargin.pricing import Valuation
from crossmargin.ragged import group_sums
from crossmargin.scenarios import GridShape, RiskArray, risk_array
from crossmargin.units import FloatArray, IntArray

_OPTION = KINDS.index("option")


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Portfolio margin over a price x vol grid a group; collateral moves with its group.

    MM = least over sets W of things owned outright of [ max( sum over groups of the worst cell, short-option
    minimum ) of all but W + counted value of W ]; IM the same with the initial factor on the bracket. Longs and
    shorts offset inside a cell of one group, never across cells or groups.

    Claims: normalisation, sub-additivity (P2), homogeneity (P3), portfolio <= sum of isolated (P4), scenario
    monotonicity (P6), hedge bound (P7), long-option bound (P8), IM >= MM (P11), continuity in prices (P12),
    permutation invariance (P13); all of the part before the short-option minimum, and with it.
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
        return np.array([catalogue.asset_number[asset.group] for asset in catalogue.assets], dtype=np.int64)

    def bends(self, asset: Asset) -> FloatArray:
        """Return the price moves of the asset's grid."""
        return np.unique(self.shape.scenarios(asset, [asset.symbol]).move)

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return the grid: how many cells a group has."""
        cells = self.shape.scenarios(valuation.catalogue.assets[valuation.currency], [])
        return ScenarioSource("grid", None, None, len(cells))

    def ingredients(self, portfolios: Portfolios) -> FloatArray:
        """Return the summed worst losses, short minimum and counted value of each set, (P, 3 SETS)."""
        arrays = self.risk_arrays(portfolios)
        if not arrays:
            return np.zeros((portfolios.pools.count, 3 * SETS))
        rows = exposures(portfolios, arrays, self.initial_factor * portfolios.credit_factor)
        losses = block_worst_losses(
            rows.start, rows.block, rows.row, rows.amount, rows.left_out, rows.pnl, rows.weight, SETS
        )
        return np.hstack((losses, self._short_minimum(portfolios, rows.holding_left_out), rows.counted))

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
        arrays = self.risk_arrays(portfolios)
        if not arrays:
            return Requirement.nothing(portfolios)
        factor = self.initial_factor * portfolios.credit_factor
        rows = exposures(portfolios, arrays, factor)
        minimum = self._short_minimum(portfolios, rows.holding_left_out)
        losses = block_worst_losses(
            rows.start, rows.block, rows.row, rows.amount, rows.left_out, rows.pnl, rows.weight, SETS
        )
        core = np.maximum(losses, minimum)
        _, chosen = least(core, rows.counted, np.ones(pools.count), initial=False)
        initial, _ = least(core, rows.counted, factor, initial=True)
        return self._detailed(portfolios, arrays, rows, minimum, chosen, initial)

    def risk_arrays(self, portfolios: Portfolios) -> list[RiskArray]:
        """Return one risk array for each group that any pool is exposed to, in the order of their names."""
        valuation, pools = portfolios.valuation, portfolios.pools
        terms = valuation.catalogue
        group = np.array([terms.asset_number[asset.group] for asset in terms.assets], dtype=np.int64)
        leg_rows = np.unique(portfolios.leg_row)
        instrument = valuation.instrument[leg_rows]
        underlying, settle = terms.underlying[instrument], terms.settle[instrument]
        followers = set(terms.quote[terms.underlying == valuation.currency].tolist())
        touched = np.unique(np.concatenate((group[underlying], group[settle], group[pools.balance_asset])))
        optional = set(group[underlying[terms.kind[instrument] == _OPTION]].tolist())
        arrays = []
        for g in touched.tolist():
            names = [
                terms.assets[a].symbol
                for a in np.flatnonzero(group == g).tolist()
                if a not in followers or a in underlying
            ]
            if not names or (not self.shape.range_of(terms.assets[g]) and g not in optional):
                continue
            scenarios = self.shape.scenarios(terms.assets[g], names)
            moving = {terms.asset_number[name] for name in names}
            if valuation.currency in moving:
                moving |= followers
            mine = np.isin(underlying, list(moving)) | (np.isin(settle, list(moving)) & (settle != valuation.currency))
            array = risk_array(valuation, scenarios, leg_rows[mine])
            if len(array.rows) or np.any(array.asset_move):
                arrays.append(array)
        return arrays

    def _short_minimum(self, portfolios: Portfolios, left_out: IntArray) -> FloatArray:
        """Return the short-option minimum of each pool and set, (P, SETS): verticals pair first, so only the net
        short of each underlying, expiry and type counts."""
        pools, valuation = portfolios.pools, portfolios.valuation
        terms = valuation.catalogue
        minimum = np.zeros((pools.count, SETS))
        legs = np.flatnonzero(portfolios.is_option)
        if not len(legs) or not self.short_option_minimum:
            return minimum
        charge = self._short_charge(portfolios, legs)
        instrument = pools.leg_instrument[legs]
        pool = pools.leg_pool[legs]
        order = np.lexsort(
            (legs, terms.is_call[instrument], terms.expiry[instrument], terms.underlying[instrument], pool)
        )
        legs, charge, instrument, pool = legs[order], charge[order], instrument[order], pool[order]
        changes = (np.diff(pool) != 0) | (np.diff(terms.underlying[instrument]) != 0)
        changes |= (np.diff(terms.expiry[instrument]) != 0) | (np.diff(terms.is_call[instrument].astype(np.int8)) != 0)
        bucket = np.concatenate(([0], np.cumsum(changes)))
        first = np.flatnonzero(np.concatenate(([True], changes)))
        for w in LeftOut:
            kept = np.where((left_out[legs] >> int(w)) & 1, 0.0, charge)
            net = np.maximum(group_sums(bucket, kept, len(first)), 0.0)
            minimum[:, w] = group_sums(pool[first], net, pools.count)
        return minimum

    def _short_charge(self, portfolios: Portfolios, legs: IntArray) -> FloatArray:
        """Return -quantity x size x rate x index of option legs: positive for shorts."""
        valuation, terms = portfolios.valuation, portfolios.valuation.catalogue
        rows = portfolios.leg_row[legs]
        size = terms.contract_size[portfolios.pools.leg_instrument[legs]]
        price = np.abs(valuation.index[rows]) * valuation.quote_fx[rows]
        return np.asarray(-portfolios.quantity[legs] * size * self.short_option_minimum * price, dtype=np.float64)

    def _detailed(
        self,
        portfolios: Portfolios,
        arrays: list[RiskArray],
        rows: Exposures,
        minimum: FloatArray,
        chosen: IntArray,
        initial: FloatArray,
    ) -> Requirement:
        pools = portfolios.pools
        count, legs = pools.count, len(portfolios.leg_row)
        everybody = np.arange(count)
        which, worst, share = block_worst_scenarios(
            rows.start, rows.block, rows.row, rows.amount, rows.left_out, rows.pnl, rows.weight, chosen, len(arrays)
        )
        parts = [(f"scan {array.scenarios.name}", everybody, worst[:, b].copy()) for b, array in enumerate(arrays)]
        floor = minimum[everybody, chosen]
        excess = np.maximum(floor - worst.sum(axis=1), 0.0)
        parts.append(("short option minimum", everybody, excess))
        left, owned = owned_terms(portfolios, rows, chosen)
        parts.extend(owned)
        terms = Terms.of(parts, count)
        maintenance = terms.total(count)

        of_holding = group_sums(rows.holding, share, len(left))
        holding_pool = np.concatenate((pools.leg_pool, pools.balance_pool))
        bound = excess > 0.0
        if bound.any():
            of_holding = np.where(bound[holding_pool], self._minimum_share(portfolios, rows, chosen), of_holding)
        of_holding += left
        leg_share, balance_share = shared_exactly(
            maintenance, pools.leg_pool, of_holding[:legs], pools.balance_pool, of_holding[legs:]
        )
        block = np.argmax(worst, axis=1)
        scenarios = len(rows.weight)
        scenario = which[everybody, block]
        return Requirement(
            initial=np.maximum(initial, maintenance),
            maintenance=maintenance,
            terms=terms,
            leg_share=leg_share,
            balance_share=balance_share,
            worst=tuple(name for array in arrays for name in array.scenarios.ids),
            worst_scenario=np.where(scenario >= 0, block * scenarios + scenario, -1),
            worst_loss=worst[everybody, block],
        )

    def _minimum_share(self, portfolios: Portfolios, rows: Exposures, chosen: IntArray) -> FloatArray:
        """Return each holding's share of the short-option minimum: the legs of buckets that are net short."""
        pools, terms = portfolios.pools, portfolios.valuation.catalogue
        share = np.zeros(len(rows.counted_of_holding))
        legs = np.flatnonzero(portfolios.is_option)
        charge = self._short_charge(portfolios, legs)
        pool = pools.leg_pool[legs]
        gone = members(rows.holding_left_out[legs], chosen[pool]) & (chosen[pool] > 0)
        charge = np.where(gone, 0.0, charge)
        instrument = pools.leg_instrument[legs]
        key = np.stack(
            (pool, terms.underlying[instrument], terms.expiry[instrument], terms.is_call[instrument]), axis=1
        )
        _, bucket = np.unique(key, axis=0, return_inverse=True)
        bucket = bucket.ravel()
        net = group_sums(bucket, charge, int(bucket.max()) + 1)
        share[legs] = np.where(net[bucket] > 0.0, charge, 0.0)
        return share


def american_options(portfolios: Portfolios) -> IntArray:
    """Return the numbers of the American options held: scenario models price European ones."""
    instruments = portfolios.valuation.catalogue.instruments
    held = [(k, instruments[k]) for k in np.unique(portfolios.pools.leg_instrument).tolist()]
    american = [k for k, option in held if isinstance(option, Option) and option.exercise != "european"]
    return np.array(american, dtype=np.int64)
