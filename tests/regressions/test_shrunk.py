"""Shortest lists of operations that once broke a simulated house, kept for ever."""

import pytest

from crossmargin.clearing import AdvanceClock, Delist, ListInstrument, OpenHouse, PayFunding, SetFunding
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

LISTS = {
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
