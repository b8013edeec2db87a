"""The rule book's view: what a house's pools must have under a rule book, exactly, and quickly where a bound will do.

Exact is `standing.evaluate` on the pools in question. Between two looks at the marks a pool's last exact figures are an
anchor: what it has done since is bounded by what each contract needs on its own, and where the bound leaves room
nothing is evaluated again. The bound is used for rule books that claim what it rests on:

    grid          requirements are sub-additive and homogeneous:  IM(P + x) <= IM(P) + IM(x)
    portfolio     the same, but for add-ons that grow with the square of size at most: of m parts
                  IM(sum of parts) <= m x sum of IM(part), each part's rate taken at a size not below its own

Every other rule book is asked each time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from math import ceil
from typing import TYPE_CHECKING

import numpy as np

from crossmargin.clearing.books import Case, Terms, book_of, known, market_of, pool_numbers
from crossmargin.clearing.fees import fee_of
from crossmargin.clearing.ledger import FIRST_CLIENT, HERE
from crossmargin.clearing.orders import reduces_position
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.risk import HEALTHY, Fill, PoolStanding
from crossmargin.errors import InputError, MissingPrice
from crossmargin.margin import BookModel
from crossmargin.market import Market
from crossmargin.pricing import Valuation, value
from crossmargin.ragged import group_sums
from crossmargin.rules import Rules, parse
from crossmargin.standing import Standing, evaluate
from crossmargin.units import FloatArray

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

_BOUNDED = ("grid", "portfolio")
"""Models whose requirements the bound holds for."""
_CORNERS = 5
"""Instruments with orders of which every corner (all bought, all sold) is tried; others are held for apart."""


@dataclass(slots=True)
class _Anchor:
    """A pool when it was last evaluated: what it had, and how it stood without its open orders."""

    positions: dict[tuple[int, int], tuple[int, int]]
    cash: dict[tuple[int, int, int, bool], int]
    standing: PoolStanding
    fresh: bool = True
    """Whether nothing has touched it since."""


@dataclass(slots=True)
class _Prices:
    """Everything that follows from the marks alone."""

    market: Market
    terms: Terms
    valuation: Valuation
    lot_value: FloatArray
    """(instruments,) value of one lot in the reporting currency; NaN where nothing is known."""
    fx: FloatArray
    """(assets,) value of a minor unit in the reporting currency; NaN where unknown."""
    rates: dict[int, FloatArray] = field(default_factory=dict)
    """By k: (2, instruments) initial margin of one lot of 2^k bought, sold, alone; NaN where not known."""


class RuleBookView:
    """A `Risk` view that asks a rule book."""

    __slots__ = (
        "_additive", "_anchors", "_changes", "_looked_at", "_members", "_opened", "_prices", "_rules", "_seen",
        "_state", "_template", "_text",
    )  # fmt: skip

    def __init__(self, rules: Rules, market: Market) -> None:
        """Look at a house under `rules`, until its parameters name another rule book.

        market: what the marks do not tell: history, annual vols, rates, vols of what has no mark. Its time is not used.
        """
        self._opened, self._rules, self._template = rules, rules, market
        self._text = ""
        self._additive = rules.model_name == "grid"
        self._state: State | None = None
        self._prices: _Prices | None = None
        self._changes = self._seen = (-1, -1, -1)
        self._looked_at = (-1, -1)
        self._anchors: dict[int, _Anchor] = {}
        self._members: dict[int, tuple[int, ...]] = {}

    def watch(self, state: State) -> None:
        """Look at this state from now on: all of it is new."""
        self._state = state
        self._prices = None
        self._changes = self._seen = (-1, -1, -1)
        self._anchors.clear()
        self._members.clear()
        state.untouched()

    def pool_of(self, account: int) -> int:
        """Return the pool of an account: the number of its first account."""
        return self._accounts(account)[0]

    def standing(self, account: int) -> PoolStanding:
        """Return how the pool of an account stands now; initial margin with its open orders.

        Raises MissingPrice where something it holds has no mark yet.
        """
        state = self._now()
        anchor = self._exact(self.pool_of(account))
        accounts = self._accounts(account)
        if not any(state.orders.by_account.get(a) for a in accounts):
            return anchor.standing
        # Orders that only rest do not change how a pool stands, whatever they ask of initial margin.
        return replace(self._with_orders(Case(accounts=accounts)), status=anchor.standing.status)

    def stands_alone(self, state: State, accounts: Sequence[int]) -> bool:
        """Return whether accounts, margined as one pool with nobody else, meet their initial margin."""
        assert state is self._now()
        found = self._with_orders(Case(accounts=tuple(sorted(accounts))))
        return found.margin_balance >= found.initial

    def order_reserve(self, state: State, account: int, instrument: int, lots: int, ticks: int) -> int | Rejected:
        """Return what to hold for an order, in minor units of the reporting currency; or why it may not stand."""
        assert state is self._now()
        prices = self._priced()
        if not np.isfinite(prices.lot_value[instrument]):
            if reduces_position(state, account, instrument, lots):
                return 0
            return Rejected(Reason.MARK_IS_MISSING, state.parties.instruments[instrument].contract.instrument.symbol)
        need = self._rate(instrument, lots, abs(lots)) * abs(lots) + self._cost(instrument, lots, ticks)
        accounts = self._accounts(account)
        bounded = self._bound(accounts)
        if bounded is not None:
            balance, initial = bounded
            held = self._held(accounts)
            parts = self._parts(accounts, {instrument: lots})
            if balance >= parts * (initial + held + need):
                return self._minor(need)
        # As the bound would have it: what is held must not depend on how long ago the pool was evaluated.
        try:
            found = self._with_orders(Case(accounts=accounts, ordered=((account, instrument, lots, ticks),)))
            if found.initial <= found.margin_balance:
                return self._minor(need)
            if reduces_position(state, account, instrument, lots):
                before = self._exact(accounts[0]).standing
                mark = Fill(instrument, lots, ticks, 0)
                after = self._evaluated([Case(accounts=accounts, fills=((account, mark),))])[0]
                better = -self._cost(instrument, lots, ticks, signed=True)
                if after.margin_balance - better - after.initial >= before.margin_balance - before.initial:
                    return 0
        except MissingPrice as error:
            return Rejected(Reason.MARK_IS_MISSING, str(error))
        return Rejected(Reason.MARGIN_IS_INSUFFICIENT, f"needs {found.initial:.2f}, has {found.margin_balance:.2f}")

    def allows_fills(self, state: State, account: int, fills: Sequence[Fill]) -> Rejected | None:
        """Return None where an account may trade `fills` with nothing held for them, together; else why not."""
        assert state is self._now()
        prices, accounts = self._priced(), self._accounts(account)
        change: dict[int, int] = {}
        lost = 0.0
        for fill in fills:
            if not np.isfinite(prices.lot_value[fill.instrument]):
                symbol = state.parties.instruments[fill.instrument].contract.instrument.symbol
                return Rejected(Reason.MARK_IS_MISSING, symbol)
            change[fill.instrument] = change.get(fill.instrument, 0) + fill.lots
            lost += self._cost(fill.instrument, fill.lots, fill.ticks, signed=True, fee=fill.fee)
        bounded = self._bound(accounts)
        if bounded is not None:
            need = sum(self._rate(k, n, abs(n)) * abs(n) for k, n in change.items())
            balance, initial = bounded
            held = self._held(accounts)
            if balance - lost >= self._parts(accounts, change) * (initial + held + need):
                return None
        try:
            case = Case(accounts=accounts, fills=tuple((account, fill) for fill in fills))
            after = self._with_orders(case)
            if after.margin_balance >= after.initial:
                return None
            before = self._with_orders(Case(accounts=accounts))
        except MissingPrice as error:
            return Rejected(Reason.MARK_IS_MISSING, str(error))
        if after.margin_balance - after.initial >= before.margin_balance - before.initial:
            return None
        return Rejected(Reason.MARGIN_IS_INSUFFICIENT, f"needs {after.initial:.2f}, has {after.margin_balance:.2f}")

    def allows_withdrawal(self, state: State, account: int, asset: int, amount: int, location: int) -> bool:
        """Return whether the pool meets initial margin without `amount` of an asset and without unrealized profit."""
        assert state is self._now()
        case = Case(accounts=self._accounts(account), paid=((account, asset, location, -amount),))
        try:
            after = self._with_orders(case)
        except MissingPrice:
            return False
        return after.margin_balance - after.unrealized_gain >= after.initial

    def allows_change(self, state: State, account: int, changes: Sequence[tuple[int, int, int]]) -> bool:
        """Return whether a pool may change its money so: initial margin is met afterwards, or it is no worse off."""
        assert state is self._now()
        accounts = self._accounts(account)
        try:
            after = self._with_orders(Case(accounts=accounts, paid=tuple((account, *change) for change in changes)))
            if after.margin_balance - after.unrealized_gain >= after.initial:
                return True
            before = self._with_orders(Case(accounts=accounts))
        except MissingPrice:
            return False
        return after.margin_balance - after.initial >= before.margin_balance - before.initial

    def changed(self, state: State) -> list[tuple[int, int]]:
        """Return (pool, status) of each pool that does not stand as recorded, by number; `state` has just changed.

        A pool that holds something without a mark keeps the status it has.
        """
        assert state is self._state
        touched = state.all_touched()
        # Not `_changes`: deciding may have noticed before, and nobody has looked at all pools then.
        moved = self._seen != _version(state)
        self._seen = _version(state)
        self._now()
        recorded = state.standings.status
        found: dict[int, int] = {}
        for a in touched:
            if a >= FIRST_CLIENT and self.pool_of(a) != a and recorded.get(a, HEALTHY) != HEALTHY:
                # It has joined a pool that goes by another name.
                found[a] = HEALTHY
        if moved:
            pools = sorted({self.pool_of(a) for a in range(FIRST_CLIENT, len(state.parties.accounts))})
        else:
            pools = sorted({self.pool_of(a) for a in touched if a >= FIRST_CLIENT})
        # All at once: one by one would cost a look at the whole market each.
        self._statuses([pool for pool in pools if pool not in self._anchors])
        unsure = [pool for pool in pools if not self._surely_healthy(pool)]
        found |= dict.fromkeys((pool for pool in pools if recorded.get(pool, HEALTHY) != HEALTHY), HEALTHY)
        for pool, status in zip(unsure, self._statuses(unsure), strict=True):
            if status is None or status == recorded.get(pool, HEALTHY):
                found.pop(pool, None)
            else:
                found[pool] = status
        return sorted(found.items())

    # --- what there is

    def _now(self) -> State:
        """Return the state, having taken note of what has changed in it."""
        state = self._state
        assert state is not None, "risk: asked before it was given a state to watch"
        if self._changes != _version(state):
            self._changes = _version(state)
            self._adopt(state.parameters.rules(state.now))
            self._prices = None
            self._anchors.clear()
        size = (len(state.parties.accounts), len(state.parties.instruments))
        if size != self._looked_at:
            self._looked_at = size
            self._prices = None
        for a in state.all_touched():
            self._touch(a)
        state.untouched()
        return state

    def _adopt(self, text: str) -> None:
        """Ask the rule book of this text from now on; empty: the one the house was opened with."""
        if text == self._text:
            return
        self._text, self._rules = text, parse(text, "the rule book in force") if text else self._opened
        self._additive = self._rules.model_name == "grid"

    def _touch(self, account: int) -> None:
        accounts = self._members.get(account)
        if accounts is None:
            return
        if accounts != self._found_members(account):
            for a in (*accounts, *self._found_members(account)):
                for b in self._members.pop(a, ()):
                    self._members.pop(b, None)
                self._anchors.pop(a, None)
            self._anchors.pop(accounts[0], None)
            return
        anchor = self._anchors.get(accounts[0])
        if anchor is not None:
            anchor.fresh = False

    def _accounts(self, account: int) -> tuple[int, ...]:
        """Return the accounts of the pool that an account is in, by number."""
        found = self._members.get(account)
        if found is None:
            found = self._found_members(account)
            for a in found:
                self._members[a] = found
        return found

    def _found_members(self, account: int) -> tuple[int, ...]:
        assert self._state is not None
        terms = self._state.parties.accounts
        pool = terms[account].pool
        if pool < 0:
            return (account,)
        return tuple(a for a in range(FIRST_CLIENT, len(terms)) if terms[a].pool == pool)

    def _priced(self) -> _Prices:
        if self._prices is None:
            assert self._state is not None
            state = self._state
            terms, market = Terms.of(state), market_of(state, self._template)
            priced = np.zeros(len(terms.catalogue), dtype=np.bool_)
            for k in range(len(terms.instrument)):
                priced[terms.instrument[k]] = known(state, k)
            valuation = _valued(market, terms, priced)
            fx = valuation.fx[terms.asset] / terms.unit
            unit = valuation.unit_value[terms.instrument] * valuation.settle_fx[terms.instrument]
            lot_value = unit * terms.lot + terms.fixed * fx[terms.settle]
            self._prices = _Prices(market=market, terms=terms, valuation=valuation, lot_value=lot_value, fx=fx)
        return self._prices

    # --- exact figures

    def _exact(self, pool: int) -> _Anchor:
        anchor = self._anchors.get(pool)
        if anchor is None or not anchor.fresh:
            self._anchor([pool])
            anchor = self._anchors[pool]
        return anchor

    def _anchor(self, pools: Sequence[int]) -> None:
        cases = [Case(accounts=self._accounts(pool)) for pool in pools]
        for case, found in zip(cases, self._evaluated(cases), strict=True):
            self._anchors[case.accounts[0]] = _Anchor(*self._holdings(case.accounts), found)

    def _statuses(self, pools: Sequence[int]) -> list[int | None]:
        """Return the status of each pool, evaluated; None where a price is missing."""
        if not pools:
            return []
        try:
            self._anchor(pools)
        except InputError:
            if len(pools) == 1:
                return [None]
            half = len(pools) // 2
            return [*self._statuses(pools[:half]), *self._statuses(pools[half:])]
        return [self._anchors[pool].standing.status for pool in pools]

    def _evaluated(self, cases: Sequence[Case], *, orders: bool = False) -> list[PoolStanding]:
        """Return how cases stand; those of one call must not be of one owner, except to be the same pool."""
        state, prices = self._now(), self._priced()
        asked = list(cases)
        if isinstance(self._rules.model, BookModel):
            # What an owner has elsewhere counts for the size of what it has here.
            asked += self._beside(cases)
        standing = evaluate(book_of(state, prices.terms, asked, orders=orders), prices.market, self._rules)
        return _pool_standings(standing, asked)[: len(cases)]

    def _beside(self, cases: Sequence[Case]) -> list[Case]:
        """Return the other pools of the owners of `cases`."""
        assert self._state is not None
        terms = self._state.parties.accounts
        here = dict.fromkeys(a for case in cases for a in case.accounts)
        owners = dict.fromkeys(terms[a].owner for a in here)
        more = [a for a in range(FIRST_CLIENT, len(terms)) if a not in here and terms[a].owner in owners]
        return [Case(accounts=accounts) for accounts in dict.fromkeys(self._accounts(a) for a in more)]

    def _with_orders(self, case: Case) -> PoolStanding:
        """Return how a case stands, its open orders at their worst fills."""
        assert self._state is not None
        state = self._state
        if isinstance(self._rules.model, BookModel):
            return self._evaluated([case], orders=True)[0]
        plain = Case(accounts=case.accounts, fills=case.fills, paid=case.paid)
        rows = [
            (a, order.instrument, order.lots, order.ticks)
            for a in case.accounts
            for _, order in state.orders.of_account(a)
            if not order.reduce_only and (order.reserve or case.fills)
        ]
        rows += case.ordered
        if not rows:
            return self._evaluated([plain])[0]
        sides: dict[tuple[int, int], list[int]] = {}
        cost = 0.0
        for a, instrument, lots, ticks in rows:
            sides.setdefault((instrument, a), [0, 0])[lots < 0] += lots
            cost += self._cost(instrument, lots, ticks)
        corners = list(sides.items())
        beyond = sum(self._rate(k, n, abs(n)) * abs(n) for (k, _), both in corners[_CORNERS:] for n in both if n)
        mark = state.marks.ticks
        cases = [
            Case(
                accounts=plain.accounts,
                fills=plain.fills
                + tuple(
                    (a, Fill(k, both[pick], max(1, int(mark[k])), 0))
                    for ((k, a), both), pick in zip(corners, picks, strict=False)
                    if both[pick]
                ),
                paid=plain.paid,
            )
            for picks in product((0, 1), repeat=min(_CORNERS, len(corners)))
        ]
        base = self._evaluated([plain])[0]
        # Filled at the mark nothing is gained or lost: only what is required changes.
        worst = max(found.initial for found in self._evaluated([plain, *cases]))
        return PoolStanding(
            margin_balance=base.margin_balance,
            initial=worst + beyond + cost,
            maintenance=base.maintenance,
            net_value=base.net_value,
            unrealized_gain=base.unrealized_gain,
            status=base.status,
        )

    # --- the bound

    def _holdings(
        self, accounts: Sequence[int]
    ) -> tuple[dict[tuple[int, int], tuple[int, int]], dict[tuple[int, int, int, bool], int]]:
        assert self._state is not None
        held, ledger = self._state.positions, self._state.ledger
        positions = {(a, k): (lots, cost) for a in accounts for k, lots, cost in held.of_account(a)}
        cash = {(p.account, p.asset, p.location, p.pending): p.amount for a in accounts for p in ledger.of_account(a)}
        for a, k in positions:
            accrued = held.accrued(a, k)
            if accrued:
                place = (a, self._state.parties.instruments[k].contract.settle, HERE, False)
                cash[place] = cash.get(place, 0) + accrued
        return positions, cash

    def _surely_healthy(self, pool: int) -> bool:
        accounts = self._accounts(pool)
        bounded = self._bound(accounts)
        if bounded is None:
            return False
        return bounded[0] >= self._parts(accounts, {}) * bounded[1] and bounded[0] > 0.0

    def _bound(self, accounts: tuple[int, ...]) -> tuple[float, float] | None:
        """Return (no more than the margin balance, no less than the sum of the parts' initial margins) of a pool now.

        Without its orders. None where nothing can be said without asking the rule book.
        """
        if self._rules.model_name not in _BOUNDED:
            return None
        anchor = self._anchors.get(accounts[0])
        if anchor is None:
            try:
                anchor = self._exact(accounts[0])
            except InputError:
                return None
        if anchor.fresh:
            return anchor.standing.margin_balance, anchor.standing.initial
        assert self._state is not None
        state, prices = self._state, self._priced()
        positions, cash = self._holdings(accounts)
        balance, initial = anchor.standing.margin_balance, anchor.standing.initial
        for place in sorted(anchor.cash.keys() | cash.keys()):
            change = cash.get(place, 0) - anchor.cash.get(place, 0)
            if change and (place[1] != state.currency or place[2] != HERE or place[3]):
                return None
            balance += change * prices.fx[state.currency]
        for key in sorted(anchor.positions.keys() | positions.keys()):
            lots_before, cost_before = anchor.positions.get(key, (0, 0))
            lots, cost = positions.get(key, (0, 0))
            if (lots, cost) == (lots_before, cost_before):
                continue
            instrument = key[1]
            contract = state.parties.instruments[instrument].contract
            if contract.settle != state.currency or not np.isfinite(prices.lot_value[instrument]):
                return None
            counts = not contract.option or self._rules.option_value == "equity"
            balance += (lots - lots_before) * prices.lot_value[instrument] if counts else 0.0
            balance += (cost - cost_before) * prices.fx[state.currency]
            if lots != lots_before:
                initial += self._rate(instrument, lots - lots_before, abs(lots - lots_before)) * abs(lots - lots_before)
        return float(balance), float(initial)

    def _parts(self, accounts: tuple[int, ...], new: dict[int, int]) -> int:
        """Return how many parts the bound of a pool adds up, 1 where requirements are sub-additive."""
        if self._additive:
            return 1
        assert self._state is not None
        anchor = self._anchors[accounts[0]]
        found = set(new)
        for a in accounts:
            found |= {order.instrument for _, order in self._state.orders.of_account(a)}
        if not anchor.fresh:
            positions, _ = self._holdings(accounts)
            found |= {key[1] for key in positions if positions[key] != anchor.positions.get(key)}
            found |= {key[1] for key in anchor.positions if key not in positions}
        # Bought and sold are parts of their own, and so is the pool as it was.
        return 1 + 2 * len(found)

    def _held(self, accounts: tuple[int, ...]) -> float:
        assert self._state is not None
        state = self._state
        held = sum(state.orders.held(a, state.currency) for a in accounts)
        return float(held * self._priced().fx[state.currency])

    def _rate(self, instrument: int, lots: int, size: int) -> float:
        """Return the initial margin of one lot, bought (lots > 0) or sold, alone, of at least `size` lots."""
        # Requirements that are homogeneous are the same a lot at any size.
        k = 0 if self._additive else max(size - 1, 0).bit_length() + 2
        prices = self._priced()
        if k not in prices.rates:
            prices.rates[k] = self._rates(2**k)
        found = float(prices.rates[k][int(lots < 0), instrument])
        return found if np.isfinite(found) else np.inf

    def _rates(self, size: int) -> FloatArray:
        """Return the initial margin of one lot of `size` bought and sold, alone, (2, instruments)."""
        state, prices = self._state, self._priced()
        assert state is not None
        from crossmargin.book import Account, Book, Position

        symbols = [listing.contract.instrument.symbol for listing in state.parties.instruments]
        rates = np.full((2, len(symbols)), np.nan)
        priced = [k for k in range(len(symbols)) if np.isfinite(prices.lot_value[k])]
        if not priced:
            return rates
        accounts = [
            Account(
                id=f"{side}.{k:09d}",
                credit="basic",
                positions=[Position(symbol=symbols[k], quantity=(1 - 2 * side) * size * float(prices.terms.lot[k]))],
            )
            for side in (0, 1)
            for k in priced
        ]
        book = Book.of(
            accounts, prices.terms.catalogue.instruments, assets=prices.terms.catalogue.assets,
            currency=prices.market.currency,
        )  # fmt: skip
        standing = evaluate(book, prices.market, self._rules)
        rates[:, priced] = standing.initial_margin[: len(accounts)].reshape(2, len(priced)) / size
        return rates

    def _cost(self, instrument: int, lots: int, ticks: int, *, signed: bool = False, fee: int | None = None) -> float:
        """Return what a fill at `ticks` takes from the margin balance at once, and its fee; 0 or more unless signed."""
        assert self._state is not None
        state, prices = self._state, self._priced()
        listing = state.parties.instruments[instrument]
        contract = listing.contract
        fx = prices.fx[contract.settle]
        if fee is None:
            fee = fee_of(contract, lots, ticks, listing.taker_fee)
        counts = not contract.option or self._rules.option_value == "equity"
        worth = prices.lot_value[instrument] * lots if counts else 0.0
        lost = float(contract.value(lots, ticks) * fx - worth)
        return (lost if signed else max(lost, 0.0)) + float(fee * fx)

    def _minor(self, amount: float) -> int:
        assert self._state is not None
        decimals = self._state.parties.assets[self._state.currency].decimals
        return max(0, ceil(amount * 10.0**decimals))


def _version(state: State) -> tuple[int, int, int]:
    """Return what margin changes with although nobody's money or positions did: marks, terms, the rule book."""
    return state.marks.changes, state.terms_changes, state.parameters.version(state.now)


def _valued(market: Market, terms: Terms, priced: np.ndarray) -> Valuation:
    """Return the valuation of what can be valued: instruments without an index of their own are left out."""
    fx = np.zeros(len(terms.catalogue.assets), dtype=np.bool_)
    try:
        return value(market, terms.catalogue, instruments=priced, assets=fx)
    except InputError:
        left = np.zeros(len(priced), dtype=np.bool_)
        for k in np.flatnonzero(priced).tolist():
            alone = np.zeros(len(priced), dtype=np.bool_)
            alone[k] = True
            try:
                value(market, terms.catalogue, instruments=alone, assets=fx)
            except InputError:
                continue
            left[k] = True
        return value(market, terms.catalogue, instruments=left, assets=fx)


def _pool_standings(standing: Standing, cases: Sequence[Case]) -> list[PoolStanding]:
    portfolios, pools = standing.portfolios, standing.pools
    settle = portfolios.legs(portfolios.valuation.settle_fx)
    profit = np.where(portfolios.is_option, 0.0, portfolios.leg_value - portfolios.entry_value * settle)
    gain = group_sums(pools.leg_pool, np.maximum(profit, 0.0), pools.count)
    balance, worth = standing.margin_balance, standing.worth.net_value
    return [
        PoolStanding(
            margin_balance=float(balance[p]),
            initial=float(standing.initial_margin[p]),
            maintenance=float(standing.maintenance_margin[p]),
            net_value=float(worth[p]),
            unrealized_gain=float(gain[p]),
            status=int(standing.status[p]),
        )
        for p in pool_numbers(cases).tolist()
    ]
