"""SPAN risk arrays in fixed columns: CME's expanded unpacked format, files that end in .pa2.

One record a line. A record's kind is in its first two columns; the columns of each kind are below, from 1, as the
clearing house's published layout has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path

from crossmargin.errors import InvalidFile
from crossmargin.venues.span_file import (
    AMERICAN,
    EUROPEAN,
    OPTIONS,
    SCENARIOS,
    Commodity,
    Contract,
    Leg,
    Product,
    SpanFile,
    SpotRate,
    Spread,
    Tier,
    complete,
    day_of,
)

_KINDS = ("0", "1", "2", "3", "4", "5", "6", "81", "82", "83", "84", "91", "92", *"BCEPRSTVXYZ")
_FORMATS = ("U2",)
_IGNORED = {
    "E": "spreads of single months",
    "S": "scanning and spreading tiers of their own",
    "X": "combinations",
    "V": "daily adjustments",
}
_FIRST_HALF = 9
_TIERED, _SCANNED = "20", "04"


@dataclass(frozen=True, slots=True)
class _Record:
    """One line."""

    file: str
    line: int
    text: str

    @property
    def kind(self) -> str:
        return self.text[:2].strip()

    def refuse(self, first: int, last: int, found: str, allowed: str) -> InvalidFile:
        where = f"column {first}" if first == last else f"columns {first} to {last}"
        return InvalidFile(f"{self.file}, line {self.line}, {where}", found, allowed)

    def text_at(self, first: int, last: int) -> str:
        """Return what is in the columns, trimmed; empty where the line is too short."""
        return self.text[first - 1 : last].strip()

    def required(self, first: int, last: int, what: str) -> str:
        found = self.text_at(first, last)
        if not found:
            raise self.refuse(first, last, "nothing", what)
        return found

    def number(self, first: int, last: int, places: int = 0, *, default: float | None = None) -> float:
        """Return digits with so many implied decimals; `default` where the columns are blank."""
        return float(self.exact(first, last, places, default=default))

    def exact(self, first: int, last: int, places: int = 0, *, default: float | None = None) -> Decimal:
        found = self.text_at(first, last)
        if not found:
            if default is None:
                raise self.refuse(first, last, "nothing", "digits")
            return Decimal(str(default))
        sign, digits = (-1, found[1:]) if found[0] == "-" else (1, found)
        if not digits.isascii() or not digits.isdigit():
            raise self.refuse(first, last, repr(found), "digits")
        return sign * Decimal(digits).scaleb(-places)

    def sign(self, column: int) -> int:
        found = self.text_at(column, column)
        if found not in ("", "+", "-"):
            raise self.refuse(column, column, repr(found), "+, - or a blank")
        return -1 if found == "-" else 1

    def one_of(self, first: int, last: int, among: tuple[str, ...]) -> str:
        found = self.text_at(first, last)
        if found not in among:
            raise self.refuse(first, last, repr(found) if found else "nothing", " or ".join(among))
        return found


def read_pa2(path: Path) -> SpanFile:
    """Return what a .pa2 file says; raise InvalidFile with the line and the columns of what is wrong."""
    reader = _Reader(path)
    for record in _records(path):
        reader.take(record)
    return reader.finish()


def _records(path: Path) -> Iterator[_Record]:
    try:
        with path.open(encoding="latin-1") as stream:
            for number, line in enumerate(stream, 1):
                text = line.rstrip("\r\n")
                if text.strip("\x1a \t\0"):
                    yield _Record(path.name, number, text)
    except OSError as error:
        raise InvalidFile(str(path), error.strerror or "no access", "a readable file") from None


class _Reader:
    """Takes record after record; what belongs together lies together in the file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.file: SpanFile | None = None
        self.decimals: dict[tuple[str, str], tuple[int, int]] = {}
        """Implied decimals of (settlement, strike) prices."""
        self.array_places: dict[tuple[str, str], int] = {}
        self.exponent: dict[str, int] = {}
        self.commodity_of: dict[tuple[str, str], str] = {}
        self.terms: dict[tuple[str, str, str, str], tuple[str, float | None]] = {}
        """(product, type, future month, option month) -> (expiry, interest rate)."""
        self.first_half: tuple[_Record, tuple[float, ...]] | None = None
        self.pending: list[tuple[Contract, tuple[str, str, str, str]]] = []
        self.ignored: dict[str, int] = {}

    def take(self, record: _Record) -> None:
        if self.file is None:
            self._header(record)
            return
        if record.kind not in _KINDS:
            raise record.refuse(1, 2, repr(record.text[:2]), f"a kind of record: {', '.join(_KINDS)}")
        if self.first_half is not None and record.kind not in ("82", "84"):
            raise record.refuse(
                1, 2, repr(record.kind), f"the second half of the array on line {self.first_half[0].line}"
            )
        match record.kind:
            case "T":
                rate = record.number(11, 20, 6)
                pair = (record.required(3, 5, "a currency"), record.required(7, 9, "a currency"))
                self.file.conversions[pair] = rate
            case "P":
                self._product(record)
            case "2":
                self._commodity(record)
            case "3":
                self._tiers(record)
            case "4":
                self._rates(record)
            case "6":
                self._inter_spread(record)
            case "B":
                self._terms(record)
            case "C":
                self._tier_spread(record)
            case "81" | "83":
                self.first_half = (record, self._losses(record, _FIRST_HALF))
            case "82" | "84":
                self._contract(record)
            case kind if kind in _IGNORED:
                self.ignored[kind] = self.ignored.get(kind, 0) + 1

    def finish(self) -> SpanFile:
        if self.file is None:
            raise InvalidFile(str(self.path), "an empty file", "a SPAN file in the expanded unpacked format")
        if self.first_half is not None:
            record = self.first_half[0]
            raise record.refuse(1, 2, "the first half of an array at the end of the file", "its second half")
        for contract, key in self.pending:
            expiry, rate = self.terms.get(key, ("", None))
            self.file.contracts.append(replace(contract, expiry=day_of(expiry), rate=rate))
        for kind, count in sorted(self.ignored.items()):
            self.file.left_out.append(f"{count} record(s) of kind {kind}, {_IGNORED[kind]}, not used.")
        return complete(self.file, str(self.path))

    def _header(self, record: _Record) -> None:
        if record.text[:2] != "0 ":
            raise record.refuse(1, 2, repr(record.text[:2]), "'0 ', the header of a SPAN file in the expanded format")
        text = record.required(9, 16, "a business date, YYYYMMDD")
        day = day_of(text)
        if day is None:
            raise record.refuse(9, 16, repr(text), "a business date, YYYYMMDD")
        record.one_of(36, 37, _FORMATS)
        self.file = SpanFile(name=self.path.name, day=day)

    def _product(self, record: _Record) -> None:
        assert self.file is not None, "the header comes first"
        key = (record.required(6, 15, "a product code"), record.required(16, 18, "a product type"))
        multiplier = record.exact(42, 55, 7).scaleb(record.sign(73) * int(record.number(74, 75, default=0)))
        if not multiplier > 0:
            raise record.refuse(42, 55, str(multiplier), "a contract value factor above 0")
        self.decimals[key] = (int(record.number(34, 36, default=0)), int(record.number(37, 39, default=0)))
        style = record.text_at(76, 79)
        if style not in ("", "AMER", "EURO"):
            raise record.refuse(76, 79, repr(style), "AMER, EURO or blanks")
        plain = ("", "C")
        self.file.products[key] = Product(
            code=key[0],
            type=key[1],
            currency=record.required(66, 68, "a currency"),
            multiplier=multiplier,
            exercise=EUROPEAN if style == "EURO" else AMERICAN,
            is_index=record.text_at(70, 72) == "IDX",
            decimal=record.text_at(40, 40) in plain and record.text_at(41, 41) in plain,
        )

    def _commodity(self, record: _Record) -> None:
        assert self.file is not None, "the header comes first"
        code = record.required(7, 12, "a combined commodity code")
        currency = record.required(14, 16, "a currency")
        commodity = self.file.commodities.setdefault(code, Commodity(code=code, currency=currency))
        self.exponent[code] = int(record.number(13, 13, default=0))
        for first in range(23, 119, 16):
            product = record.text_at(first, first + 9)
            if product:
                key = (product, record.required(first + 10, first + 12, "a product type"))
                commodity.products.append(key)
                self.commodity_of[key] = code
                places = int(record.number(first + 13, first + 13, default=0))
                self.array_places[key] = places * record.sign(first + 14)

    def _known(self, record: _Record) -> Commodity:
        assert self.file is not None, "the header comes first"
        code = record.required(3, 8, "a combined commodity code")
        if code not in self.file.commodities:
            raise record.refuse(3, 8, repr(code), "a combined commodity that a record of kind 2 before describes")
        return self.file.commodities[code]

    def _money(self, code: str, amount: float) -> float:
        return amount * 10.0 ** self.exponent[code]

    def _tiers(self, record: _Record) -> None:
        commodity = self._known(record)
        if record.text_at(9, 10) != "10":
            return
        for first in (11, 25, 39, 53):
            number = int(record.number(first, first + 1, default=0))
            if number:
                commodity.tiers.append(
                    Tier(
                        number=number,
                        first=_month(record, first + 2),
                        last=_month(record, first + 8),
                    )
                )

    def _rates(self, record: _Record) -> None:
        commodity = self._known(record)
        if record.text_at(9, 10) == "10":
            for first in (13, 35):
                if int(record.number(first, first + 1, default=0)):
                    commodity.spots.append(
                        SpotRate(
                            month=_month(record, first + 2),
                            in_spreads=self._money(commodity.code, record.number(first + 8, first + 14, default=0)),
                            outright=self._money(commodity.code, record.number(first + 15, first + 21, default=0)),
                        )
                    )
        commodity.short_minimum = self._money(commodity.code, record.number(63, 69, default=0))

    def _tier_spread(self, record: _Record) -> None:
        commodity = self._known(record)
        legs = []
        for n in range(int(record.number(13, 14))):
            first = 22 + 7 * n
            legs.append(
                Leg(
                    of=str(int(record.number(first + 2, first + 3))),
                    ratio=record.number(first + 4, first + 5),
                    side=record.one_of(first + 6, first + 6, ("A", "B")),
                )
            )
        commodity.spreads.append(
            Spread(
                priority=int(record.number(11, 12)),
                rate=self._money(commodity.code, record.number(15, 21)),
                legs=tuple(legs),
            )
        )

    def _inter_spread(self, record: _Record) -> None:
        assert self.file is not None, "the header comes first"
        legs = []
        for first in (17, 35, 53, 71):
            code = record.text_at(first + 4, first + 9)
            if code:
                legs.append(
                    Leg(
                        of=code,
                        ratio=record.number(first + 10, first + 16, 4),
                        side=record.one_of(first + 17, first + 17, ("A", "B")),
                    )
                )
        priority, method = int(record.number(6, 9)), record.text_at(89, 90).zfill(2)
        name = "-".join(leg.of for leg in legs)
        if method in (_TIERED, _SCANNED) or record.text_at(101, 101) == "F":
            how = {_TIERED: "by tiers", _SCANNED: "by scanning"}.get(method, "by a flat credit")
            self.file.left_out.append(f"Spread {name} of priority {priority}, formed {how}, not used.")
            return
        rate = record.number(10, 16, 4) / 100
        if not 0 <= rate <= 1:
            raise record.refuse(10, 16, f"{rate:.2%}", "a credit of at most 100 percent")
        self.file.inter_spreads.append(Spread(priority=priority, rate=rate, legs=tuple(legs)))

    def _terms(self, record: _Record) -> None:
        key = (
            record.required(6, 15, "a product code"),
            record.required(16, 18, "a product type"),
            _period(record, 19),
            _period(record, 28),
        )
        self.terms[key] = (record.text_at(92, 99), record.number(68, 72, 4, default=0))

    def _losses(self, record: _Record, count: int) -> tuple[float, ...]:
        key = (record.required(6, 15, "a product code"), record.required(26, 28, "a product type"))
        digits = 8 if record.kind in ("83", "84") else 5
        places = self.array_places.get(key, 0)
        code = self.commodity_of.get(key)
        if code is None:
            raise record.refuse(6, 28, " ".join(key), "a product that a record of kind 2 puts into a commodity")
        scale = 10.0 ** (self.exponent[code] - places)
        found = []
        for k in range(count):
            first = 55 + k * (digits + 1)
            found.append(record.number(first, first + digits - 1) * record.sign(first + digits) * scale)
        return tuple(found)

    def _contract(self, record: _Record) -> None:
        if self.first_half is None:
            raise record.refuse(1, 2, repr(record.kind), "the first half of an array on the line before")
        before, losses = self.first_half
        self.first_half = None
        if before.text[2:54] != record.text[2:54] or int(before.kind) + 1 != int(record.kind):
            raise record.refuse(3, 54, "another contract", f"the one whose array begins on line {before.line}")
        losses += self._losses(record, SCENARIOS - _FIRST_HALF)
        # The eight-digit record is longer by three columns an array value.
        shift = 3 * (SCENARIOS - _FIRST_HALF) if record.kind == "84" else 0
        key = (record.text_at(6, 15), record.text_at(26, 28))
        settle_places, strike_places = self.decimals.get(key, (0, 0))
        is_option = key[1] in OPTIONS
        future, own = _period(record, 30), _period(record, 39)
        price: float | None = record.number(111 + shift, 117 + shift, settle_places, default=0)
        if before.kind == "81" and before.text_at(123, 123) == "Y":
            price = before.number(109, 122, settle_places)
        assert price is not None
        price *= record.sign(118 + shift)
        right = ""
        if is_option:
            right = "call" if record.one_of(29, 29, ("C", "P")) == "C" else "put"
        vol_scale = 10.0 ** (record.sign(137 + shift) * int(record.number(135 + shift, 136 + shift, default=0)))
        contract = Contract(
            line=before.line,
            product=key,
            month=own if is_option else future,
            underlying_month=future if is_option else "",
            underlying=record.text_at(16, 25),
            right=right,
            strike=record.exact(48, 54, strike_places) * record.sign(119 + shift) if is_option else None,
            price=price,
            vol=record.number(103 + shift, 110 + shift, 6, default=0) * vol_scale or None,
            losses=losses,
            delta=record.number(97 + shift, 101 + shift, 4) * record.sign(102 + shift),
        )
        self.pending.append((contract, (key[0], key[1], future, own)))


def _month(record: _Record, first: int) -> str:
    text = record.required(first, first + 5, "a contract month, YYYYMM")
    if not text.isdigit() or len(text) != 6 or not 1 <= int(text[4:]) <= 12:
        raise record.refuse(first, first + 5, repr(text), "a contract month, YYYYMM")
    return text


def _period(record: _Record, first: int) -> str:
    """Return a contract month and its day or week code, in eight columns; empty where it is blank or zero."""
    text = record.text_at(first, first + 5)
    if not text.strip("0"):
        return ""
    return _month(record, first) + record.text_at(first + 6, first + 7).replace("00", "")
