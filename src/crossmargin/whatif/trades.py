"""Trades: one pool with so many contracts more or fewer, at many sizes at once, margined as books are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite

import numpy as np

from crossmargin.errors import InputError, NotMargined, nearest, some_of
from crossmargin.instruments import KINDS
from crossmargin.standing import Standing, evaluate
from crossmargin.standing.standing import margin_balance, portfolios_of, worth_of
from crossmargin.units import FloatArray, IntArray

_SPOT, _OPTION = KINDS.index("spot"), KINDS.index("option")
_STATES_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Outcomes:
    """What a pool comes to after trades, in the reporting currency; columns have one entry a state."""

    margin_balance: FloatArray
    maintenance: FloatArray
    initial: FloatArray


class Trades:
    """A pool, and K contracts that may be traded for one of its accounts.

    Trades are done at the mark, at once, for `costs` (K,) a contract in the reporting currency, paid from the asset the
    contract settles in. Premiums of options are paid there too. Open orders of the pool stay as they are.
    """

    def __init__(
        self, standing: Standing, account: str, symbols: Sequence[str], costs: Mapping[str, float] | None = None
    ) -> None:
        """Price what is not priced yet. InputError for names the book does not know, spot, or a cost below 0."""
        ids = list(standing.book.accounts.ids)
        if account not in ids:
            raise InputError("account", repr(account), "a listed account", nearest(account, ids))
        known = standing.book.catalogue.number
        for symbol in symbols:
            if symbol not in known:
                raise InputError("symbol", repr(symbol), "a listed instrument", nearest(symbol, known))
            if standing.book.catalogue.kind[known[symbol]] == _SPOT:
                raise InputError(f"symbol {symbol}", "a spot instrument", "a future, perpetual or option")
        self.account = account
        self.symbols = tuple(dict.fromkeys(symbols))
        self.costs = np.array([(costs or {}).get(symbol, 0.0) for symbol in self.symbols])
        wrong = [
            s for s, cost in zip(self.symbols, self.costs.tolist(), strict=True) if not (isfinite(cost) and cost >= 0)
        ]
        if wrong:
            raise InputError("costs", some_of(wrong), "a finite cost a contract, 0 or more")
        # The whole book once more, as contracts nobody held are to be priced and to have their scenarios.
        self.standing = evaluate(standing.book.with_room(account, self.symbols), standing.market, standing.rules)
        catalogue = self.standing.book.catalogue
        self.pool = int(self.standing.where.of_account[ids.index(account)])
        self.instrument: IntArray = np.array([catalogue.number[symbol] for symbol in self.symbols], dtype=np.int64)
        pools = self.standing.pools
        first, end = pools.leg_start[self.pool], pools.leg_start[self.pool + 1]
        self._leg = np.searchsorted(pools.leg_instrument[first:end], self.instrument)
        first, end = pools.balance_start[self.pool], pools.balance_start[self.pool + 1]
        here = (pools.balance_location[first:end] == 0) & ~pools.balance_fenced[first:end]
        self._row = np.array(
            [
                int(np.flatnonzero(here & (pools.balance_asset[first:end] == asset))[0])
                for asset in catalogue.settle[self.instrument]
            ],
            dtype=np.int64,
        )
        refused = self.standing.rules.model.refused(self.standing.portfolios)
        if len(refused):
            names = [catalogue.instruments[k].symbol for k in refused.tolist()]
            raise NotMargined(f"rule book {self.standing.rules.name}", some_of(names), "instruments it knows")

    @property
    def held(self) -> FloatArray:
        """Contracts of each the pool has now, (K,)."""
        pools = self.standing.pools
        return np.asarray(pools.leg_quantity[pools.leg_start[self.pool] + self._leg])

    @property
    def notional(self) -> FloatArray:
        """What one contract is a claim on, in the reporting currency, (K,): size x index for options, else x mark."""
        valuation, terms = self.standing.valuation, self.standing.valuation.catalogue
        k = self.instrument
        value = np.abs(valuation.unit_value[k]) * valuation.fx[terms.settle[k]]
        underlying = terms.contract_size[k] * np.abs(valuation.index[k]) * valuation.fx[terms.quote[k]]
        return np.asarray(np.where(terms.kind[k] == _OPTION, underlying, value))

    def at(self, quantity: FloatArray) -> Outcomes:
        """Return what the pool comes to after trades of `quantity` contracts, bought > 0, (N, K)."""
        parts = [
            self._margined(quantity[low : low + _STATES_AT_ONCE]) for low in range(0, len(quantity), _STATES_AT_ONCE)
        ]
        columns = [np.concatenate(column) for column in zip(*parts, strict=True)]
        return Outcomes(margin_balance=columns[0], maintenance=columns[1], initial=columns[2])

    def _margined(self, quantity: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        standing, model, count = self.standing, self.standing.rules.model, len(quantity)
        valuation, terms = standing.valuation, standing.valuation.catalogue
        chosen = np.full(count, self.pool)
        pools = standing.pools.take(chosen)
        legs = slice(standing.pools.leg_start[self.pool], standing.pools.leg_start[self.pool + 1])
        rows = slice(standing.pools.balance_start[self.pool], standing.pools.balance_start[self.pool + 1])
        entry_value = np.tile(standing.portfolios.entry_value[legs], count)
        leg = pools.leg_start[:-1, None] + self._leg
        row = pools.balance_start[:-1, None] + self._row
        held, amount = pools.leg_quantity.copy(), pools.balance_amount.copy()
        np.add.at(held, leg, quantity)
        value = quantity * valuation.unit_value[self.instrument]
        option = terms.kind[self.instrument] == _OPTION
        np.add.at(entry_value, leg, np.where(option, 0.0, value))
        cost = np.abs(quantity) * self.costs / valuation.fx[terms.settle[self.instrument]]
        np.subtract.at(amount, row, np.where(option, value, 0.0) + cost)
        pools = replace(pools, leg_quantity=held, leg_priced=held, balance_amount=amount)
        portfolios, counted = portfolios_of(
            pools,
            valuation,
            pools.leg_instrument,
            entry_value=entry_value,
            balance_price=valuation.fx[pools.balance_asset],
            weight=np.tile(standing.weight[rows], count),
            rules=standing.rules,
            locations=standing.book.locations,
        )
        orders = standing.portfolios.orders
        portfolios = replace(
            portfolios,
            orders=None if orders is None else orders.of_pools(chosen),
            whole_book=standing.portfolios.whole_book,
            stands_for=chosen,
        )
        worth = worth_of(portfolios, counted)
        maintenance, initial = model.totals(model.ingredients(portfolios), portfolios.credit_factor)
        return margin_balance(worth, standing.rules), maintenance, initial + worth.initial_only
