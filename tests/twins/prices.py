"""Slow twin of valuation: one instrument at a time, in plain floats, from the texts of the formats.

Good for markets that state an iv for every option; see `tests/pricing` for implied vols and surfaces.
"""

from functools import lru_cache
from math import erfc, exp, log, pi, sqrt

from crossmargin.instruments import Future, Option
from crossmargin.units import years_between


def normal(x):
    return 0.5 * erfc(-x / sqrt(2))


def black(forward, strike, vol, tau, discount, call):
    deviation = vol * sqrt(tau)
    if deviation == 0:
        return discount * max(forward - strike if call else strike - forward, 0.0)
    d1 = log(forward / strike) / deviation + deviation / 2
    d2 = d1 - deviation
    if call:
        return discount * (forward * normal(d1) - strike * normal(d2))
    return discount * (strike * normal(-d2) - forward * normal(-d1))


def bachelier(forward, strike, vol, tau, discount, call):
    deviation = vol * sqrt(tau)
    away = forward - strike if call else strike - forward
    if deviation == 0:
        return discount * max(away, 0.0)
    d = away / deviation
    return discount * (away * normal(d) + deviation * exp(-d * d / 2) / sqrt(2 * pi))


class Prices:
    """What things cost in one world."""

    def __init__(self, world):
        self.market = world.market
        self.instruments = {i.symbol: i for i in world.instruments}
        self.classes = {a.symbol: a.asset_class for a in world.assets}
        self.currency = world.market.currency
        self.quote_of = {}
        self.contract = lru_cache(None)(self._contract)
        for instrument in world.instruments:
            self.quote_of.setdefault(instrument.underlying, instrument.quote)

    def fx(self, asset):
        """The value of one unit of an asset in the reporting currency."""
        market = self.market
        if asset == self.currency:
            return 1.0
        if asset in market.fx:
            return market.fx[asset]
        if asset in market.prices:
            return market.prices[asset] * self.fx(self.quote_of.get(asset, self.currency))
        if self.quote_of.get(self.currency) == asset:
            return 1.0 / market.prices[self.currency]
        raise KeyError(asset)

    def index(self, instrument):
        if instrument.underlying in self.market.prices:
            return self.market.prices[instrument.underlying]
        return self.fx(instrument.underlying) / self.fx(instrument.quote)

    def tau(self, instrument):
        return years_between(self.market.time, instrument.expiry)

    def forward(self, instrument):
        day = instrument.expiry.date()
        stated = self.market.forwards.get(instrument.underlying, {}).get(day)
        if stated is not None:
            return stated
        for other in self.instruments.values():
            same = (other.underlying, other.quote) == (instrument.underlying, instrument.quote)
            if isinstance(other, Future) and same and other.expiry.date() == day:
                mark = self.market.marks.get(other.symbol)
                if mark is not None and mark.price is not None:
                    return mark.price
        rate = self.market.rates.get(instrument.quote, 0.0)
        return self.index(instrument) * exp(rate * self.tau(instrument))

    def mark(self, instrument):
        """The mark of a future or perpetual."""
        given = self.market.marks.get(instrument.symbol)
        if given is not None and given.price is not None:
            return given.price
        return self.forward(instrument) if isinstance(instrument, Future) else self.index(instrument)

    def _contract(self, symbol, move=0.0, vol_factor=1.0):
        """The value of one contract in its settle asset after its underlying moved.

        `move` is relative, or in price units where the domain is `any`.
        """
        instrument = self.instruments[symbol]

        def moved(price):
            if instrument.price_domain == "any":
                return price + move
            return price * max(1 + move, 1e-9)

        size = float(instrument.contract_size)
        if not isinstance(instrument, Option):
            price = moved(self.mark(instrument))
            return -size / price if instrument.inverse else size * price
        forward = moved(self.forward(instrument))
        tau = self.tau(instrument)
        rate = 0.0 if instrument.inverse else self.market.rates.get(instrument.quote, 0.0)
        formula = bachelier if instrument.price_domain == "any" else black
        price = formula(
            forward,
            float(instrument.strike),
            self.market.marks[symbol].iv * vol_factor,
            tau,
            exp(-rate * tau),
            instrument.option_type == "call",
        )
        return size * (price / forward if instrument.inverse else price)

    def notional(self, symbol, quantity):
        instrument = self.instruments[symbol]
        size = abs(quantity) * float(instrument.contract_size) * self.fx(instrument.quote)
        if isinstance(instrument, Option):
            return size * abs(self.index(instrument))
        return size if instrument.inverse else size * abs(self.mark(instrument))
