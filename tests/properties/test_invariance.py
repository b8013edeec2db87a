"""What may not matter: order, names, who else is in the book, the currency the report is in, the sign of a price."""

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Pool, Position
from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.instruments import Asset, Perpetual
from crossmargin.margin import Brackets
from crossmargin.margin.grid import Grid
from crossmargin.market import Mark, Market
from crossmargin.scenarios import GridShape
from crossmargin.standing import document
from tests.strategies import (
    ANY_DOMAIN,
    ANY_OPTIONS,
    BRACKETS,
    EXPECTED_SHORTFALL,
    FUTURES,
    GRID,
    INSTRUMENTS,
    LADDER,
    LINEAR,
    OPTIONS,
    QUARTER,
    STANDARD,
    TIME,
    World,
    alone,
    decimals,
    market_of,
    markets,
    positions,
    rules_of,
    worlds,
)
from tests.twins.documents import assert_same

RULES = rules_of(GRID)
MODELS = {
    "grid": (GRID, INSTRUMENTS),
    "es": (EXPECTED_SHORTFALL, INSTRUMENTS),
    "brackets": (BRACKETS, FUTURES),
    "standard": (STANDARD, tuple(i for i in INSTRUMENTS if i.price_domain == "positive")),
}
every_model = pytest.mark.parametrize("name", MODELS)


def told(world, rules):
    """The whole document as text: equal texts are equal to the last bit."""
    return json.dumps(document(world.standing(rules)), sort_keys=True)


def figures(standing):
    return [
        getattr(standing.worth, name)
        for name in ("balances", "haircut", "unrealized_pnl", "net_option_value", "initial_only")
    ] + [standing.maintenance_margin, standing.initial_margin, standing.margin_balance]


# --- order


@every_model
@given(data=st.data(), seed=st.integers(0, 2**31))
@settings(max_examples=8)
def test_the_order_of_anything_in_a_book_changes_no_bit_of_the_document(name, data, seed):
    model, instruments = MODELS[name]
    world = data.draw(worlds(instruments)).but(instruments=instruments)
    mixed = random.Random(seed)

    def shuffled(rows):
        return tuple(mixed.sample(rows, len(rows)))

    accounts = tuple(replace(a, positions=shuffled(a.positions), balances=shuffled(a.balances)) for a in world.accounts)
    other = world.but(
        accounts=shuffled(accounts),
        instruments=shuffled(instruments),
        assets=shuffled(world.assets),
        locations=shuffled(world.locations),
        pools=tuple(replace(pool, accounts=shuffled(pool.accounts)) for pool in world.pools),
    )
    rules = rules_of(model)
    assert told(other, rules) == told(world, rules)


@given(worlds(most=2))
@settings(max_examples=20)
def test_splitting_rows_in_two_changes_no_bit_of_the_standing(world):
    def halves(position):
        part = round(position.quantity / 3, 1)
        fence = position.isolated_collateral
        return [
            replace(position, quantity=part, isolated_collateral=fence),
            replace(
                position,
                quantity=round(position.quantity - part, 1),
                isolated_collateral=None if fence is None else 0.0,
            ),
        ]

    def split(account):
        balances = [
            replace(b, amount=part)
            for b in account.balances
            for part in (round(b.amount / 4, 2), round(b.amount - round(b.amount / 4, 2), 2))
        ]
        return replace(
            account, positions=tuple(h for p in account.positions for h in halves(p)), balances=tuple(balances)
        )

    one = world.standing(RULES)
    other = world.but(accounts=tuple(map(split, world.accounts))).standing(RULES)
    for a, b in zip(figures(one), figures(other), strict=True):
        np.testing.assert_array_equal(a, b)


# --- names


@every_model
@given(data=st.data())
@settings(max_examples=10)
def test_renaming_accounts_decides_nothing(name, data):
    model, instruments = MODELS[name]
    world = data.draw(worlds(instruments)).but(instruments=instruments)
    # The new names sort the other way round.
    new = {account.id: f"z{9 - k}" for k, account in enumerate(world.accounts)}
    other = world.but(
        accounts=tuple(replace(a, id=new[a.id], owner=a.owner or a.id) for a in world.accounts),
        pools=tuple(replace(pool, accounts=tuple(new[a] for a in pool.accounts)) for pool in world.pools),
    )
    rules = rules_of(model)
    one, two = document(world.standing(rules)), document(other.standing(rules))
    after = {account["id"]: account for account in two["accounts"]}
    for account in one["accounts"]:
        same = after[new[account["id"]]]
        assert account["status"] == same["status"]
        exact = account["pool"] is None
        for key in ("net_value", "equity", "initial_margin", "maintenance_margin", "withdrawable", "available"):
            expected = account[key] if exact else pytest.approx(account[key], rel=1e-12, abs=1e-9)
            assert same[key] == expected


@given(worlds(most=1))
@settings(max_examples=20)
def test_renaming_instruments_changes_nothing_beyond_rounding(world):
    new = {instrument.symbol: f"{'zyx'[k % 3]}{k}" for k, instrument in enumerate(world.instruments)}
    other = world.but(
        instruments=tuple(replace(i, symbol=new[i.symbol]) for i in world.instruments),
        accounts=tuple(
            replace(a, positions=tuple(replace(p, symbol=new[p.symbol]) for p in a.positions)) for a in world.accounts
        ),
        market=world.market.with_(marks={new[s]: mark for s, mark in world.market.marks.items()}),
    )
    one, two = world.standing(RULES), other.standing(RULES)
    # The isolated positions of an account come in the order of their names.
    assert sorted(one.maintenance_margin) == pytest.approx(sorted(two.maintenance_margin), rel=1e-12, abs=1e-9)
    assert sorted(one.margin_balance) == pytest.approx(sorted(two.margin_balance), rel=1e-12, abs=1e-9)
    assert one.initial_margin[0] == pytest.approx(two.initial_margin[0], rel=1e-12, abs=1e-9)


# --- who else is in the book


@every_model
@given(data=st.data())
@settings(max_examples=10)
def test_what_an_account_owes_does_not_depend_on_who_else_is_in_the_book(name, data):
    model, instruments = MODELS[name]
    world = data.draw(worlds(instruments)).but(pools=(), instruments=instruments)
    rules = rules_of(model)
    whole = {account["id"]: account for account in document(world.standing(rules))["accounts"]}
    for account in world.accounts:
        (lonely,) = document(world.but(accounts=(account,)).standing(rules))["accounts"]
        assert_same(lonely, whole[account.id])


def test_a_foreign_balance_owes_the_same_whether_or_not_somebody_trades_the_pair():
    market = Market(
        time=TIME,
        currency="EUR",
        prices={"EUR": 1.1, "BTC": 100.0},
        forwards={"EUR": {QUARTER.date(): 1.1}},
    )
    holder = Account(id="a", balances=(Balance(asset="USD", amount=1000), Balance(asset="BTC", amount=-1)))
    trader = Account(id="b", positions=(Position(symbol="EUR-FUT", quantity=2),))
    instruments = tuple(i for i in LINEAR if i.symbol in ("EUR-FUT", "BTC-PERP"))
    one = World(accounts=(holder,), market=market, instruments=instruments).standing(RULES)
    two = World(accounts=(holder, trader), market=market, instruments=instruments).standing(RULES)
    # 1,000 dollars less 2% lose most as the euro gains 6%: 980 / 1.1 x (1 - 1 / 1.06); one coin short 16%.
    assert one.maintenance_margin[0] == pytest.approx(980 / 1.1 * (1 - 1 / 1.06) + 100 / 1.1 * 0.16, rel=1e-12)
    assert two.maintenance_margin[0] == one.maintenance_margin[0]


# --- the currency of the report

DOLLARS = tuple(i for i in (*LINEAR, *OPTIONS) if i.quote == "USD" and i.underlying == "BTC")
COINS = tuple(i for i in INSTRUMENTS if i.underlying == "BTC" and i.inverse)


@pytest.mark.parametrize("model", ["grid", "brackets", "standard"])
@given(data=st.data(), euro=decimals(0.5, 2, 3))
@settings(max_examples=15)
def test_a_book_in_euro_has_the_numbers_of_the_book_in_dollars_over_the_rate(model, data, euro):
    # Money does not move against money here, and one haircut is for all assets.
    instruments = tuple(i for i in (*DOLLARS, *COINS) if model != "brackets" or i in FUTURES)
    shape = GridShape(range_by_class={"crypto": 0.2, "fx": 0.0, "other": 0.35})
    chosen = {"grid": Grid(shape=shape), "brackets": Brackets(tiers_by_class={"other": LADDER}), "standard": STANDARD}
    rules = rules_of(
        chosen[model],
        haircuts=HaircutPolicy(by_class={"other": Tiers.flat(0.1)}, reporting_currency=Tiers.flat(0.1)),
    )
    held = data.draw(positions(instruments))
    balances = [
        Balance(asset=name, amount=data.draw(decimals(-50, 300) if name != "BTC" else decimals(-3, 6)))
        for name in ("USD", "EUR", "BTC")
    ]
    assets = (Asset(symbol="BTC", asset_class="crypto"),)
    base = {"marks": market_of().marks, "forwards": market_of().forwards, "rates": {"USD": 0.03}, "time": TIME}
    in_dollars = Market(currency="USD", prices={"BTC": 100.0}, fx={"EUR": euro}, **base)
    in_euro = Market(currency="EUR", prices={"BTC": 100.0}, fx={"USD": 1 / euro}, **base)
    one, two = (
        alone(held, balances, market=market, instruments=instruments, assets=assets).standing(rules)
        for market in (in_dollars, in_euro)
    )
    for dollars, euros in zip(figures(one), figures(two), strict=True):
        assert euros * euro == pytest.approx(dollars, rel=1e-12, abs=1e-10)
    first, second = document(one), document(two)
    for a, b in zip(first["accounts"], second["accounts"], strict=True):
        assert b["isolated_margin"] * euro == pytest.approx(a["isolated_margin"], rel=1e-12, abs=1e-10)
        roots = a["liquidation"].get("BTC"), b["liquidation"].get("BTC")
        if roots[0] is not None and held:
            for side in ("below", "above"):
                # Prices of the coin stay in dollars, its quote.
                expected = roots[0][side] and pytest.approx(roots[0][side], rel=1e-9)
                assert roots[1][side] == expected


# --- negative prices


@given(st.integers(-60, 60), st.integers(-60, 60), decimals(-9, 9, 1), st.integers(-30, 30))
@settings(max_examples=30)
def test_moving_all_prices_of_an_unbounded_contract_changes_no_profit(price, shift, quantity, gain):
    def pnl(at):
        market = Market(time=TIME, prices={"OIL": at}, marks={"OIL-FUT": Mark(price=at)})
        held = [Position(symbol="OIL-FUT", quantity=quantity, entry_price=at - gain)]
        return alone(held, {"USD": 100}, market=market, instruments=ANY_DOMAIN).standing(RULES)

    here, there = pnl(float(price)), pnl(float(price + shift))
    expected = pytest.approx(quantity * 10 * gain, rel=1e-12)
    assert (here.worth.unrealized_pnl[0], there.worth.unrealized_pnl[0]) == (expected, expected)
    # The range is a share of the price, but of no less than 20.
    for standing, level in ((here, price), (there, price + shift)):
        expected = abs(quantity) * 10 * 0.25 * max(abs(level), 20)
        assert standing.maintenance_margin[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("price", [3.30, 0.01, 0.0, -3.70, -37.63])
def test_oil_falls_through_zero_and_every_figure_stays_finite(price):
    market = market_of(oil=price)
    held = {i.symbol: 3.0 for i in ANY_DOMAIN} | {i.symbol: -2.0 for i in ANY_OPTIONS}
    standing = alone(held, {"USD": 3000}, market=market).standing(RULES)
    account = document(standing)["accounts"][0]
    assert all(np.isfinite(column).all() for column in figures(standing))
    assert account["maintenance_margin"] > 0
    for position in account["positions"]:
        assert position["notional"] >= 0
    assert account["greeks"]["OIL"]["vega"] < 0


# --- more is never worse


@every_model
@given(data=st.data(), market=markets())
@settings(max_examples=10)
def test_more_cash_never_worsens_a_status(name, data, market):
    model, instruments = MODELS[name]
    held = data.draw(positions(instruments, isolated=False))
    statuses = [
        int(alone(held, {"USD": cash}, market=market, instruments=instruments).standing(rules_of(model)).status[0])
        for cash in (-800.0, 0.0, 50.0, 200.0, 800.0, 3000.0)
    ]
    assert statuses == sorted(statuses, reverse=True)


@given(worlds(most=1))
@settings(max_examples=20)
def test_a_pool_of_one_account_is_the_account(world):
    one = world.standing(RULES)
    two = world.but(pools=(Pool(id="only", accounts=("a0",)),)).standing(RULES)
    for a, b in zip(figures(one), figures(two), strict=True):
        np.testing.assert_array_equal(a, b)


def test_two_hedged_accounts_owe_nothing_together():
    accounts = tuple(
        Account(id=name, owner="o", positions=(Position(symbol="BTC-PERP", quantity=q),))
        for name, q in (("long", 5), ("short", -5))
    )
    world = World(accounts=accounts, market=market_of(), pools=(Pool(id="both", accounts=("long", "short")),))
    assert world.standing(RULES).maintenance_margin[0] == 0
    assert world.but(pools=()).standing(RULES).maintenance_margin.tolist() == pytest.approx([80.16, 80.16])


def test_a_coin_and_its_staked_form_offset_in_full():
    # Same group: short 2 coins of 10 x 10, long 20 staked at the same price, haircut 10%, the rest offsets the short.
    eth = Perpetual(symbol="ETH-USD", underlying="ETH", quote="USD", asset_class="crypto")
    assets = (Asset(symbol="ETH", asset_class="crypto"), Asset(symbol="STETH", asset_class="crypto", group="ETH"))
    market = Market(time=TIME, prices={"ETH": 10.0}, fx={"STETH": 10.0})
    standing = alone({"ETH-USD": -20}, {"STETH": 20}, market=market, instruments=(eth,), assets=assets).standing(RULES)
    # Up 20% the short loses 40 and the staked coins gain 40; down 20% the short gains 40, 18 counted coins lose 36.
    assert standing.maintenance_margin[0] == 0
