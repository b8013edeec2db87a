"""Accounts, positions and balances from tables, a million rows at a time: no Python object a row but the ids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crossmargin.book import CREDIT_TIERS
from crossmargin.errors import nearest
from crossmargin.files.holdings import HERE, MODES, STATES, AccountRows, BalanceRows, PositionRows, first
from crossmargin.files.numbers import found
from crossmargin.files.tables import Table
from crossmargin.files.terms import checked_name
from crossmargin.units import IntArray

if TYPE_CHECKING:
    import polars as pl

ACCOUNT_COLUMNS = ("id", "owner", "mode", "credit", "pool")
POSITION_COLUMNS = ("account", "symbol", "quantity", "entry_price", "margin_mode", "isolated_collateral")
BALANCE_COLUMNS = ("account", "asset", "location", "amount", "state")


def accounts_of(table: Table) -> AccountRows:
    """Return the accounts of a table, sorted by id."""
    ids = table.text("id", required=True)
    order = ids.arg_sort()
    ordered = ids.gather(order)
    twice = (ordered == ordered.shift(1)).fill_null(False)
    if twice.any():
        k = int(twice.arg_max() or 0)
        rows = sorted(order.filter(ordered == ordered[k]).to_list())
        raise table.error(
            table.place(rows[1], "id"),
            f"{ordered[k]} a second time",
            f"each account once; the first is {table.place(rows[0], '')}",
        )
    names = ordered.to_list()
    _check_names(names, order, table, "id")

    def column(name: str, default: str) -> list[str]:
        if name not in table.columns:
            return [default] * len(names)
        filled: list[str] = table.text(name, required=False).gather(order).fill_null(default).to_list()
        return filled

    for name, known in (("mode", MODES), ("credit", CREDIT_TIERS)):
        _choices(table, name, known)
    owners = names
    if "owner" in table.columns:
        owners = table.text("owner", required=False).gather(order).fill_null(ordered).to_list()
        _check_names(owners, order, table, "owner")
    pools = column("pool", "")
    return AccountRows(
        ids=names, owners=owners, modes=column("mode", "cross"), credits=column("credit", "standard"), pools=pools
    )


def accounts_named_in(*tables: Table | None) -> AccountRows:
    """Return the accounts that tables of positions and balances name, for a book without a list of accounts."""
    import polars as pl

    names = [table.text("account", required=True).unique() for table in tables if table is not None]
    ids: list[str] = (pl.concat(names).unique().sort() if names else pl.Series(dtype=pl.String)).to_list()
    for name in ids:
        checked_name(name, "an account's id", error=_error_of(tables))
    count = len(ids)
    return AccountRows(ids=ids, owners=ids, modes=["cross"] * count, credits=["standard"] * count, pools=[""] * count)


def positions_of(table: Table, accounts: AccountRows) -> PositionRows:
    """Return the positions of a table."""
    account = _accounts(table, accounts)
    symbols, symbol = _numbered(table.text("symbol", required=True))
    return PositionRows(
        account=account,
        symbols=symbols,
        symbol=symbol,
        quantity=table.numbers("quantity", required=True),
        entry_price=table.numbers("entry_price", required=False),
        collateral=table.numbers("isolated_collateral", required=False),
        mode=_choices(table, "margin_mode", MODES),
        place=table.place,
    )


def balances_of(table: Table, accounts: AccountRows) -> BalanceRows:
    """Return the balances of a table."""
    account = _accounts(table, accounts)
    assets, asset = _numbered(table.text("asset", required=True))
    if "location" in table.columns:
        locations, location = _numbered(table.text("location", required=False).fill_null(HERE))
    else:
        locations, location = [HERE], np.zeros(table.height, dtype=np.int32)
    for k, name in enumerate(assets):
        if not 0 < len(name) <= 200 or not name.isprintable():
            checked_name(name, table.place(first(asset == k), "asset"), error=table.error)
    return BalanceRows(
        account=account,
        assets=assets,
        asset=asset,
        locations=locations,
        location=location,
        amount=table.numbers("amount", required=True),
        final=_choices(table, "state", STATES) != STATES.index("pending"),
        place=table.place,
    )


def _accounts(table: Table, accounts: AccountRows) -> IntArray:
    """Return the number of each row's account, refusing one that is not listed."""
    import polars as pl

    named = table.text("account", required=True)
    # Rows of one account mostly lie together: look up each run of them, not each row.
    heads = (named != named.shift(1)).fill_null(True)
    run = heads.cum_sum() - 1
    listed = pl.DataFrame(
        {"id": pl.Series(accounts.ids, dtype=pl.String), "number": np.arange(len(accounts.ids), dtype=np.int32)}
    )
    number = (
        named.filter(heads).to_frame("id").join(listed, on="id", how="left", maintain_order="left").get_column("number")
    )
    if number.null_count():
        head = int(number.is_null().arg_max() or 0)
        row = int(heads.arg_true()[head])
        name = str(named[row])
        raise table.error(
            table.place(row, "account"),
            f"the unknown account {name!r}",
            "a listed account",
            nearest(name, accounts.ids),
        )
    return number.to_numpy().take(run.to_numpy())


def _numbered(names: pl.Series) -> tuple[list[str], IntArray]:
    """Return the distinct names in order, and the number of each row's name among them."""
    import polars as pl

    distinct = names.unique().sort()
    number = names.cast(pl.Enum(distinct)).to_physical().cast(pl.Int32).to_numpy()
    return distinct.to_list(), number


def _choices(table: Table, column: str, known: tuple[str, ...]) -> IntArray:
    """Return the number of each cell in `known`, -1 where nothing is stated; refuse any other."""
    import polars as pl

    if column not in table.columns:
        return np.broadcast_to(np.int8(-1), table.height)
    cells = table.text(column, required=False)
    number = cells.cast(pl.Enum(known), strict=False).to_physical().cast(pl.Int8)
    wrong = number.is_null() & cells.is_not_null()
    if wrong.any():
        row = int(wrong.arg_max() or 0)
        raise table.error(
            table.place(row, column), found(cells[row]), ", ".join(known), nearest(str(cells[row]), known)
        )
    return number.fill_null(-1).to_numpy()


def _check_names(names: list[str], order: pl.Series, table: Table, column: str) -> None:
    if names and not (all(map(str.isprintable, names)) and 0 < min(map(len, names)) <= max(map(len, names)) <= 200):
        for k, name in enumerate(names):
            checked_name(name, table.place(int(order[k]), column), error=table.error)


def _error_of(tables: tuple[Table | None, ...]) -> type:
    return next(table.error for table in tables if table is not None)
