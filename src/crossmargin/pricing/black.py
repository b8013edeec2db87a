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
    whole_strides,
    work_rows,
)
from crossmargin.pricing.normal import (
    FAR,
    density,
    density_parts,
    exp_near,
    inlined,
    kernel,
    log_of,
    log_parts,
    mills_denominator,
    mills_numerator,
)
from crossmargin.units import BoolArray, FloatArray

TINY = 1e-300
"""Stands in for a zero that is divided by or whose logarithm is taken."""
DEVIATION_MIN = 1e-160
"""Stands in for a zero standard deviation; off the money the time value is then exactly 0."""
DEVIATION_MAX = 1e150


@inlined
def bounded(deviation: float) -> float:
    """Return a standard deviation within `DEVIATION_MIN` and `DEVIATION_MAX`: it is divided by."""
    s = deviation if deviation > DEVIATION_MIN else DEVIATION_MIN
    return s if s < DEVIATION_MAX else DEVIATION_MAX


@inlined
def tails_of(
    x: FloatArray, s: FloatArray, size: int, y: FloatArray, phi: FloatArray, p: FloatArray, q: FloatArray
) -> None:
    """Fill what `prices_of` takes from x and s, for `size` cells: y, p and q are (2, cells), the rest (cells,).

    x is ln(forward / strike) and s the bounded deviation. y becomes d1 and -d2 of the option that is out of the
    money (see the top of the file), phi the density of d1, p and q numerators and denominators of both Mills ratios.

    Short loops of few constants: these stay in registers, and the processor overlaps many turns of a loop, where a
    long one would wait for its own chain of results.
    """
    d1, minus_d2 = y[0], y[1]
    rest, scale = p[0], p[1]
    cells = whole_strides(size)
    for i in range(size, cells):
        x[i], s[i] = 0.0, 1.0
    for i in range(cells):
        slope = abs(x[i]) / s[i]
        slope = slope if slope < FAR else FAR
        half = 0.5 * s[i]
        half = half if half < FAR else FAR
        d1[i] = half - slope
        minus_d2[i] = half + slope
    for i in range(cells):
        rest[i], scale[i] = density_parts(abs(d1[i]))
    for i in range(cells):
        phi[i] = exp_near(rest[i]) * scale[i]
    for tail in range(2):
        for i in range(cells):
            p[tail, i] = mills_numerator(abs(y[tail, i]))
    for tail in range(2):
        for i in range(cells):
            q[tail, i] = mills_denominator(abs(y[tail, i]))


@inlined
def tails(d1: float, phi: float, p: float, q: float, r: float, s: float) -> tuple[float, float, float]:
    """Return time value / a, N(d1) and phi M(-d2) from the Mills ratios p / q of |d1| and r / s of -d2."""
    inverse = 1.0 / (q * s)
    m1, m2 = p * (s * inverse), r * (q * inverse)
    signed = -m1 if d1 > 0.0 else m1
    whole = 1.0 if d1 > 0.0 else 0.0
    ratio = phi * (signed - m2) + whole
    return (ratio if ratio > 0.0 else 0.0), phi * signed + whole, phi * m2


@inlined
def ratio_of(x: float, s: float) -> float:
    """Return time value / a of one cell from x = |ln(forward / strike)| and the bounded deviation s."""
    slope = x / s
    slope = slope if slope < FAR else FAR
    half = 0.5 * s
    half = half if half < FAR else FAR
    d1, minus_d2 = half - slope, half + slope
    distance = abs(d1)
    ratio: float = tails(
        d1,
        density(distance),
        mills_numerator(distance),
        mills_denominator(distance),
        mills_numerator(minus_d2),
        mills_denominator(minus_d2),
    )[0]
    return ratio


@inlined
def price_of(forward: float, strike: float, discount: float, is_call: bool, ratio: float) -> float:
    """Return discounted intrinsic plus time value, never above the forward (call) or the strike (put)."""
    in_the_money = forward - strike if is_call else strike - forward
    a = forward if forward < strike else strike
    value = (in_the_money if in_the_money > 0.0 else 0.0) + a * ratio
    most = forward if is_call else strike
    return discount * (value if value < most else most)


@inlined
def _prices_of(
    forward: FloatArray,
    strike: FloatArray,
    discount: FloatArray,
    is_call: BoolArray,
    y: FloatArray,
    phi: FloatArray,
    p: FloatArray,
    q: FloatArray,
    out: FloatArray,
) -> None:
    """Fill the discounted prices of a block of cells from what `tails_of` has filled."""
    for i in range(out.size):
        ratio, _, _ = tails(y[0, i], phi[i], p[0, i], q[0, i], p[1, i], q[1, i])
        out[i] = price_of(forward[i], strike[i], discount[i], is_call[i], ratio)


@inlined
def _log_ratios(forward: FloatArray, strike: FloatArray, x: FloatArray, power: FloatArray) -> None:
    """Fill x with ln(forward / strike) of a block; a zero counts as `TINY`."""
    for i in range(x.size):
        f = forward[i] if forward[i] > TINY else TINY
        k = strike[i] if strike[i] > TINY else TINY
        x[i], power[i] = log_parts(f, k)
    for i in range(x.size):
        x[i] = log_of(x[i], power[i])


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
    call, work = np.empty(BLOCK, np.bool_), work_rows(12)
    k, d, s, x, phi = work[0], work[1], work[2], work[3], work[4]
    y, p, q = work[5:7], work[7:9], work[9:11]
    for start in range(0, out.size, BLOCK):
        size = min(BLOCK, out.size - start)
        spread(strike, start, columns, k[:size])
        spread(root, start, columns, s[:size])
        spread(discount, start, columns, d[:size])
        spread(is_call, start, columns, call[:size])
        f, v = forward[start : start + size], vol[start : start + size]
        for i in range(size):
            s[i] = bounded(v[i] * s[i])
        _log_ratios(f, k, x[:size], phi)
        tails_of(x, s, size, y, phi, p, q)
        _prices_of(f, k, d, call, y, phi, p, q, out[start : start + size])


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
    call, work = np.empty(BLOCK, np.bool_), work_rows(19)
    k, r, d, rates, paces, s, x, phi = work[0], work[1], work[2], work[3], work[4], work[5], work[6], work[7]
    y, p, q = work[8:10], work[10:12], work[12:14]
    price, delta, gamma, vega, theta = work[14], work[15], work[16], work[17], work[18]
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
        for i in range(size):
            s[i] = bounded(v[i] * r[i])
        _log_ratios(f, k, x[:size], phi)
        tails_of(x, s, size, y, phi, p, q)
        for i in range(size):
            # p of the first is read before its place takes N(d1)
            price[i], p[0, i], p[1, i] = tails(y[0, i], phi[i], p[0, i], q[0, i], p[1, i], q[1, i])
        n1, t2 = p[0], p[1]
        for i in range(size):
            price[i] = price_of(f[i], k[i], d[i], call[i], price[i])
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
            copy(work[14 + j, :size], out[j, start:end])


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
