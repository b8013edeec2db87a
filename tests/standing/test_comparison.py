"""One book under several rule books: layers and causes add up, and what cannot be expressed is told of."""

from math import fsum

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.cli.books import load as load_book
from crossmargin.margin.brackets import Brackets
from crossmargin.rules import load
from crossmargin.standing import causes, compare, evaluate, layers
from tests.strategies import worlds

NAMES = ("portfolio", "grid", "standard")


@pytest.fixture(scope="module")
def demo():
    return load_book("demo")


@given(world=worlds(), name=st.sampled_from(NAMES))
@settings(max_examples=25)
def test_the_layers_of_every_pool_add_up_to_its_requirement(world, name):
    found = compare(world.book(), world.market, [load(name)])
    for compared in found.under.values():
        parts = compared.layers
        total = parts.alone + parts.within + parts.between + parts.collateral
        assert total == pytest.approx(compared.standing.maintenance_margin, rel=1e-9, abs=1e-9)


def test_positions_alone_are_what_accounts_of_one_position_owe(demo):
    standing = evaluate(demo.book, demo.market, load("grid"))
    parts = layers(standing)
    assert (parts.leg_alone >= 0).all()
    assert parts.alone == pytest.approx(np.bincount(standing.pools.leg_pool, parts.leg_alone, standing.pools.count))
    # Under a grid nothing is ever asked of the whole alone, and groups never save each other.
    assert parts.within.max() <= 1e-9
    assert np.abs(parts.between).max() == pytest.approx(0.0, abs=1e-6)


def test_all_causes_add_up_to_the_difference_and_the_largest_come_first(demo):
    found = compare(demo.book, demo.market, [load(name) for name in NAMES])
    one, other = found.under["grid"], found.under["portfolio"]
    for pool in range(one.standing.pools.count):
        told = causes(one.standing, one.layers, other.layers, pool, most=99)
        difference = one.standing.maintenance_margin[pool] - other.standing.maintenance_margin[pool]
        assert fsum(cause.amount for cause in told) == pytest.approx(difference, abs=1e-6)
        sizes = [abs(cause.amount) for cause in told]
        assert sizes == sorted(sizes, reverse=True)
        assert causes(one.standing, one.layers, other.layers, pool, most=2) == told[:2]


def test_a_rule_book_that_cannot_express_the_book_is_told_of_with_its_reason(demo):
    found = compare(demo.book, demo.market, [load("brackets"), load("grid")])
    assert list(found.under) == ["grid"]
    assert "option" in found.refused["brackets"].lower() or "-C" in found.refused["brackets"]
    assert isinstance(load("brackets").model, Brackets)
