"""Exchange rates between any two assets go through the reporting currency."""

import pytest

from crossmargin.errors import MissingPrice
from crossmargin.instruments import Catalogue, instrument_of
from crossmargin.market import Market
from crossmargin.pricing import value

PERPETUAL = instrument_of("perpetual", symbol="BTC-PERP", underlying="BTC", quote="USD")


def valuation(**facts):
    market = Market(time="2026-11-20T08:00:00Z", prices={"BTC": 60_000.0}, **facts)
    return value(market, Catalogue.of([PERPETUAL], names=("EUR", "USDC", "GBP", market.currency)))


def test_any_two_assets_are_exchanged_through_the_reporting_currency():
    prices = valuation(fx={"EUR": 1.2, "USDC": 0.96})
    assert prices.exchange_rate("BTC", "EUR") == pytest.approx(50_000.0, rel=1e-15)
    assert prices.exchange_rate("EUR", "USDC") == pytest.approx(1.25, rel=1e-15)
    assert prices.exchange_rate("USD", "EUR") * prices.exchange_rate("EUR", "USD") == pytest.approx(1.0, rel=1e-15)
    assert prices.exchange_rate("EUR", "EUR") == 1.0


def test_another_reporting_currency_changes_no_rate_between_two_assets():
    in_euro = valuation(currency="EUR", fx={"USD": 1 / 1.2, "USDC": 0.8})
    assert in_euro.exchange_rate("BTC", "USD") == pytest.approx(60_000.0, rel=1e-15)
    assert in_euro.exchange_rate("USDC", "USD") == pytest.approx(0.96, rel=1e-15)


def test_a_value_the_market_does_not_give_is_named():
    with pytest.raises(MissingPrice, match=r"market\.fx\.GBP"):
        valuation(fx={"EUR": 1.2}).exchange_rate("EUR", "GBP")
    with pytest.raises(MissingPrice, match=r"market\.fx\.XYZ"):
        valuation(fx={"EUR": 1.2}).exchange_rate("XYZ", "EUR")
