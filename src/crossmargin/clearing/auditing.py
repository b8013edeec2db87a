"""Audit: a journal read from its first record, with nothing taken on trust. No clock, no keys, no network.

Every record is hashed again and must follow the one before; every event is applied again and its postings must cancel;
every snapshot must be the state that the records before it lead to.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from crossmargin.clearing.journal import Journal, JournalCorrupt, Record, check_chain
from crossmargin.clearing.sequencer import Applied, replay
from crossmargin.clearing.state import State

OK = "ok"
_BETWEEN_CHECKS = 10_000
"""Records between two looks at all sums; each event's own postings are looked at one by one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What an audit found. chain, conservation, snapshots: "ok", or the first thing that is wrong with them."""

    records: int
    events: int
    rejections: int
    chain: str
    conservation: str
    snapshots: str
    state_hash: str
    """Of the state after the last record that could be applied."""

    @property
    def passed(self) -> bool:
        """Whether nothing is wrong."""
        return self.chain == self.conservation == self.snapshots == OK


def audit(journal: Journal, progress: Callable[[int], object] = lambda _: None) -> Audit:
    """Return what is to be said of a journal; `progress` is called with the number of records read so far."""
    kept = {snapshot.sequence: snapshot for snapshot in journal.snapshots()}
    state, last = State(), None
    events = rejections = 0
    chain = conservation = snapshots = OK
    try:
        for record in journal.read():
            check_chain(last, record)
            reply = replay(state, record)
            last = record
            if isinstance(reply, Applied):
                events += len(reply.events)
            else:
                rejections += 1
            if record.sequence in kept and snapshots == OK:
                snapshots = _snapshot_wrong(
                    kept[record.sequence].data, kept[record.sequence].record_hash, state, record
                )
            if record.sequence % _BETWEEN_CHECKS == 0:
                progress(record.sequence)
                conservation = unconserved(state)
                if conservation != OK:
                    conservation = f"by record {record.sequence}: {conservation}"
                    break
    except JournalCorrupt as error:
        chain = str(error)
    except (AssertionError, ArithmeticError, LookupError) as error:
        place = last.sequence + 1 if last is not None else 1
        conservation = f"record {place} cannot be applied: {error}"
    if conservation == OK:
        conservation = unconserved(state)
    beyond = [sequence for sequence in kept if sequence > (last.sequence if last is not None else 0)]
    if snapshots == OK and beyond and chain == OK:
        snapshots = f"snapshot {min(beyond)}: the journal ends before it"
    return Audit(
        records=last.sequence if last is not None else 0,
        events=events,
        rejections=rejections,
        chain=chain,
        conservation=conservation,
        snapshots=snapshots,
        state_hash=state.hash(),
    )


def unconserved(state: State) -> str:
    """Return "ok" where money and positions sum to nothing, else the first that do not."""
    for asset, total in state.ledger.totals().items():
        if total:
            return f"balances of {state.parties.assets[asset].symbol} sum to {total} minor units, not to 0"
    for name in ("lots", "cost", "funding_entry"):
        sums = position_sums(state, name)
        if sums.any():
            k = int(np.flatnonzero(sums)[0])
            symbol = state.parties.instruments[k].contract.instrument.symbol
            return f"{name} of {symbol} sum to {sums[k]} over all accounts, not to 0"
    return OK


def position_sums(state: State, column: str) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the sum over all accounts of lots, of cost or of another column, (instruments,)."""
    held = state.positions
    sums = np.zeros(len(state.parties.instruments), dtype=np.int64)
    np.add.at(sums, held.instrument[: held.count], getattr(held, column)[: held.count])
    return sums


def _snapshot_wrong(data: bytes, record_hash: bytes, state: State, record: Record) -> str:
    if record_hash != record.hash:
        return f"snapshot {record.sequence}: made from another journal"
    if hashlib.sha256(data).hexdigest() != state.hash():
        return f"snapshot {record.sequence}: is not what the records before it lead to"
    return OK
