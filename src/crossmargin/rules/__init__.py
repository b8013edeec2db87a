"""Rule books: which margin model applies, with which parameters, in force from which day.

Here: the schema of a rule book, its loader, the shipped profiles. Never here: formulas (margin, collateral).

Conventions. A rule book is dated TOML. Every parameter states its value, unit and source; the schema fixes the
unit and the range, and a book that departs from either is refused with file, line, key, found and allowed. Rates,
vols and haircuts are fractions. Code holds no venue's number: a book that leaves a parameter out is refused too.
A model of one's own is a `ModelSchema` of `Entry`s, whose values are of `kinds`, given to `parse`.
"""

from crossmargin.rules import kinds
from crossmargin.rules.entry import Entry, ModelSchema
from crossmargin.rules.loader import load, parse, shipped
from crossmargin.rules.rules import Change, Parameter, Rules, difference

__all__ = ["Change", "Entry", "ModelSchema", "Parameter", "Rules", "difference", "kinds", "load", "parse", "shipped"]
