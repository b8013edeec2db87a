"""Locations: where collateral is, how long it takes to come from there, and what of it counts.

A location says how long a transfer takes to be final, what bringing one balance over costs, and how much there counts
in one pool (formats.md's `locations` of a book; the discounts themselves are the risk view's). One that is halted
counts nothing for initial margin at once, for maintenance margin after notice, and nothing moves to or from it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.ledger import HERE
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import account_of, allowed_name, asset_of
from crossmargin.clearing.rejections import Reason, Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

SECOND = 1_000_000_000
"""Nanoseconds."""
FINALITY_SECONDS_MAX = 366 * 86_400
NO_CAP = -1
RUNNING = -1


@dataclass(slots=True)
class Place:
    """A location. Amounts in minor units of the reporting currency, times in nanoseconds since 1970 UTC."""

    name: str
    finality_seconds: int = 0
    fee: int = 0
    cap: int = NO_CAP
    notice: int = RUNNING
    """When the notice of a halt is over; RUNNING where it is not halted."""
    worthless: bool = False
    """Whether that time has come: what is there counts for nothing, not even maintenance margin."""

    @property
    def halted(self) -> bool:
        """Whether nothing moves to or from it: it counts nothing for initial margin."""
        return self.notice != RUNNING

    def answers_in_time(self, seconds_left: int) -> bool:
        """Return whether money from there would be final before a deadline that is `seconds_left` away."""
        return not self.halted and self.finality_seconds < seconds_left


@dataclass(slots=True)
class Locations:
    """Locations by number; number 0 is the house itself."""

    places: list[Place] = field(default_factory=lambda: [Place("here")])
    number: dict[str, int] = field(default_factory=lambda: {"here": HERE})

    def put(self, place: Place) -> None:
        """Give a location the next number, or new terms."""
        known = self.number.get(place.name)
        if known is not None:
            self.places[known] = place
            return
        self.number[place.name] = len(self.places)
        self.places.append(place)

    def frozen(self) -> Any:
        """Return the locations as plain values."""
        return [[p.name, p.finality_seconds, p.fee, p.cap, p.notice, p.worthless] for p in self.places]

    @classmethod
    def thawed(cls, plain: Any) -> Locations:
        """Return what `frozen` was told of."""
        made = cls()
        for row in plain:
            made.put(Place(*row))
        return made


def location_of(state: State, name: str, *, moving: bool = True) -> int | Rejected:
    """Return the number of a location, or why not; `moving`: money is to move to or from it."""
    number = state.locations.number.get(name)
    if number is None:
        return Rejected(Reason.UNKNOWN_LOCATION, name)
    if moving and state.locations.places[number].halted:
        return Rejected(Reason.LOCATION_IS_HALTED, name)
    return number


def balance_of(state: State, account: str, asset: str, location: str, amount: int) -> tuple[int, int, int] | Rejected:
    """Return the numbers of the account, asset and location that `amount` moves to or from; or why it cannot."""
    holder, what, where = account_of(state, account), asset_of(state, asset), location_of(state, location)
    if isinstance(holder, Rejected):
        return holder
    if isinstance(what, Rejected):
        return what
    if isinstance(where, Rejected):
        return where
    return (holder, what, where) if amount > 0 else Rejected(Reason.AMOUNT_NOT_POSITIVE, str(amount))


class SetLocation(Command, frozen=True):
    """Take collateral at a new location, or change its terms. fee, cap: minor units of the reporting currency."""

    location: str
    finality_seconds: int
    fee: int = 0
    cap: int | None = None
    """Largest value there that counts in one pool; None for no cap."""


class LocationSet(Event, frozen=True):
    """A location has terms. cap: NO_CAP for none."""

    name: str
    finality_seconds: int
    fee: int
    cap: int


@decides(SetLocation)
def _set(_state: State, command: SetLocation) -> Decision:
    if not allowed_name(command.location):
        return Rejected(Reason.NAME_IS_NOT_ALLOWED, repr(command.location))
    cap = NO_CAP if command.cap is None else command.cap
    wrong = (
        not 0 <= command.finality_seconds <= FINALITY_SECONDS_MAX
        or not 0 <= command.fee < AMOUNT_MAX
        or not (command.cap is None or 0 <= command.cap < AMOUNT_MAX)
        or (command.location == "here" and command.finality_seconds > 0)
    )
    if wrong:
        found = f"finality {command.finality_seconds} s, fee {command.fee}, cap {command.cap}"
        allowed = f"0 to {FINALITY_SECONDS_MAX} s (0 here), fee and cap of 0 or more"
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {found}; allowed: {allowed}")
    return [
        LocationSet(name=command.location, finality_seconds=command.finality_seconds, fee=command.fee, cap=cap),
    ]


@applies(LocationSet)
def _was_set(state: State, event: LocationSet) -> None:
    known = state.locations.number.get(event.name)
    before = state.locations.places[known] if known is not None else Place(event.name)
    place = Place(event.name, event.finality_seconds, event.fee, event.cap, before.notice, before.worthless)
    state.locations.put(place)
    _touch_holders(state, state.locations.number[event.name])


class HaltLocation(Command, frozen=True):
    """Nothing moves to or from a location until it is resumed."""

    location: str
    reason: str
    notice_seconds: int
    """Until what is there counts nothing for maintenance margin either."""


class ResumeLocation(Command, frozen=True):
    """A halted location works again."""

    location: str
    reason: str


class LocationHalted(Event, frozen=True):
    """A location is halted: what is there counts nothing for initial margin. notice: until it counts nothing at all."""

    location: int
    notice: int
    reason: str


class LocationWorthless(Event, frozen=True):
    """The notice of a halt is over: what is there counts for nothing."""

    location: int


class LocationResumed(Event, frozen=True):
    """A location works again."""

    location: int
    reason: str


@decides(HaltLocation)
def _halt(state: State, command: HaltLocation) -> Decision:
    location = location_of(state, command.location)
    if isinstance(location, Rejected):
        return location
    if not 0 <= command.notice_seconds <= FINALITY_SECONDS_MAX or not command.reason.strip() or location == HERE:
        found = f"{command.location}, notice {command.notice_seconds} s, reason {command.reason!r}"
        allowed = f"a location other than here, 0 to {FINALITY_SECONDS_MAX} s, a reason"
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {found}; allowed: {allowed}")
    notice = state.now + command.notice_seconds * SECOND
    halted = LocationHalted(location=location, notice=notice, reason=command.reason)
    return [halted, LocationWorthless(location=location)] if notice <= state.now else [halted]


def notices_over(state: State) -> list[Event]:
    """Return what time alone brings about: locations whose halt has been announced for long enough."""
    return [
        LocationWorthless(location=number)
        for number, place in enumerate(state.locations.places)
        if place.halted and not place.worthless and place.notice <= state.now
    ]


@decides(ResumeLocation)
def _resume(state: State, command: ResumeLocation) -> Decision:
    location = location_of(state, command.location, moving=False)
    if isinstance(location, Rejected):
        return location
    if not state.locations.places[location].halted:
        return Rejected(Reason.NOTHING_WOULD_CHANGE, f"{command.location} is not halted")
    return [LocationResumed(location=location, reason=command.reason)]


@applies(LocationHalted)
def _halted(state: State, event: LocationHalted) -> None:
    state.locations.places[event.location].notice = event.notice
    _touch_holders(state, event.location)


@applies(LocationWorthless)
def _worthless(state: State, event: LocationWorthless) -> None:
    state.locations.places[event.location].worthless = True
    _touch_holders(state, event.location)


@applies(LocationResumed)
def _resumed(state: State, event: LocationResumed) -> None:
    place = state.locations.places[event.location]
    place.notice, place.worthless = RUNNING, False
    _touch_holders(state, event.location)


def _touch_holders(state: State, location: int) -> None:
    """What is there counts differently now: whoever has some is to be looked at again."""
    state.terms_changes += 1
    for holder, _, place, _ in state.ledger.elsewhere:
        if place == location:
            state.touched.add(holder)
