"""Sensitivities as the industry exchanges them: the common risk interchange format, a CSV table."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from math import isfinite

from crossmargin.errors import InputError, InvalidFile, nearest
from crossmargin.margin.simm.sensitivity import Sensitivity

_COLUMNS = ("ProductClass", "RiskType", "Qualifier", "Bucket", "Label1", "Label2")
_AMOUNT, _CURRENCY, _DOLLARS = "Amount", "AmountCurrency", "AmountUSD"


def parse_crif(
    text: str, where: str, *, currency: str = "USD", fx: Mapping[str, float] | None = None
) -> list[Sensitivity]:
    """Return the rows of a CRIF table with their amounts in `currency`, one a line of the table.

    Columns are found by name, in any order and case, with a leading # taken off; others (trade, portfolio,
    regulations) are not read. An amount in another currency is converted by `fx`, the value of one unit in `currency`;
    where `currency` is USD, AmountUSD serves as well. Raises InvalidFile with row and column.
    """
    lines = list(csv.reader(text.removeprefix("\ufeff").splitlines()))
    if not lines:
        raise InvalidFile(where, "no lines", "a CRIF table")
    head = [cell.strip().lstrip("#").lower() for cell in lines[0]]
    place = {}
    for name in (*_COLUMNS, _AMOUNT, _CURRENCY, _DOLLARS):
        if head.count(name.lower()) > 1:
            raise InvalidFile(f"{where}, row 1", f"the column {name} twice", "each column once")
        if name.lower() in head:
            place[name] = head.index(name.lower())
    for name in _COLUMNS:
        if name not in place:
            raise InvalidFile(f"{where}, row 1", f"no column {name}", ", ".join(_COLUMNS), nearest(name, lines[0]))
    if _DOLLARS not in place and not {_AMOUNT, _CURRENCY} <= place.keys():
        raise InvalidFile(f"{where}, row 1", "no amounts", "Amount and AmountCurrency, or AmountUSD")
    rows = []
    for number, cells in enumerate(lines[1:], start=2):
        if not any(cell.strip() for cell in cells):
            continue
        if len(cells) != len(head):
            raise InvalidFile(f"{where}, row {number}", f"{len(cells)} cells", f"{len(head)}")
        row = {name: cells[k].strip() for name, k in place.items()}
        amount = _amount(row, f"{where}, row {number}", currency, fx or {})
        try:
            rows.append(
                Sensitivity(
                    product=row["ProductClass"],
                    risk_type=row["RiskType"],
                    qualifier=row["Qualifier"],
                    bucket=row["Bucket"],
                    label1=row["Label1"],
                    label2=row["Label2"],
                    amount=amount,
                )
            )
        except InputError as error:
            raise InvalidFile(f"{where}, row {number}, {error.where}", error.found, error.allowed, error.hint) from None
    return rows


def _amount(row: Mapping[str, str], place: str, currency: str, fx: Mapping[str, float]) -> float:
    stated = row.get(_CURRENCY, "")
    if row.get(_AMOUNT) and stated == currency:
        return _number(row, _AMOUNT, place)
    if currency == "USD" and row.get(_DOLLARS):
        return _number(row, _DOLLARS, place)
    if not row.get(_AMOUNT) or stated not in fx:
        found = stated or "no currency"
        raise InvalidFile(f"{place}, column {_CURRENCY}", found, ", ".join((currency, *sorted(fx))))
    return _number(row, _AMOUNT, place) * fx[stated]


def _number(row: Mapping[str, str], column: str, place: str) -> float:
    try:
        number = float(row[column])
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise InvalidFile(f"{place}, column {column}", repr(row[column]), "a finite number")
    return number
