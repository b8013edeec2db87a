"""Trades in columns: what a venue that speaks numbers sends by the thousand. Some views decide them by a kernel."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np

from crossmargin.clearing.funding import accruals
from crossmargin.clearing.ledger import FIRST_CLIENT
from crossmargin.clearing.machine import Command, Decision, decides
from crossmargin.clearing.marks import column, whole_numbers
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.risk import Fill
from crossmargin.clearing.trading import Batch, TradesCleared, traded
from crossmargin.units import Array, IntArray

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

TRADES_MAX = 2**14
"""Trades in one command."""

REASONS = (
    None,
    Reason.UNKNOWN_ACCOUNT,
    Reason.ACCOUNT_IS_THE_HOUSE,
    Reason.ACCOUNT_IS_CLOSED,
    Reason.UNKNOWN_INSTRUMENT,
    Reason.INSTRUMENT_DOES_NOT_TRADE,
    Reason.TRADE_WITH_ITSELF,
    Reason.LOTS_ARE_IMPOSSIBLE,
    Reason.PRICE_IS_IMPOSSIBLE,
    Reason.AMOUNT_TOO_LARGE,
    Reason.ORDER_LIMIT_REACHED,
    Reason.POSITION_LIMIT_REACHED,
    Reason.TRADING_IS_RESTRICTED,
    Reason.MARK_IS_MISSING,
    Reason.FUNDS_ARE_INSUFFICIENT,
    Reason.MARGIN_IS_INSUFFICIENT,
)
"""What the numbers in `Decided.outcome` mean; None: accepted."""
NUMBER_OF = {reason: k for k, reason in enumerate(REASONS)}


class ClearColumns(Command, frozen=True):
    """Trades as columns, each accepted or refused in its turn: int64, little-endian, a place a trade.

    Accounts and instruments by the numbers that their events gave them. No orders: what may not be lost is checked as
    it trades. A kernel refuses what is worth 2^47 minor units or more; `ClearTrades` takes it.
    """

    instrument: bytes
    buyer: bytes
    seller: bytes
    lots: bytes
    """Above 0."""
    ticks: bytes
    buyer_took: bytes
    """1 where the buyer pays the taker's fee, 0 where the seller does."""


class Columns(NamedTuple):
    """The columns of a command, (n,) each."""

    instrument: IntArray
    buyer: IntArray
    seller: IntArray
    lots: IntArray
    ticks: IntArray
    buyer_took: IntArray


@dataclass(frozen=True, slots=True)
class Decided:
    """What becomes of trades: outcome (n,) int8, a number in REASONS; fees (n,) in minor units of the settle asset."""

    outcome: Array
    buyer_fee: IntArray
    seller_fee: IntArray

    @classmethod
    def of(cls, count: int) -> Decided:
        """Return room for the decisions on `count` trades."""
        return cls(np.zeros(count, np.int8), np.zeros(count, np.int64), np.zeros(count, np.int64))


@runtime_checkable
class DecidesColumns(Protocol):
    """A view of margin that decides trades in columns by itself, in order."""

    def decide(self, state: State, columns: Columns) -> Decided:
        """Decide trades against margin, limits and what fits; the next event applied is that of those accepted."""


@decides(ClearColumns)
def _clear(state: State, command: ClearColumns) -> Decision:
    data = (command.instrument, command.buyer, command.seller, command.lots, command.ticks, command.buyer_took)
    count = len(data[0]) // 8
    if any(len(d) != 8 * count for d in data):
        return Rejected(Reason.COLUMNS_ARE_MALFORMED, f"columns of {', '.join(str(len(d)) for d in data)} bytes")
    if not 0 < count <= TRADES_MAX:
        return Rejected(Reason.BATCH_IS_EMPTY if not count else Reason.COLUMNS_ARE_MALFORMED, f"{count} trades")
    columns = Columns(*(whole_numbers(d) for d in data))
    if ((columns.buyer_took != 0) & (columns.buyer_took != 1)).any():
        return Rejected(Reason.COLUMNS_ARE_MALFORMED, "buyer_took: allowed: 0 or 1")
    by_kernel = (
        isinstance(state.risk, DecidesColumns)
        # What holds back single accounts or instruments is looked up trade by trade.
        and not state.control.in_force
        and not state.limits.own
    )
    decided = state.risk.decide(state, columns) if by_kernel else _one_by_one(state, columns)  # type: ignore[union-attr]
    taken = np.flatnonzero(decided.outcome == 0)
    if not len(taken):
        why = REASONS[int(decided.outcome[0])]
        assert why is not None
        return Rejected(why, f"trade 0 of {count}, and all others for reasons of their own")
    refused = np.flatnonzero(decided.outcome)
    instrument, buyer, seller, lots, ticks, _ = columns if len(taken) == count else (c[taken] for c in columns)
    owner = state.parties.owner
    present = np.zeros(len(state.parties.instruments), dtype=np.bool_)
    present[instrument] = True
    return [
        *accruals(state, np.flatnonzero(present).tolist()),
        TradesCleared(
            instrument=instrument.tobytes(),
            buyer=buyer.tobytes(),
            seller=seller.tobytes(),
            lots=lots.tobytes(),
            ticks=ticks.tobytes(),
            buyer_fee=column(decided.buyer_fee[taken]),
            seller_fee=column(decided.seller_fee[taken]),
            one_owner=column(owner[buyer] == owner[seller]),
            orders=[],
            refused=[(int(k), str(REASONS[int(decided.outcome[k])]), "") for k in refused],
        ),
    ]


def _one_by_one(state: State, columns: Columns) -> Decided:
    """Decide trades as `ClearTrades` does."""
    decided, batch = Decided.of(len(columns.lots)), Batch(state)
    rows = zip(*(c.tolist() for c in columns), strict=True)
    for k, (instrument, buyer, seller, lots, ticks, took) in enumerate(rows):
        wrong = _parties_wrong(state, instrument, buyer, seller)
        row = wrong or traded(state, instrument, buyer, seller, lots, ticks, buyer_took=bool(took))
        if isinstance(row, Rejected):
            decided.outcome[k] = NUMBER_OF[row.reason]
            continue
        fees = row[5], row[6]
        bought, sold = Fill(instrument, lots, ticks, fees[0]), Fill(instrument, -lots, ticks, fees[1])
        refused = batch.side_wrong(buyer, bought, "") or batch.side_wrong(seller, sold, "")
        if refused is not None:
            decided.outcome[k] = NUMBER_OF[refused.reason]
            continue
        batch.take(buyer, bought, "")
        batch.take(seller, sold, "")
        decided.buyer_fee[k], decided.seller_fee[k] = fees
    return decided


def _parties_wrong(state: State, instrument: int, buyer: int, seller: int) -> Rejected | None:
    if not 0 <= instrument < len(state.parties.instruments):
        return Rejected(Reason.UNKNOWN_INSTRUMENT)
    for account in (buyer, seller):
        if not 0 <= account < len(state.parties.accounts):
            return Rejected(Reason.UNKNOWN_ACCOUNT)
        if account < FIRST_CLIENT:
            return Rejected(Reason.ACCOUNT_IS_THE_HOUSE)
        if state.parties.closed[account]:
            return Rejected(Reason.ACCOUNT_IS_CLOSED)
    return None
