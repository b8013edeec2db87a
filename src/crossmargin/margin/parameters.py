"""Which parameters apply to which position: those of its symbol, else of its underlying, else of its class."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, TypeVar

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
    entries, number = _of_instruments(
        _Same(catalogue), _Same(by_class), _Same(by_underlying), _Same(by_symbol or _NOTHING)
    )
    mine = number[instrument]
    for k, entry in enumerate(entries):
        rows = np.flatnonzero(mine == k)
        if len(rows):
            yield entry, rows


_NOTHING: dict[str, Any] = {}


class _Same:
    """Wraps a value so that it is equal to itself alone: tables of parameters need not be compared entry by entry."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Same) and self.value is other.value

    def __hash__(self) -> int:
        return id(self.value)


@lru_cache(maxsize=16)
def _of_instruments(
    catalogue: _Same, by_class: _Same, by_underlying: _Same, by_symbol: _Same
) -> tuple[list[Any], IntArray]:
    """Return the entries in use, and the number of the entry of every instrument of the catalogue."""
    entries: dict[int, tuple[int, Any]] = {}
    number = np.empty(len(catalogue.value), dtype=np.int64)
    for k, terms in enumerate(catalogue.value):
        entry = by_class.value.get(terms.asset_class, by_class.value[OTHER])
        entry = by_underlying.value.get(terms.underlying, entry)
        entry = by_symbol.value.get(terms.symbol, entry)
        number[k] = entries.setdefault(id(entry), (len(entries), entry))[0]
    return [entry for _, entry in entries.values()], number
