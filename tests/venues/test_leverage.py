"""Leverage tiers of a venue become a rule book of brackets, or are refused with their place."""

import json

import pytest

from crossmargin.book import Account, Balance, Book, Position
from crossmargin.errors import InvalidFile
from crossmargin.instruments import Perpetual
from crossmargin.margin import Tiers, isolated
from crossmargin.market import Market
from crossmargin.rules import load, parse
from crossmargin.standing import document, evaluate
from crossmargin.units import utc
from crossmargin.venues import import_leverage_tiers

TIME = utc("2024-10-01T00:00:00Z")


def tier(low, high, rate, leverage, **more):
    return {
        "minNotional": low,
        "maxNotional": high,
        "maintenanceMarginRate": rate,
        "maxLeverage": leverage,
        "currency": "USDT",
        **more,
    }


TWO = [tier(0, 5000, 0.01, 50, info={"cum": "0.0"}), tier(5000, 50000, 0.02, 25, info={"cum": "50.0"})]


def imported(tmp_path, tiers, venue="binance"):
    path = tmp_path / "tiers.json"
    path.write_text(tiers if isinstance(tiers, str) else json.dumps(tiers))
    return import_leverage_tiers(path, venue)


def test_tiers_become_slices_by_symbol_and_by_underlying(tmp_path):
    found = imported(tmp_path, {"BTC/USDT:USDT": TWO})
    model = parse(found.rules, "rules.toml").model
    ladder = Tiers(floor=(0.0, 5000.0), maintenance_rate=(0.01, 0.02), initial_rate=(0.02, 0.04))
    assert model.tiers_by_symbol == {"BTC/USDT:USDT": ladder}
    assert model.tiers_by_underlying["BTC"] == ladder
    assert model.maintenance_on == "mark"
    assert model.taker_fee == 0
    assert [i.symbol for i in found.instruments] == ["BTC/USDT:USDT"]


def test_an_underlying_takes_the_largest_ladder_of_its_perpetuals_in_dollars(tmp_path):
    wide = [*TWO, tier(50000, 90000, 0.05, 10)]
    in_coin = [{**t, "currency": "BTC"} for t in wide]
    found = imported(
        tmp_path,
        {
            "ETH/USDT:USDT": TWO,
            "ETH/USDC:USDC": [{**t, "currency": "USDC"} for t in wide],
            "ETH/USDT:USDT-241227": [*wide, tier(90000, 1e9, 0.5, 1)],
            "ETH/BTC:BTC": in_coin,
            "ETH/USD:ETH": in_coin,
        },
    )
    model = parse(found.rules, "rules.toml").model
    assert model.tiers_by_underlying["ETH"] == model.tiers_by_symbol["ETH/USDC:USDC"]
    assert sorted(model.tiers_by_symbol) == ["ETH/BTC:BTC", "ETH/USDC:USDC", "ETH/USDT:USDT", "ETH/USDT:USDT-241227"]
    assert "Left out, their tiers are in coin: ETH/USD:ETH." in found.report


@pytest.mark.parametrize(
    ("venue", "base"),
    [("binance", "brackets-binance"), ("bybit", "brackets-bybit"), ("okx", "brackets-okx"), ("bitget", "brackets")],
)
def test_the_venue_chooses_the_formula(tmp_path, venue, base):
    rules = parse(imported(tmp_path, {"BTC/USDT:USDT": TWO}, venue).rules, "rules.toml")
    assert (rules.model.maintenance_on, rules.model.taker_fee) == (
        load(base).model.maintenance_on,
        load(base).model.taker_fee,
    )
    assert rules.name == f"{venue}-tiers"


@pytest.mark.parametrize(
    ("tiers", "said"),
    [
        ("[", "line 1"),
        ("[]", "symbol to list of tiers"),
        ("{}", "no ladder"),
        ('{"A": [], "A": []}', "the key 'A' twice"),
        ({"BTC-USDT": TWO}, "no ladder"),
        ({"BTC/USDT:USDT": []}, "no tiers"),
        ({"BTC/USDT:USDT": [3]}, r"\[0\]"),
        ({"BTC/USDT:USDT": [tier(1, 5, 0.01, 50)]}, r"\[0\]\.minNotional: found 1"),
        ({"BTC/USDT:USDT": [TWO[0], tier(6000, 7000, 0.02, 25)]}, r"\[1\]\.minNotional: found 6000"),
        ({"BTC/USDT:USDT": [tier(0, 0, 0.01, 50)]}, r"\[0\]\.maxNotional"),
        ({"BTC/USDT:USDT": [tier(0, 5, 0.01, 0.5)]}, r"\[0\]\.maxLeverage"),
        ({"BTC/USDT:USDT": [tier(0, 5, None, 5)]}, r"\[0\]\.maintenanceMarginRate: found nothing"),
        ({"BTC/USDT:USDT": [tier(0, 5, -0.1, 5)]}, r"\[0\]\.maintenanceMarginRate: found -0\.1"),
        ({"BTC/USDT:USDT": [tier(0, 5, 0.01, 5, currency="USDC")]}, r"\[0\]\.currency: found 'USDC'"),
        ({"BTC/USDT:USDT": [tier(0, 5, 0.3, 5)]}, r"maintenance_rate\[0\]: found 0\.3"),
        ({"BTC/USDT:USDT": [TWO[0], tier(5000, 6000, 0.005, 100)]}, "rates that do not fall"),
        ({"BTC/USDT:USDT": [TWO[0], {**TWO[1], "info": {"cum": "40"}}]}, r"\[1\]\.info\.cum: found 40"),
    ],
)
def test_tiers_that_are_no_ladder_are_refused_with_their_place(tmp_path, tiers, said):
    with pytest.raises(InvalidFile, match=said):
        imported(tmp_path, tiers)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InvalidFile, match="readable"):
        import_leverage_tiers(tmp_path / "none.json", "binance")


# --- real tiers


def test_349_real_ladders_are_read_and_charge_what_the_venue_prints(shared):
    """The venue's own form, notional x rate - cum, of each last tier."""
    path = shared / "data" / "rules" / "binance_leverage_tiers_202410.json"
    found = import_leverage_tiers(path, "binance")
    model = parse(found.rules, "rules.toml").model
    printed = json.loads(path.read_text())
    assert len(model.tiers_by_symbol) == len(printed) == 349
    for symbol, tiers in printed.items():
        for t in tiers:
            notional = (t["minNotional"] + t["maxNotional"]) / 2
            expected = notional * t["maintenanceMarginRate"] - float(t["info"]["cum"])
            assert float(model.tiers_by_symbol[symbol].maintenance(notional)) == pytest.approx(expected, rel=1e-9)


# --- the formulas of the venues are those of the rule books


LADDER = {"floor": (0.0,), "maintenance_rate": (0.01,), "initial_rate": (0.02,)}


def searched(name, quantity, entry, margin, *, inverse=False):
    """Return the liquidation price a rule book's search finds of an isolated position marked at its index."""
    contract = Perpetual(symbol="X", underlying="BTC", quote="USD", settle="BTC" if inverse else "USD", inverse=inverse)
    rules = load(name)
    model = type(rules.model)(
        tiers_by_class={"other": Tiers(**LADDER)},
        taker_fee=rules.model.taker_fee,
        maintenance_on=rules.model.maintenance_on,
    )
    rules = type(rules)(**{f: getattr(rules, f) for f in rules.__slots__ if f != "model"}, model=model)
    position = Position(
        symbol="X", quantity=quantity, entry_price=entry, margin_mode="isolated", isolated_collateral=margin
    )
    account = Account(id="a", balances=[Balance(asset="USD", amount=0)], positions=[position])
    market = Market(time=TIME, prices={"BTC": entry})
    row = document(evaluate(Book.of([account], [contract], currency="USD"), market, rules))["accounts"][0]["positions"][
        0
    ]
    return row["liquidation_price"]


@pytest.mark.parametrize("side", [1, -1], ids=["long", "short"])
@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("brackets-binance", isolated.linear_liquidation_price),
        ("brackets-bybit", isolated.linear_liquidation_price_on_entry),
        ("brackets-okx", isolated.linear_liquidation_price),
    ],
)
def test_a_books_liquidation_price_is_the_venues_closed_form(name, formula, side):
    fee = load(name).model.taker_fee
    expected = float(formula(side=side, size=2.0, entry=100.0, margin=20.0, rate=0.01, fee=fee))
    assert searched(name, 2.0 * side, 100.0, 20.0) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("side", [1, -1], ids=["long", "short"])
@pytest.mark.parametrize(
    ("name", "formula"),
    [
        ("brackets-okx", isolated.inverse_liquidation_price),
        ("brackets-bybit", isolated.inverse_liquidation_price_on_entry),
    ],
)
def test_so_it_is_of_a_coin_margined_contract(name, formula, side):
    """Margin in coin counts in full at its own price: nothing but the contract moves."""
    fee = load(name).model.taker_fee
    expected = float(formula(side=side, size=1000.0, entry=100.0, margin=1.0, rate=0.01, fee=fee))
    assert searched(name, 1000.0 * side, 100.0, 1.0, inverse=True) == pytest.approx(expected, rel=1e-8)


def test_the_three_books_differ_in_what_maintenance_is_on_and_the_fee_alone():
    books = [load(f"brackets-{venue}") for venue in ("binance", "bybit", "okx")]
    assert [(b.model.maintenance_on, b.model.taker_fee > 0) for b in books] == [
        ("mark", False),
        ("entry", False),
        ("mark", True),
    ]
    assert all(book.model.tiers_by_underlying == load("brackets").model.tiers_by_underlying for book in books)
