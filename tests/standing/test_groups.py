"""What groups need apart: each as an account of its own would, and never less in sum than the pool."""

import numpy as np
import pytest

from crossmargin import Account, Balance, Book, Market, Perpetual, Pool, Position, evaluate, load_rules
from crossmargin.instruments import Asset, Option
from crossmargin.market import Mark
from crossmargin.standing import group_margins

INSTRUMENTS = (
    Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USD", asset_class="crypto"),
    Perpetual(symbol="BTC-INV", underlying="BTC", quote="USD", inverse=True, contract_size=100, asset_class="crypto"),
    Perpetual(symbol="STETH-PERP", underlying="STETH", quote="USD", asset_class="crypto"),
    Perpetual(symbol="ETH-PERP", underlying="ETH", quote="USD", asset_class="crypto"),
    Perpetual(symbol="SPX-PERP", underlying="SPX", quote="USD", asset_class="equity_index"),
    Option(
        symbol="SPX-PUT",
        underlying="SPX",
        quote="USD",
        asset_class="equity_index",
        option_type="put",
        strike=6000,
        expiry="2027-01-15T00:00:00Z",
    ),
)
ASSETS = (Asset(symbol="STETH", asset_class="crypto", group="ETH"),)
MARKET = Market(
    time="2026-11-20T08:00:00Z",
    prices={"BTC": 64_000, "ETH": 3_200, "STETH": 3_190, "SPX": 6_800},
    marks={"SPX-PUT": Mark(iv=0.2)},
)
WHOLE = {"BTC-PERP": -3, "BTC-INV": 500, "ETH-PERP": 40, "STETH-PERP": -38, "SPX-PERP": 20, "SPX-PUT": 10}
BALANCES = {"USD": 50_000, "BTC": 2.0, "ETH": 5.0}
OF_GROUP = {
    "BTC": ({"BTC-PERP": -3, "BTC-INV": 500}, {"BTC": 2.0}),
    "ETH": ({"ETH-PERP": 40, "STETH-PERP": -38}, {"ETH": 5.0}),
    "SPX": ({"SPX-PERP": 20, "SPX-PUT": 10}, {}),
    "USD": ({}, {"USD": 50_000}),
}


def account(name, quantities, balances):
    return Account(
        id=name,
        owner="one",
        balances=[Balance(asset=asset, amount=amount) for asset, amount in balances.items()],
        positions=[Position(symbol=symbol, quantity=quantity) for symbol, quantity in quantities.items()],
    )


def standing_of(accounts, rules="portfolio", pools=()):
    return evaluate(Book.of(accounts, INSTRUMENTS, assets=ASSETS, pools=pools), MARKET, load_rules(rules))


def by_name(standing, pool=0):
    found = group_margins(standing)
    assets = standing.valuation.catalogue.assets
    return {
        assets[group].symbol: amount
        for of, group, amount in zip(found.pool, found.group.tolist(), found.maintenance.tolist(), strict=True)
        if of == pool
    }


@pytest.mark.parametrize("rules", ["portfolio", "grid"])
def test_each_group_needs_what_an_account_with_nothing_else_would(rules):
    found = by_name(standing_of([account("all", WHOLE, BALANCES)], rules))
    assert found.keys() == OF_GROUP.keys()
    apart = standing_of([account(name, *parts) for name, parts in OF_GROUP.items()], rules)
    # One owner in both books: every market is as deep for the parts as for the whole.
    np.testing.assert_allclose(list(found.values()), apart.maintenance_margin, rtol=1e-12)


def test_the_sum_of_groups_is_never_less_than_what_the_pool_needs_and_offsets_make_the_difference():
    standing = standing_of([account("all", WHOLE, BALANCES)])
    total = group_margins(standing).total
    assert total[0] > standing.maintenance_margin[0] > 0
    hedged = standing_of([account("all", {"BTC-PERP": 1, "SPX-PERP": -9}, {"USD": 1e6})])
    assert group_margins(hedged).total[0] > 1.1 * hedged.maintenance_margin[0]


def test_a_pool_of_one_group_needs_what_its_group_needs():
    standing = standing_of([account("one", *OF_GROUP["ETH"])])
    assert group_margins(standing).total[0] == pytest.approx(standing.maintenance_margin[0], rel=1e-12)


def test_members_of_a_pool_are_taken_together_and_an_empty_pool_needs_nothing():
    accounts = [
        Account(id="a", owner="one", pool="p", positions=[Position(symbol="BTC-PERP", quantity=1)]),
        Account(id="b", owner="one", pool="p", positions=[Position(symbol="BTC-PERP", quantity=-1)]),
        Account(id="c"),
    ]
    standing = standing_of(accounts, pools=[Pool(id="p", accounts=("a", "b"))])
    assert group_margins(standing).total.tolist() == [0.0, 0.0]
