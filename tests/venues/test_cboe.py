"""A Cboe chain becomes a market: two instruments where two settle, forwards from parity, nothing dropped unsaid."""

import re
from datetime import UTC, date, datetime, timedelta
from math import erfc, exp, log, sqrt
from statistics import median

import pytest

from crossmargin.errors import InvalidFile
from crossmargin.units import years_between
from crossmargin.venues import import_cboe_chain

CHAIN = "data/options/cboe_spx_chain_20220610.csv"
JUNE_17 = date(2022, 6, 17)


@pytest.fixture(scope="module")
def path(shared):
    return shared / CHAIN


@pytest.fixture(scope="module")
def chain(path):
    return import_cboe_chain(path)


@pytest.fixture(scope="module")
def options(chain):
    return {option.symbol: option for option in chain.instruments}


def test_every_call_and_put_of_every_line_is_an_instrument(chain, options):
    assert len(options) == len(chain.instruments) == 2 * 9_835
    assert {(o.kind, o.underlying, o.quote, o.contract_size, o.asset_class, o.inverse) for o in options.values()} == {
        ("option", "SPX", "USD", 100, "equity_index", False)
    }


def test_the_headers_give_index_and_time(chain):
    assert chain.market.prices == {"SPX": 3900.8601}
    assert chain.market.time == datetime(2022, 6, 12, 0, 47, tzinfo=UTC)  # 8:47 PM EDT the day before


def test_spx_and_spxw_of_one_strike_and_date_are_two_instruments(chain, options):
    open_settled, close_settled = options["SPX220617C03900000"], options["SPXW220617C03900000"]
    assert (open_settled.strike, open_settled.underlying) == (close_settled.strike, close_settled.underlying)
    assert close_settled.expiry - open_settled.expiry == timedelta(hours=6.5)
    marks = chain.market.marks
    assert marks[open_settled.symbol].price != marks[close_settled.symbol].price


def test_the_expiry_that_is_over_is_listed_without_marks_and_named(chain, options):
    over = [o for o in options.values() if o.expiry <= chain.market.time]
    assert len(over) == 450
    assert not any(o.symbol in chain.market.marks for o in over)
    assert any("all 450 options of SPXW 2022-06-10" in line for line in chain.report)
    assert date(2022, 6, 10) not in chain.market.forwards["SPX"]


def test_a_mark_is_the_middle_of_bid_and_ask_even_where_nobody_bids(chain):
    assert chain.market.marks["SPXW220613P01000000"].price == 0.025  # 0 bid, 0.05 asked


def test_every_live_option_has_a_mark_or_is_named_in_the_report(chain, options):
    live = {o.symbol for o in options.values() if o.expiry > chain.market.time}
    marked = set(chain.market.marks)
    assert marked <= live
    assert len(live) == 19_220
    assert named(chain.report, "have no mark") == live - marked
    assert len(live - marked) == 102


def test_what_cannot_be_inverted_is_named_and_keeps_its_price(chain):
    unsolved = {symbol for symbol, mark in chain.market.marks.items() if mark.iv is None}
    assert named(chain.report, "Not inverted") == unsolved
    assert 0 < len(unsolved) < 400
    assert f"18799 implied vols inverted from marks, {len(unsolved)} not." in chain.report


def named(report, opening):
    """Collect the OSI symbols a report lists under the lines that contain `opening`."""
    found, inside = set(), False
    for line in report:
        group = re.fullmatch(r"  (\w+) (\S+) (call|put)s at (.*)", line)
        if not group:
            inside = opening in line
        elif inside:
            root, day, side, strikes = group.groups()
            for strike in strikes.split(", "):
                number = round(float(strike) * 1000)
                found.add(f"{root}{date.fromisoformat(day):%y%m%d}{side[0].upper()}{number:08d}")
    return found


def black76_by_hand(forward, strike, vol, tau, discount, is_call):
    deviation = vol * sqrt(tau)
    d1 = log(forward / strike) / deviation + deviation / 2
    sign = 1 if is_call else -1
    n1, n2 = (erfc(-sign * d / sqrt(2)) / 2 for d in (d1, d1 - deviation))
    return discount * sign * (forward * n1 - strike * n2)


def test_every_inverted_vol_gives_its_mark_back(chain, options):
    market = chain.market
    for symbol, mark in market.marks.items():
        if mark.iv is None:
            continue
        option = options[symbol]
        forward = market.forwards["SPX"][option.expiry.date()]
        tau = years_between(market.time, option.expiry)
        discount = exp(-market.rates["USD"] * tau)
        price = black76_by_hand(forward, float(option.strike), mark.iv, tau, discount, option.option_type == "call")
        assert price == pytest.approx(mark.price, abs=1e-8)


def test_forwards_carry_the_index_and_agree_with_the_pairs_at_the_money(chain, options):
    forwards = chain.market.forwards["SPX"]
    assert len(forwards) == 43
    assert all(0.99 < forward / 3900.8601 < 1.12 for forward in forwards.values())
    # Any pair at the money repeats the forward to well within its spread.
    call, put = (chain.market.marks[f"SPXW220630{side}03910000"].price for side in "CP")
    assert forwards[date(2022, 6, 30)] == pytest.approx(3910 + call - put, abs=0.5)


def test_the_rate_lies_among_those_of_that_june(chain):
    assert 0.01 < chain.market.rates["USD"] < 0.036  # one-month bills 0.9%, two-year notes 3.1%


def test_vols_out_of_the_money_agree_with_the_ones_the_venue_prints(chain, options, path):
    """The venue stamps its own at Friday's close; a month out the weekend matters little."""
    printed = {}
    for line in path.read_text().splitlines()[4:]:
        cells = line.split(",")
        printed[cells[1]], printed[cells[12]] = float(cells[7]), float(cells[18])
    apart = []
    for symbol, mark in chain.market.marks.items():
        option = options[symbol]
        forward = chain.market.forwards["SPX"][option.expiry.date()]
        outside = (float(option.strike) >= forward) == (option.option_type == "call")
        if outside and mark.iv and printed[symbol] > 0 and option.expiry.date() > date(2022, 7, 14):
            apart.append(abs(mark.iv - printed[symbol]))
    assert len(apart) > 5_000
    assert median(apart) < 0.003


def test_the_surface_takes_the_later_hour_and_only_strikes_that_are_bid_for(chain):
    cut = chain.market.vols["SPX"].slices[JUNE_17]
    assert cut.vol(3500.0) == chain.market.marks["SPXW220617P03500000"].iv
    assert cut.vol(4200.0) == chain.market.marks["SPXW220617C04200000"].iv
    assert "SPXW220617C00200000" in chain.market.marks  # the call is in the money, the put bid at zero
    assert 200.0 not in cut.strikes


NAME = "Standard & Poors 500 Index,Last: 3900.86,Change:  -116.96"
DATE = '"Date: June 11, 2022, 8:47 PM EDT",Bid: 3878.48,Ask: 3927.93,Size: 1*1,Volume: 0'
SIDE = "Last Sale,Net,Bid,Ask,Volume,IV,Delta,Gamma,Open Interest"
HEADER = f"Expiration Date,Calls,{SIDE},Strike,Puts,{SIDE}"


def line(strike=3900, call="150,152", put="140,142", root="SPXW", day="220617"):
    symbols = [f"{root}{day}{side}{strike * 1000:08d}" for side in "CP"]
    return f"Fri Jun 17 2022,{symbols[0]},0,0,{call},0,0,0,0,0,{strike}.00,{symbols[1]},0,0,{put},0,0,0,0,0"


def write(folder, *lines):
    path = folder / "chain.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


THREE = [line(3850, "180,182", "120,122"), line(), line(3950, "122,124", "162,164")]


def test_a_chain_without_a_bid_on_both_sides_has_no_forward_and_says_so(tmp_path):
    chain = import_cboe_chain(write(tmp_path, NAME, DATE, HEADER, line(put="0,1")))
    assert chain.market.forwards == {"SPX": {}}
    assert chain.market.rates == {"USD": 0.0}
    assert chain.market.marks == {}
    assert any("No forward" in text and "2022-06-17" in text for text in chain.report)
    assert any("Rate 0" in text for text in chain.report)


def test_winter_time_is_five_hours_behind(tmp_path):
    stamp = DATE.replace("June 11", "January 11").replace("EDT", "EST")
    chain = import_cboe_chain(write(tmp_path, NAME, stamp, HEADER, *THREE))
    assert chain.market.time == datetime(2022, 1, 12, 1, 47, tzinfo=UTC)


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "an empty file"),
        ([NAME, DATE, HEADER], "3 lines"),
        (["x", DATE, HEADER, line()], "row 1: found 'x'; allowed: a name and Last"),
        ([NAME, "today", HEADER, line()], "row 2: found 'today'"),
        ([NAME, DATE.replace("June 11", "June 31"), HEADER, line()], "row 2: .*a date and time that exist"),
        ([NAME, DATE, HEADER.replace("Strike", "K"), line()], "row 3, column 12: found 'K'; allowed: 'Strike'"),
        ([NAME, DATE, HEADER[:-14], line()], "row 3, column 22: found nothing; allowed: 'Open Interest'"),
        ([NAME, DATE, HEADER, line()[:-4]], "row 4: found 20 cells, the first missing is Puts Gamma"),
        ([NAME, DATE, HEADER, line(call="x,152")], "row 4, column Calls Bid: found 'x'"),
        ([NAME, DATE, HEADER, line(put="140,")], "row 4, column Puts Ask: found nothing"),
        ([NAME, DATE, HEADER, line(put="142,140")], "row 4, column Puts Bid: found a bid of 142 above"),
        ([NAME, DATE, HEADER, line(put="-1,140")], "row 4, column Puts Bid: found -1"),
        ([NAME, DATE, HEADER, line(day="220618")], "row 4, column Calls: found 'SPXW220618C03900000'"),
        ([NAME, DATE, HEADER, line().replace("3900.00", "3901.00")], "row 4, column Strike: found 3901"),
        ([NAME, DATE, HEADER, line().replace("P03900000", "P03905000")], "row 4, column Puts"),
        ([NAME, DATE, HEADER, line(), line()], "SPXW220617C03900000 a second time"),
        ([NAME, DATE, HEADER, line(), line(root="NDXP")], "an option on NDX; allowed: SPX"),
        ([NAME, DATE, HEADER, line(day="220610")], "no option that expires after"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_row_and_column(tmp_path, lines, message):
    with pytest.raises(InvalidFile, match=message):
        import_cboe_chain(write(tmp_path, *lines))


def test_the_real_chain_cut_in_its_last_row_is_refused(path, tmp_path):
    cut = tmp_path / "cut.csv"
    cut.write_text(path.read_text().rstrip("\n")[:-40])
    with pytest.raises(InvalidFile, match="row 9839"):
        import_cboe_chain(cut)
