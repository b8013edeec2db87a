"""Stress and contingencies: the largest loss over price x vol moves, plus flat charges for what moves leave out.

Source: the parts of Bybit's unified portfolio margin, as it names them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset
from crossmargin.margin.basis import ExpiryRows
from crossmargin.margin.contingency import futures_charges, short_option_charges
from crossmargin.margin.depth import Buckets, Kind
from crossmargin.margin.grid import american_options
from crossmargin.margin.grouped import ByGroup, Ladder, within
from crossmargin.margin.model import Portfolios, ScenarioSource, Terms, WorstScenarios
from crossmargin.margin.option_shocks import VOLS, Options, VolShock
from crossmargin.margin.parameters import check_classes
from crossmargin.margin.peg import peg_charges
from crossmargin.margin.segments import Segments
from crossmargin.margin.sensitivities import unit_deltas, unit_vegas
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.pricing import Valuation
from crossmargin.ragged import distinct, group_sums
from crossmargin.scenarios import TenorScaling
from crossmargin.units import FloatArray, IntArray

_DAYS_A_YEAR = 365.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contingencies:
    """What a group is charged beside its largest loss."""

    short_option: float
    """Share of the index a net short option owes, net by expiry and type."""
    vega: float
    """Vol points a day between two expiries whose vegas offset each other."""
    basis: float
    """Share of the price a year between two expiries whose deltas offset each other."""
    future: float
    """Share of the index futures and perpetuals owe, longs and shorts apart."""

    def __post_init__(self) -> None:
        for name in ("short_option", "future"):
            within(name, getattr(self, name), most=1.0)
        for name in ("vega", "basis"):
            within(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StressUnits(WholePoolModel):
    """Portfolio margin by base coin: the worst move, and contingencies for what it leaves out.

        stress  = largest loss over price moves x vols up, same, down
        short   = net short options of an expiry and type x share x index
        vega    = vega of two expiries that offset x days between them x points a day, nearest first
        basis   = delta of two expiries that offset x years between them x move a year, nearest first
        peg     = delta hedged between two quote currencies x rate
        futures = |size| x index x share
        MM = sum over groups of all six;  IM = initial_factor x MM

    P&L is in the reporting currency: what a contract pays in coin is worth the moved price. Collateral is in no
    move. Refused: American options, contracts on prices that may be negative.

    Claims P1, P3, P6 in price moves, P7 (an opposite position cancels), P10, P11, P12, P13, the first half of P14;
    stress, short and futures also P2. Not P2 of the whole, P4 and P8: what offsets across expiries or quotes is
    charged, and contingencies know no premium.
    """

    moves: ByGroup
    """tuple of float: relative price moves, each up and down, above 0 and below 1."""
    vol: VolShock
    contingencies: ByGroup
    """Contingencies."""
    peg_rate: float
    """Share of what is hedged between two quote currencies."""
    quotes: tuple[str, ...]
    """Quote currencies that hedge each other, in the order they are matched."""
    tenor: TenorScaling = field(default_factory=TenorScaling)
    initial_factor: float = 1.2

    def __post_init__(self) -> None:
        for name in ("moves", "contingencies"):
            check_classes(name, getattr(self, name).by_class)
        for where, moves in self.moves.entries():
            for k, move in enumerate(moves):
                if not (isfinite(move) and 0 < move < 1):
                    raise InvalidRules(f"moves.{where}[{k}]", f"{move:g}", "above 0, below 1")
        within("peg_rate", self.peg_rate, most=1.0)
        if len(set(self.quotes)) != len(self.quotes):
            raise InvalidRules("quotes", ", ".join(self.quotes), "each once")
        if not 1 <= self.initial_factor < np.inf:
            raise InvalidRules("initial_factor", f"{self.initial_factor:g}", "1 or more")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the numbers of American options held, and of contracts on prices that may be negative."""
        held = distinct(portfolios.leg_instrument, len(portfolios.valuation.catalogue))
        return np.union1d(american_options(portfolios), held[portfolios.valuation.catalogue.any_domain[held]])

    def bends(self, asset: Asset) -> FloatArray:
        """Return the price moves of the asset."""
        moves = np.array(self.moves.of(asset))
        return np.unique(np.concatenate((moves, -moves, (0.0,))))

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return the grid: how many scenarios a group has at most."""
        return ScenarioSource("grid", None, None, (2 * self.moves.longest + 1) * len(VOLS))

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return what each pool owes, term by term."""
        pools, valuation = portfolios.pools, portfolios.valuation
        catalogue = valuation.catalogue
        group = np.array([catalogue.asset_number[asset.group] for asset in catalogue.assets], dtype=np.int64)
        units = Segments.of(pools.leg_pool, group[catalogue.underlying[pools.leg_instrument]], pools.count)
        floor = np.zeros(len(catalogue.assets))
        in_coin = valuation.is_option & catalogue.inverse[valuation.instrument]
        unit_delta = unit_deltas(valuation, floor) + np.where(in_coin, valuation.unit_value, 0.0)
        unit_delta *= valuation.settle_fx
        delta = portfolios.quantity * unit_delta[portfolios.leg_row]
        vega = portfolios.quantity * portfolios.legs(unit_vegas(valuation, floor) * valuation.settle_fx)

        table = self._table(valuation, distinct(portfolios.leg_row, len(valuation.instrument)), unit_delta)
        loss = -units.pnl(portfolios.leg_row, portfolios.quantity, table)
        stress, column = loss.max(axis=1, initial=0.0), loss.argmax(axis=1)
        lost = -portfolios.quantity * table[portfolios.leg_row, column[units.of_leg]]
        stress_leg = np.where(stress[units.of_leg] > 0.0, lost, 0.0)
        # A gap of a year is one of 365 days.
        vega_leg = self._across_expiries(portfolios, group, vega, "vega", _DAYS_A_YEAR)
        basis_leg = self._across_expiries(portfolios, group, delta, "basis", 1.0)
        peg, peg_leg = peg_charges(
            portfolios, units, delta, self.quotes, Ladder(floor=(0.0,), rate=(self.peg_rate,)), 0.0
        )
        short_leg = short_option_charges(portfolios, self.contingencies.column(catalogue, "short_option"))
        future_leg = futures_charges(portfolios, self.contingencies.column(catalogue, "future"))

        def by_pool(value: FloatArray) -> FloatArray:
            return group_sums(pools.leg_pool, value, pools.count)

        everybody = np.arange(pools.count)
        terms = Terms.of(
            [
                ("stress", everybody, units.by_pool(stress)),
                ("short options", everybody, by_pool(short_leg)),
                ("vega spread", everybody, by_pool(vega_leg)),
                ("delta spread", everybody, by_pool(basis_leg)),
                ("stable coin spread", everybody, units.by_pool(peg)),
                ("futures", everybody, by_pool(future_leg)),
            ],
            pools.count,
        )
        return PoolCharges(
            terms=terms,
            initial=self.initial_factor * terms.total(pools.count),
            leg_share=stress_leg + short_leg + vega_leg + basis_leg + peg_leg + future_leg,
            balance_share=np.zeros(len(pools.balance_amount)),
            worst=self._dearest(units, stress, column, [asset.symbol for asset in catalogue.assets]),
        )

    def _table(self, valuation: Valuation, rows: IntArray, delta: FloatArray) -> FloatArray:
        """Return the P&L of one contract under each move and vol, (valuation rows, columns); `rows` are filled."""
        catalogue = valuation.catalogue
        moves = self.moves.both_ways(catalogue)[catalogue.underlying[valuation.instrument[rows]]]
        pnl = delta[rows, None] * np.repeat(moves, len(VOLS), axis=1)
        optional = np.flatnonzero(valuation.is_option[rows])
        if len(optional):
            pnl[optional] = Options(valuation, rows[optional], self.tenor).grid(moves[optional], self.vol)
        table = np.zeros((len(valuation.instrument), pnl.shape[1]))
        table[rows] = pnl
        return table

    def _across_expiries(
        self, portfolios: Portfolios, group: IntArray, amount: FloatArray, name: str, a_year: float
    ) -> FloatArray:
        """Return what each leg brings to the charge of what offsets across expiries, (L,)."""
        pools, catalogue = portfolios.pools, portfolios.valuation.catalogue
        rows = Buckets.of(
            pools.leg_pool,
            group[catalogue.underlying[pools.leg_instrument]],
            amount,
            np.full(len(amount), int(Kind.CONTRACT)),
            np.arange(len(amount)),
            pools=pools.count,
            buckets=len(catalogue.assets),
        )
        rate = a_year * self.contingencies.column(catalogue, name)
        nothing = np.zeros(pools.count, dtype=np.int64)
        return ExpiryRows.of(portfolios, rows).shares(rate, nothing, len(amount))

    def _dearest(self, units: Segments, stress: FloatArray, column: IntArray, symbols: list[str]) -> WorstScenarios:
        """Return each pool's group and scenario with the largest loss."""
        order = np.lexsort((units.block, -stress, units.pool))
        first = order[np.concatenate((np.ones(min(1, len(order)), np.bool_), np.diff(units.pool[order]) != 0))]
        loses = first[stress[first] > 0.0]
        block, scenario, loss = np.zeros(units.pools, np.int64), np.full(units.pools, -1), np.zeros(units.pools)
        block[units.pool[loses]], scenario[units.pool[loses]] = units.block[loses], column[loses]
        loss[units.pool[loses]] = stress[loses]

        def name(group: int, cell: int) -> str:
            step, vol = divmod(cell, len(VOLS))
            return f"{symbols[group]} price step {step - self.moves.longest:+d} vol {VOLS[vol]}"

        return WorstScenarios(block=block, scenario=scenario, loss=loss, name=name)
