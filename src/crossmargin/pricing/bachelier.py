"""European options on a forward of any sign: Bachelier (1900), with discounting.

With the distance y = |forward - strike| / (vol * sqrt(tau)), the time value that a call and a put at one strike
share is vol * sqrt(tau) * phi(y) * (1 - y M(y)), where M is the Mills ratio (normal tail over density). A price is
the discount times intrinsic plus time value.

Source: L. Bachelier, "Théorie de la spéculation", Annales scientifiques de l'É.N.S. 17 (1900).
"""

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.pricing.cells import (
    ANY,
    BLOCK,
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
from crossmargin.pricing.normal import density, fma, inlined, kernel, mills_ratio
from crossmargin.units import BoolArray, FloatArray

DEVIATION_MIN = 1e-160
"""Stands in for a zero standard deviation where the distance is divided by it."""


@inlined
def _distance(forward: float, strike: float, deviation: float) -> float:
    return abs(forward - strike) / (deviation if deviation > DEVIATION_MIN else DEVIATION_MIN)


@inlined
def _price(
    forward: float, strike: float, deviation: float, discount: float, is_call: bool, phi: float, mills: float, y: float
) -> float:
    in_the_money = forward - strike if is_call else strike - forward
    rest = fma(-y, mills, 1.0) * phi  # phi is 0 before y leaves the range in which this is positive
    return discount * ((in_the_money if in_the_money > 0.0 else 0.0) + deviation * (rest if rest > 0.0 else 0.0))


@inlined
def _prepare(
    forward: FloatArray,
    strike: FloatArray,
    vol: FloatArray,
    root: FloatArray,
    deviation: FloatArray,
    y: FloatArray,
    phi: FloatArray,
    mills: FloatArray,
) -> None:
    """Fill deviation, distance, density and Mills ratio of one block, in short loops (see black.py)."""
    for i in range(deviation.size):
        deviation[i] = vol[i] * root[i]
    for i in range(deviation.size):
        y[i] = _distance(forward[i], strike[i], deviation[i])
    for i in range(deviation.size):
        phi[i] = density(y[i])
    for i in range(deviation.size):
        mills[i] = mills_ratio(y[i])


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
    k, r, d, s, y, phi, mills = work[0], work[1], work[2], work[3], work[4], work[5], work[6]
    for start in range(0, out.size, BLOCK):
        size = min(BLOCK, out.size - start)
        spread(strike, start, columns, k[:size])
        spread(root, start, columns, r[:size])
        spread(discount, start, columns, d[:size])
        spread(is_call, start, columns, call[:size])
        f, results = forward[start : start + size], out[start : start + size]
        _prepare(f, k, vol[start : start + size], r, s[:size], y, phi, mills)
        for i in range(size):
            results[i] = _price(f[i], k[i], s[i], d[i], call[i], phi[i], mills[i], y[i])


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
    call, work = np.empty(BLOCK, np.bool_), work_rows(14)
    k, r, d, rates, paces, s = work[0], work[1], work[2], work[3], work[4], work[5]
    y, phi, mills = work[6], work[7], work[8]
    price, delta, gamma, vega, theta = work[9], work[10], work[11], work[12], work[13]
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
        _prepare(f, k, v, r, s[:size], y, phi, mills)
        for i in range(size):
            price[i] = _price(f[i], k[i], s[i], d[i], call[i], phi[i], mills[i], y[i])
            tail = phi[i] * mills[i]
            upper = 1.0 - tail if f[i] > k[i] else tail
            lower = tail if f[i] > k[i] else 1.0 - tail
            delta[i] = d[i] * (upper if call[i] else -lower)
            weight = d[i] * phi[i]
            value = weight / (s[i] if s[i] > DEVIATION_MIN else 1.0)
            gamma[i] = value if s[i] > DEVIATION_MIN else 0.0
            vega[i] = weight * r[i]
            speed = v[i] * paces[i]
            theta[i] = rates[i] * price[i] - weight * (speed if speed < SPEED_MAX else SPEED_MAX)
        for j in range(5):
            copy(work[9 + j, :size], out[j, start:end])


def bachelier(
    forward: ArrayLike,
    strike: ArrayLike,
    vol: ArrayLike,
    tau: ArrayLike,
    discount: ArrayLike,
    is_call: ArrayLike,
) -> FloatArray:
    """Return discounted Bachelier prices of European options on a forward of any sign.

    The arguments broadcast against each other. Prices, forward, strike and vol share one unit.

        forward, strike: any finite number.
        vol:      annual, in price units (2.5 is 2.5 dollars a year), 0 or more.
        tau:      years to expiry, 0 or more.
        discount: value now of one unit paid at expiry, positive.
        is_call:  True for a call, False for a put.

    Without time or vol the price is the discounted intrinsic value; a price is never below it. The error is below
    1e-15 of vol * sqrt(tau), plus the rounding of the price itself.

    Raises:
        ValueError: a value outside its range or not finite, with the place of the first.
    """
    cells, shape = cells_of(forward, strike, vol, tau, discount, is_call, ANY)
    out = np.empty(cells.forward.size)
    _prices(*cells, out)
    return out.reshape(shape)


def bachelier_scenarios(
    forward: FloatArray,
    strike: FloatArray,
    vol: FloatArray,
    tau: FloatArray,
    discount: FloatArray,
    is_call: BoolArray,
    out: FloatArray | None = None,
) -> FloatArray:
    """Return prices of n contracts under S scenarios, (n, S), bit for bit what `bachelier` returns for each cell.

    Shapes: forward and vol (n, S); strike, tau, discount and is_call (n,). Units and limits as in `bachelier`.
    `out`, contiguous float64 (n, S), takes the prices where given, so that a repeated call need not allocate.
    """
    cells, out = scenario_cells(forward, strike, vol, tau, discount, is_call, out, ANY)
    _prices(*cells, out.reshape(-1))
    return out


def bachelier_greeks(
    forward: ArrayLike,
    strike: ArrayLike,
    vol: ArrayLike,
    tau: ArrayLike,
    discount: ArrayLike,
    is_call: ArrayLike,
    out: FloatArray | None = None,
) -> Greeks:
    """Return prices with delta, gamma, vega and theta; arguments as in `bachelier`, units at the room's door.

    Prices have the bits `bachelier` returns. Without time or vol, gamma is 0 and delta is that of the intrinsic
    value (half of it at the money); without time, vega and theta are 0.
    """
    cells, shape = cells_of(forward, strike, vol, tau, discount, is_call, ANY)
    out = result_array(out, (5, *shape))
    _greeks(*cells, out.reshape(5, cells.forward.size))
    return Greeks(*out)
