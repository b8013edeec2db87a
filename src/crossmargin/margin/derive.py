"""What the Derive-style portfolio rule books share: options by expiry, repriced under moves of price and vol.

A market is what one pool holds on one underlying. Arrays in, arrays out: golden cases bring a market of their own,
whole books bring all markets of all pools at once (`derive_book`). Sources: the formulas of Derive's portfolio risk
managers, reimplemented; the numbers are parameters.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.pricing import black76_scenarios
from crossmargin.ragged import group_sums
from crossmargin.units import BoolArray, FloatArray, IntArray

DAYS_A_YEAR = 365.0
_PIVOT_DAYS = 30.0
"""The maturity vol shocks are stated for: what the powers of `VolShock` scale from."""
_TINY = 1e-300


class VolMove(IntEnum):
    """What a scenario does to vols."""

    DOWN = -1
    SAME = 0
    UP = 1
    LINEAR_SKEW = 2
    """The wing above the forward rises while the one below falls, with ln(strike / forward)."""
    ABSOLUTE_SKEW = 3
    """Both wings rise, with |ln(strike / forward)|."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenarios:
    """Scenarios of one underlying, S of them."""

    price: tuple[float, ...]
    """What the index is multiplied by."""
    vol: tuple[int, ...]
    """Codes of `VolMove`. A skew is seen at the price in force."""
    share: tuple[float, ...]
    """How much of a scenario's profit and loss counts: tails are damped."""

    def __post_init__(self) -> None:
        if not self.price:
            raise InvalidRules("price", "no scenarios", "one at least")
        if not len(self.price) == len(self.vol) == len(self.share):
            raise InvalidRules(
                "price", f"{len(self.price)}, {len(self.vol)} and {len(self.share)} rows", "as many each"
            )
        for k, (price, vol, share) in enumerate(zip(self.price, self.vol, self.share, strict=True)):
            if not (isfinite(price) and price >= 0):
                raise InvalidRules(f"price[{k}]", f"{price:g}", "a multiple of the index, 0 or more")
            if not (isfinite(share) and share >= 0):
                raise InvalidRules(f"share[{k}]", f"{share:g}", "0 or more")
            if vol not in tuple(VolMove):
                raise InvalidRules(f"vol[{k}]", str(vol), "-1 (down), 0 (same), 1 (up), 2 (linear), 3 (absolute skew)")
            if vol >= VolMove.LINEAR_SKEW and price != 1:
                raise InvalidRules(f"price[{k}]", f"{price:g} under a skew", "1: a skew is seen at the price in force")

    @property
    def is_skew(self) -> BoolArray:
        """(S,) True for the scenarios that tilt or bend the smile."""
        return np.array(self.vol) >= VolMove.LINEAR_SKEW

    def name(self, scenario: int) -> str:
        """Return a readable name; the number after the last is the move of every forward against the others."""
        if scenario == len(self.price):
            return "basis"
        words = {-1: "vol down", 0: "vol same", 1: "vol up", 2: "linear skew", 3: "absolute skew"}
        return f"price {self.price[scenario] - 1:+.1%}, {words[self.vol[scenario]]}"


@dataclass(frozen=True, slots=True, kw_only=True)
class VolShock:
    """How far vols move: more for short expiries, by (30 days / days to expiry) ^ power."""

    up: float
    down: float
    """Fractions of the vol, 30 days from expiry; a vol never falls below 0."""
    short_power: float
    """Of expiries up to 30 days away."""
    long_power: float
    floor_days: float
    """A nearer expiry is shocked as one this far away."""
    least_up: float = 0.0
    """Under a shock up every vol is at least this."""

    def __post_init__(self) -> None:
        for name in ("up", "down", "short_power", "long_power", "least_up"):
            _not_negative(name, getattr(self, name))
        if not (isfinite(self.floor_days) and self.floor_days > 0):
            raise InvalidRules("floor_days", f"{self.floor_days:g}", "above 0")

    def factors(self, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what vols are multiplied by when they go up and when they go down, each the shape of `tau`, years."""
        days = tau * DAYS_A_YEAR
        power = np.where(days <= _PIVOT_DAYS, self.short_power, self.long_power)
        tenor = (_PIVOT_DAYS / np.maximum(days, self.floor_days)) ** power
        return 1.0 + self.up * tenor, np.maximum(0.0, 1.0 - self.down * tenor)


@dataclass(frozen=True, slots=True, kw_only=True)
class Skew:
    """How far the smile tilts (linear) or bends (absolute)."""

    linear_cap: float
    linear_cap_per_root_year: float
    absolute_cap: float
    absolute_cap_per_root_year: float
    """The largest change of a vol, a fraction of it: cap + cap_per_root_year x sqrt(tau)."""
    least_width: float
    width_scale: float
    width_vol: float
    width_vol_per_root_year: float
    """It is reached at ln(strike / forward) = sqrt(tau) width_scale (width_vol + width_vol_per_root_year sqrt(tau)), or
    at `least_width` where that is more."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            if not isfinite(getattr(self, name)):
                raise InvalidRules(name, f"{getattr(self, name):g}", "a finite number")
        if not self.least_width > 0:
            raise InvalidRules("least_width", f"{self.least_width:g}", "above 0")

    def factors(self, tau: FloatArray, log_moneyness: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return what vols are multiplied by under the linear and the absolute skew, each the shape of `tau`.

        `log_moneyness` is ln(strike / forward). A multiplier is never below 0.
        """
        root = np.sqrt(tau)
        width = np.maximum(
            self.least_width, root * self.width_scale * (self.width_vol + root * self.width_vol_per_root_year)
        )
        out = []
        for k, base, slope in (
            (log_moneyness, self.linear_cap, self.linear_cap_per_root_year),
            (np.abs(log_moneyness), self.absolute_cap, self.absolute_cap_per_root_year),
        ):
            cap = base + slope * root
            change = k * cap / width
            # Side by side, not a clip to +-cap: a cap that has fallen below 0 then still has one meaning on each side.
            change = np.where(k < 0, np.maximum(-cap, change), np.minimum(cap, change))
            out.append(np.maximum(0.0, 1.0 + change))
        return out[0], out[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What the forwards of a market may lose by moving each for itself."""

    up: float
    down: float
    """What a forward is multiplied by."""
    share: float
    share_per_year: float
    """How much of an expiry's worse loss counts: share + share_per_year x tau."""

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            _not_negative(name, getattr(self, name))


@dataclass(frozen=True, slots=True, kw_only=True)
class Confidence:
    """What an uncertain feed adds to initial margin."""

    threshold: float
    rate: float
    """A share of notional, of what confidence misses of 1."""

    def __post_init__(self) -> None:
        _not_negative("threshold", self.threshold)
        _not_negative("rate", self.rate)

    def charge(self, notional: FloatArray, confidence: FloatArray) -> FloatArray:
        """Return (1 - confidence) x rate x notional where confidence is below the threshold, else 0; any shape.

        `confidence`, 0 to 1, is the least of the feeds involved.
        """
        missing = np.where(np.asarray(confidence) < self.threshold, 1.0 - np.asarray(confidence), 0.0)
        return np.asarray(notional * missing * self.rate, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class Peg:
    """What a settlement coin below its peg adds to initial margin."""

    threshold: float
    factor: float

    def __post_init__(self) -> None:
        _not_negative("threshold", self.threshold)
        _not_negative("factor", self.factor)

    def add_on(self, price: FloatArray) -> FloatArray:
        """Return max(0, threshold - price) x factor, the shape of `price`."""
        return np.asarray(np.maximum(0.0, self.threshold - np.asarray(price)) * self.factor, dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OptionRows:
    """European options that are priced, one row each; n rows. Prices are per unit of the underlying."""

    forward_fixed: FloatArray
    forward_variable: FloatArray
    """(n,) the part of the forward that a move no longer reaches, and the part it does; they add up to it."""
    strike: FloatArray
    is_call: BoolArray
    vol: FloatArray
    tau: FloatArray
    """(n,) years, ACT/365."""
    discount: FloatArray
    offset: FloatArray
    """(n,) mark less model price, kept under every move."""

    def values(self, price: FloatArray, vol: FloatArray) -> FloatArray:
        """Return what one option of each row is worth, (n, S), with the index at `price` (S,) times now, vols `vol`."""
        forward = self.forward_variable[:, None] * price + self.forward_fixed[:, None]
        worth = black76_scenarios(forward, self.strike, vol, self.tau, self.discount, self.is_call)
        return np.asarray(np.maximum(worth + self.offset[:, None], 0.0), dtype=np.float64)

    def shocked_vols(self, scenarios: Scenarios, shock: VolShock, skew: Skew | None) -> FloatArray:
        """Return the vol of each row under each scenario, (n, S); `skew` is needed where a scenario has one."""
        up, down = shock.factors(self.tau)
        forward = self.forward_fixed + self.forward_variable
        log_moneyness = np.log(np.maximum(self.strike, _TINY) / np.maximum(forward, _TINY))
        linear, absolute = skew.factors(self.tau, log_moneyness) if skew else (np.ones_like(up), np.ones_like(up))
        of_move = {
            VolMove.DOWN: self.vol * down,
            VolMove.SAME: self.vol,
            VolMove.UP: np.maximum(shock.least_up, self.vol * up),
            VolMove.LINEAR_SKEW: self.vol * linear,
            VolMove.ABSOLUTE_SKEW: self.vol * absolute,
        }
        return np.stack([of_move[VolMove(move)] for move in scenarios.vol], axis=1)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Holdings:
    """What M markets hold: H options over G expiries, K perpetuals, and collateral that moves with the underlying.

    Amounts are signed units of the underlying, times the value of the settle asset where that is not the unit of
    account. Option holdings are sorted by expiry; an expiry is of one market.
    """

    count: int
    """M."""
    options: OptionRows
    row: IntArray
    """(H,) row of `options`."""
    amount: FloatArray
    expiry: IntArray
    """(H,)"""
    market: IntArray
    """(G,)"""
    tau: FloatArray
    rate: FloatArray
    """(G,) years, and the rate a year, 0 or more."""
    index: FloatArray
    """(G,) the underlying's price, in the quote asset's unit of account."""
    perp_market: IntArray
    perp_amount: FloatArray
    perp_price: FloatArray
    perp_index: FloatArray
    """(K,)"""
    moving: FloatArray
    """(M,) value of collateral that moves with the underlying; debts negative."""

    def __post_init__(self) -> None:
        assert len(self.row) == len(self.amount) == len(self.expiry)
        assert (np.diff(self.expiry) >= 0).all()

    def by_expiry(self, value: FloatArray) -> FloatArray:
        """Return the sums over the holdings of each expiry, (G,), of `value` (H,)."""
        return group_sums(self.expiry, value, len(self.market))

    def by_market(self, value: FloatArray) -> FloatArray:
        """Return the sums over the expiries of each market, (M,), of `value` (G,)."""
        return group_sums(self.market, value, self.count)

    def perps_by_market(self, value: FloatArray) -> FloatArray:
        """Return the sums over the perpetuals of each market, (M,), of `value` (K,)."""
        return group_sums(self.perp_market, value, self.count)

    def expiry_values(self, unit: FloatArray) -> FloatArray:
        """Return what the options of each expiry are worth, (G, S), from what one of each row is, (n, S)."""
        columns = [self.by_expiry(self.amount * unit[self.row, s]) for s in range(unit.shape[1])]
        return np.stack(columns, axis=1) if columns else np.zeros((len(self.market), 0))

    def perpetual_pnl(self, price: FloatArray) -> FloatArray:
        """Return each perpetual's profit with the index at `price` (S,) times now, (K, S): it keeps its ratio to it."""
        ratio = self.perp_price / self.perp_index
        moved = ratio[:, None] * (self.perp_index[:, None] * price)
        return np.asarray(self.perp_amount[:, None] * (moved - self.perp_price[:, None]), dtype=np.float64)

    @property
    def perpetual_notional(self) -> FloatArray:
        """(K,) |amount| x index."""
        return np.abs(self.perp_amount) * self.perp_index

    @property
    def option_notional(self) -> FloatArray:
        """(G,) sum of |amount| x index over the options of an expiry."""
        return self.by_expiry(np.abs(self.amount)) * self.index

    def naked_shorts(self) -> FloatArray:
        """Return each holding's share of what is short at its strike after calls and puts pair, (H,), units.

        At one strike of one expiry a long of either type pairs with a short of either: max(0, -(calls + puts)) is left.
        """
        strike = self.options.strike[self.row]
        order = np.lexsort((np.arange(len(strike)), strike, self.expiry))
        changes = (np.diff(strike[order]) != 0) | (np.diff(self.expiry[order]) != 0)
        bucket = np.empty(len(strike), dtype=np.int64)
        bucket[order] = np.cumsum(np.concatenate((np.zeros(min(1, len(order)), dtype=np.bool_), changes)))
        net = group_sums(bucket, self.amount, int(bucket.max(initial=-1)) + 1)
        return np.where(net[bucket] < 0.0, -self.amount, 0.0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Losses:
    """What the scenarios do to each market, and what of it is whose."""

    holdings: Holdings
    pnl: FloatArray
    """(M, S) profit and loss under each scenario, damped."""
    basis: FloatArray
    """(M,) what forwards that move each for itself lose, 0 or less."""
    unit: FloatArray
    """(n, S + 2) what one option is worth under each scenario, and with its forward up and down."""
    mark: FloatArray
    """(n,)"""
    slope: FloatArray
    level: FloatArray
    """(G, S) an expiry's profit is slope x value - level x value now."""
    basis_column: IntArray
    """(G,) column of `unit` that an expiry's forward moves to in `basis`, -1 where neither way loses."""
    basis_share: FloatArray
    perp_pnl: FloatArray
    """(K, S), damped."""
    moving_pnl: FloatArray
    """(M, S), damped."""

    @property
    def worst(self) -> IntArray:
        """(M,) number of the scenario that decides; S: the basis does."""
        lowest = np.argmin(self.pnl, axis=1)
        least = self.pnl[np.arange(len(lowest)), lowest]
        return np.asarray(np.where(least < self.basis, lowest, self.pnl.shape[1]), dtype=np.int64)

    @property
    def loss(self) -> FloatArray:
        """(M,) the larger of the worst scenario's loss and the basis, 0 or more."""
        return np.asarray(-np.minimum(self.pnl.min(axis=1), self.basis), dtype=np.float64)

    def shares(self) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return the parts of `loss` that option holdings (H,), perpetuals (K,), moving collateral (M,) make up."""
        held, scenarios = self.holdings, self.pnl.shape[1]
        worst = self.worst
        in_basis = worst == scenarios
        at = np.where(in_basis, 0, worst)
        g = np.arange(len(held.market))
        by_basis = in_basis[held.market]
        column = np.where(by_basis, self.basis_column, at[held.market])
        counts = np.where(self.basis_column >= 0, self.basis_share, 0.0)
        slope = np.where(by_basis, counts, self.slope[g, at[held.market]])
        level = np.where(by_basis, counts, self.level[g, at[held.market]])
        e = held.expiry
        unit = self.unit[held.row, column[e]]
        options = held.amount * (level[e] * self.mark[held.row] - slope[e] * unit)
        m = held.perp_market
        perps = np.where(in_basis[m], 0.0, -self.perp_pnl[np.arange(len(m)), at[m]])
        moving = np.where(in_basis, 0.0, -self.moving_pnl[np.arange(held.count), at])
        return options, perps, moving


def losses(
    holdings: Holdings,
    scenarios: Scenarios,
    vols: FloatArray,
    *,
    basis: Basis,
    long_discount: FloatArray,
    short_discount: FloatArray,
) -> Losses:
    """Return what scenarios with the vols `vols` (n, S) do to the markets.

    An expiry worth X after the move, V before, gains X long_discount - V where X is 0 or more, X short_discount - V
    below ((G,) each); under a skew it loses the size of that, whichever way. The basis is, an expiry at a time, the
    worse of its forward going up or down at the vols in force, where that is a loss.
    """
    price, share = np.array(scenarios.price), np.array(scenarios.share)
    still = np.repeat(holdings.options.vol[:, None], 2, axis=1)
    mark = holdings.options.values(np.ones(1), still[:, :1])[:, 0]
    unit = np.hstack(
        (holdings.options.values(price, vols), holdings.options.values(np.array([basis.up, basis.down]), still))
    )
    now = holdings.expiry_values(mark[:, None])
    values = holdings.expiry_values(unit)
    shocked, moved = values[:, :-2], values[:, -2:]
    discount = np.where(shocked >= 0.0, long_discount[:, None], short_discount[:, None])
    change = shocked * discount - now
    sign = np.where(scenarios.is_skew, np.where(change > 0.0, -1.0, 1.0), 1.0)
    perps = np.where(scenarios.is_skew, 0.0, holdings.perpetual_pnl(price) * share)
    moving = holdings.moving[:, None] * (price - 1.0) * share
    by_expiry = sign * change * share
    pnl = np.stack(
        [
            holdings.perps_by_market(perps[:, s]) + holdings.by_market(by_expiry[:, s]) + moving[:, s]
            for s in range(len(price))
        ],
        axis=1,
    )
    apart = moved - now
    side = np.argmin(apart, axis=1)
    worse = np.minimum(apart[np.arange(len(side)), side], 0.0)
    basis_share = basis.share + basis.share_per_year * holdings.tau
    return Losses(
        holdings=holdings,
        pnl=pnl,
        basis=holdings.by_market(worse * basis_share),
        unit=unit,
        mark=mark,
        slope=discount * sign * share,
        level=np.broadcast_to(sign * share, change.shape),
        basis_column=np.where(worse < 0.0, len(price) + side, -1),
        basis_share=basis_share,
        perp_pnl=perps,
        moving_pnl=moving,
    )


def _not_negative(name: str, value: float) -> None:
    if not (isfinite(value) and value >= 0):
        raise InvalidRules(name, f"{value:g}", "0 or more")
