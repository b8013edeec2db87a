"""Distance to liquidation: the most likely joint move of all risk factors that brings a pool into breach.

Moves x of the factors (`factors_of`) have the Mahalanobis distance sqrt(x' C^-1 x), C the covariance of a day: 3 is as
far as three standard deviations of one factor alone, the others following as they usually do. Among all x with
margin_balance <= maintenance margin the nearest is searched for from many starts, since with options there may be many
local ones; what is found is a breach, so the distance is at most this. How near none can be is told apart
(`breach_bound`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from crossmargin.standing.breach_bound import least_distance
from crossmargin.standing.factors import Factors, factors_of
from crossmargin.standing.hypothetical import Hypothetical
from crossmargin.standing.liquidation import closed_in
from crossmargin.standing.standing import Standing
from crossmargin.units import BoolArray, FloatArray, IntArray

_RANDOM_STARTS = 48
_SEED = 20261120
_POINTS = 28
"""Steps from now to the end of each start's ray, closer together near now."""
_REFINED = 8
"""Starts that are followed down, the nearest breaches first."""
_ROUNDS = 30
_TURNS = (1.0, 0.5, 0.2, 0.05)
"""How far a ray is turned towards the steepest fall, in tries."""
_NEARER = 1.0 - np.array([0.6, 0.35, 0.2, 0.1, 0.05, 0.02, 5e-3, 5e-4, 1e-5])
"""Where along a turned ray a nearer breach is looked for, in shares of the distance so far."""
_GRADIENT_STEP = 1e-4
_POLISH_ROUNDS = 14
_GAIN = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """The nearest joint move found that brings a pool into breach."""

    distance: float | None
    """In standard deviations of a day; 0: in breach already; None: no breach found, or nothing is owed."""
    lower_bound: float | None
    """No breach is nearer, in the sense of `breach_bound`; None where nothing is shown."""
    moves: Mapping[str, float]
    """By asset: the relative move of its price, or the difference where prices may be negative."""
    vol_moves: Mapping[str, float]
    """By underlying: the relative change of the implied vols of its options."""
    starts: int
    """Rays that were searched."""
    source: str
    """Where the covariance comes from: `history` or `reference`."""


def most_likely_breach(standing: Standing, pool: int) -> Breach:
    """Return the most likely joint move of prices and vols that brings one pool into breach."""
    factors = factors_of(standing, pool)
    ground = _Ground(standing, pool, factors)
    if standing.owes[pool] and ground.excess(np.zeros((1, factors.root.shape[1])))[0] <= 0.0:
        return Breach(distance=0.0, lower_bound=0.0, moves={}, vol_moves={}, starts=0, source=factors.source)
    searched = standing.owes[pool] and factors.root.shape[1] > 0
    starts = _starts(factors, ground) if searched else np.zeros((0, 0))
    found = _nearest(ground, factors, starts) if searched else None
    if found is None:
        return Breach(
            distance=None, lower_bound=None, moves={}, vol_moves={}, starts=len(starts), source=factors.source
        )
    distance = float(np.linalg.norm(found))
    shifts = factors.shifts((factors.root @ found)[None, :])
    names = [asset.symbol for asset in standing.valuation.catalogue.assets]
    vol = shifts.vol
    return Breach(
        distance=distance,
        lower_bound=least_distance(standing, pool, factors, distance),
        moves={names[a]: float(shifts.size[0, a]) for a in factors.price_of.tolist()},
        vol_moves={} if vol is None else {names[a]: float(vol[0, a] - 1.0) for a in factors.vol_of.tolist()},
        starts=len(starts),
        source=factors.source,
    )


class _Ground:
    """The excess of one pool over joint moves, told in directions u of unit variance."""

    def __init__(self, standing: Standing, pool: int, factors: Factors) -> None:
        self.hypothetical = Hypothetical(standing, np.array([pool]))
        self.factors = factors

    def excess(self, u: FloatArray) -> FloatArray:
        """Return margin_balance - maintenance of the states u (n, r), (n,)."""
        shifts = self.factors.shifts(u @ self.factors.root.T)
        return self.hypothetical.at_shifts(np.zeros(len(u), dtype=np.int64), shifts).excess

    def along(self, direction: FloatArray) -> Callable[[IntArray, FloatArray], FloatArray]:
        """Return a function (rays, positions) -> excess, of rays with the unit directions (n, r)."""
        return lambda which, position: self.excess(direction[which] * position[:, None])

    def brackets(self, direction: FloatArray, share: FloatArray, reach: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (healthy, breaching) positions around the first breach seen on each ray, NaN where none is seen.

        Rays are looked at in the rising shares `share` of `reach` (n,).
        """
        position = reach[:, None] * share
        rays, points = position.shape
        u = np.repeat(direction, points, axis=0) * position.reshape(-1, 1)
        breach = self.excess(u).reshape(rays, points) <= 0.0
        first = np.argmax(breach, axis=1)
        everybody = np.arange(rays)
        some = breach.any(axis=1)
        low = np.where(first > 0, position[everybody, np.maximum(first - 1, 0)], 0.0)
        return np.where(some, low, np.nan), np.where(some, position[everybody, first], np.nan)

    def gradient(self, u: FloatArray) -> FloatArray:
        """Return the slope of the excess at u (n, r), by central differences, (n, r)."""
        rays, size = u.shape
        step = _GRADIENT_STEP * np.maximum(np.linalg.norm(u, axis=1), 1e-2)
        ways = np.eye(size)[None, :, :] * step[:, None, None]
        states = np.concatenate((u[:, None, :] + ways, u[:, None, :] - ways), axis=1).reshape(-1, size)
        up, down = np.split(self.excess(states).reshape(rays, 2 * size), 2, axis=1)
        return np.asarray((up - down) / (2.0 * step[:, None]))


def _starts(factors: Factors, ground: _Ground) -> FloatArray:
    """Return unit directions to look for breaches in, (n, r): both ways of each line.

    Lines: each factor's move alone, its most likely companions with it, the directions that vary most, the steepest
    fall from now, and random ones, the same in every run.
    """
    root = factors.root
    size = root.shape[1]
    alone = np.linalg.pinv(root).T
    random = np.random.default_rng(_SEED).standard_normal((_RANDOM_STARTS, size)) if size > 1 else np.ones((1, size))
    lines = np.concatenate((alone, root, np.eye(size), ground.gradient(np.zeros((1, size))), random))
    length = np.linalg.norm(lines, axis=1)
    lines = lines[length > 0.0] / length[length > 0.0, None]
    return np.concatenate((lines, -lines))


def _nearest(ground: _Ground, factors: Factors, starts: FloatArray) -> FloatArray | None:
    """Return the nearest breach u found, (r,)."""
    share = (np.arange(1, _POINTS + 1) / _POINTS) ** 1.75
    low, high = ground.brackets(starts, share, factors.reach(starts))
    order = np.argsort(high, kind="stable")
    order = order[np.isfinite(high[order])]
    if not len(order):
        return None
    order = _apart(starts, order)
    direction = starts[order]
    distance = closed_in(ground.along(direction), low[order], high[order])
    direction, distance = _followed_down(ground, direction, distance)
    best = int(np.argmin(distance))
    return _polished(ground, direction[best], float(distance[best]))


def _apart(starts: FloatArray, order: IntArray) -> IntArray:
    """Return the first of `order` whose directions differ."""
    chosen: list[int] = []
    for k in order.tolist():
        if all(float(starts[k] @ starts[other]) < 0.98 for other in chosen):
            chosen.append(k)
        if len(chosen) == _REFINED:
            break
    return np.array(chosen, dtype=np.int64)


def _followed_down(ground: _Ground, direction: FloatArray, distance: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Turn each ray towards where the excess falls most steeply at its breach, as long as breaches come nearer.

    At a nearest breach the ray already points down the steepest fall; elsewhere on a smooth boundary a small enough
    turn towards it finds a nearer one.
    """
    direction, distance = direction.copy(), distance.copy()
    turns = np.array(_TURNS)
    active = np.arange(len(distance))
    for _ in range(_ROUNDS):
        if not len(active) or direction.shape[1] == 1:
            break
        slope = ground.gradient(direction[active] * distance[active, None])
        length = np.linalg.norm(slope, axis=1)
        known = np.isfinite(length) & (length > 0.0)
        active, slope = active[known], slope[known] / length[known, None]
        if not len(active):
            break
        tried = (1.0 - turns)[:, None] * direction[active][:, None, :] - turns[:, None] * slope[:, None, :]
        active = active[_taken(ground, direction, distance, active, tried)]
    return direction, distance


def _taken(
    ground: _Ground, direction: FloatArray, distance: FloatArray, active: IntArray, tried: FloatArray
) -> BoolArray:
    """Put the nearest breach of the rays `tried` (active, tries, r) in place of each active one's, where nearer.

    Returns which active ones have come nearer.
    """
    size = tried.shape[2]
    length = np.linalg.norm(tried, axis=2, keepdims=True)
    rays = np.where(length > 0.0, tried / np.where(length > 0.0, length, 1.0), direction[active][:, None, :])
    flat = rays.reshape(-1, size)
    share = np.sort(_NEARER)
    low, high = ground.brackets(flat, share, np.repeat(distance[active], rays.shape[1]))
    high = np.where(np.isfinite(high), high, np.inf).reshape(len(active), -1)
    best = np.argmin(high, axis=1)
    everybody = np.arange(len(active))
    nearer = np.isfinite(high[everybody, best])
    chosen = np.flatnonzero(nearer)
    if len(chosen):
        ray = rays[chosen, best[chosen]]
        found = closed_in(
            ground.along(ray), low.reshape(len(active), -1)[chosen, best[chosen]], high[chosen, best[chosen]]
        )
        gained = distance[active[chosen]] - found > _GAIN * distance[active[chosen]]
        direction[active[chosen[gained]]], distance[active[chosen[gained]]] = ray[gained], found[gained]
        nearer[chosen[~gained]] = False
    return np.asarray(nearer, dtype=np.bool_)


def _polished(ground: _Ground, direction: FloatArray, distance: float) -> FloatArray:
    """Return the breach on a ray, nudged across: where the boundary has an edge the steepest fall leads nowhere."""
    size = len(direction)
    ray, at = direction[None, :].copy(), np.array([distance])
    step, only = 0.2, np.zeros(1, dtype=np.int64)
    across = np.linalg.qr(np.concatenate((direction[:, None], np.eye(size)), axis=1))[0][:, 1:size].T
    for _ in range(_POLISH_ROUNDS if size > 1 else 0):
        ways = np.concatenate((across, -across)) * step
        if not _taken(ground, ray, at, only, (ray[0] + ways)[None, :, :])[0]:
            step *= 0.4
    return np.asarray(ray[0] * at[0])
