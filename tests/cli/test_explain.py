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
    text = explained("silas-options", "demo", "--rules", "grid", "--scenario", "BTC price -32.0% extreme").out
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
        text = explained(account, "demo", "--scenario", "worst" if account != "paula-protected" else "2020-03-12").out
        assert "…" not in text
        assert max(len(line.rstrip()) for line in text.splitlines()) <= width


def test_the_most_likely_joint_breach_is_told_where_asked_for(explained):
    plain = explained("vega-options", "demo", "--json").document
    joint = explained("vega-options", "demo", "--joint", "--json").document
    breach = joint["accounts"][0].pop("most_likely_breach")
    assert joint == plain
    assert 0 < breach["lower_bound"] <= breach["distance"]
    assert set(breach["moves"]) == set(breach["vol_moves"]) == {"BTC"}
    text = explained("vega-options", "demo", "--joint").out
    assert f"{breach['distance']:.2f} standard deviations of a day away" in text
    assert f"none lies within {breach['lower_bound']:.2f}" in text
    assert "It is there now" in explained("milo-leverage", "demo", "--joint").out
    assert "No joint move" in explained("paula-protected", "demo", "--joint").out


def test_a_price_that_may_be_negative_is_told_as_moved_by_a_difference(explained):
    breach = explained("rosa-macro", "demo", "--joint", "--json").document["accounts"][0]["most_likely_breach"]
    then = f"{71.2 + breach['moves']['WTI']:,.4f}"
    (line,) = [
        line
        for line in explained("rosa-macro", "demo", "--joint").out.split("Most likely joint breach")[1].splitlines()
        if line.startswith("WTI")
    ]
    assert line.split()[2] == then.rstrip("0")


def test_how_much_more_can_be_ordered_is_told_for_both_sides(explained):
    arguments = ("harper-basis", "demo", "--max-order", "BTC-PERP", "--target", "0.5", "--limit", "64100")
    order = explained(*arguments, "--json").document["accounts"][0]["max_order"]
    assert (order["symbol"], order["target"], order["limit"], order["lot"]) == ("BTC-PERP", 0.5, 64100, 0.001)
    for side in ("buy", "sell"):
        assert order[side]["binding"] == "target"
        assert order[side]["utilization"] <= 0.5 < order[side]["utilization_beyond"]
        assert order[side]["quantity"] == round(order[side]["quantity"], 3) > 0
    text = explained(*arguments).out
    assert f"{order['sell']['quantity']:,.3f}" in text
    assert "More BTC-PERP at 64,100" in text
    assert "stays open" in text
    assert "is filled at once" in explained(*arguments, "--rules", "grid").out
    assert "above that now" in explained("milo-leverage", "demo", "--max-order", "ETH-PERP").out


def test_a_pool_orders_as_its_members_do(explained):
    pool = explained("vega", "demo", "--max-order", "BTC-PERP", "--joint", "--json").document["pools"][0]
    member = explained("vega-hedge", "demo", "--max-order", "BTC-PERP", "--joint", "--json").document["accounts"][0]
    assert pool["max_order"] == member["max_order"]
    assert pool["most_likely_breach"] == member["most_likely_breach"]


@pytest.mark.parametrize(
    "arguments", [["--max-order", "BTC-PERPS"], ["--max-order", "BTC-PERP", "--target", "0"]], ids=["symbol", "target"]
)
def test_an_order_that_cannot_be_is_refused(crossmargin, arguments):
    ran = crossmargin("explain", "iris", "demo", *arguments)
    assert (ran.code, ran.out) == (REFUSED, "")
    assert ran.err.startswith("error: ")


def test_collateral_that_takes_its_risk_along_may_go_beyond_what_is_available(explained, small_book):
    book = small_book(balances={"BTC": 10}, positions=[{"symbol": "BTC-PERP", "quantity": 1}])
    (entry,) = explained("alice", book, "--json").document["accounts"]
    assert entry["withdrawable"] > entry["available"] > 0
    text = explained("alice", book).out
    assert "of it can be withdrawn" not in text
    assert f"collateral worth {entry['withdrawable']:,.0f} can be withdrawn, for its own risk goes with it" in text
