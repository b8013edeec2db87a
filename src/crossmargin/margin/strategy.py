"""Strategy margin: options grouped into spreads, straddles and covered positions, each by its own rule."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import fsum, isfinite

import numpy as np
from numba import njit

from crossmargin.errors import InvalidRules
from crossmargin.instruments import KINDS, Option
from crossmargin.margin.model import Portfolios, Terms
from crossmargin.margin.pairing import best_pairs, worth_of_units
from crossmargin.margin.parameters import OTHER, by_position, check_classes
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.ragged import group_sums, starts
from crossmargin.units import BoolArray, FloatArray, IntArray

_OPTION = KINDS.index("option")
_SHORT_CALL, _SHORT_PUT, _LONG_CALL, _LONG_PUT = range(4)
_ROUNDING = 1e-12
"""Units below this share of a leg are rounding."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UncoveredRates:
    """What an uncovered short option owes beside its own value."""

    share: float
    """Of the underlying's price, less what the option is out of the money; above 0, at most 1."""
    least: float
    """But at least this share: of the underlying's price for a call, of the strike for a put; at most `share`."""
    floor: float = 0.0
    """And in all no less than this a unit of the underlying, in the quote asset; 0 or more."""

    def __post_init__(self) -> None:
        _share("share", self.share)
        _share("least", self.least)
        if self.least > self.share:
            raise InvalidRules("least", f"{self.least:g}", f"at most share, {self.share:g}")
        if not (isfinite(self.floor) and self.floor >= 0):
            raise InvalidRules("floor", f"{self.floor:g}", "0 or more")

    def alternatives(
        self, *, underlying: FloatArray, strike: FloatArray, value: FloatArray, is_call: BoolArray
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the three amounts of which a short option of one unit owes the greatest, any shape.

        In the unit of `underlying`, the option's own value contained in the first two:

            value + share x underlying - out of the money
            value + least x underlying        (call), value + least x strike        (put)
            floor
        """
        out = np.maximum(np.where(is_call, strike - underlying, underlying - strike), 0.0)
        return (
            value + self.share * underlying - out,
            value + self.least * np.where(is_call, underlying, strike),
            np.broadcast_to(np.float64(self.floor), np.shape(value)),
        )

    def charge(
        self, *, underlying: FloatArray, strike: FloatArray, value: FloatArray, is_call: BoolArray
    ) -> FloatArray:
        """Return what a short option of one unit owes, its own value contained; arguments as `alternatives`."""
        first, second, third = self.alternatives(underlying=underlying, strike=strike, value=value, is_call=is_call)
        return np.asarray(np.maximum(np.maximum(first, second), third), dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortRates:
    """What a borrowed asset owes beside being owed, as shares of its value; 0 <= maintenance <= initial."""

    initial: float
    maintenance: float

    def __post_init__(self) -> None:
        for name in ("initial", "maintenance"):
            number = getattr(self, name)
            if not (isfinite(number) and 0 <= number <= 1):
                raise InvalidRules(name, f"{number:g}", "a fraction from 0 to 1")
        if self.maintenance > self.initial:
            raise InvalidRules("maintenance", f"{self.maintenance:g}", f"at most initial, {self.initial:g}")


@njit()
def spread_charge(long_strike: float, short_strike: float, is_call: bool) -> float:
    """Return what a long option leaves uncovered of a short one of its type that ends no later, a unit: its width.

    A call covers a call of a higher or equal strike in full, a put a put of a lower or equal one.
    """
    return max(long_strike - short_strike if is_call else short_strike - long_strike, 0.0)


@njit()
def straddle_charge(call: float, call_value: float, put: float, put_value: float) -> float:
    """Return what a short call and a short put owe together, a unit: the greater charge and the other's value.

    `call` and `put` are their charges uncovered, own values contained. Where they are equal, the cheaper way round.
    """
    with_call, with_put = call + put_value, put + call_value
    if call > put:
        return with_call
    return with_put if put > call else min(with_call, with_put)


@njit()
def covered_charge(underlying: float, strike: float, is_call: bool) -> float:
    """Return what a short call on shares held, or a short put on shares owed, still owes a unit: its intrinsic value.

    The shares have to be delivered, or taken, at the strike.
    """
    return max(underlying - strike if is_call else strike - underlying, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Units:
    """Option legs as units of their underlying, grouped by pool and underlying; amounts in the reporting currency.

    Columns have shape (L,) unless said otherwise. In a group the left legs (short calls, long puts) come before the
    right ones (short puts, long calls): what pairs lies on different sides.
    """

    order: IntArray
    """(N,) the option legs, by group and side."""
    start: IntArray
    """(G + 1,) where each group begins in `order`."""
    middle: IntArray
    """(G,) where its right side begins."""
    pool: IntArray
    """(G,)"""
    shares: FloatArray
    """(G,) what the pool holds of the underlying; less than 0 is owed."""
    shares_asset: IntArray
    """(G,)"""
    kind: IntArray
    quote: IntArray
    units: FloatArray
    """|quantity| x contract size."""
    strike: FloatArray
    expiry: FloatArray
    american: BoolArray
    index: FloatArray
    value: FloatArray
    uncovered: FloatArray
    """What one unit owes uncovered; 0 for longs."""
    covered: float
    """Share of its intrinsic value that a covered unit owes."""

    def sides(self, group: int) -> tuple[IntArray, IntArray, FloatArray, FloatArray]:
        """Return (left legs, right legs, left units, right units) of a group; the last units of a side are shares."""
        left = self.order[self.start[group] : self.middle[group]]
        right = self.order[self.middle[group] : self.start[group + 1]]
        shares = self.shares[group]
        return (
            left,
            right,
            np.append(self.units[left], max(-shares, 0.0)),
            np.append(self.units[right], max(shares, 0.0)),
        )

    def saving(self, left: IntArray, right: IntArray) -> FloatArray:
        """Return what a unit of each pair owes less together than apart, (A + 1, B + 1), shares last."""
        found = _savings(
            left,
            right,
            self.kind,
            self.quote,
            self.strike,
            self.expiry,
            self.american,
            self.index,
            self.value,
            self.uncovered,
            self.covered,
        )
        return np.asarray(found)


@njit(cache=True)
def _savings(
    left: IntArray,
    right: IntArray,
    kind: IntArray,
    quote: IntArray,
    strike: FloatArray,
    expiry: FloatArray,
    american: BoolArray,
    index: FloatArray,
    value: FloatArray,
    uncovered: FloatArray,
    covered: float,
) -> FloatArray:
    """Return the savings of `_Units.saving`; 0 where two do not pair."""
    a, b = len(left), len(right)
    saving = np.zeros((a + 1, b + 1))
    for x in range(a):
        i = left[x]
        if kind[i] == _SHORT_CALL:
            saving[x, b] = uncovered[i] - covered * covered_charge(index[i], strike[i], True)
        for y in range(b):
            j = right[y]
            if quote[i] != quote[j]:
                continue
            if kind[i] == _SHORT_CALL and kind[j] == _SHORT_PUT:
                together = straddle_charge(uncovered[i], value[i], uncovered[j], value[j])
                saving[x, y] = uncovered[i] + uncovered[j] - together
                continue
            if kind[i] == _SHORT_CALL and kind[j] == _LONG_CALL:
                short, cover, is_call = i, j, True
            elif kind[i] == _LONG_PUT and kind[j] == _SHORT_PUT:
                short, cover, is_call = j, i, False
            else:
                continue
            if expiry[cover] >= expiry[short] and (american[cover] or not american[short]):
                saving[x, y] = uncovered[short] - spread_charge(strike[cover], strike[short], is_call)
    for y in range(b):
        j = right[y]
        if kind[j] == _SHORT_PUT:
            saving[a, y] = uncovered[j] - covered * covered_charge(index[j], strike[j], False)
    return np.maximum(saving, 0.0)


@njit(cache=True)
def _most_saved(
    order: IntArray,
    start: IntArray,
    middle: IntArray,
    shares: FloatArray,
    units: FloatArray,
    kind: IntArray,
    quote: IntArray,
    strike: FloatArray,
    expiry: FloatArray,
    american: BoolArray,
    index: FloatArray,
    value: FloatArray,
    uncovered: FloatArray,
    covered: float,
) -> FloatArray:
    """Return what the best pairs of each group save, (G,)."""
    saved = np.zeros(len(middle))
    for g in range(len(middle)):
        left, right = order[start[g] : middle[g]], order[middle[g] : start[g + 1]]
        saving = _savings(left, right, kind, quote, strike, expiry, american, index, value, uncovered, covered)
        left_units, right_units = np.zeros(len(left) + 1), np.zeros(len(right) + 1)
        left_units[: len(left)], right_units[: len(right)] = units[left], units[right]
        left_units[len(left)], right_units[len(right)] = max(-shares[g], 0.0), max(shares[g], 0.0)
        saved[g] = (saving * best_pairs(saving, left_units, right_units)).sum()
    return saved


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Strategy(WholePoolModel):
    """Strategy-based margin: the cheapest grouping of a pool's options, found as a minimum-cost matching.

    Every unit of a short option is one of: uncovered (`UncoveredRates`); in a spread with a long option of its type
    that ends no earlier (`spread_charge`); in a straddle with a short option of the other type (`straddle_charge`);
    covered by shares held, or for a put by shares owed (`covered_charge`). Every long option, share and short is used
    once. The requirement is the least over all groupings, never that of a greedy one. Long options are paid for and
    owe nothing. Initial and maintenance margin of options are the same; they differ for borrowed assets
    (`short_asset`), and for owned ones in the haircuts of the rule book.

    What a short owes contains its value, so a rule book with this model excludes option value from the margin
    balance. Balances of the underlying are the shares, counted in full; a long option that only can be exercised at
    its end covers no short that can be exercised before. Refused: futures and perpetuals, coin-settled options and
    options on prices that may be negative. American options are taken: the rules need marks alone.
    Left out: groups of three and more (butterflies, boxes and condors owe as their pairs), the
    relief of shares by long options.

    Claims. P1, P3 (homogeneity). P4: a pool owes no more than its positions alone. P8: a bought option
    never raises the requirement. P10: a deposit of the reporting currency changes nothing, one of shares never
    raises it. P11. P13: order, splitting of rows. P14, first half, for an uncovered short.
    Does not claim P2 and P7: a long and a short of one option net, and what the long covered before may cost more
    than the closed short saved. P12: a straddle takes its greater side by the rule's own words, which jumps where the
    sides change places. P5 and P6 do not apply. Share of a position: the price of its units in the matching, so that
    units x price adds up to the requirement.
    """

    uncovered_by_class: Mapping[str, UncoveredRates]
    """By asset class of the option; `other`, which is required, stands in for classes not listed."""
    short_asset_by_class: Mapping[str, ShortRates]
    """By asset class of what is owed, the reporting currency apart."""
    uncovered_by_underlying: Mapping[str, UncoveredRates] = field(default_factory=dict)
    covered: float = 1.0
    """Share, 0 to 1, of `covered_charge` that a covered short owes. Below 1 shares that are to be delivered below
    their price count for more than they will bring."""

    def __post_init__(self) -> None:
        if not (isfinite(self.covered) and 0 <= self.covered <= 1):
            raise InvalidRules("covered", f"{self.covered:g}", "a fraction from 0 to 1")
        check_classes("uncovered_by_class", self.uncovered_by_class)
        check_classes("short_asset_by_class", self.short_asset_by_class)

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return what is held and no option, coin-settled, or on a price that may be negative."""
        terms = portfolios.valuation.catalogue
        held = np.unique(portfolios.leg_instrument)
        return np.asarray(held[(terms.kind[held] != _OPTION) | terms.inverse[held] | terms.any_domain[held]])

    def ingredients(self, portfolios: Portfolios) -> FloatArray:
        """Return maintenance and initial margin before the credit tier, (P, 2), without naming what they are of."""
        pools = portfolios.pools
        legs = self._units(portfolios)
        total = group_sums(pools.leg_pool, legs.units * legs.uncovered, pools.count)
        saved = _most_saved(
            legs.order,
            legs.start,
            legs.middle,
            legs.shares,
            legs.units,
            legs.kind,
            legs.quote,
            legs.strike,
            legs.expiry,
            legs.american,
            legs.index,
            legs.value,
            legs.uncovered,
            legs.covered,
        )
        total = np.maximum(total - group_sums(legs.pool, np.asarray(saved), pools.count), 0.0)
        rates = self._short_assets(portfolios)
        return np.stack([total + group_sums(pools.balance_pool, rate, pools.count) for rate in reversed(rates)], axis=1)

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return the cheapest grouping of each pool, a term a group. Groups of legs are looped over in Python."""
        pools = portfolios.pools
        legs = self._units(portfolios)
        leg_share = legs.units * legs.uncovered
        initial, maintenance = self._short_assets(portfolios)
        balance_share = maintenance.copy()
        rows: list[tuple[int, str, float]] = []
        for group, pool in enumerate(legs.pool.tolist()):
            left, right, left_units, right_units = legs.sides(group)
            saving = legs.saving(left, right)
            flow = best_pairs(saving, left_units, right_units)
            rows += [(pool, name, amount) for name, amount in self._groups(portfolios, legs, left, right, saving, flow)]
            left_worth, right_worth = worth_of_units(saving, flow, left_units, right_units)
            leg_share[left] -= (left_units * left_worth)[:-1]
            leg_share[right] -= (right_units * right_worth)[:-1]
            by_shares = left_units[-1] * left_worth[-1] + right_units[-1] * right_worth[-1]
            if by_shares:
                at = np.flatnonzero((pools.balance_pool == pool) & (pools.balance_asset == legs.shares_asset[group]))
                balance_share[at] -= by_shares * pools.balance_amount[at] / legs.shares[group]
        assets = portfolios.valuation.catalogue.assets
        short: dict[tuple[int, str], list[float]] = {}
        for row in np.flatnonzero(maintenance).tolist():
            name = f"short {assets[int(pools.balance_asset[row])].symbol}"
            short.setdefault((int(pools.balance_pool[row]), name), []).append(float(maintenance[row]))
        rows += [(pool, name, fsum(amounts)) for (pool, name), amounts in short.items()]
        terms = _terms(rows)
        return PoolCharges(
            terms=terms,
            initial=terms.total(pools.count) + group_sums(pools.balance_pool, initial - maintenance, pools.count),
            leg_share=leg_share,
            balance_share=balance_share,
        )

    def _groups(
        self,
        portfolios: Portfolios,
        legs: _Units,
        left: IntArray,
        right: IntArray,
        saving: FloatArray,
        flow: FloatArray,
    ) -> list[tuple[str, float]]:
        """Return the named charges of one group's pairs, then of what stays uncovered."""
        instruments = portfolios.valuation.catalogue.instruments
        found: list[tuple[str, float]] = []

        def symbol(leg: int) -> str:
            return instruments[int(portfolios.leg_instrument[leg])].symbol

        alone = {int(leg): float(legs.units[leg]) for leg in (*left, *right) if legs.uncovered[leg] > 0.0}
        for a, b in zip(*np.nonzero(flow > _ROUNDING * flow.max()), strict=True):
            i = int(left[a]) if a < len(left) else -1
            j = int(right[b]) if b < len(right) else -1
            shorts = [leg for leg in (i, j) if leg in alone]
            charge = sum(float(legs.uncovered[leg]) for leg in shorts) - float(saving[a, b])
            units = float(flow[a, b])
            for leg in shorts:
                alone[leg] -= units
            cover = [leg for leg in (i, j) if leg >= 0 and leg not in alone]
            if len(shorts) == 2:
                name = f"straddle {symbol(i)} with {symbol(j)}"
            elif cover:
                name = f"spread {symbol(shorts[0])} with {symbol(cover[0])}"
            else:
                underlying = instruments[int(portfolios.leg_instrument[shorts[0]])].underlying
                name = f"covered {symbol(shorts[0])} with {underlying}"
            found.append((name, units * charge))
        for leg, units in alone.items():
            if units > _ROUNDING * float(legs.units[leg]):
                found.append((f"uncovered {symbol(leg)}", units * float(legs.uncovered[leg])))
        return found

    def _units(self, portfolios: Portfolios) -> _Units:
        valuation, pools = portfolios.valuation, portfolios.pools
        terms, held, row = valuation.catalogue, portfolios.leg_instrument, portfolios.leg_row
        is_option = portfolios.is_option & (portfolios.quantity != 0.0)
        short, is_call = portfolios.quantity < 0, terms.is_call[held]
        kind = np.where(short, np.where(is_call, 0, 1), np.where(is_call, _LONG_CALL, _LONG_PUT)).astype(np.int64)
        uncovered = np.zeros(len(held))
        owing = np.flatnonzero(is_option & short)
        for rates, rows in by_position(
            terms, held[owing], by_class=self.uncovered_by_class, by_underlying=self.uncovered_by_underlying
        ):
            at = owing[rows]
            uncovered[at] = rates.charge(
                underlying=valuation.index[row[at]],
                strike=terms.strike[held[at]],
                value=valuation.mark[row[at]],
                is_call=is_call[at],
            )
        fx = valuation.settle_fx[row]
        legs = np.flatnonzero(is_option)
        is_right = (kind == _SHORT_PUT) | (kind == _LONG_CALL)
        assets = len(terms.assets)
        key = pools.leg_pool * assets + terms.underlying[held]
        # Groups without a short have nothing to pair.
        legs = legs[np.isin(key[legs], key[owing])]
        order = legs[np.lexsort((legs, is_right[legs], key[legs]))]
        group_key, group = np.unique(key[order], return_inverse=True)
        start = starts(group, len(group_key))
        middle = start[:-1] + np.bincount(group[~is_right[order]], minlength=len(group_key))
        shares = np.zeros(len(group_key))
        if len(group_key):
            balance_key = pools.balance_pool * assets + pools.balance_asset
            at_group = np.minimum(np.searchsorted(group_key, balance_key), len(group_key) - 1)
            mine = group_key[at_group] == balance_key
            shares = group_sums(at_group[mine], pools.balance_amount[mine], len(group_key))
        return _Units(
            order=order,
            start=start,
            middle=middle.astype(np.int64),
            pool=group_key // assets,
            shares=shares,
            shares_asset=group_key % assets,
            kind=kind,
            quote=terms.quote[held],
            units=np.where(is_option, np.abs(portfolios.quantity) * terms.contract_size[held], 0.0),
            strike=terms.strike[held] * fx,
            expiry=terms.expiry[held],
            american=_american(portfolios)[held],
            index=valuation.index[row] * fx,
            value=valuation.mark[row] * fx,
            uncovered=uncovered * fx,
            covered=self.covered,
        )

    def _short_assets(self, portfolios: Portfolios) -> tuple[FloatArray, FloatArray]:
        """Return (initial, maintenance) of each balance, (B,): of debts in anything but the reporting currency."""
        pools, valuation = portfolios.pools, portfolios.valuation
        key = pools.balance_pool * len(valuation.catalogue.assets) + pools.balance_asset
        _, holding = np.unique(key, return_inverse=True)
        holdings = len(pools.balance_amount)
        net_owed = np.maximum(-group_sums(holding, pools.balance_amount, holdings), 0.0)[holding]
        owed = np.where(pools.balance_asset == valuation.currency, 0.0, np.maximum(-pools.balance_amount, 0.0))
        # What members of a pool owe and own of one asset nets.
        gross = group_sums(holding, owed, holdings)[holding]
        owed = np.where(gross > 0.0, owed * net_owed / np.where(gross > 0.0, gross, 1.0), 0.0)
        initial, maintenance = np.zeros(len(owed)), np.zeros(len(owed))
        assets = valuation.catalogue.assets
        for row in np.flatnonzero(owed).tolist():
            asset = assets[int(pools.balance_asset[row])]
            rates = self.short_asset_by_class.get(asset.asset_class, self.short_asset_by_class[OTHER])
            value = float(owed[row] * portfolios.balance_price[row])
            initial[row], maintenance[row] = rates.initial * value, rates.maintenance * value
        return initial, maintenance


def _american(portfolios: Portfolios) -> BoolArray:
    """Return which instruments of the catalogue are American options."""
    instruments = portfolios.valuation.catalogue.instruments
    american = np.zeros(len(instruments), dtype=np.bool_)
    for k in np.unique(portfolios.leg_instrument).tolist():
        option = instruments[k]
        american[k] = isinstance(option, Option) and option.exercise == "american"
    return american


def _terms(rows: list[tuple[int, str, float]]) -> Terms:
    """Return terms of (pool, name, amount) rows, a pool's in the order given."""
    number: dict[str, int] = {}
    label = np.array([number.setdefault(name, len(number)) for _, name, _ in rows], dtype=np.int64)
    return Terms.of_rows(
        np.array([pool for pool, _, _ in rows], dtype=np.int64),
        tuple(number),
        label,
        np.array([amount for _, _, amount in rows], dtype=np.float64),
    )


def _share(name: str, value: float) -> None:
    if not (isfinite(value) and 0 < value <= 1):
        hint = f"is {value:g} percent meant? write {value / 100:g}" if isfinite(value) and value > 1 else ""
        raise InvalidRules(name, f"{value:g}", "above 0, at most 1", hint)
