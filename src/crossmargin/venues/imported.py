"""What an importer gives back."""

from __future__ import annotations

from dataclasses import dataclass

from crossmargin.book import Account, Position
from crossmargin.instruments import Instrument
from crossmargin.market import Market
from crossmargin.venues.stated import Stated


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Instruments, prices, positions and rules found in one file, with a report of what was done to them."""

    instruments: tuple[Instrument, ...]
    """In the order of their symbols."""
    market: Market | None = None
    """None where the file states no prices, or no time for them."""
    positions: tuple[Position, ...] = ()
    accounts: tuple[Account, ...] = ()
    """Whole accounts with balances and positions, where the file is a venue's answer about one."""
    stated: Stated | None = None
    """What the venue says of the account's equity and margins."""
    rules: str | None = None
    """Text of a rule book, TOML, where the file states rules."""
    rules_name: str | None = None
    """The shipped rule book nearest to how the venue margins the account."""
    report: tuple[str, ...] = ()
    """Sentences to show the reader, one a line: what was found, assumed, or left without a price."""
