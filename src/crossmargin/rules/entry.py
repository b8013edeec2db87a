"""One parameter of a rule book, and the parameters of one margin model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from crossmargin.rules.kinds import Kind, Number

if TYPE_CHECKING:
    from crossmargin.margin import MarginModel


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One parameter a rule book has or may have."""

    key: str
    kind: Kind
    unit: str
    """What the book must state as its unit."""
    meaning: str
    required: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSchema:
    """The parameters of one margin model, and how to build it from their values."""

    meaning: str
    entries: tuple[Entry, ...]
    build: Callable[[Mapping[str, Any]], MarginModel]


FACTOR = Number(least=1)
POSITIVE = Number(least=0, open_least=True)
RATE = Number(least=0, most=1, open_least=True)
