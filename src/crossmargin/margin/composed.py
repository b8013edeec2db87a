"""Margin put together from parts: scenario sets, a risk array, a reducer, add-ons. What a new venue starts from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.margin.grid import american_options
from crossmargin.margin.historical import tail_weights
from crossmargin.margin.model import Portfolios, ScenarioSource, Terms, WorstScenarios
from crossmargin.margin.segments import Segments
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.pricing import Valuation
from crossmargin.ragged import distinct, group_sums
from crossmargin.scenarios import ScenarioSet, risk_array
from crossmargin.units import FloatArray, IntArray

Scenarios: TypeAlias = Callable[[Valuation], Sequence[ScenarioSet]]
"""The sets of a market. What moves in one set is reduced by itself: it offsets nothing of another."""

Reducer: TypeAlias = Callable[[FloatArray], FloatArray]
"""Weighted losses (n, S), S above 0 -> the share of each that counts, (n, S): their product, summed, is asked."""

AddOn: TypeAlias = Callable[[Portfolios], FloatArray]
"""Pools -> what each leg brings, (L,), in the reporting currency; the legs of a pool add up to 0 or more."""


def worst(loss: FloatArray) -> FloatArray:
    """Return 1 for the largest of each row of losses, the first of equals, and 0 for the rest."""
    counts = np.zeros_like(loss)
    counts[np.arange(len(loss)), loss.argmax(axis=1)] = 1.0
    return counts


def expected_shortfall(confidence: float) -> Reducer:
    """Return the reducer to the mean of the worst 1 - confidence of scenarios."""
    return lambda loss: tail_weights(loss, measure="es", confidence=confidence)


def value_at_risk(confidence: float) -> Reducer:
    """Return the reducer to the loss that a share `confidence` of scenarios does not exceed."""
    return lambda loss: tail_weights(loss, measure="var", confidence=confidence)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Composed(WholePoolModel):
    """Portfolio margin of parts.

        MM = sum over sets of max(0, reducer of weight x loss) + add-ons;  IM = initial_factor x MM

    A loss is that of full revaluation: forwards keep their ratio to the index, options are repriced, a contract that
    settles in coin is worth the coin's moved price. Collateral and P&L not yet settled in coin are in no scenario.
    Refused: American options.

    Claims P1, P3 in quantities, P10, P11, P13; with `worst` or `expected_shortfall` and add-ons that claim them also
    P2, P4, P7; with `worst` P6. Not P8: an add-on knows no premium. Value at risk claims neither P2 nor P6.
    """

    scenarios: Scenarios
    reducer: Reducer = worst
    add_ons: Mapping[str, AddOn] = field(default_factory=dict)
    """By the name of their term."""
    initial_factor: float = 1.0

    def __post_init__(self) -> None:
        if not 1 <= self.initial_factor < np.inf:
            raise InvalidRules("initial_factor", f"{self.initial_factor:g}", "1 or more")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the American options held."""
        return american_options(portfolios)

    @property
    def nets_delta_one(self) -> bool:
        """Return False: an add-on may be charged leg by leg."""
        return False

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return how many scenarios the largest set has, and where the sets come from."""
        sets = self.scenarios(valuation)
        longest = max(sets, key=len, default=None)
        if longest is None:
            return ScenarioSource("none", None, None, 0)
        return ScenarioSource(longest.source, longest.start, longest.end, len(longest))

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return what each pool owes: a term a set, a term an add-on."""
        pools, valuation = portfolios.pools, portfolios.valuation
        everybody = np.arange(pools.count)
        units = Segments.of(pools.leg_pool, np.zeros(len(pools.leg_pool), dtype=np.int64), pools.count)
        rows = distinct(portfolios.leg_row, len(valuation.instrument))
        sets = self.scenarios(valuation)
        share = np.zeros(len(portfolios.leg_row))
        terms: list[tuple[str, IntArray, FloatArray]] = []
        dearest, which, most = np.zeros(pools.count, np.int64), np.full(pools.count, -1), np.zeros(pools.count)
        for k, one in enumerate(sets):
            if not len(one):
                continue
            table = np.zeros((len(valuation.instrument), len(one)))
            table[rows] = risk_array(valuation, one, rows).pnl
            loss = -units.by_pool(units.pnl(portfolios.leg_row, portfolios.quantity, table)) * one.weight
            counts = self.reducer(loss)
            asked = np.einsum("ps,ps->p", loss, counts)
            counts = np.where(asked[:, None] > 0.0, counts * one.weight, 0.0)
            terms.append((f"scenarios {one.name or k + 1}", everybody, np.maximum(asked, 0.0)))
            share -= portfolios.quantity * np.einsum("ls,ls->l", table[portfolios.leg_row], counts[pools.leg_pool])
            top = np.maximum(loss.max(axis=1), 0.0)
            above = top > most
            dearest[above], which[above], most[above] = k, loss.argmax(axis=1)[above], top[above]
        for name, add_on in self.add_ons.items():
            charge = add_on(portfolios)
            terms.append((name, everybody, group_sums(pools.leg_pool, charge, pools.count)))
            share += charge
        made = Terms.of(terms, pools.count)
        return PoolCharges(
            terms=made,
            initial=self.initial_factor * made.total(pools.count),
            leg_share=share,
            balance_share=np.zeros(len(pools.balance_amount)),
            worst=WorstScenarios(
                block=dearest, scenario=which, loss=most, name=lambda block, scenario: sets[block].ids[scenario]
            ),
        )
