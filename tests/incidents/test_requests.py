"""Incidents of requests, clocks and gaps: rows 19, 25, 26, 27, 31 and 36 of the incidents."""

import itertools
from dataclasses import replace
from random import Random

import pytest

from crossmargin.clearing import (
    Applied,
    CheckOrder,
    ClearedTrade,
    ClearTrades,
    Deposit,
    House,
    JournalCorrupt,
    ListInstrument,
    Reason,
    Rejected,
)
from crossmargin.storage import open_journal
from tests.incidents.houses import NOON, SECOND, Hands, applied, cash, listed, opened
from tests.simulation.faults import Disk, SimulatedJournal

CALL = {
    "type": "option",
    "option_type": "call",
    "strike": "60000",
    "expiry": "2026-12-25T08:00:00Z",
}


@pytest.mark.parametrize("seed", range(20))
def test_row_19_orders_from_many_gateways_never_hold_more_than_there_is(seed):
    """Six orders of 1,000 each on 5,000: five are taken, whoever comes first."""
    house = opened(cash=5_000)
    listed(house, "C", **CALL)
    orders = [CheckOrder(account="alice", order=f"x{k}", symbol="C", lots=10, ticks=100) for k in range(6)]
    Random(seed).shuffle(orders)
    replies = house.submit_all([(order, order.order) for order in orders])
    assert [type(reply) for reply in replies] == [Applied] * 5 + [Rejected]
    assert replies[-1].reason is Reason.FUNDS_ARE_INSUFFICIENT
    filled = [
        ClearedTrade(symbol="C", buyer="alice", seller="bob", lots=10, ticks=100, buy_order=o.order) for o in orders[:5]
    ]
    reply = applied(house, ClearTrades(trades=filled))
    assert reply.events[-1].refused == []
    assert cash(house, "alice") == 0


@pytest.mark.parametrize(
    "times",
    [
        (0, -3_600, 3_600, 3_599, 0),
        (0, 0, 0, 0, 0),
        (0, -2, -2, 5, 5),
        (0, 86_400 * 400, 0, 1, 2),
    ],
)
def test_row_25_whatever_the_clock_does_the_time_of_records_rises_strictly(times):
    clock, journal = Hands(), open_journal("memory:")
    house = opened(journal, clock)
    for k, seconds in enumerate(times):
        clock.now = NOON + seconds * SECOND
        applied(house, Deposit(account="alice", asset="USD", amount=1, reference=str(k)))
    stamps = [record.time for record in journal.read()]
    assert all(earlier < later for earlier, later in itertools.pairwise(stamps))
    assert House(journal, clock).state.hash() == house.state.hash()


@pytest.mark.parametrize("seed", range(20))
def test_row_26_requests_delivered_up_to_five_times_in_any_order_have_one_effect_each(seed):
    chance = Random(seed)
    requests = [(Deposit(account="alice", asset="USD", amount=k + 1, reference=str(k)), f"k{k}") for k in range(10)]
    delivered = [request for request in requests for _ in range(chance.randint(1, 5))]
    chance.shuffle(delivered)
    journal = open_journal("memory:")
    house, first = opened(journal), {}
    for request in delivered:
        if chance.random() < 0.2:
            house = House(journal, Hands())
        reply = house.submit(*request)
        assert first.setdefault(request[1], reply) == reply
    assert cash(house, "alice") == sum(range(1, 11))
    assert house.state.sequence == 4 + 10


def test_row_26_a_key_that_was_used_for_something_else_is_refused_and_has_no_effect():
    house = opened()
    applied(house, Deposit(account="alice", asset="USD", amount=1, reference="r"), "k")
    before = house.state.hash()
    reply = house.submit(Deposit(account="alice", asset="USD", amount=2, reference="s"), "k")
    assert reply.reason is Reason.KEY_USED_FOR_ANOTHER_COMMAND
    assert house.state.hash() == before


def journal_of(count):
    disk = Disk()
    house = opened(SimulatedJournal(disk))
    for k in range(count):
        applied(house, Deposit(account="alice", asset="USD", amount=1, reference=str(k)), f"k{k}")
    return disk


def test_row_27_a_gap_a_swap_or_a_repeat_in_the_records_is_seen():
    whole = journal_of(8).records
    for k in range(1, len(whole) - 1):
        without, swapped, twice = list(whole), list(whole), list(whole)
        del without[k]
        swapped[k], swapped[k + 1] = swapped[k + 1], swapped[k]
        twice.insert(k, whole[k])
        for records in (without, swapped, twice):
            with pytest.raises(JournalCorrupt):
                House(SimulatedJournal(Disk(records=records)), Hands())


def test_row_31_every_flipped_bit_of_every_record_is_seen():
    disk = journal_of(3)
    for index, record in enumerate(disk.records):
        for part in ("key", "payload", "previous", "hash"):
            value = getattr(record, part)
            for bit in range(8 * len(value)):
                flipped = bytearray(value)
                flipped[bit // 8] ^= 1 << (bit % 8)
                records = [*disk.records]
                records[index] = replace(record, **{part: bytes(flipped)})
                with pytest.raises(JournalCorrupt):
                    House(SimulatedJournal(Disk(records=records)), Hands())
        for part in ("sequence", "time", "epoch"):
            for bit in range(62):
                records = [*disk.records]
                records[index] = replace(record, **{part: getattr(record, part) ^ (1 << bit)})
                with pytest.raises(JournalCorrupt):
                    House(SimulatedJournal(Disk(records=records)), Hands())


def test_row_36_terms_that_were_listed_are_read_again_as_they_were_written():
    journal = open_journal("memory:")
    house = opened(journal)
    listed(house, "C", **CALL)
    again = House(journal, Hands())
    assert again.state.parties.frozen() == house.state.parties.frozen()
    known = again.submit(ListInstrument(terms={"symbol": "C", "underlying": "BTC", "quote": "USD", **CALL}))
    assert isinstance(known, Rejected)
