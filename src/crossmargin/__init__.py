"""An open cross-margin engine: what every account of a book must have, and how it stands.

    import crossmargin as cm

    loaded = cm.read_book("book.toml")
    standing = cm.evaluate(loaded.book, loaded.market, cm.load_rules("portfolio"))
    print(cm.document(standing)["totals"])

These are the names a newcomer needs; the rooms below have the rest, and `crossmargin --help` is the door for people.
A room is imported when one of its names is first asked for, so that `import crossmargin` costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from crossmargin.book import Account, Balance, Book, Pool, Position
    from crossmargin.errors import InputError
    from crossmargin.files import book_from_frames, read_book
    from crossmargin.instruments import Asset, Future, Option, Perpetual, Spot
    from crossmargin.market import Mark, Market
    from crossmargin.rules import Rules
    from crossmargin.rules import load as load_rules
    from crossmargin.standing import Standing, document, evaluate

__version__ = "0.1.0"

__all__ = [
    "Account",
    "Asset",
    "Balance",
    "Book",
    "Future",
    "InputError",
    "Mark",
    "Market",
    "Option",
    "Perpetual",
    "Pool",
    "Position",
    "Rules",
    "Spot",
    "Standing",
    "__version__",
    "book_from_frames",
    "document",
    "evaluate",
    "load_rules",
    "read_book",
]

_ROOMS = {
    "book": ("Account", "Balance", "Book", "Pool", "Position"),
    "errors": ("InputError",),
    "files": ("book_from_frames", "read_book"),
    "instruments": ("Asset", "Future", "Option", "Perpetual", "Spot"),
    "market": ("Mark", "Market"),
    "rules": ("Rules", "load_rules"),
    "standing": ("Standing", "document", "evaluate"),
}
_ROOM_OF = {name: room for room, names in _ROOMS.items() for name in names}
_NAME_THERE = {"load_rules": "load"}
"""Names that say more here than they need to in their own room."""


def __getattr__(name: str) -> object:
    if name not in _ROOM_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_ROOM_OF[name]}"), _NAME_THERE.get(name, name))
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
