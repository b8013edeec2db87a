"""Marks: the prices that decisions read, written down as they were when the decisions were made."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from crossmargin.clearing.contracts import TICKS_MAX
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import SETTLED, instrument_number_of
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.units import IntArray

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

UNKNOWN = -(2**63)
"""What a column has where nothing is known."""
INDEX_SCALE = 10**8
"""Indices are in units of 1e-8."""
INDEX_MAX = 2**62
VOL_SCALE = 10**6
"""Implied vols are in units of 1e-6, a year."""
VOL_MAX = 50 * VOL_SCALE


@dataclass(slots=True)
class Marks:
    """The newest marks.

    ticks, vols, times: (instruments,) int64 the price in ticks (options: their premium), the implied vol in 1e-6, and
    when either last came, nanoseconds since 1970 UTC; UNKNOWN where none has. indices: by the name of an underlying or
    asset, in 1e-8 of its quote or of the reporting currency. index_times: when each last came. changes: how often any
    mark changed since the house was opened; not part of what is kept.
    """

    ticks: IntArray = field(default_factory=lambda: np.full(16, UNKNOWN, dtype=np.int64))
    vols: IntArray = field(default_factory=lambda: np.full(16, UNKNOWN, dtype=np.int64))
    times: IntArray = field(default_factory=lambda: np.full(16, UNKNOWN, dtype=np.int64))
    indices: dict[str, int] = field(default_factory=dict)
    index_times: dict[str, int] = field(default_factory=dict)
    changes: int = 0

    def make_room(self, instruments: int) -> None:
        """Have a place for each of `instruments`."""
        if instruments <= len(self.ticks):
            return
        for name in ("ticks", "vols", "times"):
            column = getattr(self, name)
            grown = np.full(2 * instruments, UNKNOWN, dtype=np.int64)
            grown[: len(column)] = column
            setattr(self, name, grown)

    def of(self, instrument: int) -> int | None:
        """Return the mark of an instrument in ticks; None where there is none yet."""
        ticks = int(self.ticks[instrument])
        return None if ticks == UNKNOWN else ticks

    def vol_of(self, instrument: int) -> int | None:
        """Return the implied vol of an instrument in 1e-6; None where there is none yet."""
        vol = int(self.vols[instrument])
        return None if vol == UNKNOWN else vol

    def index_of(self, name: str) -> int | None:
        """Return the index of an underlying or asset in 1e-8; None where there is none yet."""
        return self.indices.get(name)

    def latest(self) -> int | None:
        """Return when the newest mark came, nanoseconds since 1970 UTC; None where there is none."""
        newest = max(int(self.times.max()), max(self.index_times.values(), default=UNKNOWN))
        return None if newest == UNKNOWN else newest

    def frozen(self) -> Any:
        """Return the marks as plain values."""
        known = np.flatnonzero(self.times != UNKNOWN)
        columns = [column[known].astype("<i8").tobytes() for column in (self.ticks, self.vols, self.times)]
        indices = [[name, price, self.index_times[name]] for name, price in sorted(self.indices.items())]
        return [known.astype("<i8").tobytes(), *columns, indices]

    @classmethod
    def thawed(cls, plain: Any) -> Marks:
        """Return what `frozen` was told of."""
        known, ticks, vols, times = (np.frombuffer(column, dtype="<i8") for column in plain[:4])
        made = cls()
        made.make_room(int(known.max(initial=-1)) + 1)
        made.ticks[known], made.vols[known], made.times[known] = ticks, vols, times
        made.indices = {name: price for name, price, _ in plain[4]}
        made.index_times = {name: time for name, _, time in plain[4]}
        return made


class UpdateMarks(Command, frozen=True):
    """New marks, all or none. What is not named stays as it was."""

    instruments: dict[str, int] = msgspec.field(default_factory=dict)
    """Price of each instrument in ticks; of an option its premium."""
    indices: dict[str, int] = msgspec.field(default_factory=dict)
    """Index of each underlying in its quote, or value of each asset in the reporting currency, in units of 1e-8."""
    vols: dict[str, int] = msgspec.field(default_factory=dict)
    """Implied vol of each option, a year, in units of 1e-6."""


class MarksUpdated(Event, frozen=True):
    """There are new marks. Columns are int64, little-endian: number and ticks, number and vol, of each instrument."""

    instrument: bytes
    ticks: bytes
    vol_instrument: bytes
    vols: bytes
    indices: list[tuple[str, int]]


@decides(UpdateMarks)
def _update(state: State, command: UpdateMarks) -> Decision:
    numbers: list[int] = []
    for symbol, ticks in command.instruments.items():
        number = instrument_number_of(state, symbol)
        if isinstance(number, Rejected):
            return number
        listing = state.parties.instruments[number]
        if listing.stage == SETTLED:
            return Rejected(Reason.INSTRUMENT_IS_SETTLED, symbol)
        # A premium of 0 is what an option far out of the money is worth.
        least = -TICKS_MAX if listing.contract.signed else 0 if listing.contract.option else 1
        if not least <= ticks <= TICKS_MAX:
            return Rejected(
                Reason.MARK_IS_IMPOSSIBLE, f"{symbol}: found {ticks} ticks; allowed: {least} to {TICKS_MAX}"
            )
        numbers.append(number)
    vol_numbers: list[int] = []
    for symbol, vol in command.vols.items():
        number = instrument_number_of(state, symbol)
        if isinstance(number, Rejected):
            return number
        if not state.parties.instruments[number].contract.option:
            return Rejected(Reason.MARK_IS_IMPOSSIBLE, f"{symbol}: a vol for what is no option")
        if not 0 <= vol <= VOL_MAX:
            return Rejected(Reason.MARK_IS_IMPOSSIBLE, f"{symbol}: found vol {vol}; allowed: 0 to {VOL_MAX}")
        vol_numbers.append(number)
    wrong = _indices_wrong(state, command.indices)
    if wrong is not None:
        return wrong
    if not (numbers or vol_numbers or command.indices):
        return Rejected(Reason.BATCH_IS_EMPTY, "no marks")
    return [
        MarksUpdated(
            instrument=column(numbers),
            ticks=column(list(command.instruments.values())),
            vol_instrument=column(vol_numbers),
            vols=column(list(command.vols.values())),
            indices=list(command.indices.items()),
        )
    ]


def _indices_wrong(state: State, indices: dict[str, int]) -> Rejected | None:
    if not indices:
        return None
    signed = dict.fromkeys(state.parties.asset_number, False)
    for listing in state.parties.instruments:
        underlying = listing.contract.instrument.underlying
        signed[underlying] = signed.get(underlying, False) or listing.contract.signed
    for name, price in indices.items():
        if name not in signed:
            return Rejected(Reason.UNKNOWN_ASSET, f"{name} is no asset and no underlying")
        least = -INDEX_MAX if signed[name] else 1
        if not least <= price <= INDEX_MAX:
            return Rejected(Reason.MARK_IS_IMPOSSIBLE, f"{name}: found {price}; allowed: {least} to {INDEX_MAX}")
    return None


@applies(MarksUpdated)
def _updated(state: State, event: MarksUpdated) -> None:
    marks = state.marks
    instrument, of_vol = whole_numbers(event.instrument), whole_numbers(event.vol_instrument)
    marks.ticks[instrument] = whole_numbers(event.ticks)
    marks.vols[of_vol] = whole_numbers(event.vols)
    marks.times[instrument] = state.now
    marks.times[of_vol] = state.now
    for name, price in event.indices:
        marks.indices[name] = price
        marks.index_times[name] = state.now
    marks.changes += 1


def column(numbers: list[int] | IntArray) -> bytes:
    """Return whole numbers as a column of an event: int64, little-endian."""
    return np.asarray(numbers, dtype="<i8").tobytes()


def whole_numbers(data: bytes) -> IntArray:
    """Return the numbers of a column that `column` made; not to be written to."""
    return np.frombuffer(data, dtype="<i8")
