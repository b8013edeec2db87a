"""The live book against its slow twin, while positions, groups and accounts come and go."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.revaluation import LiveBook
from tests.twins.live_book import SlowBook

INSTRUMENTS = 24
seeds = st.integers(0, 2**32 - 1)
scenarios = st.sampled_from([1, 2, 8, 15, 16, 32, 33, 70])
steps = st.lists(st.sampled_from(["check", "apply", "tick", "add", "close", "set_risk"]), min_size=1, max_size=12)


class World:
    """One book twice, fast and slow, of numbers drawn from a seed. Whole numbers round nowhere."""

    def __init__(self, seed, columns, *, whole=True):
        self.rng = np.random.default_rng(seed)
        self.whole = whole
        self.columns = columns
        groups = int(self.rng.integers(1, 8))
        self.group = np.concatenate((np.arange(groups), self.rng.integers(0, groups, INSTRUMENTS - groups)))
        self.rng.shuffle(self.group)
        accounts = [self.holding() for _ in range(int(self.rng.integers(0, 9)))]
        start = np.cumsum([0, *(len(held) for held in accounts)])
        rows = [row for held in accounts for row in held.items()]
        self.fast = LiveBook(
            start, np.array([i for i, _ in rows], np.int64), np.array([q for _, q in rows], float), self.group
        )
        self.slow = SlowBook(accounts, self.group.tolist())
        self.set_risk()
        self.add()

    def numbers(self, spread, shape):
        return (
            self.rng.integers(-spread, spread + 1, shape).astype(float) if self.whole else self.rng.normal(size=shape)
        )

    def holding(self):
        chosen = self.rng.choice(INSTRUMENTS, int(self.rng.integers(0, INSTRUMENTS)), replace=False)
        return dict(zip(chosen.tolist(), self.numbers(3, len(chosen)).tolist(), strict=True))

    def set_risk(self):
        risk = self.numbers(9, (INSTRUMENTS, self.columns))
        self.fast.set_risk(risk)
        self.slow.set_risk(risk)

    def tick(self):
        group = int(self.rng.choice(self.group))
        rows = self.numbers(9, (int((self.group == group).sum()), self.columns))
        self.fast.tick(group, rows)
        self.slow.tick(group, rows)

    def add(self):
        limits = self.rng.integers(0, 300, int(self.rng.integers(1, 4))).astype(float)
        self.fast.add_accounts(limits)
        self.slow.add_accounts(limits.tolist())

    def fills(self, count=150):
        account, instrument = self.rng.integers(0, self.fast.accounts, count), self.rng.integers(0, INSTRUMENTS, count)
        return account, instrument, self.numbers(3, count)

    def check(self):
        fills = self.fills()
        accepted = self.fast.check_and_apply(*fills)
        assert accepted.tolist() == self.slow.check_and_apply(zip(*(f.tolist() for f in fills), strict=True))

    def apply(self):
        fills = self.fills()
        self.fast.apply(*fills)
        self.slow.check_and_apply(zip(*(f.tolist() for f in fills), strict=True), check=False)

    def close(self):
        """Close every position of half the accounts."""
        start, instrument, quantity = self.fast.positions()
        account = np.repeat(np.arange(self.fast.accounts), np.diff(start))
        gone = account % 2 == self.rng.integers(0, 2)
        fills = account[gone], instrument[gone], -quantity[gone]
        self.fast.apply(*fills)
        self.slow.check_and_apply(zip(*(f.tolist() for f in fills), strict=True), check=False)

    def held(self):
        start, instrument, quantity = self.fast.positions()
        return [
            dict(zip(instrument[a:b].tolist(), quantity[a:b].tolist(), strict=True))
            for a, b in pairwise(start.tolist())
        ]


@given(seed=seeds, columns=scenarios, todo=steps)
def test_after_any_changes_positions_decisions_and_totals_are_those_of_the_twin(seed, columns, todo):
    """Whole numbers are summed exactly, so every number and every decision must be equal."""
    world = World(seed, columns)
    for step in todo:
        getattr(world, step)()
        assert world.fast.totals.tolist() == world.slow.totals()
    assert world.held() == world.slow.accounts
    assert world.fast.worst_losses(world.slow.risk).tolist() == world.slow.totals()


@given(seed=seeds, columns=scenarios, todo=steps)
def test_totals_kept_through_any_changes_are_a_full_pass_of_a_new_book_to_the_last_bit(seed, columns, todo):
    """Numbers that round: nothing drifts, and nothing remembers how the book came to be."""
    world = World(seed, columns, whole=False)
    fast = world.fast
    for step in [*todo, "tick"]:
        if step == "set_risk":
            world.set_risk()
        elif step == "tick":
            world.tick()
        elif step == "add":
            world.add()
        else:
            getattr(fast, "apply" if step == "close" else "check_and_apply")(*world.fills())
    assert np.array_equal(fast.totals, fast.worst_losses(world.slow.risk))
    new = LiveBook(*fast.positions(), world.group)
    assert np.array_equal(fast.totals, new.worst_losses(world.slow.risk))
    new.set_risk(world.slow.risk)
    assert np.array_equal(fast.totals, new.totals)
    tail = min(2.5, columns)
    assert np.array_equal(fast.expected_shortfall(world.slow.risk, tail), new.expected_shortfall(world.slow.risk, tail))


@given(seed=seeds, columns=scenarios)
def test_worst_losses_and_shortfalls_of_numbers_that_round_are_close_to_the_twin(seed, columns):
    world = World(seed, columns, whole=False)
    world.slow.accounts = world.held()
    assert world.fast.totals == pytest.approx(world.slow.totals(), rel=1e-12, abs=1e-12)
    for tail in {1.0, min(2.5, columns), float(columns)}:
        fast = world.fast.expected_shortfall(world.slow.risk, tail)
        assert fast == pytest.approx(world.slow.expected_shortfall(world.slow.risk, tail), rel=1e-12, abs=1e-12)


@given(seed=seeds, columns=st.sampled_from([3, 64, 65, 130, 500]), tail=st.floats(1.0, 3.0))
def test_shortfalls_with_many_ties_are_those_of_the_twin(seed, columns, tail):
    world = World(seed, columns)
    fast = world.fast.expected_shortfall(world.slow.risk, tail)
    assert fast == pytest.approx(world.slow.expected_shortfall(world.slow.risk, tail), rel=1e-14)


@given(seed=seeds, cuts=st.lists(st.integers(0, 300), max_size=5))
def test_decisions_do_not_depend_on_how_fills_are_cut_into_batches(seed, cuts):
    one, many = World(seed, 16, whole=False), World(seed, 16, whole=False)
    fills = one.fills(300)
    accepted = one.fast.check_and_apply(*fills)
    bounds = [0, *sorted(cuts), 300]
    parts = [many.fast.check_and_apply(*(column[a:b] for column in fills)) for a, b in pairwise(bounds)]
    assert np.array_equal(accepted, np.concatenate(parts))
    assert np.array_equal(one.fast.totals, many.fast.totals)


@pytest.mark.parametrize("columns", [16, 100])
def test_no_number_depends_on_the_number_of_threads(monkeypatch, columns):
    """More accounts than one tile, so that threads have something to share."""
    rng = np.random.default_rng(1)
    accounts = 140_000
    start = np.arange(accounts + 1) * 2
    instrument = np.column_stack((rng.integers(0, 6, accounts), rng.integers(6, 12, accounts))).ravel()
    quantity, risk = rng.normal(size=2 * accounts), rng.normal(size=(12, columns))
    group = np.arange(12) // 4
    found = []
    for workers in ("1", "2", "3"):
        monkeypatch.setenv("CROSSMARGIN_THREADS", workers)
        book = LiveBook(start, instrument, quantity, group)
        book.set_risk(risk)
        book.tick(1, 2 * risk[group == 1])
        found.append((book.worst_losses(risk), book.expected_shortfall(risk, 3.5), book.totals.copy()))
    for others in found[1:]:
        assert all(np.array_equal(a, b) for a, b in zip(found[0], others, strict=True))
    sparse = np.zeros((accounts, 12))
    np.add.at(sparse, (np.repeat(np.arange(accounts), 2), instrument), quantity)
    slow = sum(np.maximum((-sparse[:, group == g] @ risk[group == g]).max(axis=1), 0.0) for g in range(3))
    assert np.allclose(found[0][0], slow, rtol=1e-12)


def test_a_thousand_positions_of_one_account_in_one_group_come_and_go():
    """Long segments pass through every length class, and runs outgrow their pools."""
    book = LiveBook([0, 0, 0], np.empty(0, np.int64), [], np.zeros(1000, np.int64))
    risk = np.column_stack((np.arange(1000.0), -np.arange(1000.0)))
    book.set_risk(risk)
    order = np.random.default_rng(5).permutation(1000)
    book.apply(np.zeros(1000, np.int64), order, np.ones(1000))
    assert book.totals.tolist() == [999 * 500, 0]
    book.apply(np.ones(1000, np.int64), order, np.ones(1000))
    book.apply(np.zeros(999, np.int64), order[1:], -np.ones(999))
    assert book.totals.tolist() == [float(order[0]), 999 * 500]
    start, instrument, _ = book.positions()
    assert (start.tolist(), instrument[:2].tolist()) == ([0, 1, 1001], [order[0], 0])


@given(seed=seeds)
def test_an_account_in_forty_groups_comes_and_goes_like_any_other(seed):
    """More groups than one cache line has slots, or an account has room to keep worst losses for."""
    rng = np.random.default_rng(seed)
    group = np.arange(40)
    fast, slow = LiveBook([0, 0, 0], np.empty(0, np.int64), [], group), SlowBook([{}, {}], group.tolist())
    risk = rng.integers(-9, 10, (40, 3)).astype(float)
    fast.set_risk(risk)
    slow.set_risk(risk)
    for _ in range(6):
        account, instrument = rng.integers(0, 2, 60), rng.integers(0, 40, 60)
        quantity = rng.integers(-1, 2, 60).astype(float)
        limit = float(rng.integers(0, 200))
        fast.limits[:] = limit
        slow.limits = [limit, limit]
        accepted = fast.check_and_apply(account, instrument, quantity)
        fills = zip(account.tolist(), instrument.tolist(), quantity.tolist(), strict=True)
        assert accepted.tolist() == slow.check_and_apply(fills)
        assert fast.totals.tolist() == slow.totals()
        moved = int(rng.integers(0, 40))
        rows = rng.integers(-9, 10, (1, 3)).astype(float)
        fast.tick(moved, rows)
        slow.tick(moved, rows)
        assert fast.totals.tolist() == slow.totals() == fast.worst_losses(slow.risk).tolist()


def test_a_fill_within_the_limit_or_one_that_reduces_risk_is_accepted():
    book = LiveBook([0, 1], [0], [10.0], [0])
    book.set_risk([[-1.0, 1.0]])
    book.limits[:] = 5.0
    zeros = np.zeros(5, np.int64)
    assert book.check_and_apply(zeros, zeros, [1, -4, -12, 1, 2]).tolist() == [False, True, True, True, True]
    assert book.totals.tolist() == [3.0]


def test_a_book_without_accounts_and_an_account_without_positions_have_nothing():
    book = LiveBook([0], np.empty(0, np.int64), [], [0, 1])
    assert book.worst_losses(np.ones((2, 3))).tolist() == []
    assert book.expected_shortfall(np.ones((2, 3)), 1).tolist() == []
    book.add_accounts([1.0])
    assert book.worst_losses(-np.ones((2, 3))).tolist() == [0.0]
    assert book.expected_shortfall(-np.ones((2, 3)), 1).tolist() == [0.0]


@pytest.mark.parametrize(
    ("arguments", "place"),
    [
        (([0, 1], [2], [1.0], [0, 0]), "instrument: found 2"),
        (([0, 1], [-1], [1.0], [0, 0]), "instrument: found -1"),
        (([0, 2], [0, 0], [1.0, 1.0], [0, 0]), "found 0 twice in account 0"),
        (([0, 1], [0], [np.nan], [0, 0]), "quantity: found nan"),
        (([0, 1], [0], [1.0, 2.0], [0, 0]), "quantity: found shape"),
        (([0, 2, 1], [0], [1.0], [0, 0]), "start: found 2"),
        (([1, 1], [0], [1.0], [0, 0]), "start: allowed"),
        (([0, 1], [0.5], [1.0], [0, 0]), "instrument: found float64"),
        (([0, 1], [0], [1.0], [0, -1]), "group: found -1"),
    ],
)
def test_positions_that_cannot_be_are_refused(arguments, place):
    with pytest.raises(ValueError, match=place):
        LiveBook(*arguments)


@pytest.mark.parametrize(
    ("do", "place"),
    [
        (lambda b: b.set_risk(np.ones((3, 2))), "risk: found shape"),
        (lambda b: b.set_risk([[np.inf, 0], [0, 0]]), "risk: found NaN or infinity"),
        (lambda b: b.tick(2, np.ones((1, 2))), "group: found 2"),
        (lambda b: b.tick(1, np.ones((1, 3))), "rows: found 3"),
        (lambda b: b.tick(1, np.ones((2, 2))), "risk: found shape"),
        (lambda b: b.check_and_apply([1], [0], [1.0]), "account: found 1"),
        (lambda b: b.check_and_apply([0], [2], [1.0]), "instrument: found 2"),
        (lambda b: b.check_and_apply([0], [0, 1], [1.0]), "instrument: found shape"),
        (lambda b: b.check_and_apply([0], [0], [np.inf]), "quantity: found inf"),
        (lambda b: b.expected_shortfall(np.ones((2, 2)), 0.5), "tail: found 0.5"),
        (lambda b: b.expected_shortfall(np.ones((2, 2)), 3), "tail: found 3"),
        (lambda b: b.add_accounts([np.nan]), "limits: found nan"),
    ],
)
def test_questions_that_cannot_be_are_refused(do, place):
    book = LiveBook([0, 1], [0], [1.0], [0, 1])
    book.set_risk(np.ones((2, 2)))
    with pytest.raises(ValueError, match=place):
        do(book)


def test_fills_and_ticks_need_a_risk_table():
    book = LiveBook([0, 1], [0], [1.0], [0])
    with pytest.raises(ValueError, match="risk: none yet"):
        book.tick(0, [[1.0]])
