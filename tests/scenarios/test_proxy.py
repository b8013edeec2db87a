"""Missing history by proxy: betas, residuals, what is kept, what is said, and that no day is dropped."""

from datetime import date, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.market import History
from crossmargin.scenarios import completed, filtered, missing_history
from crossmargin.scenarios.proxy import NoSeries

START = date(2022, 1, 3)
CLASSES = {
    "BTC": "crypto",
    "ETH": "crypto",
    "STETH": "crypto",
    "NEW": "crypto",
    "SPX": "equity_index",
    "NDX": "equity_index",
    "WTI": "energy",
    "BRENT": "energy",
    "USDC": "stablecoin",
    "EUR": "fx",
}
VOLS = dict.fromkeys(CLASSES, 0.5)
DAYS = 900


def history_of(**series):
    """A table of closes, one a day; None where there is none."""
    rows = {
        name.replace("_vol", ".vol"): {START + timedelta(days=k): c for k, c in enumerate(closes) if c is not None}
        for name, closes in series.items()
    }
    return History.of(rows)


def walk(seed, days=DAYS, vol=0.02, start=100.0):
    return (start * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, vol, days)))).tolist()


def following(closes, beta, noise, seed):
    """Closes whose log changes are beta x those of `closes` plus noise."""
    change = beta * np.diff(np.log(closes), prepend=np.log(closes[0]))
    return np.exp(np.cumsum(change + np.random.default_rng(seed).normal(0.0, noise, len(closes)))).tolist()


def complete(history, names, **more):
    settings = {"horizon_days": 2, "lookback": 750, "minimum_days": 250, "warmup": 34, "vol_annual": VOLS}
    return completed(history, names, classes=CLASSES, **{**settings, **more})


def changes(history, name):
    closes = history.series(name)
    return np.diff(np.log(closes[~np.isnan(closes)]))


BTC = walk(1)
ETH = following(BTC, 1.5, 0.01, seed=2)


def test_a_complete_table_stays_as_it_is():
    history = history_of(BTC=BTC, ETH=ETH)
    table, stand_ins = complete(history, ["ETH", "BTC"])
    assert stand_ins == ()
    assert table.days == history.days
    assert np.array_equal(table.series("ETH"), history.series("ETH"))


def test_a_late_listing_keeps_its_closes_and_follows_its_proxy_before_them():
    late = [None] * 600 + ETH[600:]
    table, (made,) = complete(history_of(BTC=BTC, ETH=late), ["BTC", "ETH"], proxies={"crypto": ["BTC"]})
    assert table.series("ETH")[600:].tolist() == ETH[600:]
    assert (made.name, made.proxy, made.measured, made.closes) == ("ETH", "BTC", True, 300)
    assert made.beta == pytest.approx(1.5, abs=0.1)
    assert made.residual_vol == pytest.approx(0.01, rel=0.1)
    assert made.reason == "first close 2023-08-26"
    # 750 windows of 2 days and 34 rows to warm up.
    assert made.filled == 750 + 2 + 34 - 300
    part = slice(600 - made.filled, 600)
    x, y = np.diff(np.log(BTC))[part], np.diff(np.log(table.series("ETH")))[part]
    assert np.polyfit(x, y, 1)[0] == pytest.approx(1.5, abs=0.1)
    assert np.std(y - made.beta * x) == pytest.approx(0.01, rel=0.15)


def test_every_residual_that_is_drawn_is_one_on_record():
    late = [None] * 600 + ETH[600:]
    table, (made,) = complete(history_of(BTC=BTC, ETH=late), ["ETH"])
    x, y = np.diff(np.log(BTC)), np.diff(np.log(table.series("ETH")))
    record = y[600:] - made.beta * x[600:]
    record -= record.mean()
    drawn = (y - made.beta * x)[600 - made.filled : 600]
    assert np.abs(drawn[:, None] - record).min(axis=1).max() < 1e-12
    assert len(np.unique(drawn.round(12))) > 150


def test_no_date_is_dropped_and_the_windows_can_be_filled():
    history = history_of(BTC=BTC, ETH=[None] * 880 + ETH[880:])
    table, _ = complete(history, ["BTC", "ETH"])
    assert table.days == history.days
    assert missing_history(table, ["BTC", "ETH"], horizon_days=2, lookback=750, warmup=34) == ()
    assert len(filtered(table, ["BTC", "ETH"], horizon_days=2, lookback=750)) == 750


def test_a_market_that_is_gone_goes_on_with_its_proxy():
    table, (made,) = complete(history_of(BTC=BTC, ETH=ETH[:500] + [None] * 400), ["BTC", "ETH"])
    assert made.reason == "last close 2023-05-17"
    assert table.series("ETH")[:500].tolist() == ETH[:500]
    assert not np.isnan(table.series("ETH")[500:]).any()
    step = np.log(table.series("ETH")[500] / ETH[499])
    assert abs(step - made.beta * np.log(BTC[500] / BTC[499])) < 5 * made.residual_vol


def test_without_common_days_beta_follows_from_vols_and_the_class_correlation():
    table, (made,) = complete(
        history_of(BTC=BTC), ["BTC", "NEW"], vol_annual={"BTC": 9.0, "NEW": 1.0}, proxies={"crypto": ["BTC"]}
    )
    filled = changes(table, "NEW")
    assert (made.measured, made.closes, made.reason) == (False, 0, "no closes")
    # Correlation of two coins 0.60, vol 1.0 a year against the 0.02 x root 365 that BTC's closes have.
    assert made.beta == pytest.approx(0.60 * 1.0 / (0.02 * 365**0.5), rel=0.05)
    assert np.std(filled) * 365**0.5 == pytest.approx(1.0, rel=0.08)
    assert np.corrcoef(filled, np.diff(np.log(BTC))[-len(filled) :])[0, 1] == pytest.approx(0.60, abs=0.08)


def test_the_stated_vol_is_kept_where_the_proxy_trades_on_working_days_only():
    weekdays = [c if (START + timedelta(days=k)).weekday() < 5 else None for k, c in enumerate(BTC)]
    table, (made,) = complete(history_of(SPX=weekdays, BTC=BTC), ["SPX", "NDX"], vol_annual={"SPX": 9.0, "NDX": 0.2})
    closed = np.isnan(table.series("NDX"))
    # Where the proxy was closed nothing is made up: no changes of 0 that would thin the vols.
    assert closed[np.isnan(table.series("SPX"))].all()
    assert np.std(changes(table, "NDX")) == pytest.approx(0.2 * (7 / 5 / 365) ** 0.5, rel=0.1)
    assert made.proxy == "SPX"


def test_the_proxy_is_the_classs_first_usable_name_else_the_closest_class():
    history = history_of(BTC=BTC, SPX=walk(5), WTI=walk(6), ETH=[None] * 890 + walk(7, 10))
    preferred = {"crypto": ["ETH", "SPX"], "energy": ["BRENT"]}
    _, made = complete(history, ["NEW", "BRENT", "NDX", "EUR"], proxies=preferred)
    # ETH has too little itself; no class is closer to fx than its own, then the largest correlation.
    assert {m.name: m.proxy for m in made} == {"NEW": "SPX", "BRENT": "WTI", "NDX": "SPX", "EUR": "SPX"}


def test_a_staked_coin_without_history_follows_its_coin_exactly_even_where_that_is_made_itself():
    groups = {"STETH": "ETH"}
    table, made = complete(history_of(BTC=BTC), ["STETH", "ETH", "BTC"], groups=groups)
    np.testing.assert_allclose(changes(table, "STETH"), changes(table, "ETH"), atol=1e-12)
    assert {m.name: (m.proxy, m.beta) for m in made}["STETH"] == ("ETH", 1.0)


def test_a_stable_coin_without_history_holds_its_peg():
    table, (made,) = complete(history_of(BTC=BTC), ["BTC", "USDC"])
    assert not changes(table, "USDC").any()
    assert (made.proxy, str(made)) == ("", "USDC (no closes): held still")


def test_too_few_vols_are_left_out_and_said():
    table, (made,) = complete(history_of(BTC=BTC, BTC_vol=[None] * 890 + [0.5] * 10), ["BTC"])
    assert table.names == ("BTC",)
    assert made.name == "BTC.vol"
    kept, made = complete(history_of(BTC=BTC, BTC_vol=walk(4)), ["BTC"])
    assert kept.names == ("BTC", "BTC.vol")
    assert made == ()


def test_closes_too_far_apart_give_a_beta_and_are_then_replaced():
    weekly = [c if k % 7 == 0 else None for k, c in enumerate(ETH)]
    table, (made,) = complete(history_of(BTC=BTC, ETH=weekly), ["ETH"])
    assert made.reason == "129 closes"
    assert (made.closes, made.measured) == (0, True)
    assert made.beta == pytest.approx(1.5, abs=0.2)
    assert table.series("ETH")[-1] == 1.0


def test_where_prices_may_be_negative_changes_are_differences():
    oil = (10 + np.cumsum(np.random.default_rng(3).normal(0, 1.5, DAYS))).tolist()
    brent = (25 + np.cumsum(0.8 * np.diff(oil, prepend=10.0))).tolist()
    table, (made,) = complete(
        history_of(WTI=oil, BRENT=[None] * 600 + brent[600:]), ["WTI", "BRENT"], any_domain={"WTI", "BRENT"}
    )
    assert min(oil) < 0
    assert made.beta == pytest.approx(0.8, rel=1e-9)
    np.testing.assert_allclose(table.series("BRENT")[-780:], brent[-780:], rtol=1e-9, atol=1e-9)
    stated, (made,) = complete(
        history_of(WTI=oil),
        ["WTI", "BRENT"],
        any_domain={"WTI", "BRENT"},
        price_scale={"WTI": 20.0, "BRENT": 80.0},
        vol_annual={"WTI": 1.0, "BRENT": 0.3},
    )
    closes = stated.series("BRENT")
    assert np.std(np.diff(closes[~np.isnan(closes)])) == pytest.approx(80 * 0.3 / 365**0.5, rel=0.1)


names = st.lists(st.sampled_from(["NEW", "NDX", "EUR", "USDC", "BTC"]), unique=True, min_size=1)


@given(names=names)
def test_a_series_comes_out_the_same_whatever_else_is_asked_for(names):
    history = history_of(BTC=BTC, SPX=walk(9), NDX=[None] * 500 + walk(10, 400))
    together, _ = complete(history, names)
    for name in names:
        alone, _ = complete(history, [name])
        assert np.array_equal(alone.series(name), together.series(name), equal_nan=True)


def test_a_day_more_of_history_hardly_changes_what_was_drawn_before():
    eth, btc = [None] * 600 + ETH[600:], BTC
    older, (first,) = complete(history_of(BTC=btc[:-1], ETH=eth[:-1]), ["ETH"])
    newer, (second,) = complete(history_of(BTC=btc, ETH=eth), ["ETH"])
    a = np.diff(np.log(older.series("ETH")))[200:599] - first.beta * np.diff(np.log(btc[:-1]))[200:599]
    b = np.diff(np.log(newer.series("ETH")))[200:599] - second.beta * np.diff(np.log(btc))[200:599]
    assert (np.abs(a - b) > 1e-3).mean() < 0.02


def test_a_proxy_that_never_moves_is_none():
    with pytest.raises(NoSeries, match="no series moves and fills the windows, among FLAT, USDC"):
        complete(history_of(FLAT=[1.0] * DAYS, USDC=walk(1, vol=1e-4)), ["BTC"])
    with pytest.raises(NoSeries, match="no series moves"):
        complete(history_of(ETH=[None] * 700 + walk(1, 200), BTC=BTC[:20] + [None] * 880), ["BTC"])


# --- real closes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("coin", ["ETH", "SOL", "DOGE", "BNB"])
def test_the_shortfall_of_a_real_coin_by_proxy_is_near_that_of_its_own_closes(shared, coin):
    """Of the coin's own closes only the last 120 days are left; the rest is made from BTC."""

    def closes(name):
        lines = (shared / "data" / "crypto" / f"{name}USDT_1d.csv").read_text(encoding="utf-8").splitlines()[1:]
        return {date.fromisoformat(line[:10]): float(line.split(",")[4]) for line in lines}

    own, bitcoin = closes(coin), closes("BTC")
    late = dict(sorted(own.items())[-120:])
    settings = {"horizon_days": 1, "lookback": 700, "minimum_days": 250}
    table, (made,) = completed(
        History.of({"BTC": bitcoin, coin: late}),
        ["BTC", coin],
        classes={"BTC": "crypto", coin: "crypto"},
        vol_annual={},
        warmup=34,
        **settings,
    )
    assert (made.proxy, made.measured, made.closes) == ("BTC", True, 120)
    real = filtered(History.of({"BTC": bitcoin, coin: own}), [coin], **settings).move[0]
    proxy = filtered(table, [coin], **settings).move[0]
    # 2% of the windows. What a coin will do one day is not in 120 calm days of it: the miss is to the low side.
    shortfall = [np.sort(moves)[:14].mean() for moves in (real, proxy)]
    assert shortfall[1] == pytest.approx(shortfall[0], rel=0.5)
