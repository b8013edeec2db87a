"""Positions: lots and cost by account and instrument, found through a hash table and chained by account."""

from hypothesis import given
from hypothesis import strategies as st

from crossmargin.clearing.positions import Positions

changes = st.lists(
    st.tuples(st.integers(0, 300), st.integers(0, 40), st.integers(-9, 9), st.integers(-(10**15), 10**15)), max_size=200
)


def held(rows):
    positions, expected = Positions(), {}
    for account, instrument, lots, cost in rows:
        positions.add(account, instrument, lots, cost)
        before = expected.get((account, instrument), (0, 0))
        expected[account, instrument] = (before[0] + lots, before[1] + cost)
    return positions, expected


@given(changes)
def test_a_position_is_the_sum_of_its_changes(rows):
    positions, expected = held(rows)
    assert all(positions.of(*key) == value for key, value in expected.items())
    assert positions.of(301, 3) == (0, 0)
    for account in {account for account, _ in expected}:
        assert positions.of_account(account) == sorted(
            (k, *value) for (a, k), value in expected.items() if a == account and value != (0, 0)
        )
    for instrument in {k for _, k in expected}:
        slots = positions.of_instrument(instrument)
        assert positions.account[slots].tolist() == sorted(
            a for (a, k), value in expected.items() if k == instrument and value != (0, 0)
        )


@given(changes, st.randoms(use_true_random=False))
def test_frozen_positions_do_not_depend_on_the_order_they_came_in(rows, random):
    shuffled = rows[:]
    random.shuffle(shuffled)
    assert held(rows)[0].frozen() == held(shuffled)[0].frozen()


@given(changes, changes)
def test_positions_thawed_go_on_as_before(first, then):
    positions, _ = held(first)
    again = Positions.thawed(positions.frozen())
    assert again.frozen() == positions.frozen()
    for row in then:
        positions.add(*row)
        again.add(*row)
    assert again.frozen() == positions.frozen()


def test_the_table_grows_past_many_positions():
    positions = Positions(slots=2)
    for account in range(5_000):
        positions.add(account, account % 7, account + 1, -account)
    assert all(positions.of(a, a % 7) == (a + 1, -a) for a in range(5_000))
    assert len(positions.table) >= 2 * positions.count
