"""Historical margin: value at risk and expected shortfall against a twin in plain loops, and by hand."""

from datetime import timedelta
from math import ceil, exp, fsum, log, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossmargin.errors import InvalidMarket, InvalidRules
from crossmargin.instruments import Option, Perpetual
from crossmargin.margin.historical import Historical, tail_weights
from crossmargin.market import History, Market
from crossmargin.standing import document
from tests.strategies import (
    ASSETS,
    EXPECTED_SHORTFALL,
    FILTERED_SHORTFALL,
    HISTORY,
    TIME,
    VALUE_AT_RISK,
    alone,
    market_of,
    rules_of,
    worlds,
)
from tests.twins.pools import twin_collateral, twin_pools
from tests.twins.prices import Prices

# --- the twin: moves window by window, then the measure, then the sets of things owned outright


def closes_of(name):
    return HISTORY.closes[:, HISTORY.names.index(name)].tolist()


def horizon_of(model, name):
    kinds = {a.symbol: a.asset_class for a in ASSETS}
    return model.horizon_days.get(kinds[name], model.horizon_days["other"])


def windows(model):
    """Return the rows at which windows open: the latest, the longest ending with the table."""
    longest = max(horizon_of(model, name) for name in HISTORY.names)
    warmup = ceil(1 / (1 - model.decay)) if model.filtered else 0
    rows = len(HISTORY.days)
    count = min(model.lookback_days, rows - longest - warmup)
    return range(rows - longest - count, rows - longest)


def vol_until(returns, row, decay):
    """The exponentially weighted vol of 1-day returns up to the close of `row`; returns[k] ends at row k + 1."""
    known = returns[:row]
    weights = [decay ** (len(known) - 1 - k) for k in range(len(known))]
    return sqrt(fsum(w * r * r for w, r in zip(weights, known, strict=True)) / fsum(weights))


def moves_of(model, name):
    """Return the simple return of each window; price units for oil."""
    any_domain = name == "OIL"
    level = closes_of(name) if any_domain else [log(c) for c in closes_of(name)]
    h = horizon_of(model, name)
    returns = [level[k + 1] - level[k] for k in range(len(level) - 1)]
    now, floor = vol_until(returns, len(returns), model.decay), sqrt(fsum(r * r for r in returns) / len(returns))
    found = []
    for opening in windows(model):
        move = level[opening + h] - level[opening]
        if model.filtered:
            move *= max(now, floor) / vol_until(returns, opening, model.decay)
        found.append(move if any_domain else exp(move) - 1)
    return found


def measured(model, losses):
    ranked = sorted(losses, reverse=True)
    if model.measure == "var":
        return max(0.0, ranked[len(ranked) - ceil(round(model.confidence * len(ranked), 9))])
    tail = max((1 - model.confidence) * len(ranked), 1.0)
    whole = int(round(tail, 9))
    total = fsum(ranked[:whole]) + (tail - whole) * (ranked[whole] if whole < len(ranked) else 0.0)
    return max(0.0, total / tail)


def twin_historical(world, model, pool, counted, prices, credit_factor):
    """Return (maintenance, initial) of one pool."""
    moves = {name: moves_of(model, name) for name in HISTORY.names}
    count = len(moves["BTC"])

    def asset_move(name, s):
        return moves[name][s] if name in moves and name not in ("OIL", prices.currency) else 0.0

    holdings = []
    for symbol, quantity in pool.quantity.items():
        instrument = prices.instruments[symbol]
        fx, entry = prices.fx(instrument.settle), pool.entry_value.get(symbol, 0.0)
        before = prices.contract(symbol)
        losses = []
        for s in range(count):
            after = prices.contract(symbol, moves[instrument.underlying][s])
            settle = asset_move(instrument.settle, s)
            losses.append(-quantity * (after * (1 + settle) - before) * fx + entry * fx * settle)
        option = isinstance(instrument, Option)
        owned = option and quantity > 0
        holdings.append((option, owned, quantity * before * fx if owned else 0.0, losses))
    rows = [(key[1], amount, counted[key]) for key, amount in pool.balances.items()]
    rows += [(pool.fenced[0], pool.fenced[1], pool.fenced[1])] if pool.fenced else []
    for asset, amount, units in rows:
        price, rest = prices.fx(asset), max(amount - units, 0.0)
        losses = [-price * (units * asset_move(asset, s) + rest * max(asset_move(asset, s), 0.0)) for s in range(count)]
        holdings.append((False, amount > 0, max(units, 0.0) * price, losses))

    def bracket(factor, without):
        kept = [h for k, h in enumerate(holdings) if k not in without]
        losses = [sum(h[3][s] for h in kept) for s in range(count)]
        return factor * measured(model, losses) + sum(holdings[k][2] for k in without)

    def own(k, factor):
        return factor * measured(model, holdings[k][3])

    def least(factor):
        numbered = list(enumerate(holdings))
        options = [k for k, (option, owned, _, _) in numbered if option and owned]
        balances = [k for k, (option, owned, _, loss) in numbered if not option and owned and any(loss)]
        dearer = [k for k, (_, owned, value, _) in numbered if owned and own(k, factor) > value]
        return min(bracket(factor, w) for w in ([], options, balances, options + balances, dearer))

    maintenance = least(1.0)
    return maintenance, max(least(model.initial_factor * credit_factor), maintenance)


@pytest.mark.parametrize(
    "model", [EXPECTED_SHORTFALL, FILTERED_SHORTFALL, VALUE_AT_RISK], ids=["es", "filtered es", "var"]
)
@given(world=worlds(most=1))
@settings(max_examples=12)
def test_requirements_are_those_of_the_slow_twin(model, world):
    rules = rules_of(model)
    standing, prices = world.standing(rules), Prices(world)
    for p, pool in enumerate(twin_pools(world, prices)):
        counted, initial_only = twin_collateral(world, rules.haircuts, pool, prices)
        credit = rules.credit.get(pool.credit, 1.0)
        maintenance, initial = twin_historical(world, model, pool, counted, prices, credit)
        scale = sum(prices.notional(s, q) for s, q in pool.quantity.items()) + abs(standing.worth.balances[p]) + 1
        assert standing.maintenance_margin[p] == pytest.approx(maintenance, rel=1e-9, abs=1e-9 * scale)
        expected = max(initial, maintenance) + initial_only
        assert standing.initial_margin[p] == pytest.approx(expected, rel=1e-9, abs=1e-9 * scale)


# --- the measures, by hand


@pytest.mark.parametrize(
    ("measure", "confidence", "count", "expected"),
    [
        # Losses 1 to 100: the worst 1% is 100 alone; the 99th smallest loss is 99.
        ("es", 0.99, 100, 100.0),
        ("var", 0.99, 100, 99.0),
        # The worst 2.5 of 100: 100, 99 and half of 98.
        ("es", 0.975, 100, (100 + 99 + 0.5 * 98) / 2.5),
        ("var", 0.975, 100, 98.0),
        # The worst 0.5 of 50 is less than one: the single worst.
        ("es", 0.99, 50, 50.0),
        ("var", 0.99, 50, 50.0),
        ("es", 0.5, 4, 3.5),
        ("var", 0.5, 4, 2.0),
    ],
)
def test_the_tail_is_weighed_to_the_fraction(measure, confidence, count, expected):
    losses = np.arange(1.0, count + 1)[None, ::-1]
    weights = tail_weights(losses, measure=measure, confidence=confidence)
    assert weights.sum() == pytest.approx(1.0)
    assert float((weights * losses).sum()) == pytest.approx(expected, rel=1e-12)


@given(st.lists(st.floats(-100, 100), min_size=1, max_size=60), st.floats(0.5, 0.999))
def test_expected_shortfall_is_never_below_value_at_risk(losses, confidence):
    row = np.array([losses])
    es, var = (
        float((tail_weights(row, measure=measure, confidence=confidence) * row).sum()) for measure in ("es", "var")
    )
    assert es >= var - 1e-9


def calendar(days):
    return tuple((TIME - timedelta(days=days - k)).date() for k in range(days))


def test_one_coin_s_worst_days_by_hand():
    # 100 windows of one day: falls of 10%, 8% and 6%, else nothing. The worst 2.5 of 100: (10 + 8 + 0.5 x 6) / 2.5.
    steps = np.ones(101)
    steps[[20, 40, 60]] = 0.90, 0.92, 0.94
    closes = 1000 * np.cumprod(steps)
    history = History(days=calendar(101), names=("X",), closes=closes[:, None])
    model = Historical(confidence=0.975, lookback_days=100, minimum_days=100, horizon_days={"other": 1}, filtered=False)
    market = Market(time=TIME, prices={"X": 200.0}, history=history)
    instruments = (Perpetual(symbol="X-PERP", underlying="X", quote="USD"),)
    told = document(alone({"X-PERP": 5}, market=market, instruments=instruments, assets=()).standing(rules_of(model)))
    (row,) = told["accounts"]
    assert row["maintenance_margin"] == pytest.approx(5 * 200 * (0.10 + 0.08 + 0.5 * 0.06) / 2.5, rel=1e-9)
    assert row["initial_margin"] == pytest.approx(1.25 * row["maintenance_margin"], rel=1e-12)
    assert [term["name"] for term in row["breakdown"]] == ["expected shortfall"]
    assert row["worst_scenario"]["loss"] == pytest.approx(100)
    assert told["scenarios"] == {
        "source": "history",
        "from": history.days[0].isoformat(),
        "to": history.days[-1].isoformat(),
        "count": 100,
        "stressed": 0,
        "effective_sample": None,
    }
    short = alone({"X-PERP": -5}, market=market, instruments=instruments, assets=()).standing(rules_of(model))
    # Nothing ever rose.
    assert short.maintenance_margin[0] == 0


@pytest.mark.parametrize("measure", ["es", "var"])
def test_a_long_option_owes_its_value_at_most(measure):
    model = EXPECTED_SHORTFALL if measure == "es" else VALUE_AT_RISK
    standing = alone({"BTC-C-125": 10, "ETH-P-9": 3}, market=market_of(vol=0.2)).standing(rules_of(model))
    assert standing.initial_margin[0] <= standing.worth.net_option_value[0] * (1 + 1e-12)


# --- refusals


def test_a_market_without_history_is_refused():
    with pytest.raises(InvalidMarket, match=r"market\.history: found nothing"):
        alone({"BTC-PERP": 1}, market=market_of().with_(history=None)).standing(rules_of(EXPECTED_SHORTFALL))


def test_an_underlying_without_a_series_is_named():
    kept = [k for k, name in enumerate(HISTORY.names) if name != "ETH"]
    history = History(days=HISTORY.days, names=tuple(HISTORY.names[k] for k in kept), closes=HISTORY.closes[:, kept])
    market = market_of().with_(history=history)
    assert alone({"BTC-PERP": 1}, market=market).standing(rules_of(EXPECTED_SHORTFALL)).maintenance_margin[0] > 0
    with pytest.raises(InvalidMarket, match="no usable series of ETH"):
        alone({"BTC-PERP": 1, "ETH-PERP": 1}, market=market).standing(rules_of(EXPECTED_SHORTFALL))


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ({"measure": "es99"}, "measure"),
        ({"confidence": 1.0}, "confidence"),
        ({"confidence": 0.4}, "confidence"),
        ({"decay": 1.0}, "decay"),
        ({"initial_factor": 0.5}, "initial_factor"),
        ({"lookback_days": 100}, "lookback_days"),
        ({"minimum_days": 1}, "lookback_days"),
        ({"horizon_days": {"crypto": 1}}, "horizon_days"),
        ({"horizon_days": {"other": 0}}, "horizon_days.other"),
        ({"horizon_days": {"other": 1, "coins": 1}}, "horizon_days.coins"),
    ],
)
def test_parameters_out_of_range_are_refused(changes, key):
    with pytest.raises(InvalidRules, match=key):
        Historical(**{"horizon_days": {"other": 1}, **changes})
