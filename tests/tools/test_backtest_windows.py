"""The backtest margins what `evaluate` margins, knows nothing of the future, and counts losses as promised."""

import subprocess
import sys
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from crossmargin import Account, Position, evaluate, load_rules
from crossmargin import Book as RealBook
from crossmargin.market import History
from tools.backtest_defaults.measure import Margined, as_known
from tools.backtest_defaults.panels import Book, OptionTerms, Panel

ROOT = Path(__file__).resolve().parents[2]
DAYS = 330
START = date(2019, 1, 1)
BOOKS = (
    Book(name="long SPX", weights={"SPX": 1.0}),
    Book(name="short BTC", weights={"BTC": -1.0}),
    Book(name="long WTI", weights={"WTI": 1.0}),
    Book(name="mixed", weights={"BTC": 1.0, "SPX": -2.0, "WTI": 0.5}, kind="mixed"),
    Book(name="short put", weights={"P90": -1.0, "BTC": 0.5}, kind="options"),
)


def closes(**changes):
    """A made-up table: WTI's prices may be negative, SPX is closed on every seventh day."""
    rng = np.random.default_rng(5)
    days = tuple(START + timedelta(days=k) for k in range(DAYS))
    walks = np.exp(np.cumsum(rng.standard_t(4, (DAYS, 2)) * [0.02, 0.007], axis=0))
    table = np.column_stack(
        (
            20_000.0 * walks[:, 0],
            3_000.0 * walks[:, 1],
            30.0 + np.cumsum(rng.normal(0.0, 0.4, DAYS)),
            np.full(DAYS, 0.2),
        )
    )
    table[::7, 1] = np.nan
    for row, column, price in changes.get("changed", ()):
        table[row, column] = price
    return History(days=days, names=("BTC", "SPX", "WTI", "SPX.vol"), closes=table)


def panel(**changes):
    made = Panel(
        name="made up",
        title="Made up",
        history=closes(),
        classes={"BTC": "crypto", "SPX": "equity_index", "WTI": "energy"},
        books=BOOKS,
        any_domain=frozenset({"WTI"}),
        horizon=2,
        rows_kept=310,
        options={"P90": OptionTerms(underlying="SPX", option_type="put", moneyness=0.9)},
    )
    return replace(made, **changes)


@pytest.fixture(scope="module")
def rules():
    return load_rules("portfolio")


@pytest.fixture(scope="module")
def walked(rules):
    return Margined(panel(), rules.model).walk([290, 295, 319])


def test_a_window_is_margined_as_evaluate_margins_the_same_book_that_day(rules, walked):
    world = Margined(panel(), rules.model)
    catalogue, market = world.market(319)
    known = replace(rules, model=as_known(rules.model, world.panel.history.days[319]))
    accounts = []
    for k, book in enumerate(BOOKS):
        positions = []
        for leg, weight in book.weights.items():
            underlying = "SPX" if leg == "P90" else leg
            price = market.prices[underlying]
            positions.append(
                Position(symbol=leg, quantity=weight * 1e6 / (max(price, 20.0) if leg == "WTI" else price))
            )
        accounts.append(Account(id=f"{k}", positions=positions))
    standing = evaluate(RealBook.of(accounts, catalogue.instruments), market, known)
    gross = np.array([sum(map(abs, book.weights.values())) * 1e6 for book in BOOKS])
    np.testing.assert_allclose(walked.maintenance[2] * gross, standing.maintenance_margin, rtol=1e-9)
    np.testing.assert_allclose(walked.initial[2] * gross, standing.initial_margin, rtol=1e-9)
    terms = dict(standing.requirement.terms.of_pool(3))
    core = sum(amount for name, amount in terms.items() if name.startswith(("expected", "stress", "offset")))
    assert walked.core[2, 3] * gross[3] == pytest.approx(core, rel=1e-9)


def test_closes_after_a_window_opened_change_its_losses_and_nothing_that_is_asked_for(rules, walked):
    later = closes(
        changed=[(row, column, factor) for row in range(320, DAYS) for column, factor in ((0, 1.0), (2, -9.0))]
    )
    other = Margined(panel(history=later), rules.model).walk([290, 295, 319])
    for name in ("shortfall", "core", "maintenance", "initial"):
        np.testing.assert_array_equal(getattr(other, name), getattr(walked, name))
    assert other.loss[2, 1] != walked.loss[2, 1]
    np.testing.assert_array_equal(other.loss[:2], walked.loss[:2])


def test_stressed_days_that_have_not_happened_yet_are_not_known(rules):
    then = as_known(rules.model, date(2020, 3, 12))
    assert "2020-03-12" in then.joint.stress.crashes
    assert max(then.joint.stress.crashes) == "2020-03-12"
    assert set(then.joint.stress.squeezes) == {"2008-10-13", "2015-01-15"}
    assert as_known(rules.model, date(2020, 3, 11)).joint.stress.crashes.keys() < then.joint.stress.crashes.keys()
    assert (
        then is as_known(rules.model, date(2020, 3, 13))
        or "2020-03-13" in as_known(rules.model, date(2020, 3, 13)).joint.stress.crashes
    )
    assert then.joint.stress.jump_by_class == rules.model.joint.stress.jump_by_class


def test_each_leg_loses_until_its_own_horizon_is_over(walked):
    table = closes()
    btc, spx, wti = (table.series(name) for name in ("BTC", "SPX", "WTI"))
    for w, t in enumerate((290, 295, 319)):
        assert not np.isnan(spx[[t, t + 2]]).any()
        one_day = -(btc[t + 1] / btc[t] - 1.0)
        two_days = -(spx[t + 2] / spx[t] - 1.0)
        oil = -(wti[t + 2] - wti[t]) / max(abs(wti[t]), 20.0)
        assert walked.loss[w, 0] == pytest.approx(two_days, abs=1e-12)
        assert walked.loss[w, 1] == pytest.approx(-one_day, abs=1e-12)
        assert walked.loss[w, 2] == pytest.approx(oil, abs=1e-12)
        assert walked.loss[w, 3] == pytest.approx((one_day - 2.0 * two_days + 0.5 * oil) / 3.5, abs=1e-12)
        assert (walked.worst[w] >= walked.loss[w]).all()


def test_the_worst_moment_of_a_single_position_is_in_the_days_range(rules):
    low, high = np.full(DAYS, np.nan), np.full(DAYS, np.nan)
    low[321], high[320] = 100.0, 90_000.0
    ranged = panel(ranges={"BTC": (low, high), "SPX": (low, high)})
    found = Margined(ranged, rules.model).walk([319])
    price = ranged.history.closes[319]
    assert found.worst[0, 0] == pytest.approx(1.0 - 100.0 / price[1])
    assert found.worst[0, 1] == pytest.approx(90_000.0 / price[0] - 1.0)
    # A coin's window is one day: the low of the second is not in it.
    longer = replace(ranged, books=(Book(name="long BTC", weights={"BTC": 1.0}),))
    assert Margined(longer, rules.model).walk([319]).worst[0, 0] < 0.5


def test_windows_do_not_overlap_and_start_when_history_alone_is_enough(rules):
    world = Margined(panel(), rules.model)
    rows = world.openings()
    assert (np.diff(rows) == 2).all()
    assert rows[0] == 249
    assert rows[-1] + 2 < DAYS
    open_days = Margined(panel(open_days_of="SPX"), rules.model)
    days = open_days.openings()
    assert not np.isnan(open_days.panel.history.series("SPX")[days]).any()
    ends = [open_days._end(world.market(1)[0]["SPX"], int(t)) for t in days]
    assert all(end <= later for end, later in zip(ends, days[1:].tolist(), strict=False))


def test_where_market_data_are_missing_it_says_which_and_ends_with_2(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-m", "tools.backtest_defaults", "--jobs", "1"],
        cwd=ROOT,
        env={"PATH": "", "CROSSMARGIN_SHARED": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert "market data of the backtest is missing" in " ".join(ran.stderr.split())
    assert "CROSSMARGIN_SHARED" in ran.stderr
