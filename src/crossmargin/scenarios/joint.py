"""Which joint scenarios a market is margined under: its own history or the reference set, and the stressed set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from crossmargin.errors import InvalidMarket, some_of
from crossmargin.instruments import ASSET_CLASSES
from crossmargin.market import History
from crossmargin.pricing import Valuation
from crossmargin.scenarios import shipped
from crossmargin.scenarios.crashes import StressFacts, stressed
from crossmargin.scenarios.history import MINIMUM_DAYS, effective_sample, filtered, warmup_days
from crossmargin.scenarios.proxy import NoSeries, StandIn, completed
from crossmargin.scenarios.reference import Vols, VolUsed, reference
from crossmargin.scenarios.scenario_set import ScenarioSet

_LISTED = ("energy", "equity", "equity_index", "fx", "metals", "rates")


def _horizons() -> dict[str, int]:
    return {**dict.fromkeys(_LISTED, 2), "crypto": 1, "stablecoin": 1, "other": 5}


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class JointParameters:
    """What joint scenarios are made with; compared by identity, so keep one for a rule book."""

    lookback_days: int = 750
    """Windows of history taken, at most."""
    minimum_days: int = MINIMUM_DAYS
    """Closes an underlying needs to speak for itself."""
    decay: float = 0.97
    """Of the vols that history is filtered with."""
    horizon_days: Mapping[str, int] = field(default_factory=_horizons)
    """By asset class; `other` is required."""
    vols: Vols = field(default_factory=Vols)
    """Where the book says none."""
    any_floor: float = 1.0
    """Where prices may be negative, moves told as fractions are of max(|index|, this), in price units."""
    any_floor_by_name: Mapping[str, float] = field(default_factory=dict)
    proxies: Mapping[str, Sequence[str]] = field(default_factory=lambda: shipped.value("reference", "proxy"))
    """Asset class -> names, the first with enough history stands in for what has too little."""
    stress: StressFacts = field(default_factory=StressFacts)

    def __post_init__(self) -> None:
        if not 0.0 < self.decay < 1.0:
            raise InvalidMarket("decay", str(self.decay), "a fraction above 0 and below 1")
        if self.minimum_days < 2 or self.lookback_days < self.minimum_days:
            raise InvalidMarket("lookback_days", str(self.lookback_days), f"minimum_days, {self.minimum_days}, or more")
        if "other" not in self.horizon_days:
            raise InvalidMarket("horizon_days", ", ".join(self.horizon_days) or "nothing", "an entry for other")
        for name, days in self.horizon_days.items():
            if name not in ASSET_CLASSES or isinstance(days, bool) or days < 1:
                raise InvalidMarket(f"horizon_days.{name}", repr(days), f"whole days for {', '.join(ASSET_CLASSES)}")

    def horizon_of(self, asset_class: str) -> int:
        """Return the horizon of an asset class in days."""
        return self.horizon_days.get(asset_class, self.horizon_days["other"])

    def any_floor_of(self, name: str) -> float:
        """Return the least price level that a move of `name` is a fraction of."""
        return self.any_floor_by_name.get(name, self.any_floor)


@dataclass(frozen=True, slots=True, kw_only=True)
class MarketFacts:
    """What joint scenarios are about. Tuples are aligned with `names`; equal facts give the same sets."""

    history: History | None
    names: tuple[str, ...]
    classes: tuple[str, ...]
    leaders: tuple[str, ...]
    """What each name must offset fully; itself where nothing."""
    any_domain: tuple[bool, ...]
    index: tuple[float, ...]
    """Price of each now; NaN where unknown."""
    vol_annual: Mapping[str, float]
    """The book's."""
    too_late: tuple[date, ...] = ()
    """Days of the market's history after its own: not known yet, so not used."""

    @classmethod
    def of(cls, valuation: Valuation) -> MarketFacts:
        """Return the facts of a market: every asset of its catalogue but the reporting currency.

        The reporting currency is there where contracts are on it. What is held plays no part: every pool of a book,
        and every book on this catalogue, is margined under the same scenarios.
        """
        terms, market = valuation.catalogue, valuation.market
        numbers = [
            a
            for a, asset in enumerate(terms.assets)
            if asset.symbol != market.currency or (terms.underlying == a).any()
        ]
        index = dict(market.fx)
        index.update(market.prices)
        priced = np.flatnonzero(np.isfinite(valuation.index))
        underlying, first = np.unique(terms.underlying[valuation.instrument[priced]], return_index=True)
        for a, k in zip(underlying.tolist(), priced[first].tolist(), strict=True):
            index[terms.assets[a].symbol] = float(valuation.index[k])
        absolute = set(terms.underlying[terms.any_domain].tolist())
        assets = [terms.assets[a] for a in numbers]
        return cls(
            history=None if market.history is None else _until(market.history, market.time.date()),
            names=tuple(asset.symbol for asset in assets),
            classes=tuple(asset.asset_class for asset in assets),
            leaders=tuple(asset.group for asset in assets),
            any_domain=tuple(a in absolute for a in numbers),
            index=tuple(index.get(asset.symbol, np.nan) for asset in assets),
            vol_annual=market.vol_annual,
            too_late=() if market.history is None else _after(market.history, market.time.date()),
        )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScenarioReport:
    """Where the joint scenarios come from, to be printed."""

    source: str
    """`history` or `reference`."""
    start: date | None
    end: date | None
    count: int
    stressed: int
    """Scenarios of the stressed set."""
    effective_sample: float
    """Windows that do not overlap; rows of the reference set do not."""
    horizon_days: Mapping[str, int]
    """By name."""
    vols: tuple[VolUsed, ...]
    """Annual vols that were used: of every name with the reference set, else of names without any common history."""
    stand_ins: tuple[StandIn, ...]
    """Series completed by proxy or held still."""
    notes: tuple[str, ...]
    """What the reader must know, as sentences."""


class JointScenarios(NamedTuple):
    """The scenarios of one market. Both sets have the same factors in the same order."""

    ordinary: ScenarioSet
    """H: filtered history or the reference set."""
    stressed: ScenarioSet
    """S."""
    report: ScenarioReport


@lru_cache(maxsize=16)
def _until(history: History, day: date) -> History:
    """Return the history known at `day`: of the day itself there is no close yet. One table a day, for the caches."""
    return history.before(day)


@lru_cache(maxsize=16)
def _after(history: History, day: date) -> tuple[date, ...]:
    """Return the days of a history after `day`, which a market of that day cannot know."""
    return tuple(later for later in history.days if later > day)


def joint_scenarios(market: Valuation | MarketFacts, parameters: JointParameters) -> JointScenarios:
    """Return the scenario sets H and S of a market, and where they come from.

    H is the book's history, filtered, when at least one series of it that moves has `minimum_days` closes and fills
    the windows; what others lack comes by proxy, told in the report. Otherwise H is the reference set. Cached by the
    identity of the history and of the parameters.
    """
    facts = market if isinstance(market, MarketFacts) else MarketFacts.of(market)
    classes = dict(zip(facts.names, facts.classes, strict=True))
    leader_of = dict(zip(facts.names, facts.leaders, strict=True))
    vols = tuple(
        parameters.vols.of(name, classes[name], facts.vol_annual, leader if leader != name else "")
        for name, leader in leader_of.items()
    )
    scale = tuple(
        _price_scale(facts, parameters, k) if absolute else 0.0 for k, absolute in enumerate(facts.any_domain)
    )
    aligned = (facts.names, facts.classes, facts.leaders, facts.any_domain)
    ordinary, report = _ordinary(facts.history, parameters, *aligned, vols, scale)
    through_zero = parameters.stress.through_zero
    priced = tuple(
        index
        if not through_zero.isdisjoint(parameters.stress.named(known, classes[name]) for known in (name, leader))
        else None
        for name, leader, index in zip(facts.names, facts.leaders, facts.index, strict=True)
    )
    bad = _stressed(
        parameters, *aligned, tuple(None if index is None or np.isnan(index) else index for index in priced)
    )
    notes = (*report.notes, *_motionless(facts, ordinary), *_too_late(facts.too_late))
    return JointScenarios(ordinary=ordinary, stressed=bad, report=replace(report, stressed=len(bad), notes=notes))


def _motionless(facts: MarketFacts, ordinary: ScenarioSet) -> tuple[str, ...]:
    """Return a note on names, pegs apart, that no scenario of history moves: their closes were carried, not made."""
    if ordinary.source != "history":
        return ()
    still = [
        name
        for name, asset_class, moves in zip(facts.names, facts.classes, ordinary.move, strict=True)
        if asset_class != "stablecoin" and not moves.any()
    ]
    return (
        (f"history of {some_of(still)}: closes that never change, so no ordinary scenario moves it",) if still else ()
    )


def _too_late(days: tuple[date, ...]) -> tuple[str, ...]:
    """Return a note on closes of days after the market's own."""
    if not days:
        return ()
    return (f"market.history: {len(days)} day(s) after the market's own, from {days[0]} on, are not used",)


def _price_scale(facts: MarketFacts, parameters: JointParameters, k: int) -> float:
    """Return the price that the vol of a name is a fraction of where its domain is `any`.

    Its latest close where it has one: the price of now would make every tick a new set.
    """
    name, price = facts.names[k], facts.index[k]
    if facts.history is not None and name in facts.history.names:
        closes = facts.history.series(name)
        closes = closes[~np.isnan(closes)]
        price = float(closes[-1]) if len(closes) else price
    return max(0.0 if np.isnan(price) else abs(price), parameters.any_floor_of(name))


@lru_cache(maxsize=16)
def _ordinary(
    history: History | None,
    parameters: JointParameters,
    names: tuple[str, ...],
    classes: tuple[str, ...],
    leaders: tuple[str, ...],
    any_domain: tuple[bool, ...],
    vols: tuple[VolUsed, ...],
    price_scale: tuple[float, ...],
) -> tuple[ScenarioSet, ScenarioReport]:
    class_of = dict(zip(names, classes, strict=True))
    leader_of = dict(zip(names, leaders, strict=True))
    absolute = frozenset(name for name, is_any in zip(names, any_domain, strict=True) if is_any)
    horizon = {name: parameters.horizon_of(asset_class) for name, asset_class in class_of.items()}
    vol_annual = {used.name: used.vol_annual for used in vols}
    warmup = warmup_days(parameters.decay)
    notes: tuple[str, ...] = ()
    if history is not None and names:
        refusal = _too_short(history, parameters, max(horizon.values()) + warmup)
        known = {**{name: parameters.stress.known_class(name) for name in history.names}, **class_of}
        if not refusal:
            try:
                table, stand_ins = completed(
                    history,
                    names,
                    classes=known,
                    horizon_days=horizon,
                    lookback=parameters.lookback_days,
                    minimum_days=parameters.minimum_days,
                    warmup=warmup,
                    vol_annual=vol_annual,
                    proxies=parameters.proxies,
                    groups=leader_of,
                    any_domain=absolute,
                    price_scale=dict(zip(names, price_scale, strict=True)),
                )
            except NoSeries as error:
                refusal = error.found
        if not refusal:
            found = filtered(
                table,
                names,
                absolute,
                horizon_days=horizon,
                lookback=parameters.lookback_days,
                decay=parameters.decay,
                minimum_days=parameters.minimum_days,
            )
            stated = {made.name for made in stand_ins if made.proxy and not made.measured}
            return found, ScenarioReport(
                source="history",
                start=found.start,
                end=found.end,
                count=len(found),
                stressed=0,
                effective_sample=effective_sample(found, horizon),
                horizon_days=MappingProxyType(horizon),
                vols=tuple(used for used in vols if used.name in stated),
                stand_ins=stand_ins,
                notes=(),
            )
        notes = (f"market.history is not used: {refusal}. Scenarios are those of the shipped reference set.",)
    found = reference(
        names,
        class_of | {leader: class_of.get(leader, class_of[name]) for name, leader in leader_of.items()},
        vol_annual=vol_annual,
        horizon_days=horizon,
        groups=leader_of,
        any_domain=absolute,
        any_floor={name: parameters.any_floor_of(name) for name in names},
    )
    return found, ScenarioReport(
        source="reference",
        start=None,
        end=None,
        count=len(found),
        stressed=0,
        effective_sample=float(len(found)),
        horizon_days=MappingProxyType(horizon),
        vols=vols,
        stand_ins=(),
        notes=notes,
    )


def _too_short(history: History, parameters: JointParameters, needed: int) -> str:
    """Return why a table cannot hold a single window; empty where it can."""
    rows = len(history.days)
    least = max(parameters.minimum_days, needed + 1)
    return f"{rows} days are fewer than {least}" if rows < least else ""


@lru_cache(maxsize=16)
def _stressed(
    parameters: JointParameters,
    names: tuple[str, ...],
    classes: tuple[str, ...],
    leaders: tuple[str, ...],
    any_domain: tuple[bool, ...],
    index: tuple[float | None, ...],
) -> ScenarioSet:
    return stressed(
        names,
        dict(zip(names, classes, strict=True)),
        parameters.stress,
        groups=dict(zip(names, leaders, strict=True)),
        any_domain=frozenset(name for name, is_any in zip(names, any_domain, strict=True) if is_any),
        any_floor={name: parameters.any_floor_of(name) for name in names},
        index={name: price for name, price in zip(names, index, strict=True) if price is not None},
    )
