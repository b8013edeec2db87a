"""Contracts after moves that many of them share: options x scenarios, with what they share worked out once.

A move multiplies a forward by a growth, so ln(forward / strike) of a scenario is that of now plus the logarithm of
the growth: one logarithm for each underlying and scenario, none for each option. A standard deviation is that of now
times the scenario's vol factor. The rest is black.py's, block by block, with tails that are right to roundings of 1:
a price far out of the money has that many digits, not all of its own. Cells whose forward and strike are more than
e**3 apart take black.py's own tails. The error of a price is below 1e-15 of the smaller of moved forward and strike
for each unit of 1 + |ln(forward / strike)| + |ln(growth)|.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from crossmargin.pricing.black import TINY, bounded, price_of, ratio_of
from crossmargin.pricing.cells import BLOCK, LANES, STRIDE, whole_strides, work_rows
from crossmargin.pricing.normal import (
    FAR,
    QUICK_LOG_MAX,
    fma,
    inlined,
    kernel,
    log_ratio,
    quick_denominator,
    quick_density,
    quick_numerator,
)
from crossmargin.units import BoolArray, FloatArray, IntArray

FACTOR_MIN = 1e-100
"""Stands in for a deviation or vol factor of 0 where it is divided by."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SharedMoves:
    """S scenarios of n contracts, told in tables of M rows that contracts share."""

    move: FloatArray
    """(M, S) change of the underlying: relative, or in price units for contracts whose domain is `any`."""
    of: IntArray
    """(n,) the row of both tables that each contract takes."""
    vol_factor: FloatArray | None = None
    """(M, S) multiplies implied vols; None leaves them."""
    vol_share: FloatArray | None = None
    """(n,) how much of a vol shock a contract takes: its vol is multiplied by 1 + share (vol_factor - 1), not below
    0. None: all of it."""

    def take(self, contracts: IntArray) -> SharedMoves:
        """Return the moves of some of the contracts, from the same tables."""
        share = None if self.vol_share is None else self.vol_share[contracts]
        return SharedMoves(move=self.move, of=self.of[contracts], vol_factor=self.vol_factor, vol_share=share)

    def factors(self) -> FloatArray | None:
        """Return what multiplies the vol of each contract, (n, S)."""
        if self.vol_factor is None:
            return None
        factor = self.vol_factor[self.of]
        if self.vol_share is None:
            return factor
        return np.asarray(np.maximum(1.0 + (factor - 1.0) * self.vol_share[:, None], 0.0))


@kernel
def log_growths(growth: FloatArray, out: FloatArray) -> None:
    """Fill out, (cells,), with ln(growth), growth > 0."""
    for i in range(out.size):
        out[i] = log_ratio(growth[i], 1.0)


@kernel
def log_moneyness(forward: FloatArray, strike: FloatArray, out: FloatArray) -> None:
    """Fill out, (n,), with ln(forward / strike); a zero counts as a price too small to matter."""
    for i in range(out.size):
        out[i] = log_ratio(
            forward[i] if forward[i] > TINY else TINY,
            strike[i] if strike[i] > TINY else TINY,
        )


@inlined
def _start_row(
    log_growth: FloatArray,
    factor: FloatArray,
    inverse: FloatArray,
    cells: int,
    moneyness: float,
    deviation: float,
    share: float,
    d1: FloatArray,
    minus_d2: FloatArray,
) -> None:
    """Fill d1 and -d2 (see black.py) of one contract; without a share of its own no cell takes a division."""
    if share == 1.0:
        over = 1.0 / (deviation if deviation > FACTOR_MIN else FACTOR_MIN)
        for j in range(cells):
            slope = abs(moneyness + log_growth[j]) * (over * inverse[j])
            half = 0.5 * (deviation * factor[j])
            slope = slope if slope < FAR else FAR
            half = half if half < FAR else FAR
            d1[j] = half - slope
            minus_d2[j] = half + slope
    else:
        for j in range(cells):
            change = 1.0 + (factor[j] - 1.0) * share
            s = bounded(deviation * (change if change > 0.0 else 0.0))
            slope = abs(moneyness + log_growth[j]) / s
            half = 0.5 * s
            slope = slope if slope < FAR else FAR
            half = half if half < FAR else FAR
            d1[j] = half - slope
            minus_d2[j] = half + slope


@inlined
def _quick_ratios(cells: int, y: FloatArray, phi: FloatArray, p: FloatArray, q: FloatArray, ratio: FloatArray) -> None:
    """Fill time value / a from y, d1 and -d2, in short loops (see black.py); phi, p and q are room to work in.

    It is N(d1) - phi(d1) M(-d2), both Mills ratios over one denominator, so that a distance of 0 leaves exactly 0.
    """
    for i in range(cells):
        phi[i] = quick_density(abs(y[0, i]))
    for tail in range(2):
        for i in range(cells):
            distance = abs(y[tail, i])
            p[tail, i] = quick_numerator(distance)
            q[tail, i] = quick_denominator(distance)
    for i in range(cells):
        below = -y[0, i]
        rest = math.copysign(p[0, i], below) * q[1, i] - p[1, i] * q[0, i]
        ratio[i] = fma(phi[i], rest / (q[0, i] * q[1, i]), 0.5 - math.copysign(0.5, below))


@inlined
def _price_row(
    growth: FloatArray,
    cells: int,
    forward: float,
    strike: float,
    discount: float,
    is_call: bool,
    ratio: FloatArray,
    price: FloatArray,
) -> None:
    """Fill the discounted price of one contract from time value / a; below 0 that is a rounding."""
    sign = 1.0 if is_call else -1.0
    for j in range(cells):
        moved = forward * growth[j]
        smaller = moved if moved < strike else strike
        most = moved if is_call else strike
        inside = sign * (moved - strike)
        more = ratio[j] if ratio[j] > 0.0 else 0.0
        value = fma(smaller, more, inside if inside > 0.0 else 0.0)
        price[j] = discount * (value if value < most else most)


@inlined
def _price_far_cells(
    growth: FloatArray,
    log_growth: FloatArray,
    factor: FloatArray,
    width: int,
    forward: float,
    moneyness: float,
    strike: float,
    deviation: float,
    share: float,
    discount: float,
    is_call: bool,
    price: FloatArray,
) -> None:
    """Price again, with all digits of both tails, the cells whose forward and strike are far apart."""
    for j in range(width):
        x = abs(moneyness + log_growth[j])
        if x > QUICK_LOG_MAX:
            change = 1.0 + (factor[j] - 1.0) * share
            ratio = ratio_of(x, bounded(deviation * (change if change > 0.0 else 0.0)))
            price[j] = price_of(forward * growth[j], strike, discount, is_call, ratio)


@kernel
def option_values(
    growth: FloatArray,
    log_growth: FloatArray,
    factor: FloatArray,
    inverse: FloatArray,
    reach: FloatArray,
    of: IntArray,
    share: FloatArray,
    forward: FloatArray,
    moneyness: FloatArray,
    strike: FloatArray,
    deviation: FloatArray,
    discount: FloatArray,
    is_call: BoolArray,
    in_coin: BoolArray,
    offset: FloatArray,
    contract_size: FloatArray,
    row: IntArray,
    low: int,
    high: int,
    out: FloatArray,
) -> None:
    """Fill the rows of out, (., S), of the options `low` to `high` with what one contract is worth.

    growth, log_growth, factor and inverse, its reciprocal, are (M, S + STRIDE), all from `table_of`; reach (M,) is the
    largest |log_growth| of a row; the rest (options,): the tables' row of each option, its share of vol shocks, its
    terms (deviation is vol * sqrt(tau)), whether it pays in coin, what its mark is above the model's price, its size,
    and its row of `out`.
    """
    columns = out.shape[1]
    work = work_rows(10)
    phi, ratio, price, f = work[0], work[1], work[2], work[3]
    y, p, q = work[4:6], work[6:8], work[8:10]
    # A block is a part of one option's scenarios, or several options in full, each on a 64-byte boundary.
    together = max(1, BLOCK // (max(1, columns + LANES - 1) // LANES * LANES))
    for option in range(low, high, together):
        options = min(together, high - option)
        for first in range(0, columns, BLOCK):
            width = min(BLOCK, columns - first)
            pitch = (width + LANES - 1) // LANES * LANES
            # Whole strides are filled: what lies beyond is filled again by the next option, or read by none.
            cells = whole_strides(width)
            for k in range(options):
                i, at = option + k, k * pitch
                _start_row(
                    log_growth[of[i], first:],
                    factor[of[i], first:],
                    inverse[of[i], first:],
                    cells,
                    moneyness[i],
                    deviation[i],
                    share[i],
                    y[0, at:],
                    y[1, at:],
                )
            _quick_ratios(whole_strides(options * pitch), y, phi, p, q, ratio)
            for k in range(options):
                i, at = option + k, k * pitch
                growths = growth[of[i], first:]
                _price_row(
                    growths,
                    cells,
                    forward[i],
                    strike[i],
                    discount[i],
                    is_call[i],
                    ratio[at:],
                    price,
                )
                if abs(moneyness[i]) + reach[of[i]] > QUICK_LOG_MAX:
                    _price_far_cells(
                        growths,
                        log_growth[of[i], first:],
                        factor[of[i], first:],
                        width,
                        forward[i],
                        moneyness[i],
                        strike[i],
                        deviation[i],
                        share[i],
                        discount[i],
                        is_call[i],
                        price,
                    )
                values = out[row[i], first : first + width]
                if in_coin[i]:
                    for j in range(cells):
                        f[j] = forward[i] * growths[j]
                _put_row(price, f, in_coin[i], offset[i], contract_size[i], values)


@inlined
def _put_row(
    price: FloatArray, forward: FloatArray, in_coin: bool, offset: float, size: float, out: FloatArray
) -> None:
    """Fill the value of one contract of `size` from its model price; a coin is worth the forward."""
    if in_coin:
        for j in range(out.size):
            value = price[j] / forward[j] + offset
            out[j] = size * (value if value > 0.0 else 0.0)
    else:
        for j in range(out.size):
            value = price[j] + offset
            out[j] = size * (value if value > 0.0 else 0.0)


@kernel
def straight_values(
    move: FloatArray,
    growth: FloatArray,
    of: IntArray,
    mark: FloatArray,
    any_domain: BoolArray,
    inverse: BoolArray,
    contract_size: FloatArray,
    row: IntArray,
    low: int,
    high: int,
    out: FloatArray,
) -> None:
    """Fill the rows of out, (., S), of the contracts `low` to `high` without options, as `option_values` does."""
    for i in range(low, high):
        size, values = contract_size[i], out[row[i]]
        moves, growths = move[of[i]], growth[of[i]]
        if any_domain[i]:
            for j in range(values.size):
                values[j] = mark[i] + moves[j]
        else:
            for j in range(values.size):
                values[j] = mark[i] * growths[j]
        if inverse[i]:
            for j in range(values.size):
                values[j] = -size / values[j]
        else:
            for j in range(values.size):
                values[j] = size * values[j]


def table_of(values: FloatArray, beyond: float) -> FloatArray:
    """Return a table as kernels take it: with a stride of columns more, which hold `beyond`."""
    table = np.full((values.shape[0], values.shape[1] + STRIDE), beyond)
    table[:, : values.shape[1]] = values
    return table
