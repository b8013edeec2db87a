"""The page on golden cases is in line with the models there are."""

import json
import re
from pathlib import Path

import pytest

from crossmargin import clearing, collateral, margin, market, pricing, scenarios, standing
from crossmargin.verify import models, run

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "golden-cases.md"
ROOMS = {
    "clearing": clearing,
    "collateral": collateral,
    "margin": margin,
    "market": market,
    "pricing": pricing,
    "scenarios": scenarios,
    "standing": standing,
}


def test_the_page_lists_every_model_with_its_keys_and_what_answers():
    page = PAGE.read_text(encoding="utf-8")
    table = page[page.index("## Models") :]
    listed = [line for line in table.splitlines() if line.startswith("| `")]
    assert listed == [
        f"| `{a.model}` | {' '.join(f'`{key}`' for key in a.reads)} | `{a.calls}` | {a.note} |"
        for a in models().values()
    ]


@pytest.mark.parametrize("name", list(models()))
def test_what_is_said_to_answer_exists(name):
    for path in models()[name].calls.split(", "):
        room, *rest = path.split(".")
        found = ROOMS[room]
        for part in rest:
            found = getattr(found, part, None) or found.__dataclass_fields__[part]


@pytest.mark.parametrize("name", list(models()))
def test_the_keys_a_model_is_said_to_read_are_those_of_its_cases(name, shared):
    """Every key of a published or own case is one that the page lists."""
    files = [*(shared / "golden").glob("*.json"), *(PAGE.parents[2] / "tests" / "golden").glob("*.json")]
    cases = [case for path in files for case in json.loads(path.read_text(encoding="utf-8")) if case["model"] == name]
    known = {key.rstrip("?") for key in models()[name].reads}
    required = {key for key in models()[name].reads if not key.endswith("?")}
    assert cases, "a model without a case"
    for case in cases:
        assert case["inputs"].keys() <= known
        assert required <= case["inputs"].keys(), "a key that may be left out ends in a question mark"


def test_the_example_on_the_page_passes(tmp_path):
    page = PAGE.read_text(encoding="utf-8")
    example = re.search(r"```json\n(.*?)```", page, flags=re.S)
    assert example is not None
    path = tmp_path / "example.json"
    path.write_text(f"[{example[1]}]")
    assert run([path]).cases[0].passed
