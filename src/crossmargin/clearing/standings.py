"""Standings: how each pool was seen to stand, written down when it changed, with the command that changed it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crossmargin.clearing.machine import Event, applies
from crossmargin.clearing.risk import BANKRUPT, HEALTHY
from crossmargin.clearing.withdrawals import after_default

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


@dataclass(slots=True)
class Standings:
    """Status of each pool that is not healthy, by the number of its first account; numbers in `risk.STATUSES`.

    since: when each came to stand so, nanoseconds since 1970 UTC.
    """

    status: dict[int, int] = field(default_factory=dict)
    since: dict[int, int] = field(default_factory=dict)

    def of(self, pool: int) -> int:
        """Return the status of a pool."""
        return self.status.get(pool, HEALTHY)

    def frozen(self) -> Any:
        """Return the statuses as plain values."""
        return [[pool, status, self.since[pool]] for pool, status in sorted(self.status.items())]

    @classmethod
    def thawed(cls, plain: Any) -> Standings:
        """Return what `frozen` was told of."""
        return cls({pool: status for pool, status, _ in plain}, {pool: since for pool, _, since in plain})


class StandingChanged(Event, frozen=True):
    """A pool stands differently from now on. pool: the number of its first account; status: a number in STATUSES."""

    pool: int
    status: int


@applies(StandingChanged)
def _changed(state: State, event: StandingChanged) -> None:
    standings = state.standings
    if event.status == HEALTHY:
        standings.status.pop(event.pool, None)
        standings.since.pop(event.pool, None)
    else:
        standings.status[event.pool] = event.status
        standings.since[event.pool] = state.now


def noticed(state: State) -> list[Event]:
    """Return what a state that has just changed leads to: pools that do not stand as recorded any more."""
    if state.risk is None:
        return []
    changed = state.risk.changed(state)
    seen: list[Event] = [StandingChanged(pool=pool, status=status) for pool, status in changed]
    return [*seen, *after_default(state)] if any(status == BANKRUPT for _, status in changed) else seen
