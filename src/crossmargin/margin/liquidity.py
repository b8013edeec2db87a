"""Liquidity and concentration: what closing a pool out costs, at the size of its owner."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TypeVar

import numpy as np

from crossmargin.errors import InvalidMarket, InvalidRules
from crossmargin.instruments import Asset, Catalogue, asset_class_of
from crossmargin.margin.depth import Buckets, Depth, Kind
from crossmargin.margin.model import Portfolios
from crossmargin.margin.parameters import OTHER, check_classes
from crossmargin.margin.sensitivities import unit_deltas
from crossmargin.ragged import distinct
from crossmargin.units import FloatArray, IntArray

T = TypeVar("T")


def rates_of(asset: Asset, by_class: Mapping[str, T], by_name: Mapping[str, T]) -> T:
    """Return the parameters of an asset: those of its name, else of its class, else of class `other`.

    A well-known name that its contracts do not put in a class takes those of `other`, as everywhere.
    """
    undeclared = asset.asset_class == OTHER and asset_class_of(asset.symbol) != OTHER
    if asset.symbol in by_name and not undeclared:
        return by_name[asset.symbol]
    return by_class.get(asset.asset_class, by_class[OTHER])


def column(catalogue: Catalogue, figure: Callable[[Asset], float]) -> FloatArray:
    """Return a figure of every asset, (assets,)."""
    return np.array([figure(asset) for asset in catalogue.assets], dtype=np.float64)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiquidityRates:
    """How liquid an underlying is."""

    spread: float
    """Bid to ask, a fraction of the price."""
    adv: float
    """Average daily volume, delta notional in the reporting currency."""
    participation: float
    """Largest share of the daily volume a close-out can be: positions beyond it take days."""

    def __post_init__(self) -> None:
        if not 0 <= self.spread < 1:
            raise InvalidRules("spread", str(self.spread), "a fraction from 0 to below 1")
        if not (isfinite(self.adv) and self.adv > 0):
            raise InvalidRules("adv", str(self.adv), "a finite notional above 0")
        if not 0 < self.participation <= 1:
            raise InvalidRules("participation", str(self.participation), "a fraction above 0, at most 1")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Liquidity:
    """The liquidity and concentration add-on, a part of maintenance margin; see `DepthCharge.of` for what it claims.

    Charge of pool p in bucket b, in the reporting currency, 0 or more:

        spread / 2 x gross_pb + |n_pb| x k x sigma_day x sqrt(N_b / ADV) x sqrt(max(1, days / h))

    with n_pb the delta notional net inside the pool, N_b = sum of |n_pb| over the owner's pools, days = N_b /
    (participation x ADV), h the days the scenarios cover, and sigma_day the daily vol of the underlying.
    """

    by_class: Mapping[str, LiquidityRates]
    by_name: Mapping[str, LiquidityRates] = field(default_factory=dict)
    impact: float = 1.0
    """k: sigmas of a day that trading a whole day's volume moves the price."""

    def __post_init__(self) -> None:
        check_classes("liquidity", self.by_class)
        if not (isfinite(self.impact) and self.impact >= 0):
            raise InvalidRules("impact", str(self.impact), "a finite number, 0 or more")

    def rates_of(self, asset: Asset) -> LiquidityRates:
        """Return the rates of an underlying."""
        return rates_of(asset, self.by_class, self.by_name)

    def depth(self, catalogue: Catalogue, sigma_day: FloatArray, horizon: FloatArray) -> Depth:
        """Return the depth of every bucket, one an asset.

        `sigma_day` (assets,) is the daily vol, a fraction; NaN where nobody knows it. `horizon` (assets,) days.
        """
        rates = [self.rates_of(asset) for asset in catalogue.assets]
        return Depth(
            half_spread=np.array([r.spread / 2.0 for r in rates]),
            move=self.impact * sigma_day,
            volume=np.array([r.adv for r in rates]),
            participation=np.array([r.participation for r in rates]),
            horizon=horizon,
        )


def check_vols(rows: Buckets, sigma_day: FloatArray, catalogue: Catalogue) -> None:
    """Raise InvalidMarket for a bucket (an asset) in use whose daily vol is not a finite number of 0 or more."""
    used = distinct(rows.bucket, len(catalogue.assets))
    for a in used[~(np.isfinite(sigma_day[used]) & (sigma_day[used] >= 0.0))].tolist():
        raise InvalidMarket(
            f"daily vol of {catalogue.assets[a].symbol}", str(sigma_day[a]), "a finite number, 0 or more"
        )


def delta_rows(portfolios: Portfolios, any_floor: FloatArray) -> Buckets:
    """Return the delta notional of everything pools hold, one bucket an asset: its underlying, or itself.

    Units: reporting currency per 100% of the underlying, at the price in force (`unit_deltas`), long positive.

    - A leg is a CONTRACT in the bucket of its underlying.
    - What it settles in another asset than the reporting currency is MONEY in that asset's bucket: unsettled P&L,
      and of an option its value.
    - A balance is MONEY in the bucket of its asset: what counts of it, a debt in full. What does not count is REST.

    So a long and collateral in one thin asset add up, a short and the coins it is covered by cancel, and money in
    one asset nets before it is traded, wherever it comes from. The reporting currency is sold to nobody: money in
    it is in no bucket. Holdings that share no margin block share no bucket either: a bucket is an asset, and a
    block has all of what an asset moves.
    """
    pools, valuation = portfolios.pools, portfolios.valuation
    terms = valuation.catalogue
    legs, balances = len(portfolios.leg_row), len(portfolios.balance_price)
    leg_pool, balance_pool = pools.leg_pool, pools.balance_pool
    fx = portfolios.legs(valuation.settle_fx)
    leg, balance = np.arange(legs), np.arange(legs, legs + balances)
    settle = terms.settle[pools.leg_instrument]
    floats = np.flatnonzero(settle != valuation.currency)
    held = np.flatnonzero(pools.balance_asset != valuation.currency)
    short_of = np.flatnonzero((pools.balance_asset != valuation.currency) & (portfolios.rest > 0.0))
    contract = portfolios.quantity * portfolios.legs(unit_deltas(valuation, any_floor)) * fx
    unsettled = portfolios.leg_value[floats] - portfolios.entry_value[floats] * fx[floats]
    price = portfolios.balance_price
    parts: list[tuple[IntArray, IntArray, FloatArray, Kind, IntArray]] = [
        (leg_pool, terms.underlying[pools.leg_instrument], contract, Kind.CONTRACT, leg),
        (leg_pool[floats], settle[floats], unsettled, Kind.MONEY, floats),
        (
            balance_pool[held],
            pools.balance_asset[held],
            portfolios.counted[held] * price[held],
            Kind.MONEY,
            balance[held],
        ),
        (
            balance_pool[short_of],
            pools.balance_asset[short_of],
            portfolios.rest[short_of] * price[short_of],
            Kind.REST,
            balance[short_of],
        ),
    ]
    return Buckets.of(
        np.concatenate([pool for pool, _, _, _, _ in parts]),
        np.concatenate([bucket for _, bucket, _, _, _ in parts]),
        np.concatenate([amount for _, _, amount, _, _ in parts]),
        np.concatenate([np.full(len(pool), int(kind), dtype=np.int64) for pool, _, _, kind, _ in parts]),
        np.concatenate([holding for _, _, _, _, holding in parts]),
        pools=pools.count,
        buckets=len(terms.assets),
    )
