"""Adapters on the sides and optional inputs the published cases do not use, against equations written out here."""

import json
from math import exp

import pytest

from crossmargin.verify import run


@pytest.fixture
def answer(tmp_path):
    """Return a function (model, **inputs) -> what the library gives; a case that fails is an error."""

    def ask(model, **inputs):
        path = tmp_path / "case.json"
        path.write_text(json.dumps([{"id": "one", "model": model, "inputs": inputs}]))
        case = run([path]).cases[0]
        if case.error is not None:
            raise ValueError(case.error)
        return case.got

    return ask


BEHIND = [{"leverage": 5}, {"wb": 4}, {"balance": 4}, {"margin": 4}]


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("behind", BEHIND, ids=["leverage", "wb", "balance", "margin"])
@pytest.mark.parametrize(
    ("model", "more", "maintenance"),
    [
        ("bankruptcy_linear_isolated", {}, lambda p: 0),
        ("bankruptcy_linear_cross", {}, lambda p: 0),
        ("liq_linear_isolated_binance", {"mmr": 0.01, "cum": 0.02}, lambda p: 2 * p * 0.01 - 0.02),
        ("liq_linear_isolated_binance", {"mmr": 0.01}, lambda p: 2 * p * 0.01),
        ("liq_linear_isolated_bybit", {"mmr": 0.01}, lambda p: 2 * 10 * 0.01),
        ("liq_linear_isolated_with_taker_fee", {"mmr": 0.01, "taker": 0.001}, lambda p: 2 * p * 0.011),
        ("liq_linear_cross_mm_on_entry_value", {"mmr": 0.01}, lambda p: 2 * 10 * 0.01),
    ],
)
def test_a_linear_price_leaves_just_what_is_owed(answer, model, more, maintenance, behind, side):
    """2 coins at 10: 20, of which a fifth, or 4, stands behind them."""
    price = answer(model, side=side, q=2, ep=10, **behind, **more)
    assert 4 + side * 2 * (price - 10) == pytest.approx(maintenance(price), abs=1e-12)
    assert answer(model, q=2 * side, ep=10, **behind, **more) == price  # the sign of q is a side too


@pytest.mark.parametrize("model", ["liq_linear_isolated_binance", "liq_linear_isolated_bybit"])
def test_leverage_needs_no_size(answer, model):
    assert answer(model, side=-1, ep=10, leverage=5, mmr=0.01) == pytest.approx(
        answer(model, side=-1, ep=10, leverage=5, mmr=0.01, q=7), rel=1e-15
    )


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize(("order_margin", "taker"), [(0, 0), (0.1, 0.00075)])
def test_an_inverse_bankruptcy_price_leaves_just_the_fee(answer, side, order_margin, taker):
    inputs = {"contracts": 10_000, "ep": 8000, "balance": 0.5, "order_margin": order_margin, "taker": taker}
    price = answer("bankruptcy_inverse_cross", side=side, **inputs)
    profit = side * 10_000 * (1 / 8000 - 1 / price)
    assert 0.5 - order_margin + profit == pytest.approx(taker * 10_000 / price, abs=1e-15)


def test_order_margin_and_fee_of_an_inverse_position_may_be_left_out(answer):
    assert answer("bankruptcy_inverse_cross", side=1, contracts=10_000, ep=8000, balance=0.5) == pytest.approx(
        10_000 / 1.75
    )


@pytest.mark.parametrize(("side", "inputs"), [(-1, {}), (-1, {"side": -1}), (1, {"side": 1})])
def test_an_inverse_position_is_short_unless_told_otherwise(answer, side, inputs):
    price = answer("liq_inverse_isolated_short", ep=60_000, leverage=4, mmr=0.05, **inputs)
    assert 0.25 + side * (1 - 60_000 / price) == pytest.approx(0.05)


@pytest.mark.parametrize("side", [1, -1])
@pytest.mark.parametrize("others", [0, 1, 3])
def test_a_cross_price_takes_the_profit_and_maintenance_of_every_other_position(answer, side, others):
    other = [
        {"q": 2, "ep": 1000, "mp": 1100, "mmr": 0.01, "cum": 2},
        {"q": -10, "ep": 50, "mp": 52, "mmr": 0.02, "cum": 0},
        {"side": -1, "q": 5, "ep": 10, "mp": 9, "mmr": 0.03},
    ][:others]
    profit = sum([200, -20, 5][:others])
    owed = sum([20, 10.4, 1.35][:others])
    this = {"q": 1, "ep": 20_000, "mp": 21_000, "mmr": 0.005, "cum": 7}
    price = answer("liq_linear_cross_binance", wb=1000, side=side, this=this, other=other)
    assert 1000 + profit + side * (price - 20_000) == pytest.approx(owed + price * 0.005 - 7, abs=1e-9)
    signed = {**this, "q": side}
    assert answer("liq_linear_cross_binance", wb=1000, this=signed, other=other) == price
    assert answer("liq_linear_cross_binance", wb=1000, this={**this, "side": side}, other=other) == price


@pytest.mark.parametrize("q", [2, -2])
def test_equity_at_the_mark_may_fall_to_the_maintenance_of_all(answer, q):
    price = answer("liq_linear_cross_other_mm", equity=30, mark=100, q=q, mmr=0.01, other_mm=5)
    assert 30 + q * (price - 100) == pytest.approx(5 + 2 * price * 0.01)


@pytest.mark.parametrize(("q", "side"), [(20, 1), (20, -1), (-20, None)])
def test_initial_and_maintenance_margin_do_not_depend_on_the_side(answer, q, side):
    inputs = {"q": q, "ep": 1000, "leverage": 20, "mmr": 0.02, "balance": 5000}
    found = answer("linear_im_mm", **inputs, **({} if side is None else {"side": side}))
    assert found == pytest.approx({"im": 1000, "mm": 400, "available": 4000})


def test_a_position_may_owe_more_than_it_was_opened_with_or_than_there_is(answer):
    found = answer("linear_im_mm", q=20, ep=1000, leverage=100, mmr=0.02, balance=150)
    assert found == pytest.approx({"im": 200, "mm": 400, "available": -50})
    assert answer("linear_im_mm", q=20, ep=1000, leverage=0.5, mmr=0)["mm"] == 0


def test_a_bracket_may_be_the_first(answer):
    assert answer("bracket_maintenance_amount", floor=0, mmr=0.004) == 0


def test_calls_and_puts_on_spot_are_black76_on_the_forward(answer):
    terms = {"K": 100.0, "S": 95.0, "q": 0.02, "r": 0.05, "T": 0.5, "vol": 0.3}
    call, put = (answer("black_scholes_merton", type=kind, **terms) for kind in "cp")
    parity = 95 * exp(-0.02 * 0.5) - 100 * exp(-0.05 * 0.5)
    assert call - put == pytest.approx(parity, abs=1e-12)
    forward = answer("forward_price", s=95, rate=0.03, days=182.5)
    on_forward = answer(
        "black76", sec=182.5 * 86_400, vol=0.3, forward=forward, strike=100, discount=exp(-0.025), year_sec=31_536_000
    )
    assert on_forward == pytest.approx({"call": call, "put": put}, rel=1e-14)
    same = {**terms, "q": 0.05}
    assert answer("black76_equivalent(q=r)", type="p", **same) == answer("black_scholes_merton", type="p", **same)


@pytest.mark.parametrize(
    ("terms", "call", "put"),
    [
        ({"sec": 0, "vol": 1, "forward": 110, "strike": 100}, 10, 0),
        ({"sec": 86_400, "vol": 0, "forward": 90, "strike": 100, "discount": 0.5}, 0, 5),
        ({"sec": 86_400, "vol": 1, "forward": 90, "strike": 0, "discount": 0.5}, 45, 0),
        ({"sec": 86_400, "vol": 1, "forward": 0, "strike": 100, "discount": 0.5}, 0, 50),
        ({"sec": 31_536_000, "vol": 30, "forward": 90, "strike": 100}, 90, 100),
    ],
)
def test_the_limits_of_black76_are_exact(answer, terms, call, put):
    assert answer("black76", **terms) == pytest.approx({"call": call, "put": put}, abs=1e-12)


SVI = {"tau": 0.25, "a": 0.09, "b": 0.1, "rho": 0.0, "m": 0.0, "sigma": 0.1, "forward": 100, "strike": 100}


@pytest.mark.parametrize("clamp", ["+-4*sqrt(a+b*sigma)", "+/-4*sqrt(a + b*sigma)", "±4 sqrt(a + b sigma)", None])
def test_the_clamp_of_svi_may_be_written_in_several_ways(answer, clamp):
    found = answer("svi_vol", **SVI, **({} if clamp is None else {"k_clamp": clamp}))
    assert found["vol"] == pytest.approx((0.10 / 0.25) ** 0.5)


@pytest.mark.parametrize("clamp", ["none", "+-5*sqrt(a+b*sigma)", ""])
def test_another_clamp_is_refused(answer, clamp):
    with pytest.raises(ValueError, match=r"inputs.k_clamp.*the clamp of this library"):
        answer("svi_vol", **SVI, k_clamp=clamp)


def test_beyond_the_clamp_the_vol_of_svi_no_longer_moves(answer):
    far, farther = (answer("svi_vol", **{**SVI, "strike": strike})["vol"] for strike in (1_000, 100_000))
    assert far == farther > answer("svi_vol", **SVI)["vol"]


def test_collateral_of_several_assets_adds_up_and_a_debt_counts_in_full(answer):
    assets = [["BCH", 100, 300, 0.05], ["ETH", 2, 2000, 0.1], ["USD", 500, 1, 0], ["BTC", -0.1, 60_000, 0.05]]
    assert answer("haircut_collateral_usd", assets=assets) == pytest.approx(28_500 + 3_600 + 500 - 6_000)
    assert answer("haircut_collateral_usd", assets=[]) == 0


def test_one_asset_may_stand_in_several_rows_and_money_be_worth_less_than_one(answer):
    rows = [["BTC", 1, 100, 0.1], ["BTC", 2, 100, 0.2], ["BTC", -1, 100, 0.1], ["USD", 100, 0.99, 0]]
    assert answer("haircut_collateral_usd", assets=rows) == pytest.approx(90 + 160 - 100 + 99)


@pytest.mark.parametrize("row", [["BCH", 1, 300], ["BCH", 1, 300, 0.05, 1], [1, 2, 3, 4], ["BCH", 1, 300, 1.2]])
def test_a_row_of_collateral_that_cannot_be_is_refused(answer, row):
    with pytest.raises(ValueError, match=r"inputs.assets\[0\]|asset BCH#0, haircut"):
        answer("haircut_collateral_usd", assets=[row])


@pytest.mark.parametrize("q", [3, -3])
def test_a_ladder_of_moves_is_linear_in_size_and_move(answer, q):
    found = answer("linear_ladder", F=100, q=q, moves=[-0.5, 0, 0.25])
    assert found == pytest.approx([-50 * q, 0, 25 * q])


@pytest.mark.parametrize("qty", [10, -10])
def test_a_contingency_is_on_gross_size(answer, qty):
    assert answer("future_contingency", factor=0.006, index=2000, qty=qty) == pytest.approx(120)


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ({"side": 0}, "inputs.side"),
        ({"side": 1, "q": -1}, "inputs.side"),
        ({"leverage": 0}, "inputs.leverage: found 0; allowed: a number above 0"),
        ({"ep": -10}, "inputs.ep"),
        ({"leverage": None}, "inputs.leverage"),
        ({"wb": 5}, "leverage and wb; allowed: one of"),
    ],
)
def test_inputs_that_contradict_each_other_are_refused_with_their_place(answer, inputs, told):
    with pytest.raises(ValueError, match=told):
        answer("liq_linear_isolated_bybit", **{"side": 1, "ep": 10, "leverage": 5, "mmr": 0.01, **inputs})


def test_a_margin_in_money_needs_a_size(answer):
    with pytest.raises(ValueError, match=r"inputs.q: found nothing"):
        answer("liq_linear_isolated_binance", side=1, ep=10, wb=5, mmr=0.01)


@pytest.mark.parametrize("places", [10**25, -(10**25), 1e300])
def test_decimal_places_without_end_are_refused_at_once(answer, places):
    factors = {"search": 1.1, "initial": 1.2, "release": 1.4}
    market = {"mark": 10, "linear_slippage": 0, "rf_long": 0.2, "rf_short": 0.1, "scaling": factors}
    with pytest.raises(ValueError, match=r"inputs.position_decimal_places: .*a power of ten"):
        answer("cross_margin_levels", open_volume_raw=1, position_decimal_places=places, **market)


@pytest.mark.parametrize(
    ("name", "share"),
    [("equity", 0.2), ("Stock", 0.2), ("narrow index", 0.2), ("index", 0.15), ("Broad-Based Index", 0.15)],
)
def test_a_class_of_options_may_be_written_in_several_ways(answer, name, share):
    inputs = {"S": 100, "K": 100, "prem": 2, "n": 1, "mult": 100, "class": name}
    assert answer("strategy_short_call_net", **inputs) == pytest.approx(100 * 100 * share)
    with pytest.raises(ValueError, match=r"inputs.class: found 'indexx'; allowed: .*did you mean index"):
        answer("strategy_short_call_net", **{**inputs, "class": "indexx"})
