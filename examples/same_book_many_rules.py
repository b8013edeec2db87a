"""One book under several rule books: what each asks, and what it gives for being hedged."""

import crossmargin as cm
from crossmargin.rules import parse

instruments = [
    cm.Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USD", asset_class="crypto"),
    cm.Future(symbol="BTC-26MAR27", underlying="BTC", quote="USD", expiry="2027-03-26T08:00:00Z", asset_class="crypto"),
]
account = cm.Account(
    id="basis",
    balances=[cm.Balance(asset="USD", amount=100_000)],
    positions=[
        cm.Position(symbol="BTC-PERP", quantity=10, entry_price=64_000),
        cm.Position(symbol="BTC-26MAR27", quantity=-10, entry_price=65_300),
    ],
)
market = cm.Market(
    time="2026-11-20T08:00:00Z",
    prices={"BTC": 64_000},
    marks={"BTC-26MAR27": cm.Mark(price=65_300)},
)
MINE = """
name = "mine"
version = "2026-12-01"
extends = "grid"
[parameters.range_by_name]
value = { BTC = 0.25 }
unit = "fraction of the price"
source = "an example"
"""
book = cm.Book.of([account], instruments)
for rules in (*map(cm.load_rules, ("brackets", "grid", "standard")), parse(MINE, "mine.toml")):
    found = cm.document(cm.evaluate(book, market, rules))["accounts"][0]
    saved = found["isolated_margin"] - found["maintenance_margin"]
    print(f"{rules.name:<10} needs {found['maintenance_margin']:>10,.0f}; cross margin saves {saved:>10,.0f}")
