"""Which golden-case models there are: the adapter of each, what it reads and what it calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType

from crossmargin.verify.inputs import Inputs

ADAPTER_FILES = (
    "brackets",
    "clearing",
    "isolated",
    "options",
    "misc",
    "simm",
    "fhs",
    "deribit",
    "okx",
    "quantums",
    "levels",
    "funding",
    "derive",
    "span",
    "tims",
    "strategy",
    "portfolio",
    "portfolio_books",
)
"""Files of `adapters/`; each registers the models of its family when it is imported."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Adapter:
    """Translates the inputs of one golden-case model into a call of the library's own model."""

    model: str
    reads: tuple[str, ...]
    """Input keys; those that may be left out end in a question mark."""
    calls: str
    """The library's function or class that answers."""
    note: str
    answer: Callable[[Inputs], object]


_adapters: dict[str, Adapter] = {}

Answer = Callable[[Inputs], object]


def adapter(model: str, *, reads: str, calls: str, note: str = "") -> Callable[[Answer], Answer]:
    """Register the decorated function as the adapter of `model`."""

    def register(answer: Answer) -> Answer:
        assert model not in _adapters, f"two adapters of {model}"
        _adapters[model] = Adapter(model=model, reads=tuple(reads.split()), calls=calls, note=note, answer=answer)
        return answer

    return register


def models() -> Mapping[str, Adapter]:
    """Return every adapter by the name of its golden-case model, in the order of the names."""
    for name in ADAPTER_FILES:
        import_module(f"crossmargin.verify.adapters.{name}")
    return MappingProxyType(dict(sorted(_adapters.items())))
