"""A view of margin for simulated houses: one rule for everything, slow and exact, so that margin is asked for at all.

A tenth of every position's and open order's value is initial margin, half of that maintenance margin. It is no margin
model: it is there so that houses lend, refuse, call and see defaults.
"""

from fractions import Fraction

from crossmargin.clearing import PoolStanding, Reason, Rejected
from crossmargin.clearing.ledger import BORROWED, FIRST_CLIENT, HERE
from crossmargin.clearing.risk import BANKRUPT, CALL, HEALTHY, LIQUIDATION, WARNING

WORTH = {"USD": 1, "USDC": 1, "BTC": 64_000, "ETH": 3_500}
"""Of one unit while there is no index."""
SHARE = Fraction(1, 10)


class View:
    """What `crossmargin.clearing.Risk` asks for, pools being single accounts or shared ones."""

    def watch(self, state):
        self.state = state

    def pool_of(self, account):
        shared = self.state.parties.accounts[account].pool
        return account if shared < 0 else min(self.state.pools.shared[shared].accounts)

    def _members(self, account):
        shared = self.state.parties.accounts[account].pool
        return [account] if shared < 0 else self.state.pools.shared[shared].accounts

    def _rate(self, asset):
        """Return what a minor unit is worth in minor units of the reporting currency."""
        parties = self.state.parties
        terms = parties.assets[asset]
        index = None if asset == self.state.currency else self.state.marks.index_of(terms.symbol)
        worth = Fraction(index, 10**8) if index is not None else Fraction(WORTH[terms.symbol])
        return worth * Fraction(10) ** (parties.assets[self.state.currency].decimals - terms.decimals)

    def _figures(self, accounts, changes=(), fills=()):
        """Return (balance, initial, gain) with changes, (asset, amount), and fills, (instrument, lots, ticks)."""
        state, balance, initial, gain = self.state, Fraction(0), Fraction(0), Fraction(0)
        lots, costs = {}, {}
        for account in accounts:
            for _, asset, amount, _, pending in state.ledger.of_account(account):
                balance += 0 if pending else amount * self._rate(asset)
            for instrument, held, cost in state.positions.of_account(account):
                lots[instrument] = lots.get(instrument, 0) + held
                costs[instrument] = costs.get(instrument, 0) + cost
            for _, order in state.orders.of_account(account):
                initial += order.reserve
        for asset, amount in changes:
            balance += amount * self._rate(asset)
        for instrument, more, ticks in fills:
            contract = state.parties.instruments[instrument].contract
            lots[instrument] = lots.get(instrument, 0) + more
            if contract.option:
                balance -= contract.value(more, ticks) * self._rate(contract.settle)
            else:
                costs[instrument] = costs.get(instrument, 0) + contract.value(-more, ticks)
        for instrument, held in lots.items():
            contract = state.parties.instruments[instrument].contract
            ticks = state.marks.of(instrument)
            rate = self._rate(contract.settle)
            if ticks is None:
                balance += costs.get(instrument, 0) * 0
                initial += abs(costs.get(instrument, 0)) * rate * SHARE
                continue
            profit = (contract.value(held, ticks) + costs.get(instrument, 0)) * rate
            balance += profit
            gain += max(0, profit)
            initial += abs(contract.value(held, ticks)) * rate * SHARE
        return balance, initial, gain

    def standing(self, account):
        balance, initial, gain = self._figures(self._members(account))
        maintenance = initial / 2
        if balance < 0:
            status = BANKRUPT
        elif balance >= initial:
            status = HEALTHY
        elif balance <= maintenance:
            status = LIQUIDATION
        else:
            status = CALL if balance <= maintenance * Fraction(11, 10) else WARNING
        return PoolStanding(
            margin_balance=float(balance),
            initial=float(initial),
            maintenance=float(maintenance),
            net_value=float(balance),
            unrealized_gain=float(gain),
            status=status,
        )

    def stands_alone(self, state, accounts):
        balance, initial, _ = self._figures(accounts)
        return balance >= initial

    def order_reserve(self, state, account, instrument, lots, ticks):
        contract = state.parties.instruments[instrument].contract
        reserve = int(abs(contract.value(lots, ticks)) * self._rate(contract.settle) * SHARE) + 1
        balance, initial, _ = self._figures(self._members(account))
        position, _ = state.positions.of(account, instrument)
        if position * lots < 0 and abs(lots) <= abs(position):
            return 0
        if balance < initial + reserve or reserve >= 2**60:
            return Rejected(Reason.MARGIN_IS_INSUFFICIENT, f"{float(balance)} of {float(initial + reserve)}")
        return reserve

    def allows_fills(self, state, account, fills):
        members = self._members(account)
        before, needed_before, _ = self._figures(members)
        after, needed, _ = self._figures(members, fills=[(f.instrument, f.lots, f.ticks) for f in fills])
        if after >= needed or after - needed >= before - needed_before:
            return None
        return Rejected(Reason.MARGIN_IS_INSUFFICIENT, f"{float(after)} of {float(needed)}")

    def allows_withdrawal(self, state, account, asset, amount, location):
        return self.allows_change(state, account, [(asset, HERE, -amount)])

    def allows_change(self, state, account, changes):
        money = [(asset, amount) for asset, _, amount in changes]
        balance, initial, gain = self._figures(self._members(account), changes=money)
        assert all(place >= BORROWED for _, place, _ in changes)
        return balance - gain >= initial

    def changed(self, state):
        pools = dict.fromkeys(self.pool_of(a) for a in range(FIRST_CLIENT, len(state.parties.accounts)))
        now = {pool: self.standing(pool).status for pool in pools}
        known = {pool: state.standings.of(pool) for pool in [*state.standings.status, *pools]}
        return sorted((pool, now.get(pool, HEALTHY)) for pool in known if known[pool] != now.get(pool, HEALTHY))
