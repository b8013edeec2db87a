"""Facts that ship beside this room: dated TOML files in which every entry states its unit and source."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

_HEAD = ("name", "version", "title")


@cache
def entries(name: str) -> Mapping[str, Mapping[str, Any]]:
    """Return the entries of a shipped file: each has `value`, `unit`, `source` and `reason`."""
    document = tomllib.loads(text(f"{name}.toml"))
    return {key: entry for key, entry in document.items() if key not in _HEAD}


@cache
def version(name: str) -> str:
    """Return the day a shipped file is of."""
    return str(tomllib.loads(text(f"{name}.toml"))["version"])


def value(name: str, key: str) -> Any:
    """Return the value of one entry of a shipped file."""
    return entries(name)[key]["value"]


def text(file: str) -> str:
    """Return a shipped file as it is."""
    return (files(__package__) / file).read_text(encoding="utf-8")
