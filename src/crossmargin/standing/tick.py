"""A tick: a standing at new prices, margining again only the pools that hold what moved."""

from __future__ import annotations

import numpy as np

from crossmargin.margin import Portfolios, Requirement, Terms
from crossmargin.margin.model import WorstScenarios
from crossmargin.market import Market
from crossmargin.pricing import Valuation
from crossmargin.ragged import slices
from crossmargin.standing.standing import Standing, stood
from crossmargin.units import BoolArray, FloatArray, IntArray

_OF_ROWS = ("unit_value", "mark", "forward", "index", "iv", "tau", "discount", "settle_fx", "quote_fx")
"""Columns of a valuation that decide what a contract is worth, now and in any scenario."""


def after_tick(standing: Standing, market: Market) -> Standing:
    """Return what `evaluate` would at `market`, bit for bit, margining only pools that hold what moved.

    What moved is found by comparing prices, not told. Where the day, the scenarios or anything else that all pools
    depend on has changed, all are margined again. Raises what `evaluate` raises.
    """
    return stood(
        standing.book,
        market,
        standing.rules,
        (standing.pools, standing.where),
        lambda portfolios: _required(standing, portfolios),
    )


def _required(before: Standing, portfolios: Portfolios) -> Requirement:
    model = before.rules.model
    moved = _moved_assets(before.valuation, portfolios.valuation)
    if moved is None or not _same_terms(before, portfolios):
        return model.requirement(portfolios)
    touched = _holding(portfolios, moved)
    if touched.all():
        return model.requirement(portfolios)
    chosen = np.flatnonzero(touched)
    if not len(chosen):
        return before.requirement
    return _merged(before.requirement, model.requirement(portfolios.take(chosen)), portfolios, chosen)


def _moved_assets(before: Valuation, now: Valuation) -> BoolArray | None:
    """Return which assets have moved, themselves or anything quoted on them, (assets,); None: all may have."""
    if before.market.time.date() != now.market.time.date() or before.market.history is not now.market.history:
        return None
    terms = now.catalogue
    moved = ~_same(before.fx, now.fx)
    rows = np.zeros(len(now.instrument), dtype=np.bool_)
    for name in _OF_ROWS:
        rows |= ~_same(getattr(before, name), getattr(now, name))
    instrument = now.instrument[rows]
    moved[terms.underlying[instrument]] = True
    # Profit unsettled in another asset changes how much of it an owner has, in all its pools.
    settle = terms.settle[instrument]
    moved[settle[settle != now.currency]] = True
    return moved


def _same(one: FloatArray, other: FloatArray) -> BoolArray:
    return np.asarray((one == other) | (np.isnan(one) & np.isnan(other)))


def _same_terms(before: Standing, portfolios: Portfolios) -> bool:
    """Return whether what is not a price is as it was: what counts of balances that did not move, and credit."""
    was = before.portfolios
    return bool(
        np.array_equal(was.credit_factor, portfolios.credit_factor)
        and before.market.vol_annual == portfolios.valuation.market.vol_annual
        and before.rules.model.scenario_source(was.valuation)
        == before.rules.model.scenario_source(portfolios.valuation)
    )


def _holding(portfolios: Portfolios, moved: BoolArray) -> BoolArray:
    """Return the pools with a leg, a balance or an order in what moved, (P,)."""
    pools, terms = portfolios.pools, portfolios.valuation.catalogue
    touched = np.zeros(pools.count, dtype=np.bool_)
    legs = moved[terms.underlying[pools.leg_instrument]] | moved[terms.settle[pools.leg_instrument]]
    touched[pools.leg_pool[legs]] = True
    touched[pools.balance_pool[moved[pools.balance_asset]]] = True
    if portfolios.orders is not None:
        k = portfolios.orders.instrument
        touched[portfolios.orders.pool[moved[terms.underlying[k]] | moved[terms.settle[k]]]] = True
    return touched


def _merged(before: Requirement, some: Requirement, portfolios: Portfolios, chosen: IntArray) -> Requirement:
    """Return the requirement of all pools: that of the pools `chosen` anew, of the others as it was."""
    pools = portfolios.pools
    legs, _ = slices(pools.leg_start, chosen)
    balances, _ = slices(pools.balance_start, chosen)
    return Requirement(
        initial=_put(before.initial, chosen, some.initial),
        maintenance=_put(before.maintenance, chosen, some.maintenance),
        terms=_put_terms(before.terms, chosen, some.terms, pools.count),
        leg_share=_put(before.leg_share, legs, some.leg_share),
        balance_share=_put(before.balance_share, balances, some.balance_share),
        worst=_put_worst(before.worst, chosen, some.worst),
        above_maintenance=None
        if before.above_maintenance is None or some.above_maintenance is None
        else _put_terms(before.above_maintenance, chosen, some.above_maintenance, pools.count),
    )


def _put(before: FloatArray, at: IntArray, value: FloatArray) -> FloatArray:
    found = before.copy()
    found[at] = value
    return found


def _put_terms(before: Terms, chosen: IntArray, some: Terms, count: int) -> Terms:
    kept = np.ones(count, dtype=np.bool_)
    kept[chosen] = False
    rows = kept[before.pool]
    was = Terms(pool=before.pool[rows], name=before.name, label=before.label[rows], amount=before.amount[rows])
    again = Terms(pool=chosen[some.pool], name=some.name, label=some.label, amount=some.amount)
    return was.followed_by(again)


class _Names:
    """Names of worst scenarios where pools were margined at different times: by pool, else as they were at first.

    A table of scenarios is not kept alive for its names.
    """

    def __init__(self, first: WorstScenarios) -> None:
        self.of_pool: dict[int, str] = {}
        self.first = first

    @classmethod
    def after(cls, before: WorstScenarios, chosen: IntArray, some: WorstScenarios) -> _Names:
        known = before.name if isinstance(before.name, _Names) else cls(before)
        found = cls(known.first)
        found.of_pool = dict(known.of_pool)
        for pool, block, scenario in zip(chosen.tolist(), some.block.tolist(), some.scenario.tolist(), strict=True):
            found.of_pool[pool] = some.name(block, scenario) if scenario >= 0 else ""
        return found

    def __call__(self, pool: int, scenario: int) -> str:
        told = self.of_pool.get(pool)
        return self.first.name(int(self.first.block[pool]), scenario) if told is None else told


def _put_worst(before: WorstScenarios | None, chosen: IntArray, some: WorstScenarios | None) -> WorstScenarios | None:
    if before is None or some is None:
        return None
    scenario = before.scenario.copy()
    scenario[chosen] = some.scenario
    return WorstScenarios(
        # A block here is a pool: what blocks are numbered by differs from time to time.
        block=np.arange(len(scenario)),
        scenario=scenario,
        loss=_put(before.loss, chosen, some.loss),
        name=_Names.after(before, chosen, some),
    )
