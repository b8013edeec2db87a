"""Lending: pools, one an asset, that accounts lend to and borrow from; what is not there is never lent.

    utilization u           debts / claims
    rate a year             base + below * u / kink up to the kink, base + below + above * (u - kink) / (1 - kink) after
    debt index              += rate * time; an account owes debt * (index now - index when it was last reckoned)
    supply index            += debt index's rise * u * (1 - reserve)

Claims and debts are balances at `LENT` and `BORROWED`, against the house's `lending` account, whose cash is what is not
lent out. Interest is added to debts (rounded up) and claims (rounded down) whenever one of them changes and when it is
charged to all; then what was debited is what was credited plus what the reserve got, to the unit.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crossmargin.clearing.contracts import AMOUNT_MAX
from crossmargin.clearing.flows import SECOND
from crossmargin.clearing.headroom import cannot_leave
from crossmargin.clearing.ledger import BORROWED, HERE, LENDING, LENT, RESERVE, Posting
from crossmargin.clearing.machine import Command, Decision, Event, applies, decides
from crossmargin.clearing.parties import account_of, asset_of
from crossmargin.clearing.rejections import Reason, Rejected
from crossmargin.clearing.rounding import owed_to_house, to_account
from crossmargin.units import YEAR_SECONDS

if TYPE_CHECKING:
    from crossmargin.clearing.state import State

RATE_UNIT = 10**9
"""Rates and fractions are in units of 1e-9; rates a year of 365 days."""
RATE_MAX = 100 * RATE_UNIT
INDEX_UNIT = 10**15
"""Indices are in units of 1e-15 of what is owed or lent; 100% a year for 9,000 years fits."""
NO_CAP = -1
CHARGED_EVERY = 3_600 * SECOND
"""How often the clock charges interest to all."""


@dataclass(slots=True)
class LendingPool:
    """A pool's terms, in 1e-9 (rates a year) and minor units, and its indices, in 1e-15, at a time in nanoseconds."""

    base: int
    below: int
    above: int
    kink: int
    reserve: int
    supply_cap: int
    borrow_cap: int
    time: int
    charged: int
    """When interest was last charged to all."""
    debt_index: int = 0
    supply_index: int = 0


@dataclass(slots=True)
class Lending:
    """Pools by asset number; the index at which each debt and claim was last reckoned, by (asset, account)."""

    pools: dict[int, LendingPool] = field(default_factory=dict)
    debts: dict[tuple[int, int], int] = field(default_factory=dict)
    claims: dict[tuple[int, int], int] = field(default_factory=dict)

    def frozen(self) -> Any:
        """Return the pools as plain values."""
        return [
            [[asset, *(getattr(p, name) for name in LendingPool.__slots__)] for asset, p in sorted(self.pools.items())],
            [[*key, index] for key, index in sorted(self.debts.items())],
            [[*key, index] for key, index in sorted(self.claims.items())],
        ]

    @classmethod
    def thawed(cls, plain: Any) -> Lending:
        """Return what `frozen` was told of."""
        pools, debts, claims = plain
        return cls(
            {asset: LendingPool(*row) for asset, *row in pools},
            {(asset, account): index for asset, account, index in debts},
            {(asset, account): index for asset, account, index in claims},
        )


class SetLending(Command, frozen=True):
    """Open a lending pool for an asset, or give it new terms. Rates a year and fractions in units of 1e-9."""

    asset: str
    base: int = 0
    below: int = 40_000_000
    above: int = 750_000_000
    kink: int = 800_000_000
    reserve: int = 100_000_000
    """Of all interest: what the house keeps against bad debt."""
    supply_cap: int | None = None
    borrow_cap: int | None = None
    """Minor units; None for no cap."""


class LendingSet(Event, frozen=True):
    """A lending pool has these terms from now on."""

    asset: int
    base: int
    below: int
    above: int
    kink: int
    reserve: int
    supply_cap: int
    borrow_cap: int


class InterestAccrued(Event, frozen=True):
    """Time has passed in a pool: its indices are now these."""

    asset: int
    debt_index: int
    supply_index: int


@decides(SetLending)
def _set(state: State, command: SetLending) -> Decision:
    asset = asset_of(state, command.asset)
    if isinstance(asset, Rejected):
        return asset
    wrong = (
        any(not 0 <= rate <= RATE_MAX for rate in (command.base, command.below, command.above))
        or not 0 < command.kink < RATE_UNIT
        or not 0 <= command.reserve <= RATE_UNIT
        or any(cap is not None and not 0 <= cap < AMOUNT_MAX for cap in (command.supply_cap, command.borrow_cap))
    )
    if wrong:
        allowed = (
            f"rates 0 to {RATE_MAX}, a kink between 0 and {RATE_UNIT}, reserve 0 to {RATE_UNIT}, caps of 0 or more"
        )
        return Rejected(Reason.TERMS_ARE_INVALID, f"{command.asset}: allowed: {allowed}")
    return [
        *accrued(state, asset),
        LendingSet(
            asset=asset,
            base=command.base,
            below=command.below,
            above=command.above,
            kink=command.kink,
            reserve=command.reserve,
            supply_cap=NO_CAP if command.supply_cap is None else command.supply_cap,
            borrow_cap=NO_CAP if command.borrow_cap is None else command.borrow_cap,
        ),
    ]


@applies(LendingSet)
def _was_set(state: State, event: LendingSet) -> None:
    known = state.lending.pools.get(event.asset)
    made = LendingPool(
        event.base,
        event.below,
        event.above,
        event.kink,
        event.reserve,
        event.supply_cap,
        event.borrow_cap,
        state.now,
        state.now if known is None else known.charged,
    )
    if known is not None:
        made.debt_index, made.supply_index = known.debt_index, known.supply_index
    state.lending.pools[event.asset] = made


# --- time


def debts(state: State, asset: int) -> int:
    """Return what all accounts owe a pool, as last reckoned, in minor units; >= 0."""
    return state.ledger.balance(LENDING, asset, BORROWED)


def claims(state: State, asset: int) -> int:
    """Return what all accounts have lent to a pool, as last reckoned, in minor units; >= 0."""
    return -state.ledger.balance(LENDING, asset, LENT)


def rate(pool: LendingPool, debt: int, claim: int) -> int:
    """Return what borrowing costs a year, in 1e-9, rounded up."""
    if debt == 0:
        return pool.base
    used = min(RATE_UNIT, owed_to_house(debt * RATE_UNIT, claim)) if claim > 0 else RATE_UNIT
    if used <= pool.kink:
        return pool.base + owed_to_house(pool.below * used, pool.kink)
    return pool.base + pool.below + owed_to_house(pool.above * (used - pool.kink), RATE_UNIT - pool.kink)


def accrued(state: State, asset: int) -> list[Event]:
    """Return the indices of a pool now, as an event; none where no time has passed or there is no pool."""
    pool = state.lending.pools.get(asset)
    if pool is None or pool.time == state.now:
        return []
    debt, claim = debts(state, asset), claims(state, asset)
    elapsed = state.now - pool.time
    rise = rate(pool, debt, claim) * elapsed * (INDEX_UNIT // RATE_UNIT) // (YEAR_SECONDS * SECOND) if debt else 0
    supply = rise * debt * (RATE_UNIT - pool.reserve) // (claim * RATE_UNIT) if claim > 0 else 0
    return [InterestAccrued(asset=asset, debt_index=pool.debt_index + rise, supply_index=pool.supply_index + supply)]


@applies(InterestAccrued)
def _accrued(state: State, event: InterestAccrued) -> None:
    pool = state.lending.pools[event.asset]
    pool.debt_index, pool.supply_index, pool.time = event.debt_index, event.supply_index, state.now


def interest_owed(state: State, account: int, asset: int, index: int) -> int:
    """Return the interest an account owes beside its debt when the debt index is `index`, rounded up."""
    begun = state.lending.debts.get((asset, account), index)
    return owed_to_house(-state.ledger.balance(account, asset, BORROWED) * (index - begun), INDEX_UNIT)


def interest_earned(state: State, account: int, asset: int, index: int) -> int:
    """Return the interest an account has earned beside its claim when the supply index is `index`, rounded down."""
    begun = state.lending.claims.get((asset, account), index)
    return to_account(state.ledger.balance(account, asset, LENT) * (index - begun), INDEX_UNIT)


# --- lending and borrowing


class Lend(Command, frozen=True):
    """Put settled money into a lending pool."""

    account: str
    asset: str
    amount: int


class TakeBack(Command, frozen=True):
    """Take lent money and its interest out of a pool again, as far as it is not lent out."""

    account: str
    asset: str
    amount: int


class Borrow(Command, frozen=True):
    """Take a loan from a pool. It is owed in full; what was borrowed counts after its haircut."""

    account: str
    asset: str
    amount: int


class Repay(Command, frozen=True):
    """Pay back a loan and its interest from settled money; of more than is owed, what is owed."""

    account: str
    asset: str
    amount: int


class ClaimChanged(Event, frozen=True):
    """An account's claim on a pool has earned `interest`, and `amount` was lent (> 0) or taken back (< 0)."""

    account: int
    asset: int
    amount: int
    interest: int


class DebtChanged(Event, frozen=True):
    """An account's debt to a pool has cost `interest`, and `amount` was borrowed (> 0) or paid back (< 0)."""

    account: int
    asset: int
    amount: int
    interest: int


def _places(state: State, command: Lend | TakeBack | Borrow | Repay) -> tuple[int, int] | Rejected:
    """Return the numbers of the account and asset of a command to a pool, or why there are none."""
    account, asset = account_of(state, command.account), asset_of(state, command.asset)
    if isinstance(account, Rejected):
        return account
    if isinstance(asset, Rejected):
        return asset
    if asset not in state.lending.pools:
        return Rejected(Reason.ASSET_IS_NOT_LENT, command.asset)
    if command.amount <= 0:
        return Rejected(Reason.AMOUNT_NOT_POSITIVE, str(command.amount))
    if command.amount >= AMOUNT_MAX // 4:
        return Rejected(Reason.AMOUNT_TOO_LARGE, str(command.amount))
    return account, asset


def _indices(state: State, asset: int, events: list[Event]) -> tuple[int, int]:
    """Return the debt index and the supply index of a pool once `events`, at most one, have happened."""
    for event in events:
        assert isinstance(event, InterestAccrued)
        return event.debt_index, event.supply_index
    pool = state.lending.pools[asset]
    return pool.debt_index, pool.supply_index


@decides(Lend)
def _lend(state: State, command: Lend) -> Decision:
    places = _places(state, command)
    if isinstance(places, Rejected):
        return places
    account, asset = places
    missing = cannot_leave(state, account, asset, command.amount, HERE)
    if missing is not None:
        return missing
    cap, after = state.lending.pools[asset].supply_cap, claims(state, asset) + command.amount
    if after > (cap if cap != NO_CAP else AMOUNT_MAX // 4):
        return Rejected(Reason.LENDING_CAP_IS_REACHED, f"{command.asset}: {after} would be lent, the cap is {cap}")
    events = accrued(state, asset)
    earned = interest_earned(state, account, asset, _indices(state, asset, events)[1])
    if earned >= AMOUNT_MAX // 4:
        return Rejected(Reason.AMOUNT_TOO_LARGE, f"interest of {earned}")
    return [*events, ClaimChanged(account=account, asset=asset, amount=command.amount, interest=earned)]


@decides(TakeBack)
def _take_back(state: State, command: TakeBack) -> Decision:
    places = _places(state, command)
    if isinstance(places, Rejected):
        return places
    account, asset = places
    events = accrued(state, asset)
    earned = interest_earned(state, account, asset, _indices(state, asset, events)[1])
    have = state.ledger.balance(account, asset, LENT) + earned
    if command.amount > have:
        return Rejected(Reason.FUNDS_ARE_INSUFFICIENT, f"{command.account} has lent {have}")
    free = state.ledger.balance(LENDING, asset)
    if command.amount > free:
        return Rejected(Reason.LENDING_POOL_IS_EMPTY, f"{command.asset}: {free} are not lent out")
    return [*events, ClaimChanged(account=account, asset=asset, amount=-command.amount, interest=earned)]


@decides(Borrow)
def _borrow(state: State, command: Borrow) -> Decision:
    places = _places(state, command)
    if isinstance(places, Rejected):
        return places
    account, asset = places
    if state.control.accounts[account] or state.control.house:
        return Rejected(Reason.ACCOUNT_IS_RESTRICTED, command.account)
    free = state.ledger.balance(LENDING, asset)
    if command.amount > free:
        return Rejected(Reason.LENDING_POOL_IS_EMPTY, f"{command.asset}: {free} are not lent out")
    cap, after = state.lending.pools[asset].borrow_cap, debts(state, asset) + command.amount
    if cap != NO_CAP and after > cap:
        return Rejected(Reason.LENDING_CAP_IS_REACHED, f"{command.asset}: {after} would be owed, the cap is {cap}")
    # Without a view of margin nobody may owe anything.
    if state.risk is None or not state.risk.allows_change(
        state, account, [(asset, BORROWED, -command.amount), (asset, HERE, command.amount)]
    ):
        return Rejected(Reason.MARGIN_IS_INSUFFICIENT, f"{command.account}: a loan of {command.amount} {command.asset}")
    events = accrued(state, asset)
    owed = interest_owed(state, account, asset, _indices(state, asset, events)[0])
    if debts(state, asset) + owed >= AMOUNT_MAX // 4:
        return Rejected(Reason.AMOUNT_TOO_LARGE, f"interest of {owed}")
    return [*events, DebtChanged(account=account, asset=asset, amount=command.amount, interest=owed)]


@decides(Repay)
def _repay(state: State, command: Repay) -> Decision:
    places = _places(state, command)
    if isinstance(places, Rejected):
        return places
    account, asset = places
    events = accrued(state, asset)
    owed = interest_owed(state, account, asset, _indices(state, asset, events)[0])
    amount = min(command.amount, owed - state.ledger.balance(account, asset, BORROWED))
    if amount == 0:
        return Rejected(Reason.NOTHING_IS_DUE, f"{command.account} owes no {command.asset}")
    have = state.ledger.balance(account, asset)
    if amount > have:
        return Rejected(Reason.FUNDS_ARE_INSUFFICIENT, f"{command.account} has {have}, {amount} were to be paid back")
    return [*events, DebtChanged(account=account, asset=asset, amount=-amount, interest=owed)]


def _moved(account: int, asset: int, place: int, amount: int) -> list[Posting]:
    """Return the postings that change a claim (at LENT) or a debt (at BORROWED) by `amount` against the pool."""
    if amount == 0:
        return []
    return [Posting(account, asset, amount, place), Posting(LENDING, asset, -amount, place)]


def _cash(account: int, asset: int, amount: int) -> list[Posting]:
    """Return the postings by which a pool pays `amount` to an account."""
    return [Posting(account, asset, amount), Posting(LENDING, asset, -amount)] if amount else []


@applies(ClaimChanged)
def _claim_changed(state: State, event: ClaimChanged) -> None:
    moved = _moved(event.account, event.asset, LENT, event.amount + event.interest)
    state.ledger.post([*moved, *_cash(event.account, event.asset, -event.amount)])
    _reckon(state, state.lending.claims, LENT, event.asset, event.account)


@applies(DebtChanged)
def _debt_changed(state: State, event: DebtChanged) -> None:
    moved = _moved(event.account, event.asset, BORROWED, -event.amount - event.interest)
    state.ledger.post([*moved, *_cash(event.account, event.asset, event.amount)])
    _reckon(state, state.lending.debts, BORROWED, event.asset, event.account)


def _reckon(state: State, kept: dict[tuple[int, int], int], place: int, asset: int, account: int) -> None:
    """Note that a claim or debt has its interest in it up to now; forget one that is nothing."""
    pool = state.lending.pools[asset]
    if state.ledger.balance(account, asset, place):
        kept[asset, account] = pool.supply_index if place == LENT else pool.debt_index
    else:
        kept.pop((asset, account), None)
    state.touched.add(account)


# --- interest for all


class ChargeInterest(Command, frozen=True):
    """Add the interest of a pool to all its debts and claims."""

    asset: str


class InterestCharged(Event, frozen=True):
    """Interest was added to debts and claims: (account, amount) each; the reserve's is among the claims."""

    asset: int
    debts: list[tuple[int, int]]
    claims: list[tuple[int, int]]


@decides(ChargeInterest)
def _charge(state: State, command: ChargeInterest) -> Decision:
    asset = asset_of(state, command.asset)
    if isinstance(asset, Rejected):
        return asset
    if asset not in state.lending.pools:
        return Rejected(Reason.ASSET_IS_NOT_LENT, command.asset)
    return charge(state, asset)


def charge(state: State, asset: int) -> list[Event] | Rejected:
    """Return the interest that is due in a pool, as events.

    What debtors owe beyond what lenders have earned, fractions and all, is the reserve's, which lends it to the pool.
    """
    events = accrued(state, asset)
    debt_index, supply_index = _indices(state, asset, events)
    owed = [(a, interest_owed(state, a, asset, debt_index)) for a in _holders(state.lending.debts, asset)]
    earned = [(a, interest_earned(state, a, asset, supply_index)) for a in _holders(state.lending.claims, asset)]
    unpaid = state.ledger.balance(LENDING, asset) + debts(state, asset) - claims(state, asset)
    left = unpaid + sum(amount for _, amount in owed) - sum(amount for _, amount in earned)
    assert left >= 0, f"lending: {left} minor units more were earned than owed"
    if max(debts(state, asset), claims(state, asset)) + sum(amount for _, amount in owed) >= AMOUNT_MAX // 2:
        return Rejected(Reason.AMOUNT_TOO_LARGE, f"interest of {state.parties.assets[asset].symbol}")
    kept = dict(earned)
    kept[RESERVE] = kept.get(RESERVE, 0) + left
    charged = InterestCharged(
        asset=asset,
        debts=[row for row in owed if row[1]],
        claims=[row for row in sorted(kept.items()) if row[1]],
    )
    return [*events, charged]


def is_due(state: State, asset: int) -> bool:
    """Return whether interest of a pool is to be charged to all by now."""
    return debts(state, asset) > 0 and state.now >= state.lending.pools[asset].charged + CHARGED_EVERY


def _holders(kept: dict[tuple[int, int], int], asset: int) -> Iterator[int]:
    return iter(sorted(account for of, account in kept if of == asset))


@applies(InterestCharged)
def _charged(state: State, event: InterestCharged) -> None:
    state.lending.pools[event.asset].charged = state.now
    postings: list[Posting] = []
    for account, amount in event.debts:
        postings += _moved(account, event.asset, BORROWED, -amount)
    for account, amount in event.claims:
        postings += _moved(account, event.asset, LENT, amount)
    state.ledger.post(postings)
    # All of them, also where the interest was less than a unit: that unit's fractions are the reserve's now.
    for kept, place in ((state.lending.debts, BORROWED), (state.lending.claims, LENT)):
        for account in {**dict.fromkeys(_holders(kept, event.asset)), RESERVE: None}:
            _reckon(state, kept, place, event.asset, account)
