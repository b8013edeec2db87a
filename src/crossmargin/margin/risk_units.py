"""Risk units: nine named risks of everything that follows one underlying, and of what is borrowed.

The formulas are functions of plain numbers and arrays; `RiskUnits` makes a margin model of them. Source: OKX's
portfolio margin, MR1 to MR9.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset
from crossmargin.margin.basis import ExpiryRows
from crossmargin.margin.debts import Debts
from crossmargin.margin.depth import Buckets, Kind
from crossmargin.margin.grid import american_options
from crossmargin.margin.grouped import ByGroup, Ladder, within
from crossmargin.margin.model import Portfolios, ScenarioSource, Terms, WorstScenarios
from crossmargin.margin.option_shocks import VOLS, TermShock, VolShock
from crossmargin.margin.parameters import check_classes
from crossmargin.margin.peg import peg_charges
from crossmargin.margin.risk_unit_scenarios import Scenarios
from crossmargin.margin.segments import Segments
from crossmargin.margin.sensitivities import unit_deltas
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.pricing import Valuation
from crossmargin.ragged import distinct, group_sums
from crossmargin.scenarios import TenorScaling
from crossmargin.units import FloatArray, IntArray

RISKS = ("spot shock", "theta", "extreme move", "vega term structure", "basis", "rates", "minimum charge")
"""Risks of a unit, as its terms name them: the largest of the first three, the next three, what the minimum adds."""


def unit_margin(
    *,
    spot: FloatArray,
    theta: FloatArray,
    extreme: FloatArray,
    vega: FloatArray,
    basis: FloatArray,
    rates: FloatArray,
    minimum: FloatArray,
) -> FloatArray:
    """Return max( max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7 ) of units, any shape; every part 0 or more."""
    worst = np.maximum(np.maximum(spot, theta), extreme)
    return np.asarray(np.maximum(worst + vega + basis + rates, minimum), dtype=np.float64)


def spot_in_use(delta: FloatArray | float, spot: FloatArray | float) -> FloatArray:
    """Return how much of what is held of the asset itself a unit counts: what offsets its delta and no more.

    `delta` of the contracts and `spot` are signed values; the result has the sign of `spot`.
    """
    spot = np.asarray(spot, dtype=np.float64)
    return np.asarray(np.clip(-np.asarray(delta), np.minimum(spot, 0.0), np.maximum(spot, 0.0)), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClosingCost:
    """What it costs to trade out, fee and slippage, as shares of notional."""

    future: float
    option: float

    def __post_init__(self) -> None:
        within("future", self.future, most=1.0)
        within("option", self.option, most=1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskUnits(WholePoolModel):
    """Portfolio margin by risk units: an underlying, whatever its contracts are quoted and settled in, and its coins.

        MR1  largest loss over price moves x vols up, same, down
        MR2  loss as a day goes by
        MR3  larger loss of near vols up with far vols down, and of the reverse
        MR4  matched delta of two expiries x annual move x years between them, nearest first
        MR5  larger loss of interest rates up and down: carry of every expiry
        MR6  share of the larger loss of an extreme move up and down
        MR7  cost of closing out, in slices with multipliers
        MR8  debts, in slices with rates
        MR9  delta hedged between quote currencies, in slices with rates
        unit = max( max(MR1, MR2, MR6) + MR3 + MR4 + MR5, MR7 ) + MR9
        MM   = sum of the units + MR8;  IM = initial_factor x MM

    P&L is in the reporting currency: a coin-settled contract gains what its coins are worth at the moved price, so a
    future of q coins gains q m x price whatever it settles in. Of the coins themselves a unit counts what offsets the
    delta of its contracts (`spot_in_use`), with what of a debt does. Refused: American options, contracts on prices
    that may be negative.

    Claims P1, P7 (an opposite position cancels), P11, P12, P13, P6 in price moves. P10: a deposit of the reporting
    currency changes nothing unless a debt in it is repaid. Not claimed: P2, P3 (slices rise with size; a hedge may add
    basis, a hedge in another quote the peg), P4, P8, P14.
    """

    moves: ByGroup
    """tuple of float: relative price moves of MR1, each up and down, above 0 and below 1."""
    vol: VolShock
    term: TermShock
    extreme: ByGroup
    """float: the move of MR6, up and down, 0 to below 1."""
    extreme_share: float
    basis: ByGroup
    """float: move of the basis, a fraction of the price a year of gap."""
    rate_shock: float
    """Interest rates move by this, up and down, a year."""
    closing: ByGroup
    """ClosingCost."""
    closing_ladder: ByGroup
    """Ladder of multipliers over raw cost in the reporting currency."""
    borrow_ladder: ByGroup
    """Ladder of rates over a debt's value in the reporting currency, by asset."""
    peg_ladder: Ladder
    """Rates over what is hedged between two quote currencies."""
    peg_multiple: float
    quotes: tuple[str, ...]
    """Quote currencies that hedge each other, in the order they are matched."""
    tenor: TenorScaling = field(default_factory=TenorScaling)
    initial_factor: float = 1.3
    theta_days: float = 1.0

    def __post_init__(self) -> None:
        for name in ("moves", "extreme", "basis", "closing", "closing_ladder", "borrow_ladder"):
            check_classes(name, getattr(self, name).by_class)
        for where, moves in self.moves.entries():
            for k, move in enumerate(moves):
                if not (isfinite(move) and 0 < move < 1):
                    raise InvalidRules(f"moves.{where}[{k}]", f"{move:g}", "above 0, below 1")
        for where, move in self.extreme.entries():
            if not (isfinite(move) and 0 <= move < 1):
                raise InvalidRules(f"extreme.{where}", f"{move:g}", "from 0 to below 1")
        for where, move in self.basis.entries():
            within(f"basis.{where}", move)
        within("extreme_share", self.extreme_share, most=1.0)
        within("rate_shock", self.rate_shock, most=1.0)
        within("peg_multiple", self.peg_multiple)
        within("theta_days", self.theta_days)
        if len(set(self.quotes)) != len(self.quotes):
            raise InvalidRules("quotes", ", ".join(self.quotes), "each once")
        if not 1 <= self.initial_factor < np.inf:
            raise InvalidRules("initial_factor", f"{self.initial_factor:g}", "1 or more")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the numbers of American options held, and of contracts on prices that may be negative."""
        held = distinct(portfolios.leg_instrument, len(portfolios.valuation.catalogue))
        return np.union1d(american_options(portfolios), held[portfolios.valuation.catalogue.any_domain[held]])

    def bends(self, asset: Asset) -> FloatArray:
        """Return the price moves of the asset's scenarios."""
        moves = np.array(self.moves.of(asset))
        extreme = float(self.extreme.of(asset))
        return np.unique(np.concatenate((moves, -moves, (0.0, extreme, -extreme))))

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return the grid: how many scenarios a unit has at most."""
        return ScenarioSource("grid", None, None, Scenarios(self).count)

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return what each pool owes, term by term."""
        return _Charges(self, portfolios).found()


class _Charges:
    """What the pools of a portfolio owe under a model, risk by risk."""

    def __init__(self, model: RiskUnits, portfolios: Portfolios) -> None:
        self.model, self.portfolios = model, portfolios
        pools, valuation = portfolios.pools, portfolios.valuation
        self.catalogue = valuation.catalogue
        self.group = np.array(
            [self.catalogue.asset_number[asset.group] for asset in self.catalogue.assets], dtype=np.int64
        )
        underlying = self.catalogue.underlying[pools.leg_instrument]
        self.units = Segments.of(pools.leg_pool, self.group[underlying], pools.count)
        in_coin = valuation.is_option & self.catalogue.inverse[valuation.instrument]
        one = unit_deltas(valuation, np.zeros(len(self.catalogue.assets)))
        # What is paid in coin is worth more as the coin rises: delta in the reporting currency.
        self.unit_delta = (one + np.where(in_coin, valuation.unit_value, 0.0)) * valuation.settle_fx
        self.delta = portfolios.quantity * self.unit_delta[portfolios.leg_row]
        self.scenarios = Scenarios(model)
        rows = distinct(portfolios.leg_row, len(valuation.instrument))
        self.table = self.scenarios.table(valuation, rows, self.unit_delta)
        self.spot_unit, self.in_use = self._spot_in_use()
        counted = self.spot_unit >= 0
        self.coins = group_sums(self.spot_unit[counted], self.in_use[counted], len(self.units))

    def found(self) -> PoolCharges:
        """Return the charges of every pool."""
        pools, units, model = self.portfolios.pools, self.units, self.model
        pnl = units.pnl(self.portfolios.leg_row, self.portfolios.quantity, self.table)
        moves = self._coin_moves()
        pnl += self.coins[:, None] * moves
        at = self.scenarios
        share = np.ones(at.count)
        share[at.extreme] = model.extreme_share
        loss = -pnl * share
        columns = {
            "spot shock": _worst(loss, at.spot),
            "theta": _worst(loss, at.theta),
            "extreme move": _worst(loss, at.extreme),
            "vega term structure": _worst(loss, at.vega),
            "rates": _worst(loss, at.rates),
        }
        parts = {name: most for name, (most, _) in columns.items()}
        basis, basis_leg, basis_balance = self._basis()
        parts["basis"] = basis
        raw = self._closing_cost()
        minimum = self._ladders(units.sums(raw), units.block, model.closing_ladder)
        unit = unit_margin(
            spot=parts["spot shock"],
            theta=parts["theta"],
            extreme=parts["extreme move"],
            vega=parts["vega term structure"],
            basis=basis,
            rates=parts["rates"],
            minimum=minimum,
        )
        first = np.stack([parts[name] for name in _FIRST]).argmax(axis=0) if len(units) else np.zeros(0, np.int64)
        kept = {name: np.where(first == k, parts[name], 0.0) for k, name in enumerate(_FIRST)}
        kept |= {name: parts[name] for name in ("vega term structure", "basis", "rates")}
        excess = unit - (sum(kept[name] for name in kept) if len(units) else np.zeros(0))
        bound = minimum > sum(kept.values()) if len(units) else np.zeros(0, np.bool_)
        peg, peg_leg = peg_charges(
            self.portfolios, units, self.delta, model.quotes, model.peg_ladder, model.peg_multiple
        )
        debt, debt_balance = Debts.of(self.portfolios).charges(self.portfolios, model.borrow_ladder)

        leg_share, balance_share = peg_leg, debt_balance
        risk_leg, risk_balance = basis_leg, basis_balance
        for name, (most, column) in columns.items():
            chosen = np.where((kept[name] > 0.0) & (most > 0.0), column, -1)
            by_leg, by_balance = self._cell_shares(chosen, share, moves)
            risk_leg, risk_balance = risk_leg + by_leg, risk_balance + by_balance
        ratio = np.divide(minimum, units.sums(raw), out=np.zeros(len(units)), where=bound)
        leg_share = leg_share + np.where(bound[units.of_leg], raw * ratio[units.of_leg], risk_leg)
        counts = self.spot_unit >= 0
        counts[counts] = ~bound[self.spot_unit[counts]]
        balance_share = balance_share + np.where(counts, risk_balance, 0.0)

        named = [(name, units.pool, kept[name]) for name in RISKS[:-1]]
        named.append((RISKS[-1], units.pool, np.maximum(excess, 0.0) * bound))
        named.append(("stable coin peg", units.pool, peg))
        named.append(("borrowing", np.arange(pools.count), debt))
        terms = Terms.of(_by_pool(named, pools.count), pools.count)
        return PoolCharges(
            terms=terms,
            initial=model.initial_factor * terms.total(pools.count),
            leg_share=leg_share,
            balance_share=balance_share,
            worst=self._dearest(loss),
        )

    def _spot_in_use(self) -> tuple[IntArray, FloatArray]:
        """Return the unit each balance is counted in, -1 for none, and the value of it that is, both (B,)."""
        pools, units = self.portfolios.pools, self.units
        aside = np.zeros(len(self.catalogue.assets), dtype=np.bool_)
        aside[self.portfolios.valuation.currency] = True
        aside[[self.catalogue.asset_number[q] for q in self.model.quotes if q in self.catalogue.asset_number]] = True
        count = max(1, len(self.catalogue.assets))
        key = pools.balance_pool * count + self.group[pools.balance_asset]
        known = units.pool * count + units.block
        at = np.searchsorted(known, key)
        found = np.zeros(len(key), dtype=np.bool_)
        inside = np.flatnonzero((at < len(known)) & ~aside[pools.balance_asset])
        found[inside] = known[at[inside]] == key[inside]
        unit = np.where(found, at, -1)
        value = np.where(found, pools.balance_amount * self.portfolios.balance_price, 0.0)
        total = group_sums(unit[found], value[found], len(units))
        used = spot_in_use(units.sums(self.delta), total)
        of_one = np.divide(used, total, out=np.zeros(len(units)), where=total != 0.0)
        return unit, np.where(found, value * of_one[np.maximum(unit, 0)] if len(units) else 0.0, 0.0)

    def _coin_moves(self) -> FloatArray:
        """Return what a unit of value of the coins themselves gains in every column, (N, columns)."""
        at, block = self.scenarios, self.units.block
        moves = np.zeros((len(self.units), at.count))
        moves[:, at.spot] = np.repeat(self.model.moves.both_ways(self.catalogue)[block], len(VOLS), axis=1)
        moves[:, at.extreme] = self.model.extreme.column(self.catalogue)[block, None] * np.array((-1.0, 1.0))
        return moves

    def _cell_shares(self, column: IntArray, share: FloatArray, moves: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what legs and balances bring to the loss of a column of each unit; nothing where it is -1."""
        portfolios, n = self.portfolios, np.arange(len(self.units))
        counts = np.where(column >= 0, share[column], 0.0)
        of_leg = self.units.of_leg
        gain = portfolios.quantity * self.table[portfolios.leg_row, column[of_leg]]
        of_coin = moves[n, column] * counts
        balance = np.zeros(len(self.in_use))
        used = np.flatnonzero(self.spot_unit >= 0)
        balance[used] = -self.in_use[used] * of_coin[self.spot_unit[used]]
        return -gain * counts[of_leg], balance

    def _basis(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return MR4 of every unit, and what legs and balances bring to it."""
        portfolios, pools = self.portfolios, self.portfolios.pools
        legs, balances = len(portfolios.leg_row), len(pools.balance_amount)
        underlying = self.catalogue.underlying[pools.leg_instrument]
        rows = Buckets.of(
            np.concatenate((pools.leg_pool, pools.balance_pool)),
            np.concatenate((self.group[underlying], self.group[pools.balance_asset])),
            np.concatenate((self.delta, self.in_use)),
            np.repeat((int(Kind.CONTRACT), int(Kind.MONEY)), (legs, balances)),
            np.arange(legs + balances),
            pools=pools.count,
            buckets=len(self.catalogue.assets),
        )
        moves = self.model.basis.column(self.catalogue)
        expiries = ExpiryRows.of(portfolios, rows)
        charge = np.zeros(len(self.units))
        count = max(1, len(self.catalogue.assets))
        at = np.searchsorted(self.units.pool * count + self.units.block, expiries.pool * count + expiries.group)
        charge[at] = expiries.charges(moves)[:, 0]
        share = expiries.shares(moves, np.zeros(pools.count, dtype=np.int64), legs + balances)
        return charge, share[:legs], share[legs:]

    def _closing_cost(self) -> FloatArray:
        """Return what it costs to close each leg, (L,), before multipliers."""
        valuation, rows = self.portfolios.valuation, self.portfolios.leg_row
        block = self.units.block[self.units.of_leg]
        future, option = (self.model.closing.column(self.catalogue, name)[block] for name in ("future", "option"))
        rate = np.where(self.portfolios.is_option, option, future)
        return np.asarray(rate * valuation.notional(rows, self.portfolios.quantity), dtype=np.float64)

    def _ladders(self, amount: FloatArray, asset: IntArray, by_group: ByGroup) -> FloatArray:
        """Return the charge of amounts of 0 or more, each by the ladder of its asset."""
        charge = np.zeros(len(amount))
        for a in distinct(asset, len(self.catalogue.assets)).tolist():
            at = np.flatnonzero(asset == a)
            charge[at] = by_group.of(self.catalogue.assets[a]).charge(amount[at])
        return charge

    def _dearest(self, loss: FloatArray) -> WorstScenarios:
        """Return each pool's unit and scenario, of MR1, MR2 and MR6, with the largest loss."""
        units, at = self.units, self.scenarios
        columns = np.r_[at.spot, at.extreme, at.theta]
        most = loss[:, columns].max(axis=1, initial=0.0)
        order = np.lexsort((units.block, -most, units.pool))
        first = order[np.concatenate((np.ones(min(1, len(order)), np.bool_), np.diff(units.pool[order]) != 0))]
        count = units.pools
        block, scenario, worst = np.zeros(count, np.int64), np.full(count, -1), np.zeros(count)
        loses = first[most[first] > 0.0]
        block[units.pool[loses]] = units.block[loses]
        scenario[units.pool[loses]] = columns[loss[loses][:, columns].argmax(axis=1)]
        worst[units.pool[loses]] = most[loses]
        symbols = [asset.symbol for asset in self.catalogue.assets]
        return WorstScenarios(
            block=block, scenario=scenario, loss=worst, name=lambda b, column: f"{symbols[b]} {at.name(column)}"
        )


_FIRST = RISKS[:3]


def _worst(loss: FloatArray, columns: slice) -> tuple[FloatArray, IntArray]:
    """Return the largest loss of each unit among `columns`, 0 or more, and its column."""
    return loss[:, columns].max(axis=1, initial=0.0), loss[:, columns].argmax(axis=1) + columns.start


def _by_pool(named: list[tuple[str, IntArray, FloatArray]], count: int) -> list[tuple[str, IntArray, FloatArray]]:
    """Return the parts with one amount a pool."""
    return [(name, np.arange(count), group_sums(pool, amount, count)) for name, pool, amount in named]
