"""Locations: what is there counts as its terms say, and nothing at all once a halt has been announced long enough."""

import pytest

from crossmargin.clearing import AdvanceClock, Deposit, HaltLocation, Reason, ResumeLocation, SetLocation
from crossmargin.clearing.locations import LocationWorthless, Place
from tests.clearing_desk import SECOND, Desk


def test_a_location_has_terms_that_may_change_and_its_halt_outlasts_them():
    desk = Desk()
    desk.do(SetLocation(location="chain", finality_seconds=600, fee=5, cap=1_000))
    number = desk.place("chain")
    assert desk.state.locations.places[number] == Place("chain", 600, 5, 1_000)
    desk.do(HaltLocation(location="chain", reason="forked", notice_seconds=60))
    desk.do(SetLocation(location="chain", finality_seconds=30))
    place = desk.state.locations.places[number]
    assert (place.finality_seconds, place.cap, place.halted) == (30, -1, True)
    assert desk.place("here") == 0


def test_a_halt_counts_for_all_margin_once_its_notice_is_over():
    desk = Desk("alice")
    desk.do(SetLocation(location="chain", finality_seconds=600))
    desk.pay_in("alice", 5, location="chain")
    desk.do(HaltLocation(location="chain", reason="forked", notice_seconds=3_600))
    place = desk.state.locations.places[desk.place("chain")]
    assert (place.notice, place.worthless) == (desk.state.now + 3_600 * SECOND, False)
    desk.do(AdvanceClock())
    assert not place.worthless
    desk.later(3_600)
    events = desk.do(AdvanceClock())
    assert LocationWorthless(location=desk.place("chain")) in events
    assert place.worthless
    assert not any(isinstance(event, LocationWorthless) for event in desk.do(AdvanceClock()))
    desk.do(ResumeLocation(location="chain", reason="joined again"))
    assert (place.halted, place.worthless) == (False, False)


def test_a_halt_without_notice_counts_at_once():
    desk = Desk()
    desk.do(SetLocation(location="bank", finality_seconds=0))
    desk.do(HaltLocation(location="bank", reason="insolvent", notice_seconds=0))
    assert desk.state.locations.places[1].worthless


def test_whoever_has_something_at_a_location_is_looked_at_again_when_it_changes():
    desk = Desk("alice", "bob")
    desk.do(SetLocation(location="chain", finality_seconds=600))
    desk.pay_in("alice", 5, location="chain")
    desk.state.touched.clear()
    before = desk.state.terms_changes
    desk.do(HaltLocation(location="chain", reason="forked", notice_seconds=60))
    assert desk.number("alice") in desk.state.touched
    assert desk.number("bob") not in desk.state.touched
    assert desk.state.terms_changes > before


def test_a_call_is_answered_only_from_where_money_is_final_in_time():
    place = Place("chain", finality_seconds=600)
    assert not place.answers_in_time(600)
    assert place.answers_in_time(601)
    place.notice = 1
    assert not place.answers_in_time(601)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (SetLocation(location="", finality_seconds=1), Reason.NAME_IS_NOT_ALLOWED),
        (SetLocation(location="x", finality_seconds=-1), Reason.TERMS_ARE_INVALID),
        (SetLocation(location="x", finality_seconds=1, fee=-1), Reason.TERMS_ARE_INVALID),
        (SetLocation(location="x", finality_seconds=1, cap=-1), Reason.TERMS_ARE_INVALID),
        (SetLocation(location="here", finality_seconds=1), Reason.TERMS_ARE_INVALID),
        (HaltLocation(location="moon", reason="-", notice_seconds=1), Reason.UNKNOWN_LOCATION),
        (HaltLocation(location="here", reason="-", notice_seconds=1), Reason.TERMS_ARE_INVALID),
        (HaltLocation(location="bank", reason="", notice_seconds=1), Reason.TERMS_ARE_INVALID),
        (HaltLocation(location="bank", reason="-", notice_seconds=-1), Reason.TERMS_ARE_INVALID),
        (HaltLocation(location="chain", reason="-", notice_seconds=1), Reason.LOCATION_IS_HALTED),
        (ResumeLocation(location="bank", reason="-"), Reason.NOTHING_WOULD_CHANGE),
        (ResumeLocation(location="moon", reason="-"), Reason.UNKNOWN_LOCATION),
        (
            Deposit(account="alice", asset="USD", amount=1, reference="r", location="chain"),
            Reason.LOCATION_IS_HALTED,
        ),
    ],
)
def test_what_cannot_be_done_to_a_location_is_refused_by_name(command, reason):
    desk = Desk("alice")
    desk.do(SetLocation(location="bank", finality_seconds=1))
    desk.do(SetLocation(location="chain", finality_seconds=1))
    desk.do(HaltLocation(location="chain", reason="forked", notice_seconds=60))
    desk.no(command, reason)
