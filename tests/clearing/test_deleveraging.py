"""Deleveraging: exactly what is needed, shared fairly, at one price that takes no more than the deficit."""

from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.clearing.deleveraging import (
    NOT_HURT,
    POLICIES,
    TEAR_UP,
    Candidate,
    allocated,
    deleverage_ticks,
    ranks,
    score_of,
    shared,
    socialised,
)

candidates = st.lists(
    st.builds(
        Candidate,
        lots=st.integers(1, 50),
        score=st.integers(0, 5).map(Fraction),
        harm=st.integers(NOT_HURT, TEAR_UP),
        sole_hedge=st.booleans(),
    ),
    min_size=1,
    max_size=12,
)
policies = st.sampled_from(POLICIES)


@given(policies, candidates, st.integers(0, 400))
def test_exactly_the_residual_is_taken_and_nobody_gives_more_than_they_have(policy, those, residual):
    taken = allocated(residual, those, ranks(policy, those))
    assert sum(taken) == min(residual, sum(c.lots for c in those))
    assert all(0 <= lots <= c.lots for lots, c in zip(taken, those, strict=True))


@given(policies, candidates, st.integers(0, 400))
def test_nobody_gives_while_somebody_before_them_still_has_lots(policy, those, residual):
    rank = ranks(policy, those)
    taken = allocated(residual, those, rank)
    for a, b in product(range(len(those)), repeat=2):
        if rank[a] < rank[b]:
            assert taken[b] == 0 or taken[a] == those[a].lots


@given(candidates, st.integers(0, 400))
def test_equal_rank_and_size_differ_by_a_lot_at_most(those, residual):
    rank = ranks("minimum_overshoot", those)
    taken = allocated(residual, those, rank)
    for a, b in product(range(len(those)), repeat=2):
        if rank[a] == rank[b] and those[a].lots == those[b].lots:
            assert abs(taken[a] - taken[b]) <= 1


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8), st.integers(2, 6), st.integers(0, 300))
def test_splitting_an_account_saves_it_at_most_a_lot_a_part(sizes, parts, residual):
    whole = [Candidate(lots=n) for n in sizes]
    pieces = [n for n in shared(sizes[0], [1] * min(parts, sizes[0])) if n]
    split = [*(Candidate(lots=n) for n in pieces), *whole[1:]]
    together = allocated(residual, whole, ranks("minimum_overshoot", whole))[0]
    apart = sum(allocated(residual, split, ranks("minimum_overshoot", split))[: len(pieces)])
    assert apart >= together - len(pieces)


@given(
    st.integers(-1_000, 1_000),
    st.integers(0, 500),
    st.integers(0, 10**6),
    st.integers(1, 300),
    st.booleans(),
    st.integers(1, 25),
)
def test_haircuts_sum_to_the_deficit_less_under_a_tick_a_lot(mark, room, deficit, lots, long, tick_value):
    signed = lots if long else -lots
    bankruptcy = mark - room if long else mark + room
    price = deleverage_ticks(mark, bankruptcy, deficit, signed, tick_value)
    haircut = (mark - price) * signed * tick_value
    assert 0 <= haircut <= deficit
    if deficit <= room * lots * tick_value:
        assert deficit - haircut < lots * tick_value
    else:
        assert price == bankruptcy


def test_the_fund_pays_first_and_the_winners_only_what_is_left():
    # Deficit 500, fund 300: the winners of 10 lots at a tick worth 1 give up 200, not 500.
    price = deleverage_ticks(100, 50, 500 - 300, 10, 1)
    assert (100 - price) * 10 == 200


def test_hedged_and_unhurt_accounts_come_first_and_sole_hedges_last_in_their_rank():
    those = [
        Candidate(lots=5, harm=1),
        Candidate(lots=5, harm=0, sole_hedge=True),
        Candidate(lots=5, harm=0),
        Candidate(lots=5, harm=3),
    ]
    assert allocated(12, those, ranks("minimum_overshoot", those)) == [2, 5, 5, 0]


def test_a_higher_exponent_puts_risk_before_profit():
    rich, risky = (Fraction(3, 10), Fraction(2)), (Fraction(1, 10), Fraction(5))
    assert score_of(*rich) > score_of(*risky)
    assert score_of(*rich, exponent=3) < score_of(*risky, exponent=3)
    assert score_of(-Fraction(1), Fraction(2)) > score_of(-Fraction(1), Fraction(1))


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**5), min_size=1, max_size=9))
def test_socialised_losses_pay_out_all_that_was_collected_and_never_more_than_owed(collected, owed):
    received = socialised(collected, owed)
    assert sum(received) == min(collected, sum(owed))
    # The last has what was left of whole units.
    assert all(r <= o for r, o in zip(received[:-1], owed[:-1], strict=True))
    assert received[-1] < owed[-1] + len(owed)


@pytest.mark.parametrize(
    "wrong",
    [
        lambda: Candidate(lots=0),
        lambda: Candidate(lots=1, harm=4),
        lambda: ranks("random", []),
        lambda: allocated(-1, [], []),
        lambda: deleverage_ticks(1, 1, -1, 1, 1),
        lambda: score_of(Fraction(1), Fraction(0)),
        lambda: socialised(-1, [1]),
    ],
)
def test_what_cannot_be_is_refused(wrong):
    with pytest.raises(ValueError, match=r"found|below 0"):
        wrong()
