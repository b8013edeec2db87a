"""Accounts, positions and balances as columns in canonical order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import fsum

import numpy as np

from crossmargin.errors import InvalidBook, nearest
from crossmargin.instruments import KINDS, Catalogue
from crossmargin.units import Array, BoolArray, FloatArray, IntArray

_SPOT, _FUTURE, _PERPETUAL, _OPTION = (KINDS.index(kind) for kind in ("spot", "future", "perpetual", "option"))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Accounts:
    """One entry an account, sorted by id."""

    ids: Sequence[str]
    owners: Sequence[str]
    credit: IntArray
    """Number into CREDIT_TIERS."""
    modes: Sequence[str]
    pool: IntArray
    """Number of its pool of several accounts, -1 where it stands alone."""

    @classmethod
    def of(cls, ids: Sequence[str], owners: Sequence[str], credits: Sequence[str], modes: Sequence[str]) -> Accounts:
        """Return the column set; raise InvalidBook for a duplicate or empty id, an unknown tier or mode."""
        from crossmargin.book.book import CREDIT_TIERS, MARGIN_MODES

        last = None
        for name in ids:
            if not name:
                raise InvalidBook("account", "an empty id", "a name")
            if name == last:
                raise InvalidBook(f"account {name}", "two accounts of that id", "one")
            assert last is None or last < name, "ids arrive sorted"
            last = name
        tier = {name: k for k, name in enumerate(CREDIT_TIERS)}
        for column, known, what in ((credits, CREDIT_TIERS, "credit"), (modes, MARGIN_MODES, "mode")):
            for value in set(column) - set(known):
                raise InvalidBook(
                    f"account {ids[list(column).index(value)]}, {what}",
                    repr(value),
                    ", ".join(known),
                    nearest(value, known),
                )
        return cls(
            ids=ids,
            owners=owners,
            credit=np.array([tier[value] for value in credits], dtype=np.int64),
            modes=modes,
            pool=np.full(len(ids), -1, dtype=np.int64),
        )

    def in_pools(self, pool: IntArray) -> Accounts:
        """Return the accounts with their pool numbers."""
        return replace(self, pool=pool)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Positions:
    """One entry for each account, instrument and margin mode, sorted by (account, instrument, mode)."""

    account: IntArray
    instrument: IntArray
    quantity: FloatArray
    """Contracts; the exact decimal sum of the rows, rounded once."""
    isolated: BoolArray
    collateral: FloatArray
    """Ring-fenced for an isolated position, in the settle asset; 0 elsewhere."""
    priced: FloatArray
    """The part of `quantity` whose entry price is known; the rest was settled at today's mark."""
    entry_value: FloatArray
    """What `priced` was worth at entry, in the settle asset: its P&L is priced x unit value - entry_value."""

    @classmethod
    def merged(
        cls,
        catalogue: Catalogue,
        *,
        account: IntArray,
        instrument: IntArray,
        quantity: FloatArray,
        entry_price: FloatArray,
        isolated: BoolArray,
        collateral: FloatArray,
    ) -> Positions:
        """Return rows merged by account, instrument and margin mode; NaN entry prices mean none.

        Quantities and collateral add up as exact decimals. P&L is kept exactly: the entry values of the rows
        add up, so a merged linear position has the quantity-weighted entry price.
        """
        order = np.lexsort((entry_price, quantity, isolated, instrument, account))
        account, instrument, isolated = account[order], instrument[order], isolated[order]
        quantity, entry_price, collateral = quantity[order], entry_price[order], collateral[order]
        key_changes = (np.diff(account) != 0) | (np.diff(instrument) != 0) | (np.diff(isolated.astype(np.int8)) != 0)
        first = np.flatnonzero(np.concatenate((np.ones(min(1, len(account)), dtype=np.bool_), key_changes)))
        end = np.concatenate((first[1:], [len(account)])).astype(np.int64)
        known = ~np.isnan(entry_price)
        entry_unit = entry_unit_value(catalogue, instrument, np.where(known, entry_price, 1.0))
        row_value = np.where(known, quantity * entry_unit, 0.0)
        total, pledged = quantity[first], collateral[first]
        priced, entry_value = np.where(known[first], total, 0.0), row_value[first]
        for k in np.flatnonzero(end - first > 1):
            rows = slice(first[k], end[k])
            total[k] = _decimal_sum(quantity[rows])
            pledged[k] = _decimal_sum(collateral[rows])
            priced[k] = _decimal_sum(quantity[rows][known[rows]])
            same = len(set(entry_price[rows][known[rows]].tolist())) == 1
            # One entry price for all: the product with the exact total, so splitting a row changes no bit.
            entry_value[k] = (
                priced[k] * entry_unit[rows][known[rows]][0] if same else fsum(row_value[rows][known[rows]].tolist())
            )
        return cls(
            account=account[first],
            instrument=instrument[first],
            quantity=total,
            isolated=isolated[first],
            collateral=pledged,
            priced=priced,
            entry_value=entry_value,
        )

    def spot(self, catalogue: Catalogue) -> tuple[Array, Array, Array, Array, Array]:
        """Return spot positions as balance columns (account, asset, location 0, amount, final)."""
        rows = np.flatnonzero(catalogue.kind[self.instrument] == _SPOT)
        held = self.instrument[rows]
        amount = self.quantity[rows] * catalogue.contract_size[held]
        place = np.zeros(len(rows), dtype=np.int64)
        return (
            self.account[rows],
            catalogue.underlying[held],
            place,
            amount,
            np.ones(len(rows), dtype=np.bool_),
        )

    def __len__(self) -> int:
        return len(self.account)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Balances:
    """One entry for each account, asset, location and state, sorted so."""

    account: IntArray
    asset: IntArray
    location: IntArray
    amount: FloatArray
    final: BoolArray

    @classmethod
    def merged(
        cls, account: IntArray, asset: IntArray, location: IntArray, amount: FloatArray, final: BoolArray
    ) -> Balances:
        """Return rows merged by account, asset, location and state; amounts add up as exact decimals."""
        order = np.lexsort((amount, ~final, location, asset, account))
        account, asset, location = account[order], asset[order], location[order]
        amount, final = amount[order], final[order]
        changes = np.zeros(max(0, len(account) - 1), dtype=np.bool_)
        for column in (account, asset, location, final):
            changes |= column[1:] != column[:-1]
        first = np.flatnonzero(np.concatenate((np.ones(min(1, len(account)), dtype=np.bool_), changes)))
        end = np.concatenate((first[1:], [len(account)])).astype(np.int64)
        total = amount[first]
        for k in np.flatnonzero(end - first > 1):
            total[k] = _decimal_sum(amount[first[k] : end[k]])
        return cls(
            account=account[first],
            asset=asset[first],
            location=location[first],
            amount=total,
            final=final[first],
        )

    def __len__(self) -> int:
        return len(self.account)


def entry_unit_value(catalogue: Catalogue, instrument: IntArray, price: FloatArray) -> FloatArray:
    """Return what one contract is worth at `price`, in the settle asset, shape (rows,).

    contract_size x price, except inverse futures and perpetuals: -contract_size / price. Raises InvalidBook for
    a price of 0 or less where the contract's prices are positive (option premiums may be 0).
    """
    option = catalogue.kind[instrument] == _OPTION
    low = (price < 0) | ((price == 0) & ~option)
    bad = np.flatnonzero(low & ~catalogue.any_domain[instrument])
    if len(bad):
        symbol = catalogue.instruments[instrument[bad[0]]].symbol
        raise InvalidBook(f"position {symbol}, entry_price", str(price[bad[0]]), "a price above 0")
    size = catalogue.contract_size[instrument]
    reciprocal = catalogue.inverse[instrument] & ~option
    return np.where(reciprocal, -size / np.where(reciprocal, price, 1.0), size * price)


def _decimal_sum(values: FloatArray) -> float:
    return float(sum((Decimal(repr(value)) for value in values.tolist()), Decimal(0)))
