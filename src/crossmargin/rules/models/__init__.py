"""The margin models a rule book may name: one file a model, which states its parameters and builds it."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from types import MappingProxyType

from crossmargin.rules.entry import ModelSchema

_FILES = (
    "portfolio",
    "grid",
    "brackets",
    "standard_option",
    "historical",
    "fhs",
    "risk_matrix",
    "risk_units",
    "stress_units",
    "unified",
    "sensitivities",
    "strategy",
    "open_interest",
    "size_scaled",
    "levels",
    "derive_standard",
    "derive_portfolio",
    "derive_portfolio_v1",
    "span",
    "tims",
)
"""Files of this folder; each has a SCHEMA and is named like its model, in the order people read about them."""

MODELS: Mapping[str, ModelSchema] = MappingProxyType(
    {name: import_module(f"crossmargin.rules.models.{name}").SCHEMA for name in _FILES}
)
