"""Pairing: which shorts go with which covers so that together they save most.

A transportation problem: every node has units, every pair a saving a unit, and no unit is used twice. Nodes of one
side only pair with nodes of the other, so units that are whole numbers are paired in whole numbers.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from crossmargin.units import FloatArray

_LEAST_SAVING = 1e-13
"""A saving below this share of the largest is rounding, not a reason to pair."""
_AUGMENTATIONS_PER_EDGE = 50


@njit(cache=True)
def best_pairs(saving: FloatArray, left: FloatArray, right: FloatArray) -> FloatArray:
    """Return how many units of each pair make the largest total saving, shape (A, B).

    `saving` (A, B) a unit, 0 where two do not pair; `left` (A,) and `right` (B,) are the units there are, 0 or more.
    Successive best alternating paths: each step takes the path that adds most a unit, undoing earlier pairs where
    that is better, until none adds anything. Unlike taking the best pair first, this is exact.
    """
    a, b = saving.shape
    flow = np.zeros((a, b))
    if a == 0 or b == 0:
        return flow
    from_left, from_right = left.copy(), right.copy()
    least = _LEAST_SAVING * max(saving.max(), 0.0)
    units = _LEAST_SAVING * max(left.max(), right.max())
    amount = np.inf
    for _ in range(_AUGMENTATIONS_PER_EDGE * a * b + 1):
        # Gain of the best path from any free left unit to each node; -inf where none leads there.
        gain_left, gain_right = np.full(a, -np.inf), np.full(b, -np.inf)
        before_left, before_right = np.full(a, -1), np.full(b, -1)
        for i in range(a):
            if from_left[i] > units:
                gain_left[i] = 0.0
        changed = True
        while changed:
            changed = False
            for i in range(a):
                if gain_left[i] == -np.inf:
                    continue
                for j in range(b):
                    if saving[i, j] > least and gain_left[i] + saving[i, j] > gain_right[j] + least:
                        gain_right[j], before_right[j] = gain_left[i] + saving[i, j], i
                        changed = True
            for j in range(b):
                if gain_right[j] == -np.inf:
                    continue
                for i in range(a):
                    if flow[i, j] > units and gain_right[j] - saving[i, j] > gain_left[i] + least:
                        gain_left[i], before_left[i] = gain_right[j] - saving[i, j], j
                        changed = True
        end, ends_left = -1, False
        most = least
        for j in range(b):
            if from_right[j] > units and gain_right[j] > most:
                end, ends_left, most = j, False, gain_right[j]
        for i in range(a):
            # Ending at a left node takes a unit of it out of its pair.
            if before_left[i] >= 0 and gain_left[i] > most:
                end, ends_left, most = i, True, gain_left[i]
        if end < 0:
            return flow
        # Back along the path: how many units it takes, then move them.
        for moving in (False, True):
            if not moving:
                amount = np.inf
            at, at_left = end, ends_left
            if at_left:
                if moving:
                    from_left[at] += amount
            else:
                if moving:
                    from_right[at] -= amount
                else:
                    amount = min(amount, from_right[at])
            while not at_left or before_left[at] >= 0:
                if at_left:
                    j = before_left[at]
                    if moving:
                        flow[at, j] -= amount
                    else:
                        amount = min(amount, flow[at, j])
                    at, at_left = j, False
                else:
                    i = before_right[at]
                    if moving:
                        flow[i, at] += amount
                    at, at_left = i, True
            if moving:
                from_left[at] -= amount
            else:
                amount = min(amount, from_left[at])
    raise AssertionError("pairing does not end")


@njit(cache=True)
def worth_of_units(
    saving: FloatArray, flow: FloatArray, left: FloatArray, right: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return what one unit more of each node would save, (A,) and (B,), given the best pairs of `best_pairs`.

    They are the prices of the pairing: left units x worth + right units x worth is the whole saving. Where a pairing
    is degenerate they are not unique; these are least for the left.
    """
    a, b = saving.shape
    left_worth, right_worth = np.zeros(a), np.zeros(b)
    # As where pairs were made: fewer units are none.
    units = _LEAST_SAVING * max(left.max(), right.max()) if a and b else 0.0
    taken = flow.sum(axis=0)
    for _ in range(a + b + 1):
        changed = False
        for i in range(a):
            for j in range(b):
                if saving[i, j] <= 0.0:
                    continue
                # A unit of j is free where there are some left; else it is taken from whoever misses it least.
                cost = 0.0
                if taken[j] >= right[j] - units:
                    cost = np.inf
                    for k in range(a):
                        if flow[k, j] > units:
                            cost = min(cost, saving[k, j] - left_worth[k])
                if saving[i, j] - cost > left_worth[i]:
                    left_worth[i] = saving[i, j] - cost
                    changed = True
        if not changed:
            break
    for j in range(b):
        for i in range(a):
            right_worth[j] = max(right_worth[j], saving[i, j] - left_worth[i])
    return left_worth, right_worth
