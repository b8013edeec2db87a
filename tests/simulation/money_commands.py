"""Commands about money: what members, clients and officers ask of a simulated house."""

from crossmargin.clearing import (
    AddAsset,
    AdmitMember,
    ApproveParameters,
    CloseAccount,
    ConfirmWithdrawal,
    Contribute,
    DelayWithdrawals,
    DropProposal,
    FinalizeDeposit,
    HaltLocation,
    JoinPool,
    LeavePool,
    MoveClient,
    MoveCollateral,
    OpenAccount,
    ProposeParameters,
    ReportImpact,
    Restrict,
    ResumeLocation,
    ReturnWithdrawal,
    ReverseDeposit,
    RevokeAgreement,
    SendWithdrawal,
    SetLimits,
    SetLocation,
    SetTier,
    SetWithdrawalLimit,
    SignAgreement,
    Transfer,
    Withdraw,
)
from tests.simulation.credit_commands import CREDIT, CreditCommands

PLACES = ("here", "custodian", "chain")


class MoneyCommands(CreditCommands):
    """Makers of one command each: `_name` for each name in MONEY."""

    def _of(self, known, prefix):
        """Return one of what is known, newer ones more often; sometimes what is not."""
        if known and self.chance.random() < 0.97:
            return self.chance.choice(list(known)[-20:])
        return f"{prefix}{self.chance.randint(0, self.count)}"

    def _share(self, account, asset, place="here"):
        """Return an amount that is a part of what an account has, mostly."""
        have = int(self.books.at(account, asset, place))
        part = self.chance.choice((have, have // 2, have // 100, have + 1, 1))
        return part if part > 0 or self.chance.random() < 0.1 else 1

    def _asset(self):
        return self.chance.choice(("USD", "USDC", "BTC", "ETH", "USD", "USDC", "BTC", "ETH", "XRP"))

    def _place(self):
        if "places" not in self.swarm.features:
            return "here"
        return self.chance.choice((*PLACES, "here", "here", "here", "nowhere"))

    def _finalize(self):
        return FinalizeDeposit(reference=self._of(self.books.deposits, "r"))

    def _reverse(self):
        return ReverseDeposit(reference=self._of(self.books.deposits, "r"), reason="the payment was called back")

    def _withdraw(self):
        account, asset, place = self._account(), self._asset(), self._place()
        reference = f"w{self.count}" if self.chance.random() < 0.95 else self._of(self.books.withdrawals, "w")
        destination = self.chance.choice(("bank", "bank", "bank", "wallet", ""))
        return Withdraw(
            account=account,
            asset=asset,
            amount=self._share(account, asset, place),
            reference=reference,
            destination=destination,
            location=place,
        )

    def _send(self):
        return SendWithdrawal(reference=self._of(self.books.withdrawals, "w"))

    def _confirm(self):
        return ConfirmWithdrawal(reference=self._of(self.books.withdrawals, "w"))

    def _return(self):
        return ReturnWithdrawal(reference=self._of(self.books.withdrawals, "w"), reason="it came back")

    def _delay(self):
        seconds = self.chance.choice((0, 1, 10, 60, -1, 10**6))
        return DelayWithdrawals(seconds=seconds, reason=self.chance.choice(("a default was seen", " ")))

    def _withdrawal_limit(self):
        return SetWithdrawalLimit(
            account=self._account(),
            asset=self._asset(),
            amount=self.chance.choice((None, 0, 10**6, 10**9, -1)),
            window_seconds=self.chance.choice((60, 3_600, 86_400, 0)),
        )

    def _transfer(self):
        source, asset, place = self._account(), self._asset(), self._place()
        row = self.books.accounts.get(source)
        near = [n for n, other in self.books.accounts.items() if row and row["owner"] == other["owner"]]
        target = self.chance.choice(near) if near and self.chance.random() < 0.7 else self._account()
        return Transfer(
            source=source, target=target, asset=asset, amount=self._share(source, asset, place), location=place
        )

    def _move_collateral(self):
        account, asset, place = self._account(), self._asset(), self._place()
        return MoveCollateral(
            account=account,
            asset=asset,
            amount=self._share(account, asset, place),
            source=place,
            target=self._place(),
            reference=f"m{self.count}",
        )

    def _set_location(self):
        name = self.chance.choice((*PLACES, "vault", ""))
        return SetLocation(location=name, finality_seconds=self.chance.choice((0, 60, -1)), fee=5, cap=10**12)

    def _halt(self):
        return HaltLocation(location=self._place(), reason="no answer", notice_seconds=self.chance.choice((0, 60, -1)))

    def _resume(self):
        return ResumeLocation(location=self._place(), reason="it answers")

    def _restrict(self):
        who = self.chance.choice(("account", "account", "account", "instrument", "house"))
        return Restrict(
            mode=self.chance.choice(("open", "open", "reduce_only", "halted", "shut")),
            reason=self.chance.choice(("an officer's order", "another order")),
            account=self._account() if who == "account" else "",
            instrument=self._symbol() if who == "instrument" else "",
        )

    def _admit(self):
        return AdmitMember(account=self._account(), assessment_cap=self.chance.choice((0, 10**9, -1)))

    def _client(self):
        members = list(self.books.members)
        member = self.chance.choice(members) if members else self._account()
        kind = self.chance.choice(("client", "client", "omnibus_net", "house"))
        return OpenAccount(account=f"c{self.count}", owner=f"o{self.count % 5}", kind=kind, member=member)

    def _contribute(self):
        account, asset = self._of(self.books.members, "a"), self._asset()
        mine = int(self.books.shares[account, asset])
        amount = self._share(account, asset) if self.chance.random() < 0.6 else -mine
        return Contribute(account=account, asset=asset, amount=amount)

    def _move_client(self):
        clients = [n for n, row in self.books.accounts.items() if row["kind"] == "client"]
        account = self.chance.choice(clients) if clients else self._account()
        return MoveClient(account=account, member=self.chance.choice((*self.books.members, "", self._account())))

    def _close(self):
        return CloseAccount(account=self._of([n for n in self.books.accounts if n[0] in "ab"], "a"))

    def _empty(self):
        """Open an account only to close it."""
        return OpenAccount(account=f"b{self.count}")

    def _sign(self):
        owners = [f"o{k}" for k in range(self.chance.choice((1, 2, 2, 3)))]
        return SignAgreement(
            agreement=self.chance.choice(("pact", "deal")), owner=self.chance.choice(owners), owners=owners
        )

    def _revoke(self):
        return RevokeAgreement(
            agreement=self.chance.choice(("pact", "deal", "none")), owner=f"o{self.chance.randint(0, 2)}"
        )

    def _join(self):
        agreement = self.chance.choice(("", "", "pact", "deal"))
        return JoinPool(
            pool=self.chance.choice(("p", "q", f"p-{agreement}")), account=self._account(), agreement=agreement
        )

    def _leave_pool(self):
        return LeavePool(account=self._account())

    def _add_asset(self):
        name, decimals = self.chance.choice(("EUR", "GBP", "USD", " ")), self.chance.choice((2, 2, 2, 10))
        return AddAsset(asset=name, decimals=decimals, asset_class="fx")

    def _tier(self):
        return SetTier(
            account=self._account(), tier=self.chance.choice(("prime", "standard", "vip")), reason="a review"
        )

    def _limits(self):
        return SetLimits(
            instrument=self._symbol(),
            position=self.chance.choice((None, 0, 10, 100, -1)),
            order=self.chance.choice((None, 5, 50)),
            account=self.chance.choice(("", self._account())),
        )

    def _officer(self):
        return self.chance.choice(("ann", "ben", "eve "))

    def _propose(self):
        values = self.chance.choice(
            ({"withdrawal_delay_seconds": 60}, {"withdrawal_delay_seconds": -1}, {"charm": 1}, {})
        )
        name = f"p{self.count}" if self.chance.random() < 0.8 else self._of(self.books.proposals, "p")
        return ProposeParameters(proposal=name, officer=self._officer(), values=values)

    def _impact(self):
        return ReportImpact(
            proposal=self._of(self.books.proposals, "p"),
            initial_before=1,
            initial_after=self.chance.choice((1, 2, -1)),
            below_before=0,
            below_after=0,
        )

    def _approve(self):
        return ApproveParameters(proposal=self._of(self.books.proposals, "p"), officer=self._officer())

    def _drop(self):
        return DropProposal(proposal=self._of(self.books.proposals, "p"), officer="ann", reason="no need")


MONEY = {
    "finalize": ("pending", 3),
    "reverse": ("pending", 1),
    "withdraw": ("withdrawals", 4),
    "send": ("withdrawals", 3),
    "confirm": ("withdrawals", 2),
    "return": ("withdrawals", 1),
    "delay": ("withdrawals", 1),
    "withdrawal_limit": ("withdrawals", 1),
    "transfer": ("transfers", 4),
    "move_collateral": ("places", 3),
    "set_location": ("places", 1),
    "halt": ("places", 1),
    "resume": ("places", 1),
    "restrict": ("control", 1),
    "admit": ("members", 1),
    "client": ("members", 1),
    "contribute": ("members", 2),
    "move_client": ("members", 1),
    "empty": ("closing", 1),
    "close": ("closing", 2),
    "sign": ("pools", 2),
    "revoke": ("pools", 1),
    "join": ("pools", 4),
    "leave_pool": ("pools", 1),
    "add_asset": ("parameters", 1),
    "tier": ("parameters", 1),
    "propose": ("parameters", 2),
    "impact": ("parameters", 3),
    "approve": ("parameters", 3),
    "drop": ("parameters", 1),
    "limits": ("limits", 2),
    **CREDIT,
}
"""What a command is made by: the feature it needs, and how often compared with the others."""
