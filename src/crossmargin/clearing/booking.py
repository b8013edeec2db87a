"""Booking: trades put into positions and cash, many at once. Whole numbers, in the order of the trades."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from crossmargin.clearing.contracts import DENOMINATOR, KIND, LINEAR, NUMERATOR, OPTION, SETTLE
from crossmargin.clearing.ledger import FEES, ROUNDING
from crossmargin.clearing.positions import find, new_slot
from crossmargin.units import IntArray

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


def book(state: State, columns: Sequence[IntArray]) -> None:
    """Book trades: (instrument, buyer, seller, lots, ticks, buyer's fee, seller's fee), columns of one length.

    Nothing may overflow: whoever decided them saw to it. Positions and cash of each asset cancel by construction.
    """
    instrument, buyer, seller, lots, ticks, buyer_fee, seller_fee = columns
    held, cash = state.positions, state.ledger.cash
    # The rounding account may come to hold a cost in every instrument.
    held.make_room(len(state.parties.accounts), 2 * len(lots) + len(state.parties.instruments))
    rows = state.parties.terms
    used = np.array([held.count], dtype=np.int64)
    bought, sold = np.empty_like(lots), np.empty_like(lots)
    for side, account in ((bought, buyer), (sold, seller)):
        find_all(held.table, held.account, held.instrument, account, instrument, side)
        open_all(held.table, held.account, held.instrument, held.following, held.first, used, account, instrument, side)
    book_all(
        held.table, held.account, held.instrument, held.following, held.first, held.lots, held.cost,
        held.funding_entry, held.funding_index, used, cash, rows, instrument, buyer, seller, lots, ticks,
        buyer_fee, seller_fee, bought, sold,
    )  # fmt: skip
    held.count = int(used[0])


@njit(cache=True, nogil=True)
def find_all(
    table: IntArray,
    account_of: IntArray,
    instrument_of: IntArray,
    account: IntArray,
    instrument: IntArray,
    out: IntArray,
) -> None:
    """Find the slot of each (account, instrument), (n,); -1 where there is none. No step waits for another."""
    for k in range(len(account)):
        out[k] = find(table, account_of, instrument_of, account[k], instrument[k])


@njit(cache=True, nogil=True)
def open_all(
    table: IntArray, account_of: IntArray, instrument_of: IntArray, following: IntArray, first: IntArray,
    used: IntArray, account: IntArray, instrument: IntArray, slot: IntArray,
) -> None:  # fmt: skip
    """Give every place of `slot` that is -1 a new slot, or that which an earlier place was given. used: (1,) count."""
    for k in range(len(slot)):
        if slot[k] >= 0:
            continue
        slot[k] = find(table, account_of, instrument_of, account[k], instrument[k])
        if slot[k] < 0:
            slot[k] = new_slot(table, account_of, instrument_of, following, first, used[0], account[k], instrument[k])
            used[0] += 1


@njit(cache=True, nogil=True)
def book_all(
    table: IntArray, account_of: IntArray, instrument_of: IntArray, following: IntArray, first: IntArray,
    held: IntArray, cost: IntArray, funding_entry: IntArray, funding_index: IntArray, used: IntArray,
    cash: IntArray, rows: IntArray, instrument: IntArray, buyer: IntArray, seller: IntArray, lots: IntArray,
    ticks: IntArray, buyer_fee: IntArray, seller_fee: IntArray, bought: IntArray, sold: IntArray,
) -> None:  # fmt: skip
    """Put trades into the slots `bought` and `sold`, (n,), and into `cash` (accounts, assets).

    Cost is minus the value of what was bought, rounded down for either side; what that leaves is the rounding
    account's. An option's premium is cash. Fees > 0 are charged.
    """
    for k in range(len(lots)):
        i, n = instrument[k], lots[k]
        numerator, kind, asset = rows[i, NUMERATOR], rows[i, KIND], rows[i, SETTLE]
        paid = np.int64(0)
        of_buyer = np.int64(0)
        of_seller = np.int64(0)
        if kind == OPTION:
            paid = n * ticks[k] * numerator
        elif kind == LINEAR:
            of_seller = n * ticks[k] * numerator
            of_buyer = -of_seller
        else:
            top, bottom = n * numerator, rows[i, DENOMINATOR] * ticks[k]
            of_buyer = top // bottom
            of_seller = -top // bottom
            left = -of_buyer - of_seller
            if left != 0:
                slot = find(table, account_of, instrument_of, ROUNDING, i)
                if slot < 0:
                    slot = new_slot(table, account_of, instrument_of, following, first, used[0], ROUNDING, i)
                    used[0] += 1
                cost[slot] += left
        b, s = bought[k], sold[k]
        owed = n * funding_index[i]
        held[b] += n
        cost[b] += of_buyer
        funding_entry[b] += owed
        held[s] -= n
        cost[s] += of_seller
        funding_entry[s] -= owed
        cash[buyer[k], asset] -= paid + buyer_fee[k]
        cash[seller[k], asset] += paid - seller_fee[k]
        cash[FEES, asset] += buyer_fee[k] + seller_fee[k]
