"""Portfolio margin of given pools: their rows in the scenarios, their add-ons, and what they come to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from crossmargin.instruments import KINDS
from crossmargin.margin.basis import ExpiryRows
from crossmargin.margin.depth import Buckets, Depth, DepthCharge, OwnerSizes
from crossmargin.margin.expiry_saving import ExpirySaving
from crossmargin.margin.exposures import SETS, LeftOut, Rows, exposed_rows, least, owned_sets, owned_terms
from crossmargin.margin.historical import scenario_losses
from crossmargin.margin.joint_tables import joint_tables
from crossmargin.margin.liquidity import check_vols, delta_rows
from crossmargin.margin.model import Portfolios, Requirement, Terms, WorstScenarios, shared_exactly
from crossmargin.margin.orders import order_losses
from crossmargin.margin.portfolio_book import (
    OrderFigures,
    PoolFigures,
    WholeBook,
    can_be_least,
    limited,
    weighted_buffer,
)
from crossmargin.margin.short_options import ShortOptions
from crossmargin.margin.tails import Segments, Tails, tail_shares, tails
from crossmargin.margin.vega import vega_buckets, vega_rows
from crossmargin.ragged import distinct, group_sums, owners, slices, starts
from crossmargin.units import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from crossmargin.margin.portfolio import Portfolio

_SPOT = KINDS.index("spot")


class _Cores(NamedTuple):
    """What pools under sets W come to before add-ons, (n,) each."""

    whole: FloatArray
    groups: FloatArray
    grids: FloatArray
    minimum: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Orders:
    """Losses that open orders add: rows of `joint` by pool, rows of `groups` by (pool, block)."""

    joint: FloatArray
    joint_of: IntArray
    """(P,) row of a pool; -1: it has no orders."""
    groups: FloatArray
    pool: IntArray
    block: IntArray
    cost: FloatArray
    """(P,)"""


class PoolCharges:
    """Pools under portfolio margin. Shapes: P pools, H holdings (legs, then balances), N segments (pool, group)."""

    def __init__(self, model: Portfolio, portfolios: Portfolios, book: WholeBook) -> None:
        self.model, self.portfolios, self.book = model, portfolios, book
        pools, valuation = portfolios.pools, portfolios.valuation
        self.count = pools.count
        self.legs = len(portfolios.leg_row)
        self.holdings = self.legs + len(portfolios.balance_price)
        self.tables = joint_tables(
            valuation,
            distinct(portfolios.leg_row, len(valuation.instrument)),
            distinct(pools.balance_asset, len(valuation.catalogue.assets)),
            book.moves,
        )
        self.whole = exposed_rows(portfolios, self.tables.whole)
        self.groups = exposed_rows(portfolios, self.tables.groups)
        pool = owners(self.groups.start)
        new = np.ones(len(pool), dtype=np.bool_)
        new[1:] = (np.diff(pool) != 0) | (np.diff(self.groups.block) != 0)
        self.low = np.flatnonzero(new)
        self.high = np.append(self.low[1:], len(pool)).astype(np.int64)
        self.pool, self.block = pool[self.low], self.groups.block[self.low]
        self.short = ShortOptions.of(portfolios, model.short_option_minimum)

        self.deltas = delta_rows(portfolios, book.any_floor)
        self.vegas = vega_rows(portfolios, book.any_floor)
        check_vols(self.deltas, book.delta_depth.move, valuation.catalogue)
        delta_size, vega_size = self._sizes(book.deltas, self.deltas), self._sizes(book.vegas, self.vegas)
        self.price_scale = self._price_scale()
        self._leave_out(delta_size, vega_size)
        bits = self.owned.holding_left_out
        self.liquidity = DepthCharge.of(self.deltas, delta_size, book.delta_depth, bits, SETS, scale=self.price_scale)
        self.vega = DepthCharge.of(self.vegas, vega_size, book.vega_depth, bits, SETS)
        self.owed = self.short.by_bucket(bits)
        self.minimum = np.stack([group_sums(self.short.pool, c, self.count) for c in self.owed.T], axis=1)
        self._basis()
        self.add_ons = self.liquidity.by_pool + self.vega.by_pool
        self.add_ons += np.stack([group_sums(self.expiries.pool, c, self.count) for c in self.basis.T], axis=1)

    # --- what is left out

    def _sizes(self, sizes: OwnerSizes, rows: Buckets) -> FloatArray:
        """Return the owner's size in every bucket of `rows`."""
        pools, stands_for = self.portfolios.pools, self.portfolios.stands_for
        if stands_for is None:
            return sizes.held(rows, pools.owner)
        return sizes.replaced(rows, pools.owner, stands_for)

    def _price_scale(self) -> FloatArray:
        """Return what each delta bucket's daily vol is multiplied by at the prices asked about, (N,).

        A history of prices that may be negative has moves of so many price units whatever the price: the fraction
        that the whole book's vols state is of its own prices.
        """
        portfolios, rows, book = self.portfolios, self.deltas, self.book
        valuation, terms = portfolios.valuation, portfolios.valuation.catalogue
        scale = np.ones(len(rows.pool))
        if book.report.source != "history" or book.valuation is valuation:
            return scale
        instrument = portfolios.leg_instrument
        underlying = terms.underlying[instrument]
        absolute = np.zeros(len(terms.assets), dtype=np.bool_)
        absolute[terms.underlying[terms.any_domain]] = True
        legs = np.flatnonzero(absolute[underlying])
        key = portfolios.pools.leg_pool[legs] * rows.buckets + underlying[legs]
        at = np.minimum(np.searchsorted(rows.key, key), max(len(rows.pool) - 1, 0))
        there = rows.key[at] == key if len(rows.pool) else np.zeros(len(legs), dtype=np.bool_)
        legs, at = legs[there], at[there]
        floor = book.any_floor[underlying[legs]]
        stated = np.maximum(np.abs(book.valuation.index[instrument[legs]]), floor)
        scale[at] = stated / np.maximum(np.abs(valuation.index[portfolios.leg_row[legs]]), floor)
        return scale

    def _leave_out(self, delta_size: FloatArray, vega_size: FloatArray) -> None:
        """Work out the sets W: what each thing owned outright needs alone, against what it counts."""
        portfolios, pools, book = self.portfolios, self.portfolios.pools, self.book
        may = np.zeros(self.holdings, dtype=np.bool_)
        may[: self.legs] = portfolios.is_option & (portfolios.quantity > 0)
        may[self.legs :] = pools.balance_amount > 0
        low, high = _runs_of_holdings(self.groups, may)
        alone = self._tails(low, high, np.zeros(len(low), dtype=np.int64), np.zeros(len(self.groups.row), np.int64))
        holding, buffer = self.groups.holding[low], book.buffer[self.groups.block[low]]
        groups, grids, buffered, blocks = (
            group_sums(holding, c, self.holdings)
            for c in (alone.core, alone.grid, alone.core * buffer, np.ones(len(low)))
        )
        # In one group the whole is what the group is; in several it differs by the product of two moves.
        whole = groups.copy()
        low, high = _runs_of_holdings(self.whole, may & (blocks > 1.0))
        apart = tails(
            Segments(rows=self.whole, low=low, high=high, which=np.zeros(len(low), np.int64), left_out=self.whole.row),
            self.tables.pnl,
            self.tables.ordinary,
            self.tables.stressed,
            np.zeros(0),
            self.model.measure,
        )
        whole[self.whole.holding[low]] = apart.core
        # No basis: what a lone option settles in moves with it, in the row of its expiry.
        own = limited(whole, groups, grids, np.zeros(self.holdings), self.model.offset_limit)
        own += _alone(self.deltas, delta_size, book.delta_depth, may, self.price_scale)
        own += _alone(self.vegas, vega_size, book.vega_depth, may)
        credit = portfolios.credit_factor[np.concatenate((pools.leg_pool, pools.balance_pool))]
        k = (1.0 + weighted_buffer(buffered, groups, self.model.buffer)) * credit
        self.owned = owned_sets(portfolios, self.groups, own, k * own)
        self.members = np.stack(
            [
                group_sums(
                    np.concatenate((pools.leg_pool, pools.balance_pool)),
                    ((self.owned.holding_left_out >> int(w)) & 1).astype(np.float64),
                    self.count,
                )
                for w in LeftOut
            ],
            axis=1,
        )
        self.group_bits = self.owned.holding_left_out[self.groups.holding]
        self.whole_bits = self.owned.holding_left_out[self.whole.holding]

    # --- basis

    def _basis(self) -> None:
        """Charge matched expiries, no more than netting across them saves."""
        self.expiries = ExpiryRows.of(self.portfolios, self.deltas)
        charge = self.expiries.charges(self.book.basis, self.owned.holding_left_out, SETS)
        segment, which = np.nonzero(charge > 0.0)
        assets = len(self.book.basis)
        key = self.pool * assets + self.block
        wanted = self.expiries.pool[segment] * assets + self.expiries.group[segment]
        at = np.minimum(np.searchsorted(key, wanted), max(len(key) - 1, 0))
        there = key[at] == wanted if len(key) else np.zeros(len(wanted), dtype=np.bool_)
        saved = np.zeros(len(segment))
        self.saving = ExpirySaving.of(
            self.portfolios,
            self.groups,
            self.low[at[there]],
            self.high[at[there]],
            which[there],
            self.group_bits,
            wanted[there],
            self.tables,
            self.model.measure,
            self.short,
            self.owed,
            self.book.moves.block,
        )
        saved[there] = self.saving.amount
        self.basis = charge
        self.basis[segment, which] = self.expiries.capped(charge[segment, which], saved)
        # By (segment, set): -1, or where the cap binds the number in `saving`, -2 where it leaves nothing.
        self.binding = np.full(charge.shape, -1, dtype=np.int64)
        nothing = self.basis[segment, which] == 0.0
        self.binding[segment[nothing], which[nothing]] = -2
        binds = there & (self.basis[segment, which] == np.maximum(saved, 0.0)) & (saved > 0.0)
        self.binding[segment[binds], which[binds]] = (np.cumsum(there) - 1)[binds]

    # --- cores

    def _tails(
        self,
        low: IntArray,
        high: IntArray,
        which: IntArray,
        bits: IntArray,
        extra: FloatArray | None = None,
        extra_of: IntArray | None = None,
    ) -> Tails:
        tables = self.tables
        return tails(
            Segments(rows=self.groups, low=low, high=high, which=which, left_out=bits),
            tables.pnl,
            tables.ordinary,
            tables.stressed,
            tables.cell_weight,
            self.model.measure,
            extra,
            extra_of,
        )

    def _whole_tails(self, pool: IntArray, which: IntArray, orders: _Orders | None = None) -> Tails:
        tables, start = self.tables, self.whole.start
        return tails(
            Segments(rows=self.whole, low=start[pool], high=start[pool + 1], which=which, left_out=self.whole_bits),
            tables.pnl,
            tables.ordinary,
            tables.stressed,
            np.zeros(0),
            self.model.measure,
            None if orders is None else orders.joint,
            None if orders is None else orders.joint_of[pool],
        )

    def _cores(self, pool: IntArray, which: IntArray) -> _Cores:
        """Return the parts of M of each (pool, set)."""
        segment, start = slices(starts(self.pool, self.count), pool)
        of = owners(start)
        found = self._tails(self.low[segment], self.high[segment], which[of], self.group_bits)
        return _Cores(
            whole=self._whole_tails(pool, which).core,
            groups=group_sums(of, found.core, len(pool)),
            grids=group_sums(of, found.grid, len(pool)),
            minimum=self.minimum[pool, which],
        )

    def _limited(self, found: _Cores) -> FloatArray:
        return limited(*found, self.model.offset_limit)

    # --- orders

    def _orders(self) -> _Orders | None:
        """Return the losses of open orders at their worst fills; None where there are none."""
        orders = self.portfolios.orders
        if orders is None or not len(orders.pool):
            return None
        valuation = self.book.valuation
        terms = valuation.catalogue
        spot = terms.kind[orders.instrument] == _SPOT
        tables = joint_tables(
            valuation,
            distinct(orders.instrument[~spot], len(terms)),
            distinct(
                np.concatenate((terms.underlying[orders.instrument[spot]], terms.settle[orders.instrument])),
                len(terms.assets),
            ),
            self.book.moves,
        )
        whole = replace(tables.whole, pnl=np.ascontiguousarray(tables.whole.pnl))
        joint = order_losses(orders, whole, valuation, pools=self.count)
        groups = order_losses(orders, tables.groups, valuation, pools=self.count)
        joint_of = np.full(self.count, -1, dtype=np.int64)
        joint_of[joint.pool] = np.arange(len(joint.pool))
        return _Orders(
            joint=joint.loss,
            joint_of=joint_of,
            groups=groups.loss,
            pool=groups.pool,
            block=groups.block,
            cost=joint.cost,
        )

    def _cores_with_orders(self, orders: _Orders, pool: IntArray, which: IntArray) -> _Cores:
        """Return the parts of M of each (pool, set) with the losses of open orders added."""
        blocks = len(self.book.basis)
        own, theirs = self.pool * blocks + self.block, orders.pool * blocks + orders.block
        key = np.union1d(own, theirs)
        low, high = np.zeros(len(key), dtype=np.int64), np.zeros(len(key), dtype=np.int64)
        at = np.searchsorted(key, own)
        low[at], high[at] = self.low, self.high
        extra_of = np.full(len(key), -1, dtype=np.int64)
        extra_of[np.searchsorted(key, theirs)] = np.arange(len(theirs))
        segment, start = slices(starts(key // blocks, self.count), pool)
        of = owners(start)
        found = self._tails(low[segment], high[segment], which[of], self.group_bits, orders.groups, extra_of[segment])
        return _Cores(
            whole=self._whole_tails(pool, which, orders).core,
            groups=group_sums(of, found.core, len(pool)),
            grids=group_sums(of, found.grid, len(pool)),
            minimum=self.minimum[pool, which],
        )

    def _fill_equal_sets(self, figure: FloatArray) -> None:
        """Copy to sets that equal another what was computed once, in place; `figure` (P, SETS)."""
        everything = self.members[:, LeftOut.EVERYTHING]
        for w in (LeftOut.LONG_OPTIONS, LeftOut.BALANCES):
            same = (self.members[:, w] == everything) & (everything > 0.0)
            figure[same, LeftOut.EVERYTHING] = figure[same, w]
        for w in (LeftOut.DEARER_THAN_WORTH, LeftOut.DEARER_THAN_WORTH_INITIAL):
            same = (self.members[:, w] == everything) & (everything > 0.0)
            figure[same, w] = figure[same, LeftOut.EVERYTHING]

    # --- figures

    def figures(self) -> PoolFigures:
        """Return the ingredients of the pools."""
        tables = self.tables
        everybody, nothing = np.arange(self.count), np.zeros(self.count, dtype=np.int64)
        rows = self.whole
        joint = scenario_losses(
            rows.start, rows.row, rows.amount, self.whole_bits, tables.pnl, SETS, tables.ordinary + tables.stressed
        )
        orders = self._orders()
        first = self._cores(everybody, nothing)
        groups, grids = (np.repeat(c[:, None], SETS, axis=1) for c in (first.groups, first.grids))
        ordered = None
        if orders is not None:
            with_orders = self._cores_with_orders(orders, everybody, nothing)
            ordered = OrderFigures(
                joint=np.zeros((self.count, joint.shape[2])),
                groups=np.repeat(with_orders.groups[:, None], SETS, axis=1),
                grids=np.repeat(with_orders.grids[:, None], SETS, axis=1),
                cost=orders.cost,
            )
            has = orders.joint_of >= 0
            ordered.joint[has] = orders.joint[orders.joint_of[has]]
        pool, which = np.nonzero(can_be_least(self.members, np.zeros_like(self.members), np.ones(self.count)))
        found = self._cores(pool, which)
        groups[pool, which], grids[pool, which] = found.groups, found.grids
        filled = [groups, grids]
        if orders is not None and ordered is not None:
            found = self._cores_with_orders(orders, pool, which)
            ordered.groups[pool, which], ordered.grids[pool, which] = found.groups, found.grids
            filled += [ordered.groups, ordered.grids]
        for figure in filled:
            self._fill_equal_sets(figure)
        base = self._tails(self.low, self.high, np.zeros(len(self.low), np.int64), self.group_bits)
        return PoolFigures(
            ordinary=tables.ordinary,
            joint=joint,
            groups=groups,
            grids=grids,
            minimum=self.minimum,
            add_ons=self.add_ons,
            counted=self.owned.counted,
            members=self.members,
            buffered=group_sums(self.pool, base.core * self.book.buffer[self.block], self.count),
            with_orders=ordered,
        )

    # --- the requirement

    def requirement(self) -> Requirement:
        """Return what each pool must have, its terms and shares."""
        portfolios, pools, model = self.portfolios, self.portfolios.pools, self.model
        everybody, nothing = np.arange(self.count), np.zeros(self.count, dtype=np.int64)
        base = self._tails(self.low, self.high, np.zeros(len(self.low), np.int64), self.group_bits)
        base_whole = self._whole_tails(everybody, nothing)
        groups = group_sums(self.pool, base.core, self.count)
        buffered = group_sums(self.pool, base.core * self.book.buffer[self.block], self.count)
        k = (1.0 + weighted_buffer(buffered, groups, model.buffer)) * portfolios.credit_factor
        first = _Cores(base_whole.core, groups, group_sums(self.pool, base.grid, self.count), self.minimum[:, 0])
        needed = self._all_sets(first, k, None)
        _, chosen = least(needed, self.owned.counted, np.ones(self.count), initial=False)
        initial, _ = least(needed, self.owned.counted, k, initial=True)
        found, whole = self._of_chosen(base, chosen[self.pool]), self._whole_of_chosen(base_whole, chosen)
        terms, branch = self._terms(found, whole, chosen)
        maintenance = terms.total(self.count)
        initial = np.maximum(initial, maintenance)
        above = [("buffer and credit tier", everybody, initial - maintenance)]
        orders = self._orders()
        if orders is not None:
            with_orders = self._all_sets(self._cores_with_orders(orders, everybody, nothing), k, orders)
            total, _ = least(with_orders, self.owned.counted, k, initial=True)
            total = np.maximum(total + orders.cost, initial)
            above.append(("open orders", everybody, total - initial))
            initial = total
        share = self._shares(found, whole, chosen, branch)
        leg_share, balance_share = shared_exactly(
            maintenance, pools.leg_pool, share[: self.legs], pools.balance_pool, share[self.legs :]
        )
        return Requirement(
            initial=initial,
            maintenance=maintenance,
            terms=terms,
            leg_share=leg_share,
            balance_share=balance_share,
            worst=WorstScenarios(
                block=np.zeros(self.count, dtype=np.int64),
                scenario=whole.peak_at,
                loss=whole.peak,
                name=self.tables.whole.scenario_name,
            ),
            above_maintenance=Terms.of(above, self.count),
        )

    def _all_sets(self, first: _Cores, k: FloatArray, orders: _Orders | None) -> FloatArray:
        """Return M(all but W), (P, SETS), given that of nothing; infinite for sets that cannot be the least."""
        needed = np.full((self.count, SETS), np.inf)
        needed[:, 0] = self._limited(first) + self.add_ons[:, 0]
        pool, which = np.nonzero(can_be_least(self.members, self.owned.counted, k * needed[:, 0]))
        found = self._cores(pool, which) if orders is None else self._cores_with_orders(orders, pool, which)
        needed[pool, which] = self._limited(found) + self.add_ons[pool, which]
        return needed

    def _of_chosen(self, base: Tails, which: IntArray) -> Tails:
        """Return the tails of the groups under the chosen sets; `base` has those of nothing left out."""
        some = np.flatnonzero(which > 0)
        return _patched(base, some, self._tails(self.low[some], self.high[some], which[some], self.group_bits))

    def _whole_of_chosen(self, base: Tails, which: IntArray) -> Tails:
        some = np.flatnonzero(which > 0)
        return _patched(base, some, self._whole_tails(some, which[some]))

    def _terms(self, found: Tails, whole: Tails, chosen: IntArray) -> tuple[Terms, IntArray]:
        """Return the named parts of maintenance, and what decides each core: 0 joint, 1 grids, 2 minimum."""
        everybody = np.arange(self.count)
        names = [asset.symbol for asset in self.portfolios.valuation.catalogue.assets]
        groups, grids = (group_sums(self.pool, c, self.count) for c in (found.core, found.grid))
        c = self.model.offset_limit
        joint = c * whole.core + (1.0 - c) * groups
        minimum = self.minimum[everybody, chosen]
        floor = np.maximum(grids - joint, 0.0)
        rest = np.maximum(minimum - np.maximum(joint, grids), 0.0)
        _, owned = owned_terms(self.portfolios, self.owned, chosen)
        liquidity, vega = self.liquidity, self.vega
        underlying = vega_buckets(self.portfolios.valuation.catalogue).underlying[vega.rows.bucket]
        # One term an underlying, over all its expiries.
        vega_key, expiry = np.unique(vega.rows.pool * len(names) + underlying, return_inverse=True)
        rows: list[tuple[list[str], IntArray, IntArray, FloatArray]] = [
            ([f"expected shortfall {name}" for name in names], self.pool, self.block, found.shortfall),
            ([f"stress {name}" for name in names], self.pool, self.block, found.core - found.shortfall),
            (["offset between groups"], everybody, np.zeros(self.count, np.int64), c * (whole.core - groups)),
            (["grid floor"], everybody, np.zeros(self.count, np.int64), floor),
            (["short option minimum"], everybody, np.zeros(self.count, np.int64), rest),
            (
                [f"basis {name}" for name in names],
                self.expiries.pool,
                self.expiries.group,
                self.basis[np.arange(len(self.expiries.pool)), chosen[self.expiries.pool]],
            ),
            (
                [f"liquidity {name}" for name in names],
                liquidity.rows.pool,
                liquidity.rows.bucket,
                liquidity.amount[np.arange(len(liquidity.rows.pool)), chosen[liquidity.rows.pool]],
            ),
            (
                [f"vega {name}" for name in names],
                vega_key // len(names),
                vega_key % len(names),
                group_sums(expiry, vega.amount[np.arange(len(expiry)), chosen[vega.rows.pool]], len(vega_key)),
            ),
        ]
        low = np.cumsum([0, *(len(r[0]) for r in rows)])
        terms = Terms.of_rows(
            np.concatenate([r[1] for r in rows]),
            tuple(name for r in rows for name in r[0]),
            np.concatenate([r[2] + k for r, k in zip(rows, low[:-1].tolist(), strict=True)]),
            np.concatenate([r[3] for r in rows]),
        )
        branch = np.where((joint >= grids) & (joint >= minimum), 0, np.where(grids >= minimum, 1, 2))
        return terms.followed_by(Terms.of(owned, self.count)), branch

    def _shares(self, found: Tails, whole: Tails, chosen: IntArray, branch: IntArray) -> FloatArray:
        """Return each holding's Euler share of maintenance, (H,)."""
        tables, measure, c = self.tables, self.model.measure, self.model.offset_limit
        bits = self.owned.holding_left_out
        start = self.whole.start
        of_whole = tail_shares(
            Segments(rows=self.whole, low=start[:-1], high=start[1:], which=chosen, left_out=self.whole_bits),
            whole,
            tables.pnl,
            tables.ordinary,
            tables.stressed,
            np.zeros(0),
            measure,
            np.where(branch == 0, c, 0.0),
            np.zeros(self.count),
        )
        at = branch[self.pool]
        weights = np.where(at == 0, 1.0 - c, 0.0), np.where(at == 1, 1.0, 0.0)
        of_groups = tail_shares(
            Segments(rows=self.groups, low=self.low, high=self.high, which=chosen[self.pool], left_out=self.group_bits),
            found,
            tables.pnl,
            tables.ordinary,
            tables.stressed,
            tables.cell_weight,
            measure,
            *weights,
        )
        weight = np.where(branch[self.short.pool] == 2, 1.0, 0.0)
        # Where netting across expiries caps the basis, what is shared is what it saves.
        segment = np.arange(len(self.expiries.pool))
        bound = self.binding[segment, chosen[self.expiries.pool]]
        counted = np.zeros(self.saving.pairs, dtype=np.bool_)
        counted[bound[bound >= 0]] = True
        of_saving, of_bucket = self.saving.shares(len(self.groups.row), len(self.short.pool), counted)
        of_groups = of_groups + of_saving
        weight = weight + of_bucket
        share = group_sums(self.whole.holding, of_whole, self.holdings)
        share += group_sums(self.groups.holding, of_groups, self.holdings)
        share += self.short.shares(weight, chosen[self.short.pool], self.holdings, bits)
        share += self.liquidity.shares(chosen, self.holdings, bits) + self.vega.shares(chosen, self.holdings, bits)
        share += self.expiries.shares(self.book.basis, chosen, self.holdings, bits, counted=bound == -1)
        left, _ = owned_terms(self.portfolios, self.owned, chosen)
        return share + left


def _alone(
    rows: Buckets, size: FloatArray, depth: Depth, may: BoolArray, scale: FloatArray | None = None
) -> FloatArray:
    """Return what closing each holding of `may` (H,) out alone costs at its owner's size, (H,); 0 for the others."""
    segment = owners(rows.start)
    kept = np.flatnonzero(may[rows.holding])
    holding, bucket = rows.holding[kept], rows.bucket[segment[kept]]
    lone = Buckets.of(
        holding, bucket, rows.amount[kept], rows.kind[kept], holding, pools=len(may), buckets=rows.buckets
    )
    _, first = np.unique(holding * rows.buckets + bucket, return_index=True)
    of_lone = segment[kept[first]]
    return DepthCharge.of(lone, size[of_lone], depth, scale=None if scale is None else scale[of_lone]).by_pool[:, 0]


def _runs_of_holdings(rows: Rows, may: BoolArray) -> tuple[IntArray, IntArray]:
    """Return (first row, one past the last) of every holding of `may` (H,) in every block: they lie together."""
    at = np.flatnonzero(may[rows.holding])
    new = np.ones(len(at), dtype=np.bool_)
    new[1:] = (np.diff(rows.holding[at]) != 0) | (np.diff(rows.block[at]) != 0)
    low = at[new]
    return low, low + np.diff(np.append(np.flatnonzero(new), len(at)))


def _patched(base: Tails, at: IntArray, other: Tails) -> Tails:
    """Return `base` with the entries `at` replaced by those of `other`."""
    if not len(at):
        return base
    columns = {}
    for name in Tails.__slots__:
        column = getattr(base, name).copy()
        column[at] = getattr(other, name)
        columns[name] = column
    return replace(base, **columns)
