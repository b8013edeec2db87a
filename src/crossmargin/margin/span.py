"""SPAN margin: sixteen scenarios a commodity, spreads within and between commodities, delivery, short options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import TypeVar

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import KINDS, Asset, Catalogue
from crossmargin.margin.delta_spreads import CommoditySpread, TierSpread, commodity_spreads, tier_charges
from crossmargin.margin.grid import american_options
from crossmargin.margin.model import Portfolios, ScenarioSource, Terms, WorstScenarios
from crossmargin.margin.parameters import OTHER, check_classes
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.pricing import Valuation
from crossmargin.ragged import distinct, group_sums, starts
from crossmargin.scenarios import Moves, revalue
from crossmargin.units import FloatArray, IntArray

_OPTION = KINDS.index("option")
_DAYS = 365.0

SCENARIOS = 16
PRICE = np.repeat([0.0, 1 / 3, -1 / 3, 2 / 3, -2 / 3, 1.0, -1.0], 2)
"""Price moves of the first fourteen scenarios in scan ranges; each with vol up, then with vol down."""
PAIRED = np.array([1, 0, 3, 2, 5, 4, 7, 6, 9, 8, 11, 10, 13, 12, 14, 15])
"""The scenario of the same price and the other vol; the extremes have none but themselves."""
_DELTA_POINTS = PRICE[::2]
_BUMP = 1e-4
"""Half the price step a delta is measured over, relative."""

T = TypeVar("T")


def scan_pnl(quantity: FloatArray, arrays: FloatArray) -> FloatArray:
    """Return the P&L of positions in every scenario, (S,), a loss negative.

    `quantity` (n,) signed contracts; `arrays` (n, S) P&L of one long contract.
    """
    return np.asarray(quantity @ arrays, dtype=np.float64)


def scan_risk(pnl: FloatArray) -> float:
    """Return the largest loss of P&L (S,) by scenario, never less than 0."""
    return float(max(0.0, -np.min(pnl, initial=0.0)))


@dataclass(frozen=True, slots=True)
class PriceRisk:
    """What of a scan risk is about price alone."""

    volatility_adjusted: float
    """Mean of the worst scenario and its pair of the other vol."""
    time: float
    """Mean of the two scenarios without a price move."""

    @property
    def price(self) -> float:
        """The rest, never less than 0."""
        return max(self.volatility_adjusted - self.time, 0.0)

    @classmethod
    def of(cls, losses: FloatArray) -> PriceRisk:
        """Return the price risk of `losses` (16,), a loss positive; all 0 where nothing is lost in any."""
        worst = int(np.argmax(losses))
        if losses[worst] <= 0.0:
            return cls(0.0, 0.0)
        adjusted = (losses[worst] + losses[PAIRED[worst]]) / 2
        return cls(float(adjusted), float((losses[0] + losses[1]) / 2))

    def weighted(self, net_delta: float) -> float:
        """Return it a unit of net delta; 0 without one."""
        return self.price / abs(net_delta) if net_delta else 0.0


def composite_delta(deltas: FloatArray, weights: FloatArray) -> FloatArray:
    """Return the weighted mean of `deltas` (n, points); `weights` (points,) sum to more than 0."""
    # Summed point by point: the same bits for a contract alone as among others.
    total = sum(deltas[:, k] * weight for k, weight in enumerate(weights.tolist()))
    return np.asarray(total / weights.sum(), dtype=np.float64)


def calendar_margin(first: float, second: float, charge: float) -> float:
    """Return what a spread of one long and one short contract of a commodity owes: what their outrights differ by,
    and the spread's charge."""
    return abs(first - second) + charge


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """What deltas near delivery owe beside, as shares of the price; the rates are 0 or more."""

    days: float
    """Up to so many days before expiry."""
    in_spreads: float
    outright: float

    def __post_init__(self) -> None:
        for name in ("days", "in_spreads", "outright"):
            number = getattr(self, name)
            if not (isfinite(number) and number >= 0):
                raise InvalidRules(name, f"{number:g}", "0 or more")


NO_DELIVERY = Delivery(days=0.0, in_spreads=0.0, outright=0.0)
SHORT_COUNTS = ("sum", "greater")
"""How short options are counted for their minimum: calls and puts together, or whichever are more."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Segments:
    """The positions of a pool in one commodity, one row each, G of them; amounts in the reporting currency."""

    pool: IntArray
    commodity: IntArray
    """(G,) number of the asset that names it."""
    of_leg: IntArray
    """(L,)"""
    losses: FloatArray
    """(G, 16)"""
    delta: FloatArray
    """(G,) net, in units of the underlying."""
    price: FloatArray
    """(G,) value of one unit of delta."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Span(WholePoolModel):
    """Scenario margin in the manner of SPAN: a commodity is a group of underlyings that offset in full.

        requirement of a commodity = max( scan risk + intra-commodity charges + delivery charges
                                          - inter-commodity credits, short option minimum )

    and of a pool their sum. Scan risk is the worst of sixteen scenarios: the price by thirds of its scan range with
    vols up and down, and two extreme moves of which a share is covered. Arrays come from full revaluation, time
    standing still, or as given by contract in `arrays`. Deltas are composite: means over the price points. The net
    deltas of expiries are paired across tiers in order (`tier_spreads`); what is near delivery is charged besides;
    the net deltas of commodities form spreads in order that take a share of their price risk off
    (`commodity_spreads`). Option value belongs into equity: the net option value of such a rule book is a credit for
    longs and a debit for shorts.

    Collateral does not move here, its haircuts cover it. Profits count at today's exchange rates. Refused: American
    options without an array of their own. Shares: scan risk by loss in the worst scenario, spread and delivery
    charges and credits by size of delta, a binding minimum by short options.

    Claims. P1. P3. P4 and P7 for one commodity without tier charges. P10, P11, P13. P6 for the scan. Does not claim
    P2 where spreads charge or credit: forming them in order is no optimum. P8: a bought option may use up deltas that
    earned a credit. P12: as the worst scenario changes, so does the price risk that credits are a share of.
    Pools that spread between commodities are looped over in Python; all else is not.
    """

    scan_range_by_class: Mapping[str, float]
    """Largest usual move, a share of the price; `other` is required."""
    vol_range_by_class: Mapping[str, float]
    """Largest usual change of vols, a share of the vol."""
    scan_range_by_underlying: Mapping[str, float] = field(default_factory=dict)
    vol_range_by_underlying: Mapping[str, float] = field(default_factory=dict)
    any_floor: float = 1.0
    """Where prices may be negative, ranges are shares of max(|price|, this)."""
    extreme_multiple: float = 2.0
    extreme_cover: float = 0.35
    """Share of an extreme loss that counts."""
    delta_weights: tuple[float, ...] = (0.27, 0.217, 0.11, 0.037)
    """Weight of the delta at no price move, a third, two thirds and a whole scan range, either way."""
    tier_days: tuple[float, ...] = ()
    """Days to expiry up to which each tier but the last reaches, rising."""
    tier_days_by_underlying: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    tier_spreads_by_class: Mapping[str, tuple[TierSpread, ...]] = field(default_factory=lambda: {OTHER: ()})
    tier_spreads_by_underlying: Mapping[str, tuple[TierSpread, ...]] = field(default_factory=dict)
    delivery_by_class: Mapping[str, Delivery] = field(default_factory=lambda: {OTHER: NO_DELIVERY})
    delivery_by_underlying: Mapping[str, Delivery] = field(default_factory=dict)
    commodity_spreads: Sequence[CommoditySpread] = ()
    short_minimum_by_class: Mapping[str, float] = field(default_factory=lambda: {OTHER: 0.0})
    """Of the underlying's price, for each short option on one unit."""
    short_minimum_by_underlying: Mapping[str, float] = field(default_factory=dict)
    short_count: str = "sum"
    initial_factor: float = 1.0
    arrays: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    """By symbol: P&L of one long contract by scenario in the quote asset, a loss negative, and its composite delta a
    unit of the underlying."""

    def __post_init__(self) -> None:
        for name in (
            "scan_range_by_class",
            "vol_range_by_class",
            "tier_spreads_by_class",
            "delivery_by_class",
            "short_minimum_by_class",
        ):
            check_classes(name.removesuffix("_by_class"), getattr(self, name))
        for name in ("scan_range", "vol_range", "short_minimum"):
            for key, number in (
                *getattr(self, f"{name}_by_class").items(),
                *getattr(self, f"{name}_by_underlying").items(),
            ):
                if not 0 <= number < 1:
                    raise InvalidRules(f"{name}.{key}", f"{number:g}", "a fraction from 0 to below 1")
        _at_least("any_floor", self.any_floor, 0.0)
        _at_least("extreme_multiple", self.extreme_multiple, 1.0)
        _at_least("initial_factor", self.initial_factor, 1.0)
        if not 0 <= self.extreme_cover <= 1:
            raise InvalidRules("extreme_cover", f"{self.extreme_cover:g}", "a fraction from 0 to 1")
        weights = self.delta_weights
        if len(weights) != 4 or any(w < 0 for w in weights) or list(weights) != sorted(weights, reverse=True):
            raise InvalidRules("delta_weights", str(list(weights)), "four, not rising, 0 or more")
        if not weights[0] > 0:
            raise InvalidRules("delta_weights[0]", f"{weights[0]:g}", "above 0")
        for where, days in (
            ("tier_days", self.tier_days),
            *((f"tier_days_by_underlying.{key}", days) for key, days in self.tier_days_by_underlying.items()),
        ):
            if any(d <= 0 for d in days) or list(days) != sorted(set(days)):
                raise InvalidRules(where, str(list(days)), "days above 0, rising")
        if self.short_count not in SHORT_COUNTS:
            raise InvalidRules("short_count", repr(self.short_count), " or ".join(SHORT_COUNTS))
        for symbol, array in self.arrays.items():
            if len(array) != SCENARIOS + 1:
                raise InvalidRules(f"arrays.{symbol}", f"{len(array)} numbers", f"{SCENARIOS} profits and a delta")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the American options held that have no array of their own."""
        instruments = portfolios.valuation.catalogue.instruments
        american = american_options(portfolios)
        return np.array([k for k in american.tolist() if instruments[k].symbol not in self.arrays], dtype=np.int64)

    def bends(self, asset: Asset) -> FloatArray:
        """Return the price moves of the asset's scenarios."""
        span = self._scan_range(asset)
        return np.unique(np.append(span * PRICE, [span * self.extreme_multiple, -span * self.extreme_multiple]))

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return the scenarios of a commodity."""
        return ScenarioSource("grid", None, None, SCENARIOS)

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return the terms of each commodity: scan risk, spreads, delivery, credits, and what the minimum is more."""
        pools = portfolios.pools
        assets = portfolios.valuation.catalogue.assets
        delta, losses = self._deltas(portfolios), -portfolios.quantity[:, None] * self._arrays(portfolios)
        segments = self._segments(portfolios, delta, losses)
        count = len(segments.pool)
        worst = np.argmax(segments.losses, axis=1) if count else np.zeros(0, dtype=np.int64)
        scan = np.maximum(segments.losses[np.arange(count), worst], 0.0)
        calendar, delivery = self._tiers(portfolios, delta, segments)
        credit = np.minimum(self._credits(portfolios, segments), scan)
        least = self._short_options(portfolios, segments)
        minimum = group_sums(segments.of_leg, least, count)
        excess = np.maximum(minimum - (scan + calendar + delivery - credit), 0.0)

        terms = Terms.of([], pools.count)
        for name, amount in (
            ("scan", scan),
            ("calendar spreads", calendar),
            ("delivery", delivery),
            ("spread credit", -credit),
            ("short option minimum", excess),
        ):
            label = tuple(f"{name} {asset.symbol}" for asset in assets)
            terms = terms.followed_by(Terms.of_rows(segments.pool, label, segments.commodity, amount))

        at = segments.of_leg
        by_loss = losses[np.arange(len(at)), worst[at]]
        size = np.abs(delta)
        total = group_sums(at, size, count)
        by_delta = size / np.where(total > 0.0, total, 1.0)[at]
        beside = np.where(scan[at] > 0.0, by_loss, 0.0) + by_delta * (calendar + delivery - credit)[at]
        return PoolCharges(
            terms=terms,
            initial=self.initial_factor * terms.total(pools.count),
            leg_share=np.where(excess[at] > 0.0, least, beside),
            balance_share=np.zeros(len(portfolios.balance_price)),
            worst=self._dearest(portfolios, segments, np.where(scan > 0.0, worst, -1), scan),
        )

    def risk_arrays(self, valuation: Valuation, rows: IntArray) -> FloatArray:
        """Return the P&L of one long contract of valuation rows by scenario, (n, 16), in the reporting currency."""
        found = revalue(valuation, rows, self._moves(valuation, rows, *self._scenarios(valuation.catalogue)))
        found *= np.append(np.ones(SCENARIOS - 2), [self.extreme_cover] * 2)
        for k, given in self._given(valuation, rows):
            found[k] = np.array(given[:SCENARIOS]) * valuation.quote_fx[rows[k]]
        return found

    def composite_deltas(self, valuation: Valuation, rows: IntArray) -> FloatArray:
        """Return the composite delta of one long contract of valuation rows in units of the underlying, (n,)."""
        terms = valuation.catalogue
        span = np.array([self._scan_range(asset) for asset in terms.assets])[:, None]
        points = span * _DELTA_POINTS
        move = np.concatenate((points + _BUMP, points - _BUMP), axis=1)
        pnl = revalue(valuation, rows, self._moves(valuation, rows, move, None))
        step = 2.0 * _BUMP * self._price(valuation, rows)
        deltas = (pnl[:, : len(_DELTA_POINTS)] - pnl[:, len(_DELTA_POINTS) :]) / step[:, None]
        first, *others = self.delta_weights
        found = composite_delta(deltas, np.array([first, *np.repeat(others, 2)]))
        for k, given in self._given(valuation, rows):
            found[k] = given[SCENARIOS] * terms.contract_size[valuation.instrument[rows[k]]]
        return found

    def _scenarios(self, terms: Catalogue) -> tuple[FloatArray, FloatArray]:
        """Return (price moves, vol factors) of every asset in the scenarios, (assets, 16)."""
        span = np.array([self._scan_range(asset) for asset in terms.assets])[:, None]
        vol = np.array([self._vol_range(asset) for asset in terms.assets])[:, None]
        sign = np.append(np.tile([1.0, -1.0], 7), [0.0, 0.0])
        move = span * np.append(PRICE, [self.extreme_multiple, -self.extreme_multiple])
        return move, 1.0 + vol * sign

    def _moves(self, valuation: Valuation, rows: IntArray, move: FloatArray, vol_factor: FloatArray | None) -> Moves:
        terms = valuation.catalogue
        return Moves(
            price=move,
            of_price=terms.underlying[valuation.instrument[rows]],
            settle=np.zeros((0, move.shape[1])),
            of_settle=np.full(len(rows), -1),
            vol_factor=vol_factor,
            any_floor=np.full(len(terms.assets), self.any_floor),
        )

    def _given(self, valuation: Valuation, rows: IntArray) -> list[tuple[int, tuple[float, ...]]]:
        """Return (k, array) of the rows whose contract has an array of its own."""
        if not self.arrays:
            return []
        instruments = valuation.catalogue.instruments
        symbols = [instruments[int(valuation.instrument[row])].symbol for row in rows]
        return [(k, self.arrays[symbol]) for k, symbol in enumerate(symbols) if symbol in self.arrays]

    def _price(self, valuation: Valuation, rows: IntArray) -> FloatArray:
        """Return the price moves are shares of, (n,), in the reporting currency."""
        price = np.abs(valuation.index[rows])
        absolute = valuation.catalogue.any_domain[valuation.instrument[rows]]
        return np.asarray(np.where(absolute, np.maximum(price, self.any_floor), price) * valuation.quote_fx[rows])

    def _held(self, portfolios: Portfolios) -> tuple[IntArray, IntArray]:
        """Return the valuation rows held, and each leg's place among them."""
        rows = distinct(portfolios.leg_row, len(portfolios.valuation.instrument))
        return rows, np.searchsorted(rows, portfolios.leg_row)

    def _arrays(self, portfolios: Portfolios) -> FloatArray:
        """Return the array of each leg's contract, (L, 16)."""
        rows, at = self._held(portfolios)
        return self.risk_arrays(portfolios.valuation, rows)[at]

    def _deltas(self, portfolios: Portfolios) -> FloatArray:
        """Return the composite delta of each leg, (L,), in units of the underlying."""
        rows, at = self._held(portfolios)
        return np.asarray(portfolios.quantity * self.composite_deltas(portfolios.valuation, rows)[at])

    def _segments(self, portfolios: Portfolios, delta: FloatArray, losses: FloatArray) -> _Segments:
        valuation, pools = portfolios.valuation, portfolios.pools
        terms = valuation.catalogue
        group = np.array([terms.asset_number[asset.group] for asset in terms.assets], dtype=np.int64)
        key = pools.leg_pool * len(terms.assets) + group[terms.underlying[portfolios.leg_instrument]]
        found, of_leg = np.unique(key, return_inverse=True)
        of_leg = of_leg.ravel()
        # The first leg's price stands for the commodity.
        first = np.zeros(len(found), dtype=np.int64)
        first[of_leg[::-1]] = np.arange(len(of_leg))[::-1]
        return _Segments(
            pool=found // len(terms.assets),
            commodity=found % len(terms.assets),
            of_leg=of_leg,
            losses=np.stack([group_sums(of_leg, losses[:, s], len(found)) for s in range(SCENARIOS)], axis=1),
            delta=group_sums(of_leg, delta, len(found)),
            price=self._price(valuation, portfolios.leg_row[first]) if len(found) else np.zeros(0),
        )

    def _tiers(self, portfolios: Portfolios, delta: FloatArray, segments: _Segments) -> tuple[FloatArray, FloatArray]:
        """Return (intra-commodity charge, delivery charge) of each segment, (G,)."""
        valuation = portfolios.valuation
        assets = valuation.catalogue.assets
        expiry = valuation.catalogue.expiry[portfolios.leg_instrument]
        order = np.lexsort((expiry, segments.of_leg))
        used, which = np.unique(segments.commodity, return_inverse=True)
        commodities = [assets[k] for k in used.tolist()]
        spreads = [_of(a, self.tier_spreads_by_class, self.tier_spreads_by_underlying) for a in commodities]
        bounds = [self.tier_days_by_underlying.get(a.symbol, self.tier_days) for a in commodities]
        near = [_of(a, self.delivery_by_class, self.delivery_by_underlying) for a in commodities]
        charge, delivery = tier_charges(
            starts(segments.of_leg[order], len(segments.pool)),
            expiry[order],
            (valuation.tau[portfolios.leg_row] * _DAYS)[order],
            delta[order],
            which.ravel(),
            np.cumsum([0, *map(len, bounds)]),
            np.array([day for row in bounds for day in row], dtype=np.float64),
            np.cumsum([0, *map(len, spreads)]),
            np.array([s.tiers for row in spreads for s in row], dtype=np.int64).reshape(-1, 2) - 1,
            np.array([s.charge for row in spreads for s in row], dtype=np.float64),
            np.array([(d.days, d.in_spreads, d.outright) for d in near], dtype=np.float64).reshape(-1, 3),
        )
        return charge * segments.price, delivery * segments.price

    def _credits(self, portfolios: Portfolios, segments: _Segments) -> FloatArray:
        """Return the inter-commodity credit of each segment, (G,)."""
        assets = portfolios.valuation.catalogue.assets
        credit = np.zeros(len(segments.pool))
        spread = {leg.commodity for s in self.commodity_spreads for leg in s.legs}
        takes_part = np.array([assets[k].symbol in spread for k in segments.commodity.tolist()], dtype=np.bool_)
        parts = np.flatnonzero(takes_part & (segments.delta != 0.0))
        pool = segments.pool[parts]
        for p in np.unique(pool[1:][np.diff(pool) == 0]).tolist():
            rows = parts[pool == p].tolist()
            names = [assets[int(segments.commodity[g])].symbol for g in rows]
            delta = {name: float(segments.delta[g]) for name, g in zip(names, rows, strict=True)}
            risk = {
                name: PriceRisk.of(segments.losses[g]).weighted(delta[name])
                for name, g in zip(names, rows, strict=True)
            }
            found = commodity_spreads(delta, risk, self.commodity_spreads)
            for name, g in zip(names, rows, strict=True):
                credit[g] = found[name]
        return credit

    def _short_options(self, portfolios: Portfolios, segments: _Segments) -> FloatArray:
        """Return what each short option leg adds to the minimum of its commodity, (L,)."""
        terms = portfolios.valuation.catalogue
        held = portfolios.leg_instrument
        short = portfolios.is_option & (portfolios.quantity < 0)
        assets = terms.assets
        rate = np.array([_of(asset, self.short_minimum_by_class, self.short_minimum_by_underlying) for asset in assets])
        units = np.where(short, -portfolios.quantity * terms.contract_size[held], 0.0)
        price = self._price(portfolios.valuation, portfolios.leg_row)
        least = units * rate[terms.underlying[held]] * price
        if self.short_count == "greater":
            is_call, count = terms.is_call[held], len(segments.pool)
            calls = group_sums(segments.of_leg, np.where(is_call, least, 0.0), count)
            puts = group_sums(segments.of_leg, np.where(is_call, 0.0, least), count)
            least = np.where(is_call == (calls >= puts)[segments.of_leg], least, 0.0)
        return np.asarray(least, dtype=np.float64)

    def _dearest(
        self, portfolios: Portfolios, segments: _Segments, worst: IntArray, scan: FloatArray
    ) -> WorstScenarios:
        """Return each pool's commodity with the largest scan risk."""
        count = portfolios.pools.count
        order = np.lexsort((segments.commodity, -scan, segments.pool))
        first = order[np.flatnonzero(np.diff(segments.pool[order], prepend=-1))]
        block, scenario, loss = np.zeros(count, np.int64), np.full(count, -1), np.zeros(count)
        pool = segments.pool[first]
        block[pool], scenario[pool], loss[pool] = segments.commodity[first], worst[first], scan[first]
        assets = portfolios.valuation.catalogue.assets
        return WorstScenarios(
            block=block,
            scenario=scenario,
            loss=loss,
            name=lambda b, s: f"{assets[b].symbol} {self._named(assets[b], s)}",
        )

    def _named(self, asset: Asset, scenario: int) -> str:
        if scenario >= SCENARIOS - 2:
            move = self._scan_range(asset) * self.extreme_multiple * (1 if scenario == SCENARIOS - 2 else -1)
            return f"price {move:+.1%} extreme"
        return f"price {self._scan_range(asset) * PRICE[scenario]:+.1%} vol {'down' if scenario % 2 else 'up'}"

    def _scan_range(self, asset: Asset) -> float:
        return _of(asset, self.scan_range_by_class, self.scan_range_by_underlying)

    def _vol_range(self, asset: Asset) -> float:
        return _of(asset, self.vol_range_by_class, self.vol_range_by_underlying)


def _of(asset: Asset, by_class: Mapping[str, T], by_underlying: Mapping[str, T]) -> T:
    if asset.symbol in by_underlying:
        return by_underlying[asset.symbol]
    return by_class.get(asset.asset_class, by_class[OTHER])


def _at_least(name: str, number: float, least: float) -> None:
    if not (isfinite(number) and number >= least):
        raise InvalidRules(name, f"{number:g}", f"{least:g} or more")
