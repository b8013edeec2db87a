"""Published option prices, through the library's own formulas."""

import json
import math

import pytest

from crossmargin.pricing import black76, implied_vol


@pytest.fixture(scope="module")
def cases(shared):
    return json.loads((shared / "golden" / "option_pricing.json").read_text())


def test_published_prices_of_options_on_forwards_come_out(cases):
    chosen = [case for case in cases if case["model"] == "black76"]
    assert chosen
    for case in chosen:
        given, tolerance = case["inputs"], case["tolerance"]["abs"]
        tau = given["sec"] / given["year_sec"]
        for side, price in case["expected"].items():
            ours = black76(given["forward"], given["strike"], given["vol"], tau, given["discount"], side == "call")
            assert float(ours) == pytest.approx(price, abs=tolerance), case["id"]


def test_published_prices_of_options_on_spot_come_out_of_the_forward(cases):
    chosen = [case for case in cases if case["model"] in ("black76_equivalent(q=r)", "black_scholes_merton")]
    assert len(chosen) > 10
    for case in chosen:
        given = case["inputs"]
        discount = math.exp(-given["r"] * given["T"])
        forward = given["S"] * math.exp((given["r"] - given["q"]) * given["T"])
        is_call = given["type"] == "c"
        price = float(black76(forward, given["K"], given["vol"], given["T"], discount, is_call))
        assert price == pytest.approx(case["expected"], abs=case["tolerance"]), case["id"]
        vol, _ = implied_vol(price, forward, given["K"], given["T"], discount, is_call)
        assert float(vol) == pytest.approx(given["vol"], abs=1e-12), case["id"]
