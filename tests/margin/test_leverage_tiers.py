"""The rule book of two leverage tiers: what a step in leverage costs, and its liquidation price in closed form."""

import json

import pytest

from crossmargin.book import Account, Balance, Book, Position
from crossmargin.instruments import Perpetual
from crossmargin.margin import isolated
from crossmargin.market import Market
from crossmargin.rules import load
from crossmargin.standing import document, evaluate

PERP = Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USD", asset_class="crypto")


def standing_of(quantity, price, balance):
    account = Account(
        id="a",
        positions=[Position(symbol="BTC-PERP", quantity=quantity, entry_price=price)],
        balances=[Balance(asset="USD", amount=balance)],
    )
    return evaluate(Book.of([account], [PERP]), Market(time="2026-01-01T08:00:00Z", prices={"BTC": price}), RULES)


RULES = load("hyperliquid")


@pytest.mark.parametrize(
    ("quantity", "maintenance", "initial"),
    [
        (100, 125_000, 250_000),  # 10m at 40 times, half of it maintenance
        (1_500, 1_875_000, 3_750_000),  # the edge of the tier
        (2_000, 1_875_000 + 1_250_000, 3_750_000 + 2_500_000),  # 50m more at 20 times
    ],
)
def test_maintenance_is_half_of_initial_margin_slice_by_slice(quantity, maintenance, initial):
    found = standing_of(quantity, 100_000.0, 1e7)
    assert float(found.maintenance_margin[0]) == pytest.approx(maintenance)
    assert float(found.initial_margin[0]) == pytest.approx(initial)


@pytest.mark.parametrize("quantity", [10.0, -10.0])
def test_inside_a_tier_the_searched_liquidation_price_is_the_closed_form(quantity):
    found = standing_of(quantity, 100_000.0, 60_000.0)
    side = 1.0 if quantity > 0 else -1.0
    price = isolated.linear_liquidation_price_by_leverage(
        side=side,
        size=abs(quantity),
        mark=100_000.0,
        available=float(found.margin_balance[0] - found.maintenance_margin[0]),
        leverage=80.0,
    )
    side_found = document(found)["accounts"][0]["liquidation"]["BTC"]["below" if side > 0 else "above"]
    assert side_found == pytest.approx(float(price), rel=1e-9)


def test_the_largest_leverage_is_what_the_venue_states(shared):
    path = shared / "data" / "rules" / "exchange_api_samples" / "hyperliquid_http_meta_perp_sample.json"
    stated = {m["name"]: m["maxLeverage"] for m in json.loads(path.read_text(encoding="utf-8"))["universe"]}
    for name in ("BTC", "ETH"):
        assert 1 / RULES.model.tiers_by_underlying[name].initial_rate[0] == pytest.approx(stated[name])
    assert 1 / RULES.model.tiers_by_class["crypto"].initial_rate[0] == pytest.approx(stated["ATOM"])


def test_maintenance_is_half_of_initial_in_every_tier():
    model = RULES.model
    for tiers in (*model.tiers_by_class.values(), *model.tiers_by_underlying.values()):
        assert [2 * rate for rate in tiers.maintenance_rate] == pytest.approx(tiers.initial_rate)
    assert model.taker_fee == 0
