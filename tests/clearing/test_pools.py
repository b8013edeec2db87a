"""Pools: nobody is margined with others unless they agreed to it, and nobody leaves a hole behind."""

import pytest

from crossmargin.clearing import (
    AdmitMember,
    JoinPool,
    LeavePool,
    OpenAccount,
    Reason,
    RevokeAgreement,
    SignAgreement,
    Transfer,
)
from tests.clearing_desk import Desk, Headroom


def sign(owner, *owners):
    return SignAgreement(agreement="pact", owner=owner, owners=list(owners))


def join(account, pool="pool", agreement="pact"):
    return JoinPool(pool=pool, account=account, agreement=agreement)


def shared(risk=None):
    """Return a desk where alice and bob signed and share a pool, each with 100."""
    desk = Desk("alice", "bob", risk=risk)
    desk.pay_in("alice", 100)
    desk.pay_in("bob", 100)
    desk.do(sign("alice", "bob", "alice"))
    desk.do(sign("bob", "alice", "bob"))
    desk.do(join("alice"))
    desk.do(join("bob"))
    return desk


def members_of(desk, pool="pool"):
    names = desk.state.parties.accounts
    return [names[a].name for a in desk.state.pools.shared[desk.state.pools.number[pool]].accounts]


def test_accounts_of_one_owner_share_a_pool_without_further_ado():
    desk = Desk("alice", "bob")
    desk.do(OpenAccount(account="alice-2", owner="alice"))
    desk.do(join("alice", agreement=""))
    desk.do(join("alice-2", agreement=""))
    desk.no(join("bob", agreement=""), Reason.AGREEMENT_IS_MISSING)
    desk.no(join("alice", "another", agreement=""), Reason.ACCOUNT_IS_IN_A_POOL)
    assert members_of(desk) == ["alice", "alice-2"]
    desk.do(LeavePool(account="alice"))
    assert members_of(desk) == ["alice-2"]
    desk.no(LeavePool(account="alice"), Reason.ACCOUNT_IS_IN_NO_POOL)


def test_owners_share_a_pool_once_all_have_signed():
    desk = Desk("alice", "bob", "carol")
    desk.no(join("alice"), Reason.AGREEMENT_IS_MISSING)
    signed = desk.do(sign("alice", "bob", "alice"))
    assert signed[0].owners == ["alice", "bob"]
    desk.no(join("alice"), Reason.AGREEMENT_IS_MISSING)
    desk.do(sign("bob", "alice", "bob"))
    agreement = desk.state.pools.agreements["pact"]
    assert 0 < agreement.signed[0] < agreement.signed[1] <= desk.state.now, "each signature has its date"
    desk.do(join("alice"))
    desk.do(join("bob"))
    desk.no(join("carol"), Reason.AGREEMENT_IS_MISSING)
    desk.no(join("carol", agreement=""), Reason.AGREEMENT_IS_MISSING)


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (sign("alice", "alice"), Reason.TERMS_ARE_INVALID),
        (sign("alice", "alice", "alice"), Reason.TERMS_ARE_INVALID),
        (sign("carol", "alice", "bob"), Reason.TERMS_ARE_INVALID),
        (sign("alice", "alice", " "), Reason.NAME_IS_NOT_ALLOWED),
        (sign("alice", "alice", "carol"), Reason.TERMS_ARE_INVALID),
        (sign("alice", "alice", "bob"), Reason.NOTHING_WOULD_CHANGE),
        (join("alice", pool=""), Reason.NAME_IS_NOT_ALLOWED),
        (join("nobody"), Reason.UNKNOWN_ACCOUNT),
        (RevokeAgreement(agreement="pact", owner="carol"), Reason.UNKNOWN_AGREEMENT),
        (RevokeAgreement(agreement="fact", owner="alice"), Reason.UNKNOWN_AGREEMENT),
        (RevokeAgreement(agreement="pact", owner="bob"), Reason.NOTHING_WOULD_CHANGE),
    ],
)
def test_what_cannot_be_agreed_is_refused_by_name(command, reason):
    desk = Desk("alice", "bob", "carol")
    desk.do(sign("alice", "alice", "bob"))
    desk.no(command, reason)


def test_inside_a_pool_money_moves_freely_even_what_its_margin_needs():
    desk = shared(Headroom(needs={"alice": 150, "bob": 20}))
    desk.do(Transfer(source="bob", target="alice", asset="USD", amount=90))
    desk.no(Transfer(source="bob", target="alice", asset="USD", amount=11), Reason.FUNDS_ARE_INSUFFICIENT)


def test_who_would_bring_a_hole_may_not_join():
    risk = Headroom(needs={"bob": 101})
    desk = Desk("alice", "bob", risk=risk)
    for name in ("alice", "bob"):
        desk.pay_in(name, 100)
        desk.do(sign(name, "alice", "bob"))
    desk.do(join("alice"))
    desk.no(join("bob"), Reason.POOL_WOULD_NOT_STAND)
    risk.needs["bob"] = 100
    desk.do(join("bob"))


@pytest.mark.parametrize("leave", [LeavePool(account="bob"), RevokeAgreement(agreement="pact", owner="bob")])
def test_nobody_leaves_before_both_halves_stand_without_the_other(leave):
    risk = Headroom()
    desk = shared(risk)
    risk.needs["alice"] = 101
    desk.no(leave, Reason.POOL_WOULD_NOT_STAND)
    risk.needs["alice"], risk.needs["bob"] = 0, 101
    desk.no(leave, Reason.POOL_WOULD_NOT_STAND)
    risk.needs["bob"] = 100
    desk.do(leave)
    assert members_of(desk) == ["alice"]
    assert desk.state.parties.accounts[desk.number("bob")].pool == -1


def test_an_agreement_that_one_has_revoked_lets_nobody_in():
    desk = shared()
    desk.do(RevokeAgreement(agreement="pact", owner="bob"))
    assert members_of(desk) == ["alice"]
    desk.no(join("bob"), Reason.AGREEMENT_IS_MISSING)
    desk.do(sign("bob", "alice", "bob"))
    desk.do(join("bob"))
    assert members_of(desk) == ["alice", "bob"]


def test_house_and_client_never_share_a_pool_nor_clients_of_different_members():
    desk = Desk()
    for name in ("m", "n"):
        desk.do(OpenAccount(account=name, kind="house", owner=name))
        desk.do(AdmitMember(account=name, assessment_cap=0))
    desk.do(OpenAccount(account="c-at-m", owner="m", member="m"))
    desk.do(OpenAccount(account="c-at-n", owner="m", member="n"))
    desk.do(OpenAccount(account="net", owner="m", member="m", kind="omnibus_net"))
    desk.do(OpenAccount(account="gross", owner="m", member="m", kind="omnibus_gross"))
    desk.do(join("m", agreement=""))
    desk.no(join("c-at-m", agreement=""), Reason.ACCOUNTS_ARE_SEGREGATED)
    desk.do(join("c-at-m", "clients", agreement=""))
    desk.no(join("c-at-n", "clients", agreement=""), Reason.ACCOUNTS_ARE_SEGREGATED)
    for omnibus in ("net", "gross"):
        desk.no(join(omnibus, "omnibus", agreement=""), Reason.ACCOUNTS_ARE_SEGREGATED)
