"""The risk array: P&L of one long unit of everything under every scenario, by full revaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from crossmargin.pricing import LEAST_PRICE_FACTOR, SharedMoves, Valuation
from crossmargin.scenarios.scenario_set import ScenarioSet, TenorScaling, ToldInPrices
from crossmargin.threads import in_parts
from crossmargin.units import FloatArray, IntArray

_CELLS_AT_ONCE = 16_384
"""Cells revalued in one go: the columns on the way stay in the processor's cache. No number depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskArray:
    """P&L of one long unit under each scenario, in the reporting currency; a loss is negative."""

    scenarios: ScenarioSet
    rows: IntArray
    """(n,) valuation rows that `pnl` is for."""
    pnl: FloatArray
    """(n, S) P&L of one contract: V' fx' - V fx, V being its value in the settle asset."""
    asset_move: FloatArray
    """(assets, S) relative change in the value of one unit of each asset."""
    asset_pnl: FloatArray
    """(assets, S) P&L of one unit of each asset; NaN where its value is unknown and it moves."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Moves:
    """What happens to n valuation rows. Tables have one row a factor and S columns; -1 is no factor."""

    price: FloatArray
    """(F, S) relative move; in price units where the domain is `any`, or see `any_floor`."""
    of_price: IntArray
    """(n,) factor of the underlying of each row."""
    settle: FloatArray
    """(G, S) relative change in the value of the settle asset."""
    of_settle: IntArray
    """(n,)"""
    vol_factor: FloatArray | None = None
    """(F, S) multiplies implied vols."""
    tenor: TenorScaling | None = None
    any_floor: FloatArray | None = None
    """(F,) given: moves where the domain is `any` are fractions of max(|index|, this floor)."""
    told: ToldInPrices | None = None
    """Given: some moves are differences of prices."""


def revalue(valuation: Valuation, rows: IntArray, moves: Moves) -> FloatArray:
    """Return the P&L of one long unit of each valuation row, (n, S), in the reporting currency.

    Every contract is repriced in full: forwards keep their ratio to the index (domain `any`: their difference),
    vol shocks scale with time to expiry, and the settle asset's value moves too. No move at all gives exactly 0.
    """
    scenarios = moves.price.shape[1]
    pnl = np.empty((len(rows), scenarios))
    after = valuation.after(rows, _shared(valuation, rows, moves))
    before, settle, fx = after.now(), np.ascontiguousarray(moves.settle), valuation.settle_fx[rows]
    least = max(1, _CELLS_AT_ONCE // max(1, scenarios))

    def run(low: int, high: int) -> None:
        for first in range(low, high, least):
            last = min(first + least, high)
            after.fill(first, last, pnl)
            _to_gains(before, settle, moves.of_settle, fx, first, last, pnl)

    in_parts(len(rows), run, least=least)
    return pnl


@njit(cache=True, nogil=True, error_model="numpy")
def _to_gains(
    before: FloatArray,
    settle: FloatArray,
    of_settle: IntArray,
    fx: FloatArray,
    low: int,
    high: int,
    value: FloatArray,
) -> None:
    """Turn the rows `low` to `high` of `value` (n, S), in the settle asset, into gains in the reporting currency."""
    for i in range(low, high):
        row, was, worth = value[i], before[i], fx[i]
        if of_settle[i] >= 0:
            change = settle[of_settle[i]]
            for j in range(row.size):
                row[j] = (row[j] * (1.0 + change[j]) - was) * worth
        else:
            for j in range(row.size):
                row[j] = (row[j] - was) * worth


def _shared(valuation: Valuation, rows: IntArray, moves: Moves) -> SharedMoves:
    """Return the moves in tables with a row for each factor; where it matters, for each index of its contracts."""
    kind = moves.of_price
    any_domain = valuation.catalogue.any_domain[valuation.instrument[rows]]
    if moves.told is not None or any_domain.any():
        levels, level = np.unique(valuation.index[rows], return_inverse=True)
        kind = (2 * kind + any_domain) * len(levels) + level
    _, chosen, of = np.unique(kind, return_index=True, return_inverse=True)
    of_price, tau = moves.of_price[chosen], valuation.tau[rows]
    vol_factor, vol_share = None, None
    if moves.vol_factor is not None and np.isfinite(tau).any():
        vol_factor, vol_share = _looked_up(moves.vol_factor, of_price, 1.0), np.ones(len(rows))
        if moves.tenor is not None:
            dated = np.isfinite(tau)
            vol_share[dated] = moves.tenor.factor(tau[dated])
    return SharedMoves(
        move=_moves_of(valuation, rows[chosen], moves, of_price),
        of=of,
        vol_factor=vol_factor,
        vol_share=vol_share,
    )


def _moves_of(valuation: Valuation, rows: IntArray, moves: Moves, of_price: IntArray) -> FloatArray:
    """Return how the underlying of each valuation row moves, (n, S)."""
    terms = valuation.catalogue
    move = _looked_up(moves.price, of_price, 0.0)
    if moves.any_floor is not None:
        absolute = np.flatnonzero(terms.any_domain[valuation.instrument[rows]] & (of_price >= 0))
        floor = moves.any_floor[of_price[absolute]]
        move[absolute] *= np.maximum(np.abs(valuation.index[rows[absolute]]), floor)[:, None]
    if moves.told is not None:
        _put_differences(move, valuation, rows, moves, moves.told, of_price)
    return move


def _put_differences(
    move: FloatArray, valuation: Valuation, rows: IntArray, moves: Moves, told: ToldInPrices, of_price: IntArray
) -> None:
    """Put the moves that are told as differences of prices into `move` (n, S), in place, at each row's own index."""
    some = np.asarray(np.isfinite(told.difference).any(axis=1), dtype=np.bool_)
    at = np.flatnonzero((of_price >= 0) & some[of_price])
    if not len(at):
        return
    any_domain = valuation.catalogue.any_domain[valuation.instrument[rows[at]]]
    index = np.abs(valuation.index[rows[at]])
    floor = np.zeros(len(at)) if moves.any_floor is None else moves.any_floor[of_price[at]]
    level = np.where(any_domain, np.maximum(index, floor), index)[:, None]
    difference = np.minimum(told.difference[of_price[at]], told.most * level)
    difference = np.where(any_domain[:, None], difference, np.maximum(difference / level, -1.0))
    move[at] = np.where(np.isnan(difference), move[at], difference)


def _looked_up(table: FloatArray, row: IntArray, missing: float) -> FloatArray:
    if len(row) and row.min() >= 0:
        return np.asarray(table[row])
    found = np.full((len(row), table.shape[1]), missing)
    known = np.flatnonzero(row >= 0)
    found[known] = table[row[known]]
    return found


def risk_array(valuation: Valuation, scenarios: ScenarioSet, rows: IntArray | None = None) -> RiskArray:
    """Return the risk array of the valuation rows `rows` (None: all that have a price) under joint scenarios."""
    if rows is None:
        rows = np.flatnonzero(~np.isnan(valuation.unit_value))
    terms = valuation.catalogue
    factor_of_asset = np.full(len(terms.assets), -1, dtype=np.int64)
    for f, name in enumerate(scenarios.factors):
        if name in terms.asset_number:
            factor_of_asset[terms.asset_number[name]] = f
    asset_move = asset_moves(valuation, scenarios, factor_of_asset)
    instrument = valuation.instrument[rows]
    moving = np.any(asset_move != 0.0, axis=1)
    settle = terms.settle[instrument]
    pnl = revalue(
        valuation,
        rows,
        Moves(
            price=scenarios.move,
            of_price=factor_of_asset[terms.underlying[instrument]],
            settle=asset_move,
            of_settle=np.where(moving[settle], settle, -1),
            vol_factor=scenarios.vol_factor,
            tenor=scenarios.tenor,
            any_floor=scenarios.any_floor,
            told=scenarios.told,
        ),
    )
    with np.errstate(invalid="ignore"):
        asset_pnl = np.where(asset_move == 0.0, 0.0, asset_move * valuation.fx[:, None])
    return RiskArray(scenarios=scenarios, rows=rows, pnl=pnl, asset_move=asset_move, asset_pnl=asset_pnl)


def asset_moves(valuation: Valuation, scenarios: ScenarioSet, factor_of_asset: IntArray) -> FloatArray:
    """Return the relative change in value of one unit of each asset, shape (assets, S).

    The reporting currency never moves; where it is itself an underlying (a euro house trading EUR/USD), the asset
    that underlying is quoted in moves the other way.
    """
    terms = valuation.catalogue
    move = np.zeros((len(terms.assets), len(scenarios)))
    named = np.flatnonzero(factor_of_asset >= 0)
    move[named] = np.maximum(scenarios.move[factor_of_asset[named]], LEAST_PRICE_FACTOR - 1.0)
    move[np.unique(terms.underlying[terms.any_domain])] = 0.0
    currency = valuation.currency
    if factor_of_asset[currency] >= 0:
        move[followers(valuation)] = 1.0 / (1.0 + move[currency]) - 1.0
    move[currency] = 0.0
    return move


def followers(valuation: Valuation) -> IntArray:
    """Return the assets that the reporting currency is quoted in as an underlying: they move against it."""
    terms = valuation.catalogue
    return np.unique(terms.quote[terms.underlying == valuation.currency])
