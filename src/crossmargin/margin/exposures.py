"""Exposures: pools as rows of a risk array, and what may be left out of them.

What is owned outright (positive balances, long options) can lose no more than it counts. So a requirement is the
least, over sets W of things owned outright, of the requirement of all but W plus the counted value of W.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numba import njit

from crossmargin.margin.model import Portfolios
from crossmargin.ragged import group_sums, starts
from crossmargin.units import BoolArray, FloatArray, IntArray


class LeftOut(IntEnum):
    """The sets W that are tried; each is a bit of `Exposures.left_out`."""

    NOTHING = 0
    LONG_OPTIONS = 1
    BALANCES = 2
    EVERYTHING = 3
    DEARER_THAN_WORTH = 4
    """Everything whose own requirement exceeds its counted value."""
    DEARER_THAN_WORTH_INITIAL = 5
    """The same for initial margin: whose own requirement times the initial factor exceeds it."""


SETS = len(LeftOut)
_FOR_MAINTENANCE = [w for w in LeftOut if w != LeftOut.DEARER_THAN_WORTH_INITIAL]
_FOR_INITIAL = [w for w in LeftOut if w != LeftOut.DEARER_THAN_WORTH]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskTable:
    """P&L of one unit of everything a portfolio holds, in blocks; S scenarios a block.

    The worst case of each block is taken on its own: a group of a grid, or the one block of a joint history. Rows
    of contracts are per contract; rows of assets are relative, per unit of value.
    """

    pnl: FloatArray
    """(rows, S) in the reporting currency; a loss is negative."""
    block: IntArray
    """(rows,)"""
    weight: FloatArray
    """(S,) share of a scenario's loss that counts."""
    of_contract: IntArray
    """(valuation rows,) row of a contract; -1 where nothing moves it."""
    of_settlement: IntArray
    """(valuation rows,) second row, of a contract whose settle asset moves in another block; -1 elsewhere."""
    of_asset: IntArray
    """(assets,) row of an asset; -1 where it does not move."""
    of_gain: IntArray
    """(assets,) row of an asset's gains alone."""
    blocks: tuple[str, ...]
    """Names of the blocks."""
    scenario_name: Callable[[int, int], str]
    """(block, scenario) -> readable name."""
    measure: Callable[[FloatArray], FloatArray] | None = None
    """Losses (n, S) -> what a block is reduced to, (n,); None: the worst weighted loss."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """Rows (pool, block, risk row, amount), sorted by pool, then block; E of them.

    A holding is a leg (number below L) or a balance (L + its number).
    """

    start: IntArray
    """(P + 1,)"""
    block: IntArray
    row: IntArray
    """(E,) row of the table."""
    amount: FloatArray
    """(E,) contracts, or reporting-currency value for rows of assets."""
    holding: IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Owned:
    """What may be left out of pools: the sets W of things owned outright, and what they count."""

    counted: FloatArray
    """(P, SETS) counted value of what each set leaves out, in the reporting currency."""
    counted_of_holding: FloatArray
    """(L + B,) counted value of what is owned outright; 0 for everything else."""
    holding_left_out: IntArray
    """(L + B,) bit w is set where the holding is left out of set w."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Exposures(Rows):
    """The rows of pools in a risk table, and what may be left out of them."""

    table: RiskTable
    owned: Owned
    left_out: IntArray
    """(E,) bits as in `Owned.holding_left_out`."""


def exposures(portfolios: Portfolios, table: RiskTable, initial_factor: FloatArray) -> Exposures:
    """Return the exposures of pools to a risk table.

    `initial_factor` (P,) is k, for the set of what is dearer than it is worth under initial margin.
    """
    pools = portfolios.pools
    rows = exposed_rows(portfolios, table)
    own = needed_alone(rows, table, len(portfolios.leg_row) + len(portfolios.balance_price))
    k = initial_factor[np.concatenate((pools.leg_pool, pools.balance_pool))]
    owned = owned_sets(portfolios, rows, own, k * own)
    return Exposures(
        table=table,
        start=rows.start,
        block=rows.block,
        row=rows.row,
        amount=rows.amount,
        holding=rows.holding,
        owned=owned,
        left_out=owned.holding_left_out[rows.holding],
    )


def exposed_rows(portfolios: Portfolios, table: RiskTable) -> Rows:
    """Return what pools have in each row of a risk table.

    Legs are exposed where their underlying or their settle asset moves; unsettled P&L and balances where their
    asset moves. The uncounted rest of a balance gains with its asset and never loses.
    """
    pools, valuation = portfolios.pools, portfolios.valuation
    legs, balances = len(portfolios.leg_row), len(portfolios.balance_price)
    leg_pool, balance_pool = pools.leg_pool, pools.balance_pool
    settle = valuation.catalogue.settle[pools.leg_instrument]
    leg, balance = np.arange(legs), np.arange(legs, legs + balances)
    entry_value = -portfolios.entry_value * portfolios.legs(valuation.settle_fx)
    pool, row, amount, holding = (
        np.concatenate(columns)
        for columns in zip(
            (leg_pool, table.of_contract[portfolios.leg_row], portfolios.quantity, leg),
            (leg_pool, table.of_settlement[portfolios.leg_row], portfolios.quantity, leg),
            (leg_pool, table.of_asset[settle], entry_value, leg),
            (balance_pool, table.of_asset[pools.balance_asset], portfolios.counted_value, balance),
            (balance_pool, table.of_gain[pools.balance_asset], portfolios.rest * portfolios.balance_price, balance),
            strict=True,
        )
    )
    moving = np.flatnonzero((row >= 0) & (amount != 0.0))
    pool, row, amount, holding = pool[moving], row[moving], amount[moving], holding[moving]
    block = table.block[row]
    order = np.lexsort((holding, block, pool))
    return Rows(
        start=starts(pool[order], pools.count),
        block=block[order],
        row=row[order],
        amount=amount[order],
        holding=holding[order],
    )


def needed_alone(rows: Rows, table: RiskTable, holdings: int) -> FloatArray:
    """Return what each holding needs on its own, row by row, (L + B,): right for what is owned, whose amounts are
    positive; meaningless for the rest."""
    if table.measure is None:
        unit = np.asarray(worst_of_rows(rows.row, table.pnl, table.weight))
    else:
        used, at = np.unique(rows.row, return_inverse=True)
        unit = np.maximum(table.measure(-table.pnl[used]), 0.0)[at]
    return group_sums(rows.holding, rows.amount * unit, holdings)


def owned_sets(portfolios: Portfolios, rows: Rows, own: FloatArray, own_initial: FloatArray) -> Owned:
    """Return the sets W. `own`, `own_initial` (L + B,) are what each holding needs alone, of MM and of IM."""
    pools = portfolios.pools
    legs, balances = len(portfolios.leg_row), len(portfolios.balance_price)
    is_long_option = portfolios.is_option & (portfolios.quantity > 0)
    counted = np.zeros(legs + balances)
    counted[:legs] = np.where(is_long_option, portfolios.leg_value, 0.0)
    counted[legs:] = np.maximum(portfolios.counted_value, 0.0)
    owned_balance = np.concatenate((np.zeros(legs, dtype=np.bool_), pools.balance_amount > 0))
    # Collateral that no scenario moves needs no leaving out: it would only add its value.
    exposed = np.zeros(legs + balances, dtype=np.bool_)
    exposed[rows.holding] = True
    owned_balance &= exposed
    owned_option = np.concatenate((is_long_option, np.zeros(balances, dtype=np.bool_)))
    owned = owned_balance | owned_option
    bits = np.zeros(legs + balances, dtype=np.int64)
    for which, chosen in (
        (LeftOut.LONG_OPTIONS, owned_option),
        (LeftOut.BALANCES, owned_balance),
        (LeftOut.EVERYTHING, owned),
        (LeftOut.DEARER_THAN_WORTH, owned & (own > counted)),
        (LeftOut.DEARER_THAN_WORTH_INITIAL, owned & (own_initial > counted)),
    ):
        bits |= chosen.astype(np.int64) << int(which)
    everybody = np.concatenate((pools.leg_pool, pools.balance_pool))
    left = np.stack(
        [
            group_sums(everybody, np.where((bits >> int(w)) & 1, counted, 0.0), pools.count)
            if w
            else np.zeros(pools.count)
            for w in LeftOut
        ],
        axis=1,
    )
    return Owned(counted=np.ascontiguousarray(left), counted_of_holding=counted, holding_left_out=bits)


@njit(cache=True)
def worst_of_rows(rows: IntArray, pnl: FloatArray, weight: FloatArray) -> FloatArray:
    """Return the weighted worst loss of one long unit of each of `rows`, shape (n,), 0 or more."""
    worst = np.zeros(len(rows))
    for i in range(len(rows)):
        for s in range(pnl.shape[1]):
            worst[i] = max(worst[i], -pnl[rows[i], s] * weight[s])
    return worst


def least(losses: FloatArray, counted: FloatArray, factor: FloatArray, *, initial: bool) -> tuple[FloatArray, IntArray]:
    """Return (the least of factor x loss + counted over the sets, its set), each shape (P,)."""
    allowed = np.array([int(w) for w in (_FOR_INITIAL if initial else _FOR_MAINTENANCE)])
    total = factor[:, None] * losses[:, allowed] + counted[:, allowed]
    chosen = np.argmin(total, axis=1)
    return total[np.arange(len(total)), chosen], allowed[chosen]


@njit(cache=True)
def block_worst_losses(
    start: IntArray,
    block: IntArray,
    row: IntArray,
    amount: FloatArray,
    left_out: IntArray,
    pnl: FloatArray,
    weight: FloatArray,
    sets: int,
) -> FloatArray:
    """Return the sum over blocks of the worst weighted loss of each pool and set, shape (P, sets).

    Sums run in row order, so a pool's number does not depend on the pools beside it.
    """
    pools = len(start) - 1
    scenarios = pnl.shape[1]
    losses = np.empty((pools, sets))
    loss = np.empty(scenarios)
    for p in range(pools):
        present = 0
        for e in range(start[p], start[p + 1]):
            present |= left_out[e]
        for w in range(sets):
            if w > 0 and not (present >> w) & 1:
                losses[p, w] = losses[p, 0]
                continue
            total = 0.0
            e, end = start[p], start[p + 1]
            while e < end:
                b = block[e]
                loss[:] = 0.0
                while e < end and block[e] == b:
                    if not (left_out[e] >> w) & 1:
                        a, r = amount[e], row[e]
                        for s in range(scenarios):
                            loss[s] -= a * pnl[r, s]
                    e += 1
                worst = 0.0
                for s in range(scenarios):
                    worst = max(worst, loss[s] * weight[s])
                total += worst
            losses[p, w] = total
    return losses


@njit(cache=True)
def block_worst_scenarios(
    start: IntArray,
    block: IntArray,
    row: IntArray,
    amount: FloatArray,
    left_out: IntArray,
    pnl: FloatArray,
    weight: FloatArray,
    chosen: IntArray,
) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
    """Return the worst scenario of every row's pool and block under the pool's chosen set.

    Shapes (E,): first row of the segment (pool, block) each row is in; its worst scenario, -1 where nothing is
    lost; its weighted loss; each row's share of that loss.
    """
    rows, scenarios = len(row), pnl.shape[1]
    segment, which = np.empty(rows, np.int64), np.full(rows, -1, np.int64)
    worst, share = np.zeros(rows), np.zeros(rows)
    loss = np.empty(scenarios)
    for p in range(len(start) - 1):
        w = chosen[p]
        e, end = start[p], start[p + 1]
        while e < end:
            b, first = block[e], e
            loss[:] = 0.0
            while e < end and block[e] == b:
                if not (left_out[e] >> w) & 1:
                    a, r = amount[e], row[e]
                    for s in range(scenarios):
                        loss[s] -= a * pnl[r, s]
                e += 1
            most, at = 0.0, -1
            for s in range(scenarios):
                if loss[s] * weight[s] > most:
                    most, at = loss[s] * weight[s], s
            for i in range(first, e):
                segment[i], which[i], worst[i] = first, at, most
                if at >= 0 and not (left_out[i] >> w) & 1:
                    share[i] = -amount[i] * pnl[row[i], at] * weight[at]
    return segment, which, worst, share


def members(bits: IntArray, chosen: IntArray) -> BoolArray:
    """Return where bit `chosen` of `bits` is set, element by element."""
    return np.asarray((bits >> chosen) & 1, dtype=np.bool_)


def owned_terms(
    portfolios: Portfolios, owned: Owned, chosen: IntArray
) -> tuple[FloatArray, list[tuple[str, IntArray, FloatArray]]]:
    """Return what the chosen sets leave out at its counted value: by holding (L + B,), and as named terms."""
    pools = portfolios.pools
    legs = len(portfolios.leg_row)
    pool = np.concatenate((pools.leg_pool, pools.balance_pool))
    out = members(owned.holding_left_out, chosen[pool]) & (chosen[pool] > 0)
    left = np.where(out, owned.counted_of_holding, 0.0)
    everybody = np.arange(pools.count)
    by_leg = group_sums(pools.leg_pool, left[:legs], pools.count)
    by_balance = group_sums(pools.balance_pool, left[legs:], pools.count)
    return left, [
        ("long options at their value", everybody, by_leg),
        ("collateral at its counted value", everybody, by_balance),
    ]
