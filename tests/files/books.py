"""Random right documents, and books compared bit for bit."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from crossmargin.book import Book
from crossmargin.market import Market

TIME = "2026-11-20T08:00:00Z"
INSTRUMENTS = [
    {"symbol": "BTC-PERP", "type": "perpetual", "underlying": "BTC", "quote": "USD", "contract_size": "0.001"},
    {"symbol": "BTC-INV", "type": "perpetual", "underlying": "BTC", "quote": "USD", "contract_size": 10,
     "inverse": True},
    {"symbol": "WTI-JAN", "type": "future", "underlying": "WTI", "quote": "USD", "expiry": "2026-12-21T19:30:00Z",
     "contract_size": 1000, "price_domain": "any", "asset_class": "energy"},
    {"symbol": "BTC-C", "type": "option", "option_type": "call", "strike": "60000.5", "underlying": "BTC",
     "quote": "USD", "expiry": "2026-12-25T08:00:00Z", "tick_size": "0.0005"},
    {"symbol": "BTC/USD", "type": "spot", "underlying": "BTC", "quote": "USD"},
]  # fmt: skip
MARKET = {
    "prices": {"BTC": 64000, "WTI": -3.5},
    "fx": {"EUR": "1.085"},
    "marks": {"BTC-PERP": {"price": 64010.5}, "WTI-JAN": {"price": -1}, "BTC-C": {"price": 5000, "iv": 0.55}},
    "forwards": {"BTC": {"2026-12-25": 64600}},
    "vols": {
        "BTC": {
            "2026-12-25": {"svi": [0.009, 0.067, -0.395, -0.068, 0.15], "forward": 64600, "tau": 0.096},
            "2027-03-26": {"strikes": [50000, 60000], "vols": [0.6, 0.55]},
        }
    },
    "rates": {"USD": 0.041},
    "vol_annual": {"WTI": 0.35},
    "history": {"BTC": {"2026-11-18": 63000, "2026-11-19": 63500.25}, "WTI": {"2026-11-19": -2}},
}

_ids = st.text("abcé 中-", min_size=1, max_size=4)
_amounts = st.decimals(-10_000, 10_000, places=3).map(str)
_prices = st.none() | st.decimals("0.01", 90_000, places=2).map(str)


@st.composite
def positions(draw: Any) -> dict[str, Any]:
    cells: dict[str, Any] = {
        "symbol": draw(st.sampled_from([str(terms["symbol"]) for terms in INSTRUMENTS])),
        "quantity": draw(_amounts),
        "entry_price": draw(_prices),
    }
    if cells["symbol"] != "BTC/USD" and draw(st.booleans()):
        cells |= {"margin_mode": "isolated", "isolated_collateral": draw(st.integers(0, 5000).map(str))}
    return {name: value for name, value in cells.items() if value is not None}


balances = st.builds(
    lambda asset, amount, place, state: {"asset": asset, "amount": amount, "location": place, "state": state},
    st.sampled_from(["USD", "BTC", "EUR"]),
    _amounts,
    st.sampled_from(["here", "custodian"]),
    st.sampled_from(["final", "pending"]),
)


@st.composite
def documents(draw: Any) -> dict[str, Any]:
    """A right book as a document, with everything a book can have."""
    ids = draw(st.lists(_ids.filter(lambda text: text.strip() == text), min_size=1, max_size=4, unique=True))
    accounts = [
        {
            "id": name,
            "owner": draw(st.sampled_from(["ann", "bo"])),
            "credit": draw(st.sampled_from(["prime", "standard", "basic"])),
            "balances": draw(st.lists(balances, max_size=5)),
            "positions": draw(st.lists(positions(), max_size=6)),
        }
        for name in ids
    ]
    return {
        "time": TIME,
        "assets": [{"symbol": "BTC", "haircut": [[100, 0.05], [None, 0.2]], "cap": 1000}],
        "instruments": INSTRUMENTS,
        "market": MARKET,
        "accounts": accounts,
        "locations": [{"id": "custodian", "finality_seconds": 3600, "fee": 5, "cap": 1e6, "halted": False}],
        "pools": [{"id": "the pool", "accounts": ids[:2]}],
        "orders": [{"account": ids[0], "symbol": "BTC-PERP", "quantity": 1, "limit": 63900}],
    }


def write_json(document: dict[str, Any], path: Path) -> Path:
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def write_folder(document: dict[str, Any], folder: Path, *, parquet: bool = False) -> Path:
    """Write a document as a folder of tables, every row of positions and balances in its own line."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        path.unlink()
    tables = ("accounts", "instruments")
    write_json({k: v for k, v in document.items() if k not in (*tables, "market")}, folder / "book.json")
    write_json(document["market"], folder / "market.json")
    rows = {
        "instruments": document["instruments"],
        "accounts": [{k: v for k, v in a.items() if k not in ("balances", "positions")} for a in document["accounts"]],
        "balances": [{"account": a["id"], **row} for a in document["accounts"] for row in a["balances"]],
        "positions": [{"account": a["id"], **row} for a in document["accounts"] for row in a["positions"]],
    }
    required = {
        "accounts": ("id",),
        "balances": ("account", "asset", "amount"),
        "positions": ("account", "symbol", "quantity"),
    }
    for name, entries in rows.items():
        columns = list(dict.fromkeys([*required.get(name, ()), *(column for entry in entries for column in entry)]))
        if parquet:
            import polars as pl

            cells = {c: [None if e.get(c) is None else str(e[c]) for e in entries] for c in columns}
            pl.DataFrame(cells, schema=dict.fromkeys(columns, pl.String)).write_parquet(folder / f"{name}.parquet")
        else:
            with (folder / f"{name}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns, lineterminator="\n")
                writer.writeheader()
                writer.writerows(entries)
    return folder


def bits(book: Book) -> dict[str, Any]:
    """Everything a book says, with floats as their bytes: equal only where no bit differs."""

    def column(values: Any) -> Any:
        return values.tobytes() if isinstance(values, np.ndarray) else list(values)

    tables = {"accounts": book.accounts, "positions": book.positions, "balances": book.balances}
    return {
        **{
            f"{name}.{field}": column(getattr(table, field))
            for name, table in tables.items()
            for field in type(table).__dataclass_fields__
        },
        "instruments": book.catalogue.instruments,
        "assets": book.catalogue.assets,
        "locations": book.locations,
        "pools": book.pools,
        "orders": book.orders,
    }


def same_market(one: Market, other: Market) -> bool:
    """Whether two markets say the same; a history is compared by its cells."""
    first, second = one.history, other.history
    if first is not None and second is not None:
        assert first.days == second.days
        assert first.names == second.names
        assert np.array_equal(first.closes, second.closes, equal_nan=True)
    return one.with_(history=None) == other.with_(history=None) and (first is None) == (second is None)
