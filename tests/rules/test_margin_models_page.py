"""The page that sets margin models side by side has a row for each, and says of each what the model itself claims."""

import re
from pathlib import Path

import pytest

from crossmargin.margin import Composed
from crossmargin.margin.historical import Historical
from crossmargin.rules import load, shipped
from crossmargin.rules.models import MODELS

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "margin-models.md"
ROWS = [line.split(" | ") for line in PAGE.read_text("utf-8").split("\n## ")[0].splitlines() if line.startswith("| ")]
HEAD, BODY = ROWS[0], ROWS[1:]
UNSHIPPED = {"Historical": Historical, "Composed": Composed}


def books_of(row):
    return re.findall(r"`([\w-]+)`", row[0])


def models_of(row):
    """Return the classes a row is about."""
    named = {type(load(name).model) for name in books_of(row)}
    return named or {kind for name, kind in UNSHIPPED.items() if row[0].startswith((f"| {name}", f"| [{name}"))}


def numbers(text):
    """Return the numbers of properties named in a text, ranges such as P2-P4 written out."""
    found = {int(n) for n in re.findall(r"\bP(\d+)", text)}
    for low, high in re.findall(r"\bP(\d+)-P(\d+)", text):
        found |= set(range(int(low), int(high) + 1))
    return found


def test_every_shipped_rule_book_is_in_exactly_one_row_and_no_other_is():
    named = [name for row in BODY for name in books_of(row)]
    assert sorted(named) == shipped()


def test_every_model_a_rule_book_may_name_has_a_row():
    built = {load(name).model_name for name in shipped()}
    assert MODELS.keys() - built == {"historical"}
    assert all(len(models_of(row)) == 1 for row in BODY)
    assert {kind for row in BODY for kind in models_of(row)} == {
        *(type(load(name).model) for name in shipped()),
        *UNSHIPPED.values(),
    }


@pytest.mark.parametrize("row", BODY, ids=lambda row: row[0].strip("| "))
def test_a_row_is_full_and_names_the_properties_the_model_speaks_of(row):
    assert len(row) == len(HEAD) == 6
    assert all(cell.strip(" |") for cell in row)
    (model,) = models_of(row)
    claimed, _, denied = row[4].partition("*Not*")
    own = " ".join(model.__doc__.split())
    _, _, own = own.partition("Claims")
    # The grid names its first property in words.
    own = own.replace("normalisation,", "P1,", 1)
    apart = re.sub(r"(?:P\d+(?:, P\d+)*(?:,? and P\d+)?) (?:do|does) not apply|P5 is about another kind", "", own)
    assert numbers(claimed) | numbers(denied) == numbers(apart)


@pytest.mark.parametrize("row", BODY, ids=lambda row: row[0].strip("| "))
def test_what_a_row_says_is_checked_is_there(row):
    for name in re.findall(r"`(tests/[\w/.]+)`", row[5]):
        assert (ROOT / name).is_file()
