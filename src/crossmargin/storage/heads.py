"""Heads: where a journal ends, and what may follow."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossmargin.clearing import GENESIS, Record


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """The end of a journal: the sequence and hash of its newest record; 0 and GENESIS where there is none."""

    sequence: int = 0
    hash: bytes = GENESIS

    def moved(self, records: Sequence[Record], epoch: int) -> Head:
        """Return the head after `records`; ValueError unless they follow this one, one another, and are of `epoch`.

        What a record's own hash should be is the reader's to check: here it would be computed a second time.
        """
        sequence, before = self.sequence, self.hash
        for record in records:
            sequence += 1
            if record.sequence != sequence or record.previous != before:
                raise ValueError(f"record {record.sequence}: does not follow record {sequence - 1} of the journal")
            if record.epoch != epoch:
                raise ValueError(f"record {record.sequence}: of epoch {record.epoch}; this writer's is {epoch}")
            before = record.hash
        return Head(sequence=sequence, hash=before)
