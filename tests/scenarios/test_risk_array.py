"""Risk arrays: what one long unit of everything gains in each scenario, against the twin one cell at a time."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from crossmargin.instruments import Asset
from crossmargin.market import Market
from crossmargin.pricing import value
from crossmargin.scenarios import ScenarioSet, risk_array, scenario_table
from tests.strategies import ASSETS, GRID, INSTRUMENTS, QUARTER, SHAPE, TIME, World, market_of, markets
from tests.twins.grid import Moves, cells_of
from tests.twins.prices import Prices


def valued(market, instruments=INSTRUMENTS):
    world = World(accounts=(), market=market, instruments=instruments)
    return world, value(market, world.book().catalogue)


@given(markets())
@settings(max_examples=10)
def test_every_contract_s_profit_in_every_cell_of_its_group_is_the_twin_s(market):
    world, valuation = valued(market)
    prices = Prices(world)
    terms = valuation.catalogue
    for group in ("BTC", "ETH", "OIL", "EUR", "DAX", "USDC"):
        asset = terms.assets[terms.asset_number[group]]
        members = [a.symbol for a in terms.assets if a.group == group]
        array = risk_array(valuation, SHAPE.scenarios(asset, members))
        for cell, terms_of_cell in enumerate(cells_of(SHAPE, asset)):
            moves = Moves(world, SHAPE, prices, group, terms_of_cell)
            for row, number in enumerate(array.rows.tolist()):
                instrument = terms.instruments[number]
                expected = moves.contract(instrument.symbol)
                size = prices.notional(instrument.symbol, 1) + abs(prices.contract(instrument.symbol))
                assert array.pnl[row, cell] == pytest.approx(expected, rel=1e-9, abs=1e-11 * size)
            for name in ("BTC", "ETH", "STETH", "EUR", "USD", "USDC"):
                number = terms.asset_number[name]
                assert array.asset_move[number, cell] == pytest.approx(moves.asset(name), rel=1e-12)
                expected = moves.asset(name) * prices.fx(name)
                assert array.asset_pnl[number, cell] == pytest.approx(expected, rel=1e-12)


def test_a_scenario_without_a_move_gives_exactly_nothing():
    _, valuation = valued(market_of())
    still = scenario_table({"scenario": ["still"], "BTC": [0.0], "ETH": [0.0], "OIL": [0.0]}, any_domain=["OIL"])
    array = risk_array(valuation, still)
    assert not array.pnl.any()
    assert not array.asset_move.any()


def test_moves_of_unbounded_prices_are_in_price_units_where_no_floor_is_given():
    _, valuation = valued(market_of(oil=5.0))
    array = risk_array(valuation, scenario_table({"scenario": ["down"], "OIL": [-42.0]}, any_domain=["OIL"]))
    row = array.rows.tolist().index(valuation.catalogue.number["OIL-FUT"])
    assert array.pnl[row, 0] == pytest.approx(-420.0)


def test_several_factors_move_jointly():
    _, valuation = valued(market_of())
    joint = scenario_table({"scenario": ["crash"], "ETH": [-0.5], "USDC": [-0.1]})
    array = risk_array(valuation, joint)
    row = array.rows.tolist().index(valuation.catalogue.number["ETH-PERP"])
    # 10 coins at 10 USDC of 0.999: worth 100 before, 50 of a coin at nine tenths after.
    assert array.pnl[row, 0] == pytest.approx((50 * 0.9 - 100) * 0.999)


def test_vols_move_where_the_scenario_says():
    _, valuation = valued(market_of())
    up = scenario_table({"scenario": ["up"], "BTC": [0.0], "BTC.vol": [0.25]})
    array = risk_array(valuation, up)
    terms = valuation.catalogue
    for row, number in enumerate(array.rows.tolist()):
        instrument = terms.instruments[number]
        moved = array.pnl[row, 0] != 0
        assert moved == (instrument.kind == "option" and instrument.underlying == "BTC")
        if moved:
            assert array.pnl[row, 0] > 0


def test_a_fall_of_everything_leaves_a_speck_of_the_price():
    _, valuation = valued(market_of())
    array = risk_array(valuation, scenario_table({"scenario": ["zero"], "BTC": [-1.0]}))
    assert np.isfinite(array.pnl).all()
    row = array.rows.tolist().index(valuation.catalogue.number["BTC-PERP"])
    assert array.pnl[row, 0] == pytest.approx(-100.2, rel=1e-8)


def test_the_reporting_currency_s_own_price_moves_what_it_is_quoted_in_the_other_way():
    market = Market(
        time=TIME,
        currency="EUR",
        prices={"EUR": 1.25, "BTC": 100.0},
        forwards={"EUR": {QUARTER.date(): 1.25}},
    )
    instruments = tuple(i for i in INSTRUMENTS if i.symbol in ("EUR-FUT", "BTC-PERP"))
    _, valuation = valued(market, instruments)
    array = risk_array(valuation, scenario_table({"scenario": ["up"], "EUR": [0.25]}))
    terms = valuation.catalogue
    assert array.asset_move[terms.asset_number["USD"], 0] == pytest.approx(-0.2)
    assert array.asset_move[terms.asset_number["EUR"], 0] == 0
    row = array.rows.tolist().index(terms.number["EUR-FUT"])
    # 50 euro at 1.25 dollars, 62.5 dollars or 50 euro; at 1.5625 dollars 78.125 dollars, still 50 euro.
    assert array.pnl[row, 0] == pytest.approx(0.0, abs=1e-12)


def test_an_asset_without_a_value_that_moves_has_no_profit():
    world = World(accounts=(), market=market_of().with_(fx={}), assets=(*ASSETS, Asset(symbol="GHOST")))
    valuation = value(world.market, world.book().catalogue, instruments=np.zeros(len(INSTRUMENTS), dtype=bool))
    array = risk_array(valuation, scenario_table({"scenario": ["x"], "GHOST": [0.1], "BTC": [0.1]}))
    terms = valuation.catalogue
    assert np.isnan(array.asset_pnl[terms.asset_number["GHOST"], 0])
    assert array.asset_pnl[terms.asset_number["BTC"], 0] == pytest.approx(10.0)


def test_a_wider_grid_contains_the_moves_of_its_narrow_one_scaled():
    _, valuation = valued(market_of())
    asset = valuation.catalogue.assets[valuation.catalogue.asset_number["BTC"]]
    wide = replace(GRID.shape, range_by_name={"BTC": 0.32})
    one, two = (risk_array(valuation, shape.scenarios(asset, ["BTC"])) for shape in (GRID.shape, wide))
    row = one.rows.tolist().index(valuation.catalogue.number["BTC-PERP"])
    np.testing.assert_allclose(two.pnl[row], 2 * one.pnl[row], rtol=1e-12)
    assert isinstance(one.scenarios, ScenarioSet)
