"""The sequencer: one command after another, each decided, written down, applied, and answered once it is safe."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from crossmargin.clearing.entries import body_of, decoded, encoded
from crossmargin.clearing.journal import (
    KEY_LENGTH_MAX,
    Journal,
    JournalCorrupt,
    Record,
    Snapshot,
    chained,
    check_chain,
)
from crossmargin.clearing.machine import Command, Event, apply, decide
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.risk import Risk
from crossmargin.clearing.standings import noticed
from crossmargin.clearing.state import State
from crossmargin.errors import CrossmarginError


class HouseHalted(CrossmarginError):
    """The house has stopped: its journal failed or it met a fault of its own. Open it anew."""


@dataclass(frozen=True, slots=True)
class Applied:
    """A command took effect as record `sequence`."""

    sequence: int
    events: tuple[Event, ...]


Reply = Applied | Rejected


class House:
    """The clearing house: a state, and the journal that it can be rebuilt from.

    A reply is given after its record is durable, never before. A key makes a command exactly once: asked again with
    the same command it gives the same reply, with another one it is rejected. Not for several threads.
    """

    __slots__ = ("_clock", "_halted", "_journal", "_last", "_unsaved", "state")

    def __init__(self, journal: Journal, clock: Callable[[], int], risk: Risk | None = None) -> None:
        """Open a house on a journal: the newest snapshot that fits it, then the records after it.

        clock: nanoseconds since 1970 UTC; where it runs backwards the house's own time goes on by one at a time.
        risk: the view of margin that decisions look at; None: nobody is asked for margin.
        Raises JournalCorrupt where the records are not a chain.
        """
        self._journal = journal
        self._clock = clock
        self._halted = ""
        self.state, self._last = recovered(journal)
        self.state.risk = risk
        if risk is not None:
            risk.watch(self.state)
        self._unsaved: dict[bytes, Record] = {}

    @property
    def last(self) -> Record | None:
        """The newest record."""
        return self._last

    def submit(self, command: Command, key: str = "") -> Reply:
        """Decide, write down and apply one command; the reply is durable."""
        return self.submit_all([(command, key)])[0]

    def submit_all(self, commands: Iterable[tuple[Command, str]]) -> list[Reply]:
        """Do commands in order and make all their records durable at once; replies in the same order.

        Raises HouseHalted where the house has stopped, JournalFailed where it stops now: whether these commands took
        effect is then not known, and their keys tell after the house was opened anew.
        """
        if self._halted:
            raise HouseHalted(self._halted)
        records: list[Record] = []
        try:
            replies = [self._done(command, key, records) for command, key in commands]
            if records:
                self._journal.append(records)
        except BaseException as fault:
            self._halted = f"stopped after record {self._last.sequence if self._last else 0}: {fault!r}"
            raise
        self._unsaved.clear()
        return replies

    def snapshot(self) -> Snapshot | None:
        """Keep the state beside the journal, so that opening need not read what came before; None at the start."""
        if self._halted:
            raise HouseHalted(self._halted)
        if self._last is None:
            return None
        kept = Snapshot(self._last.sequence, self._last.hash, self.state.frozen())
        self._journal.save(kept)
        return kept

    def _done(self, command: Command, key: str, records: list[Record]) -> Reply:
        # What cannot be written down as it stands must not take effect, and must not stop the house either.
        try:
            name = key.encode()
        except UnicodeEncodeError as error:
            return Rejected(Reason.NAME_IS_NOT_ALLOWED, f"an idempotency key that is no text: {error.reason}")
        if len(name) > KEY_LENGTH_MAX:
            return Rejected(Reason.NAME_IS_NOT_ALLOWED, f"an idempotency key of {len(name)} bytes")
        try:
            body = body_of(command)
        except (TypeError, ValueError, OverflowError) as error:
            return Rejected(Reason.COMMAND_IS_MALFORMED, str(error))
        if name:
            known = self._unsaved.get(name) or self._journal.find(name)
            if known is not None:
                return _same(known, body)
        state = self.state
        before = self._last
        state.now = max(self._clock(), before.time + 1 if before is not None else 1)
        decision = decide(state, command)
        # A list of its own: what is written down and applied is one thing.
        outcome = decision if isinstance(decision, Rejected) else list(decision)
        sequence = before.sequence + 1 if before is not None else 1
        reply = _taken(state, sequence, outcome)
        if isinstance(reply, Applied):
            # What it does to the standing of pools belongs to the same record, however it came about.
            seen = noticed(state)
            if seen:
                outcome = [*reply.events, *seen]
                reply = _taken(state, sequence, seen, reply.events)
        record = chained(before, self._journal.epoch, state.now, name, encoded(body, outcome))
        records.append(record)
        self._last = record
        if name:
            self._unsaved[name] = record
        return reply


def recovered(journal: Journal) -> tuple[State, Record | None]:
    """Return the state that a journal leads to, and its last record. Raises JournalCorrupt."""
    return _rebuilt(journal, lambda _: True)


def rebuilt(journal: Journal, *, sequence: int | None = None, time: int | None = None) -> State:
    """Return the state after record `sequence`, or after the last record at or before `time`; else after the last.

    time: nanoseconds since 1970 UTC. Raises JournalCorrupt.
    """

    def wanted(record: Record) -> bool:
        return (sequence is None or record.sequence <= sequence) and (time is None or record.time <= time)

    return _rebuilt(journal, wanted)[0]


def _rebuilt(journal: Journal, wanted: Callable[[Record], bool]) -> tuple[State, Record | None]:
    """Start from the newest snapshot that the journal itself confirms; go on while records are wanted."""
    state, last = State(), None
    for snapshot in journal.snapshots():
        confirmed = next(iter(journal.read(snapshot.sequence - 1)), None)
        if confirmed is None or confirmed.hash != snapshot.record_hash or not wanted(confirmed):
            continue
        try:
            state, last = State.thawed(snapshot.data), confirmed
        except ValueError:
            # Of another schema: the records say the same, only slower.
            continue
        break
    for record in journal.read(last.sequence if last is not None else 0):
        if not wanted(record):
            break
        check_chain(last, record)
        replay(state, record)
        last = record
    return state, last


def replay(state: State, record: Record) -> Reply:
    """Apply what a record says happened; nothing is decided again."""
    state.now = record.time
    try:
        _, outcome = decoded(record.payload)
    except ValueError as error:
        raise JournalCorrupt(f"record {record.sequence}: {error}") from None
    return _taken(state, record.sequence, outcome)


def _taken(state: State, sequence: int, outcome: Sequence[Event] | Rejected, earlier: tuple[Event, ...] = ()) -> Reply:
    """Apply what record `sequence` says happened, after the events of it that were applied earlier."""
    state.sequence = sequence
    if isinstance(outcome, Rejected):
        return outcome
    for event in outcome:
        apply(state, event)
    return Applied(sequence, (*earlier, *outcome))


def _same(known: Record, body: bytes) -> Reply:
    """Return the reply that a record was given, if `body` is that of the same command."""
    of, outcome = decoded(known.payload)
    if of != body:
        return Rejected(Reason.KEY_USED_FOR_ANOTHER_COMMAND, known.key.decode())
    return outcome if isinstance(outcome, Rejected) else Applied(known.sequence, tuple(outcome))
