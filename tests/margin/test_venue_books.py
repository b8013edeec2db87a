"""The venue-style books that look at whole pools: many pools at once, and the prices at which they are taken."""

import pytest

from crossmargin.book import Account, Balance, Book, Pool, Position
from crossmargin.instruments import Option, Perpetual
from crossmargin.market import Mark, Market
from crossmargin.rules import load
from crossmargin.standing import document, evaluate
from tests.strategies import MONTH, TIME

BOOKS = ("binance-portfolio", "bybit-portfolio", "deribit-portfolio", "okx-portfolio")
WITH_OPTIONS = BOOKS[1:]
PERPETUAL = Perpetual(symbol="P", underlying="BTC", quote="USD", asset_class="crypto")
COIN = Perpetual(symbol="I", underlying="BTC", quote="USD", asset_class="crypto", inverse=True, contract_size=100)
CALL = Option(
    symbol="C", underlying="BTC", quote="USD", asset_class="crypto", option_type="call", strike=70_000, expiry=MONTH
)


def market_of(price=60_000.0, vol=0.6):
    forwards = {"BTC": {MONTH.date(): price}}
    return Market(time=TIME, prices={"BTC": price}, marks={"C": Mark(iv=vol)}, forwards=forwards)


def account(name, positions, **balances):
    rows = [Position(symbol=s, quantity=q, entry_price=None if s == "C" else 60_000) for s, q in positions.items()]
    return Account(id=name, positions=rows, balances=[Balance(asset=a, amount=x) for a, x in balances.items()])


def evaluated(rules, accounts, market, pools=()):
    book = Book.of(accounts, [PERPETUAL, COIN, CALL], pools=pools, currency="USD")
    return evaluate(book, market, load(rules))


@pytest.mark.parametrize("rules", BOOKS)
@pytest.mark.parametrize("positions", [{"P": 2.0}, {"P": -2.0}, {"I": 1200.0}, {"P": 3.0, "I": -600.0}])
def test_at_its_liquidation_price_a_pool_has_just_what_it_must_have(rules, positions):
    held = account("a", positions, USD=30_000.0)
    (row,) = document(evaluated(rules, [held], market_of()))["accounts"]
    found = [price for side in ("below", "above") if (price := row["liquidation"]["BTC"][side]) is not None]
    assert found
    for price in found:
        there = evaluated(rules, [held], market_of(price))
        assert there.margin_balance[0] == pytest.approx(there.maintenance_margin[0], rel=1e-6)


@pytest.mark.parametrize("rules", WITH_OPTIONS)
def test_at_its_liquidation_price_a_pool_with_options_has_just_what_it_must_have(rules):
    held = account("a", {"C": -2.0, "P": 0.5}, USD=500_000.0)
    (row,) = document(evaluated(rules, [held], market_of()))["accounts"]
    price = row["liquidation"]["BTC"]["above"]
    there = evaluated(rules, [held], market_of(price))
    assert there.margin_balance[0] == pytest.approx(there.maintenance_margin[0], rel=1e-6)


@pytest.mark.parametrize("rules", BOOKS)
def test_accounts_that_share_a_pool_are_margined_as_one(rules):
    long, short = account("long", {"P": 2.0}, USD=50_000.0), account("short", {"P": -2.0}, USD=50_000.0)
    apart = evaluated(rules, [long, short], market_of())
    assert (apart.maintenance_margin > 0).all()
    shared = evaluated(rules, [long, short], market_of(), pools=[Pool(id="both", accounts=("long", "short"))])
    assert shared.maintenance_margin.tolist() == [0.0]


@pytest.mark.parametrize("rules", BOOKS)
def test_a_position_of_its_own_is_a_pool_of_its_own(rules):
    cross = Position(symbol="P", quantity=2.0)
    fenced = Position(symbol="P", quantity=-2.0, margin_mode="isolated", isolated_collateral=30_000.0)
    held = Account(id="a", positions=[cross, fenced], balances=[Balance(asset="USD", amount=50_000.0)])
    found = evaluated(rules, [held], market_of())
    assert len(found.maintenance_margin) == 2
    assert (found.maintenance_margin > 0).all()


@pytest.mark.parametrize("rules", BOOKS)
def test_ten_thousand_accounts_owe_what_each_owes_alone(rules):
    some = [account(f"a{k:05d}", {"P": (k % 7) - 3.0, "I": 10.0 * (k % 11)}, USD=1e5, BTC=k % 3) for k in range(10_000)]
    found = evaluated(rules, some, market_of())
    for k in (0, 1, 77, 1234, 9999):
        alone = evaluated(rules, [some[k]], market_of())
        assert found.maintenance_margin[k] == alone.maintenance_margin[0]
        assert found.initial_margin[k] == alone.initial_margin[0]
