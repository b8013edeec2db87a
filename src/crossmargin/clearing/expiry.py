"""Expiry: futures and options end in cash, at the average of the index over a window before the instant they expire.

The window is cut into as many parts as samples are wanted; the first fresh index that the clock meets in each part is
its sample. With a quorum of them their mean is the price, else settlement waits for a price that an officer sets: the
last price is never used instead. A price that turns out wrong is corrected by paying the difference, for a while.
Delivery of anything but cash is out.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from crossmargin.clearing.contracts import Contract
from crossmargin.clearing.flows import SECOND, Flows, shares
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.marks import INDEX_MAX, INDEX_SCALE, column, whole_numbers
from crossmargin.clearing.parties import EXPIRING, SETTLED, TRADING, instrument_number_of
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.rounding import to_account
from crossmargin.instruments import Option
from crossmargin.units import DAY_SECONDS, IntArray

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

Expiry = tuple[str, int]
"""What ends at one price: an underlying, and the instant, nanoseconds since 1970 UTC."""


@dataclass(frozen=True, slots=True)
class Averaging:
    """How an underlying is averaged. Times in nanoseconds."""

    window: int = 1_800 * SECOND
    samples: int = 60
    quorum: int = 30
    correction: int = DAY_SECONDS * SECOND
    """For how long after settlement a price may be corrected."""


DEFAULT = Averaging()


@dataclass(slots=True)
class Average:
    """Samples of the index so far: how many, their sum in 1e-8, the part of the window of the newest; -1 for none."""

    count: int = 0
    total: int = 0
    part: int = -1


@dataclass(slots=True)
class Paid:
    """What was settled: the price in 1e-8, when, and who held how many lots, as columns."""

    price: int
    time: int
    account: bytes
    lots: bytes


@dataclass(slots=True)
class Expiries:
    """Averages under way, prices that are fixed, and what was settled at them and may still be corrected."""

    terms: dict[str, Averaging] = field(default_factory=dict)
    averages: dict[Expiry, Average] = field(default_factory=dict)
    prices: dict[Expiry, int] = field(default_factory=dict)
    paid: dict[int, Paid] = field(default_factory=dict)

    def of(self, underlying: str) -> Averaging:
        """Return how an underlying is averaged."""
        return self.terms.get(underlying, DEFAULT)

    def frozen(self) -> Any:
        """Return everything as plain values."""
        return [
            [[name, t.window, t.samples, t.quorum, t.correction] for name, t in sorted(self.terms.items())],
            [[*key, a.count, str(a.total), a.part] for key, a in sorted(self.averages.items())],
            [[*key, price] for key, price in sorted(self.prices.items())],
            [[number, p.price, p.time, p.account, p.lots] for number, p in sorted(self.paid.items())],
        ]

    @classmethod
    def thawed(cls, plain: Any) -> Expiries:
        """Return what `frozen` was told of."""
        terms, averages, prices, paid = plain
        return cls(
            {name: Averaging(*row) for name, *row in terms},
            {(name, at): Average(count, int(total), part) for name, at, count, total, part in averages},
            {(name, at): price for name, at, price in prices},
            {number: Paid(*row) for number, *row in paid},
        )


class SetAveraging(Command, frozen=True):
    """Set how the settlement price of an underlying is averaged; not while it is."""

    underlying: str
    window_seconds: int = 1_800
    samples: int = 60
    quorum: int = 30
    correction_seconds: int = DAY_SECONDS


class AveragingSet(Event, frozen=True):
    """An underlying has new averaging terms."""

    underlying: str
    window: int
    samples: int
    quorum: int
    correction: int


@decides(SetAveraging)
def _set(state: State, command: SetAveraging) -> Decision:
    if not any(i.contract.instrument.underlying == command.underlying for i in state.parties.instruments):
        return Rejected(Reason.UNKNOWN_INSTRUMENT, f"nothing is listed on {command.underlying}")
    if any(name == command.underlying for name, _ in state.expiries.averages):
        return Rejected(Reason.SETTLEMENT_IS_UNDER_WAY, command.underlying)
    wrong = (
        not 0 < command.window_seconds <= DAY_SECONDS
        or not 0 < command.quorum <= command.samples <= command.window_seconds
        or not 0 <= command.correction_seconds <= 30 * DAY_SECONDS
    )
    if wrong:
        found = f"{command.quorum} of {command.samples} samples in {command.window_seconds} s"
        allowed = f"a window of at most {DAY_SECONDS} s, at most a sample a second, corrections for at most 30 days"
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {found}, {command.correction_seconds} s; allowed: {allowed}")
    return [
        AveragingSet(
            underlying=command.underlying,
            window=command.window_seconds * SECOND,
            samples=command.samples,
            quorum=command.quorum,
            correction=command.correction_seconds * SECOND,
        )
    ]


@applies(AveragingSet)
def _was_set(state: State, event: AveragingSet) -> None:
    state.expiries.terms[event.underlying] = Averaging(event.window, event.samples, event.quorum, event.correction)


# --- the window


class ExpiryBegan(Event, frozen=True):
    """The window of an instrument has begun: its price is being averaged."""

    instrument: int


class IndexSampled(Event, frozen=True):
    """The index of an underlying counts towards what expires at an instant; price in 1e-8."""

    underlying: str
    expiry: int
    part: int
    price: int


def expiry_of(contract: Contract) -> Expiry:
    """Return what the instrument ends with. It has an expiry."""
    assert contract.expiry is not None, f"{contract.instrument.symbol} does not expire"
    return contract.instrument.underlying, contract.expiry


def window_events(state: State) -> list[Event]:
    """Return which windows begin now, and the samples to be taken now."""
    events: list[Event] = []
    open_now: dict[Expiry, None] = {}
    for number, listing in enumerate(state.parties.instruments):
        if listing.contract.expiry is None or listing.stage == SETTLED:
            continue
        key = expiry_of(listing.contract)
        if state.now < key[1] - state.expiries.of(key[0]).window:
            continue
        if listing.stage == TRADING:
            events.append(ExpiryBegan(instrument=number))
        if state.now < key[1]:
            open_now[key] = None
    for underlying, expiry in open_now:
        terms = state.expiries.of(underlying)
        begin = expiry - terms.window
        part = (state.now - begin) * terms.samples // terms.window
        taken = state.expiries.averages.get((underlying, expiry), Average()).part
        price = state.marks.index_of(underlying)
        if part == taken or price is None:
            continue
        # Of this part of the window: an index from before it would count an old price once more.
        if state.marks.index_times[underlying] * terms.samples >= begin * terms.samples + part * terms.window:
            events.append(IndexSampled(underlying=underlying, expiry=expiry, part=part, price=price))
    return events


@applies(ExpiryBegan)
def _began(state: State, event: ExpiryBegan) -> None:
    listing = state.parties.instruments[event.instrument]
    listing.stage = EXPIRING
    key = expiry_of(listing.contract)
    # An officer may have set the price before the clock was ever looked at: then nothing is averaged any more.
    if key not in state.expiries.prices:
        state.expiries.averages.setdefault(key, Average())
    state.touched.update(state.positions.account[state.positions.of_instrument(event.instrument)].tolist())


@applies(IndexSampled)
def _sampled(state: State, event: IndexSampled) -> None:
    average = state.expiries.averages.setdefault((event.underlying, event.expiry), Average())
    average.count, average.total, average.part = average.count + 1, average.total + event.price, event.part
    # What is left of what expires is another contract now.
    state.terms_changes += 1


# --- the price


class SetSettlementPrice(Command, frozen=True):
    """Settle at this price, in 1e-8, what expired without a quorum of samples. An officer's word, with its reason."""

    underlying: str
    expiry: int
    price: int
    reason: str


class SettlementPriceSet(Event, frozen=True):
    """What expires at an instant settles at this price, in 1e-8. reason: empty where it is the average of samples."""

    underlying: str
    expiry: int
    price: int
    samples: int
    reason: str


@decides(SetSettlementPrice)
def _set_price(state: State, command: SetSettlementPrice) -> Decision:
    key = (command.underlying, command.expiry)
    numbers = instruments_of(state, key)
    if not numbers:
        return Rejected(Reason.UNKNOWN_INSTRUMENT, f"nothing on {command.underlying} expires at {command.expiry}")
    if state.now < command.expiry:
        return Rejected(Reason.INSTRUMENT_HAS_NOT_EXPIRED, command.underlying)
    if key in state.expiries.prices or average_of(state, key) is not None:
        return Rejected(Reason.SETTLEMENT_PRICE_IS_KNOWN, command.underlying)
    wrong = price_wrong(state, numbers, command.price, command.reason)
    if wrong is not None:
        return wrong
    samples = state.expiries.averages.get(key, Average()).count
    return [
        SettlementPriceSet(
            underlying=command.underlying,
            expiry=command.expiry,
            price=command.price,
            samples=samples,
            reason=command.reason,
        )
    ]


@applies(SettlementPriceSet)
def _price_set(state: State, event: SettlementPriceSet) -> None:
    key = (event.underlying, event.expiry)
    state.expiries.prices[key] = event.price
    state.expiries.averages.pop(key, None)
    state.terms_changes += 1
    for number in instruments_of(state, key):
        state.touched.update(state.positions.account[state.positions.of_instrument(number)].tolist())


def instruments_of(state: State, key: Expiry) -> list[int]:
    """Return the numbers of the instruments that end at one price."""
    return [
        number
        for number, listing in enumerate(state.parties.instruments)
        if listing.contract.expiry == key[1] and listing.contract.instrument.underlying == key[0]
    ]


def price_wrong(state: State, numbers: list[int], price: int, reason: str) -> Rejected | None:
    """Return why instruments may not settle at a price in 1e-8, for a reason; None where they may."""
    signed = all(state.parties.instruments[number].contract.signed for number in numbers)
    least = -INDEX_MAX if signed else 1
    if not least <= price <= INDEX_MAX:
        return Rejected(Reason.PRICE_IS_IMPOSSIBLE, f"found {price}; allowed: {least} to {INDEX_MAX}")
    if not reason.strip():
        return Rejected(Reason.TERMS_ARE_INVALID, "found no reason; allowed: a price with its reason")
    return None


def average_of(state: State, key: Expiry) -> int | None:
    """Return the mean of the samples in 1e-8, rounded down; None without a quorum."""
    average = state.expiries.averages.get(key, Average())
    return to_account(average.total, average.count) if average.count >= state.expiries.of(key[0]).quorum else None


# --- settlement


class Expire(Command, frozen=True):
    """Settle an instrument that has expired: profit and loss or an option's payoff, in cash, unasked."""

    instrument: str


class Expired(Event, frozen=True):
    """An instrument is no more: columns of holders and their lots, and of accounts and what each received.

    price: in 1e-8. Orders in it are over.
    """

    instrument: int
    price: int
    holder: bytes
    lots: bytes
    account: bytes
    amount: bytes


@decides(Expire)
def _expire(state: State, command: Expire) -> Decision:
    number = instrument_number_of(state, command.instrument)
    if isinstance(number, Rejected):
        return number
    listing = state.parties.instruments[number]
    if listing.stage == SETTLED:
        return Rejected(Reason.INSTRUMENT_IS_SETTLED, command.instrument)
    if listing.contract.expiry is None or state.now < listing.contract.expiry:
        return Rejected(Reason.INSTRUMENT_HAS_NOT_EXPIRED, command.instrument)
    key = expiry_of(listing.contract)
    if key not in state.expiries.prices and average_of(state, key) is None:
        found = state.expiries.averages.get(key, Average()).count
        needed = state.expiries.of(key[0]).quorum
        return Rejected(Reason.SETTLEMENT_HAS_NO_QUORUM, f"{key[0]}: {found} samples, {needed} are needed")
    return ending(state, number, Flows(state), dict(state.expiries.prices))


def ending(state: State, number: int, flows: Flows, prices: dict[Expiry, int]) -> list[Event] | Rejected:
    """Return the settlement of an instrument that has expired and has a price or the samples for one.

    prices: those that are fixed, by events before these of the same command too; a new one is added.
    """
    contract = state.parties.instruments[number].contract
    key = expiry_of(contract)
    price = prices.get(key, average_of(state, key))
    assert price is not None, f"{contract.instrument.symbol} has no settlement price"
    held = state.positions
    slots = held.of_instrument(number)
    values, columns = payoffs(state, contract, held.lots[slots], price), None
    if values is not None:
        columns = flows.balanced(contract.settle, held.account[slots], values + held.cost[slots])
    if columns is None:
        return Rejected(Reason.AMOUNT_TOO_LARGE, f"{contract.instrument.symbol} at {price}")
    events: list[Event] = []
    if key not in prices:
        samples = state.expiries.averages[key].count
        events.append(SettlementPriceSet(underlying=key[0], expiry=key[1], price=price, samples=samples, reason=""))
        prices[key] = price
    holders = slots[held.lots[slots] != 0]
    ended = Expired(
        instrument=number,
        price=price,
        holder=column(held.account[holders]),
        lots=column(held.lots[holders]),
        account=columns[0],
        amount=columns[1],
    )
    return [*events, ended]


def payoffs(state: State, contract: Contract, lots: IntArray, price: int) -> IntArray | None:
    """Return what lots are worth at a settlement price in 1e-8, rounded down; None where that is no amount of money."""
    lot = payoff_of_lot(contract, state.parties.assets[contract.settle].decimals, Fraction(price, INDEX_SCALE))
    return shares(lots, lot.numerator, lot.denominator)


def payoff_of_lot(contract: Contract, decimals: int, price: Fraction) -> Fraction:
    """Return what one long lot is worth at a settlement price, in minor units, exactly."""
    instrument = contract.instrument
    assert instrument.lot_size is not None
    size: Fraction = Fraction(instrument.lot_size) * Fraction(instrument.contract_size) * 10**decimals
    if isinstance(instrument, Option):
        gain = price - Fraction(instrument.strike)
        payoff: Fraction = size * max(gain if instrument.option_type == "call" else -gain, Fraction(0))
        return payoff / price if instrument.inverse else payoff
    return -size / price if contract.inverse else size * price


@applies(Expired)
def _expired(state: State, event: Expired) -> None:
    listing, held = state.parties.instruments[event.instrument], state.positions
    accounts, amounts = whole_numbers(event.account), whole_numbers(event.amount)
    slots = held.of_instrument(event.instrument)
    state.touched.update(held.account[slots].tolist())
    state.touched.update(accounts.tolist())
    state.ledger.post_columns(listing.contract.settle, accounts, amounts)
    held.lots[slots], held.cost[slots], held.funding_entry[slots] = 0, 0, 0
    for name in state.orders.of_instrument(event.instrument):
        state.touched.add(state.orders.open[name].account)
        state.orders.remove(name)
    listing.stage = SETTLED
    # A window that nobody looked at until its price was set began only now.
    state.expiries.averages.pop(expiry_of(listing.contract), None)
    state.expiries.paid[event.instrument] = Paid(event.price, state.now, event.holder, event.lots)


# --- correction


class CorrectSettlement(Command, frozen=True):
    """Settle anew at another price what was settled at a wrong one: the difference is paid, nothing is undone."""

    underlying: str
    expiry: int
    price: int
    reason: str


class SettlementCorrected(Event, frozen=True):
    """The difference between two settlement prices of an instrument was paid to and by whoever held it then."""

    instrument: int
    price: int
    account: bytes
    amount: bytes
    reason: str


class SettlementFinal(Event, frozen=True):
    """The settlement of an instrument can no longer be corrected."""

    instrument: int


@decides(CorrectSettlement)
def _correct(state: State, command: CorrectSettlement) -> Decision:
    key = (command.underlying, command.expiry)
    numbers = instruments_of(state, key)
    if not numbers:
        return Rejected(Reason.UNKNOWN_INSTRUMENT, f"nothing on {command.underlying} expires at {command.expiry}")
    if any(state.parties.instruments[number].stage != SETTLED for number in numbers):
        return Rejected(Reason.SETTLEMENT_IS_UNDER_WAY, command.underlying)
    if any(number not in state.expiries.paid or is_final(state, number) for number in numbers):
        return Rejected(Reason.SETTLEMENT_IS_FINAL, command.underlying)
    wrong = price_wrong(state, numbers, command.price, command.reason)
    if wrong is not None:
        return wrong
    if state.expiries.prices[key] == command.price:
        return Rejected(Reason.NOTHING_IS_DUE, f"{command.price} already")
    events: list[Event] = []
    flows = Flows(state)
    for number in numbers:
        contract, paid = state.parties.instruments[number].contract, state.expiries.paid[number]
        lots = whole_numbers(paid.lots)
        before, after = payoffs(state, contract, lots, paid.price), payoffs(state, contract, lots, command.price)
        columns = None
        if before is not None and after is not None:
            columns = flows.balanced(contract.settle, whole_numbers(paid.account), after - before)
        if columns is None:
            return Rejected(Reason.AMOUNT_TOO_LARGE, f"{contract.instrument.symbol} at {command.price}")
        events.append(
            SettlementCorrected(
                instrument=number,
                price=command.price,
                account=columns[0],
                amount=columns[1],
                reason=command.reason,
            )
        )
    return events


def is_final(state: State, number: int) -> bool:
    """Return whether what was paid for an instrument can no longer be corrected."""
    paid = state.expiries.paid[number]
    underlying = state.parties.instruments[number].contract.instrument.underlying
    return state.now > paid.time + state.expiries.of(underlying).correction


@applies(SettlementCorrected)
def _corrected(state: State, event: SettlementCorrected) -> None:
    contract = state.parties.instruments[event.instrument].contract
    accounts, amounts = whole_numbers(event.account), whole_numbers(event.amount)
    state.ledger.post_columns(contract.settle, accounts, amounts)
    state.touched.update(accounts.tolist())
    # What was closed while it still had money coming is not done with after all.
    state.parties.reopen(accounts)
    state.expiries.paid[event.instrument].price = event.price
    state.expiries.prices[expiry_of(contract)] = event.price


@applies(SettlementFinal)
def _final(state: State, event: SettlementFinal) -> None:
    del state.expiries.paid[event.instrument]
