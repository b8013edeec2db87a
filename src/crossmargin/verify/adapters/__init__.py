"""Adapters of golden-case models, one file a family; each registers itself when `verify.models` asks for it."""

__all__: list[str] = []
