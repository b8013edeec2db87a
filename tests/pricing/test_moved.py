"""Contracts after moves they share: against the formula cell by cell, and the same bits however the work is cut."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.pricing import SharedMoves, value
from crossmargin.pricing.moved import log_growths, log_moneyness, option_values, table_of
from crossmargin.scenarios import Moves, TenorScaling, revalue
from tests.pricing import twins
from tests.strategies import INSTRUMENTS, World, market_of, markets

ROWS = np.arange(len(INSTRUMENTS))


def valued(market):
    return value(market, World(accounts=(), market=market).book().catalogue)


def shared(scenarios, *, tables=5, vols=True, seed=1):
    rng = np.random.default_rng(seed)
    move = rng.normal(0.0, 0.2, (tables, scenarios)).clip(-0.99)
    return SharedMoves(
        move=move,
        of=rng.integers(0, tables, len(ROWS)),
        vol_factor=np.exp(rng.normal(0.0, 0.3, move.shape)) if vols else None,
        vol_share=rng.uniform(0.0, 3.0, len(ROWS)) if vols else None,
    )


def slow_twin(valuation, rows, moves):
    """One contract and one scenario at a time, by the public formulas."""
    terms = valuation.catalogue
    found = np.empty((len(rows), moves.move.shape[1]))
    for i, row in enumerate(rows.tolist()):
        number = valuation.instrument[row]
        instrument, size = terms.instruments[number], terms.contract_size[number]
        for j in range(found.shape[1]):
            move = moves.move[moves.of[i], j]
            any_domain = instrument.price_domain == "any"
            factor = 1.0 if moves.vol_factor is None else moves.vol_factor[moves.of[i], j]
            share = 1.0 if moves.vol_share is None else moves.vol_share[i]
            vol = max(0.0, 1.0 + share * (factor - 1.0)) * valuation.iv[row]

            def moved(price, move=move, any_domain=any_domain):
                return price + move if any_domain else price * (1.0 + move)

            if instrument.kind != "option":
                price = moved(valuation.mark[row])
                found[i, j] = -size / price if terms.inverse[number] else size * price
                continue
            forward = moved(valuation.forward[row])
            formula = twins.bachelier if any_domain else twins.black76
            strike, tau, discount = terms.strike[number], valuation.tau[row], valuation.discount[row]
            price = formula(forward, strike, max(vol, 1e-12), tau, discount, terms.is_call[number])
            price = price / forward if terms.inverse[number] else price
            found[i, j] = size * max(price + valuation.offset[row], 0.0)
    return found


@given(markets(), st.integers(1, 40), st.booleans(), st.integers(0, 1_000))
@settings(max_examples=20)
def test_shared_moves_are_worth_what_the_slow_twin_says(market, scenarios, vols, seed):
    valuation, moves = valued(market), shared(scenarios, vols=vols, seed=seed)
    found = np.empty((len(ROWS), scenarios))
    valuation.after(ROWS, moves).fill(0, len(ROWS), found)
    notional = valuation.notional(ROWS, np.ones(len(ROWS)))[:, None]
    expected = slow_twin(valuation, ROWS, moves)
    assert np.all(np.abs(found - expected) <= 1e-9 * np.abs(expected) + 1e-11 * notional + 1e-12)


@pytest.mark.parametrize("scenarios", [1, 7, 8, 23, 33, 159, 160, 161, 500])
def test_a_cell_has_the_same_bits_alone_and_however_rows_and_scenarios_are_cut(scenarios):
    valuation, moves = valued(market_of()), shared(scenarios)
    after = valuation.after(ROWS, moves)
    whole = np.empty((len(ROWS), scenarios))
    after.fill(0, len(ROWS), whole)
    parts = np.full(whole.shape, np.nan)
    for low in range(0, len(ROWS), 3):
        after.fill(low, min(low + 3, len(ROWS)), parts)
    np.testing.assert_array_equal(parts, whole)
    for column in {0, scenarios // 2, scenarios - 1}:
        one = SharedMoves(
            move=moves.move[:, [column]],
            of=moves.of,
            vol_factor=moves.vol_factor[:, [column]],
            vol_share=moves.vol_share,
        )
        alone = np.empty((len(ROWS), 1))
        valuation.after(ROWS, one).fill(0, len(ROWS), alone)
        np.testing.assert_array_equal(alone[:, 0], whole[:, column])
    other = ROWS[::-1]
    reversed_rows = np.empty(whole.shape)
    mirrored = moves.take(other)
    valuation.after(other, mirrored).fill(0, len(ROWS), reversed_rows)
    np.testing.assert_array_equal(reversed_rows[::-1], whole)


def test_only_the_rows_asked_for_are_written():
    valuation, moves = valued(market_of()), shared(20)
    out = np.full((len(ROWS), 20), -7.0)
    valuation.after(ROWS, moves).fill(2, 5, out)
    assert (out[:2] == -7.0).all()
    assert (out[5:] == -7.0).all()
    assert (out[2:5] != -7.0).all()


def test_no_move_is_worth_the_bits_of_now():
    valuation = valued(market_of())
    for vol_factor in (None, np.ones((1, 30))):
        moves = SharedMoves(
            move=np.zeros((1, 30)), of=np.zeros(len(ROWS), dtype=np.int64), vol_factor=vol_factor, vol_share=None
        )
        after = valuation.after(ROWS, moves)
        found = np.empty((len(ROWS), 30))
        after.fill(0, len(ROWS), found)
        assert np.array_equal(found, np.repeat(after.now()[:, None], 30, axis=1))


@pytest.mark.parametrize("scenarios", [5, 900])
def test_a_revaluation_has_the_same_bits_with_any_number_of_threads(monkeypatch, scenarios):
    valuation = valued(market_of())
    rows = np.tile(ROWS, 40)
    rng = np.random.default_rng(2)
    assets = len(valuation.catalogue.assets)
    move = rng.normal(0.0, 0.1, (assets, scenarios))
    moves = Moves(
        price=move,
        of_price=valuation.catalogue.underlying[valuation.instrument[rows]],
        settle=move,
        of_settle=np.where(rng.random(len(rows)) < 0.5, 0, -1),
        vol_factor=np.exp(move),
        tenor=TenorScaling(),
    )
    found = []
    for threads in ("1", "2", "5"):
        monkeypatch.setenv("CROSSMARGIN_THREADS", threads)
        found.append(revalue(valuation, rows, moves))
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[0], found[2])


@given(
    forward=st.floats(1e-4, 1e6),
    wing=st.floats(-6, 6),
    move=st.floats(-0.9, 5.0),
    deviation=st.floats(1e-3, 3.0),
    call=st.booleans(),
)
def test_a_moved_price_is_exact_to_roundings_of_the_smaller_of_forward_and_strike(forward, wing, move, deviation, call):
    """Each unit of the two logarithms that are added costs a rounding more."""
    growth = np.array([[1.0 + move]])
    strike = np.array([forward * np.exp(wing * deviation)])
    logs, moneyness, found = np.empty((1, 1)), np.empty(1), np.empty((1, 1))
    log_growths(growth[0], logs[0])
    log_moneyness(np.array([forward]), strike, moneyness)
    one, none, yes = np.ones(1), np.zeros(1), np.array([call])
    still = table_of(one[None], 1.0)
    tables = table_of(growth, 1.0), table_of(logs, 0.0), still, still, np.abs(logs[0])
    first = np.zeros(1, dtype=np.int64)
    terms = np.array([forward]), moneyness, strike, np.array([deviation]), one, yes, np.array([False]), none, one
    option_values(*tables, first, one, *terms, first, 0, 1, found)
    moved = forward * (1.0 + move)
    right = float(twins.exact(twins.exact_black76, moved, float(strike[0]), deviation, 1.0, 1.0, call))
    roundings = 1.0 + abs(moneyness[0]) + abs(logs[0, 0])
    assert found[0, 0] == pytest.approx(right, rel=4e-16, abs=1e-15 * roundings * min(moved, strike[0]))
    assert logs[0, 0] == pytest.approx(np.log(1.0 + move), rel=6e-16, abs=0)


@pytest.mark.parametrize("factor", [0.0, 1e-320, 1.0, 1e200])
@pytest.mark.parametrize("share", [None, 0.5])
def test_extreme_moves_leave_prices_within_the_bounds_of_no_arbitrage(factor, share):
    """A vol factor of 0 or 1e200, a price that all but vanishes or grows a billion times: nothing overflows."""
    valuation = valued(market_of())
    move = np.array([[-2.0, -1.0, -0.95, 0.0, 20.0, 1e9]])
    found = np.empty((len(ROWS), move.size))
    moves = SharedMoves(
        move=move,
        of=np.zeros(len(ROWS), dtype=np.int64),
        vol_factor=np.full(move.shape, factor),
        vol_share=None if share is None else np.full(len(ROWS), share),
    )
    valuation.after(ROWS, moves).fill(0, len(ROWS), found)
    assert np.isfinite(found).all()
    terms = valuation.catalogue
    for row in ROWS:
        number = valuation.instrument[row]
        option = terms.instruments[number]
        if option.kind != "option" or option.price_domain == "any" or terms.inverse[number]:
            continue
        forward = valuation.forward[row] * np.maximum(1.0 + move[0], 1e-9)
        strike, discount, size = terms.strike[number], valuation.discount[row], terms.contract_size[number]
        intrinsic = np.maximum(forward - strike if terms.is_call[number] else strike - forward, 0.0)
        most = forward if terms.is_call[number] else np.full(forward.shape, strike)
        bounds = [size * np.maximum(discount * b + valuation.offset[row], 0.0) for b in (intrinsic, most)]
        slack = 1e-15 * size * discount * np.maximum(forward, strike)
        assert np.all(found[row] >= bounds[0] - slack)
        assert np.all(found[row] <= bounds[1] + slack)
        if factor < 1e-300 and share is None:
            assert found[row] == pytest.approx(bounds[0], rel=1e-15, abs=0)


@pytest.mark.parametrize(
    ("column", "wrong", "told"),
    [("move", np.nan, "move"), ("move", np.inf, "move"), ("vol_factor", np.nan, "vol_factor")],
)
def test_a_move_that_is_no_number_is_refused(column, wrong, told):
    tables = {"move": np.zeros((1, 3)), "vol_factor": np.ones((1, 3))}
    tables[column][0, 1] = wrong
    moves = SharedMoves(of=np.zeros(len(ROWS), dtype=np.int64), **tables)
    with pytest.raises(ValueError, match=told):
        valued(market_of()).after(ROWS, moves)
