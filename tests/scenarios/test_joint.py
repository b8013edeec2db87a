"""Joint scenarios of a market: history or the reference set, the stressed set, and the report."""

from datetime import UTC, date, datetime, time, timedelta

import numpy as np
import pytest

from crossmargin.errors import InvalidMarket
from crossmargin.instruments import Asset, Catalogue, Future, Perpetual
from crossmargin.market import History, Market
from crossmargin.pricing import value
from crossmargin.scenarios import (
    JointParameters,
    MarketFacts,
    StressFacts,
    Vols,
    filtered,
    joint_scenarios,
    reference,
    risk_array,
)

START = date(2024, 1, 1)
DAYS = 900


def walk(seed, days=DAYS, vol=0.02, start=100.0):
    return start * np.exp(np.cumsum(np.random.default_rng(seed).normal(0.0, vol, days)))


def history_of(days=DAYS, **series):
    clock = tuple(START + timedelta(days=k) for k in range(days))
    return History(days=clock, names=tuple(series), closes=np.column_stack(list(series.values())))


def facts(history=None, vol_annual=None, index=None, leaders=None, **classes):
    classes = classes or {"BTC": "crypto", "SPX": "equity_index", "WTI": "energy"}
    names = tuple(classes)
    return MarketFacts(
        history=history,
        names=names,
        classes=tuple(classes.values()),
        leaders=tuple((leaders or {}).get(name, name) for name in names),
        any_domain=tuple(name == "WTI" for name in names),
        index=tuple((index or {}).get(name, np.nan) for name in names),
        vol_annual=vol_annual or {},
    )


HISTORY = history_of(BTC=walk(1), SPX=walk(2, vol=0.01), WTI=walk(3))
PARAMETERS = JointParameters(any_floor_by_name={"WTI": 20.0})


# --- which --------------------------------------------------------------------------------------------------------


def test_a_book_with_history_is_margined_under_it_filtered_with_the_horizon_of_each_class():
    ordinary, _, report = joint_scenarios(facts(HISTORY), PARAMETERS)
    wanted = filtered(
        HISTORY, ["BTC", "SPX", "WTI"], {"WTI"}, horizon_days={"BTC": 1, "SPX": 2, "WTI": 2}, lookback=750
    )
    np.testing.assert_array_equal(ordinary.move, wanted.move)
    assert ordinary.ids == wanted.ids
    assert (report.source, report.count, report.effective_sample) == ("history", 750, 375.0)
    assert (report.start, report.end) == (wanted.start, wanted.end)
    assert report.stand_ins == report.vols == report.notes == ()


def test_a_book_without_history_is_margined_under_the_reference_set():
    ordinary, _, report = joint_scenarios(facts(vol_annual={"WTI": 0.35}), PARAMETERS)
    wanted = reference(
        ["BTC", "SPX", "WTI"],
        {"BTC": "crypto", "SPX": "equity_index", "WTI": "energy"},
        vol_annual={"BTC": 0.65, "SPX": 0.20, "WTI": 0.35},
        horizon_days={"BTC": 1, "SPX": 2, "WTI": 2},
        any_domain={"WTI"},
        any_floor={"BTC": 1.0, "SPX": 1.0, "WTI": 20.0},
    )
    np.testing.assert_array_equal(ordinary.move, wanted.move)
    assert ordinary.any_floor.tolist() == [1.0, 1.0, 20.0]
    assert (report.source, report.count, report.effective_sample) == ("reference", 1000, 1000.0)
    assert [(used.vol_annual, used.origin) for used in report.vols] == [
        (0.65, "name"),
        (0.20, "equity_index"),
        (0.35, "book"),
    ]
    assert report.notes == ()


@pytest.mark.parametrize(
    ("history", "why"),
    [
        (history_of(200, BTC=walk(1, 200)), "200 days are fewer than 250"),
        (history_of(BTC=np.append(walk(1, 700), np.full(200, np.nan))), "no series moves and fills the windows"),
        (history_of(USDC=walk(1, vol=1e-4)), "no series moves and fills the windows, among USDC"),
    ],
)
def test_a_history_that_is_no_use_is_said_not_to_be_used(history, why):
    _, _, report = joint_scenarios(facts(history), PARAMETERS)
    assert report.source == "reference"
    assert len(report.notes) == 1
    assert why in report.notes[0]
    assert "reference set" in report.notes[0]


def test_days_after_the_market_s_own_are_not_used_and_said_so():
    history = history_of(400, BTC=walk(1, 400))
    day = history.days[-30]
    market = Market(time=datetime.combine(day, time(8), UTC), currency="USD", prices={"BTC": 100.0}, history=history)
    known = Market(
        time=market.time, currency="USD", prices={"BTC": 100.0}, history=history.before(day + timedelta(days=1))
    )
    catalogue = Catalogue.of([Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USD", asset_class="crypto")])
    one, other = (joint_scenarios(MarketFacts.of(value(m, catalogue)), PARAMETERS) for m in (market, known))
    np.testing.assert_array_equal(one.ordinary.move, other.ordinary.move)
    assert one.report.notes == (
        f"market.history: 29 day(s) after the market's own, from {history.days[-29]} on, are not used",
    )
    # A close of the day itself may be there: at the end of that day it will be known.
    assert other.report.notes == ()


def test_closes_that_never_change_are_told_pegs_apart():
    history = history_of(BTC=walk(1), GOLD=np.full(900, 7.0), USDC=np.full(900, 1.0))
    _, _, report = joint_scenarios(facts(history, BTC="crypto", GOLD="metals", USDC="stablecoin"), PARAMETERS)
    assert report.notes == ("history of GOLD: closes that never change, so no ordinary scenario moves it",)


def test_250_days_are_enough():
    history = history_of(250, BTC=walk(1, 250))
    _, _, report = joint_scenarios(facts(history, BTC="crypto"), PARAMETERS)
    assert (report.source, report.count) == ("history", 250 - 34 - 1)


def test_a_name_without_history_comes_by_proxy_and_the_report_says_so():
    history = history_of(BTC=walk(1), SPX=walk(2, vol=0.01))
    ordinary, _, report = joint_scenarios(facts(history, index={"WTI": 70.0}), PARAMETERS)
    assert report.source == "history"
    (made,) = report.stand_ins
    assert (made.name, made.proxy, made.measured) == ("WTI", "SPX", False)
    assert [used.name for used in report.vols] == ["WTI"]
    # Energy's vol of 45% on 70, over two days, in price units.
    assert np.std(ordinary.move[2]) == pytest.approx(70 * 0.45 * (2 / 365) ** 0.5, rel=0.25)


def test_a_series_nobody_holds_can_stand_in():
    history = history_of(BTC=walk(1), NDX=walk(2, vol=0.01))
    _, _, report = joint_scenarios(facts(history, BTC="crypto", SOL="crypto"), PARAMETERS)
    assert [(made.name, made.proxy) for made in report.stand_ins] == [("SOL", "BTC")]


def test_what_else_the_market_lists_changes_no_row_while_horizons_are_the_same():
    history = history_of(BTC=walk(1))
    few = joint_scenarios(facts(history, BTC="crypto", SPX="equity_index", SOL="crypto"), PARAMETERS).ordinary
    many = joint_scenarios(
        facts(history, ADA="crypto", BTC="crypto", EUR="fx", SOL="crypto", SPX="equity_index"), PARAMETERS
    ).ordinary
    for name in few.factors:
        one, other = few.move[few.factors.index(name)], many.move[many.factors.index(name)]
        np.testing.assert_array_equal(one, other)


def test_both_sets_have_the_same_factors():
    for history in (HISTORY, None):
        ordinary, bad, report = joint_scenarios(
            facts(history, BTC="crypto", SPX="equity_index", USDC="stablecoin"), PARAMETERS
        )
        assert ordinary.factors == bad.factors == ("BTC", "SPX", "USDC")
        assert report.stressed == len(bad)
        assert not ordinary.move[2].any()
        assert bad.move[2].min() == pytest.approx(-0.35)


# --- cached -------------------------------------------------------------------------------------------------------


def test_the_sets_of_one_history_are_made_once_whatever_prices_do():
    first = joint_scenarios(facts(HISTORY, index={"BTC": 60_000.0, "WTI": 70.0}), PARAMETERS)
    later = joint_scenarios(facts(HISTORY, index={"BTC": 61_000.0, "WTI": 71.0}), PARAMETERS)
    assert later.ordinary is first.ordinary
    calm = joint_scenarios(facts(HISTORY, index={"BTC": 62_000.0, "WTI": 71.0}), PARAMETERS)
    assert calm.stressed is later.stressed
    copy = History(days=HISTORY.days, names=HISTORY.names, closes=HISTORY.closes)
    assert joint_scenarios(facts(copy), PARAMETERS).ordinary is not first.ordinary


def test_the_fall_of_oil_through_zero_is_worth_the_same_at_every_price():
    for price in (20.0, 70.0):
        bad = joint_scenarios(facts(HISTORY, index={"WTI": price}), PARAMETERS).stressed
        move = bad.move[2, bad.ids.index("2020-04-20")]
        assert move * price == pytest.approx(-55.90)


# --- from a valuation ---------------------------------------------------------------------------------------------


def valuation(**market):
    instruments = [
        Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USD", asset_class="crypto"),
        Perpetual(symbol="EUR-PERP", underlying="EUR", quote="USD", asset_class="fx"),
        Future(
            symbol="CL",
            underlying="WTI",
            quote="USD",
            contract_size=1000,
            expiry=datetime(2026, 12, 21, tzinfo=UTC),
            asset_class="energy",
            price_domain="any",
        ),
    ]
    assets = [Asset(symbol="STETH", group="ETH"), Asset(symbol="USDC")]
    catalogue = Catalogue.of(instruments, assets, names=["USD", "STETH", "USDC"])
    prices = {"BTC": 64_000.0, "WTI": 71.2, "EUR": 1.08, "STETH": 3_000.0, "ETH": 3_010.0}
    book = Market(
        time=datetime(2026, 11, 20, tzinfo=UTC),
        prices=prices,
        forwards={"WTI": {date(2026, 12, 21): 71.4}},
        **{"fx": {"USDC": 1.0}, **market},
    )
    return value(book, catalogue)


def test_the_facts_of_a_valuation_are_all_its_assets_but_the_reporting_currency():
    found = MarketFacts.of(valuation())
    assert found.names == ("BTC", "ETH", "EUR", "STETH", "USDC", "WTI")
    assert found.classes == ("crypto", "crypto", "fx", "crypto", "stablecoin", "energy")
    assert found.leaders == ("BTC", "ETH", "EUR", "ETH", "USDC", "WTI")
    assert found.any_domain == (False,) * 5 + (True,)
    assert found.index == (64_000.0, 3_010.0, 1.08, 3_000.0, 1.0, 71.2)


def test_the_reporting_currency_moves_only_where_contracts_are_on_it():
    assert "EUR" in MarketFacts.of(valuation(currency="EUR", fx={"USD": 1 / 1.08, "USDC": 0.93})).names


def test_the_risk_array_of_the_sets_is_finite_and_a_bitcoin_loses_what_it_lost():
    market = valuation()
    ordinary, bad, _ = joint_scenarios(market, PARAMETERS)
    for scenarios in (ordinary, bad):
        array = risk_array(market, scenarios)
        assert np.isfinite(array.pnl).all()
    crash = bad.ids.index("2020-03-12")
    assert array.pnl[0, crash] == pytest.approx(-0.452 * 64_000)
    # One contract of 1,000 barrels.
    assert array.pnl[1, bad.ids.index("2020-04-20")] == pytest.approx(-55_900)


def test_a_staked_coin_offsets_its_coin_in_every_scenario():
    for scenarios in joint_scenarios(valuation(), PARAMETERS)[:2]:
        coin, staked = scenarios.factors.index("ETH"), scenarios.factors.index("STETH")
        np.testing.assert_allclose(scenarios.move[staked], scenarios.move[coin], atol=1e-15)


# --- parameters ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decay": 1.0}, "decay: found 1"),
        ({"lookback_days": 100}, "lookback_days: found 100; allowed: minimum_days, 250, or more"),
        ({"minimum_days": 1}, "lookback_days"),
        ({"horizon_days": {"crypto": 1}}, "horizon_days: found crypto; allowed: an entry for other"),
        ({"horizon_days": {"other": 0}}, "horizon_days.other: found 0"),
        ({"horizon_days": {"other": 1, "x": 1}}, "horizon_days.x: found 1"),
    ],
)
def test_parameters_that_cannot_be_are_refused(changes, message):
    with pytest.raises(InvalidMarket, match=message):
        JointParameters(**changes)


def test_parameters_of_ones_own_are_used():
    own = JointParameters(
        vols=Vols(by_class={"other": 1.0}, by_name={}),
        horizon_days={"other": 1},
        stress=StressFacts(crashes={}, squeezes={}, jump_by_class={"other": 0.5}, jump_by_name={}, depegs=[]),
    )
    ordinary, bad, report = joint_scenarios(facts(BTC="crypto"), own)
    assert bad.ids == ("BTC alone -50%", "BTC alone +50%")
    assert report.horizon_days == {"BTC": 1}
    one, _, _ = joint_scenarios(facts(XYZ="other"), own)
    np.testing.assert_allclose(np.sort(ordinary.move), np.sort(one.move))
