"""Option shocks: what options gain as prices, vols, rates and time move, by full revaluation."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from crossmargin.margin.grouped import within
from crossmargin.pricing import Valuation
from crossmargin.scenarios import TenorScaling
from crossmargin.units import FloatArray, IntArray

VOLS = ("up", "same", "down")
"""What happens to vols in each bucket of the price, in this order."""
_DAYS_A_YEAR = 365.0
_LEAST_YEARS = 1e-9
"""What is left to an option on its last day: its value is what it would pay."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VolShock:
    """How far implied vols move at the pivot of the tenor scaling."""

    up: float
    """Relative rise, 0 or more."""
    down: float
    """Relative fall, 0 to 1."""
    least: float = 0.0
    """A vol below this rises from it: max(vol, least) x (1 + up)."""

    def __post_init__(self) -> None:
        within("up", self.up)
        within("down", self.down, most=1.0)
        within("least", self.least)


@dataclass(frozen=True, slots=True, kw_only=True)
class TermShock:
    """Vols of near and far expiries that move against each other: relative, tenor-scaled."""

    up: float
    down: float
    front_days: float
    """Expiries up to here are near, those after it far."""

    def __post_init__(self) -> None:
        within("up", self.up)
        within("down", self.down, most=1.0)
        within("front_days", self.front_days)


class Options:
    """What options gain in each kind of scenario, one contract a row, in the reporting currency."""

    def __init__(
        self, valuation: Valuation, rows: IntArray, tenor: TenorScaling, *, coins_at_moved_price: bool = True
    ) -> None:
        """Take the options `rows`; what is paid in coin is worth the moved price, or today's."""
        self.valuation, self.rows = valuation, rows
        self.scale = tenor.factor(valuation.tau[rows])
        self.in_coin = valuation.catalogue.inverse[valuation.instrument[rows], None] & coins_at_moved_price
        self.fx = valuation.settle_fx[rows, None]
        self.now = valuation.unit_values(rows, np.zeros((len(rows), 1)))

    def _gain(self, valuation: Valuation, move: FloatArray, factor: FloatArray | None) -> FloatArray:
        """Return the gain after a price move."""
        spread = None if factor is None else np.ascontiguousarray(np.broadcast_to(factor[:, None], move.shape))
        after = valuation.unit_values(self.rows, move, spread)
        return np.asarray((after * np.where(self.in_coin, 1.0 + move, 1.0) - self.now) * self.fx, dtype=np.float64)

    def moved(self, move: FloatArray) -> FloatArray:
        """Return the gain with vols held, in the shape of `move`."""
        return self._gain(self.valuation, move, None)

    def up(self, move: FloatArray, up: FloatArray | float, least: FloatArray | float) -> FloatArray:
        """Return the gain with vols up: max(vol, least) x (1 + up, tenor-scaled); parameters a row or one for all."""
        vol = self.valuation.iv.copy()
        vol[self.rows] = np.maximum(vol[self.rows], least)
        return self._gain(replace(self.valuation, iv=vol), move, 1.0 + up * self.scale)

    def down(self, move: FloatArray, down: FloatArray | float) -> FloatArray:
        """Return the gain with vols down: vol x (1 - down, tenor-scaled)."""
        return self._gain(self.valuation, move, np.maximum(1.0 - down * self.scale, 0.0))

    def grid(self, move: FloatArray, shock: VolShock) -> FloatArray:
        """Return the gain at every move with vols up, same, down, (n, 3 moves)."""
        trio = (self.up(move, shock.up, shock.least), self.moved(move), self.down(move, shock.down))
        return np.stack(trio, axis=2).reshape(len(move), -1)

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
