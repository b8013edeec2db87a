"""What every group of a pool would need on its own: what offsets between groups save."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crossmargin.book import Pools
from crossmargin.ragged import group_sums, starts
from crossmargin.standing.standing import Standing
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class GroupMargins:
    """Maintenance margin of each group of each pool alone, by pool, then group; N of them.

    A group is an underlying with everything that must offset it fully. A position is in the group of its underlying,
    whatever it settles in; a balance in that of its asset.
    """

    pool: IntArray
    """(N,)"""
    group: IntArray
    """(N,) number of the asset the group is named for."""
    maintenance: FloatArray
    """(N,) in the reporting currency."""
    total: FloatArray
    """(pools,) the sum over the groups of each pool."""


def group_margins(standing: Standing) -> GroupMargins:
    """Return what each pool would need if its groups were margined apart, at its owner's size in each market."""
    pools, portfolios, catalogue = standing.pools, standing.portfolios, standing.valuation.catalogue
    of_asset = np.array([catalogue.asset_number[asset.group] for asset in catalogue.assets], dtype=np.int64)
    count = len(of_asset)
    leg_key = pools.leg_pool * count + of_asset[catalogue.underlying[pools.leg_instrument]]
    balance_key = pools.balance_pool * count + of_asset[pools.balance_asset]
    keys, part = np.unique(np.concatenate((leg_key, balance_key)), return_inverse=True)
    leg, balance = (np.argsort(rows, kind="stable") for rows in (part[: len(leg_key)], part[len(leg_key) :]))
    of = keys // count
    apart = Pools(
        credit=pools.credit[of],
        isolated=pools.isolated[of],
        owner=pools.owner[of],
        leg_start=starts(part[: len(leg_key)], len(keys)),
        leg_instrument=pools.leg_instrument[leg],
        leg_quantity=pools.leg_quantity[leg],
        leg_priced=pools.leg_priced[leg],
        leg_entry_value=pools.leg_entry_value[leg],
        balance_start=starts(part[len(leg_key) :], len(keys)),
        balance_asset=pools.balance_asset[balance],
        balance_amount=pools.balance_amount[balance],
        balance_location=pools.balance_location[balance],
        balance_fenced=pools.balance_fenced[balance],
    )
    # Collateral counts what it counts in the pool; open orders are a matter of initial margin.
    parts = replace(
        portfolios,
        pools=apart,
        leg_row=portfolios.leg_row[leg],
        entry_value=portfolios.entry_value[leg],
        balance_price=portfolios.balance_price[balance],
        counted=portfolios.counted[balance],
        rest=portfolios.rest[balance],
        credit_factor=portfolios.credit_factor[of],
        orders=None,
    )
    model = standing.rules.model
    maintenance, _ = model.totals(model.ingredients(parts), parts.credit_factor)
    return GroupMargins(
        pool=of, group=keys % count, maintenance=maintenance, total=group_sums(of, maintenance, pools.count)
    )
