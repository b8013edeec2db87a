"""Reading of symbols: ccxt unified, Deribit and OSI names become contract terms.

    ccxt unified   BTC/USDT  BTC/USDT:USDT  BTC/USD:BTC-261225  BTC/USD:BTC-261225-60000-C
    Deribit        BTC-PERPETUAL  ETH-26JAN24  ETH-26JAN24-1200-P  XRP_USDC-30AUG24-0d625-C  BTC_USDC
    OSI            SPXW  220610C00800000, or without the blanks

A ccxt or Deribit contract is inverse where it settles in its base coin; a Deribit name without a quote asset
(BTC-25DEC26-60000-C) is coin-settled against USD, as on that venue. Reading is strict: a name that is nearly
right is not read at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from decimal import Decimal

from crossmargin.errors import InvalidInstrument, UnknownSymbol, nearest
from crossmargin.instruments.assets import asset_class_of
from crossmargin.instruments.contracts import Future, Instrument, Option, Perpetual, Spot
from crossmargin.instruments.conventions import (
    OSI_SIZE,
    VENUES,
    contract_size_of,
    crypto_expiry,
    listed_expiry,
    option_root,
)

_COIN = "k?[A-Z0-9]{1,20}"
_NUMBER = r"(?:0|[1-9][0-9]{0,11})"
_CCXT = re.compile(
    rf"(?P<base>{_COIN})/(?P<quote>[A-Z0-9]{{2,20}})(?::(?P<settle>{_COIN})"
    rf"(?:-(?P<day>[0-9]{{6}})(?:-(?P<strike>{_NUMBER}(?:\.[0-9]{{1,12}})?)-(?P<type>[CP]))?)?)?"
)
_DERIBIT = re.compile(
    rf"(?P<base>[A-Z0-9]{{2,12}})(?:_(?P<quote>USDC))?-(?:PERPETUAL|(?P<day>[1-9][0-9]?[A-Z]{{3}}[0-9]{{2}})"
    rf"(?:-(?P<strike>{_NUMBER}(?:d[0-9]{{1,12}})?)-(?P<type>[CP]))?)"
)
_DERIBIT_SPOT = re.compile(r"(?P<base>[A-Z0-9]{2,12})_(?P<quote>BTC|ETH|USDC|USDE|USDT)")
_OSI = re.compile(r"(?P<root>[A-Z]{1,6})(?P<blanks> *)(?P<day>[0-9]{6})(?P<type>[CP])(?P<strike>[0-9]{8})")
_OSI_LENGTH = 21

_DERIBIT_COINS = ("BTC", "ETH", "SOL")
"""Coins that Deribit lists, or has listed, contracts settled in."""
_MONTHS = ("JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC")
_OPTION_TYPES = {"C": "call", "P": "put"}


def parse_symbol(symbol: str, venue: str | None = None, *, contract_size: Decimal | None = None) -> Instrument | None:
    """Return the instrument a symbol names, or None where no scheme explains it.

    `venue` is a ccxt exchange id; it sets what the name leaves unsaid: contract size and expiry hour, which differ
    between venues for one and the same symbol. Without it quantities are units of the underlying (of the quote
    asset for inverse futures and perpetuals) and crypto contracts expire at 08:00 UTC. With it, a contract whose
    size or hour on that venue is not known is None too. `contract_size` is the size of a ccxt contract where the
    caller knows it. Raises InvalidInstrument for a venue nobody knows, or a size that is not above 0.
    """
    place = venue or ""
    if place and place not in VENUES:
        raise InvalidInstrument("venue", repr(place), ", ".join(VENUES), nearest(place, VENUES))
    if found := _CCXT.fullmatch(symbol):
        return None if place == "cboe" else _ccxt(symbol, found, place, contract_size)
    if place in ("", "cboe") and (found := _OSI.fullmatch(symbol)):
        return _osi(symbol, found)
    if place in ("", "deribit") and (found := _DERIBIT.fullmatch(symbol)):
        return _deribit(symbol, found)
    if place == "deribit" and (found := _DERIBIT_SPOT.fullmatch(symbol)):
        # Read only where the venue is named: elsewhere BTC_USDT is a perpetual.
        return _crypto(symbol, found["base"], found["quote"], "", place)
    return None


def unknown_symbol(symbol: str, known: Iterable[str]) -> UnknownSymbol:
    """Return the error for a symbol that no instrument defines and no scheme explains, with the nearest known."""
    return UnknownSymbol(
        f"symbol {symbol}",
        "no instrument of that symbol",
        "a listed instrument, or a ccxt unified, Deribit or OSI name",
        nearest(symbol, known),
    )


def _ccxt(symbol: str, found: re.Match[str], venue: str, contract_size: Decimal | None) -> Instrument | None:
    day = _compact_date(found["day"]) if found["day"] else None
    if found["day"] and day is None:
        return None
    base, quote, settle = found["base"], found["quote"], found["settle"] or ""
    return _crypto(symbol, base, quote, settle, venue, day, found["strike"], found["type"], contract_size)


def _deribit(symbol: str, found: re.Match[str]) -> Instrument | None:
    base, quote = found["base"], found["quote"]
    if not quote and base not in _DERIBIT_COINS:
        return None
    day = _deribit_date(found["day"]) if found["day"] else None
    if found["day"] and day is None:
        return None
    strike = found["strike"].replace("d", ".") if found["strike"] else None
    return _crypto(symbol, base, quote or "USD", quote or base, "deribit", day, strike, found["type"])


def _osi(symbol: str, found: re.Match[str]) -> Instrument | None:
    if found["blanks"] and len(symbol) != _OSI_LENGTH:
        return None
    day = _compact_date(found["day"])
    strike = Decimal(found["strike"]) / 1000
    root = option_root(found["root"])
    expiry = listed_expiry(day, root) if day else None
    if expiry is None or strike == 0:
        return None
    return Option(
        symbol=symbol,
        underlying=root.underlying,
        quote="USD",
        contract_size=OSI_SIZE,
        asset_class=root.asset_class,
        option_type=_OPTION_TYPES[found["type"]],
        strike=strike,
        expiry=expiry,
        exercise=root.exercise,
    )


def _crypto(
    symbol: str,
    base: str,
    quote: str,
    settle: str,
    venue: str,
    day: date | None = None,
    strike: str | None = None,
    option_type: str | None = None,
    contract_size: Decimal | None = None,
) -> Instrument | None:
    """Return the contract of checked parts; no `settle` is spot, no `day` a perpetual, no `strike` a future."""
    # A contract settled in a third asset has a multiplier of its own in every market: no name explains it.
    if base == quote or settle not in ("", base, quote):
        return None
    asset_class = asset_class_of(base)
    if not settle:
        return Spot(symbol=symbol, underlying=base, quote=quote, asset_class=asset_class)
    inverse = settle == base
    size = contract_size
    if size is None:
        size = contract_size_of(venue, "option" if strike else "inverse" if inverse else "linear", base)
    if size is None:
        return None
    if day is None:
        return Perpetual(
            symbol=symbol,
            underlying=base,
            quote=quote,
            settle=settle,
            contract_size=size,
            asset_class=asset_class,
            inverse=inverse,
        )
    expiry = crypto_expiry(day, venue)
    if expiry is None:
        return None
    if strike is None or option_type is None:
        return Future(
            symbol=symbol,
            underlying=base,
            quote=quote,
            settle=settle,
            contract_size=size,
            asset_class=asset_class,
            inverse=inverse,
            expiry=expiry,
        )
    if Decimal(strike) == 0:
        return None
    return Option(
        symbol=symbol,
        underlying=base,
        quote=quote,
        settle=settle,
        contract_size=size,
        asset_class=asset_class,
        inverse=inverse,
        expiry=expiry,
        option_type=_OPTION_TYPES[option_type],
        strike=Decimal(strike),
    )


def _compact_date(text: str) -> date | None:
    """Return the date of YYMMDD, of this century."""
    return _date(int(text[:2]), int(text[2:4]), int(text[4:]))


def _deribit_date(text: str) -> date | None:
    """Return the date of DMMMYY, the day without a leading zero."""
    month = text[-5:-2]
    return _date(int(text[-2:]), _MONTHS.index(month) + 1, int(text[:-5])) if month in _MONTHS else None


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(2000 + year, month, day)
    except ValueError:
        return None
