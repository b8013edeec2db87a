"""Programs: no cheaper trades reach the target, by looking at every one there is; and what is told is margined anew."""

from dataclasses import replace
from decimal import Decimal
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.whatif import Trades, cheapest_close_out, cheapest_hedge
from tests.portfolio_worlds import HOUSE
from tests.strategies import GRID, INSTRUMENTS, alone, market_of, rules_of

LISTED = tuple(replace(i, lot_size=Decimal(1)) for i in INSTRUMENTS)
CHOICE = ["BTC-PERP", "BTC-C-110", "ETH-PERP"]
GRIDS, HOUSES = rules_of(GRID), rules_of(HOUSE)
lots = st.integers(-4, 4)


def standing_of(held, rules=GRIDS, cash=400.0):
    world = alone(dict(zip(CHOICE, map(float, held), strict=True)), {"USD": cash}, market=market_of())
    return world.but(instruments=LISTED).standing(rules)


def every(least, most):
    return np.array(list(product(*(range(a, b + 1) for a, b in zip(least, most, strict=True)))), dtype=np.float64)


@given(
    st.tuples(lots, lots, lots), st.sampled_from([0.2, 0.5, 0.8]), st.tuples(*[st.sampled_from([0.5, 1.0, 3.0])] * 3)
)
@settings(max_examples=25)
def test_no_hedge_within_reach_is_cheaper(held, share, price):
    assume(any(held))
    standing, costs = standing_of(held), dict(zip(CHOICE, price, strict=True))
    target = share * float(standing.maintenance_margin[0])
    assume(target > 0.0)
    plan = cheapest_hedge(standing, "a", target, CHOICE, costs)
    assert plan.after.maintenance_margin <= target
    trades = Trades(standing, "a", CHOICE, costs)
    states = every([-6] * 3, [6] * 3)
    reached = trades.at(states).maintenance <= target
    cheapest = float((np.abs(states[reached]) @ trades.costs).min())
    assert plan.cost <= cheapest + 1e-9 or not plan.proved
    assert plan.bound <= min(cheapest, plan.cost) + 1e-6


@pytest.mark.parametrize("rules", [GRIDS, HOUSES], ids=["grid", "portfolio"])
@given(held=st.tuples(lots, lots, lots), used=st.sampled_from([0.9, 1.0, 1.3]))
@settings(max_examples=20)
def test_no_close_out_is_cheaper_and_none_opens_or_flips_a_position(rules, held, used):
    assume(any(held))
    maintenance = float(standing_of(held, rules, 1e6).maintenance_margin[0])
    assume(maintenance > 1.0)
    balance = float(standing_of(held, rules, 0.0).margin_balance[0])
    standing = standing_of(held, rules, maintenance / used - balance)
    every_one = every([min(-q, 0) for q in held], [max(-q, 0) for q in held])
    costs = dict.fromkeys(CHOICE, 0.01)
    trades = Trades(standing, "a", CHOICE, costs)
    found = trades.at(every_one)
    reached = found.margin_balance >= 1.05 * found.maintenance
    if not reached.any():
        with pytest.raises(InputError, match="close-out: found no"):
            cheapest_close_out(standing, "a", costs=costs)
        return
    plan = cheapest_close_out(standing, "a", costs=costs)
    assert plan.after.margin_balance >= 1.05 * plan.after.maintenance_margin
    for trade in plan.trades:
        q = held[CHOICE.index(trade.symbol)]
        assert trade.quantity * q < 0
        assert abs(trade.quantity) <= abs(q)
    cheapest = float((np.abs(every_one[reached]) @ trades.costs).min())
    assert plan.bound <= cheapest + 1e-6
    if plan.proved:
        assert plan.cost <= cheapest + 1e-6


def test_a_spread_is_closed_as_a_package_where_a_leg_alone_would_ask_for_more():
    world = alone({"BTC-PERP": 4.0, "BTC-FUT": -2.0, "BTC-C-110": -1.0}, {"USD": 15.0}, market=market_of())
    standing = world.but(instruments=LISTED).standing(GRIDS)
    maintenance = standing.maintenance_margin[0]
    alone_is_worse = Trades(standing, "a", ["BTC-PERP"]).at(np.array([[-4.0]])).maintenance
    assert alone_is_worse[0] > 2 * maintenance
    plan = cheapest_close_out(standing, "a", 0.01, costs={"BTC-PERP": 0.001, "BTC-FUT": 0.001, "BTC-C-110": 1e3})
    assert {trade.symbol for trade in plan.trades} == {"BTC-PERP", "BTC-FUT"}
    assert plan.after.maintenance_margin < maintenance


def test_a_target_already_met_needs_no_trades():
    standing = standing_of((1, 0, 0))
    plan = cheapest_hedge(standing, "a", 1e6)
    assert (plan.trades, plan.cost, plan.bound, plan.proved) == ((), 0.0, 0.0, True)
    assert plan.before == plan.after


def test_what_is_told_adds_up_and_is_what_the_pool_is_margined_at():
    standing = standing_of((3, -2, 4))
    plan = cheapest_hedge(standing, "a", 0.3 * float(standing.maintenance_margin[0]))
    trades = Trades(standing, "a", [trade.symbol for trade in plan.trades])
    after = trades.at(np.array([[trade.quantity for trade in plan.trades]]))
    assert plan.after.maintenance_margin == pytest.approx(float(after.maintenance[0]), rel=1e-12)
    assert plan.cost == pytest.approx(sum(trade.cost for trade in plan.trades))
    assert plan.before.maintenance_margin == pytest.approx(float(standing.maintenance_margin[0]))
    assert plan.gap == pytest.approx(plan.cost - plan.bound)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda s: cheapest_hedge(s, "a", -1.0), "target margin: found -1.0"),
        (lambda s: cheapest_hedge(s, "a", float("nan")), "target margin"),
        (lambda s: cheapest_hedge(s, "a", 0.0, ["ETH-PERP"]), "hedge: found no trades"),
        (lambda s: cheapest_close_out(s, "a", -0.1), "buffer: found -0.1"),
        (lambda s: cheapest_close_out(s, "nobody"), "account: found 'nobody'"),
    ],
)
def test_what_cannot_be_is_refused(ask, says):
    with pytest.raises(InputError, match=says):
        ask(standing_of((2, 0, 0)))
