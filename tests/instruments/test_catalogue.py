"""The catalogue numbers everything by name, so the order of a file changes nothing."""

from math import inf, isnan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InvalidInstrument, UnknownSymbol
from crossmargin.instruments import KINDS, Asset, Catalogue, parse_symbol

SYMBOLS = (
    "BTC/USDT",
    "BTC/USD:BTC",
    "ETH-26JAN24",
    "ETH-26JAN24-1200-P",
    "BTC/USDT:USDT-261225-60000-C",
    "SPXW220617C03900000",
)
INSTRUMENTS = tuple(parse_symbol(symbol) for symbol in SYMBOLS)


def columns(catalogue):
    return {
        name: getattr(catalogue, name).tolist()
        for name in ("kind", "underlying", "quote", "settle", "contract_size", "inverse", "is_call", "strike", "expiry")
    }


@given(order=st.permutations(INSTRUMENTS))
def test_the_order_instruments_come_in_changes_nothing(order):
    one, other = Catalogue.of(INSTRUMENTS), Catalogue.of(order)
    assert one.instruments == other.instruments
    assert one.assets == other.assets
    assert repr(columns(one)) == repr(columns(other))


def test_columns_say_what_the_instruments_say():
    catalogue = Catalogue.of(INSTRUMENTS)
    assert [i.symbol for i in catalogue] == sorted(SYMBOLS)
    for k, instrument in enumerate(catalogue):
        assert catalogue.number[instrument.symbol] == k
        assert KINDS[catalogue.kind[k]] == instrument.kind
        assert catalogue.assets[catalogue.underlying[k]].symbol == instrument.underlying
        assert catalogue.assets[catalogue.quote[k]].symbol == instrument.quote
        assert catalogue.assets[catalogue.settle[k]].symbol == instrument.settle
        assert catalogue.inverse[k] == instrument.inverse
        if instrument.kind == "option":
            assert catalogue.strike[k] == float(instrument.strike)
            assert catalogue.is_call[k] == (instrument.option_type == "call")
        else:
            assert isnan(catalogue.strike[k])
        dated = instrument.kind in ("future", "option")
        assert catalogue.expiry[k] == (instrument.expiry.timestamp() if dated else inf)


def test_an_underlying_takes_the_class_of_its_contracts_unless_it_is_known_or_given():
    catalogue = Catalogue.of(INSTRUMENTS, [Asset(symbol="BTC", asset_class="other")], ["GNOME"])
    classes = {asset.symbol: asset.asset_class for asset in catalogue.assets}
    assert classes == {
        "BTC": "other",
        "ETH": "crypto",
        "GNOME": "other",
        "SPX": "equity_index",
        "USD": "fx",
        "USDT": "stablecoin",
    }


def test_a_group_is_an_asset_too():
    catalogue = Catalogue.of([], [Asset(symbol="STETH", group="ETH")])
    assert [asset.symbol for asset in catalogue.assets] == ["ETH", "STETH"]


def test_one_symbol_twice_is_refused():
    with pytest.raises(InvalidInstrument, match="instrument BTC/USDT: found two instruments"):
        Catalogue.of([*INSTRUMENTS, INSTRUMENTS[0]])
    with pytest.raises(InvalidInstrument, match="asset BTC: found two assets"):
        Catalogue.of([], [Asset(symbol="BTC"), Asset(symbol="BTC")])


def test_an_unknown_symbol_is_refused_with_the_nearest_known():
    with pytest.raises(UnknownSymbol, match="did you mean ETH-26JAN24"):
        Catalogue.of(INSTRUMENTS)["ETH-27JAN24"]
