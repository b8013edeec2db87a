"""What a walk says of each book: how often and how far losses were beyond what was asked."""

from dataclasses import dataclass

import numpy as np

from tools.backtest_defaults.statistics import binomial_tail, christoffersen, kupiec, traffic_light

RATE = 0.01
"""Share of windows that 99% margin may be exceeded in."""
SIGNIFICANT = 0.05
"""A probability below this is called a failure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How one figure of margin covered the losses of one book."""

    windows: int
    exceeded: int
    average: float
    """Of the margin, a fraction of the book's gross value."""
    deviations: float
    """Average margin over the standard deviation of what the windows brought: what coverage costs."""
    tail: float
    """Probability of as many exceedances or more, were the true rate 1%."""
    two_sided: float
    """Kupiec's probability, which counts too few as a failure too."""
    independence: float
    """Christoffersen's probability."""
    light: str
    largest: float
    """Largest loss beyond the margin, a fraction of the margin; 0 where none."""
    largest_on: np.datetime64 | None
    """Day on which that window opened."""

    @property
    def rate(self):
        """Share of the windows in which the loss was larger."""
        return self.exceeded / self.windows

    @property
    def failed(self):
        """Whether so many exceedances are unlikely to be chance."""
        return self.tail < SIGNIFICANT


def coverage(loss, margin, opens):
    """Return the coverage of losses (W,) by margin (W,); windows without either are left out."""
    there = ~np.isnan(loss) & ~np.isnan(margin)
    loss, margin, opens = loss[there], margin[there], opens[there]
    hits = loss > margin
    count, windows = int(hits.sum()), len(hits)
    beyond = np.where(hits, loss - margin, 0.0) / np.where(margin > 0.0, margin, np.nan)
    largest = int(np.nanargmax(beyond)) if count else -1
    return Coverage(
        windows=windows,
        exceeded=count,
        average=float(margin.mean()),
        deviations=float(margin.mean() / loss.std()),
        tail=binomial_tail(count, windows, RATE),
        two_sided=kupiec(count, windows, RATE)[1],
        independence=christoffersen(hits)[1],
        light=traffic_light(count, windows, RATE).value,
        largest=float(beyond[largest]) if count else 0.0,
        largest_on=opens[largest] if count else None,
    )


def exceedances(walk, books, kinds):
    """Return (beyond as a fraction of margin, book, window number) of every loss beyond maintenance, largest first."""
    found = []
    for b, book in enumerate(books):
        if book.kind in kinds:
            for w in np.flatnonzero(walk.loss[:, b] > walk.maintenance[:, b]):
                margin = walk.maintenance[w, b]
                found.append(((walk.loss[w, b] - margin) / margin, book, int(w), b))
    return sorted(found, key=lambda row: -row[0])
