"""Stages: an instrument that was listed begins to trade, and a perpetual that nobody holds is taken off the list.

What expires goes through its last stages by itself (`expiry`). A perpetual is restricted to reducing first (`control`)
and is delisted once nobody holds it: nobody's position is closed at a price they did not trade at.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import LISTED, SETTLED, TRADING, instrument_number_of
from crossmargin.clearing.rejections import Reason, Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


class StartTrading(Command, frozen=True):
    """An instrument that was only listed trades from now on."""

    instrument: str


class Delist(Command, frozen=True):
    """Take a perpetual that nobody holds, and nobody has an order in, off the list for ever."""

    instrument: str
    reason: str


class StageReached(Event, frozen=True):
    """An instrument is at another stage of its life: a number in `contracts.STAGES`."""

    instrument: int
    stage: int
    reason: str


@decides(StartTrading)
def _start(state: State, command: StartTrading) -> Decision:
    number = instrument_number_of(state, command.instrument)
    if isinstance(number, Rejected):
        return number
    listing = state.parties.instruments[number]
    if listing.stage != LISTED:
        return Rejected(Reason.STAGE_DOES_NOT_ALLOW_IT, f"{command.instrument} is not waiting to trade")
    if listing.contract.expiry is not None and listing.contract.expiry <= state.now:
        return Rejected(Reason.STAGE_DOES_NOT_ALLOW_IT, f"{command.instrument} has expired")
    return [StageReached(instrument=number, stage=TRADING, reason="trading starts")]


@decides(Delist)
def _delist(state: State, command: Delist) -> Decision:
    number = instrument_number_of(state, command.instrument)
    if isinstance(number, Rejected):
        return number
    listing = state.parties.instruments[number]
    if listing.stage not in (LISTED, TRADING) or listing.contract.expiry is not None:
        return Rejected(Reason.STAGE_DOES_NOT_ALLOW_IT, f"{command.instrument} expires, or has ended already")
    if len(state.positions.of_instrument(number)) or state.orders.of_instrument(number):
        return Rejected(Reason.INSTRUMENT_IS_HELD, f"{command.instrument}: positions or orders are open")
    return [StageReached(instrument=number, stage=SETTLED, reason=command.reason)]


@applies(StageReached)
def _reached(state: State, event: StageReached) -> None:
    state.parties.instruments[event.instrument].stage = event.stage
