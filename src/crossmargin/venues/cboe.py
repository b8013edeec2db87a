"""Cboe option chains: the delayed-quotes download of one index, calls and puts side by side."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from math import log, nan
from pathlib import Path

import numpy as np

from crossmargin.errors import InvalidFile
from crossmargin.instruments import Option, parse_symbol
from crossmargin.market import Market
from crossmargin.units import iso, years_between
from crossmargin.venues.chains import Inverted, Quoted, discount_factor, expiry_day, invert
from crossmargin.venues.imported import Imported
from crossmargin.venues.table import Row, read_lines, rows_of

_SIDE = ("Last Sale", "Net", "Bid", "Ask", "Volume", "IV", "Delta", "Gamma", "Open Interest")
_HEADER = ("Expiration Date", "Calls", *_SIDE, "Strike", "Puts", *_SIDE)
_COLUMNS = (
    "Expiration Date",
    "Calls",
    *(f"Calls {name}" for name in _SIDE),
    "Strike",
    "Puts",
    *(f"Puts {name}" for name in _SIDE),
)
_LAST = re.compile(r"Last: *([0-9]+(?:\.[0-9]+)?)")
_DATE = re.compile(r"Date: *([A-Z][a-z]+) ([0-9]{1,2}), ([0-9]{4})(?:,| at) ([0-9]{1,2}):([0-9]{2}) (AM|PM) (E[DS]T)")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_HOURS_FROM_UTC = {"EDT": -4, "EST": -5}

_NEAREST_PAIRS = 10
"""Pairs a forward is read from: those whose call and put cost most nearly the same, so that neither the discount
factor nor wide quotes of options deep in the money weigh on it."""
_FEWEST_PAIRS = 3
_RATE_REACH = 0.5
"""Strikes within this log distance of the index tell the discount factor."""
_RATE_LARGEST = 0.5
_STRIKES_TO_A_LINE = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pair:
    """The call and the put of one strike, root and expiry, with the middle of their quotes (NaN: no quote)."""

    call: Option
    put: Option
    call_mid: float
    put_mid: float
    width: float
    """Sum of both bid-ask spreads."""
    call_bid: float
    put_bid: float

    @property
    def two_sided(self) -> bool:
        """Somebody bids for both."""
        return self.call_bid > 0 and self.put_bid > 0


def import_cboe_chain(path: Path | str) -> Imported:
    """Return every option of a chain, marks at the middle of bid and ask, and the forwards and rate they imply.

    The file has three header lines: index name and last value; date and time in New York; column names. Then one
    line a strike, expiry and root, calls left and puts right. SPX and SPXW of one strike and date are two
    instruments: the one settles at the open, the other at the close. An option without an ask has no mark and is
    valued from the surface. The forward of a date is read from put-call parity of the pairs nearest the money; one
    continuous rate is fitted to the discount factors of all expiries. Vols are inverted from the marks; the IV column
    of the file is not used. What has no mark or no vol is named in the report. Raises InvalidFile.
    """
    path = Path(path)
    lines = read_lines(path)
    spot, time = _headers(path, lines)
    pairs = [_pair(row) for row in rows_of(path, _COLUMNS, lines[3:])]
    underlying = _one_underlying(path, pairs)
    live = [pair for pair in pairs if pair.call.expiry > time]
    if not live:
        raise InvalidFile(str(path), f"no option that expires after {iso(time)}", "at least one")
    rate, rates = _rate(live, spot, time)
    forwards = _forwards(live, time, rate)
    inverted = invert(_quoted(live, forwards), time, rate)
    market = Market(
        time=time,
        currency="USD",
        prices={underlying: spot},
        marks=inverted.marks(),
        forwards={underlying: forwards},
        vols={underlying: inverted.surface()},
        rates={"USD": rate},
    )
    options = sorted((o for pair in pairs for o in (pair.call, pair.put)), key=lambda option: option.symbol)
    return Imported(
        instruments=tuple(options),
        market=market,
        report=tuple(_report(market, pairs, live, inverted, rates)),
    )


def _headers(path: Path, lines: Sequence[tuple[int, list[str]]]) -> tuple[float, datetime]:
    """Return the last value of the index and the UTC time, checked with the column names."""
    if not lines:
        raise InvalidFile(str(path), "an empty file", "a Cboe option chain")
    if len(lines) < 4:
        raise InvalidFile(str(path), f"{len(lines)} lines", "three header lines and one line a strike")
    (first, name), (second, date_line), (third, header) = lines[:3]
    last = _LAST.search(",".join(name))
    if not last or not float(last[1]) > 0:
        raise InvalidFile(f"{path.name}, row {first}", repr(",".join(name)[:80]), "a name and Last: its value")
    found = _DATE.search(",".join(date_line))
    if not found:
        raise InvalidFile(
            f"{path.name}, row {second}", repr(",".join(date_line)[:80]), "Date: such as June 11, 2022, 8:47 PM EDT"
        )
    if tuple(header) != _HEADER:
        wrong = next((k for k, (a, b) in enumerate(zip(header, _HEADER, strict=False)) if a != b), len(header))
        raise InvalidFile(
            f"{path.name}, row {third}, column {wrong + 1}",
            repr(header[wrong]) if wrong < len(header) else "nothing",
            repr(_HEADER[wrong]) if wrong < len(_HEADER) else f"{len(_HEADER)} columns",
        )
    month, day, year, hour, minute, half, zone = found.groups()
    try:
        local = datetime(
            int(year),
            _MONTHS.index(month) + 1,
            int(day),
            int(hour) % 12 + (12 if half == "PM" else 0),
            int(minute),
            tzinfo=timezone(timedelta(hours=_HOURS_FROM_UTC[zone])),
        )
    except ValueError:
        raise InvalidFile(f"{path.name}, row {second}", repr(found[0]), "a date and time that exist") from None
    return float(last[1]), local.astimezone(UTC)


def _pair(row: Row) -> _Pair:
    call, put = _option(row, "Calls", "call"), _option(row, "Puts", "put")
    strike = row.number("Strike", above=0)
    if float(call.strike) != strike:
        raise row.refuse("Strike", f"{strike:g}", f"the strike of {call.symbol}, {float(call.strike):g}")
    if (call.underlying, call.strike, call.expiry) != (put.underlying, put.strike, put.expiry):
        raise row.refuse("Puts", put.symbol, f"the put of {call.symbol}")
    mids, widths, bids = [], [], []
    for side in ("Calls", "Puts"):
        bid, ask = row.number(f"{side} Bid", least=0), row.number(f"{side} Ask", least=0)
        if bid > ask:
            raise row.refuse(f"{side} Bid", f"a bid of {bid:g} above the ask of {ask:g}", "a bid up to the ask")
        mids.append((bid + ask) / 2 if ask > 0 else nan)
        widths.append(ask - bid)
        bids.append(bid)
    return _Pair(
        call=call,
        put=put,
        call_mid=mids[0],
        put_mid=mids[1],
        width=sum(widths),
        call_bid=bids[0],
        put_bid=bids[1],
    )


def _option(row: Row, column: str, option_type: str) -> Option:
    name = row.text(column)
    option = parse_symbol(name, "cboe")
    if not isinstance(option, Option) or option.option_type != option_type:
        raise row.refuse(column, repr(name), f"the OSI symbol of a {option_type}, such as SPXW220617C03900000")
    return option


def _one_underlying(path: Path, pairs: Sequence[_Pair]) -> str:
    seen: set[str] = set()
    underlying = pairs[0].call.underlying
    for k, pair in enumerate(pairs):
        if pair.call.underlying != underlying:
            raise InvalidFile(
                f"{path.name}, option {pair.call.symbol}", f"an option on {pair.call.underlying}", underlying
            )
        for option in (pair.call, pair.put):
            if option.symbol in seen:
                raise InvalidFile(
                    f"{path.name}, strike line {k + 1}", f"{option.symbol} a second time", "each option once"
                )
            seen.add(option.symbol)
    return underlying


def _rate(pairs: Iterable[_Pair], spot: float, time: datetime) -> tuple[float, dict[datetime, float]]:
    """Return the one continuous rate of the chain, and the rate of each expiry it was fitted to.

    Of one expiry, call - put = discount x (forward - strike): the discount factor is the slope of the parity line,
    least squares weighted by 1 / spread, which is what a box spread earns. The one rate is the least-squares fit of
    -ln(discount) = rate x tau, weighted by the precision of each slope. 0 where no expiry has a line.
    """
    by_expiry: dict[datetime, list[_Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.two_sided and abs(log(float(pair.call.strike) / spot)) <= _RATE_REACH:
            by_expiry[pair.call.expiry].append(pair)
    rates: dict[datetime, float] = {}
    above = below = 0.0
    for expiry, members in sorted(by_expiry.items()):
        strike = np.array([float(pair.call.strike) for pair in members])
        parity = np.array([pair.call_mid - pair.put_mid for pair in members])
        weight = 1 / np.maximum([pair.width for pair in members], 0.01)
        centred = strike - np.average(strike, weights=weight)
        precision = float(weight @ centred**2)
        if len(members) < _FEWEST_PAIRS or precision == 0:
            continue
        slope = -float(weight @ (centred * parity)) / precision
        tau = years_between(time, expiry)
        if slope <= 0 or abs(log(slope)) > _RATE_LARGEST * tau:
            continue
        rates[expiry] = -log(slope) / tau
        above += precision * tau * -log(slope)
        below += precision * tau**2
    return (above / below if below else 0.0), rates


def _forwards(pairs: Iterable[_Pair], time: datetime, rate: float) -> dict[date, float]:
    """Return the forward of each expiry date: the median of strike + (call - put) / discount near the money."""
    by_day: dict[date, list[_Pair]] = defaultdict(list)
    for pair in pairs:
        if pair.two_sided:
            by_day[expiry_day(pair.call)].append(pair)
    forwards = {}
    for day, members in sorted(by_day.items()):
        near = sorted(members, key=lambda pair: abs(pair.call_mid - pair.put_mid))[:_NEAREST_PAIRS]
        if len(near) >= _FEWEST_PAIRS:
            implied = [
                float(pair.call.strike) + (pair.call_mid - pair.put_mid) / discount_factor(rate, time, pair.call.expiry)
                for pair in near
            ]
            forwards[day] = float(np.median(implied))
    return forwards


def _quoted(pairs: Iterable[_Pair], forwards: Mapping[date, float]) -> list[Quoted]:
    return [
        Quoted(option=option, price=mid, forward=forwards[expiry_day(option)], two_sided=bid > 0)
        for pair in pairs
        for option, mid, bid in ((pair.call, pair.call_mid, pair.call_bid), (pair.put, pair.put_mid, pair.put_bid))
        if mid == mid and expiry_day(option) in forwards
    ]


def _report(
    market: Market,
    pairs: Sequence[_Pair],
    live: Sequence[_Pair],
    inverted: Inverted,
    rates: Mapping[datetime, float],
) -> Iterable[str]:
    ((underlying, spot),) = market.prices.items()
    forwards = market.forwards[underlying]
    rate = market.rates["USD"]
    days = {expiry_day(pair.call) for pair in live}
    yield (
        f"{2 * len(pairs)} {underlying} options, {2 * len(live)} of them live on {len(days)} dates at"
        f" {iso(market.time)}; index {spot:g}."
    )
    expired = [option for pair in pairs if pair.call.expiry <= market.time for option in (pair.call, pair.put)]
    if expired:
        whole = ", ".join(sorted({f"{_root(option)} {expiry_day(option)}" for option in expired}))
        yield f"Expired before that time, listed without a mark: all {len(expired)} options of {whole}."
    unpriced = sorted(days - forwards.keys())
    yield f"Forwards of {len(forwards)} dates from put-call parity."
    if unpriced:
        yield f"No forward, too few pairs quoted on both sides, so no marks: {', '.join(map(str, unpriced))}."
    if rates:
        yield (
            f"Rate {rate:.4%}, continuous: one figure fitted to the discount factors of {len(rates)} expiries, whose"
            f" own rates lie between {min(rates.values()):.2%} and {max(rates.values()):.2%}."
        )
        apart = _parity_errors(live, market, underlying)
        yield (
            f"At that rate put-call parity of pairs bid for on both sides errs by {np.median(apart):.2f} index points"
            f" in the median, {max(apart):.1f} at most."
        )
    else:
        yield "Rate 0: no expiry has enough pairs quoted on both sides to tell a discount factor."
    quoted = inverted.quoted
    no_bid = sum(1 for q in quoted if not q.two_sided)
    yield f"{len(quoted)} options marked at the middle of bid and ask, {no_bid} of them bid at zero."
    marked = market.marks.keys()
    unmarked = [o for pair in live for o in (pair.call, pair.put) if o.symbol not in marked]
    if unmarked:
        yield f"{len(unmarked)} live options have no mark; they are valued at the vols of their expiry:"
        yield from _named(unmarked)
    unsolved = inverted.unsolved()
    yield f"{len(quoted) - len(unsolved)} implied vols inverted from marks, {len(unsolved)} not."
    for reason in sorted({reason for _, reason in unsolved}):
        members = [option for option, why in unsolved if why == reason]
        yield f"Not inverted, {len(members)} options ({reason.sentence}); price kept, vol of their expiry's surface:"
        yield from _named(members)


def _parity_errors(pairs: Iterable[_Pair], market: Market, underlying: str) -> list[float]:
    """Return |call - put - discount x (forward - strike)| of every pair bid for on both sides."""
    forwards, rate = market.forwards[underlying], market.rates["USD"]
    return [
        abs(
            pair.call_mid
            - pair.put_mid
            - discount_factor(rate, market.time, pair.call.expiry)
            * (forwards[expiry_day(pair.call)] - float(pair.call.strike))
        )
        for pair in pairs
        if pair.two_sided and expiry_day(pair.call) in forwards
    ]


def _named(options: Iterable[Option]) -> Iterable[str]:
    """Yield lines that name every option, by root, expiry date and side."""
    groups: dict[tuple[date, str, str], list[str]] = defaultdict(list)
    for option in options:
        groups[expiry_day(option), _root(option), option.option_type].append(f"{option.strike.normalize():f}")
    for (day, root, side), strikes in sorted(groups.items()):
        for start in range(0, len(strikes), _STRIKES_TO_A_LINE):
            yield f"  {root} {day} {side}s at {', '.join(strikes[start : start + _STRIKES_TO_A_LINE])}"


def _root(option: Option) -> str:
    """Return the root of an OSI symbol: what stands before date, type and strike."""
    return option.symbol[:-15].strip()
