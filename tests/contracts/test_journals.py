"""What every journal promises, whatever keeps it."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossmargin.clearing import JournalFailed, Snapshot, chained, check_chain
from tests.contracts.journals import batches, records


def whole(journal):
    """Return all records, after looking at their chain."""
    before, all_ = None, []
    for record in journal.read():
        check_chain(before, record)
        all_.append(record)
        before = record
    return all_


def test_a_new_journal_is_empty(place):
    journal = place.open()
    assert journal.epoch == 1
    assert journal.last() is None
    assert journal.find(b"any") is None
    assert list(journal.read()) == []
    assert list(journal.snapshots()) == []


@pytest.mark.parametrize("size", [1, 7, 127, 128, 300])
def test_what_was_appended_is_read_back_by_this_opening_and_the_next(place, size):
    journal, made = place.open(), records(300)
    for batch in batches(made, size):
        journal.append(batch)
        assert journal.last() == batch[-1]
    assert whole(journal) == made
    journal.close()
    again = place.open()
    assert whole(again) == made
    assert again.last() == made[-1]


def test_reading_starts_after_the_sequence_asked_for(place):
    journal, made = place.open(), records(10)
    journal.append(made)
    for after in range(12):
        assert list(journal.read(after)) == made[after:]


def test_a_record_is_found_by_its_key_and_an_empty_key_is_nobodys(place):
    journal = place.open()
    keyed = records(3)
    unkeyed = records(3, keyed[-1], keyed=False)
    journal.append(keyed + unkeyed)
    assert [journal.find(record.key) for record in keyed] == keyed
    assert journal.find(b"") is None
    assert journal.find(b"key-") is None


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.binary(max_size=128), st.binary(max_size=300)), max_size=5))
def test_keys_and_payloads_are_kept_byte_for_byte(place, pairs):
    # One writer at a time, also between two examples; they share a journal.
    place.close()
    journal = place.open()
    before, made, earlier = journal.last(), {}, whole(journal)
    for key, payload in pairs:
        if key in made or journal.find(key) is not None:
            continue
        time = before.time + 1 if before is not None else 1
        made[key] = before = chained(before, journal.epoch, time, key, payload)
    journal.append(list(made.values()))
    assert whole(journal) == earlier + list(made.values())
    assert all(journal.find(key) == (record if key else None) for key, record in made.items())


def test_a_large_record_and_the_extremes_of_numbers_survive(place):
    journal = place.open()
    large = chained(None, 1, -(2**63), bytes(range(128)), bytes(range(256)) * 4_000)
    last = chained(large, 1, 2**63 - 1, b"", b"")
    journal.append([large, last])
    assert whole(journal) == [large, last]


def test_appending_nothing_does_nothing(place):
    journal = place.open()
    journal.append([])
    assert journal.last() is None


def test_every_opening_to_write_has_a_later_epoch(place):
    epochs = []
    for _ in range(3):
        journal = place.open()
        epochs.append(journal.epoch)
        journal.close()
    assert epochs == [1, 2, 3]


def test_readers_see_what_is_committed_and_cannot_write(place):
    writer = place.open()
    made = records(5)
    writer.append(made[:2])
    reader = place.open(write=False)
    assert reader.epoch == 0
    assert whole(reader) == made[:2]
    writer.append(made[2:])
    assert whole(reader) == made
    assert reader.find(b"key-4") == made[3]
    with pytest.raises(JournalFailed, match="opened to read"):
        reader.append(records(1, made[-1]))
    with pytest.raises(OSError, match="opened to read"):
        reader.save(Snapshot(5, made[-1].hash, b"state"))
    writer.append(records(1, made[-1]))
    assert len(whole(reader)) == 6


def test_reading_goes_on_into_what_was_appended_meanwhile(place):
    journal, made = place.open(), records(5_000, size=8)
    journal.append(made[:2_500])
    seen = []
    for record in journal.read():
        seen.append(record)
        if record.sequence == 2_000:
            journal.append(made[2_500:])
    assert seen == made


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        (lambda made: made[1:], "record 2: does not follow record 0"),
        (lambda made: [made[0], made[2]], "record 3: does not follow record 1"),
        (lambda made: [made[0], made[0]], "record 1: does not follow record 1"),
        (lambda made: [made[0], replace(made[1], previous=bytes(32))], "record 2: does not follow record 1"),
        (lambda made: [made[0], replace(made[1], epoch=2)], "record 2: of epoch 2; this writer's is 1"),
    ],
)
def test_records_that_do_not_follow_are_refused_and_harm_nothing(place, wrong, says):
    journal, made = place.open(), records(3)
    with pytest.raises(ValueError, match=says):
        journal.append(wrong(made))
    assert whole(journal) == []
    journal.append(made)
    assert whole(journal) == made


@pytest.mark.parametrize("size", [1, 200])
def test_a_key_that_is_there_already_fails_the_journal_and_none_of_its_batch_is_kept(place, size):
    journal, made = place.open(), records(3)
    journal.append(made)
    more = records(size, made[-1])
    doubled = replace(more[-1], key=b"key-2")
    with pytest.raises(JournalFailed):
        journal.append([*more[:-1], doubled])
    refuses_everything(journal)
    journal.close()
    assert whole(place.open()) == made


def test_an_earlier_writer_is_fenced_for_good(place):
    if place.kind != "memory":
        pytest.skip("the other journals keep a second writer out: tests/storage")
    earlier, made = place.open(), records(4)
    earlier.append(made[:2])
    later = place.open()
    with pytest.raises(JournalFailed, match="fenced"):
        earlier.append(made[2:])
    refuses_everything(earlier)
    continued = records(2, made[1], epoch=2)
    later.append(continued)
    assert whole(later) == made[:2] + continued


def test_a_second_writer_is_kept_out_while_the_first_lives(place):
    if place.kind == "memory":
        pytest.skip("memory has no second process; its later writer fences the earlier")
    first = place.open()
    with pytest.raises(JournalFailed, match=r"process \d+ is writing this journal; allowed: one writer"):
        place.open()
    first.append(records(1))
    first.close()
    assert place.open().epoch == 2


def test_a_closed_journal_refuses_and_closes_twice(place):
    journal = place.open()
    journal.append(records(1))
    journal.close()
    journal.close()
    refuses_everything(journal)


def test_only_the_newest_snapshots_are_kept_newest_first(place):
    journal, made = place.open(), records(6)
    journal.append(made)
    kept = [Snapshot(record.sequence, record.hash, record.payload * 500) for record in made]
    for snapshot in kept:
        journal.save(snapshot)
    assert list(journal.snapshots()) == kept[:2:-1]
    journal.close()
    again = place.open(write=False)
    assert list(again.snapshots()) == kept[:2:-1]


def test_a_snapshot_of_the_same_record_replaces_the_one_before(place):
    journal, made = place.open(), records(1)
    journal.append(made)
    for data in (b"once", b"twice"):
        journal.save(Snapshot(1, made[0].hash, data))
    assert [snapshot.data for snapshot in journal.snapshots()] == [b"twice"]


def refuses_everything(journal):
    for call in (
        lambda: journal.append(records(1)),
        lambda: list(journal.read()),
        journal.last,
        lambda: journal.find(b"key-1"),
        lambda: journal.save(Snapshot(1, bytes(32), b"")),
        lambda: list(journal.snapshots()),
    ):
        with pytest.raises(JournalFailed):
            call()
