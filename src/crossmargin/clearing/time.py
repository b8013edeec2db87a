"""Time: the clock is advanced by a command, and what is due then happens: expiry, funding, interest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmargin.clearing import lending
from crossmargin.clearing.expiry import SettlementFinal, average_of, ending, expiry_of, is_final, window_events
from crossmargin.clearing.flows import Flows
from crossmargin.clearing.funding import is_due, payment
from crossmargin.clearing.locations import notices_over
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import SETTLED
from crossmargin.clearing.rejections import Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


class AdvanceClock(Command, frozen=True):
    """It is now as late as the record says; do what is due by now.

    Windows of expiry begin, the index is sampled in them, what has expired and has a price is settled, funding of
    intervals that are over is paid, interest is charged every hour, settlements become final. What cannot be done yet
    (an expiry without a quorum) is left for the next time; asking for it by its own command says why.
    """


class ClockAdvanced(Event, frozen=True):
    """The clock has been looked at; nothing else follows from this."""


@decides(AdvanceClock)
def _advance(state: State, _command: AdvanceClock) -> Decision:
    flows = Flows(state)
    events: list[Event] = [ClockAdvanced(), *notices_over(state), *window_events(state)]
    prices = dict(state.expiries.prices)
    for number in _ended(state):
        settled = ending(state, number, flows, prices)
        if not isinstance(settled, Rejected):
            events += settled
    for number in sorted(state.funding.by_instrument):
        if is_due(state, number) and state.parties.instruments[number].stage != SETTLED:
            paid = payment(state, number, flows)
            if not isinstance(paid, Rejected):
                events += paid
    for asset in sorted(state.lending.pools):
        if lending.is_due(state, asset):
            charged = lending.charge(state, asset)
            if not isinstance(charged, Rejected):
                events += charged
    events += [SettlementFinal(instrument=n) for n in sorted(state.expiries.paid) if is_final(state, n)]
    return events


def _ended(state: State) -> list[int]:
    """Return the instruments that have expired, are not settled and can be."""
    ended = []
    for number, listing in enumerate(state.parties.instruments):
        expiry = listing.contract.expiry
        if expiry is None or state.now < expiry or listing.stage == SETTLED:
            continue
        key = expiry_of(listing.contract)
        if key in state.expiries.prices or average_of(state, key) is not None:
            ended.append(number)
    return ended


@applies(ClockAdvanced)
def _advanced(_state: State, _event: ClockAdvanced) -> None:
    """Only the time has changed, and every record has that."""
