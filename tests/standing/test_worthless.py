"""Options that are worth nothing at all, beside legs that move alike."""

import numpy as np
import pytest

from crossmargin.instruments import Perpetual
from crossmargin.margin.grid import Grid
from crossmargin.market import Mark
from crossmargin.scenarios import GridShape
from tests.standing.test_liquidation import only
from tests.strategies import WEEK, alone, market_of, option, rules_of

# Far beyond every float of its tail: a value of exactly zero.
FAR = option("FAR", "BTC", "call", 1e6, WEEK)
LEGS = (
    Perpetual(symbol="P", underlying="BTC", quote="USD", asset_class="crypto"),
    Perpetual(symbol="Q", underlying="BTC", quote="USD", asset_class="crypto"),
)


@pytest.mark.parametrize("far", [-1.0, 0.0, 1.0])
def test_a_worthless_option_moves_no_liquidation_price_of_the_legs_beside_it(far):
    rules = rules_of(Grid(shape=GridShape(range_by_class={"other": 0.25}), short_option_minimum=0))
    market = market_of().with_(marks={"FAR": Mark(iv=0.1)})
    world = alone({"P": 2, "Q": -1, "FAR": far}, {"USD": 50}, market=market, instruments=(*LEGS, FAR), assets=())
    standing = world.standing(rules)
    assert np.all(standing.worth.net_option_value == 0)
    # 50 + (x - 100) = 0.25 x.
    _, below, _, inside, _ = only(standing, "BTC")
    assert not inside
    assert below == pytest.approx(50 / 0.75, rel=1e-9)
