"""The book: accounts and what they hold, checked and put in canonical order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite, nan

import numpy as np

from crossmargin.book.columns import Accounts, Balances, Positions
from crossmargin.errors import InvalidBook, nearest
from crossmargin.instruments import Asset, Catalogue, Instrument
from crossmargin.units import NAME_LENGTH_MAX, exact

CREDIT_TIERS = ("prime", "standard", "basic")
"""Credit tiers from the best to the strictest; a pool of several accounts takes its strictest."""

MARGIN_MODES = ("cross", "isolated")


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """So many contracts of one instrument in one account."""

    symbol: str
    quantity: float
    """Contracts, long > 0, short < 0."""
    entry_price: float | None = None
    """In the unit of the mark; None: the profit up to now has been settled already."""
    margin_mode: str | None = None
    """`cross` or `isolated`; by default the account's mode."""
    isolated_collateral: float | None = None
    """In the settle asset, ring-fenced for this position, on top of the account's balances."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """So much of one asset in one place."""

    asset: str
    amount: float
    """Units of the asset; a debt is negative."""
    location: str = "here"
    state: str = "final"
    """`final`, or `pending`: listed and counted nowhere."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One account with everything it holds."""

    id: str
    owner: str = ""
    """Who owns it; by default its own id."""
    mode: str = "cross"
    credit: str = "standard"
    pool: str = ""
    balances: Sequence[Balance] = ()
    positions: Sequence[Position] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Location:
    """Where collateral is: here, a custodian, a chain, a bank abroad."""

    id: str
    finality_seconds: float = 0.0
    """Time until a transfer from there is final."""
    fee: float = 0.0
    """Cost of bringing one balance over, in the reporting currency."""
    cap: float | None = None
    """Largest value there that counts in one pool, in the reporting currency."""
    halted: bool = False
    """Nothing can be moved from there now: it counts nothing for initial margin."""

    def __post_init__(self) -> None:
        for name in ("finality_seconds", "fee", "cap"):
            number = getattr(self, name)
            if number is not None and not (isfinite(number) and number >= 0):
                raise InvalidBook(f"location {self.id}, {name}", str(number), "a finite number, 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """An open order of one account."""

    account: str
    symbol: str
    quantity: float
    limit: float
    reduce_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Several accounts margined as one."""

    id: str
    accounts: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Book:
    """Accounts, positions and balances as columns in canonical order; see the room card."""

    catalogue: Catalogue
    accounts: Accounts
    positions: Positions
    balances: Balances
    locations: tuple[Location, ...] = (Location(id="here"),)
    pools: tuple[Pool, ...] = ()
    orders: tuple[Order, ...] = ()
    rules: str = "portfolio"
    """Name or path of the rule book the book asks for."""
    warnings: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(
        cls,
        accounts: Iterable[Account],
        instruments: Iterable[Instrument] = (),
        *,
        assets: Iterable[Asset] = (),
        locations: Iterable[Location] = (),
        pools: Iterable[Pool] = (),
        orders: Iterable[Order] = (),
        rules: str = "portfolio",
        currency: str = "USD",
    ) -> Book:
        """Return the book of `accounts`.

        Raises InvalidBook naming the account for a duplicate id, an unknown symbol, mode, credit tier, pool or
        location, a number that is not finite, and isolated collateral that is missing, misplaced or negative.
        """
        account_list = sorted(accounts, key=lambda account: account.id)
        names = {balance.asset for account in account_list for balance in account.balances} | {currency}
        catalogue = Catalogue.of(instruments, assets, names)
        places = _locations(locations)
        number = {account.id: k for k, account in enumerate(account_list)}
        held = [(k, position) for k, account in enumerate(account_list) for position in account.positions]
        owned = [(k, balance) for k, account in enumerate(account_list) for balance in account.balances]
        for k, position in held:
            _check_position(account_list[k], position, catalogue)
        location_number = {location.id: k for k, location in enumerate(places)}
        for k, balance in owned:
            _check_balance(account_list[k], balance, location_number)
        return cls.from_columns(
            catalogue,
            ids=[account.id for account in account_list],
            owners=[account.owner or account.id for account in account_list],
            credits=[account.credit for account in account_list],
            modes=[account.mode for account in account_list],
            account_pools=[account.pool for account in account_list],
            positions=Positions.merged(
                catalogue,
                account=np.array([k for k, _ in held], dtype=np.int64),
                instrument=np.array([catalogue.number[p.symbol] for _, p in held], dtype=np.int64),
                quantity=np.array([p.quantity for _, p in held], dtype=np.float64),
                entry_price=np.array(
                    [nan if p.entry_price is None else p.entry_price for _, p in held], dtype=np.float64
                ),
                isolated=np.array([_mode(account_list[k], p) == "isolated" for k, p in held], dtype=np.bool_),
                collateral=np.array([p.isolated_collateral or 0.0 for _, p in held], dtype=np.float64),
            ),
            balances=(
                np.array([k for k, _ in owned], dtype=np.int64),
                np.array([catalogue.asset_number[b.asset] for _, b in owned], dtype=np.int64),
                np.array([location_number[b.location] for _, b in owned], dtype=np.int64),
                np.array([b.amount for _, b in owned], dtype=np.float64),
                np.array([b.state == "final" for _, b in owned], dtype=np.bool_),
            ),
            locations=places,
            pools=tuple(pools),
            orders=tuple(_checked_orders(orders, number, catalogue)),
            rules=rules,
        )

    @classmethod
    def from_columns(
        cls,
        catalogue: Catalogue,
        *,
        ids: Sequence[str],
        owners: Sequence[str],
        credits: Sequence[str],
        modes: Sequence[str],
        account_pools: Sequence[str],
        positions: Positions,
        balances: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray],
        locations: tuple[Location, ...] = (Location(id="here"),),
        pools: tuple[Pool, ...] = (),
        orders: tuple[Order, ...] = (),
        rules: str = "portfolio",
        warnings: tuple[str, ...] = (),
    ) -> Book:
        """Return the book of columns already checked row by row; `ids` must be sorted.

        `balances` is (account, asset, location, amount, final), numbers as in the catalogue and `locations`.
        Spot positions are added to the balances of their underlying, at the first location.
        """
        accounts = Accounts.of(ids, owners, credits, modes)
        account_number = {name: k for k, name in enumerate(ids)} if pools or any(account_pools) else {}
        whole = _pools(pools, account_pools, ids, account_number)
        pool = np.full(len(ids), -1, dtype=np.int64)
        for p, group in enumerate(whole):
            pool[[account_number[name] for name in group.accounts]] = p
        spot = positions.spot(catalogue)
        columns = [np.concatenate((have, more)) for have, more in zip(balances, spot, strict=True)]
        return cls(
            catalogue=catalogue,
            accounts=accounts.in_pools(pool),
            positions=positions,
            balances=Balances.merged(*columns),
            locations=locations,
            pools=whole,
            orders=orders,
            rules=rules,
            warnings=warnings,
        )

    def with_room(self, account: str, symbols: Iterable[str]) -> Book:
        """Return the book with an empty row wherever trades of `account` in `symbols` would book something.

        That is a cross position in each, and a balance here of each asset they are paid in, where it has none yet. An
        empty row changes no number; instruments that nobody held are priced with it.
        """
        number = list(self.accounts.ids).index(account)
        wanted = np.array(sorted({self.catalogue.number[symbol] for symbol in symbols}), dtype=np.int64)
        mine = (self.positions.account == number) & ~self.positions.isolated
        new = np.setdiff1d(wanted, self.positions.instrument[mine])
        at = np.full(len(new), number, dtype=np.int64)
        nothing = np.zeros(len(new))
        positions = self.positions.and_rows(
            Positions(
                account=at,
                instrument=new,
                quantity=nothing,
                isolated=np.zeros(len(new), dtype=np.bool_),
                collateral=nothing,
                priced=nothing,
                entry_value=nothing,
            )
        )
        paid_in = np.unique(self.catalogue.settle[wanted])
        own = self.balances
        here = own.asset[(own.account == number) & (own.location == 0) & own.final]
        paid_in = np.setdiff1d(paid_in, here)
        place = np.zeros(len(paid_in), dtype=np.int64)
        columns = (np.full(len(paid_in), number), paid_in, place, np.zeros(len(paid_in)))
        rows = (own.account, own.asset, own.location, own.amount, own.final)
        empty = (*columns, np.ones(len(paid_in), dtype=np.bool_))
        merged = Balances.merged(*(np.concatenate((have, more)) for have, more in zip(rows, empty, strict=True)))
        return replace(self, positions=positions, balances=merged)

    def holders(self, *, instrument: int | None = None, asset: int | None = None) -> list[str]:
        """Return the ids of the accounts that hold an instrument, or have a balance in or settle in an asset."""
        rows = np.zeros(len(self.positions.account), dtype=np.bool_)
        accounts = np.zeros(0, dtype=np.int64)
        if instrument is not None:
            rows |= self.positions.instrument == instrument
        if asset is not None:
            held = self.positions.instrument
            for column in (self.catalogue.settle, self.catalogue.quote, self.catalogue.underlying):
                rows |= column[held] == asset
            accounts = self.balances.account[self.balances.asset == asset]
        found = np.unique(np.concatenate((self.positions.account[rows], accounts)))
        return [self.accounts.ids[k] for k in found]


def _locations(given: Iterable[Location]) -> tuple[Location, ...]:
    places = list(given)
    ids = [place.id for place in places]
    if len(set(ids)) != len(ids):
        twice = next(i for i in ids if ids.count(i) > 1)
        raise InvalidBook(f"location {twice}", "two of that id", "one")
    if "here" not in ids:
        places.insert(0, Location(id="here"))
    # "here" comes first: it is where spot positions are.
    return tuple(sorted(places, key=lambda place: (place.id != "here", place.id)))


def _pools(
    given: tuple[Pool, ...], account_pools: Sequence[str], ids: Sequence[str], number: Mapping[str, int]
) -> tuple[Pool, ...]:
    member: dict[str, str] = {}
    groups: dict[str, list[str]] = {}
    for pool in given:
        if pool.id in groups:
            raise InvalidBook(f"pool {pool.id}", "two of that id", "one")
        groups[pool.id] = []
        for name in pool.accounts:
            if name not in number:
                raise InvalidBook(f"pool {pool.id}", f"account {name}", "a listed account", nearest(name, ids))
            if name in member:
                raise InvalidBook(
                    f"pool {pool.id}", f"account {name}, already in {member[name]}", "one pool an account"
                )
            member[name] = pool.id
            groups[pool.id].append(name)
    for name, pool_id in zip(ids, account_pools, strict=True):
        if not pool_id:
            continue
        if member.get(name, pool_id) != pool_id:
            raise InvalidBook(f"account {name}, pool", f"{pool_id}, already in {member[name]}", "one pool an account")
        if name not in member:
            member[name] = pool_id
            groups.setdefault(pool_id, []).append(name)
    clash = sorted(groups.keys() & set(number))
    for name in clash:
        if groups[name] != [name]:
            raise InvalidBook(f"pool {name}", "the id of an account", "an id of its own")
    return tuple(Pool(id=key, accounts=tuple(sorted(groups[key]))) for key in sorted(groups) if groups[key])


def _mode(account: Account, position: Position) -> str:
    return position.margin_mode or account.mode


def _number(place: str, value: object, *, least: float | None = None) -> None:
    try:
        number = exact(value)
    except ValueError as error:
        raise InvalidBook(place, str(error), "a finite number") from None
    if least is not None and number < exact(least):
        raise InvalidBook(place, str(number), f"{least:g} or more")


def _check_position(account: Account, position: Position, catalogue: Catalogue) -> None:
    place = f"account {account.id}, position {position.symbol}"
    if position.symbol not in catalogue.number:
        raise InvalidBook(place, "an unknown symbol", "a listed instrument", nearest(position.symbol, catalogue.number))
    _number(f"{place}, quantity", position.quantity)
    if position.entry_price is not None:
        _number(f"{place}, entry_price", position.entry_price)
    if position.margin_mode not in (None, *MARGIN_MODES):
        raise InvalidBook(f"{place}, margin_mode", repr(position.margin_mode), " or ".join(MARGIN_MODES))
    collateral = position.isolated_collateral
    if _mode(account, position) == "isolated":
        if collateral is None:
            raise InvalidBook(
                f"{place}, isolated_collateral",
                "nothing",
                "the collateral ring-fenced for it, in the settle asset",
            )
        _number(f"{place}, isolated_collateral", collateral, least=0.0)
        if catalogue[position.symbol].kind == "spot":
            raise InvalidBook(f"{place}, margin_mode", "isolated", "cross: a spot position is a balance")
    elif collateral is not None:
        raise InvalidBook(
            f"{place}, isolated_collateral",
            f"{collateral} on a cross position",
            "margin_mode isolated, or nothing",
        )


def _check_balance(account: Account, balance: Balance, locations: Mapping[str, int]) -> None:
    place = f"account {account.id}, balance {balance.asset}"
    if not 0 < len(balance.asset) <= NAME_LENGTH_MAX:
        raise InvalidBook(place, "an asset name of that length", f"1 to {NAME_LENGTH_MAX} characters")
    _number(f"{place}, amount", balance.amount)
    if balance.location not in locations:
        raise InvalidBook(f"{place}, location", repr(balance.location), f"one of {', '.join(locations)}")
    if balance.state not in ("final", "pending"):
        raise InvalidBook(f"{place}, state", repr(balance.state), "final or pending")


def _checked_orders(orders: Iterable[Order], accounts: Mapping[str, int], catalogue: Catalogue) -> Iterable[Order]:
    for k, order in enumerate(orders):
        place = f"orders[{k}]"
        if order.account not in accounts:
            raise InvalidBook(
                f"{place}, account", repr(order.account), "a listed account", nearest(order.account, accounts)
            )
        if order.symbol not in catalogue.number:
            raise InvalidBook(
                f"{place}, symbol",
                repr(order.symbol),
                "a listed instrument",
                nearest(order.symbol, catalogue.number),
            )
        _number(f"{place}, quantity", order.quantity)
        _number(f"{place}, limit", order.limit)
        yield order
