"""Symbols are read strictly, and what is read is what the venue means by it."""

from datetime import UTC, date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InvalidInstrument, UnknownSymbol
from crossmargin.instruments import Future, Option, Perpetual, Spot, parse_symbol
from crossmargin.instruments.symbols import unknown_symbol

DEC_2026 = datetime(2026, 12, 25, 8, tzinfo=UTC)
JAN_2024 = datetime(2024, 1, 26, 8, tzinfo=UTC)

CRYPTO = {
    "BTC/USDT": (Spot, "BTC", "USDT", "USDT", False, None, None, None),
    "ETH/BTC": (Spot, "ETH", "BTC", "BTC", False, None, None, None),
    "BTC/USDT:USDT": (Perpetual, "BTC", "USDT", "USDT", False, None, None, None),
    "BTC/USD:BTC": (Perpetual, "BTC", "USD", "BTC", True, None, None, None),
    "1000PEPE/USDT:USDT": (Perpetual, "1000PEPE", "USDT", "USDT", False, None, None, None),
    "kPEPE/USDC:USDC": (Perpetual, "kPEPE", "USDC", "USDC", False, None, None, None),
    "BTC/USD:BTC-261225": (Future, "BTC", "USD", "BTC", True, DEC_2026, None, None),
    "BTC/USDT:USDT-261225": (Future, "BTC", "USDT", "USDT", False, DEC_2026, None, None),
    "BTC/USD:BTC-261225-60000-C": (Option, "BTC", "USD", "BTC", True, DEC_2026, "60000", "call"),
    "BTC/USDC:USDC-261225-60000-P": (Option, "BTC", "USDC", "USDC", False, DEC_2026, "60000", "put"),
    "XRP/USDC:USDC-261225-0.625-C": (Option, "XRP", "USDC", "USDC", False, DEC_2026, "0.625", "call"),
    "BTC-PERPETUAL": (Perpetual, "BTC", "USD", "BTC", True, None, None, None),
    "BTC_USDC-PERPETUAL": (Perpetual, "BTC", "USDC", "USDC", False, None, None, None),
    "ETH-26JAN24": (Future, "ETH", "USD", "ETH", True, JAN_2024, None, None),
    "ETH-26JAN24-1200-P": (Option, "ETH", "USD", "ETH", True, JAN_2024, "1200", "put"),
    "BTC-25DEC26-60000-C": (Option, "BTC", "USD", "BTC", True, DEC_2026, "60000", "call"),
    "SOL_USDC-26JAN24-100-C": (Option, "SOL", "USDC", "USDC", False, JAN_2024, "100", "call"),
    "XRP_USDC-26JAN24-0d625-C": (Option, "XRP", "USDC", "USDC", False, JAN_2024, "0.625", "call"),
}


@pytest.mark.parametrize("symbol", CRYPTO)
def test_a_crypto_symbol_says_what_it_settles_in_and_when_it_expires(symbol):
    kind, underlying, quote, settle, inverse, expiry, strike, option_type = CRYPTO[symbol]
    found = parse_symbol(symbol)
    assert type(found) is kind
    assert (found.symbol, found.underlying, found.quote, found.settle) == (symbol, underlying, quote, settle)
    assert found.inverse is inverse
    assert found.contract_size == 1
    assert getattr(found, "expiry", None) == expiry
    if strike:
        assert (found.strike, found.option_type, found.exercise) == (Decimal(strike), option_type, "european")


NEW_YORK_SUMMER_OPEN = datetime(2022, 6, 17, 13, 30, tzinfo=UTC)
NEW_YORK_SUMMER_CLOSE = datetime(2022, 6, 17, 20, 0, tzinfo=UTC)
OSI = {
    "SPX   220617C03900000": ("SPX", NEW_YORK_SUMMER_OPEN, "european", "equity_index"),
    "SPXW  220617C03900000": ("SPX", NEW_YORK_SUMMER_CLOSE, "european", "equity_index"),
    "SPXW220617P03900000": ("SPX", NEW_YORK_SUMMER_CLOSE, "european", "equity_index"),
    "SPXW  221216C03900000": ("SPX", datetime(2022, 12, 16, 21, 0, tzinfo=UTC), "european", "equity_index"),
    "NDXP  220617C03900000": ("NDX", NEW_YORK_SUMMER_CLOSE, "european", "equity_index"),
    "VIXW  220622C00030000": ("VIX", datetime(2022, 6, 22, 13, 30, tzinfo=UTC), "european", "other"),
    "AAPL  220617C00130000": ("AAPL", NEW_YORK_SUMMER_CLOSE, "american", "equity"),
    # Until February 2015 a monthly was dated the Saturday after its last trading day, ...
    "SPX   140621C01900000": ("SPX", datetime(2014, 6, 20, 13, 30, tzinfo=UTC), "european", "equity_index"),
    "AAPL  140621C00090000": ("AAPL", datetime(2014, 6, 20, 20, 0, tzinfo=UTC), "american", "equity"),
    # ... which was the Thursday where that Friday was Good Friday.
    "SPX   140419C01900000": ("SPX", datetime(2014, 4, 17, 13, 30, tzinfo=UTC), "european", "equity_index"),
}


@pytest.mark.parametrize("symbol", OSI)
def test_an_osi_root_says_the_underlying_and_whether_it_settles_at_the_open_or_the_close(symbol):
    underlying, expiry, exercise, asset_class = OSI[symbol]
    found = parse_symbol(symbol)
    assert (found.underlying, found.quote, found.contract_size) == (underlying, "USD", 100)
    assert (found.expiry, found.exercise, found.asset_class) == (expiry, exercise, asset_class)
    assert not found.inverse


REFUSED = [
    "",
    "BTC",
    "BTC-PERP",
    "CL-JAN27",
    "btc/usdt",
    "BTC/USDT:USDT\n",
    " BTC/USDT",
    "BTC/BTC",
    "BTC/USD:USDC",  # settled in a third asset: the multiplier is not in the name
    "ETH/USD:BTC",
    "BTC/USD:BTC-261325",  # month 13
    "BTC/USD:BTC-260229",  # no leap year
    "BTC/USD:BTC-2612250",
    "BTC/USD:BTC-261225-60000",
    "BTC/USD:BTC-261225-60000-X",
    "BTC/USD:BTC-261225-0-C",
    "BTC/USD:BTC-261225-060000-C",
    "BTC/USD:BTC-261225--60000-C",
    "BTC/USD:BTC-261225-6e4-C",
    "BTC/USD:BTC-261225-٦٠-C",  # digits of another script
    "ETH-30FEB24",
    "ETH-031JAN24",
    "ETH-09JAN24",  # Deribit writes 9JAN24
    "ETH-26JAM24-1200-P",
    "ETH-26JAN24-1200",
    "ETH-26JAN24-0-P",
    "ETH-26JAN24-12.5-P",  # Deribit writes 12d5
    "SPX-26JAN24-4000-C",  # Deribit has no contract settled in SPX
    "BTC-FS-26JAN24_PERP",
    "BTC_USDT",  # spot on one venue, a perpetual on another
    "SPXW 220610C00800000",  # blanks, but not to 21 characters
    "SPXW   220610C00800000",
    "SPXW  220632C00800000",
    "SPXW  220612C00800000",  # a Sunday
    "SPXW  220611C00800000",  # a Saturday after Saturdays were given up
    "SPXW  220610C00000000",
    "SPXW  220610X00800000",
    "SPXW  220610C0080000",
    "AAPL7 220610C00800000",  # an adjusted deliverable: not 100 shares
    "      220610C00800000",
]


@pytest.mark.parametrize("symbol", REFUSED)
def test_a_name_that_is_nearly_right_is_not_read(symbol):
    assert parse_symbol(symbol) is None


@pytest.mark.parametrize(
    ("symbol", "venue", "size"),
    [
        ("BTC/USDT:USDT", "okx", "0.01"),
        ("BTC/USDT:USDT", "binance", "1"),
        ("BTC/USD:BTC", "okx", "100"),
        ("BTC/USD:BTC", "bybit", "1"),
        ("BTC/USD:BTC", "binance", "100"),
        ("ETH/USD:ETH", "binance", "10"),
        ("BTC/USD:BTC-261225-60000-C", "okx", "0.01"),
        ("BTC-PERPETUAL", "deribit", "1"),
        ("BTC/USD:BTC", "deribit", "1"),
    ],
)
def test_one_symbol_is_a_contract_of_another_size_on_another_venue(symbol, venue, size):
    assert parse_symbol(symbol, venue).contract_size == Decimal(size)


@pytest.mark.parametrize(
    ("venue", "expiry"),
    [
        ("deribit", DEC_2026),
        ("okx", DEC_2026),
        ("bybit", DEC_2026),
        ("binance", DEC_2026),
        ("krakenfutures", datetime(2026, 12, 25, 16, tzinfo=UTC)),
    ],
)
def test_the_hour_of_expiry_is_the_venues(venue, expiry):
    assert parse_symbol("BTC/USD:BTC-261225", venue).expiry == expiry


def test_an_hour_in_london_moves_with_its_summer_time():
    summer = parse_symbol("BTC/USD:BTC-260626", "krakenfutures")
    assert summer.expiry == datetime(2026, 6, 26, 15, tzinfo=UTC)


@pytest.mark.parametrize(
    ("symbol", "venue"),
    [
        ("DOGE/USDT:USDT", "okx"),  # a size that is not in the table
        ("BTC/USDC:USDC-261225", "hyperliquid"),  # an hour that is not
        ("BTC-PERPETUAL", "okx"),  # a name of another venue
        ("SPXW  220610C00800000", "binance"),
        ("BTC/USDT:USDT", "cboe"),
    ],
)
def test_what_a_venue_leaves_unsaid_is_not_guessed(symbol, venue):
    assert parse_symbol(symbol, venue) is None


def test_a_pair_in_deribits_spelling_is_spot_where_deribit_is_named():
    found = parse_symbol("BTC_USDC", "deribit")
    assert (type(found), found.underlying, found.quote) == (Spot, "BTC", "USDC")


def test_an_unknown_venue_is_refused_with_the_nearest_known():
    with pytest.raises(InvalidInstrument, match="did you mean deribit"):
        parse_symbol("BTC-PERPETUAL", "derbit")


def test_an_unknown_symbol_is_refused_with_the_nearest_known():
    error = unknown_symbol("BTC-PREP", ["BTC-PERP", "ETH-PERP"])
    assert isinstance(error, UnknownSymbol)
    assert "did you mean BTC-PERP" in str(error)


# Each scheme is written here by hand, apart from the reader, and read back.

days = st.dates(date(2015, 2, 1), date(2099, 12, 31))
weekdays = days.filter(lambda day: day.weekday() < 5)
strikes = st.decimals(min_value="0.001", max_value="99999.999", places=3)
coins = st.sampled_from(["BTC", "ETH", "SOL", "XRP", "DOGE"])
option_types = st.sampled_from(["call", "put"])


def plain(number: Decimal) -> str:
    return f"{number.normalize():f}"


@given(base=coins, inverse=st.booleans(), day=st.none() | days, strike=st.none() | strikes, option_type=option_types)
def test_a_ccxt_symbol_comes_back_as_it_was_written(base, inverse, day, strike, option_type):
    quote = "USD" if inverse else "USDT"
    settle = base if inverse else quote
    text = f"{base}/{quote}:{settle}"
    if day:
        text += f"-{day:%y%m%d}"
        if strike:
            text += f"-{plain(strike)}-{option_type[0].upper()}"
    found = parse_symbol(text)
    assert (found.underlying, found.quote, found.settle, found.inverse) == (base, quote, settle, inverse)
    check_terms(found, day and datetime.combine(day, time(8), UTC), strike if day else None, option_type)


@given(base=coins, linear=st.booleans(), day=st.none() | days, strike=st.none() | strikes, option_type=option_types)
def test_a_deribit_symbol_comes_back_as_it_was_written(base, linear, day, strike, option_type):
    base = base if linear else "BTC"
    text = f"{base}_USDC" if linear else base
    if day is None:
        text += "-PERPETUAL"
    else:
        text += f"-{day.day}{day:%b%y}".upper()
        if strike:
            text += f"-{plain(strike).replace('.', 'd')}-{option_type[0].upper()}"
    found = parse_symbol(text)
    assert (found.underlying, found.settle, found.inverse) == (base, "USDC" if linear else base, not linear)
    check_terms(found, day and datetime.combine(day, time(8), UTC), strike if day else None, option_type)


@given(
    root=st.sampled_from(["SPX", "SPXW", "XSP", "NDX", "AAPL", "F", "GOOGL"]),
    padded=st.booleans(),
    day=weekdays,
    strike=strikes,
    option_type=option_types,
)
def test_an_osi_symbol_comes_back_as_it_was_written(root, padded, day, strike, option_type):
    text = f"{root:6}" if padded else root
    text += f"{day:%y%m%d}{option_type[0].upper()}{int(strike * 1000):08d}"
    found = parse_symbol(text)
    assert found.underlying == root.removesuffix("W")
    hour = time(9, 30) if root in ("SPX", "NDX") else time(16)
    check_terms(found, datetime.combine(day, hour, ZoneInfo("America/New_York")), strike, option_type)


def check_terms(found, expiry, strike, option_type):
    assert getattr(found, "expiry", None) == expiry
    if strike is None or expiry is None:
        assert not isinstance(found, Option)
    else:
        assert (found.strike, found.option_type) == (strike, option_type)


@given(text=st.text(max_size=40))
def test_any_text_at_all_is_read_or_refused_without_an_error(text):
    found = parse_symbol(text)
    assert found is None or found.symbol == text
