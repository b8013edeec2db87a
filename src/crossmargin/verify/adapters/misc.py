"""Adapters of single formulas: forwards, contingencies, haircuts, profit ladders."""

from __future__ import annotations

from math import inf

import numpy as np

from crossmargin.book import Account, Balance, Book, pools_of
from crossmargin.collateral import HaircutPolicy, Tiers, count_collateral
from crossmargin.errors import InputError
from crossmargin.instruments import Asset, Catalogue, instrument_of
from crossmargin.margin import futures_contingency
from crossmargin.market import Market
from crossmargin.pricing import carried_forward, value
from crossmargin.verify.adapters.position import EXPIRY, EXPIRY_DAY, TIME
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

YEAR_DAYS = 365
ROW_NUMBERS = 3


@adapter(
    "forward_price",
    reads="s rate days",
    calls="pricing.carried_forward",
    note="rate continuous, days of a year of 365.",
)
def _forward_price(inputs: Inputs) -> object:
    return carried_forward(inputs.number("s"), inputs.number("rate"), inputs.number("days") / YEAR_DAYS)


@adapter(
    "future_contingency",
    reads="factor index qty",
    calls="margin.futures_contingency",
    note="qty of either sign.",
)
def _future_contingency(inputs: Inputs) -> object:
    return futures_contingency(size=inputs.number("qty"), price=inputs.number("index"), factor=inputs.number("factor"))


@adapter(
    "haircut_collateral_usd",
    reads="assets",
    calls="collateral.count_collateral",
    note="assets: rows [name, quantity, price, haircut]; a debt counts in full.",
)
def _haircut_collateral_usd(inputs: Inputs) -> object:
    rows = inputs.rows("assets")
    for k, (_, row) in enumerate(rows):
        if len(row) != ROW_NUMBERS:
            raise InputError(f"inputs.assets[{k}]", f"{len(row)} numbers", "a quantity, a price and a haircut")
    # A name may stand in several rows, each at its own haircut, so every row is an asset of its own.
    held = [(f"{name}#{k}", quantity, price, cut) for k, (name, (quantity, price, cut)) in enumerate(rows)]
    account = Account(id="one", balances=[Balance(asset=name, amount=quantity) for name, quantity, _, _ in held])
    assets = [Asset(symbol=name, haircut=((inf, cut),)) for name, _, _, cut in held]
    book = Book.of([account], assets=assets)
    market = Market(time=TIME, fx={name: price for name, _, price, _ in held})
    needed = np.ones(len(book.catalogue.assets), dtype=np.bool_)
    valuation = value(market, book.catalogue, assets=needed)
    pools, _ = pools_of(book)
    price = valuation.fx[pools.balance_asset]
    policy = HaircutPolicy(by_class={"other": Tiers.flat(1.0)})
    counted = count_collateral(
        policy, pools, book.catalogue, currency=market.currency, locations=book.locations, price=price
    )
    return float(counted.counted @ price)


@adapter(
    "linear_ladder",
    reads="F q moves",
    calls="pricing.Valuation.unit_values",
    note="Profit of q linear futures at F under each relative move.",
)
def _linear_ladder(inputs: Inputs) -> object:
    future = instrument_of("future", symbol="FUTURE", underlying="COIN", quote="USD", expiry=EXPIRY)
    price, moves = inputs.number("F", above=0), inputs.numbers("moves")
    market = Market(time=TIME, prices={"COIN": price}, forwards={"COIN": {EXPIRY_DAY: price}})
    valuation = value(market, Catalogue.of([future], names=[market.currency]))
    shocked = valuation.unit_values(np.array([0]), np.array([moves]))
    return inputs.number("q") * (shocked[0] - valuation.unit_value[0])
