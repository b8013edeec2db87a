"""Rule books from TOML: the shipped ones, one's own, and what changes between two."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.book import CREDIT_TIERS
from crossmargin.collateral import HaircutPolicy, Tiers
from crossmargin.errors import InvalidRules
from crossmargin.instruments import ASSET_CLASSES, Asset
from crossmargin.margin.brackets import Brackets
from crossmargin.margin.brackets import Tiers as Ladder
from crossmargin.margin.grid import Grid
from crossmargin.margin.historical import Historical
from crossmargin.margin.standard_option import StandardOption
from crossmargin.rules import Rules, difference, load, parse, shipped
from crossmargin.rules.kinds import Table
from crossmargin.rules.loader import source_text
from crossmargin.rules.models import MODELS
from crossmargin.rules.reference import reference
from crossmargin.rules.schema import COMMON

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "reference" / "rule-books.md"

MINE = """
name = "mine"
version = 2026-12-01
extends = "grid"

[parameters.range]
value = { crypto = 0.25 }
unit = "fraction of the price"
source = "risk committee"

[parameters.vol_up]
value = 0.5
unit = "fraction of the vol"
source = "risk committee"

[parameters.call_level]
value = "none"
unit = "multiple of maintenance margin"
source = "risk committee"
"""


def parameter(rules, key):
    return next(p for p in rules.parameters if p.key == key)


# --- what ships ----------------------------------------------------------------------------------------------------


HOUSE = {"brackets": Brackets, "grid": Grid, "standard": StandardOption}
"""Our own books; the others are in the style of a venue or a clearing house, each with tests of its own."""


def test_the_house_books_ship_and_each_is_dated():
    assert HOUSE.keys() <= set(shipped())
    for name, model in HOUSE.items():
        assert type(load(name).model) is model
        assert load(name).version == "2026-11-20"


@pytest.mark.parametrize("name", shipped())
def test_a_shipped_book_is_named_like_its_file(name):
    assert load(name).name == name


def test_only_the_house_book_whose_requirement_contains_option_value_excludes_it():
    assert {name: load(name).option_value for name in HOUSE} == {
        "brackets": "equity",
        "grid": "equity",
        "standard": "excluded",
    }


@pytest.mark.parametrize("name", shipped())
def test_every_shipped_parameter_has_a_source_and_a_reason(name):
    told = load(name).parameters
    assert told
    assert [p.key for p in told if not p.source or not p.unit] == []
    assert [p.key for p in told if not p.reason and not p.key.startswith("transfer_vol.")] == []
    assert len({p.key for p in told}) == len(told)


def test_the_grid_has_the_published_defaults():
    rules = load("grid")
    shape = rules.model.shape
    assert shape.range_by_class == {
        "crypto": 0.20,
        "energy": 0.25,
        "equity": 0.15,
        "equity_index": 0.15,
        "fx": 0.06,
        "metals": 0.15,
        "rates": 0.05,
        "stablecoin": 0.0,
        "other": 0.35,
    }
    assert shape.range_by_name == {"BTC": 0.16, "ETH": 0.16}
    assert sorted(shape.price_fractions) == [-1.0, -2 / 3, -1 / 3, 0.0, 1 / 3, 2 / 3, 1.0]
    assert (shape.vol_up, shape.vol_down) == (0.45, 0.30)
    assert (shape.tenor.pivot_days, shape.tenor.short_power, shape.tenor.long_power) == (30.0, 0.30, 0.13)
    assert (shape.extreme_multiple, shape.extreme_weight) == (2.0, 0.35)
    assert (rules.model.short_option_minimum, rules.model.initial_factor) == (0.005, 1.25)
    assert (rules.call_level, rules.liquidation_buffer) == (1.10, 0.05)
    assert rules.credit_factors.tolist() == [1.0, 1.0, 1.25]


@pytest.mark.parametrize("name", HOUSE)
@pytest.mark.parametrize(
    ("asset", "haircut"),
    [("USD", 0.0), ("USDC", 0.01), ("BTC", 0.05), ("ETH", 0.05), ("SOL", 0.20), ("EUR", 0.20), ("NOBODYKNOWS", 0.20)],
)
def test_the_shipped_haircuts_are_the_published_ones(name, asset, haircut):
    tiers = load(name).haircuts.tiers(Asset(symbol=asset), "USD")
    assert float(tiers.counted(1000.0)) == pytest.approx(1000 * (1 - haircut), rel=1e-15)


def test_the_standard_book_has_the_published_coin_rates():
    model = load("standard").model
    btc, sol = model.futures_by_underlying["BTC"], model.futures_by_underlying["SOL"]
    assert (btc.initial, btc.maintenance, btc.initial_per_unit) == (0.02, 0.01, 0.00005)
    assert (sol.initial, sol.maintenance, sol.maintenance_per_unit) == (0.04, 0.02, 0.000005)
    option = model.options_by_underlying["ETH"]
    assert (option.initial, option.initial_least, option.call_maintenance) == (0.15, 0.10, 0.075)
    assert (option.put_maintenance, option.put_maintenance_of_value) == (0.075, 0.075)


def test_no_class_is_treated_more_kindly_than_other():
    grid, brackets, standard = (load(name).model for name in ("grid", "brackets", "standard"))
    for name in ASSET_CLASSES:
        assert grid.shape.range_by_class[name] <= grid.shape.range_by_class["other"]
        for size in (0.0, 1e4, 1e6, 1e8, 1e10):
            ours, strictest = (brackets.tiers_by_class[key] for key in (name, "other"))
            assert ours.maintenance(size) <= strictest.maintenance(size)
            assert ours.initial(size) <= strictest.initial(size)
        assert standard.futures_by_class[name].maintenance <= standard.futures_by_class["other"].maintenance
        assert standard.options_by_class[name].initial <= standard.options_by_class["other"].initial


@given(notional=st.floats(0, 1e10), more=st.floats(0, 1e9))
def test_the_shipped_ladders_are_continuous_and_never_fall(notional, more):
    for tiers in (*load("brackets").model.tiers_by_class.values(), load("brackets").model.tiers_by_underlying["BTC"]):
        low, high = tiers.maintenance(notional), tiers.maintenance(notional + more)
        assert low <= high <= low + more


def test_a_name_that_does_not_ship_is_refused_with_the_nearest():
    with pytest.raises(InvalidRules, match=r"rule book: found 'gird'.*did you mean grid\?"):
        load("gird")


def test_the_wheel_takes_the_shipped_books_along():
    wheel = pytest.importorskip("hatchling.builders.wheel")
    inside = {entry.distribution_path for entry in wheel.WheelBuilder(str(ROOT)).recurse_included_files()}
    assert {f"crossmargin/rules/profiles/{name}.toml" for name in shipped()} <= inside


# --- one's own -----------------------------------------------------------------------------------------------------


def test_a_book_changes_what_it_names_and_keeps_the_rest_of_its_parent():
    mine, grid = parse(MINE, "mine.toml"), load("grid")
    assert (mine.name, mine.version, mine.title) == ("mine", "2026-12-01", grid.title)
    assert mine.model.shape.range_by_class == {**grid.model.shape.range_by_class, "crypto": 0.25}
    assert mine.model.shape.vol_up == 0.5
    assert mine.model.shape.vol_down == grid.model.shape.vol_down
    assert mine.call_level is None
    assert parameter(mine, "range.crypto").source == "risk committee"
    assert parameter(mine, "range.fx").source == parameter(grid, "range.fx").source


def test_an_extension_may_repeat_its_parents_model_and_restate_its_heads():
    mine = parse('model = "grid"\ntitle = "Ours"\noption_value = "excluded"\n' + MINE, "mine.toml")
    assert (mine.title, mine.option_value) == ("Ours", "excluded")


def test_tables_given_entry_by_entry_and_inline_are_the_same_book():
    inline = 'name = "a"\nversion = "2026-11-20"\nextends = "grid"\n[parameters.credit]\n'
    inline += 'unit = "multiple of initial margin"\nsource = "s"\n'
    one = parse(inline + "value = { basic = 2 }\n", "one.toml")
    other = parse(inline + "[parameters.credit.value]\nbasic = 2.0\n", "other.toml")
    assert difference(one, other) == ()
    assert one.credit_factors.tolist() == [1.0, 1.0, 2.0]


@pytest.mark.parametrize("name", shipped())
def test_a_copy_of_a_shipped_book_is_that_book(name):
    text = source_text(name)
    assert difference(load(name), parse(text, "copy.toml")) == ()
    assert difference(load(name), parse("\ufeff" + text.replace("\n", "\r\n"), "windows.toml")) == ()


def test_haircuts_may_be_slices_up_to_the_rest():
    text = 'name = "a"\nversion = "2026-11-20"\nextends = "grid"\n[parameters.haircut_by_name]\nsource = "s"\n'
    text += 'unit = "fraction of the quantity held"\nvalue = { BTC = [[100, 0.05], ["rest", 0.20]] }\n'
    rules = parse(text, "a.toml")
    assert float(rules.haircuts.tiers(Asset(symbol="BTC"), "USD").counted(150.0)) == 100 * 0.95 + 50 * 0.8
    assert parameter(rules, "haircut_by_name.BTC").text == "100, 0.05; rest, 0.2"
    assert float(rules.haircuts.tiers(Asset(symbol="ETH"), "USD").counted(10.0)) == 9.5


def test_the_historical_book_of_the_page_is_a_rule_book():
    text = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)[1]
    rules = parse(text, "history.toml")
    assert isinstance(rules.model, Historical)
    assert (rules.model.measure, rules.model.confidence, rules.model.filtered) == ("es", 0.99, True)
    assert rules.model.horizon_days == {"crypto": 1, "stablecoin": 1, "other": 2}
    assert rules.call_level is None


# --- what changes --------------------------------------------------------------------------------------------------


def test_the_difference_of_two_books_is_what_changed_and_nothing_else():
    changes = difference(load("grid"), parse(MINE, "mine.toml"))
    assert {change.key: (change.before, change.after) for change in changes} == {
        "version": ("2026-11-20", "2026-12-01"),
        "range.crypto": (0.20, 0.25),
        "vol_up": (0.45, 0.5),
        "call_level": (1.10, "none"),
    }
    assert difference(load("grid"), load("grid")) == ()


def test_the_difference_of_two_models_shows_what_either_does_not_have():
    changes = {change.key: change for change in difference(load("grid"), load("brackets"))}
    assert (changes["model"].before, changes["model"].after) == ("grid", "brackets")
    assert (changes["vol_up"].before, changes["vol_up"].after) == (0.45, None)
    assert (changes["taker_fee"].before, changes["taker_fee"].after) == (None, 0.0005)
    assert "liquidation_buffer" not in changes


# --- in code -------------------------------------------------------------------------------------------------------


def in_code(**changes):
    ladder = Ladder.flat(maintenance_rate=0.01, initial_rate=0.02)
    fields = {
        "name": "mine",
        "version": "2026-11-20",
        "model_name": "brackets",
        "model": Brackets(tiers_by_class={"other": ladder}),
        "liquidation_buffer": 0.05,
        "haircuts": HaircutPolicy(by_class={"other": Tiers.flat(0.1)}),
    }
    return Rules(**{**fields, **changes})


def test_rules_may_be_built_in_code():
    rules = in_code(credit={"basic": 1.5})
    assert rules.credit_factors.tolist() == [1.0, 1.0, 1.5]
    assert rules.call_level is None
    assert rules.parameters == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "soon"}, "rule book mine, version: found the text 'soon'"),
        ({"option_value": "none"}, "rule book mine, option_value: found 'none'; allowed: equity or excluded"),
        ({"call_level": 0.9}, "rule book mine, call_level: found 0.9; allowed: 1 or more"),
        ({"call_level": float("nan")}, "call_level: found nan"),
        ({"liquidation_buffer": -0.1}, "liquidation_buffer: found -0.1"),
        ({"liquidation_buffer": float("inf")}, "liquidation_buffer: found inf"),
        ({"credit": {"basic": 0.5}}, r"credit\.basic: found 0.5; allowed: 1 or more"),
        ({"credit": {"gold": 1.0}}, "credit: found 'gold'; allowed: prime, standard, basic"),
    ],
)
def test_rules_built_in_code_are_checked_too(changes, message):
    with pytest.raises(InvalidRules, match=message):
        in_code(**changes)


# --- the page ------------------------------------------------------------------------------------------------------


def test_the_reference_page_is_what_ships():
    assert PAGE.read_text(encoding="utf-8") == reference(), "run: python -m crossmargin.rules.reference > the page"


def test_every_rule_book_on_the_page_is_one():
    books = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), flags=re.S)
    assert [parse(text, "page").name for text in books] == ["mine", "history"]


def test_every_parameter_of_the_schema_is_on_the_page_with_its_unit():
    page = PAGE.read_text(encoding="utf-8")
    for entry in (*COMMON, *(entry for model in MODELS.values() for entry in model.entries)):
        assert re.search(rf"\| `{entry.key}`[^|]*\|.*\| {re.escape(entry.unit)} \|", page)


def test_credit_tables_ask_for_every_tier():
    kinds = [entry.kind for entry in COMMON if entry.key.startswith("credit")]
    assert all(isinstance(kind, Table) and kind.required == CREDIT_TIERS for kind in kinds)
    assert np.all(load("grid").credit_factors >= 1)
