"""Contracts as venues name them in their own answers, as ccxt unified symbols.

    OKX       BTC-USDT-SWAP  BTC-USD-241227  BTC-USD-241227-60000-C
    Bybit     BTCUSDT  BTCPERP  BTCUSD  BTCUSDZ25  BTC-26DEC25  BTCUSDT-26DEC25  BTC-26DEC25-60000-C-USDT
    Binance   BTCUSDT  BTCUSDT_251226  BTCUSD_PERP  BTCUSD_251226  BTC-251226-60000-C

A name that is nearly right is not read: None.
"""

from __future__ import annotations

import re
from calendar import monthrange
from collections.abc import Callable, Mapping
from datetime import date, timedelta

_COIN = "[A-Z0-9]{1,20}"
_STRIKE = r"(?P<strike>[0-9]{1,12}(?:\.[0-9]{1,12})?)-(?P<right>[CP])"
_OKX = re.compile(rf"(?P<base>{_COIN})-(?P<quote>USDT|USDC|USD)-(?:SWAP|(?P<day>[0-9]{{6}})(?:-{_STRIKE})?)")
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_DAY = r"(?P<d>[1-9][0-9]?)(?P<m>[A-Z]{3})(?P<y>[0-9]{2})"
_BYBIT_DATED = re.compile(rf"(?P<base>{_COIN}?)(?P<quote>USDT)?-{_DAY}(?:-{_STRIKE}(?:-(?P<paid>USDT|USDC))?)?")
_BYBIT_QUARTER = re.compile(rf"(?P<base>{_COIN}?)USD(?P<m>[HMUZ])(?P<y>[0-9]{{2}})")
_QUARTERS = {"H": 3, "M": 6, "U": 9, "Z": 12}
_BYBIT_PERPETUAL = re.compile(rf"(?P<base>{_COIN}?)(?P<quote>USDT|USDC|USD|PERP)")
_BINANCE_LINEAR = re.compile(rf"(?P<base>{_COIN}?)(?P<quote>USDT|USDC|FDUSD|BUSD|BTC|ETH)(?:_(?P<day>[0-9]{{6}}))?")
_BINANCE_INVERSE = re.compile(rf"(?P<base>{_COIN}?)USD_(?:PERP|(?P<day>[0-9]{{6}}))")
_BINANCE_OPTION = re.compile(rf"(?P<base>{_COIN})-(?P<day>[0-9]{{6}})-{_STRIKE}")


def okx(name: str) -> str | None:
    """Return the unified symbol of an OKX contract; USD ones settle in the coin."""
    found = _OKX.fullmatch(name)
    if found is None:
        return None
    base, quote = found["base"], found["quote"]
    return _unified(base, quote, base if quote == "USD" else quote, found["day"], found["strike"], found["right"])


def bybit(name: str) -> str | None:
    """Return the unified symbol of a Bybit contract; a quarterly inverse future expires on the month's last Friday."""
    if found := _BYBIT_DATED.fullmatch(name):
        day = _compact(found["d"], found["m"], found["y"])
        quote = found["paid"] or found["quote"] or "USDC"
        return _unified(found["base"], quote, quote, day, found["strike"], found["right"]) if day else None
    if found := _BYBIT_QUARTER.fullmatch(name):
        return _unified(
            found["base"], "USD", found["base"], _last_friday(2000 + int(found["y"]), _QUARTERS[found["m"]])
        )
    if found := _BYBIT_PERPETUAL.fullmatch(name):
        quote = "USDC" if found["quote"] == "PERP" else found["quote"]
        return _unified(found["base"], quote, found["base"] if quote == "USD" else quote)
    return None


def binance(name: str) -> str | None:
    """Return the unified symbol of a Binance contract."""
    if found := _BINANCE_OPTION.fullmatch(name):
        return _unified(found["base"], "USDT", "USDT", found["day"], found["strike"], found["right"])
    if found := _BINANCE_INVERSE.fullmatch(name):
        return _unified(found["base"], "USD", found["base"], found["day"])
    if found := _BINANCE_LINEAR.fullmatch(name):
        return _unified(found["base"], found["quote"], found["quote"], found["day"])
    return None


UNIFIED: Mapping[str, Callable[[str], str | None]] = {"binance": binance, "bybit": bybit, "okx": okx}
"""By venue. Deribit's names are read as they are (`instruments.parse_symbol`)."""


def _unified(
    base: str, quote: str, settle: str, day: str | None = None, strike: str | None = None, right: str | None = None
) -> str | None:
    if not base or base == quote:
        return None
    dated = f"-{day}" if day else ""
    option = f"-{strike}-{right}" if strike else ""
    return f"{base}/{quote}:{settle}{dated}{option}"


def _compact(day: str, month: str, year: str) -> str | None:
    """Return YYMMDD; None for a month there is none of."""
    return f"{year}{_MONTHS.index(month) + 1:02d}{int(day):02d}" if month in _MONTHS else None


def _last_friday(year: int, month: int) -> str:
    last = date(year, month, monthrange(year, month)[1])
    return (last - timedelta(days=(last.weekday() - 4) % 7)).strftime("%y%m%d")
