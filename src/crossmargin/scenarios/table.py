"""Scenarios of one's own: a table with a scenario a row and a factor a column."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from decimal import Decimal
from math import inf, isfinite, isnan
from numbers import Real
from typing import Any

import numpy as np

from crossmargin.errors import InvalidMarket, nearest
from crossmargin.scenarios.history import VOL_SUFFIX
from crossmargin.scenarios.scenario_set import ScenarioSet
from crossmargin.units import FloatArray

ID_COLUMN = "scenario"
WEIGHT_COLUMN = "weight"


def scenario_table(
    table: Any, *, any_domain: Collection[str] = (), known: Collection[str] | None = None
) -> ScenarioSet:
    """Return the scenarios of a table: a mapping of columns, or any data frame that narwhals reads.

    Columns: `scenario`, distinct names; one for each factor, its relative move (-0.1 is -10%; price units for
    names in `any_domain`); where wanted "<factor>.vol", the relative change of the implied vols of options on it;
    where wanted `weight`, the share of the loss that counts, 0 to 1. Every cell is filled: a factor that stands
    still has 0. `known`: the factors there may be. Raises InvalidMarket with the row and column at fault; rows
    count from 1.
    """
    columns = _columns(table)
    if ID_COLUMN not in columns:
        raise InvalidMarket(
            "scenario table", f"the columns {', '.join(columns) or 'none'}", f"a column {ID_COLUMN}, then one a factor"
        )
    ids = _ids(columns.pop(ID_COLUMN))
    for name, values in columns.items():
        if len(values) != len(ids):
            raise InvalidMarket(f"scenario table, column {name}", f"{len(values)} rows", f"{len(ids)}, one a scenario")
    weight = columns.pop(WEIGHT_COLUMN, None)
    factors = tuple(dict.fromkeys(name.removesuffix(VOL_SUFFIX) for name in columns))
    if not factors:
        raise InvalidMarket("scenario table", "no column but its own", "a column for each factor that moves")
    for name in factors:
        if known is not None and name not in known:
            raise InvalidMarket(
                f"scenario table, column {name}", "an unknown factor", "an underlying or asset", nearest(name, known)
            )
    move = np.zeros((len(factors), len(ids)))
    vol_factor = np.ones_like(move)
    for name, values in columns.items():
        factor = factors.index(name.removesuffix(VOL_SUFFIX))
        if name.endswith(VOL_SUFFIX):
            vol_factor[factor] += _numbers(name, ids, values, least=-1.0)
        else:
            move[factor] = _numbers(name, ids, values, least=None if name in any_domain else -1.0)
    return ScenarioSet(
        ids=ids,
        factors=factors,
        move=move,
        vol_factor=vol_factor if any(name.endswith(VOL_SUFFIX) for name in columns) else None,
        weight=np.ones(len(ids)) if weight is None else _numbers(WEIGHT_COLUMN, ids, weight, least=0.0, most=1.0),
        source="table",
    )


def _columns(table: Any) -> dict[str, Sequence[Any]]:
    if isinstance(table, Mapping):
        return {str(name): list(values) for name, values in table.items()}
    import narwhals as nw  # here because reading frames is the only thing that needs it

    try:
        frame = nw.from_native(table)
    except TypeError:
        raise InvalidMarket(
            "scenario table", f"a {type(table).__name__}", "a data frame or a mapping of columns"
        ) from None
    if isinstance(frame, nw.LazyFrame):
        frame = frame.collect()
    return {name: frame[name].to_list() for name in frame.columns}


def _ids(values: Sequence[Any]) -> tuple[str, ...]:
    if not values:
        raise InvalidMarket("scenario table", "no rows", "a row for each scenario")
    row_of: dict[str, int] = {}
    for row, value in enumerate(values, start=1):
        place = f"scenario table, row {row}, column {ID_COLUMN}"
        if value is None or (isinstance(value, float) and isnan(value)) or not str(value):
            raise InvalidMarket(place, "nothing", "the scenario's name")
        if str(value) in row_of:
            raise InvalidMarket(place, f"{value}, already in row {row_of[str(value)]}", "each name once")
        row_of[str(value)] = row
    return tuple(row_of)


def _numbers(
    column: str, ids: tuple[str, ...], values: Sequence[Any], *, least: float | None = None, most: float | None = None
) -> FloatArray:
    low = "" if least is None else f", {least:g} or more" if most is None else f" from {least:g} to {most:g}"
    allowed = f"a number{low}"
    numbers = []
    for row, value in enumerate(values, start=1):
        try:
            number = _number(value)
        except ValueError as error:
            found = str(error)
        else:
            if (least is None or number >= least) and (most is None or number <= most):
                numbers.append(number)
                continue
            found = str(value)
        raise InvalidMarket(f"scenario table, row {row} ({ids[row - 1]}), column {column}", found, allowed)
    return np.array(numbers, dtype=np.float64)


def _number(value: Any) -> float:
    """Return a cell as a finite float; raise ValueError saying what was found."""
    if value is None:
        raise ValueError("nothing")
    if isinstance(value, bool | np.bool_):
        raise ValueError(f"the boolean {str(value).lower()}")
    if not isinstance(value, Real | Decimal):
        raise ValueError(repr(value)[:40])
    try:
        number = float(value)
    except OverflowError:
        number = inf
    if not isfinite(number):
        raise ValueError(str(value)[:40])
    return number
