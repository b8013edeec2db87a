"""Daily closes of several underlyings, one UTC day a row."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from operator import lt

import numpy as np

from crossmargin.errors import InvalidMarket
from crossmargin.units import FloatArray

VOL_SUFFIX = ".vol"
"""A series named "<underlying>.vol" holds implied vols of that underlying."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class History:
    """Closes as a table: days down, series across, NaN where a market was closed or not yet listed."""

    days: tuple[date, ...]
    names: tuple[str, ...]
    closes: FloatArray
    """Shape (days, names)."""

    def __post_init__(self) -> None:
        if self.closes.shape != (len(self.days), len(self.names)):
            raise InvalidMarket(
                "history",
                f"a table of {self.closes.shape}",
                f"({len(self.days)} days, {len(self.names)} series)",
            )
        if not all(map(lt, self.days, self.days[1:])):
            raise InvalidMarket("history", "days out of order or twice", "strictly rising days")
        if len(set(self.names)) != len(self.names):
            raise InvalidMarket("history", "a series twice", "each name once")
        if np.isinf(self.closes).any():
            raise InvalidMarket("history", "an infinite close", "finite closes")

    @classmethod
    def of(cls, rows: Mapping[str, Mapping[date, float]]) -> History:
        """Return the table of series given as {name: {day: close}}."""
        days = sorted({day for series in rows.values() for day in series})
        names = sorted(rows)
        line = {day: k for k, day in enumerate(days)}
        closes = np.full((len(days), len(names)), np.nan)
        for column, name in enumerate(names):
            for day, close in rows[name].items():
                closes[line[day], column] = close
        return cls(days=tuple(days), names=tuple(names), closes=closes)

    def series(self, name: str) -> FloatArray:
        """Return the closes of one series, shape (days,); NaN where there is none."""
        return self.closes[:, self.names.index(name)]

    def before(self, day: date) -> History:
        """Return the rows of the days before `day`; itself where it has no others."""
        rows = bisect_left(self.days, day)
        if rows == len(self.days):
            return self
        return History(days=self.days[:rows], names=self.names, closes=self.closes[:rows])
