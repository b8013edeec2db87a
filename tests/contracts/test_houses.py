"""A house on every kind of journal: closed, opened again, and the same."""

from itertools import count

import pytest

from crossmargin.clearing import Applied, Deposit, House, HouseHalted, JournalFailed, OpenAccount, OpenHouse, audit

COMMANDS = [
    (OpenHouse(currency="USD", assets={"USD": (2, "fx")}), "open"),
    *((OpenAccount(account=f"account {k}"), f"account {k}") for k in range(5)),
    *((Deposit(account=f"account {k % 5}", asset="USD", amount=k + 1, reference=f"{k}"), f"{k}") for k in range(50)),
]


@pytest.mark.parametrize("group", [1, 7])
@pytest.mark.parametrize("snapshots", [True, False])
def test_a_house_that_is_opened_again_is_the_same_and_gives_the_same_replies(place, group, snapshots):
    clock = count(1)
    journal = place.open()
    house = House(journal, lambda: next(clock))
    replies = []
    for start in range(0, len(COMMANDS), group):
        replies += house.submit_all(COMMANDS[start : start + group])
        if snapshots and start % 3 == 0:
            house.snapshot()
    assert all(isinstance(reply, Applied) for reply in replies)
    before = house.state.hash()
    journal.close()
    journal = place.open()
    again = House(journal, lambda: next(clock))
    assert again.state.hash() == before
    assert [again.submit(command, key) for command, key in COMMANDS] == replies
    assert again.state.hash() == before
    found = audit(journal)
    assert found.passed
    assert (found.records, found.state_hash) == (len(COMMANDS), before)


def test_a_house_whose_journal_fails_stops(place):
    journal = place.open()
    house = House(journal, lambda: 1)
    house.submit_all(COMMANDS[:10])
    journal.close()
    with pytest.raises(JournalFailed):
        house.submit(*COMMANDS[10])
    with pytest.raises(HouseHalted):
        house.submit(*COMMANDS[11])
    again = House(place.open(), lambda: 1)
    assert again.last.sequence == 10
