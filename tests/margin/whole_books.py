"""What every model owes a whole book: terms and shares that add up, levels in order, pools apart."""

from math import fsum

import numpy as np

from crossmargin.standing import document


def maintenance(world, rules, pool=0):
    """Return the maintenance margin of one pool."""
    return float(world.standing(rules).maintenance_margin[pool])


def assert_adds_up(world, rules):
    """Assert what holds for any book: sums to the last bit, IM >= MM >= 0, and a document that says the same."""
    standing = world.standing(rules)
    requirement, pools = standing.requirement, standing.pools
    assert (requirement.maintenance >= 0).all()
    assert (requirement.initial >= requirement.maintenance).all()
    leg_pool, balance_pool = pools.leg_pool, pools.balance_pool
    for p in range(pools.count):
        total = float(requirement.maintenance[p])
        assert fsum(amount for _, amount in requirement.terms.of_pool(p)) == total
        shares = [*requirement.leg_share[leg_pool == p], *requirement.balance_share[balance_pool == p]]
        if shares:
            assert abs(fsum(shares) - total) <= 1e-9 * max(1.0, np.abs(shares).max())
        else:
            assert total == 0
    told = document(standing)
    for row in [*told["accounts"], *told["pools"]]:
        assert fsum(term["amount"] for term in row["breakdown"]) == row["maintenance_margin"]
    return standing


def assert_totals_are_the_requirement(standing):
    """Assert that the ingredients of a price ladder make the same numbers, and that a pool alone owes the same."""
    model, portfolios = standing.rules.model, standing.portfolios
    found = model.totals(model.ingredients(portfolios), portfolios.credit_factor)
    for got, wanted in zip(found, (standing.requirement.maintenance, standing.requirement.initial), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)
    for p in range(portfolios.pools.count):
        alone = model.requirement(portfolios.take(np.array([p])))
        assert alone.maintenance[0] == standing.requirement.maintenance[p]
        assert alone.initial[0] == standing.requirement.initial[p]
