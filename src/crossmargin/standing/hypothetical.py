"""Hypothetical pools: the part of a pool that a change touches, at many states at once.

A question such as "where does this pool breach?" asks for the same pool at hundreds of prices. Each pair (pool,
asset that moves) becomes a small pool of the legs and balances the move touches; the rest of the pool is held as
constants, which the margin model's ingredients allow (see `MarginModel`). Where many assets move at once, and vols,
pools are taken whole. States of all pairs are then margined together by the very code that margins a book.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeAlias

import numpy as np

from crossmargin.instruments import KINDS
from crossmargin.margin import Portfolios
from crossmargin.margin.model import Ingredients
from crossmargin.ragged import group_sums, owners, slices, starts
from crossmargin.standing.shifts import Shifts, SingleShifts
from crossmargin.standing.standing import Standing, Worth, margin_balance, portfolios_of, worth_of
from crossmargin.units import Array, BoolArray, FloatArray, IntArray

_OPTION = KINDS.index("option")

_ROWS_AT_ONCE = 60_000
"""Legs and balances margined in one go: bounds memory; no number depends on it."""
_BYTES_AT_ONCE = 64_000_000
"""Ingredients of that many states at once, for models that keep a loss a scenario."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Figures:
    """What a hypothetical pool comes to. Columns have one entry a state."""

    margin_balance: FloatArray
    maintenance: FloatArray
    initial: FloatArray

    @property
    def excess(self) -> FloatArray:
        """margin_balance - maintenance: at or below 0 the pool is in breach."""
        return self.margin_balance - self.maintenance


Totals: TypeAlias = Callable[[Ingredients, FloatArray], tuple[FloatArray, FloatArray]]
"""(ingredients, credit factors) -> (maintenance, initial), as `MarginModel.totals`."""


class Part(NamedTuple):
    """The legs and the balances of some parts of pools, as columns sorted by (part, row of the standing's pools)."""

    legs: tuple[IntArray, IntArray]
    balances: tuple[IntArray, IntArray]


class Hypothetical:
    """Pairs (pool, asset) of a standing, ready to be margined at moved prices or with balances taken out.

    Shapes: N pairs. A price move is relative, or in price units where the asset's contracts may go negative.
    """

    def __init__(
        self,
        standing: Standing,
        pool: IntArray,
        asset: IntArray | None = None,
        *,
        whole: bool = False,
        orders: bool = False,
        alone: Part | None = None,
        totals: Totals | None = None,
    ) -> None:
        """Cut the small pools out; `whole` takes everything the pool has, whatever the move touches.

        Without `asset` any asset may move (`at_shifts`), so pools are taken whole. `orders` counts open orders in
        initial margin; their pools are then taken whole. `alone`: parts of the pools, as if nothing else were there.
        `totals` stand in for the model's own.
        """
        self.standing = standing
        self._totals = totals or standing.rules.model.totals
        self.pool = pool
        self.asset = np.full(len(pool), standing.valuation.currency) if asset is None else asset
        terms = standing.valuation.catalogue
        self._absolute: BoolArray = np.zeros(len(terms.assets), dtype=np.bool_)
        self._absolute[terms.underlying[terms.any_domain]] = True
        self.any_domain: BoolArray = self._absolute[self.asset] & (asset is not None)
        self._followers = _followers(standing)
        counted = standing.portfolios.orders if orders else None
        self._orders = None if counted is None else counted.of_pools(pool)
        if alone is not None:
            self._cut(*alone, rest=False)
        else:
            entirely = whole or asset is None or counted is not None
            self._cut(*(_everything if entirely else _touched)(standing, pool, self.asset))

    def balances(self, pair: IntArray) -> tuple[IntArray, IntArray]:
        """Return (state, balance row of the standing's pools) of the balances of the states `pair`, in order."""
        chosen, start = slices(self.pools.balance_start, pair)
        return owners(start), self._balance[chosen]

    def _cut(self, legs: tuple[IntArray, IntArray], balances: tuple[IntArray, IntArray], *, rest: bool = True) -> None:
        """Build the small pools, and what the rest of each pool comes to."""
        standing, count = self.standing, len(self.pool)
        pools = standing.pools
        pair_of_leg, self._leg = legs
        pair_of_balance, self._balance = balances
        self.pools = replace(
            pools,
            credit=pools.credit[self.pool],
            isolated=pools.isolated[self.pool],
            owner=pools.owner[self.pool],
            leg_start=starts(pair_of_leg, count),
            leg_instrument=pools.leg_instrument[self._leg],
            leg_quantity=pools.leg_quantity[self._leg],
            leg_priced=pools.leg_priced[self._leg],
            leg_entry_value=pools.leg_entry_value[self._leg],
            balance_start=starts(pair_of_balance, count),
            balance_asset=pools.balance_asset[self._balance],
            balance_amount=pools.balance_amount[self._balance],
            balance_location=pools.balance_location[self._balance],
            balance_fenced=pools.balance_fenced[self._balance],
        )
        self._entry_value = standing.portfolios.entry_value[self._leg]
        if standing.rules.model.nets_delta_one:
            self._net_delta_one(pair_of_leg)
        everybody = np.arange(count)
        now, worth = self._portfolios(everybody, self._one(everybody, np.zeros(count)), None)
        model = standing.rules.model
        if not rest:
            nothing = model.ingredients(now)
            self._rest = nothing - nothing
            self._rest_balance = self._rest_initial_only = np.zeros(count)
            return
        used, at = np.unique(self.pool, return_inverse=True)
        real = standing.portfolios.take(used)
        whole = model.ingredients(real if self._orders is not None else replace(real, orders=None))
        self._rest = whole[at] - model.ingredients(now)
        self._rest_balance = standing.margin_balance[self.pool] - margin_balance(worth, standing.rules)
        self._rest_initial_only = standing.worth.initial_only[self.pool] - worth.initial_only

    def _net_delta_one(self, pair: IntArray) -> None:
        """Take the futures and perpetuals of a pair that follow one underlying and are paid alike as one leg.

        Its quantity makes the change of value equal; its entry value makes the value equal.
        """
        small, valuation = self.pools, self.standing.valuation
        terms, instrument = valuation.catalogue, self.pools.leg_instrument
        option = terms.kind[instrument] == _OPTION
        apart = np.where(option, np.arange(len(instrument)) + 1, 0)
        keys = (
            apart,
            terms.any_domain[instrument],
            terms.inverse[instrument],
            terms.settle[instrument],
            terms.quote[instrument],
            terms.underlying[instrument],
            pair,
        )
        order = np.lexsort(keys)
        changes = np.zeros(max(0, len(order) - 1), dtype=np.bool_)
        for key in keys:
            changes |= np.diff(key[order].astype(np.int64)) != 0
        if changes.all():
            return
        first = np.flatnonzero(np.concatenate((np.ones(1, dtype=np.bool_), changes)))
        group = np.cumsum(np.concatenate(([0], changes)))
        lead = instrument[order[first]]
        size = np.where(terms.any_domain, terms.contract_size, valuation.unit_value)
        quantity, count = small.leg_quantity[order], len(first)
        # Of a lone leg nothing changes, not even by a rounding.
        alone = np.bincount(group, minlength=count) == 1
        total = group_sums(group, quantity * size[instrument[order]], count)
        # An option, always alone, may be worth nothing: no share of it is taken.
        netted = np.divide(total, size[lead], out=quantity[first].copy(), where=~alone)
        value = group_sums(group, quantity * valuation.unit_value[instrument[order]], count)
        entry = group_sums(group, self._entry_value[order], count)
        entry = np.where(alone, entry, entry + netted * valuation.unit_value[lead] - value)
        self.pools = replace(
            small,
            leg_start=starts(pair[order[first]], len(self.pool)),
            leg_instrument=lead,
            leg_quantity=netted,
            leg_priced=netted,
            leg_entry_value=entry,
        )
        self._entry_value = entry

    def at(self, pair: IntArray, move: FloatArray, amount: FloatArray | None = None) -> Figures:
        """Return the figures of the states (pair, move), each shape (states,).

        `amount` replaces the balances of the states' small pools, in the order `balances(pair)` gives them.
        """
        return self.at_shifts(pair, self._one(pair, move), amount)

    def healthy_by(self, pair: IntArray, move: FloatArray) -> FloatArray:
        """Return a number above 0 for the states that are healthy, 0 or below for those in breach, (states,).

        margin_balance - maintenance; with a balance below 0 a pool is in breach whatever is asked of it, and the
        number is the balance. A balance of exactly 0, that of an account without money and without profit, is asked:
        were it given as 0, a search would take it for a root.
        """
        figures = self.at_shifts(pair, self._one(pair, move), funded_only=True)
        return figures.excess

    def _one(self, pair: IntArray, move: FloatArray) -> Shifts:
        return SingleShifts(asset=self.asset[pair], size=move)

    def at_shifts(
        self, pair: IntArray, shifts: Shifts, amount: FloatArray | None = None, *, funded_only: bool = False
    ) -> Figures:
        """Return the figures of the states (pair, what moves), each shape (states,); see `at`.

        `funded_only` leaves out states with a margin balance below 0: their requirements are given as 0.
        """
        per_state = (np.diff(self.pools.leg_start) + np.diff(self.pools.balance_start))[pair] + 1
        bytes_a_state = self._rest.nbytes // max(1, len(self.pool))
        per_state = np.maximum(per_state, bytes_a_state * _ROWS_AT_ONCE // _BYTES_AT_ONCE)
        cuts = np.flatnonzero(np.diff(np.cumsum(per_state) // _ROWS_AT_ONCE)) + 1
        states = np.split(np.arange(len(pair)), cuts)
        balances = np.concatenate(([0], np.cumsum(np.diff(self.pools.balance_start)[pair])))
        parts = [
            self._at(
                pair[part],
                shifts.take(part),
                None if amount is None else amount[balances[part[0]] : balances[part[-1] + 1]],
                funded_only,
            )
            for part in states
            if len(part)
        ]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)] if parts else [np.zeros(0)] * 3
        return Figures(margin_balance=columns[0], maintenance=columns[1], initial=columns[2])

    def _at(
        self, pair: IntArray, shifts: Shifts, amount: FloatArray | None, funded_only: bool
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        standing = self.standing
        portfolios, worth = self._portfolios(pair, shifts, amount)
        balance = self._rest_balance[pair] + margin_balance(worth, standing.rules)
        maintenance, initial = np.zeros(len(pair)), np.zeros(len(pair))
        asked = np.flatnonzero(balance >= 0.0) if funded_only else np.arange(len(pair))
        if len(asked) < len(pair):
            portfolios = portfolios.take(asked)
        if len(asked):
            ingredients = self._rest[pair[asked]] + standing.rules.model.ingredients(portfolios)
            maintenance[asked], initial[asked] = self._totals(ingredients, portfolios.credit_factor)
        return balance, maintenance, initial + self._rest_initial_only[pair] + worth.initial_only

    def _portfolios(self, pair: IntArray, shifts: Shifts, amount: FloatArray | None) -> tuple[Portfolios, Worth]:
        standing = self.standing
        valuation, terms = standing.valuation, standing.valuation.catalogue
        pools = self.pools.take(pair)
        chosen, _ = slices(self.pools.leg_start, pair)
        balances, _ = slices(self.pools.balance_start, pair)
        if amount is not None:
            pools = replace(pools, balance_amount=amount)
        instrument = pools.leg_instrument
        state = pools.leg_pool
        underlying = terms.underlying[instrument]
        factor = self._fx_factor(shifts)
        step = shifts.of(underlying, state)
        # A contract whose own price stays positive keeps its distance from an index that need not, like the others.
        apart = np.flatnonzero(self._absolute[underlying] & ~terms.any_domain[instrument] & (step != 0.0))
        index = valuation.index[instrument[apart]] + step[apart]
        step[apart] /= valuation.forward[instrument[apart]]
        new = valuation.moved(
            instrument,
            step,
            factor(terms.settle[instrument], state),
            factor(terms.quote[instrument], state),
            shifts.vol_factor(underlying, state),
        )
        new.index[apart] = index
        balance_state = pools.balance_pool
        price = valuation.fx[pools.balance_asset] * factor(pools.balance_asset, balance_state)
        portfolios, counted = portfolios_of(
            pools,
            new,
            np.arange(len(instrument)),
            entry_value=self._entry_value[chosen],
            balance_price=price,
            weight=standing.weight[self._balance[balances]],
            rules=standing.rules,
            locations=standing.book.locations,
        )
        portfolios = replace(
            portfolios,
            orders=None if self._orders is None else self._orders.of_pools(pair),
            whole_book=standing.portfolios.whole_book,
            stands_for=self.pool[pair],
        )
        return portfolios, worth_of(portfolios, counted)

    def _fx_factor(self, shifts: Shifts) -> Callable[[IntArray, IntArray], FloatArray]:
        """Return a function (asset, state) -> what the value of one unit is multiplied by.

        An asset takes its own move; where the reporting currency itself moves, the assets it is quoted in move the
        other way. An asset whose price is stated in one that moves moves along: its price is held, not its value.
        Prices that may be negative are no asset's value.
        """
        valuation = self.standing.valuation
        currency, priced_in = valuation.currency, valuation.priced_in

        def factor(asset: IntArray, state: IntArray) -> FloatArray:
            still = self._absolute[asset] | (asset == currency)
            found = np.where(still, 1.0, 1.0 + shifts.of(asset, state))
            if len(self._followers) and not self._absolute[currency]:
                follows = np.isin(asset, self._followers)
                found = np.where(follows, found / (1.0 + shifts.of(np.full_like(asset, currency), state)), found)
            along = np.flatnonzero(priced_in[asset] >= 0)
            if len(along):
                found[along] *= factor(priced_in[asset[along]], state[along])
            return found

        return factor


def _everything(
    standing: Standing, pool: IntArray, asset: IntArray
) -> tuple[tuple[IntArray, IntArray], tuple[IntArray, IntArray]]:
    """Return all legs and balances of each pair's pool, as sorted (pair, row) columns."""
    legs, leg_start = slices(standing.pools.leg_start, pool)
    balances, balance_start = slices(standing.pools.balance_start, pool)
    return (owners(leg_start), legs), (owners(balance_start), balances)


def _touched(
    standing: Standing, pool: IntArray, asset: IntArray
) -> tuple[tuple[IntArray, IntArray], tuple[IntArray, IntArray]]:
    """Return the legs and the balances that a move of each pair's asset touches, as sorted (pair, row) columns.

    Touched: what has the asset as underlying, quote or settlement, and whatever shares a margin block with it.
    """
    pools, terms = standing.pools, standing.valuation.catalogue
    assets = len(terms.assets)
    block = standing.rules.model.blocks(terms)
    instrument = pools.leg_instrument
    underlying, settle, quote = terms.underlying[instrument], terms.settle[instrument], terms.quote[instrument]
    component = _components(block, np.stack((underlying, settle), axis=1), standing.valuation.currency)
    leg_component = component[underlying]
    leg_pool, balance_pool = pools.leg_pool, pools.balance_pool
    balance_component = component[pools.balance_asset]

    wanted_pair, wanted_asset = _moving_along(standing, asset)
    wanted_pool = pool[wanted_pair]

    direct = [
        _join(wanted_pool * assets + wanted_asset, leg_pool * assets + column) for column in (underlying, settle, quote)
    ]
    pair = np.concatenate([wanted_pair[left] for left, _ in direct])
    leg = np.concatenate([right for _, right in direct])
    own = _join(wanted_pool * assets + wanted_asset, balance_pool * assets + pools.balance_asset)
    capped = np.array([location.cap is not None for location in standing.book.locations])
    in_cap = np.flatnonzero(capped[pools.balance_location])
    beside = _join(pool, balance_pool[in_cap])
    balance_pair = np.concatenate((wanted_pair[own[0]], beside[0]))
    balance = np.concatenate((own[1], in_cap[beside[1]]))
    # Everything in a block with any of these comes along: a block is reduced as one.
    reached_pair = np.concatenate((np.arange(len(pool)), pair, balance_pair))
    reached = np.concatenate((component[asset], leg_component[leg], balance_component[balance]))
    linked = np.unique(np.stack((reached_pair, reached))[:, reached >= 0], axis=1)
    components = int(component.max(initial=0)) + 1
    key = pool[linked[0]] * components + linked[1]
    in_block = np.flatnonzero(leg_component >= 0)
    more = _join(key, leg_pool[in_block] * components + leg_component[in_block])
    pair, leg = np.concatenate((pair, linked[0][more[0]])), np.concatenate((leg, in_block[more[1]]))
    in_block = np.flatnonzero(balance_component >= 0)
    more = _join(key, balance_pool[in_block] * components + balance_component[in_block])
    balance_pair = np.concatenate((balance_pair, linked[0][more[0]]))
    balance = np.concatenate((balance, in_block[more[1]]))
    return _distinct(pair, leg), _distinct(balance_pair, balance)


def _followers(standing: Standing) -> IntArray:
    """Return the assets the reporting currency is quoted in: they move the other way."""
    terms = standing.valuation.catalogue
    return np.unique(terms.quote[terms.underlying == standing.valuation.currency])


def _moving_along(standing: Standing, asset: IntArray) -> tuple[IntArray, IntArray]:
    """Return (pair, asset) columns: what changes in value when each pair's asset moves, itself among it."""
    pair, found = np.arange(len(asset)), asset
    follows = np.flatnonzero(asset == standing.valuation.currency)
    for follower in _followers(standing).tolist():
        pair, found = np.append(pair, follows), np.append(found, np.full(len(follows), follower))
    new_pair, new = pair, found
    while len(new):
        # Those whose price is stated in what has just been found.
        left, right = _join(new, standing.valuation.priced_in)
        new_pair, new = new_pair[left], right
        pair, found = np.append(pair, new_pair), np.append(found, new)
    return _distinct(pair, found)


def _components(block: IntArray, links: IntArray, currency: int) -> IntArray:
    """Return a component number for each asset, -1 where its holdings may always be separated.

    Blocks are joined where a leg moves in two of them; the reporting currency moves nowhere.
    """
    left, right = block[links[:, 0]], np.where(links[:, 1] == currency, -1, block[links[:, 1]])
    both = (left >= 0) & (right >= 0) & (left != right)
    left, right = left[both], right[both]
    label = np.arange(int(block.max(initial=0)) + 1)
    while len(left) and (label[left] != label[right]).any():
        lower = np.minimum(label[left], label[right])
        np.minimum.at(label, label[left], lower)
        np.minimum.at(label, label[right], lower)
        label = label[label]
    return np.where(block >= 0, label[np.maximum(block, 0)], -1).astype(np.int64)


def _join(left: Array, right: Array) -> tuple[IntArray, IntArray]:
    """Return all pairs of positions (i, j) with left[i] == right[j]."""
    order = np.argsort(right, kind="stable")
    low = np.searchsorted(right[order], left, side="left")
    high = np.searchsorted(right[order], left, side="right")
    length = high - low
    i = np.repeat(np.arange(len(left)), length)
    j = np.arange(int(length.sum())) - np.repeat(np.cumsum(length) - length, length) + np.repeat(low, length)
    return i, order[j]


def _distinct(pair: IntArray, row: IntArray) -> tuple[IntArray, IntArray]:
    found = np.unique(np.stack((pair, row)), axis=1)
    return found[0], found[1]
