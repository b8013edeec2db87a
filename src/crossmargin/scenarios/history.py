"""Scenarios of the past: overlapping windows of daily closes, as they happened or filtered."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from math import ceil

import numpy as np

from crossmargin.errors import InvalidMarket, some_of
from crossmargin.market import History
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import BoolArray, FloatArray, IntArray

VOL_SUFFIX = ".vol"
"""A series, column or move named "<factor>.vol" is about implied vols of options on that factor."""

MINIMUM_DAYS = 250
"""Closes an underlying needs: about a year of trading."""

STALE_DAYS = 10
"""Rows without a close after which a market counts as gone; the longest closures of listed markets are shorter."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingHistory:
    """A series that cannot fill the windows asked for, and why."""

    name: str
    closes: int
    first: date | None
    """Day of its first close; None where it has none."""
    last: date | None
    reason: str


def historical(
    history: History,
    names: Iterable[str],
    any_domain: Collection[str] = (),
    *,
    horizon_days: Mapping[str, int] | int,
    lookback: int,
    minimum_days: int = MINIMUM_DAYS,
) -> ScenarioSet:
    """Return the joint moves of `names` over overlapping windows, as they happened.

    A window opens at the close of one row of the table and each factor closes it its own horizon later, counted in
    rows; all factors share the openings. The latest `lookback` windows are taken, fewer where the table is shorter.
    A closed market carries its last close, so what it missed falls into the window in which it opens again.
    Moves are simple returns; price differences for names in `any_domain`. A series "<name>.vol" moves that name's
    vols. Raises InvalidMarket naming every series that `missing_history` reports; no day is ever dropped.
    """
    windows = _windows(history, names, any_domain, horizon_days, lookback, minimum_days, warmup=0)
    return windows.scenarios(windows.returns())


def filtered(
    history: History,
    names: Iterable[str],
    any_domain: Collection[str] = (),
    *,
    horizon_days: Mapping[str, int] | int,
    lookback: int,
    decay: float = 0.97,
    minimum_days: int = MINIMUM_DAYS,
) -> ScenarioSet:
    """Return the windows of `historical` with every return rescaled to the vol in force today.

    f = r(h) / (v_t sqrt h) * max(v_T, v_floor) sqrt h, where v is the exponentially weighted vol of 1-day returns:
    v_t as known when the window opens, v_T at the end of the table, v_floor the long-run vol (root mean square of
    all 1-day returns). Rows where a market was closed are not observations: v carries over them. Where a market
    had never moved before a window opened, its return stays as it happened. Log returns; differences for
    `any_domain`. The first rows, ceil(1 / (1 - decay)) of them, only warm the vols up.
    """
    if not 0.0 < decay < 1.0:
        raise InvalidMarket("decay", str(decay), "a fraction above 0 and below 1")
    windows = _windows(history, names, any_domain, horizon_days, lookback, minimum_days, warmup=warmup_days(decay))
    step = np.diff(windows.level, axis=0, prepend=np.nan)
    # The first close of a market ends no return.
    seen = windows.observed & ~np.isnan(step)
    vol = ewma_vol(np.where(seen, step, 0.0), seen, decay)
    long_run = np.sqrt(np.sum(np.where(seen, step, 0.0) ** 2, axis=0) / seen.sum(axis=0))
    known = vol[windows.opening]
    with np.errstate(divide="ignore", invalid="ignore"):
        scale = np.where(known > 0.0, np.maximum(vol[-1], long_run) / known, 1.0)
    return windows.scenarios(windows.returns() * scale)


_EXPONENT_LARGEST = 230.0
"""exp of it, 1e100, is far from overflow however large the returns it multiplies are."""


def warmup_days(decay: float) -> int:
    """Return how many rows `filtered` needs before its first window opens."""
    return ceil(1.0 / (1.0 - decay))


def ewma_vol(returns: FloatArray, observed: BoolArray, decay: float) -> FloatArray:
    """Return the exponentially weighted vol known at each row, shape (T, F), from returns (T, F).

    v_t^2 = sum of decay^k r^2 / sum of decay^k over the observed returns up to and including row t, k counting
    back from the latest: no seed, nothing of the future. NaN before the first observation.
    """
    vol = np.full(returns.shape, np.nan)
    # Sums decay^(n - k) x become decay^n sum of decay^-k x, without a loop over rows; a block ends before decay^-k
    # overflows. All terms are positive: nothing cancels.
    rows = max(1, int(_EXPONENT_LARGEST / -np.log(decay)))
    total, weight = np.zeros(returns.shape[1]), np.zeros(returns.shape[1])
    for low in range(0, len(returns), rows):
        r, seen = returns[low : low + rows], observed[low : low + rows]
        count = np.cumsum(seen, axis=0)
        grown = np.where(seen, decay ** -count.astype(np.float64), 0.0)
        faded = decay**count
        totals = faded * (total + np.cumsum(grown * r * r, axis=0))
        weights = faded * (weight + np.cumsum(grown, axis=0))
        np.divide(totals, weights, out=vol[low : low + rows], where=weights > 0.0)
        total, weight = totals[-1], weights[-1]
    return np.asarray(np.sqrt(vol), dtype=np.float64)


def missing_history(
    history: History,
    names: Iterable[str],
    *,
    horizon_days: Mapping[str, int] | int,
    lookback: int,
    minimum_days: int = MINIMUM_DAYS,
    warmup: int = 0,
) -> tuple[MissingHistory, ...]:
    """Return the series of `names`, and their vols', that cannot fill the windows, in the order asked for.

    A series is missing where it is not in the table, has fewer than `minimum_days` closes, opens after the first
    window (or `warmup` rows before it) or has had no close for STALE_DAYS rows at the end.
    """
    wanted = tuple(names)
    opening = _openings(len(history.days), _horizons(wanted, horizon_days), lookback, warmup)
    found = (
        _missing(history, name, int(opening[0]) - warmup, int(opening[0]), minimum_days, warmup)
        for name in _series(history, wanted)
    )
    return tuple(gap for gap in found if gap is not None)


def effective_sample(scenarios: ScenarioSet, horizon_days: Mapping[str, int] | int) -> float:
    """Return how many windows do not overlap: scenarios / longest horizon of its factors."""
    return len(scenarios) / max(_horizons(scenarios.factors, horizon_days))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Windows:
    """Levels of every series and the windows over them. Shapes: T rows, F series, S windows."""

    days: tuple[date, ...]
    names: tuple[str, ...]
    """Factors asked for."""
    series: tuple[str, ...]
    """(F,) the factors, then their vol series."""
    level: FloatArray
    """(T, F) log closes, plain closes for the domain `any`; carried over closed days, NaN before the first."""
    observed: BoolArray
    """(T, F) True where there was a close."""
    opening: IntArray
    """(S,) rows."""
    horizon: IntArray
    """(F,) rows."""
    absolute: BoolArray
    """(F,) True for the domain `any`."""

    def returns(self) -> FloatArray:
        """Return the change of each level over each window, shape (S, F)."""
        closing = self.opening[:, None] + self.horizon
        return np.asarray(self.level[closing, np.arange(len(self.series))] - self.level[self.opening])

    def scenarios(self, change: FloatArray) -> ScenarioSet:
        """Return the scenario set of level changes (S, F)."""
        longest = int(self.horizon.max())
        ids = tuple(f"{self.days[t]}/{self.days[t + longest]}" for t in self.opening.tolist())
        with np.errstate(over="ignore"):
            move = np.where(self.absolute, change, np.expm1(change))
        for s, f in np.argwhere(~np.isfinite(move))[:1].tolist():
            raise InvalidMarket(
                f"history of {self.series[f]}, window {ids[s]}",
                f"a rescaled log return of {change[s, f]:g}",
                "moves within the range of numbers",
                "it hardly moved before this window; take it out of the filter",
            )
        count = len(self.names)
        vol_factor = None
        if len(self.series) > count:
            place = {name: f for f, name in enumerate(self.names)}
            vol_factor = np.ones((count, len(ids)))
            for f, name in enumerate(self.series[count:], start=count):
                vol_factor[place[name.removesuffix(VOL_SUFFIX)]] = 1.0 + move[:, f]
        return ScenarioSet(
            ids=ids,
            factors=self.names,
            move=np.ascontiguousarray(move[:, :count].T),
            vol_factor=vol_factor,
            weight=np.ones(len(ids)),
            source="history",
            start=self.days[int(self.opening[0])],
            end=self.days[int(self.opening[-1]) + longest],
        )


def _windows(
    history: History,
    names: Iterable[str],
    any_domain: Collection[str],
    horizon_days: Mapping[str, int] | int,
    lookback: int,
    minimum_days: int,
    warmup: int,
) -> _Windows:
    wanted = tuple(names)
    if not wanted:
        raise InvalidMarket("history", "no names to take from it", "at least one underlying")
    horizons = _horizons(wanted, horizon_days)
    opening = _openings(len(history.days), horizons, lookback, warmup)
    gaps = missing_history(
        history, wanted, horizon_days=horizon_days, lookback=lookback, minimum_days=minimum_days, warmup=warmup
    )
    if gaps:
        raise InvalidMarket(
            "history",
            f"too little of {some_of([f'{gap.name} ({gap.reason})' for gap in gaps])}",
            f"{minimum_days} closes or more of each, from {history.days[int(opening[0]) - warmup]} on",
            "bring more closes, or a shorter lookback",
        )
    series = _series(history, wanted)
    closes = history.closes[:, [history.names.index(name) for name in series]]
    absolute = np.array([name in any_domain for name in series], dtype=np.bool_)
    observed = ~np.isnan(closes)
    level = carried_levels(history, series, absolute)
    horizon_of = dict(zip(wanted, horizons, strict=True))
    return _Windows(
        days=history.days,
        names=wanted,
        series=series,
        level=level,
        observed=observed,
        opening=opening,
        horizon=np.array(
            [horizon_of[name if name in horizon_of else name.removesuffix(VOL_SUFFIX)] for name in series]
        ),
        absolute=absolute,
    )


def _series(history: History, names: Sequence[str]) -> tuple[str, ...]:
    """Return the names, then the vol series the table has for them."""
    return (*names, *(name + VOL_SUFFIX for name in names if name + VOL_SUFFIX in history.names))


def _horizons(names: Sequence[str], horizon_days: Mapping[str, int] | int) -> tuple[int, ...]:
    horizons = []
    for name in names:
        days = horizon_days if isinstance(horizon_days, int) else horizon_days.get(name)
        if isinstance(days, bool) or not isinstance(days, int) or days < 1:
            raise InvalidMarket(
                f"horizon of {name}", "nothing" if days is None else repr(days), "whole days, 1 or more"
            )
        horizons.append(days)
    return tuple(horizons)


def _openings(rows: int, horizons: Sequence[int], lookback: int, warmup: int) -> IntArray:
    """Return the rows at which windows open: the latest, so that the longest ends with the table."""
    if isinstance(lookback, bool) or lookback < 1:
        raise InvalidMarket("lookback", repr(lookback), "a number of windows, 1 or more")
    longest = max(horizons, default=1)
    count = min(lookback, rows - longest - warmup)
    if count < 1:
        raise InvalidMarket("history", f"{rows} days", f"{longest + warmup + 1} days or more")
    return np.arange(rows - longest - count, rows - longest)


def _missing(
    history: History, name: str, needed_from: int, opening: int, minimum_days: int, warmup: int
) -> MissingHistory | None:
    """Return what a series lacks: a close at row `needed_from`, enough closes in all and before `opening`."""
    rows = np.flatnonzero(~np.isnan(history.series(name))) if name in history.names else np.zeros(0, dtype=np.int64)
    if not len(rows):
        return MissingHistory(name=name, closes=0, first=None, last=None, reason="no closes")
    first, last = history.days[int(rows[0])], history.days[int(rows[-1])]
    before = int(np.searchsorted(rows, opening, side="right")) - 1
    if len(rows) < minimum_days:
        reason = f"{len(rows)} closes"
    elif rows[0] > needed_from:
        reason = f"first close {first}"
    elif len(history.days) - 1 - rows[-1] >= STALE_DAYS:
        reason = f"last close {last}"
    elif before < warmup // 2:
        reason = f"{before} closes before the first window"
    else:
        return None
    return MissingHistory(name=name, closes=len(rows), first=first, last=last, reason=reason)


def carried_levels(history: History, series: Sequence[str], absolute: BoolArray) -> FloatArray:
    """Return log closes, plain closes where `absolute` (F,), carried over closed days: (T, F), NaN before the first.

    Raises InvalidMarket where a close that is not `absolute` is 0 or below.
    """
    closes = history.closes[:, [history.names.index(name) for name in series]]
    for t, f in np.argwhere((closes <= 0.0) & ~absolute)[:1].tolist():
        raise InvalidMarket(
            f"history of {series[f]}, {history.days[t]}", f"a close of {closes[t, f]:g}", "closes above 0"
        )
    carried = _carried(closes, ~np.isnan(closes))
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(absolute, carried, np.log(carried))


def _carried(closes: FloatArray, observed: BoolArray) -> FloatArray:
    """Return closes (T, F) with each closed day filled by the latest close before it."""
    latest = np.maximum.accumulate(np.where(observed, np.arange(len(closes))[:, None], -1), axis=0)
    carried = np.take_along_axis(closes, np.maximum(latest, 0), axis=0)
    return np.where(latest >= 0, carried, np.nan)
