"""SPAN files: both ways of writing them, what becomes of them, and errors exact to the line and the column."""

import pytest

from crossmargin.book import Account, Book, Position
from crossmargin.errors import InvalidFile
from crossmargin.rules import parse
from crossmargin.standing import evaluate
from crossmargin.venues import import_span
from tests.venues import span_files
from tests.venues.span_files import array, commodity, future_losses, header, line, lines, product, spn, terms

KINDS = ("pa2", "spn")


def written(tmp_path, text, kind="pa2"):
    path = tmp_path / f"own.{kind}"
    path.write_text(text if isinstance(text, str) else "\n".join(text) + "\n", encoding="latin-1")
    return path


@pytest.fixture(params=KINDS)
def imported(request, tmp_path):
    return import_span(written(tmp_path, spn() if request.param == "spn" else lines(), request.param))


def margin(imported, positions):
    account = Account(id="a", positions=[Position(symbol=s, quantity=q) for s, q in positions.items()])
    rules = parse(imported.rules, "rules.toml")
    standing = evaluate(Book.of([account], imported.instruments, currency="USD"), imported.market, rules)
    return float(standing.maintenance_margin[0]), dict(standing.requirement.terms.of_pool(0))


def test_contracts_prices_and_forwards_come_out_of_either_way_of_writing(imported):
    assert [i.symbol for i in imported.instruments] == ["AA-202603", "AA-202606", "AAO-202603-4100-C", "BB-202603"]
    option = imported.instruments[2]
    assert (option.underlying, option.contract_size, option.strike, option.exercise) == ("AAC", 50, 4100, "european")
    assert imported.instruments[0].asset_class == "equity_index"
    market = imported.market
    assert market.prices == {"AAC": 4040.0, "BBC": 1000.0}
    assert market.marks["AA-202606"].price == 4080
    assert market.marks["AAO-202603-4100-C"].price == pytest.approx(121.02)
    assert market.forwards["AAC"] == {option.expiry.date(): 4040.0}
    assert market.rates == {"USD": pytest.approx(0.03)}
    assert imported.report[0].startswith("4 contracts of 2 commodities, 4 of them live at 2026-01-02T21:00:00Z")


def test_both_ways_of_writing_give_one_rule_book(tmp_path):
    texts = [
        import_span(written(tmp_path, text, kind)).rules for kind, text in zip(KINDS, (lines(), spn()), strict=True)
    ]
    plain = [
        [row for row in text.replace("own.pa2", "FILE").replace("own.spn", "FILE").splitlines() if row]
        for text in texts
    ]
    assert plain[0] == plain[1]


def test_a_future_owes_its_array_and_its_delivery_rate(imported):
    assert margin(imported, {"AA-202603": 2}) == (
        pytest.approx(2 * 10_000 + 2 * 300),
        pytest.approx({"scan AAC": 20_000, "delivery AAC": 600}),
    )
    assert margin(imported, {"AA-202606": -1})[0] == pytest.approx(10_000)


def test_a_calendar_owes_its_charge_and_what_is_near_delivery_the_rate_in_spreads(imported):
    total, parts = margin(imported, {"AA-202603": 3, "AA-202606": -3})
    assert parts == pytest.approx({"calendar spreads AAC": 1200, "delivery AAC": 300})
    assert total == pytest.approx(1500)


def test_commodities_on_opposite_sides_share_the_credit(imported):
    total, parts = margin(imported, {"AA-202606": 1, "BB-202603": -5})
    assert parts == pytest.approx(
        {"scan AAC": 10_000, "scan BBC": 5_000, "spread credit AAC": -6_000, "spread credit BBC": -3_000}
    )
    assert total == pytest.approx(6_000)


def test_an_option_owes_by_its_array_and_at_least_the_minimum(imported):
    losses = span_files.call_losses(**span_files.CALL, psr=200, size=50)
    _, parts = margin(imported, {"AAO-202603-4100-C": -2})
    assert parts["scan AAC"] == pytest.approx(-2 * round(min(losses)))
    # A future hedges its delta, and is in the same delivery month: 1 - 0.4321 of it is left.
    _, hedged = margin(imported, {"AAO-202603-4100-C": -1, "AA-202603": 1})
    assert hedged["delivery AAC"] == pytest.approx(300 * (1 - 0.4321), rel=1e-6)
    exact = parse(imported.rules, "rules.toml").model
    assert exact.short_minimum_by_underlying["AAC"] * 4040 * 50 == pytest.approx(75)


def test_revaluation_of_the_market_comes_near_the_arrays_of_the_file(imported):
    import numpy as np

    rules = parse(imported.rules, "rules.toml")
    account = Account(id="a", positions=[Position(symbol=i.symbol, quantity=1) for i in imported.instruments])
    standing = evaluate(Book.of([account], imported.instruments, currency="USD"), imported.market, rules)
    rows = np.arange(4)
    given = rules.model.risk_arrays(standing.valuation, rows)
    from dataclasses import replace

    vols = replace(rules.model, arrays={}, vol_range_by_class={"other": 0.25})
    found = vols.risk_arrays(standing.valuation, rows)
    # The option's arrays were made undiscounted; the market says 3%.
    np.testing.assert_allclose(found, given, rtol=0.02, atol=150)
    np.testing.assert_allclose(found[0], given[0], rtol=1e-3, atol=1.0)


def test_wide_arrays_exponents_and_negative_prices_are_read(tmp_path):
    rows = [
        header(),
        product("CL", "FUT", size=1000, quoted="STD"),
        commodity("CLC", [("CL", "FUT")], exponent=1),
        terms("CL", "FUT", "202602", expiry="20260220"),
        *array("CL", "FUT", future="202602", losses=future_losses(900, 1), price=-37.63, delta=1.0, digits=8),
    ]
    found = import_span(written(tmp_path, rows))
    (future,) = found.instruments
    assert future.price_domain == "any"
    assert found.market.marks["CL-202602"].price == -37.63
    model = parse(found.rules, "rules.toml").model
    assert model.arrays["CL-202602"][10] == 9000
    assert found.market.prices == {"CLC": -37.63}


def test_the_high_precision_price_comes_first_where_it_is_flagged(tmp_path):
    rows = lines()
    first = next(k for k, row in enumerate(rows) if row.startswith("81"))
    long_price = "00000000404025"
    rows[first] = rows[first][:108] + long_price + "Y" + rows[first][123:]
    assert import_span(written(tmp_path, rows)).market.marks["AA-202603"].price == 4040.25


def test_what_is_not_used_is_told(tmp_path):
    rows = lines()
    rows.insert(6, product("TY", "FUT", size=1000, align="KK"))
    rows.insert(8, commodity("TYC", [("TY", "FUT")]))
    at = len(rows) - 3
    rows[at:at] = [
        *array("TY", "FUT", future="202603", losses=future_losses(1, 1000), price=110.0, delta=1.0),
        *array("BB", "FUT", future="202512", losses=future_losses(50, 20), price=990.0, delta=1.0),
        *array("BB", "FUT", future="202609", losses=future_losses(50, 20), price=1010.0, delta=1.0),
    ]
    told = "\n".join(import_span(written(tmp_path, rows)).report)
    assert "Quoted in fractions, left out: TY." in told
    assert "2 contracts without a settlement day: taken as the last of their month." in told
    assert "Expired by then, listed without a mark: BB-202512." in told
    assert "Spread AAC-BBC of priority 2, formed by tiers, not used." in told


def test_the_file_of_the_command_line_becomes_a_folder_that_margins(tmp_path):
    from crossmargin.cli.entrance import run

    path = written(tmp_path, lines())
    assert run(["import", "span", str(path), "--out", str(tmp_path / "own")]) == 0
    folder = tmp_path / "own"
    (folder / "accounts.csv").write_text("id\na\n")
    (folder / "positions.csv").write_text("account,symbol,quantity\na,AA-202603,1\na,AA-202606,-1\n")
    (folder / "balances.csv").write_text("account,asset,amount\na,USD,1000\n")
    assert run(["margin", str(folder), "--rules", str(folder / "rules.toml"), "--json"]) == 0


# --- wrong files


def column(rows, number, first, text):
    """Return the rows with a text written into one line, both counted from 1."""
    found = list(rows)
    row = found[number - 1]
    found[number - 1] = row[: first - 1] + text + row[first - 1 + len(text) :]
    return found


def numbered(kind, rows=None):
    """Return the number of the first line of a kind."""
    return next(k for k, row in enumerate(rows or lines(), 1) if row.startswith(kind))


ARRAY = numbered("81")

WRONG_COLUMNS = [
    ([], "own.pa2", "an empty file"),
    (lines()[1:], "line 1, columns 1 to 2", "the header of a SPAN file"),
    (column(lines(), 1, 9, "20260231"), "line 1, columns 9 to 16", "'20260231'"),
    (column(lines(), 1, 36, "U "), "line 1, columns 36 to 37", "U2"),
    (column(lines(), 3, 1, "@@"), "line 3, columns 1 to 2", "'@@'"),
    (column(lines(), 2, 11, "00011X0000"), "line 2, columns 11 to 20", "'00011X0000'"),
    (column(lines(), 4, 42, "0" * 14), "line 4, columns 42 to 55", "above 0"),
    (column(lines(), 4, 66, "   "), "line 4, columns 66 to 68", "a currency"),
    (column(lines(), 4, 76, "ASIA"), "line 4, columns 76 to 79", "AMER, EURO"),
    (column(lines(), 8, 13, "202613"), "line 8, columns 13 to 18", "'202613'"),
    (column(lines(), 8, 3, "ZZZ"), "line 8, columns 3 to 8", "a combined commodity"),
    (column(lines(), 9, 63, "00000x5"), "line 9, columns 63 to 69", "'00000x5'"),
    (column(lines(), 10, 28, "C"), "line 10, column 28", "A or B"),
    (column(lines(), 10, 15, "       "), "line 10, columns 15 to 21", "nothing"),
    (column(lines(), ARRAY, 60, "*"), f"line {ARRAY}, column 60", "'*'"),
    (column(lines(), ARRAY, 55, "12A45"), f"line {ARRAY}, columns 55 to 59", "'12A45'"),
    (column(lines(), ARRAY, 6, "QQ"), f"line {ARRAY}, columns 6 to 28", "a product that a record of kind 2"),
    (column(lines(), ARRAY + 1, 30, "202609"), f"line {ARRAY + 1}, columns 3 to 54", f"line {ARRAY}"),
    (column(lines(), ARRAY + 1, 97, "     "), f"line {ARRAY + 1}, columns 97 to 101", "nothing"),
    ([*lines()[:ARRAY], *lines()[ARRAY + 1 :]], f"line {ARRAY + 1}, columns 1 to 2", f"the array on line {ARRAY}"),
    (lines()[:ARRAY], f"line {ARRAY}, columns 1 to 2", "its second half"),
    ([*lines()[: ARRAY - 1], *lines()[ARRAY:]], f"line {ARRAY}, columns 1 to 2", "on the line before"),
    ([*lines(), *lines()[ARRAY - 1 : ARRAY + 1]], f"line {len(lines()) + 1}", f"on line {ARRAY} already"),
    (column(column(lines(), ARRAY + 4, 29, "X"), ARRAY + 5, 29, "X"), f"line {ARRAY + 5}, column 29", "C or P"),
    (column(lines(), len(lines()) - 1, 10, "2000000"), f"line {len(lines()) - 1}, columns 10 to 16", "100 percent"),
    (lines()[: ARRAY - 4], "own.pa2", "no contracts"),
]


@pytest.mark.parametrize(("rows", "where", "what"), WRONG_COLUMNS, ids=range(len(WRONG_COLUMNS)))
def test_wrong_columns_are_told_by_line_and_column(tmp_path, rows, where, what):
    with pytest.raises(InvalidFile) as caught:
        import_span(written(tmp_path, rows))
    assert where in str(caught.value)
    assert what in str(caught.value)


def xml_line(part, text=None):
    """Return the number of the first line with `part`."""
    return next(k for k, row in enumerate((text or spn()).splitlines(), 1) if part in row)


ENTITY = spn().replace("<spanFile>", '<!DOCTYPE spanFile [<!ENTITY e "e">]>\n<spanFile>', 1)
WRONG_XML = [
    (spn().replace("spanFile", "other"), "line 2, <other>", "<spanFile>"),
    (spn().replace("</pointInTime>", ""), f"line {len(spn().splitlines())}", "well formed"),
    (spn().replace("<date>20260102", "<date>2026-01-02"), "line 5, <date>", "YYYYMMDD"),
    (spn().replace("<date>20260102</date>", ""), "line 4, <pointInTime>", "no <date> in it"),
    (spn().replace("<p>4080.0</p>", "<p>high</p>"), f"line {xml_line('4080.0')}, <p>", "'high'"),
    (spn().replace("<a>-10000</a>", "", 1), f"line {xml_line('<a>-10000')}, <ra>", "15 values"),
    (spn().replace("<a>-10000</a>", "<a>inf</a>", 1), f"line {xml_line('<a>-10000')}, <a>", "'inf'"),
    (spn().replace("<o>C</o>", "<o>X</o>"), f"line {xml_line('<o>C')}, <o>", "C or P"),
    (spn().replace("<k>4100</k>", "<k></k>"), f"line {xml_line('<k>')}, <k>", "nothing"),
    (spn().replace("EURO", "ASIA"), f"line {xml_line('EURO')}, <exercise>", "AMER or EURO"),
    (spn().replace("<cvf>20</cvf>", "<cvf>0</cvf>"), f"line {xml_line('<cvf>20')}, <cvf>", "above 0"),
    (spn().replace("<cvf>20</cvf>", "<cvf>21</cvf>", 1), f"line {xml_line('<p>1000.0')}, <cvf>", "one factor a family"),
    (spn().replace("<rs>B</rs>", "<rs>C</rs>", 1), f"line {xml_line('<rs>B')}, <rs>", "A or B"),
    (spn().replace("<val>0.6</val>", "<val>600</val>"), f"line {xml_line('<val>0.6')}, <val>", "100 percent"),
    (spn().replace("<val>0.03</val>", "<val>3</val>"), f"line {xml_line('<o>C')}", "an interest rate of 3"),
    (ENTITY, "line 2", "the entity e"),
    ("<spanFile><pointInTime><date>20260102</date></pointInTime></spanFile>", "own.spn", "no contracts"),
]


@pytest.mark.parametrize(("text", "where", "what"), WRONG_XML, ids=range(len(WRONG_XML)))
def test_wrong_xml_is_told_by_line_and_element(tmp_path, text, where, what):
    with pytest.raises(InvalidFile) as caught:
        import_span(written(tmp_path, text, "spn"))
    assert where in str(caught.value)
    assert what in str(caught.value)


def test_a_file_that_is_not_there_and_a_folder_are_refused(tmp_path):
    for path in (tmp_path / "absent.pa2", tmp_path):
        with pytest.raises(InvalidFile, match="a readable file"):
            import_span(path)


def test_bytes_of_anything_else_are_refused_at_their_first_line(tmp_path):
    path = tmp_path / "own.pa2"
    path.write_bytes(bytes(range(256)) * 4)
    with pytest.raises(InvalidFile, match="line 1"):
        import_span(path)
    assert line("0 ").startswith("0 ")
