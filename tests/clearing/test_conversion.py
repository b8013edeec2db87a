"""Conversion of collateral: at the index less a spread, never more than the house has, always rounded down."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.clearing import Deposit, Reason, UpdateMarks
from crossmargin.clearing.conversion import ConvertCollateral, SetConversion, StockConversion
from crossmargin.clearing.ledger import FEES
from tests.clearing_desk import BTC, USD, Desk, Headroom

UNIT = 10**8
NAMES = ("alice", "bob")


class Margin(Headroom):
    """A view that allows whatever leaves an account as much USD as it needs."""

    def allows_change(self, state, account, changes):
        change = sum(amount for asset, _, amount in changes if asset == USD)
        return self.standing(account).margin_balance + change >= self.standing(account).initial


def exchange(price=60_000 * UNIT, spread=1_000, risk=None, stock=10**12):
    """A house that exchanges USD and BTC; it has a stock of both."""
    desk = Desk(*NAMES, risk=risk)
    desk.pay_in("alice", 10**10)
    desk.pay_in("alice", 10 * UNIT, asset="BTC")
    for asset in ("USD", "BTC"):
        desk.do(StockConversion(asset=asset, amount=stock, reason="opening stock"))
    desk.do(SetConversion(asset="USD"))
    desk.do(SetConversion(asset="BTC", spread=spread))
    desk.do(UpdateMarks(indices={"BTC": price}))
    return desk


def convert(amount, give="BTC", take="USD", **terms):
    return ConvertCollateral(account="alice", give=give, take=take, amount=amount, **terms)


def test_a_coin_is_exchanged_at_the_index_less_the_spread():
    desk = exchange()
    desk.do(convert(UNIT // 2))
    # Half a coin at 60,000 USD is 30,000 USD; 0.1% of them is the house's fee.
    assert desk.have("alice", BTC) == 10 * UNIT - UNIT // 2
    assert desk.have("alice") == 10**10 + 2_997_000
    assert desk.state.ledger.balance(FEES, USD) == 3_000


@settings(max_examples=50)
@given(
    st.integers(1, 10**10),
    st.integers(10**8, 10**14),
    st.integers(0, 10_000),
    st.sampled_from([("BTC", "USD"), ("USD", "BTC")]),
)
def test_nobody_gets_more_than_the_index_says_and_the_way_back_never_gains(amount, price, spread, way):
    desk = exchange(price, spread, stock=10**17)
    give, take = way
    before = (desk.have("alice", USD), desk.have("alice", BTC))
    value = Fraction(price, UNIT) * Fraction(1, 10**6)
    exact = amount * (value if give == "BTC" else 1 / value)
    reply = desk.house.submit(convert(amount, give, take))
    if getattr(reply, "reason", None) in (Reason.AMOUNT_TOO_SMALL, Reason.FUNDS_ARE_INSUFFICIENT):
        assert exact * (1 - Fraction(spread, 10**6)) < 1 or amount > before[give == "BTC"]
        return
    got = reply.events[0].taken
    assert got == (exact * (1 - Fraction(spread, 10**6))).__floor__()
    assert reply.events[0].fee == exact.__floor__() - got >= 0
    back = desk.house.submit(convert(got, take, give))
    assert getattr(back, "reason", None) in (None, Reason.AMOUNT_TOO_SMALL)
    assert desk.have("alice", (USD, BTC)[give == "BTC"]) <= before[give == "BTC"]


def test_the_house_never_gives_what_it_does_not_have():
    desk = exchange(stock=5_999_999)
    desk.no(convert(UNIT), Reason.CONVERSION_HAS_TOO_LITTLE)
    desk.no(StockConversion(asset="USD", amount=-6_000_000, reason="too much"), Reason.CONVERSION_HAS_TOO_LITTLE)
    desk.do(StockConversion(asset="USD", amount=-2_000_000, reason="elsewhere"))
    desk.no(convert(UNIT * 7 // 10), Reason.CONVERSION_HAS_TOO_LITTLE)
    desk.do(convert(UNIT // 2))


def test_a_price_of_the_last_minute_is_needed():
    desk = exchange()
    desk.later(61)
    desk.no(convert(UNIT), Reason.MARK_IS_STALE)


def test_what_the_pool_needs_stays():
    risk = Margin()
    desk = exchange(risk=risk)
    risk.needs["alice"] = 10**10 - 1_000
    desk.no(convert(10_000, "USD", "BTC"), Reason.MARGIN_IS_INSUFFICIENT)
    desk.do(convert(UNIT))


def test_more_than_is_asked_at_least_or_nothing():
    desk = exchange()
    desk.no(convert(UNIT, least=5_994_001), Reason.AMOUNT_TOO_SMALL)
    desk.do(convert(UNIT, least=5_994_000))


def test_an_asset_is_exchanged_until_it_is_not():
    desk = exchange()
    desk.no(SetConversion(asset="USD"), Reason.NOTHING_WOULD_CHANGE)
    desk.do(SetConversion(asset="BTC", spread=None))
    desk.no(convert(UNIT), Reason.ASSET_IS_NOT_CONVERTED)


def test_without_an_index_nothing_is_exchanged():
    desk = Desk("alice")
    desk.do(Deposit(account="alice", asset="BTC", amount=UNIT, reference="r"))
    desk.do(SetConversion(asset="USD"))
    desk.do(SetConversion(asset="BTC"))
    desk.no(convert(UNIT), Reason.MARK_IS_MISSING)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (ConvertCollateral(account="dora", give="BTC", take="USD", amount=1), Reason.UNKNOWN_ACCOUNT),
        (convert(1, give="EUR"), Reason.UNKNOWN_ASSET),
        (convert(1, take="EUR"), Reason.UNKNOWN_ASSET),
        (convert(0), Reason.AMOUNT_NOT_POSITIVE),
        (convert(1, take="BTC"), Reason.NOTHING_WOULD_CHANGE),
        (convert(10 * UNIT + 1), Reason.FUNDS_ARE_INSUFFICIENT),
        (SetConversion(asset="EUR"), Reason.UNKNOWN_ASSET),
        (StockConversion(asset="EUR", amount=1, reason="r"), Reason.UNKNOWN_ASSET),
        (StockConversion(asset="USD", amount=0, reason="r"), Reason.TERMS_ARE_INVALID),
        (StockConversion(asset="USD", amount=1, reason=" "), Reason.TERMS_ARE_INVALID),
        (StockConversion(asset="USD", amount=2**62, reason="r"), Reason.AMOUNT_TOO_LARGE),
        (SetConversion(asset="BTC", spread=500_000), Reason.TERMS_ARE_INVALID),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, Reason) else value.value,
)
def test_what_is_refused_has_a_name(command, reason):
    exchange().no(command, reason)


def test_amounts_beyond_all_bounds_are_refused():
    desk = exchange(price=2**62)
    desk.pay_in("alice", 10**14, asset="BTC")
    desk.no(convert(10**14), Reason.AMOUNT_TOO_LARGE)
