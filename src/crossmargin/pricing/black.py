"""European options on a forward that cannot be negative: Black (1976), with discounting.

One quantity carries everything: the time value, which a call and a put at one strike share. With a the smaller
and b the larger of forward and strike, and s = vol * sqrt(tau),

    time value / a = N(d1) - phi(d1) M(-d2),   d1 = ln(a / b) / s + s / 2,   d2 = d1 - s,

where M is the Mills ratio (normal tail over density), because b N(d2) = a phi(d1) M(-d2). A price is the discount
times intrinsic plus time value: put-call parity holds by construction, a tail is never lost by subtracting from 1,
and one exponential serves both densities.

Source: F. Black, "The pricing of commodity contracts", Journal of Financial Economics 3 (1976).
"""

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.pricing.cells import (
    BLOCK,
    NOT_NEGATIVE,
    SPEED_MAX,
    Greeks,
    cells_of,
    copy,
    pace_of,
    rate_of,
    result_array,
    root_of,
    scenario_cells,
    spread,
    work_rows,
)
from crossmargin.pricing.normal import density, inlined, kernel, log_ratio_over, mills_ratios
from crossmargin.units import BoolArray, FloatArray

TINY = 1e-300
"""Stands in for a zero that is divided by or whose logarithm is taken."""
DEVIATION_MIN = 1e-160
"""Stands in for a zero standard deviation; off the money the time value is then exactly 0."""
DEVIATION_MAX = 1e150


@inlined
def _reach(forward: float, strike: float, deviation: float) -> tuple[float, float]:
    """Return d1 and -d2 of the option that is out of the money (see the top of the file)."""
    a = forward if forward < strike else strike
    b = strike if forward < strike else forward
    slope = log_ratio_over(a if a > TINY else TINY, b if b > TINY else TINY, deviation)
    return slope + 0.5 * deviation, 0.5 * deviation - slope


@inlined
def _tails(d1: float, minus_d2: float, phi: float) -> tuple[float, float, float]:
    """Return time value / a, N(d1) and phi(d1) M(-d2)."""
    m1, m2 = mills_ratios(abs(d1), minus_d2)
    signed = -m1 if d1 > 0.0 else m1
    whole = 1.0 if d1 > 0.0 else 0.0
    ratio = phi * (signed - m2) + whole
    return (ratio if ratio > 0.0 else 0.0), phi * signed + whole, phi * m2


@inlined
def _price(forward: float, strike: float, discount: float, is_call: bool, ratio: float) -> float:
    """Return discounted intrinsic plus time value, never above the forward (call) or the strike (put)."""
    in_the_money = forward - strike if is_call else strike - forward
    a = forward if forward < strike else strike
    value = (in_the_money if in_the_money > 0.0 else 0.0) + a * ratio
    most = forward if is_call else strike
    return discount * (value if value < most else most)


@inlined
def _prepare(
    forward: FloatArray,
    strike: FloatArray,
    vol: FloatArray,
    root: FloatArray,
    deviation: FloatArray,
    d1: FloatArray,
    minus_d2: FloatArray,
    phi: FloatArray,
) -> None:
    """Fill deviation, d1, -d2 and phi(d1) of one block.

    Short loops: each has few enough instructions that the processor overlaps several turns of it, where one
    long loop would wait for its own chain of results.
    """
    for i in range(deviation.size):
        s = vol[i] * root[i]
        s = s if s > DEVIATION_MIN else DEVIATION_MIN
        s = s if s < DEVIATION_MAX else DEVIATION_MAX
        deviation[i] = s
        d1[i], minus_d2[i] = _reach(forward[i], strike[i], s)
    for i in range(deviation.size):
        phi[i] = density(abs(d1[i]))


@kernel
def _prices(
    forward: FloatArray,
    strike: FloatArray,
    vol: FloatArray,
    tau: FloatArray,
    discount: FloatArray,
    is_call: BoolArray,
    out: FloatArray,
) -> None:
    """Fill out, (cells,), in the layout of `Cells`."""
    root = root_of(tau)
    columns = out.size // max(1, strike.size)
    call, work = np.empty(BLOCK, np.bool_), work_rows(7)
    k, r, d, s, d1, minus_d2, phi = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    for start in range(0, out.size, BLOCK):
        size = min(BLOCK, out.size - start)
        spread(strike, start, columns, k[:size])
        spread(root, start, columns, r[:size])
        spread(discount, start, columns, d[:size])
        spread(is_call, start, columns, call[:size])
        f, results = forward[start : start + size], out[start : start + size]
        _prepare(f, k, vol[start : start + size], r, s[:size], d1, minus_d2, phi)
        for i in range(size):
            ratio, _, _ = _tails(d1[i], minus_d2[i], phi[i])
            results[i] = _price(f[i], k[i], d[i], call[i], ratio)


@kernel
def _greeks(
    forward: FloatArray,
    strike: FloatArray,
    vol: FloatArray,
    tau: FloatArray,
    discount: FloatArray,
    is_call: BoolArray,
    out: FloatArray,
) -> None:
    """Fill out, (5, cells), with price, delta, gamma, vega, theta; otherwise as `_prices`."""
    root = root_of(tau)
    rate, pace = rate_of(discount, tau), pace_of(root)
    columns = out.shape[1] // max(1, strike.size)
    # All of a block lies in one array: LLVM then needs few checks that results and arguments overlap, of which it
    # would not make many, and the last loop below becomes vector code.
    call, work = np.empty(BLOCK, np.bool_), work_rows(16)
    k, r, d, rates, paces, s = work[0], work[1], work[2], work[3], work[4], work[5]
    d1, minus_d2, phi, n1, t2 = work[6], work[7], work[8], work[9], work[10]
    price, delta, gamma, vega, theta = work[11], work[12], work[13], work[14], work[15]
    for start in range(0, out.shape[1], BLOCK):
        size = min(BLOCK, out.shape[1] - start)
        end = start + size
        spread(strike, start, columns, k[:size])
        spread(root, start, columns, r[:size])
        spread(discount, start, columns, d[:size])
        spread(rate, start, columns, rates[:size])
        spread(pace, start, columns, paces[:size])
        spread(is_call, start, columns, call[:size])
        f, v = forward[start:end], vol[start:end]
        _prepare(f, k, v, r, s[:size], d1, minus_d2, phi)
        for i in range(size):
            price[i], n1[i], t2[i] = _tails(d1[i], minus_d2[i], phi[i])
        for i in range(size):
            price[i] = _price(f[i], k[i], d[i], call[i], price[i])
            a = f[i] if f[i] < k[i] else k[i]
            weight = d[i] * (a * phi[i])  # D F phi(d1), whichever of forward and strike is a
            scale = f[i] * s[i]
            inverse = 1.0 / (scale if scale > TINY else TINY)
            inverse_forward = s[i] * inverse
            # Where the put is out of the money, N(-d1) is the tail t2 that belongs to a, seen from b.
            tail = t2[i] * (k[i] * inverse_forward)
            tail = 1.0 - n1[i] if f[i] < k[i] else tail
            tail = tail if tail < 1.0 else 1.0
            upper = n1[i] if f[i] < k[i] else 1.0 - tail
            delta[i] = d[i] * (upper if call[i] else -tail)
            gamma[i] = weight * inverse * inverse_forward if s[i] > DEVIATION_MIN and weight > 0.0 else 0.0
            vega[i] = weight * r[i]
            speed = v[i] * paces[i]
            theta[i] = rates[i] * price[i] - weight * (speed if speed < SPEED_MAX else SPEED_MAX)
        for j in range(5):
            copy(work[11 + j, :size], out[j, start:end])


def black76(
    forward: ArrayLike,
    strike: ArrayLike,
    vol: ArrayLike,
    tau: ArrayLike,
    discount: ArrayLike,
    is_call: ArrayLike,
) -> FloatArray:
    """Return discounted Black-76 prices of European options on a forward.

    The arguments broadcast against each other. Prices and forward and strike share one unit.

        forward:  0 or more.
        strike:   0 or more.
        vol:      annual, a fraction (0.65 is 65%), 0 or more.
        tau:      years to expiry, 0 or more.
        discount: value now of one unit paid at expiry, positive.
        is_call:  True for a call, False for a put.

    Limits: without time or vol the price is the discounted intrinsic value; at strike 0 a call is worth the
    discounted forward and a put nothing; at forward 0 a put is worth the discounted strike. A price is never below
    discounted intrinsic nor above the discounted forward (call) or strike (put). The error is below 1e-15 of the
    smaller of forward and strike, plus the rounding of the price itself.

    Raises:
        ValueError: a value outside its range or not finite, with the place of the first.
    """
    cells, shape = cells_of(forward, strike, vol, tau, discount, is_call, NOT_NEGATIVE)
    out = np.empty(cells.forward.size)
    _prices(*cells, out)
    return out.reshape(shape)


def black76_scenarios(
    forward: FloatArray,
    strike: FloatArray,
    vol: FloatArray,
    tau: FloatArray,
    discount: FloatArray,
    is_call: BoolArray,
    out: FloatArray | None = None,
) -> FloatArray:
    """Return prices of n contracts under S scenarios, (n, S), bit for bit what `black76` returns for each cell.

    Shapes: forward and vol (n, S); strike, tau, discount and is_call (n,). Units and limits as in `black76`.
    `out`, contiguous float64 (n, S), takes the prices where given, so that a repeated call need not allocate.
    """
    cells, out = scenario_cells(forward, strike, vol, tau, discount, is_call, out, NOT_NEGATIVE)
    _prices(*cells, out.reshape(-1))
    return out


def black76_greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    vol: ArrayLike,
    tau: ArrayLike,
    discount: ArrayLike,
    is_call: ArrayLike,
    out: FloatArray | None = None,
) -> Greeks:
    """Return prices with delta, gamma, vega and theta; arguments as in `black76`, units at the room's door.

    Prices have the bits `black76` returns. Without time or vol, gamma is 0 and delta is that of the intrinsic
    value (half of it at the money); without time, vega and theta are 0.
    """
    cells, shape = cells_of(forward, strike, vol, tau, discount, is_call, NOT_NEGATIVE)
    out = result_array(out, (5, *shape))
    _greeks(*cells, out.reshape(5, cells.forward.size))
    return Greeks(*out)
