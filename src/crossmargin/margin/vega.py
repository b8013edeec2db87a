"""Vega add-on: what closing a pool's options out costs in vol points, expiry by expiry, at the owner's size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from math import isfinite

import numpy as np

from crossmargin.errors import InvalidRules
from crossmargin.instruments import KINDS, Asset, Catalogue
from crossmargin.margin.depth import Buckets, Depth, Kind
from crossmargin.margin.liquidity import Liquidity, rates_of
from crossmargin.margin.model import Portfolios
from crossmargin.margin.parameters import check_classes
from crossmargin.margin.sensitivities import unit_vegas
from crossmargin.units import FloatArray, IntArray

_OPTION = KINDS.index("option")


@dataclass(frozen=True, slots=True, kw_only=True)
class VegaRates:
    """How liquid the vol of an underlying is."""

    spread_points: float
    """Bid to ask of implied vol, in vol points."""
    points_a_day: float
    """Daily standard deviation of implied vol, in vol points: the sigma_day of the vega bucket."""
    volume_share: float = 0.02
    """Vega traded a day and point, as a share of the underlying's daily volume."""

    def __post_init__(self) -> None:
        for name in ("spread_points", "points_a_day"):
            number = getattr(self, name)
            if not (isfinite(number) and number >= 0):
                raise InvalidRules(name, str(number), "a finite number of vol points, 0 or more")
        if not 0 < self.volume_share <= 1:
            raise InvalidRules("volume_share", str(self.volume_share), "a fraction above 0, at most 1")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VegaBuckets:
    """The (underlying, expiry) pairs of a catalogue's options, numbered."""

    of_instrument: IntArray
    """(instruments,) -1 for all but options."""
    underlying: IntArray
    """(buckets,) asset number."""
    expiry: FloatArray
    """(buckets,) seconds since 1970 UTC."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Vega:
    """The vega add-on, a part of maintenance margin: the liquidity charge in vol points instead of prices.

    Charge of pool p in bucket b (an underlying and an expiry), in the reporting currency, 0 or more:

        spread / 2 x gross_pb + |v_pb| x k x points_a_day x sqrt(V_b / ADV) x sqrt(max(1, days / h))

    with v_pb the vega (currency a vol point) net inside the pool and expiry, gross_pb the sum of |vega| of its
    legs, V_b = sum of |v_pb| over the owner's pools, ADV = volume_share x the underlying's (vega a point), and k,
    participation and h those of the underlying. Claims: those of `DepthCharge.of`. Vega of different expiries
    never nets here.
    """

    by_class: Mapping[str, VegaRates]
    by_name: Mapping[str, VegaRates] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_classes("vega", self.by_class)

    def rates_of(self, asset: Asset) -> VegaRates:
        """Return the rates of an underlying."""
        return rates_of(asset, self.by_class, self.by_name)

    def depth(self, catalogue: Catalogue, liquidity: Liquidity, horizon: FloatArray) -> Depth:
        """Return the depth of every bucket of `vega_buckets`; `horizon` (assets,) days."""
        underlying = vega_buckets(catalogue).underlying
        assets = [catalogue.assets[a] for a in underlying.tolist()]
        vega, market = [self.rates_of(a) for a in assets], [liquidity.rates_of(a) for a in assets]
        return Depth(
            half_spread=np.array([v.spread_points / 2.0 for v in vega], dtype=np.float64),
            move=np.array([liquidity.impact * v.points_a_day for v in vega], dtype=np.float64),
            volume=np.array([v.volume_share * m.adv for v, m in zip(vega, market, strict=True)], dtype=np.float64),
            participation=np.array([m.participation for m in market], dtype=np.float64),
            horizon=horizon[underlying],
        )


@lru_cache(maxsize=8)
def vega_buckets(catalogue: Catalogue) -> VegaBuckets:
    """Return the buckets of a catalogue, by underlying, then expiry."""
    options = np.flatnonzero(catalogue.kind == _OPTION)
    pairs = np.stack((catalogue.underlying[options].astype(np.float64), catalogue.expiry[options]), axis=1)
    found, number = np.unique(pairs, axis=0, return_inverse=True)
    of_instrument = np.full(len(catalogue), -1, dtype=np.int64)
    of_instrument[options] = number.ravel()
    return VegaBuckets(
        of_instrument=of_instrument, underlying=found[:, 0].astype(np.int64), expiry=np.ascontiguousarray(found[:, 1])
    )


def vega_rows(portfolios: Portfolios, any_floor: FloatArray) -> Buckets:
    """Return the vega of every option leg, in the reporting currency a vol point, one bucket an expiry."""
    pools, valuation = portfolios.pools, portfolios.valuation
    of = vega_buckets(valuation.catalogue)
    legs = np.flatnonzero(portfolios.is_option)
    rows = portfolios.leg_row[legs]
    vega = portfolios.quantity[legs] * unit_vegas(valuation, any_floor)[rows] * valuation.settle_fx[rows]
    return Buckets.of(
        pools.leg_pool[legs],
        of.of_instrument[pools.leg_instrument[legs]],
        vega,
        np.full(len(legs), int(Kind.CONTRACT), dtype=np.int64),
        legs,
        pools=pools.count,
        buckets=max(1, len(of.underlying)),
    )
