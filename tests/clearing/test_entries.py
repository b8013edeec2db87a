"""Entries: what was written is read, in every version there has been, and nothing else is taken for one."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossmargin.clearing import Deposit, Reason, Rejected, entries
from crossmargin.clearing.entries import VERSION, body_of, decoded, encoded
from crossmargin.clearing.money import DepositFinal

BODY = bytes(range(16))


def test_an_entry_is_read_as_it_was_written():
    events = [DepositFinal(reference="é" * 300), DepositFinal(reference="")]
    assert decoded(encoded(BODY, events)) == (BODY, events)
    no = Rejected(Reason.DEPOSIT_EXISTS, "twice")
    assert decoded(encoded(BODY, no)) == (BODY, no)


def test_an_older_entry_is_brought_up_to_date_step_by_step(monkeypatch):
    """Version 0 had no detail, and called its references ids."""

    def first(plain):
        version, body, reason, events = plain
        return [version + 1, body, reason, "", [{"event": e["event"], "reference": e["id"]} for e in events]]

    old = msgspec.msgpack.encode([VERSION - 1, BODY, "", [{"event": "DepositFinal", "id": "wire"}]])
    with pytest.raises(msgspec.ValidationError, match=f"version {VERSION - 1}; allowed: {VERSION}"):
        decoded(old)
    monkeypatch.setitem(entries.UPCASTERS, VERSION - 1, first)
    assert decoded(old) == (BODY, [DepositFinal(reference="wire")])


@pytest.mark.parametrize("version", [VERSION + 1, 200, 70_000])
def test_an_entry_of_a_version_to_come_is_refused(version):
    with pytest.raises(msgspec.ValidationError, match=f"version {version}"):
        decoded(msgspec.msgpack.encode([version, BODY, "", "", []]))


@given(st.binary(max_size=40))
def test_bytes_that_are_no_entry_are_an_error_of_one_kind(data):
    try:
        _, outcome = decoded(data)
    except ValueError:
        return
    assert encoded(data[:0], outcome)


def test_every_command_there_is_has_its_own_body():
    bodies = {body_of(Deposit(account="a", asset="USD", amount=n, reference="r")) for n in range(50)}
    assert len(bodies) == 50


@pytest.mark.parametrize("amount", [1.5, True, 2**64, "1"])
def test_a_command_that_is_not_what_its_class_says_has_none(amount):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        body_of(Deposit(account="a", asset="USD", amount=amount, reference="r"))
