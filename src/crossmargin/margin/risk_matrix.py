"""Risk matrix: the worst cell of a price x vol matrix and of moves far beyond it, plus shocks of roll and delta.

The formulas are functions of plain numbers and arrays, each with the unit of what it is given; `RiskMatrix` makes a
margin model of them. Source: Deribit's portfolio margin, as its own answers show it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset
from crossmargin.margin.grid import american_options
from crossmargin.margin.grouped import ByGroup, within
from crossmargin.margin.model import Portfolios, ScenarioSource, Terms, WorstScenarios
from crossmargin.margin.option_shocks import VOLS, Options
from crossmargin.margin.parameters import check_classes
from crossmargin.margin.segments import Segments
from crossmargin.margin.sensitivities import unit_deltas
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.pricing import Valuation
from crossmargin.ragged import distinct, group_sums
from crossmargin.scenarios import TenorScaling
from crossmargin.units import FloatArray, IntArray

_DECIMALS_MAX = 15


def bucket_moves(price_range: float, buckets: int) -> FloatArray:
    """Return the relative price moves range x j / buckets, j = -buckets..buckets, (2 buckets + 1,)."""
    return np.asarray(price_range * np.arange(-buckets, buckets + 1) / buckets, dtype=np.float64)


def coin_profit(size: FloatArray | float, move: FloatArray | float) -> FloatArray:
    """Return what a delta-one position of `size` coins gains in the coin, size x (1 - 1 / (1 + move)); move > -1."""
    return np.asarray(size * (1.0 - 1.0 / (1.0 + np.asarray(move, dtype=np.float64))))


def capped_moves(move: FloatArray, price_range: FloatArray | float) -> FloatArray:
    """Return moves cut to the nearest end of the range: what delta-one positions are moved by beyond it."""
    return np.asarray(np.clip(move, -np.asarray(price_range), price_range), dtype=np.float64)


def offset_limited(total: FloatArray, share: FloatArray | float, most: FloatArray | float) -> FloatArray:
    """Return what of each total P&L counts: a loss in full, of a gain its `share`, at most `most`."""
    return np.asarray(np.where(total > 0.0, np.minimum(share * total, most), total), dtype=np.float64)


def damped(total: FloatArray, factor: FloatArray | float, dampener: FloatArray | float) -> FloatArray:
    """Return what of each total P&L beyond the range counts: factor x loss - dampener as a loss, else nothing."""
    return np.asarray(-np.maximum(-factor * total - dampener, 0.0), dtype=np.float64)


def roll_rate(years: FloatArray | float, *, least: FloatArray | float, annual: FloatArray | float) -> FloatArray:
    """Return the share of a net delta-one position charged for rolling it: annual x years to expiry, but `least`.

    Without an expiry (years infinite), `least`.
    """
    years = np.asarray(years, dtype=np.float64)
    dated = np.isfinite(years)
    return np.where(dated, np.maximum(least, annual * np.where(dated, years, 0.0)), least)


def delta_shock(
    delta: FloatArray | float,
    price: FloatArray | float,
    *,
    threshold: FloatArray | float,
    per_unit: FloatArray | float,
    most: FloatArray | float,
) -> FloatArray:
    """Return what a large net delta costs, in units of the underlying.

    Nothing while |delta| x price <= threshold. Of the units above it a share is charged that rises by `per_unit` with
    each of them, up to `most`.
    """
    excess = np.maximum(np.abs(delta) - threshold / np.asarray(price, dtype=np.float64), 0.0)
    return np.asarray(np.minimum(per_unit * excess, most) * excess)


def worst_loss(cells: FloatArray) -> FloatArray:
    """Return the largest loss along the last axis, 0 where nothing loses."""
    return np.asarray(np.maximum(-cells.min(axis=-1), 0.0), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended:
    """What of a loss beyond the range counts."""

    factor: float
    """Share of the loss, 0 to 1."""
    dampener: float
    """Taken off it, in the reporting currency, a group."""

    def __post_init__(self) -> None:
        within("factor", self.factor, most=1.0)
        within("dampener", self.dampener)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offset:
    """What a group that gains in a cell may give to those that lose in it."""

    share: float
    """Share of the gain, 0 to 1."""
    most: float
    """Largest amount, in the reporting currency."""

    def __post_init__(self) -> None:
        within("share", self.share, most=1.0)
        within("most", self.most)


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """What the net delta-one position of an expiry is charged, as a share of it."""

    least: float
    annual: float
    """A year to expiry."""

    def __post_init__(self) -> None:
        within("least", self.least, most=1.0)
        within("annual", self.annual)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeltaShock:
    """What a large net delta of a group is charged."""

    threshold: float
    """Free of charge up to here, in the reporting currency."""
    per_unit: float
    """The share charged of what lies above rises by this with each unit of the underlying above."""
    most: float
    """But no further than this, 0 to 1."""

    def __post_init__(self) -> None:
        within("threshold", self.threshold)
        within("per_unit", self.per_unit)
        within("most", self.most, most=1.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MatrixParts:
    """What the margin of each pool is made of, (P,), in the reporting currency, before the maintenance factor."""

    worst: FloatArray
    """The largest loss over cells, not yet rounded."""
    cell: IntArray
    """The cell it is in; -1 where nothing loses."""
    contingency: FloatArray
    roll: FloatArray
    delta: FloatArray
    numeraire: FloatArray
    """Value of one unit of the asset that amounts are rounded in."""
    decimals: int
    leg_share: FloatArray
    """(L,) what each leg brings."""

    def rounded(self, amount: FloatArray) -> FloatArray:
        """Return amounts in the reporting currency, rounded in the numeraire."""
        return np.asarray(np.round(amount / self.numeraire, self.decimals) * self.numeraire, dtype=np.float64)

    @property
    def margin(self) -> FloatArray:
        """The margin of the risk matrix: the worst cell, rounded, and everything added to it."""
        return self.rounded(self.worst) + self.contingency + self.roll + self.delta


def initial_margin(
    margin: FloatArray | float,
    *,
    spot: float = 0.0,
    market_maker: float = 0.0,
    orders: float = 0.0,
    decimals: int,
) -> FloatArray:
    """Return initial margin, rounded: the matrix margin and what is held for spot orders, quotes and other orders."""
    total = np.asarray(margin + spot + market_maker + orders, dtype=np.float64)
    return np.asarray(np.round(total, decimals), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RiskMatrix(WholePoolModel):
    """Portfolio margin over a price x vol matrix and an extended table, as Deribit's answers show it.

    Legs are netted by group (an underlying with everything that must offset it). A cell moves a group's prices by
    range x j / buckets with vols up, same or down; the extended table moves them much further, vols up, delta-one
    legs by no more than the range. P&L is taken in the settle asset and valued at today's price of that asset, so a
    coin-settled position of q coins gains q (1 - 1 / (1 + m)). A group's gain counts as `offset` says, its loss in
    full; an extended loss as `extended` says. The same cell of all groups is added up.

        worst       = the largest loss over cells, rounded
        contingency = share x (sum of the groups' own worst losses - worst)
        roll        = sum over groups and expiries of |net delta-one position| x max(least, annual x years)
        delta       = `delta_shock` of each group's net delta, options by their delta
        margin      = worst + contingency + roll + delta
        MM = maintenance_factor x margin; IM = margin, rounded

    Rounding is in the asset the pool's contracts settle in where it is one (a segregated account), else in the
    reporting currency. Collateral is not in the matrix: its haircut covers it. Refused: American options, contracts
    on prices that may be negative.

    Claims P1, P7 (an opposite position cancels), P10, P11, P13. Up to rounding, before the dampener, the cap of
    offsets and the delta shock also P2, P3, P4, P5, P6 and P8; with them none of those is claimed: a dampener is
    given once to a book and twice to its halves, the delta shock grows with the square of size. P12: continuous but
    for rounding. P14: a larger future never owes less; splitting an account may save delta shock and gain a dampener.
    """

    price_range: ByGroup
    """float: the largest move of the matrix, 0 < range < 1."""
    vol: ByGroup
    """VolShock."""
    extended: ByGroup
    """Extended."""
    offset: ByGroup
    """Offset."""
    roll: ByGroup
    """Roll."""
    delta: ByGroup
    """DeltaShock."""
    buckets: int = 4
    """Price buckets on each side of no move."""
    extended_moves: tuple[float, ...] = ()
    """Relative moves beyond the range, above -1."""
    tenor: TenorScaling = field(default_factory=TenorScaling)
    correlation_contingency: float = 0.0
    """Share, 0 to 1, of what adding up the same cell of all groups saves."""
    maintenance_factor: float = 0.8
    decimals: int = 9

    def __post_init__(self) -> None:
        for name in ("price_range", "vol", "extended", "offset", "roll", "delta"):
            check_classes(name, getattr(self, name).by_class)
        for where, number in self.price_range.entries():
            if not (isfinite(number) and 0 < number < 1):
                raise InvalidRules(f"price_range.{where}", f"{number:g}", "above 0, below 1")
        if self.buckets < 1:
            raise InvalidRules("buckets", str(self.buckets), "1 or more")
        for k, move in enumerate(self.extended_moves):
            if not (isfinite(move) and move > -1):
                raise InvalidRules(f"extended_moves[{k}]", f"{move:g}", "a relative move above -1")
        within("correlation_contingency", self.correlation_contingency, most=1.0)
        if not 0 < self.maintenance_factor <= 1:
            raise InvalidRules("maintenance_factor", f"{self.maintenance_factor:g}", "above 0, at most 1")
        if not 0 <= self.decimals <= _DECIMALS_MAX:
            raise InvalidRules("decimals", str(self.decimals), f"0 to {_DECIMALS_MAX}")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the numbers of American options held, and of contracts on prices that may be negative."""
        held = distinct(portfolios.leg_instrument, len(portfolios.valuation.catalogue))
        return np.union1d(american_options(portfolios), held[portfolios.valuation.catalogue.any_domain[held]])

    def bends(self, asset: Asset) -> FloatArray:
        """Return the price moves of the asset's cells."""
        moves = bucket_moves(self.price_range.of(asset), self.buckets)
        return np.union1d(moves, np.array(self.extended_moves))

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return the matrix and its extended table: how many cells."""
        return ScenarioSource("grid", None, None, self._standard + len(self.extended_moves))

    def parts(self, portfolios: Portfolios) -> MatrixParts:
        """Return the parts of each pool's margin, with the legs' shares of them."""
        pools, valuation = portfolios.pools, portfolios.valuation
        catalogue = valuation.catalogue
        group = np.array([catalogue.asset_number[asset.group] for asset in catalogue.assets], dtype=np.int64)
        segments = Segments.of(pools.leg_pool, group[catalogue.underlying[pools.leg_instrument]], pools.count)
        groups = _Groups(self, portfolios, segments)
        table = self.table(valuation, distinct(portfolios.leg_row, len(valuation.instrument)))
        raw = segments.pnl(portfolios.leg_row, portfolios.quantity, table)
        cells = self._counted(raw, groups)
        total = segments.by_pool(cells)
        worst, own = worst_loss(total), worst_loss(cells)
        cell = np.where(worst > 0.0, total.argmin(axis=1), -1)
        saved = np.maximum(segments.by_pool(own) - worst, 0.0)
        c = self.correlation_contingency
        aligned = _cell_shares(portfolios, segments, table, raw, cells, cell[segments.pool])
        apart = _cell_shares(portfolios, segments, table, raw, cells, np.where(own > 0.0, cells.argmin(axis=1), -1))
        roll, shock = groups.roll_shares(), groups.delta_shares()
        return MatrixParts(
            worst=worst,
            cell=cell,
            contingency=c * saved,
            roll=group_sums(pools.leg_pool, roll, pools.count),
            delta=group_sums(pools.leg_pool, shock, pools.count),
            numeraire=_numeraire(portfolios),
            decimals=self.decimals,
            leg_share=(1.0 - c) * aligned + c * apart + roll + shock,
        )

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return what each pool owes, term by term."""
        pools, parts = portfolios.pools, self.parts(portfolios)
        everybody, factor = np.arange(pools.count), self.maintenance_factor
        terms = Terms.of(
            [
                ("risk matrix", everybody, factor * parts.rounded(parts.worst)),
                ("correlation contingency", everybody, factor * parts.contingency),
                ("roll shock", everybody, factor * parts.roll),
                ("delta shock", everybody, factor * parts.delta),
            ],
            pools.count,
        )
        return PoolCharges(
            terms=terms,
            initial=parts.rounded(parts.margin),
            leg_share=factor * parts.leg_share,
            balance_share=np.zeros(len(pools.balance_amount)),
            worst=WorstScenarios(
                block=np.zeros(pools.count, dtype=np.int64), scenario=parts.cell, loss=parts.worst, name=self._cell_name
            ),
        )

    def table(self, valuation: Valuation, rows: IntArray) -> FloatArray:
        """Return the P&L of one contract in every cell, (valuation rows, cells), in the reporting currency.

        Cells run by price from the lowest, vols up, same, down; then the extended moves. Only `rows` are filled.
        """
        catalogue, held = valuation.catalogue, valuation.instrument[rows]
        underlying, option = catalogue.underlying[held], valuation.is_option[rows]
        span = self.price_range.column(catalogue)[underlying, None]
        near = span * bucket_moves(1.0, self.buckets)
        far = np.broadcast_to(np.array(self.extended_moves), (len(rows), len(self.extended_moves)))
        pnl = np.empty((len(rows), self._standard + far.shape[1]))
        n = np.flatnonzero(~option)
        move = np.hstack((np.repeat(near[n], len(VOLS), axis=1), capped_moves(far[n], span[n])))
        inverse, mark = catalogue.inverse[held[n], None], valuation.mark[rows[n], None]
        size = catalogue.contract_size[held[n], None]
        coins = size / np.where(inverse, mark, 1.0)
        pnl[n] = np.where(inverse, coin_profit(coins, move), size * mark * move) * valuation.settle_fx[rows[n], None]
        n = np.flatnonzero(option)
        if len(n):
            shocked = Options(valuation, rows[n], self.tenor, coins_at_moved_price=False)
            up, down, least = (self.vol.column(catalogue, name)[underlying[n]] for name in ("up", "down", "least"))
            raised = shocked.up(np.hstack((near[n], far[n])), up, least)
            count = near.shape[1]
            trio = (raised[:, :count], shocked.moved(near[n]), shocked.down(near[n], down))
            pnl[n, : self._standard] = np.stack(trio, axis=2).reshape(len(n), -1)
            pnl[n, self._standard :] = raised[:, count:]
        table = np.zeros((len(valuation.instrument), pnl.shape[1]))
        table[rows] = pnl
        return table

    @property
    def _standard(self) -> int:
        return (2 * self.buckets + 1) * len(VOLS)

    def _counted(self, raw: FloatArray, groups: _Groups) -> FloatArray:
        """Return what of each segment's P&L counts, (N, cells)."""
        n = self._standard
        share, most = (groups.column(self.offset, name)[:, None] for name in ("share", "most"))
        factor, dampener = (groups.column(self.extended, name)[:, None] for name in ("factor", "dampener"))
        return np.hstack((offset_limited(raw[:, :n], share, most), damped(raw[:, n:], factor, dampener)))

    def _cell_name(self, block: int, cell: int) -> str:
        if cell >= self._standard:
            return f"price {self.extended_moves[cell - self._standard]:+.0%} vol up"
        step, vol = divmod(cell, len(VOLS))
        return f"price {(step - self.buckets) / self.buckets:+.2f} ranges vol {VOLS[vol]}"


class _Groups:
    """The groups of the segments: their parameters, and what positions in them are charged beside the matrix."""

    def __init__(self, model: RiskMatrix, portfolios: Portfolios, segments: Segments) -> None:
        self.model, self.portfolios, self.segments = model, portfolios, segments
        valuation = portfolios.valuation
        unit = unit_deltas(valuation, np.zeros(len(valuation.catalogue.assets))) * valuation.settle_fx
        self.delta = portfolios.quantity * unit[portfolios.leg_row]
        """(L,) delta notional in the reporting currency."""

    def column(self, by_group: ByGroup, name: str) -> FloatArray:
        """Return a parameter of every segment's group, (N,)."""
        return by_group.column(self.portfolios.valuation.catalogue, name)[self.segments.block]

    def roll_shares(self) -> FloatArray:
        """Return what each leg brings to the roll shock, (L,): of one expiry they net."""
        share = np.zeros(len(self.delta))
        legs = np.flatnonzero(~self.portfolios.is_option)
        if not len(legs):
            return share
        valuation, segment = self.portfolios.valuation, self.segments.of_leg[legs]
        years = valuation.tau[self.portfolios.leg_row[legs]]
        expiries, rank = np.unique(years, return_inverse=True)
        _, expiry = np.unique(segment * len(expiries) + rank, return_inverse=True)
        net = group_sums(expiry, self.delta[legs], int(expiry.max()) + 1)
        least, annual = (self.column(self.model.roll, name)[segment] for name in ("least", "annual"))
        rate = roll_rate(years, least=least, annual=annual)
        share[legs] = np.sign(net)[expiry] * self.delta[legs] * rate
        return share

    def delta_shares(self) -> FloatArray:
        """Return what each leg brings to the delta shock, (L,)."""
        segments, valuation = self.segments, self.portfolios.valuation
        net = segments.sums(self.delta)
        row = self.portfolios.leg_row[segments.order[segments.start[:-1]]]
        price = np.abs(valuation.index[row]) * valuation.quote_fx[row]
        threshold, per_unit, most = (self.column(self.model.delta, name) for name in ("threshold", "per_unit", "most"))
        charge = price * delta_shock(net / price, price, threshold=threshold, per_unit=per_unit, most=most)
        of_one = np.divide(charge, net, out=np.zeros(len(net)), where=charge > 0.0)
        return self.delta * of_one[segments.of_leg]


def _cell_shares(
    portfolios: Portfolios, segments: Segments, table: FloatArray, raw: FloatArray, cells: FloatArray, cell: IntArray
) -> FloatArray:
    """Return what each leg brings to the loss of its segment in a cell each, (L,); none where the cell is -1."""
    n = np.arange(len(segments))
    before = raw[n, cell]
    counts = np.divide(cells[n, cell], before, out=np.zeros(len(n)), where=(cell >= 0) & (before != 0.0))
    leg_cell = cell[segments.of_leg]
    return np.asarray(
        -portfolios.quantity * table[portfolios.leg_row, leg_cell] * counts[segments.of_leg], dtype=np.float64
    )


def _numeraire(portfolios: Portfolios) -> FloatArray:
    """Return the value of one unit of what each pool's contracts settle in, (P,); 1 where they do in several."""
    pools = portfolios.pools
    settle = portfolios.valuation.catalogue.settle[pools.leg_instrument]
    fx = portfolios.legs(portfolios.valuation.settle_fx)
    low, high, value = np.full(pools.count, np.inf), np.full(pools.count, -np.inf), np.ones(pools.count)
    np.minimum.at(low, pools.leg_pool, settle)
    np.maximum.at(high, pools.leg_pool, settle)
    value[pools.leg_pool] = fx
    return np.where(low == high, value, 1.0)
