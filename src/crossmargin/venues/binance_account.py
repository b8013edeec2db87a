"""A Binance futures account from the venue's own answers: account information and position risk."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from crossmargin.errors import InvalidFile
from crossmargin.venues.account import ORDERS, Holding, Told, leverage_reason
from crossmargin.venues.document import read_json
from crossmargin.venues.fields import Fields, kind_of, rows_of
from crossmargin.venues.imported import Imported

_ALLOWED = "an answer of fapi or dapi: account, or positionRisk"
_TOTALS = (
    ("totalMarginBalance", "equity"),
    ("totalInitialMargin", "initial_margin"),
    ("totalMaintMargin", "maintenance_margin"),
)
_ASSET = (("marginBalance", "equity"), ("initialMargin", "initial_margin"), ("maintMargin", "maintenance_margin"))
_ORDERS = {"totalInitialMargin": "totalOpenOrderInitialMargin", "initialMargin": "openOrderInitialMargin"}


def import_binance_account(paths: Sequence[Path | str], account: str, time: datetime | None = None) -> Imported:
    """Return the account of Binance's futures answers, as JSON: account information and position risk, in any order.

    Owned is `crossWalletBalance`; an isolated position has its `isolatedWallet` beside it. Where several assets are
    held and multi-assets mode is off, each is margined apart and is an account of its own. Positions that both answers
    list are one: prices of position risk, margins of the account. A mark that is not stated is taken from `notional`,
    else from entry price and profit. The answers have no time of their own. Raises InvalidFile with file and field.
    """
    told = Told(venue="binance", asked=time)
    wholes: list[Fields] = []
    rows: dict[tuple[str, str], list[Fields]] = {}
    listed = False
    for path in map(Path, paths):
        document = read_json(path, _ALLOWED)
        if isinstance(document, list):
            found, listed = rows_of(path.name, document), True
        else:
            whole = Fields.of(path.name, document, _ALLOWED)
            if whole.has("code") and whole.has("msg"):
                raise whole.refuse("code", str(whole.values["code"]), "an answer without error", whole.text("msg"))
            if "assets" not in whole.values:
                raise InvalidFile(f"{whole.place}.assets", kind_of(whole.values.get("assets")), _ALLOWED)
            wholes.append(whole)
            found = whole.rows("positions") if whole.has("positions") or "positions" in whole.values else []
            listed = listed or "positions" in whole.values
        for row in found:
            side = row.text("positionSide") if row.has("positionSide") else "BOTH"
            rows.setdefault((row.text("symbol", "a contract"), side), []).append(row)
    apart = _margined_apart(wholes)
    for whole in wholes:
        _assets(whole, told, apart)
    if not wholes:
        told.lacks("balances, equity and margins of the account: account information")
    if not listed:
        told.lacks("positions: positionRisk")
    held = sum(_position(of, told, apart) for of in rows.values())
    if told.times and told.asked is None:
        told.note("The answers have no time of their own: the latest update in them is taken")
    coins = sum(1 for amount in told.balances.values() if amount)
    return told.imported(account, rules="brackets-binance", counted=f"{coins} assets and {held} positions of binance.")


def _margined_apart(wholes: Sequence[Fields]) -> bool:
    if any(whole.flag("multiAssetsMargin") for whole in wholes):
        return False
    held = {row.text("asset") for whole in wholes for row in whole.rows("assets") if row.number("walletBalance")}
    coin_margined = any("totalWalletBalance" not in whole.values for whole in wholes)
    return len(held) > 1 or (coin_margined and bool(held))


def _assets(whole: Fields, told: Told, apart: bool) -> None:
    multi = bool(whole.flag("multiAssetsMargin"))
    if (time := whole.millis("updateTime")) is not None:
        told.times.append(time)
    owned = []
    for row in whole.rows("assets"):
        asset = row.text("asset", "an asset")
        wallet = row.number("crossWalletBalance")
        if wallet is None:
            wallet = row.needed("walletBalance")
            told.note("crossWalletBalance is not stated: walletBalance taken", asset)
        if (time := row.millis("updateTime")) is not None:
            told.times.append(time)
        if not wallet and not row.number("marginBalance") and not row.number("initialMargin"):
            continue
        owned.append(asset)
        told.own(asset if apart else "", asset, wallet)
        if (profit := row.number("unrealizedProfit")) is not None:
            told.profits[asset if apart else "", asset] = profit
        if apart:
            for field, what in _ASSET:
                told.state(row, field, what, asset, part=asset, contains=_orders(row, field))
    if not apart:
        unit = "USD" if multi else owned[0] if owned else "USDT"
        for field, what in _TOTALS:
            told.state(whole, field, what, unit, contains=_orders(whole, field))


def _orders(row: Fields, field: str) -> dict[str, float]:
    orders = row.amount(_ORDERS[field]) if field in _ORDERS else None
    return {ORDERS: orders} if orders else {}


def _position(of: Sequence[Fields], told: Told, apart: bool) -> bool:
    """Keep a position that one or two answers list; False where it is none."""
    first = of[0]
    sizes = [row.needed("positionAmt", "the size of the position") for row in of]
    for row, size in zip(of[1:], sizes[1:], strict=True):
        if size != sizes[0]:
            raise row.refuse("positionAmt", str(size), f"{sizes[0]}, as {first.place} states")
    size = sizes[0]
    if not size:
        return False
    instrument = told.contract(first, "symbol")
    settle, symbol = instrument.settle, instrument.symbol
    part = settle if apart else ""
    for row in of:
        if (time := row.millis("updateTime")) is not None:
            told.times.append(time)
    entry = _first(of, "entryPrice")
    fenced = None
    if any(row.flag("isolated") or row.values.get("marginType") == "isolated" for row in of):
        wallet = next((row.amount("isolatedWallet") for row in of if row.has("isolatedWallet")), None)
        if wallet is None:
            raise first.refuse("isolatedWallet", "nothing", "the wallet of an isolated position")
        fenced = wallet
    told.holdings.append(
        Holding(
            part=part,
            instrument=instrument,
            quantity=size,
            entry_price=entry,
            mark=_mark(of, told, symbol, size, entry, inverse=instrument.inverse),
            isolated_collateral=fenced,
            profit=_number(of, "unRealizedProfit", "unrealizedProfit"),
        )
    )
    told.own(part, settle, Decimal(0))
    for field, what in _ASSET[1:]:
        stating = next((row for row in of if row.has(field)), None)
        if stating is None:
            told.lacks(f"{what.replace('_', ' ')} of {symbol} ({field})")
            continue
        reasons = leverage_reason(_number(of, "leverage")) if what == "initial_margin" else ()
        told.state(
            stating, field, what, settle, part=part, symbol=symbol, contains=_orders(stating, field), reasons=reasons
        )
    stating = next((row for row in of if row.has("notional")), None)
    if stating is not None:
        told.state(stating, "notional", "notional", settle, part=part, symbol=symbol, absolute=True)
    return True


def _number(of: Sequence[Fields], *names: str) -> Decimal | None:
    return next((row.number(name) for name in names for row in of if row.has(name)), None)


def _first(of: Sequence[Fields], field: str) -> float | None:
    return next((price for row in of if (price := row.price(field)) is not None), None)


def _mark(
    of: Sequence[Fields], told: Told, symbol: str, size: Decimal, entry: float | None, *, inverse: bool
) -> float | None:
    stated = _first(of, "markPrice")
    if stated is not None or inverse:
        return stated
    notional = _number(of, "notional")
    if notional:
        told.note("Mark taken as notional / size", symbol)
        return float(abs(notional / size))
    profit = _number(of, "unrealizedProfit", "unRealizedProfit")
    if entry is None or profit is None:
        return None
    mark = entry + float(profit / size)
    told.note("Mark taken from entry price and profit", symbol)
    return mark if mark > 0 else None
