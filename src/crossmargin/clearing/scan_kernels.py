"""Kernels of the scan: losses of every pool in every scenario, kept as trades come and marks move.

Shapes: A accounts, K instruments, S scenarios, V vectors (a pool's group each), n trades. A pool is at the row of its
first account. Losses are int64 in steps of 1/256 minor unit of the reporting currency, positive; `figures` are float64
in minor units, whole steps all of them. Sums are exact, whatever their order.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from crossmargin.clearing.contracts import DENOMINATOR, INVERSE, KIND, NUMERATOR, SETTLE
from crossmargin.clearing.fees import FEE_SCALE
from crossmargin.clearing.ledger import FEES
from crossmargin.clearing.positions import find
from crossmargin.units import Array, BoolArray, FloatArray, IntArray

STEP = 1.0 / 256.0
"""In minor units of the reporting currency."""
EQUITY, TOTAL, HELD = range(3)
"""Columns of `figures`, (A, 4): what requirements are held against, the sum of worst losses, what orders hold."""

(
    _ACCEPTED, _UNKNOWN_ACCOUNT, _HOUSE, _CLOSED, _UNKNOWN_INSTRUMENT, _NOT_TRADING, _ITSELF, _LOTS, _PRICE, _LARGE,
    _ORDER_LIMIT, _POSITION_LIMIT, _, _MARK, _, _MARGIN,
) = range(16)  # fmt: skip
"""What becomes of a trade: `column_trades.REASONS`."""

_AHEAD = 64
"""Trades whose memory is asked for together, before the first of them is decided."""


_njit: Any = njit
_uncounted: Any = _njit(_nrt=False, forceinline=True)
"""Compiles what makes no arrays: counting references to those it is given costs more than all it does."""


@_uncounted
def worst(vectors: IntArray, v: int) -> int:
    """Return the worst loss of a vector in steps, 0 or more."""
    found = 0
    for s in range(vectors.shape[1]):
        found = max(found, vectors[v, s])
    return found


@_uncounted
def worst_twice(vectors: IntArray, v: int, losses: IntArray, i: int, lots: int) -> tuple[int, int]:
    """Return the worst loss of a vector (-1: of none) in steps, before and after `lots` of an instrument, 0 or more."""
    before, after = 0, 0
    if v < 0:
        for s in range(losses.shape[1]):
            after = max(after, lots * losses[i, s])
    else:
        for s in range(losses.shape[1]):
            loss = vectors[v, s]
            before = max(before, loss)
            after = max(after, loss + lots * losses[i, s])
    return before, after


@_uncounted
def fee(rows: IntArray, i: int, lots: int, ticks: int, rate: int) -> int:
    """Return the fee of a trade, see `fees.fee_of`; nothing overflows where the notional is below 2^47."""
    if rows[i, KIND] == INVERSE:
        top, bottom = lots * rows[i, NUMERATOR], rows[i, DENOMINATOR] * ticks
        notional = -(-top // bottom) if rate > 0 else top // bottom
    else:
        notional = abs(lots * ticks * rows[i, NUMERATOR])
    whole, rest = notional // FEE_SCALE, notional % FEE_SCALE
    charged: int = whole * rate - (-(rest * rate) // FEE_SCALE)
    return charged


@_njit(cache=True, nogil=True, _nrt=False)
def decide_all(
    first_client: int, accounts: int, row_of: IntArray, closed: BoolArray, tradable: BoolArray, signed: BoolArray,
    rows: IntArray, rates: IntArray, position_limit: IntArray, order_limit: IntArray, lots_max: int, ticks_max: int,
    table: IntArray, account_of: IntArray, instrument_of: IntArray, held: IntArray, cost: IntArray,
    funding_entry: IntArray, most: FloatArray, cash: IntArray, figures: FloatArray, vector_of: Array,
    vectors: IntArray, used: IntArray, group: IntArray, losses: IntArray, lot_value: FloatArray,
    money: FloatArray, initial: float, instrument: IntArray, buyer: IntArray, seller: IntArray,
    lots: IntArray, ticks: IntArray, buyer_took: IntArray, outcome: Array, buyer_fee: IntArray, seller_fee: IntArray,
    bought: IntArray, sold: IntArray, changes: IntArray,
) -> float:  # fmt: skip
    """Decide trades one after another and keep the scan of those accepted; the state is only looked at.

    rates: (K, 2) maker's and taker's fee in millionths. position_limit, order_limit: (K,) lots. most: (K,) the largest
    number that lots are multiplied with beside their price. lot_value: (K,) NaN where there is no mark. money:
    (assets,) value of a minor unit that is paid or received. vectors has room for two more a trade; used: (1,) vectors
    in use. outcome, fees and bought, sold (slots): (n,) written. changes: (4 m, 3) room, m a power of two not below n,
    all -1: what earlier trades of the batch did to limited positions.
    A side is refused where its pool's initial margin would be above its equity, and it would be worse off than it is.
    Returns what was read ahead, which means nothing.
    """
    n = len(lots)
    read = 0.0
    for k in range(n):
        if k % _AHEAD == 0:
            read += _read_ahead(
                k, min(n, k + _AHEAD), row_of, group, instrument, buyer, seller, figures, vector_of, vectors, cash,
                table, account_of, instrument_of, held, cost, funding_entry, bought, sold,
            )  # fmt: skip
        i, b, s, q, p = instrument[k], buyer[k], seller[k], lots[k], ticks[k]
        outcome[k] = _wrong(first_client, accounts, closed, tradable, signed, i, b, s, q, p, lots_max, ticks_max)
        if outcome[k] != _ACCEPTED:
            continue
        numerator, kind, asset = rows[i, NUMERATOR], rows[i, KIND], rows[i, SETTLE]
        size = float(q) * float(numerator) * (1.0 if kind == INVERSE else abs(float(p)))
        below = float(rows[i, DENOMINATOR]) * float(p) if kind == INVERSE else 1.0
        if size >= 2.0**47 or below >= 2.0**62 or float(q) * most[i] >= 2.0**47:
            outcome[k] = _LARGE
            continue
        of_buyer, of_seller = bought[k], sold[k]
        if (
            _full(of_buyer, held, cost, funding_entry)
            or _full(of_seller, held, cost, funding_entry)
            or max(abs(cash[b, asset]), abs(cash[s, asset]), abs(cash[FEES, asset])) >= 2**61
        ):
            outcome[k] = _LARGE
            continue
        limited = position_limit[i] < lots_max or order_limit[i] < lots_max
        if limited:
            outcome[k] = max(
                _beyond(changes, held, of_buyer, b, i, q, position_limit[i], order_limit[i]),
                _beyond(changes, held, of_seller, s, i, -q, position_limit[i], order_limit[i]),
            )
            if outcome[k] != _ACCEPTED:
                continue
        if not np.isfinite(lot_value[i]):
            outcome[k] = _MARK
            continue
        taker, maker = fee(rows, i, q, p, rates[i, 1]), fee(rows, i, q, p, rates[i, 0])
        fee_b, fee_s = (taker, maker) if buyer_took[k] else (maker, taker)
        if kind == INVERSE:
            paid = -float(q * numerator) / (float(rows[i, DENOMINATOR]) * float(p))
        else:
            paid = float(q * p * numerator)
        gain = float(q) * lot_value[i] - np.floor(paid * money[asset] / STEP) * STEP
        x, y, g = row_of[b], row_of[s], group[i]
        v, w = vector_of[x, g], vector_of[y, g]
        change_b = gain - np.ceil(float(fee_b) * money[asset] / STEP) * STEP
        change_s = -gain - np.ceil(float(fee_s) * money[asset] / STEP) * STEP
        if x == y:
            # Within one pool nothing moves but money.
            if not _allowed(figures, x, figures[x, TOTAL], change_b + change_s, initial):
                outcome[k] = _MARGIN
                continue
            figures[x, EQUITY] += change_b + change_s
        else:
            before, after = worst_twice(vectors, v, losses, i, q)
            after_b = figures[x, TOTAL] + (after - before) * STEP
            before, after = worst_twice(vectors, w, losses, i, -q)
            after_s = figures[y, TOTAL] + (after - before) * STEP
            if not (
                _allowed(figures, x, after_b, change_b, initial) and _allowed(figures, y, after_s, change_s, initial)
            ):
                outcome[k] = _MARGIN
                continue
            _take(figures, vector_of, vectors, used, x, g, v, losses, i, q, after_b, change_b)
            _take(figures, vector_of, vectors, used, y, g, w, losses, i, -q, after_s, change_s)
        if limited:
            changes[_place(changes, b, i), 2] += q
            changes[_place(changes, s, i), 2] -= q
        outcome[k] = _ACCEPTED
        buyer_fee[k], seller_fee[k] = fee_b, fee_s
    return read


@_uncounted
def _wrong(
    first_client: int, accounts: int, closed: BoolArray, tradable: BoolArray, signed: BoolArray, i: int, b: int, s: int,
    q: int, p: int, lots_max: int, ticks_max: int,
) -> int:  # fmt: skip
    """Return what is wrong with a trade whatever its parties have: see `trading.traded` and `orders.trade_wrong`."""
    if not 0 <= i < len(tradable):
        return _UNKNOWN_INSTRUMENT
    for a in (b, s):
        if not 0 <= a < accounts:
            return _UNKNOWN_ACCOUNT
        if a < first_client:
            return _HOUSE
        if closed[a]:
            return _CLOSED
    if b == s:
        return _ITSELF
    if q < 0:
        return _LOTS
    if not tradable[i]:
        return _NOT_TRADING
    if q == 0 or q > lots_max:
        return _LOTS
    return _ACCEPTED if (-ticks_max if signed[i] else 1) <= p <= ticks_max else _PRICE


@_uncounted
def _read_ahead(
    low: int, high: int, row_of: IntArray, group: IntArray, instrument: IntArray, buyer: IntArray, seller: IntArray,
    figures: FloatArray, vector_of: Array, vectors: IntArray, cash: IntArray, table: IntArray, account_of: IntArray,
    instrument_of: IntArray, held: IntArray, cost: IntArray, funding_entry: IntArray, bought: IntArray, sold: IntArray,
) -> float:  # fmt: skip
    """Read what trades will need: no trade's reads wait for another's, so that memory serves them together."""
    read = 0.0
    for k in range(low, high):
        i, b, s = instrument[k], buyer[k], seller[k]
        bought[k] = sold[k] = -1
        if 0 <= i < len(group) and 0 <= b < len(row_of) and 0 <= s < len(row_of):
            bought[k] = find(table, account_of, instrument_of, b, i)
            sold[k] = find(table, account_of, instrument_of, s, i)
    for k in range(low, high):
        i, b, s = instrument[k], buyer[k], seller[k]
        if 0 <= i < len(group) and 0 <= b < len(row_of) and 0 <= s < len(row_of):
            for a, slot in ((b, bought[k]), (s, sold[k])):
                x = row_of[a]
                v = vector_of[x, group[i]]
                read += figures[x, 0] + cash[a, 0]
                if slot >= 0:
                    read += held[slot] + cost[slot] + funding_entry[slot]
                if v >= 0:
                    read += vectors[v, 0] + vectors[v, vectors.shape[1] - 1]
    return read


@_uncounted
def _full(slot: int, held: IntArray, cost: IntArray, funding_entry: IntArray) -> bool:
    return slot >= 0 and max(abs(held[slot]), abs(cost[slot]), abs(funding_entry[slot])) >= 2**61


@_uncounted
def _place(changes: IntArray, account: int, instrument: int) -> int:
    """Return the place of (account, instrument) in the batch's table of changes, taking a free one where it is new."""
    mask = len(changes) - 1
    key = np.uint64(account) * np.uint64(0x9E3779B97F4A7C15) + np.uint64(instrument)
    place: Any = np.int64((key >> np.uint64(20)) & np.uint64(mask))
    while changes[place, 0] >= 0 and not (changes[place, 0] == account and changes[place, 1] == instrument):
        place = (place + 1) & mask
    if changes[place, 0] < 0:
        changes[place, 0], changes[place, 1], changes[place, 2] = account, instrument, 0
    found: int = place
    return found


@_uncounted
def _beyond(
    changes: IntArray, held: IntArray, slot: int, account: int, instrument: int, lots: int, position: int, order: int
) -> int:
    """Return what forbids a side that does more than lower a position; see `limits.held_back`."""
    have = changes[_place(changes, account, instrument), 2] + (held[slot] if slot >= 0 else 0)
    if have != 0 and (have > 0) != (lots > 0) and abs(lots) <= abs(have):
        return _ACCEPTED
    if abs(lots) > order:
        return _ORDER_LIMIT
    return _POSITION_LIMIT if abs(have + lots) > position else _ACCEPTED


@_uncounted
def _allowed(figures: FloatArray, x: int, total: float, change: float, initial: float) -> bool:
    """Return whether a pool may come to have `total`, its equity changed by `change`."""
    before = figures[x, EQUITY] - initial * figures[x, TOTAL]
    after = figures[x, EQUITY] + change - initial * total
    allowed: bool = after - figures[x, HELD] >= 0.0 or after >= before
    return allowed


@_uncounted
def _take(
    figures: FloatArray, vector_of: Array, vectors: IntArray, used: IntArray, x: int, g: int, v: int,
    losses: IntArray, i: int, lots: int, total: float, change: float,
) -> None:  # fmt: skip
    if v < 0:
        v = used[0]
        used[0] += 1
        vector_of[x, g] = v
        for s in range(losses.shape[1]):
            vectors[v, s] = 0
    for s in range(losses.shape[1]):
        vectors[v, s] += lots * losses[i, s]
    figures[x, TOTAL] = total
    figures[x, EQUITY] += change


@njit(cache=True, nogil=True)
def new_vectors(
    slots: IntArray, account_of: IntArray, instrument_of: IntArray, row_of: IntArray, group: IntArray,
    vector_of: Array, used: IntArray,
) -> None:  # fmt: skip
    """Give a vector to every pool and group that has a position among `slots` and no vector yet; they are 0."""
    for k in range(len(slots)):
        x, g = row_of[account_of[slots[k]]], group[instrument_of[slots[k]]]
        if vector_of[x, g] < 0:
            vector_of[x, g] = used[0]
            used[0] += 1


@njit(cache=True, nogil=True)
def add_positions(
    slots: IntArray, account_of: IntArray, instrument_of: IntArray, held: IntArray, row_of: IntArray, group: IntArray,
    vector_of: Array, vectors: IntArray, figures: FloatArray, losses: IntArray, lot_value: FloatArray,
) -> None:  # fmt: skip
    """Add what positions lose and are worth to vectors and equity: all of it, or by how much that has changed.

    losses (K, S), lot_value (K,): of one lot, or their change; instruments where both are 0 are passed over.
    """
    moved = np.zeros(len(group), dtype=np.bool_)
    for i in range(len(group)):
        moved[i] = lot_value[i] != 0.0
        for s in range(losses.shape[1]):
            moved[i] = moved[i] or losses[i, s] != 0
    for k in range(len(slots)):
        i = instrument_of[slots[k]]
        lots = held[slots[k]]
        if not moved[i] or lots == 0:
            continue
        x = row_of[account_of[slots[k]]]
        figures[x, EQUITY] += float(lots) * lot_value[i]
        v = vector_of[x, group[i]]
        for s in range(losses.shape[1]):
            vectors[v, s] += lots * losses[i, s]


@njit(cache=True, nogil=True)
def add_worst(
    row_of: IntArray, vector_of: Array, vectors: IntArray, figures: FloatArray, moved: BoolArray, sign: float
) -> None:
    """Add the worst losses of the groups `moved` to the totals of all pools (sign 1), or take them off (-1)."""
    for x in range(len(row_of)):
        if row_of[x] != x:
            continue
        for g in range(vector_of.shape[1]):
            if moved[g] and vector_of[x, g] >= 0:
                figures[x, TOTAL] += sign * worst(vectors, vector_of[x, g]) * STEP


@njit(cache=True, nogil=True)
def statuses(
    accounts: IntArray, row_of: IntArray, figures: FloatArray, initial: float, call: float, status: Array,
    found: IntArray,
) -> int:  # fmt: skip
    """Bring the status of the pools of `accounts` up to date; write the rows where it changed, return how many."""
    count = 0
    for k in range(len(accounts)):
        x = row_of[accounts[k]]
        equity, total = figures[x, EQUITY], figures[x, TOTAL]
        if equity < 0.0:
            now = 4
        elif equity >= initial * total:
            now = 0
        elif equity <= total:
            now = 3
        elif equity <= call * total:
            now = 2
        else:
            now = 1
        if status[x] != now:
            status[x] = now
            found[count] = x
            count += 1
    return count
