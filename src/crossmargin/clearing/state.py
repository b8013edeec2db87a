"""The state of the house: what its events have made of it. Whole numbers only; derived figures live elsewhere."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from crossmargin.clearing.control import Control
from crossmargin.clearing.conversion import Conversion
from crossmargin.clearing.expiry import Expiries
from crossmargin.clearing.funding import Funding
from crossmargin.clearing.ledger import Ledger
from crossmargin.clearing.lending import Lending
from crossmargin.clearing.limits import Limits
from crossmargin.clearing.locations import Locations
from crossmargin.clearing.marks import Marks
from crossmargin.clearing.members import Members
from crossmargin.clearing.money import Deposits
from crossmargin.clearing.orders import Orders
from crossmargin.clearing.parameters import Parameters
from crossmargin.clearing.parties import Parties
from crossmargin.clearing.pools import Pools
from crossmargin.clearing.positions import Positions
from crossmargin.clearing.standings import Standings
from crossmargin.clearing.withdrawals import Withdrawals
from crossmargin.units import IntArray

if TYPE_CHECKING:
    from crossmargin.clearing.risk import Risk

SCHEMA = 1
"""Version of what `frozen` gives; a snapshot of another version is not used, its records are."""


class State:
    """Everything the house knows. Only `apply` changes it; `now` is the time of the command in hand.

    `touched`, and in columns `touched_columns`: numbers of accounts whose money or positions changed since somebody
    last looked and cleared them; not part of what is hashed, as nothing in it is that events did not say. `risk`: the
    view of margin that decisions look at; not part of the state either, None where nobody is asked for margin.
    `terms_changes` counts how often terms changed that the margin of touched accounts depends on beside what they
    hold: locations, credit tiers.
    """

    __slots__ = (
        "control",
        "conversion",
        "currency",
        "deposits",
        "expiries",
        "funding",
        "is_open",
        "ledger",
        "lending",
        "limits",
        "locations",
        "marks",
        "members",
        "now",
        "orders",
        "parameters",
        "parties",
        "pools",
        "positions",
        "risk",
        "sequence",
        "standings",
        "terms_changes",
        "touched",
        "touched_columns",
        "withdrawals",
    )

    PARTS = (
        "parties",
        "ledger",
        "positions",
        "deposits",
        "marks",
        "orders",
        "standings",
        "funding",
        "expiries",
        "lending",
        "conversion",
        "control",
        "limits",
        "locations",
        "members",
        "parameters",
        "pools",
        "withdrawals",
    )
    """The parts that are frozen, in this order; each has `frozen` and `thawed`."""

    def __init__(self) -> None:
        self.is_open = False
        self.currency = 0
        self.now = 0
        self.sequence = 0
        self.parties = Parties()
        self.ledger = Ledger()
        self.positions = Positions()
        self.deposits = Deposits()
        self.marks = Marks()
        self.orders = Orders()
        self.standings = Standings()
        self.funding = Funding()
        self.lending = Lending()
        self.conversion = Conversion()
        self.expiries = Expiries()
        self.control = Control()
        self.limits = Limits()
        self.locations = Locations()
        self.members = Members()
        self.parameters = Parameters()
        self.pools = Pools()
        self.withdrawals = Withdrawals()
        self.risk: Risk | None = None
        self.terms_changes = 0
        self.touched: set[int] = set()
        self.touched_columns: list[IntArray] = []

    def all_touched(self) -> list[int]:
        """Return the numbers in `touched` and `touched_columns`, each once, rising."""
        if not self.touched_columns:
            return sorted(self.touched)
        return sorted(self.touched.union(np.unique(np.concatenate(self.touched_columns)).tolist()))

    def untouched(self) -> None:
        """Nobody has changed since now."""
        self.touched.clear()
        self.touched_columns.clear()

    def make_room(self) -> None:
        """Have room in every column for the accounts, assets and instruments there are."""
        self.ledger.make_room(len(self.parties.accounts), len(self.parties.assets))
        self.positions.make_room(len(self.parties.accounts), 1, len(self.parties.instruments))
        self.marks.make_room(len(self.parties.instruments))
        self.control.make_room(len(self.parties.accounts), len(self.parties.instruments))
        self.limits.make_room(len(self.parties.instruments))

    def frozen(self) -> bytes:
        """Return the state as bytes: the same bytes for the same state, however it came about."""
        parts = [getattr(self, name).frozen() for name in self.PARTS]
        return msgspec.msgpack.encode([SCHEMA, self.is_open, self.currency, self.now, self.sequence, parts])

    @classmethod
    def thawed(cls, data: bytes) -> State:
        """Return the state that `frozen` was told of; ValueError where the bytes are of another schema."""
        schema, is_open, currency, now, sequence, parts = msgspec.msgpack.decode(data)
        if schema != SCHEMA:
            raise ValueError(f"snapshot: found schema {schema}; allowed: {SCHEMA}")
        made = cls()
        made.is_open, made.currency, made.now, made.sequence = is_open, currency, now, sequence
        for name, plain in zip(cls.PARTS, parts, strict=True):
            setattr(made, name, type(getattr(made, name)).thawed(plain))
        made.make_room()
        return made

    def hash(self) -> str:
        """Return the SHA-256 of the frozen state, in hex."""
        return hashlib.sha256(self.frozen()).hexdigest()
