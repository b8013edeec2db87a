"""Fees: what a trade costs, in whole minor units. Charged amounts are rounded up, rebates down."""

from __future__ import annotations

from crossmargin.clearing.contracts import Contract

FEE_SCALE = 1_000_000
"""Fees are in millionths of the notional."""


def notional(contract: Contract, lots: int, ticks: int) -> tuple[int, int]:
    """Return |value| of a trade as a fraction (numerator, denominator > 0) of minor units; an option's: its premium."""
    if contract.inverse:
        return abs(lots) * contract.numerator, contract.denominator * ticks
    return abs(lots * ticks) * contract.numerator, 1


def fee_of(contract: Contract, lots: int, ticks: int, rate: int) -> int:
    """Return the fee of a trade at `rate` millionths of its notional: > 0 charged, < 0 a rebate.

    The notional is first made whole, up where a fee is charged and down where a rebate is given, and then the fee.
    """
    top, bottom = notional(contract, lots, ticks)
    whole = -(-top // bottom) if rate > 0 else top // bottom
    return -(-whole * rate // FEE_SCALE)
