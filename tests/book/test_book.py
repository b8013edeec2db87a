"""Books: what is refused and where, canonical order, and the pools a book is margined in."""

import numpy as np
import pytest
from hypothesis import given, settings

from crossmargin.book import Account, Balance, Book, Location, Order, Pool, Position, pools_of
from crossmargin.errors import InvalidBook
from crossmargin.instruments import Spot
from tests.strategies import INSTRUMENTS, worlds
from tests.twins.pools import twin_pools
from tests.twins.prices import Prices

SPOT = Spot(symbol="BTC/USD", underlying="BTC", quote="USD", asset_class="crypto")


def book(*accounts, **terms):
    return Book.of(accounts, (*INSTRUMENTS, SPOT), **terms)


def holding(**terms):
    return Account(id="a", positions=(Position(**{"symbol": "BTC-PERP", "quantity": 1, **terms}),))


def owning(**terms):
    return Account(id="a", balances=(Balance(**{"asset": "USD", "amount": 1, **terms}),))


@pytest.mark.parametrize(
    ("account", "place", "hint"),
    [
        (holding(symbol="BTC-PREP"), "account a, position BTC-PREP", "did you mean BTC-PERP"),
        (holding(quantity=float("nan")), "account a, position BTC-PERP, quantity", ""),
        (holding(quantity=float("inf")), "account a, position BTC-PERP, quantity", ""),
        (holding(quantity=True), "account a, position BTC-PERP, quantity", "boolean"),
        (holding(quantity="ten"), "account a, position BTC-PERP, quantity", "ten"),
        (holding(entry_price=float("nan")), "account a, position BTC-PERP, entry_price", ""),
        (holding(entry_price=-1.0), "position BTC-PERP, entry_price", "above 0"),
        (holding(entry_price=0.0), "position BTC-PERP, entry_price", "above 0"),
        (holding(margin_mode="isolated"), "account a, position BTC-PERP, isolated_collateral", "ring-fenced"),
        (holding(margin_mode="shared"), "account a, position BTC-PERP, margin_mode", "cross or isolated"),
        (holding(isolated_collateral=5.0), "account a, position BTC-PERP, isolated_collateral", "margin_mode"),
        (
            holding(margin_mode="isolated", isolated_collateral=-1.0),
            "account a, position BTC-PERP, isolated_collateral",
            "0 or more",
        ),
        (
            holding(symbol="BTC/USD", margin_mode="isolated", isolated_collateral=1.0),
            "account a, position BTC/USD, margin_mode",
            "cross",
        ),
        (owning(amount=float("nan")), "account a, balance USD, amount", ""),
        (owning(amount=False), "account a, balance USD, amount", "boolean"),
        (owning(location="moon"), "account a, balance USD, location", "here"),
        (owning(state="lost"), "account a, balance USD, state", "final or pending"),
        (owning(asset=""), "account a, balance", ""),
        (Account(id="a", credit="gold"), "account a, credit", "prime, standard, basic"),
        (Account(id="a", mode="shared"), "account a, mode", "cross, isolated"),
        (Account(id=""), "account", "a name"),
    ],
)
def test_what_cannot_be_is_refused_with_its_place(account, place, hint):
    with pytest.raises(InvalidBook) as error:
        book(account)
    assert error.value.where.startswith(place)
    assert hint in str(error.value)


def test_two_accounts_of_one_id_are_refused():
    with pytest.raises(InvalidBook, match="account a: found two accounts of that id"):
        book(Account(id="a"), Account(id="a"))


@pytest.mark.parametrize(
    ("pools", "match"),
    [
        ([Pool(id="p", accounts=("a", "c"))], "account c"),
        ([Pool(id="p", accounts=("a",)), Pool(id="p", accounts=("b",))], "two of that id"),
        ([Pool(id="p", accounts=("a", "b")), Pool(id="q", accounts=("b",))], "already in p"),
        ([Pool(id="a", accounts=("a", "b"))], "the id of an account"),
    ],
)
def test_pools_that_cannot_be_are_refused(pools, match):
    with pytest.raises(InvalidBook, match=match):
        book(Account(id="a"), Account(id="b"), pools=pools)


def test_an_account_in_two_pools_is_refused_whichever_way_it_says_so():
    with pytest.raises(InvalidBook, match="already in p"):
        book(Account(id="a", pool="q"), Account(id="b"), pools=[Pool(id="p", accounts=("a", "b"))])


@pytest.mark.parametrize(
    ("locations", "match"),
    [
        ([Location(id="x"), Location(id="x")], "two of that id"),
    ],
)
def test_two_places_of_one_id_are_refused(locations, match):
    with pytest.raises(InvalidBook, match=match):
        book(Account(id="a"), locations=locations)


@pytest.mark.parametrize("terms", [{"fee": -1.0}, {"cap": float("nan")}, {"finality_seconds": float("inf")}])
def test_places_with_numbers_that_cannot_be_are_refused(terms):
    with pytest.raises(InvalidBook, match="location x"):
        Location(id="x", **terms)


@pytest.mark.parametrize(
    ("order", "match"),
    [
        (Order(account="z", symbol="BTC-PERP", quantity=1, limit=1), "account"),
        (Order(account="a", symbol="BTC-PERPS", quantity=1, limit=1), "did you mean BTC-PERP"),
        (Order(account="a", symbol="BTC-PERP", quantity=float("nan"), limit=1), "quantity"),
        (Order(account="a", symbol="BTC-PERP", quantity=1, limit=True), "limit"),
    ],
)
def test_orders_that_cannot_be_are_refused(order, match):
    with pytest.raises(InvalidBook, match=match):
        book(Account(id="a"), orders=[order])


def test_rows_come_in_canonical_order_whatever_order_they_came_in():
    accounts = [
        Account(id="b", positions=(Position(symbol="ETH-PERP", quantity=1), Position(symbol="BTC-PERP", quantity=2))),
        Account(id="a", balances=(Balance(asset="USD", amount=1), Balance(asset="BTC", amount=1))),
    ]
    found = book(*accounts)
    assert list(found.accounts.ids) == ["a", "b"]
    symbols = [found.catalogue.instruments[k].symbol for k in found.positions.instrument]
    assert symbols == ["BTC-PERP", "ETH-PERP"]
    assert [found.catalogue.assets[k].symbol for k in found.balances.asset] == ["BTC", "USD"]


def test_rows_of_one_instrument_merge_exactly_with_their_profit():
    rows = [
        Position(symbol="BTC-PERP", quantity=0.1, entry_price=100.0),
        Position(symbol="BTC-PERP", quantity=0.2, entry_price=130.0),
    ]
    positions = book(Account(id="a", positions=tuple(rows))).positions
    assert positions.quantity.tolist() == [0.3]
    # The quantity-weighted entry price, 120.
    assert positions.entry_value.tolist() == [pytest.approx(36.0)]


def test_rows_of_two_margin_modes_stay_apart():
    rows = (
        Position(symbol="BTC-PERP", quantity=1),
        Position(symbol="BTC-PERP", quantity=2, margin_mode="isolated", isolated_collateral=5.0),
    )
    positions = book(Account(id="a", positions=rows)).positions
    assert positions.quantity.tolist() == [1, 2]
    assert positions.isolated.tolist() == [False, True]
    assert positions.collateral.tolist() == [0, 5]


def test_a_spot_position_is_a_balance_of_its_underlying():
    account = Account(
        id="a",
        positions=(Position(symbol="BTC/USD", quantity=0.2, entry_price=90.0),),
        balances=(Balance(asset="BTC", amount=0.1),),
    )
    found = book(account)
    assert found.balances.amount.tolist() == [pytest.approx(0.3, abs=0)]
    pools, where = pools_of(found)
    assert len(pools.leg_quantity) == 0
    assert where.leg_of_position.tolist() == [-1]


def test_places_are_numbered_with_here_first():
    found = book(Account(id="a"), locations=[Location(id="zoo"), Location(id="bank")])
    assert [place.id for place in found.locations] == ["here", "bank", "zoo"]


def test_holders_of_an_instrument_or_an_asset_are_found():
    found = book(
        Account(id="a", positions=(Position(symbol="DAX-PERP", quantity=1),)),
        Account(id="b", balances=(Balance(asset="EUR", amount=1),)),
        Account(id="c"),
    )
    numbers = found.catalogue
    assert found.holders(instrument=numbers.number["DAX-PERP"]) == ["a"]
    assert found.holders(asset=numbers.asset_number["EUR"]) == ["a", "b"]


def test_a_pool_takes_the_strictest_credit_tier_of_its_members():
    found = book(
        Account(id="a", credit="prime"), Account(id="b", credit="basic"), pools=[Pool(id="p", accounts=("a", "b"))]
    )
    pools, where = pools_of(found)
    assert pools.count == 1
    assert pools.credit.tolist() == [2]
    assert where.members.tolist() == [2]


def test_an_account_may_name_its_pool_itself():
    pools, where = pools_of(book(Account(id="a", pool="p"), Account(id="b", pool="p"), Account(id="c")))
    assert where.of_account.tolist() == [0, 0, 1]
    assert pools.count == 2


def test_every_isolated_position_is_a_pool_with_its_own_collateral_in_the_coin_it_settles_in():
    rows = (
        Position(symbol="BTC-INV", quantity=5, margin_mode="isolated", isolated_collateral=0.25),
        Position(symbol="BTC-PERP", quantity=1),
    )
    found = book(Account(id="a", credit="basic", positions=rows))
    pools, where = pools_of(found)
    assert pools.isolated.tolist() == [False, True]
    assert where.of_position.tolist() == [1, 0]
    assert found.catalogue.assets[pools.balance_asset[0]].symbol == "BTC"
    assert pools.balance_amount.tolist() == [0.25]
    assert pools.balance_fenced.tolist() == [True]
    assert pools.credit.tolist() == [2, 2]


def test_pools_of_one_owner_know_it():
    found = book(Account(id="a", owner="x"), Account(id="b", owner="y"), Account(id="c", owner="x"))
    pools, _ = pools_of(found)
    assert pools.owner[0] == pools.owner[2] != pools.owner[1]


@given(worlds())
@settings(max_examples=40)
def test_pools_are_those_of_the_twin(world):
    pools, where = pools_of(world.book())
    catalogue = world.book().catalogue
    twins = twin_pools(world, Prices(world))
    assert pools.count == len(twins)
    for p, twin in enumerate(twins):
        legs = range(pools.leg_start[p], pools.leg_start[p + 1])
        found = {catalogue.instruments[pools.leg_instrument[k]].symbol: float(pools.leg_quantity[k]) for k in legs}
        assert found == pytest.approx(twin.quantity, rel=1e-12)
        rows = range(pools.balance_start[p], pools.balance_start[p + 1])
        amounts = sorted(float(pools.balance_amount[k]) for k in rows)
        expected = [*twin.balances.values(), *([twin.fenced[1]] if twin.fenced else [])]
        assert amounts == sorted(expected)
    assert (np.diff(pools.leg_start) >= 0).all()
    assert where.of_account.tolist() == sorted(where.of_account.tolist()) or world.pools


@given(worlds())
@settings(max_examples=20)
def test_taking_pools_twice_gives_two_of_them(world):
    pools, _ = pools_of(world.book())
    chosen = np.array([0, pools.count - 1, 0])
    taken = pools.take(chosen)
    assert taken.count == 3
    for new, old in enumerate(chosen.tolist()):
        for start, columns in (
            ("leg_start", ("leg_instrument", "leg_quantity", "leg_priced", "leg_entry_value")),
            ("balance_start", ("balance_asset", "balance_amount", "balance_location", "balance_fenced")),
        ):
            for column in columns:
                one = getattr(taken, column)[getattr(taken, start)[new] : getattr(taken, start)[new + 1]]
                two = getattr(pools, column)[getattr(pools, start)[old] : getattr(pools, start)[old + 1]]
                np.testing.assert_array_equal(one, two)
