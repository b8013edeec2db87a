"""A large order walks the quotes and moves them; both heal with time."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.venues.simulated import Depth, Liquidity, SimulatedVenue

DEPTH = Depth(ranks=4, half_spread=2.0, step=3.0, lots=100.0, growth=1.5, impact=10.0)


def quoted(liquidity, reference):
    """Return a venue with the quotes of a liquidity in its only book, each an order `side/rank`."""
    venue = SimulatedVenue({})
    venue.start("X", signed=True)
    for quote in liquidity.quotes(reference):
        if quote.lots:
            venue.submit("X", venue.order(f"{quote.side}/{quote.rank}", "maker", quote.lots, quote.ticks))
    return venue


def bought(liquidity, lots, reference=1000.0):
    """Buy at the market; tell the liquidity, and return the mean price paid."""
    venue = quoted(liquidity, reference)
    venue.submit("X", venue.order("buy", "taker", lots))
    paid = 0
    for report in venue.reports():
        if hasattr(report, "ticks"):
            paid += report.lots * report.ticks
            side, rank = report.sell_order.split("/")
            liquidity.take(int(side), int(rank), report.lots)
    return paid / lots


def test_a_larger_order_pays_a_worse_mean_price():
    paid = [bought(Liquidity(DEPTH, [1]), lots) for lots in (10, 100, 300, 600)]
    assert paid[0] == 1002.0
    assert sorted(set(paid)) == paid


def test_an_order_at_once_pays_more_than_the_same_lots_over_time():
    patient, hasty = Liquidity(DEPTH, [1]), Liquidity(DEPTH, [1])
    slices = []
    for k in range(6):
        patient.advance(600.0 * k)
        slices.append(bought(patient, 100))
    assert sum(slices) / 6 < bought(hasty, 600)


def test_an_order_moves_the_middle_its_way_and_the_move_decays_by_half_lives():
    liquidity = Liquidity(DEPTH, [1])
    bought(liquidity, 400)
    moved = liquidity.pushed
    assert moved > 0
    liquidity.advance(DEPTH.decay_seconds)
    assert liquidity.pushed == pytest.approx(moved / 2)
    liquidity.take(1, 0, 50)
    assert liquidity.pushed < moved / 2


def test_what_was_taken_comes_back_by_half_lives():
    liquidity = Liquidity(DEPTH, [1])
    full = [quote.lots for quote in liquidity.quotes(1000.0)]
    taken = -full[4]
    liquidity.take(-1, 0, taken)
    assert [quote.lots for quote in liquidity.quotes(1000.0)][4] == 0
    liquidity.advance(DEPTH.refill_seconds)
    assert -[quote.lots for quote in liquidity.quotes(1000.0)][4] == pytest.approx(taken / 2, abs=1)
    liquidity.advance(100 * DEPTH.refill_seconds)
    assert [quote.lots for quote in liquidity.quotes(1000.0)] == pytest.approx(full, abs=1)


@given(
    reference=st.floats(-50.0, 5000.0),
    signed=st.booleans(),
    seed=st.integers(0, 2**32),
    taken=st.lists(st.tuples(st.sampled_from([1, -1]), st.integers(0, 3), st.integers(1, 200)), max_size=5),
)
def test_bids_stay_below_offers_and_prices_in_their_domain(reference, signed, seed, taken):
    liquidity = Liquidity(DEPTH, [seed], signed=signed)
    for side, rank, lots in taken:
        liquidity.take(side, rank, lots)
    quotes = liquidity.quotes(reference)
    shown = [quote for quote in quotes if quote.lots]
    bids = [quote.ticks for quote in shown if quote.side > 0]
    offers = [quote.ticks for quote in shown if quote.side < 0]
    assert max(bids, default=-(10**9)) < min(offers, default=10**9)
    assert all(quote.lots * quote.side >= 0 for quote in quotes)
    assert signed or all(quote.ticks > 0 for quote in quotes)


def test_the_same_seed_quotes_the_same():
    assert Liquidity(DEPTH, [7, 2]).quotes(100.0) == Liquidity(DEPTH, [7, 2]).quotes(100.0)
    assert Liquidity(DEPTH, [7, 2]).quotes(100.0) != Liquidity(DEPTH, [7, 3]).quotes(100.0)


@pytest.mark.parametrize("terms", [{"ranks": 0}, {"half_spread": 0.0}, {"lots": -1.0}, {"impact": -0.1}])
def test_a_depth_that_is_none_is_refused(terms):
    with pytest.raises(ValueError, match=rf"found {next(iter(terms))}"):
        Depth(**terms)
