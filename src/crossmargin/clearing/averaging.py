"""Averaging: what is still uncertain of a contract while the price it settles at is being averaged.

Of n samples k are taken, r can still come: the mean will be fixed + share * A, where A is the average of those to come,
fixed = sum of the k / (k + r) and share = r / (k + r). So a future is worth `fixed` for certain and moves by `share`,
and an option is `share` options on A, struck at (strike - fixed) / share. A spread of r even steps over a time has

    sigma(A)^2 = sigma^2 * (r + 1)(2r + 1) / (6 r^2)

of what the price has at the end: 0.585 sigma for 60 samples. Contracts whose payoff divides by the price are left as
they are, and so are options that are marked at a price alone: what they may lose is overstated then, for half an hour.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from math import sqrt
from typing import TYPE_CHECKING

from crossmargin.clearing.expiry import Average, expiry_of
from crossmargin.clearing.marks import INDEX_SCALE, VOL_SCALE
from crossmargin.clearing.parties import EXPIRING
from crossmargin.instruments import Instrument, Option
from crossmargin.market import Mark

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

_LEAST_STRIKE = 1e-6
"""Of the index: where an option on what is left would be struck at or below 0, it is struck here instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """What is left of a contract: `share` of `instrument`, marked at `mark`, beside `fixed` quote units a unit.

    A contract is worth its size times (fixed + share * price of what is left).
    """

    instrument: Instrument
    share: float
    fixed: float
    mark: Mark


def spread_of_average(samples: int) -> float:
    """Return the standard deviation of the average of so many even steps to come, of that at the last; 0 for none."""
    return sqrt((samples + 1) * (2 * samples + 1) / (6 * samples * samples)) if samples else 0.0


def rest_of(state: State, number: int) -> Rest | None:
    """Return what is left of an instrument; None where it is all there: nothing of its price is fixed yet."""
    listing = state.parties.instruments[number]
    instrument = listing.contract.instrument
    if listing.stage != EXPIRING or instrument.inverse:
        return None
    key = expiry_of(listing.contract)
    average, units = state.expiries.averages.get(key, Average()), state.marks.index_of(key[0])
    if average.count == 0 or units is None:
        return None
    index = units / INDEX_SCALE
    left = state.expiries.of(key[0]).samples - average.part - 1
    share = left / (average.count + left)
    fixed = average.total / (average.count + left) / INDEX_SCALE
    if not isinstance(instrument, Option):
        return Rest(instrument=instrument, share=share, fixed=fixed, mark=Mark(price=index))
    vol = state.marks.vol_of(number)
    if vol is None:
        return None
    return _rest_of_option(instrument, left, share, fixed, index, vol / VOL_SCALE)


def _rest_of_option(option: Option, left: int, share: float, fixed: float, index: float, vol: float) -> Rest:
    sign = 1.0 if option.option_type == "call" else -1.0
    strike, mark = float(option.strike), Mark(iv=spread_of_average(left) * vol)
    if left == 0:
        return Rest(instrument=option, share=0.0, fixed=max(sign * (fixed - strike), 0.0), mark=Mark(iv=vol))
    struck, certain = (strike - fixed) / share, 0.0
    if option.price_domain == "positive" and struck < _LEAST_STRIKE * index:
        # A call is then all but a future on what is left, a put worth nothing.
        certain = share * (_LEAST_STRIKE * index - struck) if sign > 0 else 0.0
        struck = _LEAST_STRIKE * index
    rest = replace(option, strike=Decimal(repr(struck)))
    return Rest(instrument=rest, share=share, fixed=certain, mark=mark)
