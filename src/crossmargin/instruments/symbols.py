"""Reading of symbols: ccxt unified, Deribit and OSI names become contract terms."""

from __future__ import annotations

from crossmargin.instruments.contracts import Instrument


def parse_symbol(symbol: str) -> Instrument | None:
    """Return the instrument a symbol names, or None where no scheme explains it."""
    return None
