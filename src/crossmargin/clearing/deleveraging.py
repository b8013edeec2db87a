"""Auto-deleveraging: who on the other side closes a defaulter's lots, and at what price. Integers; no state.

A policy chooses lots, never the price: everybody closes at one price, the mark moved against them by just what the
insurance fund could not pay. What the winners give up then sums to the deficit, less under a tick a lot.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

POLICIES = ("minimum_overshoot", "pro_rata", "queue", "risk_aware")
NOT_HURT, STAYS_ABOVE_MAINTENANCE, STAYS_ABOVE_ZERO, TEAR_UP = range(4)
"""Ranks of `minimum_overshoot`: what closing the lots would do to their account, the least harm first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An account with lots on the other side of the defaulter's.

    lots: how many it could give up, > 0. score: see `score_of`; higher first (`queue`, `risk_aware`). harm: one of the
    four ranks. sole_hedge: the lots are the only hedge left of something else it holds; within its rank it is last.
    """

    lots: int
    score: Fraction = Fraction(0)
    harm: int = NOT_HURT
    sole_hedge: bool = False

    def __post_init__(self) -> None:
        if self.lots <= 0:
            raise ValueError(f"candidate: found {self.lots} lots; allowed: above 0")
        if not NOT_HURT <= self.harm <= TEAR_UP:
            raise ValueError(f"candidate: found harm {self.harm}; allowed: {NOT_HURT} to {TEAR_UP}")


def score_of(profit: Fraction, leverage: Fraction, exponent: int = 1) -> Fraction:
    """Return an account's place in a queue: profit x leverage^exponent, of a loss profit / leverage^exponent.

    profit: of the position, a share of its value. leverage: > 0. `queue` has exponent 1, as most venues; `risk_aware`
    a higher one, so that what is risky is closed before what is merely profitable.
    """
    if leverage <= 0:
        raise ValueError(f"leverage: found {leverage}; allowed: above 0")
    weight = leverage**exponent
    return profit * weight if profit > 0 else profit / weight


def ranks(policy: str, candidates: Sequence[Candidate]) -> list[int]:
    """Return the rank of each candidate under a policy: 0 is first; equal ranks share by size.

    `queue` and `risk_aware` go by score. `pro_rata` knows one rank. `minimum_overshoot` goes by harm, sole hedges after
    the others.
    """
    if policy not in POLICIES:
        raise ValueError(f"policy: found {policy!r}; allowed: {', '.join(POLICIES)}")
    if policy == "pro_rata":
        return [0] * len(candidates)
    if policy == "minimum_overshoot":
        return [2 * candidate.harm + candidate.sole_hedge for candidate in candidates]
    order = sorted({candidate.score for candidate in candidates}, reverse=True)
    place = {score: k for k, score in enumerate(order)}
    return [place[candidate.score] for candidate in candidates]


def allocated(residual: int, candidates: Sequence[Candidate], rank: Sequence[int]) -> list[int]:
    """Return how many of `residual` lots each candidate gives up: sum = min(residual, all lots), none above its own.

    A rank is used up before the next is touched; within the last one lots are shared in proportion to size, what is
    left of whole lots going to the largest remainders (then the larger, then the earlier candidate).
    """
    if residual < 0:
        raise ValueError(f"residual: found {residual} lots; allowed: 0 or more")
    taken = [0] * len(candidates)
    for level in sorted(set(rank)):
        here = [k for k, of in enumerate(rank) if of == level]
        room = sum(candidates[k].lots for k in here)
        for k, lots in zip(here, shared(min(residual, room), [candidates[k].lots for k in here]), strict=True):
            taken[k] = lots
        residual -= min(residual, room)
    return taken


def shared(amount: int, sizes: Sequence[int]) -> list[int]:
    """Return `amount` in whole parts proportional to `sizes`, by largest remainder; sum(sizes) >= amount >= 0."""
    whole = sum(sizes)
    if not whole:
        return [0] * len(sizes)
    parts = [amount * size // whole for size in sizes]
    remainders = sorted(range(len(sizes)), key=lambda k: (-(amount * sizes[k] % whole), -sizes[k], k))
    for k in remainders[: amount - sum(parts)]:
        parts[k] += 1
    return parts


def deleverage_ticks(mark: int, bankruptcy: int, deficit: int, lots: int, tick_value: int) -> int:
    """Return the price, in ticks, at which winners close `lots` against a defaulter whose deficit is not yet paid.

    lots: what the winners hold, long > 0. deficit: minor units, >= 0. tick_value: minor units a lot and tick, > 0. The
    mark is moved against the winners by deficit / (|lots| x tick_value), rounded for their good and never beyond the
    bankruptcy price: 0 <= deficit - haircuts < |lots| x tick_value unless the bankruptcy price comes first.
    """
    if deficit < 0 or tick_value <= 0 or lots == 0:
        raise ValueError("deleverage price: a deficit below 0, a tick worth nothing, or no lots")
    move = deficit // (abs(lots) * tick_value)
    if lots > 0:
        return max(mark - move, min(bankruptcy, mark))
    return min(mark + move, max(bankruptcy, mark))


def socialised(collected: int, owed: Sequence[int]) -> list[int]:
    """Return what each winner receives of what was collected for them: in proportion to what each is owed.

    Each share is cut off, and what is left goes to the last winner. All of what is owed where that much was collected.
    """
    if collected < 0 or any(amount < 0 for amount in owed):
        raise ValueError("socialised: an amount below 0; allowed: 0 or more")
    whole = sum(owed)
    if collected >= whole:
        return list(owed)
    shares = [collected * amount // whole for amount in owed]
    shares[-1] += collected - sum(shares)
    return shares
