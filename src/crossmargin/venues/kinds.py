"""The kinds of file that can be imported."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from crossmargin.venues.cboe import import_cboe_chain
from crossmargin.venues.ccxt import import_ccxt_positions
from crossmargin.venues.deribit import import_deribit_chain
from crossmargin.venues.imported import Imported
from crossmargin.venues.leverage import import_leverage_tiers
from crossmargin.venues.span import import_span


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of file: what it is, and its reader."""

    description: str
    read: Callable[..., Imported]
    """Called with the path, and with the venue where `needs_venue`."""
    needs_venue: bool = False


KINDS: Mapping[str, Kind] = MappingProxyType(
    {
        "cboe-chain": Kind(
            description="an index option chain downloaded from Cboe's delayed quotes, CSV with three header lines",
            read=import_cboe_chain,
        ),
        "ccxt-positions": Kind(
            description="positions as ccxt fetch_positions returns them, a JSON list (name the venue)",
            read=import_ccxt_positions,
            needs_venue=True,
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
        "span": Kind(
            description="SPAN risk arrays, fixed columns (.pa2) or XML (.spn): contracts, settlement prices, a rule book",
            read=import_span,
        ),
    }
)
"""Reader by the name used on the command line."""
