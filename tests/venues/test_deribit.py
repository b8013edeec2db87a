"""A Deribit chain becomes a market: every option, its vol, the futures curve, and a word on what is missing."""

from datetime import UTC, date, datetime
from math import erfc, log, sqrt

import pytest

from crossmargin.errors import InvalidFile
from crossmargin.instruments import Catalogue
from crossmargin.pricing import black76
from crossmargin.units import years_between
from crossmargin.venues import import_deribit_chain

CHAIN = "data/options/deribit_eth_chain_20240108.csv"


@pytest.fixture(scope="module")
def chain(shared):
    return import_deribit_chain(shared / CHAIN)


def of_kind(chain, kind):
    return [instrument for instrument in chain.instruments if instrument.kind == kind]


def test_all_684_options_are_listed_coin_settled(chain):
    options = of_kind(chain, "option")
    assert len(options) == 684
    assert {(o.underlying, o.quote, o.settle, o.inverse, o.contract_size) for o in options} == {
        ("ETH", "USD", "ETH", True, 1)
    }
    assert all(o.symbol in chain.market.marks for o in options)


def test_the_snapshot_has_its_time_its_index_and_its_currency(chain):
    assert chain.market.time.replace(microsecond=0) == datetime(2024, 1, 8, 11, 19, 41, tzinfo=UTC)
    assert chain.market.prices == {"ETH": 2222.19}
    assert chain.market.currency == "USD"


def test_the_futures_curve_has_a_forward_for_every_expiry_and_a_future_for_every_listed_one(chain):
    forwards = chain.market.forwards["ETH"]
    assert len(forwards) == 11
    assert forwards[date(2024, 1, 12)] == 2226.35
    assert forwards[date(2024, 12, 27)] == 2458.12
    assert list(forwards.values()) == sorted(forwards.values())
    futures = of_kind(chain, "future")
    assert len(futures) == 8  # three of the eleven expiries are synthetic
    for future in futures:
        assert future.inverse
        assert chain.market.marks[future.symbol].price == forwards[future.expiry.date()]


def test_the_perpetual_is_listed_and_no_mark_is_invented_for_it(chain):
    (perpetual,) = of_kind(chain, "perpetual")
    assert perpetual.symbol == "ETH-PERPETUAL"
    assert perpetual.inverse
    assert perpetual.symbol not in chain.market.marks


def test_exactly_two_marks_cannot_be_inverted_and_both_are_named_and_keep_their_price(chain):
    without = {symbol for symbol, mark in chain.market.marks.items() if mark.iv is None and mark.price is not None}
    without -= {future.symbol for future in of_kind(chain, "future")}
    assert without == {"ETH-12JAN24-1200-C", "ETH-9JAN24-2900-C"}
    assert chain.market.marks["ETH-9JAN24-2900-C"].price == 0.0
    named = [line for line in chain.report if line.startswith("Not inverted")]
    assert len(named) == 2
    assert all(any(symbol in line for line in named) for symbol in without)
    assert any("682 implied vols inverted from marks, 2 not" in line for line in chain.report)


def black76_by_hand(forward, strike, vol, tau, is_call):
    """Black-76 undiscounted, written out with the standard library only."""
    deviation = vol * sqrt(tau)
    d1 = log(forward / strike) / deviation + deviation / 2
    sign = 1 if is_call else -1
    n1, n2 = (erfc(-sign * d / sqrt(2)) / 2 for d in (d1, d1 - deviation))
    return sign * (forward * n1 - strike * n2)


def test_every_inverted_vol_gives_its_mark_back_within_1e_12_of_a_coin(chain):
    market = chain.market
    worst = 0.0
    for option in of_kind(chain, "option"):
        mark = market.marks[option.symbol]
        if mark.iv is None:
            continue
        forward = market.forwards["ETH"][option.expiry.date()]
        tau = years_between(market.time, option.expiry)
        is_call = option.option_type == "call"
        by_hand = black76_by_hand(forward, float(option.strike), mark.iv, tau, is_call) / forward
        by_kernel = float(black76(forward, float(option.strike), mark.iv, tau, 1.0, is_call)) / forward
        worst = max(worst, abs(by_hand - mark.price), abs(by_kernel - mark.price))
    assert worst < 1e-12


def test_put_call_parity_of_the_marks_holds_against_the_forwards(chain):
    """The forwards chosen are the ones the venue marked with: call - put = 1 - strike / forward, in coin."""
    options = {o.symbol: o for o in of_kind(chain, "option")}
    for symbol, call in options.items():
        put = symbol[:-1] + "P"
        if call.option_type == "call" and put in options:
            forward = chain.market.forwards["ETH"][call.expiry.date()]
            parity = chain.market.marks[symbol].price - chain.market.marks[put].price
            assert parity == pytest.approx(1 - float(call.strike) / forward, abs=9e-5)


def test_the_surface_holds_the_out_of_the_money_vol_of_each_strike(chain):
    surface = chain.market.vols["ETH"]
    assert set(surface.slices) == set(chain.market.forwards["ETH"])
    day = date(2024, 1, 26)
    vol = surface.slices[day].vol
    assert vol(1200.0) == chain.market.marks["ETH-26JAN24-1200-P"].iv
    assert vol(3000.0) == chain.market.marks["ETH-26JAN24-3000-C"].iv
    assert all(0.2 < v < 3 for cut in surface.slices.values() for v in cut.vols)


def test_the_instruments_make_a_catalogue_in_symbol_order(chain):
    assert len(Catalogue.of(chain.instruments)) == 684 + 8 + 1
    symbols = [instrument.symbol for instrument in chain.instruments]
    assert symbols == sorted(symbols)


HEADER = (
    "instrument_name,creation_timestamp,estimated_delivery_price,underlying_index,underlying_price,mark_price,"
    "bid_price,ask_price"
)
CALL = "ETH-26JAN24-2200-C,1704712781414,2222.19,ETH-26JAN24,2241.65,0.0589,0.058,0.0595"
PUT = "ETH-26JAN24-2200-P,1704712781415,2222.19,ETH-26JAN24,2241.65,0.0403,,"
DEAD = "ETH-5JAN24-2200-P,1704712781415,2222.19,SYN.ETH-5JAN24,2221,0.01,,"


def read(folder, *lines):
    path = folder / "chain.csv"
    path.write_text("\n".join(lines) + "\n")
    return import_deribit_chain(path)


def test_columns_may_come_in_any_order_and_others_are_ignored(tmp_path):
    shuffled = [",".join(["note", *line.split(",")[::-1]]) for line in (HEADER, CALL, PUT)]
    assert read(tmp_path, *shuffled).market.marks == read(tmp_path, HEADER, CALL, PUT).market.marks


def test_an_expired_option_is_listed_without_a_mark_and_named(tmp_path):
    chain = read(tmp_path, HEADER, CALL, PUT, DEAD)
    assert "ETH-5JAN24-2200-P" in {i.symbol for i in chain.instruments}
    assert "ETH-5JAN24-2200-P" not in chain.market.marks
    assert any("Expired" in line and "ETH-5JAN24-2200-P" in line for line in chain.report)


def test_a_vol_is_the_one_the_price_was_made_with(tmp_path):
    time = datetime.fromtimestamp(1704712781.415, UTC)
    tau = years_between(time, datetime(2024, 1, 26, 8, tzinfo=UTC))
    price = black76_by_hand(2241.65, 2200.0, 0.61, tau, True) / 2241.65
    chain = read(tmp_path, HEADER, CALL.replace("0.0589", repr(price)).replace("1414", "1415"), PUT)
    assert chain.market.marks["ETH-26JAN24-2200-C"].iv == pytest.approx(0.61, abs=1e-10)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "an empty file"),
        ([HEADER], "a header and no rows"),
        (["a,b,c", CALL], "row 1: found no column instrument_name"),
        ([HEADER.replace("mark_price", "markprice"), CALL], "no column mark_price.*did you mean markprice"),
        ([HEADER + ",mark_price", CALL + ",1"], "more than one column mark_price"),
        ([HEADER, CALL, PUT[:40]], "row 3: found 3 cells, the first missing is underlying_index"),
        ([HEADER, CALL + ",1"], "row 2: found 9 cells"),
        ([HEADER, CALL, PUT, CALL], "row 4, column instrument_name: found ETH-26JAN24-2200-C, as in row 2"),
        ([HEADER, CALL.replace("0.0589", "n/a")], "row 2, column mark_price: found 'n/a'"),
        ([HEADER, CALL.replace("0.0589", "nan")], "row 2, column mark_price: found 'nan'"),
        ([HEADER, CALL.replace("0.0589", "1e400")], "row 2, column mark_price: found '1e400'"),
        ([HEADER, CALL.replace("0.0589", "")], "row 2, column mark_price: found nothing"),
        (
            [HEADER, CALL.replace("0.0589", "-0.1")],
            "row 2, column mark_price: found -0.1; allowed: a number, 0 or more",
        ),
        ([HEADER, CALL.replace("0.058,", "0.07,")], "column bid_price: found a bid of 0.07 above the ask"),
        ([HEADER, CALL.replace("2200-C", "2200-X")], "row 2, column instrument_name: found 'ETH-26JAN24-2200-X'"),
        ([HEADER, CALL.replace("-2200-C", "")], "column instrument_name: found 'ETH-26JAN24'; allowed: an option"),
        ([HEADER, CALL, PUT.replace("ETH", "BTC")], "row 3, column instrument_name"),
        ([HEADER, CALL, PUT.replace("2241.65", "2300")], "row 3, column underlying_price: found 2300"),
        ([HEADER, CALL, PUT.replace("2222.19", "2300")], "row 2, column estimated_delivery_price.*2300 in row 3"),
        ([HEADER, CALL.replace(",ETH-26JAN24,", ",ETH-27JAN24,")], "column underlying_index: found 'ETH-27JAN24'"),
        ([HEADER, CALL.replace("1704712781414", "1e300")], "column creation_timestamp"),
        ([HEADER, '"' + CALL], "row 2: found"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_row_and_column(tmp_path, lines, message):
    path = tmp_path / "chain.csv"
    path.write_text("\n".join(lines))
    with pytest.raises(InvalidFile, match=message):
        import_deribit_chain(path)


def test_a_file_that_is_absent_or_no_text_is_refused(tmp_path):
    with pytest.raises(InvalidFile, match="No such file"):
        import_deribit_chain(tmp_path / "absent.csv")
    (tmp_path / "bytes.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InvalidFile, match="no text"):
        import_deribit_chain(tmp_path / "bytes.csv")


def test_the_real_chain_cut_anywhere_in_its_last_row_is_refused(shared, tmp_path):
    text = (shared / CHAIN).read_text().rstrip("\n")
    (tmp_path / "cut.csv").write_text(text[:-3])
    with pytest.raises(InvalidFile, match="row 685"):
        import_deribit_chain(tmp_path / "cut.csv")
