"""Contracts as the ledger knows them: what lots at a price are worth, in whole minor units."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from crossmargin.clearing.rounding import to_account
from crossmargin.instruments import Future, Instrument, Option

AMOUNT_MAX = 2**62
"""Amounts, costs and lots stay below this in size, so that two of them add up in 64 bits."""
TICKS_MAX = 2**40
LOTS_MAX = 2**40

LINEAR, INVERSE, OPTION = range(3)
"""Kinds of contracts, as kernels tell them apart."""
NUMERATOR, DENOMINATOR, KIND, SETTLE = range(4)
"""Columns of `Parties.terms`."""

STAGES = ("listed", "trading", "expiring", "settled")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Contract:
    """An instrument in whole lots and ticks.

    value of `lots` at `ticks`, in minor units of the settlement asset, as a fraction:
        linear and options     lots * ticks * numerator / denominator, denominator 1: exact
        inverse                -lots * numerator / (denominator * ticks)
    For an option `ticks` is its premium. A position is (lots, cost): cost gathers minus the value of its trades, so
    its profit is value + cost; premiums are paid in cash at the trade and leave cost at 0.
    """

    instrument: Instrument
    settle: int
    """Number of the settlement asset."""
    numerator: int
    denominator: int
    inverse: bool
    """True for inverse futures and perpetuals; coin-settled options are linear in their premium."""
    option: bool
    expiry: int | None
    """Nanoseconds since 1970 UTC; None for perpetuals."""

    @property
    def kind(self) -> int:
        """LINEAR, INVERSE or OPTION."""
        return OPTION if self.option else INVERSE if self.inverse else LINEAR

    @property
    def signed(self) -> bool:
        """Whether it may trade at or below 0."""
        return self.instrument.price_domain == "any"

    def value(self, lots: int, ticks: int) -> int:
        """Return what `lots` at `ticks` are worth to their holder, rounded down, in minor units."""
        if self.inverse:
            return to_account(-lots * self.numerator, self.denominator * ticks)
        return lots * ticks * self.numerator

    def price(self, ticks: int) -> float:
        """Return the price that `ticks` are, in quoted units."""
        size = self.instrument.tick_size
        assert size is not None
        return float(ticks * size)

    def lots(self, lots: int) -> float:
        """Return how many contracts `lots` are."""
        size = self.instrument.lot_size
        assert size is not None
        return float(lots * size)


def contract_of(instrument: Instrument, settle: int, decimals: int) -> Contract:
    """Return the contract of an instrument that settles in asset number `settle` with `decimals`.

    Raises ValueError saying what is wrong: no tick or lot size, or a tick of one lot that is not a whole number of
    minor units (the ledger never rounds what a trade is worth where it need not).
    """
    tick, lot = instrument.tick_size, instrument.lot_size
    if tick is None or lot is None:
        raise ValueError(f"{instrument.symbol}: found no tick_size or lot_size; a cleared contract needs both")
    if instrument.kind == "spot":
        raise ValueError(f"{instrument.symbol}: found spot; allowed: future, perpetual, option (spot is a balance)")
    if isinstance(instrument, Option) and instrument.exercise != "european":
        raise ValueError(f"{instrument.symbol}: found exercise {instrument.exercise}; allowed: european")
    inverse = instrument.inverse and not isinstance(instrument, Option)
    size = Fraction(lot) * Fraction(instrument.contract_size) * 10**decimals
    scale = size / Fraction(tick) if inverse else size * Fraction(tick)
    if not inverse and scale.denominator != 1:
        raise ValueError(
            f"{instrument.symbol}: one tick of one lot is {scale} minor units of {instrument.settle}; "
            "allowed: a whole number (a coarser tick or lot, or more decimals)"
        )
    if scale.numerator > AMOUNT_MAX:
        raise ValueError(f"{instrument.symbol}: one tick of one lot does not fit 62 bits")
    expires = instrument.expiry if isinstance(instrument, Future | Option) else None
    return Contract(
        instrument=instrument,
        settle=settle,
        numerator=scale.numerator,
        denominator=scale.denominator,
        inverse=inverse,
        option=isinstance(instrument, Option),
        expiry=int(expires.timestamp()) * 1_000_000_000 if expires is not None else None,
    )
