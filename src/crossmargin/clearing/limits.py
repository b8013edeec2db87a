"""Limits: how large an order or a position may be, how much may leave in a while, and the credit tier of an account.

Limits of an instrument hold for every account; an account may have its own, stricter or wider. A limit stops what
makes a position larger, never what makes it smaller.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from crossmargin.clearing.contracts import AMOUNT_MAX, LOTS_MAX
from crossmargin.clearing.headroom import HALTED, MODES, REDUCE_ONLY
from crossmargin.clearing.locations import SECOND
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import TIERS, account_of, asset_of, instrument_number_of
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.units import IntArray

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

NONE = LOTS_MAX
"""The limit where none was set: what lots may be at all."""
EVERY_ACCOUNT = -1
NO_WINDOW = -1
WINDOW_SECONDS_MAX = 366 * 86_400


@dataclass(slots=True)
class Limits:
    """Limits in lots and in minor units.

    position, order: (instruments,) int64, largest position and order of any account, in lots, where hot commands find
    them. own: (account, instrument) -> (position, order) of accounts with limits of their own. withdrawal:
    (account, asset) -> [limit, window in seconds, number of the window in use, what has left in it].
    """

    position: IntArray = field(default_factory=lambda: np.full(16, NONE, dtype=np.int64))
    order: IntArray = field(default_factory=lambda: np.full(16, NONE, dtype=np.int64))
    own: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    withdrawal: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def make_room(self, instruments: int) -> None:
        """Have a place for each instrument."""
        for name in ("position", "order"):
            column = getattr(self, name)
            if instruments > len(column):
                grown = np.full(2 * instruments, NONE, dtype=np.int64)
                grown[: len(column)] = column
                setattr(self, name, grown)

    def of(self, account: int, instrument: int) -> tuple[int, int]:
        """Return the (largest position, largest order) of an account in an instrument, in lots."""
        own = self.own.get((account, instrument))
        return own if own is not None else (int(self.position[instrument]), int(self.order[instrument]))

    def withdrawable(self, account: int, asset: int, now: int) -> tuple[int, int]:
        """Return (window, how much may still leave in it) at a time; (NO_WINDOW, AMOUNT_MAX) without a limit."""
        row = self.withdrawal.get((account, asset))
        if row is None:
            return NO_WINDOW, AMOUNT_MAX
        limit, seconds, window, used = row
        current = now // (seconds * SECOND)
        return current, max(0, limit - (used if current == window else 0))

    def use(self, account: int, asset: int, window: int, amount: int) -> None:
        """Count what leaves (> 0) in a window, or did not leave after all (< 0), unless that window is over."""
        row = self.withdrawal.get((account, asset))
        if row is None or window == NO_WINDOW:
            return
        if window > row[2]:
            row[2], row[3] = window, 0
        if window == row[2]:
            row[3] = max(0, row[3] + amount)

    def frozen(self) -> Any:
        """Return the limits as plain values."""
        limited = np.flatnonzero((self.position != NONE) | (self.order != NONE)).tolist()
        return [
            [[k, int(self.position[k]), int(self.order[k])] for k in limited],
            [[*key, *own] for key, own in sorted(self.own.items())],
            [[*key, *row] for key, row in sorted(self.withdrawal.items())],
        ]

    @classmethod
    def thawed(cls, plain: Any) -> Limits:
        """Return what `frozen` was told of."""
        made = cls()
        for instrument, position, order in plain[0]:
            made.make_room(instrument + 1)
            made.position[instrument], made.order[instrument] = position, order
        made.own = {(account, instrument): (position, order) for account, instrument, position, order in plain[1]}
        made.withdrawal = {(account, asset): row for account, asset, *row in plain[2]}
        return made


def held_back(state: State, account: int, instrument: int, before: int, lots: int, *, reduces: bool) -> Rejected | None:
    """Return why an account may not trade `lots` (bought > 0) now: a restriction, or a limit; None where it may.

    before: its lots if everything that may trade on the same side first has. reduces: it only lowers a position; then
    nothing but a halt stops it.
    """
    mode = state.control.mode(account, instrument)
    if mode == HALTED or (mode == REDUCE_ONLY and not reduces):
        return Rejected(Reason.TRADING_IS_RESTRICTED, f"{state.parties.accounts[account].name}: {MODES[mode]}")
    if reduces:
        return None
    largest, largest_order = state.limits.of(account, instrument)
    after = before + lots
    if abs(lots) > largest_order:
        return Rejected(Reason.ORDER_LIMIT_REACHED, f"an order of {abs(lots)} lots; allowed: {largest_order}")
    if abs(after) > largest:
        return Rejected(Reason.POSITION_LIMIT_REACHED, f"a position of {abs(after)} lots; allowed: {largest}")
    return None


# --- setting them


class SetLimits(Command, frozen=True):
    """Limit orders and positions in an instrument, of every account or of one. None: no limit."""

    instrument: str
    position: int | None
    order: int | None
    account: str = ""


class LimitsSet(Event, frozen=True):
    """Limits of an instrument, in lots; account EVERY_ACCOUNT: of all that have none of their own."""

    account: int
    instrument: int
    position: int
    order: int


@decides(SetLimits)
def _set(state: State, command: SetLimits) -> Decision:
    account: int | Rejected = EVERY_ACCOUNT
    if command.account:
        account = account_of(state, command.account)
    instrument = instrument_number_of(state, command.instrument)
    if isinstance(account, Rejected):
        return account
    if isinstance(instrument, Rejected):
        return instrument
    position = NONE if command.position is None else command.position
    order = NONE if command.order is None else command.order
    if not 0 <= position <= NONE or not 0 <= order <= NONE:
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {position} and {order} lots; allowed: 0 to {NONE}")
    return [LimitsSet(account=account, instrument=instrument, position=position, order=order)]


@applies(LimitsSet)
def _were_set(state: State, event: LimitsSet) -> None:
    if event.account == EVERY_ACCOUNT:
        state.limits.position[event.instrument] = event.position
        state.limits.order[event.instrument] = event.order
    else:
        state.limits.own[event.account, event.instrument] = (event.position, event.order)


class SetWithdrawalLimit(Command, frozen=True):
    """Limit what may leave an account in a window of time; windows follow one another from 1970 on."""

    account: str
    asset: str
    amount: int | None
    """Minor units; None: no limit."""
    window_seconds: int = 86_400


class WithdrawalLimitSet(Event, frozen=True):
    """What may leave an account; amount -1: whatever it has."""

    account: int
    asset: int
    amount: int
    window_seconds: int


@decides(SetWithdrawalLimit)
def _set_withdrawal(state: State, command: SetWithdrawalLimit) -> Decision:
    account, asset = account_of(state, command.account), asset_of(state, command.asset)
    if isinstance(account, Rejected):
        return account
    if isinstance(asset, Rejected):
        return asset
    amount = -1 if command.amount is None else command.amount
    fine = (command.amount is None or 0 <= amount < AMOUNT_MAX) and 1 <= command.window_seconds <= WINDOW_SECONDS_MAX
    if not fine:
        found = f"{command.amount} in {command.window_seconds} s"
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {found}; allowed: 0 or more in 1 to {WINDOW_SECONDS_MAX} s")
    return [WithdrawalLimitSet(account=account, asset=asset, amount=amount, window_seconds=command.window_seconds)]


@applies(WithdrawalLimitSet)
def _withdrawal_was_set(state: State, event: WithdrawalLimitSet) -> None:
    key = (event.account, event.asset)
    if event.amount < 0:
        state.limits.withdrawal.pop(key, None)
        return
    known = state.limits.withdrawal.get(key)
    # A new amount in the same windows does not forget what has left already.
    used = known[2:] if known is not None and known[1] == event.window_seconds else [0, 0]
    state.limits.withdrawal[key] = [event.amount, event.window_seconds, *used]


class SetTier(Command, frozen=True):
    """Put an account in another credit tier, from now on."""

    account: str
    tier: str
    reason: str


class TierSet(Event, frozen=True):
    """An account is in a credit tier."""

    account: int
    tier: int
    reason: str


@decides(SetTier)
def _set_tier(state: State, command: SetTier) -> Decision:
    account = account_of(state, command.account)
    if isinstance(account, Rejected):
        return account
    if command.tier not in TIERS or not command.reason.strip():
        found = f"tier {command.tier!r}, reason {command.reason!r}"
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {found}; allowed: {', '.join(TIERS)}; a reason")
    tier = TIERS.index(command.tier)
    if tier == state.parties.accounts[account].tier:
        return Rejected(Reason.NOTHING_WOULD_CHANGE, f"{command.account} is in {command.tier} already")
    return [TierSet(account=account, tier=tier, reason=command.reason)]


@applies(TierSet)
def _tier_was_set(state: State, event: TierSet) -> None:
    state.parties.accounts[event.account].tier = event.tier
    state.terms_changes += 1
    state.touched.add(event.account)
