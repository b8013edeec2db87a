"""Open orders: what the fills that hurt most would add to a loss, scenario by scenario. Initial margin only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numba import njit

from crossmargin.book import Order
from crossmargin.errors import InvalidBook
from crossmargin.instruments import KINDS, Catalogue
from crossmargin.margin.exposures import RiskTable
from crossmargin.pricing import Valuation
from crossmargin.ragged import group_sums, owners, slices, starts
from crossmargin.units import BoolArray, FloatArray, IntArray

_SPOT, _OPTION = KINDS.index("spot"), KINDS.index("option")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpenOrders:
    """Orders as columns, in the order they were given; O of them."""

    pool: IntArray
    instrument: IntArray
    """(O,) instrument number in the catalogue."""
    quantity: FloatArray
    """(O,) signed contracts, a buy positive."""
    limit: FloatArray
    """(O,) in the unit of the mark."""
    reduce_only: BoolArray
    uncounted: FloatArray
    """(O,) fraction of bought spot that will not count as collateral; 0 for everything else."""

    @classmethod
    def of(
        cls,
        orders: Sequence[Order],
        catalogue: Catalogue,
        *,
        account: Mapping[str, int],
        pool_of_account: IntArray,
        uncounted: FloatArray | None = None,
    ) -> OpenOrders:
        """Return the columns of a book's orders: those of an account are in the pool of its cross positions.

        Raises InvalidBook for a limit of 0 or less on a contract whose price must be positive.
        """
        instrument = np.array([catalogue.number[order.symbol] for order in orders], dtype=np.int64)
        limit = np.array([order.limit for order in orders], dtype=np.float64)
        for k in np.flatnonzero((limit <= 0.0) & ~catalogue.any_domain[instrument]).tolist():
            raise InvalidBook(
                f"orders[{k}] of {orders[k].account} in {orders[k].symbol}, limit",
                f"{limit[k]:g}",
                'a price above 0, or an instrument of price_domain "any"',
            )
        return cls(
            pool=pool_of_account[np.array([account[order.account] for order in orders], dtype=np.int64)],
            instrument=instrument,
            quantity=np.array([order.quantity for order in orders], dtype=np.float64),
            limit=limit,
            reduce_only=np.array([order.reduce_only for order in orders], dtype=np.bool_),
            uncounted=np.zeros(len(orders)) if uncounted is None else uncounted,
        )

    def of_pools(self, chosen: IntArray) -> OpenOrders:
        """Return the orders of the pools `chosen`, numbered in that order; of a pool chosen twice they come twice."""
        order = np.argsort(self.pool, kind="stable")
        count = max(int(self.pool.max(initial=-1)), int(chosen.max(initial=-1))) + 1
        rows, start = slices(starts(self.pool[order], count), chosen)
        rows = order[rows]
        return OpenOrders(
            pool=owners(start),
            instrument=self.instrument[rows],
            quantity=self.quantity[rows],
            limit=self.limit[rows],
            reduce_only=self.reduce_only[rows],
            uncounted=self.uncounted[rows],
        )

    def paid(self, catalogue: Catalogue) -> FloatArray:
        """Return what each fill pays away at its limit, in the settle asset, (O,); a sale receives: negative.

        quantity x contract size x limit; for inverse futures and perpetuals -quantity x size / limit.
        """
        k = self.instrument
        reciprocal = catalogue.inverse[k] & (catalogue.kind[k] != _OPTION)
        unit = np.where(reciprocal, -1.0 / np.where(reciprocal, self.limit, 1.0), self.limit)
        return np.asarray(self.quantity * catalogue.contract_size[k] * unit, dtype=np.float64)

    def costs(self, valuation: Valuation, *, option_value_counts: bool = True) -> FloatArray:
        """Return what each fill takes from the margin balance at once, (O,), in the reporting currency, 0 or more.

        max(0, what is paid at the limit - what it is worth at the mark): a limit better than the mark is no gain.
        `option_value_counts` False (option_value = "excluded"): an option bought costs its whole premium, one sold
        nothing. Bought spot is worth what of it will count. Reduce-only: 0.
        `valuation` has a row for every instrument of the catalogue.
        """
        terms, k = valuation.catalogue, self.instrument
        worth = np.where(
            (terms.kind[k] == _OPTION) & (not option_value_counts), 0.0, self.quantity * valuation.unit_value[k]
        )
        bought = (terms.kind[k] == _SPOT) & (self.quantity > 0.0)
        worth = np.where(bought, worth * (1.0 - self.uncounted), worth)
        cost = np.maximum(self.paid(terms) - worth, 0.0) * valuation.settle_fx[k]
        return np.where(self.reduce_only, 0.0, cost)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OrderLosses:
    """What open orders add to pools; N segments (pool, block), sorted, of pools that have orders."""

    pool: IntArray
    block: IntArray
    """(N,) as in the risk table."""
    loss: FloatArray
    """(N, S) sum over orders of max(0, -o . R_s), to be added to the pool's loss in the block before the reducer."""
    cost: FloatArray
    """(P,) adverse limit-to-mark cost and premium, to be added to initial margin as it is."""


def order_losses(
    orders: OpenOrders,
    table: RiskTable,
    valuation: Valuation,
    *,
    pools: int,
    option_value_counts: bool = True,
) -> OrderLosses:
    """Return what open orders add to the losses of `pools` pools in every scenario: L_s + sum of max(0, -o . R_s).

    A fill swaps what is paid at the limit for contracts, so o . R_s is the P&L of the contracts less that of the
    money paid where the settle asset moves. Reduce-only orders add nothing. Everything is in the reporting
    currency, a loss positive. `table` has rows for the instruments of the orders (spot: of its underlying), and
    `valuation` a row for every instrument of the catalogue; arguments as in `OpenOrders.costs`.

    Claims. In each scenario the sum is the worst over all subsets of orders that may fill. For a reducer that is a
    maximum over scenarios the requirement is therefore exact, the largest over all subsets; so it is over several
    blocks if each order moves in one. For an expected shortfall, and for an order in two blocks, it is an upper
    bound: different scenarios may suppose different fills. The cost is added for every order: an upper bound.
    """
    terms = valuation.catalogue
    live = np.flatnonzero(~orders.reduce_only & (orders.quantity != 0.0))
    k, quantity = orders.instrument[live], orders.quantity[live]
    spot = terms.kind[k] == _SPOT
    straight, outright = live[~spot], live[spot]
    assert (table.of_contract[orders.instrument[straight]] >= 0).all(), "the risk table has a row for every order"
    paid = -orders.paid(terms)[live] * valuation.settle_fx[k]
    settle, coin = terms.settle[k], terms.underlying[orders.instrument[outright]]
    coins = orders.quantity[outright] * (valuation.unit_value * valuation.settle_fx)[orders.instrument[outright]]
    order = np.concatenate((straight, straight, live, outright))
    row = np.concatenate(
        (
            table.of_contract[orders.instrument[straight]],
            table.of_settlement[orders.instrument[straight]],
            table.of_asset[settle],
            table.of_asset[coin],
        )
    )
    amount = np.concatenate((quantity[~spot], quantity[~spot], paid, coins))
    moving = np.flatnonzero(row >= 0)
    order, row, amount = order[moving], row[moving], amount[moving]
    pool, block = orders.pool[order], table.block[row]
    by = np.lexsort((order, block, pool))
    order, row, amount, pool, block = order[by], row[by], amount[by], pool[by], block[by]

    def changes(*columns: IntArray) -> BoolArray:
        new = np.zeros(len(order), dtype=np.bool_)
        new[:1] = True
        for column in columns:
            new[1:] |= np.diff(column) != 0
        return new

    new_segment = changes(pool, block)
    new_order = new_segment | changes(order)
    segment = np.cumsum(new_segment) - 1
    costs = orders.costs(valuation, option_value_counts=option_value_counts)
    return OrderLosses(
        pool=pool[new_segment],
        block=block[new_segment],
        loss=_worst_fills(
            starts(segment[new_order], int(new_segment.sum())),
            starts(np.cumsum(new_order) - 1, int(new_order.sum())),
            row,
            amount,
            table.pnl,
        ),
        cost=group_sums(orders.pool, costs, pools),
    )


@njit(cache=True)
def _worst_fills(segment: IntArray, order: IntArray, row: IntArray, amount: FloatArray, pnl: FloatArray) -> FloatArray:
    """Return the sum over the orders of each segment of their loss where they lose, (N, S)."""
    scenarios = pnl.shape[1]
    loss = np.zeros((len(segment) - 1, scenarios))
    own = np.empty(scenarios)
    for n in range(len(segment) - 1):
        for o in range(segment[n], segment[n + 1]):
            own[:] = 0.0
            for e in range(order[o], order[o + 1]):
                a, r = amount[e], row[e]
                for s in range(scenarios):
                    own[s] -= a * pnl[r, s]
            for s in range(scenarios):
                loss[n, s] += max(own[s], 0.0)
    return loss
