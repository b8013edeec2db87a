"""Positions from a frame, standings back into one: what a risk report does every morning."""

import polars as pl

import crossmargin as cm

positions = pl.DataFrame(
    {
        "account": ["ann", "ann", "ben", "cleo"],
        "symbol": ["BTC-PERP", "ETH-PERP", "BTC-PERP", "ETH-PERP"],
        "quantity": [1.0, -20.0, 3.0, 12.5],
        "entry_price": [63_000.0, 3_250.0, 64_100.0, None],
    }
)
balances = pl.DataFrame(
    {"account": ["ann", "ben", "cleo"], "asset": ["USD", "USD", "ETH"], "amount": ["25000", "28000.50", "4"]}
)
instruments = [
    cm.Perpetual(symbol=f"{coin}-PERP", underlying=coin, quote="USD", asset_class="crypto") for coin in ("BTC", "ETH")
]
book = cm.book_from_frames(positions=positions, balances=balances, instruments=instruments)
market = cm.Market(time="2026-11-20T08:00:00Z", prices={"BTC": 64_000, "ETH": 3_200})
document = cm.document(cm.evaluate(book, market, cm.load_rules("portfolio")))
report = pl.DataFrame(document["accounts"]).select("id", "status", "equity", "maintenance_margin", "utilization")
for row in report.sort("utilization", descending=True).iter_rows(named=True):
    print("{id:<5} {status:<12} {equity:>10,.2f} {maintenance_margin:>10,.2f} {utilization:>7.1%}".format(**row))
