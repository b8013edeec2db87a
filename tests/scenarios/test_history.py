"""Historical scenarios: windows, filtering and stress days, against slow and obvious twins."""

from datetime import date, timedelta
from itertools import pairwise
from math import exp, log, sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InvalidMarket
from crossmargin.market import History
from crossmargin.scenarios import effective_sample, filtered, historical, missing_history, stress
from crossmargin.scenarios.history import ewma_vol

START = date(2024, 1, 1)


def history_of(**series):
    """A table of closes; None where a market was closed."""
    rows = {
        name: {START + timedelta(days=k): close for k, close in enumerate(closes) if close is not None}
        for name, closes in series.items()
    }
    return History.of({name.replace("_vol", ".vol"): closes for name, closes in rows.items()})


def walk(seed, days, vol=0.02, start=100.0):
    return (start * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, vol, days)))).tolist()


# --- slow twins: one window, one series, one day at a time ---------------------------------------------------------


def last_close(closes, t):
    while closes[t] is None:
        t -= 1
    return closes[t]


def twin_move(closes, t, h, any_domain):
    old, new = last_close(closes, t), last_close(closes, t + h)
    return new - old if any_domain else new / old - 1


def twin_filtered(closes, t, h, decay, any_domain):
    def level(k):
        return last_close(closes, k) if any_domain else log(last_close(closes, k))

    opened = [k for k, close in enumerate(closes) if close is not None]
    one_day = [(k, level(k) - level(j)) for j, k in pairwise(opened)]

    def vol(until):
        known = [r for k, r in one_day if k <= until][::-1]
        weights = [decay**k for k in range(len(known))]
        return sqrt(sum(w * r * r for w, r in zip(weights, known, strict=True)) / sum(weights))

    floor = sqrt(sum(r * r for _, r in one_day) / len(one_day))
    z = (level(t + h) - level(t)) / (vol(t) * sqrt(h))
    f = z * max(vol(len(closes) - 1), floor) * sqrt(h)
    return f if any_domain else exp(f) - 1


# --- as it happened ------------------------------------------------------------------------------------------------


def test_one_day_moves_are_the_simple_returns_of_the_closes():
    scenarios = historical(history_of(BTC=[100, 110, 99]), ["BTC"], horizon_days=1, lookback=750, minimum_days=2)
    assert scenarios.ids == ("2024-01-01/2024-01-02", "2024-01-02/2024-01-03")
    np.testing.assert_allclose(scenarios.move, [[0.10, -0.10]], rtol=1e-14)
    assert scenarios.source == "history"
    assert (scenarios.start, scenarios.end) == (date(2024, 1, 1), date(2024, 1, 3))
    assert scenarios.vol_factor is None
    assert scenarios.weight.tolist() == [1, 1]


def test_windows_of_different_horizons_open_together_and_the_longest_ends_with_the_table():
    closes = history_of(BTC=[100, 110, 121, 121], SPX=[10, 10, 10, 20])
    scenarios = historical(closes, ["BTC", "SPX"], horizon_days={"BTC": 1, "SPX": 2}, lookback=9, minimum_days=2)
    np.testing.assert_allclose(scenarios.move, [[0.1, 0.1], [0.0, 1.0]], rtol=1e-14)
    assert scenarios.ids == ("2024-01-01/2024-01-03", "2024-01-02/2024-01-04")


def test_only_the_latest_windows_of_the_lookback_are_taken():
    closes = history_of(BTC=walk(1, 300))
    scenarios = historical(closes, ["BTC"], horizon_days=2, lookback=40)
    assert len(scenarios) == 40
    assert scenarios.end == closes.days[-1]
    longer = historical(closes, ["BTC"], horizon_days=2, lookback=41)
    assert np.array_equal(longer.move[:, 1:], scenarios.move)


def test_a_closed_market_carries_its_close_and_its_gap_falls_into_the_window_in_which_it_opens():
    scenarios = historical(
        history_of(BTC=[1, 1, 1, 1], SPX=[100, None, None, 80]),
        ["BTC", "SPX"],
        horizon_days=1,
        lookback=9,
        minimum_days=2,
    )
    np.testing.assert_allclose(scenarios.move[1], [0.0, 0.0, -0.2], rtol=1e-14)


def test_where_prices_may_be_negative_moves_are_differences_through_zero():
    scenarios = historical(
        history_of(WTI=[18.27, -37.63, 10.01]), ["WTI"], {"WTI"}, horizon_days=1, lookback=9, minimum_days=2
    )
    np.testing.assert_allclose(scenarios.move, [[-55.90, 47.64]], rtol=1e-14)


def test_a_vol_series_moves_the_vols_of_its_underlying_and_of_no_other():
    closes = history_of(BTC=[100, 110, 99], ETH=[10, 10, 11], BTC_vol=[0.5, 0.75, 0.6])
    scenarios = historical(closes, ["BTC", "ETH"], horizon_days=1, lookback=9, minimum_days=2)
    assert scenarios.factors == ("BTC", "ETH")
    np.testing.assert_allclose(scenarios.vol_factor, [[1.5, 0.8], [1.0, 1.0]], rtol=1e-14)


closes_lists = st.lists(st.one_of(st.none(), st.floats(1.0, 1e4)), min_size=4, max_size=25)


@given(closes=closes_lists, h=st.integers(1, 3), any_domain=st.booleans())
def test_plain_windows_agree_with_the_slow_twin(closes, h, any_domain):
    closes = [50.0, *closes, 60.0]
    domain = {"X"} if any_domain else ()
    got = historical(
        history_of(X=closes, CLOCK=[1.0] * len(closes)),
        ["CLOCK", "X"],
        domain,
        horizon_days=h,
        lookback=10,
        minimum_days=2,
    )
    first = len(closes) - h - len(got)
    wanted = [twin_move(closes, first + s, h, any_domain) for s in range(len(got))]
    np.testing.assert_allclose(got.move[1], wanted, rtol=1e-12, atol=1e-12)


# --- too little history --------------------------------------------------------------------------------------------


def test_a_name_with_too_little_history_is_named_with_what_it_has():
    closes = history_of(BTC=walk(1, 400), NEW=[None] * 300 + walk(2, 100))
    with pytest.raises(InvalidMarket, match=r"too little of NEW \(100 closes\).*250 closes or more"):
        historical(closes, ["BTC", "NEW"], horizon_days=1, lookback=750)


def test_every_name_that_is_missing_is_reported_with_its_reason():
    closes = history_of(
        BTC=walk(1, 400),
        NEW=[None] * 120 + walk(2, 280),
        GONE=walk(3, 380) + [None] * 20,
        FEW=[None if k % 2 else 1.0 + k for k in range(400)],
        BTC_vol=[None] * 399 + [0.5],
    )
    found = missing_history(
        closes, ["BTC", "NEW", "GONE", "FEW", "NONE"], horizon_days=1, lookback=750, minimum_days=250
    )
    assert {gap.name: gap.reason for gap in found} == {
        "NEW": "first close 2024-04-30",
        "GONE": "last close 2025-01-14",
        "FEW": "200 closes",
        "NONE": "no closes",
        "BTC.vol": "1 closes",
    }


def test_a_lookback_that_the_shortest_series_fills_misses_nothing():
    closes = history_of(BTC=walk(1, 400), NEW=[None] * 120 + walk(2, 280))
    assert missing_history(closes, ["BTC", "NEW"], horizon_days=1, lookback=279) == ()
    assert len(historical(closes, ["BTC", "NEW"], horizon_days=1, lookback=279)) == 279


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"horizon_days": 0}, "horizon of BTC: found 0"),
        ({"horizon_days": True}, "horizon of BTC: found True"),
        ({"horizon_days": {}}, "horizon of BTC: found nothing"),
        ({"lookback": 0}, "lookback: found 0"),
        ({"names": []}, "at least one underlying"),
        ({"horizon_days": 3}, "found 3 days; allowed: 4 days or more"),
    ],
)
def test_windows_that_cannot_be_are_refused(changes, message):
    arguments = {"names": ["BTC"], "horizon_days": 1, "lookback": 10, "minimum_days": 2, **changes}
    with pytest.raises(InvalidMarket, match=message):
        historical(history_of(BTC=[1, 2, 3]), arguments.pop("names"), **arguments)


def test_a_close_of_zero_is_refused_where_prices_are_positive():
    with pytest.raises(InvalidMarket, match="history of BTC, 2024-01-02: found a close of 0; allowed: closes above 0"):
        historical(history_of(BTC=[1, 0, 3]), ["BTC"], horizon_days=1, lookback=10, minimum_days=2)


# --- filtered ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("any_domain", [False, True])
@pytest.mark.parametrize("h", [1, 2, 5])
def test_filtered_windows_agree_with_the_slow_twin(h, any_domain):
    closes = walk(7, 330)
    closes = [None if k % 7 in (5, 6) and k < 328 else close for k, close in enumerate(closes)]
    clock = walk(8, 330)
    got = filtered(
        history_of(CLOCK=clock, X=closes),
        ["CLOCK", "X"],
        {"X"} if any_domain else (),
        horizon_days={"CLOCK": 1, "X": h},
        lookback=250,
        minimum_days=200,
    )
    first = 330 - h - 250
    wanted = [twin_filtered(closes, first + s, h, 0.97, any_domain) for s in range(250)]
    np.testing.assert_allclose(got.move[1], wanted, rtol=1e-11, atol=1e-13)
    wanted = [twin_filtered(clock, first + s, 1, 0.97, False) for s in range(250)]
    np.testing.assert_allclose(got.move[0], wanted, rtol=1e-11, atol=1e-13)


def test_filtering_knows_nothing_of_a_window_before_it_opens():
    """The vol a window is divided by does not change when what happens inside the window does."""
    calm = walk(3, 400)
    crash = [*calm[:395], calm[395] * 0.5, *calm[396:]]
    one, other = (filtered(history_of(X=closes), ["X"], horizon_days=1, lookback=300) for closes in (calm, crash))
    # Row 394 -> 395 is window 295 of 300. Windows before it share one rescaling: that of the vol at the end.
    before = np.log1p(other.move[0, :294]) / np.log1p(one.move[0, :294])
    np.testing.assert_allclose(before, before[0], rtol=1e-9)
    ratio = np.log1p(other.move[0, 295]) / np.log1p(one.move[0, 295])
    plain = log(crash[395] / crash[394]) / log(calm[395] / calm[394])
    assert ratio == pytest.approx(plain * before[0], rel=1e-9)


def test_after_calm_markets_the_long_run_vol_is_the_floor():
    rng = np.random.default_rng(5)
    returns = np.concatenate((rng.normal(0, 0.05, 300), rng.normal(0, 0.001, 600)))
    closes = (100 * np.exp(np.cumsum(returns))).tolist()
    scenarios = filtered(history_of(X=closes), ["X"], horizon_days=1, lookback=200)
    # The calm windows are blown up to the long-run vol, 2.9% a day, not left at 0.1%.
    assert np.log1p(scenarios.move[0]).std() == pytest.approx(sqrt(0.05**2 / 3), rel=0.15)


def test_a_market_that_never_moved_before_keeps_its_first_move_as_it_happened():
    peg = [1.0] * 399 + [0.9]
    scenarios = filtered(history_of(PEG=peg), ["PEG"], horizon_days=1, lookback=300)
    assert scenarios.move[0, -1] == pytest.approx(-0.1, rel=1e-12)
    assert not scenarios.move[0, :-1].any()


def test_a_move_blown_up_beyond_all_numbers_names_its_series_and_window():
    closes = [1.0, 1.0 + 1e-12, *([1.0] * 298), 100.0, 1.0]
    with pytest.raises(InvalidMarket, match=r"history of PEG, window 2024-10-26/2024-10-27.*hardly moved"):
        filtered(history_of(PEG=closes), ["PEG"], horizon_days=1, lookback=200)


@pytest.mark.parametrize("decay", [0.0, 1.0, 1.5, float("nan")])
def test_a_decay_outside_zero_and_one_is_refused(decay):
    with pytest.raises(InvalidMarket, match="decay"):
        filtered(history_of(X=walk(1, 300)), ["X"], horizon_days=1, lookback=100, decay=decay)


def test_the_effective_sample_is_the_number_of_windows_that_do_not_overlap():
    closes = history_of(BTC=walk(1, 400), SPX=walk(2, 400))
    horizons = {"BTC": 1, "SPX": 2, "OTC": 5}
    scenarios = historical(closes, ["BTC", "SPX"], horizon_days=horizons, lookback=300)
    assert effective_sample(scenarios, horizons) == 150
    assert effective_sample(scenarios, 10) == 30


# --- the leak of the naive way -------------------------------------------------------------------------------------


def clustered_returns(days, markets, seed):
    """Returns (days, markets) whose vol clusters, with fat tails: a GARCH(1, 1) with Student t innovations."""
    rng = np.random.default_rng(seed)
    shocks = rng.standard_t(5, (days, markets)) * sqrt(3 / 5)
    variance = np.full(markets, 4e-4)
    returns = np.empty((days, markets))
    for t in range(days):
        returns[t] = np.sqrt(variance) * shocks[t]
        variance = 4e-4 * 0.02 + 0.08 * returns[t] ** 2 + 0.90 * variance
    return returns


def test_filtering_overlapping_returns_with_their_own_vol_leaks_and_ours_does_not():
    """Out of sample, the naive 99% VaR of 10-day returns is exceeded 2.5% of the time; ours about 1.5%.

    Today's overlapping return shares nine of its ten days with the one before, which is already in the vol it is
    divided by: large returns are divided by large vols that nobody knew when their window opened. The floor is
    taken out of ours, so that nothing but the leak differs.
    """
    h, lookback, decay, markets, ends = 10, 500, 0.97, 200, 25
    days = lookback + h + 60
    level = np.cumsum(clustered_returns(days + ends * h, markets, seed=1), axis=0)
    names = [f"M{k}" for k in range(markets)]
    clock = tuple(START + timedelta(days=d) for d in range(days))
    everywhere = np.ones((days, markets), dtype=bool)
    naive_exceeded = ours_exceeded = 0
    for start in range(0, ends * h, h):
        window = level[start : start + days]
        realized = level[start + days - 1 + h] - window[-1]

        table = History(days=clock, names=tuple(names), closes=np.exp(window))
        ours = np.log1p(filtered(table, names, horizon_days=h, lookback=lookback, decay=decay).move)
        one_day = np.diff(window, axis=0)
        latest = ewma_vol(one_day, everywhere[1:], decay)[-1]
        ours *= (latest / np.maximum(latest, np.sqrt((one_day**2).mean(axis=0))))[:, None]

        overlapping = window[h:] - window[:-h]
        vol = ewma_vol(overlapping, everywhere[h:], decay)
        naive = (overlapping[1:] / vol[:-1] * vol[-1])[-lookback:].T

        ours_exceeded += int((realized < np.quantile(ours, 0.01, axis=1)).sum())
        naive_exceeded += int((realized < np.quantile(naive, 0.01, axis=1)).sum())
    naive_rate, our_rate = naive_exceeded / (ends * markets), ours_exceeded / (ends * markets)
    assert naive_rate > 0.020
    assert our_rate < 0.018
    assert naive_rate > 1.4 * our_rate


@pytest.mark.parametrize("decay", [0.3, 0.97, 0.999])
def test_vols_of_a_long_table_with_closed_days_are_those_of_the_recursion_day_by_day(decay):
    rng = np.random.default_rng(7)
    returns = rng.standard_t(3, (3000, 2)) * [0.02, 40.0]
    seen = rng.random((3000, 2)) < 0.8
    got = ewma_vol(np.where(seen, returns, 0.0), seen, decay)
    for f in range(2):
        total = weight = 0.0
        for t in range(3000):
            if seen[t, f]:
                total, weight = decay * total + returns[t, f] ** 2, decay * weight + 1.0
            wanted = sqrt(total / weight) if weight else float("nan")
            assert got[t, f] == pytest.approx(wanted, rel=1e-12, nan_ok=True)


# --- stress --------------------------------------------------------------------------------------------------------

CLASSES = {"BTC": "crypto", "ETH": "crypto", "DOGE": "crypto", "SPX": "equity_index", "WTI": "energy"}
CRASH = {"2020-03-12": {"BTC": -0.452, "ETH": -0.512}}


def test_a_stress_day_comes_in_both_signs():
    scenarios = stress(CRASH, ["BTC", "ETH"], classes=CLASSES)
    assert scenarios.ids == ("2020-03-12", "2020-03-12 mirrored")
    assert scenarios.move.tolist() == [[-0.452, 0.452], [-0.512, 0.512]]
    assert scenarios.source == "stress"
    assert scenarios.vol_factor is None
    assert stress(CRASH, ["BTC"], classes=CLASSES, both_signs=False).ids == ("2020-03-12",)


def test_a_name_without_a_figure_takes_the_worst_of_its_class_else_nothing():
    scenarios = stress(CRASH, ["DOGE", "SPX", "UNHEARD"], classes=CLASSES, both_signs=False)
    assert scenarios.move.tolist() == [[-0.512], [0.0], [0.0]]


def test_the_worst_of_a_class_is_the_largest_move_of_either_sign():
    squeeze = {"squeeze": {"BTC": 0.2, "ETH": -0.1}, "tie": {"BTC": 0.3, "ETH": -0.3}}
    assert stress(squeeze, ["DOGE"], classes=CLASSES, both_signs=False).move.tolist() == [[0.2, -0.3]]


def test_a_mirrored_move_gains_at_most_200_percent_and_loses_at_most_everything():
    named = {"s": {"WTI": -3.06, "BTC": 4.0}}
    scenarios = stress(named, ["WTI", "BTC"], classes=CLASSES, any_domain={"WTI"}, any_floor={"WTI": 20.0})
    assert scenarios.move.tolist() == [[-3.06, 2.0], [4.0, -1.0]]
    assert scenarios.any_floor.tolist() == [20.0, 0.0]
    falling = stress({"s": {"WTI": 4.0}}, ["WTI"], classes=CLASSES, any_domain={"WTI"})
    assert falling.move.tolist() == [[4.0, -4.0]]


def test_vols_rise_in_both_signs_of_a_stress_day():
    named = {"s": {"BTC": -0.4, "BTC.vol": 0.8}}
    scenarios = stress(named, ["BTC", "ETH"], classes=CLASSES)
    assert scenarios.vol_factor.tolist() == [[1.8, 1.8], [1.0, 1.0]]
    assert scenarios.move[1].tolist() == [-0.4, 0.4]


@pytest.mark.parametrize(
    ("moves", "message"),
    [
        ({"BTC": -1.2}, "stress s, BTC: found a move of -120%; allowed: -100% or more"),
        ({"BTC": float("nan")}, "stress s, BTC: found nan"),
        ({"BTC": True}, "stress s, BTC: found True"),
        ({"XYZ": -0.1}, "stress s, XYZ: found a name without an asset class"),
    ],
)
def test_stress_moves_that_cannot_be_are_refused(moves, message):
    with pytest.raises(InvalidMarket, match=message):
        stress({"s": moves}, ["BTC"], classes=CLASSES)


# --- real closes ---------------------------------------------------------------------------------------------------


def test_the_crash_of_march_2020_is_among_the_scenarios_of_real_closes(shared):
    rows = {}
    for coin in ("BTC", "ETH"):
        lines = (shared / "data" / "crypto" / f"{coin}USDT_1d.csv").read_text(encoding="utf-8").splitlines()
        header = lines[0].lower().split(",")
        when = next(
            k for k, name in enumerate(header) if name in ("time", "date", "open_time", "timestamp", "datetime")
        )
        close = header.index("close")
        rows[coin] = {
            date.fromisoformat(line.split(",")[when][:10]): float(line.split(",")[close]) for line in lines[1:]
        }
    closes = History.of(rows)
    scenarios = historical(closes, ["BTC", "ETH"], horizon_days=1, lookback=10_000)
    worst = int(np.argmin(scenarios.move[0]))
    assert scenarios.ids[worst] == "2020-03-11/2020-03-12"
    assert scenarios.move[0, worst] < -0.35
    assert scenarios.move[1, worst] < -0.40
    rescaled = filtered(closes, ["BTC", "ETH"], horizon_days={"BTC": 1, "ETH": 1}, lookback=750)
    assert len(rescaled) == 750
