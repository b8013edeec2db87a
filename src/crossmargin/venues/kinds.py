"""The kinds of file that can be imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from crossmargin.venues.binance_account import import_binance_account
from crossmargin.venues.bybit_account import import_bybit_account
from crossmargin.venues.cboe import import_cboe_chain
from crossmargin.venues.ccxt import import_ccxt_positions
from crossmargin.venues.deribit import import_deribit_chain
from crossmargin.venues.deribit_account import import_deribit_account
from crossmargin.venues.imported import Imported
from crossmargin.venues.leverage import import_leverage_tiers
from crossmargin.venues.okx_account import import_okx_account
from crossmargin.venues.span import import_span


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of file: what it is, and its reader."""

    description: str
    read: Callable[..., Imported]
    """Called with the path, and with the venue where `needs_venue`; with all paths and an id where `is_account`."""
    needs_venue: bool = False
    is_account: bool = False
    """Several files may be answers about one account."""


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "binance-account": Kind(
            description="a futures account as Binance answers: account information, position risk",
            read=import_binance_account,
            is_account=True,
        ),
        "bybit-account": Kind(
            description="a unified account as Bybit answers: wallet balance, position list",
            read=import_bybit_account,
            is_account=True,
        ),
        "cboe-chain": Kind(
            description="an index option chain downloaded from Cboe's delayed quotes, CSV with three header lines",
            read=import_cboe_chain,
        ),
        "ccxt-positions": Kind(
            description="positions as ccxt fetch_positions returns them, a JSON list (name the venue)",
            read=import_ccxt_positions,
            needs_venue=True,
        ),
        "deribit-account": Kind(
            description="an account as Deribit answers: account summaries, positions, user.portfolio",
            read=import_deribit_account,
            is_account=True,
        ),
        "deribit-chain": Kind(
            description="a Deribit book summary of one coin's options, CSV: marks in coin, forwards, index",
            read=import_deribit_chain,
        ),
        "leverage-tiers": Kind(
            description="leverage tiers as ccxt fetch_leverage_tiers returns them, as a rule book (name the venue)",
            read=import_leverage_tiers,
            needs_venue=True,
        ),
        "okx-account": Kind(
            description="an account as OKX answers: balance, positions, instruments (for contract sizes)",
            read=import_okx_account,
            is_account=True,
        ),
        "span": Kind(
            description="SPAN risk arrays, fixed columns (.pa2) or XML (.spn): contracts, prices, a rule book",
            read=import_span,
        ),
    }
)
"""Reader by the name used on the command line."""
