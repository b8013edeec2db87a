"""A Bybit account from the venue's own answers: wallet balance and positions of the unified account."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from crossmargin.errors import InvalidFile
from crossmargin.instruments import Option
from crossmargin.venues.account import ORDERS, Holding, Told, leverage_reason
from crossmargin.venues.document import read_json
from crossmargin.venues.fields import Fields
from crossmargin.venues.imported import Imported

_ALLOWED = "an answer of account/wallet-balance or position/list"
_SIDES = {"Buy": 1, "Sell": -1}
_TOTALS = (
    ("totalEquity", "equity"),
    ("totalMarginBalance", "margin_balance"),
    ("totalInitialMargin", "initial_margin"),
    ("totalMaintenanceMargin", "maintenance_margin"),
)
_ISOLATED = 1


def import_bybit_account(paths: Sequence[Path | str], account: str, time: datetime | None = None) -> Imported:
    """Return the account of Bybit's answers, as JSON: the wallet and positions (one answer a category).

    Owned is `walletBalance` - `spotBorrow`, less the margin of isolated positions, which is in the wallet there. A
    coin's value is `usdValue` / `equity`, where that is 0 over what is owned. Raises InvalidFile with file and field.
    """
    told = Told(venue="bybit", asked=time)
    wallets: list[Fields] = []
    positions: list[Fields] = []
    listed = False
    for path in map(Path, paths):
        whole = Fields.of(path.name, read_json(path, _ALLOWED), _ALLOWED)
        if (code := whole.number("retCode")) not in (None, 0):
            raise whole.refuse("retCode", str(code), "0", str(whole.values.get("retMsg", ""))[:120])
        if (time := whole.millis("time")) is not None:
            told.times.append(time)
        rows = whole.inside("result").rows("list")
        if any("coin" in row.values for row in rows):
            wallets += rows
        elif not rows or any("size" in row.values for row in rows):
            positions += rows
            listed = True
        else:
            raise InvalidFile(f"{whole.place}.result.list", "rows of anything else", _ALLOWED)
    for row in wallets:
        _wallet(row, told, listed)
    if not wallets:
        told.lacks("balances, equity and margins of the account: account/wallet-balance")
    if not listed:
        told.lacks("positions: position/list")
    held = sum(_position(row, told) for row in positions)
    coins = sum(1 for amount in told.balances.values() if amount)
    return told.imported(account, rules="brackets-bybit", counted=f"{coins} coins and {held} positions of bybit.")


def _wallet(row: Fields, told: Told, listed: bool) -> None:
    orders = profit = value = 0.0
    for coin in row.rows("coin"):
        name = coin.text("coin", "a coin")
        wallet, borrowed = coin.needed("walletBalance"), coin.number("spotBorrow") or Decimal(0)
        equity, worth = coin.number("equity"), coin.number("usdValue")
        own = wallet - borrowed
        told.own("", name, own)
        if not coin.has("spotBorrow"):
            told.note("spotBorrow is not stated: a loan is not seen", name)
        base = equity or own
        if worth and base:
            if worth / base < 0:
                raise coin.refuse("usdValue", str(worth), f"a value of the sign of what is owned, {base}")
            told.worth[name] = float(worth / base)
        price = told.worth.get(name, 0.0)
        upl = coin.number("unrealisedPnl") or Decimal(0)
        told.profits["", name] = upl
        if equity is not None and abs(equity - own - upl) > Decimal("1e-6") * max(abs(equity), abs(own)):
            told.note("equity is not walletBalance - spotBorrow + unrealisedPnl in the answer", name)
        value += float(worth or 0)
        orders += float(coin.number("totalOrderIM") or 0) * price
        profit += float(upl) * price
    missing = {} if listed else {"profit of positions that the answers do not list": profit}
    total = row.number("totalEquity")
    if total is not None and abs(float(total) - value) > 1e-6 * max(abs(float(total)), abs(value)):
        text = (
            f"The coins of the answer are worth {value:,.2f} USD (usdValue), its own totalEquity is {float(total):,.2f}"
        )
        told.note(text)
        missing["what its coins do not add up to"] = float(total) - value
    for field, what in _TOTALS:
        contains = missing if what == "equity" else {ORDERS: orders} if what == "initial_margin" else {}
        told.state(row, field, what, "USD", contains=contains)


def _position(row: Fields, told: Told) -> bool:
    """Keep a position; False where it is none."""
    size = row.needed("size", "the size of the position")
    if size < 0:
        raise row.refuse("size", str(size), "0 or more: the side says which way")
    if not size:
        return False
    instrument = told.contract(row, "symbol")
    quantity = size * row.choice("side", _SIDES)
    settle, symbol = instrument.settle, instrument.symbol
    fenced = None
    if row.number("tradeMode") == _ISOLATED:
        fenced = row.amount("positionBalance")
        if fenced is None:
            raise row.refuse("positionBalance", "nothing", "the margin of an isolated position")
        told.own("", settle, -Decimal(str(fenced)))
        told.note("The margin of isolated positions is taken out of the wallet", symbol)
    told.holdings.append(
        Holding(
            part="",
            instrument=instrument,
            quantity=quantity,
            entry_price=None if isinstance(instrument, Option) else row.price("avgPrice"),
            mark=row.price("markPrice"),
            isolated_collateral=fenced,
            profit=row.number("unrealisedPnl"),
        )
    )
    told.own("", settle, Decimal(0))
    told.state(
        row, "positionIM", "initial_margin", settle, symbol=symbol, reasons=leverage_reason(row.number("leverage"))
    )
    told.state(
        row,
        "positionMM",
        "maintenance_margin",
        settle,
        symbol=symbol,
        reasons=("the venue's holds the fee to close the position",),
    )
    return True
