"""Contracts after moves that many of them share: options x scenarios, with what they share worked out once.

A move multiplies a forward by a growth, so ln(forward / strike) of a scenario is that of now plus the logarithm of
the growth: one logarithm for each underlying and scenario, none for each option. A standard deviation is that of now
times the scenario's vol factor. The rest is black.py's, block by block. The error of a price is below 1e-15 of the
smaller of moved forward and strike for each unit of 1 + |ln(forward / strike)| + |ln(growth)|.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.pricing.black import TINY, bounded, price_of, tails, tails_of
from crossmargin.pricing.cells import BLOCK, LANES, STRIDE, fill, whole_strides, work_rows
from crossmargin.pricing.normal import inlined, kernel, log_ratio
from crossmargin.units import BoolArray, FloatArray, IntArray


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
    cells: int,
    moneyness: float,
    deviation: float,
    share: float,
    x: FloatArray,
    s: FloatArray,
) -> None:
    """Fill log moneyness and deviation of one contract; no factors: its deviation stays."""
    for j in range(cells):
        x[j] = moneyness + log_growth[j]
    if factor.size:
        for j in range(cells):
            change = 1.0 + (factor[j] - 1.0) * share
            s[j] = bounded(deviation * (change if change > 0.0 else 0.0))
    else:
        fill(bounded(deviation), s[:cells])


@inlined
def _price_row(
    growth: FloatArray,
    cells: int,
    forward: float,
    strike: float,
    discount: float,
    is_call: bool,
    d1: FloatArray,
    phi: FloatArray,
    p: FloatArray,
    q: FloatArray,
    r: FloatArray,
    s: FloatArray,
    f: FloatArray,
    price: FloatArray,
) -> None:
    """Fill moved forward and discounted price of one contract from what `tails_of` has filled."""
    for j in range(cells):
        moved = forward * growth[j]
        ratio, _, _ = tails(d1[j], phi[j], p[j], q[j], r[j], s[j])
        price[j] = price_of(moved, strike, discount, is_call, ratio)
    for j in range(cells):
        f[j] = forward * growth[j]


@kernel
def option_values(
    growth: FloatArray,
    log_growth: FloatArray,
    factor: FloatArray,
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

    growth and log_growth (M, S + STRIDE), factor too or (M, 0) where vols stay, all from `table_of`; the rest
    (options,): the tables' row of each option, its share of vol shocks, its terms (deviation is vol * sqrt(tau)),
    whether it pays in coin, what its mark is above the model's price, its size, and its row of `out`.
    """
    columns = out.shape[1]
    work = work_rows(10)
    s, x, phi, price = work[0], work[1], work[2], work[3]
    y, p, q = work[4:6], work[6:8], work[8:10]
    f = x  # once prices are known, log moneyness is no longer needed
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
                i = option + k
                _start_row(
                    log_growth[of[i], first:],
                    factor[of[i], first:],
                    cells,
                    moneyness[i],
                    deviation[i],
                    share[i],
                    x[k * pitch :],
                    s[k * pitch :],
                )
            tails_of(x, s, options * pitch, y, phi, p, q)
            for k in range(options):
                i, at = option + k, k * pitch
                _price_row(
                    growth[of[i], first:],
                    cells,
                    forward[i],
                    strike[i],
                    discount[i],
                    is_call[i],
                    y[0, at:],
                    phi[at:],
                    p[0, at:],
                    q[0, at:],
                    p[1, at:],
                    q[1, at:],
                    f,
                    price,
                )
                _put_row(price, f, in_coin[i], offset[i], contract_size[i], out[row[i], first : first + width])


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
