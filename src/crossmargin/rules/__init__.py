"""Rule books: which margin model applies, with which parameters, in force from which day.

Here: the schema of a rule book, its loader, the shipped profiles. Never here: formulas (margin, collateral).

Conventions. A rule book is dated TOML. Every parameter states its value, unit and source; the schema fixes the
unit and the range, and a book that departs from either is refused with file, key, found and allowed. Rates, vols
and haircuts are fractions. Code holds no venue's number: a book that leaves a parameter out is refused too.
"""

from crossmargin.rules.loader import load, parse, shipped
from crossmargin.rules.rules import Change, Parameter, Rules, difference

__all__ = ["Change", "Parameter", "Rules", "difference", "load", "parse", "shipped"]
