"""Standard option margin: short options by formula, futures by a share that grows with size."""

from math import nan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.book import Position
from crossmargin.errors import InvalidRules
from crossmargin.instruments import Option, Perpetual
from crossmargin.margin import FutureRates, OptionRates, StandardOption
from crossmargin.market import Mark, Market, VolSlice, VolSurface
from tests.margin.portfolios import portfolios_of

TIME = "2026-01-01T08:00:00Z"
EXPIRY = "2026-01-31T08:00:00Z"
OPTIONS = OptionRates(
    initial=0.15, initial_least=0.10, call_maintenance=0.075, put_maintenance=0.075, put_maintenance_of_value=0.075
)
FUTURES = FutureRates(initial=0.02, maintenance=0.01, initial_per_unit=0.00005, maintenance_per_unit=0.00005)
MODEL = StandardOption(futures_by_class={"other": FUTURES}, options_by_class={"other": OPTIONS})
PERP = Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USD", asset_class="crypto")
INVERSE = Perpetual(
    symbol="BTC-INVERSE", underlying="BTC", quote="USD", asset_class="crypto", inverse=True, contract_size=100
)


def option(option_type, strike, *, inverse=False, **terms):
    return Option(
        symbol="OPTION",
        underlying="BTC",
        quote="USD",
        option_type=option_type,
        strike=strike,
        expiry=EXPIRY,
        inverse=inverse,
        asset_class="crypto",
        **terms,
    )


def market_of(contract=None, *, index=30_000.0, forward=None, value=None, iv=None):
    if contract is None:
        return Market(time=TIME, fx={"BTC": index})
    day = contract.expiry.date()
    return Market(
        time=TIME,
        fx={"BTC": index},
        forwards={"BTC": {day: index if forward is None else forward}},
        marks={"OPTION": Mark(price=value, iv=iv)},
        vols={"BTC": VolSurface({day: VolSlice(strikes=(30_000.0,), vols=(0.5,))})},
    )


def margins(*positions, market, instruments, model=MODEL):
    """Return (maintenance, initial) of one account."""
    held = [Position(symbol=instrument.symbol, quantity=quantity) for instrument, quantity in positions]
    found = model.requirement(portfolios_of(instruments, market, held))
    return float(found.maintenance[0]), float(found.initial[0])


def option_margins(contract, quantity, model=MODEL, **market):
    return margins((contract, quantity), market=market_of(contract, **market), instruments=[contract], model=model)


@pytest.mark.parametrize(
    ("contract", "value", "maintenance", "initial"),
    [
        # per coin: max(0.15 - out, 0.10) + value; 0.075 + value
        (option("call", 30_000, inverse=True), 0.05, 0.125, 0.20),
        (option("call", 30_900, inverse=True), 0.05, 0.125, 0.17),  # 3% out of the money
        (option("call", 40_000, inverse=True), 0.01, 0.085, 0.11),  # far out: 10% is left
        (option("call", 20_000, inverse=True), 0.40, 0.475, 0.55),  # in the money: nothing comes off
        (option("put", 29_100, inverse=True), 0.05, 0.125, 0.17),
        (option("put", 60_000, inverse=True), 1.10, 1.1825, 1.25),  # 7.5% of its value is more than 0.075
        (option("put", 120_000, inverse=True), 3.0, 3.225, 3.225),  # and lifts initial margin too
    ],
)
def test_a_short_coin_settled_option_owes_its_formula_per_coin(contract, value, maintenance, initial):
    found = option_margins(contract, -2, value=value)
    assert found == pytest.approx((2 * maintenance * 30_000, 2 * initial * 30_000))


@pytest.mark.parametrize(
    ("contract", "value", "maintenance", "initial"),
    [
        (option("call", 31_000), 900.0, 0.075 * 30_000 + 900, 0.15 * 30_000 + 900),
        (option("call", 31_620), 700.0, 0.075 * 30_000 + 700, 0.13 * 30_000 + 700),  # 2% above the forward
        (option("put", 30_380), 800.0, 0.075 * 30_000 + 800, 0.13 * 30_000 + 800),  # 2% below it
        (option("put", 91_000), 60_000.0, 1.075 * 60_000, 1.075 * 60_000),
    ],
)
def test_a_short_linear_option_owes_its_formula_on_the_index_out_of_the_money_by_the_forward(
    contract, value, maintenance, initial
):
    found = option_margins(contract, -1, value=value, forward=31_000.0)
    assert found == pytest.approx((maintenance, initial))


def test_contract_size_scales_the_charge():
    small = option("call", 31_000, contract_size="0.01")
    assert option_margins(small, -100, value=900.0) == pytest.approx(
        option_margins(option("call", 31_000), -1, value=900.0)
    )


@given(st.sampled_from(["call", "put"]), st.booleans(), st.floats(0, 100))
def test_a_long_option_owes_nothing(option_type, inverse, quantity):
    assert option_margins(option(option_type, 31_000, inverse=inverse), quantity, iv=0.6) == (0, 0)


@pytest.mark.parametrize("quantity", [10, -10])
def test_a_future_owes_a_share_that_grows_with_its_size_in_coins(quantity):
    linear = margins((PERP, quantity), market=market_of(), instruments=[PERP])
    assert linear == pytest.approx((0.0105 * 300_000, 0.0205 * 300_000))
    # 3,000 contracts of 100 USD are 10 coins at 30,000
    inverse = margins((INVERSE, 300 * quantity), market=market_of(), instruments=[INVERSE])
    assert inverse == pytest.approx(linear)


def test_an_underlyings_own_rates_come_before_its_classs_and_those_before_other():
    def futures(rate):
        return FutureRates(initial=rate, maintenance=rate)

    def rate(model):
        return margins((PERP, 1), market=market_of(), instruments=[PERP], model=model)[0] / 30_000

    options = {"options_by_class": {"other": OPTIONS}}
    by_class = {"crypto": futures(0.2), "other": futures(0.3)}
    own = {"BTC": futures(0.1)}
    assert rate(StandardOption(futures_by_underlying=own, futures_by_class=by_class, **options)) == pytest.approx(0.1)
    assert rate(StandardOption(futures_by_class=by_class, **options)) == pytest.approx(0.2)
    assert rate(StandardOption(futures_by_class={"other": futures(0.3)}, **options)) == pytest.approx(0.3)
    dear = OptionRates(initial=0.5, initial_least=0.5, call_maintenance=0.5, put_maintenance=0.5)
    model = StandardOption(
        futures_by_class=by_class, options_by_class={"other": OPTIONS}, options_by_underlying={"BTC": dear}
    )
    assert option_margins(option("call", 30_000), -1, model, value=900.0) == pytest.approx((15_900, 15_900))


@pytest.mark.parametrize(
    "contract", [option("call", 31_000, price_domain="any"), option("call", 31_000, exercise="american")]
)
def test_options_on_prices_that_may_be_negative_and_american_ones_are_refused(contract):
    held = portfolios_of([contract], market_of(contract, value=900.0), [Position(symbol="OPTION", quantity=-1)])
    assert MODEL.refused(held).tolist() == [0]


def test_european_options_and_futures_are_not_refused():
    contract = option("call", 31_000)
    held = [Position(symbol="OPTION", quantity=-1), Position(symbol="BTC-PERP", quantity=1)]
    assert MODEL.refused(portfolios_of([contract, PERP], market_of(contract, value=900.0), held)).tolist() == []


RATES = {"initial": 0.15, "initial_least": 0.1, "call_maintenance": 0.075, "put_maintenance": 0.075}


@pytest.mark.parametrize(
    ("kind", "fields", "where"),
    [
        (OptionRates, RATES | {"initial": 15}, "initial: .*percent"),
        (OptionRates, RATES | {"initial_least": 0.2}, "initial_least.*at most initial"),
        (OptionRates, RATES | {"call_maintenance": 0}, "call_maintenance"),
        (OptionRates, RATES | {"put_maintenance": nan}, "put_maintenance"),
        (OptionRates, RATES | {"put_maintenance_of_value": -0.1}, "put_maintenance_of_value"),
        (FutureRates, {"initial": 0.01, "maintenance": 0.02}, "maintenance.*at most initial"),
        (FutureRates, {"initial": 0.02, "maintenance": 0.01, "maintenance_per_unit": 0.1}, "maintenance_per_unit"),
        (FutureRates, {"initial": 0, "maintenance": 0}, "initial"),
    ],
)
def test_rates_that_cannot_be_are_refused_by_name(kind, fields, where):
    with pytest.raises(InvalidRules, match=where):
        kind(**fields)


def test_a_class_nobody_knows_and_a_missing_other_are_refused():
    with pytest.raises(InvalidRules, match=r"futures_by_class.*crypto"):
        StandardOption(futures_by_class={"cripto": FUTURES, "other": FUTURES}, options_by_class={"other": OPTIONS})
    with pytest.raises(InvalidRules, match=r"options_by_class.*other"):
        StandardOption(futures_by_class={"other": FUTURES}, options_by_class={"crypto": OPTIONS})


# --- what the docstring claims


contracts = st.builds(option, st.sampled_from(["call", "put"]), st.floats(10_000, 90_000), inverse=st.booleans())
quantities = st.floats(-50, 50).filter(lambda q: q == 0 or abs(q) > 1e-6)


@given(contracts, quantities, st.floats(0.1, 3))
def test_initial_is_never_below_maintenance_and_neither_below_zero(contract, quantity, iv):
    maintenance, initial = option_margins(contract, quantity, iv=iv)
    assert 0 <= maintenance <= initial


@given(contracts, st.floats(-50, -0.01), st.floats(0.1, 3), st.floats(1, 20))
def test_options_are_homogeneous(contract, quantity, iv, n):
    one, many = (option_margins(contract, q, iv=iv) for q in (quantity, n * quantity))
    assert many == pytest.approx(tuple(n * x for x in one), rel=1e-12)


@given(contracts, quantities, quantities, st.floats(0.1, 3))
def test_options_are_sub_additive(contract, ours, theirs, iv):
    together, *apart = (option_margins(contract, q, iv=iv) for q in (ours + theirs, ours, theirs))
    for k in (0, 1):
        assert together[k] <= (apart[0][k] + apart[1][k]) * (1 + 1e-12) + 1e-9


@given(contracts, quantities, st.floats(0, 50), st.floats(0.1, 3))
def test_a_bought_option_never_raises_the_requirement(contract, quantity, bought, iv):
    before, after = (option_margins(contract, q, iv=iv) for q in (quantity, quantity + bought))
    assert np.all(np.array(after) <= np.array(before) * (1 + 1e-12))


@given(quantities, st.floats(1, 20))
def test_a_future_n_times_as_large_owes_at_least_n_times_as_much(quantity, n):
    one, many = (margins((PERP, q), market=market_of(), instruments=[PERP]) for q in (quantity, n * quantity))
    assert np.all(np.array(many) >= n * np.array(one) * (1 - 1e-12))


@given(contracts, quantities, st.floats(-1000, 1000), st.floats(0.1, 3))
def test_positions_in_different_instruments_owe_what_they_owe_alone(contract, options, contracts_held, iv):
    market = market_of(contract, iv=iv)

    def owed(*positions):
        return np.array(margins(*positions, market=market, instruments=[contract, PERP, INVERSE]))

    a, b, c = (contract, options), (PERP, options / 3), (INVERSE, contracts_held)
    assert owed(a, b, c) == pytest.approx(owed(a) + owed(b) + owed(c), rel=1e-12)


@given(contracts, st.floats(10_000, 90_000), st.floats(0.2, 2))
def test_the_requirement_is_continuous_in_the_price(contract, forward, iv):
    """A tick moves it by no more than a bounded slope: no cliff where an option crosses the money or a floor binds."""
    tick = 0.5
    here, there = (
        np.array(option_margins(contract, -1, index=price, forward=price, iv=iv)) for price in (forward, forward + tick)
    )
    # In coin x price at most: value (slope <= 1.075), 0.15 of the index, and out of the money over forward.
    assert np.all(np.abs(there - here) <= tick * (1.2 * float(contract.strike) / forward + 2.5))
