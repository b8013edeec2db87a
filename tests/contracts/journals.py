"""Journals of every kind for tests: a place that can be opened again and again, and records to put there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from crossmargin.clearing import Journal, JournalFailed, Record, chained


@dataclass
class Place:
    """Where a journal is kept. `open(write)` opens it once more; `close` lets go of everything that was opened."""

    kind: str
    open_: Callable[[bool], Journal]
    opened: list[Journal] = field(default_factory=list)

    def open(self, write: bool = True) -> Journal:
        journal = self.open_(write)
        self.opened.append(journal)
        return journal

    def close(self) -> None:
        for journal in self.opened:
            with suppress(JournalFailed):
                journal.close()


def records(
    count: int, after: Record | None = None, *, epoch: int = 1, size: int = 40, keyed: bool = True
) -> list[Record]:
    """Return `count` records that follow `after`, with payloads of about `size` bytes that differ."""
    made: list[Record] = []
    for _ in range(count):
        number = after.sequence + 1 if after is not None else 1
        key = b"key-%d" % number if keyed else b""
        after = chained(after, epoch, number * 1_000, key, (b"%d;" % number * size)[:size])
        made.append(after)
    return made


def batches(all_: Sequence[Record], size: int) -> Iterator[Sequence[Record]]:
    """Yield the records in batches of `size`."""
    for start in range(0, len(all_), size):
        yield all_[start : start + size]
