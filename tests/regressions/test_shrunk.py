"""Shortest lists of operations that once broke a simulated house, kept for ever."""

import pytest

from crossmargin.clearing import (
    AdvanceClock,
    Delist,
    ListInstrument,
    OpenHouse,
    PayFunding,
    SetAveraging,
    SetFunding,
    SetSettlementPrice,
)
from tests.simulation.operations import SetClock, Submit
from tests.simulation.trial import START, carried_out

OPEN = OpenHouse(currency="USD", assets={"USD": (2, "other"), "BTC": (8, "crypto")})
PERPETUAL = ListInstrument(
    terms={
        "type": "perpetual",
        "symbol": "P",
        "underlying": "BTC",
        "quote": "USD",
        "tick_size": "0.5",
        "lot_size": "0.1",
    }
)
MINUTE = 60 * 10**9

FUTURE = ListInstrument(terms=PERPETUAL.terms | {"type": "future", "symbol": "F", "expiry": "2026-11-20T08:20:00Z"})
END = START + 20 * MINUTE

LISTS = {
    "a price that an officer set is averaged for ever after": (
        OPEN,
        FUTURE,
        SetClock(END),
        SetSettlementPrice(underlying="BTC", expiry=END, price=60_000 * 10**8, reason="feed was down"),
        AdvanceClock(),
        SetAveraging(underlying="BTC", window_seconds=60, samples=3, quorum=2),
    ),
    "funding goes on after a perpetual was delisted": (
        OPEN,
        PERPETUAL,
        SetFunding(instrument="P", interval_seconds=60, stale_seconds=30),
        Delist(instrument="P", reason="nobody trades it"),
        SetClock(START + 10 * MINUTE),
        AdvanceClock(),
        PayFunding(instrument="P"),
    ),
    "what was delisted gets funding": (
        OPEN,
        PERPETUAL,
        Delist(instrument="P", reason="nobody trades it"),
        SetFunding(instrument="P", interval_seconds=60, stale_seconds=30),
    ),
}


@pytest.mark.parametrize("name", LISTS)
def test_it_is_not_broken_any_more(name):
    operations = [
        step if isinstance(step, SetClock) else Submit(((step, f"k{place}"),)) for place, step in enumerate(LISTS[name])
    ]
    carried_out(operations)
