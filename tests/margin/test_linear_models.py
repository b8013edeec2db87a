"""What the models of linear contracts promise alike, and how their shipped rule books margin whole books."""

from itertools import chain
from math import fsum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Book, Pool, Position
from crossmargin.errors import NotMargined
from crossmargin.instruments import Asset, Perpetual
from crossmargin.market import Market
from crossmargin.rules import load
from crossmargin.standing import document, evaluate
from tests.margin.linear_worlds import SYMBOLS, holdings, margins, prices, quantities, standing_of
from tests.strategies import ANY_DOMAIN, INVERSE, LINEAR, OPTIONS, TIME, alone, market_of, rules_of

BOOKS = ("dydx", "hyperliquid", "size-scaled", "vega")
MODELS = {name: load(name).model for name in BOOKS}
QUANTUM = {"dydx": 1e-6, "vega": 1e-6}
every_model = pytest.mark.parametrize("name", BOOKS)
few = settings(max_examples=20)


def slack(name, *figures):
    """Return how far roundings may take figures apart: a few quanta of a quote asset worth about one, and floats."""
    return 20 * QUANTUM.get(name, 0.0) + 1e-11 * sum(abs(figure) for figure in figures) + 1e-12


@every_model
def test_nothing_needs_nothing(name):
    assert margins(MODELS[name], ({}, {})) == (0, 0)
    assert margins(MODELS[name], ({}, {"USD": 100.0})) == (0, 0)


@every_model
@few
@given(holding=holdings(), terms=prices)
def test_initial_is_at_least_maintenance_and_that_at_least_nothing(name, holding, terms):
    maintenance, initial = margins(MODELS[name], holding, market_of(**terms))
    assert 0 <= maintenance <= initial


@every_model
@few
@given(holding=holdings(), terms=prices)
def test_the_breakdown_and_the_contributions_add_up_to_the_last_bit(name, holding, terms):
    (row,) = document(standing_of(MODELS[name], holding, market_of(**terms)))["accounts"]
    assert fsum(term["amount"] for term in row["breakdown"]) == row["maintenance_margin"]
    shares = [part["margin_contribution"] for part in chain(row["positions"], row["balances"])]
    assert fsum(shares) == row["maintenance_margin"]


@every_model
@few
@given(holding=holdings(), terms=prices)
def test_a_portfolio_owes_no_more_than_its_parts_alone(name, holding, terms):
    positions, balances = holding
    market = market_of(**terms)
    whole = margins(MODELS[name], holding, market)
    parts = [margins(MODELS[name], ({s: q}, {}), market) for s, q in positions.items()]
    parts += [margins(MODELS[name], ({}, {a: x}), market) for a, x in balances.items()]
    for k in (0, 1):
        assert whole[k] == pytest.approx(fsum(part[k] for part in parts), rel=1e-12, abs=1e-12)


@every_model
@few
@given(symbol=st.sampled_from(SYMBOLS), quantity=quantities, more=quantities)
def test_a_larger_position_never_owes_less(name, symbol, quantity, more):
    larger = quantity + abs(more) * np.sign(quantity)
    now, then = (margins(MODELS[name], ({symbol: q}, {})) for q in (quantity, larger))
    assert now[0] <= then[0]
    assert now[1] <= then[1]


@every_model
@few
@given(holding=holdings(least=1), n=st.integers(2, 9))
def test_n_times_a_portfolio_owes_at_least_n_times_as_much(name, holding, n):
    market = market_of()
    many = tuple({key: round(n * amount, 2) for key, amount in part.items()} for part in holding)
    once, times = margins(MODELS[name], holding, market), margins(MODELS[name], many, market)
    for k in (0, 1):
        assert times[k] >= n * once[k] - n * slack(name, once[k])


@every_model
@few
@given(holding=holdings(), deposit=st.integers(1, 10**6))
def test_a_deposit_of_the_reporting_currency_changes_no_requirement(name, holding, deposit):
    positions, balances = holding
    more = {**balances, "USD": balances.get("USD", 0.0) + deposit}
    assert margins(MODELS[name], (positions, more)) == margins(MODELS[name], holding)


@every_model
@few
@given(holding=holdings(least=1), data=st.data())
def test_order_splitting_and_names_change_nothing(name, holding, data):
    positions, balances = holding
    rows = [Position(symbol=s, quantity=q) for s, q in positions.items()]
    halves = [Position(symbol=s, quantity=part) for s, q in positions.items() for part in (round(q + 7.0, 2), -7.0)]
    split = data.draw(st.permutations(halves))
    market = market_of()

    def owed(given_rows, account):
        accounts = [
            Account(
                id=account, positions=given_rows, balances=[Balance(asset=a, amount=x) for a, x in balances.items()]
            )
        ]
        standing = evaluate(Book.of(accounts, LINEAR), market, rules_of(MODELS[name], haircuts=load(name).haircuts))
        return standing.maintenance_margin.tolist(), standing.initial_margin.tolist()

    assert owed(rows, "a") == owed(split, "z")


@every_model
@few
@given(holding=holdings(least=1), tick=st.floats(1e-9, 1e-6))
def test_a_small_move_changes_maintenance_margin_a_little(name, holding, tick):
    here, there = (margins(MODELS[name], holding, market_of(btc=p))[0] for p in (100.0, 100.0 * (1 + tick)))
    exposed = 100 * sum(abs(q) * 2 for q in holding[0].values()) + 100 * abs(holding[1].get("BTC", 0.0))
    assert abs(there - here) <= 3 * tick * exposed + slack(name, here)


# --- what they do not take


@pytest.mark.parametrize(
    ("name", "contract", "refused"),
    [
        *((name, OPTIONS[0], True) for name in BOOKS),
        *((name, INVERSE[0], name != "hyperliquid") for name in BOOKS),
        *((name, ANY_DOMAIN[0], name == "vega") for name in BOOKS),
    ],
)
def test_what_a_model_has_no_rule_for_is_refused_with_its_holder(name, contract, refused):
    world = alone({contract.symbol: 1.0}, market=market_of())
    if refused:
        with pytest.raises(NotMargined, match=rf"{name}.*{contract.symbol}, held by a"):
            world.standing(load(name))
    else:
        assert world.standing(load(name)).maintenance_margin[0] > 0


# --- whole books


def coins(k):
    return Perpetual(symbol=f"{k}-PERP", underlying=k, quote="USDC", asset_class="crypto")


def book(count):
    """A book of `count` accounts, one in ten in a pool of two, and one that has money only."""
    rng = np.random.default_rng(7)
    accounts, pools = [], []
    for k in range(count):
        positions = [
            Position(symbol=f"{coin}-PERP", quantity=round(float(rng.normal() * size), 3), entry_price=price)
            for coin, size, price in (("BTC", 2, 61_000), ("ETH", 30, 2_900), ("SOL", 500, 149), ("DOGE", 1e5, 0.21))
            if rng.random() < 0.7
        ]
        balances = [Balance(asset="USDC", amount=round(float(rng.exponential(2e5)), 2))]
        if rng.random() < 0.3:
            balances.append(Balance(asset="BTC", amount=0.5))
        accounts.append(Account(id=f"a{k:05d}", positions=positions, balances=balances))
        if k % 10 == 9:
            pools.append(Pool(id=f"p{k:05d}", accounts=(f"a{k - 1:05d}", f"a{k:05d}")))
    accounts.append(Account(id="money", balances=[Balance(asset="USDC", amount=10.0)]))
    assets = [
        *(Asset(symbol=c, asset_class="crypto") for c in ("BTC", "ETH", "SOL", "DOGE")),
        Asset(symbol="USDC", asset_class="stablecoin"),
    ]
    return Book.of(accounts, [coins(c) for c in ("BTC", "ETH", "SOL", "DOGE")], pools=pools, assets=assets)


MARKET = Market(time=TIME, prices={"BTC": 60_000, "ETH": 3_000, "SOL": 150, "DOGE": 0.2}, fx={"USDC": 1.0})


@every_model
def test_a_shipped_rule_book_margins_a_whole_book(name):
    standing = evaluate(book(40), MARKET, load(name))
    found = document(standing)
    assert len(found["pools"]) == 4
    for row in (*found["pools"], *(a for a in found["accounts"] if not a["pool"])):
        assert fsum(term["amount"] for term in row["breakdown"]) == row["maintenance_margin"]
        assert row["initial_margin"] >= row["maintenance_margin"] >= 0
    (money,) = (a for a in found["accounts"] if a["id"] == "money")
    assert (money["maintenance_margin"], money["initial_margin"], money["status"]) == (0, 0, "healthy")
    assert money["equity"] == 10.0
    assert {row["status"] for row in found["accounts"]} > {"healthy"}


@every_model
def test_at_its_liquidation_price_an_account_has_just_its_maintenance_margin(name):
    positions = [Position(symbol="BTC-PERP", quantity=-1.5, entry_price=60_000)]
    account = Account(id="a", positions=positions, balances=[Balance(asset="USDC", amount=30_000.0)])
    held = Book.of([account], [coins("BTC")], assets=[Asset(symbol="USDC", asset_class="stablecoin")])

    def at(price):
        return evaluate(held, Market(time=TIME, prices={"BTC": price}, fx={"USDC": 1.0}), load(name))

    (row,) = document(at(60_000))["accounts"]
    price = row["liquidation"]["BTC"]["above"]
    found = at(price)
    # Rounded to whole quanta a requirement has no root, only the step across it.
    assert float(found.margin_balance[0]) == pytest.approx(float(found.maintenance_margin[0]), abs=2e-6)
    assert document(at(price * (1 + 1e-9)))["accounts"][0]["status"] == "liquidation"
    assert document(at(price * (1 - 1e-9)))["accounts"][0]["status"] != "liquidation"
