"""Anybody's table of scenarios, and what is said about a wrong one."""

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest

from crossmargin.errors import InvalidMarket
from crossmargin.scenarios import scenario_table

COLUMNS = {
    "scenario": ["crash", "squeeze"],
    "BTC": [-0.4, 0.6],
    "BTC.vol": [0.8, 0.3],
    "ETH": [-0.5, 0.0],
    "weight": [1.0, 0.5],
}


@pytest.mark.parametrize(
    "frame_of",
    [dict, pl.DataFrame, pl.LazyFrame, pd.DataFrame, pa.table],
    ids=["dict", "polars", "lazy", "pandas", "arrow"],
)
def test_any_frame_is_a_scenario_set(frame_of):
    scenarios = scenario_table(frame_of(COLUMNS))
    assert scenarios.ids == ("crash", "squeeze")
    assert scenarios.factors == ("BTC", "ETH")
    assert scenarios.move.tolist() == [[-0.4, 0.6], [-0.5, 0.0]]
    np.testing.assert_allclose(scenarios.vol_factor, [[1.8, 1.3], [1.0, 1.0]], rtol=1e-15)
    assert scenarios.weight.tolist() == [1.0, 0.5]
    assert scenarios.source == "table"


def test_vols_are_held_and_losses_count_in_full_where_nothing_is_said():
    scenarios = scenario_table({"scenario": ["a"], "BTC": [-0.1]})
    assert scenarios.vol_factor is None
    assert scenarios.weight.tolist() == [1.0]


def test_a_vol_column_alone_moves_vols_with_prices_held():
    scenarios = scenario_table({"scenario": ["a"], "BTC.vol": [-0.25]})
    assert scenarios.factors == ("BTC",)
    assert scenarios.move.tolist() == [[0.0]]
    assert scenarios.vol_factor.tolist() == [[0.75]]


def test_where_prices_may_be_negative_a_move_is_in_price_units():
    scenarios = scenario_table({"scenario": ["2020-04-20"], "WTI": [-55.9]}, any_domain={"WTI"})
    assert scenarios.move.tolist() == [[-55.9]]


def with_cell(column, value):
    return {**COLUMNS, column: [COLUMNS[column][0], value]}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([1, 2], "found a list; allowed: a data frame or a mapping of columns"),
        ({"BTC": [0.1]}, "found the columns BTC; allowed: a column scenario"),
        ({"scenario": [], "BTC": []}, "found no rows"),
        ({"scenario": ["a"]}, "a column for each factor that moves"),
        ({"scenario": ["a"], "weight": [1.0]}, "a column for each factor that moves"),
        ({"scenario": ["a", "b"], "BTC": [0.1]}, "column BTC: found 1 rows; allowed: 2, one a scenario"),
        (with_cell("scenario", "crash"), "row 2, column scenario: found crash, already in row 1"),
        (with_cell("scenario", None), "row 2, column scenario: found nothing"),
        (with_cell("scenario", float("nan")), "row 2, column scenario: found nothing"),
        (with_cell("BTC", None), r"row 2 \(squeeze\), column BTC: found nothing"),
        (with_cell("BTC", float("nan")), r"row 2 \(squeeze\), column BTC: found nan"),
        (with_cell("BTC", float("inf")), "column BTC: found inf"),
        (with_cell("BTC", 10**400), "column BTC: found 1000000"),
        (with_cell("BTC", True), "column BTC: found the boolean true"),
        (with_cell("BTC", "0.1"), "column BTC: found '0.1'; allowed: a number"),
        (with_cell("BTC", -1.01), "column BTC: found -1.01; allowed: a number, -1 or more"),
        (with_cell("BTC.vol", -1.5), r"column BTC.vol: found -1.5"),
        (with_cell("weight", 1.5), "column weight: found 1.5; allowed: a number from 0 to 1"),
        (with_cell("weight", -0.1), "column weight: found -0.1"),
    ],
)
def test_a_wrong_table_is_refused_with_its_row_and_column(table, message):
    with pytest.raises(InvalidMarket, match=message):
        scenario_table(table)


def test_a_factor_nobody_knows_is_refused_with_the_nearest_one():
    with pytest.raises(InvalidMarket, match=r"column BTCC: found an unknown factor.*did you mean BTC\?"):
        scenario_table({"scenario": ["a"], "BTCC": [0.1]}, known=["BTC", "ETH"])
