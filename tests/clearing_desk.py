"""A house to try commands on: whatever is done is checked for what must hold of everything that is done."""

from dataclasses import dataclass, field
from itertools import count

from crossmargin.clearing import Applied, Deposit, House, OpenAccount, OpenHouse, PoolStanding, Rejected, State
from crossmargin.clearing.auditing import unconserved
from crossmargin.storage import open_journal

SECOND = 1_000_000_000
USD, BTC = 0, 1


@dataclass
class Headroom:
    """A view of margin for tests: each account needs what it is told to, in cents of USD, and pools add up.

    Only USD counts, at every location that is not halted. gains: unrealized profit, which counts in the margin balance.
    """

    needs: dict[str, int] = field(default_factory=dict)
    gains: dict[str, int] = field(default_factory=dict)
    state: State | None = None

    def watch(self, state):
        self.state = state

    def _together(self, account):
        pool = self.state.parties.accounts[account].pool
        return [account] if pool < 0 else list(self.state.pools.shared[pool].accounts)

    def pool_of(self, account):
        return min(self._together(account))

    def _sums(self, accounts):
        names = [self.state.parties.accounts[a].name for a in accounts]
        owned = sum(
            self.state.ledger.balance(a, USD, k)
            for a in accounts
            for k, place in enumerate(self.state.locations.places)
            if not place.halted
        )
        return owned, sum(self.gains.get(n, 0) for n in names), sum(self.needs.get(n, 0) for n in names)

    def standing(self, account):
        owned, gains, needs = self._sums(self._together(account))
        return PoolStanding(
            margin_balance=owned + gains,
            initial=needs,
            maintenance=needs / 2,
            net_value=owned + gains,
            unrealized_gain=gains,
            status=0,
        )

    def stands_alone(self, state, accounts):
        owned, gains, needs = self._sums(accounts)
        return owned + gains >= needs

    def allows_withdrawal(self, state, account, asset, amount, location):
        owned, _, needs = self._sums(self._together(account))
        return owned - (amount if asset == USD else 0) >= needs

    def changed(self, state):
        return []


class Desk:
    """A house with a few accounts. `do` what must be applied, `no` what must be rejected and change nothing."""

    def __init__(self, *accounts, risk=None, start=1_000):
        times = count(start)
        self.now = 0
        self.risk = risk
        self.journal = open_journal("memory:")
        self.house = House(self.journal, lambda: self.now + next(times) * SECOND, risk)
        self.do(OpenHouse(currency="USD", assets={"USD": (2, "other"), "BTC": (8, "crypto")}))
        self.references = count()
        for account in accounts:
            self.do(OpenAccount(account=account))

    @property
    def state(self):
        return self.house.state

    def number(self, account):
        return self.state.parties.account_number[account]

    def place(self, location):
        return self.state.locations.number[location]

    def have(self, account, asset=USD, location="here", pending=False):
        return self.state.ledger.balance(self.number(account), asset, self.place(location), pending)

    def later(self, seconds):
        self.now += seconds * SECOND

    def do(self, command):
        reply = self.house.submit(command)
        assert isinstance(reply, Applied), f"{command}: {reply}"
        assert unconserved(self.state) == "ok"
        again = State.thawed(self.state.frozen())
        assert again.frozen() == self.state.frozen()
        return reply.events

    def no(self, command, reason):
        before = self._parts()
        reply = self.house.submit(command)
        assert isinstance(reply, Rejected), f"{command}: {reply}"
        assert reply.reason is reason, reply
        assert self._parts() == before
        return reply

    def _parts(self):
        return [repr(getattr(self.state, name).frozen()) for name in self.state.PARTS]

    def pay_in(self, account, amount, asset="USD", **terms):
        reference = f"in-{next(self.references)}"
        self.do(Deposit(account=account, asset=asset, amount=amount, reference=reference, **terms))
        return reference
