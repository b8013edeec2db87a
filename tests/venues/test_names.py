"""Contracts as venues name them are read as the contracts they are, or not at all."""

from datetime import UTC, datetime

import pytest

from crossmargin.instruments import parse_symbol
from crossmargin.venues.names import binance, bybit, okx


@pytest.mark.parametrize(
    ("read", "name", "unified"),
    [
        (okx, "BTC-USDT-SWAP", "BTC/USDT:USDT"),
        (okx, "BTC-USD-SWAP", "BTC/USD:BTC"),
        (okx, "BTC-USD-241227", "BTC/USD:BTC-241227"),
        (okx, "ETH-USDC-241227", "ETH/USDC:USDC-241227"),
        (okx, "BTC-USD-241217-92000-C", "BTC/USD:BTC-241217-92000-C"),
        (okx, "BTC-USDT", None),
        (okx, "BTC-USD_UM-SWAP", None),
        (okx, "BTC-USDT-SWAPS", None),
        (bybit, "BTCUSDT", "BTC/USDT:USDT"),
        (bybit, "1000PEPEUSDT", "1000PEPE/USDT:USDT"),
        (bybit, "BTCPERP", "BTC/USDC:USDC"),
        (bybit, "BTCUSD", "BTC/USD:BTC"),
        (bybit, "BTCUSDZ25", "BTC/USD:BTC-251226"),
        (bybit, "BTCUSDH26", "BTC/USD:BTC-260327"),
        (bybit, "BTC-26DEC25", "BTC/USDC:USDC-251226"),
        (bybit, "BTCUSDT-2JAN26", "BTC/USDT:USDT-260102"),
        (bybit, "ETH-26DEC25-3000-P", "ETH/USDC:USDC-251226-3000-P"),
        (bybit, "ETH-26DEC25-3000-P-USDT", "ETH/USDT:USDT-251226-3000-P"),
        (bybit, "BTC-26XXX25", None),
        (bybit, "USDT", None),
        (bybit, "BTC", None),
        (binance, "BTCUSDT", "BTC/USDT:USDT"),
        (binance, "ETHBTC", "ETH/BTC:BTC"),
        (binance, "BTCUSDT_251226", "BTC/USDT:USDT-251226"),
        (binance, "BTCUSD_PERP", "BTC/USD:BTC"),
        (binance, "ADAUSD_251226", "ADA/USD:ADA-251226"),
        (binance, "BTC-251226-60000-C", "BTC/USDT:USDT-251226-60000-C"),
        (binance, "BTCUSD", None),
        (binance, "btcusdt", None),
    ],
)
def test_a_name_is_the_unified_symbol_or_nothing(read, name, unified):
    assert read(name) == unified
    if unified is not None:
        assert parse_symbol(unified) is not None


def test_a_quarterly_future_expires_on_the_last_friday_of_its_month():
    assert parse_symbol(bybit("BTCUSDU26"), "bybit").expiry == datetime(2026, 9, 25, 8, tzinfo=UTC)
