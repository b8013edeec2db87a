"""`explain`: every list adds up, whichever way the account is named."""

from math import fsum

import pytest

from crossmargin.cli.entrance import REFUSED


@pytest.fixture
def explained(crossmargin):
    def run(*arguments):
        ran = crossmargin("explain", *arguments)
        assert ran.code == 0, ran.err
        return ran

    return run


ACCOUNTS = (
    "harper-basis", "iris", "milo-leverage", "ned-after-the-gap", "paula-protected", "rosa-macro", "silas-options",
    "vega", "vega-hedge", "vega-options",
)  # fmt: skip


def amount_after(text, label):
    """Return the last figure of the line that starts with `label`."""
    (line,) = [line for line in text.splitlines() if line.startswith(label)]
    return float(line.split()[-1].replace(",", ""))


def test_account_and_book_may_be_said_in_any_order(explained):
    plain = explained("silas-options", "demo").out
    assert explained("demo", "silas-options").out == plain
    assert explained("demo", "--account", "silas-options").out == plain


@pytest.mark.parametrize("account", ACCOUNTS)
@pytest.mark.parametrize("rules", ["grid", "standard"])
def test_what_it_has_adds_up_line_by_line(explained, account, rules):
    text = explained(account, "demo", "--rules", rules).out
    labels = (
        "balances at the mark",
        "unrealized profit and loss",
        "value of options  ",
        "accrued funding",
    )
    parts = [amount_after(text, label) for label in labels if f"\n{label}" in text]
    net_value, equity = amount_after(text, "= net value"), amount_after(text, "= equity")
    assert fsum(parts) == pytest.approx(net_value, abs=len(parts))
    assert net_value + amount_after(text, "haircut") == pytest.approx(equity, abs=2)
    if "\n= margin balance" in text:
        without = equity + amount_after(text, "value of options, which")
        assert without == pytest.approx(amount_after(text, "= margin balance"), abs=2)


@pytest.mark.parametrize("account", ACCOUNTS)
def test_the_account_is_said_to_stand_as_the_document_says(explained, account):
    ran = explained(account, "demo", "--json").document
    (entry,) = [entry for entry in (*ran["accounts"], *ran["pools"]) if entry["id"] == account]
    text = explained(account, "demo").out
    assert text.split(": ", 1)[1].startswith(entry["status"])


@pytest.mark.parametrize("account", [name for name in ACCOUNTS if name not in ("paula-protected",)])
def test_the_worst_scenario_makes_the_loss_the_requirement_names(explained, account):
    document = explained(account, "demo", "--scenario", "worst", "--json").document
    entry = (document["pools"] or document["accounts"])[0]
    scenario = document["scenario"]
    assert scenario["id"] == entry["worst_scenario"]["id"]
    assert scenario["pnl"] == fsum(row["pnl"] for row in scenario["rows"])
    assert scenario["loss"] == pytest.approx(entry["worst_scenario"]["loss"], rel=1e-9)


def test_a_scenario_shows_what_every_position_makes(explained):
    text = explained(
        "silas-options", "demo", "--rules", "grid", "--scenario", "BTC price -32.0% extreme"
    ).out
    assert "Scenario BTC price -32.0% extreme" in text
    assert "35% of a loss in it counts" in text
    assert amount_after(text, "= profit or loss") < 0


def test_an_unknown_scenario_is_refused_with_the_nearest(crossmargin):
    ran = crossmargin("explain", "silas-options", "demo", "--rules", "grid", "--scenario", "BTC price +16% vol up")
    assert ran.code == REFUSED
    assert "did you mean BTC price +16.0% vol up" in ran.err


def test_a_rule_book_without_scenarios_says_so(crossmargin):
    for scenario in ("worst", "BTC price +16.0% vol up"):
        ran = crossmargin("explain", "rosa-macro", "demo", "--rules", "standard", "--scenario", scenario)
        assert ran.code == REFUSED
        assert "standard" in ran.err


def test_pools_isolated_positions_and_ways_back_are_told(explained):
    member = explained("vega-hedge", "demo").out
    assert "What the pool vega must have" in member
    assert "is its share" in member
    assert "Isolated positions" in explained("iris", "demo").out
    assert "healthy again" in explained("milo-leverage", "demo").out


@pytest.mark.parametrize(
    "arguments",
    [["silas-options"], ["nobody", "demo"], ["silas-options", "demo", "--account", "iris"], ["demo", "demo"]],
    ids=["no book", "no such account", "two accounts", "no account"],
)
def test_what_cannot_be_explained_is_refused(crossmargin, arguments):
    ran = crossmargin("explain", *arguments)
    assert (ran.code, ran.out) == (REFUSED, "")
    assert ran.err.startswith("error: ")


@pytest.mark.parametrize("width", [80, 100])
def test_no_figure_is_cut_on_a_narrow_page(explained, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    for account in ACCOUNTS:
        text = explained(
            account, "demo", "--scenario", "worst" if account != "paula-protected" else "2020-03-12"
        ).out
        assert "…" not in text
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width
