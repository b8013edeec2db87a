"""What `explain` tells beyond the document: the most likely joint breach, and how much more can be ordered."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from crossmargin.cli.figures import percent, price, quantity
from crossmargin.cli.listing import Listing

if TYPE_CHECKING:
    from rich.table import Table
    from rich.text import Text

    from crossmargin.standing import OrderSize, Standing

Entry = Mapping[str, Any]


def pool_and_account(standing: Standing, name: str) -> tuple[int, str]:
    """Return the number of the pool of an account or of a pool, and an account of it."""
    book = standing.book
    for p, pool in enumerate(book.pools):
        if pool.id == name and name not in book.accounts.ids:
            return p, pool.accounts[0]
    return int(standing.where.of_account[list(book.accounts.ids).index(name)]), name


def most_likely_breach_of(standing: Standing, name: str) -> dict[str, Any]:
    """Return the most likely joint breach of an account's pool as the document tells it."""
    from crossmargin.standing import most_likely_breach

    found = most_likely_breach(standing, pool_and_account(standing, name)[0])
    return {
        "distance": found.distance,
        "lower_bound": found.lower_bound,
        "moves": dict(found.moves),
        "vol_moves": dict(found.vol_moves),
    }


def max_order_of(standing: Standing, name: str, symbol: str, target: float, limit: float | None) -> dict[str, Any]:
    """Return the largest orders of an account in one contract, either side."""
    from crossmargin.standing import max_order_size

    account = pool_and_account(standing, name)[1]
    found = {side: max_order_size(standing, account, symbol, side, target, limit) for side in ("buy", "sell")}
    one = found["buy"]
    return {
        "symbol": symbol,
        "target": target,
        "limit": one.limit,
        "lot": one.lot,
        "filled": one.filled,
        "utilization": one.utilization_before,
        **{side: _side(order) for side, order in found.items()},
    }


def _side(order: OrderSize) -> dict[str, Any]:
    return {
        "quantity": order.quantity if isfinite(order.quantity) else None,
        "utilization": order.utilization_after,
        "utilization_beyond": order.utilization_beyond,
        "binding": order.binding,
    }


def outlook(entry: Entry, index: Mapping[str, float], any_domain: Collection[str]) -> Iterator[Table | Text]:
    """Yield the parts that were asked for; `any_domain` names what may have negative prices."""
    from rich.text import Text

    if "most_likely_breach" in entry:
        yield Text()
        yield from breach_parts(entry["most_likely_breach"], index, any_domain)
    if "max_order" in entry:
        yield Text()
        yield from order_parts(entry["max_order"])


def breach_parts(found: Entry, index: Mapping[str, float], any_domain: Collection[str]) -> Iterator[Table | Text]:
    """Yield what the most likely joint breach is, and how likely."""
    from rich.text import Text

    title = "Most likely joint breach"
    if found["distance"] is None:
        yield Text.assemble((title, "bold"), "\nNo joint move of prices and vols in reach gets there.")
        return
    if not found["moves"]:
        yield Text.assemble((title, "bold"), "\nIt is there now.")
        return
    table = Listing(["Underlying", "Now", "Then", "Price", "Vol"], title=title)
    for name in sorted({*found["moves"], *found["vol_moves"]}):
        move, vol = found["moves"].get(name), found["vol_moves"].get(name)
        now = index.get(name)
        then = None if now is None or move is None else _then(now, move, absolute=name in any_domain)
        table.add(
            name,
            price(now),
            price(then),
            "" if then is None or not now else percent(then / now - 1.0, 1, sign=True),
            "" if vol is None else percent(vol, 1, sign=True),
        )
    yield table.table()
    text = Text(f"{found['distance']:.2f} standard deviations of a day away")
    if found["lower_bound"] is not None:
        text.append(f"; none lies within {found['lower_bound']:.2f}")
    yield text.append(".")


def _then(now: float, move: float, *, absolute: bool) -> float:
    return now + move if absolute else now * (1.0 + move)


def order_parts(found: Entry) -> Iterator[Table | Text]:
    """Yield how much more can be ordered."""
    from rich.text import Text

    table = Listing(
        ["Side", "Contracts", "Utilization then", "One lot more"],
        title=f"More {found['symbol']} at {price(found['limit'])}",
    )
    for side in ("buy", "sell"):
        row = found[side]
        told = [percent(row[key], 2) if row[key] is not None else "" for key in ("utilization", "utilization_beyond")]
        table.add(side, "no limit" if row["quantity"] is None else quantity(row["quantity"]), *told)
    yield table.table()
    before = found["utilization"]
    how = "is filled at once" if found["filled"] else "stays open and fills where that hurts most"
    text = Text(f"Initial margin to stay within {percent(found['target'])} of the margin balance")
    text.append("" if before is None else f", now {percent(before)}")
    text.append(f"; an order {how}.")
    if found["buy"]["binding"] == "already above":
        text.append(" It is above that now.", style="yellow")
    yield text
