"""What is listed on the simulated day, and what each contract is fairly worth."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property
from math import exp

from crossmargin.instruments import Future, Instrument, Option, instrument_of
from crossmargin.pricing import black76
from crossmargin.units import YEAR_SECONDS
from crossmargin.venues.simulated.liquidity import Depth
from crossmargin.venues.simulated.prices import Underlying

OPENS = datetime(2026, 11, 20, tzinfo=UTC)
"""The first instant of the day."""
EXPIRES = OPENS + timedelta(hours=16)
"""When the contracts that end within the day do."""
WINDOW_SECONDS = 1_800
"""Settlement prices are averaged for as long before expiry."""
NEXT_WEEK = OPENS + timedelta(days=7, hours=8)
STRIKES = {EXPIRES: (62_000, 64_000, 66_000), NEXT_WEEK: (60_000, 68_000)}
RATE = 0.04
"""Annual carry of dated contracts."""

SIGNED_STAKE = 10.0
"""A lot of what may trade below 0 puts as many times its first price at stake."""
RANKS = 5
"""Quotes a side of every instrument."""

UNDERLYINGS = (
    Underlying(symbol="BTC", start=64_000.0, vol_annual=0.55, common=0.6),
    Underlying(symbol="ETH", start=3_200.0, vol_annual=0.70, common=0.6, jump=0.012),
    Underlying(symbol="SPX", start=6_100.0, vol_annual=0.18, common=0.3, jumps_a_day=0.5, jump=0.004),
    # Power of the coming night: cheap, and below zero where the wind blows.
    Underlying(symbol="POWER", start=6.0, vol_annual=8.0, common=0.0, jump=0.3, drift=-3.5, signed=True),
)


@dataclass(frozen=True, kw_only=True)
class Listed:
    """An instrument with how it is quoted."""

    instrument: Instrument
    depth: Depth

    @cached_property
    def tick(self) -> float:
        """The tick, in quoted units."""
        assert self.instrument.tick_size is not None
        return float(self.instrument.tick_size)

    @property
    def symbol(self) -> str:
        """The instrument's symbol."""
        return self.instrument.symbol

    @property
    def expiry(self) -> datetime | None:
        """When it ends; None for perpetuals."""
        return self.instrument.expiry if isinstance(self.instrument, Future | Option) else None

    def seconds_left(self, time: float) -> float:
        """Return the seconds from `time` (seconds of the day) to its expiry; a perpetual has none left: 0."""
        return (self.expiry - OPENS).total_seconds() - time if self.expiry is not None else 0.0

    def fair(self, indices: Mapping[str, float], time: float) -> float:
        """Return its fair price in ticks (not rounded) at `time`, in seconds of the day."""
        index = indices[self.instrument.underlying]
        left = max(0.0, self.seconds_left(time)) / YEAR_SECONDS
        if isinstance(self.instrument, Option):
            forward = index * exp(RATE * left)
            price = float(
                black76(
                    forward,
                    float(self.instrument.strike),
                    vol_of(self.instrument, forward),
                    left,
                    1.0,
                    self.instrument.option_type == "call",
                )
            )
        elif self.instrument.price_domain == "any":
            price = index
        else:
            price = index * exp(RATE * left)
        return price / self.tick

    def notional(self, indices: Mapping[str, float]) -> float:
        """Return what one lot puts at stake, in quoted money: the value of its underlying.

        Where the price may be 0 or below that says nothing: it is what the underlying moves in a day, several times.
        """
        size = float(self.instrument.contract_size) * float(self.instrument.lot_size or 0)
        if self.instrument.price_domain == "any":
            return size * next(SIGNED_STAKE * of.start for of in UNDERLYINGS if of.symbol == self.instrument.underlying)
        return size if self.instrument.inverse else size * indices[self.instrument.underlying]


def vol_of(option: Option, forward: float) -> float:
    """Return the vol an option is quoted at: a smile, lowest at the forward."""
    level = next(of.vol_annual for of in UNDERLYINGS if of.symbol == option.underlying)
    return level * (1.05 + 2.0 * (float(option.strike) / forward - 1.0) ** 2)


def _depth(half_spread: float, lots: float) -> Depth:
    return Depth(
        ranks=RANKS,
        half_spread=half_spread,
        step=1.5 * half_spread,
        lots=lots,
        impact=6.0 * half_spread,
        refill_seconds=600.0,
        decay_seconds=1_800.0,
    )


def _listed(kind: str, symbol: str, underlying: str, tick: str, lot: str, depth: Depth, **terms: object) -> Listed:
    instrument = instrument_of(
        kind, symbol=symbol, underlying=underlying, quote="USD", tick_size=tick, lot_size=lot, **terms
    )
    return Listed(instrument=instrument, depth=depth)


def _option(expiry: datetime, strike: int, option_type: str) -> Listed:
    symbol = f"BTC-{expiry:%d%b%y}-{strike}-{option_type[0]}".upper()
    terms = {"strike": strike, "option_type": option_type, "expiry": expiry, "asset_class": "crypto"}
    return _listed("option", symbol, "BTC", "5", "0.1", _depth(3.0, 20.0), **terms)


def listings() -> tuple[Listed, ...]:
    """Return what is listed: perpetuals (one of them inverse), futures and options that end today and later.

    Every tick of a lot is whole cents, or a part of a bitcoin where the contract is inverse.
    """
    crypto = {"asset_class": "crypto"}
    inverse = {"asset_class": "crypto", "contract_size": 100, "inverse": True}
    power = {"asset_class": "energy", "price_domain": "any"}
    return (
        _listed("perpetual", "BTC-PERP", "BTC", "1", "0.01", _depth(6.0, 150.0), **crypto),
        _listed("perpetual", "ETH-PERP", "ETH", "0.1", "0.1", _depth(5.0, 250.0), **crypto),
        _listed("perpetual", "SPX-PERP", "SPX", "0.1", "0.1", _depth(4.0, 150.0), asset_class="equity_index"),
        _listed("perpetual", "BTC-INVERSE", "BTC", "0.5", "1", _depth(14.0, 600.0), **inverse),
        _listed("future", "BTC-20NOV26", "BTC", "1", "0.01", _depth(8.0, 80.0), expiry=EXPIRES, **crypto),
        _listed("future", "ETH-27NOV26", "ETH", "0.1", "0.1", _depth(8.0, 120.0), expiry=NEXT_WEEK, **crypto),
        _listed("future", "POWER-20NOV26", "POWER", "0.01", "1", _depth(4.0, 600.0), expiry=EXPIRES, **power),
        *(
            _option(expiry, strike, option_type)
            for expiry, strikes in STRIKES.items()
            for strike in strikes
            for option_type in ("call", "put")
        ),
    )
