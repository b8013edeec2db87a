"""Adapters of portfolio margin that need a book: a tiny one, made here and margined as any book is."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, timedelta

import numpy as np

from crossmargin.book import Account, Balance, Book, Order, Position, pools_of
from crossmargin.collateral import WrongWay
from crossmargin.errors import InputError
from crossmargin.instruments import Asset, Instrument, Perpetual, instrument_of
from crossmargin.margin.exposures import RiskTable
from crossmargin.margin.orders import OpenOrders, order_losses
from crossmargin.margin.short_options import ShortOptions
from crossmargin.market import History, Mark, Market
from crossmargin.pricing import value
from crossmargin.rules import Rules, load, parse
from crossmargin.rules.models import MODELS
from crossmargin.rules.schema import COMMON
from crossmargin.standing import Standing, evaluate
from crossmargin.verify.adapters.portfolio import names_marked, numbers_by_name
from crossmargin.verify.adapters.position import TIME
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter


def _rules(inputs: Inputs) -> Rules:
    """Return the shipped house rule book with the parameters of the case in place of its own."""
    lines = ['extends = "portfolio"', 'name = "case"', f'version = "{TIME.date()}"', 'source = "case"']
    if inputs.has("parameters"):
        given = inputs.inner("parameters")
        for key in given.values:
            unit = json.dumps(_unit(key))
            lines += [
                f"[parameters.{json.dumps(key)}]",
                f"value = {_toml(given, key)}",
                f"unit = {unit}",
                'source = "case"',
            ]
    return parse("\n".join(lines), "parameters of the case")


def _unit(key: str) -> str:
    """Return the unit of a parameter; a key that there is none of is refused later, by its name."""
    return next((entry.unit for entry in (*MODELS["portfolio"].entries, *COMMON) if entry.key == key), "none")


def _toml(inputs: Inputs, key: str) -> str:
    """Return a number, or a table of numbers and tables, as TOML writes it; whole numbers stay whole."""
    if not isinstance(inputs.values[key], dict):
        inputs.number(key)
        return json.dumps(inputs.values[key])
    inner = inputs.inner(key)
    return "{ " + ", ".join(f"{json.dumps(name)} = {_toml(inner, name)}" for name in inner.values) + " }"


def _instruments(inputs: Inputs) -> tuple[list[Instrument], dict[str, Mark]]:
    """Return the contracts of a case and their marks; `days` to expiry, `price` and `iv` are the market's."""
    found, marks = [], {}
    for row in inputs.inners("instruments"):
        terms: dict[str, object] = {}
        for key in row.values:
            if key in ("days", "price", "iv"):
                continue
            terms[key] = (
                row.flag(key)
                if key == "inverse"
                else row.number(key)
                if key in ("strike", "contract_size")
                else row.text(key)
            )
        if row.has("days"):
            terms["expiry"] = TIME + timedelta(days=row.number("days", above=0))
        instrument = instrument_of(str(terms.pop("type", "perpetual")), **terms)
        price = row.number("price") if row.has("price") else None
        iv = row.number("iv") if row.has("iv") else None
        if price is not None or iv is not None:
            marks[instrument.symbol] = Mark(price=price, iv=iv)
        found.append(instrument)
    return found, marks


def _history(inputs: Inputs) -> History | None:
    """Return the daily closes of a case, the latest the day before the book's."""
    if not inputs.has("history"):
        return None
    closes = inputs.inner("history")
    columns = {name: closes.numbers(name) for name in sorted(closes.values)}
    length = {len(column) for column in columns.values()}
    if len(length) != 1:
        raise InputError(closes.place, f"columns of {sorted(length)} closes", "as many closes of each")
    last: date = TIME.date() - timedelta(days=1)
    count = length.pop()
    return History(
        days=tuple(last - timedelta(days=count - 1 - k) for k in range(count)),
        names=tuple(columns),
        closes=np.array(list(columns.values()), dtype=np.float64).T,
    )


def _positions(inputs: Inputs, key: str) -> list[Position]:
    """Return positions {symbol: quantity} or {symbol: [quantity, entry price]}."""
    if not inputs.has(key):
        return []
    given, found = inputs.inner(key), []
    for symbol, row in given.values.items():
        if isinstance(row, list):
            quantity, entry = given.numbers(symbol)
            found.append(Position(symbol=symbol, quantity=quantity, entry_price=entry))
        else:
            found.append(Position(symbol=symbol, quantity=given.number(symbol)))
    return found


def _orders(inputs: Inputs, symbols: Sequence[str] = ()) -> list[Order]:
    """Return the orders of a case, each in one of `symbols` where they are given."""
    rows = inputs.inners("orders", [])
    return [
        Order(
            account="one",
            symbol=row.text("symbol", among=symbols),
            quantity=row.number("quantity"),
            limit=row.number("limit"),
            reduce_only=row.flag("reduce_only", False),
        )
        for row in rows
    ]


def _standing(inputs: Inputs) -> Standing:
    """Return the standing of the account `one`, and of `other` of the same owner where the case has one."""
    instruments, marks = _instruments(inputs)
    assets = [
        Asset(
            symbol=row.text("symbol"),
            asset_class=row.text("class", ""),
            group=row.text("group", ""),
            haircut=((float("inf"), row.number("haircut")),) if row.has("haircut") else None,
        )
        for row in inputs.inners("assets", [])
    ]
    market = Market(
        time=TIME,
        prices=numbers_by_name(inputs, "prices"),
        fx=numbers_by_name(inputs, "fx"),
        marks=marks,
        vol_annual=numbers_by_name(inputs, "vol_annual"),
        history=_history(inputs),
    )

    def account(name: str, positions: str, balances: str) -> Account:
        return Account(
            id=name,
            owner="one",
            credit=inputs.text("credit", "standard"),
            positions=_positions(inputs, positions),
            balances=[Balance(asset=a, amount=n) for a, n in numbers_by_name(inputs, balances).items()],
        )

    accounts = [account("one", "positions", "balances")]
    if inputs.has("other_positions"):
        accounts.append(account("other", "other_positions", "other_balances"))
    book = Book.of(accounts, instruments, assets=assets, orders=_orders(inputs), currency=market.currency)
    return evaluate(book, market, _rules(inputs))


@adapter(
    "portfolio_margin",
    reads="instruments prices fx? assets? vol_annual? history? parameters? credit? positions? balances?"
    " other_positions? other_balances? orders?",
    calls="standing.evaluate",
    note="Our own: a book of one account under the shipped house rule book, with `parameters` of the case in place of"
    " its own. Instruments as in book files, with `days` to expiry and their mark, `price` or `iv`; history {name:"
    " closes}; positions {symbol: quantity or [quantity, entry price]}; `other_...` is a second account of the same"
    " owner. Gives {maintenance, initial, terms, shares} of the first.",
)
def _portfolio_margin(inputs: Inputs) -> object:
    standing = _standing(inputs)
    pools, requirement, catalogue = standing.pools, standing.requirement, standing.valuation.catalogue
    legs = slice(pools.leg_start[0], pools.leg_start[1])
    balances = slice(pools.balance_start[0], pools.balance_start[1])
    shares = {
        catalogue.instruments[k].symbol: share
        for k, share in zip(pools.leg_instrument[legs].tolist(), requirement.leg_share[legs].tolist(), strict=True)
    }
    for a, share in zip(
        pools.balance_asset[balances].tolist(), requirement.balance_share[balances].tolist(), strict=True
    ):
        shares[catalogue.assets[a].symbol] = share
    return {
        "maintenance": float(standing.maintenance_margin[0]),
        "initial": float(standing.initial_margin[0]),
        "terms": dict(requirement.terms.of_pool(0)),
        "shares": shares,
    }


@adapter(
    "portfolio_minimum",
    reads="index rate options",
    calls="margin.short_options.ShortOptions.by_pool",
    note="Our own: options [call or put, days to expiry, strike, quantity, contract size] on one index in the reporting"
    " currency.",
)
def _portfolio_minimum(inputs: Inputs) -> object:
    instruments, positions = [], []
    for k, row in enumerate(inputs.named_rows("options", ("type", "days", "strike", "quantity", "contract_size"))):
        instruments.append(
            instrument_of(
                "option",
                symbol=f"O{k}",
                underlying="X",
                quote="USD",
                option_type=row.text("type", among=("call", "put")),
                strike=row.number("strike"),
                expiry=TIME + timedelta(days=row.number("days", above=0)),
                contract_size=row.number("contract_size"),
            )
        )
        positions.append(Position(symbol=f"O{k}", quantity=row.number("quantity")))
    market = Market(
        time=TIME,
        prices={"X": inputs.number("index")},
        marks={instrument.symbol: Mark(iv=0.5) for instrument in instruments},
    )
    book = Book.of([Account(id="one", positions=positions)], instruments)
    portfolios = evaluate(book, market, load("portfolio")).portfolios
    holdings = len(portfolios.leg_row) + len(portfolios.balance_price)
    short = ShortOptions.of(portfolios, inputs.number("rate"))
    return float(short.by_pool(np.zeros(holdings, dtype=np.int64))[0, 0])


@adapter(
    "portfolio_orders",
    reads="contracts orders",
    calls="margin.orders.order_losses",
    note="Our own: contracts {symbol: {mark, profit}}, profit of one long contract by scenario. Gives {loss, cost}:"
    " what open orders add by scenario, and at once.",
)
def _portfolio_orders(inputs: Inputs) -> object:
    contracts = inputs.inner("contracts")
    rows = {symbol: contracts.inner(symbol) for symbol in sorted(contracts.values)}
    if not rows:
        raise InputError("inputs.contracts", "nothing", "one contract at least")
    instruments = [Perpetual(symbol=symbol, underlying=symbol, quote="USD") for symbol in rows]
    market = Market(time=TIME, prices={symbol: row.number("mark") for symbol, row in rows.items()})
    catalogue = Book.of([Account(id="one")], instruments).catalogue
    orders = OpenOrders.of(
        _orders(inputs, tuple(rows)), catalogue, account={"one": 0}, pool_of_account=np.zeros(1, dtype=np.int64)
    )
    pnl = np.array([rows[i.symbol].numbers("profit") for i in catalogue.instruments], dtype=np.float64)
    scenarios = pnl.shape[1]
    nothing = np.full(len(catalogue.assets), -1, dtype=np.int64)
    table = RiskTable(
        pnl=pnl,
        block=np.zeros(len(pnl), dtype=np.int64),
        weight=np.ones(scenarios),
        of_contract=np.arange(len(pnl)),
        of_settlement=np.full(len(pnl), -1, dtype=np.int64),
        of_asset=nothing,
        of_gain=nothing,
        blocks=("joint",),
        scenario_name=lambda block, scenario: str(scenario),
    )
    found = order_losses(orders, table, value(market, catalogue), pools=1)
    loss = found.loss[0].tolist() if len(found.pool) else [0.0] * scenarios
    return {"loss": loss, "cost": float(found.cost[0])}


@adapter(
    "portfolio_wrong_way",
    reads="owner balances issuers? own_tokens? supply? share_of_supply? groups?",
    calls="collateral.WrongWay.of",
    note="Our own: balances {asset: amount} of one account, issuers {asset: who}, groups {owner or issuer: group}."
    " own_tokens {asset: true}. Gives what each keeps of its weight, by asset.",
)
def _portfolio_wrong_way(inputs: Inputs) -> object:
    amounts = numbers_by_name(inputs, "balances")
    issuers = inputs.inner("issuers") if inputs.has("issuers") else None
    groups = inputs.inner("groups") if inputs.has("groups") else None
    rule = WrongWay(
        own_tokens=names_marked(inputs, "own_tokens"),
        supply=numbers_by_name(inputs, "supply"),
        share_of_supply=inputs.number("share_of_supply", 0.10),
        groups={name: groups.text(name) for name in groups.values} if groups else {},
    )
    named = {name: issuers.text(name) for name in issuers.values} if issuers else {}
    assets = [Asset(symbol=name, issuer=named.get(name, "")) for name in amounts]
    owner = inputs.text("owner")
    book = Book.of(
        [Account(id="one", owner=owner, balances=[Balance(asset=a, amount=n) for a, n in amounts.items()])],
        [],
        assets=assets,
    )
    pools, _ = pools_of(book)
    kept = rule.of(pools, book.catalogue, [owner]).multiplier
    return {
        book.catalogue.assets[a].symbol: float(weight)
        for a, weight in zip(pools.balance_asset.tolist(), kept.tolist(), strict=True)
    }
