"""The market snapshot, vol surfaces and histories: what cannot be is refused, and what lies between is joined."""

from datetime import date, datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InvalidMarket
from crossmargin.market import History, Mark, Market, SviSlice, VolSlice, VolSurface, svi_vol
from tests.strategies import TIME

TODAY = date(2026, 1, 1)
NEAR, MIDDLE, FAR = date(2026, 1, 11), date(2026, 1, 31), date(2026, 3, 2)


@pytest.mark.parametrize(
    ("terms", "place"),
    [
        ({"time": datetime(2026, 1, 1)}, "time"),
        ({"time": "yesterday"}, "time"),
        ({"prices": {"BTC": float("nan")}}, "prices.BTC"),
        ({"prices": {"BTC": float("inf")}}, "prices.BTC"),
        ({"prices": {"BTC": True}}, "prices.BTC"),
        ({"fx": {"EUR": 0.0}}, "fx.EUR"),
        ({"fx": {"EUR": -1.1}}, "fx.EUR"),
        ({"fx": {"USD": 1.01}}, "fx.USD"),
        ({"marks": {"X": Mark()}}, "marks.X"),
        ({"marks": {"X": Mark(iv=-0.1)}}, "marks.X.iv"),
        ({"marks": {"X": Mark(price=float("nan"))}}, "marks.X.price"),
        ({"forwards": {"BTC": {NEAR: float("nan")}}}, "forwards.BTC.2026-01-11"),
        ({"rates": {"USD": 5.0}}, "rates.USD"),
        ({"rates": {"USD": float("nan")}}, "rates.USD"),
        ({"vol_annual": {"WTI": 35.0}}, "vol_annual.WTI"),
        ({"vol_annual": {"WTI": 0.0}}, "vol_annual.WTI"),
    ],
)
def test_numbers_that_cannot_be_are_refused_with_their_place(terms, place):
    with pytest.raises(InvalidMarket) as error:
        Market(**{"time": TIME, **terms})
    assert error.value.where == place


def test_a_rate_in_percent_is_told_how_to_be_written():
    with pytest.raises(InvalidMarket, match=r"write 0\.05"):
        Market(time=TIME, rates={"USD": 5.0})


def test_negative_prices_and_rates_are_taken():
    market = Market(time=TIME, prices={"WTI": -37.63}, rates={"CHF": -0.0075})
    assert market.prices["WTI"] == -37.63


def test_a_time_in_any_zone_is_the_same_instant():
    assert Market(time="2026-01-01T09:00:00+01:00").time == TIME


# --- vols


SVI = {"a": 0.009, "b": 0.067, "rho": -0.395, "m": -0.068, "sigma": 0.15}


@given(st.floats(0.2, 5))
def test_svi_is_its_formula_and_ends_its_wings(moneyness):
    k = np.log(moneyness)
    wing = 4 * np.sqrt(SVI["a"] + SVI["b"] * SVI["sigma"])
    k = min(max(k, -wing), wing)
    away = k - SVI["m"]
    variance = SVI["a"] + SVI["b"] * (SVI["rho"] * away + np.sqrt(away**2 + SVI["sigma"] ** 2))
    found = float(svi_vol(64_600 * moneyness, **SVI, forward=64_600, tau=0.096))
    assert found == pytest.approx(np.sqrt(variance / 0.096), rel=1e-12)


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"b": -0.1}, "svi[1] (b)"),
        ({"rho": 1.2}, "svi[2] (rho)"),
        ({"sigma": -0.1}, "svi[4] (sigma)"),
        ({"a": -1.0}, "svi"),
        ({"forward": 0.0}, "forward"),
        ({"tau": 0.0}, "tau"),
        ({"a": float("nan")}, "svi"),
    ],
)
def test_svi_slices_that_cannot_be_are_refused(changes, place):
    with pytest.raises(InvalidMarket) as error:
        SviSlice(**{**SVI, "forward": 100.0, "tau": 0.1, **changes})
    assert error.value.where == place


def test_a_slice_of_strikes_is_linear_between_and_flat_beyond():
    piece = VolSlice(strikes=(80.0, 100.0, 120.0), vols=(0.8, 0.6, 0.7))
    found = piece.vol(np.array([50.0, 80.0, 90.0, 110.0, 120.0, 500.0]))
    np.testing.assert_allclose(found, [0.8, 0.8, 0.7, 0.65, 0.7, 0.7])


@pytest.mark.parametrize(
    ("strikes", "vols"),
    [((), ()), ((80.0,), (0.8, 0.7)), ((80.0, 80.0), (0.8, 0.7)), ((90.0, 80.0), (0.8, 0.7)), ((80.0,), (-0.1,))],
)
def test_slices_of_strikes_that_cannot_be_are_refused(strikes, vols):
    with pytest.raises(InvalidMarket):
        VolSlice(strikes=strikes, vols=vols)


def test_between_two_expiries_total_variance_is_linear_in_time():
    surface = VolSurface({NEAR: VolSlice(strikes=(100.0,), vols=(0.8,)), FAR: VolSlice(strikes=(100.0,), vols=(0.5,))})
    # 10, 30 and 60 days: total variances 6.4 and 15 in vol-days, a third and a bit of the way.
    variance = (6.4 + (15.0 - 6.4) * (30 - 10) / (60 - 10)) / 30
    found = float(surface.vol(np.array([100.0]), MIDDLE, TODAY)[0])
    assert found == pytest.approx(np.sqrt(variance), rel=1e-12)


def test_beyond_its_expiries_a_surface_is_that_of_the_nearest():
    surface = VolSurface({NEAR: VolSlice(strikes=(100.0,), vols=(0.8,)), FAR: VolSlice(strikes=(100.0,), vols=(0.5,))})
    assert surface.vol(np.array([100.0]), date(2026, 1, 5), TODAY)[0] == 0.8
    assert surface.vol(np.array([100.0]), date(2027, 1, 5), TODAY)[0] == 0.5
    assert surface.vol(np.array([100.0]), FAR, TODAY)[0] == 0.5


# --- history


def test_a_history_is_a_table_of_days_and_names():
    history = History.of({"B": {NEAR: 2.0}, "A": {MIDDLE: 1.0, NEAR: 3.0}})
    assert history.names == ("A", "B")
    assert history.days == (NEAR, MIDDLE)
    np.testing.assert_array_equal(history.series("A"), [3.0, 1.0])
    np.testing.assert_array_equal(history.series("B"), [2.0, np.nan])


@pytest.mark.parametrize(
    "terms",
    [
        {"closes": np.zeros((2, 3))},
        {"days": (MIDDLE, NEAR)},
        {"days": (NEAR, NEAR)},
        {"names": ("A", "A")},
        {"closes": np.array([[1.0, np.inf], [1.0, 1.0]])},
    ],
)
def test_histories_that_cannot_be_are_refused(terms):
    with pytest.raises(InvalidMarket, match="history"):
        History(**{"days": (NEAR, MIDDLE), "names": ("A", "B"), "closes": np.ones((2, 2)), **terms})
