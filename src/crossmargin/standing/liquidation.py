"""Liquidation prices: where a pool breaches when one underlying moves and all else holds.

For each pool and each asset it is exposed to: the nearest price on each side at which margin_balance meets
maintenance margin, and every stretch of prices in breach. The margin of a pool is a piecewise smooth function of
the price with bends at strikes, grid moves and bracket edges, so it is scanned, dips between scan points are
searched for, and each change of side is closed in on from both sides; Newton's method could jump over the nearest
root.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crossmargin.instruments import KINDS
from crossmargin.ragged import owners
from crossmargin.standing.hypothetical import Hypothetical
from crossmargin.standing.standing import Standing
from crossmargin.units import BoolArray, FloatArray, IntArray

_OPTION = KINDS.index("option")

SEARCH_FACTOR = 1_000.0
"""Prices are searched from index / 1,000 to 1,000 x index; where they may be negative, index +- 1,000 ranges."""
_POINTS = 96
_POINTS_STRAIGHT = 16
"""Without options the margin of a pool is made of a few straight pieces."""
_POINTS_LEAST = 10
_BENDS_MOST = 600
_BENDS_CLOSE = 40
"""Pairs of at most so many options are scanned beside their bends too: few options may turn within a day's move."""
_WORK_MOST = 1_500_000
"""Legs x points of one pair's scan above which it takes fewer points: a pool of thousands of legs is smooth."""
_DIP_REACH = 10.0
"""A dip is looked into where its depth could be this many times what the scan saw of it."""
_DIP_STEPS = 40
_STEPS = 100
_TIGHT = 1e-13
"""Width of a bracket, relative to the price, at which its root is found."""
_RANGE_WITHOUT_GRID = 0.35
_PAIRS_AT_ONCE = 1_000
"""Pairs searched in one go: bounds memory, for models that keep a loss a scenario of each; no number depends on it."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Liquidation:
    """Liquidation prices of pools, one entry a pair (pool, asset); N pairs, NaN where there is none."""

    pool: IntArray
    asset: IntArray
    index: FloatArray
    """(N,) price now: the index in its quote asset; for an asset without contracts its value."""
    any_domain: BoolArray
    inside: BoolArray
    """(N,) already in breach; below and above are then the way back."""
    below: FloatArray
    above: FloatArray
    intervals: tuple[tuple[tuple[float, float], ...], ...]
    """(N,) stretches of prices in breach that end on both sides."""

    @classmethod
    def joined(cls, parts: list[Liquidation]) -> Liquidation:
        """Return the pairs of all parts, in order."""
        if len(parts) == 1:
            return parts[0]
        columns = {
            name: np.concatenate([getattr(part, name) for part in parts])
            for name in ("pool", "asset", "index", "any_domain", "inside", "below", "above")
        }
        return cls(**columns, intervals=tuple(interval for part in parts for interval in part.intervals))

    def ratio(self, price: FloatArray) -> FloatArray:
        """Return price / index, or price - index where the domain is `any`."""
        return np.where(self.any_domain, price - self.index, price / self.index)


def liquidation_prices(standing: Standing) -> Liquidation:
    """Return the liquidation prices of every pool that owes something, for every asset it is exposed to."""
    pool, asset = _pairs(standing)
    parts = []
    for low in range(0, max(1, len(pool)), _PAIRS_AT_ONCE):
        some = slice(low, low + _PAIRS_AT_ONCE)
        index = _index(standing, pool[some], asset[some])
        scan = Scan(standing, Hypothetical(standing, pool[some], asset[some]), index)
        scan.run()
        parts.append(scan.result(pool[some], asset[some], index))
    return Liquidation.joined(parts)


def _pairs(standing: Standing) -> tuple[IntArray, IntArray]:
    pools, terms = standing.pools, standing.valuation.catalogue
    owing = standing.owes
    leg_pool, balance_pool = pools.leg_pool, pools.balance_pool
    live = owing[leg_pool] & (pools.leg_quantity != 0)
    held = owing[balance_pool] & (pools.balance_amount != 0) & (pools.balance_asset != standing.valuation.currency)
    pool = np.concatenate((leg_pool[live], balance_pool[held]))
    asset = np.concatenate((terms.underlying[pools.leg_instrument[live]], pools.balance_asset[held]))
    found = np.unique(np.stack((pool, asset)), axis=1)
    return found[0], found[1]


def _index(standing: Standing, pool: IntArray, asset: IntArray) -> FloatArray:
    """Return the price now of each pair's asset: its stated index, else that of a contract held, else its value."""
    valuation, pools = standing.valuation, standing.pools
    assets = len(valuation.catalogue.assets)
    key = pools.leg_pool * assets + valuation.catalogue.underlying[pools.leg_instrument]
    order = np.argsort(key, kind="stable")
    wanted = pool * assets + asset
    at = np.minimum(np.searchsorted(key[order], wanted), max(len(key) - 1, 0))
    index = valuation.fx[asset]
    if len(key):
        leg = order[at]
        found = key[leg] == wanted
        index = np.where(found, valuation.index[pools.leg_instrument[leg]], index)
    # The same for every pool where the market states it, whatever its contracts are quoted in.
    stated = np.array([standing.market.prices.get(a.symbol, np.nan) for a in valuation.catalogue.assets])[asset]
    return np.where(np.isnan(stated), index, stated)


class Scan:
    """The search over all pairs at once. A position is a scan coordinate: ln(price / index), or price - index."""

    def __init__(self, standing: Standing, hypothetical: Hypothetical, index: FloatArray) -> None:
        self.standing = standing
        self.hypothetical = hypothetical
        self.any_domain = hypothetical.any_domain
        self.index = index
        self.pairs = np.arange(len(index))
        self.edges: list[list[tuple[float, float]]] = []

    def excess(self, pair: IntArray, position: FloatArray) -> FloatArray:
        """Return how far each state is from breach, (states,); see `Hypothetical.healthy_by`."""
        if not len(pair):
            return np.zeros(0)
        move = np.where(self.any_domain[pair], position, np.expm1(np.where(self.any_domain[pair], 0.0, position)))
        return self.hypothetical.healthy_by(pair, move)

    def run(self) -> None:
        """Scan, look into dips, close in on the roots."""
        pair, position = self._points()
        excess = self.excess(pair, position)
        pair, position, excess = self._with_dips(pair, position, excess)
        order = np.lexsort((position, pair))
        self.pair, self.position, self.breach = pair[order], position[order], excess[order] <= 0.0
        crossing = np.flatnonzero((np.diff(self.breach.astype(np.int8)) != 0) & (np.diff(self.pair) == 0))
        self.crossing_pair = self.pair[crossing]
        self.root = self._roots(self.crossing_pair, self.position[crossing], self.position[crossing + 1])
        self.into_breach = self.breach[crossing + 1]
        self.crossing_below = self.position[crossing + 1] <= 0.0

    def _points(self) -> tuple[IntArray, FloatArray]:
        """Return scan points: geometric steps from now to the ends of the search, and the bends in between."""
        legs = np.diff(self.hypothetical.pools.leg_start)
        each = np.clip(_WORK_MOST // (2 * legs + 1), _POINTS_LEAST, _POINTS)
        each[~self._with_options()] = _POINTS_STRAIGHT
        span = np.where(self.any_domain, self._any_span(), np.log(SEARCH_FACTOR))
        pairs, positions = [], []
        for points in np.unique(each).tolist():
            mine = np.flatnonzero(each == points)
            step = (np.arange(points + 1) / points) ** 1.75
            grid = np.concatenate((-step[:0:-1], step))
            pairs.append(np.repeat(mine, len(grid)))
            positions.append((span[mine, None] * grid).ravel())
        bends_pair, bends = self._bends()
        inside = np.abs(bends) < span[bends_pair]
        return np.concatenate([*pairs, bends_pair[inside]]), np.concatenate([*positions, bends[inside]])

    def _with_options(self) -> BoolArray:
        """Return which pairs hold options that a move touches, (N,)."""
        small = self.hypothetical.pools
        option = self.standing.valuation.catalogue.kind[small.leg_instrument] == _OPTION
        return np.bincount(owners(small.leg_start)[option], minlength=len(self.index)) > 0

    def _any_span(self) -> FloatArray:
        """Return how far prices that may be negative are searched, in price units, (N,)."""
        span = np.ones(len(self.index))
        assets, model = self.standing.valuation.catalogue.assets, self.standing.rules.model
        for k in np.flatnonzero(self.any_domain).tolist():
            usual = float(np.abs(model.bends(assets[self.hypothetical.asset[k]])).max()) or _RANGE_WITHOUT_GRID
            span[k] = SEARCH_FACTOR * usual * max(abs(self.index[k]), 1.0)
        return span

    def _bends(self) -> tuple[IntArray, FloatArray]:
        """Return positions where margin may bend: strikes seen from each scenario's move."""
        standing, small = self.standing, self.hypothetical.pools
        valuation, terms = standing.valuation, standing.valuation.catalogue
        owner = owners(small.leg_start)
        asset = self.hypothetical.asset[owner]
        instrument = small.leg_instrument
        rows = np.flatnonzero(
            (terms.kind[instrument] == _OPTION) & (terms.underlying[instrument] == asset) & ~self.any_domain[owner]
        )
        options = np.bincount(owner[rows], minlength=len(self.pairs))[owner[rows]]
        rows, options = rows[options <= _BENDS_MOST], options[options <= _BENDS_MOST]
        with np.errstate(divide="ignore", invalid="ignore"):
            strike = np.log(terms.strike[instrument[rows]] / valuation.forward[instrument[rows]])
        # Around a bend the margin turns over the width that the option's own vol leaves it until expiry.
        width = valuation.iv[instrument[rows]] * np.sqrt(valuation.tau[instrument[rows]])
        close = options <= _BENDS_CLOSE
        pairs, positions = [], []
        for a in np.unique(asset[rows]).tolist():
            mine = asset[rows] == a
            for move in standing.rules.model.bends(terms.assets[a]).tolist():
                if move > -1.0:
                    centre = strike - np.log1p(move)
                    for chosen, bend in (
                        (mine, centre),
                        (mine & close, centre - width),
                        (mine & close, centre + width),
                    ):
                        pairs.append(owner[rows][chosen])
                        positions.append(bend[chosen])
        if not pairs:
            return np.zeros(0, dtype=np.int64), np.zeros(0)
        return np.concatenate(pairs), np.concatenate(positions)

    def _with_dips(
        self, pair: IntArray, position: FloatArray, excess: FloatArray
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """Add the lowest point of every dip, and the highest of every bump, that does not change side in the scan.

        Both are looked for because a narrow way out of a breach matters as much as a narrow breach.
        """
        order = np.lexsort((position, pair))
        pair, position, excess = pair[order], position[order], excess[order]
        together = (pair[:-2] == pair[1:-1]) & (pair[1:-1] == pair[2:])
        middle = excess[1:-1]
        healthy = (excess[:-2] > 0) & (middle > 0) & (excess[2:] > 0)
        breach = (excess[:-2] <= 0) & (middle <= 0) & (excess[2:] <= 0)
        dip = together & healthy & (middle <= excess[:-2]) & (middle <= excess[2:])
        bump = together & breach & (middle >= excess[:-2]) & (middle >= excess[2:])
        seen = np.maximum(np.abs(excess[:-2] - middle), np.abs(excess[2:] - middle))
        found = np.flatnonzero((dip | bump) & (np.abs(middle) <= _DIP_REACH * seen))
        if not len(found):
            return pair, position, excess
        which = pair[found + 1]
        sign = np.where(dip[found], 1.0, -1.0)
        low, high = position[found], position[found + 2]
        inverse_phi = (np.sqrt(5.0) - 1.0) / 2.0
        left, right = high - inverse_phi * (high - low), low + inverse_phi * (high - low)
        at_left = sign * self.excess(which, left)
        at_right = sign * self.excess(which, right)
        # Copies: the search below moves left and right in place.
        extra = [(which, left.copy(), sign * at_left), (which, right.copy(), sign * at_right)]
        for _ in range(_DIP_STEPS):
            # One that has changed side needs no lowest point, only the change.
            open_ = np.flatnonzero((np.minimum(at_left, at_right) > 0) & (high - low > 1e-12))
            if not len(open_):
                break
            keep_left = at_left[open_] <= at_right[open_]
            go_left, go_right = open_[keep_left], open_[~keep_left]
            high[go_left], right[go_left], at_right[go_left] = right[go_left], left[go_left], at_left[go_left]
            left[go_left] = high[go_left] - inverse_phi * (high[go_left] - low[go_left])
            low[go_right], left[go_right], at_left[go_right] = left[go_right], right[go_right], at_right[go_right]
            right[go_right] = low[go_right] + inverse_phi * (high[go_right] - low[go_right])
            fresh = np.where(keep_left, left[open_], right[open_])
            value = sign[open_] * self.excess(which[open_], fresh)
            at_left[go_left] = value[keep_left]
            at_right[go_right] = value[~keep_left]
            extra.append((which[open_], fresh, sign[open_] * value))
        return (
            np.concatenate([pair, *(e[0] for e in extra)]),
            np.concatenate([position, *(e[1] for e in extra)]),
            np.concatenate([excess, *(e[2] for e in extra)]),
        )

    def _roots(self, pair: IntArray, low: FloatArray, high: FloatArray) -> FloatArray:
        """Return where each bracket changes side, the end that is in breach, to the last bits of the price."""
        if not len(pair):
            return np.zeros(0)
        # Prices that may be negative are scaled by their level, so that one width means the same for all.
        level = np.where(self.any_domain, np.maximum(np.abs(self.index), 1.0), 1.0)[pair]

        def excess(which: IntArray, position: FloatArray) -> FloatArray:
            return self.excess(pair[which], position * level[which])

        return closed_in(excess, low / level, high / level) * level

    def price(self, pair: IntArray, position: FloatArray) -> FloatArray:
        """Return the price at a position."""
        anywhere = self.any_domain[pair]
        return np.where(
            anywhere, self.index[pair] + position, self.index[pair] * np.exp(np.where(anywhere, 0.0, position))
        )

    def result(self, pool: IntArray, asset: IntArray, index: FloatArray) -> Liquidation:
        """Return the nearest roots on each side of now, and the stretches in breach."""
        count = len(pool)
        below, above = np.full(count, np.nan), np.full(count, np.nan)
        roots = self.price(self.crossing_pair, self.root)
        # Now is a scan point, so each crossing lies on one side of it; its root may be now itself.
        under = self.crossing_below
        np.fmax.at(below, self.crossing_pair[under], roots[under])
        np.fmin.at(above, self.crossing_pair[~under], roots[~under])
        now = np.flatnonzero(self.position == 0.0)
        inside = np.zeros(count, dtype=np.bool_)
        inside[self.pair[now]] = self.breach[now]
        intervals: list[list[tuple[float, float]]] = [[] for _ in range(count)]
        opened: dict[int, float] = {}
        for pair, root, enters in zip(
            self.crossing_pair.tolist(), roots.tolist(), self.into_breach.tolist(), strict=True
        ):
            if enters:
                opened[pair] = root
            elif pair in opened:
                intervals[pair].append((opened.pop(pair), root))
        return Liquidation(
            pool=pool,
            asset=asset,
            index=index,
            any_domain=self.any_domain,
            inside=inside,
            below=below,
            above=above,
            intervals=tuple(tuple(found) for found in intervals),
        )


def closed_in(excess: Callable[[IntArray, FloatArray], FloatArray], low: FloatArray, high: FloatArray) -> FloatArray:
    """Return a root in each bracket [low, high] whose ends differ in side, on the side where `excess` is <= 0.

    `excess` (numbers of brackets, positions) is asked for all brackets at once. Chandrupatla's method: inverse
    quadratic steps while they are safe, halving where not; a bracket is left when it is _TIGHT, or at an exact zero.
    """
    everybody = np.arange(len(low))
    a, b = high.copy(), low.copy()
    at_a, at_b = excess(everybody, a), excess(everybody, b)
    c, at_c, t = b.copy(), at_b.copy(), np.full(len(low), 0.5)
    active = everybody
    for _ in range(_STEPS):
        best = np.where(np.abs(at_a[active]) < np.abs(at_b[active]), a[active], b[active])
        exact = np.minimum(np.abs(at_a[active]), np.abs(at_b[active])) == 0.0
        width = np.abs(b[active] - a[active])
        least = _TIGHT * np.maximum(np.abs(best), 1.0)
        going = ~exact & (width > least)
        active, least = active[going], 0.5 * least[going] / width[going]
        if not len(active):
            break
        x = a[active] + np.clip(t[active], least, 1.0 - least) * (b[active] - a[active])
        at_x = excess(active, x)
        same = (at_x <= 0.0) == (at_a[active] <= 0.0)
        kept, passed = active[same], active[~same]
        c[kept], at_c[kept] = a[kept], at_a[kept]
        c[passed], at_c[passed] = b[passed], at_b[passed]
        b[passed], at_b[passed] = a[passed], at_a[passed]
        a[active], at_a[active] = x, at_x
        t[active] = _next_step(a[active], b[active], c[active], at_a[active], at_b[active], at_c[active])
    return np.where(at_a <= 0.0, a, b)


def _next_step(
    a: FloatArray, b: FloatArray, c: FloatArray, at_a: FloatArray, at_b: FloatArray, at_c: FloatArray
) -> FloatArray:
    """Return how far from a to b the next point lies: by inverse quadratic interpolation where safe, else half."""
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        xi = (a - b) / (c - b)
        phi = (at_a - at_b) / (at_c - at_b)
        safe = (phi**2 < xi) & ((1.0 - phi) ** 2 < 1.0 - xi)
        quadratic = at_a / (at_b - at_a) * at_c / (at_b - at_c) + (c - a) / (b - a) * at_a / (at_c - at_a) * at_b / (
            at_c - at_b
        )
    return np.where(safe & np.isfinite(quadratic), quadratic, 0.5)
