"""Models that need everything of a pool at once: nothing of it may be computed apart."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np

from crossmargin.instruments import Asset, Catalogue
from crossmargin.margin.model import Portfolios, Requirement, ScenarioSource, Terms, WorstScenarios, shared_exactly
from crossmargin.pricing import Valuation
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolCharges:
    """What a model asks of each pool, before its credit tier; amounts in the reporting currency."""

    terms: Terms
    """Parts of maintenance margin."""
    initial: FloatArray
    """(P,) initial margin; where it is less than maintenance, maintenance is taken."""
    leg_share: FloatArray
    """(L,) each leg's share of maintenance; what the shares miss of it goes to the largest."""
    balance_share: FloatArray
    """(B,)"""
    worst: WorstScenarios | None = None


class WholePoolModel(ABC):
    """A model whose requirement is a function of a whole pool; a subclass says which, and what it refuses.

    All assets move in one block, so a price ladder reprices whole pools. The ingredients are maintenance and initial
    margin themselves; the credit tier multiplies initial margin, which is never below maintenance.
    """

    @abstractmethod
    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the instrument numbers held that this model cannot margin."""

    @abstractmethod
    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return what the model asks of each pool."""

    def blocks(self, catalogue: Catalogue) -> IntArray:
        """Return 0 for every asset: one block."""
        return np.zeros(len(catalogue.assets), dtype=np.int64)

    @property
    def nets_delta_one(self) -> bool:
        """Return False: a model says so itself where it nets them."""
        return False

    def bends(self, asset: Asset) -> FloatArray:
        """Return 0 alone: a model with scenarios says where they lie."""
        return np.zeros(1)

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return that there are none."""
        return ScenarioSource("none", None, None, 0)

    def ingredients(self, portfolios: Portfolios) -> FloatArray:
        """Return maintenance and initial margin before the credit tier, (P, 2)."""
        charges = self.charges(portfolios)
        return np.stack([charges.terms.total(portfolios.pools.count), charges.initial], axis=1)

    def totals(self, ingredients: FloatArray, credit_factor: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial), each (P,)."""
        maintenance, initial = ingredients.T
        return maintenance, np.maximum(np.maximum(initial, maintenance) * credit_factor, maintenance)

    def requirement(self, portfolios: Portfolios) -> Requirement:
        """Return what each pool must have, with its terms and shares."""
        pools = portfolios.pools
        charges = self.charges(portfolios)
        maintenance = charges.terms.total(pools.count)
        leg_share, balance_share = shared_exactly(
            maintenance, pools.leg_pool, charges.leg_share, pools.balance_pool, charges.balance_share
        )
        _, initial = self.totals(np.stack([maintenance, charges.initial], axis=1), portfolios.credit_factor)
        return Requirement(
            initial=initial,
            maintenance=maintenance,
            terms=charges.terms,
            leg_share=leg_share,
            balance_share=balance_share,
            worst=charges.worst,
        )
