"""Order size: how many contracts more an account may order before it uses more of its balance than it should."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from decimal import Decimal
from math import inf, isfinite

import numpy as np

from crossmargin.book import Order
from crossmargin.book.columns import entry_unit_value
from crossmargin.errors import InputError, NotMargined, nearest
from crossmargin.instruments import KINDS
from crossmargin.margin import BookModel, OpenOrders
from crossmargin.pricing import Valuation, value
from crossmargin.ragged import starts
from crossmargin.standing.standing import (
    Standing,
    evaluate,
    margin_balance,
    portfolios_of,
    uncounted_of_fills,
    worth_of,
)
from crossmargin.units import BoolArray, FloatArray, IntArray

_SPOT, _OPTION = KINDS.index("spot"), KINDS.index("option")

SIDES = ("buy", "sell")
LOT_WITHOUT_ONE = Decimal("1e-8")
"""Sizes of contracts that state no lot are whole multiples of this."""
_ALL_LOTS = 1_024
"""So many lots are looked at one by one, larger sizes in steps."""
_STEPS_AN_OCTAVE = 32
_OCTAVES = 50
_STATES_AT_ONCE = 512
_ROUNDING = 1e-12
"""Of the target: a utilization that misses it by less is at it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSize:
    """The largest new order for which utilization stays at or below a target at every size up to it."""

    quantity: float
    """Contracts, 0 or more; infinite where no size reaches the target."""
    utilization_before: float | None
    """initial_margin / margin_balance of the account's pool now; None where there is no balance to use."""
    utilization_after: float | None
    """With the order; None where there is no balance left, or no limit."""
    utilization_beyond: float | None
    """With one lot more."""
    binding: str
    """`target`: one lot more would exceed it. `already above`: it is exceeded now. `nothing`: no size exceeds it."""
    lot: float
    limit: float
    """Price of the order: the one given, else the mark."""
    filled: bool
    """Taken as filled at once: the rule book margins no open orders."""


def max_order_size(
    standing: Standing, account: str, symbol: str, side: str, target: float = 1.0, limit: float | None = None
) -> OrderSize:
    """Return the largest new order of an account that keeps initial_margin / margin_balance at `target` or below.

    The ratio is that of the pool the account's cross positions are in. It must hold at every size from 0 to the one
    returned, which is a whole number of lots: an order that at first reduces what is used is followed through to
    where it uses more. Where the rule book margins open orders, the order is one more of them; else it is filled at
    once, at `limit`: futures and perpetuals are entered there, an option's premium is paid from its settle asset.

    Sizes up to 1,024 lots are looked at one by one, larger ones in steps of 2%, then halved down to the lot: beyond
    1,024 lots a stretch above the target narrower than a step could be passed over. Raises InputError for an unknown
    account, symbol or side, and for a target or limit out of range.
    """
    ladder = _ladder(standing, account, symbol, side, target, limit)
    before = float(ladder.utilization(np.zeros(1, dtype=np.int64))[0])
    if not _within(before, target):
        beyond = float(ladder.utilization(np.ones(1, dtype=np.int64))[0])
        return ladder.told(0.0, "already above", before, before, beyond)
    lots = _most_lots(ladder, target)
    if lots is None:
        return ladder.told(inf, "nothing", before, inf, inf)
    after, beyond = ladder.utilization(np.array([lots, lots + 1])).tolist()
    return ladder.told(float(lots * ladder.lot), "target", before, after, beyond)


def _within(utilization: FloatArray | float, target: float) -> BoolArray:
    return np.asarray(utilization <= target * (1.0 + _ROUNDING))


def _most_lots(ladder: _Ladder, target: float) -> int | None:
    """Return the largest number of lots up to which the target holds; None where no number exceeds it."""
    good = -1
    low, points = 0, np.arange(_ALL_LOTS + 1)
    for _ in range(_OCTAVES):
        bad = np.flatnonzero(~_within(ladder.utilization(points), target))
        if len(bad):
            first = int(points[bad[0]])
            good = int(points[bad[0] - 1]) if bad[0] > 0 else low
            return _closed_in(ladder, target, good, first)
        low = int(points[-1])
        points = np.unique(np.round(low * 2.0 ** (np.arange(1, _STEPS_AN_OCTAVE + 1) / _STEPS_AN_OCTAVE))).astype(
            np.int64
        )
    return None


def _closed_in(ladder: _Ladder, target: float, good: int, bad: int) -> int:
    while bad - good > 1:
        between = np.unique(np.linspace(good, bad, 18).astype(np.int64))[1:-1]
        fails = np.flatnonzero(~_within(ladder.utilization(between), target))
        if len(fails):
            bad = int(between[fails[0]])
            good = int(between[fails[0] - 1]) if fails[0] > 0 else good
        else:
            good = int(between[-1])
    return good


class _Ladder(ABC):
    """A pool with so many lots of one contract ordered."""

    filled: bool

    def __init__(self, pool: int, lot: Decimal, sign: float, limit: float) -> None:
        self.pool, self.lot, self.sign, self.limit = pool, lot, sign, limit

    def told(self, quantity: float, binding: str, before: float, after: float, beyond: float) -> OrderSize:
        """Return the answer; a utilization without a balance is none."""
        return OrderSize(
            quantity=quantity,
            utilization_before=before if isfinite(before) else None,
            utilization_after=after if isfinite(after) else None,
            utilization_beyond=beyond if isfinite(beyond) else None,
            binding=binding,
            lot=float(self.lot),
            limit=self.limit,
            filled=self.filled,
        )

    def utilization(self, lots: IntArray) -> FloatArray:
        """Return initial_margin / margin_balance at each number of lots; infinite where there is no balance."""
        parts = [
            self._margined(np.asarray(lots[low : low + _STATES_AT_ONCE] * (self.sign * float(self.lot))))
            for low in range(0, len(lots), _STATES_AT_ONCE)
        ]
        balance = np.concatenate([part[0] for part in parts])
        initial = np.concatenate([part[1] for part in parts])
        used = np.divide(initial, balance, out=np.full(len(lots), inf), where=balance > 0.0)
        return np.where((initial == 0.0) & (balance == 0.0), 0.0, used)

    @abstractmethod
    def _margined(self, quantity: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (margin_balance, initial margin) with each signed quantity ordered."""


class _Ordered(_Ladder):
    """Orders stay open: initial margin supposes the fills that hurt most."""

    filled = False

    def __init__(self, standing: Standing, pool: int, lot: Decimal, sign: float, order: Order) -> None:
        super().__init__(pool, lot, sign, order.limit)
        book = replace(standing.book, orders=(*standing.book.orders, order))
        # The whole book once more, with the order: its instrument may not have been priced.
        self.standing = evaluate(book, standing.market, standing.rules)

    def _margined(self, quantity: FloatArray) -> tuple[FloatArray, FloatArray]:
        standing, model = self.standing, self.standing.rules.model
        portfolios = standing.portfolios.take(np.full(len(quantity), self.pool))
        orders = portfolios.orders
        assert isinstance(orders, OpenOrders)
        # The new one comes last in the book, and so in its pool.
        last = starts(orders.pool, len(quantity))[1:] - 1
        quantities, uncounted = orders.quantity.copy(), orders.uncounted.copy()
        quantities[last] = quantity
        uncounted[last] = uncounted_of_fills(
            standing.pools,
            self.pool,
            int(orders.instrument[last[0]]),
            quantity,
            standing.rules,
            standing.market.currency,
            standing.valuation.catalogue,
        )
        portfolios = replace(portfolios, orders=replace(orders, quantity=quantities, uncounted=uncounted))
        _, initial = model.totals(model.ingredients(portfolios), portfolios.credit_factor)
        balance = np.full(len(quantity), standing.margin_balance[self.pool])
        return balance, initial + standing.worth.initial_only[self.pool]


class _Filled(_Ladder):
    """Orders are filled at once."""

    filled = True

    def __init__(self, standing: Standing, pool: int, lot: Decimal, sign: float, order: Order) -> None:
        super().__init__(pool, lot, sign, order.limit)
        self.standing = standing
        terms = standing.valuation.catalogue
        self.instrument = terms.number[order.symbol]
        if terms.kind[self.instrument] == _SPOT:
            raise InputError(
                f"order in {order.symbol}",
                "a spot instrument",
                f"a future, perpetual or option: under the rule book {standing.rules.name} orders count as filled, and"
                " buying an asset outright only swaps one balance for another",
            )
        self.valuation = _valued(standing, self.instrument)
        self.entry = float(entry_unit_value(terms, np.array([self.instrument]), np.array([order.limit]))[0])
        self._make_room()

    def _make_room(self) -> None:
        """Give the pool a leg of the instrument and a balance in what its premium is paid in, empty where new."""
        standing, terms = self.standing, self.valuation.catalogue
        pools = standing.pools.take(np.array([self.pool]))
        legs = slice(int(standing.pools.leg_start[self.pool]), int(standing.pools.leg_start[self.pool + 1]))
        rows = slice(int(standing.pools.balance_start[self.pool]), int(standing.pools.balance_start[self.pool + 1]))
        entry, weight = standing.portfolios.entry_value[legs], standing.weight[rows]
        leg = int(np.searchsorted(pools.leg_instrument, self.instrument))
        if leg == len(pools.leg_instrument) or pools.leg_instrument[leg] != self.instrument:
            pools = replace(
                pools,
                leg_start=np.array([0, len(pools.leg_instrument) + 1]),
                leg_instrument=np.insert(pools.leg_instrument, leg, self.instrument),
                **{
                    name: np.insert(getattr(pools, name), leg, 0.0)
                    for name in ("leg_quantity", "leg_priced", "leg_entry_value")
                },
            )
            entry = np.insert(entry, leg, 0.0)
        self.leg, self.row = leg, -1
        if terms.kind[self.instrument] == _OPTION:
            paid_in = int(terms.settle[self.instrument])
            here = (pools.balance_asset == paid_in) & (pools.balance_location == 0) & ~pools.balance_fenced
            self.row = int(np.argmax(here)) if here.any() else int(np.searchsorted(pools.balance_asset, paid_in))
            if not here.any():
                pools = replace(
                    pools,
                    balance_start=np.array([0, len(pools.balance_asset) + 1]),
                    balance_asset=np.insert(pools.balance_asset, self.row, paid_in),
                    balance_amount=np.insert(pools.balance_amount, self.row, 0.0),
                    balance_location=np.insert(pools.balance_location, self.row, 0),
                    balance_fenced=np.insert(pools.balance_fenced, self.row, False),
                )
                weight = np.insert(weight, self.row, 1.0)
        self.pools, self.entry_value, self.weight = pools, entry, weight

    def _margined(self, quantity: FloatArray) -> tuple[FloatArray, FloatArray]:
        standing, model, count = self.standing, self.standing.rules.model, len(quantity)
        pools = self.pools.take(np.zeros(count, dtype=np.int64))
        entry_value, weight = np.tile(self.entry_value, count), np.tile(self.weight, count)
        leg, paid = pools.leg_start[:-1] + self.leg, quantity * self.entry
        held = pools.leg_quantity.copy()
        held[leg] += quantity
        pools = replace(pools, leg_quantity=held, leg_priced=held)
        if self.row < 0:
            entry_value[leg] += paid
        else:
            amount = pools.balance_amount.copy()
            amount[pools.balance_start[:-1] + self.row] -= paid
            pools = replace(pools, balance_amount=amount)
        portfolios, counted = portfolios_of(
            pools,
            self.valuation,
            pools.leg_instrument,
            entry_value=entry_value,
            balance_price=self.valuation.fx[pools.balance_asset],
            weight=weight,
            rules=standing.rules,
            locations=standing.book.locations,
        )
        refused = model.refused(portfolios)
        if len(refused):
            terms = self.valuation.catalogue
            raise NotMargined(
                f"rule book {standing.rules.name}",
                terms.instruments[int(refused[0])].symbol,
                f"instruments it knows: {standing.rules.name} has no rule for these",
            )
        worth = worth_of(portfolios, counted)
        _, initial = model.totals(model.ingredients(portfolios), portfolios.credit_factor)
        return margin_balance(worth, standing.rules), initial + worth.initial_only


def _valued(standing: Standing, instrument: int) -> Valuation:
    """Return a valuation with the instrument priced."""
    valuation = standing.valuation
    if np.isfinite(valuation.unit_value[instrument]):
        return valuation
    needed = np.isfinite(valuation.unit_value)
    needed[instrument] = True
    return value(standing.market, valuation.catalogue, instruments=needed, assets=np.isfinite(valuation.fx))


def _ladder(standing: Standing, account: str, symbol: str, side: str, target: float, limit: float | None) -> _Ladder:
    """Return the ladder of an order; raise InputError for what cannot be."""
    terms, ids = standing.valuation.catalogue, list(standing.book.accounts.ids)
    if account not in ids:
        raise InputError("account", repr(account), "a listed account", nearest(account, ids))
    if symbol not in terms.number:
        raise InputError("symbol", repr(symbol), "a listed instrument", nearest(symbol, terms.number))
    if side not in SIDES:
        raise InputError("side", repr(side), " or ".join(SIDES))
    if not (isfinite(target) and target > 0.0):
        raise InputError("target", str(target), "a finite number above 0: 1 is the whole margin balance")
    k = terms.number[symbol]
    if limit is None:
        limit = float(_valued(standing, k).mark[k])
    elif not isfinite(limit) or (limit <= 0.0 and not terms.any_domain[k]):
        raise InputError("limit", str(limit), 'a price above 0; any finite one where the price domain is "any"')
    lot = terms.instruments[k].lot_size or LOT_WITHOUT_ONE
    sign = 1.0 if side == "buy" else -1.0
    pool = int(standing.where.of_account[ids.index(account)])
    order = Order(account=account, symbol=symbol, quantity=sign * float(lot), limit=limit)
    made = _Ordered if isinstance(standing.rules.model, BookModel) else _Filled
    return made(standing, pool, lot, sign, order)
