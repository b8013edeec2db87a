"""Campaign: many seeds, each a run of its own; what they reached, and how little of it a failing one needs."""

from collections import Counter
from dataclasses import dataclass, field

from tests.simulation.operations import Submit
from tests.simulation.shrinking import shrunk
from tests.simulation.trial import Broken, Trial, carried_out
from tests.simulation.view import View
from tests.simulation.workload import Workload


@dataclass
class Outcome:
    """What became of a seed: its end, how many operations it had, what it reached and, where it failed, what of it."""

    seed: int
    hash: str = ""
    operations: list = field(default_factory=list)
    reached: Counter = field(default_factory=Counter)
    replies: list = field(default_factory=list)
    margined: bool = False
    failure: Broken | None = None


def run(seed, length, view=None):
    """Run a seed for `length` operations. view: makes the view of margin; None: the simulation's own, or none."""
    workload = Workload(seed)
    trial = Trial(margined=view is not None or workload.swarm.margined, view=view or View)
    outcome = Outcome(seed, reached=trial.reached, margined=trial.margined)
    try:
        for _ in range(length):
            operation = workload.next(trial)
            outcome.operations.append(operation)
            trial.do(operation)
        trial.replayed()
    except Broken as failure:
        outcome.failure = failure
    outcome.hash, outcome.replies = trial.hash, trial.replies
    return outcome


def cut_down(outcome):
    """Return the shortest list of operations found that fails as an outcome did."""

    def fails(operations):
        try:
            carried_out(operations, margined=outcome.margined)
        except Broken as failure:
            return failure.what == outcome.failure.what
        return False

    single = [part for operation in outcome.operations for part in _parts(operation)]
    return shrunk(single if fails(single) else outcome.operations, fails)


def _parts(operation):
    """Return a group of commands as groups of one, where nothing goes wrong with it."""
    if isinstance(operation, Submit) and not operation.fault:
        return [Submit((request,)) for request in operation.requests]
    return [operation]
