"""A house and a day of trading around it: what the world wants becomes commands, what the house says goes back.

The world goes through the day from its first step every time; every command has a key that says its step and its place
in it. On a store that has seen part of the day already, the house gives the replies it gave then, and goes on where the
journal ends: nothing happens twice, and nothing that was acknowledged is lost.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import numpy as np

from crossmargin.clearing import (
    AdvanceClock,
    Applied,
    Borrow,
    ChargeInterest,
    CheckOrder,
    ClearedTrade,
    ClearTrades,
    Closed,
    Command,
    ConfirmWithdrawal,
    Deposit,
    House,
    Journal,
    Lend,
    ListInstrument,
    OpenAccount,
    OpenHouse,
    Rejected,
    ReleaseOrder,
    Reply,
    Report,
    RuleBookView,
    SampleFunding,
    SendWithdrawal,
    SetAveraging,
    SetFunding,
    SetLending,
    SettleVariation,
    Trade,
    TradesCleared,
    UpdateMarks,
    Withdraw,
    terms_of,
)
from crossmargin.errors import InputError
from crossmargin.instruments import Option, Perpetual
from crossmargin.market import Market
from crossmargin.rules import load
from crossmargin.venues.simulated import (
    OPENS,
    RANKS,
    UNDERLYINGS,
    WINDOW_SECONDS,
    Listed,
    Payment,
    Placed,
    TradingDay,
    vol_of,
)

RULES = "grid"
"""The rule book of the house."""
GROUP = 64
"""Commands that are made durable together: more is quicker, and each waits longer for its answer."""
SNAPSHOTS = 6
"""Snapshots a day."""
DECIMALS = {"USD": (2, "fx"), "BTC": (8, "crypto"), "ETH": (8, "crypto")}
MAKER_FEE, TAKER_FEE = 20, 50
"""In millionths of the notional."""
HOUR = 3_600
"""Seconds."""
FUNDING_SAMPLE = 1_800
"""Seconds from one look at the premium of a perpetual to the next."""
NANOSECONDS = 1_000_000_000
"""In a second."""
T = TypeVar("T")


class LiveDay:
    """One house on one journal, and its day."""

    def __init__(self, journal: Journal, *, seed: int, accounts: int, steps: int) -> None:
        """Raises InputError where the journal is of another day, or the day cannot be."""
        self.world = TradingDay(seed=seed, accounts=accounts, steps=steps)
        self.name = f"a day of {steps} steps, seed {seed}, {accounts} accounts"
        first = next(journal.read(), None)
        if first is not None and first.key.decode() != self.name:
            found = first.key.decode() or "a journal that is not a demo's"
            raise InputError("--store", found, f"an empty store, or one of {self.name}")
        self._time = int(OPENS.timestamp()) * NANOSECONDS
        self.house = House(journal, lambda: self._time, risk=RuleBookView(load(RULES), _market()))
        self.resumed_after = self.house.last.sequence if self.house.last is not None else 0
        self.events: Counter[str] = Counter()
        self.refusals: Counter[str] = Counter()
        self.commands = self.trades = 0
        self._waits: list[tuple[float, int]] = []
        self._key = 0
        self._funded = [listed.symbol for listed in self.world.trading() if isinstance(listed.instrument, Perpetual)]
        self._busted: set[str] = set()

    # --- the day

    def run(self, progress: Callable[[], object] = lambda: None) -> None:
        """Go through the whole day; `progress` is called after each step and the opening."""
        self._open()
        progress()
        every = max(1, self.world.steps // SNAPSHOTS)
        for step in range(1, self.world.steps + 1):
            self._step(step)
            if step % every == 0 and self.house.last is not None and self.house.last.sequence > self.resumed_after:
                self.house.snapshot()
            progress()

    def _open(self) -> None:
        """Open the house, its accounts and instruments, and let everybody bring what they have."""
        self._count([self.house.submit(OpenHouse(currency="USD", assets=DECIMALS), self.name)])
        world = self.world
        seconds = int(world.seconds)
        samples = max(1, WINDOW_SECONDS // seconds)
        expiring = dict.fromkeys(listed.instrument.underlying for listed in world.trading() if listed.expiry)
        self._submit(
            [
                *(_listing(listed) for listed in world.trading()),
                *(SetFunding(instrument=symbol, interval_seconds=HOUR, stale_seconds=HOUR) for symbol in self._funded),
                *(
                    SetAveraging(
                        underlying=name, samples=samples, quorum=-(-2 * samples // 3), window_seconds=WINDOW_SECONDS
                    )
                    for name in expiring
                ),
                SetLending(asset="USD"),
                *(OpenAccount(account=trader.account, owner=trader.owner) for trader in world.traders),
            ]
        )
        self._submit([self._marks()])
        self._submit([_deposit(payment, f"{payment.account}/brought") for payment in world.wealth()])
        # The last maker has more than it quotes with; who brought coins borrows dollars on them.
        lender = world.traders[RANKS - 1]
        self._submit(
            [
                Lend(account=lender.account, asset="USD", amount=_minor(lender.wealth / 2, "USD")),
                *(
                    Borrow(account=trader.account, asset="USD", amount=_minor(trader.wealth / 10, "USD"))
                    for trader in world.traders
                    if trader.coins
                ),
            ]
        )

    def _step(self, step: int) -> None:
        world = self.world
        self._key, self._time = 0, self._at(step)
        world.begin(step)
        self._report(world.reports())
        self._submit([self._marks()])
        self._pass_time()
        self._pay()
        for symbol, order in world.overdue():
            world.take_back(symbol, order)
        stale, fresh = world.requotes()
        for symbol, order in stale:
            world.take_back(symbol, order)
        self._report(world.reports())
        self._place(fresh)
        self._place(world.orders())
        self._report(world.reports())

    def _at(self, step: int) -> int:
        """Return the time of a step, in nanoseconds since 1970."""
        return int(OPENS.timestamp()) * NANOSECONDS + step * self.world.seconds * NANOSECONDS

    def _marks(self) -> UpdateMarks:
        """Return the marks of this step."""
        world = self.world
        indices = world.indices()
        vols = {
            listed.symbol: round(vol_of(listed.instrument, indices[listed.instrument.underlying]) * 1e6)
            for listed in world.alive()
            if isinstance(listed.instrument, Option)
        }
        scaled = {name: round(price * 1e8) for name, price in indices.items()}
        return UpdateMarks(instruments=world.marks(), indices=scaled, vols=vols)

    def _pass_time(self) -> None:
        """Let the clock do what is due: windows, expiry, funding. Every hour profit and interest become cash."""
        samples = []
        for symbol in self._funded if self.world.time % FUNDING_SAMPLE == 0 else ():
            prices = self.world.impact_prices(symbol)
            if prices is not None:
                samples.append(SampleFunding(instrument=symbol, impact_bid=prices[0], impact_ask=prices[1]))
        self._submit([*samples, AdvanceClock()])
        if self.world.time % HOUR == 0:
            self._submit([SettleVariation(), ChargeInterest(asset="USD")])

    def _pay(self) -> None:
        """Let traders bring money and take it out: asked for, sent, and at its end in the world."""
        deposits: list[Command] = []
        asked: list[Withdraw] = []
        for number, payment in enumerate(self.world.payments()):
            reference = f"{payment.account}/{self.world.step}.{number}"
            if payment.amount > 0:
                deposits.append(_deposit(payment, reference))
            else:
                minor = _minor(-payment.amount, payment.asset)
                asked.append(
                    Withdraw(
                        account=payment.account,
                        asset=payment.asset,
                        amount=minor,
                        reference=reference,
                        destination=f"{payment.account}'s bank",
                    )
                )
        self._submit(deposits)
        going = self._references(asked, self._submit(asked))
        sent = [SendWithdrawal(reference=reference) for reference in going]
        arrived = self._references(sent, self._submit(sent))
        self._submit([ConfirmWithdrawal(reference=reference) for reference in arrived])

    @staticmethod
    def _references(commands: Sequence[Withdraw | SendWithdrawal], replies: Sequence[Reply]) -> list[str]:
        """Return the references of the commands that were not refused."""
        return [
            command.reference for command, reply in zip(commands, replies, strict=True) if isinstance(reply, Applied)
        ]

    def _place(self, placed: Sequence[Placed]) -> None:
        """Have orders checked, and put those that may trade into their books."""
        replies = self._submit(
            [
                CheckOrder(
                    account=one.order.account,
                    order=one.order.id,
                    symbol=one.symbol,
                    lots=one.order.lots,
                    ticks=one.order.limit,
                    reduce_only=one.order.reduce_only,
                )
                for one in placed
                if one.order.limit is not None
            ]
        )
        for one, reply in zip(placed, replies, strict=True):
            if isinstance(reply, Applied):
                self.world.place(one)
            else:
                self.world.refuse(one.order.account)

    def _report(self, reports: Sequence[Report]) -> None:
        """Clear the trades of the venue, and let go of what was held for orders that are over."""
        trades = [report for report in reports if isinstance(report, Trade)]
        if trades:
            batches = list(grouped(trades, GROUP))
            replies = self._submit([ClearTrades(trades=[_cleared(trade) for trade in batch]) for batch in batches])
            for batch, reply in zip(batches, replies, strict=True):
                for trade in refused(batch, reply):
                    self.world.bust(trade)
                    self._busted.update((trade.buy_order, trade.sell_order))
        over = [one for one in reports if isinstance(one, Closed) and (one.lots or one.order in self._busted)]
        self._busted.difference_update(one.order for one in over)
        self._submit([ReleaseOrder(account=one.account, order=one.order) for one in over])

    # --- the house

    def _submit(self, commands: Sequence[Command]) -> list[Reply]:
        """Do commands in groups that are durable together; replies in the same order."""
        replies: list[Reply] = []
        for group in grouped(commands, GROUP):
            keyed = []
            for command in group:
                keyed.append((command, f"{self.world.step}/{self._key}"))
                self._key += 1
            before = self.house.last
            started = time.perf_counter()
            replies += self.house.submit_all(keyed)
            orders = sum(isinstance(command, CheckOrder) for command, _ in keyed)
            if orders and self.house.last is not before:
                self._waits.append((time.perf_counter() - started, orders))
        self._count(replies)
        return replies

    def _count(self, replies: Iterable[Reply]) -> None:
        for reply in replies:
            self.commands += 1
            if isinstance(reply, Rejected):
                self.refusals[reply.reason.value] += 1
            else:
                self.events.update(type(event).__name__ for event in reply.events)
                self.trades += sum(len(event.lots) // 8 for event in reply.events if isinstance(event, TradesCleared))

    # --- the end

    def latency_ms(self) -> dict[str, float | None]:
        """Return percentiles of the time from an order to the durable answer, over this run's own orders."""
        if not self._waits:
            return {"p50": None, "p99": None}
        waits = np.repeat(*(np.array(column) for column in zip(*self._waits, strict=True)))
        return {name: float(np.percentile(waits, share)) * 1e3 for name, share in (("p50", 50), ("p99", 99))}


def _market() -> Market:
    """Return what marks do not tell of the underlyings: how much they move in a year."""
    vols = {of.symbol: of.vol_annual for of in UNDERLYINGS}
    return Market(time=OPENS, currency="USD", vol_annual=vols)


def _listing(listed: Listed) -> ListInstrument:
    return ListInstrument(terms=terms_of(listed.instrument), maker_fee=MAKER_FEE, taker_fee=TAKER_FEE)


def _minor(amount: float, asset: str) -> int:
    """Return whole minor units of an amount, at least one."""
    return max(1, int(amount * 10 ** DECIMALS[asset][0]))


def _deposit(payment: Payment, reference: str) -> Deposit:
    amount = _minor(payment.amount, payment.asset)
    return Deposit(account=payment.account, asset=payment.asset, amount=amount, reference=reference)


def _cleared(trade: Trade) -> ClearedTrade:
    return ClearedTrade(
        symbol=trade.symbol,
        buyer=trade.buyer,
        seller=trade.seller,
        lots=trade.lots,
        ticks=trade.ticks,
        buyer_took=trade.buyer_took,
        buy_order=trade.buy_order,
        sell_order=trade.sell_order,
    )


def refused(trades: Sequence[Trade], reply: Reply) -> list[Trade]:
    """Return those of a batch of trades that the house did not clear."""
    if isinstance(reply, Rejected):
        return list(trades)
    return [
        trades[place] for event in reply.events if isinstance(event, TradesCleared) for place, _, _ in event.refused
    ]


def grouped(items: Sequence[T], size: int) -> Iterator[list[T]]:
    """Yield the items in lists of at most `size`."""
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
