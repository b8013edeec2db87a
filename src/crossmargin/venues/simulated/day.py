"""A day at the simulated venue: prices, traders and books together, one step after another.

What a step wants is a function of the seed, the step and what the books hold; what the books hold is a function of
which orders were let through. A day that is gone through again with the same answers is the same day.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from math import ceil, floor

import numpy as np

from crossmargin.clearing import Report, Trade
from crossmargin.errors import InputError
from crossmargin.instruments import Option
from crossmargin.units import DAY_SECONDS
from crossmargin.venues.simulated.exchange import SimulatedVenue
from crossmargin.venues.simulated.liquidity import Liquidity
from crossmargin.venues.simulated.listings import RANKS, UNDERLYINGS, WINDOW_SECONDS, Listed, listings
from crossmargin.venues.simulated.orders import Order
from crossmargin.venues.simulated.prices import price_paths
from crossmargin.venues.simulated.traders import LOOK_BACK, Kind, Sight, Trader, Wish, population, wishes

ACTIVE = 0.04
"""Share of the accounts that want something in one step."""
ACTIVE_MIN = 5
"""However few accounts there are, so many want something."""
PATIENCE = 6
"""Steps after which an order that rests is taken back."""
STEPS_MIN = 48
"""Fewest steps of a day: half an hour each."""
USUAL_ACCOUNTS = 2_000
"""As many accounts find the depth that the listings say; more find more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Payment:
    """Money somebody wants to bring (> 0) or take out (< 0), in whole units of `asset`."""

    account: str
    asset: str
    amount: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """An order for a book."""

    symbol: str
    order: Order


class TradingDay:
    """The world outside the house, from the first step to the last.

    In each step, in this order: `begin`, then `payments`, `overdue`, `requotes`, `orders`; what the house lets through
    goes to `place`, and `reports` says what came of it.
    """

    __slots__ = (
        "_liquidity",
        "_placed_at",
        "_quoted",
        "_refused",
        "listed",
        "paths",
        "seconds",
        "seed",
        "step",
        "steps",
        "traders",
        "venue",
    )

    def __init__(self, *, seed: int, accounts: int, steps: int) -> None:
        """Raises InputError for a negative seed, too few accounts and steps that are not whole seconds or too few."""
        if seed < 0:
            raise InputError("simulated day, seed", str(seed), "0 or more")
        if steps < STEPS_MIN or DAY_SECONDS % steps:
            raise InputError(
                "simulated day, steps", str(steps), f"{STEPS_MIN} or more that divide {DAY_SECONDS} seconds"
            )
        self.seed, self.steps, self.step = seed, steps, 0
        self.seconds = DAY_SECONDS // steps
        self.traders = population(accounts, seed)
        self.listed = {listed.symbol: listed for listed in listings()}
        self.paths = price_paths(UNDERLYINGS, steps, seed)
        self.venue = SimulatedVenue({trader.account: trader.owner for trader in self.traders})
        self._liquidity: dict[str, Liquidity] = {}
        scale = max(0.25, accounts / USUAL_ACCOUNTS)
        for number, listed in enumerate(self.listed.values()):
            signed = listed.instrument.price_domain == "any"
            self.venue.start(listed.symbol, signed=signed)
            self._liquidity[listed.symbol] = Liquidity(
                replace(listed.depth, lots=scale * listed.depth.lots), [seed, number], signed=signed
            )
        self._quoted: dict[tuple[str, int, int], Order] = {}
        self._placed_at: dict[str, tuple[int, str]] = {}
        self._refused: set[str] = set()

    # --- what the world looks like

    @property
    def time(self) -> int:
        """Seconds of the day at the end of the step."""
        return self.step * self.seconds

    def indices(self, step: int | None = None) -> dict[str, float]:
        """Return the price of each underlying after a step; by default after this one."""
        row = self.paths[self.step if step is None else max(0, step)]
        return {of.symbol: price for of, price in zip(UNDERLYINGS, row.tolist(), strict=True)}

    def trading(self) -> list[Listed]:
        """Return what can be traded in this step."""
        return [self.listed[symbol] for symbol in self.venue.books]

    def alive(self) -> list[Listed]:
        """Return what has not expired."""
        return [
            listed for listed in self.listed.values() if listed.expiry is None or listed.seconds_left(self.time) > 0
        ]

    def marks(self) -> dict[str, int]:
        """Return the mark of everything that is alive, in ticks: its fair price, moved as trades have pushed it."""
        marks = {}
        for listed in self.alive():
            liquidity = self._liquidity[listed.symbol]
            ticks = round(listed.fair(self._indices_for(listed), self.time) + liquidity.pushed)
            # Nothing but an option far out of the money is worth nothing.
            least = 0 if isinstance(listed.instrument, Option) else 1
            marks[listed.symbol] = ticks if liquidity.signed else max(least, ticks)
        return marks

    def impact_prices(self, symbol: str) -> tuple[int, int] | None:
        """Return at what average prices a usual order could be sold and bought, in ticks; None where nobody quotes."""
        book, lots = self.venue.books[symbol], max(1, round(self._liquidity[symbol].depth.lots))
        bid, ask = book.average(1, lots), book.average(-1, lots)
        return None if bid is None or ask is None else (floor(bid), ceil(ask))

    def pushed(self, symbol: str) -> float:
        """Return how far trades have moved an instrument from its fair price, in ticks."""
        return self._liquidity[symbol].pushed

    def best(self, symbol: str, side: int) -> int | None:
        """Return the best price of a side (1 bids, -1 offers) in ticks; None where nobody quotes."""
        return self.venue.books[symbol].best(side)

    def held(self, account: str, symbol: str) -> int:
        """Return the lots an account holds of what trades."""
        return self.venue.books[symbol].held.get(account, 0)

    # --- the step

    def begin(self, step: int) -> list[str]:
        """Go on to a step; returns the instruments that stop trading with it: their last moment has come."""
        assert step == self.step + 1, "day: steps come one after another"
        self.step = step
        for liquidity in self._liquidity.values():
            liquidity.advance(self.time)
        over = [listed.symbol for listed in self.trading() if listed.expiry and listed.seconds_left(self.time) <= 0.0]
        for symbol in over:
            self.venue.stop(symbol)
        self._quoted = {key: order for key, order in self._quoted.items() if key[0] not in over}
        return over

    def wealth(self) -> Iterator[Payment]:
        """Yield what each trader brings before the first step."""
        indices = self.indices(0)
        for trader in self.traders:
            asset, price = (trader.home, indices[trader.home]) if trader.coins else ("USD", 1.0)
            yield Payment(account=trader.account, asset=asset, amount=trader.wealth / price)

    def payments(self) -> Iterator[Payment]:
        """Yield what traders bring and take in this step: more after an order was refused, some profit now and then."""
        chance = self._chance(1)
        for trader in self._active(chance, 0.2):
            amount = float(chance.uniform(0.02, 0.3)) * trader.wealth
            if trader.account in self._refused:
                self._refused.discard(trader.account)
                yield Payment(account=trader.account, asset="USD", amount=amount)
            elif chance.random() < 0.5:
                yield Payment(account=trader.account, asset="USD", amount=-amount)

    def overdue(self) -> list[tuple[str, str]]:
        """Return (symbol, order) of traders' orders that have rested long enough; cancel them with `take_back`."""
        return [(symbol, order) for order, (step, symbol) in self._placed_at.items() if self.step - step >= PATIENCE]

    def requotes(self) -> tuple[list[tuple[str, str]], list[Placed]]:
        """Return makers' quotes to cancel, as (symbol, order), and those to place instead.

        A quote stays as it is while its price is within half a step of where it should be and at least two thirds of
        it are there.
        """
        stale, fresh = [], []
        for listed in self.trading():
            liquidity, book = self._liquidity[listed.symbol], self.venue.books[listed.symbol]
            for quote in liquidity.quotes(listed.fair(self._indices_for(listed), self.time)):
                key = (listed.symbol, quote.side, quote.rank)
                there = self._quoted.get(key)
                left = book.resting(there.id) if there is not None else 0
                if there is not None and left:
                    assert there.limit is not None
                    near = abs(there.limit - quote.ticks) <= liquidity.depth.step / 2
                    if near and 2 * abs(quote.lots) <= 3 * left:
                        continue
                    stale.append((listed.symbol, there.id))
                self._quoted.pop(key, None)
                if quote.lots:
                    id = f"{self.step}/{listed.symbol}/{'bid' if quote.side > 0 else 'offer'}{quote.rank}"
                    order = self.venue.order(id, f"maker-{quote.rank}", quote.lots, quote.ticks)
                    fresh.append(Placed(symbol=listed.symbol, order=order))
        return stale, fresh

    def orders(self) -> list[Placed]:
        """Return what traders want to trade in this step; each has a limit, so that the worst price is known."""
        chance = self._chance(2)
        indices, before = self.indices(), self.indices(self.step - LOOK_BACK)
        trading, marks = self.trading(), self.marks()
        found = []
        for trader in self._active(chance, 1.0):
            account = trader.account
            sight = Sight(
                indices=indices,
                before=before,
                trading=trading,
                best=self.best,
                held=partial(self.held, account),
            )
            for number, wish in enumerate(wishes(trader, sight, chance)):
                limit = wish.limit if wish.limit is not None else self._worst(wish, marks)
                order = self.venue.order(
                    f"{self.step}/{account}/{number}",
                    account,
                    wish.lots,
                    limit,
                    immediate=wish.immediate,
                    reduce_only=wish.reduce_only,
                )
                found.append(Placed(symbol=wish.symbol, order=order))
        return found

    def place(self, placed: Placed) -> None:
        """Put an order that was let through into its book."""
        order = placed.order
        self.venue.submit(placed.symbol, order)
        if self.venue.books[placed.symbol].resting(order.id):
            kind, _, rank = order.account.partition("-")
            if kind == Kind.MAKER:
                self._quoted[placed.symbol, order.side, int(rank)] = order
            else:
                self._placed_at[order.id] = (self.step, placed.symbol)

    def refuse(self, account: str) -> None:
        """Say that an order of an account was not let through: it will bring more money."""
        self._refused.add(account)

    def take_back(self, symbol: str, order: str) -> None:
        """Cancel a resting order."""
        self.venue.withdraw(symbol, order)

    def reports(self) -> list[Report]:
        """Return what happened at the venue since the last call; what was taken of quotes is missing from them now."""
        told = list(self.venue.reports())
        for report in told:
            if isinstance(report, Trade):
                self._took(report)
            else:
                self._placed_at.pop(report.order, None)
        return told

    def bust(self, trade: Trade) -> None:
        """Undo what a trade did to positions: the house did not clear it."""
        book = self.venue.books.get(trade.symbol)
        if book is not None:
            for account, lots in ((trade.buyer, -trade.lots), (trade.seller, trade.lots)):
                book.tell_position(account, book.held.get(account, 0) + lots)

    # --- inside

    def _indices_for(self, listed: Listed) -> dict[str, float]:
        """Return the indices, the average so far in place of the part of the window that is over."""
        indices = self.indices()
        over = WINDOW_SECONDS - listed.seconds_left(self.time)
        if listed.expiry is None or over <= 0:
            return indices
        name = listed.instrument.underlying
        since = self.step - int(over // self.seconds)
        seen = [self.indices(step)[name] for step in range(since, self.step + 1)]
        share = over / WINDOW_SECONDS
        return {**indices, name: share * sum(seen) / len(seen) + (1.0 - share) * indices[name]}

    def _worst(self, wish: Wish, marks: Mapping[str, int]) -> int:
        """Return the worst price an order without a limit takes: three times as far away as the last quote."""
        liquidity = self._liquidity[wish.symbol]
        reach = 3.0 * (liquidity.depth.half_spread + liquidity.depth.ranks * liquidity.depth.step)
        worst = marks[wish.symbol] + round(reach if wish.lots > 0 else -reach)
        return worst if liquidity.signed else max(1, worst)

    def _took(self, trade: Trade) -> None:
        resting, side = (trade.sell_order, -1) if trade.buyer_took else (trade.buy_order, 1)
        account = trade.seller if trade.buyer_took else trade.buyer
        kind, _, rank = account.partition("-")
        if kind == Kind.MAKER and resting.rpartition("/")[2].startswith(("bid", "offer")):
            self._liquidity[trade.symbol].take(side, int(rank), trade.lots)

    def _chance(self, what: int) -> np.random.Generator:
        return np.random.default_rng([self.seed, self.step, what])

    def _active(self, chance: np.random.Generator, share: float) -> list[Trader]:
        others = self.traders[RANKS:]
        count = max(ACTIVE_MIN, round(ACTIVE * share * len(others)))
        return [others[k] for k in chance.choice(len(others), size=count, replace=False).tolist()]
