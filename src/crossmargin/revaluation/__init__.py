"""Revaluation: a million accounts in milliseconds. Positions in memory, laid out for three questions:

    the whole book under a risk table          `worst_losses`, `expected_shortfall`
    one group has moved                        `tick`: only accounts that hold it are computed anew
    fills, one after another                   `check_and_apply`: each against its account's limit

One layout serves all three (`layout`), and positions, groups and accounts come and go in it at constant cost.
Never here: what an instrument is, prices, money, why a limit is what it is, requirements beyond sums of tails.

Conventions. Accounts, instruments and groups are numbers from 0. A risk table has a row an instrument and a column a
scenario: the P&L of one long contract, a loss negative. Worst losses and shortfalls are positive, 0 where nothing is
lost. Everything is float64, and the same bits for any number of threads and any way fills are cut into batches.
A value outside its range is a ValueError. Kernels are compiled by the first call and kept in Numba's cache.
"""

from crossmargin.revaluation.live_book import LiveBook

__all__ = ["LiveBook"]
