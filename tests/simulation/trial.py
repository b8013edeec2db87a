"""Trial: operations carried out on a real house over a faulty disk, with a look at all that must be true after each.

Beside the house the slow twin keeps its books from the commands alone; replies, balances and positions must agree with
it to the last unit. A trial may also be run in a `VARIANT` that must change nothing: the process is restarted, or
brought back from a snapshot, before every command, or every command is delivered twice.
"""

from collections import Counter

from crossmargin.clearing import (
    Applied,
    House,
    HouseHalted,
    JournalCorrupt,
    JournalFailed,
    Reason,
    Rejected,
    State,
    check_chain,
    rebuilt,
)
from crossmargin.clearing.invariants import broken
from tests.simulation.faults import KEPT, Clock, Disk, SimulatedJournal
from tests.simulation.view import View
from tests.twins.clearing import Books

START = 1_795_161_600_000_000_000
"""20 November 2026, 08:00 UTC."""
PLAIN, RESTARTED, RESTORED, TWICE = "plain", "restarted", "restored", "twice"
VARIANTS = (PLAIN, RESTARTED, RESTORED, TWICE)
BETWEEN_REPLAYS = 16


class Broken(Exception):
    """Something that must be true is not: which, and what was found."""

    def __init__(self, what, found):
        super().__init__(f"{what}: {found}")
        self.what = what


class Trial:
    def __init__(self, variant=PLAIN, margined=False, view=View, between_replays=BETWEEN_REPLAYS):
        self.variant = variant
        self.between_replays = between_replays
        self.disk, self.clock = Disk(), Clock(START)
        self.margined = margined
        self.view = view
        self.books = Books()
        self.books.margined = margined
        self.known = {}
        self.replies = []
        self.time = self.sequence = self.operations = self.checked = 0
        self.reached = Counter()
        self._open()
        self.parts = 0, _parts(self.house.state)

    @property
    def hash(self):
        return self.house.state.hash()

    def do(self, operation):
        """Carry out an operation and look at everything after it; raises Broken."""
        self.operations += 1
        self.reached[type(operation).__name__] += 1
        getattr(self, "_" + type(operation).__name__)(operation)
        self._look()

    # --- operations

    def _SetClock(self, operation):  # noqa: N802
        self.reached["clock runs backwards"] += operation.now < self.clock.now
        self.clock.now = operation.now

    def _Crash(self, _):  # noqa: N802
        self._open()

    def _KeepSnapshot(self, operation):  # noqa: N802
        self.house.snapshot()
        if operation.spoiled:
            self.journal.spoil()

    def _Submit(self, operation):  # noqa: N802
        if operation.fault:
            self._failing(operation.requests, operation.fault)
            return
        if self.variant == PLAIN:
            self._submit(operation.requests)
            return
        for request in operation.requests:
            if self.variant == RESTORED:
                self.house.snapshot()
            if self.variant != TWICE:
                self._open()
            self._submit([request])
            if self.variant == TWICE and request[1]:
                self._submit([request])

    def _FillDisk(self, operation):  # noqa: N802
        self.disk.full = True
        self._refused(operation.requests)
        self._expect(self.house.snapshot, HouseHalted, "a snapshot of a house that stopped")
        self.disk.full = False
        self._open()

    def _TakeOver(self, operation):  # noqa: N802
        successor = SimulatedJournal(self.disk)
        self._refused(operation.requests)
        self.journal = successor
        self.house = self._house(successor)

    def _Rot(self, operation):  # noqa: N802
        if not self.disk.records:
            return
        copy = self.disk.rotten(operation.index % len(self.disk.records), operation.bit)
        self._expect(lambda: self._house(SimulatedJournal(copy)), JournalCorrupt, "opening a rotten journal")

    # --- how they are carried out

    def _house(self, journal):
        return House(journal, self.clock, risk=self.view() if self.margined else None)

    def _open(self):
        self.journal = SimulatedJournal(self.disk)
        self.house = self._house(self.journal)
        if len(self.disk.records) != self.sequence or self.house.state.sequence != self.sequence:
            raise Broken("I11 acknowledged is durable", f"{len(self.disk.records)} records, {self.sequence} answered")

    def _submit(self, requests):
        try:
            replies = self.house.submit_all(requests)
        except Exception as fault:
            raise Broken("the house never stops by itself", f"{requests}: {fault!r}") from fault
        for request, reply in zip(requests, replies, strict=True):
            self._answered(*request, reply)

    def _refused(self, requests):
        """Submit to a house whose journal will fail: nothing is answered, then or later, and nothing is kept."""
        before = len(self.disk.records)
        new = [key for _, key in requests if not key or key not in self.known]
        if not new:
            return
        self._expect(lambda: self.house.submit_all(requests), JournalFailed, "an answer without a record")
        self._expect(lambda: self.house.submit_all(requests), HouseHalted, "an answer of a house that stopped")
        if len(self.disk.records) != before:
            raise Broken("I11 acknowledged is durable", "records of a fenced or full journal were kept")

    def _failing(self, requests, fault):
        """The append fails; the process dies; what became of the commands is asked by their keys."""
        if all(key in self.known for _, key in requests):
            return
        self.journal.fault = fault
        self._expect(lambda: self.house.submit_all(requests), JournalFailed, "an answer without a record")
        self._expect(lambda: self.house.submit_all(requests), HouseHalted, "an answer of a house that stopped")
        self.journal = SimulatedJournal(self.disk)
        self.house = self._house(self.journal)
        if fault == KEPT:
            # Nobody was told, so nobody is surprised; asked again with the same keys they are told now.
            self._submit(requests)
        elif self.house.state.sequence != self.sequence:
            raise Broken("I11 acknowledged is durable", "records that were lost are there")

    def _expect(self, call, error, otherwise):
        try:
            call()
        except error:
            return
        except Exception as fault:
            raise Broken("the right error", f"{otherwise}: {fault!r}") from fault
        raise Broken(f"{error.__name__} is raised", otherwise)

    def _answered(self, command, key, reply):
        name = type(command).__name__
        if reply == Rejected(Reason.COMMAND_IS_MALFORMED, getattr(reply, "detail", "")):
            if type(getattr(command, "amount", 0)) is int and abs(command.amount) < 2**63:
                raise Broken("replies as foretold", f"{command}: {reply}")
            self.reached[reply.reason.value] += 1
            return
        if key and key in self.known:
            of, first = self.known[key]
            self.reached["request repeated"] += 1
            if of == command and reply != first:
                raise Broken("I10 exactly once", f"{key}: first {first}, then {reply}")
            if of != command and reply != Rejected(Reason.KEY_USED_FOR_ANOTHER_COMMAND, key):
                raise Broken("I10 exactly once", f"{key} was for {of}, now for {command}: {reply}")
            self.reached[Reason.KEY_USED_FOR_ANOTHER_COMMAND.value] += of != command
            return
        self.time = max(self.clock.now, self.time + 1)
        self.sequence += 1
        expected = self.books.do(command, self.time, reply)
        if isinstance(reply, Applied):
            self.reached[f"{name} applied"] += 1
            self.reached["applied"] += 1
            if expected:
                raise Broken("replies as foretold", f"{command} was applied, expected {sorted(expected)}")
            if reply.sequence != self.sequence:
                raise Broken("I7 sequence", f"found {reply.sequence}, expected {self.sequence}")
        else:
            self.reached[reply.reason.value] += 1
            self.reached["rejected"] += 1
            if reply.reason.value not in expected:
                raise Broken("replies as foretold", f"{command}: {reply}, expected {sorted(expected) or 'applied'}")
        if key:
            self.known[key] = (command, reply)
        self.replies.append(reply)

    # --- what is looked at

    def _look(self):
        state = self.house.state
        if len(self.disk.records) != self.sequence:
            raise Broken("I11 acknowledged is durable", f"{len(self.disk.records)} records, {self.sequence} answered")
        for record in self.disk.records[self.checked :]:
            try:
                check_chain(self.disk.records[self.checked - 1] if self.checked else None, record)
            except JournalCorrupt as error:
                raise Broken("I7 sequence", error) from error
            self.checked += 1
        wrong = self.books.differences(state)
        if wrong:
            raise Broken("books of the twin", "; ".join(wrong))
        found = broken(state)
        if found:
            raise Broken(found[0].split(":")[0], "; ".join(found))
        parts = _parts(state)
        seen, before = self.parts
        if before != parts and not any(isinstance(reply, Applied) for reply in self.replies[seen:]):
            raise Broken("I12 a rejection changes nothing", "the state is another one")
        self.parts = len(self.replies), parts
        if self.operations % self.between_replays == 0:
            self.replayed()

    def replayed(self):
        """Look at whether the journal leads to the same state, from its start and from every snapshot, and stays so."""
        state, bare = self.house.state, Disk(records=self.disk.records)
        hash_now = state.hash()
        if rebuilt(SimulatedJournal(bare)).hash() != hash_now:
            raise Broken("I8 replay", f"the state after record {self.sequence} is another one")
        restored = State.thawed(state.frozen())
        if restored.hash() != hash_now:
            raise Broken("I9 snapshot", f"the state after record {self.sequence} is another one when restored")
        for snapshot in self.journal.snapshots():
            only = Disk(records=self.disk.records)
            SimulatedJournal(only).save(snapshot)
            if rebuilt(SimulatedJournal(only)).hash() != hash_now:
                raise Broken("I9 snapshot", f"snapshot {snapshot.sequence} leads elsewhere")


def _parts(state):
    return [getattr(state, name).frozen() for name in state.PARTS]


def carried_out(operations, variant=PLAIN, margined=False):
    """Return the trial of operations; raises Broken."""
    trial = Trial(variant, margined)
    for operation in operations:
        trial.do(operation)
    trial.replayed()
    return trial
