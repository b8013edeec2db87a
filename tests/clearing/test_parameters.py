"""Parameters: two officers, a report of what it does, notice, and versions that never change afterwards."""

import pytest

from crossmargin.clearing import (
    ApproveParameters,
    DropProposal,
    House,
    OpenAccount,
    ProposeParameters,
    Reason,
    ReportImpact,
)
from crossmargin.clearing.risk import LIQUIDATION
from crossmargin.clearing.rule_book import RuleBookView
from crossmargin.rules import load
from tests.clearing_desk import SECOND, Desk
from tests.clearing_margined import MARKET, buy, standing, status, world

STRICTER = """
name = "stricter"
version = "2026-12-01"
extends = "grid"
title = "Wider ranges for coins"

[parameters.range_by_name]
value = { BTC = 0.40 }
unit = "fraction of the price"
source = "risk committee"
reason = "Moves of 30% in a day."
"""


def propose(proposal="p", officer="ann", **terms):
    return ProposeParameters(**{"proposal": proposal, "officer": officer, "values": {"notice_seconds": 1_800}} | terms)


def report(proposal="p", after=110):
    return ReportImpact(proposal=proposal, initial_before=100, initial_after=after, below_before=0, below_after=1)


def approve(proposal="p", officer="ben"):
    return ApproveParameters(proposal=proposal, officer=officer)


def value(desk, name="notice_seconds"):
    return desk.state.parameters.value(name, desk.state.now)


def test_a_change_is_proposed_measured_approved_by_another_and_in_force_after_notice():
    desk = Desk()
    desk.do(propose())
    desk.no(approve(), Reason.IMPACT_IS_NOT_KNOWN)
    desk.do(report())
    desk.no(approve(officer="ann"), Reason.SECOND_OFFICER_IS_NEEDED)
    (approved,) = desk.do(approve())
    assert approved.effective == desk.state.now + 900 * SECOND
    assert value(desk) == 900
    desk.later(900)
    desk.do(propose("q", values={"withdrawal_delay_seconds": 60}))
    assert value(desk) == 1_800
    version = desk.state.parameters.versions[-1]
    assert (version.proposed_by, version.approved_by) == ("ann", "ben")


def test_a_report_is_worth_nothing_once_something_else_is_in_force():
    desk = Desk()
    desk.do(propose("first"))
    desk.do(propose("second", values={"withdrawal_delay_seconds": 120}))
    desk.do(report("first"))
    desk.do(report("second"))
    desk.do(approve("first"))
    desk.later(900)
    desk.no(approve("second"), Reason.IMPACT_IS_NOT_KNOWN)
    desk.do(report("second"))
    (approved,) = desk.do(approve("second"))
    # The notice is that of the version in force; what the first one changed stays.
    assert approved.effective == desk.state.now + 1_800 * SECOND
    assert approved.values == {"notice_seconds": 1_800, "withdrawal_delay_seconds": 120}


def test_versions_take_effect_in_the_order_of_their_approval():
    desk = Desk()
    late = desk.state.now + 10**15
    desk.do(propose("late", effective=late))
    desk.do(report("late"))
    desk.do(approve("late"))
    desk.do(propose("soon", values={"withdrawal_delay_seconds": 120}))
    desk.do(report("soon"))
    (approved,) = desk.do(approve("soon"))
    assert approved.effective == late
    assert [v.effective for v in desk.state.parameters.versions] == [0, late, late]
    assert desk.state.parameters.version(late) == 2


def test_a_rule_book_is_a_parameter_like_others():
    desk = Desk()
    desk.do(propose(values={}, rules=STRICTER))
    desk.do(report())
    desk.do(approve())
    assert desk.state.parameters.versions[-1].rules == STRICTER
    desk.do(propose("q"))
    desk.do(report("q"))
    desk.do(approve("q"))
    assert desk.state.parameters.versions[-1].rules == STRICTER


def test_a_rule_book_that_is_approved_sets_margin_from_its_time_on_and_what_it_breaks_is_seen():
    desk = world()
    buy(desk, "alice", 8, 60_000)
    before = standing(desk, "alice")
    desk.do(propose(values={}, rules=STRICTER))
    desk.do(report())
    desk.do(approve())
    assert standing(desk, "alice") == before
    desk.later(900)
    # The first to come by under the new book need not be the one who breaks it.
    desk.do(OpenAccount(account="carol"))
    after = standing(desk, "alice")
    assert after.initial == pytest.approx(2.5 * before.initial, rel=1e-6)
    assert status(desk, "alice") == LIQUIDATION
    # Whoever opens the house again finds the same book in force.
    again = House(desk.journal, lambda: desk.state.now + 1, RuleBookView(load("grid"), MARKET))
    assert again.state.risk.standing(desk.number("alice")) == after


def test_a_proposal_may_be_dropped_and_its_name_used_again():
    desk = Desk()
    desk.do(propose())
    desk.no(propose(), Reason.PROPOSAL_EXISTS)
    desk.do(DropProposal(proposal="p", officer="ben", reason="too strict"))
    desk.no(DropProposal(proposal="p", officer="ben", reason="twice"), Reason.UNKNOWN_PROPOSAL)
    desk.do(propose())


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (propose("q", values={"colour": 1}), Reason.TERMS_ARE_INVALID),
        (propose("q", values={"notice_seconds": 899}), Reason.TERMS_ARE_INVALID),
        (propose("q", values={}), Reason.NOTHING_WOULD_CHANGE),
        (propose("q", rules="x" * 200_001), Reason.TERMS_ARE_INVALID),
        (propose("q", rules='name = "no rule book"'), Reason.TERMS_ARE_INVALID),
        (propose("q", effective=-1), Reason.TERMS_ARE_INVALID),
        (propose(""), Reason.NAME_IS_NOT_ALLOWED),
        (propose("q", officer=" "), Reason.NAME_IS_NOT_ALLOWED),
        (approve(officer=""), Reason.NAME_IS_NOT_ALLOWED),
        (approve("nothing"), Reason.UNKNOWN_PROPOSAL),
        (report("nothing"), Reason.UNKNOWN_PROPOSAL),
        (report(after=-1), Reason.TERMS_ARE_INVALID),
    ],
)
def test_what_cannot_be_proposed_is_refused_by_name(command, reason):
    desk = Desk()
    desk.do(propose())
    desk.no(command, reason)
