"""Books: the state of the house as a book and a market that margin models take. The door from integers to floats."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import numpy as np

from crossmargin.book import Book, Location, Order, Positions
from crossmargin.clearing.averaging import rest_of
from crossmargin.clearing.expiry import expiry_of, payoffs
from crossmargin.clearing.ledger import BORROWED, HERE, LENT
from crossmargin.clearing.marks import INDEX_SCALE, UNKNOWN, VOL_SCALE
from crossmargin.clearing.parties import SETTLED, TIERS
from crossmargin.clearing.positions import FUNDING_UNIT
from crossmargin.errors import MissingPrice
from crossmargin.instruments import Asset, Catalogue
from crossmargin.market import Mark, Market
from crossmargin.ragged import group_sums
from crossmargin.units import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from crossmargin.clearing.risk import Fill
    from crossmargin.clearing.state import State

_FEW = 64
"""Accounts whose positions are found one by one; of more, all positions there are are looked through."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Accounts margined as one pool, as they are or as they would be."""

    accounts: tuple[int, ...]
    fills: tuple[tuple[int, Fill], ...] = ()
    """(account, fill) that would have happened."""
    paid: tuple[tuple[int, int, int, int], ...] = ()
    """(account, asset, location, minor units) of final money that would have come (> 0) or gone."""
    ordered: tuple[tuple[int, int, int, int], ...] = ()
    """(account, instrument, lots, ticks) of orders that would rest, beside those that do."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """What is listed, as a catalogue; instruments and assets of the house by their numbers there and here."""

    catalogue: Catalogue
    instrument: IntArray
    """(instruments of the house,) number in the catalogue."""
    asset: IntArray
    """(assets of the house,)"""
    unit: FloatArray
    """(assets of the house,) minor units in one unit."""
    lot: FloatArray
    """(instruments of the house,) contracts in one lot; of what is being averaged, those that can still move."""
    fixed: FloatArray
    """(instruments of the house,) minor units that one lot is worth for certain beside those."""
    settle: IntArray
    """(instruments of the house,) number of the settlement asset, of the house."""

    @classmethod
    def of(cls, state: State) -> Terms:
        """Return the terms of everything that is listed and not settled, and of all assets."""
        parties = state.parties
        assets = [Asset(symbol=a.symbol, asset_class=a.asset_class, decimals=a.decimals) for a in parties.assets]
        contracts = [listing.contract for listing in parties.instruments]
        rests = {k: rest for k in range(len(contracts)) if (rest := rest_of(state, k)) is not None}
        instruments = [rests[k].instrument if k in rests else c.instrument for k, c in enumerate(contracts)]
        catalogue = Catalogue.of(instruments, assets)
        lot = np.array([contract.lots(1) for contract in contracts], dtype=np.float64)
        fixed = np.zeros(len(contracts))
        for k, rest in rests.items():
            decimals = parties.assets[contracts[k].settle].decimals
            fixed[k] = lot[k] * float(contracts[k].instrument.contract_size) * rest.fixed * 10.0**decimals
            lot[k] *= rest.share
        return cls(
            catalogue=catalogue,
            instrument=np.array([catalogue.number[c.instrument.symbol] for c in contracts], dtype=np.int64),
            asset=np.array([catalogue.asset_number[a.symbol] for a in parties.assets], dtype=np.int64),
            unit=np.array([10.0**a.decimals for a in parties.assets]),
            lot=lot,
            fixed=fixed,
            settle=np.array([contract.settle for contract in contracts], dtype=np.int64),
        )


def market_of(state: State, template: Market) -> Market:
    """Return the market that the marks tell of, at the time of the newest.

    History, vols, rates and the prices of what has no mark are the template's.

    An index is the price of the underlying of that name and, where it is an asset (priced in the reporting currency
    then), its value too.
    """
    marks, parties = state.marks, state.parties
    currency = parties.assets[state.currency].symbol
    prices, fx, known = dict(template.prices), dict(template.fx), dict(template.marks)
    quotes = {
        listing.contract.instrument.underlying: listing.contract.instrument.quote for listing in parties.instruments
    }
    for name, index in marks.indices.items():
        value = index / INDEX_SCALE
        if name in quotes:
            prices[name] = value
        if name in parties.asset_number and quotes.get(name, currency) == currency:
            fx[name] = value
    # What was there before a mark came is never kept beside it: two prices of one thing must agree.
    for name in marks.indices.keys() & template.fx.keys() - fx.keys():
        fx.pop(name, None)
    for k, listing in enumerate(parties.instruments):
        ticks, vol = marks.of(k), marks.vol_of(k)
        if listing.stage == SETTLED or (ticks is None and vol is None):
            continue
        # A premium in ticks is rounded; the vol, where there is one, is what the option is priced by.
        price = listing.contract.price(ticks) if ticks is not None and vol is None else None
        mark, rest = Mark(price=price, iv=None if vol is None else vol / VOL_SCALE), rest_of(state, k)
        known[listing.contract.instrument.symbol] = mark if rest is None else rest.mark
    return template.with_(
        time=_EPOCH + timedelta(microseconds=(marks.latest() or state.now) // 1_000),
        currency=currency,
        prices=prices,
        fx=fx,
        marks=known,
    )


def book_of(state: State, terms: Terms, cases: Sequence[Case], *, orders: bool = False) -> Book:
    """Return the book of `cases`, a pool each, in their order; `orders`: with what rests at venues.

    Pools come as `evaluate` puts them: `pool_numbers` says where. Contracts that have expired and are not settled yet
    are worth their settlement price; while that is not known their last mark. Raises MissingPrice where there is none.
    """
    parties = state.parties
    many = np.array([len(case.accounts) > 1 for case in cases], dtype=np.bool_)
    account = np.array([a for case in cases for a in case.accounts], dtype=np.int64)
    case_of = np.repeat(np.arange(len(cases)), [len(case.accounts) for case in cases])
    row_of = {(int(c), int(a)): k for k, (c, a) in enumerate(zip(case_of, account, strict=True))}
    holder, slot = _slots(state, account)
    lots, cost = state.positions.lots[slot].astype(np.float64), state.positions.cost[slot].astype(np.float64)
    instrument = state.positions.instrument[slot]
    accrued = (state.positions.funding_entry[slot] - lots * state.positions.funding_index[instrument]) / FUNDING_UNIT
    money = [(holder, terms.settle[instrument], accrued)]
    extra = [(row_of[c, a], fill) for c, case in enumerate(cases) for a, fill in case.fills]
    if extra:
        filled, more = _filled(state, extra)
        holder, instrument = np.append(holder, filled[0]), np.append(instrument, filled[1])
        lots, cost = np.append(lots, filled[2].astype(np.float64)), np.append(cost, filled[3].astype(np.float64))
        money.append(more)
    expired = _expired(state)[instrument]
    if expired.any():
        value = np.array(
            [_last_value(state, int(k), int(n)) for k, n in zip(instrument[expired], lots[expired], strict=True)]
        )
        money.append((holder[expired], terms.settle[instrument[expired]], value + cost[expired]))
        holder, instrument, lots, cost = holder[~expired], instrument[~expired], lots[~expired], cost[~expired]
    certain = terms.fixed[instrument] * lots
    if certain.any():
        option = np.array([listing.contract.option for listing in parties.instruments], dtype=np.bool_)[instrument]
        money.append((holder[option], terms.settle[instrument[option]], certain[option]))
        cost = cost + np.where(option, 0.0, certain)
    cash = state.ledger.cash[account, : len(parties.assets)]
    who, asset = np.nonzero(cash)
    money.append((who, asset, cash[who, asset].astype(np.float64)))
    names = [f"{c:09d}.{a:09d}" for c, a in zip(case_of.tolist(), account.tolist(), strict=True)]
    resting = _resting(state, cases, row_of, names) if orders else ()
    return Book.from_columns(
        terms.catalogue,
        ids=names,
        owners=[parties.accounts[a].owner for a in account.tolist()],
        credits=[TIERS[parties.accounts[a].tier] for a in account.tolist()],
        modes=["cross"] * len(names),
        account_pools=[f"pool {c:09d}" if many[c] else "" for c in case_of.tolist()],
        positions=_positions(state, terms, holder, instrument, lots, cost),
        balances=_balances(state, terms, money, account, row_of, cases),
        locations=_locations(state),
        orders=tuple(resting),
        rules="",
    )


def pool_numbers(cases: Sequence[Case]) -> IntArray:
    """Return the pool of each case in the standing of its book, (cases,): those of several accounts come first."""
    many = np.array([len(case.accounts) > 1 for case in cases], dtype=np.bool_)
    return np.where(many, np.cumsum(many) - 1, int(many.sum()) + np.cumsum(~many) - 1)


def _slots(state: State, account: IntArray) -> tuple[IntArray, IntArray]:
    """Return (row in `account`, slot) of every position of the accounts, in no particular order."""
    held = state.positions
    if len(account) < _FEW or len(np.unique(account)) < len(account):
        found: list[tuple[int, int]] = []
        for row, a in enumerate(account.tolist()):
            slot = int(held.first[a]) if a < len(held.first) else -1
            while slot >= 0:
                found.append((row, slot))
                slot = int(held.following[slot])
        return np.array([row for row, _ in found], dtype=np.int64), np.array([s for _, s in found], dtype=np.int64)
    row_of = np.full(len(state.parties.accounts), -1, dtype=np.int64)
    row_of[account] = np.arange(len(account))
    live = np.flatnonzero(held.live())
    of_slot = row_of[held.account[live]]
    return of_slot[of_slot >= 0], live[of_slot >= 0]


def _filled(
    state: State, extra: Sequence[tuple[int, Fill]]
) -> tuple[tuple[IntArray, IntArray, IntArray, IntArray], tuple[IntArray, IntArray, FloatArray]]:
    """Return fills as rows (holder, instrument, lots, cost) and the money they move (holder, asset, minor units)."""
    rows, money = [], []
    for holder, fill in extra:
        contract = state.parties.instruments[fill.instrument].contract
        paid = contract.value(fill.lots, fill.ticks) if contract.option else 0
        cost = 0 if contract.option else contract.value(-fill.lots, fill.ticks)
        rows.append((holder, fill.instrument, fill.lots, cost))
        money.append((holder, contract.settle, -paid - fill.fee))
    holders, instruments, lots, costs = (np.array(c, dtype=np.int64) for c in zip(*rows, strict=True))
    who, asset, amount = (np.array(c, dtype=np.int64) for c in zip(*money, strict=True))
    return (holders, instruments, lots, costs), (who, asset, amount.astype(np.float64))


def _expired(state: State) -> BoolArray:
    return np.array(
        [
            listing.contract.expiry is not None and listing.contract.expiry <= state.now
            for listing in state.parties.instruments
        ],
        dtype=np.bool_,
    )


def _last_value(state: State, instrument: int, lots: int) -> int:
    contract, ticks = state.parties.instruments[instrument].contract, state.marks.of(instrument)
    price = state.expiries.prices.get(expiry_of(contract))
    if price is not None:
        worth = payoffs(state, contract, np.array([lots], dtype=np.int64), price)
        if worth is not None:
            return int(worth[0])
    if ticks is None:
        symbol = contract.instrument.symbol
        raise MissingPrice(f"mark of {symbol}", "none, and it has expired", "the last price before it is settled")
    return contract.value(lots, ticks)


def _positions(
    state: State, terms: Terms, holder: IntArray, instrument: IntArray, lots: FloatArray, cost: FloatArray
) -> Positions:
    """Return rows summed by (holder, instrument) as positions of a book; profit not settled yet is kept exactly."""
    some = (lots != 0.0) | (cost != 0.0)
    holder, instrument, lots, cost = holder[some], instrument[some], lots[some], cost[some]
    number = terms.instrument[instrument]
    key, row = np.unique(holder * max(1, len(terms.catalogue)) + number, return_inverse=True)
    quantity = group_sums(row, lots * terms.lot[instrument], len(key))
    entry = group_sums(row, -cost / terms.unit[terms.settle[instrument]], len(key))
    return Positions(
        account=key // max(1, len(terms.catalogue)),
        instrument=key % max(1, len(terms.catalogue)),
        quantity=quantity,
        isolated=np.zeros(len(key), dtype=np.bool_),
        collateral=np.zeros(len(key)),
        priced=quantity,
        entry_value=entry,
    )


def _balances(
    state: State,
    terms: Terms,
    money: Iterable[tuple[IntArray, IntArray, FloatArray]],
    account: IntArray,
    row_of: dict[tuple[int, int], int],
    cases: Sequence[Case],
) -> tuple[IntArray, IntArray, IntArray, FloatArray, BoolArray]:
    """Return balance columns: what is here, what is elsewhere, and what the cases add.

    Pending money counts nowhere, and what was lent is somebody else's collateral now.
    """
    rows = [(holder, asset, np.full(len(holder), HERE), amount) for holder, asset, amount in money]
    of_account: dict[int, list[int]] = {}
    for (_, a), row in row_of.items():
        of_account.setdefault(a, []).append(row)
    apart = [
        (row, asset, place, float(amount))
        for (a, asset, place, pending), amount in sorted(state.ledger.elsewhere.items())
        if not pending and place != LENT and not (place > HERE and state.locations.places[place].worthless)
        for row in of_account.get(a, ())
    ]
    apart += [
        (row_of[c, a], asset, place, float(amount))
        for c, case in enumerate(cases)
        for a, asset, place, amount in case.paid
        if place != LENT
    ]
    if apart:
        who, asset, place, amount = (np.array(column) for column in zip(*apart, strict=True))
        # What was borrowed and is still here offsets its debt; the rest of the debt counts in full.
        place = np.where(place == BORROWED, HERE, place)
        rows.append((who, asset, place, amount))
    holder, asset, place, amount = (np.concatenate(columns) for columns in zip(*rows, strict=True))
    holder, asset, place = (column.astype(np.int64) for column in (holder, asset, place))
    # Rows of one place are added before they are divided: whole numbers add up without loss.
    assets, places = len(terms.unit), int(place.max(initial=0)) + 1
    key, row = np.unique((holder * assets + asset) * places + place, return_inverse=True)
    total = group_sums(row, amount, len(key))
    of_asset = key // places % assets
    return (
        key // places // assets,
        terms.asset[of_asset],
        key % places,
        total / terms.unit[of_asset],
        np.ones(len(key), dtype=np.bool_),
    )


def _locations(state: State) -> tuple[Location, ...]:
    unit = 10.0 ** state.parties.assets[state.currency].decimals
    return tuple(
        Location(
            id=place.name,
            finality_seconds=float(place.finality_seconds),
            fee=place.fee / unit,
            cap=None if place.cap < 0 else place.cap / unit,
            halted=place.halted,
        )
        for place in state.locations.places
    )


def _resting(
    state: State, cases: Sequence[Case], row_of: dict[tuple[int, int], int], names: Sequence[str]
) -> list[Order]:
    found = []
    for c, case in enumerate(cases):
        rows = [
            (a, order.instrument, order.lots, order.ticks, order.reduce_only)
            for a in case.accounts
            for _, order in state.orders.of_account(a)
        ]
        rows += [(*row, False) for row in case.ordered]
        for a, instrument, lots, ticks, reduce_only in rows:
            contract, rest = state.parties.instruments[instrument].contract, rest_of(state, instrument)
            share, fixed = (1.0, 0.0) if rest is None else (rest.share, rest.fixed)
            if share == 0.0:
                # All of its price is fixed: there is nothing that such an order could still lose.
                continue
            limit = (contract.price(ticks) - fixed) / share
            found.append(
                Order(
                    account=names[row_of[c, a]],
                    symbol=contract.instrument.symbol,
                    quantity=contract.lots(lots) * share,
                    limit=limit if contract.signed else max(limit, contract.price(1)),
                    reduce_only=reduce_only,
                )
            )
    return found


def known(state: State, instrument: int) -> bool:
    """Return whether an instrument has a mark or a vol: whether anything can be said of what it may lose."""
    return bool(state.marks.ticks[instrument] != UNKNOWN or state.marks.vols[instrument] != UNKNOWN)
