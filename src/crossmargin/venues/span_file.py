"""What a file of SPAN risk arrays says, whichever way it is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal

from crossmargin.errors import InvalidFile

SCENARIOS = 16
FUTURE, ON_FUTURE, PHYSICAL = "FUT", "OOF", "PHY"
OPTIONS = ("OOF", "OOP", "OOE", "OOC", "OOS")
"""Product types that are options: on a future, a physical, an equity, a combination, a stock."""
AMERICAN, EUROPEAN = "american", "european"


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A family of contracts: futures, or options of one kind on one thing."""

    code: str
    type: str
    currency: str
    multiplier: Decimal
    """Money a contract is worth per unit of price."""
    exercise: str = AMERICAN
    is_index: bool = False
    """Quoted as an index."""
    decimal: bool = True
    """Prices are decimals; False where they are ticks of a fraction."""

    @property
    def key(self) -> tuple[str, str]:
        """What it is known by in a file."""
        return self.code, self.type


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """One contract with its settlement price and its risk array."""

    line: int
    """Line of the file it is on."""
    product: tuple[str, str]
    month: str
    """Of the contract itself: YYYYMM, or YYYYMMDD where a day is given."""
    underlying_month: str = ""
    """Of the future an option is on."""
    underlying: str = ""
    """Product code of what an option is on."""
    right: str = ""
    """`call` or `put`; empty for what is no option."""
    strike: Decimal | None = None
    price: float | None
    vol: float | None = None
    rate: float | None = None
    expiry: date | None = None
    losses: tuple[float, ...] = ()
    """Sixteen, of one long contract, a loss positive, in the currency of the commodity; none for physicals."""
    delta: float = 1.0
    """Composite, in contracts of its underlying."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """Contract months that spread as one; YYYYMM, both inside."""

    number: int
    first: str
    last: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leg:
    """One leg of a spread."""

    of: str
    """Tier number within a commodity, or code of a commodity."""
    ratio: float
    side: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A spread in its place of priority, with its charge (money) or credit (fraction)."""

    priority: int
    rate: float
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SpotRate:
    """What a delta of a delivery month owes in money, in spreads and outright."""

    month: str
    in_spreads: float
    outright: float


@dataclass(slots=True, kw_only=True)
class Commodity:
    """A combined commodity: products that offset, and the rates between them."""

    code: str
    currency: str
    products: list[tuple[str, str]] = field(default_factory=list)
    tiers: list[Tier] = field(default_factory=list)
    spreads: list[Spread] = field(default_factory=list)
    spots: list[SpotRate] = field(default_factory=list)
    short_minimum: float = 0.0
    """Money a short option."""


@dataclass(slots=True, kw_only=True)
class SpanFile:
    """A whole file."""

    name: str
    day: date
    """Business date."""
    products: dict[tuple[str, str], Product] = field(default_factory=dict)
    contracts: list[Contract] = field(default_factory=list)
    commodities: dict[str, Commodity] = field(default_factory=dict)
    inter_spreads: list[Spread] = field(default_factory=list)
    conversions: dict[tuple[str, str], float] = field(default_factory=dict)
    """(from, into) -> how many of `into` one of `from` is."""
    left_out: list[str] = field(default_factory=list)
    """Sentences on what the reader could not use."""


def day_of(text: str) -> date | None:
    """Return the date of YYYYMMDD; None where there is no such day."""
    if len(text) != 8 or not text.isdigit():
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        return None


def complete(file: SpanFile, path: str) -> SpanFile:
    """Return the file once its parts fit together; raise InvalidFile at the line that does not."""
    if not file.contracts:
        raise InvalidFile(path, "no contracts", "risk arrays of at least one contract")
    seen: dict[tuple[object, ...], int] = {}
    for contract in file.contracts:
        if contract.product not in file.products:
            raise InvalidFile(
                f"{file.name}, line {contract.line}",
                f"a contract of {' '.join(contract.product)}, which nothing describes",
                _known(sorted({code for code, _ in file.products})),
            )
        key = (contract.product, contract.month, contract.underlying_month, contract.right, contract.strike)
        if key in seen:
            raise InvalidFile(
                f"{file.name}, line {contract.line}",
                f"a contract of {' '.join(contract.product)} that is on line {seen[key]} already",
                "each contract once",
            )
        seen[key] = contract.line
    return file


def _known(names: Sequence[str]) -> str:
    shown = ", ".join(names[:10])
    return f"{shown} and {len(names) - 10} more" if len(names) > 10 else shown or "a product"
