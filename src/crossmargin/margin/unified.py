"""Unified account: leverage brackets and loans in one ratio of equity to maintenance margin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.margin.brackets import Brackets
from crossmargin.margin.debts import Debts
from crossmargin.margin.grouped import ByGroup
from crossmargin.margin.model import Portfolios, Terms
from crossmargin.margin.parameters import check_classes
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.ragged import group_sums
from crossmargin.units import IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Unified(WholePoolModel):
    """Futures by leverage brackets and debts by rate, held against all equity of the account.

        margin = sum over positions of (notional x rate - amount) + sum over debts of their charge
        MM = liquidation_ratio x margin
        IM = max( sum of the brackets' initial margin + charge of the debts, restricted_ratio x margin, MM )

    A venue of this kind states the ratio equity / margin: at `liquidation_ratio` it liquidates, at `restricted_ratio`
    it lets positions shrink only. Options are refused.

    Claims P1, P4 with equality but for debts of one asset, which net, P7, P10 (a deposit changes nothing unless it
    repays a debt), P11, P12, P13 and the first half of P14. Not P2, P3 and the second half of P14: brackets are
    convex in size. P5, P6 and P8 do not apply: no offsets, scenarios or options.
    """

    brackets: Brackets
    borrow_ladder: ByGroup
    """Ladder of rates over a debt's value in the reporting currency, by asset."""
    liquidation_ratio: float = 1.05
    restricted_ratio: float = 1.20

    def __post_init__(self) -> None:
        check_classes("borrow_ladder", self.borrow_ladder.by_class)
        if not 1 <= self.liquidation_ratio < np.inf:
            raise InvalidRules("liquidation_ratio", f"{self.liquidation_ratio:g}", "1 or more")
        if not self.liquidation_ratio <= self.restricted_ratio < np.inf:
            raise InvalidRules(
                "restricted_ratio",
                f"{self.restricted_ratio:g}",
                f"liquidation_ratio, {self.liquidation_ratio:g}, or more",
            )

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the instrument numbers of the options held."""
        return self.brackets.refused(portfolios)

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return what each pool owes: positions, debts, and what the liquidation ratio adds."""
        pools = portfolios.pools
        maintenance, initial = self.brackets.charges(portfolios)
        debt, of_balance = Debts.of(portfolios).charges(portfolios, self.borrow_ladder)
        positions = group_sums(pools.leg_pool, maintenance, pools.count)
        at_first = group_sums(pools.leg_pool, initial, pools.count) + debt
        margin, ratio, everybody = positions + debt, self.liquidation_ratio, np.arange(pools.count)
        terms = Terms.of(
            [
                ("brackets", everybody, positions),
                ("borrowing", everybody, debt),
                ("liquidation ratio", everybody, (ratio - 1.0) * margin),
            ],
            pools.count,
        )
        return PoolCharges(
            terms=terms,
            initial=np.maximum(at_first, self.restricted_ratio * margin),
            leg_share=ratio * maintenance,
            balance_share=ratio * of_balance,
        )
