"""Missing history by proxy: beta x another series plus its own kind of noise. No day is ever dropped.

    change of the missing series = beta x change of the proxy + a residual drawn from those on record

Drawn by a hash of name and day: the same series comes out whatever other names are asked for, and a day more of
history changes the draws of about one day in as many as there are residuals.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import shake_256

import numpy as np
from numpy.typing import NDArray

from crossmargin.errors import InvalidMarket, some_of
from crossmargin.instruments import asset_class_of
from crossmargin.market import History
from crossmargin.scenarios.history import (
    STALE_DAYS,
    VOL_SUFFIX,
    carried_levels,
    missing_history,
)
from crossmargin.scenarios.reference import reference_set
from crossmargin.scenarios.scenario_set import DAYS_A_YEAR
from crossmargin.units import BoolArray, FloatArray, IntArray

OVERLAP_DAYS = 60
"""Common changes from which a beta is measured; with fewer it follows from vols and the class correlation."""

RESIDUALS_MOST = 500
"""Residuals drawn from: the latest."""


class NoSeries(InvalidMarket):
    """A history in which nothing can stand in for anything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StandIn:
    """A series that was completed, and how."""

    name: str
    proxy: str
    """The series that stands in; empty where the missing part is held still (pegs, vols)."""
    beta: float
    residual_vol: float
    """Standard deviation of the residuals: log return, or price units where the domain is `any`."""
    measured: bool
    """True where beta comes from days on which both had closes; False where it follows from vols and correlation."""
    closes: int
    """Closes of its own that were used."""
    filled: int
    """Days filled in."""
    reason: str
    """What the series lacked."""

    def __str__(self) -> str:
        if not self.proxy:
            return f"{self.name} ({self.reason}): held still"
        how = "measured" if self.measured else "from vols and class correlation"
        return f"{self.name} ({self.reason}): {self.beta:.2f} x {self.proxy} plus residuals, {how}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Track:
    """A series as levels, (T,): log closes, or plain ones where the domain is `any`."""

    level: FloatArray
    """Carried over closed days; NaN before the first close."""
    observed: BoolArray
    own: BoolArray
    """True where the close is on record, False where it was made."""

    @property
    def rows(self) -> IntArray:
        """Rows with a close."""
        return np.flatnonzero(self.observed)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Fit:
    beta: float
    residual: FloatArray
    """Centred; one a `day`."""
    day: IntArray
    """Day number of each residual."""
    measured: bool


_STILL = _Fit(beta=0.0, residual=np.zeros(1), day=np.zeros(1, dtype=np.int64), measured=False)


def completed(
    history: History,
    names: Iterable[str],
    *,
    classes: Mapping[str, str],
    horizon_days: Mapping[str, int] | int,
    lookback: int,
    minimum_days: int,
    warmup: int,
    vol_annual: Mapping[str, float],
    proxies: Mapping[str, Sequence[str]] | None = None,
    groups: Mapping[str, str] | None = None,
    any_domain: Collection[str] = (),
    price_scale: Mapping[str, float] | None = None,
) -> tuple[History, tuple[StandIn, ...]]:
    """Return a table in which every one of `names` fills the windows, and what was done to those that did not.

    A series that `missing_history` reports keeps its own closes; before its first and after its last (once stale) it
    follows a proxy: its group's leader, else the first usable name of `proxies` for its class, else the usable series
    with the largest class correlation. Beta is measured on common days, from OVERLAP_DAYS of them on; else it is
    correlation x ratio of vols (`vol_annual` against the proxy's own), in a group 1 without residual. A series still
    short of `minimum_days` closes is replaced whole. Stable coins hold their peg, vols stay, where they are missing.
    `classes` are those of names and, where known, of other series; `price_scale`: for names in `any_domain` what
    their `vol_annual` is a fraction of. Raises NoSeries where there is nothing to follow.
    """
    wanted = tuple(names)
    followed = {name: (groups or {}).get(name, name) for name in wanted}
    series = tuple(name for name in history.names if not name.endswith(VOL_SUFFIX))
    longest = horizon_days if isinstance(horizon_days, int) else max(horizon_days[name] for name in wanted)

    def lacking(table: History, asked: Iterable[str]) -> dict[str, str]:
        gaps = missing_history(
            table, asked, horizon_days=longest, lookback=lookback, minimum_days=minimum_days, warmup=warmup
        )
        return {gap.name: gap.reason for gap in gaps}

    gaps = lacking(history, dict.fromkeys((*wanted, *series)))
    tracks = {name: _track(history, name, name in any_domain, name in wanted) for name in series}
    needed = lookback + warmup + longest
    moving = [
        name
        for name in series
        if name not in gaps and _moves(name, tracks[name], _rows(tracks[name], needed, minimum_days), classes)
    ]
    if not moving:
        found = f"no series moves and fills the windows, among {some_of(series)}" if series else "no series"
        raise NoSeries("history", found, f"{minimum_days} closes or more of one that moves")
    days = np.array([day.toordinal() for day in history.days], dtype=np.int64)
    whole = {name: tracks[name] for name in wanted if name not in gaps}
    stand_ins: list[StandIn] = []
    # Leaders first: what follows a completed series follows it as completed.
    for name in sorted((name for name in wanted if name in gaps), key=lambda name: followed[name] != name):
        own = tracks.get(name, _nothing(len(days)))
        scale = (price_scale or {}).get(name, 1.0) if name in any_domain else 1.0
        if classes[name] == "stablecoin":
            proxy, leading, fit = "", _still(len(days)), _STILL
        elif followed[name] != name and followed[name] in whole:
            proxy, leading = followed[name], whole[followed[name]]
            fit = _measured(own, leading, days) or replace(_STILL, beta=1.0)
        else:
            proxy = _proxy(name, classes, (proxies or {}).get(classes[name], ()), moving)
            leading, correlation = tracks[proxy], _correlation(name, proxy, classes)
            rows = _rows(leading, needed, minimum_days)
            fit = _measured(own, leading, days) or _stated(leading, rows, days, vol_annual[name] * scale, correlation)
        rows = _rows(leading, needed, minimum_days)
        made = fit.beta * leading.level + np.cumsum(_noise(name, days, rows, fit))
        track = _spliced(own, made, rows)
        if lacking(_table(history, {name: track}, any_domain), [name]):
            track = _replaced(made, rows)
        whole[name] = track
        stand_ins.append(
            StandIn(
                name=name,
                proxy=proxy,
                beta=fit.beta,
                residual_vol=float(np.std(fit.residual)),
                measured=fit.measured,
                closes=int(track.own.sum()),
                filled=int((track.observed & ~track.own).sum()),
                reason=gaps[name],
            )
        )
    table = _table(history, {name: whole[name] for name in wanted}, any_domain)
    vols = [name + VOL_SUFFIX for name in wanted if name + VOL_SUFFIX in history.names]
    stand_ins.extend(_held_vol(vol, gaps[vol]) for vol in vols if vol in gaps)
    kept = [vol for vol in vols if vol not in gaps]
    closes = np.column_stack((table.closes, *(history.series(vol) for vol in kept)))
    return History(days=history.days, names=(*wanted, *kept), closes=closes), tuple(stand_ins)


# --- choosing and fitting ------------------------------------------------------------------------------------------


def _moves(name: str, track: _Track, rows: IntArray, classes: Mapping[str, str]) -> bool:
    """Return whether a series can stand in for another: a peg cannot, nor a price that changed too seldom."""
    changes = np.diff(track.level[rows])
    pegged = classes.get(name, asset_class_of(name)) == "stablecoin"
    return not pegged and 2 * int(np.count_nonzero(changes)) > len(changes)


def _proxy(name: str, classes: Mapping[str, str], preferred: Sequence[str], moving: Sequence[str]) -> str:
    for candidate in preferred:
        if candidate in moving:
            return candidate
    return max(sorted(moving), key=lambda candidate: _correlation(name, candidate, classes))


def _correlation(name: str, proxy: str, classes: Mapping[str, str]) -> float:
    return reference_set().correlation(classes[name], classes.get(proxy, asset_class_of(proxy)))


def _measured(own: _Track, leading: _Track, days: IntArray) -> _Fit | None:
    """Return the regression through the origin over the days both closed; None where these are too few."""
    common = np.flatnonzero(own.observed & leading.observed)
    if len(common) <= OVERLAP_DAYS:
        return None
    y, x = np.diff(own.level[common]), np.diff(leading.level[common])
    square = float(x @ x)
    if square == 0.0:
        return None
    beta = float(x @ y) / square
    residual = y - beta * x
    residual = (residual - residual.mean())[-RESIDUALS_MOST:]
    return _Fit(beta=beta, residual=residual, day=days[common[1:]][-RESIDUALS_MOST:], measured=True)


def _stated(leading: _Track, rows: IntArray, days: IntArray, vol_annual: float, correlation: float) -> _Fit:
    """Return the fit that gives the series its vol and its correlation; its residuals have the proxy's shape."""
    x = np.diff(leading.level[rows])
    step_days = (days[rows[-1]] - days[rows[0]]) / len(x)
    vol = vol_annual * np.sqrt(step_days / DAYS_A_YEAR)
    spread = float(np.sqrt(np.mean(x**2)))
    shape = (x - x.mean())[-RESIDUALS_MOST:]
    shape /= np.std(shape)
    return _Fit(
        beta=float(correlation * vol / spread),
        residual=vol * np.sqrt(1.0 - correlation**2) * shape,
        day=days[rows[1:]][-RESIDUALS_MOST:],
        measured=False,
    )


def _noise(name: str, days: IntArray, nodes: IntArray, fit: _Fit) -> FloatArray:
    """Return the residual of each row, (T,), 0 where the proxy had no close: each day draws the residual whose hash
    with it is largest, so that one residual more takes over only the days it wins."""
    noise = np.zeros(len(days))
    seed = np.frombuffer(shake_256(name.encode()).digest(8), dtype="<u8")
    weight = _scrambled(
        _scrambled(days[nodes].astype(np.uint64) + seed)[:, None] ^ _scrambled(fit.day.astype(np.uint64))
    )
    noise[nodes] = fit.residual[np.argmax(weight, axis=1)]
    return noise


def _scrambled(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return 64-bit numbers mixed so that every input bit moves every output bit (the finalizer of SplitMix64)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


# --- putting series together ---------------------------------------------------------------------------------------


def _track(history: History, name: str, absolute: bool, known: bool) -> _Track:
    closes = history.series(name)
    if not known:
        # A series that no contract is on says itself whether its prices can be negative.
        absolute = bool((closes <= 0.0).any())
    level = carried_levels(history, [name], np.array([absolute]))[:, 0]
    return _Track(level=level, observed=~np.isnan(closes), own=~np.isnan(closes))


def _nothing(rows: int) -> _Track:
    none = np.zeros(rows, dtype=np.bool_)
    return _Track(level=np.full(rows, np.nan), observed=none, own=none)


def _still(rows: int) -> _Track:
    return _Track(level=np.zeros(rows), observed=np.ones(rows, dtype=np.bool_), own=np.zeros(rows, dtype=np.bool_))


def _rows(leading: _Track, needed: int, minimum_days: int) -> IntArray:
    """Return the rows to fill: closes of the proxy over the latest `needed` rows, at least `minimum_days` of them."""
    rows = leading.rows
    # The close before those rows too: the proxy's market may have been closed on the first of them.
    first = int(np.searchsorted(rows, len(leading.level) - needed, side="right")) - 1
    return rows[max(min(first, len(rows) - minimum_days), 0) :]


def _spliced(own: _Track, synthetic: FloatArray, nodes: IntArray) -> _Track:
    """Return own closes, with the changes of `synthetic` at `nodes` before the first and after the last if stale."""
    if not own.observed.any():
        return own
    first, last = int(own.rows[0]), int(own.rows[-1])
    level, observed = own.level.copy(), own.observed.copy()
    before = nodes[nodes < first]
    level[before] = own.level[first] + _since(synthetic, before, first)
    observed[before] = True
    if len(level) - 1 - last >= STALE_DAYS:
        after = nodes[nodes > last]
        level[after] = own.level[last] + _since(synthetic, after, last)
        observed[after] = True
    return _Track(level=level, observed=observed, own=own.own)


def _since(synthetic: FloatArray, rows: IntArray, anchor: int) -> FloatArray:
    """Return the change of `synthetic` from row `anchor` to each row; from the first row where it starts later."""
    start = synthetic[anchor]
    if np.isnan(start) and len(rows):
        start = synthetic[rows[0]]
    return np.asarray(synthetic[rows] - start)


def _replaced(synthetic: FloatArray, nodes: IntArray) -> _Track:
    """Return a series made altogether; only its changes mean anything, it ends at a log close of 0."""
    track = _nothing(len(synthetic))
    track.level[nodes] = synthetic[nodes] - synthetic[nodes[-1]]
    observed = track.observed.copy()
    observed[nodes] = True
    return replace(track, observed=observed)


def _table(history: History, tracks: Mapping[str, _Track], any_domain: Collection[str]) -> History:
    """Return the tracks as closes, NaN where there is none; closes on record to the bit."""
    closes = np.full((len(history.days), len(tracks)), np.nan)
    for k, (name, track) in enumerate(tracks.items()):
        made = track.observed & ~track.own
        closes[made, k] = track.level[made] if name in any_domain else np.exp(track.level[made])
        if track.own.any():
            closes[track.own, k] = history.series(name)[track.own]
    return History(days=history.days, names=tuple(tracks), closes=closes)


def _held_vol(name: str, reason: str) -> StandIn:
    return StandIn(name=name, proxy="", beta=0.0, residual_vol=0.0, measured=False, closes=0, filled=0, reason=reason)
