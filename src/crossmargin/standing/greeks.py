"""Greeks of pools: what the whole pool gains as one underlying moves, in the reporting currency.

Conventions. Everything the pool has counts: legs, unsettled P&L and balances of the asset. `delta_cash` is the
gain per +1% of the underlying (its value as an asset moves too); `gamma` is the change of `delta_cash` per further
+1%; `vega` the gain per +1 vol point (0.01 of annual vol; where prices may be negative, per 0.01 of a price unit);
`theta` the gain per calendar day. Forwards keep their ratio to the index; vols and rates stand still.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from crossmargin.instruments import KINDS
from crossmargin.pricing import bachelier_greeks, black76_greeks
from crossmargin.ragged import group_sums
from crossmargin.standing.standing import Standing
from crossmargin.units import FloatArray, IntArray

_OPTION = KINDS.index("option")
_PERCENT = 0.01
_DAYS_A_YEAR = 365.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Greeks:
    """Sums by pool and underlying, sorted; N pairs."""

    pool: IntArray
    asset: IntArray
    delta_cash: FloatArray
    gamma: FloatArray
    vega: FloatArray
    theta: FloatArray


def greeks(standing: Standing) -> Greeks:
    """Return the greeks of every pool, one entry for each asset it is exposed to."""
    portfolios, pools, valuation = standing.portfolios, standing.pools, standing.valuation
    terms = valuation.catalogue
    per_unit = _unit_greeks(standing)
    instrument = pools.leg_instrument
    scale = portfolios.quantity * portfolios.legs(valuation.settle_fx)
    leg_pool, balance_pool = pools.leg_pool, pools.balance_pool
    settle = terms.settle[instrument]
    # What is unsettled or in a balance moves one for one with the value of its asset.
    unsettled = portfolios.leg_value - portfolios.entry_value * portfolios.legs(valuation.settle_fx)
    balances = pools.balance_amount * portfolios.balance_price
    floats = settle != valuation.currency
    held = pools.balance_asset != valuation.currency
    pool = np.concatenate((leg_pool, leg_pool[floats], balance_pool[held]))
    asset = np.concatenate((terms.underlying[instrument], settle[floats], pools.balance_asset[held]))
    cash = _PERCENT * np.concatenate((unsettled[floats], balances[held]))
    nothing = np.zeros(len(cash))
    count = len(terms.assets)
    key, group = np.unique(pool * count + asset, return_inverse=True)

    def total(by_leg: FloatArray, rest: FloatArray) -> FloatArray:
        return group_sums(group, np.concatenate((scale * by_leg[instrument], rest)), len(key))

    return Greeks(
        pool=key // count,
        asset=key % count,
        delta_cash=total(per_unit[0], cash),
        gamma=total(per_unit[1], nothing),
        vega=total(per_unit[2], nothing),
        theta=total(per_unit[3], nothing),
    )


def _unit_greeks(standing: Standing) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
    """Return delta, gamma, vega and theta of one contract in its settle asset, each (instruments,).

    With v(m) the value in the settle asset after a relative move m: delta is v'. What the settle asset itself gains
    is added by the caller for all contracts alike; where the settle asset is the underlying that leaves v'' + 2 v'
    as gamma, else v''.
    """
    valuation = standing.valuation
    terms = valuation.catalogue
    size = terms.contract_size
    delta, gamma, vega, theta = (np.zeros(len(terms)) for _ in range(4))
    valued = ~np.isnan(valuation.unit_value)
    straight = np.flatnonzero(valued & (terms.kind != _OPTION))
    price = valuation.mark[straight]
    # Inverse: v = -size / P (1 + m), so v' = size / P, and v'' + 2 v' is 0.
    step = np.where(terms.any_domain[straight], valuation.index[straight], price)
    inverse = terms.inverse[straight]
    delta[straight] = size[straight] * np.where(inverse, 1.0 / np.where(inverse, price, 1.0), step)
    for any_domain, formula in ((False, black76_greeks), (True, bachelier_greeks)):
        k = np.flatnonzero(valued & (terms.kind == _OPTION) & (terms.any_domain == any_domain))
        if not len(k):
            continue
        forward = valuation.forward[k]
        found = formula(
            forward, terms.strike[k], valuation.iv[k], valuation.tau[k], valuation.discount[k], terms.is_call[k]
        )
        in_coin = terms.inverse[k]
        coin = np.where(in_coin, forward, 1.0)
        step = valuation.index[k] if any_domain else forward
        # In coin v = V / F: v' = F V' / F - V / F, and v'' + 2 v' = F^2 V'' / F.
        delta[k] = size[k] * (found.delta * step - np.where(in_coin, found.price, 0.0)) / coin
        gamma[k] = size[k] * found.gamma * step**2 / coin
        vega[k] = size[k] * found.vega / coin
        theta[k] = size[k] * found.theta / coin
    return delta * _PERCENT, gamma * _PERCENT**2, vega * _PERCENT, theta / _DAYS_A_YEAR
