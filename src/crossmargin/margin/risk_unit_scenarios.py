"""Scenarios of risk units: what one contract gains in each, by full revaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from crossmargin.margin.option_shocks import VOLS, Options
from crossmargin.pricing import Valuation
from crossmargin.units import FloatArray, IntArray

if TYPE_CHECKING:
    from crossmargin.margin.risk_units import RiskUnits


class Scenarios:
    """The scenarios of a model as columns: MR1 by price, then vol; MR6; MR2; MR3; MR5."""

    def __init__(self, model: RiskUnits) -> None:
        self.model = model
        self.steps = model.moves.longest
        prices = 2 * self.steps + 1
        self.spot = slice(0, prices * len(VOLS))
        self.extreme = slice(self.spot.stop, self.spot.stop + 2)
        self.theta = slice(self.extreme.stop, self.extreme.stop + 1)
        self.vega = slice(self.theta.stop, self.theta.stop + 2)
        self.rates = slice(self.vega.stop, self.vega.stop + 2)
        self.count = self.rates.stop

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
        moves = self.model.moves.both_ways(catalogue)[underlying]
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
