"""The least a net short option costs, whatever scenarios say: deep out of the money it is still bought back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.margin.exposures import SETS, LeftOut, members
from crossmargin.margin.model import Portfolios
from crossmargin.ragged import group_sums
from crossmargin.units import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ShortOptions:
    """The option legs of pools in buckets of one pool, underlying, expiry and type; N buckets, O legs.

    A bucket owes max(0, sum of -quantity x contract size x rate x |index|), in the reporting currency: verticals
    pair first, so only its net short counts.
    """

    pools: int
    leg: IntArray
    """(O,) sorted by bucket."""
    charge: FloatArray
    """(O,) positive for shorts."""
    bucket: IntArray
    """(O,)"""
    pool: IntArray
    """(N,)"""
    underlying: IntArray
    """(N,) asset number."""
    row: IntArray
    """(N,) valuation row of one of its legs."""

    @classmethod
    def of(cls, portfolios: Portfolios, rate: float) -> ShortOptions:
        """Return the buckets of pools; `rate` is a fraction of the index."""
        pools, valuation = portfolios.pools, portfolios.valuation
        terms = valuation.catalogue
        legs = np.flatnonzero(portfolios.is_option) if rate else np.zeros(0, dtype=np.int64)
        instrument, pool = pools.leg_instrument[legs], pools.leg_pool[legs]
        order = np.lexsort(
            (legs, terms.is_call[instrument], terms.expiry[instrument], terms.underlying[instrument], pool)
        )
        legs, instrument, pool = legs[order], instrument[order], pool[order]
        row = portfolios.leg_row[legs]
        price = np.abs(valuation.index[row]) * valuation.quote_fx[row]
        new = np.zeros(len(legs), dtype=np.bool_)
        new[:1] = True
        for key in (pool, terms.underlying[instrument], terms.expiry[instrument], terms.is_call[instrument]):
            new[1:] |= key[1:] != key[:-1]
        return cls(
            pools=pools.count,
            leg=legs,
            charge=-portfolios.quantity[legs] * terms.contract_size[instrument] * rate * price,
            bucket=np.cumsum(new) - 1,
            pool=pool[new],
            underlying=terms.underlying[instrument[new]],
            row=row[new],
        )

    def by_bucket(self, left_out: IntArray) -> FloatArray:
        """Return what each bucket owes, (N, SETS); `left_out` (holdings,) are the bits of the sets."""
        owed = np.zeros((len(self.pool), SETS))
        for w in LeftOut:
            kept = np.where((left_out[self.leg] >> int(w)) & 1, 0.0, self.charge) if w else self.charge
            owed[:, w] = np.maximum(group_sums(self.bucket, kept, len(self.pool)), 0.0)
        return owed

    def by_pool(self, left_out: IntArray) -> FloatArray:
        """Return the minimum of each pool and set, (P, SETS)."""
        owed = self.by_bucket(left_out)
        return np.stack([group_sums(self.pool, column, self.pools) for column in owed.T], axis=1)

    def shares(self, weight: FloatArray, which: IntArray, holdings: int, left_out: IntArray) -> FloatArray:
        """Return each holding's share of the sum of weight x what a bucket owes, (holdings,).

        `weight` (N,); `which` (N,) is the set W left out of each bucket. Only legs of buckets that are net short
        have a share.
        """
        w = which[self.bucket]
        gone = members(left_out[self.leg], w) & (w > 0)
        charge = np.where(gone, 0.0, self.charge)
        net = group_sums(self.bucket, charge, len(self.pool))
        share = np.zeros(holdings)
        share[self.leg] = np.where(net[self.bucket] > 0.0, charge * weight[self.bucket], 0.0)
        return share
