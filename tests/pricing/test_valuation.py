"""Valuation: which price is taken, and what a contract is worth before and after a move."""

from datetime import timedelta
from math import exp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Book
from crossmargin.errors import InvalidMarket, MissingPrice
from crossmargin.instruments import Asset, Future, Option, Perpetual
from crossmargin.market import Mark, Market, VolSlice, VolSurface
from crossmargin.pricing import value
from tests.strategies import INSTRUMENTS, MONTH, QUARTER, TIME, World, market_of, markets, option
from tests.twins.prices import Prices, black

PERP = Perpetual(symbol="P", underlying="X", quote="USD")
FUTURE = Future(symbol="F", underlying="X", quote="USD", expiry=MONTH)
CALL = option("C", "X", "call", 105)
COIN_CALL = option("CC", "X", "call", 105, inverse=True)
MONTH_TAU = 30 / 365


def valued(*instruments, currency="USD", assets=(), needed=(), **terms):
    """Return {column: value of the first instrument}."""
    market = Market(**{"time": TIME, "currency": currency, "prices": {"X": 100.0}, **terms})
    book = Book.of([Account(id="a")], instruments, assets=[Asset(symbol=a) for a in assets], currency=currency)
    mask = np.array([a.symbol in needed for a in book.catalogue.assets])
    return value(market, book.catalogue, assets=mask)


def column(valuation, name, symbol):
    return float(getattr(valuation, name)[valuation.catalogue.number[symbol]])


# --- marks


def test_a_perpetual_is_marked_at_its_mark_else_at_the_index():
    assert column(valued(PERP, marks={"P": Mark(price=101.0)}), "mark", "P") == 101
    assert column(valued(PERP), "mark", "P") == 100


def test_a_future_is_marked_at_its_mark_else_at_the_forward_else_not_at_all():
    forward = {"forwards": {"X": {MONTH.date(): 102.0}}}
    assert column(valued(FUTURE, marks={"F": Mark(price=101.0)}, **forward), "mark", "F") == 101
    assert column(valued(FUTURE, **forward), "mark", "F") == 102
    with pytest.raises(MissingPrice, match=r"market\.marks\.F"):
        valued(FUTURE)


SURFACE = VolSurface({MONTH.date(): VolSlice(strikes=(100.0,), vols=(0.5,), forward=104.0)})


def test_the_forward_of_an_option_is_stated_else_the_future_s_mark_else_the_surface_s_else_the_index_carried():
    given_all = {
        "forwards": {"X": {MONTH.date(): 102.0}},
        "marks": {"F": Mark(price=103.0), "C": Mark(iv=0.5)},
        "vols": {"X": SURFACE},
        "rates": {"USD": 0.04},
    }
    expected = [102.0, 103.0, 104.0, 100 * exp(0.04 * MONTH_TAU)]
    for forward, gone in zip(expected, ("", "forwards", "marks", "vols"), strict=True):
        if gone == "marks":
            given_all["marks"] = {"C": Mark(iv=0.5)}
        else:
            given_all.pop(gone, None)
        # The future itself is valued only where it has a price.
        instruments = (FUTURE, CALL) if forward in (102.0, 103.0, 104.0) else (CALL,)
        valuation = valued(*instruments, **given_all)
        assert column(valuation, "forward", "C") == pytest.approx(forward, rel=1e-15)
        assert bool(valuation.warnings) == (gone == "vols")


def test_an_option_takes_its_iv_else_its_price_inverted_else_the_surface_s_vol():
    forwards = {"forwards": {"X": {MONTH.date(): 100.0}}}
    by_iv = valued(CALL, marks={"C": Mark(iv=0.6)}, vols={"X": SURFACE}, **forwards)
    assert column(by_iv, "iv", "C") == 0.6
    price = column(by_iv, "mark", "C")
    by_price = valued(CALL, marks={"C": Mark(price=price)}, vols={"X": SURFACE}, **forwards)
    assert column(by_price, "iv", "C") == pytest.approx(0.6, rel=1e-10)
    assert column(by_price, "mark", "C") == price
    assert column(valued(CALL, vols={"X": SURFACE}, **forwards), "iv", "C") == 0.5
    with pytest.raises(MissingPrice, match=r"market\.marks\.C: found nothing"):
        valued(CALL, **forwards)


def test_given_both_the_price_values_and_the_iv_shocks():
    forwards = {"forwards": {"X": {MONTH.date(): 100.0}}}
    model = column(valued(CALL, marks={"C": Mark(iv=0.6)}, **forwards), "mark", "C")
    both = valued(CALL, marks={"C": Mark(price=model + 0.5, iv=0.6)}, **forwards)
    assert column(both, "mark", "C") == model + 0.5
    assert column(both, "iv", "C") == 0.6
    assert column(both, "offset", "C") == pytest.approx(0.5)
    # The difference stays as prices move.
    rows = np.array([both.catalogue.number["C"]])
    moved = both.unit_values(rows, np.array([[0.1]]))[0, 0]
    expected = black(110.0, 105.0, 0.6, MONTH_TAU, 1.0, True)
    assert moved == pytest.approx(expected + 0.5, rel=1e-12)
    with pytest.raises(InvalidMarket, match="agree within 1%"):
        valued(CALL, marks={"C": Mark(price=model + 1.5, iv=0.6)}, **forwards)


def test_a_price_without_an_implied_vol_falls_back_to_the_surface_and_else_says_why():
    forwards = {"forwards": {"X": {MONTH.date(): 100.0}}}
    found = valued(CALL, marks={"C": Mark(price=150.0)}, vols={"X": SURFACE}, **forwards)
    assert column(found, "iv", "C") == 0.5
    assert column(found, "mark", "C") == 150
    with pytest.raises(MissingPrice, match="a price of 150 without an implied vol"):
        valued(CALL, marks={"C": Mark(price=150.0)}, **forwards)


def test_a_coin_settled_option_is_marked_in_coin_and_not_discounted():
    found = valued(COIN_CALL, marks={"CC": Mark(iv=0.6)}, forwards={"X": {MONTH.date(): 102.0}}, rates={"USD": 0.05})
    expected = black(102.0, 105.0, 0.6, MONTH_TAU, 1.0, True) / 102.0
    assert column(found, "mark", "CC") == pytest.approx(expected, rel=1e-12)
    assert column(found, "settle_fx", "CC") == 100


# --- indexes and exchange rates


def test_an_index_may_be_given_as_a_price_or_as_a_value():
    assert column(valued(PERP, prices={}, fx={"X": 100.0}), "index", "P") == 100
    with pytest.raises(MissingPrice, match=r"market\.prices\.X"):
        valued(PERP, prices={})


def test_given_as_both_the_two_must_agree():
    assert column(valued(PERP, fx={"X": 100.0}), "index", "P") == 100
    with pytest.raises(InvalidMarket, match="two prices of one thing"):
        valued(PERP, fx={"X": 100.001})


def test_a_coin_is_worth_its_index_in_its_quote_times_that_quote_s_value():
    euro = Perpetual(symbol="E", underlying="X", quote="EUR")
    found = valued(euro, fx={"EUR": 1.1}, needed=["X"])
    assert found.fx[found.catalogue.asset_number["X"]] == pytest.approx(110)
    found = valued(euro, prices={}, fx={"EUR": 1.1, "X": 110.0})
    assert column(found, "index", "E") == pytest.approx(100)


def test_contracts_on_one_coin_in_two_quotes_share_one_price():
    euro = Perpetual(symbol="E", underlying="X", quote="EUR")
    found = valued(PERP, euro, fx={"EUR": 1.25})
    # The price is in the reporting currency, which is one of the quotes.
    assert column(found, "index", "P") == 100
    assert column(found, "index", "E") == pytest.approx(80)


def test_the_reporting_currency_s_own_price_gives_the_value_of_its_quote():
    pair = Perpetual(symbol="E", underlying="EUR", quote="USD")
    found = valued(pair, currency="EUR", prices={"EUR": 1.25})
    assert found.fx[found.catalogue.asset_number["USD"]] == pytest.approx(0.8)
    assert column(found, "settle_fx", "E") == pytest.approx(0.8)


def test_a_missing_value_of_what_a_contract_settles_in_is_an_error():
    euro = Perpetual(symbol="E", underlying="X", quote="EUR")
    with pytest.raises(MissingPrice, match=r"market\.fx\.EUR"):
        valued(euro)


def test_what_follows_what_is_known():
    euro = Perpetual(symbol="E", underlying="X", quote="EUR")
    found = valued(euro, fx={"EUR": 1.1}, needed=["X"])
    names = [a.symbol for a in found.catalogue.assets]
    assert names[found.priced_in[names.index("X")]] == "EUR"
    assert found.priced_in[names.index("EUR")] == -1
    stated = valued(euro, fx={"EUR": 1.1, "X": 110.0}, prices={})
    assert stated.priced_in[names.index("X")] == -1


def test_marks_of_unknown_contracts_are_told_and_ignored():
    assert valued(PERP, marks={"P2": Mark(price=5.0)}).warnings == ("marks.P2: no such instrument; ignored",)


@pytest.mark.parametrize(
    ("terms", "match"),
    [
        ({"prices": {"X": 0.0}}, r"market\.prices\.X"),
        ({"prices": {"X": -1.0}}, 'or price_domain "any" for P'),
        ({"marks": {"P": Mark(price=-1.0)}}, r"market\.marks\.P\.price"),
    ],
)
def test_prices_that_are_not_positive_are_refused_in_a_positive_domain(terms, match):
    with pytest.raises(InvalidMarket, match=match):
        valued(PERP, **terms)


def test_a_negative_price_of_an_option_is_refused():
    with pytest.raises(InvalidMarket, match="an option's price"):
        valued(CALL, marks={"C": Mark(price=-1.0)}, forwards={"X": {MONTH.date(): 100.0}})


def test_an_expired_contract_is_refused_to_the_second():
    last = Future(symbol="L", underlying="X", quote="USD", expiry=TIME + timedelta(seconds=1))
    assert column(valued(last, marks={"L": Mark(price=1.0)}), "mark", "L") == 1
    with pytest.raises(InvalidMarket, match="not after the market time"):
        valued(Future(symbol="L", underlying="X", quote="USD", expiry=TIME), marks={"L": Mark(price=1.0)})


# --- values, against the twin


@given(markets())
@settings(max_examples=20)
def test_every_contract_is_worth_what_the_twin_says(market):
    world = World(accounts=(), market=market)
    valuation, prices = value(market, world.book().catalogue), Prices(world)
    for number, instrument in enumerate(valuation.catalogue.instruments):
        size = prices.notional(instrument.symbol, 1) + 1e-9
        expected = prices.contract(instrument.symbol)
        assert valuation.unit_value[number] == pytest.approx(expected, rel=1e-9, abs=1e-12 * size)
        assert valuation.settle_fx[number] == pytest.approx(prices.fx(instrument.settle), rel=1e-15)
        assert valuation.index[number] == pytest.approx(prices.index(instrument), rel=1e-12)
        found = valuation.notional(np.array([number]), np.array([-3.0]))[0]
        assert found == pytest.approx(prices.notional(instrument.symbol, 3), rel=1e-12)


@given(markets(), st.floats(-0.9, 3), st.floats(0, 3))
@settings(max_examples=20)
def test_after_a_move_every_contract_is_worth_what_the_twin_says(market, move, factor):
    world = World(accounts=(), market=market)
    valuation, prices = value(market, world.book().catalogue), Prices(world)
    rows = np.arange(len(INSTRUMENTS))
    steps = np.full((len(rows), 1), move)
    found = valuation.unit_values(rows, steps, np.full((len(rows), 1), factor))[:, 0]
    for number, instrument in enumerate(valuation.catalogue.instruments):
        size = prices.notional(instrument.symbol, 1) + 1e-9
        expected = prices.contract(instrument.symbol, move, factor)
        assert found[number] == pytest.approx(expected, rel=1e-9, abs=1e-11 * size)


@given(markets(), st.floats(-0.9, 3), st.floats(0.5, 2))
@settings(max_examples=20)
def test_a_moved_valuation_is_the_valuation_of_the_moved_market(market, move, ratio):
    world = World(accounts=(), market=market)
    valuation, prices = value(market, world.book().catalogue), Prices(world)
    rows = np.arange(len(INSTRUMENTS))
    every = np.full(len(rows), move)
    moved = valuation.moved(rows, every, np.full(len(rows), ratio), np.ones(len(rows)))
    for number, instrument in enumerate(valuation.catalogue.instruments):
        if instrument.price_domain == "any":
            assert moved.index[number] == prices.index(instrument) + move
        else:
            assert moved.index[number] == pytest.approx(prices.index(instrument) * (1 + move), rel=1e-12)
        size = prices.notional(instrument.symbol, 1) + 1e-9
        expected = prices.contract(instrument.symbol, move)
        assert moved.unit_value[number] == pytest.approx(expected, rel=1e-9, abs=1e-11 * size)
        if isinstance(instrument, Option):
            in_mark = expected / float(instrument.contract_size)
            assert moved.mark[number] == pytest.approx(in_mark, rel=1e-9, abs=1e-11 * size)
        assert moved.settle_fx[number] == pytest.approx(valuation.settle_fx[number] * ratio, rel=1e-15)


def test_standing_still_changes_no_bit():
    market = market_of().with_(marks={**market_of().marks, "BTC-C-110": Mark(price=3.21)})
    world = World(accounts=(), market=market)
    valuation = value(market, world.book().catalogue)
    rows = np.arange(len(INSTRUMENTS))
    still = valuation.moved(rows, np.zeros(len(rows)), np.ones(len(rows)), np.ones(len(rows)))
    np.testing.assert_array_equal(still.unit_value, valuation.unit_value)
    np.testing.assert_array_equal(still.index, valuation.index)


def test_only_what_is_needed_must_have_a_price():
    world = World(accounts=(), market=Market(time=TIME, prices={"BTC": 100.0}))
    catalogue = world.book().catalogue
    needed = np.zeros(len(catalogue), dtype=np.bool_)
    needed[catalogue.number["BTC-PERP"]] = True
    valuation = value(world.market, catalogue, instruments=needed)
    assert np.flatnonzero(~np.isnan(valuation.unit_value)).tolist() == [catalogue.number["BTC-PERP"]]
    assert QUARTER > TIME
