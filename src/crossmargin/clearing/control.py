"""Control: what officers hold back, and why. The whole house, one instrument or one account; each with its reason."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from crossmargin.clearing.headroom import HALTED, MODES, OPEN, REDUCE_ONLY, stands
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import account_of, instrument_number_of
from crossmargin.clearing.rejections import Reason, Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

__all__ = ["EVERY", "HALTED", "MODES", "OPEN", "REDUCE_ONLY", "Control", "Restrict", "Restricted"]

EVERY = -1
"""Every account, or every instrument."""


@dataclass(slots=True)
class Control:
    """Restrictions in force, by (account, instrument) with `EVERY` where all are meant: (mode, reason).

    house: the mode of the whole house. accounts, instruments: (n,) int8, the mode of each, where hot commands find it.
    """

    in_force: dict[tuple[int, int], tuple[int, str]] = field(default_factory=dict)
    house: int = OPEN
    accounts: NDArray[np.int8] = field(default_factory=lambda: np.zeros(16, dtype=np.int8))
    instruments: NDArray[np.int8] = field(default_factory=lambda: np.zeros(16, dtype=np.int8))

    def make_room(self, accounts: int, instruments: int) -> None:
        """Have a place for each account and each instrument."""
        for name, needed in (("accounts", accounts), ("instruments", instruments)):
            column = getattr(self, name)
            if needed > len(column):
                grown = np.zeros(2 * needed, dtype=np.int8)
                grown[: len(column)] = column
                setattr(self, name, grown)

    def mode(self, account: int = EVERY, instrument: int = EVERY) -> int:
        """Return the strictest mode that holds for an account, an instrument or both."""
        modes = [self.house]
        if account != EVERY:
            modes.append(int(self.accounts[account]))
        if instrument != EVERY:
            modes.append(int(self.instruments[instrument]))
        return max(modes)

    def keeps_money(self, account: int) -> bool:
        """Return whether no money may leave an account: it is held back itself, or the house is halted."""
        return bool(self.accounts[account]) or self.house == HALTED

    def put(self, account: int, instrument: int, mode: int, reason: str) -> None:
        """Put a restriction in force, or lift it (mode OPEN)."""
        if mode == OPEN:
            self.in_force.pop((account, instrument), None)
        else:
            self.in_force[account, instrument] = (mode, reason)
        if account != EVERY:
            self.make_room(account + 1, 0)
            self.accounts[account] = mode
        elif instrument != EVERY:
            self.make_room(0, instrument + 1)
            self.instruments[instrument] = mode
        else:
            self.house = mode

    def frozen(self) -> Any:
        """Return the restrictions as plain values."""
        return [[*key, *what] for key, what in sorted(self.in_force.items())]

    @classmethod
    def thawed(cls, plain: Any) -> Control:
        """Return what `frozen` was told of."""
        made = cls()
        for row in plain:
            made.put(*row)
        return made


class Restrict(Command, frozen=True):
    """Hold back an account, an instrument or (both empty) the whole house, or let it go again with mode "open"."""

    mode: str
    reason: str
    account: str = ""
    instrument: str = ""


class Restricted(Event, frozen=True):
    """A restriction is in force, or lifted."""

    account: int
    instrument: int
    mode: int
    reason: str


@decides(Restrict)
def _restrict(state: State, command: Restrict) -> Decision:
    if command.mode not in MODES or (command.account and command.instrument) or not command.reason.strip():
        found = f"mode {command.mode!r}, account {command.account!r}, instrument {command.instrument!r}"
        allowed = f"modes {', '.join(MODES)}; an account, an instrument or neither; a reason"
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {found}, reason {command.reason!r}; allowed: {allowed}")
    mode = MODES.index(command.mode)
    account = instrument = EVERY
    if command.account:
        found_account = account_of(state, command.account)
        if isinstance(found_account, Rejected):
            return found_account
        account = found_account
    if command.instrument:
        found_instrument = instrument_number_of(state, command.instrument)
        if isinstance(found_instrument, Rejected):
            return found_instrument
        instrument = found_instrument
    in_force = state.control.in_force.get((account, instrument), (OPEN, ""))
    if in_force == (mode, command.reason) or in_force[0] == mode == OPEN:
        return Rejected(Reason.NOTHING_WOULD_CHANGE, f"{command.mode} already")
    if account != EVERY and mode == OPEN and not stands(state, account):
        return Rejected(Reason.POOL_WOULD_NOT_STAND, f"{command.account} is held back until its debt is paid")
    return [Restricted(account=account, instrument=instrument, mode=mode, reason=command.reason)]


@applies(Restricted)
def _restricted(state: State, event: Restricted) -> None:
    state.control.put(event.account, event.instrument, event.mode, event.reason)
