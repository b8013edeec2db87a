"""Accounts, positions and balances as columns in canonical order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from decimal import Context, Decimal

import numpy as np

from crossmargin.errors import InvalidBook, nearest
from crossmargin.instruments import KINDS, Catalogue
from crossmargin.ragged import slices
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
        key = (account.astype(np.int64) * len(catalogue) + instrument) * 2 + isolated
        if (key[1:] < key[:-1]).any():
            order = np.argsort(key, kind="stable")
            key, account, instrument = key.take(order), account.take(order), instrument.take(order)
            isolated, collateral = isolated.take(order), collateral.take(order)
            quantity, entry_price = quantity.take(order), entry_price.take(order)
            del order
        first, start = _groups(key)
        del key
        known = ~np.isnan(entry_price)
        # Without a known price a row is entered at any price at which a contract is worth something.
        price = entry_price if known.all() else np.where(known, entry_price, 1.0)
        entry_value = entry_unit_value(catalogue, instrument, price)
        with np.errstate(over="ignore", invalid="ignore"):
            entry_value *= quantity
        entry_value[~known] = 0.0
        if not np.isfinite(entry_value).all():
            row = int(np.argmin(np.isfinite(entry_value)))
            symbol = catalogue.instruments[instrument[row]].symbol
            raise InvalidBook(
                f"position {symbol}", f"{quantity[row]:g} contracts at {entry_price[row]:g}", "a finite value"
            )
        priced = quantity if known.all() else np.where(known, quantity, 0.0)
        if len(first) < len(account):
            same_price = _one_price(entry_price, start)
            unit = entry_unit_value(catalogue, instrument[first], np.where(np.isnan(same_price), 1.0, same_price))
            priced, quantity = _decimal_sums(priced, start), _decimal_sums(quantity, start)
            # One entry price for all: the product with the exact total, so splitting a row changes no bit.
            # The compiler is loaded only where rows merge: reading a book does without.
            from crossmargin.exact import exact_sums

            entry_value = np.where(np.isnan(same_price), exact_sums(start, entry_value), unit * priced)
            collateral = _decimal_sums(collateral, start)
            account, instrument, isolated = account[first], instrument[first], isolated[first]
        return cls(
            account=account.astype(np.int64, copy=False),
            instrument=instrument.astype(np.int64, copy=False),
            quantity=quantity,
            isolated=isolated,
            collateral=collateral,
            priced=priced,
            entry_value=entry_value,
        )

    def and_rows(self, more: Positions) -> Positions:
        """Return these positions and others that are not among them, in canonical order."""
        columns = {
            field.name: np.concatenate((getattr(self, field.name), getattr(more, field.name))) for field in fields(self)
        }
        order = np.lexsort((columns["isolated"], columns["instrument"], columns["account"]))
        return Positions(**{name: column[order] for name, column in columns.items()})

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
        places, assets = (int(column.max(initial=0)) + 1 for column in (location, asset))
        key = ((account.astype(np.int64) * assets + asset) * places + location) * 2 + ~final
        if (key[1:] < key[:-1]).any():
            order = np.argsort(key, kind="stable")
            key, amount = key[order], amount[order]
            account, asset, location, final = account[order], asset[order], location[order], final[order]
        first, start = _groups(key)
        return cls(
            account=account[first].astype(np.int64, copy=False),
            asset=asset[first].astype(np.int64, copy=False),
            location=location[first].astype(np.int64, copy=False),
            amount=amount if len(first) == len(amount) else _decimal_sums(amount, start),
            final=final[first],
        )

    def __len__(self) -> int:
        return len(self.account)


def entry_unit_value(catalogue: Catalogue, instrument: IntArray, price: FloatArray) -> FloatArray:
    """Return what one contract is worth at `price`, in the settle asset, shape (rows,).

    contract_size x price, except inverse futures and perpetuals: -contract_size / price. Raises InvalidBook for
    a price of 0 or less where the contract's prices are positive (option premiums may be 0).
    """
    option = catalogue.kind == _OPTION
    low = np.flatnonzero(price <= 0)
    held = instrument[low]
    bad = low[((price[low] < 0) | ~option[held]) & ~catalogue.any_domain[held]]
    if len(bad):
        symbol = catalogue.instruments[instrument[bad[0]]].symbol
        raise InvalidBook(f"position {symbol}, entry_price", str(price[bad[0]]), "a price above 0")
    value = catalogue.contract_size.take(instrument)
    reciprocal = (catalogue.inverse & ~option).take(instrument)
    if reciprocal.any():
        return np.where(reciprocal, -value / np.where(reciprocal, price, 1.0), value * price)
    value *= price
    return value


def _groups(key: IntArray) -> tuple[IntArray, IntArray]:
    """Return the first row of each run of equal keys, and the row starts, shape (runs + 1,)."""
    first = np.flatnonzero(np.concatenate((np.ones(min(1, len(key)), dtype=np.bool_), key[1:] != key[:-1])))
    return first, np.concatenate((first, [len(key)])).astype(np.int64)


def _one_price(price: FloatArray, start: IntArray) -> FloatArray:
    """Return the price that all priced rows of a group have; NaN where they differ or there is none."""
    low, high = np.fmin.reduceat(price, start[:-1]), np.fmax.reduceat(price, start[:-1])
    return np.where(low == high, low, np.nan)


def _decimal_sums(value: FloatArray, start: IntArray) -> FloatArray:
    """Return the sum of each group as exact decimals, rounded once, shape (len(start) - 1,).

    A float stands for the shortest decimal that reads back as it. Groups whose decimals have few digits are
    added as whole numbers of 10^-2 ... 10^-12, the rest one by one.
    """
    length = np.diff(start)
    total = value.take(start[:-1])
    if not value.any():
        return total
    left = np.flatnonzero(length > 1)
    for digits in _SCALES:
        if not len(left):
            break
        part, inner = value, start
        if len(left) < len(length):
            rows, inner = slices(start, left)
            part = value.take(rows)
        unit = 10.0**digits
        with np.errstate(over="ignore"):
            whole = np.rint(part * unit)
        # Decimals of at most 15 digits are told apart by their floats: none other is meant.
        small = (np.abs(whole) < _WHOLE_LARGEST) & (whole / unit == part)
        fits = np.logical_and.reduceat(small, inner[:-1]) & (np.diff(inner) <= _ROWS_LARGEST)
        sums = np.add.reduceat(np.where(small, whole, 0.0).astype(np.int64), inner[:-1])
        fits &= np.abs(sums) < 2**53
        total[left[fits]] = sums[fits] / unit
        left = left[~fits]
    for k in left:
        total[k] = _decimal_sum(value[start[k] : start[k + 1]])
    return total


_SCALES = (2, 5, 8, 12)
_WHOLE_LARGEST = 1e15
_ROWS_LARGEST = 9_000
"""So many whole numbers below 1e15 add up within 63 bits."""
# Wide enough for the sum of any floats: their exponents span 632 digits.
_EXACT = Context(prec=2_000)


def _decimal_sum(values: FloatArray) -> float:
    total = Decimal(0)
    for value in values.tolist():
        total = _EXACT.add(total, Decimal(repr(value)))
    return float(total)
