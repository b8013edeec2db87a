"""Implied volatility: the vol at which a model price equals a given price, or the reason there is none.

Both solvers work on the time value alone (what is left of the price after intrinsic value, by arithmetic whose
roundings are carried along), scaled so that one unknown is left, and step every cell of a block together by
Householder's third-order method: the digits that are right quadruple with each pass. Nothing branches, so a pass
is vector code; a block is done when all its cells stand still.

Black. With a <= b the forward and strike in order, x = ln(a / b) and s = vol * sqrt(tau), time value / a grows from
0 to 1 with s, and turns from convex to concave at s = sqrt(-2 x), where d1 = 0. Below the turn we solve
for the logarithm of the time value, above it for the logarithm of what it lacks to a. Both logarithms are
    ln(M(|d1|) -+ M(-d2)) - d1**2 / 2 - ln sqrt(2 pi),
so the wings cost no exponential and lose no digits.

Bachelier. With y = |forward - strike| / (vol * sqrt(tau)), time value / |forward - strike| is
phi(y) (1 - y M(y)) / y, a function of y alone.

The first guesses are least-squares fits of our own (`tools/fit_normal.py`): the normal quantile within 7e-4
and Bachelier's y within a relative 8e-4. Black's guess below the turn is Bachelier's for the moneyness x, above it
the d1 whose tail is the missing value.
"""

from enum import IntEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from crossmargin.pricing.cells import BLOCK, FINITE_MAX, NOT_NEGATIVE, POSITIVE, SMALLEST, not_below
from crossmargin.pricing.normal import (
    INVERSE_SQRT_2PI,
    exp,
    fma,
    inlined,
    kernel,
    log_ratio_over,
    mills_ratio,
    mills_ratios,
)
from crossmargin.units import Array, BoolArray, FloatArray


class Unsolved(IntEnum):
    """Why a price has no implied volatility; SOLVED where it has one. `sentence` says it in words."""

    SOLVED = 0
    NOT_FINITE = 1
    NO_TIME = 2
    INSENSITIVE = 3
    BELOW_INTRINSIC = 4
    AT_INTRINSIC = 5
    ABOVE_MAXIMUM = 6
    ROUNDED_AWAY = 7
    NOT_CONVERGED = 8

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    Unsolved.SOLVED: "the volatility was found",
    Unsolved.NOT_FINITE: "an input is not a finite number",
    Unsolved.NO_TIME: "no time is left to expiry",
    Unsolved.INSENSITIVE: "with a forward or strike of zero the price does not depend on volatility",
    Unsolved.BELOW_INTRINSIC: "the price is below the discounted intrinsic value",
    Unsolved.AT_INTRINSIC: "the price is the discounted intrinsic value, which every small volatility explains",
    Unsolved.ABOVE_MAXIMUM: "the price is not below the most that any volatility explains",
    Unsolved.ROUNDED_AWAY: "the price is so large beside the forward that its rounding hides the time value",
    Unsolved.NOT_CONVERGED: "the search for the volatility did not settle",
}

SOLVED, NOT_FINITE, NO_TIME, INSENSITIVE, BELOW_INTRINSIC, AT_INTRINSIC, ABOVE_MAXIMUM, ROUNDED_AWAY, NOT_CONVERGED = (
    int(reason) for reason in Unsolved
)

S_MIN, S_MAX = 1e-20, 1e3
"""Range of vol * sqrt(tau) within which solutions lie."""
S_NOISE = 1e-14
PASSES_MAX = 30
STANDSTILL = 1e-5
"""A relative step this small is followed by an error of its fourth power."""
RATIO_MIN = 1e-290
"""Time value over forward or strike below which there is nothing to measure."""
ROUNDING = 2.0**-51
"""Relative size of what the roundings of a price can amount to."""
SQRT_2PI = 2.5066282746310002
ATM_RATIO = 1e9
"""Beyond this ratio of time value to distance, the distance enters only to first order."""


@inlined
def _time_value(price: float, forward: float, strike: float, discount: float, is_call: bool) -> tuple[float, float]:
    """Return (time value, intrinsic value), undiscounted; roundings of quotient and difference are carried."""
    whole = price / discount
    rest = fma(-whole, discount, price) / discount
    high = forward - strike
    part = high - forward
    low = (forward - (high - part)) - (strike + part)
    high = high if is_call else -high
    low = low if is_call else -low
    low = low if high > 0.0 else 0.0
    high = high if high > 0.0 else 0.0
    return (whole - high) + (rest - low), high


@inlined
def _bachelier_y(log_ratio: float) -> float:
    """Return y from ln(time value / distance), within a relative 8e-4."""
    small = -log_ratio if log_ratio > -40.0 else 40.0
    small = small if small > -40.0 else -40.0
    v = log_ratio_over(1.0 + exp(small), 1.0, 1.0)
    v = v if log_ratio > -40.0 else -log_ratio
    p = fma(fma(0.00168681, v, 0.0239453), v, 0.159136)
    q = fma(fma(fma(0.000847159, v, 0.020087), v, 0.147661), v, 1.0)
    y: float = v * np.sqrt(p / q)
    return y


@inlined
def _tail_quantile(p: float) -> float:
    """Return z with N(-z) = p for 1e-18 < p <= 1/2, within 7e-4 and never below the tangent at 1/2."""
    u = np.sqrt(-2.0 * log_ratio_over(p, 1.0, 1.0))
    z: float = u - fma(0.623553, u, 2.477565) / fma(fma(0.126653, u, 1.319547), u, 1.0)
    tangent = SQRT_2PI * (0.5 - p)
    return z if z > tangent else tangent


@inlined
def _householder(newton: float, second: float, third: float) -> float:
    """Return the third-order step from the Newton step and f''/f', f'''/f', within 1/4 and 4 Newton steps."""
    top = 1.0 + 0.5 * second * newton
    bottom = 1.0 + newton * (second + third * newton / 6.0)
    factor = top / bottom
    factor = factor if factor > 0.25 else 0.25
    return newton * (factor if factor < 4.0 else 4.0)


@inlined
def _excluded(price: float, forward: float, strike: float, tau: float, discount: float, code: int) -> int:
    """Return `code`, unless something already stands in the way before prices are compared."""
    finite = (
        (abs(price) <= FINITE_MAX)
        & (abs(forward) <= FINITE_MAX)
        & (abs(strike) <= FINITE_MAX)
        & (abs(tau) <= FINITE_MAX)
        & (discount <= FINITE_MAX)
    )
    code = NO_TIME if tau < SMALLEST else code
    return code if finite else NOT_FINITE


@kernel
def _black_vols(
    price: FloatArray,
    forward: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    discount: FloatArray,
    is_call: BoolArray,
    vol: FloatArray,
    reason: Array,
) -> None:
    """Fill vol and reason, (cells,), from arguments of the same shape."""
    x, target, side = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    turn, s, step = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, price.size, BLOCK):
        size = min(BLOCK, price.size - start)
        end = start + size
        p, f, k, t, d = price[start:end], forward[start:end], strike[start:end], tau[start:end], discount[start:end]
        call, v, why = is_call[start:end], vol[start:end], reason[start:end]
        for i in range(size):
            time_value, intrinsic = _time_value(p[i], f[i], k[i], d[i], call[i])
            a = f[i] if f[i] < k[i] else k[i]
            noise = ROUNDING * intrinsic
            least = noise if noise > RATIO_MIN * a else RATIO_MIN * a
            code = ROUNDED_AWAY if (time_value < 1e-9 * f[i]) & (noise > 1e-14 * f[i]) else SOLVED
            code = ABOVE_MAXIMUM if time_value >= a else code
            code = AT_INTRINSIC if time_value <= least else code
            code = BELOW_INTRINSIC if time_value < -noise else code
            code = INSENSITIVE if a < SMALLEST else code
            why[i] = _excluded(p[i], f[i], k[i], t[i], d[i], code)
            target[i] = time_value
        for i in range(size):
            solvable = why[i] == SOLVED
            a = f[i] if f[i] < k[i] else k[i]
            b = k[i] if f[i] < k[i] else f[i]
            # A cell without a solution takes part as one that settles at once.
            a = a if solvable else 1.0
            b = b if solvable else 1.0
            time_value = target[i] if solvable else 0.5
            x[i] = log_ratio_over(a, b, 1.0)
            turn[i] = np.sqrt(-2.0 * x[i])
            below = INVERSE_SQRT_2PI * mills_ratio(turn[i])  # 1/2 - below is the ratio at the turn
            ratio = time_value / a
            missing = (a - time_value) / a
            side[i] = -1.0 if ratio < 0.5 - below else 1.0
            target[i] = ratio if side[i] < 0.0 else missing
            step[i] = below
        for i in range(size):
            distance = -x[i] if x[i] < -SMALLEST else SMALLEST
            guess = distance / _bachelier_y(log_ratio_over(target[i], distance, 1.0) + 0.5 * x[i])
            d1 = _tail_quantile(target[i] * (0.5 / (0.5 + step[i])))
            s[i] = guess if side[i] < 0.0 else d1 + np.sqrt(d1 * d1 + turn[i] * turn[i])
            step[i] = 1.0
        moving = size
        passes = 0
        while moving and passes < PASSES_MAX:
            moving = 0
            passes += 1
            for i in range(size):
                low = turn[i] if side[i] > 0.0 else S_MIN
                high = turn[i] if side[i] < 0.0 else S_MAX
                now = s[i] if s[i] > low else low
                now = now if now < high else high
                inverse = 1.0 / now
                slope = x[i] * inverse
                d1 = slope + 0.5 * now
                minus_d2 = 0.5 * now - slope
                m1, m2 = mills_ratios(abs(d1), minus_d2)
                width = m1 + side[i] * m2
                g = -side[i] / width
                f0 = log_ratio_over(INVERSE_SQRT_2PI * width, target[i], 1.0) - 0.5 * (d1 * d1)
                bend = -d1 * minus_d2 * inverse
                second = bend - g
                third = second * second - g * second - 3.0 * (slope * slope) * (inverse * inverse) - 0.25
                move = _householder(-f0 / g, second, third)
                after = now + move
                after = after if after > 0.25 * now else 0.25 * now
                after = after if after < 4.0 * now else 4.0 * now
                # A settled cell stays where it is, so that its bits do not depend on its neighbours.
                settled = step[i] <= 0.0
                step[i] = 0.0 if settled else abs(after - now) - STANDSTILL * now - S_NOISE
                s[i] = now if settled else after
            for i in range(size):
                moving += step[i] > 0.0
        for i in range(size):
            code = why[i] if (step[i] <= 0.0) | (why[i] != SOLVED) else NOT_CONVERGED  # nor is NaN settled
            why[i] = code
            v[i] = s[i] / np.sqrt(t[i]) if code == SOLVED else np.nan


@kernel
def _bachelier_vols(
    price: FloatArray,
    forward: FloatArray,
    strike: FloatArray,
    tau: FloatArray,
    discount: FloatArray,
    is_call: BoolArray,
    vol: FloatArray,
    reason: Array,
) -> None:
    """Fill vol and reason, (cells,), from arguments of the same shape."""
    ratio, y, step, time_values = np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK), np.empty(BLOCK)
    for start in range(0, price.size, BLOCK):
        size = min(BLOCK, price.size - start)
        end = start + size
        p, f, k, t, d = price[start:end], forward[start:end], strike[start:end], tau[start:end], discount[start:end]
        call, v, why = is_call[start:end], vol[start:end], reason[start:end]
        for i in range(size):
            time_value, intrinsic = _time_value(p[i], f[i], k[i], d[i], call[i])
            distance = abs(f[i] - k[i])
            noise = ROUNDING * intrinsic
            least = noise if noise > RATIO_MIN * distance else RATIO_MIN * distance
            code = AT_INTRINSIC if time_value <= least else SOLVED
            code = BELOW_INTRINSIC if time_value < -noise else code
            why[i] = _excluded(p[i], f[i], k[i], t[i], d[i], code)
            time_values[i] = time_value
        for i in range(size):
            solvable = why[i] == SOLVED
            time_value = time_values[i] if solvable else 1.0
            distance = abs(f[i] - k[i])
            near = (distance * ATM_RATIO > time_value) & solvable
            ratio[i] = time_value / distance if near else 1.0
            y[i] = _bachelier_y(log_ratio_over(ratio[i], 1.0, 1.0))
            step[i] = 1.0
        moving = size
        passes = 0
        while moving and passes < PASSES_MAX:
            moving = 0
            passes += 1
            for i in range(size):
                now = y[i]
                mills = mills_ratio(now)
                rest = fma(-now, mills, 1.0)
                f0 = log_ratio_over(INVERSE_SQRT_2PI * rest, ratio[i] * now, 1.0) - 0.5 * (now * now)
                bend = now - mills / rest  # rest' / rest
                newton = f0 * now * rest
                second = -1.0 / now - bend
                move = newton / (1.0 + 0.5 * second * newton)
                after = now + move
                after = after if after > 0.25 * now else 0.25 * now
                after = after if after < 4.0 * now else 4.0 * now
                settled = step[i] <= 0.0  # and stays where it is
                step[i] = 0.0 if settled else abs(after - now) - STANDSTILL * now
                y[i] = now if settled else after
            for i in range(size):
                moving += step[i] > 0.0
        for i in range(size):
            distance = abs(f[i] - k[i])
            near = distance * ATM_RATIO > time_values[i]
            s = distance / y[i] if near else SQRT_2PI * (time_values[i] + 0.5 * distance)
            code = why[i] if (step[i] <= 0.0) | (why[i] != SOLVED) else NOT_CONVERGED  # nor is NaN settled
            why[i] = code
            v[i] = s / np.sqrt(t[i]) if code == SOLVED else np.nan


def _solve(kernel_of_model: Any, *arguments: Array) -> tuple[FloatArray, NDArray[np.int8]]:
    shape = np.broadcast_shapes(*(argument.shape for argument in arguments))
    cells = [np.ascontiguousarray(np.broadcast_to(argument, shape)).reshape(-1) for argument in arguments]
    vol, reason = np.empty(cells[0].size), np.empty(cells[0].size, np.int8)
    kernel_of_model(*cells, vol, reason)
    return vol.reshape(shape), reason.reshape(shape)


def implied_vol(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    discount: ArrayLike,
    is_call: ArrayLike,
) -> tuple[FloatArray, NDArray[np.int8]]:
    """Return the annual vol at which `black76` gives each price, and a reason code (`Unsolved`).

    The arguments broadcast against each other; units as in `black76`. Where there is no such vol it is NaN and the
    reason says why; a reason of 0 (SOLVED) means a finite, positive vol.

    The vol is exact to about 1e-15 of vol * sqrt(tau) for the price as given. The rounding of the price is not
    ours to undo: where a price near its bounds moves less than its last digit with the vol (deep in
    the money, or vol * sqrt(tau) beyond 11), the vol is as vague as the price.

    Raises:
        ValueError: a negative forward or strike, or a discount that is not positive, with the place of the first.
    """
    return _solve(
        _black_vols,
        np.asarray(price, np.float64),
        not_below("forward", forward, NOT_NEGATIVE),
        not_below("strike", strike, NOT_NEGATIVE),
        np.asarray(tau, np.float64),
        not_below("discount", discount, POSITIVE),
        np.asarray(is_call, np.bool_),
    )


def bachelier_implied_vol(
    price: ArrayLike,
    forward: ArrayLike,
    strike: ArrayLike,
    tau: ArrayLike,
    discount: ArrayLike,
    is_call: ArrayLike,
) -> tuple[FloatArray, NDArray[np.int8]]:
    """Return the annual vol, in price units, at which `bachelier` gives each price, and a reason code (`Unsolved`).

    As `implied_vol`, for a forward and strike of any sign.
    """
    return _solve(
        _bachelier_vols,
        np.asarray(price, np.float64),
        np.asarray(forward, np.float64),
        np.asarray(strike, np.float64),
        np.asarray(tau, np.float64),
        not_below("discount", discount, POSITIVE),
        np.asarray(is_call, np.bool_),
    )
