"""Bankruptcy prices: taken over there, a pool is worth nothing, and nobody pays for what asked for no margin."""

import numpy as np
import pytest
from hypothesis import given, settings

from crossmargin.instruments import KINDS
from crossmargin.standing import bankruptcy_prices
from tests.portfolio_worlds import HOUSE
from tests.strategies import GRID, alone, market_of, rules_of, worlds

RULES = {"grid": rules_of(GRID), "portfolio": rules_of(HOUSE)}


@pytest.mark.parametrize("name", RULES)
@given(world=worlds())
@settings(max_examples=40)
def test_a_pool_taken_over_at_its_bankruptcy_prices_is_worth_nothing(name, world):
    standing = world.standing(RULES[name])
    found, pools, valuation = bankruptcy_prices(standing), standing.pools, standing.valuation
    assert found.leg.tolist() == list(range(len(pools.leg_instrument)))
    quantity = pools.leg_quantity
    fx = valuation.settle_fx[pools.leg_instrument]
    moved = quantity * (found.unit_value - valuation.unit_value[pools.leg_instrument]) * fx
    for p in range(pools.count):
        mine = found.pool == p
        if not quantity[mine].any():
            continue
        worth = standing.worth.net_value[p]
        scale = 1.0 + abs(worth) + float(np.abs(quantity * valuation.unit_value[pools.leg_instrument] * fx)[mine].sum())
        assert worth + moved[mine].sum() == pytest.approx(0.0, abs=1e-9 * scale)
        assert found.weight[mine].sum() == pytest.approx(1.0)
        assert (found.weight[mine] >= 0.0).all()
        # What lowers the requirement, or asks for none, changes hands at its mark.
        free = mine & (standing.requirement.leg_share <= 0.0)
        if (standing.requirement.leg_share[mine] > 0.0).any():
            assert (found.unit_value[free] == valuation.unit_value[pools.leg_instrument[free]]).all()


@given(world=worlds())
@settings(max_examples=25)
def test_a_price_is_what_makes_a_contract_worth_that(world):
    standing = world.standing(RULES["grid"])
    found, terms = bankruptcy_prices(standing), standing.valuation.catalogue
    for leg, price, value in zip(found.leg, found.price, found.unit_value, strict=True):
        k = standing.pools.leg_instrument[leg]
        if np.isnan(price):
            inverse = terms.inverse[k] and terms.kind[k] != KINDS.index("option")
            assert standing.pools.leg_quantity[leg] == 0.0 or (inverse and value >= 0.0)
            continue
        size = terms.contract_size[k]
        inverse = terms.inverse[k] and terms.kind[k] != KINDS.index("option")
        assert (-size / price if inverse else size * price) == pytest.approx(value, rel=1e-12, abs=1e-12)


def test_one_long_is_taken_over_where_its_money_is_gone():
    standing = alone({"BTC-PERP": 2.0}, {"USD": 30.0}, market=market_of()).standing(RULES["grid"])
    # 2 contracts, 30 dollars: 15 dollars below the mark of 100.2 nothing is left.
    assert bankruptcy_prices(standing).price.tolist() == pytest.approx([85.2])
    owing = alone({"BTC-PERP": -2.0}, {"USD": -30.0}, market=market_of()).standing(RULES["grid"])
    assert bankruptcy_prices(owing).price.tolist() == pytest.approx([85.2])
