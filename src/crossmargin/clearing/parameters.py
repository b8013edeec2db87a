"""Parameters of the house: proposed by one officer, measured, approved by another, in force after notice.

A version holds from its time on; which one holds at a time follows from the versions alone, so nothing need happen for
one to take effect. Nothing is approved before somebody has reported what it does to everybody's margin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from crossmargin.clearing.locations import SECOND
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import allowed_name
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.errors import InvalidRules
from crossmargin.rules import parse

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

DAY = 86_400
PARAMETERS = {
    "notice_seconds": (900, 900, 30 * DAY),
    "withdrawal_delay_seconds": (3_600, 60, 7 * DAY),
}
"""(value at the opening, smallest, largest) of each. notice_seconds: from an approval until it is in force.
withdrawal_delay_seconds: for how long nothing is sent after a pool was seen to be worth less than nothing."""
RULES_LENGTH_MAX = 200_000
UNKNOWN = -1


@dataclass(slots=True)
class Version:
    """What holds from a time on: every parameter, and the text of the rule book (empty: the one the house opened with).

    Times in nanoseconds since 1970 UTC.
    """

    effective: int
    values: dict[str, int]
    rules: str
    proposed_by: str
    approved_by: str


@dataclass(slots=True)
class Proposal:
    """What is to change, and what that does: initial margin of all pools and pools below it, before and after.

    measured_on: number of the version that the report compares with; UNKNOWN where there is no report.
    """

    officer: str
    effective: int
    values: dict[str, int]
    rules: str
    measured_on: int = UNKNOWN
    impact: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Parameters:
    """Versions in the order of their approval, each in force no earlier than the one before; open proposals by name."""

    versions: list[Version] = field(
        default_factory=lambda: [Version(0, {name: row[0] for name, row in PARAMETERS.items()}, "", "", "")]
    )
    proposals: dict[str, Proposal] = field(default_factory=dict)

    def version(self, now: int) -> int:
        """Return the number of the version that holds at a time."""
        return next(k for k in reversed(range(len(self.versions))) if self.versions[k].effective <= now)

    def value(self, name: str, now: int) -> int:
        """Return the value of a parameter at a time."""
        return self.versions[self.version(now)].values[name]

    def rules(self, now: int) -> str:
        """Return the text of the rule book that holds at a time; empty: the one the house was opened with."""
        return self.versions[self.version(now)].rules

    def frozen(self) -> Any:
        """Return the parameters as plain values."""
        return [
            [[v.effective, sorted(v.values.items()), v.rules, v.proposed_by, v.approved_by] for v in self.versions],
            [
                [name, p.officer, p.effective, sorted(p.values.items()), p.rules, p.measured_on, list(p.impact)]
                for name, p in sorted(self.proposals.items())
            ],
        ]

    @classmethod
    def thawed(cls, plain: Any) -> Parameters:
        """Return what `frozen` was told of."""
        versions = [Version(effective, dict(values), *rest) for effective, values, *rest in plain[0]]
        proposals = {
            name: Proposal(officer, effective, dict(values), *rest)
            for name, officer, effective, values, *rest in plain[1]
        }
        return cls(versions, proposals)


# --- proposing


class ProposeParameters(Command, frozen=True):
    """Propose new values of some parameters, another rule book, or both."""

    proposal: str
    officer: str
    values: dict[str, int] = msgspec.field(default_factory=dict)
    rules: str = ""
    """The text of a rule book; empty: no other."""
    effective: int = 0
    """Nanoseconds since 1970 UTC; earlier than the notice allows: as soon as it does."""


class ParametersProposed(Event, frozen=True):
    """A change of parameters is proposed."""

    proposal: str
    officer: str
    values: dict[str, int]
    rules: str
    effective: int


@decides(ProposeParameters)
def _propose(state: State, command: ProposeParameters) -> Decision:
    if command.proposal in state.parameters.proposals:
        return Rejected(Reason.PROPOSAL_EXISTS, command.proposal)
    if not allowed_name(command.proposal) or not allowed_name(command.officer):
        return Rejected(Reason.NAME_IS_NOT_ALLOWED, f"{command.proposal!r} by {command.officer!r}")
    for name, value in command.values.items():
        if name not in PARAMETERS:
            return Rejected(Reason.TERMS_ARE_INVALID, f"found {name}; allowed: {', '.join(PARAMETERS)}")
        _, low, high = PARAMETERS[name]
        if not low <= value <= high:
            return Rejected(Reason.TERMS_ARE_INVALID, f"{name}: found {value}; allowed: {low} to {high}")
    if len(command.rules) > RULES_LENGTH_MAX or not 0 <= command.effective < 2**63:
        found = f"rules of {len(command.rules)} characters, effective {command.effective}"
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {found}; allowed: {RULES_LENGTH_MAX} characters, a time")
    if command.rules:
        try:
            parse(command.rules, f"proposal {command.proposal}")
        except InvalidRules as error:
            return Rejected(Reason.TERMS_ARE_INVALID, str(error))
    if not command.values and not command.rules:
        return Rejected(Reason.NOTHING_WOULD_CHANGE, command.proposal)
    return [
        ParametersProposed(
            proposal=command.proposal,
            officer=command.officer,
            values=command.values,
            rules=command.rules,
            effective=command.effective,
        )
    ]


@applies(ParametersProposed)
def _proposed(state: State, event: ParametersProposed) -> None:
    state.parameters.proposals[event.proposal] = Proposal(
        event.officer, event.effective, dict(event.values), event.rules
    )


class ReportImpact(Command, frozen=True):
    """Say what a proposal does to margin. Computed outside from a book of the house; here it is a fact that is kept."""

    proposal: str
    initial_before: int
    """Initial margin of all pools now, in minor units of the reporting currency."""
    initial_after: int
    below_before: int
    """Pools below their initial margin now."""
    below_after: int


class ImpactReported(Event, frozen=True):
    """What a proposal does is known, compared with a version of the parameters."""

    proposal: str
    impact: list[int]
    version: int


@decides(ReportImpact)
def _report(state: State, command: ReportImpact) -> Decision:
    if command.proposal not in state.parameters.proposals:
        return Rejected(Reason.UNKNOWN_PROPOSAL, command.proposal)
    impact = [command.initial_before, command.initial_after, command.below_before, command.below_after]
    if not all(0 <= number < 2**62 for number in impact):
        return Rejected(Reason.TERMS_ARE_INVALID, f"found {impact}; allowed: 0 or more")
    return [
        ImpactReported(proposal=command.proposal, impact=impact, version=state.parameters.version(state.now)),
    ]


@applies(ImpactReported)
def _reported(state: State, event: ImpactReported) -> None:
    proposal = state.parameters.proposals[event.proposal]
    proposal.impact, proposal.measured_on = list(event.impact), event.version


# --- deciding


class ApproveParameters(Command, frozen=True):
    """A second officer agrees to a proposal."""

    proposal: str
    officer: str


class ParametersApproved(Event, frozen=True):
    """A new version of the parameters holds from `effective` on."""

    proposal: str
    officer: str
    effective: int
    values: dict[str, int]
    rules: str


class DropProposal(Command, frozen=True):
    """A proposal is withdrawn or refused."""

    proposal: str
    officer: str
    reason: str


class ProposalDropped(Event, frozen=True):
    """A proposal came to nothing."""

    proposal: str
    officer: str
    reason: str


@decides(ApproveParameters)
def _approve(state: State, command: ApproveParameters) -> Decision:
    known = state.parameters
    proposal = known.proposals.get(command.proposal)
    if proposal is None:
        return Rejected(Reason.UNKNOWN_PROPOSAL, command.proposal)
    if not allowed_name(command.officer):
        return Rejected(Reason.NAME_IS_NOT_ALLOWED, repr(command.officer))
    if command.officer == proposal.officer:
        return Rejected(Reason.SECOND_OFFICER_IS_NEEDED, f"{command.officer} proposed it")
    if proposal.measured_on != known.version(state.now):
        return Rejected(Reason.IMPACT_IS_NOT_KNOWN, f"{command.proposal} was not measured against what holds now")
    notice = state.now + known.value("notice_seconds", state.now) * SECOND
    newest = known.versions[-1]
    # What is not proposed stays as the newest version has it, so versions approved earlier are not undone.
    return [
        ParametersApproved(
            proposal=command.proposal,
            officer=command.officer,
            effective=max(proposal.effective, notice, newest.effective),
            values=newest.values | proposal.values,
            rules=proposal.rules or newest.rules,
        )
    ]


@applies(ParametersApproved)
def _approved(state: State, event: ParametersApproved) -> None:
    proposal = state.parameters.proposals.pop(event.proposal)
    state.parameters.versions.append(
        Version(event.effective, dict(event.values), event.rules, proposal.officer, event.officer)
    )


@decides(DropProposal)
def _drop(state: State, command: DropProposal) -> Decision:
    if command.proposal not in state.parameters.proposals:
        return Rejected(Reason.UNKNOWN_PROPOSAL, command.proposal)
    return [ProposalDropped(proposal=command.proposal, officer=command.officer, reason=command.reason)]


@applies(ProposalDropped)
def _dropped(state: State, event: ProposalDropped) -> None:
    del state.parameters.proposals[event.proposal]
