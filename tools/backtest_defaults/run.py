"""Run every panel, split over processes, with a progress bar."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, as_completed
from functools import lru_cache

import numpy as np

from crossmargin.rules import load
from tools.backtest_defaults import series
from tools.backtest_defaults.measure import Margined, Walk
from tools.backtest_defaults.panels import HOURS, PANELS, sampled_at

RULES = "portfolio"
WINDOWS_AT_ONCE = 120


@lru_cache(maxsize=1)
def margined(name):
    """Return the panel of a name under the shipped rule book; a process keeps the latest."""
    data = series.folder()
    panel = PANELS[name](data) if name in PANELS else sampled_at(data, int(name.removeprefix("at ")))
    return Margined(panel, load(RULES).model)


def names():
    """Return the names of everything there is to run."""
    return [*PANELS, *(f"at {hour}" for hour in HOURS)]


def run(wanted, jobs, progress):
    """Return {name: (panel, Walk)} for the names wanted; `progress(done, total)` is told of windows."""
    parts = []
    panels = {}
    for name in wanted:
        world = margined(name)
        panels[name] = world.panel
        rows = world.openings()
        parts += [(name, rows[low : low + WINDOWS_AT_ONCE]) for low in range(0, len(rows), WINDOWS_AT_ONCE)]
    total, done = sum(len(rows) for _, rows in parts), 0
    found = {}
    progress(0, total)
    if jobs == 1:
        for k, (name, rows) in enumerate(parts):
            found[k] = _walk(name, rows)
            done += len(rows)
            progress(done, total)
    else:
        # Not forked: compiled kernels and threads of the parent do not survive it.
        with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
            waiting = {pool.submit(_walk, name, rows): k for k, (name, rows) in enumerate(parts)}
            for future in as_completed(waiting):
                k = waiting[future]
                found[k] = future.result()
                done += len(parts[k][1])
                progress(done, total)
    walks = {name: Walk.joined([found[k] for k, (other, _) in enumerate(parts) if other == name]) for name in panels}
    return {name: (panels[name], walks[name]) for name in panels}


def one_window(name, day):
    """Return (panel, walk) of the one window that opens at the last close before `day`."""
    world = margined(name)
    row = int(np.searchsorted(np.array(world.panel.history.days, dtype="datetime64[D]"), np.datetime64(day))) - 1
    return world.panel, world.walk([row])


def _walk(name, rows):
    return margined(name).walk(rows)
