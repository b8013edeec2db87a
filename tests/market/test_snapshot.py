"""A market is checked at birth: what it cannot look up or count with is refused, never passed over."""

from datetime import UTC, date, datetime
from decimal import Decimal

import numpy as np
import pytest

from crossmargin.errors import InvalidMarket
from crossmargin.market import Mark, Market

TIME = "2026-11-20T08:00:00Z"


def test_forwards_are_by_date():
    market = Market(time=TIME, forwards={"BTC": {date(2026, 12, 25): 64_600.0}})
    assert market.forwards["BTC"][date(2026, 12, 25)] == 64_600.0


@pytest.mark.parametrize("day", ["2026-12-25", datetime(2026, 12, 25, 8, tzinfo=UTC), 20261225, None])
def test_a_forward_that_no_date_would_find_is_refused(day):
    with pytest.raises(InvalidMarket, match=r"^forwards\.BTC: found .*; allowed: .*datetime\.date"):
        Market(time=TIME, forwards={"BTC": {day: 64_600.0}})


@pytest.mark.parametrize("price", ["64000", None, True, Decimal(64_000), float("nan"), float("inf"), 1j, [1], 10**400])
@pytest.mark.parametrize("section", ["prices", "fx"])
def test_a_price_that_is_no_float_is_refused(section, price):
    with pytest.raises(InvalidMarket, match=rf"^{section}\.BTC: found .*; allowed: a finite number"):
        Market(time=TIME, **{section: {"BTC": price}})


@pytest.mark.parametrize("price", [64_000, 64_000.0, np.float32(64_000), np.int64(64_000)])
def test_numbers_of_any_make_are_prices(price):
    assert Market(time=TIME, prices={"BTC": price}).prices["BTC"] == 64_000


@pytest.mark.parametrize("mark", [64_010.0, {"price": 64_010.0}, None])
def test_a_mark_is_a_mark(mark):
    with pytest.raises(InvalidMarket, match=r"^marks\.P: found .*; allowed: a Mark$"):
        Market(time=TIME, marks={"P": mark})
    assert Market(time=TIME, marks={"P": Mark(price=64_010.0)}).marks["P"].price == 64_010.0
