"""Walk the price down in ticks: the status turns at the liquidation price, and not a tick sooner."""

import crossmargin as cm

perpetual = cm.Perpetual(symbol="ETH-PERP", underlying="ETH", quote="USD", asset_class="crypto")
account = cm.Account(
    id="walker",
    balances=[cm.Balance(asset="USD", amount=4_000), cm.Balance(asset="ETH", amount=1)],
    positions=[cm.Position(symbol="ETH-PERP", quantity=10, entry_price=3_200)],
)
book, rules = cm.Book.of([account], [perpetual]), cm.load_rules("grid")


def at(price):
    market = cm.Market(time="2026-11-20T08:00:00Z", prices={"ETH": price})
    return cm.document(cm.evaluate(book, market, rules))["accounts"][0]


below = at(3_200)["liquidation"]["ETH"]["below"]
print(f"the liquidation price is {below:.6f}")
tick = 0.05
first = int(below / tick)
for k in range(first + 2, first - 2, -1):
    account_there = at(k * tick)
    excess = account_there["margin_balance"] - account_there["maintenance_margin"]
    print(f"{k * tick:10.2f}  {account_there['status']:<12} {excess:+.4f} above maintenance margin")
    assert (account_there["status"] == "liquidation") == (k * tick <= below)
