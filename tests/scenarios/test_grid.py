"""Price x vol grids: which cells there are, and how large a group's moves are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InvalidMarket, InvalidRules
from crossmargin.instruments import Asset
from crossmargin.scenarios import GridShape, ScenarioSet, TenorScaling

COIN = Asset(symbol="BTC", asset_class="crypto")
SHAPE = GridShape(range_by_class={"crypto": 0.3, "other": 0.5}, range_by_name={"BTC": 0.12})


def test_a_grid_is_every_price_with_every_vol_and_two_extremes():
    grid = SHAPE.scenarios(COIN, ["BTC", "WBTC"])
    assert len(grid) == 7 * 3 + 2
    assert grid.factors == ("BTC", "WBTC")
    np.testing.assert_array_equal(grid.move[0], grid.move[1])
    fractions = {0.0, 0.04, -0.04, 0.08, -0.08, 0.12, -0.12}
    assert set(np.round(grid.move[0][:21], 12)) == fractions
    assert set(grid.vol_factor[0][:21]) == {1.45, 1.0, 0.7}
    assert grid.move[0][21:].tolist() == [0.24, -0.24]
    assert grid.vol_factor[0][21:].tolist() == [1.0, 1.0]
    assert grid.weight.tolist() == [1.0] * 21 + [0.35] * 2
    assert len(set(grid.ids)) == 23
    assert "BTC price -12.0% vol up" in grid.ids
    assert "BTC price +24.0% extreme" in grid.ids


@pytest.mark.parametrize(
    ("asset", "expected"),
    [
        (COIN, 0.12),
        (Asset(symbol="ETH", asset_class="crypto"), 0.3),
        (Asset(symbol="XYZ", asset_class="metals"), 0.5),
        # Its contracts do not say what it is: the strictest class, whatever the name.
        (Asset(symbol="BTC", asset_class="other"), 0.5),
        (Asset(symbol="NEW", asset_class="other"), 0.5),
    ],
)
def test_a_range_is_that_of_the_name_then_of_the_class_then_of_other(asset, expected):
    assert SHAPE.range_of(asset) == expected


def test_a_floor_of_the_price_level_is_by_name():
    shape = GridShape(range_by_class={"other": 0.5}, any_floor=1.0, any_floor_by_name={"WTI": 20.0})
    grid = shape.scenarios(Asset(symbol="WTI", asset_class="energy"), ["WTI", "BRENT"])
    assert grid.any_floor.tolist() == [20.0, 1.0]


@given(st.floats(0.5, 2000))
def test_vol_shocks_grow_toward_expiry_and_meet_at_the_pivot(days):
    scaling = TenorScaling()
    factor = float(scaling.factor(np.array([days / 365]))[0])
    assert factor == pytest.approx((30 / days) ** (0.30 if days < 30 else 0.13), rel=1e-9)
    near, far = scaling.factor(np.array([days, days * 1.1]) / 365)
    assert near > far


@pytest.mark.parametrize(
    "terms",
    [
        {"range_by_class": {"crypto": 0.2}},
        {"range_by_class": {"other": 1.0}},
        {"range_by_class": {"other": -0.1}},
        {"range_by_class": {"other": float("nan")}},
        {"range_by_class": {"other": 0.2, "coins": 0.2}},
        {"range_by_class": {"other": 0.2}, "range_by_name": {"BTC": 5.0}},
        {"range_by_class": {"other": 0.2}, "price_fractions": (1.0, -1.0)},
    ],
)
def test_shapes_that_cannot_be_are_refused(terms):
    with pytest.raises(InvalidRules):
        GridShape(**terms)


def scenario_set(**changes):
    terms = {
        "ids": ("a", "b"),
        "factors": ("X",),
        "move": np.array([[0.1, -0.1]]),
        "weight": np.ones(2),
        "source": "table",
    }
    return ScenarioSet(**{**terms, **changes})


@pytest.mark.parametrize(
    "changes",
    [
        {"ids": ("a", "a")},
        {"factors": ("X", "X"), "move": np.zeros((2, 2))},
        {"move": np.array([[0.1, np.nan]])},
        {"move": np.zeros((2, 2))},
        {"vol_factor": np.zeros((1, 3))},
        {"weight": np.array([1.0, 1.1])},
        {"weight": np.array([1.0, -0.1])},
        {"weight": np.ones(3)},
    ],
)
def test_scenario_sets_that_contradict_themselves_are_refused(changes):
    assert len(scenario_set()) == 2
    with pytest.raises(InvalidMarket):
        scenario_set(**changes)
