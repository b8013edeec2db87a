"""The whole way from a book to a standing under a grid, against a twin that shares no arithmetic with it."""

from math import fsum

import numpy as np
import pytest
from hypothesis import assume, given, settings

from crossmargin.standing import Status
from tests.strategies import GRID, rules_of, worlds
from tests.twins.grid import least_of_all_sets, near_a_tie
from tests.twins.pools import twin_collateral, twin_pools
from tests.twins.prices import Prices
from tests.twins.standing import twin_standing

RULES = rules_of(GRID)


def close(expected, scale):
    return pytest.approx(expected, rel=1e-9, abs=1e-9 * max(scale, 1.0))


def scale_of(world):
    """The size of the largest amounts that are added up: their rounding is what a comparison can be held to."""
    prices = Prices(world)
    return sum(
        sum(prices.notional(s, q) for s, q in pool.quantity.items())
        + sum(abs(amount) * prices.fx(key[1]) for key, amount in pool.balances.items())
        for pool in twin_pools(world, prices)
    )


@given(worlds())
@settings(max_examples=60)
def test_value_collateral_requirement_and_status_are_those_of_the_slow_twin(world):
    standing = world.standing(RULES)
    twins = twin_standing(world, RULES)
    scale = scale_of(world)
    assert len(twins) == standing.pools.count
    for p, twin in enumerate(twins):
        worth = standing.worth
        assert worth.balances[p] == close(twin.balances, scale)
        assert worth.haircut[p] == close(twin.haircut, scale)
        assert worth.unrealized_pnl[p] == close(twin.unrealized_pnl, scale)
        assert worth.net_option_value[p] == close(twin.net_option_value, scale)
        assert worth.equity[p] == close(twin.equity, scale)
        assert standing.margin_balance[p] == close(twin.margin_balance, scale)
        assert standing.maintenance_margin[p] == close(twin.maintenance, scale)
        assert bool(standing.owes[p]) == twin.owes
        if any(near_a_tie(world, GRID, pool, *_counted(world, pool), k) for pool, k in _pools(world, p)):
            continue
        assert standing.initial_margin[p] == close(twin.initial, scale)
        levels = (0.0, twin.initial, twin.maintenance, 1.1 * twin.maintenance)
        if min(abs(twin.margin_balance - level) for level in levels) > 1e-9 * scale and abs(twin.net_value) > 1e-9:
            assert Status(standing.status[p]).label == twin.status


def _counted(world, pool):
    prices = Prices(world)
    return twin_collateral(world, RULES.haircuts, pool, prices)[0], prices


def _pools(world, p):
    pool = twin_pools(world, Prices(world))[p]
    return [(pool, 1.25 * RULES.credit.get(pool.credit, 1.0))]


@given(worlds(most=1))
@settings(max_examples=40)
def test_no_other_set_of_things_owned_outright_would_need_less_maintenance(world):
    standing = world.standing(RULES)
    for p, pool in enumerate(twin_pools(world, Prices(world))):
        assume(sum(q > 0 for q in pool.quantity.values()) + len(pool.balances) <= 8)
        least = least_of_all_sets(world, GRID, pool, *_counted(world, pool))
        assert standing.maintenance_margin[p] == close(least, scale_of(world))


@given(worlds())
def test_terms_and_shares_add_up_to_maintenance_exactly(world):
    standing = world.standing(RULES)
    pools, requirement = standing.pools, standing.requirement
    for p in range(pools.count):
        maintenance = standing.maintenance_margin[p]
        assert fsum(amount for _, amount in requirement.terms.of_pool(p)) == maintenance
        assert all(amount != 0 for _, amount in requirement.terms.of_pool(p))
        legs = requirement.leg_share[pools.leg_start[p] : pools.leg_start[p + 1]]
        balances = requirement.balance_share[pools.balance_start[p] : pools.balance_start[p + 1]]
        assert fsum(np.concatenate((legs, balances)).tolist()) == maintenance
