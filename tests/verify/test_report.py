"""Runs of golden cases: what passes, what fails and why, what is only reported, and the exit code."""

import json
import re

import pytest

from crossmargin.errors import InputError, InvalidFile
from crossmargin.verify import registry, run

CASE = {
    "id": "a",
    "source": "by hand",
    "model": "forward_price",
    "inputs": {"s": 100, "rate": 0.0, "days": 30},
    "expected": 100,
    "tolerance": 1e-9,
}


def file_of(tmp_path, *cases, name="cases.json"):
    path = tmp_path / name
    path.write_text(json.dumps(cases))
    return path


def run_one(tmp_path, **changes):
    case = {key: value for key, value in {**CASE, **changes}.items() if value is not ...}
    report = run([file_of(tmp_path, case)])
    return report, report.cases[0]


def test_a_case_within_its_tolerance_passes(tmp_path):
    report, case = run_one(tmp_path)
    assert (case.passed, case.got, case.error) == (True, 100.0, 0.0)
    assert report.exit_code() == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"expected": 101}, 1.0),
        ({"model": "forward_prices"}, "unknown model forward_prices .*forward_price"),
        ({"inputs": {**CASE["inputs"], "carry": 1}}, "forward_price does not read: inputs.carry"),
        ({"inputs": {"s": 100, "rate": 0}}, "inputs.days: found nothing"),
        ({"inputs": {**CASE["inputs"], "s": "100"}}, "inputs.s: found '100'"),
        ({"inputs": {**CASE["inputs"], "s": True}}, "inputs.s: found True"),
        ({"inputs": {**CASE["inputs"], "s": None}}, "inputs.s: found None"),
        ({"inputs": {**CASE["inputs"], "s": float("nan")}}, "inputs.s: found nan"),
        ({"inputs": {**CASE["inputs"], "s": 10**400}}, "inputs.s: found 1000.*fits a float"),
        ({"inputs": {**CASE["inputs"], "rate": 1e9}}, "got is inf"),
        ({"tolerance": ...}, "no tolerance"),
        ({"tolerance": {"absolute": 1}}, "unknown key 'absolute'"),
        ({"expected": {"price": 100}}, "an object is expected"),
        ({"expected": float("nan")}, "expected is nan"),
        ({"expected": None}, "where None is expected"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_a_case_that_is_wrong_in_any_way_fails_and_says_how(tmp_path, changes, told):
    report, case = run_one(tmp_path, **changes)
    assert case.passed is False
    assert report.exit_code() == 1
    if isinstance(told, float):
        assert case.error == told
    else:
        assert isinstance(case.error, str)
        assert re.search(told, case.error)


def test_an_unread_key_of_an_inner_object_fails_too(tmp_path):
    this = {"q": 1, "ep": 100, "mp": 100, "mmr": 0.01, "cum": 0, "colour": "red"}
    inputs = {"wb": 10, "side": 1, "this": this, "other": [{**this, "taste": 1}]}
    _, case = run_one(tmp_path, model="liq_linear_cross_binance", inputs=inputs)
    assert case.passed is False
    assert "inputs.this.colour, inputs.other[0].colour, inputs.other[0].taste" in case.error


def test_a_case_that_expects_nothing_is_computed_and_reported(tmp_path):
    report, case = run_one(tmp_path, expected=..., tolerance=...)
    assert (case.passed, case.got, case.expected, case.error) == (None, 100.0, None, None)
    assert report.exit_code() == report.exit_code(strict=True) == 0


def test_a_case_that_expects_nothing_fails_where_it_cannot_be_computed(tmp_path):
    assert run_one(tmp_path, expected=..., inputs={})[1].passed is False
    assert run_one(tmp_path, expected=..., inputs={**CASE["inputs"], "more": 1})[1].passed is False


def test_the_document_has_the_shape_of_the_contract(tmp_path):
    wrong = {**CASE, "id": "b", "expected": 99}
    other = {**CASE, "id": "c", "model": "nobody"}
    free = {key: value for key, value in CASE.items() if key not in ("expected", "tolerance")} | {"id": "d"}
    document = run([file_of(tmp_path, CASE, wrong, other, free)]).document()
    assert document["models"] == [
        {"model": "forward_price", "cases": 3, "passed": 1, "not_run": 0, "worst_error": 1.0},
        {"model": "nobody", "cases": 1, "passed": 0, "not_run": 0, "worst_error": None},
    ]
    assert document["cases"] == [
        {"id": "a", "model": "forward_price", "passed": True, "expected": 100, "got": 100.0, "error": 0.0},
        {"id": "b", "model": "forward_price", "passed": False, "expected": 99, "got": 100.0, "error": 1.0},
        {
            "id": "c",
            "model": "nobody",
            "passed": False,
            "expected": 100,
            "got": None,
            "error": "unknown model nobody",
        },
        {"id": "d", "model": "forward_price", "passed": None, "expected": None, "got": 100.0, "error": None},
    ]
    assert json.loads(json.dumps(document, allow_nan=False)) == document


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_the_document_is_json_even_where_an_answer_is_infinite(tmp_path):
    report, _ = run_one(tmp_path, inputs={**CASE["inputs"], "rate": 1e9})
    assert json.loads(json.dumps(report.document(), allow_nan=False))["cases"][0]["got"] == "inf"


@pytest.fixture
def licensed_model(monkeypatch):
    """A model that reads one number from a licensed file, for this test only."""
    registry.models()

    def answer(inputs):
        return float(inputs.licensed("weights.txt").read_text()) * inputs.number("x")

    licensed = registry.Adapter(model="licensed", reads=("x",), calls="", note="", answer=answer)
    monkeypatch.setitem(registry._adapters, "licensed", licensed)
    monkeypatch.delenv("CROSSMARGIN_PARAMETERS", raising=False)
    return {**CASE, "model": "licensed", "inputs": {"x": 2}, "expected": 6}


def test_a_fault_in_one_model_fails_its_case_and_does_not_stop_the_others(monkeypatch, tmp_path):
    registry.models()

    def answer(inputs):
        return {}["missing"]

    broken = registry.Adapter(model="broken", reads=(), calls="", note="", answer=answer)
    monkeypatch.setitem(registry._adapters, "broken", broken)
    report = run([file_of(tmp_path, {**CASE, "id": "b", "model": "broken", "inputs": {}}, CASE)])
    assert [case.passed for case in report.cases] == [False, True]
    assert report.cases[0].error == "a fault of crossmargin, not of the case: KeyError: 'missing'"


def test_a_case_without_its_licensed_parameters_is_not_run_and_counted_apart(licensed_model, tmp_path):
    report = run([file_of(tmp_path, licensed_model)])
    assert (report.cases[0].passed, report.cases[0].not_run) == (None, True)
    assert report.document()["models"] == [
        {"model": "licensed", "cases": 1, "passed": 0, "not_run": 1, "worst_error": None}
    ]
    assert report.exit_code() == 0
    assert report.exit_code(strict=True) == 1


def test_licensed_parameters_are_read_from_the_folder_given_or_named_by_the_environment(
    licensed_model, tmp_path, monkeypatch
):
    folder = tmp_path / "parameters"
    folder.mkdir()
    path = file_of(tmp_path, licensed_model)
    assert run([path], folder).cases[0].not_run  # the file is not in it
    (folder / "weights.txt").write_text("3")
    assert run([path], folder).cases[0].passed
    monkeypatch.setenv("CROSSMARGIN_PARAMETERS", str(folder))
    assert run([path]).cases[0].passed


def test_a_folder_of_parameters_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"parameters: found .*nowhere"):
        run([], tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"cases.json, line 1, column 1: found Expecting value"),
        ('[{"id": "a"', r"cases.json, line 1, column 12"),
        ("{}", "an object; allowed: a list of cases"),
        ("[1]", r"cases.json\[0\]: found a number"),
        ('[{"id": "", "model": "m", "inputs": {}}]', r"id: found an empty text"),
        ('[{"model": "m", "inputs": {}}]', r"cases.json\[0\], id: found nothing"),
        ('[{"id": "x", "model": 3, "inputs": {}}]', r"case x, model: found a number"),
        ('[{"id": "x", "model": "m"}]', r"case x, inputs: found nothing"),
        ('[{"id": "x", "model": "m", "inputs": []}]', r"case x, inputs: found a list"),
        ('[{"id": "x", "model": "m", "inputs": {}, "expect": 1}]', r"case x, expect: .*did you mean expected"),
        ('[{"id": "x", "model": "m", "inputs": {}, "source": 1}]', r"case x, source: found a number"),
        ('[{"id": "x", "model": "m", "inputs": {"q": 1, "q": 2}}]', r"the key 'q' twice"),
        ('[{"id": "x", "model": "m", "inputs": {}}, {"id": "x", "model": "m", "inputs": {}}]', "case x: .*two cases"),
        ("[" * 100_000, "nested too deep"),
        ('[{"id": "x", "model": "m", "inputs": {"q": ' + "1" * 5_000 + "}}]", "too many digits"),
    ],
)
def test_a_malformed_file_is_refused_naming_the_file_and_the_case(tmp_path, text, told):
    path = tmp_path / "cases.json"
    path.write_text(text)
    with pytest.raises(InvalidFile, match=told):
        run([path])


def test_a_file_that_is_not_there_or_not_text_is_refused(tmp_path):
    with pytest.raises(InvalidFile, match=r"nothing\.json: found No such file"):
        run([tmp_path / "nothing.json"])
    (tmp_path / "bytes.json").write_bytes(b"[\xff]")
    with pytest.raises(InvalidFile, match="not UTF-8"):
        run([tmp_path / "bytes.json"])


def test_remarks_beside_the_known_keys_are_let_be(tmp_path):
    assert run_one(tmp_path, unit="USD", note="...", reviewed_by="somebody")[1].passed
