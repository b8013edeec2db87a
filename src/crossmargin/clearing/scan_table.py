"""What lots may lose and are worth, instrument by instrument: the table that a scan is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from crossmargin.book import Account, Book, Position
from crossmargin.clearing.books import Terms, known, market_of
from crossmargin.errors import InvalidRules
from crossmargin.market import Market
from crossmargin.rules import Rules
from crossmargin.standing import evaluate
from crossmargin.units import FloatArray, IntArray

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScanTable:
    """What lots may lose and are worth, at the marks there are; in minor units of the reporting currency."""

    losses: FloatArray
    """(instruments, scenarios) loss of one long lot; a gain is negative."""
    group: IntArray
    """(instruments,) number of the group in which losses offset, from 0."""
    lot_value: FloatArray
    """(instruments,) value of one lot at the mark; NaN where there is none, and nothing new may be traded then."""
    money: FloatArray
    """(assets,) value of one minor unit that is owed or paid; 0 where nothing is known."""
    counted: FloatArray
    """(assets,) the same of one that is owned, after haircut."""


def grid_table(rules: Rules, market: Market) -> Callable[[State], ScanTable]:
    """Return what makes tables of a rule book's price x vol grid, one group of offsets an underlying group.

    The grid without its floors: collateral does not move, and there is no short-option minimum. What pools that hold
    linear contracts and the reporting currency must have is what the rule book says. Collateral counts after the
    haircut of its last slice. market: as for `RuleBookView`. InvalidRules where the rule book has no grid.
    """
    if rules.model_name != "grid":
        raise InvalidRules(f"rule book {rules.name}, model", rules.model_name, "grid: a scan is made of its cells")
    model = rules.model

    def table(state: State) -> ScanTable:
        instruments, assets = len(state.parties.instruments), len(state.parties.assets)
        priced = [k for k in range(instruments) if known(state, k)]
        if not priced:
            return _unknown(state)
        terms = Terms.of(state)
        now = market_of(state, market)
        symbols = [state.parties.instruments[k].contract.instrument.symbol for k in priced]
        one = Account(id="one", positions=[Position(symbol=symbol, quantity=1.0) for symbol in symbols])
        book = Book.of(
            [one], terms.catalogue.instruments, assets=terms.catalogue.assets, currency=now.currency
        )  # fmt: skip
        standing = evaluate(book, now, rules)
        catalogue, valuation = standing.valuation.catalogue, standing.valuation
        risk = model.risk_table(standing.portfolios)  # type: ignore[attr-defined]  # a grid has one
        number = np.array([catalogue.number[symbol] for symbol in symbols], dtype=np.int64)
        unit = terms.unit[state.currency]
        losses = np.zeros((instruments, len(risk.weight)))
        losses[priced] = -(risk.pnl[risk.of_contract[number]] * risk.weight) * terms.lot[priced, None] * unit
        lot_value = np.full(instruments, np.nan)
        lot_value[priced] = (valuation.unit_value * valuation.settle_fx)[number] * terms.lot[priced] * unit
        blocks = model.blocks(catalogue)[catalogue.underlying]
        of_instrument = [catalogue.number[listing.contract.instrument.symbol] for listing in state.parties.instruments]
        _, group = np.unique(blocks[of_instrument], return_inverse=True)
        money = np.array([_value(now, terms, k) for k in range(assets)]) * unit / terms.unit
        lot_value[priced] += terms.fixed[priced] * money[terms.settle[priced]]
        kept = np.array(
            [
                1.0 - rules.haircuts.tiers(terms.catalogue.assets[terms.asset[k]], now.currency).slices[-1][1]
                for k in range(assets)
            ]
        )
        return ScanTable(
            losses=losses, group=group.astype(np.int64), lot_value=lot_value, money=money, counted=money * kept
        )

    return table


def _unknown(state: State) -> ScanTable:
    """Return the table of a house without marks: nothing may be traded yet, and only the reporting currency counts."""
    instruments = len(state.parties.instruments)
    money = np.zeros(len(state.parties.assets))
    money[state.currency : state.currency + 1] = 1.0
    return ScanTable(
        losses=np.zeros((instruments, 1)),
        group=np.zeros(instruments, dtype=np.int64),
        lot_value=np.full(instruments, np.nan),
        money=money,
        counted=money,
    )


def _value(market: Market, terms: Terms, asset: int) -> float:
    """Return what one unit of an asset is worth in the reporting currency; 0 where nothing is known."""
    symbol = terms.catalogue.assets[terms.asset[asset]].symbol
    if symbol == market.currency:
        return 1.0
    return float(market.fx.get(symbol, 0.0))
