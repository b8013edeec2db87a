"""Pools: what is margined as one. Everything downstream of the book knows pools only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from crossmargin.book.book import Book
from crossmargin.book.columns import Accounts
from crossmargin.instruments import KINDS
from crossmargin.ragged import group_sums, owners, slices, starts
from crossmargin.units import BoolArray, FloatArray, IntArray

_SPOT = KINDS.index("spot")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Pools:
    """Pools as ragged columns: the legs (netted positions) and the balances of each.

    The pools of several accounts come first, then the accounts that stand alone, then the isolated positions.
    In a leg the positions of all members in one instrument have become one quantity.
    """

    credit: IntArray
    """(pools,) strictest credit tier of the members."""
    isolated: BoolArray
    """(pools,) True for an isolated position with its ring-fenced collateral."""
    owner: IntArray
    """(pools,) number of the owner, equal for all pools of one owner; see `owner_numbers`."""
    leg_start: IntArray
    leg_instrument: IntArray
    """(legs,) instrument number in the catalogue, rising within a pool."""
    leg_quantity: FloatArray
    leg_priced: FloatArray
    leg_entry_value: FloatArray
    """(legs,) sums over members; see `Positions`."""
    balance_start: IntArray
    balance_asset: IntArray
    balance_amount: FloatArray
    """(balances,) final balances only."""
    balance_location: IntArray
    balance_fenced: BoolArray
    """(balances,) True for the collateral of an isolated position: in the asset its contract settles in."""

    @property
    def count(self) -> int:
        """How many pools there are."""
        return len(self.credit)

    @property
    def leg_pool(self) -> IntArray:
        """Pool number of each leg."""
        return owners(self.leg_start)

    @property
    def balance_pool(self) -> IntArray:
        """Pool number of each balance."""
        return owners(self.balance_start)

    def take(self, chosen: IntArray) -> Pools:
        """Return the pools `chosen`, in that order; a pool chosen twice becomes two."""
        legs, leg_start = slices(self.leg_start, chosen)
        rows, balance_start = slices(self.balance_start, chosen)
        return replace(
            self,
            credit=self.credit[chosen],
            isolated=self.isolated[chosen],
            owner=self.owner[chosen],
            leg_start=leg_start,
            leg_instrument=self.leg_instrument[legs],
            leg_quantity=self.leg_quantity[legs],
            leg_priced=self.leg_priced[legs],
            leg_entry_value=self.leg_entry_value[legs],
            balance_start=balance_start,
            balance_asset=self.balance_asset[rows],
            balance_amount=self.balance_amount[rows],
            balance_location=self.balance_location[rows],
            balance_fenced=self.balance_fenced[rows],
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PoolMap:
    """How the rows of a book lie in its pools: -1 where a row is in none."""

    of_account: IntArray
    """(accounts,) the pool of each account's cross positions and balances."""
    of_position: IntArray
    """(positions,)"""
    leg_of_position: IntArray
    """(positions,) -1 for spot: it is in the balances."""
    balance_of_row: IntArray
    """(book balances,) row in `Pools`; -1 for pending balances."""
    members: IntArray
    """(pools,) how many accounts share it; 0 for isolated positions."""


def owner_numbers(accounts: Accounts, groups: Mapping[str, str] | None = None) -> IntArray:
    """Return the number of the owner of each account, (accounts,).

    Owners who share a pool stand for each other, so they are one owner wherever their size counts, and so are owners
    of one group of companies: `groups` has the group by the name of an owner. Names and order decide nothing.
    """
    known = groups or {}
    names = [known.get(name, name) for name in accounts.owners] if known else accounts.owners
    found, number = np.unique(np.asarray(names, dtype=object).astype(str), return_inverse=True)
    member = np.flatnonzero(accounts.pool >= 0)
    pool, party = accounts.pool[member], number[member]
    label = np.arange(len(found))
    while len(member):
        least = np.full(int(pool.max()) + 1, len(found))
        np.minimum.at(least, pool, label[party])
        lower = label.copy()
        np.minimum.at(lower, party, least[pool])
        lower = lower[lower]
        if np.array_equal(lower, label):
            break
        label = lower
    return np.asarray(label[number], dtype=np.int64)


def pools_of(book: Book) -> tuple[Pools, PoolMap]:
    """Return the pools of a book and where its rows went."""
    positions, balances, accounts = book.positions, book.balances, book.accounts
    shared = len(book.pools)
    alone = accounts.pool < 0
    of_account = np.where(alone, shared + np.cumsum(alone) - 1, accounts.pool)
    cross = shared + int(alone.sum())
    isolated_rows = np.flatnonzero(positions.isolated)
    count = cross + len(isolated_rows)

    of_position = of_account[positions.account]
    of_position[isolated_rows] = cross + np.arange(len(isolated_rows))
    credit = np.zeros(count, dtype=np.int64)
    np.maximum.at(credit, of_account, accounts.credit)
    credit[cross:] = accounts.credit[positions.account[isolated_rows]]
    owner_number = owner_numbers(accounts)
    owner = np.zeros(count, dtype=np.int64)
    owner[of_account] = owner_number
    owner[cross:] = owner_number[positions.account[isolated_rows]]

    derivative = np.flatnonzero(book.catalogue.kind[positions.instrument] != _SPOT)
    key_pool, key_instrument = of_position[derivative], positions.instrument[derivative]
    order = np.lexsort((derivative, key_instrument, key_pool))
    rows = derivative[order]
    pool, instrument = key_pool[order], key_instrument[order]
    new = np.concatenate(
        (np.ones(min(1, len(rows)), dtype=np.bool_), (np.diff(pool) != 0) | (np.diff(instrument) != 0))
    )
    leg = np.cumsum(new) - 1
    legs = int(leg[-1]) + 1 if len(leg) else 0
    leg_of_position = np.full(len(positions), -1, dtype=np.int64)
    leg_of_position[rows] = leg

    final = np.flatnonzero(balances.final)
    settle = book.catalogue.settle[positions.instrument[isolated_rows]]
    balance_pool = np.concatenate((of_account[balances.account[final]], of_position[isolated_rows]))
    asset = np.concatenate((balances.asset[final], settle))
    amount = np.concatenate((balances.amount[final], positions.collateral[isolated_rows]))
    location = np.concatenate((balances.location[final], np.zeros(len(isolated_rows), dtype=np.int64)))
    is_fenced = np.arange(len(asset)) >= len(final)
    # Rows of one pool and asset lie together, whichever member and place they come from.
    by_pool = np.lexsort((np.arange(len(asset)), location, asset, balance_pool))
    balance_of_row = np.full(len(balances), -1, dtype=np.int64)
    place = np.empty(len(asset), dtype=np.int64)
    place[by_pool] = np.arange(len(asset))
    balance_of_row[final] = place[: len(final)]

    pools = Pools(
        credit=credit,
        isolated=np.arange(count) >= cross,
        owner=owner,
        leg_start=starts(pool[new], count),
        leg_instrument=instrument[new],
        leg_quantity=group_sums(leg, positions.quantity[rows], legs),
        leg_priced=group_sums(leg, positions.priced[rows], legs),
        leg_entry_value=group_sums(leg, positions.entry_value[rows], legs),
        balance_start=starts(balance_pool[by_pool], count),
        balance_asset=asset[by_pool],
        balance_amount=amount[by_pool],
        balance_location=location[by_pool],
        balance_fenced=is_fenced[by_pool],
    )
    where = PoolMap(
        of_account=of_account,
        of_position=of_position,
        leg_of_position=leg_of_position,
        balance_of_row=balance_of_row,
        members=np.bincount(of_account, minlength=count).astype(np.int64),
    )
    return pools, where
