"""Trades agreed beside the venue: blocks of several legs, and trades given up to the accounts they were made for.

All or none: every leg, and every share, or nothing. What moves is booked as trades are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from crossmargin.clearing.funding import accruals
from crossmargin.clearing.machine import Command, Decision, decides
from crossmargin.clearing.parties import account_of, instrument_number_of
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.risk import Fill
from crossmargin.clearing.trading import Batch, traded, trades_cleared

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


class Leg(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A leg of a block: lots as the buyer of the block gets them, bought > 0, sold < 0."""

    symbol: str
    lots: int
    ticks: int


class BlockTrade(Command, frozen=True):
    """Two accounts have agreed on legs at prices; margin is looked at with all of them. Both pay the taker's fee."""

    buyer: str
    seller: str
    legs: list[Leg]


class GiveUp(Command, frozen=True):
    """Lots of a position go on, at the price they were traded at and without fees, to the accounts they are for.

    To accounts of the same owner, or between a member and its clients. shares: lots above 0 by account, all of the
    position's own side; the account that gives up keeps the rest.
    """

    account: str
    symbol: str
    ticks: int
    shares: dict[str, int]


@decides(BlockTrade)
def _block(state: State, command: BlockTrade) -> Decision:
    buyer, seller = account_of(state, command.buyer), account_of(state, command.seller)
    if isinstance(buyer, Rejected):
        return buyer
    if isinstance(seller, Rejected):
        return seller
    if not command.legs:
        return Rejected(Reason.BATCH_IS_EMPTY, "no legs")
    rows: list[tuple[int, ...]] = []
    for leg in command.legs:
        instrument = instrument_number_of(state, leg.symbol)
        if isinstance(instrument, Rejected):
            return instrument
        long, short = (buyer, seller) if leg.lots > 0 else (seller, buyer)
        row = traded(state, instrument, long, short, abs(leg.lots), leg.ticks, buyer_took=True)
        if isinstance(row, Rejected):
            return row
        rows.append((*row[:6], row[5], row[7]))
    return _together(state, rows)


@decides(GiveUp)
def _give_up(state: State, command: GiveUp) -> Decision:
    source, instrument = account_of(state, command.account), instrument_number_of(state, command.symbol)
    if isinstance(source, Rejected):
        return source
    if isinstance(instrument, Rejected):
        return instrument
    if not command.shares:
        return Rejected(Reason.BATCH_IS_EMPTY, "no shares")
    have, _ = state.positions.of(source, instrument)
    asked = sum(command.shares.values())
    if min(command.shares.values()) <= 0 or asked > abs(have):
        return Rejected(
            Reason.LOTS_ARE_IMPOSSIBLE, f"found {asked} lots of {abs(have)}; allowed: shares above 0 of them"
        )
    rows: list[tuple[int, ...]] = []
    for name, lots in command.shares.items():
        target = account_of(state, name)
        if isinstance(target, Rejected):
            return target
        if not _belong_together(state, source, target):
            return Rejected(Reason.ACCOUNTS_ARE_SEGREGATED, f"{command.account} and {name}")
        # Whoever gives up a long position sells it on.
        long, short = (target, source) if have > 0 else (source, target)
        row = traded(state, instrument, long, short, lots, command.ticks, buyer_took=True)
        if isinstance(row, Rejected):
            return row
        rows.append((*row[:5], 0, 0, row[7]))
    return _together(state, rows)


def _belong_together(state: State, source: int, target: int) -> bool:
    """Return whether positions may go from one account to another without a trade."""
    one, other = state.parties.accounts[source], state.parties.accounts[target]
    return one.owner == other.owner or one.member == target or other.member == source


def _together(state: State, rows: list[tuple[int, ...]]) -> Decision:
    """Decide trades given as columns of `TradesCleared`: all, or none and why."""
    batch = Batch(state)
    for instrument, buyer, seller, lots, ticks, buyer_fee, seller_fee, _ in rows:
        sides = (
            (buyer, Fill(instrument, lots, ticks, buyer_fee)),
            (seller, Fill(instrument, -lots, ticks, seller_fee)),
        )
        for account, fill in sides:
            wrong = batch.held_back(account, fill)
            if wrong is not None:
                return wrong
        for account, fill in sides:
            batch.take(account, fill, "")
    for account in dict.fromkeys(a for row in rows for a in (row[1], row[2])):
        wrong = batch.uncovered(account)
        if wrong is not None:
            return wrong
    return [*accruals(state, dict.fromkeys(row[0] for row in rows)), trades_cleared(rows, [], [])]
