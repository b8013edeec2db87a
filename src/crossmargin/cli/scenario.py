"""One scenario and what everything in one pool makes in it."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmargin.errors import InputError, nearest, some_of

if TYPE_CHECKING:
    from crossmargin.scenarios import RiskArray
    from crossmargin.standing import Standing

WORST = "worst"
"""Stands for the pool's own worst scenario."""


def moves_in(standing: Standing, document: dict[str, Any], name: str, scenario: str) -> dict[str, Any]:
    """Return what each position and balance of an account's pool makes in a scenario of the rule book's model.

    Rows add up to `pnl`; `loss` is what of the loss counts. The uncounted part of a balance gains with its asset and
    never loses, so a balance is two rows where both matter. Raises InputError for a scenario that there is none of.
    """
    entry = (document["pools"] or document["accounts"])[0]
    if scenario == WORST:
        worst = entry["worst_scenario"]
        if worst is None:
            raise InputError("--scenario", f"{WORST!r}, and {entry['id']} loses in none", "a scenario of the rule book")
        scenario = worst["id"]
    arrays = _arrays(standing)
    known = [name for array in arrays for name in array.scenarios.ids]
    for array in arrays:
        if scenario in array.scenarios.ids:
            return _told(standing, array, array.scenarios.ids.index(scenario), _pool(standing, entry["id"]))
    rules = standing.rules.name
    raise InputError(
        "--scenario",
        repr(scenario),
        some_of(known) if known else f"nothing: rule book {rules} margins position by position, without scenarios",
        nearest(scenario, known),
    )


def _arrays(standing: Standing) -> list[RiskArray]:
    """Return the risk arrays of a scenario model, none of any other."""
    model: Any = standing.rules.model
    if hasattr(model, "risk_arrays"):
        return list(model.risk_arrays(standing.portfolios))
    if hasattr(model, "scenarios"):
        from crossmargin.scenarios import risk_array

        rows = np.unique(standing.portfolios.leg_row)
        return [risk_array(standing.valuation, model.scenarios(standing.valuation), rows)]
    return []


def _pool(standing: Standing, name: str) -> int:
    ids = [pool.id for pool in standing.book.pools]
    if name in ids:
        return ids.index(name)
    return int(standing.where.of_account[list(standing.book.accounts.ids).index(name)])


def _told(standing: Standing, array: RiskArray, s: int, pool: int) -> dict[str, Any]:
    portfolios, pools, valuation = standing.portfolios, standing.pools, standing.valuation
    terms = valuation.catalogue
    row_of = {int(row): k for k, row in enumerate(array.rows)}
    rows: list[dict[str, Any]] = []
    for leg in range(int(pools.leg_start[pool]), int(pools.leg_start[pool + 1])):
        instrument = int(pools.leg_instrument[leg])
        row = row_of.get(int(portfolios.leg_row[leg]))
        pnl = 0.0 if row is None else float(pools.leg_quantity[leg] * array.pnl[row, s])
        # What the position was entered at is owed in its settle asset, whose value moves too.
        settle = terms.settle[instrument]
        entry_value = float(portfolios.entry_value[leg] * valuation.settle_fx[portfolios.leg_row[leg]])
        pnl -= entry_value * float(array.asset_move[settle, s])
        rows.append(_row(terms.instruments[instrument].symbol, float(pools.leg_quantity[leg]), pnl))
    for k in range(int(pools.balance_start[pool]), int(pools.balance_start[pool + 1])):
        asset = int(pools.balance_asset[k])
        move = float(array.asset_move[asset, s])
        price = float(portfolios.balance_price[k])
        name = terms.assets[asset].symbol
        counted, rest = float(portfolios.counted[k]), float(portfolios.rest[k])
        rows.append(_row(name, counted, counted * price * move if counted else 0.0))
        if rest and move > 0:
            rows.append(_row(f"{name}, uncounted", rest, rest * price * move))
    total = fsum(row["pnl"] for row in rows)
    weight = float(array.scenarios.weight[s])
    return {
        "id": array.scenarios.ids[s],
        "moves": {factor: _move(array, f, s) for f, factor in enumerate(array.scenarios.factors)},
        "weight": weight,
        "rows": rows,
        "pnl": total,
        "loss": max(0.0, -total) * weight,
    }


def _row(name: str, quantity: float, pnl: float) -> dict[str, Any]:
    return {"name": name, "quantity": quantity, "pnl": pnl + 0.0}


def _move(array: RiskArray, f: int, s: int) -> dict[str, float | None]:
    vols = array.scenarios.vol_factor
    return {
        "price": float(array.scenarios.move[f, s]),
        "vol_factor": None if vols is None else float(vols[f, s]),
    }
