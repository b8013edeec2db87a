"""Funding: what holds a perpetual near its index. It accrues by an index a lot and is paid once an interval.

    premium of a sample     ((impact bid - index)+ - (index - impact ask)+) / index, held until the next sample
    rate of an interval     average so far + clamp(interest - average, +-clamp), within +-limit
    index a lot             += rate * value of a lot at the mark * time / interval

Longs pay shorts where the rate is positive. Whoever trades in the middle of an interval owes for the time after it; no
fresh sample, no accrual. Everything is exact: the index in 1e-18 of a minor unit, payments rounded down once.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from crossmargin.clearing.contracts import AMOUNT_MAX, Contract
from crossmargin.clearing.flows import SECOND, Flows, fresh_index, fresh_mark
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.marks import INDEX_SCALE, whole_numbers
from crossmargin.clearing.parties import SETTLED, instrument_number_of
from crossmargin.clearing.positions import FUNDING_UNIT
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.units import DAY_SECONDS

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

RATE_UNIT = 10**9
"""Rates and premiums are in units of 1e-9 an interval."""
CARRY_UNIT = 10**12
"""What the index leaves over is kept in FUNDING_UNIT times this, and added in the next time."""
MILLISECOND = 1_000_000
"""Nanoseconds; time accrues in whole ones."""


@dataclass(slots=True)
class FundingTerms:
    """Funding of one perpetual and where it stands. Rates in 1e-9 an interval, times in nanoseconds."""

    interval: int
    interest: int
    clamp: int
    limit: int
    stale: int
    """How long a sample is good for; then accrual stops."""
    since: int
    """When the interval began: a whole number of intervals after 1970."""
    accrued_until: int
    premium: int = 0
    ticks: int = 0
    """The mark of the last sample."""
    sampled_at: int = -1
    """-1 where there is no sample yet."""
    weighed: int = 0
    """Sum of premium * milliseconds since the interval began."""
    weight: int = 0
    """Milliseconds with a premium since then."""
    carried: int = 0


@dataclass(slots=True)
class Funding:
    """Funding by instrument number; the index itself is kept with the positions."""

    by_instrument: dict[int, FundingTerms] = field(default_factory=dict)

    def frozen(self) -> Any:
        """Return the funding as plain values."""
        return [
            [number, *(getattr(terms, name) for name in FundingTerms.__slots__)]
            for number, terms in sorted(self.by_instrument.items())
        ]

    @classmethod
    def thawed(cls, plain: Any) -> Funding:
        """Return what `frozen` was told of."""
        return cls({number: FundingTerms(*row) for number, *row in plain})


class SetFunding(Command, frozen=True):
    """Set the funding terms of a perpetual. interest, clamp, limit: in units of 1e-9 an interval."""

    instrument: str
    interval_seconds: int = 8 * 3_600
    interest: int = 100_000
    clamp: int = 500_000
    limit: int = 7_500_000
    stale_seconds: int = 300


class FundingSet(Event, frozen=True):
    """A perpetual has funding terms."""

    instrument: int
    interval: int
    interest: int
    clamp: int
    limit: int
    stale: int


@decides(SetFunding)
def _set(state: State, command: SetFunding) -> Decision:
    number = instrument_number_of(state, command.instrument)
    if isinstance(number, Rejected):
        return number
    listing = state.parties.instruments[number]
    contract = listing.contract
    if contract.instrument.kind != "perpetual" or contract.signed or listing.stage == SETTLED:
        # A premium is a fraction of the index: there is none where the index may be 0.
        return Rejected(
            Reason.INSTRUMENT_HAS_NO_FUNDING, f"{command.instrument}: allowed: perpetuals of positive price"
        )
    rates = (command.interest, command.clamp, command.limit)
    wrong = (
        not 0 < command.interval_seconds <= DAY_SECONDS
        or not 0 < command.stale_seconds <= command.interval_seconds
        or not 0 <= command.clamp <= RATE_UNIT
        or not 0 <= command.limit <= RATE_UNIT
        or abs(command.interest) > RATE_UNIT
    )
    if wrong:
        found = f"interval {command.interval_seconds} s, stale {command.stale_seconds} s, rates {rates}"
        allowed = f"intervals to {DAY_SECONDS} s, stale within them, rates to {RATE_UNIT}"
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {found}; allowed: {allowed}")
    events = accrual(state, number)
    if isinstance(events, Rejected):
        return events
    return [
        *events,
        FundingSet(
            instrument=number,
            interval=command.interval_seconds * SECOND,
            interest=command.interest,
            clamp=command.clamp,
            limit=command.limit,
            stale=command.stale_seconds * SECOND,
        ),
    ]


@applies(FundingSet)
def _was_set(state: State, event: FundingSet) -> None:
    terms = state.funding.by_instrument.get(event.instrument)
    values = (event.interval, event.interest, event.clamp, event.limit, event.stale)
    since = state.now - state.now % event.interval
    if terms is None:
        state.funding.by_instrument[event.instrument] = FundingTerms(*values, since, state.now)
    else:
        terms.interval, terms.interest, terms.clamp, terms.limit, terms.stale = values
        terms.since = since


# --- samples and accrual


class SampleFunding(Command, frozen=True):
    """Look at the book of a perpetual: the average prices, in ticks, at which a stated size sells and buys."""

    instrument: str
    impact_bid: int
    impact_ask: int


class FundingSampled(Event, frozen=True):
    """A perpetual has a new premium over its index, in 1e-9, and the mark that funding is reckoned by."""

    instrument: int
    premium: int
    ticks: int


class FundingAccrued(Event, frozen=True):
    """Longs have come to owe more: `index` a lot since the last payment, at `rate` (in 1e-9 an interval)."""

    instrument: int
    rate: int
    index: int
    carried: int
    until: int
    weighed: int
    weight: int


@decides(SampleFunding)
def _sample(state: State, command: SampleFunding) -> Decision:
    number = instrument_number_of(state, command.instrument)
    if isinstance(number, Rejected):
        return number
    if number not in state.funding.by_instrument or state.parties.instruments[number].stage == SETTLED:
        return Rejected(Reason.INSTRUMENT_HAS_NO_FUNDING, command.instrument)
    if not 0 < command.impact_bid <= command.impact_ask:
        found = f"bid {command.impact_bid}, ask {command.impact_ask}"
        return Rejected(Reason.PRICE_IS_IMPOSSIBLE, f"{command.instrument}: found {found}; allowed: 0 < bid <= ask")
    contract = state.parties.instruments[number].contract
    index, ticks = fresh_index(state, contract.instrument.underlying), fresh_mark(state, number)
    if isinstance(index, Rejected):
        return index
    if isinstance(ticks, Rejected):
        return ticks
    events = accrual(state, number)
    if isinstance(events, Rejected):
        return events
    premium = premium_of(contract, index, command.impact_bid, command.impact_ask)
    return [*events, FundingSampled(instrument=number, premium=premium, ticks=ticks)]


def premium_of(contract: Contract, index: int, impact_bid: int, impact_ask: int) -> int:
    """Return the premium of a book over the index (in 1e-8), in 1e-9, at most 100% of it either way."""
    size = contract.instrument.tick_size
    assert size is not None
    tick = Fraction(size) * INDEX_SCALE
    gap = max(impact_bid * tick - index, Fraction(0)) - max(index - impact_ask * tick, Fraction(0))
    return max(-RATE_UNIT, min(RATE_UNIT, round(gap / index * RATE_UNIT)))


def rate_of(terms: FundingTerms, average: int) -> int:
    """Return the rate of an interval whose average premium is `average`; all in 1e-9."""
    rate = average + max(-terms.clamp, min(terms.clamp, terms.interest - average))
    return max(-terms.limit, min(terms.limit, rate))


def accrual(state: State, number: int) -> list[Event] | Rejected:
    """Return what has accrued in a perpetual until now: one event, or none where no time has passed under a sample."""
    terms = state.funding.by_instrument.get(number)
    if terms is None or terms.sampled_at < 0:
        return []
    # Before the first sample nothing was known, after its time none is good.
    begin = max(terms.accrued_until, terms.sampled_at)
    elapsed = (min(state.now, terms.sampled_at + terms.stale) - begin) // MILLISECOND
    if elapsed <= 0:
        return []
    weighed, weight = terms.weighed + terms.premium * elapsed, terms.weight + elapsed
    rate = rate_of(terms, round(Fraction(weighed, weight)))
    contract = state.parties.instruments[number].contract
    lot = Fraction(terms.ticks * contract.numerator)
    if contract.inverse:
        lot = Fraction(contract.numerator, contract.denominator * terms.ticks)
    owed = Fraction(rate, RATE_UNIT) * lot * Fraction(elapsed * MILLISECOND, terms.interval)
    held = state.positions
    exact = int(held.funding_index[number]) * CARRY_UNIT + terms.carried
    index, carried = divmod(exact + (owed * FUNDING_UNIT * CARRY_UNIT).__floor__(), CARRY_UNIT)
    if not _fits(state, number, index):
        return Rejected(Reason.AMOUNT_TOO_LARGE, f"funding of {contract.instrument.symbol}")
    return [
        FundingAccrued(
            instrument=number,
            rate=rate,
            index=index,
            carried=carried,
            until=begin + elapsed * MILLISECOND,
            weighed=weighed,
            weight=weight,
        )
    ]


def accruals(state: State, numbers: Iterable[int]) -> list[Event]:
    """Return what has accrued in perpetuals that are about to trade: who comes now owes nothing for the time before.

    One that was reckoned within the last second is left as it is.
    """
    events: list[Event] = []
    for number in numbers:
        terms = state.funding.by_instrument.get(number)
        if terms is not None and state.now >= max(terms.accrued_until, terms.sampled_at) + SECOND:
            found = accrual(state, number)
            events += found if not isinstance(found, Rejected) else []
    return events


def _fits(state: State, number: int, index: int) -> bool:
    """Return whether what every holder owes at an index fits its column."""
    held = state.positions
    slots = held.of_instrument(number)
    most = max(1, int(abs(held.lots[slots]).max(initial=0)))
    return most * abs(index) + int(abs(held.funding_entry[slots]).max(initial=0)) < AMOUNT_MAX


@applies(FundingSampled)
def _sampled(state: State, event: FundingSampled) -> None:
    terms = state.funding.by_instrument[event.instrument]
    terms.premium, terms.ticks, terms.sampled_at = event.premium, event.ticks, state.now


@applies(FundingAccrued)
def _accrued(state: State, event: FundingAccrued) -> None:
    terms, held = state.funding.by_instrument[event.instrument], state.positions
    held.funding_index[event.instrument] = event.index
    terms.carried, terms.accrued_until = event.carried, event.until
    terms.weighed, terms.weight = event.weighed, event.weight
    state.touched.update(held.account[held.of_instrument(event.instrument)].tolist())


# --- payment


class PayFunding(Command, frozen=True):
    """Pay what has accrued in a perpetual, once its interval is over."""

    instrument: str


class FundingPaid(Event, frozen=True):
    """Funding has been paid: columns of accounts, and of what each received. The next interval began at `since`."""

    instrument: int
    since: int
    account: bytes
    amount: bytes


@decides(PayFunding)
def _pay(state: State, command: PayFunding) -> Decision:
    number = instrument_number_of(state, command.instrument)
    if isinstance(number, Rejected):
        return number
    if number not in state.funding.by_instrument or state.parties.instruments[number].stage == SETTLED:
        return Rejected(Reason.INSTRUMENT_HAS_NO_FUNDING, command.instrument)
    if not is_due(state, number):
        return Rejected(Reason.NOTHING_IS_DUE, f"the interval of {command.instrument} is not over")
    return payment(state, number, Flows(state))


def is_due(state: State, number: int) -> bool:
    """Return whether a perpetual's interval is over."""
    terms = state.funding.by_instrument[number]
    return state.now >= terms.since + terms.interval


def payment(state: State, number: int, flows: Flows) -> list[Event] | Rejected:
    """Return the payment of all that has accrued in a perpetual until now, or why there is none.

    Nobody needs to have what he pays: who has not goes below 0 and owes, who receives is paid in full.
    """
    events = accrual(state, number)
    if isinstance(events, Rejected):
        return events
    terms, held = state.funding.by_instrument[number], state.positions
    index = int(held.funding_index[number])
    for event in events:
        assert isinstance(event, FundingAccrued)
        index = event.index
    slots = held.of_instrument(number)
    contract = state.parties.instruments[number].contract
    columns = None
    if _fits(state, number, index):
        owed = held.funding_entry[slots] - held.lots[slots] * index
        columns = flows.balanced(contract.settle, held.account[slots], owed // FUNDING_UNIT)
    if columns is None:
        return Rejected(Reason.AMOUNT_TOO_LARGE, f"funding of {contract.instrument.symbol}")
    since = state.now - state.now % terms.interval
    return [*events, FundingPaid(instrument=number, since=since, account=columns[0], amount=columns[1])]


@applies(FundingPaid)
def _paid(state: State, event: FundingPaid) -> None:
    accounts, amounts = whole_numbers(event.account), whole_numbers(event.amount)
    terms, held = state.funding.by_instrument[event.instrument], state.positions
    state.ledger.post_columns(state.parties.instruments[event.instrument].contract.settle, accounts, amounts)
    slots = held.of_instrument(event.instrument)
    state.touched.update(held.account[slots].tolist())
    held.funding_entry[slots] = 0
    held.funding_index[event.instrument] = 0
    terms.since, terms.weighed, terms.weight = event.since, 0, 0
    state.touched.update(accounts.tolist())
