"""Standard margin in the style of Derive: shorts by formula, capped by the worst an expiry can settle at."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

import numpy as np
from numba import njit

from crossmargin.errors import InvalidRules
from crossmargin.margin.derive import Confidence, Peg
from crossmargin.margin.derive_book import is_coin, not_listed, peg_prices
from crossmargin.margin.model import Portfolios, Terms
from crossmargin.margin.whole import PoolCharges, WholePoolModel
from crossmargin.ragged import group_sums
from crossmargin.units import BoolArray, FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortOptions:
    """What options owe: each on its own, or as much as their expiry can lose where that is less."""

    initial: float
    """At the money; what the option is out of the money comes off it."""
    initial_least: float
    """But no more than this is left."""
    call_maintenance: float
    put_maintenance: float
    """Shares of the index."""
    put_maintenance_of_value: float
    """A put owes this share of its own value where that is more than `put_maintenance` of the index."""
    put_initial_of_maintenance: float
    """A put's initial margin is at least this multiple of its maintenance margin."""
    unpaired_initial: float
    unpaired_maintenance: float
    """What calls short on balance add to the worst an expiry can settle at: this multiple of the forward each."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not (isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InvalidRules(name, f"{getattr(self, name):g}", "0 or more")

    def isolated(
        self, amount: FloatArray, value: FloatArray, strike: FloatArray, is_call: BoolArray, index: FloatArray
    ) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial) of each option on its own, (H,), 0 or more; 0 for longs.

        `amount` signed units, `value` what one unit is worth. With out = max(0, strike - index) for a call and
        max(0, index - strike) for a put, over the index, a short of one unit owes its value and

            maintenance: call_maintenance x index                                             (calls)
                         max(put_maintenance x index, put_maintenance_of_value x value)        (puts)
            initial:     max(initial - out, initial_least) x index

        and a put's initial margin is at least put_initial_of_maintenance x maintenance.
        """
        short = np.maximum(-amount, 0.0)
        out = np.maximum(np.where(is_call, strike - index, index - strike), 0.0) / index
        put = np.maximum(self.put_maintenance * index, self.put_maintenance_of_value * value)
        maintenance = short * (np.where(is_call, self.call_maintenance * index, put) + value)
        initial = short * (np.maximum(self.initial - out, self.initial_least) * index + value)
        return maintenance, np.where(
            is_call, initial, np.maximum(initial, self.put_initial_of_maintenance * maintenance)
        )

    def of_expiries(
        self,
        start: IntArray,
        amount: FloatArray,
        value: FloatArray,
        strike: FloatArray,
        is_call: BoolArray,
        index: FloatArray,
        forward: FloatArray,
    ) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return (maintenance, initial) of each expiry, (G,), and each option's share of them, (H,) each.

        Expiry g owns the options start[g]:start[g + 1], sorted by strike; `forward` (G,) is its own, `index` (H,). It
        owes the lesser of the sum of its options on their own and the most it can lose by settling, at 0 or at a
        strike, and `unpaired` x forward for every call short on balance.
        """
        alone = self.isolated(amount, value, strike, is_call, index)
        found = [
            _capped(start, own, amount, strike, is_call, forward, unpaired)
            for own, unpaired in zip(alone, (self.unpaired_maintenance, self.unpaired_initial), strict=True)
        ]
        (maintenance, maintenance_share), (initial, initial_share) = found
        return maintenance, initial, maintenance_share, initial_share


@njit(cache=True)
def _capped(
    start: IntArray,
    alone: FloatArray,
    amount: FloatArray,
    strike: FloatArray,
    is_call: BoolArray,
    forward: FloatArray,
    unpaired: float,
) -> tuple[FloatArray, FloatArray]:
    """Return what each expiry owes, and each option's share of it; see `ShortOptions.of_expiries`."""
    owed, share = np.zeros(len(start) - 1), np.zeros(len(amount))
    for g in range(len(start) - 1):
        low, high = start[g], start[g + 1]
        total, net_calls, puts, put_strikes = 0.0, 0.0, 0.0, 0.0
        for i in range(low, high):
            total += alone[i]
            if is_call[i]:
                net_calls += amount[i]
            else:
                puts += amount[i]
                put_strikes += amount[i] * strike[i]
        # At a price of 0 every put pays its strike; rising from strike to strike, puts drop out and calls come in.
        worst, at = min(put_strikes, 0.0), 0.0
        calls, call_strikes = 0.0, 0.0
        for i in range(low, high):
            if is_call[i]:
                calls += amount[i]
                call_strikes += amount[i] * strike[i]
            else:
                puts -= amount[i]
                put_strikes -= amount[i] * strike[i]
            payoff = calls * strike[i] - call_strikes + put_strikes - puts * strike[i]
            if payoff < worst:
                worst, at = payoff, strike[i]
        most = -worst
        scale = unpaired * forward[g] if net_calls < 0.0 else 0.0
        most -= scale * net_calls
        owed[g] = min(total, most)
        for i in range(low, high):
            if total <= most:
                share[i] = alone[i]
                continue
            if worst < 0.0:
                gain = at - strike[i] if is_call[i] else strike[i] - at
                share[i] = -amount[i] * max(gain, 0.0)
            if is_call[i]:
                share[i] -= scale * amount[i]
    return owed, share


@dataclass(frozen=True, slots=True, kw_only=True)
class Formula:
    """The numbers of the formula; perpetuals by a share of notional, options by expiry, the index as collateral."""

    perpetual_maintenance: float
    perpetual_initial: float
    """Shares of |size| x mark."""
    options: ShortOptions
    peg: Peg
    """On the notional of perpetuals and short options, at the index."""
    perpetual_confidence: Confidence
    option_confidence: Confidence
    base_confidence: Confidence

    def __post_init__(self) -> None:
        for name in ("perpetual_maintenance", "perpetual_initial"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise InvalidRules(name, f"{getattr(self, name):g}", "0 or more")

    def perpetuals(self, amount: FloatArray, mark: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (maintenance, initial) of perpetuals, any shape, from signed units and the mark."""
        notional = np.abs(amount) * mark
        return notional * self.perpetual_maintenance, notional * self.perpetual_initial

    def depeg(self, notional: FloatArray, peg_price: FloatArray) -> FloatArray:
        """Return what a settlement coin at `peg_price` adds to initial margin, any shape.

        `notional`: of perpetuals and short options at the index, longs of options left out.
        """
        return np.asarray(notional * self.peg.add_on(peg_price), dtype=np.float64)


def base_collateral(amount: FloatArray, index: FloatArray, factor: float) -> FloatArray:
    """Return what units of the underlying count as collateral, any shape: amount x index x factor."""
    return np.asarray(amount * index * factor, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DeriveStandard(WholePoolModel):
    """Standard margin of options and perpetuals, after Derive's standard manager: no offsets between expiries.

    A perpetual owes a share of its notional; an expiry the lesser of its short options on their own and the most it can
    lose by settling. How a book is read:

    - What a short option owes contains its value, and a long option counts nothing, so a rule book with this model
      excludes option value from the margin balance.
    - Collateral counts after the rule book's haircuts, one less the venue's margin factor. A coin that is owed is
      charged like a perpetual of its value, our choice: the venue lends cash alone.
    - The peg is that of the stable coin a contract settles in. Feeds are taken as certain: a book states no doubt.

    Refused: dated futures, coin-settled contracts, American options, prices that may be negative.

    Claims. P1 normalisation. P3 homogeneity. P7, its second half: a portfolio and its opposite owe nothing. P8 a bought
    option never raises the requirement. P10 a deposit of the reporting currency changes nothing. P11 initial is at
    least maintenance. P12 continuity in prices. P13 order, splitting of rows and names change no bit. P14, first half.
    Not P2 and P4: an expiry takes the lesser of two sums, and two that each take another lesser may be
    charged less apart than together. P5 and P6 do not apply: there are no scenarios.
    """

    formula: Formula
    peg_currency: str = "USD"

    def __post_init__(self) -> None:
        formula, options = self.formula, self.formula.options
        for place, low, high in (
            ("perpetuals.initial", formula.perpetual_maintenance, formula.perpetual_initial),
            ("options.initial_least", options.call_maintenance, options.initial_least),
            ("options.initial", options.initial_least, options.initial),
            ("options.put_initial_of_maintenance", 1.0, options.put_initial_of_maintenance),
            ("options.unpaired_initial", options.unpaired_maintenance, options.unpaired_initial),
        ):
            if high < low:
                raise InvalidRules(place, f"{high:g}", f"{low:g} or more, or initial margin falls below maintenance")

    def refused(self, portfolios: Portfolios) -> IntArray:
        """Return the instrument numbers held that the venue would not list."""
        return not_listed(portfolios)

    def charges(self, portfolios: Portfolios) -> PoolCharges:
        """Return what each pool owes: perpetuals, options and coins owed, each by underlying."""
        pools, valuation, formula = portfolios.pools, portfolios.valuation, self.formula
        terms, instrument, count = valuation.catalogue, pools.leg_instrument, pools.count
        settle_fx = portfolios.legs(valuation.settle_fx)
        amount = portfolios.quantity * terms.contract_size[instrument] * settle_fx
        index = portfolios.legs(valuation.index) * portfolios.legs(valuation.quote_fx) / settle_fx
        mark = portfolios.legs(valuation.mark)
        maintenance, initial = np.zeros(len(amount)), np.zeros(len(amount))
        perp = np.flatnonzero(~portfolios.is_option)
        maintenance[perp], initial[perp] = formula.perpetuals(amount[perp], mark[perp])

        option = np.flatnonzero(portfolios.is_option)
        series = (terms.settle, terms.quote, terms.expiry, terms.underlying)
        keys = [*(column[instrument[option]] for column in series), pools.leg_pool[option]]
        strike = terms.strike[instrument]
        order = np.lexsort((option, strike[option], *keys))
        changes = np.zeros(max(0, len(order) - 1), dtype=np.bool_)
        for key in keys:
            changes |= np.diff(key[order]) != 0
        option = option[order]
        first = np.concatenate((np.zeros(min(1, len(order)), dtype=np.int64), np.flatnonzero(changes) + 1))
        _, _, maintenance[option], initial[option] = formula.options.of_expiries(
            np.append(first, len(order)).astype(np.int64),
            amount[option],
            mark[option],
            strike[option],
            terms.is_call[instrument[option]],
            index[option],
            portfolios.legs(valuation.forward)[option[first]],
        )
        short = np.where(portfolios.is_option, np.maximum(-amount, 0.0), np.abs(amount)) * index
        initial += formula.depeg(short, peg_prices(portfolios, self.peg_currency))

        owed = np.where(is_coin(portfolios), np.maximum(-portfolios.counted_value, 0.0), 0.0)
        debt, debt_initial = formula.perpetuals(owed, np.ones(len(owed)))
        kind = 2 * terms.underlying[instrument] + portfolios.is_option
        cell, of_leg = np.unique(pools.leg_pool * (2 * len(terms.assets)) + kind, return_inverse=True)
        used, label = np.unique(cell % (2 * len(terms.assets)), return_inverse=True)
        names = tuple(f"{('perpetuals', 'options')[k % 2]} {terms.assets[k // 2].symbol}" for k in used.tolist())
        parts = Terms.of_rows(
            cell // (2 * len(terms.assets)),
            names,
            label.ravel(),
            group_sums(of_leg.ravel(), maintenance, len(cell)),
        )
        coins = Terms.of([("coins owed", np.arange(count), group_sums(pools.balance_pool, debt, count))], count)
        return PoolCharges(
            terms=parts.followed_by(coins),
            initial=group_sums(pools.leg_pool, initial, count) + group_sums(pools.balance_pool, debt_initial, count),
            leg_share=maintenance,
            balance_share=debt,
        )
