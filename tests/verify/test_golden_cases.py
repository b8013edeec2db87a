"""The library against published numbers, and against our own worked by hand."""

import json
from pathlib import Path

import pytest

from crossmargin.verify import run

OURS = sorted((Path(__file__).resolve().parent.parent / "golden").glob("*.json"))
PUBLISHED = {
    "option_pricing.json": 30,
    "brackets_and_liquidation.json": 23,
    "misc.json": 4,
    "dydx.json": 37,
    "size_scaled_weights.json": 11,
    "levels.json": 10,
    "funding.json": 8,
    "deribit.json": 9,
    "okx.json": 1,
    "derive_standard.json": 39,
    "derive_portfolio.json": 46,
    "derive_portfolio_v1.json": 33,
    "span_tims.json": 7,
    "strategy.json": 11,
}


def told(report):
    return [f"{case.place}: expected {case.expected}, got {case.got}: {case.error}" for case in report.failures]


@pytest.mark.parametrize(("name", "count"), PUBLISHED.items(), ids=PUBLISHED)
def test_published_numbers_come_out_of_the_librarys_own_models(shared, name, count):
    report = run([shared / "golden" / name])
    assert told(report) == []
    assert sum(case.passed is True for case in report.cases) == count


@pytest.mark.parametrize("path", OURS, ids=lambda path: path.stem)
def test_our_own_numbers_worked_by_hand_come_out_too(path):
    report = run([path])
    assert told(report) == []
    assert all(case.passed for case in report.cases)


def test_every_case_of_ours_shows_its_working():
    cases = [case for path in OURS for case in json.loads(path.read_text(encoding="utf-8"))]
    assert len(cases) >= 20
    assert [case["id"] for case in cases if not case.get("note")] == []


def test_a_published_number_that_is_changed_no_longer_passes(shared, tmp_path):
    cases = json.loads((shared / "golden" / "brackets_and_liquidation.json").read_text(encoding="utf-8"))
    numbers = [case for case in cases if isinstance(case["expected"], int | float)]
    for case in numbers:
        case["expected"] *= 1.01
    path = tmp_path / "changed.json"
    path.write_text(json.dumps(numbers))
    assert len(run([path]).failures) == len(numbers)
