"""Dynamic margin: how a buffer moves with the market, and how fast a requirement may change. For the daily calibration.

Nothing here is called while pools are margined: a buffer in force is a parameter of the rule book
(`buffer_by_group`), the same for everybody, set once a day and disclosed.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite

from crossmargin.errors import InvalidRules


def buffer_target(reference_vol: float, vol: float, most: float) -> float:
    """Return the buffer a group should have: clamp((1 + most) x reference vol / vol - 1, 0, most).

    All are fractions. At the reference vol the buffer is full; as the vol in force rises it is used up in step, so
    that initial margin stays where it was until nothing of the buffer is left.
    """
    for name, number in (("reference_vol", reference_vol), ("vol", vol), ("most", most)):
        if not (isfinite(number) and number >= 0):
            raise InvalidRules(name, str(number), "a finite number, 0 or more")
    if vol == 0.0:
        return most
    return min(max((1.0 + most) * reference_vol / vol - 1.0, 0.0), most)


def buffer_today(yesterday: float, target: float, refill: float) -> float:
    """Return a group's buffer today: down to its target at once, up to it by at most `refill` a day."""
    return min(target, yesterday + refill)


def buffers_today(
    yesterday: Mapping[str, float],
    reference_vol: Mapping[str, float],
    vol: Mapping[str, float],
    *,
    most: float,
    refill: float,
) -> dict[str, float]:
    """Return `buffer_by_group` for today: an entry for every group of `vol`; a group new to it starts full.

    Raises InvalidRules for a group without a reference vol.
    """
    today = {}
    for group, now in vol.items():
        if group not in reference_vol:
            raise InvalidRules(f"reference vol of {group}", "nothing", "a vol for every group")
        target = buffer_target(reference_vol[group], now, most)
        today[group] = buffer_today(yesterday.get(group, most), target, refill)
    return today


def vol_limited(yesterday: float, target: float, rise: float, fall: float) -> float:
    """Return the vol in force today, moved towards `target` by at most a fraction `rise` up or `fall` down.

    The change of a requirement that scales with vol is limited alike; announced steps replace a jump.
    """
    for name, number in (("rise", rise), ("fall", fall)):
        if not number >= 0:
            raise InvalidRules(name, str(number), "a fraction of 0 or more")
    return min(max(target, yesterday * (1.0 - fall)), yesterday * (1.0 + rise))


def peak_to_trough(requirement: list[float]) -> float:
    """Return the largest over the smallest requirement of a static portfolio over a window of days."""
    if not requirement or min(requirement) <= 0:
        raise InvalidRules("requirement", str(requirement[:3]), "a requirement above 0 for each day")
    return max(requirement) / min(requirement)


def largest_rise(requirement: list[float], days: int) -> float:
    """Return the largest relative rise of a requirement over `days` days; negative where it only fell."""
    if days < 1 or len(requirement) <= days or min(requirement) <= 0:
        raise InvalidRules("days", str(days), f"1 to {len(requirement) - 1}, of requirements above 0")
    return max(later / earlier - 1.0 for earlier, later in zip(requirement, requirement[days:], strict=False))
