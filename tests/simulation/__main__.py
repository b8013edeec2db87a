"""`python -m tests.simulation`: run seeds, say how many and how fast, what they reached, and cut down what fails.

    --seeds N      how many (1,000)              --first N    from which on (0)
    --seconds S    stop after S seconds instead  --length N   operations a seed, drawn from 100 to N (600)
    --jobs N       processes (all processors)

The end is 1 where a seed failed: its number, what it broke, and the shortest list of operations that still does.
"""

import argparse
import os
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice
from random import Random

from tests.simulation.campaign import cut_down, run
from tests.simulation.workload import must_be_reached

FAILURES_SHOWN = 3


def one(task):
    seed, longest = task
    outcome = run(seed, Random(-seed - 1).randint(100, longest))
    return seed, outcome.reached, str(outcome.failure or "")


def main():
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--seeds", type=int, default=1_000)
    reader.add_argument("--first", type=int, default=0)
    reader.add_argument("--seconds", type=float, default=0.0)
    reader.add_argument("--length", type=int, default=600)
    reader.add_argument("--jobs", type=int, default=os.cpu_count())
    asked = reader.parse_args()
    started, reached, done, failed = time.monotonic(), Counter(), 0, []
    seeds = count(asked.first) if asked.seconds else iter(range(asked.first, asked.first + asked.seeds))
    with ProcessPoolExecutor(asked.jobs) as processes:
        while not asked.seconds or time.monotonic() - started < asked.seconds:
            tasks = [(seed, asked.length) for seed in islice(seeds, 50 * asked.jobs)]
            if not tasks:
                break
            for seed, found, failure in processes.map(one, tasks, chunksize=5):
                done += 1
                reached.update(found)
                if failure:
                    failed.append((seed, failure))
    took = time.monotonic() - started
    for what, times in sorted(reached.items()):
        print(f"  {times:>10,}  {what}")
    missing = [what for what in must_be_reached() if not reached[what]]
    operations = sum(
        reached[what] for what in ("Submit", "SetClock", "Crash", "KeepSnapshot", "Rot", "FillDisk", "TakeOver")
    )
    commands = reached["applied"] + reached["rejected"]
    print(
        f"{done:,} seeds, {operations:,} operations, {commands:,} commands in {took:.1f} s "
        f"on {asked.jobs} processes: {done / took * 3600 / asked.jobs:,.0f} seeds an hour and process"
    )
    print(f"{len(failed)} failed; never reached: {', '.join(missing) or 'nothing that should be'}")
    for seed, failure in failed[:FAILURES_SHOWN]:
        print(f"\nseed {seed}: {failure}\n  shortest list of operations that fails so:")
        for operation in cut_down(run(seed, Random(-seed - 1).randint(100, asked.length))):
            print(f"    {operation}")
    return 1 if failed or (missing and done >= FULL) else 0


FULL = 1_000
"""Seeds after which everything must have been reached."""

if __name__ == "__main__":
    sys.exit(main())
