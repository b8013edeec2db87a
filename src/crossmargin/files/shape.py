"""Where a document departs from its shape, in words. msgspec is quick to refuse; this says where and why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from msgspec import inspect

from crossmargin.errors import InputError, nearest
from crossmargin.files.numbers import found

Path = tuple[str | int, ...]


def shaped(value: object, kind: Any, refuse: Callable[[Path, str, str, str], InputError]) -> Any:
    """Return `value`, plain objects as parsed, as the structs of `kind`.

    Where it does not fit, raises what `refuse(path, found, allowed, hint)` returns for the first departure in
    the order of the document.
    """
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as refusal:
        departure = _departure(value, inspect.type_info(kind), ())
        if departure is None:
            raise AssertionError("a shape that only msgspec refuses") from refusal
        raise refuse(*departure) from None


def written(path: Path) -> str:
    """Return a path as people write it: accounts[3].positions[0].quantity."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{_shown(part)}" for part in path)
    return text.removeprefix(".") or "the document"


def _shown(key: str) -> str:
    return key if key.isprintable() else ascii(key)[1:-1]


def _departure(value: object, kind: inspect.Type, path: Path) -> tuple[Path, str, str, str] | None:
    kind = _plain(kind)
    if isinstance(kind, inspect.AnyType):
        return None
    if isinstance(kind, inspect.UnionType):
        choices = [_plain(choice) for choice in kind.types]
        chosen = next((choice for choice in choices if _is_a(value, choice)), None)
        if chosen is None:
            named = [_NAMES[type(choice)] for choice in choices if not isinstance(choice, inspect.NoneType)]
            return path, found(value), " or ".join(named), ""
        return _departure(value, chosen, path)
    if not _is_a(value, kind):
        return path, found(value), _NAMES[type(kind)], _hint(value, kind)
    parts: list[tuple[str | int, object, inspect.Type]] = []
    if isinstance(kind, inspect.StructType):
        assert isinstance(value, dict)
        known = {field.encode_name: field for field in kind.fields}
        for name, field in known.items():
            if field.required and name not in value:
                return (*path, name), "nothing", f"{name}: it is required", ""
        for name in value:
            if name not in known:
                return (*path, name), "an unknown field", f"one of {', '.join(known)}", nearest(str(name), known)
        parts = [(name, item, known[name].type) for name, item in value.items()]
    elif isinstance(kind, inspect.DictType):
        assert isinstance(value, dict)
        parts = [(name, item, kind.value_type) for name, item in value.items()]
    elif isinstance(kind, inspect.ListType):
        assert isinstance(value, list)
        parts = [(k, item, kind.item_type) for k, item in enumerate(value)]
    for part, item, part_kind in parts:
        departure = _departure(item, part_kind, (*path, part))
        if departure is not None:
            return departure
    return None


def _plain(kind: inspect.Type) -> inspect.Type:
    return _plain(kind.type) if isinstance(kind, inspect.Metadata) else kind


def _is_a(value: object, kind: inspect.Type) -> bool:
    if isinstance(kind, inspect.AnyType):
        return True
    if isinstance(kind, inspect.NoneType):
        return value is None
    return isinstance(value, _PYTHON[type(kind)])


def _hint(value: object, kind: inspect.Type) -> str:
    if isinstance(kind, inspect.StructType) and not isinstance(value, list):
        fields = [field.encode_name for field in kind.fields]
        if "price" in fields and value is not None:
            return 'write {"price": ...} or {"iv": ...}'
    return ""


_PYTHON: dict[type[inspect.Type], type] = {
    inspect.StructType: dict,
    inspect.DictType: dict,
    inspect.ListType: list,
    inspect.StrType: str,
    inspect.BoolType: bool,
}
_NAMES: dict[type[inspect.Type], str] = {
    inspect.StructType: "an object",
    inspect.DictType: "an object",
    inspect.ListType: "a list",
    inspect.StrType: "text",
    inspect.BoolType: "true or false",
}
