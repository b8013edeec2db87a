"""The JSON Schema says what the reader takes, and `init` writes a book that is read."""

import json
import re

import pytest
from hypothesis import given

from crossmargin.errors import InvalidFile
from crossmargin.files import read_book, schema, starter_book
from tests.files.books import documents
from tests.files.test_reading import BOOK


def departure(value, node, path="$"):
    """Where `value` departs from a schema, or None; of JSON Schema what ours uses."""
    if "$ref" in node:
        return departure(value, schema()["$defs"][node["$ref"].removeprefix("#/$defs/")], path)
    if "enum" in node and value not in node["enum"]:
        return path
    if "anyOf" in node:
        tries = [departure(value, choice, path) for choice in node["anyOf"]]
        return None if None in tries else max(tries, key=len)
    kinds = {
        "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None), "number": (int, float)
    }  # fmt: skip
    kind = node.get("type")
    if kind and (not isinstance(value, kinds[kind]) or (kind == "number" and isinstance(value, bool))):
        return path
    if isinstance(value, str) and "pattern" in node and not re.search(node["pattern"], value):
        return path
    if isinstance(value, dict):
        if missing := set(node.get("required", ())) - value.keys():
            return f"{path}.{min(missing)}"
        for name, item in value.items():
            inner = node.get("properties", {}).get(name, node.get("additionalProperties", {}))
            if inner is False:
                return f"{path}.{name}"
            if found := departure(item, inner, f"{path}.{name}"):
                return found
    if isinstance(value, list):
        if not node.get("minItems", 0) <= len(value) <= node.get("maxItems", len(value)):
            return path
        for k, item in enumerate(value):
            first = node.get("prefixItems", ())
            if found := departure(item, first[k] if k < len(first) else node.get("items", {}), f"{path}[{k}]"):
                return found
    return None


@given(document=documents())
def test_what_is_read_satisfies_the_schema(document):
    assert departure(document, schema()) is None


def test_the_example_of_the_contract_satisfies_it():
    assert departure(json.loads(BOOK), schema()) is None


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda book: book["accounts"][0].update(nmae=1), "$.accounts[0].nmae"),
        (lambda book: book.pop("time"), "$.time"),
        (lambda book: book["accounts"][0]["positions"][0].update(quantity=True), "$.accounts[0].positions[0].quantity"),
        (
            lambda book: book["accounts"][0]["positions"][0].update(quantity="two"),
            "$.accounts[0].positions[0].quantity",
        ),
        (lambda book: book["accounts"][0]["positions"][0].update(quantity=None), "$.accounts[0].positions[0].quantity"),
        (lambda book: book["market"]["prices"].update(BTC="NaN"), "$.market.prices.BTC"),
        (lambda book: book["assets"][0].update({"class": "cryptic"}), "$.assets[0].class"),
        (lambda book: book["assets"][0].update(haircut=[[1, 2, 3]]), "$.assets[0].haircut[0]"),
        (lambda book: book["instruments"][0].update(symbol=5), "$.instruments[0].symbol"),
    ],
)
def test_what_is_refused_departs_from_it(change, place):
    book = json.loads(BOOK)
    change(book)
    assert departure(book, schema()) == place


def test_it_is_json_and_every_part_says_what_it_is():
    whole = json.loads(json.dumps(schema(), allow_nan=False))
    assert whole["$schema"].startswith("https://json-schema.org/")
    for part in (whole, *whole["$defs"].values()):
        assert part["description"]
        assert part["additionalProperties"] is False


def test_the_starter_book_is_read_without_a_warning(tmp_path):
    path = starter_book(tmp_path / "new" / "folder")
    loaded = read_book(path)
    assert path.read_text().startswith("# ")
    assert loaded.warnings == ()
    classes = {instrument.asset_class for instrument in loaded.book.catalogue}
    assert {"crypto", "fx", "energy", "equity_index"} <= classes
    assert {instrument.kind for instrument in loaded.book.catalogue} == {"perpetual", "future", "option"}
    assert read_book(path.parent).book.accounts.ids == loaded.book.accounts.ids


def test_a_starter_book_overwrites_nothing(tmp_path):
    starter_book(tmp_path)
    with pytest.raises(InvalidFile, match=r"book\.toml: found a book already"):
        starter_book(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(InvalidFile, match=r"found a file; allowed: a folder"):
        starter_book(tmp_path / "file")
    with pytest.raises(InvalidFile, match=r"allowed: a folder that can be written to"):
        starter_book(tmp_path / "file" / "below")
