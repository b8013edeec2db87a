"""`demo --live`: money is conserved, the day is a function of its seed, and a killed one goes on as if nothing was."""

import random
import signal
import subprocess
import sys
import time

import pytest

from crossmargin.clearing import JournalFailed, audit
from crossmargin.cli.live_day import LiveDay
from crossmargin.errors import InputError
from crossmargin.storage import MemoryJournal, open_journal
from tests.cli.conftest import command

ACCOUNTS, STEPS = 40, 48
SIZE = ("--accounts", ACCOUNTS, "--steps", STEPS)


def day_on(journal, seed=3):
    return LiveDay(journal, seed=seed, accounts=ACCOUNTS, steps=STEPS)


@pytest.fixture(scope="module")
def uninterrupted():
    """The day of seed 3 on a journal in memory, and what is in that."""
    journal = MemoryJournal()
    day = day_on(journal)
    day.run()
    return day, [(record.key, record.time, record.payload) for record in journal.read()]


# --- what it prints


def test_it_prints_one_document_that_says_money_is_conserved_and_its_store_is_audited_to_the_same(
    crossmargin, tmp_path
):
    ran = command("demo", "--live", "--seed", 3, "--store", tmp_path, *SIZE, "--json")
    assert ran.code == 0, ran.err
    document = ran.document
    assert list(document) == [
        "events",
        "conserved",
        "state_hash",
        "calls",
        "liquidations",
        "adl",
        "overshoot",
        "waterfall",
        "latency_ms",
    ]
    assert document["conserved"] == {"USD": 0, "BTC": 0, "ETH": 0}
    assert 0 < document["latency_ms"]["p50"] <= document["latency_ms"]["p99"]
    found = crossmargin("audit", tmp_path, "--json")
    assert found.code == 0, found.err
    for name in ("events", "state_hash"):
        assert found.document[name] == document[name]


def test_its_report_shows_what_came_in_and_what_happened(crossmargin, tmp_path):
    ran = crossmargin("demo", "--live", *SIZE)
    assert ran.code == 0, ran.err
    for told in ("A day at a made-up clearing house", "Came in", "trades cleared", "funding paid", "expired", "p99"):
        assert told in ran.out
    assert "state hash" in ran.out


def test_money_that_is_made_is_an_exit_code_of_its_own(crossmargin, monkeypatch):
    run = LiveDay.run

    def forge(self, progress):
        run(self, progress)
        self.house.state.ledger.cash[20, 0] += 1

    monkeypatch.setattr(LiveDay, "run", forge)
    ran = crossmargin("demo", "--live", *SIZE, "--json")
    assert ran.code == 1
    assert ran.document["conserved"] == {"USD": 1, "BTC": 0, "ETH": 0}


@pytest.mark.parametrize(
    "arguments", [("--seed", 1), ("--store", "x"), ("--accounts", 50), ("--steps", 48), ("--json",)]
)
def test_what_belongs_to_the_live_demo_is_refused_without_it(crossmargin, arguments):
    ran = crossmargin("demo", *arguments)
    assert ran.code == 2
    assert f"found {arguments[0]} without --live" in ran.err


@pytest.mark.parametrize("arguments", [("--seed", -1), ("--accounts", 3), ("--steps", 7)])
def test_a_day_that_cannot_be_is_refused(crossmargin, arguments):
    ran = crossmargin("demo", "--live", *arguments)
    assert ran.code == 2
    assert f"found {arguments[1]}; allowed:" in ran.err


def test_a_store_that_is_no_journal_is_refused(crossmargin, tmp_path):
    store = tmp_path / "letter.txt"
    store.write_text("Dear Sir or Madam,\n" * 100)
    ran = crossmargin("demo", "--live", "--store", store, *SIZE)
    assert ran.code == 2
    assert store.read_text().startswith("Dear Sir")


def test_a_store_that_another_house_is_writing_is_refused(crossmargin, tmp_path):
    journal = open_journal(tmp_path / "day")
    ran = crossmargin("demo", "--live", "--store", tmp_path / "day", *SIZE)
    journal.close()
    assert ran.code == 1
    assert "error:" in ran.err
    assert "Traceback" not in ran.err


# --- the day


def test_everything_a_day_has_happens(uninterrupted):
    day, _ = uninterrupted
    happened = {
        *("TradesCleared", "OrderHeld", "OrderReleased", "MarksUpdated", "Deposited", "WithdrawalPaid"),
        *("VariationSettled", "FundingPaid", "FundingAccrued", "InterestCharged", "SettlementPriceSet", "Expired"),
    }
    assert happened <= day.events.keys()
    assert day.trades > 50


def test_the_same_seed_is_the_same_journal_and_a_day_that_is_over_is_not_done_twice(uninterrupted):
    day, records = uninterrupted
    journal = MemoryJournal()
    day_on(journal).run()
    assert [(record.key, record.time, record.payload) for record in journal.read()] == records
    again = day_on(journal.reopened())
    again.run()
    assert again.house.last == journal.last()
    assert again.house.state.hash() == day.house.state.hash()
    assert again.latency_ms() == {"p50": None, "p99": None}
    assert again.events == day.events


def test_another_seed_is_another_day(uninterrupted):
    _, records = uninterrupted
    journal = MemoryJournal()
    day_on(journal, seed=4)._open()
    opening = [record.payload for record in journal.read()]
    assert opening != [payload for _, _, payload in records[: len(opening)]]


def test_the_house_and_the_venue_agree_on_who_holds_what(uninterrupted):
    day, _ = uninterrupted
    state = day.house.state
    for symbol, book in day.world.venue.books.items():
        number = state.parties.instrument_number[symbol]
        held = {
            trader.account: state.positions.of(state.parties.account_number[trader.account], number)[0]
            for trader in day.world.traders
        }
        assert {name: lots for name, lots in held.items() if lots} == {
            name: lots for name, lots in book.held.items() if lots
        }
        resting = {one.id: one.side * lots for side in (1, -1) for one, lots in book.orders(side)}
        assert resting == {name: order.lots for name, order in state.orders.open.items() if order.instrument == number}


@pytest.mark.parametrize(
    ("seed", "accounts"), [(4, ACCOUNTS), (3, ACCOUNTS + 1)], ids=["another seed", "another number of accounts"]
)
def test_a_store_of_another_day_is_refused_by_name(seed, accounts):
    journal = MemoryJournal()
    day_on(journal)._open()
    with pytest.raises(InputError, match=f"found a day of {STEPS} steps, seed 3, {ACCOUNTS} accounts"):
        LiveDay(journal, seed=seed, accounts=accounts, steps=STEPS)


# --- killed


class Killed(BaseException):
    """Stands for a kill: nothing of ours runs after it."""


class Dying:
    """A journal whose process dies at one of its appends, before or after it is durable."""

    def __init__(self, kept, chance):
        self.kept, self.left, self.survives = kept, chance.randrange(100, 500), chance.random() < 0.5

    def __getattr__(self, name):
        return getattr(self.kept, name)

    def append(self, records):
        self.left -= 1
        if self.left >= 0:
            self.kept.append(records)
            return
        if self.survives:
            self.kept.append(records)
        raise Killed


@pytest.mark.parametrize("moment", range(4))
def test_a_day_that_dies_at_any_append_ends_as_if_it_had_not(uninterrupted, moment):
    day, records = uninterrupted
    chance = random.Random(moment)
    kept = MemoryJournal()
    deaths = 0
    while True:
        kept = kept.reopened()
        ended = day_on(Dying(kept, chance))
        try:
            ended.run()
        except Killed:
            deaths += 1
            continue
        break
    assert deaths > 0
    assert ended.house.state.hash() == day.house.state.hash()
    assert [(record.key, record.time, record.payload) for record in kept.read()] == records
    assert ended.events == day.events


def test_a_day_killed_with_signal_9_at_random_moments_keeps_what_it_had_and_ends_the_same(tmp_path, uninterrupted):
    day, records = uninterrupted
    store = tmp_path / "day"
    chance = random.Random(9)
    arguments = ["demo", "--live", "--seed", "3", "--store", str(store), *map(str, SIZE), "--json"]
    for _ in range(3):
        before = length_of(store)
        wanted = before + chance.randrange(1, len(records) // 3)
        process = subprocess.Popen(
            [sys.executable, "-m", "crossmargin", *arguments], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        while process.poll() is None and length_of(store) < wanted:
            time.sleep(0.005)
        process.send_signal(signal.SIGKILL)
        process.wait()
        kept = [(record.key, record.time, record.payload) for record in open_journal(store, write=False).read()]
        assert len(kept) >= before
        assert kept == records[: len(kept)]
    ran = command(*arguments)
    assert ran.code == 0, ran.err
    assert ran.document["state_hash"] == day.house.state.hash()
    assert ran.document["events"] == sum(day.events.values())
    found = audit(open_journal(store, write=False))
    assert found.passed


def length_of(store):
    """Return how many records a store has; 0 where there is none yet."""
    if not store.exists():
        return 0
    try:
        journal = open_journal(store, write=False)
    except (JournalFailed, InputError):
        # It is being made.
        return 0
    last = journal.last()
    journal.close()
    return last.sequence if last is not None else 0
