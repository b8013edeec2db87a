"""A Deribit account from the venue's own answers: summaries, positions, instruments."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path

from crossmargin.errors import InvalidFile
from crossmargin.instruments import parse_symbol
from crossmargin.venues.account import Holding, Told
from crossmargin.venues.document import read_json
from crossmargin.venues.fields import Fields, kind_of, rows_of
from crossmargin.venues.imported import Imported

_ALLOWED = "an answer of get_account_summaries, get_account_summary, get_positions, get_instruments or user.portfolio"
_SIDES = {"buy": 1, "sell": -1, "zero": 0}
_OPTIONS = "options that the answers do not list"
_MODELS = {
    "segregated_sm": "deribit-standard",
    "cross_sm": "deribit-standard",
    "segregated_pm": "deribit-portfolio",
    "cross_pm": "deribit-portfolio",
}


def import_deribit_account(paths: Sequence[Path | str], account: str, time: datetime | None = None) -> Imported:
    """Return the account of Deribit's answers, as JSON: summaries of currencies and positions, in any order.

    Without cross collateral each currency is an account of its own. A currency is owned to the amount of `equity` -
    `options_value`: the profit of futures up to the mark is in it, so positions have no entry price. Sizes are USD
    for inverse futures and perpetuals, else coins. A currency's value is `total_margin_balance_usd` /
    `margin_balance` where both are stated. Raises InvalidFile with file and field.
    """
    told = Told(venue="deribit", asked=time)
    summaries: list[Fields] = []
    positions: list[Fields] = []
    listed = False
    for path in map(Path, paths):
        rows, kind = _answer(path, told)
        if kind == "summaries":
            summaries += rows
        elif kind == "positions":
            positions += rows
            listed = True
        else:
            _check_instruments(rows, told)
    cross = any(row.flag("cross_collateral_enabled") for row in summaries)
    for row in summaries:
        _summary(row, told, cross, listed)
    if cross:
        _totals(summaries, told, listed)
    if not summaries:
        told.lacks("balances, equity and margins of the account: get_account_summaries")
    if not listed:
        told.lacks("positions: get_positions")
    held = 0
    for row in positions:
        held += _position(row, told, cross or not summaries)
    models = {row.text("margin_model") for row in summaries if row.has("margin_model")}
    for row in summaries:
        if row.has("margin_model"):
            row.choice("margin_model", _MODELS)
    portfolio = any(row.flag("portfolio_margining_enabled") for row in summaries)
    rules = _MODELS[min(models)] if len(models) == 1 else "deribit-portfolio" if portfolio else "deribit-standard"
    named = ", ".join(sorted(models)) or "not stated"
    counted = f"{len(summaries)} currencies and {held} positions of deribit, margin model {named}."
    return told.imported(account, rules=rules, counted=counted)


def _answer(path: Path, told: Told) -> tuple[list[Fields], str]:
    """Return the rows of one answer and what they are."""
    whole = Fields.of(path.name, read_json(path, _ALLOWED), _ALLOWED)
    if whole.has("error"):
        raise InvalidFile(f"{whole.place}.error", repr(whole.values["error"])[:120], "an answer without error")
    for stamp in ("usOut", "usIn"):
        if (time := whole.millis(stamp, 1000)) is not None:
            told.times.append(time)
            break
    if whole.has("params"):
        return [_summarised(whole.inside("params").inside("data"))], "summaries"
    result = whole.values.get("result")
    place = f"{whole.place}.result"
    if isinstance(result, list):
        rows = rows_of(place, result)
        if rows and not any("size" in row.values for row in rows):
            if not any("expiration_timestamp" in row.values or "creation_timestamp" in row.values for row in rows):
                raise InvalidFile(place, "neither positions nor instruments", _ALLOWED)
            return rows, "instruments"
        return rows, "positions"
    if isinstance(result, dict):
        inner = Fields(place, result)
        rows = inner.rows("summaries") if "summaries" in result else [inner]
        return [_summarised(row) for row in rows], "summaries"
    raise InvalidFile(place, kind_of(result), _ALLOWED)


def _summarised(row: Fields) -> Fields:
    row.text("currency", "a currency: this is a summary of one")
    return row


def _summary(row: Fields, told: Told, cross: bool, listed: bool) -> None:
    currency = row.text("currency")
    equity, options = row.needed("equity", "the equity in the currency"), row.number("options_value") or Decimal(0)
    part = "" if cross else currency
    own = equity - options
    balance, total = row.number("margin_balance"), row.number("total_margin_balance_usd")
    if cross and balance and total:
        told.worth[currency] = float(total / balance)
        told.note("Value taken as total_margin_balance_usd / margin_balance", currency)
    margins = [row.number(name) for name in ("initial_margin", "maintenance_margin")]
    if own or options or any(margins):
        told.own(part, currency, own)
        told.note("Owned is equity less options_value, the profit of futures up to the mark in it", currency)
    if cross:
        return
    missing = {} if listed else {_OPTIONS: float(options)}
    told.state(row, "equity", "equity", currency, part=part, contains=missing)
    told.state(row, "margin_balance", "margin_balance", currency, part=part)
    for name in ("initial_margin", "maintenance_margin"):
        told.state(row, name, name, currency, part=part)


def _totals(summaries: Sequence[Fields], told: Told, listed: bool) -> None:
    """State the totals of an account whose currencies are one collateral: every summary repeats them."""
    row = summaries[0]
    options = sum(
        float(one.number("options_value") or 0) * told.worth.get(one.text("currency"), 0.0) for one in summaries
    )
    reason = ("the answer may leave currencies out: the total is of all of them",)
    missing = {} if listed else {_OPTIONS: options}
    told.state(row, "total_equity_usd", "equity", "USD", contains=missing, reasons=reason)
    told.state(row, "total_margin_balance_usd", "margin_balance", "USD", reasons=reason)
    told.state(row, "total_initial_margin_usd", "initial_margin", "USD")
    told.state(row, "total_maintenance_margin_usd", "maintenance_margin", "USD")


def _position(row: Fields, told: Told, together: bool) -> bool:
    """Keep a position; False where it is none."""
    size = row.needed("size", "the size of the position")
    side = row.choice("direction", _SIDES) if row.has("direction") else (size > 0) - (size < 0)
    if not size or not side:
        return False
    instrument = told.contract(row, "instrument_name")
    settle = instrument.settle
    part = "" if together else settle
    told.holdings.append(
        Holding(
            part=part,
            instrument=instrument,
            quantity=abs(size) * side,
            mark=row.price("mark_price"),
            index=row.price("index_price"),
        )
    )
    told.own(part, settle, Decimal(0))
    orders = row.amount("open_orders_margin")
    if orders:
        told.note("Open orders hold margin that is not imported", f"{instrument.symbol} {orders:g} {settle}")
    for name in ("initial_margin", "maintenance_margin"):
        if row.has(name):
            told.state(row, name, name, settle, part=part, symbol=instrument.symbol)
    return True


def _check_instruments(rows: Sequence[Fields], told: Told) -> None:
    """Refuse a listed contract whose terms are not those its name has here."""
    for row in rows:
        name = row.text("instrument_name")
        known = parse_symbol(name, "deribit")
        if known is None:
            told.note("Listed and not known here", name)
            continue
        expiry = getattr(known, "expiry", None)
        stated = row.millis("expiration_timestamp")
        if expiry is not None and stated is not None and stated != expiry:
            raise row.refuse("expiration_timestamp", stated.isoformat(), f"{expiry.isoformat()}, as {name} says")
        if row.has("settlement_currency") and known.kind != "spot" and known.settle != row.text("settlement_currency"):
            raise row.refuse(
                "settlement_currency", repr(row.text("settlement_currency")), f"{known.settle}, as {name} says"
            )
