"""Every key of a TOML text is found on its line, however it is written."""

import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from crossmargin.errors import InvalidRules
from crossmargin.rules import parse, shipped
from crossmargin.rules.lines import line_of, lines_of, written

WHOLE = """\
# [not.a.table] key = 1
name = "a # b = [c]"  # comment = 2
'quoted.key' = 'x'
text = \"\"\"
[also.no.table]
fake = "\\\\\\"" \"\"\"
after = '''one
two'''

[parameters.haircut]  # [x]
value = { other = 0.1, "BTC/USDT:USDT" = [ # a comment, with ] in it
  [100, 0.05],
  ["rest", 0.2],
], ETH = { a.b = 1 } }
unit = "u"

[[rows]]
x = 1
[[rows]]
x = 2
dotted . key = 1979-05-27
"""

LINES = {
    "name": 2,
    "quoted.key": 3,
    "text": 4,
    "after": 7,
    "parameters.haircut": 10,
    "parameters.haircut.value": 11,
    "parameters.haircut.value.other": 11,
    "parameters.haircut.value.BTC/USDT:USDT": 11,
    "parameters.haircut.value.BTC/USDT:USDT[0]": 12,
    "parameters.haircut.value.BTC/USDT:USDT[0][0]": 12,
    "parameters.haircut.value.BTC/USDT:USDT[0][1]": 12,
    "parameters.haircut.value.BTC/USDT:USDT[1]": 13,
    "parameters.haircut.value.BTC/USDT:USDT[1][0]": 13,
    "parameters.haircut.value.BTC/USDT:USDT[1][1]": 13,
    "parameters.haircut.value.ETH": 14,
    "parameters.haircut.value.ETH.a.b": 14,
    "parameters.haircut.unit": 15,
    "rows[0]": 17,
    "rows[0].x": 18,
    "rows[1]": 19,
    "rows[1].x": 20,
    "rows[1].dotted.key": 21,
}


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
def test_every_key_of_a_tricky_text_is_on_its_line(ends):
    text = WHOLE.replace("\n", ends)
    tomllib.loads(text)
    assert {written(path): line for path, line in lines_of(text).items()} == LINES


def leaves(value, path=()):
    """Yield every path of a parsed document."""
    if isinstance(value, dict | list):
        for key, item in value.items() if isinstance(value, dict) else enumerate(value):
            yield (*path, key), item
            yield from leaves(item, (*path, key))


@pytest.mark.parametrize("name", shipped())
def test_every_key_the_parser_finds_in_a_shipped_book_has_a_line_that_shows_it(name):
    text = (files("crossmargin.rules") / "profiles" / f"{name}.toml").read_text(encoding="utf-8")
    lines, source = lines_of(text), text.splitlines()
    for path, item in leaves(tomllib.loads(text)):
        if path not in lines:
            # A table that only its parts are written of.
            assert isinstance(item, dict)
            continue
        shown = source[lines[path] - 1]
        assert str(path[-1]) in shown if isinstance(path[-1], str) else str(item)[:1] in shown or "{" in shown


@pytest.mark.parametrize(
    ("place", "line"),
    [
        ("parameters.haircut.value.BTC/USDT:USDT[1][0]", 13),
        ("parameters.haircut.value.BTC/USDT:USDT[7]", 11),
        ("parameters.haircut.BTC/USDT:USDT[1]", 13),
        ("parameters.haircut.value.BTCX", 11),
        ("parameters.haircut.source", 10),
        ("rows[1].dotted", 19),
        ("parameters", None),
        ("parameters.hair", None),
        ("names", None),
    ],
)
def test_a_place_is_on_the_line_of_what_of_it_is_written(place, line):
    assert line_of(place, lines_of(WHOLE)) == line


def test_a_table_that_only_its_parts_are_written_of_is_on_the_line_of_the_first():
    with pytest.raises(
        InvalidRules, match=r"^x\.toml, line 2: prameters: found an unknown key.*did you mean parameters"
    ):
        parse('name = "x"\n[prameters.range]\nvalue = 1\n', "x.toml")


def test_an_error_names_the_line_where_there_is_one():
    text = Path(__file__).with_name("wrong").joinpath("percent.toml").read_text(encoding="utf-8")
    with pytest.raises(InvalidRules, match=r"^x\.toml, line \d+: parameters\.range\.value\.crypto"):
        parse(text, "x.toml")
    heads = {"name": "x", "version": "2026-01-01", "title": "t", "model": "grid", "option_value": "equity"}
    text = "\n".join(f'{key} = "{value}"' for key, value in {**heads, "source": "s"}.items())
    with pytest.raises(InvalidRules, match=r"^x\.toml: parameters: found no range"):
        parse(text, "x.toml")
