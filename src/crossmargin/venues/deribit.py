"""Deribit option chains: the book summary of one coin, as CSV."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from datetime import UTC, date, datetime
from pathlib import Path

from crossmargin.errors import InvalidFile, nearest
from crossmargin.instruments import Future, Instrument, Option, parse_symbol
from crossmargin.market import Mark, Market
from crossmargin.units import iso
from crossmargin.venues.chains import Quoted, expiry_day, invert
from crossmargin.venues.imported import Imported
from crossmargin.venues.table import Row, read_lines, rows_of

_COLUMNS = (
    "instrument_name",
    "creation_timestamp",
    "estimated_delivery_price",
    "underlying_index",
    "underlying_price",
    "mark_price",
    "bid_price",
    "ask_price",
)
_SYNTHETIC = "SYN."
"""Prefix of an underlying without a listed future: the venue interpolates its forward."""
_PRICES_AGREE = 1e-4
"""Rows are stamped some milliseconds apart, so prices of one thing may differ by a tick; relative."""


def import_deribit_chain(path: Path | str) -> Imported:
    """Return every option of a chain with its mark and vol, the futures behind it, the perpetual and the index.

    The file is Deribit's book summary by currency (kind option), one line an option: `mark_price`, `bid_price` and
    `ask_price` in the coin (the latter two may be empty), `underlying_price` in USD, `estimated_delivery_price` the
    index, `creation_timestamp` in milliseconds. Vols are inverted from marks, undiscounted, against one forward an
    expiry. A mark that cannot be inverted keeps its price and is named in the report. The perpetual has no quote in
    such a file and gets no mark: it stands at the index. Raises InvalidFile.
    """
    path = Path(path)
    rows = _rows(path)
    options = [_option(row) for row in rows]
    _check_each_once(rows)
    coin = options[0].underlying
    for row, option in zip(rows, options, strict=True):
        if option.underlying != coin or not option.inverse:
            raise row.refuse("instrument_name", option.symbol, f"options settled in {coin}, as in the rows above")
    # The latest stamp: by then every row had been seen.
    time = max(_time(row) for row in rows)
    index = _index(rows)
    forwards, futures, notes = _forwards(rows, options, time)
    quoted, expired = [], []
    for row, option in zip(rows, options, strict=True):
        price = row.number("mark_price", least=0)
        bid, ask = row.number_or_none("bid_price", least=0), row.number_or_none("ask_price", least=0)
        if bid and ask and bid > ask:
            raise row.refuse("bid_price", f"a bid of {bid:g} above the ask of {ask:g}", "a bid up to the ask")
        if option.expiry <= time:
            expired.append(option.symbol)
            continue
        forward = forwards[expiry_day(option)]
        # The venue marks every listed option from its own surface, quoted or not: all of them shape ours.
        quoted.append(Quoted(option=option, price=price, forward=forward, two_sided=True))
    inverted = invert(quoted, time, 0.0)
    perpetual = parse_symbol(f"{coin}-PERPETUAL", "deribit")
    assert perpetual is not None, "a coin that has options settled in it has a perpetual"
    marks = inverted.marks() | {f.symbol: Mark(price=forwards[f.expiry.date()]) for f in futures}
    market = Market(
        time=time,
        currency="USD",
        prices={coin: index},
        marks=marks,
        forwards={coin: dict(sorted(forwards.items()))},
        vols={coin: inverted.surface()},
    )
    instruments: list[Instrument] = [*options, *futures, perpetual]
    no_bid, no_ask = (sum(1 for row in rows if not row.cells[side]) for side in ("bid_price", "ask_price"))
    unsolved = inverted.unsolved()
    report = [
        f"{len(options)} {coin} options of {len(forwards)} expiries at {iso(time)}, index {index:g} USD; prices in"
        f" {coin}.",
        f"{no_bid} options have no bid and {no_ask} no ask: the marks are the venue's own and need neither.",
        f"{len(futures)} futures marked at the forward of their options: {', '.join(f.symbol for f in futures)}.",
        f"{perpetual.symbol} is listed without a mark (none in the file): it stands at the index.",
        f"{len(quoted) - len(unsolved)} implied vols inverted from marks, {len(unsolved)} not.",
        *(
            f"Not inverted: {option.symbol} ({reason.sentence}). It keeps its price; its vol is read from the other"
            f" strikes of {expiry_day(option)}."
            for option, reason in unsolved
        ),
        *notes,
    ]
    if expired:
        report.append(f"Expired before {iso(time)}, listed without a mark: {', '.join(expired)}.")
    return Imported(
        instruments=tuple(sorted(instruments, key=lambda instrument: instrument.symbol)),
        market=market,
        report=tuple(report),
    )


def _rows(path: Path) -> list[Row]:
    lines = read_lines(path)
    if not lines:
        raise InvalidFile(str(path), "an empty file", "a Deribit option chain")
    line, header = lines[0]
    for column in _COLUMNS:
        if header.count(column) != 1:
            raise InvalidFile(
                f"{path.name}, row {line}",
                f"{'no' if column not in header else 'more than one'} column {column}",
                f"a Deribit book summary: {', '.join(_COLUMNS)}",
                nearest(column, header) if column not in header else "",
            )
    if len(lines) == 1:
        raise InvalidFile(str(path), "a header and no rows", "one row an option")
    return rows_of(path, header, lines[1:])


def _option(row: Row) -> Option:
    name = row.text("instrument_name")
    option = parse_symbol(name, "deribit")
    if not isinstance(option, Option):
        raise row.refuse("instrument_name", repr(name), "an option such as ETH-26JAN24-1200-P")
    return option


def _check_each_once(rows: Sequence[Row]) -> None:
    seen: dict[str, int] = {}
    for row in rows:
        name = row.cells["instrument_name"]
        if name in seen:
            raise row.refuse("instrument_name", f"{name}, as in row {seen[name]}", "each instrument once")
        seen[name] = row.line


def _time(row: Row) -> datetime:
    stamp = row.number("creation_timestamp", above=0)
    try:
        return datetime.fromtimestamp(stamp / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        raise row.refuse("creation_timestamp", f"{stamp:g}", "milliseconds since 1970") from None


def _index(rows: Sequence[Row]) -> float:
    """Return the index of the latest row; raise InvalidFile where rows state different markets."""
    latest = max(rows, key=_time)
    index = latest.number("estimated_delivery_price", above=0)
    for row in rows:
        other = row.number("estimated_delivery_price", above=0)
        if abs(other - index) > _PRICES_AGREE * index:
            raise row.refuse(
                "estimated_delivery_price", f"{other:g}", f"one index in a snapshot: {index:g} in row {latest.line}"
            )
    return index


def _forwards(
    rows: Sequence[Row], options: Sequence[Option], time: datetime
) -> tuple[dict[date, float], list[Future], list[str]]:
    """Return the forward of each live expiry date, the futures listed, and what to report.

    Rows of one expiry may be a tick apart; the one stated most often stands, the higher of equals.
    """
    stated: dict[date, dict[float, int]] = defaultdict(lambda: defaultdict(int))
    futures: dict[date, Future] = {}
    synthetic: set[date] = set()
    for row, option in zip(rows, options, strict=True):
        if option.expiry <= time:
            continue
        day = expiry_day(option)
        forward = row.number("underlying_price", above=0)
        name = row.text("underlying_index")
        known = next(iter(stated[day]), forward)
        if abs(forward - known) > _PRICES_AGREE * known:
            raise row.refuse("underlying_price", f"{forward:g}", f"one forward an expiry: {known:g} above")
        stated[day][forward] += 1
        if name.startswith(_SYNTHETIC):
            synthetic.add(day)
        elif name != "index_price":
            future = parse_symbol(name, "deribit")
            if not isinstance(future, Future) or (future.underlying, future.expiry) != (
                option.underlying,
                option.expiry,
            ):
                raise row.refuse(
                    "underlying_index", repr(name), f"the future of {option.symbol}, or {_SYNTHETIC} and its name"
                )
            futures[day] = future
    forwards = {day: max(counts, key=lambda f: (counts[f], f)) for day, counts in sorted(stated.items())}
    notes = []
    if synthetic:
        days = ", ".join(str(day) for day in sorted(synthetic))
        notes.append(f"The forward of {days} is the venue's synthetic one: no future is listed there.")
    for day, counts in sorted(stated.items()):
        if len(counts) > 1:
            shown = ", ".join(f"{forward:g} ({count} rows)" for forward, count in sorted(counts.items()))
            notes.append(f"The rows of {day} state {len(counts)} forwards: {shown}; {forwards[day]:g} is used.")
    return forwards, [futures[day] for day in sorted(futures)], notes
