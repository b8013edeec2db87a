"""Every error the library raises on purpose.

    CrossmarginError
    └── InputError               somebody's input is wrong: where, what was found, what is allowed
        ├── InvalidInstrument    contract terms that contradict each other
        ├── UnknownSymbol        a symbol nobody has defined and no naming scheme explains
        ├── InvalidMarket        a price, vol, rate or forward that cannot be
        ├── MissingPrice         a price that is needed and absent; names the accounts it affects
        ├── InvalidBook          accounts, positions, balances or pools that cannot be
        ├── InvalidRules         a rule book that is refused
        ├── NotMargined          an instrument that this rule book does not know how to margin
        └── InvalidFile          a file that cannot be read as what it claims to be

An `AssertionError` or anything else that escapes is our own fault, never the reader's.
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = [
    "CrossmarginError",
    "InputError",
    "InvalidBook",
    "InvalidFile",
    "InvalidInstrument",
    "InvalidMarket",
    "InvalidRules",
    "MissingPrice",
    "NotMargined",
    "UnknownSymbol",
    "nearest",
    "some_of",
]

_NAMES_SHOWN = 5


class CrossmarginError(Exception):
    """The root of everything raised on purpose."""


class InputError(CrossmarginError):
    """Input that is refused, with the place, what was found there and what is allowed."""

    def __init__(self, where: str, found: str, allowed: str, hint: str = "") -> None:
        self.where = where
        self.found = found
        self.allowed = allowed
        self.hint = hint
        super().__init__(str(self))

    def __str__(self) -> str:
        text = f"{self.where}: found {self.found}; allowed: {self.allowed}"
        return f"{text} ({self.hint})" if self.hint else text

    def within(self, place: str) -> InputError:
        """Return the same error with `place` (a file, a section) in front of its own place."""
        return type(self)(f"{place}: {self.where}", self.found, self.allowed, self.hint)


class InvalidInstrument(InputError):
    """Contract terms that are missing or contradict each other."""


class UnknownSymbol(InputError):
    """A symbol that no instrument defines and no naming scheme explains."""


class InvalidMarket(InputError):
    """A price, vol, rate, forward or history that cannot be."""


class MissingPrice(InputError):
    """A price that is needed and absent; the message names the accounts it affects."""


class InvalidBook(InputError):
    """Accounts, positions, balances, pools or locations that cannot be."""


class InvalidRules(InputError):
    """A rule book that is refused."""


class NotMargined(InputError):
    """An instrument that the chosen rule book does not know how to margin."""


class InvalidFile(InputError):
    """A file that cannot be read as what it claims to be."""


def nearest(name: str, known: Iterable[str]) -> str:
    """Return a hint naming the known names closest to `name`, or an empty string."""
    close = get_close_matches(name, list(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(close)}?" if close else ""


def some_of(names: Sequence[str]) -> str:
    """Return a readable list of `names`, cut after a few with a count of the rest."""
    shown = ", ".join(names[:_NAMES_SHOWN])
    rest = len(names) - _NAMES_SHOWN
    return f"{shown} and {rest} more" if rest > 0 else shown
