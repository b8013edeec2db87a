"""SPAN risk arrays as XML: files that end in .spn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from math import isfinite
from pathlib import Path
from xml.parsers import expat

from crossmargin.errors import InvalidFile
from crossmargin.venues.span_file import (
    AMERICAN,
    EUROPEAN,
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

_FAMILIES = {"futPf": "FUT", "oofPf": "OOF", "oopPf": "OOP", "ooePf": "OOE", "oocPf": "OOC", "phyPf": "PHY"}
_NUMBER = re.compile(r"[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_NO_ENTITIES = "XML without entities of its own"


@dataclass(slots=True, eq=False)
class _Node:
    """An element: its line, what is in it, and how to complain about it."""

    file: str
    tag: str
    line: int
    text: str = ""
    inside: list[_Node] = field(default_factory=list)

    def refuse(self, found: str, allowed: str) -> InvalidFile:
        return InvalidFile(f"{self.file}, line {self.line}, <{self.tag}>", found, allowed)

    def all(self, tag: str) -> Iterator[_Node]:
        return (node for node in self.inside if node.tag == tag)

    def first(self, *tags: str) -> _Node | None:
        """Return the first element along a path of tags."""
        node: _Node | None = self
        for tag in tags:
            node = next(node.all(tag), None) if node is not None else None
        return node

    def required(self, *tags: str) -> _Node:
        node = self.first(*tags)
        if node is None:
            raise self.refuse(f"no <{'/'.join(tags)}> in it", "one")
        return node

    def word(self, tag: str, default: str | None = None) -> str:
        """Return the text of an element that must not be empty."""
        node = self.first(tag)
        if node is None or not node.text:
            if default is None:
                raise (node or self).refuse("nothing" if node else f"no <{tag}> in it", "a value")
            return default
        return node.text

    def number(self, tag: str, default: float | None = None) -> float:
        """Return an element as a finite number."""
        node = self.first(tag)
        if node is None and default is not None:
            return default
        return self.required(tag).as_number()

    def as_number(self) -> float:
        number = float(self.text) if _NUMBER.fullmatch(self.text) else None
        if number is None or not isfinite(number):
            raise self.refuse(repr(self.text) if self.text else "nothing", "a number")
        return number

    def exact(self, tag: str) -> Decimal:
        self.number(tag)
        return Decimal(self.required(tag).text)


def read_spn(path: Path) -> SpanFile:
    """Return what a .spn file says; raise InvalidFile with the line and the element of what is wrong."""
    root = _tree(path)
    if root.tag != "spanFile":
        raise root.refuse(f"a file of <{root.tag}>", "<spanFile>")
    at = root.required("pointInTime")
    text = at.word("date")
    day = day_of(text)
    if day is None:
        raise at.required("date").refuse(repr(text), "a business date, YYYYMMDD")
    file = SpanFile(name=path.name, day=day)
    for house in at.all("clearingOrg"):
        for rate in house.all("curConv"):
            file.conversions[rate.word("fromCur"), rate.word("toCur")] = rate.number("factor")
        for definition in house.all("ccDef"):
            _commodity(file, definition)
        for spread in house.required("interSpreads").all("dSpread") if house.first("interSpreads") else ():
            _inter_spread(file, spread)
        for exchange in house.all("exchange"):
            for family in exchange.inside:
                if family.tag in _FAMILIES:
                    _family(file, family)
    _place(file)
    return complete(file, str(path))


def _family(file: SpanFile, family: _Node) -> None:
    kind = _FAMILIES[family.tag]
    key = (family.word("pfCode"), kind)
    style = family.word("exercise", "AMER")
    if style not in ("AMER", "EURO"):
        raise family.required("exercise").refuse(repr(style), "AMER or EURO")
    multiplier = _multiplier(family)
    file.products[key] = Product(
        code=key[0],
        type=kind,
        currency=family.word("currency"),
        multiplier=multiplier if multiplier is not None else Decimal(1),
        exercise=EUROPEAN if style == "EURO" else AMERICAN,
        is_index=family.word("priceMeth", "STD") == "IDX",
        decimal=family.word("priceFmt", "0") in ("0", "STD"),
    )
    own = family.first("undPf", "pfCode")
    underlying = own.text if own is not None else ""
    for node in (*family.all("fut"), *family.all("phy")):
        file.contracts.append(
            Contract(
                line=node.line,
                product=key,
                month=node.word("pe", ""),
                price=_price(node),
                expiry=_expiry(node),
                losses=_losses(node, needed=kind != "PHY"),
                delta=_delta(node),
            )
        )
        _same_multiplier(node, multiplier)
    for series in family.all("series"):
        rate = series.first("intrRate", "val")
        future = series.first("undC", "pe")
        _same_multiplier(series, multiplier)
        for node in series.all("opt"):
            right = node.word("o")
            if right not in ("C", "P"):
                raise node.required("o").refuse(repr(right), "C or P")
            vol = node.number("v", series.number("v", 0.0))
            file.contracts.append(
                Contract(
                    line=node.line,
                    product=key,
                    month=series.word("pe"),
                    underlying_month=future.text if future is not None else "",
                    underlying=underlying,
                    right="call" if right == "C" else "put",
                    strike=node.exact("k"),
                    price=_price(node),
                    vol=vol or None,
                    rate=rate.as_number() if rate is not None else None,
                    expiry=_expiry(series),
                    losses=_losses(node, needed=True),
                    delta=_delta(node),
                )
            )


def _multiplier(node: _Node) -> Decimal | None:
    if node.first("cvf") is None:
        return None
    number = node.exact("cvf")
    if not number > 0:
        raise node.required("cvf").refuse(str(number), "a contract value factor above 0")
    return number


def _same_multiplier(node: _Node, of_family: Decimal | None) -> None:
    own = _multiplier(node)
    if own is not None and of_family is not None and own != of_family:
        raise node.required("cvf").refuse(str(own), f"{of_family}, as its family has: one factor a family is read")


def _price(node: _Node) -> float | None:
    return node.number("p") if node.first("p") is not None else None


def _expiry(node: _Node) -> date | None:
    settled = node.first("setlDate") or node.first("pe")
    return day_of(settled.text) if settled is not None else None


def _losses(node: _Node, *, needed: bool) -> tuple[float, ...]:
    array = node.first("ra")
    if array is None:
        if needed:
            raise node.refuse("no <ra> in it", f"an array of {SCENARIOS} values")
        return ()
    losses = tuple(value.as_number() for value in array.all("a"))
    if len(losses) != SCENARIOS:
        raise array.refuse(f"{len(losses)} values", f"{SCENARIOS}")
    return losses


def _delta(node: _Node) -> float:
    array = node.first("ra")
    return array.number("d", 1.0) if array is not None else 1.0


def _commodity(file: SpanFile, node: _Node) -> None:
    code = node.word("cc")
    found = Commodity(code=code, currency=node.word("currency", "USD"))
    file.commodities[code] = found
    for link in node.all("pfLink"):
        found.products.append((link.word("pfCode"), link.word("pfType").upper()))
    for tier in node.required("intraTiers").all("tier") if node.first("intraTiers") else ():
        first, last = tier.word("sPe", ""), tier.word("ePe", "")
        if first and last:
            found.tiers.append(Tier(number=int(tier.number("tn")), first=first, last=last))
    for spread in node.all("dSpread"):
        rate = spread.first("rate", "val")
        if rate is None or spread.word("chargeMeth", "F") != "F":
            file.left_out.append(f"A spread within {code} on line {spread.line}, no flat charge, not used.")
            continue
        legs = tuple(_leg(leg, leg.word("tn")) for leg in spread.all("tLeg"))
        found.spreads.append(Spread(priority=int(spread.number("spread", 0)), rate=rate.as_number(), legs=legs))
    for spot in node.all("spotRate"):
        found.spots.append(
            SpotRate(month=spot.word("pe"), in_spreads=spot.number("sprd", 0), outright=spot.number("outr", 0))
        )
    minimum = node.first("somTiers", "tier", "rate", "val")
    found.short_minimum = minimum.as_number() if minimum is not None else 0.0


def _leg(node: _Node, of: str) -> Leg:
    side = node.word("rs")
    if side not in ("A", "B"):
        raise node.required("rs").refuse(repr(side), "A or B")
    return Leg(of=of, ratio=node.number("i", 1.0), side=side)


def _inter_spread(file: SpanFile, node: _Node) -> None:
    rate = node.required("rate").number("val")
    # Written as a percentage or as a fraction, by clearing house.
    credit = rate / 100 if rate > 1 else rate
    if not 0 <= credit <= 1:
        raise node.required("rate", "val").refuse(f"{rate:g}", "a credit of at most 100 percent")
    legs = tuple(_leg(leg, leg.word("cc")) for leg in node.all("tLeg"))
    file.inter_spreads.append(Spread(priority=int(node.number("spread", 0)), rate=credit, legs=legs))


def _place(file: SpanFile) -> None:
    """Put products no commodity links into the one of their own code, as files without links have it."""
    placed = {key for commodity in file.commodities.values() for key in commodity.products}
    for key, product in file.products.items():
        if key not in placed:
            own = file.commodities.setdefault(key[0], Commodity(code=key[0], currency=product.currency))
            own.products.append(key)


def _tree(path: Path) -> _Node:
    """Return the root element; a file may not define entities."""
    parser = expat.ParserCreate()
    parser.buffer_text = True
    stack: list[_Node] = []
    roots: list[_Node] = []

    def start(tag: str, attributes: dict[str, str]) -> None:
        node = _Node(path.name, tag, parser.CurrentLineNumber)
        (stack[-1].inside if stack else roots).append(node)
        stack.append(node)

    def end(tag: str) -> None:
        node = stack.pop()
        node.text = node.text.strip()

    def text(data: str) -> None:
        if stack:
            stack[-1].text += data

    def entity(*about: object) -> None:
        where = f"{path.name}, line {parser.CurrentLineNumber}"
        raise InvalidFile(where, f"the entity {about[0]}", _NO_ENTITIES)

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = text, entity
    try:
        with path.open("rb") as stream:
            parser.ParseFile(stream)
    except OSError as error:
        raise InvalidFile(str(path), error.strerror or "no access", "a readable file") from None
    except expat.ExpatError as error:
        where = f"{path.name}, line {error.lineno}, column {error.offset + 1}"
        raise InvalidFile(where, expat.errors.messages[error.code], "XML that is well formed") from None
    return roots[0]
