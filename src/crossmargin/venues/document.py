"""JSON read strictly: numbers exactly as written, every key once, errors with line and column."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from crossmargin.errors import InvalidFile


def read_json(path: Path, allowed: str) -> Any:
    """Return the content of a JSON file with numbers as Decimal; raise InvalidFile, `allowed` says what is wanted."""

    def constant(name: str) -> None:
        raise InvalidFile(str(path), name, "finite numbers")

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in pairs:
            if name in found:
                raise InvalidFile(str(path), f"the key {name!r} twice in one object", "each key once")
            found[name] = value
        return found

    try:
        return json.loads(
            path.read_text(encoding="utf-8-sig"),
            parse_float=Decimal,
            parse_int=Decimal,
            parse_constant=constant,
            object_pairs_hook=unique,
        )
    except OSError as error:
        raise InvalidFile(str(path), error.strerror or "no access", "a readable file") from None
    except UnicodeDecodeError as error:
        raise InvalidFile(str(path), f"bytes that are no text, from byte {error.start}", "JSON in UTF-8") from None
    except json.JSONDecodeError as error:
        raise InvalidFile(f"{path}, line {error.lineno}, column {error.colno}", error.msg, allowed) from None
    except RecursionError:
        raise InvalidFile(str(path), "nesting without end", allowed) from None
