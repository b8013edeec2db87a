"""What every position would need on its own: the yardstick of what cross margin saves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from crossmargin.book import Pools
from crossmargin.instruments import KINDS
from crossmargin.ragged import group_sums, starts
from crossmargin.standing.standing import Standing, entry_values, portfolios_of
from crossmargin.units import FloatArray

_SPOT = KINDS.index("spot")


def isolated_margins(standing: Standing) -> FloatArray:
    """Return, by account, the maintenance margin of each cross position alone plus that of its balances alone."""
    book, pools, where = standing.book, standing.pools, standing.where
    positions, accounts = book.positions, len(book.accounts)
    alone = np.flatnonzero((book.catalogue.kind[positions.instrument] != _SPOT) & ~positions.isolated)
    rows = np.flatnonzero(where.balance_of_row >= 0)
    balance = where.balance_of_row[rows]
    legs, count = len(alone), len(alone) + accounts
    owner = np.concatenate((positions.account[alone], np.arange(accounts)))
    apart = Pools(
        credit=book.accounts.credit[owner],
        isolated=np.arange(count) < legs,
        owner=pools.owner[where.of_account[owner]],
        leg_start=np.minimum(np.arange(count + 1), legs),
        leg_instrument=positions.instrument[alone],
        leg_quantity=positions.quantity[alone],
        leg_priced=positions.priced[alone],
        leg_entry_value=positions.entry_value[alone],
        balance_start=starts(legs + book.balances.account[rows], count),
        balance_asset=pools.balance_asset[balance],
        balance_amount=pools.balance_amount[balance],
        balance_location=pools.balance_location[balance],
        balance_fenced=pools.balance_fenced[balance],
    )
    portfolios, _ = portfolios_of(
        apart,
        standing.valuation,
        apart.leg_instrument,
        entry_value=entry_values(apart, standing.valuation),
        balance_price=standing.valuation.fx[apart.balance_asset],
        weight=standing.weight[balance],
        rules=standing.rules,
        locations=book.locations,
    )
    # The market is as deep as it is, however an account is margined: owners keep their size.
    portfolios = replace(portfolios, whole_book=standing.portfolios.whole_book)
    model = standing.rules.model
    maintenance, _ = model.totals(model.ingredients(portfolios), portfolios.credit_factor)
    return group_sums(owner, maintenance, accounts)
