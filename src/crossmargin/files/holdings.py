"""Accounts, positions and balances as columns, whatever they were written in, checked and made a book."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from crossmargin.book import CREDIT_TIERS, Book, Location, Order, Pool, Positions
from crossmargin.errors import InvalidBook, nearest, some_of
from crossmargin.files.document import AccountEntry, BalanceEntry, LocationEntry, OrderEntry, PoolEntry
from crossmargin.files.entries import Entries
from crossmargin.files.numbers import floats, found, number
from crossmargin.files.terms import checked_name
from crossmargin.instruments import KINDS, Catalogue
from crossmargin.units import NAME_LENGTH_MAX, BoolArray, FloatArray, IntArray, iso

MODES = ("cross", "isolated")
STATES = ("final", "pending")
HERE = "here"
_SPOT = KINDS.index("spot")

Place = Callable[[int, str], str]
"""(row, field) -> where that is."""


@dataclass(slots=True, kw_only=True)
class AccountRows:
    """One entry an account, sorted by id; absent cells already have their defaults."""

    ids: list[str]
    owners: list[str]
    modes: list[str]
    credits: list[str]
    pools: list[str]


@dataclass(slots=True, kw_only=True)
class PositionRows:
    """One entry a row, in any order."""

    account: IntArray
    """Number of the account in `AccountRows`."""
    symbols: list[str]
    """Distinct symbols."""
    symbol: IntArray
    """Number into `symbols`."""
    quantity: FloatArray
    entry_price: FloatArray
    """NaN: absent."""
    collateral: FloatArray
    """NaN: absent."""
    mode: IntArray
    """Number into MODES; -1: absent."""
    place: Place


@dataclass(slots=True, kw_only=True)
class BalanceRows:
    """One entry a row, in any order."""

    account: IntArray
    assets: list[str]
    asset: IntArray
    """Number into `assets`."""
    locations: list[str]
    location: IntArray
    """Number into `locations`."""
    amount: FloatArray
    final: BoolArray
    place: Place


def holdings_of(entries: Entries[AccountEntry]) -> tuple[AccountRows, PositionRows, BalanceRows]:
    """Return the columns of accounts that carry their own positions and balances, as documents write them."""
    accounts, number_of = account_rows(entries)
    return accounts, _nested_positions(entries, number_of), _nested_balances(entries, number_of)


def account_rows(entries: Entries[AccountEntry]) -> tuple[AccountRows, IntArray]:
    """Return the accounts sorted by id, and the number of each entry among them."""
    first: dict[str, int] = {}
    for row, entry in entries:
        checked_name(entry.id, entries.place(row, "id"), error=InvalidBook)
        if entry.id in first:
            raise InvalidBook(
                entries.place(row, "id"),
                f"{entry.id} a second time",
                f"each account once; the first is {entries.place(first[entry.id], '')}",
            )
        first[entry.id] = row
        one_of(entry.mode, MODES, entries.place, row, "mode")
        one_of(entry.credit, CREDIT_TIERS, entries.place, row, "credit")
        for field, name in (("owner", entry.owner), ("pool", entry.pool)):
            if name is not None:
                checked_name(name, entries.place(row, field), error=InvalidBook)
    order = sorted(range(len(entries.rows)), key=lambda row: entries.rows[row].id)
    number_of = np.empty(len(order), dtype=np.int64)
    number_of[order] = np.arange(len(order))
    ordered = [entries.rows[row] for row in order]
    return AccountRows(
        ids=[entry.id for entry in ordered],
        owners=[entry.owner or entry.id for entry in ordered],
        modes=[entry.mode or "cross" for entry in ordered],
        credits=[entry.credit or "standard" for entry in ordered],
        pools=[entry.pool or "" for entry in ordered],
    ), number_of


def _nested_positions(entries: Entries[AccountEntry], number_of: IntArray) -> PositionRows:
    rows = [position for entry in entries.rows for position in entry.positions]
    start = np.concatenate(([0], np.cumsum([len(entry.positions) for entry in entries.rows]))).astype(np.int64)

    def place(row: int, field: str) -> str:
        account = int(np.searchsorted(start, row, side="right")) - 1
        return entries.place(account, f"positions[{row - start[account]}]{'.' if field else ''}{field}")

    symbols, symbol = numbered([row.symbol for row in rows])
    return PositionRows(
        account=np.repeat(number_of, np.diff(start)),
        symbols=symbols,
        symbol=symbol,
        quantity=floats([row.quantity for row in rows], lambda row: place(row, "quantity"), required=True),
        entry_price=floats([row.entry_price for row in rows], lambda row: place(row, "entry_price"), required=False),
        collateral=floats(
            [row.isolated_collateral for row in rows], lambda row: place(row, "isolated_collateral"), required=False
        ),
        mode=choices([row.margin_mode for row in rows], MODES, place, "margin_mode"),
        place=place,
    )


def _nested_balances(entries: Entries[AccountEntry], number_of: IntArray) -> BalanceRows:
    account: list[int] = []
    asset: list[str] = []
    amount: list[object] = []
    location: list[str] = []
    state: list[str | None] = []
    origin: list[tuple[int, int | None]] = []  # the account entry and the row of its list; None in a mapping
    for number_here, (row, entry) in zip(number_of.tolist(), entries, strict=True):
        if isinstance(entry.balances, dict):
            owned = [BalanceEntry(asset=name, amount=held) for name, held in entry.balances.items()]
            origin.extend((row, None) for _ in owned)
        else:
            owned = entry.balances
            origin.extend((row, k) for k in range(len(owned)))
        for balance in owned:
            account.append(number_here)
            asset.append(balance.asset)
            amount.append(balance.amount)
            location.append(HERE if balance.location is None else balance.location)
            state.append(balance.state)

    def place(row: int, field: str) -> str:
        in_account, in_list = origin[row]
        if in_list is None:
            return entries.place(in_account, f"balances.{asset[row]}")
        return entries.place(in_account, f"balances[{in_list}]{'.' if field else ''}{field}")

    assets, asset_number = numbered(asset)
    for name in assets:
        if not name.isprintable() or not 0 < len(name) <= NAME_LENGTH_MAX:
            checked_name(name, place(asset.index(name), "asset"), error=InvalidBook)
    locations, location_number = numbered(location)
    return BalanceRows(
        account=np.array(account, dtype=np.int64),
        assets=assets,
        asset=asset_number,
        locations=locations,
        location=location_number,
        amount=floats(amount, lambda row: place(row, "amount"), required=True),
        final=choices(state, STATES, place, "state") != STATES.index("pending"),
        place=place,
    )


def no_positions() -> PositionRows:
    """Return no rows."""
    none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
    return PositionRows(
        account=none,
        symbols=[],
        symbol=none,
        quantity=nothing,
        entry_price=nothing,
        collateral=nothing,
        mode=none,
        place=lambda row, field: "positions",
    )


def no_balances() -> BalanceRows:
    """Return no rows."""
    none = np.zeros(0, dtype=np.int64)
    return BalanceRows(
        account=none,
        assets=[],
        asset=none,
        locations=[],
        location=none,
        amount=np.zeros(0),
        final=np.zeros(0, dtype=np.bool_),
        place=lambda row, field: "balances",
    )


def book_of(
    accounts: AccountRows,
    positions: PositionRows,
    balances: BalanceRows,
    catalogue: Catalogue,
    *,
    time: datetime | None,
    locations: tuple[Location, ...] = (),
    pools: tuple[Pool, ...] = (),
    orders: tuple[Order, ...] = (),
    rules: str,
    warnings: tuple[str, ...] = (),
) -> Book:
    """Return the book of checked columns.

    Raises InvalidBook for isolated collateral that is missing, misplaced or negative, an isolated spot position,
    an entry price that cannot be, a position in an instrument that has expired at `time`, an unknown location.
    """
    instrument = np.array([catalogue.number[symbol] for symbol in positions.symbols], dtype=np.int64).take(
        positions.symbol
    )
    isolated = _isolated(accounts, positions, catalogue, instrument)
    _check_entry_prices(positions, catalogue, instrument)
    if time is not None:
        _check_alive(positions, catalogue, instrument, time)
    places = locations if any(place.id == HERE for place in locations) else (Location(id=HERE), *locations)
    # Spot positions are at the first location, which is here.
    places = tuple(sorted(places, key=lambda place: (place.id != HERE, place.id)))
    place_number = {place.id: k for k, place in enumerate(places)}
    for k, name in enumerate(balances.locations):
        if name not in place_number:
            row = first(balances.location == k)
            raise InvalidBook(
                balances.place(row, "location"),
                f"the unknown location {name!r}",
                f"one of {', '.join(place_number)}",
                nearest(name, place_number),
            )
    return Book.from_columns(
        catalogue,
        ids=accounts.ids,
        owners=accounts.owners,
        credits=accounts.credits,
        modes=accounts.modes,
        account_pools=accounts.pools,
        positions=Positions.merged(
            catalogue,
            account=positions.account,
            instrument=instrument,
            quantity=positions.quantity,
            entry_price=positions.entry_price,
            isolated=isolated,
            collateral=np.where(isolated, positions.collateral, 0.0) if isolated.any() else np.zeros(len(isolated)),
        ),
        balances=(
            balances.account,
            np.array([catalogue.asset_number[name] for name in balances.assets], dtype=np.int64)[balances.asset],
            np.array([place_number[name] for name in balances.locations], dtype=np.int64)[balances.location],
            balances.amount,
            balances.final,
        ),
        locations=places,
        pools=pools,
        orders=orders,
        rules=rules,
        warnings=warnings,
    )


def _isolated(accounts: AccountRows, positions: PositionRows, catalogue: Catalogue, instrument: IntArray) -> BoolArray:
    spot = (catalogue.kind == _SPOT).take(instrument)
    default = np.array([mode == "isolated" for mode in accounts.modes], dtype=np.bool_)
    # A spot position is a balance whatever the mode of its account.
    isolated = np.where(
        positions.mode < 0, default.take(positions.account) & ~spot, positions.mode == MODES.index("isolated")
    )
    pledged = ~np.isnan(positions.collateral)

    def refuse(wrong: BoolArray, field: str, what: Callable[[int], str], allowed: str) -> None:
        if wrong.any():
            row = first(wrong)
            symbol = positions.symbols[positions.symbol[row]]
            raise InvalidBook(positions.place(row, field), what(row), allowed, f"the position is in {symbol}")

    refuse(
        isolated & spot,
        "margin_mode",
        lambda row: "isolated",
        "cross: a spot position is a balance",
    )
    refuse(
        isolated & ~pledged,
        "isolated_collateral",
        lambda row: "nothing on an isolated position",
        "the collateral ring-fenced for it, in the settle asset",
    )
    refuse(
        ~isolated & pledged,
        "isolated_collateral",
        lambda row: f"{positions.collateral[row]:g} on a cross position",
        "nothing, or margin_mode isolated",
    )
    refuse(
        pledged & (positions.collateral < 0),
        "isolated_collateral",
        lambda row: f"{positions.collateral[row]:g}",
        "0 or more",
    )
    return np.asarray(isolated, dtype=np.bool_)


def _check_entry_prices(positions: PositionRows, catalogue: Catalogue, instrument: IntArray) -> None:
    price = positions.entry_price
    option = catalogue.kind == KINDS.index("option")
    low = np.flatnonzero(price <= 0)
    held = instrument[low]
    wrong = low[((price[low] < 0) | ~option[held]) & ~catalogue.any_domain[held]]
    if len(wrong):
        row = int(wrong[0])
        raise InvalidBook(
            positions.place(row, "entry_price"),
            f"{price[row]:g}",
            "0 or more: an option premium" if option[instrument[row]] else "a price above 0",
            f"prices of {positions.symbols[positions.symbol[row]]} are positive (price_domain)",
        )


def _check_alive(positions: PositionRows, catalogue: Catalogue, instrument: IntArray, time: datetime) -> None:
    over = catalogue.expiry <= time.timestamp()
    if not over.any():
        return
    expired = over.take(instrument) & (positions.quantity != 0)
    if expired.any():
        row = first(expired)
        symbol = positions.symbols[positions.symbol[row]]
        expiry = getattr(catalogue[symbol], "expiry", time)
        raise InvalidBook(
            positions.place(row, "symbol"),
            f"{symbol}, which expired at {iso(expiry)}",
            f"contracts that expire after the book's time, {iso(time)}",
            "expired instruments may be listed, not held",
        )


def locations_of(entries: Entries[LocationEntry]) -> tuple[Location, ...]:
    """Return the locations of their entries."""
    known: dict[str, Location] = {}
    for row, entry in entries:
        checked_name(entry.id, entries.place(row, "id"), error=InvalidBook)
        if entry.id in known:
            raise InvalidBook(entries.place(row, "id"), f"{entry.id} a second time", "each location once")
        amounts: dict[str, float | None] = {}
        for field in ("finality_seconds", "fee", "cap"):
            value = getattr(entry, field)
            amounts[field] = None if value is None else number(value, entries.place(row, field))
            if value is not None and (amounts[field] or 0.0) < 0:
                raise InvalidBook(entries.place(row, field), found(value), "0 or more")
        known[entry.id] = Location(
            id=entry.id,
            finality_seconds=amounts["finality_seconds"] or 0.0,
            fee=amounts["fee"] or 0.0,
            cap=amounts["cap"],
            halted=bool(entry.halted),
        )
    return tuple(known.values())


def pools_of(entries: Entries[PoolEntry], accounts: AccountRows) -> tuple[tuple[Pool, ...], list[str]]:
    """Return the pools and warnings about those whose accounts have several owners."""
    warnings = []
    seen: dict[str, str] = {}
    member: dict[str, str] = {}
    owner = dict(zip(accounts.ids, accounts.owners, strict=True)) if entries.rows else {}
    for row, entry in entries:
        checked_name(entry.id, entries.place(row, "id"), error=InvalidBook)
        if entry.id in seen:
            raise InvalidBook(entries.place(row, "id"), f"{entry.id} a second time", "each pool once")
        seen[entry.id] = entry.id
        for k, name in enumerate(entry.accounts):
            place = entries.place(row, f"accounts[{k}]")
            if name not in owner:
                raise InvalidBook(place, f"the unknown account {name!r}", "a listed account", nearest(name, owner))
            if name in member:
                raise InvalidBook(place, f"{name}, already in pool {member[name]}", "one pool an account")
            member[name] = entry.id
        owners = sorted({owner[name] for name in entry.accounts})
        if len(owners) > 1:
            warnings.append(
                f"{entries.place(row, 'accounts')}: owners {some_of(owners)}: "
                "they are one pool only where they have agreed to stand for each other"
            )
    return tuple(Pool(id=entry.id, accounts=tuple(entry.accounts)) for entry in entries.rows), warnings


def orders_of(entries: Entries[OrderEntry], accounts: Sequence[str]) -> tuple[Order, ...]:
    """Return the open orders; their symbols have been resolved before."""
    known = set(accounts) if entries.rows else set()
    orders = []
    for row, entry in entries:
        if entry.account not in known:
            raise InvalidBook(
                entries.place(row, "account"),
                f"the unknown account {entry.account!r}",
                "a listed account",
                nearest(entry.account, accounts),
            )
        orders.append(
            Order(
                account=entry.account,
                symbol=entry.symbol,
                quantity=number(entry.quantity, entries.place(row, "quantity")),
                limit=number(entry.limit, entries.place(row, "limit")),
                reduce_only=bool(entry.reduce_only),
            )
        )
    return tuple(sorted(orders, key=lambda order: (order.account, order.symbol, order.limit, order.quantity)))


def numbered(names: Sequence[str]) -> tuple[list[str], IntArray]:
    """Return the distinct names in order, and the number of each name among them."""
    distinct = sorted(set(names))
    number_of = {name: k for k, name in enumerate(distinct)}
    return distinct, np.fromiter((number_of[name] for name in names), dtype=np.int64, count=len(names))


def choices(values: Sequence[str | None], known: tuple[str, ...], place: Place, field: str) -> IntArray:
    """Return the number of each value in `known`, -1 for None; refuse any other."""
    number_of: dict[str | None, int] = {None: -1, **{name: k for k, name in enumerate(known)}}
    if not set(values) <= number_of.keys():
        for row, value in enumerate(values):
            one_of(value, known, place, row, field)
    return np.fromiter((number_of[value] for value in values), dtype=np.int64, count=len(values))


def one_of(value: str | None, known: tuple[str, ...], place: Place, row: int, field: str) -> None:
    """Refuse a value that is neither absent nor known."""
    if value is not None and value not in known:
        raise InvalidBook(place(row, field), found(value), ", ".join(known), nearest(value, known))


def first(rows: BoolArray) -> int:
    """Return the first row that is True."""
    return int(np.argmax(rows))
