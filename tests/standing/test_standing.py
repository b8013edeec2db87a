"""How a pool stands: levels at their boundaries, what is refused, greeks against small moves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Book, Order, Position
from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.errors import InvalidMarket, MissingPrice, NotMargined
from crossmargin.instruments import Option
from crossmargin.margin.grid import Grid
from crossmargin.market import Mark
from crossmargin.scenarios import GridShape
from crossmargin.standing import Status, evaluate, greeks
from tests.strategies import (
    BRACKETS,
    EXPECTED_SHORTFALL,
    GRID,
    INSTRUMENTS,
    MONTH,
    STANDARD,
    TIME,
    World,
    alone,
    market_of,
    markets,
    option,
    positions,
    rules_of,
)
from tests.twins.moved import Walk
from tests.twins.standing import status_of

# Price range a quarter, initial factor 1.5: one coin at 100 has MM 25, IM 37.5, and calls from 30 at level 1.2.
QUARTERS = Grid(shape=GridShape(range_by_class={"other": 0.25}), initial_factor=1.5)
RULES = rules_of(QUARTERS, call_level=1.2)
MARKET = market_of().with_(marks={})


def status(cash, quantity=1.0, rules=RULES, **balances):
    world = alone({"BTC-PERP": quantity}, {"USD": cash, **balances}, market=MARKET, assets=())
    return Status(int(world.standing(rules).status[0])).label


@pytest.mark.parametrize(
    ("cash", "expected"),
    [
        (100.0, "healthy"),
        (37.5, "healthy"),
        (37.49, "warning"),
        (30.01, "warning"),
        (30.0, "call"),
        (25.01, "call"),
        (25.0, "liquidation"),
        (0.0, "liquidation"),
        (-0.01, "bankrupt"),
    ],
)
def test_every_level_begins_at_its_boundary(cash, expected):
    assert status(cash) == status(cash, -1.0) == expected


def test_a_rule_book_without_calls_warns_until_liquidation():
    assert status(25.01, rules=rules_of(QUARTERS, call_level=None)) == "warning"


def test_bankruptcy_is_about_net_value_and_never_about_haircuts():
    # 100 coins at 100 less 20% against a debt of 9,500: equity -1,500, net value +500.
    plain = HaircutPolicy(by_class={"other": Tiers.flat(0.2)})
    rules = rules_of(QUARTERS, haircuts=plain)
    standing = alone((), {"BTC": 100, "USD": -9_500}, market=MARKET, assets=()).standing(rules)
    assert standing.worth.equity[0] == -1_500
    assert standing.worth.net_value[0] == 500
    assert standing.status[0] == Status.LIQUIDATION
    standing = alone((), {"BTC": 100, "USD": -10_001}, market=MARKET, assets=()).standing(rules)
    assert standing.status[0] == Status.BANKRUPT


def test_a_pool_that_owes_nothing_is_healthy_whatever_its_haircuts():
    all_lost = rules_of(QUARTERS, haircuts=HaircutPolicy(by_class={"other": Tiers.flat(1.0)}))
    standing = alone({"BTC-C-110": 3}, {"BTC": 1}, market=market_of(), assets=()).standing(all_lost)
    assert not standing.owes[0]
    assert standing.status[0] == Status.HEALTHY


def test_a_debt_in_money_alone_needs_no_margin_and_is_not_liquidated():
    # Equity 0 meets a requirement of 0; below it the pool is bankrupt, and never in liquidation.
    standing = alone((), {"USD": -10, "EUR": 20}, market=MARKET, assets=()).standing(
        rules_of(Grid(shape=GridShape(range_by_class={"other": 0.0})))
    )
    assert standing.maintenance_margin[0] == 0
    assert standing.status[0] == Status.HEALTHY


@given(
    st.floats(-100, 100),
    st.floats(0, 100),
    st.floats(0, 100),
    st.floats(0, 60),
    st.one_of(st.none(), st.floats(1, 2)),
    st.booleans(),
)
def test_the_levels_are_those_of_the_formats_in_their_order(net, haircut, maintenance, more, call_level, owes):
    from crossmargin.standing.standing import Worth
    from crossmargin.standing.standing import status_of as codes_of

    worth = Worth(
        balances=np.array([net]),
        haircut=np.array([haircut]),
        unrealized_pnl=np.zeros(1),
        net_option_value=np.zeros(1),
        initial_only=np.zeros(1),
    )
    code = codes_of(
        worth,
        np.array([maintenance + more]),
        np.array([maintenance]),
        rules_of(QUARTERS, call_level=call_level),
        np.array([owes]),
    )
    expected = status_of(net, net - haircut, maintenance + more, maintenance, call_level, owes)
    assert Status(int(code[0])).label == expected


def test_isolated_positions_lose_no_more_than_their_own_collateral_s_pool():
    held = (
        Position(symbol="BTC-PERP", quantity=1, entry_price=140.0, margin_mode="isolated", isolated_collateral=39.0),
    )
    account = Account(id="a", positions=held, balances=(Balance(asset="USD", amount=1_000),))
    standing = World(accounts=(account,), market=MARKET, assets=()).standing(RULES)
    assert [Status(int(s)).label for s in standing.status] == ["healthy", "bankrupt"]
    assert standing.worth.net_value.tolist() == [1_000, -1]


def test_the_fenced_collateral_of_a_position_counts_in_full():
    held = Position(symbol="BTC-INV", quantity=10, margin_mode="isolated", isolated_collateral=0.5)
    world = World(accounts=(Account(id="a", positions=(held,)),), market=MARKET)
    standing = world.standing(rules_of(GRID))
    assert standing.worth.haircut[1] == 0
    assert standing.worth.equity[1] == pytest.approx(50)
    # 100 dollars long in coin lose nothing in dollars beyond the 16% of the half coin that secures them:
    # short 1 coin against dollars of a constant value 100, and half a coin long.
    assert standing.maintenance_margin[1] == pytest.approx(0.16 * 100 + 0.16 * 50)


# --- refusals


@pytest.mark.parametrize(
    ("changes", "place", "account"),
    [
        ({"prices": {}}, "market.prices.BTC", "(affects a)"),
        ({"prices": {"BTC": -5.0}}, "market.prices.BTC", "(affects a)"),
        ({"marks": {"BTC-PERP": Mark(price=0.0)}}, "market.marks.BTC-PERP.price", "(affects a)"),
    ],
)
def test_a_price_that_is_missing_or_cannot_be_names_the_accounts_it_affects(changes, place, account):
    world = alone({"BTC-PERP": 1}, {"USD": 1}, market=MARKET.with_(**changes))
    with pytest.raises((MissingPrice, InvalidMarket)) as error:
        world.standing(RULES)
    assert place in str(error.value)
    assert account in str(error.value)


def test_a_balance_without_a_value_names_its_owners():
    world = alone((), {"STETH": 1}, market=MARKET.with_(fx={}))
    with pytest.raises(MissingPrice, match=r"market\.fx\.STETH: found nothing \(affects a\)"):
        world.standing(RULES)


def test_an_option_without_a_mark_is_an_error_that_says_what_would_do():
    with pytest.raises(MissingPrice, match=r"market\.marks\.BTC-C-110.*an iv, a price that can be inverted, or vols"):
        alone({"BTC-C-110": 1}, market=MARKET).standing(RULES)


def test_contracts_a_rule_book_does_not_know_are_refused_with_their_holders():
    with pytest.raises(NotMargined, match="BTC-C-110, held by a"):
        alone({"BTC-C-110": 1}, market=market_of()).standing(rules_of(BRACKETS))
    with pytest.raises(NotMargined, match="OIL-C-5, held by a"):
        alone({"OIL-C-5": 1}, market=market_of()).standing(rules_of(STANDARD))
    american = option("AM", "BTC", "put", 90, exercise="american")
    market = market_of().with_(marks={"AM": Mark(iv=0.5)})
    for model in (GRID, EXPECTED_SHORTFALL, STANDARD):
        with pytest.raises(NotMargined, match="AM, held by a"):
            alone({"AM": 1}, market=market, instruments=(american,)).standing(rules_of(model))


def test_expired_contracts_may_be_listed_and_not_held():
    past = option("PAST", "BTC", "call", 100, "2025-12-26T08:00:00Z")
    instruments = (*INSTRUMENTS, past)
    assert alone({"BTC-PERP": 1}, market=market_of(), instruments=instruments).standing(RULES).pools.count == 1
    with pytest.raises(InvalidMarket, match=r"PAST.*not after the market time 2026-01-01T08:00:00Z \(affects a\)"):
        alone({"PAST": 1}, market=market_of(), instruments=instruments).standing(RULES)


def test_a_book_is_evaluated_in_the_currency_it_was_built_with():
    book = Book.of([Account(id="a", balances=(Balance(asset="USD", amount=1),))], currency="USD")
    with pytest.raises(NotMargined, match="reporting currency"):
        evaluate(book, MARKET.with_(currency="CHF", fx={"USD": 0.9}), RULES)


def test_a_history_is_needed_for_what_contracts_settle_in():
    market = market_of().with_(history=_without("EUR"))
    held = {"DAX-PERP": 1}
    with pytest.raises(InvalidMarket, match="no usable series of EUR"):
        alone(held, market=market).standing(rules_of(EXPECTED_SHORTFALL))


def _without(name):
    from crossmargin.market import History
    from tests.strategies import HISTORY

    kept = [k for k, series in enumerate(HISTORY.names) if series != name]
    return History(days=HISTORY.days, names=tuple(HISTORY.names[k] for k in kept), closes=HISTORY.closes[:, kept])


# --- greeks


def worth_at(world, asset, price):
    standing = Walk(world, rules_of(GRID), 0, asset).at(price)
    return float(standing.worth.net_value[0])


@given(markets(), st.data())
@settings(max_examples=10)
def test_delta_and_gamma_are_what_one_percent_of_the_price_does(market, data):
    held = data.draw(positions(isolated=False, most=4))
    world = alone(held, {"BTC": 2, "USD": 50}, market=market)
    found = greeks(world.standing(rules_of(GRID)))
    assets = world.book().catalogue.assets
    for k in range(len(found.pool)):
        asset = assets[found.asset[k]].symbol
        if asset not in ("BTC", "ETH", "OIL", "DAX"):
            continue
        now, step = market.prices[asset], 1e-4
        if asset == "OIL" and abs(now) < 1:
            continue
        size = step * now
        up, here, down = (worth_at(world, asset, now + d) for d in (size, 0.0, -size))
        scale = abs(here) + 100.0
        assert (up - down) / (2 * step) / 100 == pytest.approx(found.delta_cash[k], rel=1e-4, abs=1e-5 * scale)
        bend = (up - 2 * here + down) / step**2 / 1e4
        assert bend == pytest.approx(found.gamma[k], rel=1e-2, abs=1e-4 * scale)


@given(markets(), st.data())
@settings(max_examples=10)
def test_vega_is_what_one_vol_point_does_and_theta_what_a_day_does(market, data):
    options = [i for i in INSTRUMENTS if isinstance(i, Option) and i.underlying == "BTC"]
    held = data.draw(positions(options, isolated=False, most=4))
    world = alone(held, market=market)
    found = greeks(world.standing(rules_of(GRID)))

    def worth(**changes):
        return float(world.but(market=market.with_(**changes)).standing(rules_of(GRID)).worth.net_value[0])

    def vols(step):
        return {s: Mark(price=m.price, iv=None if m.iv is None else m.iv + step) for s, m in market.marks.items()}

    if not len(found.pool):
        return
    scale = abs(worth()) + 10
    vega = (worth(marks=vols(1e-5)) - worth(marks=vols(-1e-5))) / 2e-5 / 100
    assert found.vega.sum() == pytest.approx(vega, rel=1e-5, abs=1e-6 * scale)


def test_a_day_of_theta_is_what_a_short_time_costs_scaled():
    from datetime import timedelta

    option_ = option("X", "BTC", "call", 105, MONTH)
    market = market_of().with_(marks={"X": Mark(iv=0.6)})
    world = alone({"X": 10}, market=market, instruments=(option_,))
    found = greeks(world.standing(rules_of(GRID)))
    minute = timedelta(minutes=1)
    later = world.but(market=market.with_(time=TIME + minute)).standing(rules_of(GRID))
    lost = float(later.worth.net_value[0] - world.standing(rules_of(GRID)).worth.net_value[0])
    assert found.theta[0] == pytest.approx(lost * 1440, rel=1e-3)
    assert found.theta[0] < 0


def test_open_orders_that_no_rule_margins_are_said_to_be_so():
    accounts = (Account(id="a", balances=(Balance(asset="USD", amount=100.0),)),)
    orders = (Order(account="a", symbol="BTC-PERP", quantity=1, limit=90.0),)
    with_order = Book.of(accounts, INSTRUMENTS, orders=orders)
    without = Book.of(accounts, INSTRUMENTS)
    (warning,) = evaluate(with_order, MARKET, RULES).warnings
    assert warning.startswith("1 open order(s) not margined")
    assert evaluate(without, MARKET, RULES).warnings == ()
