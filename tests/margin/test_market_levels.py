"""Margin levels of one market, in exact numbers."""

from fractions import Fraction
from math import ceil

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InputError
from crossmargin.margin import market_levels
from crossmargin.margin.market_levels import LevelFactors, Orders, Slippage

volumes = st.fractions(-1_000, 1_000, max_denominator=100)
unsigned = st.fractions(0, 1_000, max_denominator=100)
risks = st.fractions(Fraction(1, 1_000), 1, max_denominator=1_000)
slippages = st.builds(Slippage, linear=st.fractions(0, 1, max_denominator=100), quadratic=st.just(Fraction(1, 10_000)))
NONE = Slippage()


def maintenance(volume, *, buys=0, sells=0, long=Fraction(1, 10), short=Fraction(2, 10), mark=100, **more):
    return market_levels.maintenance(
        volume=volume, orders=Orders(buys=buys, sells=sells), mark=mark, risk_long=long, risk_short=short, **more
    )


@given(volumes, unsigned, unsigned, risks, risks, slippages)
def test_maintenance_is_the_larger_side_rounded_up(volume, buys, sells, long, short, slippage):
    """Written out again, side by side, as the text of the formula has it."""
    held, owed = max(volume, 0), max(-volume, 0)
    sides = [0]
    if volume + buys > 0:
        slip = 100 * (slippage.linear * held + slippage.quadratic * held**2)
        sides.append(slip + long * 100 * (held + buys))
    if volume - sells < 0:
        slip = 100 * (slippage.linear * owed + slippage.quadratic * owed**2)
        sides.append(slip + short * 100 * (owed + sells))
    assert maintenance(volume, buys=buys, sells=sells, long=long, short=short, slippage=slippage) == ceil(max(sides))


@given(volumes, unsigned, unsigned, unsigned)
def test_more_orders_never_need_less(volume, buys, sells, more):
    now = maintenance(volume, buys=buys, sells=sells)
    assert maintenance(volume, buys=buys + more, sells=sells) >= now
    assert maintenance(volume, buys=buys, sells=sells + more) >= now


def test_funding_that_will_be_paid_is_added_and_funding_that_will_be_received_is_not():
    assert maintenance(10) == 100
    assert maintenance(10, funding_per_unit=2) == 120
    assert maintenance(10, funding_per_unit=-2) == 100
    assert maintenance(-10, funding_per_unit=-2) == 220
    assert maintenance(0, funding_per_unit=2) == 0


@pytest.mark.parametrize(
    ("stated", "auction", "expected"), [(1_000, 90, 100), (1_000, 120, 120), (1_500, 120, 150), (0, 0, 0)]
)
def test_in_an_auction_orders_are_taken_at_the_dearer_of_their_own_and_the_auction_price(stated, auction, expected):
    orders = Orders(buys=10, buy_value=stated)
    found = market_levels.maintenance(
        volume=0, orders=orders, mark=100, risk_long=Fraction(1, 10), risk_short=1, auction_price=auction
    )
    assert found == expected


def test_levels_are_rounded_down_from_exact_products():
    factors = LevelFactors(search=Fraction(115, 100), initial=Fraction(12, 10), release=Fraction(14, 10))
    levels = factors.levels(101)
    assert (levels.maintenance, levels.search, levels.initial, levels.release) == (101, 116, 121, 141)


@pytest.mark.parametrize("factors", [(0.9, 1, 1), (1.2, 1.1, 2), (1, 2, 1.5)])
def test_levels_that_fall_are_refused(factors):
    with pytest.raises(InputError, match="search, initial, release"):
        LevelFactors(**dict(zip(("search", "initial", "release"), map(Fraction, factors), strict=True)))


@given(
    volumes.filter(lambda v: v), st.fractions(1, 10_000, max_denominator=10), risks, slippages, st.fractions(0, 10**6)
)
def test_at_the_liquidation_price_collateral_is_just_maintenance(volume, mark, risk, slippage, collateral):
    price = market_levels.liquidation_price(
        collateral=collateral, volume=volume, mark=mark, risk=risk, slippage=slippage
    )
    if not price:
        return
    owed = slippage.cost(volume, price) + risk * abs(volume) * price
    assert collateral + volume * (price - mark) == owed


def test_a_position_that_more_than_its_value_stands_behind_has_a_liquidation_price_of_zero_or_none():
    terms = {"mark": 100, "slippage": NONE}
    assert market_levels.liquidation_price(collateral=1_000, volume=1, risk=Fraction(1, 2), **terms) == 0
    assert market_levels.liquidation_price(collateral=1, volume=0, risk=1, **terms) is None
    assert market_levels.liquidation_price(collateral=1, volume=1, risk=1, **terms) is None


def test_funding_to_be_paid_brings_the_liquidation_price_nearer():
    terms = {"collateral": 50, "volume": 2, "mark": 100, "risk": Fraction(1, 4), "slippage": NONE}
    assert market_levels.liquidation_price(**terms) == Fraction(150, Fraction(3, 2))
    assert market_levels.liquidation_price(**terms, funding_per_unit=10) > market_levels.liquidation_price(**terms)
    assert market_levels.liquidation_price(**terms, funding_per_unit=-10) == market_levels.liquidation_price(**terms)


ORDERS = [(100, 5), (110, 5), (90, 5)]


@pytest.mark.parametrize(
    ("volume", "held"),
    [
        (0, 1_500),
        (5, 1_500),  # the buys add to it; the sells beyond the first 5, at 90, are 1,050
        (-5, 1_500),  # the sells add to it; the buys beyond the first 5, at 110, are 950
        (12, 1_500),
    ],
)
def test_of_an_isolated_markets_orders_the_larger_side_is_held(volume, held):
    found = market_levels.isolated_order_margin(volume=volume, buys=ORDERS, sells=ORDERS, factor=Fraction(1, 10))
    assert found == Fraction(held, 10)


@pytest.mark.parametrize(
    ("volume", "held"), [(0, 1_500), (5, 1_050), (7, 850), (12, 330), (15, 0), (20, 0), (-5, 1_500)]
)
def test_orders_that_close_an_isolated_position_are_free_the_first_to_trade_first(volume, held):
    sells = market_levels.isolated_order_margin(volume=volume, buys=[], sells=ORDERS, factor=Fraction(1, 10))
    assert sells == Fraction(held, 10)
    # The mirror image: buys close a short, the dearest first.
    mirrored = [(200 - price, size) for price, size in ORDERS]
    buys = market_levels.isolated_order_margin(volume=-volume, buys=mirrored, sells=[], factor=Fraction(1, 10))
    left = max(15 - max(volume, 0), 0)
    assert buys == Fraction(200 * left - held, 10)


def test_an_isolated_factor_must_exceed_the_larger_risk_factor_and_slippage():
    least = market_levels.least_isolated_factor(
        risk_long=Fraction(1, 10), risk_short=Fraction(2, 10), slippage=Slippage(linear=Fraction(1, 100))
    )
    assert least == Fraction(21, 100)


def test_reducing_an_isolated_position_frees_its_share_of_what_it_holds_and_made():
    terms = {"balance": 300, "volume": 10, "trade_price": 110, "mark": 100}
    assert market_levels.released_margin(**terms, closed=10) == 400
    assert market_levels.released_margin(**terms, closed=4) == 160
    assert market_levels.released_margin(**{**terms, "volume": -10}, closed=4) == 80
    with pytest.raises(InputError, match="closed"):
        market_levels.released_margin(**terms, closed=11)


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda: Slippage(linear=-1), "linear"),
        (lambda: Orders(sells=-1), "sells"),
        (lambda: maintenance(1, mark=-1), "mark"),
        (lambda: maintenance(1, short=-1), "risk_short"),
        (lambda: market_levels.isolated_margin(average_entry=1, volume=1, factor=Fraction(3, 2)), "factor"),
        (lambda: market_levels.isolated_margin(average_entry=-1, volume=1, factor=1), "average_entry"),
    ],
)
def test_what_cannot_be_is_refused(call, told):
    with pytest.raises(InputError, match=told):
        call()
