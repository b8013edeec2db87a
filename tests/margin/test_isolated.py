"""Closed forms: every price solves the equation it is named for, to rounding."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.margin import isolated

sides = st.sampled_from([1.0, -1.0])
sizes = st.floats(1e-3, 1e4)
prices = st.floats(1e-2, 1e6)
leverages = st.floats(1.5, 125)
rates = st.floats(0.001, 0.2)
fees = st.floats(0, 0.005)
linear = st.fixed_dictionaries({"side": sides, "size": sizes, "entry": prices})


def linear_equity(position, margin, price):
    return margin + isolated.linear_profit(**position, price=price)


def inverse_equity(position, margin, price):
    return margin + isolated.inverse_profit(**position, price=price)


@given(linear, leverages)
def test_at_the_linear_bankruptcy_price_nothing_is_left(position, leverage):
    margin = isolated.linear_entry_margin(size=position["size"], entry=position["entry"], leverage=leverage)
    price = isolated.linear_bankruptcy_price(**position, margin=margin)
    assert linear_equity(position, margin, price) == pytest.approx(0, abs=1e-9 * position["size"] * position["entry"])


@given(linear, leverages, rates, st.floats(0, 0.01), fees)
def test_at_the_linear_liquidation_price_equity_is_maintenance_on_the_mark(position, leverage, rate, share, fee):
    size, value = position["size"], position["size"] * position["entry"]
    margin, amount = isolated.linear_entry_margin(size=size, entry=position["entry"], leverage=leverage), share * value
    price = isolated.linear_liquidation_price(**position, margin=margin, rate=rate, amount=amount, fee=fee)
    owed = size * price * (rate + fee) - amount
    assert linear_equity(position, margin, price) == pytest.approx(float(owed), abs=1e-9 * value)


@given(linear, leverages, rates, st.floats(0, 0.01), fees)
def test_at_the_linear_liquidation_price_on_entry_equity_is_maintenance_on_entry(position, leverage, rate, share, fee):
    size, value = position["size"], position["size"] * position["entry"]
    margin, amount = isolated.linear_entry_margin(size=size, entry=position["entry"], leverage=leverage), share * value
    price = isolated.linear_liquidation_price_on_entry(**position, margin=margin, rate=rate, amount=amount, fee=fee)
    assert linear_equity(position, margin, price) == pytest.approx(value * (rate + fee) - amount, abs=1e-9 * value)


@given(linear, leverages, fees)
def test_at_the_inverse_bankruptcy_price_what_is_left_pays_the_fee(position, leverage, fee):
    coins = position["size"] / position["entry"]
    margin = isolated.inverse_entry_margin(size=position["size"], entry=position["entry"], leverage=leverage)
    price = isolated.inverse_bankruptcy_price(**position, margin=margin, fee=fee)
    left = inverse_equity(position, margin, price) - fee * position["size"] / price
    assert left == pytest.approx(0, abs=1e-9 * coins)


@given(linear, leverages, rates, fees)
def test_at_the_inverse_liquidation_price_equity_is_maintenance_on_the_mark(position, leverage, rate, fee):
    coins = position["size"] / position["entry"]
    margin = isolated.inverse_entry_margin(size=position["size"], entry=position["entry"], leverage=leverage)
    price = isolated.inverse_liquidation_price(**position, margin=margin, rate=rate, fee=fee)
    owed = (rate + fee) * position["size"] / price
    assert inverse_equity(position, margin, price) == pytest.approx(float(owed), abs=1e-9 * coins)


@given(linear, leverages, rates, fees)
def test_at_the_inverse_liquidation_price_on_entry_equity_is_maintenance_on_entry(position, leverage, rate, fee):
    coins = position["size"] / position["entry"]
    margin = isolated.inverse_entry_margin(size=position["size"], entry=position["entry"], leverage=leverage)
    price = isolated.inverse_liquidation_price_on_entry(**position, margin=margin, rate=rate, fee=fee)
    assert inverse_equity(position, margin, price) == pytest.approx((rate + fee) * coins, abs=1e-9 * coins)


@given(linear, st.floats(0, 1e4), st.lists(st.tuples(linear, prices, rates), max_size=3), rates)
def test_in_a_cross_account_total_equity_is_total_maintenance_with_the_others_standing_still(
    this, balance, others, rate
):
    profits = [isolated.linear_profit(**other, price=mark) for other, mark, _ in others]
    owed = [isolated.linear_maintenance(size=other["size"], price=mark, rate=r) for other, mark, r in others]
    margin = isolated.cross_margin(balance, profits=profits, maintenances=owed)
    price = isolated.linear_liquidation_price(**this, margin=margin, rate=rate)
    equity = balance + sum(profits) + isolated.linear_profit(**this, price=price)
    maintenance = sum(owed) + this["size"] * price * rate
    scale = balance + this["size"] * this["entry"] + sum(map(abs, profits)) + sum(owed)
    assert equity == pytest.approx(float(maintenance), abs=1e-9 * scale)


@given(linear, leverages, rates)
def test_a_long_is_liquidated_below_its_entry_and_a_short_above_and_both_before_they_are_bankrupt(
    position, leverage, rate
):
    margin = isolated.linear_entry_margin(size=position["size"], entry=position["entry"], leverage=leverage)
    margin = margin + position["size"] * position["entry"] * rate
    liquidated = isolated.linear_liquidation_price(**position, margin=margin, rate=rate)
    bankrupt = isolated.linear_bankruptcy_price(**position, margin=margin)
    side, entry = position["side"], position["entry"]
    assert side * (entry - liquidated) > 0
    assert side * (liquidated - bankrupt) > 0


@pytest.mark.parametrize(
    ("price", "expected"),
    [
        (isolated.linear_bankruptcy_price(side=1, size=20, entry=1000, margin=10_000), 500),
        (isolated.linear_bankruptcy_price(side=-1, size=20, entry=1000, margin=10_000), 1500),
        (isolated.linear_liquidation_price_on_entry(side=1, size=20, entry=1000, margin=10_000, rate=0.01), 510),
        (isolated.linear_liquidation_price(side=-1, size=1, entry=10, margin=2, rate=0.01, amount=0.01), 12.01 / 1.01),
        # 100,000 USD at 50,000 is 2 coins; 0.1 coin behind them
        (isolated.inverse_bankruptcy_price(side=1, size=100_000, entry=50_000, margin=0.1), 100_000 / 2.1),
        (isolated.inverse_bankruptcy_price(side=-1, size=100_000, entry=50_000, margin=0.1), 100_000 / 1.9),
        (isolated.inverse_liquidation_price(side=1, size=1e5, entry=5e4, margin=0.1, rate=0.01), 101_000 / 2.1),
        # the coins lost must be 0.1 - 0.02
        (isolated.inverse_liquidation_price_on_entry(side=1, size=1e5, entry=5e4, margin=0.1, rate=0.01), 1e5 / 2.08),
    ],
)
def test_prices_that_can_be_worked_out_by_hand(price, expected):
    assert float(price) == pytest.approx(expected, rel=1e-14)


def test_a_short_whose_margin_covers_every_coin_it_can_lose_is_bankrupt_at_no_price():
    position = {"side": -1, "size": 100_000, "entry": 50_000}
    assert isolated.inverse_bankruptcy_price(**position, margin=2.0) == -np.inf
    assert isolated.inverse_bankruptcy_price(**position, margin=3.0) < 0


def test_a_long_whose_margin_covers_its_value_is_bankrupt_at_no_positive_price():
    assert isolated.linear_bankruptcy_price(side=1, size=1, entry=100, margin=100) == 0
    assert isolated.linear_bankruptcy_price(side=1, size=1, entry=100, margin=150) < 0


def test_arguments_broadcast():
    found = isolated.linear_liquidation_price(
        side=np.array([[1], [-1]]), size=1.0, entry=np.array([100.0, 200.0, 300.0]), margin=10.0, rate=0.01
    )
    assert found.shape == (2, 3)
    assert found[1, 2] == isolated.linear_liquidation_price(side=-1, size=1, entry=300, margin=10, rate=0.01)


def test_what_is_reserved_for_orders_does_not_stand_behind_a_position():
    assert isolated.cross_margin(100.0, profits=[5.0, -20.0], maintenances=[3.0], reserved=7.0) == 75.0


@pytest.mark.parametrize(
    ("wrong", "named"),
    [({"side": 0}, "side"), ({"side": 2}, "side"), ({"size": 0.0}, "size"), ({"size": -1.0}, "size")],
)
def test_a_side_or_size_that_cannot_be_is_refused_by_name(wrong, named):
    with pytest.raises(ValueError, match=named):
        isolated.linear_bankruptcy_price(**{"side": 1, "size": 1.0, "entry": 100.0, "margin": 10.0, **wrong})


@given(linear, st.floats(-0.5, 0.9), st.floats(1.5, 100))
def test_seen_from_the_mark_what_is_left_is_just_maintenance_margin(position, share, leverage):
    side, size, mark = position["side"], position["size"], position["entry"]
    value = size * mark
    available = share * value
    price = isolated.linear_liquidation_price_by_leverage(
        side=side, size=size, mark=mark, available=available, leverage=leverage
    )
    margin = available + value / leverage
    assert linear_equity(position, margin, price) == pytest.approx(float(size * price / leverage), abs=1e-9 * value)


def test_it_agrees_with_the_form_that_starts_from_entry():
    terms = {"side": -1.0, "size": 3.0}
    by_leverage = isolated.linear_liquidation_price_by_leverage(
        **terms, mark=100.0, available=60.0 - 300 / 40, leverage=40.0
    )
    assert by_leverage == pytest.approx(
        float(isolated.linear_liquidation_price(**terms, entry=100.0, margin=60.0, rate=1 / 40))
    )


@pytest.mark.parametrize("leverage", [1.0, 0.5, float("nan")])
def test_a_maintenance_leverage_of_one_or_less_is_refused(leverage):
    with pytest.raises(ValueError, match="leverage"):
        isolated.linear_liquidation_price_by_leverage(side=1, size=1, mark=1, available=1, leverage=leverage)
