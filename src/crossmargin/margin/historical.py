"""Historical margin: value at risk or expected shortfall over joint moves of the past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from math import ceil, floor

import numpy as np
from numba import njit

from crossmargin.errors import InvalidMarket, InvalidRules, some_of
from crossmargin.instruments import ASSET_CLASSES, Asset, Catalogue
from crossmargin.margin.exposures import SETS, Exposures, RiskTable, exposures, least, owned_terms
from crossmargin.margin.grid import american_options
from crossmargin.margin.model import Portfolios, Requirement, ScenarioSource, Terms, WorstScenarios, shared_exactly
from crossmargin.market import History
from crossmargin.pricing import Valuation
from crossmargin.ragged import distinct, group_sums
from crossmargin.scenarios import ScenarioSet, filtered, followers, historical, missing_history, risk_array
from crossmargin.threads import in_parts
from crossmargin.units import FloatArray, IntArray

MEASURES = ("es", "var")
_POOLS_LEAST = 500
"""Pools that are worth a thread."""
_NAMES = {"es": "expected shortfall", "var": "value at risk"}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Historical:
    """Portfolio margin over the joint moves of the book's own history, plain or filtered.

    MM = least over sets W of things owned outright of [ measure of all but W, 0 or more, + counted value of W ].

    Claims: normalisation, homogeneity (P3), IM >= MM (P11), permutation invariance (P13); for expected shortfall
    also sub-additivity (P2), portfolio <= sum of isolated (P4) and the hedge bound (P7). Value at risk is not
    sub-additive, and a larger scenario set may lower either measure (P6 is not claimed).
    """

    measure: str = "es"
    confidence: float = 0.99
    lookback_days: int = 750
    horizon_days: Mapping[str, int]
    """Windows of an asset class, in days; `other` is required."""
    filtered: bool = True
    decay: float = 0.97
    initial_factor: float = 1.25
    minimum_days: int = 250

    def __post_init__(self) -> None:
        if self.measure not in MEASURES:
            raise InvalidRules("measure", repr(self.measure), " or ".join(MEASURES))
        if not 0.5 <= self.confidence < 1:
            raise InvalidRules("confidence", str(self.confidence), "a fraction from 0.5 to below 1")
        if not 0 < self.decay < 1:
            raise InvalidRules("decay", str(self.decay), "a fraction above 0 and below 1")
        if not 1 <= self.initial_factor < np.inf:
            raise InvalidRules("initial_factor", str(self.initial_factor), "1 or more")
        if self.lookback_days < self.minimum_days or self.minimum_days < 2:
            raise InvalidRules("lookback_days", str(self.lookback_days), f"at least minimum_days, {self.minimum_days}")
        if "other" not in self.horizon_days:
            raise InvalidRules("horizon_days", ", ".join(self.horizon_days) or "nothing", "an entry for other")
        for name, days in self.horizon_days.items():
            if name not in ASSET_CLASSES or days < 1:
                raise InvalidRules(f"horizon_days.{name}", str(days), f"whole days for {', '.join(ASSET_CLASSES)}")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the American options held."""
        return american_options(portfolios)

    def blocks(self, catalogue: Catalogue) -> IntArray:
        """Return -1 for every asset: scenario losses add up whatever they are on."""
        return np.full(len(catalogue.assets), -1, dtype=np.int64)

    @property
    def nets_delta_one(self) -> bool:
        """Return True: a scenario moves them all alike."""
        return True

    def bends(self, asset: Asset) -> FloatArray:
        """Return 0 alone: hundreds of scenarios leave no single bend to look for."""
        return np.zeros(1)

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return the stretch of history the windows lie in."""
        scenarios = self.scenarios(valuation)
        return ScenarioSource("history", scenarios.start, scenarios.end, len(scenarios))

    def ingredients(self, portfolios: Portfolios) -> FloatArray:
        """Return each set's losses in all scenarios and its counted value, (P, SETS (S + 1))."""
        count = portfolios.pools.count
        rows = self._exposures(portfolios)
        pnl = rows.table.pnl
        losses = scenario_losses(rows.start, rows.row, rows.amount, rows.left_out, pnl, SETS, pnl.shape[1])
        return np.hstack((losses.reshape(count, SETS * losses.shape[2]), rows.owned.counted))

    def totals(self, ingredients: FloatArray, credit_factor: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial), each (P,)."""
        losses, counted = ingredients[:, :-SETS], ingredients[:, -SETS:]
        core = self._measured(losses.reshape(len(losses) * SETS, losses.shape[1] // SETS)).reshape(-1, SETS)
        maintenance, _ = least(core, counted, np.ones(len(core)), initial=False)
        initial, _ = least(core, counted, self.initial_factor * credit_factor, initial=True)
        return maintenance, np.maximum(initial, maintenance)

    def requirement(self, portfolios: Portfolios) -> Requirement:
        """Return what each pool must have: the measure, and what is owned outright."""
        pools = portfolios.pools
        count, legs = pools.count, len(portfolios.leg_row)
        rows = self._exposures(portfolios)
        table = rows.table
        losses = scenario_losses(rows.start, rows.row, rows.amount, rows.left_out, table.pnl, SETS, table.pnl.shape[1])
        core = self._measured(losses.reshape(count * SETS, losses.shape[2])).reshape(-1, SETS)
        _, chosen = least(core, rows.owned.counted, np.ones(count), initial=False)
        initial, _ = least(core, rows.owned.counted, self.initial_factor * portfolios.credit_factor, initial=True)
        everybody = np.arange(count)
        loss = losses[everybody, chosen]
        measured = core[everybody, chosen]
        left, owned = owned_terms(portfolios, rows.owned, chosen)
        terms = Terms.of([(_NAMES[self.measure], everybody, measured), *owned], count)
        maintenance = terms.total(count)
        weights = tail_weights(loss, measure=self.measure, confidence=self.confidence)
        weights[measured <= 0.0] = 0.0
        pool = np.repeat(everybody, np.diff(rows.start))
        kept = ~((rows.left_out >> chosen[pool]) & 1).astype(np.bool_)
        share = np.where(kept, -rows.amount * np.einsum("es,es->e", table.pnl[rows.row], weights[pool]), 0.0)
        of_holding = group_sums(rows.holding, share, len(left)) + left
        leg_share, balance_share = shared_exactly(
            maintenance, pools.leg_pool, of_holding[:legs], pools.balance_pool, of_holding[legs:]
        )
        worst = np.argmax(loss, axis=1)
        worst_loss = loss[everybody, worst]
        return Requirement(
            initial=np.maximum(initial, maintenance),
            maintenance=maintenance,
            terms=terms,
            leg_share=leg_share,
            balance_share=balance_share,
            worst=WorstScenarios(
                block=np.zeros(count, dtype=np.int64),
                scenario=np.where(worst_loss > 0, worst, -1),
                loss=np.maximum(worst_loss, 0.0),
                name=table.scenario_name,
            ),
        )

    def scenarios(self, valuation: Valuation) -> ScenarioSet:
        """Return the joint scenarios of the market's history for everything in the catalogue that it covers."""
        history = valuation.market.history
        if history is None:
            raise InvalidMarket(
                "market.history", "nothing", "daily closes: this rule book takes its scenarios from them"
            )
        terms = valuation.catalogue
        names = tuple(a.symbol for a in terms.assets if a.symbol in history.names)
        any_domain = tuple(terms.assets[a].symbol for a in np.unique(terms.underlying[terms.any_domain]).tolist())
        by_class = self.horizon_days
        horizons = tuple(
            by_class.get(a.asset_class, by_class["other"]) for a in terms.assets if a.symbol in history.names
        )
        return _scenarios(
            history,
            valuation.market.time.date(),
            names,
            any_domain,
            horizons,
            self.lookback_days,
            self.minimum_days,
            self.decay if self.filtered else None,
        )

    def risk_table(self, portfolios: Portfolios) -> RiskTable:
        """Return the P&L of everything the pools hold in every scenario, one block."""
        valuation, pools = portfolios.valuation, portfolios.pools
        terms = valuation.catalogue
        scenarios = self.scenarios(valuation)
        held = pools.leg_instrument
        owned = np.concatenate((terms.settle[held], pools.balance_asset))
        # The value of what the reporting currency is quoted in moves with the currency's own price.
        quoting = np.isin(owned, followers(valuation))
        owned = np.where(quoting | (owned != valuation.currency), owned, -1)
        owned[quoting] = valuation.currency
        exposed = distinct(np.concatenate((terms.underlying[held], owned[owned >= 0])), len(terms.assets))
        lacking = [
            asset.symbol
            for asset in (terms.assets[a] for a in exposed.tolist())
            if asset.symbol not in scenarios.factors and asset.asset_class != "stablecoin"
        ]
        if lacking:
            raise InvalidMarket(
                "market.history", f"no usable series of {some_of(lacking)}", f"{self.minimum_days} daily closes of each"
            )
        array = risk_array(valuation, scenarios, distinct(portfolios.leg_row, len(valuation.instrument)))
        rows, assets = len(array.rows), len(terms.assets)
        of_contract = np.full(len(valuation.instrument), -1, dtype=np.int64)
        of_contract[array.rows] = np.arange(rows)
        moving = np.any(array.asset_move != 0.0, axis=1)
        return RiskTable(
            pnl=np.concatenate((array.pnl, array.asset_move, np.maximum(array.asset_move, 0.0))),
            block=np.zeros(rows + 2 * assets, dtype=np.int64),
            weight=scenarios.weight,
            of_contract=of_contract,
            of_settlement=np.full(len(valuation.instrument), -1, dtype=np.int64),
            of_asset=np.where(moving, rows + np.arange(assets), -1),
            of_gain=np.where(moving, rows + assets + np.arange(assets), -1),
            blocks=("history",),
            scenario_name=lambda block, scenario: scenarios.ids[scenario],
            measure=self._measured,
        )

    def _exposures(self, portfolios: Portfolios) -> Exposures:
        return exposures(portfolios, self.risk_table(portfolios), self.initial_factor * portfolios.credit_factor)

    def _measured(self, loss: FloatArray) -> FloatArray:
        """Return the measure of each row of losses, 0 or more."""
        weights = tail_weights(loss, measure=self.measure, confidence=self.confidence)
        return np.asarray(np.maximum(np.einsum("ps,ps->p", loss, weights), 0.0), dtype=np.float64)


@lru_cache(maxsize=8)
def _scenarios(
    history: History,
    today: date,
    names: tuple[str, ...],
    any_domain: tuple[str, ...],
    horizons: tuple[int, ...],
    lookback: int,
    minimum: int,
    decay: float | None,
) -> ScenarioSet:
    # Of the day of the market itself there is no close yet: what the table has from then on is the future.
    history = history.before(today)
    horizon = dict(zip(names, horizons, strict=True))
    warmup = 0 if decay is None else ceil(1.0 / (1.0 - decay))
    gaps = missing_history(history, names, horizon_days=horizon, lookback=lookback, minimum_days=minimum, warmup=warmup)
    unusable = {gap.name.removesuffix(".vol") for gap in gaps}
    usable = [name for name in names if name not in unusable]
    if not usable:
        raise InvalidMarket(
            "market.history", f"no usable series among {some_of(names) or 'nothing'}", f"{minimum} daily closes"
        )
    kept = {name: horizon[name] for name in usable}
    if decay is None:
        return historical(history, usable, any_domain, horizon_days=kept, lookback=lookback, minimum_days=minimum)
    return filtered(
        history, usable, any_domain, horizon_days=kept, lookback=lookback, decay=decay, minimum_days=minimum
    )


def tail_weights(loss: FloatArray, *, measure: str, confidence: float) -> FloatArray:
    """Return the weight of each scenario in the measure of `loss` (P, S): shape (P, S), each row sums to 1.

    `es`: the mean of the worst (1 - confidence) S losses, the scenario on the boundary with the fraction left over;
    at least the single worst. `var`: the ceil(confidence S)-th smallest loss alone. Ties go to the earlier scenario.
    """
    pools, scenarios = loss.shape
    by_rank = np.zeros(scenarios)
    # A decimal confidence leaves a speck in the product (0.99 x 1000): a whole number is meant.
    if measure == "var":
        by_rank[scenarios - ceil(round(confidence * scenarios, 9))] = 1.0
    else:
        tail = max(round((1.0 - confidence) * scenarios, 9), 1.0)
        whole = floor(tail)
        by_rank[:whole] = 1.0 / tail
        if whole < scenarios:
            by_rank[whole] = (tail - whole) / tail
    order = np.argsort(-loss, axis=1, kind="stable")
    weights = np.zeros((pools, scenarios))
    np.put_along_axis(weights, order, np.broadcast_to(by_rank, (pools, scenarios)), axis=1)
    return weights


def scenario_losses(
    start: IntArray,
    row: IntArray,
    amount: FloatArray,
    left_out: IntArray,
    pnl: FloatArray,
    sets: int,
    scenarios: int,
) -> FloatArray:
    """Return the loss of each pool and set in the first S = `scenarios` columns, (P, sets, S); a profit is negative."""
    losses = np.zeros((len(start) - 1, sets, scenarios))

    def run(low: int, high: int) -> None:
        _scenario_losses(start[low : high + 1], row, amount, left_out, pnl, losses[low:high])

    in_parts(len(losses), run, least=_POOLS_LEAST)
    return losses


@njit(cache=True, nogil=True)
def _scenario_losses(
    start: IntArray, row: IntArray, amount: FloatArray, left_out: IntArray, pnl: FloatArray, losses: FloatArray
) -> None:
    pools, sets, scenarios = losses.shape
    for p in range(pools):
        present = 0
        for e in range(start[p], start[p + 1]):
            present |= left_out[e]
        for w in range(sets):
            if w > 0 and not (present >> w) & 1:
                losses[p, w] = losses[p, 0]
                continue
            for e in range(start[p], start[p + 1]):
                if not (left_out[e] >> w) & 1:
                    a, r = amount[e], row[e]
                    for s in range(scenarios):
                        losses[p, w, s] -= a * pnl[r, s]
