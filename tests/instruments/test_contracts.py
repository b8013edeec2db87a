"""Contract terms are checked at birth, and an instrument that exists makes sense."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from crossmargin.errors import InvalidInstrument
from crossmargin.instruments import Future, Instrument, Option, Perpetual, Spot, instrument_of

EXPIRY = "2026-12-25T08:00:00Z"
TERMS = {"symbol": "X", "underlying": "BTC", "quote": "USD"}
OPTION = TERMS | {"option_type": "call", "strike": 60000, "expiry": EXPIRY}


def test_what_is_not_said_has_the_documented_default():
    found = Perpetual(**TERMS)
    assert (found.settle, found.contract_size, found.inverse) == ("USD", 1, False)
    assert (found.asset_class, found.price_domain) == ("other", "positive")
    assert (found.tick_size, found.lot_size) == (None, None)
    assert Option(**OPTION).exercise == "european"


def test_an_inverse_contract_settles_in_its_underlying():
    assert Perpetual(**TERMS, inverse=True).settle == "BTC"
    with pytest.raises(InvalidInstrument, match="settle: found USD; allowed: BTC"):
        Perpetual(**TERMS, inverse=True, settle="USD")


def test_sizes_are_exact_decimals_however_they_are_given():
    for given in (0.1, "0.1", Decimal("0.1")):
        assert Perpetual(**TERMS, contract_size=given, tick_size=given).contract_size == Decimal("0.1")


def test_expiries_are_utc_instants_whatever_zone_they_are_given_in():
    expected = datetime(2026, 12, 25, 8, tzinfo=UTC)
    for given in (EXPIRY, "2026-12-25T03:00:00-05:00", expected):
        found = Future(**TERMS, expiry=given)
        assert found.expiry == expected
        assert found.expiry.tzinfo is UTC


def test_a_strike_may_be_negative_only_where_prices_may():
    assert Option(**OPTION | {"strike": -10, "price_domain": "any"}).strike == -10
    with pytest.raises(InvalidInstrument, match="strike: found -10; allowed: a number above 0"):
        Option(**OPTION | {"strike": -10})


@pytest.mark.parametrize(
    ("kind", "changes", "message"),
    [
        (Perpetual, {"symbol": ""}, "symbol: found ''"),
        (Perpetual, {"symbol": "x" * 201}, "a name of 1 to 200 characters"),
        (Perpetual, {"underlying": 7}, "underlying: found 7"),
        (Perpetual, {"quote": "BTC"}, "quote: found BTC, its own underlying"),
        (Perpetual, {"contract_size": 0}, "contract_size: found 0; allowed: a number above 0"),
        (Perpetual, {"contract_size": True}, "contract_size: found the boolean true"),
        (Perpetual, {"contract_size": "NaN"}, "contract_size: found NaN"),
        (Perpetual, {"contract_size": "1e400"}, "contract_size: found 1e400"),
        (Perpetual, {"tick_size": -1}, "tick_size: found -1"),
        (Perpetual, {"lot_size": "small"}, "lot_size: found the text 'small'"),
        (Perpetual, {"asset_class": "cripto"}, "did you mean crypto"),
        (Perpetual, {"price_domain": "negative"}, "price_domain: found 'negative'; allowed: positive or any"),
        (Perpetual, {"inverse": True, "price_domain": "any"}, "an inverse contract divides by its price"),
        (Spot, {"inverse": True}, "spot is never inverse"),
        (Future, {"expiry": "2026-12-25T08:00:00"}, "expiry: found 2026-12-25T08:00:00 without a time zone"),
        (Future, {"expiry": "christmas"}, "expiry: found the text 'christmas'"),
        (Option, {"option_type": "C"}, "option_type: found 'C'; allowed: call or put"),
        (Option, {"exercise": "bermudan"}, "exercise: found 'bermudan'"),
        (Option, {"strike": None}, "strike: found a NoneType"),
        (Instrument, {}, "no kind"),
    ],
)
def test_terms_that_cannot_be_are_refused_by_name(kind, changes, message):
    terms = {Option: OPTION, Future: TERMS | {"expiry": EXPIRY}}.get(kind, TERMS)
    with pytest.raises(InvalidInstrument, match=message):
        kind(**terms | changes)


def test_kinds_are_made_by_the_names_they_have_in_files():
    made = instrument_of("future", **TERMS, expiry=EXPIRY)
    assert made == Future(**TERMS, expiry=EXPIRY)
    assert [instrument_of(kind, **TERMS).kind for kind in ("spot", "perpetual")] == ["spot", "perpetual"]


@pytest.mark.parametrize(
    ("kind", "terms", "message"),
    [
        ("swap", TERMS, "type: found 'swap'"),
        ("futur", TERMS, "did you mean future"),
        ("future", TERMS, "found no expiry; allowed: a future needs expiry, quote, symbol, underlying"),
        ("option", TERMS, "found no expiry and no option_type and no strike"),
        ("perpetual", TERMS | {"strike": 1}, "strike: found a term no such contract has"),
        ("spot", {"symbol": "X"}, "found no quote and no underlying"),
    ],
)
def test_a_kind_nobody_knows_and_terms_it_lacks_are_refused(kind, terms, message):
    with pytest.raises(InvalidInstrument, match=message):
        instrument_of(kind, **terms)
