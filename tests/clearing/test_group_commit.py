"""Group commit: every command answered once, after it is durable, in the order of its thread; faults reach all."""

from concurrent.futures import ThreadPoolExecutor
from itertools import count

import pytest

from crossmargin.clearing import Deposit, GroupCommit, House, HouseHalted, JournalFailed, OpenAccount, OpenHouse
from crossmargin.storage import open_journal


def house(journal):
    times = count(1)
    made = House(journal, lambda: next(times))
    made.submit(OpenHouse(currency="USD", assets={"USD": (2, "fx")}))
    made.submit(OpenAccount(account="alice"))
    return made


class Counting:
    """A journal that counts what it was asked to make durable, and can fail."""

    def __init__(self):
        self.inner, self.groups, self.fails = open_journal("memory:"), [], False

    def __getattr__(self, name):
        return getattr(self.inner, name)

    def append(self, records):
        if self.fails:
            raise JournalFailed("no room")
        self.groups.append(len(records))
        self.inner.append(records)


def deposit(k):
    return Deposit(account="alice", asset="USD", amount=1, reference=f"{k}")


def test_commands_of_many_threads_are_answered_in_groups_once_they_are_durable():
    journal = Counting()
    made = house(journal)
    with GroupCommit(made) as front:

        def client(n):
            answers = [front.submit(deposit(f"{n} {k}"), f"{n} {k}") for k in range(200)]
            found = [answer.result(timeout=30).sequence for answer in answers]
            assert all(journal.find(f"{n} {k}".encode()).sequence == s for k, s in enumerate(found))
            return found

        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(client, range(8)))
    assert all(sequences == sorted(sequences) for sequences in found)
    assert sorted(s for sequences in found for s in sequences) == list(range(3, 1603))
    assert len(journal.groups) < 1602
    assert made.state.ledger.balance(made.state.parties.account_number["alice"], 0) == 1600


def test_a_group_is_never_larger_than_it_may_be_and_closing_answers_what_has_arrived():
    journal = Counting()
    front = GroupCommit(house(journal), most=7)
    answers = [front.submit(deposit(k)) for k in range(50)]
    front.close()
    front.close()
    assert all(answer.done() for answer in answers)
    assert max(journal.groups) <= 7
    with pytest.raises(ValueError, match="closed"):
        front.submit(deposit("late"))
    with pytest.raises(ValueError, match="1 or more"):
        GroupCommit(house(Counting()), most=0)


def test_a_journal_that_fails_acknowledges_nobody_then_or_later():
    journal = Counting()
    with GroupCommit(house(journal)) as front:
        journal.fails = True
        with pytest.raises(JournalFailed, match="no room"):
            front.submit(deposit(1)).result(timeout=30)
        journal.fails = False
        with pytest.raises(HouseHalted):
            front.submit(deposit(2)).result(timeout=30)
