"""The market snapshot and its marks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import SupportsFloat

from crossmargin.errors import InvalidMarket
from crossmargin.market.history import History
from crossmargin.market.vols import VolSurface
from crossmargin.units import utc

RATE_LARGEST = 1.0
VOL_LARGEST = 10.0
IV_LARGEST = 50.0
"""Weekly and hourly options do trade at several hundred percent; above this it is surely a unit error."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What an instrument is marked at: a price, an implied vol, or both."""

    price: float | None = None
    """In quote; coin-settled options in the settle coin."""
    iv: float | None = None
    """Annual vol, a fraction; in price units where the domain is `any`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Market:
    """Prices at one instant. Mappings are by name; see the room card for units."""

    time: datetime
    currency: str = "USD"
    """The reporting currency."""
    prices: Mapping[str, float] = field(default_factory=dict)
    fx: Mapping[str, float] = field(default_factory=dict)
    marks: Mapping[str, Mark] = field(default_factory=dict)
    forwards: Mapping[str, Mapping[date, float]] = field(default_factory=dict)
    """By underlying, then by UTC date of expiry; in quote."""
    vols: Mapping[str, VolSurface] = field(default_factory=dict)
    rates: Mapping[str, float] = field(default_factory=dict)
    history: History | None = None
    vol_annual: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "time", utc(self.time))
        except ValueError as error:
            raise InvalidMarket(
                "time", str(error), "an ISO 8601 time with its zone, such as 2026-11-20T08:00:00Z"
            ) from None
        for name, price in self.prices.items():
            _finite(f"prices.{name}", price)
        for name, rate in self.fx.items():
            _positive(f"fx.{name}", rate)
        if self.fx.get(self.currency, 1.0) != 1.0:
            raise InvalidMarket(f"fx.{self.currency}", str(self.fx[self.currency]), "1: it is the reporting currency")
        for symbol, mark in self.marks.items():
            if not isinstance(mark, Mark):
                raise InvalidMarket(f"marks.{symbol}", repr(mark), "a Mark")
            if mark.price is None and mark.iv is None:
                raise InvalidMarket(f"marks.{symbol}", "neither price nor iv", "a price, an iv or both")
            if mark.price is not None:
                _finite(f"marks.{symbol}.price", mark.price)
            if mark.iv is not None:
                _finite(f"marks.{symbol}.iv", mark.iv)
                if mark.iv < 0:
                    raise InvalidMarket(f"marks.{symbol}.iv", str(mark.iv), "0 or more")
        for name, curve in self.forwards.items():
            for day, forward in curve.items():
                if type(day) is not date:
                    # Looked up by date: a text or a time of day would never be found, and never be missed.
                    raise InvalidMarket(f"forwards.{name}", repr(day), "forwards by the datetime.date of their expiry")
                _finite(f"forwards.{name}.{day}", forward)
        for name, rate in self.rates.items():
            _finite(f"rates.{name}", rate)
            if abs(rate) >= RATE_LARGEST:
                raise InvalidMarket(
                    f"rates.{name}",
                    str(rate),
                    "a continuous rate between -1 and 1",
                    f"is {rate} percent meant? write {rate / 100:g}",
                )
        for name, vol in self.vol_annual.items():
            _positive(f"vol_annual.{name}", vol)
            if vol >= VOL_LARGEST:
                raise InvalidMarket(
                    f"vol_annual.{name}",
                    str(vol),
                    f"a fraction below {VOL_LARGEST}",
                    f"is {vol} percent meant? write {vol / 100:g}",
                )

    def with_(self, **changes: object) -> Market:
        """Return a copy with some fields replaced."""
        return replace(self, **changes)  # type: ignore[arg-type]  # replace checks the names


def _finite(place: str, number: object) -> None:
    if isinstance(number, bool | str | Decimal) or not isinstance(number, SupportsFloat) or not _is_finite(number):
        raise InvalidMarket(place, repr(number)[:60], "a finite number")


def _is_finite(number: SupportsFloat) -> bool:
    try:
        return isfinite(number)
    except OverflowError:
        # An integer beyond all floats.
        return False


def _positive(place: str, number: float) -> None:
    _finite(place, number)
    if number <= 0:
        raise InvalidMarket(place, str(number), "a number above 0")
