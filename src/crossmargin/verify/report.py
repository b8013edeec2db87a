"""Running golden cases and reporting, model by model, how near the library comes to its sources."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from crossmargin.errors import CrossmarginError, InputError, nearest
from crossmargin.verify.cases import ABSENT, Case, read_cases
from crossmargin.verify.inputs import Inputs, NotRunError
from crossmargin.verify.registry import models
from crossmargin.verify.tolerance import NotComparableError, compare

PARAMETERS_VARIABLE = "CROSSMARGIN_PARAMETERS"
"""Environment variable naming the folder of licensed parameters, where --parameters does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseResult:
    """What became of one case."""

    id: str
    model: str
    place: str
    """File and case."""
    passed: bool | None
    """None where nothing was expected, or where the case was not run."""
    expected: object = None
    got: object = None
    error: float | str | None = None
    """How far off: the worst of its numbers; or, in words, why that cannot be said."""
    not_run: bool = False
    """It needs licensed parameters that are not here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """How one model fared."""

    model: str
    cases: int
    passed: int
    failed: int
    not_run: int
    worst_error: float | None
    """The largest error in figures; None where none was compared in figures."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What became of all cases, in the order of their files."""

    cases: tuple[CaseResult, ...]

    @property
    def models(self) -> tuple[ModelRow, ...]:
        """A row a model, in the order of the names."""
        rows = []
        for model in sorted({case.model for case in self.cases}):
            own = [case for case in self.cases if case.model == model]
            errors = [case.error for case in own if isinstance(case.error, float)]
            rows.append(
                ModelRow(
                    model=model,
                    cases=len(own),
                    passed=sum(case.passed is True for case in own),
                    failed=sum(case.passed is False for case in own),
                    not_run=sum(case.not_run for case in own),
                    worst_error=max(errors, default=None),
                )
            )
        return tuple(rows)

    @property
    def failures(self) -> tuple[CaseResult, ...]:
        """The cases that failed."""
        return tuple(case for case in self.cases if case.passed is False)

    def exit_code(self, *, strict: bool = False) -> int:
        """Return 0 where no case failed (strict: nor was left out for want of parameters), else 1."""
        left_out = strict and any(case.not_run for case in self.cases)
        return 1 if self.failures or left_out else 0

    def document(self) -> dict[str, object]:
        """Return the report as formats.md has it, ready for JSON."""
        return {
            "models": [
                {
                    "model": row.model,
                    "cases": row.cases,
                    "passed": row.passed,
                    "not_run": row.not_run,
                    "worst_error": row.worst_error,
                }
                for row in self.models
            ],
            "cases": [
                {
                    "id": case.id,
                    "model": case.model,
                    "passed": case.passed,
                    "expected": _finite_only(case.expected),
                    "got": _finite_only(case.got),
                    "error": case.error,
                }
                for case in self.cases
            ],
        }


def run(paths: Iterable[str | Path], parameters: str | Path | None = None) -> Report:
    """Run the cases of every file.

    `parameters` is the folder of licensed parameters; by default $CROSSMARGIN_PARAMETERS. Raises InvalidFile for a file
    that is not a list of cases, InputError for a folder that is not there. A case that cannot be answered is a failure.
    """
    folder = parameters or os.environ.get(PARAMETERS_VARIABLE) or None
    if folder is not None and not Path(folder).is_dir():
        raise InputError("parameters", str(folder), "a folder of licensed parameters")
    cases = [case for path in paths for case in read_cases(Path(path))]
    return Report(cases=tuple(_run(case, None if folder is None else Path(folder)) for case in cases))


def _run(case: Case, parameters: Path | None) -> CaseResult:
    expected = None if case.expected is ABSENT else case.expected
    got: object = None

    def result(passed: bool | None, error: float | str | None = None, *, not_run: bool = False) -> CaseResult:
        return CaseResult(
            id=case.id,
            model=case.model,
            place=case.place,
            passed=passed,
            expected=expected,
            got=_plain(got, fractions_as_lists=True),
            error=error,
            not_run=not_run,
        )

    known = models()
    if case.model not in known:
        hint = nearest(case.model, known)
        return result(False, f"unknown model {case.model}" + (f" ({hint})" if hint else ""))
    inputs = Inputs(case.inputs, parameters=parameters)
    try:
        got = _plain(known[case.model].answer(inputs))
    except NotRunError as reason:
        return result(None, str(reason), not_run=True)
    except (CrossmarginError, ValueError, ZeroDivisionError, OverflowError) as error:
        return result(False, str(error))
    except Exception as error:
        # A fault in one model is told with its case and does not stop the others.
        return result(False, f"a fault of crossmargin, not of the case: {type(error).__name__}: {error}")
    if unread := list(inputs.unread()):
        return result(False, f"input keys that {case.model} does not read: {', '.join(unread)}")
    if case.expected is ABSENT:
        return result(None)
    if case.tolerance is ABSENT:
        return result(False, "no tolerance: how near must it be?")
    try:
        passed, apart = compare(case.expected, got, case.tolerance)
    except NotComparableError as reason:
        return result(False, str(reason))
    return result(passed, apart)


def _plain(value: object, *, fractions_as_lists: bool = False) -> object:
    """Return an answer as Python numbers, texts, lists and dicts."""
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, dict):
        return {key: _plain(item, fractions_as_lists=fractions_as_lists) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, fractions_as_lists=fractions_as_lists) for item in value]
    if isinstance(value, Fraction) and fractions_as_lists:
        return [value.numerator, value.denominator]
    return value


def _finite_only(value: object) -> object:
    """Return a value JSON can carry: a NaN or an infinity becomes its name."""
    if isinstance(value, float) and not np.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {key: _finite_only(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_finite_only(item) for item in value]
    return value
