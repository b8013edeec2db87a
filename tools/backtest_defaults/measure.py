"""Margin of static books at the opening of every window, by the shipped rule book, and what they then lost.

A window opens at one row of the panel. The book is margined with the closes up to and including that row, and with
stressed days no later than it; each leg then gains or loses until its own horizon later, counted in rows, as the
scenarios of the rule book count it. Windows do not overlap.
"""

from dataclasses import dataclass, fields, replace
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache

import numpy as np

from crossmargin.book import Pools
from crossmargin.instruments import Catalogue, Option, Perpetual
from crossmargin.margin import Portfolios
from crossmargin.margin.portfolio_book import limited
from crossmargin.margin.tails import TailMeasure, cores
from crossmargin.market import History, Mark, Market
from crossmargin.pricing import black76, value
from crossmargin.ragged import group_sums, owners
from crossmargin.scenarios import StressFacts
from crossmargin.scenarios.history import warmup_days
from crossmargin.units import YEAR_SECONDS

MILLION = 1e6
CURRENCY = "USD"


def closing_time(day):
    """Return the instant at which a row's day is over and its closes are known."""
    return datetime.combine(day + timedelta(days=1), time(), tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Walk:
    """What the books of a panel were asked for and what they lost; W windows, B books.

    Columns are (W, B), fractions of the book's gross value; NaN where a book could not be put on yet.
    """

    opens: np.ndarray
    """(W,) days on which windows open."""
    loss: np.ndarray
    """When each leg's horizon is over; a gain is negative."""
    worst: np.ndarray
    """The largest loss at any moment that the data show: closes, hours, the day's range for a single position."""
    shortfall: np.ndarray
    """ES+ of the book as one: filtered history alone."""
    core: np.ndarray
    """c C + (1 - c) sum of C_g: with stressed days known by then and the limit on offsets, before grids and add-ons."""
    maintenance: np.ndarray
    initial: np.ndarray

    @classmethod
    def joined(cls, parts):
        """Return walks over consecutive windows as one."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


class Margined:
    """A panel under a rule book, one window at a time."""

    def __init__(self, panel, model):
        self.panel, self.model = panel, model
        history = panel.history
        self.column = {name: history.names.index(name) for name in history.names}
        self.known = ~np.isnan(history.closes)
        self.seen = np.cumsum(self.known, axis=0)
        latest = np.maximum.accumulate(np.where(self.known, np.arange(len(self.known))[:, None], 0), axis=0)
        self.price = np.take_along_axis(history.closes, latest, axis=0)
        """(rows, series) closes carried over closed days; NaN before the first."""

    def openings(self, offset=0):
        """Return the rows at which windows open: from the first that history alone can margin, one after another."""
        panel, joint = self.panel, self.model.joint
        least = max(joint.minimum_days, warmup_days(joint.decay) + panel.horizon + 1)
        first = int(np.flatnonzero((self.seen >= least).any(axis=1))[0])
        if not panel.open_days_of:
            return np.arange(first + offset, len(self.seen) - panel.horizon, panel.horizon)
        days = np.flatnonzero(self.known[:, self.column[panel.open_days_of]])
        return days[np.searchsorted(days, first) + offset : -2 * panel.horizon : panel.horizon]

    def walk(self, rows):
        """Return what happens in the windows that open at `rows`."""
        found = [self._window(int(t)) for t in rows]
        columns = {name: np.array([window[name] for window in found]) for name in found[0]}
        return Walk(opens=np.array([self.panel.history.days[t] for t in rows], dtype="datetime64[D]"), **columns)

    def _window(self, t):
        """Return what every book is asked for at row t and then loses: {column: (B,)}."""
        books, names = self.panel.books, self._listed(t)
        held = np.array([self._underlyings(book) <= names for book in books])
        pools = [book for book, is_held in zip(books, held, strict=True) if is_held]
        catalogue, market = self.market(t)
        portfolios = self._portfolios(pools, catalogue, market)
        model = as_known(self.model, self.panel.history.days[t])
        source = model.scenario_source(portfolios.valuation).source
        assert source == "history", f"row {t} of {self.panel.name} is margined on the {source} set"
        figures = model.ingredients(portfolios)
        maintenance, initial = model.totals(figures, np.ones(len(pools)))
        joint, groups, nothing = figures.joint[:, 0], figures.groups[:, 0], np.zeros(len(pools))
        history_alone = TailMeasure(confidence=model.measure.confidence, stress_weight=0.0)
        loss, worst = self._losses(pools, portfolios, t)
        amounts = {
            "loss": loss,
            "worst": worst,
            "shortfall": cores(joint, figures.ordinary, history_alone),
            "core": limited(
                cores(joint, figures.ordinary, model.measure), groups, nothing, nothing, model.offset_limit
            ),
            "maintenance": maintenance,
            "initial": initial,
        }
        gross = MILLION * np.array([sum(map(abs, book.weights.values())) for book in pools])
        found = {name: np.full(len(books), np.nan) for name in amounts}
        for name, amount in amounts.items():
            found[name][held] = amount / gross
        return found

    # --- the book of one row

    def _listed(self, t):
        return {name for name in self.panel.names if self.seen[t, self.column[name]] > 0}

    def _underlyings(self, book):
        options = self.panel.options
        return {options[leg].underlying if leg in options else leg for leg in book.weights}

    def market(self, t):
        """Return (catalogue, market) of row t: a perpetual on everything that has closed by then, and the options."""
        panel, day = self.panel, self.panel.history.days[t]
        names = sorted(self._listed(t))
        now = closing_time(day)
        prices = {name: float(self.price[t, self.column[name]]) for name in names}
        contracts = [self._contract(name) for name in names]
        marks = {}
        for leg, terms in panel.options.items():
            contracts.append(
                Option(
                    symbol=leg,
                    underlying=terms.underlying,
                    quote=CURRENCY,
                    asset_class=panel.classes[terms.underlying],
                    option_type=terms.option_type,
                    strike=Decimal(repr(round(terms.moneyness * prices[terms.underlying], 2))),
                    expiry=now + timedelta(days=terms.days),
                )
            )
            marks[leg] = Mark(iv=float(self.price[t, self.column[f"{terms.underlying}.vol"]]))
        low = max(0, t + 1 - panel.rows_kept)
        history = panel.history
        known = History(days=history.days[low : t + 1], names=history.names, closes=history.closes[low : t + 1])
        market = Market(time=now, currency=CURRENCY, prices=prices, marks=marks, history=known)
        return Catalogue.of(contracts, names=[CURRENCY]), market

    def _contract(self, name):
        domain = "any" if name in self.panel.any_domain else "positive"
        return Perpetual(
            symbol=name, underlying=name, quote=CURRENCY, asset_class=self.panel.classes[name], price_domain=domain
        )

    def _portfolios(self, books, catalogue, market):
        """Return the books as pools of legs that were put on at today's marks; each has an owner of its own."""
        valuation = value(market, catalogue)
        legs = [
            sorted((catalogue.number[leg], weight * MILLION) for leg, weight in book.weights.items()) for book in books
        ]
        start = np.cumsum([0, *map(len, legs)])
        instrument = np.array([k for rows in legs for k, _ in rows], dtype=np.int64)
        floor = np.array([self.model.joint.any_floor_of(asset.symbol) for asset in catalogue.assets])
        index = np.where(
            catalogue.any_domain[instrument],
            np.maximum(np.abs(valuation.index[instrument]), floor[catalogue.underlying[instrument]]),
            valuation.index[instrument],
        )
        quantity = np.array([amount for rows in legs for _, amount in rows]) / index
        option = valuation.is_option[instrument]
        entry = np.where(option, 0.0, quantity * valuation.unit_value[instrument])
        none, nothing = np.zeros(0, dtype=np.int64), np.zeros(0)
        count = len(books)
        pools = Pools(
            credit=np.zeros(count, dtype=np.int64),
            isolated=np.zeros(count, dtype=np.bool_),
            owner=np.arange(count),
            leg_start=start,
            leg_instrument=instrument,
            leg_quantity=quantity,
            leg_priced=quantity,
            leg_entry_value=entry,
            balance_start=np.zeros(count + 1, dtype=np.int64),
            balance_asset=none,
            balance_amount=nothing,
            balance_location=none,
            balance_fenced=np.zeros(0, dtype=np.bool_),
        )
        return Portfolios(
            pools=pools,
            valuation=valuation,
            leg_row=instrument,
            entry_value=entry,
            balance_price=nothing,
            counted=nothing,
            rest=nothing,
            credit_factor=np.ones(count),
        )

    # --- what happens next

    def _losses(self, books, portfolios, t):
        """Return (loss, worst loss), each (B,), in the reporting currency."""
        panel, valuation = self.panel, portfolios.valuation
        catalogue, pools = valuation.catalogue, portfolios.pools
        pool = owners(pools.leg_start)

        def lost(values):
            change = np.array(values) - valuation.unit_value[pools.leg_instrument]
            return -group_sums(pool, pools.leg_quantity * change, pools.count)

        legs = [catalogue.instruments[k] for k in pools.leg_instrument.tolist()]
        ends = [self._end(leg, t) for leg in legs]
        moments = [
            lost([self._later(leg, min(row, end)) for leg, end in zip(legs, ends, strict=True)])
            for row in range(t + 1, max(ends) + 1)
        ]
        loss = moments[-1]
        if panel.path:
            moments += self._through_the_day(lost, legs, valuation, pools, t)
        worst = np.max(moments, axis=0)
        for b, book in enumerate(books):
            only = next(iter(book.weights))
            if len(book.weights) == 1 and only in panel.ranges:
                q = float(pools.leg_quantity[pools.leg_start[b]])
                extreme = panel.ranges[only][0 if q > 0 else 1][t + 1 : ends[pools.leg_start[b]] + 1]
                worst[b] = np.fmax(worst[b], np.fmax.reduce(-q * (extreme - self.price[t, self.column[only]])))
        return loss, worst

    def _end(self, contract, t):
        """Return the row at which a leg's horizon is over."""
        days = self.model.joint.horizon_of(contract.asset_class)
        if not self.panel.open_days_of:
            return t + days
        closes = np.flatnonzero(self.known[t + 1 :, self.column[contract.underlying]])
        return t + 1 + int(closes[days - 1])

    def _later(self, contract, row):
        """Return what one contract is worth at a later row."""
        price = self.price[row, self.column[contract.underlying]]
        if contract.kind != "option":
            return price
        vol = self.price[row, self.column[f"{contract.underlying}.vol"]]
        years = (contract.expiry - closing_time(self.panel.history.days[row])).total_seconds() / YEAR_SECONDS
        return float(black76(price, float(contract.strike), vol, years, 1.0, contract.option_type == "call"))

    def _through_the_day(self, lost, legs, valuation, pools, t):
        """Yield the losses at every hour of a window of one day; NaN for books with a leg whose hours are not known."""
        for hour in range(24):
            values = []
            for leg, k in zip(legs, pools.leg_instrument.tolist(), strict=True):
                path = self.panel.path[leg.underlying]
                # Hours are of another market than the close may be: its move is what counts.
                values.append(valuation.unit_value[k] * path[t + 1, hour] / path[t, -1])
            yield np.nan_to_num(lost(values), nan=-np.inf)


@lru_cache(maxsize=64)
def _known(model, crashes, squeezes):
    facts = model.joint.stress
    stress = replace(
        facts,
        crashes={day: facts.crashes[day] for day in crashes},
        squeezes={day: facts.squeezes[day] for day in squeezes},
    )
    return replace(model, joint=replace(model.joint, stress=stress))


def as_known(model, day):
    """Return the model without the stressed days after `day`. Its jumps, depegs and grids stay as they are today."""
    facts: StressFacts = model.joint.stress
    return _known(
        model,
        *(
            tuple(known for known in days if date.fromisoformat(known) <= day)
            for days in (facts.crashes, facts.squeezes)
        ),
    )
