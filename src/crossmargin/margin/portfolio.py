"""Portfolio margin, the house rule book: joint scenarios, a limit on offsets, grids, and add-ons by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset, Catalogue
from crossmargin.margin.basis import Basis
from crossmargin.margin.depth import OwnerSizes
from crossmargin.margin.exposures import RiskTable, least
from crossmargin.margin.grid import american_options
from crossmargin.margin.joint_tables import JointMoves, group_numbers, joint_tables
from crossmargin.margin.liquidity import Liquidity, delta_rows
from crossmargin.margin.model import Portfolios, Requirement, ScenarioSource
from crossmargin.margin.portfolio_book import PoolFigures, WholeBook
from crossmargin.margin.portfolio_pools import PoolCharges
from crossmargin.margin.tails import TailMeasure
from crossmargin.margin.vega import Vega, vega_rows
from crossmargin.pricing import Valuation
from crossmargin.ragged import distinct
from crossmargin.scenarios import GridShape, JointParameters, JointScenarios, joint_scenarios
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Portfolio:
    """Portfolio margin over joint scenarios.

    Of a set of holdings Q, in the reporting currency:

        ES+(Q)  expected shortfall over ordinary scenarios (history, or the reference set), 0 or more
        C(Q)  = max( ES+, (1 - w) ES+ + w max(0, worst stressed loss) )
        M(Q)  = max( c C(Q) + (1 - c) sum of C(Q in g), sum of the worst cells of the grids, short-option minimum )
                + basis + liquidity and concentration + vega

        MM = least over sets W of things owned outright of [ M(all but W) + counted value of W ]
        IM = the same with k M, k = (1 + b) x credit(tier), b = sum of b_g C(p in g) / sum of C(p in g),
             open orders at their worst fills in every scenario, and their adverse limit-to-mark cost

    Claims, of the part before add-ons: normalisation (P1), sub-additivity (P2), homogeneity (P3), limited offsets (P5),
    a larger stressed set never lowers it (P6; more ordinary scenarios may), hedge bound (P7), long-option bound (P8),
    deposits of the reporting currency change no requirement (P10), IM >= MM (P11), permutation invariance (P13). Of
    liquidity and vega: splitting an owner into pools never pays (P14). Portfolio <= sum of isolated (P4) holds with
    them, and with the basis of pools whose balances without expiry are of one group; balances that offset between
    groups can leave a basis that netting does not save (a counterexample is tested).
    """

    joint: JointParameters
    """Where scenarios come from; kept by a rule book, whose scenarios are cached by it."""
    grid: GridShape
    measure: TailMeasure
    offset_limit: float
    """c: the share of the offset between groups that is allowed."""
    short_option_minimum: float
    """Share of the index x contract size that a net short option costs at least."""
    basis: Basis
    liquidity: Liquidity
    vega: Vega
    buffer: float
    """Largest b_g, the buffer of a group above maintenance margin; the buffer of groups without an entry."""
    buffer_by_group: Mapping[str, float] = field(default_factory=dict)
    """b_g by the group's name: a state of the market that the daily calibration sets, the same for everybody."""

    def __post_init__(self) -> None:
        if not 0.5 <= self.measure.confidence < 1:
            raise InvalidRules("confidence", str(self.measure.confidence), "a fraction from 0.5 to below 1")
        if not 0 <= self.measure.stress_weight <= 1:
            raise InvalidRules("stress_weight", str(self.measure.stress_weight), "a fraction from 0 to 1")
        if not 0 <= self.offset_limit <= 1:
            raise InvalidRules("offset_limit", str(self.offset_limit), "a fraction from 0 to 1")
        if not 0 <= self.short_option_minimum < 1:
            raise InvalidRules("short_option_minimum", str(self.short_option_minimum), "a fraction from 0 to below 1")
        if not 0 <= self.buffer < np.inf:
            raise InvalidRules("buffer", str(self.buffer), "a fraction of 0 or more")
        for name, buffer in self.buffer_by_group.items():
            if not 0 <= buffer <= self.buffer:
                raise InvalidRules(
                    f"buffer_by_group.{name}", str(buffer), f"a fraction from 0 to buffer, {self.buffer}"
                )

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the American options held or ordered."""
        return american_options(portfolios)

    def blocks(self, catalogue: Catalogue) -> IntArray:
        """Return the number of each asset's group, which is reduced as one."""
        return group_numbers(catalogue)

    @property
    def nets_delta_one(self) -> bool:
        """Return False: spreads are paid on each contract, and expiries have a basis between them."""
        return False

    def bends(self, asset: Asset) -> FloatArray:
        """Return the ends of the asset's grid: of hundreds of joint scenarios no single one leaves a bend."""
        span = self.grid.range_of(asset)
        return np.array([-span, 0.0, span])

    def scenarios(self, valuation: Valuation) -> JointScenarios:
        """Return the joint scenarios of a market, and the report of where they come from."""
        return joint_scenarios(valuation, self.joint)

    def scenario_source(self, valuation: Valuation) -> ScenarioSource:
        """Return where the ordinary scenarios come from, and what had to be made up."""
        report = self.scenarios(valuation).report
        return ScenarioSource(
            report.source,
            report.start,
            report.end,
            report.count,
            effective_sample=report.effective_sample if report.source == "history" else None,
            stressed=report.stressed,
            notes=(*report.notes, *(f"history of {stand_in}" for stand_in in report.stand_ins)),
        )

    def whole_book(self, portfolios: Portfolios) -> WholeBook:
        """Return what a pool's requirement needs to know of the rest of the book, given all real pools of it."""
        valuation, pools = portfolios.valuation, portfolios.pools
        catalogue = valuation.catalogue
        joint = self.scenarios(valuation)
        moves = JointMoves.of(valuation, joint, self.grid)
        floor = np.array([self.grid.any_floor_of(asset.symbol) for asset in catalogue.assets])
        horizon = np.array([float(self.joint.horizon_of(asset.asset_class)) for asset in catalogue.assets])
        buffer = [self.buffer_by_group.get(asset.symbol, self.buffer) for asset in catalogue.assets]
        return WholeBook(
            valuation=valuation,
            moves=moves,
            report=joint.report,
            any_floor=floor,
            delta_depth=self.liquidity.depth(catalogue, self._daily_vols(valuation, joint, floor), horizon),
            vega_depth=self.vega.depth(catalogue, self.liquidity, horizon),
            deltas=OwnerSizes.of(delta_rows(portfolios, floor), pools.owner),
            vegas=OwnerSizes.of(vega_rows(portfolios, floor), pools.owner),
            basis=self.basis.moves(catalogue),
            buffer=np.array(buffer, dtype=np.float64),
        )

    def risk_table(self, portfolios: Portfolios) -> RiskTable:
        """Return the P&L of everything the pools hold in every ordinary and stressed scenario, one block."""
        valuation = portfolios.valuation
        rows = distinct(portfolios.leg_row, len(valuation.instrument))
        assets = distinct(portfolios.pools.balance_asset, len(valuation.catalogue.assets))
        return joint_tables(valuation, rows, assets, self._book(portfolios).moves).whole

    def ingredients(self, portfolios: Portfolios) -> PoolFigures:
        """Return the losses of every set in all joint scenarios, and the sums over groups and add-ons."""
        return PoolCharges(self, portfolios, self._book(portfolios)).figures()

    def totals(self, ingredients: PoolFigures, credit_factor: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial), each (P,)."""
        figures = ingredients
        k = (1.0 + figures.buffer(self.buffer)) * credit_factor
        without = figures.required(self.measure, self.offset_limit, k, orders=False)
        everybody = np.ones(len(k))
        maintenance, _ = least(without, figures.counted, everybody, initial=False)
        if figures.with_orders is None:
            initial, _ = least(without, figures.counted, k, initial=True)
        else:
            needed = figures.required(self.measure, self.offset_limit, k, orders=True)
            initial, _ = least(needed, figures.counted, k, initial=True)
            initial = initial + figures.with_orders.cost
        return maintenance, np.maximum(initial, maintenance)

    def requirement(self, portfolios: Portfolios) -> Requirement:
        """Return what each pool must have: groups, the offset between them, floors, add-ons, what is owned outright."""
        if not portfolios.pools.count:
            return Requirement.nothing(portfolios)
        return PoolCharges(self, portfolios, self._book(portfolios)).requirement()

    def _book(self, portfolios: Portfolios) -> WholeBook:
        book = portfolios.whole_book
        return book if isinstance(book, WholeBook) else self.whole_book(replace(portfolios, stands_for=None))

    def _daily_vols(self, valuation: Valuation, joint: JointScenarios, floor: FloatArray) -> FloatArray:
        """Return the daily vol of every asset, a fraction, (assets,); NaN for the reporting currency.

        With history it is the root mean square of the scenarios, which carry the vol in force, over sqrt(horizon);
        with the reference set the annual vol over sqrt(365).
        """
        number = valuation.catalogue.asset_number
        sigma = np.full(len(number), np.nan)
        if joint.report.source == "reference":
            for used in joint.report.vols:
                sigma[number[used.name]] = used.vol_annual / np.sqrt(365.0)
            return sigma
        level = dict.fromkeys(joint.ordinary.factors, np.nan)
        any_domain = set(valuation.catalogue.underlying[valuation.catalogue.any_domain].tolist())
        for name, move in zip(joint.ordinary.factors, joint.ordinary.move, strict=True):
            a = number[name]
            if a in any_domain:
                price = valuation.market.prices.get(name, 0.0)
                # A price of 0 without a floor has no fraction: its vol is refused where it is needed.
                level_now = max(abs(price), floor[a])
                step = move / level_now if level_now > 0.0 else np.full(len(move), np.nan)
            else:
                step = np.log1p(move)
            level[name] = float(np.sqrt(np.mean(step**2) / joint.report.horizon_days[name]))
        for name, vol in level.items():
            sigma[number[name]] = vol
        return sigma
