"""Leverage brackets: the ladder itself, and positions charged on it."""

from math import inf, nan, nextafter

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from crossmargin.book import Position
from crossmargin.errors import InvalidRules
from crossmargin.instruments import Future, Option, Perpetual
from crossmargin.margin import Brackets, Tiers, isolated, next_amount
from crossmargin.market import Mark, Market
from tests.margin.portfolios import portfolios_of

TIERS = Tiers(floor=(0, 50_000, 250_000), maintenance_rate=(0.004, 0.005, 0.01), initial_rate=(0.01, 0.02, 0.05))
TIME = "2026-01-01T08:00:00Z"
PERP = Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USD", asset_class="crypto")
INVERSE = Perpetual(
    symbol="BTC-INVERSE", underlying="BTC", quote="USD", asset_class="crypto", inverse=True, contract_size=100
)
OIL = Future(
    symbol="OIL",
    underlying="WTI",
    quote="USD",
    contract_size=1000,
    asset_class="energy",
    expiry="2026-01-20T08:00:00Z",
    price_domain="any",
)
EURO = Perpetual(symbol="BTC-EUR", underlying="BTC", quote="EUR", asset_class="crypto")
MODEL = Brackets(tiers_by_class={"other": TIERS})
MARKET = Market(
    time=TIME,
    prices={"WTI": 71.0},
    fx={"BTC": 30_000, "EUR": 1.1},
    forwards={"WTI": {OIL.expiry.date(): 71.0}},
)

quantities = st.floats(-40, 40).filter(lambda q: q == 0 or abs(q) > 1e-6)


def held(instrument, quantity, entry=None):
    return Position(symbol=instrument.symbol, quantity=quantity, entry_price=entry)


def margins(model, *positions, instruments=(PERP, INVERSE, OIL, EURO), market=MARKET):
    """Return (maintenance, initial) of one account."""
    found = model.requirement(portfolios_of(instruments, market, positions))
    return float(found.maintenance[0]), float(found.initial[0])


# --- the ladder


def test_the_continuity_term_of_a_bracket_follows_from_the_one_below():
    assert next_amount(floor=50, rate=0.05, previous_rate=0.025, previous_amount=0.56) == pytest.approx(1.81)
    assert TIERS.maintenance_amount == pytest.approx((0, 50, 1300))
    assert TIERS.initial_amount == pytest.approx((0, 500, 8000))


@pytest.mark.parametrize(
    ("notional", "maintenance", "initial"),
    [
        (0, 0, 0),
        (10_000, 40, 100),
        (50_000, 200, 500),
        (60_000, 250, 700),
        (250_000, 1200, 4500),
        (1_000_000, 8700, 42_000),
    ],
)
def test_each_slice_is_charged_at_its_own_rate(notional, maintenance, initial):
    assert TIERS.maintenance(notional) == pytest.approx(maintenance)
    assert TIERS.initial(notional) == pytest.approx(initial)


@st.composite
def ladders(draw):
    steps = draw(st.lists(st.floats(1, 1e6), max_size=6))
    rates = sorted(draw(st.lists(st.floats(1e-4, 1), min_size=len(steps) + 1, max_size=len(steps) + 1)))
    share = draw(st.floats(0.1, 1))
    floor = np.concatenate(([0.0], np.cumsum(steps)))
    return Tiers(
        floor=tuple(floor.tolist()),
        maintenance_rate=tuple(rate * share for rate in rates),
        initial_rate=tuple(rates),
    )


@given(ladders(), st.floats(0, 1e7))
def test_the_charge_is_the_rate_on_the_whole_less_the_continuity_term(tiers, notional):
    n = sum(notional >= floor for floor in tiers.floor) - 1
    expected = notional * tiers.maintenance_rate[n] - tiers.maintenance_amount[n]
    assert float(tiers.maintenance(notional)) == pytest.approx(expected, rel=1e-12, abs=1e-9 * notional)


@given(ladders(), st.floats(1e-3, 1e7))
def test_the_charge_does_not_fall_from_one_float_to_the_next_and_has_no_jump(tiers, notional):
    for at in (notional, *tiers.floor[1:]):
        low, here, high = tiers.maintenance(np.array([nextafter(at, 0), at, nextafter(at, inf)]))
        assert low <= here <= high
        assert high - low <= 4 * np.spacing(at)


@given(ladders(), st.floats(0, 1e7), st.floats(0, 1e7), st.floats(0, 1))
def test_the_charge_is_convex_and_initial_is_never_below_maintenance(tiers, a, b, share):
    mixed = share * a + (1 - share) * b
    chord = share * tiers.maintenance(a) + (1 - share) * tiers.maintenance(b)
    assert tiers.maintenance(mixed) <= chord + 1e-9 * max(a, b)
    assert tiers.initial(mixed) >= tiers.maintenance(mixed)


@pytest.mark.parametrize(
    ("floor", "maintenance", "initial", "where"),
    [
        ((), (), (), "floor"),
        ((1,), (0.01,), (0.02,), r"floor\[0\]"),
        ((0, 0), (0.01, 0.02), (0.02, 0.04), r"floor\[1\]"),
        ((0, 100, 50), (0.01, 0.02, 0.03), (0.02, 0.04, 0.05), r"floor\[2\]"),
        ((0, nan), (0.01, 0.02), (0.02, 0.04), r"floor\[1\]"),
        ((0, inf), (0.01, 0.02), (0.02, 0.04), r"floor\[1\]"),
        ((0,), (0.0,), (0.02,), r"maintenance_rate\[0\]"),
        ((0,), (nan,), (0.02,), r"maintenance_rate\[0\]"),
        ((0,), (0.03,), (0.02,), r"maintenance_rate\[0\].*initial rate"),
        ((0,), (0.5,), (5.0,), r"initial_rate\[0\].*percent"),
        ((0, 100), (0.02, 0.01), (0.02, 0.04), r"maintenance_rate\[1\].*0.01 after 0.02"),
        ((0, 100), (0.01, 0.01), (0.04, 0.02), r"initial_rate\[1\].*0.02 after 0.04"),
        ((0, 100), (0.01,), (0.04, 0.05), "maintenance_rate.*1 rates.*2"),
    ],
)
def test_a_ladder_that_is_not_monotone_is_refused_with_the_place(floor, maintenance, initial, where):
    with pytest.raises(InvalidRules, match=where):
        Tiers(floor=floor, maintenance_rate=maintenance, initial_rate=initial)


@pytest.mark.parametrize(
    ("fields", "where"),
    [
        ({"tiers_by_class": {}}, "tiers_by_class.*other"),
        ({"tiers_by_class": {"cryto": TIERS, "other": TIERS}}, "cryto.*crypto"),
        ({"taker_fee": -0.1}, "taker_fee"),
        ({"taker_fee": nan}, "taker_fee"),
        ({"maintenance_on": "index"}, "maintenance_on.*mark or entry"),
    ],
)
def test_wrong_parameters_are_refused_with_the_place(fields, where):
    with pytest.raises(InvalidRules, match=where):
        Brackets(**{"tiers_by_class": {"other": TIERS}, **fields})


# --- positions


@pytest.mark.parametrize(
    ("position", "maintenance", "initial"),
    [
        (held(PERP, 2), 250, 700),  # 60,000 USD
        (held(PERP, -10), 1700, 7000),  # 300,000 USD
        (held(INVERSE, 600), 250, 700),  # 600 x 100 USD, whatever the price
        (held(INVERSE, -600), 250, 700),
        (held(EURO, 2), (50_000 * 0.004 + (60_000 / 1.1 - 50_000) * 0.005) * 1.1, None),  # brackets in EUR
        (held(OIL, 1), 50_000 * 0.004 + 21_000 * 0.005, 500 + 21_000 * 0.02),
        (held(PERP, 0), 0, 0),
    ],
    ids=["long", "short", "inverse long", "inverse short", "quoted in euro", "contract of 1000", "nothing held"],
)
def test_a_position_owes_the_charge_on_its_notional_in_its_quote_asset(position, maintenance, initial):
    found = margins(MODEL, position)
    assert found[0] == pytest.approx(maintenance)
    assert initial is None or found[1] == pytest.approx(initial)


@pytest.mark.parametrize(("price", "maintenance"), [(-37.0, 148), (0.0, 0), (37.0, 148)])
def test_a_price_below_zero_owes_as_much_as_its_size_above(price, maintenance):
    market = Market(time=TIME, prices={"WTI": price}, forwards={"WTI": {OIL.expiry.date(): price}})
    assert margins(MODEL, held(OIL, 1), instruments=[OIL], market=market)[0] == pytest.approx(maintenance)


@pytest.mark.parametrize(
    ("position", "maintenance"),
    [
        (held(PERP, 2, 20_000), 160),  # 40,000 at entry
        (held(PERP, -2, 20_000), 160),
        (held(INVERSE, 600, 40_000), 250 / 40_000 * 30_000),  # coin at the price of entry
        (held(INVERSE, -600, 40_000), 250 / 40_000 * 30_000),
        (held(PERP, 2), 250),  # no entry price: settled at today's mark
        (held(OIL, 1, -37.0), 148),
        (held(PERP, 0, 20_000), 0),
    ],
    ids=["long", "short", "inverse long", "inverse short", "no entry", "negative entry", "nothing held"],
)
def test_maintenance_may_be_charged_on_the_value_at_entry(position, maintenance):
    model = Brackets(tiers_by_class={"other": TIERS}, maintenance_on="entry")
    assert margins(model, position)[0] == pytest.approx(maintenance)


@pytest.mark.parametrize("instrument", [PERP, INVERSE])
def test_an_entry_value_of_the_wrong_sign_is_no_value_to_charge_on(instrument):
    """2 bought at 20,000 and 1 sold at 50,000 leave 1, at an entry value of -10,000: its mark is taken."""
    model = Brackets(tiers_by_class={"other": TIERS}, maintenance_on="entry")
    rows = {PERP: ((2, 20_000), (-1, 50_000)), INVERSE: ((2, 50_000), (-1, 20_000))}[instrument]
    netted = margins(model, *(held(instrument, quantity, entry) for quantity, entry in rows))
    assert netted == margins(MODEL, held(instrument, 1))


def test_the_taker_fee_of_closing_is_added_to_maintenance():
    model = Brackets(tiers_by_class={"other": TIERS}, taker_fee=0.0005)
    assert margins(model, held(PERP, 2)) == pytest.approx((280, 700))
    assert margins(model, held(INVERSE, 600)) == pytest.approx((280, 700))


def test_initial_is_never_below_maintenance_whatever_the_fee():
    model = Brackets(tiers_by_class={"other": TIERS}, taker_fee=0.02)
    assert margins(model, held(PERP, 2)) == pytest.approx((1450, 1450))


def test_the_ladder_is_the_symbols_own_else_its_underlyings_else_its_classs_else_that_of_other():
    def flat(rate):
        return Tiers.flat(maintenance_rate=rate, initial_rate=rate)

    tables = {
        "tiers_by_symbol": {"BTC-PERP": flat(0.01)},
        "tiers_by_underlying": {"BTC": flat(0.02)},
        "tiers_by_class": {"crypto": flat(0.03), "other": flat(0.04)},
    }

    def rate(**tables):
        return margins(Brackets(**tables), held(PERP, 1))[0] / 30_000

    assert rate(**tables) == pytest.approx(0.01)
    assert rate(**tables | {"tiers_by_symbol": {}}) == pytest.approx(0.02)
    assert rate(**tables | {"tiers_by_symbol": {}, "tiers_by_underlying": {}}) == pytest.approx(0.03)
    assert rate(tiers_by_class={"other": flat(0.04)}) == pytest.approx(0.04)


def test_options_are_refused():
    option = Option(
        symbol="BTC-C",
        underlying="BTC",
        quote="USD",
        option_type="call",
        strike=30_000,
        expiry="2026-01-31T08:00:00Z",
    )
    market = MARKET.with_(marks={"BTC-C": Mark(iv=0.5)}, forwards={"BTC": {option.expiry.date(): 30_000}})
    held_both = portfolios_of([PERP, option], market, [held(PERP, 1), held(option, 1)])
    catalogue = held_both.valuation.catalogue
    assert MODEL.refused(held_both).tolist() == [catalogue.number["BTC-C"]]
    assert MODEL.refused(portfolios_of([PERP, option], market, [held(PERP, 1)])).tolist() == []


# --- what the docstring claims


def test_an_account_without_positions_owes_nothing():
    found = MODEL.requirement(portfolios_of([PERP], MARKET, [], balances={"USD": 100.0}))
    assert (found.maintenance[0], found.initial[0]) == (0, 0)


@given(quantities, quantities, quantities)
def test_positions_in_different_instruments_owe_what_they_owe_alone(a, b, c):
    together = margins(MODEL, held(PERP, a), held(INVERSE, 100 * b), held(OIL, c))
    alone = [margins(MODEL, position) for position in (held(PERP, a), held(INVERSE, 100 * b), held(OIL, c))]
    assert together == pytest.approx(tuple(map(sum, zip(*alone, strict=True))), rel=1e-12)


@given(quantities)
def test_an_opposite_position_in_the_same_instrument_cancels(quantity):
    assert margins(MODEL, held(PERP, quantity), held(PERP, -quantity)) == (0, 0)


@given(quantities, st.floats(1, 20))
def test_a_position_n_times_as_large_owes_at_least_n_times_as_much(quantity, n):
    assert margins(MODEL, held(PERP, n * quantity))[0] >= n * margins(MODEL, held(PERP, quantity))[0] * (1 - 1e-12)


def test_two_accounts_that_split_a_position_may_owe_less_than_one_that_holds_it():
    """No sub-additivity: the charge is convex, and the docstring says so."""
    assert margins(MODEL, held(PERP, 20))[0] > 2 * margins(MODEL, held(PERP, 10))[0]


@given(quantities, st.floats(0, 20))
def test_a_requirement_does_not_fall_as_a_position_grows(quantity, more):
    larger = quantity + (more if quantity >= 0 else -more)
    assert np.all(np.subtract(margins(MODEL, held(PERP, larger)), margins(MODEL, held(PERP, quantity))) >= 0)


@given(st.permutations([(1.5, 20_000.0), (0.1, 20_000.0), (0.2, 20_000.0), (7.0, 20_000.0)]))
def test_order_and_splitting_of_rows_change_no_bit(rows):
    model = Brackets(tiers_by_class={"other": TIERS}, maintenance_on="entry", taker_fee=0.0004)
    split = margins(model, *(held(PERP, quantity, entry) for quantity, entry in rows), held(OIL, 1, 70.0))
    assert split == margins(model, held(OIL, 1, 70.0), held(PERP, 8.8, 20_000.0))


@given(quantities)
def test_deposits_change_nothing(quantity):
    positions = [held(PERP, quantity)]
    rich = MODEL.requirement(portfolios_of([PERP], MARKET, positions, balances={"USD": 1e6, "BTC": 5.0}))
    assert (rich.maintenance[0], rich.initial[0]) == margins(MODEL, *positions)


@given(st.floats(1_000, 100_000), quantities, st.sampled_from([PERP, INVERSE]))
def test_a_tick_moves_the_requirement_by_no_more_than_the_highest_rate_on_the_move(price, quantity, instrument):
    tick, quantity = 0.5, quantity * (100 if instrument is INVERSE else 1)

    def at(price):
        market = Market(time=TIME, fx={"BTC": price})
        return margins(MODEL, held(instrument, quantity), instruments=[instrument], market=market)[0]

    moved = abs(quantity) * tick * 0.01 if instrument is PERP else 0.0
    assert abs(at(price + tick) - at(price)) <= moved * (1 + 1e-9) + 1e-8


def bracket(notional):
    return sum(notional >= floor for floor in TIERS.floor) - 1


@given(
    st.sampled_from([1, -1]),
    st.floats(0.01, 10),
    st.floats(10_000, 50_000),
    st.floats(2, 20),
    st.sampled_from(["mark", "entry"]),
    st.sampled_from([0.0, 0.0005]),
)
def test_at_the_closed_form_price_a_position_has_just_its_maintenance_margin(side, size, entry, leverage, basis, fee):
    model = Brackets(tiers_by_class={"other": TIERS}, taker_fee=fee, maintenance_on=basis)
    n = bracket(size * entry)
    position = {
        "side": side,
        "size": size,
        "entry": entry,
        "margin": isolated.linear_entry_margin(size=size, entry=entry, leverage=leverage),
    }
    terms = {"rate": TIERS.maintenance_rate[n], "amount": TIERS.maintenance_amount[n], "fee": fee}
    if basis == "mark":
        price = float(isolated.linear_liquidation_price(**position, **terms))
        assume(bracket(size * price) == n)  # the closed form holds inside one bracket
    else:
        price = float(isolated.linear_liquidation_price_on_entry(**position, **terms))
    market = Market(time=TIME, fx={"BTC": price})
    owed = margins(model, held(PERP, side * size, entry), instruments=[PERP], market=market)[0]
    profit = isolated.linear_profit(side=side, size=size, entry=entry, price=price)
    assert position["margin"] + profit == pytest.approx(owed, abs=1e-9 * size * entry)


@given(
    st.sampled_from([1, -1]),
    st.floats(1, 10_000),
    st.floats(10_000, 50_000),
    st.floats(2, 20),
    st.sampled_from(["mark", "entry"]),
)
def test_the_same_holds_of_an_inverse_position_whose_bracket_does_not_move(side, quantity, entry, leverage, basis):
    model = Brackets(tiers_by_class={"other": TIERS}, maintenance_on=basis)
    size = 100 * quantity
    rate = float(TIERS.maintenance(size)) / size
    margin = isolated.inverse_entry_margin(size=size, entry=entry, leverage=leverage)
    position = {"side": side, "size": size, "entry": entry, "margin": margin}
    solve = isolated.inverse_liquidation_price if basis == "mark" else isolated.inverse_liquidation_price_on_entry
    price = float(solve(**position, rate=rate))
    market = Market(time=TIME, fx={"BTC": price})
    owed = margins(model, held(INVERSE, side * quantity, entry), instruments=[INVERSE], market=market)[0]
    profit = isolated.inverse_profit(side=side, size=size, entry=entry, price=price)
    assert (margin + profit) * price == pytest.approx(owed, abs=1e-9 * size)
