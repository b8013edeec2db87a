"""`crossmargin compare`: the same book under many rule books, as a table, a document and a page."""

import re
from html.parser import HTMLParser
from math import fsum

import pytest

REFUSED = 2
SOME = ("--rules", "grid", "--rules", "standard", "--rules", "brackets")


def test_every_rule_book_that_can_express_the_book_is_ranked_from_the_cheapest(crossmargin):
    document = crossmargin("compare", "demo", *SOME, "--json").document
    assert document["rules"] == "portfolio"
    assert list(document["refused"]) == ["brackets"]
    for entry in document["accounts"]:
        assert entry["base"] == "portfolio"
        margins = [row["maintenance_margin"] for row in entry["under"]]
        assert margins == sorted(margins)
        assert {row["rules"] for row in entry["under"]} == {"portfolio", "grid", "standard"}


def test_the_numbers_are_those_of_margin(crossmargin):
    compared = crossmargin("compare", "demo", "--rules", "grid", "--account", "silas-options", "--json").document
    ((entry,),) = (compared["accounts"],)
    for row in entry["under"]:
        alone = crossmargin("margin", "demo", "--rules", row["rules"], "--account", "silas-options", "--json").document
        told = alone["accounts"][0]
        for name in ("maintenance_margin", "initial_margin", "margin_balance", "haircut", "status"):
            assert row[name] == told[name]
        assert fsum(row["layers"].values()) == pytest.approx(row["maintenance_margin"], abs=1e-6)


def test_causes_are_said_in_a_sentence_for_every_rule_book_but_the_base(crossmargin):
    ran = crossmargin("compare", "demo", *SOME, "--account", "silas-options")
    assert ran.code == 0
    assert re.search(r"grid asks [\d,.]+ (more|less) than portfolio: .*", ran.out)
    assert "portfolio asks" not in ran.out
    assert "brackets cannot express this book" in ran.out


def test_a_member_is_told_of_by_its_pool(crossmargin):
    document = crossmargin("compare", "demo", "--rules", "grid", "--account", "vega-hedge", "--json").document
    assert [entry["id"] for entry in document["accounts"]] == ["vega"]


def test_an_account_there_is_none_of_is_refused(crossmargin):
    ran = crossmargin("compare", "demo", "--rules", "grid", "--account", "nobody")
    assert (ran.code, ran.out) == (REFUSED, "")
    assert "nobody" in ran.err


class Page(HTMLParser):
    """Collects what a page fetches, and its words."""

    def __init__(self):
        super().__init__()
        self.fetched, self.words, self.open = [], [], []

    def handle_starttag(self, tag, attrs):
        self.open.append(tag)
        self.fetched += [value for name, value in attrs if name in ("src", "href") and value]

    def handle_data(self, data):
        self.words.append(data)


def test_the_page_stands_alone_and_draws_every_rule_book(crossmargin, tmp_path):
    target = tmp_path / "report.html"
    ran = crossmargin("compare", "demo", *SOME, "--html", str(target))
    assert ran.code == 0
    text = target.read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.fetched == []
    assert "http" not in text
    assert page.open.count("svg") == text.count("<h2>") - 1
    assert {"portfolio", "grid", "standard"} <= set(page.words)


def test_names_are_no_markup_on_the_page(crossmargin, small_book, tmp_path):
    target = tmp_path / "report.html"
    assert crossmargin("compare", small_book(id="<b>x</b>"), "--rules", "grid", "--html", str(target)).code == 0
    text = target.read_text(encoding="utf-8")
    assert "<b>x</b>" not in text
    assert "&lt;b&gt;x&lt;/b&gt;" in text
