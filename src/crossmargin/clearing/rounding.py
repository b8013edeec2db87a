"""Rounding: the one place where an amount stops being a fraction. Always down, so always against the account.

What an account receives (> 0) is cut off, what it pays (< 0) is rounded up in size; the difference, never negative,
goes to the rounding account in the same event.
"""

from __future__ import annotations


def to_account(numerator: int, denominator: int) -> int:
    """Return what an account gets of numerator/denominator minor units: the floor. denominator > 0."""
    assert denominator > 0, "rounding: a denominator that is not positive"
    return numerator // denominator


def owed_to_house(numerator: int, denominator: int) -> int:
    """Return what the house charges where numerator/denominator >= 0 is due: the ceiling. denominator > 0."""
    assert denominator > 0, "rounding: a denominator that is not positive"
    return -(-numerator // denominator)
