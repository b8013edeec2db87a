"""A right book is read as it is written, whichever way it is written."""

import io
import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from crossmargin.errors import InvalidFile
from crossmargin.files import read_book

BOOK = """{
  "time": "2026-11-20T08:00:00Z", "currency": "USD",
  "assets": [{"symbol": "BTC", "decimals": 8, "class": "crypto", "haircut": [[100, 0.05], [null, 0.20]]}],
  "instruments": [
    {"symbol": "BTC-PERP", "type": "perpetual", "underlying": "BTC", "quote": "USD", "settle": "USD",
     "contract_size": 1, "asset_class": "crypto", "tick_size": 0.5, "lot_size": 0.001},
    {"symbol": "BTC-25DEC26", "type": "future", "underlying": "BTC", "quote": "USD",
     "expiry": "2026-12-25T08:00:00Z", "asset_class": "crypto"},
    {"symbol": "BTC-25DEC26-60000-C", "type": "option", "option_type": "call", "strike": 60000,
     "underlying": "BTC", "quote": "USD", "expiry": "2026-12-25T08:00:00Z", "asset_class": "crypto"},
    {"symbol": "CL-JAN27", "type": "future", "underlying": "WTI", "quote": "USD", "contract_size": 1000,
     "expiry": "2026-12-21T19:30:00Z", "asset_class": "energy", "price_domain": "any"}
  ],
  "market": {
    "prices": {"BTC": 64000, "WTI": 71.2},
    "fx": {"USDC": 0.9998, "EUR": 1.085},
    "marks": {"BTC-PERP": {"price": 64010}, "CL-JAN27": {"price": 71.4}, "BTC-25DEC26-60000-C": {"iv": 0.55}},
    "forwards": {"BTC": {"2026-12-25": 64600}},
    "vols": {"BTC": {"2026-12-25": {"svi": [0.009, 0.067, -0.395, -0.068, 0.15], "forward": 64600, "tau": 0.096}}},
    "rates": {"USD": 0.041},
    "vol_annual": {"WTI": 0.35}
  },
  "accounts": [
    {"id": "bob", "owner": "bob", "balances": [{"asset": "USD", "amount": 5000, "location": "here", "state": "final"}],
     "positions": [{"symbol": "BTC-PERP", "quantity": 1, "entry_price": 63500, "margin_mode": "isolated",
                    "isolated_collateral": 4000}]},
    {"id": "alice", "owner": "alice", "mode": "cross", "credit": "standard", "balances": {"USD": 10000, "BTC": "0.5"},
     "positions": [{"symbol": "BTC-PERP", "quantity": -2, "entry_price": 63000}]},
    {"id": "carol", "owner": "alice", "balances": {"USD": 2000}, "positions": []}
  ],
  "orders": [{"account": "alice", "symbol": "BTC-PERP", "quantity": 1, "limit": 63900, "reduce_only": false}],
  "locations": [{"id": "here", "finality_seconds": 0, "fee": 0, "cap": null, "halted": false}],
  "pools": [{"id": "alice-group", "accounts": ["alice", "carol"]}]
}"""


def test_a_document_becomes_a_book_and_its_market(tmp_path: Path) -> None:
    path = tmp_path / "book.json"
    path.write_text(BOOK)

    loaded = read_book(path)

    book, market = loaded.book, loaded.market
    assert list(book.accounts.ids) == ["alice", "bob", "carol"]
    assert list(book.accounts.owners) == ["alice", "bob", "alice"]
    assert book.positions.quantity.tolist() == [-2.0, 1.0]
    assert book.positions.collateral.tolist() == [0.0, 4000.0]
    assert book.positions.entry_value.tolist() == [-126000.0, 63500.0]
    assert book.balances.amount.tolist() == [0.5, 10000.0, 5000.0, 2000.0]
    assert [pool.accounts for pool in book.pools] == [("alice", "carol")]
    assert book.orders[0].limit == 63900.0
    assert book.catalogue["CL-JAN27"].price_domain == "any"
    assert market.time == datetime(2026, 11, 20, 8, tzinfo=UTC)
    assert market.marks["BTC-25DEC26-60000-C"].iv == 0.55
    assert loaded.warnings == ()


def test_standard_input_is_a_book_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(BOOK.encode())))
    assert list(read_book("-").book.accounts.ids) == ["alice", "bob", "carol"]


def test_a_list_of_positions_is_answered_with_the_command_that_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "positions.json"
    path.write_text(json.dumps([{"symbol": "BTC/USDT:USDT", "contracts": 1}]))
    with pytest.raises(InvalidFile, match=r"a list.*crossmargin import ccxt-positions"):
        read_book(path)
