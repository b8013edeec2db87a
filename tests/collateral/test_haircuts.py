"""What collateral counts: tiers, caps, places and debts, by hand and against the twin; what a haircut may never do."""

from math import exp, inf, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Book, Location, Pool, pools_of
from crossmargin.collateral import HaircutPolicy, Tiers, count_collateral
from crossmargin.errors import InvalidInstrument, InvalidRules
from crossmargin.instruments import Asset
from crossmargin.market import Market
from tests.strategies import HAIRCUTS, TIME, World, balances, market_of, worlds
from tests.twins.pools import through_tiers, twin_collateral, twin_pools
from tests.twins.prices import Prices

FLAT = HaircutPolicy(by_class={"other": Tiers.flat(0.1)})
PRICE = 50.0


def counted(rows, policy=FLAT, *, assets=(), locations=(), credit="standard", price=PRICE):
    """Return (units counted by row, rest by row, initial only) of one account; every asset is worth `price`."""
    book = Book.of(
        [Account(id="a", credit=credit, balances=tuple(rows))], assets=assets, locations=locations, currency="USD"
    )
    pools, where = pools_of(book)
    names = [a.symbol for a in book.catalogue.assets]
    worth = np.array([1.0 if names[k] == "USD" else price for k in pools.balance_asset])
    found = count_collateral(policy, pools, book.catalogue, currency="USD", locations=book.locations, price=worth)
    rows = [
        (names[book.balances.asset[k]], book.locations[book.balances.location[k]].id)
        for k in range(len(book.balances))
        if where.balance_of_row[k] >= 0
    ]
    at = where.balance_of_row[where.balance_of_row >= 0]
    return (
        dict(zip(rows, found.counted[at].tolist(), strict=True)),
        dict(zip(rows, found.rest[at].tolist(), strict=True)),
        float(found.initial_only[0]),
    )


# --- tiers


@st.composite
def tier_lists(draw):
    haircuts = sorted(draw(st.lists(st.floats(0, 1), min_size=1, max_size=6)))
    widths = draw(st.lists(st.floats(0.1, 1e4), min_size=len(haircuts) - 1, max_size=len(haircuts) - 1))
    return Tiers(tuple(zip([*np.cumsum(widths).tolist(), inf], haircuts, strict=True)))


def test_the_first_slice_s_haircut_applies_to_the_first_units_whatever_the_whole():
    tiers = Tiers(((100, 0.05), (200, 0.10), (inf, 0.40)))
    for quantity, expected in ((0, 0), (50, 47.5), (100, 95), (150, 140), (300, 95 + 90 + 60)):
        assert float(tiers.counted(quantity)) == pytest.approx(expected)


@given(tier_lists(), st.floats(0, 1e5))
def test_tiers_count_slice_by_slice(tiers, quantity):
    assert float(tiers.counted(quantity)) == pytest.approx(through_tiers(quantity, tiers.slices), rel=1e-12)


@given(tier_lists(), st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0, 1))
def test_what_counts_is_concave_rises_with_size_and_is_never_more_than_there_is(tiers, a, b, share):
    low, high = sorted((a, b))
    one, other = float(tiers.counted(low)), float(tiers.counted(high))
    assert 0 <= one <= low * (1 + 1e-12)
    assert one <= other + 1e-9 * high
    mixed = float(tiers.counted(share * low + (1 - share) * high))
    assert mixed >= share * one + (1 - share) * other - 1e-9 * high


@given(tier_lists(), st.floats(0, 1e5), st.floats(1, 3))
def test_a_larger_haircut_never_counts_more(tiers, quantity, factor):
    assert float(tiers.scaled(factor).counted(quantity)) <= float(tiers.counted(quantity)) * (1 + 1e-12)


def test_a_haircut_of_one_counts_nothing_and_of_none_everything():
    assert float(Tiers.flat(1.0).counted(7.0)) == 0
    assert float(Tiers.flat(0.0).counted(7.0)) == 7.0


@pytest.mark.parametrize(
    "slices",
    [
        (),
        ((inf, 1.2),),
        ((inf, -0.1),),
        ((inf, float("nan")),),
        ((100, 0.05),),
        ((100, 0.05), (50, 0.1), (inf, 0.2)),
        ((100, 0.2), (inf, 0.1)),
        ((0, 0.1), (inf, 0.2)),
    ],
)
def test_tiers_that_cannot_be_are_refused(slices):
    with pytest.raises(InvalidInstrument, match="haircut"):
        Tiers(slices)


# --- which tiers apply


def test_an_asset_s_own_tiers_come_first_then_its_name_then_its_class_then_other():
    policy = HaircutPolicy(
        by_class={"crypto": Tiers.flat(0.2), "other": Tiers.flat(0.4)},
        by_name={"BTC": Tiers.flat(0.05)},
        reporting_currency=Tiers.flat(0.01),
    )
    assets = (Asset(symbol="OWN", haircut=((inf, 0.33),)),)
    rows = [Balance(asset=name, amount=10) for name in ("BTC", "ETH", "ODD", "OWN", "USD")]
    found, rest, _ = counted(rows, policy, assets=assets)
    expected = {"BTC": 9.5, "ETH": 8.0, "ODD": 6.0, "OWN": 6.7, "USD": 9.9}
    assert {name: units for (name, _), units in found.items()} == pytest.approx(expected)
    assert {name: units for (name, _), units in rest.items()} == pytest.approx(
        {name: 10 - units for name, units in expected.items()}
    )


def test_a_debt_counts_in_full():
    found, rest, only = counted([Balance(asset="BTC", amount=-3)])
    assert found == {("BTC", "here"): -3}
    assert rest == {("BTC", "here"): 0}
    assert only == 0


def test_pending_money_counts_nowhere():
    found, _, _ = counted([Balance(asset="BTC", amount=3, state="pending"), Balance(asset="BTC", amount=2)])
    assert found == {("BTC", "here"): pytest.approx(1.8)}


def test_a_cap_is_on_the_quantity_of_the_whole_pool_before_the_tiers():
    assets = (Asset(symbol="BTC", cap=10, haircut=((5, 0.0), (inf, 0.5))),)
    rows = [Balance(asset="BTC", amount=12), Balance(asset="BTC", amount=8, location="bank")]
    found, rest, _ = counted(rows, assets=assets, locations=(Location(id="bank"),))
    # 10 of 20 count, 5 of them by half: 7.5, shared 12 to 8.
    assert found == {("BTC", "here"): pytest.approx(4.5), ("BTC", "bank"): pytest.approx(3.0)}
    assert sum(rest.values()) == pytest.approx(12.5)


def test_a_debt_in_one_place_does_not_make_the_tiers_of_another_longer():
    assets = (Asset(symbol="BTC", haircut=((5, 0.0), (inf, 0.5))),)
    rows = [Balance(asset="BTC", amount=8), Balance(asset="BTC", amount=-3, location="bank")]
    found, _, _ = counted(rows, assets=assets, locations=(Location(id="bank"),))
    assert found == {("BTC", "here"): pytest.approx(6.5), ("BTC", "bank"): -3}


# --- places


def test_time_to_finality_and_a_fee_take_their_part():
    policy = HaircutPolicy(
        by_class={"other": Tiers.flat(0.1)}, transfer_k=2.0, transfer_vol={"crypto": 0.8, "other": 1.0}
    )
    bank = Location(id="bank", finality_seconds=365 * 86_400 / 100, fee=20.0)
    found, _, _ = counted([Balance(asset="BTC", amount=10, location="bank")], policy, locations=(bank,))
    # p q (1 - h) exp(-k sigma sqrt(t)) - fee, with a hundredth of a year and the vol of coins.
    value = 50 * 10 * 0.9 * exp(-2.0 * 0.8 * sqrt(0.01)) - 20
    assert found["BTC", "bank"] * PRICE == pytest.approx(value, rel=1e-12)


def test_a_fee_takes_no_more_than_there_is():
    bank = Location(id="bank", fee=1_000.0)
    found, rest, _ = counted([Balance(asset="BTC", amount=10, location="bank")], locations=(bank,))
    assert found["BTC", "bank"] == 0
    assert rest["BTC", "bank"] == 10


def test_a_place_s_cap_is_on_the_value_of_all_that_is_there():
    chain = Location(id="chain", cap=300.0)
    rows = [
        Balance(asset="BTC", amount=10, location="chain"),
        Balance(asset="ETH", amount=5, location="chain"),
        Balance(asset="ETH", amount=-2, location="chain"),
        Balance(asset="BTC", amount=1),
    ]
    found, _, _ = counted(rows, locations=(chain,))
    # 450 + 3 x 45 = 585 would count: all by the same share. The debt merged with the balance beside it.
    assert found["BTC", "chain"] * PRICE == pytest.approx(300 * 450 / 585)
    assert found["ETH", "chain"] * PRICE == pytest.approx(300 * 135 / 585)
    assert found["BTC", "here"] == pytest.approx(0.9)


def test_a_halted_place_counts_for_maintenance_and_not_for_initial_margin():
    frozen = Location(id="frozen", halted=True)
    rows = [Balance(asset="BTC", amount=10, location="frozen"), Balance(asset="USD", amount=-5, location="frozen")]
    found, _, only = counted(rows, locations=(frozen,))
    assert found["BTC", "frozen"] == pytest.approx(9)
    assert only == pytest.approx(450)


def test_a_strict_credit_tier_raises_haircuts_for_initial_margin_only():
    policy = HaircutPolicy(by_class={"other": Tiers.flat(0.1)}, credit_haircut={"basic": 1.5})
    by_tier = {tier: counted([Balance(asset="BTC", amount=10)], policy, credit=tier) for tier in ("prime", "basic")}
    assert by_tier["basic"][0] == by_tier["prime"][0]
    assert by_tier["prime"][2] == 0
    assert by_tier["basic"][2] == pytest.approx(10 * 50 * 0.05)


def test_members_of_a_pool_share_the_tiers():
    assets = (Asset(symbol="BTC", haircut=((5, 0.0), (inf, 0.5))),)
    accounts = [Account(id=name, balances=(Balance(asset="BTC", amount=5),)) for name in ("a", "b")]
    market = Market(time=TIME, fx={"BTC": PRICE})
    from tests.strategies import GRID, rules_of

    apart = World(accounts=tuple(accounts), market=market, assets=assets, instruments=())
    pooled = apart.but(pools=(Pool(id="p", accounts=("a", "b")),))
    assert apart.standing(rules_of(GRID)).worth.haircut.tolist() == [0, 0]
    assert pooled.standing(rules_of(GRID)).worth.haircut.tolist() == [pytest.approx(2.5 * PRICE)]


# --- against the twin, on random books


@given(worlds())
@settings(max_examples=60)
def test_every_balance_counts_what_the_twin_says(world):
    prices = Prices(world)
    book = world.book()
    pools, _ = pools_of(book)
    names = [a.symbol for a in book.catalogue.assets]
    price = np.array([prices.fx(names[k]) for k in pools.balance_asset])
    found = count_collateral(HAIRCUTS, pools, book.catalogue, currency="USD", locations=book.locations, price=price)
    for p, pool in enumerate(twin_pools(world, prices)):
        expected, only = twin_collateral(world, HAIRCUTS, pool, prices)
        rows = range(pools.balance_start[p], pools.balance_start[p + 1])
        got = sorted((names[pools.balance_asset[k]], float(found.counted[k])) for k in rows)
        want = sorted((pool.fenced[0] if key == "fenced" else key[1], units) for key, units in expected.items())
        assert [name for name, _ in got] == [name for name, _ in want]
        assert [units for _, units in got] == pytest.approx([units for _, units in want], rel=1e-12, abs=1e-12)
        assert found.initial_only[p] == pytest.approx(only, rel=1e-9, abs=1e-9)
        for k in rows:
            assert found.rest[k] >= 0
            assert found.counted[k] <= pools.balance_amount[k]


@given(balances(debts=False), st.floats(0, 1), st.floats(0, 1))
@settings(max_examples=40)
def test_equity_never_rises_with_a_haircut(held, one, other):
    from tests.strategies import GRID, alone, rules_of

    low, high = sorted((one, other))
    equities = [
        alone((), held, market=market_of(), assets=())
        .standing(rules_of(GRID, haircuts=HaircutPolicy(by_class={"other": Tiers.flat(h)})))
        .worth.equity[0]
        for h in (low, high)
    ]
    assert equities[1] <= equities[0] + 1e-9


@pytest.mark.parametrize(
    "terms",
    [
        {"by_class": {"crypto": Tiers.flat(0.1)}},
        {"by_class": {"other": Tiers.flat(0.1)}, "credit_haircut": {"basic": 0.9}},
        {"by_class": {"other": Tiers.flat(0.1)}, "credit_haircut": {"gold": 1.5}},
    ],
)
def test_policies_that_cannot_be_are_refused(terms):
    with pytest.raises(InvalidRules):
        HaircutPolicy(**terms)
