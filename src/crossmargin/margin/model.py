"""The question every margin model answers, and the shape of the answer."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from math import fsum
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from crossmargin.book import Pools
from crossmargin.exact import exact_sums
from crossmargin.instruments import Asset, Catalogue
from crossmargin.pricing import Valuation
from crossmargin.ragged import group_sums, slices, starts
from crossmargin.units import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from crossmargin.margin.orders import OpenOrders

Ingredients: TypeAlias = Any
"""What a model's totals are made of, a row a pool: an array, or anything with +, -, [rows] and nbytes."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portfolios:
    """What a margin model sees of the pools: legs, collateral and prices.

    Shapes: P pools, L legs, B balances; legs and balances are ragged rows of `pools`.
    """

    pools: Pools
    valuation: Valuation
    leg_row: IntArray
    """(L,) row of each leg in `valuation`."""
    entry_value: FloatArray
    """(L,) what the leg was worth at entry, in its settle asset; options: 0, their value is not P&L."""
    balance_price: FloatArray
    """(B,) value of one unit of the asset in the reporting currency."""
    counted: FloatArray
    """(B,) units that count: after haircut, caps and location for what is owned; a debt in full, negative."""
    rest: FloatArray
    """(B,) owned units that do not count; they may offset a short, never add a loss. 0 for debts."""
    credit_factor: FloatArray
    """(P,) what the pool's credit tier multiplies initial margin by; at least 1."""
    orders: OpenOrders | None = None
    """Open orders of the pools; None: there are none, or they play no part in what is asked."""
    whole_book: object = None
    """What the model said of the whole book (`BookModel.whole_book`); None: these pools are all there is."""
    stands_for: IntArray | None = None
    """(P,) pool of the whole book each pool is asked about in place of; None: pools are as the book has them."""

    def take(self, chosen: IntArray) -> Portfolios:
        """Return the pools `chosen`, in that order."""
        legs, _ = slices(self.pools.leg_start, chosen)
        balances, _ = slices(self.pools.balance_start, chosen)
        return replace(
            self,
            pools=self.pools.take(chosen),
            leg_row=self.leg_row[legs],
            entry_value=self.entry_value[legs],
            balance_price=self.balance_price[balances],
            counted=self.counted[balances],
            rest=self.rest[balances],
            credit_factor=self.credit_factor[chosen],
            stands_for=None if self.stands_for is None else self.stands_for[chosen],
            orders=None if self.orders is None else self.orders.of_pools(chosen),
        )

    @property
    def leg_instrument(self) -> IntArray:
        """(L,) instrument number in the catalogue."""
        return self.pools.leg_instrument

    @property
    def quantity(self) -> FloatArray:
        """(L,) signed contracts."""
        return self.pools.leg_quantity

    def legs(self, column: FloatArray) -> FloatArray:
        """Return a column of the valuation, one entry a leg."""
        return np.asarray(column[self.leg_row])

    @property
    def is_option(self) -> BoolArray:
        """(L,) True for legs that are options."""
        return self.valuation.is_option[self.leg_row]

    @property
    def leg_value(self) -> FloatArray:
        """(L,) quantity x unit value in the reporting currency: what the legs are worth before entry value."""
        return self.quantity * self.legs(self.valuation.unit_value) * self.legs(self.valuation.settle_fx)

    @property
    def counted_value(self) -> FloatArray:
        """(B,) value of what counts, in the reporting currency."""
        return self.counted * self.balance_price


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Terms:
    """Named parts of requirements, sorted by pool; credits are negative."""

    pool: IntArray
    name: tuple[str, ...]
    """Distinct names; `label` numbers them."""
    label: IntArray
    amount: FloatArray

    @classmethod
    def of(cls, parts: list[tuple[str, IntArray, FloatArray]], count: int) -> Terms:
        """Return the non-zero terms of (name, pools, amounts) parts, by pool, then in the order of `parts`."""
        names = tuple(dict.fromkeys(name for name, _, _ in parts))
        number = {name: k for k, name in enumerate(names)}
        pool = np.concatenate([np.zeros(0, dtype=np.int64), *(pools for _, pools, _ in parts)])
        amount = np.concatenate([np.zeros(0), *(amounts for _, _, amounts in parts)])
        label = np.concatenate(
            [np.zeros(0, dtype=np.int64), *(np.full(len(pools), number[name]) for name, pools, _ in parts)]
        )
        return cls.of_rows(pool, names, label, amount)

    @classmethod
    def of_rows(cls, pool: IntArray, name: tuple[str, ...], label: IntArray, amount: FloatArray) -> Terms:
        """Return the non-zero terms of rows (pool, label, amount), by pool, then in their own order."""
        order = np.argsort(pool, kind="stable")
        order = order[amount[order] != 0.0]
        return cls(pool=pool[order], name=name, label=label[order], amount=amount[order])

    def followed_by(self, later: Terms) -> Terms:
        """Return the terms of both, a pool's own terms before its later ones."""
        return Terms.of_rows(
            np.concatenate((self.pool, later.pool)),
            self.name + later.name,
            np.concatenate((self.label, later.label + len(self.name))),
            np.concatenate((self.amount, later.amount)),
        )

    def total(self, count: int) -> FloatArray:
        """Return each pool's correctly rounded sum, shape (count,)."""
        return exact_sums(starts(self.pool, count), self.amount)

    def of_pool(self, pool: int) -> list[tuple[str, float]]:
        """Return the (name, amount) terms of one pool."""
        low, high = np.searchsorted(self.pool, (pool, pool + 1))
        return [(self.name[self.label[k]], float(self.amount[k])) for k in range(low, high)]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class WorstScenarios:
    """The scenario that costs each pool most: of all its blocks, the one with the largest loss."""

    block: IntArray
    scenario: IntArray
    """(P,) -1 where no scenario loses."""
    loss: FloatArray
    """(P,) what of the loss counts, in the reporting currency."""
    name: Callable[[int, int], str]
    """(block, scenario) -> readable name."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Requirement:
    """What each pool must have, and what that is made of."""

    initial: FloatArray
    """(P,)"""
    maintenance: FloatArray
    """(P,) the correctly rounded sum of the pool's terms."""
    terms: Terms
    """Parts of maintenance."""
    leg_share: FloatArray
    """(L,) Aumann-Shapley share of maintenance; with `balance_share` they add up to it."""
    balance_share: FloatArray
    """(B,)"""
    worst: WorstScenarios | None = None
    """None for models without scenarios."""
    above_maintenance: Terms | None = None
    """Named parts of what initial margin asks beyond maintenance; None: one part, the initial factor."""

    @classmethod
    def nothing(cls, portfolios: Portfolios) -> Requirement:
        """Return the requirement of pools that nothing can happen to: 0."""
        count = portfolios.pools.count
        return cls(
            initial=np.zeros(count),
            maintenance=np.zeros(count),
            terms=Terms.of([], count),
            leg_share=np.zeros(len(portfolios.leg_row)),
            balance_share=np.zeros(len(portfolios.balance_price)),
        )


@dataclass(frozen=True, slots=True)
class ScenarioSource:
    """Where a model's scenarios come from."""

    source: str
    """`grid`, `history`, `reference`, or `none`."""
    start: date | None
    end: date | None
    count: int
    """Scenarios a pool's requirement is taken over (of each group, for a grid)."""
    effective_sample: float | None = None
    """Windows of history that do not overlap; None where nothing overlaps."""
    stressed: int = 0
    """Stressed scenarios beside them."""
    notes: tuple[str, ...] = ()
    """What the reader must know of them, as sentences."""


@runtime_checkable
class BookModel(Protocol):
    """A margin model by which what a pool must have depends on the rest of the book, and which margins open orders."""

    def whole_book(self, portfolios: Portfolios) -> object:
        """Return what pools need to know of the whole book, given all its pools; see `Portfolios.whole_book`."""
        ...


class MarginModel(Protocol):
    """Answers one question: how much must each pool have?

    The totals come from ingredients that add up over parts of a pool, so that a price ladder reprices only what a
    move touches: holdings that share no block may be computed apart and their ingredients added.
    """

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the instrument numbers held that this model cannot margin."""
        ...

    def blocks(self, catalogue: Catalogue) -> IntArray:
        """Return the block each asset moves in, (assets,); -1 where holdings in it may always be separated."""
        ...

    @property
    def nets_delta_one(self) -> bool:
        """Whether futures, perpetuals of one underlying that are paid alike may be taken as one of equal value."""
        ...

    def bends(self, asset: Asset) -> FloatArray:
        """Return relative price moves at which the requirement of a book on this asset may bend, 0 among them."""
        ...

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return where the scenarios come from."""
        ...

    def ingredients(self, portfolios: Portfolios) -> Ingredients:
        """Return what the totals are made of, a row a pool: it adds up over parts that share no block."""
        ...

    def totals(self, ingredients: Ingredients, credit_factor: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial), each (P,), from ingredients and the factor of the credit tier (P,)."""
        ...

    def requirement(self, portfolios: Portfolios) -> Requirement:
        """Return what each pool must have, with its terms and shares."""
        ...


def shared_exactly(
    maintenance: FloatArray,
    leg_pool: IntArray,
    leg_share: FloatArray,
    balance_pool: IntArray,
    balance_share: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    """Return the shares with each pool's rounding remainder put on its largest, so they add up exactly.

    A remainder finer than the last bit of the largest share, left where large shares cancel, goes to the largest
    that can take it.
    """
    count = len(maintenance)
    pool = np.concatenate((leg_pool, balance_pool))
    share = np.concatenate((leg_share, balance_share))
    order = np.argsort(pool, kind="stable")
    start = starts(pool, count)
    share, size = share[order], np.abs(share[order])
    filled = np.flatnonzero(np.diff(start) > 0)
    largest = np.zeros(count, dtype=np.int64)
    # First row of the greatest size in each pool.
    by_size = np.lexsort((np.arange(len(share)), -size, pool[order]))
    largest[filled] = by_size[start[filled]]
    pending = filled
    for _ in range(4):
        remainder = maintenance[pending] - exact_sums(start, share)[pending]
        pending, remainder = pending[remainder != 0], remainder[remainder != 0]
        if not len(pending):
            break
        share[largest[pending]] += remainder
    for p in pending.tolist():
        rows = slice(start[p], start[p + 1])
        share[rows] = _topped_up(share[rows], float(maintenance[p]))
    back = np.empty_like(share)
    back[order] = share
    return back[: len(leg_share)], back[len(leg_share) :]


_TOP_UPS = 64
"""How many shares are tried to take a last bit; one of the first nearly always can."""


def _topped_up(share: FloatArray, total: float) -> FloatArray:
    """Return the shares of one pool with the largest changed that makes them add up to `total` exactly, if any does."""
    # Not total - fsum(share), which has lost what lies below the last bit of the total.
    remainder = -fsum([*share.tolist(), -total])
    for row in np.argsort(-np.abs(share), kind="stable")[:_TOP_UPS].tolist():
        changed = share.copy()
        changed[row] += remainder
        if fsum(changed.tolist()) == total:
            return changed
    return share


class PositionModel(ABC):
    """A model that charges each leg on its own; a subclass says how much."""

    @abstractmethod
    def charges(self, portfolios: Portfolios) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial) of each leg, (L,), in the reporting currency."""

    def blocks(self, catalogue: Catalogue) -> IntArray:
        """Return -1 for every asset: legs are charged apart."""
        return np.full(len(catalogue.assets), -1, dtype=np.int64)

    @property
    def nets_delta_one(self) -> bool:
        """Return False: each leg is charged for its own size."""
        return False

    def bends(self, asset: Asset) -> FloatArray:
        """Return 0 alone: no scenarios."""
        return np.zeros(1)

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return that there are none."""
        return ScenarioSource("none", None, None, 0)

    def ingredients(self, portfolios: Portfolios) -> FloatArray:
        """Return the sums of the legs' maintenance and initial charges, (P, 2)."""
        pools = portfolios.pools
        return np.stack(
            [group_sums(pools.leg_pool, charge, pools.count) for charge in self.charges(portfolios)], axis=1
        )

    def totals(self, ingredients: FloatArray, credit_factor: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial), each (P,)."""
        maintenance, initial = ingredients.T
        return maintenance, np.maximum(initial * credit_factor, maintenance)

    def requirement(self, portfolios: Portfolios) -> Requirement:
        """Return what each pool must have: one term a leg, named by its symbol."""
        pools = portfolios.pools
        maintenance, initial = self.charges(portfolios)
        instruments = portfolios.valuation.catalogue.instruments
        rows = _rows_by(pools.leg_instrument)
        terms = Terms.of(
            [
                (f"position {instruments[k].symbol}", pools.leg_pool[rows[k]], maintenance[rows[k]])
                for k in sorted(rows)
            ],
            pools.count,
        )
        total = terms.total(pools.count)
        leg_share, balance_share = shared_exactly(
            total, pools.leg_pool, maintenance, pools.balance_pool, np.zeros(len(pools.balance_amount))
        )
        initial_total = group_sums(pools.leg_pool, initial, pools.count) * portfolios.credit_factor
        return Requirement(
            initial=np.maximum(initial_total, total),
            maintenance=total,
            terms=terms,
            leg_share=leg_share,
            balance_share=balance_share,
        )


def _rows_by(key: IntArray) -> dict[int, IntArray]:
    if not len(key):
        return {}
    order = np.argsort(key, kind="stable")
    values, first = np.unique(key[order], return_index=True)
    return {int(k): rows for k, rows in zip(values, np.split(order, first[1:]), strict=True)}
