"""Slow twin of the live book: dictionaries of positions, one account, group and scenario at a time.

Sums run in the order the library promises: positions by instrument, groups by number, worst losses from the largest
down. With whole numbers nothing is rounded, so that then every number must be equal.
"""

from math import floor


class SlowBook:
    """Accounts as a list of dictionaries instrument -> quantity."""

    def __init__(self, accounts, group):
        self.accounts = [{i: q for i, q in held.items() if q != 0.0} for held in accounts]
        self.group = list(group)
        self.risk = None
        self.limits = [0.0] * len(accounts)

    def set_risk(self, risk):
        self.risk = [[float(x) for x in row] for row in risk]

    def tick(self, group, rows):
        for i, row in zip((i for i, g in enumerate(self.group) if g == group), rows, strict=True):
            self.risk[i] = [float(x) for x in row]

    def losses(self, held, risk):
        scenarios = len(risk[0]) if risk else 0
        return [sum((-q * risk[i][s] for i, q in sorted(held.items())), 0.0) for s in range(scenarios)]

    def total(self, held, risk):
        """The sum over groups of the worst loss of the group's positions, each 0 or more."""
        total = 0.0
        for g in sorted({self.group[i] for i in held}):
            of_group = {i: q for i, q in held.items() if self.group[i] == g}
            total += max([0.0, *self.losses(of_group, risk)])
        return total

    def totals(self, risk=None):
        return [self.total(held, self.risk if risk is None else risk) for held in self.accounts]

    def expected_shortfall(self, risk, tail):
        out = []
        for held in self.accounts:
            worst = sorted(self.losses(held, risk), reverse=True)
            whole = floor(tail)
            total = sum(worst[:whole], 0.0)
            if tail > whole:
                total += (tail - whole) * worst[whole]
            out.append(max(0.0, total / tail))
        return out

    def check_and_apply(self, fills, *, check=True):
        """Decide fills (account, instrument, quantity) one after another; return who was accepted."""
        accepted = []
        for account, instrument, quantity in fills:
            held = dict(self.accounts[account])
            before = self.total(held, self.risk)
            held[instrument] = held.get(instrument, 0.0) + quantity
            if held[instrument] == 0.0:
                del held[instrument]
            after = self.total(held, self.risk)
            accept = not check or after <= self.limits[account] or after <= before
            if accept:
                self.accounts[account] = held
            accepted.append(accept)
        return accepted

    def add_accounts(self, limits):
        self.accounts += [{} for _ in limits]
        self.limits += list(limits)
