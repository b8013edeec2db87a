"""Scenarios of risk units: what one contract gains in each, by full revaluation."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from crossmargin.instruments import Catalogue
from crossmargin.margin.risk_matrix import VOLS, VolShock
from crossmargin.pricing import Valuation
from crossmargin.scenarios import TenorScaling
from crossmargin.units import FloatArray, IntArray

if TYPE_CHECKING:
    from crossmargin.margin.risk_units import RiskUnits, TermShock

_DAYS_A_YEAR = 365.0
_LEAST_YEARS = 1e-9
"""What is left to an option on its last day: its value is what it would pay."""


class Scenarios:
    """The scenarios of a model as columns: MR1 by price, then vol; MR6; MR2; MR3; MR5."""

    def __init__(self, model: RiskUnits) -> None:
        self.model = model
        self.steps = max(len(moves) for _, moves in model.moves.entries())
        prices = 2 * self.steps + 1
        self.spot = slice(0, prices * len(VOLS))
        self.extreme = slice(self.spot.stop, self.spot.stop + 2)
        self.theta = slice(self.extreme.stop, self.extreme.stop + 1)
        self.vega = slice(self.theta.stop, self.theta.stop + 2)
        self.rates = slice(self.vega.stop, self.vega.stop + 2)
        self.count = self.rates.stop

    def moves(self, catalogue: Catalogue) -> FloatArray:
        """Return the price moves of MR1 by group of every asset, (assets, 2 steps + 1), lowest first, 0 for padding."""
        table = np.zeros((len(catalogue.assets), 2 * self.steps + 1))
        for a, asset in enumerate(catalogue.assets):
            moves = self.model.moves.of(catalogue.assets[catalogue.asset_number[asset.group]])
            ups = np.concatenate((np.sort(moves), np.zeros(self.steps - len(moves))))
            table[a] = np.concatenate((-ups[::-1], (0.0,), ups))
        return table

    def name(self, column: int) -> str:
        """Return what happens in a column, readable and distinct."""
        if column < self.spot.stop:
            step, vol = divmod(column, len(VOLS))
            return f"price step {step - self.steps:+d} vol {VOLS[vol]}"
        tail = ("extreme down", "extreme up", "a day goes by", "near vols up, far down", "near vols down, far up")
        return (*tail, "rates down", "rates up")[column - self.spot.stop]

    def table(self, valuation: Valuation, rows: IntArray, delta: FloatArray) -> FloatArray:
        """Return the P&L of one contract in every column, (valuation rows, columns), in the reporting currency.

        `delta` (valuation rows,) is the delta notional of one contract. Only `rows` are filled.
        """
        catalogue = valuation.catalogue
        underlying = catalogue.underlying[valuation.instrument[rows]]
        moves = self.moves(catalogue)[underlying]
        extreme = self.model.extreme.column(catalogue)[underlying, None] * np.array((-1.0, 1.0))
        tau = valuation.tau[rows]
        carry = np.where(np.isfinite(tau), tau, 0.0)[:, None] * self.model.rate_shock * np.array((-1.0, 1.0))
        pnl = np.zeros((len(rows), self.count))
        straight = np.flatnonzero(~valuation.is_option[rows])
        of_one = delta[rows[straight], None]
        pnl[straight, self.spot] = of_one * np.repeat(moves[straight], len(VOLS), axis=1)
        pnl[straight, self.extreme] = of_one * extreme[straight]
        pnl[straight, self.rates] = of_one * np.expm1(carry[straight])
        optional = np.flatnonzero(valuation.is_option[rows])
        if len(optional):
            option = Options(valuation, rows[optional], self.model.tenor)
            pnl[optional, self.spot] = option.grid(moves[optional], self.model.vol)
            pnl[optional, self.extreme] = option.moved(extreme[optional])
            pnl[optional, self.theta] = option.later(self.model.theta_days)
            pnl[optional, self.vega] = option.twisted(self.model.term)
            pnl[optional, self.rates] = option.carried(carry[optional])
        table = np.zeros((len(valuation.instrument), self.count))
        table[rows] = pnl
        return table


class Options:
    """What options gain in each kind of scenario, one contract a row, in the reporting currency."""

    def __init__(self, valuation: Valuation, rows: IntArray, tenor: TenorScaling) -> None:
        self.valuation, self.rows = valuation, rows
        self.scale = tenor.factor(valuation.tau[rows])
        self.in_coin = valuation.catalogue.inverse[valuation.instrument[rows], None]
        self.fx = valuation.settle_fx[rows, None]
        self.now = valuation.unit_values(rows, np.zeros((len(rows), 1)))

    def _gain(self, valuation: Valuation, move: FloatArray, factor: FloatArray | None) -> FloatArray:
        """Return the gain after a price move; what is paid in coin is worth the moved price."""
        spread = None if factor is None else np.ascontiguousarray(np.broadcast_to(factor[:, None], move.shape))
        after = valuation.unit_values(self.rows, move, spread)
        return np.asarray((after * np.where(self.in_coin, 1.0 + move, 1.0) - self.now) * self.fx, dtype=np.float64)

    def moved(self, move: FloatArray) -> FloatArray:
        """Return the gain with vols held, in the shape of `move`."""
        return self._gain(self.valuation, move, None)

    def grid(self, move: FloatArray, shock: VolShock) -> FloatArray:
        """Return the gain at every move with vols up, same, down, (n, 3 moves)."""
        vol = self.valuation.iv.copy()
        vol[self.rows] = np.maximum(vol[self.rows], shock.least)
        up = self._gain(replace(self.valuation, iv=vol), move, 1.0 + shock.up * self.scale)
        down = self._gain(self.valuation, move, np.maximum(1.0 - shock.down * self.scale, 0.0))
        return np.stack((up, self.moved(move), down), axis=2).reshape(len(move), -1)

    def later(self, days: float) -> FloatArray:
        """Return the gain as time goes by, (n, 1)."""
        before, tau, discount = self.valuation.tau[self.rows], self.valuation.tau.copy(), self.valuation.discount.copy()
        tau[self.rows] = np.maximum(before - days / _DAYS_A_YEAR, np.minimum(_LEAST_YEARS, before))
        # The rate stays: what is discounted is discounted for less time.
        discount[self.rows] **= tau[self.rows] / before
        later = replace(self.valuation, tau=tau, discount=discount)
        return self._gain(later, np.zeros((len(self.rows), 1)), None)

    def twisted(self, term: TermShock) -> FloatArray:
        """Return the gain with near vols up and far ones down, and the reverse, (n, 2)."""
        near = self.valuation.tau[self.rows] * _DAYS_A_YEAR <= term.front_days
        up, down = 1.0 + term.up * self.scale, np.maximum(1.0 - term.down * self.scale, 0.0)
        still = np.zeros((len(self.rows), 1))
        return np.hstack(
            [self._gain(self.valuation, still, np.where(near == first, up, down)) for first in (True, False)]
        )

    def carried(self, carry: FloatArray) -> FloatArray:
        """Return the gain as carry changes, (n, 2): forwards x exp(carry), discounts / exp(carry)."""
        gains = []
        for column in carry.T:
            factor = np.ones(len(self.valuation.tau))
            factor[self.rows] = np.exp(column)
            in_coin = self.valuation.catalogue.inverse[self.valuation.instrument]
            shifted = replace(
                self.valuation,
                forward=self.valuation.forward * factor,
                discount=np.where(in_coin, self.valuation.discount, self.valuation.discount / factor),
            )
            gains.append(self._gain(shifted, np.zeros((len(self.rows), 1)), None))
        return np.hstack(gains)
