"""How near a breach cannot be: a lower bound of the distance to liquidation.

The pool is taken apart into parts that share no risk factor, no margin group and no place with a cap. At any joint
move x, with x_k the moves of part k's own factors and C the covariance of a day,

    excess(x) >= sum over parts of f_k(x_k),  f_k = margin_balance of the part - its requirement, nothing left out
    x' C^-1 x >= a sum over parts of x_k' C_kk^-1 x_k,  a = 1 / largest eigenvalue of C in the parts' own units

The first line holds where what a pool owes is at most the sum of what its parts owe with nothing left out of them: the
sub-additivity that grid, portfolio and expected shortfall claim, an equality where positions are charged one by one.
Each part is margined on a grid over all moves up to the distance already found, and the least distance at which the
parts together could use up the excess is the bound. A pool that is one part needs neither line: its own excess is
looked at.

What is shown: no joint move nearer than the bound is a breach, if nowhere inside a cell of a part's grid f_k is lower
than at the worst corner of the cell. Where a part has more than three factors, or the rule book's requirement is not
known to be sub-additive, nothing is shown and there is no bound.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product

import numpy as np

from crossmargin.margin import PositionModel
from crossmargin.margin.exposures import SETS
from crossmargin.margin.grid import Grid
from crossmargin.margin.historical import Historical
from crossmargin.margin.model import Ingredients
from crossmargin.margin.portfolio import Portfolio
from crossmargin.standing.factors import Factors, root_of
from crossmargin.standing.hypothetical import Hypothetical, Part, Totals
from crossmargin.standing.standing import Standing
from crossmargin.units import FloatArray, IntArray

_POINTS = {0: 1, 1: 257, 2: 41, 3: 13}
"""Grid points a direction, by how many directions a part varies in; odd, so that now is one of them."""
_BINS = 1_024
"""Steps of squared distance in which parts are put together: the bound loses one step a part at most."""
_SAME = 1e-9


def least_distance(standing: Standing, pool: int, factors: Factors, distance: float) -> float | None:
    """Return a distance below which no joint move is a breach, at most `distance`; None where nothing is shown."""
    parts = _parts(standing, pool, factors)
    roots = [root_of(factors.covariance[np.ix_(rows, rows)]) for rows in parts.factors]
    if any(root.shape[1] not in _POINTS for root in roots):
        return None
    if sum(len(rows) > 0 for rows in parts.factors) == 1:
        # All else stands still: the pool as it is.
        moving = next(k for k, rows in enumerate(parts.factors) if len(rows))
        hypothetical = Hypothetical(standing, np.array([pool]))
        excess = _on_grid(hypothetical, 0, factors, parts.factors[moving], roots[moving], distance)
        near, least = _cells(excess, distance)
        return min(float(np.sqrt(near[least <= 0.0].min(initial=np.inf))), distance)
    totals = _nothing_left_out(standing)
    if totals is None:
        return None
    count = len(parts.factors)
    hypothetical = Hypothetical(standing, np.full(count, pool), alone=parts.rows, totals=totals)
    now = hypothetical.at_shifts(np.arange(count), factors.shifts(np.zeros((count, len(factors)))))
    balance, whole = float(now.margin_balance.sum()), float(standing.margin_balance[pool])
    if abs(balance - whole) > _SAME * float(np.abs(now.margin_balance).sum()):
        return None
    spare, lost = float(now.excess.sum()), []
    for k, (rows, root) in enumerate(zip(parts.factors, roots, strict=True)):
        if len(rows):
            near, least = _cells(_on_grid(hypothetical, k, factors, rows, root, distance), distance)
            lost.append((near, float(now.excess[k]) - least))
    share = _share(factors, parts.factors, roots)
    return min(_together(lost, spare, distance, share), distance)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Parts:
    """Parts of a pool."""

    factors: list[IntArray]
    """Rows of the factors each depends on; none for what stands still."""
    rows: Part


def _parts(standing: Standing, pool: int, factors: Factors) -> _Parts:
    """Take a pool apart by what its holdings move with and are margined with."""
    pools, valuation = standing.pools, standing.valuation
    terms = valuation.catalogue
    group = [terms.asset_number[asset.group] for asset in terms.assets]
    capped = {k for k, location in enumerate(standing.book.locations) if location.cap is not None}
    parent: dict[tuple[str, int], tuple[str, int]] = {}

    def top(node: tuple[str, int]) -> tuple[str, int]:
        while parent.setdefault(node, node) != node:
            node = parent[node]
        return node

    def linked(nodes: list[tuple[str, int]]) -> tuple[str, int]:
        first = top(nodes[0])
        for node in nodes[1:]:
            parent[top(node)] = first
        return first

    def moving(asset: int) -> list[tuple[str, int]]:
        """Return the group of an asset and of what its price is stated in; nothing of the reporting currency."""
        found = []
        while asset >= 0:
            if asset != valuation.currency or valuation.currency in factors.price_of:
                found.append(("group", group[asset]))
            asset = int(valuation.priced_in[asset])
        return found

    # Where the reporting currency is itself traded, what it is quoted in moves with it.
    for asset in terms.quote[terms.underlying == valuation.currency].tolist():
        linked([("group", group[valuation.currency]), ("group", group[asset])])
    legs = list(range(int(pools.leg_start[pool]), int(pools.leg_start[pool + 1])))
    balances = list(range(int(pools.balance_start[pool]), int(pools.balance_start[pool + 1])))
    node_of_leg, node_of_balance = [], []
    for row in legs:
        k = int(pools.leg_instrument[row])
        nodes = [("group", group[terms.underlying[k]])]
        for asset in (terms.underlying[k], terms.settle[k], terms.quote[k]):
            nodes += moving(int(asset))
        node_of_leg.append(linked(nodes))
    for row in balances:
        asset, place = int(pools.balance_asset[row]), int(pools.balance_location[row])
        nodes = moving(asset) or [("group", group[asset])]
        if place in capped:
            nodes.append(("place", place))
        node_of_balance.append(linked(nodes))
    node_of_factor = [linked(moving(int(a)) or [("group", group[a])]) for a in (*factors.price_of, *factors.vol_of)]
    number: dict[tuple[str, int], int] = {}
    for node in (*node_of_leg, *node_of_balance, *node_of_factor):
        number.setdefault(top(node), len(number))

    def column(nodes: list[tuple[str, int]], rows: list[int]) -> tuple[IntArray, IntArray]:
        part = np.array([number[top(node)] for node in nodes], dtype=np.int64)
        order = np.argsort(part, kind="stable")
        return part[order], np.array(rows, dtype=np.int64)[order]

    of_factor = np.array([number[top(node)] for node in node_of_factor], dtype=np.int64)
    return _Parts(
        factors=[np.flatnonzero(of_factor == k) for k in range(len(number))],
        rows=Part(column(node_of_leg, legs), column(node_of_balance, balances)),
    )


def _nothing_left_out(standing: Standing) -> Totals | None:
    """Return the totals of the rule book with nothing left out of a pool; None where they may not be sub-additive."""
    model = standing.rules.model
    if isinstance(model, PositionModel):
        return model.totals
    if isinstance(model, Portfolio):
        return _with_dear_sets(model.totals, lambda figures: replace(figures, counted=_dear(figures.counted)))
    if isinstance(model, Grid) or (isinstance(model, Historical) and model.measure == "es"):
        return _with_dear_sets(model.totals, lambda columns: np.hstack((columns[:, :-SETS], _dear(columns[:, -SETS:]))))
    return None


def _with_dear_sets(totals: Totals, changed: Callable[[Ingredients], Ingredients]) -> Totals:
    return lambda ingredients, credit: totals(changed(ingredients), credit)


def _dear(counted: FloatArray) -> FloatArray:
    """Return counted values (P, SETS) with which leaving something out never costs least."""
    dear = np.full(counted.shape, np.inf)
    dear[:, 0] = counted[:, 0]
    return dear


def _on_grid(
    hypothetical: Hypothetical, part: int, factors: Factors, rows: IntArray, root: FloatArray, distance: float
) -> FloatArray:
    """Return the excess of a part on a grid over [-distance, distance] in each of its directions."""
    size = root.shape[1]
    points = _POINTS[size]
    line = np.linspace(-distance, distance, points)
    line[points // 2] = 0.0
    u = np.array(list(product(line, repeat=size)))
    moves = np.zeros((len(u), len(factors)))
    moves[:, rows] = u @ root.T
    excess = hypothetical.at_shifts(np.full(len(u), part), factors.shifts(moves)).excess
    return np.where(np.isnan(excess), -np.inf, excess).reshape((points,) * size)


def _cells(excess: FloatArray, distance: float) -> tuple[FloatArray, FloatArray]:
    """Return the least squared distance in each cell of a grid, and the excess at its worst corner, flat."""
    points, size = excess.shape[0], excess.ndim
    least = excess
    for axis in range(size):
        least = np.minimum(np.delete(least, -1, axis=axis), np.delete(least, 0, axis=axis))
    line = np.linspace(-distance, distance, points)
    line[points // 2] = 0.0
    near = np.minimum(np.abs(line[:-1]), np.abs(line[1:])) ** 2
    total = np.zeros(least.shape)
    for axis in range(size):
        total = total + near.reshape([-1 if k == axis else 1 for k in range(size)])
    return total.ravel(), least.ravel()


def _share(factors: Factors, rows: list[IntArray], roots: list[FloatArray]) -> float:
    """Return a: the least that x' C^-1 x is of the sum of the parts' own squared distances."""
    order = np.concatenate(rows)
    inverse = np.zeros((sum(root.shape[1] for root in roots), len(order)))
    down = across = 0
    for root in roots:
        inverse[down : down + root.shape[1], across : across + root.shape[0]] = np.linalg.pinv(root)
        down, across = down + root.shape[1], across + root.shape[0]
    seen = inverse @ factors.covariance[np.ix_(order, order)] @ inverse.T
    return float(1.0 / max(np.linalg.eigvalsh(seen).max(), 1.0))


def _together(lost: list[tuple[FloatArray, FloatArray]], spare: float, distance: float, share: float) -> float:
    """Return the least distance at which parts may lose `spare` between them.

    `lost` has squared distances and losses of the cells of each part. Cells are put into steps of squared distance,
    rounded down, and steps of the parts together: the most that can be lost within each total.
    """
    if spare <= 0.0:
        return 0.0
    step = distance**2 / share / _BINS
    together = np.zeros(_BINS + 1)
    for near, loss in lost:
        inside = near <= distance**2
        most = np.full(_BINS + 1, -np.inf)
        np.maximum.at(most, (near[inside] / step).astype(np.int64), loss[inside])
        most = np.maximum.accumulate(most)
        together = np.array([np.max(together[: b + 1] + most[b::-1]) for b in range(_BINS + 1)])
    reached = np.flatnonzero(together >= spare)
    return distance if not len(reached) else float(np.sqrt(share * step * reached[0]))
