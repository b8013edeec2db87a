"""The rows of a book again: what to write so that reading them merges to the same columns."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from math import copysign, floor, nextafter

from crossmargin.book import Book
from crossmargin.instruments import KINDS

_SPOT, _OPTION = KINDS.index("spot"), KINDS.index("option")
_PLACES = 12
_ULPS = 4


def position_rows(book: Book) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield (account, cells of a position); None where nothing is stated."""
    held, catalogue = book.positions, book.catalogue
    for k in range(len(held)):
        account, number = int(held.account[k]), int(held.instrument[k])
        size, option = float(catalogue.contract_size[number]), bool(catalogue.kind[number] == _OPTION)
        rows = _rows(
            float(held.quantity[k]),
            float(held.priced[k]),
            float(held.entry_value[k]),
            size=size,
            reciprocal=bool(catalogue.inverse[number]) and not option,
            least=-float("inf") if catalogue.any_domain[number] else 0.0 if option else 5e-324,
        )
        isolated = bool(held.isolated[k])
        mode = "isolated" if isolated else "cross"
        for row, (quantity, price) in enumerate(rows):
            yield (
                account,
                {
                    "symbol": catalogue.instruments[number].symbol,
                    "quantity": quantity,
                    "entry_price": price,
                    "margin_mode": None if mode == book.accounts.modes[account] else mode,
                    "isolated_collateral": (0.0 if row else float(held.collateral[k])) if isolated else None,
                },
            )


def balance_rows(book: Book) -> Iterator[tuple[int, dict[str, object]]]:
    """Yield (account, cells of a balance), without what spot positions add to it."""
    owned, held, catalogue = book.balances, book.positions, book.catalogue
    spot: dict[tuple[int, int], Decimal] = {}
    for k in range(len(held)):
        number = int(held.instrument[k])
        if catalogue.kind[number] == _SPOT:
            key = int(held.account[k]), int(catalogue.underlying[number])
            amount = float(held.quantity[k]) * float(catalogue.contract_size[number])
            spot[key] = spot.get(key, Decimal(0)) + Decimal(repr(amount))
    for k in range(len(owned)):
        key = int(owned.account[k]), int(owned.asset[k])
        amount = float(owned.amount[k])
        final, location = bool(owned.final[k]), int(owned.location[k])
        if final and location == 0 and key in spot:
            amount = float(Decimal(repr(amount)) - spot[key])
            if amount == 0.0:
                continue
        yield (
            key[0],
            {
                "asset": catalogue.assets[key[1]].symbol,
                "amount": amount,
                "location": book.locations[location].id if location else None,
                "state": None if final else "pending",
            },
        )


def _rows(
    quantity: float, priced: float, value: float, *, size: float, reciprocal: bool, least: float
) -> list[tuple[float, float | None]]:
    """Return (quantity, entry price) rows that add up to `quantity`, to `priced` with a price, and to `value`."""
    if priced == 0.0 and value == 0.0:
        return [(quantity, None)]
    price = _price(priced, value, size, reciprocal) if priced else None
    if price is not None and price >= least:
        rows: list[tuple[float, float | None]] = [(priced, price)]
    else:
        # Rows that nearly cancelled left a P&L that no price of what is left can state: two rows at two prices do.
        target = (-value if reciprocal else value) / size
        near = abs(target) / (abs(priced) + 1) or 1.0
        far = copysign(floor(abs(priced)) + 1.0, target - priced * near)
        other = near + (target - priced * near) / far
        rows = [
            (far, 1 / other if reciprocal else other),
            (_less(priced, far), 1 / near if reciprocal else near),
        ]
    if quantity != priced:
        rows.append((_less(quantity, priced), None))
    return rows


def _price(quantity: float, value: float, size: float, reciprocal: bool) -> float:
    """Return the entry price at which `quantity` is worth `value`: the shortest that gives it to the last bit."""

    def worth(price: float) -> float:
        return (-size / price if reciprocal else size * price) * quantity

    near = -size * quantity / value if reciprocal and value else value / quantity / size
    choices = [round(near, places) for places in range(_PLACES + 1)]
    below = above = near
    for _ in range(_ULPS):
        below, above = nextafter(below, -float("inf")), nextafter(above, float("inf"))
        choices += [below, above]
    return next((price for price in choices if (price or not reciprocal) and worth(price) == value), near)


def _less(whole: float, part: float) -> float:
    return float(Decimal(repr(whole)) - Decimal(repr(part)))
