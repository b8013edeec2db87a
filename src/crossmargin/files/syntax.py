"""JSON and TOML text as plain objects: text, Decimal, bool, None, list, dict. Nothing is rounded or dropped."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal, InvalidOperation
from pathlib import Path

from crossmargin.errors import InvalidFile
from crossmargin.files.shape import written

_SIGNATURES = {
    b"PAR1": "a Parquet file",
    b"\x1f\x8b": "a gzip file",
    b"PK\x03\x04": "a zip file",
    b"ARROW1": "an Arrow file",
    b"\xff\xfe": "UTF-16 text",
    b"\xfe\xff": "UTF-16 text",
    b"SQLite format 3": "an SQLite file",
}
_UTF8_BOM = b"\xef\xbb\xbf"
_JSON_STARTS = re.compile(r"\s*(\{|\[\s*[\]{\d\"-])")


class _Repeated(dict[str, object]):
    """An object in which a key came twice."""

    key: str


def read_bytes(path: Path) -> bytes:
    """Return the content of a file; raise InvalidFile where there is none to read."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise InvalidFile(str(path), "no such file", "a file that exists") from None
    except OSError as error:
        raise InvalidFile(str(path), error.strerror or type(error).__name__, "a file that can be read") from None


def signature_of(content: bytes) -> str:
    """Return what a file is by its first bytes; empty where they do not say."""
    return next((name for start, name in _SIGNATURES.items() if content.startswith(start)), "")


def text_of(content: bytes, label: str, what: str) -> str:
    """Return the UTF-8 text of a file that should be `what`; a byte-order mark is allowed and dropped."""
    signature = signature_of(content)
    if signature:
        raise InvalidFile(label, signature, what, "it must be UTF-8" if "UTF-16" in signature else "")
    try:
        text = content.removeprefix(_UTF8_BOM).decode("utf-8")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise InvalidFile(f"{label} line {line}", f"the byte 0x{content[error.start]:02x}", "UTF-8 text") from None
    if not text.strip():
        raise InvalidFile(label, "an empty file", what)
    return text


def parse(text: str, label: str, suffix: str) -> object:
    """Return the document of a text: by its suffix, .json or .toml; otherwise by how it begins."""
    if suffix == ".toml" or (suffix != ".json" and not _JSON_STARTS.match(text)):
        return parse_toml(text, label)
    return parse_json(text, label)


def parse_json(text: str, label: str) -> object:
    """Return a JSON document; every number is a Decimal, NaN and Infinity too (numbers are checked later).

    Raises InvalidFile with line and column for text that is not JSON, with the path for a key given twice.
    """
    repeated: list[_Repeated] = []

    def entry(pairs: list[tuple[str, object]]) -> dict[str, object]:
        plain = dict(pairs)
        if len(plain) == len(pairs):
            return plain
        seen: set[str] = set()
        twice = _Repeated(plain)
        twice.key = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        repeated.append(twice)
        return twice

    def load(number: Callable[[str], Decimal]) -> object:
        repeated.clear()
        return json.loads(text, object_pairs_hook=entry, parse_float=number, parse_int=number, parse_constant=Decimal)

    try:
        try:
            document = load(Decimal)
        except InvalidOperation:
            document = load(_decimal)
    except json.JSONDecodeError as error:
        place = f"{label} line {error.lineno} column {error.colno}"
        if not text[error.pos :].strip():
            raise InvalidFile(place, "the end of the file", "a whole JSON document: it is cut short") from None
        raise InvalidFile(place, f"text that is not JSON ({error.msg.lower()})", "a JSON document") from None
    except RecursionError:
        raise InvalidFile(label, "a document nested too deeply", "a book") from None
    if repeated:
        place = _path_of(document)
        raise InvalidFile(f"{label}: {place}", "a key given twice", "each key once")
    return document


def parse_toml(text: str, label: str) -> dict[str, object]:
    """Return a TOML document in the same plain objects; its times become ISO 8601 text."""
    try:
        document = tomllib.loads(text, parse_float=_decimal)
    except tomllib.TOMLDecodeError as error:
        message = str(error)
        at = re.search(r" \((at .*)\)$", message)
        place = f"{label} {at.group(1).removeprefix('at ').replace(',', '')}" if at else label
        said = (message[: at.start()] if at else message).lower()
        raise InvalidFile(place, f"text that is not TOML ({said})", "a TOML or JSON document") from None
    except ValueError:
        raise InvalidFile(label, "a whole number of thousands of digits", "at most 38 significant digits") from None
    except RecursionError:
        raise InvalidFile(label, "a document nested too deeply", "a book") from None
    plain = _plain(document)
    assert isinstance(plain, dict)
    return plain


def _decimal(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent no Decimal can hold
        return Decimal("Infinity")


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, datetime | date | time):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    return value


def _path_of(document: object) -> str:
    """Return the path of the first key given twice, in the order of the document."""
    waiting: list[tuple[tuple[str | int, ...], object]] = [((), document)]
    while waiting:
        path, value = waiting.pop()
        if isinstance(value, _Repeated):
            return written((*path, value.key))
        if isinstance(value, dict):
            waiting.extend(((*path, key), item) for key, item in reversed(value.items()))
        elif isinstance(value, list):
            waiting.extend(((*path, k), item) for k, item in reversed(list(enumerate(value))))
    raise AssertionError("a repeated key is somewhere in the document")
