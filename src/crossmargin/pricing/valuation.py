"""Valuation: what every held contract is worth now, and would be after a move."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime

import numpy as np

from crossmargin.errors import InvalidMarket, MissingPrice, some_of
from crossmargin.instruments import KINDS, Catalogue
from crossmargin.market import Market
from crossmargin.pricing.bachelier import bachelier, bachelier_scenarios
from crossmargin.pricing.black import black76, black76_scenarios
from crossmargin.pricing.cells import ANY, NOT_NEGATIVE, checked
from crossmargin.pricing.implied import Unsolved, bachelier_implied_vol, implied_vol
from crossmargin.pricing.moved import (
    FACTOR_MIN,
    SharedMoves,
    log_growths,
    log_moneyness,
    option_values,
    straight_values,
    table_of,
)
from crossmargin.units import YEAR_SECONDS, Array, BoolArray, FloatArray, IntArray, iso

_SPOT, _FUTURE, _PERPETUAL, _OPTION = (KINDS.index(kind) for kind in ("spot", "future", "perpetual", "option"))

PRICE_AND_VOL_AGREE = 0.01
"""Given both a price and a vol of an option, how far apart they may be, as a fraction of the forward."""
SAME_PRICE = 1e-9
"""Given a price twice, how far apart the two may be, relative."""
LEAST_PRICE_FACTOR = 1e-9
"""A shock takes a positive price down to this share of it at most: a contract may divide by the result."""

Holders = Callable[[int | None, int | None], list[str]]
"""(instrument number, asset number) -> ids of the accounts that hold it, for errors."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Valuation:
    """Prices of instruments as columns, one row a valued instrument; NaN where it was not needed.

    Prices are in the quote asset, except the mark of a coin-settled option, which is in the settle coin.
    """

    market: Market
    catalogue: Catalogue
    currency: int
    """Asset number of the reporting currency."""
    instrument: IntArray
    """(rows,) instrument number in the catalogue."""
    index: FloatArray
    forward: FloatArray
    """(rows,) forward of the contract's expiry; the mark where it has no expiry."""
    mark: FloatArray
    iv: FloatArray
    tau: FloatArray
    """(rows,) years to expiry; infinite without one."""
    discount: FloatArray
    offset: FloatArray
    """(rows,) mark - model price at `iv`, for an option given both a price and a vol; else 0."""
    unit_value: FloatArray
    """(rows,) value of one contract in the settle asset; -contract_size / mark for inverse delta-one."""
    settle_fx: FloatArray
    quote_fx: FloatArray
    """(rows,) value of one unit of the settle and of the quote asset, in the reporting currency."""
    fx: FloatArray
    """(assets,) value of one unit of each asset in the reporting currency; NaN where unknown."""
    priced_in: IntArray
    """(assets,) the asset whose value this one's follows, its price being stated in it; -1 where there is none."""
    warnings: tuple[str, ...] = ()

    @property
    def is_option(self) -> BoolArray:
        """True for the rows that are options."""
        return np.asarray(self.catalogue.kind[self.instrument] == _OPTION)

    def exchange_rate(self, asset: str, into: str) -> float:
        """Return how many units of the asset `into` one unit of `asset` is worth, through the reporting currency.

        Raises MissingPrice naming the asset whose value the market does not give.
        """
        numbers = self.catalogue.asset_number
        values = [self.fx[numbers[name]] if name in numbers else np.nan for name in (asset, into)]
        for name, worth in zip((asset, into), values, strict=True):
            if np.isnan(worth):
                currency = self.catalogue.assets[self.currency].symbol
                raise MissingPrice(f"market.fx.{name}", "nothing", f"the value of one {name} in {currency}")
        return float(values[0] / values[1])

    def notional(self, rows: IntArray, quantity: FloatArray) -> FloatArray:
        """Return |quantity| x contract size x mark (options: index) in the reporting currency.

        An inverse future or perpetual is sized in its quote asset already.
        """
        instrument = self.instrument[rows]
        option = self.catalogue.kind[instrument] == _OPTION
        inverse = self.catalogue.inverse[instrument] & ~option
        size = np.abs(quantity) * self.catalogue.contract_size[instrument] * self.quote_fx[rows]
        return np.where(inverse, size, size * np.abs(np.where(option, self.index[rows], self.mark[rows])))

    def unit_values(self, rows: IntArray, move: FloatArray, vol_factor: FloatArray | None = None) -> FloatArray:
        """Return what one contract of each row is worth in its settle asset after a move, shape (n, S).

        `move` (n, S) is the change of the underlying: relative, or in price units where the domain is `any`.
        Forwards and marks keep their ratio to the index (domain `any`: their difference). `vol_factor` (n, S)
        multiplies the implied vol; None leaves it. Time stands still.
        """
        instrument = self.instrument[rows]
        terms = self.catalogue
        option = terms.kind[instrument] == _OPTION
        value = np.empty(move.shape)
        for any_domain in (False, True):
            straight = np.flatnonzero(~option & (terms.any_domain[instrument] == any_domain))
            price = _moved(self.mark[rows[straight], None], move[straight], any_domain)
            size = terms.contract_size[instrument[straight], None]
            inverse = terms.inverse[instrument[straight], None]
            value[straight] = np.where(inverse, -size / np.where(inverse, price, 1.0), size * price)
            optional = np.flatnonzero(option & (terms.any_domain[instrument] == any_domain))
            if len(optional):
                factor = None if vol_factor is None else vol_factor[optional]
                value[optional] = self._option_values(rows[optional], move[optional], factor, any_domain)
        return value

    def _option_values(
        self, rows: IntArray, move: FloatArray, vol_factor: FloatArray | None, any_domain: bool
    ) -> FloatArray:
        instrument = self.instrument[rows]
        terms = self.catalogue
        forward = _moved(self.forward[rows, None], move, any_domain)
        vol = self.iv[rows, None] * (np.ones_like(move) if vol_factor is None else vol_factor)
        price = (bachelier_scenarios if any_domain else black76_scenarios)(
            forward,
            terms.strike[instrument],
            vol,
            self.tau[rows],
            self.discount[rows],
            terms.is_call[instrument],
        )
        in_coin = terms.inverse[instrument]
        price[in_coin] /= forward[in_coin]
        shifted = np.maximum(price + self.offset[rows, None], 0.0)
        return np.asarray(terms.contract_size[instrument, None] * shifted, dtype=np.float64)

    def after(self, rows: IntArray, moves: SharedMoves) -> MovedValues:
        """Return what one contract of each row is worth after moves that contracts share, ready to be filled in.

        As `unit_values`, to a few roundings: logarithms of prices are added rather than taken of moved prices.
        """
        return MovedValues(self, rows, moves)

    def moved(
        self,
        rows: IntArray,
        move: FloatArray,
        fx_factor: FloatArray,
        quote_fx_factor: FloatArray,
        vol_factor: FloatArray | None = None,
    ) -> Valuation:
        """Return a valuation with one row for each of `rows`, after its underlying moved by `move`.

        `move`, `fx_factor`, `quote_fx_factor` and `vol_factor` have shape (n,); the second and third multiply the
        value of the settle and quote assets, the last the implied vol. Without it options are repriced at their own.
        """
        instrument = self.instrument[rows]
        any_domain = self.catalogue.any_domain[instrument]
        still = move == 0.0 if vol_factor is None else (move == 0.0) & (vol_factor == 1.0)
        value = self.unit_value[rows].copy()
        changed = np.flatnonzero(~still)
        factor = None if vol_factor is None else vol_factor[changed, None]
        value[changed] = self.unit_values(rows[changed], move[changed, None], factor)[:, 0]
        option = self.catalogue.kind[instrument] == _OPTION
        mark = np.where(
            option, value / self.catalogue.contract_size[instrument], _moved(self.mark[rows], move, any_domain)
        )
        return replace(
            self,
            instrument=instrument,
            index=_moved(self.index[rows], move, any_domain),
            forward=_moved(self.forward[rows], move, any_domain),
            mark=mark,
            iv=self.iv[rows] if vol_factor is None else self.iv[rows] * vol_factor,
            tau=self.tau[rows],
            discount=self.discount[rows],
            offset=self.offset[rows],
            unit_value=value,
            settle_fx=self.settle_fx[rows] * fx_factor,
            quote_fx=self.quote_fx[rows] * quote_fx_factor,
        )


class MovedValues:
    """What one contract of each of n valuation rows is worth in its settle asset in S scenarios, on demand.

    What scenarios share is worked out once; `fill` may then run for different rows in several threads.
    """

    def __init__(self, valuation: Valuation, rows: IntArray, moves: SharedMoves) -> None:
        """Take the moves of the valuation rows. ValueError for a move or vol factor that is no finite number."""
        instrument, terms = valuation.instrument[rows], valuation.catalogue
        option, any_domain = terms.kind[instrument] == _OPTION, terms.any_domain[instrument]
        self._valuation, self._rows, self._moves = valuation, rows, moves
        self._straight = at = np.flatnonzero(~option)
        self._straight_terms: tuple[Array, ...] = ()
        if len(at):
            self._straight_terms = (
                valuation.mark[rows[at]],
                any_domain[at],
                terms.inverse[instrument[at]],
                terms.contract_size[instrument[at]],
                at,
            )
        self._bachelier = np.flatnonzero(option & any_domain)
        self._black = at = np.flatnonzero(option & ~any_domain)
        chosen, listed = rows[at], instrument[at]
        forward, strike = checked("forward", valuation.forward[chosen], NOT_NEGATIVE), terms.strike[listed]
        moneyness = np.empty(len(at))
        log_moneyness(forward, strike, moneyness)
        self._black_terms = (
            np.ones(len(at)) if moves.vol_share is None else moves.vol_share[at],
            forward,
            moneyness,
            strike,
            checked("vol", valuation.iv[chosen], NOT_NEGATIVE) * np.sqrt(valuation.tau[chosen]),
            valuation.discount[chosen],
            terms.is_call[listed],
            terms.inverse[listed],
            valuation.offset[chosen],
            terms.contract_size[listed],
            at,
        )
        self._tables = _tables(moves, logs=len(at) > 0)

    def fill(self, low: int, high: int, out: FloatArray) -> None:
        """Fill `out`, contiguous (n, S), from row `low` to `high`; the other rows stay as they are."""
        self._fill(self._moves, self._tables, low, high, out)

    def now(self) -> FloatArray:
        """Return what each is worth before it moves, (n,): the bits of a scenario without a move."""
        still = SharedMoves(move=np.zeros((1, 1)), of=np.zeros(len(self._rows), dtype=np.int64))
        out = np.empty((len(self._rows), 1))
        self._fill(still, _tables(still, logs=True), 0, len(self._rows), out)
        return out[:, 0]

    def _fill(self, moves: SharedMoves, tables: tuple[FloatArray, ...], low: int, high: int, out: FloatArray) -> None:
        move, growth, *option_tables = tables
        if low == high or not out.size:
            return
        bounds = np.searchsorted(self._straight, (low, high)).tolist()
        if bounds[0] < bounds[1]:
            straight_values(move, growth, moves.of[self._straight], *self._straight_terms, *bounds, out)
        bounds = np.searchsorted(self._black, (low, high)).tolist()
        if bounds[0] < bounds[1]:
            option_values(growth, *option_tables, moves.of[self._black], *self._black_terms, *bounds, out)
        first, last = np.searchsorted(self._bachelier, (low, high)).tolist()
        if first < last:
            at = self._bachelier[first:last]
            part = moves.take(at)
            out[at] = self._valuation._option_values(self._rows[at], part.move[part.of], part.factors(), True)


def _tables(moves: SharedMoves, *, logs: bool) -> tuple[FloatArray, ...]:
    """Return moves, growths, their logarithms (where asked for), vol factors, the reciprocals of these, and how far
    the logarithms of each row reach, as the kernels take them.
    """
    move = table_of(checked("move", moves.move, ANY), 0.0)
    growth = np.maximum(1.0 + move, LEAST_PRICE_FACTOR)
    if not logs:
        return move, growth, *(np.empty((len(move), 0)) for _ in range(3)), np.empty(len(move))
    log_growth = np.empty(growth.shape)
    log_growths(growth.reshape(-1), log_growth.reshape(-1))
    reach = np.maximum(log_growth.max(axis=1), -log_growth.min(axis=1))
    if moves.vol_factor is None:
        still = np.ones(growth.shape)
        return move, growth, log_growth, still, still, reach
    domain = NOT_NEGATIVE if moves.vol_share is None else ANY
    factor = table_of(checked("vol_factor", moves.vol_factor, domain), 1.0)
    return move, growth, log_growth, factor, 1.0 / np.maximum(factor, FACTOR_MIN), reach


def _moved(price: FloatArray, move: FloatArray, any_domain: bool | BoolArray) -> FloatArray:
    if any_domain is True:
        return np.asarray(price + move)
    scaled = price * np.maximum(1.0 + move, LEAST_PRICE_FACTOR)
    return scaled if any_domain is False else np.where(any_domain, price + move, scaled)


def value(
    market: Market,
    catalogue: Catalogue,
    *,
    instruments: BoolArray | None = None,
    assets: BoolArray | None = None,
    holders: Holders | None = None,
) -> Valuation:
    """Return the valuation of the instruments and assets that are needed (masks; None: all of them).

    Marks, forwards and vols are taken in the order of formats.md. Raises MissingPrice for what is needed and
    absent, naming the accounts from `holders`; InvalidMarket for a price that cannot be, two prices of one thing
    that disagree, and an instrument that has expired.
    """
    return _Resolver(market, catalogue, holders or (lambda instrument, asset: [])).resolve(
        np.ones(len(catalogue), dtype=np.bool_) if instruments is None else instruments,
        np.zeros(len(catalogue.assets), dtype=np.bool_) if assets is None else assets,
    )


class _Resolver:
    """Looks prices up in the order of the contract, one instrument at a time, then prices options together."""

    def __init__(self, market: Market, catalogue: Catalogue, holders: Holders) -> None:
        self.market = market
        self.catalogue = catalogue
        self.holders = holders
        self.warnings: dict[str, None] = {}
        self.quotes = _quotes(catalogue)
        self.fx_known: dict[str, float | None] = {}
        self.now = market.time.timestamp()
        self.today = market.time.date()
        self.future_marks = {
            (i.underlying, i.quote, _day(i.expiry)): market.marks[i.symbol].price  # type: ignore[attr-defined]
            for i in catalogue
            if i.kind == "future" and i.symbol in market.marks and market.marks[i.symbol].price is not None
        }
        for symbol in market.marks:
            if symbol not in catalogue.number:
                self.warnings[f"marks.{symbol}: no such instrument; ignored"] = None

    def resolve(self, instruments: BoolArray, assets: BoolArray) -> Valuation:
        terms, market = self.catalogue, self.market
        self._check_two_truths()
        rows = np.flatnonzero(instruments)
        count = len(terms)
        index, forward, mark = (np.full(count, np.nan) for _ in range(3))
        iv, offset = np.full(count, np.nan), np.zeros(count)
        tau = (terms.expiry - self.now) / YEAR_SECONDS
        settle_fx, quote_fx = np.full(count, np.nan), np.full(count, np.nan)
        rate = np.array([market.rates.get(asset.symbol, 0.0) for asset in terms.assets])[terms.quote]
        in_coin = terms.inverse & (terms.kind == _OPTION)
        with np.errstate(invalid="ignore", over="ignore"):
            discount = np.where(np.isfinite(tau) & ~in_coin, np.exp(-rate * tau), 1.0)
        for k in rows.tolist():
            instrument = terms.instruments[k]
            if tau[k] <= 0:
                raise InvalidMarket(
                    f"instrument {instrument.symbol}",
                    f"expiry {iso(datetime.fromtimestamp(terms.expiry[k], UTC))}, not after the market time"
                    f" {iso(market.time)}{self._who(instrument=k)}",
                    "live instruments: expired ones may be listed, not held",
                )
            index[k] = self._index(k)
            settle_fx[k] = self._fx(instrument.settle, instrument=k)
            quote_fx[k] = self._fx(instrument.quote, instrument=k)
            if terms.kind[k] != _OPTION:
                mark[k] = self._straight_mark(k, index[k])
                forward[k] = mark[k]
            else:
                forward[k] = self._option_forward(k, index[k], tau[k], rate[k])
        options = rows[terms.kind[rows] == _OPTION]
        if len(options):
            self._price_options(options, forward, tau, discount, mark, iv, offset)
        reciprocal = (terms.kind != _OPTION) & terms.inverse & ~np.isnan(mark)
        unit_value = terms.contract_size * mark
        unit_value[reciprocal] = -terms.contract_size[reciprocal] / mark[reciprocal]
        fx = np.full(len(terms.assets), np.nan)
        for a, asset in enumerate(terms.assets):
            found = self._fx(asset.symbol, asset=a) if assets[a] else self._fx_or_none(asset.symbol)
            fx[a] = np.nan if found is None else found
        stated = {market.currency, *market.fx}
        priced_in = [
            terms.asset_number.get(self._quote(asset.symbol), -1)
            if asset.symbol in market.prices and asset.symbol not in stated and not np.isnan(fx[a])
            else -1
            for a, asset in enumerate(terms.assets)
        ]
        return Valuation(
            market=market,
            catalogue=terms,
            currency=terms.asset_number[market.currency],
            instrument=np.arange(count),
            index=index,
            forward=forward,
            mark=mark,
            iv=iv,
            tau=tau,
            discount=discount,
            offset=offset,
            unit_value=unit_value,
            settle_fx=settle_fx,
            quote_fx=quote_fx,
            fx=fx,
            priced_in=np.array(priced_in, dtype=np.int64),
            warnings=tuple(self.warnings),
        )

    # --- asset and index prices

    def _fx_or_none(self, asset: str, via: tuple[str, ...] = ()) -> float | None:
        if asset in self.fx_known:
            return self.fx_known[asset]
        market = self.market
        found: float | None = None
        if asset == market.currency:
            found = 1.0
        elif asset in market.fx:
            found = market.fx[asset]
        elif asset in market.prices and asset not in via:
            quote = self._quote(asset)
            rate = self._fx_or_none(quote, (*via, asset))
            found = None if rate is None else market.prices[asset] * rate
        elif market.currency in market.prices and self._quote(market.currency) == asset:
            found = 1.0 / market.prices[market.currency]
        if not via:
            self.fx_known[asset] = found
        return found

    def _fx(self, name: str, *, instrument: int | None = None, asset: int | None = None) -> float:
        found = self._fx_or_none(name)
        if found is None or not found > 0:
            raise MissingPrice(
                f"market.fx.{name}",
                f"{'nothing' if found is None else found}{self._who(instrument=instrument, asset=asset)}",
                f"the value of one {name} in {self.market.currency}, above 0 (or prices.{name})",
            )
        return found

    def _quote(self, underlying: str) -> str:
        quotes = self.quotes.get(underlying, set())
        if not quotes:
            return self.market.currency
        if len(quotes) == 1:
            return next(iter(quotes))
        if self.market.currency in quotes:
            return self.market.currency
        if underlying in self.market.prices and underlying not in self.market.fx:
            raise InvalidMarket(
                f"market.prices.{underlying}",
                f"one price for contracts quoted in {', '.join(sorted(quotes))}",
                f"fx.{underlying} instead: its value in {self.market.currency}",
            )
        return min(quotes)

    def _index(self, k: int) -> float:
        instrument, market = self.catalogue.instruments[k], self.market
        name, quote = instrument.underlying, instrument.quote
        if name in market.prices:
            own = self._quote(name)
            price = market.prices[name]
            if own != quote:
                price *= self._fx(own, instrument=k) / self._fx(quote, instrument=k)
        elif name in market.fx:
            price = market.fx[name] / self._fx(quote, instrument=k)
        else:
            raise MissingPrice(
                f"market.prices.{name}",
                f"nothing{self._who(instrument=k)}",
                f"the index of {name} in {quote}, needed for {instrument.symbol}",
            )
        return self._in_domain(k, f"market.prices.{name}", price)

    def _check_two_truths(self) -> None:
        market = self.market
        for name in sorted(market.prices.keys() & market.fx.keys()):
            if name == market.currency or name not in self.catalogue.asset_number:
                continue
            quote = self._quote(name)
            rate = self._fx_or_none(quote)
            if rate is None:
                continue
            other = market.prices[name] * rate
            if abs(other - market.fx[name]) > SAME_PRICE * abs(market.fx[name]):
                raise InvalidMarket(
                    f"market.prices.{name} and market.fx.{name}",
                    f"two prices of one thing, {other!r} and {market.fx[name]!r} in {market.currency}",
                    f"prices that agree to {SAME_PRICE:g}, or one of the two",
                )

    # --- marks of contracts

    def _straight_mark(self, k: int, index: float) -> float:
        instrument = self.catalogue.instruments[k]
        given = self.market.marks.get(instrument.symbol)
        if given is not None and given.price is not None:
            return self._in_domain(k, f"market.marks.{instrument.symbol}.price", given.price)
        if instrument.kind != "future":
            return index
        day = _day(instrument.expiry)  # type: ignore[attr-defined]
        forward = self._stated_forward(k, day)
        if forward is None:
            raise MissingPrice(
                f"market.marks.{instrument.symbol}",
                f"nothing{self._who(instrument=k)}",
                f"a mark price, or forwards.{instrument.underlying}.{day}",
            )
        return self._in_domain(k, f"market.forwards.{instrument.underlying}.{day}", forward)

    def _stated_forward(self, k: int, day: date) -> float | None:
        """Return the forward of an expiry date that the market states, in the quote of instrument `k`."""
        instrument, market = self.catalogue.instruments[k], self.market
        name = instrument.underlying
        stated = market.forwards.get(name, {}).get(day)
        same_future = self.future_marks.get((name, instrument.quote, day))
        if stated is None and same_future is not None:
            return same_future
        if stated is None and name in market.vols:
            stated = market.vols[name].forward(day)
        own = self._quote(name)
        if stated is not None and own != instrument.quote:
            stated *= self._fx(own, instrument=k) / self._fx(instrument.quote, instrument=k)
        return stated

    def _option_forward(self, k: int, index: float, tau: float, rate: float) -> float:
        instrument = self.catalogue.instruments[k]
        day = _day(instrument.expiry)  # type: ignore[attr-defined]
        forward = self._stated_forward(k, day)
        if forward is None:
            self.warnings[
                f"no forward of {instrument.underlying} for {day}: taken as its index carried at the rate of"
                f" {instrument.quote}, {rate:g}"
            ] = None
            forward = index * float(np.exp(rate * tau))
        return self._in_domain(k, f"market.forwards.{instrument.underlying}.{day}", forward)

    def _price_options(
        self,
        rows: IntArray,
        forward: FloatArray,
        tau: FloatArray,
        discount: FloatArray,
        mark: FloatArray,
        iv: FloatArray,
        offset: FloatArray,
    ) -> None:
        """Fill mark, iv and offset of the option rows, in place."""
        terms = self.catalogue
        symbols = [terms.instruments[k].symbol for k in rows.tolist()]
        given = [self.market.marks.get(symbol) for symbol in symbols]
        price = np.array([np.nan if g is None or g.price is None else g.price for g in given])
        vol = np.array([np.nan if g is None or g.iv is None else g.iv for g in given])
        negative = np.flatnonzero(price < 0)
        if len(negative):
            raise InvalidMarket(
                f"market.marks.{symbols[negative[0]]}.price", str(price[negative[0]]), "0 or more: an option's price"
            )
        any_domain = terms.any_domain[rows]
        coin = np.where(terms.inverse[rows], forward[rows], 1.0)
        reason = np.full(len(rows), int(Unsolved.SOLVED))
        to_invert = np.isnan(vol) & ~np.isnan(price)
        for normal, solve in ((False, implied_vol), (True, bachelier_implied_vol)):
            part = np.flatnonzero(to_invert & (any_domain == normal))
            if len(part):
                k = rows[part]
                vol[part], reason[part] = solve(
                    price[part] * coin[part], forward[k], terms.strike[k], tau[k], discount[k], terms.is_call[k]
                )
        inverted = to_invert & ~np.isnan(vol)
        for i in np.flatnonzero(np.isnan(vol)).tolist():
            vol[i] = self._surface_vol(int(rows[i]), symbols[i], price[i], int(reason[i]))
        model = np.empty(len(rows))
        for normal, formula in ((False, black76), (True, bachelier)):
            part = np.flatnonzero(any_domain == normal)
            if len(part):
                k = rows[part]
                model[part] = formula(forward[k], terms.strike[k], vol[part], tau[k], discount[k], terms.is_call[k])
        model /= coin
        both = np.array([g is not None and g.price is not None and g.iv is not None for g in given], dtype=np.bool_)
        scale = np.abs(forward[rows]) / coin
        apart = np.flatnonzero(both & (np.abs(price - model) > PRICE_AND_VOL_AGREE * scale))
        if len(apart):
            i = apart[0]
            raise InvalidMarket(
                f"market.marks.{symbols[i]}",
                f"a price of {price[i]:g} and an iv of {vol[i]:g}, which is worth {model[i]:g}",
                f"two that agree within {PRICE_AND_VOL_AGREE:.0%} of the forward, {PRICE_AND_VOL_AGREE * scale[i]:g}",
            )
        own_price = ~np.isnan(price)
        mark[rows] = np.where(own_price, price, model)
        iv[rows] = vol
        offset[rows] = np.where(own_price & ~inverted, price - model, 0.0)

    def _surface_vol(self, k: int, symbol: str, price: float, reason: int) -> float:
        instrument = self.catalogue.instruments[k]
        surface = self.market.vols.get(instrument.underlying)
        if surface is not None:
            strike = np.array([float(instrument.strike)])  # type: ignore[attr-defined]
            return float(surface.vol(strike, _day(instrument.expiry), self.today)[0])  # type: ignore[attr-defined]
        found = (
            "nothing"
            if np.isnan(price)
            else f"a price of {price:g} without an implied vol ({Unsolved(reason).sentence})"
        )
        raise MissingPrice(
            f"market.marks.{symbol}",
            f"{found}{self._who(instrument=k)}",
            f"an iv, a price that can be inverted, or vols.{instrument.underlying}",
        )

    def _in_domain(self, k: int, place: str, price: float) -> float:
        if price <= 0 and not self.catalogue.any_domain[k]:
            symbol = self.catalogue.instruments[k].symbol
            raise InvalidMarket(
                place, f"{price}{self._who(instrument=k)}", f'a price above 0, or price_domain "any" for {symbol}'
            )
        return price

    def _who(self, *, instrument: int | None = None, asset: int | None = None) -> str:
        accounts = self.holders(instrument, asset)
        return f" (affects {some_of(accounts)})" if accounts else ""


def _quotes(catalogue: Catalogue) -> dict[str, set[str]]:
    quotes: dict[str, set[str]] = {}
    for instrument in catalogue:
        quotes.setdefault(instrument.underlying, set()).add(instrument.quote)
    return quotes


def _day(expiry: datetime) -> date:
    return expiry.astimezone(UTC).date()
