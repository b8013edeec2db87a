"""Seeded houses under seeded faults: whatever happens in whatever order, everything that must be true is."""

import pytest

from crossmargin.clearing import RuleBookView
from crossmargin.market import Market
from crossmargin.rules import load
from tests.simulation.campaign import cut_down, run
from tests.simulation.shrinking import shrunk

SEEDS = 200
LENGTH = 120


@pytest.mark.parametrize("first", range(0, SEEDS, 10))
def test_nothing_is_ever_broken(first):
    for seed in range(first, first + 10):
        outcome = run(seed, LENGTH)
        if outcome.failure is not None:
            shortest = "\n".join(map(str, cut_down(outcome)))
            pytest.fail(f"seed {seed}: {outcome.failure}\nshortest list of operations that fails so:\n{shortest}")


MARKET = Market(time="2026-11-20T08:00:00Z", vol_annual={"BTC": 0.6, "ETH": 0.7, "WTI": 0.4, "USDC": 0.01, "USD": 0.01})


@pytest.mark.parametrize("rules", ["portfolio", "grid"])
def test_nothing_is_ever_broken_under_a_rule_book(rules):
    for seed in range(70_000, 70_008):
        outcome = run(seed, LENGTH, lambda: RuleBookView(load(rules), MARKET))
        assert outcome.failure is None, f"seed {seed}"


def test_a_seed_says_everything_about_its_run():
    first, second = run(7, LENGTH), run(7, LENGTH)
    assert first.hash == second.hash
    assert first.operations == second.operations


def test_shrinking_leaves_nothing_out_that_a_failure_needs():
    assert shrunk(range(100), lambda kept: {17, 50, 51} <= set(kept)) == [17, 50, 51]
    assert shrunk([1, 2], lambda kept: True) == [2]
