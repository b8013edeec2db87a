"""What an importer gives back."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.book import Position
from crossmargin.instruments import Instrument
from crossmargin.market import Market


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Instruments, prices, positions and rules found in one file, with a report of what was done to them."""

    instruments: tuple[Instrument, ...]
    """In the order of their symbols."""
    market: Market | None = None
    """None where the file states no prices, or no time for them."""
    positions: tuple[Position, ...] = ()
    rules: str | None = None
    """Text of a rule book, TOML, where the file states rules."""
    report: tuple[str, ...] = ()
    """Sentences to show the reader, one a line: what was found, assumed, or left without a price."""
