"""Every house that is broken on purpose is caught, soon; and a failure is cut down to what one can read."""

import pytest

from tests.simulation.campaign import cut_down, run
from tests.simulation.canaries import CANARIES, a_deposit_goes_to_the_next_account
from tests.simulation.trial import Broken, carried_out

SEEDS, LENGTH = 200, 120


def caught(canary, patch):
    """Return the outcome of the first seed that fails in a broken house."""
    canary(patch)
    for seed in range(SEEDS):
        outcome = run(seed, LENGTH)
        if outcome.failure is not None:
            return outcome
    return None


@pytest.mark.parametrize("canary", CANARIES, ids=lambda canary: canary.__name__)
def test_a_house_that_is_broken_on_purpose_is_caught(canary, monkeypatch):
    assert caught(canary, monkeypatch) is not None


def test_a_failure_is_cut_down_to_a_list_one_can_read(monkeypatch):
    outcome = caught(a_deposit_goes_to_the_next_account, monkeypatch)
    shortest = cut_down(outcome)
    assert len(shortest) <= 4 < len(outcome.operations)
    with pytest.raises(Broken):
        carried_out(shortest)
    monkeypatch.undo()
    carried_out(shortest)
