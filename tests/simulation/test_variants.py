"""However often a house is restarted, restored or asked twice, the same commands lead to the same state and replies."""

import pytest

from tests.simulation.campaign import run
from tests.simulation.trial import RESTARTED, RESTORED, TWICE, carried_out

SEEDS, LENGTH = range(2000, 2006), 80


@pytest.mark.parametrize("variant", [RESTARTED, RESTORED, TWICE])
def test_the_variant_changes_nothing(variant):
    for seed in SEEDS:
        plain = run(seed, LENGTH)
        assert plain.failure is None
        other = carried_out(plain.operations, variant, plain.margined)
        assert (other.hash, other.replies) == (plain.hash, plain.replies), f"seed {seed}"
