"""Who trades on the simulated day, and what each of them wants at a moment."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum, unique

import numpy as np

from crossmargin.errors import InputError
from crossmargin.instruments import Option
from crossmargin.venues.simulated.listings import RANKS, UNDERLYINGS, Listed

ACCOUNTS_MIN = 4 * RANKS
MAKER_WEALTH = 2e8
LOOK_BACK = 12
"""Steps over which followers see a trend."""


@unique
class Kind(StrEnum):
    """What an account is there for."""

    MAKER = "maker"
    """Quotes every instrument, at one distance from the middle."""
    HEDGER = "hedger"
    """Owns coins, and sells contracts on them with patient orders."""
    FOLLOWER = "follower"
    """Buys what has risen and sells what has fallen."""
    SELLER = "seller"
    """Sells options for their premium, and buys some back."""
    PUNTER = "punter"
    """Tries anything, and closes it again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trader:
    """One account of the day."""

    account: str
    owner: str
    kind: Kind
    home: str
    """The underlying it looks at."""
    wealth: float
    """What it brings, in dollars."""
    coins: bool
    """It brings coins of its home instead of dollars."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """An order somebody wants to place."""

    symbol: str
    lots: int
    limit: int | None = None
    immediate: bool = True
    reduce_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """What a trader sees: prices, what trades, the best quotes and what he holds."""

    indices: Mapping[str, float]
    before: Mapping[str, float]
    """Prices `LOOK_BACK` steps ago."""
    trading: Sequence[Listed]
    best: Callable[[str, int], int | None]
    """(symbol, side) -> ticks."""
    held: Callable[[str], int]
    """symbol -> lots."""


def population(accounts: int, seed: int) -> tuple[Trader, ...]:
    """Return `accounts` traders: `RANKS` makers first, then the others by chance; every twelfth shares an owner.

    Raises InputError for fewer than `ACCOUNTS_MIN` accounts.
    """
    if accounts < ACCOUNTS_MIN:
        raise InputError("simulated day, accounts", str(accounts), f"{ACCOUNTS_MIN} or more")
    chance = np.random.default_rng([seed, accounts])
    others = accounts - RANKS
    kinds = chance.choice(
        [Kind.HEDGER, Kind.FOLLOWER, Kind.SELLER, Kind.PUNTER], size=others, p=[0.2, 0.3, 0.15, 0.35]
    ).tolist()
    homes = chance.choice([of.symbol for of in UNDERLYINGS], size=others, p=[0.45, 0.3, 0.15, 0.1]).tolist()
    wealth = np.clip(np.exp(chance.normal(10.0, 1.0, others)), 2_000.0, 2_000_000.0).tolist()
    traders = [
        Trader(
            account=f"maker-{rank}",
            owner=f"maker-{rank}",
            kind=Kind.MAKER,
            home="BTC",
            wealth=MAKER_WEALTH,
            coins=False,
        )
        for rank in range(RANKS)
    ]
    for k in range(others):
        kind = Kind(kinds[k])
        home = "BTC" if kind is Kind.SELLER else homes[k]
        name = f"{kind}-{k:05}"
        shares = k % 12 == 11
        coins = kind is Kind.HEDGER and home in ("BTC", "ETH")
        owner = traders[-1].owner if shares else name
        traders.append(Trader(account=name, owner=owner, kind=kind, home=home, wealth=wealth[k], coins=coins))
    return tuple(traders)


def wishes(trader: Trader, sight: Sight, chance: np.random.Generator) -> list[Wish]:
    """Return what a trader wants now; a maker's quotes are not his wishes."""
    return _WANTS[trader.kind](trader, sight, chance)


def _follow(trader: Trader, sight: Sight, chance: np.random.Generator) -> list[Wish]:
    """Hold what the trend says, at up to three times its wealth."""
    contracts = _contracts(trader, sight)
    leverage = chance.uniform(0.3, 3.0)
    if not contracts:
        return []
    listed = contracts[int(chance.integers(len(contracts)))]
    moved = sight.indices[trader.home] - sight.before[trader.home]
    quiet = 0.001 * abs(sight.before[trader.home])
    trend = (moved > quiet) - (moved < -quiet)
    target = int(trend * leverage * trader.wealth / listed.notional(sight.indices))
    lots = target - sight.held(listed.symbol)
    return [Wish(symbol=listed.symbol, lots=lots)] if lots else []


def _hedge(trader: Trader, sight: Sight, chance: np.random.Generator) -> list[Wish]:
    """Sell towards as much as it owns, resting at the best offer."""
    contracts = _contracts(trader, sight)
    share = chance.uniform(0.2, 1.0)
    if not contracts:
        return []
    # One contract for good, so that hedges do not pile up in all of them.
    listed = contracts[len(trader.account) * 7 % len(contracts)]
    target = -int(0.9 * trader.wealth / listed.notional(sight.indices))
    lots = int((target - sight.held(listed.symbol)) * share)
    best = sight.best(listed.symbol, -1 if lots < 0 else 1)
    if lots == 0 or best is None:
        return []
    return [Wish(symbol=listed.symbol, lots=lots, limit=best, immediate=False)]


def _sell_options(trader: Trader, sight: Sight, chance: np.random.Generator) -> list[Wish]:
    """Sell an option at the best bid, or buy some of one back."""
    options = [listed for listed in sight.trading if isinstance(listed.instrument, Option)]
    if not options:
        return []
    listed = options[int(chance.integers(len(options)))]
    held = sight.held(listed.symbol)
    if held < 0 and chance.random() < 0.3:
        return [Wish(symbol=listed.symbol, lots=max(1, -held // 2), reduce_only=True)]
    lots = int(chance.uniform(0.1, 0.6) * trader.wealth / listed.notional(sight.indices))
    best = sight.best(listed.symbol, 1)
    if lots == 0 or best is None or -held > 3.0 * trader.wealth / listed.notional(sight.indices):
        return []
    return [Wish(symbol=listed.symbol, lots=-lots, limit=best)]


def _punt(trader: Trader, sight: Sight, chance: np.random.Generator) -> list[Wish]:
    """Close something, or open something up to one and a half times its wealth; patiently or at once."""
    if not sight.trading:
        return []
    listed = sight.trading[int(chance.integers(len(sight.trading)))]
    held = sight.held(listed.symbol)
    size, patient, side = chance.uniform(0.1, 1.5), chance.random() < 0.3, int(chance.choice([-1, 1]))
    if held and chance.random() < 0.6:
        return [Wish(symbol=listed.symbol, lots=-held, reduce_only=True)]
    if isinstance(listed.instrument, Option):
        # Bought only, and for a part of the wealth: lottery tickets.
        side, size = 1, 0.3 * size
    lots = side * int(size * trader.wealth / listed.notional(sight.indices))
    best = sight.best(listed.symbol, side)
    if lots == 0:
        return []
    if patient and best is not None:
        return [Wish(symbol=listed.symbol, lots=lots, limit=best, immediate=False)]
    return [Wish(symbol=listed.symbol, lots=lots)]


def _contracts(trader: Trader, sight: Sight) -> list[Listed]:
    return [
        listed
        for listed in sight.trading
        if listed.instrument.underlying == trader.home and not isinstance(listed.instrument, Option)
    ]


_WANTS: dict[Kind, Callable[[Trader, Sight, np.random.Generator], list[Wish]]] = {
    Kind.MAKER: lambda trader, sight, chance: [],
    Kind.HEDGER: _hedge,
    Kind.FOLLOWER: _follow,
    Kind.SELLER: _sell_options,
    Kind.PUNTER: _punt,
}
