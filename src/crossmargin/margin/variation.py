"""The variation account of a future: gains and losses are paid every day, and the balance is called back to initial."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from crossmargin.errors import InputError


@dataclass(frozen=True, slots=True, kw_only=True)
class VariationAccount:
    """A futures position day by day; one entry a settlement, in the settle asset."""

    gains: tuple[float, ...]
    """What the day paid, negative for a loss."""
    balances: tuple[float, ...]
    """After the day's gain, before a call is paid."""
    calls: tuple[float, ...]
    """What is called that day and paid before the next: 0 where the balance is at or above maintenance margin."""

    @property
    def cumulative_gain(self) -> float:
        """All the days' gains."""
        return sum(self.gains)


def variation_account(
    *,
    quantity: float,
    contract_size: float,
    entry_price: float,
    initial_margin: float,
    maintenance_margin: float,
    settlements: Sequence[float],
) -> VariationAccount:
    """Return the account of a future entered at `entry_price` and marked to each of `settlements`.

    quantity: contracts, long positive; the margins are for the whole position, in the settle asset. The account opens
    with the initial margin. A balance below maintenance is called up to initial, not to maintenance; what is above
    initial stays. Source class: clearing houses' daily settlement. Raises InputError for margins that cannot be.
    """
    if not 0 <= maintenance_margin <= initial_margin:
        raise InputError("maintenance_margin", f"{maintenance_margin:g}", f"from 0 to initial, {initial_margin:g}")
    if not contract_size > 0:
        raise InputError("contract_size", f"{contract_size:g}", "a number above 0")
    units = quantity * contract_size
    balance, last = initial_margin, entry_price
    gains, balances, calls = [], [], []
    for price in settlements:
        gain = units * (price - last)
        balance, last = balance + gain, price
        call = initial_margin - balance if balance < maintenance_margin else 0.0
        gains.append(gain)
        balances.append(balance)
        calls.append(call)
        balance += call
    return VariationAccount(gains=tuple(gains), balances=tuple(balances), calls=tuple(calls))
