"""Worlds and parameters for the tests of add-ons: the documented defaults of the house rule book, and bumped prices."""

import numpy as np
from hypothesis import strategies as st

from crossmargin.instruments import Option
from crossmargin.margin.liquidity import Liquidity, LiquidityRates, delta_rows
from crossmargin.margin.vega import Vega, VegaRates
from tests.strategies import GRID, SHAPE, rules_of, worlds

LIQUIDITY = Liquidity(
    by_class={
        "crypto": LiquidityRates(spread=0.0020, adv=1e8, participation=0.10),
        "energy": LiquidityRates(spread=0.0003, adv=2e10, participation=0.10),
        "equity": LiquidityRates(spread=0.0005, adv=5e8, participation=0.10),
        "equity_index": LiquidityRates(spread=0.0001, adv=5e10, participation=0.10),
        "fx": LiquidityRates(spread=0.0001, adv=1e10, participation=0.10),
        "metals": LiquidityRates(spread=0.0002, adv=2e10, participation=0.10),
        "other": LiquidityRates(spread=0.0050, adv=1e7, participation=0.05),
        "rates": LiquidityRates(spread=0.0001, adv=5e10, participation=0.10),
    },
    by_name={name: LiquidityRates(spread=0.0002, adv=5e9, participation=0.10) for name in ("BTC", "ETH")},
)
VEGA = Vega(
    by_class={"other": VegaRates(spread_points=3.0, points_a_day=5.0)},
    by_name={name: VegaRates(spread_points=1.0, points_a_day=3.0) for name in ("BTC", "ETH")},
)
# The same market a million times thinner: books of a few hundred dollars are large in it.
THIN = Liquidity(
    by_class={
        name: LiquidityRates(spread=r.spread, adv=r.adv / 1e6, participation=r.participation)
        for name, r in LIQUIDITY.by_class.items()
    },
    by_name={
        name: LiquidityRates(spread=r.spread, adv=r.adv / 1e6, participation=r.participation)
        for name, r in LIQUIDITY.by_name.items()
    },
)
RULES = rules_of(GRID)
SETS = 4


def floors(catalogue):
    return np.array([SHAPE.any_floor_of(asset.symbol) for asset in catalogue.assets])


def depth_of(catalogue, liquidity=THIN):
    vol = {"crypto": 1.0, "equity_index": 0.20, "fx": 0.09, "energy": 0.45}
    sigma = np.array([vol.get(a.asset_class, 1.2) for a in catalogue.assets]) / np.sqrt(365.0)
    horizon = np.array([1.0 if a.asset_class == "crypto" else 2.0 for a in catalogue.assets])
    return liquidity.depth(catalogue, sigma, horizon)


def portfolios_in(world):
    return world.standing(RULES).portfolios


def deltas_in(world):
    found = portfolios_in(world)
    return delta_rows(found, floors(found.valuation.catalogue))


@st.composite
def left_out(draw, portfolios):
    """Bits by holding of SETS sets, set 0 leaving nothing out."""
    count = len(portfolios.leg_row) + len(portfolios.balance_price)
    bits = draw(st.lists(st.integers(0, 2 ** (SETS - 1) - 1), min_size=count, max_size=count))
    return np.array(bits, dtype=np.int64) << 1


@st.composite
def portfolios_and_sets(draw):
    """Portfolios of a world, and what each set leaves out of them."""
    portfolios = portfolios_in(draw(worlds()))
    return portfolios, draw(left_out(portfolios))


def bumped_delta(portfolios, leg, floor):
    """The delta notional of a leg by a small move of its underlying either way, in the reporting currency."""
    valuation, row = portfolios.valuation, np.array([portfolios.leg_row[leg]])
    instrument = valuation.catalogue.instruments[portfolios.pools.leg_instrument[leg]]
    unit = 1.0
    if instrument.price_domain == "any":
        unit = max(abs(valuation.index[row[0]]), floor)
    step = 1e-5
    up, down = (valuation.unit_values(row, np.array([[sign * step * unit]]))[0, 0] for sign in (1, -1))
    return portfolios.quantity[leg] * (up - down) / (2 * step) * valuation.settle_fx[row[0]]


def bumped_vega(portfolios, leg, floor):
    """The vega of a leg per point by a small move of its vol either way, in the reporting currency."""
    valuation, row = portfolios.valuation, np.array([portfolios.leg_row[leg]])
    instrument = valuation.catalogue.instruments[portfolios.pools.leg_instrument[leg]]
    if not isinstance(instrument, Option):
        return 0.0
    point = 0.01 * (max(abs(valuation.index[row[0]]), floor) if instrument.price_domain == "any" else 1.0)
    step = 1e-4
    still = np.zeros((1, 1))
    up, down = (valuation.unit_values(row, still, np.array([[1 + sign * step]]))[0, 0] for sign in (1, -1))
    slope = (up - down) / (2 * step * valuation.iv[row[0]])
    return portfolios.quantity[leg] * slope * point * valuation.settle_fx[row[0]]
