"""The risk array: P&L of one long unit of everything under every scenario, by full revaluation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.pricing import LEAST_PRICE_FACTOR, Valuation
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import FloatArray, IntArray


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


def risk_array(valuation: Valuation, scenarios: ScenarioSet, rows: IntArray | None = None) -> RiskArray:
    """Return the risk array of the valuation rows `rows` (None: all that have a price).

    Every contract is repriced in full: forwards keep their ratio to the index (domain `any`: their difference),
    vols take the scenario's factor scaled with time to expiry, and the settle asset's value moves too. A scenario
    without any move gives exactly 0.
    """
    if rows is None:
        rows = np.flatnonzero(~np.isnan(valuation.unit_value))
    terms = valuation.catalogue
    factor_of_asset = np.full(len(terms.assets), -1, dtype=np.int64)
    for f, name in enumerate(scenarios.factors):
        if name in terms.asset_number:
            factor_of_asset[terms.asset_number[name]] = f
    instrument = valuation.instrument[rows]
    factor = factor_of_asset[terms.underlying[instrument]]
    asset_move = asset_moves(valuation, scenarios, factor_of_asset)
    settle_move = asset_move[terms.settle[instrument]]
    count = len(scenarios)
    move = np.zeros((len(rows), count))
    moved = np.flatnonzero(factor >= 0)
    move[moved] = scenarios.move[factor[moved]]
    if scenarios.any_floor is not None:
        absolute = moved[terms.any_domain[instrument[moved]]]
        floor = scenarios.any_floor[factor[absolute]]
        move[absolute] *= np.maximum(np.abs(valuation.index[rows[absolute]]), floor)[:, None]
    vol_factor = None
    if scenarios.vol_factor is not None:
        vol_factor = np.ones((len(rows), count))
        shock = scenarios.vol_factor[factor[moved]] - 1.0
        if scenarios.tenor is not None:
            live = np.isfinite(valuation.tau[rows[moved]])
            shock[live] *= scenarios.tenor.factor(valuation.tau[rows[moved]][live])[:, None]
        vol_factor[moved] = np.maximum(1.0 + shock, 0.0)
    before = valuation.unit_values(rows, np.zeros((len(rows), 1)))
    after = valuation.unit_values(rows, move, vol_factor)
    pnl = (after * (1.0 + settle_move) - before) * valuation.settle_fx[rows, None]
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
    absolute = np.unique(terms.underlying[terms.any_domain])
    move[absolute] = 0.0
    currency = valuation.currency
    if factor_of_asset[currency] >= 0:
        quotes = np.unique(terms.quote[terms.underlying == currency])
        for quote in quotes.tolist():
            move[quote] = 1.0 / (1.0 + move[currency]) - 1.0
    move[currency] = 0.0
    return move
