"""Which parameters apply to which position: those of its symbol, else of its underlying, else of its class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TypeVar

import numpy as np

from crossmargin.errors import InvalidRules, nearest
from crossmargin.instruments import ASSET_CLASSES, Catalogue
from crossmargin.units import IntArray

OTHER = "other"
"""The class whose parameters stand in for every class that has none of its own."""

T = TypeVar("T")


def check_classes(place: str, by_class: Mapping[str, object]) -> None:
    """Raise InvalidRules unless every key is an asset class and `other` is among them."""
    for name in by_class:
        if name not in ASSET_CLASSES:
            raise InvalidRules(place, repr(name), ", ".join(ASSET_CLASSES), nearest(name, ASSET_CLASSES))
    if OTHER not in by_class:
        raise InvalidRules(place, ", ".join(by_class) or "nothing", f"an entry for {OTHER}")


def by_position(
    catalogue: Catalogue,
    instrument: IntArray,
    *,
    by_class: Mapping[str, T],
    by_underlying: Mapping[str, T],
    by_symbol: Mapping[str, T] | None = None,
) -> Iterator[tuple[T, IntArray]]:
    """Yield each entry in use with the rows of `instrument` (numbers in the catalogue) that it applies to."""
    held, row_of = np.unique(instrument, return_inverse=True)
    entries: dict[int, T] = {}
    number = np.empty(len(held), dtype=np.int64)
    for k, held_instrument in enumerate(held.tolist()):
        terms = catalogue.instruments[held_instrument]
        entry = by_class.get(terms.asset_class, by_class[OTHER])
        entry = by_underlying.get(terms.underlying, entry)
        entry = (by_symbol or {}).get(terms.symbol, entry)
        entries[id(entry)] = entry
        number[k] = id(entry)
    for key, entry in entries.items():
        yield entry, np.flatnonzero((number == key)[row_of])
