"""Whose size counts where markets are thin: owners who stand for each other are one, whatever they are called."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from crossmargin.book import Account, Balance, Pool, Position
from crossmargin.collateral import HaircutPolicy, Tiers, WrongWay
from crossmargin.margin import Terms
from tests.portfolio_worlds import HOUSE, standing_of
from tests.strategies import ASSETS, World, market_of, rules_of

HELD = (Position(symbol="ETH-PERP", quantity=50),)


def account(name, owner, pool=None, positions=HELD, balances=()):
    return Account(id=name, owner=owner, pool=pool, positions=positions, balances=balances)


def margins(*accounts, pools=(), groups=None):
    """Return maintenance margin by account or pool id."""
    haircuts = HaircutPolicy(by_class={"other": Tiers.flat(0.1)}, wrong_way=WrongWay(groups=groups or {}))
    world = World(accounts=accounts, market=market_of(), pools=pools)
    standing = standing_of(world, rules_of(HOUSE, haircuts=haircuts))
    book, of = standing.book, standing.where.of_account
    found = {p.id: standing.maintenance_margin[k] for k, p in enumerate(book.pools)}
    return found | {
        name: standing.maintenance_margin[of[k]]
        for k, name in enumerate(book.accounts.ids)
        if book.accounts.pool[k] < 0
    }


@pytest.mark.parametrize("names", list(permutations("abc")))
def test_a_pool_of_two_owners_is_as_large_as_both_whatever_its_members_are_called(names):
    of_one, of_other, apart = names
    found = margins(
        account(of_one, "one"),
        account(of_other, "other", positions=()),
        account(apart, "one"),
        pools=(Pool(id="p", accounts=(of_one, of_other)),),
    )
    expected = margins(account("a", "one"), account("b", "one"))
    assert found["p"] == found[apart] == expected["a"]


def test_an_owner_linked_through_two_pools_is_one_with_both_ends():
    chain = margins(
        account("a", "one"),
        account("b", "two", positions=()),
        account("c", "two", positions=()),
        account("d", "three"),
        pools=(Pool(id="p", accounts=("a", "b")), Pool(id="q", accounts=("c", "d"))),
    )
    expected = margins(account("a", "one"), account("b", "one"))
    assert chain["p"] == chain["q"] == expected["a"]


def test_companies_of_one_group_are_one_owner_so_splitting_among_sisters_never_pays():
    sisters = (account("a", "acme trading"), account("b", "acme holding"))
    apart = margins(*sisters)
    together = margins(*sisters, groups={"acme trading": "acme", "acme holding": "acme"})
    siblings = margins(account("a", "acme"), account("b", "acme"))
    assert together["a"] == siblings["a"] > apart["a"] * 1.2


def test_a_group_may_be_named_for_one_of_its_companies():
    accounts = (account("a", "acme"), account("b", "sister"))
    assert (
        margins(*accounts, groups={"sister": "acme"})["a"] == margins(account("a", "acme"), account("b", "acme"))["a"]
    )


def test_an_isolated_position_has_the_size_of_its_owner_s_group():
    fenced = (replace(HELD[0], margin_mode="isolated", isolated_collateral=50_000.0),)
    accounts = (account("a", "acme trading", positions=fenced), account("b", "acme holding"))
    world = World(accounts=accounts, market=market_of())

    def of_isolated(groups):
        haircuts = HaircutPolicy(by_class={"other": Tiers.flat(0.1)}, wrong_way=WrongWay(groups=groups))
        standing = standing_of(world, rules_of(HOUSE, haircuts=haircuts))
        terms: Terms = standing.requirement.terms
        (pool,) = np.flatnonzero(standing.pools.isolated)
        return dict(terms.of_pool(int(pool)))["liquidity ETH"]

    assert of_isolated({"acme trading": "acme", "acme holding": "acme"}) > of_isolated({}) * 1.2


def test_what_a_pool_member_s_isolated_position_is_fenced_with_is_judged_by_its_own_owner():
    token = (Balance(asset="BTC", amount=1.0),)
    fenced = (Position(symbol="BTC-INV", quantity=-10, margin_mode="isolated", isolated_collateral=1.0),)
    accounts = (
        account("a", "one", positions=fenced),
        account("b", "two", positions=()),
        account("c", "three", positions=(), balances=token),
    )
    pools = (Pool(id="p", accounts=("a", "b")),)

    def weight(issuer):
        assets = tuple(replace(asset, issuer=issuer) if asset.symbol == "BTC" else asset for asset in ASSETS)
        haircuts = HaircutPolicy(by_class={"other": Tiers.flat(0.1)}, wrong_way=WrongWay())
        world = World(accounts=accounts, market=market_of(), pools=pools, assets=assets)
        standing = standing_of(world, rules_of(HOUSE, haircuts=haircuts))
        return dict(zip(standing.pools.balance_fenced.tolist(), standing.weight.tolist(), strict=True))

    # True: what a's position is fenced with; False: what c holds.
    assert weight("one") == {True: 0.0, False: 1.0}
    assert weight("two") == {True: 1.0, False: 1.0}
    assert weight("three") == {True: 1.0, False: 0.0}
