"""Hypothesis strategies shared by all rooms: small worlds of every kind of contract, collateral and account.

A `World` is the plain facts of a book and its market, as a test may take them apart and change them; the library's
own types are made of it by `book()` and `standing()`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf

import numpy as np
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Book, Location, Pool, Position
from crossmargin.collateral import HaircutPolicy
from crossmargin.collateral import Tiers as HaircutTiers
from crossmargin.instruments import Asset, Future, Instrument, Option, Perpetual
from crossmargin.margin import Brackets, FutureRates, OptionRates, StandardOption, Tiers
from crossmargin.margin.grid import Grid
from crossmargin.margin.historical import Historical
from crossmargin.market import History, Mark, Market
from crossmargin.rules import Rules
from crossmargin.scenarios import GridShape
from crossmargin.standing import Standing, evaluate
from crossmargin.units import utc

TIME = utc("2026-01-01T08:00:00Z")
WEEK, MONTH, QUARTER = (TIME + timedelta(days=d) for d in (7, 30, 86))


def option(symbol: str, underlying: str, kind: str, strike: float, expiry=MONTH, **terms) -> Option:
    """Return an option quoted in dollars unless `terms` say otherwise."""
    terms = {"quote": "USD", "asset_class": "crypto", **terms}
    return Option(symbol=symbol, underlying=underlying, option_type=kind, strike=strike, expiry=expiry, **terms)


LINEAR: tuple[Instrument, ...] = (
    Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USD", asset_class="crypto"),
    Future(symbol="BTC-FUT", underlying="BTC", quote="USD", asset_class="crypto", expiry=QUARTER, contract_size=2),
    Perpetual(symbol="ETH-PERP", underlying="ETH", quote="USDC", asset_class="crypto", contract_size=10),
    Perpetual(symbol="DAX-PERP", underlying="DAX", quote="EUR", asset_class="equity_index"),
    Future(symbol="EUR-FUT", underlying="EUR", quote="USD", asset_class="fx", expiry=QUARTER, contract_size=50),
)
INVERSE: tuple[Instrument, ...] = (
    Perpetual(symbol="BTC-INV", underlying="BTC", quote="USD", asset_class="crypto", inverse=True, contract_size=10),
    Future(
        symbol="ETH-INV",
        underlying="ETH",
        quote="USDC",
        asset_class="crypto",
        inverse=True,
        contract_size=5,
        expiry=QUARTER,
    ),
)
OPTIONS: tuple[Instrument, ...] = (
    option("BTC-C-100-7D", "BTC", "call", 100, WEEK),
    option("BTC-C-110", "BTC", "call", 110),
    option("BTC-C-125", "BTC", "call", 125, contract_size=2),
    option("BTC-P-90", "BTC", "put", 90),
    option("BTC-P-80-Q", "BTC", "put", 80, QUARTER),
    option("ETH-C-11", "ETH", "call", 11, quote="USDC", contract_size=10),
    option("ETH-P-9", "ETH", "put", 9, quote="USDC", contract_size=10),
)
COIN_OPTIONS: tuple[Instrument, ...] = (
    option("BTC-COIN-C-105", "BTC", "call", 105, inverse=True),
    option("BTC-COIN-P-95", "BTC", "put", 95, QUARTER, inverse=True),
)
ANY_DOMAIN: tuple[Instrument, ...] = (
    Future(
        symbol="OIL-FUT",
        underlying="OIL",
        quote="USD",
        asset_class="energy",
        contract_size=10,
        expiry=MONTH,
        price_domain="any",
    ),
)
ANY_OPTIONS: tuple[Instrument, ...] = (
    option("OIL-C-5", "OIL", "call", 5, asset_class="energy", contract_size=10, price_domain="any"),
    option("OIL-P-0", "OIL", "put", 0, asset_class="energy", contract_size=10, price_domain="any"),
)
INSTRUMENTS = (*LINEAR, *INVERSE, *OPTIONS, *COIN_OPTIONS, *ANY_DOMAIN, *ANY_OPTIONS)
FUTURES = (*LINEAR, *INVERSE, *ANY_DOMAIN)

ASSETS = (
    Asset(symbol="BTC", asset_class="crypto", haircut=((3.0, 0.05), (10.0, 0.10), (inf, 0.40))),
    Asset(symbol="DAX", asset_class="equity_index"),
    Asset(symbol="ETH", asset_class="crypto", cap=60.0),
    Asset(symbol="EUR", asset_class="fx"),
    Asset(symbol="OIL", asset_class="energy"),
    Asset(symbol="STETH", asset_class="crypto", group="ETH"),
    Asset(symbol="USD", asset_class="fx"),
    Asset(symbol="USDC", asset_class="stablecoin"),
)
HELD_ASSETS = ("BTC", "ETH", "EUR", "STETH", "USD", "USDC")
LOCATIONS = (
    Location(id="here"),
    Location(id="bank", finality_seconds=172_800.0, fee=5.0),
    Location(id="chain", finality_seconds=3_600.0, cap=400.0),
    Location(id="frozen", halted=True),
)


def _history() -> History:
    """Return 160 days of closes: coins that move together, and an oil price that crosses zero."""
    rng = np.random.default_rng(20260101)
    days, common = 160, rng.standard_t(4, 160)
    closes = {
        name: level * np.exp(np.cumsum(vol * (0.6 * common + 0.8 * rng.standard_t(4, days))))
        for name, level, vol in (
            ("BTC", 90.0, 0.03),
            ("DAX", 140.0, 0.01),
            ("ETH", 9.0, 0.04),
            ("EUR", 1.1, 0.005),
            ("STETH", 8.5, 0.042),
        )
    }
    closes["OIL"] = 10.0 + np.cumsum(2.0 * rng.standard_t(4, days))
    dates = tuple((TIME - timedelta(days=days - k)).date() for k in range(days))
    return History(days=dates, names=tuple(sorted(closes)), closes=np.column_stack([closes[n] for n in sorted(closes)]))


HISTORY = _history()

SHAPE = GridShape(
    range_by_class={
        "crypto": 0.20,
        "energy": 0.25,
        "equity_index": 0.15,
        "fx": 0.06,
        "other": 0.35,
        "stablecoin": 0.0,
    },
    range_by_name={"BTC": 0.16},
    any_floor=1.0,
    any_floor_by_name={"OIL": 20.0},
)
HAIRCUTS = HaircutPolicy(
    by_class={
        "crypto": HaircutTiers.flat(0.10),
        "fx": HaircutTiers.flat(0.02),
        "other": HaircutTiers.flat(0.20),
        "stablecoin": HaircutTiers.flat(0.01),
    },
    transfer_k=2.33,
    transfer_vol={"crypto": 1.0, "fx": 0.09, "other": 1.2, "stablecoin": 0.1},
    credit_haircut={"basic": 1.5},
)
LADDER = Tiers(floor=(0.0, 400.0, 1500.0), maintenance_rate=(0.02, 0.05, 0.12), initial_rate=(0.05, 0.10, 0.20))
GRID = Grid(shape=SHAPE)
EXPECTED_SHORTFALL = Historical(
    confidence=0.97, horizon_days={"other": 1}, lookback_days=110, minimum_days=60, filtered=False
)
FILTERED_SHORTFALL = Historical(
    confidence=0.95, horizon_days={"other": 1, "equity_index": 2}, lookback_days=100, minimum_days=60, decay=0.94
)
VALUE_AT_RISK = Historical(
    measure="var", confidence=0.97, horizon_days={"other": 1}, lookback_days=110, minimum_days=60, filtered=False
)
BRACKETS = Brackets(tiers_by_class={"other": LADDER})
STANDARD = StandardOption(
    futures_by_class={
        "other": FutureRates(initial=0.05, maintenance=0.03, initial_per_unit=0.0004, maintenance_per_unit=0.0002)
    },
    options_by_class={
        "other": OptionRates(
            initial=0.15,
            initial_least=0.10,
            call_maintenance=0.075,
            put_maintenance=0.075,
            put_maintenance_of_value=0.075,
        )
    },
)


def rules_of(model, **changes) -> Rules:
    """Return a rule book around a model."""
    terms = {
        "name": "test",
        "version": "2026-01-01",
        "model_name": "test",
        "model": model,
        "call_level": 1.10,
        "liquidation_buffer": 0.05,
        "haircuts": HAIRCUTS,
        "credit": {"basic": 1.25},
        "source": "tests",
    }
    if isinstance(model, StandardOption):
        terms["option_value"] = "excluded"
    return Rules(**{**terms, **changes})


@dataclass(frozen=True, repr=False)
class World:
    """The facts of a book and its market."""

    accounts: tuple[Account, ...]
    market: Market
    instruments: tuple[Instrument, ...] = INSTRUMENTS
    assets: tuple[Asset, ...] = ASSETS
    locations: tuple[Location, ...] = LOCATIONS
    pools: tuple[Pool, ...] = ()

    def __repr__(self) -> str:
        """Return what differs from world to world: a counterexample should fit a screen."""
        pools = f", pools={self.pools}" if self.pools else ""
        return f"World(accounts={self.accounts}, prices={self.market.prices}, marks={self.market.marks}{pools})"

    def _repr_pretty_(self, printer, cycle) -> None:
        printer.text(repr(self))

    def book(self) -> Book:
        """Return the book as the library holds it."""
        return Book.of(
            self.accounts,
            self.instruments,
            assets=self.assets,
            locations=self.locations,
            pools=self.pools,
            currency=self.market.currency,
        )

    def standing(self, rules: Rules) -> Standing:
        """Return how the book stands."""
        return evaluate(self.book(), self.market, rules)

    def but(self, **changes) -> World:
        """Return the world with some fields replaced."""
        return replace(self, **changes)


def alone(
    positions: Mapping[str, float] | Sequence[Position] = (),
    balances: Mapping[str, float] | Sequence[Balance] = (),
    *,
    market: Market,
    **terms,
) -> World:
    """Return the world of one account `a`."""
    if isinstance(positions, Mapping):
        positions = [Position(symbol=symbol, quantity=quantity) for symbol, quantity in positions.items()]
    if isinstance(balances, Mapping):
        balances = [Balance(asset=asset, amount=amount) for asset, amount in balances.items()]
    account = Account(id="a", positions=tuple(positions), balances=tuple(balances))
    return World(accounts=(account,), market=market, **terms)


def market_of(
    *,
    btc: float = 100.0,
    eth: float = 10.0,
    dax: float = 150.0,
    eur: float = 1.1,
    oil: float = 40.0,
    usdc: float = 0.999,
    steth: float = 9.8,
    basis: float = 1.01,
    vol: float = 0.6,
    oil_vol: float = 15.0,
    rate: float = 0.03,
) -> Market:
    """Return a market in dollars for INSTRUMENTS: index prices, a future curve, and a vol on every option."""
    ivs = {i.symbol: oil_vol if i.price_domain == "any" else vol for i in INSTRUMENTS if isinstance(i, Option)}
    return Market(
        time=TIME,
        prices={"BTC": btc, "ETH": eth, "DAX": dax, "EUR": eur, "OIL": oil},
        fx={"USDC": usdc, "STETH": steth},
        marks={
            "BTC-PERP": Mark(price=round(btc * 1.002, 4)),
            "BTC-FUT": Mark(price=round(btc * basis, 4)),
            "OIL-FUT": Mark(price=round(oil + 0.4, 4)),
            **{symbol: Mark(iv=iv) for symbol, iv in ivs.items()},
        },
        forwards={
            "BTC": {MONTH.date(): round(btc * 1.004, 4)},
            "ETH": {QUARTER.date(): round(eth * basis, 4)},
            "EUR": {QUARTER.date(): round(eur * 1.003, 6)},
        },
        rates={"USD": rate},
        history=HISTORY,
    )


def decimals(low: float, high: float, digits: int = 2):
    """Floats that are short decimals, as people write them."""
    unit = 10**digits
    return st.integers(round(low * unit), round(high * unit)).map(lambda n: n / unit)


@st.composite
def markets(draw):
    """A market in dollars at prices of every level; oil may be negative."""
    return market_of(
        btc=draw(decimals(60, 170)),
        eth=draw(decimals(6, 16)),
        dax=draw(decimals(100, 200)),
        eur=draw(decimals(0.9, 1.3, 4)),
        oil=draw(decimals(-20, 60)),
        usdc=draw(decimals(0.9, 1.0, 4)),
        steth=draw(decimals(5, 16)),
        basis=draw(decimals(0.97, 1.05, 3)),
        vol=draw(decimals(0.2, 1.5)),
        oil_vol=draw(decimals(4, 40)),
        rate=draw(decimals(-0.01, 0.06)),
    )


quantities = decimals(-12, 12, 1)


@st.composite
def positions(draw, instruments: Sequence[Instrument] = INSTRUMENTS, *, most: int = 5, isolated: bool = True):
    """Positions in several instruments, some with an entry price, some ring-fenced."""
    chosen = draw(st.lists(st.sampled_from(instruments), max_size=most, unique=True))
    found = []
    for instrument in chosen:
        fenced = isolated and draw(st.integers(0, 6)) == 0
        entry = None
        if not isinstance(instrument, Option) and draw(st.booleans()):
            level = {"BTC": 100, "ETH": 10, "DAX": 150, "EUR": 1.1, "OIL": 30}[instrument.underlying]
            entry = round(level * draw(decimals(0.8, 1.2)), 4)
        found.append(
            Position(
                symbol=instrument.symbol,
                quantity=draw(quantities),
                entry_price=entry,
                margin_mode="isolated" if fenced else None,
                isolated_collateral=draw(decimals(0, 40)) if fenced else None,
            )
        )
    return tuple(found)


@st.composite
def balances(draw, *, debts: bool = True, places: Sequence[Location] = LOCATIONS):
    """Balances in several assets and places; some are debts, some pending."""
    found = []
    for asset in draw(st.lists(st.sampled_from(HELD_ASSETS), max_size=5, unique=True)):
        scale = {"BTC": 15, "ETH": 90, "STETH": 40}.get(asset, 900)
        amount = draw(decimals(-0.2 * scale if debts else 0, scale))
        place = draw(st.sampled_from(places)).id if draw(st.booleans()) else "here"
        state = "pending" if draw(st.integers(0, 9)) == 0 else "final"
        found.append(Balance(asset=asset, amount=amount, location=place, state=state))
    return tuple(found)


@st.composite
def accounts(draw, id: str, instruments: Sequence[Instrument] = INSTRUMENTS, **terms):
    """One account with what it holds."""
    return Account(
        id=id,
        owner=draw(st.sampled_from(["", "house"])),
        credit=draw(st.sampled_from(["prime", "standard", "basic"])),
        positions=draw(positions(instruments, **terms)),
        balances=draw(balances()),
    )


@st.composite
def worlds(draw, instruments: Sequence[Instrument] = INSTRUMENTS, *, most: int = 3, **terms):
    """Books of up to `most` accounts, the first two of them sometimes in one pool."""
    count = draw(st.integers(1, most))
    found = tuple(draw(accounts(f"a{k}", instruments, **terms)) for k in range(count))
    together = count > 1 and draw(st.booleans())
    return World(
        accounts=found,
        market=draw(markets()),
        pools=(Pool(id="group", accounts=("a0", "a1")),) if together else (),
    )
