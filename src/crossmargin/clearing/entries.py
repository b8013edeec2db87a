"""Entries: a command and what followed from it, as bytes in a record."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
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
"""Version of the entries that are written. One more whenever an event of old could not be read, or would mean something
else; an upcaster then goes with it. Reasons, and fields with a default, may be added without."""
UPCASTERS: dict[int, Callable[[list[Any]], list[Any]]] = {}
"""By version: what makes an entry of that version, as plain values, one of the next. Records are never rewritten."""


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
    version = _version(payload)
    entry = _decoder().decode(payload) if version == VERSION else _upcast(version, payload)
    if entry.reason:
        return entry.body, Rejected(Reason(entry.reason), entry.detail)
    return entry.body, entry.events


def _version(payload: bytes) -> int:
    """Return the version of an entry; the first of its values."""
    # An array of few values and a small whole number are a byte each; anything else is read the long way.
    if len(payload) > 1 and payload[0] >> 4 == 0x9 and payload[1] < 0x80:
        return payload[1]
    plain = msgspec.msgpack.decode(payload)
    if not isinstance(plain, list) or not plain or not isinstance(plain[0], int):
        raise msgspec.ValidationError("found no entry; allowed: a list that begins with its version")
    return plain[0]


def _upcast(version: int, payload: bytes) -> Any:
    """Return an entry of an older version as one of today's."""
    plain = msgspec.msgpack.decode(payload)
    for step in range(version, VERSION):
        if step not in UPCASTERS:
            break
        plain = UPCASTERS[step](plain)
    else:
        if version < VERSION:
            return msgspec.convert(plain, _typed())
    known = sorted({VERSION, *UPCASTERS})
    raise msgspec.ValidationError(f"found an entry of version {version}; allowed: {', '.join(map(str, known))}")


@cache
def _typed() -> Any:
    # The union of the events there are is known only when this runs.
    kinds = reduce(or_, event_types())
    return msgspec.defstruct(
        "Entry",
        [("version", int), ("body", bytes), ("reason", str), ("detail", str), ("events", GenericAlias(list, (kinds,)))],
        array_like=True,
    )


@cache
def _decoder() -> Any:
    return msgspec.msgpack.Decoder(_typed())


@cache
def _decoder_of(kind: type[Command]) -> Any:
    if kind not in command_types():
        raise TypeError(f"found a {kind.__name__}; allowed: {', '.join(each.__name__ for each in command_types())}")
    return msgspec.msgpack.Decoder(kind)


@cache
def command_decoder() -> Any:
    """Return the decoder of commands from JSON."""
    return msgspec.json.Decoder(reduce(or_, command_types()))
