"""One scenario and what everything in one pool makes in it."""

from __future__ import annotations

from math import fsum
from typing import TYPE_CHECKING, Any

from crossmargin.errors import InputError, nearest, some_of

if TYPE_CHECKING:
    from crossmargin.standing import Standing

WORST = "worst"
"""Stands for the pool's own worst scenario."""


def made_in(standing: Standing, document: dict[str, Any], scenario: str) -> dict[str, Any]:
    """Return what each position and balance of the document's pool makes in a scenario of the rule book's model.

    The document is of one account or one pool. Rows add up to `pnl`; `loss` is what of the loss counts. The part of
    a balance that does not count gains with its asset and never loses: a row of its own. Raises InputError for a
    scenario that there is none of.
    """
    entry = (document["pools"] or document["accounts"])[0]
    model: Any = standing.rules.model
    if not hasattr(model, "risk_table"):
        raise InputError(
            "--scenario",
            repr(scenario),
            f"nothing: rule book {standing.rules.name} margins position by position, without scenarios",
        )
    if scenario == WORST:
        if entry["worst_scenario"] is None:
            raise InputError("--scenario", f"{WORST!r}, and {entry['id']} loses in none", "a scenario by its name")
        scenario = entry["worst_scenario"]["id"]
    table = model.risk_table(standing.portfolios)
    known = {
        table.scenario_name(block, s): (block, s)
        for block in range(len(table.blocks))
        for s in range(len(table.weight))
    }
    if scenario not in known:
        raise InputError("--scenario", repr(scenario), some_of(list(known)), nearest(scenario, known))
    block, s = known[scenario]
    rows = _rows(standing, table, block, s, _pool(standing, entry["id"]))
    total, weight = fsum(row["pnl"] for row in rows), float(table.weight[s])
    return {"id": scenario, "weight": weight, "rows": rows, "pnl": total, "loss": max(0.0, -total) * weight}


def _pool(standing: Standing, name: str) -> int:
    ids = [pool.id for pool in standing.book.pools]
    if name in ids:
        return ids.index(name)
    return int(standing.where.of_account[list(standing.book.accounts.ids).index(name)])


def _rows(standing: Standing, table: Any, block: int, s: int, pool: int) -> list[dict[str, Any]]:
    portfolios, pools, valuation = standing.portfolios, standing.pools, standing.valuation
    terms = valuation.catalogue

    def pnl(row: int) -> float:
        """Return what one unit of a row makes: nothing where there is no row, or it moves in another block."""
        return float(table.pnl[row, s]) if row >= 0 and table.block[row] == block else 0.0

    rows: list[dict[str, Any]] = []
    for leg in range(int(pools.leg_start[pool]), int(pools.leg_start[pool + 1])):
        instrument, priced = int(pools.leg_instrument[leg]), int(portfolios.leg_row[leg])
        held = float(pools.leg_quantity[leg])
        # What the position was entered at is owed in its settle asset, whose value moves too.
        entry_value = float(portfolios.entry_value[leg] * valuation.settle_fx[priced])
        parts = (
            held * pnl(table.of_contract[priced]),
            held * pnl(table.of_settlement[priced]),
            -entry_value * pnl(table.of_asset[terms.settle[instrument]]),
        )
        rows.append(_row(terms.instruments[instrument].symbol, held, fsum(parts)))
    for k in range(int(pools.balance_start[pool]), int(pools.balance_start[pool + 1])):
        asset, price = int(pools.balance_asset[k]), float(portfolios.balance_price[k])
        name, counted, rest = terms.assets[asset].symbol, float(portfolios.counted[k]), float(portfolios.rest[k])
        rows.append(_row(name, counted, counted * price * pnl(table.of_asset[asset])))
        if rest:
            rows.append(_row(f"{name}, uncounted", rest, rest * price * pnl(table.of_gain[asset])))
    return rows


def _row(name: str, quantity: float, pnl: float) -> dict[str, Any]:
    return {"name": name, "quantity": quantity, "pnl": pnl + 0.0}
