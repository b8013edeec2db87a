"""Background liquidity: quotes at growing distances from a reference, that are used up, come back, and move.

Who trades against a quote leaves less of it, and pushes the whole ladder in his direction. Both heal at half-lives:
what was taken comes back, and the push fades. A large order therefore walks the ladder and pays for it, a second one
at once pays more, and the same order in pieces over time pays less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np


@dataclass(frozen=True, slots=True, kw_only=True)
class Depth:
    """How deep one instrument is quoted. Distances in ticks, times in seconds."""

    ranks: int = 5
    """Quotes a side, one a rank; rank 0 is the nearest."""
    half_spread: float = 2.0
    """Distance of rank 0 from the middle."""
    step: float = 3.0
    """Further distance of each next rank."""
    lots: float = 100.0
    """Mean lots of rank 0."""
    growth: float = 1.5
    """Each next rank has this many times the lots."""
    impact: float = 1.0
    """Push of the middle by lots traded, in ticks for as many lots as one side quotes in all."""
    refill_seconds: float = 120.0
    """Half-life of what was taken."""
    decay_seconds: float = 600.0
    """Half-life of the push."""

    def __post_init__(self) -> None:
        for name in ("ranks", "half_spread", "step", "lots", "growth", "refill_seconds", "decay_seconds"):
            if not getattr(self, name) > 0:
                raise ValueError(f"depth: found {name} {getattr(self, name)}; allowed: above 0")
        if not self.impact >= 0:
            raise ValueError(f"depth: found impact {self.impact}; allowed: 0 or more")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quote:
    """What one rank of one side shall show: `lots` > 0 bought, < 0 sold, 0: nothing."""

    side: int
    rank: int
    ticks: int
    lots: int


class Liquidity:
    """The quotes of one instrument as time goes on. Seeded: the size of each rank differs by chance, once.

    Time is given, in seconds, and never falls. The caller places the quotes, and tells of what was taken.
    """

    __slots__ = ("_full", "_taken", "_time", "depth", "pushed", "signed")

    def __init__(self, depth: Depth, seed: Sequence[int], *, signed: bool = False) -> None:
        self.depth = depth
        self.signed = signed
        self.pushed = 0.0
        """How far trades have moved the middle, in ticks."""
        self._time = 0.0
        shape = depth.lots * depth.growth ** np.arange(depth.ranks)
        chance = np.random.default_rng(seed).uniform(0.6, 1.4, (2, depth.ranks))
        self._full: list[list[float]] = np.maximum(1.0, shape * chance).tolist()
        self._taken: list[list[float]] = [[0.0] * depth.ranks, [0.0] * depth.ranks]

    def advance(self, time: float) -> None:
        """Let what was taken come back and the push fade until `time`."""
        assert time >= self._time, "liquidity: time runs backwards"
        passed = time - self._time
        self._time = time
        self.pushed *= exp(-log(2.0) * passed / self.depth.decay_seconds)
        left = exp(-log(2.0) * passed / self.depth.refill_seconds)
        self._taken = [[taken * left for taken in of] for of in self._taken]

    def take(self, side: int, rank: int, lots: int) -> None:
        """Tell that `lots` (> 0) of the quote of a side (1 bids, -1 offers) were traded."""
        of = side < 0
        self._taken[of][rank] = min(self._full[of][rank], self._taken[of][rank] + lots)
        self.pushed -= side * self.depth.impact * lots / sum(self._full[of])

    def quotes(self, reference: float) -> list[Quote]:
        """Return what every rank shall show around a reference (in ticks): bids, then offers, nearest first.

        Bids round down and offers up, so that they never meet. Where prices are positive a bid below one tick shows
        nothing.
        """
        depth = self.depth
        middle = reference + self.pushed
        quotes = []
        for side in (1, -1):
            of = side < 0
            for rank in range(depth.ranks):
                distance = depth.half_spread + rank * depth.step
                ticks = side * int((side * middle - distance) // 1)
                lots = int(self._full[of][rank] - self._taken[of][rank])
                if ticks < 1 and not self.signed:
                    # An offer is never below the price of nothing; a bid there would buy for nothing.
                    ticks, lots = 1, (0 if side > 0 else lots)
                quotes.append(Quote(side=side, rank=rank, ticks=ticks, lots=side * lots))
        return quotes
