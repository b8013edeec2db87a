"""A requirement that explains itself: its parts, who causes them, and that both add up to the last bit."""

from math import fsum

import crossmargin as cm

EXPIRY = "2026-12-25T08:00:00Z"
instruments = [
    cm.Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USD", asset_class="crypto"),
    cm.Option(
        symbol="BTC-25DEC26-70000-C",
        underlying="BTC",
        quote="USD",
        option_type="call",
        strike=70_000,
        expiry=EXPIRY,
        asset_class="crypto",
    ),
]
account = cm.Account(
    id="covered",
    balances=[cm.Balance(asset="USD", amount=20_000), cm.Balance(asset="EUR", amount=10_000)],
    positions=[
        cm.Position(symbol="BTC-25DEC26-70000-C", quantity=-3),
        cm.Position(symbol="BTC-PERP", quantity=1, entry_price=63_000),
    ],
)
market = cm.Market(
    time="2026-11-20T08:00:00Z",
    prices={"BTC": 64_000},
    fx={"EUR": 1.085},
    marks={"BTC-25DEC26-70000-C": cm.Mark(iv=0.55)},
    rates={"USD": 0.041},
)
found = cm.document(cm.evaluate(cm.Book.of([account], instruments), market, cm.load_rules("grid")))["accounts"][0]
for term in found["breakdown"]:
    print(f"{term['name']:<24} {term['amount']:>12,.2f}")
print(f"{'maintenance margin':<24} {found['maintenance_margin']:>12,.2f}\n")
rows = [(row["symbol"], row["margin_contribution"]) for row in found["positions"]]
rows += [(row["asset"], row["margin_contribution"]) for row in found["balances"]]
for name, share in rows:
    print(f"{name:<24} {share:>12,.2f}")
assert fsum(term["amount"] for term in found["breakdown"]) == found["maintenance_margin"]
assert fsum(share for _, share in rows) == found["maintenance_margin"]
