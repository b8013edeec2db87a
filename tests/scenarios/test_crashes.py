"""The stressed set: crash days in both signs, squeezes, jumps alone, broken pegs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.errors import InvalidMarket
from crossmargin.instruments import ASSET_CLASSES
from crossmargin.scenarios import PriceMove, StressFacts, stressed

BOOK = {
    "BTC": "crypto",
    "ETH": "crypto",
    "ADA": "crypto",
    "LINK": "crypto",
    "SPX": "equity_index",
    "NDX": "equity_index",
    "AAPL": "equity",
    "WTI": "energy",
    "NATGAS": "energy",
    "XAU": "metals",
    "USDC": "stablecoin",
    "DAI": "stablecoin",
    "EUR": "fx",
}

# The crash table, retyped here a second time: (day, name, move).
TABLE = """
2020-03-12 BTC -45.2 ETH -51.2
2020-03-13 BTC -23.9
2021-05-19 BTC -33.1 ETH -58.5 SOL -54.9 DOGE -58.9
2022-06-13 BTC -17.6 ETH -19.0
2022-11-08 BTC -18.2 ETH -23.8 SOL -37.8
2022-11-09 BTC -16.6 ETH -19.7 SOL -60.4
2024-08-05 BTC -15.8 ETH -21.5 SOL -20.5
2025-02-03 ETH -25.9 XRP -31.4 ADA -37.2
2025-10-10 BTC -16.2 ETH -21.4 SOL -23.6 XRP -55.2 ADA -66.4
1987-10-19 SPX -20.5
2026-01-30 XAG -31.3 XAU -11.4
"""


def moves(names, classes=BOOK, facts=None, **more):
    """{scenario: {name: move}}"""
    found = stressed(names, classes, facts or StressFacts(), **more)
    return {
        scenario: dict(zip(found.factors, column, strict=True))
        for scenario, column in zip(found.ids, found.move.T.tolist(), strict=True)
    }


def test_every_figure_of_the_crash_table_is_there_and_its_mirror():
    known = {"SPX": "equity_index", "XAG": "metals", "XAU": "metals"}
    for line in TABLE.split("\n")[1:-1]:
        day, *pairs = line.split()
        for name, percent in zip(pairs[::2], pairs[1::2], strict=True):
            found = moves([name], {name: known.get(name, "crypto")})
            assert found[day][name] == pytest.approx(float(percent) / 100, abs=1e-15)
            assert found[f"{day} mirrored"][name] == pytest.approx(-float(percent) / 100, abs=1e-15)


def test_a_name_without_a_figure_takes_its_classs_worst_of_the_day_else_nothing():
    found = moves(BOOK)
    assert found["2020-03-12"]["LINK"] == -0.512
    assert found["2025-02-03"]["BTC"] == -0.372
    assert found["1987-10-19"]["NDX"] == -0.205
    assert found["2020-03-12"]["SPX"] == found["1987-10-19"]["BTC"] == found["1987-10-19"]["AAPL"] == 0.0


def test_a_staked_coin_takes_its_coins_figure_before_its_classs_worst():
    classes = {"BTC": "crypto", "WBTC": "crypto"}
    assert moves(["WBTC"], classes)["2021-05-19"]["WBTC"] == -0.589
    assert moves(["WBTC"], classes, groups={"WBTC": "BTC"})["2021-05-19"]["WBTC"] == -0.331


def test_another_name_for_the_same_thing_takes_its_figure_and_a_share_of_that_ticker_does_not():
    assert moves(["GOLD"], {"GOLD": "metals"})["2026-01-30"]["GOLD"] == -0.114
    assert moves(["GOLD"], {"GOLD": "equity"})["2026-01-30"]["GOLD"] == 0.0
    assert moves(["SOL"], {"SOL": "equity"})["2022-11-09"]["SOL"] == 0.0
    assert moves(["SOL"], {"SOL": "other"})["2022-11-09"]["SOL"] == -0.604


# --- through zero --------------------------------------------------------------------------------------------------

THROUGH_ZERO = {"any_domain": {"WTI", "NATGAS"}, "any_floor": {"WTI": 20.0, "NATGAS": 1.0}}
SIMPLE = (-37.63 - 18.27) / 18.27


@pytest.mark.parametrize("price", [71.2, 18.27, -5.0])
def test_oil_falls_by_what_it_fell_by_in_price_units_whatever_its_price(price):
    found = moves(["WTI"], index={"WTI": price}, **THROUGH_ZERO)["2020-04-20"]["WTI"]
    assert found * max(abs(price), 20.0) == pytest.approx(-55.90, rel=1e-12)


def test_others_of_its_class_move_by_the_simple_return_and_the_mirror_gains_at_most_200_percent():
    found = moves(["NATGAS", "WTI"], index={"NATGAS": 3.0, "WTI": 20.0}, **THROUGH_ZERO)
    assert found["2020-04-20"]["NATGAS"] == pytest.approx(SIMPLE)
    assert found["2020-04-20 mirrored"] == {"NATGAS": 2.0, "WTI": 2.0}


def test_positive_prices_lose_all_they_are_at_most():
    found = moves(["NATGAS", "WTI"], index={"NATGAS": 3.0, "WTI": 71.2})
    assert found["2020-04-20"]["NATGAS"] == -1.0
    assert found["2020-04-20"]["WTI"] == pytest.approx(-55.90 / 71.2)
    assert found["2020-04-20 mirrored"]["WTI"] == pytest.approx(55.90 / 71.2)
    assert moves(["WTI"], index={"WTI": 30.0})["2020-04-20"]["WTI"] == -1.0


def test_without_an_index_the_simple_return_is_taken():
    assert moves(["WTI"], **THROUGH_ZERO)["2020-04-20"]["WTI"] == pytest.approx(SIMPLE)


# --- squeezes, jumps, pegs -----------------------------------------------------------------------------------------


def test_squeezes_come_as_they_happened_only():
    found = moves(BOOK)
    assert found["2021-02-08 squeeze"]["BTC"] == 0.214
    assert found["2008-10-13 squeeze"]["NDX"] == 0.116
    assert found["2015-01-15 squeeze"]["EUR"] == -0.018
    assert not [name for name in found if "squeeze mirrored" in name]


def test_each_name_jumps_alone_both_ways_while_all_else_stands_still():
    found = moves(["BTC", "LINK", "SPX"])
    jumps = {name: move for name, move in found.items() if "alone" in name}
    assert jumps == {
        "BTC alone -25%": {"BTC": -0.25, "LINK": 0.0, "SPX": 0.0},
        "BTC alone +25%": {"BTC": 0.25, "LINK": 0.0, "SPX": 0.0},
        "LINK alone -40%": {"BTC": 0.0, "LINK": -0.4, "SPX": 0.0},
        "LINK alone +40%": {"BTC": 0.0, "LINK": 0.4, "SPX": 0.0},
        "SPX alone -10%": {"BTC": 0.0, "LINK": 0.0, "SPX": -0.1},
        "SPX alone +10%": {"BTC": 0.0, "LINK": 0.0, "SPX": 0.1},
    }


def test_a_group_jumps_as_one():
    classes = {"ETH": "crypto", "STETH": "crypto"}
    found = moves(["STETH", "ETH"], classes, groups={"STETH": "ETH"})
    assert {name for name in found if "alone" in name} == {"ETH alone -25%", "ETH alone +25%"}
    assert found["ETH alone -25%"] == {"STETH": -0.25, "ETH": -0.25}


def test_a_stable_coin_leaves_its_peg_with_what_it_backs_and_nothing_else():
    found = moves(["USDC", "DAI", "BTC"])
    assert found["USDC at 0.90"] == pytest.approx({"USDC": -0.10, "DAI": -0.10, "BTC": 0.0})
    assert found["USDC at 0.65"] == pytest.approx({"USDC": -0.35, "DAI": -0.35, "BTC": 0.0})
    assert found["DAI at 0.65"] == pytest.approx({"USDC": 0.0, "DAI": -0.35, "BTC": 0.0})


def test_what_is_backed_at_second_hand_falls_too():
    facts = StressFacts(backs={"USDC": ["DAI"], "DAI": ["USDS"], "USDS": ["USDC"]})
    found = moves(["USDC", "USDS"], dict.fromkeys(("USDC", "USDS"), "stablecoin"), facts)
    assert found["USDC at 0.90"] == pytest.approx({"USDC": -0.1, "USDS": -0.1})


def test_vols_are_held_and_every_scenario_counts_in_full():
    found = stressed(BOOK, BOOK, StressFacts())
    assert found.source == "stress"
    assert found.vol_factor is None
    assert (found.weight == 1).all()
    assert found.factors == tuple(BOOK)


# --- whatever the names --------------------------------------------------------------------------------------------

books = st.dictionaries(
    st.sampled_from(["BTC", "ETH", "SOL", "SPX", "WTI", "CL", "XAU", "USDC", "EUR", "AAPL", "?"]),
    st.sampled_from(ASSET_CLASSES),
    min_size=1,
)


@given(book=books, any_domain=st.booleans())
def test_joint_moves_of_a_name_do_not_depend_on_the_others(book, any_domain):
    domain = set(book) if any_domain else set()
    together = moves(book, book, any_domain=domain)
    for name in book:
        for scenario, move in moves([name], {name: book[name]}, any_domain=domain).items():
            assert together[scenario][name] == move[name]


@given(book=books, any_domain=st.booleans())
def test_no_mirror_gains_more_than_200_percent_and_no_positive_price_loses_more_than_all(book, any_domain):
    found = stressed(book, book, StressFacts(), any_domain=set(book) if any_domain else ())
    mirrored = [k for k, name in enumerate(found.ids) if name.endswith("mirrored")]
    assert found.move[:, mirrored].max() <= 2.0
    assert any_domain or found.move.min() >= -1.0
    plain = found.move[:, [k - 1 for k in mirrored]]
    opposite = np.minimum(-plain, 2.0)
    reached = found.move[:, mirrored]
    assert np.array_equal(reached[plain > -1.0], opposite[plain > -1.0])


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"crashes": {"d": {"BTC": -1.2}}}, "stress d, BTC: found a move of -120%"),
        ({"crashes": {"d": {"WTI": PriceMove(before=1.0, after=float("inf"))}}}, "stress d, WTI: found inf"),
        ({"squeezes": {"d": {"BTC": True}}}, "stress d, BTC: found True"),
        ({"jump_by_class": {"crypto": 0.1}}, "jump: found crypto; allowed: an entry for other"),
        ({"jump_by_name": {"BTC": 1.5}}, r"jump BTC: found 1\.5"),
        ({"depegs": [1.0]}, r"depeg: found 1\.0"),
    ],
)
def test_facts_that_cannot_be_are_refused(facts, message):
    with pytest.raises(InvalidMarket, match=message):
        StressFacts(**facts)


def test_a_name_of_no_class_is_refused():
    with pytest.raises(InvalidMarket, match="class of BTC: found None"):
        stressed(["BTC"], {}, StressFacts())
