"""Trades: a pool with contracts bought and sold is what a book with those trades booked is margined as."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.instruments import KINDS, Option, Spot
from crossmargin.standing import evaluate
from crossmargin.whatif import Trades
from tests.portfolio_worlds import HOUSE, standing_of, worlds_and_orders
from tests.strategies import GRID, INSTRUMENTS, alone, market_of, rules_of, worlds

RULES = {"grid": rules_of(GRID), "portfolio": rules_of(HOUSE)}
quantities = st.lists(st.integers(-30, 30).map(lambda n: n / 10), min_size=3, max_size=3)


def booked(trades, quantity):
    """Return the standing of the whole book with the trades done row by row at the mark."""
    standing = trades.standing
    book, valuation, terms = standing.book, standing.valuation, standing.book.catalogue
    positions, balances = book.positions, book.balances
    account = list(book.accounts.ids).index(trades.account)
    held, entry, amount = positions.quantity.copy(), positions.entry_value.copy(), balances.amount.copy()
    priced = positions.priced.copy()
    for symbol, q, cost in zip(trades.symbols, quantity, trades.costs, strict=True):
        k = terms.number[symbol]
        mine = (positions.account == account) & (positions.instrument == k) & ~positions.isolated
        row = int(np.flatnonzero(mine)[0])
        settle = terms.settle[k]
        here = (balances.account == account) & (balances.asset == settle) & (balances.location == 0) & balances.final
        unit = valuation.unit_value[k]
        if terms.kind[k] == KINDS.index("option"):
            amount[here] -= q * unit
        else:
            entry[row] += q * unit + (held[row] - priced[row]) * unit
        held[row] += q
        priced[row] = held[row]
        amount[here] -= abs(q) * cost / valuation.fx[settle]
    changed = replace(
        book,
        positions=replace(positions, quantity=held, priced=priced, entry_value=entry),
        balances=replace(balances, amount=amount),
    )
    return evaluate(changed, standing.market, standing.rules)


@pytest.mark.parametrize("name", RULES)
@given(data=st.data(), chosen=st.permutations([i.symbol for i in INSTRUMENTS]), quantity=quantities)
@settings(max_examples=25)
def test_a_pool_after_trades_is_the_pool_of_the_book_that_has_them(name, data, chosen, quantity):
    world = data.draw(worlds())
    standing = world.standing(RULES[name])
    trades = Trades(standing, world.accounts[0].id, chosen[:3], dict.fromkeys(chosen[:3], 0.25))
    found = trades.at(np.array([[0.0] * 3, quantity]))
    for state, expected in enumerate((trades.standing, booked(trades, quantity))):
        p = trades.pool
        scale = 1.0 + abs(expected.worth.net_value[p]) + expected.maintenance_margin[p]
        for column, answer in (
            (found.margin_balance, expected.margin_balance),
            (found.maintenance, expected.maintenance_margin),
            (found.initial, expected.initial_margin),
        ):
            assert column[state] == pytest.approx(answer[p], rel=1e-9, abs=1e-9 * scale)


@given(drawn=worlds_and_orders())
@settings(max_examples=15)
def test_room_for_trades_changes_no_number_of_anybody(drawn):
    world, orders = drawn
    standing = standing_of(world, HOUSE, orders)
    trades = Trades(standing, world.accounts[0].id, [i.symbol for i in INSTRUMENTS])
    for name in ("margin_balance", "maintenance_margin", "initial_margin"):
        assert getattr(trades.standing, name) == pytest.approx(getattr(standing, name), rel=1e-12, abs=1e-9)


def test_a_contract_that_nobody_holds_is_priced_and_held_at_nothing():
    standing = alone({"BTC-PERP": 2.0}, {"USD": 500.0}, market=market_of()).standing(RULES["grid"])
    trades = Trades(standing, "a", ["ETH-PERP", "BTC-PERP", "ETH-PERP"])
    assert trades.symbols == ("ETH-PERP", "BTC-PERP")
    assert trades.held.tolist() == [0.0, 2.0]
    # 10 coins at 10 USDC of 0.999, and a coin at its mark.
    assert trades.notional.tolist() == pytest.approx([99.9, 100.2])


@pytest.mark.parametrize(
    ("account", "symbols", "costs", "says"),
    [
        ("bob", ["BTC-PERP"], None, "account: found 'bob'"),
        ("a", ["BTC-PERB"], None, "did you mean BTC-PERP"),
        ("a", ["BTC-SPOT"], None, "spot instrument"),
        ("a", ["BTC-PERP"], {"BTC-PERP": -1.0}, "costs: found BTC-PERP"),
        ("a", ["BTC-PERP"], {"BTC-PERP": float("nan")}, "costs: found BTC-PERP"),
    ],
)
def test_what_cannot_be_traded_is_refused(account, symbols, costs, says):
    spot = Spot(symbol="BTC-SPOT", underlying="BTC", quote="USD", asset_class="crypto")
    world = alone({"BTC-PERP": 1.0}, {"USD": 500.0}, market=market_of())
    standing = world.but(instruments=(*INSTRUMENTS, spot)).standing(RULES["grid"])
    with pytest.raises(InputError, match=says):
        Trades(standing, account, symbols, costs)


def test_notional_of_an_option_is_its_index_times_its_size():
    option = next(i for i in INSTRUMENTS if isinstance(i, Option) and i.contract_size == 2)
    standing = alone({option.symbol: 1.0}, {"USD": 500.0}, market=market_of()).standing(RULES["grid"])
    assert Trades(standing, "a", [option.symbol]).notional.tolist() == [200.0]
