"""A history is a table of closes by day, and nothing of it is from the future."""

from datetime import date

import numpy as np
import pytest

from crossmargin.errors import InvalidMarket
from crossmargin.market import History

DAYS = tuple(date(2026, 1, day) for day in (1, 2, 3, 5))


def table():
    return History(days=DAYS, names=("BTC", "ETH"), closes=np.arange(8.0).reshape(4, 2) + 1)


def test_series_of_different_days_share_one_table():
    history = History.of({"BTC": {DAYS[0]: 1.0, DAYS[2]: 3.0}, "ETH": {DAYS[1]: 2.0}})
    assert history.days == DAYS[:3]
    assert history.names == ("BTC", "ETH")
    np.testing.assert_array_equal(history.closes, [[1.0, np.nan], [np.nan, 2.0], [3.0, np.nan]])


@pytest.mark.parametrize(("day", "rows"), [(1, 0), (2, 1), (4, 3), (5, 3), (6, 4)])
def test_only_the_days_before_are_known_on_a_day(day, rows):
    known = table().before(date(2026, 1, day))
    assert known.days == DAYS[:rows]
    np.testing.assert_array_equal(known.closes, table().closes[:rows])


def test_a_history_without_a_future_is_itself():
    history = table()
    assert history.before(date(2026, 2, 1)) is history


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"days": DAYS[::-1]}, "days out of order"),
        ({"days": (*DAYS[:3], DAYS[2])}, "days out of order or twice"),
        ({"names": ("BTC", "BTC")}, "a series twice"),
        ({"names": ("BTC",)}, "a table of"),
        ({"closes": np.array([[1.0, np.inf]] * 4)}, "an infinite close"),
    ],
)
def test_a_table_that_cannot_be_is_refused(changes, found):
    terms = {"days": DAYS, "names": ("BTC", "ETH"), "closes": np.ones((4, 2))}
    with pytest.raises(InvalidMarket, match=found):
        History(**(terms | changes))
