"""Size-scaled weights over whole accounts: a slow twin, netting of assets and debts, and what is not claimed."""

from dataclasses import replace
from math import sqrt

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Book, Location, Pool, Position
from crossmargin.errors import InvalidRules
from crossmargin.margin.size_scaled import AssetWeights, PerpetualRatios, SizeScaled
from crossmargin.rules import load
from crossmargin.standing import document, evaluate
from tests.margin.linear_worlds import ASSETS, PLAIN, holdings, margins, standing_of
from tests.strategies import LINEAR, alone, market_of, rules_of

COIN = AssetWeights(
    initial=0.8, maintenance=0.9, initial_liability=1.2, maintenance_liability=1.1, size_factor=0.03, scale_start=5_000
)
MONEY = AssetWeights(initial=0.99, maintenance=1.0, initial_liability=1.01, maintenance_liability=1.0)
RATIOS = PerpetualRatios(
    initial=0.1,
    maintenance=0.05,
    size_factor=0.004,
    profit_initial=0.9,
    profit_maintenance=0.95,
    profit_size_factor=0.01,
)
MODEL = SizeScaled(
    assets_by_class={"crypto": COIN, "other": MONEY},
    perpetuals_by_class={"other": RATIOS},
    deposits={"BTC": 80.0},
    profit_cap=100.0,
)
PRICE = {"BTC": 100.0, "ETH": 9.99, "EUR": 1.1, "USDC": 0.999, "USD": 1.0}
SIZE = {"BTC-PERP": 1, "BTC-FUT": 2, "ETH-PERP": 10, "DAX-PERP": 1, "EUR-FUT": 50}
INDEX = {"BTC-PERP": 100, "BTC-FUT": 100, "ETH-PERP": 10 * 0.999, "DAX-PERP": 150 * 1.1, "EUR-FUT": 1.1}


def twin(holding):
    """Return (maintenance, initial) in plain Python, from the formula; positions settled at today's mark."""
    positions, balances = holding
    total = [0.0, 0.0]
    for asset, amount in balances.items():
        if asset == "USD":
            continue
        own = COIN if asset in ("BTC", "ETH") else MONEY
        size, price = abs(amount), PRICE[asset]
        root = own.size_factor * sqrt(size)
        initial = own.initial
        if asset == "BTC" and 80 * price > own.scale_start:
            initial *= own.scale_start / (80 * price)
        for k, (owned, owed) in enumerate(
            ((own.maintenance, own.maintenance_liability), (initial, own.initial_liability))
        ):
            if amount > 0:
                total[k] += size * price * (1 - (min(owned, 1.1 / (1 + root)) if root else owned))
            else:
                total[k] += size * price * (max(owed, 0.8 * owed + root) - 1)
    for symbol, quantity in positions.items():
        size = abs(quantity) * SIZE[symbol]
        for k, ratio in enumerate((RATIOS.maintenance, RATIOS.initial)):
            total[k] += size * INDEX[symbol] * max(ratio, 0.8 * ratio + RATIOS.size_factor * sqrt(size))
    return total[0], max(total)


@given(holdings())
def test_an_account_owes_what_the_formula_says(holding):
    assert margins(MODEL, holding) == pytest.approx(twin(holding), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(
    ("quantity", "entry", "maintenance", "initial"),
    [
        (1, 100.2, 0.0, 0.0),  # at the mark
        (1, 110.2, 0.0, 0.0),  # a loss counts in full
        (1, 90.2, 10 * 0.05, 10 * 0.1),  # 10 of profit at 95% and 90%
        (-1, 1_100.2, 50.0, 900.0),  # 1,000 of it: 1.1 / (1 + 0.01 x 31.6) = 0.836, but no more than 100
    ],
)
def test_profit_counts_in_part_and_up_to_a_cap(quantity, entry, maintenance, initial):
    position = Position(symbol="BTC-PERP", quantity=quantity, entry_price=entry)
    world = alone([position], {}, market=market_of(), instruments=LINEAR, assets=ASSETS)
    standing = world.standing(rules_of(MODEL, haircuts=PLAIN))
    base = 100 * 0.05, 100 * 0.1
    assert float(standing.maintenance_margin[0]) == pytest.approx(base[0] + maintenance)
    assert float(standing.initial_margin[0]) == pytest.approx(base[1] + initial)


def test_an_asset_is_weighted_once_however_many_places_and_members_hold_it():
    """Size is what the pool holds, net: 10 + 5 - 3 coins in three rows owe what 12 in one do."""
    places = [Location(id="here"), Location(id="bank")]
    scattered = [
        Account(
            id="a", balances=[Balance(asset="BTC", amount=10.0), Balance(asset="BTC", amount=5.0, location="bank")]
        ),
        Account(id="b", balances=[Balance(asset="BTC", amount=-3.0)]),
    ]
    book = Book.of(scattered, LINEAR, assets=ASSETS, locations=places, pools=[Pool(id="p", accounts=("a", "b"))])
    standing = evaluate(book, market_of(), rules_of(MODEL, haircuts=PLAIN))
    whole = margins(MODEL, ({}, {"BTC": 12.0}))
    assert float(standing.maintenance_margin[0]) == pytest.approx(whole[0])
    assert float(standing.initial_margin[0]) == pytest.approx(whole[1])
    (pool,) = document(standing)["pools"]
    assert [term["name"] for term in pool["breakdown"]] == ["asset weight BTC"]
    # What is owed of an asset that is owned on balance takes none of its discount.
    assert standing.requirement.balance_share.tolist() == pytest.approx([whole[0] * 2 / 3, 0.0, whole[0] / 3])


def test_weights_take_what_a_venue_would_not_count():
    """Free collateral by weights, written out: 0.9 of 2 coins, 1.1 of a debt of 1, money, 5% of a position."""
    small = replace(COIN, size_factor=0.0)
    model = replace(
        MODEL,
        assets_by_class={"other": small},
        perpetuals_by_class={"other": PerpetualRatios(initial=0.1, maintenance=0.05)},
    )
    standing = standing_of(model, ({"DAX-PERP": 1.0}, {"BTC": 2.0, "ETH": -1.0, "USD": 50.0}))
    free = float(standing.margin_balance[0] - standing.maintenance_margin[0])
    assert free == pytest.approx(0.9 * 200 - 1.1 * 9.99 + 50 - 0.05 * 165)


@given(st.floats(0.1, 500), st.floats(0.1, 500))
def test_the_weighted_value_of_an_asset_does_not_fall_as_more_is_held(size, more):
    def weighted(amount):
        standing = standing_of(MODEL, ({}, {"ETH": amount}))
        return float(standing.margin_balance[0] - standing.requirement.initial[0])

    now, then = weighted(size), weighted(size + more)
    assert now <= then * (1 + 1e-12)
    assert then <= 10 * (size + more)


def test_two_accounts_that_split_a_holding_may_owe_less():
    """Not claimed: sub-additivity and that splitting never pays. Size is charged where it is held."""
    for holding, half in (
        (({}, {"ETH": 400.0}), ({}, {"ETH": 200.0})),
        (({}, {"ETH": -400.0}), ({}, {"ETH": -200.0})),
        (({"DAX-PERP": 400.0}, {}), ({"DAX-PERP": 200.0}, {})),
    ):
        assert 2 * margins(MODEL, half)[0] < margins(MODEL, holding)[0]


@pytest.mark.parametrize(("deposits", "weight"), [(0.0, 0.8), (50.0, 0.8), (100.0, 0.4), (200.0, 0.2)])
def test_what_all_have_deposited_lowers_the_initial_weight_alone(deposits, weight):
    model = replace(MODEL, deposits={"BTC": deposits}, assets_by_class={"other": replace(COIN, size_factor=0.0)})
    assert margins(model, ({}, {"BTC": 1.0})) == pytest.approx((10.0, 100 * (1 - weight)))


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"initial": 0.95}, "initial.*0.95 and 0.9"),
        ({"maintenance": 1.1}, "initial"),
        ({"maintenance_liability": 0.9}, "initial_liability"),
        ({"maintenance_liability": 1.3}, "initial_liability"),
        ({"initial_liability": float("inf")}, "initial_liability"),
        ({"size_factor": -0.1}, "size_factor"),
        ({"scale_start": float("nan")}, "scale_start"),
    ],
)
def test_weights_that_cannot_be_are_refused(fields, told):
    with pytest.raises(InvalidRules, match=told):
        replace(COIN, **fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"maintenance": 0.2}, "maintenance"),
        ({"maintenance": 0.0}, "maintenance"),
        ({"profit_initial": 0.99}, "profit_initial"),
        ({"size_factor": -1.0}, "size_factor"),
        ({"profit_size_factor": -1.0}, "profit_size_factor"),
    ],
)
def test_ratios_that_cannot_be_are_refused(fields, told):
    with pytest.raises(InvalidRules, match=told):
        replace(RATIOS, **fields)


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"deposits": {"BTC": -1.0}}, "deposits.BTC"),
        ({"profit_cap": -1.0}, "profit_cap"),
        ({"assets_by_class": {"crypto": COIN}}, "assets_by_class.*other"),
        ({"perpetuals_by_class": {}}, "perpetuals_by_class.*other"),
    ],
)
def test_a_model_that_cannot_be_is_refused(fields, told):
    with pytest.raises(InvalidRules, match=told):
        replace(MODEL, **fields)


def test_the_shipped_weights_are_those_of_the_published_tests():
    rules = load("size-scaled")
    coin = rules.model.assets_by_class["crypto"]
    assert (coin.initial, coin.maintenance, coin.initial_liability, coin.maintenance_liability) == (0.8, 0.9, 1.2, 1.1)
    ratios = rules.model.perpetuals_by_underlying["BTC"]
    assert (ratios.initial, ratios.maintenance, ratios.size_factor) == (0.1, 0.05, 0.001)
    assert rules.model.profit_cap == 100
    assert rules.haircuts.by_class["other"].slices[0][1] == 0.0
