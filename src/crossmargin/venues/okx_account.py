"""An OKX account from the venue's own answers: balance, positions, instruments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from crossmargin.errors import InvalidFile
from crossmargin.instruments import Instrument, Option
from crossmargin.venues.account import ORDERS, Holding, Told, leverage_reason
from crossmargin.venues.document import read_json
from crossmargin.venues.fields import Fields
from crossmargin.venues.imported import Imported

_ALLOWED = "an answer of account/balance, account/positions or public/instruments"
_FENCED = "isolated positions that the answers do not list"
_PROFIT = "profit of positions that the answers do not list"
_SIDES = {"long": 1, "short": -1, "net": 0}
_MODES = {"cross": False, "isolated": True}


def import_okx_account(paths: Sequence[Path | str], account: str, time: datetime | None = None) -> Imported:
    """Return the account of OKX's answers, as JSON: balance and positions, in any order, with instruments for sizes.

    Owned is `cashBal`: profit and the margin of isolated positions come with the positions. Where `adjEq` is empty the
    account margins each currency apart, and each is an account of its own. A currency's value is `coinUsdPrice`, else
    `eqUsd` / `eq`. Contracts of the margin kind (loans against spot) are left out and named. Raises InvalidFile.
    """
    told = Told(venue="okx", asked=time)
    accounts: list[Fields] = []
    positions: list[Fields] = []
    listed = False
    for path in map(Path, paths):
        whole = Fields.of(path.name, read_json(path, _ALLOWED), _ALLOWED)
        if whole.has("code") and str(whole.values["code"]) != "0":
            raise whole.refuse("code", str(whole.values["code"]), "0", str(whole.values.get("msg", ""))[:120])
        rows = whole.rows("data")
        if any("details" in row.values for row in rows):
            accounts += rows
        elif any("ctVal" in row.values for row in rows):
            _instruments(rows, told)
        elif not rows or any("pos" in row.values for row in rows):
            positions += rows
            listed = True
        else:
            raise InvalidFile(f"{whole.place}.data", "rows of anything else", _ALLOWED)
    apart = not any(row.has("adjEq") for row in accounts)
    for row in accounts:
        _balance(row, told, apart, listed)
    if not accounts:
        told.lacks("balances, equity and margins of the account: account/balance")
    if not listed:
        told.lacks("positions: account/positions")
    held = sum(_position(row, told, apart and bool(accounts)) for row in positions)
    coins = len({asset for _, asset in told.balances})
    return told.imported(account, rules="brackets-okx", counted=f"{coins} currencies and {held} positions of okx.")


def _instruments(rows: Sequence[Fields], told: Told) -> None:
    for row in rows:
        size = row.number("ctVal")
        if size:
            told.sizes[row.text("instId")] = size * (row.number("ctMult") or 1)


def _balance(row: Fields, told: Told, apart: bool, listed: bool) -> None:
    if (time := row.millis("uTime")) is not None:
        told.times.append(time)
    isolated = 0.0
    for coin in row.rows("details"):
        name = coin.text("ccy", "a currency")
        part = name if apart else ""
        cash = coin.needed("cashBal", "the cash balance")
        told.own(part, name, cash)
        equity, value = coin.number("eq"), coin.number("eqUsd")
        price = coin.price("coinUsdPrice")
        if price is None and equity and value:
            price = float(value / equity)
        if price:
            told.worth[name] = price
        if (profit := coin.number("upl")) is not None:
            told.profits[part, name] = profit
        fenced = float(coin.number("isoEq") or 0)
        isolated += fenced * (price or 0.0)
        if not apart:
            continue
        missing = {} if listed else _unlisted(coin)
        told.state(coin, "eq", "equity", name, part=part, contains=missing)
        orders = coin.amount("ordFrozen") or 0.0
        told.state(coin, "imr", "initial_margin", name, part=part, contains={ORDERS: min(orders, _imr(coin))})
        told.state(coin, "mmr", "maintenance_margin", name, part=part)
    if apart:
        told.note("adjEq is empty, so each currency is margined apart")
        return
    missing = {} if listed else {_FENCED: isolated}
    told.state(row, "totalEq", "equity", "USD", contains=missing)
    told.state(row, "adjEq", "margin_balance", "USD")
    told.state(row, "imr", "initial_margin", "USD")
    told.state(row, "mmr", "maintenance_margin", "USD")


def _imr(coin: Fields) -> float:
    return coin.amount("imr") or 0.0


def _unlisted(coin: Fields) -> dict[str, float]:
    """Return what of a currency's equity is in positions that are not listed."""
    isolated = float(coin.number("isoEq") or 0)
    # `upl` is of all positions; that of the isolated ones is in isoEq already.
    cross = float(coin.number("upl") or 0) - float(coin.number("isoUpl") or 0)
    return {_FENCED: isolated, _PROFIT: cross}


def _position(row: Fields, told: Told, apart: bool) -> bool:
    """Keep a position; False where it is none."""
    size = row.needed("pos", "the size of the position")
    if not size:
        return False
    if row.values.get("instType") == "MARGIN":
        told.note("Left out, loans against spot are no contracts", row.text("instId"))
        return False
    instrument = told.contract(row, "instId")
    side = row.choice("posSide", _SIDES) if row.has("posSide") else 0
    quantity = abs(size) * side if side else size
    paid = row.text("ccy") if row.has("ccy") else instrument.settle
    part = paid if apart else ""
    if (time := row.millis("uTime")) is not None:
        told.times.append(time)
    mark = row.price("markPx")
    if (usd := row.price("usdPx")) is not None:
        told.worth.setdefault(paid, usd)
    isolated = row.choice("mgnMode", _MODES) if row.has("mgnMode") else False
    told.holdings.append(
        Holding(
            part=part,
            instrument=instrument,
            quantity=quantity,
            entry_price=None if isinstance(instrument, Option) else row.price("avgPx"),
            mark=mark,
            index=row.price("idxPx"),
            profit=row.number("upl"),
            isolated_collateral=_fenced(row, told, instrument, paid) if isolated else None,
        )
    )
    told.own(part, paid, Decimal(0))
    symbol = instrument.symbol
    reasons = leverage_reason(row.number("lever"))
    if row.has("imr"):
        told.state(row, "imr", "initial_margin", paid, part=part, symbol=symbol, reasons=reasons)
    if row.has("mmr"):
        told.state(row, "mmr", "maintenance_margin", paid, part=part, symbol=symbol)
    if row.has("notionalUsd"):
        told.state(row, "notionalUsd", "notional", "USD", part=part, symbol=symbol, absolute=True)
    return True


def _fenced(row: Fields, told: Told, instrument: Instrument, paid: str) -> float:
    """Return the margin of an isolated position in its settle asset, before its profit."""
    margin = row.amount("margin")
    if margin is None:
        raise row.refuse("margin", "nothing", "the margin of an isolated position")
    if paid == instrument.settle:
        return margin
    price = row.price("usdPx")
    if price is None:
        raise row.refuse("usdPx", "nothing", f"the price of {paid}: the margin is in it and not in {instrument.settle}")
    worth = told.worth.get(instrument.settle, 1.0)
    told.note("Margin turned into the settle asset at usdPx", f"{instrument.symbol} {margin:g} {paid} at {price:g} USD")
    return margin * price / worth
