"""The shipped reference set: drawn again, its distribution, its correlations, and moves made from it."""

import importlib.util
from itertools import combinations
from math import expm1, sqrt
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from crossmargin.errors import InvalidMarket
from crossmargin.instruments import ASSET_CLASSES
from crossmargin.scenarios import Vols, reference, reference_set, shipped
from crossmargin.scenarios.reference import draw, normals, student_t, uniforms

ROOT = Path(__file__).resolve().parents[2]
BOOK = {"BTC": "crypto", "ETH": "crypto", "SOL": "crypto", "SPX": "equity_index", "WTI": "energy", "EUR": "fx"}
UNIT = dict.fromkeys(BOOK, 1.0)


def of(names, classes=BOOK, vol_annual=UNIT, horizon_days=365, **more):
    """Moves at a vol of 1 over a year: log returns are then the standardized moves."""
    return reference(names, classes, vol_annual=vol_annual, horizon_days=horizon_days, **more)


# --- what ships ----------------------------------------------------------------------------------------------------


def test_the_shipped_set_is_what_the_generator_draws():
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "tools" / "make_reference.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    drawn = np.array([line.split(",")[1:] for line in generator.table().splitlines()[1:]], dtype=float)
    ships = reference_set()
    np.testing.assert_allclose(drawn.T, np.vstack((ships.tail, ships.move)), rtol=0, atol=1e-11)
    tail, move = draw(ships.classes)
    np.testing.assert_allclose(tail, ships.tail, rtol=0, atol=1e-12)
    np.testing.assert_allclose(move, ships.move, rtol=0, atol=1e-12)


def test_the_shipped_set_is_small_and_has_a_block_for_every_asset_class():
    folder = ROOT / "src" / "crossmargin" / "scenarios"
    assert (folder / "reference.csv").stat().st_size < 2**20
    assert reference_set().classes == ASSET_CLASSES
    assert reference_set().move.shape == (9, 1000)


@pytest.mark.parametrize("file", ["reference", "crashes"])
def test_every_shipped_fact_states_unit_source_and_reason(file):
    assert shipped.version(file) == "2026-11-20"
    for key, entry in shipped.entries(file).items():
        assert set(entry) == {"value", "unit", "source", "reason"}, key
        assert all(isinstance(entry[part], str) and entry[part] for part in ("unit", "source", "reason")), key


def test_every_asset_class_has_a_vol_a_within_correlation_and_a_jump():
    for file, key in (("reference", "vol_annual"), ("reference", "within"), ("crashes", "jump")):
        assert tuple(shipped.value(file, key)) == ASSET_CLASSES


def test_the_class_correlations_can_be_and_are_those_drawn():
    ships = reference_set()
    assert np.linalg.eigvalsh(ships.between).min() > 0.04
    np.testing.assert_allclose(np.corrcoef(ships.move), ships.between, atol=0.05)


# --- the distribution ----------------------------------------------------------------------------------------------


def test_the_values_are_slice_means_of_student_t_of_unit_variance():
    values = student_t(1000)
    t4 = stats.t(4, scale=1 / sqrt(2))
    for k in (1, 250, 500, 750, 990, 999):
        beyond = t4.expect(lambda x: x, lb=t4.ppf(k / 1000), ub=np.inf)
        assert values[k:].sum() / 1000 == pytest.approx(beyond, rel=1e-6)
    assert np.array_equal(values, -values[::-1])
    assert (np.diff(values) > 0).all()
    # The variance lost inside the slices is nearly all in the two outermost.
    assert 0.98 < (values**2).mean() < 1.0


def test_ten_rows_beyond_99_percent_have_the_expected_shortfall_of_the_distribution():
    """Of t with 4 degrees of freedom: f(q) (4 + q^2) / 3 / 0.01 at its 99% quantile, over root 2 for unit variance."""
    q = stats.t(4).ppf(0.99)
    wanted = stats.t(4).pdf(q) * (4 + q * q) / 3 / 0.01 / sqrt(2)
    assert student_t(1000)[-10:].mean() == pytest.approx(wanted, rel=1e-12)
    assert wanted == pytest.approx(3.6915, abs=1e-4)


def test_hashed_draws_are_uniform_and_normal():
    assert stats.kstest(uniforms("a test", 20_000), "uniform").pvalue > 0.01
    assert stats.kstest(normals("a test", 20_001), "norm").pvalue > 0.01
    assert uniforms("a test", 2)[1] != uniforms("another", 2)[1]


@given(name=st.text(min_size=1, max_size=12), asset_class=st.sampled_from(ASSET_CLASSES))
def test_every_name_takes_the_same_values_and_every_row_has_its_opposite(name, asset_class):
    (moves,) = reference_set().standardized([name], {name: asset_class})
    np.testing.assert_allclose(np.sort(moves), student_t(1000), rtol=1e-12)
    np.testing.assert_allclose(moves[500:], -moves[:500], rtol=1e-12)


def test_names_correlate_as_their_classes_say():
    ships = reference_set()
    classes = {f"{asset_class} {k}": asset_class for asset_class in ASSET_CLASSES for k in range(4)}
    sample = np.corrcoef(ships.standardized(classes, classes))
    errors = np.array(
        [
            sample[i, j] - ships.correlation(classes[one], classes[other])
            for (i, one), (j, other) in combinations(enumerate(classes), 2)
        ]
    )
    assert abs(errors.mean()) < 0.01
    assert errors.std() < 0.05
    assert np.abs(errors).max() < 0.2


def test_names_fall_together_in_the_tail_more_often_than_normal_draws_would():
    """All classes share the scale of a row. Normal draws of this correlation: about 5 in 1,000; independent: 2.5."""
    a, b = reference_set().standardized(["SPX", "BTC"], BOOK)
    worst = np.sort(a)[50]
    assert ((a < worst) & (b < worst)).sum() >= 10


# --- moves of names ------------------------------------------------------------------------------------------------


def test_a_move_is_the_standardized_one_times_vol_and_root_of_the_horizon_as_a_simple_return():
    standard = np.log1p(of(["BTC"]).move[0])
    scenarios = of(["BTC"], vol_annual={"BTC": 0.65}, horizon_days={"BTC": 2})
    np.testing.assert_allclose(scenarios.move[0], np.expm1(standard * 0.65 * sqrt(2 / 365)), rtol=1e-12)
    assert len(scenarios) == 1000
    assert scenarios.source == "reference"
    assert scenarios.vol_factor is None
    assert (scenarios.weight == 1).all()


def test_the_shortfall_of_one_long_can_be_worked_out_by_hand():
    """Vol 0.65, one day: sigma 3.402%; the ten worst values of the table, each as a simple return."""
    losses = [-expm1(x * 0.65 * sqrt(1 / 365)) for x in student_t(1000)[:10].tolist()]
    moves = of(["BTC"], vol_annual={"BTC": 0.65}, horizon_days=1).move[0]
    assert -np.sort(moves)[:10].mean() == pytest.approx(sum(losses) / 10, rel=1e-12)
    assert sum(losses) / 10 == pytest.approx(0.1173, abs=2e-4)


def test_where_prices_may_be_negative_moves_are_fractions_of_price_or_floor():
    standard = np.log1p(of(["WTI"]).move[0])
    scenarios = of(
        ["WTI", "BTC"],
        vol_annual={"WTI": 0.45, "BTC": 1.0},
        horizon_days=2,
        any_domain={"WTI"},
        any_floor={"WTI": 20.0},
    )
    np.testing.assert_allclose(scenarios.move[0], standard * 0.45 * sqrt(2 / 365), rtol=1e-12)
    assert scenarios.any_floor.tolist() == [20.0, 0.0]


@given(names=st.lists(st.sampled_from(sorted(BOOK)), unique=True, min_size=1))
def test_a_name_moves_the_same_whatever_else_is_asked_for(names):
    alone = {name: of([name]).move[0] for name in names}
    together = of(names)
    assert all(np.array_equal(together.move[k], alone[name]) for k, name in enumerate(names))


def test_a_staked_coin_moves_as_its_coin_at_its_own_horizon_and_vol():
    classes = {"ETH": "crypto", "STETH": "crypto"}
    scenarios = of(
        ["STETH", "ETH"], classes, vol_annual={"STETH": 0.65, "ETH": 0.65}, horizon_days=1, groups={"STETH": "ETH"}
    )
    assert np.array_equal(scenarios.move[0], scenarios.move[1])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": {}}, "class of BTC: found None; allowed: crypto"),
        ({"vol_annual": {}}, "vol_annual of BTC: found None"),
        ({"vol_annual": {"BTC": -1.0}}, r"vol_annual of BTC: found -1\.0"),
        ({"horizon_days": {}}, "horizon of BTC: found 0"),
        ({"horizon_days": True}, "horizon of BTC: found True"),
    ],
)
def test_what_a_move_cannot_be_made_of_is_refused(changes, message):
    with pytest.raises(InvalidMarket, match=message):
        of(["BTC"], **changes)


# --- vols ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "asset_class", "leader", "vol", "origin"),
    [
        ("WTI", "energy", "", 0.35, "book"),
        ("ETH", "crypto", "", 0.65, "name"),
        ("SOL", "crypto", "", 1.0, "crypto"),
        ("SPX", "equity_index", "", 0.20, "equity_index"),
        ("AAPL", "equity", "", 0.40, "equity"),
        ("XYZ", "other", "", 1.2, "other"),
        ("STETH", "crypto", "ETH", 0.65, "name"),
        ("STWTI", "energy", "WTI", 0.35, "book"),
    ],
)
def test_the_vol_is_the_books_else_by_name_else_by_class_else_other(name, asset_class, leader, vol, origin):
    used = Vols().of(name, asset_class, {"WTI": 0.35}, leader)
    assert (used.vol_annual, used.origin) == (vol, origin)


def test_a_well_known_name_of_no_declared_class_takes_the_strictest_vol():
    assert Vols().of("BTC", "other", {}).origin == "other"
    assert Vols().of("BTC", "other", {"BTC": 0.5}).origin == "book"


def test_a_class_the_rule_book_leaves_out_takes_the_vol_of_other():
    assert Vols(by_class={"other": 2.0}, by_name={}).of("BTC", "crypto", {}).vol_annual == 2.0


@pytest.mark.parametrize(
    ("by_class", "message"),
    [
        ({"crypto": 1.0}, "vol_annual: found crypto; allowed: an entry for other"),
        ({"other": 1.0, "cripto": 1.0}, "vol_annual cripto: found no asset class"),
        ({"other": -1.0}, "vol_annual other: found -1"),
        ({"other": float("nan")}, "vol_annual other: found nan"),
    ],
)
def test_vols_that_cannot_be_are_refused(by_class, message):
    with pytest.raises(InvalidMarket, match=message):
        Vols(by_class=by_class, by_name={})
