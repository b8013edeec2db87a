"""A folder of deliberately wrong rule books: each is refused with file, key, what was found, what is allowed."""

import re
from pathlib import Path

import pytest

from crossmargin.errors import InvalidRules
from crossmargin.rules import parse

WRONG = Path(__file__).parent / "wrong"

# file: (place after the file's name, found, allowed or hint)
REFUSALS = {
    "a_fraction_twice": (": parameters.price_fractions.value[2]", "1 once more", "each number once"),
    "a_time_for_a_date": (": version", "the date 2026-11-20 08:00:00", "YYYY-MM-DD"),
    "another_models_key": (": parameters.taker_fee", "an unknown key", "for grid: range, "),
    "bad_date": (": version", "the text '2026-13-01'", "YYYY-MM-DD"),
    "bare_value": (": parameters.vol_up", "0.4", "a table with value, unit, source, reason"),
    "beyond_all_floats": (": parameters.vol_up.value", "infinity, or a number beyond all floats", "a number, above 0"),
    "beyond_all_integers": (": parameters.vol_up.value", "a number far too large", "a number, above 0"),
    "boolean_for_a_number": (": parameters.initial_factor.value", "the boolean true", "a number, 1 or more"),
    "call_level_below_one": (": parameters.call_level.value", "0.95", "1 or more"),
    "class_without_other": (": parameters.range.value", "no other", "a table with other in it"),
    "credit_below_one": (": parameters.credit.value.prime", "0.9", "1 or more"),
    "duplicate_key": (", line 4", "a key given twice", "each key once"),
    "duplicate_table": (", line 10", "a key given twice", "each key once"),
    "empty": ("", "no name", 'a line name = "..."'),
    "empty_source": (": parameters.vol_up.source", "0 characters", "text of 1 to"),
    "filter_as_text": (": parameters.filtered.value", "the text 'yes'", "true or false"),
    "grid_without_standing_still": (": parameters.price_fractions.value", "no 0", "0 among them"),
    "haircut_above_one": (": parameters.haircut.value.other", "1.2", "at most 1"),
    "haircut_boolean": (": parameters.haircut_by_name.value.BTC", "the boolean false", "a haircut from 0 to 1"),
    "haircut_negative": (": parameters.haircut_by_name.value.BTC", "-0.05", "0 or more"),
    "haircut_slice_of_three": (": parameters.haircut_by_name.value.BTC[0]", "a list", "up to quantity"),
    "haircut_slices_backwards": (": parameters.haircut_by_name.value.BTC[1]", "a bound of 50", "above 100"),
    "haircut_slices_ending": (": parameters.haircut_by_name.value.BTC[1][0]", "200", '"rest" for the last'),
    "haircut_slices_falling": (
        ": parameters.haircut_by_name.value.BTC[1]",
        "a haircut of 0.05 after 0.2",
        "do not fall",
    ),
    "infinity": (": parameters.vol_up.value", "infinity", "a number, above 0"),
    "initial_factor_below_one": (": parameters.initial_factor.value", "0.9", "1 or more"),
    "list_for_a_number": (": parameters.vol_up.value", "a list", "a number, above 0"),
    "lookback_shorter_than_minimum": (": parameters.lookback_days", "100", "at least minimum_days, 250"),
    "missing_head": ("", "no title", 'a line title = "..."'),
    "missing_parameter": (": parameters", "no range", "[parameters.range]"),
    "missing_source": (": parameters.vol_up", "no source", "a line source"),
    "missing_unit": (": parameters.vol_up", "no unit", "unit = 'fraction of the vol'"),
    "missing_value": (": parameters.vol_up", "no value", "a line value"),
    "missing_version": ("", "no version", 'a line version = "..."'),
    "model_of_another_book": (": model", "brackets", "grid, of the book it extends"),
    "nan": (": parameters.vol_up.value", "nan", "a number, above 0"),
    "negative_buffer": (": parameters.liquidation_buffer.value", "-0.05", "0 or more"),
    "number_for_a_list": (": parameters.price_fractions.value", "1", "a list"),
    "number_for_a_name": (": name", "7", "text"),
    "number_for_a_table": (": parameters.range.value", "0.2", "a table by asset class"),
    "parameters_not_a_table": (": parameters", "3", "tables [parameters.<key>]"),
    "percent": (": parameters.range.value.crypto", "20", "is 20 percent meant? write 0.2"),
    "portfolio_a_number_for_a_company": (": parameters.company_group.value.acme", "3", "a group of companies"),
    "portfolio_confidence_of_ninety_nine": (": parameters.confidence.value", "99", "is 99 percent meant? write 0.99"),
    "portfolio_group_buffer_above_buffer": (": parameters.buffer_by_group.BTC", "0.5", "from 0 to buffer, 0.25"),
    "portfolio_liquidity_without_volume": (": parameters.liquidity_by_name.value.BTC", "no adv", "{spread, adv, "),
    "portfolio_nothing_in_supply": (": parameters.supply.value.COIN", "0", "above 0"),
    "portfolio_offsets_above_all": (": parameters.offset_limit.value", "1.2", "at most 1"),
    "portfolio_own_token_twice": (": parameters.own_tokens.value[1]", "'VNU' once more", "each once"),
    "range_of_one": (": parameters.range.value.other", "1.0", "below 1"),
    "rates_maintenance_above_initial": (
        ": parameters.futures_by_underlying.value.BTC.maintenance",
        "0.03",
        "at most initial, 0.02",
    ),
    "rates_missing_key": (": parameters.options_by_underlying.value.BTC", "no initial_least", "initial_least"),
    "rates_unknown_key": (
        ": parameters.futures_by_underlying.value.BTC.maintenence",
        "an unknown key",
        "did you mean maintenance",
    ),
    "table_for_a_number": (": parameters.vol_up.value", "a table", "a number, above 0"),
    "text_for_a_number": (": parameters.vol_up.value", "the text '0.4'", "a number, above 0"),
    "tiers_empty": (": parameters.tiers_by_underlying.value.BTC", "an empty list", "a list of {above"),
    "tiers_falling_floor": (": parameters.tiers_by_underlying.value.BTC[1].above", "0 after 0", "floors that rise"),
    "tiers_falling_rate": (
        ": parameters.tiers_by_underlying.value.BTC[1].maintenance",
        "0.01 after 0.02",
        "rates that do not fall",
    ),
    "tiers_maintenance_above_initial": (
        ": parameters.tiers_by_underlying.value.BTC[0].maintenance",
        "0.02",
        "at most the initial rate 0.01",
    ),
    "tiers_missing_column": (": parameters.tiers_by_underlying.value.BTC[0]", "no maintenance", "{above, initial,"),
    "tiers_negative_rate": (": parameters.tiers_by_underlying.value.BTC[0].maintenance", "-0.02", "above 0"),
    "tiers_not_from_nothing": (": parameters.tiers_by_underlying.value.BTC[0].above", "10", "begins at nothing"),
    "tiers_unknown_column": (
        ": parameters.tiers_by_underlying.value.BTC[0].intial",
        "an unknown key",
        "did you mean initial?",
    ),
    "toml_syntax": (", line 5", "Expected ']'", "TOML"),
    "toml_unfinished": (", line 4", "Unterminated string", "TOML"),
    "unknown_choice": (": parameters.maintenance_on.value", "the text 'marks'", "mark or entry"),
    "unknown_class": (": parameters.range.value.cryto", "no asset class", "did you mean crypto?"),
    "unknown_credit_tier": (": parameters.credit.value.premium", "no credit tier", "prime, standard, basic"),
    "unknown_head": (": modell", "an unknown key", "did you mean model?"),
    "unknown_key": (": parameters.rnage", "an unknown key", "did you mean range"),
    "unknown_model": (": model", "the text 'gird'", "did you mean grid?"),
    "unknown_option_value": (": option_value", "the text 'exclude'", "did you mean excluded?"),
    "unknown_parent": (": extends", "'gird'", "did you mean grid?"),
    "unknown_part": (": parameters.vol_up.reasons", "an unknown key", "did you mean reason?"),
    "whole_number_with_a_fraction": (": parameters.lookback_days.value", "750.5", "a whole number, 1 or more"),
    "wrong_unit": (": parameters.vol_up.unit", "'percent'", "'fraction of the vol'"),
}


WITHOUT_A_LINE = {"empty", "missing_head", "missing_parameter", "missing_version"}
"""Nothing in the file is at fault: something is not there."""


def test_every_wrong_book_of_the_folder_has_its_refusal_and_every_refusal_its_book():
    assert {path.stem for path in WRONG.glob("*.toml")} == set(REFUSALS)


@pytest.mark.parametrize("name", sorted(REFUSALS))
def test_a_wrong_rule_book_is_refused_with_its_place_what_was_found_and_what_is_allowed(name):
    place, found, allowed = REFUSALS[name]
    path = WRONG / f"{name}.toml"
    with pytest.raises(InvalidRules) as refusal:
        parse(path.read_text(encoding="utf-8"), path.name)
    error = refusal.value
    file, line = re.fullmatch(r"(\w+\.toml)(?:, line (\d+))?.*", error.where).groups()
    assert (file, error.where) == (
        path.name,
        path.name + (f", line {line}" if line and place[:1] == ":" else "") + place,
    )
    assert (line is None) == (name in WITHOUT_A_LINE)
    if line and place[:1] == ":":
        # The key at fault stands on that line; one that is missing, in the list or table that does.
        at = path.read_text(encoding="utf-8").splitlines()[int(line) - 1]
        assert re.search(r"(\w+)[\[\]\d]*$", place)[1] in at or "{" in at or "[" in at
    assert error.found.startswith(found)
    assert allowed in f"{error.allowed} ({error.hint})"


@pytest.mark.parametrize("text", ["x = " + "[" * 100_000, "x = " + "1" * 10_000])
def test_texts_made_to_break_a_reader_are_refused(text):
    with pytest.raises(InvalidRules, match=r"book\.toml"):
        parse(text, "book.toml")
