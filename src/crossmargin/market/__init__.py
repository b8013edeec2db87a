"""One frozen snapshot of the market: what prices are, never what anything is worth.

Here: index prices, marks, forwards, vol surfaces, rates, exchange rates, daily closes. Never here: contracts,
accounts, pricing formulas.

Conventions. `prices[U]` is the index of underlying U in the asset its contracts are quoted in; `fx[X]` is the
value of one unit of asset X in the reporting currency. Rates are continuous, ACT/365. A vol is annual: a
fraction of the forward, or price units where prices may be negative. Nothing here fills in what is missing.
"""

from crossmargin.market.history import History
from crossmargin.market.snapshot import Mark, Market
from crossmargin.market.vols import SviSlice, VolSlice, VolSurface, svi_vol

__all__ = ["History", "Mark", "Market", "SviSlice", "VolSlice", "VolSurface", "svi_vol"]
