"""Operations: what a simulated run consists of. A run is a list of them, and any part of that list is a run too."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Submit:
    """Commands with their keys, submitted as one group. fault: "", or what became of their records (`faults`)."""

    requests: tuple
    fault: str = ""


@dataclass(frozen=True)
class SetClock:
    """The clock shows `now`, earlier than before perhaps."""

    now: int


@dataclass(frozen=True)
class Crash:
    """The process dies and a new one opens the house from what is on the disk."""


@dataclass(frozen=True)
class KeepSnapshot:
    """A snapshot is kept; spoiled: it is damaged afterwards."""

    spoiled: bool = False


@dataclass(frozen=True)
class FillDisk:
    """The disk is full for one group of commands, then there is room again and the house is opened anew."""

    requests: tuple


@dataclass(frozen=True)
class TakeOver:
    """A second process opens the journal; the first one, which does not know, submits `requests` in vain."""

    requests: tuple


@dataclass(frozen=True)
class Rot:
    """A bit of a record flips on a copy of the disk: opening that must fail."""

    index: int
    bit: int
