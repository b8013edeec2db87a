"""Funding: what holds a perpetual near its index, as rates and as payments.

Signs: a positive rate or payment a unit means that longs pay shorts. Rates are fractions a funding period unless a
name says otherwise; prices are in the quote asset. All arguments broadcast. Where the premium and its average come
from, and who pays whom when, is not told here.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from crossmargin.units import FloatArray

HOUR_SECONDS = 3_600


def premium_index(*, index: ArrayLike, impact_bid: ArrayLike, impact_ask: ArrayLike) -> FloatArray:
    """Return the premium of the order book over the index, a fraction: ((bid - I)+ - (I - ask)+) / I.

    impact_bid, impact_ask: average price at which a stated notional could be sold and bought now. index above 0. An
    index between the two has no premium. Source class: perpetual-futures venues.
    """
    index = _above_zero("index", index)
    above = np.maximum(_floats(impact_bid) - index, 0.0)
    below = np.maximum(index - _floats(impact_ask), 0.0)
    return np.asarray((above - below) / index, dtype=np.float64)


def funding_rate(*, premium: ArrayLike, interest: ArrayLike, clamp: ArrayLike, limit: ArrayLike = np.inf) -> FloatArray:
    """Return the rate of a period: premium + clamp(interest - premium, -clamp, clamp), then within +- limit.

    premium: average premium of the period. Where interest and premium are within `clamp` of each other the rate is
    the interest. clamp and limit 0 or more. Source class: perpetual-futures venues.
    """
    average, width = _floats(premium), _not_negative("clamp", clamp)
    rate = average + np.clip(_floats(interest) - average, -width, width)
    most = _not_negative("limit", limit)
    # Taken as it is inside the band: premium + (interest - premium) would miss it by a rounding.
    rate = np.where(np.abs(_floats(interest) - average) <= width, _floats(interest), rate)
    return np.asarray(np.clip(rate, -most, most), dtype=np.float64)


def funding_payment(*, notional: ArrayLike, rate: ArrayLike, periods: ArrayLike = 1.0) -> FloatArray:
    """Return what a position pays over so many periods, in the unit of `notional`: notional x rate x periods.

    notional: quantity x contract size x mark, long positive; a negative result is received.
    """
    return np.asarray(_floats(notional) * _floats(rate) * _floats(periods), dtype=np.float64)


def hourly_funding_rate(
    *, premium: ArrayLike, convergence_hours: ArrayLike, static_rate: ArrayLike, limit: ArrayLike
) -> FloatArray:
    """Return the rate an hour of funding that accrues all the time: clamp(premium / hours + static, -limit, limit).

    convergence_hours: in how many hours a standing premium is paid in full, above 0; static_rate and limit are
    fractions an hour. Source class: Derive perpetuals.
    """
    most = _not_negative("limit", limit)
    rate = _floats(premium) / _above_zero("convergence_hours", convergence_hours) + _floats(static_rate)
    return np.asarray(np.clip(rate, -most, most), dtype=np.float64)


def accrued_funding(*, size: ArrayLike, index: ArrayLike, hourly_rate: ArrayLike, seconds: ArrayLike) -> FloatArray:
    """Return what a position has been paid since, in the quote asset: -size x index x rate x hours.

    size: units of the underlying, long positive. Negative has been paid away: a long under a positive rate. Equal and
    opposite sizes add up to 0. Source class: Derive perpetuals.
    """
    hours = _not_negative("seconds", seconds) / HOUR_SECONDS
    return np.asarray(-_floats(size) * _floats(index) * _floats(hourly_rate) * hours + 0.0, dtype=np.float64)


def twap_funding_payment(
    *,
    future: ArrayLike,
    spot: ArrayLike,
    years: ArrayLike,
    interest: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
) -> FloatArray:
    """Return what one long unit pays for a period, in the quote asset: f - s + min(u s, max(l s, (1 + t r) s - f)).

    f, s: time-weighted averages of the perpetual and the spot price over the period; t: its length in years; r:
    interest, a fraction a year; l <= u: bounds of the interest part as fractions of s. Source class: Vega perpetuals.
    """
    f, s = _floats(future), _floats(spot)
    if (_floats(lower) > _floats(upper)).any():
        found = f"{_floats(lower).tolist()} and {_floats(upper).tolist()}"
        raise ValueError(f"lower, upper: found {found}; allowed: lower at most upper")
    carried = (1.0 + _floats(years) * _floats(interest)) * s - f
    bounded = np.minimum(_floats(upper) * s, np.maximum(_floats(lower) * s, carried))
    return np.asarray(f - s + bounded, dtype=np.float64)


def time_weighted_average(*, times: ArrayLike, prices: ArrayLike, end: float) -> float:
    """Return the average of prices that each hold from their time to the next, the last to `end`.

    times: seconds, rising, (n,); prices: (n,); end above times[0], what comes after it is left out.
    """
    at, price = _floats(times), _floats(prices)
    if at.ndim != 1 or at.shape != price.shape or not len(at) or (np.diff(at) <= 0).any() or not end > at[0]:
        raise ValueError("times: allowed: rising times, one for each price, the first before the end")
    length = np.diff(np.minimum(np.append(at, end), end))
    return float((price * length).sum() / length.sum())


def _floats(values: ArrayLike) -> FloatArray:
    return np.asarray(values, dtype=np.float64)


def _above_zero(name: str, values: ArrayLike) -> FloatArray:
    numbers = _floats(values)
    if not (numbers > 0).all():
        raise ValueError(f"{name}: found {numbers.tolist()}; allowed: numbers above 0")
    return numbers


def _not_negative(name: str, values: ArrayLike) -> FloatArray:
    numbers = _floats(values)
    if not (numbers >= 0).all():
        raise ValueError(f"{name}: found {numbers.tolist()}; allowed: numbers of 0 or more")
    return numbers
