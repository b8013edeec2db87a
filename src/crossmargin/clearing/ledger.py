"""The ledger: who has how much of each asset, where, final or pending. The postings of every event cancel."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np

from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.units import IntArray

HERE = 0
"""The location that is the house itself; money that comes from nowhere else is here."""
LENT, BORROWED = -1, -2
"""No locations: what an account has lent to a lending pool (>= 0), and what it owes to one (<= 0). Always final."""

HOUSE_ACCOUNTS = (
    "external",
    "fees",
    "rounding",
    "insurance",
    "lending",
    "lending-reserve",
    "conversion",
    "house",
    "withdrawals",
    "default-fund",
)
"""Accounts the house keeps its own money in, by number. `external` is the world: minus all that was paid in. `lending`
is what lenders have put up and borrowers have not taken; `conversion` what collateral is exchanged against;
`withdrawals` what was asked for and is not gone for certain; `default-fund` what members have put up."""
(
    EXTERNAL,
    FEES,
    ROUNDING,
    INSURANCE,
    LENDING,
    RESERVE,
    CONVERSION,
    HOUSE,
    WITHDRAWALS,
    DEFAULT_FUND,
) = range(len(HOUSE_ACCOUNTS))
FIRST_CLIENT = len(HOUSE_ACCOUNTS)
"""Number of the first account that is not the house's."""


class Posting(NamedTuple):
    """One side of a transfer: `amount` minor units of an asset into (> 0) or out of (< 0) an account."""

    account: int
    asset: int
    amount: int
    location: int = HERE
    pending: bool = False


def transfer(source: int, target: int, asset: int, amount: int) -> list[Posting]:
    """Return the postings that move `amount` of final money here from one account to another; none for 0."""
    return [Posting(source, asset, -amount), Posting(target, asset, amount)] if amount else []


class Ledger:
    """Balances by account, asset, location and whether they are pending.

    `cash` (accounts, assets) int64 holds what is here and final, where hot commands find it; the rest is kept apart in
    `elsewhere`. Rows and columns beyond those in use are 0.
    """

    __slots__ = ("_places", "cash", "elsewhere")

    def __init__(self) -> None:
        self.cash: IntArray = np.zeros((2 * FIRST_CLIENT, 4), dtype=np.int64)
        self.elsewhere: dict[tuple[int, int, int, bool], int] = {}
        # The keys of `elsewhere` by account: an account's own are found without a look at everybody's.
        self._places: dict[int, dict[tuple[int, int, int, bool], None]] = {}

    def make_room(self, accounts: int, assets: int) -> None:
        """Have a row for each of `accounts` and a column for each of `assets`."""
        rows, columns = self.cash.shape
        if accounts <= rows and assets <= columns:
            return
        grown = np.zeros(
            (max(rows, 2 * accounts if accounts > rows else 0), max(columns, 2 * assets if assets > columns else 0)),
            dtype=np.int64,
        )
        grown[:rows, :columns] = self.cash
        self.cash = grown

    def balance(self, account: int, asset: int, location: int = HERE, pending: bool = False) -> int:
        """Return a balance in minor units."""
        if location == HERE and not pending:
            return int(self.cash[account, asset])
        return self.elsewhere.get((account, asset, location, pending), 0)

    def post(self, postings: Iterable[Posting]) -> None:
        """Book postings that belong to one event: they cancel asset by asset, and none is 0."""
        sums: dict[int, int] = {}
        booked = list(postings)
        for account, asset, amount, _, _ in booked:
            assert amount != 0, f"ledger: a posting of nothing to account {account}"
            sums[asset] = sums.get(asset, 0) + amount
        assert not any(sums.values()), f"ledger: postings that do not cancel: {sums}"
        for account, asset, amount, location, pending in booked:
            if location == HERE and not pending:
                after = int(self.cash[account, asset]) + amount
                assert -AMOUNT_MAX < after < AMOUNT_MAX, f"ledger: balance of account {account} leaves 62 bits"
                self.cash[account, asset] = after
                continue
            key = (account, asset, location, pending)
            after = self.elsewhere.get(key, 0) + amount
            assert -AMOUNT_MAX < after < AMOUNT_MAX, f"ledger: balance of account {account} leaves 62 bits"
            if after:
                self.elsewhere[key] = after
                self._places.setdefault(account, {})[key] = None
            else:
                del self.elsewhere[key]
                del self._places[account][key]

    def post_columns(self, asset: int, accounts: IntArray, amounts: IntArray) -> None:
        """Book what many accounts get (> 0) and pay (< 0) of an asset, here and final; it cancels. No account twice."""
        assert sum(amounts.tolist()) == 0, f"ledger: columns that do not cancel: {sum(amounts.tolist())}"
        after = self.cash[accounts, asset] + amounts
        assert abs(after).max(initial=0) < AMOUNT_MAX, "ledger: a balance leaves 62 bits"
        self.cash[accounts, asset] = after

    def of_account(self, account: int) -> Iterator[Posting]:
        """Yield the balances of an account that are not 0, as postings that would make them."""
        for asset in np.flatnonzero(self.cash[account]).tolist():
            yield Posting(account, asset, int(self.cash[account, asset]))
        for key in sorted(self._places.get(account, ())):
            _, asset, location, pending = key
            yield Posting(account, asset, self.elsewhere[key], location, pending)

    def totals(self) -> dict[int, int]:
        """Return the sum of all balances of each asset that has any; 0 everywhere is what conservation means (I1)."""
        # Python's integers: a sum that wraps around in 64 bits would hide the fault it is to find.
        sums = {k: sum(column.tolist()) for k, column in enumerate(self.cash.T) if column.any()}
        for (_, asset, _, _), amount in self.elsewhere.items():
            sums[asset] = sums.get(asset, 0) + amount
        return sums

    def frozen(self) -> Any:
        """Return the balances as plain values, the same for the same balances."""
        account, asset = np.nonzero(self.cash)
        return [
            account.astype("<i8").tobytes(),
            asset.astype("<i8").tobytes(),
            self.cash[account, asset].astype("<i8").tobytes(),
            [[*key, amount] for key, amount in sorted(self.elsewhere.items())],
        ]

    @classmethod
    def thawed(cls, plain: Any) -> Ledger:
        """Return the ledger that `frozen` was told of."""
        account, asset, amount = (np.frombuffer(column, dtype="<i8") for column in plain[:3])
        made = cls()
        made.make_room(int(account.max(initial=0)) + 1, int(asset.max(initial=0)) + 1)
        made.cash[account, asset] = amount
        made.elsewhere = {(a, k, where, bool(p)): amount for a, k, where, p, amount in plain[3]}
        for key in made.elsewhere:
            made._places.setdefault(key[0], {})[key] = None
        return made
