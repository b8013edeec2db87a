"""What a symbol leaves unsaid: contract sizes, expiry hours and option roots, venue by venue.

Facts as figures, each with where it is stated. A size is in units of the underlying (linear contracts and
options) or of the quote asset (inverse futures and perpetuals). A venue that says nothing here says nothing: a
size or an hour that is not listed is not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

_LONDON = "Europe/London"
_NEW_YORK = "America/New_York"

EXPIRY_TIMES: dict[str, tuple[time, str]] = {
    # Contract specifications of each venue, by its ccxt id; a venue of perpetuals only has no hour.
    "": (time(8), "UTC"),  # no venue given: the hour of the four largest venues of dated crypto contracts
    "binance": (time(8), "UTC"),
    "binancecoinm": (time(8), "UTC"),
    "binanceusdm": (time(8), "UTC"),
    "bitmex": (time(12), "UTC"),
    "bybit": (time(8), "UTC"),
    "coinbase": (time(16), _LONDON),  # Coinbase Derivatives, bitcoin futures: last trading 16:00 London
    "deribit": (time(8), "UTC"),
    "gate": (time(8), "UTC"),
    "krakenfutures": (time(16), _LONDON),  # Kraken Derivatives, fixed maturities: 16:00 London
    "okx": (time(8), "UTC"),
}
_NO_HOUR = ("bitget", "cboe", "dydx", "htx", "hyperliquid", "kucoinfutures", "mexc", "paradex", "phemex")
VENUES = tuple(sorted((EXPIRY_TIMES.keys() - {""}) | {*_NO_HOUR}))
"""Every venue `parse_symbol` takes, by its ccxt id; `cboe` stands for OSI symbols."""

_ANY = "*"
_SIZES: dict[tuple[str, str, str], str] = {
    # (venue, kind of contract, base coin): size. Kinds: linear, inverse (futures and perpetuals), option.
    # Binance: USD-margined contracts are for one coin; coin-margined for 100 USD of BTC, 10 USD of any other.
    ("binance", "linear", _ANY): "1",
    ("binance", "inverse", "BTC"): "100",
    ("binance", "inverse", _ANY): "10",
    ("binance", "option", _ANY): "1",
    ("binanceusdm", "linear", _ANY): "1",
    ("binancecoinm", "inverse", "BTC"): "100",
    ("binancecoinm", "inverse", _ANY): "10",
    # BitMEX XBTUSD: one contract is 1 USD.
    ("bitmex", "inverse", "BTC"): "1",
    # Bybit v5: sizes of linear contracts and options in the coin, of inverse ones in USD.
    ("bybit", "linear", _ANY): "1",
    ("bybit", "inverse", _ANY): "1",
    ("bybit", "option", "BTC"): "1",
    ("bybit", "option", "ETH"): "1",
    # Deribit states amounts and position sizes in USD (inverse futures and perpetuals) or in the coin (options,
    # linear contracts), so one unit of quantity is 1 USD or 1 coin. Its field `contract_size` (10 USD for BTC, 1
    # USD for ETH) is only the step an amount moves in.
    ("deribit", "linear", _ANY): "1",
    ("deribit", "inverse", _ANY): "1",
    ("deribit", "option", _ANY): "1",
    ("hyperliquid", "linear", _ANY): "1",
    # Kraken Derivatives: PI_ and FI_ contracts are 1 USD each, PF_ ones 1 coin (field `contractSize`).
    ("krakenfutures", "linear", _ANY): "1",
    ("krakenfutures", "inverse", _ANY): "1",
    # OKX: ctVal x ctMult of the instruments endpoint.
    ("okx", "linear", "BTC"): "0.01",
    ("okx", "linear", "ETH"): "0.1",
    ("okx", "inverse", "BTC"): "100",
    ("okx", "inverse", "ETH"): "10",
    ("okx", "option", "BTC"): "0.01",
    ("okx", "option", "ETH"): "0.1",
}


def contract_size_of(venue: str, kind: str, base: str) -> Decimal | None:
    """Return the size of a contract; 1 where no venue is given, None where the venue's size is not known.

    `kind` is `linear` or `inverse` (futures and perpetuals) or `option`.
    """
    if not venue:
        return Decimal(1)
    size = _SIZES.get((venue, kind, base)) or _SIZES.get((venue, kind, _ANY))
    return Decimal(size) if size else None


def crypto_expiry(day: date, venue: str) -> datetime | None:
    """Return the UTC instant a contract dated `day` settles; None where the venue's hour is not known."""
    known = EXPIRY_TIMES.get(venue)
    return _instant(day, *known) if known else None


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionRoot:
    """What an OSI root stands for."""

    underlying: str
    at_open: bool = False
    """Settled at the opening prices of the expiry date, not at its close."""
    exercise: str = "european"
    asset_class: str = "equity_index"


OSI_SIZE = Decimal(100)
"""Units of the underlying an option of the standard size is for (Options Clearing Corporation)."""

_ROOTS = {
    # Cboe and Nasdaq contract specifications. Open: the special opening quotation of the expiry date.
    "DJX": OptionRoot(underlying="DJX", at_open=True),
    "NDX": OptionRoot(underlying="NDX", at_open=True),
    "NDXP": OptionRoot(underlying="NDX"),
    "OEX": OptionRoot(underlying="OEX", exercise="american"),
    "RUT": OptionRoot(underlying="RUT", at_open=True),
    "RUTW": OptionRoot(underlying="RUT"),
    "SPX": OptionRoot(underlying="SPX", at_open=True),
    "SPXPM": OptionRoot(underlying="SPX"),
    "SPXW": OptionRoot(underlying="SPX"),
    # An option on VIX has the volatility index for underlying: no class fits, so the strictest.
    "VIX": OptionRoot(underlying="VIX", at_open=True, asset_class="other"),
    "VIXW": OptionRoot(underlying="VIX", at_open=True, asset_class="other"),
    "XEO": OptionRoot(underlying="OEX"),
    "XSP": OptionRoot(underlying="XSP"),
}

_OPEN, _CLOSE = time(9, 30), time(16)
_SATURDAY = 5
_LAST_SATURDAY_EXPIRY = date(2015, 1, 31)
"""Monthly options expired on the Saturday after their last trading day until February 2015."""
_GOOD_FRIDAYS = (date(2014, 4, 18),)
"""Exchange holidays on a third Friday since OSI symbols began (2010): the last trading day was the Thursday."""


def option_root(root: str) -> OptionRoot:
    """Return what a root stands for; one that is no index is a share or fund of that name, exercised American."""
    return _ROOTS.get(root) or OptionRoot(underlying=root, exercise="american", asset_class="equity")


def listed_expiry(day: date, root: OptionRoot) -> datetime | None:
    """Return the UTC instant a listed option dated `day` settles, or None on a day none can be dated.

    Opening-settled ones at 09:30 New York, the others at the regular close, 16:00 (days of early close are not
    known here). A Saturday date, used until February 2015, stands for the last trading day before it.
    """
    if day.weekday() == _SATURDAY and day <= _LAST_SATURDAY_EXPIRY:
        day -= timedelta(days=1)
        if day in _GOOD_FRIDAYS:
            day -= timedelta(days=1)
    if day.weekday() >= _SATURDAY:
        return None
    return _instant(day, _OPEN if root.at_open else _CLOSE, _NEW_YORK)


def _instant(day: date, at: time, zone: str) -> datetime:
    return datetime.combine(day, at, ZoneInfo(zone)).astimezone(UTC)
