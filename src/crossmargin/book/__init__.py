"""Who holds what: accounts, positions and balances as columns, and the pools they are margined in.

Here: the book and its checks, and the pools (an account alone, a group of accounts, an isolated position).
Never here: prices, files, requirements.

Conventions. Quantities are contracts, long > 0, short < 0; balances are units of the asset, debts < 0. Rows are
in canonical order (account, symbol or asset), whatever order they came in. A position keeps the exact sum of
its rows and the value it was entered at, so P&L survives any merging of rows.
"""

from crossmargin.book.book import (
    CREDIT_TIERS,
    Account,
    Balance,
    Book,
    Location,
    Order,
    Pool,
    Position,
)
from crossmargin.book.columns import Accounts, Balances, Positions
from crossmargin.book.pools import PoolMap, Pools, owner_numbers, pools_of

__all__ = [
    "CREDIT_TIERS",
    "Account",
    "Accounts",
    "Balance",
    "Balances",
    "Book",
    "Location",
    "Order",
    "Pool",
    "PoolMap",
    "Pools",
    "Position",
    "Positions",
    "owner_numbers",
    "pools_of",
]
