"""The sequencer: decided, written down, applied, answered; the same again from the journal."""

from itertools import count

import pytest

from crossmargin.clearing import (
    Applied,
    Deposit,
    House,
    HouseHalted,
    JournalCorrupt,
    JournalFailed,
    OpenAccount,
    OpenHouse,
    Reason,
    Rejected,
    Snapshot,
    chained,
    rebuilt,
    recovered,
)
from crossmargin.clearing.entries import VERSION, Entry, _encode
from crossmargin.storage import open_journal

OPEN = OpenHouse(currency="USD", assets={"USD": (2, "other"), "BTC": (8, "crypto")})
SECOND = 1_000_000_000


def ticking(start=1_000):
    times = count(start)
    return lambda: next(times) * SECOND


def house(journal=None, clock=None):
    opened = House(journal if journal is not None else open_journal("memory:"), clock or ticking())
    opened.submit(OPEN, "open")
    opened.submit(OpenAccount(account="alice"), "alice")
    return opened


def deposit(amount=100, reference="r"):
    return Deposit(account="alice", asset="USD", amount=amount, reference=reference)


def test_a_house_that_is_not_open_takes_nothing_else():
    fresh = House(open_journal("memory:"), ticking())
    assert fresh.submit(deposit()).reason is Reason.HOUSE_IS_NOT_OPEN
    assert isinstance(fresh.submit(OPEN), Applied)
    assert fresh.submit(OPEN).reason is Reason.HOUSE_IS_OPEN_ALREADY


def test_the_same_key_and_command_give_the_same_reply_and_one_effect():
    opened = house()
    first = opened.submit(deposit(), "k")
    assert opened.submit(deposit(), "k") == first
    assert opened.state.ledger.balance(opened.state.parties.account_number["alice"], 0) == 100


def test_a_rejection_is_remembered_by_its_key_too():
    opened = house()
    first = opened.submit(deposit(-1), "k")
    assert first == Rejected(Reason.AMOUNT_NOT_POSITIVE, "-1")
    assert opened.submit(deposit(-1), "k") == first


def test_the_same_key_with_another_command_is_rejected_and_leaves_no_record():
    opened = house()
    opened.submit(deposit(), "k")
    before = opened.last
    assert opened.submit(deposit(101), "k").reason is Reason.KEY_USED_FOR_ANOTHER_COMMAND
    assert opened.last is before


def test_a_key_used_twice_in_one_batch_has_one_effect():
    opened = house()
    first, again, other = opened.submit_all([(deposit(), "k"), (deposit(), "k"), (deposit(7, "q"), "k")])
    assert first == again
    assert other.reason is Reason.KEY_USED_FOR_ANOTHER_COMMAND
    assert opened.state.ledger.balance(opened.state.parties.account_number["alice"], 0) == 100


def test_a_key_may_be_used_again_after_the_house_was_opened_anew():
    journal = open_journal("memory:")
    first = house(journal).submit(deposit(), "k")
    assert House(journal, ticking(9_000)).submit(deposit(), "k") == first


def test_a_key_that_is_too_long_is_rejected():
    assert house().submit(deposit(), "é" * 65).reason is Reason.NAME_IS_NOT_ALLOWED


def test_time_rises_strictly_whatever_the_clock_does():
    journal = open_journal("memory:")
    times = iter([50, 40, 40, 30, 90])
    opened = house(journal, lambda: next(times))
    for k in range(3):
        opened.submit(deposit(reference=str(k)))
    assert [record.time for record in journal.read()] == [50, 51, 52, 53, 90]


def test_what_is_rebuilt_is_what_was_there_after_every_record():
    journal = open_journal("memory:")
    opened = house(journal)
    hashes = [rebuilt(journal, sequence=k).hash() for k in (1, 2)]
    for k in range(5):
        opened.submit(deposit(k * 10, str(k)))
        hashes.append(opened.state.hash())
        if k == 2:
            opened.snapshot()
    assert [rebuilt(journal, sequence=k + 1).hash() for k in range(7)] == hashes
    assert recovered(journal)[0].hash() == hashes[-1]
    assert rebuilt(journal, time=opened.last.time - 1).hash() == hashes[-2]


class Altered:
    """A journal with some of its records or snapshots replaced."""

    def __init__(self, journal, records=None, snapshots=()):
        self.records = list(journal.read()) if records is None else records
        self._snapshots = list(snapshots)

    def read(self, after=0):
        return (record for record in self.records if record.sequence > after)

    def snapshots(self):
        return iter(self._snapshots)


def changed(record, **changes):
    names = ("sequence", "epoch", "time", "key", "payload", "previous", "hash")
    return type(record)(**{name: changes.get(name, getattr(record, name)) for name in names})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"payload": b"\x90"}, "record 3: its contents"),
        ({"key": b"other"}, "record 3: its contents"),
        ({"epoch": 7}, "record 3: its contents"),
        ({"previous": bytes(32)}, "record 3: does not follow"),
        ({"sequence": 4}, "record 4: found where record 3"),
        ({"time": 1}, "record 3: its time"),
    ],
)
def test_a_record_that_was_changed_is_not_believed(changes, says):
    journal = open_journal("memory:")
    house(journal).submit(deposit(), "k")
    records = list(journal.read())
    records[2] = changed(records[2], **changes)
    with pytest.raises(JournalCorrupt, match=says):
        recovered(Altered(journal, records))


def test_a_record_left_out_is_noticed():
    journal = open_journal("memory:")
    house(journal).submit(deposit(), "k")
    records = list(journal.read())
    with pytest.raises(JournalCorrupt, match="record 3: found where record 2"):
        recovered(Altered(journal, [records[0], records[2]]))


def test_an_entry_of_a_version_to_come_is_refused():
    journal = open_journal("memory:")
    last = house(journal).last
    future = chained(last, 1, last.time + 1, b"", _encode(Entry(VERSION + 1, bytes(16), "", "", [])))
    with pytest.raises(JournalCorrupt, match=f"record 3: .*version {VERSION + 1}"):
        recovered(Altered(journal, [*journal.read(), future]))


def test_a_snapshot_of_another_journal_or_schema_is_not_used():
    journal = open_journal("memory:")
    opened = house(journal)
    opened.submit(deposit(), "k")
    wrong = Snapshot(3, bytes(32), opened.state.frozen())
    foreign = Snapshot(3, opened.last.hash, b"\x91\x00")
    state, last = recovered(Altered(journal, snapshots=[wrong, foreign]))
    assert (state.hash(), last) == (opened.state.hash(), opened.last)


class Failing:
    """A journal that fails when told to."""

    def __init__(self):
        self.within, self.fails = open_journal("memory:"), False

    def __getattr__(self, name):
        return getattr(self.within, name)

    def append(self, records):
        if self.fails:
            raise JournalFailed("no space left")
        self.within.append(records)


def test_a_journal_that_fails_stops_the_house_for_good():
    journal = Failing()
    opened = house(journal)
    journal.fails = True
    with pytest.raises(JournalFailed):
        opened.submit(deposit(), "k")
    journal.fails = False
    for ask in (lambda: opened.submit(deposit(), "k"), opened.snapshot):
        with pytest.raises(HouseHalted, match="after record"):
            ask()
    again = House(journal, ticking(9_000))
    assert again.state.sequence == 2
    assert isinstance(again.submit(deposit(), "k"), Applied)
