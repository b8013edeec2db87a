"""Golden cases: published numbers, run through the library's own models and compared.

Here: reading of case files, one adapter a golden-case model, tolerances, the report. Never here: a formula. An
adapter translates a case's inputs into the library's types and calls the library's model; it does no arithmetic
beyond the conversion of units. Adapters are in `adapters/`, one file a family.

Conventions. A case that cannot be answered, whose answer is not a number where one is expected, or some of whose
inputs nobody read, has failed. A case that expects nothing is computed and reported. A case that needs licensed
parameters which are not here is not run, and counted apart.
"""

from crossmargin.verify.registry import Adapter, models
from crossmargin.verify.report import CaseResult, ModelRow, Report, run

__all__ = ["Adapter", "CaseResult", "ModelRow", "Report", "models", "run"]
