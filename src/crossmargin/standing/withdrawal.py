"""What can be taken out: settled balances, as far as initial margin stays covered by settled money."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.ragged import group_sums, slices
from crossmargin.standing.hypothetical import Hypothetical
from crossmargin.standing.standing import Standing
from crossmargin.units import FloatArray, IntArray

_POINTS = 48
_BISECTIONS = 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Withdrawable:
    """What each holder can take out. A holder is an account, or a pool of several accounts."""

    total: FloatArray
    """(holders,) value after haircut, in the reporting currency."""
    holder: IntArray
    asset: IntArray
    quantity: FloatArray
    """(rows,) units of the asset if it alone were withdrawn."""


def withdrawable(standing: Standing, pool: IntArray, owner: IntArray, row: IntArray) -> Withdrawable:
    """Return what each of H holders can withdraw.

    `pool` (H,) is where each holder is margined; `row` (numbers of settled balances in the standing's pools) belong
    to the holders `owner`. An asset can be taken out as far as, at every amount from 0 to there, margin_balance less
    the positive unrealized P&L of every instrument covers initial margin, and no balance falls below 0. The total
    takes the reporting currency first, then the assets by haircut, then by name.
    """
    pools = standing.pools
    assets = len(standing.valuation.catalogue.assets)
    headroom = _headroom(standing)[pool]
    able = (headroom > 0) & ((standing.margin_balance - standing.initial_margin)[pool] > 0)
    keep = (pools.balance_amount[row] > 0) & able[owner]
    owner, row = owner[keep], row[keep]
    key, group = np.unique(owner * assets + pools.balance_asset[row], return_inverse=True)
    holder, asset = key // assets, key % assets
    count = len(key)

    owned = group_sums(group, pools.balance_amount[row], count)
    price = standing.portfolios.balance_price[row]
    market_value = group_sums(group, pools.balance_amount[row] * price, count)
    counted_value = group_sums(group, standing.counted.counted[row] * price, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        haircut = np.where(market_value > 0, 1.0 - counted_value / market_value, 1.0)

    none = np.zeros(0, dtype=np.int64)
    # Cash without haircut moves margin_balance one for one and no requirement: no search, no rounding.
    cash = (asset == standing.valuation.currency) & (counted_value == owned)
    alone = np.minimum(1.0, headroom[holder] / owned)
    other = np.flatnonzero(~cash)
    searched = np.flatnonzero(~cash[group])
    target = (np.searchsorted(other, group[searched]), row[searched])
    alone[other] = _Taking(
        standing, pool[holder[other]], asset[other], target, (none, none), whole=False
    ).largest_share()

    order = np.lexsort((asset, haircut, asset != standing.valuation.currency, holder))
    rank = np.arange(count) - np.searchsorted(holder[order], holder[order])
    total = np.zeros(len(pool))
    going = order[rank == 0]
    total[holder[going]] = alone[going] * counted_value[going]
    gone = going[alone[going] >= 1.0]
    for k in range(1, int(rank.max(initial=0)) + 1):
        # The next asset is reached only by holders whose assets before it can all go entirely.
        going = order[rank == k]
        going = np.sort(going[np.isin(holder[going], holder[gone])])
        if not len(going):
            break
        before = np.isin(group, gone) & np.isin(owner, holder[going])
        mine = np.isin(group, going)
        place = np.searchsorted(holder[going], owner)
        taking = _Taking(
            standing,
            pool[holder[going]],
            asset[going],
            (place[mine], row[mine]),
            (place[before], row[before]),
            whole=True,
        )
        share = taking.largest_share()
        total[holder[going]] += share * counted_value[going]
        through = going[share >= 1.0]
        gone = np.concatenate((gone[np.isin(holder[gone], holder[through])], through))
    return Withdrawable(total=total, holder=holder, asset=asset, quantity=owned * alone)


def _headroom(standing: Standing) -> FloatArray:
    """Return margin_balance - positive unrealized P&L of each instrument - initial margin of each pool, (P,)."""
    portfolios, pools = standing.portfolios, standing.pools
    entry = portfolios.entry_value * portfolios.legs(standing.valuation.settle_fx)
    gain = np.where(portfolios.is_option, 0.0, np.maximum(portfolios.leg_value - entry, 0.0))
    return standing.margin_balance - group_sums(pools.leg_pool, gain, pools.count) - standing.initial_margin


class _Taking:
    """N takings: of each, a share of some balance rows leaves a pool that some other rows have left already."""

    def __init__(
        self,
        standing: Standing,
        pool: IntArray,
        asset: IntArray,
        target: tuple[IntArray, IntArray],
        gone: tuple[IntArray, IntArray],
        *,
        whole: bool,
    ) -> None:
        """`target` and `gone` are (taking, balance row) columns."""
        self.small = Hypothetical(standing, pool, asset, whole=whole, orders=True)
        self.count = len(pool)
        self.held_back = (_headroom(standing) + standing.initial_margin - standing.margin_balance)[pool]
        everybody, row = self.small.balances(np.arange(self.count))
        rows = len(standing.pools.balance_amount)
        key = everybody * rows + row
        self.is_target = np.isin(key, target[0] * rows + target[1])
        self.amount = np.where(np.isin(key, gone[0] * rows + gone[1]), 0.0, standing.pools.balance_amount[row])

    def covered(self, taking: IntArray, share: FloatArray) -> FloatArray:
        """Return by how much settled money covers initial margin once `share` is taken, (states,)."""
        chosen, start = slices(self.small.pools.balance_start, taking)
        state_share = np.repeat(share, np.diff(start))
        amount = self.amount[chosen] * np.where(self.is_target[chosen], 1.0 - state_share, 1.0)
        figures = self.small.at(taking, np.zeros(len(taking)), amount)
        return figures.margin_balance + self.held_back[taking] - figures.initial

    def largest_share(self) -> FloatArray:
        """Return the largest share that can go at once and in parts, (N,): covered at every share up to it."""
        if not self.count:
            return np.zeros(0)
        grid = np.linspace(0.0, 1.0, _POINTS + 1)
        taking = np.repeat(np.arange(self.count), len(grid))
        fails = (self.covered(taking, np.tile(grid, self.count)) < 0.0).reshape(self.count, -1)
        some = fails.any(axis=1)
        first = np.argmax(fails, axis=1)
        low = np.where(some, grid[np.maximum(first - 1, 0)], 1.0)
        high = np.where(some, grid[first], 1.0)
        high[fails[:, 0]] = low[fails[:, 0]] = 0.0
        active = np.flatnonzero(low < high)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low[active] + high[active])
            inside = (middle > low[active]) & (middle < high[active])
            active, middle = active[inside], middle[inside]
            if not len(active):
                break
            good = self.covered(active, middle) >= 0.0
            low[active[good]] = middle[good]
            high[active[~good]] = middle[~good]
        return low
