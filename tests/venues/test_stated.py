"""What a venue states is kept as it was read, and set beside ours with every part of the difference."""

import json
from dataclasses import replace

import pytest

from crossmargin.book import Account, Balance, Book, Position
from crossmargin.errors import InvalidFile
from crossmargin.instruments import Perpetual
from crossmargin.market import Market
from crossmargin.rules import load
from crossmargin.standing import compare
from crossmargin.units import utc
from crossmargin.venues import Figure, Stated, read_stated, write_stated
from crossmargin.venues.beside import beside

TIME = utc("2026-11-20T08:00:00Z")
FIGURE = Figure(
    what="initial_margin",
    account="me",
    symbol="BTC/USDT:USDT",
    unit="USDT",
    amount=2500.5,
    field="positionIM",
    contains={"open orders": 10.0},
    reasons=("chosen leverage",),
)
STATED = Stated(venue="bybit", time=TIME, figures=(FIGURE,), lacking=("positions",), notes=("one note",))


def test_what_is_written_is_read_again(tmp_path):
    for stated in (STATED, Stated(venue="okx", time=None, figures=(replace(FIGURE, symbol=None, contains={}),))):
        write_stated(stated, tmp_path / "venue.json")
        assert read_stated(tmp_path / "venue.json") == stated


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"venue": None}, "venue: found nothing"),
        ({"time": "noon"}, "time: found the text 'noon'"),
        ({"extra": 1}, "extra: found an unknown field"),
        ({"figures": {}}, "figures: found an object"),
        ({"figures": [{"what": "im"}]}, r"figures\[0\].what: found 'im'; allowed: equity or"),
        ({"figures": [{"what": "equity", "account": "me", "unit": "USD"}]}, r"figures\[0\].amount: found nothing"),
        ({"figures": [{"whatt": "equity"}]}, r"figures\[0\].whatt: .*did you mean what"),
        ({"lacking": [1]}, "lacking: found"),
    ],
)
def test_a_wrong_file_is_refused_at_its_field(tmp_path, change, message):
    path = tmp_path / "venue.json"
    write_stated(STATED, path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    with pytest.raises(InvalidFile, match=message):
        read_stated(path)


# --- beside ours


def of(what, amount, **more):
    return Figure(
        **{"what": what, "account": "me", "symbol": None, "unit": "USD", "amount": amount, "field": "f", **more}
    )


def compared(stated_figures, rules="brackets", fx=1.0):
    contract = Perpetual(symbol="BTC-PERP", underlying="BTC", quote="USDT", asset_class="crypto")
    account = Account(
        id="me",
        balances=[Balance(asset="USDT", amount=1000.0)],
        positions=[
            Position(symbol="BTC-PERP", quantity=0.1, entry_price=40_000.0),
            Position(
                symbol="BTC-PERP", quantity=-0.1, entry_price=40_000, margin_mode="isolated", isolated_collateral=50.0
            ),
        ],
    )
    market = Market(time=TIME, prices={"BTC": 41_000.0}, fx={"USDT": fx})
    one = compare(Book.of([account], [contract], currency="USD"), market, [load(rules)]).under[rules]
    stated = Stated(venue="x", time=TIME, figures=tuple(stated_figures))
    return beside(stated, one, "venue.json"), one


def test_equity_is_beside_net_value_with_isolated_positions_in_it():
    """1000 + 100 + (50 - 100): what is long and what is short cancel."""
    (row,), _ = compared([of("equity", 1050.0)])
    assert (row.ours, row.difference, row.rest, dict(row.parts)) == (1050.0, 0.0, 0.0, {})


def test_the_haircut_is_a_named_part_and_nothing_is_left():
    (row,), one = compared([of("margin_balance", 1050.0)])
    haircut = float(one.standing.worth.haircut.sum())
    assert haircut > 0
    assert dict(row.parts) == {"haircuts of brackets": -haircut}
    assert row.difference == pytest.approx(-haircut)
    assert row.rest == 0.0


def test_what_is_not_imported_is_a_part_and_the_rest_has_its_reasons():
    figure = of("initial_margin", 500.0, contains={"open orders": 100.0}, reasons=("chosen leverage",))
    (row,), one = compared([figure])
    ours = float(one.standing.initial_margin.sum())
    assert row.ours == ours
    assert row.parts == {"open orders": -100.0}
    assert row.rest == pytest.approx(ours - 400.0)
    assert row.reasons[0] == "chosen leverage"
    assert row.reasons[1].startswith("parameters: those of brackets of 2026-11-20")


def test_a_position_is_beside_its_own_margin_in_the_unit_stated():
    rows, one = compared(
        [
            of("maintenance_margin", 1.0, symbol="BTC-PERP", unit="USDT"),
            of("initial_margin", 1.0, symbol="BTC-PERP", unit="USDT"),
            of("notional", 8200.0, symbol="BTC-PERP", unit="USDT"),
        ],
        fx=0.5,
    )
    layers = one.layers
    assert rows[0].ours == pytest.approx(layers.leg_alone.sum() / 0.5)
    assert rows[1].ours == pytest.approx(layers.leg_alone_initial.sum() / 0.5)
    assert rows[1].ours > rows[0].ours > 0
    assert rows[2].difference == pytest.approx(0.0)


def test_a_unit_without_a_value_gives_no_difference():
    (row,), _ = compared([of("equity", 1.0, unit="XYZ")])
    assert (row.ours, row.difference, row.rest) == (None, None, None)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"account": "mee"}, r"venue.json: figures\[0\].account: found 'mee'.*did you mean me"),
        ({"symbol": "BTC-PERM"}, r"venue.json: figures\[0\].symbol: found 'BTC-PERM'.*did you mean BTC-PERP"),
    ],
)
def test_a_figure_of_nobody_is_refused(change, message):
    with pytest.raises(InvalidFile, match=message):
        compared([of("initial_margin", 1.0, **change)])
