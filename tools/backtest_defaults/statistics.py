"""Tests of coverage: how likely so many exceedances, or so close together, are if margin covers what it claims.

An exceedance is a window in which a loss was larger than the margin. `hits` are such windows, True, in order of time;
`rate` is the share of windows that may be exceeded, 0.01 for 99%.
"""

from enum import StrEnum
from math import log

import numpy as np
from scipy.stats import binom, chi2


def binomial_tail(exceedances, windows, rate):
    """Return the probability of `exceedances` or more in independent windows: small where coverage is too low.

    One-sided on purpose: too few exceedances are a cost, not a failure.
    """
    return float(binom.sf(exceedances - 1, windows, rate))


def kupiec(exceedances, windows, rate):
    """Return (likelihood ratio, p-value) of the proportion of failures, chi2(1); two-sided: it fails prudence too."""
    likely = _log_likelihood(exceedances, windows, exceedances / windows)
    ratio = 2.0 * (likely - _log_likelihood(exceedances, windows, rate))
    return ratio, float(chi2.sf(ratio, 1))


def christoffersen(hits):
    """Return (likelihood ratio, p-value) of independence, chi2(1): small where an exceedance follows another too often.

    Compares one rate of exceedance after a hit and another after none with the same rate after both.
    """
    hits = np.asarray(hits, dtype=bool)
    before, after = hits[:-1], hits[1:]
    return independence(*(int(((before == b) & (after == a)).sum()) for b in (False, True) for a in (False, True)))


def independence(n00, n01, n10, n11):
    """Return (likelihood ratio, p-value) of independence, given how often one state (1 is a hit) followed another."""
    n0, n1 = n00 + n01, n10 + n11
    if n0 == 0 or n1 == 0:
        return 0.0, 1.0
    apart = _log_likelihood(n01, n0, n01 / n0) + _log_likelihood(n11, n1, n11 / n1)
    together = _log_likelihood(n01 + n11, n0 + n1, (n01 + n11) / (n0 + n1))
    ratio = max(2.0 * (apart - together), 0.0)
    return ratio, float(chi2.sf(ratio, 1))


class Light(StrEnum):
    """The supervisor's traffic light."""

    GREEN = "green"
    YELLOW = "yellow"
    RED = "red"


def traffic_light(exceedances, windows, rate):
    """Return green where fewer exceedances have a probability below 95%, yellow below 99.99%, else red."""
    up_to = float(binom.cdf(exceedances, windows, rate))
    return Light.GREEN if up_to < 0.95 else Light.YELLOW if up_to < 0.9999 else Light.RED


def _log_likelihood(exceedances, windows, rate):
    """Return log of rate^x (1 - rate)^(n - x), with 0 log 0 = 0."""
    total = 0.0
    for count, share in ((exceedances, rate), (windows - exceedances, 1.0 - rate)):
        if count:
            total += count * log(share)
    return total
