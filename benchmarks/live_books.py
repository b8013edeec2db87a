"""Synthetic books: accounts that trade a few underlyings each, near expiries most."""

from dataclasses import dataclass

import numpy as np

from crossmargin.revaluation import LiveBook

GROUPS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Positions:
    """Positions sorted by account, then instrument; group g has instruments g n to (g + 1) n."""

    start: np.ndarray
    instrument: np.ndarray
    quantity: np.ndarray
    group: np.ndarray

    @property
    def accounts(self) -> int:
        return len(self.start) - 1

    def book(self) -> LiveBook:
        return LiveBook(self.start, self.instrument, self.quantity, self.group)

    def segments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return where each (account, group) begins, (N + 1,), and the first segment of each account, (A + 1,)."""
        account = np.repeat(np.arange(self.accounts), np.diff(self.start))
        key = account * GROUPS + self.group[self.instrument]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        of_account = np.searchsorted(account[first], np.arange(self.accounts + 1))
        return np.append(first, len(key)), of_account


def positions(accounts: int, *, each: float = 10.0, instruments: int = 2000, seed: int = 7) -> Positions:
    """Return about `each` positions an account in 1 to 6 of 20 groups, whole lots."""
    rng = np.random.default_rng(seed)
    in_group = instruments // GROUPS
    several = rng.choice(np.arange(1, 7), p=[0.25, 0.2, 0.2, 0.15, 0.1, 0.1], size=accounts)
    count = np.maximum(1, rng.poisson(each, size=accounts))
    account = np.repeat(np.arange(accounts), count)
    which = (rng.random(len(account)) * np.repeat(several, count)).astype(np.int64)
    group = (np.repeat(rng.integers(0, GROUPS, accounts), count) + 7 * which) % GROUPS
    local = (rng.random(len(account)) ** 1.5 * in_group).astype(np.int64)
    key = np.unique((account * GROUPS + group) * in_group + local)
    quantity = rng.integers(1, 50, len(key)) * rng.choice([-1.0, 1.0], len(key))
    return Positions(
        start=np.searchsorted(key, np.arange(accounts + 1) * instruments),
        instrument=key % instruments,
        quantity=quantity,
        group=np.arange(instruments) // in_group,
    )


def risk_table(instruments: int, scenarios: int, seed: int = 3) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(instruments, scenarios))
