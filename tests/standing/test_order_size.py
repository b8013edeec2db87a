"""Order size: every size up to it stays within the target and the next does not, by evaluating books lot by lot."""

from dataclasses import replace
from decimal import Decimal
from math import inf

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Order, Pool, Position
from crossmargin.errors import InputError
from crossmargin.instruments import Option, Spot
from crossmargin.standing import max_order_size
from tests.portfolio_worlds import HOUSE, standing_of
from tests.strategies import (
    BRACKETS,
    FUTURES,
    GRID,
    INSTRUMENTS,
    STANDARD,
    World,
    accounts,
    alone,
    market_of,
    rules_of,
)
from tests.twins.prices import Prices

LOT = Decimal("0.5")
SPOT = Spot(symbol="BTC-SPOT", underlying="BTC", quote="USD", asset_class="crypto")
LISTED = tuple(replace(i, lot_size=LOT) for i in (*INSTRUMENTS, SPOT))
HOUSE_RULES = rules_of(HOUSE)
MOST = 240
"""Lots that the brute force looks at."""


def listed(world):
    return world.but(instruments=LISTED)


def mark(world, symbol):
    prices = Prices(world)
    instrument = prices.instruments[symbol]
    if isinstance(instrument, Option):
        return float(prices.contract(symbol)) / float(instrument.contract_size)
    return prices.mark(instrument)


def utilization(world, rules, orders=(), account="a"):
    standing = standing_of(world, rules, orders)
    names = sorted(a.id for a in world.accounts)
    p = int(standing.where.of_account[names.index(account)])
    initial, balance = float(standing.initial_margin[p]), float(standing.margin_balance[p])
    return initial / balance if balance > 0 else (0.0 if initial == balance == 0 else inf)


def ordered(world, symbol, quantity, limit, orders, account):
    """Return the utilization with one more open order."""
    more = Order(account=account, symbol=symbol, quantity=quantity, limit=limit)
    return utilization(world, HOUSE_RULES, (*orders, more), account)


def filled(world, rules, symbol, quantity, limit, account):
    """Return the utilization with the position on, entered at the limit, or its premium paid."""
    instrument = Prices(world).instruments[symbol]
    option = isinstance(instrument, Option)
    entry = None if option else limit
    paid = quantity * float(instrument.contract_size) * limit if option else 0.0

    def with_it(held):
        if held.id != account:
            return held
        positions = (
            *held.positions,
            Position(symbol=symbol, quantity=quantity, entry_price=entry, margin_mode="cross"),
        )
        money = (Balance(asset=instrument.settle, amount=-paid),) if paid else ()
        return replace(held, positions=positions, balances=(*held.balances, *money))

    if quantity == 0.0:
        return utilization(world, rules, (), account)
    return utilization(world.but(accounts=tuple(map(with_it, world.accounts))), rules, (), account)


def brute_force(used, target):
    """Return the last of the sizes 0, 1, ... lots up to which the target holds; None where it holds for all."""
    for lots in range(MOST + 1):
        if used(lots * float(LOT)) > target * (1 + 1e-12):
            return lots - 1
    return None


def assert_largest(found, used, target):
    most = brute_force(used, target)
    if most is None:
        assert found.quantity > MOST * float(LOT)
        assert used(found.quantity if found.quantity < inf else 1e6) <= target * (1 + 1e-9)
    elif most < 0:
        assert (found.quantity, found.binding) == (0.0, "already above")
    else:
        assert found.quantity == most * float(LOT)
        assert found.binding == "target"
        assert found.utilization_after == pytest.approx(used(found.quantity), rel=1e-9, abs=1e-12)
        beyond = used(found.quantity + float(LOT))
        assert found.utilization_beyond == (None if beyond == inf else pytest.approx(beyond, rel=1e-9))
        assert found.utilization_after <= target * (1 + 1e-12)


# --- against brute force


BOOKS = [
    ({"BTC-PERP": 4}, {"USD": 500}),
    ({"BTC-C-110": -4, "ETH-PERP": 1}, {"USD": 700, "BTC": 1}),
    ({"BTC-INV": 10}, {"BTC": 3, "USD": 200}),
    ({}, {"USD": 300}),
]
SYMBOLS = ["BTC-PERP", "BTC-C-110", "BTC-P-90", "BTC-INV", "BTC-COIN-C-105", "ETH-PERP"]


@pytest.mark.parametrize(("positions", "balances"), BOOKS)
@pytest.mark.parametrize("symbol", ["BTC-PERP", "BTC-P-90", "BTC-COIN-C-105", "BTC-SPOT"])
@pytest.mark.parametrize("side", ["buy", "sell"])
def test_an_open_order_is_as_large_as_brute_force_says(positions, balances, symbol, side):
    world = listed(alone(positions, balances, market=market_of()))
    orders = (Order(account="a", symbol="BTC-PERP", quantity=1, limit=99.0),)
    limit = 101.0 if symbol in ("BTC-PERP", "BTC-SPOT") else None
    standing = standing_of(world, HOUSE_RULES, orders)
    found = max_order_size(standing, "a", symbol, side, target=0.8, limit=limit)
    sign = 1.0 if side == "buy" else -1.0
    at = mark(world, symbol) if limit is None else limit
    assert found.limit == pytest.approx(at, rel=1e-12)
    assert not found.filled
    # Every tenth lot of large ones: a whole book is evaluated for each.
    lots = round(found.quantity / float(LOT)) if found.quantity < inf else MOST
    for n in {*range(0, lots, max(1, lots // 12)), lots}:
        assert ordered(world, symbol, sign * n * float(LOT), at, orders, "a") <= 0.8 * (1 + 1e-9)
    if found.quantity < inf:
        assert ordered(world, symbol, sign * (lots + 1) * float(LOT), at, orders, "a") > 0.8


@pytest.mark.parametrize("model", [GRID, BRACKETS, STANDARD], ids=["grid", "brackets", "standard"])
@pytest.mark.parametrize(("positions", "balances"), BOOKS[::2] + BOOKS[3:])
@pytest.mark.parametrize("side", ["buy", "sell"])
@pytest.mark.parametrize("symbol", ["BTC-PERP", "BTC-INV", "BTC-P-90"])
def test_a_filled_position_is_as_large_as_brute_force_says(model, positions, balances, side, symbol):
    if model is BRACKETS and symbol == "BTC-P-90":
        symbol = "ETH-PERP"
    rules = rules_of(model)
    world = listed(alone(positions, balances, market=market_of()))
    limit = 103.0 if symbol == "BTC-PERP" else mark(world, symbol)
    found = max_order_size(world.standing(rules), "a", symbol, side, limit=limit)
    sign = 1.0 if side == "buy" else -1.0
    assert found.filled
    assert_largest(found, lambda q: filled(world, rules, symbol, sign * q, limit, "a"), 1.0)


@given(
    accounts("a", FUTURES, most=3),
    st.sampled_from([i.symbol for i in FUTURES]),
    st.sampled_from(["buy", "sell"]),
    st.sampled_from([0.3, 1.0, 1.7]),
)
@settings(max_examples=8)
def test_it_is_what_brute_force_says_for_any_account(account, symbol, side, target):
    world = listed(World(accounts=(account,), market=market_of()))
    rules = rules_of(GRID)
    found = max_order_size(world.standing(rules), "a", symbol, side, target)
    sign = 1.0 if side == "buy" else -1.0
    assert_largest(found, lambda q: filled(world, rules, symbol, sign * q, found.limit, "a"), target)


# --- answers known beforehand


def test_a_reducing_order_is_followed_through_to_the_other_side():
    # Long 4 at 16% x 1.25 = 20 each, on 100 in cash: up to 5 long or short, so 9 to sell and 1 to buy.
    world = listed(alone({"BTC-PERP": 4}, {"USD": 100}, market=market_of().with_(marks={})))
    standing = world.standing(rules_of(GRID))
    sell, buy = (max_order_size(standing, "a", "BTC-PERP", side) for side in ("sell", "buy"))
    assert (sell.quantity, buy.quantity) == (9.0, 1.0)
    assert sell.utilization_before == buy.utilization_before == pytest.approx(0.8)
    assert (sell.utilization_after, buy.utilization_after) == pytest.approx((1.0, 1.0))
    assert sell.utilization_beyond == pytest.approx(1.1)


def test_an_open_order_never_makes_room_for_itself():
    # It may not fill: under the house rule book a sale against a long position is no relief until it has.
    world = listed(alone({"BTC-PERP": 4}, {"USD": 300}, market=market_of()))
    standing = standing_of(world, HOUSE_RULES)
    assert max_order_size(standing, "a", "BTC-PERP", "sell", target=0.5).utilization_beyond > 0.5
    used = [ordered(world, "BTC-PERP", -q, 100.2, (), "a") for q in (0, 1, 2, 4, 8)]
    assert used == sorted(used)


def test_a_target_already_exceeded_leaves_nothing():
    world = listed(alone({"BTC-PERP": 4}, {"USD": 70}, market=market_of().with_(marks={})))
    found = max_order_size(world.standing(rules_of(GRID)), "a", "BTC-PERP", "sell")
    assert (found.quantity, found.binding) == (0.0, "already above")
    assert found.utilization_before > 1.0
    # One lot less is a step in the right direction, which is told.
    assert found.utilization_beyond < found.utilization_before


def test_an_account_without_a_balance_can_order_nothing():
    found = max_order_size(listed(alone({}, {}, market=market_of())).standing(rules_of(GRID)), "a", "BTC-PERP", "buy")
    assert (found.quantity, found.binding, found.utilization_before) == (0.0, "target", 0.0)
    assert found.utilization_beyond is None


def test_an_order_that_never_uses_anything_has_no_limit():
    # A peg that holds: a grid without a range asks nothing of it.
    world = alone({}, {"USD": 100}, market=market_of())
    free = replace(world.instruments[0], symbol="USDC-PERP", underlying="USDC", asset_class="stablecoin")
    world = world.but(instruments=(*world.instruments, free))
    found = max_order_size(world.standing(rules_of(GRID)), "a", "USDC-PERP", "buy")
    assert (found.quantity, found.binding, found.utilization_after) == (inf, "nothing", None)


def test_sizes_are_rounded_down_to_the_lot():
    whole = replace(INSTRUMENTS[0], lot_size=Decimal("0.7"))
    world = alone({}, {"USD": 100}, market=market_of().with_(marks={}), instruments=(whole,))
    assert max_order_size(world.standing(rules_of(GRID)), "a", "BTC-PERP", "buy").quantity == 4.9
    fine = world.but(instruments=(INSTRUMENTS[0],))
    assert max_order_size(fine.standing(rules_of(GRID)), "a", "BTC-PERP", "buy").quantity == 5.0


def test_a_worse_limit_leaves_room_for_less():
    world = listed(alone({}, {"USD": 100}, market=market_of()))
    for standing in (world.standing(rules_of(GRID)), standing_of(world, HOUSE_RULES)):
        sizes = [max_order_size(standing, "a", "BTC-PERP", "buy", limit=x).quantity for x in (100.2, 110.0, 125.0)]
        assert sizes[0] > sizes[1] > sizes[2] > 0


def test_a_member_orders_on_the_balance_of_its_pool():
    members = (
        Account(id="cash", owner="o", balances=(Balance(asset="USD", amount=200),)),
        Account(id="trader", owner="o"),
    )
    world = World(
        accounts=members,
        market=market_of().with_(marks={}),
        pools=(Pool(id="p", accounts=("cash", "trader")),),
        instruments=LISTED,
    )
    assert max_order_size(world.standing(rules_of(GRID)), "trader", "BTC-PERP", "buy").quantity == 10.0


@pytest.mark.parametrize(
    ("terms", "place"),
    [
        ({"account": "b"}, "account"),
        ({"symbol": "BTC-PERPS"}, "symbol"),
        ({"side": "long"}, "side"),
        ({"target": 0.0}, "target"),
        ({"target": inf}, "target"),
        ({"limit": 0.0}, "limit"),
        ({"symbol": "BTC-SPOT"}, "spot"),
    ],
    ids=str,
)
def test_what_cannot_be_asked_is_refused(terms, place):
    world = listed(alone({"BTC-PERP": 4}, {"USD": 100}, market=market_of()))
    with pytest.raises(InputError, match=place):
        max_order_size(world.standing(rules_of(GRID)), **{"account": "a", "symbol": "BTC-PERP", "side": "buy", **terms})
