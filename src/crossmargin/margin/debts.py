"""Debts: what pools owe of each asset, and what that is charged."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.margin.grouped import ByGroup, Ladder
from crossmargin.margin.model import Portfolios
from crossmargin.ragged import distinct, group_sums
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Debts:
    """What is owed of each asset in each pool, N rows, sorted by pool; several balances of one asset net first."""

    pools: int
    pool: IntArray
    """(N,)"""
    asset: IntArray
    """(N,)"""
    owed: FloatArray
    """(N,) in the reporting currency, 0 or more."""
    of_balance: IntArray
    """(B,) row of each balance."""
    value: FloatArray
    """(B,) value of each balance, debts negative."""

    @classmethod
    def of(cls, portfolios: Portfolios) -> Debts:
        """Return the debts of pools."""
        pools = portfolios.pools
        count = max(1, len(portfolios.valuation.catalogue.assets))
        key, row = np.unique(pools.balance_pool * count + pools.balance_asset, return_inverse=True)
        value = pools.balance_amount * portfolios.balance_price
        owed = np.maximum(-group_sums(row, value, len(key)), 0.0)
        return cls(pools=pools.count, pool=key // count, asset=key % count, owed=owed, of_balance=row, value=value)

    def charges(self, portfolios: Portfolios, ladders: ByGroup) -> tuple[FloatArray, FloatArray]:
        """Return the charge of each pool by the `Ladder` of each asset, (P,), and what each balance brings, (B,)."""
        assets = portfolios.valuation.catalogue.assets
        charge = np.zeros(len(self.owed))
        for a in distinct(self.asset, len(assets)).tolist():
            rows = np.flatnonzero(self.asset == a)
            ladder: Ladder = ladders.of(assets[a])
            charge[rows] = ladder.charge(self.owed[rows])
        of_one = np.divide(charge, self.owed, out=np.zeros(len(charge)), where=self.owed > 0.0)
        return group_sums(self.pool, charge, self.pools), -self.value * of_one[self.of_balance]
