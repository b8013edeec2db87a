"""Wrong way: collateral that would be worth least just when its owner cannot pay has no weight."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.book import Account, Balance, Book, Pool, Position, pools_of
from crossmargin.collateral import HaircutPolicy, Tiers, count_collateral
from crossmargin.collateral.wrong_way import Reason, WrongWay
from crossmargin.errors import InvalidRules
from crossmargin.instruments import Asset, Perpetual

ASSETS = (
    Asset(symbol="ACME", issuer="acme"),
    Asset(symbol="ACME2", issuer="acme-finance"),
    Asset(symbol="COIN", asset_class="crypto"),
    Asset(symbol="VENUE", asset_class="crypto", issuer="venue"),
)
PERP = Perpetual(symbol="COIN-PERP", underlying="COIN", quote="ACME")
RULES = WrongWay(
    own_tokens=("VENUE",), supply={"COIN": 1_000.0}, groups={"acme": "acme group", "acme-finance": "acme group"}
)


def book_of(*accounts, pools=()):
    """Return a book of (id, owner, {asset: amount})."""
    held = [
        Account(id=id, owner=owner, balances=[Balance(asset=a, amount=q) for a, q in balances.items()])
        for id, owner, balances in accounts
    ]
    return Book.of(held, [PERP], assets=ASSETS, pools=pools)


def found_in(book, rules=RULES, members=None):
    """Return {(pool, asset): (multiplier, reason)}."""
    pools, _ = pools_of(book)
    names = np.unique(np.array(book.accounts.owners, dtype=str)).tolist()
    found = rules.of(pools, book.catalogue, names, members)
    return {
        (int(p), book.catalogue.assets[a].symbol): (float(m), Reason(int(r)))
        for p, a, m, r in zip(pools.balance_pool, pools.balance_asset, found.multiplier, found.reason, strict=True)
    }


def test_what_an_owner_issued_itself_counts_nothing_for_it_and_counts_for_others():
    found = found_in(book_of(("a", "acme", {"ACME": 5}), ("b", "bob", {"ACME": 5})))
    assert found == {(0, "ACME"): (0.0, Reason.ISSUED_BY_OWNER), (1, "ACME"): (1.0, Reason.NONE)}


def test_a_sister_company_is_the_owner_too():
    assert found_in(book_of(("a", "acme", {"ACME2": 5})))[0, "ACME2"] == (0.0, Reason.ISSUED_BY_OWNER)
    apart = WrongWay()
    assert found_in(book_of(("a", "acme", {"ACME2": 5})), apart)[0, "ACME2"] == (1.0, Reason.NONE)


def test_the_venues_own_token_counts_nothing_for_anybody():
    assert found_in(book_of(("b", "bob", {"VENUE": 5})))[0, "VENUE"] == (0.0, Reason.OWN_TOKEN)


def test_a_tenth_of_the_supply_counts_and_a_unit_more_does_not():
    assert found_in(book_of(("b", "bob", {"COIN": 100.0})))[0, "COIN"] == (1.0, Reason.NONE)
    assert found_in(book_of(("b", "bob", {"COIN": 101.0})))[0, "COIN"] == (0.0, Reason.SHARE_OF_SUPPLY)


def test_supply_is_held_over_all_pools_of_an_owner_and_of_its_group():
    spread = book_of(("a", "acme", {"COIN": 60}), ("b", "acme-finance", {"COIN": 60}), ("c", "carol", {"COIN": 60}))
    found = found_in(spread)
    assert [found[p, "COIN"][1] for p in range(3)] == [Reason.SHARE_OF_SUPPLY, Reason.SHARE_OF_SUPPLY, Reason.NONE]


def test_a_debt_is_owed_in_full_and_does_not_hide_what_is_held():
    found = found_in(book_of(("a", "bob", {"COIN": -500, "ACME": -1}), ("b", "bob", {"COIN": 101, "VENUE": -3})))
    assert found[0, "COIN"] == found[0, "ACME"] == found[1, "VENUE"] == (1.0, Reason.NONE)
    assert found[1, "COIN"] == (0.0, Reason.SHARE_OF_SUPPLY)


def test_the_collateral_of_an_isolated_position_is_looked_at_too():
    position = Position(symbol="COIN-PERP", quantity=1, margin_mode="isolated", isolated_collateral=9)
    book = Book.of([Account(id="a", owner="acme", positions=[position])], [PERP], assets=ASSETS)
    assert found_in(book) == {(1, "ACME"): (0.0, Reason.ISSUED_BY_OWNER)}


def test_in_a_pool_of_several_owners_what_any_of_them_issued_counts_nothing():
    book = book_of(("a", "acme", {}), ("b", "bob", {"ACME": 5, "COIN": 90}), pools=[Pool(id="p", accounts=("a", "b"))])
    one = found_in(book, members=(np.array([0]), np.array([1])))
    both = found_in(book, members=(np.array([0, 0]), np.array([0, 1])))
    assert one[0, "ACME"] == (1.0, Reason.NONE)
    assert both[0, "ACME"] == (0.0, Reason.ISSUED_BY_OWNER)


def test_an_owner_in_a_pool_twice_holds_its_coins_once():
    book = book_of(("a", "bob", {"COIN": 90}))
    assert found_in(book, members=(np.array([0, 0]), np.array([0, 0])))[0, "COIN"] == (1.0, Reason.NONE)


def test_what_no_longer_counts_may_still_offset_a_short():
    book = book_of(("a", "acme", {"ACME": 5, "COIN": 7, "VENUE": -2}))
    pools, _ = pools_of(book)
    weight = RULES.of(pools, book.catalogue, ["acme"]).multiplier
    policy = HaircutPolicy(by_class={"other": Tiers.flat(0.2)})
    found = count_collateral(
        policy, pools, book.catalogue, currency="USD", locations=book.locations, price=np.ones(3), weight=weight
    )
    names = [book.catalogue.assets[k].symbol for k in pools.balance_asset]
    assert dict(zip(names, found.counted.tolist(), strict=True)) == pytest.approx(
        {"ACME": 0.0, "COIN": 5.6, "VENUE": -2.0}
    )
    assert dict(zip(names, found.rest.tolist(), strict=True)) == pytest.approx({"ACME": 5.0, "COIN": 1.4, "VENUE": 0.0})


def test_reasons_are_sentences():
    assert all(reason.sentence for reason in Reason if reason)
    assert Reason.NONE.sentence == ""


@given(st.data())
@settings(max_examples=60)
def test_every_balance_has_the_weight_of_the_slow_twin(data):
    owner_names = ["acme", "acme-finance", "bob", "venue"]
    accounts = [
        (f"x{k}", data.draw(st.sampled_from(owner_names)), data.draw(st.dictionaries(
            st.sampled_from([a.symbol for a in ASSETS]), st.integers(-60, 120).map(float))))
        for k in range(data.draw(st.integers(1, 5)))
    ]  # fmt: skip
    book = book_of(*accounts)
    found = found_in(book)
    group = {"acme": "g", "acme-finance": "g"}
    issuer = {a.symbol: a.issuer for a in ASSETS}
    for k, (_, owner, balances) in enumerate(accounts):
        for asset, amount in balances.items():
            same = [b for _, o, b in accounts if group.get(o, o) == group.get(owner, owner)]
            held = sum(max(b.get("COIN", 0.0), 0.0) for b in same)
            expected = Reason.NONE
            if amount > 0 and asset == "COIN" and held > 100.0:
                expected = Reason.SHARE_OF_SUPPLY
            if amount > 0 and asset == "VENUE":
                expected = Reason.OWN_TOKEN
            if amount > 0 and issuer[asset] and group.get(issuer[asset], issuer[asset]) == group.get(owner, owner):
                expected = Reason.ISSUED_BY_OWNER
            assert found.get((k, asset), (1.0, Reason.NONE)) == (0.0 if expected else 1.0, expected)


@pytest.mark.parametrize("wrong", [{"share_of_supply": 1.5}, {"share_of_supply": -0.1}, {"supply": {"COIN": 0.0}}])
def test_parameters_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidRules):
        WrongWay(**wrong)
