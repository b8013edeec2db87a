"""The machine: commands are decided, events are applied. Topics register here what they decide and what they apply.

    decide(state, command) -> events or Rejected        pure: looks, never changes anything
    apply(state, event)                                 may not refuse; integer arithmetic only

Events are facts with what was decided in them (prices, fees, who pays): applying them never decides again, so that a
replay under other parameters or newer risk code gives the same balances.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from crossmargin.clearing.rejections import Reason, Rejected

if TYPE_CHECKING:
    from crossmargin.clearing.state import State


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag=True, tag_field="command"):
    """What somebody asks of the house. Subclasses name accounts, assets and instruments by their names."""


class Event(msgspec.Struct, frozen=True, kw_only=True, tag=True, tag_field="event"):
    """What happened. Subclasses name accounts, assets and instruments by their numbers; no floats."""


Decision = Sequence[Event] | Rejected
_C = TypeVar("_C", bound=Command)
_E = TypeVar("_E", bound=Event)
_decisions: dict[type[Command], Callable[[Any, Any], Decision]] = {}
_effects: dict[type[Event], Callable[[Any, Any], None]] = {}


def decides(kind: type[_C]) -> Callable[[Callable[[State, _C], Decision]], Callable[[State, _C], Decision]]:
    """Register the function that decides commands of `kind`."""

    def register(function: Callable[[State, _C], Decision]) -> Callable[[State, _C], Decision]:
        assert kind not in _decisions, f"{kind.__name__} is decided twice"
        _decisions[kind] = function
        return function

    return register


def applies(kind: type[_E]) -> Callable[[Callable[[State, _E], None]], Callable[[State, _E], None]]:
    """Register the function that applies events of `kind`."""

    def register(function: Callable[[State, _E], None]) -> Callable[[State, _E], None]:
        assert kind not in _effects, f"{kind.__name__} is applied twice"
        _effects[kind] = function
        return function

    return register


def command_types() -> tuple[type[Command], ...]:
    """Return every command there is, by name."""
    return tuple(sorted(_decisions, key=lambda kind: kind.__name__))


def event_types() -> tuple[type[Event], ...]:
    """Return every event there is, by name."""
    return tuple(sorted(_effects, key=lambda kind: kind.__name__))


def decide(state: State, command: Command) -> Decision:
    """Return the events that `command` leads to, or why it does not."""
    opens = type(command).__name__ == "OpenHouse"
    if state.is_open == opens:
        return Rejected(Reason.HOUSE_IS_OPEN_ALREADY if opens else Reason.HOUSE_IS_NOT_OPEN)
    return _decisions[type(command)](state, command)


def apply(state: State, event: Event) -> None:
    """Let `event` take effect. An exception here is our fault and stops the house."""
    _effects[type(event)](state, event)
