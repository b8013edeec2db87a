"""A book, a market and a rule book go in; how every account stands comes out."""

import crossmargin as cm

instruments = [
    cm.Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USD", asset_class="crypto"),
    cm.Future(symbol="BTC-26MAR27", underlying="BTC", quote="USD", expiry="2027-03-26T08:00:00Z", asset_class="crypto"),
]
accounts = [
    cm.Account(
        id="hedged",
        balances=[cm.Balance(asset="USD", amount=5_000)],
        positions=[
            cm.Position(symbol="BTC-PERP", quantity=2, entry_price=63_900),
            cm.Position(symbol="BTC-26MAR27", quantity=-2, entry_price=65_500),
        ],
    ),
    cm.Account(
        id="bold",
        balances=[cm.Balance(asset="BTC", amount=0.5)],
        positions=[cm.Position(symbol="BTC-PERP", quantity=2, entry_price=63_900)],
    ),
]
market = cm.Market(
    time="2026-11-20T08:00:00Z",
    prices={"BTC": 64_000},
    marks={"BTC-26MAR27": cm.Mark(price=65_300)},
)
standing = cm.evaluate(cm.Book.of(accounts, instruments), market, cm.load_rules("portfolio"))
for account in cm.document(standing)["accounts"]:
    print(
        f"{account['id']:<8} {account['status']:<12} equity {account['equity']:>9,.2f}"
        f"  maintenance margin {account['maintenance_margin']:>9,.2f}"
    )
