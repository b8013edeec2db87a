"""Adapters of strategy margin: option strategies as accounts under the shipped rule book."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from crossmargin.book import Account, Balance, Book, Position
from crossmargin.errors import InputError, nearest
from crossmargin.instruments import Instrument, instrument_of
from crossmargin.margin.strategy import Strategy, UncoveredRates
from crossmargin.market import Mark, Market, VolSlice, VolSurface
from crossmargin.rules import Rules, load
from crossmargin.standing import evaluate
from crossmargin.verify.adapters.position import EXPIRY, EXPIRY_DAY, TIME
from crossmargin.verify.inputs import Inputs
from crossmargin.verify.registry import adapter

CLASSES = {
    "equity": "equity",
    "stock": "equity",
    "narrow_index": "equity",
    "equity_index": "equity_index",
    "index": "equity_index",
    "broad": "equity_index",
    "broad_based": "equity_index",
    "broad_index": "equity_index",
    "broad_based_index": "equity_index",
}
"""Classes as cases name them, in any case, words joined by a space, a hyphen or an underscore; a narrow index owes as
shares do."""

FLOOR_A_SHARE = 2.5
"""The least an uncovered call owes a share in the example that `strategy_short_call` cases cite (tastyworks, naked
calls). The cases expect it without giving it; the rule book has no such floor."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Leg:
    """Contracts of one option, bought (> 0) or sold, at a premium a unit."""

    option_type: str
    strike: float
    premium: float
    contracts: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trade:
    """Options and shares traded together, at prices of now."""

    legs: Sequence[_Leg]
    multiplier: float
    asset_class: str
    price: float
    shares: float = 0.0

    def call(self, rules: Rules, *, proceeds: bool = True) -> float:
        """Return what must be deposited: what initial margin misses once shares and options are paid.

        Without `proceeds` what is sold brings no money: the requirement as tables state it.
        """
        options: list[Instrument] = [
            instrument_of(
                "option",
                symbol=f"OPTION-{k}",
                underlying="SHARE",
                quote="USD",
                option_type=leg.option_type,
                strike=leg.strike,
                expiry=EXPIRY,
                contract_size=self.multiplier,
                asset_class=self.asset_class,
                exercise="american",
            )
            for k, leg in enumerate(self.legs)
        ]
        paid = [leg.contracts * self.multiplier * leg.premium for leg in self.legs]
        cash = -self.shares * self.price - sum(amount for amount in paid if amount > 0 or proceeds)
        account = Account(
            id="one",
            balances=[Balance(asset="USD", amount=cash), Balance(asset="SHARE", amount=self.shares)],
            positions=[
                Position(symbol=option.symbol, quantity=leg.contracts)
                for option, leg in zip(options, self.legs, strict=True)
            ],
        )
        strikes = tuple(sorted({leg.strike for leg in self.legs}))
        market = Market(
            time=TIME,
            prices={"SHARE": self.price},
            forwards={"SHARE": {EXPIRY_DAY: self.price}},
            marks={o.symbol: Mark(price=leg.premium) for o, leg in zip(options, self.legs, strict=True)},
            # For a premium that no vol explains; the margin does not depend on it.
            vols={"SHARE": VolSurface({EXPIRY_DAY: VolSlice(strikes=strikes, vols=(0.5,) * len(strikes))})},
        )
        standing = evaluate(Book.of([account], options, currency="USD"), market, rules)
        return float(standing.initial_margin[0] - standing.margin_balance[0])


def _trade(inputs: Inputs, legs: Sequence[_Leg], *, price: float, shares: float = 0.0) -> _Trade:
    given = inputs.text("class")
    name = "_".join(given.lower().replace("-", " ").replace("_", " ").split())
    if name not in CLASSES:
        raise InputError("inputs.class", repr(given), ", ".join(CLASSES), nearest(name, CLASSES))
    return _Trade(
        legs=legs,
        multiplier=inputs.number("mult", above=0),
        asset_class=CLASSES[name],
        price=price,
        shares=shares,
    )


def _leg(inputs: Inputs, key: str, option_type: str, contracts: float) -> _Leg:
    row = inputs.numbers(key)
    if len(row) != 2:
        raise InputError(f"inputs.{key}", f"{len(row)} numbers", "a strike and a premium")
    return _Leg(option_type=option_type, strike=row[0], premium=row[1], contracts=contracts)


def _single(inputs: Inputs, option_type: str) -> _Trade:
    leg = _Leg(
        option_type=option_type,
        strike=inputs.number("K", above=0),
        premium=inputs.number("prem"),
        contracts=-inputs.number("n", above=0),
    )
    return _trade(inputs, [leg], price=inputs.number("S", above=0))


@adapter(
    "strategy_short_call",
    reads="S K prem n mult class",
    calls="margin.strategy.UncoveredRates.alternatives, margin.strategy.Strategy",
    note="The three amounts a, b, c and the greatest, req; with the source's floor of 2.50 a share.",
)
def _short_call(inputs: Inputs) -> object:
    trade = _single(inputs, "call")
    (leg,) = trade.legs
    rules = load("strategy")
    model = _model(rules)
    rates = replace(model.uncovered_by_class[trade.asset_class], floor=FLOOR_A_SHARE)
    amounts = rates.alternatives(
        underlying=np.array(trade.price),
        strike=np.array(leg.strike),
        value=np.array(leg.premium),
        is_call=np.array(True),
    )
    units = -leg.contracts * trade.multiplier
    first, second, third = (float(amount) * units for amount in amounts)
    floored = replace(rules, model=replace(model, uncovered_by_class={"other": rates}))
    return {"a": first, "b": second, "c": third, "req": trade.call(floored, proceeds=False)}


@adapter(
    "strategy_short_put",
    reads="S K prem n mult class",
    calls="margin.strategy.Strategy",
    note="req without the proceeds of the sale, call with them.",
)
def _short_put(inputs: Inputs) -> object:
    return _both(_single(inputs, "put"), load("strategy"))


@adapter(
    "strategy_short_call_net",
    reads="S K prem n mult class",
    calls="margin.strategy.Strategy",
    note="After the sale's proceeds.",
)
def _short_call_net(inputs: Inputs) -> object:
    return _single(inputs, "call").call(load("strategy"))


@adapter(
    "strategy_short_put_net",
    reads="S K prem n mult class",
    calls="margin.strategy.Strategy",
    note="After the sale's proceeds.",
)
def _short_put_net(inputs: Inputs) -> object:
    return _single(inputs, "put").call(load("strategy"))


@adapter(
    "strategy_put_spread",
    reads="long short n mult class",
    calls="margin.strategy.Strategy",
    note="long and short: [strike, premium]. req without the proceeds of the sale, call with them.",
)
def _put_spread(inputs: Inputs) -> object:
    contracts = inputs.number("n", above=0)
    legs = [_leg(inputs, "long", "put", contracts), _leg(inputs, "short", "put", -contracts)]
    return _both(_trade(inputs, legs, price=legs[1].strike), _spreads_only())


@adapter(
    "strategy_debit_spread",
    reads="long short n mult class",
    calls="margin.strategy.Strategy",
    note="long and short: [strike, premium]. Calls where the dearer option has the lower strike, else puts.",
)
def _debit_spread(inputs: Inputs) -> object:
    contracts = inputs.number("n", above=0)
    (long_strike, long_premium), (short_strike, short_premium) = (
        (leg.strike, leg.premium) for leg in (_leg(inputs, "long", "call", 1), _leg(inputs, "short", "call", -1))
    )
    option_type = "call" if (long_strike < short_strike) == (long_premium >= short_premium) else "put"
    legs = [_leg(inputs, "long", option_type, contracts), _leg(inputs, "short", option_type, -contracts)]
    return _trade(inputs, legs, price=short_strike).call(_spreads_only())


@adapter(
    "strategy_risk_reversal",
    reads="S put call n mult class",
    calls="margin.strategy.Strategy",
    note="put bought and call sold: [strike, premium]. After the sale's proceeds.",
)
def _risk_reversal(inputs: Inputs) -> object:
    contracts = inputs.number("n", above=0)
    legs = [_leg(inputs, "put", "put", contracts), _leg(inputs, "call", "call", -contracts)]
    return _trade(inputs, legs, price=inputs.number("S", above=0)).call(load("strategy"))


@adapter(
    "strategy_synthetic_long",
    reads="S K call put n mult class",
    calls="margin.strategy.Strategy",
    note="Call bought and put sold at K, at premiums call and put. After the sale's proceeds.",
)
def _synthetic_long(inputs: Inputs) -> object:
    contracts, strike = inputs.number("n", above=0), inputs.number("K", above=0)
    legs = [
        _Leg(option_type="call", strike=strike, premium=inputs.number("call"), contracts=contracts),
        _Leg(option_type="put", strike=strike, premium=inputs.number("put"), contracts=-contracts),
    ]
    return _trade(inputs, legs, price=inputs.number("S", above=0)).call(load("strategy"))


@adapter(
    "strategy_covered_call",
    reads="S K prem shares n mult class",
    calls="margin.strategy.Strategy, standing.evaluate",
    note="Shares bought, calls sold: what must be deposited. A covered call owes nothing beside its shares.",
)
def _covered_call(inputs: Inputs) -> object:
    return _with_shares(inputs, "call", -inputs.number("n", above=0))


@adapter(
    "strategy_protective_put",
    reads="S K prem shares n mult class",
    calls="margin.strategy.Strategy, standing.evaluate",
    note="Shares and puts bought: what must be deposited.",
)
def _protective_put(inputs: Inputs) -> object:
    return _with_shares(inputs, "put", inputs.number("n", above=0))


@adapter(
    "strategy_collar",
    reads="S put call n mult class",
    calls="margin.strategy.Strategy, standing.evaluate",
    note="n x mult shares and puts bought, calls sold; put and call: [strike, premium]. What must be deposited; the"
    " covered call owes nothing beside its shares.",
)
def _collar(inputs: Inputs) -> object:
    contracts = inputs.number("n", above=0)
    legs = [_leg(inputs, "put", "put", contracts), _leg(inputs, "call", "call", -contracts)]
    shares = contracts * inputs.number("mult", above=0)
    return _trade(inputs, legs, price=inputs.number("S", above=0), shares=shares).call(_deposited())


def _with_shares(inputs: Inputs, option_type: str, contracts: float) -> float:
    leg = _Leg(
        option_type=option_type,
        strike=inputs.number("K", above=0),
        premium=inputs.number("prem"),
        contracts=contracts,
    )
    trade = _trade(inputs, [leg], price=inputs.number("S", above=0), shares=inputs.number("shares", above=0))
    return trade.call(_deposited())


def _both(trade: _Trade, rules: Rules) -> dict[str, float]:
    return {"req": trade.call(rules, proceeds=False), "call": trade.call(rules)}


def _model(rules: Rules) -> Strategy:
    assert isinstance(rules.model, Strategy), "the shipped strategy rule book has this model"
    return rules.model


def _deposited() -> Rules:
    """Return the rule book as it is for a first deposit: shares at half their price, under a short call as well.

    That they count at no more than the call's strike is a rule of maintenance; the shipped rule book keeps it always.
    """
    rules = load("strategy")
    return replace(rules, model=replace(_model(rules), covered=0.0))


def _spreads_only() -> Rules:
    """Return the rule book with uncovered shorts as dear as can be: cases of spreads give no price for them."""
    rules = load("strategy")
    strictest = {"other": UncoveredRates(share=1.0, least=1.0)}
    return replace(rules, model=replace(_model(rules), uncovered_by_class=strictest))
