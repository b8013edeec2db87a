"""Programs: the cheapest trades after which a requirement is where it should be. Integer programs, solved by HiGHS.

A requirement is convex in what is traded as long as it is a worst loss, a shortfall or a sum of such (scenarios are
revalued, so options are no exception). The program knows it through tangents: it proposes trades, the pool is margined
with them, and where the requirement is still too high its tangent there is added and the program runs again. Each
proposal costs at most what the best answer costs, so the last one that was too cheap is a bound on every answer.
Add-ons that net, tiers and what is owned outright can make a requirement not convex; where a tangent contradicts what
was margined before, the bound stays at what was proved until then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

from crossmargin.errors import InputError
from crossmargin.standing import Standing
from crossmargin.units import BoolArray, FloatArray
from crossmargin.whatif.trades import Outcomes, Trades

SPREAD_BY_CLASS = {
    "crypto": 0.0005,
    "equity": 0.0005,
    "equity_index": 0.0002,
    "fx": 0.0001,
    "energy": 0.0003,
    "metals": 0.0002,
    "rates": 0.0001,
    "stablecoin": 0.0002,
    "other": 0.005,
}
"""What trading costs of the notional where nobody says: half a spread and a fee, by asset class (our own estimate)."""

_ROUNDS = 100
_GAP, _SECONDS_A_ROUND = 1e-6, 2.0
"""When a round's program is good enough; the bound is then the solver's own."""
_TRADED_MOST = 4.0
"""Contracts of one kind a hedge may trade, in multiples of the pool's gross notional."""
_APART, _STEP = 1e-5, 1e-7
"""How far beside a proposal a tangent is taken, and over what step, in the same multiples: proposals lie on kinks."""
_TOLERANCE = 1e-9
_NEAR = 1e-5
_DUST = 1e-8
_CONTRADICTS = 1e-6
"""Of the gross notional: a tangent above what was margined by more than this is no tangent of a convex function."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trade:
    """So many contracts bought (> 0) or sold, and what that costs beside the price."""

    symbol: str
    quantity: float
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """A pool before or after a plan, in the reporting currency."""

    margin_balance: float
    maintenance_margin: float
    initial_margin: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Trades, what they cost, and how much less the best there is could cost."""

    trades: tuple[Trade, ...]
    cost: float
    bound: float
    """No trades that reach the target cost less."""
    proved: bool
    """False where the requirement was seen not to be convex: a cheaper plan above the bound may exist."""
    before: Figures
    after: Figures
    """As margined with the trades done."""
    rounds: int

    @property
    def gap(self) -> float:
        """cost - bound, 0 or more."""
        return max(self.cost - self.bound, 0.0)


Excess = Callable[[Outcomes], FloatArray]
"""How far each state is from the target: met at 0 or below."""


def cheapest_hedge(
    standing: Standing,
    account: str,
    target_margin: float,
    symbols: Sequence[str] | None = None,
    costs: Mapping[str, float] | None = None,
) -> Plan:
    """Return the cheapest trades after which the maintenance margin of an account's pool is at most `target_margin`.

    symbols: what may be traded; by default what the book holds in any account. costs: a contract, in the reporting
    currency; by default `SPREAD_BY_CLASS` of the notional. Whole lots. Raises InputError where no trades get there.
    """
    if not (isfinite(target_margin) and target_margin >= 0):
        raise InputError("target margin", str(target_margin), "a finite amount, 0 or more")
    trades = _trades(standing, account, symbols, costs)
    reach = _TRADED_MOST * _gross(trades) / trades.notional
    return _solved(trades, -reach, reach, lambda found: found.maintenance - target_margin, "hedge")


def cheapest_close_out(
    standing: Standing, account: str, buffer: float | None = None, costs: Mapping[str, float] | None = None
) -> Plan:
    """Return the cheapest closing trades after which margin_balance is at least (1 + buffer) x maintenance margin.

    Only positions of the account's pool are traded, towards 0 and never beyond: a leg alone, several as a package,
    or a slice of all. buffer: by default the rule book's liquidation buffer. Raises InputError where even closing
    everything does not get there.
    """
    if buffer is None:
        buffer = standing.rules.liquidation_buffer
    if not (isfinite(buffer) and buffer >= 0):
        raise InputError("buffer", str(buffer), "a finite share, 0 or more")
    pool = _pool(standing, account)
    legs = slice(standing.pools.leg_start[pool], standing.pools.leg_start[pool + 1])
    instruments = standing.valuation.catalogue.instruments
    held = [instruments[k].symbol for k in standing.pools.leg_instrument[legs].tolist()]
    trades = _trades(standing, account, held, costs)
    share = 1.0 + buffer
    return _solved(
        trades,
        np.minimum(-trades.held, 0.0),
        np.maximum(-trades.held, 0.0),
        lambda found: share * found.maintenance - found.margin_balance,
        "close-out",
    )


def _pool(standing: Standing, account: str) -> int:
    # An unknown account is refused where trades are built.
    ids = list(standing.book.accounts.ids)
    return int(standing.where.of_account[ids.index(account)]) if account in ids else 0


def _trades(
    standing: Standing, account: str, symbols: Sequence[str] | None, costs: Mapping[str, float] | None
) -> Trades:
    """Return the trades to choose from, each with its cost."""
    terms = standing.valuation.catalogue
    if symbols is None:
        held = np.unique(standing.pools.leg_instrument)
        symbols = [terms.instruments[k].symbol for k in held.tolist()]
    trades = Trades(standing, account, symbols, costs)
    kinds = [terms.instruments[terms.number[symbol]].asset_class for symbol in trades.symbols]
    usual = trades.notional * np.array([SPREAD_BY_CLASS.get(kind, SPREAD_BY_CLASS["other"]) for kind in kinds])
    stated = np.array([symbol in (costs or {}) for symbol in trades.symbols], dtype=np.bool_)
    trades.costs = np.where(stated, trades.costs, usual)
    return trades


def _gross(trades: Trades) -> float:
    """Return the gross notional of what the pool holds; 1 where it holds nothing."""
    standing = trades.standing
    valuation, pools = standing.valuation, standing.pools
    legs = slice(pools.leg_start[trades.pool], pools.leg_start[trades.pool + 1])
    k = pools.leg_instrument[legs]
    terms = valuation.catalogue
    value = np.abs(valuation.unit_value[k]) * valuation.fx[terms.settle[k]]
    index = terms.contract_size[k] * np.abs(valuation.index[k]) * valuation.fx[terms.quote[k]]
    size = np.where(terms.inverse[k], value, np.maximum(value, index))
    return float(np.sum(np.abs(pools.leg_quantity[legs]) * size)) or 1.0


def _lots(trades: Trades) -> tuple[FloatArray, BoolArray]:
    """Return (the lot of each contract, whether it trades in whole ones); where none is stated any size trades."""
    terms = trades.standing.valuation.catalogue
    stated = [terms.instruments[k].lot_size for k in trades.instrument.tolist()]
    free = _gross(trades) / trades.notional
    lots = [float(lot) if lot is not None else own for lot, own in zip(stated, free.tolist(), strict=True)]
    return np.array(lots), np.array([lot is not None for lot in stated], dtype=np.bool_)


def _solved(trades: Trades, least: FloatArray, most: FloatArray, excess: Excess, what: str) -> Plan:
    """Return the plan that brings `excess` to 0 with trades between `least` and `most` contracts."""
    count, (lots, whole) = len(trades.symbols), _lots(trades)
    before = trades.at(np.zeros((1, count)))
    if excess(before)[0] <= 0.0:
        return _plan(trades, np.zeros(count), 0.0, True, before, 0)
    scale = _gross(trades)
    sold, bought = (np.where(whole, np.floor(side / lots + _TOLERANCE), side / lots) for side in (-least, most))
    program = _Program(trades.costs * lots, sold, bought, whole)
    random = np.random.default_rng(0)
    reach = scale / trades.notional
    seen: list[tuple[FloatArray, float]] = [(np.zeros(count), float(excess(before)[0]))]
    bound, proved, proposal = 0.0, True, np.zeros(count)
    for rounds in range(1, _ROUNDS + 1):
        beside = proposal * lots + reach * _APART * random.uniform(-1.0, 1.0, count)
        states = np.vstack((beside, beside + np.diag(reach * _STEP)))
        value = excess(trades.at(states))
        slope = (value[1:] - value[0]) / (reach * _STEP)
        # value + slope (x - beside) <= 0, in lots.
        over = max(float(value[0] + slope @ (x * lots - beside) - was) for x, was in seen[:-1] or seen)
        proved = proved and over <= _CONTRADICTS * scale
        program.cut(slope * lots, float(slope @ beside - value[0]) - _DUST * scale)
        found = program.solve()
        if found is None:
            raise InputError(
                what, f"no trades in {count} contracts that get there", "a target that they reach, or more contracts"
            )
        proposal, least_cost = found
        outcome = trades.at((proposal * lots)[None, :])
        left = float(excess(outcome)[0])
        if proved and not program.asked_more:
            bound = max(bound, least_cost)
        if left <= 0.0:
            if not proved:
                proposal = _pruned(trades, proposal, lots, whole, excess)
            return _plan(trades, proposal * lots, bound, proved, before, rounds)
        if left <= _NEAR * scale:
            # Tangents of a curve meet it only in the limit: what is left is asked for once more.
            program.ask_more(2.0 * left)
        seen.append((proposal, left))
    raise InputError(what, f"no answer after {_ROUNDS} rounds, {left:g} short of the target", "fewer contracts")


def _pruned(trades: Trades, proposal: FloatArray, lots: FloatArray, whole: BoolArray, excess: Excess) -> FloatArray:
    """Return the proposal without what it turns out not to need, the dearest trades first."""
    kept = proposal.copy()
    shares = np.array([0.0, 0.25, 0.5, 0.75, 0.9])
    for k in np.argsort(-np.abs(proposal) * lots * trades.costs, kind="stable"):
        smaller = shares * kept[k]
        states = np.tile(kept, (len(shares), 1))
        states[:, k] = np.trunc(smaller) if whole[k] else smaller
        enough = np.flatnonzero(excess(trades.at(states * lots)) <= 0.0)
        if len(enough):
            kept = states[enough[0]]
    return kept


def _plan(trades: Trades, quantity: FloatArray, bound: float, proved: bool, before: Outcomes, rounds: int) -> Plan:
    done = [
        Trade(symbol=symbol, quantity=float(q), cost=float(abs(q) * cost))
        for symbol, q, cost in zip(trades.symbols, quantity, trades.costs, strict=True)
        if q != 0.0
    ]
    cost = float(sum(trade.cost for trade in done))
    return Plan(
        trades=tuple(done),
        cost=cost,
        bound=min(bound, cost),
        proved=proved,
        before=_figures(before),
        after=_figures(trades.at(quantity[None, :])),
        rounds=rounds,
    )


def _figures(outcomes: Outcomes) -> Figures:
    return Figures(
        margin_balance=float(outcomes.margin_balance[0]),
        maintenance_margin=float(outcomes.maintenance[0]),
        initial_margin=float(outcomes.initial[0]),
    )


class _Program:
    """Whole lots bought and sold at least cost, under the tangents so far. Variables: K lots sold, then K bought."""

    def __init__(self, cost: FloatArray, sold_most: FloatArray, bought_most: FloatArray, whole: BoolArray) -> None:
        self._cost = np.concatenate((cost, cost))
        self._whole = np.concatenate((whole, whole))
        self._most = np.concatenate((sold_most, bought_most))
        self._rows: list[FloatArray] = []
        self._sizes: list[float] = []
        self.asked_more = 0.0
        """How far beyond the target trades are asked to go."""
        self._limits: list[float] = []

    def cut(self, slope: FloatArray, limit: float) -> None:
        """Ask slope x <= limit of the lots x, bought less sold; scaled, as solvers want numbers near 1."""
        size = float(np.max(np.abs(slope))) or 1.0
        self._rows.append(np.concatenate((-slope, slope)) / size)
        self._limits.append(limit / size)
        self._sizes.append(size)

    def ask_more(self, by: float) -> None:
        """Ask trades to go `by` further beyond the target."""
        self.asked_more += by

    def solve(self) -> tuple[FloatArray, float] | None:
        """Return (cheapest lots, bought less sold; the least any could cost); None where nothing meets all tangents."""
        found = milp(
            self._cost,
            integrality=self._whole.astype(np.int64),
            bounds=Bounds(0.0, self._most),
            constraints=LinearConstraint(
                np.array(self._rows), ub=np.array(self._limits) - self.asked_more / np.array(self._sizes)
            ),
            options={"mip_rel_gap": _GAP, "time_limit": _SECONDS_A_ROUND},
        )
        if found.x is None:
            return None
        # What a solver leaves of a contract that trades in any size is its rounding, not a trade.
        free = np.where(found.x < _DUST, 0.0, found.x)
        sold, bought = np.split(np.where(self._whole, np.round(found.x), free), 2)
        least = found.mip_dual_bound if found.mip_dual_bound is not None else found.fun
        return np.asarray(bought - sold), float(least)
