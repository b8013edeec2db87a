"""Contracts: what each instrument is in the market, checked at birth."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from datetime import datetime
from decimal import Decimal
from typing import ClassVar

from crossmargin.errors import InvalidInstrument, nearest
from crossmargin.instruments.assets import ASSET_CLASSES
from crossmargin.units import NAME_LENGTH_MAX, exact, utc

PRICE_DOMAINS = ("positive", "any")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """The terms every contract has. Use one of its kinds: Spot, Future, Perpetual, Option."""

    kind: ClassVar[str] = ""

    symbol: str
    underlying: str
    """The asset or index whose price it follows."""
    quote: str
    """The asset its price is stated in."""
    settle: str = ""
    """The asset profit and loss is paid in; by default the quote asset, for inverse contracts the underlying."""
    contract_size: Decimal = Decimal(1)
    """Units of the underlying a contract is for; of the quote asset for inverse futures and perpetuals."""
    asset_class: str = "other"
    inverse: bool = False
    """Settled in the underlying coin: its value in coin falls with 1/price."""
    price_domain: str = "positive"
    """`positive`, or `any` where prices may be zero or negative."""
    tick_size: Decimal | None = None
    lot_size: Decimal | None = None

    def __post_init__(self) -> None:
        place = f"instrument {self.symbol}"
        if not self.kind:
            raise InvalidInstrument(place, "no kind", "one of Spot, Future, Perpetual, Option")
        for field in ("symbol", "underlying", "quote"):
            name = getattr(self, field)
            if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH_MAX:
                raise InvalidInstrument(f"{place}, {field}", repr(name), f"a name of 1 to {NAME_LENGTH_MAX} characters")
        object.__setattr__(self, "settle", self.settle or (self.underlying if self.inverse else self.quote))
        self._positive_decimal("contract_size", place)
        for field in ("tick_size", "lot_size"):
            if getattr(self, field) is not None:
                self._positive_decimal(field, place)
        if self.asset_class not in ASSET_CLASSES:
            raise InvalidInstrument(
                f"{place}, asset_class",
                repr(self.asset_class),
                ", ".join(ASSET_CLASSES),
                nearest(self.asset_class, ASSET_CLASSES),
            )
        if self.price_domain not in PRICE_DOMAINS:
            raise InvalidInstrument(f"{place}, price_domain", repr(self.price_domain), " or ".join(PRICE_DOMAINS))
        if self.underlying == self.quote:
            raise InvalidInstrument(f"{place}, quote", f"{self.quote}, its own underlying", "another asset")
        if self.inverse and self.settle != self.underlying:
            raise InvalidInstrument(
                f"{place}, settle",
                self.settle,
                f"{self.underlying}: an inverse contract settles in its underlying",
            )
        if self.inverse and self.price_domain == "any":
            raise InvalidInstrument(
                f"{place}, price_domain", "any", "positive: an inverse contract divides by its price"
            )

    def _positive_decimal(self, field: str, place: str) -> None:
        try:
            number = exact(getattr(self, field))
        except ValueError as error:
            raise InvalidInstrument(f"{place}, {field}", str(error), "a number above 0") from None
        if number <= 0:
            raise InvalidInstrument(f"{place}, {field}", str(number), "a number above 0")
        object.__setattr__(self, field, number)

    def _utc_expiry(self, expiry: datetime | str) -> datetime:
        try:
            return utc(expiry)
        except ValueError as error:
            raise InvalidInstrument(
                f"instrument {self.symbol}, expiry",
                str(error),
                "an ISO 8601 time with its zone, such as 2026-12-25T08:00:00Z",
            ) from None


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot(Instrument):
    """The asset itself: holding it is a balance of the underlying."""

    kind: ClassVar[str] = "spot"

    def __post_init__(self) -> None:
        Instrument.__post_init__(self)
        if self.inverse:
            raise InvalidInstrument(f"instrument {self.symbol}, inverse", "true", "false: spot is never inverse")


@dataclass(frozen=True, slots=True, kw_only=True)
class Perpetual(Instrument):
    """A swap without expiry, held near spot by a periodic funding payment.

    Linear: a long gains `contract_size` settle units per unit of price. Inverse: a contract is worth
    `contract_size` quote units at any price, so a long gains `contract_size (1/entry - 1/mark)` coins.
    """

    kind: ClassVar[str] = "perpetual"


@dataclass(frozen=True, slots=True, kw_only=True)
class Future(Instrument):
    """A dated future; pays as the perpetual does, without funding, and ends at `expiry`."""

    kind: ClassVar[str] = "future"

    expiry: datetime
    """The instant of final settlement, UTC."""

    def __post_init__(self) -> None:
        Instrument.__post_init__(self)
        object.__setattr__(self, "expiry", self._utc_expiry(self.expiry))


@dataclass(frozen=True, slots=True, kw_only=True)
class Option(Instrument):
    """A European call or put, cash-settled at `expiry`.

    Linear: priced and paid in quote. Coin-settled (`inverse`): priced and paid in the underlying coin, with the
    strike in quote: the payoff in coin is the quote payoff divided by the price at expiry.
    """

    kind: ClassVar[str] = "option"

    option_type: str
    """`call` or `put`."""
    strike: Decimal
    expiry: datetime
    exercise: str = "european"

    def __post_init__(self) -> None:
        Instrument.__post_init__(self)
        place = f"instrument {self.symbol}"
        object.__setattr__(self, "expiry", self._utc_expiry(self.expiry))
        if self.option_type not in ("call", "put"):
            raise InvalidInstrument(f"{place}, option_type", repr(self.option_type), "call or put")
        if self.exercise not in ("european", "american"):
            raise InvalidInstrument(f"{place}, exercise", repr(self.exercise), "european or american")
        if self.price_domain == "positive":
            self._positive_decimal("strike", place)
        else:
            try:
                object.__setattr__(self, "strike", exact(self.strike))
            except ValueError as error:
                raise InvalidInstrument(f"{place}, strike", str(error), "a number") from None


_KINDS: dict[str, type[Instrument]] = {kind.kind: kind for kind in (Spot, Future, Perpetual, Option)}


_TERMS = {
    name: (
        dict.fromkeys(field.name for field in fields(kind)),
        {field.name for field in fields(kind) if field.default is MISSING},
    )
    for name, kind in _KINDS.items()
}
"""By kind: the terms it has, and those that must be given."""


def instrument_of(type: str, **terms: object) -> Instrument:
    """Return the instrument of a kind named as in files ("spot", "future", "perpetual", "option").

    Raises InvalidInstrument for an unknown kind, a missing term or one that the kind does not have.
    """
    place = f"instrument {terms.get('symbol', '?')}"
    if type not in _KINDS:
        raise InvalidInstrument(f"{place}, type", repr(type), ", ".join(_KINDS), nearest(type, _KINDS))
    known, required = _TERMS[type]
    if not required <= terms.keys() <= known.keys():
        for name in terms:
            if name not in known:
                raise InvalidInstrument(
                    f"{place}, {name}", "a term no such contract has", f"for a {type}: {', '.join(known)}"
                )
        missing = sorted(required - terms.keys())
        raise InvalidInstrument(
            place, f"no {' and no '.join(missing)}", f"a {type} needs {', '.join(sorted(required))}"
        )
    return _KINDS[type](**terms)  # type: ignore[arg-type]  # each kind checks its own terms at birth
