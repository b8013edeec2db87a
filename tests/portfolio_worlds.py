"""The house rule book on the worlds of the tests: small scenario sets, thin markets, and its parts switched off."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from crossmargin.book import Book, Order
from crossmargin.instruments import Instrument
from crossmargin.margin.basis import Basis
from crossmargin.margin.liquidity import Liquidity, LiquidityRates
from crossmargin.margin.portfolio import Portfolio
from crossmargin.margin.tails import TailMeasure
from crossmargin.margin.vega import Vega, VegaRates
from crossmargin.market import Market
from crossmargin.rules import Rules
from crossmargin.scenarios import JointParameters
from crossmargin.standing import Standing, evaluate
from tests.strategies import (
    INSTRUMENTS,
    SHAPE,
    World,
    decimals,
    markets,
    quantities,
    rules_of,
    worlds,
)

JOINT = JointParameters(lookback_days=100, minimum_days=60, decay=0.9, any_floor=1.0, any_floor_by_name={"OIL": 20.0})
"""100 windows of the tests' own history; a market without one is margined on the reference set."""


def liquidity_of(scale: float) -> Liquidity:
    """Return markets in which `scale` times the documented volume is traded a day."""
    rates = {
        "crypto": (0.0020, 1e8, 0.10),
        "energy": (0.0003, 2e10, 0.10),
        "equity_index": (0.0001, 5e10, 0.10),
        "fx": (0.0001, 1e10, 0.10),
        "other": (0.0050, 1e7, 0.05),
        "stablecoin": (0.0002, 5e9, 0.10),
    }

    def made(spread: float, adv: float, participation: float) -> LiquidityRates:
        return LiquidityRates(spread=spread, adv=adv * scale, participation=participation)

    return Liquidity(
        by_class={name: made(*terms) for name, terms in rates.items()},
        by_name={name: made(0.0002, 5e9, 0.10) for name in ("BTC", "ETH")},
    )


def house(**changes) -> Portfolio:
    """Return the house model with its documented rates, the tail at 97.5% and markets a million times thinner."""
    terms = {
        "joint": JOINT,
        "grid": SHAPE,
        "measure": TailMeasure(confidence=0.975, stress_weight=0.25),
        "offset_limit": 0.80,
        "short_option_minimum": 0.005,
        "basis": Basis(
            by_class={"crypto": 0.15, "energy": 0.15, "equity_index": 0.02, "fx": 0.02, "other": 0.30},
            by_name={"BTC": 0.05, "ETH": 0.05},
        ),
        "liquidity": liquidity_of(1e-6),
        "vega": Vega(
            by_class={"other": VegaRates(spread_points=3.0, points_a_day=5.0)},
            by_name={name: VegaRates(spread_points=1.0, points_a_day=3.0) for name in ("BTC", "ETH")},
        ),
        "buffer": 0.25,
    }
    return Portfolio(**{**terms, **changes})


HOUSE = house()
DEEP = house(liquidity=liquidity_of(1.0))
"""The documented market depths: a book of a few hundred dollars is nothing to them."""
STEEP = house(
    basis=Basis(by_class={"other": 9.0}),
    buffer_by_group={"BTC": 0.05, "ETH": 0.20, "OIL": 0.0, "USDC": 0.10},
)
"""A basis so large that what netting saves caps it nearly everywhere; buffers that differ from group to group."""

NO_BASIS = Basis(by_class={"other": 0.0})
NO_LIQUIDITY = Liquidity(by_class={"other": LiquidityRates(spread=0.0, adv=1e9, participation=1.0)}, impact=0.0)
NO_VEGA = Vega(by_class={"other": VegaRates(spread_points=0.0, points_a_day=0.0)})


def before_add_ons(**changes) -> Portfolio:
    """Return the house model without basis, liquidity and vega."""
    return house(**{"basis": NO_BASIS, "liquidity": NO_LIQUIDITY, "vega": NO_VEGA, **changes})


CORE = before_add_ons()


def book_of(world: World, orders: tuple[Order, ...] = ()) -> Book:
    """Return the book of a world, with open orders."""
    return Book.of(
        world.accounts,
        world.instruments,
        assets=world.assets,
        locations=world.locations,
        pools=world.pools,
        orders=orders,
        currency=world.market.currency,
    )


def standing_of(world: World, model: Portfolio | Rules = HOUSE, orders: tuple[Order, ...] = ()) -> Standing:
    """Return how a world with open orders stands under a model (with the tests' haircuts) or a rule book."""
    rules = model if isinstance(model, Rules) else rules_of(model)
    return evaluate(book_of(world, orders), world.market, rules)


def in_euro(market: Market) -> Market:
    """Return the same market told in euro: the dollar is then quoted by the euro's own price."""
    euro = market.prices["EUR"]
    fx = {name: value / euro for name, value in market.fx.items()}
    return market.with_(currency="EUR", fx=fx)


@st.composite
def orders_of(draw, world: World, *, most: int = 3) -> tuple[Order, ...]:
    """Open orders of a world's accounts, near the money and far from it."""
    found = []
    instruments: tuple[Instrument, ...] = world.instruments
    for _ in range(draw(st.integers(0, most))):
        instrument = draw(st.sampled_from(instruments))
        level = {"BTC": 100, "ETH": 10, "DAX": 150, "EUR": 1.1, "OIL": 30}[instrument.underlying]
        if instrument.kind == "option":
            level = level * 0.05 if not instrument.inverse else 0.05
        found.append(
            Order(
                account=draw(st.sampled_from(world.accounts)).id,
                symbol=instrument.symbol,
                quantity=draw(quantities),
                limit=round(level * draw(decimals(0.8, 1.2)), 4),
                reduce_only=draw(st.integers(0, 4)) == 0,
            )
        )
    return tuple(found)


@st.composite
def worlds_and_orders(draw, **terms) -> tuple[World, tuple[Order, ...]]:
    """A world, sometimes told in euro, sometimes without history, and its open orders."""
    world = draw(worlds(INSTRUMENTS, **terms))
    market = draw(markets())
    if draw(st.integers(0, 4)) == 0:
        market = in_euro(market)
    if draw(st.integers(0, 5)) == 0:
        market = replace(market, history=None)
    world = world.but(market=market)
    return world, draw(orders_of(world))
