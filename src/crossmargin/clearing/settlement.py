"""Settlement: the profit and loss of futures and perpetuals becomes cash, and their cost starts anew from the mark."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crossmargin.clearing.flows import Flows, change_costs, fresh_mark, shares
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.marks import whole_numbers
from crossmargin.clearing.parties import SETTLED, instrument_number_of
from crossmargin.clearing.rejections import Reason, Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


class SettleVariation(Command, frozen=True):
    """Pay the profit and loss of instruments in cash, at their marks. None named: all that anybody holds."""

    instruments: tuple[str, ...] = ()


class VariationSettled(Event, frozen=True):
    """Profit and loss of an instrument at a mark has been paid: columns of accounts, and of what each received."""

    instrument: int
    ticks: int
    account: bytes
    amount: bytes


@decides(SettleVariation)
def _settle(state: State, command: SettleVariation) -> Decision:
    numbers: list[int] = []
    for symbol in command.instruments:
        number = instrument_number_of(state, symbol)
        if isinstance(number, Rejected):
            return number
        if number in numbers:
            return Rejected(Reason.TERMS_ARE_INVALID, f"{symbol} is named twice")
        if not has_variation(state, number):
            return Rejected(Reason.INSTRUMENT_HAS_NO_VARIATION, symbol)
        numbers.append(number)
    if not command.instruments:
        held = np.unique(state.positions.instrument[: state.positions.count][state.positions.live()])
        numbers = [number for number in held.tolist() if has_variation(state, number)]
    events: list[Event] = []
    flows = Flows(state)
    for number in numbers:
        event = variation(state, number, flows)
        if isinstance(event, Rejected):
            return event
        events.append(event)
    return events


def has_variation(state: State, number: int) -> bool:
    """Return whether an instrument's profit and loss is paid day by day: a future or perpetual that has not expired."""
    listing = state.parties.instruments[number]
    expiry = listing.contract.expiry
    return not listing.contract.option and listing.stage != SETTLED and (expiry is None or state.now < expiry)


def variation(state: State, number: int, flows: Flows) -> VariationSettled | Rejected:
    """Return the payment of all profit and loss of an instrument at its mark, or why there is none.

    What an account has had and has is worth floor(value at mark) + cost, however often it was settled on the way: its
    cost starts anew at minus the same floor. The rounding account takes the fractions and gives them back at the end.
    """
    ticks = fresh_mark(state, number)
    if isinstance(ticks, Rejected):
        return ticks
    contract = state.parties.instruments[number].contract
    held = state.positions
    slots = held.of_instrument(number)
    if contract.inverse:
        values = shares(held.lots[slots], -contract.numerator, contract.denominator * ticks)
    else:
        values = shares(held.lots[slots], ticks * contract.numerator, 1)
    columns = None
    if values is not None:
        columns = flows.balanced(contract.settle, held.account[slots], values + held.cost[slots])
    if columns is None:
        return Rejected(Reason.AMOUNT_TOO_LARGE, f"{contract.instrument.symbol} at {ticks}")
    return VariationSettled(instrument=number, ticks=ticks, account=columns[0], amount=columns[1])


@applies(VariationSettled)
def _settled(state: State, event: VariationSettled) -> None:
    accounts, amounts = whole_numbers(event.account), whole_numbers(event.amount)
    state.ledger.post_columns(state.parties.instruments[event.instrument].contract.settle, accounts, amounts)
    change_costs(state, event.instrument, accounts, amounts)
    state.touched.update(accounts.tolist())
