"""SPAN risk parameter files: a catalogue, a market and a rule book out of arrays, rates and settlement prices."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from statistics import median

from crossmargin.errors import InvalidFile, some_of
from crossmargin.instruments import Instrument, Option, instrument_of
from crossmargin.market import Mark, Market, VolSlice, VolSurface
from crossmargin.units import iso
from crossmargin.venues.imported import Imported
from crossmargin.venues.span_file import FUTURE, OPTIONS, PHYSICAL, Commodity, Contract, SpanFile, Spread
from crossmargin.venues.span_pa2 import read_pa2
from crossmargin.venues.span_spn import read_spn

CLOSE = time(21, 0, tzinfo=UTC)
"""Hour contracts are taken to settle and prices to be of: afternoon in Chicago. The files tell days only."""
MOST_ARRAYS = 20_000
"""Arrays a rule book is given at most: beyond that contracts are revalued."""
_HALF_DAY = 0.5
_SPREADS_TO_A_LINE = 6
_NO_CHARGE: Mapping[str, object] = {"tier": 1, "with": 1, "charge": 0.0}
"""What a commodity without spreads of its own gets: not those of the shipped book."""


def import_span(path: Path | str) -> Imported:
    """Return the contracts of a SPAN file, their settlement prices as a market, and its rates as a rule book.

    Fixed columns (.pa2) or XML (.spn): what the file begins with decides. Every combined commodity becomes an
    underlying of its code, its price that of the physical or of the future that ends first. Contract value factors
    become contract sizes, options take their future's price as forward; vols are inverted from settlement prices,
    those of the file stand by. The rule book extends `span`: arrays and composite deltas by contract, tiers, spreads
    within and between commodities, delivery and short option rates, the last four turned from money a contract into
    shares of the price. What is not used is named in the report. Raises InvalidFile with line and columns.
    """
    path = Path(path)
    file = read_spn(path) if _is_xml(path) else read_pa2(path)
    return _Build(file).imported(str(path))


def _is_xml(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(256).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"<")
    except OSError as error:
        raise InvalidFile(str(path), error.strerror or "no access", "a readable file") from None


@dataclass(slots=True, eq=False)
class _Listed:
    """A contract of the file with the instrument it has become."""

    contract: Contract
    instrument: Instrument
    commodity: Commodity
    live: bool


@dataclass(slots=True, eq=False)
class _Build:
    """Makes a catalogue, a market and a rule book, and notes what it assumed."""

    file: SpanFile
    listed: list[_Listed] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    index: dict[str, float] = field(default_factory=dict)
    """Price of each commodity."""

    def imported(self, path: str) -> Imported:
        now = datetime.combine(self.file.day, CLOSE)
        self._list(path, now)
        self._price_commodities()
        market = self._market(now)
        instruments = sorted((row.instrument for row in self.listed), key=lambda i: i.symbol)
        rules = self._rules()
        live = sum(row.live for row in self.listed)
        report = [
            f"{len(instruments):,} contracts of {len({row.commodity.code for row in self.listed}):,} commodities, "
            f"{live:,} of them live at {iso(now)}; contracts are taken to settle at {CLOSE:%H:%M} UTC.",
            *self.notes,
            *self.file.left_out,
        ]
        return Imported(instruments=tuple(instruments), market=market, rules=rules, report=tuple(report))

    def _list(self, path: str, now: datetime) -> None:
        home = {key: c for c in self.file.commodities.values() for key in c.products}
        fractions: set[str] = set()
        homeless: set[str] = set()
        guessed = 0
        any_price = {
            home[c.product].code
            for c in self.file.contracts
            if c.product in home and c.price is not None and not c.right and c.price <= 0
        }
        expiries = self._expiries()
        symbols: dict[str, int] = {}
        for contract in self.file.contracts:
            product = self.file.products[contract.product]
            if product.type == PHYSICAL:
                continue
            if contract.product not in home:
                homeless.add(product.code)
                continue
            if not product.decimal:
                fractions.add(product.code)
                continue
            if product.type != FUTURE and product.type not in OPTIONS:
                homeless.add(product.code)
                continue
            commodity = home[contract.product]
            day = contract.expiry or expiries.get(contract.month)
            if day is None:
                guessed += 1
                day = _month_end(self.file, contract)
            symbol = _symbol(contract)
            if symbol in symbols:
                symbol = f"{symbol}@{contract.underlying_month}"
            if symbol in symbols:
                raise InvalidFile(
                    f"{self.file.name}, line {contract.line}",
                    f"a second {symbol}",
                    f"each contract once: the first is on line {symbols[symbol]}",
                )
            symbols[symbol] = contract.line
            expiry = datetime.combine(day, CLOSE)
            underlying = commodity.code if commodity.code != product.currency else f"{commodity.code}-{product.code}"
            shared: dict[str, object] = {
                "symbol": symbol,
                "underlying": underlying,
                "quote": product.currency,
                "contract_size": product.multiplier.normalize(),
                "asset_class": "equity_index" if product.is_index else "other",
                "price_domain": "any" if commodity.code in any_price else "positive",
                "expiry": expiry,
            }
            if contract.right:
                assert contract.strike is not None, "options have a strike"
                if contract.strike <= 0 and commodity.code not in any_price:
                    raise InvalidFile(
                        f"{self.file.name}, line {contract.line}",
                        f"a strike of {contract.strike}",
                        "a strike above 0 where prices are",
                    )
                if contract.rate is not None and not abs(contract.rate) < 1:
                    raise InvalidFile(
                        f"{self.file.name}, line {contract.line}",
                        f"an interest rate of {contract.rate:g}",
                        "a fraction between -1 and 1",
                    )
                shared |= {
                    "option_type": contract.right,
                    "strike": contract.strike,
                    "exercise": product.exercise,
                }
            instrument = instrument_of("option" if contract.right else "future", **shared)
            self.listed.append(_Listed(contract, instrument, commodity, expiry > now))
        if not self.listed:
            raise InvalidFile(path, "no future and no option", "at least one")
        if fractions:
            self.notes.append(f"Quoted in fractions, left out: {some_of(sorted(fractions))}.")
        if homeless:
            self.notes.append(f"No future, no option, or in no commodity, left out: {some_of(sorted(homeless))}.")
        if guessed:
            self.notes.append(f"{guessed:,} contracts without a settlement day: taken as the last of their month.")
        gone = [row.instrument.symbol for row in self.listed if not row.live]
        if gone:
            self.notes.append(f"Expired by then, listed without a mark: {some_of(gone)}.")

    def _expiries(self) -> dict[str, date]:
        """Return the day of contract months that are days themselves."""
        found = {}
        for contract in self.file.contracts:
            if len(contract.month) == 8 and contract.month.isdigit():
                day = _day(contract.month)
                if day is not None:
                    found[contract.month] = day
        return found

    def _price_commodities(self) -> None:
        """Take the price of each commodity from its physical, else from the live future that ends first."""
        for contract in self.file.contracts:
            if contract.product[1] == PHYSICAL and contract.price is not None and contract.price > 0:
                for commodity in self.file.commodities.values():
                    if contract.product in commodity.products:
                        self.index.setdefault(commodity.code, contract.price)
        futures = [row for row in self.listed if not row.contract.right and row.live and row.contract.price is not None]
        for row in sorted(futures, key=lambda r: (r.instrument.expiry, r.instrument.symbol)):  # type: ignore[attr-defined]
            assert row.contract.price is not None
            self.index.setdefault(row.commodity.code, row.contract.price)
        bare = sorted({row.commodity.code for row in self.listed} - self.index.keys())
        if bare:
            self.notes.append(f"No price of a physical or a future, so no index: {some_of(bare)}.")

    def _market(self, now: datetime) -> Market:
        currencies = [row.instrument.quote for row in self.listed]
        reporting = "USD" if "USD" in currencies else max(sorted(set(currencies)), key=currencies.count)
        marks: dict[str, Mark] = {}
        forwards: dict[str, dict[date, float]] = defaultdict(dict)
        vols: dict[str, dict[date, dict[float, float]]] = defaultdict(lambda: defaultdict(dict))
        futures = {
            (row.contract.product[0], row.contract.month): row.contract.price
            for row in self.listed
            if not row.contract.right
        }
        unpriced, two_forwards = [], set()
        for row in self.listed:
            contract, instrument = row.contract, row.instrument
            if not row.live:
                continue
            if contract.price is None or (contract.right and contract.price < 0):
                unpriced.append(instrument.symbol)
                continue
            marks[instrument.symbol] = Mark(price=contract.price)
            if not isinstance(instrument, Option):
                continue
            day = instrument.expiry.date()
            forward = futures.get((contract.underlying, contract.underlying_month or contract.month))
            if forward is None:
                forward = self.index.get(row.commodity.code)
            if forward is not None:
                known = forwards[instrument.underlying].setdefault(day, forward)
                if known != forward:
                    two_forwards.add(f"{instrument.underlying} {day}")
            if contract.vol is not None and 0 < contract.vol < 5:
                vols[instrument.underlying][day].setdefault(float(instrument.strike), contract.vol)
        if unpriced:
            self.notes.append(f"No settlement price, no mark: {some_of(unpriced)}.")
        if two_forwards:
            self.notes.append(
                f"Options of one day on two futures, the first one's price taken: {some_of(sorted(two_forwards))}."
            )
        rates = [row.contract.rate for row in self.listed if row.contract.right and row.contract.rate is not None]
        name_of = {row.commodity.code: row.instrument.underlying for row in self.listed}
        return Market(
            time=now,
            currency=reporting,
            prices={name_of[code]: price for code, price in sorted(self.index.items()) if code in name_of},
            fx=self._exchange(reporting, set(currencies)),
            marks=marks,
            forwards={name: dict(sorted(days.items())) for name, days in sorted(forwards.items())},
            vols={
                name: VolSurface(
                    {
                        day: VolSlice(strikes=tuple(sorted(at)), vols=tuple(at[k] for k in sorted(at)))
                        for day, at in sorted(days.items())
                    }
                )
                for name, days in sorted(vols.items())
            },
            rates={reporting: median(rates)} if rates else {},
        )

    def _exchange(self, reporting: str, currencies: set[str]) -> dict[str, float]:
        fx = {}
        for currency in sorted(currencies - {reporting}):
            there, back = (self.file.conversions.get(p) for p in ((currency, reporting), (reporting, currency)))
            if there:
                fx[currency] = there
            elif back:
                fx[currency] = 1.0 / back
            else:
                self.notes.append(f"No rate of {currency} in {reporting}: state fx.{currency} in the market.")
        return fx

    # --- the rule book

    def _rules(self) -> str:
        rows: dict[str, list[_Listed]] = defaultdict(list)
        for row in self.listed:
            if row.live and row.commodity.code in self.index and self.index[row.commodity.code] > 0:
                rows[row.commodity.code].append(row)
        tables: dict[str, dict[str, object]] = defaultdict(dict)
        for code, members in sorted(rows.items()):
            name = members[0].instrument.underlying
            size = self._size(members)
            unit = self.index[code] * float(size)
            commodity = members[0].commodity
            span = self._scan_range(members)
            if span is not None:
                tables["scan_range_by_underlying"][name] = span
            bounds, place = self._tiers(commodity, members)
            tables["tier_days_by_underlying"][name] = bounds or [1.0]
            tables["tier_spreads_by_underlying"][name] = self._tier_spreads(commodity, place, unit) or [_NO_CHARGE]
            tables["delivery_by_underlying"][name] = self._delivery(commodity, members, unit)
            option_size = next((float(r.instrument.contract_size) for r in members if r.contract.right), float(size))
            minimum = commodity.short_minimum / (self.index[code] * option_size)
            if 0 <= minimum < 1:
                tables["short_minimum_by_underlying"][name] = minimum
            else:
                self.notes.append(f"Short option minimum of {code}, {minimum:.0%} of its price, not used.")
        return _toml(self.file, tables, self._commodity_spreads(rows), self._arrays())

    def _size(self, members: Sequence[_Listed]) -> Decimal:
        """Return the contract size rates are for: that of the commodity's first product listed, futures first."""
        order = {key: k for k, key in enumerate(members[0].commodity.products)}
        first = min(members, key=lambda r: (bool(r.contract.right), order.get(r.contract.product, len(order))))
        return first.instrument.contract_size

    def _scan_range(self, members: Sequence[_Listed]) -> float | None:
        """Return the range of the futures' arrays: their loss in the whole move over the contract's value."""
        found = [
            max(map(abs, row.contract.losses[10:14])) / (row.contract.price * float(row.instrument.contract_size))
            for row in members
            if not row.contract.right and row.contract.losses and row.contract.price and row.contract.price > 0
        ]
        return min(max(found), 0.99) if found else None

    def _days(self, row: _Listed) -> float:
        expiry = row.instrument.expiry  # type: ignore[attr-defined]
        return float((expiry - datetime.combine(self.file.day, CLOSE)) / timedelta(days=1))

    def _tiers(self, commodity: Commodity, members: Sequence[_Listed]) -> tuple[list[float], dict[int, int]]:
        """Return the day bounds of the tiers, and the place of each tier number; none where they overlap."""
        tiers = sorted({t.number: t for t in commodity.tiers}.values(), key=lambda t: t.first)
        if not tiers:
            return [], {}
        if any(a.last >= b.first for a, b in pairwise(tiers)):
            self.notes.append(f"Tiers of {commodity.code} overlap: tiers and their spreads not used.")
            return [], {}
        bounds: list[float] = []
        place: dict[int, int] = {}
        for tier in tiers:
            inside = [
                self._days(r)
                for r in members
                if not r.contract.right and tier.first <= r.contract.month[:6] <= tier.last
            ]
            if inside:
                bounds.append(max(inside) + _HALF_DAY)
                place[tier.number] = len(bounds)
        return bounds[:-1], place

    def _tier_spreads(self, commodity: Commodity, place: Mapping[int, int], unit: float) -> list[Mapping[str, object]]:
        rows: list[Mapping[str, object]] = []
        for spread in sorted(commodity.spreads, key=lambda s: s.priority):
            numbers = [int(leg.of) for leg in spread.legs]
            even = len(numbers) == 2 and spread.legs[0].ratio == spread.legs[1].ratio
            if not even:
                self.file.left_out.append(
                    f"Spread {spread.priority} within {commodity.code}, not one against one of two legs, not used."
                )
            elif all(number in place for number in numbers):
                rows.append(
                    {"tier": place[numbers[0]], "with": place[numbers[1]], "charge": max(spread.rate, 0.0) / unit}
                )
        return rows

    def _delivery(self, commodity: Commodity, members: Sequence[_Listed], unit: float) -> dict[str, float]:
        months = {spot.month[:6] for spot in commodity.spots}
        near = [self._days(r) for r in members if not r.contract.right and r.contract.month[:6] in months]
        if not near:
            return {"days": 0.0, "in_spreads": 0.0, "outright": 0.0}
        if len({(s.in_spreads, s.outright) for s in commodity.spots}) > 1:
            self.notes.append(
                f"Delivery months of {commodity.code} have rates of their own: the highest taken for all."
            )
        return {
            "days": max(near) + _HALF_DAY,
            "in_spreads": max(s.in_spreads for s in commodity.spots) / unit,
            "outright": max(s.outright for s in commodity.spots) / unit,
        }

    def _commodity_spreads(self, rows: Mapping[str, Sequence[_Listed]]) -> list[dict[str, object]]:
        found: list[dict[str, object]] = []
        unused: list[str] = []
        for spread in sorted(self.file.inter_spreads, key=lambda s: s.priority):
            codes = [leg.of for leg in spread.legs]
            usable = len(codes) >= 2 and len(set(codes)) == len(codes) and all(code in rows for code in codes)
            if not usable or any(leg.ratio <= 0 for leg in spread.legs):
                unused.append(_named(spread))
                continue
            legs = [
                [rows[leg.of][0].instrument.underlying, leg.ratio * float(self._size(rows[leg.of])), leg.side]
                for leg in spread.legs
            ]
            found.append({"legs": legs, "credit": spread.rate})
        for start in range(0, len(unused), _SPREADS_TO_A_LINE):
            names = ", ".join(unused[start : start + _SPREADS_TO_A_LINE])
            self.notes.append(f"Spreads with a commodity that has no price here, not used: {names}.")
        return found

    def _arrays(self) -> dict[str, list[float]]:
        live = [row for row in self.listed if row.live]
        other = [row.instrument.symbol for row in live if row.commodity.currency != row.instrument.quote]
        if other:
            self.notes.append(f"Arrays in another currency than the price, not used: {some_of(other)}.")
            live = [row for row in live if row.commodity.currency == row.instrument.quote]
        if len(live) > MOST_ARRAYS:
            self.notes.append(
                f"{len(live):,} arrays are more than a rule book takes, {MOST_ARRAYS:,}: contracts are revalued."
            )
            return {}
        return {
            row.instrument.symbol: [*(0.0 - loss for loss in row.contract.losses), row.contract.delta]
            for row in sorted(live, key=lambda r: r.instrument.symbol)
        }


def _named(spread: Spread) -> str:
    return "-".join(leg.of for leg in spread.legs)


def _symbol(contract: Contract) -> str:
    base = f"{contract.product[0]}-{contract.month}"
    if not contract.right:
        return base
    assert contract.strike is not None, "options have a strike"
    return f"{base}-{contract.strike.normalize():f}-{contract.right[0].upper()}"


def _day(text: str) -> date | None:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:8]))
    except ValueError:
        return None


def _month_end(file: SpanFile, contract: Contract) -> date:
    month = contract.month[:6]
    if len(month) == 6 and month.isdigit() and 1 <= int(month[4:]) <= 12:
        year, number = int(month[:4]), int(month[4:])
        return date(year + number // 12, number % 12 + 1, 1) - timedelta(days=1)
    raise InvalidFile(
        f"{file.name}, line {contract.line}", f"a contract month of {contract.month!r}", "YYYYMM or YYYYMMDD"
    )


_TABLES = {
    "scan_range_by_underlying": ("fraction of the price", "the whole move of the futures' arrays"),
    "tier_days_by_underlying": ("days to expiry", "the tiers' last contract months, as of the file's day"),
    "tier_spreads_by_underlying": (
        "fraction of the price a pair of units",
        "its spreads within the commodity, money a contract over the contract's value",
    ),
    "delivery_by_underlying": (
        "days to expiry; fractions of the price a unit",
        "its delivery rates, money a contract over the contract's value",
    ),
    "short_minimum_by_underlying": (
        "fraction of the price",
        "its short option minimum, money a contract over the contract's value",
    ),
}


def _toml(
    file: SpanFile,
    tables: Mapping[str, Mapping[str, object]],
    spreads: Sequence[Mapping[str, object]],
    arrays: Mapping[str, Sequence[float]],
) -> str:
    """Return a rule book that extends `span` by what the file says."""
    lines = [
        f"# The rates and arrays of {file.name}; what it does not say is as in the shipped book.",
        "",
        'name = "span-file"',
        f'version = "{file.day}"',
        'title = "SPAN-style, with the arrays of a file"',
        'extends = "span"',
        f"source = {json.dumps(f'the SPAN file {file.name}')}",
    ]

    def table(key: str, unit: str, source: str) -> None:
        lines.extend(("", f"[parameters.{key}]", f"unit = {json.dumps(unit)}", f"source = {json.dumps(source)}"))

    for key, (unit, source) in _TABLES.items():
        if tables.get(key):
            table(key, unit, f"{file.name}: {source}")
            lines.extend(("", f"[parameters.{key}.value]"))
            lines.extend(f"{json.dumps(name)} = {_value(value)}" for name, value in tables[key].items())
    table("commodity_spreads", "units of the underlying; fraction of the price risk", f"{file.name}: its spreads")
    lines.extend(("value = [", *(f"    {_value(spread)}," for spread in spreads), "]"))
    if arrays:
        table("arrays", "quote units a contract; delta a unit", f"{file.name}: its arrays, signs turned to P&L")
        lines.extend(("", "[parameters.arrays.value]"))
        lines.extend(f"{json.dumps(symbol)} = {_value(list(array))}" for symbol, array in arrays.items())
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    match value:
        case Mapping():
            return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
        case list():
            return "[" + ", ".join(_value(item) for item in value) + "]"
        case str():
            return json.dumps(value)
        case float():
            return repr(value)
    return str(value)
