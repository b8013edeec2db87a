"""Entries: a command and what followed from it, as bytes in a record."""

from __future__ import annotations

import hashlib
from functools import cache, reduce
from operator import or_
from types import GenericAlias
from typing import Any

import msgspec

# Every topic has registered its commands and events once the state is known.
import crossmargin.clearing.state  # noqa: F401
from crossmargin.clearing.machine import Command, Event, command_types, event_types
from crossmargin.clearing.rejections import Reason, Rejected

VERSION = 1
"""Version of entries; older ones are brought up to date by `_upcasters` when they are read."""


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """version; body: 16 bytes that tell commands apart; reason and detail of a rejection, or events."""

    version: int
    body: bytes
    reason: str
    detail: str
    events: list[Any]


_encode = msgspec.msgpack.Encoder().encode


def body_of(command: Command) -> bytes:
    """Return 16 bytes that are the same only for the same command.

    TypeError, ValueError or OverflowError where the command is not what its class says: a fraction or a boolean for a
    whole number, a number beyond 64 bits, text that is none. Written down, it could never be read again.
    """
    body = _encode(command)
    _decoder_of(type(command)).decode(body)
    return hashlib.blake2b(body, digest_size=16).digest()


def encoded(body: bytes, decision: list[Event] | Rejected) -> bytes:
    """Return the bytes of an entry."""
    if isinstance(decision, Rejected):
        return _encode(Entry(VERSION, body, decision.reason.value, decision.detail, []))
    return _encode(Entry(VERSION, body, "", "", decision))


def decoded(payload: bytes) -> tuple[bytes, list[Event] | Rejected]:
    """Return (body, events or rejection) of an entry; msgspec.DecodeError or ValidationError where it is not one."""
    entry = _decoder().decode(payload)
    if entry.version != VERSION:
        raise msgspec.ValidationError(f"found an entry of version {entry.version}; allowed: {VERSION}")
    if entry.reason:
        return entry.body, Rejected(Reason(entry.reason), entry.detail)
    return entry.body, entry.events


@cache
def _decoder() -> Any:
    # The union of the events there are is known only when this runs.
    kinds = reduce(or_, event_types())
    entry = msgspec.defstruct(
        "Entry",
        [("version", int), ("body", bytes), ("reason", str), ("detail", str), ("events", GenericAlias(list, (kinds,)))],
        array_like=True,
    )
    return msgspec.msgpack.Decoder(entry)


@cache
def _decoder_of(kind: type[Command]) -> Any:
    if kind not in command_types():
        raise TypeError(f"found a {kind.__name__}; allowed: {', '.join(each.__name__ for each in command_types())}")
    return msgspec.msgpack.Decoder(kind)


@cache
def command_decoder() -> Any:
    """Return the decoder of commands from JSON."""
    return msgspec.json.Decoder(reduce(or_, command_types()))
